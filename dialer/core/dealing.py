"""Dealing: campaigns and their leads, who is joined with whom, and what is asked of the store.

1. A person who answered is given to the longest idle operator who may serve the campaign, before any
   new call is placed; who answered first goes first, with music or without, but who called us before all others
   (:mod:`dialer.core.blending`).
2. Nothing is originated while the event socket is down, the events lag, or the journal fails.
3. How many calls are placed is the business of each campaign's mode (:mod:`dialer.core.modes`), who is
   dialed that of :mod:`dialer.core.dialing`.
4. A campaign is finished when the store holds no lead of it that is not, no call of it is live, and
   no operator is still wrapping one up: their result may ask for another call.
"""

from __future__ import annotations

from dialer.core import agent as agents
from dialer.core import blending, judging, modes, outside, routing, steps, thirds
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core.commands import FetchLeads, SaveCampaignState
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.destinations import trunk_ids
from dialer.core.ids import AgentId
from dialer.core.lanes import may_serve
from dialer.core.orders import ORDERS
from dialer.core.state import FloorState
from dialer.core.trunk import Trunk
from dialer.core.values import (
    TRUNK_DOWN,
    TRUNK_SILENT,
    AgentState,
    Call,
    CallState,
    CampaignState,
    Centre,
    Lead,
)

# -- campaigns and trunks -------------------------------------------------------------------


def on_campaign_applied(floor: FloorState, event: ev.CampaignApplied) -> None:
    """Settings hold from the next decision on; leads at hand may have been chosen by the old ones."""
    desk = floor.desks.get(event.campaign.id)
    if desk is None:
        floor.desks[event.campaign.id] = Desk(event.campaign, CampaignState.NEW)
    elif desk.campaign != event.campaign:
        before, desk.campaign = desk.campaign, event.campaign
        desk.hopper.begin_anew()
        floor.teller.mode_changed(before, event.campaign, _live(floor, desk), event.at)
    floor.teller.campaign(event.campaign, event.at)


def _live(floor: FloorState, desk: Desk) -> list[tuple[Call, Lead]]:
    return [
        (call, floor.leads[call.attempt])
        for call in floor.calls.values()
        if call.campaign == desk.campaign.id
    ]


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
    """A trunk that comes while it carries calls already counts them. One that is changed stays in or out of rotation as it was."""
    desk = floor.trunks.get(event.trunk.id)
    if desk is None:
        live = sum(call.trunk == event.trunk.id for call in floor.calls.values())
        live += sum(leg.trunk == event.trunk.id for leg in floor.legs.values())
        desk = floor.trunks[event.trunk.id] = TrunkDesk(event.trunk, live)
        routing.note_anew(floor, desk, event.at, "it was applied", floor.servers.used)
        _begin_anew(floor)
        return
    if _destinations(desk.trunk) != _destinations(event.trunk) or desk.is_removed:
        _begin_anew(floor)
    desk.trunk = event.trunk
    desk.is_removed = False
    routing.note(floor, desk, event.at, "it was applied again")


def _destinations(trunk: Trunk) -> tuple[object, ...]:
    return trunk.destinations, trunk.forbidden


def on_trunk_ordered(floor: FloorState, event: ev.TrunkOrdered) -> None:
    """Out of use, or in it again. What is on it goes on."""
    desk = floor.trunks.get(event.trunk)
    if desk is None:
        return
    if event.order == "remove":
        desk.is_removed = True
        _begin_anew(floor)
    else:
        desk.is_disabled = event.order == "disable"
    routing.note(floor, desk, event.at, "by order")


def on_trunk_changed(floor: FloorState, event: ev.TrunkChanged) -> None:
    """Reachable or not."""
    desk = floor.trunks.get(event.trunk)
    if desk is None:
        return
    if event.is_up:
        desk.down.discard(event.server)
    else:
        desk.down.add(event.server)
    why = "it answers OPTIONS" if event.is_up else "it does not answer OPTIONS"
    routing.note(floor, desk, event.at, why, event.server)
    if not event.is_up:
        for attempt in routing.on_down(floor, desk, event.server, event.at):
            steps.call_step(floor, attempt, calls.EndAsked(at=event.at, why=TRUNK_DOWN))
        thirds.on_trunk_down(floor, desk, event.server, event.at)


def on_trunk_silent(floor: FloorState, event: ev.TrunkSilent) -> None:
    """Nobody was rung: the call is ended, and goes on by another trunk when it has."""
    call = floor.calls.get(event.attempt)
    if call is not None and call.state is CallState.DIALING:
        steps.call_step(floor, call.attempt, calls.EndAsked(at=event.at, why=TRUNK_SILENT))


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
    _begin_anew(floor)


def on_centre_applied(floor: FloorState, event: ev.CentreApplied) -> None:
    """The centre's rules are new: caps were counted by the old ones in what is at hand."""
    if (floor.centre.caps, floor.centre.countries) != (event.centre.caps, event.centre.countries):
        _begin_anew(floor)
    are_pauses_other = _pauses(floor.centre) != _pauses(event.centre)
    floor.centre = event.centre
    if are_pauses_other:
        for agent_id in list(floor.agents):
            steps.agent_step(floor, agent_id, agents.RulesChanged(at=event.at))


def _begin_anew(floor: FloorState) -> None:
    for desk in floor.desks.values():
        desk.hopper.begin_anew()


def _pauses(centre: Centre) -> tuple[object, ...]:
    return centre.pause_s_max, centre.missed_rest_s


def _set_state(floor: FloorState, desk: Desk, state: CampaignState, at: float) -> None:
    desk.state = state
    floor.out.append(SaveCampaignState(campaign=desk.campaign.id, state=state, at=at))


# -- settling -------------------------------------------------------------------------------


def settle(floor: FloorState, at: float) -> None:
    """Serve who waits, place the calls that may be placed, ask for the leads that will be wanted."""
    outside.look(floor, at)
    while _serve(floor, at) and floor.waiting and floor.idle:
        pass  # a progressive call that has an operator now may leave one to somebody who answered before
    blending.reserve(floor)
    running = [desk for desk in floor.desks.values() if desk.state is CampaignState.RUNNING]
    if not running:
        return
    if not floor.why_not_originating():
        modes.place(floor, running, at)
    for desk in running:
        if desk.hopper.may_ask(modes.wanted_most(floor, desk), at):
            _fetch(floor, desk, at)
        if desk.hopper.is_exhausted and not desk.live and not len(desk.hopper) and not _wraps_up(floor, desk):
            _set_state(floor, desk, CampaignState.FINISHED, at)


def _serve(floor: FloorState, at: float) -> bool:
    """Look once at everybody who waits; whether anybody was served."""
    is_anybody = False
    for attempt in list(floor.waiting):
        call = floor.calls[attempt]
        is_served = bool(floor.idle) and steps.serve(floor, call, at)
        is_anybody |= is_served
        if not is_served and call.deadline is not None and at >= call.deadline:
            steps.call_step(floor, attempt, calls.Expired(at=at))  # who is to wait no time at all, for one
    return is_anybody


def _fetch(floor: FloorState, desk: Desk, at: float) -> None:
    campaign, hopper = desk.campaign.id, desk.hopper
    limit = hopper.ask(wanted=modes.wanted(floor, desk), live=len(desk.live), at=at)
    if limit is not None:
        present = _present(floor, desk) if desk.campaign.owners.away == "wait" else ()
        more = min(len(trunk_ids(desk.campaign)) - 1, routing.MORE_MAX)
        floor.out.append(
            FetchLeads(campaign=campaign, limit=limit, ask=hopper.asked, present=present, more=more)
        )


def _present(floor: FloorState, desk: Desk) -> tuple[AgentId, ...]:
    """The operators who are at work, and work for the campaign."""
    return tuple(
        agent.id
        for agent in floor.agents.values()
        if agent.state is not AgentState.SIGNED_OUT
        and may_serve(floor.cards[agent.id].campaigns, desk.campaign.id)
    )


def _wraps_up(floor: FloorState, desk: Desk) -> bool:
    return any(
        agent.state is AgentState.WRAP_UP
        and agent.id in floor.last_calls
        and floor.last_calls[agent.id][0].campaign == desk.campaign.id
        for agent in floor.agents.values()
    )
