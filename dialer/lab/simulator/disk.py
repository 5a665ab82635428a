"""The real journal under a simulated day: decisions are written by the store's own code, into a file."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from dialer.core import events as ev
from dialer.core.commands import AnyCommand
from dialer.core.ids import AgentId
from dialer.core.values import Campaign, Lead
from dialer.lab.simulator.plan import Plan
from dialer.store import leads as lead_store
from dialer.store import settings
from dialer.store.connect import open_writer, transaction
from dialer.store.journal import Journal

T = TypeVar("T")


class Disk:
    """The journal at *path*, for as long as the ``with`` block lasts. A :class:`~.plan.Keeper`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._runner = asyncio.Runner()
        self.journal: Journal

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self.journal = self.run(Journal.open(self._path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self.journal.close())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine *work* returns."""
        return self._runner.run(work)

    def save(self, events: Sequence[ev.Event], commands: Sequence[AnyCommand]) -> None:
        """See :class:`~.plan.Keeper`."""
        self.run(self.journal.save(events, commands))

    def fetch(
        self, campaign: Campaign, limit: int, at: float, present: Collection[AgentId]
    ) -> tuple[list[Lead], bool, bool]:
        """See :class:`~.plan.Keeper`."""
        return self.run(self.journal.fetch_leads(campaign, limit, at, present))

    def load(self, at: float, version: str = "") -> ev.EngineStarted:
        """See :class:`~.plan.Keeper`."""
        return self.run(self.journal.load(at)).started(at=at, version=version)


def prepare(path: Path, plan: Plan) -> Plan:
    """Make the journal of *plan* at *path*, with everybody who is to be called; the plan as it is there."""
    at = plan.begins_at
    campaigns = tuple(msgspec.structs.replace(one, lists=(str(one.id),)) for one in plan.campaigns)
    with closing(open_writer(path)) as connection:
        for trunk in plan.trunks:
            settings.apply_trunk(connection, trunk, at)
        for campaign in campaigns:
            settings.apply_campaign(connection, campaign, at)
        for card in plan.cards:
            settings.add_agent(connection, card)
        with transaction(connection):
            connection.executemany(
                "INSERT INTO contacts (id, list, key, name, added_at) VALUES (?, ?, ?, ?, ?)",
                [
                    (lead.contact, lead.campaign, str(lead.contact), f"Person {lead.contact}", at)
                    for lead in plan.leads
                ],
            )
            connection.executemany(
                "INSERT INTO phones (id, contact, position, kind, number) VALUES (?, ?, ?, ?, ?)",
                [
                    (phone.id, lead.contact, place, phone.kind, phone.number)
                    for lead in plan.leads
                    for place, phone in enumerate(lead.phones)
                ],
            )
        for campaign in campaigns:
            lead_store.enroll(connection, campaign.id, at)
    return msgspec.structs.replace(plan, campaigns=campaigns)
