"""Hold, transfer and conference at the desk phone, on a real Asterisk; who spoke with whom is heard in the recording."""

from __future__ import annotations

import contextlib
import wave
from array import array
from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dialer.lab.voice import OPERATOR_MARKS_HZ, PERSON_MARKS_HZ, hear
from dialer.pbx.errors import PbxRefused
from tests.e2e.test_crash import centre
from tests.e2e.world import PATIENCE_S, World, campaign, does, person, seat

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

STAYS = does("waits", talk_ms=120_000)
PERSON, THIRD = 0, 3
"""Voices."""
HEARD_S = 3.0
MINE = ("101", "103", "104")
"""Operators of the campaigns; 102 and 105 are colleagues, who work for another."""

NAMES = (
    "hold",
    "key",
    "parked",
    "rung",
    "outside",
    "busy",
    "consult",
    "back",
    "refer",
    "attended",
    "left",
    "barred",
    "gone",
)
THIRDS = {
    "1": person(STAYS, voice=THIRD),
    "2": person(does("busy")),
    "3": person(does("on_cue"), voice=THIRD),
}


def numbers() -> dict[str, str]:
    return {key: who.lines[0].number for key, who in THIRDS.items()}


def seats() -> list[Any]:
    return [
        seat("101", campaigns=NAMES),
        seat("102", campaigns=("thirds",)),
        seat("103", leg="rung", campaigns=NAMES),
        seat("104", campaigns=NAMES),
        seat("105", leg="rung", campaigns=("thirds",)),
    ]


def settings(names: Sequence[str], **changes: Any) -> dict[str, Any]:
    work = [
        (campaign(name, transfer_numbers=numbers(), wrap_up_s=1.0, **changes), [person(STAYS, voice=PERSON)])
        for name in names
    ]
    return {"work": [*work, (campaign("thirds"), list(THIRDS.values()))], "seats": seats()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, asterisk_install) -> AsyncIterator[World]:
    async with World(tmp_path_factory.mktemp("w"), **settings(NAMES)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def everybody_out(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Each test leaves nobody signed in and nobody on the line."""
    yield
    if "world" not in request.fixturenames:
        return
    world = request.getfixturevalue("world")
    for attempt in list(world.house.floor.calls):
        await end(world, attempt)
    for extension, one in world.seats.items():
        phone = world.phones[extension]
        while phone.line is not None:
            await phone.hang_up()
        await world.ask("POST", f"agents/{one.card.id}/sign_out")
        await world.agent_is(extension, "signed_out")
    await world.until(lambda: not world.house.floor.calls, "all calls to end")
    await world.until(lambda: all(world.state(name) != "running" for name in NAMES), "campaigns to end")


# -- hearing --------------------------------------------------------------------------------


def voices(path: Path) -> tuple[list[int], list[int]]:
    """Whose voices follow each other in the left and in the right channel: marks, in half seconds; music and silence left out."""
    with wave.open(str(path), "rb") as file:
        samples = array("h", file.readframes(file.getnframes()))
    return _voices(samples[0::2]), _voices(samples[1::2])


def _voices(samples: array[int]) -> list[int]:
    heard = []
    for start in range(0, len(samples) - 3999, 4000):
        mark = hear(samples[start : start + 4000]).mark_hz
        heard.append(mark)
    long = [mark for mark, group in groupby(heard) if mark is not None and len(list(group)) >= 2]
    return [mark for mark, _ in groupby(long)]


def loudness(path: Path) -> list[float]:
    """Of the right channel, by half seconds."""
    with wave.open(str(path), "rb") as file:
        samples = array("h", file.readframes(file.getnframes()))[1::2]
    return [hear(samples[start : start + 4000]).rms for start in range(0, len(samples) - 3999, 4000)]


async def heard(world: World, attempt: str, seconds: float = HEARD_S) -> None:
    """Let them talk for so long."""
    await world.until_recorded(attempt, seconds)


async def end(world: World, attempt: str) -> None:
    """The person's channel ends."""
    with contextlib.suppress(PbxRefused):
        await world.house.ari.request("DELETE", f"/channels/{attempt}")


# -- acting ---------------------------------------------------------------------------------


async def talk(world: World, name: str, *extensions: str) -> dict[str, Any]:
    """Sign the operators in; the first of them gets the campaign's person."""
    await world.sign_in(*extensions)
    await world.order(name)
    attempt = await world.attempt(name, state="connected")
    await heard(world, attempt["attempt"])
    return attempt


def transfers(world: World, attempt: str) -> list[dict[str, Any]]:
    return world.rows("SELECT * FROM transfers WHERE attempt = ? ORDER BY place", attempt)


async def transfer_is(world: World, attempt: str, state: str, outcome: str = "") -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        rows = transfers(world, attempt)
        return rows[-1] if rows and (rows[-1]["state"], rows[-1]["outcome"]) == (state, outcome) else None

    try:
        row: dict[str, Any] = await world.until(found, f"the transfer to be {state} {outcome}")
    except AssertionError as failure:
        raise AssertionError(f"{failure}; there is {transfers(world, attempt)}") from None
    return row


async def recorded(world: World, name: str) -> Path:
    over = await world.attempt(name, state="ended")
    assert over["result"] == "talked"
    await world.house.finish_recordings()
    return world.recording(over["attempt"])


def mark(extension: str) -> int:
    return OPERATOR_MARKS_HZ[int(extension[-1]) % len(OPERATOR_MARKS_HZ)]


P, T = PERSON_MARKS_HZ[PERSON], PERSON_MARKS_HZ[THIRD]


# -- tests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hold", "key"])
async def test_hold_gives_music_and_takes_it_back(world, how):
    attempt = await talk(world, how, "101")
    phone = world.phone("101")
    await (phone.keys("*55") if how == "hold" else phone.hold())
    await transfer_is(world, attempt["attempt"], "held")
    await heard(world, attempt["attempt"], 3.0)
    await (phone.keys("*55") if how == "hold" else phone.resume())
    await transfer_is(world, attempt["attempt"], "over", "returned")
    await heard(world, attempt["attempt"], 3.0)
    await phone.keys("*45")
    path = await recorded(world, how)
    left, right = voices(path)
    assert left == [P], "the person is recorded all the time"
    assert right == [mark("101")]
    quiet = [level for level in loudness(path)[2:-2] if level < 30]
    assert len(quiet) <= 2, f"the person hears music, and no silence: {loudness(path)}"


@pytest.mark.parametrize(("name", "to"), [("parked", "102"), ("rung", "105")])
async def test_blind_to_a_colleague(world, name, to):
    attempt = await talk(world, name, "101", to)
    await world.phone("101").keys(f"*50{to}#")
    await transfer_is(world, attempt["attempt"], "over", "completed")
    one = await world.attempt(name, agent=f"op{to}", state="connected")
    await world.agent_is(to, "on_call")
    await world.agent_is("101", "ready")
    await heard(world, attempt["attempt"], 3.0)
    await world.phone(to).keys("*442*45")
    path = await recorded(world, name)
    assert world.attempts(name)[0]["operator_result"] == "presentation"
    left, right = voices(path)
    assert left == [P]
    assert right == [mark("101"), mark(to)]
    assert one["connected_at"] == attempt["connected_at"]


async def test_blind_to_a_number_from_outside(world):
    attempt = await talk(world, "outside", "101")
    await world.phone("101").keys("*501#")
    await transfer_is(world, attempt["attempt"], "handed")
    assert world.house.floor.trunks[world.trunk.id].live == 2
    await world.agent_is("101", "ready")
    await heard(world, attempt["attempt"], 3.0)
    third = await world.call_of(numbers()["1"])
    assert third.ended_at is None
    assert world.attempts("outside")[0]["state"] == "connected"
    await end(world, attempt["attempt"])
    path = await recorded(world, "outside")
    await world.until(lambda: world.house.floor.trunks[world.trunk.id].live == 0, "the trunk to be free")
    assert (await world.call_of(numbers()["1"])).ended_at is not None
    assert voices(path) == ([P], [mark("101"), T])


async def test_a_third_party_who_hangs_up_ends_the_handed_call(world):
    attempt = await talk(world, "gone", "101")
    await world.phone("101").keys("*503#")
    await transfer_is(world, attempt["attempt"], "calling")
    await world.network.answer(numbers()["3"])
    await transfer_is(world, attempt["attempt"], "handed")
    await world.network.hang_up(numbers()["3"])
    over = await world.attempt("gone", state="ended")
    assert (over["result"], over["ending"]) == ("talked", "third_gone")
    assert (await world.call_of(attempt["number"])).ended_at is not None


async def test_a_busy_third_party_gives_the_person_back(world):
    attempt = await talk(world, "busy", "101")
    await world.phone("101").keys("*502#")
    await transfer_is(world, attempt["attempt"], "over", "failed")
    assert world.attempts("busy")[0]["state"] == "connected"
    await heard(world, attempt["attempt"], 2.5)
    await world.phone("101").keys("*45")
    left, right = voices(await recorded(world, "busy"))
    assert (left, right) == ([P], [mark("101")])


async def test_what_may_not_be_called_is_refused_and_the_conversation_goes_on(world):
    attempt = await talk(world, "barred", "101")
    await world.phone("101").keys("*5079161234567#*509#*50101#*50102#*52")
    await world.ask("GET", "health")
    assert transfers(world, attempt["attempt"]) == []
    await world.house.journal.run(
        lambda connection: connection.execute(
            "INSERT INTO do_not_call (number, kind, campaign, source, added_at) VALUES (?, 'number', '', 't', 0)",
            (numbers()["3"],),
        )
    )
    await world.phone("101").keys("*503#")
    await transfer_is(world, attempt["attempt"], "over", "failed")
    assert not [call for call in world.network.calls() if call.number == numbers()["3"] and not call.ended_at]
    await world.phone("101").keys("*45")
    await world.attempt("barred", state="ended", result="talked")
    await world.house.journal.run(lambda connection: connection.execute("DELETE FROM do_not_call"))


async def test_consult_conference_complete(world):
    attempt = await talk(world, "consult", "101")
    phone = world.phone("101")
    await phone.keys("*511#")
    await transfer_is(world, attempt["attempt"], "consulting")
    await heard(world, attempt["attempt"])
    await phone.keys("*53")
    await world.until(lambda: transfers(world, attempt["attempt"])[-1]["is_there"], "the person to be there")
    await heard(world, attempt["attempt"], 3.0)
    await phone.keys("*52")
    await transfer_is(world, attempt["attempt"], "handed")
    await world.agent_is("101", "ready")
    assert phone.is_on_line
    await heard(world, attempt["attempt"], 3.0)
    await end(world, attempt["attempt"])
    left, right = voices(await recorded(world, "consult"))
    assert left == [P]
    assert right[0] == mark("101")
    assert right[-1] == T


async def test_consult_a_colleague_and_back(world):
    attempt = await talk(world, "back", "101", "102")
    phone = world.phone("101")
    await phone.keys("*51102#")
    await transfer_is(world, attempt["attempt"], "consulting")
    await world.agent_is("102", "reserved")
    await heard(world, attempt["attempt"])
    await phone.keys("*54")
    await transfer_is(world, attempt["attempt"], "over", "returned")
    await world.agent_is("102", "ready")
    await heard(world, attempt["attempt"], 2.5)
    await phone.keys("*45")
    left, right = voices(await recorded(world, "back"))
    assert (left, right) == ([P], [mark("101")]), "what they said to each other, the person did not hear"


async def test_blind_refer_from_the_phone(world):
    attempt = await talk(world, "refer", "103")
    phone = world.phone("103")
    line = await phone.wait_until_on_line(within_s=PATIENCE_S)
    assert await phone.refer("999") == 202
    await phone.wait_until_told(603, line, within_s=PATIENCE_S)
    assert line.is_up
    assert await phone.refer("1") == 202
    await transfer_is(world, attempt["attempt"], "handed")
    await phone.wait_until_ended(line, within_s=PATIENCE_S)
    assert 603 not in line.progress
    await world.agent_is("103", "ready")
    await heard(world, attempt["attempt"], 2.5)
    await end(world, attempt["attempt"])
    assert voices(await recorded(world, "refer")) == ([P], [mark("103"), T])


async def test_attended_refer_from_the_phone(world):
    attempt = await talk(world, "attended", "103")
    phone = world.phone("103")
    line = await phone.wait_until_on_line(within_s=PATIENCE_S)
    await phone.hold(line)
    await transfer_is(world, attempt["attempt"], "held")
    second = await phone.sign_in("1")
    await transfer_is(world, attempt["attempt"], "consulting")
    await heard(world, attempt["attempt"])
    assert await phone.refer("1", line, replaces=second) == 202
    await transfer_is(world, attempt["attempt"], "handed")
    for call in (line, second):
        await phone.wait_until_ended(call, within_s=PATIENCE_S)
    await world.agent_is("103", "ready")
    await heard(world, attempt["attempt"], 2.5)
    await end(world, attempt["attempt"])
    assert voices(await recorded(world, "attended")) == ([P], [mark("103"), T])


async def test_an_operator_who_hangs_up_on_hold_leaves_the_person_to_another(world):
    attempt = await talk(world, "left", "101")
    await world.phone("101").keys("*55")
    await transfer_is(world, attempt["attempt"], "held")
    await world.sign_in("104")
    await world.phone("101").hang_up()
    await transfer_is(world, attempt["attempt"], "over", "left")
    await world.attempt("left", state="connected", agent="op104")
    await heard(world, attempt["attempt"], 3.0)
    await world.phone("104").keys("*45")
    left, right = voices(await recorded(world, "left"))
    assert (left, right) == ([P], [mark("101"), mark("104")])


KILLED = ("held", "calling", "consulting", "conference", "handed")


async def test_the_engine_is_killed_in_each_state(tmp_path, asterisk_install):
    names = tuple(f"k-{name}" for name in KILLED)
    work = settings(names)
    work["seats"] = [seat("101")]
    async with centre(tmp_path, **work) as (world, engine):
        await world.phone("101").sign_in()
        await world.agent_is("101", "ready")
        for state, name in zip(KILLED, names, strict=True):
            await world.order(name)
            attempt = (await world.attempt(name, state="connected"))["attempt"]
            keys = {"held": "*55", "calling": "*513#", "handed": "*501#"}.get(state, "*511#")
            await world.phone("101").keys(keys)
            if state == "conference":
                await transfer_is(world, attempt, "consulting")
                await world.phone("101").keys("*53")
            await transfer_is(world, attempt, state)
            for _ in range(2 if state in ("consulting", "conference") else 1):
                await engine.kill()
                await engine.start()
                await transfer_is(world, attempt, state)
            if state == "handed":
                await world.agent_is("101", "ready")
                await world.order(name, "stop")
                return  # they go on talking; the end of the world ends them
            await world.phone("101").keys("*54")
            await transfer_is(world, attempt, "over", "returned")
            await world.phone("101").keys("*45")
            await world.attempt(name, state="ended", result="talked")
            await world.agent_is("101", "ready")
