"""Routing: which trunk a call takes, and whether a call that its trunk would not carry goes on by another one.

1. A call may go by the campaign's trunks that are in use, up (on the server of the call), in rotation, have room and may
   call the number (:mod:`dialer.core.destinations`). Of these the ones of the lowest ``priority`` number are asked; among equals each
   has its share by ``weight`` (:mod:`dialer.core.roundrobin`).
   The turn is the campaign's own, and nothing is random: a journal can be played again.
2. A call goes on if it certainly reached nobody by a fault of the trunk: it never rang, was never answered (nor was there early media), we had
   not given it up, and it ended by a cause in the trunk's ``failover_on``, or by silence (408) while the trunk is down, or Asterisk made no
   channel. When OPTIONS tell that a trunk is dead, the calls on it that never rang are ended by us, and go on like that when their channel is
   gone; not if they rang at the last moment. Whatever is doubtful ends as it ends: a lost attempt beats a second ring.
3. It goes on in the same decision: the old attempt ends as ``rerouted``, which counts for nothing, and the new one is placed to the
   same number, by a trunk that was not tried for it, for the same operator if one was promised. Like any call only if it may be
   originated, the campaign runs, the person may still be called and has not called us meanwhile, and (progressive) an
   operator is there for it. If only room is
   lacking on the other trunks, it is ``failed``: as if it had never been placed, and dialed again a little later.
4. A call that rings, is answered, or refused by the person's side was carried. What we gave up, what was lost from sight, and what a
   rule of ours forbade says nothing of a trunk. What follows for its rotation is told in :class:`dialer.core.desk.TrunkDesk`.
5. Each change of a trunk's state, and of its rotation, is written down, and the next engine begins with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from dialer.core import destinations, judging
from dialer.core.commands import SaveTrunkState
from dialer.core.desk import Desk, TrunkDesk, TrunkState
from dialer.core.destinations import allows, countries_of, trunk_ids
from dialer.core.events import (
    ContactHungUp,
    EngineStarted,
    Onward,
    OriginateRefused,
)
from dialer.core.ids import ONLY, AttemptId, ChannelId, ServerId, TrunkId
from dialer.core.lanes import lane, may_serve, skills
from dialer.core.pacing import progressive
from dialer.core.roundrobin import had_turn, whose_turn
from dialer.core.state import FloorState
from dialer.core.trunk import TrunkNoted
from dialer.core.values import (
    TRUNK_ENDINGS,
    TRUNK_SILENT,
    AgentState,
    Call,
    CallState,
    Campaign,
    Lead,
    LeadPhone,
    Result,
)

NO_ROOM = "no room on another trunk"
"""Why a call ended (``Call.ending``) that its trunk would not carry, and for which the others had no room."""
MORE_MAX = 7
"""A call goes on by at most so many further trunks."""

_REFUSED_BY_PERSONS = frozenset({Result.BUSY, Result.INVALID, Result.DECLINED})
_AT_WORK = frozenset(
    {AgentState.READY, AgentState.RESERVED, AgentState.ON_CALL, AgentState.WRAP_UP, AgentState.ARRIVING}
)
_SILENCE = 408
"""The final SIP status of a call to which nobody responded."""


# -- which trunk ----------------------------------------------------------------------------


def trunks_of(floor: FloorState, campaign: Campaign) -> list[TrunkDesk]:
    """The campaign's trunks that are known."""
    return [floor.trunks[one] for name in trunk_ids(campaign) if (one := TrunkId(name)) in floor.trunks]


def lines(floor: FloorState, campaign: Campaign, at: float, server: ServerId = ONLY) -> int:
    """How many calls more its trunks carry at this moment, together."""
    return sum(trunk.lines(at, server) for trunk in trunks_of(floor, campaign))


def room(floor: FloorState, campaign: Campaign, at: float, server: ServerId = ONLY) -> int:
    """How many calls its trunks take at this moment, together."""
    return sum(trunk.room(at, server) for trunk in trunks_of(floor, campaign))


def may_call(floor: FloorState, campaign: Campaign, number: str) -> bool:
    """Whether any of the campaign's trunks may call *number*; with none known there is nothing to say."""
    known = [one.trunk for one in trunks_of(floor, campaign) if not one.is_removed]
    return destinations.may_call(known, campaign, floor.centre, number)


def choose(
    floor: FloorState,
    desk: Desk,
    number: str,
    server: ServerId,
    at: float,
    but: Collection[TrunkId] = (),
) -> TrunkDesk | None:
    """The trunk that a call to *number* takes, which is then to be placed: it was its turn. None: there is none.

    *but*: trunks that would not carry it. See :func:`why_not` for the reasons.
    """
    found = able(floor, desk, number, server, at, but)
    if not found:
        return None
    first = min(one.trunk.priority for one in found)
    return _next_in_turn(desk, [one for one in found if one.trunk.priority == first])


def able(
    floor: FloorState,
    desk: Desk,
    number: str,
    server: ServerId,
    at: float,
    but: Collection[TrunkId] = (),
) -> list[TrunkDesk]:
    """The trunks that could take a call to *number* at this moment; *but*: others than these. To ask changes nothing."""
    return [one for one in _allowed(floor, desk.campaign, number, but) if one.room(at, server) > 0]


def _allowed(
    floor: FloorState, campaign: Campaign, number: str, but: Collection[TrunkId]
) -> Iterator[TrunkDesk]:
    """The campaign's trunks that may call *number*; *but*: others than these."""
    countries = countries_of(campaign, floor.centre)
    return (
        one
        for one in trunks_of(floor, campaign)
        if one.trunk.id not in but and allows(one.trunk, countries, number)
    )


def _next_in_turn(desk: Desk, equals: list[TrunkDesk]) -> TrunkDesk:
    """Whose turn it is of *equals*, which are in the campaign's order."""
    weights = {one.trunk.id: one.trunk.weight for one in equals}
    chosen = whose_turn(desk.turns, weights)
    had_turn(desk.turns, weights, chosen)
    return next(one for one in equals if one.trunk.id == chosen)


def why_not(
    floor: FloorState, desk: Desk, number: str, server: ServerId, at: float
) -> tuple[tuple[TrunkId, str], ...]:
    """Why each of the campaign's trunks takes no call to *number* now; empty for one that does.

    One of ``unknown``, ``removed``, ``disabled``, ``server``, ``destination``, ``down``, ``resting``, ``probing``,
    ``lines``, ``calls_per_second``.
    """
    countries = countries_of(desk.campaign, floor.centre)
    return tuple(
        (TrunkId(name), _why_not(floor.trunks.get(TrunkId(name)), countries, number, server, at))
        for name in trunk_ids(desk.campaign)
    )


def _why_not(
    one: TrunkDesk | None, countries: Collection[str], number: str, server: ServerId, at: float
) -> str:
    if one is None:
        return "unknown"
    if one.is_removed or one.is_disabled:
        return one.state()
    if not one.serves(server):
        return "server"
    if not allows(one.trunk, tuple(countries), number):
        return "destination"
    if not one.is_usable(at, server):
        return one.state(server)
    if not one.lines(at, server):
        return "lines"
    return "" if one.room(at, server) else "calls_per_second"


# -- what a call tells of its trunk -----------------------------------------------------------


def is_carried(floor: FloorState, before: Call, after: Call, fact: object) -> bool | None:
    """Whether the trunk carried the call, as *fact* (which made it *after*) tells; None: it does not tell (rule 4)."""
    if after.rang_at is not None or after.answered_at is not None or after.ending == "machine":
        return True
    if isinstance(fact, OriginateRefused):
        return None if fact.is_ours or before.ending else False
    if not isinstance(fact, ContactHungUp) or after.result is None or after.result is Result.LOST:
        return None
    told = told_by(floor, after.trunk, after.server, after.result, after.cause, after.tech_cause)
    if before.ending and not (told and after.result in _REFUSED_BY_PERSONS):
        return False if before.ending == TRUNK_SILENT else None  # of a trunk that is down OPTIONS tell
    return told


def told_by(
    floor: FloorState,
    name: TrunkId,
    server: ServerId,
    result: Result,
    cause: int | None,
    tech_cause: int | None,
) -> bool | None:
    """Whether the trunk *name* carried a call that was neither rung nor answered, by how it ended; None: that does not tell (rule 4)."""
    if is_fault(floor, name, server, cause, tech_cause):
        return False
    if result in _REFUSED_BY_PERSONS:
        return True
    if result is Result.NO_ROUTE:
        return False
    return None if result is Result.CONGESTION or tech_cause == _SILENCE else True


def _is_failure(floor: FloorState, call: Call) -> bool:
    """Whether the call ended by a cause for which its trunk's calls go on."""
    return is_fault(floor, call.trunk, call.server, call.cause, call.tech_cause)


def is_fault(
    floor: FloorState, name: TrunkId, server: ServerId, cause: int | None, tech_cause: int | None
) -> bool:
    """Whether a call that was never rung, by the trunk *name*, and ended so goes on by another one."""
    trunk = floor.trunks.get(name)
    if trunk is None:
        return False
    if not trunk.is_up(server) and tech_cause == _SILENCE:
        return True
    return bool({cause, tech_cause}.intersection(trunk.trunk.failover_on))


def judge(
    floor: FloorState, name: TrunkId, call: AttemptId | ChannelId, at: float, *, is_carried: bool
) -> None:
    """Whether the trunk *name* carried *call* (an attempt, or a leg's channel) is known now."""
    trunk = floor.trunks.get(name)
    if trunk is not None and (why := trunk.judged(call, at, is_carried=is_carried)):
        note(floor, trunk, at, why)


def note(floor: FloorState, trunk: TrunkDesk, at: float, why: str, server: ServerId = ONLY) -> None:
    """Have the trunk's state written down, if it is another one than before (rule 5). Of a *server* that is named: whether it
    reaches the trunk; all else is the same for all, and said once."""
    state = trunk.state(server)
    if server != ONLY:
        state = "up" if trunk.is_up(server) else "down"
    if trunk.noted.get(server, "up") != state or trunk.rotation_noted != trunk.rotation:
        _save(floor, trunk, state, at, why, server)


def note_anew(
    floor: FloorState, trunk: TrunkDesk, at: float, why: str, servers: Iterable[ServerId] = ()
) -> None:
    """Write down how the trunk stands, whatever was written before, and that it is not known to be down for any of *servers*."""
    _save(floor, trunk, trunk.state(), at, why, ONLY)
    for server in servers:
        if server != ONLY:
            _save(floor, trunk, "up", at, why, server)


def gave_back(floor: FloorState, trunk: TrunkId, call: AttemptId | ChannelId, at: float) -> None:
    """*call* (or a third party's channel), which *trunk* carried, has ended. A probing one that told nothing leaves it to the next."""
    desk = floor.trunks.get(trunk)
    if desk is not None:
        desk.gave_back(call)
        note(floor, desk, at, "the probing call told nothing: the next one probes")


def _save(
    floor: FloorState, trunk: TrunkDesk, state: TrunkState, at: float, why: str, server: ServerId
) -> None:
    trunk.noted[server] = state
    now = trunk.rotation_noted = trunk.rotation
    floor.out.append(
        SaveTrunkState(
            trunk=trunk.trunk.id,
            server=server,
            state=state,
            why=why,
            at=at,
            rests=now.rests,
            rest_until=now.rest_until,
            probe=now.probe,
        )
    )


def restore(floor: FloorState, noted: Iterable[TrunkNoted]) -> None:
    """The trunks, which are on the floor with their calls, stand as the engine before this one left them."""
    for one in noted:
        trunk = floor.trunks.get(one.trunk)
        if trunk is not None:
            trunk.take_up(
                one.rotation, floor.at, is_live=lambda probe: probe in floor.calls or probe in floor.legs
            )


def on_started(floor: FloorState, event: EngineStarted) -> None:
    """How each trunk stands is written down anew. Whether it answers OPTIONS nobody knows before Asterisk has said so."""
    down = {one.trunk: one.down for one in event.trunks_noted}
    for trunk in floor.trunks.values():
        until = trunk.rotation.rest_until
        why = "the engine started"
        if until is not None and trunk.probe is None:
            left_s = until - event.at
            why += (
                f"; it rests {left_s:.0f} s more"
                if left_s > 0
                else "; its rest is over, the next call probes"
            )
        note_anew(floor, trunk, event.at, why, down.get(trunk.trunk.id, ()))


# -- going on -------------------------------------------------------------------------------


def next_route(
    floor: FloorState, before: Call, after: Call, fact: object, at: float
) -> tuple[TrunkDesk, AttemptId] | None:
    """By which trunk, and as which attempt, the call goes on that was *before* and has ended as *after*; None: not (rules 2, 3).

    The turn is taken: the call is then to be placed.
    """
    if not _reached_nobody(floor, before, after, fact):
        return None
    desk, way = floor.desks[after.campaign], floor.onward.get(after.attempt)
    lead = floor.leads[after.attempt]
    if way is None or not way.more or not desk.is_running or floor.why_not_originating(after.server):
        return None
    if phone_of(lead, after, desk.campaign, at) is None or not _has_operator(floor, desk, before):
        return None
    if floor.live_numbers.count(after.number) > 1 or after.lead in floor.fates:
        return None  # they called us meanwhile
    if not floor.servers.desk(after.server).room(at, leaving=1):
        return None
    trunk = choose(floor, desk, after.number, after.server, at, but=(*way.tried, after.trunk))
    return None if trunk is None else (trunk, way.more[0])


def is_for_later(floor: FloorState, before: Call, after: Call, fact: object, at: float) -> bool:
    """Whether the call, which does not go on, would have gone on had another trunk had room: then it is as if it had never been placed."""
    way = floor.onward.get(after.attempt)
    if way is None or not _reached_nobody(floor, before, after, fact):
        return False
    campaign = floor.desks[after.campaign].campaign
    return any(
        one.is_usable(at, after.server) and not one.room(at, after.server)
        for one in _allowed(floor, campaign, after.number, (*way.tried, after.trunk))
    )


def on_down(floor: FloorState, trunk: TrunkDesk, server: ServerId, at: float) -> list[AttemptId]:
    """The trunk is dead: the calls on it that never rang, and that another one could carry, are to be ended, and go on when they have."""
    return [
        call.attempt
        for call in floor.calls.values()
        if (call.trunk, call.server, call.state) == (trunk.trunk.id, server, CallState.DIALING)
        and call.direction == "out"
        and (way := floor.onward.get(call.attempt)) is not None
        and way.more
        and _is_another(floor, call, way, at)
    ]


def _is_another(floor: FloorState, call: Call, way: Onward, at: float) -> bool:
    campaign = floor.desks[call.campaign].campaign
    others = _allowed(floor, campaign, call.number, (*way.tried, call.trunk))
    return any(one.lines(at, call.server) > 0 for one in others)


def _reached_nobody(floor: FloorState, before: Call, after: Call, fact: object) -> bool:
    if after.rang_at is not None or after.answered_at is not None or before.direction != "out":
        return False
    if before.state is CallState.ENDING and before.ending in TRUNK_ENDINGS:
        return isinstance(fact, ContactHungUp) and fact.cause is not None
    if before.state is not CallState.DIALING or before.ending:
        return False
    if isinstance(fact, OriginateRefused):
        return not fact.is_ours
    return (
        isinstance(fact, ContactHungUp) and _is_failure(floor, after) and after.result is not Result.HUNG_UP
    )


def phone_of(lead: Lead, call: Call, campaign: Campaign, at: float) -> LeadPhone | None:
    """The number of the call, if it may still be dialed (what other programs know, the guard says)."""
    phone = next((one for one in lead.phones if one.id == call.phone), None)
    if phone is None or judging.judge_phone(lead, phone, campaign, at).rule:
        return None
    if lead.held is not None and at < lead.held.until:
        return None
    if judging.waits_for_owner(lead, campaign, at) and call.agent != lead.owner:
        return None
    return phone


def _has_operator(floor: FloorState, desk: Desk, call: Call) -> bool:
    """Whether the call that goes on in place of *call* has an operator to count on, as its mode wants."""
    campaign, own = desk.campaign, lane(desk.campaign.id, call.server)
    if campaign.mode == "announcement":
        return True
    if call.agent is not None:
        agent = floor.agents.get(call.agent)
        return agent is not None and agent.attempt == call.attempt
    if campaign.mode == "predictive":
        return any(
            agent.state in _AT_WORK and may_serve(skills(floor.cards[agent.id].campaigns, agent.server), own)
            for agent in floor.agents.values()
        )
    unserved = dict(floor.unserved())
    unserved[own] = unserved.get(own, 1) - 1
    demands = [
        progressive.Demand(campaign=name, unserved=count, room=int(name == own))
        for name, count in unserved.items()
    ]
    return bool(progressive.place(demands, floor.idle.counts))


def further(way: Onward | None, attempt: AttemptId, tried: TrunkId) -> Onward:
    """What the next attempt needs, which takes the first of the ids."""
    more = way.more[1:] if way is not None else ()
    return Onward(attempt=attempt, more=more, tried=(*(way.tried if way is not None else ()), tried))
