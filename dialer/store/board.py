"""What the live board asks of the store, once a second: every answer comes by way of an index.

Counting all the leads of a campaign is the one slow question (some 30 ms for a million), so
:func:`campaigns` is to be asked less often than :func:`moment`.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from dialer.store.rows import dicts

MINUTE_S = 60.0
_LONGEST_WAIT_S = 180.0
"""What was answered in the last minute was begun at most so long before."""


def moment(connection: sqlite3.Connection, at: float, since: float) -> dict[str, Any]:
    """What changes from second to second.

    Keys: ``agents`` (rows), ``calls`` (live ones by campaign and state), ``results`` and
    ``operator_results`` (counts since *since*), ``retries`` (leads that wait for their time) and
    ``next_retry`` (when the first is due), ``last_minute`` (attempts, answered, talked) and
    ``abandoned_share`` (of those answered since *since*; None if none was).
    """
    results = dict(_pairs(connection, _RESULTS, (since,)))
    answered, abandoned = connection.execute(_COUNTED, (since,)).fetchone()
    retries, next_retry = connection.execute(_RETRIES).fetchone()
    attempts = connection.execute(_BEGUN, (at - MINUTE_S,)).fetchone()[0]
    answered_now, talked_now = connection.execute(
        _ANSWERED, {"since": at - MINUTE_S, "begun": at - MINUTE_S - _LONGEST_WAIT_S}
    ).fetchone()
    calls: dict[str, dict[str, int]] = {}
    for campaign, state, count in connection.execute(_CALLS):
        calls.setdefault(campaign, {})[state] = count
    return {
        "agents": dicts(connection.execute(_AGENTS)),
        "calls": calls,
        "results": results,
        "operator_results": dict(_pairs(connection, _OPERATOR_RESULTS, (since,))),
        "retries": retries,
        "next_retry": next_retry,
        "last_minute": {"attempts": attempts, "answered": answered_now, "talked": talked_now},
        "abandoned_share": abandoned / answered if answered else None,
    }


def campaigns(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """The campaigns by priority: ``id``, ``title``, ``state``, ``mode``, leads ``waiting`` and ``finished``."""
    return dicts(connection.execute(_CAMPAIGNS))


_AGENTS = """
SELECT g.id, g.name, g.phone, g.state, g.reason, g.since, coalesce(a.number, '') AS with_whom
FROM agents g LEFT JOIN attempts a ON a.attempt = g.attempt
ORDER BY g.id
"""
_CALLS = "SELECT campaign, state, count(*) FROM attempts WHERE state <> 'ended' GROUP BY campaign, state"
_RESULTS = """
SELECT result, count(*) FROM attempts INDEXED BY attempts_by_time
WHERE created_at >= ? AND result IS NOT NULL AND result <> 'rerouted' AND (direction = 'out' OR result = 'missed') GROUP BY result
"""
_OPERATOR_RESULTS = """
SELECT operator_result, count(*) FROM attempts INDEXED BY attempts_by_time
WHERE created_at >= ? AND result = 'talked' AND operator_result IS NOT NULL GROUP BY operator_result
"""
_RETRIES = """
SELECT count(*), min(l.due)
FROM campaigns c CROSS JOIN leads l INDEXED BY leads_waiting
    ON l.campaign = c.id AND l.priority IN (0, 1) AND l.finished IS NULL AND l.held IS NULL AND l.due > 0
WHERE c.state IN ('running', 'paused')
    AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.lead = l.id AND a.state <> 'ended')
"""
_BEGUN = (
    "SELECT count(*) FROM attempts WHERE created_at >= ? AND result IS NOT 'rerouted' AND direction = 'out'"
)
_COUNTED = """
SELECT count(*), count(abandoned_at) FROM attempts INDEXED BY attempts_answered
WHERE answered_at >= ? AND (result IS NULL OR result NOT IN ('announced', 'machine')) AND direction = 'out'
"""
_ANSWERED = """
SELECT count(*) FILTER (WHERE answered_at >= :since AND direction = 'out'), count(*) FILTER (WHERE connected_at >= :since)
FROM attempts WHERE created_at >= :begun
"""
_CAMPAIGNS = """
SELECT id, title, state, mode,
    (SELECT count(*) FROM leads l WHERE l.campaign = c.id AND l.finished IS NULL) AS waiting,
    (SELECT count(*) FROM leads l WHERE l.campaign = c.id AND l.finished IS NOT NULL) AS finished
FROM campaigns c ORDER BY priority, id
"""


def _pairs(
    connection: sqlite3.Connection, question: str, parameters: tuple[Any, ...]
) -> list[tuple[str, int]]:
    return [(name, count) for name, count in connection.execute(question, parameters)]
