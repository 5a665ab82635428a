"""Servers: the Asterisk servers under one engine, as the floor knows them.

1. With one server all is as if there were none: it is :data:`~dialer.core.ids.ONLY`, with room for everything.
2. A call is placed only on a server that we hear (``is_up``), and that has room: ``channels_max`` calls with people at once, and
   ``calls_per_second_max``. Operators' lines do not count.
3. Which server a call goes to is decided by the operator whom it counts on (:mod:`dialer.core.lanes`). A call that counts on
   nobody (an announcement) goes by weight, in smooth turns: each turn every server that has room gains its weight, the one with
   most is chosen and pays what all gained.
4. A server that is dead (``PbxLost``) has no calls any more: each ends as if it were missing in a list of what lives there, and so
   does every operator's line. Who is signed out by that may sign in on another. The operators whose phones are rung, and
   who were in no call, are paused (their phone is lost) until their phone registers somewhere.
5. It may have been cut off and not dead. When it is back, those who talk with each other there although we ended their call go on
   until one of them hangs up; the one who is left is hung up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dialer.core.events import Server
from dialer.core.ids import ONLY, ChannelId, ServerId
from dialer.core.rate import Rate

ANY = 1_000_000
"""So much room has the only server: trunks alone limit what it carries."""


class ServerDesk:
    """A server on the floor. *live*: its calls already up."""

    def __init__(self, server: Server, live: int = 0) -> None:
        self.server = server
        self.live = live
        self.is_up = False
        """We hear of everything that happens there."""
        self.is_lost = False
        self.is_used = True
        """It is one of the servers of now."""
        self.doubts: dict[str, tuple[str, float]] = {}
        """What the last list of what lives there says otherwise than we believe, and since when; see
        :mod:`dialer.core.adoption`."""
        self.left: set[ChannelId] = set()
        """Channels of calls and lines that ended only because the server was dead (rule 5)."""
        self.credit = 0
        self._rate = Rate(1.0)

    def lines(self) -> int:
        """How many calls more it may have."""
        if not (self.is_up and self.is_used):
            return 0
        return max(0, self.server.channels_max - self.live) if self.server.id else ANY

    def room(self, at: float) -> int:
        """How many calls it takes at this moment, at its calls per second. To ask changes nothing."""
        return (
            min(self.lines(), self._rate.room(self.server.calls_per_second_max, at))
            if self.server.id
            else self.lines()
        )

    def took(self, at: float) -> None:
        """A call was placed."""
        self.live += 1
        self._rate.took(self.server.calls_per_second_max, at)

    def came(self) -> None:
        """A person called us."""
        self.live += 1

    def gave_back(self) -> None:
        """A call ended."""
        self.live -= 1


class Servers(dict[ServerId, ServerDesk]):
    """All of them, by name."""

    def __init__(self) -> None:
        super().__init__({ONLY: ServerDesk(Server())})

    def desk(self, server: ServerId) -> ServerDesk:
        """That server's; of one that was never named, a new one that is not used."""
        found = self.get(server)
        if found is None:
            found = self[server] = ServerDesk(Server(id=server))
            found.is_used = False
        return found

    def apply(self, servers: Iterable[Server]) -> None:
        """These are the servers from now on. The others keep what lives there to its end, and get no more calls."""
        named = {one.id: one for one in servers} or {ONLY: Server()}
        for name, one in named.items():
            desk = self.desk(name)
            desk.server, desk.is_used = one, True
        for name, desk in list(self.items()):
            if name not in named:
                desk.is_used = False
                if not desk.live:
                    del self[name]

    @property
    def used(self) -> list[ServerId]:
        """The servers of now, in the order in which they are named."""
        return [name for name, desk in self.items() if desk.is_used]

    @property
    def up(self) -> list[ServerId]:
        """Those of them where calls may be placed, if there is room."""
        return [name for name, desk in self.items() if desk.is_used and desk.is_up]

    @property
    def is_any_up(self) -> bool:
        return any(desk.is_up and desk.is_used for desk in self.values())

    def next_of(self, names: Sequence[ServerId]) -> ServerId | None:
        """Of the servers *names*, which have room, the one whose turn it is to have a call that counts on no operator (rule 3)."""
        found = [self[name] for name in names if self[name].server.weight]
        if not found:
            return None
        return max(found, key=lambda desk: desk.credit + desk.server.weight).server.id

    def had_turn(self, server: ServerId, names: Sequence[ServerId]) -> None:
        """:meth:`next_of` named *server*, and the call was placed."""
        found = [self[name] for name in names if self[name].server.weight]
        for desk in found:
            desk.credit += desk.server.weight
        self[server].credit -= sum(desk.server.weight for desk in found)
