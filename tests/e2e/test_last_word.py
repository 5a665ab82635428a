"""Who answers and meets no operator is told who calls, at once, and what they choose by a key is done."""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from dialer.core.conduct import LastWord, Prompt
from dialer.lab.day import Behaviour
from dialer.lab.network import NetworkCall
from dialer.lab.voice import RATE_HZ, hear
from dialer.pbx.speech import has_voice
from tests.e2e.test_crash import centre
from tests.e2e.world import World, campaign, does, person, seat, until

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.skipif(not has_voice(), reason="espeak-ng is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]

AUDIBLE_RMS = 40.0
RINGS_MS = 7000
"""Long enough to press four keys, or to kill an engine, before anybody answers, on a slow machine too."""
SILENCE_S = 6.5
"""Nobody hears nothing for longer: five seconds to press a key, and what it takes to speak again."""
WHO = LastWord(
    language="en", who=Prompt(text="This is the Example Centre, of Example Street. We called you.")
)


def pressing(behaviour: Behaviour, after_ms: int = 9000, **more):
    return person(does(behaviour, ring_ms=RINGS_MS, talk_ms=after_ms), **more)


def asking(name: str, **changes):
    settings = {"wait_s": 0.5, "last_word": WHO, "no_agent": "last_word", "ring_s": 15.0} | changes
    return campaign(name, **settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, asterisk_install) -> AsyncIterator[World]:
    work = [
        (asking("refuses"), [pressing(Behaviour.PRESSES_2)]),
        (asking("later"), [pressing(Behaviour.PRESSES_3_1)]),
        (asking("stays"), [pressing(Behaviour.PRESSES_1, voice=1)]),
    ]
    seats = [seat(f"10{n}", campaigns=(one.id,)) for n, (one, _) in enumerate(work, 1)]
    async with World(tmp_path_factory.mktemp("w"), work=work, seats=seats) as made:
        await made.sign_in()
        yield made


async def leave_alone(world: World, name: str, extension: str) -> None:
    """Dial, and let the operator who was counted on take a break before the person answers."""
    await world.order(name)
    await world.attempt(name, state="ringing")
    await world.phone(extension).keys("*421")
    await world.agent_is(extension, "paused")


def longest_silence(path: Path, from_s: float, to_s: float) -> float:
    """Of what the person heard in that part of a recording, the longest stretch with nothing in it."""
    content = path.read_bytes()[44:] if path.suffix == ".wav" else path.read_bytes()
    samples = array("h", content[: len(content) // 4 * 4])
    if sys.byteorder == "big":
        samples.byteswap()
    heard = samples[1::2]
    step = RATE_HZ // 10
    longest = present = 0
    for at in range(int(from_s * RATE_HZ), min(int(to_s * RATE_HZ), len(heard)) - step, step):
        quiet = hear(heard[at : at + step]).rms < AUDIBLE_RMS
        present = present + 1 if quiet else 0
        longest = max(longest, present)
    return longest / 10


async def test_who_wants_no_more_calls_gets_none(world: World):
    await leave_alone(world, "refuses", "101")
    over = await world.attempt("refuses", state="ended", within_s=60)
    assert world.rows("SELECT number, source FROM do_not_call") == [
        {"number": over["number"], "source": "ivr"}
    ]
    assert (over["choice"], over["result"]) == ("refuse", "abandoned")
    await world.finished("refuses")
    call = await world.call_of(over["number"])
    assert call.ended_by == "caller"
    path = world.recording(over["attempt"])
    lasted = over["ended_at"] - over["answered_at"]
    assert longest_silence(path, 0.0, lasted) <= SILENCE_S
    assert not list((world.home / "run/choices").glob("*.json"))


async def test_who_asks_to_be_called_later_will_be(world: World):
    await leave_alone(world, "later", "102")
    over = await world.attempt("later", state="ended", within_s=60)
    assert over["choice"] == "later"
    assert over["callback_at"] > time.time() + 3000
    (lead,) = world.rows("SELECT due, priority FROM leads WHERE id = ?", over["lead"])
    assert lead == {"due": over["callback_at"], "priority": 0}


async def test_who_chooses_to_wait_hears_music_and_is_served_first(world: World):
    await leave_alone(world, "stays", "103")
    held = await world.attempt("stays", state="answered", within_s=60)
    held_at = await world.until(lambda: world.attempts("stays")[0]["held_at"], "the person to be held", 60)
    await world.until(lambda: time.time() > held_at + 4.0, "some music")
    await world.phone("103").keys("*43")
    await world.attempt("stays", state="connected")
    await world.phone("103").keys("*45")
    over = await world.attempt("stays", state="ended")
    await world.finished("stays")
    assert over["result"] == "talked"
    assert over["choice"] == "wait"
    path = world.recording(over["attempt"])
    lasted = over["connected_at"] - held["answered_at"]
    assert longest_silence(path, 0.0, lasted) <= SILENCE_S


async def test_what_was_chosen_without_an_engine_holds_before_the_next_one_dials(tmp_path, asterisk_install):
    """The engine is killed while phones ring. One wants no more calls, one asks for an operator in vain; both are told."""
    refuses = pressing(Behaviour.PRESSES_2)
    waits = pressing(Behaviour.PRESSES_1, voice=1)
    talks = person(does("talks", talk_ms=500))
    settings = {"work": [(asking("demo"), [refuses, waits, talks])], "seats": [seat("101"), seat("102")]}
    async with centre(tmp_path, **settings) as (world, engine):
        await world.sign_in()
        await world.order("demo")
        for place in (0, 1):
            await world.attempt("demo", place, state="ringing")
        await engine.kill()
        numbers = [one.lines[0].number for one in (refuses, waits)]
        for number in numbers:
            call = await until(partial(ended_call, world, number), "the end", 90.0)
            assert call.ended_by == "caller", "nobody was left to hang up by themselves"
        (note,) = (world.home / "run/choices").glob("*.json")
        for path in (world.home / "recordings").glob("*/*.raw"):
            assert longest_silence(path, 0.0, 100.0) <= SILENCE_S
        await engine.start()
        await world.phone("101").keys("*42*43")
        await world.attempt("demo", 2, state="ended", within_s=60)
        assert not note.exists()
        dnc = [row["number"] for row in world.rows("SELECT number FROM do_not_call")]
        assert dnc == [numbers[0]]
        assert world.attempts("demo")[2]["number"] != numbers[0]
        assert [call.number for call in world.network.calls()].count(numbers[0]) == 1


def ended_call(world: World, number: str) -> NetworkCall | None:
    return next((call for call in world.network.calls() if call.number == number and call.ended_at), None)
