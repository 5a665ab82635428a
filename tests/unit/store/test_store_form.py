"""The journal's form: written down, made by migrations, guarded against newer ones and second engines."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlite_utils

from dialer.core.values import Agent, AgentCard, Call
from dialer.store.claims import claim
from dialer.store.connect import open_writer
from dialer.store.errors import AlreadyClaimed, JournalTooNew
from dialer.store.migrations import migrate, schema_sql

ROOT = Path(__file__).parents[3]


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
    assert names == ["0001_tables", "0002_views"]
    assert migrate(db) == []


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
