"""What an engine remembers of the one before it, by way of the real journal: the rotation of trunks, whose turn it is to have a caller,
and who talks on over a server that was lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from dialer.core import desk as rules
from dialer.core import events as ev
from dialer.core import routing
from dialer.core.commands import SaveAgent, SaveCall, SaveLeft, SaveTrunkState
from dialer.core.distribution import WINDOW_S, Turns
from dialer.core.ids import ONLY, AgentId, AttemptId, CampaignId, ChannelId, ServerId, TrunkId
from dialer.core.incoming import Inbound
from dialer.core.trunk import Rotation
from dialer.core.values import Agent, AgentState, Call, CallState, Campaign, Lead, Result
from dialer.store import recall, settings
from dialer.store.journal import Journal
from dialer.store.trunks import present_states, states
from tests.unit.core.world import World, campaign, lead, parked, trunk

MakeCall = Callable[..., Call]
FAILS = (34, 503)
NORTH, SOUTH = ServerId("north"), ServerId("south")


class Centre:
    """A floor whose every word on its trunks is in a real journal, and that may be killed."""

    stands: tuple[str, str, int]
    """How the trunk stood when the present engine had started: on the floor, in the journal, and its lines."""

    def __init__(self, journal: Journal, db: sqlite3.Connection, servers: Sequence[ServerId] = ()) -> None:
        self.journal, self.db = journal, db
        self.servers = tuple(ev.Server(id=one) for one in servers)
        self.trunks = (trunk("t"), trunk("u", priority=200))
        for one in self.trunks:
            settings.apply_trunk(db, one, 1.0)
        spring = campaign(trunk="t", trunks=("u",))
        leads = [lead(n) for n in range(1, 90)]
        self.world = World(parked("g1"), trunks=self.trunks, campaigns=spring, leads=leads)
        self._kept = 0

    async def keeps(self) -> None:
        """What was decided since the last time is written down."""
        new = self.world.commands[self._kept :]
        self._kept = len(self.world.commands)
        await self.journal.save([], [one for one in new if isinstance(one, SaveTrunkState)])

    async def restarts(self, after_s: float = 0.0) -> None:
        """The engine is killed, and the next one begins so much later."""
        await self.keeps()
        old = self.world
        state = old.floor._state
        new = World(is_started=False, trunks=old.trunks, campaigns=old.campaigns)
        new.store, new._ids, new.at = old.store, old._ids + 1000, old.at + after_s
        new.cards = old.cards
        new.floor = type(old.floor)()
        loaded = (await self.journal.load(new.at)).started(at=new.at, version="2")
        started = replace(
            loaded,
            campaigns=tuple((one, state.desks[one.id].state) for one in old.campaigns),
            trunks=self.trunks,
            cards=tuple(old.cards),
            agents=tuple(state.agents.values()),
            calls=tuple((call, state.leads[call.attempt]) for call in state.calls.values()),
            servers=self.servers,
            knowledge=(),
            ledgers=(),
        )
        new.floor.take_up(started)
        new.tell(started)
        living = [
            ev.LiveChannel(channel=ChannelId(call.attempt), is_up=False)
            for call in state.calls.values()
            if after_s < 60.0  # else it has ended long ago
        ]
        agent = old.agent("g1")
        if agent.channel is not None:
            living.append(ev.LiveChannel(channel=agent.channel, is_up=True, in_app=True, bridge=agent.bridge))
        self.world, self._kept = new, 0
        await self.keeps()
        new.tell(ev.PbxConnected, channels=tuple(living))
        await self.keeps()
        self.stands = self.state, self.shown, self.lines()
        new.tick(0.01)  # an engine that starts has saved nothing of the trunks' rates
        await self.keeps()

    @property
    def state(self) -> str:
        return self.world.floor.trunks[TrunkId("t")].state()

    @property
    def shown(self) -> str:
        """What ``dialer trunk list`` goes by."""
        return present_states(self.db)["t"][""].state

    def lines(self) -> int:
        return self.world.floor.trunks[TrunkId("t")].lines(self.world.at)

    def rests_s(self) -> float:
        until = self.world.floor.trunks[TrunkId("t")].rotation.rest_until
        assert until is not None
        return until - self.world.at

    def next_by(self) -> str:
        """The present call goes its way to the end; the trunk of the one that follows."""
        self.world.hangs_up(self.world.only(), 17, 486)
        return self.world.call(self.world.only()).trunk

    async def rests(self) -> None:
        """Five calls in a row are not carried."""
        while self.state == "up":
            call = self.world.call(self.world.only())
            self.world.hangs_up(call.attempt, *(FAILS if call.trunk == "t" else (17, 486)))
        await self.keeps()
        assert self.state == self.shown == "resting"


@pytest.fixture
def centre(journal: Journal, db: sqlite3.Connection) -> Centre:
    return Centre(journal, db)


async def test_a_trunk_that_rests_goes_on_resting_until_its_rest_would_have_ended(centre: Centre) -> None:
    await centre.rests()
    centre.world.later(5.0)
    await centre.restarts(2.0)
    assert centre.state == centre.shown == "resting"
    assert centre.rests_s() == pytest.approx(7.99)
    assert states(centre.db, "t")[0].why == "the engine started; it rests 8 s more"
    assert centre.next_by() == "u"
    centre.world.later(7.9)
    assert centre.next_by() == "u"
    centre.world.later(0.2)
    assert centre.next_by() == "t"
    await centre.keeps()
    assert centre.state == centre.shown == "probing"


async def test_a_rest_that_ended_meanwhile_ends_in_a_probe_and_not_at_full_rate(centre: Centre) -> None:
    await centre.rests()
    await centre.restarts(3600.0)
    assert centre.stands == ("resting", "resting", 1)
    assert states(centre.db, "t")[1].why == "the engine started; its rest is over, the next call probes"
    assert centre.world.call(centre.world.only()).trunk == "t"
    assert (centre.state, centre.shown, centre.lines()) == ("probing", "probing", 0)


async def test_the_next_rest_after_a_restart_is_longer(centre: Centre) -> None:
    await centre.rests()
    for expected in (30.0, 60.0, 120.0, 240.0, 300.0, 300.0):
        await centre.restarts(400.0)
        centre.world.hangs_up(centre.world.only(), *FAILS)
        assert centre.rests_s() == expected


async def test_a_probing_call_that_lives_on_is_the_probe_of_the_next_engine(centre: Centre) -> None:
    await centre.rests()
    centre.world.later(15.0)
    assert centre.next_by() == "t"
    probe = centre.world.only()
    await centre.restarts(1.0)
    assert centre.stands == ("probing", "probing", 0)
    centre.world.rings(probe)
    await centre.keeps()
    assert centre.state == centre.shown == "up"


async def test_a_probing_call_that_is_gone_leaves_the_probe_to_the_next(centre: Centre) -> None:
    await centre.rests()
    centre.world.later(15.0)
    assert centre.next_by() == "t"
    old = centre.world.floor._state
    call = old.calls.pop(centre.world.only())  # it ended while nobody looked, and stands so in the journal
    old.leads.pop(call.attempt)
    await centre.restarts(1.0)
    assert centre.stands == ("resting", "resting", 1)


async def test_a_trunk_that_is_back_rests_longer_the_next_time_until_ten_calls_went_well(
    centre: Centre,
) -> None:
    await centre.rests()
    centre.world.later(15.0)
    assert centre.next_by() == "t"
    centre.world.hangs_up(centre.world.only(), 17, 486)  # carried: the person's side is busy
    await centre.restarts(1.0)
    assert centre.state == centre.shown == "up"
    await centre.rests()
    assert centre.rests_s() == 30.0
    centre.world.later(30.0)
    assert centre.next_by() == "t"
    for _ in range(11):
        centre.next_by()
    await centre.restarts(1.0)
    await centre.rests()
    assert centre.rests_s() == rules.REST_S


async def test_a_probe_that_tells_nothing_is_not_shown_as_probing(centre: Centre) -> None:
    await centre.rests()
    centre.world.later(15.0)
    centre.next_by()
    probe = centre.world.only()
    centre.world.fires(probe)
    centre.world.hangs_up(probe, 0, 487)  # we gave it up
    await centre.keeps()
    assert centre.state == centre.shown == "resting"
    assert centre.next_by() == "t"
    await centre.keeps()
    assert centre.state == centre.shown == "probing", "the next one probes"


@pytest.mark.parametrize("event", [{"is_up": False}, {"order": "disable"}])
async def test_a_rest_is_not_forgotten_behind_another_state(centre: Centre, event: dict[str, object]) -> None:
    await centre.rests()
    kind = ev.TrunkChanged if "is_up" in event else ev.TrunkOrdered
    centre.world.tell(kind, trunk=TrunkId("t"), **event)
    await centre.restarts(1.0)
    assert centre.state == centre.shown == "resting", "whether it is down Asterisk says anew"
    assert centre.rests_s() == pytest.approx(13.99)


async def test_a_rest_that_begins_while_the_trunk_is_down_is_kept(centre: Centre) -> None:
    """The calls that were on it end one after the other."""
    centre.world.tell(ev.TrunkChanged, trunk=TrunkId("t"), is_up=False)
    await centre.keeps()
    desk = centre.world.floor.trunks[TrunkId("t")]
    for n in range(rules.FAILURES_MAX):
        call = replace(centre.world.call(centre.world.only()), trunk=TrunkId("t"), attempt=AttemptId(f"a{n}"))
        centre.world.floor._state.out = out = []  # type: ignore[var-annotated]
        routing.judge(centre.world.floor._state, call.trunk, call.attempt, centre.world.at, is_carried=False)
    assert desk.state() == "down"
    assert out, "written down though the state is the same"
    await centre.journal.save([], out)
    await centre.restarts()
    assert centre.state == "resting"


async def test_a_clock_that_was_set_back_makes_no_rest_longer_than_the_longest(centre: Centre) -> None:
    await centre.rests()
    await centre.restarts(-86_400.0)
    assert centre.rests_s() == pytest.approx(rules.REST_S_MAX - 0.01)


async def test_what_a_server_said_of_a_trunk_is_not_believed_by_the_next_engine(
    journal: Journal, db: sqlite3.Connection
) -> None:
    """Else a trunk would be shown as down that answers by now: nothing is told of what did not change."""
    centre = Centre(journal, db, (NORTH, SOUTH))
    world = centre.world
    world.tell(ev.ServersApplied, servers=centre.servers)
    world.tell(ev.TrunkChanged, trunk=TrunkId("t"), is_up=False, server=NORTH)
    await centre.keeps()
    assert present_states(db)["t"]["north"].state == "down"
    await centre.restarts()
    assert {server: note.state for server, note in present_states(db)["t"].items()} == {
        "": "up",
        "north": "up",
    }
    assert present_states(db)["t"]["north"].why == "the engine started"


async def test_with_several_servers_a_rest_is_told_once_and_for_all(
    journal: Journal, db: sqlite3.Connection
) -> None:
    centre = Centre(journal, db)
    await centre.rests()
    for is_up in (False, True):
        centre.world.tell(ev.TrunkChanged, trunk=TrunkId("t"), is_up=is_up, server=NORTH)
    await centre.keeps()
    assert {server: note.state for server, note in present_states(db)["t"].items()} == {
        "": "resting",
        "north": "up",
    }


async def test_the_youngest_word_on_a_trunk_has_its_rotation_whichever_server_it_is_of(
    centre: Centre,
) -> None:
    for is_up in (False, True):
        centre.world.tell(ev.TrunkChanged, trunk=TrunkId("t"), is_up=is_up, server=NORTH)
    await centre.rests()
    await centre.restarts(1.0)
    assert centre.state == "resting"
    centre.world.tell(ev.TrunkChanged, trunk=TrunkId("t"), is_up=False, server=SOUTH)
    await centre.restarts(1.0)
    assert centre.state == "resting"


async def test_a_trunk_that_was_removed_and_comes_back_is_not_shown_as_removed(centre: Centre) -> None:
    centre.world.tell(ev.TrunkOrdered, trunk=TrunkId("t"), order="remove")
    await centre.restarts()
    del centre.world.floor.trunks[TrunkId("t")]  # the next engine knows nothing of it
    centre.world.tell(ev.TrunkApplied, trunk=centre.trunks[0])
    await centre.keeps()
    assert centre.state == centre.shown == "up"
    assert states(centre.db, "t")[0].why == "it was applied"


async def test_a_journal_without_a_word_of_a_trunk_says_nothing(
    journal: Journal, db: sqlite3.Connection
) -> None:
    loaded = await journal.load()
    assert (loaded.trunks_noted, loaded.left, loaded.talks, loaded.turns) == ((), (), (), ())
    assert Rotation() == Rotation(rests=0, rest_until=None, probe=None)


# -- whose turn it is ---------------------------------------------------------------------------


@pytest.fixture
def called(db: sqlite3.Connection, campaign: Campaign) -> Campaign:
    settings.add_agent(db, replace(parked("cid"), phone="103"))
    called = replace(
        campaign, inbound=Inbound(numbers=("+74950000001",), distribution="round_robin", last_operator=False)
    )
    settings.apply_campaign(db, called, 2.0)
    return called


async def lead_of(journal: Journal, campaign: Campaign) -> Lead:
    return (await journal.fetch_leads(campaign, 1, 10.0))[0][0]


def talk(agent: str, at: float) -> list[SaveAgent]:
    """A conversation of *agent* begins, and is over."""
    return [
        SaveAgent(agent=Agent(id=AgentId(agent), state=state, since=since), at=since)
        for state, since in (
            (AgentState.RESERVED, at - 1),
            (AgentState.ON_CALL, at),
            (AgentState.READY, at + 9),
        )
    ]


async def test_conversations_of_the_window_count_for_fewest_calls_after_a_restart(
    journal: Journal, called: Campaign
) -> None:
    now = 100_000.0
    rules = replace(called.inbound, distribution="fewest_calls")
    for save in (
        *talk("ann", now - WINDOW_S - 100),  # of an hour that is over
        *talk("ann", now - WINDOW_S - 50),
        *talk("ann", now - 1000),
        *talk("bob", now - 3000),
        *talk("bob", now - 500),
    ):
        await journal.save([], [save])
    loaded = await journal.load(now)
    assert loaded.talks == (("ann", (now - 1000,)), ("bob", (now - 3000, now - 500)))
    started = loaded.started(at=now, version="2")
    idle = [(1.0, AgentId("bob")), (2.0, AgentId("ann"))]
    turns = Turns()
    turns.take_up(started.talks, started.turns)
    assert turns.choose(rules, called.id, idle, now) == "ann"
    assert Turns().choose(rules, called.id, idle, now) == "bob", "who knows nothing takes the longest idle"
    assert turns.choose(rules, called.id, idle, now + 601) == "bob", "one each: the window has gone on"


async def test_the_floor_counts_on_from_there(journal: Journal, called: Campaign) -> None:
    for save in talk("ann", 99_000.0):
        await journal.save([], [save])
    world = World(is_started=False)
    world.floor.take_up((await journal.load(100_000.0)).started(at=100_000.0, version="2"))
    idle = [(1.0, AgentId("ann")), (2.0, AgentId("bob"))]
    rules = replace(called.inbound, distribution="fewest_calls")
    assert world.floor._state.turns.choose(rules, called.id, idle, 100_000.0) == "bob"


async def test_whose_turn_was_last_is_known_after_a_restart(
    journal: Journal, called: Campaign, call_for: MakeCall
) -> None:
    lead = await lead_of(journal, called)

    def of(serial: int, agent: str | None, at: float, **changes: object) -> SaveCall:
        over = {"state": CallState.ENDED, "result": Result.TALKED, "ended_at": at + 5, "direction": "in"}
        fields = over | {"agent": agent, "created_at": at, "ordinal": 0} | changes
        return SaveCall(call=call_for(lead, serial, **fields))

    for save in (
        of(1, "bob", 100.0),
        of(2, "ann", 200.0),
        of(3, None, 300.0, result=Result.MISSED),
        of(4, "bob", 400.0, direction="out", ordinal=1),
    ):
        await journal.save([], [save])
    started = (await journal.load(500.0)).started(at=500.0, version="2")
    assert started.turns == ((called.id, "ann"),)
    turns = Turns()
    turns.take_up(started.talks, started.turns)
    idle = [(float(n), AgentId(name)) for n, name in enumerate(("ann", "bob", "cid"))]
    assert turns.choose(called.inbound, called.id, idle, 500.0) == "bob"


async def test_who_is_promised_at_the_moment_of_the_restart_has_had_their_turn(
    journal: Journal, called: Campaign, call_for: MakeCall
) -> None:
    lead = await lead_of(journal, called)
    live = call_for(lead, 1, state=CallState.CONNECTING, agent="bob", direction="in", ordinal=0)
    await journal.save([], [SaveCall(call=live)])
    assert (await journal.load(500.0)).turns == ((called.id, "bob"),)


async def test_a_campaign_without_callers_asks_nothing(journal: Journal, db: sqlite3.Connection) -> None:
    for save in talk("ann", 99_000.0):
        await journal.save([], [save])
    assert (await journal.load(100_000.0)).talks == ()


async def test_who_was_idle_longest_is_so_after_a_restart(journal: Journal, called: Campaign) -> None:
    """Since when an operator is ready stands with the operator."""
    for agent, since in (("ann", 300.0), ("cid", 200.0)):
        line = ChannelId(f"line-of-{agent}")
        ready = Agent(id=AgentId(agent), state=AgentState.READY, since=since, channel=line, has_line=True)
        await journal.save([], [SaveAgent(agent=ready, at=since)])
    world = World(is_started=False)
    world.floor.take_up((await journal.load(500.0)).started(at=500.0, version="2"))
    assert sorted(world.floor._state.idle.all_of(called.id)) == [(200.0, "cid"), (300.0, "ann")]


# -- who talks on -------------------------------------------------------------------------------


async def test_channels_that_were_left_are_kept_by_server_and_replaced(journal: Journal) -> None:
    def left(server: ServerId, *channels: str) -> SaveLeft:
        return SaveLeft(server=server, channels=tuple(map(ChannelId, channels)))

    await journal.save([], [left(NORTH, "c", "a"), left(SOUTH, "b")])
    assert (await journal.load()).left == ((NORTH, ("a", "c")), (SOUTH, ("b",)))
    await journal.save([], [left(NORTH, "c")])
    await journal.save([], [left(SOUTH)])
    started = (await journal.load()).started(at=9.0, version="2")
    assert started.left == ((NORTH, ("c",)),)


# -- what it costs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        (recall.SERVERS_SQL, {"trunk": "t"}),
        (recall.PRESENT_SQL, ("t", ONLY)),
        (recall.TALKS_SQL, ("ann", 1.0)),
        (recall.TURN_SQL, (CampaignId("spring"),)),
    ],
)
def test_nothing_is_searched_that_grows_with_history(
    db: sqlite3.Connection, sql: str, parameters: Any
) -> None:
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    assert any("USING" in step and "INDEX" in step for step in plan)
    tables = ("trunk_states", "agent_states", "attempts")
    assert not [step for step in plan if step.startswith("SCAN") and any(one in step for one in tables)]
    assert not [step for step in plan if "TEMP B-TREE" in step]
