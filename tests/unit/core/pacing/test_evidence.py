"""What few calls say: the figures, and the sentences."""

from __future__ import annotations

import pytest

from dialer.core.pacing.evidence import lottery, percent


def test_the_figures() -> None:
    few, many = lottery(51, 0.03), lottery(1000, 0.03)
    assert few.error == pytest.approx(0.0239, abs=1e-4)
    assert many.error == pytest.approx(0.0054, abs=1e-4)
    assert many.broken == pytest.approx(0.13, abs=0.005)
    assert (few.fewest, few.most) == (0, 4)
    assert (many.fewest, many.most) == (20, 41)
    assert few.is_lottery
    assert not many.is_lottery
    assert lottery(200_000, 0.03).broken < 1e-9
    assert few.needed > 100


def test_the_sentences() -> None:
    assert lottery(51, 0.03).note() == (
        "51 answered calls say little of 3 %: at just that risk between 0 and 4 of them (0 % to 7.84 %) are abandoned by"
        " luck alone, and one call is 1.96 %. After about 518 answered calls conduct shows."
    )
    assert lottery(1, 0.03).note().startswith("1 answered call says little")
    assert lottery(0, 0.01).note().startswith("Nobody has answered yet")
    assert lottery(1000, 0.03).note() == ""
    needed = lottery(51, 0.03).needed
    assert f"after {needed} answered calls without an abandoned one" in lottery(51, 0.03).bound_note()
    assert (percent(0.03), percent(0.025), percent(0.0248), percent(0.0)) == (
        "3 %",
        "2.50 %",
        "2.48 %",
        "0 %",
    )
