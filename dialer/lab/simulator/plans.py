"""Days of a given size: several campaigns that share operators, or do not, in all the usual ways."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable

from dialer.core.ids import AgentId, CampaignId, TrunkId
from dialer.core.pacing.book import Rule
from dialer.core.values import AgentCard, Campaign, CampaignState, Caps, Owners, Trunk
from dialer.lab.simulator.day import Day
from dialer.lab.simulator.memory import Memory
from dialer.lab.simulator.people import people
from dialer.lab.simulator.plan import Fault, Plan

HOUR_S = 3600.0


def plan(
    seed: int, *, agents: int = 100, hours: float = 8.0, faults: Iterable[Fault] = (), check_s: float = 60.0
) -> Plan:
    """A day of *agents* operators in four campaigns: two share one team at different priorities, one has
    operators of its own, and one everybody's; every third operator is rung for each call."""
    trunk = TrunkId("carrier")
    spring = Campaign(id=CampaignId("spring"), trunk=trunk, priority=10, wrap_up_s=8.0)
    summer = Campaign(
        id=CampaignId("summer"),
        trunk=trunk,
        priority=20,
        wrap_up_s=8.0,
        ring_agent="at_answer",
        caps=Caps(number_per_24h=4, gap_s=60.0),
    )
    survey = Campaign(id=CampaignId("survey"), trunk=trunk, priority=10, wrap_up_s=5.0, ring_agent="at_dial")
    debts = Campaign(
        id=CampaignId("debts"), trunk=trunk, priority=30, wrap_up_s=8.0,
        owners=Owners(hold_s=900.0, away="anyone"),
    )  # fmt: skip
    team = (spring.id, summer.id, debts.id)
    cards = []
    for number in range(agents):
        skills = () if number % 10 == 0 else (survey.id,) if number % 10 < 3 else team
        cards.append(
            AgentCard(
                id=AgentId(f"op{number + 1}"),
                phone=str(1001 + number),
                leg="rung" if number % 3 == 0 else "parked",
                campaigns=skills,
            )
        )
    rng = random.Random(seed)  # noqa: S311 - people, no secret
    campaigns = (spring, summer, survey, debts)
    # Of the team's first two there are not enough for the day: its operators go on to the next.
    shares = {spring.id: 5, summer.id: 6, survey.id: 25, debts.id: 25}
    counts = {name: max(10, int(agents * hours * share)) for name, share in shares.items()}
    return Plan(
        seed=seed,
        length_s=hours * HOUR_S,
        campaigns=campaigns,
        trunks=(Trunk(id=trunk, host="carrier", channels_max=max(4, 2 * agents), calls_per_second_max=20.0),),
        cards=tuple(cards),
        leads=tuple(people(counts, rng)),
        faults=tuple(faults),
        check_s=check_s,
    )


def simulate(plan: Plan, pacer: Callable[[], Rule] | None = None) -> Day:
    """Play the day with a journal in memory. *pacer*: see :class:`Day`. Raises AssertionError: a promise was broken."""
    keeper = Memory(
        campaigns=plan.campaigns,
        trunks=plan.trunks,
        cards=plan.cards,
        leads=plan.leads,
        centre=plan.centre,
        state=CampaignState.NEW,
    )
    day = Day(plan, keeper, pacer)
    is_collecting = gc.isenabled()
    gc.disable()  # what a day makes it keeps; to look through it all again and again takes a third of the time
    try:
        day.run()
    finally:
        if is_collecting:
            gc.enable()
    return day
