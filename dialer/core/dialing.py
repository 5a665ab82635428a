"""Dialing: whether a campaign has room for a call, and the placing of one, in whatever mode.

1. A number that is being dialed is not dialed a second time, whoever asks.
2. Who is dialed is judged right before (:mod:`dialer.core.judging`): what was known when the lead was
   fetched may hold no longer. A lead that may not be dialed leaves the floor; the store, which knows the
   facts of now, says when it comes again, or that it never does.
3. A lead that only its owner may have is dialed when that operator is idle, and promised to them at once.
"""

from __future__ import annotations

from dialer.core import events as ev
from dialer.core import judging, steps
from dialer.core.commands import Originate, SaveCall, SetTimer
from dialer.core.desk import Desk
from dialer.core.ids import AgentId
from dialer.core.pacing import progressive
from dialer.core.pacing.book import Limit
from dialer.core.state import FloorState
from dialer.core.values import Call, LeadPhone


def room(floor: FloorState, desk: Desk, at: float) -> tuple[int, Limit]:
    """How many calls more the campaign could place now, and what it is that allows no more."""
    trunk = floor.trunks.get(desk.campaign.trunk)
    if trunk is None:
        return 0, "lines"
    at_hand = len(desk.hopper)
    if desk.hopper.owners:
        at_hand += sum(floor.is_idle_for(owner, desk.campaign.id) for owner in desk.hopper.owners)
    lines = min(desk.campaign.lines_max - len(desk.live), trunk.lines(at))
    most = max(0, min(at_hand, lines, trunk.room(at)))
    if at_hand <= most:
        return most, "no_contacts"
    return most, "lines" if lines <= most else "calls_per_second"


def dial(floor: FloorState, desk: Desk, at: float, skills: progressive.Skills | None = None) -> bool:
    """Place a call to the next lead that may be dialed, counting on an operator of these *skills*, or (None) on nobody.

    Returns whether there was one, and room for it: campaigns share trunks.
    """
    if room(floor, desk, at)[0] <= 0:
        return False
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
            kind=phone.kind,
            zones=phone.zones,
            message_times=campaign.announcement.times if campaign.mode == "announcement" else 0,
            listen_s=campaign.machines.listening_s,
        ),
    )
    if owner is not None:
        steps.reserve(floor, call, owner, at)
    elif skills is not None and campaign.ring_agent == "at_dial":
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
            if phone is None:
                continue
            if phone.number not in floor.live_numbers:
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
    return progressive.may_spare(floor.idle.skills_of(owner), floor.unserved(), floor.idle.counts)


def _may_dial(floor: FloorState, desk: Desk, fresh: ev.FreshLead, at: float) -> LeadPhone | None:
    """The lead's number to dial now; a lead that has none leaves the floor, and the store looks at it again."""
    is_due = fresh.lead.due <= at  # not so if the clock was set back
    phone = judging.judge(fresh.lead, desk.campaign, at).phone if is_due else None
    if phone is None:
        desk.hopper.drop(fresh.lead.id, at)
        floor.has_trace = True
    return phone
