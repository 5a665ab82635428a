"""Many people by distribution: what a measure needs, where :mod:`dialer.lab.day` invents each fate.

Everybody has one line, and does there at every call what they do at the first. A crowd is drawn from a seed: the
same seed, size and manners make the same people, so that two ways of dialing can be held against each other on the
same day. Who answers, talks and hangs up by themselves. A talk counts from the answer, as the laboratory's
people do: somebody whom no operator meets hangs up at the same instant as if one had.
"""

from __future__ import annotations

import math
import random

import msgspec

from dialer.lab.day import Behaviour, Line, Person, Reaction

CODE = "945"
"""Of the numbers: an area that no operator has been given."""
SIZE_MAX = 10_000_000


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """How people are. Shares are of 1, times seconds.

    *answer_share* answer; of the others *busy*, *unknown* and *declines* are as many parts as they say, and the
    rest lets it ring. *ring_s*, *ring_spread*: until the answer, lognormal (median, standard deviation of the
    logarithm), from *ring_s_min* on. *refusal_share* of those who answer refuse, after *refusal_s* on average;
    the others talk *talk_s* on average, lognormal with *talk_spread*. No talk is longer than *talk_s_max*.
    """

    answer_share: float = 0.3
    busy: float = 0.16
    unknown: float = 0.08
    declines: float = 0.06
    ring_s: float = 5.0
    ring_spread: float = 0.45
    ring_s_min: float = 1.0
    refusal_share: float = 0.4
    refusal_s: float = 8.0
    talk_s: float = 36.0
    talk_spread: float = 0.6
    talk_s_min: float = 4.0
    talk_s_max: float = 120.0

    def __post_init__(self) -> None:
        shares = (self.answer_share, self.refusal_share, self.busy + self.unknown + self.declines)
        if not all(0.0 <= share <= 1.0 for share in shares):
            raise ValueError(f"shares are between 0 and 1: {self!r}")


def crowd(seed: int, size: int, manners: Manners = Manners()) -> list[Person]:  # noqa: B008 - frozen
    """*size* people. Raises ValueError for more than there are numbers."""
    if not 0 <= size <= SIZE_MAX:
        raise ValueError(f"there are numbers for {SIZE_MAX} people, not for {size}")
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return [
        Person(
            name=f"Person {place}",
            voice=place,
            lines=(Line(kind="mobile", number=f"+7{CODE}{place:07}", plan=(_react(rng, manners),)),),
        )
        for place in range(size)
    ]


def _react(rng: random.Random, manners: Manners) -> Reaction:
    """What one does. So many numbers are drawn for each, whatever they do: a changed share moves nobody else."""
    answers, other, refuses = rng.random(), rng.random(), rng.random()
    ring_s = max(manners.ring_s_min, manners.ring_s * math.exp(rng.gauss(0.0, manners.ring_spread)))
    talk, refusal = rng.gauss(0.0, 1.0), rng.expovariate(1.0)
    if answers >= manners.answer_share:
        behaviour, talk_s = _of_the_others(other, manners), 0.0
    elif refuses < manners.refusal_share:
        behaviour, talk_s = Behaviour.REFUSES, manners.refusal_s * (0.5 + 0.5 * refusal)
    else:
        behaviour = Behaviour.TALKS
        spread = manners.talk_spread
        talk_s = manners.talk_s * math.exp(spread * talk - spread * spread / 2)
    if talk_s:
        talk_s = min(manners.talk_s_max, max(manners.talk_s_min, talk_s))
    return Reaction(behaviour=behaviour, ring_ms=round(1000 * ring_s), talk_ms=round(1000 * talk_s))


def _of_the_others(drawn: float, manners: Manners) -> Behaviour:
    for behaviour, share in (
        (Behaviour.BUSY, manners.busy),
        (Behaviour.UNKNOWN, manners.unknown),
        (Behaviour.DECLINES, manners.declines),
    ):
        if drawn < share:
            return behaviour
        drawn -= share
    return Behaviour.NO_ANSWER
