"""How an engine starts, and how it does not: what fails at the start leaves nothing behind."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from dialer.core import events as ev
from dialer.engine.embedded import EmbeddedError
from dialer.engine.house import House
from dialer.engine.ports import is_free
from dialer.office.setup import make_home
from dialer.store.connect import open_writer
from dialer.store.documents import BadFile
from dialer.store.errors import JournalTooNew
from dialer.store.files import SYSTEM_FILE
from tests.e2e.world import PATIENCE_S

pytestmark = pytest.mark.asterisk


@pytest.fixture
def home(short_tmp: Path, asterisk_install) -> Path:
    made = short_tmp / "home"
    make_home(made)
    return made


def settings(home: Path, text: str) -> None:
    (home / SYSTEM_FILE).write_text(text)


def servers_of(home: Path) -> list[str]:
    """Command lines of processes that belong to *home*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home) in line:
            found.append(line)
    return found


async def test_it_starts_without_a_trunk_or_phone_and_leaves_nothing_when_it_stops(home):
    """That is how every home folder begins."""
    async with House(home) as house:
        assert house.ari.is_connected
        assert house.asterisk is not None
        assert len(servers_of(home)) >= 2
        http = house.asterisk.ports.http
        assert not is_free(http, tcp=True)
    assert servers_of(home) == []
    assert is_free(http, tcp=True)
    async with House(home):  # the claim on the journal was given back
        pass


async def test_a_port_that_is_taken_is_an_error_and_nothing_stays(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings(home, f"[ports]\nhttp = {port}\n")
        with pytest.raises(EmbeddedError, match=str(port)):
            async with House(home):
                pass
    assert servers_of(home) == []
    async with House(home):
        pass


async def test_bad_settings_are_an_error_before_anything_starts(home):
    settings(home, "[asterisk]\nmode = 'borrowed'\n")
    with pytest.raises(BadFile, match=r"asterisk\.mode"):
        async with House(home):
            pass
    assert servers_of(home) == []
    assert not (home / "run" / "engine.lock").exists()


async def test_a_journal_of_a_newer_version_is_left_alone(home):
    connection = open_writer(home / "journal.sqlite3")
    connection.execute(
        "INSERT INTO _sqlite_migrations SELECT id + 1, migration_set, 'from_the_future', applied_at"
        " FROM _sqlite_migrations ORDER BY id DESC LIMIT 1"
    )
    connection.close()
    with pytest.raises(JournalTooNew):
        async with House(home):
            pass
    assert servers_of(home) == []


async def test_a_fault_in_the_deciding_ends_the_engine_and_does_not_hang(home, monkeypatch):
    async with House(home) as house:

        def fail(event: ev.Event) -> None:
            raise RuntimeError("ours")

        monkeypatch.setattr(house.floor, "handle", fail)
        with pytest.raises(RuntimeError, match="ours"):
            async with asyncio.timeout(PATIENCE_S):
                await house.wait()
        with pytest.raises(RuntimeError, match="ours"):
            async with asyncio.timeout(PATIENCE_S):
                await house.reload()
    assert servers_of(home) == []
