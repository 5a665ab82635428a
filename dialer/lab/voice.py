"""What people in the laboratory say, and who is heard in a recording.

A voice is a buzz of 100 Hz shaped by one formant and cut into syllables, so it has the pauses
and the loudness of speech. The formant's frequency is the voice's *mark*: persons have theirs
between 500 and 1,000 Hz, operators between 1,500 and 2,400 Hz. That makes a recording's channels
verifiable: measure the level at every mark, and the loudest says who speaks. The tone that a
network plays before the answer (425 Hz) is no mark.

All marks are multiples of 100 Hz, so each falls into one bin of a 20 ms window.
"""

from __future__ import annotations

import math
import random
import sys
import wave
from array import array
from functools import cache
from pathlib import Path

import msgspec

RATE_HZ = 8000
"""Samples per second of all sound here."""
PERSON_MARKS_HZ = (500, 600, 700, 800, 900, 1000)
OPERATOR_MARKS_HZ = (1500, 1600, 1700, 1800, 1900, 2000, 2100, 2200, 2300, 2400)
RINGBACK_HZ = 425
GREETING_HZ = 300
AUDIBLE = 100.0
"""A mark is heard from this level on (of 32,767); the quietest voice is some 20 times louder."""

_PEAK = 9000.0
_LENGTH_S = 6.0
_WINDOW = RATE_HZ // 50


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What is heard in one channel. Levels are of 32,767 at most.

    *rms*: loudness of everything. *person*, *operator*: level of the loudest voice of the kind.
    *mark_hz*: the loudest mark of all; None if no voice is heard.
    """

    length_s: float
    rms: float
    person: float
    operator: float
    mark_hz: int | None

    @property
    def is_person(self) -> bool:
        """Whether a person speaks here, and louder than any operator."""
        return self.person >= AUDIBLE and self.person > 4 * self.operator

    @property
    def is_operator(self) -> bool:
        """Whether an operator speaks here, and louder than any person."""
        return self.operator >= AUDIBLE and self.operator > 4 * self.person


def speak(mark_hz: int, *, length_s: float = _LENGTH_S) -> bytes:
    """A-law sound of the voice with this mark. The same mark always says the same."""
    period = [
        sum(
            math.exp(-(((harmonic * 100 - mark_hz) / 90) ** 2)) * math.sin(math.tau * harmonic * n / 80)
            for harmonic in range(max(1, mark_hz // 100 - 2), mark_hz // 100 + 3)
        )
        for n in range(80)
    ]
    loudest = max(abs(sample) for sample in period)
    rng = random.Random(mark_hz)  # noqa: S311 - repeatable on purpose
    sound = bytearray()
    table = _a_law()
    while len(sound) < length_s * RATE_HZ:
        syllable = rng.randrange(8, 20) * 80
        volume = _PEAK * rng.uniform(0.5, 1.0) / loudest
        for n in range(syllable):
            sample = volume * math.sin(math.pi * n / syllable) * period[n % 80]
            sound.append(table[(int(sample) >> 3) + 4096])
        sound += bytes([table[4096]]) * (rng.randrange(1, 5) * 80)
    return bytes(sound[: int(length_s * RATE_HZ)])


def write_voice(path: Path, mark_hz: int, *, length_s: float) -> None:
    """Write the voice with this mark as a 16-bit, 8 kHz, mono ``.wav``."""
    linear = {code: (sample - 4096) << 3 for sample, code in enumerate(_a_law())}
    samples = array("h", [linear[code] for code in speak(mark_hz, length_s=length_s)])
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())


def ringback() -> bytes:
    """A-law sound of the tone that a network plays while it rings."""
    table = _a_law()
    tone = bytes(
        table[(int(_PEAK / 3 * math.sin(math.tau * RINGBACK_HZ * n / RATE_HZ)) >> 3) + 4096]
        for n in range(RATE_HZ)
    )
    return tone + bytes([table[4096]]) * RATE_HZ * 4


def greeting(length_s: float = 4.0) -> bytes:
    """A-law sound of a machine's greeting: it speaks without drawing breath, and then waits in silence for a message."""
    table = _a_law()
    spoken = bytes(
        table[(int(_PEAK / 2 * math.sin(math.tau * GREETING_HZ * n / RATE_HZ)) >> 3) + 4096]
        for n in range(int(length_s * RATE_HZ))
    )
    return spoken + bytes([table[4096]]) * RATE_HZ * 56


def hear(samples: array[int]) -> Heard:
    """Who speaks in *samples* (signed 16 bit, 8 kHz)."""
    if not samples:
        return Heard(length_s=0.0, rms=0.0, person=0.0, operator=0.0, mark_hz=None)
    levels = {mark: _level(samples, mark) for mark in (*PERSON_MARKS_HZ, *OPERATOR_MARKS_HZ)}
    loudest = max(levels, key=lambda mark: levels[mark])
    return Heard(
        length_s=len(samples) / RATE_HZ,
        rms=math.sqrt(sum(sample * sample for sample in samples) / len(samples)),
        person=max(levels[mark] for mark in PERSON_MARKS_HZ),
        operator=max(levels[mark] for mark in OPERATOR_MARKS_HZ),
        mark_hz=loudest if levels[loudest] >= AUDIBLE else None,
    )


def hear_recording(path: Path) -> tuple[Heard, Heard]:
    """Who speaks in the left and in the right channel of a stereo recording.

    *path*: a 16-bit, 8 kHz ``.wav``, or ``.raw`` with the same samples interleaved. Raises
    ValueError for a recording of any other form.
    """
    if path.suffix == ".wav":
        with wave.open(str(path), "rb") as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            if form != (2, 2, RATE_HZ):
                raise ValueError(f"{path}: not stereo, 16 bit, 8 kHz, but {form}")
            content = file.readframes(file.getnframes())
    else:
        content = path.read_bytes()
    samples = array("h", content[: len(content) // 4 * 4])
    if sys.byteorder == "big":
        samples.byteswap()
    return hear(samples[0::2]), hear(samples[1::2])


def _level(samples: array[int], mark_hz: int) -> float:
    """Amplitude at *mark_hz* (Goertzel, in windows of 20 ms: loops of a voice need not fit)."""
    factor = 2.0 * math.cos(math.tau * mark_hz / RATE_HZ)
    power = 0.0
    windows = 0
    for start in range(0, len(samples) - _WINDOW + 1, _WINDOW):
        before = now = 0.0
        for sample in samples[start : start + _WINDOW]:
            before, now = now, sample + factor * now - before
        power += max(0.0, now * now + before * before - factor * now * before)
        windows += 1
    return 2.0 / _WINDOW * math.sqrt(power / windows) if windows else 0.0


@cache
def _a_law() -> bytes:
    """A-law code (ITU-T G.711) of every 13-bit sample from -4096 on."""
    return bytes(_a_law_of(sample) for sample in range(-4096, 4096))


def _a_law_of(sample: int) -> int:
    mask = 0xD5 if sample >= 0 else 0x55
    magnitude = sample if sample >= 0 else -sample - 1
    segment = max(0, magnitude.bit_length() - 5)
    mantissa = magnitude >> max(1, segment) & 0x0F
    return (segment << 4 | mantissa) ^ mask
