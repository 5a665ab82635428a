"""The queue that never drops."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pbx.inbox import Inbox


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.one_of(st.integers(), st.tuples(st.just("take"), st.integers(1, 5)))))
def test_nothing_is_lost_or_reordered(steps):
    async def play() -> None:
        inbox: Inbox[int] = Inbox()
        put, taken = [], []
        for step in steps:
            if isinstance(step, tuple):
                if inbox.depth:
                    batch = await inbox.get_batch(step[1])
                    assert 1 <= len(batch) <= step[1]
                    taken += batch
            else:
                inbox.put(step)
                put.append(step)
        while inbox.depth:
            taken += await inbox.get_batch()
        assert taken == put
        assert inbox.total == len(put)

    asyncio.run(play())


async def test_a_hundred_thousand_wait_and_none_is_dropped():
    inbox: Inbox[int] = Inbox()
    for number in range(100_000):
        inbox.put(number)
    assert inbox.depth == 100_000
    taken = [item for _ in range(100) for item in await inbox.get_batch(1000)]
    assert taken == list(range(100_000))


async def test_lag_is_the_age_of_the_oldest_that_waits():
    clock = Clock()
    inbox: Inbox[str] = Inbox(clock)
    assert inbox.lag_s == 0.0
    inbox.put("a")
    clock.now += 3.0
    inbox.put("b")
    clock.now += 1.0
    assert inbox.lag_s == 4.0
    assert await inbox.get_batch(1) == ["a"]
    assert inbox.lag_s == 1.0
    assert await inbox.get_batch(1) == ["b"]
    assert inbox.lag_s == 0.0


async def test_the_longest_wait_stays_until_reset():
    clock = Clock()
    inbox: Inbox[str] = Inbox(clock)
    for item in "abc":
        inbox.put(item)
    clock.now += 2.0
    assert inbox.lag_high_s == 2.0, "also while it still waits"
    await inbox.get_batch(2)
    assert (inbox.depth, inbox.lag_high_s) == (1, 2.0)
    await inbox.get_batch()
    inbox.reset_high()
    assert inbox.lag_high_s == 0.0


async def test_a_sleeping_consumer_is_woken():
    inbox: Inbox[str] = Inbox()
    taking = asyncio.create_task(inbox.get_batch())
    await asyncio.sleep(0)
    inbox.put("a")
    inbox.put("b")
    assert await asyncio.wait_for(taking, 1) == ["a", "b"]


async def test_a_cancelled_wait_loses_nothing():
    inbox: Inbox[str] = Inbox()
    taking = asyncio.create_task(inbox.get_batch())
    await asyncio.sleep(0)
    inbox.put("a")
    taking.cancel()
    with suppress(asyncio.CancelledError):
        await taking
    assert await asyncio.wait_for(inbox.get_batch(), 1) == ["a"]


async def test_there_is_one_consumer():
    inbox: Inbox[str] = Inbox()
    taking = asyncio.create_task(inbox.get_batch())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await inbox.get_batch()
    inbox.put("a")
    assert await taking == ["a"]


async def test_a_limit_below_one_is_a_mistake():
    with pytest.raises(ValueError, match="limit"):
        await Inbox().get_batch(0)
