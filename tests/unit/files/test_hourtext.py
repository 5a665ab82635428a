"""Lines of hours are read as they are meant, and written as they are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.results import DEFAULT_RETRY
from dialer.core.values import (
    CallingHours,
    Campaign,
    Caps,
    DayHours,
    HoursException,
    Owners,
    Result,
    RetryRule,
    Stretch,
)
from dialer.store import documents, files
from dialer.store.documents import BadFile
from dialer.store.hourtext import SAFE, hours_from, read_line, write_lines
from tests.examples import examples

DAILY = tuple(range(7))


@pytest.mark.parametrize(
    ("text", "days", "stretches"),
    [
        ("mon-fri 09:00-12:00, 14:00-18:00", (0, 1, 2, 3, 4), ((540, 720), (840, 1080))),
        ("daily 00:00-24:00", DAILY, ((0, 1440),)),
        ("sat,sun 10:00-16:00", (5, 6), ((600, 960),)),
        ("mon,wed-fri 10:00-16:00", (0, 2, 3, 4), ((600, 960),)),
        ("sat-mon 10:00-16:00", (0, 5, 6), ((600, 960),)),
        ("mon-sun 10:00-16:00", DAILY, ((600, 960),)),
        ("  Mon  14:00 - 16:00,09:00-10:00 ", (0,), ((540, 600), (840, 960))),
        ("tue 09:00-12:00,12:00-13:00", (1,), ((540, 780),)),
    ],
)
def test_a_line_of_hours(text: str, days: tuple[int, ...], stretches: tuple[Stretch, ...]) -> None:
    line = read_line(text)
    assert line == DayHours(days=days, stretches=stretches)
    assert [read_line(again) for again in write_lines([line])] == [line]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "daily",
        "09:00-12:00",
        "mon-fri 9-12",
        "mon-fri 9:00-12:00",
        "mon-fri 09.00-12.00",
        "mon-fri 09:00-12:00;14:00-18:00",
        "mon-fri 09:00-12:00,",
        "mon- fri 09:00-12:00",
        "mon–fri 09:00-12:00",
        "пн 09:00-12:00",
        "mon,, 09:00-12:00",
        "-mon 09:00-12:00",
        "daily,mon 09:00-12:00",
        "mon 09:00-09:00",
        "mon 22:00-06:00",
        "mon 09:60-12:00",
        "mon 24:01-24:02",
        "mon 00:00-24:01",
        "mon 09:00-12:00, 11:59-13:00",
        "mon 09:00-12:00, 09:00-12:00",
        "mon 0९:00-12:00",
    ],
)
def test_what_is_no_line_of_hours(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_line(text)


def test_hours_that_are_left_out_are_the_safe_ones() -> None:
    campaign = files.campaign_from({"id": "spring", "trunk": "carrier"}, "c.toml")
    assert campaign.hours == SAFE
    assert files.campaign_document(campaign) == {"id": "spring", "trunk": "carrier"}
    assert {kind: write_lines(lines) for kind, lines in SAFE.kinds.items()} == {
        "work": ["mon-fri 09:00-12:00, 14:00-18:00"],
        "home": ["daily 20:00-21:30"],
        "mobile": ["daily 08:00-21:30"],
        "default": ["daily 09:00-20:00"],
    }
    assert not SAFE.unknown_zone


def test_a_kind_of_its_own_leaves_the_others_as_they_are() -> None:
    hours, found = hours_from({"kinds": {"work": ["daily 10:00-11:00"], "fax": ["never"]}}, ())
    assert not found
    assert hours is not None
    line = DayHours(days=DAILY, stretches=((600, 660),))
    assert hours.kinds == {**SAFE.kinds, "work": (line,), "fax": ()}


def test_hours_are_never_read_in_two_ways() -> None:
    """Every mistake is told, and none is guessed at."""
    table: dict[str, Any] = {
        "exceptions": [
            {"date": "2026-12-31", "kinds": ["work"]},
            {"date": "2026-12-31", "kinds": ["mobile"], "hours": "09:00-10:00"},
            {"date": "2026-12-31", "kinds": ["home", "work"]},
        ]
    }
    _, found = hours_from(table, ())
    assert found == [
        (("hours", "exceptions", 2, "date"), "2026-12-31 has another exception", "one for each date and kind")
    ]


# -- by command ---------------------------------------------------------------------------

PLAIN = Campaign(id=CampaignId("spring"), trunk=TrunkId("carrier"), hours=SAFE)


@pytest.mark.parametrize(
    ("path", "text", "field", "value"),
    [
        ("hours.any_time", "true", "hours", None),
        ("caps.number_per_day", "2", "caps", Caps(number_per_day=2)),
        ("caps.gap_s", "60", "caps", Caps(gap_s=60.0)),
        ("owners.away", "wait", "owners", Owners(away="wait")),
        ("calls.no_agent", "hold", "no_agent", "hold"),
        ("agents.wrap_up", "card", "wrap_up", "card"),
        (
            "retry.hung_up.growth",
            "2",
            "retry",
            {Result.HUNG_UP: RetryRule(attempts=2, again_s=600.0, phone="same", growth=2.0)},
        ),
    ],
)
def test_a_setting_is_changed_by_command(path: str, text: str, field: str, value: object) -> None:
    assert getattr(files.set_in_campaign(PLAIN, path, text), field) == value


def test_hours_are_changed_by_command() -> None:
    changed = files.set_in_campaign(PLAIN, "hours.kinds.work", '["sat 10:00-11:00"]')
    assert changed.hours is not None
    assert changed.hours.kinds == {**SAFE.kinds, "work": (DayHours(days=(5,), stretches=((600, 660),)),)}
    changed = files.set_in_campaign(changed, "hours.unknown_zone", "Europe/Moscow")
    changed = files.set_in_campaign(changed, "hours.holidays", '["2027-01-01"]')
    assert changed.hours is not None
    assert (changed.hours.unknown_zone, changed.hours.holidays) == ("Europe/Moscow", ("2027-01-01",))
    free = files.set_in_campaign(changed, "hours.any_time", "true")
    assert free.hours is None
    with pytest.raises(BadFile, match="any_time: true, and holidays beside it"):
        files.set_in_campaign(free, "hours.holidays", '["2027-01-01"]')
    assert files.set_in_campaign(free, "hours.any_time", "false").hours == SAFE
    with pytest.raises(
        BadFile, match=r"campaign spring: hours.unknown_zone: .* \(did you mean Europe/Moscow\?\)"
    ):
        files.set_in_campaign(changed, "hours.unknown_zone", "Moscow")


# -- there and back -----------------------------------------------------------------------


@st.composite
def stretches(draw: st.DrawFn) -> tuple[Stretch, ...]:
    cuts = sorted(draw(st.sets(st.integers(0, 1440), min_size=2, max_size=8)))
    return tuple(zip(cuts[::2], cuts[1::2], strict=False))


@st.composite
def lines(draw: st.DrawFn) -> tuple[DayHours, ...]:
    """Lines of which no two speak of one day."""
    days = draw(st.permutations(DAILY))
    parts = [sorted(days[:3]), sorted(days[3:5])]
    return tuple(
        DayHours(days=tuple(part), stretches=draw(stretches())) for part in parts if draw(st.booleans())
    )


KINDS = st.sampled_from(["work", "home", "mobile", "default", "fax", "dacha-2"])
DATES = st.dates().map(str)


@st.composite
def calling_hours(draw: st.DrawFn) -> CallingHours:
    kinds = {**SAFE.kinds, **draw(st.dictionaries(KINDS, lines(), max_size=4))}
    names = st.lists(st.sampled_from(sorted(kinds)), max_size=2, unique=True).map(tuple)
    exceptions = st.builds(HoursException, date=DATES, stretches=st.just(()) | stretches(), kinds=names)
    return CallingHours(
        kinds=kinds,
        holidays=tuple(draw(st.lists(DATES, max_size=3, unique=True))),
        exceptions=tuple(draw(st.lists(exceptions, max_size=3, unique_by=lambda one: one.date))),
        unknown_zone=draw(st.sampled_from(["", "Europe/Moscow", "UTC"])),
    )


SECONDS = st.integers(10, 31_536_000).map(float)


@st.composite
def rules(draw: st.DrawFn) -> RetryRule:
    again_s = draw(st.none() | SECONDS)
    return RetryRule(
        attempts=draw(st.integers(1, 100)),
        again_s=again_s,
        growth=float(draw(st.integers(1, 100))),
        again_s_max=draw(st.just(604_800.0) | SECONDS.filter(lambda value: value >= (again_s or 0))),
        phone=draw(st.sampled_from(["same", "next"])),
        other_s=draw(st.none() | SECONDS),
        counts=draw(st.booleans()),
        is_contact=draw(st.booleans()),
    )


COUNTED = st.none() | st.integers(1, 1000)


@settings(max_examples=examples(150), deadline=None)
@given(
    hours=st.none() | calling_hours(),
    caps=st.builds(
        Caps,
        number_per_day=COUNTED,
        number_per_24h=COUNTED,
        contact_per_day=COUNTED,
        contact_per_24h=COUNTED,
        gap_s=st.just(0.0) | SECONDS,
    ),
    owners=st.builds(
        Owners, hold_s=SECONDS, away=st.sampled_from(["anyone", "wait"]), wait_s=st.none() | SECONDS
    ),
    retry=st.dictionaries(
        st.sampled_from(sorted(set(DEFAULT_RETRY) - {Result.FAILED, Result.REROUTED, Result.MISSED})),
        rules(),
        max_size=3,
    ),
)
def test_any_campaign_there_and_back(
    hours: CallingHours | None, caps: Caps, owners: Owners, retry: dict[Result, RetryRule]
) -> None:
    campaign = Campaign(
        id=CampaignId("spring"), trunk=TrunkId("carrier"), hours=hours, caps=caps, owners=owners, retry=retry
    )
    text = documents.dump(files.campaign_document(campaign))
    assert files.campaign_from(documents.parse(text, "c.toml", "campaign"), "c.toml") == campaign


def test_kinds_that_a_value_leaves_out_stay_closed() -> None:
    """A campaign that no file made, and a setting is changed: nobody is called at other hours by that."""
    line = DayHours(days=(0,), stretches=((600, 660),))
    made = Campaign(
        id=CampaignId("spring"), trunk=TrunkId("carrier"), hours=CallingHours(kinds={"work": (line,)})
    )
    changed = files.set_in_campaign(made, "title", "Spring")
    assert changed.hours is not None
    assert changed.hours.kinds == {"work": (line,), "home": (), "mobile": (), "default": ()}
