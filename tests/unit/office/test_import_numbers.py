"""Numbers: every usual way of writing them, and the fast path agrees with the library."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialer.office.numbers import BadNumber, BadRegion, Numbers, ask_library
from tests.examples import examples

REGIONS = (
    "RU",
    "KZ",
    "CN",
    "US",
    "CA",
    "GB",
    "DE",
    "FR",
    "IT",
    "BY",
    "UA",
    "UZ",
    "BR",
    "MX",
    "AR",
    "IN",
    "JP",
)
READERS = {region: Numbers(region) for region in REGIONS}


@pytest.mark.parametrize(
    ("region", "text", "number"),
    [
        ("RU", "+7 916 123-45-67", "+79161234567"),
        ("RU", "8 (916) 123-45-67", "+79161234567"),
        ("RU", "79161234567", "+79161234567"),
        ("RU", "9161234567", "+79161234567"),
        ("RU", "8 800 555-35-35", "+78005553535"),
        ("RU", "+7 (495)\u00a0123-45-67", "+74951234567"),
        ("RU", "8 10 49 30 901820", "+4930901820"),
        ("RU", "+44 20 7946 0958", "+442079460958"),
        ("RU", "79161234567.0", "+79161234567"),
        ("RU", "'+79161234567", "+79161234567"),
        ("RU", '="79161234567"', "+79161234567"),
        ("KZ", "8 701 123 45 67", "+77011234567"),
        ("CN", "138 1234 5678", "+8613812345678"),
        ("CN", "010-6552 9988", "+861065529988"),
        ("IT", "06 1234 5678", "+390612345678"),
        ("US", "(212) 555-0123", "+12125550123"),
        ("RU", "+7 916 123 45 67 доб. 12", "+79161234567"),
    ],
)
def test_ways_of_writing(region: str, text: str, number: str) -> None:
    assert READERS[region].read(text) == number


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a telephone number"),
        ("call me", "is not a telephone number"),
        ("123-45-67", "has no area code"),
        ("+7 916 12", "too few digits"),
        ("+7 916 123 45 67 89 01 23", "too many digits"),
        ("+7 111 123-45-67", "does not exist"),
        ("7.91612E+10", "rounded by a spreadsheet"),
        ("9" * 5000, "too long"),
        ("+999 123 45 67", "is not a telephone number"),
    ],
)
def test_what_is_no_number_says_why(text: str, why: str) -> None:
    with pytest.raises(BadNumber, match=why):
        READERS["RU"].read(text)


def test_no_such_region() -> None:
    with pytest.raises(BadRegion, match="'ZZ' is no region; two letters"):
        Numbers("ZZ")


def judge(text: str, region: str) -> str | None:
    try:
        return ask_library(text, region)
    except BadNumber:
        return None


def agrees(text: str, region: str) -> None:
    fast = READERS[region].accept(text)
    if fast is not None:
        assert fast == judge(text, region)


@settings(max_examples=examples(600), deadline=None)
@given(st.text("0123456789", min_size=1, max_size=16), st.sampled_from(REGIONS), st.booleans())
def test_any_digits_are_judged_as_by_the_library(digits: str, region: str, plus: bool) -> None:
    agrees(("+" if plus else "") + digits, region)


@settings(max_examples=examples(600), deadline=None)
@given(st.text("+0123456789 -().\u00a0", min_size=1, max_size=24), st.sampled_from(REGIONS))
@example("(+7) 916 123-45-67", "RU")
@example("8..916..123..45..67", "RU")
def test_any_punctuation_is_judged_as_by_the_library(text: str, region: str) -> None:
    agrees(text, region)


@st.composite
def nearly_right(draw: st.DrawFn) -> tuple[str, str]:
    """A real number of a region with its tail changed, in one of the usual ways of writing it."""
    region = draw(st.sampled_from(REGIONS))
    kind = draw(st.sampled_from((0, 1, 3, 4, 6)))
    number = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    assert number is not None
    national = phonenumbers.national_significant_number(number)
    kept = draw(st.integers(0, len(national)))
    change = draw(st.integers(-1, 1))
    tail = draw(st.text("0123456789", min_size=0, max_size=max(0, len(national) - kept + change)))
    changed = national[:kept] + tail
    code = str(number.country_code)
    prefix = phonenumbers.ndd_prefix_for_region(region, True) or ""
    return draw(
        st.sampled_from(("+" + code, code, prefix, "", "+" + code + prefix, code + prefix))
    ) + changed, region


@settings(max_examples=examples(1500), deadline=None)
@given(nearly_right())
def test_nearly_right_numbers_are_judged_as_by_the_library(case: tuple[str, str]) -> None:
    agrees(*case)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(("+7", "7", "8", "")),
    st.sampled_from("34789"),
    st.text("0123456789", min_size=9, max_size=9),
)
def test_ordinary_russian_numbers_take_the_fast_path(prefix: str, first: str, rest: str) -> None:
    text = prefix + first + rest
    found = judge(text, "RU")
    if found is not None and found.startswith("+7") and not text.startswith("810"):
        assert READERS["RU"].accept(text) == found
