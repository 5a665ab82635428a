"""When the machine stood still: then nobody speaks, and nothing is recorded, for no fault of ours."""

from __future__ import annotations

import threading
import time

POLL_S = 0.1
STILL_S = 0.3
"""A thread that sleeps, and wakes so much too late, was stopped, and all its neighbours with it."""


class Stillness:
    """Watches the clock, in a thread of its own: a loop is late whenever somebody computes in it."""

    def __init__(self) -> None:
        self._spells: list[tuple[float, float]] = []
        self._is_over = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="stillness", daemon=True).start()

    def stop(self) -> None:
        self._is_over.set()

    def lasted_s(self, since: float, until: float | None = None) -> float:
        """How long, of that time (since the epoch), the machine stood still."""
        end = time.time() if until is None else until
        return sum(max(0.0, min(ended, end) - max(began, since)) for began, ended in self._spells)

    def _watch(self) -> None:
        before = time.time()
        while not self._is_over.wait(POLL_S):
            now = time.time()
            if now - before > POLL_S + STILL_S:
                self._spells.append((before, now))
            before = now
