"""Destinations: which numbers a trunk may call.

Toll fraud is real: a call to a far premium number costs more than a day of work. So a number is called only if somebody said that
such numbers may be.

1. Of a trunk's own beginnings of numbers, those that it may call and those that it never calls, the longest that fits decides;
   the same beginning in both forbids.
2. Where none fits: a trunk that names what it may call may call nothing else. One that does not may call what the campaign's countries
   begin with, else the centre's.
3. Where neither names any (a journal from before there were such rules), there is no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dialer.core.trunk import Trunk
from dialer.core.values import Campaign, Centre

RULE = "destination"
"""The rule's name: where no trunk of the campaign may call a number."""


def longest(beginnings: Iterable[str], number: str) -> str | None:
    """The longest of *beginnings* that *number* begins with; None: none fits."""
    return max((one for one in beginnings if number.startswith(one)), key=len, default=None)


def allows(trunk: Trunk, countries: Sequence[str], number: str) -> bool:
    """Whether *trunk* may call *number* (E.164 with its plus sign). *countries*: see :func:`countries_of`."""
    may, never = longest(trunk.destinations, number), longest(trunk.forbidden, number)
    if may is not None or never is not None:
        return never is None or (may is not None and len(may) > len(never))
    if trunk.destinations:
        return False
    return not countries or longest(countries, number) is not None


def countries_of(campaign: Campaign, centre: Centre) -> tuple[str, ...]:
    """The beginnings of numbers that *campaign* may call where a trunk says nothing of its own."""
    return campaign.countries or centre.countries


def may_call(trunks: Sequence[Trunk], campaign: Campaign, centre: Centre, number: str) -> bool:
    """Whether any of the campaign's *trunks* may call *number*. With no trunk at all there is nothing to say: yes."""
    countries = countries_of(campaign, centre)
    return not trunks or any(allows(trunk, countries, number) for trunk in trunks)


def trunk_ids(campaign: Campaign) -> tuple[str, ...]:
    """The campaign's trunks, each once."""
    return tuple(dict.fromkeys((campaign.trunk, *campaign.trunks)))
