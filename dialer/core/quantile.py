"""Quantiles by the nearest rank: a quantile of measured values is one of them."""

from __future__ import annotations

import math
from collections.abc import Iterable


def quantile(values: Iterable[float], share: float) -> float:
    """The least of *values* that *share* of them (above 0, 1 at most) do not exceed; nan without any.

    :func:`statistics.quantiles` is another thing: it puts values between those that were measured, and wants two at least.
    """
    ordered = sorted(values)
    # the spare keeps 0.07 * 100 from being the eighth
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)] if ordered else math.nan
