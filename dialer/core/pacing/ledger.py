"""The ledger: of the calls that people answered, how many were abandoned, day by day over the legal window.

1. A call counts on the day on which it was answered (UTC, counted from the epoch), and so does its being abandoned,
   even if that was past midnight: no day has more abandoned calls than answered ones.
2. The window at an instant is the day of that instant and the days before it, ``window_days`` of them. It slides: every
   stretch of so many days is held, not only those that follow each other from the first (16 CFR 310.4(b)(4)(i)).
3. Counts only grow. A day that is told twice was not counted twice: the greater count is right.
4. The bound (:mod:`dialer.core.pacing.bound`) takes the day on which the window begins for the start of a sequence,
   and needs to know the how-manieth day of the campaign that is: the first day is kept for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dialer.core.conduct import Abandonment
from dialer.core.pacing import bound

DAY_S = 86_400.0
KEPT_DAYS = 400
"""So many days with calls are kept at least, for a window may be made longer. (It may have 366 days.)"""


class DayCount(msgspec.Struct, frozen=True):
    """One day (UTC, counted from the epoch): calls that a person *answered*, and how many of them were *abandoned*."""

    day: int
    answered: int
    abandoned: int


def day_of(at: float) -> int:
    """The day of the instant."""
    return int(at // DAY_S)


class Ledger:
    """The count of one campaign. *days*: what was counted before, and the first day that there ever was."""

    def __init__(self, rules: Abandonment, days: Iterable[DayCount] = ()) -> None:
        self.rules = rules
        self._days: dict[int, list[int]] = {}
        self._changed: set[int] = set()
        self._today = 0
        self._start = 0
        """The window that the sums are of: its last day, and its first."""
        self._answered = self._abandoned = 0
        for one in days:
            counts = self._days.setdefault(one.day, [0, 0])
            counts[0], counts[1] = max(counts[0], one.answered), max(counts[1], one.abandoned)
        self._first = min(self._days, default=None)
        self._slide(max(self._days, default=0))

    def set_rules(self, rules: Abandonment) -> None:
        """Other promises; what was counted stays."""
        self.rules = rules
        self._slide(self._today)

    # -- counting ---------------------------------------------------------------------------

    def answered(self, at: float) -> None:
        """A person answered at *at*."""
        self._count(day_of(at), 0)

    def abandoned(self, at: float) -> None:
        """A call counts as abandoned that was answered at *at*."""
        self._count(day_of(at), 1)

    def changes(self) -> tuple[DayCount, ...]:
        """The days whose counts have changed since this was asked last: to be written down."""
        changed = tuple(DayCount(day, *self._days[day]) for day in sorted(self._changed))
        self._changed.clear()
        return changed

    # -- what is counted ----------------------------------------------------------------------

    def totals(self, at: float) -> tuple[int, int]:
        """Answered and abandoned within the window that ends at *at*."""
        if (day := day_of(at)) != self._today:
            self._slide(day)
        return self._answered, self._abandoned

    def share(self, at: float) -> float:
        """The abandoned of the answered within the window; 0 if nobody answered."""
        answered, abandoned = self.totals(at)
        return abandoned / answered if answered else 0.0

    def worst(self, at: float, more: int, waiting: int = 0) -> float:
        """The share within the window if *more* people answered and all were abandoned, and so were the *waiting*
        ones, who are among the answered already and are not joined yet."""
        answered, abandoned = self.totals(at)
        return (abandoned + more + waiting) / (answered + more) if answered + more else 0.0

    def today(self, at: float) -> DayCount:
        """The count of the day of *at*."""
        day = day_of(at)
        return DayCount(day, *self._days.get(day, (0, 0)))

    def days(self) -> tuple[DayCount, ...]:
        """The days that are kept, in their order."""
        return tuple(DayCount(day, *self._days[day]) for day in sorted(self._days))

    # -- what is promised -----------------------------------------------------------------------

    def bound(self, at: float, waiting: int = 0) -> tuple[float, float]:
        """Between what the risk lay that people were exposed to within the window, on the average.

        True at all times, for all windows, with the probability ``rules.confidence``. *waiting*: people who have
        answered and are not joined yet; the upper bound takes them for abandoned.
        """
        answered, abandoned = self.totals(at)
        alpha = self._alpha() / 2.0
        return bound.lower(answered, abandoned, alpha), bound.upper(answered, abandoned + waiting, alpha)

    def steered(self, at: float, waiting: int = 0) -> float:
        """The share that is to stay under ``rules.share``: the one counted (``against = "share"``), or its upper bound.

        For the pacer. With ``bound`` it is 1 where nothing was counted, and falls with each answer that is
        joined in time, however it was dialed: progressive calls earn the right to predictive ones.
        """
        return self.share(at) if self.rules.against == "share" else self.bound(at, waiting)[1]

    def budget(self, at: float) -> float:
        """So many calls more could be abandoned among those that were answered until what is steered is
        ``rules.share``. Less than 0: it is above already, or (``bound``) there is too little evidence.

        For the pacer: ``share * answered - abandoned - held_back``.
        """
        answered, abandoned = self.totals(at)
        return self.rules.share * answered - abandoned - self.held_back(at)

    def held_back(self, at: float) -> float:
        """So many calls fewer may be abandoned since luck is not ruled out: 0 with ``against = "share"``, and with
        ``bound`` about as many as the square root of the answered allows (3.5 of 100 at 3 %, 17 of 1,000, 60 of 10,000).
        """
        if self.rules.against == "share":
            return 0.0
        answered, _ = self.totals(at)
        return self.rules.share * answered - bound.most(answered, self.rules.share, self._alpha() / 2.0)

    # -- inside -----------------------------------------------------------------------------

    def _alpha(self) -> float:
        place = 1 if self._first is None else max(1, self._start - self._first + 1)
        return bound.alpha_of(self.rules.confidence, place)

    def _count(self, day: int, which: int) -> None:
        counts = self._days.get(day)
        if counts is None:
            counts = self._days[day] = [0, 0]
            self._first = day if self._first is None else min(self._first, day)
        counts[which] += 1
        self._changed.add(day)
        if day >= self._start:
            if which:
                self._abandoned += 1
            else:
                self._answered += 1

    def _slide(self, day: int) -> None:
        """From now on the sums are of the window that ends with *day*. (A clock that was set back does not make
        what was counted for a later day undone.)"""
        self._today, self._start = day, day - self.rules.window_days + 1
        spare = len(self._days) - max(KEPT_DAYS, self.rules.window_days)
        for old in sorted(self._days)[:spare] if spare > 0 else ():
            if old not in self._changed:
                del self._days[old]
        inside = [counts for one, counts in self._days.items() if one >= self._start]
        self._answered, self._abandoned = sum(one[0] for one in inside), sum(one[1] for one in inside)
