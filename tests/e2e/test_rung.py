"""Operators whose phone is rung for each call: when it is rung, and what happens when nobody picks up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dialer.lab.voice import AUDIBLE, hear_recording
from tests.e2e.world import PATIENCE_S, World, campaign, does, person, seat

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

CUED = does("on_cue")
SILENT = does("no_ringing", ring_ms=4000, talk_ms=1500)
"""They answer so late that a phone which is rung at the dialing rings before, on a slow machine too."""
STAYS = does("waits", ring_ms=300)
AT_ONCE = ("at-dial", "at-ring", "at-answer", "unheard", "nobody", "rejected")
"""These campaigns run beside each other from the beginning: each has an operator of its own."""
NEXT_S = 5.0
"""Who picks up at once has picked up by then, on a slow machine too."""
LATE = "117"
"""Signs in after the others, and so is the longest idle only when they are gone."""
NEVER_BY_ITSELF_MS = 600_000
"""A phone that answers at once was asked to by the header: by itself it would take ten minutes."""


def alone(extension: str, name: str, **phone):
    """An operator of one campaign."""
    settings = {"pick_up_ms": NEVER_BY_ITSELF_MS} | phone
    return seat(extension, leg="rung", campaigns=(name,), **settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, asterisk_install) -> AsyncIterator[World]:
    work = [
        (campaign("at-dial", ring_agent="at_dial"), [person(SILENT)]),
        (campaign("at-ring", ring_agent="at_ring", ring_s=60.0), [person(CUED)]),
        (campaign("at-answer", ring_agent="at_answer"), [person(does("talks"))]),
        (campaign("unheard", ring_agent="at_ring"), [person(SILENT)]),
        (campaign("busy-person", ring_agent="at_dial"), [person(does("busy"))]),
        (campaign("next", wait_s=60.0, agent_ring_s=NEXT_S), [person(STAYS)]),
        (campaign("nobody", wait_s=1.0, agent_ring_s=1.5), [person(STAYS)]),
        (campaign("rejected", wait_s=1.0), [person(STAYS)]),
        (
            campaign("unplugged", ring_agent="at_dial", ring_s=60.0, wait_s=1.0, agent_ring_s=1.5),
            [person(CUED)],
        ),
        (campaign("hung-up", ring_s=60.0, wait_s=1.0), [person(CUED)]),
        (campaign("done"), [person(STAYS)]),
    ]
    seats = [
        alone("111", "at-dial"),
        alone("112", "at-ring"),
        alone("113", "at-answer"),
        alone("114", "unheard"),
        alone("115", "busy-person"),
        alone("116", "next", pick_up="never"),
        alone("117", "next"),
        alone("118", "nobody", pick_up="never"),
        alone("119", "rejected", pick_up="rejects"),
        alone("120", "unplugged", pick_up="slow"),  # whatever the header asks: it rings when it goes dark
        seat("121", campaigns=("hung-up",)),
        alone("122", "done"),
    ]
    async with World(tmp_path_factory.mktemp("w"), work=work, seats=seats) as made:
        await asyncio.gather(*(made.sign_in(extension) for extension in made.seats if extension != LATE))
        for name in AT_ONCE:
            await made.order(name)
        yield made


async def conversation(world: World, name: str, extension: str):
    """The campaign's one conversation: the network's call, and the phone's."""
    await world.finished(name)
    (attempt,) = world.attempts(name)
    (call,) = world.calls(name)
    (rung,) = [one for one in world.phone(extension).calls if one.kind == "rung"]
    assert attempt["result"] == "talked"
    assert rung.up_at is not None, "the header asked the phone to answer by itself"
    left, right = hear_recording(world.recording(attempt["attempt"]))
    assert left.mark_hz == call.mark_hz
    assert right.mark_hz == world.seats[extension].phone.mark_hz
    await world.phone(extension).wait_until_ended(rung, within_s=PATIENCE_S)
    await world.agent_is(extension, "ready")
    assert world.agent(extension)["channel"] is None
    assert call.number.removeprefix("+") in rung.number, "the display shows the person's number"
    return call, rung


async def test_at_dial_the_phone_is_rung_before_the_network_says_anything(world):
    call, rung = await conversation(world, "at-dial", "111")
    assert call.rang_at is None
    assert rung.began_at < call.answered_at


async def test_at_ring_the_phone_is_rung_when_the_person_is(world):
    await world.phone("112").wait_until_rung(within_s=PATIENCE_S)
    await world.network.answer(world.attempts("at-ring")[0]["number"])
    joined = await world.attempt("at-ring", state="connected")
    await world.until_recorded(joined["attempt"], 1.5)
    await world.network.hang_up(world.attempts("at-ring")[0]["number"])
    call, rung = await conversation(world, "at-ring", "112")
    assert call.rang_at < rung.began_at < call.answered_at


async def test_at_answer_the_phone_is_rung_when_the_person_answers(world):
    call, rung = await conversation(world, "at-answer", "113")
    assert call.answered_at < rung.began_at


async def test_at_ring_a_person_who_never_rang_gets_an_operator_at_the_answer(world):
    call, rung = await conversation(world, "unheard", "114")
    assert call.rang_at is None
    assert call.answered_at < rung.began_at


async def test_a_phone_that_was_rung_for_nobody_stops_ringing_and_the_operator_is_free(world):
    await world.order("busy-person")
    await world.attempt("busy-person", result="busy")
    await world.until(
        lambda: all(call.ended_at for call in world.phone("115").calls), "the phone to stop ringing"
    )
    await world.agent_is("115", "ready")
    assert world.agent("115")["reason"] == ""
    await world.order("busy-person", "stop")


async def test_an_operator_who_never_answers_is_paused_and_the_next_one_serves_the_person(world):
    await world.sign_in(LATE)
    await world.order("next")
    one = await world.attempt("next", state="connected")
    assert one["agent"] == "op117"
    assert (await world.agent_is("116", "paused"))["reason"] == "no_answer"
    (lazy,) = [call for call in world.phone("116").calls if call.kind == "rung"]
    assert lazy.up_at is None
    await world.phone("117").keys("*45")
    over = await world.attempt("next", state="ended")
    assert over["result"] == "talked"


async def said_goodbye(world: World, name: str) -> None:
    """The person was met by the last word: it is in the recording, on the side that they hear."""
    over = await world.attempt(name, state="ended")
    assert (over["result"], over["ending"]) == ("abandoned", "no_agent")
    (call,) = world.calls(name)
    assert call.ended_by == "caller"
    await world.house.finish_recordings()
    left, right = hear_recording(world.recording(over["attempt"]))
    assert left.mark_hz == call.mark_hz
    assert right.rms > AUDIBLE, "the last word was not heard"
    assert not right.is_operator


async def test_when_nobody_picks_up_the_person_hears_the_last_word(world):
    await said_goodbye(world, "nobody")
    assert (await world.agent_is("118", "paused"))["reason"] == "no_answer"


async def test_when_the_operators_phone_turns_the_call_away_the_person_hears_the_last_word(world):
    await said_goodbye(world, "rejected")
    assert (await world.agent_is("119", "paused"))["reason"] == "no_answer"


async def test_when_the_only_phone_is_unplugged_while_the_person_rings_they_hear_the_last_word(world):
    await world.order("unplugged")
    await world.phone("120").wait_until_rung(within_s=PATIENCE_S)
    await world.phone("120").pull_the_plug()
    await world.network.answer(world.attempts("unplugged")[0]["number"])
    await said_goodbye(world, "unplugged")
    assert (await world.agent_is("120", "paused"))["reason"] == "no_answer"


async def test_when_the_only_operator_hangs_up_while_the_person_rings_they_hear_the_last_word(world):
    await world.order("hung-up")
    await world.attempt("hung-up", state="ringing")
    await world.phone("121").hang_up()
    await world.agent_is("121", "signed_out")
    await world.network.answer(world.attempts("hung-up")[0]["number"])
    await said_goodbye(world, "hung-up")
    assert world.agent("121")["state"] == "signed_out"


async def test_a_rung_operator_ends_the_call_by_hanging_up(world):
    await world.order("done")
    await world.attempt("done", state="connected")
    await world.phone("122").hang_up()
    over = await world.attempt("done", state="ended")
    assert (over["result"], over["ending"]) == ("talked", "agent_gone")
    await world.agent_is("122", "ready")
    await world.phone("122").dial("*441")
    await world.attempt("done", operator_result="order")
