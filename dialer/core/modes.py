"""Modes: how many calls a campaign places now.

1. Progressive: one for each idle operator who is left over when every progressive call in flight has kept one
   (:mod:`dialer.core.pacing.progressive`).
2. Predictive: as many as the pacing rule says (:mod:`dialer.core.pacing.pacer`), which may also give up calls that ring.
   A promise to an operator is made at the answer: who answers first is served first.
3. Announcement: as many as contacts and lines allow; it wants no operators.
4. Idle operators who could serve a predictive campaign that has calls in flight, or could place one, are not used by
   progressive campaigns of the same priority or a worse one: the rule counts on them. The other way round, people who answered a
   predictive call are not given to operators whom progressive calls count on (``FloorState.choose``).
5. With several servers each campaign places its calls by lane (:mod:`dialer.core.lanes`): on each server where it is heard as many as
   the operators there allow. An announcement counts on nobody and goes by the servers' weights (:mod:`dialer.core.servers`).
6. Why a predictive campaign got as many calls as it did is kept for :data:`KEPT` decisions, and written down when what limits
   it has changed (every :data:`NOTE_S` at most) and each :data:`NOTE_AGAIN_S`. What the rule has learnt is written down each
   :data:`LEARNT_S`, and when the engine leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from dialer.core import blending, dialing, routing, steps
from dialer.core import call as calls
from dialer.core.commands import SaveKnowledge, SavePacing
from dialer.core.desk import Desk
from dialer.core.ids import AttemptId, CampaignId, ServerId
from dialer.core.lanes import Skills, campaign_of, lane, may_serve, server_of
from dialer.core.pacing import progressive
from dialer.core.pacing.book import Reason, Room
from dialer.core.state import FloorState
from dialer.core.values import CallState

KEPT = 300
NOTE_S = 5.0
NOTE_AGAIN_S = 60.0
LEARNT_S = 60.0
_GIVEN_UP = "pacing"
_SPARE = 8
"""A predictive campaign wants a few leads more at hand than it has calls."""


def place(floor: FloorState, running: list[Desk], at: float) -> None:
    """Place the calls that may be placed at this moment in the campaigns that run."""
    by_mode: dict[str, list[Desk]] = {"progressive": [], "predictive": [], "announcement": []}
    for desk in running:
        by_mode[desk.campaign.mode].append(desk)
    if by_mode["predictive"]:
        _place_predictive(floor, by_mode["predictive"], at)
    if by_mode["progressive"] and floor.idle:
        _place_progressive(floor, by_mode, at)
    for desk in by_mode["announcement"]:
        while _announce(floor, desk, at):
            pass


def _announce(floor: FloorState, desk: Desk, at: float) -> bool:
    """Place a call that counts on no operator, on the server whose turn it is."""
    servers = [one for one in floor.servers.up if dialing.room(floor, desk, at, one)[0] > 0]
    server = floor.servers.next_of(servers)
    if server is None or not dialing.dial(floor, desk, at, server=server):
        return False
    floor.servers.had_turn(server, servers)
    return True


def wanted_most(floor: FloorState, desk: Desk) -> int:
    """At least as many as :func:`wanted`, and quicker to say."""
    return 2 * len(floor.idle) if desk.campaign.mode == "progressive" else wanted(floor, desk)


def wanted(floor: FloorState, desk: Desk) -> int:
    """So many leads should be at hand."""
    match desk.campaign.mode:
        case "progressive":
            counts = floor.idle.counts.items()
            lanes = [lane(desk.campaign.id, server) for server in floor.servers.used]
            return 2 * sum(count for skills, count in counts if any(may_serve(skills, one) for one in lanes))
        case "predictive":
            return 2 * len(floor.idle) + len(desk.live) + _SPARE
        case "announcement":
            servers = floor.servers.up
            return 2 * max((routing.lines(floor, desk.campaign, floor.at, one) for one in servers), default=0)


def learn(floor: FloorState, at: float) -> None:
    """Have what the rule has learnt written down."""
    floor.learnt_at = at
    floor.out += [
        SaveKnowledge(name=name, content=content, at=at) for name, content in floor.pacer.knowledge().items()
    ]


# -- predictive -----------------------------------------------------------------------------


def _place_predictive(floor: FloorState, desks: list[Desk], at: float) -> None:
    rooms, lanes = [], {}
    for desk in desks:
        campaign = desk.campaign
        for server in floor.servers.up:
            count, limit = dialing.room(floor, desk, at, server)
            name = lane(campaign.id, server)
            rooms.append(Room(campaign=name, calls=count, limit=limit, priority=campaign.priority))
            lanes[str(name)] = desk, server
    decision = floor.pacer.decide(at, rooms)
    floor.has_trace = (
        True  # the rule remembers what it was asked: whoever plays the journal again must ask, too
    )
    for attempt in decision.give_up:
        call = floor.calls.get(AttemptId(attempt))
        if call is not None and call.agent is None and call.state in (CallState.DIALING, CallState.RINGING):
            steps.call_step(floor, call.attempt, calls.EndAsked(at=at, why=_GIVEN_UP))
    for placed in decision.place:
        if placed in lanes:
            desk, server = lanes[placed]
            if not dialing.dial(floor, desk, at, server=server):
                del lanes[placed]
    for reason in decision.reasons:
        _note(floor, reason, at)
    if at - floor.learnt_at >= LEARNT_S:
        learn(floor, at)


def _note(floor: FloorState, reason: Reason, at: float) -> None:
    """Lanes are told apart in what is kept and written down by the server alone (*reason* names its lane)."""
    name = CampaignId(reason.campaign)
    reason = msgspec.structs.replace(reason, campaign=campaign_of(name), server=server_of(name))
    floor.reasons.setdefault(name, deque(maxlen=KEPT)).append((at, reason))
    since, last = floor.noted.get(name, (float("-inf"), None))
    is_other = last is None or last.limit != reason.limit
    if at - since >= (NOTE_S if is_other else NOTE_AGAIN_S):
        floor.noted[name] = at, reason
        floor.out.append(SavePacing(reason=reason, at=at))


# -- progressive ----------------------------------------------------------------------------


def _place_progressive(floor: FloorState, by_mode: Mapping[str, list[Desk]], at: float) -> None:
    """The calls in flight of every campaign keep their operators, also of those that run no more.

    Who is promised to a call before others were placed changes what they count on: it is all looked at anew.
    """
    desks = by_mode["progressive"]
    ahead = [
        (desk, server)
        for desk in floor.desks.values()
        if desk.campaign.mode == "predictive"
        for server in floor.servers
        if _counts_on_the_idle(floor, desk, server, at)
    ]
    # Whom a predictive campaign counts on, others of no better priority leave alone (rule 4).
    for priority in sorted({desk.campaign.priority for desk in desks}) if ahead else [None]:
        kept = [
            lane(desk.campaign.id, server)
            for desk, server in ahead
            if priority is None or desk.campaign.priority <= priority
        ]
        group = [desk for desk in desks if priority is None or desk.campaign.priority == priority]
        while _place_round(floor, group, kept, at):
            pass


def _counts_on_the_idle(floor: FloorState, desk: Desk, server: ServerId, at: float) -> bool:
    """Whether calls in flight of the predictive campaign there, or its next one, may want an idle operator."""
    return bool(desk.unserved_on.get(server)) or (
        desk.is_running and dialing.room(floor, desk, at, server)[0] > 0
    )


def _place_round(floor: FloorState, running: list[Desk], kept: list[CampaignId], at: float) -> bool:
    """Place the calls that may be placed without the operators who serve the campaigns *kept*; whether to look again."""
    ready: Mapping[Skills, int] = blending.ready(floor)
    if kept:
        ready = {
            skills: count
            for skills, count in ready.items()
            if not any(may_serve(skills, campaign) for campaign in kept)
        }
    unserved = floor.unserved()
    if not progressive.is_anyone_left(unserved, ready):
        return False
    rooms: dict[CampaignId, int] = {}
    turns: dict[CampaignId, tuple[Desk, ServerId]] = {}
    for server in floor.servers:
        turns |= {lane(desk.campaign.id, server): (desk, server) for desk in floor.desks.values()}
    for server in floor.servers.up:
        rooms |= {
            lane(desk.campaign.id, server): dialing.room(floor, desk, at, server)[0] for desk in running
        }
    if not any(room > 0 for room in rooms.values()):
        return False
    in_turn = sorted(turns.items(), key=lambda one: _turn(*one[1]))
    demands = [
        progressive.Demand(name, unserved.get(name, 0), rooms.get(name, 0), desk.campaign.priority)
        for name, (desk, _) in in_turn
        if name in unserved or name in rooms
    ]
    for name, skills in progressive.place(demands, ready):
        idle = len(floor.idle)
        desk, server = turns[name]
        if dialing.dial(floor, desk, at, skills, server) and len(floor.idle) < idle:
            return True
    return False


def _turn(desk: Desk, server: ServerId) -> tuple[float, float, float]:
    """By priority; then who dialed longest ago: the campaign, and of its lanes that one."""
    return desk.campaign.priority, desk.last_dialed_at, desk.last_dialed_on.get(server, 0.0)
