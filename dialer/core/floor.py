"""The floor: the one mutable object, where calls, agents and campaigns meet.

``handle`` takes one fact and returns what is to be done. It is deterministic: it reads nothing
but its events, and identity and time come in with them, so the same events give the same
commands, and a journal can be played again.

1. Every change of a call, an agent, a lead or a campaign comes with its ``Save``.
2. A person who answered is given to the longest idle operator who may serve the campaign, before
   any new call is placed; who answered first goes first.
3. Nothing is originated while the event socket is down, the events lag, or the journal fails.
4. A number that is being dialed is not dialed a second time, whoever asks.
5. Facts about calls and channels that are not on the floor change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core import features, rules
from dialer.core.commands import (
    AnyCommand,
    ClearTimer,
    CloseLine,
    Dismiss,
    FetchLeads,
    HangUp,
    Message,
    OpenLine,
    Originate,
    RingAgent,
    SaveAgent,
    SaveCall,
    SaveCampaignState,
    SaveLead,
    SetTimer,
    Tell,
)
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.features import Feature
from dialer.core.ids import (
    AgentId,
    AttemptId,
    CampaignId,
    ChannelId,
    LeadId,
    TrunkId,
    is_attempt,
    leg_of,
    line_bridge,
)
from dialer.core.orders import ORDERS
from dialer.core.pacing import progressive
from dialer.core.values import (
    Agent,
    AgentCard,
    AgentState,
    Call,
    CallState,
    Campaign,
    CampaignState,
    Lead,
    Result,
    Trunk,
)

SWEEP_S = 1.0
"""Deadlines whose timer was lost are found within this time."""
IN_FLIGHT_S = 15.0
"""An originate younger than this may be on its way although Asterisk lists no channel for it."""


class Floor:
    """Calls, agents, campaigns and trunks of one engine."""

    def __init__(self) -> None:
        self.desks: dict[CampaignId, Desk] = {}
        self.trunks: dict[TrunkId, TrunkDesk] = {}
        self.cards: dict[AgentId, AgentCard] = {}
        self.agents: dict[AgentId, Agent] = {}
        self.calls: dict[AttemptId, Call] = {}
        self._leads: dict[AttemptId, Lead] = {}
        self._live_leads: set[LeadId] = set()
        self._live_numbers: set[str] = set()
        self._waiting: dict[AttemptId, None] = {}
        self._by_phone: dict[str, AgentId] = {}
        self._by_channel: dict[ChannelId, AgentId] = {}
        self._dead_phones: set[str] = set()
        self._last_calls: dict[AgentId, tuple[Call, Lead]] = {}
        self._keys: dict[ChannelId, str] = {}
        self._is_pbx_up = False
        self._is_late = False
        self._is_leaving = False
        self._journal_error: str | None = None
        self._swept_at = 0.0
        self._out: list[AnyCommand] = []
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.Ticked: self._on_tick,
            ev.DeadlinePassed: self._on_deadline,
            ev.PbxConnected: self._on_pbx_connected,
            ev.PbxDisconnected: self._on_pbx_disconnected,
            ev.EventsLagged: self._on_lag,
            ev.JournalFailed: self._on_journal_failed,
            ev.JournalRecovered: self._on_journal_recovered,
            ev.Leaving: self._on_leaving,
            ev.TrunkChanged: self._on_trunk_changed,
            ev.OriginateRefused: self._on_call_fact,
            ev.ContactRang: self._on_call_fact,
            ev.ContactAnswered: self._on_call_fact,
            ev.Connected: self._on_call_fact,
            ev.JoinRefused: self._on_call_fact,
            ev.ContactHungUp: self._on_call_fact,
            ev.FeatureDialed: self._on_feature,
            ev.DigitPressed: self._on_digit,
            ev.LineJoined: self._on_line_joined,
            ev.LineRefused: self._on_line_gone,
            ev.LegAnswered: self._on_leg_answered,
            ev.LegRefused: self._on_line_gone,
            ev.LineEnded: self._on_line_ended,
            ev.PhoneChanged: self._on_phone_changed,
            ev.CampaignApplied: self._on_campaign_applied,
            ev.CampaignOrdered: self._on_campaign_ordered,
            ev.TrunkApplied: self._on_trunk_applied,
            ev.AgentApplied: self._on_agent_applied,
            ev.AgentOrdered: self._on_agent_ordered,
            ev.LeadsFetched: self._on_leads,
            ev.LeadsAdded: self._on_leads_added,
            ev.RecordingStored: self._ignore,
            ev.RecordingMissing: self._ignore,
        }

    # -- the two doors ------------------------------------------------------------------

    def handle(self, event: ev.Event) -> list[AnyCommand]:
        """Take one fact; what is to be done, saves first among equals in the order of decision."""
        out: list[AnyCommand] = []
        self._out = out
        self._handlers[type(event)](event)
        self._settle(event.at)
        return out

    def restore(
        self,
        *,
        campaigns: Iterable[tuple[Campaign, CampaignState]] = (),
        trunks: Iterable[Trunk] = (),
        cards: Iterable[AgentCard] = (),
        agents: Iterable[Agent] = (),
        calls: Iterable[tuple[Call, Lead]] = (),
        last_calls: Iterable[tuple[Call, Lead]] = (),
    ) -> None:
        """Take up what the journal remembers, before the first event. Decides nothing.

        *calls*: attempts that have not ended. *last_calls*: ended ones whose result an agent may
        still give, each with its lead as it was before the call.
        """
        for campaign, state in campaigns:
            self.desks[campaign.id] = Desk(campaign, state)
        for trunk in trunks:
            self.trunks[trunk.id] = TrunkDesk(trunk)
        for card in cards:
            self._take_card(card)
        for agent in agents:
            if agent.id in self.cards:
                self.agents[agent.id] = agent
                if agent.channel is not None:
                    self._by_channel[agent.channel] = agent.id
        for call, lead in calls:
            if call.campaign in self.desks:
                self._take_call(call, lead)
        for call, lead in last_calls:
            if call.campaign in self.desks and call.agent is not None and call.result is Result.TALKED:
                self._last_calls[call.agent] = (call, lead)

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

    def why_not_originating(self) -> list[str]:
        """Why nothing may be originated at this moment; empty when it may."""
        why = []
        if not self._is_pbx_up:
            why.append("no connection to Asterisk")
        if self._is_leaving:
            why.append("the engine is leaving")
        if self._is_late:
            why.append("events lag")
        if self._journal_error is not None:
            why.append(f"the journal fails: {self._journal_error}")
        return why

    # -- the world as a whole -----------------------------------------------------------

    def _ignore(self, event: ev.Event) -> None:
        """Nothing to decide; the journal keeps it."""

    def _on_tick(self, event: ev.Ticked) -> None:
        if event.at - self._swept_at < SWEEP_S:
            return
        self._swept_at = event.at
        for call in list(self.calls.values()):
            self._expire_call(call.attempt, event.at)
        for agent in list(self.agents.values()):
            self._expire_agent(agent.id, event.at)

    def _on_deadline(self, event: ev.DeadlinePassed) -> None:
        if event.kind == "attempt":
            self._expire_call(AttemptId(event.subject), event.at)
        elif event.kind == "agent":
            self._expire_agent(AgentId(event.subject), event.at)
        elif event.campaign is not None and event.campaign in self.desks:
            self.desks[event.campaign].hopper.wake()

    def _expire_call(self, attempt: AttemptId, at: float) -> None:
        call = self.calls.get(attempt)
        if call is not None and call.deadline is not None and at >= call.deadline:
            self._call_step(attempt, calls.Expired(at=at))

    def _expire_agent(self, agent_id: AgentId, at: float) -> None:
        agent = self.agents.get(agent_id)
        if agent is not None and agent.deadline is not None and at >= agent.deadline:
            self._agent_step(agent_id, agents.Expired(at=at))

    def _on_pbx_disconnected(self, event: ev.PbxDisconnected) -> None:
        self._is_pbx_up = False

    def _on_lag(self, event: ev.EventsLagged) -> None:
        self._is_late = event.is_late

    def _on_leaving(self, event: ev.Leaving) -> None:
        self._is_leaving = True

    def _on_journal_failed(self, event: ev.JournalFailed) -> None:
        self._journal_error = event.reason

    def _on_journal_recovered(self, event: ev.JournalRecovered) -> None:
        self._journal_error = None

    def _on_pbx_connected(self, event: ev.PbxConnected) -> None:
        """Hold what we believe against what lives: the missing are gone, strangers are sent away."""
        self._is_pbx_up = True
        living = {one.channel: one for one in event.channels}
        for call in list(self.calls.values()):
            self._adopt_call(call, living.get(calls.channel_of(call)), event.at)
        for agent in list(self.agents.values()):
            if agent.channel is None:
                continue
            line = living.get(agent.channel)
            if line is None:
                if not (agent.state is AgentState.RESERVED and event.at - agent.since < IN_FLIGHT_S):
                    self._agent_step(agent.id, agents.LineDown(at=event.at))
            elif line.bridge == line_bridge(agent.channel) and not agent.has_line:
                self._agent_step(agent.id, agents.LineUp(at=event.at))
            elif line.in_app and line.bridge is None:
                self._out.append(OpenLine(channel=agent.channel, bridge=line_bridge(agent.channel)))
        for one in living.values():
            if is_attempt(one.channel):
                if AttemptId(one.channel) not in self.calls and one.bridge is None:
                    self._out.append(HangUp(channel=one.channel))
            elif one.in_app and one.channel not in self._by_channel:
                self._out.append(HangUp(channel=one.channel))

    def _adopt_call(self, call: Call, channel: ev.LiveChannel | None, at: float) -> None:
        if channel is None:
            if call.state is not CallState.DIALING or at - call.created_at >= IN_FLIGHT_S:
                self._call_step(call.attempt, ev.ContactHungUp(at=at, attempt=call.attempt))
            return
        if channel.is_ringing:
            self._call_step(call.attempt, ev.ContactRang(at=at, attempt=call.attempt))
        if channel.is_up:
            self._call_step(call.attempt, ev.ContactAnswered(at=at, attempt=call.attempt))
            if channel.bridge is not None:
                connected = ev.Connected(at=at, attempt=call.attempt, bridge=channel.bridge)
                self._call_step(call.attempt, connected)
            elif not channel.in_app and self.calls[call.attempt].state is CallState.ANSWERED:
                # Answered while we were away: the dialplan has the person, and has the last word.
                self._call_step(call.attempt, calls.Expired(at=at))

    def _on_trunk_changed(self, event: ev.TrunkChanged) -> None:
        if event.trunk in self.trunks:
            self.trunks[event.trunk].is_up = event.is_up

    def _on_phone_changed(self, event: ev.PhoneChanged) -> None:
        if event.is_registered:
            self._dead_phones.discard(event.phone)
        else:
            self._dead_phones.add(event.phone)

    # -- calls --------------------------------------------------------------------------

    def _on_call_fact(self, event: Any) -> None:
        self._call_step(event.attempt, event)

    def _call_step(self, attempt: AttemptId, fact: calls.Fact) -> None:
        call = self.calls.get(attempt)
        if call is None:
            return
        desk = self.desks[call.campaign]
        after, commands = calls.step(call, fact, desk.campaign)
        if after is not call:
            self.calls[attempt] = after
            desk.index(after)
            self._save_call(after)
            self._keep_timer("attempt", attempt, call.deadline, after.deadline)
        self._out += commands
        if after.state is call.state and after.agent == call.agent:
            return
        if after.state is CallState.ANSWERED and after.agent is None:
            self._waiting[attempt] = None
        else:
            self._waiting.pop(attempt, None)
        match after.state:
            case CallState.RINGING:
                self._ring_agent_at_ring(after, desk, fact.at)
            case CallState.ANSWERED:
                self._join_if_possible(after, fact.at)
            case CallState.CONNECTED if after.agent is not None:
                self._agent_step(after.agent, agents.Joined(at=fact.at))
            case CallState.ENDED:
                self._call_ended(after, fact.at)

    def _save_call(self, call: Call) -> None:
        self._out.append(SaveCall(call=call))

    def _keep_timer(self, kind: Any, subject: str, before: float | None, due: float | None) -> None:
        if due == before:
            return
        if due is None:
            self._out.append(ClearTimer(kind=kind, subject=subject))
        else:
            self._out.append(SetTimer(kind=kind, subject=subject, due=due))

    def _join_if_possible(self, call: Call, at: float) -> None:
        """The person waits; if the promised agent's line is up, join them."""
        agent = self.agents.get(call.agent) if call.agent is not None else None
        if agent is None or not agent.has_line or agent.attempt != call.attempt:
            return
        assert agent.channel is not None
        bridge = line_bridge(agent.channel)
        self._call_step(call.attempt, calls.AgentReserved(at=at, agent=agent.id, bridge=bridge))
        self._out.append(Tell(channel=agent.channel, message="call"))

    def _reserve(self, call: Call, agent_id: AgentId, at: float) -> None:
        """Promise the agent to the call: join a parked one at once, ring the other's phone."""
        card = self.cards[agent_id]
        desk = self.desks[call.campaign]
        if card.leg == "parked":
            self._agent_step(agent_id, agents.Reserved(at=at, attempt=call.attempt))
            agent = self.agents[agent_id]
            assert agent.channel is not None
            bridge = line_bridge(agent.channel)
            self._call_step(call.attempt, calls.AgentReserved(at=at, agent=agent_id, bridge=bridge))
            self._out.append(Tell(channel=agent.channel, message="call"))
            return
        channel = leg_of(call.attempt, agent_id)
        ring_s = desk.campaign.agent_ring_s
        self._agent_step(
            agent_id, agents.Reserved(at=at, attempt=call.attempt, channel=channel, ring_s=ring_s)
        )
        self._call_step(call.attempt, calls.AgentReserved(at=at, agent=agent_id, bridge=None, ring_s=ring_s))
        self._out.append(
            RingAgent(
                agent=agent_id,
                phone=card.phone,
                channel=channel,
                attempt=call.attempt,
                number=call.number,
                ring_s=ring_s,
            )
        )

    def _ring_agent_at_ring(self, call: Call, desk: Desk, at: float) -> None:
        if desk.campaign.ring_agent != "at_ring" or call.agent is not None:
            return
        agent_id = self._longest_idle(call.campaign)
        if agent_id is not None and self.cards[agent_id].leg == "rung":
            self._reserve(call, agent_id, at)

    def _call_ended(self, call: Call, at: float) -> None:
        assert call.result is not None
        desk = self.desks[call.campaign]
        lead = self._leads.pop(call.attempt)
        del self.calls[call.attempt]
        self._live_leads.discard(lead.id)
        self._live_numbers.discard(call.number)
        if call.trunk in self.trunks:
            self.trunks[call.trunk].gave_back(call.result, at)
        self._recycle(desk, lead, call, at)
        desk.hopper.release(lead.id)
        desk.hopper.wake()
        if call.agent is None:
            return
        if call.result is Result.TALKED:
            self._last_calls[call.agent] = (call, lead)
        agent = self.agents.get(call.agent)
        if agent is not None and agent.attempt == call.attempt:
            self._agent_step(agent.id, agents.CallOver(at=at, wrap_up_s=desk.campaign.wrap_up_s))

    def _recycle(self, desk: Desk, lead: Lead, call: Call, at: float) -> None:
        after = rules.recycle(lead, call, desk.campaign, at)
        self._out.append(
            SaveLead(
                lead=lead.id,
                ordinal=after.lead.ordinal,
                due=after.due,
                next_phone=after.lead.next_phone,
                finished=after.finished,
                bad_phone=after.bad_phone,
            )
        )
        if after.due is None:
            self._out.append(ClearTimer(kind="lead", subject=str(lead.id)))
        else:
            self._out.append(
                SetTimer(kind="lead", subject=str(lead.id), due=after.due, campaign=desk.campaign.id)
            )

    def _take_call(self, call: Call, lead: Lead) -> None:
        self.calls[call.attempt] = call
        self._leads[call.attempt] = lead
        self._live_leads.add(lead.id)
        self._live_numbers.add(call.number)
        self.desks[call.campaign].index(call)
        if call.trunk in self.trunks:
            self.trunks[call.trunk].took()
        if call.state is CallState.ANSWERED and call.agent is None:
            self._waiting[call.attempt] = None

    # -- agents -------------------------------------------------------------------------

    def _agent_step(self, agent_id: AgentId, fact: agents.Fact) -> None:
        agent = self.agents.get(agent_id)
        if agent is None:
            return
        after, commands = agents.step(agent, fact, self.cards[agent_id])
        if after is not agent:
            self.agents[agent_id] = after
            self._out.append(SaveAgent(agent=after, at=fact.at))
            self._keep_timer("agent", agent_id, agent.deadline, after.deadline)
        self._out += commands
        if after.channel != agent.channel:
            if agent.channel is not None:
                self._by_channel.pop(agent.channel, None)
                self._keys.pop(agent.channel, None)
            if after.channel is not None:
                self._by_channel[after.channel] = agent_id
        if agent.attempt is not None:
            line_changed = agent.channel is not None and after.channel != agent.channel
            if after.attempt != agent.attempt or line_changed:
                self._call_step(agent.attempt, calls.AgentLeft(at=fact.at))
        if after.has_line and not agent.has_line and after.attempt in self.calls:
            call = self.calls[after.attempt]
            if call.state is CallState.ANSWERED:
                self._join_if_possible(call, fact.at)

    def _on_line_joined(self, event: ev.LineJoined) -> None:
        agent_id = self._by_channel.get(event.channel)
        if agent_id is not None and event.bridge == line_bridge(event.channel):
            self._agent_step(agent_id, agents.LineUp(at=event.at))

    def _on_leg_answered(self, event: ev.LegAnswered) -> None:
        agent_id = self._by_channel.get(event.channel)
        if agent_id is None:
            self._out.append(HangUp(channel=event.channel))
        else:
            self._agent_step(agent_id, agents.LegUp(at=event.at))

    def _on_line_gone(self, event: ev.LineRefused | ev.LegRefused) -> None:
        agent_id = self._by_channel.get(event.channel)
        if agent_id is not None:
            self._agent_step(agent_id, agents.LineDown(at=event.at))

    def _on_line_ended(self, event: ev.LineEnded) -> None:
        agent_id = self._by_channel.get(event.channel)
        if agent_id is not None:
            self._out.append(CloseLine(bridge=line_bridge(event.channel)))
            self._agent_step(agent_id, agents.LineDown(at=event.at))

    def _on_feature(self, event: ev.FeatureDialed) -> None:
        asked = features.parse(event.code)
        agent_id = self._by_phone.get(event.phone)
        if asked is None or agent_id is None:
            self._out.append(Dismiss(channel=event.channel, message="refused"))
            return
        if asked.feature is Feature.SIGN_IN:
            self._agent_step(agent_id, agents.SignInAsked(at=event.at, channel=event.channel))
            if self.cards[agent_id].leg == "parked":
                return  # the channel is the line now, and is told so when it is in its bridge
            message: Message | None = "signed_in"
        else:
            message = self._use(agent_id, asked, event.at)
        self._out.append(Dismiss(channel=event.channel, message=message or "call_over"))

    def _on_digit(self, event: ev.DigitPressed) -> None:
        agent_id = self._by_channel.get(event.channel)
        if agent_id is None:
            return
        pressed, code = features.key(self._keys.get(event.channel, ""), event.digit)
        self._keys[event.channel] = pressed
        if code is None:
            return
        asked = features.parse(code)
        message = self._use(agent_id, asked, event.at) if asked is not None else "refused"
        if message is not None and self.agents[agent_id].channel == event.channel:
            self._out.append(Tell(channel=event.channel, message=message))

    def _use(self, agent_id: AgentId, asked: features.Asked, at: float) -> Message | None:
        """Do what a feature code asks; the confirmation to be heard, if any."""
        agent = self.agents[agent_id]
        if asked.feature is not Feature.RESULT and agent.state is AgentState.SIGNED_OUT:
            return "refused"
        match asked.feature:
            case Feature.SIGN_OUT:
                self._agent_step(agent_id, agents.SignOutAsked(at=at))
                return "signed_out"
            case Feature.READY:
                self._agent_step(agent_id, agents.ReadyAsked(at=at))
                return "ready"
            case Feature.PAUSE:
                reason = self._pause_reasons(agent_id).get(asked.argument)
                if reason is None:
                    return "refused"
                self._agent_step(agent_id, agents.PauseAsked(at=at, reason=reason))
                return "paused"
            case Feature.RESULT:
                return self._give_result(agent, asked.argument, at)
            case Feature.HANG_UP if agent.state is AgentState.ON_CALL and agent.attempt is not None:
                self._call_step(agent.attempt, calls.EndAsked(at=at, why="operator"))
                return None
            case _:
                return "refused"

    def _pause_reasons(self, agent_id: AgentId) -> dict[str, str]:
        campaigns = self.cards[agent_id].campaigns or tuple(self.desks)
        desk = self.desks.get(campaigns[0]) if campaigns else None
        return rules.pause_reasons(desk.campaign if desk else None)

    def _give_result(self, agent: Agent, code: str, at: float) -> Message:
        """The operator's result of the present call, or of the last one."""
        call = self.calls.get(agent.attempt) if agent.attempt is not None else None
        lead: Lead | None = None
        if call is None or call.state is not CallState.CONNECTED:
            call, lead = self._last_calls.get(agent.id, (None, None))
        if call is None:
            return "refused"
        desk = self.desks[call.campaign]
        given = next((one for one in rules.operator_results(desk.campaign) if one.code == code), None)
        if given is None:
            return "refused"
        call = msgspec.structs.replace(call, operator_result=given.name)
        self._save_call(call)
        if lead is None:
            self.calls[call.attempt] = call
        else:
            self._last_calls[agent.id] = (call, lead)
            self._recycle(desk, lead, call, at)
            desk.hopper.wake()
        return "result_saved"

    def _on_agent_applied(self, event: ev.AgentApplied) -> None:
        self._take_card(event.agent)

    def _take_card(self, card: AgentCard) -> None:
        before = self.cards.get(card.id)
        if before is not None:
            self._by_phone.pop(before.phone, None)
        self.cards[card.id] = card
        self._by_phone[card.phone] = card.id
        self.agents.setdefault(card.id, Agent(id=card.id))

    def _on_agent_ordered(self, event: ev.AgentOrdered) -> None:
        facts: dict[str, agents.Fact] = {
            "ready": agents.ReadyAsked(at=event.at),
            "pause": agents.PauseAsked(at=event.at, reason=event.reason or "supervisor"),
            "sign_out": agents.SignOutAsked(at=event.at),
        }
        self._agent_step(event.agent, facts[event.order])

    # -- campaigns and leads ------------------------------------------------------------

    def _on_campaign_applied(self, event: ev.CampaignApplied) -> None:
        desk = self.desks.get(event.campaign.id)
        if desk is None:
            self.desks[event.campaign.id] = Desk(event.campaign, CampaignState.NEW)
        else:
            desk.campaign = event.campaign
            desk.hopper.wake()

    def _on_trunk_applied(self, event: ev.TrunkApplied) -> None:
        desk = self.trunks.get(event.trunk.id)
        if desk is None:
            self.trunks[event.trunk.id] = TrunkDesk(event.trunk)
        else:
            desk.trunk = event.trunk

    def _on_campaign_ordered(self, event: ev.CampaignOrdered) -> None:
        desk = self.desks.get(event.campaign)
        before, state = ORDERS[event.order]
        if desk is None or desk.state not in before:
            return
        self._set_state(desk, state, event.at)
        desk.hopper.wake()
        if state is CampaignState.STOPPED:
            desk.hopper.clear()

    def _set_state(self, desk: Desk, state: CampaignState, at: float) -> None:
        desk.state = state
        self._out.append(SaveCampaignState(campaign=desk.campaign.id, state=state, at=at))

    def _on_leads(self, event: ev.LeadsFetched) -> None:
        desk = self.desks.get(event.campaign)
        if desk is None:
            return
        if not desk.is_running:
            desk.hopper.fill((), live=self._live_leads, at=event.at)
            return
        desk.hopper.fill(event.leads, live=self._live_leads, at=event.at)
        if not event.unfinished and not desk.live and not len(desk.hopper):
            self._set_state(desk, CampaignState.FINISHED, event.at)

    def _on_leads_added(self, event: ev.LeadsAdded) -> None:
        desk = self.desks.get(event.campaign)
        if desk is not None:
            desk.hopper.wake()

    # -- settling: who is joined with whom, and who is dialed ---------------------------

    def _settle(self, at: float) -> None:
        for attempt in list(self._waiting):
            agent_id = self._longest_idle(self.calls[attempt].campaign)
            if agent_id is not None:
                self._reserve(self.calls[attempt], agent_id, at)
        running = [desk for desk in self.desks.values() if desk.is_running]
        if not running:
            return
        ready = self._ready()
        if ready and not self.why_not_originating():
            self._place(running, ready, at)
        for desk in running:
            wanted = sum(1 for one in ready if one.may_serve(desk.campaign.id))
            limit = desk.hopper.ask(wanted=2 * wanted, live=len(desk.live), at=at)
            if limit is not None:
                self._out.append(FetchLeads(campaign=desk.campaign.id, limit=limit))

    def _is_free(self, agent: Agent) -> bool:
        if agent.state is not AgentState.READY:
            return False
        card = self.cards[agent.id]
        return agent.has_line if card.leg == "parked" else card.phone not in self._dead_phones

    def _longest_idle(self, campaign: CampaignId) -> AgentId | None:
        free = (
            agent
            for agent in self.agents.values()
            if self._is_free(agent)
            and (not self.cards[agent.id].campaigns or campaign in self.cards[agent.id].campaigns)
        )
        best = min(free, key=lambda agent: (agent.since, agent.id), default=None)
        return best.id if best is not None else None

    def _ready(self) -> list[progressive.Ready]:
        free = sorted(
            (agent for agent in self.agents.values() if self._is_free(agent)),
            key=lambda agent: (agent.since, agent.id),
        )
        return [progressive.Ready(agent.id, self.cards[agent.id].campaigns) for agent in free]

    def _place(self, running: list[Desk], ready: list[progressive.Ready], at: float) -> None:
        running = sorted(running, key=lambda desk: (desk.campaign.priority, desk.last_dialed_at))
        demands = [
            progressive.Demand(desk.campaign.id, len(desk.unserved), self._room(desk, at)) for desk in running
        ]
        for campaign, agent_id in progressive.place(demands, ready):
            desk = self.desks[campaign]
            if self._room(desk, at) > 0:
                self._dial(desk, agent_id, at)

    def _room(self, desk: Desk, at: float) -> int:
        trunk = self.trunks.get(desk.campaign.trunk)
        if trunk is None:
            return 0
        return min(len(desk.hopper), desk.campaign.lines_max - len(desk.live), trunk.room(at))

    def _dial(self, desk: Desk, agent_id: AgentId, at: float) -> None:
        for _ in range(len(desk.hopper)):
            fresh = desk.hopper.pop()
            phone = rules.pick_phone(fresh.lead, desk.campaign)
            if phone is None:
                finished = SaveLead(
                    lead=fresh.lead.id, ordinal=fresh.lead.ordinal, due=None, finished="no_number_left"
                )
                self._out.append(finished)
                desk.hopper.release(fresh.lead.id)
            elif phone.number in self._live_numbers:
                desk.hopper.put_back(fresh)
            else:
                break
        else:
            return
        campaign, trunk = desk.campaign, self.trunks[desk.campaign.trunk]
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
        self._take_call(call, fresh.lead)
        desk.last_dialed_at = at
        self._save_call(call)
        self._keep_timer("attempt", call.attempt, None, call.deadline)
        self._out.append(
            Originate(
                attempt=call.attempt,
                campaign=campaign.id,
                trunk=campaign.trunk,
                number=phone.number,
                caller_id=campaign.caller_id or trunk.trunk.caller_id,
                ring_s=campaign.ring_s,
                record=campaign.record,
            )
        )
        if campaign.ring_agent == "at_dial" and self.cards[agent_id].leg == "rung":
            self._reserve(call, agent_id, at)
