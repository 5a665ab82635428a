"""The example of the page is run, and the figures that it explains are those that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from dialer.core.pacing.book import Limit
from tests.unit.core.pacing.played import Told

PAGE = (Path(__file__).parents[4] / "docs" / "pacing.md").read_text()


def test_the_example_runs_and_keeps_its_promise() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"print": lambda *_: None}
    exec(compile(code, "docs/pacing.md", "exec"), names)
    assert names["answered"] > 110
    assert names["abandoned"] <= 0.03 * names["answered"] + 1
    assert list(names["saved"]) == ["campaign:spring"]


def test_every_figure_and_every_limit_is_explained() -> None:
    told = Told()
    told.agents("busy", "ann", "bob", "cy")
    told.history(400)
    figures = told.ask(after=1.0).reasons[0].figures
    assert {"risk", "cap_room"} <= set(figures)
    explained = set(re.findall(r"`(\w+)`", PAGE))
    assert set(figures) <= explained
    assert set(get_args(Limit)) - {""} <= explained
