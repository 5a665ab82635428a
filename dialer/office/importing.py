"""Contacts from a CSV file.

1. Nobody is added twice: a contact is known within its list by the file's own id, where a column
   holds one, else by the set of its numbers.
2. Nothing is lost: a row that cannot be used goes to a reject file with its line and the reason, in
   columns as in the file, so that it can be mended and imported like any other. A number that cannot
   be used beside others that can is kept with the contact as text (field ``unusable_numbers``).
3. A text is a text: a name that looks like a formula is stored as it is (and cannot become one in
   a file that we write).
4. Contacts are written in short transactions. While an engine runs they are shorter still, and each
   is flushed to the disk by us and not at the expense of the engine's next one. Memory does not grow
   with the file.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.ids import CampaignId
from dialer.office.barred import Barred
from dialer.office.csvfile import Form
from dialer.office.mapping import Columns
from dialer.office.rejects import Rejects, free_name
from dialer.office.source import LONG_BYTES, Ahead, Batch, Rejected, Settings, Source
from dialer.store import contacts as store
from dialer.store.claims import is_claimed
from dialer.store.contacts import ImportCounts, NewContact
from dialer.store.leads import enroll

PREVIEW_ROWS = 10
ROWS_BESIDE_ENGINE = 500
"""Contacts in one transaction while an engine runs, ..."""
ROWS_ALONE = 20_000
"""... and while none does."""
_BREATH_S = 0.003
_ALONE_PAGES = 16_000
"""Pages in the journal's log before they are copied into the journal (64 MB)."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is. *bytes_read* of *bytes_all* tell the share that is done."""

    bytes_read: int
    bytes_all: int
    counts: ImportCounts


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What an import would do. *contacts*: the first ones, as they would be stored.

    Duplicates are not looked for: *counts* tells good rows as added. *barred*: sentences on numbers that are
    on a do-not-call list.
    """

    form: Form
    columns: Columns
    counts: ImportCounts
    contacts: list[dict[str, Any]]
    rejected: list[Rejected]
    numbers_left_out: int
    barred: list[str] = []


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. *rejects*: the reject file, None if no row was rejected.

    *enrolled*: leads made, by campaign. *numbers_left_out*: unusable ones beside others. *barred*: sentences on
    numbers that are on a do-not-call list.
    """

    form: Form
    columns: Columns
    counts: ImportCounts
    numbers_left_out: int
    seconds: float
    rejects: Path | None
    enrolled: dict[CampaignId, int]
    barred: list[str] = []


def preview(
    path: Path,
    *,
    region: str,
    mapping: Iterable[str] = (),
    encoding: str | None = None,
    delimiter: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    barred: Barred | None = None,
) -> Preview:
    """Read the whole file and write nothing. *barred*: looks numbers up in the do-not-call lists.

    Raises:
        BadList, BadRegion: as for :class:`dialer.office.source.Source`.
    """
    settings = _settings(path, region, mapping, encoding, delimiter)
    contacts: list[NewContact] = []
    rejected: list[Rejected] = []
    good = bad = 0
    batch = Batch()
    with Source(settings) as source, _batches(source, settings) as batches:
        for batch in batches:
            good += len(batch.contacts)
            bad += len(batch.rejected)
            if barred is not None:
                barred.add(batch.contacts)
            contacts += batch.contacts[: PREVIEW_ROWS - len(contacts)]
            rejected += batch.rejected[: PREVIEW_ROWS - len(rejected)]
            counts = ImportCounts(rows_read=batch.rows_read, contacts_added=good, rejected=bad)
            if progress is not None:
                progress(Progress(bytes_read=batch.position, bytes_all=source.form.size, counts=counts))
        return Preview(
            form=source.form,
            columns=source.columns,
            counts=ImportCounts(rows_read=batch.rows_read, contacts_added=good, rejected=bad),
            contacts=[_as_row(one) for one in contacts],
            rejected=rejected,
            numbers_left_out=batch.numbers_left_out,
            barred=barred.told() if barred is not None else [],
        )


def import_file(
    connection: sqlite3.Connection,
    path: Path,
    name: str,
    *,
    region: str,
    mapping: Iterable[str] = (),
    encoding: str | None = None,
    delimiter: str | None = None,
    rejects: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    engine_lock: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> Outcome:
    """Import the file into the list *name*, which is made if need be, and enroll the new contacts in
    the campaigns that call the list.

    *rejects*: where rejected rows go; else beside the file (``people.rejects.csv``, or with a number
    if that is taken). *engine_lock*: the engine's lock file; if it is given and no engine holds it,
    longer transactions are used, which is faster. Cut short, an import can simply be done again.

    Raises:
        BadList, BadRegion: as for :class:`dialer.office.source.Source`; nothing was written.
        Conflict: the list's name is no possible name.
        JournalError: the journal cannot be written; what was imported before stays.
        OSError: the reject file cannot be written.
    """
    settings = _settings(path, region, mapping, encoding, delimiter)
    began = time.monotonic()
    added = duplicates = rejected = 0
    batch = Batch()
    with Source(settings) as source:
        number = store.begin_import(connection, name, path.name, clock())
        barred = Barred(connection, store.campaigns_of_list(connection, name))
        waiting: list[NewContact] = []

        def write(*, last: bool = False) -> None:
            nonlocal added, duplicates, waiting
            rows = rows_at_once(connection, engine_lock)
            while len(waiting) >= rows or (last and waiting):
                chunk, waiting = waiting[:rows], waiting[rows:]
                new = store.add_contacts(connection, name, number, chunk, clock())
                added += new
                duplicates += len(chunk) - new
                if rows == ROWS_BESIDE_ENGINE:
                    time.sleep(_BREATH_S)

        def counts() -> ImportCounts:
            return ImportCounts(
                rows_read=batch.rows_read, contacts_added=added, duplicates=duplicates, rejected=rejected
            )

        with (
            Rejects(rejects or free_name(path), source.columns.heads, source.form.delimiter) as out,
            _batches(source, settings) as batches,
            pragmas_kept(connection),
        ):
            for batch in batches:
                for one in batch.rejected:
                    out.write(one.line, one.reason, one.cells)
                rejected += len(batch.rejected)
                out.flush()
                barred.add(batch.contacts)
                waiting += batch.contacts
                write()
                if progress is not None:
                    progress(Progress(bytes_read=batch.position, bytes_all=source.form.size, counts=counts()))
            write(last=True)
            if progress is not None:
                progress(Progress(bytes_read=source.form.size, bytes_all=source.form.size, counts=counts()))
        store.end_import(connection, number, counts(), clock())
        campaigns = store.campaigns_of_list(connection, name)
        return Outcome(
            form=source.form,
            columns=source.columns,
            counts=counts(),
            numbers_left_out=batch.numbers_left_out,
            rejects=out.path if rejected else None,
            enrolled={one: enroll(connection, one, clock()) for one in campaigns},
            seconds=time.monotonic() - began,
            barred=barred.told(),
        )


def _settings(
    path: Path, region: str, mapping: Iterable[str], encoding: str | None, delimiter: str | None
) -> Settings:
    return Settings(
        path=str(path.absolute()),
        region=region,
        mapping=tuple(mapping),
        encoding=encoding,
        delimiter=delimiter,
    )


@contextmanager
def _batches(source: Source, settings: Settings) -> Iterator[Iterable[Batch]]:
    """The batches of *source*, by a worker if the file is long."""
    if source.form.size < LONG_BYTES:
        yield source.batches()
        return
    # What was found out is given to the worker, so that both read the same way.
    known = msgspec.structs.replace(settings, encoding=source.form.encoding, delimiter=source.form.delimiter)
    with Ahead(known) as ahead:
        yield ahead


def rows_at_once(connection: sqlite3.Connection, engine_lock: Path | None) -> int:
    """Contacts for one transaction, by whether an engine works on the journal now."""
    is_alone = engine_lock is not None and not is_claimed(engine_lock)
    # An import can be done again, so that it need not wait for the disk at each commit. Beside an
    # engine it does: otherwise the engine's next commit would pay for ours.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if is_alone else 'FULL'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_ALONE_PAGES if is_alone else 1000}")
    return ROWS_ALONE if is_alone else ROWS_BESIDE_ENGINE


@contextmanager
def pragmas_kept(connection: sqlite3.Connection) -> Iterator[None]:
    """Whatever :func:`rows_at_once` sets ends with the block."""
    try:
        yield
    finally:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 1000")


def _as_row(one: NewContact) -> dict[str, Any]:
    return {
        "line": one.line,
        "name": one.name,
        "id": one.key.removeprefix("id:") if one.key.startswith("id:") else "",
        "phones": ", ".join(f"{kind} {e164}" for kind, e164 in one.phones),
        "timezone": one.zone,
        "fields": msgspec.json.decode(one.fields),
    }
