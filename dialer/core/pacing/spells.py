"""How long operators are taken: talk and wrap-up by the time they have lasted already, and who leaves.

1. A spell is one talk, or one wrap-up. What is learnt is its hazard: how many spells of this age end in the next second. Ages
   are binned, the bins widen with the age (a sixth or so), because a talk of ten minutes is not watched by the second.
2. A spell that has not ended yet counts for the ages that it has lived through (it is censored, not left out).
3. What is old is forgotten, by a factor at each spell that ends.
4. A few ghosts that never end stand in each bin, so without evidence nobody is expected to finish soon.
5. Who finishes a wrap-up may leave for a pause: a slow average over many spells, and a fast one that sees a break begin.
   Whoever is idle leaves at a rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from operator import mul

SPAN = 7200
"""Seconds: whoever has been at it longer is taken for one who has been at it so long."""
WIDENING = 1.18
GHOSTS = 2.0
HALF_LIFE = 600.0
"""Spells."""
HEAVY = 1e9


def _edges() -> list[int]:
    edges = [0]
    while edges[-1] < SPAN:
        edges.append(max(edges[-1] + 1, int(edges[-1] * WIDENING)))
    return edges


EDGES = _edges()
BINS = len(EDGES) - 1
WIDTHS = [float(b - a) for a, b in itertools.pairwise(EDGES)]
BIN_OF = [i for i, (a, b) in enumerate(itertools.pairwise(EDGES)) for _ in range(a, b)]
LAST = len(BIN_OF) - 1


def bin_of(age: float) -> int:
    """The bin of a spell that has lasted *age* seconds."""
    return BIN_OF[int(age)] if 0.0 <= age < LAST else (BINS - 1 if age > 0 else 0)


class Spells:
    """The hazard of spells of one kind by age."""

    def __init__(self) -> None:
        self.ended = [0.0] * BINS
        self.lived = [0.0] * BINS
        self.weight = 1.0
        self.count = 0

    def add(self, age: float, is_over: bool = True) -> None:
        """A spell lasted so long: it is over, or was broken off (censored)."""
        age = min(max(age, 0.0), SPAN - 1.0)
        if is_over:
            self.count += 1
            self.weight *= 2.0 ** (1.0 / HALF_LIFE)
            if self.weight > HEAVY:
                self._lighten()
        last = bin_of(age)
        lived, weight = self.lived, self.weight
        for i in range(last):
            lived[i] += weight * WIDTHS[i]
        lived[last] += weight * (age - EDGES[last] + (0.5 if is_over and age == EDGES[last] else 0.0))
        if is_over:
            self.ended[last] += weight

    def hazards(self, running: Sequence[int] = ()) -> list[float]:
        """Per second, in each bin. *running*: how many spells are in each bin now."""
        weight = self.weight
        beyond = sum(running)
        out = []
        for i in range(BINS):
            lived = self.lived[i]
            if beyond:
                here = running[i]
                beyond -= here
                lived += weight * WIDTHS[i] * (beyond + 0.5 * here)
            out.append(self.ended[i] / (lived + GHOSTS * weight * WIDTHS[i]))
        return out

    def _lighten(self) -> None:
        self.ended = [one / self.weight for one in self.ended]
        self.lived = [one / self.weight for one in self.lived]
        self.weight = 1.0


def survival(hazards: list[float], age: int, seconds: int) -> list[float]:
    """P(it lasts t seconds more) for t = 0 … *seconds*, of a spell of *age* now."""
    out = [1.0]
    at, left = age, seconds
    while left > 0:
        i = BIN_OF[at] if at < LAST else BINS - 1
        count = min(EDGES[i + 1] - at, left) if at < LAST else left
        lasting = itertools.repeat(math.exp(-hazards[i]), count)
        out.extend(itertools.accumulate(lasting, mul, initial=out.pop()))
        at += count
        left -= count
    return out


class Leaving:
    """How readily operators leave."""

    SLOW = 150.0
    FAST = 15.0

    def __init__(self) -> None:
        self.slow = [0.5, 40.0]  # left, of so many
        self.fast = [0.0, 0.0]
        self.idle = [0.1, 1200.0]  # left, in so many seconds

    def finished(self, left: bool) -> None:
        """An operator ended a wrap-up (or a talk without one), and left or did not."""
        for sums, span in ((self.slow, self.SLOW), (self.fast, self.FAST)):
            keep = 1.0 - 1.0 / span
            sums[0] = sums[0] * keep + left
            sums[1] = sums[1] * keep + 1.0

    def waited(self, seconds: float, left: bool) -> None:
        """An operator was idle for so long, and then left or did not."""
        keep = math.exp(-seconds / 20_000.0)
        self.idle[0] = self.idle[0] * keep + left
        self.idle[1] = self.idle[1] * keep + seconds

    @property
    def after(self) -> float:
        """The chance that whoever finishes leaves."""
        slow = self.slow[0] / self.slow[1]
        left, of = self.fast
        if of < 5.0:
            return min(0.9, slow)
        fast = left / of
        low = fast - math.sqrt(max(fast * (1.0 - fast), 0.02) / of)
        return min(0.9, max(slow, low))

    @property
    def rate(self) -> float:
        """Of the idle, per second."""
        return self.idle[0] / self.idle[1]


class Times:
    """Talk and wrap-up of the conversations of one kind."""

    def __init__(self) -> None:
        self.talk = Spells()
        self.wrap_up = Spells()
        self.without = [0.5, 5.0]  # talks that no wrap-up follows, of so many

    def talked(self, age: float, is_followed: bool) -> None:
        """A talk ended; a wrap-up followed or did not."""
        self.talk.add(age)
        self.without[0] = self.without[0] * 0.99 + (not is_followed)
        self.without[1] = self.without[1] * 0.99 + 1.0

    def taken(self, reach: int, left: float) -> Taken:
        """Tables for up to *reach* seconds ahead. *left*: the chance that whoever finishes leaves."""
        return Taken(self, reach, left)


class Taken:
    """P(an operator is not free again within t seconds), by the age of the present spell; and of a talk that begins.

    Whoever is free again has ended the talk, then a wrap-up if one followed, and did not leave.
    """

    def __init__(self, times: Times, reach: int, left: float) -> None:
        stays = 1.0 - left
        self._wrap = times.wrap_up.hazards()
        self._talk = times.talk.hazards()
        self._reach = reach
        self._stays = stays
        without = times.without[0] / times.without[1]
        fresh = survival(self._wrap, 0, reach)
        freed = [stays * (1.0 - (1.0 - without) * one) for one in fresh]
        # The talk ends in the middle of a second: whoever ended it t + 1/2 seconds ago is free with this chance.
        middle = [(a + b) / 2.0 for a, b in itertools.pairwise(freed)]
        self._backward = middle[::-1]

    def wrapping(self, age: int, instants: Sequence[float]) -> list[float]:
        """Of an operator who has been in wrap-up for *age* seconds: P(taken), that much later."""
        lasts = survival(self._wrap, age, self._reach)
        stays = self._stays
        return [1.0 - stays * (1.0 - between(lasts, t)) for t in instants]

    def talking(self, age: int, instants: Sequence[float]) -> list[float]:
        """Of an operator who has talked for *age* seconds: P(taken), that much later."""
        lasts = survival(self._talk, age, self._reach)
        ends = [a - b for a, b in itertools.pairwise(lasts)]
        out = []
        for t in instants:
            low = int(t)
            taken = self._after(ends, low)
            if t > low:
                taken += (t - low) * (self._after(ends, low + 1) - taken)
            out.append(taken)
        return out

    def _after(self, ends: list[float], t: int) -> float:
        freed: float = sum(map(mul, ends[:t], self._backward[self._reach - t :]))
        return 1.0 - freed


def between(table: Sequence[float], t: float) -> float:
    """*table* at t, linearly between its whole seconds."""
    low = int(t)
    if low + 1 >= len(table):
        return table[-1]
    return table[low] + (t - low) * (table[low + 1] - table[low])
