"""Leads: the most urgent first, each once, and at the same price however long the list is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from dialer.core.commands import SaveCall, SaveLead
from dialer.core.ids import LeadId
from dialer.core.values import Call, Campaign
from dialer.store import classes, dnc, facts, fetching, guard, holding, leads, schema
from dialer.store.calendar import Calendar
from dialer.store.fetching import fetch_leads
from dialer.store.journal import Journal

MakeCall = Callable[..., Call]


async def ids(journal: Journal, campaign: Campaign, at: float, limit: int = 10) -> list[int]:
    return [lead.id for lead in (await journal.fetch_leads(campaign, limit, at))[0]]


async def test_a_retry_that_is_due_goes_before_fresh_leads(journal: Journal, campaign: Campaign) -> None:
    await journal.save(
        [],
        [SaveLead(lead=LeadId(3), ordinal=1, due=300.0), SaveLead(lead=LeadId(2), ordinal=1, due=200.0)],
    )
    assert await ids(journal, campaign, 150.0) == [1]
    assert await ids(journal, campaign, 300.0) == [2, 3, 1]
    assert await ids(journal, campaign, 300.0, limit=2) == [2, 3]


async def test_a_lead_with_an_open_attempt_is_not_offered(
    journal: Journal, campaign: Campaign, call_for: MakeCall
) -> None:
    found, _, _ = await journal.fetch_leads(campaign, 1, 5.0)
    await journal.save([], [SaveCall(call=call_for(found[0]))])
    assert await ids(journal, campaign, 5.0) == [2, 3]


async def test_unfinished_until_the_last(journal: Journal, campaign: Campaign) -> None:
    for number in (1, 2):
        await journal.save([], [SaveLead(lead=LeadId(number), ordinal=1, due=None, finished="talked")])
    await journal.save([], [SaveLead(lead=LeadId(3), ordinal=1, due=1e6)])
    assert await journal.fetch_leads(campaign, 5, 10.0) == ([], True, False)
    await journal.save([], [SaveLead(lead=LeadId(3), ordinal=2, due=None, finished="no_number_left")])
    assert await journal.fetch_leads(campaign, 5, 10.0) == ([], False, False)


async def test_phones_come_in_the_contacts_own_order(journal: Journal, campaign: Campaign) -> None:
    found, _, _ = await journal.fetch_leads(campaign, 1, 5.0)
    assert [(phone.kind, phone.number) for phone in found[0].phones] == [
        ("mobile", "+79160000001"),
        ("work", "+74950000001"),
    ]


async def test_waiting_leads_page_by_page(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.store.journal.PAGE_ROWS", 2)
    for number, due in ((1, 700.0), (2, 700.0), (3, 650.0)):
        await journal.save([], [SaveLead(lead=LeadId(number), ordinal=1, due=due)])
    page, after = await journal.waiting_leads(campaign.id, 600.0)
    assert page == [(3, 650.0), (1, 700.0)]
    rest, after = await journal.waiting_leads(campaign.id, 600.0, after)
    assert (rest, after) == ([(2, 700.0)], None)


async def test_contacts_that_come_later_are_enrolled_once(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, more_contacts: Callable[..., None]
) -> None:
    assert await journal.enroll(campaign.id, 9.0) == 0
    more_contacts(schema.CHUNK_ROWS + 5)
    assert await journal.enroll(campaign.id, 9.0) == schema.CHUNK_ROWS + 5
    assert leads.enroll(db, campaign.id, 9.0) == 0
    assert len(await ids(journal, campaign, 9.0, limit=5000)) == schema.CHUNK_ROWS + 8


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        (fetching.POOL_SQL, ("spring", 2, 1, 10.0, 0.0, 5, 5)),
        (fetching.OF_OWNER_SQL, ("spring", "ann", 2, 10.0, 0.0, 5, 5)),
        (fetching.OWNED_SQL, ("spring", 2, 10.0, 0.0, 5, 5)),
        (fetching.UNFINISHED_SQL, ("spring",)),
        (holding.STALE_SQL, ("spring", 5)),
        (holding.OVER_SQL, ("spring", 10.0, 5)),
        (holding.HELD_OF_NUMBER_SQL, ("+1", "", "")),
        (facts.NOW_SQL, (1,)),
        (facts.THEN_SQL, (1, 10.0)),
        (facts.PHONES_SQL, (1,)),
        (facts.TRIED_SQL, (1, 5)),
        (facts.PLACED_TO_NUMBER_SQL, ("+1", 5.0)),
        (facts.PLACED_TO_CONTACT_SQL, (1, 5.0)),
        (guard.LIVE_SQL, ("+1", "a")),
        (guard.CONTACT_LIVE_SQL, (1, "a")),
        (guard.PHONE_SQL, (1,)),
        (dnc.ANY_SQL, ()),
        (dnc.WIDE_SQL, ("prefix",)),
        (leads.LATER_SQL, (1, 5, 0.0)),
        (leads.WAITING_SQL, ("spring", 2, 10.0, 0, 5)),
    ],
)
def test_each_question_is_answered_from_an_index(
    db: sqlite3.Connection, sql: str, parameters: tuple[object, ...]
) -> None:
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    assert plan
    for step in plan:
        assert not step.startswith("SCAN") or " INDEX do_not_call_present" in step, plan
        assert "TEMP B-TREE" not in step, plan


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        (
            fetching.POOL_SQL,
            "leads_pool (campaign=? AND owner=? AND priority=? AND class=? AND due>? AND due<?)",
        ),
        (fetching.OF_OWNER_SQL, "leads_of_owner (campaign=? AND owner=? AND priority=? AND due>? AND due<?)"),
        (fetching.OWNED_SQL, "leads_owned (campaign=? AND priority=? AND due>? AND due<?)"),
        (holding.STALE_SQL, "leads_held (campaign=? AND held_version<?)"),
        (holding.OVER_SQL, "leads_owned_until (campaign=? AND owned_until<?)"),
        (facts.PLACED_TO_NUMBER_SQL, "attempts_by_number (number=? AND created_at>?)"),
        (facts.PLACED_TO_CONTACT_SQL, "attempts_of_contact (contact=? AND created_at>?)"),
        (guard.LIVE_SQL, "attempts_live_number (number=?)"),
        (leads.WAITING_SQL, "leads_waiting (campaign=? AND priority=? AND due>?)"),
    ],
)
def test_the_hot_path_uses_the_index_made_for_it(db: sqlite3.Connection, sql: str, parts: str) -> None:
    given = (None,) * sql.count("?")
    plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", given)]
    assert any(parts in step for step in plan), plan


def test_a_number_is_looked_up_by_an_index(db: sqlite3.Connection) -> None:
    for is_past in (False, True):
        sql = dnc.lookup_sql(16, is_past=is_past)
        given = {"campaign": "", "at": 1.0, **{f"k{number}": "" for number in range(16)}}
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", given)]
        assert any("do_not_call_present (number=? AND campaign=?)" in step for step in plan), plan
        assert not any(step.startswith("SCAN do_not_call") for step in plan), plan


def test_the_classes_in_use_are_found_step_by_step(db: sqlite3.Connection) -> None:
    plan = [
        row[3]
        for row in db.execute(
            f"EXPLAIN QUERY PLAN {classes.IN_USE_SQL}", {"campaign": "spring", "priority": 2}
        )
    ]
    assert sum("leads_pool (campaign=? AND owner=?" in step for step in plan) == 2, plan
    assert not any("SCAN leads" in step for step in plan), plan


def test_leads_not_due_or_finished_cost_nothing(
    db: sqlite3.Connection, campaign: Campaign, more_contacts: Callable[..., None]
) -> None:
    """Counted in steps of SQLite's own machine: the same with 4,000 leads that wait as with 20."""

    def steps() -> int:
        taken = 0

        def one_more() -> None:
            nonlocal taken
            taken += 1

        db.set_progress_handler(one_more, 1)
        found, _, _ = fetch_leads(db, calendar, campaign, 3, 10.0)
        db.set_progress_handler(None, 0)
        assert [lead.id for lead in found] == [1, 2, 3]
        return taken

    def wait(count: int) -> None:
        more_contacts(count)
        leads.enroll(db, campaign.id, 2.0)
        db.execute("UPDATE leads SET due = NULL, finished = 'talked' WHERE id > 3 AND id % 2 = 0")
        db.execute("UPDATE leads SET due = 1000.0 + id, priority = id % 3 WHERE id > 3 AND id % 2 = 1")

    calendar = Calendar()
    wait(20)
    before = steps()
    wait(4000)
    assert steps() <= before + 30
