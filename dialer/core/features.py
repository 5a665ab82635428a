"""Feature codes: what an agent may ask for from the desk phone.

A code is dialed as a call of its own (``*43``), or keyed on the line while the agent is
parked. Both arrive here as digits. Codes have a fixed length, so that no key ends them; but for those that
name whom to call, which end with ``#``.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Feature(StrEnum):
    """What is asked for; the value is the code's two digits."""

    SIGN_IN = "40"
    SIGN_OUT = "41"
    PAUSE = "42"
    READY = "43"
    RESULT = "44"
    HANG_UP = "45"
    CALLBACK = "46"
    """Call the person again in so many hours and minutes (``HHMM``), whoever is free then."""
    MY_CALLBACK = "47"
    """The same, by this operator."""
    BLIND = "50"
    """Transfer the person to that extension or number, without a word before. Ends with ``#``."""
    CONSULT = "51"
    """Call that extension or number while the person hears music. Ends with ``#``."""
    COMPLETE = "52"
    """Leave the person to whom was called, and go."""
    CONFERENCE = "53"
    """All three talk."""
    BACK = "54"
    """Back to the person, without whom was called."""
    HOLD = "55"
    """Music for the person; once more: back to them."""


NUMBER_DIGITS_MAX = 20
"""More keys than this are no number."""
_NAMES_SOMEBODY = frozenset({Feature.BLIND, Feature.CONSULT})
_ARGUMENT_DIGITS = {Feature.PAUSE: 1, Feature.RESULT: 1, Feature.CALLBACK: 4, Feature.MY_CALLBACK: 4}


class Asked(msgspec.Struct, frozen=True):
    """A complete code. *argument*: the digit of a pause's reason or of a result, a delay, whom to call, else empty."""

    feature: Feature
    argument: str = ""


def parse(digits: str) -> Asked | None:
    """Read a complete code without its star; None if there is no such code."""
    try:
        feature = Feature(digits[:2])
    except ValueError:
        return None
    argument = digits[2:]
    if feature in _NAMES_SOMEBODY:
        is_number = argument.isascii() and argument.isdigit() and len(argument) <= NUMBER_DIGITS_MAX
        return Asked(feature, argument) if is_number else None
    if len(argument) != _ARGUMENT_DIGITS.get(feature, 0) or argument.strip("0123456789"):
        return None
    return Asked(feature, argument)


def delay_s(argument: str) -> float | None:
    """The seconds that ``HHMM`` says; None if it is no such delay, or none at all."""
    hours, minutes = int(argument[:2]), int(argument[2:])
    return float(hours * 3600 + minutes * 60) if minutes < 60 and hours + minutes > 0 else None


def key(pressed: str, digit: str) -> tuple[str, str | None]:
    """One more key on the line. Returns the keys to remember, and a code once it is complete.

    A star begins anew; keys outside a code are the conversation's own and are forgotten. What
    comes back as a code may still be unknown: :func:`parse` says so.
    """
    if digit == "*":
        return "*", None
    if not pressed:
        return "", None
    pressed += digit
    code = pressed[1:]
    if code[:2] in _NAMES_SOMEBODY:
        if digit == "#":
            return "", code[:-1]
        return (pressed, None) if len(code) <= 2 + NUMBER_DIGITS_MAX else ("", code)
    if len(code) < 2:
        return pressed, None
    try:
        wanted = 2 + _ARGUMENT_DIGITS.get(Feature(code[:2]), 0)
    except ValueError:
        wanted = 2
    return (pressed, None) if len(code) < wanted else ("", code)
