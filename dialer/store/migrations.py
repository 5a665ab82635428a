"""Changes of the journal's form, each recorded in the journal with its name and time.

The facility is that of sqlite-utils: the record is the table ``_sqlite_migrations``, so
``sqlite-utils migrate --list`` and people can read it. Rules:

1. A migration that has ever been released is never edited: a change is a new one.
2. All that are pending run in one transaction, together with their records.
3. A journal with a migration that we do not know was written by a newer version: refuse.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator

import msgspec
import sqlite_utils
from sqlite_utils.migrations import Migrations

from dialer.store import classes, schema, schema_pacing, schema_telephony
from dialer.store.errors import JournalError, JournalTooNew

migrations = Migrations("obzvon")
NAMES = ("0001_tables", "0002_views", "0003_rights", "0004_pacing", "0005_telephony")
"""Every migration, in order."""


def _statements(script: str) -> Iterator[str]:
    """The statements of *script* one at a time (``executescript`` would commit in between)."""
    part = ""
    for line in script.splitlines(keepends=True):
        part += line
        if part.strip() and sqlite3.complete_statement(part):
            yield part.strip()
            part = ""
    assert not part.strip(), f"an unfinished statement: {part!r}"


@migrations(name=NAMES[0])
def _tables(db: sqlite_utils.Database) -> None:
    for statement in _statements(schema.TABLES):
        db.conn.execute(statement)


@migrations(name=NAMES[1])
def _views(db: sqlite_utils.Database) -> None:
    for statement in _statements(schema.VIEWS):
        db.conn.execute(statement)


@migrations(name=NAMES[2])
def _rights(db: sqlite_utils.Database) -> None:
    for statement in _statements(schema.RIGHTS):
        db.conn.execute(statement)
    classes.fill(db.conn)
    _give_hours(db.conn)


@migrations(name=NAMES[3])
def _pacing(db: sqlite_utils.Database) -> None:
    for statement in _statements(schema_pacing.PACING):
        db.conn.execute(statement)


@migrations(name=NAMES[4])
def _telephony(db: sqlite_utils.Database) -> None:
    for statement in _statements(schema_telephony.TELEPHONY):
        db.conn.execute(statement)


def _give_hours(connection: sqlite3.Connection) -> None:
    """Campaigns of the time before knew no calling hours. From now on they have those of a file that says
    nothing of hours, not any time of day and night. That they had none until now stays in their history.
    """
    from dialer.store.hourtext import SAFE  # a campaign's file is nothing that a journal needs else

    now = time.time()
    for campaign, text in connection.execute("SELECT id, settings FROM campaigns").fetchall():
        settings = msgspec.json.encode({**msgspec.json.decode(text), "hours": SAFE}).decode()
        connection.execute("UPDATE campaigns SET settings = ? WHERE id = ?", (settings, campaign))
        connection.execute(
            "INSERT INTO campaign_settings (campaign, applied_at, settings) VALUES (?, ?, ?)",
            (campaign, now, settings),
        )


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Bring the journal to the present form; return the names of the migrations applied now.

    Raises:
        JournalTooNew: the journal is of a newer version.
        JournalError: it cannot be changed (a full disk, a lock).
    """
    database = sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False)
    try:
        _refuse_newer(database)
        if not migrations.pending(database):
            return []
        # The write lock comes first: of two programs that open a new journal at once, the second
        # waits here, and then finds nothing left to do.
        connection.execute("BEGIN IMMEDIATE")
        try:
            pending = [one.name for one in migrations.pending(database)]
            migrations.apply(database)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return pending
    except sqlite3.Error as error:
        raise JournalError(f"The journal cannot be brought to its present form: {error}.") from error


def _refuse_newer(database: sqlite_utils.Database) -> None:
    unknown = [one.name for one in migrations.applied(database) if one.name not in NAMES]
    if unknown:
        raise JournalTooNew(
            f"The journal holds changes that this version does not know ({', '.join(unknown)}): "
            "it was written by a newer version. Use that one."
        )


def schema_sql(connection: sqlite3.Connection) -> str:
    """The whole form of a migrated journal as SQL, in a fixed order."""
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_sqlite%' ESCAPE '\\'"
        " AND tbl_name NOT LIKE '\\_sqlite%' ESCAPE '\\'"
        " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, tbl_name, name"
    )
    return "\n\n".join(f"{sql.strip()};" for (sql,) in rows) + "\n"


if __name__ == "__main__":
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    migrate(fresh)
    print(schema_sql(fresh), end="")
