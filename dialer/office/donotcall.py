"""Do-not-call lists from the command line: single entries, files of a million, listings.

1. A whole number is read as an imported one is (any form, of the region if it has no country code), and is
   kept as E.164. A beginning or a pattern is taken as it is written, but for separators.
2. A file is text with a number on each line, or CSV with a column of numbers. A row that cannot be used
   goes to a reject file with its line and the reason; nothing is lost.
3. A running engine is told when the lists have changed; it drops what it has at hand.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from dialer.office import known, remote, tables
from dialer.office.importing import Progress, pragmas_kept, rows_at_once
from dialer.office.numberfile import SEPARATORS, NumberFile, read_entry
from dialer.office.numbers import BadNumber, Numbers
from dialer.office.orders import HalfDone
from dialer.office.progress import bar
from dialer.office.rejects import Rejects, free_name
from dialer.store import dnc, files
from dialer.store.connect import open_reader, open_writer, transaction
from dialer.store.contacts import ImportCounts
from dialer.store.dnc import BadEntry, Entry
from dialer.store.errors import NotInStore

SHOWN_ROWS = 10
_BREATH_S = 0.003
_PAGE = 1000


class BadEntries(Exception):
    """Some of the numbers given cannot stand on a list; the message has a line for each."""


# -- single entries -----------------------------------------------------------------------


def add_numbers(home: Path, texts: Sequence[str], campaign: str | None, source: str, note: str) -> str:
    """Put *texts* on the list of *campaign*, or (None) of all; a sentence for each, and for the engine.

    Raises BadEntries, StoreError, HalfDone.
    """
    system = files.load_system(home)
    entries = _read_all(texts, Numbers(system.region))
    at, new = time.time(), {}
    with closing(open_writer(system.journal, create=False)) as connection:
        known.check(connection, campaign=campaign)
        with transaction(connection):
            for entry in entries:
                new[entry] = dnc.add_here(
                    connection, [entry], campaign=campaign, source=source, note=note, at=at
                )
        concerned = {entry: dnc.contacts_with(connection, entry) for entry in new}
    where = _where(campaign)
    said = [
        f"{entry}: {'is' if is_new else 'was already'} {where}{_concerns(concerned[entry])}."
        for entry, is_new in new.items()
    ]
    return "\n".join([*said, *([_tell(home)] if any(new.values()) else [])])


def remove_numbers(home: Path, texts: Sequence[str], campaign: str | None) -> str:
    """Take *texts* off the list of *campaign*, or (None) of all: all of them, or none.

    Raises BadEntries, StoreError (one is not on it), HalfDone.
    """
    system = files.load_system(home)
    entries = _read_all(texts, Numbers(system.region))
    at, where = time.time(), _where(campaign)
    with closing(open_writer(system.journal, create=False)) as connection:
        known.check(connection, campaign=campaign)
        there = {
            one.number
            for entry in entries
            for one in dnc.list_entries(connection, campaign=campaign or "", number=entry)
        }
        missing = [entry for entry in entries if entry not in there]
        if missing:
            raise NotInStore(
                f"Not {where}: {', '.join(missing)}. Nothing was removed. `dialer dnc check NUMBER` tells what bars"
                " a number."
            )
        for entry in entries:
            dnc.remove(connection, entry, campaign=campaign, at=at)
    return "\n".join([*(f"{entry}: is no longer {where}." for entry in entries), _tell(home)])


def list_entries(
    home: Path,
    as_format: str,
    *,
    campaign: str | None,
    everywhere: bool,
    number: str | None,
    kind: str | None,
    removed: bool,
    after: int,
    limit: int | None,
) -> None:
    """Print entries, in the order in which they were added. Raises StoreError."""
    system = files.load_system(home)
    if number:
        number = Numbers(system.region).accept(number) or SEPARATORS.sub("", number)
    with closing(open_reader(system.journal)) as connection:
        known.check(connection, campaign=campaign)
        which = {"campaign": "" if everywhere else campaign, "number": number, "with_removed": removed}
        entries = (one for one in _all(connection, after, which) if kind is None or one.kind == kind)
        rows = (_row(one, with_removed=removed) for one in _first(entries, limit))
        tables.show(rows, as_format)


def check_number(home: Path, text: str, campaign: str | None, as_format: str) -> None:
    """Print the entries that bar a number, for *campaign* or (None) wherever they do. Raises BadNumber, StoreError."""
    system = files.load_system(home)
    number = Numbers(system.region).read(text)
    with closing(open_reader(system.journal)) as connection:
        known.check(connection, campaign=campaign)
        found = dnc.entries_of(connection, number, campaign)
    if as_format == "table":
        if not found:
            sys.stdout.write(f"{number}: nothing bars it.\n")
            return
        sys.stdout.write(f"{number}: {_verdict(found)}.\n")
    tables.show([_row(one) for one in found], as_format)


def _concerns(contacts: int) -> str:
    """A beginning that is too short bars more people than was meant: how many it is must be seen at once."""
    return f"; contacts with such a number: {contacts}" if contacts else ""


def _verdict(found: Sequence[Entry]) -> str:
    if any(one.campaign is None for one in found):
        return "is not called by any campaign"
    named = ", ".join(sorted({one.campaign for one in found if one.campaign}))
    return f"is not called by {named}"


def _read_all(texts: Sequence[str], numbers: Numbers) -> list[str]:
    entries, mistakes = [], []
    for text in texts:
        try:
            entries.append(read_entry(text, numbers))
        except (BadNumber, BadEntry) as error:
            mistakes.append(str(error))
    if mistakes:
        raise BadEntries("\n".join([*mistakes, "Nothing was changed."]))
    return list(dict.fromkeys(entries))


def _all(connection: sqlite3.Connection, after: int, which: dict[str, Any]) -> Iterator[Entry]:
    while page := dnc.list_entries(connection, after=after, limit=_PAGE, **which):
        yield from page
        after = page[-1].id


def _first(entries: Iterator[Entry], limit: int | None) -> Iterator[Entry]:
    for count, one in enumerate(entries, 1):
        yield one
        if count == limit:
            return


def _row(one: Entry, *, with_removed: bool = False) -> dict[str, Any]:
    row = {
        key: getattr(one, key) for key in ("id", "number", "kind", "campaign", "source", "note", "added_at")
    }
    return {**row, "removed_at": one.removed_at} if with_removed else row


def _where(campaign: str | None) -> str:
    return (
        f"on the do-not-call list of campaign {campaign}"
        if campaign
        else "on the do-not-call list of all campaigns"
    )


def _tell(home: Path) -> str:
    try:
        is_told = remote.tell_do_not_call_changed(home)
    except remote.EngineError as error:
        raise HalfDone(
            f"It is in the store, and nobody is dialed against it; but the running engine was not told: {error}"
        ) from None
    return "The running engine has it." if is_told else "No engine runs now; it holds from the next start on."


# -- files --------------------------------------------------------------------------------


class _Counts(msgspec.Struct, kw_only=True):
    rows_read: int = 0
    added: int = 0
    duplicates: int = 0
    rejected: int = 0


def import_numbers(
    home: Path,
    path: Path,
    *,
    campaign: str | None,
    source: str,
    note: str,
    column: str | None,
    encoding: str | None,
    delimiter: str | None,
    region: str,
    dry_run: bool,
    rejects: Path | None,
) -> str:
    """Put the numbers in *path* on the list of *campaign*, or (None) of all, and show the progress.

    Cut short, it can simply be done again. Raises BadList, BadRegion, StoreError, OSError, HalfDone.
    """
    system = files.load_system(home)
    how = {"column": column, "encoding": encoding, "delimiter": delimiter}
    with NumberFile(path, region or system.region, **how) as numbers:
        if dry_run:
            with closing(open_reader(system.journal)) as connection, bar(path, "numbers") as progress:
                known.check(connection, campaign=campaign)
                return _preview(numbers, progress)
        began = time.monotonic()
        with (
            closing(open_writer(system.journal, create=False)) as connection,
            bar(path, "numbers") as progress,
            Rejects(rejects or free_name(path), numbers.heads, numbers.form.delimiter) as out,
            pragmas_kept(connection),
        ):
            known.check(connection, campaign=campaign)

            def add(entries: Sequence[str], noted: str) -> int:
                at = time.time()
                return dnc.add_chunk(
                    connection,
                    entries,
                    campaign=campaign,
                    source=source or path.name,
                    note=noted or note,
                    at=at,
                )

            lock = home / "run" / "engine.lock"
            counts = _import(numbers, add, out, progress, lambda: rows_at_once(connection, lock))
    seconds = time.monotonic() - began
    added = f"{counts.added} numbers are {_where(campaign)} now, {counts.duplicates} were there already"
    speed = f"in {seconds:.1f} s ({counts.rows_read / max(seconds, 1e-3):,.0f} a second)"
    said = [
        _form(numbers),
        f"{added}, {counts.rejected} rejected, of {counts.rows_read} rows {speed}.",
    ]
    if counts.rejected:
        said.append(f"Rejected rows with their reasons: {out.path}. Mend it and import it like any other.")
    return "\n".join([*said, *([_tell(home)] if counts.added else [])])


def _import(
    numbers: NumberFile,
    add: Callable[[Sequence[str], str], int],
    out: Rejects,
    progress: Callable[[Progress], None] | None,
    chunk_rows: Callable[[], int],
) -> _Counts:
    counts = _Counts()
    waiting: dict[str, list[str]] = {}
    held = 0

    def write() -> None:
        nonlocal held
        for noted, entries in waiting.items():
            new = add(entries, noted)
            counts.added += new
            counts.duplicates += len(entries) - new
        waiting.clear()
        held = 0
        out.flush()
        if progress is not None:
            told = ImportCounts(
                rows_read=counts.rows_read, contacts_added=counts.added, rejected=counts.rejected
            )
            progress(Progress(bytes_read=numbers.position, bytes_all=numbers.form.size, counts=told))

    rows = chunk_rows()
    for one in numbers:
        counts.rows_read += 1
        if one.reason:
            counts.rejected += 1
            out.write(one.line, one.reason, one.cells)
            continue
        waiting.setdefault(one.note, []).append(one.entry)
        held += 1
        if held >= rows:
            write()
            time.sleep(_BREATH_S)
            rows = chunk_rows()
    write()
    return counts


def _preview(numbers: NumberFile, progress: Callable[[Progress], None] | None) -> str:
    good, bad = 0, 0
    first: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    for one in numbers:
        good, bad = good + (not one.reason), bad + bool(one.reason)
        if one.reason and len(rejected) < SHOWN_ROWS:
            rejected.append({"line": one.line, "reason": one.reason, "cells": one.cells})
        elif not one.reason and len(first) < SHOWN_ROWS:
            first.append({"line": one.line, "number": one.entry, "note": one.note})
        if progress is not None and not (good + bad) % _PAGE:
            told = ImportCounts(rows_read=good + bad, contacts_added=good, rejected=bad)
            progress(Progress(bytes_read=numbers.position, bytes_all=numbers.form.size, counts=told))
    sys.stdout.write(f"{_form(numbers)}\n")
    tables.show(first, title="First numbers")
    if rejected:
        tables.show(rejected, title="First rejected rows")
    return f"{good} of {good + bad} rows can be imported, {bad} cannot. Nothing was written."


def _form(numbers: NumberFile) -> str:
    where = f"; the numbers are in {numbers.heads[numbers.place]!r}" if len(numbers.heads) > 1 else ""
    return f"Read as {numbers.form.encoding}{where}."
