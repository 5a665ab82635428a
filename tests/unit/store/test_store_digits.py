"""Digits that never matter: what is found out of one number may be believed of its neighbours."""

from __future__ import annotations

import random
import re

import phonenumbers
import pytest
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from dialer.store.calendar import Calendar
from dialer.store.digits import free_tail, longest
from tests.examples import IS_QUICK

_TYPES = (
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.TOLL_FREE,
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
)


@pytest.mark.parametrize(
    ("pattern", "free", "most"),
    [
        (r"9\d{9}", 9, 10),
        (r"(?:[2-9]\d|1)\d{3}", 3, 5),
        (r"80[04]\d{7}", 7, 10),
        (r"800\d{6}|8001111", 0, 9),
        (r"\d{4}(?:12)?", 0, 6),
        (r"12\d{2,4}", 2, 6),
        (r"12\d{4}\d?", 4, 7),
        (r"(?:1\d|23)\d?\d{2}", 2, 5),
        (r"[0-9]{10}", 10, 10),
        (r"(?:12|3\d)", 0, 2),
        (r"(?:1\d){2}", 1, 4),
        (r"12+", 0, None),
        (r"(?:12", 0, None),
        (r"{2}1", 0, None),
        (r"1)2", 0, None),
    ],
)
def test_how_deep_a_pattern_looks(pattern: str, free: int, most: int | None) -> None:
    assert (free_tail(pattern), longest(pattern)) == (free, most)
    if most is None:
        return
    match = re.compile(f"(?:{pattern})\\Z").match
    for length in range(1, most + 1):
        for number in range(0, 10**length, max(1, 10**length // 500)):
            text = f"{number:0{length}}"
            tail = min(free, length)
            others = {text[: length - tail] + digit * tail for digit in "0159"}
            assert len({bool(match(one)) for one in {text, *others}}) == 1, (text, others)


def test_neighbours_are_told_as_the_library_tells_them() -> None:
    """For each region, numbers that differ in their last digits, asked one after the other."""
    calendar = Calendar()
    dice = random.Random(7)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)[:: 6 if IS_QUICK else 1]:
        for kind in _TYPES:
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            for count in (0, 1, 2, 3, 4, 5, 6):
                tail = f"{dice.randrange(10**count):0{count}}" if count else ""
                number = text[: len(text) - count] + tail
                try:
                    parsed = phonenumbers.parse(number)
                except phonenumbers.NumberParseException:
                    continue
                if phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) != number:
                    continue
                told = time_zones_for_number(parsed)
                expected = () if UNKNOWN_TIMEZONE in told else tuple(sorted(told))
                assert calendar.zones_of_number(number) == expected, number
