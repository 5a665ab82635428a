"""Telling: what happens on the floor, in the words of the pacing rule (:mod:`dialer.core.pacing.facts`).

1. The rule is told of the calls of all campaigns that want operators, however they are paced: they compete for
   the same people. A campaign without operators is nothing to it.
2. A machine wants no operator: its call is over for the rule as soon as we know.
3. With several servers the rule is told of lanes (:mod:`dialer.core.lanes`) in place of campaigns; those of one campaign are of one account.
4. A call that a person made to us is nothing to it but an operator who is busy.
5. Here it is also known when a campaign's count of abandoned calls has changed, so that it is written down.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dialer.core.ids import ONLY, AgentId, CampaignId, ServerId
from dialer.core.lanes import Skills, lane
from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Rule
from dialer.core.values import Call, CallState, Campaign, Lead, Result

_SAYS_NOTHING = frozenset({Result.FAILED, Result.REROUTED, Result.LOST})


class Teller:
    """Tells *rule* what happens. *servers*: those of the floor."""

    def __init__(self, rule: Rule, servers: Iterable[ServerId] = (ONLY,)) -> None:
        self.rule = rule
        self._servers = servers

    def campaign(self, campaign: Campaign, at: float) -> None:
        """The campaign is new or changed, or the servers are."""
        if campaign.mode == "announcement":
            return
        for server in self._servers:
            self.rule.tell(
                f.CampaignSet(
                    at=at,
                    campaign=lane(campaign.id, server),
                    rules=campaign.pacing,
                    wait_s=max(
                        0.0,
                        min(campaign.wait_s, campaign.pacing.abandonment.limit_s)
                        - campaign.machines.listening_s,
                    ),
                    ring_s=campaign.ring_s,
                    is_predictive=campaign.mode == "predictive",
                    account=campaign.id if server else "",
                )
            )

    def mode_changed(
        self, before: Campaign, after: Campaign, live: Iterable[tuple[Call, Lead]], at: float
    ) -> None:
        """The campaign's settings are others: its *live* calls begin or cease to want operators with its mode."""
        if before.mode != "announcement" and after.mode == "announcement":
            for call, _ in live:
                if call.direction == "out":
                    self.rule.tell(f.CallEnded(at=at, call=call.attempt, is_ours=True))
        elif before.mode == "announcement" and after.mode != "announcement":
            self.campaign(after, at)
            for call, lead in live:
                if call.answered_at is None:  # who was counted before is not counted twice
                    self.placed(call, lead, after)
                    self.taken_up(call, after)

    def agent(
        self, agent: AgentId, skills: Skills, presence: f.Presence, campaign: CampaignId | None, at: float
    ) -> None:
        """The operator's presence is perhaps another. *campaign*: the lane whose call they have, or work after."""
        self.rule.tell(
            f.AgentChanged(
                at=at,
                agent=agent,
                presence=presence,
                campaigns=skills,
                campaign=campaign or "",
            )
        )

    def placed(self, call: Call, lead: Lead, campaign: Campaign) -> None:
        """The call is on the floor: placed just now, or taken up as it stood when another engine had it."""
        if campaign.mode == "announcement" or call.direction == "in":
            return
        kind = next((phone.kind for phone in lead.phones if phone.id == call.phone), "")
        self.rule.tell(
            f.CallPlaced(
                at=call.created_at,
                call=call.attempt,
                campaign=lane(call.campaign, call.server),
                kind=kind,
                attempt=call.ordinal,
            )
        )

    def taken_up(self, call: Call, campaign: Campaign) -> None:
        """Where a call stands that another engine placed. (What it counted for stands in that one's ledger.)"""
        placed = msgspec.structs.replace(
            call, rang_at=None, answered_at=None, agent=None, abandoned_at=None, ending=""
        )
        self.stepped(placed, call, campaign, call.answered_at or call.rang_at or call.created_at)

    def stepped(self, before: Call, after: Call, campaign: Campaign, at: float) -> bool:
        """The call was *before* and is *after*; whether the count of abandoned calls is another now."""
        if campaign.mode == "announcement" or before.direction == "in":
            return False
        tell, call = self.rule.tell, after.attempt
        if before.rang_at is None and after.rang_at is not None:
            tell(f.CallRang(at=at, call=call))
        is_answer = before.answered_at is None and after.answered_at is not None
        if is_answer:
            tell(f.CallAnswered(at=at, call=call, answered_at=after.answered_at))
        if after.agent != before.agent and after.state not in (CallState.ENDING, CallState.ENDED):
            tell(f.CallServed(at=at, call=call, agent=after.agent or ""))
        is_abandoned = before.abandoned_at is None and after.abandoned_at is not None
        if is_abandoned:
            tell(f.CallAbandoned(at=at, call=call))
        if after.ending == "machine" != before.ending:
            tell(f.CallEnded(at=at, call=call))
        return is_answer or is_abandoned

    def ended(self, call: Call, at: float) -> None:
        """The call has left the floor."""
        if call.direction == "in":
            return
        is_unknown = bool(call.ending) or call.result in _SAYS_NOTHING
        is_ours = is_unknown and call.answered_at is None
        self.rule.tell(f.CallEnded(at=at, call=call.attempt, is_ours=is_ours))
