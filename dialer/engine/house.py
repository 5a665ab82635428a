"""The composition root: one engine with all its parts, from a home folder.

What starts first ends last: the claim on the journal, the journal, the embedded servers, the timers,
the dispatcher, the loop, the event socket, the API. Each part is given what it needs and knows
nothing of the others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from dialer import __version__
from dialer.core import events as ev
from dialer.core.deskphone import DeskPhone
from dialer.core.floor import Floor
from dialer.core.ids import AttemptId, CampaignId, LeadId, ServerId
from dialer.core.values import Campaign, Centre
from dialer.engine.api import Api, listen
from dialer.engine.arrivals import Arrivals
from dialer.engine.configuring import Source, hep_password, source_from
from dialer.engine.dispatcher import Dispatcher
from dialer.engine.embedded import EmbeddedAsterisk
from dialer.engine.embeddedredis import EmbeddedRedis
from dialer.engine.identity import Clock, new_attempt_id
from dialer.engine.lastword import LastWordDesk
from dialer.engine.lateanswers import LateAnswers
from dialer.engine.logs import tell_end
from dialer.engine.loop import BUSY_S, Engine
from dialer.engine.metrics.counters import Counters
from dialer.engine.metrics.gauges import Inside
from dialer.engine.metrics.serving import Watch, serve
from dialer.engine.rearming import rearm
from dialer.engine.recordings import Recordings
from dialer.engine.serverline import Ears, ServerLine, keep_up
from dialer.engine.servers import Asterisks, applied, forsaken, seed
from dialer.engine.silence import Silence
from dialer.pbx.client import AriClient
from dialer.pbx.inbox import Inbox
from dialer.store.claims import claim
from dialer.store.files import Secrets, SystemSettings, load_secrets, load_system
from dialer.store.journal import Journal
from dialer.store.loading import Loaded, outside_lines
from dialer.store.pins import lay_out as lay_out_pins
from dialer.store.settings import apply_centre
from dialer.timers import Timers

log = logging.getLogger(__name__)

HEP_NOTE = "run/hep.port"


class House:
    """One engine, running while the ``async with`` block lasts.

    Raises on entry: BadFile (configuration), AlreadyClaimed (another engine), StoreError (the
    journal), EmbeddedError (an embedded server does not start).
    """

    def __init__(self, home: Path, *, outlive: bool = False) -> None:
        self.home = home.resolve()
        self.asterisks: Asterisks
        self.redis: EmbeddedRedis | None = None
        self.settings: SystemSettings
        self.journal: Journal
        self.engine: Engine
        self.timers: Timers
        self.floor = Floor()
        self.inbox: Inbox[ev.Event] = Inbox()
        self.clock = Clock()
        self.counters = Counters()
        self._outlive = outlive
        self._secrets: Secrets
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []
        self._desk_phones: dict[str, DeskPhone] = {}
        self._countries: tuple[str, ...] = ()
        self._recordings: Recordings
        self._arrivals: Arrivals
        self._dispatcher: Dispatcher
        self._silence: Silence
        self._late: LateAnswers
        self._last_word: LastWordDesk

    @property
    def lines(self) -> dict[ServerId, ServerLine]:
        """The Asterisk servers."""
        return self.asterisks.lines

    @property
    def ari(self) -> AriClient:
        """The client of the first server."""
        return next(iter(self.lines.values())).ari

    @property
    def asterisk(self) -> EmbeddedAsterisk | None:
        """The first embedded server, if there is one."""
        return next(iter(self.asterisks.embedded.values()), None)

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

    async def finish_prompts(self) -> None:
        """Wait until all that campaigns say has been spoken: in a new home folder that takes the voice some time."""
        await self._last_word.finish_prompts()

    async def reload(self) -> dict[str, int]:
        """Read agents, trunks and campaigns from the store again, and the centre's rules from its file, and tell
        Asterisk and the floor. Raises BadFile: the file cannot be used."""
        system = await asyncio.to_thread(load_system, self.home)
        loaded = await self._load(system)
        self._secrets = await asyncio.to_thread(load_secrets, self.home)
        await self._lay_out(loaded, system)
        source = self._source(loaded, system)
        await self.asterisks.apply(source)
        await self.asterisks.configure(source)
        at = self.clock()
        events: list[ev.Event] = [ev.CentreApplied(at=at, centre=loaded.centre)]
        events += self.asterisks.applied(system, at)
        events += [ev.TrunkApplied(at=at, trunk=trunk) for trunk in loaded.trunks]
        events += [ev.CampaignApplied(at=at, campaign=one.campaign) for one in loaded.campaigns]
        events.append(ev.OutsideApplied(at=at, lines=outside_lines(loaded.phones)))
        events += [ev.AgentApplied(at=at, agent=one.card) for one in loaded.agents]
        for event in events:
            self.inbox.put(event)
        await self._decided()
        return {
            "trunks": len(loaded.trunks),
            "campaigns": len(loaded.campaigns),
            "agents": len(loaded.agents),
        }

    async def _load(self, system: SystemSettings) -> Loaded:
        """What the journal has now, with the centre's rules of *system*; and what we know ourselves of it from now on."""
        await self._keep_centre(system.centre)
        loaded = await self.journal.load(self.clock())
        self._desk_phones = {phone.extension: phone for phone in loaded.phones}
        self._countries = loaded.centre.countries
        return loaded

    async def _lay_out(self, loaded: Loaded, system: SystemSettings) -> None:
        """What the dialplan and its scripts look up in the shared folder."""
        campaigns = [one.campaign for one in loaded.campaigns]
        await self._last_word.make_prompts(campaigns)
        await self._last_word.lay_out_numbers(campaigns, loaded.trunks, system.centre, system.access.numbers)
        await asyncio.to_thread(lay_out_pins, self.home)

    # -- starting -----------------------------------------------------------------------

    async def _start(self) -> None:
        self.settings = await asyncio.to_thread(load_system, self.home)
        self._secrets = await asyncio.to_thread(load_secrets, self.home)
        held = await asyncio.to_thread(claim, self.home / "run" / "engine.lock")
        self._stack.callback(held.release)
        journal = await Journal.open(self.settings.journal, busy_s=BUSY_S, wall=time.time)
        self.journal = await self._stack.enter_async_context(journal)
        loaded = await self._load(self.settings)
        self._last_word = await asyncio.to_thread(
            lambda: LastWordDesk(self.home, journal=self.journal, inbox=self.inbox, clock=self.clock)
        )
        self._stack.push_async_callback(self._last_word.aclose)
        source = self._source(loaded, self.settings)
        self._late = LateAnswers(
            calls=self.floor.calls, clock=self.clock, password=hep_password(self._secrets)
        )
        self._stack.callback(self._late.close)
        here = ""
        if self.settings.asterisk.hep or self.settings.is_any_embedded:
            here = await self._late.listen(self.settings.asterisk.hep, self.home / HEP_NOTE)
        await self._start_servers(source, here)
        await self._lay_out(loaded, self.settings)
        self._make_parts()
        for line in self.lines.values():
            await self._stack.enter_async_context(line.ari)
        await self.asterisks.configure(source)
        self._stack.push_async_callback(self._dispatcher.aclose)
        self._stack.push_async_callback(self._silence.aclose)
        self._stack.push_async_callback(self._arrivals.aclose)
        await self._restore(loaded)
        await self._last_word.tell_choices()
        self._spawn(self.timers.run(self._on_due))
        self._spawn(self.engine.run())
        self._stack.push_async_callback(self._recordings.aclose)
        owed = await self.journal.owed_recordings(self.clock())
        await self._recordings.left_over(growing(self.floor), self.journal.find_calls, owed)
        if self.redis is not None:
            self._spawn(keep_up(self.redis))
        for server in forsaken(self.floor):
            self.inbox.put(ev.PbxLost(at=self.clock(), server=server))
        for line in self.lines.values():
            for work in line.works():
                self._spawn(work)
        self._spawn(self._last_word.keep_telling())
        runner = await listen(self._api(), self.settings.socket)
        self._stack.push_async_callback(runner.cleanup)
        if port := self.settings.metrics.port:
            self._spawn(serve(self._watch(), self.settings.metrics.address, port))
        if self.asterisks.embedded:
            await self.asterisks.events_flow()
            await self._decided()

    async def _start_servers(self, source: Source, hep: str) -> None:
        settings = self.settings
        if settings.redis.mode == "embedded":
            self.redis = EmbeddedRedis(self.home / "redis", outlive=self._outlive)
            await self.redis.start()
            self._stack.push_async_exit(self._stopping(self.redis))
        self.asterisks = Asterisks(settings, outlive=self._outlive, hep=hep)
        failure = await self.asterisks.start(source)
        for server in self.asterisks.embedded.values():
            self._stack.push_async_exit(self._stopping(server))
        if failure is not None:
            raise failure

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
        redis_url = self.redis.url if self.redis is not None else settings.redis.url
        self.timers = Timers(
            redis_url, password=self._secrets.redis or None, on_back=self._rearm, clock=self.clock
        )
        folder = settings.recordings_folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._recordings = Recordings(folder=folder, inbox=self.inbox, clock=self.clock)
        self._dispatcher = Dispatcher(
            route=self.asterisks.route,
            inbox=self.inbox,
            journal=self.journal,
            timers=self.timers,
            recordings=folder,
            clock=self.clock,
            trunk=lambda trunk: desk.trunk if (desk := self.floor.trunks.get(trunk)) else None,
            campaign=self._campaign,
            forget=self._last_word.choices.forget,
            phone=lambda extension: self._desk_phones.get(extension),
            countries=lambda: self._countries,
            sounds=self._last_word.prompts.waiting,
            placed=lambda attempt: self._silence.watch(attempt),
        )
        self._silence = Silence(
            route=self.asterisks.route,
            inbox=self.inbox,
            clock=self.clock,
            calls=self.floor.calls,
        )
        self._arrivals = Arrivals(
            journal=self.journal,
            inbox=self.inbox,
            clock=self.clock,
            campaign=self._campaign,
            is_live=self.floor.calls.__contains__,
            has_trunk=self.floor.trunks.__contains__,
            has_server=self.floor.servers.__contains__,
            give_back=lambda command: self._dispatcher.dispatch([command], self.clock()),
            region=settings.region,
        )
        self._last_word.introduce = self._arrivals.introduce
        self._ears = Ears(
            inbox=self.inbox,
            clock=self.clock,
            floor=self.floor,
            recordings=self._recordings,
            last_word=self._last_word,
            arrivals=self._arrivals,
            late=self._late,
        )
        self.asterisks.connect(self._secrets, self._ears, self.counters.of_server)
        self.engine = Engine(
            floor=self.floor,
            inbox=self.inbox,
            journal=self.journal,
            dispatcher=self._dispatcher,
            recordings=self._recordings,
            clock=self.clock,
        )
        self.engine.meter = self.counters
        self.counters.on_end = tell_end

    def _campaign(self, campaign: CampaignId) -> Campaign | None:
        desk = self.floor.desks.get(campaign)
        return desk.campaign if desk is not None else None

    async def _restore(self, loaded: Loaded) -> None:
        """Take up what the journal remembers. That is the first event, so that all can be played again."""
        started = loaded.started(at=self.clock(), version=__version__, new_id=new_attempt_id)
        started = msgspec.structs.replace(started, servers=applied(self.settings))
        self.floor.take_up(started)
        seed(self._ears.whereabouts, self.floor)
        self.counters.take_up([*self.floor.calls.values(), *(one.call for one in loaded.last)])
        await self.engine.decide([started])
        for attempt in self.floor.calls:
            self._silence.watch(attempt)  # its INVITE may be older: it is asked later than it could be

    def _api(self) -> Api:
        return Api(
            version=__version__,
            engine=self.engine,
            inbox=self.inbox,
            clock=self.clock,
            reload=self.reload,
            enroll=self._enroll,
            campaign_of=self._campaign_of,
            pbx_connected=lambda: any(line.ari.is_connected for line in self.lines.values()),
            timers_ok=lambda: self.timers.is_connected,
        )

    def _watch(self) -> Watch:
        inside = Inside(
            version=__version__,
            floor=self.floor,
            clock=self.clock,
            depth=lambda: self.inbox.depth,
            lag_s=lambda: max(self.engine.lag_s, self.inbox.lag_s),
            busy=lambda: self._dispatcher.busy,
            journal_ok=lambda: self.engine.journal_ok,
            timers_ok=lambda: self.timers.is_connected,
            servers=lambda: {
                name: (line.ari.is_connected, line.ari.connects) for name, line in self.lines.items()
            },
            recordings_pending=lambda: self._recordings.pending,
        )
        return Watch(
            inside=inside,
            counters=self.counters,
            waiting_timers=self.timers.waiting,
            folders={"recordings": self.settings.recordings_folder, "journal": self.home},
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

    def _source(self, loaded: Loaded, system: SystemSettings) -> Source:
        source, lacking = source_from(system, self._secrets, loaded.trunks, loaded.phones)
        for extension in lacking:
            log.warning(
                "A phone has no secret and cannot register", extra={"action": "phones", "phone": extension}
            )
        return source

    # -- running ------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _on_due(self, event: ev.DeadlinePassed) -> None:
        self.inbox.put(event)

    async def _rearm(self) -> None:
        await rearm(self.timers, self.floor, self.journal, self.clock())

    async def _decided(self) -> None:
        """Wait until everything that is in the inbox now was acted upon. Raises what a part raised."""
        until = self.inbox.total
        while self.engine.taken < until:
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.01)

    async def _stop(self, failure: BaseException | None) -> None:
        if self._tasks:
            await self.asterisks.last_words(self.floor, self.clock())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._stack.__aexit__(type(failure) if failure else None, failure, None)


def growing(floor: Floor) -> set[AttemptId]:
    """Whose recordings may still grow: live calls, and those that ended with their server while people may talk on there."""
    left = (AttemptId(one) for desk in floor.servers.values() for one in desk.left)
    return {*floor.calls, *left}
