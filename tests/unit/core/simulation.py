"""An Asterisk, a network of persons, operators with phones, a store and timers, all obedient and all late.

Nothing here decides: whoever drives the simulation says what happens next (which event arrives, which
request is carried out, who answers, when the socket breaks), so that a test can choose the worst order.
What the floor may rely on is kept:

* requests about one channel are carried out in their order, and within a second;
* a channel that is gone when it is hung up is told so, a second later;
* an event that was lost is made good by a later list of what lives (a reconnect);
* the store shows what was saved, to whoever reads it after the save.

After every event the whole floor is held against what must always be true (:meth:`Simulation.check`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from dialer.core import events as ev
from dialer.core.commands import (
    SAVES,
    AnyCommand,
    ClearTimer,
    CloseLine,
    Dismiss,
    FetchLeads,
    HangUp,
    JoinAgent,
    OpenLine,
    Originate,
    RingAgent,
    SendToLastWord,
    SetTimer,
    Tell,
)
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, AttemptId, BridgeId, ChannelId, is_attempt, is_leg, line_of
from dialer.core.pacing.progressive import may_serve
from dialer.core.values import (
    AgentCard,
    AgentState,
    Call,
    CallState,
    Campaign,
    CampaignState,
    Lead,
    Result,
    Trunk,
)
from tests.unit.core.store import Store

S = CallState
UNCONNECTED = frozenset({S.DIALING, S.RINGING, S.ANSWERED, S.CONNECTING})
GONE_S = 1.0


class Channel:
    """A channel in the simulated Asterisk."""

    def __init__(self, channel: ChannelId, number: str = "") -> None:
        self.id = channel
        self.number = number
        self.is_up = False
        self.is_ringing = False
        self.in_app = False
        self.bridge: BridgeId | None = None


class Simulation:
    """The world and the floor in it. *leads*, *cards* and so on: what there is at the beginning."""

    def __init__(
        self,
        *,
        campaigns: Sequence[Campaign],
        trunks: Sequence[Trunk],
        cards: Sequence[AgentCard],
        leads: Sequence[Lead],
    ) -> None:
        self.at = 1_000_000.0
        self.campaigns, self.trunks, self.cards = list(campaigns), list(trunks), list(cards)
        self.store = Store(leads)
        self.floor = Floor()
        self.channels: dict[ChannelId, Channel] = {}
        self.chains: dict[str, deque[AnyCommand]] = {}
        self.inbox: list[ev.Event] = []
        self.delayed: list[tuple[float, ev.Event]] = []
        self.questions: list[FetchLeads] = []
        self.timers: dict[tuple[str, str], SetTimer] = {}
        self.armed: dict[tuple[str, str], float] = {}
        self.placed: set[AttemptId] = set()
        self.history: list[tuple[str, Any, Any]] = []
        self.is_connected = False
        self.is_journal_ok = True
        self.is_event_lost = False
        self.is_lying = False
        """A join that is carried out is told as refused: no answer came in time."""
        self.is_refusing = False
        """Requests that make a channel are refused."""
        self._held: list[FetchLeads] = []
        self._ids = 0
        self._restore()
        self.reconnect()

    # -- the engine ---------------------------------------------------------------------

    def handle(self, event: ev.Event) -> list[AnyCommand]:
        """Decide, save, act (which is: queue), and see that all is as it must be."""
        commands = self.floor.handle(event)
        self.history.append(("event", event, commands))
        self.store.save(commands)
        for command in commands:
            match command:
                case SetTimer(kind=kind, subject=subject, due=due):
                    self.timers[kind, subject] = command
                    self.armed[kind, subject] = due
                case ClearTimer(kind=kind, subject=subject):
                    self.timers.pop((kind, subject), None)
                    self.armed.pop((kind, subject), None)
                case FetchLeads() if self.is_journal_ok:
                    self.questions.append(command)
                case FetchLeads():
                    self._held.append(command)
                case Originate(attempt=attempt):
                    assert attempt not in self.placed, f"placed twice: {attempt}"
                    assert not self.floor.why_not_originating()
                    self.placed.add(attempt)
                    if self.is_journal_ok:
                        self._queue(attempt, command)
                    else:
                        self.inbox.append(
                            ev.OriginateRefused(at=self.at, attempt=attempt, reason="", was_sent=False)
                        )
                case _ if not isinstance(command, SAVES):
                    self._queue(chain_of(command), command)
        for placed in {command.campaign for command in commands if isinstance(command, Originate)}:
            counts = self.floor._state.idle.counts.items()
            able = sum(count for skills, count in counts if may_serve(skills, placed))
            assert len(self.floor.desks[placed].unserved) <= able, "more calls in flight than operators"
        self.check()
        return commands

    def tell(self, kind: type[ev.Event], **fields: Any) -> list[AnyCommand]:
        """An event of this instant that is decided on at once."""
        return self.handle(kind(at=self.at, **fields))

    def _queue(self, key: str, command: AnyCommand) -> None:
        self.chains.setdefault(key, deque()).append(command)

    def _restore(self) -> None:
        states = {one.id: self.store.states.get(one.id, CampaignState.RUNNING) for one in self.campaigns}
        facts: dict[str, Any] = {
            "campaigns": [(one, states[one.id]) for one in self.campaigns],
            "trunks": list(self.trunks),
            "cards": list(self.cards),
            "agents": list(self.store.agents.values()),
            "calls": self.store.open(),
            "last": self.store.last(),
        }
        self.floor.restore(**facts)
        self.history.append(("restore", facts, None))
        self.check()

    def restart(self) -> None:
        """The engine dies, with all that was decided and not yet done, and another one starts."""
        self.floor = Floor()
        self.is_connected = False
        self.inbox.clear()
        self.delayed.clear()
        self.chains.clear()
        self.questions.clear()
        self._held.clear()
        self.is_journal_ok = True
        self._restore()
        for timer in self.floor.deadlines():
            self.timers[timer.kind, timer.subject] = timer
            self.armed[timer.kind, timer.subject] = timer.due

    def cut(self) -> None:
        """The event socket breaks; what happens from now on is told to nobody."""
        if self.is_connected:
            self.is_connected = False
            self.tell(ev.PbxDisconnected)

    def reconnect(self) -> None:
        """The socket is open again; what was received before is decided on before the list of what lives."""
        self.is_connected = True
        while self.inbox:
            self.handle(self.inbox.pop(0))
        channels = tuple(
            ev.LiveChannel(
                channel=one.id,
                is_up=one.is_up,
                is_ringing=one.is_ringing and not one.is_up,
                in_app=one.in_app,
                bridge=one.bridge,
            )
            for one in self.channels.values()
        )
        self.is_event_lost = False
        self.tell(ev.PbxConnected, channels=channels)

    def deliver(self, place: int, *, is_doubled: bool = False) -> None:
        """One of the events that wait is decided on, in whatever order."""
        if self.inbox:
            place %= len(self.inbox)
            self.handle(self.inbox[place] if is_doubled else self.inbox.pop(place))

    def lose(self, place: int) -> None:
        """One of the events of Asterisk that wait gets lost."""
        ours = [one for one in self.inbox if not isinstance(one, ev.LeadsFetched | ev.OriginateRefused)]
        if ours:
            self.inbox.remove(ours[place % len(ours)])
            self.is_event_lost = True

    def fail_journal(self) -> None:
        """A save fails: what is decided from now on is written later, and no originate is sent."""
        if self.is_journal_ok:
            self.is_journal_ok = False
            self.tell(ev.JournalFailed, reason="disk full")

    def mend_journal(self) -> None:
        """Saving works again."""
        if not self.is_journal_ok:
            self.is_journal_ok = True
            self.tell(ev.JournalRecovered)
            self.questions += self._held
            self._held.clear()

    def read(self, place: int) -> None:
        """The store reads the answer to one of the questions; it is on its way from then on."""
        if not self.questions:
            return
        question = self.questions.pop(place % len(self.questions))
        leads, unfinished = self.store.fetch(question.campaign, question.limit, self.at)
        fresh = []
        for lead in leads:
            self._ids += 1
            fresh.append(ev.FreshLead(lead=lead, attempt=AttemptId(f"a{self._ids:020d}")))
        self.inbox.append(
            ev.LeadsFetched(
                at=self.at,
                campaign=question.campaign,
                leads=tuple(fresh),
                unfinished=unfinished,
                ask=question.ask,
            )
        )

    def act(self, place: int) -> None:
        """One request is carried out: the first that waits for some channel."""
        if not self.chains:
            return
        key = sorted(self.chains)[place % len(self.chains)]
        chain = self.chains[key]
        self._act(chain.popleft())
        if not chain:
            del self.chains[key]

    def act_all(self) -> None:
        """All requests are carried out."""
        while self.chains:
            self.act(0)

    def pass_time(self, seconds: float, *, has_timers: bool = True) -> None:
        """Time passes; timers fire when they are due, unless they are lost; the floor sees it tick."""
        if seconds >= 1:
            self.act_all()
        self.at += seconds
        for when, event in [one for one in self.delayed if one[0] <= self.at]:
            self.delayed.remove((when, event))
            self.inbox.append(event)
        due = [key for key, timer in self.timers.items() if timer.due <= self.at]
        for key in due:
            timer = self.timers.pop(key)
            if has_timers:
                self.inbox.append(
                    ev.DeadlinePassed(
                        at=self.at, kind=timer.kind, subject=timer.subject, campaign=timer.campaign
                    )
                )
        self.tell(ev.Ticked)

    def run(self, rounds: int = 100) -> None:
        """Everything under way happens, in its order, until nothing is."""
        for _ in range(rounds):
            self.act_all()
            while self.questions:
                self.read(0)
            if not self.inbox:
                return
            while self.inbox:
                self.handle(self.inbox.pop(0))
        raise AssertionError(f"no end of {self.inbox} {self.chains}")

    # -- Asterisk -----------------------------------------------------------------------

    def _emit(self, kind: type[ev.Event], **fields: Any) -> None:
        if self.is_connected:
            self.inbox.append(kind(at=self.at, **fields))

    def _answer(self, kind: type[ev.Event], **fields: Any) -> None:
        """The answer to a request comes on its own way, socket or no socket."""
        self.inbox.append(kind(at=self.at, **fields))

    def _act(self, command: AnyCommand) -> None:
        match command:
            case Originate(attempt=attempt, number=number):
                if self.is_refusing:
                    self._answer(ev.OriginateRefused, attempt=attempt, reason="500")
                    return
                live = [one for one in self.channels.values() if one.number == number]
                assert not live, f"{number} is rung twice at once"
                self.channels[ChannelId(attempt)] = Channel(ChannelId(attempt), number)
            case HangUp(channel=channel):
                if channel in self.channels:
                    self.end(channel, 16)
                elif is_attempt(channel):
                    gone = ev.ContactHungUp(at=self.at + GONE_S, attempt=AttemptId(channel))
                    self.delayed.append((self.at + GONE_S, gone))
            case JoinAgent(attempt=attempt, bridge=bridge):
                self._join(attempt, bridge)
            case SendToLastWord(attempt=attempt):
                person = self.channels.get(ChannelId(attempt))
                if person is not None and person.in_app:
                    person.in_app, person.bridge = False, None
            case OpenLine(channel=channel, bridge=bridge):
                line = self.channels.get(channel)
                if line is None or not line.in_app:
                    self._answer(ev.LineRefused, channel=channel, reason="404")
                else:
                    line.bridge = bridge
                    self._emit(ev.LineJoined, channel=channel, bridge=bridge)
            case CloseLine(bridge=bridge):
                for one in self.channels.values():
                    if one.bridge == bridge:
                        one.bridge = None
            case RingAgent(channel=channel):
                if self.is_refusing:
                    self._answer(ev.LegRefused, channel=channel, reason="500")
                else:
                    self.channels[channel] = Channel(channel)
            case Dismiss(channel=channel):
                if channel in self.channels:
                    self.end(channel, 16)
            case Tell():
                pass
            case _:
                raise AssertionError(command)

    def _join(self, attempt: AttemptId, bridge: BridgeId) -> None:
        person, line = self.channels.get(ChannelId(attempt)), self.channels.get(line_of(bridge))
        is_possible = person is not None and person.in_app and line is not None and line.bridge == bridge
        if is_possible and person is not None:
            if person.bridge != bridge:
                person.bridge = bridge
                self._emit(ev.Connected, attempt=attempt, bridge=bridge)
            if not self.is_lying:
                return
        self._answer(ev.JoinRefused, attempt=attempt, bridge=bridge, reason="404")

    def end(self, channel: ChannelId, cause: int, tech_cause: int | None = None) -> None:
        """The channel is gone."""
        del self.channels[channel]
        if is_attempt(channel):
            self._emit(ev.ContactHungUp, attempt=AttemptId(channel), cause=cause, tech_cause=tech_cause)
        else:
            self._emit(ev.LineEnded, channel=channel, cause=cause)

    # -- people -------------------------------------------------------------------------

    def persons(self, *, is_up: bool | None = None) -> list[Channel]:
        """Channels of persons, oldest first."""
        return [
            one
            for one in self.channels.values()
            if is_attempt(one.id) and (is_up is None or one.is_up is is_up)
        ]

    def rings(self, person: Channel) -> None:
        """The person's phone rings."""
        person.is_ringing = True
        self._emit(ev.ContactRang, attempt=AttemptId(person.id))

    def answers(self, channel: Channel) -> None:
        """A person or a rung operator answers; with no engine there, the dialplan has the person."""
        channel.is_up = True
        channel.in_app = self.is_connected
        if not self.is_connected:
            return
        if is_attempt(channel.id):
            self._emit(ev.ContactAnswered, attempt=AttemptId(channel.id))
        else:
            self._emit(ev.LegAnswered, channel=channel.id)

    def dials(self, card: AgentCard, code: str) -> None:
        """An operator dials a code; with no engine there, a tone says so."""
        if not self.is_connected:
            return
        self._ids += 1
        channel = Channel(ChannelId(f"phone-{self._ids}"))
        channel.is_up = channel.in_app = True
        self.channels[channel.id] = channel
        self._emit(ev.FeatureDialed, channel=channel.id, phone=card.phone, code=code)

    def lines(self) -> list[Channel]:
        """Channels of operators, oldest first."""
        return [one for one in self.channels.values() if not is_attempt(one.id)]

    # -- what must always be true ---------------------------------------------------------

    def check(self) -> None:
        """The floor agrees with itself."""
        state = self.floor._state
        for agent in self.floor.agents.values():
            is_taken = agent.state in (AgentState.RESERVED, AgentState.ON_CALL)
            assert (agent.attempt is not None) == is_taken, agent
            if agent.attempt is not None:
                assert state.calls[agent.attempt].agent == agent.id, agent
            assert agent.channel is not None or not agent.has_line
            if agent.state in (AgentState.ARRIVING, AgentState.WRAP_UP):
                assert agent.deadline is not None, agent
            assert self.armed.get(("agent", agent.id)) == agent.deadline, agent
        for call in state.calls.values():
            self._check_call(call)
        assert Counter(call.number for call in state.calls.values()) == Counter(state.live_numbers)
        assert Counter(call.lead for call in state.calls.values()) == Counter(state.live_leads)
        assert set(state.leads) == set(state.calls)
        assert set(state.waiting) == {
            call.attempt for call in state.calls.values() if call.state is S.ANSWERED and call.agent is None
        }
        assert state.by_channel == {
            agent.channel: agent.id for agent in state.agents.values() if agent.channel is not None
        }
        for desk in state.desks.values():
            mine = [call for call in state.calls.values() if call.campaign == desk.campaign.id]
            assert desk.live == {call.attempt for call in mine}
            assert desk.unserved == {
                call.attempt
                for call in mine
                if call.agent is None and call.state in (S.DIALING, S.RINGING, S.ANSWERED)
            }
        for trunk in state.trunks.values():
            assert trunk.live == sum(call.trunk == trunk.trunk.id for call in state.calls.values())
        self._check_idle()

    def _check_call(self, call: Call) -> None:
        assert call.result is None
        assert call == self.store.calls[call.attempt], "not as it was saved"
        assert (call.deadline is None) == (call.state is S.CONNECTED), call
        assert self.armed.get(("attempt", call.attempt)) == call.deadline, call
        agent = self.floor.agents[call.agent] if call.agent is not None else None
        if call.state in UNCONNECTED and agent is not None:
            assert agent.attempt == call.attempt, (call, agent)
        if call.state is S.CONNECTED:
            assert agent is not None
            assert (agent.attempt, agent.state) == (call.attempt, AgentState.ON_CALL)
        if call.state is S.ENDING and call.connected_at is None and agent is not None:
            assert agent.attempt != call.attempt, "kept for a call that is given up"

    def _check_idle(self) -> None:
        state = self.floor._state
        idle = {
            agent.id
            for agent in state.agents.values()
            if agent.state is AgentState.READY
            and (agent.has_line or state.cards[agent.id].leg == "rung")
            and (
                state.cards[agent.id].leg == "parked" or state.cards[agent.id].phone not in state.dead_phones
            )
        }
        assert {agent for agent in state.agents if agent in state.idle} == idle
        assert len(state.idle) == sum(state.idle.counts.values()) == len(idle)
        for attempt in state.waiting:
            refused = state._unjoinable.get(attempt, set())
            longest = state.idle.longest(state.calls[attempt].campaign, refused)
            assert longest is None or self.history[-1][0] == "restore", "waits though somebody is idle"

    # -- the end of a day ---------------------------------------------------------------

    def calm_down(self) -> None:
        """Nothing new is begun, everybody hangs up sooner or later, every event and timer comes."""
        self.is_lying = self.is_refusing = False
        self.mend_journal()
        if self.is_event_lost or not self.is_connected:
            self.cut()
            self.reconnect()
        for campaign in self.campaigns:
            self.tell(ev.CampaignOrdered, campaign=campaign.id, order="stop")
        self.run()
        for person in self.persons():
            if person.bridge is not None:
                self.end(person.id, 0)
        for seconds in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 130.0, 10.0, 10.0):
            self.run()
            for person in self.persons(is_up=True):
                if not person.in_app or person.bridge is not None:
                    self.end(person.id, 16)
            self.pass_time(seconds)
        self.run()

    def check_calm(self) -> None:
        """Nothing is left: no call, no promised operator, no ringing phone, no line that nobody knows."""
        assert not self.floor.calls, self.floor.calls
        assert not self.persons(), "a person is left in silence"
        for agent in self.floor.agents.values():
            assert agent.state in (AgentState.READY, AgentState.PAUSED, AgentState.SIGNED_OUT), agent
        assert all(call.result is not None for call in self.store.calls.values())
        known = {agent.channel for agent in self.floor.agents.values()}
        left = [one.id for one in self.lines() if one.id not in known]
        assert not left, f"lines that nobody looks after: {left}"
        for agent in self.floor.agents.values():
            if agent.channel is not None:
                assert self.channels[agent.channel].bridge == agent.bridge, agent
        placed = {one for one in self.placed if one not in self.store.calls}
        assert not placed, "placed and not saved"

    def work_off(self) -> None:
        """A sunny day: every lead that is left is dialed until it is finished, and so is the campaign."""
        for trunk in self.trunks:
            self.tell(ev.TrunkChanged, trunk=trunk.id, is_up=True)
        self.tell(ev.EventsLagged, lag_ms=0.0, is_late=False)
        for campaign in self.campaigns:
            order = "resume" if self.floor.desks[campaign.id].state is CampaignState.PAUSED else "start"
            self.tell(ev.CampaignOrdered, campaign=campaign.id, order=order)
        for card in self.cards:
            self.tell(ev.PhoneChanged, phone=card.phone, is_registered=True)
            if self.floor.agents[card.id].state is AgentState.SIGNED_OUT:
                self.dials(card, "40")
            self.tell(ev.AgentOrdered, agent=card.id, order="ready")
        for _ in range(400):
            self.run()
            for leg in self.lines():
                if is_leg(leg.id) and not leg.is_up:
                    self.answers(leg)
            for person in self.persons(is_up=False):
                self.answers(person)
            self.run()
            for person in self.persons(is_up=True):
                self.end(person.id, 0)
            self.run()
            states = {desk.state for desk in self.floor.desks.values()}
            if states == {CampaignState.FINISHED}:
                break
            self.pass_time(20.0)
            for card in self.cards:
                if self.floor.agents[card.id].state is AgentState.PAUSED:
                    self.tell(ev.AgentOrdered, agent=card.id, order="ready")
        left = {lead: self.store.leads[lead] for lead in self.store.leads if lead not in self.store.finished}
        assert not left, f"never dialed: {left}"
        assert {desk.state for desk in self.floor.desks.values()} == {CampaignState.FINISHED}

    def replay(self) -> None:
        """The same facts give the same orders."""
        floor = Floor()
        for what, fact, commands in self.history:
            if what == "restore":
                floor = Floor()
                floor.restore(**fact)
            else:
                assert floor.handle(fact) == commands

    def results(self) -> Counter[Result | None]:
        """How the attempts so far ended."""
        return Counter(call.result for call in self.store.calls.values())


def chain_of(command: Any) -> str:
    """The channel whose requests the command stands in line with."""
    match command:
        case JoinAgent(attempt=attempt) | SendToLastWord(attempt=attempt):
            return attempt
        case CloseLine(bridge=bridge):
            return line_of(bridge)
        case _:
            return str(command.channel)


__all__ = ["AgentId", "Channel", "Simulation"]
