"""Feature codes, dialed and keyed."""

from __future__ import annotations

import pytest

from dialer.core.features import Asked, Feature, key, parse


@pytest.mark.parametrize(
    ("digits", "asked"),
    [
        ("40", Asked(Feature.SIGN_IN)),
        ("41", Asked(Feature.SIGN_OUT)),
        ("421", Asked(Feature.PAUSE, "1")),
        ("43", Asked(Feature.READY)),
        ("447", Asked(Feature.RESULT, "7")),
        ("45", Asked(Feature.HANG_UP)),
    ],
)
def test_a_complete_code(digits: str, asked: Asked) -> None:
    assert parse(digits) == asked


@pytest.mark.parametrize("digits", ["", "4", "46", "42", "4211", "401", "44*", "44#", "99", "43 ", "44٣"])
def test_no_code(digits: str) -> None:
    assert parse(digits) is None


def keyed(digits: str) -> tuple[list[str], str]:
    """The codes that come of keys pressed one by one, and what is remembered at the end."""
    pressed, codes = "", []
    for digit in digits:
        pressed, code = key(pressed, digit)
        if code is not None:
            codes.append(code)
    return codes, pressed


@pytest.mark.parametrize(
    ("digits", "codes"),
    [
        ("*43", ["43"]),
        ("*421", ["421"]),
        ("*447*43", ["447", "43"]),
        ("12*43", ["43"]),
        ("*4*43", ["43"]),
        ("**43", ["43"]),
        ("*4343", ["43"]),
        ("43", []),
        ("*4", []),
        ("*99", ["99"]),
        ("*4#", ["4#"]),
        ("*455*441", ["45", "441"]),
    ],
)
def test_keys_on_the_line(digits: str, codes: list[str]) -> None:
    assert keyed(digits)[0] == codes


def test_what_is_remembered_is_never_longer_than_a_code() -> None:
    assert all(len(keyed("".join(mix))[1]) <= 4 for mix in ("*4", "*42", "*44", "12345678", "*44*44"))
