"""Timers over one sorted set; see the package's docstring for the rules."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, cast, get_args

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from dialer.core.commands import ClearTimer, SetTimer
from dialer.core.events import DeadlinePassed
from dialer.core.ids import CampaignId
from dialer.timers import keys

log = logging.getLogger(__name__)

Kind = Literal["attempt", "agent", "lead"]
BATCH = 500
"""At most so many timers are taken out at once."""
LOOK_S = 5.0
"""At least so often we look whether Redis still is what it was."""
ANSWER_S = 2.0
"""Redis answers in this time or counts as lost."""
BACK_OFF_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

# What is due at ARGV[1], at most ARGV[2] of it: taken out and returned with its campaigns, with
# the score of the earliest that remains ('' if none) and the witness.
_TAKE = """
local found = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
local campaigns = {}
if #found > 0 then
    campaigns = redis.call('HMGET', KEYS[2], unpack(found))
    redis.call('ZREM', KEYS[1], unpack(found))
    redis.call('HDEL', KEYS[2], unpack(found))
end
for place = 1, #found do
    campaigns[place] = campaigns[place] or ''
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {found, campaigns, first[2] or '', redis.call('GET', KEYS[3]) or ''}
"""


class Timers:
    """The timers of one engine.

    *password* is given apart from the URL, so that no URL holds a secret. *name* tells the keys
    of several engines on one Redis apart. *on_lost* is told why timers cannot be relied on;
    *on_back* is awaited each time they can be again, the first time included: it must arm every
    timer anew, for Redis may have forgotten them.

    Nothing here raises because of Redis.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        password: str | None = None,
        name: str = "obzvon",
        on_lost: Callable[[str], None] | None = None,
        on_back: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis: Redis = Redis.from_url(
            redis_url,
            password=password,
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )
        self._keys = (keys.due(name), keys.campaigns(name), keys.witness(name))
        self._script = self._redis.register_script(_TAKE)
        self._witness = secrets.token_hex(8)
        self._on_lost = on_lost
        self._on_back = on_back
        self._clock = clock
        self._earlier = asyncio.Event()
        self._in_order = asyncio.Lock()
        """What is cleared while all is armed again must not be armed after that."""
        self._next_ms: float = math.inf
        self._lost: str | None = None
        self._is_connected = False

    @property
    def is_connected(self) -> bool:
        """Whether Redis answered last time, and holds our timers."""
        return self._is_connected

    async def apply(self, changes: Sequence[SetTimer | ClearTimer]) -> bool:
        """Set and clear timers in one round trip, in the order of the calls; return whether Redis took them.

        While Redis is away changes are dropped: everything is armed anew when it is back.
        """
        if not changes or self._lost is not None:
            return not changes
        due, campaigns, _ = self._keys
        earliest = math.inf
        try:
            async with self._in_order, self._redis.pipeline(transaction=True) as pipe:
                for change in changes:
                    member = f"{change.kind}:{change.subject}"
                    campaign: CampaignId | None = None
                    if isinstance(change, ClearTimer):
                        pipe.zrem(due, member)
                    else:
                        score = math.ceil(change.due * 1000)
                        earliest = min(earliest, score)
                        pipe.zadd(due, {member: score})
                        campaign = change.campaign
                    if campaign is not None:
                        pipe.hset(campaigns, member, campaign)
                    elif change.kind == "lead":  # no other timer has one: nothing to take back
                        pipe.hdel(campaigns, member)
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(error)
            return False
        if earliest < self._next_ms:
            self._earlier.set()
        return True

    async def waiting(self) -> int | None:
        """How many timers wait; None while Redis is away."""
        try:
            return int(await self._redis.zcard(self._keys[0]))
        except (RedisError, OSError, TimeoutError):
            return None

    async def run(self, on_due: Callable[[DeadlinePassed], None]) -> None:
        """Give each timer to *on_due* when it is due, for ever. *on_due* must not block."""
        try:
            failures = 0
            while True:
                try:
                    if not self._is_connected:
                        await self._connect()
                    await self._wake_and_wait(on_due)
                    failures = 0
                except (RedisError, OSError, TimeoutError) as error:
                    self._lose(error)
                _heed_cancel()
                if not self._is_connected:
                    await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
                    failures += 1
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. What is armed stays armed in Redis."""
        self._is_connected = False
        await self._redis.aclose()

    # -- inside ----------------------------------------------------------------------------

    async def _connect(self) -> None:
        due, campaigns, witness = self._keys
        async with self._in_order, self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(due, campaigns)  # what an engine that was killed had no time to clear, too
            pipe.set(witness, self._witness)
            await pipe.execute()
        _heed_cancel()
        was_lost, self._lost = self._lost, None
        self._is_connected = True
        if was_lost is not None:
            log.warning("Redis is back; arming every timer again", extra={"action": "timers"})
        if self._on_back is not None:
            try:
                await self._on_back()
            except Exception as error:
                log.exception("Arming the timers failed", extra={"action": "timers"})
                self._lose(error)

    async def _wake_and_wait(self, on_due: Callable[[DeadlinePassed], None]) -> None:
        if not self._is_connected:
            return
        self._earlier.clear()
        now = self._clock()
        self._next_ms = math.inf  # a timer set while the script runs wakes us in any case
        answer = await self._script(keys=self._keys, args=[math.floor(now * 1000), BATCH])
        _heed_cancel()
        found, campaigns, first, witness = cast("tuple[list[str], list[str], str, str]", answer)
        self._next_ms = float(first) if first else math.inf
        for member, campaign in zip(found, campaigns, strict=True):
            event = _event(member, campaign, now)
            if event is not None:
                on_due(event)
        if witness != self._witness:
            self._lose(ConnectionError("Redis was wiped, or another engine uses the same keys"))
            return
        wait_s = min(self._next_ms / 1000 - self._clock(), LOOK_S)
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._earlier.wait()

    def _lose(self, error: Exception) -> None:
        self._is_connected = False
        if self._lost is not None:
            return
        self._lost = f"{type(error).__name__}: {error}"
        self._earlier.set()
        log.warning("Timers are lost for now", extra={"action": "timers", "error": self._lost})
        if self._on_lost is not None:
            self._on_lost(self._lost)


def _heed_cancel() -> None:
    """redis-py may swallow a cancellation that comes just as an answer does: then raise it again."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _event(member: str, campaign: str, at: float) -> DeadlinePassed | None:
    kind, _, subject = member.partition(":")
    if kind not in get_args(Kind):
        log.warning("A timer of an unknown kind is left out", extra={"action": "timers", "timer": member})
        return None
    return DeadlinePassed(
        at=at, kind=cast("Kind", kind), subject=subject, campaign=CampaignId(campaign) if campaign else None
    )
