"""One life of the event socket: read at all times, for Asterisk disconnects a reader that stalls; and the pauses between two lives."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from dialer.pbx.errors import PbxUnreachable, reason_of
from dialer.pbx.frames import AnyFrame, ApplicationReplaced, FrameReader

log = logging.getLogger(__name__)

OnFrame = Callable[[AnyFrame], None]


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Pauses between attempts to connect: *first_s*, then *factor* times longer each, *max_s* at most.

    A connection that lived *steady_s* begins the series anew; so two engines that take the
    application away from each other do it ever more slowly.
    """

    first_s: float = 0.2
    factor: float = 2.0
    max_s: float = 5.0
    steady_s: float = 10.0

    def pause_s(self, failures: int, jitter: float) -> float:
        """The pause after *failures* in a row (1 or more); *jitter* in 0..1 takes up to half of it off."""
        full = min(self.max_s, self.first_s * self.factor ** min(failures - 1, 32))
        return full * (1.0 - 0.5 * jitter)


class EventLine:
    """The reading side of one socket: keeps frames until it is opened, then hands them over."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse[bool], reader: FrameReader, on_frame: OnFrame
    ) -> None:
        self._socket = socket
        self._reader = reader
        self._on_frame = on_frame
        self._waiting: deque[AnyFrame] | None = deque()

    def open(self) -> None:
        """Hand over what waits, and from now on everything at once."""
        waiting, self._waiting = self._waiting, None
        for frame in waiting or ():
            self._on_frame(frame)

    async def read(self) -> str:
        """Read until the socket ends; returns why it did."""
        socket = self._socket
        while True:
            message = await socket.receive()
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                frame = self._reader.read(message.data)
                if frame is None:
                    continue
                if isinstance(frame, ApplicationReplaced):
                    # Asterisk leaves this socket open, but nothing will ever come through it again.
                    log.error("Another engine took our application.", extra={"action": "pbx_replaced"})
                    return "another engine connected under the same application name"
                if self._waiting is None:
                    self._on_frame(frame)
                else:
                    self._waiting.append(frame)
                continue
            if message.type is aiohttp.WSMsgType.ERROR:
                return f"the event socket failed ({reason_of(message.data)})"
            return f"the event socket was closed (code {socket.close_code})"


async def unless(reading: asyncio.Task[str], work: Awaitable[None]) -> None:
    """Await *work*, but give it up with PbxUnreachable when the socket ends first."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([reading, task], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise PbxUnreachable(reading.result(), was_sent=True)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    await task
