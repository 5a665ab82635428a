"""At which times a person may be offered a call who asks to be called later: pure, like all of the core.

1. An offer lies in the calling hours of every place where the person may be, and at least :data:`LEFT_S` before they end there (half of a
   shorter stretch): who chose it must be reached in it.
2. Offers are at least :data:`APART_S` from each other and :data:`SOON_S` from now.
3. Where the person's clock is known (one zone, or several that show the same at that time) offers are quarters of an hour on it: in an hour,
   this evening, tomorrow at the same time; where these are closed, other hours of the coming days, and at last the times at which
   the hours begin. An hour that daylight saving skips is never offered; one that it repeats, as the first.
4. Where it is not known, they are told by how much later: in one, two, four hours, tomorrow at this time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta, tzinfo

import msgspec

from dialer.core.hours import DAY_S, stretch
from dialer.core.values import FOREVER, CallingHours

QUARTER_S = 900
SOON_S = 3300.0
"""Nothing earlier is offered: "in an hour", rounded to the quarter."""
APART_S = 3600.0
LEFT_S = 1800.0
DAYS = 14
"""So many days ahead are looked at."""
EVENING = (18, 19, 20)
EVENING_AHEAD_S = 2 * 3600.0
"""The first of these hours that is at least so far away is "this evening"."""
OTHER_HOURS = (10, 14, 18, 12, 16, 20)
LATER_HOURS = (1, 2, 4, 24, 3, 6, 8, 12)
"""Where the clock is not known: so many hours from now."""
MOST = 9
"""Keys on a telephone."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One time. *due*: seconds since the epoch. *clock*: the person's time zone, to tell it by; None: tell it as *in_hours* from now."""

    due: float
    clock: tzinfo | None = None
    in_hours: int = 0


def offers(
    hours: CallingHours | None,
    kind: str,
    zones: Sequence[tzinfo],
    at: float,
    most: int,
    *,
    assumed: tzinfo | None = None,
) -> list[Offer]:
    """At most *most* times (and :data:`MOST`) after *at*, the earliest first.

    *hours*: None: any time is allowed. *kind*: of the phone. *zones*: where the person may be; empty: not known, and *assumed* stands for
    it in the hours, but not as their clock.
    """
    most = min(most, MOST)
    places = list(zones) or ([assumed] if assumed is not None else [])
    chosen: list[Offer] = []
    by_clock = _by_clock(hours, kind, zones, at) if zones else iter(())
    for offer in (*by_clock,) or tuple(_by_length(at)):
        if len(chosen) >= most:
            break
        is_apart = all(abs(offer.due - other.due) >= APART_S for other in chosen)
        if is_apart and offer.due >= at + SOON_S and _is_open(hours, kind, places, offer.due):
            chosen.append(offer)
    return sorted(chosen, key=lambda offer: offer.due)


def _by_clock(hours: CallingHours | None, kind: str, zones: Sequence[tzinfo], at: float) -> Iterator[Offer]:
    """What may be offered by the clock on the person's wall, the most welcome first; nothing where their clocks differ."""
    clock = zones[0]
    for due in _wall_times(hours, kind, zones, clock, at):
        moment = datetime.fromtimestamp(due, clock)
        if all(datetime.fromtimestamp(due, zone).utcoffset() == moment.utcoffset() for zone in zones):
            yield Offer(due=due, clock=clock)


def _wall_times(
    hours: CallingHours | None, kind: str, zones: Sequence[tzinfo], clock: tzinfo, at: float
) -> Iterator[float]:
    now = datetime.fromtimestamp(at, clock)
    yield math.ceil((at + 3600) / QUARTER_S) * QUARTER_S
    this_evening = [one for hour in EVENING for one in _wall(now, 0, time(hour), clock)]
    yield from [one for one in this_evening if one >= at + EVENING_AHEAD_S][:1]
    yield from _wall(now, 1, time(now.hour, now.minute // 15 * 15), clock)
    for days in range(DAYS):
        for hour in OTHER_HOURS:
            yield from _wall(now, days, time(hour), clock)
    if hours is not None:
        since = at
        for _ in range(DAYS):
            found = stretch(hours, kind, zones, since)
            if found is None or found[1] >= FOREVER:
                return
            yield math.ceil(found[0] / QUARTER_S) * QUARTER_S
            since = found[1]


def _wall(now: datetime, days: int, at: time, clock: tzinfo) -> Iterator[float]:
    """The instant at which the clock shows *at*, so many days from *now*'s date; none if it never does."""
    shown = datetime.combine(now.date() + timedelta(days=days), at)
    instant = shown.replace(tzinfo=clock).timestamp()
    if datetime.fromtimestamp(instant, clock).replace(tzinfo=None) == shown:
        yield instant


def _by_length(at: float) -> Iterator[Offer]:
    for hours in LATER_HOURS:
        yield Offer(due=float(math.ceil(at + 3600 * hours)), in_hours=hours)


def _is_open(hours: CallingHours | None, kind: str, places: Sequence[tzinfo], due: float) -> bool:
    if hours is None:
        return True
    found = stretch(hours, kind, places, due, ahead_s=DAY_S)
    if found is None:
        return False
    begin, end = found
    return begin <= due <= end - min(LEFT_S, (end - begin) / 2)
