"""A lead with all that is known of it at an instant, so that :func:`dialer.core.judging.judge` can say
whether it may be dialed then.

1. What depends on other campaigns (caps, do-not-call), on the calendar (hours, days) and on the history (tries)
   is worked out here, from the tables, each time anew. Nothing is kept that could be out of date.
2. The same is told of a moment past, from what the journal keeps: attempts, ``lead_states``, the do-not-call
   lists with their removals, ``campaign_settings`` and ``centre``. Four things are not kept and taken as they
   are now: a contact's own time zone, its numbers, which number is whose, and what trunks may call.
3. What fails here raises. Nobody is dialed on half of the facts.

For one question: :func:`lead_at`, :func:`state_at`. For many leads at one instant: :class:`Facts`.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from dialer.core.destinations import RULE as DESTINATION
from dialer.core.destinations import may_call
from dialer.core.hours import DAY_S, caps_hold
from dialer.core.ids import AgentId, CampaignId, ContactId, LeadId, PhoneId
from dialer.core.judging import outcome
from dialer.core.results import operator_result
from dialer.core.values import (
    FOREVER,
    UNPLACED_RESULTS,
    Campaign,
    Caps,
    Centre,
    Hold,
    Lead,
    LeadPhone,
    Result,
)
from dialer.store.calendar import Calendar
from dialer.store.classes import zones_of
from dialer.store.dnc import Lists
from dialer.store.schema import PRIORITY_FRESH, PRIORITY_PROMISED
from dialer.store.settings import load_centre
from dialer.store.trunks import trunks_of

ROW = "id, contact, ordinal, next_phone, due, owner, owned_until, priority"
"""The columns of ``leads`` that :meth:`Facts.lead` takes."""
Row = tuple[int, int, int, int | None, float | None, str | None, float | None, int]

PHONES_SQL = (
    "SELECT position, phones.id, number, kind, is_bad, zone FROM contacts"
    " CROSS JOIN phones ON phones.contact = contacts.id WHERE contacts.id = ?"
)
TRIED_SQL = (
    "SELECT phone, result, operator_result, created_at, ended_at FROM attempts"
    " WHERE lead = ? AND ordinal < ? AND direction = 'out' ORDER BY ordinal"
)
PLACED = "direction = 'out' AND (result IS NULL OR result NOT IN ('failed', 'rerouted'))"
"""Caps count the calls that we placed: what a trunk would not carry, or a fault of ours kept back, was none."""
PLACED_TO_NUMBER_SQL = f"SELECT created_at FROM attempts WHERE number = ? AND created_at > ? AND {PLACED}"
PLACED_TO_CONTACT_SQL = f"SELECT created_at FROM attempts WHERE contact = ? AND created_at > ? AND {PLACED}"
NOW_SQL = f"SELECT campaign, finished, held, {ROW} FROM leads WHERE id = ?"
THEN_SQL = (
    "SELECT at, ordinal, due, next_phone, finished, owner, owned_until, held, is_promised, why FROM lead_states"
    " WHERE lead = ? AND at <= ? ORDER BY at DESC, id DESC LIMIT 1"
)
BEFORE_SQL = (
    "SELECT ordinal, next_phone, due, owner, owned_until, is_promised FROM lead_states"
    " WHERE lead = ? AND ordinal < ? ORDER BY at DESC, id DESC LIMIT 1"
)
_ALL = 2**62
"""Beyond every ordinal."""
_LATEST = 1e18
"""Beyond every instant."""
_LONGEST_DAYS_S = 3.0 * DAY_S
"""No day, in all the zones where one person may be, began longer ago."""


class LeadState(msgspec.Struct, frozen=True, kw_only=True):
    """How a lead stands, or stood, apart from what its contact and its attempts say.

    *since*: since when. *due* None: never again, *finished* says why. *held*: the rule that put it off or
    finished it. *why*: what led to this state: a result, a rule's name, ``callback``, ``let_loose`` ...
    """

    lead: LeadId
    campaign: CampaignId
    contact: ContactId
    since: float
    ordinal: int
    due: float | None
    next_phone: PhoneId | None
    finished: str | None
    owner: AgentId | None
    owned_until: float
    held: str | None
    is_promised: bool
    why: str


def state_at(connection: sqlite3.Connection, lead: LeadId, at: float | None = None) -> LeadState | None:
    """How the lead stands now or (*at*) stood at a moment; None: there is (was) no such lead."""
    found = connection.execute(
        "SELECT campaign, contact, enrolled_at FROM leads WHERE id = ?", (lead,)
    ).fetchone()
    if found is None:
        return None
    campaign, contact, enrolled_at = found
    row = connection.execute(THEN_SQL, (lead, _LATEST if at is None else at)).fetchone()
    if row is None:
        if at is not None and at < enrolled_at:
            return None
        row = (enrolled_at, 0, 0.0, None, None, None, None, None, 0, "enrolled")
    since, ordinal, due, next_phone, finished, owner, owned_until, held, is_promised, why = row
    if at is None:
        now = connection.execute(NOW_SQL, (lead,)).fetchone()
        _, finished, held, _, _, ordinal, next_phone, due, owner, owned_until, priority = now
        is_promised = priority == PRIORITY_PROMISED
    return LeadState(
        lead=lead,
        campaign=CampaignId(campaign),
        contact=ContactId(contact),
        since=since,
        ordinal=ordinal,
        due=due,
        next_phone=None if next_phone is None else PhoneId(next_phone),
        finished=finished,
        owner=None if owner is None else AgentId(owner),
        owned_until=FOREVER if owned_until is None else owned_until,
        held=held,
        is_promised=bool(is_promised),
        why=why,
    )


def lead_at(
    connection: sqlite3.Connection,
    calendar: Calendar,
    campaign: Campaign,
    lead: LeadId,
    at: float,
    *,
    centre: Centre | None = None,
    is_past: bool = False,
) -> Lead | None:
    """The lead with all facts for the instant *at*; None if there is no such lead (or, *is_past*, was none).

    *campaign*: its settings, and *centre*: those of the centre (None: as they are now, or were at *at*), for a
    moment past as they were then: :func:`dialer.store.settings.campaign_at`, ``centre_at``. Without *is_past*
    *at* is now or later (a look ahead), and all that was done so far counts.

    Raises:
        sqlite3.Error: the facts cannot be read.
    """
    state = state_at(connection, lead, at if is_past else None)
    if state is None:
        return None
    if centre is None:
        centre = load_centre(connection, at if is_past else None)
    row: Row = (
        lead,
        state.contact,
        state.ordinal,
        state.next_phone,
        state.due,
        state.owner,
        state.owned_until,
        PRIORITY_PROMISED if state.is_promised else PRIORITY_FRESH,
    )
    return Facts(connection, calendar, campaign, centre, at, is_past=is_past).lead(row)


class Facts:
    """Makes leads of *campaign* with all that is known of them at the instant *at*."""

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
        self._at = at
        self._is_past = is_past
        self._centre = centre
        self._trunks = trunks_of(connection, campaign)
        self._lists = Lists(connection, at if is_past else None)
        self._days: dict[tuple[str, ...], tuple[float, float] | None] = {}
        caps = (campaign.caps, centre.caps)
        self._has_zero = any(0 in _most(one) for one in caps)
        self._number_caps = [one for one in caps if _caps_number(one)]
        self._contact_caps = [one for one in caps if _caps_contact(one)]

    def lead(self, row: Row) -> Lead:
        """The lead in a *row* of :data:`ROW`. Raises sqlite3.Error."""
        number, contact, ordinal, next_phone, due, owner, owned_until, priority = row
        tried, bad = self._tried(number, ordinal)
        phones = []
        everywhere: set[str] = set()
        is_certain = True
        for _, phone, e164, kind, is_bad, zone in _phones(self._connection, contact):
            zones = zones_of(self._calendar, e164, zone)
            everywhere.update(zones)
            is_certain = is_certain and bool(zones)
            phones.append(
                LeadPhone(
                    id=PhoneId(phone),
                    number=e164,
                    kind=kind,
                    tried=tuple(tried.get(phone, ())),
                    is_bad=bool(is_bad) and (not self._is_past or phone in bad),
                    barred=self._barred(e164),
                    zones=zones,
                    hours=self._calendar.stretch(self._campaign.hours, kind, zones, self._at),
                    held=self._held_number(e164, zones),
                )
            )
        return Lead(
            id=LeadId(number),
            campaign=self._campaign.id,
            contact=ContactId(contact),
            phones=tuple(phones),
            ordinal=ordinal,
            next_phone=None if next_phone is None else PhoneId(next_phone),
            due=0.0 if due is None else due,
            held=self._held_contact(contact, tuple(sorted(everywhere)) if is_certain else ()),
            is_promised=priority == PRIORITY_PROMISED,
            owner=None if owner is None else AgentId(owner),
            owned_until=FOREVER if owned_until is None else owned_until,
        )

    def _barred(self, number: str) -> str:
        if not may_call(self._trunks, self._campaign, self._centre, number):
            return DESTINATION
        return self._lists.barred(number, self._campaign.id)

    def _tried(self, lead: int, ordinal: int) -> tuple[dict[int, list[str]], set[int]]:
        """What the tries on each number came to; and the numbers that were found bad by then."""
        if not ordinal and not self._is_past:
            return {}, set()
        before = self._at if self._is_past else _LATEST
        return tries(self._connection, self._campaign, lead, _ALL, before)

    def _held_number(self, number: str, zones: tuple[str, ...]) -> Hold | None:
        return self._held(PLACED_TO_NUMBER_SQL, number, self._number_caps, zones, is_number=True)

    def _held_contact(self, contact: int, zones: tuple[str, ...]) -> Hold | None:
        return self._held(PLACED_TO_CONTACT_SQL, contact, self._contact_caps, zones, is_number=False)

    def _held(
        self, sql: str, whom: str | int, caps: Sequence[Caps], zones: tuple[str, ...], *, is_number: bool
    ) -> Hold | None:
        """The cap that keeps a number or a contact back the longest."""
        if not caps:
            return None
        since = self._at - max(_LONGEST_DAYS_S, *(one.gap_s for one in caps))
        placed = placed_since(self._connection, sql, whom, since, self._at if self._is_past else None)
        if not placed and not self._has_zero:
            return None
        day = self._day(zones)
        holds = [
            hold
            for one in caps
            if (
                hold := caps_hold(
                    placed,
                    per_day=one.number_per_day if is_number else one.contact_per_day,
                    per_24h=one.number_per_24h if is_number else one.contact_per_24h,
                    gap_s=one.gap_s,
                    day=day,
                    at=self._at,
                    scope="number" if is_number else "contact",
                )
            )
            is not None
        ]
        return max(holds, key=lambda hold: hold.until, default=None)

    def _day(self, zones: tuple[str, ...]) -> tuple[float, float] | None:
        """The present day in *zones*, worked out once for many leads."""
        if zones not in self._days:
            self._days[zones] = self._calendar.day(zones, self._at)
        return self._days[zones]


def placed_since(
    connection: sqlite3.Connection, sql: str, whom: str | int, since: float, before: float | None = None
) -> list[float]:
    """When calls to a number (*sql*: :data:`PLACED_TO_NUMBER_SQL`) or a contact were placed after *since*, and
    (given *before*) before that moment: one that failed later than then counted still.
    """
    if before is None:
        return [row[0] for row in connection.execute(sql, (whom, since))]
    then = sql.replace("result IS NULL", "result IS NULL OR ended_at > ?")
    return [row[0] for row in connection.execute(then, (whom, since, before)) if row[0] < before]


def tries(
    connection: sqlite3.Connection, campaign: Campaign, lead: int, before: int, until: float = _LATEST
) -> tuple[dict[int, list[str]], set[int]]:
    """What the tries of *lead* on each phone came to, of those with an ordinal under *before* that had ended by
    *until*, oldest first; and the phones that were found bad by one of them.
    """
    tried: dict[int, list[str]] = {}
    bad: set[int] = set()
    for phone, result, said, created_at, ended_at in connection.execute(TRIED_SQL, (lead, before)):
        if result is None or result in UNPLACED_RESULTS or created_at >= until:
            continue
        if ended_at is not None and ended_at > until:
            continue
        tried.setdefault(phone, []).append(outcome(Result(result), said))
        spoken = operator_result(campaign, said)
        if result == Result.INVALID or (spoken is not None and spoken.is_bad_number):
            bad.add(phone)
    return tried, bad


def lead_before(
    connection: sqlite3.Connection, calendar: Calendar, campaign: Campaign, lead: LeadId, ordinal: int | None
) -> Lead | None:
    """The lead as it was when the attempt *ordinal* was placed, or (None) as it is, whose person calls us now; without what held
    for that moment only (hours, caps, do-not-call). None if there is no such lead.
    """
    row = connection.execute(NOW_SQL, (lead,)).fetchone()
    if row is None:
        return None
    _, finished, _, _, contact, count, next_phone, due, owner, owned_until, priority = row
    is_promised = priority == PRIORITY_PROMISED
    is_theirs = ordinal is None
    ordinal = count + 1 if ordinal is None else ordinal
    if count >= ordinal:  # it has been saved since
        then = connection.execute(BEFORE_SQL, (lead, ordinal)).fetchone()
        _, next_phone, due, owner, owned_until, is_promised = then or (0, None, 0.0, None, None, 0)
    tried, _ = tries(connection, campaign, lead, ordinal)
    phones = _phones(connection, contact)
    return Lead(
        id=lead,
        campaign=campaign.id,
        contact=ContactId(contact),
        phones=tuple(
            LeadPhone(
                id=PhoneId(phone),
                number=number,
                kind=kind,
                tried=tuple(tried.get(phone, ())),
                is_bad=bool(is_bad),
                zones=zones_of(calendar, number, zone),
            )
            for _, phone, number, kind, is_bad, zone in phones
        ),
        ordinal=ordinal - 1,
        next_phone=None if next_phone is None else PhoneId(next_phone),
        due=0.0 if due is None else due,
        is_promised=bool(is_promised),
        owner=None if owner is None else AgentId(owner),
        owned_until=FOREVER if owned_until is None else owned_until,
        finished=(finished or "") if is_theirs else "",
    )


def _phones(connection: sqlite3.Connection, contact: int) -> list[tuple[int, int, str, str, int, str]]:
    """The rows of :data:`PHONES_SQL` in the contact's own order."""
    return sorted(connection.execute(PHONES_SQL, (contact,)), key=lambda row: (row[0], row[1]))


def _most(caps: Caps) -> tuple[int | None, ...]:
    return caps.number_per_day, caps.number_per_24h, caps.contact_per_day, caps.contact_per_24h


def _caps_number(caps: Caps) -> bool:
    return caps.number_per_day is not None or caps.number_per_24h is not None or caps.gap_s > 0


def _caps_contact(caps: Caps) -> bool:
    return caps.contact_per_day is not None or caps.contact_per_24h is not None or caps.gap_s > 0
