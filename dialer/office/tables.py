"""Rows as a table, as JSON or as CSV: the one way in which a listing is printed.

1. Rows are plain mappings; the first row (or *columns*) says which columns there are.
2. Instants (``at``, ``since``, ``due``, ``..._at``) are seconds since the epoch in a row and ISO
   dates with their zone in print.
3. What comes from outside is shown as it is: no markup is read from it, a control character cannot
   move the cursor, and a spreadsheet that opens the CSV cannot take a cell for a formula.
4. JSON and CSV are written row by row, so that a long listing needs no memory.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, TextIO

_WORD_MAX = 26
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d\Z")
Row = Mapping[str, Any]

_INSTANT = re.compile(r"(at|since|due|.+_at|.+_due|.+_since)\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_FORMULA = re.compile(r"\s*[=+\-@\t\r\n|%]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9 .]*(, [+-]?[0-9][0-9 .]*)*\Z")
_PIPE_WIDTH = 10_000
"""Width of a table that goes to no terminal: nothing is folded or cut."""


def show(
    rows: Iterable[Row],
    as_format: str = "table",
    *,
    columns: Sequence[str] = (),
    title: str = "",
    out: TextIO | None = None,
    zone: tzinfo | None = None,
) -> None:
    """Print *rows* on *out* (standard output) in the format ``table``, ``json`` or ``csv``.

    *columns*: which ones and in which order; else those of the first row. *zone*: for dates, else
    the machine's own.
    """
    out = out or sys.stdout
    waiting = iter(rows)
    first = next(waiting, None)
    names = list(columns or first or ())
    printed = (
        {name: printable(name, row.get(name), zone) for name in names}
        for row in itertools.chain([] if first is None else [first], waiting)
    )
    match as_format:
        case "json":
            _show_json(printed, out)
        case "csv":
            _show_csv(printed, names, out)
        case "table":
            _show_table(printed, names, title, out)
        case _:
            raise ValueError(f"no such format: {as_format}")


def printable(name: str, value: Any, zone: tzinfo | None = None) -> Any:
    """The *value* of column *name*, an instant as an ISO date with its zone to the second."""
    if isinstance(value, int | float) and not isinstance(value, bool) and _INSTANT.match(name):
        return iso(value, zone) if value else None
    return value


def iso(at: float, zone: tzinfo | None = None) -> str:
    """An instant as people and programs read it: ``2026-03-01T14:05:09+03:00``."""
    return datetime.fromtimestamp(at, zone).astimezone(zone).isoformat(timespec="seconds")


def text_of(value: Any) -> str:
    """A value as the text of one cell, on one line and without control characters."""
    if value is None:
        text = ""
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, float):
        text = f"{value:.3f}".rstrip("0").rstrip(".")
    elif isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        text = ", ".join(value)
    elif isinstance(value, list | tuple | Mapping):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def csv_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; a plain number such as +7495... stays."""
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else text_of(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def _show_json(rows: Iterator[Row], out: TextIO) -> None:
    opening = "["
    for row in rows:
        out.write(f"{opening}\n  {json.dumps(row, ensure_ascii=False, default=str)}")
        opening = ","
    out.write("[]\n" if opening == "[" else "\n]\n")


def _show_csv(rows: Iterator[Row], names: list[str], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    if names:
        writer.writerow([csv_cell(name) for name in names])
    for row in rows:
        writer.writerow([csv_cell(row[name]) for name in names])


def _is_one_word(values: Iterable[Any]) -> bool:
    """Ids, numbers and instants are copied, so they are never broken over two lines."""
    return all(len(text := text_of(value)) <= _WORD_MAX and " " not in text for value in values)


def _short(name: str, text: str) -> str:
    """An instant without its zone: in a table for people it is the machine's own."""
    return text[:19].replace("T", " ") if _INSTANT.match(name) and _ISO.match(text) else text


def _show_table(rows: Iterator[Row], names: list[str], title: str, out: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=out, highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    table = Table(box=box.SIMPLE_HEAD)
    shown = list(rows)
    for name in names:
        values = [row[name] for row in shown if row[name] is not None]
        is_number = bool(values) and all(isinstance(value, int | float) for value in values)
        table.add_column(
            Text(name),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=_is_one_word(values),
        )
    for row in shown:
        table.add_row(*(Text(_short(name, text_of(row[name]))) for name in names))
    if shown:
        if title:
            console.print(Text(title, style="bold"))
        console.print(table)
    else:
        console.print(Text(f"{title}: nothing" if title else "nothing"))
