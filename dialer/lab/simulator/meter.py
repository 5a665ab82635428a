"""A day in figures: what a supervisor wants to know of it, counted from what people and operators lived.

1. Calls are counted by their stories, not by what the engine believes of them; operators' times by the states that
   the engine saved of them, for those are what its reports show.
2. A call is *abandoned* when a person answered and no operator was there within the limit, for whatever reason
   (:class:`dialer.core.conduct.Abandonment`): also when they hung up before, and when they answered while the call was given up.
3. *Occupancy* is the share of the time at work (signed in, not paused) in which an operator talks or wraps up.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from dialer.core.ids import AgentId
from dialer.core.quantile import quantile
from dialer.core.values import AgentState
from dialer.lab.simulator.day import Day
from dialer.lab.simulator.people import Story

OFF = frozenset({AgentState.SIGNED_OUT, AgentState.PAUSED})
"""States of an operator who is not at work."""
BUSY = frozenset({AgentState.ON_CALL, AgentState.WRAP_UP})
P_LINES = 0.95


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One day. Shares run from 0 to 1; *waits*: from the answer until an operator was there, of those who talked.

    *idle_s*: for each conversation, so long an operator waited for it. *lines_p95*: as many or fewer were in
    use in 95 % of the time. *lines_max* of trunk lines in use at once.
    """

    operators: int
    hours: float
    occupancy: float
    talk_min_per_hour: float
    idle_s: float
    calls: int
    answered: int
    talked: int
    abandoned: int
    wait_s_mean: float
    wait_s_p95: float
    wait_s_max: float
    lines_max: int
    lines_p95: int
    work_h: float
    """Operator hours at work."""

    @property
    def abandoned_share(self) -> float:
        """Of the calls that people answered."""
        return self.abandoned / self.answered if self.answered else 0.0


Spell = tuple[AgentState, float, float]
"""A state of an operator: from, until."""


def spells(day: Day) -> dict[AgentId, list[Spell]]:
    """Each operator's states in the order of time, until the day closed."""
    marks: dict[AgentId, list[tuple[float, AgentState]]] = {}
    for agent, state, since in day.agent_states:
        told = marks.setdefault(agent, [])
        if told and since <= told[-1][0]:
            told[-1] = (told[-1][0], state)  # both in one instant: the later word holds
        else:
            told.append((since, state))
    found: dict[AgentId, list[Spell]] = {}
    for agent, told in marks.items():
        last = (max(day.ends_at, told[-1][0]), AgentState.SIGNED_OUT)
        found[agent] = [
            (state, since, min(until, day.ends_at))
            for (since, state), (until, _) in pairwise([*told, last])
            if since < day.ends_at
        ]
    return found


def is_abandoned(story: Story, limit_s: float) -> bool:
    """Whether that call counts as abandoned."""
    if story.answered_at is None:
        return False
    return story.joined_at is None or story.joined_at - story.answered_at > limit_s


def measure(day: Day, limit_s: float) -> Figures:
    """The figures of a day that was played. *limit_s*: see :class:`dialer.core.conduct.Abandonment`."""
    work_s = busy_s = talk_s = 0.0
    for found in spells(day).values():
        for state, since, until in found:
            if state in OFF:
                continue
            work_s += until - since
            if state in BUSY:
                busy_s += until - since
            if state is AgentState.ON_CALL:
                talk_s += until - since
    answered = [story for story in day.stories if story.answered_at is not None]
    waits = sorted(
        story.joined_at - story.answered_at
        for story in answered
        if story.joined_at is not None and story.answered_at is not None
    )
    most, usual = lines_in_use(day.stories, day.plan.begins_at, day.ends_at)
    return Figures(
        operators=len(day.plan.cards),
        hours=day.plan.length_s / 3600.0,
        occupancy=busy_s / work_s if work_s else 0.0,
        talk_min_per_hour=60.0 * talk_s / work_s if work_s else 0.0,
        idle_s=(work_s - busy_s) / len(waits) if waits else 0.0,
        calls=len(day.stories),
        answered=len(answered),
        talked=len(waits),
        abandoned=sum(is_abandoned(story, limit_s) for story in answered),
        wait_s_mean=statistics.fmean(waits) if waits else 0.0,
        wait_s_p95=quantile(waits, 0.95) if waits else 0.0,
        wait_s_max=waits[-1] if waits else 0.0,
        lines_max=most,
        lines_p95=usual,
        work_h=work_s / 3600.0,
    )


def lines_in_use(stories: Iterable[Story], begins_at: float, ends_at: float) -> tuple[int, int]:
    """The most lines that were in use at once, and how many sufficed in :data:`P_LINES` of the time."""
    time_at: dict[int, float] = {}
    before, lines = begins_at, 0
    for at, change in line_changes(stories):
        until = min(at, ends_at)
        time_at[lines] = time_at.get(lines, 0.0) + max(0.0, until - before)
        before, lines = max(before, until), lines + change
    time_at[lines] = time_at.get(lines, 0.0) + max(0.0, ends_at - before)
    reached, wanted = 0.0, P_LINES * sum(time_at.values())
    for lines in sorted(time_at):
        reached += time_at[lines]
        if reached >= wanted:
            return max(time_at), lines
    return max(time_at, default=0), max(time_at, default=0)


def line_changes(stories: Iterable[Story]) -> list[tuple[float, int]]:
    """When a line was taken (1) or given back (-1), in order."""
    changes = [(story.invited_at, 1) for story in stories]
    changes += [(story.ended_at, -1) for story in stories if story.ended_at is not None]
    changes.sort()
    return changes


class Estimate(msgspec.Struct, frozen=True):
    """A mean over days and its standard error (None: of one day nobody can tell)."""

    mean: float
    error: float | None

    def __str__(self) -> str:
        return f"{self.mean:.4g}" if self.error is None else f"{self.mean:.4g} ± {self.error:.2g}"


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of *values*, of independent days."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Estimate(statistics.fmean(values), error)
