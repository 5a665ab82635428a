"""How a campaign takes calls, as its file says it: ``[inbound]`` as :class:`dialer.core.incoming.Inbound`, and back.

What is said to a caller is two keys, the text and a recorded file (``greeting``, ``greeting_sound``), and one value. What two keys together must not
say is told here; what a key may hold, by the schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import msgspec

from dialer.core.incoming import Inbound
from dialer.store import hourtext
from dialer.store.calendar import near_zones, zone_names
from dialer.store.hourtext import Found

NEVER = "never"
_PROMPTS = {"greeting": "greeting_sound", "outside_message": "outside_sound"}
"""By field: the key of its recorded file; that of its text has the field's name."""


def inbound_from(table: Mapping[str, Any]) -> Inbound:
    """The value of a checked table ``[inbound]``."""
    values = dict(table)
    for field, sound in _PROMPTS.items():
        values[field] = {"text": values.get(field, ""), "sound": values.pop(sound, "")}
    if values.get("missed_again_s") == NEVER:
        values["missed_again_s"] = None
    return msgspec.convert(values, Inbound)


def inbound_table(inbound: Inbound) -> dict[str, Any]:
    """The table with all its keys, as :func:`inbound_from` reads it."""
    table: dict[str, Any] = msgspec.to_builtins(inbound)
    for field, sound in _PROMPTS.items():
        table[field], table[sound] = table[field]["text"], table[field]["sound"]
    if inbound.missed_again_s is None:
        table["missed_again_s"] = NEVER
    return {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}


def contradictions(table: Mapping[str, Any]) -> Iterator[Found]:
    """What cannot be read, or what two keys together must not say, in a checked *table*."""
    for place, text in enumerate(table.get("hours", ())):
        try:
            hourtext.read_line(text)
        except ValueError as error:
            yield ("inbound", "hours", place), str(error), hourtext.LINE_ALLOWED
    for place, text in enumerate(table.get("holidays", ())):
        if not _is_date(text):
            yield ("inbound", "holidays", place), f'"{text}" is no date', 'a date such as "2027-01-08"'
    zone = table.get("zone", "")
    if zone and zone not in zone_names():
        near = near_zones(zone)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        yield ("inbound", "zone"), f'"{zone}" is no time zone{hint}', "a name such as Europe/Moscow"
    if not zone and (table.get("hours") or table.get("holidays")):
        what = "is missing: hours and holidays are by the clock of some place"
        yield ("inbound", "zone"), what, "a name such as Europe/Moscow"
    if table.get("overflow") == "number" and not table.get("overflow_number"):
        what = 'is missing, for overflow is "number"'
        yield ("inbound", "overflow_number"), what, "a number such as +74951234567"
    if table.get("overflow_number") in table.get("numbers", ()):
        what = "is one of numbers: a call would come back to where it overflowed"
        yield ("inbound", "overflow_number"), what, "a number that is none of ours"
    if table.get("skill_weights") and table.get("distribution") != "skill":
        what = "says nothing without distribution skill"
        yield ("inbound", "skill_weights"), what, 'distribution = "skill", or left out'


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
