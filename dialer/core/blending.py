"""Blending: people who call us and people whom we call share the operators.

1. People who call us come first: whoever waits of them is served before anybody who answered a call of ours
   (:mod:`dialer.core.waiting`), and an idle operator is theirs even if a progressive call in flight counts on that
   operator. So that nobody answers such a call in vain, the youngest one that has no operator now is given up
   (its ``ending`` is ``inbound``); a predictive campaign looks after its calls by itself.
2. Who calls us is rung by us no longer: calls to their number that they have not answered are given up (``they_called``).
3. ``inbound.reserve_share`` of the campaign's operators at work (the share of them to the nearest whole number, and of each server its
   part, for a caller is served where they came in; at work is who is
   neither signed out, nor arriving, nor in a pause) are kept free of calls that we place. Who talks with a caller, or wraps that up, is one of
   them. The others of them are idle operators: no call is placed that counts on these, and the pacing rule takes them for
   away. A person who answered all the same is not refused an operator for that: the reserve is a rule for placing calls.
4. An operator keeps being one of the reserve as long as they are idle, but rather not if contacts of their own are waiting to be
   called; rather those of few campaigns, and the shortest idle.
"""

from __future__ import annotations

from collections.abc import Mapping

from dialer.core.ids import AgentId, ServerId
from dialer.core.lanes import Skills, lane, may_serve
from dialer.core.pacing import progressive
from dialer.core.state import FloorState
from dialer.core.values import Agent, AgentState, Call, CallState

GAVE_WAY = "inbound"
THEY_CALLED = "they_called"
_NOT_ANSWERED = frozenset({CallState.DIALING, CallState.RINGING})
_NOT_AT_WORK = frozenset({AgentState.SIGNED_OUT, AgentState.ARRIVING, AgentState.PAUSED})


def ringing_to(floor: FloorState, number: str) -> list[Call]:
    """Our calls to *number* that nobody has answered (rule 2)."""
    if not number or number not in floor.live_numbers:
        return []
    return [
        call
        for call in floor.calls.values()
        if call.number == number and call.direction == "out" and call.state in _NOT_ANSWERED
    ]


def gives_way(floor: FloorState, caller: Call, agent_id: AgentId) -> Call | None:
    """The progressive call that has nobody left to count on when *agent_id*, who is idle, is given the *caller* (rule 1)."""
    unserved, counts = floor.unserved(), floor.idle.counts
    theirs = lane(caller.campaign, caller.server)
    if theirs in unserved:  # they wait themselves
        unserved[theirs] -= 1
    skills = floor.idle.skills_of(agent_id)
    if not any(unserved.values()) or progressive.may_spare(skills, unserved, counts):
        return None
    left = {**counts, skills: counts[skills] - 1}
    seated = progressive.seated(unserved, left)
    found = [
        call
        for call in floor.calls.values()
        if call.direction == "out" and call.agent is None and call.state in _NOT_ANSWERED
    ]
    for call in sorted(found, key=lambda one: (-one.created_at, one.attempt)):
        own = lane(call.campaign, call.server)
        if own in unserved:
            fewer = {**unserved, own: unserved[own] - 1}
            if progressive.seated(fewer, left) == seated:  # who is left has as many seats as before
                return call
    return None


def reserve(floor: FloorState) -> None:
    """Work out who is kept free of calls that we place, and tell the pacing rule whom it has and has not (rules 3 and 4)."""
    desks = [
        desk
        for desk in floor.desks.values()
        if desk.campaign.inbound.numbers and desk.campaign.inbound.reserve_share
    ]
    if not desks and not floor.reserved:
        return
    kept: set[AgentId] = set()
    for desk in desks:
        campaign = desk.campaign.id
        able: dict[ServerId, list[Agent]] = {}
        for agent in floor.agents.values():
            if agent.state not in _NOT_AT_WORK and may_serve(floor.cards[agent.id].campaigns, campaign):
                able.setdefault(agent.server, []).append(agent)
        counts = {server: len(there) for server, there in able.items()}
        for server, wanted in _shares(desk.campaign.inbound.reserve_share, counts).items():
            wanted -= sum(_is_with_a_caller(floor, agent) for agent in able[server])
            idle = [agent for agent in able[server] if agent.id in floor.idle]
            wanted -= sum(agent.id in kept for agent in idle)
            if wanted > 0:
                left = sorted(
                    (agent for agent in idle if agent.id not in kept), key=lambda one: _order(floor, one)
                )
                kept.update(agent.id for agent in left[:wanted])
    before, floor.reserved = floor.reserved, frozenset(kept)
    for agent_id in sorted(before ^ floor.reserved):
        floor.tell_of(agent_id)


def _shares(share: float, counts: Mapping[ServerId, int]) -> dict[ServerId, int]:
    """How many of the *counts* operators of each server are kept: *share* of all, to the nearest whole number, and of each server
    its part as nearly as that may be (largest remainders)."""
    parts = {server: share * count for server, count in counts.items()}
    shares = {server: int(part + 1e-9) for server, part in parts.items()}
    left = int(sum(parts.values()) + 0.5) - sum(shares.values())
    for server in sorted(parts, key=lambda one: (shares[one] - parts[one], one))[: max(0, left)]:
        shares[server] += 1
    return shares


def ready(floor: FloorState) -> Mapping[Skills, int]:
    """How many idle operators calls that we place may count on, by skills."""
    if not floor.reserved:
        return floor.idle.counts
    counts = dict(floor.idle.counts)
    for agent_id in floor.reserved:
        if agent_id in floor.idle:
            counts[floor.idle.skills_of(agent_id)] -= 1
    return {skills: count for skills, count in counts.items() if count > 0}


def _is_with_a_caller(floor: FloorState, agent: Agent) -> bool:
    if agent.attempt is not None:
        call = floor.calls.get(agent.attempt)
    elif agent.state is AgentState.WRAP_UP:
        call, _ = floor.last_calls.get(agent.id, (None, None))
    else:
        return False
    return call is not None and call.direction == "in"


def _order(floor: FloorState, agent: Agent) -> tuple[bool, bool, bool, int, float, AgentId]:
    has_own = any(agent.id in desk.hopper.owners for desk in floor.desks.values())
    campaigns = floor.cards[agent.id].campaigns
    return has_own, agent.id not in floor.reserved, not campaigns, len(campaigns), -agent.since, agent.id
