"""Progressive pacing: a call is placed only when an operator is free for it.

Several campaigns share operators. The ready operators are dealt out like this:

1. A call in flight (not yet connected, no operator promised) keeps one operator who may serve it.
2. Each operator left over, who may serve the campaign, is worth one new call.
3. A campaign of lower ``priority`` number takes all that it can use before the next one gets any. At
   equal priority they take turns; the one that dialed longest ago begins.

With several servers each campaign stands here once for each server (:mod:`dialer.core.lanes`).

Operators count by *skills*: the campaigns that they work for. Whoever is dealt out may be exchanged
for another as long as everybody still has a seat (a bipartite matching), so a choice made early never
leaves a call in flight without the one operator who could have served it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from dialer.core.ids import CampaignId
from dialer.core.lanes import Skills, is_all, may_serve


class Demand(msgspec.Struct, frozen=True):
    """A running campaign as pacing sees it. *unserved*: its calls in flight with no operator promised.

    *room*: how many more calls it could place (leads at hand, lines, trunk). *priority*: lower goes first.
    """

    campaign: CampaignId
    unserved: int
    room: int
    priority: int = 100


def place(demands: Sequence[Demand], ready: Mapping[Skills, int]) -> list[tuple[CampaignId, Skills]]:
    """The calls to place now: which campaign, counting on an operator of which skills.

    *demands*: by priority, and at equal priority in the order of their turn. *ready*: how many
    operators of each skills are free.
    """
    seats = _Seats(ready)
    for demand in demands:
        seats.take(demand.campaign, demand.unserved)
    placed: list[CampaignId] = []
    for _, equals in groupby(demands, key=lambda demand: demand.priority):
        room = {demand.campaign: demand.room for demand in equals}
        while room and seats.free:
            for campaign in list(room):
                if room[campaign] <= 0 or not seats.take(campaign, 1):
                    del room[campaign]
                    continue
                room[campaign] -= 1
                placed.append(campaign)
    return [(campaign, seats.leave(campaign)) for campaign in placed]


def is_anyone_left(unserved: Mapping[CampaignId, int], ready: Mapping[Skills, int]) -> bool:
    """Whether an operator is free when each call in flight that can has one. *unserved*: these, by campaign."""
    free = sum(ready.values())
    if free > sum(unserved.values()):
        return True
    if not any(ready):  # one team
        return False
    seats = _Seats(ready)
    for campaign, count in unserved.items():
        seats.take(campaign, count)
    return seats.free > 0


def seated(unserved: Mapping[CampaignId, int], ready: Mapping[Skills, int]) -> int:
    """How many of the calls in flight have an operator, if they are dealt out as well as can be."""
    seats = _Seats(ready)
    return sum(seats.take(campaign, count) for campaign, count in unserved.items())


def may_spare(skills: Skills, unserved: Mapping[CampaignId, int], ready: Mapping[Skills, int]) -> bool:
    """Whether one operator of these *skills* may be promised to a call of their own without taking the seat
    of a call in flight. *unserved*: these, by campaign."""
    left = {**ready, skills: ready[skills] - 1}
    with_them, without = _Seats(ready), _Seats(left)
    return all(
        with_them.take(campaign, count) == without.take(campaign, count)
        for campaign, count in unserved.items()
    )


@functools.lru_cache(maxsize=1024)
def _by_choice(teams: tuple[Skills, ...]) -> tuple[Skills, ...]:
    """*teams*, those of few campaigns first and those of all last. There are few, and they are asked for often."""
    return tuple(sorted(teams, key=lambda skills: (is_all(skills), len(skills), skills)))


class _Seats:
    """Operators by skills, and which campaigns they are kept for."""

    def __init__(self, ready: Mapping[Skills, int]) -> None:
        """The operators of few campaigns are dealt first, so that the others keep their choice."""
        by_choice = _by_choice(tuple(ready))
        self._left: dict[Skills, int] = {skills: ready[skills] for skills in by_choice}
        self._kept: dict[Skills, dict[CampaignId, int]] = {skills: {} for skills in by_choice}
        self.free = sum(self._left.values())

    def take(self, campaign: CampaignId, wanted: int) -> int:
        """Keep up to *wanted* operators for *campaign*; returns how many there were."""
        taken = 0
        for skills, left in self._left.items():
            if left and taken < wanted and may_serve(skills, campaign):
                count = min(left, wanted - taken)
                self._keep(skills, campaign, count)
                taken += count
        while taken < wanted and self.free and self._exchange(campaign, set()):
            taken += 1
        return taken

    def leave(self, campaign: CampaignId) -> Skills:
        """Hand out one of the operators who are kept for *campaign*."""
        for skills, kept in self._kept.items():
            if kept.get(campaign, 0):
                kept[campaign] -= 1
                return skills
        raise AssertionError(f"nobody is kept for {campaign}")

    def _keep(self, skills: Skills, campaign: CampaignId, count: int) -> None:
        self._left[skills] -= count
        self.free -= count
        kept = self._kept[skills]
        kept[campaign] = kept.get(campaign, 0) + count

    def _exchange(self, campaign: CampaignId, tried: set[Skills]) -> bool:
        """Keep one operator for *campaign* by giving another campaign one whom it can use as well."""
        for skills, kept in self._kept.items():
            if skills in tried or not may_serve(skills, campaign):
                continue
            tried.add(skills)
            if self._left[skills]:
                self._keep(skills, campaign, 1)
                return True
            for other, count in list(kept.items()):
                if other != campaign and count and self._exchange(other, tried):
                    kept[other] -= 1
                    kept[campaign] = kept.get(campaign, 0) + 1
                    return True
        return False
