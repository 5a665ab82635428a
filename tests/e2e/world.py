"""A whole call centre for one test: a home folder, a network full of people, desk phones, and an engine.

Everything is real but the people: Asterisk, Valkey, SIP and sound over loopback. Ports are chosen free,
so that worlds stand beside each other. Nothing here sleeps to wait for something: :func:`until` looks
again and again, for a bounded time. The bounds are wide, for a machine that has much else to do: only what fails
takes so long. What a test must do while a person rings or talks is not raced against their clock: they are
``on_cue`` (:class:`dialer.lab.day.Behaviour`), and the test says when they answer and hang up.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import secrets
import sqlite3
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self

import aiohttp
import msgspec

from dialer.core.conduct import LastWord
from dialer.core.ids import AgentId, CampaignId, TrunkId
from dialer.core.values import AgentCard, Campaign, Result, RetryRule, Trunk
from dialer.engine.house import House
from dialer.engine.ports import is_free
from dialer.lab.day import Behaviour, Line, Person, Reaction
from dialer.lab.network import LabNetwork, NetworkCall
from dialer.lab.phones import LabPhone, LabPhones, Phone
from dialer.lab.voice import RATE_HZ
from dialer.office.setup import make_home
from dialer.store import files, settings
from dialer.store.connect import open_reader, open_writer, transaction
from tests.e2e.stillness import Stillness

_CLAIMS = Path(tempfile.gettempdir()) / f"obzvon-test-ports-{os.getuid()}"
_given: deque[range] = deque(maxlen=32)
"""What :func:`free_ports` gave out last: more than the worlds that begin at the same time ask for."""
SIP_PORTS = range(16000, 16900)
MEDIA_PORTS = range(25000, 27900)
RTP_PORTS = range(20000, 24600)
HTTP_PORTS = range(17000, 17900)
RTP_COUNT = 200
SECOND_BYTES = 2 * 2 * RATE_HZ
"""Of a recording: two channels of 16 bits."""
WRITTEN_BYTES = 32_768
"""So much of it Asterisk writes at once: what is on the disk may lack as much."""
SOUND_S = 0.7
"""A recording may be so much shorter or longer than the call."""
PATIENCE_S = 45.0
"""What ought to happen in a moment has happened by then, however slow the machine."""


class Spans(msgspec.Struct, frozen=True, kw_only=True):
    """Where a world looks for its ports: worlds that begin at the same time need spans of their own."""

    sip: range = SIP_PORTS
    media: range = MEDIA_PORTS
    rtp: range = RTP_PORTS
    http: range = HTTP_PORTS


TRUNK = Trunk(
    id=TrunkId("lab"), host="127.0.0.1", channels_max=30, calls_per_second_max=20.0, options_interval_s=1
)
QUICK_RETRY = {
    Result.BUSY: RetryRule(attempts=3, again_s=1.5, phone="same"),
    Result.NO_ANSWER: RetryRule(attempts=2, again_s=2.0, phone="next"),
    Result.INVALID: RetryRule(attempts=1, again_s=0.0, phone="next"),
    Result.DECLINED: RetryRule(attempts=1, again_s=1.0, phone="next"),
    Result.CONGESTION: RetryRule(attempts=3, again_s=1.0, phone="same"),
    Result.NO_ROUTE: RetryRule(attempts=2, again_s=1.0, phone="next"),
    Result.ABANDONED: RetryRule(attempts=1, again_s=1.0, phone="same"),
    Result.HUNG_UP: RetryRule(attempts=1, again_s=1.0, phone="same"),
    Result.LOST: RetryRule(attempts=2, again_s=1.0, phone="same"),
}


# -- waiting, ports ------------------------------------------------------------------------


async def until(
    is_so: Callable[[], Any], what: str, within_s: float = PATIENCE_S, check: Callable[[], None] | None = None
) -> Any:
    """Wait until *is_so*, and return what it said; AssertionError names *what* after *within_s*."""
    deadline = time.monotonic() + within_s
    while True:
        if check is not None:
            check()
        found = is_so()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:g} s in vain for: {what}")
        await asyncio.sleep(0.02)


def free_ports(count: int, span: range, *, tcp: bool = True, udp: bool = True, even: bool = False) -> int:
    """The first of *count* free ports in a row within *span*.

    Ports for SIP (both kinds) have the next one free, too, for TLS. Between the choice of a port and its use time passes, in which nobody
    else may choose it. So each test process of one run looks in its own part of the span, and a port of TCP that was given out is
    nobody else's: no other run's until this process ends, and not its own again before all others.
    """
    rng = random.SystemRandom()
    wanted = count + (tcp and udp)
    part = _own_part(span)
    firsts = [first for first in range(part.start, part.stop - wanted + 1) if not (even and first % 2)]
    rng.shuffle(firsts)
    if tcp:  # where there is no other room for so many, what was given out first is given again
        firsts.sort(key=lambda first: _given_lately(range(first, first + wanted)))
    for first in firsts:
        ports = range(first, first + wanted)
        if all(is_free(port, tcp=tcp, udp=udp) for port in ports) and (not tcp or _claim_all(ports)):
            if tcp:
                _given.append(ports)
            return first
    raise AssertionError(f"no {count} free ports in {part}")


def _given_lately(ports: range) -> int:
    """The place in :data:`_given` of the last that has one of *ports*; -1 if none has."""
    places = [place for place, one in enumerate(_given) if ports.start < one.stop and one.start < ports.stop]
    return max(places, default=-1)


def _own_part(span: range) -> range:
    """Of several processes of one run, each has its part."""
    place = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    width = len(span) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(span.start + place * width, span.start + (place + 1) * width)


def _claim_all(ports: range) -> bool:
    """Whether all are ours now. If not, none is that was not before: other runs look for room, too."""
    claimed: list[int] = []
    for port in ports:
        before = (_CLAIMS / str(port)).exists()
        if not _claim(port):
            for one in claimed:
                (_CLAIMS / str(one)).unlink(missing_ok=True)
            return False
        if not before:
            claimed.append(port)
    return True


def _claim(port: int) -> bool:
    """Whether the port is ours among test processes: whose it is, a file says, which holds as long as its writer lives."""
    _CLAIMS.mkdir(exist_ok=True)
    file = _CLAIMS / str(port)
    try:
        owner = int(file.read_text())
        if owner != os.getpid():
            os.kill(owner, 0)
        return owner == os.getpid()
    except (FileNotFoundError, ProcessLookupError):
        file.unlink(missing_ok=True)
    scratch = _CLAIMS / f"{port}.{os.getpid()}"
    scratch.write_text(str(os.getpid()))
    try:
        os.link(scratch, file)  # of two at once only one succeeds
    except FileExistsError:
        return False
    finally:
        scratch.unlink()
    return True


# -- people and rules ----------------------------------------------------------------------

_serial = itertools.count(secrets.randbelow(1_000_000) * 8)


def number() -> str:
    """A number that nobody else in this run has (of a code that no operator was given)."""
    return f"+7944{next(_serial) % 10_000_000:07}"


def does(behaviour: Behaviour | str, *, ring_ms: int = 300, talk_ms: int = 1500) -> Reaction:
    return Reaction(behaviour=Behaviour(behaviour), ring_ms=ring_ms, talk_ms=talk_ms)


def person(*lines: Reaction | Sequence[Reaction], voice: int = 0) -> Person:
    """Somebody with a line for each plan."""
    plans = [(line,) if isinstance(line, Reaction) else tuple(line) for line in lines]
    return Person(
        name=f"Person {voice}",
        voice=voice,
        lines=tuple(
            Line(kind=f"kind{place}", number=number(), plan=plan) for place, plan in enumerate(plans)
        ),
    )


def campaign(name: str = "demo", **changes: Any) -> Campaign:
    """A campaign in a hurry, but for what would end a call on a machine that is slow for a moment."""
    made = Campaign(
        id=CampaignId(name),
        lists=(name,),
        trunk=TRUNK.id,
        caller_id="+74950000000",
        ring_s=12.0,
        wait_s=6.0,
        wrap_up_s=0.3,
        ring_agent="at_answer",
        agent_ring_s=10.0,
        last_word=LastWord(offers=()),
        retry=QUICK_RETRY,
    )
    return msgspec.structs.replace(made, **changes)


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """An operator with a desk phone."""

    card: AgentCard
    phone: Phone


def seat(
    extension: str,
    *,
    leg: Literal["parked", "rung"] = "parked",
    campaigns: Iterable[str] = (),
    **phone: Any,
) -> Seat:
    """The operator ``op<extension>``; the rest is the phone's."""
    card = AgentCard(
        id=AgentId(f"op{extension}"),
        name=f"Operator {extension}",
        phone=extension,
        leg=leg,
        campaigns=tuple(CampaignId(one) for one in campaigns),
    )
    voice = int(extension[-1])
    return Seat(
        card=card,
        phone=Phone(extension=extension, secret=files.new_secret(), leg=leg, voice=voice, **phone),
    )


# -- the world -----------------------------------------------------------------------------


class World:
    """*work*: campaigns and the people of each. What is started is stopped when the block ends.

    *parts*: which are started by the block itself; the others when the test says so.
    *system*: more for ``obzvon.toml``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        work: Sequence[tuple[Campaign, Sequence[Person]]],
        seats: Sequence[Seat],
        trunk: Trunk = TRUNK,
        parts: frozenset[str] = frozenset({"network", "house", "phones"}),
        system: str = "",
        with_ports: bool = True,
        spans: Spans = Spans(),  # noqa: B008 - frozen
        more_trunks: Sequence[Trunk] = (),
    ) -> None:
        self.folder = folder
        self.home = folder / "h"
        self.work = work
        self.seats = {one.card.phone: one for one in seats}
        self.people = [one for _, people in work for one in people]
        self.spans = spans
        network_port = free_ports(1, spans.sip)
        self.trunk = msgspec.structs.replace(trunk, port=network_port)
        self.network = LabNetwork(
            folder / "network",
            port=network_port,
            people=self.people,
            media_port=free_ports(64, spans.media, tcp=False, even=True),
        )
        self.phones: LabPhones
        self.house: House
        self.more_trunks = more_trunks
        self._parts = parts
        self._system = system
        self._with_ports = with_ports
        self._stack = AsyncExitStack()
        self._reader: sqlite3.Connection | None = None
        self.stillness = Stillness()

    async def __aenter__(self) -> Self:
        self.stillness.start()
        try:
            await asyncio.to_thread(self._make_home)
            if "network" in self._parts:
                await self.start_network()
            if "house" in self._parts:
                await self.start_house()
            if "phones" in self._parts:
                await self.start_phones()
        except BaseException:
            self.stillness.stop()
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stillness.stop()
        await self._stack.aclose()
        if self._reader is not None:
            self._reader.close()

    async def start_network(self) -> None:
        await self._stack.enter_async_context(self.network)

    async def start_house(self) -> House:
        self.house = await self._stack.enter_async_context(House(self.home))
        return self.house

    async def start_phones(self, sip_port: int | None = None) -> LabPhones:
        if sip_port is None:
            assert self.house.asterisk is not None
            sip_port = self.house.asterisk.sip_port
        phones = [one.phone for one in self.seats.values()]
        self.phones = LabPhones(
            self.folder / "phones",
            sip_server=("127.0.0.1", sip_port),
            phones=phones,
            port=free_ports(len(phones), self.spans.sip),
            media_port=free_ports(4 * len(phones), self.spans.media, tcp=False, even=True),
        )
        return await self._stack.enter_async_context(self.phones)

    def _make_home(self) -> None:
        make_home(self.home)
        for folder in ("trunks", "campaigns"):
            for example in (self.home / folder).glob("*.toml"):
                example.unlink()
        text = f'log_level = "info"\n{self._system}\n'
        if self._with_ports:
            rtp = free_ports(RTP_COUNT, self.spans.rtp, tcp=False, even=True)
            text += f"[ports]\nrtp = {rtp}\nrtp_count = {RTP_COUNT}\n"
        (self.home / files.SYSTEM_FILE).write_text(text)
        connection = open_writer(self.home / "journal.sqlite3")
        try:
            now = time.time()
            for trunk in (self.trunk, *self.more_trunks):
                settings.apply_trunk(connection, trunk, now)
            for one, people in self.work:
                settings.apply_campaign(connection, one, now)
                with transaction(connection):
                    for place, somebody in enumerate(people):
                        self._add_contact(connection, one.lists[0], place, somebody, now)
            for seat_ in self.seats.values():
                files.add_secret(self.home, "phones", seat_.phone.extension, seat_.phone.secret)
                settings.add_agent(connection, seat_.card)
        finally:
            connection.close()

    @staticmethod
    def _add_contact(connection: sqlite3.Connection, name: str, place: int, who: Person, at: float) -> None:
        contact = connection.execute(
            "INSERT INTO contacts (list, key, name, added_at) VALUES (?, ?, ?, ?)",
            (name, str(place), who.name, at),
        ).lastrowid
        connection.executemany(
            "INSERT INTO phones (contact, position, kind, number) VALUES (?, ?, ?, ?)",
            [(contact, order, line.kind, line.number) for order, line in enumerate(who.lines)],
        )

    # -- ordering and watching ---------------------------------------------------------------

    def check(self) -> None:
        """Fail at once with what ended a part of the engine."""
        if hasattr(self, "house"):
            for task in self.house._tasks:
                if task.done() and not task.cancelled():
                    task.result()

    async def until(self, is_so: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
        return await until(is_so, what, within_s, self.check)

    async def no_timers(self, within_s: float = PATIENCE_S) -> None:
        """Wait until Redis holds no timer: it is told a little later."""
        async with asyncio.timeout(within_s):
            while await self.house.timers.waiting() != 0:
                await asyncio.sleep(0.02)

    async def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The engine's answer over its own socket."""
        connector = aiohttp.UnixConnector(str(self.home / "run" / "engine.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(method, f"http://engine/v1/{path}", **options) as answer,
        ):
            found: dict[str, Any] = await answer.json()
            assert answer.status == 200, found
            return found

    async def order(self, name: str, order: str = "start") -> None:
        await self.ask("POST", f"campaigns/{name}/{order}")

    async def health(self) -> dict[str, Any]:
        return await self.ask("GET", "health")

    async def in_charge(self, within_s: float = 2 * PATIENCE_S) -> None:
        """Wait until an engine answers on the socket and has its Asterisk."""
        deadline = time.monotonic() + within_s
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                if (await self.health())["pbx_connected"]:
                    return
            assert time.monotonic() < deadline, "no engine is in charge"
            await asyncio.sleep(0.05)

    async def until_health(
        self, is_so: Callable[[dict[str, Any]], Any], what: str, within_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """The engine's health, once it *is_so*."""
        deadline = time.monotonic() + within_s
        while not is_so(health := await self.health()):
            self.check()
            assert time.monotonic() < deadline, f"waited in vain for: {what}; there is {health}"
            await asyncio.sleep(0.05)
        return health

    def phone(self, extension: str) -> LabPhone:
        return self.phones[extension]

    def agent(self, extension: str) -> dict[str, Any]:
        """The agent as the journal has them."""
        return self.rows("SELECT * FROM agents WHERE phone = ?", extension)[0]

    async def agent_is(self, extension: str, state: str, within_s: float = PATIENCE_S) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            agent = self.agent(extension)
            return agent if agent["state"] == state else None

        agent: dict[str, Any] = await self.until(found, f"{extension} to be {state}", within_s)
        return agent

    async def sign_in(self, *extensions: str) -> None:
        """Sign in: a parked phone stays on the line, the other one dials a code."""
        for extension in extensions or tuple(self.seats):
            phone = self.phones[extension]
            if self.seats[extension].card.leg == "parked":
                await phone.sign_in()
            else:
                await phone.dial("*40")
            await self.agent_is(extension, "ready")

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """What the journal's file holds, for everybody to read."""
        if self._reader is None:
            self._reader = open_reader(self.home / "journal.sqlite3")
        return [dict(row) for row in self._reader.execute(sql, parameters)]

    def attempts(self, name: str | None = None) -> list[dict[str, Any]]:
        return self.rows(
            "SELECT * FROM attempts WHERE ?1 IS NULL OR campaign = ?1 ORDER BY created_at, rowid", name
        )

    async def attempt(
        self, name: str, place: int = 0, within_s: float = PATIENCE_S, **wanted: Any
    ) -> dict[str, Any]:
        """The campaign's attempt number *place*, once its columns are as *wanted*."""

        def found() -> dict[str, Any] | None:
            attempts = self.attempts(name)
            if len(attempts) <= place:
                return None
            one = attempts[place]
            return one if all(one[key] == value for key, value in wanted.items()) else None

        what = f"attempt {place} of {name} with {wanted}"
        try:
            one: dict[str, Any] = await self.until(found, what, within_s)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; there is {self.attempts(name)}") from None
        return one

    def state(self, name: str) -> str:
        return str(self.rows("SELECT state FROM campaigns WHERE id = ?", name)[0]["state"])

    async def finished(self, name: str, within_s: float = 120.0) -> None:
        """Wait until the campaign is finished and its recordings are ready."""
        await self.until(lambda: self.state(name) == "finished", f"the end of {name}", within_s)
        await self.house.finish_recordings()

    def calls(self, name: str) -> list[NetworkCall]:
        """The network's calls to the campaign's people, in their order."""
        (people,) = [people for one, people in self.work if one.id == name]
        numbers = {line.number for somebody in people for line in somebody.lines}
        return [call for call in self.network.calls() if call.number in numbers]

    async def call_of(self, number: str) -> NetworkCall:
        """The network's last call to *number*, as it stands."""

        def found() -> NetworkCall | None:
            return next((call for call in reversed(self.network.calls()) if call.number == number), None)

        call: NetworkCall = await self.until(found, f"a call to {number}")
        return call

    def is_as_long(self, length_s: float, call: NetworkCall) -> bool:
        """Whether a recording is as long as the network says that they talked."""
        assert call.answered_at is not None
        assert call.ended_at is not None
        talk_s = call.ended_at - call.answered_at
        still_s = self.stillness.lasted_s(call.answered_at, call.ended_at)
        return talk_s - still_s - SOUND_S <= length_s <= talk_s + SOUND_S

    def recording(self, attempt: str) -> Path:
        (row,) = self.rows("SELECT path, missing FROM recordings WHERE attempt = ?", attempt)
        assert row["path"], row["missing"]
        return self.home / "recordings" / str(row["path"])

    async def until_recorded(self, attempt: str, seconds: float) -> None:
        """Wait until so much more of the call is recorded: while a machine stands still, time passes and nobody says a word."""

        def size() -> int:
            return sum(one.stat().st_size for one in (self.home / "recordings").glob(f"*/{attempt}.raw"))

        enough = size() + WRITTEN_BYTES + int(seconds * SECOND_BYTES)
        await self.until(lambda: size() >= enough, f"{seconds:g} s more of {attempt} to be recorded")

    async def channels(self) -> list[str]:
        """What lives in Asterisk, as it says itself."""
        assert self.house.asterisk is not None
        text = await self.house.asterisk.run_cli("core show channels concise")
        return [line for line in text.splitlines() if "!" in line]

    async def wait(self, work: Awaitable[Any], within_s: float = PATIENCE_S) -> Any:
        return await asyncio.wait_for(work, within_s)


@asynccontextmanager
async def operators(world: World):
    """Operators who end the calls of people that leave the ending to them."""

    async def attend(phone: LabPhone) -> None:
        ended: set[str] = set()
        while True:
            await asyncio.sleep(0.05)
            for call in list(world.house.floor.calls.values()):
                card = world.house.floor.cards.get(call.agent) if call.agent is not None else None
                if card is None or card.phone != phone.phone.extension or call.attempt in ended:
                    continue
                found = world.network.person_at(call.number)
                waits = found is not None and found[1].plan[-1].behaviour is Behaviour.WAITS
                if waits and call.connected_at is not None and time.time() > call.connected_at + 1.5:
                    ended.add(call.attempt)
                    await phone.keys("*45")

    tasks = [asyncio.create_task(attend(phone)) for phone in world.phones]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
