"""The rules of :mod:`dialer.core.judging` in words, with the values that they were judged by.

The judgement is the core's; here it is only said what it rests on: the entry of a list, the calls that a cap
counts, the clock on the person's wall.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from dialer.core.destinations import countries_of, longest
from dialer.core.hours import DAY_S, LONGEST_DAY_S
from dialer.core.judging import PhoneVerdict, Verdict, counts
from dialer.core.results import DEFAULT_RETRY, retry_rule
from dialer.core.values import FOREVER, Campaign, Caps, Centre, Lead, LeadPhone, Result
from dialer.office import clocks
from dialer.store import dnc, facts
from dialer.store.calendar import Calendar
from dialer.store.trunks import trunks_of

SENTENCES = {
    "bad_number": "the number was found not to exist",
    "do_not_call": "the number is on the do-not-call list of all campaigns",
    "do_not_call_campaign": "the number is on the campaign's do-not-call list",
    "blocked": "the number begins like, or fits, a do-not-call entry",
    "destination": "no trunk of the campaign may call numbers that begin so",
    "tried": "the number was tried as often as it may be",
    "tried_contact": "the contact was tried as often as it may be",
    "result": "the number gave one result as often as it may",
    "hours": "it is outside calling hours",
    "no_hours": "there are no calling hours for this kind of phone",
    "unknown_zone": "the time zone is not known",
    "number_per_day": "the number was called as often as it may be in a day",
    "number_per_24h": "the number was called as often as it may be in 24 hours",
    "contact_per_day": "the contact was called as often as it may be in a day",
    "contact_per_24h": "the contact was called as often as it may be in 24 hours",
    "gap": "the last call was too short a time ago",
    "no_number_left": "there is no number left",
}
"""Every rule of the judgement, in words."""
_CALLS_SHOWN = 5


class Reasons:
    """Says why numbers of a campaign's leads may (not) be dialed at *at*."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        calendar: Calendar,
        campaign: Campaign,
        centre: Centre,
        at: float,
        *,
        is_past: bool = False,
    ) -> None:
        self._connection = connection
        self._calendar = calendar
        self._campaign = campaign
        self._centre = centre
        self._caps = (campaign.caps, centre.caps)
        self._at = at
        self._is_past = is_past

    def number(self, lead: Lead, verdict: PhoneVerdict) -> str:
        """What one number's verdict rests on."""
        phone = verdict.phone
        match verdict.rule:
            case "":
                return self._fine(phone)
            case "bad_number":
                return self._bad(phone)
            case "do_not_call" | "do_not_call_campaign" | "blocked":
                return self._barred(phone)
            case "destination":
                return self._destination(phone)
            case "tried":
                return f"{self._tries(phone)} of {self._campaign.attempts} attempts: {_told(phone.tried)}"
            case "result":
                return self._result(phone)
            case "hours":
                return self._hours(phone)
            case "no_hours":
                return self._no_hours(phone)
            case "unknown_zone":
                return "neither the number nor the list tells a time zone, and hours.unknown_zone names none"
            case _:
                return self._capped(lead, verdict.rule, phone)

    def contact(self, lead: Lead, verdict: Verdict) -> str:
        """What keeps the whole contact back."""
        if verdict.rule == "no_number_left":
            return f"none of its {len(lead.phones)} numbers may be dialed any more"
        if verdict.rule == "tried_contact":
            tried = sum(self._tries(phone) for phone in lead.phones)
            return f"{tried} of {self._campaign.attempts_per_contact} attempts on all its numbers"
        return self._capped(lead, verdict.rule, None)

    # -- one number -----------------------------------------------------------------------

    def _fine(self, phone: LeadPhone) -> str:
        said = [f"{self._tries(phone)} of {self._campaign.attempts} attempts"]
        if self._campaign.hours is None:
            said.append("called at any time")
        elif phone.hours is not None:
            zones = self._zones(phone)
            closes = phone.hours[1]
            shown = "always" if closes >= FOREVER else f"until {clocks.there(closes, zones)}"
            said.append(f"calling hours {shown}; now {clocks.there(self._at, zones)}")
        return "; ".join(said)

    def _bad(self, phone: LeadPhone) -> str:
        row = self._connection.execute(
            "SELECT attempt, coalesce(ended_at, created_at), result, operator_result FROM attempts WHERE number = ?"
            " AND phone = ? AND created_at < ? AND (result = 'invalid' OR operator_result IS NOT NULL)"
            " ORDER BY created_at DESC LIMIT 1",
            (phone.number, phone.id, self._at),
        ).fetchone()
        if row is None:
            return "it is marked as bad"
        attempt, at, result, said = row
        return f"{said or result} at {self._time(at)} (attempt {attempt})"

    def _barred(self, phone: LeadPhone) -> str:
        at = self._at if self._is_past else None
        entry = dnc.look_up(self._connection, phone.number, self._campaign.id, at)
        if entry is None:
            return phone.barred
        whose = "all campaigns" if entry.campaign is None else f"campaign {entry.campaign}"
        known = ", ".join(part for part in (entry.source, entry.note) if part)
        return f"entry {entry.number} for {whose} since {self._time(entry.added_at)}" + (
            f" ({known})" if known else ""
        )

    def _destination(self, phone: LeadPhone) -> str:
        """By which trunk it may not go, and what says so."""
        countries = countries_of(self._campaign, self._centre)
        whose = "the campaign" if self._campaign.countries else "the centre"
        told = []
        for trunk in trunks_of(self._connection, self._campaign):
            never, may = longest(trunk.forbidden, phone.number), ", ".join(trunk.destinations)
            if never is not None:
                why = f"forbids {never}"
            else:
                why = f"may call {may}" if may else f"may call what {whose} does: {', '.join(countries)}"
            told.append(f"trunk {trunk.id} {why}")
        return "; ".join(told)

    def _result(self, phone: LeadPhone) -> str:
        for name in dict.fromkeys(phone.tried):
            if name not in DEFAULT_RETRY:
                continue
            limit = retry_rule(self._campaign, Result(name)).attempts
            if phone.tried.count(name) >= limit:
                return f"{phone.tried.count(name)} times {name}, of {limit}"
        return _told(phone.tried)

    def _hours(self, phone: LeadPhone) -> str:
        assert self._campaign.hours is not None
        zones = self._zones(phone)
        told = clocks.hours_of(self._campaign.hours, phone.kind, self._at, zones)
        return f"{clocks.there(self._at, zones)}; {told}"

    def _no_hours(self, phone: LeadPhone) -> str:
        assert self._campaign.hours is not None
        zones = self._zones(phone)
        told = clocks.hours_of(self._campaign.hours, phone.kind, self._at, zones)
        return f"within a year there is no time that fits ({clocks.places(zones, self._at)}); {told}"

    def _zones(self, phone: LeadPhone) -> tuple[str, ...]:
        assumed = self._campaign.hours.unknown_zone if self._campaign.hours is not None else ""
        return phone.zones or ((assumed,) if assumed else ())

    def _tries(self, phone: LeadPhone) -> int:
        return sum(counts(self._campaign, one) for one in phone.tried)

    # -- caps -----------------------------------------------------------------------------

    def _capped(self, lead: Lead, rule: str, phone: LeadPhone | None) -> str:
        """What a cap counts: of *phone*'s number, or (None) of the contact."""
        if phone is not None:
            sql, whom, zones = facts.PLACED_TO_NUMBER_SQL, phone.number, self._zones(phone)
        else:
            sql, whom = facts.PLACED_TO_CONTACT_SQL, lead.contact  # type: ignore[assignment]
            is_certain = all(one.zones for one in lead.phones)
            zones = tuple(sorted({zone for one in lead.phones for zone in one.zones})) if is_certain else ()
        if rule == "gap":
            gap_s = max(caps.gap_s for caps in self._caps)
            calls = self._calls(sql, whom, self._at - gap_s)
            last = self._time(calls[-1]) if calls else "just before"
            return f"at least {_length(gap_s)} between two calls; the last one began {last}"
        day = self._calendar.day(zones, self._at) if rule.endswith("_per_day") else None
        if rule.endswith("_per_day"):
            since = day[0] if day is not None else self._at - LONGEST_DAY_S
            called = "today" if day is not None else "in 25 hours (the day is not known)"
        else:
            since, called = self._at - DAY_S, "in 24 hours"
        calls = self._calls(sql, whom, since)
        limit = min(_limits(self._caps, rule), default=0)
        shown = ", ".join(self._time(one) for one in calls[-_CALLS_SHOWN:])
        return f"{len(calls)} calls {called} of {limit} allowed, over all campaigns: {shown or 'none'}"

    def _calls(self, sql: str, whom: Any, since: float) -> list[float]:
        before = self._at if self._is_past else None
        return sorted(facts.placed_since(self._connection, sql, whom, since - 1e-6, before))

    def _time(self, at: float) -> str:
        return clocks.time_of_day(at, self._at)


def _limits(caps: Iterable[Caps], rule: str) -> Iterable[int]:
    return [limit for one in caps if (limit := getattr(one, rule, None)) is not None]


def _told(tried: Iterable[str]) -> str:
    return ", ".join(tried) or "none"


def _length(seconds: float) -> str:
    if seconds >= 7200 and seconds % 3600 == 0:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"
