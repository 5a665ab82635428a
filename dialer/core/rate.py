"""Calls per second: of trunks and servers alike."""

from __future__ import annotations

BURST_S = 0.25
"""An unused rate is saved for no longer than this, so that a lull makes no flood."""


class Rate:
    """What is saved of a rate, of *saved* calls at the instant *at*. How high the rate is, is said with each question: it may change."""

    def __init__(self, saved: float, at: float = 0.0) -> None:
        self._saved_calls = saved
        self._at = at

    def room(self, per_s: float, at: float) -> int:
        """How many calls it allows at this moment. To ask changes nothing."""
        return int(self._saved(per_s, at) + 1e-9)

    def took(self, per_s: float, at: float) -> None:
        """A call was placed. Only a call that is really placed uses the rate."""
        self._saved_calls = self._saved(per_s, at) - 1.0
        self._at = max(at, self._at)

    def _saved(self, per_s: float, at: float) -> float:
        return min(max(1.0, per_s * BURST_S), self._saved_calls + max(0.0, at - self._at) * per_s)
