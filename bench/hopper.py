"""How long the hopper waits for its next contact, in a campaign nine tenths of which may not be dialed now.

Of each twenty contacts two may be dialed. Ten sleep (in ten zones, with four kinds of phone), three are
due later, two stand on the do-not-call list without anybody having noticed yet, one was called as often today
as it may be, and two belong to an operator who is not there. Those that may be dialed are of twenty
classes. All are mixed, so that nothing is found without stepping over the others.

The journal is made by plain SQL: what is measured is the engine's own questions to it. Each answer is followed
by a save of what became of its contacts, so that the next question finds others.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dialer.core.commands import SaveCall, SaveLead
from dialer.core.ids import AgentId, CampaignId, TrunkId
from dialer.core.judging import judge
from dialer.core.values import (
    FOREVER,
    AgentCard,
    Call,
    CallingHours,
    CallState,
    Campaign,
    Caps,
    DayHours,
    Lead,
    Owners,
    Trunk,
)
from dialer.engine.identity import new_attempt_id
from dialer.store import settings
from dialer.store.connect import open_writer
from dialer.store.fetching import Question
from dialer.store.journal import Journal

AT = 1_781_254_800.0
"""Friday, 12 June 2026, 12:00 in Moscow."""
OPEN = ("Europe/Moscow", "Europe/Samara", "Europe/Kaliningrad", "Europe/Volgograd", "Europe/Saratov")
CLOSED = (
    "Asia/Vladivostok",
    "Asia/Magadan",
    "Asia/Kamchatka",
    "Asia/Sakhalin",
    "Asia/Anadyr",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Anchorage",
)
KINDS = ("main", "mobile", "work", "home")
CAMPAIGN = Campaign(
    id=CampaignId("bench"),
    lists=("bench",),
    trunk=TrunkId("bench"),
    hours=CallingHours(kinds={"default": (DayHours(days=tuple(range(7)), stretches=((540, 1080),)),)}),
    caps=Caps(number_per_24h=1, contact_per_day=3),
    owners=Owners(away="wait"),
)
LIMIT = 20
"""Leads asked for at once: ten idle operators."""
QUESTIONS = 20


def build(path: Path, contacts: int) -> float:
    """Make a journal with a campaign of so many contacts at *path*; how many seconds it took."""
    began = time.perf_counter()
    with contextlib.closing(open_writer(path)) as db:
        settings.apply_trunk(db, Trunk(id=TrunkId("bench"), host="127.0.0.1"), 1.0)
        settings.apply_campaign(db, CAMPAIGN, 1.0)
        settings.add_agent(db, AgentCard(id=AgentId("absent"), phone="100"))
        # It may be made again: nothing is to be saved from a crash.
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA foreign_keys = OFF")
        tables = "('contacts', 'phones', 'leads', 'attempts', 'do_not_call')"
        indexes = db.execute(
            f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL AND tbl_name IN {tables}"
        ).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        _classes(db)
        for first in range(1, contacts + 1, 500_000):
            db.execute("BEGIN")
            for sql in _FILL:
                db.execute(sql, {"first": first, "last": min(contacts, first + 499_999), "at": AT})
            db.execute("COMMIT")
        for _, sql in indexes:
            db.execute(sql)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return time.perf_counter() - began


def _classes(db: sqlite3.Connection) -> None:
    """Classes 1 to 20 are open, 21 to 60 closed."""
    pairs = [(kind, zone) for zones in (OPEN, CLOSED) for zone in zones for kind in KINDS]
    db.executemany(
        "INSERT INTO calling_classes (id, phones) VALUES (?, ?)",
        [(number, json.dumps([[kind, [zone]]])) for number, (kind, zone) in enumerate(pairs, 1)],
    )
    db.execute("CREATE TEMP TABLE zones (class INTEGER PRIMARY KEY, kind TEXT, zone TEXT)")
    db.executemany(
        "INSERT INTO zones VALUES (?, ?, ?)", [(number, *pair) for number, pair in enumerate(pairs, 1)]
    )


_NUMBERS = (
    "WITH RECURSIVE every(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM every WHERE n < :last),"
    " person AS MATERIALIZED (SELECT n, n % 20 AS sort,"
    " CASE WHEN n % 20 < 10 THEN 21 + (n / 20 + n) % 40 ELSE 1 + (n / 20 + n) % 20 END AS class FROM every)"
)
_FILL = (
    (
        f"{_NUMBERS} INSERT INTO contacts (id, list, key, name, added_at, zone, class)"
        " SELECT n, 'bench', 'id:' || n, 'Person ' || n, 1.0, zone, person.class"
        " FROM person JOIN zones ON zones.class = person.class"
    ),
    (
        f"{_NUMBERS} INSERT INTO phones (id, contact, position, kind, number)"
        " SELECT n, n, 0, kind, '+79' || printf('%09d', n) FROM person JOIN zones ON zones.class = person.class"
    ),
    (
        f"{_NUMBERS} INSERT INTO leads (id, campaign, contact, class, priority, due, owner, owned_until, enrolled_at)"
        " SELECT n, 'bench', n, class, iif(sort IN (10, 11, 12), 1, 2),"
        " iif(sort IN (10, 11, 12), :at + 3600 + n % 3600, 0.0), iif(sort IN (16, 17), 'absent', NULL),"
        f" iif(sort IN (16, 17), {FOREVER}, NULL), 1.0 FROM person"
    ),
    (
        f"{_NUMBERS} INSERT INTO do_not_call (number, kind, added_at)"
        " SELECT '+79' || printf('%09d', n), 'number', 1.0 FROM person WHERE sort IN (13, 14)"
    ),
    # Called in the morning for another campaign's lead, as it were: the cap counts it all the same.
    (
        f"{_NUMBERS} INSERT INTO attempts"
        " (attempt, campaign, lead, contact, phone, number, ordinal, trunk, state, created_at, ended_at, result)"
        " SELECT 'a' || printf('%020d', n), 'bench', n, n, n, '+79' || printf('%09d', n), 0, 'bench', 'ended',"
        " :at - 7200, :at - 7100, 'no_answer' FROM person WHERE sort = 15"
    ),
)


async def measure(path: Path, *, with_calls: bool) -> dict[str, Any]:
    """Ask as the hopper does. *with_calls*: and save an attempt of each lead, as the engine does, which
    has the guard look at it.
    """
    waits: list[float] = []
    spent_s = 0.0
    saves: list[float] = []
    leads = 0
    before_kib = _peak_kib()
    async with await Journal.open(path) as journal:
        steps = _timed_steps()
        for number in range(QUESTIONS):
            began, began_cpu = time.perf_counter(), time.process_time()
            found, _, _ = await journal.fetch_leads(CAMPAIGN, LIMIT, AT)
            waits.append(time.perf_counter() - began)
            spent_s += time.process_time() - began_cpu
            if len(found) != LIMIT:
                raise AssertionError(f"{len(found)} leads instead of {LIMIT}")
            leads += len(found)
            began = time.perf_counter()
            if with_calls:
                await journal.save([], [SaveCall(call=_call(lead)) for lead in found])
                saves.append((time.perf_counter() - began) / len(found))
            await journal.save(
                [],
                [
                    SaveLead(lead=lead.id, ordinal=1, due=AT + 7200 + number, why="no_answer", at=AT)
                    for lead in found
                ],
            )
    return {
        "leads": leads,
        "ms a contact": round(1000 * sum(waits) / leads, 3),
        "of it busy": round(1000 * spent_s / leads, 3),
        "slowest question, ms": round(1000 * max(waits), 1),
        "median question, ms": round(1000 * statistics.median(waits), 1),
        "slowest step, ms": round(1000 * max(steps), 1),
        "save a call, ms": round(1000 * statistics.median(saves), 3) if saves else 0.0,
        "memory, MB": round((_peak_kib() - before_kib) / 1024, 1),
        "memory of all, MB": round(_peak_kib() / 1024, 1),
    }


def _timed_steps() -> list[float]:
    """How long each step of a question takes from now on, for which a save waits at most."""
    steps: list[float] = []
    real = Question.step

    def step(self: Question, connection: sqlite3.Connection) -> bool:
        began = time.perf_counter()
        try:
            return real(self, connection)
        finally:
            steps.append(time.perf_counter() - began)

    Question.step = step  # type: ignore[method-assign]
    return steps


def _call(lead: Lead) -> Call:
    phone = judge(lead, CAMPAIGN, AT).phone
    assert phone is not None
    return Call(
        attempt=new_attempt_id(),
        campaign=lead.campaign,
        lead=lead.id,
        contact=lead.contact,
        phone=phone.id,
        number=phone.number,
        ordinal=1,
        trunk=TrunkId("bench"),
        state=CallState.DIALING,
        created_at=AT,
        result=None,
    )


def _peak_kib() -> int:
    """The most memory that this process has ever held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def run(path: Path, *, with_calls: bool) -> dict[str, Any]:
    """:func:`measure` in a process of its own, so that its memory is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.hopper", str(path), *(["calls"] if with_calls else [])],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1]), with_calls="calls" in sys.argv[2:]))))
