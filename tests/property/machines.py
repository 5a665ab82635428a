"""How long state machines are played: shortly in ``./dev check``, the same examples at every run; and what they have in common.

``OBZVON_EXAMPLES=5000`` explores as many others, and makes a failing one as small as it can.

A machine whose world is a :class:`~tests.unit.core.simulation.Simulation` takes from here what goes wrong in it:
:class:`Interrupted` in every one, and, as it wants, :class:`Disordered`, :class:`FailingJournal`, :class:`People`. What is its
own it says itself.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.examples import IS_QUICK
from tests.unit.core.simulation import Simulation

MORE = int(os.environ.get("OBZVON_EXAMPLES", "0"))

place = st.integers(0, 11)
"""Which one of several; with few of them each is as likely."""


def playing(examples: int, *, quick: int, steps: int) -> settings:
    """Settings of one machine: so many *examples* of so many *steps*; *quick*: in ``./dev check``."""
    return settings(
        max_examples=MORE or (quick if IS_QUICK else examples),
        stateful_step_count=steps,
        derandomize=not MORE,
        database=None,
        deadline=None,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink] if MORE else [Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


class Interrupted(RuleBasedStateMachine):
    """The event socket breaks, the engine is killed; and at the end all that is under way comes to its end, and can be played again."""

    world: Simulation

    @rule()
    def the_socket_breaks(self) -> None:
        self.world.cut()

    @precondition(lambda self: not self.world.is_heard)
    @rule()
    def the_socket_is_open_again(self) -> None:
        self.world.reconnect()

    @rule()
    def the_engine_is_killed(self) -> None:
        self.world.restart()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.calm_down()
        self.world.check_calm()
        self.look_back()
        self.world.replay()

    def look_back(self) -> None:
        """What a machine has to say of a day that is over."""


class Disordered(Interrupted):
    """Nothing comes when it should: events and requests overtake each other, come twice, or get lost; Asterisk lies and refuses."""

    @rule(place=place)
    def an_event_arrives(self, place: int) -> None:
        self.world.deliver(place)

    @rule(place=place)
    def a_request_is_carried_out(self, place: int) -> None:
        self.world.act(place)

    @rule()
    def everything_goes_its_way(self) -> None:
        self.world.run()
        self.world.check_company()

    @rule(place=place)
    def an_event_comes_twice(self, place: int) -> None:
        self.world.deliver(place, is_doubled=True)

    @rule(place=place)
    def an_event_gets_lost(self, place: int) -> None:
        self.world.lose(place)

    @rule()
    def what_lives_is_listed(self) -> None:
        self.world.list_living()

    @rule(is_lying=st.booleans(), is_refusing=st.booleans())
    def asterisk_misbehaves(self, is_lying: bool, is_refusing: bool) -> None:
        self.world.is_lying, self.world.is_refusing = is_lying, is_refusing


class FailingJournal(Interrupted):
    """The journal cannot be written for a while."""

    @rule(fails=st.booleans())
    def the_journal_fails_or_is_mended(self, fails: bool) -> None:
        if fails:
            self.world.fail_journal()
        else:
            self.world.mend_journal()


class People(Interrupted):
    """Whom we call."""

    @rule(place=place)
    def a_phone_rings(self, place: int) -> None:
        if persons := self.world.persons(is_up=False):
            self.world.rings(persons[place % len(persons)])

    @rule(place=place)
    def a_person_answers(self, place: int) -> None:
        if persons := self.world.persons(is_up=False):
            self.world.answers(persons[place % len(persons)])
