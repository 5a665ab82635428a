"""What was learnt, as text: it outlives the process, and can be shared by campaigns of one kind.

1. Counts are written with the weight that the latest one has as 1; digits that say nothing are left off.
2. The level of answers is not kept: it is of the hour in which it was measured.
3. What another version wrote, or cannot be read, is worth nothing and does no harm: it is learnt anew.
"""

from __future__ import annotations

import math

import msgspec

from dialer.core.pacing.answers import AGES, Answers, Factor
from dialer.core.pacing.spells import BINS, Leaving, Spells, Times

VERSION = 1
Pair = tuple[float, float]


class Hazards(msgspec.Struct, frozen=True):
    """Of spells: how many ended, and the seconds that were lived through, by bin."""

    ended: list[float]
    lived: list[float]
    count: int


class Learnt(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept of one kind of campaign. *bases*: of the budgets, by campaign."""

    version: int
    entered: list[float]
    exposed: list[float]
    answered: list[float]
    ended: list[float]
    calls: float
    oldest: int
    uneven: tuple[float, float, float]
    overall: Pair
    kinds: dict[str, Pair]
    attempts: list[tuple[str, int, float, float]]
    hours: list[Pair]
    talk: Hazards
    wrap_up: Hazards
    without: Pair
    leaving: Pair
    idle: Pair
    bases: dict[str, float]


def written(answers: Answers, times: Times, leaving: Leaving, bases: dict[str, float]) -> str:
    """The text."""
    weight = answers.weight
    kept = Learnt(
        version=VERSION,
        entered=_short(answers.entered, weight),
        exposed=_short(answers.exposed, weight),
        answered=_short(answers.answered, weight),
        ended=_short(answers.ended, weight),
        calls=answers.calls,
        oldest=answers.oldest,
        uneven=(answers.uneven[0], answers.uneven[1], answers.uneven[2]),
        overall=(answers.all.seen, answers.all.expected),
        kinds={name: (one.seen, one.expected) for name, one in answers.kinds.items()},
        attempts=[(kind, count, one.seen, one.expected) for (kind, count), one in answers.attempts.items()],
        hours=[(one[0], one[1]) for one in answers.hours],
        talk=_hazards(times.talk),
        wrap_up=_hazards(times.wrap_up),
        without=(times.without[0], times.without[1]),
        leaving=(leaving.slow[0], leaving.slow[1]),
        idle=(leaving.idle[0], leaving.idle[1]),
        bases=bases,
    )
    return msgspec.json.encode(kept).decode()


def read(text: str) -> Learnt | None:
    """What the text says; None: nothing that can be used."""
    try:
        found = msgspec.json.decode(text, type=Learnt)
    except msgspec.DecodeError:
        return None
    by_age = (found.entered, found.exposed, found.answered, found.ended)
    by_bin = (found.talk.ended, found.talk.lived, found.wrap_up.ended, found.wrap_up.lived)
    fits = (
        found.version == VERSION
        and all(len(one) == AGES for one in by_age)
        and all(len(one) == BINS for one in by_bin)
        and len(found.hours) == 24
        and 0 < found.oldest < AGES
        and min(found.without[1], found.leaving[1], found.idle[1]) > 0.0
        and all(value >= 0.0 and math.isfinite(value) for one in (*by_age, *by_bin) for value in one)
    )
    return found if fits else None


def restore(found: Learnt, answers: Answers, times: Times, leaving: Leaving) -> None:
    """Put it where it is used."""
    answers.entered, answers.exposed = list(found.entered), list(found.exposed)
    answers.answered, answers.ended = list(found.answered), list(found.ended)
    answers.weight, answers.calls, answers.oldest = 1.0, found.calls, found.oldest
    answers.uneven = list(found.uneven)
    answers.all = Factor(*found.overall)
    answers.kinds = {name: Factor(*pair) for name, pair in found.kinds.items()}
    answers.attempts = {(kind, count): Factor(*pair) for kind, count, *pair in found.attempts}
    answers.hours = [list(pair) for pair in found.hours]
    answers.learn()
    for spells, kept in ((times.talk, found.talk), (times.wrap_up, found.wrap_up)):
        spells.ended, spells.lived, spells.count, spells.weight = (
            list(kept.ended),
            list(kept.lived),
            kept.count,
            1.0,
        )
    times.without = list(found.without)
    leaving.slow, leaving.idle = list(found.leaving), list(found.idle)


def _hazards(spells: Spells) -> Hazards:
    return Hazards(_short(spells.ended, spells.weight), _short(spells.lived, spells.weight), spells.count)


def _short(values: list[float], weight: float) -> list[float]:
    return [float(f"{value / weight:.5g}") for value in values]
