"""The composition root's own promises: servers are kept up, and are not taken down with a failed engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from dialer.core import events as ev
from dialer.core.values import Caps, Centre
from dialer.engine import house
from dialer.engine.process import EmbeddedError
from dialer.office.setup import make_home
from dialer.store.journal import Journal


class Server:
    """A server that does not start so many times, and then runs."""

    def __init__(self, failures: int = 0) -> None:
        self.pid: int | None = None
        self.starts = 0
        self.stops = 0
        self._failures = failures
        self._ended = asyncio.Event()

    async def wait(self) -> None:
        await self._ended.wait()
        self.pid = None

    async def start(self) -> None:
        self.starts += 1
        if self.starts <= self._failures:
            raise EmbeddedError("not yet")
        self.pid, self._ended = 1, asyncio.Event()

    async def stop(self) -> None:
        self.stops += 1


async def test_a_server_that_does_not_come_up_is_tried_again_and_again(monkeypatch):
    monkeypatch.setattr(house, "RESTART_S", 0.0)
    server = Server(failures=20)
    keeping = asyncio.create_task(house._keep_up(cast("Any", server)))
    async with asyncio.timeout(5):
        while server.pid is None:
            await asyncio.sleep(0)
    assert server.starts == 21
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


@pytest.mark.parametrize(
    ("outlive", "failure", "stops"),
    [
        (True, None, 1),
        (True, RuntimeError("a fault of ours"), 0),
        (True, KeyboardInterrupt(), 1),
        (False, RuntimeError("a fault of ours"), 1),
    ],
)
async def test_a_failed_engine_leaves_the_conversations_alone(
    tmp_path: Path, outlive: bool, failure: BaseException | None, stops: int
):
    server = Server()
    one = house.House(tmp_path, outlive=outlive)
    one._stack.push_async_exit(one._stopping(cast("Any", server)))
    await one._stop(failure)
    assert server.stops == stops


async def test_a_reload_reads_the_centres_rules_from_their_file(tmp_path, monkeypatch):
    """And keeps them in the journal, where the guard reads them."""
    home = tmp_path / "home"
    make_home(home)
    one = house.House(home)

    async def decided() -> None:
        pass

    monkeypatch.setattr(one, "_decided", decided)
    async with await Journal.open(home / "journal.sqlite3") as one.journal:
        file = home / "obzvon.toml"
        file.write_text(file.read_text().replace("[caps]", "[caps]\nnumber_per_day = 2"))
        await one.reload()
        (told,) = [event for event in await one.inbox.get_batch(9) if isinstance(event, ev.CentreApplied)]
        assert told.centre == Centre(caps=Caps(number_per_day=2))
        assert (await one.journal.load()).centre == told.centre
