"""A call centre of four processes that can each be struck: Asterisk, Redis, the engine, and the laboratory.

The engine is ``dialer serve`` with failpoints, in a process of its own; between it and Asterisk lies a
wire with faults. Operators do what operators do: end the calls of people who leave the ending to them,
come back from a pause, and sign in again when the telephone system was away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

from dialer.engine.embedded import AsteriskInstall, EmbeddedAsterisk, choose_ports
from dialer.engine.embeddedredis import EmbeddedRedis
from dialer.lab.errors import LabError
from dialer.lab.network import NetworkCall
from dialer.lab.phones import LabPhone
from dialer.pbx.client import AriClient
from dialer.pbx.render import PhoneLine, TrunkLine
from dialer.pbx.settings import Settings
from dialer.store import files
from tests.e2e.matrix import engine as engine_module
from tests.e2e.matrix.steps import LATER, Step, stretched
from tests.e2e.matrix.wire import Wire
from tests.e2e.world import RTP_COUNT, Spans, World, campaign, free_ports, person, seat, until

WELCOME_S = 1.5
"""Who has signed in is told so for as long, and is not heard meanwhile."""
STARVED_NS = 100_000_000
"""A thread that is ready to run and waits longer than this for a processor is starved."""
TALK_S = 2.5
"""Operators talk so long, when the fault is over, before they end a call."""
THERE_S = 12.0
"""By then a call is at its step, or the machine is too slow; the next try takes twice so long, and so on."""
BACK_S = 60.0
"""An Asterisk that was restarted remembers a phone, and asks only after a while whether it is there."""
RULES: dict[str, Any] = {"ring_s": 25.0, "wait_s": 2.0, "agent_ring_s": 4.0}
"""Of a campaign, where its step says nothing else."""
_EXTENSION = 101


class NotThere(AssertionError):
    """The calls could not be brought to their steps (on a machine that is very busy, say)."""


class Centre:
    """*steps*: whose calls there are. *spans*: the ports that this one may use. *tries*: so often the machine was too
    slow: who rings until the fault rings longer each time."""

    def __init__(
        self, folder: Path, install: AsteriskInstall, *, steps: Iterable[Step], spans: Spans, tries: int = 0
    ) -> None:
        self.folder = folder
        self.tries = tries
        self.steps = tuple(steps)
        self.spans = spans
        self.keyed: dict[str, float] = {}
        """When an operator ended the call of this attempt."""
        self.struck_at = 0.0
        self.in_charge_s: float | None = None
        """From the start of the last engine until it was in charge."""
        self.redis = EmbeddedRedis(folder / "r")
        self.asterisk: EmbeddedAsterisk
        self.wire: Wire
        self.world: World
        self.in_charge_at = 0.0
        self._install = install
        self._engine: asyncio.subprocess.Process | None = None
        self._report = folder / "reached"
        self._stack = AsyncExitStack()
        self._extensions = {step.name: str(_EXTENSION + place) for place, step in enumerate(self.steps)}
        self._operators: list[asyncio.Task[None]] = []
        self._starved_s = 0.0
        self._watched_since = 0.0
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
        await self.send_operators_home()
        await self.kill_engine()
        await self._stack.aclose()

    async def _start(self) -> None:
        first = free_ports(RTP_COUNT, self.spans.rtp, tcp=False, even=True)
        ports = choose_ports(
            http=free_ports(1, self.spans.http, udp=False),
            sip=free_ports(1, self.spans.sip),
            rtp=(first, first + RTP_COUNT - 1),
        )
        self.wire = Wire(ports.http)
        await self.wire.up()
        self._stack.push_async_callback(self.wire.down)
        self.world = World(
            self.folder,
            work=[
                (
                    campaign(step.name, **{**RULES, **step.rules}),
                    [person([stretched(step.first, self.tries), LATER], voice=place)],
                )
                for place, step in enumerate(self.steps)
            ],
            seats=[
                seat(self._extensions[step.name], leg=step.leg, campaigns=(step.name,), **step.phone)
                for step in self.steps
            ],
            parts=frozenset({"network"}),
            system=f'[asterisk]\nmode = "external"\nurl = "http://127.0.0.1:{self.wire.port}/ari"\n'
            f'[redis]\nmode = "external"\nurl = "{self.redis.url}"\n',
            with_ports=False,
            spans=self.spans,
        )
        await self._stack.enter_async_context(self.world)
        self.asterisk = EmbeddedAsterisk(
            self._install,
            self.folder / "asterisk",
            Settings(ari_password=files.load_secrets(self.world.home).ari, shared=self.world.home / "run"),
            ports=ports,
            trunks=[TrunkLine(trunk=self.world.trunk)],
            phones=[
                PhoneLine(extension=one.phone.extension, secret=one.phone.secret)
                for one in self.world.seats.values()
            ],
        )
        self._stack.push_async_callback(self.asterisk.stop)
        self._stack.push_async_callback(self.redis.stop)
        await asyncio.gather(self.asterisk.start(), self.redis.start())
        await self.start_engine({step.name: step.point for step in self.steps if step.point})
        await self.world.start_phones(ports.sip)
        await asyncio.gather(*(self.sign_in(step) for step in self.steps))

    # -- the engine -------------------------------------------------------------------------

    @property
    def engine_pid(self) -> int:
        assert self._engine is not None
        return self._engine.pid

    async def start_engine(self, points: dict[str, str] | None = None) -> None:
        """Start an engine and wait until it is in charge: it may originate, and has its calls again."""
        began = time.monotonic()
        with (self.folder / "engine.err").open("ab") as errors:
            self._engine = await asyncio.create_subprocess_exec(
                sys.executable,
                engine_module.__file__,
                str(self.world.home),
                json.dumps(points or {}),
                str(self._report),
                stderr=errors,
            )
        await self.until_health(
            lambda one: one["originating"] and one["timers_ok"], "an engine in charge", 90.0
        )
        self.in_charge_s = time.monotonic() - began
        self.in_charge_at = time.time()

    async def kill_engine(self) -> None:
        """``kill -9``."""
        if self._engine is not None and self._engine.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._engine.pid, signal.SIGCONT)
                os.kill(self._engine.pid, signal.SIGKILL)
            await self._engine.wait()

    async def engine_left(self, within_s: float) -> None:
        """Wait until the engine, told to leave, has left."""
        assert self._engine is not None
        try:
            status = await asyncio.wait_for(self._engine.wait(), within_s)
        except TimeoutError:
            raise AssertionError(f"the engine did not leave within {within_s:g} s") from None
        assert status == 0, (self.folder / "engine.err").read_text()[-2000:]

    def signal_engine(self, number: signal.Signals) -> None:
        os.kill(self.engine_pid, number)

    def let_go(self) -> None:
        """Whatever is held at a failpoint goes on."""
        self.signal_engine(signal.SIGUSR1)

    def lose_ends(self) -> None:
        """Likewise; but that a channel is gone is never told."""
        self.signal_engine(signal.SIGALRM)

    async def health(self) -> dict[str, Any] | None:
        """What the engine says of itself; None if it says nothing."""
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(3.0):
                return await self.world.health()
        return None

    async def until_health(
        self, is_so: Callable[[dict[str, Any]], Any], what: str, within_s: float
    ) -> dict[str, Any]:
        """The engine's health, once it *is_so*."""
        deadline = time.monotonic() + within_s
        while True:
            health = await self.health()
            if health is not None and is_so(health):
                return health
            if time.monotonic() > deadline:
                said = (self.folder / "engine.err").read_text()[-1500:]
                raise AssertionError(f"waited {within_s:g} s in vain for {what}; there is {health}; {said}")
            await asyncio.sleep(0.05)

    # -- everybody --------------------------------------------------------------------------

    def all_pids(self) -> list[int]:
        """Every process of this centre but our own."""
        pids = [self.engine_pid, self.asterisk.pid, self.redis.pid, self.world.network.pid]
        pids += [phone.pid for phone in self.world.phones]
        return [pid for pid in pids if pid is not None]

    async def wipe_redis(self) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self.redis.socket))
        writer.write(b"FLUSHALL\r\n")
        assert (await reader.readline()) == b"+OK\r\n"
        writer.close()

    # -- looking ----------------------------------------------------------------------------

    def attempts(self, step: Step) -> list[dict[str, Any]]:
        return self.world.attempts(step.name)

    def calls(self, step: Step) -> list[NetworkCall]:
        return self.world.calls(step.name)

    def phone(self, step: Step) -> LabPhone:
        return self.world.phones[self._extensions[step.name]]

    def agent(self, step: Step) -> dict[str, Any]:
        return self.world.agent(self._extensions[step.name])

    def has_reached(self, step: Step) -> bool:
        """Whether the call is held at its failpoint."""
        with suppress(FileNotFoundError):
            return f"{step.name} {step.point}" in self._report.read_text().splitlines()
        return False

    async def channels(self) -> list[dict[str, Any]]:
        """What lives in Asterisk, past the wire."""
        async with AriClient(self.asterisk.ari_url, "obzvon", self.asterisk.ari_password) as ari:
            found: list[dict[str, Any]] = await ari.request("GET", "/channels")
            return found

    async def bridges(self) -> list[dict[str, Any]]:
        async with AriClient(self.asterisk.ari_url, "obzvon", self.asterisk.ari_password) as ari:
            found: list[dict[str, Any]] = await ari.request("GET", "/bridges")
            return found

    # -- the way to the strike --------------------------------------------------------------

    async def sign_in(self, step: Step) -> None:
        await self.world.sign_in(self._extensions[step.name])

    async def bring_to_steps(self) -> None:
        """Bring every call to its step. Raises NotThere."""
        self._watching = asyncio.create_task(self._watch_the_machine())
        self._watched_since = time.time()
        quiet_at = max(self.agent(step)["since"] for step in self.steps) + WELCOME_S
        await until(lambda: time.time() > quiet_at, "the end of the words that confirm a sign-in")
        for when in ("early", "", "late"):
            part = [step for step in self.steps if step.begun == when]
            await asyncio.gather(*(self._begin(step) for step in part))
            await self._until_there(part)
        away = [step.name for step in self.steps if not step.is_there(self, step)]
        if away:
            raise NotThere(f"not at their steps any more: {away}")

    async def _begin(self, step: Step) -> None:
        await self.world.order(step.name)
        if step.is_paused:
            await until(lambda: self.attempts(step), f"a call of {step.name}")
            await self.world.ask("POST", f"agents/{self.agent(step)['id']}/pause")

    async def _until_there(self, steps: list[Step]) -> None:
        within_s = THERE_S * (1 + self.tries)
        for step in steps:
            try:
                await until(lambda step=step: step.is_there(self, step), f"the step {step.name}", within_s)  # type: ignore[misc]
            except AssertionError as failure:
                raise NotThere(f"{failure}; there is {self.attempts(step)}") from None

    async def _watch_the_machine(self) -> None:
        before: dict[Path, int] = {}
        while True:
            longest = 0
            for pid in (self.asterisk.pid, self.world.network.pid):
                for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                    with suppress(OSError, IndexError, ValueError):
                        waited = int(path.read_text().split()[1])
                        longest = max(longest, waited - before.get(path, waited))
                        before[path] = waited
            if longest > STARVED_NS:
                self._starved_s += longest / 1e9
            await asyncio.sleep(0.25)

    @property
    def starved_s(self) -> float:
        """For so long the machine did not let Asterisk or the network run: then sound is lost, for no fault.

        What the kernel counts for threads that are ready to run has no stillness of the whole machine in it.
        """
        return self._starved_s + self.world.stillness.lasted_s(self._watched_since)

    # -- afterwards -------------------------------------------------------------------------

    def back_to_work(self) -> None:
        """From now on the operators end calls, and come back from pauses."""
        self._operators = [asyncio.create_task(self._attend(step)) for step in self.steps]

    @property
    def is_back_to_work(self) -> bool:
        """Whether the operators do that already."""
        return bool(self._operators)

    async def send_operators_home(self) -> None:
        """They do nothing more. Raises what one of them raised."""
        for task in self._operators:
            task.cancel()
        found = await asyncio.gather(*self._operators, return_exceptions=True)
        self._operators = []
        for failure in found:
            if isinstance(failure, Exception):
                raise failure

    async def _attend(self, step: Step) -> None:
        while True:
            await asyncio.sleep(0.1)
            agent = self.agent(step)
            if agent["state"] == "paused" and self._may_return(step):
                await self._order_ready(agent["id"])
            for attempt in self.attempts(step):
                await self._end(step, attempt)

    def _may_return(self, step: Step) -> bool:
        """Who is away while the first person waits in vain comes back when that one is gone."""
        return step.is_served_after or self.attempts(step)[0]["state"] == "ended"

    async def _order_ready(self, agent: str) -> None:
        with suppress(aiohttp.ClientError, OSError, TimeoutError, AssertionError):
            async with asyncio.timeout(3.0):
                await self.world.ask("POST", f"agents/{agent}/ready")

    async def _end(self, step: Step, attempt: dict[str, Any]) -> None:
        if attempt["state"] != "connected" or attempt["ordinal"] > 1 or not step.keeps_talking:
            return
        if (
            attempt["attempt"] in self.keyed
            or time.time() < max(self.struck_at, attempt["connected_at"]) + TALK_S
        ):
            return
        self.keyed[attempt["attempt"]] = time.time()
        with contextlib.suppress(LabError):  # the line may end while the keys are pressed
            await self.phone(step).keys("*45")

    async def sign_in_again(self) -> None:
        """The telephone system was away, and is back: the phones register, and their operators sign in."""

        async def again(step: Step) -> None:
            await self.phone(step).register()
            if step.leg == "parked":
                await self.world.agent_is(self._extensions[step.name], "signed_out")
                await self.sign_in(step)
            else:
                await self.world.agent_is(self._extensions[step.name], "ready", BACK_S)

        await asyncio.gather(*(again(step) for step in self.steps))

    async def all_done(self, within_s: float = 90.0) -> None:
        """Wait until nobody is left to call (but who is to be called much later), and recordings are ready."""
        deadline = time.monotonic() + within_s
        while not (self._is_worked_through() and self._is_recorded()):
            for task in self._operators:
                if task.done():
                    task.result()
            if time.monotonic() > deadline:
                return  # the verdict says what is missing
            await asyncio.sleep(0.1)

    def _is_worked_through(self) -> bool:
        live = self.world.rows("SELECT 1 FROM attempts WHERE state <> 'ended'")
        busy = self.world.rows(
            "SELECT 1 FROM agents WHERE state IN ('wrap_up', 'on_call', 'reserved', 'arriving')"
        )
        # Asked last: a call that ends between two questions must not be seen in neither answer.
        rows = self.world.rows("SELECT due FROM leads WHERE finished IS NULL")
        return (
            not live and not busy and all(row["due"] is None or row["due"] > time.time() + 20 for row in rows)
        )

    def _is_recorded(self) -> bool:
        return not self.world.rows(
            "SELECT 1 FROM attempts WHERE answered_at IS NOT NULL"
            " AND attempt NOT IN (SELECT attempt FROM recordings)"
        )
