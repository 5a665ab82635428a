"""``dialer why``, ``dialer callback`` and what ``contacts show`` tells of both, from the command line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Dialer = Callable[..., Result]
DUE = datetime(2050, 3, 1, 7, tzinfo=UTC).timestamp()


@pytest.fixture
def people(tmp_path: Path, dialer: Dialer) -> Path:
    """Two contacts, one in Omsk with two numbers, in a campaign that calls at any time."""
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    dialer("campaign", "set", "first", "hours.any_time=true")
    dialer("agent", "add", "anna", "--phone", "101")
    file = tmp_path / "people.csv"
    file.write_text("name,phone,mobile,tz\nАнна,84951234567,+79161234567,Asia/Omsk\nPjotr,84951234567,,\n")
    assert dialer("contacts", "import", str(file), "--list", "first").exit_code == 0
    return file


def asked(dialer: Dialer, *words: str) -> list[dict[str, Any]]:
    result = dialer("why", *words, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def test_why_is_told_to_people_and_to_programs(dialer: Dialer, people: Path) -> None:
    [answer] = asked(dialer, "1")
    assert (
        answer["contact"],
        answer["campaign"],
        answer["when"],
        answer["rule"],
        answer["may_be_dialed"],
    ) == (
        1,
        "first",
        "now",
        "campaign_not_running",
        False,
    )
    assert answer["zones"] == ["Asia/Omsk"]
    assert [layer["layer"] for layer in answer["layers"]] == [
        "campaign",
        "lead",
        "number",
        "number",
        "operators",
        "engine",
        "turn",
    ]
    assert [layer["rule"] for layer in answer["layers"] if layer["layer"] == "engine"] == ["no_engine"]
    text = dialer("why", "1").stdout
    assert text.startswith("Contact 1 (Анна), campaign first: ")
    assert "Is not dialed: the campaign does not run (campaign_not_running)." in text
    assert "\nBesides: no operator is ready (no_operator_idle), no engine is at work (no_engine).\n" in text
    for part in ("+79161234567 mobile", "no_operator_idle", "no engine runs: `dialer up`", "(Asia/Omsk)"):
        assert part in text
    assert "0 of 3 attempts; called at any time" in text


def test_a_number_that_no_trunk_may_call_is_told_by_its_rule(dialer: Dialer, people: Path) -> None:
    assert dialer("campaign", "set", "first", 'countries=["+44"]').exit_code == 0
    [answer] = asked(dialer, "2")
    [number] = [layer for layer in answer["layers"] if layer["layer"] == "number"]
    assert number["rule"] == "destination"
    assert "may call what the campaign does: +44" in number["says"], number
    checked = dialer("campaign", "check", "first")
    assert "destination" in checked.output, checked.output
    assert "no trunk" in checked.output, checked.output


def test_all_contacts_with_the_number_are_asked(dialer: Dialer, people: Path) -> None:
    assert [answer["contact"] for answer in asked(dialer, "8 (495) 123-45-67")] == [1, 2]
    assert [answer["contact"] for answer in asked(dialer, "+79161234567", "--campaign", "first")] == [1]
    assert dialer("why", "84951234567").stdout.count("Contact ") == 2


def test_an_engine_that_runs_is_asked(dialer: Dialer, people: Path, engine: Any) -> None:
    engine.answers["GET /v1/health"] = (200, {"why_not": [], "trunks": {"carrier": False}})
    [answer] = asked(dialer, "1")
    assert [layer["rule"] for layer in answer["layers"] if layer["layer"] == "trunk"] == ["trunk_down"]
    engine.answers["GET /v1/health"] = (
        200,
        {"why_not": ["events lag", "the engine is leaving"], "trunks": {}},
    )
    [answer] = asked(dialer, "1")
    [layer] = [layer for layer in answer["layers"] if layer["layer"] == "engine"]
    assert (layer["rule"], layer["says"]) == ("not_originating", "events lag; the engine is leaving")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["99"], "There is no contact 99."),
        (["+79990000000"], "neither an id nor the number of anybody"),
        (["1", "--campaign", "other"], "There is no campaign 'other' (there are: first)."),
    ],
)
def test_what_there_is_not(dialer: Dialer, people: Path, words: list[str], said: str) -> None:
    result = dialer("why", *words)
    assert (result.exit_code, said in result.stderr) == (1, True), result.output


def test_whom_no_campaign_calls(dialer: Dialer, people: Path) -> None:
    dialer("contacts", "import", str(people), "--list", "others")
    assert "Contact 3 is dialed by no campaign: none calls its list 'others'." in dialer("why", "3").stderr
    [answer] = asked(dialer, "3", "--campaign", "first")
    assert answer["layers"][1]["rule"] == "not_in_campaign"


def test_moments_can_be_given_in_many_ways(dialer: Dialer, people: Path) -> None:
    for at in ("2001-01-01", "-2h", "2001-01-01T10:00+06:00"):
        [answer] = asked(dialer, "1", "--at", at)
        assert (answer["when"], answer["rule"]) == ("past", "no_campaign")
    assert asked(dialer, "1", "--at", "+90m")[0]["when"] == "later"
    assert dialer("why", "1", "--at", "25:00").exit_code == 2
    assert "+90m" in dialer("why", "1", "--at", "soon").stderr


# -- callbacks ----------------------------------------------------------------------------


def test_a_callback_without_an_engine_is_written_down(dialer: Dialer, people: Path, home: Path) -> None:
    result = dialer(
        "callback", "+79161234567", "--campaign", "first", "--at", "2050-03-01T10:00+03:00", "--agent", "anna"
    )
    assert result.exit_code == 0, result.output
    assert "by anna; there: Tue 13:00 (Asia/Omsk)." in result.stdout
    assert result.stdout.endswith("No engine runs now; it is kept for the next one.\n")
    assert "Warning" not in result.stdout
    [shown] = json.loads(dialer("contacts", "show", "1", "--format", "json").stdout)
    [lead] = shown["leads"]
    assert (lead["is_callback"], lead["owner"], lead["owned_until_at"]) == (True, "anna", None)
    assert lead["due_at"] == DUE
    with closing(sqlite3.connect(home / "journal.sqlite3")) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,), "no engine was told it"
        assert connection.execute("SELECT why FROM lead_states").fetchall() == [("callback",)]
    [answer] = asked(dialer, "1", "--at", "2050-03-01T09:00+03:00")
    assert answer["layers"][1]["rule"] == "not_due"


def test_a_callback_is_the_running_engines_business(dialer: Dialer, people: Path, engine: Any) -> None:
    path = "POST /v1/campaigns/first/callback"
    engine.answers[path] = (200, {})
    result = dialer("callback", "1", "--campaign", "first", "--at", "2050-03-01T10:00+03:00")
    assert result.stdout.endswith("The running engine has it.\n")
    assert "by anyone" in result.stdout
    assert engine.bodies[-1] == {"lead": 1, "due": DUE, "agent": None}
    engine.answers[path] = (503, {"error": "The journal could not be written."})
    refused = dialer("callback", "1", "--campaign", "first", "--at", "2050-03-01T10:00+03:00")
    assert (refused.exit_code, refused.stderr) == (1, "Error: The journal could not be written.\n")


def test_a_time_at_which_they_may_not_be_called_is_warned_of(dialer: Dialer, people: Path) -> None:
    dialer("campaign", "set", "first", "hours.any_time=false")
    night = dialer("callback", "1", "--campaign", "first", "--at", "2050-03-01T23:00+03:00")
    assert night.exit_code == 0, night.output
    assert (
        "Warning: they may not be called then, for it is outside calling hours (hours); not before "
        in night.stdout
    )
    dialer("dnc", "add", "+79161234567", "+74951234567")
    never = dialer("callback", "1", "--campaign", "first", "--at", "2050-03-01T10:00+03:00")
    assert (
        "Warning: they will not be called, for the number is on the do-not-call list of all campaigns"
        in never.stdout
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["1", "--campaign", "first", "--at", "2001-01-01"], "is past: nobody can be called back then"),
        (["1", "--campaign", "first", "--at", "+2h", "--agent", "vera"], "There is no agent 'vera'"),
        (["1", "--campaign", "other", "--at", "+2h"], "There is no campaign 'other'"),
        (["3", "--campaign", "first", "--at", "+2h"], "Contact 3 is not in campaign first"),
        (["84951234567", "--campaign", "first", "--at", "+2h"], "84951234567 is of several contacts: 1, 2"),
    ],
)
def test_callbacks_that_cannot_be(dialer: Dialer, people: Path, words: list[str], said: str) -> None:
    dialer("contacts", "import", str(people), "--list", "others")
    result = dialer("callback", *words)
    assert (result.exit_code, said in result.stderr) == (1, True), result.output


def test_a_contact_is_shown_with_zones_and_do_not_call(dialer: Dialer, people: Path) -> None:
    dialer("dnc", "add", "+7495*", "--source", "law")
    dialer("dnc", "add", "+74951234567", "--campaign", "first")
    [anna] = json.loads(dialer("contacts", "show", "1", "--format", "json").stdout)
    assert anna["zone"] == "Asia/Omsk"
    assert [phone["zones"] for phone in anna["phones"]] == [["Asia/Omsk"], ["Asia/Omsk"]]
    assert [phone["do_not_call"] for phone in anna["phones"]] == [
        ["+74951234567 of first", "+7495* of all"],
        [],
    ]
    [pjotr] = json.loads(dialer("contacts", "show", "2", "--format", "json").stdout)
    assert pjotr["phones"][0]["zones"] == ["Europe/Moscow"]
    text = dialer("contacts", "show", "1").stdout
    assert "Asia/Omsk" in text
    assert "+7495* of all" in text
