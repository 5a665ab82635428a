"""What must always be true of a floor, whatever the world did: asked after an event, or now and then."""

# ruff: noqa: SLF001 - the floor's indexes are held against its values, which is nobody else's business

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping

from dialer.core.agent import OF_THE_PHONE
from dialer.core.blending import ready
from dialer.core.destinations import allows, countries_of, trunk_ids
from dialer.core.floor import Floor
from dialer.core.ids import AttemptId, TrunkId, is_attempt
from dialer.core.lanes import lane, may_serve, skills
from dialer.core.pacing.book import Book
from dialer.core.rate import BURST_S
from dialer.core.transfer_facts import TransferState
from dialer.core.trunk import Trunk
from dialer.core.values import TRUNK_ENDINGS, Agent, AgentState, Call, CallState

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
        assert agent.server == call.server, "promised to somebody on another server"
        return
    desk = floor.desks[call.campaign]
    if desk.campaign.mode != "progressive":
        return
    own = lane(call.campaign, call.server)
    able = sum(count for skills, count in ready(state).items() if may_serve(skills, own))
    assert 0 < len(desk.unserved_on[call.server]) <= able, "more calls in flight than operators"


class Caps:
    """The caps of trunks, held against every call as it is placed, however many campaigns, engines and changes there are."""

    def __init__(self) -> None:
        self.attempts: dict[AttemptId, Call] = {}
        """As they were placed."""
        self._placed: dict[str, deque[float]] = {}

    def changed(self, trunk: str) -> None:
        """The trunk's rate is another one: what was placed before says nothing."""
        self._placed.pop(trunk, None)

    def placed(self, floor: Floor, attempt: AttemptId, at: float) -> None:
        """*attempt* was placed just now. Raises AssertionError: a cap or a rule of a trunk is broken."""
        state, call = floor._state, floor.calls[attempt]
        desk, campaign = floor.trunks[call.trunk], floor.desks[call.campaign].campaign
        trunk = desk.trunk
        assert call.trunk in trunk_ids(campaign), "by a trunk that is not the campaign's"
        live = _live(floor, call.trunk)
        assert desk.live == live <= trunk.channels_max, f"{live} calls on {trunk.channels_max} channels"
        assert desk.state(call.server) in ("up", "probing"), desk.state(call.server)
        assert desk.state(call.server) == "up" or desk.probe == attempt, "two probes at once"
        assert allows(trunk, countries_of(campaign, state.centre), call.number), (
            "a number that it may not call"
        )
        chain = [call]
        while chain[-1].after is not None and chain[-1].after in self.attempts:
            chain.append(self.attempts[chain[-1].after])
        assert len({one.trunk for one in chain}) == len(chain), "by a trunk that was tried"
        self.attempts[attempt] = call
        self._check_rate(trunk, at)

    def leg_placed(self, floor: Floor, name: TrunkId, at: float) -> None:
        """Another call than a contact's was ordered just now. People who call us come in whatever the cap."""
        if name not in floor.trunks:
            return  # it was taken away since, and Asterisk will say so
        trunk, live = floor.trunks[name].trunk, _live(floor, name)
        state = floor._state
        came = sum(one.trunk == name and one.direction == "in" for one in floor.calls.values())
        came += sum(one.trunk == name and is_attempt(one.channel) for one in state.legs.values())
        assert live <= trunk.channels_max or came, f"{live} channels of {trunk.channels_max} with a leg"
        self._check_rate(trunk, at)

    def _check_rate(self, trunk: Trunk, at: float) -> None:
        rate = trunk.calls_per_second_max
        times = self._placed.setdefault(trunk.id, deque(maxlen=64))
        times.append(at)
        for count, since in enumerate(reversed(times), 1):
            most = rate * (at - since) + max(1.0, rate * BURST_S)
            assert count <= most + 1e-6, f"{count} calls in {at - since:.3f} s at {rate:g} a second"


def _live(floor: Floor, trunk: str) -> int:
    """The channels that a trunk carries: of contacts' calls, and others."""
    legs = sum(one.trunk == trunk for one in floor._state.legs.values())
    return sum(one.trunk == trunk for one in floor.calls.values()) + legs


def _check_agents(floor: Floor, armed: Mapping[tuple[str, str], float]) -> None:
    calls = floor.calls
    for agent in floor.agents.values():
        is_taken = agent.state in (AgentState.RESERVED, AgentState.ON_CALL)
        assert (agent.attempt is not None) == is_taken, agent
        if agent.attempt is not None:
            transfer = floor._state.transfers.get(agent.attempt)
            is_asked = transfer is not None and transfer.colleague == agent.id
            assert calls[agent.attempt].agent == agent.id or is_asked, agent
            assert calls[agent.attempt].server == agent.server, "on another server than their operator"
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
        may_last = call.state is CallState.CONNECTED or call.ending.endswith("number")
        assert (call.deadline is None) == may_last, call
        assert call.direction == "out" or call.state not in (CallState.DIALING, CallState.RINGING), call
        assert armed.get(("attempt", call.attempt)) == call.deadline, call
        agent = floor.agents[call.agent] if call.agent is not None else None
        if call.state in UNCONNECTED and agent is not None:
            assert agent.attempt == call.attempt, (call, agent)
        transfer = floor._state.transfers.get(call.attempt)
        assert transfer is None or call.state is CallState.CONNECTED, "no conversation, and transferred"
        if call.state is CallState.CONNECTED and (transfer is None or transfer.line is not None):
            assert agent is not None
            if transfer is not None and transfer.state is TransferState.HANDED:
                assert agent.attempt != call.attempt, "kept for a call that was handed over"
                continue
            assert (agent.attempt, agent.state) == (call.attempt, AgentState.ON_CALL)
        if call.state is CallState.ENDING and call.ending in TRUNK_ENDINGS:
            pass  # it goes on, for the operator who is promised
        elif call.state is CallState.ENDING and call.connected_at is None and agent is not None:
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
            if call.agent is None
            and (
                call.state in (CallState.DIALING, CallState.RINGING, CallState.ANSWERED)
                or (call.state is CallState.ENDING and call.ending in TRUNK_ENDINGS)
            )
        }
        assert desk.unserved == set().union(*desk.unserved_on.values())
        assert all(calls[one].server == name for name, some in desk.unserved_on.items() for one in some)
    assert not calls.keys() & state.legs.keys(), "counted as a call and as a leg"
    for transfer in state.transfers.values():
        if transfer.state is TransferState.CALLING and transfer.colleague is None:
            assert transfer.third in state.legs, "a third party is called, and does not count"
    for trunk in state.trunks.values():
        assert trunk.live == _live(floor, trunk.trunk.id)
    for name, server in state.servers.items():
        assert server.live == sum(call.server == name for call in calls.values()) + len(state.legs.on(name))
        assert not server.is_lost or not server.live, "calls live on a dead server"


def _check_idle(floor: Floor, *, may_wait: bool) -> None:
    state = floor._state
    idle = {
        agent.id
        for agent in state.agents.values()
        if agent.state is AgentState.READY
        and (agent.has_line or (state.cards[agent.id].leg == "rung" and _is_reachable(floor, agent)))
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
        call = state.calls[attempt]
        kept = state.kept_from(call.campaign) if call.direction == "out" else ()
        longest = state.idle.longest(lane(call.campaign, call.server), refused, kept)
        assert longest is None, "waits though somebody is idle"


def _is_reachable(floor: Floor, agent: Agent) -> bool:
    """On an outside line only as far as was seen when it was looked at last."""
    state = floor._state
    return agent.id in state.idle if state.cards[agent.id].phone in state.outside else True


def _check_book(floor: Floor) -> None:
    """The pacing rule was told how the floor stands."""
    state, book = floor._state, floor._state.pacer
    if not isinstance(book, Book):
        return
    wanting = {
        call.attempt: call
        for call in floor.calls.values()
        if call.direction == "out"
        and call.ending != "machine"
        and floor.desks[call.campaign].campaign.mode != "announcement"
    }
    assert book.calls.keys() == wanting.keys(), "the pacing rule has other calls"
    for attempt, call in wanting.items():
        told = book.calls[attempt]
        assert (told.campaign, told.placed_at) == (lane(call.campaign, call.server), call.created_at), call
        assert (told.rang_at is not None, told.answered_at) == (call.rang_at is not None, call.answered_at), (
            call
        )
        assert told.is_abandoned == (call.abandoned_at is not None), call
        if call.state is not CallState.ENDING:
            assert told.agent == (call.agent or ""), call
    for agent in floor.agents.values():
        operator = book.operators[agent.id]
        assert operator.presence == _presence(floor, agent), (operator, agent)
        assert operator.campaigns == skills(floor.cards[agent.id].campaigns, agent.server), operator
        if agent.attempt is not None:
            call = state.calls[agent.attempt]
            assert operator.campaign == lane(call.campaign, call.server), (operator, agent)


def _presence(floor: Floor, agent: Agent) -> str:
    if agent.state in (AgentState.RESERVED, AgentState.ON_CALL):
        return "busy"
    if agent.state is AgentState.WRAP_UP:
        return "wrap_up"
    state = floor._state
    return "idle" if agent.id in state.idle and agent.id not in state.reserved else "away"


def check_counts(floor: Floor, saved: Iterable[Call], at: float) -> None:
    """What is counted as abandoned is what the calls say, one by one. *saved*: all that there ever were."""
    counts: dict[str, list[int]] = {}
    for call in saved:
        if call.direction == "in":
            assert call.abandoned_at is None, "called us, and is counted as abandoned"
            continue
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
