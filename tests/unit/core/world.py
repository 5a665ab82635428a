"""A floor and a small world around it, for tests that read as timelines.

Time stands still until a test moves it. What the floor asks of the store is answered at once (unless
``is_store_slow``); everything else happens when the test says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from dialer.core import events as ev
from dialer.core.commands import (
    SAVES,
    AnyCommand,
    ClearTimer,
    Command,
    FetchLeads,
    Originate,
    RingAgent,
    SetTimer,
)
from dialer.core.floor import Floor
from dialer.core.ids import (
    ONLY,
    AgentId,
    AttemptId,
    CampaignId,
    ChannelId,
    ContactId,
    LeadId,
    PhoneId,
    ServerId,
    TrunkId,
    line_bridge,
)
from dialer.core.pacing.book import Rule
from dialer.core.values import (
    Agent,
    AgentCard,
    AgentState,
    Call,
    CallState,
    Campaign,
    CampaignState,
    Lead,
    LeadPhone,
    Trunk,
)
from tests.unit.core.store import Store

C = TypeVar("C", bound=Command)

AT = 1_000_000.0
"""When every world begins."""
CAMPAIGN = CampaignId("spring")


def campaign(name: str = CAMPAIGN, **changes: Any) -> Campaign:
    """A campaign on the trunk ``t``."""
    return Campaign(id=CampaignId(name), **{"trunk": TrunkId("t"), "wrap_up_s": 10.0, **changes})


def trunk(name: str = "t", **changes: Any) -> Trunk:
    """A trunk wide enough to be in nobody's way."""
    wide: dict[str, Any] = {"host": "carrier", "channels_max": 1000, "calls_per_second_max": 1000.0}
    return Trunk(id=TrunkId(name), **{**wide, **changes})


def lead(number: int, *numbers: str, of: str = CAMPAIGN, **changes: Any) -> Lead:
    """The lead *number*; without *numbers* it has one number of its own."""
    phones = tuple(
        LeadPhone(id=PhoneId(number * 10 + place), number=text, kind=("main", "mobile", "work")[place % 3])
        for place, text in enumerate(numbers or (f"+7000000{number:04d}",))
    )
    return Lead(
        id=LeadId(number), campaign=CampaignId(of), contact=ContactId(number), **{"phones": phones, **changes}
    )


def parked(name: str, *campaigns: str) -> AgentCard:
    """An operator whose line stays up between calls."""
    return AgentCard(id=AgentId(name), phone=f"1{name}", campaigns=tuple(map(CampaignId, campaigns)))


def rung(name: str, *campaigns: str) -> AgentCard:
    """An operator whose phone is called for each call."""
    return AgentCard(
        id=AgentId(name), phone=f"1{name}", leg="rung", campaigns=tuple(map(CampaignId, campaigns))
    )


class World:
    """A floor with campaigns that run, and operators who are signed in, unless told otherwise."""

    def __init__(
        self,
        *cards: AgentCard,
        leads: Sequence[Lead] | int = 1,
        campaigns: Sequence[Campaign] | Campaign | None = None,
        trunks: Sequence[Trunk] | None = None,
        is_started: bool = True,
        pacer: Rule | None = None,
        **changes: Any,
    ) -> None:
        self.at = AT
        self.store = Store([lead(n) for n in range(1, leads + 1)] if isinstance(leads, int) else leads)
        self.is_store_slow = False
        self.asked: list[FetchLeads] = []
        self.events: list[ev.Event] = []
        self.commands: list[AnyCommand] = []
        self._ids = 0
        self._looked_at = 0
        if campaigns is None:
            campaigns = [campaign(**changes)]
        elif isinstance(campaigns, Campaign):
            campaigns = [campaigns]
        self.campaigns = list(campaigns)
        self.trunks = list(trunks or [trunk()])
        self.cards = list(cards)
        self.floor = Floor(pacer)
        state = CampaignState.RUNNING if is_started else CampaignState.NEW
        self.floor.restore(
            campaigns=[(one, state) for one in self.campaigns], trunks=self.trunks, cards=self.cards
        )
        self.tell(ev.PbxConnected)
        for card in cards:
            if is_started:
                self.sign_in(card.id)
        self.look()

    # -- events -------------------------------------------------------------------------

    def tell(self, event: type[ev.Event] | ev.Event, **fields: Any) -> list[AnyCommand]:
        """Let the floor handle an event of this instant; its commands (answers of the store included)."""
        if not isinstance(event, ev.Event):
            event = event(at=self.at, **fields)
        self.events.append(event)
        commands = self.floor.handle(event)
        self.store.save(commands)
        self.commands += commands
        asked = [command for command in commands if isinstance(command, FetchLeads)]
        self.asked += asked
        if not self.is_store_slow:
            for _ in asked:
                commands = [*commands, *self.answer()]
        return commands

    def answer(self, event: ev.LeadsFetched | None = None) -> list[AnyCommand]:
        """The store answers the oldest question (with *event*, if it was read earlier)."""
        question = self.asked.pop(0)
        return self.tell(event or self.read(question))

    def read(self, question: FetchLeads) -> ev.LeadsFetched:
        """What the store would answer now."""
        rule = self.floor.desks[question.campaign].campaign
        leads, unfinished = self.store.fetch(rule, question.limit, self.at, question.present)
        return ev.LeadsFetched(
            at=self.at,
            campaign=question.campaign,
            leads=tuple(
                ev.FreshLead(
                    lead=one,
                    attempt=self.new_id(),
                    more=tuple(self.new_id() for _ in range(question.more)),
                )
                for one in leads
            ),
            unfinished=unfinished,
        )

    def new_id(self) -> AttemptId:
        """An attempt id; they sort by age."""
        self._ids += 1
        return AttemptId(f"a{self._ids:020d}")

    def later(self, seconds: float) -> World:
        """Time passes, and nothing tells the floor."""
        self.at += seconds
        return self

    def tick(self, seconds: float = 1.0) -> list[AnyCommand]:
        """Time passes, and the floor looks at its clocks."""
        return self.later(seconds).tell(ev.Ticked)

    def fires(self, subject: str, kind: str = "attempt") -> list[AnyCommand]:
        """The subject's timer fires when it is due, as it was set last."""
        timer = self.timer(subject, kind)
        assert timer is not None, f"{kind} {subject} has no timer"
        self.at = max(self.at, timer.due)
        return self.tell(ev.DeadlinePassed, kind=kind, subject=subject, campaign=timer.campaign)

    def timer(self, subject: str, kind: str = "attempt") -> SetTimer | None:
        """The subject's timer as the commands so far left it."""
        for command in reversed(self.commands):
            if isinstance(command, SetTimer | ClearTimer) and (command.kind, command.subject) == (
                kind,
                subject,
            ):
                return command if isinstance(command, SetTimer) else None
        return None

    # -- people -------------------------------------------------------------------------

    def sign_in(self, agent: str, channel: str = "") -> list[AnyCommand]:
        """The operator dials the sign-in code; a parked one's line comes up."""
        line = ChannelId(channel or f"line-of-{agent}")
        commands = self.dial(agent, "40", line)
        if self.card(agent).leg == "parked":
            commands += self.tell(ev.LineJoined, channel=line, bridge=line_bridge(line))
        return commands

    def dial(self, agent: str, code: str, channel: str = "") -> list[AnyCommand]:
        """The operator dials a feature code as a call of its own."""
        channel = channel or f"feature-{len(self.events)}"
        return self.tell(
            ev.FeatureDialed, channel=ChannelId(channel), phone=self.card(agent).phone, code=code
        )

    def keys(self, agent: str, digits: str) -> list[AnyCommand]:
        """The operator keys digits on the line."""
        out: list[AnyCommand] = []
        channel = self.agent(agent).channel
        assert channel is not None
        for digit in digits:
            out += self.tell(ev.DigitPressed, channel=channel, digit=digit)
        return out

    def rings(self, attempt: AttemptId) -> list[AnyCommand]:
        """The person's phone rings."""
        return self.tell(ev.ContactRang, attempt=attempt)

    def answers(self, attempt: AttemptId) -> list[AnyCommand]:
        """The person answers."""
        return self.tell(ev.ContactAnswered, attempt=attempt)

    def joins(self, attempt: AttemptId) -> list[AnyCommand]:
        """The person enters the bridge of the promised agent."""
        bridge = self.agent(self.call(attempt).agent or "").bridge
        assert bridge is not None
        return self.tell(ev.Connected, attempt=attempt, bridge=bridge)

    def hangs_up(self, attempt: AttemptId, cause: int | None = 0, sip: int | None = None) -> list[AnyCommand]:
        """The person's channel is gone."""
        return self.tell(ev.ContactHungUp, attempt=attempt, cause=cause, tech_cause=sip)

    def line_ends(self, agent: str) -> list[AnyCommand]:
        """The agent's present channel is gone."""
        return self.tell(ev.LineEnded, channel=self.agent(agent).channel)

    def arrives(
        self,
        number: int = 1,
        *,
        of: str = CAMPAIGN,
        last_operator: str | None = None,
        is_open: bool = True,
        is_withheld: bool = False,
        trunk: str = "t",
        server: ServerId = ONLY,
    ) -> AttemptId:
        """The contact of the lead *number* calls us (who had none gets one, which is finished); the attempt."""
        name = LeadId(number)
        if name not in self.store.leads:
            self.store.add(lead(number, of=of))
            self.store.finished[name] = "called_us"
        found = self.store.lead(name)
        attempt = self.new_id()
        self.tell(
            ev.CallArrived,
            attempt=attempt,
            campaign=CampaignId(of),
            trunk=TrunkId(trunk),
            did="+74950000001",
            number="" if is_withheld else found.phones[0].number,
            lead=msgspec.structs.replace(found, finished=self.store.finished.get(name, "")),
            phone=found.phones[0].id,
            last_operator=AgentId(last_operator) if last_operator else None,
            is_open=is_open,
            server=server,
        )
        return attempt

    def leg_answers(self, agent: str) -> list[AnyCommand]:
        """The rung phone is picked up, and its line comes up."""
        channel = self.agent(agent).channel
        assert channel is not None
        commands = self.tell(ev.LegAnswered, channel=channel)
        return commands + self.tell(ev.LineJoined, channel=channel, bridge=line_bridge(channel))

    def talks(self) -> AttemptId:
        """The first call in flight rings, is answered and joined; its attempt."""
        attempt = next(iter(self.live(CallState.DIALING)))
        self.rings(attempt)
        self.answers(attempt)
        self.joins(attempt)
        assert self.call(attempt).state is CallState.CONNECTED
        return attempt

    # -- looking ------------------------------------------------------------------------

    def card(self, agent: str) -> AgentCard:
        """The agent's card."""
        return self.floor.cards[AgentId(agent)]

    def agent(self, agent: str) -> Agent:
        """The agent as they stand."""
        return self.floor.agents[AgentId(agent)]

    def state(self, agent: str) -> AgentState:
        """The agent's state."""
        return self.agent(agent).state

    def call(self, attempt: AttemptId) -> Call:
        """The attempt as it was saved last."""
        return self.store.calls[attempt]

    def live(self, *states: CallState) -> list[AttemptId]:
        """Attempts on the floor in one of these states (in any, if none is named), oldest first."""
        return [one.attempt for one in self.floor.calls.values() if not states or one.state in states]

    def only(self) -> AttemptId:
        """The one attempt on the floor."""
        (attempt,) = self.floor.calls
        return attempt

    def look(self, kind: type[C] | None = None) -> list[Any]:
        """Commands of one kind (without *kind*: all but saves and timers) since the last look."""
        new = self.commands[self._looked_at :]
        self._looked_at = len(self.commands)
        if kind is not None:
            return [command for command in new if isinstance(command, kind)]
        return [one for one in new if not isinstance(one, (*SAVES, SetTimer, ClearTimer, FetchLeads))]

    def seen(self) -> list[str]:
        """Names of the commands since the last look, without saves, timers and questions to the store."""
        return [type(command).__name__ for command in self.look()]

    def originated(self) -> list[Originate]:
        """Every originate so far."""
        return [command for command in self.commands if isinstance(command, Originate)]

    def rung_legs(self) -> list[RingAgent]:
        """Every agent's phone that was rung so far."""
        return [command for command in self.commands if isinstance(command, RingAgent)]

    def is_quiet(self) -> bool:
        """No call is live, and everything that counts calls agrees."""
        floor = self.floor
        return (
            not floor.calls
            and not any(desk.live or desk.unserved for desk in floor.desks.values())
            and not any(desk.live for desk in floor.trunks.values())
            and not any(agent.attempt for agent in floor.agents.values())
        )
