"""The guard: an attempt that must not be placed is not saved, and so nobody is called.

Each rule is broken after the lead was fetched, as another program or another campaign would.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from dialer.core.commands import SaveCall, SaveCallback, SaveDoNotCall, SaveLead
from dialer.core.ids import AgentId, AttemptId, CampaignId, ContactId, LeadId, PhoneId
from dialer.core.values import (
    Call,
    CallingHours,
    CallState,
    Campaign,
    Caps,
    Centre,
    DayHours,
    Lead,
    Owners,
    Result,
)
from dialer.store import dnc, leads, settings
from dialer.store.errors import CallForbidden, JournalRefused
from dialer.store.journal import Journal

NOON = 1_781_254_800.0
"""Friday, 12 June 2026, 12:00 in Moscow."""
ALWAYS = (DayHours(days=tuple(range(7)), stretches=((0, 1440),)),)
AFTERNOON = (DayHours(days=(0, 1, 2, 3, 4), stretches=((840, 1080),)),)
MakeCall = Callable[..., Call]


async def first_lead(journal: Journal, campaign: Campaign, at: float = NOON) -> Lead:
    return (await journal.fetch_leads(campaign, 1, at))[0][0]


async def rule_of(journal: Journal, call: Call) -> str | None:
    """The rule that forbids *call*; None: it was saved."""
    try:
        await journal.save([], [SaveCall(call=call)])
    except CallForbidden as refusal:
        return refusal.rules.get(call.attempt, "of another call")
    return None


def change(db: sqlite3.Connection, campaign: Campaign, **changes: object) -> None:
    settings.apply_campaign(db, replace(campaign, **changes), 10.0)


def put_on_list(db: sqlite3.Connection, campaign: Campaign) -> None:
    dnc.add(db, "+79160000001", at=10.0)


def put_on_campaigns_list(db: sqlite3.Connection, campaign: Campaign) -> None:
    dnc.add(db, "+79160000001", campaign="spring", at=10.0)


def block(db: sqlite3.Connection, campaign: Campaign) -> None:
    dnc.add(db, "+7916*", at=10.0)


def close_the_hours(db: sqlite3.Connection, campaign: Campaign) -> None:
    change(db, campaign, hours=CallingHours(kinds={"default": AFTERNOON}))


def have_no_hours(db: sqlite3.Connection, campaign: Campaign) -> None:
    change(db, campaign, hours=CallingHours(kinds={"work": ALWAYS}))


def move_the_contact(db: sqlite3.Connection, campaign: Campaign) -> None:
    """15:00 is in the afternoon hours in Yekaterinburg, 12:00 in Moscow is not."""
    db.execute("UPDATE contacts SET zone = 'Europe/Moscow' WHERE id = 1")
    close_the_hours(db, campaign)


def find_it_bad(db: sqlite3.Connection, campaign: Campaign) -> None:
    db.execute("UPDATE phones SET is_bad = 1 WHERE id = 1")


def finish_the_lead(db: sqlite3.Connection, campaign: Campaign) -> None:
    db.execute("UPDATE leads SET due = NULL, finished = 'order' WHERE id = 1")


def take_the_list_out(db: sqlite3.Connection, campaign: Campaign) -> None:
    change(db, campaign, lists=("others",))


def change_the_number(db: sqlite3.Connection, campaign: Campaign) -> None:
    db.execute("UPDATE phones SET number = '+79169999999' WHERE id = 1")


def give_it_to_another(db: sqlite3.Connection, campaign: Campaign) -> None:
    db.execute("UPDATE phones SET contact = 2, number = number WHERE id = 1")


def call_it_elsewhere(db: sqlite3.Connection, campaign: Campaign, **more: object) -> None:
    """The number was called just now for another contact, in another campaign."""
    settings.apply_campaign(db, replace(campaign, id=CampaignId("autumn"), lists=("more",)), 1.0)
    db.execute("INSERT INTO contacts (id, list, key, added_at) VALUES (90, 'more', 'k', 1)")
    db.execute(
        "INSERT INTO phones (id, contact, position, kind, number) VALUES (90, 90, 0, 'home', '+79160000001')"
    )
    leads.enroll(db, CampaignId("autumn"), 1.0)
    lead = db.execute("SELECT id FROM leads WHERE contact = 90").fetchone()[0]
    values = {"state": "ended", "result": "busy", "at": NOON - 600} | more
    db.execute(
        "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at,"
        " result) VALUES ('x', 'autumn', :lead, 90, 90, '+79160000001', 1, 'north', :state, :at, :result)",
        values | {"lead": lead},
    )


def be_calling_it_elsewhere(db: sqlite3.Connection, campaign: Campaign) -> None:
    call_it_elsewhere(db, campaign, state="ringing", result=None)


def be_calling_them_at_work(db: sqlite3.Connection, campaign: Campaign) -> None:
    """The same contact, for another campaign."""
    settings.apply_campaign(db, replace(campaign, id=CampaignId("autumn")), 1.0)
    leads.enroll(db, CampaignId("autumn"), 1.0)
    db.execute(
        "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at)"
        " SELECT 'x', 'autumn', id, 1, 2, '+74950000001', 1, 'north', 'connected', 5.0 FROM leads"
        " WHERE campaign = 'autumn' AND contact = 1"
    )


def cap(**caps: object) -> Callable[[sqlite3.Connection, Campaign], None]:
    def act(db: sqlite3.Connection, campaign: Campaign) -> None:
        call_it_elsewhere(db, campaign)
        change(db, campaign, caps=Caps(**caps))  # type: ignore[arg-type]

    return act


def cap_of_the_centre(db: sqlite3.Connection, campaign: Campaign) -> None:
    call_it_elsewhere(db, campaign)
    settings.apply_centre(db, Centre(caps=Caps(number_per_day=1)), 10.0)


def try_too_often(db: sqlite3.Connection, campaign: Campaign) -> None:
    change(db, campaign, attempts=1)
    db.execute("UPDATE leads SET ordinal = 1 WHERE id = 1")
    db.execute(
        "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at,"
        " result) VALUES ('x', 'spring', 1, 1, 1, '+79160000001', 1, 'north', 'ended', 5.0, 'busy')"
    )


def lose_the_lists(db: sqlite3.Connection, campaign: Campaign) -> None:
    db.execute("DROP TABLE do_not_call")


def break_the_settings(db: sqlite3.Connection, campaign: Campaign) -> None:
    db.execute("UPDATE campaigns SET settings = '{}'")


def break_the_centre(db: sqlite3.Connection, campaign: Campaign) -> None:
    db.execute("INSERT INTO centre (applied_at, settings) VALUES (1, 'no JSON')")


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (None, None),
        (put_on_list, "do_not_call"),
        (put_on_campaigns_list, "do_not_call_campaign"),
        (block, "blocked"),
        (close_the_hours, "hours"),
        (move_the_contact, "hours"),
        (have_no_hours, "no_hours"),
        (find_it_bad, "bad_number"),
        (finish_the_lead, "finished"),
        (take_the_list_out, "finished"),
        (change_the_number, "not_their_number"),
        (give_it_to_another, "not_their_number"),
        (call_it_elsewhere, None),
        (be_calling_it_elsewhere, "number_live"),
        (be_calling_them_at_work, "contact_live"),
        (cap(number_per_day=1), "number_per_day"),
        (cap(number_per_24h=1), "number_per_24h"),
        (cap(gap_s=1000.0), "gap"),
        (cap(gap_s=500.0, number_per_day=2), None),
        (cap_of_the_centre, "number_per_day"),
        (try_too_often, "tried"),
        (lose_the_lists, "cannot_be_checked"),
        (break_the_settings, "cannot_be_checked"),
        (break_the_centre, "cannot_be_checked"),
    ],
)
async def test_what_changed_since_the_lead_was_fetched_is_seen(
    journal: Journal,
    campaign: Campaign,
    db: sqlite3.Connection,
    call_for: MakeCall,
    wrong: Callable[[sqlite3.Connection, Campaign], None] | None,
    rule: str | None,
) -> None:
    lead = await first_lead(journal, campaign)
    if wrong is not None:
        wrong(db, campaign)
    call = call_for(lead, created_at=NOON, ordinal=db.execute("SELECT ordinal + 1 FROM leads").fetchone()[0])
    assert await rule_of(journal, call) == rule
    saved = db.execute("SELECT count(*) FROM attempts WHERE attempt = ?", (call.attempt,)).fetchone()[0]
    assert saved == (rule is None)


@pytest.mark.parametrize(
    ("number", "zone", "assumed", "rule"),
    [
        ("+70000000001", "", "", "unknown_zone"),
        ("+70000000001", "", "Europe/Moscow", None),
        ("+70000000001", "Europe/Moscow", "", None),
        ("+79160000001", "Nowhere/Land", "", "no_hours"),
    ],
)
async def test_nobody_is_called_who_may_be_anywhere(
    journal: Journal,
    campaign: Campaign,
    db: sqlite3.Connection,
    call_for: MakeCall,
    number: str,
    zone: str,
    assumed: str,
    rule: str | None,
) -> None:
    db.execute("UPDATE phones SET number = ? WHERE id = 1", (number,))
    db.execute("UPDATE contacts SET zone = ? WHERE id = 1", (zone,))
    lead = await first_lead(journal, campaign)
    hours = CallingHours(
        kinds={"default": (DayHours(days=(4,), stretches=((660, 780),)),)}, unknown_zone=assumed
    )
    change(db, campaign, hours=hours)
    assert await rule_of(journal, call_for(lead, created_at=NOON)) == rule


@pytest.mark.parametrize(
    "changes",
    [
        {"lead": LeadId(99)},
        {"contact": ContactId(2)},
        {"phone": PhoneId(3)},
        {"campaign": CampaignId("autumn")},
        {"campaign": CampaignId("nowhere")},
        {"number": "+79160000002"},
        {"contact": ContactId(2), "phone": PhoneId(3), "number": "+79160000002"},
    ],
)
async def test_an_attempt_that_fits_together_with_nothing(
    journal: Journal,
    campaign: Campaign,
    db: sqlite3.Connection,
    call_for: MakeCall,
    changes: dict[str, object],
) -> None:
    settings.apply_campaign(db, replace(campaign, id=CampaignId("autumn")), 3.0)
    lead = await first_lead(journal, campaign)
    call = replace(call_for(lead, created_at=NOON), **changes)
    assert await rule_of(journal, call) in {"no_lead", "not_their_number"}


async def test_of_two_calls_of_one_decision_the_second_counts_the_first(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    change(db, campaign, caps=Caps(contact_per_day=1))
    settings.apply_campaign(db, replace(campaign, id=CampaignId("autumn"), caps=Caps(contact_per_day=1)), 3.0)
    leads.enroll(db, CampaignId("autumn"), 3.0)
    here = await first_lead(journal, campaign)
    there = (await journal.fetch_leads(replace(campaign, id=CampaignId("autumn")), 1, NOON))[0][0]
    assert here.contact == there.contact
    work = there.phones[1]
    first = call_for(here, 1, created_at=NOON)
    second = call_for(there, 2, created_at=NOON, phone=work.id, number=work.number)
    with pytest.raises(CallForbidden) as caught:
        await journal.save([], [SaveCall(call=first), SaveCall(call=second)])
    assert caught.value.rules == {second.attempt: "contact_live"}
    assert db.execute("SELECT count(*) FROM attempts").fetchone() == (0,)


async def test_what_was_saved_once_is_not_asked_again(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    """A conversation goes on when its hours are over, and its end is written."""
    lead = await first_lead(journal, campaign)
    call = call_for(lead, created_at=NOON)
    await journal.save([], [SaveCall(call=call)])
    put_on_list(db, campaign)
    close_the_hours(db, campaign)
    await journal.save([], [SaveCall(call=replace(call, state=CallState.RINGING))])
    await journal.save([], [SaveCall(call=replace(call, state=CallState.ENDED, result=Result.NO_ANSWER))])
    assert db.execute("SELECT result FROM attempts").fetchall() == [("no_answer",)]


async def test_what_is_put_on_the_list_in_the_same_breath(
    journal: Journal, campaign: Campaign, call_for: MakeCall
) -> None:
    """Whatever the order of commands: an operator's word and the next call are one transaction."""
    lead = await first_lead(journal, campaign)
    call = call_for(lead, created_at=NOON)
    wish = SaveDoNotCall(number=call.number, campaign=None, source="ann", at=NOON)
    with pytest.raises(CallForbidden):
        await journal.save([], [SaveCall(call=call), wish])
    await journal.save([], [wish])
    assert await rule_of(journal, call) == "do_not_call"


async def test_a_do_not_call_that_makes_no_sense_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalRefused, match="cannot stand on"):
        await journal.save([], [SaveDoNotCall(number="12", campaign=None, source="", at=5.0)])
    wrong = SaveDoNotCall(number="+79160000001", campaign=CampaignId("no"), source="", at=5.0)
    with pytest.raises(JournalRefused, match="no campaign 'no'"):
        await journal.save([], [wrong])


async def test_on_a_disk_that_lost_the_lists_nobody_is_dialed_and_the_rest_is_written(
    path: Path, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    async with await Journal.open(path) as journal:
        lead = await first_lead(journal, campaign)
    dnc.add(db, "+44*", at=5.0)
    pages = db.execute("SELECT rootpage FROM sqlite_master WHERE name LIKE 'do_not_call_%'").fetchall()
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with path.open("r+b") as file:
        for (page,) in pages:
            file.seek((page - 1) * size)
            file.write(b"\x5a" * size)
    async with await Journal.open(path) as journal:
        assert await rule_of(journal, call_for(lead, created_at=NOON)) == "cannot_be_checked"
        await journal.save([], [SaveLead(lead=lead.id, ordinal=0, due=60.0, why="failed", at=5.0)])


async def test_one_number_is_never_live_twice_whoever_writes(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    await journal.save([], [SaveCall(call=call_for(await first_lead(journal, campaign), created_at=NOON))])
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(
            "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at)"
            " VALUES ('x', 'spring', 2, 2, 3, '+79160000001', 1, 'north', 'dialing', 1)"
        )


async def test_a_call_that_was_never_placed_takes_up_no_finished_lead(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection
) -> None:
    """The floor tells that its lead is due in a minute; that it is finished may be why it was refused."""
    finish_the_lead(db, campaign)
    await journal.save([], [SaveLead(lead=LeadId(1), ordinal=0, due=60.0, why="failed", at=5.0)])
    assert db.execute("SELECT due, finished FROM leads WHERE id = 1").fetchone() == (None, "order")
    await journal.save([], [SaveLead(lead=LeadId(2), ordinal=0, due=60.0, why="failed", at=5.0)])
    assert db.execute("SELECT due FROM leads WHERE id = 2").fetchone() == (60.0,)


async def test_a_promised_call_takes_a_finished_lead_up(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection
) -> None:
    finish_the_lead(db, campaign)
    await journal.save([], [SaveCallback(lead=LeadId(1), due=500.0, owner=None, at=5.0)])
    lead = await first_lead(journal, campaign, 500.0)
    assert (lead.id, lead.is_promised, lead.owner) == (1, True, None)
    with pytest.raises(JournalRefused, match="no lead 99"):
        await journal.save([], [SaveCallback(lead=LeadId(99), due=500.0, owner=None, at=5.0)])
    take_the_list_out(db, campaign)
    with pytest.raises(JournalRefused, match="list is called no more"):
        await journal.save([], [SaveCallback(lead=LeadId(2), due=500.0, owner=None, at=5.0)])


def test_the_names_of_attempts_are_told(campaign: Campaign) -> None:
    refusal = CallForbidden({AttemptId("a1"): "hours"})
    assert "a1 (hours)" in str(refusal)


async def test_a_lead_that_is_promised_for_later_is_not_dialed_from_what_was_at_hand(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    lead = await first_lead(journal, campaign)
    await journal.save([], [SaveCallback(lead=lead.id, due=NOON + 600, owner=None, at=NOON)])
    assert await rule_of(journal, call_for(lead, 1, created_at=NOON)) == "not_due"
    assert await rule_of(journal, call_for(lead, 2, created_at=NOON + 600)) is None


async def test_a_card_that_waits_for_its_owner_is_dialed_for_nobody_else(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    change(db, campaign, owners=Owners(away="wait", wait_s=600.0))
    lead = await first_lead(journal, campaign)
    await journal.save([], [SaveCallback(lead=lead.id, due=NOON, owner=AgentId("ann"), at=NOON)])
    assert await rule_of(journal, call_for(lead, 1, created_at=NOON)) == "owner_away"
    assert await rule_of(journal, call_for(lead, 1, created_at=NOON, agent=AgentId("bob"))) == "owner_away"
    assert await rule_of(journal, call_for(lead, 2, created_at=NOON, agent=AgentId("ann"))) is None


@pytest.mark.parametrize(("behind_s", "rule"), [(3 * 3600.0, "hours"), (0.0, None), (-60.0, None)])
async def test_what_hour_it_is_the_machines_clock_says_when_it_was_set_back(
    path: Path,
    campaign: Campaign,
    db: sqlite3.Connection,
    call_for: MakeCall,
    behind_s: float,
    rule: str | None,
) -> None:
    """The engine's own clock never goes back: for hours it would call people earlier than they may be called."""
    from_noon = CallingHours(kinds={"default": (DayHours(days=tuple(range(7)), stretches=((720, 1080),)),)})
    change(db, campaign, hours=from_noon)
    db.execute("UPDATE contacts SET zone = 'Europe/Moscow'")
    async with await Journal.open(path) as journal:
        lead = await first_lead(journal, campaign)
    async with await Journal.open(path, wall=lambda: NOON - behind_s) as journal:
        assert await rule_of(journal, call_for(lead, created_at=NOON)) == rule
        found, _, _ = await journal.fetch_leads(campaign, 5, NOON)
        assert [one.id for one in found] == ([] if rule else [2, 3])
