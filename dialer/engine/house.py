"""The composition root: one engine with all its parts, from a home folder.

What starts first ends last: the claim on the journal, the journal, the embedded servers, the timers,
the dispatcher, the loop, the event socket, the API. Each part is given what it needs and knows
nothing of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dialer import __version__
from dialer.core import events as ev
from dialer.core.commands import SendToLastWord, SetTimer
from dialer.core.floor import Floor
from dialer.core.ids import CampaignId, ChannelId, LeadId
from dialer.core.values import CallState, Centre
from dialer.engine.api import Api, listen
from dialer.engine.dispatcher import Dispatcher
from dialer.engine.embedded import EmbeddedAsterisk, EmbeddedRedis, choose_ports, find_asterisk
from dialer.engine.identity import Clock
from dialer.engine.lastword import SHARED_FOLDER, LastWordDesk
from dialer.engine.loop import BUSY_S, Engine
from dialer.engine.process import EmbeddedError
from dialer.engine.recordings import Recordings
from dialer.pbx.adopt import list_endpoints, list_live
from dialer.pbx.client import AriClient
from dialer.pbx.errors import PbxError
from dialer.pbx.frames import AnyFrame
from dialer.pbx.inbox import Inbox
from dialer.pbx.phones import PhoneNews
from dialer.pbx.render import PhoneLine, TrunkLine
from dialer.pbx.wire import to_event, to_request
from dialer.store.claims import claim
from dialer.store.files import Secrets, SystemSettings, load_secrets, load_system
from dialer.store.journal import Journal
from dialer.store.loading import Loaded
from dialer.store.settings import apply_centre
from dialer.timers import Timers

log = logging.getLogger(__name__)

RESTART_S = 1.0
"""An embedded server that ended by itself is started again after this time."""
RESTART_S_MAX = 30.0
"""The pause before the next start, which doubles each time, grows to no more than this."""
LAST_WORDS_S = 2.0
MUSIC_FOLDER = "music"
"""Of the home folder: what lies in it is played to people who are held."""
LIST_S = 20.0
"""What lives in Asterisk is listed so often, in case an event was lost."""
LIST_AGAIN_S = 6.0
"""A list that gave rise to doubts is followed by the next after this time."""
CONNECT_S = 10.0
"""An embedded Asterisk's events flow by then; we wait for them before we say that we are in charge."""


class House:
    """One engine, running while the ``async with`` block lasts.

    Raises on entry: BadFile (configuration), AlreadyClaimed (another engine), StoreError (the
    journal), EmbeddedError (an embedded server does not start).
    """

    def __init__(self, home: Path, *, outlive: bool = False) -> None:
        self.home = home.resolve()
        self.asterisk: EmbeddedAsterisk | None = None
        self.redis: EmbeddedRedis | None = None
        self.settings: SystemSettings
        self.journal: Journal
        self.engine: Engine
        self.ari: AriClient
        self.timers: Timers
        self.floor = Floor()
        self.inbox: Inbox[ev.Event] = Inbox()
        self.clock = Clock()
        self._outlive = outlive
        self._secrets: Secrets
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []
        self._phone_news = PhoneNews()
        self._recordings: Recordings
        self._dispatcher: Dispatcher
        self._last_word: LastWordDesk

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop(None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop(failure)

    async def wait(self) -> None:
        """Wait until a part fails, and raise what it raised. (None ends by itself otherwise.)"""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def finish_recordings(self) -> None:
        """Wait until the recordings of ended calls are ready and in the journal."""
        await self._decided()
        await self._recordings.drain()
        await self._decided()

    async def reload(self) -> dict[str, int]:
        """Read agents, trunks and campaigns from the store again, and the centre's rules from its file, and tell
        Asterisk and the floor. Raises BadFile: the file cannot be used."""
        system = await asyncio.to_thread(load_system, self.home)
        await self._keep_centre(system.centre)
        loaded = await self.journal.load()
        self._secrets = await asyncio.to_thread(load_secrets, self.home)
        await self._last_word.make_prompts([one.campaign for one in loaded.campaigns])
        if self.asterisk is not None:
            await self.asterisk.apply_lines(self._trunk_lines(loaded), self._phone_lines(loaded))
        at = self.clock()
        events: list[ev.Event] = [ev.CentreApplied(at=at, centre=loaded.centre)]
        events += [ev.TrunkApplied(at=at, trunk=trunk) for trunk in loaded.trunks]
        events += [ev.CampaignApplied(at=at, campaign=one.campaign) for one in loaded.campaigns]
        events += [ev.AgentApplied(at=at, agent=one.card) for one in loaded.agents]
        for event in events:
            self.inbox.put(event)
        await self._decided()
        return {
            "trunks": len(loaded.trunks),
            "campaigns": len(loaded.campaigns),
            "agents": len(loaded.agents),
        }

    # -- starting -----------------------------------------------------------------------

    async def _start(self) -> None:
        self.settings = await asyncio.to_thread(load_system, self.home)
        self._secrets = await asyncio.to_thread(load_secrets, self.home)
        held = await asyncio.to_thread(claim, self.home / "run" / "engine.lock")
        self._stack.callback(held.release)
        journal = await Journal.open(self.settings.journal, busy_s=BUSY_S, wall=time.time)
        self.journal = await self._stack.enter_async_context(journal)
        await self._keep_centre(self.settings.centre)
        loaded = await self.journal.load()
        self._last_word = await asyncio.to_thread(
            lambda: LastWordDesk(self.home, journal=self.journal, inbox=self.inbox, clock=self.clock)
        )
        self._stack.push_async_callback(self._last_word.aclose)
        await self._start_servers(loaded)
        await self._last_word.make_prompts([one.campaign for one in loaded.campaigns])
        self._make_parts()
        await self._stack.enter_async_context(self.ari)
        self._stack.push_async_callback(self._dispatcher.aclose)
        await self._restore(loaded)
        await self._last_word.tell_choices()
        self._spawn(self.timers.run(self._on_due))
        self._spawn(self.engine.run())
        self._stack.push_async_callback(self._recordings.aclose)
        owed = await self.journal.owed_recordings(self.clock())
        await self._recordings.left_over(self.floor.calls, self.journal.find_calls, owed)
        for server in (self.redis, self.asterisk):
            if server is not None:
                self._spawn(_keep_up(server))
        self._spawn(self.ari.listen(self._on_frame, self._on_connected, self._on_disconnected))
        self._spawn(self._keep_looking())
        self._spawn(self._last_word.keep_telling())
        runner = await listen(self._api(), self.settings.socket)
        self._stack.push_async_callback(runner.cleanup)
        if self.asterisk is not None:
            # Its phones find us from the first moment on. An Asterisk elsewhere may come later.
            await self._events_flow()

    async def _start_servers(self, loaded: Loaded) -> None:
        settings = self.settings
        if settings.redis.mode == "embedded":
            self.redis = EmbeddedRedis(self.home / "redis", outlive=self._outlive)
            await self.redis.start()
            self._stack.push_async_exit(self._stopping(self.redis))
        if settings.asterisk.mode != "embedded":
            return
        install = await asyncio.to_thread(find_asterisk)
        rtp = settings.ports.rtp
        ports = await asyncio.to_thread(
            choose_ports,
            http=settings.ports.http,
            sip=settings.ports.sip,
            rtp=(rtp, rtp + settings.ports.rtp_count - 1) if rtp else None,
            rtp_count=settings.ports.rtp_count,
        )
        self.asterisk = EmbeddedAsterisk(
            install,
            self.home / "asterisk",
            ari_user=settings.asterisk.user,
            ari_password=self._secrets.ari,
            ports=ports,
            trunks=self._trunk_lines(loaded),
            phones=self._phone_lines(loaded),
            sip_bind=settings.ports.sip_address,
            music=self.home / MUSIC_FOLDER,
            shared=self.home / SHARED_FOLDER,
            outlive=self._outlive,
        )
        await self.asterisk.start()
        self._stack.push_async_exit(self._stopping(self.asterisk))

    def _stopping(self, server: EmbeddedAsterisk | EmbeddedRedis) -> Callable[..., Awaitable[None]]:
        """At the end: stop *server*, unless we fail and it may outlive us, with the conversations in it."""

        async def stop(_: object, failure: BaseException | None, __: object) -> None:
            if self._outlive and isinstance(failure, Exception):
                name = type(server).__name__.removeprefix("Embedded")
                log.error(
                    "%s is left running; the next engine takes it over.", name, extra={"action": "fail"}
                )
                return
            await server.stop()

        return stop

    def _make_parts(self) -> None:
        settings = self.settings
        url = self.asterisk.ari_url if self.asterisk is not None else settings.asterisk.url
        self.ari = AriClient(url, settings.asterisk.user, self._secrets.ari)
        redis_url = self.redis.url if self.redis is not None else settings.redis.url
        self.timers = Timers(
            redis_url, password=self._secrets.redis or None, on_back=self._rearm, clock=self.clock
        )
        folder = settings.recordings_folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._recordings = Recordings(folder=folder, inbox=self.inbox, clock=self.clock)
        self._dispatcher = Dispatcher(
            ari=self.ari,
            inbox=self.inbox,
            journal=self.journal,
            timers=self.timers,
            recordings=folder,
            clock=self.clock,
            trunk=lambda trunk: desk.trunk if (desk := self.floor.trunks.get(trunk)) else None,
            campaign=lambda campaign: desk.campaign if (desk := self.floor.desks.get(campaign)) else None,
            forget=self._last_word.choices.forget,
        )
        self.engine = Engine(
            floor=self.floor,
            inbox=self.inbox,
            journal=self.journal,
            dispatcher=self._dispatcher,
            recordings=self._recordings,
            clock=self.clock,
        )

    async def _restore(self, loaded: Loaded) -> None:
        """Take up what the journal remembers. That is the first event, so that all can be played again."""
        started = loaded.started(at=self.clock(), version=__version__)
        self.floor.take_up(started)
        await self.engine.decide([started])

    def _api(self) -> Api:
        return Api(
            version=__version__,
            engine=self.engine,
            inbox=self.inbox,
            clock=self.clock,
            reload=self.reload,
            enroll=self._enroll,
            campaign_of=self._campaign_of,
            pbx_connected=lambda: self.ari.is_connected,
            timers_ok=lambda: self.timers.is_connected,
        )

    async def _enroll(self, campaign: CampaignId) -> int:
        return await self.journal.enroll(campaign, self.clock())

    async def _keep_centre(self, centre: Centre) -> None:
        """The rules of the whole centre stand in the journal too: who checks a call reads them there."""
        at = self.clock()
        await self.journal.run(lambda connection: apply_centre(connection, centre, at))

    async def _campaign_of(self, lead: LeadId) -> CampaignId | None:
        sql = "SELECT campaign FROM leads WHERE id = ?"
        row = await self.journal.run(lambda connection: connection.execute(sql, (lead,)).fetchone())
        return CampaignId(row[0]) if row is not None else None

    def _trunk_lines(self, loaded: Loaded) -> list[TrunkLine]:
        return [TrunkLine(trunk=trunk, secret=self._secrets.trunk(trunk.id)) for trunk in loaded.trunks]

    def _phone_lines(self, loaded: Loaded) -> list[PhoneLine]:
        lines = []
        for one in loaded.agents:
            secret = self._secrets.phone(one.card.phone)
            if secret:
                lines.append(PhoneLine(extension=one.card.phone, secret=secret))
            else:
                log.warning("A phone has no secret and cannot register", extra={"phone": one.card.phone})
        return lines

    # -- running ------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _on_frame(self, frame: AnyFrame) -> None:
        event = to_event(frame, self.clock())
        if event is not None and self._phone_news.is_news(event):
            if isinstance(event, ev.ContactChose):
                self._last_word.heard(event)
            self.inbox.put(event)

    async def _on_connected(self) -> None:
        for change in await list_endpoints(self.ari, self.clock()):
            if self._phone_news.is_news(change):
                self.inbox.put(change)
        channels = await self._list_living(is_sure=True)
        await self._last_word.tell_choices()
        self.inbox.put(ev.PbxConnected(at=self.clock(), channels=channels))

    async def _list_living(self, *, is_sure: bool) -> tuple[ev.LiveChannel, ...]:
        """What lives. The floor is told before that who answered unheard and is gone: their sound was there before the
        question, and their channel is not in the list. *is_sure*: no event can be on its way. Raises PbxError.
        """
        answered = await self._recordings.answered(self.floor.unheard(is_sure=is_sure))
        channels = await list_live(self.ari)
        living = {one.channel for one in channels}
        for attempt, answered_at in answered.items():
            if ChannelId(attempt) not in living:
                self.inbox.put(ev.AnswerFound(at=self.clock(), attempt=attempt, answered_at=answered_at))
        return channels

    async def _keep_looking(self) -> None:
        """List what lives, again and again; it costs two requests, whoever lives."""
        while True:
            await asyncio.sleep(LIST_AGAIN_S if self.floor.has_doubts else LIST_S)
            if not self.ari.is_connected:
                continue
            asked_at = self.clock()
            try:
                channels = await self._list_living(is_sure=False)
            except PbxError as error:
                log.warning(
                    "Asterisk does not list what lives", extra={"action": "list", "error": str(error)}
                )
                continue
            self.inbox.put(ev.PbxListed(at=self.clock(), asked_at=asked_at, channels=channels))

    async def _on_disconnected(self) -> None:
        self.inbox.put(ev.PbxDisconnected(at=self.clock()))

    def _on_due(self, event: ev.DeadlinePassed) -> None:
        self.inbox.put(event)

    async def _rearm(self) -> None:
        """Arm every deadline again: those on the floor, and those of the leads that wait."""
        await self.timers.apply(self.floor.deadlines())
        at = self.clock()
        for campaign in [desk.campaign.id for desk in self.floor.desks.values() if desk.is_running]:
            after = None
            while True:
                page, after = await self.journal.waiting_leads(campaign, at, after)
                await self.timers.apply(
                    [
                        SetTimer(kind="lead", subject=str(lead), due=due, campaign=campaign)
                        for lead, due in page
                    ]
                )
                if after is None:
                    break

    async def _events_flow(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                while not self.ari.is_connected:
                    await asyncio.sleep(0.02)
        await self._decided()

    async def _decided(self) -> None:
        """Wait until everything that is in the inbox now was acted upon. Raises what a part raised."""
        until = self.inbox.total
        while self.engine.taken < until:
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.01)

    async def _last_words(self) -> None:
        """Whoever answered and waits for an operator is not left in silence when we go."""
        waiting = [call.attempt for call in self.floor.calls.values() if call.state is CallState.ANSWERED]
        for attempt in waiting:
            command = SendToLastWord(attempt=attempt)
            for one in to_request(command, trunks={}, recordings=self.home, at=self.clock()):
                with contextlib.suppress(PbxError, TimeoutError):
                    async with asyncio.timeout(LAST_WORDS_S):
                        await self.ari.request(one.method, one.path, json=one.json, repeatable=True)

    async def _stop(self, failure: BaseException | None) -> None:
        if self._tasks:
            await self._last_words()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._stack.__aexit__(type(failure) if failure else None, failure, None)


async def _keep_up(server: EmbeddedAsterisk | EmbeddedRedis) -> None:
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
