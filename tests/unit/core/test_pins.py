"""PINs: what is kept tells nothing, and fits nothing but its PIN."""

from __future__ import annotations

import pytest

from dialer.core import pins

SALT = bytes(range(16))
KEPT = pins.keep("12345678", SALT)


def test_a_pin_fits_what_was_kept_of_it():
    assert pins.fits("12345678", KEPT)
    assert not pins.fits("12345679", KEPT)
    assert not pins.fits("", KEPT)


def test_what_is_kept_does_not_hold_the_pin_and_differs_by_salt():
    assert "12345678" not in KEPT
    assert pins.keep("12345678", bytes(16)) != KEPT
    assert KEPT.startswith("scrypt:16384:8:1:")


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "12345678",
        KEPT[:-1],
        KEPT.replace("16384", "16383"),  # no power of two
        KEPT.replace("16384", "1048576"),  # would take a gigabyte
        KEPT + "00",
    ],
)
def test_what_is_kept_badly_fits_nothing(kept):
    assert not pins.fits("12345678", kept)


def test_it_is_scrypt_as_the_standard_has_it():
    """RFC 7914, section 12, cut to our length."""
    found = pins._hash("pleaseletmein", b"SodiumChloride", 16384, 8, 1)
    assert found.hex() == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
