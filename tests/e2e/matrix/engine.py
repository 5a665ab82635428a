"""An engine that can be held at a step: ``python engine.py HOME POINTS REPORT``.

It is ``dialer serve`` itself, with failpoints around it. POINTS is JSON: which campaign's first call is held
at which failpoint. What is reached is appended to the file REPORT, a line each: the campaign and the failpoint.

====================  ============================================================================
failpoint             what is held
====================  ============================================================================
``before_originate``  the originate: it is saved, and not sent
``after_originate``   the answer to the originate: it is sent
``before_join``       the join: it is saved, and not sent
``joined``            the event that person and operator are in one bridge
``hung_up``           the event that the channel is gone
``save_of_the_end``   the transaction that would write the result; with it, the whole engine
====================  ============================================================================

SIGUSR1 lets go whatever is held, for good; SIGALRM does so too, but the ends of channels that were held are
lost. SIGUSR2: the disk is full; once more, and it is not.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dialer.core import events as ev
from dialer.core.commands import Command, JoinAgent, Originate, SaveCall
from dialer.core.ids import AttemptId
from dialer.core.values import CallState
from dialer.engine.dispatcher import Dispatcher
from dialer.engine.house import House
from dialer.engine.main import serve
from dialer.pbx.inbox import Inbox
from dialer.store.journal import Journal


class Failpoints:
    """What is held, and until when."""

    def __init__(self, points: dict[str, str], report: Path) -> None:
        self._points = points
        self._report = report
        self._gate = asyncio.Event()
        self._withheld: list[ev.Event] = []
        self._is_full = False
        self._house: House | None = None

    def install(self) -> None:
        """Put the failpoints around the engine's parts."""
        self._follow_signals()
        self._hold_commands()
        self._hold_events()
        self._hold_saves()

    # -- what is held -----------------------------------------------------------------------

    def _is_armed(self, campaign: str | None, point: str) -> bool:
        return not self._gate.is_set() and campaign is not None and self._points.get(campaign) == point

    def _campaign(self, attempt: AttemptId) -> str | None:
        call = self._house.floor.calls.get(attempt) if self._house is not None else None
        return None if call is None else str(call.campaign)

    def _reached(self, campaign: str | None, point: str) -> None:
        with self._report.open("a") as file:
            file.write(f"{campaign} {point}\n")

    async def _hold(self, campaign: str | None, point: str) -> None:
        if self._is_armed(campaign, point):
            self._reached(campaign, point)
            await self._gate.wait()

    def _hold_commands(self) -> None:
        act = Dispatcher._act

        async def held(dispatcher: Dispatcher, command: Any, at: float) -> None:
            campaign = self._campaign(command.attempt) if isinstance(command, Originate | JoinAgent) else None
            if isinstance(command, Originate):
                await self._hold(campaign, "before_originate")
            elif isinstance(command, JoinAgent):
                await self._hold(campaign, "before_join")
            await act(dispatcher, command, at)
            if isinstance(command, Originate):
                await self._hold(campaign, "after_originate")

        Dispatcher._act = held  # type: ignore[method-assign, assignment]

    def _hold_events(self) -> None:
        put = Inbox.put
        points = {ev.Connected: "joined", ev.ContactHungUp: "hung_up"}

        def held(inbox: Inbox[ev.Event], event: ev.Event) -> None:
            point = points.get(type(event))
            if point is not None:
                campaign = self._campaign(event.attempt)  # type: ignore[attr-defined]
                if self._is_armed(campaign, point):
                    self._reached(campaign, point)
                    self._withheld.append(event)
                    return
            put(inbox, event)

        Inbox.put = held  # type: ignore[method-assign, assignment]

    def _hold_saves(self) -> None:
        save = Journal.save

        async def held(
            journal: Journal, events: Sequence[ev.Event], commands: Sequence[Command] = (), *more: Any
        ) -> None:
            for command in commands:
                if isinstance(command, SaveCall) and command.call.state is CallState.ENDED:
                    await self._hold(str(command.call.campaign), "save_of_the_end")
            await save(journal, events, commands, *more)

        Journal.save = held  # type: ignore[method-assign, assignment]

    # -- what the test says -----------------------------------------------------------------

    def _follow_signals(self) -> None:
        enter = House.__aenter__

        async def entered(house: House) -> House:
            self._house = house
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGUSR1, self._let_go)
            loop.add_signal_handler(signal.SIGALRM, self._lose)
            loop.add_signal_handler(signal.SIGUSR2, lambda: loop.create_task(self._fill()))
            return await enter(house)

        House.__aenter__ = entered  # type: ignore[method-assign, assignment]

    def _let_go(self) -> None:
        self._gate.set()
        withheld, self._withheld = self._withheld, []
        assert self._house is not None
        for event in withheld:
            self._house.inbox.put(event)

    def _lose(self) -> None:
        self._withheld = [event for event in self._withheld if not isinstance(event, ev.ContactHungUp)]
        self._let_go()

    async def _fill(self) -> None:
        assert self._house is not None
        self._is_full = not self._is_full
        await self._house.journal.pretend_full(self._is_full)


def main() -> None:
    home, points, report = sys.argv[1:]
    Failpoints(json.loads(points), Path(report)).install()
    serve(Path(home))


if __name__ == "__main__":
    main()
