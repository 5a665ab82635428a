"""A synthetic voice: text to sound of 8 kHz by espeak-ng, a program of the distribution.

The text goes to its standard input, never into an argument: no shell, nothing for a process listing, and nothing in it is an option. What it
says at 22,050 Hz is brought to 8,000 Hz by a polyphase low-pass filter of our own (telephones carry nothing
above 4 kHz; without the filter it would fold back as a lisp), and to one loudness.
"""

from __future__ import annotations

import math
import operator
import shutil
import subprocess
import sys
import time
from array import array
from functools import cache
from typing import Final

from dialer.core.conduct import Language
from dialer.pbx.phrases import VOICES

PROGRAM: Final = "espeak-ng"
RATE_HZ: Final = 8000
SPEAK_S: Final = 10.0
"""A text is spoken by then, or the voice counts as broken. (It says an hour of text in that time.)"""
TEXT_MAX: Final = 2000
"""Characters of one text: some two minutes."""
WORDS_PER_MINUTE: Final = 150
PEAK: Final = 16_000
"""The loudest sample, of 32,767: a telephone voice."""
_BYTES_MAX = 64 * 1024 * 1024
_ZERO_CROSSINGS = 8
"""Of the filter, on each side."""
_BREATH = 32
"""Samples that are made before other threads have their turn: a fraction of a millisecond."""


class SpeechError(Exception):
    """A text could not be spoken; the message says why and what helps."""


class NoVoice(SpeechError):
    """There is no espeak-ng here."""


class VoiceHangs(SpeechError):
    """espeak-ng did not speak in time, and will not the next time either."""


def has_voice() -> bool:
    """Whether espeak-ng is installed."""
    return shutil.which(PROGRAM) is not None


def speak(text: str, language: Language) -> array[int]:
    """*text* spoken in *language*: signed 16 bit, 8 kHz. It takes tens of milliseconds: not on an event loop's thread.

    Raises:
        NoVoice: espeak-ng is not installed.
        VoiceHangs: it took longer than :data:`SPEAK_S`.
        SpeechError: the text is empty or too long, or espeak-ng failed.
    """
    text = " ".join(text.split())
    if not text or len(text) > TEXT_MAX:
        raise SpeechError(f"a text to be spoken has 1 to {TEXT_MAX} characters, not {len(text)}")
    program = shutil.which(PROGRAM)
    if program is None:
        raise NoVoice(f"{PROGRAM} is not installed (Debian: apt-get install {PROGRAM})")
    argv = [
        program,
        "-v",
        VOICES[language],
        "-s",
        str(WORDS_PER_MINUTE),
        "-b",
        "1",
        "-z",
        "--stdin",
        "--stdout",
    ]
    try:
        done = subprocess.run(
            argv, input=text.encode("utf-8", "replace"), capture_output=True, timeout=SPEAK_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise VoiceHangs(f"{PROGRAM} did not speak within {SPEAK_S:g} s") from None
    except OSError as error:
        raise SpeechError(f"{PROGRAM} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip()[-200:]
        raise SpeechError(f"{PROGRAM} failed ({done.returncode}): {words}")
    rate_hz, samples = _read(done.stdout)
    sound = _loud(resample(samples, rate_hz))
    if not any(sound):
        raise SpeechError("nothing in the text can be spoken in this language")
    return sound


def _read(content: bytes) -> tuple[int, array[int]]:
    """The rate and the samples of what espeak-ng wrote. It streams, so the lengths in the header are not true."""
    at = content.find(b"data", 12)
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE" or at < 36 or len(content) > _BYTES_MAX:
        raise SpeechError(f"{PROGRAM} wrote no sound")
    channels = int.from_bytes(content[22:24], "little")
    rate_hz = int.from_bytes(content[24:28], "little")
    width = int.from_bytes(content[34:36], "little")
    if channels != 1 or width != 16 or not RATE_HZ <= rate_hz <= 48_000:
        raise SpeechError(f"{PROGRAM} wrote sound of another form ({channels}, {width} bit, {rate_hz} Hz)")
    body = content[at + 8 :]
    samples = array("h", body[: len(body) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return rate_hz, samples


def resample(samples: array[int], rate_hz: int) -> array[int]:
    """*samples* of *rate_hz* (8,000 or more) at 8,000 Hz: a windowed sinc, one filter for each phase."""
    common = math.gcd(rate_hz, RATE_HZ)
    step, phases = rate_hz // common, RATE_HZ // common
    if step == phases:
        return array("h", samples)
    filters, reach = _filters(step, phases)
    padded = [0] * reach + samples.tolist() + [0] * (reach + 1)
    out = array("h")
    length = len(samples) * phases // step
    multiply = operator.mul
    for n in range(length):
        if n % _BREATH == 0:
            # The event loop's thread waits for the interpreter after each of its system calls, for 5 ms if we do not give way.
            time.sleep(0)
        place, phase = divmod(n * step, phases)
        value = sum(map(multiply, filters[phase], padded[place : place + 2 * reach]))
        out.append(max(-32768, min(32767, round(value))))
    return out


@cache
def _filters(step: int, phases: int) -> tuple[list[list[float]], int]:
    """For each phase the weights of the samples around it; and how far they reach to each side."""
    cutoff = 0.92 * phases / step  # of the input's own upper limit
    reach = math.ceil(_ZERO_CROSSINGS / cutoff)
    filters = []
    for phase in range(phases):
        weights = []
        for k in range(2 * reach):
            x = k - reach - phase / phases
            sinc = 1.0 if x == 0 else math.sin(math.pi * cutoff * x) / (math.pi * cutoff * x)
            window = 0.5 + 0.5 * math.cos(math.pi * x / (reach + 1)) if abs(x) <= reach + 1 else 0.0
            weights.append(sinc * window)
        total = sum(weights)
        filters.append([weight / total for weight in weights])
    return filters, reach


def _loud(samples: array[int]) -> array[int]:
    peak = max((abs(sample) for sample in samples), default=0)
    if not peak:
        return samples
    return array("h", [sample * PEAK // peak for sample in samples])
