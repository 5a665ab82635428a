"""Types of telephone number as Google's libphonenumber (``phonenumbers``) knows them, as patterns.

Who asks the library itself of each of a million numbers waits for minutes.
"""

from __future__ import annotations

import functools

import phonenumbers
from phonenumbers import PhoneNumberDesc, PhoneNumberType, country_code_for_region

SPECIAL_TYPES = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
"""Types of number that belong to no place, whatever they begin with."""


COSTLY = frozenset(
    {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.PERSONAL_NUMBER}
)
"""Types of number that cost who calls them, and from which nobody calls."""


@functools.lru_cache(maxsize=4096)
def is_costly(number: str) -> bool:
    """Whether *number* (E.164, or empty) is of a type in :data:`COSTLY`."""
    try:
        return bool(number) and phonenumbers.number_type(phonenumbers.parse(number)) in COSTLY
    except phonenumbers.NumberParseException:
        return False


def country_of(region: str) -> tuple[str, ...]:
    """What the numbers of *region* (ISO 3166) begin with, in E.164; empty: there is no such region.

    Countries that share one code (+1, +7) are not told apart here: a trunk's own list of destinations can.
    """
    code = country_code_for_region(region)
    return (f"+{code}",) if code else ()


def pattern_of(desc: PhoneNumberDesc | None) -> str:
    """The pattern of a type of number, with its lengths."""
    if desc is None or not desc.national_number_pattern:
        return "(?!)"
    if not desc.possible_length:  # as long as any number of the region
        return f"(?:{desc.national_number_pattern})"
    lengths = "|".join(f"\\d{{{length}}}" for length in desc.possible_length if length > 0)
    return f"(?:(?=(?:{lengths or '(?!)'})\\Z)(?:{desc.national_number_pattern}))"
