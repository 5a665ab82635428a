"""Dealing: who is joined with whom, who is dialed, and which leads are asked for.

1. A person who answered is given to the longest idle operator who may serve the campaign, before any
   new call is placed; who answered first goes first.
2. Nothing is originated while the event socket is down, the events lag, or the journal fails.
3. A number that is being dialed is not dialed a second time, whoever asks.
4. A campaign is finished when the store holds no lead of it that is not, no call of it is live, and
   no operator is still wrapping one up: their result may ask for another call.
"""

from __future__ import annotations

from dialer.core import events as ev
from dialer.core import rules
from dialer.core.commands import FetchLeads, Originate, SaveCall, SaveCampaignState, SaveLead, SetTimer
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.orders import ORDERS
from dialer.core.pacing import progressive
from dialer.core.state import FloorState
from dialer.core.values import AgentState, Call, CampaignState, LeadPhone

# -- campaigns and trunks -------------------------------------------------------------------


def on_campaign_applied(floor: FloorState, event: ev.CampaignApplied) -> None:
    """Settings hold from the next decision on; leads at hand may have been chosen by the old ones."""
    desk = floor.desks.get(event.campaign.id)
    if desk is None:
        floor.desks[event.campaign.id] = Desk(event.campaign, CampaignState.NEW)
    elif desk.campaign != event.campaign:
        desk.campaign = event.campaign
        desk.hopper.clear()
        desk.hopper.wake()


def on_campaign_ordered(floor: FloorState, event: ev.CampaignOrdered) -> None:
    """An order that does not fit the campaign's state changes nothing."""
    desk = floor.desks.get(event.campaign)
    before, state = ORDERS[event.order]
    if desk is None or desk.state not in before:
        return
    _set_state(floor, desk, state, event.at)
    desk.hopper.wake()
    if not desk.is_running:
        desk.hopper.clear()


def on_trunk_applied(floor: FloorState, event: ev.TrunkApplied) -> None:
    """A trunk that comes while it carries calls already counts them."""
    desk = floor.trunks.get(event.trunk.id)
    if desk is None:
        live = sum(call.trunk == event.trunk.id for call in floor.calls.values())
        floor.trunks[event.trunk.id] = TrunkDesk(event.trunk, live)
    else:
        desk.trunk = event.trunk


def on_trunk_changed(floor: FloorState, event: ev.TrunkChanged) -> None:
    """Reachable or not."""
    if event.trunk in floor.trunks:
        floor.trunks[event.trunk].is_up = event.is_up


def on_leads(floor: FloorState, event: ev.LeadsFetched) -> None:
    """The store's answer. For a campaign that does not run any more it is only an end of waiting."""
    desk = floor.desks.get(event.campaign)
    if desk is not None:
        leads = event.leads if desk.is_running else ()
        desk.hopper.fill(
            leads, live=floor.live_leads, at=event.at, ask=event.ask, is_unfinished=event.unfinished
        )


def on_leads_added(floor: FloorState, event: ev.LeadsAdded) -> None:
    """There is more in the store."""
    desk = floor.desks.get(event.campaign)
    if desk is not None:
        desk.hopper.wake()


def _set_state(floor: FloorState, desk: Desk, state: CampaignState, at: float) -> None:
    desk.state = state
    floor.out.append(SaveCampaignState(campaign=desk.campaign.id, state=state, at=at))


# -- settling -------------------------------------------------------------------------------


def settle(floor: FloorState, at: float) -> None:
    """Serve who waits, place the calls that may be placed, ask for the leads that will be wanted."""
    if floor.idle:
        for attempt in list(floor.waiting):
            floor.serve(floor.calls[attempt], at)
    running = [desk for desk in floor.desks.values() if desk.is_running]
    if not running:
        return
    if floor.idle and not why_not_originating(floor):
        _place(floor, running, at)
    for desk in running:
        _fetch(floor, desk, at)
        if desk.hopper.is_exhausted and not desk.live and not len(desk.hopper) and not _wraps_up(floor, desk):
            _set_state(floor, desk, CampaignState.FINISHED, at)


def why_not_originating(floor: FloorState) -> list[str]:
    """Why nothing may be originated at this moment; empty when it may."""
    why = []
    if not floor.is_pbx_up:
        why.append("no connection to Asterisk")
    if floor.is_leaving:
        why.append("the engine is leaving")
    if floor.is_late:
        why.append("events lag")
    if floor.journal_error is not None:
        why.append(f"the journal fails: {floor.journal_error}")
    return why


def _fetch(floor: FloorState, desk: Desk, at: float) -> None:
    campaign, hopper = desk.campaign.id, desk.hopper
    counts = floor.idle.counts.items()
    wanted = sum(count for skills, count in counts if progressive.may_serve(skills, campaign))
    limit = hopper.ask(wanted=2 * wanted, live=len(desk.live), at=at)
    if limit is not None:
        floor.out.append(FetchLeads(campaign=campaign, limit=limit, ask=hopper.asked))


def _wraps_up(floor: FloorState, desk: Desk) -> bool:
    return any(
        agent.state is AgentState.WRAP_UP
        and agent.id in floor.last_calls
        and floor.last_calls[agent.id][0].campaign == desk.campaign.id
        for agent in floor.agents.values()
    )


def _place(floor: FloorState, running: list[Desk], at: float) -> None:
    """The calls in flight of every campaign keep their operators, also of those that run no more."""
    if floor.idle.is_one_team and len(floor.idle) <= sum(len(desk.unserved) for desk in floor.desks.values()):
        return
    rooms = {desk.campaign.id: _room(floor, desk, at) for desk in running}
    if not any(room > 0 for room in rooms.values()):
        return
    turns = sorted(floor.desks.values(), key=lambda desk: (desk.campaign.priority, desk.last_dialed_at))
    demands = [
        progressive.Demand(
            desk.campaign.id, len(desk.unserved), rooms.get(desk.campaign.id, 0), desk.campaign.priority
        )
        for desk in turns
        if desk.unserved or desk.campaign.id in rooms
    ]
    for campaign, skills in progressive.place(demands, floor.idle.counts):
        desk = floor.desks[campaign]
        if _room(floor, desk, at) > 0:  # campaigns share trunks
            _dial(floor, desk, skills, at)


def _room(floor: FloorState, desk: Desk, at: float) -> int:
    trunk = floor.trunks.get(desk.campaign.trunk)
    return min(desk.room, trunk.room(at)) if trunk is not None else 0


def _dial(floor: FloorState, desk: Desk, skills: progressive.Skills, at: float) -> None:
    """Place a call to the next lead that may be dialed, counting on an operator of these *skills*."""
    campaign, trunk = desk.campaign, floor.trunks[desk.campaign.trunk]
    found = _next_lead(floor, desk)
    if found is None:
        return
    fresh, phone = found
    call = Call(
        attempt=fresh.attempt,
        campaign=campaign.id,
        lead=fresh.lead.id,
        contact=fresh.lead.contact,
        phone=phone.id,
        number=phone.number,
        ordinal=fresh.lead.ordinal + 1,
        trunk=campaign.trunk,
        created_at=at,
        deadline=at + campaign.ring_s,
    )
    floor.take_call(call, fresh.lead)
    desk.last_dialed_at = at
    floor.out += (
        SaveCall(call=call),
        SetTimer(kind="attempt", subject=call.attempt, due=at + campaign.ring_s),
        Originate(
            attempt=call.attempt,
            campaign=campaign.id,
            trunk=campaign.trunk,
            number=phone.number,
            caller_id=campaign.caller_id or trunk.trunk.caller_id,
            ring_s=campaign.ring_s,
            record=campaign.record,
        ),
    )
    if campaign.ring_agent == "at_dial":
        agent_id = floor.idle.longest_of(skills)
        if floor.cards[agent_id].leg == "rung":
            floor.reserve(call, agent_id, at)


def _next_lead(floor: FloorState, desk: Desk) -> tuple[ev.FreshLead, LeadPhone] | None:
    """Take the next lead whose number is free; finish those on the way that have no number left."""
    for _ in range(len(desk.hopper)):
        fresh = desk.hopper.pop()
        phone = rules.pick_phone(fresh.lead, desk.campaign)
        if phone is None:
            lead = fresh.lead
            floor.out.append(
                SaveLead(lead=lead.id, ordinal=lead.ordinal, due=None, finished="no_number_left")
            )
            desk.hopper.release(lead.id)
        elif phone.number in floor.live_numbers:
            desk.hopper.put_back(fresh)
        else:
            return fresh, phone
    return None
