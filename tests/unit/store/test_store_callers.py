"""Whose card a person has who calls us; and that calls to us are none of ours in what is counted and asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from dialer.core.commands import SaveCall, SaveLead
from dialer.core.ids import AgentId, AttemptId, CampaignId
from dialer.core.incoming import Inbound
from dialer.core.values import Call, CallState, Campaign, Caps, Result
from dialer.store import board, callers, contacts, dnc, figures, leads, questions, settings
from dialer.store.calendar import Calendar
from dialer.store.connect import transaction
from dialer.store.contacts import NewContact, add_contacts, begin_import
from dialer.store.guard import Guard
from dialer.store.journal import Journal
from dialer.store.questions import Filter
from dialer.store.rows import INSERT_CALL, call_to_row
from dialer.store.writing import write

CALENDAR = Calendar()
AT = 1_781_254_800.0
"""Friday, 12 June 2026, 12:00 in Moscow."""
ANN = "+79160000001"
Made = Callable[..., Call]


def find(db: sqlite3.Connection, campaign: Campaign, caller: str, at: float = AT) -> callers.Caller:
    return callers.find_caller(db, CALENDAR, campaign, caller, at, "RU")


def count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def their(call: Call, **changes: Any) -> Call:
    """*call* as one that the person made to us."""
    fields: dict[str, Any] = {
        "direction": "in",
        "state": CallState.ENDED,
        "ordinal": call.ordinal - 1,
        "did": "+74950000001",
        "answered_at": call.created_at,
        "ended_at": call.created_at + 30.0,
        "result": Result.MISSED,
    }
    return replace(call, **(fields | changes))


# -- how carriers write a caller ------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+79160000001", ANN),
        ("79160000001", ANN),
        ("89160000001", ANN),
        ("9160000001", ANN),
        ("493012345678", "+493012345678"),
        ("+493012345678", "+493012345678"),
        ("", ""),
        ("101", ""),
        ("0000000000", ""),
        ("123456789012345678901234", ""),
    ],
)
def test_a_number_is_read_as_the_region_writes_it(text: str, number: str) -> None:
    assert callers.e164(text, "RU") == number


# -- whose card it is -------------------------------------------------------------------------


def test_a_known_number_is_the_contacts_lead(db: sqlite3.Connection, campaign: Campaign) -> None:
    found = find(db, campaign, "89160000001")
    assert (found.number, found.lead.id, found.lead.contact, found.phone) == (ANN, 1, 1, 1)
    assert found.lead.finished == ""
    work = find(db, campaign, "+74950000001")
    assert (work.lead.id, work.phone) == (1, 2)
    assert count(db, "contacts") == 3


def test_an_unknown_number_opens_one_card_for_good(db: sqlite3.Connection, campaign: Campaign) -> None:
    first, again = find(db, campaign, "+79260000009"), find(db, campaign, "89260000009", AT + 60)
    assert first.lead.id == again.lead.id
    assert first.lead.finished == again.lead.finished == callers.CALLED_US
    row = db.execute(
        "SELECT list, key, name, class FROM contacts WHERE id = ?", (first.lead.contact,)
    ).fetchone()
    assert tuple(row)[:3] == ("people", "n:+79260000009", "")
    assert row[3] != 0
    assert (count(db, "contacts"), count(db, "leads")) == (4, 4)
    assert not db.execute("SELECT 1 FROM leads WHERE id = ? AND due IS NOT NULL", (first.lead.id,)).fetchone()


@pytest.mark.parametrize("number", ["+78091234567", "88091234567", "+447012345678", "+19002345678"])
def test_a_number_that_is_shown_to_be_called_back_at_our_cost_opens_no_card(
    db: sqlite3.Connection, campaign: Campaign, number: str
) -> None:
    found = find(db, campaign, number)
    assert found.number == ""
    assert found.lead.id == find(db, campaign, "anonymous").lead.id
    assert [
        tuple(row) for row in db.execute("SELECT number, is_bad FROM phones WHERE id = ?", (found.phone,))
    ] == [("", 1)]


def test_who_has_such_a_number_in_our_lists_is_known_by_it(
    db: sqlite3.Connection, campaign: Campaign
) -> None:
    number = begin_import(db, "people", "file", 1.0)
    add_contacts(
        db,
        "people",
        number,
        [NewContact(key="n:x", name="Olga", fields="{}", line=2, phones=[("main", "+78091234567")])],
        1.0,
    )
    assert find(db, campaign, "88091234567").number == "+78091234567"
    assert find(db, campaign, "+78091234567").number == "+78091234567"


def test_an_import_of_that_number_adds_nobody(db: sqlite3.Connection, campaign: Campaign) -> None:
    find(db, campaign, "+79260000009")
    number = begin_import(db, "people", "file", AT)
    new = NewContact(key="n:+79260000009", name="", fields="{}", line=2, phones=[("main", "+79260000009")])
    assert add_contacts(db, "people", number, [new], AT) == 0


def test_the_name_is_known_from_another_list(db: sqlite3.Connection, campaign: Campaign) -> None:
    number = begin_import(db, "others", "file", 1.0)
    other = NewContact(key="n:x", name="Olga", fields="{}", line=2, phones=[("main", "+79260000009")])
    add_contacts(db, "others", number, [other], 1.0)
    found = find(db, campaign, "+79260000009")
    assert contacts.show_contact(db, found.lead.contact)["name"] == "Olga"
    assert contacts.show_contact(db, found.lead.contact)["list"] == "people"


def test_the_cards_list_is_the_sections_and_the_campaigns_too(
    db: sqlite3.Connection, campaign: Campaign
) -> None:
    changed = replace(campaign, inbound=Inbound(numbers=("+74950000001",), list="callers"))
    settings.apply_campaign(db, changed, 10.0)
    found = find(db, changed, "+79260000009")
    assert contacts.show_contact(db, found.lead.contact)["list"] == "callers"
    save = SaveLead(lead=found.lead.id, ordinal=0, due=AT + 60.0, is_promised=True, why="missed", at=AT)
    settings.apply_campaign(db, changed, 20.0)
    with transaction(db):
        write(db, [], [save], Guard(CALENDAR))
    row = db.execute("SELECT due, finished FROM leads WHERE id = ?", (found.lead.id,)).fetchone()
    assert tuple(row) == (AT + 60.0, None)


def test_a_contact_that_is_not_enrolled_yet_gets_its_lead(
    db: sqlite3.Connection, campaign: Campaign, more_contacts: Callable[..., None]
) -> None:
    more_contacts(1)
    found = find(db, campaign, "+79160000004")
    assert (found.lead.contact, found.lead.finished, found.lead.due) == (4, "", 0.0)
    assert leads.enroll(db, campaign.id, AT) == 0
    assert count(db, "leads") == 4


def test_of_two_contacts_with_one_number_it_is_who_was_called_last(
    db: sqlite3.Connection, campaign: Campaign, call_for: Made
) -> None:
    with transaction(db):
        db.execute("INSERT INTO phones (contact, position, kind, number) VALUES (2, 5, 'work', ?)", (ANN,))
    assert find(db, campaign, ANN).lead.id == 1
    lead = find(db, campaign, "+79160000002").lead
    db.execute(INSERT_CALL, call_to_row(call_for(lead, state=CallState.ENDED, result=Result.BUSY)))
    assert find(db, campaign, ANN).lead.id == 2


def test_those_who_withhold_their_number_share_a_card_that_is_never_dialed(
    db: sqlite3.Connection, campaign: Campaign, ids: Callable[..., list[int]]
) -> None:
    first, second = find(db, campaign, ""), find(db, campaign, "101")
    assert first.number == second.number == ""
    assert first.lead.id == second.lead.id
    with transaction(db):  # somebody promises them a call all the same
        db.execute("UPDATE leads SET due = 0, finished = NULL WHERE id = ?", (first.lead.id,))
    assert first.lead.id not in ids(AT)


def test_a_second_campaign_of_the_list_shares_that_card(db: sqlite3.Connection, campaign: Campaign) -> None:
    other = replace(campaign, id=CampaignId("autumn"))
    settings.apply_campaign(db, other, 10.0)
    first, second = find(db, campaign, ""), find(db, other, "")
    assert first.lead.contact == second.lead.contact
    assert first.lead.id != second.lead.id


def test_who_spoke_with_them_last_is_told_whatever_the_campaign(
    db: sqlite3.Connection, campaign: Campaign, call_for: Made
) -> None:
    lead = find(db, campaign, ANN).lead
    assert find(db, campaign, ANN).last_operator is None
    for serial, agent in ((1, "ann"), (2, "bob")):
        spoke = call_for(
            lead,
            serial,
            state=CallState.ENDED,
            result=Result.TALKED,
            agent=agent,
            connected_at=200.0,
            created_at=100.0 * serial,
            ordinal=serial,
        )
        db.execute(INSERT_CALL, call_to_row(spoke))
    found = find(db, campaign, ANN)
    assert found.last_operator == AgentId("bob")


def test_who_is_on_a_list_of_those_not_to_be_called_may_call(
    db: sqlite3.Connection, campaign: Campaign
) -> None:
    with transaction(db):
        dnc.add_here(db, [ANN], campaign=None, source="test", at=AT)
    assert find(db, campaign, ANN).lead.id == 1


# -- hours ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "hours", "holidays", "is_open"),
    [
        (AT, (), (), True),
        (AT, ("mon-fri 09:00-18:00",), (), True),
        (AT + 6 * 3600.0, ("mon-fri 09:00-18:00",), (), False),
        (AT + 6 * 3600.0 - 1.0, ("mon-fri 09:00-18:00",), (), True),
        (AT + 86_400.0, ("mon-fri 09:00-18:00",), (), False),
        (AT + 86_400.0, ("mon-fri 09:00-18:00", "sat 10:00-14:00"), (), True),
        (AT, ("mon-fri 09:00-18:00",), ("2026-06-12",), False),
        (AT, (), ("2026-06-12",), False),
    ],
)
def test_hours_are_those_of_the_centre(
    at: float, hours: tuple[str, ...], holidays: tuple[str, ...], is_open: bool
) -> None:
    rules = Inbound(numbers=("1",), hours=hours, holidays=holidays, zone="Europe/Moscow")
    assert callers.is_open(CALENDAR, rules, at) is is_open


# -- what is counted and asked ------------------------------------------------------------------


async def test_the_last_look_is_for_calls_that_we_place(
    journal: Journal, db: sqlite3.Connection, campaign: Campaign, call_for: Made
) -> None:
    with transaction(db):
        dnc.add_here(db, [ANN], campaign=None, source="test", at=AT)
    found = await journal.find_caller(campaign, ANN, AT, "RU")
    call = their(call_for(found.lead), state=CallState.ANSWERED, result=None, ended_at=None)
    await journal.save([], [SaveCall(call=call)])
    second = replace(call, attempt=AttemptId("a" + "9" * 20))  # a switchboard may call twice at once
    await journal.save([], [SaveCall(call=second)])
    assert count(db, "attempts") == 2


async def test_who_is_on_the_line_to_us_is_not_dialed(
    journal: Journal, campaign: Campaign, call_for: Made, ids: Callable[..., list[int]]
) -> None:
    assert ids(AT) == [1, 2, 3]
    found = await journal.find_caller(campaign, ANN, AT, "RU")
    call = their(call_for(found.lead), state=CallState.ANSWERED, result=None, ended_at=None)
    await journal.save([], [SaveCall(call=call)])
    assert ids(AT) == [2, 3]


async def test_it_uses_up_no_ordinal_no_attempt_and_no_cap(
    journal: Journal, campaign: Campaign, call_for: Made, fetch: Callable[..., Any], db: sqlite3.Connection
) -> None:
    settings.apply_campaign(db, replace(campaign, attempts=1, caps=Caps(number_per_24h=1, gap_s=600.0)), 10.0)
    found = await journal.find_caller(campaign, ANN, AT, "RU")
    ours = call_for(found.lead, 1)
    for serial in (5, 6):
        call = replace(their(ours), attempt=AttemptId(f"a{serial:020}"), created_at=AT - 10.0 * serial)
        save = SaveLead(lead=found.lead.id, ordinal=0, due=AT - 1.0, is_promised=True, why="missed", at=AT)
        await journal.save([], [SaveCall(call=call), save])
    leads_, _, _ = fetch(AT)
    (one,) = [one for one in leads_ if one.id == found.lead.id]
    assert (one.ordinal, one.phones[0].tried, one.held) == (0, (), None)
    assert one.phones[0].held is None
    await journal.save([], [SaveCall(call=replace(ours, created_at=AT))])


async def test_a_call_in_settles_the_lead_though_ours_was_counted_since(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection
) -> None:
    ours = SaveLead(lead=1, ordinal=1, due=AT + 180.0, why="busy", at=AT)  # type: ignore[arg-type]
    theirs = SaveLead(lead=1, ordinal=0, due=None, finished="order", why="order", at=AT, is_call_in=True)  # type: ignore[arg-type]
    await journal.save([], [ours, theirs])
    row = db.execute("SELECT ordinal, due, finished FROM leads WHERE id = 1").fetchone()
    assert tuple(row) == (1, None, "order")


async def test_a_live_call_in_is_taken_up_with_its_lead_as_it_is(
    journal: Journal, campaign: Campaign, call_for: Made
) -> None:
    new = await journal.find_caller(campaign, "+79260000009", AT, "RU")
    call = their(call_for(new.lead), state=CallState.ANSWERED, result=None, ended_at=None)
    await journal.save([], [SaveCall(call=call)])
    (open_,) = (await journal.load()).open
    assert open_.call == call
    assert (open_.lead.finished, open_.lead.ordinal) == (callers.CALLED_US, 0)


def report(db: sqlite3.Connection) -> dict[str, Any]:
    (row,) = figures.campaigns(db)
    return row


async def test_reports_of_our_calls_are_not_distorted(
    journal: Journal, db: sqlite3.Connection, campaign: Campaign, call_for: Made
) -> None:
    found = await journal.find_caller(campaign, ANN, AT, "RU")
    before = report(db)
    missed = their(call_for(found.lead, 5, created_at=AT))
    talked = replace(
        missed,
        attempt=AttemptId("a" + "6" * 20),
        result=Result.TALKED,
        agent=AgentId("ann"),
        connected_at=AT + 12.0,
        ended_at=AT + 30.0,
    )
    await journal.save([], [SaveCall(call=missed), SaveCall(call=talked)])
    after = report(db)
    assert (after["calls_in"], after["calls_in_talked"], after["missed"]) == (2, 1, 1)
    assert after["calls_in_wait_s_mean"] == 12.0
    of_theirs = {"calls_in", "calls_in_talked", "missed", "calls_in_wait_s_mean"}
    assert {k: v for k, v in after.items() if k not in of_theirs} == {
        k: v for k, v in before.items() if k not in of_theirs
    }
    assert figures.campaign_results(db, "spring") == []
    assert figures.campaign_hours(db, "spring") == []
    shown = board.moment(db, AT + 60.0, AT)
    assert shown["last_minute"]["attempts"] == shown["last_minute"]["answered"] == 0
    assert shown["results"] == {"missed": 1}
    assert shown["abandoned_share"] is None
    summary = db.execute(
        "SELECT attempts, answered, calls_in, calls_in_missed FROM campaign_summary"
    ).fetchone()
    assert tuple(summary) == (0, 0, 2, 1)


async def test_listings_tell_who_called_whom(
    journal: Journal, db: sqlite3.Connection, campaign: Campaign, call_for: Made
) -> None:
    found = await journal.find_caller(campaign, ANN, AT, "RU")
    ours = call_for(found.lead, 1, state=CallState.ENDED, result=Result.BUSY, ended_at=150.0)
    await journal.save(
        [], [SaveCall(call=ours), SaveCall(call=their(call_for(found.lead, 5, created_at=AT)))]
    )
    rows = questions.attempts(db, Filter()).rows
    assert [(row["direction"], row["did"]) for row in rows] == [("out", ""), ("in", "+74950000001")]
    assert [row["ring_s"] for row in rows] == [50.0, None]
    assert len(questions.attempts(db, Filter(direction="in")).rows) == 1
    shown = contacts.show_contact(db, found.lead.contact)
    assert [row["direction"] for row in shown["attempts"]] == ["out", "in"]
    (listed,) = contacts.find_contacts(db, number=ANN)
    assert listed["attempts"] == 1
