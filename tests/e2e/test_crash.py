"""The engine is killed in the middle of everything, and the next one takes up where it stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from dialer.core.values import Result
from dialer.engine.process import Note, ServerProcess
from dialer.lab.voice import hear_recording
from tests.e2e import engine_process
from tests.e2e.world import World, campaign, does, operators, person, seat, until

pytestmark = pytest.mark.asterisk

TALKS = does("talks", talk_ms=1500)
HEARD_S = 3.0
"""Who talks so long has heard the operator, though they were just told that they are signed in."""


class Engine:
    """An engine in a process of its own, whose Asterisk and Redis outlive it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pids: list[int] = []
        self._process: asyncio.subprocess.Process | None = None

    @property
    def asterisk(self) -> Note:
        return msgspec.json.decode((self.world.home / "asterisk/run/obzvon.json").read_bytes(), type=Note)

    async def start(self) -> None:
        """Start it, and wait until it is in charge."""
        errors = (self.world.folder / "engine.err").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, engine_process.__file__, str(self.world.home), stderr=errors
        )
        errors.close()
        self.pids.append(self._process.pid)
        try:
            await self.world.in_charge()
        except AssertionError:
            raise AssertionError((self.world.folder / "engine.err").read_text()) from None

    async def kill(self) -> None:
        """``kill -9``: no goodbye, nothing saved."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


@asynccontextmanager
async def centre(folder: Path, **settings) -> AsyncIterator[tuple[World, Engine]]:
    """A world whose engine runs beside us, with its phones registered. Nothing is left running."""
    world = World(folder, parts=frozenset({"network"}), **settings)
    engine = Engine(world)
    async with world:
        try:
            await engine.start()
            await world.start_phones(engine.asterisk.ports["sip"])
            yield world, engine
        finally:
            if hasattr(world, "phones"):  # while there is a server that answers them
                await world.phones.stop()
            await engine.kill()
            for name, note in (("Asterisk", "asterisk/run/obzvon.json"), ("Redis", "redis/obzvon.json")):
                server = ServerProcess(
                    name, note=world.home / note, log=world.folder / "stopped.log", outlive=True
                )
                server.find()
                await server.stop(5.0)


async def test_conversations_outlive_the_engine_and_the_next_one_brings_them_to_their_end(
    tmp_path, asterisk_install
):
    people = [
        person(does("waits"), voice=0),
        person(does("on_cue"), voice=1),
        person(does("no_answer"), voice=2),
        person(TALKS, voice=3),
    ]
    settings = {"work": [(campaign(ring_s=15.0), people)], "seats": [seat("101"), seat("102"), seat("103")]}
    async with centre(tmp_path, **settings) as (world, engine):
        await world.sign_in()
        await world.order("demo")
        await world.network.answer(people[1].lines[0].number)
        for place, state in ((0, "connected"), (1, "connected"), (2, "ringing")):
            await world.attempt("demo", place, state=state)
        asterisk = engine.asterisk.pid
        await world.until_recorded(world.attempts("demo")[1]["attempt"], HEARD_S)
        await engine.kill()
        # While nobody is in charge one conversation ends, and another one goes on.
        await world.network.hang_up(people[1].lines[0].number)
        assert (await world.call_of(people[0].lines[0].number)).ended_at is None
        assert world.phone("101").is_on_line

        await engine.start()
        assert engine.asterisk.pid == asterisk
        lasting = await world.attempt("demo", 0, state="connected")
        over = await world.attempt("demo", 1, state="ended")
        assert over["result"] == "talked"
        given_up = await world.attempt("demo", 2, state="ended")
        assert given_up["result"] == "no_answer"
        extension = lasting["agent"].removeprefix("op")
        await world.agent_is(extension, "on_call")
        await world.phone(extension).keys("*442*45")
        over = await world.attempt("demo", 0, state="ended")
        assert (over["result"], over["operator_result"]) == ("talked", "presentation")
        await until(lambda: len(world.attempts()) >= 4, "the dialing to go on")
        await world.attempt("demo", 3, number=people[3].lines[0].number, result="talked")

        await world.order("demo", "stop")
        for place in (0, 1, 3):
            one = world.attempts()[place]
            await until(
                partial(world.rows, "SELECT 1 FROM recordings WHERE attempt = ?", one["attempt"]),
                "the recording",
                60,
            )
            call = await world.call_of(one["number"])
            left, right = hear_recording(world.recording(one["attempt"]))
            assert left.mark_hz == call.mark_hz
            assert right.is_operator
            assert call.ended_at is not None
            assert call.answered_at is not None
            assert world.is_as_long(left.length_s, call), (left.length_s, call)
        assert Counter(call.number for call in world.network.calls()) == Counter(
            attempt["number"] for attempt in world.attempts()
        )


async def test_killed_again_and_again_it_rings_nobody_twice_and_loses_no_result(tmp_path, asterisk_install):
    people = [
        *(person(does("talks", ring_ms=200 + 90 * place, talk_ms=1000)) for place in range(8)),
        person([does("busy"), TALKS]),
        person([does("no_answer"), TALKS]),
        person(does("unknown"), TALKS),
        person(does("waits", ring_ms=100)),
    ]
    rules = campaign(ring_s=2.5, lines_max=3)
    async with centre(tmp_path, work=[(rules, people)], seats=[seat("101"), seat("102"), seat("103")]) as (
        world,
        engine,
    ):
        await world.sign_in()
        await world.order("demo")
        for round_ in range(4):
            more = len(world.network.calls()) + 2
            await until(partial(_have_come, world, more), "two more calls, or the end of the campaign", 60)
            if round_ % 2:  # in the middle of a conversation, or of a dialing
                await until(
                    lambda: (
                        any(attempt["state"] == "connected" for attempt in world.attempts())
                        or world.state("demo") == "finished"
                    ),
                    "a conversation",
                    60,
                )
            await engine.kill()
            await engine.start()
        await engine.kill()

        async with asyncio.timeout(90):
            await world.start_house()  # the last one takes the servers over, and stops them
            assert world.house.asterisk is not None
            assert world.house.asterisk.is_adopted
            async with operators(world):
                await world.finished("demo")
        attempts, calls = world.attempts(), world.network.calls()
        assert len({attempt["attempt"] for attempt in attempts}) == len(attempts)
        for attempt in attempts:
            assert attempt["state"] == "ended"
            assert attempt["result"] is not None
        # Every ring is an attempt of the journal; an attempt that was lost may not have rung.
        called = Counter(call.number for call in calls)
        counted = Counter(attempt["number"] for attempt in attempts)
        assert called <= counted, called - counted
        assert sum((counted - called).values()) <= 4 * rules.lines_max
        for somebody in people:
            numbers = {line.number for line in somebody.lines}
            ours = [call for call in calls if call.number in numbers]
            for before, after in pairwise(ours):
                assert before.ended_at is not None
                assert before.ended_at <= after.invited_at, "rung twice at once"
        talked = Counter(attempt["contact"] for attempt in attempts if attempt["result"] == Result.TALKED)
        assert all(times == 1 for times in talked.values()), "spoken to, and called again"
        for attempt in attempts:
            if attempt["result"] == Result.TALKED:
                assert world.recording(attempt["attempt"]).exists()
        assert list((world.home / "recordings").glob("*/*.raw")) == []
        await world.no_timers()


async def test_who_answered_while_no_engine_lived_and_hung_up_is_counted_as_abandoned(
    tmp_path, asterisk_install
):
    answers, rings = person(does("on_cue"), voice=1), person(does("on_cue"), voice=2)
    settings = {"work": [(campaign(ring_s=60.0), [answers, rings])], "seats": [seat("101"), seat("102")]}
    async with centre(tmp_path, **settings) as (world, engine):
        await world.sign_in()
        await world.order("demo")
        for place in (0, 1):
            await world.attempt("demo", place, state="ringing")
        await engine.kill()
        number = answers.lines[0].number
        await world.network.answer(number)
        await until(lambda: _sounds(world), "the last word on disk")
        await world.network.hang_up(number)
        call = await world.call_of(number)
        assert call.answered_at is not None

        await engine.start()
        over = await world.attempt("demo", 0, state="ended")
        assert (over["result"], over["ending"]) == ("abandoned", "no_agent")
        assert over["answered_at"] == pytest.approx(call.answered_at, abs=1.5)
        assert over["abandoned_at"] >= over["answered_at"]
        assert world.rows("SELECT answered, abandoned FROM abandonment") == [{"answered": 1, "abandoned": 1}]
        assert (await world.attempt("demo", 1, state="ringing"))["answered_at"] is None
        recorded = partial(world.rows, "SELECT path FROM recordings WHERE attempt = ?", over["attempt"])
        assert (await until(recorded, "the recording"))[0]["path"] is not None


def _sounds(world: World) -> bool:
    """A second of sound has been recorded."""
    return any(raw.stat().st_size > 32_000 for raw in (world.home / "recordings").glob("*/*.raw"))


async def test_told_to_leave_it_lets_conversations_end_and_places_no_call(tmp_path, asterisk_install):
    """What SIGTERM does: see :mod:`dialer.engine.main`."""
    people = [person(does("waits")), person(TALKS)]
    async with centre(tmp_path, work=[(campaign(), people)], seats=[seat("101")]) as (world, engine):
        await engine.kill()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from dialer.engine.main import up; up(Path(sys.argv[1]))",
            str(world.home),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await world.in_charge()
            await world.sign_in()
            await world.order("demo")
            await world.attempt("demo", state="connected")
            process.send_signal(signal.SIGTERM)
            await world.until_health(
                lambda health: any("leaving" in reason for reason in health["why_not"]), "the leaving"
            )
            await world.phone("101").keys("*45")
            await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0
        (attempt,) = world.attempts()
        assert (attempt["result"], attempt["ending"]) == ("talked", "operator")
        assert world.recording(attempt["attempt"]).exists()
        assert len(world.network.calls()) == 1
        for note in ("asterisk/run/obzvon.json", "redis/obzvon.json"):
            assert not (world.home / note).exists(), "a server was left behind"


def _have_come(world: World, calls: int) -> bool:
    """On a slow machine people are abandoned while there is no engine, and so few are left to be called."""
    return len(world.network.calls()) >= calls or world.state("demo") == "finished"
