"""Two worlds for one set of tests: a recorded Asterisk, and the real one.

``world`` runs a test in both. In the recorded one the client speaks to a player of the transcript
``data/<test>.jsonl``; ``python tests/contract/record.py`` makes the transcripts anew from the real one.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dialer.core.events import Event
from dialer.core.ids import AttemptId, TrunkId
from dialer.core.values import Trunk
from dialer.pbx.client import AriClient
from dialer.pbx.errors import PbxRefused
from dialer.pbx.eventline import Backoff
from dialer.pbx.frames import AnyFrame
from dialer.pbx.requests import to_request
from dialer.pbx.wire import to_event
from tests.contract.relay import Relay
from tests.contract.sip_peer import SipPeer
from tests.contract.transcript import Entry, Player, Recorder, load, save
from tests.e2e.world import PATIENCE_S

DATA = Path(__file__).parent / "data"
E = TypeVar("E", bound=Event)
SOMEBODYS_ASTERISK = "/var/lib/obzvon/asterisk"
SOMEBODYS_PYTHON = "/opt/obzvon/.venv"
"""What a transcript says in place of the folders of the machine where it was made."""
IS_RECORDING = bool(os.environ.get("OBZVON_RECORD_TRANSCRIPTS"))
PHONE = "109"
"""The desk phone of these tests."""
QUICK = Backoff(first_s=0.02, max_s=0.2)
TRUNKS = {TrunkId("lab"): Trunk(id=TrunkId("lab"), host="127.0.0.1")}


async def until(is_so: Callable[[], Any], within_s: float = PATIENCE_S) -> None:
    """Wait until *is_so*; fails after *within_s*."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.004)


class Ear:
    """Listens, and keeps what it hears: *frames*, *events* and, as words, the *changes* of the connection."""

    def __init__(self, ari: AriClient) -> None:
        self.ari = ari
        self.frames: list[AnyFrame] = []
        self.events: list[Event] = []
        self.changes: list[str] = []
        self.on_connected: Callable[[], Any] | None = None
        self._task: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Ear:
        self._task = asyncio.create_task(
            self.ari.listen(self._frame, self._connected, self._disconnected), name="ear"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def _frame(self, frame: AnyFrame) -> None:
        self.frames.append(frame)
        event = to_event(frame, 0.0)
        if event is not None:
            self.events.append(event)

    async def _connected(self) -> None:
        self.changes.append("up")
        if self.on_connected is not None:
            await self.on_connected()

    async def _disconnected(self) -> None:
        self.changes.append("down")

    async def up(self, times: int = 1) -> None:
        """Wait until events flow, for the *times*-th time."""
        await until(lambda: self.ari.is_connected and self.changes.count("up") >= times)

    async def heard(self, kind: type[E], subject: str = "", count: int = 1) -> E:
        """Wait for *count* events of *kind* about *subject* (an attempt or a channel); the last of them."""
        await until(lambda: len(self.of(kind, subject)) >= count)
        return self.of(kind, subject)[-1]

    def about(self, subject: str) -> list[Event]:
        """All events about an attempt or a channel, oldest first."""
        return self.of(Event, subject)

    def of(self, kind: type[E], subject: str = "") -> list[E]:
        """The events of *kind*, oldest first; with *subject* those about it."""
        names = ("attempt", "channel", "phone", "trunk")
        return [
            event
            for event in self.events
            if isinstance(event, kind)
            and (not subject or subject in {getattr(event, n, None) for n in names})
        ]


class World:
    """An Asterisk with one trunk, ``lab``, and a person or a phone at its other end."""

    def __init__(self, name: str, relay: Relay, username: str, password: str) -> None:
        self.relay = relay
        self.username = username
        self.password = password
        self.player: Player | None = None
        self.recorder: Recorder | None = None
        self.peer: SipPeer | None = None
        self.name = name

    @property
    def is_real(self) -> bool:
        return self.player is None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.relay.port}/ari"

    def attempt(self, number: int = 1) -> AttemptId:
        """An attempt id of this test's own, the same in each run."""
        hashed = sum(ord(char) * 31**place for place, char in enumerate(self.name)) % 10**12
        return AttemptId(f"a{hashed:012}{number:08}")

    def client(self, **options: Any) -> AriClient:
        settings: dict[str, Any] = {"backoff": QUICK, "jitter": lambda: 0.0} | options
        return AriClient(self.url, self.username, settings.pop("password", self.password), **settings)

    async def act(self, what: str) -> None:
        """The person or phone does something: ``hang_up``, ``register``, ``unregister``, ``dial *40``, ``press 5``."""
        if self.player is not None:
            await self.player.act(what)
            return
        if self.recorder is not None:
            self.recorder.entries.append(Entry(kind="act", body=what))
        assert self.peer is not None
        verb, _, keys = what.partition(" ")
        if verb == "dial":
            self.peer.dial(keys)
        elif verb == "press":
            await self.peer.press(keys)
        elif verb == "hang_up":
            self.peer.hang_up()
        else:
            self.peer.register(300 if verb == "register" else 0)

    async def send(self, ari: AriClient, command: Any, *, variables: dict[str, str] | None = None) -> None:
        """Carry a command out; raises what the dispatcher would have to handle. *variables*: others for its channel."""
        for request in to_request(command, trunks=TRUNKS, recordings=Path("/nowhere"), at=0.0):
            body = request.json
            if variables and body is not None:
                body = {**body, "variables": body["variables"] | variables}
            try:
                await ari.request(request.method, request.path, json=body)
            except PbxRefused as refusal:
                if refusal.status not in request.fine:
                    raise


@pytest.fixture(params=["recorded", pytest.param("asterisk", marks=pytest.mark.asterisk)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The world of one test. ``@pytest.mark.asterisk`` tests run where an Asterisk is."""
    name = request.node.originalname.removeprefix("test_")
    path = DATA / f"{name}.jsonl"
    async with AsyncExitStack() as stack:
        if request.param == "recorded":
            if IS_RECORDING:
                pytest.skip("recording")
            player = await stack.enter_async_context(Player(load(path)))
            relay = await stack.enter_async_context(Relay(player.port))
            world = World(name, relay, "obzvon", "a-secret-of-tests")
            world.player = player
            yield world
            assert player.strays == []
            return
        live = request.getfixturevalue("asterisk_home")
        recorder = None
        port = int(live.ari_url.split(":")[2].split("/")[0])
        if IS_RECORDING:
            recorder = await stack.enter_async_context(Recorder(f"http://127.0.0.1:{port}"))
            port = recorder.port
        relay = await stack.enter_async_context(Relay(port))
        world = World(name, relay, live.ari_user, live.ari_password)
        world.recorder = recorder
        world.peer = await stack.enter_async_context(
            SipPeer(live.trunk_port, pbx_port=live.sip_port, phone=PHONE, secret=live.phone_secret)
        )
        async with AriClient(live.ari_url, live.ari_user, live.ari_password) as broom:
            yield world
            if recorder is not None:
                save(
                    path,
                    recorder.entries,
                    {str(live.server.folder): SOMEBODYS_ASTERISK, sys.prefix: SOMEBODYS_PYTHON},
                )
            await _sweep(broom)


async def _sweep(ari: AriClient) -> None:
    """Leave the shared Asterisk as it was: no channel, no bridge."""
    for kind in ("channels", "bridges"):
        for thing in await ari.request("GET", f"/{kind}"):
            with suppress(Exception):
                await ari.request("DELETE", f"/{kind}/{thing['id']}")
    async with asyncio.timeout(PATIENCE_S):
        while await ari.request("GET", "/channels"):
            await asyncio.sleep(0.01)
