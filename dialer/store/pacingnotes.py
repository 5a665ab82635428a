"""What was noted of a campaign's pacing: why it got as many calls as it did, when that changed and now and then."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from dialer.core.ids import CampaignId


class PacingNote(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``pacing_notes``: the decision of the instant *at*; see :class:`dialer.core.pacing.book.Reason`."""

    at: float
    placed: int
    limit: str
    figures: dict[str, float | None] = {}
    note: str = ""
    server: str = ""


def latest(connection: sqlite3.Connection, campaign: CampaignId, count: int) -> list[PacingNote]:
    """The latest *count* notes on the campaign, the oldest first."""
    rows = connection.execute(
        f"{_NOTES} WHERE campaign = ? ORDER BY at DESC, id DESC LIMIT ?", (campaign, count)
    )
    return [_note(row) for row in rows][::-1]


def around(
    connection: sqlite3.Connection, campaign: CampaignId, at: float
) -> tuple[PacingNote | None, PacingNote | None]:
    """The note that was the last at the instant, and the next one; None where there is none."""
    before = connection.execute(
        f"{_NOTES} WHERE campaign = ? AND at <= ? ORDER BY at DESC, id DESC LIMIT 1", (campaign, at)
    ).fetchone()
    after = connection.execute(
        f"{_NOTES} WHERE campaign = ? AND at > ? ORDER BY at, id LIMIT 1", (campaign, at)
    ).fetchone()
    return _note(before) if before else None, _note(after) if after else None


_NOTES = "SELECT at, placed, limited_by, figures, note, server FROM pacing_notes"


def _note(row: tuple[Any, ...]) -> PacingNote:
    at, placed, limit, figures, note, server = tuple(row)
    return PacingNote(
        at=at,
        placed=placed,
        limit=limit,
        figures=msgspec.json.decode(figures),
        note=note,
        server=server,
    )
