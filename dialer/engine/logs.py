"""Logs: one line an entry, a sentence and then its facts as ``key=value``; or one JSON object.

Facts are given with ``extra={...}``. No secret and no header is ever given to a logger.
"""

from __future__ import annotations

import logging
import logging.handlers
from datetime import UTC, datetime
from pathlib import Path

import msgspec

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
FILE_BYTES_MAX = 20 * 1024 * 1024
FILES = 5


class Line(logging.Formatter):
    """An entry as text, or with *as_json* as one JSON object."""

    def __init__(self, *, as_json: bool = False) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The entry; line breaks in values are escaped, so an entry cannot pretend to be two."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        message = record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._as_json:
            entry = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": message}
            entry |= {key: str(value) for key, value in facts.items()} | ({"trace": trace} if trace else {})
            return msgspec.json.encode(entry).decode()
        text = " ".join([message, *(f"{key}={value}" for key, value in facts.items())])
        line = f"{at} {record.levelname:<7} {record.name}: {text}".replace("\n", "\\n").replace("\r", "\\r")
        return f"{line}\n{trace}" if trace else line


def set_up(folder: Path, level: str, *, to_terminal: bool) -> None:
    """Log to ``engine.log`` (as JSON) in *folder*, and to standard error if *to_terminal*."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    to_file = logging.handlers.RotatingFileHandler(
        folder / "engine.log", maxBytes=FILE_BYTES_MAX, backupCount=FILES, encoding="utf-8"
    )
    to_file.setFormatter(Line(as_json=True))
    handlers: list[logging.Handler] = [to_file]
    if to_terminal:
        terminal = logging.StreamHandler()
        terminal.setFormatter(Line())
        handlers.append(terminal)
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level.upper())
