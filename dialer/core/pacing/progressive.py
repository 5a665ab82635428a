"""Progressive pacing: a call is placed only when an operator is free for it.

Several campaigns share operators. The ready operators are dealt out like this:

1. Campaigns take turns by priority; at equal priority the one that dialed longest ago goes first.
2. A call in flight (not yet connected, no operator promised) keeps one operator who may serve it.
3. Each operator left over, who may serve the campaign, is worth one new call.

An operator of few campaigns is dealt before one of many, so that the others keep their choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from dialer.core.ids import AgentId, CampaignId


class Demand(msgspec.Struct, frozen=True):
    """A running campaign as pacing sees it. *unserved*: its calls in flight with no operator promised.

    *room*: how many more calls it could place (leads at hand, lines, trunk).
    """

    campaign: CampaignId
    unserved: int
    room: int


class Ready(msgspec.Struct, frozen=True):
    """A ready operator. *campaigns*: empty means every campaign."""

    agent: AgentId
    campaigns: tuple[CampaignId, ...] = ()

    def may_serve(self, campaign: CampaignId) -> bool:
        """Whether the operator works for *campaign*."""
        return not self.campaigns or campaign in self.campaigns


def place(demands: Sequence[Demand], ready: Iterable[Ready]) -> list[tuple[CampaignId, AgentId]]:
    """The calls to place now: which campaign, counting on which operator.

    *demands* in the order of their turn, *ready* longest idle first. One pass keeps operators for
    the calls in flight of all campaigns; then campaigns place new calls in turn, one at a time.
    """
    free = sorted(ready, key=lambda one: len(one.campaigns) or 1_000_000)
    for demand in demands:
        for _ in range(demand.unserved):
            if (one := _take(free, demand.campaign)) is None:
                break
    placed: list[tuple[CampaignId, AgentId]] = []
    room = {demand.campaign: demand.room for demand in demands}
    turn = [demand.campaign for demand in demands]
    while turn and free:
        for campaign in list(turn):
            one = _take(free, campaign) if room[campaign] > 0 else None
            if one is None:
                turn.remove(campaign)
                continue
            room[campaign] -= 1
            placed.append((campaign, one.agent))
    return placed


def _take(free: list[Ready], campaign: CampaignId) -> Ready | None:
    for place_, one in enumerate(free):
        if one.may_serve(campaign):
            return free.pop(place_)
    return None
