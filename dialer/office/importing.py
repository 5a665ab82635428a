"""Contacts from a CSV file.

1. Nobody is added twice: a contact is known within its list by the file's own id, where a column
   holds one, else by the set of its numbers.
2. Nothing is lost: a row that cannot be used goes to a reject file with its line and the reason, in
   columns as in the file, so that it can be mended and imported like any other. A number that cannot
   be used beside others that can is kept with the contact as text (field ``unusable_numbers``).
3. A text is a text: a name that looks like a formula is stored as it is (and cannot become one in
   a file that we write).
4. Contacts are written in short transactions, so a running engine is never held up, and memory does
   not grow with the file.
"""

from __future__ import annotations

import contextlib
import csv
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import msgspec

from dialer.core.ids import CampaignId
from dialer.office.csvfile import BadList, Form, Reader, Row, find_form
from dialer.office.mapping import REJECT_COLUMNS, Columns, find_columns
from dialer.office.numbers import BadNumber, Numbers
from dialer.office.tables import csv_cell
from dialer.store import contacts as store
from dialer.store.contacts import ImportCounts, NewContact
from dialer.store.leads import CHUNK_ROWS, enroll

PREVIEW_ROWS = 10
UNUSABLE = "unusable_numbers"
"""The field that keeps numbers which could not be used beside others that could."""
_BREATH_S = 0.002
_SEVERAL = re.compile(r"[;,|/\n\r、，；]+")
_NOTHING = frozenset(("", "-", "--", "—", "–", "нет", "none", "null", "n/a", "na", "无", "0"))
_NO_FIELDS = "{}"
_encode = msgspec.json.Encoder().encode


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is. *bytes_read* of *bytes_all* tell the share that is done."""

    bytes_read: int
    bytes_all: int
    counts: ImportCounts


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A row that cannot be used."""

    line: int
    reason: str
    cells: tuple[str, ...]


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What an import would do. *contacts*: the first ones, as they would be stored.

    Duplicates are not looked for: *counts* tells good rows as added.
    """

    form: Form
    columns: Columns
    counts: ImportCounts
    contacts: list[dict[str, Any]]
    rejected: list[Rejected]
    numbers_left_out: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. *rejects*: the reject file, None if no row was rejected.

    *enrolled*: leads made, by campaign. *numbers_left_out*: unusable ones beside others.
    """

    form: Form
    columns: Columns
    counts: ImportCounts
    numbers_left_out: int
    seconds: float
    rejects: Path | None
    enrolled: dict[CampaignId, int]


class Source:
    """A file to be imported, opened and understood; gives contacts and rejected rows.

    Raises:
        BadList: the file as a whole cannot be read, or the mapping does not fit it.
        BadRegion: there is no such region.
    """

    def __init__(
        self,
        path: Path,
        *,
        region: str,
        mapping: Iterable[str] = (),
        encoding: str | None = None,
        delimiter: str | None = None,
    ) -> None:
        self.path = path
        self.form = find_form(path, encoding=encoding, delimiter=delimiter)
        self._numbers = Numbers(region)
        self._reader = Reader(path, self.form)
        try:
            self._rows = iter(self._reader)
            self.columns = self._heads(tuple(mapping))
        except BaseException:
            self._reader.__exit__()
            raise
        self.rows_read = 0
        self.numbers_left_out = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.__exit__()

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return min(self._reader.position, self.form.size)

    def __iter__(self) -> Iterator[NewContact | Rejected]:
        width = len(self.columns.heads)
        for row in self._rows:
            self.rows_read += 1
            cells = row.cells
            if len(cells) != width:
                if len(cells) > width and any(cells[width:]) and not row.broken:
                    row.broken = f"the row has {len(cells)} cells, the first line {width}"
                elif len(cells) < width:
                    cells += [""] * (width - len(cells))
            if row.broken:
                yield Rejected(line=row.line, reason=row.broken, cells=tuple(cells))
            else:
                yield self._contact(row, cells)

    def _heads(self, mapping: tuple[str, ...]) -> Columns:
        first = next(self._rows, None)
        if first is None:
            raise BadList(f"{self.path.name}: the file is empty.")
        if first.broken:
            raise BadList(f"{self.path.name}, line 1, which must name the columns: {first.broken}.")
        named = [one for one in mapping if "=#" in one]
        if any(self._numbers.accept(cell) for cell in first.cells):
            # The first row is data already: without heads, only columns by number make sense.
            if not named:
                raise BadList(
                    f"{self.path.name}, line 1 holds a phone number where the names of the columns belong."
                    " Give the file a first line with names, or name columns by number: --map phone=#1."
                )
            self._rows = _put_back(first, self._rows)
            heads = [f"column {place + 1}" for place in range(len(first.cells))]
            return find_columns(heads, mapping, file=self.path.name)
        return find_columns(first.cells, mapping, file=self.path.name)

    def _contact(self, row: Row, cells: list[str]) -> NewContact | Rejected:
        columns = self.columns
        accept = self._numbers.accept
        phones: list[tuple[str, str]] = []
        unusable: list[str] = []
        for place, kind in columns.phones:
            cell = cells[place]
            if not cell:
                continue
            e164 = accept(cell)
            if e164 is not None:
                phones.append((kind, e164))
            else:
                self._several(cell, kind, phones, unusable)
        if not phones:
            reason = "; ".join(unusable) or "no phone number"
            return Rejected(line=row.line, reason=reason, cells=tuple(cells))
        if len(phones) > 1:
            phones = list({e164: (kind, e164) for kind, e164 in reversed(phones)}.values())[::-1]
        fields = {name: text for place, name in columns.fields if (text := cells[place])}
        if unusable:
            self.numbers_left_out += len(unusable)
            fields[UNUSABLE] = "; ".join(unusable)
        name = " ".join(text for place in columns.names if (text := cells[place].strip()))
        outer = cells[columns.id].strip() if columns.id is not None else ""
        if outer:
            key = "id:" + outer
        elif len(phones) == 1:
            key = "n:" + phones[0][1]
        else:
            key = "n:" + ",".join(sorted(e164 for _, e164 in phones))
        return NewContact(
            key=key,
            name=_restored(name),
            fields=_encode({one: _restored(text) for one, text in fields.items()}).decode()
            if fields
            else _NO_FIELDS,
            line=row.line,
            phones=phones,
        )

    def _several(self, cell: str, kind: str, phones: list[tuple[str, str]], unusable: list[str]) -> None:
        """A cell that is no plain number: written unusually, or several numbers, or none."""
        parts = [part for part in _SEVERAL.split(cell) if part.strip().casefold() not in _NOTHING]
        whole: str | None = None
        if len(parts) > 1:
            with contextlib.suppress(BadNumber):
                whole = self._numbers.read(cell)
            if whole is not None and not any(self._is_number(part) for part in parts):
                phones.append((kind, whole))
                return
        for part in parts:
            try:
                phones.append((kind, self._numbers.read(part)))
            except BadNumber as error:
                unusable.append(f"{kind}: {error}")

    def _is_number(self, text: str) -> bool:
        try:
            self._numbers.read(text)
        except BadNumber:
            return False
        return True


def preview(
    path: Path,
    *,
    region: str,
    mapping: Iterable[str] = (),
    encoding: str | None = None,
    delimiter: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Preview:
    """Read the whole file and write nothing.

    Raises:
        BadList, BadRegion: as for :class:`Source`.
    """
    contacts: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    good = bad = 0
    with Source(path, region=region, mapping=mapping, encoding=encoding, delimiter=delimiter) as source:
        for one in source:
            if isinstance(one, Rejected):
                bad += 1
                if len(rejected) < PREVIEW_ROWS:
                    rejected.append(one)
            else:
                good += 1
                if len(contacts) < PREVIEW_ROWS:
                    contacts.append(_as_row(one))
            if progress is not None and not source.rows_read % CHUNK_ROWS:
                progress(
                    Progress(
                        bytes_read=source.position,
                        bytes_all=source.form.size,
                        counts=ImportCounts(rows_read=source.rows_read, contacts_added=good, rejected=bad),
                    )
                )
        return Preview(
            form=source.form,
            columns=source.columns,
            counts=ImportCounts(rows_read=source.rows_read, contacts_added=good, rejected=bad),
            contacts=contacts,
            rejected=rejected,
            numbers_left_out=source.numbers_left_out,
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
    clock: Callable[[], float] = time.time,
) -> Outcome:
    """Import the file into the list *name*, which is made if need be, and enroll the new contacts in
    the campaigns that call the list.

    *rejects*: where rejected rows go; else beside the file (``people.rejects.csv``, or with a number
    if that is taken). Cut short, it can simply be done again.

    Raises:
        BadList, BadRegion: as for :class:`Source`; nothing was written.
        Conflict: the list's name is no possible name.
        JournalError: the journal cannot be written; what was imported before stays.
        OSError: the reject file cannot be written.
    """
    began = time.monotonic()
    added = duplicates = rejected = 0
    with Source(path, region=region, mapping=mapping, encoding=encoding, delimiter=delimiter) as source:
        number = store.begin_import(connection, name, path.name, clock())
        with _Rejects(rejects or _free_name(path), source) as out:

            def flush(chunk: list[NewContact]) -> None:
                nonlocal added, duplicates
                out.flush()
                new = store.add_contacts(connection, name, number, chunk, clock())
                added += new
                duplicates += len(chunk) - new
                if progress is not None:
                    progress(
                        Progress(bytes_read=source.position, bytes_all=source.form.size, counts=counts())
                    )

            def counts() -> ImportCounts:
                return ImportCounts(
                    rows_read=source.rows_read, contacts_added=added, duplicates=duplicates, rejected=rejected
                )

            chunk: list[NewContact] = []
            for one in source:
                if isinstance(one, Rejected):
                    rejected += 1
                    out.write(one)
                    continue
                chunk.append(one)
                if len(chunk) == CHUNK_ROWS:
                    flush(chunk)
                    chunk = []
            flush(chunk)
        store.end_import(connection, number, counts(), clock())
        enrolled = {
            one: enroll(connection, one, clock()) for one in store.campaigns_of_list(connection, name)
        }
        return Outcome(
            form=source.form,
            columns=source.columns,
            counts=counts(),
            numbers_left_out=source.numbers_left_out,
            seconds=time.monotonic() - began,
            rejects=out.path if rejected else None,
            enrolled=enrolled,
        )


class _Rejects:
    """The reject file: made when the first row is rejected, in UTF-8 as spreadsheets expect it."""

    def __init__(self, path: Path, source: Source) -> None:
        self.path = path
        self._source = source
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, one: Rejected) -> None:
        width = len(self._source.columns.heads)
        if self._file is None:
            self._file = self.path.open("x", encoding="utf-8-sig", newline="")
            self._writer = csv.writer(self._file, delimiter=self._source.form.delimiter)
            kept = [head for head in self._source.columns.heads if head not in REJECT_COLUMNS]
            self._writer.writerow([*map(csv_cell, kept), *REJECT_COLUMNS])
        cells = [*one.cells[:width], *([""] * (width - len(one.cells)))]
        kept = [
            csv_cell(cell)
            for head, cell in zip(self._source.columns.heads, cells, strict=True)
            if head not in REJECT_COLUMNS
        ]
        more = "".join(f" | {cell}" for cell in one.cells[width:])
        self._writer.writerow([*kept, one.line, csv_cell(one.reason + more)])

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()


def _free_name(path: Path) -> Path:
    """A name beside *path* that is not taken: what was rejected earlier is never written over."""
    stem = re.sub(r"\.rejects(-\d+)?\Z", "", path.stem)
    found = path.with_name(f"{stem}.rejects.csv")
    number = 2
    while found.exists():
        found = path.with_name(f"{stem}.rejects-{number}.csv")
        number += 1
    return found


def _restored(text: str) -> str:
    """*text* without the quote that we put before what a spreadsheet would take for a formula."""
    if text[:1] == "'" and csv_cell(text[1:]) == text:
        return text[1:]
    return text


def _put_back(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows


def _as_row(one: NewContact) -> dict[str, Any]:
    return {
        "line": one.line,
        "name": one.name,
        "id": one.key.removeprefix("id:") if one.key.startswith("id:") else "",
        "phones": ", ".join(f"{kind} {e164}" for kind, e164 in one.phones),
        "fields": msgspec.json.decode(one.fields),
    }
