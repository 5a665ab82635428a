"""The transition tables: total, nothing extra, and each cell does what the grids below say.

A cell of a grid is the state after the fact, then the orders given, by their initials. ``.`` is "stay,
and nothing is ordered": not a field changes.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core.commands import (
    AnyCommand,
    CloseLine,
    HangUp,
    JoinAgent,
    OpenLine,
    SendToLastWord,
    Tell,
)
from dialer.core.ids import (
    AgentId,
    AttemptId,
    CampaignId,
    ChannelId,
    ContactId,
    LeadId,
    PhoneId,
    TrunkId,
    line_bridge,
)
from dialer.core.values import Agent, AgentCard, AgentState, Call, CallState, Result
from tests.unit.core.world import campaign, parked, rung

AT = 100.0
A1 = AttemptId("a00000000000000000001")
G7 = AgentId("g7")
LINE = ChannelId("line")
BRIDGE = line_bridge(LINE)
INITIALS: dict[str, type] = {
    "hang": HangUp,
    "join": JoinAgent,
    "word": SendToLastWord,
    "open": OpenLine,
    "close": CloseLine,
    "tell": Tell,
}


def test_the_tables_are_total_and_have_no_extra_cells() -> None:
    assert set(calls.TABLE) == set(itertools.product(CallState, calls.FACTS))
    assert set(agents.TABLE) == set(itertools.product(AgentState, agents.FACTS))


def read_grid(text: str) -> list[tuple[str, str, str]]:
    """(state, fact, what happens) for each cell of a grid."""
    head, *lines = text.strip().splitlines()
    facts = head.split()[1:]
    cells = []
    for line in lines:
        state, *row = line.split()
        assert len(row) == len(facts), f"a blank in: {line}"
        cells += [(state, fact, cell) for fact, cell in zip(facts, row, strict=True)]
    return cells


def told(state: str, before: str, commands: list[AnyCommand], *, is_changed: bool) -> str:
    """What happened, in a grid's words."""
    if not is_changed and not commands:
        return "."
    names = {kind: name for name, kind in INITIALS.items()}
    return "+".join([state if state != before else "same", *(names[type(one)] for one in commands)])


# -- one attempt --------------------------------------------------------------------------

CALL_FACTS: dict[str, Any] = {
    "refused": ev.OriginateRefused(at=AT, attempt=A1, reason="500 Allocation failed"),
    "rang": ev.ContactRang(at=AT, attempt=A1),
    "answered": ev.ContactAnswered(at=AT, attempt=A1),
    "reserved": calls.AgentReserved(at=AT, agent=G7, bridge=BRIDGE),
    "promised": calls.AgentReserved(at=AT, agent=G7, bridge=None, ring_s=15),
    "left": calls.AgentLeft(at=AT),
    "connected": ev.Connected(at=AT, attempt=A1, bridge=BRIDGE),
    "unjoined": ev.JoinRefused(at=AT, attempt=A1, bridge=BRIDGE, reason="404"),
    "end": calls.EndAsked(at=AT, why="operator"),
    "expired": calls.Expired(at=AT),
    "gone": ev.ContactHungUp(at=AT, attempt=A1, cause=16),
}
CALL_GRID = """
state      refused rang    answered reserved        promised left        connected unjoined    end         expired     gone
dialing    ended   ringing answered same            same     same        .         .           ending+hang ending+hang ended
ringing    .       .       answered same            same     same        .         .           ending+hang ending+hang ended
answered   .       .       .        connecting+join same     same        .         .           ending+hang ending+word ended
connecting .       .       .        .               .        answered    connected answered    ending+hang ending+word ended
connected  .       .       .        .               .        ending+hang .         .           ending+hang .           ended
ending     ended   .       same+hang .              .        .           .         .           .           same+hang   ended
ended      .       .       .        .               .        .           .         .           .           .           .
"""


def call_in(state: CallState) -> Call:
    call = Call(
        attempt=A1,
        campaign=CampaignId("spring"),
        lead=LeadId(1),
        contact=ContactId(1),
        phone=PhoneId(1),
        number="+70000001",
        ordinal=1,
        trunk=TrunkId("t"),
        state=state,
        created_at=AT - 20,
        deadline=AT,
    )
    was_answered = state in (CallState.ANSWERED, CallState.CONNECTING, CallState.CONNECTED)
    return replace(
        call,
        answered_at=AT - 1 if was_answered else None,
        connected_at=AT - 0.5 if state is CallState.CONNECTED else None,
        agent=G7 if state not in (CallState.ENDING, CallState.ENDED) else None,
        deadline=None if state in (CallState.CONNECTED, CallState.ENDED) else AT,
        result=Result.BUSY if state is CallState.ENDED else None,
        ended_at=AT - 0.1 if state is CallState.ENDED else None,
    )


def replace(call: Call, **changes: Any) -> Call:
    return msgspec.structs.replace(call, **changes)


@pytest.mark.parametrize(("state", "fact", "cell"), read_grid(CALL_GRID))
def test_a_cell_of_the_call_table(state: str, fact: str, cell: str) -> None:
    before = call_in(CallState(state))
    if (state, fact) == ("answered", "promised"):
        before = replace(before, agent=None)
    if fact in ("reserved", "promised") and state in ("dialing", "ringing"):
        before = replace(before, agent=None)
    after, commands = calls.step(before, CALL_FACTS[fact], campaign(wait_s=2.0))
    assert told(after.state, before.state, commands, is_changed=after != before) == cell
    if after.state in (CallState.CONNECTED, CallState.ENDED):
        assert after.deadline is None
    else:
        assert after.deadline is not None, "a state that waits has a deadline"
    if after.state is CallState.ENDED:
        assert after.result is not None
        assert after.ended_at is not None


def stepped(before: Call, fact: Any, **changes: Any) -> tuple[Call, list[AnyCommand]]:
    return calls.step(before, fact, campaign(**{"wait_s": 2.0, **changes}))


def test_an_answer_gives_the_person_the_campaigns_waiting_time() -> None:
    after, _ = stepped(call_in(CallState.RINGING), CALL_FACTS["answered"], wait_s=3.5)
    assert (after.answered_at, after.deadline) == (AT, AT + 3.5)


def test_a_join_has_five_seconds() -> None:
    after, commands = stepped(replace(call_in(CallState.ANSWERED), agent=None), CALL_FACTS["reserved"])
    assert after.deadline == AT + 5
    assert commands == [JoinAgent(attempt=A1, agent=G7, bridge=BRIDGE)]


def test_a_person_whose_agent_is_being_rung_waits_as_long_as_that_may_take() -> None:
    after, _ = stepped(replace(call_in(CallState.ANSWERED), agent=None), CALL_FACTS["promised"])
    assert (after.agent, after.deadline) == (G7, AT + 15)


@pytest.mark.parametrize("fact", ["left", "unjoined"])
def test_without_its_agent_a_person_waits_on_and_the_limit_counts_from_the_answer(fact: str) -> None:
    after, _ = stepped(call_in(CallState.CONNECTING), CALL_FACTS[fact])
    assert (after.agent, after.deadline) == (None, AT - 1 + 2)


@pytest.mark.parametrize("state", [CallState.ANSWERED, CallState.CONNECTING])
def test_a_person_who_loses_the_agent_after_the_limit_gets_the_last_word_at_once(state: CallState) -> None:
    late = replace(call_in(state), answered_at=AT - 2)
    after, commands = stepped(late, CALL_FACTS["left"])
    assert (after.state, after.ending, commands) == (
        CallState.ENDING,
        "no_agent",
        [SendToLastWord(attempt=A1)],
    )


def test_the_last_word_has_two_minutes() -> None:
    after, _ = stepped(call_in(CallState.ANSWERED), CALL_FACTS["expired"])
    assert (after.ending, after.deadline) == ("no_agent", AT + 120)


def test_a_person_sent_to_the_last_word_before_the_channel_was_ours_is_sent_again() -> None:
    ending = replace(call_in(CallState.ENDING), answered_at=AT - 1, ending="no_agent")
    after, commands = stepped(ending, CALL_FACTS["answered"])
    assert after == ending
    assert commands == [SendToLastWord(attempt=A1)]


def test_an_answer_told_twice_while_we_hang_up_changes_nothing() -> None:
    ending = replace(call_in(CallState.ENDING), answered_at=AT - 1, ending="operator")
    assert stepped(ending, CALL_FACTS["answered"]) == (ending, [])


def test_a_refusal_that_comes_after_we_gave_up_ends_the_call_unless_it_rang() -> None:
    after, _ = stepped(call_in(CallState.ENDING), CALL_FACTS["refused"])
    assert after.result is Result.FAILED
    rang = replace(call_in(CallState.ENDING), rang_at=AT - 5)
    assert stepped(rang, CALL_FACTS["refused"]) == (rang, [])


@pytest.mark.parametrize(
    ("state", "fact", "ending"),
    [
        (CallState.DIALING, "expired", "no_answer"),
        (CallState.RINGING, "expired", "no_answer"),
        (CallState.CONNECTED, "left", "agent_gone"),
        (CallState.CONNECTED, "end", "operator"),
    ],
)
def test_why_we_hang_up_is_kept(state: CallState, fact: str, ending: str) -> None:
    after, commands = stepped(call_in(state), CALL_FACTS[fact])
    assert (after.ending, after.deadline) == (ending, AT + 5)
    assert commands == [HangUp(channel=ChannelId(A1))]


def test_why_a_call_was_never_placed_is_kept() -> None:
    after, _ = stepped(call_in(CallState.DIALING), CALL_FACTS["refused"])
    assert (after.result, after.ending) == (Result.FAILED, "500 Allocation failed")


# -- one agent ----------------------------------------------------------------------------

AGENT_FACTS: dict[str, Any] = {
    "sign_in": agents.SignInAsked(at=AT, channel=ChannelId("another")),
    "sign_out": agents.SignOutAsked(at=AT),
    "pause": agents.PauseAsked(at=AT, reason="lunch"),
    "ready": agents.ReadyAsked(at=AT),
    "leg_up": agents.LegUp(at=AT),
    "line_up": agents.LineUp(at=AT),
    "line_down": agents.LineDown(at=AT),
    "reserved": agents.Reserved(at=AT, attempt=A1),
    "joined": agents.Joined(at=AT),
    "over": agents.CallOver(at=AT, wrap_up_s=10),
    "expired": agents.Expired(at=AT),
}
PARKED_GRID = """
state      sign_in                  sign_out              pause  ready leg_up    line_up    line_down             reserved joined  over         expired
signed_out arriving+open            .                     .      .     .         .          .                     .        .       .            .
arriving   arriving+hang+close+open signed_out+hang+close same   .     .         ready+tell signed_out+hang+close .        .       .            signed_out+hang+close
ready      arriving+hang+close+open signed_out+hang+close paused .     .         .          signed_out+hang+close reserved .       .            .
reserved   arriving+hang+close+open same                  same   .     same+open .          signed_out+hang+close .        on_call ready        .
on_call    arriving+hang+close+open same                  same   .     .         .          signed_out+hang+close .        .       wrap_up+tell .
wrap_up    arriving+hang+close+open signed_out+hang+close paused ready .         .          signed_out+hang+close .        .       .            ready
paused     arriving+hang+close+open signed_out+hang+close same   ready .         .          signed_out+hang+close .        .       .            .
"""
RUNG_GRID = """
state      sign_in sign_out              pause  ready leg_up    line_up line_down          reserved joined  over               expired
signed_out ready   .                     .      .     .         .       .                  .        .       .                  .
ready      .       signed_out            paused .     .         .       .                  reserved .       .                  .
reserved   .       same                  same   .     same+open same    paused+hang+close  .        on_call ready+hang+close   paused+hang+close
on_call    .       same                  same   .     .         .       same+hang+close    .        .       wrap_up+hang+close .
wrap_up    ready   signed_out            paused ready .         .       .                  .        .       .                  ready
paused     ready   signed_out            same   ready .         .       .                  .        .       .                  .
"""


def agent_in(state: AgentState, card: AgentCard) -> Agent:
    is_in_call = state in (AgentState.RESERVED, AgentState.ON_CALL)
    has_line = state is AgentState.ON_CALL or card.leg == "parked"
    is_out = state is AgentState.SIGNED_OUT
    timed = (AgentState.ARRIVING, AgentState.WRAP_UP)
    return Agent(
        id=card.id,
        state=state,
        since=AT - 10,
        reason="break" if state is AgentState.PAUSED else "",
        channel=LINE if not is_out and (is_in_call or card.leg == "parked") else None,
        has_line=has_line and state not in (AgentState.SIGNED_OUT, AgentState.ARRIVING),
        attempt=A1 if is_in_call else None,
        deadline=AT if state in timed or (state is AgentState.RESERVED and card.leg == "rung") else None,
    )


@pytest.mark.parametrize(
    ("card", "state", "fact", "cell"),
    [
        *((parked("g7"), *cell) for cell in read_grid(PARKED_GRID)),
        *((rung("g7"), *cell) for cell in read_grid(RUNG_GRID)),
    ],
    ids=lambda value: value.leg if isinstance(value, AgentCard) else str(value),
)
def test_a_cell_of_the_agent_table(card: AgentCard, state: str, fact: str, cell: str) -> None:
    before = agent_in(AgentState(state), card)
    after, commands = agents.step(before, AGENT_FACTS[fact], card)
    assert told(after.state, before.state, commands, is_changed=after != before) == cell.replace(
        f"{state}+", "same+", 1
    )
    assert (after.attempt is not None) == (after.state in (AgentState.RESERVED, AgentState.ON_CALL))
    assert after.channel is not None or not after.has_line
    if after.state in (AgentState.ARRIVING, AgentState.WRAP_UP):
        assert after.deadline is not None
    if after.state in (AgentState.SIGNED_OUT, AgentState.READY, AgentState.PAUSED, AgentState.ON_CALL):
        assert after.deadline is None
    if after.state is not before.state:
        assert after.since == AT


@pytest.mark.parametrize("state", [state for state in AgentState if state is not AgentState.SIGNED_OUT])
def test_a_sign_in_told_twice_does_not_cut_the_line(state: AgentState) -> None:
    before = agent_in(state, parked("g7"))
    again = agents.SignInAsked(at=AT, channel=LINE)
    after, commands = agents.step(before, again, parked("g7"))
    assert (after, commands) == (before, [])


@pytest.mark.parametrize("card", [parked("g7"), rung("g7")], ids=["parked", "rung"])
@pytest.mark.parametrize("state", [AgentState.RESERVED, AgentState.ON_CALL])
def test_what_was_asked_during_a_call_is_done_when_it_is_over(state: AgentState, card: AgentCard) -> None:
    over = agents.CallOver(at=AT, wrap_up_s=0)
    before = agent_in(state, card)
    asked, _ = agents.step(before, AGENT_FACTS["pause"], card)
    after, _ = agents.step(asked, over, card)
    assert (after.state, after.reason, after.pause_asked) == (AgentState.PAUSED, "lunch", None)
    asked, _ = agents.step(before, AGENT_FACTS["sign_out"], card)
    after, _ = agents.step(asked, over, card)
    assert (after.state, after.channel, after.sign_out_asked) == (AgentState.SIGNED_OUT, None, False)


@pytest.mark.parametrize("fact", ["pause", "sign_out"])
@pytest.mark.parametrize("state", [AgentState.RESERVED, AgentState.ON_CALL])
def test_ready_takes_back_what_was_asked_during_a_call(state: AgentState, fact: str) -> None:
    card = parked("g7")
    asked, _ = agents.step(agent_in(state, card), AGENT_FACTS[fact], card)
    after, _ = agents.step(asked, AGENT_FACTS["ready"], card)
    after, _ = agents.step(after, agents.CallOver(at=AT, wrap_up_s=0), card)
    assert after.state is AgentState.READY


def test_wrap_up_lasts_as_long_as_the_campaign_says_and_is_left_out_if_it_is_nothing() -> None:
    card = parked("g7")
    after, _ = agents.step(agent_in(AgentState.ON_CALL, card), AGENT_FACTS["over"], card)
    assert (after.state, after.deadline) == (AgentState.WRAP_UP, AT + 10)
    after, _ = agents.step(agent_in(AgentState.ON_CALL, card), agents.CallOver(at=AT, wrap_up_s=0), card)
    assert (after.state, after.deadline) == (AgentState.READY, None)


def test_an_operator_who_wraps_up_and_asked_for_a_pause_gets_it_after_the_wrap_up() -> None:
    card = parked("g7")
    asked, _ = agents.step(agent_in(AgentState.ON_CALL, card), AGENT_FACTS["pause"], card)
    after, _ = agents.step(asked, AGENT_FACTS["over"], card)
    assert after.state is AgentState.WRAP_UP
    after, _ = agents.step(after, AGENT_FACTS["expired"], card)
    assert (after.state, after.reason) == (AgentState.PAUSED, "lunch")


def test_an_operator_who_arrives_and_asked_for_a_pause_begins_with_it() -> None:
    card = parked("g7")
    asked, _ = agents.step(agent_in(AgentState.ARRIVING, card), AGENT_FACTS["pause"], card)
    after, commands = agents.step(asked, AGENT_FACTS["line_up"], card)
    assert after.state is AgentState.PAUSED
    assert commands == [Tell(channel=LINE, message="signed_in")]


def test_a_rung_operator_whose_line_is_up_is_not_passed_over_when_the_deadline_fires_late() -> None:
    card = rung("g7")
    up, _ = agents.step(agent_in(AgentState.RESERVED, card), AGENT_FACTS["line_up"], card)
    assert (up.has_line, up.deadline) == (True, None)
    assert agents.step(up, AGENT_FACTS["expired"], card) == (up, [])


@pytest.mark.parametrize("fact", ["line_down", "expired"])
def test_a_rung_operator_who_did_not_pick_up_is_paused_for_that(fact: str) -> None:
    card = rung("g7")
    after, _ = agents.step(agent_in(AgentState.RESERVED, card), AGENT_FACTS[fact], card)
    assert (after.state, after.reason, after.channel) == (AgentState.PAUSED, "no_answer", None)
    leaving, _ = agents.step(agent_in(AgentState.RESERVED, card), AGENT_FACTS["sign_out"], card)
    after, _ = agents.step(leaving, AGENT_FACTS[fact], card)
    assert after.state is AgentState.SIGNED_OUT


def test_the_last_call_is_remembered_from_the_join_on() -> None:
    card = parked("g7")
    after, _ = agents.step(agent_in(AgentState.RESERVED, card), AGENT_FACTS["over"], card)
    assert after.last_attempt is None
    after, _ = agents.step(agent_in(AgentState.RESERVED, card), AGENT_FACTS["joined"], card)
    assert after.last_attempt == A1
