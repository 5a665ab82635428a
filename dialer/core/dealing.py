"""Dealing: who is joined with whom, who is dialed, and which leads are asked for.

1. A person who answered is given to the longest idle operator who may serve the campaign, before any
   new call is placed; who answered first goes first, with music or without.
2. Nothing is originated while the event socket is down, the events lag, or the journal fails.
3. A number that is being dialed is not dialed a second time, whoever asks.
4. Who is dialed is judged right before (:mod:`dialer.core.judging`): what was known when the lead was
   fetched may hold no longer. A lead that may not be dialed leaves the floor; the store, which knows the
   facts of now, says when it comes again, or that it never does.
5. A lead that only its owner may have is dialed when that operator is idle, and promised to them at once.
6. A campaign is finished when the store holds no lead of it that is not, no call of it is live, and
   no operator is still wrapping one up: their result may ask for another call.
"""

from __future__ import annotations

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core import judging, steps
from dialer.core.commands import FetchLeads, Originate, SaveCall, SaveCampaignState, SetTimer
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.ids import AgentId
from dialer.core.orders import ORDERS
from dialer.core.pacing import progressive
from dialer.core.state import FloorState
from dialer.core.values import AgentState, Call, CampaignState, Centre, LeadPhone

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
        campaign, at = desk.campaign, event.at

        def owner_of(fresh: ev.FreshLead) -> AgentId | None:
            return fresh.lead.owner if judging.waits_for_owner(fresh.lead, campaign, at) else None

        desk.hopper.fill(
            event.leads if desk.is_running else (),
            live=floor.live_leads,
            at=at,
            ask=event.ask,
            is_unfinished=event.unfinished,
            is_partial=event.is_partial,
            owner_of=owner_of,
        )


def on_leads_added(floor: FloorState, event: ev.LeadsAdded) -> None:
    """There is more in the store."""
    desk = floor.desks.get(event.campaign)
    if desk is not None:
        desk.hopper.wake()


def on_do_not_call_changed(floor: FloorState, event: ev.DoNotCallChanged) -> None:
    """What is at hand, or on its way, may be on the lists now, or off them."""
    for desk in floor.desks.values():
        desk.hopper.clear()
        desk.hopper.wake()


def on_centre_applied(floor: FloorState, event: ev.CentreApplied) -> None:
    """The centre's rules are new: caps were counted by the old ones in what is at hand."""
    if floor.centre.caps != event.centre.caps:
        for desk in floor.desks.values():
            desk.hopper.clear()
            desk.hopper.wake()
    are_pauses_other = _pauses(floor.centre) != _pauses(event.centre)
    floor.centre = event.centre
    if are_pauses_other:
        for agent_id in list(floor.agents):
            steps.agent_step(floor, agent_id, agents.RulesChanged(at=event.at))


def _pauses(centre: Centre) -> tuple[object, ...]:
    return centre.pause_s_max, centre.missed_rest_s


def _set_state(floor: FloorState, desk: Desk, state: CampaignState, at: float) -> None:
    desk.state = state
    floor.out.append(SaveCampaignState(campaign=desk.campaign.id, state=state, at=at))


# -- settling -------------------------------------------------------------------------------


def settle(floor: FloorState, at: float) -> None:
    """Serve who waits, place the calls that may be placed, ask for the leads that will be wanted."""
    for attempt in list(floor.waiting):
        call = floor.calls[attempt]
        is_served = bool(floor.idle) and steps.serve(floor, call, at)
        if not is_served and call.deadline is not None and at >= call.deadline:
            steps.call_step(floor, attempt, calls.Expired(at=at))  # who is to wait no time at all, for one
    running = [desk for desk in floor.desks.values() if desk.state is CampaignState.RUNNING]
    if not running:
        return
    if floor.idle and not why_not_originating(floor):
        _place(floor, running, at)
    idle = len(floor.idle)
    for desk in running:
        if desk.hopper.may_ask(idle, at):
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
        present = _present(floor, desk) if desk.campaign.owners.away == "wait" else ()
        floor.out.append(FetchLeads(campaign=campaign, limit=limit, ask=hopper.asked, present=present))


def _present(floor: FloorState, desk: Desk) -> tuple[AgentId, ...]:
    """The operators who are at work, and work for the campaign."""
    return tuple(
        agent.id
        for agent in floor.agents.values()
        if agent.state is not AgentState.SIGNED_OUT
        and progressive.may_serve(floor.cards[agent.id].campaigns, desk.campaign.id)
    )


def _wraps_up(floor: FloorState, desk: Desk) -> bool:
    return any(
        agent.state is AgentState.WRAP_UP
        and agent.id in floor.last_calls
        and floor.last_calls[agent.id][0].campaign == desk.campaign.id
        for agent in floor.agents.values()
    )


def _place(floor: FloorState, running: list[Desk], at: float) -> None:
    """The calls in flight of every campaign keep their operators, also of those that run no more.

    Who is promised to a call before others were placed changes what they count on: it is all looked at anew.
    """
    while _place_round(floor, running, at):
        pass


def _place_round(floor: FloorState, running: list[Desk], at: float) -> bool:
    """Place the calls that may be placed; whether to look again."""
    unserved = {desk.campaign.id: len(desk.unserved) for desk in floor.desks.values() if desk.unserved}
    if not progressive.is_anyone_left(unserved, floor.idle.counts):
        return False
    rooms = {desk.campaign.id: _room(floor, desk, at) for desk in running}
    if not any(room > 0 for room in rooms.values()):
        return False
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
        if _room(floor, desk, at) <= 0:  # campaigns share trunks
            continue
        idle = len(floor.idle)
        if _dial(floor, desk, skills, at) and len(floor.idle) < idle:
            return True
    return False


def _room(floor: FloorState, desk: Desk, at: float) -> int:
    trunk = floor.trunks.get(desk.campaign.trunk)
    if trunk is None:
        return 0
    at_hand = len(desk.hopper)
    if desk.hopper.owners:
        at_hand += sum(floor.is_idle_for(owner, desk.campaign.id) for owner in desk.hopper.owners)
    return min(at_hand, desk.campaign.lines_max - len(desk.live), trunk.room(at))


def _dial(floor: FloorState, desk: Desk, skills: progressive.Skills, at: float) -> bool:
    """Place a call to the next lead that may be dialed, counting on an operator of these *skills*.

    Returns whether there was one.
    """
    campaign, trunk = desk.campaign, floor.trunks[desk.campaign.trunk]
    found = _next_lead(floor, desk, at)
    if found is None:
        return False
    fresh, phone, owner = found
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
            wait_s=campaign.wait_s + campaign.agent_ring_s,
        ),
    )
    if owner is not None:
        steps.reserve(floor, call, owner, at)
    elif campaign.ring_agent == "at_dial":
        agent_id = floor.idle.longest_of(skills)
        if floor.cards[agent_id].leg == "rung":
            steps.reserve(floor, call, agent_id, at)
    return True


def _next_lead(
    floor: FloorState, desk: Desk, at: float
) -> tuple[ev.FreshLead, LeadPhone, AgentId | None] | None:
    """Take the next lead that may be dialed, first one that belongs to an idle operator alone."""
    hopper, campaign = desk.hopper, desk.campaign
    for owner in list(hopper.owners):
        while owner in hopper.owners and floor.is_idle_for(owner, campaign.id) and _may_spare(floor, owner):
            fresh = hopper.pop_of(owner)
            floor.has_trace = True
            phone = _may_dial(floor, desk, fresh, at)
            if phone is not None and phone.number not in floor.live_numbers:
                return fresh, phone, owner
            # A number that is live for somebody else: the lead comes again with a later answer, not at once.
            hopper.drop(fresh.lead.id, at)
    for _ in range(len(hopper)):
        fresh = hopper.pop()
        phone = _may_dial(floor, desk, fresh, at)
        if phone is None:
            continue
        if phone.number not in floor.live_numbers:
            return fresh, phone, None
        hopper.put_back(fresh)
    return None


def _may_spare(floor: FloorState, owner: AgentId) -> bool:
    """Whether no call in flight counts on that operator and no other."""
    unserved = {desk.campaign.id: len(desk.unserved) for desk in floor.desks.values() if desk.unserved}
    return progressive.may_spare(floor.idle.skills_of(owner), unserved, floor.idle.counts)


def _may_dial(floor: FloorState, desk: Desk, fresh: ev.FreshLead, at: float) -> LeadPhone | None:
    """The lead's number to dial now; a lead that has none leaves the floor, and the store looks at it again."""
    is_due = fresh.lead.due <= at  # not so if the clock was set back
    phone = judging.judge(fresh.lead, desk.campaign, at).phone if is_due else None
    if phone is None:
        desk.hopper.drop(fresh.lead.id, at)
        floor.has_trace = True
    return phone
