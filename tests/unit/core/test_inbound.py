"""People who call us: who takes the call, who waits, what becomes of those whom nobody takes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dialer.core import events as ev
from dialer.core.commands import (
    AnnounceWait,
    ForgetChoice,
    HangUp,
    HoldContact,
    JoinAgent,
    Originate,
    SaveCall,
    SaveCampaignState,
    SaveLead,
    SaveLedger,
    SendToOverflow,
)
from dialer.core.ids import AgentId, AttemptId, CampaignId, LeadId, PhoneId, TrunkId
from dialer.core.incoming import Inbound, arrived_at
from dialer.core.values import AgentState, CallState, Campaign, CampaignState, Owners, Result
from tests.unit.core.world import AT, World, campaign, lead, parked, rung, trunk

NUMBERS = ("+74950000001",)


def inbound(**changes: Any) -> Inbound:
    """A campaign's section, with a number of ours."""
    return Inbound(numbers=NUMBERS, **changes)


def taking(name: str = "spring", *, mode: str = "progressive", **changes: Any) -> Campaign:
    """A campaign that takes calls."""
    return campaign(name, mode=mode, inbound=inbound(**changes))


def world(*agents: str, leads: int = 0, **changes: Any) -> World:
    """Operators on the line, and no contacts to be called."""
    return World(*(parked(name) for name in agents), leads=leads, campaigns=taking(**changes))


# -- who takes the call -----------------------------------------------------------------


def test_a_call_in_is_joined_at_once_if_somebody_is_idle() -> None:
    w = world("ann")
    attempt = w.arrives(7)
    call = w.call(attempt)
    assert (call.direction, call.state, call.agent) == ("in", CallState.CONNECTING, "ann")
    assert (call.ordinal, call.did, call.trunk) == (0, "+74950000001", "t")
    assert "JoinAgent" in w.seen()
    w.joins(attempt)
    assert w.state("ann") is AgentState.ON_CALL
    w.later(30.0).hangs_up(attempt, cause=16)
    assert w.call(attempt).result is Result.TALKED
    assert w.is_quiet()


def test_it_is_counted_on_the_trunk_and_never_refused_by_our_caps() -> None:
    w = World(parked("ann"), parked("bob"), leads=3, campaigns=taking(), trunks=[trunk(channels_max=1)])
    assert len(w.originated()) == 1
    attempt = w.arrives(7)
    assert w.call(attempt).state is CallState.CONNECTING
    assert w.floor.trunks[TrunkId("t")].live == 2
    w.hangs_up(w.originated()[0].attempt, cause=17, sip=486)
    w.tick()
    assert len(w.originated()) == 1  # the caller has the only channel
    w.hangs_up(attempt, cause=16)
    assert len(w.originated()) == 2


def test_it_uses_none_of_the_campaigns_lines_and_no_rate() -> None:
    w = World(
        parked("ann"),
        parked("bob"),
        leads=2,
        campaigns=campaign(lines_max=1, inbound=inbound()),
        trunks=[trunk(calls_per_second_max=1.0)],
        is_started=False,
    )
    w.sign_in("ann")
    w.sign_in("bob")
    w.tell(ev.CampaignOrdered, campaign=CampaignId("spring"), order="start")
    w.tell(ev.CampaignOrdered, campaign=CampaignId("spring"), order="pause")
    w.hangs_up(w.only(), cause=17, sip=486)
    w.later(5.0).arrives(7)
    w.tell(ev.CampaignOrdered, campaign=CampaignId("spring"), order="resume")
    assert len(w.originated()) == 2


def test_the_phone_of_a_rung_operator_rings_and_the_person_hears_music_meanwhile() -> None:
    w = World(rung("ann"), leads=0, campaigns=taking())
    attempt = w.arrives(7)
    assert [type(one).__name__ for one in w.look()] == ["RingAgent", "HoldContact"]
    w.leg_answers("ann")
    (join,) = w.look(JoinAgent)
    assert (join.attempt, join.is_held) == (attempt, True)


def test_a_rung_operator_who_does_not_pick_up_leaves_the_person_in_the_queue() -> None:
    w = World(rung("ann"), leads=0, campaigns=taking(wait_s=100.0))
    attempt = w.arrives(7)
    w.look()
    w.fires("ann", "agent")
    assert w.state("ann") is AgentState.PAUSED
    call = w.call(attempt)
    assert (call.state, call.agent) == (CallState.ANSWERED, None)
    assert call.deadline == AT + 100.0
    assert "HoldContact" in w.seen()


def test_the_last_operator_goes_first_then_the_rule() -> None:
    w = world("ann", "bob", "cid")
    assert w.call(w.arrives(7, last_operator="bob")).agent == "bob"
    assert w.call(w.arrives(8, last_operator="bob")).agent == "ann"  # bob is busy
    w = world("ann", "bob", last_operator=False)
    assert w.call(w.arrives(7, last_operator="bob")).agent == "ann"


def test_the_owner_of_the_card_goes_before_the_last_operator() -> None:
    w = world("ann", "bob", "cid")
    w.store.add(lead(7, owner=AgentId("cid")))
    assert w.call(w.arrives(7, last_operator="bob")).agent == "cid"


def test_only_operators_of_the_campaign_are_given_its_callers() -> None:
    w = World(
        parked("ann", "autumn"), parked("bob", "spring"), leads=0, campaigns=[taking(), campaign("autumn")]
    )
    assert w.call(w.arrives(7, last_operator="ann")).agent == "bob"
    assert w.call(w.arrives(8)).agent is None


# -- the queue --------------------------------------------------------------------------


def test_who_waits_hears_music_their_place_and_then_is_served_in_order() -> None:
    w = world("ann")
    first = w.arrives(7)
    w.joins(first)
    w.look()
    second, third = w.later(1.0).arrives(8), w.later(1.0).arrives(9)
    assert [(one.attempt, one.place) for one in w.look(HoldContact)] == [(second, 1), (third, 2)]
    w.tick(31.0)
    assert [(one.attempt, one.place) for one in w.look(AnnounceWait)] == [(second, 1), (third, 2)]
    w.hangs_up(first, cause=16)
    w.tick(11.0)  # the wrap-up
    assert w.call(second).agent == "ann"
    w.joins(second)
    w.look()
    w.tick(31.0)
    assert [(one.attempt, one.place) for one in w.look(AnnounceWait)] == [(third, 1)]


def test_no_place_is_told_where_the_campaign_wants_none() -> None:
    w = world("ann", is_position_told=False)
    w.arrives(7)
    w.arrives(8)
    assert [one.place for one in w.look(HoldContact)] == [None]


def test_who_waited_long_enough_is_sent_to_the_overflow_and_is_missed() -> None:
    w = world("ann", wait_s=60.0, overflow="callback", missed_again_s=90.0)
    w.joins(w.arrives(7))
    waiting = w.arrives(8)
    w.look()
    w.fires(waiting)
    assert w.at == AT + 60.0
    assert w.look() == [SendToOverflow(attempt=waiting, place="callback")]
    assert (w.call(waiting).state, w.call(waiting).ending) == (CallState.ENDING, "callback")
    w.later(20.0).hangs_up(waiting, cause=16)
    call = w.call(waiting)
    assert (call.result, call.abandoned_at) == (Result.MISSED, None)
    kept = w.store.leads[LeadId(8)]
    assert (kept.due, kept.is_promised, kept.next_phone) == (AT + 170.0, True, PhoneId(80))


@pytest.mark.parametrize(("place", "limit_s"), [("voicemail", 420.0), ("hang_up", 420.0), ("number", None)])
def test_each_place_of_the_overflow_has_its_time(place: str, limit_s: float | None) -> None:
    w = world("ann", wait_s=60.0, overflow=place, overflow_number="+79990000001")
    w.joins(w.arrives(7))
    waiting = w.arrives(8)
    w.fires(waiting)
    at = w.at
    assert w.call(waiting).deadline == (at + limit_s if limit_s is not None else None)
    if limit_s is not None:
        w.look()
        w.fires(waiting)
        assert w.look(HangUp)


def test_a_full_queue_overflows_at_once() -> None:
    w = world("ann", queue_max=1, overflow="voicemail")
    w.joins(w.arrives(7))
    waits, too_many = w.arrives(8), w.arrives(9)
    assert w.call(waits).state is CallState.ANSWERED
    assert w.call(too_many).ending == "voicemail"
    assert w.look(SendToOverflow) == [SendToOverflow(attempt=too_many, place="voicemail")]


def test_without_a_queue_an_idle_operator_takes_the_call_all_the_same() -> None:
    w = world("ann", queue_max=0)
    assert w.call(w.arrives(7)).agent == "ann"
    assert w.call(w.arrives(8)).state is CallState.ENDING


def test_nobody_waits_for_operators_who_are_not_there() -> None:
    w = world(overflow="voicemail")
    attempt = w.arrives(7)
    assert w.look() == [SendToOverflow(attempt=attempt, place="voicemail")]
    assert w.call(attempt).ending == "voicemail"


def test_who_waits_is_not_left_waiting_when_the_last_operator_goes() -> None:
    w = world("ann", "bob", wait_s=300.0)
    w.keys("bob", "*421")
    w.joins(w.arrives(7))
    waiting = w.arrives(8)
    w.line_ends("ann")
    w.tick(100.0)
    assert w.call(waiting).state is CallState.ANSWERED  # bob is in a pause
    w.keys("bob", "*41")
    w.tick()
    w.tick(9.0)
    assert w.call(waiting).state is CallState.ANSWERED
    w.look()
    w.tick()
    assert w.look() == [SendToOverflow(attempt=waiting, place="callback")]
    w.hangs_up(waiting)
    w.tick()
    assert not w.floor._state.alone_since


def test_who_signs_in_again_in_time_finds_the_caller_waiting() -> None:
    w = world("ann", wait_s=300.0)
    w.keys("ann", "*421")
    waiting = w.arrives(8)
    w.line_ends("ann")
    w.tick()
    w.tick(8.0)
    w.sign_in("ann", "second")
    assert w.call(waiting).agent == "ann"
    w.tick(5.0)
    assert not w.floor._state.alone_since


def test_an_operator_in_a_pause_is_waited_for() -> None:
    w = world("ann")
    w.keys("ann", "*421")
    attempt = w.arrives(7)
    assert w.call(attempt).state is CallState.ANSWERED
    w.keys("ann", "*43")
    assert w.call(attempt).agent == "ann"


@pytest.mark.parametrize(
    ("outside", "place"), [("message", "hang_up"), ("voicemail", "voicemail"), ("callback", "callback")]
)
def test_outside_the_hours_they_are_told_so(outside: str, place: str) -> None:
    w = world("ann", outside=outside)
    attempt = w.arrives(7, is_open=False)
    assert w.look() == [SendToOverflow(attempt=attempt, place=place, is_closed=True)]  # type: ignore[arg-type]
    assert w.call(attempt).ending == f"closed_{place}"
    w.hangs_up(attempt, cause=16)
    assert w.call(attempt).result is Result.MISSED


@pytest.mark.parametrize(
    ("state", "is_taken"),
    [
        (CampaignState.NEW, False),
        (CampaignState.RUNNING, True),
        (CampaignState.PAUSED, True),
        (CampaignState.STOPPED, False),
        (CampaignState.FINISHED, True),
    ],
)
def test_which_campaigns_take_calls(state: CampaignState, is_taken: bool) -> None:
    w = world("ann")
    w.floor.desks[CampaignId("spring")].state = state
    attempt = w.arrives(7)
    assert (w.call(attempt).agent == "ann") is is_taken
    assert (w.call(attempt).ending == "closed_callback") is not is_taken


def test_an_engine_that_leaves_takes_no_more_calls() -> None:
    w = world("ann")
    w.tell(ev.Leaving)
    assert w.call(w.arrives(7)).ending == "callback"


def test_a_call_to_a_campaign_that_is_gone_is_not_let_wait() -> None:
    w = world("ann")
    attempt = AttemptId("a" + "1" * 20)
    arrival = ev.CallArrived(
        at=w.at,
        attempt=attempt,
        campaign=CampaignId("gone"),
        trunk=TrunkId("t"),
        did="1",
        number="",
        lead=lead(7, of="gone"),
        phone=PhoneId(70),
    )
    w.look()
    w.tell(arrival)
    assert w.look() == [SendToOverflow(attempt=attempt, place="hang_up", is_closed=True)]


def test_who_is_told_twice_is_one_call() -> None:
    w = world("ann")
    attempt = w.arrives(7)
    w.tell(next(one for one in w.events if isinstance(one, ev.CallArrived)))
    assert list(w.floor.calls) == [attempt]


def test_the_call_began_when_the_dialplan_took_it() -> None:
    w = world("ann")
    w.at = 1_700_000_000.5
    attempt = AttemptId("a1700000000123" + "1234567")
    assert arrived_at(attempt) == 1_700_000_000.123
    w.new_id = lambda: attempt  # type: ignore[method-assign]
    w.arrives(7)
    assert w.call(attempt).created_at == w.call(attempt).answered_at == 1_700_000_000.123


# -- what goes wrong ----------------------------------------------------------------------


def test_who_hangs_up_while_waiting_is_missed_and_is_called_back() -> None:
    w = world("ann", missed_again_s=60.0)
    w.joins(w.arrives(7))
    waiting = w.arrives(8)
    w.later(10.0).hangs_up(waiting)
    assert w.call(waiting).result is Result.MISSED
    assert (w.store.leads[LeadId(8)].due, w.store.leads[LeadId(8)].is_promised) == (AT + 70.0, True)


def test_who_hangs_up_while_a_phone_rings_for_them_frees_the_operator() -> None:
    w = World(rung("ann"), leads=0, campaigns=taking())
    attempt = w.arrives(7)
    assert w.state("ann") is AgentState.RESERVED
    w.hangs_up(attempt)
    assert w.state("ann") is AgentState.READY
    assert w.call(attempt).result is Result.MISSED
    assert w.is_quiet()


def test_a_join_that_fails_puts_them_back_into_the_queue_in_their_place() -> None:
    w = world("ann", "bob")
    first = w.arrives(7)
    bridge = w.agent("ann").bridge
    assert bridge is not None
    w.joins(w.arrives(8))  # bob
    w.look()
    w.tell(ev.JoinRefused, attempt=first, bridge=bridge, reason="")
    assert w.call(first).state is CallState.ANSWERED
    assert [one.attempt for one in w.look(HoldContact)] == [first]
    later = w.arrives(9)
    assert w.call(later).agent == "ann"  # who could not be joined with the first
    assert w.call(first).agent is None


def test_an_operator_whose_line_drops_in_the_join_leaves_the_caller_waiting() -> None:
    w = world("ann", "bob")
    w.joins(w.arrives(6))
    attempt = w.arrives(7)
    assert w.call(attempt).agent == "bob"
    w.line_ends("bob")
    assert w.call(attempt).state is CallState.ANSWERED
    w.tick(200.0)
    assert w.call(attempt).ending == "callback"


def test_a_join_that_nobody_confirms_goes_to_the_overflow() -> None:
    w = world("ann")
    attempt = w.arrives(7)
    w.fires(attempt)
    assert w.call(attempt).ending == "callback"
    assert w.state("ann") is AgentState.READY


def test_a_caller_whom_the_dialplan_took_is_the_dialplans() -> None:
    """The absolute timeout found them in Stasis while the socket was cut."""
    w = world("ann", overflow="voicemail")
    w.joins(w.arrives(7))
    waiting = w.arrives(8)
    w.tell(ev.PbxDisconnected)
    living = (
        ev.LiveChannel(channel=w.agent("ann").channel, is_up=True, in_app=True, bridge=w.agent("ann").bridge),  # type: ignore[arg-type]
        ev.LiveChannel(channel=w.live()[0], is_up=True, in_app=True, bridge=w.agent("ann").bridge),  # type: ignore[arg-type]
        ev.LiveChannel(channel=waiting, is_up=True),  # type: ignore[arg-type]
    )
    w.look()
    w.tell(ev.PbxConnected, channels=living)
    assert (w.call(waiting).state, w.call(waiting).ending) == (CallState.ENDING, "voicemail")
    assert not w.look(HangUp)


def test_who_talks_with_the_other_number_is_left_alone() -> None:
    """By an engine that knows of the call, and by one that began while they talked."""
    w = world("ann", overflow="number", overflow_number="+79990000001", wait_s=5.0)
    w.joins(w.arrives(7))
    known = w.arrives(8)
    w.fires(known)
    unknown = w.new_id()
    living = (
        ev.LiveChannel(channel=w.agent("ann").channel, is_up=True, in_app=True, bridge=w.agent("ann").bridge),  # type: ignore[arg-type]
        ev.LiveChannel(channel=w.live()[0], is_up=True, in_app=True, bridge=w.agent("ann").bridge),  # type: ignore[arg-type]
        ev.LiveChannel(channel=known, is_up=True, bridge="of-dial"),  # type: ignore[arg-type]
        ev.LiveChannel(channel=unknown, is_up=True, bridge="of-dial"),  # type: ignore[arg-type]
    )
    w.look()
    w.tell(ev.PbxConnected, channels=living)
    w.later(20.0).tell(ev.PbxListed, asked_at=w.at, channels=living)
    w.later(20.0).tell(ev.PbxListed, asked_at=w.at, channels=living)
    assert w.look() == []
    assert (w.call(known).state, w.call(known).ending) == (CallState.ENDING, "number")
    w.tell(ev.ContactChose, attempt=known, choice="forwarded")
    w.later(3600.0).hangs_up(known, cause=16)
    assert w.store.finished[LeadId(8)] == "called_us"


def test_a_caller_who_lost_the_music_is_put_back_and_one_who_is_gone_is_missed() -> None:
    w = world("ann")
    talking = w.arrives(7)
    w.joins(talking)
    lost, gone = w.arrives(8), w.arrives(9)
    living = (
        ev.LiveChannel(channel=w.agent("ann").channel, is_up=True, in_app=True, bridge=w.agent("ann").bridge),  # type: ignore[arg-type]
        ev.LiveChannel(channel=talking, is_up=True, in_app=True, bridge=w.agent("ann").bridge),  # type: ignore[arg-type]
        ev.LiveChannel(channel=lost, is_up=True, in_app=True),  # type: ignore[arg-type]
    )
    w.look()
    w.tell(ev.PbxConnected, channels=living)
    assert [one.attempt for one in w.look(HoldContact)] == [lost]
    assert w.call(gone).result is Result.MISSED


# -- what becomes of the lead -----------------------------------------------------------------


def test_a_new_caller_who_talked_is_finished_and_belongs_to_the_operator() -> None:
    w = world("ann")
    attempt = w.arrives(7)
    w.joins(attempt)
    w.hangs_up(attempt, cause=16)
    assert w.store.finished[LeadId(7)] == "called_us"
    assert w.store.leads[LeadId(7)].owner == "ann"
    w.keys("ann", "*441")
    assert w.store.finished[LeadId(7)] == "order"


def test_a_lead_that_was_to_be_dialed_is_settled_by_the_talk() -> None:
    w = World(parked("ann"), leads=[lead(1, due=AT + 100.0)], campaigns=taking())
    attempt = w.arrives(1)
    w.joins(attempt)
    w.hangs_up(attempt, cause=16)
    assert w.store.finished[LeadId(1)] == "talked"
    assert w.store.leads[LeadId(1)].ordinal == 0


def test_the_operators_result_may_ask_for_another_call() -> None:
    w = world("ann")
    attempt = w.arrives(7)
    w.joins(attempt)
    w.keys("ann", "*447")  # no answer: again after 600 s
    w.later(10.0).hangs_up(attempt, cause=16)
    assert LeadId(7) not in w.store.finished
    assert w.store.leads[LeadId(7)].due == AT + 610.0


def test_a_callback_that_the_operator_promised_is_kept() -> None:
    w = world("ann")
    attempt = w.arrives(7)
    w.joins(attempt)
    w.keys("ann", "*460100")
    w.hangs_up(attempt, cause=16)
    assert (w.store.leads[LeadId(7)].due, w.store.leads[LeadId(7)].is_promised) == (AT + 3600.0, True)


@pytest.mark.parametrize("choice", ["voicemail", "forwarded"])
def test_who_was_looked_after_is_not_called_back(choice: str) -> None:
    w = world(overflow="voicemail")
    w.store.add(lead(7, due=AT + 500.0))
    for number in (7, 8):
        attempt = w.arrives(number)
        w.tell(ev.ContactChose, attempt=attempt, choice=choice)
        w.hangs_up(attempt, cause=16)
        assert w.call(attempt).choice == choice
    assert w.store.leads[LeadId(7)].due == AT + 500.0
    assert w.store.finished == {LeadId(8): "called_us"}
    assert not [one for one in w.commands if isinstance(one, SaveLead)]


def test_who_chose_another_time_is_called_then() -> None:
    w = world(overflow="callback")
    attempt = w.arrives(7)
    w.tell(ev.ContactChose, attempt=attempt, choice="later", due=AT + 7200.0)
    w.hangs_up(attempt, cause=16)
    assert (w.store.leads[LeadId(7)].due, w.store.leads[LeadId(7)].is_promised) == (AT + 7200.0, True)


def test_missed_calls_may_be_left_alone() -> None:
    w = world(missed_again_s=None)
    w.store.add(lead(7, due=AT + 500.0))
    w.hangs_up(w.arrives(7), cause=16)
    assert w.store.leads[LeadId(7)].due == AT + 500.0
    assert not w.store.finished


def test_who_withholds_their_number_cannot_be_called_back() -> None:
    w = world("ann")
    w.joins(w.arrives(7, is_withheld=True))
    second = w.arrives(7, is_withheld=True)
    assert w.call(second).state is CallState.ANSWERED  # two at once, of one card
    w.hangs_up(second)
    w.hangs_up(w.only(), cause=16)
    assert w.store.finished == {LeadId(7): "called_us"}
    assert w.is_quiet()


def test_a_missed_call_starts_a_campaign_that_had_finished_again() -> None:
    w = world("ann")
    w.tick()
    assert w.floor.desks[CampaignId("spring")].state is CampaignState.FINISHED
    w.joins(w.arrives(7))
    w.hangs_up(w.arrives(8))
    assert w.floor.desks[CampaignId("spring")].state is CampaignState.RUNNING
    assert [one.state for one in w.commands if isinstance(one, SaveCampaignState)] == ["finished", "running"]


def test_who_wants_no_calls_from_us_may_call_us() -> None:
    w = World(parked("ann"), leads=1, campaigns=taking())
    w.hangs_up(w.only(), cause=17, sip=486)
    w.store.do_not_call.add(lead(1).phones[0].number)
    attempt = w.arrives(1)
    assert w.call(attempt).agent == "ann"


def test_it_is_no_attempt_of_the_contact() -> None:
    w = World(parked("ann"), leads=1, campaigns=campaign(attempts=1, inbound=inbound()))
    w.hangs_up(w.only(), cause=16, sip=480)
    w.store.finished.clear()
    for _ in range(3):
        attempt = w.arrives(1)
        w.hangs_up(attempt)
    assert w.store.leads[LeadId(1)].ordinal == 1
    assert w.store.lead(LeadId(1)).phones[0].tried == ("no_answer",)


# -- both at once ---------------------------------------------------------------------------


def test_who_calls_while_we_ring_them_is_rung_no_longer() -> None:
    w = World(parked("ann"), parked("bob"), leads=1, campaigns=taking())
    ours = w.only()
    w.rings(ours)
    w.look()
    theirs = w.arrives(1)
    assert w.call(ours).ending == "they_called"
    assert HangUp(channel=ours) in w.look()  # type: ignore[arg-type]
    w.joins(theirs)
    w.hangs_up(ours, cause=0, sip=487)
    assert w.call(ours).result is Result.NO_ANSWER
    w.keys(w.call(theirs).agent or "", "*441")
    w.hangs_up(theirs, cause=16)
    assert w.store.finished[LeadId(1)] == "order"
    assert w.store.leads[LeadId(1)].ordinal == 1
    assert w.is_quiet()


def test_what_was_said_in_their_call_stands_against_ours_that_comes_to_nothing() -> None:
    w = World(parked("ann"), parked("bob"), leads=1, campaigns=taking())
    ours = w.only()
    theirs = w.arrives(1)
    w.joins(theirs)
    agent = w.call(theirs).agent or ""
    w.hangs_up(theirs, cause=16)
    assert w.store.finished[LeadId(1)] == "talked"
    w.hangs_up(ours, cause=17, sip=486)
    assert w.store.finished[LeadId(1)] == "talked"
    assert w.store.leads[LeadId(1)].ordinal == 1
    w.keys(agent, "*442")  # their result comes late
    assert w.store.finished[LeadId(1)] == "presentation"
    assert w.is_quiet()


def test_a_number_that_calls_us_is_not_dialed() -> None:
    w = World(parked("ann"), parked("bob"), leads=[lead(9, due=AT + 1e6)], campaigns=taking())
    w.joins(w.arrives(1))
    other = lead(2, lead(1).phones[0].number)
    w.store.add(other)
    w.tell(ev.LeadsAdded, campaign=CampaignId("spring"))
    w.tick()
    assert not w.originated()
    w.hangs_up(w.only(), cause=16)
    w.tick(20.0)
    assert [one.number for one in w.originated()] == [other.phones[0].number]


def test_a_caller_at_hand_is_not_dialed_after_they_talked() -> None:
    w = World(parked("ann"), leads=[lead(9, due=AT + 1e6)], campaigns=taking())
    w.tell(ev.CampaignOrdered, campaign=CampaignId("spring"), order="pause")
    w.store.add(lead(1))
    w.floor.desks[CampaignId("spring")].state = CampaignState.RUNNING
    w.keys("ann", "*421")
    w.tell(ev.LeadsAdded, campaign=CampaignId("spring"))
    w.tick()
    assert len(w.floor.desks[CampaignId("spring")].hopper) == 1
    theirs = w.arrives(1)
    w.keys("ann", "*43")
    w.joins(theirs)
    w.hangs_up(theirs, cause=16)
    w.tick(20.0)
    assert not w.originated()


# -- blending ---------------------------------------------------------------------------------


def test_who_called_us_goes_before_who_answered_a_call_of_ours() -> None:
    w = World(parked("ann"), leads=1, campaigns=campaign(no_agent="hold", wait_s=1.0, inbound=inbound()))
    ours = w.only()
    w.keys("ann", "*421")
    w.answers(ours)
    w.tick(2.0)
    assert w.call(ours).held_at is not None
    theirs = w.arrives(7)
    w.keys("ann", "*43")
    assert w.call(theirs).agent == "ann"
    assert w.call(ours).state is CallState.ANSWERED


def test_a_progressive_call_gives_way_to_a_caller() -> None:
    w = World(parked("ann"), leads=1, campaigns=taking())
    ours = w.only()
    w.rings(ours)
    theirs = w.arrives(7)
    assert w.call(theirs).agent == "ann"
    assert (w.call(ours).state, w.call(ours).ending) == (CallState.ENDING, "inbound")


def test_the_youngest_call_gives_way_and_none_if_somebody_is_left() -> None:
    w = World(parked("ann"), parked("bob"), leads=1, campaigns=taking())
    ours = w.only()
    w.arrives(7)
    assert w.call(ours).state is CallState.DIALING  # bob is left for it
    w = World(parked("ann"), parked("bob"), leads=[lead(9, due=AT + 1e6)], campaigns=taking())
    w.store.add(lead(1))
    w.tell(ev.LeadsAdded, campaign=CampaignId("spring"))
    w.store.add(lead(2))
    w.later(5.0).tell(ev.LeadsAdded, campaign=CampaignId("spring"))
    old, young = w.live()
    w.arrives(7)
    assert (w.call(old).state, w.call(young).ending) == (CallState.DIALING, "inbound")


def test_only_a_call_that_counted_on_such_an_operator_gives_way() -> None:
    w = World(
        parked("ann", "autumn"),
        parked("bob", "spring"),
        leads=[lead(1, of="autumn")],
        campaigns=[taking(), campaign("autumn")],
    )
    ours = w.only()
    assert w.call(w.arrives(7)).agent == "bob"
    assert w.call(ours).state is CallState.DIALING


def test_a_share_of_the_operators_is_kept_free_of_our_calls() -> None:
    w = World(*(parked(name) for name in "abcde"), leads=9, campaigns=taking(reserve_share=0.4))
    assert len(w.originated()) == 3
    for attempt in list(w.live()):
        w.rings(attempt)
        w.answers(attempt)
        w.joins(attempt)
    w.tick()
    assert len(w.originated()) == 3
    first = w.arrives(17)
    w.joins(first)
    assert w.call(first).agent is not None
    w.tick()
    assert len(w.originated()) == 3  # who talks with a caller is one of the reserve
    w.joins(w.arrives(18))
    w.hangs_up(w.live()[0], cause=16)
    w.tick(20.0)
    assert len(w.originated()) == 4


def test_the_reserve_follows_who_is_at_work() -> None:
    w = World(*(parked(name) for name in "ab"), leads=9, campaigns=taking(reserve_share=0.5))
    assert len(w.originated()) == 1
    w.keys("a" if w.floor._state.reserved == {"a"} else "b", "*421")
    w.tick()
    assert len(w.floor._state.reserved) == 1  # 0.5 of one is, rounded, one
    w = World(parked("a"), leads=9, campaigns=taking(reserve_share=0.4))
    assert len(w.originated()) == 1


def test_the_reserve_is_kept_where_phones_are_rung_at_the_dialing() -> None:
    w = World(
        *(rung(name) for name in "ab"),
        leads=9,
        campaigns=campaign(ring_agent="at_dial", inbound=inbound(reserve_share=0.5)),
    )
    assert len(w.originated()) == 1
    w.tick()
    assert len(w.originated()) == 1


def test_who_is_of_the_reserve_calls_not_even_their_own_contacts() -> None:
    own = [lead(1, owner=AgentId("ann")), lead(2, owner=AgentId("bob"))]
    for share, count in ((1.0, 0), (0.5, 1), (0.0, 2)):
        w = World(
            parked("ann"),
            parked("bob"),
            leads=own,
            campaigns=campaign(owners=Owners(away="wait"), inbound=inbound(reserve_share=share)),
            is_started=False,
        )
        w.sign_in("ann")
        w.sign_in("bob")
        w.tell(ev.CampaignOrdered, campaign=CampaignId("spring"), order="start")
        assert len(w.originated()) == count


def test_rather_those_are_kept_who_have_nobody_of_their_own_to_call() -> None:
    own = lead(1, owner=AgentId("bob"))
    w = World(
        parked("ann"),
        parked("bob"),
        leads=[own],
        campaigns=campaign(owners=Owners(away="wait"), inbound=inbound(reserve_share=0.5)),
    )
    assert w.call(w.only()).agent == "bob"


def test_calls_to_us_are_nothing_to_the_abandonment_ledger() -> None:
    w = world("ann", mode="predictive")
    w.joins(w.arrives(7))
    waiting = w.arrives(8)
    w.tick(30.0)
    w.hangs_up(waiting)
    w.tick(200.0)
    assert not [one for one in w.commands if isinstance(one, SaveLedger)]
    assert w.call(waiting).abandoned_at is None


# -- calls that came while nobody was there ----------------------------------------------------


def missed(w: World, number: int = 7, **changes: Any) -> ev.CallMissed:
    """What the note of such a call tells."""
    found = lead(number)
    w.store.add(found)
    w.store.finished[found.id] = "called_us"
    fields: dict[str, Any] = {
        "at": w.at,
        "attempt": w.new_id(),
        "campaign": CampaignId("spring"),
        "trunk": TrunkId("t"),
        "did": NUMBERS[0],
        "number": found.phones[0].number,
        "lead": msgspec.structs.replace(found, finished="called_us"),
        "phone": found.phones[0].id,
        "arrived_at": w.at - 100.0,
        **changes,
    }
    return ev.CallMissed(**fields)


def test_a_call_of_which_nobody_knew_is_written_down_and_called_back() -> None:
    w = world("ann")
    event = missed(w)
    commands = w.tell(event)
    (saved,) = [one.call for one in commands if isinstance(one, SaveCall)][:1]
    assert (saved.result, saved.direction, saved.created_at) == (Result.MISSED, "in", AT - 100.0)
    assert (w.store.leads[LeadId(7)].due, w.store.leads[LeadId(7)].is_promised) == (AT + 60.0, True)
    assert ForgetChoice(attempt=event.attempt) in commands
    again = w.tell(event)
    assert not [one for one in again if isinstance(one, SaveCall | SaveLead)]
    assert ForgetChoice(attempt=event.attempt) in again


def test_what_they_chose_then_holds() -> None:
    w = world("ann")
    w.tell(missed(w, choice="later", due=AT + 5000.0))
    assert w.store.leads[LeadId(7)].due == AT + 5000.0
    w.tell(missed(w, 8, choice="voicemail"))
    assert w.store.finished[LeadId(8)] == "called_us"


def test_a_note_of_a_call_that_is_live_is_no_second_call() -> None:
    w = world("ann")
    attempt = w.arrives(7)
    w.tell(missed(w, 8, attempt=attempt, choice="voicemail"))
    assert w.call(attempt).choice == "voicemail"
    assert list(w.floor.calls) == [attempt]
    assert not [one for one in w.commands if isinstance(one, Originate)]
