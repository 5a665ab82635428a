"""What people ask of the floor: operators by feature codes, supervisors by orders to an operator.

1. Whose request it is, the phone says: a code dialed from it, or keyed on its line.
2. Every request is answered by a sound: done, or refused. A request that is refused changes nothing.
3. The result of a call may be given during the call, in the wrap-up, and until the next call is
   connected; it may be changed as long as it may be given. That the number is wrong is taken back
   with it, also when the lead has been dialed again since.
"""

from __future__ import annotations

import msgspec

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core import features, rules
from dialer.core.commands import Dismiss, Message, SaveCall, SaveCampaignState, SavePhone, Tell
from dialer.core.features import Feature
from dialer.core.ids import AgentId
from dialer.core.state import FloorState
from dialer.core.values import Agent, AgentState, Call, CampaignState, Lead


def on_feature(floor: FloorState, event: ev.FeatureDialed) -> None:
    """A code was dialed as a call of its own: do it, confirm it and end the call."""
    asked = features.parse(event.code)
    agent_id = floor.by_phone.get(event.phone)
    if asked is None or agent_id is None:
        floor.out.append(Dismiss(channel=event.channel, message="refused"))
        return
    message: Message | None
    if asked.feature is Feature.SIGN_IN:
        floor.agent_step(agent_id, agents.SignInAsked(at=event.at, channel=event.channel))
        if floor.cards[agent_id].leg == "parked":
            return  # the channel is the line now, and is told so when it is in its bridge
        message = "signed_in"
    else:
        message = _use(floor, agent_id, asked, event.at)
    floor.out.append(Dismiss(channel=event.channel, message=message or "call_over"))


def on_digit(floor: FloorState, event: ev.DigitPressed) -> None:
    """A key on an agent's line: perhaps the last one of a code."""
    agent_id = floor.by_channel.get(event.channel)
    if agent_id is None:
        return
    pressed, code = features.key(floor.keys.get(event.channel, ""), event.digit)
    floor.keys[event.channel] = pressed
    if code is None:
        return
    asked = features.parse(code)
    message = _use(floor, agent_id, asked, event.at) if asked is not None else "refused"
    if message is not None and floor.agents[agent_id].channel == event.channel:
        floor.out.append(Tell(channel=event.channel, message=message))


def on_agent_ordered(floor: FloorState, event: ev.AgentOrdered) -> None:
    """A supervisor forces an operator's state; during a call it takes effect when that is over."""
    facts: dict[str, agents.Fact] = {
        "ready": agents.ReadyAsked(at=event.at),
        "pause": agents.PauseAsked(at=event.at, reason=event.reason or "supervisor"),
        "sign_out": agents.SignOutAsked(at=event.at),
    }
    floor.agent_step(event.agent, facts[event.order])


def on_agent_applied(floor: FloorState, event: ev.AgentApplied) -> None:
    """A card is new or changed. Who is signed in the one way must sign in again for the other."""
    before = floor.cards.get(event.agent.id)
    if before is not None and before.leg != event.agent.leg:
        floor.agent_step(before.id, agents.SignOutAsked(at=event.at))
    floor.take_card(event.agent)


def _use(floor: FloorState, agent_id: AgentId, asked: features.Asked, at: float) -> Message | None:
    """Do what a feature code asks; the confirmation to be heard, if any."""
    agent = floor.agents[agent_id]
    if asked.feature is not Feature.RESULT and agent.state is AgentState.SIGNED_OUT:
        return "refused"
    match asked.feature:
        case Feature.SIGN_OUT:
            floor.agent_step(agent_id, agents.SignOutAsked(at=at))
            return "signed_out"
        case Feature.READY:
            floor.agent_step(agent_id, agents.ReadyAsked(at=at))
            return "ready"
        case Feature.PAUSE:
            reason = _pause_reasons(floor, agent_id).get(asked.argument)
            if reason is None:
                return "refused"
            floor.agent_step(agent_id, agents.PauseAsked(at=at, reason=reason))
            return "paused"
        case Feature.RESULT:
            return _give_result(floor, agent, asked.argument, at)
        case Feature.HANG_UP if agent.state is AgentState.ON_CALL and agent.attempt is not None:
            floor.call_step(agent.attempt, calls.EndAsked(at=at, why="operator"))
            return None
        case _:
            return "refused"


def _pause_reasons(floor: FloorState, agent_id: AgentId) -> dict[str, str]:
    campaigns = floor.cards[agent_id].campaigns or tuple(floor.desks)
    desk = floor.desks.get(campaigns[0]) if campaigns else None
    return rules.pause_reasons(desk.campaign if desk else None)


def _give_result(floor: FloorState, agent: Agent, code: str, at: float) -> Message:
    """The operator's result of the present call, or of the last one."""
    call: Call | None = floor.calls.get(agent.attempt) if agent.attempt is not None else None
    is_live = call is not None and call.connected_at is not None
    lead: Lead | None = None
    if not is_live:
        call, lead = floor.last_calls.get(agent.id, (None, None))
    if call is None:
        return "refused"
    desk = floor.desks[call.campaign]
    given = next((one for one in rules.operator_results(desk.campaign) if one.code == code), None)
    if given is None:
        return "refused"
    before = rules.operator_result(desk.campaign, call.operator_result)
    call = msgspec.structs.replace(call, operator_result=given.name)
    floor.out.append(SaveCall(call=call))
    if is_live:
        floor.calls[call.attempt] = call
        return "result_saved"
    floor.remember_last(call, lead)
    was_bad = before is not None and before.is_bad_number
    if given.is_bad_number != was_bad:
        floor.out.append(SavePhone(phone=call.phone, is_bad=given.is_bad_number))
    if given.is_bad_number:
        floor.mark_bad(call.phone)
    elif was_bad:
        for other in floor.desks.values():
            other.hopper.doubt(call.phone)
    if lead is None:
        return "result_saved"  # the lead was dialed again since
    after = floor.recycle(desk, lead, call, at)
    desk.hopper.remove(lead.id)
    desk.hopper.wake()
    floor.is_stirred = True
    if after.due is not None and desk.state is CampaignState.FINISHED:
        desk.state = CampaignState.RUNNING
        floor.out.append(SaveCampaignState(campaign=desk.campaign.id, state=desk.state, at=at))
    return "result_saved"
