"""Aliases: calls that come in bear an id of Asterisk's, and are known to the core by the attempt id that the dialplan made.

1. ``ari.conf`` has ``channelvars = OBZVON_ATTEMPT``, so every frame and every list tells a channel's attempt id. A channel that
   we placed has it for its own id, and needs no alias.
2. The door is :class:`~dialer.pbx.client.AriClient`: what comes in bears attempt ids, requests go out with Asterisk's. Nobody else
   knows that there are two.
3. An alias is learnt from whatever tells it and forgotten with the end of the channel; should that get lost, with
   the next list of what lives in which it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from dialer.core.ids import is_attempt
from dialer.pbx.frames import Channel, ChannelDestroyed, Frame

VARIABLE: Final = "OBZVON_ATTEMPT"
_CHANNELS: Final = "/channels/"

F = TypeVar("F", bound=Frame)


class Aliases:
    """Of the channels of one Asterisk."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}
        """Asterisk's id, by the attempt's."""
        self._ours: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._real)

    @property
    def known(self) -> frozenset[str]:
        """The attempts whose channels bear another id."""
        return frozenset(self._real)

    def ours(self, channel: str, variables: Mapping[str, str]) -> str:
        """The id by which the core knows *channel*; learnt from its *variables*, where they tell."""
        attempt = variables.get(VARIABLE, "") if variables else ""
        if not attempt or attempt == channel or not is_attempt(attempt) or is_attempt(channel):
            return self._ours.get(channel, channel) if self._ours else channel
        if self._ours.get(channel) != attempt:
            self._forget(attempt)
            self._real[attempt], self._ours[channel] = channel, attempt
        return attempt

    def read(self, frame: F) -> F:
        """*frame* as the core knows its channels."""
        changes: dict[str, Channel] = {}
        for name in ("channel", "peer", "caller"):
            channel = getattr(frame, name, None)
            if (
                isinstance(channel, Channel)
                and (one := self.ours(channel.id, channel.channelvars)) != channel.id
            ):
                changes[name] = msgspec.structs.replace(channel, id=one)
        if not changes:
            return frame
        if isinstance(frame, ChannelDestroyed):
            self._forget(changes["channel"].id)
        return msgspec.structs.replace(frame, **changes)

    def path(self, path: str) -> str:
        """*path* of a request as Asterisk knows the channel that it names."""
        if not self._real or not path.startswith(_CHANNELS):
            return path
        attempt, slash, rest = path.removeprefix(_CHANNELS).partition("/")
        return f"{_CHANNELS}{self._real.get(attempt, attempt)}{slash}{rest}"

    def body(self, body: Any) -> Any:
        """*body* of a request, likewise."""
        if self._real and isinstance(body, dict) and body.get("channel") in self._real:
            return {**body, "channel": self._real[body["channel"]]}
        return body

    def listed(self, before: Iterable[str], living: Iterable[str]) -> None:
        """*living* is all that lives; of the attempts that were known *before* that was asked, those missing are forgotten."""
        for attempt in set(before).difference(living):
            self._forget(attempt)

    def _forget(self, attempt: str) -> None:
        channel = self._real.pop(attempt, None)
        if channel is not None:
            self._ours.pop(channel, None)
