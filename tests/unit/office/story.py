"""A day in a journal, told by real saves: what happened, in order, and then questions about it.

Times are given as ``"10:00"`` of Monday, 2 March 2026, in Moscow (``"+1 10:00"``: a day later). The campaign
``spring`` calls mobiles daily 09:00-21:00 and other phones Mon-Fri 09:00-12:00 and 14:00-18:00, where people are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from dialer.core.commands import Command, SaveAgent, SaveCall, SaveCallback, SaveCampaignState, SaveLead
from dialer.core.events import EngineStarted, Event, PbxConnected, Ticked
from dialer.core.ids import AgentId, AttemptId, CampaignId, LeadId, PhoneId, TrunkId
from dialer.core.values import (
    Agent,
    AgentCard,
    AgentState,
    Call,
    CallingHours,
    CallState,
    Campaign,
    CampaignState,
    Caps,
    DayHours,
    Result,
    Trunk,
)
from dialer.office.layers import Answer, Engine
from dialer.office.why import Asked, why
from dialer.store import contacts, leads, settings
from dialer.store.calendar import Calendar
from dialer.store.connect import open_reader, open_writer
from dialer.store.contacts import NewContact
from dialer.store.journal import Journal

MOSCOW = ZoneInfo("Europe/Moscow")
MONDAY = datetime(2026, 3, 2, tzinfo=MOSCOW)
DAILY = tuple(range(7))
HOURS = CallingHours(
    kinds={
        "mobile": (DayHours(days=DAILY, stretches=((9 * 60, 21 * 60),)),),
        "default": (DayHours(days=DAILY[:5], stretches=((9 * 60, 12 * 60), (14 * 60, 18 * 60))),),
    }
)
SPRING = Campaign(
    id=CampaignId("spring"),
    lists=("people",),
    trunk=TrunkId("north"),
    hours=HOURS,
    caps=Caps(number_per_24h=3),
)
ANN, BOB = AgentId("ann"), AgentId("bob")
CALENDAR = Calendar()
UP = Engine(trunks={"north": True})


def at(text: str) -> float:
    """The instant of ``"10:00"``, ``"10:00:05"`` or ``"+1 10:00"``."""
    days, _, clock = text.rpartition(" ")
    hour, minute, *second = (int(part) for part in clock.split(":"))
    past = timedelta(days=int(days or 0), hours=hour, minutes=minute, seconds=second[0] if second else 0)
    return (MONDAY + past).timestamp()


class Story:
    """A journal, written as an engine writes it. Contact *n* has lead *n* in ``spring``."""

    def __init__(self, path: Path, journal: Journal, connection: sqlite3.Connection) -> None:
        self.path = path
        self.journal = journal
        self.db = connection
        self.serial = 0

    @classmethod
    async def begin(cls, path: Path, campaign: Campaign = SPRING) -> Story:
        """At 08:00 there are two campaigns, two operators and nobody to call; at 09:00 ``spring`` runs."""
        connection = open_writer(path)
        settings.apply_trunk(connection, Trunk(id=TrunkId("north"), host="127.0.0.1"), at("08:00"))
        settings.apply_campaign(connection, campaign, at("08:00"))
        other = msgspec.structs.replace(campaign, id=CampaignId("autumn"))
        settings.apply_campaign(connection, other, at("08:00"))
        settings.add_agent(connection, AgentCard(id=ANN, phone="101"))
        settings.add_agent(connection, AgentCard(id=BOB, phone="102", campaigns=(CampaignId("autumn"),)))
        story = cls(path, await Journal.open(path, busy_s=0.2), connection)
        await story.save("08:30", [EngineStarted(at=at("08:30"), version="1"), PbxConnected(at=at("08:30"))])
        await story.agent("08:45", ANN, AgentState.READY)
        await story.run("09:00", CampaignState.RUNNING)
        return story

    async def end(self) -> None:
        self.db.close()
        await self.journal.close()

    # -- people -----------------------------------------------------------------------------

    def person(
        self, *phones: tuple[str, str], zone: str = "", name: str = "people", when: str = "08:00"
    ) -> int:
        """A contact with these *phones* (kind, number), enrolled in the campaigns that call its list."""
        number = 1 + int(self.db.execute("SELECT count(*) FROM contacts").fetchone()[0])
        new = NewContact(
            key=f"id:{number}",
            name=f"Person {number}",
            fields="{}",
            line=number,
            phones=list(phones),
            zone=zone,
        )
        imported = contacts.begin_import(self.db, name, "p.csv", at(when))
        contacts.add_contacts(self.db, name, imported, [new], at(when))
        for campaign in contacts.campaigns_of_list(self.db, name):
            leads.enroll(self.db, campaign, at(when))
        return number

    def lead(self, contact: int, campaign: str = "spring") -> LeadId:
        sql = "SELECT id FROM leads WHERE contact = ? AND campaign = ?"
        return LeadId(self.db.execute(sql, (contact, campaign)).fetchone()[0])

    # -- what happens -------------------------------------------------------------------------

    async def save(self, when: str, events: Sequence[Event] = (), commands: Sequence[Command] = ()) -> None:
        await self.journal.save(events or [Ticked(at=at(when))], commands)

    async def run(self, when: str, state: CampaignState, campaign: str = "spring") -> None:
        await self.save(
            when, [], [SaveCampaignState(campaign=CampaignId(campaign), state=state, at=at(when))]
        )

    async def agent(self, when: str, agent: AgentId, state: AgentState, reason: str = "") -> None:
        one = Agent(id=agent, state=state, since=at(when), reason=reason)
        await self.save(when, [], [SaveAgent(agent=one, at=at(when))])

    async def dial(
        self, when: str, contact: int, *, phone: int = 0, campaign: str = "spring", **changes: Any
    ) -> Call:
        """Save an attempt on the contact's number *phone*, as the engine does before it dials."""
        self.serial += 1
        rows = self.db.execute(
            "SELECT id, number FROM phones WHERE contact = ? ORDER BY position", (contact,)
        ).fetchall()
        lead = self.lead(contact, campaign)
        [ordinal] = self.db.execute("SELECT ordinal FROM leads WHERE id = ?", (lead,)).fetchone()
        call = Call(
            attempt=AttemptId(f"a{self.serial:020}"),
            campaign=CampaignId(campaign),
            lead=lead,
            contact=contact,  # type: ignore[arg-type]
            phone=PhoneId(rows[phone][0]),
            number=rows[phone][1],
            ordinal=ordinal + 1,
            trunk=TrunkId("north"),
            created_at=at(when),
            **changes,
        )
        await self.save(when, [], [SaveCall(call=call)])
        return call

    async def over(
        self,
        when: str,
        call: Call,
        result: Result,
        *,
        due: str | None = None,
        finished: str | None = None,
        **changes: Any,
    ) -> Call:
        """The attempt ends; the lead is due again, or finished."""
        call = msgspec.structs.replace(
            call, state=CallState.ENDED, ended_at=at(when), result=result, **changes
        )
        lead = SaveLead(
            lead=call.lead,
            ordinal=call.ordinal,
            due=None if due is None else at(due),
            finished=finished,
            bad_phone=call.phone if result is Result.INVALID else None,
            why=result.value,
            at=at(when),
        )
        await self.save(when, [], [SaveCall(call=call), lead])
        return call

    async def tried(self, when: str, contact: int, result: Result, *, due: str, phone: int = 0) -> Call:
        """An attempt that ends within the same minute."""
        return await self.over(f"{when}:30", await self.dial(when, contact, phone=phone), result, due=due)

    async def promise(self, when: str, contact: int, due: str, owner: AgentId | None = None) -> None:
        callback = SaveCallback(lead=self.lead(contact), due=at(due), owner=owner, at=at(when))
        await self.save(when, [], [callback])

    # -- questions ------------------------------------------------------------------------------

    def why(
        self,
        when: str | float,
        contact: int,
        *,
        now: str | float = "+30 12:00",
        engine: Engine = UP,
        campaign: str = "spring",
    ) -> Answer:
        """The answer for the moment *when*, asked at *now*."""
        with closing(open_reader(self.path)) as reader:
            reader.row_factory = None
            asked_at = at(now) if isinstance(now, str) else now
            asked = Asked(connection=reader, calendar=CALENDAR, now=asked_at, engine=engine)
            moment = at(when) if isinstance(when, str) else when
            return why(asked, contact, CampaignId(campaign), moment)


def layer(answer: Answer, name: str) -> Any:
    """The one line of that layer."""
    [line] = [one for one in answer.lines if one.layer == name]
    return line
