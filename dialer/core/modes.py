"""Modes: how many calls a campaign places now.

1. Progressive: one for each idle operator who is left over when every progressive call in flight has kept one
   (:mod:`dialer.core.pacing.progressive`).
2. Predictive: as many as the pacing rule says (:mod:`dialer.core.pacing.pacer`), which may also give up calls that ring.
   A promise to an operator is made at the answer: who answers first is served first.
3. Announcement: as many as contacts and lines allow; it wants no operators.
4. Idle operators who could serve a predictive campaign that has calls in flight, or could place one, are not used by
   progressive campaigns of the same priority or a worse one: the rule counts on them. The other way round, people who answered a
   predictive call are not given to operators whom progressive calls count on (``FloorState.choose``).
5. Why a predictive campaign got as many calls as it did is kept for :data:`KEPT` decisions, and written down when what limits
   it has changed (every :data:`NOTE_S` at most) and each :data:`NOTE_AGAIN_S`. What the rule has learnt is written down each
   :data:`LEARNT_S`, and when the engine leaves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from dialer.core import call as calls
from dialer.core import dialing, steps
from dialer.core.commands import SaveKnowledge, SavePacing
from dialer.core.desk import Desk
from dialer.core.ids import AttemptId, CampaignId
from dialer.core.pacing import progressive
from dialer.core.pacing.book import Reason, Room
from dialer.core.pacing.progressive import Skills, may_serve
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
        while dialing.dial(floor, desk, at):
            pass


def wanted_most(floor: FloorState, desk: Desk) -> int:
    """At least as many as :func:`wanted`, and quicker to say."""
    return 2 * len(floor.idle) if desk.campaign.mode == "progressive" else wanted(floor, desk)


def wanted(floor: FloorState, desk: Desk) -> int:
    """So many leads should be at hand."""
    match desk.campaign.mode:
        case "progressive":
            counts = floor.idle.counts.items()
            return 2 * sum(count for skills, count in counts if may_serve(skills, desk.campaign.id))
        case "predictive":
            return 2 * len(floor.idle) + len(desk.live) + _SPARE
        case "announcement":
            trunk = floor.trunks.get(desk.campaign.trunk)
            return 2 * trunk.lines(floor.at) if trunk is not None else 0


def learn(floor: FloorState, at: float) -> None:
    """Have what the rule has learnt written down."""
    floor.learnt_at = at
    floor.out += [
        SaveKnowledge(name=name, content=content, at=at) for name, content in floor.pacer.knowledge().items()
    ]


# -- predictive -----------------------------------------------------------------------------


def _place_predictive(floor: FloorState, desks: list[Desk], at: float) -> None:
    rooms = []
    for desk in desks:
        count, limit = dialing.room(floor, desk, at)
        campaign = desk.campaign
        rooms.append(Room(campaign=campaign.id, calls=count, limit=limit, priority=campaign.priority))
    decision = floor.pacer.decide(at, rooms)
    floor.has_trace = (
        True  # the rule remembers what it was asked: whoever plays the journal again must ask, too
    )
    for attempt in decision.give_up:
        call = floor.calls.get(AttemptId(attempt))
        if call is not None and call.agent is None and call.state in (CallState.DIALING, CallState.RINGING):
            steps.call_step(floor, call.attempt, calls.EndAsked(at=at, why=_GIVEN_UP))
    left = {str(desk.campaign.id): desk for desk in desks}
    for name in decision.place:
        if name in left and not dialing.dial(floor, left[name], at):
            del left[name]
    for reason in decision.reasons:
        _note(floor, reason, at)
    if at - floor.learnt_at >= LEARNT_S:
        learn(floor, at)


def _note(floor: FloorState, reason: Reason, at: float) -> None:
    campaign = CampaignId(reason.campaign)
    floor.reasons.setdefault(campaign, deque(maxlen=KEPT)).append((at, reason))
    since, last = floor.noted.get(campaign, (float("-inf"), None))
    is_other = last is None or last.limit != reason.limit
    if at - since >= (NOTE_S if is_other else NOTE_AGAIN_S):
        floor.noted[campaign] = at, reason
        floor.out.append(SavePacing(reason=reason, at=at))


# -- progressive ----------------------------------------------------------------------------


def _place_progressive(floor: FloorState, by_mode: Mapping[str, list[Desk]], at: float) -> None:
    """The calls in flight of every campaign keep their operators, also of those that run no more.

    Who is promised to a call before others were placed changes what they count on: it is all looked at anew.
    """
    desks = by_mode["progressive"]
    ahead = [desk for desk in floor.desks.values() if _counts_on_the_idle(floor, desk, at)]
    # Whom a predictive campaign counts on, others of no better priority leave alone (rule 4).
    for priority in sorted({desk.campaign.priority for desk in desks}) if ahead else [None]:
        kept = [desk.campaign.id for desk in ahead if priority is None or desk.campaign.priority <= priority]
        group = [desk for desk in desks if priority is None or desk.campaign.priority == priority]
        while _place_round(floor, group, kept, at):
            pass


def _counts_on_the_idle(floor: FloorState, desk: Desk, at: float) -> bool:
    """Whether it is a predictive campaign whose calls in flight, or whose next one, may want an idle operator."""
    if desk.campaign.mode != "predictive":
        return False
    return bool(desk.unserved) or (desk.is_running and dialing.room(floor, desk, at)[0] > 0)


def _place_round(floor: FloorState, running: list[Desk], kept: list[CampaignId], at: float) -> bool:
    """Place the calls that may be placed without the operators who serve the campaigns *kept*; whether to look again."""
    ready: Mapping[Skills, int] = floor.idle.counts
    if kept:
        ready = {
            skills: count
            for skills, count in ready.items()
            if not any(may_serve(skills, campaign) for campaign in kept)
        }
    unserved = floor.unserved()
    if not progressive.is_anyone_left(unserved, ready):
        return False
    rooms = {desk.campaign.id: dialing.room(floor, desk, at)[0] for desk in running}
    if not any(room > 0 for room in rooms.values()):
        return False
    turns = sorted(floor.desks.values(), key=lambda desk: (desk.campaign.priority, desk.last_dialed_at))
    demands = [
        progressive.Demand(
            desk.campaign.id,
            unserved.get(desk.campaign.id, 0),
            rooms.get(desk.campaign.id, 0),
            desk.campaign.priority,
        )
        for desk in turns
        if desk.campaign.id in unserved or desk.campaign.id in rooms
    ]
    for campaign, skills in progressive.place(demands, ready):
        idle = len(floor.idle)
        if dialing.dial(floor, floor.desks[campaign], at, skills) and len(floor.idle) < idle:
            return True
    return False
