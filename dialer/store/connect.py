"""Connections to the journal, and the one way to run a transaction.

Writers take the write lock at once (``BEGIN IMMEDIATE``) and ask for it again every millisecond,
so that one who needs it gets in between two chunks of an import: SQLite's own busy handler
sleeps up to 100 ms between two looks and would miss the gap.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dialer.store.errors import JournalError, JournalRefused, StoreError
from dialer.store.migrations import migrate

BUSY_S = 5.0
"""How long a writer asks for the write lock before it gives up."""
_LOOK_AGAIN_S = 0.001
_CACHE_KIB = 64 * 1024


def open_writer(path: Path, *, busy_s: float = BUSY_S, create: bool = True) -> sqlite3.Connection:
    """A connection that may write, to a journal in its present form.

    *busy_s*: how long :func:`transaction` waits for another writer.

    Raises:
        StoreError: there is no such journal (with *create* false) or it cannot be opened.
        JournalTooNew: a newer version wrote it.
    """
    if not create and not path.exists():
        raise StoreError(f"There is no journal {path}. Make one with `dialer init`.")
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        # Of several who open a new journal at once only one can make it WAL, and SQLite does not let the others wait.
        _when_free(connection, "PRAGMA journal_mode = WAL", busy_s)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        migrate(connection)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise StoreError(f"The journal {path} cannot be opened: {error}.") from error
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read; rows come as :class:`sqlite3.Row`.

    Raises:
        StoreError: there is no such journal, or it cannot be opened.
    """
    if not path.exists():
        raise StoreError(f"There is no journal {path}. Make one with `dialer init`.")
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise StoreError(f"The journal {path} cannot be opened: {error}.") from error
    connection.row_factory = sqlite3.Row
    return connection


@contextmanager
def hasty(connection: sqlite3.Connection) -> Iterator[None]:
    """Transactions inside do not wait for the disk: for what can be found out again if the power fails now.

    They are whole or not there all the same, and none after them is there without them.
    """
    connection.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        connection.execute("PRAGMA synchronous = FULL")


@contextmanager
def transaction(connection: sqlite3.Connection, *, busy_s: float = BUSY_S) -> Iterator[sqlite3.Connection]:
    """Everything inside is written, or nothing.

    Raises:
        JournalRefused: a rule of the schema forbids it.
        JournalError: SQLite failed: full disk, I/O, or another writer for longer than *busy_s*.
    """
    try:
        _begin(connection, busy_s)
        yield connection
        connection.execute("COMMIT")
    except (sqlite3.IntegrityError, UnicodeEncodeError, OverflowError) as error:
        _roll_back(connection)
        raise JournalRefused(f"The journal's rules refuse this: {error}.") from error
    except sqlite3.Error as error:
        _roll_back(connection)
        raise JournalError(f"The journal could not be written: {error}.") from error
    except BaseException:
        _roll_back(connection)
        raise


def _begin(connection: sqlite3.Connection, busy_s: float) -> None:
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        _when_free(connection, "BEGIN IMMEDIATE", busy_s)
    finally:
        # Other statements (a checkpoint, a read while the log is recovered) may wait as usual.
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")


def _when_free(connection: sqlite3.Connection, statement: str, busy_s: float) -> None:
    """Ask for a lock again and again, *busy_s* long."""
    until = time.monotonic() + busy_s
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_LOOK_AGAIN_S)


def _roll_back(connection: sqlite3.Connection) -> None:
    if not connection.in_transaction:  # some errors (a full disk) have rolled back already
        return
    try:
        connection.execute("ROLLBACK")
    except sqlite3.Error:
        if connection.in_transaction:
            raise
