"""What a paced day brought: the figures that rules are compared by."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from dialer.core.quantile import quantile
from dialer.lab.simulator.worlds import World


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """*occupancy*: the share of the operators' signed-in time (breaks apart) in conversation or wrap-up.

    *idle_s*: between calls, the average and what one of ten exceeds. *wait_s*: of who answered, until an operator
    or until they were lost: half of them, and all but one of a hundred, waited no longer. *lines*: at most, and on the average.
    *campaigns*: answered and abandoned of each.
    """

    world: str
    operators: int
    occupancy: float
    talk_min_per_hour: float
    idle_s: tuple[float, float]
    answered: int
    abandoned: int
    wait_s: tuple[float, float]
    lines: tuple[int, float]
    placed: int
    given_up: int
    asked: int
    campaigns: dict[str, tuple[int, int]] = {}

    @property
    def worst_share(self) -> float:
        """Of abandoned calls in the campaign that has the most of them."""
        return max((lost / answered for answered, lost in self.campaigns.values() if answered), default=0.0)

    @property
    def share(self) -> float:
        """Of abandoned calls among those answered."""
        return self.abandoned / self.answered if self.answered else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share may really be, with 95 % confidence, were the calls independent (Wilson)."""
        return wilson(self.abandoned, self.answered)


class Worked(Protocol):
    """An operator's time by presence, in seconds."""

    spent: dict[str, float]


class Tally:
    """Counts as the day goes."""

    def __init__(self) -> None:
        self.placed = self.given_up = self.asked = 0
        self.answered: Counter[str] = Counter()
        self.abandoned: Counter[str] = Counter()
        """By campaign."""
        self.lines_max = 0
        self.idles: list[float] = []
        self.waits: list[float] = []
        self._line_s = 0.0
        self._lines_at = math.inf

    def lines(self, at: float, count: int) -> None:
        """So many lines were up from the last time this was told until *at*."""
        if self._lines_at < at:
            self._line_s += count * (at - self._lines_at)
        self._lines_at = at

    def score(self, world: World, seats: Sequence[Worked]) -> Score:
        """The figures of the day."""
        idle_s, busy_s, wrap_up_s = (
            sum(seat.spent[name] for seat in seats) for name in ("idle", "busy", "wrap_up")
        )
        signed_s = idle_s + busy_s + wrap_up_s
        idles, waits = self.idles or [0.0], self.waits or [0.0]
        return Score(
            world=world.name,
            operators=len(seats),
            occupancy=(busy_s + wrap_up_s) / signed_s if signed_s else 0.0,
            talk_min_per_hour=60.0 * busy_s / signed_s if signed_s else 0.0,
            idle_s=(sum(idles) / len(idles), quantile(idles, 0.9)),
            answered=self.answered.total(),
            abandoned=self.abandoned.total(),
            wait_s=(quantile(waits, 0.5), quantile(waits, 0.99)),
            lines=(self.lines_max, self._line_s / world.length_s),
            placed=self.placed,
            given_up=self.given_up,
            asked=self.asked,
            campaigns={name: (self.answered[name], self.abandoned[name]) for name in sorted(self.answered)},
        )


def wilson(count: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's interval for a share of which *count* of *total* were seen."""
    if not total:
        return 0.0, 1.0
    share = count / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def pooled(scores: Iterable[Score]) -> Mapping[str, float]:
    """Several days taken together: mean occupancy, and the share of all their calls."""
    days = list(scores)
    answered, abandoned = sum(one.answered for one in days), sum(one.abandoned for one in days)
    return {
        "occupancy": sum(one.occupancy for one in days) / max(1, len(days)),
        "answered": answered,
        "abandoned": abandoned,
        "share": abandoned / answered if answered else 0.0,
    }
