"""What lives is listed again and again while the socket is open: lost events are found, late ones are waited for."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dialer.core import events as ev
from dialer.core.adoption import DOUBT_S, IN_FLIGHT_S
from dialer.core.commands import HangUp, HoldContact, JoinAgent, OpenLine, SendToLastWord
from dialer.core.events import LiveChannel
from dialer.core.ids import AgentId, AttemptId, BridgeId, ChannelId, hold_bridge
from dialer.core.values import AgentState, CallState, Result
from tests.unit.core.test_floor_adoption import BRIDGE, LINE, LINE_UP, STRANGER, person
from tests.unit.core.world import CAMPAIGN, World, parked, rung

MUSIC = hold_bridge(CAMPAIGN)


def listed(w: World, channels: Iterable[LiveChannel], asked_s: float = 0.0) -> None:
    """An answer to a question that was asked *asked_s* ago."""
    w.tell(ev.PbxListed, asked_at=w.at - asked_s, channels=tuple(channels))


def listed_twice(w: World, channels: Iterable[LiveChannel]) -> None:
    """The list says it, and says it again; in between nothing is done."""
    channels = list(channels)
    before = len(w.commands)
    listed(w, channels)
    assert w.commands[before:] == []
    assert w.floor.has_doubts
    w.later(DOUBT_S)
    listed(w, channels)


# -- lost events are found --------------------------------------------------------------------


def test_an_operator_is_not_stuck_in_a_call_whose_end_was_lost() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.look()
    listed_twice(w, [LINE_UP])
    assert (w.call(a1).result, w.state("g7")) == (Result.TALKED, AgentState.WRAP_UP)
    assert not w.floor.has_doubts


@pytest.mark.parametrize(
    ("state", "result"),
    [(CallState.RINGING, Result.LOST), (CallState.ANSWERED, Result.ABANDONED)],
)
def test_a_call_whose_end_was_lost_ends(state: CallState, result: Result) -> None:
    w = World(parked("g7"), wait_s=60.0)
    a1 = w.only()
    w.dial("g7", "421")
    w.rings(a1)
    if state is CallState.ANSWERED:
        w.answers(a1)
    listed_twice(w.later(1), [LINE_UP])
    assert w.call(a1).result is result
    assert w.is_quiet()


def test_an_originate_that_came_to_nothing_ends_when_it_is_too_old_to_be_on_its_way() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    listed(w.later(IN_FLIGHT_S - 1), [LINE_UP])
    assert not w.floor.has_doubts
    listed_twice(w.later(2), [LINE_UP])
    assert w.call(a1).result is Result.LOST


def test_an_answer_that_was_lost_is_found_at_once() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    listed(w, [LINE_UP, person(a1, "up")])
    assert w.call(a1).state is CallState.CONNECTING


def test_a_ringing_that_was_lost_is_found_at_once() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    listed(w, [LINE_UP, person(a1, "ringing")])
    assert w.call(a1).state is CallState.RINGING


def test_a_join_that_was_lost_on_its_way_back_is_found_at_once() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.answers(a1)
    listed(w, [LINE_UP, person(a1, "up", BRIDGE)])
    assert (w.call(a1).state, w.state("g7")) == (CallState.CONNECTED, AgentState.ON_CALL)


def test_a_parked_line_whose_end_was_lost_signs_out() -> None:
    w = World(parked("g7"), leads=0)
    listed_twice(w.later(1), [])
    assert w.state("g7") is AgentState.SIGNED_OUT


def test_a_line_that_is_up_unheard_is_ready_at_once() -> None:
    w = World(parked("g7"), leads=0, is_started=False)
    w.dial("g7", "40", LINE)
    listed(w, [LINE_UP])
    assert w.state("g7") is AgentState.READY


def test_a_line_that_fell_out_of_its_bridge_is_opened_again() -> None:
    w = World(parked("g7"), leads=0)
    w.look()
    listed_twice(w.later(1), [LiveChannel(channel=LINE, is_up=True, in_app=True)])
    assert w.look() == [OpenLine(channel=LINE, bridge=BRIDGE)]


@pytest.mark.parametrize("bridge", [None, MUSIC])
def test_who_fell_out_of_the_conversation_is_joined_again(bridge: BridgeId | None) -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.look()
    listed_twice(w.later(1), [LINE_UP, person(a1, "up", bridge)])
    assert w.look() == [JoinAgent(attempt=a1, agent=AgentId("g7"), bridge=BRIDGE)]


def test_who_fell_out_of_the_music_is_put_back() -> None:
    w = World(parked("g7"), no_agent="hold", wait_s=0.0)
    a1 = w.only()
    w.dial("g7", "421")
    w.answers(a1)
    w.look()
    listed(w.later(1), [LINE_UP, person(a1, "up", MUSIC)])
    assert not w.floor.has_doubts
    listed_twice(w, [LINE_UP, person(a1, "up")])
    assert [type(one) for one in w.look()] == [HoldContact]


def test_whom_the_dialplan_took_back_is_left_to_it() -> None:
    w = World(parked("g7"), wait_s=60.0)
    a1 = w.only()
    w.dial("g7", "421")
    w.answers(a1)
    w.look()
    listed_twice(w.later(1), [LINE_UP, person(a1, "up", in_app=False)])
    assert (w.call(a1).state, w.call(a1).ending, w.look()) == (CallState.ENDING, "no_agent", [])


def test_a_last_word_that_got_lost_is_ordered_again() -> None:
    w = World(parked("g7"), wait_s=0.0)
    a1 = w.only()
    w.dial("g7", "421")
    w.answers(a1)
    assert w.look()[-1] == SendToLastWord(attempt=a1)
    listed_twice(w.later(1), [LINE_UP, person(a1, "up")])
    assert w.look() == [SendToLastWord(attempt=a1)]


@pytest.mark.parametrize(
    "stranger",
    [
        person(STRANGER, "up"),
        person(STRANGER, "ringing"),
        LiveChannel(channel=ChannelId("leg-x"), is_up=False),
        LiveChannel(channel=ChannelId("1700000000.77"), is_up=True, in_app=True),
    ],
)
def test_a_leaked_channel_is_hung_up(stranger: LiveChannel) -> None:
    w = World(parked("g7"), leads=0)
    w.look()
    listed_twice(w.later(1), [LINE_UP, stranger])
    assert w.look() == [HangUp(channel=stranger.channel)]


# -- and late ones are waited for ---------------------------------------------------------------


def test_a_call_that_began_after_the_question_is_not_missed() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.later(1).rings(a1)
    listed(w, [LINE_UP], asked_s=1.5)
    assert not w.floor.has_doubts


def test_an_operator_who_came_after_the_question_is_not_missed() -> None:
    w = World(parked("g7"), leads=0)
    listed(w.later(1), [], asked_s=1.5)
    assert not w.floor.has_doubts


def test_a_missing_call_is_given_the_time_to_tell_its_true_end() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.rings(a1)
    listed(w.later(1), [LINE_UP])
    w.hangs_up(a1, 17, 486)
    assert w.call(a1).result is Result.BUSY


def test_a_list_that_was_made_too_soon_after_the_first_proves_nothing() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.rings(a1)
    for _ in range(5):
        listed(w.later(DOUBT_S / 5), [LINE_UP])
    assert w.call(a1).state is CallState.RINGING
    listed(w.later(DOUBT_S / 5), [LINE_UP])
    assert w.call(a1).result is Result.LOST


def test_two_lists_that_were_asked_for_together_are_one() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    w.rings(a1)
    w.later(60)
    listed(w, [LINE_UP], asked_s=20)
    listed(w, [LINE_UP], asked_s=16)
    assert w.call(a1).state is CallState.RINGING


def test_a_doubt_that_does_not_come_twice_in_a_row_is_none() -> None:
    w = World(parked("g7"), leads=0)
    w.look()
    stranger = LiveChannel(channel=ChannelId("feature"), is_up=True, in_app=True)
    listed(w.later(20), [LINE_UP, stranger])
    listed(w.later(20), [LINE_UP])
    listed(w.later(20), [LINE_UP, stranger])
    assert w.look() == []


def test_a_call_that_ended_before_the_answer_came_is_no_stranger_twice() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.hangs_up(a1)
    w.look()
    listed(w, [LINE_UP, person(a1, "up", BRIDGE)], asked_s=1.0)
    assert w.look() == []
    listed(w.later(DOUBT_S), [LINE_UP])
    assert not w.floor.has_doubts


def test_an_answer_on_its_way_from_the_dialplan_to_us_is_not_taken_for_a_last_word() -> None:
    """Between the answer and Stasis the dialplan begins the recording."""
    w = World(parked("g7"))
    a1 = w.only()
    listed(w, [LINE_UP, person(a1, "up", in_app=False)])
    assert w.call(a1).state is CallState.DIALING
    w.answers(a1)
    w.joins(a1)
    listed(w.later(20), [LINE_UP, person(a1, "up", BRIDGE)])
    assert w.call(a1).state is CallState.CONNECTED


def test_a_person_answered_and_joined_between_question_and_answer() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    w.look()
    listed(w, [LINE_UP, person(a1, "ringing")], asked_s=1.0)
    assert (w.call(a1).state, w.look()) == (CallState.CONNECTED, [])


def test_who_is_on_the_way_to_one_operator_is_not_doubted_on_the_way_to_the_next() -> None:
    w = World(parked("g7"), parked("g8"), wait_s=60.0)
    a1 = w.live()[0]
    w.answers(a1)
    assert w.call(a1).agent == "g7"
    both = [LINE_UP, LiveChannel(channel=ChannelId("line-of-g8"), is_up=True, in_app=True)]
    listed(w, [*both, person(a1, "up")])
    w.line_ends("g7")
    assert w.call(a1).agent == "g8"
    w.look()
    listed(w.later(DOUBT_S), [*both, person(a1, "up")])
    assert w.look(JoinAgent) == []


def test_a_phone_that_is_just_being_rung_is_not_missed() -> None:
    w = World(rung("g7"), ring_agent="at_dial", agent_ring_s=60.0)
    a1 = w.only()
    listed(w.later(IN_FLIGHT_S - 1), [person(a1, "ringing")])
    assert not w.floor.has_doubts
    listed_twice(w.later(2), [person(a1, "ringing")])
    assert w.state("g7") is AgentState.PAUSED


def test_a_list_that_comes_after_the_socket_broke_is_of_no_use() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    listed(w.later(1), [LINE_UP])
    w.tell(ev.PbxDisconnected)
    listed(w.later(20), [LINE_UP])
    assert w.call(a1).state is CallState.CONNECTED


def test_a_connect_forgets_doubts_and_needs_none() -> None:
    w = World(parked("g7"))
    a1 = w.talks()
    listed(w.later(1), [LINE_UP])
    w.tell(ev.PbxDisconnected)
    w.tell(ev.PbxConnected, channels=(LINE_UP, person(a1, "up", BRIDGE)))
    assert not w.floor.has_doubts
    listed(w.later(20), [LINE_UP])
    assert w.call(a1).state is CallState.CONNECTED


# -- what is written down -----------------------------------------------------------------------


def must_note(w: World, channels: Iterable[LiveChannel]) -> bool:
    event = ev.PbxListed(at=w.at, asked_at=w.at, channels=tuple(channels))
    return w.floor.must_note(event, w.floor.handle(event))


def test_a_list_is_written_down_if_it_says_anything_new_or_takes_a_doubt_away() -> None:
    w = World(parked("g7"))
    a1: AttemptId = w.talks()
    all_well = [LINE_UP, person(a1, "up", BRIDGE)]
    assert not must_note(w, all_well)
    assert must_note(w.later(1), [LINE_UP])
    assert must_note(w.later(20), all_well)
    assert not must_note(w.later(20), all_well)
