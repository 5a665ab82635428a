"""One call centre for one run: home folder, network, phones, ``dialer up``, and robots that play the operators.

Whatever is started here dies with the bench, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from bench.halves import process_s
from dialer.core.conduct import Abandonment, Pacing
from dialer.core.ids import AgentId, CampaignId, TrunkId
from dialer.core.values import AgentCard, Campaign, Result, RetryRule, Trunk
from dialer.demo.robots import play
from dialer.engine.ports import choose_ports
from dialer.engine.process import Note, ServerProcess
from dialer.lab.day import Person
from dialer.lab.network import LabNetwork, NetworkCall
from dialer.lab.phones import LabPhones, Phone
from dialer.lab.ports import Room, choose_room
from dialer.office import remote
from dialer.office.setup import make_home
from dialer.store import documents, files, settings
from dialer.store.connect import open_reader, open_writer, transaction
from dialer.store.leads import enroll

CAMPAIGN = CampaignId("day")
TRUNK = TrunkId("lab")
CHANNELS_MAX = 100
"""As many calls as the network has ports for."""
CALLS_PER_S = 20.0
RING_S = 15.0
LIMIT_S = 2.0
START_S = 60.0
SIGN_IN_S = 60.0
END_S = 150.0
"""The longest conversation is over by then, and its recording made ready."""
NEVER_S = 1e9

_SYSTEM = """\
region = "RU"
log_level = "warning"

[ports]
sip = {sip}
http = {http}
rtp = {rtp_first}
rtp_count = {rtp_count}
"""


class LiveFailed(Exception):
    """A run could not be made; the message says why."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run. *name*: of its column. *cap*: see :class:`dialer.core.conduct.Abandonment`; *share* too."""

    name: str
    is_predictive: bool
    operators: int
    seconds: float
    wrap_up_s: float = 5.0
    share: float = 0.03
    cap: float | None = None


class Took(msgspec.Struct, kw_only=True):
    """What a run took. Instants: seconds since the epoch. *cpu_s*: processor time from *began* to *over*, by name."""

    began: float
    over: float
    cpu_s: dict[str, float]


def campaign(plan: Plan) -> Campaign:
    """The campaign of a run: everybody is called once."""
    once = RetryRule(attempts=1, again_s=None)
    pacing = Pacing(abandonment=Abandonment(share=plan.share, cap=plan.cap, limit_s=LIMIT_S))
    return Campaign(
        id=CAMPAIGN,
        mode="predictive" if plan.is_predictive else "progressive",
        lists=("day",),
        trunk=TRUNK,
        caller_id="+74950000000",
        ring_s=RING_S,
        wait_s=LIMIT_S,
        wrap_up_s=plan.wrap_up_s,
        attempts=1,
        retry={result: once for result in Result if result not in (Result.TALKED, Result.FAILED)},
        pacing=pacing,
    )


class Centre:
    """*folder* is empty or new; all is kept in it. Raises on entry: LabError, EmbeddedError, LiveFailed."""

    def __init__(
        self, folder: Path, plan: Plan, people: Sequence[Person], say: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.journal = self.home / "journal.sqlite3"
        self.recordings = self.home / "recordings"
        self._plan = plan
        self._people = people
        self._say = say
        self._extensions = [str(201 + place) for place in range(plan.operators)]
        self._network: LabNetwork

    @property
    def calls(self) -> list[NetworkCall]:
        """What the network counted."""
        return self._network.calls()

    async def run(self) -> Took:
        """From the empty folder to the end of the last conversation."""
        ports = await asyncio.to_thread(choose_ports, rtp_count=4 * CHANNELS_MAX + 4 * self._plan.operators)
        room = await asyncio.to_thread(choose_room, self._plan.operators)
        text = _SYSTEM.format(
            sip=ports.sip,
            http=ports.http,
            rtp_first=ports.rtp_first,
            rtp_count=ports.rtp_last - ports.rtp_first + 1,
        )
        await asyncio.to_thread(self._make_home, text, room)
        self._network = LabNetwork(
            self.folder / "network", port=room.network, people=self._people, media_port=room.network_media
        )
        async with self._network, self._engine() as engine, self._phones(room, ports.sip) as phones:
            await asyncio.gather(*(phone.sign_in() for phone in phones))
            await self._until(
                lambda: self._count("state = 'ready'") == len(phones), "all to be ready", SIGN_IN_S
            )
            by_agent = {f"op{phone.phone.extension}": phone for phone in phones}
            robots = asyncio.create_task(
                play(self.journal, by_agent, dict.fromkeys(by_agent, True), talk_s=NEVER_S)
            )
            try:
                return await self._day(engine, robots)
            finally:
                robots.cancel()
                await asyncio.gather(robots, return_exceptions=True)

    async def _day(self, engine: ServerProcess, robots: asyncio.Task[None]) -> Took:
        processes = self._processes(engine)
        await asyncio.to_thread(remote.order_campaign, self.home, CAMPAIGN, "start")
        began, before = time.time(), {name: process_s(pid) for name, pid in processes.items()}
        over = began + self._plan.seconds
        self._say(f"{self._plan.name}: the day begins; it ends in {self._plan.seconds:g} s")
        while (left := over - time.time()) > 0:
            await asyncio.wait((robots,), timeout=min(left, 10.0))
            if robots.done():
                robots.result()
                raise LiveFailed("the robots ended")
            if engine.pid is None:
                raise LiveFailed(f"the engine ended:\n{engine.last_words()}")
        took = Took(
            began=began,
            over=time.time(),
            cpu_s={name: process_s(pid) - before[name] for name, pid in processes.items()},
        )
        await asyncio.to_thread(remote.order_campaign, self.home, CAMPAIGN, "stop")
        await self._until(
            lambda: not self._ask("SELECT count(*) FROM attempts WHERE state <> 'ended'"), "ends", END_S
        )
        unrecorded = (
            "SELECT count(*) FROM attempts WHERE answered_at IS NOT NULL"
            " AND attempt NOT IN (SELECT attempt FROM recordings)"
        )
        await self._until(lambda: not self._ask(unrecorded), "the recordings", END_S)
        return took

    # -- the parts -----------------------------------------------------------------------

    def _make_home(self, system: str, room: Room) -> None:
        self.home.mkdir(mode=0o700, parents=True)
        secrets = {extension: files.new_secret() for extension in self._extensions}
        files.write_private(self.home / files.SYSTEM_FILE, system)
        document = {"ari": files.new_secret(), "phones": secrets, "trunks": {}}
        files.write_private(self.home / files.SECRETS_FILE, documents.dump(document))
        make_home(self.home)
        now = time.time()
        with closing(open_writer(self.journal)) as connection:
            line = Trunk(
                id=TRUNK,
                host="127.0.0.1",
                port=room.network,
                channels_max=CHANNELS_MAX,
                calls_per_second_max=CALLS_PER_S,
                options_interval_s=5,
            )
            settings.apply_trunk(connection, line, now)
            settings.apply_campaign(connection, campaign(self._plan), now)
            for extension in self._extensions:
                settings.add_agent(connection, AgentCard(id=AgentId(f"op{extension}"), phone=extension))
            numbered = list(enumerate(self._people, 1))
            with transaction(connection):
                connection.executemany(
                    "INSERT INTO contacts (id, list, key, name, added_at) VALUES (?, 'day', ?, ?, ?)",
                    [(place, str(place), one.name, now) for place, one in numbered],
                )
                connection.executemany(
                    "INSERT INTO phones (contact, position, kind, number) VALUES (?, 0, ?, ?)",
                    [(place, one.lines[0].kind, one.lines[0].number) for place, one in numbered],
                )
            enroll(connection, CAMPAIGN, now)

    @contextlib.asynccontextmanager
    async def _engine(self) -> AsyncIterator[ServerProcess]:
        engine = ServerProcess(
            "dialer up", note=self.folder / "engine.json", log=self.folder / "engine.log", outlive=False
        )
        dialer = Path(sys.executable).with_name("dialer")
        command = [str(dialer), "--home", str(self.home), "up"]
        await engine.spawn(command, folder=self.folder, ports={}, env=dict(os.environ))
        try:
            await self._until(lambda: self._is_in_charge(engine), "the engine to be in charge", START_S)
            yield engine
        finally:
            if (pid := engine.pid) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(engine.wait(), 20.0)
            await engine.stop(5.0)

    def _is_in_charge(self, engine: ServerProcess) -> bool:
        if engine.pid is None:
            raise LiveFailed(f"the engine ended while starting:\n{engine.last_words()}")
        try:
            return bool(remote.health(self.home)["pbx_connected"])
        except remote.EngineError:
            return False

    def _phones(self, room: Room, sip_port: int) -> LabPhones:
        secrets = files.load_secrets(self.home)
        return LabPhones(
            self.folder / "phones",
            sip_server=("127.0.0.1", sip_port),
            phones=[
                Phone(extension=extension, secret=secrets.phone(extension), voice=place)
                for place, extension in enumerate(self._extensions)
            ],
            port=room.phones,
            media_port=room.phones_media,
        )

    def _processes(self, engine: ServerProcess) -> dict[str, int]:
        note = msgspec.json.decode((self.home / "asterisk/run/obzvon.json").read_bytes(), type=Note)
        assert engine.pid is not None
        return {"engine": engine.pid, "asterisk": note.pid}

    async def _until(self, is_so: Callable[[], object], what: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not await asyncio.to_thread(is_so):
            if time.monotonic() > deadline:
                raise LiveFailed(f"{self._plan.name}: waited {within_s:g} s in vain for {what}")
            await asyncio.sleep(0.2)

    def _count(self, condition: str) -> object:
        return self._ask(f"SELECT count(*) FROM agents WHERE {condition}")

    def _ask(self, sql: str) -> object:
        with closing(open_reader(self.journal)) as connection:
            return connection.execute(sql).fetchone()[0]
