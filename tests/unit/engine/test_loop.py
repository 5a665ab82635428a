"""Decide, save, act: with the real journal, and nothing else that is real."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dialer.core import events as ev
from dialer.core.commands import FetchLeads, HangUp, Originate, SaveCall, SaveLead, SetTimer
from dialer.core.ids import ChannelId, LeadId
from dialer.core.values import CallState, Result
from dialer.engine import loop
from dialer.engine.loop import Engine
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


# -- a decision that breaks a rule of the journal ------------------------------------------------


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
    assert rig.events() == ["Ticked", "PbxDisconnected"]
    assert rig.states() == {attempt(1): "dialing"}
    assert rig.engine.journal_ok


class FullAfter:
    """The real journal, whose disk is full from the save after the first *saves* on that succeed."""

    def __init__(self, journal: Any, saves: int) -> None:
        self._journal = journal
        self._saves = saves

    async def save(self, events: Any, commands: Any = ()) -> None:
        await self._journal.save(events, commands)
        self._saves -= 1
        if not self._saves:
            await self._journal.pretend_full()


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
    assert rig.events() == ["PbxDisconnected", "Ticked"]
    assert rig.states() == {attempt(1): "dialing", attempt(3): "dialing"}


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
