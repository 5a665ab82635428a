"""Reading frames: what is known is typed, what is not is kept and counted."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from dialer.pbx import frames as f
from tests.contract.conftest import DATA
from tests.contract.transcript import load

CHANNEL = {"id": "a1", "name": "PJSIP/x-1", "state": "Up", "caller": {"name": "", "number": ""}}


def read(reader: f.FrameReader, **frame: object) -> f.AnyFrame | None:
    return reader.read(json.dumps(frame))


def test_a_known_frame_is_typed_and_the_rest_of_it_ignored():
    frame = read(
        f.FrameReader(),
        type="StasisStart",
        timestamp="2025-01-31T12:00:00.250+0000",
        args=["contact"],
        channel=CHANNEL,
        asterisk_id="00:00",
    )
    assert frame == f.StasisStart(
        args=("contact",),
        channel=f.Channel(id="a1", name="PJSIP/x-1", state="Up"),
    )


def test_what_asterisk_is_asked_to_send_is_what_we_can_read():
    known = {f.name_of(kind) for kind in f.AnyFrame.__args__}
    assert set(f.WANTED) <= known
    assert known - set(f.WANTED) == {"StasisEnd"}, "known, not asked for: nobody acts on it"


def test_every_recorded_frame_can_be_read():
    """All the frames of the transcripts: those that are ours decode, and none is malformed."""
    reader = f.FrameReader()
    bodies = [e.body for path in DATA.glob("*.jsonl") for e in load(path) if e.kind == "frame"]
    assert len(bodies) > 50
    for body in bodies:
        reader.read(json.dumps(body))
    assert reader.malformed == {}
    unrecorded = {"ChannelDtmfReceived", "ChannelHold", "ChannelUnhold", "ChannelTransfer"}
    assert set(f.WANTED) <= set(reader.seen) | unrecorded


def test_unknown_and_malformed_are_counted_apart_and_kept():
    reader = f.FrameReader()
    assert read(reader, type="NewInAsterisk23", a=1) is None
    assert read(reader, type="Dial") is None
    assert read(reader, no_type=1) is None
    assert reader.unknown == {"NewInAsterisk23": 1}
    assert reader.malformed == {"Dial": 1, "?": 1}
    assert len(reader.kept) == 3


def test_the_second_of_a_pair_is_dropped():
    reader = f.FrameReader()
    key = {"type": "ChannelDtmfReceived", "digit": "4", "duration_ms": 80, "channel": CHANNEL}
    first = read(reader, timestamp="2025-01-31T12:00:00.592+0000", **key)
    assert isinstance(first, f.ChannelDtmfReceived)
    assert read(reader, timestamp="2025-01-31T12:00:00.592+0000", **key) is None
    assert read(reader, timestamp="2025-01-31T12:00:00.994+0000", **key) is not None, "pressed again"
    assert reader.doubled == 1
    assert reader.seen == {"ChannelDtmfReceived": 2}


def test_frames_are_remembered_for_a_while_only():
    reader = f.FrameReader()
    for _ in range(2):
        for number in range(f.REMEMBERED + 1):
            assert read(reader, type="ChannelDestroyed", cause=16, channel={"id": str(number)}) is not None
    assert len(reader._last_set) == len(reader._last) == f.REMEMBERED


def test_what_is_kept_is_bounded():
    reader = f.FrameReader()
    for number in range(1000):
        read(reader, type=f"T{number}", filler="x" * 10_000)
    assert len(reader.kept) == f.KEPT_FRAMES
    assert all(len(text) <= f.KEPT_BYTES for text in reader.kept)
    assert len(reader.unknown) <= f.NAMES_MAX + 1
    assert reader.unknown["(others)"] == 1000 - f.NAMES_MAX


@given(
    st.one_of(
        st.text(),
        st.binary(),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(["type", "channel", "id", "args"]), inner)
            ),
        ).map(json.dumps),
    )
)
def test_reading_never_raises(data):
    f.FrameReader().read(data)
