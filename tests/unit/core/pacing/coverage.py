"""How often the bounds of the ledger miss, if they are looked at after every call: in worlds where calls have uneven chances.

``python -m tests.unit.core.pacing.coverage`` prints the table of ``docs/abandonment.md``.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable

from dialer.core.pacing.bound import log_evidence

Chance = Callable[[int, int, float], float]
"""The chance of the next call, after so many calls, so many abandoned ones, and the sum of the chances so far."""


def _steered(calls: int, abandoned: int, _: float) -> float:
    """As a pacer that keeps a budget: what it risks depends on what was counted."""
    return min(0.5, max(0.001, 0.03 * math.exp((0.03 * calls - abandoned - 4.0) / 4.0)))


WORLDS: dict[str, Chance] = {
    "3 % always": lambda *_: 0.03,
    "0.5 % always": lambda *_: 0.005,
    "20 % always": lambda *_: 0.2,
    "drifts between 0.3 and 5.7 %": lambda calls, *_: 0.03 + 0.027 * math.sin(calls / 150.0),
    "0.1 %, and 20 % in each tenth block of 50": lambda calls, *_: 0.2 if calls // 50 % 10 == 9 else 0.001,
    "10 % at first, then 0.5 %": lambda calls, *_: 0.1 if calls < 200 else 0.005,
    "steered by its own count to 3 %": _steered,
    "against us: high while luck is good": lambda _, lost, risk: 0.2 if lost < risk - 2.0 else 0.01,
    "against us: high while luck is bad": lambda _, lost, risk: 0.2 if lost > risk + 2.0 else 0.01,
}


def misses(chance: Chance, sequences: int, calls: int, alpha: float, seed: int) -> tuple[int, int]:
    """In how many of the *sequences* the interval of 1 - *alpha* misses the mean chance at any time; and how many an
    interval made for one instant (normal, with the true spread) misses.

    Between two abandoned calls the evidence against the upper bound grows, and that against the lower one falls:
    so it is looked at just before each abandoned call, after it, and at the end.
    """
    limit = math.log(2.0 / alpha)
    width = 1.96 if alpha == 0.05 else 1.645
    drawn = random.Random(seed).random
    missed = naive = 0
    for _ in range(sequences):
        abandoned, risk, spread = 0, 0.0, 0.0
        is_missed = is_naive = False
        for count in range(1, calls + 1):
            one = chance(count - 1, abandoned, risk)
            is_abandoned = drawn() < one
            if (is_abandoned or count == calls) and not is_missed and count > 1:
                is_missed = log_evidence(count - 1, abandoned, risk / (count - 1))[0] > limit
            risk += one
            spread += one * (1.0 - one)
            if is_abandoned:
                abandoned += 1
                is_missed = is_missed or log_evidence(count, abandoned, risk / count)[1] > limit
                is_naive = is_naive or (count > 100 and abs(abandoned - risk) > width * math.sqrt(spread))
        missed += is_missed
        naive += is_naive
    return missed, naive


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print("| chances of the calls | missed | an interval for one instant |\n|---|---|---|")
    for name, chance in WORLDS.items():
        missed, naive = misses(chance, asked.sequences, asked.calls, 0.05, asked.seed)
        print(f"| {name} | {missed / asked.sequences:.2%} | {naive / asked.sequences:.1%} |", flush=True)


if __name__ == "__main__":
    main()
