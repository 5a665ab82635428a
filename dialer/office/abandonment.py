"""``dialer report abandonment``: the page to show an inspector. What it says is explained in ``docs/abandonment.md``.

1. What is promised is told as it was promised on that day, from the history of the campaign's settings.
2. A table is for people and says in sentences what matters; JSON and CSV have the same rows with all columns,
   shares from 0 to 1, and no sentences.
3. Numbers are shown whole: this is a record.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.conduct import Abandonment
from dialer.core.pacing.evidence import lottery, percent
from dialer.core.pacing.ledger import DAY_S, DayCount, Ledger, day_of
from dialer.office import known, machines, tables
from dialer.office.machines import Estimate
from dialer.store import files, promises, questions, settings
from dialer.store import machines as store_machines
from dialer.store.connect import open_reader
from dialer.store.machines import Met

DAYS_TABLE = (
    "campaign",
    "day",
    "answered",
    "abandoned",
    "share",
    "window_answered",
    "window_abandoned",
    "window_share",
    "low",
    "high",
    "promised",
    "is_held",
)
CALLS_TABLE = ("answered_at", "campaign", "attempt", "number", "waited_s", "why", "choice", "agent")
_SHARES = frozenset({"share", "window_share", "low", "high", "promised", "cap"})
_WINDOW_MAX_DAYS = 366


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What a campaign did on a day, and in the window that ended with it, and what it promised then."""

    campaign: str
    count: DayCount
    answered: int
    abandoned: int
    low: float
    high: float
    rules: Abandonment
    estimate: Estimate | None
    """By Ofcom's formula, where machines were told from people."""

    @property
    def share(self) -> float:
        """Of the window."""
        return self.abandoned / self.answered if self.answered else 0.0

    @property
    def is_held(self) -> bool:
        """Whether the window's share is within the promise."""
        return self.abandoned <= self.rules.share * self.answered + 1e-9

    def row(self) -> dict[str, Any]:
        """All of it as a row."""
        rules = self.rules
        count = self.count
        return {
            "campaign": self.campaign,
            "day": _date(count.day),
            "answered": count.answered,
            "abandoned": count.abandoned,
            "share": round(count.abandoned / count.answered, 6) if count.answered else 0.0,
            "window_days": rules.window_days,
            "window_answered": self.answered,
            "window_abandoned": self.abandoned,
            "window_share": round(self.share, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
            "confidence": rules.confidence,
            "promised": rules.share,
            "cap": rules.share if rules.cap is None else rules.cap,
            "limit_s": rules.limit_s,
            "against": rules.against,
            "is_held": self.is_held,
            "ofcom_abandoned": None if self.estimate is None else round(self.estimate.abandoned, 2),
            "ofcom_share": None if self.estimate is None else round(self.estimate.share, 6),
        }


def show_days(home: Path, campaign: str | None, days: int, as_format: str, mistaken: float = 0.0) -> None:
    """Print a row for each campaign and day with answered calls. *mistaken*: :func:`dialer.office.machines.estimate`.

    Raises StoreError.
    """
    now = time.time()
    with _asked(home, campaign) as store:
        found = {name: list(_days(store, name, days, now, mistaken)) for name in _campaigns(store, campaign)}
    rows = [one.row() for part in found.values() for one in part]
    if as_format != "table":
        tables.show(rows, as_format)
        return
    for part in found.values():
        for sentence in _sentences(part[-1]) if part else ():
            print(sentence)
        if part:
            print()
    if not rows:
        print(f"Nobody has answered in the last {days} days.")
        return
    tables.show([_in_percent(row) for row in rows], columns=DAYS_TABLE)
    print(
        "Days are UTC; a call counts on the day of its answer. low to high: the risk that was taken, see docs/abandonment.md."
    )


def show_calls(home: Path, campaign: str | None, days: int, as_format: str) -> None:
    """Print every abandoned call of those days, oldest first. Raises StoreError."""
    today = day_of(time.time())
    since, until = (today - days + 1) * DAY_S, (today + 1) * DAY_S
    with _asked(home, campaign) as store:
        rows = questions.all_pages(
            lambda after: promises.abandoned_calls(store, campaign, since, until, after=after)
        )
        tables.show(rows, as_format, columns=CALLS_TABLE if as_format == "table" else ())


def show_recount(home: Path, campaign: str | None, days: int, as_format: str) -> bool:
    """Print the days of which the ledger says something else than the attempts; whether there are none.

    Raises StoreError.
    """
    today = day_of(time.time())
    with _asked(home, campaign) as store:
        rows = promises.recount(store, campaign, today - days + 1, today)
    differing = [
        {**row, "day": _date(row["day"])}
        for row in rows
        if (row["answered"], row["abandoned"]) != (row["recounted_answered"], row["recounted_abandoned"])
    ]
    if as_format != "table" or differing:
        tables.show(differing, as_format)
    if differing:
        print(
            f"{len(differing)} of {_days_in_words(len(rows))} do not agree: the count that is kept is not that of the calls.",
            file=sys.stderr,
        )
    elif as_format == "table":
        answered, abandoned = (sum(row[name] for row in rows) for name in ("answered", "abandoned"))
        print(
            f"The ledger and the calls agree: {answered} answered, {abandoned} abandoned, {_days_in_words(len(rows))} of campaigns."
        )
    return not differing


@contextmanager
def _asked(home: Path, campaign: str | None) -> Iterator[sqlite3.Connection]:
    """The journal as it stands at one instant: an engine may write meanwhile."""
    with closing(open_reader(files.load_system(home).journal)) as store:
        store.execute("BEGIN")
        known.check(store, campaign=campaign)
        yield store


def _campaigns(store: sqlite3.Connection, campaign: str | None) -> list[str]:
    if campaign is not None:
        return [campaign]
    return [row[0] for row in store.execute("SELECT id FROM campaigns ORDER BY priority, id")]


def _days(store: sqlite3.Connection, campaign: str, days: int, now: float, mistaken: float) -> Iterator[Day]:
    counts = promises.days(store, campaign, days + _WINDOW_MAX_DAYS)
    first = day_of(now) - days + 1
    met: dict[int, Met] | None = None
    for place, count in enumerate(counts):
        if count.day < first:
            continue
        then = min(now, (count.day + 1) * DAY_S)
        stood = settings.campaign_at(store, campaign, then) or settings.campaign_now(store, campaign)
        rules = stood.pacing.abandonment if stood is not None else Abandonment()
        ledger = Ledger(rules, counts[: place + 1])
        at = count.day * DAY_S
        answered, abandoned = ledger.totals(at)
        low, high = ledger.bound(at)
        guess = None
        if stood is not None and stood.machines.detect:
            if met is None:
                met = store_machines.met(store, campaign, count.day - _WINDOW_MAX_DAYS, day_of(now))
            guess = machines.estimate(abandoned, machines.window(met, count.day, rules.window_days), mistaken)
        yield Day(
            campaign=campaign,
            count=count,
            answered=answered,
            abandoned=abandoned,
            low=low,
            high=high,
            rules=rules,
            estimate=guess,
        )


def _sentences(one: Day) -> Iterator[str]:
    """What the newest day says."""
    rules = one.rules
    cap = rules.share if rules.cap is None else rules.cap
    calls = f"{one.answered} call{'s were' if one.answered != 1 else ' was'} answered by a person"
    yield (
        f"{one.campaign}: {calls} in the {rules.window_days} days to {_date(one.count.day)},"
        f" {one.abandoned} of them abandoned: {percent(one.share)}."
    )
    yield (
        f"  Promised: {percent(rules.share)} at most, an operator within {rules.limit_s:g} s of the answer"
        f" (and no calls ahead that could lift it above {percent(cap)})."
        f" {'Kept.' if one.is_held else 'NOT KEPT.'}"
    )
    yield (
        f"  Apart from luck the risk lay between {percent(one.low)} and {percent(one.high)}"
        f" (at all times, {percent(rules.confidence)} confidence)."
    )
    if one.estimate is not None:
        yield (
            f"  By Ofcom's formula, with machines told from people: {percent(one.estimate.share)}"
            f" ({one.estimate.abandoned:.1f} abandoned, {one.estimate.people} met an operator in time). That is no promise."
        )
    note = lottery(one.answered, rules.share, rules.confidence).note()
    if note:
        yield f"  {note}"


def _in_percent(row: dict[str, Any]) -> dict[str, Any]:
    return {name: percent(value) if name in _SHARES else value for name, value in row.items()}


def _days_in_words(count: int) -> str:
    return f"{count} day{'s' if count != 1 else ''}"


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()
