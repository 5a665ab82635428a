"""``dialer report abandonment``: the page for an inspector, the calls behind it, and both books compared."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Dialer = Callable[..., Result]


def asked(dialer: Dialer, *words: str) -> Any:
    result = dialer("report", "abandonment", *words, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def change(home: Path, sql: str) -> None:
    with closing(sqlite3.connect(home / "journal.sqlite3")) as journal, journal:
        journal.execute(sql)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The story of the home folder must not lie on both sides of a midnight."""
    monkeypatch.setattr("tests.unit.cli.conftest.time.time", lambda: 1_767_268_800.0)
    monkeypatch.setattr("dialer.office.abandonment.time.time", lambda: 1_767_268_800.0)


def test_the_page(dialer: Dialer, busy_home: Path) -> None:
    [row] = asked(dialer)
    assert (row["campaign"], row["day"]) == ("first", "2026-01-01")
    assert (row["answered"], row["abandoned"], row["share"]) == (3, 1, 0.333333)
    assert (row["window_answered"], row["window_abandoned"], row["window_share"]) == (3, 1, 0.333333)
    assert (row["promised"], row["cap"], row["limit_s"], row["window_days"]) == (0.03, 0.03, 2.0, 30)
    assert row["low"] < 0.3333 < row["high"]
    assert row["is_held"] is False
    text = dialer("report", "abandonment", "--campaign", "first").stdout
    assert (
        "first: 3 calls were answered by a person in the 30 days to 2026-01-01, 1 of them abandoned: 33.33 %."
        in text
    )
    assert "NOT KEPT" in text
    assert "3 answered calls say little of 3 %" in text
    rows = list(csv.DictReader(io.StringIO(dialer("report", "abandonment", "--format", "csv").stdout)))
    assert list(rows[0]) == list(row)


def test_what_was_promised_then_is_told(dialer: Dialer, busy_home: Path) -> None:
    change(
        busy_home,
        "INSERT INTO campaign_settings (campaign, applied_at, settings) SELECT campaign, 1767268800.0 - 50000,"
        ' json_set(settings, \'$.pacing\', json(\'{"abandonment":{"share":0.4,"cap":0.5,"window_days":7}}\'))'
        " FROM campaign_settings ORDER BY id LIMIT 1",
    )
    change(busy_home, "INSERT INTO abandonment VALUES ('first', 20450, 10, 1)")
    change(busy_home, "UPDATE campaign_settings SET applied_at = 5.0 WHERE id = 1")
    before, today = asked(dialer)
    assert (before["promised"], before["window_days"], before["is_held"]) == (0.03, 30, False)
    assert (today["promised"], today["cap"], today["window_days"], today["is_held"]) == (0.4, 0.5, 7, True)
    assert "Kept." in dialer("report", "abandonment").stdout


def test_days(dialer: Dialer, busy_home: Path) -> None:
    change(busy_home, "INSERT INTO abandonment VALUES ('first', 20400, 10, 1)")
    assert len(asked(dialer)) == 1
    assert [row["day"] for row in asked(dialer, "--days", "60")] == ["2025-11-08", "2026-01-01"]
    assert [row["window_answered"] for row in asked(dialer, "--days", "60")] == [10, 3]


def test_every_abandoned_call(dialer: Dialer, busy_home: Path) -> None:
    [row] = asked(dialer, "--calls")
    assert (row["attempt"], row["number"], row["waited_s"]) == (f"a{3:020}", "+79161234503", 2.0)
    assert row["why"] == "nobody listened"
    text = dialer("report", "abandonment", "--calls").stdout
    assert "+79161234503" in text
    assert "nobody listened" in text


def test_both_books_are_compared(dialer: Dialer, busy_home: Path) -> None:
    said = dialer("report", "abandonment", "--recount")
    assert said.stdout == "The ledger and the calls agree: 3 answered, 1 abandoned, 1 day of campaigns.\n"
    assert asked(dialer, "--recount") == []
    change(busy_home, "UPDATE abandonment SET abandoned = 0")
    result = dialer("report", "abandonment", "--recount", "--format", "json")
    assert result.exit_code == 1
    [row] = json.loads(result.stdout)
    assert (row["day"], row["abandoned"], row["recounted_abandoned"]) == ("2026-01-01", 0, 1)
    assert "1 of 1 day do not agree" in result.stderr


DETECTS = "UPDATE campaign_settings SET applied_at = 5.0, settings = json_set(settings, '$.machines', json('{\"detect\":true}'))"


def test_where_machines_are_told_from_people_there_is_a_second_figure(
    dialer: Dialer, busy_home: Path
) -> None:
    [row] = asked(dialer)
    assert (row["ofcom_abandoned"], row["ofcom_share"]) == (None, None)
    assert "Ofcom" not in dialer("report", "abandonment").stdout
    change(busy_home, DETECTS)
    change(busy_home, f"UPDATE attempts SET operator_result = 'machine' WHERE attempt = 'a{4:020}'")
    change(
        busy_home, f"UPDATE attempts SET result = 'machine', answered_at = NULL WHERE attempt = 'a{1:020}'"
    )
    [row] = asked(dialer)
    # one abandoned; operators met one person and one machine: half of the abandoned were machines
    assert (row["abandoned"], row["share"]) == (1, 0.333333)
    assert (row["ofcom_abandoned"], row["ofcom_share"]) == (0.5, 0.333333)
    [row] = asked(dialer, "--mistaken", "0.5")  # and half of the one that was told was a person
    assert (row["ofcom_abandoned"], row["ofcom_share"]) == (1.0, 0.5)
    text = dialer("report", "abandonment").stdout
    assert (
        "By Ofcom's formula, with machines told from people: 33.33 % (0.5 abandoned, 1 met an operator"
        in text
    )
    assert "NOT KEPT" in text


def test_what_there_is_not(dialer: Dialer, busy_home: Path) -> None:
    assert (
        "There is no campaign 'x' (there are: first)"
        in dialer("report", "abandonment", "--campaign", "x").stderr
    )
    assert "cannot be asked for at once" in dialer("report", "abandonment", "--calls", "--recount").stderr
    change(busy_home, "DELETE FROM abandonment")
    assert dialer("report", "abandonment").stdout == "Nobody has answered in the last 30 days.\n"
    assert asked(dialer) == []
