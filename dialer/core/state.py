"""What is on the floor, and the two steps that change it: a call's and an agent's.

The tables of :mod:`dialer.core.call` and :mod:`dialer.core.agent` know one call and one agent each.
Here they meet, and these hold after every step:

1. A call's ``agent`` and an agent's ``attempt`` name each other for as long as the agent is reserved
   or on call. Whoever is promised to a call is free again as soon as the call can have no use for
   them: when they are exchanged, when it ends, and when we give it up before it was connected.
2. Every change of a call, an agent or a lead comes with its ``Save``, and every change of a deadline
   with its timer.
3. The indexes (who waits, who is idle, which lead and which number is live, who is on which channel)
   say the same as the values. Nothing is counted twice, for nothing is counted: sets hold ids.
4. ``is_stirred`` is set by whatever may allow a person to be served or a call to be placed; the floor
   looks into that only then, so that most events cost what they change and no more.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

import msgspec

from dialer.core import agent as agents
from dialer.core import call as calls
from dialer.core import judging, rules
from dialer.core.commands import (
    AnyCommand,
    ClearTimer,
    RingAgent,
    SaveAgent,
    SaveCall,
    SaveLead,
    SetTimer,
    Tell,
)
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.idle import Idle
from dialer.core.ids import (
    AgentId,
    AttemptId,
    BridgeId,
    CampaignId,
    ChannelId,
    LeadId,
    PhoneId,
    TrunkId,
    leg_of,
    line_bridge,
    line_of,
)
from dialer.core.pacing.progressive import may_serve
from dialer.core.values import Agent, AgentCard, AgentState, Call, CallState, Campaign, Centre, Lead, Result
from dialer.core.waiting import Queue

_OF_PHONE: dict[agents.Phone, type[agents.PhoneLost | agents.PhoneBusy | agents.PhoneFree]] = {
    "lost": agents.PhoneLost,
    "in_use": agents.PhoneBusy,
    "free": agents.PhoneFree,
}
_IN_CONVERSATION = frozenset({AgentState.ON_CALL, AgentState.WRAP_UP})
_CHANGES_NOTHING_FOR_OTHERS = frozenset({CallState.RINGING, CallState.CONNECTED})


class FloorState:
    """Calls, agents, campaigns and trunks, and their indexes. Used by the floor's modules alone."""

    def __init__(self) -> None:
        self.desks: dict[CampaignId, Desk] = {}
        self.trunks: dict[TrunkId, TrunkDesk] = {}
        self.centre = Centre()
        self.cards: dict[AgentId, AgentCard] = {}
        self.agents: dict[AgentId, Agent] = {}
        self.calls: dict[AttemptId, Call] = {}
        self.leads: dict[AttemptId, Lead] = {}
        """Of each live call, as it was when the call was placed."""
        self.live_leads: set[LeadId] = set()
        self.live_numbers: set[str] = set()
        self.waiting = Queue(self.calls, self.agents, self.cards)
        """Who answered and has no agent, first come first."""
        self.doubts: dict[str, tuple[str, float]] = {}
        """What the last list of what lives says otherwise than we believe, and since when; see
        :mod:`dialer.core.adoption`."""
        self.idle = Idle()
        self.by_phone: dict[str, AgentId] = {}
        self.by_channel: dict[ChannelId, AgentId] = {}
        self.dead_phones: set[str] = set()
        """Phones that lost their registration."""
        self.used_phones: set[str] = set()
        """Phones in a call that is none of ours."""
        self.keys: dict[ChannelId, str] = {}
        """What was keyed of a feature code so far."""
        self.last_calls: dict[AgentId, tuple[Call, Lead | None]] = {}
        """The call that an agent's result code speaks of once it has ended, and its lead; no lead
        when that has been dialed again since, for then its future is the later call's business."""
        self.is_pbx_up = False
        self.is_late = False
        self.is_leaving = False
        self.journal_error: str | None = None
        self.is_stirred = False
        self.has_trace = False
        """The event changed something here although, perhaps, it led to no command."""
        self.out: list[AnyCommand] = []
        self._last_of_lead: dict[LeadId, AgentId] = {}
        self._unjoinable: dict[AttemptId, set[AgentId]] = {}

    @property
    def is_deaf(self) -> bool:
        """Whether things may have happened that we have not heard of yet."""
        return not self.is_pbx_up or self.is_late

    # -- calls --------------------------------------------------------------------------

    def call_step(self, attempt: AttemptId, fact: calls.Fact) -> None:
        """Step the call, if it is on the floor, and do what follows for agents and leads."""
        call = self.calls.get(attempt)
        if call is None:
            return
        desk = self.desks[call.campaign]
        after, commands = calls.step(call, fact, self.waiting.rules_for(call, desk.campaign))
        if after is not call:
            self.calls[attempt] = after
            desk.index(after)
            self.out.append(SaveCall(call=after))
            self._keep_timer("attempt", attempt, call.deadline, after.deadline)
        self.out += self.waiting.tell(commands, fact.at)
        if after.state is call.state and after.agent == call.agent:
            return
        if after.state not in _CHANGES_NOTHING_FOR_OTHERS:
            self.is_stirred = True
        if after.state is CallState.ANSWERED and after.agent is None:
            self.waiting.put(after)
        else:
            self.waiting.drop(attempt)
        if call.agent is not None and _needs_no_agent(call, after):
            self._release(call.agent, after, fact.at)
        match after.state:
            case CallState.RINGING:
                self._ring_agent_at_ring(after, desk, fact.at)
            case CallState.ANSWERED:
                self._join_if_possible(after, fact.at)
            case CallState.CONNECTED if after.agent is not None:
                self.agent_step(after.agent, agents.Joined(at=fact.at))
            case CallState.ENDED:
                self._call_ended(after, desk, fact.at)

    def renew_joins(self, at: float) -> None:
        """We hear again: a join that was on its way meanwhile may not even have been sent, so its time
        begins anew. Were it given up now, it might cut those off who have just begun to talk."""
        for call in list(self.calls.values()):
            due = at + calls.JOIN_S
            if call.state is CallState.CONNECTING and (call.deadline or 0.0) < due:
                self.calls[call.attempt] = after = msgspec.structs.replace(call, deadline=due)
                self.out.append(SaveCall(call=after))
                self._keep_timer("attempt", call.attempt, call.deadline, due)

    def take_call(self, call: Call, lead: Lead) -> None:
        """The call is on the floor from now on."""
        self.calls[call.attempt] = call
        self.leads[call.attempt] = lead
        self.live_leads.add(lead.id)
        self.live_numbers.add(call.number)
        for desk in self.desks.values():
            desk.hopper.doubt(call.number)  # caps count this call, whoever asks next
        self.desks[call.campaign].index(call)
        if call.trunk in self.trunks:
            self.trunks[call.trunk].took(call.created_at)
        if call.state is CallState.ANSWERED and call.agent is None:
            self.waiting.put(call)
        self.forget_lead(lead.id)

    def _call_ended(self, call: Call, desk: Desk, at: float) -> None:
        assert call.result is not None
        lead = self.leads.pop(call.attempt)
        del self.calls[call.attempt]
        self.live_leads.discard(lead.id)
        self.live_numbers.discard(call.number)
        self._unjoinable.pop(call.attempt, None)
        if call.trunk in self.trunks:
            self.trunks[call.trunk].gave_back(call.result, at)
        self.recycle(desk, lead, call, at)
        desk.hopper.release(lead.id)
        desk.hopper.wake()
        if call.agent is None:
            return
        if call.result is Result.TALKED:
            self.remember_last(call, lead)
        self._release(call.agent, call, at)

    def recycle(self, desk: Desk, lead: Lead, call: Call, at: float) -> rules.Recycle:
        """Save what becomes of the lead after the call, and set the timer of its next attempt."""
        after = rules.recycle(lead, call, desk.campaign, at)
        self.out.append(
            SaveLead(
                lead=lead.id,
                ordinal=after.lead.ordinal,
                due=after.due,
                next_phone=after.lead.next_phone,
                finished=after.finished,
                bad_phone=after.bad_phone,
                why=after.why,
                is_promised=after.lead.is_promised,
                owner=after.lead.owner,
                owned_until=after.lead.owned_until,
                at=at,
            )
        )
        if after.bad_phone is not None:
            self.mark_bad(after.bad_phone, call.number)
        subject = str(lead.id)
        if after.due is None:
            self.out.append(ClearTimer(kind="lead", subject=subject))
        else:
            self.out.append(SetTimer(kind="lead", subject=subject, due=after.due, campaign=desk.campaign.id))
        return after

    def mark_bad(self, phone: PhoneId, number: str) -> None:
        """The number is bad in every campaign that has a lead with it at hand."""
        for desk in self.desks.values():
            desk.hopper.mark_bad(phone, number)

    def remember_last(self, call: Call, lead: Lead | None) -> None:
        """From now on *call* is the one that a result code of its agent speaks of."""
        assert call.agent is not None
        _, old = self.last_calls.get(call.agent, (None, None))
        if old is not None:
            self._last_of_lead.pop(old.id, None)
        self.last_calls[call.agent] = (call, lead)
        if lead is not None:
            self._last_of_lead[lead.id] = call.agent

    def forget_lead(self, lead: LeadId) -> None:
        """The lead's future is settled anew: an operator's late word on its last call does not change it."""
        agent_id = self._last_of_lead.pop(lead, None)
        if agent_id is not None:
            self.last_calls[agent_id] = (self.last_calls[agent_id][0], None)

    def _keep_timer(
        self, kind: Literal["attempt", "agent"], subject: str, before: float | None, due: float | None
    ) -> None:
        if due == before:
            return
        if due is None:
            self.out.append(ClearTimer(kind=kind, subject=subject))
        else:
            self.out.append(SetTimer(kind=kind, subject=subject, due=due))

    def hold_again(self, call: Call, at: float) -> None:
        """The person who is held is to be (back) in the music."""
        command = calls.hold_command(call, self.desks[call.campaign].campaign, at)
        self.out += self.waiting.tell([command], at)

    # -- a call and an agent --------------------------------------------------------------

    def serve(self, call: Call, at: float) -> bool:
        """Give the person who waits to the longest idle operator, if there is one."""
        agent_id = self._choose(call, at)
        if agent_id is None:
            return False
        self.reserve(call, agent_id, at)
        return True

    def _choose(self, call: Call, at: float) -> AgentId | None:
        """Who is to have the person: the owner of the card if idle, else the longest idle operator.

        But nobody who could not be joined with this person, or was rung for them and did not pick up.
        """
        lead = self.leads[call.attempt]
        but: Container[AgentId] = self._unjoinable.get(call.attempt, ())
        if (
            judging.is_owned(lead, at)
            and lead.owner not in but
            and self.is_idle_for(lead.owner, call.campaign)
        ):
            return lead.owner
        return self.idle.longest(call.campaign, but)

    def is_idle_for(self, agent_id: AgentId | None, campaign: CampaignId) -> bool:
        """Whether that operator is idle, and works for *campaign*."""
        return (
            agent_id is not None
            and agent_id in self.idle
            and may_serve(self.cards[agent_id].campaigns, campaign)
        )

    def reserve(self, call: Call, agent_id: AgentId, at: float) -> None:
        """Promise the idle agent to the call: ring their phone, or join a parked one when the person is there."""
        card = self.cards[agent_id]
        if card.leg == "parked":
            self.agent_step(agent_id, agents.Reserved(at=at, attempt=call.attempt))
            if call.state is CallState.ANSWERED:
                self._join(call, self.agents[agent_id], at)
            else:
                self.call_step(call.attempt, calls.AgentReserved(at=at, agent=agent_id, bridge=None))
            return
        channel = leg_of(call.attempt, agent_id)
        ring_s = self.desks[call.campaign].campaign.agent_ring_s
        self.agent_step(
            agent_id, agents.Reserved(at=at, attempt=call.attempt, channel=channel, ring_s=ring_s)
        )
        self.call_step(call.attempt, calls.AgentReserved(at=at, agent=agent_id, bridge=None, ring_s=ring_s))
        self._ring(agent_id, call, ring_s)

    def ring_again(self, agent: Agent, at: float) -> None:
        """The phone of the agent, who is promised to a call, was to ring, and does not: a leg that was picked
        up while nobody was there to receive it, say. Harmless where it rings all the same."""
        call = self.calls.get(agent.attempt) if agent.attempt is not None else None
        if call is not None and agent.deadline is not None:
            self._ring(agent.id, call, agent.deadline - at)

    def _ring(self, agent_id: AgentId, call: Call, ring_s: float) -> None:
        self.out.append(
            RingAgent(
                agent=agent_id,
                phone=self.cards[agent_id].phone,
                channel=leg_of(call.attempt, agent_id),
                attempt=call.attempt,
                number=call.number,
                ring_s=ring_s,
            )
        )

    def _join(self, call: Call, agent: Agent, at: float) -> None:
        assert agent.channel is not None
        bridge = line_bridge(agent.channel)
        self.call_step(call.attempt, calls.AgentReserved(at=at, agent=agent.id, bridge=bridge))
        self.out.append(Tell(channel=agent.channel, message="call"))

    def _join_if_possible(self, call: Call, at: float) -> None:
        """The person waits; if the promised agent's line is up, join them.

        While the agent's phone rings they wait as long as it may ring: then the one who is not there
        is paused, and does not lose one person after another.
        """
        agent = self.agents.get(call.agent) if call.agent is not None else None
        if agent is None:
            return
        if agent.has_line:
            self._join(call, agent, at)
        elif agent.deadline is not None and agent.deadline > (call.deadline or 0.0):
            ring_s = agent.deadline - at
            fact = calls.AgentReserved(at=at, agent=agent.id, bridge=None, ring_s=ring_s)
            self.call_step(call.attempt, fact)

    def _ring_agent_at_ring(self, call: Call, desk: Desk, at: float) -> None:
        if desk.campaign.ring_agent != "at_ring" or call.agent is not None:
            return
        agent_id = self._choose(call, at)
        if agent_id is not None and self.cards[agent_id].leg == "rung":
            self.reserve(call, agent_id, at)

    def _release(self, agent_id: AgentId, call: Call, at: float) -> None:
        """The call has no use for the agent any more."""
        agent = self.agents.get(agent_id)
        if agent is not None and agent.attempt == call.attempt:
            wrap_up_s = _wrap_up_s(self.desks[call.campaign].campaign, call)
            self.agent_step(agent_id, agents.CallOver(at=at, wrap_up_s=wrap_up_s))

    def cannot_join(self, attempt: AttemptId, agent_id: AgentId) -> None:
        """The person is not offered to that agent again: it would come to nothing again."""
        self._unjoinable.setdefault(attempt, set()).add(agent_id)

    def whose_line(self, bridge: BridgeId) -> AgentId | None:
        """The agent whose line the bridge is."""
        return self.by_channel.get(line_of(bridge))

    # -- agents -------------------------------------------------------------------------

    def agent_step(self, agent_id: AgentId, fact: agents.Fact) -> None:
        """Step the agent, if there is such a one, and do what follows for the call."""
        agent = self.agents.get(agent_id)
        if agent is None:
            return
        card = self.cards[agent_id]
        after, commands = agents.step(agent, fact, card, self.centre, self.phone(card))
        if after is not agent:
            self.agents[agent_id] = after
            self.out.append(SaveAgent(agent=after, at=fact.at))
            self._keep_timer("agent", agent_id, agent.deadline, after.deadline)
        self.out += commands
        if after.state is AgentState.READY and agent.state in _IN_CONVERSATION:
            self.waiting.freed(agent_id, fact.at)
        if after.channel != agent.channel:
            self._change_channel(agent, after)
        self.index_agent(agent_id)
        if agent.attempt is not None:
            if after.missed > agent.missed:
                self.cannot_join(agent.attempt, agent_id)
            line_changed = agent.channel is not None and after.channel != agent.channel
            call = self.calls.get(agent.attempt)
            if call is not None and call.agent == agent_id and (line_changed or not after.attempt):
                self.call_step(agent.attempt, calls.AgentLeft(at=fact.at))
        if after.has_line and not agent.has_line and after.attempt in self.calls:
            call = self.calls[after.attempt]
            if call.state is CallState.ANSWERED:
                self._join_if_possible(call, fact.at)

    def phone(self, card: AgentCard) -> agents.Phone:
        """How the phone of that card stands."""
        if card.phone in self.dead_phones:
            return "lost"
        return "in_use" if card.phone in self.used_phones else "free"

    def hear_from(self, agent_id: AgentId, at: float) -> None:
        """A sign of life on the agent's own line: whatever the registration says, the phone is there."""
        phone = self.cards[agent_id].phone
        if phone in self.dead_phones:
            self.dead_phones.discard(phone)
            self.look_at_phone(agent_id, at)

    def look_at_phone(self, agent_id: AgentId, at: float) -> None:
        """The agent's phone changed, or is another one: let the agent's state follow it."""
        fact = _OF_PHONE[self.phone(self.cards[agent_id])]
        self.agent_step(agent_id, fact(at=at))

    def take_card(self, card: AgentCard) -> None:
        """The agent's card is new or changed."""
        before = self.cards.get(card.id)
        if before is not None and self.by_phone.get(before.phone) == card.id:
            del self.by_phone[before.phone]
        self.cards[card.id] = card
        self.by_phone[card.phone] = card.id
        self.agents.setdefault(card.id, Agent(id=card.id))
        self.index_agent(card.id)

    def take_agent(self, agent: Agent) -> None:
        """The agent stands as the journal remembers."""
        self.agents[agent.id] = agent
        if agent.channel is not None:
            self.by_channel[agent.channel] = agent.id
        self.index_agent(agent.id)

    def index_agent(self, agent_id: AgentId) -> None:
        """Keep the idle ones true after the agent or the card changed."""
        agent, card = self.agents[agent_id], self.cards[agent_id]
        # A rung operator is ready only while the phone is free: that is the agent's table's business.
        is_idle = agent.state is AgentState.READY and (agent.has_line or card.leg == "rung")
        if is_idle:
            changed = self.idle.put(agent_id, card.campaigns, agent.since)
            if changed:
                self._look_for_cards_of(agent_id)
        else:
            changed = self.idle.drop(agent_id)
        if changed:
            self.is_stirred = True

    def _look_for_cards_of(self, agent_id: AgentId) -> None:
        """The operator is idle: cards that nobody else may have were not given out before."""
        for desk in self.desks.values():
            waits = desk.is_running and desk.campaign.owners.away == "wait"
            if waits and agent_id not in desk.hopper.owners and self.is_idle_for(agent_id, desk.campaign.id):
                desk.hopper.wake()

    def _change_channel(self, before: Agent, after: Agent) -> None:
        if before.channel is not None:
            self.by_channel.pop(before.channel, None)
            self.keys.pop(before.channel, None)
        if after.channel is not None:
            self.by_channel[after.channel] = after.id


def _wrap_up_s(campaign: Campaign, call: Call) -> float:
    """The wrap-up of *call* ends after so long at the latest. A card that was closed in the call needs none."""
    if campaign.wrap_up == "time":
        return campaign.wrap_up_s
    return campaign.wrap_up_s_max if call.operator_result is None else 0.0


def _needs_no_agent(before: Call, after: Call) -> bool:
    """Whether the agent who was promised to the call is of no more use to it."""
    if after.agent != before.agent:
        return True
    is_given_up = after.state is CallState.ENDING and before.state is not CallState.ENDING
    return is_given_up and before.connected_at is None
