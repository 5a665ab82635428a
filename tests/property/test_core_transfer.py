"""Conversations that are held, transferred and made conferences in the worst order that can be found: nobody is left alone."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from dialer.core import events as ev
from dialer.core.ids import is_leg, is_third
from dialer.core.values import AgentState
from tests.property.machines import Disordered, place, playing
from tests.unit.core.simulation import Simulation
from tests.unit.core.world import campaign, lead, parked, rung, trunk

THIRD = "+79998887766"
CODES = ("507#", "517#", "517#", "52", "53", "54", "55", "45", "421", "43", "41", "442")
TO = ("7", "7", "1g1", "1g2", "1g3", "1g4", "9")


class TransferMachine(Disordered):
    """Two people talk with two operators; two more operators are idle, or get other people."""

    @initialize(
        no_agent=st.sampled_from(["last_word", "hold", "hang_up"]), wrap_up=st.sampled_from(["time", "card"])
    )
    def begin(self, **settings: str) -> None:
        rules = campaign(
            **settings,
            transfer_numbers={"7": THIRD},
            ring_agent="at_answer",
            agent_ring_s=6.0,
            wrap_up_s=3.0,
            wrap_up_s_max=25.0,
            hold_s=40.0,
        )
        other = campaign("summer")
        self.world = world = Simulation(
            campaigns=[rules, other],
            trunks=[trunk(channels_max=4)],
            cards=[
                parked("g1", "spring"),
                rung("g2", "spring"),
                parked("g3", "summer"),
                rung("g4", "summer"),
            ],
            leads=[lead(1), lead(2), lead(3), lead(4, of="summer")],
        )
        for card in world.cards:
            world.card_dials(card, "40")
        world.run()
        self.people_answer()

    @rule()
    def people_answer(self) -> None:
        world = self.world
        if not world.is_heard:
            return
        world.run()
        for person in world.persons(is_up=False):
            world.answers(person)
        world.run()
        for leg in world.lines():
            if is_leg(leg.id) and not leg.is_up:
                world.answers(leg)
        world.run()

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.5, 6.0, 11.0, 35.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(place=place, code=st.sampled_from(CODES), is_settled=st.booleans())
    def an_operator_keys(self, place: int, code: str, is_settled: bool) -> None:
        world = self.world
        talking = [
            agent.channel
            for agent in world.floor.agents.values()
            if agent.state is AgentState.ON_CALL and agent.channel in world.channels
        ]
        if talking and world.is_heard:
            for digit in f"*{code}":
                world.tell(ev.DigitPressed, channel=talking[place % len(talking)], digit=digit)
            if is_settled:
                world.run()

    @rule(place=place, to=st.sampled_from(TO))
    def a_phone_refers(self, place: int, to: str) -> None:
        """Colleagues' extensions have letters here, which a key has not."""
        if lines := [one for one in self.world.lines() if one.in_app and self.world.is_heard]:
            channel = lines[place % len(lines)].id
            self.world.inbox.append(ev.PhoneReferred(at=self.world.at, channel=channel, to=to))

    @rule(place=place, is_held=st.booleans())
    def a_phone_holds(self, place: int, is_held: bool) -> None:
        if lines := [one for one in self.world.lines() if one.in_app and self.world.is_heard]:
            channel = lines[place % len(lines)].id
            self.world.inbox.append(ev.PhoneHeld(at=self.world.at, channel=channel, is_held=is_held))

    @rule(place=place)
    def a_phone_calls_beside(self, place: int) -> None:
        card = self.world.cards[place % 4]
        self.world.dials_beside(card, "7")

    @rule(place=place)
    def a_phone_refers_to_its_other_call(self, place: int) -> None:
        world = self.world
        if asides := list(world.floor._state.by_aside):
            aside = asides[place % len(asides)]
            line = world.floor._state.transfers[world.floor._state.by_aside[aside]].line
            if line is not None and world.is_heard:
                world.inbox.append(ev.PhoneReferred(at=world.at, channel=line, other=aside))

    @rule(place=place, is_settled=st.booleans())
    def a_third_party_answers(self, place: int, is_settled: bool) -> None:
        if thirds := [one for one in self.world.lines() if is_third(one.id) and not one.is_up]:
            self.world.answers(thirds[place % len(thirds)])
            if is_settled:
                self.world.run()

    @rule(place=place)
    def a_line_ends(self, place: int) -> None:
        """Of an operator, a third party, a phone's second call."""
        if lines := self.world.lines():
            self.world.end(lines[place % len(lines)].id, 16)

    @rule(place=place)
    def a_person_hangs_up(self, place: int) -> None:
        if persons := self.world.persons(is_up=True):
            self.world.end(persons[place % len(persons)].id, 0)

    @rule()
    def the_engine_is_killed(self) -> None:
        self.world.restart()
        self.world.reconnect()


TransferMachine.TestCase.settings = playing(40, quick=8, steps=40)
TestTransfers = TransferMachine.TestCase
