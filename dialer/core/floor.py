"""The floor: the one mutable object, where calls, agents and campaigns meet.

``handle`` takes one fact and returns what is to be done. It is deterministic: it reads nothing
but its events, and identity and time come in with them, so the same events give the same
commands, and a journal can be played again.

Facts about calls and channels that are not on the floor change nothing here, but nobody is met with
silence: a person who answers and is not expected gets the last word, a stranger's line is hung up.

This module is the doors. What lies behind them: :mod:`dialer.core.state` (what is on the floor),
:mod:`dialer.core.steps` (how one call and one agent step together), :mod:`dialer.core.dealing` (who is
served and who is dialed), :mod:`dialer.core.requests` (what people ask), :mod:`dialer.core.adoption`
(after a connect).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

from dialer.core import adoption, arrivals, dealing, modes, requests, routing, steps, thirds, transferring
from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core import outside as outside_lines
from dialer.core import transfer as transfers
from dialer.core.commands import AnyCommand, HangUp, OpenLine, SendToLastWord, SetTimer
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.ids import ONLY, AgentId, AttemptId, CampaignId, ChannelId, ServerId, TrunkId, line_bridge
from dialer.core.lanes import lane
from dialer.core.pacing.book import Reason, Rule
from dialer.core.pacing.ledger import DayCount, Ledger
from dialer.core.pacing.pacer import Pacer
from dialer.core.state import FloorState, Obstacle
from dialer.core.transfer_facts import Transfer
from dialer.core.trunk import TrunkNoted
from dialer.core.values import (
    Agent,
    AgentCard,
    AgentState,
    Call,
    CallState,
    Campaign,
    CampaignState,
    Centre,
    Lead,
    Trunk,
)

_UNKNOWN_WHILE_AWAY = frozenset({CallState.DIALING, CallState.RINGING, CallState.CONNECTING})
"""While no events come, or they lag, a call in one of these states may have been answered or joined without
our knowing. Its deadline waits until Asterisk has said what lives; who was answered waits for nothing."""
_LINE_UNKNOWN_WHILE_AWAY = frozenset({AgentState.ARRIVING, AgentState.RESERVED})
"""Likewise the line of an agent in one of these states may have come up."""


class Floor:
    """Calls, agents, campaigns and trunks of one engine."""

    def __init__(self, pacer: Rule | None = None) -> None:
        """*pacer*: the rule that places predictive calls; None: ours."""
        self._state = state = FloorState(pacer if pacer is not None else Pacer())
        self.desks = state.desks
        self.trunks = state.trunks
        self.servers = state.servers
        self.cards = state.cards
        self.agents = state.agents
        self.calls = state.calls

    def handle(self, event: ev.Event) -> list[AnyCommand]:
        """Take one fact; what is to be done, in the order of decision (saves before what they allow)."""
        state = self._state
        out: list[AnyCommand] = []
        state.out = out
        state.at = event.at
        state.has_trace = False
        kind = type(event)
        state.is_stirred = kind not in _QUIET
        _HANDLERS[kind](state, event)
        if state.is_stirred:
            dealing.settle(state, event.at)
        return out

    def must_note(self, event: ev.Event, commands: Sequence[AnyCommand]) -> bool:
        """Whether *event*, which led to *commands* just now, must be noted for the journal to be played again.

        All are but the ticks that found nothing to do, of which there are several in a second, the
        lists of what lives that say nothing new, and keys that are none of ours to know.
        """
        return bool(commands) or self._state.has_trace or not isinstance(event, _SELDOM_NOTED)

    def restore(
        self,
        *,
        centre: Centre | None = None,
        campaigns: Iterable[tuple[Campaign, CampaignState]] = (),
        trunks: Iterable[Trunk] = (),
        cards: Iterable[AgentCard] = (),
        agents: Iterable[Agent] = (),
        calls: Iterable[tuple[Call, Lead]] = (),
        last: Iterable[tuple[Call, Lead | None]] = (),
        ledgers: Iterable[tuple[CampaignId, tuple[DayCount, ...]]] = (),
        knowledge: Iterable[tuple[str, str]] = (),
        trunks_disabled: Container[TrunkId] = (),
        onward: Iterable[ev.Onward] = (),
        at: float | None = None,
        servers: Iterable[ev.Server] = (),
        transfers: tuple[Transfer, ...] = (),
        trunks_noted: Iterable[TrunkNoted] = (),
        left: Iterable[tuple[ServerId, tuple[ChannelId, ...]]] = (),
        talks: Iterable[tuple[AgentId, tuple[float, ...]]] = (),
        turns: Iterable[tuple[CampaignId, AgentId]] = (),
        outside: Iterable[tuple[str, TrunkId]] = (),
    ) -> None:
        """Take up what the journal remembers, before the first event. Decides nothing.

        *calls*: attempts that have not ended, each with its lead as it was when it was placed.
        *last*: ended attempts of which an agent may still give the result, likewise; without the lead
        if that was dialed again since. The others: see :class:`dialer.core.events.EngineStarted`.
        """
        state = self._state
        if at is not None:
            state.at = at
        if centre is not None:
            state.centre = centre
        calls = list(calls)
        state.servers.apply(servers)
        for call, _ in calls:
            state.servers.desk(call.server)
        for campaign, campaign_state in campaigns:
            state.desks[campaign.id] = Desk(campaign, campaign_state)
            state.teller.campaign(campaign, state.at)
        for trunk in trunks:
            desk = state.trunks[trunk.id] = TrunkDesk(trunk, at=state.at)
            desk.is_disabled = trunk.id in trunks_disabled
        state.outside = dict(outside)
        for card in cards:
            state.take_card(card)
        for agent in agents:
            if agent.id in state.cards:
                state.take_agent(agent)
        for call, lead in last:
            agent_id = call.agent
            if call.campaign in state.desks and agent_id in state.agents:
                assert agent_id is not None
                if state.agents[agent_id].last_attempt == call.attempt:
                    state.remember_last(call, lead)
        for call, lead in calls:
            if call.campaign in state.desks:
                state.take_call(call, lead, is_placed=False)
                state.teller.taken_up(call, state.desks[call.campaign].campaign)
        state.onward.update({one.attempt: one for one in onward if one.attempt in state.calls})
        transferring.restore(state, transfers)
        outside_lines.restore(state)
        routing.restore(state, trunks_noted)
        for server, channels in left:
            if server in state.servers:
                state.servers[server].left.update(channels)
        state.turns.take_up(talks, turns)
        for agent_id in state.agents:
            state.tell_of(agent_id)  # whose call they have is known now
        state.pacer.take_up(dict(ledgers), dict(knowledge), state.at)

    def take_up(self, started: ev.EngineStarted) -> None:
        """:meth:`restore` what an engine loaded when it started."""
        self._state.at = started.at
        self.restore(
            centre=started.centre,
            campaigns=started.campaigns,
            trunks=started.trunks,
            cards=started.cards,
            agents=started.agents,
            calls=started.calls,
            last=started.last,
            ledgers=started.ledgers,
            knowledge=started.knowledge,
            trunks_disabled=started.trunks_disabled,
            onward=started.onward,
            servers=started.servers,
            transfers=started.transfers,
            trunks_noted=started.trunks_noted,
            left=started.left,
            talks=started.talks,
            turns=started.turns,
            outside=started.outside,
        )

    def deadlines(self) -> list[SetTimer]:
        """Every deadline on the floor, to be armed again after a restart or a loss of the timers."""
        timers = [
            SetTimer(kind="attempt", subject=call.attempt, due=call.deadline)
            for call in self.calls.values()
            if call.deadline is not None
        ]
        timers += [
            SetTimer(kind="agent", subject=agent.id, due=agent.deadline)
            for agent in self.agents.values()
            if agent.deadline is not None
        ]
        return timers

    def why_not_ordered(self, agent: AgentId, order: str) -> str | None:
        """Why a supervisor's order to that agent can do nothing now; None if it can."""
        return requests.why_not_ordered(self._state, agent, order)

    @property
    def has_doubts(self) -> bool:
        """Whether a last list of what lives gave rise to doubts, and the next should come soon."""
        return any(desk.doubts for desk in self.servers.values())

    def unheard(self, server: ServerId = ONLY, *, is_sure: bool) -> list[Call]:
        """The calls on *server* that nobody is known to have answered, and may have: see
        :func:`dialer.core.adoption.unheard`."""
        return adoption.unheard(self._state, server, is_sure=is_sure)

    @property
    def reasons(self) -> Mapping[CampaignId, Sequence[tuple[float, Reason]]]:
        """Why each predictive campaign (with several servers: each of its lanes) got as many calls as it did, of late, and
        when; oldest first."""
        return self._state.reasons

    def reasons_of(self, campaign: CampaignId) -> list[tuple[float, Reason]]:
        """:attr:`reasons` of one campaign, on all servers; oldest first."""
        lanes = [lane(campaign, server) for server in self.servers]
        found = [one for name in lanes for one in self.reasons.get(name, ())]
        return sorted(found, key=lambda one: one[0]) if len(lanes) > 1 else found

    def ledger(self, campaign: CampaignId) -> Ledger | None:
        """The campaign's count of abandoned calls; None where nothing is counted."""
        return self._state.pacer.ledgers.get(campaign)

    def why_not_originating(self, server: ServerId | None = None) -> dict[Obstacle, str]:
        """Why nothing may be originated on *server*, or (None) on any, at this moment, in words; empty when it may."""
        return self._state.why_not_originating(server)


# -- time and the world as a whole ----------------------------------------------------------


def _ignore(floor: FloorState, event: ev.Event) -> None:
    """Nothing to decide; the journal keeps it."""


def _on_tick(floor: FloorState, event: ev.Ticked) -> None:
    """Deadlines whose timer was lost are found. A tick that finds nothing to do leaves no trace here:
    see :meth:`Floor.must_note`."""
    at = event.at
    for call in list(floor.calls.values()):
        if call.deadline is not None and at >= call.deadline:
            _expire_call(floor, call.attempt, at)
    for agent in list(floor.agents.values()):
        if agent.deadline is not None and at >= agent.deadline:
            _expire_agent(floor, agent.id, at)
    for attempt in list(floor.waiting):
        steps.call_step(floor, attempt, calls.LimitPassed(at=at))
    arrivals.let_nobody_wait_in_vain(floor, at)
    transferring.expire(floor, at)
    floor.out += floor.waiting.tell_again(at)


def _on_deadline(floor: FloorState, event: ev.DeadlinePassed) -> None:
    if event.kind == "attempt":
        _expire_call(floor, AttemptId(event.subject), event.at)
    elif event.kind == "agent":
        _expire_agent(floor, AgentId(event.subject), event.at)
    elif event.campaign is not None and event.campaign in floor.desks:
        hopper = floor.desks[event.campaign].hopper
        hopper.wake()
        floor.is_stirred = floor.is_stirred or hopper.may_ask(2 * len(floor.idle), event.at)


def _expire_call(floor: FloorState, attempt: AttemptId, at: float) -> None:
    call = floor.calls.get(attempt)
    if call is None or call.deadline is None or at < call.deadline:
        return
    if floor.is_deaf(call.server) and call.state in _UNKNOWN_WHILE_AWAY:
        return
    if call.agent is not None:
        # A person waits for a rung phone as long as it is rung: both end in the same instant, and
        # whichever timer comes first, it is the operator who did not pick up.
        _expire_agent(floor, call.agent, at)
        if floor.calls.get(attempt) is not call:
            _expire_call(floor, attempt, at)
            return
    if attempt in floor.waiting and floor.idle and steps.serve(floor, call, at):
        return  # after a restart somebody may be idle whom nobody has looked at yet
    steps.call_step(floor, attempt, calls.Expired(at=at))


def _expire_agent(floor: FloorState, agent_id: AgentId, at: float) -> None:
    agent = floor.agents.get(agent_id)
    if agent is None or agent.deadline is None or at < agent.deadline:
        return
    if floor.is_deaf(agent.server) and agent.state in _LINE_UNKNOWN_WHILE_AWAY:
        return
    steps.agent_step(floor, agent_id, agents.Expired(at=at))


def _on_pbx_disconnected(floor: FloorState, event: ev.PbxDisconnected) -> None:
    floor.servers.desk(event.server).is_up = False


def _on_lag(floor: FloorState, event: ev.EventsLagged) -> None:
    floor.is_late = event.is_late
    if not event.is_late:
        steps.renew_joins(floor, event.at)


def _on_servers_applied(floor: FloorState, event: ev.ServersApplied) -> None:
    floor.servers.apply(event.servers)
    for desk in floor.desks.values():
        floor.teller.campaign(desk.campaign, event.at)


def _on_leaving(floor: FloorState, event: ev.Leaving) -> None:
    floor.is_leaving = True
    modes.learn(floor, event.at)


def _on_journal_failed(floor: FloorState, event: ev.JournalFailed) -> None:
    floor.journal_error = event.reason


def _on_journal_recovered(floor: FloorState, event: ev.JournalRecovered) -> None:
    floor.journal_error = None


# -- calls ----------------------------------------------------------------------------------


def _on_call_fact(floor: FloorState, event: Any) -> None:
    steps.call_step(floor, event.attempt, event)


def _on_hung_up(floor: FloorState, event: ev.ContactHungUp) -> None:
    # Of a caller of whom only the dialplan knew.
    outside_lines.ended(floor, ChannelId(event.attempt), event.at)
    _on_call_fact(floor, event)


def _on_answered(floor: FloorState, event: ev.ContactAnswered) -> None:
    if event.attempt in floor.calls:
        steps.call_step(floor, event.attempt, event)
    else:
        floor.out.append(SendToLastWord(attempt=event.attempt))


def _on_connected(floor: FloorState, event: ev.Connected) -> None:
    """The person is in a bridge: in that of the promised agent, or in one where we gave up a join.

    A join that was refused for lack of an answer may have happened. If its agent is idle, they talk
    already, and so be it; if not, the person is taken out of there, back to the music or by what the
    campaign does with people for whom there is nobody.
    """
    if event.attempt in floor.transfers:
        fact = transfers.PersonMoved(at=event.at, bridge=event.bridge)
        steps.transfer_step(floor, event.attempt, fact)
        return
    call = floor.calls.get(event.attempt)
    agent_id = floor.whose_line(event.bridge)
    if call is None or agent_id is None:
        return
    if call.state is CallState.ANSWERED and call.agent is None:
        if agent_id not in floor.idle:
            if call.held_at is not None:
                steps.hold_again(floor, call, event.at)
            else:
                steps.call_step(floor, event.attempt, calls.Expired(at=event.at))
            return
        steps.reserve(floor, call, agent_id, event.at)
    if floor.calls[event.attempt].agent == agent_id:
        steps.call_step(floor, event.attempt, event)


def _on_join_refused(floor: FloorState, event: ev.JoinRefused) -> None:
    """The line is opened again: if its bridge was lost that mends it, and if it is gone we learn it."""
    if event.attempt in floor.transfers:
        fact = transfers.MoveRefused(at=event.at, bridge=event.bridge)
        steps.transfer_step(floor, event.attempt, fact)
        return
    call = floor.calls.get(event.attempt)
    agent_id = floor.whose_line(event.bridge)
    if call is None or agent_id is None or call.state is not CallState.CONNECTING or call.agent != agent_id:
        return
    floor.cannot_join(event.attempt, agent_id)
    steps.call_step(floor, event.attempt, event)
    channel = floor.agents[agent_id].channel
    if channel is not None:
        floor.out.append(OpenLine(channel=channel, bridge=event.bridge))


# -- agents' phones and lines ---------------------------------------------------------------


def _on_line_joined(floor: FloorState, event: ev.LineJoined) -> None:
    agent_id = floor.by_channel.get(event.channel)
    if agent_id is not None and event.bridge == line_bridge(event.channel):
        steps.hear_from(floor, agent_id, event.at)
        steps.agent_step(floor, agent_id, agents.LineUp(at=event.at))
        if agent_id in floor.reopening:
            steps.opened_anew(floor, agent_id, event.at)
    elif agent_id is None:
        thirds.on_joined(floor, event)


def _on_leg_answered(floor: FloorState, event: ev.LegAnswered) -> None:
    agent_id = floor.by_channel.get(event.channel)
    if agent_id is None:
        floor.out.append(HangUp(channel=event.channel))
    else:
        outside_lines.carried(floor, event.channel, event.at)
        steps.agent_step(floor, agent_id, agents.LegUp(at=event.at))


def _on_redirected(floor: FloorState, event: ev.CallRedirected) -> None:
    """Numbers are called by our decision alone, which knows destinations, lists and caps; not because a carrier or a phone says so."""
    floor.out.append(HangUp(channel=event.channel))


def _on_line_gone(floor: FloorState, event: ev.LineRefused | ev.LegRefused | ev.LineEnded) -> None:
    end = event if isinstance(event, ev.LineEnded) else None
    if thirds.on_gone(floor, event.channel, event.at, end):
        return
    if not isinstance(event, ev.LineRefused):
        outside_lines.ended(floor, event.channel, event.at)
    if isinstance(event, ev.LineEnded) and transferring.on_aside_gone(floor, event.channel, event.at):
        return
    agent_id = floor.by_channel.get(event.channel)
    if agent_id is not None:
        steps.agent_step(floor, agent_id, agents.LineDown(at=event.at))


def _on_phone_changed(floor: FloorState, event: ev.PhoneChanged) -> None:
    one = event.server, event.phone
    known, gone = (
        (floor.known_phones, floor.dead_phones)
        if event.is_registered
        else (floor.dead_phones, floor.known_phones)
    )
    known.add(one)
    gone.discard(one)
    _look_at_phone(floor, event.phone, event.at)


def _on_phone_used(floor: FloorState, event: ev.PhoneUsed) -> None:
    if event.is_in_use:
        floor.used_phones.add((event.server, event.phone))
    else:
        floor.used_phones.discard((event.server, event.phone))
    _look_at_phone(floor, event.phone, event.at)


def _look_at_phone(floor: FloorState, phone: str, at: float) -> None:
    agent_id = floor.by_phone.get(phone)
    if agent_id is not None:
        steps.look_at_phone(floor, agent_id, at)


_HANDLERS: dict[type, Callable[[FloorState, Any], None]] = {
    ev.Ticked: _on_tick,
    ev.DeadlinePassed: _on_deadline,
    ev.PbxConnected: adoption.on_pbx_connected,
    ev.PbxListed: adoption.on_pbx_listed,
    ev.PbxDisconnected: _on_pbx_disconnected,
    ev.EventsLagged: _on_lag,
    ev.Leaving: _on_leaving,
    ev.JournalFailed: _on_journal_failed,
    ev.JournalRecovered: _on_journal_recovered,
    ev.TrunkChanged: dealing.on_trunk_changed,
    ev.TrunkUsed: outside_lines.on_used,
    ev.CallForwarded: outside_lines.on_forwarded,
    ev.OutsideApplied: outside_lines.on_applied,
    ev.OriginateRefused: _on_call_fact,
    ev.TrunkSilent: dealing.on_trunk_silent,
    ev.ContactRang: _on_call_fact,
    ev.ContactAnswered: _on_answered,
    ev.MachineAnswered: _on_call_fact,
    ev.AnnouncementBegan: _on_call_fact,
    ev.ContactReturned: requests.on_returned,
    ev.ContactChose: requests.on_choice,
    ev.AnswerFound: _on_call_fact,
    ev.Connected: _on_connected,
    ev.JoinRefused: _on_join_refused,
    ev.ContactHungUp: _on_hung_up,
    ev.FeatureDialed: requests.on_feature,
    ev.DigitPressed: requests.on_digit,
    ev.LineJoined: _on_line_joined,
    ev.LineRefused: _on_line_gone,
    ev.LegAnswered: _on_leg_answered,
    ev.LegRefused: _on_line_gone,
    ev.LineEnded: _on_line_gone,
    ev.PhoneChanged: _on_phone_changed,
    ev.PhoneUsed: _on_phone_used,
    ev.CampaignApplied: dealing.on_campaign_applied,
    ev.CampaignOrdered: dealing.on_campaign_ordered,
    ev.CentreApplied: dealing.on_centre_applied,
    ev.TrunkApplied: dealing.on_trunk_applied,
    ev.AgentApplied: requests.on_agent_applied,
    ev.AgentOrdered: requests.on_agent_ordered,
    ev.CallbackOrdered: requests.on_callback_ordered,
    ev.DoNotCallChanged: dealing.on_do_not_call_changed,
    ev.LeadsFetched: dealing.on_leads,
    ev.LeadsAdded: dealing.on_leads_added,
    ev.PbxLost: adoption.on_pbx_lost,
    ev.ServersApplied: _on_servers_applied,
    ev.TrunkOrdered: dealing.on_trunk_ordered,
    ev.CallArrived: arrivals.on_arrived,
    ev.CallMissed: arrivals.on_missed,
    ev.PhoneHeld: transferring.on_held,
    ev.PhoneReferred: transferring.on_referred,
    ev.PhoneDialed: transferring.on_phone_dialed,
    ev.CallRedirected: _on_redirected,
    ev.ThirdAnswered: thirds.on_answered,
    ev.ThirdRang: thirds.on_rang,
    ev.ThirdRefused: thirds.on_refused,
    ev.EngineStarted: routing.on_started,
    ev.RecordingStored: _ignore,
    ev.RecordingMissing: _ignore,
}
_SELDOM_NOTED = (ev.Ticked, ev.PbxListed, ev.DigitPressed)
_QUIET = frozenset(
    {
        ev.DeadlinePassed,
        ev.PbxListed,
        ev.OriginateRefused,
        ev.TrunkSilent,
        ev.ContactRang,
        ev.ContactAnswered,
        ev.MachineAnswered,
        ev.AnnouncementBegan,
        ev.ContactReturned,
        ev.ContactChose,
        ev.AnswerFound,
        ev.Connected,
        ev.JoinRefused,
        ev.ContactHungUp,
        ev.FeatureDialed,
        ev.DigitPressed,
        ev.PhoneHeld,
        ev.PhoneReferred,
        ev.PhoneDialed,
        ev.CallRedirected,
        ev.TrunkUsed,
        ev.CallForwarded,
        ev.ThirdAnswered,
        ev.ThirdRang,
        ev.ThirdRefused,
        ev.LineJoined,
        ev.LineRefused,
        ev.LegAnswered,
        ev.LegRefused,
        ev.LineEnded,
        ev.PhoneChanged,
        ev.PhoneUsed,
        ev.EngineStarted,
        ev.RecordingStored,
        ev.RecordingMissing,
    }
)
"""Facts that by themselves let nobody be served and nothing be placed; what follows from them may."""
