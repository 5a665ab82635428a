"""One line to each Asterisk: what it lists, what it tells, and when it counts as dead."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from dialer.core import events as ev
from dialer.core.commands import HangUp, Originate, SendToLastWord
from dialer.core.floor import Floor
from dialer.core.ids import ONLY, ChannelId, ContactId, ServerId, TrunkId
from dialer.core.values import Call, CallState, CampaignState, Lead, Trunk
from dialer.engine import serverline as servers
from dialer.engine.configuring import Source
from dialer.engine.identity import Clock
from dialer.engine.process import EmbeddedError
from dialer.engine.recordings import Recordings
from dialer.engine.serverline import Ears, ServerLine
from dialer.engine.servers import Asterisks, clients_for, forsaken
from dialer.office.setup import make_home
from dialer.pbx import whereabouts
from dialer.pbx.frames import Channel, ChannelDestroyed, StasisStart
from dialer.pbx.inbox import Inbox
from dialer.pbx.render import TrunkLine
from dialer.store.files import Secrets, load_system
from tests.unit.engine.parts import CAMPAIGN, call


class Server:
    """A server that does not start so many times, and then runs."""

    def __init__(self, failures: int = 0) -> None:
        self.pid: int | None = None
        self.starts = 0
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


async def test_a_server_that_does_not_come_up_is_tried_again_and_again(monkeypatch):
    monkeypatch.setattr(servers, "RESTART_S", 0.0)
    server = Server(failures=20)
    keeping = asyncio.create_task(servers.keep_up(cast("Any", server)))
    async with asyncio.timeout(5):
        while server.pid is None:
            await asyncio.sleep(0)
    assert server.starts == 21
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


class LastWord:
    async def tell_choices(self) -> None:
        pass


@pytest.fixture
def listing(tmp_path: Path, monkeypatch):
    """A line with four calls in flight; Asterisk lists only the third. The sound of all but the first is there."""
    one = Ears(
        inbox=Inbox(),
        clock=Clock(),
        floor=Floor(),
        recordings=cast("Any", None),
        last_word=cast("Any", LastWord()),
    )
    one.recordings = Recordings(folder=tmp_path, inbox=one.inbox, clock=one.clock)
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

    monkeypatch.setattr(servers, "list_endpoints", nothing)
    monkeypatch.setattr(servers, "list_live", living)
    return ServerLine(ONLY, cast("Any", None), one)


async def test_who_answered_unheard_and_is_gone_is_told_before_what_lives(listing):
    await listing.on_connected()
    found, listed = await listing._ears.inbox.get_batch(9)
    assert isinstance(found, ev.AnswerFound)
    assert (found.attempt, found.answered_at) == (call(2).attempt, call(2).created_at + 59.0)
    assert isinstance(listed, ev.PbxConnected)


async def test_the_sound_is_looked_for_before_the_question(listing, monkeypatch, tmp_path):
    """Whose sound begins after the question may have a channel that is younger than the answer."""
    living = vars(servers)["list_live"]

    async def late(ari: Any) -> Any:
        channels = await living(ari)
        (raw,) = tmp_path.glob(f"*/{call(2).attempt}.raw")
        raw.rename(raw.with_name(f"{call(1).attempt}.raw"))
        return channels

    monkeypatch.setattr(servers, "list_live", late)
    await listing.on_connected()
    found, _ = await listing._ears.inbox.get_batch(9)
    assert found.attempt == call(2).attempt


async def test_on_an_open_socket_only_those_are_looked_for_who_were_missing_before(listing, monkeypatch):
    monkeypatch.setattr(servers, "LIST_S", 0.0)
    monkeypatch.setattr(servers, "LIST_AGAIN_S", 0.0)
    listing.ari = cast("Any", Open())
    listing._ears.floor.handle(ev.PbxConnected(at=1_700_000_001.0, channels=everyone()))
    keeping = asyncio.create_task(listing.keep_looking())
    (first,) = await listing._ears.inbox.get_batch(1)
    assert isinstance(first, ev.PbxListed)
    listing._ears.floor.handle(first)
    told: list[Any] = []
    async with asyncio.timeout(5):
        while not any(isinstance(one, ev.AnswerFound) for one in told):
            told += await listing._ears.inbox.get_batch(1)
        told += await listing._ears.inbox.get_batch(1)
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


# -- several ---------------------------------------------------------------------------------------


class Ari:
    """A client that says how it is."""

    def __init__(self) -> None:
        self.is_connected = False
        self.refusing_since: float | None = None
        self.away_since: float | None = None


@pytest.fixture
def north(tmp_path: Path) -> ServerLine:
    ears = Ears(
        inbox=Inbox(),
        clock=Clock(),
        floor=Floor(),
        recordings=Recordings(folder=tmp_path, inbox=cast("Any", None), clock=Clock()),
        last_word=cast("Any", LastWord()),
    )
    return ServerLine(ServerId("north"), cast("Any", Ari()), ears, lost_after_s=10.0)


@pytest.mark.parametrize(
    ("refusing_s", "away_s", "is_connected", "is_lost"),
    [
        (None, 9.0, False, False),
        (9.0, 9.0, False, False),
        (11.0, 11.0, False, True),
        (None, 11.0, False, False),
        (None, 39.0, False, False),
        (None, 41.0, False, True),
        (99.0, 99.0, True, False),
    ],
)
async def test_when_a_server_is_dead(north, refusing_s, away_s, is_connected, is_lost):
    now = asyncio.get_running_loop().time()
    north.ari.is_connected = is_connected
    north.ari.refusing_since = now - refusing_s if refusing_s is not None else None
    north.ari.away_since = now - away_s
    assert bool(north.why_lost()) is is_lost


async def test_a_server_whose_process_is_gone_is_dead_at_once(north):
    north.asterisk = Server()
    assert north.why_lost()
    north.asterisk.pid = 1
    assert not north.why_lost()


async def test_that_a_server_is_dead_is_told_once_until_it_is_back(north, monkeypatch):
    monkeypatch.setattr(servers, "LOOK_S", 0.0)
    monkeypatch.setattr(servers, "list_endpoints", nothing)
    monkeypatch.setattr(servers, "list_live", nothing)
    north.ari.refusing_since = north.ari.away_since = asyncio.get_running_loop().time() - 99.0
    keeping = asyncio.create_task(north.keep_watch())
    try:
        async with asyncio.timeout(5):
            (told,) = await north._ears.inbox.get_batch(9)
            assert (type(told), told.server) == (ev.PbxLost, "north")
            for _ in range(50):
                await asyncio.sleep(0)
            assert north._ears.inbox.depth == 0
            await north.on_connected()
            (back,) = await north._ears.inbox.get_batch(9)
            assert (type(back), back.server, north.is_lost) == (ev.PbxConnected, "north", False)
            (again,) = await north._ears.inbox.get_batch(9)
            assert type(again) is ev.PbxLost
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def nothing(*_: Any) -> tuple[()]:
    return ()


async def test_what_is_heard_bears_the_servers_name_and_says_where_the_channel_is(north):
    line = Channel(id="server-north-1")
    north.on_frame(StasisStart(channel=line, args=("feature", "101", "40")))
    north.on_frame(ChannelDestroyed(channel=line, cause=16))
    dialed, ended = await north._ears.inbox.get_batch(9)
    assert (dialed.server, type(ended)) == ("north", ev.LineEnded)
    assert north._ears.whereabouts.of("server-north-1") == "north"


def test_orders_go_where_the_channel_is(north):
    south = ServerLine(ServerId("south"), cast("Any", Ari()), north._ears)
    where = north._ears.whereabouts
    attempt = call(1).attempt

    def asked(command: Any, channel: str) -> list[Any]:
        return clients_for([north, south], where, command, channel)

    place = Originate(
        attempt=attempt,
        campaign=CAMPAIGN.id,
        trunk=call(1).trunk,
        number="+79990000001",
        caller_id="",
        ring_s=1,
        record=False,
        server=south.server,
    )
    assert asked(place, attempt) == [south.ari]
    assert asked(SendToLastWord(attempt=attempt), attempt) == [south.ari], "it went there"
    where.learn("line", north.server)
    assert asked(HangUp(channel=ChannelId("line")), "line") == [north.ari]
    north.ari.is_connected = south.ari.is_connected = True
    assert asked(HangUp(channel=ChannelId("?")), "?") == [north.ari, south.ari], "nobody knows"
    where.learn("lost", ServerId("west"))
    assert asked(HangUp(channel=ChannelId("lost")), "lost") == [], "a server that is none of ours"


def test_with_one_server_everything_goes_to_it(north):
    only = ServerLine(ONLY, cast("Any", Ari()), north._ears)
    command = HangUp(channel=ChannelId("?"))
    assert clients_for([only], north._ears.whereabouts, command, "?") == [only.ari]


def test_whereabouts_remember_what_is_gone_for_a_while(monkeypatch):
    monkeypatch.setattr(whereabouts, "GONE_KEPT", 2)
    found = whereabouts.Whereabouts()
    for number in range(4):
        found.learn(str(number), ServerId("a"))
        found.heard(ServerId("a"), ChannelDestroyed(channel=Channel(id=str(number)), cause=16))
    assert [found.of(str(number)) for number in range(4)] == [None, None, "a", "a"]
    found.learn("lives", ServerId("a"))
    found.listed(ServerId("a"), ["3"], found.known_on(ServerId("a")))
    found.listed(ServerId("b"), [], found.known_on(ServerId("a")))
    assert found.of("lives") == "a"
    assert len(found) == 3, "two that are gone, and 3 lives after all"
    found.learn("lives", ServerId("a"))
    for number in range(9):
        found.heard(ServerId("a"), ChannelDestroyed(channel=Channel(id=f"x{number}"), cause=16))
    assert (found.of("lives"), found.of("3"), found.of("x8")) == ("a", "a", "a")
    assert found.of("x2") is None


async def test_trunks_and_phones_go_to_all_and_one_that_hangs_keeps_none_from_them(tmp_path):
    class Taking:
        def __init__(self, failure: Exception | None = None) -> None:
            self.failure = failure
            self.lines: Any = None

        async def apply_lines(self, trunks: Any, phones: Any) -> None:
            self.lines = [line.trunk.id for line in trunks]
            if self.failure is not None:
                raise self.failure

    make_home(tmp_path)
    (tmp_path / "obzvon.toml").write_text("[asterisk.servers.north]\n[asterisk.servers.south]\nweight = 3\n")
    system = load_system(tmp_path)
    all_of_them = Asterisks(system, outlive=False)
    hangs, works = Taking(EmbeddedError("no answer")), Taking()
    all_of_them.embedded = cast("Any", {ServerId("north"): hangs, ServerId("south"): works})
    trunks = [
        TrunkLine(trunk=Trunk(id=TrunkId("a"), host="x")),
        TrunkLine(trunk=Trunk(id=TrunkId("b"), host="x", servers=(ServerId("south"),))),
    ]
    source = Source(system=system, secrets=Secrets(), trunks=trunks)
    await all_of_them.apply(source)
    assert (hangs.lines, works.lines) == (["a"], ["a", "b"])
    works.failure = EmbeddedError("neither")
    with pytest.raises(EmbeddedError):
        await all_of_them.apply(source)
    all_of_them.lines = cast("Any", {ServerId("north"): 1, ServerId("south"): 2})
    (applied,) = all_of_them.applied(system, 1.0)
    assert isinstance(applied, ev.ServersApplied)
    assert [(one.id, one.weight) for one in applied.servers] == [("north", 1), ("south", 3)]
    all_of_them.lines = cast("Any", {ServerId("north"): 1})
    assert all_of_them.applied(system, 1.0) == []


def test_whose_server_is_named_no_more_is_forsaken():
    floor = Floor()
    lead = Lead(id=call(1).lead, campaign=CAMPAIGN.id, contact=ContactId(1), phones=())
    floor.restore(
        campaigns=[(CAMPAIGN, CampaignState.RUNNING)],
        calls=[(call(1), lead)],
        servers=(ev.Server(id=ServerId("north")),),
    )
    assert forsaken(floor) == [ONLY]


async def test_who_waits_when_we_go_is_given_back_to_the_dialplan(tmp_path):
    """Whom we called gets the last word; who called us, the campaign's overflow."""
    asked: list[tuple[str, Any]] = []

    class Ari:
        async def request(self, method: str, path: str, *, json: Any = None, repeatable: bool = True) -> None:
            if path.endswith("/continue"):
                asked.append((path, json["context"] + "," + json["extension"]))

    make_home(tmp_path)
    asterisks = Asterisks(load_system(tmp_path), outlive=False)
    asterisks.lines = cast("Any", {ONLY: type("Line", (), {"ari": Ari()})()})
    floor = Floor()
    waiting: dict[int, dict[str, Any]] = {
        1: {"state": CallState.ANSWERED},
        2: {"state": CallState.ANSWERED, "direction": "in", "held_at": 1_700_000_001.0},
        3: {"state": CallState.RINGING},
    }
    calls = [call(serial, **changes) for serial, changes in waiting.items()]
    leads = [Lead(id=one.lead, campaign=one.campaign, contact=ContactId(1), phones=()) for one in calls]
    floor.restore(campaigns=[(CAMPAIGN, CampaignState.RUNNING)], calls=list(zip(calls, leads, strict=True)))
    await asterisks.last_words(floor, 1.0)
    assert dict(asked) == {
        f"/channels/{call(1).attempt}/continue": "obzvon-last-word,s",
        f"/channels/{call(2).attempt}/continue": f"obzvon-overflow,{CAMPAIGN.inbound.overflow}",
    }
