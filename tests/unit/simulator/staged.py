"""A small campaign on the whole floor, for tests of simulated days."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.commands import SaveAgent, SaveCall
from dialer.core.ids import CampaignId, TrunkId
from dialer.core.pacing.book import Rule
from dialer.core.values import Campaign, Trunk
from dialer.lab.simulator.day import Day
from dialer.lab.simulator.disk import prepare
from dialer.lab.simulator.memory import Memory
from dialer.lab.simulator.plan import Plan
from dialer.lab.simulator.stage import Stage, operators
from dialer.lab.simulator.worlds import Team, World
from dialer.store.connect import open_writer, transaction
from dialer.store.guard import Guard
from dialer.store.writing import write
from tests.examples import IS_QUICK


def stage(
    count: int = 6, minutes: float = 10.0 if IS_QUICK else 20.0, *, lines: int = 60, **campaign: Any
) -> Stage:
    """*count* operators for so many minutes; every third is rung for each call. *campaign*: its settings."""
    settings = {"mode": "predictive", "ring_agent": "at_answer", "wrap_up": "card"} | campaign
    made = Campaign(id=CampaignId("spring"), trunk=TrunkId("carrier"), **settings)
    cards = tuple(
        msgspec.structs.replace(card, leg="rung") if number % 3 == 2 else card
        for number, card in enumerate(operators((), count, made.id))
    )
    return Stage(
        campaign=made,
        trunk=Trunk(id=made.trunk, host="carrier", channels_max=lines, calls_per_second_max=20.0),
        cards=cards,
        world=World(length_s=60.0 * minutes, team=Team(arrive_s=20.0)),
    )


class _Noting(Memory):
    """A journal in memory that remembers what was saved of calls and operators."""

    saved: list[Any]

    def save(self, events: Any, commands: Any) -> None:
        super().save(events, commands)
        self.saved += [one for one in commands if isinstance(one, SaveCall | SaveAgent)]


def in_journal(path: Path, plan: Plan, pacer: Callable[[], Rule]) -> Day:
    """Play the day, then write its calls and its operators' states into a new journal at *path*, at once."""
    plan = prepare(path, plan)
    keeper = _Noting(campaigns=plan.campaigns, trunks=plan.trunks, cards=plan.cards, leads=plan.leads)
    keeper.saved = []
    day = Day(plan, keeper, pacer)
    day.run()
    with closing(open_writer(path)) as connection, transaction(connection):
        write(connection, [], keeper.saved, Guard())
    return day
