"""An Asterisk, a network of persons, operators with phones, a store and timers, all obedient and all late.

Nothing here decides: whoever drives the simulation says what happens next (which event arrives, which
request is carried out, who answers, when the socket breaks), so that a test can choose the worst order.
What the floor may rely on is kept:

* requests about one channel are carried out in their order, and within a second;
* an originate that was decided too long ago (on an event that came late, say) is not sent;
* a channel that is gone when it is hung up is told so, a second later;
* an event that was lost is made good by a later list of what lives (a reconnect, or two lists in a row);
* the store shows what was saved, to whoever reads it after the save;
* a recording begins with the answer, whoever listens, and is looked for before what lives is listed;
* a choice by a key is noted by the dialplan before it is told, and the note is told again, with every reconnect
  before anything else, until the floor lets it go.

After every event the whole floor is held against what must always be true (:meth:`Simulation.check`).
"""

from __future__ import annotations

from collections import ChainMap, Counter, deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from dialer.core import events as ev
from dialer.core.commands import (
    SAVES,
    AnyCommand,
    ClearTimer,
    DialThird,
    FetchLeads,
    ForgetChoice,
    Originate,
    RingAgent,
    SaveCall,
    SendToOverflow,
    SetTimer,
)
from dialer.core.conduct import Choice
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, AttemptId, ChannelId, TrunkId, hold_bridge, is_attempt, is_leg, is_third
from dialer.core.judging import judge, judge_phone, waits_for_owner
from dialer.core.pacing.book import Rule
from dialer.core.placing import call_of
from dialer.core.values import (
    UNPLACED_RESULTS,
    AgentCard,
    AgentState,
    Call,
    CallState,
    Campaign,
    CampaignState,
    Centre,
    Hold,
    Lead,
    LeadPhone,
    Result,
    Trunk,
)
from dialer.lab.simulator.invariants import Caps, check, check_counts, check_placed
from dialer.lab.simulator.switch import Channel, Switch, chain_of
from tests.unit.core.store import Store

OPEN_S = 90.0
ORIGINATE_LATE_S = 5.0
"""As in :mod:`dialer.engine.dispatcher`."""


class Simulation(Switch):
    """The world and the floor in it. *leads*, *cards* and so on: what there is at the beginning."""

    def __init__(
        self,
        *,
        campaigns: Sequence[Campaign],
        trunks: Sequence[Trunk],
        cards: Sequence[AgentCard],
        leads: Sequence[Lead],
        centre: Centre | None = None,
        shy: Collection[str] = (),
        gap_s: float = 0.0,
        pacer: Callable[[], Rule] | None = None,
    ) -> None:
        """*shy*: numbers that may be called in every other stretch of :data:`OPEN_S` only. *gap_s*: from one
        call to a number to the next one, whoever makes it. *pacer*: makes a new pacing rule."""
        super().__init__(self._told, self._answered)
        self.at = 1_000_000.0
        self.is_heard = False
        self.campaigns, self.trunks, self.cards = list(campaigns), list(trunks), list(cards)
        self.centre = centre or Centre()
        self.store = Store(leads)
        self.store.facts = self._facts
        self.shy, self.gap_s = shy, gap_s
        self.refused: dict[AttemptId, Call] = {}
        """Calls that the journal's guard refused, as the floor believes them."""
        self.pacer = pacer
        self.places: dict[ChannelId, str] = {}
        """What the dialplan does with a person whom it has."""
        self.announced: set[str] = set()
        self.notes: dict[AttemptId, tuple[Choice, float | None]] = {}
        """Choices that were made, and not yet written down by the floor."""
        self.chosen: list[tuple[AttemptId, Choice]] = []
        self.sound: dict[AttemptId, float] = {}
        """Since when it is recorded who answered."""
        self.missed: list[AttemptId] = []
        """Of them those who were gone before anybody listened again."""
        self.floor = self._new_floor()
        self.chains: dict[str, deque[AnyCommand]] = {}
        self.inbox: list[ev.Event] = []
        self.delayed: list[tuple[float, ev.Event]] = []
        self.questions: list[FetchLeads] = []
        self.timers: dict[tuple[str, str], SetTimer] = {}
        self.armed: dict[tuple[str, str], float] = {}
        self.placed: set[AttemptId] = set()
        self.decided_at: dict[AttemptId, float] = {}
        self.history: list[tuple[str, Any, Any]] = []
        self.is_journal_ok = True
        self.is_event_lost = False
        self.phones: dict[str, tuple[bool, bool]] = {}
        """Desk phones whose registration or use ever changed: is registered, is in a private call."""
        self._held: list[FetchLeads] = []
        self._ids = 0
        self.caps = Caps()
        self._restore()
        self.reconnect()

    # -- the engine ---------------------------------------------------------------------

    def handle(self, event: ev.Event) -> list[AnyCommand]:
        """Decide, save, act (which is: queue), and see that all is as it must be."""
        commands = self.floor.handle(event)
        if isinstance(event, ev.TrunkApplied):
            self.caps.changed(event.trunk.id)
        if self.floor.must_note(event, commands):
            self.history.append(("event", event, commands))
        forbidden = self._judge_placed(commands)
        self.store.save(command for command in commands if call_of(command) not in forbidden)
        for command in commands:
            match command:
                case SaveCall(call=call) if call.attempt in forbidden:
                    self.refused[call.attempt] = call
                case SaveCall(call=call):
                    self.refused.pop(call.attempt, None)
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
                    self.decided_at[attempt] = event.at
                    if attempt in forbidden:
                        pass
                    elif self.is_journal_ok:
                        self._queue(attempt, command)
                    else:
                        self.inbox.append(
                            ev.OriginateRefused(
                                at=self.at, attempt=attempt, reason="", was_sent=False, is_ours=True
                            )
                        )
                case ForgetChoice(attempt=attempt):
                    assert isinstance(event, ev.ContactChose | ev.CallMissed)
                    if self.notes.get(attempt) == (event.choice, event.due):
                        del self.notes[attempt]
                case _ if not isinstance(command, SAVES):
                    self._queue(chain_of(command), command)
        for command in commands:
            if isinstance(command, Originate):
                check_placed(self.floor, command.attempt)
                self.caps.placed(self.floor, command.attempt, event.at)
            elif (leg := self._trunk_of(command)) is not None:
                self.caps.leg_placed(self.floor, leg, event.at)
        self.check()
        for attempt, rule in forbidden.items():  # the loop's own word, which nothing overtakes for long
            self.tell(ev.OriginateRefused, attempt=attempt, reason=rule, was_sent=False, is_ours=True)
        return commands

    def _trunk_of(self, command: AnyCommand) -> TrunkId | None:
        """By which trunk another call is made than a contact's."""
        match command:
            case DialThird(trunk=trunk):
                return trunk
            case RingAgent(phone=phone):
                return self.outside.get(phone)
            case SendToOverflow(place="number", trunk=trunk):
                return trunk
            case _:
                return None

    def check_legs(self) -> None:
        """What counts on trunks is what is there."""
        calls = self.floor.calls
        there = {
            one.id
            for one in self.channels.values()
            if one.trunk is not None and AttemptId(one.id) not in calls
        }
        assert there == set(self.floor._state.legs), "counted and not there, or there and not counted"
        for trunk in self.floor.trunks.values():
            live = sum(one.trunk == trunk.trunk.id for one in self.channels.values())
            assert trunk.live == live, f"{trunk.live} counted, {live} there"

    def _judge_placed(self, commands: Sequence[AnyCommand]) -> dict[AttemptId, str]:
        """The calls that are placed by *commands*: the floor may by all that it knew; by which rule the journal,
        which may know more, refuses some all the same."""
        forbidden: dict[AttemptId, str] = {}
        for attempt in [one.attempt for one in commands if isinstance(one, Originate)]:
            call, lead = self.floor.calls[attempt], self.floor._state.leads[attempt]
            rules = self.floor.desks[call.campaign].campaign
            verdict = judge(lead, rules, call.created_at)
            assert call.phone in {one.phone.id for one in verdict.phones if not one.rule}, (verdict, call)
            if waits_for_owner(lead, rules, call.created_at):
                assert call.agent == lead.owner, f"the card is another's: {lead}"
            phone = next(one for one in self.store.lead(lead.id).phones if one.id == call.phone)
            fresh = judge_phone(lead, phone, rules, self.at)
            if phone.barred or fresh.rule in ("hours", "gap"):
                forbidden[attempt] = phone.barred or fresh.rule
        return forbidden

    def _facts(self, phone: LeadPhone) -> dict[str, object]:
        facts: dict[str, object] = {}
        if phone.number in self.shy:
            begins = self.at // OPEN_S * OPEN_S
            begins += OPEN_S * (begins // OPEN_S % 2)
            facts["hours"] = begins, begins + OPEN_S
        if self.gap_s:
            placed = [
                call.created_at
                for call in self.store.calls.values()
                if call.number == phone.number
                and call.direction == "out"
                and call.result not in UNPLACED_RESULTS
            ]
            until = max(placed, default=-self.gap_s) + self.gap_s
            facts["held"] = Hold(until=until, rule="gap") if until > self.at else None
        return facts

    def bar(self, number: str, *, is_told: bool) -> None:
        """A number is put on the do-not-call list from outside; the engine hears of it, or not."""
        self.store.do_not_call.add(number)
        if is_told:
            self.inbox.append(ev.DoNotCallChanged(at=self.at))

    def tell(self, kind: type[ev.Event], **fields: Any) -> list[AnyCommand]:
        """An event of this instant that is decided on at once."""
        return self.handle(kind(at=self.at, **fields))

    def _queue(self, key: str, command: AnyCommand) -> None:
        self.chains.setdefault(key, deque()).append(command)

    def _restore(self) -> None:
        states = {one.id: self.store.states.get(one.id, CampaignState.RUNNING) for one in self.campaigns}
        facts: dict[str, Any] = {
            "centre": self.centre,
            "campaigns": [(one, states[one.id]) for one in self.campaigns],
            "trunks": list(self.trunks),
            "cards": list(self.cards),
            "agents": list(self.store.agents.values()),
            "calls": self.store.open(),
            "last": self.store.last(),
            "ledgers": self.store.ledgers(),
            "knowledge": list(self.store.knowledge.items()),
            "transfers": tuple(self.store.transfers.values()),
            **self.facts(),
        }
        self.floor.restore(**facts)
        self.history.append(("restore", facts, None))
        self.check()

    def facts(self) -> dict[str, Any]:
        """What else a new engine finds: for subclasses."""
        return {}

    def restart(self) -> None:
        """The engine dies, with all that was decided and not yet done, and another one starts."""
        self.floor = self._new_floor()
        self.is_heard = False
        self.inbox.clear()
        self.delayed.clear()
        self.chains.clear()
        self.questions.clear()
        self._held.clear()
        self.refused.clear()
        self.is_journal_ok = True
        self._restore()
        for timer in self.floor.deadlines():
            self.timers[timer.kind, timer.subject] = timer
            self.armed[timer.kind, timer.subject] = timer.due

    def _new_floor(self) -> Floor:
        return Floor(self.pacer() if self.pacer is not None else None)

    def cut(self) -> None:
        """The event socket breaks; what happens from now on is told to nobody."""
        if self.is_heard:
            self.is_heard = False
            self.tell(ev.PbxDisconnected)

    def reconnect(self) -> None:
        """The socket is open again; what was received before is decided on before the list of what lives."""
        self.is_heard = True
        while self.inbox:
            self.handle(self.inbox.pop(0))
        self.is_event_lost = False
        for phone, (is_registered, is_in_use) in self.phones.items():
            self.tell(ev.PhoneChanged, phone=phone, is_registered=is_registered)
            self.tell(ev.PhoneUsed, phone=phone, is_in_use=is_in_use)
        self.read_notes()
        for found in self._found(is_sure=True):
            self.handle(found)
        missed, self.missed = [one for one in self.missed if one in self.floor.calls], []
        self.tell(ev.PbxConnected, channels=self.listed())
        for attempt in missed:
            call = self.store.calls[attempt]
            assert call.result is not None
            assert call.answered_at is not None or call.result is Result.MACHINE, (
                f"an answer unheard of: {call}"
            )

    def _found(self, *, is_sure: bool) -> list[ev.Event]:
        """Whose sound is there and whose channel is not."""
        return [
            ev.AnswerFound(at=self.at, attempt=call.attempt, answered_at=self.sound[call.attempt])
            for call in self.floor.unheard(is_sure=is_sure)
            if call.attempt in self.sound and ChannelId(call.attempt) not in self.channels
        ]

    def read_notes(self) -> None:
        """The engine looks for choices that were made while it did not listen."""
        for attempt, (choice, due) in list(self.notes.items()):
            call = self.store.calls[attempt]
            whose = {"campaign": call.campaign, "lead": call.lead, "number": call.number}
            self.tell(ev.ContactChose, attempt=attempt, choice=choice, due=due, **whose)

    def list_living(self) -> None:
        """What lives is listed; the answer is on its way from then on."""
        if self.is_heard:
            self.inbox += self._found(is_sure=False)
            self.inbox.append(ev.PbxListed(at=self.at, asked_at=self.at, channels=self.listed()))

    def deliver(self, place: int, *, is_doubled: bool = False) -> None:
        """One of the events that wait is decided on, in whatever order."""
        if self.inbox:
            place %= len(self.inbox)
            self.handle(self.inbox[place] if is_doubled else self.inbox.pop(place))

    def lose(self, place: int) -> None:
        """One of the events of Asterisk that wait gets lost."""
        answers = ev.LeadsFetched | ev.OriginateRefused | ev.PbxListed | ev.AnswerFound
        ours = [one for one in self.inbox if not isinstance(one, answers)]
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
        rule = self.floor.desks[question.campaign].campaign
        leads, unfinished = self.store.fetch(rule, question.limit, self.at, question.present)
        fresh = []
        for lead in leads:
            attempt, *more = (self._new_id() for _ in range(1 + question.more))
            fresh.append(ev.FreshLead(lead=lead, attempt=attempt, more=tuple(more)))
        self.inbox.append(
            ev.LeadsFetched(
                at=self.at,
                campaign=question.campaign,
                leads=tuple(fresh),
                unfinished=unfinished,
                ask=question.ask,
            )
        )

    def _new_id(self) -> AttemptId:
        self._ids += 1
        return AttemptId(f"a{self._ids:020d}")

    def act(self, place: int) -> None:
        """One request is carried out: the first that waits for some channel."""
        if not self.chains:
            return
        key = sorted(self.chains)[place % len(self.chains)]
        chain = self.chains[key]
        command = chain.popleft()
        if isinstance(command, Originate) and self.at - self.decided_at[command.attempt] > ORIGINATE_LATE_S:
            late = ev.OriginateRefused(
                at=self.at, attempt=command.attempt, reason="late", was_sent=False, is_ours=True
            )
            self.inbox.append(late)
        else:
            self.carry_out(command)
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

    def _told(self, event: ev.Event) -> None:
        self.inbox.append(event)

    def _answered(self, event: ev.Event, after_s: float) -> None:
        """The answer to a request comes on its own way, socket or no socket."""
        if after_s:
            self.delayed.append((self.at + after_s, event))
        else:
            self.inbox.append(event)

    def carry_out(self, command: AnyCommand) -> None:
        """Do what the engine asks of Asterisk."""
        if isinstance(command, Originate) and command.message_times:
            self.announced.add(command.attempt)
        super().carry_out(command)

    def listed(self) -> tuple[ev.LiveChannel, ...]:
        """What lives, as Asterisk lists it."""
        found: list[ev.LiveChannel] = []
        for one in super().listed():
            place: Any = self.places.get(one.channel, "")
            if place == "goodbye":
                place = "announcement" if one.channel in self.announced else ""
            found.append(msgspec.structs.replace(one, place=place))
        return tuple(found)

    def gone(self, channel: Channel) -> None:
        """The channel is no more."""
        self.places.pop(channel.id, None)
        if AttemptId(channel.id) in self.sound and not self.is_heard:
            self.missed.append(AttemptId(channel.id))

    def answers(self, channel: Channel) -> None:
        """A person or a rung operator answers; an announcement is the dialplan's."""
        self.sound.setdefault(AttemptId(channel.id), self.at)
        if channel.id in self.announced:
            channel.is_up, self.places[channel.id] = True, "announcement"
            self.emit(ev.AnnouncementBegan(at=self.at, attempt=AttemptId(channel.id)))
        else:
            super().answers(channel)

    def listens(self, person: Channel) -> None:
        """Somebody answers, and the dialplan listens who."""
        self.sound.setdefault(AttemptId(person.id), self.at)
        if person.id not in self.announced:
            person.is_up, self.places[person.id] = True, "listening"

    def is_known(self, person: Channel, *, is_machine: bool, listened_s: float) -> None:
        """The dialplan knows who answered."""
        del self.places[person.id]
        if is_machine:
            self.places[person.id] = "machine"
            self.emit(ev.MachineAnswered(at=self.at, attempt=AttemptId(person.id)))
        elif self.is_heard:
            person.in_app = True
            attempt = AttemptId(person.id)
            self.emit(ev.ContactAnswered(at=self.at, attempt=attempt, listened_s=listened_s))

    def with_dialplan(self) -> list[Channel]:
        """The persons with whom the dialplan speaks."""
        deaf = ("listening", "machine", "goodbye")
        return [
            one for one in self.persons(is_up=True) if not one.in_app and self.places.get(one.id) not in deaf
        ]

    def chooses(self, person: Channel, choice: Choice) -> None:
        """The person makes a choice by a key: it is noted and told, and the dialplan says goodbye. Who wants to
        wait is given to the engine, if there is one."""
        attempt = AttemptId(person.id)
        due = self.at + 50.0 if choice == "later" else None
        told = ev.ContactChose(at=self.at, attempt=attempt, choice=choice, due=due)
        if choice not in ("wait", "operator"):
            self.notes[attempt] = choice, due
            self.chosen.append((attempt, choice))
            self.places[person.id] = "goodbye"
            self.emit(told)
        elif self.is_heard:
            self.emit(told)
            self.places.pop(person.id, None)
            person.in_app = True
            self.emit(ev.ContactReturned(at=self.at, attempt=attempt))

    def card_dials(self, card: AgentCard, code: str) -> None:
        """An operator dials a code; with no engine there, a tone says so."""
        self._ids += 1
        self.dials(card.phone, code, ChannelId(f"phone-{self._ids}"))

    def dials_beside(self, card: AgentCard, number: str) -> None:
        """An operator's phone calls *number* on a second channel."""
        if not self.is_heard:
            return
        self._ids += 1
        made = Channel(ChannelId(f"beside-{self._ids}"), phone=card.phone)
        made.is_up = made.in_app = True
        self.channels[made.id] = made
        self.emit(ev.PhoneDialed(at=self.at, channel=made.id, phone=card.phone, number=number))

    def phone_changes(self, card: AgentCard, *, is_registered: bool = True, is_in_use: bool = False) -> None:
        """The operator's phone is plugged in or not, and in a private call or not."""
        self.phones[card.phone] = is_registered, is_in_use
        self.emit(ev.PhoneChanged(at=self.at, phone=card.phone, is_registered=is_registered))
        self.emit(ev.PhoneUsed(at=self.at, phone=card.phone, is_in_use=is_in_use))

    # -- what must always be true ---------------------------------------------------------

    def check(self) -> None:
        """The floor agrees with itself, the store and the timers."""
        is_new = self.history[-1][0] == "restore"
        saved = ChainMap(self.refused, self.store.calls)
        check(self.floor, saved=saved, armed=self.armed, may_wait=is_new)
        check_counts(self.floor, saved.values(), self.at)

    def check_company(self) -> None:
        """When all that was told and asked has been done: nobody who is in a conversation is alone, or in silence."""
        if (
            not self.is_heard
            or self.is_event_lost
            or self.is_lying
            or self.is_refusing
            or self.floor._state.is_late
        ):
            return
        for call in self.floor.calls.values():
            person = self.channels.get(ChannelId(call.attempt))
            if call.state is not CallState.CONNECTED or person is None:
                continue
            assert person.bridge is not None, f"in silence: {call}"
            others = [
                one for one in self.channels.values() if one.bridge == person.bridge and one is not person
            ]
            is_music = person.bridge == hold_bridge(call.campaign)
            assert is_music or [one for one in others if not is_attempt(one.id)], f"alone: {call}"

    # -- the end of a day ---------------------------------------------------------------

    def calm_down(self) -> None:
        """Nothing new is begun, everybody hangs up sooner or later, every event and timer comes."""
        self.is_lying = self.is_refusing = False
        self.mend_journal()
        if not self.is_heard:
            self.reconnect()
        self.tell(ev.EventsLagged, lag_ms=0.0, is_late=False)
        for _ in range(3 if self.is_event_lost else 0):  # a found answer may be followed by a lost line
            self.run()
            self.list_living()
            self.run()
            self.list_living()
            self.pass_time(6.0)
        self.is_event_lost = False
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
        """Nothing is left: no call, no promised operator, no ringing phone, no line that nobody knows; what lives is all that counts."""
        for _ in range(2):
            self.list_living()
            self.run()
            self.pass_time(6.0)
        self.check_legs()
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
        self.read_notes()
        assert not self.notes, "a choice that was never taken up"
        for attempt, choice in self.chosen:
            call = self.store.calls[attempt]
            assert call.choice is not None or attempt in self.store.choices, (
                f"a choice was lost: {choice}, {call}"
            )
            assert choice != "refuse" or call.number in self.store.do_not_call, call

    def work_off(self) -> None:
        """A sunny day: every lead that is left is dialed until it is finished, and so is the campaign."""
        for trunk in self.trunks:
            self.tell(ev.TrunkChanged, trunk=trunk.id, is_up=True)
        self.tell(ev.EventsLagged, lag_ms=0.0, is_late=False)
        for campaign in self.campaigns:
            order = "resume" if self.floor.desks[campaign.id].state is CampaignState.PAUSED else "start"
            self.tell(ev.CampaignOrdered, campaign=campaign.id, order=order)
        for card in self.cards:
            self.phone_changes(card)
            self.run()
            if self.floor.agents[card.id].state is AgentState.SIGNED_OUT:
                self.card_dials(card, "40")
            self.tell(ev.AgentOrdered, agent=card.id, order="ready")
        for _ in range(400):
            self.run()
            for leg in self.lines():
                if (is_leg(leg.id) or is_third(leg.id)) and not leg.is_up:
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
                elif self.floor.agents[card.id].state is AgentState.SIGNED_OUT:
                    self.card_dials(card, "40")
        left = {lead: self.store.leads[lead] for lead in self.store.leads if lead not in self.store.finished}
        assert not left, f"never dialed: {left}"
        assert {desk.state for desk in self.floor.desks.values()} == {CampaignState.FINISHED}

    def replay(self) -> None:
        """The same facts give the same orders."""
        floor = self._new_floor()
        for what, fact, commands in self.history:
            if what == "restore":
                floor = self._new_floor()
                floor.restore(**fact)
            else:
                assert floor.handle(fact) == commands

    def results(self) -> Counter[Result | None]:
        """How the attempts so far ended."""
        return Counter(call.result for call in self.store.calls.values())


__all__ = ["AgentId", "Channel", "Simulation"]
