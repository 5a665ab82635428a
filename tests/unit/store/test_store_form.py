"""The journal's form: written down, made by migrations, guarded against newer ones and second engines."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlite_utils

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.values import Agent, AgentCard, Call, Campaign
from dialer.store.claims import claim
from dialer.store.connect import open_writer
from dialer.store.errors import AlreadyClaimed, JournalTooNew
from dialer.store.hourtext import SAFE
from dialer.store.migrations import NAMES, migrate, migrations, schema_sql
from dialer.store.settings import campaign_at, campaign_now

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.usefixtures("real_migrations")


def test_the_written_form_is_the_form(db: sqlite3.Connection) -> None:
    """To write it anew after a migration: python -m dialer.store.migrations > schemas/journal.sql"""
    assert (ROOT / "schemas" / "journal.sql").read_text() == schema_sql(db)


def test_attempts_have_the_fields_of_a_call(db: sqlite3.Connection) -> None:
    assert tuple(sqlite_utils.Database(db)["attempts"].columns_dict) == Call.__struct_fields__


def test_agents_have_the_fields_of_their_card_and_state(db: sqlite3.Connection) -> None:
    fields = [*AgentCard.__struct_fields__, *(f for f in Agent.__struct_fields__ if f != "id")]
    assert list(sqlite_utils.Database(db)["agents"].columns_dict) == fields


def test_views_can_be_read(db: sqlite3.Connection) -> None:
    for name in sqlite_utils.Database(db).view_names():
        db.execute(f"SELECT * FROM {name}").fetchall()


def test_migrations_are_recorded_and_happen_once(db: sqlite3.Connection) -> None:
    names = [row[0] for row in db.execute("SELECT name FROM _sqlite_migrations ORDER BY id")]
    assert names == list(NAMES)
    assert migrate(db) == []


def test_a_campaign_of_the_time_before_gets_calling_hours(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.sqlite3", isolation_level=None)
    with closing(connection):
        migrations.apply(sqlite_utils.Database(connection), stop_before=NAMES[2])
        connection.execute("INSERT INTO trunks (id, host, settings, applied_at) VALUES ('t', 'h', '{}', 1.0)")
        connection.execute(
            "INSERT INTO campaigns (id, title, mode, priority, trunk, settings, state, state_at, applied_at)"
            """ VALUES ('c', '', 'progressive', 1, 't', '{"id":"c","trunk":"t","ring_s":9.0}', 'running', 1.0, 1.0)"""
        )
        before = time.time()
        assert migrate(connection) == list(NAMES[2:])
        now = campaign_now(connection, CampaignId("c"))
        assert now == Campaign(id=CampaignId("c"), trunk=TrunkId("t"), ring_s=9.0, hours=SAFE)
        earlier = campaign_at(connection, CampaignId("c"), before - 1.0)
        assert earlier is not None
        assert earlier.hours is None, "what was so then is still told"
        assert campaign_at(connection, CampaignId("c"), time.time()) == now


def test_a_newer_journal_is_refused(path: Path, db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('obzvon', '9999_x', 'now')"
    )
    with pytest.raises(JournalTooNew, match="9999_x"):
        open_writer(path)


def test_two_may_make_a_journal_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    with ThreadPoolExecutor(4) as pool:
        for connection in pool.map(lambda _: open_writer(path), range(4)):
            connection.close()


def test_foreign_keys_hold(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("INSERT INTO phones (contact, position, kind, number) VALUES (99, 0, 'main', '+1')")
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_one_engine_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "engine.lock"
    program = (
        "import sys, pathlib; from dialer.store.claims import claim;"
        " held = claim(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyClaimed, match=f"process {other.pid}") as caught:
            claim(lock)
        assert caught.value.pid == other.pid
        other.kill()
    with claim(lock) as mine:
        assert lock.read_text() == f"{os.getpid()}\n"
        with pytest.raises(AlreadyClaimed):
            claim(lock)
    mine.release()
    assert lock.stat().st_mode & 0o777 == 0o600
