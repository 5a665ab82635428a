"""A wire with a fault in it: a TCP relay that can be cut, stalled, closed or made to drop the next request."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self


class Relay:
    """Carries bytes between any number of clients and *port*; refuses while it is down."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.carried = bytearray()
        """Everything that clients sent, for looking at it."""
        self._upstream = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._drops = 0

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._flowing.set()
        await self.down()

    async def up(self) -> None:
        """Listen (again, on the same port)."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Cut everything and refuse new connections."""
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Break every connection, as when a cable is pulled and the kernel notices."""
        for writer in list(self._writers):
            writer.transport.abort()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stall(self) -> None:
        """Carry nothing any more, with every connection left open."""
        self._flowing.clear()

    def flow(self) -> None:
        """Carry again."""
        self._flowing.set()

    def drop_next(self, count: int = 1) -> None:
        """Break a connection as the next request comes over it, before the other side sees it."""
        self._drops = count

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
            self._writers.add(far_writer)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, far_writer, is_client=True))
                    group.create_task(self._pump(far_reader, writer, is_client=False))
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            pass
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_client: bool
    ) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            if is_client:
                if self._drops and b" HTTP/1.1\r\n" in data:
                    self._drops -= 1
                    break
                self.carried += data
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.close()
        raise ConnectionError("one side is gone")
