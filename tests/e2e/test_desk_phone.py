"""What an operator asks from the desk phone, dialed and keyed, before, during and after a call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dialer.lab.errors import LabCallRefused
from dialer.lab.phones import LabPhones, Phone
from tests.e2e.world import (
    MEDIA_PORTS,
    PATIENCE_S,
    SIP_PORTS,
    World,
    campaign,
    does,
    free_ports,
    person,
    seat,
)

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

NAMES = ("result", "ended", "busy", "leaving", "pausing")
STAYS = does("waits", talk_ms=60_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, asterisk_install) -> AsyncIterator[World]:
    work = [(campaign(name, wrap_up_s=0.5), [person(STAYS)]) for name in NAMES]
    work.append((campaign("cards"), [person(STAYS)]))
    seats = [seat("101"), seat("102"), seat("103", leg="rung"), seat("104", campaigns=("cards",))]
    async with World(tmp_path_factory.mktemp("w"), work=work, seats=seats) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def everybody_out(world: World) -> AsyncIterator[None]:
    """Each test begins with nobody signed in, and leaves nobody on the line."""
    yield
    for phone in world.phones:
        # Who was signed out is being hung up by the engine: two who hang up at once pass each other by.
        if phone.line is not None and world.agent(phone.phone.extension)["state"] == "signed_out":
            await phone.wait_until_ended(phone.line, within_s=PATIENCE_S)
        elif phone.is_on_line:
            await phone.hang_up()
    for extension, one in world.seats.items():
        await world.ask("POST", f"agents/{one.card.id}/sign_out")
        await world.agent_is(extension, "signed_out")
    await world.until(lambda: not world.house.floor.calls, "all calls to end")
    await world.until(lambda: all(world.state(name) != "running" for name in NAMES), "campaigns to end")


async def test_a_parked_operator_signs_in_pauses_is_ready_and_signs_out_by_keys(world):
    line = await world.phone("101").sign_in()
    assert (await world.agent_is("101", "ready"))["has_line"] == 1
    for keys, state, reason in (
        ("*422", "paused", "lunch"),
        ("*43", "ready", ""),
        ("*421", "paused", "break"),
        ("*424", "paused", "meeting"),
    ):
        await world.phone("101").keys(keys)
        await world.until(
            lambda state=state, reason=reason: (
                (agent := world.agent("101"))["state"] == state and agent["reason"] == reason
            ),
            f"{keys} to lead to {state} {reason}",
        )
        assert line.is_up
    await world.phone("101").keys("*41")
    await world.phone("101").wait_until_ended(line, within_s=PATIENCE_S)
    agent = await world.agent_is("101", "signed_out")
    assert (agent["channel"], agent["has_line"]) == (None, 0)
    history = [row["state"] for row in world.rows("SELECT state FROM agent_states WHERE agent = 'op101'")]
    assert history == ["arriving", "ready", "paused", "ready", "paused", "paused", "signed_out"]


async def test_a_rung_operator_dials_every_code_as_a_call_of_its_own(world):
    phone = world.phone("103")
    for code, state, reason in (
        ("*40", "ready", ""),
        ("*422", "paused", "lunch"),
        ("*43", "ready", ""),
        ("*41", "signed_out", ""),
    ):
        call = await phone.dial(code)
        assert call.ended_by == "server", "the confirmation ends the call"
        agent = await world.agent_is("103", state)
        assert agent["reason"] == reason


async def test_hanging_up_signs_a_parked_operator_out(world):
    await world.phone("101").sign_in()
    await world.agent_is("101", "ready")
    await world.phone("101").hang_up()
    await world.agent_is("101", "signed_out")


async def test_signing_in_again_from_the_same_phone_replaces_the_line(world):
    first = await world.phone("101").sign_in()
    await world.agent_is("101", "ready")
    second = await world.phone("101").sign_in()
    await world.phone("101").wait_until_ended(first, within_s=PATIENCE_S)
    agent = await world.agent_is("101", "ready")
    assert agent["has_line"] == 1
    assert second.is_up


@pytest.mark.parametrize("code", ["*49", "*429", "*449", "*4", "*45"])
async def test_a_code_that_means_nothing_is_refused_and_changes_nothing(world, code):
    """*49 is no code, 9 is no reason, there is no last call, and nobody to hang up."""
    await world.phone("103").dial("*40")
    before = await world.agent_is("103", "ready")
    with contextlib.suppress(LabCallRefused):  # *4 alone is not even a number
        call = await world.phone("103").dial(code)
        assert call.ended_by == "server"
    after = await world.agent_is("103", "ready")
    # While the code was dialed the phone was in use, and nobody was offered to its operator.
    assert {**after, "since": 0} == {**before, "since": 0}


async def test_a_code_that_means_nothing_keeps_the_line(world):
    line = await world.phone("101").sign_in()
    await world.agent_is("101", "ready")
    for keys in ("*49", "*429", "*45", "123", "*4*43"):
        await world.phone("101").keys(keys)
    await world.phone("101").keys("*421")
    await world.agent_is("101", "paused")
    assert line.is_up


async def test_an_operator_who_is_signed_out_may_ask_for_nothing_but_to_sign_in(world):
    for code in ("*421", "*43", "*41"):
        await world.phone("103").dial(code)
        assert world.agent("103")["state"] == "signed_out"


async def test_a_phone_that_nobody_knows_cannot_even_register(world, tmp_path):
    assert world.house.asterisk is not None
    strangers = LabPhones(
        tmp_path,
        sip_server=("127.0.0.1", world.house.asterisk.sip_port),
        phones=[
            Phone(extension="199", secret="guess"),
            Phone(extension="102", secret="guess"),
        ],
        port=free_ports(2, SIP_PORTS),
        media_port=free_ports(8, MEDIA_PORTS, tcp=False, even=True),
    )
    await strangers.start(register=False)
    try:
        for stranger in strangers:
            with pytest.raises(LabCallRefused):
                await stranger.register()
            with pytest.raises(LabCallRefused):
                await stranger.sign_in()
    finally:
        await strangers.stop()
    assert world.agent("102")["state"] == "signed_out"


async def test_the_result_is_given_during_the_call_and_changed_after_it(world):
    await world.phone("101").sign_in()
    await world.agent_is("101", "ready")
    await world.order("result")
    await world.attempt("result", state="connected")
    await world.phone("101").keys("*442")
    await world.attempt("result", state="connected", operator_result="presentation")
    await world.phone("101").keys("*449")  # no such result
    await world.phone("101").keys("*45")
    over = await world.attempt("result", state="ended")
    assert (over["result"], over["ending"], over["operator_result"]) == ("talked", "operator", "presentation")
    await world.phone("101").keys("*441")
    await world.attempt("result", operator_result="order")
    assert world.rows("SELECT finished FROM leads WHERE campaign = 'result'") == [{"finished": "order"}]
    (call,) = world.calls("result")
    assert call.ended_by == "caller"
    await world.finished("result")


async def test_the_operator_ends_the_call_and_is_ready_again_after_the_wrap_up(world):
    line = await world.phone("101").sign_in()
    await world.agent_is("101", "ready")
    await world.order("ended")
    await world.agent_is("101", "on_call")
    await world.phone("101").keys("*45")
    await world.agent_is("101", "ready")
    assert line.is_up
    states = [
        row["state"]
        for row in world.rows("SELECT state FROM agent_states WHERE agent = 'op101' ORDER BY id DESC LIMIT 5")
    ]
    assert states == ["ready", "wrap_up", "on_call", "reserved", "ready"]


@pytest.mark.parametrize(
    ("name", "keys", "state"), [("pausing", "*422", "paused"), ("leaving", "*41", "signed_out")]
)
async def test_what_is_asked_for_during_a_call_happens_after_it(world, name, keys, state):
    await world.phone("101").sign_in()
    await world.agent_is("101", "ready")
    await world.order(name)
    await world.attempt(name, state="connected")
    await world.phone("101").keys(keys)
    column = "pause_asked" if state == "paused" else "sign_out_asked"
    await world.until(lambda: world.agent("101")[column], f"{column} to be noted")
    assert world.agent("101")["state"] == "on_call"
    await world.phone("101").keys("*45")
    await world.agent_is("101", state)


async def test_an_operator_whose_line_drops_ends_the_conversation(world):
    """Nobody is left alone on the line."""
    await world.phone("101").sign_in()
    await world.agent_is("101", "ready")
    await world.order("busy")
    await world.attempt("busy", state="connected")
    await world.phone("101").hang_up()
    over = await world.attempt("busy", state="ended")
    assert (over["result"], over["ending"]) == ("talked", "agent_gone")
    await world.agent_is("101", "signed_out")
    (call,) = await world.until(
        lambda: [one for one in world.calls("busy") if one.ended_at], "the person's end"
    )
    assert call.ended_by == "caller"


async def test_a_supervisor_pauses_and_readies_an_operator(world):
    await world.phone("102").sign_in()
    await world.agent_is("102", "ready")
    await world.ask("POST", "agents/op102/pause", json={"reason": "fire drill"})
    assert (await world.agent_is("102", "paused"))["reason"] == "fire drill"
    await world.ask("POST", "agents/op102/ready")
    await world.agent_is("102", "ready")


async def test_an_operator_gets_only_the_people_of_their_campaigns(world):
    """104 works for ``cards`` alone; 101 for everybody, but is paused."""
    await world.phone("104").sign_in()
    await world.phone("101").sign_in()
    await world.agent_is("104", "ready")
    await world.agent_is("101", "ready")
    await world.phone("101").keys("*421")
    await world.agent_is("101", "paused")
    await world.order("cards")
    one = await world.attempt("cards", state="connected")
    assert one["agent"] == "op104"
    await asyncio.gather(*(world.phone(extension).hang_up() for extension in ("101", "104")))
    await world.attempt("cards", state="ended")
