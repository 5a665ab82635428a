"""The steps that change the floor: a call's, an agent's and a transfer's, and what follows each for the others.

The tables of :mod:`dialer.core.call`, :mod:`dialer.core.agent` and :mod:`dialer.core.transfer` know one of each.
Here they meet, and these hold after every step:

1. A call's ``agent`` and an agent's ``attempt`` name each other for as long as the agent is reserved
   or on call. Whoever is promised to a call is free again as soon as the call can have no use for
   them: when they are exchanged, when it ends, and when we give it up before it was connected.
   A colleague whom a transfer reaches is promised to the call by that, and not the call's agent before the person is with them; and
   an operator who handed a call over to somebody else stays the call's ``agent`` (whose result it is), and is free.
2. Every change of a call, an agent or a lead comes with its ``Save``, and every change of a deadline
   with its timer.
"""

from __future__ import annotations

import msgspec

from dialer.core import agent as agents
from dialer.core import blending, originating, outside, recycling, routing
from dialer.core import call as calls
from dialer.core import transfer as transfers
from dialer.core.commands import (
    AnyCommand,
    CloseLine,
    HangUp,
    OpenLine,
    ReportTransfer,
    RingAgent,
    SaveAgent,
    SaveCall,
    SaveCampaignState,
    SaveLedger,
    SaveTransfer,
    SendToOverflow,
    Tell,
)
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.events import Onward
from dialer.core.ids import AgentId, AttemptId, ServerId, forward_of, leg_of, line_bridge
from dialer.core.state import FloorState
from dialer.core.transfer_facts import Transfer, TransferState
from dialer.core.values import (
    TRUNK_ENDINGS,
    Agent,
    AgentState,
    Call,
    CallState,
    Campaign,
    CampaignState,
    Lead,
    Result,
)

_OF_PHONE: dict[agents.Phone, type[agents.PhoneLost | agents.PhoneBusy | agents.PhoneFree]] = {
    "lost": agents.PhoneLost,
    "in_use": agents.PhoneBusy,
    "free": agents.PhoneFree,
}
_Route = tuple[TrunkDesk, AttemptId]
_IN_CONVERSATION = frozenset({AgentState.ON_CALL, AgentState.WRAP_UP})
_ON_THE_WAY = frozenset({TransferState.CONFERENCE, TransferState.HANDING, TransferState.RETURNING})
_OVER = frozenset({CallState.ENDING, CallState.ENDED})
_CHANGES_NOTHING_FOR_OTHERS = frozenset({CallState.RINGING, CallState.CONNECTED})


# -- calls -------------------------------------------------------------------------------


def call_step(floor: FloorState, attempt: AttemptId, fact: calls.Fact) -> None:
    """Step the call, if it is on the floor, and do what follows for agents and leads."""
    call = floor.calls.get(attempt)
    if call is None:
        return
    desk = floor.desks[call.campaign]
    rules = outside.rules_for(floor, call, desk.campaign, fact.at)
    after, commands = calls.step(call, fact, floor.waiting.rules_for(call, rules))
    onward: _Route | None = None
    if after.state is CallState.ENDED and call.state is not CallState.ENDED:
        onward = routing.next_route(floor, call, after, fact, fact.at)
        if onward is not None:
            after = msgspec.structs.replace(after, result=Result.REROUTED)
        elif after.result is not Result.FAILED and routing.is_for_later(floor, call, after, fact, fact.at):
            after = msgspec.structs.replace(after, result=Result.FAILED, ending=routing.NO_ROOM)
    if after is not call:
        _tell_trunk(floor, call, after, fact)
        floor.calls[attempt] = after
        desk.index(after)
        floor.out.append(SaveCall(call=after))
        if floor.teller.stepped(call, after, desk.campaign, fact.at):
            floor.out += [
                SaveLedger(campaign=call.campaign, count=count)
                for count in floor.pacer.ledgers[call.campaign].changes()
            ]
        floor.keep_timer("attempt", attempt, call.deadline, after.deadline)
    for at_place, command in enumerate(commands):
        if isinstance(command, SendToOverflow):
            commands[at_place] = outside.forwarded(floor, after, desk, command, fact.at)
    floor.out += floor.waiting.tell(commands, fact.at)
    if after.state is call.state and after.agent == call.agent:
        return
    if after.state not in _CHANGES_NOTHING_FOR_OTHERS:
        floor.is_stirred = True
    if after.state is CallState.ANSWERED and after.agent is None:
        floor.waiting.put(after)
    else:
        floor.waiting.drop(attempt)
    if after.state in _OVER:
        transfer_step(floor, attempt, transfers.PersonGone(at=fact.at))
    if call.agent is not None and _needs_no_agent(call, after):
        _release(floor, call.agent, after, fact.at)
    match after.state:
        case CallState.RINGING:
            _ring_agent_at_ring(floor, after, desk, fact.at)
        case CallState.ANSWERED:
            _join_if_possible(floor, after, fact.at)
        case CallState.CONNECTED if after.agent is not None:
            floor.turns.talked(after.agent, fact.at)
            agent_step(floor, after.agent, agents.Joined(at=fact.at))
        case CallState.ENDED:
            _call_ended(floor, after, desk, fact.at, onward)


def renew_joins(floor: FloorState, at: float, server: ServerId | None = None) -> None:
    """We hear again: a join that was on its way meanwhile may not even have been sent, so its time
    begins anew. Were it given up now, it might cut those off who have just begun to talk."""
    for call in list(floor.calls.values()):
        due = at + calls.JOIN_S
        is_there = server in (None, call.server) and floor.servers.desk(call.server).is_up
        if is_there and call.state is CallState.CONNECTING and (call.deadline or 0.0) < due:
            floor.calls[call.attempt] = after = msgspec.structs.replace(call, deadline=due)
            floor.out.append(SaveCall(call=after))
            floor.keep_timer("attempt", call.attempt, call.deadline, due)
        transfer = floor.transfers.get(call.attempt)
        if (
            is_there
            and transfer is not None
            and transfer.state in _ON_THE_WAY
            and transfer.deadline is not None
        ):
            due = max(transfer.deadline, at + transfers.MOVE_S)
            if due != transfer.deadline:
                keep_transfer(floor, transfer, msgspec.structs.replace(transfer, deadline=due))


def _tell_trunk(floor: FloorState, before: Call, after: Call, fact: calls.Fact) -> None:
    """As soon as it is known whether the trunk carried the call, and once."""
    was_known = before.rang_at is not None or before.answered_at is not None or before.ending == "machine"
    is_carried = None if was_known else routing.is_carried(floor, before, after, fact)
    if is_carried is not None and after.direction == "out":
        routing.judge(floor, after.trunk, after.attempt, fact.at, is_carried=is_carried)


def _call_ended(floor: FloorState, call: Call, desk: Desk, at: float, onward: _Route | None) -> None:
    way = floor.onward.get(call.attempt)
    lead = floor.drop_call(call, at)
    routing.gave_back(floor, call.trunk, call.attempt, at)
    outside.ended(floor, forward_of(call.attempt), at)
    if onward is not None:
        trunk, attempt = onward
        _go_on(floor, desk, call, lead, trunk, routing.further(way, attempt, call.trunk), at)
        return
    after = recycling.recycle(floor, desk, lead, call, at)
    desk.hopper.release(lead.id)
    desk.hopper.wake()
    if call.direction == "in" and after.due is not None and desk.state is CampaignState.FINISHED:
        desk.state = CampaignState.RUNNING
        floor.out.append(SaveCampaignState(campaign=desk.campaign.id, state=desk.state, at=at))
    if call.agent is None:
        return
    agent = floor.agents.get(call.agent)
    if call.result is Result.TALKED and (agent is None or agent.last_attempt == call.attempt):
        floor.remember_last(call, lead)
    _release(floor, call.agent, call, at)


def _go_on(
    floor: FloorState, desk: Desk, call: Call, lead: Lead, trunk: TrunkDesk, way: Onward, at: float
) -> None:
    """The call, which its trunk would not carry, goes on by *trunk*; whoever was promised to it, is so to the new attempt."""
    phone = next(one for one in lead.phones if one.id == call.phone)
    new = originating.originate(
        floor, desk, lead, phone, trunk, way, at, server=call.server, ordinal=call.ordinal, after=call.attempt
    )
    agent = floor.agents.get(call.agent) if call.agent is not None else None
    if agent is not None and agent.attempt == call.attempt:
        agent_step(floor, agent.id, agents.CallMoved(at=at, attempt=new.attempt))
        call_step(floor, new.attempt, calls.AgentReserved(at=at, agent=agent.id, bridge=None))


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
    if call.direction == "in":
        floor.turns.given(call.campaign, agent_id)
        if (ours := blending.gives_way(floor, call, agent_id)) is not None:
            call_step(floor, ours.attempt, calls.EndAsked(at=at, why=blending.GAVE_WAY))
    reserve(floor, call, agent_id, at)
    return True


def reserve(floor: FloorState, call: Call, agent_id: AgentId, at: float) -> None:
    """Promise the idle agent to the call: ring their phone, or join a parked one when the person is there."""
    card = floor.cards[agent_id]
    if card.leg == "parked":
        agent_step(floor, agent_id, agents.Reserved(at=at, attempt=call.attempt))
        if call.connected_at is not None:
            open_anew(floor, agent_id)
            fact = calls.AgentReserved(at=at, agent=agent_id, bridge=None, ring_s=2 * calls.JOIN_S)
            call_step(floor, call.attempt, fact)
        elif call.state is CallState.ANSWERED:
            _join(floor, call, floor.agents[agent_id], at)
        else:
            call_step(floor, call.attempt, calls.AgentReserved(at=at, agent=agent_id, bridge=None))
        return
    channel = leg_of(call.attempt, agent_id)
    ring_s = floor.desks[call.campaign].campaign.agent_ring_s
    agent_step(floor, agent_id, agents.Reserved(at=at, attempt=call.attempt, channel=channel, ring_s=ring_s))
    call_step(floor, call.attempt, calls.AgentReserved(at=at, agent=agent_id, bridge=None, ring_s=ring_s))
    ring_leg(floor, agent_id, call, ring_s)


def open_anew(floor: FloorState, agent_id: AgentId) -> None:
    """A person who has spoken with somebody before is to come to a parked operator: the line gets a bridge that mixes, and
    :func:`opened_anew` says when it is in that."""
    channel = floor.agents[agent_id].channel
    assert channel is not None
    bridge = line_bridge(channel)
    floor.reopening.add(agent_id)
    floor.out.append(OpenLine(channel=channel, bridge=bridge, is_mixed=True))


def opened_anew(floor: FloorState, agent_id: AgentId, at: float) -> None:
    """The parked operator's line is up: if somebody waits for that, they come."""
    floor.reopening.discard(agent_id)
    agent = floor.agents[agent_id]
    call = floor.calls.get(agent.attempt) if agent.attempt is not None else None
    if call is None or agent.channel is None:
        return
    transfer = floor.transfers.get(call.attempt)
    if transfer is not None and transfer.colleague == agent_id and transfer.state is TransferState.CALLING:
        floor.out.append(Tell(channel=agent.channel, message="call"))
        transfer_step(floor, call.attempt, transfers.ThirdUp(at=at))
    elif call.state is CallState.ANSWERED and call.agent == agent_id:
        _join(floor, call, agent, at)


def ring_again(floor: FloorState, agent: Agent, at: float) -> None:
    """The phone of the agent, who is promised to a call, was to ring, and does not: a leg that was picked
    up while nobody was there to receive it, say. Harmless where it rings all the same."""
    call = floor.calls.get(agent.attempt) if agent.attempt is not None else None
    if call is not None and agent.deadline is not None:
        ring_leg(floor, agent.id, call, agent.deadline - at)


def ring_leg(floor: FloorState, agent_id: AgentId, call: Call, ring_s: float) -> None:
    """Have the phone of an operator rung who is promised to the call."""
    phone = floor.cards[agent_id].phone
    command = RingAgent(
        agent=agent_id,
        phone=phone,
        channel=floor.agents[agent_id].channel or leg_of(call.attempt, agent_id),
        attempt=call.attempt,
        number=call.number,
        ring_s=ring_s,
        server=call.server,
    )
    if phone in floor.outside:
        outside.ring(floor, command, floor.outside[phone])
    else:
        floor.out.append(command)


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
    if agent is None or agent.id in floor.reopening:
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


# -- a transfer --------------------------------------------------------------------------


def transfer_step(floor: FloorState, attempt: AttemptId, fact: transfers.Fact) -> None:
    """Step the call's transfer, if there is one, and do what follows for the call and for operators."""
    before = floor.transfers.get(attempt)
    if before is None:
        return
    after, commands = transfers.step(before, fact)
    if after is before:
        return
    call = floor.calls[attempt]
    keep_transfer(floor, before, after)
    floor.out += commands
    _tell_phone(floor, before, after)
    is_taken_over = after.outcome == "completed" and after.colleague is not None
    if before.has_third and not after.has_third and not is_taken_over:
        _drop_third(floor, before, call, fact.at)
    if is_taken_over and after.colleague is not None:
        if call.agent is not None:
            floor.forget_last(call.agent)
        call_step(floor, attempt, calls.TakenOver(at=fact.at, agent=after.colleague))
    elif after.state is TransferState.HANDED:
        _release(floor, after.agent, call, fact.at)
    elif after.outcome == "left" and after.state is TransferState.OVER:
        may_wait = floor.waiting.is_anybody_signed_in(call.campaign, call.server)
        call_step(floor, attempt, calls.OperatorLost(at=fact.at, may_wait=may_wait))
    elif before.state is TransferState.HANDED and isinstance(fact, transfers.ThirdGone):
        call_step(floor, attempt, calls.EndAsked(at=fact.at, why="third_gone"))


def keep_transfer(floor: FloorState, before: Transfer | None, after: Transfer) -> None:
    """The transfer is *after* from now on, on the floor as long as it is not over, and in the journal."""
    floor.out.append(SaveTransfer(transfer=after))
    if before is not None and before.aside is not None and before.aside != after.aside:
        floor.by_aside.pop(before.aside, None)
    if after.state is TransferState.OVER:
        del floor.transfers[after.attempt]
        if after.aside is not None:
            floor.by_aside.pop(after.aside, None)
        return
    floor.transfers[after.attempt] = after
    floor.places[after.attempt] = after.place
    if after.aside is not None:
        floor.by_aside[after.aside] = after.attempt


def _tell_phone(floor: FloorState, before: Transfer, transfer: Transfer) -> None:
    """The phone that asked by REFER is told how it went. On success it hangs up; a parked operator is to stay on the line, so their
    phone is told that it failed."""
    is_done = transfer.outcome == "completed" or transfer.state is TransferState.HANDED
    is_failed = transfer.outcome in ("failed", "left", "returned", "ended")
    if transfer.refer is None or not (is_done or is_failed) or transfer.line is None:
        return
    if before.state in (TransferState.HANDED, TransferState.RETURNING):
        return  # it was told when that began
    is_rung = floor.cards[transfer.agent].leg == "rung"
    floor.out.append(
        ReportTransfer(channel=transfer.refer, state="answered" if is_done and is_rung else "declined")
    )


def _drop_third(floor: FloorState, transfer: Transfer, call: Call, at: float) -> None:
    """The third party is of no more use. *transfer*: as it stood."""
    if transfer.colleague is not None:
        agent = floor.agents.get(transfer.colleague)
        if agent is not None and agent.attempt == call.attempt and call.agent != agent.id:
            agent_step(floor, agent.id, agents.CallOver(at=at, wrap_up_s=0.0))
        return
    assert transfer.third is not None
    floor.out += (HangUp(channel=transfer.third), CloseLine(bridge=line_bridge(transfer.third)))


def _left_transfer(floor: FloorState, attempt: AttemptId, agent_id: AgentId, at: float) -> None:
    """An operator's line is gone, or promised to the call no longer, during a transfer: of who does it, or of the colleague."""
    transfer = floor.transfers[attempt]
    if transfer.colleague == agent_id:
        transfer_step(floor, attempt, transfers.ThirdGone(at=at))
    elif transfer.agent == agent_id:
        transfer_step(floor, attempt, transfers.OperatorGone(at=at))
        if attempt in floor.calls:
            _release(
                floor, agent_id, floor.calls[attempt], at
            )  # a rung operator who hung up has done their part


# -- agents ------------------------------------------------------------------------------


def agent_step(floor: FloorState, agent_id: AgentId, fact: agents.Fact) -> None:
    """Step the agent, if there is such a one, and do what follows for the call."""
    agent = floor.agents.get(agent_id)
    if agent is None:
        return
    card = floor.cards[agent_id]
    where = fact.server if isinstance(fact, agents.SignInAsked) else agent.server
    after, commands = agents.step(agent, fact, card, floor.centre, floor.phone(card, where))
    if after is not agent:
        floor.agents[agent_id] = after
        floor.out.append(SaveAgent(agent=after, at=fact.at))
        floor.keep_timer("agent", agent_id, agent.deadline, after.deadline)
    if agent.attempt in floor.calls:
        commands = [_mixed(one, floor.calls[agent.attempt]) for one in commands]
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
        if call is not None and (line_changed or not after.attempt):
            if agent.attempt in floor.transfers:
                _left_transfer(floor, agent.attempt, agent_id, fact.at)
            elif call.agent == agent_id:
                call_step(floor, agent.attempt, calls.AgentLeft(at=fact.at))
    if after.has_line and not agent.has_line and after.attempt in floor.calls:
        call = floor.calls[after.attempt]
        if call.state is CallState.ANSWERED:
            _join_if_possible(floor, call, fact.at)
        elif (transfer := floor.transfers.get(call.attempt)) is not None and transfer.colleague == agent_id:
            opened_anew(floor, agent_id, fact.at)


def _mixed(command: AnyCommand, call: Call) -> AnyCommand:
    """The line of an operator to whom a person comes who has spoken with somebody before."""
    if isinstance(command, OpenLine) and call.connected_at is not None:
        return msgspec.structs.replace(command, is_mixed=True)
    return command


def hear_from(floor: FloorState, agent_id: AgentId, at: float) -> None:
    """A sign of life on the agent's own line: whatever the registration says, the phone is there."""
    phone = floor.agents[agent_id].server, floor.cards[agent_id].phone
    if phone in floor.dead_phones:
        floor.dead_phones.discard(phone)
        look_at_phone(floor, agent_id, at)


def look_at_phone(floor: FloorState, agent_id: AgentId, at: float) -> None:
    """The agent's phone changed, or is another one: let the agent's state follow it."""
    _follow(floor, agent_id, at)
    fact = _OF_PHONE[floor.phone(floor.cards[agent_id])]
    agent_step(floor, agent_id, fact(at=at))


def _follow(floor: FloorState, agent_id: AgentId, at: float) -> None:
    """A rung operator, in no call, whose phone is lost where they are and registered on another server, is there."""
    agent, card = floor.agents[agent_id], floor.cards[agent_id]
    is_free = card.leg == "rung" and agent.attempt is None and agent.channel is None
    if not is_free or agent.state is AgentState.SIGNED_OUT or floor.phone(card) != "lost":
        return
    there = [one for one in floor.servers.up if (one, card.phone) in floor.known_phones]
    if there and agent.server != there[0]:
        floor.agents[agent_id] = agent = msgspec.structs.replace(agent, server=there[0])
        floor.out.append(SaveAgent(agent=agent, at=at))
        floor.index_agent(agent_id)


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
    return is_given_up and before.state is not CallState.CONNECTED and after.ending not in TRUNK_ENDINGS
