"""What people ask of the floor: operators by feature codes, supervisors by orders to an operator.

1. Whose request it is, the phone says: a code dialed from it, or keyed on its line.
2. Every request is answered by a sound: done, or refused. A request that is refused changes nothing.
3. The result of a call may be given during the call, in the wrap-up, and until the next call is
   connected; it may be changed as long as it may be given. That the number is wrong is taken back
   with it, also when the lead has been dialed again since. That the person wants no more calls is not
   taken back by an operator: a supervisor does that.
4. A callback is a promise: it goes before what the result asks for. It is given like a result.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core import features, recycling, results, steps, transferring
from dialer.core.commands import (
    Dismiss,
    ForgetChoice,
    Message,
    SaveCall,
    SaveCallback,
    SaveCampaignState,
    SaveChoice,
    SaveDoNotCall,
    SavePhone,
    SendToLastWord,
    SetTimer,
    Tell,
)
from dialer.core.desk import Desk
from dialer.core.features import Feature
from dialer.core.ids import AgentId, ChannelId, LeadId, is_leg
from dialer.core.state import FloorState
from dialer.core.values import Agent, AgentState, Call, CallState, CampaignState, Lead


def on_feature(floor: FloorState, event: ev.FeatureDialed) -> None:
    """A code was dialed as a call of its own: do it, confirm it and end the call."""
    asked = features.parse(event.code)
    agent_id = floor.by_phone.get(event.phone)
    if asked is None or agent_id is None:
        floor.out.append(Dismiss(channel=event.channel, message="refused"))
        return
    message: Message | None
    if asked.feature is Feature.SIGN_IN:
        asked_in = agents.SignInAsked(at=event.at, channel=event.channel, server=event.server)
        steps.agent_step(floor, agent_id, asked_in)
        if floor.cards[agent_id].leg == "parked":
            return  # the channel is the line now, and is told so when it is in its bridge
        message = "signed_in"
    else:
        message = _use(floor, agent_id, asked, event.at)
    floor.out.append(Dismiss(channel=event.channel, message=message or "call_over"))


def on_digit(floor: FloorState, event: ev.DigitPressed) -> None:
    """A key on an agent's line: perhaps the last one of a code.

    Whatever else is keyed leaves no trace (:meth:`dialer.core.floor.Floor.must_note`), for it may be a secret: the PIN of an operator on an outside
    line, who is asked for it before the line is one; a number of a card that a person keys.
    """
    agent_id = transferring.whose(floor, event.channel)
    if agent_id is None or _is_not_picked_up(floor.agents[agent_id], event.channel):
        return
    floor.has_trace = True
    steps.hear_from(floor, agent_id, event.at)
    pressed, code = features.key(floor.keys.get(event.channel, ""), event.digit)
    floor.keys[event.channel] = pressed
    if code is None:
        return
    asked = features.parse(code)
    message = _use(floor, agent_id, asked, event.at) if asked is not None else "refused"
    if message is not None and transferring.whose(floor, event.channel) == agent_id:
        floor.out.append(Tell(channel=event.channel, message=message))


def _is_not_picked_up(agent: Agent, channel: ChannelId) -> bool:
    """Whether that is the leg that is rung for the agent: who picks it up on an outside line is asked for the PIN before it is ours."""
    return (
        is_leg(channel)
        and channel == agent.channel
        and agent.state is AgentState.RESERVED
        and not agent.has_line
    )


def on_agent_ordered(floor: FloorState, event: ev.AgentOrdered) -> None:
    """A supervisor forces an operator's state; during a call it takes effect when that is over."""
    if event.agent not in floor.agents or why_not_ordered(floor, event.agent, event.order) is not None:
        return
    is_own = event.reason in agents.OWN_REASONS
    facts: dict[str, agents.Fact] = {
        "ready": agents.ReadyAsked(at=event.at),
        "pause": agents.PauseAsked(
            at=event.at, reason=event.reason if event.reason and not is_own else "supervisor"
        ),
        "sign_out": agents.SignOutAsked(at=event.at),
    }
    steps.agent_step(floor, event.agent, facts[event.order])


def on_agent_applied(floor: FloorState, event: ev.AgentApplied) -> None:
    """A card is new or changed. Who is signed in the one way must sign in again for the other."""
    before = floor.cards.get(event.agent.id)
    if before is not None and before.leg != event.agent.leg:
        steps.agent_step(floor, before.id, agents.SignOutAsked(at=event.at))
    floor.take_card(event.agent)
    steps.look_at_phone(floor, event.agent.id, event.at)


def why_not_ordered(floor: FloorState, agent_id: AgentId, order: str) -> str | None:
    """Why a supervisor's order to that operator can do nothing now; None if it can.

    Nobody is signed in by another's order: whether the operator is there, only they can say. Nor is anybody
    made ready whose phone cannot be rung; they are ready by themselves when it can.
    """
    agent, card = floor.agents[agent_id], floor.cards[agent_id]
    if order != "sign_out" and agent.state is AgentState.SIGNED_OUT:
        return f"{agent_id} is signed out; only the operator can sign in, from the desk phone"
    is_free = agent.state in (AgentState.PAUSED, AgentState.WRAP_UP)
    if order == "ready" and is_free and floor.phone(card) == "lost":
        return f"{agent_id} cannot be ready: their phone {card.phone} is not registered"
    return None


def on_callback_ordered(floor: FloorState, event: ev.CallbackOrdered) -> None:
    """A supervisor's promise. For a lead that is being called it holds when that call is over."""
    desk = floor.desks.get(event.campaign)
    if desk is None:
        return
    _call_back(floor, desk, event.lead, event.due, event.agent, event.at)


def on_returned(floor: FloorState, event: ev.ContactReturned) -> None:
    """They chose to wait; but not in vain: while nobody is at work the dialplan offers what else there is."""
    call = floor.calls.get(event.attempt)
    if call is None:
        floor.out.append(SendToLastWord(attempt=event.attempt))
    elif not calls.may_return(call) or floor.waiting.is_anybody_signed_in(call.campaign, call.server):
        steps.call_step(floor, event.attempt, event)
    else:
        if call.state is not CallState.ENDING:  # nobody had heard of the answer
            steps.call_step(floor, event.attempt, ev.ContactAnswered(at=event.at, attempt=event.attempt))
        steps.call_step(floor, event.attempt, calls.LeftToDialplan(at=event.at))
        if call.direction == "in":
            floor.out.append(calls.overflow_command(floor.calls[event.attempt]))
        else:
            floor.out.append(SendToLastWord(attempt=event.attempt))


def on_choice(floor: FloorState, event: ev.ContactChose) -> None:
    """A person's choice by a key, which holds from this event on; once it is written down the note of it may go.

    Of a call that has ended long ago the event says whose it was. As long as it does not, the note is kept. The same
    choice told once more changes nothing: the promised call may have been made meanwhile.
    """
    call = floor.calls.get(event.attempt)
    if call is not None:
        lead, number = floor.leads[event.attempt], call.number
        steps.call_step(floor, event.attempt, event)
        if event.choice == "refuse":
            _bar(floor, {number, *(phone.number for phone in lead.phones)}, "ivr", event.at)
    elif event.number is not None and event.lead is not None and event.campaign is not None:
        if floor.is_late_choice_new(event.attempt, (event.choice, event.due)):
            floor.out.append(SaveChoice(attempt=event.attempt, choice=event.choice))
            desk = floor.desks.get(event.campaign)
            if event.choice == "refuse":
                _bar(floor, {event.number}, "ivr", event.at)
            elif event.choice == "later" and event.due is not None and desk is not None:
                _call_back(floor, desk, event.lead, event.due, None, event.at)
    else:
        return
    floor.out.append(ForgetChoice(attempt=event.attempt))


def _call_back(
    floor: FloorState, desk: Desk, lead: LeadId, due: float, agent_id: AgentId | None, at: float
) -> None:
    """The lead is to be called at *due*, by that agent or by anyone; if it is live, when that call is over."""
    if lead in floor.live_leads:
        calls_of_lead = [call for call in floor.calls.values() if call.lead == lead]
        live = next((call for call in calls_of_lead if call.direction == "in"), calls_of_lead[0])
        live = msgspec.structs.replace(live, callback_at=due, callback_agent=agent_id)
        floor.calls[live.attempt] = live
        floor.out.append(SaveCall(call=live))
        return
    campaign = desk.campaign.id
    floor.out += (
        SaveCallback(lead=lead, due=due, owner=agent_id, at=at),
        SetTimer(kind="lead", subject=str(lead), due=due, campaign=campaign),
    )
    floor.forget_lead(lead)
    desk.hopper.remove(lead)
    _there_is_more(floor, desk, at)


_OF_A_CALL = frozenset({Feature.RESULT, Feature.CALLBACK, Feature.MY_CALLBACK})
"""What may be said of the last call after signing out, too."""


def _use(floor: FloorState, agent_id: AgentId, asked: features.Asked, at: float) -> Message | None:
    """Do what a feature code asks; the confirmation to be heard, if any."""
    agent = floor.agents[agent_id]
    if asked.feature not in _OF_A_CALL and agent.state is AgentState.SIGNED_OUT:
        return "refused"
    match asked.feature:
        case Feature.SIGN_OUT:
            steps.agent_step(floor, agent_id, agents.SignOutAsked(at=at))
            return "signed_out"
        case Feature.READY:
            steps.agent_step(floor, agent_id, agents.ReadyAsked(at=at))
            return "ready"
        case Feature.PAUSE:
            reason = _pause_reasons(floor, agent_id).get(asked.argument)
            if reason is None or reason in agents.OWN_REASONS:
                return "refused"
            steps.agent_step(floor, agent_id, agents.PauseAsked(at=at, reason=reason))
            return "paused"
        case Feature.RESULT:
            return _give_result(floor, agent, asked.argument, at)
        case Feature.CALLBACK:
            return _give_callback(floor, agent, asked.argument, at, is_own=False)
        case Feature.MY_CALLBACK:
            return _give_callback(floor, agent, asked.argument, at, is_own=True)
        case feature if feature in transferring.FEATURES:
            return transferring.use(floor, agent_id, asked, at)
        case Feature.HANG_UP if agent.state is AgentState.ON_CALL and agent.attempt is not None:
            steps.call_step(floor, agent.attempt, calls.EndAsked(at=at, why="operator"))
            return None
        case _:
            return "refused"


def _pause_reasons(floor: FloorState, agent_id: AgentId) -> dict[str, str]:
    """By digit. Of two campaigns that mean different things by one digit, the first on the card is right."""
    reasons: dict[str, str] = {}
    for campaign in floor.cards[agent_id].campaigns or tuple(floor.desks):
        if campaign in floor.desks:
            reasons = results.pause_reasons(floor.desks[campaign].campaign) | reasons
    return reasons or results.pause_reasons(None)


def _give_result(floor: FloorState, agent: Agent, code: str, at: float) -> Message:
    """The operator's result of the present call, or of the last one."""
    call, lead, is_live = _spoken_of(floor, agent)
    if call is None:
        return "refused"
    desk = floor.desks[call.campaign]
    given = next((one for one in results.operator_results(desk.campaign) if one.code == code), None)
    if given is None:
        return "refused"
    before = results.operator_result(desk.campaign, call.operator_result)
    call = msgspec.structs.replace(call, operator_result=given.name)
    floor.out.append(SaveCall(call=call))
    if given.is_do_not_call:
        lead_now = lead or floor.leads.get(call.attempt)
        known = (
            {phone.number for phone in lead_now.phones}
            if lead_now is not None
            else floor.last_numbers.get(agent.id, set())
        )
        _bar(floor, {call.number, *known}, f"operator {agent.id}", at)
    if is_live:
        floor.calls[call.attempt] = call
        if desk.campaign.wrap_up == "card" and agent.state is AgentState.WRAP_UP:
            steps.agent_step(floor, agent.id, agents.CardClosed(at=at))
        return "result_saved"
    floor.remember_last(call, lead)
    was_bad = before is not None and before.is_bad_number
    if given.is_bad_number != was_bad:
        floor.out.append(SavePhone(phone=call.phone, is_bad=given.is_bad_number))
    if given.is_bad_number:
        floor.mark_bad(call.phone, call.number)
    elif was_bad:
        for other in floor.desks.values():
            other.hopper.doubt(call.number)
            other.hopper.wake()
    _recycle_again(floor, call, lead, at)
    if desk.campaign.wrap_up == "card":
        steps.agent_step(floor, agent.id, agents.CardClosed(at=at))
    return "result_saved"


def _give_callback(floor: FloorState, agent: Agent, delay: str, at: float, *, is_own: bool) -> Message:
    """The operator promises the person of the present call, or of the last one, another call."""
    call, lead, is_live = _spoken_of(floor, agent)
    delay_s = features.delay_s(delay)
    if call is None or delay_s is None or (lead is None and not is_live):
        return "refused"
    call = msgspec.structs.replace(
        call, callback_at=at + delay_s, callback_agent=agent.id if is_own else None
    )
    floor.out.append(SaveCall(call=call))
    if is_live:
        floor.calls[call.attempt] = call
        return "result_saved"
    floor.remember_last(call, lead)
    _recycle_again(floor, call, lead, at)
    return "result_saved"


def _spoken_of(floor: FloorState, agent: Agent) -> tuple[Call | None, Lead | None, bool]:
    """The call of which an operator may say something now, its lead, and whether it is live.

    No lead: the call is live, or its lead was dialed again since.
    """
    attempt = agent.attempt if agent.state is AgentState.ON_CALL else agent.last_attempt
    call = floor.calls.get(attempt) if attempt is not None else None
    if call is not None and call.connected_at is not None and call.agent == agent.id:
        return call, None, True  # which they may have handed over, and be free
    last, lead = floor.last_calls.get(agent.id, (None, None))
    return last, lead, False


def _recycle_again(floor: FloorState, call: Call, lead: Lead | None, at: float) -> None:
    """What becomes of the lead is another thing than it was when the call ended."""
    if lead is None:
        return  # it was dialed again since
    desk = floor.desks[call.campaign]
    after = recycling.recycle(floor, desk, lead, call, at)
    desk.hopper.remove(lead.id)
    _there_is_more(floor, desk, at, is_due=after.due is not None)


def _there_is_more(floor: FloorState, desk: Desk, at: float, *, is_due: bool = True) -> None:
    desk.hopper.wake()
    floor.is_stirred = True
    if is_due and desk.state is CampaignState.FINISHED:
        desk.state = CampaignState.RUNNING
        floor.out.append(SaveCampaignState(campaign=desk.campaign.id, state=desk.state, at=at))


def _bar(floor: FloorState, numbers: Collection[str], source: str, at: float) -> None:
    """The person wants no more calls: none of their *numbers* is dialed again, by no campaign."""
    for number in sorted(numbers):
        floor.out.append(SaveDoNotCall(number=number, campaign=None, source=source, at=at))
        for desk in floor.desks.values():
            desk.hopper.doubt(number)
