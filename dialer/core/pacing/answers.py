"""Who answers, and when: of the calls of one kind of campaign.

1. Time is cut into ticks of one second. A call in flight has an age in ticks; in each of them it may be answered, or end
   otherwise (competing risks). What is learnt are the two hazards by age: of the calls that entered the age, how
   many were answered in it, and how many ended. Calls still in flight count for the ages they have entered.
2. Old calls are forgotten, with a half-life counted in calls; a few imagined calls that are answered often and soon stand
   at the beginning (cautious: whoever knows nothing expects many answers).
3. The level g: the answers seen against the answers expected of the calls that were in flight, over a middle window and a
   fast one; the fast one only raises it, and only by what chance does not explain.
4. Unevenness: how much more the answers of 16 s vary than chance explains, as a squared coefficient of variation.
5. Kind of phone and attempt number: factors on the hazard, by the answers seen and expected of them; with few data the attempt's
   is drawn towards the kind's, and the kind's towards that of all.
6. Hours: the share of answers by the hour of the day moves the level when the hour changes.
"""

from __future__ import annotations

import math
from operator import mul

HALF_LIFE = 400.0
"""Calls."""
HEAVY = 1e9
PRIOR_CALLS = 12.0
PRIOR_SHARE = 0.5
PRIOR_SPAN = (3, 23)
"""Ticks within which the imagined calls are answered."""
AGES = 150
"""Ticks: no call is in flight for longer, whatever the facts say."""
MIDDLE = 40.0
FAST = 8.0
LEVEL = (0.25, 4.0)
WINDOW = 16
"""Ticks."""
STEP = 0.2
"""Of the logarithm of a factor: factors are rounded to such steps, so that there are few curves."""
STEPS_MAX = 6
GHOSTS = 30.0
"""Expected answers, by which a factor is drawn to that of its parent."""


class Factor:
    """Answers seen, and expected without the factor."""

    __slots__ = ("expected", "seen")

    def __init__(self, seen: float = 0.0, expected: float = 0.0) -> None:
        self.seen = seen
        self.expected = expected

    def add(self, seen: bool, expected: float) -> None:
        """A call was over."""
        self.seen = self.seen * 0.9998 + seen
        self.expected = self.expected * 0.9998 + expected

    def value(self, parent: float = 1.0) -> float:
        """Seen by expected, drawn towards *parent* while there are few data."""
        return (self.seen + GHOSTS * parent) / (self.expected + GHOSTS)


class Answers:
    """What is known of the answers of one kind of campaign."""

    def __init__(self) -> None:
        first, last = PRIOR_SPAN
        share = PRIOR_SHARE / (last - first)
        self.entered = [0.0] * AGES
        self.exposed = [0.0] * AGES
        self.answered = [0.0] * AGES
        self.ended = [0.0] * AGES
        left = 1.0
        for age in range(AGES):
            self.entered[age] = self.exposed[age] = PRIOR_CALLS * left
            if first <= age < last:
                self.answered[age] = PRIOR_CALLS * share
                left -= share
        self.weight = 1.0
        self.calls = 0.0
        self.oldest = 40
        """The highest age that a call was seen at."""
        self.middle = [0.0, 0.0]
        self.fast = [0.0, 0.0]
        self.uneven = [0.0, 0.0, 0.0]
        self.all = Factor()
        self.kinds: dict[str, Factor] = {}
        self.attempts: dict[tuple[str, int], Factor] = {}
        self.hours: list[list[float]] = [[0.0, 0.0] for _ in range(24)]
        self._window = [0.0, 0.0]
        self._ticks = 0
        self._hour = -1
        self.hazard = [0.0] * AGES
        self.over = [0.0] * AGES
        self.expected_by = [0.0] * AGES
        self.learn()

    # -- what happens -----------------------------------------------------------------------

    def placed(self, factor: float) -> None:
        """A call begins."""
        self.calls += 1.0
        self.weight *= 2.0 ** (1.0 / HALF_LIFE)
        if self.weight > HEAVY:
            self._lighten()
        self.entered[0] += self.weight
        self.exposed[0] += self.weight * factor

    def tick(self, counts: list[int], exposed: list[float] | None) -> None:
        """A second has passed. *counts*: calls by the age that they enter now. *exposed*: the same, each
        weighted with its factor; None: as *counts*."""
        while self.oldest + 1 < AGES and counts[self.oldest + 1]:
            self.oldest += 1
        weight, n = self.weight, self.oldest + 1
        weighed = counts[1:n] if exposed is None else exposed[1:n]
        self.entered[1:n] = [a + weight * b for a, b in zip(self.entered[1:n], counts[1:n])]
        self.exposed[1:n] = [a + weight * b for a, b in zip(self.exposed[1:n], weighed)]
        expected = sum(map(mul, weighed, self.hazard[1:n]))
        for sums, span in ((self.middle, MIDDLE), (self.fast, FAST)):
            keep = math.exp(-expected / span)
            sums[0] *= keep
            sums[1] = sums[1] * keep + expected
        window = self._window
        window[1] += expected * self.level
        self._ticks += 1
        if self._ticks >= WINDOW:
            self._close_window()

    def answer(self, age: int, kind: str, attempt: int) -> None:
        """A call of that age was answered."""
        self.answered[age] += self.weight
        self.middle[0] += 1.0
        self.fast[0] += 1.0
        self._window[0] += 1.0
        self._judge(True, age, kind, attempt)

    def end(self, age: int, kind: str, attempt: int, is_ours: bool) -> None:
        """A call of that age is over, without an answer."""
        if not is_ours:
            self.ended[age] += self.weight
        self._judge(False, age, kind, attempt)

    def at_hour(self, hour: int) -> None:
        """It is that hour of the day."""
        if hour == self._hour:
            return
        if self._hour >= 0:
            before, now = self._share_of(self._hour), self._share_of(hour)
            change = min(2.0, max(0.5, now / before))
            self.middle[0] *= change
            self.fast[0] *= change
        self._hour = hour

    # -- what is known ----------------------------------------------------------------------

    @property
    def level(self) -> float:
        """g: by what the answers of now differ from the curve."""
        seen, expected = self.middle
        level = (seen + 2.0) / (expected + 2.0)
        seen, expected = self.fast
        if expected > 1.0:
            level = max(level, (seen - 1.0 * math.sqrt(seen)) / (expected + 0.5))
        return min(LEVEL[1], max(LEVEL[0], level))

    def interval(self, rate: float) -> tuple[float, float, float]:
        """The chance *rate* of an answer, and between what it lies with 90 % confidence, by the calls that tell the level."""
        rate = min(1.0, rate)
        n = 2.0 + self.middle[1] / max(rate, 0.01)
        z = 1.645
        middle = (rate + z * z / (2.0 * n)) / (1.0 + z * z / n)
        half = z / (1.0 + z * z / n) * math.sqrt(rate * (1.0 - rate) / n + z * z / (4.0 * n * n))
        return rate, max(0.0, middle - half), min(1.0, middle + half)

    @property
    def variation(self) -> float:
        """The squared coefficient of variation of answers beyond chance; and of what we do not know of the level."""
        beyond, squares, fourth = self.uneven
        uneven = 0.0
        if squares > 0.0:
            uneven = max(0.0, (beyond - math.sqrt(fourth)) / squares)
        return min(1.0, uneven)

    def factor_of(self, kind: str, attempt: int) -> int:
        """The factor of a call, in steps (see :func:`factor`)."""
        known, within = self.kinds.get(kind), self.attempts.get((kind, min(attempt, 9)))
        if known is None or self.all.expected < 1.0 or self.all.seen < 1.0:
            return 0
        overall = self.all.seen / self.all.expected
        value = known.value(overall)
        if within is not None:
            value = within.value(value)
        value /= overall
        return min(STEPS_MAX, max(-STEPS_MAX, round(math.log(value) / STEP)))

    def learn(self) -> None:
        """Work out the hazards anew."""
        before = sum(map(mul, self.exposed, self.hazard))
        self.hazard = [min(0.9, a / e) if e > 0.0 else 0.0 for a, e in zip(self.answered, self.exposed)]
        if before > 0.0:
            # What was expected of the calls of late is what the new hazards expect of them: else what the level
            # has corrected and the hazards now know would count twice.
            change = sum(map(mul, self.exposed, self.hazard)) / before
            self.middle[1] *= change
            self.fast[1] *= change
        self.over = [min(0.99, a / e) if e > 0.0 else 0.0 for a, e in zip(self.ended, self.entered)]
        total = 0.0
        out = []
        for one in self.hazard:
            out.append(total)
            total += one
        self.expected_by = out

    # -- inside -----------------------------------------------------------------------------

    def _judge(self, is_answered: bool, age: int, kind: str, attempt: int) -> None:
        # Half of the tick it was over in.
        expected = self.level * (self.expected_by[age] + 0.5 * self.hazard[age])
        of_kind = self.kinds.get(kind)
        if of_kind is None:
            of_kind = self.kinds[kind] = Factor()
        self.all.add(is_answered, expected)
        of_kind.add(is_answered, expected)
        key = (kind, min(attempt, 9))
        of_attempt = self.attempts.get(key)
        if of_attempt is None:
            of_attempt = self.attempts[key] = Factor()
        of_attempt.add(is_answered, expected)
        if self._hour >= 0:
            hour = self.hours[self._hour]
            hour[0] = hour[0] * 0.9995 + is_answered
            hour[1] = hour[1] * 0.9995 + 1.0

    def _share_of(self, hour: int) -> float:
        answered = sum(one[0] for one in self.hours)
        calls = sum(one[1] for one in self.hours)
        mean = (answered + 1.0) / (calls + 2.0)
        here = self.hours[hour]
        return (here[0] + 60.0 * mean) / (here[1] + 60.0)

    def _close_window(self) -> None:
        seen, expected = self._window
        if expected > 0.5:
            keep = 1.0 - 1.0 / 60.0
            beyond, squares, fourth = self.uneven
            self.uneven = [
                beyond * keep + (seen - expected) ** 2 - seen,
                squares * keep + expected * expected,
                fourth * keep + 2.0 * expected * expected,
            ]
        self._window = [0.0, 0.0]
        self._ticks = 0

    def _lighten(self) -> None:
        for name in ("entered", "exposed", "answered", "ended"):
            setattr(self, name, [one / self.weight for one in getattr(self, name)])
        self.weight = 1.0


def factor(steps: int) -> float:
    """The factor on the hazard of answers."""
    return math.exp(STEP * steps)
