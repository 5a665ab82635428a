"""Legs on the floor: what Asterisk tells of the channels of trunks, callers who are forwarded, and operators on outside lines.

What counts, and how, is told in :mod:`dialer.core.legs`.

1. A caller whom nobody takes goes on to ``overflow_number`` by a trunk of the campaign (:mod:`dialer.core.routing`), if one has room for it
   and the server has. If not, they get what they would get without such a number: the offer of a callback. What becomes of that call says
   nothing of the trunk. Which channel it has, Asterisk tells (``CallForwarded``); until then it counts under a name of ours.
2. An operator who is called on an outside line is reachable only while that trunk takes a call and has a channel for them. Who is not is
   not idle: nobody counts on them, and nothing is missed. For each who is idle a channel is kept free, of which other calls that
   we place do not take; so a person who is called because an operator is there finds them.
3. To ring such an operator waits for the calls per second of trunk and server, a moment at most, for it goes before any other call. The
   leg tells of its trunk only if it is answered.
"""

from __future__ import annotations

from msgspec.structs import replace

from dialer.core import routing
from dialer.core.commands import RingAgent, SendToOverflow
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.events import CallForwarded, OutsideApplied, TrunkUsed
from dialer.core.ids import AttemptId, ChannelId, ServerId, TrunkId, forward_of, is_leg, is_third
from dialer.core.incoming import Inbound
from dialer.core.legs import Leg
from dialer.core.state import FloorState
from dialer.core.values import AgentState, Call, Campaign

# -- what is counted --------------------------------------------------------------------------


def order(floor: FloorState, channel: ChannelId, trunk: TrunkDesk, server: ServerId, at: float) -> None:
    """A leg is placed, by a trunk and on a server that have room."""
    floor.legs.began(Leg(channel=channel, trunk=trunk.trunk.id, server=server, since=at))
    _send(floor, channel, at)


def _send(floor: FloorState, channel: ChannelId, at: float) -> None:
    floor.legs.sent(channel, at)
    trunk = floor.trunks.get(floor.legs[channel].trunk)
    if trunk is not None and trunk.probe == channel:
        routing.note(floor, trunk, at, "its rest is over, a call probes")


def seen(floor: FloorState, channel: ChannelId, trunk: TrunkId, server: ServerId, at: float) -> None:
    """Asterisk tells of a channel of a trunk."""
    if AttemptId(channel) not in floor.calls and not floor.servers.desk(server).is_lost:
        leg = Leg(channel=channel, trunk=trunk, server=server, since=at, is_seen=True)
        if floor.legs.began(leg):
            floor.has_trace = True


def ended(floor: FloorState, channel: ChannelId, at: float) -> None:
    """A channel is no more; if it was a leg, others have room for it."""
    leg = floor.legs.get(channel)
    if leg is None:
        return
    floor.legs.ended(channel)
    if leg.trunk in floor.trunks:
        why = "the probing call told nothing: the next one probes"
        routing.note(floor, floor.trunks[leg.trunk], at, why)
    floor.is_stirred = floor.has_trace = True


def on_used(floor: FloorState, event: TrunkUsed) -> None:
    """These are the trunk's channels now. Of ours a word of their own comes, which says how they ended."""
    told = set(event.channels)
    for leg in floor.legs.on(event.server, event.trunk):
        is_ours = is_third(leg.channel) or is_leg(leg.channel)
        if leg.is_seen and not is_ours and leg.channel not in told:
            ended(floor, leg.channel, event.at)
    for channel in event.channels:
        seen(floor, channel, event.trunk, event.server, event.at)


def carried(floor: FloorState, channel: ChannelId, at: float) -> None:
    """A leg was rung or answered, so it is there. It tells of its trunk here only where it probes."""
    leg = floor.legs.get(channel)
    if leg is None:
        return
    seen(floor, channel, leg.trunk, leg.server, at)
    trunk = floor.trunks.get(leg.trunk)
    if trunk is not None and trunk.probe == channel:
        routing.judge(floor, leg.trunk, channel, at, is_carried=True)


# -- callers who are forwarded ------------------------------------------------------------------


def rules_for(floor: FloorState, call: Call, campaign: Campaign, at: float) -> Campaign:
    """*campaign*'s settings as they hold for the person of *call*: who cannot be forwarded now is offered a callback (rule 1)."""
    if call.direction != "in" or campaign.inbound.overflow != "number":
        return campaign
    return replace(campaign, inbound=rules_for_callers(floor, floor.desks[campaign.id], call.server, at))


def rules_for_callers(floor: FloorState, desk: Desk, server: ServerId, at: float) -> Inbound:
    """The same of a campaign's rules for callers alone."""
    rules = desk.campaign.inbound
    if rules.overflow != "number":
        return rules
    number, has_room = rules.overflow_number, floor.servers.desk(server).room(at) > 0
    if number and has_room and routing.able(floor, desk, number, server, at):
        return rules
    return replace(rules, overflow="callback")


def forwarded(
    floor: FloorState, call: Call, desk: Desk, command: SendToOverflow, at: float
) -> SendToOverflow:
    """The order for the person's overflow; if that is another number, with the trunk that carries it."""
    if command.place != "number":
        return command
    number, placed = desk.campaign.inbound.overflow_number, floor.legs.get(forward_of(call.attempt))
    trunk: TrunkDesk | None
    if placed is not None:  # the order is given again
        trunk = floor.trunks.get(placed.trunk)
    else:
        has_room = bool(number) and floor.servers.desk(call.server).room(at) > 0
        trunk = routing.choose(floor, desk, number, call.server, at) if has_room else None
        if trunk is not None:
            order(floor, forward_of(call.attempt), trunk, call.server, at)
    if trunk is None:
        return replace(command, place="callback")
    return replace(command, trunk=trunk.trunk.id, number=number)


def on_forwarded(floor: FloorState, event: CallForwarded) -> None:
    """The dialplan calls the other number: its channel counts from now on."""
    placed = floor.legs.get(forward_of(event.attempt))
    if placed is not None:
        ended(floor, placed.channel, event.at)
        seen(floor, event.channel, placed.trunk, placed.server, event.at)


# -- operators on outside lines -----------------------------------------------------------------


def on_applied(floor: FloorState, event: OutsideApplied) -> None:
    """Which operators are called on outside lines, and by which trunks."""
    before, floor.outside = floor.outside, dict(event.lines)
    for phone in before.keys() | floor.outside.keys():
        agent_id = floor.by_phone.get(phone)
        if agent_id is not None:
            floor.index_agent(agent_id)


def restore(floor: FloorState) -> None:
    """The journal knows of some who were rung, or are on the line; the list of what lives tells the rest."""
    for agent in floor.agents.values():
        trunk = floor.outside.get(floor.cards[agent.id].phone)
        if trunk is not None and agent.channel is not None and is_leg(agent.channel):
            leg = Leg(channel=agent.channel, trunk=trunk, server=agent.server, since=agent.since)
            floor.legs.began(leg)


def look(floor: FloorState, at: float) -> None:
    """Who is reachable now, and rung if it is their turn (rules 2 and 3)."""
    _ring_waiting(floor, at)
    floor.look_outside()


def ring(floor: FloorState, command: RingAgent, trunk: TrunkId) -> None:
    """Have an operator called who is promised to a call."""
    at = floor.at
    floor.legs.began(Leg(channel=command.channel, trunk=trunk, server=command.server, since=at))
    floor.to_ring.append((command, at + command.ring_s))
    _ring_waiting(floor, at)


def _has_channel(floor: FloorState, leg: Leg) -> bool:
    """Whether the channel that was kept for the leg, which counts already, is there still: people call us, and caps are changed."""
    trunk, server = floor.trunks.get(leg.trunk), floor.servers.desk(leg.server)
    is_there = not server.server.id or server.live <= server.server.channels_max
    return is_there and (trunk is None or trunk.live <= trunk.trunk.channels_max)


def _ring_waiting(floor: FloorState, at: float) -> None:
    waiting, floor.to_ring = floor.to_ring, []
    for command, until in waiting:
        agent, leg = floor.agents.get(command.agent), floor.legs.get(command.channel)
        is_wanted = agent is not None and (agent.channel, agent.state, agent.has_line) == (
            command.channel,
            AgentState.RESERVED,
            False,
        )
        if not is_wanted or leg is None:
            ended(floor, command.channel, at)
        elif floor.may_ask(leg.trunk, leg.server, at) and _has_channel(floor, leg):
            _send(floor, command.channel, at)
            floor.out.append(replace(command, ring_s=max(1.0, until - at)))
        else:
            floor.to_ring.append((command, until))
