"""Moments past: a lead, the lists and the settings as they were, and journals of the time before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils
from msgspec.structs import replace

from dialer.core.commands import SaveCall, SaveCallback, SaveLead
from dialer.core.ids import AgentId, CampaignId, LeadId
from dialer.core.judging import judge
from dialer.core.values import Call, CallState, Campaign, Caps, Centre, Lead, Result
from dialer.store import dnc, facts, fetching, settings
from dialer.store.calendar import Calendar
from dialer.store.connect import open_writer
from dialer.store.journal import Journal
from dialer.store.migrations import NAMES, migrations

CALENDAR = Calendar()
NOON = 1_781_254_800.0
"""Friday, 12 June 2026, 12:00 in Moscow."""
MakeCall = Callable[..., Call]


def rule_at(db: sqlite3.Connection, at: float, *, is_past: bool = True) -> str:
    campaign = settings.campaign_at(db, "spring", at) if is_past else settings.campaign_now(db, "spring")
    assert campaign is not None
    lead = facts.lead_at(db, CALENDAR, campaign, LeadId(1), at, is_past=is_past)
    assert lead is not None
    return judge(lead, campaign, at).rule


async def test_a_lead_is_told_as_it_was(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    lead = (await journal.fetch_leads(campaign, 1, 100.0))[0][0]
    call = call_for(lead, created_at=100.0)
    await journal.save([], [SaveCall(call=call)])
    ended = replace(call, state=CallState.ENDED, result=Result.BUSY, ended_at=120.0)
    await journal.save(
        [],
        [
            SaveCall(call=ended),
            SaveLead(
                lead=lead.id,
                ordinal=1,
                due=300.0,
                next_phone=call.phone,
                why="busy",
                owner=AgentId("ann"),
                owned_until=900.0,
                at=120.0,
            ),
        ],
    )
    await journal.save([], [SaveCallback(lead=lead.id, due=5000.0, owner=AgentId("bob"), at=200.0)])

    def state(at: float | None) -> tuple[Any, ...]:
        found = facts.state_at(db, lead.id, at)
        assert found is not None
        return found.since, found.ordinal, found.due, found.owner, found.is_promised, found.why

    assert facts.state_at(db, lead.id, 1.0) is None
    assert state(110.0) == (2.0, 0, 0.0, None, False, "enrolled")
    assert state(120.0) == (120.0, 1, 300.0, "ann", False, "busy")
    assert state(199.0) == (120.0, 1, 300.0, "ann", False, "busy")
    assert state(200.0) == (200.0, 1, 5000.0, "bob", True, "callback")
    assert state(None) == (200.0, 1, 5000.0, "bob", True, "callback")

    def tried(at: float) -> tuple[str, ...]:
        then = facts.lead_at(db, CALENDAR, campaign, lead.id, at, is_past=True)
        assert then is not None
        return tuple(then.phones[0].tried)

    assert (tried(99.0), tried(119.0), tried(120.0)) == ((), (), ("busy",))
    assert facts.lead_at(db, CALENDAR, campaign, LeadId(99), 5.0) is None
    assert facts.lead_at(db, CALENDAR, campaign, lead.id, 1.0, is_past=True) is None


async def test_saving_twice_leaves_one_row_of_history(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection
) -> None:
    save = SaveLead(lead=LeadId(1), ordinal=1, due=300.0, why="busy", at=120.0)
    for _ in range(2):
        await journal.save([], [save])
    assert db.execute("SELECT count(*) FROM lead_states").fetchone() == (1,)


def test_rules_of_the_past_hold_for_the_past(db: sqlite3.Connection, campaign: Campaign) -> None:
    """Each was applied, or taken back, at its own moment."""
    db.execute(
        "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at,"
        " ended_at, result) VALUES ('x', 'spring', 1, 1, 1, '+79160000001', 9, 'north', 'ended', 50, 60, 'busy')"
    )
    dnc.add(db, "+7*", at=100.0)
    dnc.remove(db, "+7*", at=200.0)
    settings.apply_campaign(db, replace(campaign, caps=Caps(contact_per_24h=1)), 300.0)
    settings.apply_campaign(db, campaign, 400.0)
    settings.apply_centre(db, Centre(caps=Caps(gap_s=900.0)), 500.0)
    settings.apply_centre(db, Centre(), 600.0)
    assert [rule_at(db, at) for at in (90.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0)] == [
        "",
        "blocked",
        "",
        "contact_per_24h",
        "",
        "gap",
        "",
    ]
    settings.apply_campaign(db, replace(campaign, caps=Caps(contact_per_24h=1)), 700.0)
    assert rule_at(db, 40.0) == ""  # the call was not yet
    assert settings.campaign_at(db, "spring", 0.5) is None


def test_a_look_ahead_counts_what_was_done_so_far(db: sqlite3.Connection, campaign: Campaign) -> None:
    settings.apply_campaign(db, replace(campaign, caps=Caps(gap_s=100.0)), 5.0)
    db.execute(
        "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at)"
        " VALUES ('x', 'spring', 1, 1, 1, '+79160000001', 9, 'north', 'ringing', 50)"
    )
    assert [rule_at(db, at, is_past=False) for at in (60.0, 149.9, 150.0)] == ["gap", "gap", ""]


async def test_a_bad_number_was_good_before_it_was_found_out(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    lead = (await journal.fetch_leads(campaign, 1, 100.0))[0][0]
    ended = call_for(lead, created_at=100.0, state=CallState.ENDED, result=Result.INVALID, ended_at=101.0)
    save = SaveLead(lead=lead.id, ordinal=1, due=0.0, bad_phone=ended.phone, why="invalid", at=101.0)
    await journal.save([], [SaveCall(call=ended), save])

    def is_bad(at: float) -> bool:
        then = facts.lead_at(db, CALENDAR, campaign, lead.id, at, is_past=True)
        assert then is not None
        return then.phones[0].is_bad

    assert (is_bad(100.5), is_bad(101.0)) == (False, True)


async def test_the_lead_of_a_call_is_loaded_with_its_owner_of_that_time(
    journal: Journal, campaign: Campaign, db: sqlite3.Connection, call_for: MakeCall
) -> None:
    """An operator's result given after a restart starts from the lead as it was dialed."""
    await journal.save(
        [], [SaveLead(lead=LeadId(1), ordinal=1, due=20.0, owner=AgentId("ann"), why="order", at=5.0)]
    )
    lead = (await journal.fetch_leads(campaign, 1, 100.0))[0][0]
    after = SaveLead(lead=LeadId(1), ordinal=2, due=900.0, owner=AgentId("bob"), why="busy", at=120.0)
    await journal.save([], [after])
    before = facts.lead_before(db, CALENDAR, campaign, LeadId(1), 2)
    assert before == lead


# -- journals of the time before ----------------------------------------------------------


def an_old_journal(path: Path, campaign: Campaign) -> None:
    """As the first two migrations and an engine of their time left it."""
    connection = sqlite3.connect(path, isolation_level=None)
    migrations.apply(sqlite_utils.Database(connection), stop_before=NAMES[2])
    text = json.dumps({"id": "spring", "trunk": "north", "lists": ["people"]})
    connection.executescript(
        f"""
        INSERT INTO trunks (id, host, settings, applied_at) VALUES ('north', 'h', '{{"id": "north", "host": "h"}}', 1.0);
        INSERT INTO lists VALUES ('people', '', 1.0);
        INSERT INTO campaigns VALUES ('spring', '', 'progressive', 100, 'north', '{text}', 'running', 1.0, 1.0);
        INSERT INTO campaign_lists VALUES ('spring', 'people', 0, 3);
        INSERT INTO agents (id, name, phone, leg, campaigns) VALUES ('ann', 'Ann', '101', 'parked', '[]');
        """
    )
    for number in (1, 2, 3):
        connection.execute(
            "INSERT INTO contacts (id, list, key, added_at) VALUES (?, 'people', ?, 1.0)",
            (number, str(number)),
        )
        connection.execute(
            "INSERT INTO phones (contact, position, kind, number) VALUES (?, 0, 'work', ?)",
            (number, f"+7495000000{number if number < 3 else 1}"),
        )
        connection.execute(
            "INSERT INTO leads (campaign, contact, ordinal, due, finished, priority, enrolled_at)"
            " VALUES ('spring', ?, ?, ?, ?, 1, 2.0)",
            (number, int(number == 2), None if number == 2 else 0.0, "talked" if number == 2 else None),
        )
    for number, state, result, at in (
        (1, "ringing", None, 50.0),
        (3, "ringing", None, 51.0),
        (2, "ended", "talked", 40.0),
    ):
        connection.execute(
            "INSERT INTO attempts (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at,"
            " ended_at, result) SELECT ?, 'spring', ?, ?, id, number, 1, 'north', ?, ?, ?, ? FROM phones WHERE contact = ?",
            (f"a{number}", number, number, state, at, at + 9 if result else None, result, number),
        )
    connection.close()


async def test_an_old_journal_opens_and_is_worked_with(tmp_path: Path, campaign: Campaign) -> None:
    path = tmp_path / "old.sqlite3"
    an_old_journal(path, campaign)
    async with await Journal.open(path) as journal:
        loaded = await journal.load()
        assert [one.call.attempt for one in loaded.open] == ["a3"]
        assert loaded.centre == Centre()
        rules = loaded.campaigns[0].campaign
        assert await journal.fetch_leads(rules, 10, NOON - 3600.0) == ([], True, False), (
            "a3 calls that number"
        )
        ended = replace(loaded.open[0].call, state=CallState.ENDED, result=Result.BUSY, ended_at=60.0)
        await journal.save([], [SaveCall(call=ended)])
        found, unfinished, _ = await journal.fetch_leads(rules, 1, NOON - 3600.0)
        assert ([(lead.id, lead.ordinal) for lead in found], unfinished) == ([(1, 1)], True)
        assert found[0].phones[0].tried == ("lost",)
        assert found[0].phones[0].zones == ("Europe/Moscow",)
        state = await journal.run(lambda db: facts.state_at(db, LeadId(2), 60.0))
        assert state is not None
        assert (state.since, state.ordinal, state.finished) == (49.0, 1, "talked")
        applied = await journal.run(lambda db: settings.campaign_at(db, "spring", 5.0))
        assert applied is not None
        assert applied.id == CampaignId("spring")
    connection = open_writer(path)
    lost = connection.execute("SELECT attempt, ended_at FROM attempts WHERE result = 'lost'").fetchall()
    assert lost == [("a1", 50.0)]
    texts = connection.execute(
        "SELECT DISTINCT phones FROM leads JOIN calling_classes ON calling_classes.id = leads.class"
    ).fetchall()
    assert texts == [('[["work",["Europe/Moscow"]]]',)]
    connection.close()


@pytest.mark.parametrize("at", [100.0, NOON])
def test_the_engine_and_the_command_line_say_the_same(
    db: sqlite3.Connection, campaign: Campaign, at: float
) -> None:
    """Facts for one question are those that the hopper's answer has."""
    given: list[Lead] = fetching.fetch_leads(db, CALENDAR, campaign, 10, at)[0]
    asked = [facts.lead_at(db, CALENDAR, campaign, lead.id, at) for lead in given]
    assert asked == given
