"""News of desk phones and of trunks: what an endpoint's channels say is told when it changes, and not with every channel of ours.

A phone that nothing was told of is free, here as on the floor. A caller's channel is told by Asterisk's own id until it is known as
which attempt the core knows it (:mod:`dialer.pbx.aliases`); then it is told anew, so that nobody counts it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dialer.core.events import Event, PhoneUsed, TrunkUsed
from dialer.core.ids import ChannelId, TrunkId


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


class TrunkNews:
    """Which channels each trunk was last told to have. *ours*: the id by which the core knows a channel."""

    def __init__(self, ours: Callable[[str, Mapping[str, str]], str]) -> None:
        self._ours = ours
        self._heard: dict[TrunkId, tuple[ChannelId, ...]] = {}
        self._told: dict[TrunkId, frozenset[ChannelId]] = {}

    def forget(self) -> None:
        """What lives is listed now: whatever is heard after that is news."""
        self._heard.clear()
        self._told.clear()

    def heard(self, event: TrunkUsed) -> TrunkUsed | None:
        """*event* as the core is to be told of it; None: it is no news."""
        self._heard[event.trunk] = event.channels
        return self._news(event.trunk, event.at)

    def named(self, trunk: TrunkId, at: float) -> TrunkUsed | None:
        """The core's id of one of the trunk's channels is known now: what it is to be told."""
        return self._news(trunk, at) if trunk in self._heard else None

    def _news(self, trunk: TrunkId, at: float) -> TrunkUsed | None:
        channels = tuple(ChannelId(self._ours(one, {})) for one in self._heard[trunk])
        if self._told.get(trunk, frozenset()) == frozenset(channels):
            return None
        self._told[trunk] = frozenset(channels)
        return TrunkUsed(at=at, trunk=trunk, channels=channels)
