"""What pacing leaves behind and takes up: the counts of abandoned calls, what was learnt, and why calls were placed.

1. A count is written as it stands (never as one more), so writing it twice does no harm; and it only grows, so an older one
   that is written again, after a failure, changes nothing.
2. Days are records and are kept for ever; reasons are explanations and are kept for some days (:mod:`.pruning`).
3. The counts follow from the attempts, which hold the same facts call by call: :func:`recount` says whether both
   books agree.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from dialer.core.commands import SaveKnowledge, SaveLedger, SavePacing
from dialer.core.ids import CampaignId
from dialer.core.pacing.ledger import DAY_S, KEPT_DAYS, DayCount
from dialer.core.values import Result
from dialer.store.questions import PAGE_ROWS, Key, Page
from dialer.store.rows import dicts

_LEDGER = """
INSERT INTO abandonment (campaign, day, answered, abandoned) VALUES (?, ?, ?, ?)
ON CONFLICT (campaign, day) DO UPDATE SET
    answered = max(answered, excluded.answered), abandoned = max(abandoned, excluded.abandoned)
"""
_KNOWLEDGE = """
INSERT INTO knowledge (name, at, content) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET at = excluded.at, content = excluded.content WHERE excluded.at >= at
"""
_PACING = """
INSERT INTO pacing_notes (campaign, at, limited_by, placed, figures, note, server)
SELECT :campaign, :at, :limit, :placed, :figures, :note, :server
WHERE NOT EXISTS (SELECT 1 FROM pacing_notes WHERE campaign = :campaign AND at = :at AND server = :server)
"""
_CANCELS = frozenset({"no_answer", "pacing"})
"""Why we give up a call that nobody has answered."""
_CALL_COLUMNS = (
    "attempt",
    "campaign",
    "answered_at",
    "number",
    "contact",
    "connected_at",
    "abandoned_at",
    "held_at",
    "ending",
    "cause",
    "agent",
    "choice",
    "result",
    "ended_at",
    "row",
)
_CALLS = (
    f"SELECT {', '.join(f'a.{name}' for name in _CALL_COLUMNS[:-1])}, a.rowid"
    " FROM attempts a INDEXED BY attempts_answered"
    " WHERE a.answered_at >= :from AND a.answered_at < :until AND (a.answered_at, a.rowid) > (:from, :row)"
    " AND a.abandoned_at IS NOT NULL AND a.campaign = coalesce(:campaign, a.campaign)"
    " ORDER BY a.answered_at, a.rowid LIMIT :limit"
)
IS_COUNTED = (
    "a.direction = 'out' AND a.answered_at IS NOT NULL AND (a.result IS NULL OR a.result NOT IN ('machine', 'failed')) AND a.ending <> 'machine'"
    " AND coalesce((SELECT json_extract(settings, '$.mode') FROM campaign_settings"
    " WHERE campaign_settings.campaign = a.campaign AND applied_at <= a.created_at"
    " ORDER BY applied_at DESC, campaign_settings.id DESC LIMIT 1), 'progressive') <> 'announcement'"
)
"""Whether a row of ``attempts a`` is a call that a person answered, of a campaign with operators."""


def save(connection: sqlite3.Connection, command: SaveLedger | SaveKnowledge | SavePacing) -> None:
    """Write the count, the knowledge or the reason. Part of the caller's transaction."""
    match command:
        case SaveLedger(campaign=campaign, count=count):
            connection.execute(_LEDGER, (campaign, count.day, count.answered, count.abandoned))
        case SaveKnowledge(name=name, content=content, at=at):
            connection.execute(_KNOWLEDGE, (name, at, content))
        case SavePacing(reason=reason, at=at):
            figures = msgspec.json.encode(reason.figures).decode()
            connection.execute(_PACING, {**msgspec.structs.asdict(reason), "at": at, "figures": figures})


def ledgers(connection: sqlite3.Connection) -> tuple[tuple[CampaignId, tuple[DayCount, ...]], ...]:
    """The counts of each campaign: its latest days, as many as a window may have, and before them its first."""
    names = [row[0] for row in connection.execute("SELECT id FROM campaigns ORDER BY id")]
    found = ((CampaignId(name), tuple(days(connection, name))) for name in names)
    return tuple((name, counts) for name, counts in found if counts)


def days(connection: sqlite3.Connection, campaign: str, latest: int = KEPT_DAYS) -> list[DayCount]:
    """The counts of one campaign, the *latest* and its first, in their order."""
    rows = connection.execute(
        "SELECT day, answered, abandoned FROM abandonment WHERE campaign = ? ORDER BY day DESC LIMIT ?",
        (campaign, latest),
    ).fetchall()
    if len(rows) == latest:
        first = connection.execute(
            "SELECT day, answered, abandoned FROM abandonment WHERE campaign = ? AND day < ? ORDER BY day LIMIT 1",
            (campaign, rows[-1][0]),
        ).fetchone()
        rows += [first] if first is not None else []
    return [DayCount(*row) for row in reversed(rows)]


def knowledge(connection: sqlite3.Connection) -> tuple[tuple[str, str], ...]:
    """What pacing had learnt, by name."""
    return tuple(
        (name, content)
        for name, content in connection.execute("SELECT name, content FROM knowledge ORDER BY name")
    )


def abandoned_calls(
    connection: sqlite3.Connection,
    campaign: str | None,
    since: float,
    until: float,
    *,
    after: Key | None = None,
    limit: int = PAGE_ROWS,
) -> Page:
    """The abandoned calls that were answered from *since* on and before *until*, oldest first, one page."""
    found = connection.execute(
        _CALLS,
        {
            "campaign": campaign,
            "until": until,
            "from": after[0] if after is not None else since,
            "row": after[1] if after is not None else -1,
            "limit": limit,
        },
    )
    rows = [_call(dict(zip(_CALL_COLUMNS, row, strict=True))) for row in found]
    last = (rows[-1]["answered_at"], rows[-1].pop("row")) if len(rows) == limit else None
    for row in rows:
        row.pop("row", None)
    return Page(rows=rows, after=last)


def _call(row: dict[str, Any]) -> dict[str, Any]:
    until = row["connected_at"] if row["connected_at"] is not None else row["abandoned_at"]
    shown = ("attempt", "campaign", "answered_at", "number", "contact")
    rest = ("agent", "choice", "result", "ended_at", "row")
    return {
        **{name: row[name] for name in shown},
        "waited_s": round(until - row["answered_at"], 3),
        "why": why(row),
        **{name: row[name] for name in rest},
    }


def why(row: Mapping[str, Any]) -> str:
    """Why the call in a row of ``attempts`` is abandoned."""
    if row["connected_at"] is not None:
        return "joined too late"
    if row["ending"] == "no_agent" or row["held_at"] is not None:
        return "no operator within the limit"
    if row["ending"] in _CANCELS or (row["ending"] and row["abandoned_at"] == row["answered_at"]):
        return "answer crossed our cancel"
    if row["ending"]:
        return f"we hung up: {row['ending']}"
    if row["result"] == Result.HUNG_UP and row["abandoned_at"] == row["ended_at"]:
        return "hung up while waiting"
    if row["result"] == Result.ABANDONED and row["cause"] is None:  # the channel was found missing
        return "nobody listened"
    return "no operator within the limit"


def recount(
    connection: sqlite3.Connection, campaign: str | None, first: int, last: int
) -> list[dict[str, Any]]:
    """The days from *first* to *last* by campaign, in the ledger and counted anew from the attempts.

    Ask within one reading transaction: both are written together.
    """
    sql = (
        "SELECT campaign, day, sum(answered) AS answered, sum(abandoned) AS abandoned,"
        " sum(recounted_answered) AS recounted_answered, sum(recounted_abandoned) AS recounted_abandoned FROM ("
        " SELECT campaign, day, answered, abandoned, 0 AS recounted_answered, 0 AS recounted_abandoned"
        " FROM abandonment WHERE day BETWEEN :first AND :last"
        " UNION ALL SELECT a.campaign, cast(a.answered_at / :day_s AS INTEGER), 0, 0, count(*), count(a.abandoned_at)"
        " FROM attempts a INDEXED BY attempts_answered"
        f" WHERE a.answered_at >= :since AND a.answered_at < :until AND {IS_COUNTED} GROUP BY 1, 2)"
        " WHERE campaign = coalesce(:campaign, campaign) GROUP BY campaign, day ORDER BY campaign, day"
    )
    found = connection.execute(
        sql,
        {
            "campaign": campaign,
            "first": first,
            "last": last,
            "day_s": DAY_S,
            "since": first * DAY_S,
            "until": (last + 1) * DAY_S,
        },
    )
    return dicts(found)
