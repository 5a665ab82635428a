"""What may be wrong with a simulated day, by names that people can ask for."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import msgspec

from dialer.lab.simulator.plan import Fault, Kind
from dialer.lab.simulator.worlds import World

WORLDS: Mapping[str, str] = {
    "jumps": "answer rates that jump every two hours between two thirds and five thirds of the usual",
    "blocks": "a list in blocks of 300 people, of whom half as many answer, or half as many again",
    "drift": "answer rates that wander far, a third up or down within an hour",
    "shifts": "a third of the operators coming late or leaving early",
    "breaks": "half of the operators leaving at once for 15 minutes, twice",
    "pauses": "everyone pausing twice an hour, unannounced",
    "slow-carrier": "calls that take 8 s until the phone rings",
}
"""Kinds of a day, and what each is."""
FAULTS: Mapping[Kind, tuple[str, float]] = {
    "doubled": ("every event comes twice, for 20 minutes", 1200.0),
    "lossy": ("one event of twenty is lost, for 20 minutes", 1200.0),
    "slow": ("events come up to 2 s late, for 2 minutes", 120.0),
    "socket": ("the event socket is cut, for 20 s", 20.0),
    "engine": ("the engine is killed, and starts again 15 s later", 15.0),
    "journal": ("the journal cannot be written, for 20 s", 20.0),
    "trunk": ("the trunk is down, for 2 minutes", 120.0),
    "refusing": ("Asterisk makes no channels, for 20 s", 20.0),
    "lying": ("joins that happened are told as refused, for 20 s", 20.0),
}
"""Faults, what each is, and how long it lasts."""
TIMES = 2
"""Each fault happens so often in a day."""


def with_troubles(world: World, names: Iterable[str]) -> World:
    """*world*, troubled by those of :data:`WORLDS`."""
    crowd, team, setup_s = world.crowds[0], world.team, world.setup_s
    for name in names:
        match name:
            case "jumps":
                rates = (crowd.answers * 2 / 3, min(0.9, crowd.answers * 5 / 3))
                crowd = msgspec.structs.replace(crowd, jumps=rates)
            case "blocks":
                rates = (crowd.answers / 2, min(0.9, crowd.answers * 3 / 2))
                crowd = msgspec.structs.replace(crowd, blocks=rates)
            case "drift":
                crowd = msgspec.structs.replace(crowd, drift=0.35)
            case "shifts":
                team = msgspec.structs.replace(team, late=1 / 3)
            case "breaks":
                breaks = tuple((share * world.length_s, 900.0, 0.5) for share in (0.3, 0.7))
                team = msgspec.structs.replace(team, breaks=breaks)
            case "pauses":
                team = msgspec.structs.replace(team, pauses_per_hour=2.0)
            case "slow-carrier":
                setup_s = 8.0
            case _:
                raise ValueError(f"no such trouble: {name}")
    return msgspec.structs.replace(world, crowds=(crowd,), team=team, setup_s=setup_s)


def faults(names: Iterable[Kind], length_s: float, seed: int) -> tuple[Fault, ...]:
    """Each of the faults :data:`TIMES` times in the day, when is the *seed*'s business."""
    draw = random.Random(f"faults of {seed}")  # noqa: S311 - a day, no secret
    found = []
    for name in names:
        lasts_s = min(FAULTS[name][1], length_s / 10.0)
        for _ in range(TIMES):
            at_s = draw.uniform(min(60.0, length_s / 20.0), max(length_s - 2.0 * lasts_s, length_s / 10.0))
            found.append(Fault(kind=name, at_s=at_s, length_s=lasts_s))
    return tuple(found)
