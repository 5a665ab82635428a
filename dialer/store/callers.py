"""Callers: whose card a person has who calls us, in the campaign that they call.

1. By their number: the lead of a contact with that number in the campaign; of several the one that was called, or called, last.
   A contact of the campaign's lists without a lead (it was not enrolled yet) gets one. Anybody else gets a new card in
   ``inbound.list`` (without one, the campaign's first list), under the name by which another list knows the number, if one
   does. Its key is the one that an import gives to who has only that number, so that nobody has two cards for it.
2. A lead that begins so is finished (:data:`CALLED_US`): the person has what they wanted if somebody talks with them; if not,
   :mod:`dialer.core.rules` promises them a call.
3. Who withholds their number, or shows one that we do not know and that costs who calls it (:data:`~dialer.store.numberplan.COSTLY`: a caller can show any
   number, and we call back who was missed), has the one card of such people in that list, whose lead stays finished: there is no number to dial.
4. No rule that keeps us from calling somebody keeps them from calling us: neither lists, nor hours, nor caps are asked here.
5. When operators take calls (``inbound.hours``) is judged here, for what depends on the calendar is the store's business (ADR 12).
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import functools
import sqlite3

import msgspec
import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from dialer.core.ids import AgentId, LeadId, PhoneId
from dialer.core.incoming import Inbound
from dialer.core.values import CallingHours, Campaign, DayHours, Lead
from dialer.store import holding
from dialer.store.calendar import Calendar
from dialer.store.classes import class_ids, class_text
from dialer.store.connect import BUSY_S, transaction
from dialer.store.facts import ROW, Facts
from dialer.store.hourtext import read_line
from dialer.store.numberplan import is_costly
from dialer.store.schema import PRIORITY_AGAIN, PRIORITY_FRESH
from dialer.store.settings import list_of_callers, load_centre, make_list

CALLED_US = "called_us"
"""Why a lead is finished that began with a call to us."""
WITHHELD = "withheld"
"""The key of the card of people who withhold their number, and the kind of its phone."""

KNOWN_SQL = (
    "SELECT leads.id, phones.id FROM phones CROSS JOIN leads ON leads.contact = phones.contact AND leads.campaign = ?"
    " WHERE phones.number = ? ORDER BY"
    " (SELECT max(created_at) FROM attempts WHERE attempts.contact = leads.contact) DESC NULLS LAST,"
    " leads.finished IS NOT NULL, leads.id LIMIT 1"
)
LISTED_SQL = (
    "SELECT contacts.id, phones.id, contacts.class FROM phones CROSS JOIN contacts ON contacts.id = phones.contact"
    " WHERE phones.number = ? AND contacts.list IN (SELECT list FROM campaign_lists WHERE campaign = ?)"
    " ORDER BY contacts.id LIMIT 1"
)
WITHHELD_SQL = (
    "SELECT leads.id, phones.id FROM contacts JOIN leads ON leads.contact = contacts.id AND leads.campaign = ?"
    f" JOIN phones ON phones.contact = contacts.id WHERE contacts.list = ? AND contacts.key = '{WITHHELD}'"
)
LAST_OPERATOR_SQL = (
    "SELECT agent FROM attempts WHERE number = ? AND connected_at IS NOT NULL AND agent IS NOT NULL"
    " ORDER BY created_at DESC LIMIT 1"
)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls. *number*: E.164, or empty. *phone*: the lead's number. *last_operator*: who spoke with them last.

    *is_open*: whether operators take calls at this hour.
    """

    number: str
    lead: Lead
    phone: PhoneId
    last_operator: AgentId | None
    is_open: bool


@functools.lru_cache(maxsize=4096)
def e164(text: str, region: str) -> str:
    """The number that a carrier wrote as *text* of a caller in *region*; empty: none that could be called back."""
    for one in (text, "+" + text.removeprefix("+")):
        try:
            number = phonenumbers.parse(one, region)
        except NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return ""


def find_caller(
    connection: sqlite3.Connection,
    calendar: Calendar,
    campaign: Campaign,
    caller: str,
    at: float,
    region: str,
    *,
    busy_s: float = BUSY_S,
) -> Caller:
    """Whose card it is; made, in a transaction of its own, where there is none. *caller*: as the carrier wrote it.

    Raises:
        JournalError: there is none, and the journal cannot be written.
        sqlite3.Error: the journal cannot be read.
    """
    number = e164(caller, region)
    found = _known(connection, campaign, number)
    if found is None and is_costly(number) and _listed(connection, campaign, number) is None:
        number, found = "", _known(connection, campaign, "")
    if found is None:
        with transaction(connection, busy_s=busy_s):
            found = _known(connection, campaign, number) or _open(connection, calendar, campaign, number, at)
    lead, phone = found
    finished, *row = connection.execute(f"SELECT finished, {ROW} FROM leads WHERE id = ?", (lead,)).fetchone()
    facts = Facts(connection, calendar, campaign, load_centre(connection), at)
    spoke = connection.execute(LAST_OPERATOR_SQL, (number,)).fetchone() if number else None
    return Caller(
        number=number,
        lead=msgspec.structs.replace(facts.lead(tuple(row)), finished=finished or ""),
        phone=PhoneId(phone),
        last_operator=AgentId(spoke[0]) if spoke is not None else None,
        is_open=is_open(calendar, campaign.inbound, at),
    )


def is_open(calendar: Calendar, rules: Inbound, at: float) -> bool:
    """Whether operators take calls at the instant *at*."""
    if not rules.hours and not rules.holidays:
        return True
    zone = rules.zone or "UTC"
    stretch = calendar.stretch(
        _hours(rules.hours or ("daily 00:00-24:00",), rules.holidays), "default", (zone,), at
    )
    return stretch is not None and stretch[0] <= at < stretch[1]


@functools.lru_cache(maxsize=256)
def _hours(lines: tuple[str, ...], holidays: tuple[str, ...]) -> CallingHours:
    days: tuple[DayHours, ...] = tuple(read_line(line) for line in lines)
    return CallingHours(kinds={"default": days}, holidays=holidays)


def _known(connection: sqlite3.Connection, campaign: Campaign, number: str) -> tuple[LeadId, int] | None:
    """The caller's lead and phone, if they have a lead."""
    found = (
        connection.execute(KNOWN_SQL, (campaign.id, number))
        if number
        else connection.execute(WITHHELD_SQL, (campaign.id, list_of_callers(campaign)))
    )
    row = found.fetchone()
    return (LeadId(row[0]), row[1]) if row is not None else None


def _listed(connection: sqlite3.Connection, campaign: Campaign, number: str) -> tuple[int, int, int] | None:
    """The contact of the campaign's lists with that number, its phone and class."""
    row: tuple[int, int, int] | None = connection.execute(LISTED_SQL, (number, campaign.id)).fetchone()
    return row


def _open(
    connection: sqlite3.Connection, calendar: Calendar, campaign: Campaign, number: str, at: float
) -> tuple[LeadId, int]:
    """Open a lead, and a card if need be. Part of the caller's transaction."""
    listed = _listed(connection, campaign, number) if number else None
    if listed is not None:  # a contact that the campaign is to call, and has not enrolled yet
        contact, phone, group = listed
        made = connection.execute(
            "INSERT INTO leads (campaign, contact, class, priority, due, enrolled_at)"
            f" VALUES (?, ?, ?, {PRIORITY_FRESH}, 0.0, ?) RETURNING id",
            (campaign.id, contact, group, at),
        )
        return LeadId(made.fetchone()[0]), phone
    contact, phone, group = _new_contact(connection, calendar, campaign, number, at)
    made = connection.execute(
        "INSERT INTO leads (campaign, contact, class, priority, due, finished, enrolled_at)"
        f" VALUES (?, ?, ?, {PRIORITY_AGAIN}, NULL, '{CALLED_US}', ?) RETURNING id",
        (campaign.id, contact, group, at),
    )
    lead = LeadId(made.fetchone()[0])
    holding.note(connection, [lead], at, CALLED_US)
    return lead, phone


def _new_contact(
    connection: sqlite3.Connection, calendar: Calendar, campaign: Campaign, number: str, at: float
) -> tuple[int, int, int]:
    name, kind = list_of_callers(campaign), "main" if number else WITHHELD
    make_list(connection, name, at)
    connection.execute(
        "INSERT INTO campaign_lists (campaign, list, position)"
        " SELECT ?1, ?2, coalesce(max(position) + 1, 0) FROM campaign_lists WHERE campaign = ?1"
        " ON CONFLICT (campaign, list) DO NOTHING",
        (campaign.id, name),
    )
    key = f"n:{number}" if number else WITHHELD
    text = class_text(calendar, [(kind, number)], "")
    group = class_ids(connection, [text])[text]
    there = connection.execute(
        "SELECT c.id, p.id, c.class FROM contacts c JOIN phones p ON p.contact = c.id AND p.number = ?"
        " WHERE c.list = ? AND c.key = ?",
        (number, name, key),
    ).fetchone()
    if there is not None:  # the card of those who withhold their number, which another campaign opened
        return int(there[0]), int(there[1]), int(there[2])
    called = connection.execute(
        "SELECT c.name FROM phones p JOIN contacts c ON c.id = p.contact WHERE p.number = ? AND c.name <> ''"
        " ORDER BY c.added_at DESC, c.id DESC LIMIT 1",
        (number,),
    ).fetchone()
    contact = connection.execute(
        "INSERT INTO contacts (list, key, name, added_at, class) VALUES (?, ?, ?, ?, ?) RETURNING id",
        (name, key, called[0] if called is not None else "", at, group),
    ).fetchone()[0]
    phone = connection.execute(
        "INSERT INTO phones (contact, position, kind, number, is_bad) VALUES (?, 0, ?, ?, ?) RETURNING id",
        (contact, kind, number, int(not number)),
    ).fetchone()[0]
    return contact, phone, group
