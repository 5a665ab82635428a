"""The two steps that change the floor: a call's and an agent's, and what follows each for the other.

The tables of :mod:`dialer.core.call` and :mod:`dialer.core.agent` know one call and one agent each.
Here they meet, and these hold after every step:

1. A call's ``agent`` and an agent's ``attempt`` name each other for as long as the agent is reserved
   or on call. Whoever is promised to a call is free again as soon as the call can have no use for
   them: when they are exchanged, when it ends, and when we give it up before it was connected.
2. Every change of a call, an agent or a lead comes with its ``Save``, and every change of a deadline
   with its timer.
"""

from __future__ import annotations

import msgspec

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import rules
from dialer.core.commands import (
    ClearTimer,
    RingAgent,
    SaveAgent,
    SaveCall,
    SaveLead,
    SaveLedger,
    SetTimer,
    Tell,
)
from dialer.core.desk import Desk
from dialer.core.events import OriginateRefused
from dialer.core.ids import AgentId, AttemptId, leg_of, line_bridge
from dialer.core.state import FloorState
from dialer.core.values import Agent, AgentState, Call, CallState, Campaign, Lead, Result

_OF_PHONE: dict[agents.Phone, type[agents.PhoneLost | agents.PhoneBusy | agents.PhoneFree]] = {
    "lost": agents.PhoneLost,
    "in_use": agents.PhoneBusy,
    "free": agents.PhoneFree,
}
_IN_CONVERSATION = frozenset({AgentState.ON_CALL, AgentState.WRAP_UP})
_CHANGES_NOTHING_FOR_OTHERS = frozenset({CallState.RINGING, CallState.CONNECTED})


# -- calls -------------------------------------------------------------------------------


def call_step(floor: FloorState, attempt: AttemptId, fact: calls.Fact) -> None:
    """Step the call, if it is on the floor, and do what follows for agents and leads."""
    call = floor.calls.get(attempt)
    if call is None:
        return
    desk = floor.desks[call.campaign]
    after, commands = calls.step(call, fact, floor.waiting.rules_for(call, desk.campaign))
    if after is not call:
        floor.calls[attempt] = after
        desk.index(after)
        floor.out.append(SaveCall(call=after))
        if floor.teller.stepped(call, after, desk.campaign, fact.at):
            floor.out += [
                SaveLedger(campaign=call.campaign, count=count)
                for count in floor.pacer.ledgers[call.campaign].changes()
            ]
        floor.keep_timer("attempt", attempt, call.deadline, after.deadline)
    floor.out += floor.waiting.tell(commands, fact.at)
    if after.state is call.state and after.agent == call.agent:
        return
    if after.state not in _CHANGES_NOTHING_FOR_OTHERS:
        floor.is_stirred = True
    if after.state is CallState.ANSWERED and after.agent is None:
        floor.waiting.put(after)
    else:
        floor.waiting.drop(attempt)
    if call.agent is not None and _needs_no_agent(call, after):
        _release(floor, call.agent, after, fact.at)
    match after.state:
        case CallState.RINGING:
            _ring_agent_at_ring(floor, after, desk, fact.at)
        case CallState.ANSWERED:
            _join_if_possible(floor, after, fact.at)
        case CallState.CONNECTED if after.agent is not None:
            agent_step(floor, after.agent, agents.Joined(at=fact.at))
        case CallState.ENDED:
            is_ours = isinstance(fact, OriginateRefused) and fact.is_ours
            _call_ended(floor, after, desk, fact.at, is_of_trunk=not is_ours)


def renew_joins(floor: FloorState, at: float) -> None:
    """We hear again: a join that was on its way meanwhile may not even have been sent, so its time
    begins anew. Were it given up now, it might cut those off who have just begun to talk."""
    for call in list(floor.calls.values()):
        due = at + calls.JOIN_S
        if call.state is CallState.CONNECTING and (call.deadline or 0.0) < due:
            floor.calls[call.attempt] = after = msgspec.structs.replace(call, deadline=due)
            floor.out.append(SaveCall(call=after))
            floor.keep_timer("attempt", call.attempt, call.deadline, due)


def _call_ended(floor: FloorState, call: Call, desk: Desk, at: float, *, is_of_trunk: bool) -> None:
    lead = floor.drop_call(call, at, is_of_trunk=is_of_trunk)
    recycle(floor, desk, lead, call, at)
    desk.hopper.release(lead.id)
    desk.hopper.wake()
    if call.agent is None:
        return
    if call.result is Result.TALKED:
        floor.remember_last(call, lead)
    _release(floor, call.agent, call, at)


def recycle(floor: FloorState, desk: Desk, lead: Lead, call: Call, at: float) -> rules.Recycle:
    """Save what becomes of the lead after the call, and set the timer of its next attempt."""
    after = rules.recycle(lead, call, desk.campaign, at)
    floor.out.append(
        SaveLead(
            lead=lead.id,
            ordinal=after.lead.ordinal,
            due=after.due,
            next_phone=after.lead.next_phone,
            finished=after.finished,
            bad_phone=after.bad_phone,
            why=after.why,
            is_promised=after.lead.is_promised,
            owner=after.lead.owner,
            owned_until=after.lead.owned_until,
            at=at,
        )
    )
    if after.bad_phone is not None:
        floor.mark_bad(after.bad_phone, call.number)
    subject = str(lead.id)
    if after.due is None:
        floor.out.append(ClearTimer(kind="lead", subject=subject))
    else:
        floor.out.append(SetTimer(kind="lead", subject=subject, due=after.due, campaign=desk.campaign.id))
    return after


def hold_again(floor: FloorState, call: Call, at: float) -> None:
    """The person who is held is to be (back) in the music."""
    command = calls.hold_command(call, floor.desks[call.campaign].campaign, at)
    floor.out += floor.waiting.tell([command], at)


# -- a call and an agent -----------------------------------------------------------------


def serve(floor: FloorState, call: Call, at: float) -> bool:
    """Give the person who waits to the longest idle operator, if there is one."""
    agent_id = floor.choose(call, at)
    if agent_id is None:
        return False
    reserve(floor, call, agent_id, at)
    return True


def reserve(floor: FloorState, call: Call, agent_id: AgentId, at: float) -> None:
    """Promise the idle agent to the call: ring their phone, or join a parked one when the person is there."""
    card = floor.cards[agent_id]
    if card.leg == "parked":
        agent_step(floor, agent_id, agents.Reserved(at=at, attempt=call.attempt))
        if call.state is CallState.ANSWERED:
            _join(floor, call, floor.agents[agent_id], at)
        else:
            call_step(floor, call.attempt, calls.AgentReserved(at=at, agent=agent_id, bridge=None))
        return
    channel = leg_of(call.attempt, agent_id)
    ring_s = floor.desks[call.campaign].campaign.agent_ring_s
    agent_step(floor, agent_id, agents.Reserved(at=at, attempt=call.attempt, channel=channel, ring_s=ring_s))
    call_step(floor, call.attempt, calls.AgentReserved(at=at, agent=agent_id, bridge=None, ring_s=ring_s))
    _ring(floor, agent_id, call, ring_s)


def ring_again(floor: FloorState, agent: Agent, at: float) -> None:
    """The phone of the agent, who is promised to a call, was to ring, and does not: a leg that was picked
    up while nobody was there to receive it, say. Harmless where it rings all the same."""
    call = floor.calls.get(agent.attempt) if agent.attempt is not None else None
    if call is not None and agent.deadline is not None:
        _ring(floor, agent.id, call, agent.deadline - at)


def _ring(floor: FloorState, agent_id: AgentId, call: Call, ring_s: float) -> None:
    floor.out.append(
        RingAgent(
            agent=agent_id,
            phone=floor.cards[agent_id].phone,
            channel=leg_of(call.attempt, agent_id),
            attempt=call.attempt,
            number=call.number,
            ring_s=ring_s,
        )
    )


def _join(floor: FloorState, call: Call, agent: Agent, at: float) -> None:
    assert agent.channel is not None
    bridge = line_bridge(agent.channel)
    call_step(floor, call.attempt, calls.AgentReserved(at=at, agent=agent.id, bridge=bridge))
    floor.out.append(Tell(channel=agent.channel, message="call"))


def _join_if_possible(floor: FloorState, call: Call, at: float) -> None:
    """The person waits; if the promised agent's line is up, join them.

    While the agent's phone rings they wait as long as it may ring: then the one who is not there
    is paused, and does not lose one person after another.
    """
    agent = floor.agents.get(call.agent) if call.agent is not None else None
    if agent is None:
        return
    if agent.has_line:
        _join(floor, call, agent, at)
    elif agent.deadline is not None and agent.deadline > (call.deadline or 0.0):
        ring_s = agent.deadline - at
        fact = calls.AgentReserved(at=at, agent=agent.id, bridge=None, ring_s=ring_s)
        call_step(floor, call.attempt, fact)


def _ring_agent_at_ring(floor: FloorState, call: Call, desk: Desk, at: float) -> None:
    campaign = desk.campaign
    if campaign.ring_agent != "at_ring" or campaign.mode != "progressive" or call.agent is not None:
        return
    agent_id = floor.choose(call, at)
    if agent_id is not None and floor.cards[agent_id].leg == "rung":
        reserve(floor, call, agent_id, at)


def _release(floor: FloorState, agent_id: AgentId, call: Call, at: float) -> None:
    """The call has no use for the agent any more."""
    agent = floor.agents.get(agent_id)
    if agent is not None and agent.attempt == call.attempt:
        wrap_up_s = _wrap_up_s(floor.desks[call.campaign].campaign, call)
        agent_step(floor, agent_id, agents.CallOver(at=at, wrap_up_s=wrap_up_s))


# -- agents ------------------------------------------------------------------------------


def agent_step(floor: FloorState, agent_id: AgentId, fact: agents.Fact) -> None:
    """Step the agent, if there is such a one, and do what follows for the call."""
    agent = floor.agents.get(agent_id)
    if agent is None:
        return
    card = floor.cards[agent_id]
    after, commands = agents.step(agent, fact, card, floor.centre, floor.phone(card))
    if after is not agent:
        floor.agents[agent_id] = after
        floor.out.append(SaveAgent(agent=after, at=fact.at))
        floor.keep_timer("agent", agent_id, agent.deadline, after.deadline)
    floor.out += commands
    if after.state is AgentState.READY and agent.state in _IN_CONVERSATION:
        floor.waiting.freed(agent_id, fact.at)
    if after.channel != agent.channel:
        floor.change_channel(agent, after)
    floor.index_agent(agent_id)
    if agent.attempt is not None:
        if after.missed > agent.missed:
            floor.cannot_join(agent.attempt, agent_id)
        line_changed = agent.channel is not None and after.channel != agent.channel
        call = floor.calls.get(agent.attempt)
        if call is not None and call.agent == agent_id and (line_changed or not after.attempt):
            call_step(floor, agent.attempt, calls.AgentLeft(at=fact.at))
    if after.has_line and not agent.has_line and after.attempt in floor.calls:
        call = floor.calls[after.attempt]
        if call.state is CallState.ANSWERED:
            _join_if_possible(floor, call, fact.at)


def hear_from(floor: FloorState, agent_id: AgentId, at: float) -> None:
    """A sign of life on the agent's own line: whatever the registration says, the phone is there."""
    phone = floor.cards[agent_id].phone
    if phone in floor.dead_phones:
        floor.dead_phones.discard(phone)
        look_at_phone(floor, agent_id, at)


def look_at_phone(floor: FloorState, agent_id: AgentId, at: float) -> None:
    """The agent's phone changed, or is another one: let the agent's state follow it."""
    fact = _OF_PHONE[floor.phone(floor.cards[agent_id])]
    agent_step(floor, agent_id, fact(at=at))


def _wrap_up_s(campaign: Campaign, call: Call) -> float:
    """The wrap-up of *call* ends after so long at the latest. A card that was closed in the call needs none."""
    if campaign.wrap_up == "time":
        return campaign.wrap_up_s
    return campaign.wrap_up_s_max if call.operator_result is None else 0.0


def _needs_no_agent(before: Call, after: Call) -> bool:
    """Whether the agent who was promised to the call is of no more use to it."""
    if after.agent != before.agent:
        return True
    is_given_up = after.state is CallState.ENDING and before.state is not CallState.ENDING
    return is_given_up and before.connected_at is None
