"""The floor with people who call us, in the worst order that can be found: nobody is joined twice, or waits for ever;
callers go first, who came first before others; every call to us has a result; the reserve is kept; nothing of it is counted
as a call that we made. (The rest is as for the floor without them, and holds here, too.)
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from dialer.core.incoming import Inbound
from tests.property.machines import place, playing
from tests.property.test_core_floor import FloorMachine
from tests.unit.core.incoming import FIRST_STRANGER, InboundSimulation

SECTIONS = (
    Inbound(numbers=("+74950000001",), wait_s=30.0, reserve_share=0.4, missed_again_s=20.0),
    Inbound(numbers=("+74950000001",), wait_s=5.0, distribution="fewest_calls", queue_max=1),
    Inbound(
        numbers=("+74950000001",),
        distribution="round_robin",
        overflow="number",
        overflow_number="+79998887766",
        missed_again_s=None,
    ),
    Inbound(
        numbers=("+74950000001",),
        wait_s=12.0,
        distribution="skill",
        skill_weights={"g3": 5},
        overflow="voicemail",
        reserve_share=0.25,
    ),
)


class InboundMachine(FloorMachine):
    """A small centre that people call, too."""

    simulation = InboundSimulation
    section = 0

    def more_settings(self) -> dict[str, Any]:
        return {"inbound": SECTIONS[self.section]}

    @rule(place=place, is_open=st.sampled_from([True, True, True, False]), is_withheld=st.booleans())
    def a_person_calls_us(self, place: int, is_open: bool, is_withheld: bool) -> None:
        world = self.world
        assert isinstance(world, InboundSimulation)
        if place < 7:
            leads = sorted(world.store.leads)
            chosen = world.store.leads[leads[place * 3 % len(leads)]]
            world.comes(chosen.id, chosen.campaign, is_open=is_open)
        else:
            world.comes(FIRST_STRANGER + place, "spring", is_open=is_open, is_withheld=is_withheld)

    @rule(place=place)
    def a_caller_hangs_up(self, place: int) -> None:
        world = self.world
        assert isinstance(world, InboundSimulation)
        if people := [one for one in world.persons() if one.id in world.arrived]:
            world.end(people[place % len(people)].id, 0)


class ShortQueueMachine(InboundMachine):
    """Little patience, and room for one."""

    section = 1


class NumberMachine(InboundMachine):
    """The overflow is another number, where a conversation may last."""

    section = 2


class SkillsMachine(InboundMachine):
    """By weight; messages are left."""

    section = 3


InboundMachine.TestCase.settings = playing(12, quick=2, steps=70)
ShortQueueMachine.TestCase.settings = playing(12, quick=2, steps=70)
NumberMachine.TestCase.settings = playing(12, quick=2, steps=70)
SkillsMachine.TestCase.settings = playing(12, quick=2, steps=70)
TestLongWaits = InboundMachine.TestCase
TestShortQueue = ShortQueueMachine.TestCase
TestNumber = NumberMachine.TestCase
TestSkills = SkillsMachine.TestCase
