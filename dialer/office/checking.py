"""A dry run of a campaign: how many contacts may be dialed in each hour to come, and which never, and why.

1. What may be dialed when is said by the one judgement (:func:`dialer.core.judging.judge`), asked at the instants at
   which its answer can change. It is a look ahead as things are now: nobody is called meanwhile, and nothing changes.
2. Contacts that were never touched are judged once for each calling class, the others one by one
   (:mod:`dialer.store.census`). So memory is the same for a thousand and for five million.
3. A contact is *open* in an hour if it may be dialed at any time in it, and *new* in the first such hour.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime

import msgspec

from dialer.core.hours import caps_hold
from dialer.core.ids import ContactId, LeadId, PhoneId
from dialer.core.judging import judge
from dialer.core.values import FOREVER, Campaign, Caps, Centre, Hold, Lead, LeadPhone
from dialer.office.reasons import SENTENCES
from dialer.store.calendar import Calendar
from dialer.store.census import Census, Class
from dialer.store.facts import Facts

HOUR_S = 3600.0
EXAMPLES = 5
_STEPS_MAX = 500
"""So often the judgement of one contact may change in the time looked at."""
_TELL_EACH = 2000
_KNOWN_MAX = 20_000
"""So many different cases are kept in memory."""

Never = Callable[[int, str], None]
"""Told each contact that is never called, and the rule or reason."""


class Hour(msgspec.Struct, kw_only=True):
    """An hour by the centre's clock (the first one: what is left of it)."""

    at: float
    new: int = 0
    open: int = 0


class Reason(msgspec.Struct, kw_only=True):
    """Contacts that are never called (again). *is_done*: the campaign is done with them; else a rule keeps them back."""

    reason: str
    contacts: int
    examples: list[int]
    is_done: bool


class Check(msgspec.Struct, kw_only=True):
    """What a dry run found. *later*: contacts that may be dialed only after the last hour; *later_at*: the first of
    them then. *owned*: those whose card is an operator's, of all that may be dialed. *one_by_one*: judged singly.
    *many_zones*: contacts none of whose numbers tells its time zone, but only several; *many_zones_open_s*: so
    long may one of them be dialed in all these hours, at most. *kinds*: of the phones of those who are not done.
    """

    campaign: str
    at: float
    contacts: int
    hours: list[Hour]
    later: int = 0
    later_at: float | None = None
    owned: int = 0
    one_by_one: int = 0
    many_zones: int = 0
    many_zones_open_s: float = 0.0
    kinds: list[str] = []
    never: list[Reason]


class _Open(msgspec.Struct, frozen=True):
    """When a contact may be dialed: spans of time until the end of what is looked at.

    *next_at*: after that; *rule*: why never, if so.
    """

    spans: tuple[tuple[float, float], ...]
    next_at: float | None
    rule: str = ""


def check(
    census: Census,
    calendar: Calendar,
    campaign: Campaign,
    centre: Centre,
    at: float,
    *,
    hours: int = 48,
    never: Never | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Check:
    """Look *hours* hours ahead from *at*.

    *never*: is told of each contact that is never called. *progress*: contacts judged one by one so far, and in all.

    Raises sqlite3.Error.
    """
    return _Run(census, calendar, campaign, centre, at, hours, never).run(progress)


class _Run:
    def __init__(
        self,
        census: Census,
        calendar: Calendar,
        campaign: Campaign,
        centre: Centre,
        at: float,
        hours: int,
        never: Never | None,
    ) -> None:
        self._census = census
        self._calendar = calendar
        self._campaign = campaign
        self._caps = (campaign.caps, centre.caps)
        self._at = at
        self._tell_never = never
        first = _full_hour(at)
        self._starts = [first + number * HOUR_S for number in range(hours)]
        self._end = first + hours * HOUR_S
        self._stretches: dict[tuple[str, tuple[str, ...]], list[tuple[float, float]]] = {}
        self._ahead = Calendar()
        """For the look ahead: a calendar that is asked of one instant only answers faster."""
        self._facts = Facts(census.connection, calendar, campaign, centre, at)
        self._known: dict[Lead, _Open] = {}
        self._never: dict[str, Reason] = {}
        self._kinds: set[str] = set()
        self._check = Check(
            campaign=campaign.id,
            at=at,
            contacts=0,
            hours=[Hour(at=max(one, at)) for one in self._starts],
            never=[],
        )

    def run(self, progress: Callable[[int, int], None] | None) -> Check:
        found = self._check
        for one in self._census.classes():
            opened = self._opened(self._fresh(one))
            self._count(opened, one.count)
            self._note_phones(one.phones, opened, one.count)
            if opened.rule:
                self._class_never(one, opened.rule)
        total = self._census.differing_count()
        alike: Counter[_Open] = Counter()
        for row, due in self._census.differing():
            lead = msgspec.structs.replace(self._facts.lead(row), due=due)
            opened = self._opened(lead)
            alike[opened] += 1
            self._note_phones([(phone.kind, phone.zones) for phone in lead.phones], opened, 1)
            if lead.owner is not None and not opened.rule:
                found.owned += 1
            if opened.rule:
                self._add_never(opened.rule, lead.contact)
            found.one_by_one += 1
            if progress is not None and not found.one_by_one % _TELL_EACH:
                progress(found.one_by_one, total)
            if len(alike) >= _KNOWN_MAX:
                self._count_all(alike)
        self._count_all(alike)
        for done in self._census.done(EXAMPLES):
            found.contacts += done.count
            reason = self._reason(done.reason)
            reason.contacts += done.count
            reason.examples += done.contacts[: EXAMPLES - len(reason.examples)]
        if self._tell_never is not None:
            for contact, why in self._census.all_done():
                self._tell_never(contact, why)
        found.kinds = sorted(self._kinds)
        found.never = sorted(self._never.values(), key=lambda one: (one.is_done, -one.contacts, one.reason))
        return found

    # -- when a contact may be dialed -------------------------------------------------------

    def _fresh(self, one: Class) -> Lead:
        """A contact of the class that was never called."""
        phones = tuple(
            LeadPhone(id=PhoneId(place), number="", kind=kind, zones=zones, held=self._held("number", zones))
            for place, (kind, zones) in enumerate(one.phones)
        )
        return Lead(
            id=LeadId(0),
            campaign=self._campaign.id,
            contact=ContactId(0),
            phones=phones,
            held=self._held("contact", ()),
        )

    def _held(self, scope: str, zones: tuple[str, ...]) -> Hold | None:
        """A cap that keeps back even who was never called."""
        day = self._calendar.day(zones, self._at)
        holds = [hold for one in self._caps if (hold := _no_calls(one, scope, day, self._at)) is not None]
        return max(holds, key=lambda hold: hold.until, default=None)

    def _opened(self, lead: Lead) -> _Open:
        """When *lead* may be dialed. What is the same for many (all but who they are) is worked out once."""
        places = {phone.id: PhoneId(place) for place, phone in enumerate(lead.phones)}
        alike = Lead(
            id=LeadId(0),
            campaign=lead.campaign,
            contact=ContactId(0),
            phones=tuple(
                msgspec.structs.replace(phone, id=PhoneId(place), number="")
                for place, phone in enumerate(lead.phones)
            ),
            next_phone=None if lead.next_phone is None else places.get(lead.next_phone),
            due=max(self._at, lead.due),
            held=lead.held,
            is_promised=lead.is_promised,
        )
        known = self._known.get(alike)
        if known is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            known = self._known[alike] = self._work_out(alike)
        return known

    def _work_out(self, lead: Lead) -> _Open:
        """When *lead*, whose caps and lists are as of now, may be dialed: the judgement at each instant of change."""
        spans: list[tuple[float, float]] = []
        moment = lead.due
        rule = ""
        for _ in range(_STEPS_MAX):
            if moment >= self._end:
                never = "" if spans else self._never_rule(lead, moment)
                return _Open(tuple(spans), None if never else moment, never)
            verdict = judge(self._with_hours(lead, moment), self._campaign, moment)
            if verdict.phone is None:
                if verdict.until is None or verdict.until >= FOREVER:
                    rule = "" if spans else verdict.rule
                    break
                moment = max(verdict.until, moment + 1.0)
                continue
            close = max(
                one.phone.hours[1] for one in verdict.phones if not one.rule and one.phone.hours is not None
            )
            spans.append((moment, min(close, self._end)))
            moment = close
        return _Open(tuple(spans), None, rule)

    def _never_rule(self, lead: Lead, at: float) -> str:
        """The rule, other than hours, for which *lead* will not be dialed at *at* nor after it; empty: none."""
        phones = tuple(msgspec.structs.replace(phone, hours=(0.0, FOREVER)) for phone in lead.phones)
        verdict = judge(msgspec.structs.replace(lead, phones=phones), self._campaign, at)
        return verdict.rule if verdict.phone is None and verdict.until is None else ""

    def _with_hours(self, lead: Lead, at: float) -> Lead:
        """*lead* with the hours as they are at another instant."""
        phones = tuple(
            msgspec.structs.replace(phone, hours=self._stretch(phone.kind, phone.zones, at))
            for phone in lead.phones
        )
        return msgspec.structs.replace(lead, phones=phones)

    def _stretch(self, kind: str, zones: tuple[str, ...], at: float) -> tuple[float, float] | None:
        """The present or next stretch of hours at *at*; those of the time looked at are worked out once."""
        known = self._stretches.get((kind, zones))
        if known is None:
            known = self._stretches[kind, zones] = []
            moment = self._at
            while moment < self._end:
                found = self._ahead.stretch(self._campaign.hours, kind, zones, moment)
                if found is None:
                    break
                known.append(found)
                moment = found[1]
        place = bisect_right(known, at, key=lambda one: one[1])
        return known[place] if place < len(known) else None

    # -- counting -----------------------------------------------------------------------------

    def _count_all(self, alike: Counter[_Open]) -> None:
        for opened, count in alike.items():
            self._count(opened, count)
        alike.clear()

    def _count(self, opened: _Open, count: int) -> None:
        found = self._check
        found.contacts += count
        is_new = True
        last = -1
        for since, until in opened.spans:
            for place in _places(self._starts[0], since, until, len(found.hours)):
                if place <= last:
                    continue  # two stretches in one hour
                last = place
                found.hours[place].open += count
                if is_new:
                    found.hours[place].new += count
                    is_new = False
        if is_new and not opened.rule:
            found.later += count
            if opened.next_at is not None:
                known = found.later_at
                found.later_at = opened.next_at if known is None else min(known, opened.next_at)

    def _note_phones(self, phones: Sequence[tuple[str, tuple[str, ...]]], opened: _Open, count: int) -> None:
        self._kinds.update(kind for kind, _ in phones)
        if opened.spans and all(len(zones) > 1 for _, zones in phones):
            self._check.many_zones += count
            open_s = sum(until - since for since, until in opened.spans)
            self._check.many_zones_open_s = max(self._check.many_zones_open_s, open_s)

    def _class_never(self, one: Class, rule: str) -> None:
        reason = self._reason(rule)
        reason.contacts += one.count
        with ExitStack() as stack:
            contacts = self._census.of_class(one.id)
            stack.callback(contacts.close)  # type: ignore[attr-defined]
            for contact in contacts:
                if len(reason.examples) < EXAMPLES:
                    reason.examples.append(contact)
                elif self._tell_never is None:
                    break
                if self._tell_never is not None:
                    self._tell_never(contact, rule)

    def _add_never(self, rule: str, contact: int) -> None:
        reason = self._reason(rule)
        reason.contacts += 1
        if len(reason.examples) < EXAMPLES:
            reason.examples.append(contact)
        if self._tell_never is not None:
            self._tell_never(contact, rule)

    def _reason(self, rule: str) -> Reason:
        if rule not in self._never:
            is_done = rule not in SENTENCES  # a rule finishes leads, too, that it keeps back for good
            self._never[rule] = Reason(reason=rule, contacts=0, examples=[], is_done=is_done)
        return self._never[rule]


def _no_calls(caps: Caps, scope: str, day: tuple[float, float] | None, at: float) -> Hold | None:
    is_number = scope == "number"
    return caps_hold(
        (),
        per_day=caps.number_per_day if is_number else caps.contact_per_day,
        per_24h=caps.number_per_24h if is_number else caps.contact_per_24h,
        gap_s=caps.gap_s,
        day=day,
        at=at,
        scope="number" if is_number else "contact",
    )


def _places(first: float, since: float, until: float, count: int) -> Iterator[int]:
    """The hours from *first* on that a span touches."""
    place = int((since - first) // HOUR_S)
    while place < count and first + place * HOUR_S < until:
        if place >= 0:
            yield place
        place += 1


def _full_hour(at: float) -> float:
    """The beginning of the hour by the centre's clock."""
    second = int(
        at
    )  # what rounding leaves of a fraction would put what opens at a full hour into the one before
    local = datetime.fromtimestamp(second).astimezone()
    return float(second - local.minute * 60 - local.second)
