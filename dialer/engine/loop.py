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
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from dialer.core import events as ev
from dialer.core.commands import (
    AnyCommand,
    DialThird,
    FetchLeads,
    ForgetChoice,
    Originate,
    RingAgent,
    SaveCall,
)
from dialer.core.floor import Floor
from dialer.core.ids import CampaignId
from dialer.core.values import CallState
from dialer.engine.decisions import Decision, first_guilty, taken_apart, without_refused
from dialer.engine.dispatcher import Dispatcher
from dialer.engine.identity import Clock
from dialer.engine.logs import about
from dialer.engine.metrics.counters import Counters
from dialer.engine.recordings import Recordings
from dialer.pbx.inbox import Inbox
from dialer.store.errors import CallForbidden, JournalError, JournalRefused
from dialer.store.journal import Journal

log = logging.getLogger(__name__)

BATCH = 256
TICK_S = 0.2
LATE_S = 1.0
"""Events that waited longer than this make the engine late: it stops originating."""
CAUGHT_UP_S = 0.2
STOOD_STILL_S = 1.0
"""An engine that stood still for longer (the machine slept, say) hears first, and for so long, what happened
meanwhile."""

BUSY_S = 0.25
"""How long a save waits for another program's lock on the journal: people on the line wait with it.
An import beside the engine holds the lock for less."""


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
        self.meter: Counters | None = None
        """Counts what was decided and is written."""
        self._journal = journal
        self._dispatcher = dispatcher
        self._recordings = recordings
        self._clock = clock
        self._is_late = False
        self._late_until = 0.0
        """By the loop's clock: who stood still is late until then, whatever the inbox says."""
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
            if self.floor.must_note(event, commands):
                decisions.append(Decision(event, commands))
        self.events += len(batch)
        if self.meter is not None:
            self.meter.batch(len(batch), self.lag_s)
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
            elif notes := [one for one in decision.commands if isinstance(one, ForgetChoice)]:
                self._dispatcher.dispatch(notes, decision.event.at)
            self._after_save(decision)
            return
        if decision.is_late:
            return
        do = []
        for command in decision.commands:
            if isinstance(command, Originate):
                reason = decision.forbidden_by or "the journal could not be written"
                self.inbox.put(
                    ev.OriginateRefused(
                        at=self._clock(),
                        attempt=command.attempt,
                        reason=reason,
                        was_sent=False,
                        is_ours=True,
                    )
                )
            elif isinstance(command, DialThird):
                self.inbox.put(
                    ev.ThirdRefused(
                        at=self._clock(),
                        channel=command.channel,
                        reason="the journal could not be written",
                        is_ours=True,
                    )
                )
            elif isinstance(command, RingAgent) and decision.forbidden_by:
                pass  # there will be nobody to talk to
            elif isinstance(command, ForgetChoice):
                pass  # it is not written down yet: the note stays
            elif isinstance(command, FetchLeads) and not self.journal_ok:
                self._held.append(command)  # the store does not know yet what became of its leads
            else:
                do.append(command)
        self._dispatcher.dispatch(do, decision.event.at)

    def _after_save(self, decision: Decision) -> None:
        event = decision.event
        if self.meter is not None:
            self.meter.written(None if decision.is_rest else event, decision.commands)
        if not decision.is_rest:
            self._answer(event, None)
            if isinstance(event, ev.RecordingStored):
                self._recordings.stored(event)
        if isinstance(event, ev.CallArrived) and self._is_recorded(event.campaign):
            self._recordings.ask(event.attempt)  # by the dialplan, before we heard of it
        for command in decision.commands:
            if isinstance(command, Originate) and not decision.is_late:
                if command.record:
                    self._recordings.ask(command.attempt)
                else:
                    self._recordings.ask_not(command.attempt)
            elif isinstance(command, SaveCall) and command.call.state is CallState.ENDED:
                call = command.call
                is_over = isinstance(event, ev.ContactHungUp | ev.CallMissed) and call.was_answered
                # What was found ended, with nobody to say why, may have been answered unheard.
                is_found = isinstance(event, ev.PbxConnected | ev.PbxListed) or (
                    isinstance(event, ev.ContactHungUp) and event.cause is None
                )
                is_lost = isinstance(event, ev.PbxLost)
                if is_over or is_found or is_lost:
                    self._recordings.finish(call, is_lost=is_lost)
                else:
                    self._recordings.forget(call.attempt)

    def _is_recorded(self, campaign: CampaignId) -> bool:
        desk = self.floor.desks.get(campaign)
        return desk is not None and desk.campaign.record

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
        and why. What breaks a rule of the journal is left out, it alone: the others are written as far as
        possible together, the guilty one in its parts. Where it is not known which is guilty, they are
        written one by one.
        """
        tried: list[tuple[Decision, bool]] = []
        left = deque(decisions)
        together = len(left)
        while left:
            if together > 1:
                some = list(left)[:together]
                try:
                    await self._write_together(some)
                except JournalRefused as refusal:
                    together = first_guilty(some, refusal)
                    continue
                except JournalError as error:
                    return tried, list(left), error
                tried += [(decision, True) for decision in some]
                for _ in some:
                    left.popleft()
                together = len(left)
                continue
            decision = left.popleft()
            try:
                written, rests = await self._write_parts(decision)
            except JournalRefused as refusal:
                try:
                    await self._leave_out(decision, refusal)
                except JournalError as error:
                    return tried, [decision, *left], error
                if isinstance(refusal, CallForbidden):
                    rule = next(iter(refusal.rules.values()))
                    decision = msgspec.structs.replace(decision, forbidden_by=rule)
                    together = len(left)
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
        except JournalRefused as refusal:
            first, *rests = taken_apart(decision)
            first = without_refused(first, refusal)
            if first is decision:
                raise
            await self._write_together([first])
            return first, rests
        return decision, []

    async def _write_together(self, decisions: list[Decision]) -> None:
        self.transactions += 1
        notes: list[tuple[float, ev.Event | AnyCommand]] = []
        for decision in decisions:
            at = decision.event.at
            if not decision.is_rest:
                notes.append((at, decision.event))
            notes += [(at, command) for command in decision.commands]
        events = [decision.event for decision in decisions if not decision.is_rest]
        commands = [command for decision in decisions for command in decision.commands]
        with self.meter.saving() if self.meter is not None else contextlib.nullcontext():
            await self._journal.save(events, commands, notes)

    async def _leave_out(self, decision: Decision, refusal: JournalRefused) -> None:
        """Note that *decision* is not done. Raises JournalError: it could not be noted now."""
        # If it cannot even be noted, what follows will differ in replay.
        with contextlib.suppress(JournalRefused):
            await self._journal.note_left_out(
                decision.event.at,
                decision.commands,
                str(refusal),
                event=None if decision.is_rest else decision.event,
                attempt=decision.rest_of,
            )
        is_ours = not isinstance(refusal, CallForbidden)
        log.log(
            logging.ERROR if is_ours else logging.INFO,
            "The journal refuses a decision" if is_ours else "A person must not be called now",
            extra={
                **about(decision.event),
                **({"attempt": decision.rest_of} if decision.is_rest else {}),
                "action": "save",
                "event": type(decision.event).__name__,
                "error": str(refusal),
            },
        )
        if not decision.is_rest:
            self._answer(decision.event, NotSaved(str(refusal)))

    # -- time ---------------------------------------------------------------------------

    def _measure_lag(self) -> list[ev.Event]:
        self.lag_s = self.inbox.lag_high_s
        self.inbox.reset_high()
        is_late = self.lag_s > (CAUGHT_UP_S if self._is_late else LATE_S)
        is_late = is_late or asyncio.get_running_loop().time() < self._late_until
        if is_late == self._is_late:
            return []
        self._is_late = is_late
        log.warning(
            "Events lag" if is_late else "Events have caught up", extra={"action": "lag", "lag_s": self.lag_s}
        )
        return [ev.EventsLagged(at=self._clock(), lag_ms=self.lag_s * 1000, is_late=is_late)]

    async def _tick(self) -> None:
        before = self._clock()
        while True:
            await asyncio.sleep(TICK_S)
            now = self._clock()
            if now - before > TICK_S + STOOD_STILL_S:
                log.warning("The engine stood still", extra={"action": "wake", "still_s": now - before})
                self._late_until = asyncio.get_running_loop().time() + STOOD_STILL_S
            before = now
            self.inbox.put(ev.Ticked(at=now))
