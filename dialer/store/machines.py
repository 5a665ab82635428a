"""What the journal knows of answering machines: how many were told from people, by what listening, and how many were not.

A machine that was told is an attempt with the result ``machine`` (nobody answered it, so it counts for the day on which it
was begun). One that was not told was given to an operator, who may say so by a result of the name :data:`MET`.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from dialer.core.pacing.ledger import DAY_S
from dialer.store.rows import dicts

MET = "machine"
"""The operators' result that says: there was a machine on the line."""

_DAYS = f"""
SELECT a.campaign AS campaign, cast(a.created_at / :day_s AS INTEGER) AS day,
    count(*) FILTER (WHERE a.answered_at IS NOT NULL OR a.result = 'machine') AS answered,
    count(*) FILTER (WHERE a.result = 'machine') AS machines,
    count(*) FILTER (WHERE a.operator_result = '{MET}') AS met,
    count(a.listened_s) AS listened,
    avg(a.listened_s) AS listened_s_mean,
    max(a.listened_s) AS listened_s_max
FROM attempts a {{index}}
WHERE {{campaign}} a.created_at >= :since AND a.created_at < :until AND a.direction = 'out'
GROUP BY 1, 2 HAVING listened OR machines ORDER BY 1, 2
"""
_MET = f"""
SELECT day, sum(people), sum(met), sum(told) FROM (
    SELECT cast(a.answered_at / :day_s AS INTEGER) AS day,
        a.abandoned_at IS NULL AND a.operator_result IS NOT '{MET}' AS people, a.operator_result IS '{MET}' AS met, 0 AS told
    FROM attempts a INDEXED BY attempts_answered
    WHERE a.answered_at >= :since AND a.answered_at < :until AND a.campaign = :campaign AND a.connected_at IS NOT NULL
    AND a.direction = 'out'
    UNION ALL SELECT cast(a.created_at / :day_s AS INTEGER), 0, 0, 1
    FROM attempts a INDEXED BY attempts_by_time
    WHERE a.created_at >= :since AND a.created_at < :until AND a.campaign = :campaign AND a.result = 'machine'
) GROUP BY day
"""


class Met(NamedTuple):
    """Of a day. *people*: who met an operator in time; *machines*: that were given to operators; *told*: that were not."""

    people: int
    machines: int
    told: int


def days(connection: sqlite3.Connection, campaign: str | None, first: int, last: int) -> list[dict[str, Any]]:
    """A row for each campaign (or the one) and day from *first* to *last* on which it was listened who answered.

    ``answered``: calls that a person or a machine answered; ``machines``: that were told to be machines; ``met``: machines
    that operators met all the same; ``listened``: calls that were listened to, and for how long.
    """
    by = "a.campaign = :campaign AND" if campaign is not None else ""
    index = "INDEXED BY attempts_of_campaign" if campaign is not None else "INDEXED BY attempts_by_time"
    found = connection.execute(
        _DAYS.format(campaign=by, index=index),
        {"campaign": campaign, "day_s": DAY_S, "since": first * DAY_S, "until": (last + 1) * DAY_S},
    )
    return dicts(found)


def met(connection: sqlite3.Connection, campaign: str, first: int, last: int) -> dict[int, Met]:
    """By day, from *first* to *last*; days of which there is nothing to tell are left out."""
    given = {
        "campaign": campaign,
        "day_s": DAY_S,
        "since": first * DAY_S,
        "until": (last + 1) * DAY_S,
    }
    return {day: Met(*counts) for day, *counts in connection.execute(_MET, given)}
