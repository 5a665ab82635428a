"""The times that are offered to who asks to be called later: inside the hours, apart, and as the person's clock shows them."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.core.hours import stretch
from dialer.core.offers import APART_S, LATER_HOURS, LEFT_S, MOST, QUARTER_S, SOON_S, offers
from dialer.core.values import CallingHours, DayHours, HoursException
from tests.examples import examples

ALL_DAYS = tuple(range(7))
DAILY = CallingHours(kinds={"default": (DayHours(days=ALL_DAYS, stretches=((540, 1260),)),)})
MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "Europe/Moscow",
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Asia/Shanghai",
)


def on(*when: int) -> datetime:
    """A date and a time by the clock on some wall."""
    return datetime(*when)  # type: ignore[arg-type]  # noqa: DTZ001 - whose clock, the test says


def told(
    zone: ZoneInfo, at: datetime, hours: CallingHours | None = DAILY, most: int = 3, kind: str = "mobile"
) -> list[str]:
    found = offers(hours, kind, [zone], at.replace(tzinfo=zone).timestamp(), most)
    return [datetime.fromtimestamp(one.due, zone).strftime("%a %d %H:%M") for one in found]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (on(2026, 3, 3, 12, 7), ["Tue 03 13:15", "Tue 03 18:00", "Wed 04 12:00"]),
        (on(2026, 3, 3, 9, 0), ["Tue 03 10:00", "Tue 03 18:00", "Wed 04 09:00"]),
        # the evening is near: a later one
        (on(2026, 3, 3, 16, 40), ["Tue 03 17:45", "Tue 03 19:00", "Wed 04 16:30"]),
        # the day is over: another hour of tomorrow stands in for what is closed
        (on(2026, 3, 3, 20, 50), ["Wed 04 10:00", "Wed 04 14:00", "Wed 04 18:00"]),
        (on(2026, 3, 3, 3, 0), ["Tue 03 10:00", "Tue 03 14:00", "Tue 03 18:00"]),
        # the clock goes forward in the night to Sunday 29 March in Berlin: that is not this zone
        (on(2026, 3, 28, 12, 0), ["Sat 28 13:00", "Sat 28 18:00", "Sun 29 12:00"]),
    ],
)
def test_in_an_hour_this_evening_and_tomorrow(at, expected):
    assert told(MOSCOW, at) == expected


def test_an_hour_that_the_clock_skips_is_not_offered():
    """2:30 is not shown on 29 March 2026 in Berlin."""
    night = CallingHours(kinds={"default": (DayHours(days=ALL_DAYS, stretches=((0, 1440),)),)})
    found = told(BERLIN, on(2026, 3, 28, 2, 30), night, most=9)
    assert "Sun 29 02:30" not in found
    assert "Sun 29 03:30" not in found, "nobody was told that"


def test_an_hour_that_is_shown_twice_is_offered_once():
    night = CallingHours(kinds={"default": (DayHours(days=ALL_DAYS, stretches=((0, 1440),)),)})
    found = offers(night, "", [BERLIN], datetime(2026, 10, 24, 2, 30, tzinfo=BERLIN).timestamp(), 9)
    tomorrow = [
        one.due for one in found if datetime.fromtimestamp(one.due, BERLIN).strftime("%d %H:%M") == "25 02:30"
    ]
    assert tomorrow == [datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0).timestamp()]


def test_a_short_stretch_is_offered_by_its_beginning():
    short = CallingHours(kinds={"default": (DayHours(days=(3,), stretches=((615, 645),)),)})
    assert told(MOSCOW, on(2026, 3, 3, 12, 0), short) == [
        "Thu 05 10:15",
        "Thu 12 10:15",
        "Thu 19 10:15",
    ]


def test_holidays_and_kinds_of_phone_hold():
    hours = CallingHours(
        kinds={
            "default": DAILY.kinds["default"],
            "work": (DayHours(days=(0,), stretches=((600, 660),)),),
            "home": (),
        },
        exceptions=(HoursException(date="2026-03-04"),),
    )
    at = on(2026, 3, 3, 20, 30)
    assert not any("Wed 04" in one for one in told(MOSCOW, at, hours, most=9))
    assert told(MOSCOW, at, hours, kind="work")[0] == "Mon 09 10:00"
    assert told(MOSCOW, at, hours, kind="home") == []


def test_who_may_be_in_two_zones_is_offered_what_both_allow_and_is_not_told_a_clock():
    vladivostok = ZoneInfo("Asia/Vladivostok")
    at = datetime(2026, 3, 3, 10, 0, tzinfo=MOSCOW).timestamp()
    found = offers(DAILY, "", [MOSCOW, vladivostok], at, 9)
    assert found
    assert all(one.clock is None and one.in_hours in LATER_HOURS for one in found)
    for one in found:
        for zone in (MOSCOW, vladivostok):
            assert 9 <= datetime.fromtimestamp(one.due, zone).hour < 21


def test_zones_that_show_the_same_are_one_clock():
    found = offers(DAILY, "", [MOSCOW, ZoneInfo("Europe/Simferopol")], 1_772_500_000.0, 3)
    assert len(found) == 3
    assert all(one.clock is MOSCOW for one in found)


def test_without_a_zone_the_assumed_one_rules_the_hours_but_is_no_clock():
    at = datetime(2026, 3, 3, 12, 7, tzinfo=MOSCOW).timestamp()
    found = offers(DAILY, "", [], at, 3, assumed=MOSCOW)
    assert [one.in_hours for one in found] == [1, 2, 4]
    assert offers(DAILY, "", [], at, 3) == []
    assert [one.in_hours for one in offers(None, "", [], at, 3)] == [1, 2, 4]


def test_the_smallest_and_the_largest_numbers():
    assert told(MOSCOW, on(2026, 3, 3, 12, 7), most=0) == []
    assert len(told(MOSCOW, on(2026, 3, 3, 12, 7), most=1)) == 1
    assert len(told(MOSCOW, on(2026, 3, 3, 12, 7), most=50)) == MOST


_stretches = st.lists(
    st.tuples(st.integers(0, 1430), st.integers(5, 900)).map(
        lambda one: (one[0], min(1440, one[0] + one[1]))
    ),
    max_size=2,
).map(lambda many: tuple(sorted(many)))
_hours = st.builds(
    lambda days, stretches: CallingHours(
        kinds={"default": (DayHours(days=tuple(days), stretches=stretches),)}
    ),
    st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True),
    _stretches,
)


@settings(deadline=None, max_examples=examples(200))
@given(
    hours=_hours,
    zones=st.lists(st.sampled_from(ZONES), min_size=0, max_size=3, unique=True),
    at=st.floats(1_735_700_000.0, 1_798_700_000.0),
    most=st.integers(0, 12),
)
def test_whatever_the_hours_an_offer_keeps_its_rules(hours, zones, at, most):
    places = [ZoneInfo(zone) for zone in zones]
    found = offers(hours, "mobile", places, at, most)
    assert len(found) <= min(most, MOST)
    dues = [one.due for one in found]
    assert dues == sorted(dues)
    assert all(later - earlier >= APART_S for earlier, later in pairwise(dues))
    for one in found:
        assert one.due >= at + SOON_S
        begin, end = stretch(hours, "mobile", places, one.due) or (0.0, 0.0)
        assert begin <= one.due < end
        assert end - one.due >= min(LEFT_S, (end - begin) / 2)
        if one.clock is not None:
            assert one.due % QUARTER_S == 0
            shown = {datetime.fromtimestamp(one.due, zone).replace(tzinfo=None) for zone in places}
            assert len(shown) == 1
