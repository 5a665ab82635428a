"""The board's facts, from a journal in which a little of everything happened."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dialer.office.pacingpanel import PacingLine
from dialer.office.watch import Facts
from dialer.store import board
from dialer.store.connect import open_reader


def test_the_facts(busy_home: Path) -> None:
    now = time.time()
    with closing(open_reader(busy_home / "journal.sqlite3")) as connection:
        found = board.moment(connection, now, now - 3600)
        [campaign] = board.campaigns(connection)
        later = board.moment(connection, now, now - 200)
    assert found["calls"] == {"first": {"connected": 1, "ringing": 1}}
    assert found["results"] == {"busy": 1, "no_answer": 1, "abandoned": 1, "talked": 1}
    assert later["results"] == {"no_answer": 1, "abandoned": 1, "talked": 1}
    assert found["operator_results"] == {"order": 1}
    assert found["abandoned_share"] == 1 / 3
    assert found["retries"] == 2
    assert abs(found["next_retry"] - now - 100) < 30
    assert found["last_minute"] == {"attempts": 4, "answered": 2, "talked": 2}
    anna, boris = found["agents"]
    assert (anna["name"], anna["state"], anna["with_whom"]) == ("Anna [red]", "on_call", "+79161234505")
    assert (boris["state"], boris["with_whom"]) == ("signed_out", "")
    assert campaign == {
        "id": "first",
        "title": "First campaign",
        "state": "running",
        "mode": "progressive",
        "waiting": 8,
        "finished": 1,
    }


def test_nothing_happened(home: Path) -> None:
    with closing(open_reader(home / "journal.sqlite3")) as connection:
        found = board.moment(connection, 1e9, 0.0)
    assert found["abandoned_share"] is None
    assert (found["retries"], found["next_retry"]) == (0, None)
    assert found["last_minute"] == {"attempts": 0, "answered": 0, "talked": 0}


def test_no_question_of_the_moment_reads_a_whole_table(busy_home: Path) -> None:
    """The board is asked every second, beside an engine that writes, on a journal of any size."""
    questions = {name: text for name, text in vars(board).items() if re.fullmatch(r"_[A-Z_]+", name)}
    questions = {name: text for name, text in questions.items() if isinstance(text, str) and "SELECT" in text}
    assert len(questions) >= 7
    with closing(open_reader(busy_home / "journal.sqlite3")) as connection:
        for name, text in questions.items():
            names = {"since": 0, "begun": 0}
            parameters: Any = names if ":since" in text else (0,) * text.count("?")
            for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters):
                whole = re.match(r"SCAN (attempts|a|l)\b(?! USING)", row["detail"])
                assert not whole, f"{name}: {row['detail']}"


def test_the_engines_word_is_a_part_of_it(busy_home: Path, engine: Any) -> None:
    engine.answers["GET /v1/health"] = (
        200,
        {"pbx_connected": True, "journal_ok": True, "live_calls": 2, "new": 1},
    )
    with closing(Facts(busy_home)) as facts:
        found = facts.collect()
        assert found.health is not None
        assert found.health.live_calls == 2
        assert found.campaigns[0].calls == {"connected": 1, "ringing": 1}
        engine.answers["GET /v1/health"] = (200, {"pbx_connected": "?"})
        found = facts.collect()
        assert found.health is None
        assert found.trouble


def test_the_engines_pacing_is_a_part_of_it(busy_home: Path, engine: Any) -> None:
    engine.answers["GET /v1/health"] = (200, {"pbx_connected": True, "journal_ok": True})
    decided = {
        "at": 5.0,
        "placed": 2,
        "limit": "cap",
        "figures": {"idle": 1, "risk": None},
        "note": "n",
        "more": 1,
    }
    told = {"campaign": "first", "mode": "predictive", "last": decided, "answered": 10, "abandoned": 1}
    engine.answers["GET /v1/pacing"] = (
        200,
        {"campaigns": [{**told, "share_max": 0.01, "bound": [0.0, 0.4]}]},
    )
    with closing(Facts(busy_home)) as facts:
        [campaign] = facts.collect().campaigns
        assert campaign.pacing == PacingLine(
            at=5.0,
            limit="cap",
            figures={"idle": 1.0, "risk": None},
            note="n",
            answered=10,
            abandoned=1,
            share_max=0.01,
            high=0.4,
        )
        for answer in ((200, {"campaigns": "?"}), (404, {"error": "of an older version"})):
            engine.answers["GET /v1/pacing"] = answer
            found = facts.collect()
            assert found.health is not None
            assert found.campaigns[0].pacing is None


def test_the_live_board_ends_cleanly(busy_home: Path) -> None:
    """On a real terminal: it is drawn, Ctrl-C ends it with status 0, the screen is given back."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        master, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", "import cli; cli.main()", "watch"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={
                **os.environ,
                "OBZVON_HOME": str(busy_home),
                "TERM": "xterm-256color",
                "COLUMNS": "90",
                "LINES": "30",
            },
            start_new_session=True,
        )
        os.close(terminal)
        try:
            shown = read_until(master, "Operators")
            process.send_signal(sign)
            shown += read_until(master, "\x1b[?1049l")
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            os.close(master)
        assert "Anna [red]" in shown
        assert "Traceback" not in shown


def read_until(terminal: int, text: str, within_s: float = 30.0) -> str:
    """What the terminal shows, up to and with *text*."""
    shown = b""
    until = time.monotonic() + within_s
    while text.encode() not in shown:
        assert time.monotonic() < until, shown[-500:]
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                break  # the other side is closed
    assert text.encode() in shown, shown[-2000:]
    return shown.decode(errors="replace")


def test_a_journal_that_vanishes_is_said(busy_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from dialer.office import watch

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with closing(Facts(busy_home)) as facts:
        monkeypatch.setattr(board, "moment", broken)
        console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
        console.print(watch._frame(facts, console))
        console.file.close()
    assert "The journal cannot be read: disk I/O error" in console.export_text()
