"""Nobody free at the answer: people are held with music, served in turn, and never wait for ever; and what was
lost on an open socket is found."""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from dialer.core import adoption
from dialer.engine import serverline
from dialer.engine.serverline import ServerLine
from dialer.lab.voice import RATE_HZ, Heard, hear, hear_recording
from dialer.pbx.frames import AnyFrame, ChannelDestroyed
from tests.e2e.test_crash import centre
from tests.e2e.world import World, campaign, does, person, seat, until

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

CUED = does("on_cue")
AUDIBLE_RMS = 40.0
"""Of 32,767: silence is below 10, the softest second of our music above 100."""


def holding(name: str, **changes):
    return campaign(name, no_agent="hold", wait_s=0.0, ring_s=60.0, **changes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, asterisk_install) -> AsyncIterator[World]:
    work = [
        (holding("turn", hold_s=60.0), [person(CUED, voice=0), person(CUED, voice=1)]),
        (holding("limit", hold_s=1.5), [person(CUED)]),
        (holding("leaves", hold_s=60.0), [person(CUED)]),
        (campaign("dropped", no_agent="hang_up", wait_s=0.5, ring_s=60.0), [person(CUED)]),
    ]
    seats = [
        seat("101", campaigns=("turn",)),
        seat("102", campaigns=("turn",)),
        seat("103", campaigns=("limit",)),
        seat("104", campaigns=("leaves",)),
        seat("105", campaigns=("dropped",)),
    ]
    async with World(tmp_path_factory.mktemp("w"), work=work, seats=seats) as made:
        await made.sign_in()
        yield made


async def break_while_it_rings(world: World, name: str, extension: str) -> None:
    """The operator who was counted on takes a break before the person answers."""
    await world.order(name)
    await world.attempt(name, state="ringing")
    await world.phone(extension).keys("*421")
    await world.agent_is(extension, "paused")
    await world.network.answer(world.attempts(name)[0]["number"])


def heard(path: Path, from_s: float, to_s: float) -> Heard:
    """What the person heard in that part of the recording."""
    content = path.read_bytes()[44:] if path.suffix == ".wav" else path.read_bytes()
    samples = array("h", content[: len(content) // 4 * 4])
    if sys.byteorder == "big":
        samples.byteswap()
    return hear(samples[1::2][int(from_s * RATE_HZ) : int(to_s * RATE_HZ)])


def silences(path: Path, from_s: float, to_s: float) -> list[float]:
    """When, in that part of the recording, the person heard nothing for a second.

    A machine that stood still has recorded less than passed: what is not there is no silence.
    """
    seconds = [from_s + n for n in range(int(to_s - from_s) + 1)]
    parts = [(a, heard(path, a, b)) for a, b in pairwise(seconds)]
    there = [(a, part) for a, part in parts if part.length_s > 0.9]
    assert there, f"nothing is recorded from {from_s:.1f} s on"
    return [a for a, part in there if part.rms < AUDIBLE_RMS]


async def test_the_second_hears_music_until_it_is_their_turn(world: World):
    await world.order("turn")
    for place in (0, 1):
        await world.attempt("turn", place, state="ringing")
    await world.phone("102").keys("*421")
    await world.agent_is("102", "paused")
    for one in world.attempts("turn"):
        await world.network.answer(one["number"])

    def held():
        return next((one for one in world.attempts("turn") if one["held_at"] is not None), None)

    waits = await world.until(held, "somebody to be held")
    (talks,) = [one for one in world.attempts("turn") if one["attempt"] != waits["attempt"]]
    await world.until(
        lambda: next(one for one in world.attempts("turn") if one["attempt"] == talks["attempt"])["agent"],
        "the other to be served",
    )
    # The announcement, and some of the music after it.
    await world.until(lambda: time.time() > waits["held_at"] + 6.0, "the music to go on")
    assert waits["state"] == "answered"
    await world.phone("101").keys("*45")

    def joined():
        found = next(one for one in world.attempts("turn") if one["attempt"] == waits["attempt"])
        return found if found["state"] == "connected" else None

    await world.until(joined, "the turn of who was held")
    await world.until_recorded(waits["attempt"], 2.5)
    await world.phone("101").keys("*45")
    await world.finished("turn")
    (first, second) = sorted(world.attempts("turn"), key=lambda one: one["held_at"] or 0.0)
    assert (first["result"], second["result"]) == ("talked", "talked")
    assert {first["agent"], second["agent"]} == {"op101"}
    path, begin = world.recording(second["attempt"]), second["answered_at"]
    waited_s = second["connected_at"] - second["held_at"]
    assert waited_s > 6.0
    from_s = second["held_at"] - begin + 0.5
    assert silences(path, from_s, from_s + waited_s - 1.0) == []
    left, _ = hear_recording(path)
    assert heard(path, left.length_s - 1.7, left.length_s - 0.2).is_operator
    assert left.is_person


async def test_at_the_limit_the_last_word_is_said(world: World):
    await break_while_it_rings(world, "limit", "103")
    over = await world.attempt("limit", state="ended")
    assert (over["result"], over["ending"]) == ("abandoned", "no_agent")
    assert over["ended_at"] - over["held_at"] > 1.5
    await world.finished("limit")


async def test_who_hangs_up_during_the_music_hung_up(world: World):
    await break_while_it_rings(world, "leaves", "104")
    held_at = await world.until(lambda: world.attempts("leaves")[0]["held_at"], "the music")
    await world.until(lambda: time.time() > held_at + 1.0, "some of the music")
    await world.network.hang_up(world.attempts("leaves")[0]["number"])
    over = await world.attempt("leaves", state="ended")
    assert (over["result"], over["ending"], over["agent"]) == ("hung_up", "", None)
    call = await world.call_of(over["number"])
    assert call.ended_by == "person"
    await world.finished("leaves")


async def test_a_campaign_may_hang_up(world: World):
    await break_while_it_rings(world, "dropped", "105")
    over = await world.attempt("dropped", state="ended")
    assert (over["result"], over["ending"], over["held_at"]) == ("abandoned", "no_agent", None)
    call = await world.call_of(over["number"])
    assert call.ended_by == "caller"
    await world.finished("dropped")


async def test_the_music_outlives_the_engine_and_the_next_one_serves_who_hears_it(tmp_path, asterisk_install):
    settings = {"work": [(holding("demo", hold_s=60.0), [person(CUED)])], "seats": [seat("101")]}
    async with centre(tmp_path, **settings) as (world, engine):
        await world.sign_in()
        await break_while_it_rings(world, "demo", "101")
        held_at = await until(lambda: world.attempts()[0]["held_at"], "the person to be held")
        await until(lambda: time.time() > held_at + 1.0, "the music to begin")
        await engine.kill()
        killed_at = time.time()
        await until(lambda: time.time() > killed_at + 3.0, "some time without an engine")
        await engine.start()
        assert (await world.attempt("demo"))["state"] == "answered"
        await world.phone("101").keys("*43")
        await world.attempt("demo", state="connected")
        await world.phone("101").keys("*45")
        over = await world.attempt("demo", state="ended")
        assert over["result"] == "talked"
        assert len(world.network.calls()) == 1
        await until(
            lambda: world.rows("SELECT 1 FROM recordings WHERE attempt = ?", over["attempt"]), "the recording"
        )
        path, begin = world.recording(over["attempt"]), over["answered_at"]
        assert silences(path, over["held_at"] - begin + 0.5, over["connected_at"] - begin - 0.5) == []


async def test_who_is_not_even_held_when_the_engine_dies_hears_a_tone_and_then_the_last_word(
    tmp_path, asterisk_install
):
    """Between the answer and the music: the dialplan's own limit ends the wait, with no engine at all."""
    waits = campaign("demo", no_agent="hold", wait_s=3.0, agent_ring_s=1.0, ring_s=60.0)
    async with centre(tmp_path, work=[(waits, [person(CUED)])], seats=[seat("101")]) as (world, engine):
        await world.sign_in()
        await break_while_it_rings(world, "demo", "101")
        await world.attempt("demo", state="answered")
        await engine.kill()
        number = world.people[0].lines[0].number
        await until(lambda: world.network.calls()[0].ended_at, "the dialplan's own end of the wait", 60)
        call = await world.call_of(number)
        assert call.answered_at is not None
        assert call.ended_by == "caller"
        (path,) = (world.home / "recordings").glob("*/*.raw")
        # The tone sounds once in three seconds, then comes the last word.
        assert heard(path, 0.5, 2.0).rms > AUDIBLE_RMS
        assert heard(path, 14.0, 17.0).rms > AUDIBLE_RMS
        await engine.start()
        over = await world.attempt("demo", state="ended")
        assert over["result"] == "abandoned"


async def test_an_end_that_was_lost_on_an_open_socket_is_found(tmp_path, asterisk_install, monkeypatch):
    """The person's BYE is told to nobody; the operator does not stay in the call."""
    swallowed: list[str] = []
    handle = ServerLine.on_frame

    def deaf(self: ServerLine, frame: AnyFrame) -> None:
        if isinstance(frame, ChannelDestroyed) and frame.channel.id.startswith("a"):
            swallowed.append(frame.channel.id)
        else:
            handle(self, frame)

    monkeypatch.setattr(ServerLine, "on_frame", deaf)
    monkeypatch.setattr(serverline, "LIST_S", 0.5)
    monkeypatch.setattr(serverline, "LIST_AGAIN_S", 0.5)
    monkeypatch.setattr(adoption, "DOUBT_S", 0.4)
    talks = does("talks", talk_ms=1500)
    async with World(
        tmp_path, work=[(campaign(), [person(talks), person(talks)])], seats=[seat("101")]
    ) as world:
        await world.sign_in()
        await world.order("demo")
        await world.finished("demo", 60)
        attempts = world.attempts("demo")
        assert [one["result"] for one in attempts] == ["talked", "talked"]
        assert swallowed == [one["attempt"] for one in attempts]
        for one in attempts:
            assert world.recording(one["attempt"]).exists()
