"""Machines are told from people and get their message; campaigns without operators say theirs and take a key."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from dialer.core.conduct import Announcement, LastWord, Machines, Prompt
from dialer.lab.day import Behaviour
from dialer.pbx.speech import has_voice
from dialer.pbx.wire import LISTENED_S_MAX
from tests.e2e.test_crash import centre
from tests.e2e.test_last_word import RINGS_MS, SILENCE_S, ended_call, longest_silence
from tests.e2e.world import World, campaign, does, person, seat, until

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.skipif(not has_voice(), reason="espeak-ng is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]

LISTENING = Machines(
    detect=True, listen_s=1.5, action="message", message=Prompt(text="Please call the Example Centre.")
)
MESSAGE = Announcement(
    message=Prompt(
        text="Your parcel comes tomorrow. Press one if you are at home, two for no more calls, three for us."
    ),
    keys={"1": "confirm", "2": "refuse", "3": "operator"},
)


SHORT = Announcement(
    message=Prompt(text="Press one to confirm, three for an operator."),
    keys={"1": "confirm", "3": "operator"},
    times=1,
)


def sends(name: str, **changes):
    settings = {"mode": "announcement", "announcement": MESSAGE, "last_word": LastWord(), "ring_s": 15.0}
    return campaign(name, **(settings | changes))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, asterisk_install) -> AsyncIterator[World]:
    work = [
        (
            campaign("listens", machines=LISTENING),
            [person(does("machine", talk_ms=14000)), person(does("silent"))],
        ),
        (sends("confirms"), [person(does(Behaviour.PRESSES_1, talk_ms=3000))]),
        (sends("refuses"), [person(does(Behaviour.PRESSES_2, talk_ms=3000))]),
        (sends("heard"), [person(does("silent"))]),
        (sends("asks", hold_s=60.0), [person(does(Behaviour.PRESSES_3_1, talk_ms=4000))]),
        (
            sends("both", machines=LISTENING, record=False, announcement=SHORT),
            [person(does("machine", talk_ms=9000)), person(does("silent"))],
        ),
    ]
    seats = [seat("101", campaigns=("listens",)), seat("102", campaigns=("asks",))]
    async with World(tmp_path_factory.mktemp("w"), work=work, seats=seats) as made:
        await made.sign_in()
        yield made


async def test_a_machine_gets_its_message_and_a_person_an_operator(world: World):
    await world.order("listens")
    await world.until(
        lambda: any(one["state"] == "connected" for one in world.attempts("listens")), "a conversation", 60
    )
    await world.phone("101").keys("*45")
    await world.until(
        lambda: (
            len(world.attempts("listens")) == 2
            and all(one["state"] == "ended" for one in world.attempts("listens"))
        ),
        "both calls to end",
        60,
    )
    await world.order("listens", "stop")
    await world.house.finish_recordings()
    by_number = {one["number"]: one for one in world.attempts("listens")}
    assert sorted(one["result"] for one in by_number.values()) == ["machine", "talked"]
    talked = next(one for one in by_number.values() if one["result"] == "talked")
    assert talked["connected_at"] - talked["answered_at"] > 0.8  # it was listened, and that counts as waiting
    machine = next(one for one in by_number.values() if one["result"] == "machine")
    assert machine["abandoned_at"] is None
    # What AMD is asked has a test of its own; a busy machine adds to it.
    assert 0.8 < talked["listened_s"] < LISTENED_S_MAX
    assert 0.8 < machine["listened_s"] < LISTENED_S_MAX
    message = world.recording(machine["attempt"])
    assert longest_silence(message, 0.0, 14.0) < 14.0 - 1.5, "the machine got no message"


async def test_an_announcement_is_confirmed(world: World):
    await world.order("confirms")
    over = await world.attempt("confirms", state="ended", within_s=60)
    assert (over["result"], over["choice"], over["abandoned_at"]) == ("announced", "confirm", None)
    await world.finished("confirms")


async def test_who_wants_no_more_announcements_gets_none(world: World):
    await world.order("refuses")
    over = await world.attempt("refuses", state="ended", within_s=60)
    assert (over["result"], over["choice"]) == ("announced", "refuse")
    assert world.rows("SELECT source FROM do_not_call WHERE number = ?", over["number"]) == [
        {"source": "ivr"}
    ]


async def test_who_presses_nothing_hears_the_message_twice_and_goodbye(world: World):
    await world.order("heard")
    over = await world.attempt("heard", state="ended", within_s=60)
    assert (over["result"], over["choice"]) == ("announced", None)
    lasted = over["ended_at"] - over["answered_at"]
    assert lasted > 10.0
    await world.finished("heard")
    assert longest_silence(world.recording(over["attempt"]), 0.0, lasted) <= SILENCE_S


async def test_who_asks_for_an_operator_hears_music_and_is_joined(world: World):
    await world.phone("102").keys("*421")
    await world.agent_is("102", "paused")
    await world.order("asks")
    await world.until(
        lambda: [one for one in world.attempts("asks") if one["held_at"]], "the person to be held", 60
    )
    (held,) = world.attempts("asks")
    await world.until(lambda: time.time() > held["held_at"] + 4.0, "some music")
    await world.phone("102").keys("*43")
    await world.attempt("asks", state="connected")
    await world.phone("102").keys("*45")
    over = await world.attempt("asks", state="ended")
    await world.finished("asks")
    assert (over["result"], over["choice"], over["abandoned_at"]) == ("talked", "operator", None)
    waited = over["connected_at"] - over["answered_at"]
    assert longest_silence(world.recording(over["attempt"]), 0.0, waited) <= SILENCE_S


async def test_a_message_for_people_alone_and_nothing_is_recorded(world: World):
    await world.order("both")
    await world.until(
        lambda: [one["state"] for one in world.attempts("both")] == ["ended"] * 2, "both calls to end", 60
    )
    machine, person_ = sorted(world.attempts("both"), key=lambda one: str(one["result"]), reverse=True)
    assert (machine["result"], person_["result"]) == ("machine", "announced")
    assert min(machine["listened_s"], person_["listened_s"]) > 0.8
    assert person_["ended_at"] - person_["answered_at"] > 5.0
    assert machine["answered_at"] is None
    await world.order("both", "stop")
    await world.house.finish_recordings()
    attempts = [one["attempt"] for one in (machine, person_)]
    assert world.rows("SELECT * FROM recordings WHERE attempt IN (?, ?)", *attempts) == []


async def test_a_message_is_said_and_a_key_taken_without_an_engine(tmp_path, asterisk_install):
    """The engine is killed while phones ring. One confirms, one asks for an operator in vain and then for no more calls,
    one only listens; the next engine knows all of it, and calls nobody again."""
    people = [
        person(does(Behaviour.PRESSES_1, ring_ms=RINGS_MS, talk_ms=2000)),
        person(does(Behaviour.PRESSES_3_1, ring_ms=RINGS_MS, talk_ms=4000), voice=1),
        person(does("silent", ring_ms=RINGS_MS), voice=2),
    ]
    word = LastWord(who=Prompt(text="This is the Example Centre."), offers=("refuse", "wait"))
    sent = sends("sent", announcement=SHORT, last_word=word)
    async with centre(tmp_path, work=[(sent, people)], seats=[seat("101")]) as (world, engine):
        await world.order("sent")
        for place in range(3):
            await world.attempt("sent", place, state="ringing")
        await engine.kill()
        numbers = [one.lines[0].number for one in people]
        for number in numbers:
            call = await until(partial(ended_call, world, number), "the end", 60.0)
            assert call.ended_by == "caller", "nobody was left to hang up by themselves"
        assert len(list((world.home / "run/choices").glob("*.json"))) == 2
        for path in (world.home / "recordings").glob("*/*.raw"):
            assert longest_silence(path, 0.0, 100.0) <= SILENCE_S
        await engine.start()
        await until(
            lambda: [one["state"] for one in world.attempts("sent")] == ["ended"] * 3,
            "the three to be told",
            60.0,
        )
        found = {one["number"]: (one["result"], one["choice"]) for one in world.attempts("sent")}
        assert [found[number] for number in numbers] == [
            ("announced", "confirm"),
            ("announced", "refuse"),
            ("announced", None),
        ]
        assert all(one["abandoned_at"] is None and one["answered_at"] for one in world.attempts("sent"))
        await until(lambda: world.state("sent") == "finished", "the end of the campaign", 60.0)
        assert [row["number"] for row in world.rows("SELECT number FROM do_not_call")] == [numbers[1]]
        assert len(world.network.calls()) == 3
        assert not list((world.home / "run/choices").glob("*.json"))
