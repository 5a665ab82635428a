"""Types of telephone number as Google's libphonenumber (``phonenumbers``) knows them, as patterns.

Who asks the library itself of each of a million numbers waits for minutes.
"""

from __future__ import annotations

from phonenumbers import PhoneNumberDesc

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


def pattern_of(desc: PhoneNumberDesc | None) -> str:
    """The pattern of a type of number, with its lengths."""
    if desc is None or not desc.national_number_pattern:
        return "(?!)"
    if not desc.possible_length:  # as long as any number of the region
        return f"(?:{desc.national_number_pattern})"
    lengths = "|".join(f"\\d{{{length}}}" for length in desc.possible_length if length > 0)
    return f"(?:(?=(?:{lengths or '(?!)'})\\Z)(?:{desc.national_number_pattern}))"
