"""Reports and recordings from the command line."""

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


@pytest.fixture
def ask(dialer: Dialer, busy_home: Path) -> Callable[..., Any]:
    """The rows that a command prints as JSON."""

    def call(*words: str) -> Any:
        result = dialer(*words, "--format", "json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


def test_attempts(ask: Any, dialer: Dialer) -> None:
    rows = ask("report", "attempts")
    assert [row["result"] for row in rows] == ["busy", "abandoned", "no_answer", "talked", None, None]
    assert "T" in rows[0]["created_at"]
    assert rows[3]["operator_result"] == "order"
    assert [row["result"] for row in ask("report", "attempts", "--limit", "4")] == [
        *[row["result"] for row in rows[2:]]
    ]
    text = dialer("report", "attempts").stdout
    for shown in ("no_answer", "+79161234501", "boris"):
        assert shown in text


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--campaign", "first"], 6),
        (["--agent", "boris"], 1),
        (["--result", "busy"], 1),
        (["--operator-result", "order"], 1),
        (["--number", "8 (916) 123-45-03"], 1),
        (["--contact", "4"], 1),
        (["--since", "2999-01-01"], 0),
        (["--until", "2001-01-01T12:00+03:00"], 0),
    ],
)
def test_attempts_are_chosen(ask: Any, options: list[str], count: int) -> None:
    assert len(ask("report", "attempts", *options)) == count


@pytest.mark.parametrize("listing", [["report", "attempts"], ["recordings", "list"]])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--campaign", "other"], "There is no campaign 'other' (there are: first)."),
        (["--agent", "vera"], "There is no agent 'vera' (there are: anna, boris)."),
        (["--contact", "99"], "There is no contact 99."),
    ],
)
def test_what_there_is_not_is_said_and_is_no_empty_listing(
    dialer: Dialer, busy_home: Path, listing: list[str], options: list[str], said: str
) -> None:
    result = dialer(*listing, *options)
    assert (result.exit_code, result.stderr) == (1, f"Error: {said}\n")


def test_what_cannot_be_chosen_is_said(dialer: Dialer, busy_home: Path) -> None:
    assert "There is no result 'x'; allowed are" in dialer("report", "attempts", "--result", "x").stderr
    assert dialer("report", "attempts", "--number", "12").stderr.startswith("Error: '12'")
    assert "is no time" in dialer("report", "attempts", "--since", "yesterday").stderr
    assert "There is no campaign 'x' (there are: first)" in dialer("report", "campaign", "x").stderr


def test_campaign(ask: Any, dialer: Dialer) -> None:
    [row] = ask("report", "campaign", "first")
    assert (row["attempts"], row["talked"], row["abandoned"], row["orders"]) == (6, 2 - 1, 1, 1)
    assert row["abandoned_share"] == 0.3333
    assert row["operator_results"] == {"order": 1}
    assert {one["result"] for one in ask("report", "campaign", "--by", "result")} == {
        "busy",
        "no_answer",
        "abandoned",
        "talked",
    }
    assert ask("report", "campaign", "--by", "operator_result")[0]["operator_result"] == "order"
    assert sum(one["attempts"] for one in ask("report", "campaign", "first", "--by", "hour")) == 6
    text = dialer("report", "campaign", "first").stdout
    assert (
        text.index("abandoned_share") < text.index("How attempts ended") < text.index("What operators said")
    )


def test_agents(ask: Any, dialer: Dialer) -> None:
    best, other = ask("report", "agents")
    assert (best["agent"], best["rank"], best["orders"], best["talk_s"]) == ("boris", 1, 1, 9.0)
    assert other["on_call_s"] > 0
    rows = list(csv.DictReader(io.StringIO(dialer("report", "agents", "--format", "csv").stdout)))
    assert json.loads(rows[0]["operator_results"]) == {"order": 1}
    assert "Anna [red]" in dialer("report", "agents").stdout


def test_machines(ask: Any, dialer: Dialer, busy_home: Path) -> None:
    assert ask("report", "machines") == []
    assert "Nobody was listened to in the last 30 days" in dialer("report", "machines").stdout
    with closing(sqlite3.connect(busy_home / "journal.sqlite3")) as journal, journal:
        journal.execute("UPDATE attempts SET listened_s = 0.8 WHERE answered_at IS NOT NULL")
        journal.execute(
            f"UPDATE attempts SET result = 'machine', listened_s = 1.4 WHERE attempt = 'a{1:020}'"
        )
    rows = ask("report", "machines", "--days", "2")  # yesterday's, if it is midnight just now
    assert sum(row["machines"] for row in rows) == 1
    assert sum(row["answered"] for row in rows) == sum(row["listened"] for row in rows) == 4
    if len(rows) == 1:
        assert (rows[0]["machine_share"], rows[0]["met"]) == (0.25, 0)
        assert (rows[0]["listened_s_mean"], rows[0]["listened_s_max"]) == (0.95, 1.4)
    assert "machine_share" in dialer("report", "machines", "--campaign", "first").stdout
    assert "no campaign 'x'" in dialer("report", "machines", "--campaign", "x").stderr


def test_recordings(ask: Any, dialer: Dialer, busy_home: Path) -> None:
    [row] = ask("recordings", "list")
    assert (row["length_s"], row["operator_result"], row["sha256"]) == (10.5, "order", "ab" * 32)
    assert ask("recordings", "list", "--min-length", "11") == []
    [missing] = ask("recordings", "list", "--missing")
    assert missing["missing"] == "the person hung up at once"
    assert "hung up at once" in dialer("recordings", "list", "--missing").stdout
    assert ask("recordings", "list", "--sample", "5") == [row]
    assert ask("recordings", "list", "--sample", "5", "--result", "machine") == []
    assert ask("recordings", "list", "--missing", "--sample", "1", "--seed", "7") == [missing]
    both = dialer("recordings", "list", "--sample", "5", "--limit", "5")
    assert "--sample and --limit cannot be asked for at once" in both.stderr
    path = busy_home / "recordings" / row["path"]
    result = dialer("recordings", "path", row["attempt"])
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: The recording of {row['attempt']} should be {path}, and is not there.\n",
    )
    path.parent.mkdir()
    path.touch()
    assert dialer("recordings", "path", row["attempt"]).stdout == f"{path}\n"


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (3, "the person hung up at once"),
        (1, "was not answered"),
        (5, "not finished yet"),
        (9, "There is no attempt"),
    ],
)
def test_why_there_is_no_recording(dialer: Dialer, busy_home: Path, number: int, why: str) -> None:
    result = dialer("recordings", "path", f"a{number:020}")
    assert result.exit_code == 1
    assert why in result.stderr


def test_messages_that_callers_left(ask: Any, busy_home: Path) -> None:
    assert ask("recordings", "list", "--voicemail") == []
    [row] = ask("recordings", "list")
    with closing(sqlite3.connect(busy_home / "journal.sqlite3")) as journal, journal:
        journal.execute("UPDATE attempts SET choice = 'voicemail' WHERE attempt = ?", (row["attempt"],))
    assert ask("recordings", "list", "--voicemail") == [row]
    assert ask("recordings", "list", "--voicemail", "--sample", "3") == [row]


def test_a_recording_said_to_lie_elsewhere_is_not_touched(ask: Any, dialer: Dialer, busy_home: Path) -> None:
    [row] = ask("recordings", "list")
    (busy_home / "outside.wav").touch()
    with closing(sqlite3.connect(busy_home / "journal.sqlite3")) as journal, journal:
        journal.execute("UPDATE recordings SET path = '../outside.wav' WHERE attempt = ?", (row["attempt"],))
    result = dialer("recordings", "path", row["attempt"])
    assert result.exit_code == 1
    assert "lie outside" in result.stderr


def test_an_attempt_is_named_by_its_id(dialer: Dialer, busy_home: Path) -> None:
    assert dialer("recordings", "path", "../../etc/passwd").exit_code == 2
