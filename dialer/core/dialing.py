"""Dialing: whether a campaign has room for a call, and the placing of one, in whatever mode.

1. A number that is being dialed is not dialed a second time, whoever asks.
2. Who is dialed is judged right before (:mod:`dialer.core.judging`): what was known when the lead was
   fetched may hold no longer. A lead that may not be dialed leaves the floor; the store, which knows the
   facts of now, says when it comes again, or that it never does.
3. By which trunk is the business of :mod:`dialer.core.routing`. A lead for whose number no trunk has room now waits for its next turn.
4. A lead that only its owner may have is dialed when that operator is idle, and promised to them at once.
"""

from __future__ import annotations

from dialer.core import events as ev
from dialer.core import judging, routing, steps
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.events import Onward
from dialer.core.ids import ONLY, AgentId, ServerId
from dialer.core.lanes import Skills
from dialer.core.originating import originate
from dialer.core.pacing import progressive
from dialer.core.pacing.book import Limit
from dialer.core.state import FloorState
from dialer.core.values import LeadPhone


def room(floor: FloorState, desk: Desk, at: float, server: ServerId = ONLY) -> tuple[int, Limit]:
    """How many calls more the campaign could place now on *server*, by all its trunks together, and what it is that allows no more."""
    own = floor.servers.desk(server)
    at_hand = len(desk.hopper)
    if desk.hopper.owners:
        at_hand += sum(floor.is_idle_for(owner, desk.campaign.id, server) for owner in desk.hopper.owners)
    lines = min(
        desk.campaign.lines_max - len(desk.live) + len(desk.incoming),
        routing.lines(floor, desk.campaign, at, server),
        own.lines(),
    )
    most = max(0, min(at_hand, lines, routing.room(floor, desk.campaign, at, server), own.room(at)))
    if at_hand <= most:
        return most, "no_contacts"
    return most, "lines" if lines <= most else "calls_per_second"


def dial(
    floor: FloorState,
    desk: Desk,
    at: float,
    skills: Skills | None = None,
    server: ServerId = ONLY,
) -> bool:
    """Place a call to the next lead that may be dialed, counting on an operator of these *skills*, or (None) on nobody.

    Returns whether there was one, and room for it: campaigns share trunks.
    """
    if room(floor, desk, at, server)[0] <= 0:
        return False
    campaign = desk.campaign
    found = _next_lead(floor, desk, at, server)
    if found is None:
        return False
    fresh, phone, owner, trunk = found
    way = Onward(attempt=fresh.attempt, more=fresh.more)
    call = originate(floor, desk, fresh.lead, phone, trunk, way, at, server=server)
    if owner is not None:
        steps.reserve(floor, call, owner, at)
    elif skills is not None and campaign.ring_agent == "at_dial":
        agent_id = floor.idle.longest_of(skills, floor.reserved)
        if floor.cards[agent_id].leg == "rung":
            steps.reserve(floor, call, agent_id, at)
    return True


def _next_lead(
    floor: FloorState, desk: Desk, at: float, server: ServerId
) -> tuple[ev.FreshLead, LeadPhone, AgentId | None, TrunkDesk] | None:
    """Take the next lead that may be dialed, first one that belongs to an idle operator alone; and the trunk for it."""
    hopper, campaign = desk.hopper, desk.campaign
    for owner in list(hopper.owners):
        while (
            owner in hopper.owners
            and floor.is_idle_for(owner, campaign.id, server)
            and _may_spare(floor, owner)
        ):
            fresh = hopper.pop_of(owner)
            floor.has_trace = True
            phone = _may_dial(floor, desk, fresh, at)
            if phone is None:
                continue
            if phone.number not in floor.live_numbers and (trunk := _route(floor, desk, phone, server, at)):
                return fresh, phone, owner, trunk
            # A number that is live for somebody else: the lead comes again with a later answer, not at once.
            hopper.drop(fresh.lead.id, at)
    for _ in range(len(hopper)):
        fresh = hopper.pop()
        phone = _may_dial(floor, desk, fresh, at)
        if phone is None:
            continue
        if phone.number not in floor.live_numbers and (trunk := _route(floor, desk, phone, server, at)):
            return fresh, phone, None, trunk
        hopper.put_back(fresh)
    return None


def _route(floor: FloorState, desk: Desk, phone: LeadPhone, server: ServerId, at: float) -> TrunkDesk | None:
    return routing.choose(floor, desk, phone.number, server, at)


def _may_spare(floor: FloorState, owner: AgentId) -> bool:
    """Whether no call in flight counts on that operator and no other, and they are not kept for people who call us."""
    return owner not in floor.reserved and progressive.may_spare(
        floor.idle.skills_of(owner), floor.unserved(), floor.idle.counts
    )


def _may_dial(floor: FloorState, desk: Desk, fresh: ev.FreshLead, at: float) -> LeadPhone | None:
    """The lead's number to dial now; a lead that has none leaves the floor, and the store looks at it again."""
    is_due = fresh.lead.due <= at  # not so if the clock was set back
    phone = judging.judge(fresh.lead, desk.campaign, at).phone if is_due else None
    if phone is not None and not routing.may_call(floor, desk.campaign, phone.number):
        phone = None
    if phone is None:
        desk.hopper.drop(fresh.lead.id, at)
        floor.has_trace = True
    return phone
