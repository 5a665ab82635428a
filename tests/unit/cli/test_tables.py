"""A listing says the same in every format, and nothing in it does harm."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta, timezone
from typing import Any

import pytest

from dialer.office import tables

MOSCOW = timezone(timedelta(hours=3))


def shown(rows: list[dict[str, Any]], as_format: str, **more: Any) -> str:
    out = io.StringIO()
    tables.show(iter(rows), as_format, out=out, zone=MOSCOW, **more)
    return out.getvalue()


ROW = {"name": "Анна", "calls": 3, "share": 0.25, "began_at": 1_767_225_600.0, "note": None, "is_up": True}


def test_json_keeps_kinds() -> None:
    assert json.loads(shown([ROW, ROW], "json")) == [{**ROW, "began_at": "2026-01-01T03:00:00+03:00"}] * 2
    assert json.loads(shown([], "json")) == []


def test_csv_has_a_head_and_dates_with_zone() -> None:
    assert shown([ROW], "csv") == (
        "name,calls,share,began_at,note,is_up\nАнна,3,0.25,2026-01-01T03:00:00+03:00,,True\n"
    )
    assert shown([], "csv", columns=["a", "b"]) == "a,b\n"


def test_a_table_has_every_cell_whole_when_it_goes_to_a_file() -> None:
    text = shown([{**ROW, "name": "x" * 300}], "table")
    assert "x" * 300 in text
    assert "2026-01-01 03:00:00" in text, "an instant for people"
    assert "nothing" in shown([], "table")


def test_columns_choose_and_order() -> None:
    assert shown([ROW], "csv", columns=["calls", "name"]) == "calls,name\n3,Анна\n"


@pytest.mark.parametrize(
    "evil", ["=1+1", "+SUM(A1)", "-2+3", "@cmd", "\t=1", "=HYPERLINK(1)", " =1", "\n=1", "%0A", "|calc"]
)
def test_no_cell_is_a_formula(evil: str) -> None:
    [_, [cell]] = list(csv.reader(io.StringIO(shown([{"name": evil}], "csv"))))
    assert cell == f"'{evil}"


@pytest.mark.parametrize(
    "harmless", ["+74951234567", "-5", "+7 495 123", "+74951234567, +79161234567", "Anna", "a=b", ""]
)
def test_a_plain_number_stays(harmless: str) -> None:
    [_, *rest] = list(csv.reader(io.StringIO(shown([{"name": harmless, "x": 1}], "csv"))))
    assert rest[0][0] == harmless


def test_neither_markup_nor_control_characters_do_anything() -> None:
    text = shown([{"name": "[bold red]Anna[/] \x1b[2J\x9b1m\u202e"}], "table")
    assert "[bold red]Anna[/]" in text
    assert not any(sign in text for sign in "\x1b\x9b\u202e")


def test_rows_are_not_gathered() -> None:
    """JSON and CSV take a listing of any length: each row is written before the next is asked for."""
    out = io.StringIO()

    def rows() -> Any:
        yield {"a": 1}
        yield {"a": 2}
        assert "1" in out.getvalue()
        yield {"a": 3}

    for as_format in ("json", "csv"):
        out.truncate(0)
        tables.show(rows(), as_format, out=out)
        assert "3" in out.getvalue()


def test_an_instant_of_nothing_is_nothing() -> None:
    assert shown([{"since": 0, "due": None}], "csv") == "since,due\n,\n"
