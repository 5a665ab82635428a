"""Contacts as the command line shows them: an import with its progress, listings, one person whole."""

from __future__ import annotations

import re
import shlex
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.values import FOREVER
from dialer.office import clocks, importing, known, remote, tables
from dialer.office.barred import Barred
from dialer.office.importing import Outcome, Preview
from dialer.office.numbers import Numbers
from dialer.office.progress import bar
from dialer.office.source import UNUSABLE
from dialer.store import contacts as store
from dialer.store import dnc, files
from dialer.store.calendar import Calendar
from dialer.store.classes import zones_of
from dialer.store.connect import open_reader, open_writer

_CALENDAR = Calendar()
_LIKE_A_ZONE = re.compile(r"zone|\butc\b|\bgmt\b|пояс|зона|时区", re.IGNORECASE)
"""Heads of columns that may well hold time zones."""


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
    with closing(open_writer(system.journal, create=False)) as connection, bar(path, "contacts") as progress:
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


def preview_contacts(home: Path, path: Path, name: str, options: ImportOptions) -> None:
    """Print what an import into the list *name* would do; nothing is written.

    Raises BadList, BadRegion, StoreError.
    """
    system = files.load_system(home)
    how = _how(system, options)
    with closing(open_reader(system.journal)) as connection, bar(path, "contacts") as progress:
        barred = Barred(connection, store.campaigns_of_list(connection, name))
        found = importing.preview(path, progress=progress, barred=barred, **how)
    _print_preview(found)


def list_contacts(home: Path, as_format: str, **chosen: Any) -> None:
    """Print contacts; *chosen* as for :func:`dialer.store.contacts.find_contacts`. Raises StoreError."""
    system = files.load_system(home)
    number = chosen.get("number")
    if number:  # a whole number in any form, else the beginning of one
        chosen["number"] = Numbers(system.region).accept(number) or number
    with closing(open_reader(system.journal)) as connection:
        known.check(connection, name=chosen.get("name"))
        tables.show(store.find_contacts(connection, **chosen), as_format)


def show_contact(home: Path, contact: str, as_format: str) -> None:
    """Print everything known of one person: by id, or by a telephone number in any form.

    Raises StoreError, also when several persons have the number.
    """
    system = files.load_system(home)
    with closing(open_reader(system.journal)) as connection:
        found = store.show_contact(connection, known.contact_of(connection, contact, system.region))
        for phone in found["phones"]:
            phone["zones"] = list(zones_of(_CALENDAR, phone["number"], found["zone"]))
            phone["do_not_call"] = [_entry(one) for one in dnc.entries_of(connection, phone["number"])]
        for lead in found["leads"]:
            lead["is_callback"] = bool(lead["is_callback"]) and lead["finished"] is None
            if lead["owned_until_at"] is not None and lead["owned_until_at"] >= FOREVER:
                lead["owned_until_at"] = None
    if as_format == "json":
        tables.show([found], "json")
        return
    for phone in found["phones"]:
        phone["zones"] = clocks.places(phone["zones"], time.time())
        phone["is_bad"] = bool(phone["is_bad"])
    for lead in found["leads"]:
        for key in ("due_at", "owned_until_at"):
            lead[key] = tables.printable(key, lead[key])
    parts = {key: found.pop(key) for key in ("fields", "phones", "leads", "attempts")}
    facts = {**found, **{f"field {key}": value for key, value in parts.pop("fields").items()}}
    tables.show([{"fact": key, "value": tables.printable(key, value)} for key, value in facts.items()])
    for title, rows in parts.items():
        tables.show(rows, title=title)


def _entry(one: dnc.Entry) -> str:
    """An entry of a do-not-call list in few words."""
    return f"{one.number} of {one.campaign or 'all'}"


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
        *_columns(outcome),
        f"List {name}: {added}, {counts.rejected} rejected, of {counts.rows_read} rows {speed}.",
    ]
    if outcome.numbers_left_out:
        said.append(f"{outcome.numbers_left_out} unusable numbers are kept as text in `{UNUSABLE}`.")
    said += outcome.barred
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


def _columns(outcome: Outcome) -> list[str]:
    """What each column was taken for; a column of time zones that nobody recognized is the gravest mistake."""
    rows = outcome.columns.as_rows()
    taken = ", ".join(f"{tables.text_of(row['column']) or '(no head)'} as {row['taken_for']}" for row in rows)
    said = [f"Columns: {taken}."]
    said += [
        f"Warning: the column {row['column']!r} is kept as a field. If it holds the people's time zones, import the file"
        f" into another list with --map {shlex.quote('timezone=' + row['column'])}: who is in a list already is not changed."
        for row in rows
        if row["taken_for"].startswith("field:") and _LIKE_A_ZONE.search(row["column"])
    ]
    return said


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
    sys.stdout.writelines(f"{sentence}\n" for sentence in found.barred)
    sys.stdout.write(
        f"{counts.contacts_added} of {counts.rows_read} rows can be imported, {counts.rejected} cannot."
        f" Nothing was written.\n"
    )
