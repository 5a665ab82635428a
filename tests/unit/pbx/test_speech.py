"""A text becomes sound of 8 kHz that telephones carry; a voice that is missing or broken is a clear error."""

from __future__ import annotations

import math
from array import array
from pathlib import Path

import pytest

from dialer.pbx import speech
from dialer.pbx.speech import RATE_HZ, NoVoice, SpeechError, VoiceHangs, has_voice, resample, speak

needs_voice = pytest.mark.skipif(not has_voice(), reason="espeak-ng is not installed")


def tone(hz: float, rate_hz: int, length_s: float = 0.2) -> array[int]:
    return array(
        "h", [round(10_000 * math.sin(math.tau * hz * n / rate_hz)) for n in range(int(rate_hz * length_s))]
    )


def level(samples: array[int]) -> float:
    """Of the middle: the ends have no neighbours."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return math.sqrt(sum(one * one for one in middle) / len(middle))


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100])
def test_a_tone_that_telephones_carry_stays_as_loud_as_it_was(rate_hz):
    for hz in (300, 1000, 3000):
        found = resample(tone(hz, rate_hz), rate_hz)
        assert abs(len(found) - 1600) <= 1
        assert level(found) == pytest.approx(10_000 / math.sqrt(2), rel=0.05)


@pytest.mark.parametrize("hz", [4600, 6000, 8000, 10_000])
def test_what_they_do_not_carry_does_not_fold_back(hz):
    assert level(resample(tone(hz, 22_050), 22_050)) < 10_000 / math.sqrt(2) / 50


def test_silence_and_nothing_stay_so():
    assert not any(resample(array("h", bytes(2000)), 22_050))
    assert len(resample(array("h"), 22_050)) == 0


def test_what_is_too_loud_is_cut_and_does_not_turn_over():
    square = array("h", ([32_767] * 40 + [-32_768] * 40) * 30)
    assert max(resample(square, 22_050)) == 32_767


@needs_voice
@pytest.mark.parametrize(
    ("language", "text"), [("ru", "Здравствуйте!"), ("en", "Hello there."), ("zh", "你好，请稍等。")]
)
def test_each_language_is_spoken(language, text):
    sound = speak(text, language)
    assert 0.4 * RATE_HZ < len(sound) < 6 * RATE_HZ
    assert max(map(abs, sound)) == speech.PEAK
    assert level(sound) > 300


@needs_voice
def test_a_text_is_no_option_and_no_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(speak("-w stolen.wav --help; touch stolen $(touch stolen) `touch stolen`", "en")) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 2001])
def test_nothing_and_too_much_are_refused(text):
    with pytest.raises(SpeechError, match="1 to 2000 characters"):
        speak(text, "en")


@needs_voice
def test_what_has_no_sound_is_told():
    with pytest.raises(SpeechError):
        speak("…", "en")


def test_without_espeak_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not has_voice()
    with pytest.raises(NoVoice, match="apt-get install espeak-ng"):
        speak("Hello", "en")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exec /bin/sleep 20", "did not speak within"),
        ("echo no voice >&2; exit 3", r"failed \(3\): no voice"),
        ("echo rubbish", "wrote no sound"),
        ("exit 0", "wrote no sound"),
        ("cat >/dev/null; head -c 100 /dev/zero", "wrote no sound"),
    ],
)
def test_a_broken_voice_is_told_and_never_waited_for_long(monkeypatch, tmp_path, script, message):
    program = tmp_path / "espeak-ng"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(speech, "SPEAK_S", 0.3 if "sleep" in script else 10.0)
    with pytest.raises(SpeechError, match=message) as caught:
        speak("Hello", "en")
    assert isinstance(caught.value, VoiceHangs) is ("sleep" in script), "only that one is not tried again"


def test_sound_of_another_form_is_refused(monkeypatch, tmp_path):
    head = b"RIFF" + bytes(4) + b"WAVEfmt " + (16).to_bytes(4, "little") + (1).to_bytes(2, "little")
    stereo = (
        head
        + (2).to_bytes(2, "little")
        + (22_050).to_bytes(4, "little")
        + bytes(6)
        + (16).to_bytes(2, "little")
    )
    (tmp_path / "sound").write_bytes(stereo + b"data" + bytes(104))
    program = tmp_path / "espeak-ng"
    program.write_text(f"#!/bin/sh\ncat >/dev/null; cat {Path(tmp_path / 'sound')}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SpeechError, match="another form"):
        speak("Hello", "en")


def test_while_a_voice_is_made_other_threads_have_their_turns(monkeypatch):
    """It is made while calls go on, and an event loop would wait 5 ms for the interpreter after each system call."""
    turns: list[float] = []
    monkeypatch.setattr("dialer.pbx.speech.time.sleep", turns.append)
    sound = resample(array("h", [1000] * 22_050), 22_050)
    assert len(turns) >= len(sound) / 32
    assert set(turns) == {0}, "it gives way, and does not wait"
