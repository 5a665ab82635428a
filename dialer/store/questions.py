"""Questions for reports, asked on a reading connection: attempts, campaigns, agents, recordings.

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

from dialer.core.values import AgentState, Result
from dialer.store.errors import StoreError
from dialer.store.facts import PLACED

PAGE_ROWS = 500
_DAY_S = 86_400.0
_EVER = 1e12
_RING = (
    "iif(a.direction = 'in', NULL, coalesce(a.answered_at, a.ended_at) - coalesce(a.rang_at, a.created_at))"
)
_WAIT = "coalesce(a.connected_at, a.ended_at) - a.answered_at"
_TALK = "a.ended_at - a.connected_at"
SORTS = {
    "created_at": "a.created_at",
    "number": "a.number",
    "agent": "coalesce(a.agent, '')",
    "result": "coalesce(a.result, '')",
    "ring_s": f"coalesce({_RING}, -1)",
    "wait_s": f"coalesce({_WAIT}, -1)",
    "talk_s": f"coalesce({_TALK}, -1)",
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
        values += [0.0 if self.since is None else self.since, _EVER if self.until is None else self.until]
        return " AND ".join(terms), values


# -- attempts and recordings --------------------------------------------------------------


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
        f" round({_RING}, 3) AS ring_s, round({_WAIT}, 3) AS wait_s, round({_TALK}, 3) AS talk_s,"
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
    rows = _dicts(found)
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


# -- campaigns ------------------------------------------------------------------------------

_TRIED = "a.result IS NOT 'rerouted'"
"""What its trunk would not carry went on as another attempt, which is counted."""
_SUMS = (
    f"count(*) FILTER (WHERE {_TRIED}) AS attempts, count(a.answered_at) AS answered,"
    " sum(a.result = 'talked') AS talked, count(a.abandoned_at) AS abandoned,"
    " sum(a.answered_at IS NOT NULL AND (a.result IS NULL OR a.result NOT IN ('announced', 'machine'))) AS waited,"
    f" round(coalesce(sum({_TALK}), 0), 1) AS talk_s"
)


_CAME = (
    "SELECT count(*) AS calls_in, count(*) FILTER (WHERE a.result = 'talked') AS calls_in_talked,"
    " count(*) FILTER (WHERE a.result = 'missed') AS missed,"
    " round(avg(a.connected_at - a.answered_at), 1) AS calls_in_wait_s_mean"
    " FROM attempts a WHERE a.campaign = ? AND a.created_at >= ? AND a.created_at < ? AND a.direction = 'in'"
)


def campaigns(
    connection: sqlite3.Connection, campaign: str | None = None, *, since: float = 0.0, until: float = _EVER
) -> list[dict[str, Any]]:
    """A row for each campaign (or the one), of the attempts that began in the period.

    ``penetration``: the share of its leads that were dialed (in the period); ``reached``: contacts
    that talked; ``abandoned``: calls that count as abandoned, whatever their result (``abandoned_at``), and
    ``abandoned_share``: theirs of the people who answered and were to meet an operator. All that is of the calls that we made;
    of those that people made to us tell ``calls_in``, ``calls_in_talked``, ``missed`` and ``calls_in_wait_s_mean`` (of who talked).
    """
    heads = connection.execute(
        "SELECT camp.id AS campaign, camp.title, camp.state,"
        " (SELECT count(*) FROM leads l WHERE l.campaign = camp.id AND l.finished IS NULL) AS unfinished,"
        " (SELECT count(*) FROM leads l WHERE l.campaign = camp.id AND l.finished IS NOT NULL) AS finished"
        " FROM campaigns camp WHERE camp.id = coalesce(?, camp.id) ORDER BY camp.priority, camp.id",
        (campaign,),
    )
    rows = []
    for head in _dicts(heads):
        period = (head["campaign"], since, until)
        sums = _dicts(
            connection.execute(
                f"SELECT {_SUMS}, count(DISTINCT CASE WHEN a.result = 'talked' THEN a.contact END) AS reached,"
                f" count(DISTINCT CASE WHEN {PLACED} THEN a.lead END) AS dialed"
                " FROM attempts a WHERE a.campaign = ? AND a.created_at >= ? AND a.created_at < ? AND a.direction = 'out'",
                period,
            )
        )[0]
        came = _dicts(connection.execute(_CAME, period))[0]
        leads = head["unfinished"] + head["finished"]
        talked = sums["talked"] or 0
        results = dict.fromkeys((one.value for one in Result), 0)
        results |= {row["result"]: row["attempts"] for row in campaign_results(connection, *period)}
        rows.append(
            head
            | {
                "leads": leads,
                "dialed": sums["dialed"],
                "penetration": _share(sums["dialed"], leads),
                "attempts": sums["attempts"],
                "answered": sums["answered"],
                "reached": sums["reached"],
                "talk_s": sums["talk_s"],
                "talk_s_mean": _mean(sums["talk_s"], talked),
                "abandoned_share": _share(sums["abandoned"], sums["waited"] or 0),
            }
            | results
            | {"abandoned": sums["abandoned"]}
            | came
        )
    return rows


def campaign_results(
    connection: sqlite3.Connection, campaign: str, since: float = 0.0, until: float = _EVER
) -> list[dict[str, Any]]:
    """How the campaign's attempts ended: ``result``, ``attempts``, ``share``; the most frequent first."""
    where = f"a.campaign = ? AND a.result IS NOT NULL AND {_TRIED} AND a.direction = 'out'"
    return _counted(connection, "result", where, [campaign], since, until)


def campaign_operator_results(
    connection: sqlite3.Connection, campaign: str, since: float = 0.0, until: float = _EVER
) -> list[dict[str, Any]]:
    """What operators said of the campaign's conversations: ``operator_result``, ``attempts``, ``share``."""
    where = "a.campaign = ? AND a.operator_result IS NOT NULL"
    return _counted(connection, "operator_result", where, [campaign], since, until)


def campaign_hours(
    connection: sqlite3.Connection, campaign: str, since: float = 0.0, until: float = _EVER
) -> list[dict[str, Any]]:
    """The campaign hour by hour (``hour_at``), hours without an attempt left out."""
    found = connection.execute(
        f"SELECT 3600.0 * cast(a.created_at / 3600 AS INTEGER) AS hour_at, {_SUMS} FROM attempts a"
        " WHERE a.campaign = ? AND a.created_at >= ? AND a.created_at < ? AND a.direction = 'out' GROUP BY hour_at ORDER BY hour_at",
        (campaign, since, until),
    )
    rows = _dicts(found)
    for row in rows:
        row["talked"] = row["talked"] or 0
        row["abandoned_share"] = _share(row["abandoned"], row.pop("waited") or 0)
    return rows


def _counted(
    connection: sqlite3.Connection, column: str, where: str, values: list[Any], since: float, until: float
) -> list[dict[str, Any]]:
    found = connection.execute(
        f"SELECT a.{column}, count(*) AS attempts FROM attempts a"
        f" WHERE {where} AND a.created_at >= ? AND a.created_at < ?"
        f" GROUP BY a.{column} ORDER BY attempts DESC, a.{column}",
        [*values, since, until],
    )
    rows = _dicts(found)
    total = sum(row["attempts"] for row in rows)
    for row in rows:
        row["share"] = _share(row["attempts"], total)
    return rows


# -- agents ---------------------------------------------------------------------------------


def agents(
    connection: sqlite3.Connection,
    agent: str | None = None,
    *,
    at: float,
    since: float = 0.0,
    until: float | None = None,
) -> list[dict[str, Any]]:
    """A row for each agent (or the one), ranked by calls, then by talk time.

    *at*: now; states that go on are counted up to it. ``occupancy``: the share of the time signed in
    and not paused that went into calls and wrap-up.
    """
    end = at if until is None else min(at, until)
    rows = []
    for identity, name in connection.execute(
        "SELECT id, name FROM agents WHERE id = coalesce(?, id) ORDER BY id", (agent,)
    ).fetchall():
        calls, talk_s = connection.execute(
            f"SELECT count(*), coalesce(sum({_TALK}), 0) FROM attempts a WHERE a.agent = ?"
            " AND a.created_at >= ? AND a.created_at < ? AND a.connected_at IS NOT NULL",
            (identity, since, end),
        ).fetchone()
        results = _counted(
            connection,
            "operator_result",
            "a.agent = ? AND a.operator_result IS NOT NULL",
            [identity],
            since,
            end,
        )
        spent = _time_in_states(connection, identity, since, end)
        on_call, wrap_up = spent[AgentState.ON_CALL], spent[AgentState.WRAP_UP]
        at_work = sum(spent.values()) - spent[AgentState.SIGNED_OUT] - spent[AgentState.PAUSED]
        rows.append(
            {
                "rank": 0,
                "agent": identity,
                "name": name,
                "calls": calls,
                "talk_s": round(talk_s, 1),
                "talk_s_mean": _mean(talk_s, calls),
                "ready_s": round(spent[AgentState.READY], 1),
                "on_call_s": round(on_call, 1),
                "wrap_up_s": round(wrap_up, 1),
                "paused_s": round(spent[AgentState.PAUSED], 1),
                "signed_in_s": round(at_work + spent[AgentState.PAUSED], 1),
                "occupancy": _share(on_call + wrap_up, at_work),
                "operator_results": {row["operator_result"]: row["attempts"] for row in results},
            }
        )
    rows.sort(key=lambda row: (-row["calls"], -row["talk_s"], row["agent"]))
    for place, row in enumerate(rows, 1):
        row["rank"] = place
    return rows


def _time_in_states(
    connection: sqlite3.Connection, agent: str, since: float, end: float
) -> dict[AgentState, float]:
    """Seconds in each state within the period; an interval that began more than a day before is left
    out unless it still lasts (an agent may stay signed out for weeks, but in no other state)."""
    spent = dict.fromkeys(AgentState, 0.0)
    found = connection.execute(
        "SELECT state, began_at, coalesce(ended_at, :end) FROM agent_states"
        " WHERE agent = :agent AND began_at >= :early AND began_at < :end"
        " UNION ALL SELECT state, began_at, :end FROM agent_states"
        " WHERE agent = :agent AND ended_at IS NULL AND began_at < :early",
        {"agent": agent, "early": since - _DAY_S, "end": end},
    )
    for state, began_at, ended_at in found:
        spent[AgentState(state)] += max(0.0, min(ended_at, end) - max(began_at, since))
    return spent


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _mean(total: float, count: int) -> float | None:
    return round(total / count, 1) if count else None


def _dicts(found: sqlite3.Cursor) -> list[dict[str, Any]]:
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]
