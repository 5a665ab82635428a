"""The engine's journal: a decision is saved whole or not at all, and is found again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dialer.core.commands import (
    SAVES,
    HangUp,
    SaveAgent,
    SaveCall,
    SaveCallback,
    SaveCampaignState,
    SaveLead,
    SavePhone,
)
from dialer.core.events import (
    ContactHungUp,
    FreshLead,
    LeadsFetched,
    RecordingMissing,
    RecordingStored,
    Ticked,
)
from dialer.core.ids import AgentId, AttemptId, CampaignId, ChannelId, LeadId
from dialer.core.values import (
    Agent,
    AgentState,
    Call,
    CallState,
    Campaign,
    CampaignState,
    Lead,
    Result,
)
from dialer.store import history, schema, settings
from dialer.store.connect import open_reader, transaction
from dialer.store.errors import JournalError, JournalRefused, StoreError
from dialer.store.journal import Journal
from dialer.store.pruning import EVENTS_KEPT_DAYS, prune_chunk

MakeCall = Callable[..., Call]


async def first_lead(journal: Journal, campaign: Campaign, at: float = 10.0) -> Lead:
    found, _, _ = await journal.fetch_leads(campaign, 1, at)
    return found[0]


def count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize(("promised", "is_settled"), [(None, False), (500.0, False), (900.0, True)])
async def test_after_a_restart_an_operators_late_word_does_not_undo_a_call_that_somebody_else_promised(
    journal: Journal, campaign: Campaign, call_for: MakeCall, promised: float | None, is_settled: bool
) -> None:
    """One that they promised themselves, in the call (at 500), may still be said otherwise."""
    lead = await first_lead(journal, campaign)
    call = call_for(lead, agent=AgentId("ann"), callback_at=500.0)
    over = replace(call, state=CallState.ENDED, result=Result.TALKED, ended_at=120.0)
    agent = Agent(id=AgentId("ann"), state=AgentState.PAUSED, since=120.0, last_attempt=call.attempt)
    await journal.save([], [SaveCall(call=call)])
    await journal.save(
        [],
        [SaveCall(call=over), SaveLead(lead=lead.id, ordinal=1, due=600.0), SaveAgent(agent=agent, at=120.0)],
    )
    if promised is not None:
        await journal.save([], [SaveCallback(lead=lead.id, due=promised, owner=None, at=130.0)])
    (last,) = (await journal.load()).last
    assert (last.lead is None) == is_settled


async def test_an_open_attempt_is_loaded_as_it_was_saved(
    journal: Journal, campaign: Campaign, call_for: MakeCall
) -> None:
    lead = await first_lead(journal, campaign)
    call = call_for(lead, state=CallState.RINGING, deadline=140.5, rang_at=101.25)
    await journal.save([Ticked(at=100.0)], [SaveCall(call=call)])
    loaded = await journal.load()
    assert [one.call for one in loaded.open] == [call]
    assert loaded.open[0].lead == lead


async def test_loaded_lead_is_as_it_was_when_the_attempt_was_placed(
    journal: Journal, campaign: Campaign, call_for: MakeCall
) -> None:
    lead = await first_lead(journal, campaign)
    first = call_for(lead, 1, state=CallState.ENDED, ended_at=101.0, result=Result.BUSY)
    await journal.save([], [SaveCall(call=first), SaveLead(lead=lead.id, ordinal=1, due=0.0)])
    again = next(one for one in (await journal.fetch_leads(campaign, 9, 200.0))[0] if one.id == lead.id)
    assert again.phones[0].tried == (Result.BUSY,)
    assert again.ordinal == 1
    second = call_for(again, 2, state=CallState.CONNECTED, connected_at=102.0)
    agent = Agent(id=AgentId("ann"), state=AgentState.ON_CALL, since=102.0, attempt=second.attempt)
    await journal.save([], [SaveCall(call=second), SaveAgent(agent=agent, at=102.0)])
    (found,) = (await journal.load()).open
    assert found.call == second
    assert found.lead == again


async def test_an_ended_call_is_loaded_while_an_agent_may_give_its_result(
    journal: Journal, campaign: Campaign, call_for: MakeCall
) -> None:
    lead = await first_lead(journal, campaign)
    call = call_for(lead, state=CallState.ENDED, connected_at=5.0, ended_at=9.0, result=Result.TALKED)
    agent = Agent(id=AgentId("ann"), state=AgentState.WRAP_UP, since=9.0, last_attempt=call.attempt)
    await journal.save(
        [],
        [
            SaveCall(call=call),
            SaveLead(lead=lead.id, ordinal=1, due=None, finished="talked"),
            SaveAgent(agent=agent, at=9.0),
        ],
    )
    loaded = await journal.load()
    assert loaded.open == ()
    assert [one.call for one in loaded.last] == [call]
    before = loaded.last[0].lead
    assert before is not None
    assert before.ordinal == 0
    assert before.phones == lead.phones
    assert [one.agent for one in loaded.agents if one.card.id == "ann"] == [agent]


@pytest.mark.parametrize("how", [Result.TALKED, None])
async def test_an_ended_call_whose_lead_was_dialed_again_is_loaded_without_it(
    journal: Journal, campaign: Campaign, call_for: MakeCall, how: Result | None
) -> None:
    """Else a result given after the restart would undo what the later call came to."""
    lead = await first_lead(journal, campaign)
    ended = {"state": CallState.ENDED, "connected_at": 5.0, "ended_at": 9.0}
    old = call_for(lead, 1, result=Result.TALKED, **ended)
    later = call_for(replace(lead, ordinal=1), 2, result=how, **(ended if how else {}))
    agent = Agent(id=AgentId("ann"), state=AgentState.PAUSED, since=9.0, last_attempt=old.attempt)
    await journal.save([], [SaveCall(call=old), SaveAgent(agent=agent, at=9.0)])
    assert [one.lead for one in (await journal.load()).last] == [lead]
    await journal.save([], [SaveCall(call=later)])
    (last,) = (await journal.load()).last
    assert (last.call, last.lead) == (old, None)


async def test_a_save_that_is_older_than_the_lead_changes_nothing(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection
) -> None:
    lead = await first_lead(journal, campaign)
    await journal.save([], [SaveLead(lead=lead.id, ordinal=2, due=None, finished="order")])
    await journal.save([], [SaveLead(lead=lead.id, ordinal=1, due=900.0)])
    row = db.execute("SELECT ordinal, due, finished FROM leads WHERE id = ?", (lead.id,)).fetchone()
    assert row == (2, None, "order")
    await journal.save([], [SaveLead(lead=lead.id, ordinal=2, due=900.0)])  # the operator thought better
    row = db.execute("SELECT ordinal, due, finished FROM leads WHERE id = ?", (lead.id,)).fetchone()
    assert row == (2, 900.0, None)


async def test_a_lead_whose_list_was_removed_stays_so(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection
) -> None:
    """Its call was still live then, and ends now."""
    lead = await first_lead(journal, campaign)
    settings.apply_campaign(db, replace(campaign, lists=()), 5.0)
    await journal.save([], [SaveLead(lead=lead.id, ordinal=1, due=900.0)])
    sql = "SELECT ordinal, due, finished FROM leads WHERE id = ?"
    assert db.execute(sql, (lead.id,)).fetchone() == (1, None, schema.LIST_REMOVED)
    assert await journal.fetch_leads(campaign, 9, 1000.0) == ([], False, False)
    await journal.save([], [SaveLead(lead=lead.id, ordinal=1, due=None, finished="order")])
    await journal.save([], [SaveLead(lead=lead.id, ordinal=1, due=950.0)])  # the operator thought better
    assert db.execute(sql, (lead.id,)).fetchone() == (1, None, schema.LIST_REMOVED)


async def test_who_was_reached_while_the_list_was_removed_is_not_dialed_when_it_comes_back(
    journal: Journal, campaign: Campaign
) -> None:
    def set_lists(*names: str) -> Callable[[sqlite3.Connection], bool]:
        return lambda connection: settings.apply_campaign(connection, replace(campaign, lists=names), 5.0)

    lead = await first_lead(journal, campaign)
    await journal.run(set_lists())
    await journal.save([], [SaveLead(lead=lead.id, ordinal=1, due=None, finished="order")])
    await journal.run(set_lists(*campaign.lists))
    assert await journal.enroll(campaign.id, 6.0) == 2
    assert lead.id not in {one.id for one in (await journal.fetch_leads(campaign, 9, 1000.0))[0]}


async def test_all_of_a_decision_or_nothing(
    journal: Journal, campaign: Campaign, call_for: MakeCall, db: sqlite3.Connection
) -> None:
    call = call_for(await first_lead(journal, campaign))
    unknown = SaveLead(lead=LeadId(99), ordinal=1, due=5.0)
    with pytest.raises(JournalRefused, match="no lead 99"):
        await journal.save([Ticked(at=1.0)], [SaveCall(call=call), unknown])
    assert count(db, "attempts") == count(db, "events") == 0
    await journal.save([Ticked(at=1.0)], [SaveCall(call=call)])
    assert count(db, "attempts") == 1


@pytest.mark.parametrize(
    "bad",
    [
        SaveAgent(agent=Agent(id=AgentId("nobody")), at=1.0),
        SaveCampaignState(campaign=CampaignId("nothing"), state=CampaignState.RUNNING, at=1.0),
        SaveLead(lead=LeadId(1), ordinal=1, due=None),
        SaveLead(lead=LeadId(1), ordinal=1, due=5.0, finished="talked"),
    ],
)
async def test_what_contradicts_the_journal_is_refused(journal: Journal, bad: SaveLead) -> None:
    with pytest.raises(JournalRefused):
        await journal.save([], [bad])


async def test_no_second_attempt_of_one_ordinal(
    journal: Journal, campaign: Campaign, call_for: MakeCall
) -> None:
    lead = await first_lead(journal, campaign)
    await journal.save([], [SaveCall(call=call_for(lead, 1))])
    with pytest.raises(JournalRefused):
        await journal.save([], [SaveCall(call=call_for(lead, 2))])


async def test_an_attempt_that_failed_frees_its_ordinal_and_counts_for_nothing(
    journal: Journal, campaign: Campaign, call_for: MakeCall
) -> None:
    lead = await first_lead(journal, campaign)
    failed = call_for(lead, 1, state=CallState.ENDED, ended_at=101.0, result=Result.FAILED)
    await journal.save([], [SaveCall(call=call_for(lead, 1))])
    await journal.save([], [SaveCall(call=failed), SaveLead(lead=lead.id, ordinal=0, due=50.0)])
    second = call_for(lead, 2, state=CallState.ENDED, ended_at=201.0, result=Result.BUSY)
    await journal.save([], [SaveCall(call=second), SaveLead(lead=lead.id, ordinal=1, due=50.0)])
    again = next(one for one in (await journal.fetch_leads(campaign, 9, 60.0))[0] if one.id == lead.id)
    assert again.phones[0].tried == (Result.BUSY,)


async def test_saving_twice_is_harmless(
    journal: Journal, campaign: Campaign, call_for: MakeCall, db: sqlite3.Connection
) -> None:
    lead = await first_lead(journal, campaign)
    call = call_for(lead)
    saves = [
        SaveCall(call=call),
        SaveAgent(agent=Agent(id=AgentId("ann"), state=AgentState.READY, since=5.0), at=5.0),
        SaveAgent(
            agent=Agent(id=AgentId("ann"), state=AgentState.RESERVED, since=5.0, attempt=call.attempt), at=5.0
        ),
        SaveCall(call=replace(call, state=CallState.ENDED, ended_at=6.0, result=Result.BUSY)),
        SaveLead(lead=lead.id, ordinal=1, due=900.0),
        SaveCampaignState(campaign=campaign.id, state=CampaignState.RUNNING, at=5.0),
    ]
    await journal.save([], saves)
    once = [list(db.execute(f"SELECT * FROM {t} ORDER BY 1")) for t in ("attempts", "leads", "agents")]
    await journal.save([], saves)
    assert once == [
        list(db.execute(f"SELECT * FROM {t} ORDER BY 1")) for t in ("attempts", "leads", "agents")
    ]
    history = list(db.execute("SELECT state, ended_at FROM agent_states ORDER BY id"))
    assert history == [("ready", 5.0), ("reserved", None)]
    assert count(db, "campaign_states WHERE state = 'running'") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": CallState.ANSWERED, "answered_at": 7.0},
        {"state": CallState.ENDED, "ended_at": 8.5, "result": Result.BUSY, "cause": 17, "deadline": None},
        {"created_at": 4.0, "caller_id": "+79990000000", "direction": "in", "did": "101"},
    ],
)
async def test_a_call_stands_as_it_was_saved_last_whatever_changed(
    journal: Journal, campaign: Campaign, call_for: MakeCall, db: sqlite3.Connection, changes: dict[str, Any]
) -> None:
    """Only what differs is written."""
    other = call_for(await first_lead(journal, campaign), deadline=30.0)
    before = replace(other, rang_at=6.0)
    await journal.save([], [SaveCall(call=other)])
    await journal.save([], [SaveCall(call=before)])
    await journal.save([], [SaveCall(call=replace(before, **changes))])
    assert await journal.find_calls([before.attempt]) == [replace(before, **changes)]
    assert count(db, "attempts") == 1


async def test_an_agents_states_are_kept_as_intervals(journal: Journal, db: sqlite3.Connection) -> None:
    agent = Agent(id=AgentId("ann"), state=AgentState.READY, since=10.0)
    await journal.save([], [SaveAgent(agent=agent, at=10.0)])
    await journal.save([], [SaveAgent(agent=replace(agent, pause_asked="lunch"), at=11.0)])
    paused = replace(agent, state=AgentState.PAUSED, reason="lunch", since=30.0)
    await journal.save([], [SaveAgent(agent=paused, at=30.0)])
    await journal.save([], [SaveAgent(agent=agent, at=10.0)])  # an old one, once more
    history = list(db.execute("SELECT state, reason, began_at, ended_at FROM agent_states ORDER BY id"))
    assert history == [("ready", "", 10.0, 30.0), ("paused", "lunch", 30.0, None)]


async def test_a_number_found_bad_stays_bad(journal: Journal, campaign: Campaign) -> None:
    lead = await first_lead(journal, campaign)
    bad = lead.phones[0].id
    await journal.save([], [SaveLead(lead=lead.id, ordinal=1, due=3.0, bad_phone=bad)])
    again = next(one for one in (await journal.fetch_leads(campaign, 9, 60.0))[0] if one.id == lead.id)
    assert [phone.is_bad for phone in again.phones] == [True, False]


@pytest.mark.parametrize(("found", "is_bad"), [(Result.TALKED, False), (Result.INVALID, True)])
async def test_a_word_taken_back_makes_good_what_the_telephone_did_not_find_bad(
    journal: Journal,
    campaign: Campaign,
    call_for: MakeCall,
    db: sqlite3.Connection,
    found: Result,
    is_bad: bool,
) -> None:
    lead = await first_lead(journal, campaign)
    phone = lead.phones[0].id
    ended = call_for(lead, state=CallState.ENDED, ended_at=9.0, result=found)
    await journal.save([], [SaveCall(call=ended), SavePhone(phone=phone, is_bad=True)])
    await journal.save([], [SavePhone(phone=lead.phones[1].id, is_bad=True)])
    assert (await first_lead(journal, campaign)).id != lead.id  # it has no number left, and is finished
    assert db.execute("SELECT finished FROM leads WHERE id = ?", (lead.id,)).fetchone() == ("no_number_left",)
    await journal.save([], [SavePhone(phone=phone, is_bad=False)])
    again = await first_lead(journal, campaign)
    assert (again.id == lead.id) is not is_bad
    bad = db.execute("SELECT is_bad FROM phones WHERE contact = ? ORDER BY position", (lead.contact,))
    assert [bool(row[0]) for row in bad] == [is_bad, True]


async def test_recordings_are_kept_and_missing_ones_named(
    journal: Journal, campaign: Campaign, call_for: MakeCall, db: sqlite3.Connection
) -> None:
    call = call_for(await first_lead(journal, campaign))
    stored = RecordingStored(
        at=9.0, attempt=call.attempt, path="d/x.wav", started_at=1.0, length_s=2.5, size_bytes=9, sha256="ab"
    )
    missing = RecordingMissing(at=10.0, attempt=call.attempt, reason="no file")
    stranger = RecordingMissing(at=10.0, attempt=AttemptId("a" + "9" * 20), reason="no file")
    await journal.save([], [SaveCall(call=call)])
    await journal.save([missing, stranger])
    assert list(db.execute("SELECT attempt, missing FROM recordings")) == [(call.attempt, "no file")]
    await journal.save([stored, missing])
    rows = list(db.execute("SELECT path, length_s, size_bytes, sha256, missing FROM recordings"))
    assert rows == [("d/x.wav", 2.5, 9, "ab", None)]


async def test_events_and_orders_are_noted_for_replay(journal: Journal, db: sqlite3.Connection) -> None:
    event = ContactHungUp(at=7.5, attempt=AttemptId("a" + "0" * 20), cause=17)
    await journal.save([event], [HangUp(channel=ChannelId("x"))])
    rows = list(db.execute("SELECT at, kind, name FROM events ORDER BY id"))
    assert rows == [(7.5, "event", "ContactHungUp"), (7.5, "command", "HangUp")]


def test_no_save_is_a_kind_of_another() -> None:
    """What is a save is told by its type (``SAVE_TYPES``)."""
    assert [one for one in SAVES if one.__subclasses__()] == []


async def test_an_answer_of_the_store_is_noted_in_full_without_what_goes_without_saying(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection
) -> None:
    lead = await first_lead(journal, campaign)
    assert len({phone.zones for phone in lead.phones}) == 2
    fresh = FreshLead(lead=lead, attempt=AttemptId("a" + "0" * 20))
    event = LeadsFetched(at=7.5, campaign=campaign.id, leads=(fresh, fresh), unfinished=True, ask=3)
    await journal.save([event])
    assert [row.what for row in history.read(db, 0)] == [event]
    (body,) = db.execute("SELECT body FROM events").fetchone()
    noted = json.loads(body)
    assert set(noted) == {"type", "at", "campaign", "leads", "unfinished", "ask", "zones"}
    assert noted["zones"] == [list(phone.zones) for phone in lead.phones], "each set of zones once"
    assert "hours" not in noted["leads"][0]["lead"]["phones"][0]
    assert "owner" not in noted["leads"][0]["lead"]
    assert "barred" not in noted["leads"][0]["lead"]["phones"][0]


NOW = 1_700_000_000.0
OLD = NOW - EVENTS_KEPT_DAYS * 86_400


def note(db: sqlite3.Connection, *instants: float) -> None:
    with transaction(db):
        db.executemany(
            "INSERT INTO events (at, kind, name, body) VALUES (?, 'event', 'Ticked', '{}')",
            [(at,) for at in instants],
        )


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.005)


async def test_events_too_old_are_deleted_at_the_opening_in_chunks(
    path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.store.pruning.PRUNE_ROWS", 2)
    note(db, *(OLD - number for number in range(1, 8)), OLD + 1, NOW)
    async with await Journal.open(path) as journal:
        await until(lambda: count(db, "events") == 2)
        await journal.save([Ticked(at=NOW)])
        assert journal.transactions == 4 + 1
    assert [row[0] for row in db.execute("SELECT at FROM events ORDER BY at")] == [OLD + 1, NOW, NOW]


async def test_events_are_deleted_again_later_also_after_a_failure(
    path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.store.journal._PRUNE_AGAIN_S", 0.01)
    monkeypatch.setattr("dialer.store.journal._PRUNE_FAILED_S", 0.01)
    tries = 0

    def fails_at_first(connection: sqlite3.Connection, at: float) -> bool:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise JournalError("locked") if tries == 1 else sqlite3.OperationalError("full")
        return prune_chunk(connection, at)

    monkeypatch.setattr("dialer.store.journal.prune_chunk", fails_at_first)
    async with await Journal.open(path) as journal:
        for _ in range(2):
            note(db, OLD - 1, NOW)
            await until(lambda: count(db, f"events WHERE at < {OLD}") == 0)
        await journal.save([Ticked(at=NOW)])
    assert tries > 3


async def test_another_writer_is_not_waited_for(
    path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.store.connect._LOOK_AGAIN_S", -1.0)  # who waits fails
    note(db, OLD - 1, NOW)
    db.execute("BEGIN IMMEDIATE")
    with closing(sqlite3.connect(path, isolation_level=None)) as other, pytest.raises(JournalError):
        prune_chunk(other, NOW)
    db.execute("ROLLBACK")


async def test_a_save_goes_before_what_is_left_to_delete(
    path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.store.pruning.PRUNE_ROWS", 1)
    note(db, *([OLD - 1] * 500), NOW)
    async with await Journal.open(path) as journal:
        await journal.save([Ticked(at=NOW)])
        assert count(db, f"events WHERE at < {OLD}") > 0


async def test_a_full_disk_saves_nothing_and_passes(
    journal: Journal, campaign: Campaign, call_for: MakeCall, db: sqlite3.Connection
) -> None:
    call = call_for(await first_lead(journal, campaign))
    await journal.pretend_full()
    with pytest.raises(JournalError, match="full") as caught:
        await journal.save([Ticked(at=1.0)], [SaveCall(call=call)])
    assert not isinstance(caught.value, JournalRefused)
    assert count(db, "attempts") == count(db, "events") == 0
    await journal.pretend_full(False)
    await journal.save([Ticked(at=1.0)], [SaveCall(call=call)])
    assert count(db, "attempts") == count(db, "events") == 1


async def test_a_lock_held_too_long_is_an_error_and_passes(journal: Journal, db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="locked"):
        await journal.save([Ticked(at=1.0)])
    db.execute("ROLLBACK")
    await journal.save([Ticked(at=1.0)])


async def test_the_engine_waits_out_a_short_transaction_of_the_command_line(
    journal: Journal, db: sqlite3.Connection
) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction(db):
            held.set()
            let_go.wait(5)

    other = asyncio.create_task(asyncio.to_thread(hold))
    await asyncio.to_thread(held.wait, 5)
    save = asyncio.create_task(journal.save([Ticked(at=1.0)]))
    await asyncio.sleep(0)
    let_go.set()
    await asyncio.gather(save, other)
    assert count(db, "events") == 1


async def test_a_fetch_after_a_save_sees_it(journal: Journal, campaign: Campaign) -> None:
    lead = await first_lead(journal, campaign)
    save = journal.save([], [SaveLead(lead=lead.id, ordinal=1, due=None, finished="talked")])
    fetch = journal.fetch_leads(campaign, 10, 20.0)
    _, (found, unfinished, _) = await asyncio.gather(save, fetch)
    assert lead.id not in {one.id for one in found}
    assert unfinished


async def test_a_closed_journal_says_so(path: Path, db: sqlite3.Connection) -> None:
    journal = await Journal.open(path)
    await journal.close()
    await journal.close()
    with pytest.raises(JournalError, match="closed"):
        await journal.save([Ticked(at=1.0)])


async def test_a_journal_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database at all" * 100)
    with pytest.raises(StoreError, match=r"notes\.txt cannot be opened"):
        await Journal.open(tmp_path / "notes.txt")
    with pytest.raises(StoreError, match="There is no journal"):
        open_reader(tmp_path / "nothing.sqlite3")


async def test_what_is_saved_outlives_the_engine(
    path: Path, db: sqlite3.Connection, campaign: Campaign, call_for: MakeCall
) -> None:
    journal = await Journal.open(path)
    call = call_for(await first_lead(journal, campaign))
    await journal.save([], [SaveCall(call=call)])
    running = SaveCampaignState(campaign=campaign.id, state=CampaignState.RUNNING, at=3.0)
    waiting = SaveLead(lead=LeadId(2), ordinal=1, due=700.0)
    await journal.save([], [running, waiting])
    await journal.close()
    async with await Journal.open(path) as again:
        loaded = await again.load()
    assert [one.call for one in loaded.open] == [call]
    assert loaded.campaigns[0].campaign == campaign
    assert loaded.campaigns[0].state is CampaignState.RUNNING
    assert [trunk.id for trunk in loaded.trunks] == ["north"]


async def test_the_log_is_copied_beside_the_writer(
    path: Path, db: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.store.journal.CHECKPOINT_S", 0.01)

    def is_in_the_file_itself() -> bool:
        copy = tmp_path / "copy.sqlite3"
        copy.write_bytes(path.read_bytes())
        try:
            with closing(sqlite3.connect(copy)) as connection:
                return bool(connection.execute("SELECT count(*) FROM events WHERE at = 77.0").fetchone()[0])
        except sqlite3.Error:  # nothing of it is there yet
            return False

    async with await Journal.open(path) as journal:
        await journal.save([Ticked(at=77.0)])
        async with asyncio.timeout(10):
            while not is_in_the_file_itself():
                await asyncio.sleep(0.01)
