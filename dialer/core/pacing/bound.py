"""How large the risk can have been that so many abandoned calls show: bounds that hold at all times at once.

Each answered call *i* had, given all that happened before it, some chance p_i of being abandoned. The chances are not
known, differ from call to call, and depend on what was counted so far (the pacer steers by the count). Bounded is their
mean over the n calls answered so far, p = (p_1 + ... + p_n) / n: the risk that was taken, apart from luck.

1. For a fixed number l, exp(l A) / prod(1 + p_i (e^l - 1)), with A the abandoned among the n, is a martingale that begins
   at 1. log(1 + x (e^l - 1)) is concave in x, so the product is at most (1 + p (e^l - 1))^n, and
   exp(l A - n log(1 + p (e^l - 1))) is never above the martingale.
2. So is a mixture of these over fixed weights, and it reaches 1/alpha at any time with a chance of alpha at most (Ville).
   The upper bound is the p at which the mixture over negative l does, the lower the same over positive l.
3. Nothing is assumed of the chances but that they are chances. The bounds may be looked at after every call, and what is
   done next may depend on them.
4. The legal window slides. Each day on which a window may begin starts a sequence of its own, and the j-th has the share
   6 / (pi j)^2 of alpha; these add up to 1, so all windows hold at once.

H. Robbins (1970), Statistical methods related to the law of the iterated logarithm; J. Ville (1939); S. Howard,
A. Ramdas, J. McAuliffe, J. Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence sequences.
The derivation in full, and how often the bounds missed in simulation: ``docs/abandonment.md``.
"""

from __future__ import annotations

import math
from functools import lru_cache

_STEEPEST = 4.0
"""The greatest l: made for the first hundred calls."""
_GRID = tuple(_STEEPEST / 2.0**step for step in range(10))
"""A neighbour twice as large costs at most a ninth of the exponent; the smallest is made for a million calls."""
_TOTAL = sum(1.0 / place for place in range(1, len(_GRID) + 1))
_WEIGHTS = tuple(math.log(1.0 / place / _TOTAL) for place in range(1, len(_GRID) + 1))
"""Their logarithms. Who has few calls needs the steep ones, and cannot spare much."""
_FALLING = tuple((weight, -slope, math.expm1(-slope)) for weight, slope in zip(_WEIGHTS, _GRID, strict=True))
_RISING = tuple((weight, slope, math.expm1(slope)) for weight, slope in zip(_WEIGHTS, _GRID, strict=True))
_Terms = tuple[tuple[float, float, float], ...]

_STEPS_MAX = 100
_CLOSE = 1e-9
_NEEDED_MAX = 1 << 40
_REMEMBERED = 1024
"""Counts change with each answer, and are asked for at each decision: what was worked out is kept."""


def alpha_of(confidence: float, start: int = 1) -> float:
    """The chance of missing that the window has which begins on the *start*-th day (from 1), so that all windows
    together miss with a chance of at most 1 - *confidence*."""
    return (1.0 - confidence) * 6.0 / (math.pi * start) ** 2


def interval(answered: int, abandoned: int, alpha: float) -> tuple[float, float]:
    """The lower and the upper bound, each wrong at any time with a chance of at most *alpha* / 2."""
    return lower(answered, abandoned, alpha / 2.0), upper(answered, abandoned, alpha / 2.0)


@lru_cache(maxsize=_REMEMBERED)
def upper(answered: int, abandoned: int, alpha: float) -> float:
    """The mean chance of being abandoned was less than this, unless luck was such as comes (at any time at all) with
    a chance of *alpha* at most. 1 where nothing can be said."""
    if abandoned >= answered:
        return 1.0
    log_most = -math.log(alpha)
    if _mixture(_FALLING, answered, abandoned, 1.0)[0] <= log_most:
        return 1.0
    share = abandoned / answered
    width = log_most + 3.0
    guess = share + math.sqrt(2.0 * share * width / answered) + 1.5 * width / answered
    # Convex and growing in p: Newton's steps come from the right after the first, and what they end at is not too small.
    return _root(_FALLING, answered, abandoned, min(guess, 1.0), log_most)


@lru_cache(maxsize=_REMEMBERED)
def lower(answered: int, abandoned: int, alpha: float) -> float:
    """The mean chance of being abandoned was more than this; else as :func:`upper`. 0 where nothing can be said."""
    log_most = -math.log(alpha)
    if abandoned <= 0 or _mixture(_RISING, answered, abandoned, 0.0)[0] <= log_most:
        return 0.0
    return _root(_RISING, answered, abandoned, 0.0, log_most)


@lru_cache(maxsize=_REMEMBERED)
def most(answered: int, share: float, alpha: float) -> float:
    """So many of *answered* calls may be abandoned, as a real number, and the upper bound is *share* still. Less than
    0: even without an abandoned one the evidence does not suffice."""
    log_most = -math.log(alpha)
    count = answered * share - math.sqrt(2.0 * answered * share * (log_most + 3.0))
    for _ in range(_STEPS_MAX):
        value, _, by_count = _mixture(_FALLING, answered, count, share)
        step = (value - log_most) / by_count
        count -= step
        if abs(step) < _CLOSE:
            break
    return count


@lru_cache(maxsize=256)
def needed(share: float, alpha: float) -> int:
    """After so many answered calls without an abandoned one the upper bound is *share* at most."""
    few, many = 0, 1
    while upper(many, 0, alpha) > share and many < _NEEDED_MAX:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        if upper(middle, 0, alpha) > share:
            few = middle
        else:
            many = middle
    return many


def log_evidence(answered: int, abandoned: int, mean: float) -> tuple[float, float]:
    """The logarithms of the two mixtures at the true *mean*: that a bound misses is that one of them exceeds
    -log(alpha). For tests and simulations."""
    return _mixture(_FALLING, answered, abandoned, mean)[0], _mixture(_RISING, answered, abandoned, mean)[0]


def _root(terms: _Terms, answered: int, abandoned: int, guess: float, log_most: float) -> float:
    """Where the mixture is as large as that."""
    share = guess
    for _ in range(_STEPS_MAX):
        value, by_share, _ = _mixture(terms, answered, abandoned, share)
        step = (value - log_most) / by_share
        share = min(max(share - step, 0.0), 1.0)
        if abs(step) < _CLOSE:
            break
    return share


def _mixture(terms: _Terms, answered: float, abandoned: float, share: float) -> tuple[float, float, float]:
    """The logarithm of the mixture, and its slopes along *share* and along *abandoned*."""
    exponents = [
        weight + slope * abandoned - answered * math.log1p(change * share) for weight, slope, change in terms
    ]
    greatest = max(exponents)
    total = by_share = by_count = 0.0
    for exponent, (_, slope, change) in zip(exponents, terms, strict=True):
        part = math.exp(exponent - greatest)
        total += part
        by_share -= part * change / (1.0 + change * share)
        by_count += part * slope
    return greatest + math.log(total), answered * by_share / total, by_count / total
