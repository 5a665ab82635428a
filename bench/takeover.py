"""How long an engine takes, from the start of its process, until it is in charge of the calls that its
predecessor left behind.

The engine is ``dialer up`` in a process of its own; while every operator talks, it is killed (``kill -9``) and
started again. It is in charge when it may originate and has all those calls, as it says itself on its socket.
Nobody's conversation may end meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bench import whole
from bench.halves import WAIT_S, Plan
from bench.world import BenchFailed, World
from dialer.pbx.client import AriClient
from dialer.store.connect import open_reader

TALK_MS = 600_000
POLL_S = 0.01
READY_S = 90.0
"""All calls are up by then."""
START_S = 60.0
SOCKET_MAX = 100


class Takeover(msgspec.Struct, frozen=True, kw_only=True):
    """One restart. *live*: conversations in Asterisk before the kill, and after."""

    calls: int
    in_charge_s: float
    adopted: int
    live: tuple[int, int]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine took while it called. *peak_mb*: its resident memory at the most (VmHWM)."""

    contacts: int
    attempts: int
    peak_mb: float


class TakeoverWorld(World):
    """A world in which nobody hangs up (before *talk_ms*). *calls*: how many operators, each with one call."""

    def __init__(self, folder: Path, *, calls: int, talk_ms: int = TALK_MS) -> None:
        super().__init__(folder, agents=calls, talk_ms=talk_ms)
        self._home = folder / "home"
        self._engine: asyncio.subprocess.Process | None = None

    async def measure(self, rounds: int) -> list[Takeover]:
        """Kill and start the engine *rounds* times. Raises BenchFailed."""
        async with self._engine_at_work(contacts=2 * self.agents):
            await self._until(self._has_all, f"{self.agents} conversations", READY_S)
            return [await self._kill_and_start() for _ in range(rounds)]

    async def measure_memory(self, contacts: int, seconds: float) -> Memory:
        """Call from a list of *contacts* for so long, kill and start the engine, go on as long. Raises BenchFailed."""
        async with self._engine_at_work(contacts=contacts):
            attempts, peak = 0, 0
            for part in range(2):
                if part:
                    await self._kill_engine()
                    await self._start_engine()
                await asyncio.sleep(seconds)
                assert self._engine is not None
                peak = max(peak, _peak_kib(self._engine.pid))
            with contextlib.closing(open_reader(self._home / "journal.sqlite3")) as journal:
                attempts = journal.execute("SELECT count(*) FROM attempts").fetchone()[0]
            return Memory(contacts=contacts, attempts=attempts, peak_mb=peak / 1024)

    @contextlib.asynccontextmanager
    async def _engine_at_work(self, contacts: int) -> AsyncIterator[None]:
        """The engine calls from a list of so many, with all operators on their lines; at the end all is taken down."""
        plan = Plan(
            home=str(self._home),
            ari_url=self._asterisk.ari_url,
            ari_user=self._asterisk.ari_user,
            ari_password=self._password,
            agents=self.agents,
            warm_s=0.0,
            window_s=0.0,
        )
        if len(str(self._home / "run" / "engine.sock")) > SOCKET_MAX:
            raise BenchFailed(f"{self.folder}: the path is too long for a socket; choose a shorter one")
        await asyncio.to_thread(whole.prepare, plan, self._extensions, self._room.network, contacts)
        phones = self._phones(self._home, self._extensions)
        try:
            await self._start_engine()
            await self._until(lambda health: health["originating"], "an engine in charge", START_S)
            await phones.start()
            await self._post(f"campaigns/{whole.CAMPAIGN}/start")
            yield
        finally:
            await self._kill_engine()
            await phones.stop()
            await self._hang_up_everything()
            await self._end_redis()

    async def _kill_and_start(self) -> Takeover:
        before = await self._conversations()
        await self._kill_engine()
        began = time.monotonic()
        await self._start_engine()
        health = await self._until(
            lambda one: one["originating"] and self._has_all(one), "the engine in charge again", START_S
        )
        in_charge_s = time.monotonic() - began
        return Takeover(
            calls=self.agents,
            in_charge_s=in_charge_s,
            adopted=health["live_calls"],
            live=(before, await self._conversations()),
        )

    def _has_all(self, health: dict[str, Any]) -> bool:
        states: dict[str, int] = health["calls"].get(whole.CAMPAIGN, {})
        return states.get("connected", 0) >= self.agents

    # -- the engine -------------------------------------------------------------------------

    async def _start_engine(self) -> None:
        # Asterisk is none of the engine's; its Redis is embedded, and outlives it as an external one would.
        program = (
            "import sys; from pathlib import Path; from dialer.engine.main import up; up(Path(sys.argv[1]))"
        )
        with (self._home / "errors.txt").open("ab") as errors:
            self._engine = await asyncio.create_subprocess_exec(
                sys.executable, "-c", program, str(self._home), stderr=errors, start_new_session=True
            )

    async def _kill_engine(self) -> None:
        if self._engine is not None and self._engine.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._engine.pid, signal.SIGKILL)
            await self._engine.wait()

    async def _end_redis(self) -> None:
        """An engine that is told so twice ends at once, and its Redis with it."""
        await self._start_engine()
        assert self._engine is not None
        await self._until(bool, "the last engine", START_S)
        for _ in range(2):
            with contextlib.suppress(ProcessLookupError):
                self._engine.send_signal(signal.SIGINT)
        await asyncio.wait_for(self._engine.wait(), WAIT_S)

    async def _health(self) -> dict[str, Any] | None:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with self._session() as session, session.get("http://engine/v1/health") as answer:
                health: dict[str, Any] = await answer.json()
                return health
        return None

    async def _post(self, path: str) -> None:
        async with self._session() as session, session.post(f"http://engine/v1/{path}") as answer:
            if answer.status != 200:
                raise BenchFailed(f"{path}: {await answer.text()}")

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.UnixConnector(str(self._home / "run" / "engine.sock"))
        return aiohttp.ClientSession(connector=connector)

    async def _until(self, is_so: Any, what: str, within_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while True:
            health = await self._health()
            if health is not None and is_so(health):
                return health
            if time.monotonic() > deadline:
                words = (self._home / "errors.txt").read_text(encoding="utf-8", errors="replace")[-1500:]
                raise BenchFailed(f"{what}: not within {within_s:g} s; there is {health}\n{words}")
            await asyncio.sleep(POLL_S)

    async def _conversations(self) -> int:
        """Persons who are in a bridge with an operator, as Asterisk says."""
        async with AriClient(self._asterisk.ari_url, self._asterisk.ari_user, self._password) as ari:
            bridges = await ari.request("GET", "/bridges")
            return sum(len(bridge["channels"]) == 2 for bridge in bridges)


def _peak_kib(pid: int) -> int:
    """The most memory that the process ever had resident."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise BenchFailed(f"process {pid} is gone")
