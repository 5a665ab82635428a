"""Times in words: every phrase that can be asked for is one that is made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from agi import clock
from dialer.core.offers import LATER_HOURS
from dialer.pbx.phrases import phrases

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 3, 3, 12, 7, tzinfo=MOSCOW)


def on(*when: int) -> datetime:
    """A date and a time by the clock on some wall."""
    return datetime(*when)  # type: ignore[arg-type]  # noqa: DTZ001 - whose clock, the test says


def said(due: datetime, language: str) -> list[str]:
    return clock.phrases(due.timestamp(), NOW.timestamp(), MOSCOW, 0, language)


@pytest.mark.parametrize(
    ("due", "language", "expected"),
    [
        (on(2026, 3, 3, 18, 30), "ru", ["today", "hour_18", "minute_30"]),
        (on(2026, 3, 3, 18, 0), "en", ["today", "hour_18", "pm"]),
        (on(2026, 3, 4, 9, 15), "en", ["tomorrow", "hour_9", "minute_15", "am"]),
        (on(2026, 3, 9, 9, 0), "zh", ["day_0", "hour_9"]),
        (on(2026, 3, 10, 9, 0), "zh", ["month_3", "date_10", "hour_9"]),
        (on(2026, 3, 10, 9, 0), "ru", ["date_10", "month_3", "hour_9"]),
        (on(2027, 3, 3, 9, 0), "en", ["date_3", "month_3", "hour_9", "am"]),
    ],
)
def test_a_time_is_a_day_and_an_hour(due, language, expected):
    assert said(due.replace(tzinfo=MOSCOW), language) == expected


def test_today_is_where_the_person_is():
    late = datetime(2026, 3, 3, 23, 0, tzinfo=MOSCOW)
    due = late + timedelta(hours=2)
    assert due.astimezone(UTC).date() == late.astimezone(UTC).date()
    assert clock.phrases(due.timestamp(), late.timestamp(), MOSCOW, 0, "ru") == ["tomorrow", "hour_1"]


@pytest.mark.parametrize("language", ["ru", "en", "zh"])
def test_every_phrase_that_is_asked_for_is_made(language):
    made = phrases(language, {"3": "later"})
    for quarter in range(0, 96 * 40, 7):
        assert made.keys() >= set(said(NOW + timedelta(minutes=15 * quarter - NOW.minute), language)) - {
            f"minute_{minute}" for minute in range(60) if minute % 15
        }
    for hours in LATER_HOURS:
        assert made.keys() >= set(clock.phrases(0.0, 0.0, None, hours, language))


@pytest.mark.parametrize("language", ["ru", "en", "zh"])
def test_all_languages_say_the_same(language):
    keys = {"1": "wait", "2": "refuse", "3": "later", "4": "confirm", "5": "operator"}
    english = set(phrases("en", keys)) - {"am", "pm"}
    assert set(phrases(language, keys)) - {"am", "pm"} == english
    assert all(text.strip() for text in phrases(language, keys).values())


def test_what_is_not_offered_is_not_made():
    assert not any(name.startswith(("hour_", "press_", "later")) for name in phrases("ru", {"1": "wait"}))
    assert len(phrases("ru", {})) < 15


@pytest.mark.parametrize(
    ("hour", "text"),
    [(0, "в 0 часов"), (1, "в 1 час"), (3, "в 3 часа"), (11, "в 11 часов"), (21, "в 21 час")],
)
def test_russian_counts(hour, text):
    assert phrases("ru", {"1": "later"})[f"hour_{hour}"] == text


@pytest.mark.parametrize(
    ("hour", "text"), [(0, "零点"), (10, "十点"), (12, "十二点"), (20, "二十点"), (23, "二十三点")]
)
def test_chinese_counts(hour, text):
    assert phrases("zh", {"1": "later"})[f"hour_{hour}"] == text


def test_english_dates():
    made = phrases("en", {"1": "later"})
    dates = (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 30, 31)
    assert [made[f"date_{date}"].split()[2] for date in dates] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "30th", "31st")
    ]
