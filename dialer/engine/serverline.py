"""A line to one Asterisk server.

1. A :class:`ServerLine` is all that belongs to one server: its client (requests and events), what is asked of it, the process where it
   is embedded. It shares nothing with the others, so that one that hangs or is away stalls none.
2. What it tells becomes events with the server's name, in the one inbox.
3. With one server it is what the engine always did. With several, a server is dead (``PbxLost``) when its process is gone, when
   it refused connections for ``lost_after_s``, or when nothing came from it for :data:`SILENT` times as long; that is told once, until it
   is heard again. Whose voice is on disk answered, dead server or not: that is told before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

import msgspec

from dialer.core import events as ev
from dialer.core.floor import Floor
from dialer.core.ids import ONLY, ChannelId, ServerId
from dialer.engine.arrivals import Arrivals
from dialer.engine.asterisklog import keep_short
from dialer.engine.embedded import EmbeddedAsterisk
from dialer.engine.embeddedredis import EmbeddedRedis
from dialer.engine.identity import Clock
from dialer.engine.lastword import LastWordDesk
from dialer.engine.lateanswers import LateAnswers
from dialer.engine.process import EmbeddedError
from dialer.engine.recordings import Recordings
from dialer.pbx.adopt import list_endpoints, list_live
from dialer.pbx.client import AriClient
from dialer.pbx.errors import PbxError
from dialer.pbx.frames import AnyFrame, StasisStart
from dialer.pbx.inbox import Inbox
from dialer.pbx.phones import PhoneNews, TrunkNews
from dialer.pbx.render import TrunkLine
from dialer.pbx.whereabouts import Whereabouts
from dialer.pbx.wire import arrival, to_event

log = logging.getLogger(__name__)

RESTART_S = 1.0
"""An embedded server that ended by itself is started again after this time."""
RESTART_S_MAX = 30.0
"""The pause before the next start, which doubles each time, grows to no more than this."""
LIST_S = 20.0
"""What lives in Asterisk is listed so often, in case an event was lost."""
LIST_AGAIN_S = 6.0
"""A list that gave rise to doubts is followed by the next after this time."""
LOOK_S = 0.5
"""It is looked so often whether a server is dead."""
SILENT = 4
"""A server that does not refuse connections, but keeps silent, is given so many times ``lost_after_s``."""


class Ears:
    """What the lines of all servers share: where they tell what they hear, and what they must know for that."""

    def __init__(
        self,
        *,
        inbox: Inbox[ev.Event],
        clock: Clock,
        floor: Floor,
        recordings: Recordings,
        last_word: LastWordDesk,
        arrivals: Arrivals | None = None,
        late: LateAnswers | None = None,
    ) -> None:
        self.inbox = inbox
        self.clock = clock
        self.floor = floor
        self.recordings = recordings
        self.last_word = last_word
        self.arrivals = arrivals
        self.late = late
        self.whereabouts = Whereabouts()


class ServerLine:
    """One server. *asterisk*: its process, if it is embedded. *lost_after_s*: see the rules."""

    def __init__(
        self,
        server: ServerId,
        ari: AriClient,
        ears: Ears,
        *,
        asterisk: EmbeddedAsterisk | None = None,
        lost_after_s: float = 15.0,
    ) -> None:
        self.server = server
        self.ari = ari
        self.asterisk = asterisk
        self.is_lost = False
        self._ears = ears
        self._lost_after_s = lost_after_s
        self._phone_news = PhoneNews()
        self._trunk_news = TrunkNews(lambda channel, told: ari.aliases.ours(channel, told))

    def works(self) -> list[Coroutine[Any, Any, Any]]:
        """What goes on for ever."""
        works: list[Coroutine[Any, Any, Any]] = [
            self.ari.listen(self.on_frame, self.on_connected, self.on_disconnected),
            self.keep_looking(),
        ]
        if self.asterisk is not None:
            works += [keep_up(self.asterisk), keep_short(self.asterisk)]
        if self.server != ONLY:
            works.append(self.keep_watch())
        return works

    # -- what is heard --------------------------------------------------------------------

    def on_frame(self, frame: AnyFrame) -> None:
        """Something happened there."""
        if self.server != ONLY:
            self._ears.whereabouts.heard(self.server, frame)
        if (
            self._ears.arrivals is not None
            and isinstance(frame, StasisStart)
            and frame.args[:1] == ("inbound",)
        ):
            found = arrival(frame.channel.id, frame.args[1:])
            if found is not None:
                if (news := self._trunk_news.named(found.trunk, self._ears.clock())) is not None:
                    self._put(news)
                self._ears.arrivals.came(found, self.server)
                return
        event = to_event(frame, self._ears.clock())
        if self._ears.late is not None and self._ears.late.takes(frame, event, self.tell):
            return
        if event is not None:
            self.tell(event)

    def tell(self, event: ev.Event) -> None:
        """*event* happened there."""
        if not self._phone_news.is_news(event):
            return
        if isinstance(event, ev.ContactChose):
            self._ears.last_word.heard(event)
        if isinstance(event, ev.TrunkUsed):
            news = self._trunk_news.heard(event)
            if news is None:
                return
            event = news
        self._put(event)

    def _put(self, event: ev.Event) -> None:
        event = of_server(event, self.server)
        if self._ears.arrivals is not None:
            self._ears.arrivals.put(event)
        else:
            self._ears.inbox.put(event)

    async def on_connected(self) -> None:
        """Events flow. Raises PbxError."""
        for change in await list_endpoints(self.ari, self._ears.clock()):
            self.tell(change)
        self._trunk_news.forget()
        channels = await self._list_living(is_sure=True)
        await self._ears.last_word.tell_choices()
        self.is_lost = False
        self.tell(ev.PbxConnected(at=self._ears.clock(), channels=channels))

    async def on_disconnected(self) -> None:
        """No more."""
        self.tell(ev.PbxDisconnected(at=self._ears.clock()))

    async def _list_living(self, *, is_sure: bool) -> tuple[ev.LiveChannel, ...]:
        """What lives there. The floor is told before that who answered unheard and is gone: their sound was there before the
        question, and their channel is not in the list. *is_sure*: no event can be on its way. Raises PbxError.
        """
        known = self._ears.whereabouts.known_on(self.server) if self.server != ONLY else ()
        answered = await self._answered(is_sure=is_sure)
        channels = await list_live(self.ari)
        living = {one.channel for one in channels}
        if self.server != ONLY:
            self._ears.whereabouts.listed(self.server, living, known)
        for found in answered:
            if ChannelId(found.attempt) not in living:
                self.tell(found)
        if self._ears.arrivals is not None:
            await self._ears.arrivals.listed(channels, self.server)
        return channels

    async def _answered(self, *, is_sure: bool) -> list[ev.AnswerFound]:
        unheard = self._ears.floor.unheard(self.server, is_sure=is_sure)
        found = await self._ears.recordings.answered(unheard)
        return [
            ev.AnswerFound(at=self._ears.clock(), attempt=attempt, answered_at=answered_at)
            for attempt, answered_at in found.items()
        ]

    async def keep_looking(self) -> None:
        """List what lives, again and again; it costs two requests, whoever lives."""
        while True:
            await asyncio.sleep(LIST_AGAIN_S if self._ears.floor.has_doubts else LIST_S)
            if not self.ari.is_connected:
                continue
            asked_at = self._ears.clock()
            try:
                channels = await self._list_living(is_sure=False)
            except PbxError as error:
                log.warning(
                    "Asterisk does not list what lives",
                    extra={"action": "list", "server": self.server, "error": str(error)},
                )
                continue
            self.tell(ev.PbxListed(at=self._ears.clock(), asked_at=asked_at, channels=channels))

    # -- whether it is there at all ---------------------------------------------------------

    async def keep_watch(self) -> None:
        """Notice that it is dead."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.is_lost and (why := self.why_lost()):
                await self._lost(why)

    def why_lost(self) -> str:
        """Why it counts as dead; empty if it does not."""
        if self.ari.is_connected:
            return ""
        if self.asterisk is not None and self.asterisk.pid is None:
            return "its process is gone"
        now = asyncio.get_running_loop().time()
        refusing, silent = self.ari.refusing_since, self.ari.away_since
        if refusing is not None and now - refusing >= self._lost_after_s:
            return f"it has refused connections for {self._lost_after_s:g} s"
        if silent is not None and now - silent >= SILENT * self._lost_after_s:
            return f"nothing has come from it for {SILENT * self._lost_after_s:g} s"
        return ""

    async def _lost(self, why: str) -> None:
        answered = await self._answered(is_sure=True)
        if self.ari.is_connected:
            return
        self.is_lost = True
        log.error(
            "An Asterisk server is dead, and its calls are closed: %s",
            why,
            extra={"action": "pbx_lost", "server": self.server},
        )
        for found in answered:
            self.tell(found)
        self.tell(ev.PbxLost(at=self._ears.clock()))


def of_server(event: ev.Event, server: ServerId) -> ev.Event:
    """*event*, which happened on *server*."""
    if server == ONLY or "server" not in event.__struct_fields__:
        return event
    return msgspec.structs.replace(event, server=server)


def trunks_of(trunks: Iterable[TrunkLine], server: ServerId) -> list[TrunkLine]:
    """Those of *trunks* that *server* has."""
    return [line for line in trunks if not server or not line.trunk.servers or server in line.trunk.servers]


async def keep_up(server: EmbeddedAsterisk | EmbeddedRedis) -> None:
    """Start *server* again whenever it ends by itself, for as long as it takes.

    That it is away is told by the parts that need it; whatever does not need it goes on.
    """
    name = type(server).__name__.removeprefix("Embedded")
    pause_s = RESTART_S
    while True:
        if server.pid is not None:
            await server.wait()
            pause_s = RESTART_S
        log.error("%s ended by itself and is started again.", name, extra={"action": "restart"})
        await asyncio.sleep(pause_s)
        pause_s = min(RESTART_S_MAX, pause_s * 2)
        try:
            await server.start()
        except (EmbeddedError, OSError) as error:
            log.error("%s does not start.", name, extra={"action": "restart", "error": str(error)})
