"""One server process that the engine owns: started, watched, adopted, stopped.

A server either dies with us, however we end (the kernel sees to it, see :mod:`dialer.engine.child`),
or outlives us, and then a note in its folder lets the next engine find it again and own it. The note
names the process by its number *and* its start time, so a number that the kernel gave to somebody
else is never taken for ours, and never signalled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from dialer.engine import child

POLL_S = 0.05
START_S = 60.0
"""A server that is not there by then will not come, however slow the machine."""
STOP_S = 10.0


class EmbeddedError(Exception):
    """A server that we embed did not start, or cannot be found; the message says why and what helps."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What the next engine must know of a server that outlives this one."""

    pid: int
    start_ticks: int
    """When the kernel started it (field 22 of ``/proc/<pid>/stat``)."""
    ports: dict[str, int] = {}


class ServerProcess:
    """A server with its output in *log* and, while it lives, a note in *note*."""

    def __init__(self, name: str, *, note: Path, log: Path, outlive: bool) -> None:
        self.name = name
        self.log = log
        self.outlive = outlive
        self._note = note
        self._process: asyncio.subprocess.Process | None = None
        self._found: Note | None = None

    @property
    def pid(self) -> int | None:
        """The server's process number; None when it is not running, as far as we know."""
        if self._process is not None:
            return self._process.pid if self._process.returncode is None else None
        return self._found.pid if self._found is not None and is_alive(self._found) else None

    def find(self) -> Note | None:
        """The note of a server that an earlier engine started and that still runs; it becomes ours."""
        try:
            note = msgspec.json.decode(self._note.read_bytes(), type=Note)
        except (OSError, msgspec.DecodeError):
            return None
        if not is_alive(note):
            self._note.unlink(missing_ok=True)
            return None
        self._found = note
        return note

    async def spawn(
        self, argv: Sequence[str], *, folder: Path, ports: Mapping[str, int], env: Mapping[str, str]
    ) -> None:
        """Start the server in *folder*, in a session of its own, so that Ctrl-C is ours to handle.

        :raises EmbeddedError: it could not even be started.
        """
        signal_number = 0 if self.outlive else int(signal.SIGTERM)
        command = [
            sys.executable,
            "-I",
            "-S",
            child.__file__,
            str(os.getpid()),
            str(signal_number),
            "--",
            *argv,
        ]
        self._found = None
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=dict(env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        except OSError as error:
            raise EmbeddedError(f"{self.name}: cannot be started: {error}") from error
        finally:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            note = Note(pid=self._process.pid, start_ticks=start_ticks(self._process.pid), ports=dict(ports))
            scratch = self._note.with_name(f".{self._note.name}.new")
            scratch.write_bytes(msgspec.json.encode(note))
            scratch.replace(self._note)

    async def wait(self) -> int | None:
        """Wait until the server has ended; its exit status where we are its parent."""
        if self._process is not None:
            return await self._process.wait()
        while self.pid is not None:
            await asyncio.sleep(POLL_S)
        return None

    async def stop(self, within_s: float) -> None:
        """End the server: politely, and by force after *within_s* seconds. Nothing, if it has ended."""
        for signal_number, patience_s in ((signal.SIGTERM, within_s), (signal.SIGKILL, 5.0)):
            pid = self.pid
            if pid is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), patience_s)
        if self.pid is None:
            self._note.unlink(missing_ok=True)
        self._process = None
        self._found = None

    def last_words(self, lines: int = 15) -> str:
        """The end of its output, for an error message."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def start_ticks(pid: int) -> int:
    """When the process was started, in clock ticks since boot.

    :raises OSError: there is no such process.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    # the second field is the program's name in parentheses and may hold anything
    return int(stat.rpartition(")")[2].split()[19])


def is_alive(note: Note) -> bool:
    """Whether the very process of the note still runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{note.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    fields = stat.rpartition(")")[2].split()
    return fields[0] not in "ZX" and int(fields[19]) == note.start_ticks


def environment() -> dict[str, str]:
    """What a server may know of our environment: next to nothing, and none of our secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ", "TMPDIR") if name in os.environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin"} | kept
