"""Figures for reports, asked on a reading connection: a row for each campaign, with its results and hours, and for each agent.

What holds for questions (:mod:`dialer.store.questions`, rules 1 and 2) holds here.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from typing import Any

from dialer.core.values import AgentState, Result
from dialer.store.facts import PLACED
from dialer.store.questions import EVER, TALK
from dialer.store.rows import dicts

_DAY_S = 86_400.0

# -- campaigns ------------------------------------------------------------------------------

_TRIED = "a.result IS NOT 'rerouted'"
"""What its trunk would not carry went on as another attempt, which is counted."""
_SUMS = (
    f"count(*) FILTER (WHERE {_TRIED}) AS attempts, count(a.answered_at) AS answered,"
    " sum(a.result = 'talked') AS talked, count(a.abandoned_at) AS abandoned,"
    " sum(a.answered_at IS NOT NULL AND (a.result IS NULL OR a.result NOT IN ('announced', 'machine'))) AS waited,"
    f" round(coalesce(sum({TALK}), 0), 1) AS talk_s"
)


_CAME = (
    "SELECT count(*) AS calls_in, count(*) FILTER (WHERE a.result = 'talked') AS calls_in_talked,"
    " count(*) FILTER (WHERE a.result = 'missed') AS missed,"
    " round(avg(a.connected_at - a.answered_at), 1) AS calls_in_wait_s_mean"
    " FROM attempts a WHERE a.campaign = ? AND a.created_at >= ? AND a.created_at < ? AND a.direction = 'in'"
)


def campaigns(
    connection: sqlite3.Connection, campaign: str | None = None, *, since: float = 0.0, until: float = EVER
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
    for head in dicts(heads):
        period = (head["campaign"], since, until)
        sums = dicts(
            connection.execute(
                f"SELECT {_SUMS}, count(DISTINCT CASE WHEN a.result = 'talked' THEN a.contact END) AS reached,"
                f" count(DISTINCT CASE WHEN {PLACED} THEN a.lead END) AS dialed"
                " FROM attempts a WHERE a.campaign = ? AND a.created_at >= ? AND a.created_at < ? AND a.direction = 'out'",
                period,
            )
        )[0]
        came = dicts(connection.execute(_CAME, period))[0]
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
    connection: sqlite3.Connection, campaign: str, since: float = 0.0, until: float = EVER
) -> list[dict[str, Any]]:
    """How the campaign's attempts ended: ``result``, ``attempts``, ``share``; the most frequent first."""
    where = f"a.campaign = ? AND a.result IS NOT NULL AND {_TRIED} AND a.direction = 'out'"
    return _counted(connection, "result", where, [campaign], since, until)


def campaign_operator_results(
    connection: sqlite3.Connection, campaign: str, since: float = 0.0, until: float = EVER
) -> list[dict[str, Any]]:
    """What operators said of the campaign's conversations: ``operator_result``, ``attempts``, ``share``."""
    where = "a.campaign = ? AND a.operator_result IS NOT NULL"
    return _counted(connection, "operator_result", where, [campaign], since, until)


def campaign_hours(
    connection: sqlite3.Connection, campaign: str, since: float = 0.0, until: float = EVER
) -> list[dict[str, Any]]:
    """The campaign hour by hour (``hour_at``), hours without an attempt left out."""
    found = connection.execute(
        f"SELECT 3600.0 * cast(a.created_at / 3600 AS INTEGER) AS hour_at, {_SUMS} FROM attempts a"
        " WHERE a.campaign = ? AND a.created_at >= ? AND a.created_at < ? AND a.direction = 'out' GROUP BY hour_at ORDER BY hour_at",
        (campaign, since, until),
    )
    rows = dicts(found)
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
    rows = dicts(found)
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
            f"SELECT count(*), coalesce(sum({TALK}), 0) FROM attempts a WHERE a.agent = ?"
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
