"""Timers on a real Redis: they fire once and in time, and Redis may die, come back empty, or be wiped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from dialer.core.commands import ClearTimer, SetTimer
from dialer.core.events import DeadlinePassed
from dialer.core.ids import CampaignId
from dialer.engine.embeddedredis import EmbeddedRedis
from dialer.timers import Timers, keys


class World:
    """Running timers, what they fired, and how often Redis was lost and came back."""

    def __init__(self, url: str, name: str = "obzvon") -> None:
        self.fired: list[DeadlinePassed] = []
        self.lost: list[str] = []
        self.backs = 0
        self.facts: list[SetTimer | ClearTimer] = []
        self.timers = Timers(url, name=name, on_lost=self.lost.append, on_back=self.on_back)

    async def on_back(self) -> None:
        self.backs += 1
        await self.timers.apply(self.facts)

    @property
    def subjects(self) -> list[str]:
        return [event.subject for event in self.fired]

    async def until(self, so: Callable[[], bool], within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s):
            while not so():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running(url: str) -> AsyncIterator[World]:
    world = World(url)
    task = asyncio.create_task(world.timers.run(world.fired.append))
    try:
        await world.until(lambda: world.backs == 1)
        yield world
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def timer(subject: str, in_s: float = 0.0, campaign: str | None = None) -> SetTimer:
    return SetTimer(
        kind="lead",
        subject=subject,
        due=time.time() + in_s,
        campaign=CampaignId(campaign) if campaign else None,
    )


async def test_fires_once_in_order_and_never_early(redis_url: str) -> None:
    async with running(redis_url) as world:
        changes = [timer("c", 0.10), timer("a", 0.02, "spring"), timer("b", 0.05)]
        await world.timers.apply(changes)
        await world.until(lambda: len(world.fired) == 3)
        assert world.subjects == ["a", "b", "c"]
        assert [event.campaign for event in world.fired] == ["spring", None, None]
        due = {change.subject: change.due for change in changes}
        assert all(event.at >= due[event.subject] for event in world.fired)
        assert await world.timers.waiting() == 0


async def test_an_earlier_timer_wakes_us(redis_url: str) -> None:
    async with running(redis_url) as world:
        await world.timers.apply([timer("late", 3600)])
        await world.timers.apply([timer("soon", 0.02)])
        await world.until(lambda: world.subjects == ["soon"])
        assert await world.timers.waiting() == 1


async def test_a_new_time_replaces_the_old_and_a_cleared_timer_is_gone(redis_url: str) -> None:
    async with running(redis_url) as world:
        await world.timers.apply([timer("x", 3600, "spring"), timer("y", 0.02)])
        await world.timers.apply(
            [timer("x", 0.05), ClearTimer(kind="lead", subject="y"), ClearTimer(kind="agent", subject="x")]
        )
        await world.until(lambda: "x" in world.subjects)
        assert world.subjects == ["x"]
        assert world.fired[0].campaign is None


async def test_what_is_cleared_leaves_nothing_behind(redis_url: str) -> None:
    """The campaign stands beside a lead's timer; no other timer has one."""
    async with running(redis_url) as world, Redis.from_url(redis_url, decode_responses=True) as redis:
        call = SetTimer(kind="attempt", subject="x", due=time.time() + 3600)
        await world.timers.apply([timer("x", 3600, "spring"), call])
        assert await redis.hgetall(keys.campaigns("obzvon")) == {"lead:x": "spring"}
        await world.timers.apply(
            [ClearTimer(kind="lead", subject="x"), ClearTimer(kind="attempt", subject="x")]
        )
        assert await redis.hgetall(keys.campaigns("obzvon")) == {}
        assert await world.timers.waiting() == 0


async def test_many_at_once(redis_url: str) -> None:
    async with running(redis_url) as world:
        await world.timers.apply([timer(f"{number}", -1.0) for number in range(1300)])
        await world.until(lambda: len(world.fired) >= 1300)
        assert len(set(world.subjects)) == len(world.fired) == 1300


async def test_two_engines_never_get_the_same_timer(redis_url: str) -> None:
    async with running(redis_url) as one, running(redis_url) as other:
        changes = [timer(f"{number}", -1.0) for number in range(400)]
        await asyncio.gather(one.timers.apply(changes[:200]), other.timers.apply(changes[200:]))
        await one.until(lambda: bool(one.fired or other.fired))
    fired = one.subjects + other.subjects
    assert len(set(fired)) == len(fired)


async def test_what_a_killed_engine_left_is_thrown_away(redis_url: str) -> None:
    async with running(redis_url) as killed:
        await killed.timers.apply([timer("ended long ago", 120.0, "spring")])
    async with running(redis_url) as world:
        assert await world.timers.waiting() == 0


async def test_names_keep_engines_apart(redis_url: str) -> None:
    other = World(redis_url, name="other")
    async with running(redis_url) as world:
        await other.timers.apply([timer("theirs", -1.0)])
        await world.timers.apply([timer("ours", -1.0)])
        await world.until(lambda: world.subjects == ["ours"])
        assert await other.timers.waiting() == 1
    await other.timers.aclose()


async def test_a_wiped_redis_is_noticed_and_armed_again(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.timers.timers.LOOK_S", 0.05)
    async with running(redis_url) as world:
        world.facts = [timer("kept", 0.5)]
        await world.timers.apply(world.facts)
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
        await world.until(lambda: world.backs == 2)
        assert len(world.lost) == 1
        assert "wiped" in world.lost[0]
        await world.until(lambda: world.subjects == ["kept"])


async def test_redis_dies_and_comes_back_empty(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("r")
    server = EmbeddedRedis(folder)
    await server.start()
    async with running(server.url) as world:
        world.facts = [timer("kept", 0.3)]
        await world.timers.apply(world.facts)
        await server.stop()
        await world.until(lambda: not world.timers.is_connected)
        assert await world.timers.apply([timer("dropped", -1.0)]) is False
        assert await world.timers.waiting() is None
        server = EmbeddedRedis(folder)
        await server.start()
        await world.until(lambda: world.timers.is_connected and "kept" in world.subjects)
        assert world.subjects == ["kept"]
        assert len(world.lost) == 1
    await server.stop()


async def test_redis_that_comes_later(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = EmbeddedRedis(tmp_path_factory.mktemp("r"))
    world = World(server.url)
    task = asyncio.create_task(world.timers.run(world.fired.append))
    await world.until(lambda: bool(world.lost))
    world.facts = [timer("kept")]
    await server.start()
    await world.until(lambda: world.subjects == ["kept"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await server.stop()


async def test_arming_that_fails_is_tried_again(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialer.timers.timers.BACK_OFF_S", (0.01,))
    tries = 0

    async def on_back() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("the journal is away too")

    timers = Timers(redis_url, on_back=on_back)
    task = asyncio.create_task(timers.run(lambda event: None))
    async with asyncio.timeout(10):
        while tries < 2 or not timers.is_connected:
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_cleared_while_all_is_armed_again_stays_cleared(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first change is slow on its way; the second one does not overtake it."""
    async with running(redis_url) as world:
        redis = world.timers._redis
        pipeline, gate = redis.pipeline, asyncio.Event()

        def slow(*, transaction: bool) -> object:
            pipe = pipeline(transaction=transaction)
            execute = pipe.execute

            async def held() -> object:
                await gate.wait()
                return await execute()

            monkeypatch.setattr(pipe, "execute", held)
            monkeypatch.setattr(redis, "pipeline", pipeline)
            return pipe

        monkeypatch.setattr(redis, "pipeline", slow)
        arming = asyncio.create_task(world.timers.apply([timer("7", 600)]))
        clearing = asyncio.create_task(world.timers.apply([ClearTimer(kind="lead", subject="7")]))
        await asyncio.wait([clearing], timeout=0.1)
        gate.set()
        assert await arming
        assert await clearing
        assert await world.timers.waiting() == 0


async def test_what_is_no_timer_is_left_out(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.zadd("{obzvon}:timers:due", {"nonsense": 1})
    async with running(redis_url) as world:
        await world.timers.apply([timer("good", -1.0)])
        await world.until(lambda: world.subjects == ["good"])


async def test_a_cancellation_that_redis_py_swallows_is_heeded(redis_url: str) -> None:
    """It happens when the answer arrives in the very turn of the cancellation."""
    async with running(redis_url) as world:
        script = world.timers._script

        async def swallow(**arguments: object) -> object:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return await script(**arguments)  # type: ignore[arg-type]

        timers = Timers(redis_url, name="other")
        timers._script = swallow  # type: ignore[assignment]
        task = asyncio.create_task(timers.run(world.fired.append))
        await world.until(lambda: timers.is_connected)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        assert done
        assert task.cancelled()
