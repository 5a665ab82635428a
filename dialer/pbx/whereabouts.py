"""Whereabouts: on which of several Asterisk servers a channel is.

1. It is learnt from what we order (the server of an originate is chosen), from what happens, and from the lists of what
   lives. An engine that starts is told of the calls and lines that the journal knows.
2. Names are ours, or made unique by each server's ``systemname``: a channel is on one server, ever.
3. What is gone is remembered for a while, for orders about it may still be on their way. Of what was never heard of nothing is known:
   whoever has an order about that, which is harmless elsewhere, gives it to every server.
"""

from __future__ import annotations

from collections.abc import Iterable

from dialer.core.ids import ServerId
from dialer.pbx import frames as f

GONE_KEPT = 4096
"""So many channels that are gone are remembered."""


class Whereabouts:
    """Which channel is on which server."""

    def __init__(self) -> None:
        self._servers: dict[str, ServerId] = {}
        self._gone: dict[str, None] = {}
        """In the order in which they went."""

    def __len__(self) -> int:
        return len(self._servers)

    def of(self, channel: str) -> ServerId | None:
        """The server of *channel*; None: nobody knows."""
        return self._servers.get(channel)

    def learn(self, channel: str, server: ServerId) -> None:
        """*channel* is on *server*."""
        if channel:
            self._servers[channel] = server
            self._gone.pop(channel, None)

    def heard(self, server: ServerId, frame: f.AnyFrame) -> None:
        """*frame* came from *server*."""
        channel = getattr(frame, "peer" if isinstance(frame, f.Dial) else "channel", None)
        if not isinstance(channel, f.Channel):
            return
        self.learn(channel.id, server)
        if isinstance(frame, f.ChannelDestroyed):
            self._forget_later(channel.id)

    def listed(self, server: ServerId, channels: Iterable[str], asked_of: Iterable[str]) -> None:
        """These *channels* live on *server*; of *asked_of*, those known before the question, the others are gone."""
        living = set(channels)
        for channel in living:
            self.learn(channel, server)
        for channel in set(asked_of) - living:
            if self._servers.get(channel) == server and channel not in self._gone:
                self._forget_later(channel)

    def known_on(self, server: ServerId) -> tuple[str, ...]:
        """The channels that are thought to be there."""
        return tuple(channel for channel, one in self._servers.items() if one == server)

    def _forget_later(self, channel: str) -> None:
        self._gone.pop(channel, None)
        self._gone[channel] = None
        while len(self._gone) > GONE_KEPT:
            oldest = next(iter(self._gone))
            del self._gone[oldest], self._servers[oldest]
