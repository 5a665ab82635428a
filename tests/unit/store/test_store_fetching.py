"""What the hopper is given: those who may be dialed now, and nobody is looked at in vain a second time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dialer.core.commands import SaveCall, SaveLead
from dialer.core.ids import AgentId, CampaignId, LeadId
from dialer.core.values import FOREVER, Call, CallingHours, Campaign, Caps, Centre, DayHours, Owners
from dialer.store import classes, dnc, facts, fetching, settings
from dialer.store.calendar import Calendar
from dialer.store.connect import open_reader, open_writer
from dialer.store.contacts import NewContact, add_contacts, begin_import
from dialer.store.fetching import Question, fetch_leads
from dialer.store.journal import Journal
from dialer.store.leads import enroll

NOON = 1_781_254_800.0
"""Friday, 12 June 2026, 12:00 in Moscow."""
HOUR = 3600.0
NINE_TO_SIX = CallingHours(kinds={"default": (DayHours(days=tuple(range(7)), stretches=((540, 1080),)),)})
MORNINGS = CallingHours(kinds={"default": (DayHours(days=tuple(range(7)), stretches=((540, 600),)),)})
Fetch = Callable[..., Any]
Ids = Callable[..., list[int]]
MakeCall = Callable[..., Call]


def change(db: sqlite3.Connection, campaign: Campaign, **changes: object) -> Campaign:
    changed = replace(campaign, **changes)
    settings.apply_campaign(db, changed, 10.0)
    return changed


def row(db: sqlite3.Connection, lead: int) -> Any:
    return db.execute("SELECT due, finished, held FROM leads WHERE id = ?", (lead,)).fetchone()


def people_in(db: sqlite3.Connection, zones: list[str], name: str = "people") -> None:
    """A contact with one number in each of these zones, imported and enrolled."""
    number = begin_import(db, name, "file", 1.0)
    first = db.execute("SELECT count(*) FROM contacts").fetchone()[0]
    add_contacts(
        db,
        name,
        number,
        [
            NewContact(
                key=f"z:{first + place}",
                name="",
                fields="{}",
                line=place,
                phones=[("mobile", f"+7911{first + place:07}")],
                zone=zone,
            )
            for place, zone in enumerate(zones)
        ],
        1.0,
    )
    for (campaign,) in db.execute("SELECT id FROM campaigns").fetchall():
        enroll(db, campaign, 2.0)


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The leads whose facts are asked for from now on."""
    seen: list[int] = []
    real = facts.Facts.lead

    def lead(self: facts.Facts, row: facts.Row) -> Any:
        seen.append(row[0])
        return real(self, row)

    monkeypatch.setattr(facts.Facts, "lead", lead)
    return seen


# -- classes ------------------------------------------------------------------------------


def test_contacts_of_a_kind_and_zone_are_of_one_class(db: sqlite3.Connection) -> None:
    people_in(db, ["Europe/Moscow", "Asia/Omsk", "Europe/Moscow", ""])
    found = [one[0] for one in db.execute("SELECT class FROM contacts WHERE id > 3 ORDER BY id")]
    assert found[0] == found[2]
    assert len(set(found)) == 3
    assert 0 not in found
    leads = [one[0] for one in db.execute("SELECT class FROM leads WHERE id > 3 ORDER BY id")]
    assert leads == found
    text = db.execute("SELECT phones FROM calling_classes WHERE id = ?", (found[0],)).fetchone()[0]
    assert text == '[["mobile",["Europe/Moscow"]]]'


def test_who_sleeps_is_not_even_looked_at(
    db: sqlite3.Connection, campaign: Campaign, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_in(db, ["Asia/Vladivostok"] * 5 + ["Europe/Moscow"] * 2)
    db.execute("DELETE FROM leads WHERE id <= 3")
    change(db, campaign, hours=NINE_TO_SIX)
    seen = looked_at(monkeypatch)
    assert ids(NOON) == [9, 10]
    assert seen == [9, 10]
    assert ids(NOON - 5 * HOUR) == [4, 5, 6, 7, 8]


def test_what_is_of_no_class_is_judged_all_the_same(
    db: sqlite3.Connection, campaign: Campaign, ids: Ids
) -> None:
    """Contacts that another program put in."""
    db.execute("UPDATE contacts SET zone = iif(id = 2, 'Europe/Moscow', 'Asia/Vladivostok')")
    change(db, campaign, hours=NINE_TO_SIX)
    assert ids(NOON) == [2]


def test_an_old_journals_contacts_are_given_their_class(db: sqlite3.Connection) -> None:
    db.execute("UPDATE contacts SET zone = 'Asia/Omsk' WHERE id = 2")
    assert classes.fill(db, Calendar()) == 3
    found = db.execute(
        "SELECT contacts.id, phones FROM contacts JOIN calling_classes ON calling_classes.id = contacts.class"
    ).fetchall()
    assert dict(found)[2] == '[["mobile",["Asia/Omsk"]],["work",["Asia/Omsk"]]]'
    assert dict(found)[1] == dict(found)[3]
    assert dict(found)[1].endswith('["work",["Europe/Moscow"]]]')
    assert db.execute("SELECT count(DISTINCT class) FROM leads").fetchone() == (2,)
    assert classes.fill(db, Calendar()) == 0


def test_the_order_is_kept_over_all_classes(db: sqlite3.Connection, campaign: Campaign, ids: Ids) -> None:
    people_in(db, ["Europe/Moscow", "Europe/Samara"] * 40)
    db.execute("UPDATE leads SET priority = 1, due = 1000.0 - id WHERE id IN (10, 21, 32)")
    db.execute("UPDATE leads SET priority = 0, due = 900.0 WHERE id = 77")
    expected = [77, 32, 21, 10, *(n for n in range(1, 84) if n not in (77, 32, 21, 10))]
    assert ids(NOON, limit=100) == expected
    assert ids(NOON, limit=7) == expected[:7]


def test_a_step_looks_at_few_and_the_answer_is_whole(
    db: sqlite3.Connection, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two steps another writer may do what it likes; nothing comes twice."""
    people_in(db, ["Europe/Moscow", "Europe/Samara"] * 60)
    monkeypatch.setattr(fetching, "STEP_ROWS", 10)
    question = Question(Calendar(), campaign, 100, NOON)
    steps = 0
    while not question.step(db):
        steps += 1
        assert len(question.leads) <= 10 * steps
        assert not db.in_transaction
        db.execute("UPDATE leads SET due = due + 1 WHERE id = ?", (question.leads[-1].id,))
    assert [lead.id for lead in question.leads] == list(range(1, 101))
    assert steps >= 9


# -- putting off --------------------------------------------------------------------------


def test_who_may_not_be_dialed_is_put_off_once_and_comes_when_it_is_time(
    db: sqlite3.Connection, campaign: Campaign, fetch: Fetch, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a class that is open by the other phone's hours, which is known to be bad."""
    hours = CallingHours(
        kinds={
            "mobile": (DayHours(days=tuple(range(7)), stretches=((0, 1440),)),),
            "work": (DayHours(days=tuple(range(7)), stretches=((840, 1080),)),),
        }
    )
    change(db, campaign, hours=hours)
    classes.fill(db)
    db.execute("UPDATE phones SET is_bad = 1 WHERE kind = 'mobile' AND contact < 3")
    seen = looked_at(monkeypatch)
    assert ids(NOON) == [3]
    assert row(db, 1) == (NOON + 2 * HOUR, None, "hours")
    seen.clear()
    assert ids(NOON + 1.0) == [3]
    assert seen == [3]
    found = fetch(NOON + 2 * HOUR)
    assert sorted(lead.id for lead in found[0]) == [1, 2, 3]
    states = db.execute("SELECT at, due, held, why FROM lead_states WHERE lead = 1").fetchall()
    assert states == [(NOON, NOON + 2 * HOUR, "hours", "hours")]


@pytest.mark.parametrize(
    ("sql", "finished", "held"),
    [
        ("UPDATE phones SET is_bad = 1 WHERE contact = 1", "no_number_left", "bad_number"),
        ("UPDATE contacts SET zone = 'No/Where' WHERE id = 1", "no_hours", "no_hours"),
        ("UPDATE phones SET number = '+7000000000' || id WHERE contact = 1", "unknown_zone", "unknown_zone"),
    ],
)
def test_who_never_may_be_dialed_is_finished(
    db: sqlite3.Connection, campaign: Campaign, ids: Ids, sql: str, finished: str, held: str
) -> None:
    hours = CallingHours(kinds={"default": (DayHours(days=tuple(range(7)), stretches=((0, 1440),)),)})
    change(db, campaign, hours=hours)
    db.execute(sql)
    assert ids(NOON) == [2, 3]
    assert row(db, 1) == (None, finished, held)


def test_all_finished_is_told(db: sqlite3.Connection, campaign: Campaign, fetch: Fetch) -> None:
    dnc.add(db, "+7*", at=5.0)
    assert fetch(NOON) == ([], False, False)


def test_a_cap_puts_off_until_it_ends(
    db: sqlite3.Connection, campaign: Campaign, fetch: Fetch, ids: Ids
) -> None:
    """The calls of another campaign count."""
    change(db, campaign, caps=Caps(contact_per_24h=1))
    db.execute(
        "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at,"
        " result) VALUES ('x', 'spring', 1, 1, 1, '+79160000001', 9, 'north', 'ended', ?, 'busy')",
        (NOON - HOUR,),
    )
    assert ids(NOON) == [2, 3]
    assert row(db, 1) == (NOON + 23 * HOUR, None, "contact_per_24h")
    assert ids(NOON + 23 * HOUR)[-1] == 1


@pytest.mark.parametrize("what", ["campaign", "centre"])
def test_other_rules_let_loose_what_the_old_ones_held(
    db: sqlite3.Connection, campaign: Campaign, ids: Ids, what: str
) -> None:
    db.execute(
        "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at,"
        " result) VALUES ('x', 'spring', 1, 1, 1, '+79160000001', 9, 'north', 'ended', ?, 'busy')",
        (NOON - HOUR,),
    )
    db.execute("UPDATE leads SET due = 77.0, priority = 1 WHERE id = 1")
    if what == "campaign":
        change(db, campaign, caps=Caps(contact_per_24h=1))
    else:
        assert settings.apply_centre(db, Centre(caps=Caps(contact_per_24h=1)), 10.0)
        assert not settings.apply_centre(db, Centre(caps=Caps(contact_per_24h=1)), 11.0)
    assert ids(NOON) == [2, 3]
    if what == "campaign":
        change(db, campaign, caps=Caps(contact_per_24h=2))
    else:
        settings.apply_centre(db, Centre(), 12.0)
    assert ids(NOON + 1) == [1, 2, 3]
    assert row(db, 1) == (77.0, None, None)


def test_another_title_lets_nothing_loose(db: sqlite3.Connection, campaign: Campaign, ids: Ids) -> None:
    dnc.add_chunk(db, ["+7*"], at=5.0)
    assert ids(NOON) == []
    change(db, campaign, title="Spring!", ring_s=12.0)
    ids(NOON)
    assert row(db, 1)[1] == "do_not_call"


def test_letting_loose_comes_in_pieces_and_says_so(
    db: sqlite3.Connection, campaign: Campaign, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "LOOSE_ROWS", 2)
    dnc.add(db, "+7*", at=5.0)
    fetch(NOON)
    dnc.remove(db, "+7*", at=6.0)
    found, unfinished, is_partial = fetch(NOON)
    assert (len(found), unfinished, is_partial) == (2, True, True)
    found, _, is_partial = fetch(NOON)
    assert (len(found), is_partial) == (3, False)


def test_one_question_looks_at_so_many_in_vain_and_asks_to_be_asked_again(
    db: sqlite3.Connection, campaign: Campaign, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "LOOKED_MAX", 2)
    dnc.add(db, "+7916*", at=5.0)
    dnc.add(db, "+7495*", at=5.0)
    db.execute("UPDATE phones SET number = '+442070000001' WHERE id = 6")
    assert fetch(NOON) == ([], True, True)
    found, _, is_partial = fetch(NOON)
    assert [lead.id for lead in found] == [3]
    assert not is_partial


def test_a_lock_or_a_full_disk_does_not_lose_the_answer(
    db: sqlite3.Connection, campaign: Campaign, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is put off then, and the hopper is not told to ask again at once, or it would for ever."""
    monkeypatch.setattr(fetching, "LOOKED_MAX", 2)
    dnc.add_chunk(db, ["+79160000001", "+74950000002", "+7916*"], at=5.0)
    db.execute("UPDATE phones SET is_bad = 1 WHERE kind = 'work' AND contact = 1")
    reader = open_reader(path)
    db.execute("UPDATE leads SET due = 0.0, finished = NULL, held = NULL, held_due = NULL")
    assert fetch_leads(reader, Calendar(), campaign, 10, NOON)[2] is False
    found, unfinished, _ = fetch_leads(reader, Calendar(), campaign, 10, NOON)
    reader.close()
    assert ([lead.id for lead in found], unfinished) == ([], True)
    assert row(db, 1) == (0.0, None, None)


async def test_the_engine_answers_while_another_program_writes(
    journal: Journal, db: sqlite3.Connection, campaign: Campaign
) -> None:
    dnc.add(db, "+79160000001", at=5.0)
    db.execute("UPDATE phones SET is_bad = 1 WHERE kind = 'work' AND contact = 1")
    db.execute("BEGIN IMMEDIATE")
    found, _, is_partial = await journal.fetch_leads(campaign, 10, NOON)
    assert ([lead.id for lead in found], is_partial) == ([2, 3], False)
    db.execute("ROLLBACK")
    assert row(db, 1) == (0.0, None, None)
    await journal.fetch_leads(campaign, 10, NOON)
    assert row(db, 1)[1] == "no_number_left"


def test_what_another_program_changed_meanwhile_is_judged_anew(
    db: sqlite3.Connection, campaign: Campaign, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our reading and our writing the number was taken off the list, which let loose what was held then."""
    dnc.add_chunk(db, ["+79160000001", "+74950000001"], at=5.0)
    db.execute("UPDATE leads SET due = 0.0, finished = NULL, held = NULL, held_due = NULL")
    other = sqlite3.connect(path, isolation_level=None)
    real = Question._put_off

    def put_off(self: Question, connection: sqlite3.Connection, *rest: Any) -> None:
        dnc.remove(other, "+79160000001", at=6.0)
        real(self, connection, *rest)

    monkeypatch.setattr(Question, "_put_off", put_off)
    fetch_leads(db, Calendar(), campaign, 10, NOON)
    other.close()
    assert row(db, 1) == (0.0, None, None)


def test_what_another_program_finished_meanwhile_stays_so(
    db: sqlite3.Connection, campaign: Campaign, path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its list was taken out of the campaign; held by a rule, it would be let loose with that."""
    dnc.add(db, "+7*", at=5.0)
    other = sqlite3.connect(path, isolation_level=None)
    real = Question._put_off

    def put_off(self: Question, connection: sqlite3.Connection, *rest: Any) -> None:
        settings.apply_campaign(other, replace(campaign, lists=("others",)), 6.0)
        real(self, connection, *rest)

    monkeypatch.setattr(Question, "_put_off", put_off)
    fetch_leads(db, Calendar(), campaign, 10, NOON)
    other.close()
    assert row(db, 1) == (None, "list_removed", None)
    assert db.execute("SELECT why FROM lead_states WHERE lead = 1").fetchall() == [("list_removed",)]


# -- owners -------------------------------------------------------------------------------


def own(db: sqlite3.Connection, lead: int, owner: str, due: float = 0.0, until: float = FOREVER) -> None:
    db.execute(
        "UPDATE leads SET owner = ?, owned_until = ?, due = ?, priority = 1 WHERE id = ?",
        (owner, until, due, lead),
    )


async def test_a_card_is_saved_with_its_owner(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection
) -> None:
    await journal.save(
        [], [SaveLead(lead=LeadId(1), ordinal=1, due=20.0, owner=AgentId("ann"), owned_until=900.0, at=5.0)]
    )
    found, _, _ = await journal.fetch_leads(campaign, 1, 30.0)
    assert (found[0].owner, found[0].owned_until) == ("ann", 900.0)


def test_anyone_may_have_the_card_of_whom_is_away(
    db: sqlite3.Connection, campaign: Campaign, fetch: Fetch
) -> None:
    own(db, 2, "ann", 50.0)
    found = fetch(NOON)[0]
    assert [(lead.id, lead.owner) for lead in found] == [(2, "ann"), (1, None), (3, None)]


def test_a_card_waits_for_its_owner(db: sqlite3.Connection, campaign: Campaign, ids: Ids) -> None:
    change(db, campaign, owners=Owners(away="wait"))
    own(db, 2, "ann", 50.0)
    assert ids(NOON) == [1, 3]
    assert ids(NOON, "bob") == [1, 3]
    assert ids(NOON, "ann", "bob") == [2, 1, 3]


def test_but_no_longer_than_it_is_said(db: sqlite3.Connection, campaign: Campaign, ids: Ids) -> None:
    change(db, campaign, owners=Owners(away="wait", wait_s=600.0))
    own(db, 2, "ann", NOON - 500.0)
    assert ids(NOON) == [1, 3]
    assert ids(NOON + 100.0) == [2, 1, 3]
    assert ids(NOON + 100.0, "ann") == [2, 1, 3]


def test_a_card_held_long_enough_returns_to_the_pool(
    db: sqlite3.Connection, campaign: Campaign, fetch: Fetch
) -> None:
    change(db, campaign, owners=Owners(away="wait"))
    own(db, 2, "ann", 50.0, until=NOON)
    assert [lead.id for lead in fetch(NOON - 1)[0]] == [1, 3]
    assert [(lead.id, lead.owner) for lead in fetch(NOON)[0]] == [(2, None), (1, None), (3, None)]
    assert db.execute("SELECT owner, why FROM lead_states WHERE lead = 2").fetchall() == [
        (None, "returned_to_pool")
    ]


def test_nobody_fills_the_hopper_with_cards_of_their_own(
    db: sqlite3.Connection, campaign: Campaign, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "OWN_MAX", 2)
    people_in(db, ["Europe/Moscow"] * 8)
    change(db, campaign, owners=Owners(away="wait"))
    for lead in (1, 2, 4, 5, 6):
        own(db, lead, "ann", 50.0)
    own(db, 7, "bob", 60.0)
    assert ids(NOON, "ann", "bob", limit=8) == [1, 2, 7, 3, 8, 9, 10, 11]


def test_an_owners_own_leads_are_judged_too(db: sqlite3.Connection, campaign: Campaign, ids: Ids) -> None:
    change(db, campaign, owners=Owners(away="wait"))
    own(db, 2, "ann", 50.0)
    dnc.add(db, "+7*", at=5.0)
    assert ids(NOON, "ann") == []
    assert row(db, 2)[1] == "do_not_call"


async def test_a_live_call_is_given_to_nobody(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    own(db, 2, "ann", 50.0)
    found, _, _ = await journal.fetch_leads(campaign, 1, NOON)
    await journal.save([], [SaveCall(call=call_for(found[0], created_at=NOON))])
    again, _, _ = await journal.fetch_leads(campaign, 9, NOON)
    assert [lead.id for lead in again] == [1, 3]


def test_a_switchboard_that_is_being_called_does_not_fill_the_hopper(
    db: sqlite3.Connection, campaign: Campaign, fetch: Fetch, ids: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the store asked again and again at once for as long as that call lasts."""
    people_in(db, ["Europe/Moscow"] * 9)
    db.execute("DELETE FROM phones WHERE contact IN (1, 2) AND position = 1")
    db.execute("UPDATE phones SET number = '+74950009999' WHERE contact < 12 AND position = 0")
    call = "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at)"
    db.execute(f"{call} VALUES ('x', 'spring', 1, 1, 1, '+74950009999', 9, 'north', 'connected', {NOON})")
    assert ids(NOON, limit=2) == [3, 12], "3 has another number"
    monkeypatch.setattr(fetching, "LOOKED_MAX", 4)
    db.execute("UPDATE leads SET due = 1.0 WHERE id IN (3, 12)")
    assert fetch(NOON, limit=2) == ([], True, False)
    db.execute("UPDATE attempts SET state = 'ended', result = 'busy'")
    assert len(ids(NOON, limit=20)) == 12


def test_a_contact_who_is_being_called_for_another_campaign_is_passed_over(
    db: sqlite3.Connection, campaign: Campaign, ids: Ids
) -> None:
    settings.apply_campaign(db, replace(campaign, id=CampaignId("autumn")), 3.0)
    enroll(db, CampaignId("autumn"), 3.0)
    db.execute(
        "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at)"
        " SELECT 'x', 'autumn', id, 1, 2, '+74950000001', 1, 'north', 'connected', 5.0 FROM leads"
        " WHERE campaign = 'autumn' AND contact = 1"
    )
    assert ids(NOON) == [2, 3]


def test_a_class_that_can_never_be_called_is_looked_at_once_or_the_campaign_would_never_end(
    db: sqlite3.Connection, campaign: Campaign, fetch: Fetch
) -> None:
    change(db, campaign, hours=NINE_TO_SIX)
    db.execute("DELETE FROM leads")
    people_in(db, [""])
    db.execute("UPDATE phones SET number = '+70000000001' WHERE contact = 4")
    db.execute("UPDATE contacts SET class = 0")
    classes.fill(db)
    assert db.execute("SELECT class FROM leads").fetchone()[0] > 0
    assert fetch(NOON) == ([], False, False)
    assert db.execute("SELECT finished, held FROM leads").fetchall() == [("unknown_zone", "unknown_zone")]
    change(db, campaign, hours=replace(NINE_TO_SIX, unknown_zone="Europe/Moscow"))
    assert [one.contact for one in fetch(NOON)[0]] == [4]


def test_what_could_not_be_let_loose_for_another_programs_lock_is_not_the_end_of_the_campaign(
    path: Path, db: sqlite3.Connection, campaign: Campaign, fetch: Fetch
) -> None:
    dnc.add(db, "+7*", at=5.0)
    assert fetch(NOON) == ([], False, False)
    dnc.remove(db, "+7*", at=6.0)
    other = open_writer(path)
    other.execute("BEGIN IMMEDIATE")
    assert fetch(NOON) == ([], True, False)
    other.execute("ROLLBACK")
    other.close()
    assert len(fetch(NOON)[0]) == 3
