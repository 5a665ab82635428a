"""What a share of abandoned calls says that was taken over few calls: with numbers, and in sentences for people.

A share over n answered calls is luck as much as conduct. Were each of them abandoned with the chance p, by itself, the
counted share would have the standard error sqrt(p (1 - p) / n): 2.4 points at p = 3 % and 51 calls, 0.54 at 1,000.
"""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec

from dialer.core.pacing import bound

CLEARLY = 0.25
"""A share is told apart from luck when its standard error is at most this part of it."""
_CAREFUL = 5.0 / 6.0
"""Who aims at this part of the share (2.5 % for 3 %) still breaks it now and then."""
_TAIL = 0.025
_FAR_SD = 12.0


class Lottery(msgspec.Struct, frozen=True, kw_only=True):
    """What *answered* calls can say of a promised *share*.

    *error*: the standard error of the counted share. *fewest*, *most*: so many of them are abandoned in 95 of 100 cases
    where the chance of each is *share*. *broken*: the chance that more than *share* of them are, where the chance of each is
    five sixths of it. *enough*: so many answered calls bring the standard error down to a quarter of the share.
    *needed*: so many answered without an abandoned one bring the upper bound down to *share*.
    """

    answered: int
    share: float
    confidence: float
    error: float
    fewest: int
    most: int
    broken: float
    enough: int
    needed: int

    @property
    def is_lottery(self) -> bool:
        """Whether the count is too small to tell conduct from luck."""
        return self.answered < self.enough

    def note(self) -> str:
        """One or two sentences for people; empty where there are calls enough."""
        if not self.is_lottery:
            return ""
        if not self.answered:
            return (
                f"Nobody has answered yet: a share of {percent(self.share)} can be told from luck after about"
                f" {self.enough} answered calls."
            )
        return (
            f"{_calls(self.answered)} little of {percent(self.share)}: at just that risk between {self.fewest} and"
            f" {self.most} of them ({percent(self.fewest / self.answered)} to {percent(self.most / self.answered)}) are"
            f" abandoned by luck alone, and one call is {percent(1.0 / self.answered)}. After about {self.enough} answered"
            f" calls conduct shows."
        )

    def bound_note(self) -> str:
        """For a campaign that is steered against the bound: how much evidence that takes."""
        return (
            f"With {percent(self.confidence)} confidence the risk can be known to be at most {percent(self.share)} after"
            f" {self.needed} answered calls without an abandoned one at the earliest ({self.answered} so far). Until the"
            f" bound is there, calls are placed for operators who are free or about to be."
        )


@lru_cache(maxsize=256)
def lottery(answered: int, share: float, confidence: float = 0.95) -> Lottery:
    """What *answered* calls can say of *share*; see :class:`Lottery`."""
    fewest, most = _range(answered, share)
    return Lottery(
        answered=answered,
        share=share,
        confidence=confidence,
        error=math.sqrt(share * (1.0 - share) / answered) if answered else 1.0,
        fewest=fewest,
        most=most,
        broken=_chance_above(answered, math.floor(share * answered + 1e-9), share * _CAREFUL),
        enough=math.ceil((1.0 - share) / (share * CLEARLY**2)),
        needed=bound.needed(share, bound.alpha_of(confidence) / 2.0),
    )


def percent(share: float) -> str:
    """A share as people read it: ``3 %``, ``2.48 %``."""
    return f"{share:.2%}".replace(".00%", "%").replace("%", " %")


def _calls(count: int) -> str:
    return f"{count} answered calls say" if count != 1 else "1 answered call says"


def _chances(count: int, chance: float) -> list[tuple[int, float]]:
    """The binomial chances of the counts that are not out of the question."""
    middle, far = count * chance, _FAR_SD * (math.sqrt(count * chance * (1.0 - chance)) + 1.0)
    first, last = max(0, math.floor(middle - far)), min(count, math.ceil(middle + far))
    whole, yes, no = math.lgamma(count + 1), math.log(chance), math.log1p(-chance)
    return [
        (k, math.exp(whole - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * yes + (count - k) * no))
        for k in range(first, last + 1)
    ]


def _chance_above(count: int, most: int, chance: float) -> float:
    """The chance of more than *most* of *count*."""
    return min(1.0, math.fsum(one for k, one in _chances(count, chance) if k > most))


def _range(count: int, chance: float) -> tuple[int, int]:
    """The middle 95 % of the binomial distribution."""
    below, fewest = 0.0, -1
    for k, one in _chances(count, chance):
        below += one
        if fewest < 0 and below > _TAIL:
            fewest = k
        if below >= 1.0 - _TAIL:
            return max(fewest, 0), k
    return max(fewest, 0), count
