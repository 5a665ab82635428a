"""The world of a bench: one Asterisk and one SIPp process of people for all runs, operators' phones for each.

Whatever runs here dies with the bench, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from bench import whole
from bench.halves import RAMP, WAIT_S, Outcome, Plan, Said
from dialer.core.values import Trunk
from dialer.engine import child
from dialer.engine.configuring import hep_password
from dialer.engine.embedded import EmbeddedAsterisk, choose_ports, find_asterisk
from dialer.lab.ports import Room, choose_room
from dialer.lab.sipp import Sipp, wait_until_answers
from dialer.pbx.client import AriClient
from dialer.pbx.errors import NotFound
from dialer.pbx.render import PhoneLine, TrunkLine
from dialer.pbx.settings import Hep, Settings
from dialer.store.files import Secrets, new_secret

_HERE = Path(__file__).parent
_LINE_MAX = 1 << 24
RTP_PORTS_PER_AGENT = 8
"""Two for the operator's line, two for the person's, and as many again for those that just hung up."""
CONTACTS_PER_S = 300
SIGN_INS_PER_S = 80


class BenchFailed(Exception):
    """A run could not be made; the message says why."""


class World:
    """An Asterisk, its trunk to people who answer at once and hang up after *talk_ms*, and desk phones.

    *folder* is empty or new; everything is kept in it. Raises on entry: EmbeddedError, LabError, NoFreePort.
    """

    def __init__(self, folder: Path, *, agents: int, talk_ms: int) -> None:
        self.folder = folder
        self.agents = agents
        self._talk_ms = talk_ms
        self._secret = new_secret()
        self._password = new_secret()
        self._hep = Hep(
            address=f"127.0.0.1:{_free_port()}", password=hep_password(Secrets(ari=self._password))
        )
        self._extensions = [str(1001 + number) for number in range(agents)]
        self._runs = 0
        self._stack = contextlib.AsyncExitStack()
        self._room: Room
        self._asterisk: EmbeddedAsterisk
        self._people: Sipp

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(
        self,
        who: str,
        *,
        agents: int,
        window_s: float,
        warm_s: float,
        rate: float | None = None,
        is_ramp: bool = False,
        record: bool = False,
        with_tones: bool = True,
        profile: str = "",
    ) -> Outcome:
        """One run of ``bare`` or the ``engine`` with so many *agents* (see :class:`Plan`). Raises BenchFailed."""
        self._runs += 1
        extensions = self._extensions[:agents]
        length_s = (warm_s + window_s) * (len(RAMP) if is_ramp else 1)
        home = self.folder / f"{self._runs}-{who}"
        plan = Plan(
            home=str(home),
            ari_url=self._asterisk.ari_url,
            ari_user=self._asterisk.ari_user,
            ari_password=self._password,
            hep=self._hep.address,
            agents=agents,
            warm_s=warm_s,
            window_s=window_s,
            rate=rate,
            is_ramp=is_ramp,
            record=record,
            with_tones=with_tones,
            processes=self._processes(),
            profile=profile,
        )
        if who == "engine":
            contacts = int((rate or CONTACTS_PER_S) * (length_s + 1)) + 10 * agents
            await asyncio.to_thread(whole.prepare, plan, extensions, self._room.network, contacts)
            module = "bench.whole"
        else:
            (home / "recordings").mkdir(mode=0o700, parents=True)
            module = "bench.bare"
        try:
            async with _Half(module, plan, home) as half:
                await half.expect("connected", WAIT_S)
                phones = self._phones(home, extensions)
                await phones.start()
                try:
                    await half.expect("ready", WAIT_S)
                    said = await half.expect("done", length_s + 2 * WAIT_S)
                    await self._hang_up_everything()
                finally:
                    await phones.stop()
        finally:
            await self._hang_up_everything()
        assert said.outcome is not None
        return said.outcome

    # -- the parts -----------------------------------------------------------------------

    async def _start(self) -> None:
        self._room = await asyncio.to_thread(choose_room, 1)
        ports = await asyncio.to_thread(choose_ports, rtp_count=max(200, RTP_PORTS_PER_AGENT * self.agents))
        install = await asyncio.to_thread(find_asterisk)
        line: Trunk = whole.trunk(self._room.network, None)
        self._asterisk = EmbeddedAsterisk(
            install,
            self.folder / "asterisk",
            Settings(ari_password=self._password, hep=self._hep),
            ports=ports,
            trunks=[TrunkLine(trunk=line)],
            phones=[PhoneLine(extension=extension, secret=self._secret) for extension in self._extensions],
        )
        await self._stack.enter_async_context(self._asterisk)
        self._people = Sipp(
            "people",
            folder=self.folder / "people",
            scenario=scenario("people", media_port=self._room.network_media, talk_ms=self._talk_ms),
            host="127.0.0.1",
            port=self._room.network,
            media_port=self._room.network_media,
        )
        self._stack.push_async_callback(self._people.stop)
        await self._people.start()
        await wait_until_answers(self._people, "127.0.0.1", self._room.network)

    def _phones(self, home: Path, extensions: list[str]) -> Sipp:
        lines = ["SEQUENTIAL"]
        lines += [
            f"{extension};[authentication username={extension} password={self._secret}]"
            for extension in extensions
        ]
        count = str(len(extensions))
        return Sipp(
            "phones",
            folder=home / "phones",
            scenario=scenario("phones", media_port=self._room.phones_media),
            host="127.0.0.1",
            port=self._room.phones,
            media_port=self._room.phones_media,
            remote=("127.0.0.1", self._asterisk.sip_port),
            arguments=("-inf", "phones.csv", "-m", count, "-l", count, "-r", str(SIGN_INS_PER_S)),
            files={"phones.csv": ("\n".join(lines) + "\n").encode()},
        )

    def _processes(self) -> dict[str, int]:
        pids = {"bench": os.getpid(), "asterisk": self._asterisk.pid, "people": self._people.pid}
        return {name: pid for name, pid in pids.items() if pid is not None}

    async def _hang_up_everything(self) -> None:
        """Leave Asterisk as empty as it was. Raises BenchFailed if calls do not go."""
        async with AriClient(self._asterisk.ari_url, self._asterisk.ari_user, self._password) as ari:
            for _ in range(200):
                channels = await ari.request("GET", "/channels")
                if not channels:
                    break
                for channel in channels:
                    with contextlib.suppress(NotFound):
                        await ari.request("DELETE", f"/channels/{channel['id']}")
                await asyncio.sleep(0.05)
            else:
                raise BenchFailed(f"{len(channels)} channels do not hang up")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Half:
    """The process of the one who is measured, from our side."""

    def __init__(self, module: str, plan: Plan, home: Path) -> None:
        self._module = module
        self._plan = plan
        self._errors = home / "errors.txt"
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        ours = (str(os.getpid()), str(int(signal.SIGTERM)), "--", sys.executable, "-m", self._module)
        with self._errors.open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", child.__file__, *ours),
                cwd=_HERE.parent,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=_LINE_MAX,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(self._plan) + b"\n")
        await self._process.stdin.drain()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        for send, patience_s in (
            (None, WAIT_S / 2 if kind is None else 1.0),
            ("terminate", 5.0),
            ("kill", 5.0),
        ):
            if send is not None:
                with contextlib.suppress(ProcessLookupError):
                    getattr(self._process, send)()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), patience_s)
                return

    async def expect(self, phase: str, within_s: float) -> Said:
        """Wait until the process says *phase*. Raises BenchFailed."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), within_s)
        except TimeoutError:
            raise BenchFailed(
                f"{self._module}: {phase!r} not within {within_s:g} s\n{self._words()}"
            ) from None
        if not line:
            raise BenchFailed(f"{self._module} ended before it said {phase!r}\n{self._words()}")
        said = msgspec.json.decode(line, type=Said)
        if said.phase != phase:
            raise BenchFailed(f"{self._module} said {said.phase!r} where {phase!r} was expected")
        return said

    def _words(self) -> str:
        return "\n".join(self._errors.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def scenario(name: str, **values: int) -> str:
    """The SIPp scenario *name* with its ``{values}`` filled in."""
    text = (_HERE / f"{name}.xml").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", str(value))
    return text
