"""Calling hours as people write them in a campaign's file, and back.

1. A line of hours is days and stretches: ``mon-fri 09:00-12:00, 14:00-18:00``. Days are ``daily``, or names and
   ranges parted by commas (``mon,wed-fri``; ``sat-mon`` goes over the week's end). A stretch ends by
   ``24:00`` at the latest. Stretches that touch are one.
2. A kind of phone that ``[hours.kinds]`` leaves out keeps the hours of :data:`SAFE`, and a file without
   ``[hours]`` has these altogether. ``["never"]`` says that a kind is never called.
3. Whatever could be read in two ways is refused, for a wrong reading calls people at night: stretches that
   overlap, a date with two exceptions for one kind, an exception for a kind that nothing else names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from dialer.core.values import CallingHours, DayHours, HoursException, Stretch
from dialer.store.calendar import near_zones, zone_names
from dialer.store.documents import Keys

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NEVER = "never"
ANY_TIME = {"any_time": True}
"""The table ``[hours]`` of a campaign that calls at any time."""

LINE_ALLOWED = (
    'days and hours, such as "mon-fri 09:00-12:00, 14:00-18:00", "sat,sun 10:00-16:00", "daily 08:00-21:30"'
)
STRETCHES_ALLOWED = 'hours such as "09:00-12:00, 14:00-18:00"; "": nobody is called'
_DAYS_ALLOWED = f"{', '.join(DAYS)}, ranges such as mon-fri, or daily"
_DATE_ALLOWED = 'a date of the calendar, such as "2027-01-08"'
_STRETCH = re.compile(r"([0-9]{2}):([0-9]{2})\s*-\s*([0-9]{2}):([0-9]{2})")

Found = tuple[Keys, str, str]
"""A mistake: where, what is wrong, what is allowed."""


class _Wrong(ValueError):
    """A text of hours cannot be read: what is wrong, what is allowed."""

    def __init__(self, what: str, allowed: str) -> None:
        super().__init__(what)
        self.what, self.allowed = what, allowed


def hours_from(
    table: Mapping[str, Any], phone_kinds: Sequence[str]
) -> tuple[CallingHours | None, list[Found]]:
    """The calling hours that a checked table ``[hours]`` describes (None: any time), and its mistakes.

    *phone_kinds*: kinds that the campaign names elsewhere.
    """
    if table.get("any_time"):
        beside = sorted(set(table) - {"any_time"})
        what = f"true, and {', '.join(beside)} beside it, which would not hold"
        return None, [(("hours", "any_time"), what, "one or the other")] if beside else []
    found: list[Found] = []
    kinds = dict(SAFE.kinds)
    for kind, lines in table.get("kinds", {}).items():
        keys = ("hours", "kinds", kind)
        if not lines:
            found.append((keys, "has no hours", f'{LINE_ALLOWED}; or ["{NEVER}"]'))
        kinds[kind] = tuple(_read_lines(keys, lines, found))
    for place, text in enumerate(holidays := table.get("holidays", ())):
        if not _is_date(text):
            found.append((("hours", "holidays", place), f'"{text}" is no date', _DATE_ALLOWED))
    zone = table.get("unknown_zone", "")
    if zone and zone not in zone_names():
        near = near_zones(zone)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        found.append(
            (("hours", "unknown_zone"), f'"{zone}" is no time zone{hint}', "a name such as Europe/Moscow")
        )
    exceptions = tuple(_exceptions(table.get("exceptions", ()), {*kinds, *phone_kinds}, found))
    hours = CallingHours(kinds=kinds, holidays=tuple(holidays), exceptions=exceptions, unknown_zone=zone)
    return hours, found


def hours_table(hours: CallingHours | None) -> dict[str, Any]:
    """The table ``[hours]`` that :func:`hours_from` makes *hours* of, without what is at its default."""
    if hours is None:
        return dict(ANY_TIME)
    table: dict[str, Any] = {}
    if hours.unknown_zone:
        table["unknown_zone"] = hours.unknown_zone
    if hours.holidays:
        table["holidays"] = list(hours.holidays)
    kinds = {
        kind: write_lines(lines)
        for kind in (*SAFE.kinds, *(kind for kind in hours.kinds if kind not in SAFE.kinds))
        if (lines := hours.kinds.get(kind, hours.kinds.get("default", ()))) != SAFE.kinds.get(kind)
    }
    if kinds:
        table["kinds"] = kinds
    if hours.exceptions:
        table["exceptions"] = [
            {
                "date": one.date,
                "hours": write_stretches(one.stretches),
                **({"kinds": list(one.kinds)} if one.kinds else {}),
            }
            for one in hours.exceptions
        ]
    return table


def whole_table(hours: CallingHours | None) -> dict[str, Any]:
    """The table ``[hours]`` with all that holds, also what is at its default, for people to read."""
    if hours is None:
        return dict(ANY_TIME)
    kinds = {kind: write_lines(lines) for kind, lines in hours.kinds.items()}
    table = {"any_time": False, "unknown_zone": hours.unknown_zone, "holidays": list(hours.holidays)}
    return {**table, "exceptions": [], **hours_table(hours), "kinds": kinds}


def read_line(text: str) -> DayHours:
    """A line of hours (rule 1). Raises ValueError."""
    days, _, rest = text.strip().lower().partition(" ")
    if not days or not rest.strip():
        raise _Wrong(f'"{text}" is not of the form', LINE_ALLOWED)
    return DayHours(days=_read_days(days), stretches=_read_stretches(rest, LINE_ALLOWED))


def write_lines(lines: Sequence[DayHours]) -> list[str]:
    """The lines of one kind of phone."""
    return [f"{_write_days(one.days)} {write_stretches(one.stretches)}" for one in lines] or [NEVER]


def write_stretches(stretches: Sequence[Stretch]) -> str:
    """``09:00-12:00, 14:00-18:00``; an empty text for none."""
    return ", ".join(f"{_clock(since)}-{_clock(until)}" for since, until in stretches)


def _read_lines(keys: Keys, lines: Sequence[str], found: list[Found]) -> Iterator[DayHours]:
    if list(lines) == [NEVER]:
        return
    taken: dict[int, list[Stretch]] = {}
    for place, text in enumerate(lines):
        try:
            line = read_line(text)
        except _Wrong as error:
            found.append(((*keys, place), error.what, error.allowed))
            continue
        clashes = [
            f"{DAYS[day]} {_overlap(*pair)}"
            for day in line.days
            for other in taken.get(day, ())
            for one in line.stretches
            if _overlap(*(pair := (other, one)))
        ]
        if clashes:
            found.append(((*keys, place), f'"{text}": on {clashes[0]}', "stretches that are apart"))
        for day in line.days:
            taken.setdefault(day, []).extend(line.stretches)
        yield line


def _exceptions(
    tables: Sequence[Mapping[str, Any]], known: set[str], found: list[Found]
) -> Iterator[HoursException]:
    taken: list[HoursException] = []
    for place, table in enumerate(tables):
        keys: Keys = ("hours", "exceptions", place)
        kinds, day = tuple(table.get("kinds", ())), table["date"]
        if not _is_date(day):
            found.append(((*keys, "date"), f'"{day}" is no date', _DATE_ALLOWED))
        for index, kind in enumerate(kinds):
            if kind not in known:
                near = difflib.get_close_matches(kind, sorted(known), n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                what = f'"{kind}" has no hours of its own{hint}'
                found.append(((*keys, "kinds", index), what, ", ".join(sorted(known))))
        try:
            stretches = _read_stretches(text, STRETCHES_ALLOWED) if (text := table.get("hours", "")) else ()
        except _Wrong as error:
            found.append(((*keys, "hours"), error.what, error.allowed))
            continue
        one = HoursException(date=day, stretches=stretches, kinds=kinds)
        if any(
            other.date == day and (not kinds or not other.kinds or set(kinds) & set(other.kinds))
            for other in taken
        ):
            found.append(((*keys, "date"), f"{day} has another exception", "one for each date and kind"))
        taken.append(one)
        yield one


def _read_days(text: str) -> tuple[int, ...]:
    if text == "daily":
        return tuple(range(7))
    days: set[int] = set()
    for item in text.split(","):
        first, dash, last = item.partition("-")
        for name in (first, last) if dash else (first,):
            if name not in DAYS:
                raise _Wrong(f'"{name}" is no day', _DAYS_ALLOWED)
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        days.update(day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1))
    return tuple(sorted(days))


def _read_stretches(text: str, allowed: str) -> tuple[Stretch, ...]:
    found: list[Stretch] = []
    for item in text.split(","):
        match = _STRETCH.fullmatch(item.strip())
        if match is None:
            raise _Wrong(f'"{item.strip()}" is no stretch of hours', allowed)
        since, until = (_minutes(match[hour], match[hour + 1]) for hour in (1, 3))
        if until <= since:
            raise _Wrong(
                f'"{item.strip()}" ends before it begins',
                "from before until, within one day; over midnight: two stretches",
            )
        for other in found:
            if over := _overlap(other, (since, until)):
                raise _Wrong(over, "stretches that are apart")
        found.append((since, until))
    joined: list[Stretch] = []
    for since, until in sorted(found):
        if joined and joined[-1][1] == since:
            joined[-1] = (joined[-1][0], until)
        else:
            joined.append((since, until))
    return tuple(joined)


def _overlap(one: Stretch, other: Stretch) -> str:
    """Says that they do; empty if they do not."""
    if one[0] < other[1] and other[0] < one[1]:
        return f"{write_stretches([other])} overlaps {write_stretches([one])}"
    return ""


def _minutes(hour: str, minute: str) -> int:
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > 1440:
        raise _Wrong(f'"{hour}:{minute}" is no time of day', "00:00 to 24:00")
    return found


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _write_days(days: Sequence[int]) -> str:
    if list(days) == list(range(7)):
        return "daily"
    parts: list[list[int]] = []
    for day in days:
        if parts and day == parts[-1][-1] + 1:
            parts[-1].append(day)
        else:
            parts.append([day])
    return ",".join(
        DAYS[part[0]] if len(part) == 1 else f"{DAYS[part[0]]}-{DAYS[part[-1]]}" for part in parts
    )


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


SAFE = CallingHours(
    kinds={
        "work": (read_line("mon-fri 09:00-12:00, 14:00-18:00"),),
        "home": (read_line("daily 20:00-21:30"),),
        "mobile": (read_line("daily 08:00-21:30"),),
        "default": (read_line("daily 09:00-20:00"),),
    }
)
"""The calling hours of a campaign whose file says nothing of them."""
