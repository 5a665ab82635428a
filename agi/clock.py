"""Times as they are said to a person: the names of phrases, one after the other (:mod:`dialer.pbx.phrases`). Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo

DAYS_BY_NAME = 7
"""So many days ahead a day is told by its name; a later one by its date."""


def phrases(due: float, now: float, clock: tzinfo | None, in_hours: int, language: str) -> list[str]:
    """The instant *due* in words. *clock*: the person's; None: it is told by *in_hours*."""
    if clock is None:
        return [f"in_{in_hours}"]
    then, today = datetime.fromtimestamp(due, clock), datetime.fromtimestamp(now, clock).date()
    minutes = [f"minute_{then.minute}"] if then.minute else []
    hour = [f"hour_{then.hour}", *minutes]
    if language == "en":
        hour.append("am" if then.hour < 12 else "pm")
    return [*_day(then, (then.date() - today).days, language), *hour]


def _day(then: datetime, ahead: int, language: str) -> list[str]:
    if ahead == 0:
        return ["today"]
    if ahead == 1:
        return ["tomorrow"]
    if ahead < DAYS_BY_NAME:
        return [f"day_{then.weekday()}"]
    date = [f"date_{then.day}", f"month_{then.month}"]
    return date[::-1] if language == "zh" else date
