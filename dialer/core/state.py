"""What is on the floor: calls, agents, campaigns and trunks, and the indexes over them.

How they change is the business of :mod:`dialer.core.steps`; these hold after every step:

1. The indexes (who waits, who is idle, which lead and which number is live, who is on which channel)
   say the same as the values. Nothing is counted twice, for nothing is counted: sets hold ids.
2. ``is_stirred`` is set by whatever may allow a person to be served or a call to be placed; the floor
   looks into that only then, so that most events cost what they change and no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from typing import Literal

from dialer.core import judging
from dialer.core.agent_facts import Phone
from dialer.core.bag import Bag
from dialer.core.commands import AnyCommand, ClearTimer, RingAgent, SetTimer
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.distribution import Turns
from dialer.core.events import Onward
from dialer.core.idle import Idle
from dialer.core.ids import (
    ONLY,
    AgentId,
    AttemptId,
    BridgeId,
    CampaignId,
    ChannelId,
    LeadId,
    PhoneId,
    ServerId,
    TrunkId,
    line_of,
)
from dialer.core.lanes import Skills, lane, may_serve, skills
from dialer.core.legs import Legs
from dialer.core.pacing import progressive
from dialer.core.pacing.book import Reason, Rule
from dialer.core.pacing.facts import Presence
from dialer.core.rules import Recycle
from dialer.core.servers import Servers
from dialer.core.telling import Teller
from dialer.core.transfer_facts import Transfer
from dialer.core.values import Agent, AgentCard, AgentState, Call, CallState, Centre, Lead
from dialer.core.waiting import Queue

Obstacle = Literal["asterisk", "leaving", "lag", "journal"]
"""What keeps everything from being originated."""

LATE_CHOICES_KEPT = 4096
"""So many choices that were told after the end of their calls are known again when they are told once more."""


class FloorState:
    """Calls, agents, campaigns and trunks, and their indexes. Used by the floor's modules alone."""

    def __init__(self, rule: Rule) -> None:
        self.at = 0.0
        """The instant of the event that is being handled."""
        self.pacer = rule
        self.servers = Servers()
        self.teller = Teller(rule, self.servers)
        self.reasons: dict[CampaignId, deque[tuple[float, Reason]]] = {}
        """Why each predictive campaign got as many calls as it did, of late; oldest first."""
        self.noted: dict[CampaignId, tuple[float, Reason]] = {}
        """The reason that was written down last."""
        self.learnt_at = 0.0
        """When what pacing has learnt was written down last."""
        self.desks: dict[CampaignId, Desk] = {}
        self.trunks: dict[TrunkId, TrunkDesk] = {}
        self.legs = Legs(self.trunks, self.servers)
        """Channels of trunks that are no contact's call."""
        self.outside: dict[str, TrunkId] = {}
        """Phones whose operators are called on outside lines, and by which trunks (:mod:`dialer.core.outside`)."""
        self.to_ring: list[tuple[RingAgent, float]] = []
        """Of them those who wait for the calls per second to be rung, and until when they are to be."""
        self.onward: dict[AttemptId, Onward] = {}
        """Of each call that may go on by another trunk: what it needs for that (:mod:`dialer.core.routing`)."""
        self.centre = Centre()
        self.cards: dict[AgentId, AgentCard] = {}
        self.agents: dict[AgentId, Agent] = {}
        self.calls: dict[AttemptId, Call] = {}
        self.leads: dict[AttemptId, Lead] = {}
        """Of each live call, as it was when the call was placed."""
        self.live_leads: Bag[LeadId] = Bag()
        self.live_numbers: Bag[str] = Bag()
        self.last_operators: dict[AttemptId, AgentId] = {}
        """Of people who called us: who spoke with them last."""
        self.fates: dict[LeadId, Recycle] = {}
        """Of leads that are live still: what a conversation or a promise made of them, which ended meanwhile."""
        self.reserved: frozenset[AgentId] = frozenset()
        """Idle operators who are kept free of calls that we place (:mod:`dialer.core.blending`)."""
        self.turns = Turns()
        self.alone_since: dict[tuple[CampaignId, ServerId], float] = {}
        """Of campaigns whose callers wait though all who could take their calls are signed out: since when."""
        self.waiting = Queue(self.calls, self.agents, self.cards, self.desks)
        """Who answered and has no agent, first come first."""
        self.idle = Idle()
        self.by_phone: dict[str, AgentId] = {}
        self.by_channel: dict[ChannelId, AgentId] = {}
        self.dead_phones: set[tuple[ServerId, str]] = set()
        """Phones that lost their registration, and where."""
        self.known_phones: set[tuple[ServerId, str]] = set()
        """Phones that registered, and where."""
        self.used_phones: set[tuple[ServerId, str]] = set()
        """Phones in a call that is none of ours, and where."""
        self.transfers: dict[AttemptId, Transfer] = {}
        """Of each call that is held, transferred or a conference at this moment."""
        self.places: dict[AttemptId, int] = {}
        """How many there were in a live call."""
        self.reopening: set[AgentId] = set()
        """Parked operators whose lines get another bridge, for somebody who is on the way to them."""
        self.by_aside: dict[ChannelId, AttemptId] = {}
        """The call beside which a phone's second channel is for a consultation."""
        self.keys: dict[ChannelId, str] = {}
        """What was keyed of a feature code so far."""
        self.last_calls: dict[AgentId, tuple[Call, Lead | None]] = {}
        """The call that an agent's result code speaks of once it has ended, and its lead; no lead
        when that has been dialed again since, for then its future is the later call's business."""
        self.last_numbers: dict[AgentId, frozenset[str]] = {}
        """All numbers of the contact of that call, also when its lead's future is settled by something later."""
        self.is_late = False
        self.is_leaving = False
        self.journal_error: str | None = None
        self.is_stirred = False
        self.has_trace = False
        """The event changed something here although, perhaps, it led to no command."""
        self.out: list[AnyCommand] = []
        self._late_choices: dict[AttemptId, tuple[str, float | None]] = {}
        self._last_of_lead: dict[LeadId, AgentId] = {}
        self._unjoinable: dict[AttemptId, set[AgentId]] = {}
        self._kept_on: dict[AgentId, tuple[set[AgentId], set[AgentId]]] = {}

    def is_deaf(self, server: ServerId) -> bool:
        """Whether things may have happened on that server that we have not heard of yet."""
        desk = self.servers.get(server)
        return desk is None or not desk.is_up or self.is_late

    @property
    def is_pbx_up(self) -> bool:
        """Whether we hear any server."""
        return self.servers.is_any_up

    def why_not_originating(self, server: ServerId | None = None) -> dict[Obstacle, str]:
        """Why nothing may be originated on *server*, or (None) on any, at this moment, in words; empty when it may."""
        why: dict[Obstacle, str] = {}
        if not (self.is_pbx_up if server is None else server in self.servers.up):
            why["asterisk"] = "no connection to Asterisk"
        if self.is_leaving:
            why["leaving"] = "the engine is leaving"
        if self.is_late:
            why["lag"] = "events lag"
        if self.journal_error is not None:
            why["journal"] = f"the journal fails: {self.journal_error}"
        return why

    # -- calls --------------------------------------------------------------------------

    def take_call(self, call: Call, lead: Lead, *, is_placed: bool = True) -> None:
        """The call is on the floor from now on. *is_placed*: we place it now, and use the trunk's rate."""
        self.calls[call.attempt] = call
        self.leads[call.attempt] = lead
        self.live_leads.add(lead.id)
        self.live_numbers.add(call.number)
        for desk in self.desks.values():
            desk.hopper.doubt(call.number)  # caps count this call, whoever asks next
        self.desks[call.campaign].index(call)
        self.teller.placed(call, lead, self.desks[call.campaign].campaign)
        self.legs.ended(ChannelId(call.attempt))  # who called us was one until now
        is_placed = is_placed and call.direction == "out"
        if call.trunk in self.trunks and is_placed:
            self.trunks[call.trunk].took(call.created_at, call.attempt)
        elif call.trunk in self.trunks:
            self.trunks[call.trunk].came()
        server = self.servers.desk(call.server)
        if is_placed:
            server.took(call.created_at)
        else:
            server.came()
        if call.state is CallState.ANSWERED and call.agent is None:
            self.waiting.put(call)
        self.forget_lead(lead.id)

    def drop_call(self, call: Call, at: float) -> Lead:
        """The call has ended and leaves the floor; the lead it was placed for. (Its trunk: :func:`dialer.core.routing.gave_back`.)"""
        assert call.result is not None
        lead = self.leads.pop(call.attempt)
        del self.calls[call.attempt]
        self.teller.ended(call, at)
        self.live_leads.discard(lead.id)
        self.live_numbers.discard(call.number)
        self._unjoinable.pop(call.attempt, None)
        self.places.pop(call.attempt, None)
        self.last_operators.pop(call.attempt, None)
        self.onward.pop(call.attempt, None)
        self.servers.desk(call.server).gave_back()
        return lead

    def forget_lead(self, lead: LeadId) -> None:
        """The lead's future is settled anew: an operator's late word on its last call does not change it."""
        agent_id = self._last_of_lead.pop(lead, None)
        if agent_id is not None:
            self.last_calls[agent_id] = (self.last_calls[agent_id][0], None)

    def remember_last(self, call: Call, lead: Lead | None) -> None:
        """From now on *call* is the one that a result code of its agent speaks of."""
        assert call.agent is not None
        before, old = self.last_calls.get(call.agent, (None, None))
        if old is not None:
            self._last_of_lead.pop(old.id, None)
        self.last_calls[call.agent] = (call, lead)
        if lead is not None:
            self._last_of_lead[lead.id] = call.agent
            self.last_numbers[call.agent] = frozenset(phone.number for phone in lead.phones)
        elif before is None or before.attempt != call.attempt:
            self.last_numbers.pop(call.agent, None)

    def forget_last(self, agent_id: AgentId) -> None:
        """The agent's last conversation is somebody else's now, and none before it is spoken of any more."""
        _, lead = self.last_calls.pop(agent_id, (None, None))
        if lead is not None:
            self._last_of_lead.pop(lead.id, None)
        self.last_numbers.pop(agent_id, None)

    def mark_bad(self, phone: PhoneId, number: str) -> None:
        """The number is bad in every campaign that has a lead with it at hand."""
        for desk in self.desks.values():
            desk.hopper.mark_bad(phone, number)

    def keep_timer(
        self, kind: Literal["attempt", "agent"], subject: str, before: float | None, due: float | None
    ) -> None:
        """The subject's deadline was *before* and is *due*: its timer follows."""
        if due == before:
            return
        if due is None:
            self.out.append(ClearTimer(kind=kind, subject=subject))
        else:
            self.out.append(SetTimer(kind=kind, subject=subject, due=due))

    # -- who serves whom ----------------------------------------------------------------

    def choose(self, call: Call, at: float) -> AgentId | None:
        """Who is to have the person: the owner of the card if idle, else the longest idle operator; to whom a person
        who called us goes is told in :mod:`dialer.core.distribution`.

        But nobody who could not be joined with this person, or was rung for them and did not pick up.
        """
        self.look_outside()
        lead = self.leads[call.attempt]
        owner = lead.owner
        if call.direction == "in":
            return self._choose_for_caller(call, lead, at)
        but: Container[AgentId] = self._unjoinable.get(call.attempt, ())
        own = lane(call.campaign, call.server)
        kept = self.kept_from(call.campaign)
        if (
            owner is not None
            and judging.is_owned(lead, at)
            and owner not in but
            and self.is_idle_for(owner, call.campaign, call.server)
            and self.idle.skills_of(owner) not in kept
        ):
            return owner
        return self.idle.longest(own, but, kept)

    def _choose_for_caller(self, call: Call, lead: Lead, at: float) -> AgentId | None:
        but: Container[AgentId] = self._unjoinable.get(call.attempt, ())
        owner = lead.owner if judging.is_owned(lead, at) else None
        for one in (owner, self.last_operators.get(call.attempt)):
            if one is not None and one not in but and self.is_idle_for(one, call.campaign, call.server):
                return one
        idle = self.idle.all_of(lane(call.campaign, call.server), but)
        return self.turns.choose(self.desks[call.campaign].campaign.inbound, call.campaign, idle, at)

    def kept_from(self, campaign: CampaignId) -> Container[Skills]:
        """Skills whose idle operators must not be given to people of *campaign*: progressive calls, which were placed
        because an operator was free, count on them."""
        if self.desks[campaign].campaign.mode == "progressive":
            return ()
        unserved, counts = self.unserved(), self.idle.counts
        if not unserved:
            return ()
        return [skills for skills in counts if not progressive.may_spare(skills, unserved, counts)]

    def unserved(self) -> dict[CampaignId, int]:
        """The calls in flight of progressive campaigns that will want an operator, by lane: each counts on one."""
        return {
            lane(desk.campaign.id, server): len(calls)
            for desk in self.desks.values()
            if desk.unserved and desk.campaign.mode == "progressive"
            for server, calls in desk.unserved_on.items()
            if calls
        }

    def is_idle_for(
        self, agent_id: AgentId | None, campaign: CampaignId, server: ServerId | None = None
    ) -> bool:
        """Whether that operator is idle, and works for *campaign* (on *server*, if it is named)."""
        return (
            agent_id is not None
            and agent_id in self.idle
            and may_serve(self.cards[agent_id].campaigns, campaign)
            and server in (None, self.agents[agent_id].server)
        )

    def is_late_choice_new(self, attempt: AttemptId, choice: tuple[str, float | None]) -> bool:
        """Whether that choice, of a call that has ended, is told for the first time; it is kept in mind."""
        if self._late_choices.get(attempt) == choice:
            return False
        if len(self._late_choices) >= LATE_CHOICES_KEPT:
            del self._late_choices[next(iter(self._late_choices))]
        self._late_choices[attempt] = choice
        return True

    def cannot_join(self, attempt: AttemptId, agent_id: AgentId) -> None:
        """The person is not offered to that agent again: it would come to nothing again."""
        self._unjoinable.setdefault(attempt, set()).add(agent_id)

    def whose_line(self, bridge: BridgeId) -> AgentId | None:
        """The agent whose line the bridge is."""
        return self.by_channel.get(line_of(bridge))

    # -- agents -------------------------------------------------------------------------

    def phone(self, card: AgentCard, server: ServerId | None = None) -> Phone:
        """How the phone of that card stands, on *server* or (None) where its operator is."""
        if server is None:
            agent = self.agents.get(card.id)
            server = agent.server if agent is not None else ONLY
        if (server, card.phone) in self.dead_phones or self._is_nowhere(server):
            return "lost"
        if self.used_phones and any((one, card.phone) in self.used_phones for one in self.servers):
            return "in_use"
        return "free"

    def _is_nowhere(self, server: ServerId) -> bool:
        desk = self.servers.get(server)
        return desk is None or desk.is_lost or not desk.is_used

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
        is_idle = agent.state is AgentState.READY and (
            agent.has_line or (card.leg == "rung" and self.is_reachable(agent_id))
        )
        self._keep_channel(card, is_idle=is_idle and not agent.has_line)
        if is_idle:
            changed = self.idle.put(agent_id, skills(card.campaigns, agent.server), agent.since)
            if changed:
                self._look_for_cards_of(agent_id)
        else:
            changed = self.idle.drop(agent_id)
        if changed:
            self.is_stirred = True
        self.tell_of(agent_id)

    def is_reachable(self, agent_id: AgentId) -> bool:
        """Whether an operator could be rung as far as trunks matter: on an outside line, if there is a channel for them."""
        name = self.outside.get(self.cards[agent_id].phone)
        if name is None:
            return True
        trunk = self.trunks.get(name)
        if trunk is None:
            return False
        server = self.agents[agent_id].server
        desk = self.servers.desk(server)
        others = len(trunk.kept - {agent_id}), len(desk.kept - {agent_id})
        return trunk.free(self.at, server) > others[0] and desk.free() > others[1]

    def _keep_channel(self, card: AgentCard, *, is_idle: bool) -> None:
        """For an idle operator who is called on an outside line a channel is kept free, of the trunk and of the server."""
        for before in self._kept_on.pop(card.id, ()):
            before.discard(card.id)
        trunk = self.trunks.get(self.outside[card.phone]) if card.phone in self.outside else None
        if is_idle and trunk is not None:
            server = self.servers.desk(self.agents[card.id].server)
            self._kept_on[card.id] = trunk.kept, server.kept
            for kept in self._kept_on[card.id]:
                kept.add(card.id)

    def look_outside(self) -> None:
        """Who of the operators on outside lines is reachable changes with every call on their trunks."""
        for phone in self.outside:
            agent_id = self.by_phone.get(phone)
            if agent_id is not None and self.cards[agent_id].leg == "rung":
                self.index_agent(agent_id)

    def may_ask(self, trunk: TrunkId, server: ServerId, at: float) -> bool:
        """Whether the calls per second of both allow one more call."""
        desk = self.trunks.get(trunk)
        return (desk is None or desk.may_ask(at)) and self.servers.desk(server).may_ask(at)

    def tell_of(self, agent_id: AgentId) -> None:
        """Tell the pacing rule how that operator stands."""
        agent, is_idle = self.agents[agent_id], agent_id in self.idle
        presence = self._presence(agent, is_idle=is_idle and agent_id not in self.reserved)
        lanes = skills(self.cards[agent_id].campaigns, agent.server)
        self.teller.agent(agent_id, lanes, presence, self._call_of(agent), self.at)

    @staticmethod
    def _presence(agent: Agent, *, is_idle: bool) -> Presence:
        match agent.state:
            case AgentState.RESERVED | AgentState.ON_CALL:
                return "busy"
            case AgentState.WRAP_UP:
                return "wrap_up"
            case _:
                return "idle" if is_idle else "away"

    def _call_of(self, agent: Agent) -> CampaignId | None:
        """The lane whose call the agent has, or works after."""
        if agent.attempt is not None:
            call = self.calls.get(agent.attempt)
        else:
            call, _ = self.last_calls.get(agent.id, (None, None))
        return lane(call.campaign, call.server) if call is not None else None

    def _look_for_cards_of(self, agent_id: AgentId) -> None:
        """The operator is idle: cards that nobody else may have were not given out before."""
        for desk in self.desks.values():
            waits = desk.is_running and desk.campaign.owners.away == "wait"
            if waits and agent_id not in desk.hopper.owners and self.is_idle_for(agent_id, desk.campaign.id):
                desk.hopper.wake()

    def change_channel(self, before: Agent, after: Agent) -> None:
        """The agent's line is another one; what was keyed on the old one is forgotten with it."""
        self.reopening.discard(after.id)
        if before.channel is not None:
            self.by_channel.pop(before.channel, None)
            self.keys.pop(before.channel, None)
        if after.channel is not None:
            self.by_channel[after.channel] = after.id
