"""How long a decision of the pacer takes, by the size of the floor.

1. The floor is one of :mod:`dialer.lab.simulator.quick`, where so few people answer that the pacer itself keeps about four calls in flight
   for each operator.
2. For the first :data:`WARM_S` it is asked once a second, so that it knows its world and the floor has settled; then
   after every event, and that is measured. What it works out anew every few seconds is in it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from dialer.core.conduct import Abandonment, Pacing
from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Decision, Room
from dialer.core.pacing.pacer import Pacer
from dialer.core.quantile import quantile
from dialer.lab.simulator.quick import QuickDay
from dialer.lab.simulator.worlds import Crowd, Team, World

SIZES = (10, 20, 50, 100, 200, 500)
ANSWERS = 0.06
WARM_S = 1200.0
ARRIVE = 0.5
"""Operators come one by one, in this part of that time."""
ASKED = 3000
GOAL_MS, GOAL_OPERATORS = 1.0, 100


class _EnoughError(Exception):
    """So many decisions were measured."""


class Timed(Pacer):
    """A pacer that notes how long it takes."""

    def __init__(self, warm_until: float, asked: int) -> None:
        super().__init__()
        self.decide_ms: list[float] = []
        self.tell_ms: list[float] = []
        self.in_flight = 0
        self._warm_until = warm_until
        self._asked = asked
        self._asked_at = 0.0

    def tell(self, fact: f.AnyFact) -> None:
        """Take note, of the time as well."""
        began = time.perf_counter()
        super().tell(fact)
        if fact.at >= self._warm_until:
            self.tell_ms.append(1000.0 * (time.perf_counter() - began))

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """Decide: once a second at first."""
        if at < self._warm_until:
            if at < self._asked_at + 1.0:
                return Decision()
            self._asked_at = at
            return super().decide(at, rooms)
        began = time.perf_counter()
        decision = super().decide(at, rooms)
        self.decide_ms.append(1000.0 * (time.perf_counter() - began))
        self.in_flight += sum(call.answered_at is None for call in self.calls.values())
        if len(self.decide_ms) >= self._asked:
            raise _EnoughError
        return decision


def measure(operators: int, asked: int = ASKED, warm_s: float = WARM_S) -> dict[str, Any]:
    """A row for a floor of that size."""
    world = World(
        length_s=warm_s + 3600.0,
        team=Team(operators=operators, arrive_s=ARRIVE * warm_s),
        crowds=(Crowd(answers=ANSWERS, drift=0.0),),
        rules=Pacing(abandonment=Abandonment(cap=1.0)),
    )
    pacer = Timed(world.begins_at + warm_s, asked)
    with contextlib.suppress(_EnoughError):
        QuickDay(world, pacer, 1).play()
    decides, tells = sorted(pacer.decide_ms), sorted(pacer.tell_ms)
    return {
        "operators": operators,
        "in flight": round(pacer.in_flight / len(decides)),
        "decide median ms": round(quantile(decides, 0.5), 3),
        "decide mean ms": round(sum(decides) / len(decides), 3),
        "decide p99 ms": round(quantile(decides, 0.99), 3),
        "decide max ms": round(decides[-1], 3),
        "tell median ms": round(quantile(tells, 0.5), 4),
    }


def rows(sizes: Sequence[int] = SIZES, asked: int = ASKED) -> list[dict[str, Any]]:
    """A row for each size, and how many times as long as on the first a decision takes on the average."""
    found = [measure(size, asked) for size in sizes]
    first = max(1e-9, found[0]["decide mean ms"])
    return [{**row, "times the first": round(row["decide mean ms"] / first, 1)} for row in found]


if __name__ == "__main__":
    for count in SIZES:
        print(measure(count))
