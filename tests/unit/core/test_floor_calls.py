"""Calls on the floor: from the dial to the result, with every way in which it goes wrong."""

from __future__ import annotations

import pytest

from dialer.core import events as ev
from dialer.core.call import LAST_WORD_S
from dialer.core.commands import (
    ClearTimer,
    HangUp,
    JoinAgent,
    OpenLine,
    Originate,
    SaveCall,
    SaveLead,
    SendToLastWord,
    SetTimer,
    Tell,
)
from dialer.core.ids import AttemptId, BridgeId, ChannelId
from dialer.core.values import AgentState, CallState, Result
from tests.unit.core.world import AT, World, campaign, lead, parked, rung, trunk

NOBODY = AttemptId("a" + "v" * 20)


def test_a_call_from_the_dial_to_the_result() -> None:
    """The table "A predictive call as data" of the architecture, row by row."""
    w = World(parked("g7"), ring_s=40.0, caller_id="+7495")
    a1 = w.only()
    assert w.originated() == [
        Originate(
            attempt=a1,
            campaign=w.campaigns[0].id,
            trunk=w.trunks[0].id,
            number="+70000000001",
            caller_id="+7495",
            ring_s=40.0,
            record=True,
            wait_s=17.0,
            kind="main",
        )
    ]
    assert w.timer(a1) == SetTimer(kind="attempt", subject=a1, due=AT + 40)

    w.later(8).rings(a1)
    assert (w.call(a1).state, w.seen()) == (CallState.RINGING, [])

    w.later(2)
    commands = w.answers(a1)
    bridge = w.agent("g7").bridge
    assert bridge is not None
    kinds = [type(command).__name__ for command in commands]
    assert kinds.index("SaveAgent") < kinds.index("JoinAgent")
    assert JoinAgent(attempt=a1, agent=w.card("g7").id, bridge=bridge) in commands
    assert Tell(channel=ChannelId("line-of-g7"), message="call") in commands
    assert (w.call(a1).state, w.state("g7")) == (CallState.CONNECTING, AgentState.RESERVED)

    w.later(0.125).joins(a1)
    assert (w.call(a1).state, w.state("g7")) == (CallState.CONNECTED, AgentState.ON_CALL)
    assert w.timer(a1) is None
    w.look()

    w.at = AT + 40
    w.tell(ev.DeadlinePassed, kind="attempt", subject=a1)
    assert (w.call(a1).state, w.look()) == (CallState.CONNECTED, [])

    w.later(60).hangs_up(a1, 16)
    call = w.call(a1)
    assert (call.state, call.result, call.agent) == (CallState.ENDED, Result.TALKED, "g7")
    assert (call.rang_at, call.answered_at, call.connected_at) == (AT + 8, AT + 10, AT + 10 + 0.125)
    assert (w.state("g7"), w.agent("g7").deadline) == (AgentState.WRAP_UP, w.at + 10)
    assert w.store.finished == {lead(1).id: "talked"}

    w.fires("g7", "agent")
    assert w.state("g7") is AgentState.READY
    assert w.is_quiet()


@pytest.mark.parametrize("doubled", ["rings", "answers", "joins", "hangs_up"])
def test_doubled_events_change_nothing(doubled: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    for event in ("rings", "answers", "joins", "hangs_up"):
        getattr(w, event)(a1)
        if event == doubled:
            w.look()
            before = w.store.calls[a1], w.agent("g7")
            if event == "joins":
                w.tell(w.events[-1])
            else:
                getattr(w.later(0.1), event)(a1)
            assert (w.store.calls[a1], w.agent("g7")) == before
            assert w.look() == []
    assert w.call(a1).result is Result.TALKED


def test_events_of_a_call_that_is_over_change_nothing() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.hangs_up(a1)
    w.look()
    before = w.call(a1)
    w.rings(a1)
    w.hangs_up(a1, 17, 486)
    w.tell(ev.OriginateRefused, attempt=a1, reason="500")
    w.tell(ev.Connected, attempt=a1, bridge=BridgeId("line-line-of-g7"))
    w.tell(ev.JoinRefused, attempt=a1, bridge=BridgeId("line-line-of-g7"), reason="404")
    w.tell(ev.DeadlinePassed, kind="attempt", subject=a1)
    assert (w.call(a1), w.look()) == (before, [])


@pytest.mark.parametrize(
    "event",
    [
        ev.ContactRang(at=AT, attempt=NOBODY),
        ev.Connected(at=AT, attempt=NOBODY, bridge=BridgeId("line-line-of-g7")),
        ev.ContactHungUp(at=AT, attempt=NOBODY, cause=16),
        ev.OriginateRefused(at=AT, attempt=NOBODY, reason="500"),
        ev.JoinRefused(at=AT, attempt=NOBODY, bridge=BridgeId("line-x"), reason="404"),
        ev.LineEnded(at=AT, channel=ChannelId("x")),
        ev.LineJoined(at=AT, channel=ChannelId("x"), bridge=BridgeId("line-x")),
        ev.LineRefused(at=AT, channel=ChannelId("x"), reason="404"),
        ev.LegRefused(at=AT, channel=ChannelId("x"), reason="500"),
        ev.DigitPressed(at=AT, channel=ChannelId("x"), digit="*"),
        ev.DeadlinePassed(at=AT, kind="attempt", subject="x"),
        ev.DeadlinePassed(at=AT, kind="agent", subject="x"),
        ev.DeadlinePassed(at=AT, kind="lead", subject="1", campaign="gone"),  # type: ignore[arg-type]
        ev.PhoneChanged(at=AT, phone="999", is_registered=False),
        ev.TrunkChanged(at=AT, trunk="gone", is_up=False),  # type: ignore[arg-type]
        ev.AgentOrdered(at=AT, agent="nobody", order="ready"),  # type: ignore[arg-type]
        ev.CampaignOrdered(at=AT, campaign="gone", order="start"),  # type: ignore[arg-type]
        ev.LeadsAdded(at=AT, campaign="gone"),  # type: ignore[arg-type]
        ev.LeadsFetched(at=AT, campaign="gone", leads=(), unfinished=False),  # type: ignore[arg-type]
        ev.RecordingStored(
            at=AT, attempt=NOBODY, path="x", started_at=AT, length_s=1, size_bytes=1, sha256="0"
        ),
        ev.RecordingMissing(at=AT, attempt=NOBODY, reason="gone"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_facts_about_what_is_not_on_the_floor_change_nothing(event: ev.Event) -> None:
    w = World(parked("g7"))
    calls, agents = dict(w.floor.calls), dict(w.floor.agents)
    assert w.tell(event) == []
    assert (w.floor.calls, w.floor.agents) == (calls, agents)


def test_a_person_whom_nobody_expects_is_not_met_with_silence() -> None:
    w = World(parked("g7"))
    assert w.answers(NOBODY) == [SendToLastWord(attempt=NOBODY)]


@pytest.mark.parametrize(
    ("cause", "sip", "result", "again_s"),
    [(17, 486, Result.BUSY, 180), (1, 404, Result.INVALID, None), (34, 503, Result.CONGESTION, 120)],
)
def test_a_call_that_is_not_answered(cause: int, sip: int, result: Result, again_s: float | None) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    commands = w.later(3).hangs_up(a1, cause, sip)
    assert w.call(a1).result is result
    (saved,) = [command for command in commands if isinstance(command, SaveLead)]
    if again_s is None:
        assert saved.finished is not None
        assert ClearTimer(kind="lead", subject="1") in commands
    else:
        assert saved.due == w.at + again_s
        assert w.timer("1", "lead") is not None
    assert w.state("g7") is AgentState.READY


def test_ring_time_is_over_and_we_hang_up() -> None:
    w = World(parked("g7"), ring_s=40.0)
    a1 = w.only()
    w.later(5).rings(a1)
    w.fires(a1)
    assert w.look() == [HangUp(channel=ChannelId(a1))]
    w.later(0.2).hangs_up(a1, 19, 480)
    assert (w.call(a1).result, w.call(a1).ending) == (Result.NO_ANSWER, "no_answer")
    assert w.store.leads[lead(1).id].due == w.at + 600


def test_a_channel_that_does_not_go_is_hung_up_again() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.fires(a1)
    w.look()
    w.fires(a1)
    assert w.look() == [HangUp(channel=ChannelId(a1))]


def test_a_lost_timer_is_found_by_the_sweep() -> None:
    w = World(parked("g7"), ring_s=40.0)
    a1 = w.only()
    w.tick(39.9)
    assert w.call(a1).state is CallState.DIALING
    w.tick(1)
    assert w.call(a1).state is CallState.ENDING


def test_a_timer_that_fires_early_does_nothing() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    assert w.tell(ev.DeadlinePassed, kind="attempt", subject=a1) == []


def test_an_answer_that_crosses_our_cancel_is_abandoned() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.fires(a1)
    w.look()
    w.answers(a1)
    assert w.look() == [HangUp(channel=ChannelId(a1))]
    assert w.state("g7") is AgentState.READY
    w.hangs_up(a1, 16)
    assert w.call(a1).result is Result.ABANDONED


def test_a_call_that_could_not_be_placed_counts_for_nothing() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.tell(ev.OriginateRefused, attempt=a1, reason="500 Allocation failed")
    assert w.call(a1).result is Result.FAILED
    assert w.is_quiet()
    assert w.store.leads[lead(1).id].ordinal == 0
    w.fires("1", "lead")
    again = w.only()
    assert (w.at, again != a1, w.call(again).ordinal) == (AT + 60, True, 1)


def test_a_refusal_that_comes_after_the_ring_time_ends_the_call_too() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.fires(a1)
    w.tell(ev.OriginateRefused, attempt=a1, reason="timed out in a queue", was_sent=False)
    assert w.is_quiet()


def test_an_originates_answer_that_comes_after_its_events_changes_nothing() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.rings(a1)
    w.tell(ev.OriginateRefused, attempt=a1, reason="409")
    assert w.call(a1).state is CallState.RINGING


# -- nobody is free at the answer ---------------------------------------------------------


def alone(w: World, agent: str = "g7") -> AttemptId:
    """The call in flight is answered when its operator has gone for a break."""
    a1 = w.only()
    w.rings(a1)
    w.dial(agent, "421")
    w.look()
    w.answers(a1)
    return a1


def test_with_nobody_free_the_person_waits_hears_the_last_word_and_is_abandoned() -> None:
    w = World(parked("g7"), wait_s=2.0)
    a1 = alone(w)
    assert (w.call(a1).state, w.look()) == (CallState.ANSWERED, [])
    w.fires(a1)
    assert w.at == AT + 2
    assert w.look() == [SendToLastWord(attempt=a1)]
    w.later(8).hangs_up(a1, 16)
    assert w.call(a1).result is Result.ABANDONED
    assert w.store.leads[lead(1).id].due == w.at + 600
    assert w.is_quiet()


def test_the_last_word_does_not_last_for_ever() -> None:
    w = World(parked("g7"))
    a1 = alone(w)
    w.fires(a1)
    w.look()
    w.fires(a1)
    assert w.at == AT + 2 + LAST_WORD_S
    assert w.look() == [HangUp(channel=ChannelId(a1))]


def test_a_person_who_waits_gets_the_first_who_becomes_free() -> None:
    w = World(parked("g7"), wait_s=2.0)
    a1 = alone(w)
    w.later(1).dial("g7", "43")
    assert (w.call(a1).state, w.call(a1).agent) == (CallState.CONNECTING, "g7")
    w.joins(a1)
    assert w.call(a1).state is CallState.CONNECTED


def test_who_answered_first_goes_first_and_to_the_longest_idle() -> None:
    w = World(parked("g1"), parked("g2"), leads=2)
    first, second = w.live()
    for agent in ("g1", "g2"):
        w.dial(agent, "421")
    w.answers(second)
    w.later(0.5).answers(first)
    w.dial("g2", "43")
    assert w.call(second).agent == "g2"
    w.dial("g1", "43")
    assert w.call(first).agent == "g1"

    w = World(parked("g1"), parked("g2"), leads=2)
    w.later(1).dial("g1", "421")
    w.dial("g1", "43")
    first, second = w.live()
    w.answers(second)
    assert w.call(second).agent == "g2", "g1 is idle for a moment only"
    w.answers(first)
    assert w.call(first).agent == "g1"


def test_a_person_who_hangs_up_while_waiting_is_abandoned() -> None:
    w = World(parked("g7"))
    a1 = alone(w)
    w.later(1).hangs_up(a1)
    assert w.call(a1).result is Result.HUNG_UP
    w.dial("g7", "43")
    assert w.is_quiet()


# -- joins that fail ----------------------------------------------------------------------


def refuse(w: World, attempt: AttemptId) -> list[object]:
    bridge = w.agent(w.call(attempt).agent or "").bridge
    w.look()
    w.tell(ev.JoinRefused, attempt=attempt, bridge=bridge, reason="404")
    return w.look()


def test_when_a_join_is_refused_another_operator_gets_the_person() -> None:
    w = World(parked("g1"), parked("g2"), leads=1)
    a1 = w.only()
    w.later(1).answers(a1)
    assert w.call(a1).agent == "g1"
    commands = refuse(w, a1)
    assert (w.call(a1).agent, w.state("g2")) == ("g2", AgentState.RESERVED)
    assert w.state("g1") is AgentState.READY, "and who could not be joined is free again"
    assert OpenLine(channel=ChannelId("line-of-g1"), bridge=BridgeId("line-line-of-g1")) in commands
    w.joins(a1)
    w.hangs_up(a1)
    assert w.call(a1).result is Result.TALKED


def test_a_person_is_not_offered_twice_to_a_line_that_refused_them() -> None:
    w = World(parked("g7"), wait_s=2.0)
    a1 = w.only()
    w.answers(a1)
    saved = sum(isinstance(command, SaveCall) for command in w.commands)
    refuse(w, a1)
    assert sum(isinstance(command, SaveCall) for command in w.commands) == saved + 1
    assert (w.call(a1).state, w.state("g7")) == (CallState.ANSWERED, AgentState.READY)
    w.tick(1)
    assert w.call(a1).state is CallState.ANSWERED
    w.tick(1)
    assert (w.call(a1).state, w.call(a1).ending) == (CallState.ENDING, "no_agent")


def test_a_refusal_of_an_earlier_join_does_not_undo_the_present_one() -> None:
    w = World(parked("g1"), parked("g2"), leads=1)
    a1 = w.only()
    w.answers(a1)
    bridge = w.agent("g1").bridge
    refuse(w, a1)
    assert w.tell(ev.JoinRefused, attempt=a1, bridge=bridge, reason="404") == []
    assert (w.call(a1).state, w.call(a1).agent) == (CallState.CONNECTING, "g2")
    w.tell(ev.Connected, attempt=a1, bridge=bridge)
    assert w.call(a1).state is CallState.CONNECTING, "g2's line is another one"


def test_a_join_that_was_given_up_but_happened_is_one() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    bridge = w.agent("g7").bridge
    refuse(w, a1)
    w.tell(ev.Connected, attempt=a1, bridge=bridge)
    assert (w.call(a1).state, w.state("g7")) == (CallState.CONNECTED, AgentState.ON_CALL)


def test_a_join_that_was_given_up_but_happened_ends_if_its_operator_is_gone_elsewhere() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    bridge = w.agent("g7").bridge
    refuse(w, a1)
    w.dial("g7", "421")
    w.look()
    w.tell(ev.Connected, attempt=a1, bridge=bridge)
    assert w.look() == [SendToLastWord(attempt=a1)]


def test_a_join_that_nobody_confirms_ends_in_the_last_word_and_frees_the_operator() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    w.look()
    w.fires(a1)
    assert w.at == AT + 5
    assert w.look()[0] == SendToLastWord(attempt=a1)
    assert w.state("g7") is AgentState.READY


def test_a_person_who_hangs_up_during_the_join_is_abandoned_and_the_operator_free() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    w.hangs_up(a1)
    assert (w.call(a1).result, w.call(a1).agent) == (Result.HUNG_UP, "g7")
    assert w.state("g7") is AgentState.READY
    assert w.is_quiet()


# -- when nothing is dialed ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "good", "why"),
    [
        ((ev.PbxDisconnected, {}), (ev.PbxConnected, {}), "no connection to Asterisk"),
        (
            (ev.EventsLagged, {"lag_ms": 900.0, "is_late": True}),
            (ev.EventsLagged, {"lag_ms": 5.0, "is_late": False}),
            "events lag",
        ),
        (
            (ev.JournalFailed, {"reason": "disk full"}),
            (ev.JournalRecovered, {}),
            "the journal fails: disk full",
        ),
    ],
    ids=["socket", "lag", "journal"],
)
def test_nothing_is_originated_while_something_is_wrong(
    bad: tuple[type[ev.Event], dict[str, object]], good: tuple[type[ev.Event], dict[str, object]], why: str
) -> None:
    w = World(rung("g7"), is_started=False)
    assert w.floor.why_not_originating() == {}
    w.tell(bad[0], **bad[1])
    w.tell(ev.CampaignOrdered, campaign=w.campaigns[0].id, order="start")
    w.sign_in("g7")
    w.tick()
    assert [*w.floor.why_not_originating().values()] == [why]
    assert w.originated() == []
    w.tell(good[0], **good[1])
    assert len(w.originated()) == 1


def test_what_serves_people_goes_on_while_the_journal_fails() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.tell(ev.JournalFailed, reason="disk full")
    w.answers(a1)
    assert w.call(a1).state is CallState.CONNECTING


def test_a_trunk_that_is_down_or_unknown_or_full_carries_nothing() -> None:
    w = World(parked("g7"), trunks=[trunk("other")])
    assert w.originated() == []
    w.tell(ev.TrunkApplied, trunk=trunk("t"))
    assert len(w.originated()) == 1

    w = World(parked("g1"), parked("g2"), leads=3, trunks=[trunk(channels_max=1)])
    a1 = w.only()
    w.tell(ev.TrunkChanged, trunk=w.trunks[0].id, is_up=False)
    w.hangs_up(a1, 17, 486)
    assert len(w.originated()) == 1
    w.tell(ev.TrunkChanged, trunk=w.trunks[0].id, is_up=True)
    assert len(w.originated()) == 2
    w.tell(ev.TrunkApplied, trunk=trunk(channels_max=2))
    assert len(w.originated()) == 3


def test_a_trunk_that_is_declared_while_it_carries_calls_counts_them() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    del w.floor.trunks[w.trunks[0].id]
    w.tell(ev.TrunkApplied, trunk=trunk())
    assert w.floor.trunks[w.trunks[0].id].live == 1
    w.hangs_up(a1)
    assert w.floor.trunks[w.trunks[0].id].live == 0


def test_every_change_of_a_call_is_saved_and_every_deadline_has_its_timer() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.hangs_up(a1)
    states = [one.call.state for one in w.commands if isinstance(one, SaveCall)]
    assert states == [
        CallState.DIALING,
        CallState.RINGING,
        CallState.ANSWERED,
        CallState.CONNECTING,
        CallState.CONNECTED,
        CallState.ENDED,
    ]
    assert w.timer(a1) is None


def test_the_deadlines_that_a_restart_arms_again_are_those_that_were_set() -> None:
    w = World(parked("g1"), parked("g2"), leads=2)
    a1 = w.talks()
    w.hangs_up(a1)
    (a2,) = w.live()
    assert {(one.kind, one.subject): one.due for one in w.floor.deadlines()} == {
        ("attempt", a2): AT + 40,
        ("agent", w.call(a1).agent): AT + 10,
    }


def test_a_call_uses_the_campaigns_caller_id_or_else_the_trunks() -> None:
    w = World(parked("g7"), trunks=[trunk(caller_id="+7812")], record=False)
    (placed,) = w.originated()
    assert (placed.caller_id, placed.record) == ("+7812", False)
    w = World(parked("g7"), campaigns=campaign(caller_id="+7495"), trunks=[trunk(caller_id="+7812")])
    assert w.originated()[0].caller_id == "+7495"
