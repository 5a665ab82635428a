"""The transition table of a call: total, nothing extra, and each cell does what the grid below says.

A cell of a grid is the state after the fact, then the orders given, by their initials. ``.`` is "stay,
and nothing is ordered": not a field changes.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core.commands import (
    AnyCommand,
    CloseLine,
    HangUp,
    HoldContact,
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
    hold_bridge,
    line_bridge,
)
from dialer.core.values import Call, CallState, Result
from tests.unit.core.world import campaign

AT = 100.0
A1 = AttemptId("a00000000000000000001")
G7 = AgentId("g7")
LINE = ChannelId("line")
BRIDGE = line_bridge(LINE)
INITIALS: dict[str, type] = {
    "hang": HangUp,
    "join": JoinAgent,
    "word": SendToLastWord,
    "hold": HoldContact,
    "open": OpenLine,
    "close": CloseLine,
    "tell": Tell,
}


def test_the_table_is_total_and_has_no_extra_cells() -> None:
    assert set(calls.TABLE) == set(itertools.product(CallState, calls.FACTS))


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
    "dialplan": calls.LeftToDialplan(at=AT),
    "limit": calls.LimitPassed(at=AT),
    "machine": ev.MachineAnswered(at=AT, attempt=A1),
    "message": ev.AnnouncementBegan(at=AT, attempt=A1),
    "returned": ev.ContactReturned(at=AT, attempt=A1),
    "chose": ev.ContactChose(at=AT, attempt=A1, choice="confirm"),
    "found": ev.AnswerFound(at=AT, attempt=A1, answered_at=AT - 5),
    "gone": ev.ContactHungUp(at=AT, attempt=A1, cause=16),
}
CALL_GRID = """
state      refused rang    answered reserved        promised left        connected unjoined    end         expired     dialplan gone
dialing    ended   ringing answered same            same     same        .         .           ending+hang ending+hang .        ended
ringing    .       .       answered same            same     same        .         .           ending+hang ending+hang .        ended
answered   .       .       .        connecting+join same     same        .         .           ending+hang ending+word ending   ended
connecting .       .       .        .               .        answered    connected answered    ending+hang ending+word ending   ended
connected  .       .       .        .               .        ending+hang .         .           ending+hang .           .        ended
ending     ended   .       same+hang .              .        .           .         .           .           same+hang   .        ended
ended      .       .       .        .               .        .           .         .           .           .           .        .
"""
NEW_GRID = """
state      limit machine message returned      chose  found
dialing    .     ending  ending  answered+hold ending ending
ringing    .     ending  ending  answered+hold ending ending
answered   .     .       .       .             same   .
connecting .     .       .       .             same   .
connected  .     .       .       .             same   .
ending     .     .       .       .             same   same
ended      .     .       .       .             .      .
"""
"""What the dialplan tells and leaves behind, and the law's time, which is not over here. In ``ending`` it is we who hung up."""


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


@pytest.mark.parametrize(("state", "fact", "cell"), [*read_grid(CALL_GRID), *read_grid(NEW_GRID)])
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


# -- nobody free in time ------------------------------------------------------------------

HOLD: dict[str, Any] = {"no_agent": "hold", "hold_s": 60.0}
MUSIC = HoldContact(
    attempt=A1, bridge=hold_bridge(CampaignId("spring")), hold_s=75.0, campaign=CampaignId("spring")
)
"""The music lasts a minute, and a phone rung at the end of it 15 seconds more."""


def waits(**changes: Any) -> Call:
    return replace(call_in(CallState.ANSWERED), agent=None, **changes)


def test_with_nobody_free_in_time_the_person_is_held() -> None:
    after, commands = stepped(waits(), CALL_FACTS["expired"], **HOLD)
    assert (after.state, after.held_at, after.deadline) == (CallState.ANSWERED, AT, AT + 60)
    assert commands == [MUSIC]


def test_or_hung_up_on() -> None:
    after, commands = stepped(waits(), CALL_FACTS["expired"], no_agent="hang_up")
    assert (after.state, after.ending, commands) == (
        CallState.ENDING,
        "no_agent",
        [HangUp(channel=ChannelId(A1))],
    )


def test_at_the_end_of_the_music_comes_the_last_word() -> None:
    for what in ("hold", "hang_up", "last_word"):  # whatever the campaign has become meanwhile
        held = waits(held_at=AT - 60)
        after, commands = stepped(held, CALL_FACTS["expired"], **{**HOLD, "no_agent": what})
        assert (after.state, commands) == (CallState.ENDING, [SendToLastWord(attempt=A1)])


def test_who_loses_an_operator_after_the_limit_is_held_too() -> None:
    late = replace(call_in(CallState.CONNECTING), answered_at=AT - 2)
    after, commands = stepped(late, CALL_FACTS["left"], **HOLD)
    assert (after.state, after.agent, after.held_at, commands) == (CallState.ANSWERED, None, AT, [MUSIC])


@pytest.mark.parametrize("fact", ["left", "unjoined"])
def test_who_was_held_and_loses_the_operator_is_put_back_and_the_limit_is_the_old_one(fact: str) -> None:
    held = replace(call_in(CallState.CONNECTING), held_at=AT - 20)
    after, commands = stepped(held, CALL_FACTS[fact], **HOLD)
    assert (after.state, after.agent, after.held_at, after.deadline) == (
        CallState.ANSWERED,
        None,
        AT - 20,
        AT + 40,
    )
    assert commands == [msgspec.structs.replace(MUSIC, hold_s=55.0)]


def test_a_join_that_was_not_confirmed_ends_the_wait_also_of_who_was_held() -> None:
    held = replace(call_in(CallState.CONNECTING), held_at=AT - 20)
    after, commands = stepped(held, CALL_FACTS["expired"], **HOLD)
    assert (after.state, commands) == (CallState.ENDING, [SendToLastWord(attempt=A1)])


def test_a_join_tells_that_the_person_was_held() -> None:
    _, commands = stepped(waits(held_at=AT - 20), CALL_FACTS["reserved"], **HOLD)
    assert commands == [JoinAgent(attempt=A1, agent=G7, bridge=BRIDGE, is_held=True)]


def test_a_person_whom_the_dialplan_has_is_waited_for_and_sent_back_if_they_come() -> None:
    after, _ = stepped(waits(), CALL_FACTS["dialplan"], **HOLD)
    assert (after.ending, after.deadline) == ("no_agent", AT + calls.LAST_WORD_S)
    assert stepped(after, CALL_FACTS["answered"])[1] == [SendToLastWord(attempt=A1)]


def test_the_last_word_has_three_minutes() -> None:
    after, _ = stepped(call_in(CallState.ANSWERED), CALL_FACTS["expired"])
    assert (after.ending, after.deadline) == ("no_agent", AT + 180)


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


@pytest.mark.parametrize(("mode", "ending"), [("predictive", "no_agent"), ("announcement", "announcement")])
def test_an_answer_that_is_found_is_one_to_what_the_dialplan_says(mode: str, ending: str) -> None:
    after, _ = stepped(call_in(CallState.RINGING), CALL_FACTS["found"], mode=mode)
    is_abandoned = mode != "announcement"
    assert (after.ending, after.answered_at) == (ending, AT - 5)
    assert after.abandoned_at == (AT if is_abandoned else None)
    over, _ = stepped(after, ev.ContactHungUp(at=AT + 1, attempt=A1), mode=mode)
    assert over.result is (Result.ABANDONED if is_abandoned else Result.ANNOUNCED)


@pytest.mark.parametrize(
    ("told", "believed"), [(AT - 900, AT - 20), (AT - 19, AT - 10), (AT - 3, AT - 3), (AT + 900, AT)]
)
def test_a_files_time_is_believed_within_the_call(told: float, believed: float) -> None:
    rang = replace(call_in(CallState.RINGING), rang_at=AT - 10 if told != AT - 900 else None)
    after, _ = stepped(rang, ev.AnswerFound(at=AT, attempt=A1, answered_at=told))
    assert after.answered_at == believed


def test_an_answer_that_is_found_after_we_gave_up_crossed_that_unless_it_was_a_machines() -> None:
    rang_long = replace(call_in(CallState.ENDING), ending="no_answer")
    after, commands = stepped(rang_long, CALL_FACTS["found"])
    assert (after.ending, after.answered_at, after.abandoned_at, commands) == ("no_answer", AT - 5, AT, [])
    for known in (replace(rang_long, ending="machine"), replace(rang_long, answered_at=AT - 9)):
        assert stepped(known, CALL_FACTS["found"]) == (known, [])


def test_why_a_call_was_never_placed_is_kept() -> None:
    after, _ = stepped(call_in(CallState.DIALING), CALL_FACTS["refused"])
    assert (after.result, after.ending) == (Result.FAILED, "500 Allocation failed")
