"""Recordings: what Asterisk wrote while the call lasted becomes a file that plays anywhere.

MixMonitor writes both voices as interleaved 16-bit samples without a header (``<attempt>.raw``), which is
whole at any instant: nothing needs to be finished for it to be read. After the call it is wrapped
into ``<attempt>.wav``, left channel the person, right channel the operator, and its length, size and
SHA-256 are told to the journal. The raw file is removed only when the journal has them, so a crash at
any point leaves something from which the same result is made again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import wave
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path

from dialer.core import events as ev
from dialer.core.ids import AttemptId, is_attempt
from dialer.core.values import Call
from dialer.engine.identity import Clock
from dialer.pbx.inbox import Inbox
from dialer.pbx.wire import recording_path

log = logging.getLogger(__name__)

RATE_HZ = 8000
CHANNELS = 2
SAMPLE_BYTES = 2
QUIET_S = 0.4
"""A file that did not grow for so long is complete: the channel is gone already."""
PATIENCE_S = 10.0
"""A recording that has not appeared after so long is missing."""
_CHUNK = 1 << 18


class Recordings:
    """Finishes recordings one at a time in a thread of its own; tells *inbox*."""

    def __init__(self, *, folder: Path, inbox: Inbox[ev.Event], clock: Clock) -> None:
        self._folder = folder
        self._inbox = inbox
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Semaphore(1)

    def finish(self, call: Call) -> None:
        """*call* is over: make its recording ready. Returns at once.

        A call of which we know no answer may have been answered while nobody watched: it has a
        recording then, and nothing is missing if it has none.
        """
        self._spawn(self._finish(call))

    def stored(self, recording: ev.RecordingStored) -> None:
        """The journal has it: the raw file is not needed any more."""
        raw = (self._folder / recording.path).with_suffix(".raw")
        self._spawn(asyncio.to_thread(raw.unlink, True))

    async def left_over(
        self, live: Iterable[AttemptId], find: Callable[[list[AttemptId]], Awaitable[Iterable[Call]]]
    ) -> None:
        """Finish what an engine that died left behind. *find*: the calls that the journal knows of these."""
        raws = await asyncio.to_thread(lambda: sorted(self._folder.glob("*/*.raw")))
        busy = set(live)
        for call in await find([AttemptId(raw.stem) for raw in raws if is_attempt(raw.stem)]):
            if call.attempt not in busy:
                self.finish(call)

    async def drain(self) -> None:
        """Wait until all that was begun is done."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def aclose(self) -> None:
        """Give up what was begun; the next start finds it again."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("A recording failed by a fault of ours", exc_info=task.exception())

    async def _finish(self, call: Call) -> None:
        raw = recording_path(self._folder, call.attempt, call.created_at)
        if call.answered_at is None and await asyncio.to_thread(_size, raw) < 0:
            return
        await self._wait_until_quiet(raw)
        async with self._one_at_a_time:
            try:
                size, digest = await asyncio.to_thread(wrap, raw)
            except (OSError, ValueError) as error:
                reason = f"{type(error).__name__}: {error}"
                # Who hangs up at once may be gone before the first sound; a conversation is not.
                level = logging.WARNING if call.connected_at is None else logging.ERROR
                log.log(level, "A recording is missing", extra={"action": "record", "attempt": call.attempt})
                self._inbox.put(ev.RecordingMissing(at=self._clock(), attempt=call.attempt, reason=reason))
                if isinstance(error, ValueError):  # there is nothing in it that could be lost
                    await asyncio.to_thread(raw.unlink, True)
                return
        wav = raw.with_suffix(".wav")
        length_s = (size - _header_bytes()) / (CHANNELS * SAMPLE_BYTES * RATE_HZ)
        now = self._clock()
        self._inbox.put(
            ev.RecordingStored(
                at=now,
                attempt=call.attempt,
                path=str(wav.relative_to(self._folder)),
                started_at=call.answered_at or (call.ended_at or now) - length_s,
                length_s=length_s,
                size_bytes=size,
                sha256=digest,
            )
        )

    async def _wait_until_quiet(self, raw: Path) -> None:
        before, waited = -1, 0.0
        while waited < PATIENCE_S:
            await asyncio.sleep(QUIET_S)
            waited += QUIET_S
            size = await asyncio.to_thread(_size, raw)
            if size == before and size > 0:
                return
            before = size


def wrap(raw: Path) -> tuple[int, str]:
    """Make ``.wav`` of the file *raw* beside it; its size in bytes and SHA-256.

    Done in pieces, and under another name until it is whole. Raises OSError, and ValueError for a
    recording without a single sample.
    """
    frame = CHANNELS * SAMPLE_BYTES
    if (size := raw.stat().st_size - raw.stat().st_size % frame) == 0:
        raise ValueError("the recording is empty")
    wav, part = raw.with_suffix(".wav"), raw.with_suffix(".part")
    with raw.open("rb") as source, part.open("wb") as target:
        with wave.open(target, "wb") as writer:
            writer.setnchannels(CHANNELS)
            writer.setsampwidth(SAMPLE_BYTES)
            writer.setframerate(RATE_HZ)
            writer.setnframes(size // frame)
            left = size
            while left and (chunk := source.read(min(_CHUNK, left))):
                writer.writeframesraw(chunk)
                left -= len(chunk)
        target.flush()
        os.fsync(target.fileno())
    with part.open("rb") as done:
        digest = hashlib.file_digest(done, "sha256").hexdigest()
    written = part.stat().st_size
    part.replace(wav)
    return written, digest


def _header_bytes() -> int:
    return 44


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
