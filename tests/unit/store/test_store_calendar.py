"""Zones of numbers agree with libphonenumber, and hours are computed once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import phonenumbers
import pytest
from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE, NumberParseException
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from dialer.core import hours as core
from dialer.core.values import FOREVER, CallingHours, DayHours
from dialer.store import calendar as module
from dialer.store.calendar import Calendar, near_zones, zone_names
from tests.examples import IS_QUICK, examples

MOSCOW = ("Europe/Moscow",)
HOURS = CallingHours(
    kinds={"default": (DayHours(days=tuple(range(7)), stretches=((540, 720), (840, 1080))),)}
)
NOON = datetime(2026, 4, 29, 9, tzinfo=UTC).timestamp()
"""In Moscow."""


@pytest.fixture(scope="module")
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For which instants a stretch was computed."""
    found: list[float] = []
    real = core.stretch

    def stretch(hours: CallingHours, kind: str, zones: Any, at: float) -> tuple[float, float] | None:
        found.append(at)
        return real(hours, kind, zones, at)

    monkeypatch.setattr(core, "stretch", stretch)
    return found


# -- where a number is --------------------------------------------------------------------


def test_a_number_of_a_place_and_one_of_a_country(calendar: Calendar) -> None:
    assert calendar.zones_of_number("+74951234567") == MOSCOW
    assert calendar.zones_of_number("+74232123456") == ("Asia/Vladivostok",)
    assert calendar.zones_of_number("+12125550123") == ("America/New_York",)
    mobile = calendar.zones_of_number("+79161234567")
    assert {"Europe/Moscow", "Asia/Kamchatka"} < set(mobile), "a Russian mobile may be anywhere in Russia"
    assert mobile == tuple(sorted(mobile))


@pytest.mark.parametrize(
    "number", ["", "+", "+7", "74951234567x", "+999123456", "+0", "+٧٤٩٥", "+8821", "+7495"]
)
def test_what_tells_nothing(calendar: Calendar, number: str) -> None:
    assert calendar.zones_of_number(number) == ()


def numbers_of_all_kinds() -> Iterator[str]:
    """An example of each type in each region, and the same with other last digits."""
    dice = random.Random(3)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)[:: 6 if IS_QUICK else 1]:
        for kind in range(11):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is not None:
                number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
                yield number
                for _ in range(examples(20) // 10):
                    tail = dice.randint(1, len(number) - 3)
                    yield number[:-tail] + "".join(dice.choices("0123456789", k=tail))
                yield from (number[:-1], number + "1")
    for code in sorted(COUNTRY_CODE_TO_REGION_CODE):
        entity = phonenumbers.example_number_for_non_geo_entity(code)
        if entity is not None:
            yield phonenumbers.format_number(entity, phonenumbers.PhoneNumberFormat.E164)


def test_the_library_itself_says_the_same(calendar: Calendar) -> None:
    asked = 0
    for number in numbers_of_all_kinds():
        try:
            parsed = phonenumbers.parse(number)
        except NumberParseException:
            continue
        if phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) != number:
            continue
        asked += 1
        told = time_zones_for_number(parsed)
        assert calendar.zones_of_number(number) == (
            () if UNKNOWN_TIMEZONE in told else tuple(sorted(told))
        ), number
    assert asked > (500 if IS_QUICK else 3000)


def test_every_zone_of_a_number_is_known_here(calendar: Calendar) -> None:
    assert {zone for zones in module._BY_PREFIX.values() for zone in zones} <= zone_names()
    assert calendar.known_zone("Europe/Moscow")
    for name in ("europe/moscow", "Moscow", "", "localtime", "Factory", "../etc/passwd", "UTC+3"):
        assert not calendar.known_zone(name)


def test_near_names() -> None:
    assert near_zones("europe/moscow")[0] == "Europe/Moscow"
    assert near_zones("Moscow") == ["Europe/Moscow"]
    assert near_zones("New York")[0] == "America/New_York"
    assert "Europe/Moscow" in near_zones("Europe/Moskow")
    assert near_zones("") == []
    assert near_zones("zzzzzzzz") == []


# -- hours, computed once -----------------------------------------------------------------


def test_a_pair_of_kind_and_zones_is_computed_once_for_its_stretch(
    calendar: Calendar, computed: list[float]
) -> None:
    calendar = Calendar()
    for second in range(0, 7200, 60):
        assert calendar.stretch(HOURS, "home", MOSCOW, NOON + second) == (NOON + 7200, NOON + 6 * 3600)
    same = CallingHours(kinds=dict(HOURS.kinds))
    assert calendar.stretch(same, "home", MOSCOW, NOON + 7200) == (NOON + 7200, NOON + 6 * 3600)
    assert len(computed) == 1
    calendar.stretch(HOURS, "home", MOSCOW, NOON + 6 * 3600)
    calendar.stretch(HOURS, "home", ("Asia/Vladivostok",), NOON)
    calendar.stretch(HOURS, "work", MOSCOW, NOON)
    calendar.stretch(CallingHours(kinds=HOURS.kinds, holidays=("2026-05-01",)), "home", MOSCOW, NOON)
    assert len(computed) == 5
    calendar.stretch(HOURS, "home", MOSCOW, NOON - 9 * 3600)  # the past has its own stretch
    assert len(computed) == 6


def test_hours_that_never_come_are_looked_for_once_a_day(computed: list[float]) -> None:
    calendar, none = Calendar(), CallingHours(kinds={"work": ()})
    for hour in range(25):
        assert calendar.stretch(none, "home", MOSCOW, NOON + hour * 3600) is None
    assert len(computed) == 2


def test_without_hours_and_without_zones() -> None:
    calendar = Calendar()
    assert calendar.stretch(None, "home", (), NOON) == (0.0, FOREVER)
    assert calendar.stretch(HOURS, "home", (), NOON) is None
    asked = CallingHours(kinds=HOURS.kinds, unknown_zone="Europe/Moscow")
    assert calendar.stretch(asked, "home", (), NOON) == (NOON + 7200, NOON + 6 * 3600)
    assert calendar.stretch(asked, "home", ("Asia/Vladivostok",), NOON) != (NOON + 7200, NOON + 6 * 3600)


def test_a_zone_that_is_none_allows_nothing() -> None:
    calendar = Calendar()
    assert calendar.stretch(HOURS, "home", ("Europe/Moscow", "Mars/Olympus"), NOON) is None
    assert calendar.day(("Mars/Olympus",), NOON) is None
    assert calendar.day((), NOON) is None
    assert calendar.day(MOSCOW, NOON) == (NOON - 12 * 3600, NOON + 12 * 3600)


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAIRS_MOST", 3)
    monkeypatch.setattr(module, "_SETTINGS_MOST", 3)
    calendar = Calendar()
    for n in range(10):
        hours = CallingHours(kinds=HOURS.kinds, holidays=(f"2026-06-{n + 1:02}",))
        for kind in ("a", "b", "c", "d", "e"):
            assert calendar.stretch(hours, kind, MOSCOW, NOON) == (NOON + 7200, NOON + 6 * 3600)
        assert len(calendar._known(hours)) <= 3
    assert len(calendar._by_id) <= 3
    assert len(calendar._by_text) <= 3
