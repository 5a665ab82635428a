"""Legs: channels of trunks that are no contact's call, and what is counted for them.

1. A trunk's ``channels_max`` and a server's are what the carrier and the machine bear: every channel of a trunk counts there,
   whoever's it is and in whichever direction: contacts' calls (on the floor by themselves), and as *legs* third parties of
   transfers, operators on outside lines (rung by us, or who rang in), the number that a caller is forwarded to, callers who hear
   the greeting, or to whom the dialplan alone speaks, test calls, and whatever else an Asterisk that is not ours alone does by a trunk of ours.
2. A leg that we order counts from the decision on, and uses the calls per second when it is sent. Any other counts from when Asterisk
   tells of it (``TrunkUsed``, which says the whole) on. Nobody who calls us is refused by a cap; so many fewer are placed.
3. A leg ends when its channel does, not when we want it gone. If its end is not heard, the next list of what lives ends it
   (:mod:`dialer.core.adoption`); so does it one that was ordered and never came (``IN_FLIGHT_S``).
4. Nothing is counted twice: legs are kept by their channel, and the channel of a call on the floor is no leg.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dialer.core.desk import TrunkDesk
from dialer.core.ids import ChannelId, ServerId, TrunkId
from dialer.core.servers import Servers


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of *trunk* on *server*. *since*: when it was ordered or first told of. *is_seen*: Asterisk has told of it."""

    channel: ChannelId
    trunk: TrunkId
    server: ServerId
    since: float
    is_seen: bool = False


class Legs(dict[ChannelId, Leg]):
    """All of them, by channel. *trunks*, *servers*: those of the floor, which count them."""

    def __init__(self, trunks: Mapping[TrunkId, TrunkDesk], servers: Servers) -> None:
        super().__init__()
        self._trunks = trunks
        self._servers = servers

    def began(self, leg: Leg) -> bool:
        """*leg* is there, or ordered; whether it was not known before. Of the rate it uses nothing (see :meth:`sent`)."""
        before = self.get(leg.channel)
        if before is not None:
            if leg.is_seen and not before.is_seen:
                self[leg.channel] = msgspec.structs.replace(before, is_seen=True)
            return False
        self[leg.channel] = leg
        self._servers.desk(leg.server).came()
        if leg.trunk in self._trunks:
            self._trunks[leg.trunk].came()
        return True

    def sent(self, channel: ChannelId, at: float) -> None:
        """The order for that leg goes out: it uses the calls per second of trunk and server."""
        leg = self[channel]
        self._servers.desk(leg.server).asked(at)
        if leg.trunk in self._trunks:
            self._trunks[leg.trunk].asked(at, channel)

    def ended(self, channel: ChannelId) -> bool:
        """It is no more, or not to be counted as a leg; whether it was one."""
        leg = self.pop(channel, None)
        if leg is None:
            return False
        self._servers.desk(leg.server).gave_back()
        if leg.trunk in self._trunks:
            self._trunks[leg.trunk].gave_back(channel)
        return True

    def on(self, server: ServerId, trunk: TrunkId | None = None) -> list[Leg]:
        """Those on *server*, of *trunk* or (None) of all."""
        return [one for one in self.values() if one.server == server and trunk in (None, one.trunk)]
