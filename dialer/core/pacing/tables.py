"""Tables: what is known of people and operators, worked out for the instants ahead, so that decisions only look rows up.

They are rebuilt every minute (more often while little is known), all at once, because all rows stand on one grid.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from dialer.core.pacing.answers import Answers, factor
from dialer.core.pacing.outlook import REACH, Curve, Grid, Row, grid_of, spread
from dialer.core.pacing.spells import BIN_OF, BINS, EDGES, LAST, Leaving, Taken, Times

REBUILD_S = (20.0, 60.0)
"""While little is known, and later."""
KNOWN = 300
"""Talks: that is not little."""


class Kind:
    """What is known of the people of campaigns of one kind, and what follows from it. *level*: of the answers, as counted.
    *steps*: the factor of the calls placed of late."""

    def __init__(self) -> None:
        self.answers = Answers()
        self.times = Times()
        self.level = 1.0
        self.steps = 0.0
        self.curves: dict[int, Curve] = {}
        self.taken: Taken | None = None
        self.hold: list[float] = []
        self.waiting: Row = ()
        self.rows: dict[str, list[Row | None]] = {"busy": [None] * BINS, "wrap_up": [None] * BINS}


class Tables:
    """The grid, and the rows of operators."""

    def __init__(self) -> None:
        self.leaving = Leaving()
        self.grid = Grid((5, 10, 15))
        self.idle: Row = ()
        self._due = -math.inf
        self._ahead: list[float] = []
        self._wait_s = 2.0

    def is_due(self, now: float) -> bool:
        """Whether they are to be rebuilt."""
        return not now < self._due

    def forget(self) -> None:
        """They do not hold any more."""
        self._due = -math.inf

    def rebuild(self, kinds: Collection[Kind], wait_s: float, now: float) -> None:
        """Work all out anew. *wait_s*: a person waits no longer."""
        little = any(kind.times.talk.count < KNOWN for kind in kinds)
        self._due = now + REBUILD_S[not little]
        for kind in kinds:
            kind.answers.learn()
            kind.curves = {}
        busiest = max(kinds, key=lambda one: one.answers.calls, default=None)
        if busiest is not None:
            self.grid = grid_of(busiest.answers)
        self._wait_s = wait_s
        self._ahead = [t + wait_s for t in self.grid.instants]
        rate = self.leaving.rate
        self.idle = spread([1.0 - math.exp(-rate * t) for t in self._ahead])
        for kind in kinds:
            self._fill(kind)

    def curve(self, kind: Kind, steps: int) -> Curve:
        """The curve of calls with that factor."""
        self._taken(kind)
        curve = kind.curves[steps] = Curve(kind.answers, factor(steps), kind.hold, self.grid)
        return curve

    def row(self, kind: Kind, presence: str, age: int) -> Row:
        """Of an operator who has been busy, or in wrap-up, for *age* seconds."""
        at = BIN_OF[age] if 0 <= age < LAST else BINS - 1
        rows = kind.rows[presence]
        row = rows[at]
        if row is None:
            taken = self._taken(kind)
            ask = taken.talking if presence == "busy" else taken.wrapping
            row = rows[at] = spread(ask((EDGES[at] + EDGES[at + 1]) // 2, self._ahead))
        return row

    def _taken(self, kind: Kind) -> Taken:
        if kind.taken is None:
            return self._fill(kind)
        return kind.taken

    def _fill(self, kind: Kind) -> Taken:
        taken = kind.taken = Taken(kind.times, REACH + math.ceil(self._wait_s) + 2, self.leaving.after)
        after = self._wait_s + 0.5
        kind.hold = taken.talking(0, [tick + after for tick in range(self.grid.instants[-1])])
        kind.waiting = spread(taken.talking(0, self._ahead))
        for rows in kind.rows.values():
            rows[:] = [None] * BINS
        return taken
