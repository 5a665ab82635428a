"""``dialer campaign check`` from the command line, and what ``start`` says when there is nobody to call."""

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
def people(tmp_path: Path, dialer: Dialer) -> Dialer:
    """Three contacts in a campaign that calls at any time; one has only a number that nobody may call."""
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    dialer("campaign", "set", "first", "hours.any_time=true")
    file = tmp_path / "people.csv"
    file.write_text("name,phone\nAnna,84951234567\nPjotr,84951234568\nVera,84951234569\n")
    assert dialer("contacts", "import", str(file), "--list", "first").exit_code == 0
    dialer("dnc", "add", "+7 495 123 45 69*")
    return dialer


def test_a_dry_run_for_people(people: Dialer, tmp_path: Path) -> None:
    result = people("campaign", "check", "first", "--hours", "3")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Campaign first (new) at ")
    assert lines[0].endswith(": 3 contacts, as things are now")
    assert lines[1:3] == ["  2 may be dialed in the next 3 hours", "  1 never by a rule, 0 done"]
    bars = [line.split() for line in lines if "█" in line]
    assert [bar[-3:-1] for bar in bars] == [["2", "2"], ["0", "2"], ["0", "2"]]
    assert len(bars[0][-1]) == 30
    assert any(line.split()[:2] == ["blocked", "1"] and line.split()[-1] == "3" for line in lines)
    assert "Warning: No operator works for the campaign: `dialer agent add NAME --phone N`." in lines
    assert (
        "Warning: The engine places no calls now: no engine runs: `dialer up` or `dialer serve` starts one."
        in lines
    )
    never = tmp_path / "never.csv"
    assert f"All of them: {never}" in people("campaign", "check", "first", "--never", str(never)).stdout
    rows = list(csv.DictReader(io.StringIO(never.read_text(encoding="utf-8-sig"))))
    assert [(row["contact"], row["reason"]) for row in rows] == [("3", "blocked")]
    again = people("campaign", "check", "first", "--never", str(never))
    assert (again.exit_code, "File exists" in again.stderr) == (1, True)


def test_a_dry_run_for_programs(people: Dialer) -> None:
    [found] = json.loads(people("campaign", "check", "first", "--format", "json").stdout)
    assert (found["campaign"], found["contacts"], found["later"], len(found["hours"])) == ("first", 3, 0, 48)
    assert (found["hours"][0]["new"], found["hours"][47]["open"]) == (2, 2)
    assert found["never"] == [
        {
            "reason": "blocked",
            "contacts": 1,
            "examples": [3],
            "is_done": False,
            "says": "the number begins like, or fits, a do-not-call entry",
        }
    ]
    assert any("at any time of the day and the night" in sentence for sentence in found["warnings"])
    rows = list(csv.DictReader(io.StringIO(people("campaign", "check", "first", "--format", "csv").stdout)))
    assert len(rows) == 48
    assert (rows[0]["new"], rows[1]["new"], rows[1]["open"]) == ("2", "0", "2")
    missing = people("campaign", "check", "other")
    assert (missing.exit_code, "There is no campaign 'other'" in missing.stderr) == (1, True)


def test_a_campaign_that_has_nobody_to_call_says_so(people: Dialer, engine: Any) -> None:
    engine.answers["POST /v1/campaigns/first/start"] = (200, {})
    assert people("campaign", "start", "first").stdout == "Campaign first: started.\n"
    people("dnc", "add", "84951234567", "84951234568", "84951234569")
    engine.answers["POST /v1/campaigns/first/resume"] = (200, {})
    assert people("campaign", "resume", "first").stdout == (
        "Campaign first: resumed. But it has nobody left to call: it is done with all 3 contacts."
        " `dialer campaign check first` says why.\n"
    )


def test_a_campaign_that_takes_calls_need_not_call_anybody(dialer: Dialer, engine: Any) -> None:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    dialer("campaign", "set", "first", 'inbound.numbers=["+74951234567"]')
    engine.answers["POST /v1/campaigns/first/start"] = (200, {})
    assert dialer("campaign", "start", "first").stdout == (
        "Campaign first: started. It has nobody to call now, and takes calls to +74951234567.\n"
    )


def test_a_campaign_of_empty_lists_says_so(dialer: Dialer, engine: Any) -> None:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    engine.answers["POST /v1/campaigns/first/start"] = (200, {})
    assert (
        "But it has nobody to call: nobody is in its lists (first)."
        in dialer("campaign", "start", "first").stdout
    )
    dialer("campaign", "set", "first", "lists=[]")
    assert "its `lists` are empty" in dialer("campaign", "start", "first").stdout
