"""Contacts as the command line shows them: an import with its progress, listings, one person whole."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.ids import ContactId
from dialer.office import importing, remote, tables
from dialer.office.importing import Outcome, Preview, Progress
from dialer.office.numbers import Numbers
from dialer.office.source import UNUSABLE
from dialer.store import contacts as store
from dialer.store import files
from dialer.store.connect import open_reader, open_writer
from dialer.store.contacts import ImportCounts
from dialer.store.errors import NotInStore


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is to be read. *region*: empty: the home folder's. *mapping*: ``TARGET=COLUMN``."""

    mapping: tuple[str, ...] = ()
    encoding: str | None = None
    delimiter: str | None = None
    region: str = ""


def import_contacts(
    home: Path, path: Path, name: str, options: ImportOptions, rejects: Path | None = None
) -> str:
    """Import *path* into the list *name*, show the progress on a terminal, and tell the engine.

    Raises BadList, BadRegion, StoreError, OSError.
    """
    system = files.load_system(home)
    how = _how(system, options)
    with closing(open_writer(system.journal, create=False)) as connection, _bar(path) as progress:
        outcome = importing.import_file(
            connection,
            path,
            name,
            rejects=rejects,
            progress=progress,
            engine_lock=home / "run" / "engine.lock",
            **how,
        )
    said = _said(outcome, name)
    for campaign in outcome.enrolled:
        try:
            if remote.tell_leads_added(home, campaign):
                said.append(f"The running engine knows of them for campaign {campaign}.")
        except (
            remote.EngineError
        ) as error:  # they are in the store; the next start of the campaign finds them
            said.append(f"The running engine was not told, for campaign {campaign}: {error}")
    return "\n".join(said)


def preview_contacts(home: Path, path: Path, options: ImportOptions) -> None:
    """Print what an import would do; nothing is written. Raises BadList, BadRegion."""
    how = _how(files.load_system(home), options)
    with _bar(path) as progress:
        found = importing.preview(path, progress=progress, **how)
    _print_preview(found)


def list_contacts(home: Path, as_format: str, **chosen: Any) -> None:
    """Print contacts; *chosen* as for :func:`dialer.store.contacts.find_contacts`. Raises StoreError."""
    system = files.load_system(home)
    number = chosen.get("number")
    if number:  # a whole number in any form, else the beginning of one
        chosen["number"] = Numbers(system.region).accept(number) or number
    with closing(open_reader(system.journal)) as connection:
        tables.show(store.find_contacts(connection, **chosen), as_format)


def show_contact(home: Path, contact: str, as_format: str) -> None:
    """Print everything known of one person: by id, or by a telephone number in any form.

    Raises StoreError, also when several persons have the number.
    """
    system = files.load_system(home)
    with closing(open_reader(system.journal)) as connection:
        found = store.show_contact(connection, _contact_id(connection, contact, system.region))
    if as_format == "json":
        tables.show([found], "json")
        return
    parts = {key: found.pop(key) for key in ("fields", "phones", "leads", "attempts")}
    facts = {**found, **{f"field {key}": value for key, value in parts.pop("fields").items()}}
    tables.show([{"fact": key, "value": tables.printable(key, value)} for key, value in facts.items()])
    for title, rows in parts.items():
        tables.show(rows, title=title)


def _contact_id(connection: sqlite3.Connection, text: str, region: str) -> ContactId:
    number = Numbers(region).accept(text) if len(text) > len("1000000000") or not text.isdecimal() else None
    if number is None and text.isdecimal():
        return ContactId(int(text))
    known = [row["id"] for row in store.find_contacts(connection, number=number)] if number else []
    if not known:
        raise NotInStore(f"There is no contact {text}: neither an id nor the number of anybody.")
    if len(known) > 1:
        raise NotInStore(
            f"{number} is of several contacts: {', '.join(map(str, known))}. Choose one by its id."
        )
    return ContactId(known[0])


def _how(system: files.SystemSettings, options: ImportOptions) -> dict[str, Any]:
    return {
        "region": options.region or system.region,
        "mapping": options.mapping,
        "encoding": options.encoding,
        "delimiter": options.delimiter,
    }


def _said(outcome: Outcome, name: str) -> list[str]:
    counts = outcome.counts
    rate = counts.rows_read / outcome.seconds if outcome.seconds else 0.0
    speed = f"in {outcome.seconds:.1f} s ({rate:,.0f} a second)"
    added = f"{counts.contacts_added} contacts added, {counts.duplicates} were there already"
    said = [
        _form(outcome),
        f"List {name}: {added}, {counts.rejected} rejected, of {counts.rows_read} rows {speed}.",
    ]
    if outcome.numbers_left_out:
        said.append(f"{outcome.numbers_left_out} unusable numbers are kept as text in `{UNUSABLE}`.")
    if outcome.rejects is not None:
        said.append(
            f"Rejected rows with their reasons: {outcome.rejects}. Mend it and import it like any other."
        )
    said += [
        f"Campaign {campaign}: {count} new contacts to call." for campaign, count in outcome.enrolled.items()
    ]
    return said


def _form(found: Outcome | Preview) -> str:
    return f"Read as {found.form.encoding}, columns parted by {found.form.delimiter!r}."


def _print_preview(found: Preview) -> None:
    counts = found.counts
    sys.stdout.write(f"{_form(found)}\n")
    tables.show(found.columns.as_rows(), title="Columns (say otherwise by --map)")
    tables.show(found.contacts, title="First contacts")
    if found.rejected:
        rejected = [
            {"line": one.line, "reason": one.reason, "cells": list(one.cells)} for one in found.rejected
        ]
        tables.show(rejected, title="First rejected rows")
    sys.stdout.write(
        f"{counts.contacts_added} of {counts.rows_read} rows can be imported, {counts.rejected} cannot."
        f" Nothing was written.\n"
    )


@contextmanager
def _bar(path: Path) -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on the terminal; none where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns: Sequence[Any] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}", markup=False),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(tables.text_of(path.name), total=None, counts="")

        def progress(one: Progress) -> None:
            bar.update(task, total=one.bytes_all, completed=one.bytes_read, counts=_counted(one.counts))

        yield progress


def _counted(counts: ImportCounts) -> str:
    return f"{counts.contacts_added:,} contacts, {counts.rejected:,} rejected"
