"""Voices, and who is heard."""

from __future__ import annotations

import wave
from array import array

import pytest

from dialer.lab.voice import (
    OPERATOR_MARKS_HZ,
    PERSON_MARKS_HZ,
    RATE_HZ,
    greeting,
    hear,
    hear_recording,
    ringback,
    speak,
    write_voice,
)


def samples(path, mark_hz: int) -> array[int]:
    write_voice(path / "voice.wav", mark_hz, length_s=2.0)
    with wave.open(str(path / "voice.wav"), "rb") as file:
        return array("h", file.readframes(file.getnframes()))


@pytest.mark.parametrize("mark_hz", PERSON_MARKS_HZ)
def test_a_person_is_heard_as_this_person(tmp_path, mark_hz):
    heard = hear(samples(tmp_path, mark_hz))
    assert heard.is_person
    assert not heard.is_operator
    assert heard.mark_hz == mark_hz


@pytest.mark.parametrize("mark_hz", OPERATOR_MARKS_HZ)
def test_an_operator_is_heard_as_this_operator(tmp_path, mark_hz):
    heard = hear(samples(tmp_path, mark_hz))
    assert heard.is_operator
    assert not heard.is_person
    assert heard.mark_hz == mark_hz


def test_both_in_one_channel_are_neither(tmp_path):
    mixed = array("h", (a + b for a, b in zip(samples(tmp_path, 700), samples(tmp_path, 1900), strict=True)))
    heard = hear(mixed)
    assert not heard.is_person
    assert not heard.is_operator


def test_silence_is_nobody():
    for quiet in (array("h"), array("h", [0]) * RATE_HZ, array("h", [8, -8] * RATE_HZ)):
        heard = hear(quiet)
        assert heard.mark_hz is None
        assert not heard.is_person
        assert not heard.is_operator


def test_the_same_mark_always_says_the_same():
    assert speak(700) == speak(700)
    assert speak(700) != speak(800)
    assert len(speak(700, length_s=1.5)) == 1.5 * RATE_HZ
    assert len(ringback()) == 5 * RATE_HZ


def test_a_recording_is_heard_channel_by_channel(tmp_path):
    left, right = samples(tmp_path, 600), samples(tmp_path, 2200)
    both = array("h", (sample for pair in zip(left, right, strict=True) for sample in pair))
    (tmp_path / "call.raw").write_bytes(both.tobytes() + b"\0")
    with wave.open(str(tmp_path / "call.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(both.tobytes())
    for name in ("call.raw", "call.wav"):
        person, operator = hear_recording(tmp_path / name)
        assert (person.mark_hz, operator.mark_hz) == (600, 2200)
        assert person.length_s == pytest.approx(2.0)


def test_a_recording_of_another_form_is_refused(tmp_path):
    write_voice(tmp_path / "mono.wav", 600, length_s=0.1)
    with pytest.raises(ValueError, match="not stereo"):
        hear_recording(tmp_path / "mono.wav")


def test_a_machine_speaks_without_drawing_breath_and_then_listens():
    sound = greeting(2.0)
    silent = sound[-1]
    spoken, rest = sound[: 2 * RATE_HZ], sound[2 * RATE_HZ :]
    assert not any(
        spoken[at : at + RATE_HZ // 20].count(silent) > RATE_HZ // 40 for at in range(0, len(spoken), 400)
    )
    assert set(rest) == {silent}
    assert len(rest) > 50 * RATE_HZ
