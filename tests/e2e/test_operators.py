"""Operators' states follow their phones, and pauses and wrap-ups end as they should."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from dialer.core.events import CentreApplied
from dialer.core.values import Centre
from tests.e2e.world import PATIENCE_S, World, campaign, does, person, seat

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

STAYS = does("waits", talk_ms=60_000)
CENTRE = Centre(pause_s_max=5.0, missed_max=2, missed_rest_s=4.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, asterisk_install) -> AsyncIterator[World]:
    work = [
        (campaign("idle"), []),
        (campaign("private"), [person(does("talks"))]),
        (campaign("unplugged"), [person(does("talks"))]),
        (
            campaign("missed", wait_s=1.0, agent_ring_s=1.0),
            [person(STAYS), person(STAYS), person(does("talks"))],
        ),
        (campaign("card", wrap_up="card", wrap_up_s_max=120.0), [person(does("talks")), person(STAYS)]),
    ]
    seats = [
        seat("131", leg="rung", campaigns=("private",)),
        seat("132", leg="rung", campaigns=("unplugged",)),
        seat("133", leg="rung", campaigns=("missed",), pick_up="never"),
        seat("134", campaigns=("card",)),
        seat("135", campaigns=("idle",)),
        seat("136", leg="rung", campaigns=("idle",)),
    ]
    async with World(tmp_path_factory.mktemp("w"), work=work, seats=seats) as made:
        made.house.inbox.put(CentreApplied(at=made.house.clock(), centre=CENTRE))
        yield made


async def paused_for(world: World, extension: str, reason: str) -> None:
    await world.until(
        lambda: (agent := world.agent(extension))["state"] == "paused" and agent["reason"] == reason,
        f"{extension} to be paused for {reason}",
    )


async def leads_are_at_hand(world: World, name: str) -> None:
    """The campaign runs and could dial: nothing but an operator is missing."""
    await world.until_health(lambda health: health["hopper"].get(name), f"leads of {name}")


async def test_a_rung_operator_in_a_private_call_is_offered_nobody_and_is_after_it(world):
    await world.sign_in("131")
    await world.phone("131").sign_in("*60")
    await paused_for(world, "131", "phone_in_use")
    await world.order("private")
    await leads_are_at_hand(world, "private")
    assert world.attempts("private") == []
    await world.phone("131").hang_up()
    over = await world.attempt("private", state="ended")
    assert (over["result"], over["agent"]) == ("talked", "op131")
    await world.agent_is("131", "ready")


async def test_an_unplugged_phone_is_noticed_and_its_operator_offered_nobody_until_it_is_back(world):
    assert world.house.asterisk is not None
    await world.sign_in("132")
    await world.phone("132").pull_the_plug()
    # Asterisk asks every phone now and then; it is made to ask this one now.
    await world.house.asterisk.run_cli("pjsip qualify 132")
    await paused_for(world, "132", "phone_lost")
    await world.order("unplugged")
    await leads_are_at_hand(world, "unplugged")
    assert world.attempts("unplugged") == []
    await world.phone("132").start()
    await world.phone("132").register()
    over = await world.attempt("unplugged", state="ended")
    assert (over["result"], over["agent"]) == ("talked", "op132")


async def test_a_phone_that_signs_off_is_lost_at_once(world):
    await world.sign_in("136")
    await world.phone("136").unregister()
    # Its word alone tells so: it is on, and would answer whoever asks.
    await paused_for(world, "136", "phone_lost")
    await world.phone("136").register()
    await world.agent_is("136", "ready")


async def test_who_missed_two_calls_is_paused_and_ready_again_after_a_rest(world):
    # Long enough to look, on a slow machine too, before the next person is dialed for them.
    resting = msgspec.structs.replace(CENTRE, missed_rest_s=15.0, pause_s_max=60.0)
    world.house.inbox.put(CentreApplied(at=world.house.clock(), centre=resting))
    await world.sign_in("133")
    await world.order("missed")
    await paused_for(world, "133", "no_answer")
    legs = [call for call in world.phone("133").calls if call.kind == "rung"]
    assert len(legs) == 2
    met = [one for one in world.attempts("missed") if one["answered_at"]]
    assert len(met) == 2, "nobody was rung for twice, and nobody else was dialed for the empty chair"
    await world.order("missed", "pause")
    await world.agent_is("133", "ready")
    assert world.agent("133")["missed"] == 2
    await world.phone("133").dial("*43")
    await world.until(lambda: world.agent("133")["missed"] == 0, "the operator's sign of life to count")
    world.house.inbox.put(CentreApplied(at=world.house.clock(), centre=CENTRE))


async def test_a_card_that_is_closed_ends_the_wrap_up(world):
    await world.sign_in("134")
    await world.order("card")
    await world.attempt("card", state="ended", result="talked")
    assert (await world.agent_is("134", "wrap_up"))["deadline"] is not None
    assert len(world.attempts("card")) == 1
    await world.phone("134").keys("*441")
    await world.attempt("card", operator_result="order")
    await world.attempt("card", 1, state="connected")
    assert world.agent("134")["state"] == "on_call"
    await world.phone("134").keys("*45*441")
    await world.agent_is("134", "ready")


async def test_a_pause_that_is_too_long_ends_in_a_sign_out_and_the_line_is_free(world):
    line = await world.phone("135").sign_in()
    await world.agent_is("135", "ready")
    await world.phone("135").keys("*421")
    await world.agent_is("135", "paused")
    await world.agent_is("135", "signed_out")
    await world.phone("135").wait_until_ended(line, within_s=PATIENCE_S)
    assert line.ended_by == "server"
