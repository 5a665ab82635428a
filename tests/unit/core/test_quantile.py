"""A quantile of measured values is one of them."""

from __future__ import annotations

import math
import random

import pytest

from dialer.core.quantile import quantile


def test_a_quantile_is_one_of_the_values() -> None:
    values = list(range(1, 101))
    random.Random(7).shuffle(values)
    assert [quantile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([7.0], 0.99) == 7.0
    assert math.isnan(quantile([], 0.5))


@pytest.mark.parametrize("percent", range(1, 101))
def test_a_share_that_fits_exactly_is_not_rounded_up(percent: int) -> None:
    """0.07 * 100 is a little more than seven."""
    assert quantile(range(1, 101), percent / 100) == percent
