"""A simulated day with the real loop between the floor and the real journal: decide, save, act, refuse, retry."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from dialer.core import events as ev
from dialer.core.commands import AnyCommand
from dialer.engine.loop import Engine
from dialer.lab.simulator.day import Day
from dialer.lab.simulator.disk import Disk
from dialer.lab.simulator.plan import Fault, Plan
from tests.unit.engine.parts import Shelf

BATCH_S = 0.05
"""Events of so long a time are decided on together, as an engine does that has much to do."""


class EngineDay(Day):
    """A day whose events go through :class:`dialer.engine.loop.Engine`. The fault ``journal`` is a full disk."""

    def __init__(self, plan: Plan, disk: Disk) -> None:
        super().__init__(plan, disk)
        self.disk = disk
        self.refused: list[ev.OriginateRefused] = []
        self._loop: Engine | None = None
        self._batch: list[ev.Event] = []

    # -- the loop, and what it is given ---------------------------------------------------

    def _decide(self, event: ev.Event) -> None:
        if isinstance(event, ev.EngineStarted):
            self._batch.clear()
            self._loop = Engine(
                floor=self.floor,
                inbox=self,  # type: ignore[arg-type]
                journal=self.disk.journal,
                dispatcher=self,  # type: ignore[arg-type]
                recordings=Shelf(),  # type: ignore[arg-type]
                clock=lambda: self.at,  # type: ignore[arg-type]
            )
        if not self._batch:
            self._push(self.at + BATCH_S, self._decide_batch)
        self._batch.append(event)
        self.events += 1

    def _decide_batch(self) -> None:
        batch, self._batch = self._batch, []
        assert self._loop is not None
        self.disk.run(self._loop.decide(batch))
        if not self.plan.check_s:
            self._check()

    def dispatch(self, commands: Iterable[AnyCommand], _: float) -> None:
        """As a dispatcher: carry out what was decided and saved."""
        self._act(commands)

    def put(self, event: ev.Event) -> None:
        """As an inbox: what the loop itself has to say."""
        if isinstance(event, ev.OriginateRefused):
            self.refused.append(event)
        self._answered(event, 0.0)

    def _check_placed(self, attempts: Iterable[Any]) -> None:
        """The rest of the batch was decided before the first call of it is placed."""

    # -- faults ---------------------------------------------------------------------------

    def _begin_engine(self) -> None:
        self.disk.run(self.disk.journal.pretend_full(False))
        super()._begin_engine()

    def _begin_fault(self, fault: Fault) -> None:
        if fault.kind == "journal":
            self.disk.run(self.disk.journal.pretend_full())
            self._unsaved_since = self.at
        else:
            super()._begin_fault(fault)

    def _end_fault(self, fault: Fault) -> None:
        if fault.kind == "journal":
            self.disk.run(self.disk.journal.pretend_full(False))
            self._unsaved_since = math.inf
        else:
            super()._end_fault(fault)
