"""Adoption: what the floor believes is held against what lives in Asterisk.

While the event socket was closed (or the engine was away) channels were answered, joined and hung up,
and Asterisk does not tell the story again. It lists what lives, and then:

1. What is missing has ended, but an originate or a leg so young that it may still be on its way.
2. What lives is brought to where it stands by the same facts that its events would have told.
3. A join, a line, a ringing phone or a person's way to the music that got lost is ordered again.
4. Strangers, which nobody here would ever look after, are hung up; but a person who is in the
   dialplan's hands is left to its last word.

An event may get lost on an open socket too, so what lives is listed again and again (``PbxListed``). Then
events go on beside the question and its answer, and a list may tell of a past:

5. What was never true before stays true: that a person's phone rang, that they answered and are ours,
   that a line or a person is in the bridge of the operator whom we mean. That is believed at once, for
   its event may come a second time without harm.
6. All else is only doubted at first: a channel that is missing may have an end on its way to us, with
   its true cause; who is between two places may have arrived; a stranger may be about to introduce
   themselves, or known meanwhile. It is acted upon when the next list but by a question asked at least
   :data:`DOUBT_S` later says the same of the same call in the same state. Events are never so late: a
   reader so slow is disconnected by Asterisk, and a new connection begins with a list.
7. What began after the question was asked is not in the list.

A channel that is missing does not say whether the person ever answered. Their recording does, where there is one: before the
list the floor is told whose is (``AnswerFound``).
"""

from __future__ import annotations

from collections.abc import Iterable

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core import requests, steps
from dialer.core.commands import HangUp, JoinAgent, OpenLine
from dialer.core.ids import AttemptId, ChannelId, hold_bridge, is_attempt, is_leg, line_bridge
from dialer.core.state import FloorState
from dialer.core.values import Agent, AgentState, Call, CallState

IN_FLIGHT_S = 15.0
"""An originate younger than this may be on its way although Asterisk lists no channel for it."""
DOUBT_S = 5.0
"""A list is doubted until another one, asked for at least so much later, says the same."""

_NOT_ANSWERED = frozenset({CallState.DIALING, CallState.RINGING})
_PROMISED = frozenset({CallState.CONNECTING, CallState.CONNECTED})


def on_pbx_connected(floor: FloorState, event: ev.PbxConnected) -> None:
    """The event socket is open, and *event* lists what lives."""
    floor.is_pbx_up = True
    _Look(floor, event.channels, asked_at=event.at, at=event.at, is_sure=True).adopt()
    steps.renew_joins(floor, event.at)
    for agent_id in list(floor.agents):  # phones that are in use or lost were told before
        steps.look_at_phone(floor, agent_id, event.at)


def on_pbx_listed(floor: FloorState, event: ev.PbxListed) -> None:
    """What lives, listed while the socket is open. An answer that comes after it broke is of no use."""
    if not floor.is_pbx_up:
        return
    before = floor.doubts
    _Look(floor, event.channels, asked_at=event.asked_at, at=event.at, is_sure=False).adopt()
    if before or floor.doubts:
        floor.has_trace = True


def unheard(floor: FloorState, *, is_sure: bool) -> list[Call]:
    """The calls that nobody is known to have answered. With *is_sure* false only those that the last list made
    doubtful: of the others an answer may be on its way (rule 6)."""
    return [
        call
        for call in floor.calls.values()
        if call.answered_at is None and (is_sure or calls.channel_of(call) in floor.doubts)
    ]


class _Look:
    """One look at what lives. *is_sure*: no event can be on its way."""

    def __init__(
        self,
        floor: FloorState,
        channels: Iterable[ev.LiveChannel],
        *,
        asked_at: float,
        at: float,
        is_sure: bool,
    ) -> None:
        self._floor = floor
        self._living = {one.channel: one for one in channels}
        self._asked_at = asked_at
        self._at = at
        self._is_sure = is_sure
        self._before, floor.doubts = floor.doubts, {}

    def adopt(self) -> None:
        """Compare, and act."""
        floor = self._floor
        for call in list(floor.calls.values()):
            self._adopt_call(call, self._living.get(calls.channel_of(call)))
        for agent in list(floor.agents.values()):
            self._adopt_agent(agent)
        for agent in list(floor.agents.values()):
            if agent.channel is not None:
                self._adopt_line(agent, agent.channel)
        for one in self._living.values():
            if self._is_stranger(one) and self._is_certain(one.channel, "stranger"):
                floor.out.append(HangUp(channel=one.channel))

    def _is_certain(self, channel: ChannelId, what: str) -> bool:
        """Whether *what* is to be acted upon; else it is doubted until the next list (rule 6)."""
        if self._is_sure:
            return True
        said, since = self._before.get(channel, ("", 0.0))
        if said != what:
            since = self._asked_at
        elif self._asked_at - since >= DOUBT_S:
            return True
        self._floor.doubts[channel] = what, since
        return False

    # -- calls --------------------------------------------------------------------------

    def _adopt_call(self, call: Call, channel: ev.LiveChannel | None) -> None:
        floor, at, own = self._floor, self._at, calls.channel_of(call)
        if channel is None:
            age_s = self._asked_at - call.created_at
            is_young = age_s < (IN_FLIGHT_S if call.state is CallState.DIALING else 0.0)
            if not is_young and self._is_certain(own, "missing"):
                steps.call_step(floor, call.attempt, ev.ContactHungUp(at=at, attempt=call.attempt))
            return
        if channel.is_ringing:
            steps.call_step(floor, call.attempt, ev.ContactRang(at=at, attempt=call.attempt))
        if not channel.is_up or channel.place == "listening":  # who it is comes a moment later
            return
        if channel.place == "machine" or (channel.place and call.state in _NOT_ANSWERED):
            kind = ev.MachineAnswered if channel.place == "machine" else ev.AnnouncementBegan
            if call.state in _NOT_ANSWERED and self._is_certain(own, channel.place):
                steps.call_step(floor, call.attempt, kind(at=at, attempt=call.attempt))
            return
        is_ours = channel.in_app or channel.bridge is not None
        if is_ours and call.state is CallState.ENDING and call.ending == "announcement":
            if self._is_certain(own, "returned"):  # that they asked for an operator got lost
                requests.on_returned(floor, ev.ContactReturned(at=at, attempt=call.attempt))
            return
        is_plain = is_ours and call.state not in (CallState.ENDING, CallState.ENDED)
        if not is_plain and not self._is_certain(own, f"up, {is_ours}, {call.state}"):
            return
        steps.call_step(floor, call.attempt, ev.ContactAnswered(at=at, attempt=call.attempt))
        call = floor.calls[call.attempt]
        if not is_ours:
            if call.state in (CallState.ANSWERED, CallState.CONNECTING):
                # Answered while we were away: the dialplan has the person, and has the last word.
                steps.call_step(floor, call.attempt, calls.LeftToDialplan(at=at))
            return
        self._place(call, channel)

    def _place(self, call: Call, channel: ev.LiveChannel) -> None:
        """The person is where they are to be: with the promised operator, or in the music."""
        floor = self._floor
        agent = floor.agents.get(call.agent) if call.agent is not None else None
        line = agent.bridge if agent is not None and agent.attempt == call.attempt else None
        if channel.bridge is not None and channel.bridge == line:
            connected = ev.Connected(at=self._at, attempt=call.attempt, bridge=channel.bridge)
            steps.call_step(floor, call.attempt, connected)
        elif channel.bridge is not None and channel.bridge != hold_bridge(call.campaign):
            return
        elif call.state in _PROMISED and agent is not None and line is not None:
            if self._is_certain(channel.channel, f"not with {agent.id}"):
                is_held = call.held_at is not None
                join = JoinAgent(attempt=call.attempt, agent=agent.id, bridge=line, is_held=is_held)
                floor.out.append(join)
        elif (
            call.state is CallState.ANSWERED
            and call.held_at is not None
            and channel.bridge is None
            and self._is_certain(channel.channel, "no music")
        ):
            steps.hold_again(floor, call, self._at)

    # -- operators ----------------------------------------------------------------------

    def _adopt_agent(self, agent: Agent) -> None:
        """An agent promised to a call that nobody knows is free."""
        if agent.attempt is not None and agent.attempt not in self._floor.calls:
            steps.agent_step(self._floor, agent.id, agents.CallOver(at=self._at, wrap_up_s=0.0))

    def _adopt_line(self, agent: Agent, channel: ChannelId) -> None:
        floor, line, bridge = self._floor, self._living.get(channel), line_bridge(channel)
        if line is None:
            age_s = self._asked_at - agent.since
            is_being_rung = agent.state is AgentState.RESERVED and not agent.has_line
            is_young = age_s < (IN_FLIGHT_S if is_being_rung else 0.0)
            if is_being_rung and self._is_sure and self._at < (agent.deadline or 0.0):
                steps.ring_again(floor, agent, self._at)
            elif not is_young and self._is_certain(channel, "missing"):
                steps.agent_step(floor, agent.id, agents.LineDown(at=self._at))
        elif line.bridge == bridge:
            if not agent.has_line:
                steps.agent_step(floor, agent.id, agents.LineUp(at=self._at))
        elif line.in_app and line.bridge is None and self._is_certain(channel, "no line"):
            floor.out.append(OpenLine(channel=channel, bridge=bridge))

    # -- strangers ----------------------------------------------------------------------

    def _is_stranger(self, one: ev.LiveChannel) -> bool:
        if is_attempt(one.channel):
            is_with_the_dialplan = one.is_up and not one.in_app and one.bridge is None
            return AttemptId(one.channel) not in self._floor.calls and not is_with_the_dialplan
        return one.channel not in self._floor.by_channel and (one.in_app or is_leg(one.channel))
