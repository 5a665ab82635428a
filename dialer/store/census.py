"""Everybody whom a campaign may ever call, counted: for ``dialer campaign check``.

1. Of a million contacts most were never touched: what may be said of one of them hangs only on its calling
   class (kinds of phone and their zones). Those are counted class by class, in SQL. The others differ: they
   were tried, are due at a time of their own, have an owner, a bad number, one that is on a do-not-call list or that no trunk
   may call, or were called of late. They are given out one by one.
2. Contacts of the campaign's lists that have no lead yet are counted as if they had: a start makes leads of them.
3. All is read in one transaction, on a connection that cannot write to the journal; which contacts differ is
   kept in a temporary table on disk, so that memory does not grow.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from dialer.core.destinations import countries_of, may_call
from dialer.core.values import Campaign, Centre
from dialer.store.classes import Phones
from dialer.store.connect import open_reader
from dialer.store.facts import ROW, Row
from dialer.store.schema import LIST_REMOVED, PRIORITY_FRESH
from dialer.store.trunks import trunks_of

_WINDOW_S = 26 * 3600.0
"""Calls that are older than this (and than every gap) keep nobody back."""

_LEADS = "leads l WHERE l.campaign = :campaign AND l.finished IS NULL"
_NEWCOMERS = f"""campaign_lists m JOIN contacts c ON c.list = m.list AND c.id > m.enrolled_to
WHERE m.campaign = :campaign AND NOT EXISTS (
    SELECT 1 FROM leads o WHERE o.contact = c.id AND o.campaign = m.campaign AND o.finished IS NOT '{LIST_REMOVED}')"""
_HAS_STATE = (
    f"(l.ordinal > 0 OR l.priority <> {PRIORITY_FRESH} OR l.owner IS NOT NULL OR l.next_phone IS NOT NULL"
    " OR l.class = 0 OR (l.held IS NULL AND l.due > :at) OR l.held_due > :at)"
)
_ENTRY = "d.removed_at IS NULL AND d.campaign IN ('', :campaign)"
_OF_NUMBER = f"""SELECT p.contact FROM do_not_call d CROSS JOIN phones p ON p.number = d.number
WHERE {_ENTRY} AND d.kind = 'number'"""
_OF_PREFIX = f"""SELECT p.contact FROM do_not_call d
CROSS JOIN phones p ON p.number >= rtrim(d.number, '*') AND p.number < rtrim(d.number, '*') || ':'
WHERE {_ENTRY} AND d.kind = 'prefix' AND d.kind <> 'number'"""
_FIXED = "substr(d.number, 1, instr(d.number, '?') - 1)"
_OF_PATTERN = f"""SELECT p.contact FROM do_not_call d
CROSS JOIN phones p ON p.number >= {_FIXED} AND p.number < {_FIXED} || ':' AND p.number GLOB d.number
WHERE {_ENTRY} AND d.kind = 'pattern' AND d.kind <> 'number'"""
_DIFFER = (
    f"SELECT l.contact FROM {_LEADS} AND {_HAS_STATE}",
    f"SELECT c.id FROM {_NEWCOMERS} AND c.class = 0",
    "SELECT contact FROM phones WHERE is_bad",
    _OF_NUMBER,
    _OF_PREFIX,
    _OF_PATTERN,
)
"""Contacts that differ (of the campaign, or of others: that costs nothing)."""
_CALLED = (
    "SELECT contact FROM attempts WHERE created_at > :since",
    "SELECT p.contact FROM attempts a CROSS JOIN phones p ON p.number = a.number WHERE a.created_at > :since",
)


class Class(msgspec.Struct, frozen=True, kw_only=True):
    """So many contacts with *phones* (kinds and zones) that were never touched."""

    id: int
    phones: Phones
    count: int


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """So many contacts that the campaign is done with, for this reason."""

    reason: str
    count: int
    contacts: tuple[int, ...]
    """Some of them."""


class Census:
    """The contacts of *campaign* as they stand at *at*. Made by :func:`open_census`."""

    def __init__(self, connection: sqlite3.Connection, campaign: Campaign, centre: Centre, at: float) -> None:
        self.connection = connection
        self._given = {"campaign": campaign.id, "at": at}
        connection.execute("CREATE TEMP TABLE differing (person INTEGER PRIMARY KEY)")
        for sql in _DIFFER:
            connection.execute(f"INSERT OR IGNORE INTO differing {sql}", self._given)
        self._add_unreachable(campaign, centre)
        caps = (campaign.caps, centre.caps)
        window_s = max(_WINDOW_S, *(one.gap_s for one in caps))
        for sql in _CALLED:
            connection.execute(f"INSERT OR IGNORE INTO differing {sql}", {"since": at - window_s})

    def _add_unreachable(self, campaign: Campaign, centre: Centre) -> None:
        """Those differ who have a number that no trunk of the campaign may call."""
        trunks, countries = trunks_of(self.connection, campaign), countries_of(campaign, centre)
        insert = "INSERT OR IGNORE INTO differing SELECT contact FROM phones WHERE NOT"
        if any(one.destinations or one.forbidden for one in trunks):
            self.connection.create_function(
                "may_call",
                1,
                lambda number: may_call(trunks, campaign, centre, number),
                deterministic=True,
            )
            self.connection.execute(f"{insert} may_call(number)")
        elif trunks and countries:
            fits = " OR ".join("number >= ? AND number < ? || ':'" for _ in countries)
            self.connection.execute(f"{insert} ({fits})", [text for one in countries for text in (one, one)])

    def classes(self) -> list[Class]:
        """The contacts that were never touched, by class."""
        counts: dict[int, int] = {}
        for sql in (
            f"SELECT l.class, count(*) FROM {_LEADS} AND l.contact NOT IN (SELECT person FROM differing) GROUP BY 1",
            f"SELECT c.class, count(*) FROM {_NEWCOMERS} AND c.id NOT IN (SELECT person FROM differing) GROUP BY 1",
        ):
            for number, count in self.connection.execute(sql, self._given):
                counts[number] = counts.get(number, 0) + count
        found = []
        for number, count in sorted(counts.items()):
            [text] = self.connection.execute(
                "SELECT phones FROM calling_classes WHERE id = ?", (number,)
            ).fetchone()
            found.append(Class(id=number, phones=msgspec.json.decode(text, type=Phones), count=count))
        return found

    def of_class(self, number: int) -> Iterator[int]:
        """The contacts of a class that were never touched."""
        given = {**self._given, "class": number}
        plain = "NOT IN (SELECT person FROM differing)"
        for sql in (
            f"SELECT l.contact FROM {_LEADS} AND l.class = :class AND l.contact {plain}",
            f"SELECT c.id FROM {_NEWCOMERS} AND c.class = :class AND c.id {plain}",
        ):
            for (contact,) in self.connection.execute(sql, given):
                yield contact

    def differing(self) -> Iterator[tuple[Row, float]]:
        """The others: for each what :meth:`dialer.store.facts.Facts.lead` takes, and when it is due (one that a rule
        has put off: when it would be due without that rule).
        """
        sql = (
            f"SELECT {ROW}, coalesce(held_due, due) FROM differing CROSS JOIN leads ON contact = person"
            " AND campaign = :campaign WHERE finished IS NULL ORDER BY person"
        )
        for *row, due in self.connection.execute(sql, self._given):
            yield tuple(row), due
        for (contact,) in self.connection.execute(
            f"SELECT c.id FROM {_NEWCOMERS} AND c.id IN (SELECT person FROM differing)", self._given
        ):
            yield (0, contact, 0, None, 0.0, None, None, PRIORITY_FRESH), 0.0

    def differing_count(self) -> int:
        """How many :meth:`differing` gives out."""
        counted = 0
        for sql in (
            f"SELECT count(*) FROM {_LEADS} AND l.contact IN (SELECT person FROM differing)",
            f"SELECT count(*) FROM {_NEWCOMERS} AND c.id IN (SELECT person FROM differing)",
        ):
            counted += self.connection.execute(sql, self._given).fetchone()[0]
        return counted

    def done(self, examples: int) -> list[Done]:
        """The contacts that the campaign is done with, by reason, with some *examples* of each."""
        found = []
        where = "leads WHERE campaign = :campaign AND finished IS NOT NULL"
        for reason, count in self.connection.execute(
            f"SELECT finished, count(*) FROM {where} GROUP BY finished ORDER BY 2 DESC, 1", self._given
        ).fetchall():
            given = {**self._given, "reason": reason, "most": examples}
            rows = self.connection.execute(
                f"SELECT contact FROM {where} AND finished = :reason LIMIT :most", given
            )
            found.append(Done(reason=reason, count=count, contacts=tuple(row[0] for row in rows)))
        return found

    def all_done(self) -> Iterator[tuple[int, str]]:
        """Each contact that the campaign is done with, and why."""
        yield from self.connection.execute(
            "SELECT contact, finished FROM leads WHERE campaign = :campaign AND finished IS NOT NULL",
            self._given,
        )


@contextmanager
def open_census(path: Path, campaign: Campaign, centre: Centre, at: float) -> Iterator[Census]:
    """The census on a connection of its own to the journal *path*.

    Raises StoreError, sqlite3.Error.
    """
    connection = open_reader(path)
    try:
        connection.row_factory = None
        connection.execute(
            "PRAGMA query_only = OFF"
        )  # the file is open to be read only; temporary tables are ours
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("BEGIN")
        yield Census(connection, campaign, centre, at)
    finally:
        connection.close()
