"""Reports: what was tried, what came of it, who did it, and where it can be heard.

1. All are questions to the journal on a connection that only reads; the engine never waits for one.
2. Rows are plain. Lists of attempts and recordings come one row at a time, whatever their length;
   sums are made by SQLite and are short.
3. A *contact* is a conversation whose operator's result says so (``is_contact`` in the campaign's
   settings); an *order* is one whose result is named ``order``. A conversation without an operator's
   result counts as neither.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec

from dialer.core.rules import operator_results
from dialer.core.values import Result
from dialer.store.errors import NotInStore
from dialer.store.settings import load_campaigns

ORDER = "order"
"""The name of the operator's result that is an order."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempts are meant; what is None chooses all. *since*, *until*: of their beginning.

    *result*: the telephone's or the operator's. *number*: how it begins. *limit*: only the latest so many.
    """

    campaign: str | None = None
    agent: str | None = None
    result: str | None = None
    number: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int | None = None


def attempts(connection: sqlite3.Connection, chosen: Chosen) -> Iterator[dict[str, Any]]:
    """The attempts, oldest first, with everything that is known of each."""
    return _latest(connection, chosen, _ATTEMPT_COLUMNS, "LEFT JOIN recordings r ON r.attempt = a.attempt")


def recordings(connection: sqlite3.Connection, chosen: Chosen) -> Iterator[dict[str, Any]]:
    """The recordings of answered calls, oldest first, and why there is none where there is none."""
    return _latest(connection, chosen, _RECORDING_COLUMNS, "JOIN recordings r ON r.attempt = a.attempt")


def recording_path(connection: sqlite3.Connection, attempt: str) -> str:
    """Where the attempt's recording is, below the folder of recordings.

    Raises:
        NotInStore: there is none; the message says why.
    """
    row = connection.execute(
        "SELECT r.path, r.missing, a.result, a.answered_at FROM attempts a"
        " LEFT JOIN recordings r ON r.attempt = a.attempt WHERE a.attempt = ?",
        (attempt,),
    ).fetchone()
    if row is None:
        raise NotInStore(f"There is no attempt {attempt!r}.")
    path, missing, result, answered_at = row
    if path is not None:
        return str(path)
    if missing is not None:
        raise NotInStore(f"The attempt {attempt} has no recording: {missing}.")
    if answered_at is None:
        raise NotInStore(f"The attempt {attempt} was not answered ({result or 'it lasts'}).")
    raise NotInStore(f"The attempt {attempt} has no recording (yet).")


def campaigns(connection: sqlite3.Connection, chosen: Chosen) -> list[dict[str, Any]]:
    """One row for each campaign: its leads as they stand, and its attempts and what came of them.

    Raises:
        NotInStore: there is no such campaign.
    """
    known = {str(one.campaign.id): one for one in load_campaigns(connection)}
    if chosen.campaign is not None and chosen.campaign not in known:
        raise NotInStore(
            f"There is no campaign {chosen.campaign!r} (there are: {', '.join(known) or 'none'})."
        )
    sums = _sums(connection, chosen, "campaign")
    leads = {
        campaign: (waiting, finished)
        for campaign, waiting, finished in connection.execute(
            "SELECT id, (SELECT count(*) FROM leads l WHERE l.campaign = c.id AND l.finished IS NULL),"
            " (SELECT count(*) FROM leads l WHERE l.campaign = c.id AND l.finished IS NOT NULL) FROM campaigns c"
        )
    }
    rows = []
    for name, stored in known.items():
        if chosen.campaign in (None, name):
            waiting, finished = leads[name]
            head = {"campaign": name, "title": stored.campaign.title, "state": str(stored.state)}
            head |= {"leads": waiting + finished, "waiting": waiting, "finished": finished}
            rows.append(head | _counted(sums.get(name, [])))
    return rows


def results(connection: sqlite3.Connection, chosen: Chosen) -> list[dict[str, Any]]:
    """How often each result came in each campaign, the telephone's with the operator's beside it."""
    where, values = _where(chosen)
    rows = _rows(
        connection,
        "SELECT a.campaign, a.result, a.operator_result, count(*) AS attempts,"
        " round(sum(a.ended_at - a.connected_at), 1) AS talk_s"
        f" FROM attempts a WHERE {where} AND a.result IS NOT NULL"
        " GROUP BY 1, 2, 3 ORDER BY 1, 4 DESC, 2, 3",
        values,
    )
    whole: dict[str, int] = {}
    for row in rows:
        whole[row["campaign"]] = whole.get(row["campaign"], 0) + row["attempts"]
    return [{**row, "share": round(row["attempts"] / whole[row["campaign"]], 4)} for row in rows]


def agents(connection: sqlite3.Connection, chosen: Chosen) -> list[dict[str, Any]]:
    """One row for each operator, the best first: by orders, then contacts, then conversations.

    Times in states are those between *since* and *until*, over all campaigns.
    """
    sums = _sums(connection, chosen, "agent")
    times = _times(connection, chosen)
    found = []
    for agent, name in connection.execute("SELECT id, name FROM agents ORDER BY id"):
        if chosen.agent not in (None, agent):
            continue
        counted = _counted(sums.get(agent, []))
        shown = ("talked", "contacts", "orders", "contact_share", "order_share", "talk_s", "talk_avg_s")
        found.append(
            {"agent": agent, "name": name}
            | {key: counted[key] for key in shown}
            | times.get(agent, dict(_NO_TIMES))
        )
    found.sort(key=lambda row: (-row["orders"], -row["contacts"], -row["talked"], row["agent"]))
    return [{"rank": rank, **row} for rank, row in enumerate(found, 1)]


# -- sums ---------------------------------------------------------------------------------

_Sum = tuple[str, str | None, bool, int, int, float]
"""Result, operator's result, whether that is a contact, attempts, answered, seconds of talk."""


def _sums(connection: sqlite3.Connection, chosen: Chosen, by: str) -> dict[str, list[_Sum]]:
    contact = {
        (str(one.campaign.id), result.name): result.is_contact
        for one in load_campaigns(connection)
        for result in operator_results(one.campaign)
    }
    where, values = _where(chosen)
    sums: dict[str, list[_Sum]] = {}
    for key, campaign, result, spoken, count, answered, talk_s in connection.execute(
        f"SELECT a.{by}, a.campaign, a.result, a.operator_result, count(*), count(a.answered_at),"
        " coalesce(sum(a.ended_at - a.connected_at), 0)"
        f" FROM attempts a WHERE {where} AND a.{by} IS NOT NULL AND a.result IS NOT NULL GROUP BY 1, 2, 3, 4",
        values,
    ):
        is_contact = bool(contact.get((campaign, spoken)))
        sums.setdefault(key, []).append((result, spoken, is_contact, count, answered, talk_s))
    return sums


def _counted(sums: list[_Sum]) -> dict[str, Any]:
    """Attempts without those that never left us, and what came of them."""
    counts = dict.fromkeys(map(str, Result), 0)
    answered = contacts = orders = 0
    talk_s = 0.0
    for result, spoken, is_contact, count, was_answered, seconds in sums:
        counts[result] += count
        answered += was_answered
        if result == Result.TALKED:
            contacts += count * is_contact
            orders += count * (spoken == ORDER)
            talk_s += seconds
    talked = counts[Result.TALKED]
    failed = counts.pop(Result.FAILED)
    return {
        "attempts": sum(counts.values()),
        "answered": answered,
        **counts,
        "failed": failed,
        "contacts": contacts,
        "orders": orders,
        "abandoned_share": _share(counts[Result.ABANDONED], talked + counts[Result.ABANDONED]),
        "contact_share": _share(contacts, talked),
        "order_share": _share(orders, contacts),
        "talk_s": round(talk_s, 1),
        "talk_avg_s": round(talk_s / talked, 1) if talked else None,
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


_NO_TIMES = {"signed_in_s": 0.0, "ready_s": 0.0, "on_call_s": 0.0, "wrap_up_s": 0.0, "paused_s": 0.0}


def _times(connection: sqlite3.Connection, chosen: Chosen) -> dict[str, dict[str, float]]:
    """Seconds that each operator spent in each state; a state that lasts counts up to now."""
    span = {"since": chosen.since or 0.0, "until": chosen.until if chosen.until is not None else 1e12}
    times: dict[str, dict[str, float]] = {}
    for agent, state, seconds in connection.execute(
        "SELECT agent, state, sum(max(0.0,"
        " min(coalesce(ended_at, unixepoch('subsec')), :until) - max(began_at, :since)))"
        " FROM agent_states WHERE state <> 'signed_out' AND began_at < :until"
        " AND coalesce(ended_at, 1e12) > :since GROUP BY 1, 2",
        span,
    ):
        spent = times.setdefault(agent, dict(_NO_TIMES))
        spent["signed_in_s"] = round(spent["signed_in_s"] + seconds, 1)
        if f"{state}_s" in spent:
            spent[f"{state}_s"] = round(seconds, 1)
    return times


# -- rows ---------------------------------------------------------------------------------

_ATTEMPT_COLUMNS = """
    a.created_at AS began_at, a.attempt, a.campaign, c.list, a.contact, c.name AS contact_name,
    p.kind AS phone_kind, a.number, a.ordinal, a.trunk, a.agent, g.name AS agent_name, a.state, a.result,
    a.operator_result,
    round(coalesce(a.answered_at, a.ended_at) - coalesce(a.rang_at, a.created_at), 1) AS ring_s,
    round(coalesce(a.connected_at, a.ended_at) - a.answered_at, 1) AS wait_s,
    round(a.ended_at - a.connected_at, 1) AS talk_s,
    a.ending, a.cause, a.tech_cause, r.path AS recording, round(r.length_s, 1) AS recording_s
"""
_RECORDING_COLUMNS = """
    a.created_at AS began_at, a.attempt, a.campaign, a.contact, c.name AS contact_name, a.number, a.agent,
    g.name AS agent_name, a.result, a.operator_result, round(r.length_s, 1) AS length_s, r.size_bytes, r.path,
    r.missing, r.sha256
"""


def _latest(
    connection: sqlite3.Connection, chosen: Chosen, columns: str, join: str
) -> Iterator[dict[str, Any]]:
    where, values = _where(chosen)
    order = "a.created_at, a.attempt"
    if chosen.limit is not None:
        # The latest ones, yet the oldest of them first.
        kept = "JOIN recordings k ON k.attempt = a.attempt" if join.startswith("JOIN") else ""
        where = (
            f"a.attempt IN (SELECT a.attempt FROM attempts a {kept} WHERE {where}"
            " ORDER BY a.created_at DESC, a.attempt DESC LIMIT ?)"
        )
        values.append(chosen.limit)
    found = connection.execute(
        f"SELECT {columns} FROM attempts a JOIN contacts c ON c.id = a.contact JOIN phones p ON p.id = a.phone"
        f" LEFT JOIN agents g ON g.id = a.agent {join} WHERE {where} ORDER BY {order}",
        values,
    )
    names = [column[0] for column in found.description]
    return (dict(zip(names, row, strict=True)) for row in found)


def _where(chosen: Chosen) -> tuple[str, list[Any]]:
    where, values = ["1"], list[Any]()
    for condition, value in (
        ("a.campaign = ?", chosen.campaign),
        ("a.agent = ?", chosen.agent),
        ("a.created_at >= ?", chosen.since),
        ("a.created_at < ?", chosen.until),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    if chosen.result is not None:
        where.append("(a.result = ? OR a.operator_result = ?)")
        values += [chosen.result, chosen.result]
    if chosen.number is not None:
        where.append("a.number >= ? AND a.number < ?")
        values += [chosen.number, f"{chosen.number}:"]  # ':' comes after the digits
    return " AND ".join(where), values


def _rows(connection: sqlite3.Connection, question: str, values: list[Any]) -> list[dict[str, Any]]:
    found = connection.execute(question, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]
