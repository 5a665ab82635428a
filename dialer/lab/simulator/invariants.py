"""What must always be true of a floor, whatever the world did: asked after an event, or now and then."""

# ruff: noqa: SLF001 - the floor's indexes are held against its values, which is nobody else's business

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from dialer.core.agent import OF_THE_PHONE
from dialer.core.floor import Floor
from dialer.core.ids import AttemptId
from dialer.core.pacing.book import Book
from dialer.core.pacing.progressive import may_serve
from dialer.core.values import Agent, AgentState, Call, CallState

UNCONNECTED = frozenset({CallState.DIALING, CallState.RINGING, CallState.ANSWERED, CallState.CONNECTING})


def check(
    floor: Floor,
    *,
    saved: Mapping[AttemptId, Call],
    armed: Mapping[tuple[str, str], float],
    may_wait: bool = False,
) -> None:
    """The floor agrees with itself, with the calls as they were *saved*, and with the timers that are *armed*.

    *may_wait*: somebody may wait though an operator is idle (right after a restart). Raises AssertionError.
    """
    _check_agents(floor, armed)
    _check_calls(floor, saved, armed)
    _check_indexes(floor)
    _check_idle(floor, may_wait=may_wait)
    _check_book(floor)


def check_placed(floor: Floor, attempt: AttemptId) -> None:
    """Right after *attempt* was placed: an operator is promised to it, or (progressive) idle for it and every other one."""
    state, call = floor._state, floor.calls[attempt]
    if call.agent is not None:
        agent = floor.agents[call.agent]
        assert (agent.attempt, agent.state) == (attempt, AgentState.RESERVED), "promised twice"
        assert may_serve(floor.cards[agent.id].campaigns, call.campaign), "promised to strangers"
        return
    desk = floor.desks[call.campaign]
    if desk.campaign.mode != "progressive":
        return
    able = sum(count for skills, count in state.idle.counts.items() if may_serve(skills, call.campaign))
    assert 0 < len(desk.unserved) <= able, "more calls in flight than operators"


def _check_agents(floor: Floor, armed: Mapping[tuple[str, str], float]) -> None:
    calls = floor.calls
    for agent in floor.agents.values():
        is_taken = agent.state in (AgentState.RESERVED, AgentState.ON_CALL)
        assert (agent.attempt is not None) == is_taken, agent
        if agent.attempt is not None:
            assert calls[agent.attempt].agent == agent.id, agent
        assert agent.channel is not None or not agent.has_line
        if agent.state in (AgentState.ARRIVING, AgentState.WRAP_UP):
            assert agent.deadline is not None, agent
        assert armed.get(("agent", agent.id)) == agent.deadline, agent
        if agent.state is AgentState.PAUSED and agent.reason in OF_THE_PHONE:
            card, state = floor.cards[agent.id], floor._state
            assert agent.deadline is None, agent
            # Before the first connect nothing is known of phones.
            assert state.phone(card) != "free" or not state.is_pbx_up, agent


def _check_calls(
    floor: Floor, saved: Mapping[AttemptId, Call], armed: Mapping[tuple[str, str], float]
) -> None:
    for call in floor.calls.values():
        assert call.result is None
        assert call == saved[call.attempt], "not as it was saved"
        assert (call.deadline is None) == (call.state is CallState.CONNECTED), call
        assert armed.get(("attempt", call.attempt)) == call.deadline, call
        agent = floor.agents[call.agent] if call.agent is not None else None
        if call.state in UNCONNECTED and agent is not None:
            assert agent.attempt == call.attempt, (call, agent)
        if call.state is CallState.CONNECTED:
            assert agent is not None
            assert (agent.attempt, agent.state) == (call.attempt, AgentState.ON_CALL)
        if call.state is CallState.ENDING and call.connected_at is None and agent is not None:
            assert agent.attempt != call.attempt, "kept for a call that is given up"


def _check_indexes(floor: Floor) -> None:
    state, calls = floor._state, floor.calls
    assert Counter(call.number for call in calls.values()) == Counter(state.live_numbers)
    assert Counter(call.lead for call in calls.values()) == Counter(state.live_leads)
    assert set(state.leads) == set(calls)
    assert set(state.waiting) == {
        call.attempt for call in calls.values() if call.state is CallState.ANSWERED and call.agent is None
    }
    assert state.by_channel == {
        agent.channel: agent.id for agent in state.agents.values() if agent.channel is not None
    }
    for desk in state.desks.values():
        mine = [call for call in calls.values() if call.campaign == desk.campaign.id]
        assert desk.live == {call.attempt for call in mine}
        assert desk.unserved == {
            call.attempt
            for call in mine
            if call.agent is None and call.state in (CallState.DIALING, CallState.RINGING, CallState.ANSWERED)
        }
    for trunk in state.trunks.values():
        assert trunk.live == sum(call.trunk == trunk.trunk.id for call in calls.values())


def _check_idle(floor: Floor, *, may_wait: bool) -> None:
    state = floor._state
    idle = {
        agent.id
        for agent in state.agents.values()
        if agent.state is AgentState.READY and (agent.has_line or (state.cards[agent.id].leg == "rung"))
    }
    for agent_id in idle:
        card = state.cards[agent_id]
        assert card.leg == "parked" or state.phone(card) == "free", "counted on though nobody could ring them"
    assert {agent for agent in state.agents if agent in state.idle} == idle
    assert len(state.idle) == sum(state.idle.counts.values()) == len(idle)
    if may_wait:
        return
    for attempt in state.waiting:
        refused = state._unjoinable.get(attempt, set())
        campaign = state.calls[attempt].campaign
        longest = state.idle.longest(campaign, refused, state.kept_from(campaign))
        assert longest is None, "waits though somebody is idle"


def _check_book(floor: Floor) -> None:
    """The pacing rule was told how the floor stands."""
    state, book = floor._state, floor._state.pacer
    if not isinstance(book, Book):
        return
    wanting = {
        call.attempt: call
        for call in floor.calls.values()
        if call.ending != "machine" and floor.desks[call.campaign].campaign.mode != "announcement"
    }
    assert book.calls.keys() == wanting.keys(), "the pacing rule has other calls"
    for attempt, call in wanting.items():
        told = book.calls[attempt]
        assert (told.campaign, told.placed_at) == (call.campaign, call.created_at), call
        assert (told.rang_at is not None, told.answered_at) == (call.rang_at is not None, call.answered_at), (
            call
        )
        assert told.is_abandoned == (call.abandoned_at is not None), call
        if call.state is not CallState.ENDING:
            assert told.agent == (call.agent or ""), call
    for agent in floor.agents.values():
        operator = book.operators[agent.id]
        assert operator.presence == _presence(floor, agent), (operator, agent)
        assert operator.campaigns == floor.cards[agent.id].campaigns, operator
        if agent.attempt is not None:
            assert operator.campaign == state.calls[agent.attempt].campaign, (operator, agent)


def _presence(floor: Floor, agent: Agent) -> str:
    if agent.state in (AgentState.RESERVED, AgentState.ON_CALL):
        return "busy"
    if agent.state is AgentState.WRAP_UP:
        return "wrap_up"
    return "idle" if agent.id in floor._state.idle else "away"


def check_counts(floor: Floor, saved: Iterable[Call], at: float) -> None:
    """What is counted as abandoned is what the calls say, one by one. *saved*: all that there ever were."""
    counts: dict[str, list[int]] = {}
    for call in saved:
        one = counts.setdefault(call.campaign, [0, 0])
        assert call.abandoned_at is None or call.answered_at is not None, call
        one[0] += call.answered_at is not None
        one[1] += call.abandoned_at is not None
    for desk in floor.desks.values():
        if desk.campaign.mode == "announcement":
            continue
        ledger = floor.ledger(desk.campaign.id)
        assert ledger is not None
        found = ledger.totals(at)
        assert found == tuple(counts.get(desk.campaign.id, (0, 0))), (
            f"the ledger says {found}, the calls {counts}"
        )
