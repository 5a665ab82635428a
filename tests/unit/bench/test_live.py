"""What ``./dev bench live`` makes of a run's journal, log and recordings."""

from __future__ import annotations

import math
import random
from array import array
from pathlib import Path
from typing import Any

import pytest

from bench.live import count
from dialer.lab.day import Behaviour
from dialer.lab.network import NetworkCall
from dialer.lab.voice import RATE_HZ, write_voice


def voice(folder: Path, mark_hz: int, length_s: float) -> array[int]:
    write_voice(folder / "voice.wav", mark_hz, length_s=length_s)
    return array("h", (folder / "voice.wav").read_bytes()[44:])


def recording(folder: Path, right: array[int], name: str = "a.raw") -> Path:
    """Silence on the left."""
    stereo = array("h", bytes(4 * len(right)))
    stereo[1::2] = right
    path = folder / name
    path.write_bytes((b"R" * 44 if path.suffix == ".wav" else b"") + stereo.tobytes())
    return path


def silence(length_s: float) -> array[int]:
    return array("h", bytes(2 * int(length_s * RATE_HZ)))


@pytest.mark.parametrize("name", ["a.raw", "a.wav"])
@pytest.mark.parametrize("begins_s", [0.0, 0.34, 1.3, 3.0])
def test_an_operator_is_heard_when_they_begin_to_speak(tmp_path: Path, begins_s: float, name: str) -> None:
    right = silence(begins_s) + voice(tmp_path, 1700, 2.0)
    assert count.first_heard(recording(tmp_path, right, name)) == pytest.approx(begins_s, abs=0.1)


def test_who_is_no_operator_is_not_heard_as_one(tmp_path: Path) -> None:
    rng = random.Random(1)
    tone = array("h", (int(3000 * math.sin(math.tau * 425 * n / RATE_HZ)) for n in range(2 * RATE_HZ)))
    noise = array("h", (rng.randrange(-4000, 4000) for _ in range(2 * RATE_HZ)))
    for right in (silence(3.0), silence(0.0), tone, noise, voice(tmp_path, 700, 3.0)):
        assert count.first_heard(recording(tmp_path, right)) is None


def test_who_speaks_later_than_is_listened_is_not_heard(tmp_path: Path) -> None:
    right = silence(count.LISTEN_S + 1) + voice(tmp_path, 1700, 2.0)
    assert count.first_heard(recording(tmp_path, right)) is None


def state(agent: str, name: str, began_at: float, ended_at: float | None) -> dict[str, Any]:
    return {"agent": agent, "state": name, "began_at": began_at, "ended_at": ended_at}


STATES = [
    state("anna", "ready", 0.0, 20.0),
    state("anna", "reserved", 20.0, 21.0),
    state("anna", "ready", 21.0, 22.0),
    state("anna", "reserved", 22.0, 22.0),
    state("anna", "on_call", 22.0, 52.0),
    state("anna", "wrap_up", 52.0, 60.0),
    state("anna", "ready", 60.0, 70.0),
    state("anna", "paused", 70.0, 80.0),
    state("anna", "ready", 80.0, None),
]


def test_occupancy_is_talk_and_wrap_up_of_the_time_at_work() -> None:
    assert count._occupancy(STATES, 0.0, 100.0) == pytest.approx(38 / 90)
    assert count._occupancy(STATES, 22.0, 60.0) == 1.0
    assert count._occupancy(STATES, 70.0, 80.0) == 0.0


def test_idle_is_from_being_free_to_the_next_conversation() -> None:
    """Who was reserved in vain was idle on; who took a break was not between two calls."""
    assert list(count._spells(STATES)) == [(0.0, 22.0)]


def attempt(number: str, **facts: Any) -> dict[str, Any]:
    usual = {
        "attempt": f"a{number}",
        "number": number,
        "created_at": 100.0,
        "answered_at": None,
        "connected_at": None,
        "ended_at": 130.0,
        "result": "no_answer",
        "abandoned_at": None,
    }
    return usual | facts


def test_the_journals_own_count() -> None:
    met = count._of_journal(
        [
            attempt("1"),
            attempt("2", answered_at=110.0, connected_at=110.5, result="talked"),
            attempt("3", answered_at=110.0, connected_at=113.0, abandoned_at=112.0, result="talked"),
            attempt("4", answered_at=110.0, result="abandoned", abandoned_at=112.0),
            attempt("5", result="abandoned"),
            attempt("6", answered_at=110.0, connected_at=112.5, result="talked"),
        ]
    )
    assert (met.answered, met.abandoned, met.late) == (5, 3, 1)
    assert met.waits_ms == (500.0, 3000.0, 2500.0)
    assert met.share == 0.6


def network_call(number: str, answered_at: float | None = 110.0) -> NetworkCall:
    return NetworkCall(
        call_id=number,
        number=number,
        behaviour=Behaviour.TALKS,
        step=1,
        mark_hz=500,
        caller_id="",
        invited_at=100.1,
        answered_at=answered_at,
        ended_at=130.0,
    )


def test_the_laboratory_counts_by_what_people_heard_and_says_where_the_journal_differs(
    tmp_path: Path,
) -> None:
    at_once = recording(tmp_path, silence(0.4) + voice(tmp_path, 1700, 1.0), "a1.raw")
    never = recording(tmp_path, silence(3.0), "a2.raw")
    late = recording(tmp_path, silence(2.6) + voice(tmp_path, 1700, 1.0), "a3.raw")
    calls = [
        network_call("1"),
        network_call("2"),
        network_call("3"),
        network_call("4", None),
        network_call("5"),
    ]
    attempts = [
        attempt("1", answered_at=110.0, connected_at=110.3, result="talked"),
        attempt("2", answered_at=110.0, result="abandoned", abandoned_at=112.0),
        attempt("3", answered_at=110.0, connected_at=112.4, result="talked"),
        attempt("4"),
    ]
    met, differences = count.laboratory(calls, attempts, {"a1": at_once, "a2": never, "a3": late})
    assert (met.answered, met.abandoned, met.late) == (4, 3, 1)
    assert differences == [
        "3: the person heard an operator after 2.60 s, the journal says talked, not abandoned",
        "5: the person heard no operator, the journal says nothing",
    ]
    assert list(count._of_calls(calls, attempts)) == [
        "the network counted 5 calls, the journal has 4 attempts"
    ]


def test_calls_ahead_are_those_beyond_the_operators_who_are_free() -> None:
    states = [state("anna", "ready", 0.0, 105.0), state("anna", "on_call", 105.0, None)]
    attempts = [
        attempt("1", answered_at=104.0, connected_at=105.0),
        attempt("2", created_at=101.0, ended_at=104.5),
        attempt("3", created_at=106.0),
        attempt("4", created_at=106.0),
    ]
    assert count._ahead(attempts[:1], states) == 0
    assert count._ahead(attempts[:2], states) == 1
    assert count._ahead(attempts, states) == 2


def test_a_mean_of_nothing_is_none() -> None:
    assert math.isnan(count.mean([]))
