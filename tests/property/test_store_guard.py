"""Whatever happens to two campaigns that share numbers: no attempt is saved that a rule forbids, none is refused
that all rules allow, and the hopper is given exactly those who may be dialed.

The rules are told here a second time, as simply as can be, over all that ever happened.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from dialer.core.commands import Command, SaveCall, SaveLead
from dialer.core.ids import AttemptId, CampaignId, ContactId, LeadId, PhoneId, TrunkId
from dialer.core.judging import judge
from dialer.core.values import (
    UNPLACED_RESULTS,
    Call,
    CallingHours,
    CallState,
    Campaign,
    Caps,
    Centre,
    DayHours,
    Result,
    Trunk,
)
from dialer.store import classes, dnc
from dialer.store import settings as store_settings
from dialer.store.calendar import Calendar
from dialer.store.connect import transaction
from dialer.store.errors import CallForbidden
from dialer.store.fetching import fetch_leads
from dialer.store.guard import Guard
from dialer.store.leads import enroll
from dialer.store.migrations import migrate
from dialer.store.writing import write
from tests.examples import examples

START = 1_781_254_800.0
"""Friday, 12 June 2026, 12:00 in Moscow."""
CALENDAR = Calendar()
GUARD = Guard(CALENDAR)
NUMBERS = ("+74950000001", "+74950000002", "+79160000001")
ZONES = {1: "Europe/Moscow", 2: "Asia/Vladivostok", 3: "Europe/Moscow", 4: "America/New_York"}
"""Of the contacts: two in each list."""
PHONES = {1: (1, 0), 2: (1, 2), 3: (2, 0), 4: (3, 1), 5: (4, 0), 6: (4, 1)}
"""Contact and number of each phone."""
CAMPAIGNS = ("one", "two")
LEADS = {1: ("one", 1), 2: ("one", 2), 3: ("two", 3), 4: ("two", 4)}


def days(*stretches: tuple[int, int]) -> tuple[DayHours, ...]:
    return (DayHours(days=tuple(range(7)), stretches=stretches),)


HOURS = (
    None,
    CallingHours(kinds={"default": days((540, 720), (840, 1080))}),
    CallingHours(kinds={"default": days((0, 1440))}, holidays=("2026-06-13",)),
    CallingHours(kinds={"home": days((600, 1200))}),
)
CAPS = (
    Caps(),
    Caps(number_per_24h=1),
    Caps(number_per_day=2, gap_s=900.0),
    Caps(contact_per_day=1),
    Caps(contact_per_24h=2),
    Caps(gap_s=5000.0),
)
ENTRIES = (*NUMBERS, "+7495*", "+7916*", "+7495000000?", "+79?6*")


def make_template() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(connection)
    store_settings.apply_trunk(connection, Trunk(id=TrunkId("t"), host="h"), 0.0)
    for name in CAMPAIGNS:
        store_settings.apply_campaign(connection, a_campaign(name), 0.0)
    for contact, zone in ZONES.items():
        name = "one" if contact < 3 else "two"
        connection.execute(
            "INSERT INTO contacts (id, list, key, added_at, zone) VALUES (?, ?, ?, 0, ?)",
            (contact, name, str(contact), zone),
        )
    for phone, (contact, number) in PHONES.items():
        connection.execute(
            "INSERT INTO phones (id, contact, position, kind, number) VALUES (?, ?, ?, ?, ?)",
            (phone, contact, phone, "home" if phone % 2 else "work", NUMBERS[number]),
        )
    classes.fill(connection, CALENDAR)
    for name in CAMPAIGNS:
        enroll(connection, CampaignId(name), 0.0)
    assert connection.execute("SELECT id, campaign, contact FROM leads").fetchall() == [
        (lead, *rest) for lead, rest in LEADS.items()
    ]
    return connection


def a_campaign(name: str) -> Campaign:
    return Campaign(id=CampaignId(name), lists=(name,), trunk=TrunkId("t"))


TEMPLATE = make_template()


class World:
    """The journal, and beside it a plain memory of all that happened."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        TEMPLATE.backup(self.db)
        self.at = START
        self.campaigns = {name: a_campaign(name) for name in CAMPAIGNS}
        self.centre = Centre()
        self.entries: set[tuple[str, str]] = set()
        self.bad: set[int] = set()
        self.finished: set[int] = set()
        self.calls: list[Call] = []

    def save(self, *commands: Command) -> None:
        with transaction(self.db):
            write(self.db, [], commands, GUARD)

    # -- what happens ---------------------------------------------------------------------

    def set_campaign(self, name: str, **changes: Any) -> None:
        self.campaigns[name] = replace(self.campaigns[name], **changes)
        store_settings.apply_campaign(self.db, self.campaigns[name], self.at)

    def set_centre(self, caps: Caps) -> None:
        self.centre = Centre(caps=caps)
        store_settings.apply_centre(self.db, self.centre, self.at)

    def bar(self, entry: str, name: str) -> None:
        if (entry, name) in self.entries:
            self.entries.discard((entry, name))
            dnc.remove(self.db, entry, campaign=name or None, at=self.at)
        else:
            self.entries.add((entry, name))
            dnc.add(self.db, entry, campaign=name or None, at=self.at)

    def dial(self, phone: int) -> None:
        """Try to place a call; it must be saved just when all rules allow it."""
        contact, number = PHONES[phone]
        lead = next(lead for lead, (_, one) in LEADS.items() if one == contact)
        name = LEADS[lead][0]
        call = Call(
            attempt=AttemptId(f"a{len(self.calls):020}"),
            campaign=CampaignId(name),
            lead=LeadId(lead),
            contact=ContactId(contact),
            phone=PhoneId(phone),
            number=NUMBERS[number],
            ordinal=self.tries(lead) + 1,
            trunk=TrunkId("t"),
            created_at=self.at,
        )
        why = self.forbidden(lead, phone) or ("contact live" if self.is_live(lead) else "")
        refusal: CallForbidden | None = None
        try:
            self.save(SaveCall(call=call))
        except CallForbidden as error:
            refusal = error
        assert bool(why) == (refusal is not None), f"{why or 'no rule forbids it'}, but {refusal or 'saved'}"
        if refusal is None:
            self.calls.append(call)

    def end(self, result: Result) -> None:
        live = [call for call in self.calls if call.state is not CallState.ENDED]
        if not live:
            return
        call = live[0]
        done = replace(call, state=CallState.ENDED, result=result, ended_at=self.at)
        self.calls[self.calls.index(call)] = done
        if result is Result.REROUTED:
            self.save(SaveCall(call=done))  # nothing becomes of the lead
            return
        ordinal = call.ordinal - (result is Result.FAILED)
        if result is Result.INVALID:
            self.bad.add(call.phone)
        if result is Result.TALKED:
            self.finished.add(call.lead)
        self.save(
            SaveCall(call=done),
            SaveLead(
                lead=call.lead,
                ordinal=ordinal,
                due=None if result is Result.TALKED else self.at,
                finished="talked" if result is Result.TALKED else None,
                bad_phone=call.phone if result is Result.INVALID else None,
                why=result.value,
                at=self.at,
            ),
        )

    # -- the rules, told once more --------------------------------------------------------

    def tries(self, lead: int) -> int:
        return sum(call.lead == lead and call.result not in UNPLACED_RESULTS for call in self.calls)

    def is_live(self, lead: int) -> bool:
        return any(call.lead == lead and call.state is not CallState.ENDED for call in self.calls)

    def forbidden(self, lead: int, phone: int) -> str:
        name, contact = LEADS[lead]
        number = NUMBERS[PHONES[phone][1]]
        campaign = self.campaigns[name]
        if lead in self.finished:
            return "finished"
        if phone in self.bad:
            return "bad"
        if any(fnmatchcase(number, entry) and of in ("", name) for entry, of in self.entries):
            return "do not call"
        if any(call.number == number and call.state is not CallState.ENDED for call in self.calls):
            return "number live"
        tried = [
            call.result for call in self.calls if call.phone == phone and call.result not in UNPLACED_RESULTS
        ]
        if len(tried) >= campaign.attempts or tried.count(Result.CONGESTION) >= 3:
            return "tried"
        if not self.is_open(campaign.hours, "home" if phone % 2 else "work", ZONES[contact]):
            return "hours"
        placed = [call for call in self.calls if call.result not in UNPLACED_RESULTS]
        for caps in (campaign.caps, self.centre.caps):
            of_number = [call.created_at for call in placed if call.number == number]
            of_contact = [call.created_at for call in placed if call.contact == contact]
            for times, per_day, per_24h in (
                (of_number, caps.number_per_day, caps.number_per_24h),
                (of_contact, caps.contact_per_day, caps.contact_per_24h),
            ):
                today = self.day(self.at, contact)
                if per_day is not None and sum(self.day(one, contact) == today for one in times) >= per_day:
                    return "per day"
                if per_24h is not None and sum(one > self.at - 86_400 for one in times) >= per_24h:
                    return "per 24 h"
                if any(one + caps.gap_s > self.at for one in times):
                    return "gap"
        return ""

    def day(self, at: float, contact: int) -> str:
        return datetime.fromtimestamp(at, ZoneInfo(ZONES[contact])).date().isoformat()

    def is_open(self, hours: CallingHours | None, kind: str, zone: str) -> bool:
        if hours is None:
            return True
        clock = datetime.fromtimestamp(self.at, ZoneInfo(zone))
        if clock.date().isoformat() in hours.holidays:
            return False
        minute = clock.hour * 60 + clock.minute
        week = hours.kinds.get(kind, hours.kinds.get("default", ()))
        return any(since <= minute < until for one in week for since, until in one.stretches)

    def check_hopper(self, name: str) -> None:
        """The hopper is given all who may be dialed, and nobody else."""
        campaign = self.campaigns[name]
        found: set[int] = set()
        for _ in range(3):
            leads, unfinished, is_partial = fetch_leads(self.db, CALENDAR, campaign, 20, self.at)
            assert not is_partial
            for lead in leads:
                phone = judge(lead, campaign, self.at).phone
                assert phone is not None
                why = self.forbidden(lead.id, phone.id)
                assert why in ("", "number live"), why
            found = {lead.id for lead in leads}
            assert unfinished or not found
        for number, (of, contact) in LEADS.items():
            if of != name or self.is_live(number):
                continue
            own = [phone_id for phone_id, (one, _) in PHONES.items() if one == contact]
            if any(not self.forbidden(number, one) for one in own):
                assert number in found, f"lead {number} may be dialed and is not given out"


ACTIONS = st.one_of(
    st.tuples(st.just("dial"), st.sampled_from(sorted(PHONES))),
    st.tuples(st.just("dial"), st.sampled_from(sorted(PHONES))),
    st.tuples(
        st.just("end"),
        st.sampled_from(
            (
                Result.CONGESTION,
                Result.NO_ANSWER,
                Result.INVALID,
                Result.FAILED,
                Result.REROUTED,
                Result.TALKED,
            )
        ),
    ),
    st.tuples(st.just("bar"), st.sampled_from(ENTRIES), st.sampled_from(("", *CAMPAIGNS))),
    st.tuples(st.just("hours"), st.sampled_from(CAMPAIGNS), st.sampled_from(HOURS)),
    st.tuples(st.just("caps"), st.sampled_from(CAMPAIGNS), st.sampled_from(CAPS)),
    st.tuples(st.just("centre"), st.sampled_from(CAPS)),
    st.tuples(st.just("attempts"), st.sampled_from(CAMPAIGNS), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.sampled_from((1.0, 600.0, 7200.0, 40_000.0))),
    st.tuples(st.just("fetch"), st.sampled_from(CAMPAIGNS)),
)


@settings(max_examples=examples(120), deadline=None)
@example(  # a call that comes to count for nothing keeps nobody back any longer
    [("dial", 6), ("centre", Caps(number_per_24h=1)), ("fetch", "two"), ("end", Result.FAILED)]
)
@given(st.lists(ACTIONS, max_size=30))
def test_nobody_is_dialed_against_a_rule_and_nobody_is_forgotten(actions: list[tuple[Any, ...]]) -> None:
    world = World()
    try:
        for action, *what in actions:
            match action:
                case "dial":
                    world.dial(*what)
                case "end":
                    world.end(*what)
                case "bar":
                    world.bar(*what)
                case "hours":
                    world.set_campaign(what[0], hours=what[1])
                case "caps":
                    world.set_campaign(what[0], caps=what[1])
                case "attempts":
                    world.set_campaign(what[0], attempts=what[1])
                case "centre":
                    world.set_centre(*what)
                case "wait":
                    world.at += what[0]
                case "fetch":
                    world.check_hopper(*what)
        for name in CAMPAIGNS:
            world.check_hopper(name)
    finally:
        world.db.close()
