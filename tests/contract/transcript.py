"""What an Asterisk said and was asked, written down once and played again.

A transcript is JSON lines in the order of events: ``connect`` (an event socket was opened), ``request`` and its
``answer`` (joined by *number*), ``frame``, and ``act`` (the world did something: the person hung up, say).

:class:`Recorder` writes one while it stands between the client and a real Asterisk. :class:`Player` is an
Asterisk made of one. The player goes forward by what it is asked: a frame is sent when everything that
stands before it and could have caused it (a connect, an act, a request that changes something) has happened
again. Questions, and settings of the application, are answered as often as they are asked. A request that is not in the transcript is a *stray*: it is answered by 501 and the test fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import aiohttp
import msgspec
from aiohttp import web


class Entry(msgspec.Struct, omit_defaults=True):
    """One line of a transcript."""

    kind: Literal["connect", "request", "answer", "frame", "act"]
    number: int = 0
    method: str = ""
    path: str = ""
    query: dict[str, str] = {}
    status: int = 0
    body: Any = None

    def asks(self, other: Entry) -> bool:
        """Whether *other* is the same request."""
        mine, its = ((e.kind, e.method, e.path, e.query, e.body) for e in (self, other))
        return mine == its

    @property
    def is_gate(self) -> bool:
        """Whether what follows may be its consequence."""
        return self.kind in ("connect", "act") or (self.kind == "request" and not self.is_idle)

    @property
    def is_idle(self) -> bool:
        """Whether it changes nothing when repeated: a question, or a setting of the application."""
        return self.method == "GET" or "/applications/" in self.path


def load(path: Path) -> list[Entry]:
    return [msgspec.json.decode(line, type=Entry) for line in path.read_bytes().splitlines()]


def save(path: Path, entries: list[Entry], folders: Mapping[str, str]) -> None:
    """Write it. *folders*: those of the machine where it was made, and what it says instead of each."""
    text = "".join(msgspec.json.encode(entry).decode() + "\n" for entry in entries)
    for folder, name in folders.items():
        text = text.replace(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class _Server:
    """An HTTP server on a free port of the loopback address; *url* once it has started."""

    def __init__(self) -> None:
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self.let_go()
        await self._runner.cleanup()

    async def let_go(self) -> None:
        """Close what a handler waits for."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError


def _is_socket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def _entry_of(request: web.Request) -> Entry:
    content = await request.read()
    return Entry(
        kind="request",
        method=request.method,
        path=request.raw_path.split("?")[0],
        query=dict(request.query),
        body=msgspec.json.decode(content) if content else None,
    )


class Recorder(_Server):
    """Stands in front of the Asterisk at *upstream* (scheme and authority) and writes down what passes."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.entries: list[Entry] = []
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        return await super().__aenter__()

    async def let_go(self) -> None:
        for socket in list(self._sockets):
            await socket.close()
        assert self._session is not None
        await self._session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        url = self._upstream + request.raw_path
        headers = {key: request.headers[key] for key in ("Authorization",) if key in request.headers}
        if _is_socket(request):
            return await self._carry(request, url, headers)
        asked = await _entry_of(request)
        asked.number = len(self.entries) + 1
        self.entries.append(asked)
        async with self._session.request(request.method, url, json=asked.body, headers=headers) as answer:
            content = await answer.read()
        body = msgspec.json.decode(content) if content else None
        self.entries.append(Entry(kind="answer", number=asked.number, status=answer.status, body=body))
        return web.Response(status=answer.status, body=content, content_type="application/json")

    async def _carry(self, request: web.Request, url: str, headers: dict[str, str]) -> web.StreamResponse:
        assert self._session is not None
        near = web.WebSocketResponse()
        async with self._session.ws_connect(url, headers=headers) as far:
            await near.prepare(request)
            self._sockets.add(near)
            self.entries.append(Entry(kind="connect"))
            reading = asyncio.create_task(self._read(near))
            try:
                async for message in far:
                    self.entries.append(Entry(kind="frame", body=msgspec.json.decode(message.data)))
                    if near.closed:
                        break
                    await near.send_str(message.data)
            except ConnectionError:
                pass
            finally:
                self._sockets.discard(near)
                await near.close(code=far.close_code or 1000)
                await reading
        return near

    async def _read(self, near: web.WebSocketResponse) -> None:
        async for _ in near:
            pass


class Player(_Server):
    """An Asterisk made of a transcript. *frames_first*: send what a request causes before its answer."""

    def __init__(self, entries: list[Entry], *, frames_first: bool = False) -> None:
        super().__init__()
        self.strays: list[Entry] = []
        self._entries = entries
        self._frames_first = frames_first
        self._done: set[int] = set()
        self._position = 0
        self._socket: web.WebSocketResponse | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._lock = asyncio.Lock()

    async def let_go(self) -> None:
        for socket in list(self._sockets):
            await socket.close()

    async def act(self, name: str) -> None:
        """The world does *name*."""
        self._take(Entry(kind="act", body=name))
        await self._advance()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if _is_socket(request):
            return await self._events(request)
        asked = await _entry_of(request)
        index = self._take(asked)
        if index is None:
            return web.json_response({"message": "not in the transcript"}, status=501)
        number = self._entries[index].number
        at = next(i for i, e in enumerate(self._entries) if e.kind == "answer" and e.number == number)
        await self._advance(None if self._frames_first else at)
        answer = self._entries[at]
        if not self._frames_first:
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self._advance()))
        content = b"" if answer.body is None else msgspec.json.encode(answer.body)
        return web.Response(status=answer.status, body=content, content_type="application/json")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        before, self._socket = self._socket, socket
        if before is not None and before in self._sockets:
            # As Asterisk does when somebody else takes the application: the socket stays open, and deaf.
            await before.send_json({"type": "ApplicationReplaced", "application": "obzvon"})
        self._take(Entry(kind="connect"))
        self._sockets.add(socket)
        await self._advance()
        async for _ in socket:
            pass
        self._sockets.discard(socket)
        return socket

    def _take(self, asked: Entry) -> int | None:
        """The place of *asked*: the next that has not happened yet; where idle, else the last that has."""
        same = [index for index, entry in enumerate(self._entries) if entry.asks(asked)]
        fresh = [index for index in same if index not in self._done]
        if fresh and (not asked.is_idle or fresh[0] < self._gate()):
            self._done.add(fresh[0])
            return fresh[0]
        if asked.is_idle and (used := [index for index in same if index in self._done]):
            return used[-1]
        if asked.kind == "request":
            self.strays.append(asked)
        return None

    def _gate(self) -> int:
        """The first thing that has yet to happen before the story goes on."""
        for index, entry in enumerate(self._entries):
            if entry.is_gate and index not in self._done:
                return index
        return len(self._entries)

    async def _advance(self, end: int | None = None) -> None:
        async with self._lock:
            while self._position < min(self._gate(), len(self._entries) if end is None else end):
                entry = self._entries[self._position]
                self._position += 1
                if entry.kind == "frame" and self._socket is not None and not self._socket.closed:
                    try:
                        await self._socket.send_str(msgspec.json.encode(entry.body).decode())
                    except ConnectionError:
                        return
