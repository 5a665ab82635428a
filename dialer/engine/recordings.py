"""Recordings: what Asterisk wrote while the call lasted becomes a file that plays anywhere.

MixMonitor writes both voices as interleaved 16-bit samples without a header (``<attempt>.raw``), which is
whole at any instant: nothing needs to be finished for it to be read. After the call it is wrapped
into ``<attempt>.wav``, left channel the person, right channel the operator, and its length, size and
SHA-256 are told to the journal. The raw file is removed only when the journal has them, so a crash at
any point leaves something from which the same result is made again.

1. Whether a call must have a recording is what was asked for when it was placed, not what its campaign
   says when it ends. After a restart the journal tells (:mod:`dialer.store.owed`). Where even that does not
   know, the file itself tells: if it is there it is finished, and if not, nothing is said to be missing.
2. The file begins with the answer, whether an engine lives or not: where it is, somebody answered.
3. What the disk refuses (it is full, say) is tried again for as long as the engine runs, and at its next
   start. A recording is missing only when nothing was recorded.
4. A call on a server that counts as dead may go on out of our sight, and be recorded. What there is becomes a recording, but the raw
   file stays: the next start makes the whole of it.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from dialer.engine.logs import about_call
from dialer.pbx.errors import Unsendable
from dialer.pbx.inbox import Inbox
from dialer.pbx.requests import recording_path

log = logging.getLogger(__name__)

RATE_HZ = 8000
CHANNELS = 2
SAMPLE_BYTES = 2
QUIET_S = 0.4
"""A file that did not grow for so long is complete: the channel is gone already."""
PATIENCE_S = 10.0
"""A recording that has not appeared after so long is missing."""
RETRY_S = 5.0
"""The first pause before a recording that could not be made ready is tried again; then twice as long, ..."""
RETRY_MAX_S = 60.0
"""... and never longer than this."""
SPOKEN_S = 1.0
"""Who talked for so long to an operator was heard: that nothing was recorded is a fault."""
SILENT = "The call was answered, but no sound was recorded."
GONE = "The recording was lost before it was ready."
_CHUNK = 1 << 18
_HEADER_BYTES = 44  # of a PCM WAV file without further chunks, as the wave module writes it


class Empty(ValueError):
    """A raw file without a single sample."""


class Recordings:
    """Finishes recordings one at a time, on the threads that all of the engine shares; tells *inbox*."""

    def __init__(self, *, folder: Path, inbox: Inbox[ev.Event], clock: Clock) -> None:
        self._folder = folder
        self._inbox = inbox
        self._clock = clock
        self._asked: set[AttemptId] = set()
        self._unrecorded: set[AttemptId] = set()
        """Placed by us, and Asterisk was told not to record them."""
        self._may_grow: set[AttemptId] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._retries: dict[AttemptId, asyncio.TimerHandle] = {}
        self._one_at_a_time = asyncio.Semaphore(1)

    def ask(self, attempt: AttemptId) -> None:
        """*attempt* is being placed, and Asterisk was told to record it."""
        self._asked.add(attempt)

    def ask_not(self, attempt: AttemptId) -> None:
        """*attempt* is being placed, and is not recorded: no file is looked for when it is over."""
        self._unrecorded.add(attempt)

    def forget(self, attempt: AttemptId) -> None:
        """*attempt* ended before anything could be recorded."""
        self._asked.discard(attempt)
        self._unrecorded.discard(attempt)

    def finish(self, call: Call, *, is_lost: bool = False) -> None:
        """*call* is over: make its recording ready. Returns at once. *is_lost*: with its server, which may only be out of our sight.

        A call that was to be recorded and was answered has a recording or lacks one. Any other has one
        if its file is there: it was placed by an engine before this one, or was answered while nobody
        watched.
        """
        if call.attempt in self._unrecorded:
            self._unrecorded.remove(call.attempt)
            return
        is_due = call.attempt in self._asked and call.was_answered
        self._asked.discard(call.attempt)
        if is_lost:
            self._may_grow.add(call.attempt)
        self._spawn(self._finish(call, is_due=is_due))

    def stored(self, recording: ev.RecordingStored) -> None:
        """The journal has it: the raw file is not needed any more, or not by us."""
        if recording.attempt in self._may_grow:
            self._may_grow.remove(recording.attempt)
            return
        self._spawn(_remove((self._folder / recording.path).with_suffix(".raw")))

    async def left_over(
        self,
        live: Iterable[AttemptId],
        find: Callable[[list[AttemptId]], Awaitable[Iterable[Call]]],
        owed: Iterable[Call] = (),
    ) -> None:
        """Finish what an engine that died left behind. *find*: the calls that the journal knows of these.
        *owed*: those that were to be recorded, and are live or lack their recording.
        """
        raws = await asyncio.to_thread(lambda: sorted(self._folder.glob("*/*.raw")))
        busy = set(live)
        calls = {call.attempt: call for call in owed}
        self._asked |= calls.keys()
        for call in await find([AttemptId(raw.stem) for raw in raws if is_attempt(raw.stem)]):
            calls.setdefault(call.attempt, call)
        for call in calls.values():
            if call.attempt not in busy:
                self.finish(call)

    async def answered(self, calls: Iterable[Call]) -> dict[AttemptId, float]:
        """When those of *calls* were answered that were, as far as their files tell: a call that is not recorded
        has none. What cannot be looked at is a warning in the log.
        """
        found = await asyncio.to_thread(lambda: [(call.attempt, self._answered(call)) for call in calls])
        return {attempt: at for attempt, at in found if at is not None}

    def _answered(self, call: Call) -> float | None:
        try:
            raw = recording_path(self._folder, call.attempt, call.created_at).stat()
        except FileNotFoundError:
            return None
        except (OSError, Unsendable) as error:
            log.warning(
                "A call's sound cannot be looked for",
                extra={"action": "record", **about_call(call), "error": str(error)},
            )
            return None
        # No file tells when it was begun; but when it was written last, and how long it is.
        return raw.st_mtime - raw.st_size / (CHANNELS * SAMPLE_BYTES * RATE_HZ)

    @property
    def pending(self) -> int:
        """How many recordings are being made ready, or wait to be tried again."""
        return len(self._tasks) + len(self._retries)

    async def drain(self) -> None:
        """Wait until all that can be done now is done (what the disk refuses is not waited for)."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def aclose(self) -> None:
        """Give up what was begun; the next start finds it again."""
        for retry in self._retries.values():
            retry.cancel()
        self._retries.clear()
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
            log.error(
                "A recording failed by a fault of ours", exc_info=task.exception(), extra={"action": "record"}
            )

    async def _finish(self, call: Call, *, is_due: bool, pause_s: float = 0.0) -> None:
        """Make the recording ready, now or later. *pause_s*: what was waited before this attempt at it."""
        raw = recording_path(self._folder, call.attempt, call.created_at)
        try:
            if not is_due and await asyncio.to_thread(_size, raw) < 0:
                return
            await self._wait_until_quiet(raw)
            async with self._one_at_a_time:
                size, digest = await asyncio.to_thread(wrap, raw)
        except Empty:
            self._tell_missing(call, SILENT)
            await _remove(raw)  # there is nothing in it that could be lost
        except FileNotFoundError:
            self._tell_missing(call, GONE if pause_s else SILENT)
        except OSError as error:
            self._try_again(call, error, is_due=is_due, pause_s=pause_s)
        else:
            self._tell_stored(call, raw.with_suffix(".wav"), size, digest)

    def _try_again(self, call: Call, error: OSError, *, is_due: bool, pause_s: float) -> None:
        if not pause_s:
            log.error(
                "A recording cannot be made ready; trying again",
                extra={"action": "record", **about_call(call), "error": str(error)},
            )
        pause_s = min(max(2 * pause_s, RETRY_S), RETRY_MAX_S)

        def again() -> None:
            self._retries.pop(call.attempt, None)
            self._spawn(self._finish(call, is_due=is_due, pause_s=pause_s))

        self._retries[call.attempt] = asyncio.get_running_loop().call_later(pause_s, again)

    def _tell_missing(self, call: Call, reason: str) -> None:
        # Who hangs up at once may be gone before the first sound; a conversation is not.
        now = self._clock()
        spoken_s = 0.0 if call.connected_at is None else (call.ended_at or now) - call.connected_at
        log.log(
            logging.ERROR if spoken_s >= SPOKEN_S else logging.INFO,
            "A recording is missing",
            extra={"action": "record", **about_call(call), "reason": reason},
        )
        self._inbox.put(ev.RecordingMissing(at=now, attempt=call.attempt, reason=reason))

    def _tell_stored(self, call: Call, wav: Path, size: int, digest: str) -> None:
        length_s = (size - _HEADER_BYTES) / (CHANNELS * SAMPLE_BYTES * RATE_HZ)
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

    Done in pieces, and under another name until it is whole. Raises OSError, and Empty for a
    recording without a single sample; nothing is left beside *raw* then.
    """
    frame = CHANNELS * SAMPLE_BYTES
    if (size := raw.stat().st_size - raw.stat().st_size % frame) == 0:
        raise Empty("the recording is empty")
    wav, part = raw.with_suffix(".wav"), raw.with_suffix(".part")
    try:
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
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return written, digest


async def _remove(raw: Path) -> None:
    try:
        await asyncio.to_thread(raw.unlink, True)
    except OSError as error:  # it is found again at the next start, and gives the same recording
        log.warning("A raw file cannot be removed", extra={"action": "record", "error": str(error)})


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
