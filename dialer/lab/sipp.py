"""Runs one SIPp process: starts it, sees that it does not outlive us, and stops it.

SIPp is started through ``setpriv --pdeathsig``, so the kernel ends it together with the
process that started it, even if that one is killed. Its files live in a folder of its own:
the scenario (readable by its owner only, for it may hold secrets), its log and its errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dialer.lab.errors import LabProcessDied, LabTimeout, LabToolMissing

STOP_S_MAX = 3.0
"""A process that has not ended so long after it was asked to is killed."""
_POLL_S = 0.05


def find_tool(program: str, package: str) -> str:
    """The path of *program*. Raises LabToolMissing, which names the distribution's *package*."""
    path = shutil.which(program)
    if path is None:
        raise LabToolMissing(f"{program} is not installed (Debian and Ubuntu have it in package {package})")
    return path


async def spawn(arguments: Sequence[str], *, folder: Path, output: str) -> asyncio.subprocess.Process:
    """Start a program that dies with us; what it prints goes to the file *output* in *folder*."""
    setpriv = find_tool("setpriv", "util-linux")
    with (folder / output).open("wb") as file:
        return await asyncio.create_subprocess_exec(
            setpriv,
            *("--pdeathsig", "KILL", "--"),
            *arguments,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=asyncio.subprocess.STDOUT,
        )


async def end(process: asyncio.subprocess.Process) -> None:
    """Ask *process* to end, wait for it, and kill it if it does not listen."""
    if process.returncode is None:
        send(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S_MAX)
        except TimeoutError:
            send(process, signal.SIGKILL)
            await process.wait()


def send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal, if the process lives.

    Not by the process's own ``kill``: that one looks whether the process has ended, and so may take
    its exit status away from the event loop, which waits for it too.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


class Sipp:
    """One SIPp process. *name* names its files in *folder*; *files* are put beside the scenario.

    *port*: the UDP port where it speaks SIP; *media_port*: the first of the UDP ports where it
    takes RTP (it uses that one and the next three). *remote*: whom it calls, if anybody.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path,
        scenario: str,
        host: str,
        port: int,
        media_port: int,
        remote: tuple[str, int] | None = None,
        arguments: Sequence[str] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.log_path = folder / f"{name}.log"
        self._scenario = scenario
        self._host = host
        self._port = port
        self._media_port = media_port
        self._remote = remote
        self._arguments = tuple(arguments)
        self._files = dict(files or {})
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self.is_running and self._process else None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process. It may take a moment until it listens: see :meth:`check`."""
        sipp = find_tool("sipp", "sip-tester")
        await asyncio.to_thread(self._write_files)
        remote = [f"{self._remote[0]}:{self._remote[1]}"] if self._remote else []
        self._process = await spawn(
            [
                *(sipp, *remote, "-sf", f"{self.name}.xml"),
                *("-i", self._host, "-bind_local", "-p", str(self._port)),
                *("-mi", self._host, "-mp", str(self._media_port), "-ci", self._host),
                *("-trace_logs", "-log_file", self.log_path.name),
                *("-trace_err", "-error_file", f"{self.name}.err"),
                # The watchdog ends SIPp when the machine is slow for a while: not wanted.
                *("-nostdin", "-aa", "-watchdog_interval", "0", "-f", "86400"),
                *self._arguments,
            ],
            folder=self.folder,
            output=f"{self.name}.out",
        )

    def check(self) -> None:
        """Raise LabProcessDied if the process has ended; the message says what SIPp said last."""
        if not self.is_running:
            raise LabProcessDied(f"SIPp process {self.name!r} is not running: {self._last_words()}")

    async def stop(self) -> None:
        """End the process, if it runs; nothing is left of it but its files."""
        if self._process is not None:
            await end(self._process)

    async def kill(self) -> None:
        """End the process without a word, as if the plug were pulled."""
        if self._process is not None:
            send(self._process, signal.SIGKILL)
            await self._process.wait()

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (self.log_path, self.folder / f"{self.name}.err"):
            path.unlink(missing_ok=True)
        scenario = self.folder / f"{self.name}.xml"
        scenario.unlink(missing_ok=True)
        with os.fdopen(os.open(scenario, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self._scenario)
        for name, content in self._files.items():
            # Another process beside this one may be reading the same voice at this moment: it is there whole, or not at all.
            scratch = self.folder / f".{self.name}.{name}"
            scratch.write_bytes(content)
            scratch.replace(self.folder / name)

    def _last_words(self) -> str:
        for suffix in ("err", "out"):
            with contextlib.suppress(OSError):
                text = (self.folder / f"{self.name}.{suffix}").read_text(errors="replace")
                lines = [line.strip() for line in text.splitlines() if line.strip()]
                errors = [line for line in lines if "error" in line.lower() or "unable" in line.lower()]
                if errors or (lines and suffix == "err"):
                    return " / ".join((errors or lines)[-2:])
        return "it said nothing"


async def wait_until_answers(sipp: Sipp, host: str, port: int, *, within_s: float = 60.0) -> None:
    """Wait until *sipp* answers an OPTIONS. Raises LabTimeout or LabProcessDied."""
    loop = asyncio.get_running_loop()
    probe = _Probe(host, port)
    transport, _ = await loop.create_datagram_endpoint(lambda: probe, remote_addr=(host, port))
    deadline = time.monotonic() + within_s
    try:
        while not probe.is_answered:
            sipp.check()
            if time.monotonic() > deadline:
                raise LabTimeout(f"SIPp process {sipp.name!r} does not answer on {host}:{port}")
            probe.ask(transport)
            await asyncio.sleep(_POLL_S)
    finally:
        transport.close()


class _Probe(asyncio.DatagramProtocol):
    def __init__(self, host: str, port: int) -> None:
        self._to = f"{host}:{port}"
        self._asked = 0
        self.is_answered = False

    def ask(self, transport: asyncio.DatagramTransport) -> None:
        self._asked += 1
        here = "{}:{}".format(*transport.get_extra_info("sockname")[:2])
        name = f"probe-{os.getpid()}-{here}-{self._asked}"
        transport.sendto(
            (
                f"OPTIONS sip:{self._to} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{name}\r\n"
                f"From: <sip:probe@{here}>;tag=1\r\nTo: <sip:{self._to}>\r\nCall-ID: {name}\r\n"
                "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            ).encode()
        )

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        self.is_answered = self.is_answered or data.startswith(b"SIP/2.0 200")

    def error_received(self, exc: Exception) -> None:
        """Nobody listens yet."""
