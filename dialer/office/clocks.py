"""Instants and calling hours in words: by the centre's clock, and by the clocks on the walls of people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from zoneinfo import ZoneInfo

from dialer.core.values import FOREVER, CallingHours
from dialer.store.hourtext import NEVER, write_lines, write_stretches

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ZONES_SHOWN = 2


def clock(at: float, zone: tzinfo | None = None) -> str:
    """An instant for people: ``Mon 2026-03-02 09:00:00``, by the centre's clock, or by that of *zone*."""
    if at >= FOREVER:
        return "never"
    local = datetime.fromtimestamp(at, zone).astimezone(zone)
    return f"{_DAYS[local.weekday()]} {local:%Y-%m-%d %H:%M:%S}"


def time_of_day(at: float, now: float, zone: tzinfo | None = None) -> str:
    """The time of an instant, with its date if that is not the date of *now*."""
    local, today = (datetime.fromtimestamp(one, zone).astimezone(zone) for one in (at, now))
    return f"{local:%H:%M:%S}" if local.date() == today.date() else f"{local:%Y-%m-%d %H:%M:%S}"


def there(at: float, zones: Sequence[str]) -> str:
    """What the clocks of *zones* (IANA names) show at *at*: ``Mon 11:00 (Asia/Omsk)``; empty without a zone."""
    if not zones or at >= FOREVER:
        return ""
    local = sorted((datetime.fromtimestamp(at, ZoneInfo(name)) for name in zones), key=_wall)
    first, last = (f"{_DAYS[one.weekday()]} {one:%H:%M}" for one in (local[0], local[-1]))
    shown = first if first == last else f"{first} to {last}"
    return f"{shown} ({places(zones, at)})"


def _wall(local: datetime) -> datetime:
    return local.replace(tzinfo=None)


def places(zones: Sequence[str], at: float) -> str:
    """Time zones by name; of many only how many, and how far they reach at *at*."""
    if len(zones) <= _ZONES_SHOWN:
        return ", ".join(zones)
    local = sorted((datetime.fromtimestamp(at, ZoneInfo(name)) for name in zones), key=_wall)
    first, last = (one.isoformat()[-6:] for one in (local[0], local[-1]))
    return f"{len(zones)} time zones, UTC{first} to UTC{last}"


def hours_of(hours: CallingHours, kind: str, at: float, zones: Sequence[str]) -> str:
    """The hours of a kind of phone, as they concern the person's date at *at*."""
    text = "; ".join(write_lines(hours.kinds.get(kind, hours.kinds.get("default", ())))) or NEVER
    special = [
        told
        for name in zones
        if (told := _special(hours, kind, datetime.fromtimestamp(at, ZoneInfo(name)).date()))
    ]
    return "; ".join([f"{kind}: {text}", *dict.fromkeys(special)])


def _special(hours: CallingHours, kind: str, day: date) -> str:
    text = day.isoformat()
    for one in hours.exceptions:
        if one.date == text and (not one.kinds or kind in one.kinds):
            return f"{text} is an exception: {write_stretches(one.stretches) or 'closed'}"
    return f"{text} is a holiday" if text in hours.holidays else ""
