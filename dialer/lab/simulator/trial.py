"""Trials: days of one campaign, as it is and otherwise, with the same people and operators.

1. A *variant* is the campaign's day with one thing other: an operator more, a line more, another pacing rule. Its days have
   the seeds of the days as it is, so what differs is that thing, and luck is the same for both as far as it can be.
2. The difference is the mean over the days, and its standard error is that of the differences of each day.
3. Each day is played in a process of its own where there are several and processors for them; the figures are the same.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

import msgspec

from dialer.core.pacing import bound
from dialer.core.pacing.book import Rule
from dialer.lab.simulator.books import check_books
from dialer.lab.simulator.meter import Figures, measure
from dialer.lab.simulator.picture import Shown, look
from dialer.lab.simulator.plans import simulate
from dialer.lab.simulator.rivals import Progressive, rival
from dialer.lab.simulator.stage import Stage

AS_IT_IS = "as it is"
ONE_OPERATOR = "one operator more"
ONE_LINE = "one line more"
OURS = "predictive"
RIVALS = (
    "progressive",
    "level 1.5",
    "level 2",
    "level 3",
    "vicidial hard_limit",
    "vicidial average",
    "vicidial tapered",
    "omnileads",
)
"""What ``--compare`` runs beside ours (:mod:`.rivals`)."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A day that is to be played. *rule*: a rival's name; empty: as the campaign says. *is_shown*: with what a picture needs."""

    variant: str
    stage: Stage
    seed: int
    rule: str = ""
    is_shown: bool = False


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """A day that was played. *ran_out*: the contacts were used up before its end."""

    variant: str
    seed: int
    figures: Figures
    ran_out: bool
    shown: Shown | None = None


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """All days of one variant."""

    name: str
    days: tuple[Figures, ...]
    ran_out: bool

    def mean(self, what: str) -> float:
        """The mean over the days of a figure; of the share of abandoned calls: that of all days together."""
        if what == "abandoned_share":
            answered = sum(day.answered for day in self.days)
            return sum(day.abandoned for day in self.days) / answered if answered else 0.0
        return statistics.fmean(getattr(day, what) for day in self.days)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Between what the risk of being abandoned lay, over all the days (:mod:`dialer.core.pacing.bound`)."""
        answered, abandoned = sum(day.answered for day in self.days), sum(day.abandoned for day in self.days)
        return bound.interval(answered, abandoned, bound.alpha_of(confidence)) if answered else (0.0, 1.0)


def play(wish: Wish) -> Played:
    """Play a day. Raises AssertionError: a promise was broken."""
    stage = wish.stage
    campaign = stage.campaign
    if wish.rule == "progressive":
        stage = msgspec.structs.replace(stage, campaign=msgspec.structs.replace(campaign, mode="progressive"))
    elif wish.rule:
        stage = msgspec.structs.replace(stage, campaign=msgspec.structs.replace(campaign, mode="predictive"))
    pacer: Callable[[], Rule] | None = None
    if wish.rule not in ("", "progressive", OURS):
        share = campaign.pacing.abandonment.share

        def pacer() -> Rule:
            return rival(wish.rule, share)

    if stage.campaign.mode == "progressive":
        pacer = Progressive  # which is not asked; ours would learn all day long, for nothing
    day = simulate(stage.plan(wish.seed), pacer)
    check_books(day.stories, day.calls)
    promise = campaign.pacing.abandonment
    return Played(
        variant=wish.variant,
        seed=wish.seed,
        figures=measure(day, promise.limit_s),
        ran_out=day.ran_out,
        shown=look(day, promise, stage.lines) if wish.is_shown else None,
    )


def play_all(wishes: Sequence[Wish], jobs: int, say: Callable[[str], None] = lambda _: None) -> list[Played]:
    """Play all days, *jobs* at a time, in the order of *wishes*. *say* is told how far it is."""
    jobs = min(jobs, len(wishes))
    if jobs <= 1:
        found = []
        for wish in wishes:
            found.append(play(wish))
            say(f"{len(found)} of {len(wishes)} days: {wish.variant}, seed {wish.seed}")
        return found
    found = []
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for played in pool.map(play, wishes):
            found.append(played)
            say(f"{len(found)} of {len(wishes)} days: {played.variant}, seed {played.seed}")
    return found


def variants(played: Iterable[Played]) -> list[Variant]:
    """The days of each variant together, in the order in which they first appear."""
    days: dict[str, list[Played]] = {}
    for one in played:
        days.setdefault(one.variant, []).append(one)
    return [
        Variant(
            name=name, days=tuple(one.figures for one in found), ran_out=any(one.ran_out for one in found)
        )
        for name, found in days.items()
    ]


def processors() -> int:
    """So many days can be played at a time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
