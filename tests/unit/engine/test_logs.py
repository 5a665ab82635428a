"""The log's two forms."""

from __future__ import annotations

import json
import logging
import stat
import sys
from pathlib import Path

import pytest

from dialer.engine.logs import Line, set_up


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


def test_as_json_an_entry_is_one_object():
    entry = json.loads(Line(as_json=True).format(record("Events lag", lag_s=1.5)))
    assert entry == {
        "at": "2023-11-14T22:13:20.500+00:00",
        "level": "warning",
        "logger": "obzvon.test",
        "message": "Events lag",
        "lag_s": "1.5",
    }


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
