"""The loop: decide, save, act.

One task takes events from the inbox in batches, asks the floor, writes events and decisions in one
transaction, and only then lets the dispatcher act. Nothing else touches the floor.

When saving fails, nothing is dialed: an originate that could not be saved is refused before it is
sent. What serves people who are on the line already (joining, hanging up) is done all the same, and
what could not be written is kept and written, in its order, as soon as the journal works again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from dialer.core import events as ev
from dialer.core.commands import AnyCommand, FetchLeads, Originate, SaveCall
from dialer.core.floor import Floor
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

Decision = tuple[ev.Event, list[AnyCommand]]


class Engine:
    """Runs one floor. Its parts are given by the composition root (:mod:`dialer.engine.main`)."""

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
        self._journal_failed = False

    @property
    def journal_ok(self) -> bool:
        """Whether the last save succeeded."""
        return not self._journal_failed

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
                decisions.append((event, commands))
        self.events += len(batch)
        saved = await self._save(decisions)
        for place, (event, commands) in enumerate(decisions):
            self._act(event, commands, is_saved=saved[place])

    def _act(self, event: ev.Event, commands: list[AnyCommand], *, is_saved: bool) -> None:
        if is_saved:
            self._dispatcher.dispatch(commands, event.at)
            self._after_save(event, commands)
            return
        do = []
        for command in commands:
            if isinstance(command, Originate):
                reason = "the journal could not be written"
                self.inbox.put(
                    ev.OriginateRefused(
                        at=self._clock(), attempt=command.attempt, reason=reason, was_sent=False
                    )
                )
            elif isinstance(command, FetchLeads) and self._journal_failed:
                self._held.append(command)  # the store does not know yet what became of its leads
            else:
                do.append(command)
        self._dispatcher.dispatch(do, event.at)

    def _after_save(self, event: ev.Event, commands: list[AnyCommand]) -> None:
        if isinstance(event, ev.RecordingStored):
            self._recordings.stored(event)
        for command in commands:
            if isinstance(command, SaveCall) and command.call.state is CallState.ENDED:
                call = command.call
                desk = self.floor.desks.get(call.campaign)
                was_answered = call.answered_at is not None or call.result is Result.ABANDONED
                is_over = isinstance(event, ev.ContactHungUp) and was_answered
                # What was found ended may have been answered while we were away.
                is_over = is_over or isinstance(event, ev.PbxConnected)
                if is_over and (desk is None or desk.campaign.record):
                    self._recordings.finish(call)

    # -- saving -------------------------------------------------------------------------

    async def _save(self, decisions: list[Decision]) -> list[bool]:
        """Write *decisions*, after those that are still unwritten; for each whether it is written."""
        if not decisions and not self._unsaved:
            return []
        late = len(self._unsaved)
        everything = [*self._unsaved, *decisions]
        written, error = await self._write(everything)
        self._unsaved = everything[len(written) :]
        for is_written, decision in zip(written[:late], everything, strict=False):
            if is_written:
                self._after_save(*decision)
        if error is not None:
            self._failed(error)
        elif self._journal_failed:
            self._recovered()
        return [*written, *([False] * len(self._unsaved))][late:]

    def _failed(self, error: JournalError) -> None:
        if not self._journal_failed:
            self._journal_failed = True
            log.error("The journal fails; nothing is dialed", extra={"action": "save", "error": str(error)})
            self.inbox.put(ev.JournalFailed(at=self._clock(), reason=str(error)))

    def _recovered(self) -> None:
        self._journal_failed = False
        log.warning("The journal works again", extra={"action": "save"})
        self.inbox.put(ev.JournalRecovered(at=self._clock()))
        held, self._held = self._held, []
        self._dispatcher.dispatch(held, self._clock())

    async def _write(self, decisions: list[Decision]) -> tuple[list[bool], JournalError | None]:
        """Write *decisions* in their order; whether each was, up to the first that could not be, and why.

        One that breaks a rule of the journal is left out, it alone: they are then written one by one.
        """
        try:
            await self._write_together(decisions)
        except JournalRefused:
            pass
        except JournalError as error:
            return [], error
        else:
            return [True] * len(decisions), None
        written: list[bool] = []
        for decision in decisions:
            try:
                await self._write_together([decision])
                written.append(True)
            except JournalRefused as refusal:
                log.error(
                    "The journal refuses a decision",
                    extra={"action": "save", "event": type(decision[0]).__name__, "error": str(refusal)},
                )
                written.append(False)
            except JournalError as error:
                return written, error
        return written, None

    async def _write_together(self, decisions: list[Decision]) -> None:
        self.transactions += 1
        await self._journal.save(
            [event for event, _ in decisions], [command for _, commands in decisions for command in commands]
        )

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
