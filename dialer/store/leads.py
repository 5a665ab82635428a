"""Leads: how contacts become leads, and which wait for their time.

Which may be dialed now is :mod:`dialer.store.fetching`'s business; how one stands, and stood,
:mod:`dialer.store.facts`'. All that the engine asks is answered from an index and costs the same with a
thousand leads as with a million.
"""

# ruff: noqa: S608 - only names of our own columns are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
import time

from dialer.core.ids import CampaignId, LeadId
from dialer.store import holding
from dialer.store.connect import BUSY_S, transaction
from dialer.store.schema import BREATH_S, CHUNK_ROWS, LIST_REMOVED, PRIORITIES, PRIORITY_FRESH

LATER_SQL = (
    "SELECT 1 FROM attempts WHERE lead = ?1 AND ordinal > ?2"
    " UNION ALL SELECT 1 FROM attempts WHERE lead = ?1 AND ordinal = ?2 AND direction = 'in' AND created_at > ?3 LIMIT 1"
)
WAITING_SQL = (
    "SELECT id, due FROM leads WHERE campaign = ? AND priority = ? AND finished IS NULL AND held IS NULL"
    " AND due > 0 AND (due, id) > (?, ?) ORDER BY due, id LIMIT ?"
)
_ALL = 2**62
"""Beyond every id."""
ENROLLED_AGAIN = "enrolled_again"


def was_dialed_again(connection: sqlite3.Connection, lead: LeadId, ordinal: int, at: float = _ALL) -> bool:
    """Whether an attempt came after the attempt *ordinal* of the lead, or a call to us after *at*."""
    return connection.execute(LATER_SQL, (lead, ordinal, at)).fetchone() is not None


def waiting_page(
    connection: sqlite3.Connection,
    campaign: CampaignId,
    at: float,
    after: tuple[int, float, int] | None,
    page_rows: int,
) -> tuple[list[tuple[LeadId, float]], tuple[int, float, int] | None]:
    """A page of the leads that become due after *at*, with their due times; without those that a rule put
    off, of which there may be very many: the hopper finds them when it looks again.

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
        time.sleep(BREATH_S)
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
                "SELECT id, class FROM contacts WHERE list = ? AND id > ? ORDER BY id LIMIT ?",
                (name, enrolled_to, CHUNK_ROWS),
            ).fetchall()
            if not contacts:
                continue
            back = _removed_before(connection, campaign, name, contacts[0][0], contacts[-1][0])
            done = connection.executemany(
                "INSERT INTO leads (campaign, contact, class, priority, due, enrolled_at)"
                f" VALUES (?, ?, ?, {PRIORITY_FRESH}, 0.0, ?) ON CONFLICT (contact, campaign) DO UPDATE"
                f" SET due = 0.0, finished = NULL, enrolled_at = excluded.enrolled_at, class = excluded.class"
                f" WHERE finished = '{LIST_REMOVED}'",
                [(campaign, contact, group, at) for contact, group in contacts],
            )
            holding.note(connection, back, at, ENROLLED_AGAIN)
            connection.execute(
                "UPDATE campaign_lists SET enrolled_to = ? WHERE campaign = ? AND list = ?",
                (contacts[-1][0], campaign, name),
            )
            return max(done.rowcount, 0)
    return None


def _removed_before(
    connection: sqlite3.Connection, campaign: CampaignId, name: str, first: int, last: int
) -> list[int]:
    """Leads of the list's contacts from *first* to *last* that were finished with the list's removal."""
    if not connection.execute(
        f"SELECT 1 FROM leads WHERE campaign = ? AND finished = '{LIST_REMOVED}' AND finished IS NOT NULL LIMIT 1",
        (campaign,),
    ).fetchone():
        return []
    found = connection.execute(
        "SELECT leads.id FROM contacts CROSS JOIN leads ON leads.contact = contacts.id AND leads.campaign = ?"
        f" WHERE contacts.list = ? AND contacts.id BETWEEN ? AND ? AND leads.finished = '{LIST_REMOVED}'",
        (campaign, name, first, last),
    )
    return [row[0] for row in found]
