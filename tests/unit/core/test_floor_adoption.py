"""After a cut or a restart: what the floor believes is held against what lives in Asterisk."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core.commands import HangUp, JoinAgent, OpenLine, Originate, RingAgent, SendToLastWord
from dialer.core.events import LiveChannel
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, AttemptId, BridgeId, ChannelId, line_bridge
from dialer.core.values import AgentState, CallState, CampaignState, Result
from tests.unit.core.world import CAMPAIGN, World, parked, rung

LINE = ChannelId("line-of-g7")
BRIDGE = line_bridge(LINE)
LINE_UP = LiveChannel(channel=LINE, is_up=True, in_app=True, bridge=BRIDGE)
STRANGER = AttemptId("a" + "v" * 20)


def person(
    attempt: AttemptId, how: str, bridge: BridgeId | None = None, *, in_app: bool = True
) -> LiveChannel:
    """The channel of a person who is ``dialed``, ``ringing`` or ``up``."""
    channel = ChannelId(attempt)
    is_up = how == "up"
    return LiveChannel(
        channel=channel, is_up=is_up, is_ringing=how == "ringing", in_app=is_up and in_app, bridge=bridge
    )


def connect(w: World, channels: Iterable[LiveChannel]) -> None:
    w.tell(ev.PbxConnected, channels=tuple(channels))


def restart(w: World) -> None:
    """The engine died and another one takes up what was saved; its socket is not open yet."""
    w.floor = Floor()
    states = {one.id: w.store.states.get(one.id, CampaignState.RUNNING) for one in w.campaigns}
    w.floor.restore(
        campaigns=[(one, states[one.id]) for one in w.campaigns],
        trunks=w.trunks,
        cards=w.cards,
        agents=list(w.store.agents.values()),
        calls=w.store.open(),
        last=w.store.last(),
    )
    w.asked.clear()


def cut(w: World) -> None:
    w.tell(ev.PbxDisconnected)
    w.look()


@pytest.fixture(params=["cut", "restart"])
def after(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def lose(w: World, after: str) -> None:
    (cut if after == "cut" else restart)(w)
    w.look()


# -- deadlines that pass unheard ------------------------------------------------------------


def test_a_join_that_lags_is_not_given_up_by_its_deadline() -> None:
    """The engine stood still: they may talk, and the event that says so waits in the socket."""
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    w.tell(ev.EventsLagged, lag_ms=9000.0, is_late=True)
    w.later(30)
    w.fires(a1)
    assert w.look(SendToLastWord) == []
    w.joins(a1)
    w.tell(ev.EventsLagged, lag_ms=1.0, is_late=False)
    w.tick()
    assert w.call(a1).state is CallState.CONNECTED


def test_a_join_that_did_not_happen_is_given_up_when_all_was_heard() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    w.tell(ev.EventsLagged, lag_ms=9000.0, is_late=True)
    w.later(30)
    w.fires(a1)
    w.tell(ev.EventsLagged, lag_ms=1.0, is_late=False)
    w.tick()
    assert w.look(SendToLastWord) == [], "it may have been sent only now"
    w.tick(calls.JOIN_S)
    assert w.look(SendToLastWord) == [SendToLastWord(attempt=a1)]


# -- persons ------------------------------------------------------------------------------


def test_a_conversation_goes_on(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    lose(w, after)
    connect(w, [LINE_UP, person(a1, "up", BRIDGE)])
    assert (w.call(a1).state, w.state("g7"), w.look()) == (CallState.CONNECTED, AgentState.ON_CALL, [])
    w.hangs_up(a1)
    assert (w.call(a1).result, w.state("g7")) == (Result.TALKED, AgentState.WRAP_UP)


def test_a_conversation_that_ended_meanwhile_is_over(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    lose(w, after)
    connect(w, [LINE_UP])
    assert (w.call(a1).result, w.state("g7")) == (Result.TALKED, AgentState.WRAP_UP)


def test_a_join_that_happened_meanwhile_is_told(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    lose(w, after)
    connect(w, [LINE_UP, person(a1, "up", BRIDGE)])
    assert (w.call(a1).state, w.state("g7")) == (CallState.CONNECTED, AgentState.ON_CALL)


def test_a_conversation_that_began_unseen_is_not_cut_by_an_old_deadline(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    lose(w, after)
    w.tick(8.0)
    w.fires(a1)
    assert (w.call(a1).state, w.look()) == (CallState.CONNECTING, [])
    connect(w, [LINE_UP, person(a1, "up", BRIDGE)])
    w.tick()
    assert (w.call(a1).state, w.look(SendToLastWord), w.look(HangUp)) == (CallState.CONNECTED, [], [])


def test_a_last_word_that_began_unseen_is_not_cut_by_the_end_of_ringing(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.rings(a1)
    lose(w, after)
    w.tick(60.0)
    connect(w, [LINE_UP, person(a1, "up", in_app=False)])
    w.tick()
    assert w.look(HangUp) == []


def test_what_became_due_unseen_is_done_at_once_afterwards(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.rings(a1)
    lose(w, after)
    w.tick(60.0)
    assert w.look(HangUp) == []
    connect(w, [LINE_UP, person(a1, "ringing")])
    w.tick(0.2)
    assert w.look(HangUp) == [HangUp(channel=ChannelId(a1))]


def test_a_person_who_waits_gets_the_last_word_though_no_events_come(after: str) -> None:
    w = World(parked("g7"), wait_s=2.0)
    a1 = w.only()
    w.dial("g7", "421")
    w.answers(a1)
    lose(w, after)
    w.tick(3.0)
    assert w.look() == [SendToLastWord(attempt=a1)]


def test_a_rung_operator_is_not_passed_over_while_no_events_come(after: str) -> None:
    w = World(rung("g7"), ring_agent="at_dial")
    w.only()
    lose(w, after)
    w.tick(60.0)
    assert w.state("g7") is AgentState.RESERVED


def test_a_person_in_another_bridge_is_not_joined(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    lose(w, after)
    connect(w, [LINE_UP, person(a1, "up", BridgeId("elsewhere"))])
    assert w.call(a1).state is CallState.CONNECTING


def test_a_person_who_waited_is_served_by_the_next_who_is_free(after: str) -> None:
    w = World(parked("g7"), wait_s=20.0)
    a1 = w.only()
    w.dial("g7", "421")
    w.answers(a1)
    lose(w, after)
    connect(w, [LINE_UP, person(a1, "up")])
    w.dial("g7", "43")
    assert (w.call(a1).state, w.call(a1).agent) == (CallState.CONNECTING, "g7")


@pytest.mark.parametrize("was", ["connecting", "connected"])
def test_a_join_that_got_lost_is_ordered_again(after: str, was: str) -> None:
    w = World(parked("g7"))
    if was == "connected":
        a1 = w.talks()
    else:
        a1 = w.only()
        w.answers(a1)
    lose(w, after)
    connect(w, [LINE_UP, person(a1, "up")])
    assert w.look() == [JoinAgent(attempt=a1, agent=AgentId("g7"), bridge=BRIDGE)]


def test_a_person_who_answered_meanwhile_is_served(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    lose(w, after)
    connect(w, [LINE_UP, person(a1, "up")])
    assert (w.call(a1).state, w.call(a1).agent) == (CallState.CONNECTING, "g7")


def test_a_person_whom_the_dialplan_has_is_left_to_its_last_word(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    lose(w, after)
    connect(w, [LINE_UP, person(a1, "up", in_app=False)])
    assert (w.call(a1).state, w.call(a1).ending) == (CallState.ENDING, "no_agent")
    w.look()
    w.answers(a1)
    assert w.look() == [SendToLastWord(attempt=a1)], "and who comes to us after all is sent back"
    w.hangs_up(a1, 16)
    assert w.call(a1).result is Result.ABANDONED


def test_a_phone_that_rings_meanwhile_rings_on(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    lose(w, after)
    connect(w, [LINE_UP, person(a1, "ringing")])
    assert w.call(a1).state is CallState.RINGING
    assert w.look() == []


def test_a_call_without_a_channel_is_lost_and_not_placed_again(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    lose(w, after)
    w.later(15)
    connect(w, [LINE_UP])
    assert w.call(a1).result is Result.LOST
    assert not any(isinstance(one, Originate) for one in w.look())
    w.fires("1", "lead")
    assert w.originated()[-1].attempt != a1


def test_an_originate_so_young_that_it_may_be_on_its_way_is_waited_for(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    lose(w, after)
    w.later(14)
    connect(w, [LINE_UP])
    assert w.call(a1).state is CallState.DIALING
    w.fires(a1)
    assert w.look() == [HangUp(channel=ChannelId(a1))]
    w.hangs_up(a1, None)
    assert w.call(a1).result is Result.LOST
    assert w.is_quiet()


def test_a_ringing_phone_that_is_gone_has_ended_however_young(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.rings(a1)
    lose(w, after)
    connect(w, [LINE_UP])
    assert w.call(a1).result is Result.LOST


def test_the_person_who_waits_too_long_for_the_socket_gets_the_last_word(after: str) -> None:
    w = World(parked("g7"), wait_s=2.0)
    a1 = w.only()
    w.dial("g7", "421")
    w.answers(a1)
    lose(w, after)
    w.tick(3)
    assert w.look() == [SendToLastWord(attempt=a1)]
    connect(w, [LINE_UP, person(a1, "up")])
    assert w.look() == [SendToLastWord(attempt=a1)], "the first one may have failed"


# -- lines --------------------------------------------------------------------------------


def test_a_parked_line_that_is_gone_signs_out(after: str) -> None:
    w = World(parked("g7"))
    lose(w, after)
    connect(w, [])
    assert w.state("g7") is AgentState.SIGNED_OUT


def test_a_parked_line_that_is_gone_signs_out_also_who_was_just_reserved(after: str) -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    lose(w, after)
    connect(w, [person(a1, "up")])
    assert (w.state("g7"), w.call(a1).state) == (AgentState.SIGNED_OUT, CallState.ANSWERED)


def test_a_line_that_came_up_meanwhile_is_ready(after: str) -> None:
    w = World(parked("g7"), leads=0, is_started=False)
    w.dial("g7", "40", LINE)
    lose(w, after)
    connect(w, [LINE_UP])
    assert w.state("g7") is AgentState.READY


def test_a_line_that_is_in_no_bridge_is_opened_again(after: str) -> None:
    w = World(parked("g7"), leads=0)
    lose(w, after)
    connect(w, [LiveChannel(channel=LINE, is_up=True, in_app=True)])
    assert w.look() == [OpenLine(channel=LINE, bridge=BRIDGE)]


def rung_world() -> tuple[World, AttemptId, ChannelId]:
    w = World(rung("g7"), ring_agent="at_dial")
    leg = w.agent("g7").channel
    assert leg is not None
    return w, w.only(), leg


def test_a_rung_phone_so_young_that_it_may_be_on_its_way_is_waited_for(after: str) -> None:
    w, a1, _ = rung_world()
    lose(w, after)
    w.later(5)
    connect(w, [person(a1, "ringing")])
    assert w.state("g7") is AgentState.RESERVED


def test_a_rung_phone_that_is_gone_was_not_picked_up(after: str) -> None:
    w, a1, _ = rung_world()
    lose(w, after)
    w.later(15)
    connect(w, [person(a1, "ringing")])
    assert (w.state("g7"), w.call(a1).agent) == (AgentState.PAUSED, None)


def test_a_phone_that_was_to_ring_and_does_not_is_rung_again_for_what_is_left_of_the_time(after: str) -> None:
    """It was picked up while nobody was there to receive it; or the order never came to Asterisk."""
    w, a1, leg = rung_world()
    lose(w, after)
    w.later(5)
    connect(w, [person(a1, "ringing")])
    (again,) = w.look()
    assert isinstance(again, RingAgent)
    assert (again.channel, again.phone, again.ring_s) == (leg, w.floor.cards[AgentId("g7")].phone, 10.0)
    assert w.state("g7") is AgentState.RESERVED


def test_a_rung_phone_that_was_on_the_line_and_is_gone_has_hung_up(after: str) -> None:
    w, a1, _ = rung_world()
    w.leg_answers("g7")
    lose(w, after)
    connect(w, [person(a1, "ringing")])
    assert w.state("g7") is AgentState.PAUSED


def test_a_rung_phone_that_was_picked_up_meanwhile_gets_its_line(after: str) -> None:
    w, a1, leg = rung_world()
    lose(w, after)
    connect(w, [person(a1, "ringing"), LiveChannel(channel=leg, is_up=True, in_app=True)])
    assert w.look() == [OpenLine(channel=leg, bridge=line_bridge(leg))]


def test_an_idle_rung_operator_stays_signed_in(after: str) -> None:
    w = World(rung("g7"), leads=0)
    lose(w, after)
    connect(w, [])
    assert w.state("g7") is AgentState.READY


# -- strangers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "is_hung_up"),
    [
        (person(STRANGER, "ringing"), True),
        (person(STRANGER, "dialed"), True),
        (person(STRANGER, "up"), True),
        (person(STRANGER, "up", BridgeId("line-x")), True),
        (person(STRANGER, "up", in_app=False), False),
        (LiveChannel(channel=ChannelId("x"), is_up=True, in_app=True), True),
        (LiveChannel(channel=ChannelId("x"), is_up=True), False),
        (LiveChannel(channel=ChannelId(f"leg-{STRANGER}-g7"), is_up=False, is_ringing=True), True),
    ],
    ids=["ringing", "dialed", "up", "bridged", "in the dialplan", "in the app", "another's", "leg"],
)
def test_strangers_are_hung_up_but_not_those_in_the_dialplans_hands(
    channel: LiveChannel, is_hung_up: bool
) -> None:
    w = World(parked("g7"), leads=0)
    cut(w)
    connect(w, [LINE_UP, channel])
    assert w.look() == ([HangUp(channel=channel.channel)] if is_hung_up else [])


# -- restarts -----------------------------------------------------------------------------


def test_a_restart_counts_what_is_live_and_dials_no_number_twice() -> None:
    w = World(parked("g7"), leads=1)
    a1 = w.only()
    restart(w)
    assert w.floor.trunks[w.trunks[0].id].live == 1
    assert w.floor.desks[CAMPAIGN].live == {a1}
    connect(w, [LINE_UP, person(a1, "ringing")])
    w.tick(20)
    assert len(w.originated()) == 1
    w.hangs_up(a1, 17, 486)
    assert w.is_quiet()


def test_a_restart_arms_every_deadline_again() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    restart(w)
    assert [(one.subject, one.due) for one in w.floor.deadlines()] == [(a1, w.call(a1).deadline)]


def test_an_operator_can_give_the_result_of_the_last_call_after_a_restart() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.hangs_up(a1)
    restart(w)
    connect(w, [LINE_UP])
    w.dial("g7", "446")
    assert w.call(a1).operator_result == "busy"
    assert w.store.leads[w.call(a1).lead].due == w.at + 180


def test_an_operator_promised_to_a_call_that_nobody_knows_is_free() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    del w.store.calls[a1]
    restart(w)
    connect(w, [LINE_UP])
    assert w.state("g7") is AgentState.READY


def test_what_is_unknown_to_the_settings_is_not_taken_up() -> None:
    w = World(parked("g7"))
    w.only()
    w.cards.clear()
    w.campaigns.clear()
    restart(w)
    assert (w.floor.calls, w.floor.agents) == ({}, {})
