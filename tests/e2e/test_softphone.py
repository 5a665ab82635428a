"""A softphone as operators really use them (baresip) instead of the laboratory's desk phone."""

from __future__ import annotations

import wave
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from dialer.lab.softphone import Softphone
from dialer.lab.voice import hear, hear_recording
from tests.e2e.world import MEDIA_PORTS, SIP_PORTS, World, campaign, does, free_ports, person, seat

pytestmark = pytest.mark.asterisk


def softphone(world: World, folder: Path, extension: str) -> Softphone:
    assert world.house.asterisk is not None
    return Softphone(
        folder,
        world.seats[extension].phone,
        sip_server=("127.0.0.1", world.house.asterisk.sip_port),
        port=(ports := free_ports(3, SIP_PORTS)),
        control_port=ports + 2,
        media_port=free_ports(16, MEDIA_PORTS, tcp=False, even=True),
    )


@pytest.mark.parametrize("leg", ["parked", "rung"])
async def test_a_softphone_registers_signs_in_and_takes_a_call(tmp_path, asterisk_install, leg):
    # Long enough for the keys and the confirmation, during which neither hears the other.
    people = [person(does("talks", talk_ms=6000), voice=2)]
    world = World(
        tmp_path,
        work=[(campaign(), people)],
        seats=[seat("101", leg=leg)],
        parts=frozenset({"network", "house"}),
    )
    async with world, softphone(world, tmp_path / "softphone", "101") as phone:
        await phone.sign_in()
        await world.agent_is("101", "ready")
        await world.order("demo")
        await world.attempt("demo", state="connected")
        await phone.keys("*441")
        await world.attempt("demo", operator_result="order")
        await world.finished("demo")
        (attempt,) = world.attempts()
        (call,) = world.calls("demo")
        assert attempt["result"] == "talked"
        left, right = hear_recording(world.recording(attempt["attempt"]))
        assert left.mark_hz == call.mark_hz
        assert right.mark_hz == world.seats["101"].phone.mark_hz
    assert call.mark_hz in {hear(second).mark_hz for path in phone.heard() for second in seconds(path)}


def seconds(path: Path) -> Iterator[array[int]]:
    """What was heard, cut into seconds: between the prompts and tones there is the person."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        while len(frames := file.readframes(8000)) == 16000:
            yield array("h", frames)
