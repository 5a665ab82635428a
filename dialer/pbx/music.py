"""What a person who is held hears where the customer has put no music: soft bells, computed here.

Nobody's work is copied and no file is shipped. All notes are overtones of 50 Hz below a voice's own, so
they fit each other, and every 20 ms of a steady note are like the next.
"""

from __future__ import annotations

import math
import sys
import wave
from array import array
from functools import cache
from pathlib import Path

RATE_HZ = 8000
NOTES_HZ = (200, 250, 300, 400, 300, 250, 200, 300, 150, 250, 300, 350, 300, 250, 200, 250)
"""One after the other, and again from the beginning."""
NOTE_S = 0.8
PEAK = 3200
"""Of one note; two or three of them sound at once."""

_STEP = 16  # samples between two values of the envelope
_PERIOD = RATE_HZ // 50


@cache
def bells() -> array[int]:
    """Some thirteen seconds of music, signed 16 bit, that may be repeated without a break. Nobody changes what is given."""
    apart = int(NOTE_S * RATE_HZ)
    length = apart * len(NOTES_HZ)
    samples = array("h", bytes(2 * length))
    envelope = _envelope(3 * apart)
    for place, note in enumerate(NOTES_HZ):
        period = [math.sin(math.tau * note * n / RATE_HZ) for n in range(_PERIOD)]
        for n, level in enumerate(envelope):
            at = place * apart + n * _STEP
            for k in range(at, at + _STEP):
                samples[k % length] += int(level * period[k % _PERIOD])
    return samples


def write_music(path: Path) -> None:
    """Write :func:`bells` as a ``.wav`` that Asterisk plays. Raises OSError."""
    samples = bells()[:]
    if sys.byteorder == "big":
        samples.byteswap()
    scratch = path.with_suffix(".new")
    with wave.open(str(scratch), "wb") as out:
        out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    scratch.replace(path)


def _envelope(length: int) -> list[float]:
    """A bell: it comes in 60 ms and goes slowly."""
    rise = 0.06 * RATE_HZ
    return [
        PEAK * min(1.0, n / rise) * (1 - n / length) ** 2 for n in range(0, length // _STEP * _STEP, _STEP)
    ]
