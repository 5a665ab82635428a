"""News of desk phones: a phone's use is told when it changes, and not with every channel of ours.

A phone that nothing was told of is free, here as on the floor.
"""

from __future__ import annotations

from dialer.core.events import Event, PhoneUsed


class PhoneNews:
    """Which phones were last told to be in use."""

    def __init__(self) -> None:
        self._in_use: set[str] = set()

    def is_news(self, event: Event) -> bool:
        """Whether *event* says what was not known; everything but a phone's use is taken for news."""
        if not isinstance(event, PhoneUsed):
            return True
        if event.is_in_use == (event.phone in self._in_use):
            return False
        self._in_use ^= {event.phone}
        return True
