"""Reading Asterisk's configuration files, as far as settings in them are looked at."""

from __future__ import annotations

import re

_SECTION = re.compile(r"^\[([^\]]+)\]")


def sections(text: str) -> dict[str, dict[str, str]]:
    """Keys and values by section; of a key that comes several times the last. What is included is not looked into."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for raw in text.splitlines():
        line = re.split(r"(?<!\\);", raw, maxsplit=1)[0].strip()
        if header := _SECTION.match(line):
            current = found.setdefault(header[1], {})
        elif "=" in line:
            key, _, value = line.partition("=")
            current[key.strip().lower()] = value.removeprefix(">").strip()
    return found


def is_yes(value: str) -> bool:
    """Whether Asterisk takes the value for true."""
    return value.lower() in {"yes", "true", "y", "t", "1", "on"}
