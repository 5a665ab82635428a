"""Importing and looking up people from the command line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Dialer = Callable[..., Result]


@pytest.fixture
def people(tmp_path: Path, dialer: Dialer) -> Path:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    file = tmp_path / "people.csv"
    file.write_text(
        "Имя;Телефон;Моб;Город\n"
        "Анна;8 495 123-45-67;+79161234567;Москва\n"
        "=cmd();8 903 123-45-67;;Тверь\n"
        "[bold]Пётр;123;;\n",
        encoding="cp1251",
    )
    return file


def test_a_preview_writes_nothing(dialer: Dialer, people: Path) -> None:
    result = dialer("contacts", "import", str(people), "--list", "first", "--dry-run")
    assert result.exit_code == 0
    assert "phone:mobile" in result.stdout
    assert "2 of 3 rows can be imported, 1 cannot. Nothing was written." in result.stdout
    assert json.loads(dialer("contacts", "list", "--format", "json").stdout) == []


def test_an_import_is_told_and_found(dialer: Dialer, people: Path) -> None:
    result = dialer("contacts", "import", str(people), "--list", "first")
    assert result.exit_code == 0
    assert "List first: 2 contacts added, 0 were there already, 1 rejected, of 3 rows" in result.stdout
    assert "people.rejects.csv" in result.stdout
    assert "Campaign first: 2 new contacts to call." in result.stdout
    assert "2 were there already" in dialer("contacts", "import", str(people), "--list", "first").stdout
    [anna, _] = json.loads(dialer("contacts", "list", "--list", "first", "--format", "json").stdout)
    assert (anna["name"], anna["numbers"]) == ("Анна", "+74951234567, +79161234567")
    rows = list(csv.DictReader(io.StringIO(dialer("contacts", "list", "--format", "csv").stdout)))
    assert [row["name"] for row in rows] == ["Анна", "'=cmd()"]
    [found] = json.loads(
        dialer("contacts", "list", "--number", "8 (916) 123-45-67", "--format", "json").stdout
    )
    assert found["id"] == anna["id"]
    assert len(json.loads(dialer("contacts", "list", "--number", "+79", "--format", "json").stdout)) == 2
    assert "first" in dialer("contacts", "lists").stdout
    missed = dialer("contacts", "list", "--list", "frist")
    assert (missed.exit_code, missed.stderr) == (
        1,
        "Error: There is no list 'frist' (there are: first).\n",
    )


def test_one_person_is_shown_whole(dialer: Dialer, people: Path) -> None:
    dialer("contacts", "import", str(people), "--list", "first")
    [shown] = json.loads(dialer("contacts", "show", "1", "--format", "json").stdout)
    assert shown["fields"] == {"Город": "Москва"}
    assert [one["kind"] for one in shown["phones"]] == ["main", "mobile"]
    text = dialer("contacts", "show", "1").stdout
    for part in ("field Город", "Москва", "phones", "leads", "attempts: nothing"):
        assert part in text
    assert dialer("contacts", "show", "99").stderr == "Error: There is no contact 99.\n"
    number = shown["phones"][0]["number"]
    assert json.loads(dialer("contacts", "show", number, "--format", "json").stdout) == [shown]
    assert "neither an id nor the number" in dialer("contacts", "show", "+79990000000").stderr


def test_a_number_may_be_written_as_in_its_country(dialer: Dialer, people: Path) -> None:
    dialer("contacts", "import", str(people), "--list", "first")
    whole, short = (dialer("contacts", "show", number).stdout for number in ("+74951234567", "4951234567"))
    assert whole == short
    assert "key" in short


def test_what_the_columns_were_taken_for_is_told(dialer: Dialer, tmp_path: Path) -> None:
    file = tmp_path / "zones.csv"
    file.write_text("name,phone,zone,city\nAnn,+79161234567,Asia/Omsk,Omsk\n", encoding="utf-8")
    result = dialer("contacts", "import", str(file), "--list", "first")
    told = "Columns: name as name, phone as phone:main, zone as field:zone, city as field:city."
    assert told in result.stdout
    assert "import the file into another list with --map timezone=zone" in result.stdout
    right = dialer("contacts", "import", str(file), "--list", "second", "--map", "timezone=zone").stdout
    assert "zone as timezone" in right
    assert "Warning" not in right
    turned = dialer("contacts", "import", str(file), "--list", "third", "--map", "zone=timezone")
    assert "The column comes last: timezone=zone?" in turned.stderr


def test_the_running_engine_is_told(dialer: Dialer, people: Path, engine: Any) -> None:
    engine.answers["POST /v1/campaigns/first/leads-added"] = (200, {})
    result = dialer("contacts", "import", str(people), "--list", "first")
    assert "The running engine knows of them for campaign first." in result.stdout
    engine.answers["POST /v1/campaigns/first/leads-added"] = (404, {"error": "there is no campaign"})
    result = dialer("contacts", "import", str(people), "--list", "first")
    assert result.exit_code == 0
    assert "was not told, for campaign first: there is no campaign" in result.stdout


def test_what_cannot_be_imported_is_one_message(dialer: Dialer, people: Path, tmp_path: Path) -> None:
    result = dialer("contacts", "import", str(people), "--list", "first", "--map", "phone=Nope")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "there is no column 'Nope'" in result.stderr
    assert dialer("contacts", "import", str(tmp_path / "none.csv"), "--list", "first").exit_code == 2
    assert "XX" in dialer("contacts", "import", str(people), "--list", "first", "--region", "XX").stderr


@pytest.mark.parametrize("wide", [False, True])
def test_numbers_on_a_do_not_call_list_are_told_and_imported(
    dialer: Dialer, people: Path, wide: bool
) -> None:
    dialer("dnc", "add", "+74951234567", "+79161234567", *(["+7903*"] if wide else []))
    dialer("dnc", "add", "+74951234567", "+79031234567", "--campaign", "first")
    # What stands on the list of all is not told again of the campaign's.
    told = [f"{2 + wide} numbers are on the do-not-call list of all campaigns: kept, and not dialed."]
    told += [] if wide else ["1 number is on that of campaign first: kept, and not dialed."]
    preview = dialer("contacts", "import", str(people), "--list", "first", "--dry-run").stdout
    result = dialer("contacts", "import", str(people), "--list", "first")
    for sentence in told:
        assert sentence in preview
        assert sentence in result.stdout
    assert "2 contacts added" in result.stdout
