"""The client's own promises, against a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web

from dialer.pbx.client import AriClient
from dialer.pbx.errors import (
    NotFound,
    PbxError,
    PbxGarbled,
    PbxRefused,
    PbxTimeout,
    PbxUnreachable,
    ServerFault,
    Unauthorized,
)
from dialer.pbx.eventline import Backoff
from tests.contract.conftest import Ear, until
from tests.contract.relay import Relay

SECRET = "tell-nobody"
QUICK = Backoff(first_s=0.01, max_s=0.05)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def client(port: int, **options) -> AriClient:
    settings: dict[str, Any] = {"backoff": QUICK, "jitter": lambda: 0.0} | options
    return AriClient(f"http://127.0.0.1:{port}/ari", "obzvon", SECRET, **settings)


async def failure(ari: AriClient, method: str = "GET", **options) -> PbxError:
    with pytest.raises(PbxError) as caught:
        await ari.request(method, "/channels", **options)
    return caught.value


def saying(status: int, text: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, text=text, content_type="application/json")

    return handler


# -- requests -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "text", "kind", "message"),
    [
        (401, '{"error": "no"}', Unauthorized, "401 no"),
        (404, '{"message": "Channel not found"}', NotFound, "404 Channel not found"),
        (500, "<html>", ServerFault, "500 no reason given"),
        (418, "[]", PbxRefused, "418 no reason given"),
        (302, "", PbxRefused, "302 no reason given"),
    ],
)
async def test_errors_are_told_apart(status, text, kind, message):
    async with server(saying(status, text)) as port, client(port) as ari:
        error = await failure(ari)
    assert type(error) is kind
    assert str(error) == message
    assert error.was_sent


async def test_an_answer_that_is_not_json_is_garbled():
    async with server(saying(200, "<html>")) as port, client(port) as ari:
        assert type(await failure(ari)) is PbxGarbled


async def test_an_empty_answer_is_none():
    async with server(saying(204, "")) as port, client(port) as ari:
        assert await ari.request("DELETE", "/channels/x") is None


async def test_nobody_there_means_certainly_not_sent():
    async with server(saying(200, "")) as port:
        pass
    async with client(port) as ari:
        error = await failure(ari)
    assert type(error) is PbxUnreachable
    assert not error.was_sent


async def test_a_slow_answer_times_out_and_may_have_been_acted_upon():
    """And is not sent again even where that is harmless: a slow Asterisk is not helped by more work."""
    free = asyncio.Event()
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        await free.wait()
        return web.Response()

    async with server(handler) as port, client(port, timeout_s=0.05) as ari:
        error = await failure(ari, "POST", json={}, repeatable=True)
        free.set()
    assert type(error) is PbxTimeout
    assert error.was_sent
    assert calls == 1


async def test_a_full_pool_times_out_before_anything_was_sent():
    free = asyncio.Event()
    inside = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal inside
        inside += 1
        await free.wait()
        return web.Response()

    async with server(handler) as port, client(port, connections=1, timeout_s=0.3) as ari:
        # The pool has one place more, for the event socket, which is not open here.
        busy = [asyncio.create_task(ari.request("GET", "/channels")) for _ in range(4)]
        done, _ = await asyncio.wait(busy)
        free.set()
    errors = [task.exception() for task in done]
    assert inside == 2
    assert sorted(error.was_sent for error in errors if isinstance(error, PbxTimeout)) == [
        False,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_dropped_connection_is_tried_again_only_where_that_is_harmless(method):
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        return web.json_response({})

    async with server(handler) as port, Relay(port) as relay, client(relay.port) as ari:
        await ari.request(method, "/channels")
        relay.drop_next()
        assert await ari.request(method, "/channels", repeatable=True) == {}
        assert calls == 2
        if method == "POST":
            relay.drop_next()
            error = await failure(ari, method)
            assert type(error) is PbxUnreachable
            assert error.was_sent, "nobody knows whether the other side has seen it"
            assert calls == 2


async def test_the_address_may_not_hold_credentials():
    with pytest.raises(ValueError, match="must not hold"):
        AriClient("http://me:word@127.0.0.1:8088/ari", "me", "word")
    with pytest.raises(ValueError, match="must look like"):
        AriClient("127.0.0.1:8088", "me", "word")


async def test_use_outside_of_its_context_is_a_fault_of_ours():
    with pytest.raises(RuntimeError):
        await AriClient("http://127.0.0.1:1/ari", "me", "word").request("GET", "/x")


# -- secrecy ------------------------------------------------------------------------------


async def test_no_error_holds_the_password(caplog):
    """Errors of the HTTP library carry the request and its headers; none may hang on ours."""
    caplog.set_level(logging.DEBUG, "dialer")
    async with server(saying(401, "")) as port, client(port) as ari:
        errors = [await failure(ari)]
        async with Ear(ari):
            await until(lambda: "refused the event socket" in caplog.text)
    async with client(port) as ari:
        errors.append(await failure(ari))
        secrets = [SECRET, ari._headers["Authorization"].split()[1]]
        shown = caplog.text + repr(ari)
    for error in errors:
        assert error.__cause__ is None
        assert error.__context__ is None
        shown += repr(error) + "".join(traceback.format_exception(error))
    assert not any(secret in shown for secret in secrets)


# -- events -------------------------------------------------------------------------------


def test_pauses_grow_to_a_limit_and_jitter_takes_some_off():
    backoff = Backoff(first_s=0.5, factor=2.0, max_s=4.0)
    assert [backoff.pause_s(n, 0.0) for n in (1, 2, 3, 4, 5, 10_000)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert backoff.pause_s(3, 1.0) == 1.0


def events_of(talk: Callable[[web.WebSocketResponse, int], Awaitable[None]]) -> Handler:
    """A server that accepts everything, and on the event socket does *talk* (with the socket's number)."""
    number = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal number
        if request.headers.get("Upgrade") != "websocket":
            await request.read()
            return web.json_response({})
        number += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        with suppress(ConnectionError):
            await talk(socket, number)
        async for _ in socket:
            pass
        return socket

    return handler


def destroyed(channel: str) -> dict[str, object]:
    return {"type": "ChannelDestroyed", "cause": 16, "channel": {"id": channel}}


async def test_junk_on_the_socket_is_survived():
    async def talk(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_str("{")
        await socket.send_bytes(b'"\xff\xfe"')
        await socket.send_json({"type": "ChannelDestroyed"})
        await socket.send_json({"type": "NeverHeardOf", "x": 1})
        await socket.send_json(destroyed("c1"))

    async with server(events_of(talk)) as port, client(port) as ari, Ear(ari) as ear:
        await until(lambda: ear.frames)
        assert ari.frames.unknown == {"NeverHeardOf": 1}
        assert ari.frames.malformed == {"?": 2, "ChannelDestroyed": 1}
        assert len(ari.frames.kept) == 4
        assert ear.changes == ["up"]


async def test_invalid_utf8_in_a_text_frame_is_survived():
    async def talk(socket: web.WebSocketResponse, number: int) -> None:
        writer = socket._writer
        assert writer is not None
        await writer.send_frame(b'{"type":"ChannelDestroyed","cause":1,"channel":{"id":"\xff"}}', 1)
        await socket.send_json(destroyed("c1"))

    async with server(events_of(talk)) as port, client(port) as ari, Ear(ari) as ear:
        await until(lambda: ear.frames)
        assert sum(ari.frames.malformed.values()) == 1
        assert ear.changes == ["up"]


async def test_a_failing_on_connected_is_tried_again():
    async def talk(socket: web.WebSocketResponse, number: int) -> None:
        pass

    failures = [PbxUnreachable("cut", was_sent=True), PbxTimeout("slow", was_sent=True)]
    async with server(events_of(talk)) as port, client(port) as ari:
        ear = Ear(ari)

        async def on_connected() -> None:
            if failures:
                raise failures.pop()

        ear.on_connected = on_connected
        async with ear:
            await ear.up(3)
        assert ear.changes == ["up", "down", "up", "down", "up", "down"]


async def test_a_socket_that_ends_while_we_connect_is_given_up():
    """``on_connected`` may hang on a dead server; the end of the socket frees us from it."""

    entered = asyncio.Event()

    async def talk(socket: web.WebSocketResponse, number: int) -> None:
        if number == 1:
            await entered.wait()
            await socket.close()

    async with server(events_of(talk)) as port, client(port) as ari:
        ear = Ear(ari)

        async def on_connected() -> None:
            if not entered.is_set():
                entered.set()
                await asyncio.Event().wait()

        ear.on_connected = on_connected
        async with ear:
            await until(lambda: ari.is_connected)
        assert ari.connects == 2


async def test_a_fault_of_ours_is_not_hidden():
    async def talk(socket: web.WebSocketResponse, number: int) -> None:
        await socket.send_json(destroyed("c1"))

    def on_frame(frame: object) -> None:
        raise KeyError("ours")

    async def nothing() -> None:
        pass

    async with server(events_of(talk)) as port, client(port) as ari:
        with pytest.raises(KeyError, match="ours"):
            await asyncio.wait_for(ari.listen(on_frame, nothing, nothing), 5)


@pytest.mark.parametrize(("steady_s", "failures"), [(60.0, [1, 2, 3]), (0.0, [1, 1, 1])])
async def test_pauses_grow_unless_the_connection_had_lived(caplog, steady_s, failures):
    async def talk(socket: web.WebSocketResponse, number: int) -> None:
        await socket.close()

    backoff = Backoff(first_s=0.001, max_s=0.004, steady_s=steady_s)
    caplog.set_level(logging.WARNING, "dialer.pbx.client")
    async with server(events_of(talk)) as port, client(port, backoff=backoff) as ari, Ear(ari):
        await until(lambda: len(caplog.records) >= 3)
    assert [record.failures for record in caplog.records[:3]] == failures


async def test_cancelling_ends_it():
    async def talk(socket: web.WebSocketResponse, number: int) -> None:
        pass

    async with server(events_of(talk)) as port, client(port) as ari:
        async with Ear(ari) as ear:
            await ear.up()
        assert ear.changes == ["up", "down"]
        assert not ari.is_connected


async def test_whether_nothing_is_there_or_somebody_keeps_silent_is_told_apart():
    """Refused connections are counted from the first on; a handshake that is turned down says that somebody is there."""

    async def talk(socket: web.WebSocketResponse, number: int) -> None:
        await asyncio.Event().wait()

    async with server(events_of(talk)) as port:
        ari = client(port)
        async with ari, Ear(ari) as ear:
            await ear.up()
            assert (ari.away_since, ari.refusing_since) == (None, None)
    async with client(port) as ari, Ear(ari):
        await until(lambda: ari.refusing_since is not None)
        since, away = ari.refusing_since, ari.away_since
        await asyncio.sleep(0.06)
        assert (ari.refusing_since, ari.away_since) == (since, away)
        assert away is not None
    async with server(saying(401, "{}")) as port, client(port) as ari, Ear(ari):
        await until(lambda: ari.away_since is not None)
        before = ari.away_since
        await until(lambda: ari.away_since != before)
        assert ari.refusing_since is None
