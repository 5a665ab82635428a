"""A day of a call centre in seconds: the production floor among simulated people, operators and faults.

Time is a heap of what is to come; nothing waits and nothing is random but by the seed, so the same plan
makes the same day, event by event. The engine is the real :class:`~dialer.core.floor.Floor`; what it decides is
saved by a :class:`~.plan.Keeper` before it is carried out, as in the engine's own loop; requests and events take
:data:`LATENCY_S` each.

What must be true of the floor is checked all along (:mod:`.invariants`), and at the end each call as the
person lived it is held against the journal (:mod:`.books`).
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

import msgspec

from dialer.core import events as ev
from dialer.core.commands import (
    SAVE_TYPES,
    AnyCommand,
    ClearTimer,
    FetchLeads,
    HangUp,
    Originate,
    SaveAgent,
    SaveCall,
    SavePacing,
    SetTimer,
)
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, AttemptId, is_attempt, line_of
from dialer.core.pacing.book import Reason, Rule
from dialer.core.values import AgentState
from dialer.lab.simulator import breaking
from dialer.lab.simulator.crowd import Crowd
from dialer.lab.simulator.invariants import Caps, check, check_placed
from dialer.lab.simulator.lives import Townsfolk, Worker
from dialer.lab.simulator.people import Story
from dialer.lab.simulator.plan import LOST_ONE_OF, Fault, Keeper, Plan
from dialer.lab.simulator.seats import Seat
from dialer.lab.simulator.switch import Channel, Switch

LATENCY_S = 0.004
"""Of a request to Asterisk, of an event from it, and of an answer of the store."""
LIST_S = 30.0
"""So often Asterisk is asked what lives, in case an event was lost (``engine.house``)."""


class Day(Switch):
    """One day. Make it with a plan and a keeper, :meth:`run` it, then look at what is public.

    *pacer*: makes the rule that places predictive calls, for each engine anew; None: the floor's own.
    """

    def __init__(self, plan: Plan, keeper: Keeper, pacer: Callable[[], Rule] | None = None) -> None:
        super().__init__(self._told, self._answered)
        self.plan = plan
        self.keeper = keeper
        self.at = plan.begins_at
        self.ends_at = plan.begins_at + plan.length_s
        self.is_over = False
        self.ran_out = False
        """The contacts were used up before the end."""
        self._pacer = pacer
        self.floor = self._new_floor()
        self.stories: list[Story] = []
        self.events = 0
        self.commands = 0
        self.seen: Counter[str] = Counter()
        """Events by their names."""
        self.calls: dict[AttemptId, Any] = {}
        """Every attempt as it was saved last."""
        self.started = 0
        self.agent_states: list[tuple[AgentId, AgentState, float]] = []
        """Each state of an operator as it was saved, and since when."""
        self.reasons: list[tuple[float, Reason]] = []
        """Why predictive campaigns got as many calls as they did, as far as it was written down."""
        self.rng = random.Random(plan.seed)  # noqa: S311 - a day, no secret
        self._heap: list[tuple[float, int, int, Any]] = []
        self._serial = 0
        self._engine = 0
        """Which engine works; what was on its way to or from another one is lost."""
        self._unsaved_since = math.inf
        """While the journal fails: since when. What came since then would die with the engine."""
        self._just_ended: deque[Story] = deque(maxlen=200)
        self._timers: dict[tuple[str, str], SetTimer] = {}
        self._armed: dict[tuple[str, str], float] = {}
        self._ids = 0
        self._caps = Caps()
        self._is_down = True
        self._is_journal_ok = True
        self._unsaved: list[tuple[ev.Event, list[AnyCommand]]] = []
        self._held: list[FetchLeads] = []
        self._is_doubled = self._is_lossy = self.is_slow = self.is_trunk_down = False
        self._crowd, self._seats = self._populate()

    def run(self) -> None:
        """From the first sign-in until the last conversation is over. Raises AssertionError: a promise is broken."""
        self.is_heard = False
        self._begin_engine()
        for campaign in self.plan.campaigns:
            self._tell(ev.CampaignOrdered(at=self.at, campaign=campaign.id, order="start"))
        for seat in self._seats.values():
            seat.begin()
        for fault in self.plan.faults:
            self.later(fault.at_s, partial(self._begin_fault, fault))
            self.later(fault.at_s + fault.length_s, partial(self._end_fault, fault))
        self.later(self.plan.tick_s, self._tick)
        if any(fault.kind == "lossy" for fault in self.plan.faults):
            self.later(LIST_S, self._list)
        if self.plan.check_s:
            self.later(self.plan.check_s, self._check_again)
        self.later(self.plan.length_s, self._close)
        heap = self._heap
        while heap:
            when, _, engine, what = heapq.heappop(heap)
            self.at = when
            if engine and engine != self._engine:
                continue
            if isinstance(what, ev.Event):
                self._decide(what)
            else:
                what()
        assert not self.floor.calls, f"never ended: {list(self.floor.calls.values())[:3]}"
        assert not self.persons(), "somebody is left on the line"

    def _populate(self) -> tuple[Crowd, dict[str, Seat]]:
        plan = self.plan
        if plan.world is None:
            return Crowd(self), {card.phone: Seat(self, card) for card in plan.cards}
        return Townsfolk(self, plan.world, plan.told), {
            card.phone: Worker(self, card, number, plan.world, plan.told)
            for number, card in enumerate(plan.cards)
        }

    def _new_floor(self) -> Floor:
        return Floor(self._pacer() if self._pacer is not None else None)

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Do *what* so much later, whatever becomes of the engine."""
        self._serial += 1
        heapq.heappush(self._heap, (self.at + seconds, self._serial, 0, what))

    # -- the engine ---------------------------------------------------------------------------

    def _decide(self, event: ev.Event) -> None:
        commands = self.floor.handle(event)
        self.events += 1
        self.commands += len(commands)
        self.seen[type(event).__name__] += 1
        if self.floor.must_note(event, commands):
            if self._is_journal_ok:
                self.keeper.save((event,), commands)
            else:
                self._unsaved.append((event, commands))
        if commands:
            self._act(commands)
        if self.plan.check_s == 0:
            self._check()

    def _tell(self, event: ev.Event) -> None:
        """An event that is decided on now; nobody hears it while no engine works."""
        if not self._is_down:
            self._decide(event)

    def _act(self, commands: Iterable[AnyCommand]) -> None:
        placed = []
        for command in commands:
            match command:
                case SaveCall(call=call):
                    self.calls[call.attempt] = call
                case SaveAgent(agent=agent):
                    self.agent_states.append((agent.id, agent.state, agent.since))
                case SetTimer(kind=kind, subject=subject, due=due):
                    self._timers[kind, subject] = command
                    self._armed[kind, subject] = due
                    self._push(max(due, self.at), partial(self._fire, command))
                case ClearTimer(kind=kind, subject=subject):
                    self._timers.pop((kind, subject), None)
                    self._armed.pop((kind, subject), None)
                case Originate(attempt=attempt):
                    placed.append(attempt)
                    if self._is_journal_ok:
                        self._push(self.at + LATENCY_S, partial(self.carry_out, command))
                    else:
                        self._refuse(attempt)
                case FetchLeads():
                    self._fetch(command)
                case SavePacing():
                    self.reasons.append((command.at, command.reason))
                case _ if type(command) not in SAVE_TYPES:
                    self._push(self.at + LATENCY_S, partial(self.carry_out, command))
        if placed:
            self._check_placed(placed)

    def _refuse(self, attempt: AttemptId) -> None:
        refused = ev.OriginateRefused(
            at=self.at,
            attempt=attempt,
            reason="the journal could not be written",
            was_sent=False,
            is_ours=True,
        )
        self._answered(refused, 0.0)

    def _check_placed(self, attempts: Collection[AttemptId]) -> None:
        assert not self.floor.why_not_originating()
        for attempt in attempts:
            check_placed(self.floor, attempt)
            self._caps.placed(self.floor, attempt, self.at)

    def _push(self, when: float, what: Any) -> None:
        """*what* happens then, if the same engine still works."""
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, self._engine, what))

    def _fire(self, timer: SetTimer) -> None:
        key = (timer.kind, timer.subject)
        if self._timers.get(key) is timer:
            del self._timers[key]
            self._decide(
                ev.DeadlinePassed(at=self.at, kind=timer.kind, subject=timer.subject, campaign=timer.campaign)
            )

    def _fetch(self, question: FetchLeads) -> None:
        if not self._is_journal_ok:
            self._held.append(question)
            return
        self._push(self.at + LATENCY_S, lambda: self._read(question))

    def _read(self, question: FetchLeads) -> None:
        campaign = self.floor.desks[question.campaign].campaign
        leads, unfinished, is_partial = self.keeper.fetch(campaign, question.limit, self.at, question.present)
        fresh = tuple(
            ev.FreshLead(
                lead=lead,
                attempt=self._new_id(),
                more=tuple(self._new_id() for _ in range(question.more)),
            )
            for lead in leads
        )
        self._answered(
            ev.LeadsFetched(
                at=self.at,
                campaign=question.campaign,
                leads=fresh,
                unfinished=unfinished,
                ask=question.ask,
                is_partial=is_partial,
            ),
            0.0,
        )

    def _new_id(self) -> AttemptId:
        self._ids += 1
        return AttemptId(f"a{self._ids:020d}")

    def _tick(self) -> None:
        self._tell(ev.Ticked(at=self.at))
        if not self.is_over or self.floor.calls or self.channels:
            self.later(self.plan.tick_s, self._tick)

    def _list(self) -> None:
        """What lives, for an engine that may have lost an event."""
        if self.is_heard:
            listed = ev.PbxListed(at=self.at, asked_at=self.at, channels=self.listed())
            self._push(self.at + LATENCY_S, msgspec.structs.replace(listed, at=self.at + LATENCY_S))
        if not self.is_over or self.floor.calls or self.channels:
            self.later(LIST_S, self._list)

    def _check_again(self) -> None:
        if not self._is_down:
            self._check()
        if not self.is_over:
            self.later(self.plan.check_s or 0.0, self._check_again)

    def _check(self) -> None:
        check(self.floor, saved=self.calls, armed=self._armed, may_wait=True)

    def _begin_engine(self) -> None:
        self._engine += 1
        self.started += 1
        started = self.keeper.load(self.at)
        self.floor = self._new_floor()
        self.floor.take_up(started)
        self._is_down = False
        self._is_journal_ok = True
        self._unsaved_since = math.inf
        self._unsaved.clear()
        self._held.clear()
        self.calls |= {call.attempt: call for call, _ in started.calls}
        leads = [timer for timer in self._timers.values() if timer.kind == "lead"]
        self._timers.clear()
        self._armed.clear()
        self._act([*self.floor.deadlines(), *leads])
        self._decide(started)
        self._hear()

    def _hear(self) -> None:
        """The event socket is open."""
        self.is_heard = True
        self._tell(ev.PbxConnected(at=self.at, channels=self.listed()))

    # -- what comes back ----------------------------------------------------------------------

    def _told(self, event: ev.Event) -> None:
        if self._is_lossy and self.rng.randrange(LOST_ONE_OF) == 0:
            return
        delay = LATENCY_S + (self.rng.uniform(0.0, 2.0) if self.is_slow else 0.0)
        self._event(event, delay)
        if self._is_doubled:
            self._event(event, delay + self.rng.uniform(0.0, 1.0))

    def _answered(self, event: ev.Event, after_s: float) -> None:
        self._event(event, LATENCY_S + after_s)

    def _event(self, event: ev.Event, after_s: float) -> None:
        when = self.at + after_s
        self._push(when, msgspec.structs.replace(event, at=when))

    # -- faults -------------------------------------------------------------------------------

    def _begin_fault(self, fault: Fault) -> None:
        breaking.begin(self, fault)

    def _end_fault(self, fault: Fault) -> None:
        breaking.end(self, fault)

    def _close(self) -> None:
        """The end of the day: no more calls, conversations go on to their end, operators go home."""
        self.is_over = True
        self.ran_out = all(desk.hopper.is_exhausted for desk in self.floor.desks.values())
        for campaign in self.plan.campaigns:
            self._tell(ev.CampaignOrdered(at=self.at, campaign=campaign.id, order="stop"))
        for seat in self._seats.values():
            self.later(self.rng.uniform(1.0, 30.0), seat.go_home)

    # -- what happens on the line ---------------------------------------------------------------

    def carry_out(self, command: AnyCommand) -> None:
        world = self.plan.world
        if world is not None and isinstance(command, HangUp):
            person = self.channels.get(command.channel)
            if person is not None and person.number and not person.is_up:
                # The network takes a moment to give up a call; who answers in it is hung up on.
                self._push(self.at + world.cancel_s, partial(super().carry_out, command))
                return
        super().carry_out(command)

    def invited(self, person: Channel) -> None:
        self._crowd.invited(person)

    def joined(self, person: Channel) -> None:
        self._crowd.joined(person)
        assert person.bridge is not None
        self._seats[self.channels[line_of(person.bridge)].phone].talks()

    def left(self, person: Channel) -> None:
        self._crowd.left(person)

    def held(self, person: Channel) -> None:
        self._crowd.held(person)

    def gone(self, channel: Channel) -> None:
        if is_attempt(channel.id):
            story = channel.story
            story.ended_at = self.at
            story.is_unheard |= not self.is_heard or self.is_slow or self._is_lossy
            self._just_ended.append(story)
            if (
                channel.bridge is not None
                and (line := self.channels.get(line_of(channel.bridge))) is not None
            ):
                self._seats[line.phone].talked(self.calls[AttemptId(channel.id)].campaign)
        elif channel.phone:
            self._seats[channel.phone].line_is_gone(channel)

    def rung(self, leg: Channel) -> None:
        self._seats[leg.phone].is_rung(leg)
