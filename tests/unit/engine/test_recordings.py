"""A raw file becomes a recording that plays anywhere, and is kept until the journal has that."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import wave
from array import array
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dialer.core import events as ev
from dialer.core.ids import AttemptId, is_attempt
from dialer.core.values import Call, Result
from dialer.engine import recordings as module
from dialer.engine.recordings import Recordings, wrap
from tests.unit.engine.parts import Box, attempt, call, clock, ended, until

FRAMES = array("h", [value for n in range(4000) for value in (n, -n)]).tobytes()
"""Half a second; left counts up, right counts down."""


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(module, "QUIET_S", 0.01)
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)


@pytest.fixture
def inbox() -> Box:
    return Box()


@pytest.fixture
async def recordings(tmp_path: Path, inbox: Box):
    made = Recordings(folder=tmp_path, inbox=inbox, clock=clock())
    yield made
    await made.aclose()


def raw_of(folder: Path, call: Call, content: bytes = FRAMES) -> Path:
    raw = folder / datetime.fromtimestamp(call.created_at, UTC).strftime("%Y-%m-%d") / f"{call.attempt}.raw"
    raw.parent.mkdir(exist_ok=True)
    raw.write_bytes(content)
    return raw


def of(*calls: Call):
    """What the journal knows."""

    async def find(attempts: list[AttemptId]) -> list[Call]:
        assert all(is_attempt(attempt) for attempt in attempts)
        return [call for call in calls if call.attempt in attempts]

    return find


# -- who answered ----------------------------------------------------------------------------


async def test_the_file_says_that_somebody_answered_and_when(recordings, tmp_path):
    one, other, empty = call(1), call(2), call(3)
    os.utime(raw_of(tmp_path, one), (0, 1_700_000_060.0))  # half a second, written at the end of it
    raw_of(tmp_path, other).unlink()
    os.utime(raw_of(tmp_path, empty, b""), (0, 1_700_000_070.0))
    assert await recordings.answered([one, other, empty]) == {
        one.attempt: 1_700_000_059.5,
        empty.attempt: 1_700_000_070.0,
    }


async def test_what_cannot_be_looked_at_says_nothing(recordings, tmp_path, caplog):
    raw = raw_of(tmp_path, call(1))
    raw.unlink()
    raw.symlink_to(raw)
    assert await recordings.answered([call(1)]) == {}
    assert "cannot be looked for" in caplog.text


# -- wrapping --------------------------------------------------------------------------------


def test_a_wrapped_recording_is_stereo_and_plays(tmp_path):
    raw = raw_of(tmp_path, ended())
    size, digest = wrap(raw)
    wav = raw.with_suffix(".wav")
    with wave.open(str(wav)) as file:
        assert file.getparams()[:4] == (2, 2, 8000, 4000)
        assert file.readframes(4000) == FRAMES
    assert size == wav.stat().st_size == len(FRAMES) + 44
    assert digest == hashlib.sha256(wav.read_bytes()).hexdigest()
    assert sorted(path.suffix for path in raw.parent.iterdir()) == [".raw", ".wav"]


@pytest.mark.parametrize("tail", [b"\x01", b"\x01\x02", b"\x01\x02\x03"])
def test_half_a_sample_at_the_end_is_left_out(tmp_path, tail):
    raw = raw_of(tmp_path, ended(), FRAMES + tail)
    wrap(raw)
    with wave.open(str(raw.with_suffix(".wav"))) as file:
        assert file.readframes(9999) == FRAMES


def test_a_long_recording_is_wrapped_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 1000)
    raw = raw_of(tmp_path, ended(), FRAMES + b"\x07")
    wrap(raw)
    with wave.open(str(raw.with_suffix(".wav"))) as file:
        assert file.readframes(9999) == FRAMES


@pytest.mark.parametrize("content", [b"", b"\x01\x02\x03"])
def test_a_recording_without_a_sample_is_none(tmp_path, content):
    raw = raw_of(tmp_path, ended(), content)
    with pytest.raises(ValueError, match="empty"):
        wrap(raw)
    assert not raw.with_suffix(".wav").exists()


# -- finishing -------------------------------------------------------------------------------


async def test_a_finished_recording_is_told_and_its_raw_file_kept_until_the_journal_has_it(
    recordings, inbox, tmp_path
):
    call = ended()
    raw = raw_of(tmp_path, call)
    recordings.finish(call)
    await recordings.drain()
    (stored,) = inbox.all
    wav = tmp_path / stored.path
    assert wav == raw.with_suffix(".wav")
    assert stored == ev.RecordingStored(
        at=stored.at,
        attempt=call.attempt,
        path=f"2023-11-14/{call.attempt}.wav",
        started_at=1_700_000_005.0,
        length_s=0.5,
        size_bytes=wav.stat().st_size,
        sha256=hashlib.sha256(wav.read_bytes()).hexdigest(),
    )
    assert raw.exists()
    recordings.stored(stored)
    await recordings.drain()
    assert not raw.exists()
    assert wav.exists()


async def test_a_file_that_still_grows_is_waited_for(recordings, inbox, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 5.0)
    call = ended()
    raw = raw_of(tmp_path, call)
    size, sizes = module._size, list[int]()

    def grow(path: Path) -> int:
        """A file that grows until it has been looked at three times."""
        if len(sizes) < 3:
            with path.open("ab") as file:
                file.write(FRAMES)
        sizes.append(size(path))
        return sizes[-1]

    monkeypatch.setattr(module, "_size", grow)
    recordings.finish(call)
    await recordings.drain()
    (stored,) = inbox.of(ev.RecordingStored)
    assert stored.length_s == 2.0
    assert raw.stat().st_size == 4 * len(FRAMES)


@pytest.mark.parametrize(
    ("connected_at", "level"),
    [(None, logging.INFO), (1_700_000_008.5, logging.INFO), (1_700_000_006.0, logging.ERROR)],
)
@pytest.mark.parametrize("content", [None, b""])
async def test_an_answered_call_without_sound_is_missing_and_says_so(
    recordings, inbox, tmp_path, caplog, content, connected_at, level
):
    """A fault only when there was something to be heard: a conversation of seconds."""
    call = ended(connected_at=connected_at)
    if content is not None:
        raw_of(tmp_path, call, content)
    with caplog.at_level(logging.INFO):
        recordings.ask(call.attempt)
        recordings.finish(call)
        await recordings.drain()
    (missing,) = inbox.all
    assert isinstance(missing, ev.RecordingMissing)
    assert missing.attempt == call.attempt
    assert missing.reason == "The call was answered, but no sound was recorded."
    assert [(one.levelno, one.message) for one in caplog.records] == [(level, "A recording is missing")]
    assert list(tmp_path.glob("*/*")) == []


# -- whether there is to be a recording ----------------------------------------------------------


async def test_what_was_not_to_be_recorded_is_not_missing(recordings, inbox):
    recordings.finish(ended(1))
    await recordings.drain()
    assert inbox.all == []


async def test_what_was_asked_for_is_asked_for_once(recordings, inbox):
    """A call that ended without an answer leaves nothing behind, nor does one that is finished."""
    for serial in (1, 2, 3):
        recordings.ask(attempt(serial))
    recordings.forget(attempt(1))
    recordings.finish(ended(2, answered_at=None, result=Result.BUSY))
    recordings.finish(ended(3))
    for serial in (1, 2, 3):
        recordings.finish(ended(serial))
    await recordings.drain()
    assert [one.attempt for one in inbox.all] == [attempt(3)]


async def test_of_a_call_that_is_not_to_be_recorded_no_file_is_looked_for(recordings, inbox, monkeypatch):
    """It costs a thread each time. Once: what is told of it later is not known to be ours."""
    looked: list[Path] = []

    def no_file(raw: Path) -> int:
        looked.append(raw)
        return -1

    monkeypatch.setattr(module, "_size", no_file)
    for serial in (1, 2):
        recordings.ask_not(attempt(serial))
    recordings.finish(ended(1))
    recordings.forget(attempt(2))
    await recordings.drain()
    assert looked == []
    for serial in (1, 2):
        recordings.finish(ended(serial))
    await recordings.drain()
    assert [raw.stem for raw in looked] == [attempt(1), attempt(2)]
    assert inbox.all == []


async def test_who_hung_up_before_we_knew_of_the_answer_was_recorded_all_the_same(recordings, inbox):
    recordings.ask(attempt(1))
    recordings.finish(ended(1, answered_at=None, result=Result.ABANDONED))
    await recordings.drain()
    assert [type(one) for one in inbox.all] == [ev.RecordingMissing]


async def test_a_file_that_is_there_is_finished_whoever_asked_for_it(recordings, inbox, tmp_path):
    raw_of(tmp_path, ended())
    recordings.finish(ended())
    await recordings.drain()
    assert [type(one) for one in inbox.all] == [ev.RecordingStored]


# -- a disk that refuses -------------------------------------------------------------------------


def no_space(*_: object) -> int:
    raise OSError(28, "No space left on device")


async def test_on_a_full_disk_the_raw_file_alone_is_kept_and_tried_again_until_there_is_room(
    recordings, inbox, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "RETRY_MAX_S", 0.02)
    call = ended()
    raw = raw_of(tmp_path, call)
    tries = 0

    def full(_: int) -> None:
        nonlocal tries
        tries += 1
        no_space()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        recordings.ask(call.attempt)
        recordings.finish(call)
        await until(lambda: tries == 4)
        await until(lambda: list(raw.parent.iterdir()) == [raw])
        assert inbox.all == []
    await until(lambda: inbox.all)
    assert [type(one) for one in inbox.all] == [ev.RecordingStored]
    assert sorted(path.suffix for path in raw.parent.iterdir()) == [".raw", ".wav"]
    assert caplog.text.count("cannot be made ready") == 1


async def test_the_pauses_grow_to_a_bound(recordings):
    pauses = []
    pause_s = 0.0
    for _ in range(6):
        recordings._try_again(ended(), OSError(28, "No space left on device"), is_due=True, pause_s=pause_s)
        retry = recordings._retries.pop(attempt(1))
        pause_s = round(retry.when() - asyncio.get_running_loop().time())
        pauses.append(pause_s)
        retry.cancel()
    assert pauses == [5, 10, 20, 40, 60, 60]


async def test_a_folder_that_cannot_be_read_ends_nothing(recordings, inbox, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    call = ended()
    raw_of(tmp_path, call)
    with monkeypatch.context() as patch:
        looks = 0

        def refuse(path: Path) -> int:
            nonlocal looks
            looks += 1
            raise PermissionError(13, "Permission denied")

        patch.setattr(module, "_size", refuse)
        recordings.finish(call)
        await until(lambda: looks > 1)
    await until(lambda: inbox.all)
    assert [type(one) for one in inbox.all] == [ev.RecordingStored]


async def test_a_recording_that_was_lost_while_the_disk_was_full_is_missing(
    recordings, inbox, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    call = ended()
    raw = raw_of(tmp_path, call)
    with monkeypatch.context() as patch:
        patch.setattr(module, "wrap", no_space)
        recordings.ask(call.attempt)
        recordings.finish(call)
        await until(lambda: recordings._retries)
        raw.unlink()
    await until(lambda: inbox.all)
    (missing,) = inbox.all
    assert (type(missing), missing.reason) == (ev.RecordingMissing, module.GONE)


async def test_a_raw_file_that_cannot_be_removed_is_said(recordings, tmp_path, caplog):
    stored = ev.RecordingStored(
        at=1.0, attempt=attempt(1), path="d/a.wav", started_at=1.0, length_s=1.0, size_bytes=9, sha256="0"
    )
    (tmp_path / "d" / "a.raw").mkdir(parents=True)  # not even root removes a folder as a file
    recordings.stored(stored)
    await recordings.drain()
    assert "cannot be removed" in caplog.text
    assert "fault of ours" not in caplog.text


async def test_what_the_disk_refuses_now_can_be_made_by_the_next_engine(
    recordings, inbox, tmp_path, monkeypatch
):
    call = ended()
    raw = raw_of(tmp_path, call)
    with monkeypatch.context() as patch:
        patch.setattr(module, "wrap", no_space)
        recordings.finish(call)
        await recordings.drain()  # it is not waited for
        (retry,) = recordings._retries.values()
        await recordings.aclose()
    assert retry.cancelled()
    assert inbox.all == []
    assert raw.exists()
    await recordings.left_over([], of(call))
    await recordings.drain()
    assert [type(one) for one in inbox.all] == [ev.RecordingStored]


async def test_a_call_of_which_no_answer_is_known_may_have_a_recording(recordings, inbox, tmp_path):
    """It was answered while no engine was there: the dialplan recorded it."""
    heard, silent = ended(1, answered_at=None), ended(2, answered_at=None)
    raw_of(tmp_path, heard)
    recordings.finish(heard)
    recordings.finish(silent)
    await recordings.drain()
    (stored,) = inbox.all
    assert stored.attempt == heard.attempt
    assert stored.started_at == pytest.approx(1_700_000_009.0 - 0.5)


# -- after a crash ---------------------------------------------------------------------------


async def test_what_an_engine_that_died_left_behind_is_finished(recordings, inbox, tmp_path):
    over, live, unknown = ended(1), ended(2), ended(3)
    for one in (over, live, unknown):
        raw_of(tmp_path, one)
    (tmp_path / "2023-11-14" / "holiday.raw").write_bytes(FRAMES)
    await recordings.left_over([live.attempt], of(over, live))
    await recordings.drain()
    assert [one.attempt for one in inbox.of(ev.RecordingStored)] == [over.attempt]
    assert len(list(tmp_path.glob("*/*.raw"))) == 4


async def test_a_recording_that_never_appeared_is_missed_by_the_next_engine_too(
    recordings, inbox, tmp_path, monkeypatch
):
    """One call was over when the engine died, one is live, and one was never answered."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    over, live, unanswered = ended(1), ended(2), ended(3, answered_at=None)
    await recordings.left_over([live.attempt, unanswered.attempt], of(), [over, live, unanswered])
    await recordings.drain()
    assert [one.attempt for one in inbox.of(ev.RecordingMissing)] == [over.attempt]
    recordings.finish(live)
    recordings.finish(unanswered)
    await recordings.drain()
    assert [one.attempt for one in inbox.of(ev.RecordingMissing)] == [over.attempt, live.attempt]


async def test_a_crash_between_the_file_and_the_journal_gives_the_same_result_again(
    recordings, inbox, tmp_path
):
    call = ended()
    raw = raw_of(tmp_path, call)
    raw.with_suffix(".part").write_bytes(b"half of it")
    wrap(raw)
    first = hashlib.sha256(raw.with_suffix(".wav").read_bytes()).hexdigest()
    await recordings.left_over([], of(call))
    await recordings.drain()
    assert [one.sha256 for one in inbox.of(ev.RecordingStored)] == [first]
    assert not raw.with_suffix(".part").exists()


async def test_of_a_call_that_was_lost_with_its_server_the_next_engine_makes_the_rest(
    recordings, inbox, tmp_path
):
    """They were only out of our sight, and talked on."""
    call = ended()
    raw = raw_of(tmp_path, call)
    recordings.finish(call, is_lost=True)
    await recordings.drain()
    (first,) = inbox.of(ev.RecordingStored)
    recordings.stored(first)
    await recordings.drain()
    assert raw.exists()
    raw.write_bytes(2 * FRAMES)
    await recordings.left_over([], of(call))
    await recordings.drain()
    (_, second) = inbox.of(ev.RecordingStored)
    assert second.length_s == 2 * first.length_s
    recordings.stored(second)
    await recordings.drain()
    assert not raw.exists()


async def test_closing_gives_up_and_leaves_the_raw_file(recordings, inbox, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "QUIET_S", 60.0)
    raw = raw_of(tmp_path, ended())
    recordings.finish(ended())
    await recordings.aclose()
    assert inbox.all == []
    assert raw.exists()
    assert attempt(1) == raw.stem
