"""All Asterisk servers of one engine: started together, each with a line of its own (:mod:`dialer.engine.serverline`).

1. An embedded server that does not start keeps the engine from starting, as ever; one elsewhere may come later.
2. What is ordered goes to the server that has the channel (:func:`clients_for`).
3. New trunks and phones go to every embedded server side by side; one that does not take them keeps none of the others from it, and
   gets them when it is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from dialer.core import events as ev
from dialer.core.commands import AnyCommand, SendToLastWord, SendToOverflow
from dialer.core.floor import Floor
from dialer.core.ids import ONLY, ServerId
from dialer.core.values import AgentState, Call, CallState
from dialer.engine.configuring import Source, refresh, settings_of
from dialer.engine.embedded import EmbeddedAsterisk
from dialer.engine.install import find_asterisk
from dialer.engine.ports import Ports, choose_ports
from dialer.engine.process import EmbeddedError
from dialer.engine.serverline import Ears, ServerLine, trunks_of
from dialer.pbx.checks import BadSetting
from dialer.pbx.client import AriClient, Meter
from dialer.pbx.errors import PbxError
from dialer.pbx.requests import to_request
from dialer.pbx.whereabouts import Whereabouts
from dialer.store.files import Ports as PortSettings
from dialer.store.files import Secrets, SystemSettings

log = logging.getLogger(__name__)

LAST_WORDS_S = 2.0
CONNECT_S = 10.0
"""An embedded Asterisk's events flow by then; we wait for them before we say that we are in charge."""


class Asterisks:
    """The servers of one engine. *lines*: by name, once :meth:`connect` was called; *embedded*: those whose process is ours. *hep*: where
    these send copies of SIP messages; empty: nowhere."""

    def __init__(self, settings: SystemSettings, *, outlive: bool, hep: str = "") -> None:
        self.lines: dict[ServerId, ServerLine] = {}
        self.embedded: dict[ServerId, EmbeddedAsterisk] = {}
        self._settings = settings
        self._outlive = outlive
        self._hep = hep
        self._whereabouts = Whereabouts()

    async def start(self, source: Source) -> Exception | None:
        """Start the embedded ones; why one of them does not start, while others run."""
        self.embedded, failure = await _start(source, outlive=self._outlive, hep=self._hep)
        return failure

    def connect(self, secrets: Secrets, ears: Ears, meter: Callable[[ServerId], Meter]) -> None:
        """Make the lines; their works are the caller's to run."""
        self._whereabouts = ears.whereabouts
        for name, one in self._settings.servers.items():
            asterisk = self.embedded.get(name)
            url = asterisk.ari_url if asterisk is not None else one.url
            ari = AriClient(url, one.user, secrets.ari_of(name))
            ari.meter = meter(name)
            self.lines[name] = ServerLine(
                name, ari, ears, asterisk=asterisk, lost_after_s=self._settings.asterisk.lost_after_s
            )

    def route(self, command: AnyCommand, channel: str) -> list[AriClient]:
        """Who is given *command*: see :func:`clients_for`."""
        return clients_for(self.lines.values(), self._whereabouts, command, channel)

    async def apply(self, source: Source) -> None:
        """Each embedded server takes its trunks and phones (rule 3). Raises EmbeddedError: none of them did."""
        names = list(self.embedded)
        done = await asyncio.gather(
            *(
                self.embedded[name].apply_lines(trunks_of(source.trunks, name), source.phones)
                for name in names
            ),
            return_exceptions=True,
        )
        failures = {
            name: one for name, one in zip(names, done, strict=True) if isinstance(one, BaseException)
        }
        for name, failure in failures.items():
            if not isinstance(failure, EmbeddedError) or len(failures) == len(names):
                raise failure
            log.error(
                "An Asterisk server does not take its trunks and phones: %s",
                failure,
                extra={"action": "configure", "server": name},
            )

    async def configure(self, source: Source) -> None:
        """The configuration of each Asterisk of one's own is brought up to date, where it is ours to do so. What cannot be is told in
        the log: people are served all the same."""
        for name in self.lines.keys() - self.embedded.keys():
            try:
                for module in await asyncio.to_thread(refresh, source, name):
                    await self.lines[name].ari.request("PUT", f"/asterisk/modules/{module}", repeatable=True)
            except (BadSetting, OSError) as error:
                log.error(
                    "Asterisk's configuration cannot be written: %s", error, extra={"action": "configure"}
                )
            except PbxError as error:
                log.warning(
                    "Asterisk reads its new configuration when it starts again, or is told to",
                    extra={"action": "configure", "server": name, "error": str(error)},
                )

    def applied(self, system: SystemSettings, at: float) -> list[ev.Event]:
        """Weights and caps of now, of the servers that there are."""
        if ONLY in self.lines and not system.asterisk.servers:
            return []
        if system.servers.keys() != self.lines.keys():
            log.warning("Servers are added and taken away by a restart", extra={"action": "reload"})
            return []
        return [ev.ServersApplied(at=at, servers=applied(system))]

    async def events_flow(self) -> None:
        """Wait, but not for ever, until we hear the embedded ones: their phones find us from the first moment on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                while not all(self.lines[name].ari.is_connected for name in self.embedded):
                    await asyncio.sleep(0.02)

    async def last_words(self, floor: Floor, at: float) -> None:
        """Whoever waits for an operator is not left in silence when we go: they get the last word, or who called us the overflow."""
        waiting = [call for call in floor.calls.values() if call.state is CallState.ANSWERED]
        await asyncio.gather(*(self._last_word(call, _farewell(call, floor), at) for call in waiting))

    async def _last_word(self, call: Call, command: AnyCommand, at: float) -> None:
        line = self.lines.get(call.server)
        if line is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                for one in to_request(command, trunks={}, recordings=Path("/"), at=at):
                    with contextlib.suppress(PbxError):
                        await line.ari.request(one.method, one.path, json=one.json, repeatable=True)


def _farewell(call: Call, floor: Floor) -> AnyCommand:
    """What becomes of the person who waits, as in the tables (:mod:`dialer.core.call`)."""
    if call.direction == "out":
        return SendToLastWord(attempt=call.attempt)
    place = floor.desks[call.campaign].campaign.inbound.overflow
    return SendToOverflow(attempt=call.attempt, place=place)


def applied(settings: SystemSettings) -> tuple[ev.Server, ...]:
    """The servers as the floor is told of them; empty: the only one."""
    return tuple(
        ev.Server(
            id=name,
            weight=server.weight,
            channels_max=server.channels_max,
            calls_per_second_max=server.calls_per_second_max,
        )
        for name, server in settings.servers.items()
        if name != ONLY
    )


def forsaken(floor: Floor) -> list[ServerId]:
    """The servers of calls and operators that are none of the servers of now: nothing will ever be heard of them."""
    found = dict.fromkeys(call.server for call in floor.calls.values())
    found |= dict.fromkeys(
        agent.server for agent in floor.agents.values() if agent.state is not AgentState.SIGNED_OUT
    )
    used = set(floor.servers.used)
    return [server for server in found if server not in used]


def seed(whereabouts: Whereabouts, floor: Floor) -> None:
    """What the journal knows of where channels are."""
    for call in floor.calls.values():
        whereabouts.learn(call.attempt, call.server)
    for agent in floor.agents.values():
        if agent.channel is not None:
            whereabouts.learn(agent.channel, agent.server)


def clients_for(
    lines: Iterable[ServerLine], whereabouts: Whereabouts, command: AnyCommand, channel: str
) -> list[AriClient]:
    """Who is given *command*, which is about *channel*: the server that it names, or where the channel is; of a channel
    that nobody knows, all that can be heard. None: there is no such server."""
    by_name = {line.server: line.ari for line in lines}
    if len(by_name) == 1 and ONLY in by_name:
        return list(by_name.values())
    named = getattr(command, "server", ONLY)
    if named != ONLY:
        whereabouts.learn(channel, named)
    server = named or whereabouts.of(channel)
    if server is not None:
        return [by_name[server]] if server in by_name else []
    return [ari for ari in by_name.values() if ari.is_connected]


async def _start(
    source: Source, *, outlive: bool, hep: str
) -> tuple[dict[ServerId, EmbeddedAsterisk], Exception | None]:
    """Start the embedded servers side by side; those that run, and why another does not (then there is no use in these)."""
    made: dict[ServerId, EmbeddedAsterisk] = {}
    chosen: list[Ports] = []
    system = source.system
    embedded = {name: one for name, one in system.servers.items() if one.mode == "embedded"}
    if not embedded:
        return {}, None
    found = await asyncio.to_thread(find_asterisk)
    for name, one in embedded.items():
        ports = await _ports(one.ports, chosen)
        chosen.append(ports)
        made[name] = EmbeddedAsterisk(
            found,
            system.asterisk_folder(name),
            settings_of(system, source.secrets, name, hep=hep),
            ports=ports,
            trunks=trunks_of(source.trunks, name),
            phones=source.phones,
            outlive=outlive,
        )
    done = await asyncio.gather(*(one.start() for one in made.values()), return_exceptions=True)
    running: dict[ServerId, EmbeddedAsterisk] = {}
    failure: Exception | None = None
    for (name, server), result in zip(made.items(), done, strict=True):
        if isinstance(result, Exception):
            failure = failure or result
        elif isinstance(result, BaseException):
            raise result
        else:
            running[name] = server
    return running, failure


async def _ports(given: PortSettings, others: list[Ports]) -> Ports:
    rtp = given.rtp
    return await asyncio.to_thread(
        choose_ports,
        http=given.http,
        sip=given.sip,
        rtp=(rtp, rtp + given.rtp_count - 1) if rtp else None,
        rtp_count=given.rtp_count,
        others=others,
    )
