"""The verdict: what the engine reports, held against what the network counted, call by call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from dialer.core.values import Result
from dialer.lab.network import NetworkCall
from dialer.lab.voice import hear_recording
from dialer.store.connect import open_reader

_SQL = (
    "SELECT a.number, a.created_at, a.result, r.path FROM attempts a LEFT JOIN recordings r USING (attempt)"
    " WHERE a.result <> 'failed' ORDER BY a.number, a.created_at"
)


class Verdict(msgspec.Struct, kw_only=True):
    """How report and network compare. *differences*: a sentence for each call on which they do not agree."""

    network_calls: int
    attempts: int
    conversations: int
    both_voices: int
    """Recordings of conversations that hold the person on the left and the operator on the right."""
    differences: list[str]

    @property
    def agrees(self) -> bool:
        """Whether every call agrees, and every conversation's recording holds both voices."""
        return not self.differences and self.both_voices == self.conversations


def compare(journal: Path, recordings: Path, network: Iterable[NetworkCall]) -> Verdict:
    """Hold the journal's attempts against the network's calls, number by number in their order."""
    with closing(open_reader(journal)) as connection:
        rows = connection.execute(_SQL).fetchall()
    theirs = sorted(network, key=lambda call: (call.number, call.invited_at))
    counted, reported = Counter(call.number for call in theirs), Counter(row[0] for row in rows)
    differences = [
        f"{number}: the network counted {counted[number]} calls, the report has {reported[number]}"
        for number in sorted(counted.keys() | reported.keys())
        if counted[number] != reported[number]
    ]
    if not differences:
        for call, (number, _, result, _) in zip(theirs, rows, strict=True):
            if result is None or Result(result) not in call.results:
                expected = ", ".join(sorted(call.results)) or "no end"
                differences.append(f"{number}: the network saw {expected}, the report says {result}")
    talks = [path for _, _, result, path in rows if result == Result.TALKED]
    return Verdict(
        network_calls=len(theirs),
        attempts=len(rows),
        conversations=len(talks),
        both_voices=sum(path is not None and _has_both(recordings / path) for path in talks),
        differences=differences,
    )


def _has_both(path: Path) -> bool:
    left, right = hear_recording(path)
    return left.is_person and right.is_operator
