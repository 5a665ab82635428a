"""Nobody free at the answer: the last word, a hang-up, or music until somebody is."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core import events as ev
from dialer.core.commands import AnnounceWait, HangUp, HoldContact, JoinAgent, OpenLine, SendToLastWord
from dialer.core.ids import AttemptId, ChannelId, hold_bridge
from dialer.core.values import Agent, AgentState, CallState, Result
from dialer.core.waiting import FREED_MIN, TELL_S, WINDOW_S, estimate
from tests.unit.core.test_floor_adoption import BRIDGE, LINE_UP, connect, lose, person, restart
from tests.unit.core.world import CAMPAIGN, World, campaign, parked, rung

HELD: dict[str, Any] = {"no_agent": "hold", "hold_s": 60.0, "wait_s": 0.0}
MUSIC = hold_bridge(CAMPAIGN)


def nobody_free(**rules: Any) -> tuple[World, AttemptId]:
    """Somebody is dialed, and meanwhile the only operator takes a break."""
    w = World(parked("g7"), **{**HELD, **rules})
    attempt = w.only()
    w.dial("g7", "421")
    w.look()
    return w, attempt


def held(**rules: Any) -> tuple[World, AttemptId]:
    """Somebody hears music."""
    w, attempt = nobody_free(**rules)
    w.answers(attempt)
    (hold,) = w.look()
    assert isinstance(hold, HoldContact)
    return w, attempt


def two_held() -> tuple[World, AttemptId, AttemptId]:
    """Two people hear music, and two operators take a break."""
    w = World(parked("g7"), parked("g8"), leads=2, **HELD)
    first, second = w.live()
    w.dial("g7", "421")
    w.dial("g8", "421")
    w.answers(second)
    w.later(1).answers(first)
    w.look()
    return w, second, first


# -- what the campaign wants ----------------------------------------------------------------


def test_nobody_waits_where_the_campaign_lets_nobody_wait() -> None:
    w, attempt = nobody_free()
    w.answers(attempt)
    assert w.look() == [HoldContact(attempt=attempt, bridge=MUSIC, hold_s=75.0, campaign=CAMPAIGN)]
    assert (w.call(attempt).state, w.call(attempt).held_at) == (CallState.ANSWERED, w.at)


def test_but_who_can_be_served_at_once_is_not_held() -> None:
    w = World(parked("g7"), **HELD)
    w.answers(w.only())
    assert "HoldContact" not in w.seen()


@pytest.mark.parametrize("is_timer_lost", [False, True])
def test_a_person_is_held_when_the_waiting_time_is_over(is_timer_lost: bool) -> None:
    w, attempt = nobody_free(wait_s=2.0)
    w.answers(attempt)
    assert w.look() == []
    if is_timer_lost:
        w.tick(2.0)
    else:
        w.fires(attempt)
    assert [type(one) for one in w.look()] == [HoldContact]


def test_a_person_may_be_hung_up_on_and_that_is_abandoned() -> None:
    w, attempt = nobody_free(no_agent="hang_up")
    w.answers(attempt)
    assert w.look() == [HangUp(channel=ChannelId(attempt))]
    w.hangs_up(attempt, 16)
    assert w.call(attempt).result is Result.ABANDONED


def test_at_the_limit_the_last_word_is_said_and_that_is_abandoned() -> None:
    w, attempt = held()
    w.fires(attempt)
    assert w.at == (w.call(attempt).held_at or 0.0) + 60
    assert w.look() == [SendToLastWord(attempt=attempt)]
    w.hangs_up(attempt, 16)
    assert w.call(attempt).result is Result.ABANDONED


def test_a_person_who_hangs_up_during_the_music_hung_up() -> None:
    w, attempt = held()
    w.later(10).hangs_up(attempt, 16)
    assert (w.call(attempt).result, w.call(attempt).agent) == (Result.HUNG_UP, None)
    assert w.is_quiet()
    w.look()
    w.tick(TELL_S)
    assert w.look(AnnounceWait) == []


def test_nobody_is_held_when_all_operators_went_home() -> None:
    w, attempt = nobody_free()
    w.dial("g7", "41")
    w.look()
    w.answers(attempt)
    assert w.look() == [SendToLastWord(attempt=attempt)]


def test_an_operator_of_another_campaign_is_no_reason_to_wait() -> None:
    w = World(parked("g7"), parked("g8", "summer"), campaigns=[campaign(**HELD), campaign("summer")])
    attempt = w.only()
    w.dial("g7", "421")
    w.dial("g7", "41")
    w.look()
    w.answers(attempt)
    assert w.look() == [SendToLastWord(attempt=attempt)]


# -- who is served ----------------------------------------------------------------------------


def test_a_person_who_is_held_is_joined_as_soon_as_somebody_is_free() -> None:
    w, attempt = held()
    w.later(20).dial("g7", "43")
    (join,) = w.look(JoinAgent)
    assert join == JoinAgent(attempt=attempt, agent=join.agent, bridge=BRIDGE, is_held=True)
    w.joins(attempt)
    assert (w.call(attempt).state, w.state("g7")) == (CallState.CONNECTED, AgentState.ON_CALL)


def test_who_answered_first_is_served_first() -> None:
    w, first, second = two_held()
    w.dial("g7", "43")
    w.dial("g8", "43")
    assert [join.attempt for join in w.look(JoinAgent)] == [first, second]


def test_who_loses_an_operator_keeps_their_turn() -> None:
    w, first, second = two_held()
    w.dial("g7", "43")
    w.line_ends("g7")
    again = [one.attempt for one in w.look() if isinstance(one, HoldContact)]
    assert again == [first], "back to the music"
    w.dial("g8", "43")
    assert [join.attempt for join in w.look(JoinAgent)] == [first]
    assert w.call(second).state is CallState.ANSWERED


def test_a_person_keeps_an_operator_from_being_dialed_for_while_they_wait() -> None:
    w = World(parked("g7"), parked("g8", "summer"), leads=3, **HELD)
    (attempt,) = w.live()
    w.dial("g7", "421")
    w.answers(attempt)
    dialed = len(w.originated())
    w.dial("g7", "43")
    assert len(w.originated()) == dialed


def test_a_join_that_is_refused_brings_the_music_back() -> None:
    w, attempt = held()
    w.dial("g7", "43")
    w.look()
    w.tell(ev.JoinRefused, attempt=attempt, bridge=BRIDGE, reason="no answer")
    kinds = [type(one) for one in w.look()]
    assert kinds == [HoldContact, OpenLine]


def test_who_turns_up_with_an_operator_who_is_busy_is_put_back() -> None:
    """A join that was told as refused had happened."""
    w, attempt = held()
    w.dial("g7", "43")
    w.tell(ev.JoinRefused, attempt=attempt, bridge=BRIDGE, reason="no answer")
    w.dial("g7", "421")
    w.look()
    w.tell(ev.Connected, attempt=attempt, bridge=BRIDGE)
    assert [type(one) for one in w.look()] == [HoldContact]
    assert w.call(attempt).state is CallState.ANSWERED


def test_a_rung_phone_is_rung_to_the_music_and_the_music_goes_on_if_nobody_is_there() -> None:
    w = World(rung("g7"), ring_agent="at_answer", agent_ring_s=10.0, **HELD)
    attempt = w.only()
    w.dial("g7", "421")
    w.answers(attempt)
    w.look()
    w.later(55).dial("g7", "43")
    assert sorted(w.seen()) == ["Dismiss", "RingAgent"]
    w.fires("g7", "agent")
    assert (w.at, w.state("g7")) == ((w.call(attempt).held_at or 0.0) + 65, AgentState.PAUSED)
    assert SendToLastWord(attempt=attempt) in w.look(), "and here the limit has passed meanwhile"


# -- what they are told -----------------------------------------------------------------------


def test_the_estimate_is_the_turn_times_the_pace() -> None:
    assert estimate(1, [0.0, 20.0, 40.0], 40.0) == 20.0
    assert estimate(3, [0.0, 20.0, 40.0], 40.0) == 60.0


def test_the_estimate_grows_while_nobody_becomes_free() -> None:
    assert estimate(1, [0.0, 20.0, 40.0], 100.0) == 50.0


def test_from_little_nothing_is_told() -> None:
    assert estimate(1, [0.0] * (FREED_MIN - 1), 100.0) is None


def test_a_person_is_told_a_time_that_follows_from_the_pace() -> None:
    w = World(parked("g7"), parked("g8"), leads=20, **{**HELD, "wrap_up_s": 0.0})
    w.dial("g8", "421")
    w.hangs_up(w.live()[1])
    for _ in range(4):
        w.hangs_up(w.later(20).talks())
    w.dial("g8", "43")
    first, second = w.live(CallState.DIALING)
    w.answers(first)
    w.dial("g8", "421")
    assert w.call(first).agent == "g7"
    w.answers(second)
    (hold,) = w.look(HoldContact)
    assert hold.wait_s == 20.0


@pytest.fixture
def paced() -> tuple[World, AttemptId]:
    """Somebody hears music while the operator, of whom a pace is known, is at work in another call."""
    w = World(parked("g7"), parked("g8"), leads=2, **HELD)
    first, second = w.live()
    w.answers(first)
    w.joins(first)
    other = "g8" if w.call(first).agent == "g7" else "g7"
    w.dial(other, "421")
    busy = w.call(first).agent
    assert busy is not None
    for n in range(4):
        w.floor._state.waiting.freed(busy, w.at - 60 + 15 * n)
    w.look()
    return w, second


def test_a_person_is_told_the_time_as_the_music_begins(paced: tuple[World, AttemptId]) -> None:
    w, attempt = paced
    w.answers(attempt)
    (hold,) = w.look(HoldContact)
    assert hold.wait_s == 20.0, "three intervals in the last minute"


def test_who_is_paused_brings_nobody_nearer(paced: tuple[World, AttemptId]) -> None:
    w, attempt = paced
    other = next(agent for agent in ("g7", "g8") if w.state(agent) is AgentState.PAUSED)
    for n in range(50):
        w.floor._state.waiting.freed(w.agent(other).id, w.at - 50 + n)
    w.answers(attempt)
    (hold,) = w.look(HoldContact)
    assert hold.wait_s == 20.0


def test_what_was_long_ago_says_nothing(paced: tuple[World, AttemptId]) -> None:
    w, attempt = paced
    w.later(WINDOW_S)
    w.answers(attempt)
    (hold,) = w.look(HoldContact)
    assert hold.wait_s is None


def test_a_time_longer_than_the_music_is_not_told(paced: tuple[World, AttemptId]) -> None:
    w, attempt = paced
    w.later(200)
    w.answers(attempt)
    (hold,) = w.look(HoldContact)
    assert estimate(1, [w.at - 260 + 15 * n for n in range(4)], w.at) == 260 / 3, (
        "and the music lasts a minute"
    )
    assert hold.wait_s is None


def test_a_person_is_told_again_and_again(paced: tuple[World, AttemptId]) -> None:
    w, attempt = paced
    w.answers(attempt)
    w.look()
    w.tick(TELL_S - 1)
    assert w.look() == []
    w.tick(1)
    # The operator has not become free all the while: that is a part of the truth.
    assert w.look() == [AnnounceWait(attempt=attempt, wait_s=(60 + TELL_S) / 3, campaign=CAMPAIGN)]
    w.tick(TELL_S - 1)
    assert w.look() == []


def test_a_conversation_that_ends_counts_and_a_pause_that_ends_does_not() -> None:
    w = World(parked("g7"), leads=0, **HELD)
    w.dial("g7", "421")
    w.dial("g7", "43")
    queue = w.floor._state.waiting
    assert list(queue._freed) == []
    w = World(parked("g7"), **{**HELD, "wrap_up_s": 5.0})
    w.hangs_up(w.talks())
    w.fires("g7", "agent")
    assert [agent for _, agent in w.floor._state.waiting._freed] == ["g7"]


# -- an engine that dies ----------------------------------------------------------------------


@pytest.fixture(params=["cut", "restart"])
def after(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_who_is_held_is_adopted_and_served_by_whoever_is_free_next(after: str) -> None:
    w, attempt = held()
    lose(w, after)
    connect(w.later(5), [LINE_UP, person(attempt, "up", MUSIC)])
    assert (w.call(attempt).state, w.look()) == (CallState.ANSWERED, [])
    w.dial("g7", "43")
    (join,) = w.look(JoinAgent)
    assert (join.attempt, join.is_held) == (attempt, True)


def test_who_is_held_is_adopted_with_the_old_limit(after: str) -> None:
    w, attempt = held()
    lose(w, after)
    connect(w.later(61), [LINE_UP, person(attempt, "up", MUSIC)])
    assert w.look() == [SendToLastWord(attempt=attempt)]


def test_whose_way_to_the_music_got_lost_is_sent_there_again(after: str) -> None:
    w, attempt = held()
    lose(w, after)
    connect(w.later(5), [LINE_UP, person(attempt, "up")])
    assert w.look() == [HoldContact(attempt=attempt, bridge=MUSIC, hold_s=70.0, campaign=CAMPAIGN)]


def test_whose_join_got_lost_is_fetched_from_the_music(after: str) -> None:
    w, attempt = held()
    w.dial("g7", "43")
    lose(w, after)
    connect(w, [LINE_UP, person(attempt, "up", MUSIC)])
    (join,) = w.look()
    assert (type(join), join.attempt, join.is_held) == (JoinAgent, attempt, True)


def test_who_answered_while_nobody_watched_is_held_or_served_at_once() -> None:
    w, attempt = nobody_free()
    restart(w)
    connect(w, [LINE_UP, person(attempt, "up")])
    assert [type(one) for one in w.look()] == [HoldContact]


def test_who_waited_past_the_limit_while_nobody_watched_gets_their_due_at_once(after: str) -> None:
    w, attempt = nobody_free(wait_s=2.0, no_agent="last_word")
    w.answers(attempt)
    lose(w, after)
    connect(w.later(3), [LINE_UP, person(attempt, "up")])
    assert w.look() == [SendToLastWord(attempt=attempt)]


def test_who_waited_past_the_limit_is_served_all_the_same_if_somebody_is_free_by_now() -> None:
    w = World(parked("g7"), wait_s=2.0)
    attempt = w.only()
    w.dial("g7", "421")
    w.answers(attempt)
    w.look()
    agents = w.store.agents
    agents[w.agent("g7").id] = Agent(
        id=w.agent("g7").id,
        state=AgentState.READY,
        since=w.at,
        channel=w.agent("g7").channel,
        has_line=True,
    )
    restart(w)
    w.tick(3.0)
    assert w.seen() == ["JoinAgent", "Tell"]


def test_whom_the_dialplan_took_back_is_not_put_into_the_music(after: str) -> None:
    w, attempt = held()
    lose(w, after)
    connect(w.later(61), [LINE_UP, person(attempt, "up", in_app=False)])
    assert (w.call(attempt).state, w.look()) == (CallState.ENDING, [])
