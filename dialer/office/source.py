"""The rows of a list as contacts: opened, understood, read in batches, here or in a second process.

The reading of a million rows (decoding, numbers, fields) costs about as much as writing them to the
journal, so for a long file a worker (``python -m dialer.office.source``) reads ahead and hands over
batches through a pipe; a short file is read here. Both run the same code.
"""

from __future__ import annotations

import contextlib
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from dialer.office.csvfile import BadList, Reader, Row, find_form
from dialer.office.mapping import Columns, find_columns
from dialer.office.numbers import BadNumber, Numbers
from dialer.office.tables import csv_cell
from dialer.office.zones import BadZone, read_zone
from dialer.store.contacts import NewContact

BATCH_ROWS = 1000
LONG_BYTES = 4 << 20
"""A longer file is worth a second process."""
UNUSABLE = "unusable_numbers"
"""The field that keeps numbers which could not be used beside others that could."""
_SEVERAL = re.compile(r"[;,|/\n\r、，；]+")
_NOTHING = frozenset(("", "-", "--", "—", "–", "нет", "none", "null", "n/a", "na", "无", "0"))
_NO_FIELDS = "{}"
_LENGTH = struct.Struct(">I")
_encode = msgspec.json.Encoder().encode


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A row that cannot be used."""

    line: int
    reason: str
    cells: tuple[str, ...]


class Batch(msgspec.Struct, kw_only=True):
    """Some rows. *rows_read*, *numbers_left_out* and *position* (bytes) count from the file's beginning."""

    contacts: list[NewContact] = []
    rejected: list[Rejected] = []
    rows_read: int = 0
    numbers_left_out: int = 0
    position: int = 0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is to be read; what is None is found out."""

    path: str
    region: str
    mapping: tuple[str, ...] = ()
    encoding: str | None = None
    delimiter: str | None = None


class Source:
    """A file to be imported, opened and understood; gives contacts and rejected rows.

    Raises:
        BadList: the file as a whole cannot be read, or the mapping does not fit it.
        BadRegion: there is no such region.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = path = Path(settings.path)
        self._numbers = Numbers(settings.region)
        self.form = find_form(path, encoding=settings.encoding, delimiter=settings.delimiter)
        self._reader = Reader(path, self.form)
        try:
            self._rows = iter(self._reader)
            self.columns = self._heads(settings.mapping)
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

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """All rows, *rows* at a time (the last batch may be shorter, and is never missing)."""
        batch = Batch()
        for one in self:
            if isinstance(one, Rejected):
                batch.rejected.append(one)
            else:
                batch.contacts.append(one)
            if not self.rows_read % rows:
                yield self._closed(batch)
                batch = Batch()
        yield self._closed(batch)

    def _closed(self, batch: Batch) -> Batch:
        batch.rows_read, batch.numbers_left_out = self.rows_read, self.numbers_left_out
        batch.position = self.position
        return batch

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
            first: dict[str, str] = {}
            for kind, e164 in phones:
                first.setdefault(e164, kind)
            phones = [(kind, e164) for e164, kind in first.items()]
        fields = {name: _restored(text) for place, name in columns.fields if (text := cells[place])}
        if unusable:
            self.numbers_left_out += len(unusable)
            fields[UNUSABLE] = "; ".join(unusable)
        zone = ""
        if columns.zone is not None:
            try:
                zone = read_zone(cells[columns.zone])
            except BadZone as error:
                return Rejected(
                    line=row.line, reason=f"{columns.heads[columns.zone]}: {error}", cells=tuple(cells)
                )
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
            fields=_encode(fields).decode() if fields else _NO_FIELDS,
            line=row.line,
            phones=phones,
            zone=zone,
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


def _restored(text: str) -> str:
    """*text* without the quote that we put before what a spreadsheet would take for a formula."""
    return text[1:] if text[:1] == "'" and csv_cell(text[1:]) == text else text


def _put_back(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows


class Ahead:
    """The batches of a file, read by a worker process.

    Raises (while iterating):
        BadList: the worker ended before the file did.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        root = str(Path(__file__).parents[2])
        program = f"import sys; sys.path.insert(0, {root!r}); from dialer.office.source import work; work()"
        self._worker = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._worker.stdin is not None
        # One that died at once is noticed when its batches are wanted.
        with contextlib.suppress(BrokenPipeError), self._worker.stdin as pipe:
            pipe.write(msgspec.json.encode(self._settings))
        return self

    def __exit__(self, *_: object) -> None:
        assert self._worker is not None
        assert self._worker.stdout is not None
        self._worker.stdout.close()
        self._worker.kill()
        self._worker.wait()

    def __iter__(self) -> Iterator[Batch]:
        assert self._worker is not None
        assert self._worker.stdout is not None
        decode = msgspec.msgpack.Decoder(Batch).decode
        pipe = self._worker.stdout
        while head := pipe.read(_LENGTH.size):
            size = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
            body = pipe.read(size)
            if not size or len(body) < size:
                break
            yield decode(body)
        if self._worker.wait() != 0:
            raise BadList(f"{Path(self._settings.path).name}: the process that reads the file ended early.")


def work() -> None:
    """The worker: settings come on standard input, batches go to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started us ends us
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=Settings)
    with Source(settings) as source, contextlib.suppress(BrokenPipeError):
        _hand_over(source, sys.stdout.buffer)


def _hand_over(source: Source, pipe: BinaryIO) -> None:
    encode = msgspec.msgpack.Encoder().encode
    for batch in source.batches():
        body = encode(batch)
        pipe.write(_LENGTH.pack(len(body)))
        pipe.write(body)
        pipe.flush()
