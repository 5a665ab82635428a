"""Between a channel that came in and the floor: who calls, once, with what happened meanwhile in its order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from dialer.core import events as ev
from dialer.core.commands import SendToOverflow
from dialer.core.ids import AttemptId, CampaignId, ChannelId, LeadId, PhoneId, ServerId, TrunkId
from dialer.core.incoming import Inbound
from dialer.core.values import Call, Campaign, Lead
from dialer.engine.arrivals import Arrivals
from dialer.engine.choices import Note
from dialer.engine.identity import Clock
from dialer.pbx.inbox import Inbox
from dialer.pbx.wire import Arrival
from dialer.store.callers import Caller
from dialer.store.errors import JournalError
from tests.unit.engine import parts

ATTEMPT = parts.attempt(1)
SPRING = Campaign(
    id=CampaignId("spring"),
    lists=("people",),
    trunk=TrunkId("north"),
    inbound=Inbound(numbers=("+74950000001",), overflow="voicemail"),
)
CAME = Arrival(
    attempt=ATTEMPT,
    did="+74950000001",
    caller="89160000001",
    trunk=TrunkId("north"),
    campaign=CampaignId("spring"),
)


class Journal:
    """Answers when it may; *fails*: not at all."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.fails = False
        self.known: list[Call] = []
        self.asked: list[tuple[str, str]] = []

    async def find_caller(self, campaign: Campaign, caller: str, at: float, region: str) -> Caller:
        self.asked.append((caller, region))
        await self.may_answer.wait()
        if self.fails:
            raise JournalError("disk full")
        lead = Lead(id=LeadId(7), campaign=campaign.id, contact=7, phones=())  # type: ignore[arg-type]
        return Caller(number="+79160000001", lead=lead, phone=PhoneId(9), last_operator=None, is_open=False)

    async def find_calls(self, attempts: list[AttemptId]) -> list[Call]:
        if self.fails:
            raise JournalError("disk full")
        return [call for call in self.known if call.attempt in attempts]


class World:
    """An :class:`Arrivals`, and what it tells."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.inbox: Inbox[ev.Event] = Inbox()
        self.live: set[AttemptId] = set()
        self.given_back: list[SendToOverflow] = []
        self.campaigns = {SPRING.id: SPRING}
        self.arrivals = Arrivals(
            journal=self.journal,  # type: ignore[arg-type]
            inbox=self.inbox,
            clock=Clock(),
            campaign=self.campaigns.get,
            is_live=self.live.__contains__,
            has_trunk=lambda trunk: trunk == "north",
            has_server=lambda server: server in ("", "paris"),
            give_back=self.given_back.append,
            region="RU",
        )

    async def told(self) -> list[ev.Event]:
        """What the floor was told, when all that was asked is answered."""
        await self.arrivals.listed(())
        events = []
        while self.inbox.depth:
            events += await self.inbox.get_batch(100)
        return events


@pytest.fixture
async def world() -> Any:
    made = World()
    yield made
    await made.arrivals.aclose()


async def test_the_floor_is_told_when_it_is_known_who_calls(world: World) -> None:
    world.arrivals.came(CAME, ServerId("east"))
    (event,) = await world.told()
    assert isinstance(event, ev.CallArrived)
    assert (event.attempt, event.number, event.lead.id, event.phone) == (ATTEMPT, "+79160000001", 7, 9)
    assert (event.trunk, event.did, event.is_open, event.server) == ("north", "+74950000001", False, "east")
    assert world.journal.asked == [("89160000001", "RU")]


async def test_what_happens_meanwhile_is_told_after_it_and_nothing_else_waits(world: World) -> None:
    world.journal.may_answer.clear()
    world.arrivals.came(CAME)
    gone = ev.ContactHungUp(at=2.0, attempt=ATTEMPT, cause=16)
    other = ev.ContactHungUp(at=2.0, attempt=parts.attempt(2), cause=16)
    world.arrivals.put(gone)
    world.arrivals.put(other)
    await asyncio.sleep(0)
    assert await world.inbox.get_batch(10) == [other]
    world.journal.may_answer.set()
    arrived, after = await world.told()
    assert isinstance(arrived, ev.CallArrived)
    assert after is gone
    world.arrivals.put(gone)
    assert await world.told() == [gone]


async def test_a_call_is_told_once(world: World) -> None:
    living = ev.LiveChannel(
        channel=ChannelId(ATTEMPT),
        is_up=True,
        in_app=True,
        arrived=("+74950000001", "89160000001", "north", "spring"),
    )
    world.arrivals.came(CAME)
    world.arrivals.came(CAME)
    await world.arrivals.listed([living])
    world.arrivals.came(CAME)
    assert len(await world.told()) == 1


async def test_who_came_unheard_is_told_by_a_list(world: World) -> None:
    told = ("+74950000001", "", "north", "spring")
    new, known, ended = (
        ev.LiveChannel(channel=ChannelId(parts.attempt(serial)), is_up=True, in_app=True, arrived=told)
        for serial in (1, 2, 3)
    )
    ours = ev.LiveChannel(channel=ChannelId(parts.attempt(4)), is_up=True, in_app=True)
    world.live.add(parts.attempt(2))
    world.journal.known = [parts.ended(3)]
    await world.arrivals.listed([new, known, ended, ours])
    assert [event.attempt for event in await world.told() if isinstance(event, ev.CallArrived)] == [ATTEMPT]


async def test_who_cannot_be_looked_up_goes_to_the_dialplan(world: World) -> None:
    world.journal.fails = True
    world.arrivals.came(CAME)
    assert await world.told() == []
    assert world.given_back == [SendToOverflow(attempt=ATTEMPT, place="voicemail")]


async def test_a_campaign_that_is_gone_takes_no_call(world: World) -> None:
    del world.campaigns[SPRING.id]
    world.arrivals.came(CAME)
    assert await world.told() == []
    assert world.given_back == [SendToOverflow(attempt=ATTEMPT, place="hang_up")]


async def test_a_trunk_that_nobody_knows_is_the_campaigns(world: World) -> None:
    world.arrivals.came(replace(CAME, trunk=TrunkId("")))
    (event,) = await world.told()
    assert isinstance(event, ev.CallArrived)
    assert event.trunk == "north"


async def test_a_note_of_an_unknown_call_becomes_a_missed_one(world: World) -> None:
    note = Note(
        attempt=ATTEMPT,
        choice="later",
        at=50.0,
        due=90.0,
        campaign="spring",
        did="+74950000001",
        caller="89160000001",
        trunk="south",
        server="paris",
    )
    event = await world.arrivals.introduce(note, 100.0)
    assert event is not None
    assert (event.at, event.arrived_at, event.choice, event.due) == (100.0, 50.0, "later", 90.0)
    assert (event.trunk, event.number, event.server) == ("north", "+79160000001", "paris")
    elsewhere = await world.arrivals.introduce(replace(note, server="oslo"), 100.0)
    assert elsewhere is not None
    assert elsewhere.server == "", "a server that is none of ours is not made one by a note"
    del world.campaigns[SPRING.id]
    assert await world.arrivals.introduce(note, 100.0) is None
