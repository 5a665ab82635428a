"""The composition root's own promises: servers are kept up, and are not taken down with a failed engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from dialer.core import events as ev
from dialer.core.floor import Floor
from dialer.core.ids import ChannelId, ServerId
from dialer.core.servers import ServerDesk
from dialer.core.values import Caps, Centre
from dialer.engine import house
from dialer.engine.lastword import LastWordDesk
from dialer.engine.servers import Asterisks
from dialer.office.setup import make_home
from dialer.store.files import load_system
from dialer.store.journal import Journal
from tests.unit.engine.parts import attempt


class Server:
    """A server that is stopped, or left alone."""

    def __init__(self) -> None:
        self.stops = 0

    async def stop(self) -> None:
        self.stops += 1


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


def test_the_recording_of_who_talks_on_out_of_our_sight_is_not_taken_for_whole():
    floor = Floor()
    floor.servers[ServerId("north")] = desk = ServerDesk(ev.Server(id=ServerId("north")))
    desk.left.add(ChannelId(attempt(1)))
    assert house.growing(floor) == {attempt(1)}


async def test_a_reload_reads_the_centres_rules_from_their_file(tmp_path, monkeypatch):
    """And keeps them in the journal, where the guard reads them."""
    home = tmp_path / "home"
    make_home(home)
    one = house.House(home)

    async def decided() -> None:
        pass

    monkeypatch.setattr(one, "_decided", decided)
    async with await Journal.open(home / "journal.sqlite3") as one.journal:
        one.asterisks = Asterisks(load_system(home), outlive=False)
        one._last_word = LastWordDesk(home, journal=one.journal, inbox=one.inbox, clock=one.clock)
        file = home / "obzvon.toml"
        file.write_text(file.read_text().replace("[caps]", "[caps]\nnumber_per_day = 2"))
        await one.reload()
        (told,) = [event for event in await one.inbox.get_batch(9) if isinstance(event, ev.CentreApplied)]
        assert told.centre == Centre(caps=Caps(number_per_day=2), countries=("+7",))
        assert (await one.journal.load()).centre == told.centre
