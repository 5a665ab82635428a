"""Adoption: what the floor believes is held against what lives in Asterisk.

While the event socket was closed (or the engine was away) channels were answered, joined and hung up,
and Asterisk does not tell the story again. It lists what lives, and then:

1. What is missing has ended, but an originate or a leg so young that it may still be on its way.
2. What lives is brought to where it stands by the same facts that its events would have told.
3. A join or a line that got lost is ordered again.
4. Strangers, which nobody here would ever look after, are hung up; but a person who is in the
   dialplan's hands is left to its last word.
"""

from __future__ import annotations

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core.commands import HangUp, JoinAgent, OpenLine
from dialer.core.ids import AttemptId, is_attempt, is_leg, line_bridge
from dialer.core.state import FloorState
from dialer.core.values import Agent, AgentState, Call, CallState

IN_FLIGHT_S = 15.0
"""An originate younger than this may be on its way although Asterisk lists no channel for it."""


def on_pbx_connected(floor: FloorState, event: ev.PbxConnected) -> None:
    """The event socket is open, and *event* lists what lives."""
    floor.is_pbx_up = True
    floor.swept_at = 0.0  # what became due while we were away is looked at with the next tick
    living = {one.channel: one for one in event.channels}
    for call in list(floor.calls.values()):
        _adopt_call(floor, call, living.get(calls.channel_of(call)), event.at)
    for agent in list(floor.agents.values()):
        _adopt_agent(floor, agent, event.at)
    for agent in list(floor.agents.values()):
        if agent.channel is not None:
            _adopt_line(floor, agent, living.get(agent.channel), event.at)
    for one in event.channels:
        if _is_stranger(floor, one):
            floor.out.append(HangUp(channel=one.channel))


def _adopt_call(floor: FloorState, call: Call, channel: ev.LiveChannel | None, at: float) -> None:
    if channel is None:
        if call.state is not CallState.DIALING or at - call.created_at >= IN_FLIGHT_S:
            floor.call_step(call.attempt, ev.ContactHungUp(at=at, attempt=call.attempt))
        return
    if channel.is_ringing:
        floor.call_step(call.attempt, ev.ContactRang(at=at, attempt=call.attempt))
    if not channel.is_up:
        return
    floor.call_step(call.attempt, ev.ContactAnswered(at=at, attempt=call.attempt))
    call = floor.calls[call.attempt]
    agent = floor.agents.get(call.agent) if call.agent is not None else None
    is_promised = agent is not None and agent.attempt == call.attempt
    if channel.bridge is not None:
        if agent is not None and is_promised and channel.bridge == agent.bridge:
            connected = ev.Connected(at=at, attempt=call.attempt, bridge=channel.bridge)
            floor.call_step(call.attempt, connected)
    elif not channel.in_app:
        if call.state in (CallState.ANSWERED, CallState.CONNECTING):
            # Answered while we were away: the dialplan has the person, and has the last word.
            floor.call_step(call.attempt, calls.Expired(at=at))
    elif agent is not None and is_promised and call.state in (CallState.CONNECTING, CallState.CONNECTED):
        assert agent.bridge is not None
        floor.out.append(JoinAgent(attempt=call.attempt, agent=agent.id, bridge=agent.bridge))


def _adopt_agent(floor: FloorState, agent: Agent, at: float) -> None:
    """An agent promised to a call that nobody knows is free."""
    if agent.attempt is not None and agent.attempt not in floor.calls:
        floor.agent_step(agent.id, agents.CallOver(at=at, wrap_up_s=0.0))


def _adopt_line(floor: FloorState, agent: Agent, line: ev.LiveChannel | None, at: float) -> None:
    assert agent.channel is not None
    bridge = line_bridge(agent.channel)
    if line is None:
        is_young = at - agent.since < IN_FLIGHT_S
        is_being_rung = agent.state is AgentState.RESERVED and not agent.has_line
        if not (is_being_rung and is_young):
            floor.agent_step(agent.id, agents.LineDown(at=at))
    elif line.bridge == bridge:
        if not agent.has_line:
            floor.agent_step(agent.id, agents.LineUp(at=at))
    elif line.in_app and line.bridge is None:
        floor.out.append(OpenLine(channel=agent.channel, bridge=bridge))


def _is_stranger(floor: FloorState, one: ev.LiveChannel) -> bool:
    if is_attempt(one.channel):
        is_with_the_dialplan = one.is_up and not one.in_app and one.bridge is None
        return AttemptId(one.channel) not in floor.calls and not is_with_the_dialplan
    return one.channel not in floor.by_channel and (one.in_app or is_leg(one.channel))
