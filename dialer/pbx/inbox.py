"""The inbox: where everything that happened waits for the one who decides.

1. ``put`` never blocks and never drops; it costs the same with one item waiting or a million.
2. Since nothing is dropped, falling behind must be *seen*: ``lag_s`` is the age of the oldest
   item that waits. Who originates looks at it and stops while it is high.
3. One consumer takes items in batches, oldest first. It belongs to one event loop: ``put`` from
   another thread goes through ``loop.call_soon_threadsafe(inbox.put, item)``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A measured queue that never drops.

    *clock*: seconds that only grow; the loop's own clock unless a test brings another.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._items: deque[tuple[float, T]] = deque()
        self._sleeper: asyncio.Future[None] | None = None
        self._lag_high_s = 0.0
        self._total = 0

    def put(self, item: T) -> None:
        """Add *item* behind the others."""
        self._items.append((self._clock(), item))
        self._total += 1
        sleeper = self._sleeper
        if sleeper is not None and not sleeper.done():
            sleeper.set_result(None)

    async def get_batch(self, limit: int = 256) -> list[T]:
        """Wait until there is something, then take up to *limit* items, oldest first.

        Cancelling the wait loses nothing. RuntimeError if somebody else is waiting already.
        """
        if limit < 1:
            raise ValueError("limit must be 1 or more")
        if self._sleeper is not None:
            raise RuntimeError("an inbox has one consumer, and it is waiting already")
        if not self._items:
            self._sleeper = asyncio.get_running_loop().create_future()
            try:
                await self._sleeper
            finally:
                self._sleeper = None
        self._lag_high_s = self.lag_high_s
        items = self._items
        return [items.popleft()[1] for _ in range(min(limit, len(items)))]

    @property
    def depth(self) -> int:
        """How many items wait."""
        return len(self._items)

    @property
    def lag_s(self) -> float:
        """The age of the oldest item that waits, in seconds; 0 if none does."""
        return max(0.0, self._clock() - self._items[0][0]) if self._items else 0.0

    @property
    def total(self) -> int:
        """How many items were ever put."""
        return self._total

    @property
    def lag_high_s(self) -> float:
        """The longest that an item waited since :meth:`reset_high`, in seconds."""
        return max(self._lag_high_s, self.lag_s)

    def reset_high(self) -> None:
        """Begin the high-water mark anew."""
        self._lag_high_s = 0.0
