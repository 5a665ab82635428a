"""Decide, save, act: with the real journal, and nothing else that is real."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core import events as ev
from dialer.core.commands import (
    FetchLeads,
    ForgetChoice,
    HangUp,
    JoinAgent,
    Originate,
    RingAgent,
    SaveAgent,
    SaveCall,
    SaveLead,
    SetTimer,
)
from dialer.core.ids import AgentId, ChannelId, ContactId, LeadId, line_bridge
from dialer.core.values import Agent, AgentState, CallState, Lead, Result
from dialer.engine import loop
from dialer.engine.house import House
from dialer.engine.loop import Engine, NotSaved
from dialer.office.setup import make_home
from dialer.store import dnc
from dialer.store.connect import BUSY_S
from dialer.store.errors import JournalError
from dialer.store.journal import Journal
from tests.unit.engine.parts import (
    CAMPAIGN,
    Acts,
    Box,
    ScriptedFloor,
    Shelf,
    attempt,
    call,
    clock,
    dialing,
    ended,
    until,
)

UNKNOWN_LEAD = SaveLead(lead=LeadId(999), ordinal=1, due=None, finished="talked")


class Rig:
    """An engine whose floor follows a script, and whose dispatcher and recordings only take notes."""

    def __init__(self, journal: Any, reader: Any, inbox: Box | None = None) -> None:
        self.reader = reader
        self.journal = journal
        self.floor = ScriptedFloor()
        self.inbox = inbox or Box()
        self.acts = Acts(reader)
        self.shelf = Shelf()
        self.engine = Engine(
            floor=self.floor,  # type: ignore[arg-type]
            inbox=self.inbox,
            journal=journal,
            dispatcher=self.acts,  # type: ignore[arg-type]
            recordings=self.shelf,  # type: ignore[arg-type]
            clock=clock(),
        )

    def tick(self, at: float, *commands: Any) -> ev.Event:
        return self.floor.on(ev.Ticked(at=at), *commands)

    async def decide(self, *batch: ev.Event) -> None:
        await self.engine.decide(batch)

    def rows(self, sql: str) -> list[Any]:
        return [tuple(row) for row in self.reader.execute(sql)]

    def events(self) -> list[str]:
        sql = "SELECT name FROM events WHERE kind = 'event' ORDER BY id"
        return [name for (name,) in self.rows(sql)]

    def left_out(self) -> list[tuple[str | None, list[str]]]:
        """What was noted as left out: of which call alone, and the commands."""
        bodies = [
            json.loads(body) for (body,) in self.rows("SELECT body FROM events WHERE kind = 'left_out'")
        ]
        return [(one["attempt"], [command["type"] for command in one["commands"]]) for one in bodies]

    def states(self) -> dict[str, str]:
        return dict(self.rows("SELECT attempt, state FROM attempts"))

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.engine.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def rig(journal, reader) -> Rig:
    return Rig(journal, reader)


async def test_nothing_is_done_before_it_is_in_the_file(rig):
    await rig.decide(rig.tick(1.0, *dialing(1)), rig.tick(2.0, *dialing(2)))
    assert [one.attempt for one in rig.acts.of(Originate)] == [attempt(1), attempt(2)]
    assert rig.acts.attempts_then == [2, 2]


async def test_a_batch_is_one_transaction(rig):
    before = rig.journal.transactions
    await rig.decide(*(rig.tick(float(serial), *dialing(serial)) for serial in range(1, 6)))
    assert rig.journal.transactions == before + 1
    assert len(rig.states()) == 5


async def test_a_tick_that_changes_nothing_is_not_written(rig):
    before = rig.journal.transactions
    await rig.decide(ev.Ticked(at=1.0), ev.Ticked(at=2.0))
    assert rig.journal.transactions == before
    assert rig.engine.events == 2
    await rig.decide(ev.Ticked(at=3.0), ev.PbxDisconnected(at=3.0))
    assert rig.events() == ["PbxDisconnected"]


async def test_on_a_full_disk_nothing_is_dialed_but_people_are_served(rig):
    await rig.journal.pretend_full()
    hang_up = HangUp(channel=ChannelId("c"))
    timer = SetTimer(kind="attempt", subject=attempt(1), due=9.0)
    await rig.decide(rig.tick(1.0, *dialing(1), timer, hang_up))
    assert rig.acts.of(Originate) == []
    assert [type(one) for one in rig.acts.commands if not isinstance(one, SaveCall)] == [SetTimer, HangUp]
    (refusal,) = rig.inbox.of(ev.OriginateRefused)
    assert (refusal.attempt, refusal.was_sent) == (attempt(1), False)
    assert len(rig.inbox.of(ev.JournalFailed)) == 1
    assert not rig.engine.journal_ok
    assert rig.states() == {}


async def test_the_failure_is_told_once_and_the_recovery_once(rig):
    await rig.journal.pretend_full()
    for at in (1.0, 2.0, 3.0):
        await rig.decide(ev.PhoneChanged(at=at, phone="101", is_registered=True))
    await rig.journal.pretend_full(False)
    for at in (4.0, 5.0):
        await rig.decide(ev.PhoneChanged(at=at, phone="101", is_registered=True))
    assert len(rig.inbox.of(ev.JournalFailed)) == len(rig.inbox.of(ev.JournalRecovered)) == 1
    assert rig.engine.journal_ok


async def test_what_could_not_be_written_is_written_in_its_order(rig):
    await rig.journal.pretend_full()
    await rig.decide(rig.tick(1.0, SaveCall(call=call(1))))
    await rig.decide(
        rig.floor.on(
            ev.ContactRang(at=2.0, attempt=attempt(1)), SaveCall(call=call(1, state=CallState.RINGING))
        )
    )
    await rig.decide(
        rig.floor.on(ev.ContactHungUp(at=3.0, attempt=attempt(1), cause=17), SaveCall(call=ended(1)))
    )
    assert rig.events() == []
    await rig.journal.pretend_full(False)
    await rig.decide(ev.Ticked(at=4.0))  # even a tick that changes nothing brings it forward
    assert rig.events() == ["Ticked", "ContactRang", "ContactHungUp"]
    assert rig.states() == {attempt(1): "ended"}


async def test_leads_are_not_fetched_until_the_store_knows_what_became_of_them(rig):
    fetch = FetchLeads(campaign=CAMPAIGN.id, limit=8, ask=3)
    await rig.journal.pretend_full()
    await rig.decide(rig.tick(1.0, SaveCall(call=call(1)), fetch))
    await rig.decide(ev.Ticked(at=2.0))
    assert rig.acts.of(FetchLeads) == []
    await rig.journal.pretend_full(False)
    await rig.decide(ev.Ticked(at=3.0))
    assert rig.acts.of(FetchLeads) == [fetch]
    assert rig.acts.attempts_then[-1] == 1


async def test_a_recording_is_kept_only_when_the_journal_has_it(rig):
    await rig.decide(rig.tick(1.0, SaveCall(call=call(1))))
    stored = ev.RecordingStored(
        at=2.0,
        attempt=attempt(1),
        path="d/a.wav",
        started_at=1.0,
        length_s=1.0,
        size_bytes=9,
        sha256="0",
    )
    await rig.journal.pretend_full()
    await rig.decide(stored)
    assert rig.shelf.kept == []
    await rig.journal.pretend_full(False)
    await rig.decide(ev.Ticked(at=3.0))
    assert rig.shelf.kept == [stored]
    assert rig.rows("SELECT path FROM recordings") == [("d/a.wav",)]


@pytest.mark.parametrize("is_full", [False, True])
async def test_an_answered_call_that_ended_has_its_recording_finished_once(rig, is_full):
    hung_up = ev.ContactHungUp(at=2.0, attempt=attempt(1), cause=16)
    await rig.journal.pretend_full(is_full)
    await rig.decide(rig.floor.on(hung_up, SaveCall(call=ended(1))))
    assert rig.shelf.finished == ([] if is_full else [ended(1)])
    await rig.journal.pretend_full(False)
    await rig.decide(rig.tick(3.0, SaveCall(call=ended(1, operator_result="order"))))
    assert rig.shelf.finished == [ended(1)]


async def test_a_person_who_hung_up_before_we_knew_of_the_answer_was_recorded_all_the_same(rig):
    gone = ended(1, answered_at=None, result=Result.ABANDONED)
    await rig.decide(rig.floor.on(ev.ContactHungUp(at=2.0, attempt=attempt(1), cause=0), SaveCall(call=gone)))
    assert rig.shelf.finished == [gone]


async def test_what_was_never_answered_has_no_recording_unless_nobody_watched(rig):
    busy = ended(1, answered_at=None, result=Result.BUSY)
    lost = ended(2, answered_at=None, result=Result.LOST)
    await rig.decide(
        rig.floor.on(ev.ContactHungUp(at=2.0, attempt=attempt(1), cause=17), SaveCall(call=busy)),
        rig.floor.on(ev.PbxConnected(at=3.0), SaveCall(call=lost)),
    )
    assert rig.shelf.finished == [lost]


async def test_the_recordings_learn_what_was_asked_for_when_the_call_was_placed(rig):
    """Not what the campaign says when the call ends: it may say otherwise by then."""
    silent = [
        msgspec.structs.replace(one, record=False) if isinstance(one, Originate) else one
        for one in dialing(2)
    ]
    await rig.decide(rig.tick(1.0, *dialing(1)), rig.tick(1.0, *silent))
    assert (rig.shelf.asked, rig.shelf.not_asked) == ([attempt(1)], [attempt(2)])
    rig.floor.desks[CAMPAIGN.id].campaign = msgspec.structs.replace(CAMPAIGN, record=False)
    hung_up = ev.ContactHungUp(at=2.0, attempt=attempt(1), cause=16)
    await rig.decide(rig.floor.on(hung_up, SaveCall(call=ended(1))))
    assert rig.shelf.finished == [ended(1)]


async def test_calls_of_a_server_that_is_dead_are_recorded_as_far_as_it_came(rig):
    await rig.decide(rig.tick(1.0, *dialing(1)))
    await rig.decide(rig.floor.on(ev.PbxLost(at=2.0), SaveCall(call=ended(1))))
    assert rig.shelf.lost == [ended(1)]
    assert not rig.shelf.forgotten


async def test_a_call_that_came_in_has_a_recording_if_the_campaign_wants_them(rig):
    """The dialplan began it before we heard of the call."""
    fields: dict[str, Any] = {
        "campaign": CAMPAIGN.id,
        "trunk": CAMPAIGN.trunk,
        "did": "1",
        "number": "",
        "phone": 1,
    }
    lead = Lead(id=LeadId(1), campaign=CAMPAIGN.id, contact=ContactId(1), phones=())
    await rig.decide(ev.CallArrived(at=1.0, attempt=attempt(1), lead=lead, **fields))
    rig.floor.desks[CAMPAIGN.id].campaign = msgspec.structs.replace(CAMPAIGN, record=False)
    await rig.decide(ev.CallArrived(at=1.0, attempt=attempt(2), lead=lead, **fields))
    assert rig.shelf.asked == [attempt(1)]


async def test_a_call_that_was_not_answered_is_forgotten_and_one_not_placed_not_asked_for(rig):
    await rig.decide(rig.tick(1.0, *dialing(1)))
    busy = ended(1, answered_at=None, result=Result.BUSY)
    hung_up = ev.ContactHungUp(at=2.0, attempt=attempt(1), cause=17)
    await rig.decide(rig.floor.on(hung_up, SaveCall(call=busy)))
    assert rig.shelf.forgotten == [attempt(1)]
    await rig.journal.pretend_full()
    await rig.decide(rig.tick(3.0, *dialing(2)))
    await rig.journal.pretend_full(False)
    await rig.decide(ev.Ticked(at=4.0))
    assert rig.states()[attempt(2)] == "dialing"
    assert rig.shelf.asked == [attempt(1)]


# -- another program's lock ----------------------------------------------------------------------


def test_the_engine_waits_for_no_lock_longer_than_people_can(tmp_path, monkeypatch):
    make_home(tmp_path)
    asked: list[float] = []

    async def note(path: Path, *, busy_s: float = BUSY_S, wall: Any = None) -> None:
        assert wall is time.time, "hours are judged by the machine's clock if it was set back"
        asked.append(busy_s)
        raise JournalError("enough is known")

    monkeypatch.setattr(Journal, "open", note)

    async def start() -> None:
        async with House(tmp_path):
            pass

    with pytest.raises(JournalError, match="enough is known"):
        asyncio.run(start())
    assert asked == [loop.BUSY_S]
    assert loop.BUSY_S <= 0.25


async def test_while_another_program_holds_the_lock_people_are_served_and_nothing_is_dialed(
    rig, journal_file, caplog
):
    """The lock is real, and held until each of them has been served."""

    def is_served(people: int) -> bool:
        return len(rig.acts.of(JoinAgent)) == people

    async with rig.running():
        other = sqlite3.connect(journal_file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for serial in (1, 2, 3):
            bridge = line_bridge(ChannelId(f"c{serial}"))
            join = JoinAgent(attempt=attempt(serial), agent=AgentId("ann"), bridge=bridge)
            answered = ev.ContactAnswered(at=float(serial), attempt=attempt(serial))
            place = [] if serial == 3 else dialing(serial)
            rig.inbox.put(rig.floor.on(answered, SaveCall(call=call(serial)), join, *place))
            await until(partial(is_served, serial))
        assert not rig.engine.journal_ok
        assert rig.acts.of(Originate) == []
        assert [one.attempt for one in rig.inbox.of(ev.OriginateRefused)] == [attempt(1), attempt(2)]
        other.execute("ROLLBACK")
        other.close()
        await until(lambda: rig.engine.journal_ok)
    assert [name for name in rig.events() if name == "ContactAnswered"] == ["ContactAnswered"] * 3
    sql = "SELECT at FROM events WHERE name = 'ContactAnswered' ORDER BY id"
    assert rig.rows(sql) == [(1.0,), (2.0,), (3.0,)]
    assert list(rig.states()) == [attempt(1), attempt(2), attempt(3)]
    assert rig.acts.of(Originate) == []
    assert len(rig.inbox.of(ev.JournalFailed)) == len(rig.inbox.of(ev.JournalRecovered)) == 1
    assert [one.message for one in caplog.records if one.name == loop.__name__] == [
        "The journal fails; nothing is dialed",
        "The journal works again",
    ]


# -- orders that are answered when they are saved --------------------------------------------------


async def test_an_order_is_answered_when_it_is_in_the_file(rig):
    async with rig.running():
        order = ev.CampaignOrdered(at=1.0, campaign=CAMPAIGN.id, order="stop")
        await rig.engine.order(order, 8.0)
        assert rig.events() == ["CampaignOrdered"]


async def test_an_order_that_cannot_be_written_is_not_acknowledged(rig):
    await rig.journal.pretend_full()
    async with rig.running():
        with pytest.raises(NotSaved, match="disk is full"):
            await rig.engine.order(ev.CampaignOrdered(at=1.0, campaign=CAMPAIGN.id, order="stop"), 0.3)
    assert len(rig.floor.saw(ev.CampaignOrdered)) == 1


async def test_an_order_given_in_a_short_outage_is_answered_after_it(rig):
    await rig.journal.pretend_full()
    async with rig.running():
        stop = ev.CampaignOrdered(at=1.0, campaign=CAMPAIGN.id, order="stop")
        order = asyncio.create_task(rig.engine.order(stop, 8.0))
        await until(lambda: not rig.engine.journal_ok)
        assert not order.done()
        await rig.journal.pretend_full(False)
        await order
        assert rig.events()[0] == "CampaignOrdered"


async def test_an_order_that_the_journal_refuses_is_not_acknowledged(rig):
    order = ev.CampaignOrdered(at=1.0, campaign=CAMPAIGN.id, order="stop")
    async with rig.running():
        with pytest.raises(NotSaved, match="no lead 999"):
            await rig.engine.order(rig.floor.on(order, UNKNOWN_LEAD), 8.0)


async def test_an_order_that_nobody_takes_is_not_acknowledged(rig):
    with pytest.raises(NotSaved, match="did not come to it"):
        await rig.engine.order(ev.CampaignOrdered(at=1.0, campaign=CAMPAIGN.id, order="stop"), 0.01)


# -- a decision that breaks a rule of the journal ------------------------------------------------


def again(serial: int) -> list[Any]:
    """A second attempt of one ordinal at the lead *serial*, which the journal does not take."""
    one = msgspec.structs.replace(call(serial), attempt=attempt(100 + serial))
    timer = SetTimer(kind="attempt", subject=one.attempt, due=9.0)
    originate = msgspec.structs.replace(dialing(serial)[1], attempt=one.attempt)
    return [SaveCall(call=one), timer, originate]


async def test_of_one_decision_only_the_guilty_call_is_left_out(rig):
    """Calls are placed on the occasion of whatever happens: what happened is no part of their fault."""
    await rig.decide(rig.tick(1.0, *dialing(1)), rig.tick(1.0, *dialing(2)))
    hang_up = HangUp(channel=ChannelId("c"))
    busy = [
        SaveCall(call=ended(1, answered_at=None, result=Result.BUSY)),
        SaveLead(lead=LeadId(1), ordinal=1, due=500.0),
        hang_up,
    ]
    reserved = Agent(id=AgentId("ann"), state=AgentState.RESERVED, attempt=attempt(102), since=2.0)
    hung_up = ev.ContactHungUp(at=2.0, attempt=attempt(1), cause=17)
    guilty = [*again(2), SaveAgent(agent=reserved, at=2.0)]
    await rig.decide(rig.floor.on(hung_up, *busy, *guilty, *dialing(3)), rig.tick(3.0, *dialing(4)))
    assert rig.states() == {
        attempt(1): "ended",
        attempt(2): "dialing",
        attempt(3): "dialing",
        attempt(4): "dialing",
    }
    assert rig.rows("SELECT ordinal, due FROM leads WHERE id = 1") == [(1, 500.0)]
    assert rig.rows("SELECT state FROM agents WHERE id = 'ann'") == [("signed_out",)]
    assert rig.events().count("ContactHungUp") == 1
    assert [one.attempt for one in rig.acts.of(Originate)] == [attempt(serial) for serial in (1, 2, 3, 4)]
    assert [one.attempt for one in rig.inbox.of(ev.OriginateRefused)] == [attempt(102)]
    assert rig.acts.of(HangUp) == [hang_up]
    assert rig.engine.journal_ok


async def test_a_call_that_must_not_be_placed_is_refused_under_the_rules_name(rig):
    """And the operator who was to have it is not rung."""
    await rig.journal.run(lambda db: dnc.add(db, "+7916*", at=1.0))
    await rig.journal.run(
        lambda db: db.execute("UPDATE phones SET number = '+442070000002' WHERE id = 3").fetchall()
    )
    second = msgspec.structs.replace(call(2), number="+442070000002")
    ring = RingAgent(
        agent=AgentId("ann"),
        phone="101",
        channel=ChannelId("leg"),
        attempt=attempt(1),
        number="+7",
        ring_s=9.0,
    )
    _, *rest = dialing(2)
    await rig.decide(rig.tick(1.0, *dialing(1), ring, SaveCall(call=second), *rest))
    assert rig.states() == {attempt(2): "dialing"}
    assert [one.attempt for one in rig.acts.of(Originate)] == [attempt(2)]
    assert rig.acts.of(RingAgent) == []
    refusals = [(one.attempt, one.reason, one.was_sent) for one in rig.inbox.of(ev.OriginateRefused)]
    assert refusals == [(attempt(1), "blocked", False)]
    assert rig.engine.journal_ok


async def test_what_else_happens_while_a_refused_call_is_on_the_floor_is_saved(rig):
    """The floor hears of the refusal a moment later; meanwhile its operator may leave, say."""
    await rig.journal.run(lambda db: dnc.add(db, call(1).number, at=1.0))
    paused = Agent(id=AgentId("ann"), state=AgentState.PAUSED, reason="lunch", since=2.0)
    hang_up = HangUp(channel=ChannelId("c"))
    left = rig.floor.on(
        ev.PhoneChanged(at=2.0, phone="101", is_registered=False),
        SaveCall(call=call(1)),
        SaveAgent(agent=paused, at=2.0),
        hang_up,
        *dialing(2),
    )
    await rig.decide(rig.tick(1.0, *dialing(1)), left)
    assert rig.rows("SELECT state, reason FROM agents WHERE id = 'ann'") == [("paused", "lunch")]
    assert rig.states() == {attempt(2): "dialing"}
    assert rig.acts.of(HangUp) == [hang_up]
    assert rig.acts.of(Originate) == [dialing(2)[1]]
    (refusal,) = rig.inbox.of(ev.OriginateRefused)
    assert (refusal.attempt, refusal.is_ours) == (attempt(1), True)
    assert rig.left_out() == [(attempt(1), ["Originate"])]


async def test_one_forbidden_call_does_not_take_the_whole_batch_apart(rig):
    """Each part would be a transaction of its own, and a flush to the disk, while people wait."""
    await rig.journal.run(lambda db: dnc.add(db, call(5).number, at=1.0))
    before = rig.engine.transactions
    await rig.decide(*(rig.tick(float(serial), *dialing(serial)) for serial in range(1, 10)))
    assert sorted(rig.states()) == [attempt(serial) for serial in (1, 2, 3, 4, 6, 7, 8, 9)]
    assert [one.reason for one in rig.inbox.of(ev.OriginateRefused)] == ["do_not_call"]
    assert rig.engine.transactions - before <= 8


async def test_what_an_event_led_to_is_left_out_with_the_calls_it_allowed(rig):
    """They follow from what the journal does not know."""
    hung_up = ev.ContactHungUp(at=2.0, attempt=attempt(1), cause=17)
    await rig.decide(rig.floor.on(hung_up, UNKNOWN_LEAD, *dialing(2), *dialing(3)))
    assert rig.states() == {}
    assert [one.attempt for one in rig.inbox.of(ev.OriginateRefused)] == [attempt(2), attempt(3)]
    assert rig.acts.of(Originate) == []
    assert rig.events() == ["ContactHungUp"]
    assert rig.left_out() == [(None, ["Originate", "Originate"])]


async def test_a_guilty_call_among_what_waits_is_left_out_alone_as_well(rig):
    await rig.decide(rig.tick(1.0, *dialing(1)))
    await rig.journal.pretend_full()
    hung_up = ev.ContactHungUp(at=2.0, attempt=attempt(2), cause=17)
    await rig.decide(rig.floor.on(hung_up, SaveCall(call=ended(2)), *again(1), *dialing(3)))
    await rig.journal.pretend_full(False)
    await rig.decide(ev.Ticked(at=3.0))
    assert rig.states() == {attempt(1): "dialing", attempt(2): "ended", attempt(3): "dialing"}
    assert [one.attempt for one in rig.acts.of(Originate)] == [attempt(1)]
    assert len(rig.inbox.of(ev.OriginateRefused)) == 2  # when the disk was full, and not once more
    assert rig.shelf.finished == [ended(2)]


async def test_only_the_guilty_decision_is_left_out(rig):
    hang_up = HangUp(channel=ChannelId("c"))
    await rig.decide(
        rig.tick(1.0, *dialing(1)),
        rig.tick(2.0, *dialing(2), UNKNOWN_LEAD, hang_up),
        rig.tick(3.0, *dialing(3)),
    )
    assert rig.states() == {attempt(1): "dialing", attempt(3): "dialing"}
    assert [one.attempt for one in rig.acts.of(Originate)] == [attempt(1), attempt(3)]
    assert [one.attempt for one in rig.inbox.of(ev.OriginateRefused)] == [attempt(2)]
    assert rig.acts.of(HangUp) == [hang_up]
    assert rig.engine.journal_ok
    assert rig.inbox.of(ev.JournalFailed) == []


async def test_the_leads_that_a_guilty_decision_asked_for_are_fetched(rig):
    fetch = FetchLeads(campaign=CAMPAIGN.id, limit=8)
    await rig.decide(rig.tick(1.0, UNKNOWN_LEAD, fetch))
    assert rig.acts.of(FetchLeads) == [fetch]


async def test_a_guilty_decision_among_those_that_wait_is_left_out_as_well(rig):
    await rig.journal.pretend_full()
    await rig.decide(rig.tick(1.0, UNKNOWN_LEAD), rig.tick(2.0, SaveCall(call=call(1))))
    await rig.journal.pretend_full(False)
    await rig.decide(ev.PbxDisconnected(at=3.0))
    assert rig.events() == ["Ticked", "Ticked", "PbxDisconnected"]
    assert rig.left_out() == [(None, [])]
    assert rig.states() == {attempt(1): "dialing"}
    assert rig.engine.journal_ok


class FullAfter:
    """The real journal, whose disk is full from the save after the first *saves* on that succeed."""

    def __init__(self, journal: Any, saves: int) -> None:
        self._journal = journal
        self._saves = saves

    async def save(self, events: Any, commands: Any = (), notes: Any = None) -> None:
        await self._journal.save(events, commands, notes)
        self._saves -= 1
        if not self._saves:
            await self._journal.pretend_full()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


async def test_a_disk_that_fills_up_between_two_saves_writes_nothing_twice(journal, reader):
    rig = Rig(FullAfter(journal, 1), reader)
    await rig.decide(
        rig.floor.on(ev.PbxDisconnected(at=1.0), *dialing(1)),
        rig.tick(2.0, UNKNOWN_LEAD),
        rig.tick(3.0, *dialing(3)),
    )
    assert [one.attempt for one in rig.acts.of(Originate)] == [attempt(1)]
    assert not rig.engine.journal_ok
    await journal.pretend_full(False)
    await rig.decide(ev.Ticked(at=4.0))
    assert rig.events() == ["PbxDisconnected", "Ticked", "Ticked"]
    assert rig.left_out() == [(None, [])]
    assert rig.states() == {attempt(1): "dialing", attempt(3): "dialing"}


async def test_a_disk_that_fills_up_between_two_parts_writes_nothing_twice(journal, reader):
    rig = Rig(FullAfter(journal, 2), reader)
    await rig.decide(rig.tick(1.0, *dialing(1)))
    hung_up = ev.ContactHungUp(at=2.0, attempt=attempt(2), cause=17)
    await rig.decide(rig.floor.on(hung_up, SaveCall(call=ended(2)), *dialing(3), *again(1)))
    assert rig.states() == {attempt(1): "dialing", attempt(2): "ended"}
    assert [one.attempt for one in rig.acts.of(Originate)] == [attempt(1)]
    assert [one.attempt for one in rig.inbox.of(ev.OriginateRefused)] == [attempt(3), attempt(101)]
    await journal.pretend_full(False)
    await rig.decide(ev.Ticked(at=3.0))
    assert rig.states() == {attempt(1): "dialing", attempt(2): "ended", attempt(3): "dialing"}
    assert rig.events() == ["Ticked", "ContactHungUp"]
    assert rig.left_out() == [(attempt(101), ["SetTimer", "Originate"])]
    assert rig.shelf.finished == [ended(2)]
    assert len(rig.inbox.of(ev.OriginateRefused)) == 2


# -- time ------------------------------------------------------------------------------------


async def test_ticks_come_by_themselves(rig):
    async with rig.running():
        await until(lambda: len(rig.floor.saw(ev.Ticked)) >= 2)


async def test_events_that_waited_long_are_told_first_and_so_is_the_catching_up(journal, reader, monkeypatch):
    now = 100.0
    rig = Rig(journal, reader, Box(lambda: now))
    monkeypatch.setattr(loop, "TICK_S", 60.0)
    rig.inbox.put(ev.PbxDisconnected(at=1.0))
    now += loop.LATE_S + 0.5
    async with rig.running():
        await until(lambda: rig.floor.saw(ev.PbxDisconnected))
        assert [type(one) for one in rig.floor.seen] == [ev.EventsLagged, ev.PbxDisconnected]
        (late,) = rig.floor.saw(ev.EventsLagged)
        assert late.is_late
        assert late.lag_ms == pytest.approx(1500)
        rig.inbox.put(ev.PbxDisconnected(at=2.0))
        await until(lambda: len(rig.floor.saw(ev.EventsLagged)) == 2)
    assert not rig.floor.saw(ev.EventsLagged)[1].is_late


async def test_an_engine_that_stood_still_is_late_until_it_has_heard_what_happened_meanwhile(
    rig, monkeypatch
):
    """The machine slept, say: what waits in the sockets is not in the inbox yet, but deadlines pass at once."""
    now = 100.0
    rig.engine._clock = lambda: now
    monkeypatch.setattr(loop, "TICK_S", 0.01)
    async with rig.running():
        await until(lambda: rig.floor.saw(ev.Ticked))
        now += loop.TICK_S + loop.STOOD_STILL_S + 10.0
        await until(lambda: rig.floor.saw(ev.EventsLagged))
        (late,) = rig.floor.saw(ev.EventsLagged)
        first = next(one for one in rig.floor.saw(ev.Ticked) if one.at == now)
        assert late.is_late
        assert rig.floor.seen.index(late) < rig.floor.seen.index(first)
        await until(lambda: len(rig.floor.saw(ev.EventsLagged)) == 2)
        assert not rig.floor.saw(ev.EventsLagged)[1].is_late
        heard = [one for one in rig.floor.saw(ev.Ticked) if one.at == now]
        assert len(heard) > 1, "it hears for a while before it believes that it has caught up"


async def test_a_little_waiting_is_not_lag_and_late_ends_only_when_it_is_caught_up(
    journal, reader, monkeypatch
):
    now = 100.0
    rig = Rig(journal, reader, Box(lambda: now))
    monkeypatch.setattr(loop, "TICK_S", 60.0)

    async def waited(seconds: float) -> list[bool]:
        nonlocal now
        before = len(rig.floor.saw(ev.PbxDisconnected))
        rig.inbox.put(ev.PbxDisconnected(at=now))
        now += seconds
        async with rig.running():
            await until(lambda: len(rig.floor.saw(ev.PbxDisconnected)) > before)
        return [one.is_late for one in rig.floor.saw(ev.EventsLagged)]

    between = (loop.LATE_S + loop.CAUGHT_UP_S) / 2
    assert await waited(between) == []
    assert await waited(loop.LATE_S + 1) == [True]
    assert await waited(between) == [True]
    assert await waited(0.0) == [True, False]


async def test_the_note_of_a_choice_goes_only_when_the_choice_is_in_the_journal(rig):
    forget = ForgetChoice(attempt=attempt(1))
    await rig.journal.pretend_full()
    await rig.decide(rig.tick(1.0, SaveCall(call=call(1)), forget))
    assert rig.acts.of(ForgetChoice) == [], "should we die now, the note is all that there is"
    await rig.journal.pretend_full(False)
    await rig.decide(rig.tick(2.0))
    assert rig.acts.of(ForgetChoice) == [forget]
    await rig.decide(rig.tick(3.0, SaveCall(call=call(2)), ForgetChoice(attempt=attempt(2))))
    assert len(rig.acts.of(ForgetChoice)) == 2
