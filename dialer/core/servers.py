"""Servers: the Asterisk servers under one engine, as the floor knows them.

1. With one server all is as if there were none: it is :data:`~dialer.core.ids.ONLY`, with room for everything.
2. A call is placed only on a server that we hear (``is_up``), and that has room: ``channels_max`` channels of trunks at once
   (:mod:`dialer.core.legs`), and ``calls_per_second_max``. Operators' desk phones do not count.
3. Which server a call goes to is decided by the operator whom it counts on (:mod:`dialer.core.lanes`). A call that counts on
   nobody (an announcement) goes by weight, in turns of the servers that have room (:mod:`dialer.core.roundrobin`).
4. A server that is dead (``PbxLost``) has no calls any more: each ends as if it were missing in a list of what lives there, and so
   does every operator's line. Who is signed out by that may sign in on another. The operators whose phones are rung, and
   who were in no call, are paused (their phone is lost) until their phone registers somewhere.
5. It may have been cut off and not dead. When it is back, those who talk with each other there although we ended their call go on
   until one of them hangs up; the one who is left is hung up. On which channels they may be stands in the journal, for the engine
   that sees it back may be another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dialer.core.events import Server
from dialer.core.ids import ONLY, AgentId, ChannelId, ServerId
from dialer.core.rate import Rate
from dialer.core.roundrobin import had_turn, whose_turn

ANY = 1_000_000
"""So much room has the only server: trunks alone limit what it carries."""


class ServerDesk:
    """A server on the floor. *live*: its channels of trunks in use."""

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
        self.kept: set[AgentId] = set()
        """Idle operators who are called by a trunk for each call: a channel is kept free for each (:mod:`dialer.core.outside`)."""
        self._rate = Rate(1.0)

    def lines(self) -> int:
        """How many calls more it may have."""
        return self._free(len(self.kept))

    def free(self) -> int:
        """The same for operators who are called by trunks: also the channels that are kept for them."""
        return self._free(0)

    def _free(self, kept: int) -> int:
        if not (self.is_up and self.is_used):
            return 0
        return max(0, self.server.channels_max - self.live - kept) if self.server.id else ANY

    def room(self, at: float, *, leaving: int = 0) -> int:
        """How many calls it takes at this moment, at its calls per second. *leaving*: so many of its channels are just given back. To ask
        changes nothing."""
        free = self._free(len(self.kept) - leaving)
        return min(free, self._rate.room(self.server.calls_per_second_max, at)) if self.server.id else free

    def may_ask(self, at: float) -> bool:
        """Whether its calls per second allow one more at this moment."""
        return not self.server.id or self._rate.room(self.server.calls_per_second_max, at) > 0

    def took(self, at: float) -> None:
        """A call was placed."""
        self.live += 1
        self.asked(at)

    def asked(self, at: float) -> None:
        """The order for a call that counts goes out."""
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
        self._turns: dict[ServerId, int] = {}

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
                    self._turns.pop(name, None)

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
        weights = self._weights(names)
        return whose_turn(self._turns, weights) if weights else None

    def had_turn(self, server: ServerId, names: Sequence[ServerId]) -> None:
        """:meth:`next_of` named *server*, and the call was placed."""
        had_turn(self._turns, self._weights(names), server)

    def _weights(self, names: Sequence[ServerId]) -> dict[ServerId, int]:
        """Of those of them that take calls which count on nobody."""
        return {name: weight for name in names if (weight := self[name].server.weight)}
