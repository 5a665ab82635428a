"""The wire between engine and Asterisk, whose event socket can be cut, stalled or closed by itself."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

_CLOSE_FRAME = b"\x88\x02\x03\xe8"
"""A WebSocket's goodbye from the server: a close frame, code 1000."""
_BY_RESET = struct.pack("ii", 1, 0)


class Wire:
    """A TCP relay to *port* of the loopback address."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._upstream = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: dict[asyncio.StreamWriter, asyncio.Event] = {}
        """The engine's side of each event socket, and whether its bytes flow."""

    async def up(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def event_sockets(self) -> int:
        """How many there are."""
        return len(self._sockets)

    def cut(self) -> None:
        """Reset the event sockets, as a firewall does."""
        for writer in list(self._sockets):
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BY_RESET)
            writer.transport.abort()

    def stall(self) -> None:
        """From now on no byte comes over the event sockets that there are; they stay open."""
        for flows in self._sockets.values():
            flows.clear()

    def close(self) -> None:
        """Say goodbye on the event sockets, as a server does that shuts down."""
        for writer in list(self._sockets):
            writer.write(_CLOSE_FRAME)
            writer.write_eof()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        flows = asyncio.Event()
        flows.set()
        far_writer = None
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
            first = await reader.read(65536)
            if first.startswith(b"GET /ari/events"):
                self._sockets[writer] = flows
            far_writer.write(first)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer, flows))
                group.create_task(_pump(far_reader, writer, flows))
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            pass
        finally:
            self._tasks.discard(task)
            self._sockets.pop(writer, None)
            for one in (writer, far_writer):
                if one is not None:
                    one.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event) -> None:
    while data := await reader.read(65536):
        await flows.wait()
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.close()
    raise ConnectionError("one side is gone")
