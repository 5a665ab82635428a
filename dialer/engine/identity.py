"""Where ids and the time come from. The core takes both from its events."""

from __future__ import annotations

import secrets
import time

from dialer.core.ids import AttemptId

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_RANDOM_BITS = 52


def new_attempt_id() -> AttemptId:
    """A fresh attempt id: milliseconds (48 bits), then 52 random bits, in base 32.

    Ids made later sort later, so that the journal's index grows at one end.
    """
    number = int(time.time() * 1000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return AttemptId("a" + "".join(_DIGITS[number >> shift & 31] for shift in range(95, -1, -5)))


class Clock:
    """Seconds since the epoch that never go back and never stand still.

    When the machine's clock is set back (or had jumped ahead and is set right), ours goes on at half the
    pace until the other has caught up, so that every deadline still comes.
    """

    def __init__(self) -> None:
        self._last = 0.0
        self._measured = time.monotonic()

    def __call__(self) -> float:
        """Now."""
        before, self._measured = self._measured, time.monotonic()
        self._last = max(time.time(), self._last + (self._measured - before) / 2)
        return self._last
