"""The log of an embedded Asterisk, which strangers can fill."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from dialer.core.ids import ONLY
from dialer.engine.asterisklog import keep_short, shorten
from dialer.engine.logs import FILES
from dialer.engine.serverline import ServerLine
from tests.e2e.world import until
from tests.integration.test_hostile import STRANGER, wire

pytestmark = pytest.mark.asterisk


def said(log: Path, name: str) -> bool:
    return name in log.read_text()


async def test_a_log_that_strangers_filled_is_put_aside_and_begun_anew(asterisk_home):
    live, log = asterisk_home, asterisk_home.log_path
    older = [log.with_name(f"{log.name}.{number}") for number in range(1, FILES + 2)]
    assert not await shorten(live.server), "it is short yet"
    with wire(STRANGER, live.sip_port) as stranger:
        for round_ in range(FILES + 1):
            name = f"stranger{round_}"
            for _ in range(8):  # the first few in some seconds Asterisk lets pass
                stranger.ask("100", caller=f"<sip:{name}@127.0.0.1>")
            await until(partial(said, log, name), "a line about the stranger", 10.0)
            assert await shorten(live.server, 100)
            assert name in older[0].read_text()
            await until(log.is_file, "a new log", 10.0)
            assert name not in log.read_text()
    assert [path.is_file() for path in older] == [True] * FILES + [False], "the oldest is gone"
    assert f"stranger{FILES}" in older[0].read_text()
    assert older[0].stat().st_mode & 0o077 == 0


def test_an_engine_looks_after_the_log_of_its_own_asterisk(asterisk_home):
    works = ServerLine(ONLY, MagicMock(), MagicMock(), asterisk=asterisk_home.server).works()
    names = {getattr(work, "__name__", "") for work in works}
    for work in works:
        work.close()
    assert keep_short.__name__ in names
