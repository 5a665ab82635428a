"""What a run gave: by the engine's journal, and by the laboratory's own count.

1. The journal says when operators waited, talked and wrapped up, and what became of each call.
2. The laboratory's count is made of the network's log and the recordings alone. A call that a person answered was
   *met* at the instant when an operator's voice is first heard on the person's side of the recording; who was not
   met in :data:`LIMIT_S` was abandoned. Of the journal only the name of the recording is taken.
3. An operator's time counts from the start of the day to its end. Conversations that began in it are followed
   to their end; but no time after the end of the day is counted.
"""

from __future__ import annotations

import math
import statistics
import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from bench.live.centre import LIMIT_S, RING_S, Took
from dialer.core.values import ABANDONED_RESULTS
from dialer.lab.network import NetworkCall
from dialer.lab.voice import OPERATOR_MARKS_HZ, RATE_HZ
from dialer.store.connect import open_reader

EAR_S = 0.25
"""From the join until the operator's voice is heard, the pauses of speech included: so much later is still in time."""
LISTEN_S = LIMIT_S + 2.0
_WINDOW = RATE_HZ // 50
_AUDIBLE = 100.0
_PURE = 0.4
"""A voice of the laboratory puts at least this share of its power into its mark; no prompt does for long."""
_WAV_HEADER = 44

Row = dict[str, Any]


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """What became of those who answered. *waits_ms*: of those who were met, from the answer on."""

    answered: int
    abandoned: int
    waits_ms: tuple[float, ...]
    late: int
    """Met after more than the limit, and not counted as abandoned. There must be none."""

    @property
    def share(self) -> float:
        """Abandoned of answered; 0 if nobody answered."""
        return self.abandoned / self.answered if self.answered else 0.0


class Figures(msgspec.Struct, kw_only=True):
    """One run. Shares are of 1."""

    name: str
    seconds: float
    operators: int
    occupancy: float
    """Talk and wrap-up, of the time that operators were signed in and not paused."""
    occupancy_by_minute: list[float]
    idle_s: list[float]
    """Between a wrap-up (or a pause) and the next call."""
    connects: int
    attempts: int
    ahead_max: int
    """The most calls in flight beyond idle operators at the instant of a placement."""
    journal: Met
    laboratory: Met
    differences: list[str]
    cpu_s: dict[str, float]
    network_calls: int


def figures(name: str, took: Took, journal: Path, recordings: Path, calls: Sequence[NetworkCall]) -> Figures:
    """Everything that a run gave."""
    with closing(open_reader(journal)) as connection:
        states = [dict(row) for row in connection.execute("SELECT * FROM agent_states ORDER BY agent, id")]
        attempts = [dict(row) for row in connection.execute("SELECT * FROM attempts ORDER BY created_at")]
        paths = dict(
            connection.execute("SELECT attempt, path FROM recordings WHERE path IS NOT NULL").fetchall()
        )
    spells = _spells(states)
    minutes = max(1, round((took.over - took.began) / 60))
    edges = [took.began + (took.over - took.began) * n / minutes for n in range(minutes + 1)]
    met, differences = laboratory(calls, attempts, {key: recordings / path for key, path in paths.items()})
    return Figures(
        name=name,
        seconds=took.over - took.began,
        operators=len({row["agent"] for row in states}),
        occupancy=_occupancy(states, took.began, took.over),
        occupancy_by_minute=[_occupancy(states, begin, end) for begin, end in pairwise(edges)],
        idle_s=[
            end - max(begin, took.began) for begin, end in spells if end <= took.over and begin >= took.began
        ],
        connects=sum(row["connected_at"] is not None and row["connected_at"] < took.over for row in attempts),
        attempts=len(attempts),
        ahead_max=_ahead(attempts, states),
        journal=_of_journal(attempts),
        laboratory=met,
        differences=[*differences, *_of_calls(calls, attempts)],
        cpu_s=took.cpu_s,
        network_calls=len(calls),
    )


def mean(values: Sequence[float]) -> float:
    """Their mean; nan if there are none."""
    return statistics.fmean(values) if values else math.nan


# -- operators ---------------------------------------------------------------------------------


def _occupancy(states: Iterable[Row], begin: float, end: float) -> float:
    spent: dict[str, float] = defaultdict(float)
    for row in states:
        ended = end if row["ended_at"] is None else min(end, row["ended_at"])
        spent[row["state"]] += max(0.0, ended - max(begin, row["began_at"]))
    at_work = sum(spent[state] for state in ("ready", "reserved", "on_call", "wrap_up"))
    return (spent["on_call"] + spent["wrap_up"]) / at_work if at_work else 0.0


def _spells(states: Iterable[Row]) -> Iterator[tuple[float, float]]:
    """From being free to having a call. Who was reserved in vain is idle still."""
    began: dict[str, float] = {}
    for row in states:
        agent, state = row["agent"], row["state"]
        if state == "ready":
            began.setdefault(agent, row["began_at"])
        elif state == "on_call" and agent in began:
            yield began.pop(agent), row["began_at"]
        elif state != "reserved":
            began.pop(agent, None)


def _ahead(attempts: Iterable[Row], states: Iterable[Row]) -> int:
    """Calls that nobody had been met by yet, beyond the operators who were free, after each placement; the most."""
    changes: list[tuple[float, int, int, int]] = []
    for row in attempts:
        gave_up = row["created_at"] + RING_S if row["answered_at"] is None else None
        over = min(at for at in (row["connected_at"], row["ended_at"], gave_up, math.inf) if at is not None)
        changes += [(row["created_at"], 2, 1, 0), (over, 1, -1, 0)]
    for row in states:
        if row["state"] in ("ready", "reserved"):
            end = row["ended_at"] if row["ended_at"] is not None else math.inf
            changes += [(row["began_at"], 0, 0, 1), (end, 0, 0, -1)]
    in_flight = idle = most = 0
    for _, kind, call, operator in sorted(changes):
        in_flight, idle = in_flight + call, idle + operator
        if kind == 2:
            most = max(most, in_flight - idle)
    return most


# -- who answered ------------------------------------------------------------------------------


def _of_journal(attempts: Iterable[Row]) -> Met:
    answered = abandoned = late = 0
    waits: list[float] = []
    for row in attempts:
        is_abandoned = _is_abandoned(row)
        if row["answered_at"] is None and not is_abandoned:
            continue
        answered += 1
        abandoned += is_abandoned
        if row["connected_at"] is not None:
            waits.append(1000 * (row["connected_at"] - row["answered_at"]))
            late += not is_abandoned and waits[-1] > 1000 * LIMIT_S
    return Met(answered=answered, abandoned=abandoned, waits_ms=tuple(waits), late=late)


def _is_abandoned(row: Row) -> bool:
    return row["abandoned_at"] is not None or row["result"] in ABANDONED_RESULTS


def laboratory(
    calls: Iterable[NetworkCall], attempts: Iterable[Row], recordings: Mapping[str, Path]
) -> tuple[Met, list[str]]:
    """What the laboratory heard, and where it differs from the journal."""
    by_number: dict[str, list[Row]] = defaultdict(list)
    for row in attempts:
        by_number[row["number"]].append(row)
    answered = abandoned = late = 0
    waits: list[float] = []
    differences: list[str] = []
    for call in calls:
        if call.answered_at is None:
            continue
        answered += 1
        mine = [row for row in by_number[call.number] if _is_of(row, call)]
        paths = [recordings[row["attempt"]] for row in mine if row["attempt"] in recordings]
        heard_s = first_heard(paths[0]) if paths else None
        is_abandoned = heard_s is None or heard_s > LIMIT_S + EAR_S
        is_counted = any(_is_abandoned(row) for row in mine)
        abandoned += is_abandoned
        if heard_s is not None:
            waits.append(1000 * heard_s)
            late += is_abandoned and not is_counted
        if is_abandoned != is_counted:
            heard = "no operator" if heard_s is None else f"an operator after {heard_s:.2f} s"
            said = " and ".join(f"{row['result']}, {'' if is_counted else 'not '}abandoned" for row in mine)
            differences.append(
                f"{call.number}: the person heard {heard}, the journal says {said or 'nothing'}"
            )
    return Met(answered=answered, abandoned=abandoned, waits_ms=tuple(waits), late=late), differences


def _is_of(row: Row, call: NetworkCall) -> bool:
    over = row["ended_at"] if row["ended_at"] is not None else math.inf
    return bool(row["created_at"] - 1.0 <= call.invited_at <= over + 1.0)


def _of_calls(calls: Sequence[NetworkCall], attempts: Sequence[Row]) -> Iterator[str]:
    sent = [row for row in attempts if row["result"] != "failed"]
    if len(sent) != len(calls):
        yield f"the network counted {len(calls)} calls, the journal has {len(sent)} attempts"


def first_heard(path: Path) -> float | None:
    """Seconds from the beginning of a recording until an operator is heard on its right; None: not in
    :data:`LISTEN_S`. *path*: as in :func:`dialer.lab.voice.hear_recording`."""
    with path.open("rb") as file:
        content = file.read(_WAV_HEADER + int(LISTEN_S * RATE_HZ) * 4)
    content = content[_WAV_HEADER if path.suffix == ".wav" else 0 :]
    samples = array("h", content[: len(content) // 4 * 4])
    if sys.byteorder == "big":
        samples.byteswap()
    right = samples[1::2]
    before = False
    for start in range(0, len(right) - _WINDOW + 1, _WINDOW):
        is_voice = _is_operator(right[start : start + _WINDOW])
        if is_voice and before:
            return (start - _WINDOW) / RATE_HZ
        before = is_voice
    return None


def _is_operator(window: array[int]) -> bool:
    power = sum(sample * sample for sample in window) / len(window)
    if power < _AUDIBLE * _AUDIBLE / 2:
        return False
    return any(_power_at(window, mark) > _PURE * power for mark in OPERATOR_MARKS_HZ)


def _power_at(window: array[int], mark_hz: int) -> float:
    """Of the part of *window* at *mark_hz* (Goertzel)."""
    factor = 2.0 * math.cos(math.tau * mark_hz / RATE_HZ)
    before = now = 0.0
    for sample in window:
        before, now = now, sample + factor * now - before
    return 2.0 * max(0.0, now * now + before * before - factor * now * before) / len(window) ** 2
