"""``dialer campaign pacing``: why so many calls were placed, from what the journal has noted."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import Result

from dialer.core.commands import SavePacing
from dialer.core.pacing.book import Limit, Reason
from dialer.office import pacingwords
from dialer.store.connect import open_writer, transaction
from dialer.store.guard import Guard
from dialer.store.writing import write

Dialer = Callable[..., Result]
AT = 1_790_000_000.0


def note(
    at: float, placed: int, limit: Limit, *, campaign: str = "first", note: str = "", **figures: float
) -> SavePacing:
    reason = Reason(campaign=campaign, placed=placed, limit=limit, figures=figures, note=note)
    return SavePacing(reason=reason, at=at)


@pytest.fixture
def noted(home: Path, dialer: Dialer) -> Dialer:
    """A predictive campaign of which three decisions were noted, and another with one."""
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    assert dialer("campaign", "set", "first", "mode=predictive").exit_code == 0
    second = (home / "campaigns" / "first.toml").read_text().replace('id = "first"', 'id = "second"')
    (home / "campaigns" / "second.toml").write_text(second)
    dialer("campaign", "apply", str(home / "campaigns" / "second.toml"))
    with closing(open_writer(home / "journal.sqlite3")) as connection, transaction(connection):
        few: dict[str, Any] = {
            "operators": 12,
            "idle": 2,
            "in_flight": 9,
            "waiting": 1,
            "risk": 0.021,
            "risk_max": 0.034,
        }
        write(
            connection,
            [],
            [
                note(AT, 4, "risk", note="little is known yet", budget=1.25, answer_rate=0.3, **few),
                note(AT + 30, 0, "no_operators"),
                note(AT + 60, 1, "", **few),
                note(AT + 10, 7, "lines", campaign="second"),
            ],
            Guard(),
        )
    return dialer


def test_the_latest_notes_as_a_table(noted: Dialer) -> None:
    result = noted("campaign", "pacing", "first")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    [first] = [row for row in rows if "risk" in row and "known" in row]
    assert first[2:] == [
        "4",
        "risk",
        "12",
        "2",
        "9",
        "1",
        "8",
        "2.1",
        "%",
        "3.4",
        "%",
        "little",
        "is",
        "known",
        "yet",
    ]
    assert any("no operators" in " ".join(row) for row in rows)
    assert "lines" not in result.stdout
    last = noted("campaign", "pacing", "first", "--last", "1").stdout
    assert "nothing" in last
    assert "little" not in last


def test_the_notes_for_programs(noted: Dialer) -> None:
    found = json.loads(noted("campaign", "pacing", "first", "--format", "json").stdout)
    assert [(one["placed"], one["limit"]) for one in found] == [(4, "risk"), (0, "no_operators"), (1, "")]
    assert found[0]["figures"]["in_flight"] == 9
    assert found[0]["note"] == "little is known yet"
    assert found[0]["says"] == pacingwords.clause("risk")
    rows = list(csv.DictReader(io.StringIO(noted("campaign", "pacing", "first", "--format", "csv").stdout)))
    assert json.loads(rows[0]["figures"])["risk_max"] == 0.034


def test_a_moment_is_explained(noted: Dialer) -> None:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(AT + 5))
    lines = noted("campaign", "pacing", "first", "--at", moment).stdout.splitlines()
    assert lines[0].startswith("Campaign first at ")
    assert lines[1:5] == [
        f"  4 calls placed then; {pacingwords.clause('risk')} (risk).",
        "  operators 12, idle 2, in flight 9, waiting 1.",
        "  Risk of the next call 2.1 %, allowed 3.4 %.",
        "  Besides: budget 1.25, answer rate 30 %.",
    ]
    assert lines[5] == "  little is known yet"
    assert lines[6].endswith(f": {pacingwords.clause('no_operators')}.")
    before = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(AT - 5))
    assert (
        "nothing is noted (the first note is of "
        in noted("campaign", "pacing", "first", "--at", before).stdout
    )
    found = json.loads(noted("campaign", "pacing", "first", "--at", moment, "--format", "json").stdout)
    assert [one["limit"] for one in found] == ["risk", "no_operators"]


def test_where_nothing_is_noted_it_is_said_why(dialer: Dialer) -> None:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    assert "Its mode is progressive; only predictive" in dialer("campaign", "pacing", "first").stdout
    dialer("campaign", "set", "first", "mode=predictive")
    assert "It was not dialed yet" in dialer("campaign", "pacing", "first").stdout
    assert dialer("campaign", "pacing", "first", "--format", "json").stdout == "[]\n"
    missing = dialer("campaign", "pacing", "other")
    assert (missing.exit_code, "There is no campaign 'other'" in missing.stderr) == (1, True)
    both = dialer("campaign", "pacing", "first", "--at", "-1h", "--last", "3")
    assert (both.exit_code, "cannot both be given" in both.stderr) == (2, True)


def test_every_limit_has_its_words() -> None:
    assert set(pacingwords.LIMITS) == set(get_args(Limit))
    assert (pacingwords.brief("new"), pacingwords.clause("new")) == ("new", "new")


@pytest.mark.parametrize(
    ("figures", "ahead"),
    [
        ({"in_flight": 9.0, "waiting": 1.0, "idle": 2.0}, 8),
        ({"in_flight": 1.0, "waiting": 0.0, "idle": 4.0}, 0),
        ({"in_flight": 1.0}, None),
        ({"in_flight": None, "waiting": 0.0, "idle": 4.0}, None),
    ],
)
def test_calls_ahead(figures: dict[str, float | None], ahead: int | None) -> None:
    assert pacingwords.ahead(figures) == ahead


@pytest.mark.parametrize(
    ("share", "text"), [(None, "–"), (0.0, "0.0 %"), (0.0213, "2.1 %"), (0.5, "50 %"), (1.0, "100 %")]
)
def test_shares(share: float | None, text: str) -> None:
    assert pacingwords.percent(share) == text
