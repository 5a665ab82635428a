"""Our own music: a loop that Asterisk plays, soft, and without a break."""

from __future__ import annotations

import math
import wave
from itertools import pairwise
from pathlib import Path

from dialer.pbx.music import RATE_HZ, bells, write_music


def test_it_is_heard_all_the_time_and_never_loud():
    samples = bells()
    windows = [samples[at : at + RATE_HZ // 4] for at in range(0, len(samples), RATE_HZ // 4)]
    loud = [math.sqrt(sum(one * one for one in window) / len(window)) for window in windows]
    assert min(loud) > 300, "of 32,767"
    assert max(map(abs, samples)) < 9000


def test_its_end_goes_over_into_its_beginning():
    samples = bells()
    steps = [abs(a - b) for a, b in pairwise(samples)]
    assert abs(samples[-1] - samples[0]) <= max(steps)


def test_it_is_written_in_the_form_that_asterisk_plays(tmp_path: Path):
    write_music(tmp_path / "bells.wav")
    with wave.open(str(tmp_path / "bells.wav"), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)
        assert file.getnframes() == len(bells())
    assert [one.name for one in tmp_path.iterdir()] == ["bells.wav"]
