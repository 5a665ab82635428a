"""Do-not-call lists from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Dialer = Callable[..., Result]


@pytest.fixture
def applied(dialer: Dialer) -> Dialer:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    return dialer


def test_how_many_people_an_entry_concerns_is_told(applied: Dialer, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "phone,mobile\n+74951234567,+79161234567\n,+79161234568\n", encoding="utf-8"
    )
    applied("contacts", "import", str(tmp_path / "p.csv"), "--list", "first")
    assert "+7*: is on the do-not-call list of all campaigns; contacts with such a number: 2." in (
        applied("dnc", "add", "+7*").stdout
    )
    one = applied("dnc", "add", "+74951234567", "+7495???4567", "+7812*").stdout.splitlines()
    assert [line.rpartition(" ")[2] for line in one[:2]] == ["1.", "1."]
    assert one[2] == "+7812*: is on the do-not-call list of all campaigns."


def listed(dialer: Dialer, *words: str) -> list[dict[str, Any]]:
    result = dialer("dnc", "list", *words, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def test_numbers_beginnings_and_patterns_are_put_on_a_list(applied: Dialer) -> None:
    result = applied(
        "dnc", "add", "8 (916) 123-45-67", "+7 495*", "+7 812 ???-00-00", "--source", "law", "--note", "n"
    )
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            "+79161234567: is on the do-not-call list of all campaigns.",
            "+7495*: is on the do-not-call list of all campaigns.",
            "+7812???0000: is on the do-not-call list of all campaigns.",
            "No engine runs now; it holds from the next start on.",
        ],
    )
    again = applied("dnc", "add", "+79161234567", "--campaign", "first")
    assert "is on the do-not-call list of campaign first." in again.stdout
    same = applied("dnc", "add", "+79161234567")
    assert same.stdout == "+79161234567: was already on the do-not-call list of all campaigns.\n"
    rows = listed(applied)
    assert [(row["number"], row["kind"], row["campaign"], row["source"]) for row in rows] == [
        ("+79161234567", "number", None, "law"),
        ("+7495*", "prefix", None, "law"),
        ("+7812???0000", "pattern", None, "law"),
        ("+79161234567", "number", "first", "command"),
    ]
    assert rows[0]["note"] == "n"
    assert "T" in rows[0]["added_at"]
    assert [row["id"] for row in listed(applied, "--campaign", "first")] == [rows[3]["id"]]
    assert len(listed(applied, "--everywhere")) == 3
    assert [row["number"] for row in listed(applied, "--number", "+74")] == ["+7495*"]
    assert len(listed(applied, "--number", "8 916 123 45 67")) == 2
    assert [row["kind"] for row in listed(applied, "--kind", "pattern")] == ["pattern"]
    assert [row["id"] for row in listed(applied, "--after", str(rows[0]["id"]), "--limit", "2")] == [
        rows[1]["id"],
        rows[2]["id"],
    ]
    assert "+7812???0000" in applied("dnc", "list").stdout
    assert applied("dnc", "list", "--format", "csv").stdout.splitlines()[0].startswith("id,number,kind,")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["8495*"], "'8495*' must begin with + and the country code"),
        (["+7495?*?"], "cannot stand on a do-not-call list"),
        (["+*"], "cannot stand on a do-not-call list"),
        (["12"], "'12' has too few digits"),
        (["+79161234567", "--campaign", "other"], "There is no campaign 'other' (there are: first)."),
    ],
)
def test_what_cannot_stand_on_a_list_changes_nothing(applied: Dialer, words: list[str], said: str) -> None:
    result = applied("dnc", "add", "+79161234568", *words)
    assert (result.exit_code, said in result.stderr) == (1, True), result.output
    assert listed(applied) == []


def test_the_running_engine_is_told(applied: Dialer, engine: Any) -> None:
    path = "POST /v1/do-not-call-changed"
    engine.answers[path] = (200, {})
    assert applied("dnc", "add", "+79161234567").stdout.endswith("The running engine has it.\n")
    applied("dnc", "add", "+79161234567")
    assert engine.asked.count(path) == 1, "nothing was changed"
    assert applied("dnc", "remove", "+79161234567").stdout.endswith("The running engine has it.\n")
    assert engine.asked.count(path) == 2
    engine.answers[path] = (503, {"error": "the journal is full"})
    result = applied("dnc", "add", "+79161234567")
    assert result.exit_code == 1
    assert (
        "nobody is dialed against it; but the running engine was not told: the journal is full"
        in result.stderr
    )
    assert len(listed(applied)) == 1


def test_what_is_removed_was_there_and_is_remembered(applied: Dialer) -> None:
    applied("dnc", "add", "+79161234567", "+7495*")
    applied("dnc", "add", "+79161234567", "--campaign", "first")
    missing = applied("dnc", "remove", "+7495*", "+7499*")
    assert (missing.exit_code, "+7499*. Nothing was removed" in missing.stderr) == (1, True)
    assert len(listed(applied)) == 3
    assert (
        "is no longer on the do-not-call list of all campaigns"
        in applied("dnc", "remove", "89161234567").stdout
    )
    assert [(row["number"], row["campaign"]) for row in listed(applied)] == [
        ("+7495*", None),
        ("+79161234567", "first"),
    ]
    kept = {row["number"]: row for row in listed(applied, "--removed", "--everywhere")}
    assert kept["+79161234567"]["removed_at"]
    assert kept["+7495*"]["removed_at"] is None


def test_a_number_is_checked_against_all_entries(applied: Dialer) -> None:
    applied("dnc", "add", "+7495*", "+7495???4567", "+74951234567", "--source", "law")
    applied("dnc", "add", "+79161234567", "--campaign", "first")
    rows = json.loads(applied("dnc", "check", "8 495 123 45 67", "--format", "json").stdout)
    assert [row["number"] for row in rows] == ["+74951234567", "+7495*", "+7495???4567"]
    table = applied("dnc", "check", "8 495 123 45 67").stdout
    assert table.startswith("+74951234567: is not called by any campaign.\n")
    assert "law" in table
    assert applied("dnc", "check", "8 916 123 45 67").stdout.startswith(
        "+79161234567: is not called by first."
    )
    assert applied("dnc", "check", "89161234568").stdout == "+79161234568: nothing bars it.\n"
    assert json.loads(applied("dnc", "check", "89161234568", "--format", "json").stdout) == []
    assert "'7' is not a telephone number" in applied("dnc", "check", "7").stderr


# -- files --------------------------------------------------------------------------------


def test_a_text_with_a_number_on_each_line(applied: Dialer, tmp_path: Path) -> None:
    file = tmp_path / "optout.txt"
    file.write_text("8 (916) 123-45-67\n\n+7495*\n12\n+79161234567\nсто\n", encoding="utf-8")
    result = applied("dnc", "import", str(file), "--dry-run")
    assert "3 of 5 rows can be imported, 2 cannot. Nothing was written." in result.stdout
    assert listed(applied) == []
    result = applied("dnc", "import", str(file))
    assert result.exit_code == 0, result.output
    assert (
        "2 numbers are on the do-not-call list of all campaigns now, 1 were there already, 2 rejected, of 5 rows"
        in (result.stdout)
    )
    assert [(row["number"], row["source"]) for row in listed(applied)] == [
        ("+79161234567", "optout.txt"),
        ("+7495*", "optout.txt"),
    ]
    rejected = tmp_path / "optout.rejects.csv"
    with rejected.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [(row["number"], row["reject_line"]) for row in rows] == [("12", "4"), ("сто", "6")]
    assert "too few digits" in rows[0]["reject_reason"]
    rejected.write_text(rejected.read_text(encoding="utf-8-sig").replace("\n12,", "\n89161234560,"))
    again = applied("dnc", "import", str(rejected))
    assert (
        "1 numbers are on the do-not-call list of all campaigns now, 0 were there already, 1 rejected, of 2"
        in again.stdout
    )


def test_a_csv_with_notes_for_one_campaign(applied: Dialer, tmp_path: Path) -> None:
    file = tmp_path / "optout.csv"
    file.write_text("Дата;Телефон;Причина\n1.2.;89161234567;судится\n2.2.;89161234568;\n", encoding="cp1251")
    result = applied(
        "dnc", "import", str(file), "--campaign", "first", "--source", "court", "--note", "asked"
    )
    assert "the numbers are in 'Телефон'" in result.stdout
    assert [(row["number"], row["campaign"], row["source"], row["note"]) for row in listed(applied)] == [
        ("+79161234567", "first", "court", "судится"),
        ("+79161234568", "first", "court", "asked"),
    ]


@pytest.mark.parametrize(
    ("text", "options", "numbers"),
    [
        ("a,b\n1,89161234567\n", ["--column", "b"], ["+79161234567"]),
        ("a,b\n1,89161234567\n", ["--column", "#2"], ["+79161234567"]),
        ("x,89161234567\ny,89161234568\n", [], ["+79161234567", "+79161234568"]),
        ("opt-outs\n89161234567\n", [], ["+79161234567"]),
        ("020 7946 0958\n", ["--region", "GB"], ["+442079460958"]),
    ],
)
def test_where_the_numbers_are(
    applied: Dialer, tmp_path: Path, text: str, options: list[str], numbers: list[str]
) -> None:
    file = tmp_path / "optout.csv"
    file.write_text(text)
    result = applied("dnc", "import", str(file), *options)
    assert result.exit_code == 0, result.output
    assert [row["number"] for row in listed(applied)] == numbers


def test_a_file_that_is_none_is_one_message(applied: Dialer, tmp_path: Path) -> None:
    file = tmp_path / "optout.csv"
    file.write_text("a,b\n1,2\n")
    result = applied("dnc", "import", str(file))
    assert (result.exit_code, "no column is known to hold phone numbers" in result.stderr) == (1, True)
    assert (
        "There is no campaign 'x'"
        in applied("dnc", "import", str(file), "--column", "b", "--campaign", "x").stderr
    )
