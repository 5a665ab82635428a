"""The simulated world with people who call us: the lookup of callers, and the dialplan's part, as the engine has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dialer.core import events as ev
from dialer.core.commands import AnyCommand
from dialer.core.conduct import Choice
from dialer.core.ids import AgentId, AttemptId, CampaignId, ChannelId, LeadId, is_attempt
from dialer.core.lanes import may_serve
from dialer.core.values import CallState, Result
from dialer.lab.simulator.switch import Channel
from tests.unit.core.simulation import Simulation
from tests.unit.core.world import lead

FIRST_STRANGER = 500
"""Leads from this number on began with a call to us."""


class InboundSimulation(Simulation):
    """*strangers*: so many people who are in no list may call."""

    def __init__(self, **there: Any) -> None:
        self.arrived: dict[ChannelId, ev.CallArrived] = {}
        """Calls to us that live, as the engine is told of them."""
        self.unknown: dict[AttemptId, ev.CallMissed] = {}
        """Notes of calls that came with no engine."""
        self.callers: set[AttemptId] = set()
        super().__init__(**there)

    # -- the dialplan ---------------------------------------------------------------------

    def comes(self, number: int, campaign: str, *, is_open: bool = True, is_withheld: bool = False) -> None:
        """The person of the lead *number* calls us."""
        name = LeadId(number)
        if name not in self.store.leads:
            self.store.add(lead(number, of=campaign))
            self.store.finished[name] = "called_us"
        attempt = self._new_id()
        person = self.calls_us(ChannelId(attempt), self.trunks[0].id)
        found = msgspec.structs.replace(self.store.lead(name), finished=self.store.finished.get(name, ""))
        withheld = is_withheld and number >= FIRST_STRANGER
        fields: dict[str, Any] = {
            "at": self.at,
            "attempt": attempt,
            "campaign": CampaignId(campaign),
            "trunk": self.trunks[0].id,
            "did": "+74950000001",
            "number": "" if withheld else found.phones[0].number,
            "lead": found,
            "phone": found.phones[0].id,
        }
        if self.is_heard:
            self.callers.add(attempt)
            last = AgentId("g1") if number % 2 else None
            self.arrived[person.id] = event = ev.CallArrived(**fields, is_open=is_open, last_operator=last)
            self.emit(event)
        else:
            self.places[person.id] = "alone"
            self.unknown[attempt] = ev.CallMissed(**fields, arrived_at=self.at)

    def gone(self, channel: Channel) -> None:
        """The channel is no more: the dialplan notes the call of who was never joined."""
        event = self.arrived.pop(channel.id, None)
        if event is not None:
            fields = {
                name: getattr(event, name)
                for name in ev.CallMissed.__struct_fields__
                if name in ev.CallArrived.__struct_fields__
            }
            self.unknown[event.attempt] = ev.CallMissed(**fields, arrived_at=event.at)
        super().gone(channel)

    def chooses(self, person: Channel, choice: Choice) -> None:
        """A key in the overflow; what is chosen with no engine is part of the note."""
        attempt = AttemptId(person.id)
        if attempt in self.unknown:  # of which no engine knows
            note = self.unknown[attempt]
            if choice == "later":
                self.unknown[attempt] = msgspec.structs.replace(note, choice=choice, due=self.at + 50.0)
            return
        if attempt in self.callers and attempt not in self.store.calls:
            return  # the engine died before it was told of them: the note is the whole of it
        super().chooses(person, choice)

    # -- the engine -----------------------------------------------------------------------

    def deliver(self, place: int, *, is_doubled: bool = False) -> None:
        """What happens to a call that is being looked up waits for that (:mod:`dialer.engine.arrivals`)."""
        if self.inbox:
            attempt = getattr(self.inbox[place % len(self.inbox)], "attempt", None)
            for index, event in enumerate(self.inbox):
                if isinstance(event, ev.CallArrived) and event.attempt == attempt:
                    place = index
                    break
        super().deliver(place, is_doubled=is_doubled)

    def _look_up_listed(self) -> Sequence[ev.CallArrived]:
        told = {one.attempt for one in self.inbox if isinstance(one, ev.CallArrived)}
        return [
            msgspec.structs.replace(
                event,
                at=self.at,
                lead=msgspec.structs.replace(
                    self.store.lead(event.lead.id), finished=self.store.finished.get(event.lead.id, "")
                ),
            )
            for channel, event in self.arrived.items()
            if self.channels[channel].in_app
            and event.attempt not in self.floor.calls
            and event.attempt not in self.store.calls
            and event.attempt not in told
        ]

    def list_living(self) -> None:
        """Who came and was told to nobody is told before the list."""
        if self.is_heard:
            self.inbox += self._look_up_listed()
        super().list_living()

    def reconnect(self) -> None:
        """Likewise."""
        self.is_heard = True
        while self.inbox:
            self.handle(self.inbox.pop(0))
        for event in self._look_up_listed():
            self.handle(event)
        super().reconnect()

    def read_notes(self) -> None:
        """Also those of calls that the journal does not know, once they are over."""
        for attempt, note in list(self.unknown.items()):
            told = any(isinstance(one, ev.CallArrived) and one.attempt == attempt for one in self.inbox)
            if ChannelId(attempt) in self.channels or attempt in self.store.calls or told:
                continue
            found = msgspec.structs.replace(
                self.store.lead(note.lead.id), finished=self.store.finished.get(note.lead.id, "")
            )
            self.handle(msgspec.structs.replace(note, at=self.at, lead=found))
            call = self.store.calls[attempt]
            assert (call.result, call.state) == (Result.MISSED, CallState.ENDED)
        super().read_notes()

    def handle(self, event: ev.Event) -> list[AnyCommand]:
        """In the queue callers go first, and among them who came first."""
        before = {one: self._refused(one) for one in self.floor._state.waiting}
        commands = super().handle(event)
        calls = self.floor.calls
        served = [calls[one] for one in before if one in calls and calls[one].agent is not None]
        for call in served:
            assert call.agent is not None
            skills = self.floor.cards[call.agent].campaigns
            for other in before:
                if other not in self.floor._state.waiting or call.agent in before[other] | self._refused(
                    other
                ):
                    continue
                waits = calls[other]
                goes_before = waits.direction == "in" and (
                    call.direction == "out" or (waits.answered_at or 0.0) < (call.answered_at or 0.0)
                )
                assert not goes_before or not may_serve(skills, waits.campaign), (call, waits)
        return commands

    def run(self, rounds: int = 100) -> None:
        """When nothing is under way any more, who waits hears music."""
        super().run(rounds)
        if self.is_heard and not self.is_event_lost:
            for attempt in self.floor._state.waiting:
                person = self.channels.get(ChannelId(attempt))
                if person is not None and person.in_app and self.floor.calls[attempt].direction == "in":
                    assert person.bridge is not None, f"waits in silence: {self.floor.calls[attempt]}"

    def _refused(self, attempt: AttemptId) -> set[AgentId]:
        return set(self.floor._state._unjoinable.get(attempt, ()))

    # -- the end of a day -------------------------------------------------------------------

    def check_calm(self) -> None:
        """Everybody who called us has a row and a result."""
        super().check_calm()
        self.read_notes()
        for attempt in self.callers | set(self.unknown):
            call = self.store.calls.get(attempt)
            assert call is not None, f"called us, and nobody knows: {attempt}"
            assert call.direction == "in"
            assert call.result in (Result.TALKED, Result.MISSED), call
            assert (call.result is Result.TALKED) == (call.connected_at is not None), call
        self.unknown.clear()
        assert not any(is_attempt(one) for one in self.arrived)
        assert not self.floor._state.fates
        assert not self.floor._state.last_operators
