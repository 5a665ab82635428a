"""The book: who is on the floor, what is in flight, and what was promised, as told by :mod:`.facts`.

Every pacing rule stands on one: it is told facts (:meth:`Book.tell`) and asked (:meth:`Book.decide`) how many calls to place
now and which ringing calls to give up. The same facts and questions give the same answers: a book
has no clock, and draws no lots.

1. A fact that does not fit (a call that nobody placed, an operator told twice) changes nothing that was right before.
2. What is asked changes nothing but the memory of what was answered.
3. The ledgers are part of the book: an answer counts when it is told, and so does an abandoned call; each on the day of
   the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from dialer.core.lanes import may_serve
from dialer.core.pacing import facts as f
from dialer.core.pacing.ledger import DayCount, Ledger

Limit = Literal[
    "",
    "budget",
    "cap",
    "risk",
    "lines",
    "calls_per_second",
    "no_contacts",
    "too_few_operators",
    "no_operators",
    "not_predictive",
]
"""What keeps a campaign from placing one call more: the share is used up; it could be, if the worst happens; the next person
who answers would probably meet nobody; lines; calls in a second; contacts (or their calling hours); fewer operators than
``operators_min``; none at all; it is not predictive, so every call needs an idle operator. Empty: nothing did."""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What a running campaign could place now. *calls*: so many at most. *limit*: what that figure comes from.
    *priority*: a lower number goes first when campaigns share operators."""

    campaign: str
    calls: int
    limit: Limit = "no_contacts"
    priority: int = 100


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a campaign got as many calls as it did: kept for a while, shown, and written down.

    *limit*: what kept it from one more. *figures*: what the rule knew and worked out, by names that
    ``docs/pacing.md`` explains (``operators``, ``idle``, ``in_flight``, ``waiting``, ``risk``, ``risk_max``, ...).
    *note*: a sentence for people, or empty.
    """

    campaign: str
    placed: int
    limit: Limit
    figures: dict[str, float] = {}
    note: str = ""
    server: str = ""
    """Of a lane (:mod:`dialer.core.lanes`): its server; *campaign* is then the campaign's name alone in what is kept."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """*place*: the campaign of each call to place, in this order. *give_up*: ringing calls to end."""

    place: tuple[str, ...] = ()
    give_up: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()


class Operator(msgspec.Struct):
    """An operator as the book has them. *since*: when the present presence began. *campaign*: see ``AgentChanged``."""

    id: str
    presence: f.Presence
    since: float
    campaigns: tuple[str, ...] = ()
    campaign: str = ""


class InFlight(msgspec.Struct):
    """A call that has not ended. *agent*: who serves it, once that is known."""

    id: str
    campaign: str
    placed_at: float
    kind: str = ""
    attempt: int = 1
    rang_at: float | None = None
    answered_at: float | None = None
    agent: str = ""
    is_abandoned: bool = False

    @property
    def is_waiting(self) -> bool:
        """Whether a person waits who may still be served in time."""
        return self.answered_at is not None and not self.agent and not self.is_abandoned


class Rule(Protocol):
    """What paces: told facts, asked for decisions."""

    @property
    def ledgers(self) -> Mapping[str, Ledger]:
        """What was promised and what was kept, by account (``CampaignSet``)."""

    def tell(self, fact: f.AnyFact) -> None:
        """Take note of what happened."""

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """What is to be done now. *rooms*: of the running campaigns; the others place nothing."""

    def knowledge(self) -> Mapping[str, str]:
        """What was learnt, by the name it is kept under: for another rule of the same kind to go on with."""

    def take_up(
        self, ledgers: Mapping[str, Iterable[DayCount]], knowledge: Mapping[str, str], at: float
    ) -> None:
        """Go on where another rule ended: with its counts, by account, and with what it had learnt."""


class Book:
    """What a rule knows of the floor. Rules derive from it and answer :meth:`decide`."""

    def __init__(self) -> None:
        self.campaigns: dict[str, f.CampaignSet] = {}
        self.lanes: dict[str, dict[str, None]] = {}
        """The campaigns of each account, in the order in which they were told."""
        self.ledgers: dict[str, Ledger] = {}
        self.operators: dict[str, Operator] = {}
        self.calls: dict[str, InFlight] = {}

    def tell(self, fact: f.AnyFact) -> None:
        """Take note of what happened."""
        match fact:
            case f.CampaignSet(campaign=campaign, rules=rules):
                self.campaigns[campaign] = fact
                account = fact.account or campaign
                self.lanes.setdefault(account, {})[campaign] = None
                ledger = self.ledgers.get(account)
                if ledger is None:
                    self.ledgers[account] = Ledger(rules.abandonment)
                else:
                    ledger.set_rules(rules.abandonment)
            case f.AgentChanged():
                self._on_agent(fact)
            case f.CallPlaced(at=at, call=call, campaign=campaign):
                if call not in self.calls:
                    self.calls[call] = InFlight(
                        id=call, campaign=campaign, placed_at=at, kind=fact.kind, attempt=fact.attempt
                    )
            case f.CallRang(at=at, call=call) if (known := self.calls.get(call)) is not None:
                if known.rang_at is None:
                    known.rang_at = at
            case f.CallAnswered(at=at, call=call) if (known := self.calls.get(call)) is not None:
                if known.answered_at is None:
                    known.answered_at = at if fact.answered_at is None else fact.answered_at
                    self._count(known.campaign).answered(known.answered_at)
            case f.CallServed(call=call, agent=agent) if (known := self.calls.get(call)) is not None:
                known.agent = agent
            case f.CallAbandoned(at=at, call=call) if (known := self.calls.get(call)) is not None:
                if not known.is_abandoned:
                    known.is_abandoned = True
                    if known.answered_at is None:  # the answer crossed our cancel, and was not told
                        known.answered_at = at
                        self._count(known.campaign).answered(at)
                    self._count(known.campaign).abandoned(known.answered_at)
            case f.CallEnded(call=call):
                self.calls.pop(call, None)
            case _:
                pass  # of a call that the book does not have

    def decide(self, at: float, rooms: Sequence[Room]) -> Decision:
        """What is to be done now. The base places nothing."""
        raise NotImplementedError

    def knowledge(self) -> Mapping[str, str]:
        """What was learnt; the base learns nothing."""
        return {}

    def take_up(
        self, ledgers: Mapping[str, Iterable[DayCount]], knowledge: Mapping[str, str], at: float
    ) -> None:
        """Go on with these counts; what was told before of answers is in them already."""
        for campaign, days in ledgers.items():
            self.ledgers[campaign] = Ledger(self._count(campaign).rules, days)

    # -- what rules ask ---------------------------------------------------------------------

    def account(self, campaign: str) -> str:
        """The account of the campaign; of an account, itself."""
        known = self.campaigns.get(campaign)
        return known.account or campaign if known is not None else campaign

    def team(self, campaign: str) -> Iterable[Operator]:
        """The operators at work who may serve the campaign."""
        return (
            one
            for one in self.operators.values()
            if one.presence != "away" and may_serve(one.campaigns, campaign)
        )

    def unserved(self, campaign: str) -> int:
        """Calls of the campaign that may yet need an operator: not answered, or waiting."""
        return sum(
            call.campaign == campaign and (call.answered_at is None or call.is_waiting)
            for call in self.calls.values()
        )

    # -- inside -----------------------------------------------------------------------------

    def _on_agent(self, fact: f.AgentChanged) -> None:
        known = self.operators.get(fact.agent)
        if known is None:
            known = self.operators[fact.agent] = Operator(
                id=fact.agent, presence=fact.presence, since=fact.at
            )
        elif known.presence != fact.presence:
            known.presence, known.since = fact.presence, fact.at
        known.campaigns = fact.campaigns
        known.campaign = fact.campaign

    def _count(self, campaign: str) -> Ledger:
        account = self.account(campaign)
        if account not in self.ledgers:
            self.tell(f.CampaignSet(at=0.0, campaign=campaign))
        return self.ledgers[account]
