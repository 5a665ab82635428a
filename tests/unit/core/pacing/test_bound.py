"""The bounds: they hold at all times at once, whatever the chances do, and are not wider than that takes."""

from __future__ import annotations

import math
import random

import pytest

from dialer.core.pacing import bound
from tests.unit.core.pacing.coverage import WORLDS, misses

ALPHA = 0.1


@pytest.mark.parametrize("world", WORLDS)
def test_whenever_it_is_looked_at_the_mean_chance_lies_inside(world: str) -> None:
    missed, _ = misses(WORLDS[world], 60, 300 if world == "20 % always" else 1000, ALPHA, seed=7)
    assert missed <= 60 * ALPHA


def test_an_interval_for_one_instant_would_not_do() -> None:
    """And so the sequences above are such as a wrong bound would be caught in."""
    missed, naive = misses(WORLDS["3 % always"], 60, 3000, ALPHA, seed=7)
    assert naive > 3 * 60 * ALPHA
    assert missed <= 60 * ALPHA


def test_a_bound_is_where_the_evidence_reaches_its_limit() -> None:
    drawn = random.Random(3)
    for _ in range(300):
        answered = int(10 ** drawn.uniform(0, 6))
        abandoned = min(answered, int(answered * drawn.random() ** 4))
        alpha = 10 ** drawn.uniform(-8, -0.5)
        low, high = bound.lower(answered, abandoned, alpha), bound.upper(answered, abandoned, alpha)
        assert 0.0 <= low <= abandoned / answered <= high <= 1.0
        if high < 1.0:
            assert bound.log_evidence(answered, abandoned, high)[0] == pytest.approx(
                -math.log(alpha), abs=1e-3
            )
        if low > 0.0:
            assert bound.log_evidence(answered, abandoned, low)[1] == pytest.approx(
                -math.log(alpha), abs=1e-3
            )


def test_nothing_is_known_of_nothing() -> None:
    assert bound.log_evidence(0, 0, 0.3) == pytest.approx((0.0, 0.0)), "it must begin at 1"
    assert bound.interval(0, 0, 0.05) == (0.0, 1.0)
    assert bound.interval(1, 1, 0.05) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("answered", "abandoned", "factor"),
    [(100, 0, 1.5), (300, 0, 1.5), (300, 9, 2.0), (1000, 25, 2.0), (10_000, 280, 2.2), (100_000, 2900, 2.3)],
)
def test_it_is_not_much_wider_than_an_interval_for_one_instant(
    answered: int, abandoned: int, factor: float
) -> None:
    share = abandoned / answered
    at_once = bound.upper(answered, abandoned, 0.025) - share
    assert at_once <= factor * (_clopper_pearson(answered, abandoned, 0.025) - share)


def _clopper_pearson(answered: int, abandoned: int, alpha: float) -> float:
    """C. Clopper, E. Pearson (1934): the upper bound for one instant and equal chances."""
    low, high = abandoned / answered, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        whole = math.lgamma(answered + 1)
        tail = math.fsum(
            math.exp(
                whole
                - math.lgamma(k + 1)
                - math.lgamma(answered - k + 1)
                + k * math.log(middle)
                + (answered - k) * math.log1p(-middle)
            )
            for k in range(max(0, abandoned - 2000), abandoned + 1)
        )
        low, high = (low, middle) if tail <= alpha else (middle, high)
    return high


def test_so_many_may_be_abandoned() -> None:
    for answered in (200, 1000, 30_000, 1_000_000):
        count = bound.most(answered, 0.03, 0.01)
        assert (
            bound.upper(answered, math.floor(count), 0.01)
            <= 0.03
            < bound.upper(answered, math.ceil(count), 0.01)
        )
    assert bound.most(0, 0.03, 0.01) < 0
    assert bound.most(100, 0.03, 0.01) < 0


def test_so_many_answers_are_needed() -> None:
    for share in (0.005, 0.01, 0.03, 0.2):
        count = bound.needed(share, 0.025)
        assert bound.upper(count, 0, 0.025) <= share < bound.upper(count - 1, 0, 0.025)


def test_all_windows_together_have_one_chance_to_miss() -> None:
    whole = math.fsum(bound.alpha_of(0.95, start) for start in range(1, 20_000))
    assert 0.0499 < whole < 0.05
