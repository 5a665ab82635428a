"""The dispatcher's rules, one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core import events as ev
from dialer.core.commands import (
    ClearTimer,
    CloseLine,
    DialThird,
    FetchLeads,
    ForgetChoice,
    HangUp,
    JoinAgent,
    MoveContact,
    OpenLine,
    Originate,
    RingAgent,
    SaveCall,
    SendToLastWord,
    SetTimer,
    Tell,
)
from dialer.core.ids import (
    AgentId,
    AttemptId,
    CampaignId,
    ChannelId,
    LeadId,
    PhoneId,
    is_attempt,
    line_bridge,
    third_of,
)
from dialer.core.values import Lead, LeadPhone
from dialer.engine import dispatcher as module
from dialer.engine.dispatcher import Dispatcher
from dialer.pbx.errors import Conflict, PbxGarbled, PbxTimeout, PbxUnreachable, refused
from dialer.store.errors import JournalError, StoreError
from tests.unit.engine.parts import (
    CAMPAIGN,
    TRUNK,
    Box,
    FakeAri,
    FakeJournal,
    FakeTimers,
    attempt,
    call,
    dialing,
    until,
)

AT = 1_700_000_000.0
LINE = ChannelId("1700000000.1")


class Rig:
    def __init__(self, folder: Path) -> None:
        self.ari = FakeAri()
        self.inbox = Box()
        self.journal = FakeJournal()
        self.timers = FakeTimers()
        self.campaigns = {CAMPAIGN.id: CAMPAIGN}
        self.trunks = {TRUNK.id: TRUNK}
        self.now = AT
        self.forgotten: list[str] = []
        self.placed: list[AttemptId] = []
        self.dispatcher = Dispatcher(
            route=lambda *_: [self.ari],
            inbox=self.inbox,
            journal=self.journal,  # type: ignore[arg-type]
            timers=self.timers,  # type: ignore[arg-type]
            recordings=folder,
            clock=lambda: self.now,  # type: ignore[arg-type]
            trunk=self.trunks.get,
            campaign=lambda name: self.campaigns.get(name),
            forget=self.forgotten.append,
            placed=self.placed.append,
        )

    def do(self, *commands: Any) -> None:
        self.dispatcher.dispatch(commands, AT)

    async def idle(self) -> None:
        await until(lambda: not self.dispatcher.busy)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.dispatcher.aclose()


def hang(*paths: str) -> Any:
    """An Asterisk that does not answer requests to *paths* until it is released."""
    free = asyncio.Event()

    def answer(method: str, path: str) -> Any:
        return free.wait() if any(part in path for part in paths) else None

    return free, answer


# -- order --------------------------------------------------------------------------------


async def test_commands_of_one_channel_go_in_their_order_and_do_not_overlap(rig):
    free, rig.ari.answer = hang(f"/bridges/line-{LINE}")
    rig.do(OpenLine(channel=LINE, bridge=line_bridge(LINE)), Tell(channel=LINE, message="signed_in"))
    rig.do(HangUp(channel=LINE), CloseLine(bridge=line_bridge(LINE)))
    await until(lambda: rig.ari.began)
    await asyncio.sleep(0)
    assert rig.ari.began == [f"POST /bridges/line-{LINE}"]
    free.set()
    await rig.idle()
    assert rig.ari.done == [
        f"POST /bridges/line-{LINE}",
        f"POST /bridges/line-{LINE}/addChannel",
        f"POST /channels/{LINE}/play",
        f"DELETE /channels/{LINE}",
        f"DELETE /bridges/line-{LINE}",
    ]


async def test_what_concerns_a_person_goes_in_the_order_of_that_persons_channel(rig):
    """The join is about two channels; it stands in line with what is done to the person's."""
    free, rig.ari.answer = hang("/addChannel")
    one = attempt(1)
    rig.do(JoinAgent(attempt=one, agent=AgentId("ann"), bridge=line_bridge(LINE)))
    rig.do(SendToLastWord(attempt=one), HangUp(channel=ChannelId(one)))
    await until(lambda: len(rig.ari.began) == 2)
    await asyncio.sleep(0)
    assert rig.ari.began == [
        f"POST /channels/{one}/variable",
        f"POST /bridges/{line_bridge(LINE)}/addChannel",
    ]
    free.set()
    await rig.idle()
    assert rig.ari.done[2:] == [
        f"DELETE /playbacks/wait-{one}",
        f"POST /channels/{one}/continue",
        f"DELETE /channels/{one}",
    ]


async def test_channels_do_not_wait_for_each_other(rig):
    free, rig.ari.answer = hang(attempt(1))
    rig.do(HangUp(channel=ChannelId(attempt(1))), HangUp(channel=ChannelId(attempt(2))))
    await until(lambda: rig.ari.done)
    assert rig.ari.done == [f"DELETE /channels/{attempt(2)}"]
    free.set()
    await rig.idle()


async def test_saves_are_nobodys_request(rig):
    rig.do(SaveCall(call=call(1)))
    assert rig.dispatcher.busy == 0


async def test_a_fault_of_ours_does_not_hold_up_the_hang_up(rig, caplog):
    def answer(method: str, path: str) -> None:
        if path.endswith("/play"):
            raise KeyError("ours")

    rig.ari.answer = answer
    with caplog.at_level(logging.ERROR):
        rig.do(Tell(channel=LINE, message="call"), HangUp(channel=LINE))
        await rig.idle()
    assert rig.ari.done == [f"DELETE /channels/{LINE}"]
    assert "fault of ours" in caplog.text


# -- the originate ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (PbxTimeout("slow", was_sent=True), None),
        (PbxUnreachable("broke", was_sent=True), None),
        (PbxGarbled("200 without JSON"), None),
        (refused(409, "exists"), None),
        (PbxTimeout("no connection", was_sent=False), False),
        (PbxUnreachable("nobody there", was_sent=False), False),
        (refused(500, "Allocation failed"), True),
        (refused(400, "bad"), True),
    ],
)
async def test_an_originate_is_sent_once_whatever_happens(rig, error, event):
    """*event*: whether the refusal says that it was sent; None: the channel's own events tell."""

    def answer(method: str, path: str) -> None:
        raise error

    rig.ari.answer = answer
    rig.do(*dialing(1))
    await rig.idle()
    assert rig.ari.began == ["POST /channels"]
    assert rig.ari.repeatable == {"POST /channels": False}
    told = [(one.attempt, one.was_sent) for one in rig.inbox.of(ev.OriginateRefused)]
    assert told == ([] if event is None else [(attempt(1), event)])
    assert len(rig.inbox.all) == len(told)


async def test_what_may_not_be_sent_is_refused_without_a_request(rig):
    (_, originate) = dialing(1)
    assert isinstance(originate, Originate)
    rig.do(msgspec.structs.replace(originate, number="+7(916)1,Playback"))
    rig.do(msgspec.structs.replace(originate, attempt=attempt(2), trunk="nowhere"))
    await rig.idle()
    assert rig.ari.began == []
    assert [(one.attempt, one.was_sent) for one in rig.inbox.of(ev.OriginateRefused)] == [
        (attempt(1), False),
        (attempt(2), False),
    ]


async def test_a_hang_up_waits_for_the_originate_that_is_on_its_way(rig):
    free, rig.ari.answer = hang("/channels")
    rig.do(*dialing(1))
    rig.do(HangUp(channel=ChannelId(attempt(1))))
    await until(lambda: rig.ari.began)
    await asyncio.sleep(0)
    assert rig.ari.began == ["POST /channels"]
    free.set()
    await rig.idle()
    assert rig.ari.done == ["POST /channels", f"DELETE /channels/{attempt(1)}"]


async def test_who_watches_calls_is_told_of_those_that_asterisk_has_begun(rig):
    def fail(method: str, path: str) -> None:
        raise refused(500, "Allocation failed")

    rig.do(dialing(1)[1], HangUp(channel=LINE))
    await rig.idle()
    rig.ari.answer = fail
    rig.do(dialing(2)[1])
    await rig.idle()
    assert rig.placed == [attempt(1)]


async def test_an_originate_that_is_late_is_not_sent(rig):
    """The machine slept: in what hour it wakes up, nobody has asked."""
    rig.now = AT + module.ORIGINATE_LATE_S - 0.1
    rig.do(*dialing(1))
    await rig.idle()
    rig.now = AT + module.ORIGINATE_LATE_S + 0.1
    rig.do(*dialing(2))
    await rig.idle()
    assert rig.ari.began == ["POST /channels"]
    (told,) = rig.inbox.of(ev.OriginateRefused)
    assert (told.attempt, told.was_sent) == (attempt(2), False)
    assert "5.1 s late" in told.reason


async def test_a_join_that_asterisk_has_done_is_told_though_its_event_may_be_late(rig):
    rig.do(JoinAgent(attempt=attempt(1), agent=AgentId("ann"), bridge=line_bridge(LINE)))
    await rig.idle()
    assert rig.inbox.all == [ev.Connected(at=AT, attempt=attempt(1), bridge=line_bridge(LINE))]


# -- refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (JoinAgent(attempt=attempt(1), agent=AgentId("ann"), bridge=line_bridge(LINE)), ev.JoinRefused),
        (OpenLine(channel=LINE, bridge=line_bridge(LINE)), ev.LineRefused),
        (
            RingAgent(
                agent=AgentId("ann"),
                phone="101",
                channel=ChannelId("leg-x"),
                attempt=attempt(1),
                number="+79160000001",
                ring_s=5.0,
            ),
            ev.LegRefused,
        ),
        (Tell(channel=LINE, message="call"), None),
        (SendToLastWord(attempt=attempt(1)), None),
        (HangUp(channel=LINE), None),
    ],
)
@pytest.mark.parametrize("error", [refused(422, "wrong"), PbxTimeout("slow", was_sent=True)])
async def test_what_asterisk_does_not_do_comes_back_as_an_event(rig, command, kind, error):
    def answer(method: str, path: str) -> None:
        raise error

    rig.ari.answer = answer
    rig.do(command)
    await rig.idle()
    assert [type(one) for one in rig.inbox.all] == ([] if kind is None else [kind])


async def test_a_line_that_cannot_be_made_is_not_filled(rig):
    def answer(method: str, path: str) -> None:
        raise refused(500, "no")

    rig.ari.answer = answer
    rig.do(OpenLine(channel=LINE, bridge=line_bridge(LINE)))
    await rig.idle()
    assert rig.ari.began == [f"POST /bridges/line-{LINE}"]


async def test_what_is_so_already_is_no_refusal(rig):
    def answer(method: str, path: str) -> None:
        if path == f"/bridges/line-{LINE}":
            raise refused(409 if method == "POST" else 404, "so already")

    rig.ari.answer = answer
    rig.do(OpenLine(channel=LINE, bridge=line_bridge(LINE)), CloseLine(bridge=line_bridge(LINE)))
    await rig.idle()
    assert f"POST /bridges/line-{LINE}/addChannel" in rig.ari.done
    assert rig.inbox.all == []


async def test_a_person_whose_channel_is_gone_is_told_once_and_later(rig, monkeypatch):
    monkeypatch.setattr(module, "GONE_S", 0.02)

    def answer(method: str, path: str) -> None:
        raise refused(404, "no such channel")

    rig.ari.answer = answer
    rig.do(HangUp(channel=ChannelId(attempt(1))), HangUp(channel=LINE))
    await rig.idle()
    assert rig.inbox.all == []
    await until(lambda: rig.inbox.all)
    (gone,) = rig.inbox.of(ev.ContactHungUp)
    assert (gone.attempt, gone.cause, gone.tech_cause) == (attempt(1), None, None)
    assert len(rig.inbox.all) == 1


# -- leads --------------------------------------------------------------------------------


def lead(number: int) -> Lead:
    phone = LeadPhone(id=PhoneId(number), number=f"+7916{number:07}")
    return Lead(id=LeadId(number), campaign=CAMPAIGN.id, contact=number, phones=(phone,))  # type: ignore[arg-type]


async def test_leads_come_with_the_ids_of_their_next_attempts(rig):
    rig.journal.leads = [lead(1), lead(2)]
    rig.journal.is_partial = True
    rig.do(FetchLeads(campaign=CAMPAIGN.id, limit=7, ask=5, present=(AgentId("ann"),)))
    await until(lambda: rig.inbox.all)
    (answer,) = rig.inbox.of(ev.LeadsFetched)
    assert (answer.campaign, answer.ask, answer.unfinished) == (CAMPAIGN.id, 5, True)
    assert (answer.is_partial, rig.journal.present) == (True, ("ann",))
    assert [one.lead for one in answer.leads] == rig.journal.leads
    ids = [one.attempt for one in answer.leads]
    assert all(is_attempt(one) for one in ids)
    assert len(set(ids)) == 2
    assert rig.journal.asked == [(CAMPAIGN.id, 7)]


async def test_a_store_that_fails_is_asked_again(rig, monkeypatch, caplog):
    monkeypatch.setattr(module, "FETCH_AGAIN_S", 0.01)
    rig.journal.leads = [lead(1)]
    rig.journal.failures = [JournalError("locked"), JournalError("locked")]
    with caplog.at_level(logging.WARNING):
        rig.do(FetchLeads(campaign=CAMPAIGN.id, limit=7))
        await until(lambda: rig.inbox.all)
    assert len(rig.inbox.of(ev.LeadsFetched)) == 1
    assert len(rig.journal.asked) == 3
    assert caplog.text.count("Leads cannot be read") == 2


async def test_a_campaign_that_is_gone_has_no_leads(rig):
    rig.do(FetchLeads(campaign=CampaignId("gone"), limit=7))
    rig.do(FetchLeads(campaign=CAMPAIGN.id, limit=7))
    await until(lambda: rig.inbox.all)
    assert rig.journal.asked == [(CAMPAIGN.id, 7)]


# -- timers -------------------------------------------------------------------------------


async def test_timers_go_in_batches_and_in_their_order(rig):
    def timer(number: int) -> SetTimer:
        return SetTimer(kind="lead", subject=str(number), due=float(number), campaign=CAMPAIGN.id)

    rig.timers.gate.clear()
    rig.do(timer(1))
    await until(lambda: rig.timers.batches)
    rig.do(timer(2), ClearTimer(kind="lead", subject="1"))
    rig.do(timer(1), timer(3))
    await asyncio.sleep(0)
    assert len(rig.timers.batches) == 1
    rig.timers.gate.set()
    await until(lambda: len(rig.timers.batches) == 2)
    assert rig.timers.batches[1] == [timer(2), timer(1), timer(3)], "of each subject the last word"
    rig.do(timer(4))
    await until(lambda: len(rig.timers.batches) == 3)
    assert rig.timers.batches[2] == [timer(4)]


async def test_timers_are_gathered_but_what_is_due_soon_is_told_at_once(rig, monkeypatch):
    monkeypatch.setattr(module, "GATHER_S", 3600.0)
    late = SetTimer(kind="attempt", subject=attempt(1), due=AT + 60)
    rig.do(late)
    for _ in range(20):
        await asyncio.sleep(0)
    assert rig.timers.batches == []
    soon = SetTimer(kind="attempt", subject=attempt(2), due=AT + 0.1)
    rig.do(ClearTimer(kind="attempt", subject=attempt(1)), soon)
    await until(lambda: rig.timers.batches)
    assert rig.timers.batches == [[ClearTimer(kind="attempt", subject=attempt(1)), soon]]


async def test_a_slow_redis_holds_up_no_call(rig):
    rig.timers.gate.clear()
    rig.do(SetTimer(kind="attempt", subject=attempt(1), due=9.0), *dialing(1))
    await until(lambda: rig.ari.done == ["POST /channels"])
    rig.timers.gate.set()


async def test_closing_gives_up_what_is_under_way(rig):
    _, rig.ari.answer = hang("/channels")
    rig.do(*dialing(1))
    await until(lambda: rig.ari.began)
    await rig.dispatcher.aclose()
    assert rig.dispatcher.busy == 0
    assert rig.ari.done == []


async def test_a_choice_that_was_written_down_is_cleared_away(rig):
    rig.do(ForgetChoice(attempt=attempt(1)))
    await until(lambda: rig.forgotten == [attempt(1)])
    assert rig.ari.began == []


# -- several servers ----------------------------------------------------------------------


async def test_an_order_about_a_channel_that_nobody_knows_goes_to_each_server(rig: Rig) -> None:
    """One has it: that the others refuse is no refusal. None has it: it is gone, and told so once."""
    north, south = FakeAri(), FakeAri()
    rig.dispatcher._route = lambda *_: [north, south]

    def missing(method: str, path: str) -> None:
        raise refused(404, "no such channel")

    north.answer = missing
    rig.do(HangUp(channel=ChannelId(attempt(1))))
    await rig.idle()
    assert len(north.began) == len(south.done) == 1
    rig.do(Tell(channel=LINE, message="ready"))
    await rig.idle()
    assert len(south.done) == 2
    assert rig.inbox.all == []


async def test_a_server_that_hangs_stalls_no_other(rig: Rig) -> None:
    north, south = FakeAri(), FakeAri()
    clients = {attempt(1): north, attempt(2): south}
    rig.dispatcher._route = lambda _, channel: [clients[AttemptId(channel)]]  # type: ignore[list-item]
    free, north.answer = hang("/channels")
    for number in (1, 2, 1):
        rig.do(HangUp(channel=ChannelId(attempt(number))))
    await until(lambda: south.done)
    assert north.done == []
    free.set()
    await rig.idle()
    assert len(north.done) == 2


async def test_an_originate_to_no_server_comes_back(rig: Rig) -> None:
    rig.dispatcher._route = lambda *_: []
    rig.do(*dialing(1))
    await rig.idle()
    (told,) = rig.inbox.all
    assert isinstance(told, ev.OriginateRefused)
    assert not told.was_sent


# -- transfers ------------------------------------------------------------------------------

ATTEMPT = attempt(1)
THIRD = third_of(ATTEMPT, 1)


def third() -> DialThird:
    return DialThird(
        channel=THIRD,
        attempt=ATTEMPT,
        campaign=CAMPAIGN.id,
        trunk=TRUNK.id,
        number="+79161234567",
        caller_id="",
        ring_s=30.0,
    )


async def test_a_third_party_is_looked_up_on_the_lists_right_before(rig):
    rig.do(third())
    await rig.idle()
    assert rig.ari.done == ["POST /channels"]
    rig.journal.bars = "do_not_call"
    rig.do(third())
    await rig.idle()
    assert rig.ari.done == ["POST /channels"]
    (refused,) = rig.inbox.of(ev.ThirdRefused)
    assert refused.channel == THIRD
    assert "do_not_call" in refused.reason


async def test_a_number_that_costs_who_calls_it_is_no_third_party_unless_the_trunk_names_it(rig):
    """An operator who may call anybody in the country may not be paid for it by the number."""
    costly = msgspec.structs.replace(third(), number="+78091234567")
    rig.do(costly)
    await rig.idle()
    assert rig.ari.done == []
    assert "cost" in rig.inbox.of(ev.ThirdRefused)[0].reason
    rig.trunks[TRUNK.id] = msgspec.structs.replace(TRUNK, destinations=("+7809",))
    rig.do(costly)
    await rig.idle()
    assert rig.ari.done == ["POST /channels"]


async def test_who_cannot_be_looked_up_is_not_called(rig):
    rig.journal.failures.append(StoreError("locked"))
    rig.do(third())
    await rig.idle()
    assert rig.ari.done == []
    assert len(rig.inbox.of(ev.ThirdRefused)) == 1


async def test_a_bridge_that_is_still_going_is_waited_for(rig):
    """A line's plain bridge is replaced by one that mixes."""
    left = 3

    def answer(method: str, path: str) -> None:
        nonlocal left
        if method == "POST" and path == f"/bridges/line-{LINE}" and left:
            left -= 1
            raise Conflict(409, "it is there")

    rig.ari.answer = answer
    rig.do(OpenLine(channel=LINE, bridge=line_bridge(LINE), is_mixed=True))
    await rig.idle()
    assert rig.ari.done == [
        f"DELETE /bridges/line-{LINE}",
        f"POST /bridges/line-{LINE}",
        f"POST /bridges/line-{LINE}/addChannel",
    ]
    assert rig.inbox.of(ev.LineRefused) == []


async def test_a_person_who_was_moved_is_told_to_be_there(rig):
    rig.do(MoveContact(attempt=ATTEMPT, bridge=line_bridge(THIRD)))
    await rig.idle()
    assert [one.bridge for one in rig.inbox.of(ev.Connected)] == [line_bridge(THIRD)]
