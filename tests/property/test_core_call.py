"""One call against a small model of it, made from the rules in words and not from the table.

The model is a person on a line. It knows nothing of states: only whether the person rang, answered, is held,
talks, was given up or is gone, who was promised to them, and what the dialplan does with them. Facts come late,
twice and in any order.
"""

from __future__ import annotations

from itertools import islice, product
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core.commands import Command, HangUp, HoldContact, JoinAgent, Originate, SendToLastWord
from dialer.core.conduct import Abandonment, Pacing
from dialer.core.ids import AgentId, AttemptId, BridgeId, ContactId, LeadId, PhoneId, TrunkId
from dialer.core.values import Call, CallState, Campaign, Result
from tests.examples import IS_QUICK
from tests.property.machines import playing
from tests.unit.core.world import campaign

AT = 1000.0
ATTEMPT = AttemptId("a" + "1" * 20)
LINE = BridgeId("line-phone-1")
AGENT = AgentId("ann")
TOLD = {
    (17, 486): Result.BUSY,
    (19, 480): Result.NO_ANSWER,
    (1, 404): Result.INVALID,
    (21, 603): Result.DECLINED,
    (34, 503): Result.CONGESTION,
    (3, 500): Result.NO_ROUTE,
}
"""What the network's words mean, of a call that it ended itself."""
PLAIN = {Result.BUSY, Result.INVALID, Result.DECLINED, Result.CONGESTION}
"""Said plainly, they hold though our own hang-up crossed them."""


class Person(msgspec.Struct, kw_only=True):
    """The person as the rules see them."""

    rang: bool = False
    answered_at: float | None = None
    waits_until: float | None = None
    """Since the answer, without an operator."""
    held_at: float | None = None
    promised: bool = False
    joining: bool = False
    talked: bool = False
    given_up: str = ""
    """By us: they are rung or talked to no longer, or are the dialplan's."""
    was_let_go: bool = False
    """Given up, at any time; or they come from the dialplan."""
    joined_at: float | None = None
    limit_looked_at: float | None = None
    choice: str | None = None
    is_gone: bool = False
    results: frozenset[Result] = frozenset()
    """What the call may have come to."""

    @property
    def waits(self) -> bool:
        return self.answered_at is not None and not (self.given_up or self.is_gone or self.talked)

    @property
    def is_rung(self) -> bool:
        return self.answered_at is None and not (self.given_up or self.is_gone)


STORIES: list[list[tuple[Any, ...]]] = [
    [],
    [("it_rings",)],
    [("it_rings",), ("an_operator_is_promised", False, 15.0)],
    [("they_answer",)],
    [("they_answer",), ("an_operator_is_promised", False, 15.0)],
    *[[("they_answer",), ("an_operator_is_promised", True, 15.0)]] * 2,
    *[[("they_answer",), ("an_operator_is_promised", True, 15.0), ("they_are_joined",)]] * 4,
    [("it_rings",), ("the_deadline_passes",)],
    [("they_answer",), ("the_deadline_passes",)],
    [("they_answer",), ("the_deadline_passes",), ("they_come_back",)],
    [("it_rings",), ("a_machine_answers",)],
    [("it_rings",), ("they_hear_the_message",)],
]
"""How far the call has come when everything may happen: left to chance, few would ever talk."""


class CallMachine(RuleBasedStateMachine):
    """One attempt from the originate on."""

    @initialize(
        wait_s=st.sampled_from([0.0, 2.0, 9.0]),
        no_agent=st.sampled_from(["last_word", "hold", "hang_up"]),
        hold_s=st.sampled_from([4.0, 30.0]),
        limit_s=st.sampled_from([2.0, 5.0]),
        mode=st.sampled_from(["progressive", "predictive", "announcement"]),
        story=st.sampled_from(STORIES),
    )
    def begin(self, **settings: Any) -> None:
        story, self.limit_s = settings.pop("story"), settings.pop("limit_s", 2.0)
        pacing = Pacing(abandonment=Abandonment(limit_s=self.limit_s))
        self.campaign: Campaign = campaign(pacing=pacing, **settings)
        self.at = AT
        self.dial(story)

    def dial(self, story: list[tuple[Any, ...]]) -> None:
        self.has = AGENT
        self.call = Call(
            attempt=ATTEMPT,
            campaign=self.campaign.id,
            lead=LeadId(1),
            contact=ContactId(1),
            phone=PhoneId(1),
            number="+7",
            ordinal=1,
            trunk=TrunkId("t"),
            created_at=self.at,
            deadline=self.at + self.campaign.ring_s,
        )
        self.person, self.began_at = Person(), self.at
        for what, *words in story:
            getattr(self, what)(*words)

    def step(self, fact: Any) -> list[Command]:
        before = self.call
        self.call, commands = calls.step(self.call, fact, self.campaign)
        for what in ("rang_at", "answered_at", "connected_at", "held_at", "ended_at", "abandoned_at"):
            was = getattr(before, what)
            if what == "held_at" and isinstance(fact, ev.ContactReturned):
                continue  # rule 6: as often as they choose it
            assert was is None or getattr(self.call, what) == was, f"{what} is told once"
        assert not any(isinstance(one, Originate) for one in commands), "rule 4"
        if before.state is CallState.ENDED:
            assert (self.call, commands) == (before, []), "rule 3"
        return list(commands)

    def orders(self, fact: Any, *expected: type[Command]) -> None:
        """The fact leads to these orders and no others."""
        assert [type(one) for one in self.step(fact)] == list(expected), (fact, self.person, self.call)

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.0, 6.0, 50.0]))
    def time_passes(self, seconds: float) -> None:
        self.at += seconds

    @precondition(lambda self: self.person.is_gone)
    @rule(story=st.sampled_from(STORIES))
    def the_next_one_is_dialed(self, story: list[tuple[Any, ...]]) -> None:
        self.dial(story)

    # -- the person ----------------------------------------------------------------------

    @rule()
    def it_rings(self) -> None:
        one = self.person
        if not (one.rang or one.answered_at or one.given_up or one.is_gone):
            one.rang = True
        self.orders(ev.ContactRang(at=self.at, attempt=ATTEMPT))

    @rule(listened_s=st.sampled_from([0.0, 0.0, 1.5]))
    def they_answer(self, listened_s: float = 0.0) -> None:
        one, fact = self.person, ev.ContactAnswered(at=self.at, attempt=ATTEMPT, listened_s=listened_s)
        is_left = one.is_gone or one.given_up in ("machine", "announcement")
        if is_left or (one.answered_at is not None and one.given_up != "no_agent"):
            self.orders(fact)
        elif one.given_up and one.answered_at is None:
            one.answered_at = self.at  # it crossed our hang-up: rule 1
            self.orders(fact, HangUp)
        elif one.given_up == "no_agent":
            self.orders(fact, SendToLastWord)  # they were sent before they came to us
        elif one.answered_at is None:
            one.answered_at = max(self.began_at, self.at - listened_s)  # while it was listened they waited
            one.waits_until = max(self.at, one.answered_at + self.campaign.wait_s)
            self.orders(fact)
        else:
            self.orders(fact)

    @rule(cause=st.sampled_from([*TOLD, (0, None), (None, None)]))
    def they_are_gone(self, cause: tuple[int | None, int | None]) -> None:
        one = self.person
        if not one.is_gone:
            one.results = self._came_to(*cause)
            if cause[0] == 0 and one.given_up != "machine" and one.answered_at is None:
                one.answered_at = self.at  # they hung up, so they had answered
            one.is_gone = True
        self.orders(ev.ContactHungUp(at=self.at, attempt=ATTEMPT, cause=cause[0], tech_cause=cause[1]))

    def _came_to(self, cause: int | None, sip: int | None) -> frozenset[Result]:
        one = self.person
        if one.talked:
            return frozenset({Result.TALKED})
        if one.given_up in ("machine", "announcement"):
            return frozenset({Result.MACHINE if one.given_up == "machine" else Result.ANNOUNCED})
        if one.answered_at is not None:  # rules 1 and 2
            return frozenset({Result.ABANDONED, Result.HUNG_UP})
        if cause is None:
            return frozenset({Result.NO_ANSWER if one.given_up and one.rang else Result.LOST})
        if cause == 0:  # an own BYE follows an answer only
            return frozenset({Result.ABANDONED, Result.HUNG_UP})
        told = TOLD[cause, sip or 0]
        return frozenset({told if told in PLAIN or not one.given_up else Result.NO_ANSWER})

    # -- the operator --------------------------------------------------------------------

    @rule(has_line=st.booleans(), ring_s=st.sampled_from([1.0, 15.0]))
    def an_operator_is_promised(self, has_line: bool, ring_s: float) -> None:
        one = self.person
        is_free = not (one.joining or one.talked or one.given_up or one.is_gone)
        # A line is up only for somebody who is there to be joined.
        bridge = LINE if has_line and one.waits else None
        agent = AgentId("bob") if self.call.agent == AGENT else AGENT
        fact = calls.AgentReserved(at=self.at, agent=agent, bridge=bridge, ring_s=ring_s)
        if is_free and bridge is not None:
            one.promised = one.joining = True
            (join,) = self.step(fact)
            assert isinstance(join, JoinAgent)
            assert (join.agent, join.bridge, join.is_held) == (agent, LINE, one.held_at is not None)
            self.has = agent
            return
        if is_free:
            one.promised, self.has = True, agent
            if one.waits:
                one.waits_until = self.at + ring_s  # rule 5: as long as the phone rings
        self.orders(fact)

    @rule(is_refused=st.booleans())
    def the_operator_is_lost(self, is_refused: bool) -> None:
        one = self.person
        fact: Any = calls.AgentLeft(at=self.at)
        if is_refused:
            fact = ev.JoinRefused(at=self.at, attempt=ATTEMPT, bridge=LINE, reason="404")
        concerns = one.joining if is_refused else one.waits
        if one.talked and not one.given_up and not one.is_gone and not is_refused:
            one.given_up = "agent_gone"
            self.orders(fact, HangUp)
        elif concerns and one.waits:
            one.promised = one.joining = False
            limit = (
                one.held_at + self.campaign.hold_s
                if one.held_at is not None
                else (one.answered_at or 0.0) + self.campaign.wait_s
            )
            if self.at >= limit:
                self._waited_long(fact)
            else:
                one.waits_until = limit
                self.orders(fact, *([HoldContact] if one.held_at is not None else []))  # rule 6
        else:
            if not is_refused and not one.given_up and not one.is_gone:
                one.promised = False
            self.orders(fact)

    @rule()
    def they_are_joined(self) -> None:
        one = self.person
        if one.joining and one.waits:
            one.talked, one.joined_at = True, self.at
            one.waits_until = None
        self.orders(ev.Connected(at=self.at, attempt=ATTEMPT, bridge=LINE))

    @rule()
    def the_operator_hangs_up(self) -> None:
        one = self.person
        is_live = not one.given_up and not one.is_gone
        if is_live:
            one.given_up = "operator"
        self.orders(calls.EndAsked(at=self.at, why="operator"), *([HangUp] if is_live else []))

    # -- and what we do ourselves ---------------------------------------------------------

    @precondition(lambda self: self.call.deadline is not None)
    @rule()
    def the_deadline_passes(self) -> None:
        one = self.person
        assert self.call.deadline is not None
        self.at = max(self.at, self.call.deadline)
        fact = calls.Expired(at=self.at)
        if one.given_up:
            self.orders(fact, HangUp)  # again
        elif one.answered_at is None:
            one.given_up = "no_answer"
            self.orders(fact, HangUp)
        elif one.joining:
            one.given_up = "no_agent"  # it may have happened all the same: rule 5
            self.orders(fact, SendToLastWord)
        else:
            self._waited_long(fact)

    def _waited_long(self, fact: Any) -> None:
        """No operator in time: what the campaign wants, and the music only once."""
        one = self.person
        if one.held_at is None and self.campaign.no_agent == "hold":
            one.held_at = self.at
            one.promised = one.joining = False
            one.waits_until = self.at + self.campaign.hold_s
            self.orders(fact, HoldContact)
            return
        one.given_up = "no_agent"
        is_hung_up = one.held_at is None and self.campaign.no_agent == "hang_up"
        self.orders(fact, HangUp if is_hung_up else SendToLastWord)

    @rule()
    def the_dialplan_has_them(self) -> None:
        one = self.person
        if one.waits:
            one.given_up = "no_agent"
        self.orders(calls.LeftToDialplan(at=self.at))

    # -- the dialplan ----------------------------------------------------------------------

    @rule()
    def a_machine_answers(self) -> None:
        one = self.person
        if one.is_rung:
            one.given_up, one.promised = "machine", False
        self.orders(ev.MachineAnswered(at=self.at, attempt=ATTEMPT))

    @rule()
    def they_hear_the_message(self) -> None:
        one = self.person
        if one.is_rung:
            one.given_up, one.answered_at = "announcement", self.at
        self.orders(ev.AnnouncementBegan(at=self.at, attempt=ATTEMPT))

    @rule()
    def they_come_back(self) -> None:
        one, fact = self.person, ev.ContactReturned(at=self.at, attempt=ATTEMPT)
        if one.is_gone or not (one.is_rung or one.given_up in ("no_agent", "machine", "announcement")):
            self.orders(fact)
            return
        one.was_let_go |= one.answered_at is None or one.given_up == "no_agent"
        one.answered_at = self.at if one.answered_at is None else one.answered_at
        one.given_up, one.promised, one.joining = "", False, False
        one.held_at, one.waits_until = self.at, self.at + self.campaign.hold_s
        self.orders(fact, HoldContact)

    @rule(choice=st.sampled_from(["wait", "refuse", "later", "confirm", "operator"]))
    def they_choose(self, choice: Any) -> None:
        one = self.person
        if not one.is_gone:
            one.choice = choice
        if one.is_rung:  # they have answered, and the dialplan has them
            one.answered_at = self.at
            one.given_up = "announcement" if self.campaign.mode == "announcement" else "no_agent"
        due = self.at + 3600.0 if choice == "later" else None
        fact = ev.ContactChose(at=self.at, attempt=ATTEMPT, choice=choice, due=due)
        self.orders(fact)
        if not one.is_gone and due is not None:
            assert self.call.callback_at == due

    @rule(before_s=st.sampled_from([0.0, 3.0, 1e6, -1.0]))
    def their_voice_is_found(self, before_s: float) -> None:
        """Recorded by the dialplan. Who is known to have answered is not told apart from who was a machine."""
        one = self.person
        is_news = one.answered_at is None and not one.is_gone and one.given_up != "machine"
        if is_news:
            one.answered_at = min(self.at, max(self.at - before_s, self.call.rang_at or self.began_at))
        if is_news and not one.given_up:
            one.given_up = "announcement" if self.campaign.mode == "announcement" else "no_agent"
        fact = ev.AnswerFound(at=self.at, attempt=ATTEMPT, answered_at=self.at - before_s)
        self.orders(fact)
        assert self.call.answered_at == one.answered_at

    @rule()
    def the_limit_passes(self) -> None:
        one = self.person
        if one.waits and not one.promised:
            one.limit_looked_at = self.at
        self.orders(calls.LimitPassed(at=self.at))

    @rule()
    def the_originate_is_refused(self) -> None:
        one = self.person
        was_never_heard = not (
            one.rang or one.answered_at is not None or one.is_gone or one.given_up == "machine"
        )
        if was_never_heard:
            one.is_gone = True
            one.results = frozenset({Result.FAILED})
        self.orders(ev.OriginateRefused(at=self.at, attempt=ATTEMPT, reason="500"))

    # -- what must always be true ---------------------------------------------------------

    @invariant()
    def the_call_is_as_the_person_lived_it(self) -> None:
        if not hasattr(self, "person"):
            return
        one, call = self.person, self.call
        assert (call.state is CallState.ENDED) == one.is_gone
        assert (call.result is None) == (not one.is_gone)
        assert one.is_gone == (call.result in one.results), (one, call)
        assert (call.answered_at is not None) == (one.answered_at is not None)
        assert (call.connected_at is not None) == one.talked
        assert call.held_at == one.held_at
        assert call.choice == one.choice
        if not one.is_gone and not one.given_up:  # afterwards it tells whose it was
            assert call.agent == (self.has if one.promised else None), (one, call)
        if not one.is_gone:
            assert call.ending == one.given_up
            assert (call.state is CallState.ENDING) == bool(one.given_up)
            assert (call.state is CallState.CONNECTED) == (one.talked and not one.given_up)
            assert (call.deadline is None) == (call.state is CallState.CONNECTED), "every wait has an end"

    @invariant()
    def nobody_waits_longer_than_the_rules_say(self) -> None:
        if hasattr(self, "person") and self.person.waits and not self.person.joining:
            assert self.call.deadline == self.person.waits_until

    @invariant()
    def abandoned_is_who_met_nobody_in_time(self) -> None:
        """Rule 7, in both directions."""
        if not hasattr(self, "person"):
            return
        one, call = self.person, self.call
        if one.answered_at is None or self.campaign.mode == "announcement":
            assert call.abandoned_at is None
            return
        limit = one.answered_at + self.limit_s
        one.was_let_go |= one.given_up == "no_agent" and not one.talked
        if one.joined_at is not None:
            must = one.was_let_go or one.joined_at > limit
            assert not (must and call.abandoned_at is None), (one, call)
            if not one.was_let_go and one.joined_at < limit:
                assert call.abandoned_at is None, (one, call)
        elif one.given_up in ("machine", "announcement"):
            assert call.abandoned_at is None or one.was_let_go or call.abandoned_at >= limit
        elif one.is_gone or one.given_up or one.was_let_go or (one.limit_looked_at or 0.0) >= limit:
            assert call.abandoned_at is not None, (one, call)
        elif self.at < limit:
            assert call.abandoned_at is None, (one, call)
        if call.abandoned_at is not None:
            assert call.abandoned_at >= one.answered_at


CallMachine.TestCase.settings = playing(150, quick=15, steps=50)
TestCall = CallMachine.TestCase

ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("it_rings", {}),
    ("they_answer", {}),
    *[("they_are_gone", {"cause": cause}) for cause in ((17, 486), (19, 480), (0, None), (None, None))],
    ("an_operator_is_promised", {"has_line": True, "ring_s": 15.0}),
    ("an_operator_is_promised", {"has_line": False, "ring_s": 1.0}),
    ("the_operator_is_lost", {"is_refused": True}),
    ("the_operator_is_lost", {"is_refused": False}),
    ("they_are_joined", {}),
    ("the_operator_hangs_up", {}),
    ("the_deadline_passes", {}),
    ("the_dialplan_has_them", {}),
    ("the_originate_is_refused", {}),
    ("time_passes", {"seconds": 6.0}),
    ("a_machine_answers", {}),
    ("they_hear_the_message", {}),
    ("they_come_back", {}),
    ("they_choose", {"choice": "later"}),
    ("the_limit_passes", {}),
]


@pytest.mark.parametrize(
    ("no_agent", "mode"),
    [("last_word", "progressive"), ("hold", "predictive"), ("hang_up", "announcement")],
)
def test_every_two_steps_from_everywhere(no_agent, mode):
    """What chance may leave out: every pair of facts, wherever the call has come to."""
    stories = [story for place, story in enumerate(STORIES) if story not in STORIES[:place]]
    every = product(stories, ACTIONS, ACTIONS)
    for story, first, second in islice(every, None, None, 4 if IS_QUICK else 1):
        machine = CallMachine.__new__(
            CallMachine
        )  # without what Hypothesis needs, which takes most of the time
        machine.begin(wait_s=2.0, no_agent=no_agent, mode=mode, hold_s=4.0, story=story)
        for name, words in (first, second):
            if name == "the_deadline_passes" and machine.call.deadline is None:
                continue
            getattr(machine, name)(**words)
            machine.the_call_is_as_the_person_lived_it()
            machine.nobody_waits_longer_than_the_rules_say()
            machine.abandoned_is_who_met_nobody_in_time()
            machine.time_passes(0.5)
