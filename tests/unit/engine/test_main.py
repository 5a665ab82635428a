"""``serve`` and ``up`` look at the settings before they start anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dialer.engine import main
from dialer.office.setup import make_home
from dialer.store.documents import BadFile
from dialer.store.files import SYSTEM_FILE


@pytest.fixture
def home(tmp_path: Path) -> Path:
    make_home(tmp_path)
    return tmp_path


def settings(home: Path, asterisk: str, redis: str) -> None:
    (home / SYSTEM_FILE).write_text(
        f'[asterisk]\nmode = "{asterisk}"\nurl = "http://127.0.0.1:1/ari"\n'
        f'[redis]\nmode = "{redis}"\nurl = "redis://127.0.0.1:1/0"\n'
    )


def test_serve_starts_no_servers_and_says_what_to_do_instead(home):
    with pytest.raises(BadFile) as caught:
        main.serve(home)
    message = str(caught.value)
    for part in (SYSTEM_FILE, "asterisk.mode", "redis.mode", "external", "dialer up"):
        assert part in message


@pytest.mark.parametrize(("asterisk", "redis"), [("embedded", "external"), ("external", "embedded")])
def test_serve_names_only_what_is_wrong(home, asterisk, redis):
    settings(home, asterisk, redis)
    with pytest.raises(BadFile) as caught:
        main.serve(home)
    message = str(caught.value)
    assert ("asterisk.mode" in message, "redis.mode" in message) == (
        asterisk == "embedded",
        redis == "embedded",
    )


async def test_the_first_of_several_ends_the_waiting_and_its_failure_is_ours():
    gave_up = asyncio.Event()

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            gave_up.set()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("a part failed")

    with pytest.raises(RuntimeError, match="a part failed"):
        await main._first(for_ever(), fails())
    assert gave_up.is_set()
