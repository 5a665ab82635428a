"""Telephone numbers: any way of writing them to E.164, checked against the region's numbering plan.

The judge is Google's libphonenumber (``phonenumbers``). It is thorough and slow (some 40 µs for a
number), so a list of a million contacts would take minutes. :class:`Numbers` therefore accepts the
plain majority by the library's own metadata, read once: it follows the library's steps for numbers
that are only digits and ordinary punctuation, and whenever anything is unusual (another prefix, a
carrier code, a leading zero, or simply a number that is not valid) it asks the library itself.
A property test holds that both always agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat, ValidationResult
from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE, NumberParseException

from dialer.store.numberplan import SPECIAL_TYPES, pattern_of

_SEPARATORS = str.maketrans("", "", " .\u00a0")
_ROUNDED = re.compile(r"\d[.,]\d+[eE]\+?\d\d?\Z")
_WHOLE_FLOAT = re.compile(r"(\+?\d{5,17})[.,]0\Z")
_WRAPPED = re.compile(r'="([^"]*)"\Z')
_TYPES = ("mobile", "fixed_line", *SPECIAL_TYPES)
_TEXT_MAX = 100
_CACHED = 65536


class BadNumber(ValueError):
    """A text holds no telephone number that can be dialed; the message says why."""


class BadRegion(ValueError):
    """There is no such region; the message says what is allowed."""


class _Region:
    """What the library knows of one region, compiled."""

    def __init__(self, metadata: PhoneMetadata) -> None:
        general = metadata.general_desc
        assert general is not None
        self.code = str(metadata.country_code)
        self.general = re.compile(general.national_number_pattern or "(?!)").fullmatch
        self.lengths = frozenset(general.possible_length)
        self.lengths_max = max(self.lengths, default=0)
        self.local_lengths = frozenset(general.possible_length_local_only)
        prefix = metadata.national_prefix_for_parsing
        self.prefix = re.compile(prefix) if prefix else None
        self.is_plain = not metadata.national_prefix_transform_rule and (
            self.prefix is None or self.prefix.groups == 0
        )
        abroad = metadata.international_prefix
        self.international = re.compile(abroad).match if abroad else None

    def strip(self, digits: str) -> str | None:
        """*digits* without the national prefix; None where only the library can tell."""
        match = self.prefix.match(digits) if self.prefix else None
        if match is None or not match.end():
            return digits
        if not self.is_plain:
            return None
        rest = digits[match.end() :]
        if self.general(digits) and not self.general(rest):
            return digits
        return rest


def _exists(code: int) -> Callable[[str], object]:
    """Whether a national number of the calling code exists: the library's rules as one pattern.

    The library goes through the regions that share the code, the main one first. A region with
    leading digits owns every number that begins so; another owns what is of one of its types.
    """
    pattern = "(?!)"
    for name in reversed(COUNTRY_CODE_TO_REGION_CODE[code]):
        metadata = PhoneMetadata.metadata_for_region(name, None)
        if metadata is None:
            continue
        types = "|".join(
            pattern_of(desc) for name in _TYPES if (desc := getattr(metadata, name, None)) is not None
        )
        own = f"(?={pattern_of(metadata.general_desc)}\\Z)(?:{types or '(?!)'})\\Z"
        leading = metadata.leading_digits
        pattern = f"(?:(?={leading}){own}|(?!{leading}){pattern})" if leading else f"(?:{own}|{pattern})"
    return re.compile(pattern).match


class Numbers:
    """Reads numbers as they are written in *region* (two letters; those with a plus are of any region).

    Raises:
        BadRegion: there is no such region.
    """

    def __init__(self, region: str) -> None:
        self.region = region.upper()
        metadata = PhoneMetadata.metadata_for_region(self.region, None)
        if metadata is None:
            raise BadRegion(
                f"{region!r} is no region; two letters as of ISO 3166 are allowed, such as RU, KZ, CN, DE, US."
            )
        assert metadata.country_code is not None
        self._home = _Region(metadata)
        main = PhoneMetadata.metadata_for_region(COUNTRY_CODE_TO_REGION_CODE[metadata.country_code][0], None)
        self._main = _Region(main) if main is not None else self._home
        self._exists = _exists(metadata.country_code)
        self._ask = lru_cache(_CACHED)(self._ask_library)

    def read(self, text: str) -> str:
        """The number in *text* as E.164 with its plus sign.

        Raises:
            BadNumber: there is none, or none that can exist.
        """
        return self.accept(text) or self._ask(text)

    def accept(self, text: str) -> str | None:
        """The fast path: the number if it is an ordinary valid one, None if the library must be asked."""
        digits = text.replace(" ", "").replace("-", "").replace("(", "").replace(")", "")
        if not digits.isdigit():
            digits = digits.translate(_SEPARATORS)
        home = self._home
        code = home.code
        if digits[:1] == "+":
            digits = digits[1:]
            if not digits.startswith(code):
                return None
            rest: str | None = digits[len(code) :]
            region = self._main
        else:
            if home.international is not None and home.international(digits):
                return None
            rest, region = digits, home
            if digits.startswith(code):
                without = home.strip(digits[len(code) :])
                if without is None:
                    return None
                if len(digits) > home.lengths_max or (not home.general(digits) and home.general(without)):
                    rest, region = without, self._main
        if not rest or not digits.isdigit() or not digits.isascii():
            return None
        national = region.strip(rest)
        if not national or national[0] == "0" or not self._exists(national):
            return None
        if national != rest and (
            len(national) in region.local_lengths or len(national) not in region.lengths
        ):
            return None
        return f"+{code}{national}"

    def _ask_library(self, text: str) -> str:
        return ask_library(text, self.region)


def ask_library(text: str, region: str) -> str:
    """What the library itself says; the yardstick of :meth:`Numbers.accept`.

    Raises:
        BadNumber: the library finds no number, or none that can exist.
    """
    text = text.strip()
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    if len(text) > _TEXT_MAX:
        raise BadNumber(f"{shown!r} is too long for a number")
    if _ROUNDED.match(text):
        raise BadNumber(f"{shown!r} was rounded by a spreadsheet: store the column as text")
    for form in (_WHOLE_FLOAT, _WRAPPED):
        match = form.match(text)
        if match:
            text = match[1]
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        raise BadNumber(f"{shown!r} is not a telephone number") from None
    if not phonenumbers.is_valid_number(number):
        possible = phonenumbers.is_possible_number_with_reason(number)
        why = {
            ValidationResult.TOO_SHORT: "has too few digits",
            ValidationResult.TOO_LONG: "has too many digits",
            ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "has no area code",
        }.get(possible, "does not exist in any numbering plan")
        raise BadNumber(f"{shown!r} {why} (read as a number of {region})")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
