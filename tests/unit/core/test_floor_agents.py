"""Operators on the floor: lines, rung phones, feature codes, results."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dialer.core import events as ev
from dialer.core.commands import (
    CloseLine,
    Dismiss,
    HangUp,
    OpenLine,
    RingAgent,
    SaveLead,
    SavePhone,
    SendToLastWord,
    Tell,
)
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, BridgeId, ChannelId, leg_of, line_bridge
from dialer.core.values import AgentState, CallState, CampaignState, OperatorResult, Result
from tests.unit.core.world import CAMPAIGN, World, campaign, lead, parked, rung

LINE = ChannelId("line-of-g7")
BRIDGE = line_bridge(LINE)


# -- the parked line ----------------------------------------------------------------------


def test_a_parked_operator_arrives_and_is_told_so() -> None:
    w = World(parked("g7"), leads=0, is_started=False)
    w.dial("g7", "40", LINE)
    assert w.look() == [OpenLine(channel=LINE, bridge=BRIDGE)]
    assert w.state("g7") is AgentState.ARRIVING
    w.tell(ev.LineJoined, channel=LINE, bridge=BRIDGE)
    assert w.look() == [Tell(channel=LINE, message="signed_in")]
    assert w.state("g7") is AgentState.READY


def test_a_line_that_enters_another_bridge_is_not_ready() -> None:
    w = World(parked("g7"), leads=0, is_started=False)
    w.dial("g7", "40", LINE)
    w.tell(ev.LineJoined, channel=LINE, bridge=BridgeId("elsewhere"))
    assert w.state("g7") is AgentState.ARRIVING


@pytest.mark.parametrize("end", ["refused", "timer", "ended"])
def test_a_line_that_does_not_come_up_is_given_up(end: str) -> None:
    w = World(parked("g7"), is_started=False)
    w.dial("g7", "40", LINE)
    w.look()
    match end:
        case "refused":
            w.tell(ev.LineRefused, channel=LINE, reason="409")
        case "timer":
            w.fires("g7", "agent")
        case "ended":
            w.line_ends("g7")
    assert w.state("g7") is AgentState.SIGNED_OUT
    assert w.look() == [HangUp(channel=LINE), CloseLine(bridge=BRIDGE)]
    assert w.timer("g7", "agent") is None


def test_a_sign_in_told_twice_leaves_the_line_alone() -> None:
    w = World(parked("g7"), leads=0)
    w.look()
    w.dial("g7", "40", LINE)
    assert (w.look(), w.state("g7")) == ([], AgentState.READY)


def test_a_sign_in_from_another_phone_replaces_the_line() -> None:
    w = World(parked("g7"), leads=0)
    w.look()
    w.sign_in("g7", "another")
    assert HangUp(channel=LINE) in w.look()
    assert (w.agent("g7").channel, w.state("g7")) == ("another", AgentState.READY)
    w.tell(ev.LineEnded, channel=LINE)
    assert w.state("g7") is AgentState.READY, "the old line's end is no news"


def test_a_sign_in_from_another_phone_during_a_call_ends_the_call() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.look()
    w.sign_in("g7", "another")
    assert HangUp(channel=ChannelId(a1)) in w.look()
    w.hangs_up(a1, 16)
    assert (w.call(a1).result, w.call(a1).ending) == (Result.TALKED, "agent_gone")
    assert w.state("g7") is AgentState.READY
    assert w.is_quiet()


# -- the line drops -----------------------------------------------------------------------


def test_a_line_that_drops_when_ready_signs_out() -> None:
    w = World(parked("g7"))
    w.look()
    w.line_ends("g7")
    assert w.state("g7") is AgentState.SIGNED_OUT
    assert w.look() == [HangUp(channel=LINE), CloseLine(bridge=BRIDGE)]


@pytest.mark.parametrize("keys", ["*421", "wrap-up"])
def test_a_line_that_drops_when_paused_or_in_wrap_up_signs_out(keys: str) -> None:
    w = World(parked("g7"))
    if keys == "wrap-up":
        w.hangs_up(w.talks())
        assert w.state("g7") is AgentState.WRAP_UP
    else:
        w.keys("g7", keys)
        assert w.state("g7") is AgentState.PAUSED
    w.line_ends("g7")
    assert (w.state("g7"), w.agent("g7").channel) == (AgentState.SIGNED_OUT, None)
    assert w.timer("g7", "agent") is None


def test_a_line_that_drops_before_the_join_gives_the_person_to_another() -> None:
    w = World(parked("g1"), parked("g2"), leads=1)
    a1 = w.only()
    w.answers(a1)
    w.line_ends("g1")
    assert (w.call(a1).state, w.call(a1).agent) == (CallState.CONNECTING, "g2")
    assert w.state("g1") is AgentState.SIGNED_OUT


def test_a_line_that_drops_before_the_join_leaves_the_person_waiting_within_the_limit() -> None:
    w = World(parked("g7"), wait_s=2.0)
    a1 = w.only()
    w.answers(a1)
    w.later(0.5).line_ends("g7")
    assert (w.call(a1).state, w.call(a1).agent) == (CallState.ANSWERED, None)
    w.look()
    w.fires(a1)
    assert w.look() == [SendToLastWord(attempt=a1)]


def test_a_line_that_drops_during_the_call_ends_it() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.look()
    w.line_ends("g7")
    assert HangUp(channel=ChannelId(a1)) in w.look()
    assert (w.state("g7"), w.call(a1).ending) == (AgentState.SIGNED_OUT, "agent_gone")
    w.hangs_up(a1, 16)
    assert (w.call(a1).result, w.call(a1).agent) == (Result.TALKED, "g7")
    assert w.is_quiet()


# -- rung phones --------------------------------------------------------------------------


def ringing(when: str, **changes: Any) -> World:
    """A rung operator, and a call that was placed, has rung, or was answered, as *when* says."""
    w = World(rung("g7"), ring_agent=when, agent_ring_s=15.0, **changes)
    a1 = w.only()
    if when != "at_dial":
        assert w.rung_legs() == []
        w.rings(a1)
    if when == "at_answer":
        assert w.rung_legs() == []
        w.answers(a1)
    return w


@pytest.mark.parametrize("when", ["at_dial", "at_ring", "at_answer"])
def test_the_phone_is_rung_when_the_campaign_says(when: str) -> None:
    w = ringing(when)
    a1 = w.only()
    leg = leg_of(a1, AgentId("g7"))
    assert w.rung_legs() == [
        RingAgent(
            agent=AgentId("g7"), phone="1g7", channel=leg, attempt=a1, number="+70000000001", ring_s=15.0
        )
    ]
    assert (w.state("g7"), w.call(a1).agent) == (AgentState.RESERVED, "g7")
    w.tell(ev.LegAnswered, channel=leg)
    assert w.look()[-1] == OpenLine(channel=leg, bridge=line_bridge(leg))
    w.tell(ev.LineJoined, channel=leg, bridge=line_bridge(leg))
    if when != "at_answer":
        assert w.call(a1).state in (CallState.DIALING, CallState.RINGING)
        w.later(16).tell(ev.DeadlinePassed, kind="agent", subject="g7")
        assert w.state("g7") is AgentState.RESERVED, "they are on the line and wait"
        w.answers(a1)
    assert w.call(a1).state is CallState.CONNECTING
    w.joins(a1)
    w.look()
    w.hangs_up(a1)
    assert w.look() == [HangUp(channel=leg), CloseLine(bridge=line_bridge(leg))]
    assert (w.state("g7"), w.agent("g7").channel) == (AgentState.WRAP_UP, None)
    w.fires("g7", "agent")
    assert w.state("g7") is AgentState.READY
    assert w.is_quiet()


@pytest.mark.parametrize("when", ["at_dial", "at_ring"])
def test_when_the_person_does_not_answer_the_operators_phone_stops_ringing(when: str) -> None:
    w = ringing(when)
    a1 = w.only()
    leg = w.agent("g7").channel
    assert leg is not None
    w.look()
    w.hangs_up(a1, 17, 486)
    assert w.look() == [HangUp(channel=leg), CloseLine(bridge=line_bridge(leg))]
    assert w.state("g7") is AgentState.READY
    w.tell(ev.LineEnded, channel=leg)
    assert w.state("g7") is AgentState.READY


@pytest.mark.parametrize("when", ["at_dial", "at_ring"])
def test_when_we_give_the_call_up_the_operators_phone_stops_ringing_at_once(when: str) -> None:
    w = ringing(when, ring_s=10.0)
    a1 = w.only()
    leg = w.agent("g7").channel
    w.look()
    w.fires(a1)
    assert HangUp(channel=leg) in w.look()  # type: ignore[arg-type]
    assert w.state("g7") is AgentState.READY
    w.hangs_up(a1, 16)
    assert w.is_quiet()


@pytest.mark.parametrize("when", ["at_dial", "at_ring"])
def test_an_empty_chair_loses_one_person_and_not_one_after_another(when: str) -> None:
    """The person waits while the promised operator's phone rings; who does not pick up is paused."""
    w = ringing(when, wait_s=2.0)
    a1 = w.only()
    leg = w.agent("g7").channel
    w.answers(a1)
    w.look()
    w.tick(3.0)
    assert w.look(SendToLastWord) == [], "the phone still rings for them"
    w.tick(15.0)
    assert SendToLastWord(attempt=a1) in (commands := w.look())
    assert HangUp(channel=leg) in commands  # type: ignore[arg-type]
    assert (w.state("g7"), w.agent("g7").reason) == (AgentState.PAUSED, "no_answer")


@pytest.mark.parametrize("how", ["refused", "ended", "timer", "the call's timer", "sweep"])
def test_an_operator_who_does_not_pick_up_is_passed_over_and_paused(how: str) -> None:
    w = World(rung("g1"), rung("g2"), leads=1, ring_agent="at_answer", wait_s=20.0)
    a1 = w.only()
    w.rings(a1)
    w.answers(a1)
    channel = w.agent("g1").channel
    match how:
        case "refused":
            w.tell(ev.LegRefused, channel=channel, reason="500")
        case "ended":
            w.line_ends("g1")
        case "timer":
            w.fires("g1", "agent")
        case "the call's timer":
            w.fires(a1)
        case "sweep":
            w.tick(15.0)
    assert (w.state("g1"), w.agent("g1").reason) == (AgentState.PAUSED, "no_answer")
    assert (w.call(a1).state, w.call(a1).agent) == (CallState.ANSWERED, "g2")
    w.leg_answers("g2")
    assert w.call(a1).state is CallState.CONNECTING


def test_a_person_who_waited_for_a_phone_longer_than_the_limit_gets_the_last_word() -> None:
    w = World(rung("g1"), rung("g2"), leads=1, ring_agent="at_answer", wait_s=2.0)
    a1 = w.only()
    w.answers(a1)
    w.look()
    w.fires("g1", "agent")
    assert SendToLastWord(attempt=a1) in w.look()
    assert w.state("g2") is AgentState.READY


def test_a_rung_operator_ends_the_call_by_hanging_up() -> None:
    w = ringing("at_answer")
    a1 = w.only()
    w.leg_answers("g7")
    w.joins(a1)
    w.look()
    w.line_ends("g7")
    assert HangUp(channel=ChannelId(a1)) in w.look()
    assert w.state("g7") is AgentState.ON_CALL
    w.hangs_up(a1, 16)
    assert (w.state("g7"), w.call(a1).result) == (AgentState.WRAP_UP, Result.TALKED)


def test_a_leg_that_nobody_expects_any_more_is_hung_up() -> None:
    w = World(rung("g7"))
    w.look()
    w.tell(ev.LegAnswered, channel=ChannelId("leg-x"))
    assert w.look() == [HangUp(channel=ChannelId("leg-x"))]


def test_where_a_carrier_or_a_phone_sends_us_nobody_is_called() -> None:
    w = World(rung("g7"))
    w.look()
    w.tell(ev.CallRedirected, channel=ChannelId("1795346976.1"))
    assert w.look() == [HangUp(channel=ChannelId("1795346976.1"))]


def test_a_phone_that_lost_its_registration_is_not_counted_on() -> None:
    w = World(rung("g7"), is_started=False)
    w.tell(ev.PhoneChanged, phone="1g7", is_registered=False)
    w.tell(ev.CampaignOrdered, campaign=CAMPAIGN, order="start")
    w.sign_in("g7")
    assert w.originated() == []
    w.tell(ev.PhoneChanged, phone="1g7", is_registered=True)
    assert len(w.originated()) == 1


def test_a_parked_line_is_the_truth_whatever_the_registration() -> None:
    w = World(parked("g7"), is_started=False)
    w.tell(ev.PhoneChanged, phone="1g7", is_registered=False)
    w.tell(ev.CampaignOrdered, campaign=CAMPAIGN, order="start")
    w.sign_in("g7")
    assert len(w.originated()) == 1


# -- codes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message", "state"),
    [
        ("41", "signed_out", AgentState.SIGNED_OUT),
        ("421", "paused", AgentState.PAUSED),
        ("429", "refused", AgentState.READY),
        ("43", "ready", AgentState.READY),
        ("441", "refused", AgentState.READY),
        ("45", "refused", AgentState.READY),
        ("99", "refused", AgentState.READY),
    ],
)
def test_a_code_is_confirmed_whether_dialed_or_keyed(code: str, message: str, state: AgentState) -> None:
    w = World(parked("g7"), leads=0)
    w.look()
    w.dial("g7", code, "other")
    assert w.look()[-1] == Dismiss(channel=ChannelId("other"), message=message)  # type: ignore[arg-type]
    assert w.state("g7") is state
    w = World(parked("g7"), leads=0)
    w.look()
    w.keys("g7", f"*{code}")
    if state is AgentState.SIGNED_OUT:
        assert w.look() == [HangUp(channel=LINE), CloseLine(bridge=BRIDGE)]
    else:
        assert w.look() == [Tell(channel=LINE, message=message)]  # type: ignore[arg-type]
    assert w.state("g7") is state


@pytest.mark.parametrize("code", ["41", "421", "43", "441", "45"])
def test_who_is_not_signed_in_is_refused(code: str) -> None:
    w = World(parked("g7"), leads=0, is_started=False)
    w.dial("g7", code, "other")
    assert w.look() == [Dismiss(channel=ChannelId("other"), message="refused")]


def test_a_phone_of_nobody_is_refused() -> None:
    w = World(parked("g7"), leads=0)
    w.look()
    w.tell(ev.FeatureDialed, channel=ChannelId("other"), phone="999", code="40")
    assert w.look() == [Dismiss(channel=ChannelId("other"), message="refused")]


def is_noted(w: World, channel: str, digit: str = "4") -> bool:
    event = ev.DigitPressed(at=w.at, channel=ChannelId(channel), digit=digit)
    return w.floor.must_note(event, w.floor.handle(event))


def test_only_what_operators_key_on_their_lines_is_written_down() -> None:
    """Anything else may be a secret: a PIN that is asked for, the card of a person who pays."""
    w = World(parked("g7"))
    line = w.agent("g7").channel
    assert line is not None
    assert is_noted(w, line)
    assert not is_noted(w, "1795346976.1")
    assert not is_noted(w, w.only())


def test_what_is_keyed_on_a_leg_before_it_is_ours_is_not_written_down() -> None:
    """Who picks up on an outside line is asked for the PIN first."""
    w = World(rung("g7"))
    w.answers(w.only())
    leg = w.agent("g7").channel
    assert leg is not None
    assert not is_noted(w, leg, "*")
    assert not is_noted(w, leg, "4")
    w.tell(ev.LegAnswered, channel=leg)
    w.tell(ev.LineJoined, channel=leg, bridge=line_bridge(leg))
    assert is_noted(w, leg, "*")


def test_what_was_keyed_is_forgotten_with_the_line() -> None:
    w = World(parked("g7"), leads=0)
    w.keys("g7", "*4")
    w.line_ends("g7")
    assert w.floor._state.keys == {}


def test_the_reason_of_a_pause_is_the_campaigns() -> None:
    w = World(parked("g7"), leads=0, pause_reasons={"9": "prayer"})
    w.dial("g7", "429")
    assert w.agent("g7").reason == "prayer"


def test_the_operator_hangs_up_the_person_by_keys() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.look()
    w.keys("g7", "*45")
    assert w.look() == [HangUp(channel=ChannelId(a1))]
    assert w.state("g7") is AgentState.ON_CALL
    w.hangs_up(a1, 16)
    assert (w.call(a1).result, w.call(a1).ending) == (Result.TALKED, "operator")
    assert w.state("g7") is AgentState.WRAP_UP


def test_a_pause_asked_during_a_call_begins_after_its_wrap_up() -> None:
    w = World(parked("g7"), leads=2)
    a1 = w.talks()
    w.keys("g7", "*422")
    assert w.state("g7") is AgentState.ON_CALL
    w.hangs_up(a1)
    assert w.state("g7") is AgentState.WRAP_UP
    w.fires("g7", "agent")
    assert (w.state("g7"), w.agent("g7").reason) == (AgentState.PAUSED, "lunch")
    assert len(w.originated()) == 1


def test_a_sign_out_asked_during_a_call_comes_after_it() -> None:
    w = World(parked("g7"), wrap_up_s=0.0)
    a1 = w.talks()
    w.keys("g7", "*41")
    assert w.state("g7") is AgentState.ON_CALL
    w.hangs_up(a1)
    assert (w.state("g7"), w.agent("g7").channel) == (AgentState.SIGNED_OUT, None)


@pytest.mark.parametrize(
    ("order", "state"),
    [("pause", AgentState.PAUSED), ("sign_out", AgentState.SIGNED_OUT), ("ready", AgentState.READY)],
)
def test_a_supervisors_order(order: str, state: AgentState) -> None:
    w = World(parked("g7"), leads=0)
    w.tell(ev.AgentOrdered, agent=AgentId("g7"), order=order)
    assert w.state("g7") is state
    if order == "pause":
        assert w.agent("g7").reason == "supervisor"
    w = World(parked("g7"))
    a1 = w.talks()
    w.tell(ev.AgentOrdered, agent=AgentId("g7"), order=order, reason="meeting")
    assert w.state("g7") is AgentState.ON_CALL, "a conversation is not torn apart"
    w.hangs_up(a1)
    w.fires("g7", "agent")
    assert w.state("g7") is state


# -- cards --------------------------------------------------------------------------------


def test_two_operators_may_exchange_their_phones() -> None:
    w = World(parked("g1"), parked("g2"), leads=0)
    for agent, phone in (("g1", "1g2"), ("g2", "1g1")):
        w.tell(ev.AgentApplied, agent=msgspec.structs.replace(w.card(agent), phone=phone))
    w.tell(ev.FeatureDialed, channel=ChannelId("x"), phone="1g2", code="421")
    assert (w.state("g1"), w.state("g2")) == (AgentState.PAUSED, AgentState.READY)
    w.tell(ev.FeatureDialed, channel=ChannelId("y"), phone="1g1", code="421")
    assert w.state("g2") is AgentState.PAUSED


def test_who_changes_between_parked_and_rung_signs_in_anew() -> None:
    w = World(parked("g7"), leads=0)
    w.look()
    w.tell(ev.AgentApplied, agent=rung("g7"))
    assert (w.state("g7"), w.look()) == (
        AgentState.SIGNED_OUT,
        [HangUp(channel=LINE), CloseLine(bridge=BRIDGE)],
    )
    w.sign_in("g7")
    w.tell(ev.AgentApplied, agent=rung("g7"))
    assert w.state("g7") is AgentState.READY, "nothing changed"


def test_a_change_between_parked_and_rung_waits_for_the_end_of_the_call() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.tell(ev.AgentApplied, agent=rung("g7"))
    assert w.state("g7") is AgentState.ON_CALL
    w.hangs_up(a1)
    w.fires("g7", "agent")
    assert (w.state("g7"), w.agent("g7").channel) == (AgentState.SIGNED_OUT, None)


def test_a_new_card_is_a_new_operator_and_a_changed_one_counts_at_once() -> None:
    w = World(leads=1)
    w.tell(ev.AgentApplied, agent=parked("g7", "another"))
    w.sign_in("g7")
    assert w.originated() == []
    w.tell(ev.AgentApplied, agent=parked("g7"))
    w.tick(0.2)
    assert len(w.originated()) == 1


# -- results ------------------------------------------------------------------------------


def test_a_result_given_during_the_call_is_the_calls() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.look()
    w.keys("g7", "*441")
    assert w.look() == [Tell(channel=LINE, message="result_saved")]
    w.hangs_up(a1)
    assert w.call(a1).operator_result == "order"
    assert w.store.finished == {lead(1).id: "order"}


def test_a_result_given_in_the_wrap_up_and_after_it_and_changed() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.hangs_up(a1)
    w.keys("g7", "*443")
    assert (w.call(a1).operator_result, w.store.finished) == ("refused_offer", {lead(1).id: "refused_offer"})
    w.fires("g7", "agent")
    w.dial("g7", "446")
    assert (w.call(a1).operator_result, w.store.finished) == ("busy", {})
    assert w.store.leads[lead(1).id].due == w.at + 180
    assert w.timer("1", "lead") is not None
    w.dial("g7", "441")
    assert w.store.finished == {lead(1).id: "order"}
    assert w.timer("1", "lead") is None


def test_a_result_given_while_we_hang_up_is_that_calls_and_not_the_one_befores() -> None:
    w = World(parked("g7"), leads=2, wrap_up_s=0.0)
    a1 = w.talks()
    w.hangs_up(a1)
    a2 = w.talks()
    w.keys("g7", "*45")
    assert w.call(a2).state is CallState.ENDING
    w.keys("g7", "*441")
    assert (w.call(a1).operator_result, w.call(a2).operator_result) == (None, "order")


def test_until_the_next_person_is_joined_a_result_is_the_last_calls() -> None:
    w = World(parked("g7"), leads=2, wrap_up_s=0.0)
    a1 = w.talks()
    w.hangs_up(a1)
    (a2,) = w.live()
    w.answers(a2)
    assert w.state("g7") is AgentState.RESERVED
    w.keys("g7", "*441")
    assert w.call(a1).operator_result == "order"
    w.joins(a2)
    w.keys("g7", "*443")
    assert (w.call(a1).operator_result, w.call(a2).operator_result) == ("order", "refused_offer")


def test_a_result_that_the_campaign_does_not_have_is_refused() -> None:
    own = (OperatorResult(code="1", name="survey", title="Survey"),)
    w = World(parked("g7"), results=own)
    a1 = w.talks()
    w.keys("g7", "*442")
    assert w.look()[-1] == Tell(channel=LINE, message="refused")
    w.keys("g7", "*441")
    w.hangs_up(a1)
    assert w.store.finished == {lead(1).id: "survey"}


def test_a_wrong_number_that_is_taken_back_is_good_again() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.keys("g7", "*445*446")
    w.hangs_up(a1)
    assert w.look(SavePhone) == [], "what was said during the call, only its last word counts"
    w.keys("g7", "*445")
    assert w.store.bad_phones == {10}
    assert w.store.finished == {lead(1).id: "no_number_left"}
    w.keys("g7", "*446")
    assert w.store.bad_phones == set()
    w.fires("1", "lead")
    w.fires("g7", "agent")
    assert len(w.originated()) == 2


def test_a_wrong_number_that_is_taken_back_may_be_dialed_by_another_campaign_that_had_it_at_hand() -> None:
    one = lead(1)
    both = [campaign(priority=1), campaign("summer", priority=2)]
    w = World(parked("g7"), campaigns=both, leads=[one, lead(2, of="summer", phones=one.phones)])
    a1 = w.talks()
    w.hangs_up(a1)
    w.keys("g7", "*445*446")
    w.fires("g7", "agent")
    assert w.call(w.only()).lead == 2


def test_a_wrong_number_is_taken_back_also_when_the_lead_was_dialed_again_since() -> None:
    w = World(parked("g7"), parked("g8"), leads=[lead(1, "+70000001", "+70000002")])
    a1 = w.talks()
    first = w.call(a1).agent
    assert first is not None
    w.hangs_up(a1)
    w.keys(first, "*445")
    (a2,) = w.live()
    assert (w.call(a2).number, w.store.bad_phones) == ("+70000002", {10})
    w.look()
    w.keys(first, "*446")
    assert w.store.bad_phones == set()
    w.keys(first, "*445")
    assert w.store.bad_phones == {10}
    assert w.look(SaveLead) == [], "what becomes of the lead is the second call's business"


def test_what_is_said_of_an_old_call_after_a_restart_does_not_undo_the_later_one() -> None:
    w = World(parked("g7"), parked("g8"))
    a1 = w.talks()
    first = w.call(a1).agent
    assert first is not None
    w.keys(first, "*446")
    w.hangs_up(a1)
    w.keys(first, "*421")
    w.fires("1", "lead")
    a2 = w.talks()
    w.keys("g8" if first == "g7" else "g7", "*441")
    w.hangs_up(a2)
    w.floor = Floor()
    w.floor.restore(
        campaigns=[(one, CampaignState.RUNNING) for one in w.campaigns],
        trunks=w.trunks,
        cards=w.cards,
        agents=list(w.store.agents.values()),
        last=w.store.last(),
    )
    w.keys(first, "*447")
    assert w.call(a1).operator_result == "no_answer"
    assert w.store.finished == {lead(1).id: "order"}


def test_a_channel_that_came_for_no_reason_that_we_know_is_refused_and_ended() -> None:
    w = World(parked("g7"))
    w.look()
    w.tell(ev.FeatureDialed, channel=ChannelId("x"), phone="", code="")
    assert w.look() == [Dismiss(channel=ChannelId("x"), message="refused")]


def test_who_was_signed_out_by_a_dropped_line_can_still_give_the_result() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.line_ends("g7")
    w.hangs_up(a1, 16)
    w.dial("g7", "441")
    assert w.call(a1).operator_result == "order"


def test_a_result_that_finishes_a_lead_takes_it_out_of_the_hopper() -> None:
    w = World(parked("g7"), wrap_up_s=0.0)
    a1 = w.talks()
    w.keys("g7", "*446")
    w.hangs_up(a1)
    w.dial("g7", "421")
    w.tick(180)
    w.fires("1", "lead")
    assert len(w.floor.desks[CAMPAIGN].hopper) == 1
    w.dial("g7", "441")
    w.dial("g7", "43")
    w.tick()
    assert len(w.originated()) == 1


def test_a_result_that_finishes_a_lead_takes_it_out_of_the_answer_on_its_way() -> None:
    w = World(parked("g7"), wrap_up_s=0.0)
    a1 = w.talks()
    w.keys("g7", "*446")
    w.hangs_up(a1)
    w.is_store_slow = True
    w.tick(180)
    w.fires("1", "lead")
    stale = w.read(w.asked[0])
    assert len(stale.leads) == 1
    w.dial("g7", "441")
    w.answer(stale)
    assert len(w.originated()) == 1


def test_a_late_result_does_not_undo_what_came_after_it() -> None:
    w = World(parked("g1"), parked("g2"), wrap_up_s=0.0)
    a1 = w.talks()
    assert w.call(a1).agent == "g1"
    w.keys("g1", "*446")
    w.hangs_up(a1)
    w.dial("g1", "421")
    w.tick(180)
    a2 = w.talks()
    assert (w.call(a2).agent, w.call(a2).ordinal) == ("g2", 2)
    commands = w.dial("g1", "441")
    assert w.call(a1).operator_result == "order"
    assert not any(isinstance(command, SaveLead) for command in commands)
    w.hangs_up(a2)
    assert w.store.finished == {lead(1).id: "talked"}


def test_a_campaign_is_not_finished_while_somebody_wraps_up() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.hangs_up(a1)
    w.tick(5)
    assert w.floor.desks[CAMPAIGN].state is CampaignState.RUNNING
    w.fires("g7", "agent")
    assert w.store.states[CAMPAIGN] is CampaignState.FINISHED


def test_a_late_result_that_asks_for_another_call_takes_the_campaign_up_again() -> None:
    w = World(parked("g7"), wrap_up_s=0.0)
    a1 = w.talks()
    w.hangs_up(a1)
    assert w.store.states[CAMPAIGN] is CampaignState.FINISHED
    w.dial("g7", "446")
    assert w.store.states[CAMPAIGN] is CampaignState.RUNNING
    w.fires("1", "lead")
    assert len(w.originated()) == 2


def test_a_campaign_of_one_operator_serves_its_own_campaign_only() -> None:
    w = World(parked("g7", "summer"), campaigns=[campaign(), campaign("summer")])
    assert w.originated() == []
