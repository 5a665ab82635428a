"""Answering machines, as the command line tells of them: ``dialer report machines``, and Ofcom's share of abandoned calls.

Explained in ``docs/machines.md``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dialer.core.pacing.ledger import DAY_S, day_of
from dialer.office import known, tables
from dialer.store import files
from dialer.store import machines as store_machines
from dialer.store.connect import open_reader
from dialer.store.machines import Met

TABLE = (
    "campaign",
    "day",
    "answered",
    "machines",
    "machine_share",
    "met",
    "listened",
    "listened_s_mean",
    "listened_s_max",
)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Abandoned calls as Ofcom has them counted where machines are told from people.

    *people*: who met an operator in time; *abandoned*: of people, estimated.
    """

    people: int
    abandoned: float

    @property
    def share(self) -> float:
        """Of all calls to people."""
        return self.abandoned / (self.people + self.abandoned) if self.abandoned else 0.0


def estimate(abandoned: int, met: Iterable[Met], mistaken: float = 0.0) -> Estimate:
    """What Ofcom's formula makes of *abandoned* calls, strictly counted, and of whom operators *met* in the same days.

    Some of the abandoned were machines: as large a share of them as of those that operators met. And people who were taken
    for machines were abandoned: *mistaken* is their share of all that were told to be machines, as a sample of the
    recordings shows. (Ofcom, Persistent misuse: a statement of Ofcom's general policy, 2016, annex 3; with d abandoned,
    H people and M machines met, T told: d' = d - d·M/(H+M) + mistaken·T, share = d'/(H+d').)
    """
    people, machines, told = (
        (sum(column) for column in zip(*met, strict=True)) if (met := [*met]) else (0, 0, 0)
    )
    live = abandoned * people / (people + machines) if people + machines else float(abandoned)
    return Estimate(people=people, abandoned=live + mistaken * told)


def window(met: Mapping[int, Met], last: int, days: int) -> list[Met]:
    """Of the *days* days that end with the day *last*."""
    return [counts for day, counts in met.items() if last - days < day <= last]


def show_machines(home: Path, campaign: str | None, days: int, as_format: str) -> None:
    """Print a row for each campaign and day on which it was listened who answered. Raises StoreError."""
    today = day_of(time.time())
    with closing(open_reader(files.load_system(home).journal)) as store:
        known.check(store, campaign=campaign)
        rows = store_machines.days(store, campaign, today - days + 1, today)
    for row in rows:
        row["day"] = datetime.fromtimestamp(row["day"] * DAY_S, UTC).date().isoformat()
        row["machine_share"] = round(row["machines"] / row["answered"], 4) if row["answered"] else None
        for name in ("listened_s_mean", "listened_s_max"):
            row[name] = None if row[name] is None else round(row[name], 3)
    if not rows and as_format == "table":
        print(f"Nobody was listened to in the last {days} days: no campaign told machines from people.")
        return
    tables.show(rows, as_format, columns=TABLE)
