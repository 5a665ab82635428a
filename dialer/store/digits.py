"""How deep a pattern looks into a number: how many of its last digits never matter.

Whether ``9\\d{9}`` matches a number of ten digits is decided by the first. So what was found out of one number
by such patterns holds for all that differ from it in those last digits only, and need not be found out again.

Understood is what libphonenumber's patterns of national numbers are made of: digits, classes of digits, ``\\d``,
groups, alternatives, and ``{n}``, ``{n,m}`` and ``?``. Of anything else, all digits are taken to matter.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(r"\\d|\[[0-9-]+\]|[0-9]|\(\?:|\(|\)|\||\{\d+(?:,\d+)?\}|\?")
_ANY = ("\\d", "[0-9]")


class _Part(NamedTuple):
    """A part of a pattern. *least*, *most*: how many digits it matches; *free*: so many at its end are any digits,
    whatever it matches; *is_free*: it matches any digits at all."""

    least: int
    most: int
    free: int
    is_free: bool


def free_tail(pattern: str) -> int:
    """So many digits at the end of a number never matter to whether *pattern* matches it as a whole, among numbers
    of one length; 0 if the pattern is not understood."""
    part = _understood(pattern)
    return 0 if part is None else part.free


def longest(pattern: str) -> int | None:
    """So many digits at most does *pattern* match; None if it is not understood."""
    part = _understood(pattern)
    return None if part is None else part.most


def _understood(pattern: str) -> _Part | None:
    tokens = _TOKEN.findall(pattern)
    if "".join(tokens) != pattern:
        return None
    try:
        part, rest = _alternatives(tokens)
    except (IndexError, ValueError):
        return None
    return None if rest else part


def _alternatives(tokens: list[str]) -> tuple[_Part, list[str]]:
    found = []
    while True:
        part, tokens = _sequence(tokens)
        found.append(part)
        if not tokens or tokens[0] != "|":
            break
        tokens = tokens[1:]
    return (
        _Part(
            least=min(part.least for part in found),
            most=max(part.most for part in found),
            free=min(part.free for part in found),
            is_free=all(part.is_free for part in found),
        ),
        tokens,
    )


def _sequence(tokens: list[str]) -> tuple[_Part, list[str]]:
    whole = _Part(0, 0, 0, True)
    while tokens and tokens[0] not in ")|":
        token, tokens = tokens[0], tokens[1:]
        if token in ("(", "(?:"):
            part, tokens = _alternatives(tokens)
            if tokens[0] != ")":
                raise ValueError("a group without an end")
            tokens = tokens[1:]
        elif token.startswith(("{", "?")):
            raise ValueError("nothing to repeat")
        else:
            part = _Part(1, 1, 1, True) if token in _ANY else _Part(1, 1, 0, False)
        if tokens and tokens[0].startswith(("{", "?")):
            part = _repeated(part, tokens[0])
            tokens = tokens[1:]
        whole = _Part(
            least=whole.least + part.least,
            most=whole.most + part.most,
            free=whole.free + part.free if part.is_free else part.free,
            is_free=whole.is_free and part.is_free,
        )
    return whole, tokens


def _repeated(part: _Part, how: str) -> _Part:
    numbers = [0, 1] if how == "?" else [int(one) for one in how[1:-1].split(",")]
    least, most = part.least * numbers[0], part.most * numbers[-1]
    if part.is_free:
        return _Part(least, most, part.free * numbers[0], True)
    # What may be left out altogether lets others be the last.
    return _Part(least, most, part.free if numbers[0] else 0, False)
