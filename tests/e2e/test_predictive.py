"""Calls ahead of operators on a real Asterisk: who is served, who is not and hears why, and that both are counted.

The campaigns promise little (a share of 0.9), so that the pacer dares calls ahead from the first one on: what is tested is what
then becomes of people, not how many there are. People are told when to answer, so that nothing races.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bench.live.count import laboratory
from dialer.core.conduct import Abandonment, LastWord, Pacing, Prompt
from dialer.core.pacing.ledger import DAY_S
from dialer.core.values import ABANDONED_RESULTS, Campaign, RetryRule
from dialer.lab.crowd import Manners, crowd
from dialer.lab.day import Person
from dialer.lab.voice import AUDIBLE, hear_recording
from dialer.office.replay import replay
from dialer.store import promises
from dialer.store.connect import open_reader
from tests.e2e.test_crash import centre
from tests.e2e.world import QUICK_RETRY, World, campaign, does, person, seat, until

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

LIMIT_S = 2.0
CLOCKS_S = 0.25
"""From the instant that a limit is over until the engine has seen to it, on a machine that has much to do."""
WELCOME_S = 1.5
"""Who has signed in is told so for as long, and is not heard meanwhile."""
HEARD_S = 1.0
"""Who talks so long has heard the operator."""
CUED = does("on_cue")
ONCE = {result: RetryRule(attempts=1, again_s=None) for result in QUICK_RETRY}


def ahead(name: str, *, share: float = 0.9, ring_s_min: float = 1.0, **changes: Any) -> Campaign:
    pacing = Pacing(
        abandonment=Abandonment(share=share, cap=1.0, limit_s=LIMIT_S), ring_s_min=ring_s_min, operators_min=1
    )
    who = LastWord(who=Prompt(text="This is the laboratory."), offers=())
    usual: dict[str, Any] = {"ring_s": 90.0, "wait_s": LIMIT_S}
    return campaign(name, mode="predictive", pacing=pacing, last_word=who, **{**usual, **changes})


def cued(count: int) -> list[Person]:
    return [person(CUED, voice=place) for place in range(count)]


def quick_day() -> list[Person]:
    """People in a hurry."""
    manners = Manners(
        answer_share=0.6,
        ring_s=0.6,
        ring_s_min=0.2,
        refusal_share=0.0,
        talk_s=1.8,
        talk_s_min=1.2,
        talk_s_max=3.0,
    )
    return crowd(5, 14, manners)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, asterisk_install) -> AsyncIterator[World]:
    crossing = [person(does("crosses_cancel"), voice=place) for place in range(6)]
    work = [
        (ahead("ahead"), cued(14)),
        (ahead("leave", share=0.03), crossing),
        (ahead("late", ring_s_min=80.0), cued(6)),
        (ahead("day", ring_s=4.0, retry=ONCE), quick_day()),
    ]
    places = {"ahead": 2, "leave": 4, "late": 2, "day": 3}
    names = [name for name, count in places.items() for _ in range(count)]
    seats = [seat(str(101 + place), campaigns=(name,)) for place, name in enumerate(names)]
    async with World(tmp_path_factory.mktemp("w"), work=work, seats=seats) as made:
        await asyncio.gather(*(made.sign_in(extension) for extension in made.seats))
        quiet_at = max(made.agent(extension)["since"] for extension in made.seats) + WELCOME_S
        await made.until(lambda: time.time() > quiet_at, "the end of the words that confirm a sign-in")
        yield made


def team(world: World, name: str) -> list[str]:
    """The extensions of the campaign's operators."""
    return [extension for extension, one in world.seats.items() if one.card.campaigns == (name,)]


def counted(world: World, name: str) -> tuple[int, int]:
    """Answered and abandoned, as the ledger has them."""
    days = world.rows("SELECT answered, abandoned FROM abandonment WHERE campaign = ?", name)
    return sum(one["answered"] for one in days), sum(one["abandoned"] for one in days)


def ringing(world: World, name: str) -> list[dict[str, Any]]:
    return [one for one in world.attempts(name) if one["state"] == "ringing"]


async def heard_the_last_word(world: World, number: str, name: str) -> dict[str, Any]:
    """Who answered met nobody, and was not met with silence; their attempt."""

    def found() -> dict[str, Any] | None:
        rows = [one for one in world.attempts(name) if one["number"] == number]
        return rows[-1] if rows and rows[-1]["state"] == "ended" else None

    over: dict[str, Any] = await world.until(found, "the end of the last word")
    assert (over["result"], over["connected_at"]) == ("abandoned", None)
    await world.house.finish_recordings()
    left, right = hear_recording(world.recording(over["attempt"]))
    assert left.is_person
    assert right.rms > AUDIBLE, "the last word was not heard"
    assert not right.is_operator
    return over


def of(world: World, name: str, number: str) -> dict[str, Any]:
    """The last attempt at *number*."""
    return next(one for one in reversed(world.attempts(name)) if one["number"] == number)


async def three_ring(world: World, name: str) -> list[str]:
    """Wait until more people ring than there are operators (two); three of their numbers."""
    await until(lambda: len(ringing(world, name)) > 2, "more calls than operators")
    return [one["number"] for one in ringing(world, name)[:3]]


async def serve_two(world: World, name: str) -> list[str]:
    """Three ring; two of them answer, and both operators talk with them. All three numbers, who rings the last."""
    numbers = await three_ring(world, name)
    for number in numbers[:2]:
        await world.network.answer(number)
    await until(
        lambda: all(of(world, name, number)["state"] == "connected" for number in numbers[:2]),
        "both to be served",
    )
    return numbers


async def test_calls_are_placed_ahead_and_who_answers_is_given_the_operator_who_is_free_in_time(world: World):
    await world.order("ahead")
    first, second, third = await serve_two(world, "ahead")
    joined_at = of(world, "ahead", first)["connected_at"]
    await world.until(lambda: time.time() > joined_at + HEARD_S, "a conversation")
    await world.network.answer(third)
    await world.network.hang_up(first)
    await world.until(lambda: of(world, "ahead", third)["state"] == "connected", "the third to be served")
    for number in (first, second, third):
        one = of(world, "ahead", number)
        assert one["connected_at"] - one["answered_at"] <= LIMIT_S
        assert one["abandoned_at"] is None
    assert counted(world, "ahead") == (3, 0)
    joined_at = of(world, "ahead", third)["connected_at"]
    await world.until(lambda: time.time() > joined_at + HEARD_S, "a conversation")
    await world.network.hang_up(second)
    await world.network.hang_up(third)


async def test_who_meets_nobody_in_time_is_abandoned_and_told_so(world: World):
    first, second, third = await serve_two(world, "ahead")
    before = counted(world, "ahead")
    await world.network.answer(third)
    over = await heard_the_last_word(world, third, "ahead")
    assert LIMIT_S <= over["abandoned_at"] - over["answered_at"] < LIMIT_S + CLOCKS_S
    assert counted(world, "ahead") == (before[0] + 1, before[1] + 1)
    await world.order("ahead", "stop")
    await world.network.hang_up(first)
    await world.network.hang_up(second)


async def test_when_all_operators_leave_calls_are_given_up_and_an_answer_that_crosses_is_abandoned(
    world: World,
):
    """Here one abandoned call is too many, and a call for each operator rings when all hang up."""
    await world.order("leave")
    await world.until(lambda: len(ringing(world, "leave")) == 4, "a call for each operator")
    for extension in team(world, "leave"):
        await world.phone(extension).hang_up()
    for extension in team(world, "leave"):
        await world.agent_is(extension, "signed_out")

    def given_up() -> list[dict[str, Any]]:
        return [
            one for one in world.attempts("leave") if one["ending"] == "pacing" and one["state"] == "ended"
        ]

    await world.until(lambda: len(given_up()) >= 2, "ringing calls to be given up")
    for one in given_up():
        assert one["ended_at"] - one["rang_at"] >= 1.0, "given up before it had rung long enough"
        call = await world.call_of(one["number"])
        assert call.crossed
        assert one["result"] == "abandoned"
        assert one["rang_at"] < one["answered_at"] <= one["abandoned_at"] <= one["ended_at"]
    assert counted(world, "leave") == (len(given_up()),) * 2
    assert len(world.attempts("leave")) == 4, "nobody is called for nobody"
    await world.order("leave", "stop")


async def test_who_answers_when_all_have_left_hears_the_last_word(world: World):
    await world.order("late")
    (number, *_) = await three_ring(world, "late")
    for extension in team(world, "late"):
        await world.phone(extension).keys("*421")
        await world.agent_is(extension, "paused")
    placed = len(world.attempts("late"))
    await world.network.answer(number)
    await heard_the_last_word(world, number, "late")
    assert counted(world, "late") == (1, 1)
    assert len(world.attempts("late")) == placed, "a pause stops calls ahead"
    await world.order("late", "stop")


async def test_all_is_counted_as_the_network_counted_it(world: World):
    """A day of people who follow their own clocks; and whatever was done before in this module."""
    await world.order("day")
    await world.finished("day")
    recordings = {
        row["attempt"]: world.home / "recordings" / row["path"]
        for row in world.rows("SELECT attempt, path FROM recordings WHERE path IS NOT NULL")
    }
    for one, _ in world.work:
        attempts = world.attempts(one.id)
        met, differences = await asyncio.to_thread(laboratory, world.calls(one.id), attempts, recordings)
        assert differences == []
        assert met.late == 0
        assert counted(world, one.id) == (met.answered, met.abandoned)
        for row in attempts:
            if row["connected_at"] is not None and row["abandoned_at"] is None:
                assert row["connected_at"] - row["answered_at"] <= LIMIT_S
            if row["result"] in ABANDONED_RESULTS:
                assert row["abandoned_at"] is not None
    with contextlib.closing(open_reader(world.house.journal.path)) as connection:
        for row in promises.recount(connection, None, 0, int(time.time() // DAY_S) + 1):
            assert row["answered"] == row["recounted_answered"], row
            assert row["abandoned"] == row["recounted_abandoned"], row
        assert (await asyncio.to_thread(replay, connection)).starts == 1


async def test_a_killed_engine_forgets_neither_the_count_nor_who_is_talking(tmp_path, asterisk_install):
    settings: dict[str, Any] = {"work": [(ahead("demo"), cued(10))], "seats": [seat("101"), seat("102")]}
    async with centre(tmp_path, **settings) as (world, engine):
        await world.sign_in()
        await world.order("demo")
        first, second, third = await serve_two(world, "demo")
        await world.network.answer(third)
        await until(lambda: counted(world, "demo") == (3, 1), "the third to be abandoned")
        await engine.kill()
        await engine.start()
        for number in (first, second):
            assert of(world, "demo", number)["state"] == "connected"
            await world.network.hang_up(number)
        (fourth, *_) = await three_ring(world, "demo")
        await world.network.answer(fourth)
        await until(lambda: of(world, "demo", fourth)["state"] == "connected", "the fourth to be served")
        assert counted(world, "demo") == (4, 1)
