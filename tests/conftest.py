"""Fixtures for tests that need the real servers: an Asterisk for each module (what one module leaves in it,
an event filter say, is not the next one's surprise), and one Valkey for the session.

Both are started by the project's own code, on free ports of the loopback address and in a temporary
folder, from a loop in a thread that lives as long as the session (the servers die with that thread).
Without an Asterisk on the machine the tests that want one are skipped, unless OBZVON_REQUIRE_ASTERISK
is set, as ``./dev test`` does.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import threading
from collections.abc import Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings as hypothesis_settings

from dialer.core.values import Trunk
from dialer.engine.embedded import (
    AsteriskInstall,
    EmbeddedAsterisk,
    EmbeddedError,
    choose_ports,
    find_asterisk,
)
from dialer.engine.embeddedredis import EmbeddedRedis
from dialer.engine.ports import is_free
from dialer.pbx.render import PhoneLine, TrunkLine
from dialer.pbx.settings import Settings
from dialer.store import connect
from dialer.store.migrations import migrate
from tests.examples import examples

T = TypeVar("T")

PHONES = tuple(f"1{number:02}" for number in range(1, 11))

# Of properties that do not say themselves on how many examples they are tried. How long one takes is no matter of a test.
hypothesis_settings.register_profile("obzvon", max_examples=examples(100), deadline=None)
hypothesis_settings.load_profile("obzvon")


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="servers", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], within_s: float = 150.0) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within_s)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class LiveAsterisk:
    """The module's Asterisk, for use from tests of both kinds.

    At first it has one trunk, ``lab``, that leads to UDP port *trunk_port* of the loopback address,
    where nobody listens until the test does; and the phones 101 to 110 with *phone_secret*.
    """

    def __init__(
        self, server: EmbeddedAsterisk, thread: LoopThread, trunk_port: int, phone_secret: str
    ) -> None:
        self.server = server
        self.folder = server.folder
        self.ari_url = server.ari_url
        self.ari_user = server.ari_user
        self.ari_password = server.ari_password
        self.sip_port = server.sip_port
        self.log_path = server.log_path
        self.log_at_start = server.log_path.read_text()
        self.trunk_port = trunk_port
        self.phone_secret = phone_secret
        self._thread = thread

    def run_cli(self, command: str) -> str:
        return self._thread.run(self.server.run_cli(command))

    def apply_lines(self, trunks: Iterable[TrunkLine], phones: Iterable[PhoneLine]) -> None:
        self._thread.run(self.server.apply_lines(trunks, phones))


@pytest.fixture(scope="session", autouse=True)
def journals_from_a_template() -> Iterator[None]:
    """A new journal is a copy of one that was made by the migrations once: a thousand tests want one.

    Tests of the migrations themselves ask for ``real_migrations``.
    """
    template = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(template)
    lock = threading.Lock()

    def copy_or_migrate(connection: sqlite3.Connection) -> list[str]:
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
            with lock:
                template.backup(connection)
        return migrate(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connect, "migrate", copy_or_migrate)
        yield
    template.close()


@pytest.fixture
def real_migrations(journals_from_a_template: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new journal is made by the migrations, as everywhere but in tests."""
    monkeypatch.setattr(connect, "migrate", migrate)


@pytest.fixture(scope="session")
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def asterisk_install() -> AsteriskInstall:
    """The machine's Asterisk; skips the test where there is none."""
    try:
        return find_asterisk()
    except EmbeddedError as error:
        if os.environ.get("OBZVON_REQUIRE_ASTERISK"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def asterisk_home(
    asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory, loop_thread: LoopThread
) -> Iterator[LiveAsterisk]:
    """The module's Asterisk. A test that changes trunks or phones puts them back."""
    ports = choose_ports()
    trunk_port = next(port for port in range(ports.sip + 1, 16500) if is_free(port, udp=True, tcp=True))
    phone_secret = secrets.token_urlsafe(12)
    server = EmbeddedAsterisk(
        asterisk_install,
        tmp_path_factory.mktemp("asterisk"),
        Settings(ari_password=secrets.token_urlsafe(18), verbose_log=bool(os.environ.get("OBZVON_VERBOSE"))),
        ports=ports,
        trunks=[
            TrunkLine(trunk=Trunk(id="lab", host="127.0.0.1", port=trunk_port, options_interval_s=0))  # type: ignore[arg-type]
        ],
        phones=[PhoneLine(extension=extension, secret=phone_secret) for extension in PHONES],
    )
    loop_thread.run(server.start())
    yield LiveAsterisk(server, loop_thread, trunk_port, phone_secret)
    loop_thread.run(server.stop())


@pytest.fixture(scope="session")
def redis_server(
    tmp_path_factory: pytest.TempPathFactory, loop_thread: LoopThread
) -> Iterator[EmbeddedRedis]:
    """The session's Redis (Valkey), shared by tests: use keys of your own, or ``redis_url``."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"))
    loop_thread.run(server.start())
    yield server
    loop_thread.run(server.stop())


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis, loop_thread: LoopThread) -> str:
    """The address of a Redis that is empty when the test begins."""

    async def wipe() -> None:
        reader, writer = await asyncio.open_unix_connection(str(redis_server.socket))
        writer.write(b"FLUSHALL\r\n")
        await reader.readline()
        writer.close()
        await writer.wait_closed()

    loop_thread.run(wipe())
    return redis_server.url


@pytest.fixture
def short_tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder with a short path, for Unix sockets."""
    return tmp_path_factory.mktemp("s")
