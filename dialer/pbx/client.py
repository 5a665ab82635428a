"""The ARI client: requests over a bounded pool of kept-alive connections, events over one WebSocket.

1. Credentials travel in the Authorization header alone, for the WebSocket as well: they are in no
   URL, no exception, no log line and no ``repr``.
2. A request is sent once. Who sends it knows whether it may be repeated, and says so with
   ``repeatable=True``: then a kept-alive connection that Asterisk dropped in the same instant costs
   one more try, and nothing else does.
3. The socket is read at all times, also while we are busy connecting (:mod:`dialer.pbx.eventline`). Frames that arrive before
   ``on_connected`` has returned are handed over after it, in their order.
4. However the socket ends (cut, closed cleanly, stalled), we connect again, after a growing and
   jittered pause. A socket that is open but deaf is noticed by the heartbeat; an application that
   lost its subscriptions gets them again by the regular check.
5. Calls that came in have two ids; only one of them is known further in (:mod:`dialer.pbx.aliases`).
"""

from __future__ import annotations

import asyncio
import base64
import errno
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import aiohttp
import msgspec
from yarl import URL

from dialer.pbx.aliases import Aliases
from dialer.pbx.errors import PbxError, PbxGarbled, PbxTimeout, PbxUnreachable, reason_of, refused
from dialer.pbx.eventline import Backoff, EventLine, OnFrame, unless
from dialer.pbx.frames import WANTED, FrameReader

log = logging.getLogger(__name__)

KEEP_ALIVE_S: Final = 10.0
"""Shorter than Asterisk's own ``session_keep_alive`` (15 s), so that it seldom drops one under us."""
FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
SOURCES: Final = ("endpoint:PJSIP",)
"""What the application is subscribed to: all channels of all PJSIP endpoints, from their creation on."""

OnChange = Callable[[], Awaitable[None]]
Meter = Callable[[str, str, float, PbxError | None], None]
"""Method, path, seconds, and why there was no good answer; for a watcher."""


class AriClient:
    """One Asterisk, as seen through its REST interface.

    *url*: such as ``http://127.0.0.1:8088/ari``. *connections*: requests in flight at once; more
    wait for their turn. *timeout_s*: for the turn and the connection, and again for the answer.
    *heartbeat_s*: a socket that is silent so long is probed; half of that later it counts as dead.
    *check_s*: how often the application's subscriptions are asserted again.
    *jitter*: a number in 0..1, for the pauses.
    """

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        app: str = "obzvon",
        *,
        connections: int = 16,
        timeout_s: float = 5.0,
        heartbeat_s: float = 10.0,
        check_s: float = 30.0,
        backoff: Backoff | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        base = URL(url)
        if base.scheme not in {"http", "https"} or not base.host:
            raise ValueError("the ARI address must look like http://127.0.0.1:8088/ari")
        if base.user is not None or base.password is not None:
            raise ValueError("the ARI address must not hold a user or password")
        self._base = str(base).rstrip("/")
        self._app = app
        self._timeout_s = timeout_s
        self._heartbeat_s = heartbeat_s
        self._check_s = check_s
        self._backoff = backoff or Backoff()
        self._jitter = jitter
        self._connections = connections
        secret = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        self._headers = {"Authorization": f"Basic {secret}"}
        self._session: aiohttp.ClientSession | None = None
        self.aliases = Aliases()
        self.frames = FrameReader()
        """Counts of frames, and those that were not understood."""
        self.is_connected = False
        """Whether events flow: the socket is open, subscribed, and ``on_connected`` has been called."""
        self.connects = 0
        """How often the event socket was connected."""
        self.away_since: float | None = None
        """Since when no events flow, by the loop's clock; None: they do, or nobody listens yet."""
        self.refusing_since: float | None = None
        """Since when every try to open the event socket was refused, for nothing is there; None: the last was not."""
        self.requests = 0
        """How many requests were sent."""
        self.meter: Meter | None = None
        """Told of each request."""

    def __repr__(self) -> str:
        return f"AriClient({self._base!r}, app={self._app!r})"

    @property
    def app(self) -> str:
        """The name of the Stasis application."""
        return self._app

    async def __aenter__(self) -> Self:
        # One more than asked for: the event socket holds a connection of its own.
        connector = aiohttp.TCPConnector(limit=self._connections + 1, keepalive_timeout=KEEP_ALIVE_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeout_s, sock_read=self._timeout_s),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # -- requests -------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        json: Any = None,
        repeatable: bool = False,
    ) -> Any:
        """Send one request; the decoded answer, or None where Asterisk has nothing to say.

        *path*: below the base, beginning with ``/``, its parts quoted already. *json*: the body.
        Raises :class:`PbxError`: refused, unreachable, too slow, or garbled.
        """
        try:
            return await self._request_once(method, path, params, json)
        except PbxTimeout:
            raise
        except PbxUnreachable:
            if not repeatable:
                raise
        return await self._request_once(method, path, params, json)

    async def metrics(self) -> str:
        """Asterisk's own page of metrics (``prometheus.conf``); empty where it has none. Raises PbxError."""
        url = URL(self._base).with_path("/metrics")
        error: PbxError
        try:
            async with self._open_session().get(url, allow_redirects=False) as answer:
                return await answer.text() if answer.status == 200 else ""
        except TimeoutError:
            error = PbxTimeout("GET /metrics: no answer from Asterisk", was_sent=True)
        except (aiohttp.ClientError, OSError) as failure:
            error = PbxUnreachable(f"GET /metrics: {reason_of(failure)}", was_sent=True)
        raise error

    async def _request_once(self, method: str, path: str, params: dict[str, str] | None, json: Any) -> Any:
        began = time.perf_counter()
        try:
            found = await self._exchange(method, path, params, json)
        except PbxError as failure:
            if self.meter is not None:
                self.meter(method, path, time.perf_counter() - began, failure)
            raise
        if self.meter is not None:
            self.meter(method, path, time.perf_counter() - began, None)
        return found

    async def _exchange(self, method: str, path: str, params: dict[str, str] | None, json: Any) -> Any:
        session = self._open_session()
        path, json = self.aliases.path(path), self.aliases.body(json)
        url = URL(self._base + path, encoded=True)
        body: bytes | None = None
        headers: dict[str, str] | None = None
        if json is not None:
            body = msgspec.json.encode(json)
            headers = {"Content-Type": "application/json"}
        what = f"{method} {path}"
        self.requests += 1
        error: PbxError
        # Errors of aiohttp hold the request with its headers, so none may become our cause or context:
        # they are translated inside, and ours is raised outside.
        try:
            async with session.request(
                method, url, params=params, data=body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
                content = await answer.read()
        except aiohttp.ConnectionTimeoutError:
            error = PbxTimeout(f"{what}: no connection to Asterisk in {self._timeout_s:g} s", was_sent=False)
        except TimeoutError:
            error = PbxTimeout(f"{what}: no answer from Asterisk in {self._timeout_s:g} s", was_sent=True)
        except aiohttp.ClientConnectorError as failure:
            error = PbxUnreachable(
                f"{what}: cannot connect to Asterisk ({reason_of(failure)})", was_sent=False
            )
        except (aiohttp.ClientError, OSError) as failure:
            error = PbxUnreachable(f"{what}: the connection broke ({reason_of(failure)})", was_sent=True)
        else:
            return _answer(what, status, content)
        raise error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("AriClient is used outside of its 'async with'")
        return self._session

    # -- events ---------------------------------------------------------------------------

    async def listen(self, on_frame: OnFrame, on_connected: OnChange, on_disconnected: OnChange) -> NoReturn:
        """Hand over every frame, for ever; connect again whenever the socket ends.

        *on_connected* is awaited once the application is subscribed; frames that come meanwhile
        wait, in their order. If it raises :class:`PbxError` the connection counts as failed. Each
        call of it is followed by one of *on_disconnected*, before the next. Any other exception
        out of the three ends the listening: it is a fault of ours.
        """
        clock = asyncio.get_running_loop().time
        failures = 0
        self.away_since = clock()
        while True:
            started = clock()
            reason = await self._listen_once(on_frame, on_connected, on_disconnected)
            failures = 1 if clock() - started >= self._backoff.steady_s else failures + 1
            pause_s = self._backoff.pause_s(failures, self._jitter())
            log.warning(
                "No events from Asterisk: %s. Trying again in %.1f s.",
                reason,
                pause_s,
                extra={"action": "pbx_reconnect", "failures": failures},
            )
            await asyncio.sleep(pause_s)

    async def _listen_once(self, on_frame: OnFrame, on_connected: OnChange, on_disconnected: OnChange) -> str:
        """One life of the socket; returns why it ended."""
        try:
            socket = await self._connect()
        except PbxError as failure:
            return str(failure)
        self.connects += 1
        line = EventLine(socket, self.frames, lambda frame: on_frame(self.aliases.read(frame)))
        reading = asyncio.create_task(line.read())
        was_told = False
        try:
            try:
                await unless(reading, self._subscribe())
                was_told = True
                await unless(reading, on_connected())
            except PbxError as failure:
                return str(failure)
            if reading.done():
                return reading.result()
            self.is_connected = True
            self.away_since = None
            log.info("Events flow from Asterisk.", extra={"action": "pbx_connected"})
            line.open()
            return await self._tend(reading)
        finally:
            self.is_connected = False
            if self.away_since is None:
                self.away_since = asyncio.get_running_loop().time()
            reading.cancel()
            await asyncio.wait([reading])
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                await socket.close()
            if was_told:
                await on_disconnected()

    async def open_events(self) -> aiohttp.ClientWebSocketResponse[bool]:
        """The bare socket of this application's events, for who reads it to its end and closes it. Raises PbxError."""
        return await self._connect()

    async def _connect(self) -> aiohttp.ClientWebSocketResponse[bool]:
        session = self._open_session()
        now = asyncio.get_running_loop().time()
        is_refused = False
        # sock_read must not apply here: a quiet night is no fault; the heartbeat finds a dead peer.
        try:
            async with asyncio.timeout(self._timeout_s):
                socket = await session.ws_connect(
                    URL(f"{self._base}/events").with_query(app=self._app),
                    heartbeat=self._heartbeat_s,
                    timeout=aiohttp.ClientWSTimeout(ws_receive=None, ws_close=1.0),
                    max_msg_size=FRAME_BYTES_MAX,
                    decode_text=False,
                )
            self.refusing_since = None
            return socket
        except aiohttp.WSServerHandshakeError as failure:
            error: PbxError = refused(failure.status, "Asterisk refused the event socket")
            self.away_since = now  # it will not have us, but it is there
        except TimeoutError:
            error = PbxTimeout(f"no event socket in {self._timeout_s:g} s", was_sent=False)
        except (aiohttp.ClientError, OSError) as failure:
            error = PbxUnreachable(f"cannot open the event socket ({reason_of(failure)})", was_sent=False)
            is_refused = isinstance(failure, OSError) and failure.errno == errno.ECONNREFUSED
        if not is_refused:
            self.refusing_since = None
        elif self.refusing_since is None:
            self.refusing_since = now
        raise error

    async def _subscribe(self) -> None:
        app = f"/applications/{self._app}"
        for source in SOURCES:
            await self.request("POST", f"{app}/subscription", params={"eventSource": source}, repeatable=True)
        allowed = {"allowed": [{"type": name} for name in WANTED]}
        await self.request("PUT", f"{app}/eventFilter", json=allowed, repeatable=True)

    async def _tend(self, reading: asyncio.Task[str]) -> str:
        """Until the socket ends, assert the subscriptions from time to time."""
        while True:
            done, _ = await asyncio.wait([reading], timeout=self._check_s)
            if done:
                return reading.result()
            try:
                await unless(reading, self._subscribe())
            except PbxError as failure:
                return f"the application cannot be subscribed again: {failure}"


def _answer(what: str, status: int, content: bytes) -> Any:
    """The body of a good answer; raises what a bad one means."""
    body: Any = None
    if content:
        try:
            body = msgspec.json.decode(content)
        except msgspec.DecodeError:
            if 200 <= status < 300:
                raise PbxGarbled(f"{what}: {status} without JSON; is that Asterisk?") from None
    if 200 <= status < 300:
        return body
    message = ""
    if isinstance(body, dict):
        message = str(body.get("message") or body.get("error") or "")
    raise refused(status, message or "no reason given")
