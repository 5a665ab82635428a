"""Counts of abandoned calls, knowledge and reasons in the journal: written, taken up, counted again, pruned."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlite_utils

from dialer.core.commands import SaveCall, SaveKnowledge, SaveLedger, SavePacing
from dialer.core.ids import CampaignId
from dialer.core.pacing.book import Reason
from dialer.core.pacing.ledger import DAY_S, KEPT_DAYS, DayCount
from dialer.core.values import Call, CallState, Campaign, Result
from dialer.store import leads, promises
from dialer.store.calendar import Calendar
from dialer.store.connect import transaction
from dialer.store.errors import JournalRefused
from dialer.store.fetching import fetch_leads
from dialer.store.guard import Guard
from dialer.store.journal import Journal
from dialer.store.migrations import NAMES, migrate, migrations
from dialer.store.pruning import NOTES_KEPT_DAYS, prune_chunk
from dialer.store.rows import CALL_COLUMNS, call_from_row
from dialer.store.settings import apply_campaign
from dialer.store.writing import write

SPRING = CampaignId("spring")
DAY = 20_000
NOON = DAY * DAY_S + 43_200.0


def ledger(day: int, answered: int, abandoned: int) -> SaveLedger:
    return SaveLedger(campaign=SPRING, count=DayCount(day, answered, abandoned))


def reason(at: float, limit: str = "risk") -> SavePacing:
    told = Reason(campaign="spring", placed=2, limit=limit, figures={"idle": 1.0, "risk": 0.02}, note="so")  # type: ignore[arg-type]
    return SavePacing(reason=told, at=at)


async def test_an_engine_takes_up_what_another_left(journal: Journal, db: sqlite3.Connection) -> None:
    await journal.save([], [ledger(DAY, 10, 1), ledger(DAY + 1, 4, 0)])
    await journal.save([], [ledger(DAY + 1, 5, 1), SaveKnowledge(name="b2b", content='{"a":1}', at=5.0)])
    await journal.save([], [SaveKnowledge(name="b2b", content='{"a":2}', at=6.0)])
    started = (await journal.load()).started(at=9.0, version="1")
    assert started.ledgers == ((SPRING, (DayCount(DAY, 10, 1), DayCount(DAY + 1, 5, 1))),)
    assert started.knowledge == (("b2b", '{"a":2}'),)


def test_what_is_written_again_changes_nothing(db: sqlite3.Connection) -> None:
    with transaction(db):
        for save in (ledger(DAY, 10, 1), ledger(DAY, 12, 2), ledger(DAY, 10, 1), reason(7.0), reason(7.0)):
            write(db, [], [save], Guard())
        for at, content in ((5.0, "new"), (4.0, "old")):
            write(db, [], [SaveKnowledge(name="x", content=content, at=at)], Guard())
    assert promises.days(db, "spring") == [DayCount(DAY, 12, 2)]
    assert promises.knowledge(db) == (("x", "new"),)
    rows = db.execute("SELECT campaign, at, limited_by, placed, figures, note FROM pacing_notes").fetchall()
    assert [tuple(row) for row in rows] == [("spring", 7.0, "risk", 2, '{"idle":1.0,"risk":0.02}', "so")]
    assert db.execute("SELECT count(*) FROM events").fetchone()[0] == 0


async def test_a_count_of_no_campaign_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalRefused):
        await journal.save([], [SaveLedger(campaign=CampaignId("x"), count=DayCount(DAY, 1, 0))])


def test_the_first_day_is_taken_up_for_ever(db: sqlite3.Connection) -> None:
    with transaction(db):
        for day in range(KEPT_DAYS + 50):
            write(db, [], [ledger(DAY + day, 1, 0)], Guard())
    days = promises.days(db, "spring")
    assert [one.day - DAY for one in days] == [0, *range(50, KEPT_DAYS + 50)]
    assert [one.day - DAY for one in promises.days(db, "spring", 2)] == [0, KEPT_DAYS + 48, KEPT_DAYS + 49]


def test_old_reasons_are_deleted_a_few_at_a_time(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.store.pruning.PRUNE_ROWS", 3)
    old = NOON - NOTES_KEPT_DAYS * DAY_S
    with transaction(db):
        write(
            db,
            [],
            [*(reason(old - number) for number in range(1, 6)), reason(old + 1), reason(NOON)],
            Guard(),
        )
    assert [prune_chunk(db, NOON) for _ in range(3)] == [False, False, True]
    assert [row[0] for row in db.execute("SELECT at FROM pacing_notes ORDER BY at")] == [old + 1, NOON]


CASES: list[tuple[str, dict[str, Any], bool, float | None]] = [
    ("joined in time", {"connected_at": NOON + 1.5, "result": "talked"}, True, None),
    ("joined too late", {"connected_at": NOON + 2.5, "result": "talked"}, True, NOON + 2.5),
    ("hung up while waiting", {"result": "hung_up", "ended_at": NOON + 1.0, "cause": 16}, True, NOON + 1.0),
    ("no operator within the limit", {"result": "abandoned", "ending": "no_agent"}, True, NOON + 2.0),
    (
        "answer crossed our cancel",
        {"result": "abandoned", "ending": "no_answer", "ended_at": NOON},
        True,
        NOON,
    ),
    (
        "no operator within the limit",
        {"result": "hung_up", "ended_at": NOON + 9.0, "cause": 16},
        True,
        NOON + 2.0,
    ),
    ("nobody listened", {"result": "abandoned", "ended_at": NOON + 50.0}, True, NOON + 2.0),
    ("a machine", {"result": "machine"}, False, None),
    ("nobody answered", {"result": "no_answer", "answered_at": None}, False, None),
    (
        "never heard of",
        {"result": "abandoned", "answered_at": None, "ended_at": NOON + 4.0},
        True,
        NOON + 4.0,
    ),
    ("still waits", {"state": CallState.ANSWERED, "ended_at": None}, True, None),
]


@pytest.fixture
def calls(
    db: sqlite3.Connection,
    campaign: Campaign,
    call_for: Callable[..., Call],
    more_contacts: Callable[..., None],
) -> list[Call]:
    """One call for each of the cases."""
    more_contacts(len(CASES))
    leads.enroll(db, campaign.id, 2.0)
    found, _, _ = fetch_leads(db, Calendar(), campaign, len(CASES), 5.0)
    return [
        call_for(
            lead,
            place,
            **(
                {
                    "created_at": NOON - 9,
                    "answered_at": NOON,
                    "state": CallState.ENDED,
                    "ended_at": NOON + 30.0,
                }
                | {key: Result(one) if key == "result" else one for key, one in fields.items()}
                | {"abandoned_at": abandoned_at}
                | (
                    {"answered_at": abandoned_at}
                    if is_counted and fields.get("answered_at", 0) is None
                    else {}
                )
            ),
        )
        for place, (lead, (_, fields, is_counted, abandoned_at)) in enumerate(zip(found, CASES, strict=True))
    ]


@pytest.fixture
def counted(db: sqlite3.Connection, calls: list[Call]) -> sqlite3.Connection:
    with transaction(db):
        write(db, [], [SaveCall(call=call) for call in calls], Guard())
        answered = sum(one[2] for one in CASES)
        abandoned = sum(one[3] is not None for one in CASES)
        write(db, [], [ledger(DAY, answered, abandoned)], Guard())
    return db


def test_both_books_agree(counted: sqlite3.Connection) -> None:
    assert promises.recount(counted, None, DAY, DAY) == [
        {
            "campaign": "spring",
            "day": DAY,
            "answered": 9,
            "abandoned": 7,
            "recounted_answered": 9,
            "recounted_abandoned": 7,
        }
    ]
    assert promises.recount(counted, "other", DAY, DAY) == []
    assert promises.recount(counted, None, DAY + 1, DAY + 9) == []


def test_a_book_that_was_changed_is_found_out(counted: sqlite3.Connection) -> None:
    counted.execute("UPDATE abandonment SET abandoned = 3")
    (row,) = promises.recount(counted, "spring", DAY, DAY)
    assert (row["abandoned"], row["recounted_abandoned"]) == (3, 7)
    counted.execute("DELETE FROM abandonment")
    (row,) = promises.recount(counted, "spring", DAY, DAY)
    assert (row["answered"], row["recounted_answered"]) == (0, 9)


def test_calls_of_an_announcement_are_nobodys_abandoned_ones(
    counted: sqlite3.Connection, campaign: Campaign
) -> None:
    apply_campaign(counted, msgspec.structs.replace(campaign, mode="announcement"), 3.0)
    (row,) = promises.recount(counted, "spring", DAY, DAY)
    assert row["recounted_answered"] == 0


def test_every_abandoned_call_has_its_reason(counted: sqlite3.Connection) -> None:
    def pages(limit: int) -> list[dict[str, object]]:
        rows, after = [], None
        while True:
            page = promises.abandoned_calls(counted, "spring", NOON - 60, NOON + 60, after=after, limit=limit)
            rows += page.rows
            after = page.after
            if after is None:
                return rows

    rows = pages(100)
    expected = {name for name, _, _, abandoned_at in CASES if abandoned_at is not None} - {"never heard of"}
    assert {row["why"] for row in rows} == expected
    assert {row["why"]: row["waited_s"] for row in rows}["joined too late"] == 2.5
    assert rows == pages(1) == pages(4)
    assert promises.abandoned_calls(counted, "other", 0.0, 9e9).rows == []


def test_a_journal_of_the_time_before_is_counted(tmp_path: Path, calls: list[Call]) -> None:
    with closing(sqlite3.connect(tmp_path / "old.sqlite3", isolation_level=None)) as old:
        migrations.apply(sqlite_utils.Database(old), stop_before=NAMES[3])
        known = {row[1] for row in old.execute("PRAGMA table_info(attempts)")}
        names = [name for name in Call.__struct_fields__ if name in known]
        for call, (_, fields, _, _) in zip(calls, CASES, strict=True):
            values = {name: getattr(call, name) for name in names}
            if "answered_at" in fields:
                values["answered_at"] = None
            old.execute(
                f"INSERT INTO attempts ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                list(values.values()),
            )
        assert migrate(old) == list(NAMES[3:])
        found = old.execute("SELECT abandoned_at FROM attempts ORDER BY attempt").fetchall()
        assert [row[0] for row in found] == [one[3] for one in CASES]
        assert promises.recount(old, None, DAY, DAY)[0] == {
            "campaign": "spring",
            "day": DAY,
            "answered": 9,
            "abandoned": 7,
            "recounted_answered": 9,
            "recounted_abandoned": 7,
        }


def test_a_call_comes_back_as_it_was_saved(
    db: sqlite3.Connection, campaign: Campaign, call_for: Callable[..., Call]
) -> None:
    (lead, *_), _, _ = fetch_leads(db, Calendar(), campaign, 1, 5.0)
    facts = {"answered_at": NOON, "abandoned_at": NOON + 2, "listened_s": 1.25}
    call = call_for(lead, 1, **facts, choice="later", callback_at=NOON + 99)
    with transaction(db):
        write(db, [], [SaveCall(call=call)], Guard())
    assert call_from_row(db.execute(f"SELECT {CALL_COLUMNS} FROM attempts").fetchone()) == call


def test_counts_come_by_way_of_an_index(counted: sqlite3.Connection) -> None:
    seen: list[str] = []
    counted.set_trace_callback(seen.append)
    promises.recount(counted, "spring", DAY, DAY)
    promises.abandoned_calls(counted, "spring", NOON - 60, NOON + 60)
    promises.days(counted, "spring")
    counted.set_trace_callback(None)
    assert len(seen) == 3
    for sql in seen:
        plan = " ".join(row[3] for row in counted.execute(f"EXPLAIN QUERY PLAN {sql}"))
        assert "SCAN a " not in plan
        assert "SCAN attempts" not in plan
        assert "SCAN abandonment" not in plan or "recounted" in sql
