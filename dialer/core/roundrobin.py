"""Smooth weighted round robin: turns by weight, as evenly spread as may be. Nothing is random.

With each turn everybody who takes part in it gains their weight; who has the most has the turn, and pays what all gained together. Of
weights 5 and 1 the second has each sixth turn, never two in a row. Who takes part may be others each time.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TypeVar

K = TypeVar("K")


def whose_turn(gained: Mapping[K, int], weights: Mapping[K, int]) -> K:
    """Whose turn it is among those who have *weights* (one at least); of equals the first's. *gained*: in the turns before.

    To ask changes nothing.
    """
    return max(weights, key=lambda one: gained.get(one, 0) + weights[one])


def had_turn(gained: MutableMapping[K, int], weights: Mapping[K, int], chosen: K) -> None:
    """*chosen* had it."""
    for one, weight in weights.items():
        gained[one] = gained.get(one, 0) + weight
    gained[chosen] -= sum(weights.values())
