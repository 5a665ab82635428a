"""The chance that at least so many of a crowd are there: the tail of a Poisson-binomial distribution.

X = the sum of independent 0/1 with chances p_i. Two ways:

1. Exactly, by convolution, cut off at the size that is asked for: ``O(n * size)``; for small crowds.
2. By three cumulants, which simply add up over the crowd: mean Σp, variance Σp(1-p), third Σp(1-p)(1-2p). The tail
   is the normal one with the continuity correction, refined by the skewness γ (Edgeworth's first term):
   P(X >= n) = Q(z) + φ(z) (z² - 1) γ / 6 with z = (n - 1/2 - mean) / σ.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

SQRT_HALF = math.sqrt(0.5)
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


def pmf(chances: Iterable[float], size: int) -> list[float]:
    """P(X = i) for i below *size*, exactly."""
    out = [1.0] + [0.0] * (size - 1)
    for p in chances:
        out = joined(out, p)
    return out[:size]


def joined(before: list[float], p: float) -> list[float]:
    """The distribution *before* with one more, who is there with the chance *p*; as long as it was."""
    q = 1.0 - p
    shifted = before.copy()
    shifted.pop()
    return [before[0] * q, *[here * q + below * p for here, below in zip(before[1:], shifted)]]


def at_least(n: int, chances: Iterable[float]) -> float:
    """P(X >= *n*), exactly."""
    if n <= 0:
        return 1.0
    return max(0.0, 1.0 - math.fsum(pmf(chances, n)))


def tail(n: int, mean: float, variance: float, third: float) -> float:
    """P(X >= *n*) from the cumulants of X."""
    if variance < 1e-9:
        return 1.0 if mean > n - 0.5 else 0.0
    sigma = math.sqrt(variance)
    z = (n - 0.5 - mean) / sigma
    if z > 8.0:
        return 0.0
    skewness = third / (variance * sigma)
    chance = (
        0.5 * math.erfc(z * SQRT_HALF) + DENSITY * math.exp(-0.5 * z * z) * (z * z - 1.0) * skewness / 6.0
    )
    return min(1.0, max(0.0, chance))


def exactly(n: int, mean: float, variance: float, third: float) -> float:
    """P(X = *n*) from the cumulants of X."""
    if variance < 1e-9:
        return 1.0 if abs(mean - n) <= 0.5 else 0.0
    sigma = math.sqrt(variance)
    z = (n - mean) / sigma
    if z * z > 64.0:
        return 0.0
    skewness = third / (variance * sigma)
    return max(0.0, DENSITY * math.exp(-0.5 * z * z) / sigma * (1.0 + skewness * (z * z * z - 3.0 * z) / 6.0))
