"""The loop: decide, save, act.

One task takes events from the inbox in batches, asks the floor, writes events and decisions in one
transaction, and only then lets the dispatcher act. Nothing else touches the floor.

When saving fails, nothing is dialed: an originate that could not be saved is refused before it is
sent. What serves people who are on the line already (joining, hanging up) is done all the same, and
what could not be written is kept and written, in its order, as soon as the journal works again.

A decision that breaks a rule of the journal is taken apart: what the event led to is one part, and each
call that is placed on the occasion is another. Only the guilty part is left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from dialer.core import events as ev
from dialer.core.commands import (
    AnyCommand,
    ClearTimer,
    FetchLeads,
    Originate,
    RingAgent,
    SaveAgent,
    SaveCall,
    SetTimer,
)
from dialer.core.floor import Floor
from dialer.core.ids import AttemptId
from dialer.core.values import CallState, Result
from dialer.engine.dispatcher import Dispatcher
from dialer.engine.identity import Clock
from dialer.engine.recordings import Recordings
from dialer.pbx.inbox import Inbox
from dialer.store.errors import JournalError, JournalRefused
from dialer.store.journal import Journal

log = logging.getLogger(__name__)

BATCH = 256
TICK_S = 0.2
LATE_S = 1.0
"""Events that waited longer than this make the engine late: it stops originating."""
CAUGHT_UP_S = 0.2

BUSY_S = 0.25
"""How long a save waits for another program's lock on the journal: people on the line wait with it.
An import beside the engine holds the lock for less."""


class Decision(msgspec.Struct, frozen=True, eq=False):
    """An event and what it led to, or (*is_rest*) one call placed on that occasion."""

    event: ev.Event
    commands: list[AnyCommand]
    is_rest: bool = False
    """The event is written with another part."""
    is_late: bool = False
    """It was acted upon already, as one that could not be written."""


class NotSaved(Exception):
    """What was decided is not in the journal; the message says why."""


class Engine:
    """Runs one floor. Its parts are given by the composition root (:mod:`dialer.engine.house`)."""

    def __init__(
        self,
        *,
        floor: Floor,
        inbox: Inbox[ev.Event],
        journal: Journal,
        dispatcher: Dispatcher,
        recordings: Recordings,
        clock: Clock,
    ) -> None:
        self.floor = floor
        self.inbox = inbox
        self.lag_s = 0.0
        """How long the oldest event of the last batch waited."""
        self.events = 0
        """How many events were decided on."""
        self.taken = 0
        """How many items of the inbox were decided on, saved and acted upon."""
        self.transactions = 0
        """How many times the journal was written."""
        self.on_decided: Callable[[ev.Event, list[AnyCommand]], None] | None = None
        """Called after each decision; for measurements and tests."""
        self._journal = journal
        self._dispatcher = dispatcher
        self._recordings = recordings
        self._clock = clock
        self._is_late = False
        self._unsaved: list[Decision] = []
        self._held: list[AnyCommand] = []
        self._journal_error: JournalError | None = None
        self._awaited: dict[int, asyncio.Future[None]] = {}

    @property
    def journal_ok(self) -> bool:
        """Whether the last save succeeded."""
        return self._journal_error is None

    async def run(self) -> None:
        """Decide for ever; until cancelled."""
        ticking = asyncio.create_task(self._tick())
        try:
            while True:
                batch = await self.inbox.get_batch(BATCH)
                await self.decide([*self._measure_lag(), *batch])
                self.taken += len(batch)
        finally:
            ticking.cancel()

    async def decide(self, batch: Sequence[ev.Event]) -> None:
        """Decide on *batch*, save, act."""
        decisions: list[Decision] = []
        for event in batch:
            commands = self.floor.handle(event)
            if self.on_decided is not None:
                self.on_decided(event, commands)
            if commands or not isinstance(event, ev.Ticked):
                decisions.append(Decision(event, commands))
        self.events += len(batch)
        for decision, is_saved in await self._save(decisions):
            self._act(decision, is_saved=is_saved)

    async def order(self, event: ev.Event, within_s: float) -> None:
        """Put *event* into the inbox and wait until what it led to is in the journal.

        Raises:
            NotSaved: it is not, or not within *within_s*. The event is decided on all the same.
        """
        saved = asyncio.get_running_loop().create_future()
        self._awaited[id(event)] = saved
        self.inbox.put(event)
        try:
            async with asyncio.timeout(within_s):
                await saved
        except TimeoutError:
            if self._journal_error is not None:
                raise NotSaved(str(self._journal_error)) from None
            raise NotSaved(f"The engine did not come to it within {within_s:g} s.") from None
        finally:
            del self._awaited[id(event)]

    def _act(self, decision: Decision, *, is_saved: bool) -> None:
        if is_saved:
            if not decision.is_late:
                self._dispatcher.dispatch(decision.commands, decision.event.at)
            self._after_save(decision)
            return
        if decision.is_late:
            return
        do = []
        for command in decision.commands:
            if isinstance(command, Originate):
                reason = "the journal could not be written"
                self.inbox.put(
                    ev.OriginateRefused(
                        at=self._clock(), attempt=command.attempt, reason=reason, was_sent=False
                    )
                )
            elif isinstance(command, FetchLeads) and not self.journal_ok:
                self._held.append(command)  # the store does not know yet what became of its leads
            else:
                do.append(command)
        self._dispatcher.dispatch(do, decision.event.at)

    def _after_save(self, decision: Decision) -> None:
        event = decision.event
        if not decision.is_rest:
            self._answer(event, None)
            if isinstance(event, ev.RecordingStored):
                self._recordings.stored(event)
        for command in decision.commands:
            if isinstance(command, Originate) and command.record and not decision.is_late:
                self._recordings.ask(command.attempt)
            elif isinstance(command, SaveCall) and command.call.state is CallState.ENDED:
                call = command.call
                was_answered = call.answered_at is not None or call.result is Result.ABANDONED
                is_over = isinstance(event, ev.ContactHungUp) and was_answered
                # What was found ended may have been answered while we were away.
                if is_over or isinstance(event, ev.PbxConnected):
                    self._recordings.finish(call)
                else:
                    self._recordings.forget(call.attempt)

    def _answer(self, event: ev.Event, failure: Exception | None) -> None:
        """Tell who gave *event* as an order, if anybody did."""
        waiting = self._awaited.get(id(event))
        if waiting is None or waiting.done():
            return
        if failure is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(failure)

    # -- saving -------------------------------------------------------------------------

    async def _save(self, decisions: list[Decision]) -> list[tuple[Decision, bool]]:
        """Write *decisions*, after those that are still unwritten; each, and whether it is written."""
        if not decisions and not self._unsaved:
            return []
        tried, left, error = await self._write([*self._unsaved, *decisions])
        self._unsaved = [msgspec.structs.replace(decision, is_late=True) for decision in left]
        if error is not None:
            self._failed(error)
        elif not self.journal_ok:
            self._recovered()
        return [*tried, *((decision, False) for decision in left)]

    def _failed(self, error: JournalError) -> None:
        if self.journal_ok:
            log.error("The journal fails; nothing is dialed", extra={"action": "save", "error": str(error)})
            self.inbox.put(ev.JournalFailed(at=self._clock(), reason=str(error)))
        self._journal_error = error

    def _recovered(self) -> None:
        self._journal_error = None
        log.warning("The journal works again", extra={"action": "save"})
        self.inbox.put(ev.JournalRecovered(at=self._clock()))
        held, self._held = self._held, []
        self._dispatcher.dispatch(held, self._clock())

    async def _write(
        self, decisions: list[Decision]
    ) -> tuple[list[tuple[Decision, bool]], list[Decision], JournalError | None]:
        """Write *decisions* in their order.

        Those that were tried, and whether each is written; those from the first on that could not be,
        and why. What breaks a rule of the journal is left out, it alone: they are then written one by
        one, and such a one in its parts.
        """
        try:
            await self._write_together(decisions)
        except JournalRefused:
            pass
        except JournalError as error:
            return [], decisions, error
        else:
            return [(decision, True) for decision in decisions], [], None
        tried: list[tuple[Decision, bool]] = []
        left = deque(decisions)
        while left:
            decision = left.popleft()
            try:
                written, rests = await self._write_parts(decision)
            except JournalRefused as refusal:
                self._left_out(decision, refusal)
                tried.append((decision, False))
            except JournalError as error:
                return tried, [decision, *left], error
            else:
                tried.append((written, True))
                left.extendleft(reversed(rests))
        return tried, [], None

    async def _write_parts(self, decision: Decision) -> tuple[Decision, list[Decision]]:
        """Write *decision*, or if that is refused its first part; what was written, and the other parts.

        Raises JournalError: nothing was written.
        """
        try:
            await self._write_together([decision])
        except JournalRefused:
            first, *rests = _parts(decision)
            if not rests:
                raise
            await self._write_together([first])
            return first, rests
        return decision, []

    async def _write_together(self, decisions: list[Decision]) -> None:
        self.transactions += 1
        await self._journal.save(
            [decision.event for decision in decisions if not decision.is_rest],
            [command for decision in decisions for command in decision.commands],
        )

    def _left_out(self, decision: Decision, refusal: JournalRefused) -> None:
        log.error(
            "The journal refuses a decision",
            extra={"action": "save", "event": type(decision.event).__name__, "error": str(refusal)},
        )
        if not decision.is_rest:
            self._answer(decision.event, NotSaved(str(refusal)))

    # -- time ---------------------------------------------------------------------------

    def _measure_lag(self) -> list[ev.Event]:
        self.lag_s = self.inbox.lag_high_s
        self.inbox.reset_high()
        is_late = self.lag_s > (CAUGHT_UP_S if self._is_late else LATE_S)
        if is_late == self._is_late:
            return []
        self._is_late = is_late
        log.warning("Events lag" if is_late else "Events have caught up", extra={"lag_s": self.lag_s})
        return [ev.EventsLagged(at=self._clock(), lag_ms=self.lag_s * 1000, is_late=is_late)]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.inbox.put(ev.Ticked(at=self._clock()))


def _parts(decision: Decision) -> list[Decision]:
    """What the event led to, and each of the calls that are placed on the occasion."""
    placed: dict[AttemptId, list[AnyCommand]] = {
        command.attempt: [] for command in decision.commands if isinstance(command, Originate)
    }
    if decision.is_rest or not placed:
        return [decision]
    first: list[AnyCommand] = []
    for command in decision.commands:
        attempt = _attempt_of(command)
        (placed.get(attempt, first) if attempt is not None else first).append(command)
    rests = [msgspec.structs.replace(decision, commands=rest, is_rest=True) for rest in placed.values()]
    return [msgspec.structs.replace(decision, commands=first), *rests]


def _attempt_of(command: AnyCommand) -> AttemptId | None:
    match command:
        case Originate(attempt=attempt) | RingAgent(attempt=attempt):
            return attempt
        case SaveCall(call=call):
            return call.attempt
        case SaveAgent(agent=agent):
            return agent.attempt
        case SetTimer(kind="attempt", subject=subject) | ClearTimer(kind="attempt", subject=subject):
            return AttemptId(subject)
        case _:
            return None
