"""The composition root's own promises: servers are kept up, and are not taken down with a failed engine."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from dialer.core import events as ev
from dialer.core.ids import ChannelId, ContactId
from dialer.core.values import Call, CallState, CampaignState, Caps, Centre, Lead
from dialer.engine import house
from dialer.engine.lastword import LastWordDesk
from dialer.engine.process import EmbeddedError
from dialer.engine.recordings import Recordings
from dialer.office.setup import make_home
from dialer.store.journal import Journal
from tests.unit.engine.parts import CAMPAIGN, call


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
        one._last_word = LastWordDesk(home, journal=one.journal, inbox=one.inbox, clock=one.clock)
        file = home / "obzvon.toml"
        file.write_text(file.read_text().replace("[caps]", "[caps]\nnumber_per_day = 2"))
        await one.reload()
        (told,) = [event for event in await one.inbox.get_batch(9) if isinstance(event, ev.CentreApplied)]
        assert told.centre == Centre(caps=Caps(number_per_day=2))
        assert (await one.journal.load()).centre == told.centre


class LastWord:
    async def tell_choices(self) -> None:
        pass


@pytest.fixture
def listing(tmp_path: Path, monkeypatch):
    """A house with four calls in flight; Asterisk lists only the third. The sound of all but the first is there."""
    one = house.House(tmp_path)
    one._last_word = cast("Any", LastWord())
    one._recordings = Recordings(folder=tmp_path, inbox=one.inbox, clock=one.clock)
    states = {1: CallState.RINGING, 2: CallState.RINGING, 3: CallState.RINGING, 4: CallState.CONNECTED}
    calls: list[tuple[Call, Lead]] = []
    for serial, state in states.items():
        answered_at = 1_700_000_010.0 if state is CallState.CONNECTED else None
        made = call(serial, state=state, answered_at=answered_at, connected_at=answered_at)
        lead = Lead(id=made.lead, campaign=made.campaign, contact=ContactId(serial), phones=())
        calls.append((made, lead))
        raw = (
            tmp_path
            / datetime.fromtimestamp(made.created_at, UTC).strftime("%Y-%m-%d")
            / f"{made.attempt}.raw"
        )
        raw.parent.mkdir(exist_ok=True)
        if serial > 1:
            raw.write_bytes(bytes(32_000))
            os.utime(raw, (0, made.created_at + 60.0))
    one.floor.restore(campaigns=[(CAMPAIGN, CampaignState.RUNNING)], calls=calls)

    async def nothing(*_: Any) -> tuple[()]:
        return ()

    async def living(*_: Any) -> tuple[ev.LiveChannel, ...]:
        return (ev.LiveChannel(channel=ChannelId(call(3).attempt), is_up=True),)

    monkeypatch.setattr(house, "list_endpoints", nothing)
    monkeypatch.setattr(house, "list_live", living)
    one.ari = cast("Any", None)
    return one


async def test_who_answered_unheard_and_is_gone_is_told_before_what_lives(listing):
    await listing._on_connected()
    found, listed = await listing.inbox.get_batch(9)
    assert isinstance(found, ev.AnswerFound)
    assert (found.attempt, found.answered_at) == (call(2).attempt, call(2).created_at + 59.0)
    assert isinstance(listed, ev.PbxConnected)


async def test_the_sound_is_looked_for_before_the_question(listing, monkeypatch, tmp_path):
    """Whose sound begins after the question may have a channel that is younger than the answer."""
    living = vars(house)["list_live"]

    async def late(ari: Any) -> Any:
        channels = await living(ari)
        (raw,) = tmp_path.glob(f"*/{call(2).attempt}.raw")
        raw.rename(raw.with_name(f"{call(1).attempt}.raw"))
        return channels

    monkeypatch.setattr(house, "list_live", late)
    await listing._on_connected()
    found, _ = await listing.inbox.get_batch(9)
    assert found.attempt == call(2).attempt


async def test_on_an_open_socket_only_those_are_looked_for_who_were_missing_before(listing, monkeypatch):
    monkeypatch.setattr(house, "LIST_S", 0.0)
    monkeypatch.setattr(house, "LIST_AGAIN_S", 0.0)
    listing.ari = cast("Any", Open())
    listing.floor.handle(ev.PbxConnected(at=1_700_000_001.0, channels=everyone()))
    keeping = asyncio.create_task(listing._keep_looking())
    (first,) = await listing.inbox.get_batch(1)
    assert isinstance(first, ev.PbxListed)
    listing.floor.handle(first)
    told: list[Any] = []
    async with asyncio.timeout(5):
        while not any(isinstance(one, ev.AnswerFound) for one in told):
            told += await listing.inbox.get_batch(1)
        told += await listing.inbox.get_batch(1)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert [type(one) for one in told[-2:]] == [ev.AnswerFound, ev.PbxListed]
    assert told[-2].attempt == call(2).attempt


class Open:
    is_connected = True


def everyone() -> tuple[ev.LiveChannel, ...]:
    """All four calls are under way."""
    return tuple(
        ev.LiveChannel(channel=ChannelId(call(n).attempt), is_up=n == 4, is_ringing=n < 4, in_app=n == 4)
        for n in range(1, 5)
    )
