"""What becomes of each person who is called, and how each operator works: from the day's seed, one by one.

The n-th person of a campaign's list has the same fate whoever calls them, and when (but for the answer rate of
that hour, which meets the same draw): so two rules that are compared on one seed meet the same people, and what
differs is the rule.
"""

from __future__ import annotations

import math
import random

from dialer.lab.simulator.worlds import HOUR_S, Crowd, World

DRIFT_STEP_S = 60.0
ANSWERS_MAX = 0.95


def lognormal(draw: random.Random, mean: float, spread: float) -> float:
    """A lognormal value of that *mean*. *spread*: the standard deviation of its logarithm."""
    return mean * math.exp(spread * draw.gauss(0.0, 1.0) - 0.5 * spread * spread)


class Person:
    """Somebody who is called. *answers*: whether they will; *end_s*: so long after the placement they do, or else the call
    ends by itself; it rings after *setup_s*. *patience_s*: who waits so long hangs up."""

    __slots__ = (
        "agent", "answered_at", "answers", "call", "campaign", "end_s", "is_abandoned", "is_cancelled", "is_over",
        "kind", "patience_s", "placed_at", "rings", "setup_s", "talk_s", "told",
    )  # fmt: skip

    def __init__(self, call: str, campaign: str) -> None:
        self.call = call
        self.campaign = campaign
        self.kind = ""
        self.placed_at = 0.0
        self.setup_s = self.end_s = self.talk_s = self.patience_s = 0.0
        self.answers = self.rings = False
        self.answered_at = -1.0
        self.agent = ""
        self.is_abandoned = self.is_cancelled = self.is_over = False
        self.told: list[object] | None = None
        """Facts about the call that wait to be found out; None: none was lost."""


class Fates:
    """The people of one campaign, in the order of its list."""

    def __init__(self, world: World, crowd: Crowd, seed: int, number: int) -> None:
        self.crowd = crowd
        self.placed = 0
        self._world = world
        self._seed = (seed * 64 + number) << 32
        self._draw = random.Random()  # noqa: S311 - people, no secrets
        self._drift = self._wander(random.Random(f"drift {seed} {number}"))  # noqa: S311
        self._name = crowd.campaign

    def left(self) -> int:
        """So many people have not been called."""
        return 1_000_000 if self.crowd.leads is None else self.crowd.leads - self.placed

    def answers(self, after_s: float, place: int) -> float:
        """The probability that the person at *place* of the list answers, called so long after the beginning."""
        crowd = self.crowd
        if crowd.blocks:
            rate = crowd.blocks[place // crowd.block % len(crowd.blocks)]
        elif crowd.jumps:
            rate = crowd.jumps[int(after_s // crowd.jump_s) % len(crowd.jumps)]
        else:
            rate = crowd.answers
        drift = self._drift
        return min(ANSWERS_MAX, rate * drift[min(len(drift) - 1, int(after_s // DRIFT_STEP_S))])

    def next(self, after_s: float) -> Person:
        """The next person of the list, called so long after the beginning of the day."""
        place = self.placed
        self.placed += 1
        return self.meet(place, after_s)

    def meet(self, place: int, after_s: float, turn: int = 0, factor: float = 1.0) -> Person:
        """The person at *place* of the list, called for the first time (*turn* 0) or again; they answer by *factor* more often."""
        crowd, world, draw = self.crowd, self._world, self._draw
        draw.seed(self._seed + (turn << 24) + place)
        uniform = draw.random
        person = Person(f"{self._name}-{place}", self._name)
        rate = self.answers(after_s, place) * factor
        luck, end, kind = uniform(), uniform(), uniform()
        for name, share, factor in crowd.kinds:
            kind -= share
            if kind < 0.0 or name == crowd.kinds[-1][0]:
                person.kind = name
                rate = min(ANSWERS_MAX, rate * factor)
                break
        person.setup_s = setup_s = lognormal(draw, world.setup_s, world.setup_spread)
        ring_s = min(lognormal(draw, crowd.ring_s, crowd.ring_spread), world.ring_s - 0.01)
        person.rings = True
        if luck < rate:
            person.answers = True
            person.end_s = setup_s + ring_s
        elif end < crowd.fails:
            person.rings = False
            person.end_s = setup_s + 3.0 * uniform()
        elif end < crowd.fails + crowd.declines:
            person.end_s = setup_s + ring_s
        else:
            person.end_s = setup_s + world.ring_s
        if uniform() < crowd.short:
            person.talk_s = lognormal(draw, crowd.short_s, 0.5)
        else:
            person.talk_s = lognormal(draw, crowd.long_s, crowd.long_spread)
        person.patience_s = draw.expovariate(crowd.impatience) if crowd.impatience else math.inf
        return person

    def _wander(self, draw: random.Random) -> list[float]:
        """By how much more or less people answer, minute by minute: its logarithm returns to 0 within an hour."""
        spread = self.crowd.drift
        keeps = math.exp(-DRIFT_STEP_S / HOUR_S)
        kick = spread * math.sqrt(1.0 - keeps * keeps)
        now = spread * draw.gauss(0.0, 1.0)
        found = []
        for _ in range(int((self._world.length_s + HOUR_S) // DRIFT_STEP_S)):
            found.append(math.exp(now - 0.5 * spread * spread))
            now = now * keeps + kick * draw.gauss(0.0, 1.0)
        return found
