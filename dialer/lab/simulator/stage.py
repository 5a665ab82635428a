"""One campaign's day on the whole floor: from its settings, its operators and a world.

1. The campaign is as it is applied, but for what a simulated day cannot know: it runs all day (no calling hours), and its
   contacts are made up: as many as can be called (:data:`CALLS_SPARE` times), or as many as are told.
2. A wrap-up whose length is told, or was seen in the journal, ends when the operator closes the card; else the campaign's
   own rule ends it.
3. Two days of one seed differ in nothing but in what their plans differ in: see :mod:`.lives`.
"""

from __future__ import annotations

import math
from statistics import fmean

import msgspec

from dialer.core.ids import AgentId, CampaignId, ContactId, LeadId, PhoneId
from dialer.core.values import AgentCard, Campaign, Centre, Lead, LeadPhone, Trunk
from dialer.lab.simulator.people import Diligence
from dialer.lab.simulator.plan import Fault, Plan
from dialer.lab.simulator.seen import Told
from dialer.lab.simulator.worlds import HOUR_S, World

CALLS_SPARE = 1.3
PHONES_FROM = 1001
BEYOND_S = 10.0
"""The network lets a phone ring longer than the campaign does, so it is the floor that gives up."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """What a day of a campaign is made of. *kinds*: of contacts' phones, by their shares. *contacts*: None: enough."""

    campaign: Campaign
    trunk: Trunk
    cards: tuple[AgentCard, ...]
    world: World
    centre: Centre = Centre()
    told: Told = Told()
    kinds: tuple[tuple[str, float], ...] = (("mobile", 1.0),)
    contacts: int | None = None
    is_wrap_up_told: bool = False
    faults: tuple[Fault, ...] = ()
    check_s: float | None = 600.0

    def with_operators(self, count: int) -> Stage:
        """The same with so many operators: those there are, first ones first, and others like the first."""
        return msgspec.structs.replace(self, cards=operators(self.cards, count, self.campaign.id))

    def with_lines(self, more: int) -> Stage:
        """The same with so many lines more."""
        trunk = msgspec.structs.replace(self.trunk, channels_max=self.trunk.channels_max + more)
        campaign = msgspec.structs.replace(self.campaign, lines_max=self.campaign.lines_max + more)
        return msgspec.structs.replace(self, trunk=trunk, campaign=campaign)

    @property
    def lines(self) -> int:
        """So many calls may be up at once."""
        return min(self.trunk.channels_max, self.campaign.lines_max)

    def plan(self, seed: int) -> Plan:
        """The day of that *seed*."""
        crowd = msgspec.structs.replace(self.world.crowds[0], campaign=self.campaign.id)
        team = msgspec.structs.replace(self.world.team, operators=len(self.cards))
        campaign = msgspec.structs.replace(self.campaign, hours=None, lists=())
        if self.is_wrap_up_told or self.told.wrap_up_s:
            campaign = msgspec.structs.replace(campaign, wrap_up="card", wrap_up_s_max=HOUR_S)
        world = msgspec.structs.replace(
            self.world, crowds=(crowd,), team=team, ring_s=campaign.ring_s + BEYOND_S, wait_s=campaign.wait_s
        )
        return Plan(
            seed=seed,
            length_s=world.length_s,
            campaigns=(campaign,),
            trunks=(self.trunk,),
            cards=self.cards,
            leads=contacts(campaign.id, self.contacts or self._enough(world, campaign), self.kinds),
            centre=self.centre,
            diligence=Diligence(misses=0.0, drops=0.0),
            world=world,
            told=self.told,
            faults=self.faults,
            begins_at=world.begins_at,
            check_s=self.check_s,
        )

    def _enough(self, world: World, campaign: Campaign) -> int:
        crowd = world.crowds[0]
        talk_s = fmean(self.told.talk_s) if self.told.talk_s else crowd.talk_s
        if self.told.wrap_up_s:
            wrap_up_s = fmean(self.told.wrap_up_s)
        elif campaign.wrap_up == "card":
            wrap_up_s = world.team.wrap_up_s
        else:
            wrap_up_s = campaign.wrap_up_s
        rates = crowd.jumps or crowd.blocks or (crowd.answers,)
        calls = len(self.cards) * world.length_s / (talk_s + wrap_up_s) / max(0.01, sum(rates) / len(rates))
        return math.ceil(CALLS_SPARE * calls) + 100


def contacts(campaign: CampaignId, count: int, kinds: tuple[tuple[str, float], ...]) -> tuple[Lead, ...]:
    """So many people with a phone each, no two the same."""
    names = _spread(kinds)
    return tuple(
        Lead(
            id=LeadId(number),
            campaign=campaign,
            contact=ContactId(number),
            phones=(
                LeadPhone(
                    id=PhoneId(number),
                    number=f"+7999{number:07d}",
                    kind=names[number % len(names)],
                    zones=("UTC",),
                ),
            ),
        )
        for number in range(1, count + 1)
    )


def _spread(kinds: tuple[tuple[str, float], ...]) -> tuple[str, ...]:
    """Twenty names, as many of each kind as is its share, well mixed."""
    total = sum(share for _, share in kinds)
    owed = dict.fromkeys((name for name, _ in kinds), 0.0)
    found = []
    for _ in range(20):
        for name, share in kinds:
            owed[name] += share / total
        name = max(owed, key=owed.__getitem__)
        owed[name] -= 1.0
        found.append(name)
    return tuple(found)


def operators(cards: tuple[AgentCard, ...], count: int, campaign: CampaignId) -> tuple[AgentCard, ...]:
    """So many operators: of *cards* the first, and if there are fewer, made-up ones with the first one's kind of leg."""
    leg = cards[0].leg if cards else "parked"
    taken, names = {card.phone for card in cards}, {card.id for card in cards}
    found = list(cards[:count])
    number = 0
    while len(found) < count:
        number += 1
        phone, name = str(PHONES_FROM - 1 + number), AgentId(f"operator-{number}")
        if phone not in taken and name not in names:
            found.append(AgentCard(id=name, phone=phone, leg=leg, campaigns=(campaign,)))
    return tuple(found)
