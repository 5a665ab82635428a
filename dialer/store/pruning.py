"""Deleting what explains, and is no record, when it is old: a little at a time, so that no save waits for it.

Age counts from the newest row: a clock that jumped ahead for a moment, or a journal opened years later to look into it,
loses nothing. Only chosen rows begin a transaction.
"""

# ruff: noqa: S608 - only names of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3

from dialer.store.connect import transaction

EVENTS_KEPT_DAYS = 30.0
"""Rows of the table ``events`` are deleted when they are so much older than the newest."""
NOTES_KEPT_DAYS = 14.0
"""And those of ``pacing_notes``."""
_KEPT_DAYS = (("events", EVENTS_KEPT_DAYS), ("pacing_notes", NOTES_KEPT_DAYS))
PRUNE_ROWS = 200
"""Deleted in one short transaction: a save that comes meanwhile waits for no more than that."""


def prune_chunk(connection: sqlite3.Connection, at: float) -> bool:
    """Delete some rows that are too old; whether there were none."""
    for table, kept_days in _KEPT_DAYS:
        newest = connection.execute(f"SELECT max(at) FROM {table}").fetchone()[0]
        if newest is None:
            continue
        before = min(at, newest) - kept_days * 86_400.0
        old = connection.execute(
            f"SELECT id FROM {table} WHERE at < ? ORDER BY at LIMIT ?", (before, PRUNE_ROWS)
        ).fetchall()
        if old:
            with transaction(connection, busy_s=0.0):
                connection.executemany(f"DELETE FROM {table} WHERE id = ?", old)
            return False
    return True
