"""Calling hours and caps: when a person may be called, to the second and in every time zone.

1. An instant is allowed if the clock on the person's wall shows, at that instant, a time that lies in a
   stretch of the date which the same clock shows. That is the whole meaning: an hour that daylight
   saving skips is never shown, so nobody is called in it; one that it repeats is shown twice, and both
   times count. A date that a zone never had (Samoa, 30 December 2011) has no hours.
2. Where a person may be in several time zones, an instant is allowed if it is in all of them. No zone at
   all allows nothing.
3. A date's hours are its exception's, if one names the date (for this kind of phone); else none, if it is
   a holiday; else those of its day of the week.
4. Between two changes of a zone's offset the wall's clock runs like any other. So the line of time is cut
   at the changes, found by bisecting the offset, and in each piece hours are plain arithmetic. It is
   looked at day by day (UTC): no zone has ever changed twice within a day.
5. Stretches that touch, at midnight or at a change, are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Literal

from dialer.core.values import FOREVER, CallingHours, Hold, Stretch

DAY_S = 86_400
AHEAD_S = 370.0 * DAY_S
"""A year and a little: hours that do not come in it are taken never to come."""
LONGEST_DAY_S = 25 * 3600
"""A day of a person of whom nobody knows where they are lasts no longer (the clock goes back an hour)."""

Span = tuple[float, float]
"""From an instant until another."""

_EPOCH = date(1970, 1, 1).toordinal()
_EARLIEST = datetime(1, 1, 5, tzinfo=UTC).timestamp()
_LATEST = datetime(9999, 12, 27, tzinfo=UTC).timestamp()
_WHOLE_DAY = ((0, DAY_S),)

_Spans = list[tuple[int, int]]
"""Apart and in order."""


def stretch(
    hours: CallingHours, kind: str, zones: Sequence[tzinfo], at: float, *, ahead_s: float = AHEAD_S
) -> Span | None:
    """The present or next stretch of time, from and until, in which *hours* allow a phone of *kind*
    to be called in all of *zones*.

    None if there is none that begins within *ahead_s* seconds. One that began earlier than *ahead_s*
    ago, or ends later than *ahead_s* ahead, is told as if it began or ended there; hours that are never
    closed are told as ``(0.0, FOREVER)``.

    Raises ValueError when a date in *hours* is none.
    """
    days = _Days(hours, kind)
    low, high = max(at - ahead_s, _EARLIEST), min(at + ahead_s, _LATEST)
    if not zones or not days.is_ever or not low <= at < high:
        return None
    if days.is_always and at >= 0:
        return 0.0, FOREVER
    first = int(at // DAY_S)
    found = _first_open(days, zones, at, range(first, int(high // DAY_S) + 1))
    if found is None or found[0] >= high:
        return None
    begin, end = found
    if begin == first * DAY_S:
        for day in range(first - 1, int(low // DAY_S) - 1, -1):
            before = _open_on(days, zones, day)
            if not before or before[-1][1] != begin:
                break
            begin = before[-1][0]
            if begin != day * DAY_S:
                break
    return max(float(begin), low), min(float(end), high)


def day(zones: Sequence[tzinfo], at: float) -> Span | None:
    """The person's present day: from its first instant until the first of the next one.

    Where they may be in several zones: from the earliest beginning until the latest end. None without a
    zone.
    """
    if not zones or not _EARLIEST <= at < _LATEST:
        return None
    spans = [_day_in(zone, at) for zone in zones]
    return float(min(begin for begin, _ in spans)), float(max(end for _, end in spans))


def caps_hold(
    placed: Sequence[float],
    *,
    per_day: int | None,
    per_24h: int | None,
    gap_s: float,
    day: Span | None,
    at: float,
    scope: Literal["number", "contact"],
) -> Hold | None:
    """What keeps the next call back at *at*, after calls that were *placed* (instants, in any order); None: nothing.

    *day*: the person's present day, as :func:`day` tells it; None: it is not known where they are, and
    calls of the last :data:`LONGEST_DAY_S` seconds count as today's. *scope* gives the rule its name
    (``number_per_day``). Where several caps hold, the one that holds longest is told. A cap of 0 holds for
    ever. Calls later than *at* (a clock that was set back) count too.
    """
    ordered = sorted(placed)
    holds = []
    if per_day is not None:
        today = [one for one in ordered if (one >= day[0] if day else one + LONGEST_DAY_S > at)]
        if len(today) >= per_day:
            until = FOREVER if per_day <= 0 else day[1] if day else today[-per_day] + LONGEST_DAY_S
            holds.append(Hold(until=until, rule=f"{scope}_per_day"))
    if per_24h is not None:
        recent = [one for one in ordered if one + DAY_S > at]
        if len(recent) >= per_24h:
            until = FOREVER if per_24h <= 0 else recent[-per_24h] + DAY_S
            holds.append(Hold(until=until, rule=f"{scope}_per_24h"))
    if ordered and ordered[-1] + gap_s > at:
        holds.append(Hold(until=ordered[-1] + gap_s, rule="gap"))
    return max(holds, key=lambda hold: hold.until, default=None)


class _Days:
    """The hours of one kind of phone by date, in seconds since midnight; dates are days since 1 January 1970."""

    def __init__(self, hours: CallingHours, kind: str) -> None:
        week: list[_Spans] = [[] for _ in range(7)]
        for one in hours.kinds.get(kind, hours.kinds.get("default", ())):
            for weekday in one.days:
                week[weekday] += _seconds(one.stretches)
        self._week = [_joined(sorted(spans)) for spans in week]
        self._dates: dict[int, _Spans] = {_number(text): [] for text in hours.holidays}
        for exception in hours.exceptions:
            named = kind if kind in hours.kinds or kind in exception.kinds else "default"
            if not exception.kinds or named in exception.kinds:
                self._dates[_number(exception.date)] = _joined(sorted(_seconds(exception.stretches)))
        every = [*self._week, *self._dates.values()]
        self.is_ever = any(every)
        self.is_always = all(tuple(spans) == _WHOLE_DAY for spans in every)

    def of(self, number: int) -> _Spans:
        """The hours of the date *number* (its day of the week: day 0 was a Thursday)."""
        found = self._dates.get(number)
        return self._week[(number + 3) % 7] if found is None else found


def _first_open(days: _Days, zones: Sequence[tzinfo], at: float, numbers: range) -> tuple[int, int] | None:
    """The first span that ends after *at*, as far as the days *numbers* (UTC) show it."""
    begin = end = None
    for number in numbers:
        for first, last in _open_on(days, zones, number):
            if last <= at:
                continue
            if begin is None or end is None:
                begin, end = first, last
            elif first == end:
                end = last
            else:
                return begin, end
        if begin is not None and end is not None and end < (number + 1) * DAY_S:
            return begin, end
    return None if begin is None or end is None else (begin, end)


def _open_on(days: _Days, zones: Sequence[tzinfo], number: int) -> _Spans:
    """What is open in all *zones* on the day *number* of UTC."""
    begin = number * DAY_S
    found = [(begin, begin + DAY_S)]
    for zone in zones:
        found = _common(found, _open_in(days, zone, begin, begin + DAY_S))
        if not found:
            break
    return found


def _open_in(days: _Days, zone: tzinfo, begin: int, end: int) -> _Spans:
    """What is open in one zone between *begin* and *end*."""
    found: _Spans = []
    for first, last, offset in _pieces(zone, begin, end):
        for number in range((first + offset) // DAY_S, (last - 1 + offset) // DAY_S + 1):
            midnight = number * DAY_S - offset
            found += [
                (max(first, midnight + since), min(last, midnight + until))
                for since, until in days.of(number)
                if midnight + since < last and midnight + until > first
            ]
    return _joined(found)


def _day_in(zone: tzinfo, at: float) -> tuple[int, int]:
    """From the first until after the last instant at which the date of *at* is shown (rule 1).

    Where the clock goes back over midnight, the date is shown, then the one before again, and then the date.
    """
    number = (int(at // 1) + _offset(zone, int(at // 1))) // DAY_S
    begin, end = (number - 2) * DAY_S, (number + 3) * DAY_S
    shown = [
        (max(first, number * DAY_S - offset), min(last, (number + 1) * DAY_S - offset))
        for first, last, offset in _pieces(zone, begin, end)
    ]
    shown = [(first, last) for first, last in shown if first < last]
    return shown[0][0], shown[-1][1]


def _pieces(zone: tzinfo, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The time from *begin* until *end*, cut where the zone's offset changes: from, until, offset."""
    present = _offset(zone, begin)
    for day_end in range(begin + DAY_S, end + DAY_S, DAY_S):
        day_end = min(day_end, end)
        after = _offset(zone, day_end)
        if after == present:
            continue
        same, other = max(begin, day_end - DAY_S), day_end
        while other - same > 1:
            middle = (same + other) // 2
            if _offset(zone, middle) == present:
                same = middle
            else:
                other = middle
        if other < end:
            yield begin, other, present
            begin, present = other, after
    yield begin, end, present


def _offset(zone: tzinfo, at: int) -> int:
    """Seconds by which the wall's clock is ahead of UTC."""
    found = datetime.fromtimestamp(at, zone).utcoffset()
    return 0 if found is None else found.days * DAY_S + found.seconds


def _common(some: _Spans, others: _Spans) -> _Spans:
    """What lies in both."""
    found, i, j = [], 0, 0
    while i < len(some) and j < len(others):
        first, last = max(some[i][0], others[j][0]), min(some[i][1], others[j][1])
        if first < last:
            found.append((first, last))
        if some[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
    return found


def _joined(spans: _Spans) -> _Spans:
    """Spans that are sorted by their beginning, those that touch or overlap as one."""
    found: _Spans = []
    for first, last in spans:
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        elif first < last:
            found.append((first, last))
    return found


def _seconds(stretches: Sequence[Stretch]) -> _Spans:
    return [(since * 60, until * 60) for since, until in stretches]


def _number(text: str) -> int:
    """The date in *text* as days since 1 January 1970."""
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError:
        raise ValueError(f"{text!r} is no date") from None
