"""Calling hours against an oracle that looks at the wall's clock minute by minute, in every zone there is."""

from __future__ import annotations

import bisect
import functools
import zoneinfo
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.core.hours import AHEAD_S, DAY_S, caps_hold, day, stretch
from dialer.core.values import CallingHours, DayHours, HoursException, Stretch
from dialer.store.calendar import Calendar
from tests.examples import IS_QUICK, examples

ZONES = sorted(zoneinfo.available_timezones())
MINUTE_S = 60

Change = tuple[int, timedelta | None, timedelta | None]
"""When, and the offsets before and after."""


def instant(text: str) -> float:
    """The instant of a date and time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def wall(zone: tzinfo, at: float) -> tuple[date, int, int]:
    """What the wall's clock shows: date, minute, second of the minute."""
    shown = datetime.fromtimestamp(at, zone)
    return shown.date(), shown.hour * 60 + shown.minute, shown.second


def stretches_of(hours: CallingHours, kind: str, shown: date) -> tuple[Stretch, ...]:
    """The rule as it is told to people."""
    for exception in reversed(hours.exceptions):
        if exception.date == str(shown) and (not exception.kinds or kind in exception.kinds):
            return exception.stretches
    if str(shown) in hours.holidays:
        return ()
    lines = hours.kinds.get(kind, hours.kinds.get("default", ()))
    return tuple(one for line in lines if shown.weekday() in line.days for one in line.stretches)


def is_allowed(hours: CallingHours, kind: str, zones: Sequence[tzinfo], at: float) -> bool:
    """The meaning of calling hours, word by word."""
    for zone in zones:
        shown, minute, _ = wall(zone, at)
        if not any(since <= minute < until for since, until in stretches_of(hours, kind, shown)):
            return False
    return True


def runs(hours: CallingHours, zones: Sequence[tzinfo], begin: float, end: float) -> list[tuple[float, float]]:
    """Whatever is allowed between two whole minutes, looked at minute by minute."""
    found: list[tuple[float, float]] = []
    was = False
    for at in range(int(begin), int(end), MINUTE_S):
        if is_allowed(hours, "work", zones, at) != was:
            was = not was
            if was:
                found.append((at, end))
            else:
                found[-1] = (found[-1][0], at)
    return found


def changes(zone: tzinfo, first: int, last: int) -> Iterator[Change]:
    """The minutes of the years *first* to *last* from which on the clock runs otherwise.

    (Nowhere does it change twice in four days.)
    """
    begin, end = int(instant(f"{first}-01-01")), int(instant(f"{last + 1}-01-01"))

    def offset(at: int) -> timedelta | None:
        return datetime.fromtimestamp(at, zone).utcoffset()

    before = offset(begin)
    for at in range(begin + 4 * DAY_S, end, 4 * DAY_S):
        if (after := offset(at)) != before:
            hour = next(one for one in range(at - 4 * DAY_S, at + 1, 3600) if offset(one) == after)
            minute = next(one for one in range(hour - 3600, hour + 1, MINUTE_S) if offset(one) == after)
            yield minute, before, after
            before = after


@functools.cache
def changes_of_all() -> dict[Change, str]:
    """The changes of 2024 to 2028 in all zones, each that is like another once, with a zone that has it."""
    return {change: name for name in reversed(ZONES) for change in changes(ZoneInfo(name), 2024, 2028)}


EVERY_DAY = tuple(range(7))
AWKWARD = CallingHours(
    kinds={"work": (DayHours(days=EVERY_DAY, stretches=((0, 30), (90, 150), (165, 600), (1410, 1440))),)}
)
"""Open about midnight and in the hours in which clocks are changed; from 23:30 right through to 00:30."""


def test_every_hour_right_through_every_change_of_2024_to_2028() -> None:
    every = sorted(changes_of_all().items(), key=lambda one: one[0][0])
    assert len(every) > 250
    for (change, _, _), name in every[:: 48 if IS_QUICK else 1]:
        zone = (ZoneInfo(name),)
        begin, end = change - 15 * 3600, change + 17 * 3600
        expected = runs(AWKWARD, zone, begin, end)
        ends = [until for _, until in expected]
        for at in range(begin + 9 * 3600, end - 11 * 3600, 3600):
            found = stretch(AWKWARD, "work", zone, at)
            assert found == expected[bisect.bisect_right(ends, at)], (name, at)


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("Europe/Moscow", "2014-10-25T22:00"),  # an hour back for good
        ("Europe/Berlin", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-10-25T01:00"),
        ("America/Havana", "2026-03-08T05:00"),  # midnight is skipped
        ("America/Havana", "2026-11-01T05:00"),  # the first hour of the day comes twice
        ("Asia/Beirut", "2026-03-28T22:00"),
        ("Asia/Beirut", "2026-10-24T21:00"),  # the last hour of the day comes twice
        ("America/St_Johns", "2010-11-07T02:31"),  # back over midnight at one minute past
        ("Australia/Lord_Howe", "2026-04-04T15:00"),  # half an hour
        ("Australia/Lord_Howe", "2026-10-03T15:30"),
        ("Pacific/Apia", "2011-12-30T10:00"),  # a date that was not
        ("Pacific/Kwajalein", "1993-08-21T12:00"),
        ("Asia/Pyongyang", "2018-05-04T15:00"),
        ("Africa/Casablanca", "2026-02-15T02:00"),  # Ramadan
        ("Antarctica/Troll", "2026-03-29T01:00"),  # two hours
    ],
)
def test_famous_changes(name: str, about: str) -> None:
    zone = (ZoneInfo(name),)
    begin, end = instant(about) - 60 * 3600, instant(about) + 60 * 3600
    assert wall(zone[0], begin)[1] != wall(zone[0], end)[1] or name in ("Pacific/Apia", "Pacific/Kwajalein")
    expected = runs(AWKWARD, zone, begin, end)
    for one in expected[1:-1]:
        for at in (one[0], one[1] - 1, one[1] - 0.001):
            assert stretch(AWKWARD, "work", zone, at) == one
    for before, one in pairwise(expected[1:-1]):
        assert stretch(AWKWARD, "work", zone, before[1]) == one


def test_a_date_that_was_not_has_no_hours() -> None:
    exception = HoursException(date="2011-12-30", stretches=((0, 1440),))
    hours = CallingHours(kinds={"default": ()}, exceptions=(exception,))
    assert stretch(hours, "work", [ZoneInfo("Pacific/Apia")], instant("2011-12-20")) is None
    found = stretch(hours, "work", [ZoneInfo("Pacific/Auckland")], instant("2011-12-20"))
    assert found == (instant("2011-12-29T11:00"), instant("2011-12-30T11:00"))


# -- any hours, any zones, any time -------------------------------------------------------


@st.composite
def days_of_any(draw: st.DrawFn) -> tuple[Stretch, ...]:
    cuts = sorted(draw(st.sets(st.integers(0, 1440), max_size=6)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return draw(st.sampled_from([tuple(pairs), ((0, 1440),), ()]))


@st.composite
def hours_of_any(draw: st.DrawFn, about: float) -> CallingHours:
    lines = draw(
        st.lists(
            st.builds(
                DayHours,
                days=st.sets(st.integers(0, 6), min_size=1).map(lambda one: tuple(sorted(one))),
                stretches=days_of_any(),
            ),
            max_size=3,
        )
    )
    near = st.integers(-3, 6).map(lambda n: str((datetime.fromtimestamp(about, UTC) + timedelta(n)).date()))
    exceptions = st.builds(
        HoursException, date=near, stretches=days_of_any(), kinds=st.sampled_from([(), ("work",), ("home",)])
    )
    return CallingHours(
        kinds={draw(st.sampled_from(["work", "default"])): tuple(lines)},
        holidays=tuple(draw(st.sets(near, max_size=2))),
        exceptions=tuple(draw(st.lists(exceptions, max_size=3, unique_by=lambda one: one.date))),
    )


@st.composite
def instants(draw: st.DrawFn) -> float:
    """Any second of 1900 to 2100, as often as not about a change."""
    if draw(st.booleans()):
        change = draw(st.sampled_from(sorted({at for at, _, _ in changes_of_all()})))
        return float(change + draw(st.integers(-2 * DAY_S, 2 * DAY_S)))
    return float(draw(st.integers(int(instant("1900-01-01")), int(instant("2100-01-01")))))


@settings(max_examples=examples(400), deadline=None)
@given(data=st.data(), at=instants(), names=st.lists(st.sampled_from(ZONES), min_size=1, max_size=4))
def test_a_stretch_is_what_the_oracle_says(data: st.DataObject, at: float, names: list[str]) -> None:
    hours = data.draw(hours_of_any(at))
    zones = [ZoneInfo(name) for name in names]
    found = stretch(hours, "work", zones, at, ahead_s=9.0 * DAY_S)
    if found is None:
        assert not any(is_allowed(hours, "work", zones, at + n * 613) for n in range(9 * DAY_S // 613))
        return
    begin, end = found
    assert end > at
    assert begin < end
    if (begin, end) == (0.0, 253_402_300_799.0):
        begin, end = max(at - DAY_S, 0.0), at + DAY_S
    else:
        if begin > at - 9 * DAY_S:
            assert not is_allowed(hours, "work", zones, begin - 1)
        if end < at + 9 * DAY_S:
            assert not is_allowed(hours, "work", zones, end)
        gap = int(begin - at)
        assert not any(is_allowed(hours, "work", zones, at + n) for n in range(0, gap, max(gap // 150, 60)))
    length = int(end - begin)
    assert is_allowed(hours, "work", zones, begin)
    assert is_allowed(hours, "work", zones, end - 1)
    assert all(
        is_allowed(hours, "work", zones, begin + n) for n in range(0, length, max(length // 150, MINUTE_S))
    )


@settings(max_examples=examples(100), deadline=None)
@given(data=st.data(), at=instants(), names=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3))
def test_several_zones_allow_what_each_allows(data: st.DataObject, at: float, names: list[str]) -> None:
    hours = data.draw(hours_of_any(at))
    zones = [ZoneInfo(name) for name in names]
    both = stretch(hours, "work", zones, at, ahead_s=3.0 * DAY_S)
    for zone in zones:
        alone = stretch(hours, "work", [zone], at, ahead_s=3.0 * DAY_S)
        if both is not None:
            assert alone is not None
            assert alone[0] <= max(both[0], at) < alone[1] or alone[1] <= both[0]


@settings(max_examples=examples(80), deadline=None)
@given(data=st.data(), at=instants(), names=st.sets(st.sampled_from(ZONES), min_size=1, max_size=3))
def test_what_the_calendar_remembers_is_what_would_be_computed(
    data: st.DataObject, at: float, names: set[str]
) -> None:
    calendar, zones = Calendar(), tuple(sorted(names - {"Factory", "localtime"})) or ("UTC",)
    at = abs(at) + 10 * DAY_S  # not about 1970, where "always" begins
    hours = data.draw(hours_of_any(at))
    for later in sorted(data.draw(st.lists(st.integers(-DAY_S, 4 * DAY_S), max_size=6))):
        known = calendar.stretch(hours, "work", zones, at + later)
        fresh = stretch(hours, "work", [ZoneInfo(name) for name in zones], at + later)
        if known is None or fresh is None or known == (0.0, 253_402_300_799.0):
            assert known == fresh
        else:
            # What lies a year back or ahead is told only so far, counted from when it was computed.
            assert known[0] == fresh[0] or fresh[0] == at + later - AHEAD_S
            assert known[1] == fresh[1] or fresh[1] == at + later + AHEAD_S


@settings(max_examples=examples(300), deadline=None)
@given(at=instants(), names=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3))
def test_a_day_is_all_instants_of_its_date(at: float, names: list[str]) -> None:
    zones = [ZoneInfo(name) for name in names]
    spans = [day([zone], at) for zone in zones]
    for zone, span in zip(zones, spans, strict=True):
        assert span is not None
        begin, end = span
        today = wall(zone, at)[0]
        assert begin <= at < end
        assert wall(zone, begin)[0] == wall(zone, end - 1)[0] == today
        assert wall(zone, begin - 1)[0] != today
        assert wall(zone, end)[0] != today
        outside = [begin - n * 600 for n in range(1, 12)] + [end + n * 600 for n in range(12)]
        assert all(wall(zone, other)[0] != today for other in outside)
    begins, ends = zip(*(span for span in spans if span), strict=True)
    assert day(zones, at) == (min(begins), max(ends))


# -- caps ---------------------------------------------------------------------------------


@settings(max_examples=examples(200), deadline=None)
@given(
    names=st.lists(st.sampled_from(ZONES), max_size=3, unique=True),
    per_day=st.none() | st.integers(1, 3),
    per_24h=st.none() | st.integers(1, 3),
    gap_s=st.sampled_from([0.0, 1800.0, 20 * 3600.0]),
    about=instants(),
    waits=st.lists(st.integers(1, 20 * 3600), max_size=25),
    scope=st.sampled_from(["number", "contact"]),
)
def test_who_asks_the_caps_never_breaks_them(
    names: list[str],
    per_day: int | None,
    per_24h: int | None,
    gap_s: float,
    about: float,
    waits: list[int],
    scope: str,
) -> None:
    """A dialer that calls as often as it is let, which comes back at the hold's end or a while later."""
    zones, placed, at = [ZoneInfo(name) for name in names], list[float](), about
    for wait in waits:
        hold = caps_hold(
            placed[::-1],
            per_day=per_day,
            per_24h=per_24h,
            gap_s=gap_s,
            day=day(zones, at),
            at=at,
            scope=scope,  # type: ignore[arg-type]
        )
        if hold is None:
            placed.append(at)
            at += wait if wait % 3 else 0.5
        else:
            assert hold.until > at
            assert hold.until <= at + 3 * DAY_S
            assert hold.rule in (f"{scope}_per_day", f"{scope}_per_24h", "gap")
            at = hold.until
    for first, later in pairwise(placed):
        assert later - first >= gap_s
    if per_24h is not None:
        for first, later in zip(placed, placed[per_24h:], strict=False):
            assert later - first >= DAY_S
    if per_day is not None:
        for zone in zones or [ZoneInfo("Europe/Moscow"), ZoneInfo("America/Havana")]:
            dates = [wall(zone, one)[0] for one in placed]
            assert all(dates.count(shown) <= per_day for shown in dates)


@settings(max_examples=examples(200), deadline=None)
@given(
    placed=st.lists(st.integers(0, 3 * DAY_S).map(float), max_size=8),
    per_24h=st.integers(1, 4),
    gap_s=st.integers(0, DAY_S).map(float),
    at=st.integers(0, 4 * DAY_S).map(float),
)
def test_a_hold_lasts_no_longer_than_it_must(
    placed: list[float], per_24h: int, gap_s: float, at: float
) -> None:
    def ask(when: float) -> float | None:
        hold = caps_hold(
            placed, per_day=None, per_24h=per_24h, gap_s=gap_s, day=None, at=when, scope="number"
        )
        return None if hold is None else hold.until

    until = ask(at)
    if until is not None:
        assert ask(until - 0.5) == until
        assert ask(until) is None
