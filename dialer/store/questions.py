"""Questions for reports, asked on a reading connection: attempts and recordings one by one; sums of them are :mod:`dialer.store.figures`.

1. An answer is plain rows (dicts) with stable names; instants end in ``_at`` (seconds since the
   epoch), lengths in ``_s``, shares run from 0 to 1.
2. Every question reaches its rows by an index and reads no more of them than lie in its period.
3. Long listings come in pages; where a page ends is told by a key, not by a number of rows, so that
   what is written meanwhile makes nothing appear twice or get lost.
4. What a caller gives never becomes SQL text: filters are parameters, sort columns a fixed list.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from dialer.core.values import Result
from dialer.store.errors import StoreError
from dialer.store.rows import dicts

PAGE_ROWS = 500
EVER = 1e12
"""An instant that never comes."""
_RING = (
    "iif(a.direction = 'in', NULL, coalesce(a.answered_at, a.ended_at) - coalesce(a.rang_at, a.created_at))"
)
_WAIT = "coalesce(a.connected_at, a.ended_at) - a.answered_at"
TALK = "a.ended_at - a.connected_at"
"""How long a conversation lasted."""
SORTS = {
    "created_at": "a.created_at",
    "number": "a.number",
    "agent": "coalesce(a.agent, '')",
    "result": "coalesce(a.result, '')",
    "ring_s": f"coalesce({_RING}, -1)",
    "wait_s": f"coalesce({_WAIT}, -1)",
    "talk_s": f"coalesce({TALK}, -1)",
}
"""By what attempts may be sorted."""

RECORDING_COLUMNS = (
    "a.attempt, r.started_at, round(r.length_s, 3) AS length_s, a.campaign, a.agent, a.number,"
    " c.name AS contact_name, a.result, a.operator_result, r.path, r.size_bytes, r.sha256, r.missing"
)
RECORDING_TABLES = "attempts a JOIN recordings r ON r.attempt = a.attempt JOIN contacts c ON c.id = a.contact"

Key = tuple[float | str, int]


class BadQuestion(StoreError):
    """A question asks for what there is not; the message says what is allowed."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows. *after*: give it back for the next page; None: there is none."""

    rows: list[dict[str, Any]]
    after: Key | None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempts. *since* and *until* (not included): when they began. *number*: E.164. *direction*: ``out``, or ``in``
    (the person called us). *choice*: what they chose by a key, or became of them (:data:`dialer.core.conduct.Choice`)."""

    campaign: str | None = None
    agent: str | None = None
    result: str | None = None
    operator_result: str | None = None
    number: str | None = None
    contact: int | None = None
    direction: str | None = None
    choice: str | None = None
    since: float | None = None
    until: float | None = None

    def where(self) -> tuple[str, list[Any]]:
        """The condition on ``attempts a``, and its parameters.

        Raises:
            BadQuestion: there is no such result.
        """
        if self.result is not None and self.result not in [one.value for one in Result]:
            allowed = ", ".join(one.value for one in Result)
            raise BadQuestion(f"There is no result {self.result!r}; allowed are {allowed}.")
        terms: list[str] = []
        values: list[Any] = []
        for name in (
            "campaign",
            "agent",
            "result",
            "operator_result",
            "number",
            "contact",
            "direction",
            "choice",
        ):
            value = getattr(self, name)
            if value is not None:
                terms.append(f"a.{name} = ?")
                values.append(value)
        terms += ["a.created_at >= ?", "a.created_at < ?"]
        values += [0.0 if self.since is None else self.since, EVER if self.until is None else self.until]
        return " AND ".join(terms), values


def attempts(
    connection: sqlite3.Connection,
    which: Filter,
    *,
    sort: str = "created_at",
    descending: bool = False,
    after: Key | None = None,
    limit: int = PAGE_ROWS,
) -> Page:
    """Attempts in detail, one page. *sort*: one of :data:`SORTS`.

    Raises:
        BadQuestion: no such sort column or result.
    """
    columns = (
        "a.attempt, a.created_at, a.direction, a.campaign, a.contact, c.name AS contact_name, p.kind AS phone_kind,"
        " a.number, a.ordinal, a.trunk, a.agent, a.state, a.result, a.operator_result,"
        f" round({_RING}, 3) AS ring_s, round({_WAIT}, 3) AS wait_s, round({TALK}, 3) AS talk_s,"
        " a.ending, a.cause, a.tech_cause, a.choice, a.abandoned_at, a.did, r.path AS recording"
    )
    tables = (
        "attempts a JOIN contacts c ON c.id = a.contact JOIN phones p ON p.id = a.phone"
        " LEFT JOIN recordings r ON r.attempt = a.attempt"
    )
    return _page(connection, columns, tables, which, sort, descending, after, limit)


def recordings(
    connection: sqlite3.Connection,
    which: Filter,
    *,
    length_min_s: float | None = None,
    length_max_s: float | None = None,
    missing: bool = False,
    sort: str = "created_at",
    descending: bool = False,
    after: Key | None = None,
    limit: int = PAGE_ROWS,
) -> Page:
    """Recordings, one page; with *missing* those instead that ought to be there and are not.

    Raises:
        BadQuestion: no such sort column or result.
    """
    more, values = recording_terms(missing=missing, length_min_s=length_min_s, length_max_s=length_max_s)
    columns, tables = RECORDING_COLUMNS, RECORDING_TABLES
    return _page(connection, columns, tables, which, sort, descending, after, limit, more, values)


def recording_terms(
    *, missing: bool, length_min_s: float | None, length_max_s: float | None = None
) -> tuple[list[str], list[Any]]:
    """The conditions on ``recordings r``, and their parameters."""
    more = [f"r.path IS {'' if missing else 'NOT '}NULL"]
    values: list[Any] = []
    for sign, value in ((">=", length_min_s), ("<=", length_max_s)):
        if value is not None:
            more.append(f"r.length_s {sign} ?")
            values.append(value)
    return more, values


def _page(
    connection: sqlite3.Connection,
    columns: str,
    tables: str,
    which: Filter,
    sort: str,
    descending: bool,
    after: Key | None,
    limit: int,
    more: list[str] | None = None,
    more_values: list[Any] | None = None,
) -> Page:
    if sort not in SORTS:
        raise BadQuestion(f"Attempts cannot be sorted by {sort!r}; allowed are {', '.join(SORTS)}.")
    key = SORTS[sort]
    where, values = which.where()
    terms = [where, *(more or [])]
    values += more_values or []
    if after is not None:
        terms.append(f"({key}, a.rowid) {'<' if descending else '>'} (?, ?)")
        values += after
    way = "DESC" if descending else "ASC"
    found = connection.execute(
        f"SELECT {columns}, {key} AS _key, a.rowid AS _row FROM {tables}"
        f" WHERE {' AND '.join(terms)} ORDER BY {key} {way}, a.rowid {way} LIMIT ?",
        [*values, limit],
    )
    rows = dicts(found)
    last = (rows[-1]["_key"], rows[-1]["_row"]) if len(rows) == limit and rows else None
    for row in rows:
        del row["_key"], row["_row"]
    return Page(rows=rows, after=last)


def all_pages(ask: Callable[[Key | None], Page]) -> Iterator[dict[str, Any]]:
    """The rows of all pages one after the other: ``all_pages(lambda after: attempts(..., after=after))``."""
    after: Key | None = None
    while True:
        page = ask(after)
        yield from page.rows
        if page.after is None:
            return
        after = page.after
