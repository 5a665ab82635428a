"""Leads: which may be dialed now, which wait, and how contacts become leads.

Everything that the engine asks while it dials is answered from an index and costs the same with
a thousand leads as with a million: the partial index ``leads_waiting`` holds the unfinished ones
in the order in which they are wanted, and those not yet due lie behind the point where we stop.
"""

# ruff: noqa: S608 - only names of our own columns are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
import time

from dialer.core.ids import CampaignId, ContactId, LeadId, PhoneId
from dialer.core.values import Lead, LeadPhone, Result
from dialer.store.connect import BUSY_S, transaction
from dialer.store.schema import PRIORITIES, PRIORITY_FRESH

CHUNK_ROWS = 2000
"""Rows of one short transaction: others get the write lock between two."""
_BREATH_S = 0.003
"""Between two chunks: longer than a waiting writer sleeps between two looks."""

DUE_SQL = (
    "SELECT id, contact, ordinal, next_phone, due FROM leads"
    " WHERE campaign = ? AND priority = ? AND finished IS NULL AND due <= ?"
    " AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.lead = leads.id AND attempts.state <> 'ended')"
    " ORDER BY due, id LIMIT ?"
)
LATER_SQL = "SELECT 1 FROM attempts WHERE lead = ? AND ordinal > ? LIMIT 1"
UNFINISHED_SQL = "SELECT 1 FROM leads WHERE campaign = ? AND finished IS NULL LIMIT 1"
PHONES_SQL = "SELECT id, number, kind, is_bad, position FROM phones WHERE contact = ?"
TRIED_SQL = "SELECT ordinal, phone, result FROM attempts WHERE lead = ? AND ordinal < ? ORDER BY ordinal"
WAITING_SQL = (
    "SELECT id, due FROM leads WHERE campaign = ? AND priority = ? AND finished IS NULL AND (due, id) > (?, ?)"
    " ORDER BY due, id LIMIT ?"
)
LIST_REMOVED = "list_removed"
"""Why a lead is finished whose list was taken out of the campaign."""
_ALL = 2**62
"""Beyond every ordinal and every id."""


def fetch_leads(
    connection: sqlite3.Connection, campaign: CampaignId, limit: int, at: float
) -> tuple[list[Lead], bool]:
    """At most *limit* leads that may be dialed at *at*, most urgent first, none with an open
    attempt; and whether the campaign has any lead that is not finished.
    """
    found: list[tuple[int, int, int, int | None, float]] = []
    for priority in PRIORITIES:
        if len(found) >= limit:
            break
        found += connection.execute(DUE_SQL, (campaign, priority, at, limit - len(found)))
    if not found:
        return [], connection.execute(UNFINISHED_SQL, (campaign,)).fetchone() is not None
    return [_lead(connection, campaign, row) for row in found], True


def lead_before(connection: sqlite3.Connection, lead: LeadId, ordinal: int) -> Lead | None:
    """The lead as it was when the attempt *ordinal* was placed; None if there is no such lead."""
    row = connection.execute(
        "SELECT campaign, id, contact, ordinal, next_phone, coalesce(due, 0.0) FROM leads WHERE id = ?",
        (lead,),
    ).fetchone()
    if row is None:
        return None
    campaign, *rest = row
    rest[2] = ordinal - 1
    return _lead(connection, campaign, tuple(rest), before=ordinal)


def was_dialed_again(connection: sqlite3.Connection, lead: LeadId, ordinal: int) -> bool:
    """Whether an attempt came after the attempt *ordinal* of the lead."""
    return connection.execute(LATER_SQL, (lead, ordinal)).fetchone() is not None


def waiting_page(
    connection: sqlite3.Connection,
    campaign: CampaignId,
    at: float,
    after: tuple[int, float, int] | None,
    page_rows: int,
) -> tuple[list[tuple[LeadId, float]], tuple[int, float, int] | None]:
    """A page of the leads that become due after *at*, with their due times.

    *after*: where the page before ended, as it told in its second value; None: the first page.
    The second value is None when there is nothing more.
    """
    page: list[tuple[LeadId, float]] = []
    for priority in PRIORITIES:
        if after is not None and priority < after[0]:
            continue
        _, due, number = after if after is not None and after[0] == priority else (priority, at, _ALL)
        page += connection.execute(
            WAITING_SQL, (campaign, priority, due, number, page_rows - len(page))
        ).fetchall()
        if len(page) >= page_rows:
            number, due = page[-1]
            return page, (priority, due, number)
    return page, None


def _lead(
    connection: sqlite3.Connection,
    campaign: str,
    row: tuple[int, int, int, int | None, float],
    before: int = 0,
) -> Lead:
    number, contact, ordinal, next_phone, due = row
    tried: dict[int, list[Result]] = {}
    if ordinal:
        for _, phone, result in connection.execute(TRIED_SQL, (number, before or _ALL)):
            if result is not None and result != Result.FAILED:
                tried.setdefault(phone, []).append(Result(result))
    phones = sorted(connection.execute(PHONES_SQL, (contact,)), key=lambda one: (one[4], one[0]))
    return Lead(
        id=LeadId(number),
        campaign=CampaignId(campaign),
        contact=ContactId(contact),
        phones=tuple(
            LeadPhone(
                id=PhoneId(phone),
                number=e164,
                kind=kind,
                tried=tuple(tried.get(phone, ())),
                is_bad=bool(is_bad),
            )
            for phone, e164, kind, is_bad, _ in phones
        ),
        ordinal=ordinal,
        next_phone=None if next_phone is None else PhoneId(next_phone),
        due=due,
    )


def enroll(connection: sqlite3.Connection, campaign: CampaignId, at: float) -> int:
    """Make leads of all contacts of the campaign's lists that are none yet; return how many.

    In short transactions, each of which leaves a good state: it may be cut short and done again,
    by several programs at once.

    Raises:
        JournalError: the journal cannot be written; what was enrolled stays.
    """
    added = 0
    while (count := enroll_chunk(connection, campaign, at)) is not None:
        added += count
        time.sleep(_BREATH_S)
    return added


def enroll_chunk(
    connection: sqlite3.Connection, campaign: CampaignId, at: float, *, busy_s: float = BUSY_S
) -> int | None:
    """Enroll one chunk of contacts; None when there was nothing left to look at.

    Raises JournalError, also when another writer holds the journal for longer than *busy_s*.
    """
    with transaction(connection, busy_s=busy_s):
        for name, enrolled_to in connection.execute(
            "SELECT list, enrolled_to FROM campaign_lists WHERE campaign = ? ORDER BY position", (campaign,)
        ).fetchall():
            contacts = connection.execute(
                "SELECT id FROM contacts WHERE list = ? AND id > ? ORDER BY id LIMIT ?",
                (name, enrolled_to, CHUNK_ROWS),
            ).fetchall()
            if not contacts:
                continue
            done = connection.executemany(
                "INSERT INTO leads (campaign, contact, priority, due, enrolled_at)"
                f" VALUES (?, ?, {PRIORITY_FRESH}, 0.0, ?) ON CONFLICT (contact, campaign) DO UPDATE"
                f" SET due = 0.0, finished = NULL, enrolled_at = excluded.enrolled_at"
                f" WHERE finished = '{LIST_REMOVED}'",
                [(campaign, contact, at) for (contact,) in contacts],
            )
            connection.execute(
                "UPDATE campaign_lists SET enrolled_to = ? WHERE campaign = ? AND list = ?",
                (contacts[-1][0], campaign, name),
            )
            return max(done.rowcount, 0)
    return None
