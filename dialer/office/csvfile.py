"""A CSV file as it comes: in any encoding, with any delimiter, and with damage.

1. What the file is (:class:`Form`) is found out from its bytes before anything is read from it, and
   is shown to the person; each part can be given instead.
2. Damage stays in its row. Bytes that the encoding does not have become ``\\xNN`` in the text and
   mark the row as broken; a quote that is never closed costs its own line, not the rest of the file.
3. Rows come with the line on which they begin. Memory does not grow with the file.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from charset_normalizer import from_bytes

ENCODINGS = ("utf_8", "cp1251", "gb18030", "koi8_r", "cp866", "utf_16", "big5", "cp1252")
"""What is guessed, besides what a byte order mark says."""
DELIMITERS = (",", ";", "\t", "|")
ROW_LINES_MAX = 200
"""Lines of one row: more than that means a quote that is never closed."""
_BROKEN = "\ue0ff"
"""Stands before each byte that could not be decoded (a code point that no text has)."""
BATCH_LINES = 2000
_SAMPLE_BYTES = 256 * 1024
_SAMPLE_LINES = 50
_BLOCK = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf_8_sig"),
    (codecs.BOM_UTF32_LE, "utf_32"),
    (codecs.BOM_UTF32_BE, "utf_32"),
    (codecs.BOM_UTF16_LE, "utf_16"),
    (codecs.BOM_UTF16_BE, "utf_16"),
)


class BadList(ValueError):
    """A file as a whole cannot be read as a list of contacts; the message names the file and the line."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is. *size*: bytes."""

    encoding: str
    delimiter: str
    size: int


class Row(msgspec.Struct, kw_only=True, gc=False):
    """A row. *line*: on which it begins, 1 being the first. *broken*: why it cannot be used, if so."""

    line: int
    cells: list[str]
    broken: str = ""


def _mark_broken(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return _BROKEN + "".join(f"\\x{byte:02x}" for byte in bad), error.end


codecs.register_error("obzvon_mark", _mark_broken)


def find_form(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Form:
    """Find out what the file is, as far as *encoding* and *delimiter* do not say.

    Raises:
        BadList: it cannot be opened, is empty, or the encoding given is not known.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            sample = file.read(_SAMPLE_BYTES)
            if not sample.strip():
                raise BadList(f"{path.name}: the file is empty.")
            if encoding is None:
                encoding = _find_encoding(sample, file)
    except OSError as error:
        raise BadList(f"{path.name} cannot be opened: {error.strerror}.") from error
    try:
        text = codecs.getincrementaldecoder(encoding)("obzvon_mark").decode(sample)
    except LookupError:
        known = ", ".join(name.replace("_", "-") for name in ENCODINGS)
        raise BadList(f"{encoding!r} is no encoding; known are, among others: {known}.") from None
    except UnicodeError as error:
        raise BadList(f"{path.name} cannot be read as {encoding}: {error}.") from None
    if delimiter is None:
        delimiter = _find_delimiter(text)
    return Form(encoding=encoding, delimiter=delimiter, size=size)


def _find_encoding(sample: bytes, rest: BinaryIO) -> str:
    for bom, name in _BOMS:
        if sample.startswith(bom):
            return name
    while sample.isascii() and b"\0" not in sample:
        # Plain so far: what decides may come later.
        block = rest.read(_BLOCK)
        if not block:
            return "utf_8"
        if not block.isascii():
            first = next(place for place, byte in enumerate(block) if byte > 127)
            # Take up at a line's beginning, so that no character is cut.
            sample = block[block.rfind(b"\n", 0, first) + 1 :][:_SAMPLE_BYTES]
    evens, odds = sample[0:2000:2].count(0), sample[1:2000:2].count(0)
    if max(evens, odds) > len(sample[:2000]) // 8:
        return "utf_16_le" if odds > evens else "utf_16_be"
    text = codecs.getincrementaldecoder("utf_8")("obzvon_mark").decode(sample)
    wide = sum(char > "\x7f" for char in text) - text.count(_BROKEN)
    if text.count(_BROKEN) <= wide // 10:
        return "utf_8"
    return _guess(sample)


def _guess(sample: bytes) -> str:
    lines = sample.splitlines()[:2000]
    found = from_bytes(b"\n".join(lines), cp_isolation=list(ENCODINGS), threshold=0.5).best()
    return found.encoding if found is not None else "cp1251"


def _find_delimiter(text: str) -> str:
    lines = text.splitlines()[:_SAMPLE_LINES]
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        try:
            widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
        except csv.Error:
            continue
        if not widths:
            continue
        width, times = widths.most_common(1)[0]
        # Rows of one width speak for a delimiter; the wider, the surer.
        score = times / sum(widths.values()) * (1 - 1 / width)
        if score > best_score:
            best, best_score = delimiter, score
    return best


class _Lines:
    """The lines of a file, with those that are given back coming first."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self._back: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0
        self.is_suspect = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= ROW_LINES_MAX:
            raise csv.Error("a quote is opened and not closed for many lines")
        line = self._back.popleft() if self._back else next(self._stream)
        self.number += 1
        self.taken.append(line)
        if "\0" in line or _BROKEN in line:
            self.is_suspect = True
        return line

    @property
    def has_back(self) -> bool:
        """Whether lines that were given back are still to be read."""
        return bool(self._back)

    def give_back(self, lines: Sequence[str], *, were_counted: bool = False) -> None:
        self._back.extendleft(reversed(lines))
        if were_counted:
            self.number -= len(lines)


class Reader:
    """The rows of *path*, read as *form* says. A context manager and an iterator.

    Raises (when opened):
        BadList: the file cannot be opened.
    """

    def __init__(self, path: Path, form: Form) -> None:
        self._form = form
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise BadList(f"{path.name} cannot be opened: {error.strerror}.") from error
        self._stream = io.TextIOWrapper(
            self._file, encoding=form.encoding, errors="obzvon_mark", newline="", write_through=True
        )

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    @property
    def position(self) -> int:
        """Bytes read so far, to within a buffer."""
        return self._file.tell()

    def __iter__(self) -> Iterator[Row]:
        lines = _Lines(self._stream)
        while batch := list(itertools.islice(self._stream, BATCH_LINES)):
            rows = self._one_to_a_line(batch)
            if rows is None:
                lines.give_back(batch)
                yield from self._one_by_one(lines)
                continue
            line = lines.number
            lines.number += len(batch)
            for cells in rows:
                line += 1
                if cells and any(cells):
                    yield Row(line=line, cells=cells)

    def _one_to_a_line(self, batch: list[str]) -> list[list[str]] | None:
        """The rows of *batch*, if each line is a sound row; None if it takes a closer look."""
        text = "".join(batch)
        if "\0" in text or _BROKEN in text or batch[-1].count('"') % 2:
            return None
        try:
            rows = list(csv.reader(batch, delimiter=self._form.delimiter))
        except csv.Error:
            return None
        return rows if len(rows) == len(batch) else None

    def _one_by_one(self, lines: _Lines) -> Iterator[Row]:
        """The rows of the lines that were given back, damage and all."""
        reader = csv.reader(lines, delimiter=self._form.delimiter)
        while lines.has_back:
            lines.taken = []
            line = lines.number + 1
            lines.is_suspect = False
            try:
                cells = next(reader)
            except csv.Error as error:
                yield self._damaged(lines, line, str(error))
                reader = csv.reader(lines, delimiter=self._form.delimiter)
                continue
            if len(lines.taken) > 1 and sum(text.count('"') for text in lines.taken) % 2:
                yield self._damaged(lines, line, "a quote is opened and never closed")
                continue
            if any(cells):
                yield self._suspect(line, cells) if lines.is_suspect else Row(line=line, cells=cells)

    def _damaged(self, lines: _Lines, line: int, why: str) -> Row:
        """The first of the lines that were taken for one row; the others are read again."""
        first, *others = lines.taken
        lines.give_back(others, were_counted=True)
        cells = first.rstrip("\r\n").replace(_BROKEN, "").split(self._form.delimiter)
        return Row(line=line, cells=cells, broken=why)

    @staticmethod
    def _suspect(line: int, cells: list[str]) -> Row:
        broken = ""
        if any(_BROKEN in cell for cell in cells):
            broken = "bytes that the file's encoding does not have"
            cells = [cell.replace(_BROKEN, "") for cell in cells]
        if any("\0" in cell for cell in cells):
            broken = "a NUL byte"
            cells = [cell.replace("\0", "\\x00") for cell in cells]
        return Row(line=line, cells=cells, broken=broken)


def head(rows: Iterator[Row], count: int) -> list[Row]:
    """The first *count* of *rows*."""
    return list(itertools.islice(rows, count))
