"""What lies ahead of a pool of operators: how many will be taken when somebody answers.

1. Instants ahead are a short grid τ_1 … τ_K: the quantiles of when a call that is placed now would be answered. A *row* holds, for one
   operator or one call, the chance p of taking an operator at each τ (and for as long after it as a person may wait), then p(1-p), then
   p(1-p)(1-2p): what the cumulants of the crowd add up from.
2. A curve holds the rows of calls by age, and how many answers to expect of each in the cell of the grid around each τ.
   With hazards h (answered) and e (ended), and H(j) the chance that a call answered j ticks ago still takes an operator:
   p(a, τ) = h(a) H(τ-1) + (1 - h(a) - e(a)) p(a+1, τ-1).
3. A pool is a set of operators and the calls that only they can serve. Its sums follow each fact; what merely grows older is counted
   anew once a tick.
4. The risk of one call more, of an answer: Σ_k w_k P(X(τ_k) >= N), and what it adds to the risk of the calls that are
   placed already: Σ_k flow_k p(τ_k) P(X(τ_k) = N-1), by the chance that it is answered at all.
5. A small pool is reckoned exactly, a large one by cumulants (see :mod:`.crowd`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from dialer.core.pacing.answers import AGES, Answers
from dialer.core.pacing.crowd import DENSITY, SQRT_HALF, joined

Row = Sequence[float]
Team = tuple[str, ...]
POINTS = 7
REACH = 60
"""Ticks ahead, at most."""
EXACT = 8
"""Pools of so many operators are reckoned exactly."""


def spread(chances: Sequence[float]) -> Row:
    """The row of these chances."""
    variances = [p * (1.0 - p) for p in chances]
    return [*chances, *variances, *[v * (1.0 - p - p) for v, p in zip(variances, chances)]]


class Grid:
    """The instants ahead, in ticks. *edges*: of the cells around them."""

    def __init__(self, instants: Sequence[int]) -> None:
        self.instants = tuple(instants)
        middles = [(a + b + 1) // 2 for a, b in itertools.pairwise(instants)]
        self.edges = (0, *middles, REACH)


def grid_of(answers: Answers) -> Grid:
    """The quantiles of when a new call is answered."""
    flow, left = [], 1.0
    level = answers.level
    for hazard, over in zip(answers.hazard[:REACH], answers.over):
        h = min(0.9, hazard * level)
        flow.append(left * h)
        left *= max(0.0, 1.0 - h - over)
    total = sum(flow)
    if total <= 0.0:
        return Grid(range(3, 3 + 4 * POINTS, 4))
    instants: list[int] = []
    seen = 0.0
    for tick, one in enumerate(flow):
        seen += one
        while len(instants) < POINTS and seen >= total * (len(instants) + 0.5) / POINTS:
            instants.append(max(1, tick))
    return Grid(sorted(set(instants)))


class Curve:
    """Rows of calls of one kind of campaign with one factor, by age. *shares*: the chance that a call of the age is still
    answered. *share*: of a new one."""

    def __init__(self, answers: Answers, factor: float, hold: Sequence[float], grid: Grid) -> None:
        """*hold*: H(0), H(1), …"""
        self.level = answers.level
        scale = self.level * factor
        top = min(AGES - 1, answers.oldest + 2)
        hazard = [min(0.9, h * scale) for h in answers.hazard[: top + 1]]
        stays = [max(0.0, 1.0 - h - e) for h, e in zip(hazard, answers.over)]
        self.hazard = hazard
        points = grid.instants
        reach = points[-1]
        hold = hold[:reach]
        here = [0.0] * (reach + 1)
        rows = []
        for h, u in zip(reversed(hazard), reversed(stays)):
            here = [0.0, *[h * a + u * b for a, b in zip(hold, here)]]
            rows.append([here[t] for t in points])
        rows.reverse()
        self.rows: list[Row] = [spread(row) for row in rows]
        left = 1.0
        lasts, seen = [], [0.0]
        for h, u in zip(hazard, stays):
            lasts.append(max(left, 1e-9))
            seen.append(seen[-1] + left * h)
            left *= u
        self.shares = [(seen[-1] - before) / left for before, left in zip(seen, lasts)]
        seen += [seen[-1]] * REACH
        marks = [[(b - a) / left for a, b, left in zip(seen, seen[edge:], lasts)] for edge in grid.edges]
        cells = [[b - a for a, b in zip(low, high)] for low, high in itertools.pairwise(marks)]
        self.flows: list[Row] = list(zip(*cells))
        self.share = max(1e-3, self.shares[0])
        total = sum(self.flows[0])
        self.weights = [one / total if total > 0.0 else 1.0 / len(points) for one in self.flows[0]]
        self.added = [p / self.share for p in rows[0]]


class Pool:
    """Operators of some teams, and the calls of *campaigns*, which they alone can serve."""

    def __init__(self, teams: frozenset[Team], campaigns: frozenset[str]) -> None:
        self.teams = teams
        self.campaigns = campaigns
        self.operators = 0
        self.idle = 0
        self.wrap_ups = 0
        self.unserved = 0
        self.variation = 0.0
        self.is_exact = False
        self.points = 0
        self._sums: list[float] = []
        self._flows: list[float] = []
        self._crowd: list[tuple[Row, int, float]] = []
        self._vectors: list[list[float]] | None = None
        self._tails: list[tuple[float, float]] | None = None

    def clear(self, points: int, operators: int) -> None:
        """Nobody is counted yet; there will be so many operators."""
        self.points = points
        self.operators = self.idle = self.wrap_ups = self.unserved = 0
        self.is_exact = operators <= EXACT
        self._sums = [0.0] * (3 * points)
        self._flows = [0.0] * points
        self._crowd = []
        self._vectors = self._tails = None

    def add(self, row: Row, count: int = 1, scale: float = 1.0) -> None:
        """So many more like this (fewer, if negative)."""
        self._tails = None
        if self.is_exact:
            self._crowd.append((row, count, scale))
            self._vectors = None
            return
        weight = count * scale
        self._sums = [a + weight * b for a, b in zip(self._sums, row)]

    def swap(self, before: Row, now: Row) -> None:
        """One who was like *before* is like *now*."""
        self._tails = None
        if self.is_exact:
            self._crowd += ((before, -1, 1.0), (now, 1, 1.0))
            self._vectors = None
            return
        self._sums = [a + c - b for a, b, c in zip(self._sums, before, now)]

    def expect(self, flow: Row, scale: float = 1.0) -> None:
        """Answers are to be expected (fewer, if negative)."""
        self._flows = [a + scale * b for a, b in zip(self._flows, flow)]

    def add_calls(self, curve: Curve, counts: Sequence[int], scale: float) -> None:
        """So many calls at each age."""
        self._tails = None
        present = [(age, count) for age, count in enumerate(counts) if count]
        rows, all_flows, flows = curve.rows, curve.flows, self._flows
        if self.is_exact:
            self._vectors = None
            self._crowd += [(rows[age], count, scale) for age, count in present]
        else:
            sums = self._sums
            for age, count in present:
                weight = count * scale
                sums = [a + weight * b for a, b in zip(sums, rows[age])]
            self._sums = sums
        for age, count in present:
            weight = count * scale
            flows = [a + weight * b for a, b in zip(flows, all_flows[age])]
        self._flows = flows

    def suppose(self, curve: Curve, scale: float) -> None:
        """One new call more, until :meth:`back`."""
        row = curve.rows[0]
        self.unserved += 1
        self._tails = None
        self.expect(curve.flows[0], scale)
        if not self.is_exact:
            self._sums = [a + scale * b for a, b in zip(self._sums, row)]
        else:
            self._vectors = [joined(vector, min(1.0, scale * p)) for vector, p in zip(self._exact(), row)]

    def here(self) -> tuple[object, ...]:
        """What :meth:`back` returns to."""
        return self.unserved, self._sums, self._flows, self._vectors, self._tails

    def back(self, here: tuple[object, ...]) -> None:
        """To what it was at :meth:`here`."""
        self.unserved, self._sums, self._flows, self._vectors, self._tails = here  # type: ignore[assignment]

    def risk(self, curve: Curve, scale: float) -> float:
        """Of one call more, given that it is answered: what it runs, and adds to those placed already."""
        total = 0.0
        for (tail, here), weight, flow, p in zip(self.tails(), curve.weights, self._flows, curve.added):
            total += weight * tail + flow * p * here
        return total

    @property
    def answers(self) -> float:
        """To be expected of the calls in flight."""
        return sum(self._flows)

    def expected(self) -> tuple[float, float]:
        """Answers to be expected of the calls in flight, and how many of them would be abandoned."""
        lost = sum(flow * tail for (tail, _), flow in zip(self.tails(), self._flows))
        return sum(self._flows), lost

    def tails(self) -> list[tuple[float, float]]:
        """P(X >= N) and P(X = N - 1) at each instant of the grid."""
        if self._tails is None:
            if self.is_exact:
                self._tails = [(max(0.0, 1.0 - sum(vector)), vector[-1]) for vector in self._exact()]
            else:
                self._tails = self._nearly()
        return self._tails

    def _nearly(self) -> list[tuple[float, float]]:
        k = self.points
        sums = self._sums
        n = self.operators - 0.5
        variation = self.variation
        expected = 0.0
        out = []
        for mean, variance, third, flow in zip(sums[:k], sums[k : 2 * k], sums[2 * k :], self._flows):
            if variation:
                expected += flow
                wider = variation * expected * expected
                variance += wider
                third += 2.0 * variation * expected * wider
            if variance < 1e-6:
                variance = 1e-6
            sigma = math.sqrt(variance)
            z = (n - mean) / sigma
            if z > 6.0:
                out.append((0.0, 0.0))
                continue
            skewness = third / (variance * sigma * 6.0)
            density = DENSITY * math.exp(-0.5 * z * z)
            tail = 0.5 * math.erfc(z * SQRT_HALF) + density * (z * z - 1.0) * skewness
            z -= 0.5 / sigma
            here = DENSITY * math.exp(-0.5 * z * z) / sigma * (1.0 + skewness * z * (z * z - 3.0))
            out.append((min(1.0, max(0.0, tail)), max(0.0, here)))
        return out

    def _exact(self) -> list[list[float]]:
        vectors = self._vectors
        if vectors is None:
            blank = [1.0] + [0.0] * (self.operators - 1)
            crowd: dict[int, tuple[Row, int, float]] = {}
            for row, count, scale in self._crowd:
                known = crowd.get(id(row))
                crowd[id(row)] = (row, count if known is None else known[1] + count, scale)
            present = [one for one in crowd.values() if one[1] > 0]
            vectors = []
            for k in range(self.points):
                vector = blank.copy()
                for row, count, scale in present:
                    p = min(1.0, row[k] * scale)
                    if p < 1e-9:
                        continue
                    q = 1.0 - p
                    for _ in range(count):
                        below = 0.0
                        for i, here in enumerate(vector):
                            vector[i] = here * q + below * p
                            below = here
                vectors.append(vector)
            self._vectors = vectors
        return vectors
