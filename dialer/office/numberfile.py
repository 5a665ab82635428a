"""Numbers, beginnings and patterns for a do-not-call list, as people and their files write them.

A file is text with a number on each line, or CSV with a column of numbers and perhaps one of notes; with
heads or without.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dialer.office.csvfile import BadList, Reader, Row, find_form
from dialer.office.mapping import find_columns
from dialer.office.numbers import BadNumber, Numbers
from dialer.store import dnc
from dialer.store.dnc import BadEntry

SEPARATORS = re.compile(r"[\s().\-\u00a0\u2010-\u2013]+")
_NOTES = frozenset(("note", "comment", "reason", "примечание", "комментарий", "причина", "备注", "原因"))


def read_entry(text: str, numbers: Numbers) -> str:
    """The entry that *text* means: a number as E.164, a beginning (``+7495*``), or a pattern (``+7495???0000``).

    Raises:
        BadNumber: it is no number that can exist. BadEntry: no possible beginning or pattern.
    """
    if "*" in text or "?" in text:
        entry = SEPARATORS.sub("", text)
        if not entry.startswith("+"):
            raise BadEntry(
                f"{text.strip()!r} must begin with + and the country code, for it is no whole number: +7495*"
            )
        dnc.kind_of(entry)
        return entry
    return numbers.accept(text) or numbers.read(text)


class ReadRow(msgspec.Struct, frozen=True):
    """A row of the file: an entry with its note, or (*reason*) one that cannot be used."""

    line: int
    cells: list[str]
    entry: str = ""
    note: str = ""
    reason: str = ""


class NumberFile:
    """A file of numbers, opened and understood. *column*: a head or ``#1``; None: found out.

    Raises:
        BadList: the file cannot be read, or where the numbers are is not clear.
        BadRegion: there is no such region.
    """

    def __init__(
        self,
        path: Path,
        region: str,
        *,
        column: str | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
    ) -> None:
        self.path = path
        self._numbers = Numbers(region)
        self.form = find_form(path, encoding=encoding, delimiter=delimiter)
        self._reader = Reader(path, self.form)
        try:
            self._rows: Iterator[Row] = iter(self._reader)
            self.heads, self.place, self._note = self._find(column)
        except BaseException:
            self._reader.__exit__()
            raise

    def __enter__(self) -> NumberFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.__exit__()

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return min(self._reader.position, self.form.size)

    def __iter__(self) -> Iterator[ReadRow]:
        for row in self._rows:
            text = row.cells[self.place] if self.place < len(row.cells) else ""
            if row.broken or not text.strip():
                if row.broken or any(cell.strip() for cell in row.cells):
                    yield ReadRow(row.line, row.cells, reason=row.broken or "no number")
                continue
            try:
                entry = read_entry(text, self._numbers)
            except (BadNumber, BadEntry) as error:
                yield ReadRow(row.line, row.cells, reason=str(error))
                continue
            has_note = self._note is not None and self._note < len(row.cells)
            yield ReadRow(row.line, row.cells, entry, row.cells[self._note].strip() if has_note else "")  # type: ignore[index]

    def _find(self, column: str | None) -> tuple[list[str], int, int | None]:
        """The heads, the numbers' place and the notes'. A file without heads begins with a number."""
        first = next(self._rows, None)
        if first is None:
            raise BadList(f"{self.path.name}: the file is empty.")
        is_data = [self._is_entry(cell) for cell in first.cells]
        heads = [cell.strip() for cell in first.cells]
        if any(is_data):
            self._rows = _put_back(first, self._rows)
            heads = ["number"] if len(heads) == 1 else [f"column {place + 1}" for place in range(len(heads))]
        if column is None and (any(is_data) or len(heads) == 1):
            place = is_data.index(True) if any(is_data) else 0
        else:
            given = [f"phone={column}"] if column is not None else []
            place = find_columns(heads, given, file=self.path.name).phones[0][0]
        notes = [number for number, head in enumerate(heads) if head.casefold() in _NOTES and number != place]
        return heads, place, notes[0] if notes else None

    def _is_entry(self, text: str) -> bool:
        with contextlib.suppress(BadNumber, BadEntry):
            return bool(read_entry(text, self._numbers))
        return False


def _put_back(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows
