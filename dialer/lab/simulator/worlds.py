"""Worlds for a pacing rule alone: who is called, who works, what the carrier does: in figures.

1. :data:`SCENARIOS` are the worlds that rules are compared in. They share one crowd: three of ten answer, some eight seconds
   into the ringing; half of those who do talk shortly, and a few for very long.
2. :func:`drawn` makes worlds that nobody tuned a rule on, from a broad prior.
3. What is random in a day comes from its seed, person by person (:mod:`.fates`); a world has no seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import msgspec

from dialer.core.conduct import Pacing

HOUR_S = 3600.0


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """Whom one campaign calls.

    Of those who do not answer, *fails* of them end shortly after the set-up (busy, no such number), *declines* of them
    after some ringing, and the others ring until they are given up.
    """

    campaign: str = "spring"
    priority: int = 100
    leads: int | None = None
    """So many people; None: more than can be called."""
    answers: float = 0.3
    drift: float = 0.1
    """Spread (of the logarithm) of the slow changes of *answers*, which take an hour to be forgotten."""
    jumps: tuple[float, ...] = ()
    """Instead of *answers*: these, each for *jump_s*, over and over."""
    jump_s: float = 2 * HOUR_S
    blocks: tuple[float, ...] = ()
    """Instead of *answers*: these, each for *block* people of the list, over and over."""
    block: int = 300
    kinds: tuple[tuple[str, float, float], ...] = ()
    """Kinds of phone: the name, its share, and by how much it is answered more often. None: all are one kind."""
    fails: float = 0.33
    declines: float = 0.06
    ring_s: float = 8.0
    """From the first ring to the answer, on the average (lognormal)."""
    ring_spread: float = 0.5
    short: float = 0.5
    """The share of conversations that are a refusal."""
    short_s: float = 25.0
    long_s: float = 155.0
    """The average of the others (lognormal)."""
    long_spread: float = 0.9
    impatience: float = 0.05
    """Who waits hangs up with this probability a second."""

    @property
    def talk_s(self) -> float:
        """A conversation takes so long on the average."""
        return self.short * self.short_s + (1.0 - self.short) * self.long_s


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """The operators."""

    operators: int = 20
    arrive_s: float = 60.0
    """They sign in within so long, and again after a break."""
    late: float = 0.0
    """The share of them who come as much as half a day late, or leave as much as half a day early."""
    wrap_up_s: float = 15.0
    wrap_up_spread: float = 0.6
    pauses_per_hour: float = 0.0
    """Unannounced: at once, or when the call and its wrap-up are over."""
    pause_s: float = 180.0
    breaks: tuple[tuple[float, float, float], ...] = ()
    """When, for how long, and the share of the operators who go; all at once."""
    groups: tuple[tuple[str, ...], ...] = ((),)
    """The campaigns that they work for, by turns; empty: all."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """A day to be paced."""

    name: str = ""
    length_s: float = 8 * HOUR_S
    team: Team = Team()
    crowds: tuple[Crowd, ...] = (Crowd(),)
    setup_s: float = 2.5
    """From the placement to the first ring, on the average (lognormal)."""
    setup_spread: float = 0.4
    ring_s: float = 40.0
    """Calls are given up after ringing so long."""
    wait_s: float = 2.0
    cancel_s: float = 0.15
    """A call that is given up can still be answered for so long."""
    lines: int | None = None
    doubled: float = 0.0
    """The share of facts that are told twice."""
    lost: float = 0.0
    """The share of facts that are lost, and found out after :data:`~.quick.FOUND_OUT_S`."""
    rules: Pacing = Pacing()
    begins_at: float = 1_772_442_000.0
    """2 March 2026, 9:00 UTC."""


def _of(operators: int) -> World:
    return World(name=f"{operators} operators", team=Team(operators=operators))


def _with(name: str, *, team: Team | None = None, crowd: Crowd | None = None) -> World:
    return World(name=name, team=team or Team(), crowds=(crowd or Crowd(),))


SCENARIOS: tuple[World, ...] = (
    *(_of(operators) for operators in (5, 10, 20, 50, 100)),
    _with("20, answers jump 20 %/50 % every 2 h", crowd=Crowd(jumps=(0.2, 0.5))),
    _with("20, pauses twice an hour", team=Team(pauses_per_hour=2.0)),
    _with(
        "20, half leave for 15 min, twice",
        team=Team(breaks=((2.5 * HOUR_S, 900.0, 0.5), (5.5 * HOUR_S, 900.0, 0.5))),
    ),
    _with("20, list in blocks of 15 %/45 %", crowd=Crowd(blocks=(0.15, 0.45))),
)
"""What rules are compared in, by name."""

TRIALS: tuple[World, ...] = (
    World(name="20, calls take 8 s to be set up", setup_s=8.0, setup_spread=0.6),
    World(name="20, at most 36 lines", lines=36),
    World(name="20, facts doubled and lost", doubled=0.05, lost=0.01),
    World(
        name="20, mobile 36 % and home 21 %",
        crowds=(Crowd(kinds=(("mobile", 0.6, 1.2), ("home", 0.4, 0.7))),),
    ),
    World(
        name="20, two campaigns at one priority, 45 % and 15 %",
        crowds=(Crowd(campaign="spring", answers=0.45), Crowd(campaign="summer", answers=0.15)),
    ),
    World(
        name="20, two campaigns, one before the other",
        crowds=(
            Crowd(campaign="spring", priority=10, leads=6000),
            Crowd(campaign="summer", priority=20, answers=0.2),
        ),
    ),
    World(
        name="20, a third of them for one of two campaigns only",
        crowds=(Crowd(campaign="spring"), Crowd(campaign="summer", answers=0.2)),
        team=Team(groups=((), ("spring",), ("summer",))),
    ),
    World(name="20, the list ends", crowds=(Crowd(leads=9000),)),
    World(
        name="100 come at once, 6 % answer",
        length_s=2 * HOUR_S,
        team=Team(operators=100, arrive_s=10.0),
        crowds=(Crowd(answers=0.06, drift=0.0),),
    ),
    World(name="150 operators, 8 % answer", team=Team(operators=150), crowds=(Crowd(answers=0.08),)),
)
"""What else happens: no figures were published for these, but a promise holds here too."""


def drawn(seed: int) -> World:
    """A day from a broad prior."""
    draw = random.Random(f"a world {seed}")  # noqa: S311 - a day, no secret
    operators = round(math.exp(draw.uniform(math.log(2), math.log(150.99))))
    length_s = draw.choice((4, 8)) * HOUR_S
    setup_s = draw.choice((1.0, 2.5, 2.5, 4.0, 8.0))
    answers = math.exp(draw.uniform(math.log(0.08), math.log(0.6)))
    crowd = Crowd(
        answers=answers,
        drift=draw.choice((0.0, 0.1, 0.2, 0.35)),
        jumps=_some(draw, 0.2, [min(0.7, answers * factor) for factor in (0.6, 1.6)]),
        jump_s=draw.choice((0.5, 1.0, 2.0)) * HOUR_S,
        blocks=_some(draw, 0.25, [min(0.7, answers * factor) for factor in (0.5, 1.5)]),
        block=draw.choice((50, 300, 1000)),
        kinds=(("mobile", 0.6, 1.2), ("home", 0.4, 0.7)) if draw.random() < 0.3 else (),
        fails=draw.uniform(0.1, 0.6),
        ring_s=draw.uniform(5.0, 14.0),
        ring_spread=draw.uniform(0.3, 0.8),
        short=draw.uniform(0.1, 0.7),
        short_s=draw.uniform(8.0, 40.0),
        long_s=math.exp(draw.uniform(math.log(50.0), math.log(400.0))),
        long_spread=draw.uniform(0.4, 1.1),
        impatience=draw.choice((0.0, 0.05, 0.05, 0.2)),
    )
    team = Team(
        operators=operators,
        late=draw.choice((0.0, 0.0, 0.3)),
        wrap_up_s=draw.choice((3.0, 15.0, 15.0, 40.0)),
        wrap_up_spread=draw.uniform(0.2, 0.9),
        pauses_per_hour=draw.choice((0.0, 0.5, 2.0)),
        pause_s=draw.uniform(60.0, 600.0),
        breaks=tuple(
            (draw.uniform(0.1, 0.8) * length_s, draw.uniform(300.0, 1800.0), draw.uniform(0.2, 0.8))
            for _ in range(draw.choice((0, 0, 1, 2)))
        ),
    )
    return World(
        name=f"drawn {seed}",
        length_s=length_s,
        team=team,
        crowds=(crowd,),
        setup_s=setup_s,
        setup_spread=draw.uniform(0.2, 0.6),
        ring_s=draw.choice((25.0, 40.0, 40.0)),
    )


def _some(draw: random.Random, share: float, values: Sequence[float]) -> tuple[float, ...]:
    return tuple(values) if draw.random() < share else ()
