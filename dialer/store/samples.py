"""A few recordings to listen to, chosen by chance: for quality assurance.

1. The listing, in order of time, is cut into as many parts of equal size as recordings are wanted, and of each part one is
   taken by chance. So a sample is spread over the days as the calls are, and every recording has the same chance: what is
   counted in the sample is an estimate of the whole.
2. The same listing and the same seed give the same sample, on any machine. (A listing without an end grows: say until when.)
3. The choice is made within SQLite; only what was chosen comes to us.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from typing import Any

from dialer.store.questions import RECORDING_COLUMNS, RECORDING_TABLES, Filter, recording_terms
from dialer.store.rows import dicts

_CHANCE = "obzvon_chance"


def recordings(
    connection: sqlite3.Connection,
    which: Filter,
    *,
    size: int,
    seed: int = 1,
    length_min_s: float | None = None,
    missing: bool = False,
) -> list[dict[str, Any]]:
    """At most *size* of the recordings that :func:`dialer.store.questions.recordings` would list, oldest first.

    Raises:
        BadQuestion: there is no such result.
    """
    connection.create_function(_CHANCE, 2, _chance, deterministic=True)
    where, values = which.where()
    more, more_values = recording_terms(missing=missing, length_min_s=length_min_s)
    found = connection.execute(
        f"SELECT {RECORDING_COLUMNS} FROM {RECORDING_TABLES} WHERE a.rowid IN ("
        "SELECT chosen FROM (SELECT chosen, min(chance) FROM ("
        f"SELECT a.rowid AS chosen, {_CHANCE}(?, a.attempt) AS chance,"
        f" ntile(?) OVER (ORDER BY a.created_at, a.rowid) AS part FROM {RECORDING_TABLES}"
        f" WHERE {' AND '.join([where, *more])}) GROUP BY part)) ORDER BY a.created_at, a.rowid",
        [str(seed), size, *values, *more_values],
    )
    return dicts(found)


def _chance(seed: str, attempt: str) -> int:
    """A number that looks like chance: the smallest of a part is taken."""
    return int.from_bytes(blake2b(f"{seed} {attempt}".encode(), digest_size=7).digest())
