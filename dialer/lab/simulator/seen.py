"""Days like those that a journal has: its samples in the place of a world's figures.

1. Each figure comes from the journal where it has enough of it (:data:`ENOUGH`), else from the world, and
   :func:`tell` says which, with the numbers.
2. How often people answer is the average, times what the hour, the kind of phone and the how-manieth attempt make of it
   (each by itself). :data:`LIKE_ALL` calls at the average are put to those that were seen of each, so that few calls say little.
3. Times are drawn from the samples as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dialer.core.values import Result
from dialer.lab.simulator.fates import Fates, Person
from dialer.lab.simulator.worlds import HOUR_S, Crowd, World
from dialer.store.observed import Chance, Observed

LIKE_ALL = 50.0
ENOUGH = {"calls": 200, "setup": 50, "answers": 50, "conversations": 50, "wrap-ups": 30}
"""So many at least of each, or the journal is not asked for it."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a day takes from a journal. Empty (*chance*: None): the world's figures. *hour*: of the beginning of the day."""

    hour: float = 9.0
    chance: Chance | None = None
    hours: dict[int, Chance] = {}
    kinds: dict[str, Chance] = {}
    ordinals: dict[int, Chance] = {}
    fails: dict[Result, int] = {}
    setup_s: tuple[float, ...] = ()
    answer_s: tuple[float, ...] = ()
    talk_s: tuple[float, ...] = ()
    wrap_up_s: tuple[float, ...] = ()


FAILS = (Result.BUSY, Result.INVALID, Result.CONGESTION, Result.NO_ROUTE)
"""Ends of calls that did not ring."""
DECLINES = (Result.DECLINED, Result.MACHINE)
"""Ends after some ringing, with no person there. (What a machine does is not simulated further.)"""


def tell(seen: Observed, hour: float, *, is_card: bool) -> tuple[Told, list[str]]:
    """What *seen* is good for, and a sentence on each figure.

    *hour*: the local hour at which the day begins. *is_card*: operators end their wrap-ups, so it matters how they do.
    """
    said: list[str] = []

    def enough(what: str, count: int, else_: str) -> bool:
        is_enough = count >= ENOUGH[what]
        told = "from the journal" if is_enough else f"fewer than {ENOUGH[what]}, so {else_}"
        said.append(f"{count} {what}: {told}")
        return is_enough

    told = Told(hour=hour)
    if enough("calls", seen.chance.tried, "the chance of an answer is the one stated"):
        told = msgspec.structs.replace(
            told,
            chance=seen.chance,
            hours=seen.hours,
            kinds=seen.kinds,
            ordinals=seen.ordinals,
            fails={result: count for result, count in seen.results.items() if result in FAILS},
        )
    if enough("setup", len(seen.setup_s), "the time until it rings is the one stated"):
        told = msgspec.structs.replace(told, setup_s=seen.setup_s)
    if enough("answers", len(seen.answer_s), "the time of ringing is the one stated"):
        told = msgspec.structs.replace(told, answer_s=seen.answer_s)
    if enough("conversations", len(seen.talk_s), "their length is the one stated"):
        told = msgspec.structs.replace(told, talk_s=seen.talk_s)
    if is_card and enough("wrap-ups", len(seen.wrap_up_s), "their length is the one stated"):
        told = msgspec.structs.replace(told, wrap_up_s=seen.wrap_up_s)
    return told, said


def crowd_of(crowd: Crowd, seen: Observed, told: Told) -> Crowd:
    """*crowd*, with the shares of calls that the journal knows."""
    if told.chance is None:
        return crowd
    missed = told.chance.tried - told.chance.answered
    fails = sum(told.fails.values())
    declines = sum(seen.results.get(result, 0) for result in DECLINES)
    return msgspec.structs.replace(
        crowd,
        answers=told.chance.share,
        jumps=(),
        blocks=(),
        kinds=(),
        fails=fails / missed if missed else 0.0,
        declines=declines / missed if missed else 0.0,
    )


class Seen(Fates):
    """The people of one campaign, as far as a journal tells of them."""

    def __init__(self, world: World, crowd: Crowd, seed: int, number: int, told: Told) -> None:
        super().__init__(world, crowd, seed, number)
        self._told = told
        self._hours = _factors(told.hours, told.chance)
        self._kinds = _factors(told.kinds, told.chance)
        self._ordinals = _factors(told.ordinals, told.chance)
        self._last = max(told.ordinals, default=1)

    def called(self, place: int, after_s: float, kind: str, ordinal: int) -> Person:
        """The person at *place* of the list, at the attempt of that *ordinal*, on a phone of that *kind*."""
        factor = self.factor(after_s, kind, ordinal)
        person = self.meet(place, after_s, min(ordinal - 1, 255), factor)
        told, choose = self._told, self._draw.choice
        ring_s = person.end_s - person.setup_s
        if told.answer_s and person.answers:
            ring_s = choose(told.answer_s)
        if told.setup_s:
            person.setup_s = choose(told.setup_s)
        person.end_s = person.setup_s + ring_s
        if told.talk_s:
            person.talk_s = choose(told.talk_s)
        return person

    def failure(self) -> Result:
        """How the call fails of the person who was met last."""
        fails = self._told.fails or USUAL_FAILS
        [found] = self._draw.choices(tuple(fails), tuple(fails.values()))
        return found

    def factor(self, after_s: float, kind: str, ordinal: int) -> float:
        """By how much more often than the average such a call is answered."""
        if not self._hours:
            return 1.0
        hour = int(self._told.hour + after_s / HOUR_S) % 24
        return (
            self._hours.get(hour, 1.0)
            * self._kinds.get(kind, 1.0)
            * self._ordinals.get(min(ordinal, self._last), 1.0)
        )


USUAL_FAILS: Mapping[Result, int] = {Result.BUSY: 75, Result.INVALID: 20, Result.CONGESTION: 5}


def _factors(
    chances: Mapping[int, Chance] | Mapping[str, Chance], average: Chance | None
) -> dict[object, float]:
    if average is None or not average.share:
        return {}
    return {
        key: (one.answered + LIKE_ALL * average.share) / (one.tried + LIKE_ALL) / average.share
        for key, one in chances.items()
    }
