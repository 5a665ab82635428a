"""The log's two forms."""

from __future__ import annotations

import ast
import json
import logging
import math
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dialer
from dialer.core.commands import HangUp, Originate
from dialer.core.ids import AgentId, AttemptId, CampaignId, ChannelId, TrunkId, leg_of
from dialer.engine.logs import Line, about_command, set_up, tell_end, without_numbers
from tests.unit.engine.parts import attempt, ended

DIALER = Path(dialer.__file__).parent


def record(message: str, *args: object, exc_info: object = None, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("obzvon.test", logging.WARNING, __file__, 1, message, args, exc_info)  # type: ignore[arg-type]
    made.created = 1_700_000_000.5
    vars(made).update(facts)
    return made


def test_a_line_is_a_sentence_and_then_its_facts():
    line = Line().format(record("The journal %s.", "fails", action="save", depth=3))
    assert line == (
        "2023-11-14T22:13:20.500+00:00 WARNING obzvon.test: The journal fails. action=save depth=3"
    )


def test_an_entry_cannot_pretend_to_be_two():
    name = "Ann\n2023-11-14T22:13:20.500+00:00 ERROR root: forged\r\nmore"
    line = Line().format(record("Imported %s", name, error=name))
    assert len(line.splitlines()) == 1
    assert "Ann\\n2023" in line
    as_json = Line(as_json=True).format(record("Imported %s", name, error=name))
    assert len(as_json.splitlines()) == 1
    assert json.loads(as_json)["error"] == name


def test_what_others_say_moves_no_cursor():
    line = Line().format(record("Refused %s", "\x1b[2J\x9b31m\x07", error="\u202eevil\u2028"))
    assert line.isascii()
    assert line.isprintable()
    assert "\\x1b[2J" in line


def test_as_json_an_entry_is_one_object():
    entry = json.loads(Line(as_json=True).format(record("Events lag", lag_s=1.5)))
    assert entry == {
        "at": "2023-11-14T22:13:20.500+00:00",
        "level": "warning",
        "logger": "obzvon.test",
        "message": "Events lag",
        "lag_s": 1.5,
    }


def test_as_json_numbers_are_numbers_and_truths_are_truths():
    facts: dict[str, Any] = {
        "n": 3,
        "is_late": True,
        "lag_s": 0.5,
        "agent": None,
        "path": Path("/x"),
        "odd": math.nan,
    }
    entry = json.loads(Line(as_json=True).format(record("x", **facts)))
    assert {name: entry[name] for name in facts} == facts | {"path": "/x", "odd": "nan"}


@pytest.mark.parametrize(
    "text",
    [
        "+79161234567",
        "no route to PJSIP/79161234567@trunk-north",
        "sip:00979161234567@10.0.0.1:5060 refused",
        "answered +79161234567, then +74951234567",
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_no_telephone_number_is_written(text: str, as_json: bool):
    try:
        raise ValueError(text)
    except ValueError:
        made = record("Failed: %s", text, error=text, fault=ValueError(text), exc_info=sys.exc_info())
    line = Line(as_json=as_json).format(made)
    assert "1234567" not in line
    assert line.count("+...") >= 4


def test_what_is_no_number_stays():
    text = "a01700000000000123456, port 5060, 2023-11-14T22:13:20.500+00:00, +100.5 s, 127.0.0.1:25000"
    assert without_numbers(text) == text


ATTEMPT = AttemptId("a" + "0" * 20)


@pytest.mark.parametrize(
    ("command", "facts"),
    [
        (HangUp(channel=ChannelId(ATTEMPT)), {"channel": ATTEMPT, "attempt": ATTEMPT}),
        (
            HangUp(channel=leg_of(ATTEMPT, AgentId("ann-2"))),
            {"channel": f"leg-{ATTEMPT}-ann-2", "attempt": ATTEMPT, "agent": "ann-2"},
        ),
        (HangUp(channel=ChannelId("1700000000.5")), {"channel": "1700000000.5"}),
        (HangUp(channel=ChannelId("leg-x")), {"channel": "leg-x"}),
        (
            Originate(
                attempt=ATTEMPT,
                campaign=CampaignId("spring"),
                trunk=TrunkId("north"),
                number="+79161234567",
                caller_id="+74951234567",
                ring_s=1.0,
                record=True,
            ),
            {"attempt": ATTEMPT, "campaign": "spring", "trunk": "north"},
        ),
    ],
)
def test_an_entry_about_an_order_bears_whom_it_is_about(command, facts):
    assert about_command(command) == {"action": type(command).__name__, **facts}


def test_each_call_that_ended_is_an_entry(caplog):
    with caplog.at_level("INFO"):
        tell_end(ended(1, agent=AgentId("ann"), cause=16, tech_cause=None))
    entry = json.loads(Line(as_json=True).format(caplog.records[-1]))
    wanted: dict[str, Any] = {
        "action": "call_ended",
        "attempt": attempt(1),
        "campaign": "spring",
        "agent": "ann",
    }
    wanted |= {
        "trunk": "north",
        "server": "",
        "direction": "out",
        "result": "talked",
        "cause": 16,
        "sip": None,
    }
    assert entry.items() >= wanted.items()
    assert "7916" not in json.dumps(entry)


SOURCES = [path for room in ("engine", "pbx", "timers", "store") for path in (DIALER / room).rglob("*.py")]
_WRITES = {"debug", "info", "warning", "error", "exception", "log", "critical"}


def entries(path: Path) -> Iterator[ast.Call]:
    """The calls of ``log.info`` and its like in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=attr)) if attr in _WRITES:
                yield node


def actions() -> set[str]:
    """Every action that the code names."""
    found = {"call_ended"}
    for path in SOURCES:
        found |= set(re.findall(r'"action": "(\w+)"', path.read_text()))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_entry_says_what_was_being_done(path: Path):
    for entry in entries(path):
        extra = next((one.value for one in entry.keywords if one.arg == "extra"), None)
        assert extra is not None, f"{path}:{entry.lineno}"
        text = ast.unparse(extra)
        assert (
            "'action'" in text or '"action"' in text or "about_command" in text or path.name == "logs.py"
        ), f"{path}:{entry.lineno}"


def test_the_page_on_logs_lists_the_actions():
    text = (DIALER.parent / "docs/logs.md").read_text()
    listed = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert listed == actions()


def test_a_fault_brings_its_trace():
    try:
        raise ValueError("broken")
    except ValueError:
        failed = record("A fault", exc_info=sys.exc_info())
    assert "ValueError: broken" in Line().format(failed)
    assert "ValueError: broken" in json.loads(Line(as_json=True).format(failed))["trace"]


@pytest.fixture
def root():
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        if handler not in handlers:
            handler.close()
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(level)


def test_setting_up_writes_json_to_a_folder_of_our_own(tmp_path: Path, root, capsys):
    folder = tmp_path / "log"
    set_up(folder, "info", to_terminal=True)
    logging.getLogger("obzvon.test").info("Hello", extra={"n": 1})
    logging.getLogger("obzvon.test").debug("Not wanted")
    (line,) = (folder / "engine.log").read_text().splitlines()
    assert json.loads(line)["message"] == "Hello"
    assert "Hello n=1" in capsys.readouterr().err
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_terminal_may_have_json_too(tmp_path: Path, root, capsys):
    set_up(tmp_path, "info", to_terminal=True, as_json=True)
    logging.getLogger("obzvon.test").info("Hello", extra={"n": 1})
    assert json.loads(capsys.readouterr().err)["n"] == 1
