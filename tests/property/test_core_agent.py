"""One operator against a small model of them, made from the rules in words and not from the table.

The model is a person on a chair with a phone: whether they are at work, what line they have, whom they talk
with, what they asked for, why they rest. Their state follows from that. Facts come late, twice and in any order.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dialer.core import agent as agents
from dialer.core.commands import CloseLine, Command, HangUp, OpenLine, RingAgent, Tell
from dialer.core.ids import AgentId, AttemptId, ChannelId, leg_of, line_bridge
from dialer.core.values import Agent, AgentCard, AgentState, Centre
from tests.property.machines import playing

AT = 1000.0
RING_S = 15.0
S = AgentState


class Chair(msgspec.Struct, kw_only=True):
    """The operator as the rules see them."""

    is_parked: bool
    centre: Centre
    at_work: bool = False
    line: ChannelId | None = None
    is_up: bool = False
    call: AttemptId | None = None
    last: AttemptId | None = None
    talks: bool = False
    wraps: bool = False
    rests: str | None = None
    """Why they pause."""
    wants_pause: str | None = None
    wants_out: bool = False
    missed: int = 0
    phone: Any = "free"
    since: float = 0.0
    """The state that they are in began then."""
    until: float | None = None
    """It ends by itself then."""

    @property
    def state(self) -> AgentState:
        if not self.at_work:
            return S.SIGNED_OUT
        if self.call is not None:
            return S.ON_CALL if self.talks else S.RESERVED
        if self.is_parked and not self.is_up:
            return S.ARRIVING
        if self.wraps:
            return S.WRAP_UP
        return S.READY if self.rests is None else S.PAUSED

    @property
    def away(self) -> str | None:
        """Why the phone keeps them from being ready. A parked line is a use of the phone itself."""
        if self.phone == "lost":
            return "phone_lost"
        return "phone_in_use" if self.phone == "in_use" and not self.is_parked else None


class AgentMachine(RuleBasedStateMachine):
    """One operator's days."""

    @initialize(
        is_parked=st.booleans(),
        missed_max=st.sampled_from([1, 2]),
        missed_rest_s=st.sampled_from([None, 20.0]),
        pause_s_max=st.sampled_from([None, 60.0]),
        story=st.integers(0, 7),
    )
    def begin(self, is_parked: bool, story: int, **rules: Any) -> None:
        self.at = AT
        self.lines = 0
        self.chair = Chair(is_parked=is_parked, centre=Centre(**rules))
        self.card = AgentCard(id=AgentId("ann"), phone="101", leg="parked" if is_parked else "rung")
        self.agent = Agent(id=self.card.id)
        self.commands: list[Command] = []
        # How far they have come when everything may happen.
        for what in (self.signs_in, self.the_line_is_up, self.is_promised, self.picks_up, self.the_line_is_up,
                     self.is_joined, self.the_call_is_over)[:story]:  # fmt: skip
            what()

    def step(self, fact: Any) -> None:
        chair = self.chair
        self.agent, commands = agents.step(self.agent, fact, self.card, chair.centre, chair.phone)
        self.commands = list(commands)

    def ordered(self, *kinds: type[Command]) -> None:
        said = [type(one) for one in self.commands if not isinstance(one, Tell)]
        assert said == list(kinds), (said, self.chair, self.agent)

    # -- the model's own moves -------------------------------------------------------------

    def _now(self, until: float | None = None) -> None:
        self.chair.since, self.chair.until = self.at, until

    def _drop_line(self) -> list[type[Command]]:
        """A line that is gone is hung up and closed, whoever ended it."""
        chair = self.chair
        had, chair.line, chair.is_up = chair.line, None, False
        return [HangUp, CloseLine] if had is not None else []

    def _leave(self) -> list[type[Command]]:
        chair = self.chair
        dropped = self._drop_line()
        chair.at_work = chair.talks = chair.wraps = chair.wants_out = False
        chair.call = chair.rests = chair.wants_pause = None
        chair.missed = 0
        self._now()
        return dropped

    def _rest(self, why: str) -> None:
        chair, rules = self.chair, self.chair.centre
        chair.wraps, chair.rests, chair.wants_pause = False, why, None
        ends_s = rules.pause_s_max
        if why in ("phone_lost", "phone_in_use"):
            ends_s = None
        elif why == "no_answer" and rules.missed_rest_s is not None:
            ends_s = rules.missed_rest_s
        self._now(self.at + ends_s if ends_s is not None else None)

    def _available(self) -> None:
        """Ready, if the phone is."""
        chair = self.chair
        if chair.away is None:
            chair.wraps, chair.rests = False, None
            self._now()
        elif chair.rests != chair.away:
            self._rest(chair.away)

    def _free(self) -> list[type[Command]]:
        """Nothing holds them: what they asked for takes effect (rule 4)."""
        chair = self.chair
        chair.wraps = False
        if chair.wants_out:
            return self._leave()
        if chair.wants_pause is not None:
            self._rest(chair.wants_pause)
        else:
            self._available()
        return []

    def _not_picked_up(self) -> list[type[Command]]:
        chair = self.chair
        dropped = self._drop_line()
        chair.call = None
        if chair.wants_out:
            return [*dropped, *self._leave()]
        if chair.away is None:
            chair.missed += 1
            if chair.missed >= chair.centre.missed_max:  # rule 3
                self._rest("no_answer")
                return dropped
        return [*dropped, *self._free()]

    # -- what the operator asks ----------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 1.0, 11.0, 25.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.at += seconds

    @rule(is_old=st.booleans())
    def signs_in(self, is_old: bool = False) -> None:
        chair = self.chair
        if is_old and chair.line is not None:
            channel = chair.line  # the event came twice
        else:
            self.lines += 1
            channel = ChannelId(f"phone-{self.lines}")
        self.step(agents.SignInAsked(at=self.at, channel=channel))
        if not chair.is_parked:
            if chair.state is S.READY:
                chair.missed = 0
            else:
                chair.wants_pause, chair.wants_out = None, False
                if chair.call is None:
                    chair.at_work, chair.missed = True, 0
                    self._available()
            self.ordered()
        elif channel == chair.line:
            self.ordered()
        else:
            dropped = self._drop_line()
            self._leave()
            chair.at_work, chair.line = True, channel
            self._now(self.at + agents.ARRIVE_S)
            self.ordered(*dropped, OpenLine)

    @rule()
    def signs_out(self) -> None:
        chair = self.chair
        self.step(agents.SignOutAsked(at=self.at))
        if chair.call is not None:
            chair.wants_out = True
            self.ordered()
        elif chair.at_work:
            self.ordered(*self._leave())
        else:
            self.ordered()

    @rule(why=st.sampled_from(["lunch", "break"]))
    def asks_for_a_pause(self, why: str) -> None:
        chair = self.chair
        self.step(agents.PauseAsked(at=self.at, reason=why))
        if chair.state in (S.ARRIVING, S.RESERVED, S.ON_CALL):
            chair.wants_pause = why
        elif chair.at_work and not (chair.state is S.PAUSED and chair.rests == why):
            self._rest(why)
        self.ordered()

    @rule()
    def is_ready(self) -> None:
        chair, state = self.chair, self.chair.state
        self.step(agents.ReadyAsked(at=self.at))
        if state in (S.ARRIVING, S.RESERVED, S.ON_CALL):
            chair.wants_pause, chair.wants_out = None, False
        elif state is S.READY:
            chair.missed = 0
        elif chair.at_work:
            chair.missed, chair.wants_pause, chair.wants_out = 0, None, False
            self._available()
        self.ordered()

    @rule()
    def closes_the_card(self) -> None:
        self.step(agents.CardClosed(at=self.at))
        self.ordered(*(self._free() if self.chair.state is S.WRAP_UP else []))

    # -- the phone ---------------------------------------------------------------------

    @rule(how=st.sampled_from(["lost", "in_use", "free"]))
    def the_phone_changes(self, how: Any) -> None:
        chair = self.chair
        chair.phone = how
        facts = {"lost": agents.PhoneLost, "in_use": agents.PhoneBusy, "free": agents.PhoneFree}
        self.step(facts[how](at=self.at))
        expected: list[type[Command]] = []
        is_by_phone = chair.state is S.PAUSED and chair.rests in ("phone_lost", "phone_in_use")
        if not chair.at_work:
            pass
        elif how == "lost" and chair.state is S.RESERVED and not chair.is_up and not chair.is_parked:
            expected = self._not_picked_up()
        elif is_by_phone or (chair.state is S.READY and how != "free"):
            self._available()
        self.ordered(*expected)

    # -- the line ----------------------------------------------------------------------

    @rule()
    def picks_up(self) -> None:
        self.step(agents.LegUp(at=self.at))
        self.ordered(*([OpenLine] if self.chair.state is S.RESERVED else []))

    @rule()
    def the_line_is_up(self) -> None:
        chair = self.chair
        self.step(agents.LineUp(at=self.at))
        expected: list[type[Command]] = []
        if chair.state is S.ARRIVING:
            chair.is_up = True
            expected = self._free()
        elif chair.state is S.RESERVED:
            chair.is_up, chair.until = True, None
        self.ordered(*expected)

    @rule()
    def the_line_drops(self) -> None:
        chair = self.chair
        self.step(agents.LineDown(at=self.at))
        if not chair.at_work:
            self.ordered()
        elif chair.is_parked:
            self.ordered(*self._leave())  # rule 1
        elif chair.state is S.RESERVED:
            self.ordered(*self._not_picked_up())
        else:
            self.ordered(*self._drop_line())  # the call's end is the floor's business

    # -- a call --------------------------------------------------------------------------

    @rule()
    def is_promised(self) -> None:
        chair = self.chair
        self.lines += 1
        attempt = AttemptId(f"a{self.lines:020d}")
        leg = None if chair.is_parked else leg_of(attempt, self.card.id)
        was_ready = chair.state is S.READY
        self.step(agents.Reserved(at=self.at, attempt=attempt, channel=leg, ring_s=RING_S))
        if was_ready:
            chair.call, chair.talks = attempt, False
            self._now(None if leg is None else self.at + RING_S)
            if leg is not None:
                chair.line, chair.is_up = leg, False
        self.ordered()
        assert not any(isinstance(one, RingAgent) for one in self.commands), "the floor rings"

    @rule()
    def is_joined(self) -> None:
        chair = self.chair
        self.step(agents.Joined(at=self.at))
        if chair.state is S.RESERVED:
            chair.talks, chair.last, chair.missed = True, chair.call, 0
            self._now()
        self.ordered()

    @rule(wrap_up_s=st.sampled_from([0.0, 8.0]))
    def the_call_is_over(self, wrap_up_s: float = 8.0) -> None:
        chair = self.chair
        self.step(agents.CallOver(at=self.at, wrap_up_s=wrap_up_s))
        if chair.call is None:
            self.ordered()
            return
        dropped = [] if chair.is_parked else self._drop_line()
        talked, chair.call, chair.talks = chair.talks, None, False
        if talked and wrap_up_s:
            chair.wraps = True
            self._now(self.at + wrap_up_s)
            self.ordered(*dropped)
        else:
            self.ordered(*dropped, *self._free())

    # -- time ------------------------------------------------------------------------------

    @rule()
    def the_deadline_passes(self) -> None:
        chair, state = self.chair, self.chair.state
        if chair.until is None:
            return
        self.at = max(self.at, chair.until)
        self.step(agents.Expired(at=self.at))
        if state is S.ARRIVING:
            self.ordered(*self._leave())
        elif state is S.RESERVED:
            self.ordered(*self._not_picked_up())
        elif state is S.WRAP_UP:
            self.ordered(*self._free())
        elif chair.rests == "no_answer" and chair.centre.missed_rest_s is not None:
            self._available()
            self.ordered()
        else:
            self.ordered(*self._leave())  # rule 5

    @rule(rest_s=st.sampled_from([None, 20.0, 40.0]), pause_s=st.sampled_from([None, 60.0, 90.0]))
    def the_rules_change(self, rest_s: float | None, pause_s: float | None) -> None:
        chair, since = self.chair, self.chair.since
        chair.centre = msgspec.structs.replace(chair.centre, missed_rest_s=rest_s, pause_s_max=pause_s)
        self.step(agents.RulesChanged(at=self.at))
        if chair.state is S.PAUSED and chair.rests is not None:
            asked, at = chair.wants_pause, self.at
            self.at = since
            self._rest(chair.rests)
            self.at, chair.wants_pause = at, asked
        self.ordered()

    # -- what must always be true ------------------------------------------------------

    @invariant()
    def the_operator_is_as_the_rules_say(self) -> None:
        if not hasattr(self, "chair"):
            return
        chair, agent = self.chair, self.agent
        assert agent.state is chair.state, (chair, agent)
        assert (agent.channel, agent.has_line) == (chair.line, chair.is_up), (chair, agent)
        assert (agent.attempt, agent.last_attempt) == (chair.call, chair.last), (chair, agent)
        assert agent.deadline == chair.until, (chair, agent)
        assert agent.reason == (chair.rests or "" if agent.state is S.PAUSED else ""), (chair, agent)
        assert agent.missed == chair.missed, (chair, agent)
        assert (agent.pause_asked, agent.sign_out_asked) == (chair.wants_pause, chair.wants_out), (
            chair,
            agent,
        )
        assert agent.bridge == (line_bridge(chair.line) if chair.line else None)


AgentMachine.TestCase.settings = playing(150, quick=12, steps=50)
TestAgent = AgentMachine.TestCase

ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("signs_in", {"is_old": True}),
    ("signs_in", {"is_old": False}),
    ("signs_out", {}),
    ("asks_for_a_pause", {"why": "lunch"}),
    ("asks_for_a_pause", {"why": "break"}),
    ("is_ready", {}),
    ("closes_the_card", {}),
    *[("the_phone_changes", {"how": how}) for how in ("lost", "in_use", "free")],
    ("picks_up", {}),
    ("the_line_is_up", {}),
    ("the_line_drops", {}),
    ("is_promised", {}),
    ("is_joined", {}),
    ("the_call_is_over", {"wrap_up_s": 0.0}),
    ("the_call_is_over", {"wrap_up_s": 8.0}),
    ("the_deadline_passes", {}),
    ("the_rules_change", {"rest_s": 40.0, "pause_s": None}),
]


@pytest.mark.parametrize("is_parked", [True, False])
@pytest.mark.parametrize("pause_s_max", [None, 60.0])
def test_every_two_steps_from_everywhere(is_parked, pause_s_max):
    """What chance may leave out: every pair of facts, wherever the operator has come to."""
    for story, first, second in product(range(8), ACTIONS, ACTIONS):
        machine = AgentMachine.__new__(AgentMachine)  # without what Hypothesis needs, which takes long
        rules = {"missed_max": 1 if pause_s_max is None else 2, "missed_rest_s": 20.0}
        machine.begin(is_parked, story, pause_s_max=pause_s_max, **rules)
        for name, words in (first, second):
            machine.time_passes(1.0)
            getattr(machine, name)(**words)
            machine.the_operator_is_as_the_rules_say()
