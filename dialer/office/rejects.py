"""Reject files: rows that cannot be used, in columns as in their file, each with its line and the reason.

Mended, a reject file is imported like any other: its two columns more are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TextIO

from dialer.office.mapping import REJECT_COLUMNS
from dialer.office.tables import csv_cell


class Rejects:
    """The reject file *path* of a file with the columns *heads*: made when the first row is rejected, in
    UTF-8 as spreadsheets expect it.
    """

    def __init__(self, path: Path, heads: Sequence[str], delimiter: str) -> None:
        self.path = path
        self._heads = heads
        self._delimiter = delimiter
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, line: int, reason: str, row: Sequence[str]) -> None:
        """Write one row, which began on *line*. Raises OSError."""
        width = len(self._heads)
        if self._file is None:
            self._file = self.path.open("x", encoding="utf-8-sig", newline="")
            self._writer = csv.writer(self._file, delimiter=self._delimiter)
            kept = [head for head in self._heads if head not in REJECT_COLUMNS]
            self._writer.writerow([*map(csv_cell, kept), *REJECT_COLUMNS])
        cells = [*row[:width], *([""] * (width - len(row)))]
        kept = [
            csv_cell(cell)
            for head, cell in zip(self._heads, cells, strict=True)
            if head not in REJECT_COLUMNS
        ]
        more = "".join(f" | {cell}" for cell in row[width:])
        self._writer.writerow([*kept, line, csv_cell(reason + more)])

    def flush(self) -> None:
        """Nothing that was written is lost from now on."""
        if self._file is not None:
            self._file.flush()


def free_name(path: Path) -> Path:
    """A name beside *path* that is not taken: what was rejected earlier is never written over."""
    stem = re.sub(r"\.rejects(-\d+)?\Z", "", path.stem)
    found = path.with_name(f"{stem}.rejects.csv")
    number = 2
    while found.exists():
        found = path.with_name(f"{stem}.rejects-{number}.csv")
        number += 1
    return found
