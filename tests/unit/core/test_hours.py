"""Calling hours and caps on plain days; every odd day there is: ``tests/property/test_hours.py``."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from dialer.core.hours import DAY_S, LONGEST_DAY_S, caps_hold, day, stretch
from dialer.core.values import FOREVER, CallingHours, DayHours, Hold, HoursException

MOSCOW, VLADIVOSTOK = ZoneInfo("Europe/Moscow"), ZoneInfo("Asia/Vladivostok")
WEEK = (0, 1, 2, 3, 4)
WORK = DayHours(days=WEEK, stretches=((540, 720), (840, 1080)))
DAILY = DayHours(days=tuple(range(7)), stretches=((480, 1290),))
HOURS = CallingHours(
    kinds={"work": (WORK,), "mobile": (DAILY,), "fax": ()},
    holidays=("2026-05-01",),
    exceptions=(
        HoursException(date="2026-05-02", stretches=((600, 660),), kinds=("work",)),
        HoursException(date="2026-05-05"),
    ),
)


def moscow(text: str) -> float:
    """The instant of a date and time in Moscow."""
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW).timestamp()


def spoken(found: tuple[float, float] | None) -> tuple[str, str] | None:
    """A stretch as Moscow's clock shows it."""
    if found is None:
        return None
    begin, end = (datetime.fromtimestamp(at, MOSCOW).strftime("%m-%d %H:%M") for at in found)
    return begin, end


@pytest.mark.parametrize(
    ("kind", "at", "expected"),
    [
        ("work", "2026-04-29T08:59:59", ("04-29 09:00", "04-29 12:00")),
        ("work", "2026-04-29T09:00", ("04-29 09:00", "04-29 12:00")),
        ("work", "2026-04-29T11:59:59", ("04-29 09:00", "04-29 12:00")),
        ("work", "2026-04-29T12:00", ("04-29 14:00", "04-29 18:00")),
        # Then a holiday, a Saturday with hours of its own, a Sunday, and a day on which nobody is called.
        ("work", "2026-04-30T18:00", ("05-02 10:00", "05-02 11:00")),
        ("work", "2026-05-02T11:00", ("05-04 09:00", "05-04 12:00")),
        ("work", "2026-05-04T18:00", ("05-06 09:00", "05-06 12:00")),
        # The Saturday's own hours are those of work phones only.
        ("mobile", "2026-05-01T12:00", ("05-02 08:00", "05-02 21:30")),
        ("fax", "2026-04-29T12:00", None),
        ("home", "2026-04-29T12:00", None),
    ],
)
def test_the_present_or_next_stretch(kind: str, at: str, expected: tuple[str, str] | None) -> None:
    assert spoken(stretch(HOURS, kind, [MOSCOW], moscow(at))) == expected


def test_several_zones_only_what_is_allowed_in_all() -> None:
    # Vladivostok is 7 hours ahead: from 8:00 in Moscow until 21:30 there, which is 14:30 in Moscow.
    found = stretch(HOURS, "mobile", [MOSCOW, VLADIVOSTOK], moscow("2026-04-29T20:00"))
    assert spoken(found) == ("04-30 08:00", "04-30 14:30")
    assert (
        stretch(HOURS, "work", [MOSCOW, ZoneInfo("America/Los_Angeles")], moscow("2026-04-29T20:00")) is None
    )


def test_no_zone_allows_nothing() -> None:
    assert stretch(HOURS, "mobile", [], moscow("2026-04-29T12:00")) is None
    assert day([], 0.0) is None


def test_stretches_that_touch_at_midnight_are_one() -> None:
    night = CallingHours(
        kinds={
            "default": (
                DayHours(days=(4,), stretches=((1200, 1440),)),
                DayHours(days=(5,), stretches=((0, 120),)),
            )
        }
    )
    found = ("05-01 20:00", "05-02 02:00")
    for at in (
        "2026-04-28T00:00",
        "2026-05-01T20:00",
        "2026-05-01T23:59",
        "2026-05-02T00:00",
        "2026-05-02T01:59",
    ):
        assert spoken(stretch(night, "home", [MOSCOW], moscow(at))) == found


def test_hours_that_never_close_and_hours_that_never_open() -> None:
    always = CallingHours(kinds={"default": (DayHours(days=tuple(range(7)), stretches=((0, 1440),)),)})
    assert stretch(always, "home", [MOSCOW, VLADIVOSTOK], 1e9) == (0.0, FOREVER)
    holiday = CallingHours(kinds=always.kinds, holidays=("2026-05-01",))
    assert spoken(stretch(holiday, "home", [MOSCOW], moscow("2026-05-01T10:00"), ahead_s=DAY_S)) == (
        "05-02 00:00",
        "05-02 10:00",
    )
    assert stretch(CallingHours(kinds={}), "home", [MOSCOW], 1e9) is None


def test_an_exception_for_the_kinds_that_are_not_named() -> None:
    hours = CallingHours(
        kinds={"work": (WORK,), "default": (DAILY,)},
        exceptions=(HoursException(date="2026-04-29", kinds=("default",)),),
    )
    assert spoken(stretch(hours, "home", [MOSCOW], moscow("2026-04-29T10:00"))) == (
        "04-30 08:00",
        "04-30 21:30",
    )
    assert spoken(stretch(hours, "work", [MOSCOW], moscow("2026-04-29T10:00"))) == (
        "04-29 09:00",
        "04-29 12:00",
    )


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1e12, FOREVER, 1e18])
def test_an_instant_that_no_calendar_has(at: float) -> None:
    assert stretch(HOURS, "mobile", [MOSCOW], at) is None


def test_a_date_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="2026-02-30"):
        stretch(CallingHours(kinds={"default": (DAILY,)}, holidays=("2026-02-30",)), "home", [MOSCOW], 1e9)


def test_fixed_zones_serve_as_well() -> None:
    found = stretch(HOURS, "mobile", [timezone(timedelta(hours=3))], moscow("2026-04-29T12:00"))
    assert spoken(found) == ("04-29 08:00", "04-29 21:30")


def test_a_day_in_the_strictest_reading() -> None:
    at = moscow("2026-04-29T12:00")
    assert day([MOSCOW], at) == (moscow("2026-04-29T00:00"), moscow("2026-04-30T00:00"))
    assert day([MOSCOW, VLADIVOSTOK], at) == (moscow("2026-04-28T17:00"), moscow("2026-04-30T00:00"))


# -- caps ---------------------------------------------------------------------------------

TODAY = (0.0, float(DAY_S))


def hold(
    *placed: float,
    at: float,
    per_day: int | None = None,
    per_24h: int | None = None,
    gap_s: float = 0.0,
    day: tuple[float, float] | None = TODAY,
) -> Hold | None:
    """What holds a number back."""
    return caps_hold(placed, per_day=per_day, per_24h=per_24h, gap_s=gap_s, day=day, at=at, scope="number")


def test_a_day_s_cap_holds_until_the_day_is_over() -> None:
    assert hold(100.0, at=200.0, per_day=2) is None
    assert hold(100.0, 150.0, at=200.0, per_day=2) == Hold(until=DAY_S, rule="number_per_day")
    assert hold(-1.0, 100.0, at=200.0, per_day=2) is None
    assert hold(0.0, 100.0, at=200.0, per_day=2) is not None


def test_a_day_s_cap_where_no_zone_is_known() -> None:
    assert hold(100.0, at=90_000.0, per_day=1, day=None) == Hold(
        until=100.0 + LONGEST_DAY_S, rule="number_per_day"
    )
    assert hold(100.0, at=100.0 + LONGEST_DAY_S, per_day=1, day=None) is None


def test_24_hours_roll() -> None:
    assert hold(10.0, 20.0, 30.0, at=40.0, per_24h=2) == Hold(until=20.0 + DAY_S, rule="number_per_24h")
    assert hold(10.0, 20.0, 30.0, at=20.0 + DAY_S, per_24h=2) is None


def test_the_gap_counts_from_the_beginning_of_the_last_call() -> None:
    assert hold(30.0, 10.0, at=80.0, gap_s=60.0) == Hold(until=90.0, rule="gap")
    assert hold(30.0, 10.0, at=90.0, gap_s=60.0) is None


def test_the_longest_hold_is_told_and_a_cap_of_none_at_all_holds_for_ever() -> None:
    assert hold(10.0, at=20.0, per_day=1, per_24h=1, gap_s=5e5) == Hold(until=10.0 + 5e5, rule="gap")
    assert hold(10.0, at=20.0, per_day=1, per_24h=1, gap_s=5.0) == Hold(
        until=10.0 + DAY_S, rule="number_per_24h"
    )
    assert hold(at=20.0, per_24h=0) == Hold(until=FOREVER, rule="number_per_24h")
    assert hold(at=20.0, per_day=0) == Hold(until=FOREVER, rule="number_per_day")
    assert hold(at=20.0, per_day=1, per_24h=1, gap_s=100.0) is None


def test_calls_of_the_future_count() -> None:
    """A clock that was set back must not let a person be called more often."""
    assert hold(500.0, at=20.0, per_24h=1) == Hold(until=500.0 + DAY_S, rule="number_per_24h")
    assert hold(500.0, at=20.0, gap_s=1.0) == Hold(until=501.0, rule="gap")
