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

Each server is looked at by itself: a list tells of the calls and lines on one. A server that is dead (``PbxLost``) is looked at as if it had
listed nothing, and nothing were on its way.

Who is in a transfer is looked for where the transfer says: the third party on the line of their own, the operator there or at home, the person with
somebody or in the music. Whoever is elsewhere is brought there again.

A channel that is missing does not say whether the person ever answered. Their recording does, where there is one: before the
list the floor is told whose is (``AnswerFound``).
"""

from __future__ import annotations

from collections.abc import Iterable

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core import outside, requests, steps, thirds, transferring
from dialer.core import transfer as transfers
from dialer.core.commands import (
    SAVES,
    ClearTimer,
    FetchLeads,
    ForgetChoice,
    HangUp,
    JoinAgent,
    MoveLine,
    OpenLine,
    SaveLeft,
    SetTimer,
)
from dialer.core.ids import (
    AttemptId,
    ChannelId,
    ServerId,
    hold_bridge,
    is_attempt,
    is_leg,
    is_third,
    line_bridge,
)
from dialer.core.servers import ServerDesk
from dialer.core.state import FloorState
from dialer.core.transfer_cells import move, music
from dialer.core.transfer_facts import Transfer
from dialer.core.values import Agent, AgentState, Call, CallState

IN_FLIGHT_S = 15.0
"""An originate younger than this may be on its way although Asterisk lists no channel for it."""
DOUBT_S = 5.0
"""A list is doubted until another one, asked for at least so much later, says the same."""

_OURS = (*SAVES, ForgetChoice, FetchLeads, SetTimer, ClearTimer)
"""Commands that are not for Asterisk."""
_NOT_ANSWERED = frozenset({CallState.DIALING, CallState.RINGING})
_PROMISED = frozenset({CallState.CONNECTING, CallState.CONNECTED})


def on_pbx_connected(floor: FloorState, event: ev.PbxConnected) -> None:
    """The event socket is open, and *event* lists what lives there."""
    server = floor.servers.desk(event.server)
    server.is_up, server.is_lost = True, False
    _Look(floor, server, event.channels, asked_at=event.at, at=event.at, is_sure=True).adopt()
    steps.renew_joins(floor, event.at, event.server)
    for agent_id in list(floor.agents):  # phones that are in use or lost were told before
        steps.look_at_phone(floor, agent_id, event.at)


def on_pbx_listed(floor: FloorState, event: ev.PbxListed) -> None:
    """What lives, listed while the socket is open. An answer that comes after it broke is of no use."""
    server = floor.servers.desk(event.server)
    if not server.is_up:
        return
    before = server.doubts
    _Look(floor, server, event.channels, asked_at=event.asked_at, at=event.at, is_sure=False).adopt()
    if before or server.doubts:
        floor.has_trace = True


def on_pbx_lost(floor: FloorState, event: ev.PbxLost) -> None:
    """The server is dead: nothing lives there any more (:mod:`dialer.core.servers`, rules 4 and 5).

    Nothing is asked of it: one that only hung would do it when it goes on, and cut off who talks there.
    """
    before = len(floor.out)
    server = floor.servers.desk(event.server)
    left = set(server.left)
    server.is_up, server.is_lost = False, True
    for phones in (floor.dead_phones, floor.known_phones, floor.used_phones):
        phones -= {one for one in phones if one[0] == event.server}
    server.left |= {calls.channel_of(call) for call in floor.calls.values() if call.server == event.server}
    server.left |= {
        agent.channel
        for agent in floor.agents.values()
        if agent.server == event.server and agent.channel is not None
    }
    server.left |= {
        one.third
        for one in floor.transfers.values()
        if one.third is not None and floor.calls[one.attempt].server == event.server
    }
    _keep_left(floor, server, left)
    _Look(floor, server, (), asked_at=event.at, at=event.at, is_sure=True).adopt()
    for agent_id in list(floor.agents):
        if floor.agents[agent_id].server == event.server:
            steps.look_at_phone(floor, agent_id, event.at)
    floor.out[before:] = [one for one in floor.out[before:] if isinstance(one, _OURS)]


def _keep_left(floor: FloorState, server: ServerDesk, before: set[ChannelId]) -> None:
    if server.left != before:
        floor.out.append(SaveLeft(server=server.server.id, channels=tuple(sorted(server.left))))


def unheard(floor: FloorState, server: ServerId, *, is_sure: bool) -> list[Call]:
    """The calls on *server* that nobody is known to have answered. With *is_sure* false only those that the last list made
    doubtful: of the others an answer may be on its way (rule 6)."""
    doubts = floor.servers.desk(server).doubts
    return [
        call
        for call in floor.calls.values()
        if call.answered_at is None
        and call.server == server
        and (is_sure or calls.channel_of(call) in doubts)
    ]


class _Look:
    """One look at what lives. *is_sure*: no event can be on its way."""

    def __init__(
        self,
        floor: FloorState,
        server: ServerDesk,
        channels: Iterable[ev.LiveChannel],
        *,
        asked_at: float,
        at: float,
        is_sure: bool,
    ) -> None:
        self._floor = floor
        self._server = server
        self._living = {one.channel: one for one in channels}
        self._asked_at = asked_at
        self._at = at
        self._is_sure = is_sure
        self._before, server.doubts = server.doubts, {}

    def adopt(self) -> None:
        """Compare, and act."""
        floor, server = self._floor, self._server.server.id
        self._adopt_legs(server)
        for call in list(floor.calls.values()):
            if call.server == server:
                self._adopt_call(call, self._living.get(calls.channel_of(call)))
        for agent in list(floor.agents.values()):
            self._adopt_agent(agent)
        for agent in list(floor.agents.values()):
            if agent.channel is not None and agent.server == server:
                self._adopt_line(agent, agent.channel)
        if not self._server.is_lost:
            left = set(self._server.left)
            self._server.left &= self._living.keys()
            _keep_left(floor, self._server, left)
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
        self._server.doubts[channel] = what, since
        return False

    # -- channels of trunks -------------------------------------------------------------

    def _adopt_legs(self, server: ServerId) -> None:
        """Those that are missing are no more, those that are there count (:mod:`dialer.core.legs`)."""
        floor, at = self._floor, self._at
        for leg in floor.legs.on(server):
            age_s = self._asked_at - leg.since
            is_young = age_s < (0.0 if leg.is_seen else IN_FLIGHT_S) and not self._server.is_lost
            if leg.channel in self._living or is_young:
                continue
            if self._is_certain(leg.channel, "missing"):
                outside.ended(floor, leg.channel, at)
        for one in self._living.values():
            if one.trunk is None or AttemptId(one.channel) in floor.calls:
                continue
            if one.channel in floor.legs or self._is_certain(ChannelId(f"leg {one.channel}"), "uncounted"):
                outside.seen(floor, one.channel, one.trunk, server, at)

    # -- calls --------------------------------------------------------------------------

    def _adopt_call(self, call: Call, channel: ev.LiveChannel | None) -> None:
        floor, at, own = self._floor, self._at, calls.channel_of(call)
        if channel is None:
            age_s = self._asked_at - call.created_at
            is_young = age_s < (IN_FLIGHT_S if call.state is CallState.DIALING else 0.0)
            is_young = is_young and not self._server.is_lost
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
        if call.direction == "in" and call.state is CallState.ENDING and not channel.in_app:
            return  # the dialplan has them, perhaps in a conversation with the other number
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
        if call.attempt in floor.transfers:
            self._place_transferred(call, channel)
        else:
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

    # -- transfers ----------------------------------------------------------------------

    def _place_transferred(self, call: Call, channel: ev.LiveChannel) -> None:
        """The third party is there or not; the operator is where they talk, and the person where they are to be."""
        floor, transfers_now = self._floor, self._floor.transfers
        transfer: Transfer | None = transfers_now[call.attempt]
        assert transfer is not None
        if transfer.has_third and transfer.colleague is None and transfer.third is not None:
            self._adopt_third(transfer, transfer.third)
        transfer = transfers_now.get(call.attempt)
        aside = transfer.aside if transfer is not None else None
        if aside is not None and aside not in self._living and self._is_certain(aside, "missing"):
            transferring.on_aside_gone(floor, aside, self._at)
        transfer = transfers_now.get(call.attempt)
        if transfer is None:
            return
        speaker, bridge = transfer.speaker, transfer.third_bridge
        line = self._living.get(speaker) if speaker is not None else None
        if line is None or bridge is None or not transfer.is_with_third or line.bridge == bridge:
            pass
        elif self._is_certain(line.channel, f"not in {bridge}"):
            floor.out.append(MoveLine(channel=line.channel, bridge=bridge))
        self._place_person(transfer, channel)

    def _place_person(self, transfer: Transfer, channel: ev.LiveChannel) -> None:
        floor, goal = self._floor, transfer.person_bridge
        if channel.bridge == goal and goal is not None:
            fact = transfers.PersonMoved(at=self._at, bridge=goal)
            steps.transfer_step(floor, transfer.attempt, fact)
        elif goal == transfer.bridge:
            if self._is_certain(channel.channel, f"not in {goal}"):
                floor.out.append(music(transfer))
        elif self._is_certain(channel.channel, f"not in {goal}"):
            floor.out.append(move(transfer))

    def _adopt_third(self, transfer: Transfer, third: ChannelId) -> None:
        line = self._living.get(third)
        if line is None:
            if third not in self._floor.legs:  # which was looked at before
                thirds.on_gone(self._floor, third, self._at)
        elif line.bridge == line_bridge(third):
            joined = ev.LineJoined(at=self._at, channel=third, bridge=line.bridge)
            thirds.on_joined(self._floor, joined)
        elif line.in_app and line.is_up and self._is_certain(third, "no line"):
            self._floor.out.append(OpenLine(channel=third, bridge=line_bridge(third), is_mixed=True))

    def _is_consulting(self, channel: ChannelId) -> bool:
        """Whether an operator's line is to be with a third party."""
        return any(one.is_with_third and one.speaker == channel for one in self._floor.transfers.values())

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
            if self._server.is_lost:
                steps.agent_step(floor, agent.id, agents.LineDown(at=self._at))
            elif is_being_rung and self._is_sure and self._at < (agent.deadline or 0.0):
                steps.ring_again(floor, agent, self._at)
            elif not is_young and self._is_certain(channel, "missing"):
                steps.agent_step(floor, agent.id, agents.LineDown(at=self._at))
        elif line.bridge == bridge:
            if not agent.has_line:
                steps.agent_step(floor, agent.id, agents.LineUp(at=self._at))
            else:
                steps.opened_anew(floor, agent.id, self._at)
        elif self._is_consulting(channel):
            pass  # elsewhere, and rightly so
        elif line.in_app and self._is_certain(channel, "no line"):
            floor.out.append(OpenLine(channel=channel, bridge=bridge))

    # -- strangers ----------------------------------------------------------------------

    def _is_stranger(self, one: ev.LiveChannel) -> bool:
        if one.channel in self._server.left and self._is_in_company(one):
            return False
        if is_attempt(one.channel):
            is_with_the_dialplan = (
                one.is_up and not one.in_app
            )  # in a bridge: of Dial(), with the other number
            return AttemptId(one.channel) not in self._floor.calls and not is_with_the_dialplan
        if transferring.is_known(self._floor, one.channel):
            return False
        is_to_be_ours = is_leg(one.channel) or is_third(one.channel)
        return one.channel not in self._floor.by_channel and (one.in_app or is_to_be_ours)

    def _is_in_company(self, one: ev.LiveChannel) -> bool:
        """Whether somebody talks there with another of those whose calls and lines ended when the server was lost."""
        left = self._server.left
        return one.bridge is not None and any(
            other.bridge == one.bridge and other.channel != one.channel and other.channel in left
            for other in self._living.values()
        )
