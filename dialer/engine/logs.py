"""Logs: one line an entry, a sentence and then its facts as ``key=value``; or one JSON object.

1. Facts are given with ``extra={...}``: ``action`` says what was being done, and whatever is known of ``attempt``,
   ``campaign``, ``agent``, ``trunk`` and ``server`` stands beside it. In JSON numbers are numbers and truths are truths.
2. No secret and no header is ever given to a logger.
3. Telephone numbers are none of the log's business: who was called is in the journal, under the attempt's id. What
   others said (an error of Asterisk's) may hold one: whatever looks like it becomes ``+...`` here, the one place
   through which everything goes.
"""

from __future__ import annotations

import logging
import logging.handlers
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dialer.core.commands import AnyCommand
from dialer.core.ids import ChannelId, is_attempt, is_leg
from dialer.core.values import Call

log = logging.getLogger(__name__)

_Plain = str | int | float | bool | None
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
FILE_BYTES_MAX = 20 * 1024 * 1024
FILES = 5
_NUMBER = re.compile(r"\+\d{6,15}(?!\d)|(?<=[/:])\d{7,20}(?=@)")
"""E.164 with its plus sign; and the user part of an address (``PJSIP/78001234567@trunk-x``, ``sip:...@host``)."""
_UNTOLD = "+..."
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What would break a line, move a terminal's cursor, or turn a text round."""


class Line(logging.Formatter):
    """An entry as text, or with *as_json* as one JSON object."""

    def __init__(self, *, as_json: bool = False) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The entry; line breaks and other control characters in values are escaped, so an entry cannot pretend to be two, nor play with
        the terminal of who reads it."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        message = without_numbers(record.getMessage())
        trace = without_numbers(self.formatException(record.exc_info)) if record.exc_info else ""
        if self._as_json:
            entry: dict[str, _Plain] = {
                "at": at,
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": message,
            }
            entry |= {key: _plain(value) for key, value in facts.items()}
            if trace:
                entry["trace"] = trace
            return msgspec.json.encode(entry).decode()
        text = " ".join([message, *(f"{key}={_plain(value)}" for key, value in facts.items())])
        line = _CONTROL.sub(_escaped, f"{at} {record.levelname:<7} {record.name}: {text}")
        return f"{line}\n{trace}" if trace else line


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def about_call(call: Call) -> dict[str, object]:
    """What an entry about that call bears."""
    return {
        "attempt": call.attempt,
        "campaign": call.campaign,
        "agent": call.agent,
        "trunk": call.trunk,
        "server": call.server,
        "direction": call.direction,
    }


def about(fact: object) -> dict[str, object]:
    """Whom an event or an order is about, as an entry bears it."""
    facts: dict[str, object] = {}
    for name in ("attempt", "campaign", "agent", "trunk", "server", "channel"):
        value = getattr(fact, name, None)
        if isinstance(value, str) and value:
            facts[name] = value
    channel = str(facts.get("channel", ""))
    if is_attempt(channel):
        facts.setdefault("attempt", channel)
    elif is_leg(ChannelId(channel)):
        attempt, _, agent = channel.removeprefix("leg-").partition("-")
        if is_attempt(attempt) and agent:
            facts.setdefault("attempt", attempt)
            facts.setdefault("agent", agent)
    return facts


def about_command(command: AnyCommand) -> dict[str, object]:
    """What an entry about that order bears: its own name as the action, and whom it is about."""
    return {"action": type(command).__name__, **about(command)}


def tell_end(call: Call) -> None:
    """One entry for each call that ended."""
    facts = about_call(call) | {"action": "call_ended", "result": str(call.result), "cause": call.cause}
    log.info("A call ended.", extra=facts | {"sip": call.tech_cause, "ending": call.ending or None})


def without_numbers(text: str) -> str:
    """*text* without what looks like a telephone number."""
    return _NUMBER.sub(_UNTOLD, text)


def _plain(value: object) -> _Plain:
    """*value* as JSON has it; what JSON does not know as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return without_numbers(str(value))


def set_up(folder: Path, level: str, *, to_terminal: bool, as_json: bool = False) -> None:
    """Log to ``engine.log`` (always JSON) in *folder*, and to standard error if *to_terminal* (as JSON with *as_json*)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    to_file = logging.handlers.RotatingFileHandler(
        folder / "engine.log", maxBytes=FILE_BYTES_MAX, backupCount=FILES, encoding="utf-8"
    )
    to_file.setFormatter(Line(as_json=True))
    handlers: list[logging.Handler] = [to_file]
    if to_terminal:
        terminal = logging.StreamHandler()
        terminal.setFormatter(Line(as_json=as_json))
        handlers.append(terminal)
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level.upper())
