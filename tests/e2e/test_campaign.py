"""A campaign with every kind of person runs to its end; then its journal is held against the network's own count."""

from __future__ import annotations

import asyncio
import contextlib
import wave
from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from dialer.core.values import ABANDONED_RESULTS, Campaign, Result
from dialer.lab.day import NOT_IN_A_DAY, Behaviour, Person, Reaction, day
from dialer.lab.network import NetworkCall
from dialer.lab.voice import hear_recording
from dialer.office.replay import replay
from dialer.store.connect import open_reader
from tests.e2e.world import World, campaign, operators, seat

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

RULES = campaign(ring_s=6.0)
"""Who is to answer rings for 0.7 s at most: it is not raced against the end of the ringing, on a slow machine neither."""
TICK_S = 0.05
"""Clocks of two programs on one machine, and the time between an event and its being written down."""


def shorter(one: Reaction) -> Reaction:
    return msgspec.structs.replace(one, ring_ms=min(one.ring_ms, 700), talk_ms=1500 + one.talk_ms // 8)


def people() -> list[Person]:
    """Sixteen people, among whom every behaviour occurs; in a hurry."""
    return [
        msgspec.structs.replace(
            somebody,
            lines=tuple(
                msgspec.structs.replace(line, plan=tuple(map(shorter, line.plan))) for line in somebody.lines
            ),
        )
        for somebody in day(seed=11, size=16)
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory, asterisk_install) -> AsyncIterator[World]:
    """The campaign, run to its end."""
    seats = [seat(extension) for extension in ("101", "102", "103", "104")]
    async with World(tmp_path_factory.mktemp("w"), work=[(RULES, people())], seats=seats) as made:
        await made.sign_in()
        async with operators(made):
            await made.order("demo")
            await made.finished("demo")
        yield made


def by_number(world: World) -> dict[str, tuple[list[NetworkCall], list[dict[str, Any]]]]:
    pairs: dict[str, tuple[list[NetworkCall], list[dict[str, Any]]]] = defaultdict(lambda: ([], []))
    for call in world.calls("demo"):
        pairs[call.number][0].append(call)
    for attempt in world.attempts("demo"):
        pairs[attempt["number"]][1].append(attempt)
    return pairs


def pairs(world: World) -> list[tuple[NetworkCall, dict[str, Any]]]:
    """The network's calls, each with our attempt."""
    return [
        pair for calls, attempts in by_number(world).values() for pair in zip(calls, attempts, strict=True)
    ]


def again_s(rules: Campaign, result: str) -> float | None:
    return None if result == Result.TALKED else rules.retry[Result(result)].again_s


async def test_every_kind_of_person_was_called(world):
    assert {call.behaviour for call in world.calls("demo")} == set(Behaviour) - NOT_IN_A_DAY


async def test_the_journal_agrees_with_the_network_call_by_call(world):
    for calls, attempts in by_number(world).values():
        assert len(calls) == len(attempts), (calls, attempts)
    wrong = [
        (call, attempt["result"], attempt["cause"], attempt["tech_cause"])
        for call, attempt in pairs(world)
        if Result(attempt["result"]) not in call.results
    ]
    assert wrong == []


async def test_the_network_saw_each_attempt_when_the_journal_says(world):
    for call, attempt in pairs(world):
        assert attempt["created_at"] - TICK_S <= call.invited_at
        if attempt["answered_at"] is not None:
            assert call.answered_at is not None
        elif call.answered_at is not None:  # they hung up before Asterisk could tell
            assert call.crossed or call.behaviour is Behaviour.HANGS_UP
        assert call.caller_id == "+74950000000"
        if call.rang_at is not None:
            assert attempt["rang_at"] is not None


async def test_people_who_talk_were_connected(world):
    talkers = {Behaviour.TALKS, Behaviour.WAITS, Behaviour.NO_RINGING, Behaviour.EARLY_MEDIA}
    results = {attempt["result"] for call, attempt in pairs(world) if call.behaviour in talkers}
    assert results == {"talked"}


async def test_nobody_is_called_twice_at_once(world):
    for somebody in world.people:
        numbers = {line.number for line in somebody.lines}
        calls = [call for call in world.calls("demo") if call.number in numbers]
        for before, after in pairwise(calls):
            assert before.ended_at is not None
            assert after.invited_at >= before.ended_at


async def test_nobody_is_called_again_before_the_rule_says(world):
    attempts = {call.call_id: attempt for call, attempt in pairs(world)}
    checked = 0
    for somebody in world.people:
        numbers = {line.number for line in somebody.lines}
        calls = [call for call in world.calls("demo") if call.number in numbers]
        for before, after in pairwise(calls):
            wait_s = again_s(RULES, attempts[before.call_id]["result"])
            assert wait_s is not None, "called again after the conversation"
            assert before.ended_at is not None
            assert after.invited_at >= before.ended_at + wait_s - TICK_S
            checked += 1
    assert checked >= 8


async def test_no_number_is_tried_more_often_than_the_rule_says(world):
    for calls, attempts in by_number(world).values():
        assert len(calls) <= RULES.attempts
        for result in {attempt["result"] for attempt in attempts}:
            if result != Result.TALKED:
                times = sum(attempt["result"] == result for attempt in attempts)
                assert times <= RULES.retry[Result(result)].attempts


async def test_every_lead_has_an_end_and_the_right_one(world):
    leads = world.rows(
        "SELECT finished, (SELECT max(result = 'talked') FROM attempts a WHERE a.lead = l.id) AS talked"
        " FROM leads l"
    )
    assert len(leads) == len(world.people)
    for lead in leads:
        assert (lead["finished"] == "talked") == bool(lead["talked"]), lead
        assert lead["finished"] in ("talked", "no_number_left")


async def test_every_answered_call_has_a_recording_or_says_why_not(world):
    rows = {row["attempt"]: row for row in world.rows("SELECT * FROM recordings")}
    answered = [
        (call, attempt)
        for call, attempt in pairs(world)
        if attempt["answered_at"] is not None or attempt["result"] in ABANDONED_RESULTS
    ]
    assert {attempt["attempt"] for _, attempt in answered} == set(rows)
    for call, attempt in answered:
        talk_s = (call.ended_at or 0.0) - (call.answered_at or 0.0)
        if talk_s < 0.5:
            continue  # may be over before the first packet
        row = rows[attempt["attempt"]]
        assert row["missing"] is None
        assert world.is_as_long(row["length_s"], call), (row["length_s"], call)
        assert row["started_at"] == attempt["answered_at"]
        path = world.recording(attempt["attempt"])
        assert path.stat().st_size == row["size_bytes"]
        with wave.open(str(path)) as file:
            assert file.getnframes() / file.getframerate() == row["length_s"]
    assert list((world.home / "recordings").glob("*/*.raw")) == []


async def test_every_conversation_holds_the_persons_voice_left_and_the_operators_right(world):
    heard = 0
    for call, attempt in pairs(world):
        if attempt["result"] != Result.TALKED or call.behaviour is Behaviour.HANGS_UP:
            continue
        left, right = hear_recording(world.recording(attempt["attempt"]))
        assert left.is_person, (call, left)
        assert right.is_operator, (call, right)
        assert left.mark_hz == call.mark_hz
        extension = attempt["agent"].removeprefix("op")
        assert right.mark_hz == world.seats[extension].phone.mark_hz
        heard += 1
    assert heard >= 10


async def test_nothing_is_left_behind(world):
    await world.until(lambda: not world.house.floor.calls, "no call on the floor")
    assert len(await world.channels()) == len(world.seats)  # the parked lines
    bridges = await world.house.ari.request("GET", "/bridges")
    assert sorted(len(bridge["channels"]) for bridge in bridges) == [1] * len(world.seats)
    await world.no_timers()
    assert all(not trunk.live for trunk in world.house.floor.trunks.values())


async def test_nothing_in_asterisks_log_is_an_error(world):
    assert world.house.asterisk is not None
    lines = world.house.asterisk.log_path.read_text().splitlines()
    assert [line for line in lines if " ERROR[" in line] == []


async def test_its_journal_plays_to_the_same(world):
    """The engine still runs, and writes: what is played is what stood there at one instant."""
    with contextlib.closing(open_reader(world.house.journal.path)) as connection:
        played = await asyncio.to_thread(replay, connection)
    assert played.starts == 1
    assert played.events > 200
    assert played.commands > 200
