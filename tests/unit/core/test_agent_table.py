"""The transition table of an operator: total, nothing extra, and each cell does what the grids below say.

Grids are written as in :mod:`tests.unit.core.test_tables`.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from dialer.core import agent as agents
from dialer.core.commands import AnyCommand, CloseLine, HangUp, Tell
from dialer.core.ids import AttemptId, ChannelId, line_bridge
from dialer.core.values import Agent, AgentCard, AgentState, Centre
from tests.unit.core.test_tables import A1, AT, LINE, read_grid, told
from tests.unit.core.world import parked, rung

S = AgentState
LEG = [HangUp(channel=LINE), CloseLine(bridge=line_bridge(LINE))]
CENTRE = Centre(pause_s_max=10.0)
A2 = AttemptId("a00000000000000000002")
FACTS: dict[str, Any] = {
    "sign_in": agents.SignInAsked(at=AT, channel=ChannelId("another")),
    "sign_out": agents.SignOutAsked(at=AT),
    "pause": agents.PauseAsked(at=AT, reason="lunch"),
    "ready": agents.ReadyAsked(at=AT),
    "lost": agents.PhoneLost(at=AT),
    "busy": agents.PhoneBusy(at=AT),
    "free": agents.PhoneFree(at=AT),
    "leg_up": agents.LegUp(at=AT),
    "line_up": agents.LineUp(at=AT),
    "line_down": agents.LineDown(at=AT),
    "reserved": agents.Reserved(at=AT, attempt=A1),
    "moved": agents.CallMoved(at=AT, attempt=A2),
    "joined": agents.Joined(at=AT),
    "over": agents.CallOver(at=AT, wrap_up_s=10),
    "closed": agents.CardClosed(at=AT),
    "rules": agents.RulesChanged(at=AT),
    "expired": agents.Expired(at=AT),
}
PHONES: dict[str, agents.Phone] = {"lost": "lost", "busy": "in_use"}
PARKED_GRID = """
state      sign_in                  sign_out              pause  ready lost busy free leg_up    line_up    line_down             reserved moved joined  over         closed rules expired
signed_out arriving+open            .                     .      .     .    .    .    .         .          .                     .        .     .       .            .      .     .
arriving   arriving+hang+close+open signed_out+hang+close same   .     .    .    .    .         ready+tell signed_out+hang+close .        .     .       .            .      .     signed_out+hang+close
ready      arriving+hang+close+open signed_out+hang+close paused .     paused .  .    .         .          signed_out+hang+close reserved .     .       .            .      .     .
reserved   arriving+hang+close+open same                  same   .     .    .    .    same+open .          signed_out+hang+close .        same  on_call ready        .      .     .
on_call    arriving+hang+close+open same                  same   .     .    .    .    .         .          signed_out+hang+close .        .     .       wrap_up+tell .      .     .
wrap_up    arriving+hang+close+open signed_out+hang+close paused ready .    .    .    .         .          signed_out+hang+close .        .     .       .            ready  .     ready
paused     arriving+hang+close+open signed_out+hang+close same   ready .    .    .    .         .          signed_out+hang+close .        .     .       .            .      same  signed_out+hang+close
"""
RUNG_GRID = """
state      sign_in sign_out   pause  ready lost              busy   free leg_up    line_up line_down         reserved moved joined  over               closed rules expired
signed_out ready   .          .      .     .                 .      .    .         .       .                 .        .     .       .                  .      .     .
ready      .       signed_out paused .     paused            paused .    .         .       .                 reserved .     .       .                  .      .     .
reserved   .       same       same   .     paused+hang+close .      .    same+open same    paused+hang+close .        same  on_call ready+hang+close   .      .     paused+hang+close
on_call    .       same       same   .     .                 .      .    .         .       same+hang+close   .        .     .       wrap_up+hang+close .      .     .
wrap_up    ready   signed_out paused ready .                 .      .    .         .       .                 .        .     .       .                  ready  .     ready
paused     ready   signed_out same   ready .                 .      .    .         .       .                 .        .     .       .                  .      same  signed_out
"""


def agent_in(state: AgentState, card: AgentCard, **changes: Any) -> Agent:
    """An operator who has been in *state* for ten seconds."""
    is_in_call = state in (S.RESERVED, S.ON_CALL)
    has_line = state is S.ON_CALL or card.leg == "parked"
    timed = (S.ARRIVING, S.WRAP_UP)
    agent = Agent(
        id=card.id,
        state=state,
        since=AT - 10,
        reason="break" if state is S.PAUSED else "",
        channel=LINE if state is not S.SIGNED_OUT and (is_in_call or card.leg == "parked") else None,
        has_line=has_line and state not in (S.SIGNED_OUT, S.ARRIVING),
        attempt=A1 if is_in_call else None,
        deadline=AT if state in timed or (state is S.RESERVED and card.leg == "rung") else None,
    )
    return msgspec.structs.replace(agent, **changes)


def step(
    agent: Agent, fact: str, card: AgentCard, centre: Centre = CENTRE, phone: agents.Phone = "free"
) -> tuple[Agent, list[AnyCommand]]:
    """The step for the fact of that name."""
    return agents.step(agent, FACTS[fact], card, centre, PHONES.get(fact, phone))


def test_the_table_is_total_and_has_no_extra_cells() -> None:
    assert set(agents.TABLE) == set(itertools.product(AgentState, agents.FACTS))
    assert {type(fact) for fact in FACTS.values()} == set(agents.FACTS)


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
    after, commands = step(before, fact, card)
    assert told(after.state, before.state, commands, is_changed=after != before) == cell.replace(
        f"{state}+", "same+", 1
    )
    assert (after.attempt is not None) == (after.state in (S.RESERVED, S.ON_CALL))
    assert after.channel is not None or not after.has_line
    if after.state in (S.ARRIVING, S.WRAP_UP):
        assert after.deadline is not None
    if after.state in (S.SIGNED_OUT, S.READY, S.ON_CALL):
        assert after.deadline is None
    if after.state is not before.state:
        assert after.since == AT


@pytest.mark.parametrize("state", [state for state in AgentState if state is not S.SIGNED_OUT])
def test_a_sign_in_told_twice_does_not_cut_the_line(state: AgentState) -> None:
    before = agent_in(state, parked("g7"))
    again = agents.SignInAsked(at=AT, channel=LINE)
    assert agents.step(before, again, parked("g7")) == (before, [])


# -- what is asked during a call ------------------------------------------------------------


@pytest.mark.parametrize("card", [parked("g7"), rung("g7")], ids=["parked", "rung"])
@pytest.mark.parametrize("state", [S.RESERVED, S.ON_CALL])
def test_what_was_asked_during_a_call_is_done_when_it_is_over(state: AgentState, card: AgentCard) -> None:
    over = agents.CallOver(at=AT, wrap_up_s=0)
    before = agent_in(state, card)
    asked, _ = step(before, "pause", card)
    after, _ = agents.step(asked, over, card, CENTRE)
    assert (after.state, after.reason, after.pause_asked) == (S.PAUSED, "lunch", None)
    assert after.deadline == AT + 10, "also such a pause has its longest time"
    asked, _ = step(before, "sign_out", card)
    after, _ = agents.step(asked, over, card)
    assert (after.state, after.channel, after.sign_out_asked) == (S.SIGNED_OUT, None, False)


@pytest.mark.parametrize("fact", ["pause", "sign_out"])
@pytest.mark.parametrize("state", [S.RESERVED, S.ON_CALL])
def test_ready_takes_back_what_was_asked_during_a_call(state: AgentState, fact: str) -> None:
    card = parked("g7")
    asked, _ = step(agent_in(state, card), fact, card)
    after, _ = step(asked, "ready", card)
    after, _ = agents.step(after, agents.CallOver(at=AT, wrap_up_s=0), card)
    assert after.state is S.READY


def test_wrap_up_lasts_as_long_as_it_may_and_is_left_out_if_it_is_nothing() -> None:
    card = parked("g7")
    after, _ = step(agent_in(S.ON_CALL, card), "over", card)
    assert (after.state, after.deadline) == (S.WRAP_UP, AT + 10)
    after, _ = agents.step(agent_in(S.ON_CALL, card), agents.CallOver(at=AT, wrap_up_s=0), card)
    assert (after.state, after.deadline) == (S.READY, None)


@pytest.mark.parametrize("end", ["expired", "closed"])
def test_an_operator_who_wraps_up_and_asked_for_a_pause_gets_it_after_the_wrap_up(end: str) -> None:
    card = parked("g7")
    asked, _ = step(agent_in(S.ON_CALL, card), "pause", card)
    after, _ = step(asked, "over", card)
    assert after.state is S.WRAP_UP
    after, _ = step(after, end, card)
    assert (after.state, after.reason) == (S.PAUSED, "lunch")


def test_an_operator_who_arrives_and_asked_for_a_pause_begins_with_it() -> None:
    card = parked("g7")
    asked, _ = step(agent_in(S.ARRIVING, card), "pause", card)
    after, commands = step(asked, "line_up", card)
    assert after.state is S.PAUSED
    assert commands == [Tell(channel=LINE, message="signed_in")]


def test_a_rung_operator_whose_line_is_up_is_not_passed_over_when_the_deadline_fires_late() -> None:
    card = rung("g7")
    up, _ = step(agent_in(S.RESERVED, card), "line_up", card)
    assert (up.has_line, up.deadline) == (True, None)
    assert step(up, "expired", card) == (up, [])


def test_the_last_call_is_remembered_from_the_join_on() -> None:
    card = parked("g7")
    after, _ = step(agent_in(S.RESERVED, card), "over", card)
    assert after.last_attempt is None
    after, _ = step(agent_in(S.RESERVED, card), "joined", card)
    assert after.last_attempt == A1


# -- missed calls ---------------------------------------------------------------------------


@pytest.mark.parametrize("fact", ["line_down", "expired"])
def test_a_rung_operator_who_did_not_pick_up_is_paused_for_that(fact: str) -> None:
    card = rung("g7")
    after, _ = step(agent_in(S.RESERVED, card), fact, card)
    assert (after.state, after.reason, after.channel, after.missed) == (S.PAUSED, "no_answer", None, 1)
    leaving, _ = step(agent_in(S.RESERVED, card), "sign_out", card)
    after, _ = step(leaving, fact, card)
    assert after.state is S.SIGNED_OUT


@pytest.mark.parametrize("fact", ["line_down", "expired"])
def test_missed_calls_are_counted_and_only_so_many_in_a_row_pause(fact: str) -> None:
    card, centre = rung("g7"), Centre(missed_max=3)
    for missed in (0, 1):
        after, commands = step(agent_in(S.RESERVED, card, missed=missed), fact, card, centre)
        assert (after.state, after.missed, commands) == (S.READY, missed + 1, LEG)
    after, _ = step(agent_in(S.RESERVED, card, missed=2), fact, card, centre)
    assert (after.state, after.reason, after.missed) == (S.PAUSED, "no_answer", 3)


def test_a_missed_call_before_the_last_one_leaves_what_was_asked_standing() -> None:
    card, centre = rung("g7"), Centre(missed_max=3)
    asked, _ = step(agent_in(S.RESERVED, card), "pause", card)
    after, _ = step(asked, "expired", card, centre)
    assert (after.state, after.reason) == (S.PAUSED, "lunch")


@pytest.mark.parametrize(
    ("state", "fact"),
    [
        (S.RESERVED, "joined"),
        (S.READY, "ready"),
        (S.READY, "sign_in"),
        (S.PAUSED, "ready"),
        (S.PAUSED, "sign_in"),
        (S.WRAP_UP, "ready"),
        (S.PAUSED, "sign_out"),
    ],
)
def test_a_conversation_or_a_sign_of_life_breaks_the_row(state: AgentState, fact: str) -> None:
    after, _ = step(agent_in(state, rung("g7"), missed=2), fact, rung("g7"))
    assert after.missed == 0


@pytest.mark.parametrize(("state", "fact"), [(S.RESERVED, "over"), (S.RESERVED, "leg_up"), (S.READY, "busy")])
def test_what_shows_nobody_does_not_break_the_row(state: AgentState, fact: str) -> None:
    after, _ = step(agent_in(state, rung("g7"), missed=2), fact, rung("g7"))
    assert after.missed == 2


def test_a_pause_after_missed_calls_ends_by_itself_and_the_next_miss_is_one_too_many_again() -> None:
    card, centre = rung("g7"), Centre(missed_max=2, missed_rest_s=60.0, pause_s_max=10.0)
    paused, _ = step(agent_in(S.RESERVED, card, missed=1), "expired", card, centre)
    assert paused.deadline == AT + 60
    back, _ = agents.step(paused, agents.Expired(at=AT + 60), card, centre)
    assert (back.state, back.missed, back.deadline) == (S.READY, 2, None)
    again, _ = agents.step(
        msgspec.structs.replace(back, state=S.RESERVED, attempt=A1, channel=LINE),
        agents.Expired(at=AT + 90),
        card,
        centre,
    )
    assert (again.state, again.reason) == (S.PAUSED, "no_answer")


def test_without_a_rest_a_pause_after_missed_calls_lasts_as_any_pause() -> None:
    card = rung("g7")
    paused, _ = step(agent_in(S.RESERVED, card), "expired", card)
    assert paused.deadline == AT + 10
    after, _ = agents.step(paused, agents.Expired(at=AT + 10), card, CENTRE)
    assert after.state is S.SIGNED_OUT
    paused, _ = step(agent_in(S.RESERVED, card), "expired", card, Centre())
    assert paused.deadline is None


# -- the phone ------------------------------------------------------------------------------


@pytest.mark.parametrize(("fact", "reason"), [("lost", "phone_lost"), ("busy", "phone_in_use")])
def test_a_phone_pauses_its_operator_and_makes_them_ready_again(fact: str, reason: str) -> None:
    card = rung("g7")
    away, _ = step(agent_in(S.READY, card), fact, card)
    assert (away.state, away.reason, away.deadline) == (S.PAUSED, reason, None)
    assert step(away, fact, card) == (away, []), "told twice"
    back, _ = step(away, "free", card)
    assert (back.state, back.reason) == (S.READY, "")


def test_the_reason_follows_the_phone() -> None:
    card = rung("g7")
    busy, _ = step(agent_in(S.READY, card), "busy", card)
    lost, _ = step(busy, "lost", card)
    assert lost.reason == "phone_lost"
    busy, _ = step(lost, "busy", card)
    assert busy.reason == "phone_in_use"


@pytest.mark.parametrize("reason", ["lunch", "no_answer", "supervisor"])
def test_a_phone_ends_no_pause_that_it_did_not_make_and_begins_none_in_one(reason: str) -> None:
    card = rung("g7")
    paused = agent_in(S.PAUSED, card, reason=reason)
    for fact in ("lost", "busy", "free"):
        assert step(paused, fact, card) == (paused, [])


@pytest.mark.parametrize("phone", ["lost", "in_use"])
@pytest.mark.parametrize(
    ("state", "fact"),
    [
        (S.SIGNED_OUT, "sign_in"),
        (S.PAUSED, "sign_in"),
        (S.PAUSED, "ready"),
        (S.WRAP_UP, "ready"),
        (S.WRAP_UP, "expired"),
        (S.WRAP_UP, "closed"),
        (S.RESERVED, "over"),
    ],
)
def test_who_would_be_ready_while_the_phone_is_not_is_paused_by_it(
    state: AgentState, fact: str, phone: agents.Phone
) -> None:
    card = rung("g7")
    after, _ = step(agent_in(state, card), fact, card, phone=phone)
    assert (after.state, after.reason) == (S.PAUSED, {"lost": "phone_lost", "in_use": "phone_in_use"}[phone])
    assert (after.deadline, after.attempt) == (None, None)
    if fact in ("ready", "sign_in"):
        assert step(after, fact, card, phone=phone) == (after, []), "asked twice"
    after, _ = step(after, "free", card)
    assert after.state is S.READY


@pytest.mark.parametrize("phone", ["lost", "in_use"])
@pytest.mark.parametrize("fact", ["line_down", "expired"])
def test_a_call_that_the_phone_could_not_take_is_not_missed(fact: str, phone: agents.Phone) -> None:
    card = rung("g7")
    after, commands = step(agent_in(S.RESERVED, card), fact, card, phone=phone)
    assert (after.state, after.reason, after.missed) == (
        S.PAUSED,
        {"lost": "phone_lost", "in_use": "phone_in_use"}[phone],
        0,
    )
    assert commands == LEG


def test_a_registration_that_is_lost_while_the_line_is_up_says_nothing() -> None:
    card = rung("g7")
    up = agent_in(S.RESERVED, card, has_line=True)
    assert step(up, "lost", card) == (up, [])


# -- pauses -----------------------------------------------------------------------------------


def test_a_pause_that_lasts_longer_than_it_may_ends_in_a_sign_out() -> None:
    card = parked("g7")
    paused, _ = step(agent_in(S.READY, card), "pause", card)
    assert paused.deadline == AT + 10
    assert agents.step(paused, agents.Expired(at=AT + 9), card, CENTRE) == (paused, []), "not yet"
    after, commands = agents.step(paused, agents.Expired(at=AT + 10), card, CENTRE)
    assert (after.state, commands) == (S.SIGNED_OUT, LEG)


def test_a_pause_asked_for_again_gets_no_longer_and_one_for_another_reason_begins_anew() -> None:
    card = parked("g7")
    paused = agent_in(S.PAUSED, card, reason="lunch", deadline=AT)
    assert step(paused, "pause", card) == (paused, [])
    other = msgspec.structs.replace(paused, reason="training")
    after, _ = step(other, "pause", card)
    assert (after.reason, after.since, after.deadline) == ("lunch", AT, AT + 10)


def test_a_pause_is_measured_by_the_rules_of_today() -> None:
    card = parked("g7")
    paused = agent_in(S.PAUSED, card, deadline=AT)
    after, _ = step(paused, "rules", card, Centre(pause_s_max=30.0))
    assert (after.state, after.deadline) == (S.PAUSED, AT + 20)
    after, _ = step(paused, "expired", card, Centre(pause_s_max=30.0))
    assert (after.state, after.deadline) == (S.PAUSED, AT + 20), "set by a rule that holds no more"
    after, _ = step(paused, "expired", card, Centre())
    assert (after.state, after.deadline) == (S.PAUSED, None)
    missed = agent_in(S.PAUSED, rung("g7"), reason="no_answer")
    after, _ = step(missed, "rules", rung("g7"), Centre(missed_rest_s=25.0))
    assert after.deadline == AT + 15
