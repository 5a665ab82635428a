"""A journal in memory: what the floor may rely on of the real one, fast enough for a day in seconds.

It keeps what was saved and nothing else, never gives out a lead with an open attempt, puts off what may not
be dialed, and works out from the saved attempts what was tried and what the caps say. What the real one
refuses (a second attempt of one ordinal, a call to somebody who must not be called) is an AssertionError:
a simulated floor is never to order it.
"""

# ruff: noqa: SLF001 - the table of what saves what is a part of the class

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

import msgspec

from dialer.core import events as ev
from dialer.core.commands import (
    AnyCommand,
    SaveAgent,
    SaveCall,
    SaveCallback,
    SaveCampaignState,
    SaveDoNotCall,
    SaveKnowledge,
    SaveLead,
    SaveLedger,
    SavePacing,
    SavePhone,
)
from dialer.core.hours import caps_hold
from dialer.core.ids import AgentId, AttemptId, CampaignId, ContactId, LeadId, PhoneId
from dialer.core.judging import judge, outcome, waits_for_owner
from dialer.core.pacing.ledger import DayCount
from dialer.core.values import (
    FOREVER,
    UNPLACED_RESULTS,
    Agent,
    AgentCard,
    Call,
    CallState,
    Campaign,
    CampaignState,
    Caps,
    Centre,
    Hold,
    Lead,
    LeadPhone,
    Result,
    Trunk,
)
from dialer.store.calendar import Calendar

_Due = tuple[float, LeadId]
_NO_CAPS = Caps()


class Memory:
    """Leads, attempts, agents and campaign states, as saved; and the settings of the house."""

    def __init__(
        self,
        *,
        campaigns: Sequence[Campaign],
        trunks: Sequence[Trunk],
        cards: Sequence[AgentCard],
        leads: Iterable[Lead],
        centre: Centre | None = None,
        state: CampaignState = CampaignState.NEW,
    ) -> None:
        self.campaigns = {one.id: one for one in campaigns}
        self.trunks, self.cards = tuple(trunks), tuple(cards)
        self.centre = centre or Centre()
        self.states = {one.id: state for one in campaigns}
        self.leads: dict[LeadId, Lead] = {}
        self.finished: dict[LeadId, str] = {}
        self.calls: dict[AttemptId, Call] = {}
        self.agents: dict[AgentId, Agent] = {}
        self.bad_phones: set[PhoneId] = set()
        self.do_not_call: set[str] = set()
        self.ledgers: dict[CampaignId, dict[int, DayCount]] = {}
        """The counts of abandoned calls, by day."""
        self.knowledge: dict[str, str] = {}
        self.reasons: list[SavePacing] = []
        """Why campaigns got as many calls as they did."""
        self._calendar = Calendar()
        self._of_lead: dict[LeadId, list[AttemptId]] = {}
        self._open: set[LeadId] = set()
        self._due: dict[CampaignId, tuple[list[_Due], list[_Due], list[_Due]]] = {
            one.id: ([], [], []) for one in campaigns
        }
        """Of each campaign, the unfinished leads by due time: promised, to be dialed again, and fresh."""
        self._placed_to: dict[str, list[float]] = {}
        self._placed_of: dict[ContactId, list[float]] = {}
        for lead in leads:
            self.leads[lead.id] = lead
            self._pool(lead).append((lead.due, lead.id))
        for pools in self._due.values():
            for pool in pools:
                pool.sort()

    # -- writing ------------------------------------------------------------------------------

    def save(self, _: Sequence[ev.Event], commands: Iterable[AnyCommand]) -> None:
        """Write the saves among *commands*; asserts what the journal would refuse."""
        for command in commands:
            save = _SAVERS.get(type(command))
            if save is not None:
                save(self, command)

    def _save_agent(self, save: SaveAgent) -> None:
        self.agents[save.agent.id] = save.agent

    def _save_state(self, save: SaveCampaignState) -> None:
        self.states[save.campaign] = save.state

    def _save_do_not_call(self, save: SaveDoNotCall) -> None:
        self.do_not_call.add(save.number)

    def _save_knowledge(self, save: SaveKnowledge) -> None:
        self.knowledge[save.name] = save.content

    def _save_reason(self, save: SavePacing) -> None:
        self.reasons.append(save)

    def _save_ledger(self, save: SaveLedger) -> None:
        days, count = self.ledgers.setdefault(save.campaign, {}), save.count
        before = days.get(count.day, count)
        assert count.abandoned <= count.answered, f"more abandoned than answered: {count}"
        assert before.answered <= count.answered, f"{before} became {count}"
        assert before.abandoned <= count.abandoned, f"{before} became {count}"
        days[count.day] = count

    def _save_call(self, save: SaveCall) -> None:
        call = save.call
        before = self.calls.get(call.attempt)
        if before is None:
            self._check_new(call)
            self._of_lead.setdefault(call.lead, []).append(call.attempt)
            self._placed_to.setdefault(call.number, []).append(call.created_at)
            self._placed_of.setdefault(call.contact, []).append(call.created_at)
        elif before.result is not None:
            assert call.result is before.result, f"{before.result} became {call.result}"
        self.calls[call.attempt] = call
        if call.state is not CallState.ENDED:
            self._open.add(call.lead)
        elif before is None or before.state is not CallState.ENDED:
            self._open.discard(call.lead)
            if call.result in UNPLACED_RESULTS:
                self._placed_to[call.number].remove(call.created_at)
                self._placed_of[call.contact].remove(call.created_at)

    def _check_new(self, call: Call) -> None:
        lead = self.leads[call.lead]
        same = [one for one in self.of_lead(call.lead) if one.ordinal == call.ordinal and _counts(one)]
        assert not same, f"a second attempt of one ordinal: {call} after {same}"
        assert call.lead not in self.finished, f"dialed though finished: {call}"
        assert call.created_at >= lead.due, f"dialed {lead.due - call.created_at} s too early: {call}"
        assert lead.id not in self._open, f"dialed though a call of it is live: {call}"
        if call.result is None:
            verdict = judge(
                self.lead(lead.id, at=call.created_at), self.campaigns[call.campaign], call.created_at
            )
            allowed = {one.phone.id for one in verdict.phones if not one.rule}
            assert call.phone in allowed, f"dialed though {verdict}: {call}"

    def _save_lead(self, save: SaveLead) -> None:
        lead = self.leads[save.lead]
        assert (save.due is None) == (save.finished is not None)
        assert save.ordinal >= lead.ordinal, f"the ordinal went back: {save}"
        if save.bad_phone is not None:
            self.bad_phones.add(save.bad_phone)
        after = msgspec.structs.replace(
            lead,
            ordinal=save.ordinal,
            next_phone=save.next_phone,
            due=save.due or 0.0,
            is_promised=save.is_promised,
            owner=save.owner,
            owned_until=save.owned_until,
        )
        self._put(lead, after, save.finished)

    def _save_callback(self, save: SaveCallback) -> None:
        lead = self.leads[save.lead]
        assert lead.id not in self._open, f"a callback for a live lead: {save}"
        after = msgspec.structs.replace(
            lead, due=save.due, is_promised=True, owner=save.owner, owned_until=FOREVER
        )
        self._put(lead, after, None)

    def _put(self, before: Lead, after: Lead, finished: str | None) -> None:
        if before.id not in self.finished:
            pool = self._pool(before)
            del pool[bisect_left(pool, (before.due, before.id))]
        self.leads[after.id] = after
        if finished is not None:
            self.finished[after.id] = finished
        else:
            self.finished.pop(after.id, None)
            insort(self._pool(after), (after.due, after.id))

    def _pool(self, lead: Lead) -> list[_Due]:
        return self._due[lead.campaign][0 if lead.is_promised else 1 if lead.ordinal else 2]

    def _save_phone(self, save: SavePhone) -> None:
        if save.is_bad:
            self.bad_phones.add(save.phone)
        elif not any(c.phone == save.phone and c.result is Result.INVALID for c in self.calls.values()):
            self.bad_phones.discard(save.phone)

    # -- reading ------------------------------------------------------------------------------

    def of_lead(self, lead: LeadId) -> list[Call]:
        """The lead's attempts, oldest first."""
        return [self.calls[attempt] for attempt in self._of_lead.get(lead, ())]

    def fetch(
        self, campaign: Campaign, limit: int, at: float, present: Container[AgentId] = ()
    ) -> tuple[list[Lead], bool, bool]:
        """As the journal answers ``FetchLeads``: leads that may be dialed, whether any is unfinished, and
        whether there may be more."""
        found: list[Lead] = []
        put_off: list[tuple[Lead, float | None, str]] = []
        is_partial = False
        for pool in self._due[campaign.id]:
            for due, lead_id in pool:
                if due > at:
                    break
                if len(found) >= limit:
                    is_partial = True
                    break
                if lead_id in self._open:
                    continue
                lead = self.lead(lead_id, at=at)
                if waits_for_owner(lead, campaign, at) and lead.owner not in present:
                    continue
                verdict = judge(lead, campaign, at)
                if verdict.phone is not None:
                    found.append(lead)
                else:
                    put_off.append((lead, verdict.until, verdict.rule))
        for lead, until, rule in put_off:
            stored = self.leads[lead.id]
            after = stored if until is None else msgspec.structs.replace(stored, due=until)
            self._put(stored, after, rule if until is None else None)
        is_unfinished = any(self._due[campaign.id])
        return found, is_unfinished, is_partial

    def lead(self, lead_id: LeadId, before: int = 2**31, at: float | None = None) -> Lead:
        """The lead with what was tried before the attempt *before*; its facts are those of the instant *at*."""
        lead = self.leads[lead_id]
        campaign = self.campaigns[lead.campaign]
        calls = [call for call in self.of_lead(lead_id) if call.ordinal < before and _counts(call)]
        caps = [one for one in (campaign.caps, self.centre.caps) if one != _NO_CAPS]
        is_plain = campaign.hours is None and not caps and not calls and not self.do_not_call
        if is_plain and self.bad_phones.isdisjoint(phone.id for phone in lead.phones):
            return lead
        phones = tuple(self._phone(phone, campaign, caps, calls, at) for phone in lead.phones)
        held = None
        if caps and at is not None:
            zones = tuple(sorted({zone for phone in phones for zone in phone.zones}))
            held = self._held(self._placed_of.get(lead.contact, ()), caps, zones, at, is_contact=True)
        return msgspec.structs.replace(lead, phones=phones, ordinal=min(lead.ordinal, before - 1), held=held)

    def _phone(
        self, phone: LeadPhone, campaign: Campaign, caps: list[Caps], calls: list[Call], at: float | None
    ) -> LeadPhone:
        facts: dict[str, object] = {}
        if at is not None and campaign.hours is not None:
            facts["hours"] = self._calendar.stretch(campaign.hours, phone.kind, phone.zones, at)
        if at is not None and caps:
            facts["held"] = self._held(self._placed_to.get(phone.number, ()), caps, phone.zones, at)
        return msgspec.structs.replace(
            phone,
            tried=tuple(
                outcome(call.result, call.operator_result)
                for call in calls
                if call.phone == phone.id and call.result
            ),
            is_bad=phone.id in self.bad_phones,
            barred="do_not_call" if phone.number in self.do_not_call else "",
            **facts,
        )

    def _held(
        self,
        placed: Sequence[float],
        caps: list[Caps],
        zones: tuple[str, ...],
        at: float,
        *,
        is_contact: bool = False,
    ) -> Hold | None:
        if not placed:
            return None
        is_daily = any(one.contact_per_day if is_contact else one.number_per_day for one in caps)
        day = self._calendar.day(zones, at) if is_daily else None
        holds = [
            caps_hold(
                placed,
                per_day=one.contact_per_day if is_contact else one.number_per_day,
                per_24h=one.contact_per_24h if is_contact else one.number_per_24h,
                gap_s=one.gap_s,
                day=day,
                at=at,
                scope="contact" if is_contact else "number",
            )
            for one in caps
        ]
        return max((hold for hold in holds if hold is not None), key=lambda hold: hold.until, default=None)

    # -- a new engine -------------------------------------------------------------------------

    def load(self, at: float, version: str = "") -> ev.EngineStarted:
        """What an engine that starts finds."""
        live = [call for call in self.calls.values() if call.state is not CallState.ENDED]
        names = {agent.last_attempt for agent in self.agents.values()}
        last = [self.calls[name] for name in names if name in self.calls]
        last = sorted((one for one in last if one.state is CallState.ENDED), key=lambda one: one.attempt)
        return ev.EngineStarted(
            at=at,
            version=version,
            centre=self.centre,
            trunks=self.trunks,
            campaigns=tuple((one, self.states[one.id]) for one in self.campaigns.values()),
            cards=self.cards,
            agents=tuple(self.agents.values()),
            calls=tuple((call, self.lead(call.lead, call.ordinal)) for call in live),
            last=tuple(
                (call, None if self._is_old(call) else self.lead(call.lead, call.ordinal)) for call in last
            ),
            ledgers=tuple((name, tuple(days.values())) for name, days in sorted(self.ledgers.items())),
            knowledge=tuple(sorted(self.knowledge.items())),
        )

    def _is_old(self, call: Call) -> bool:
        return any(one.ordinal > call.ordinal for one in self.of_lead(call.lead))


_SAVERS: dict[type, Callable[[Memory, Any], None]] = {
    SaveCall: Memory._save_call,
    SaveAgent: Memory._save_agent,
    SaveLead: Memory._save_lead,
    SavePhone: Memory._save_phone,
    SaveCampaignState: Memory._save_state,
    SaveCallback: Memory._save_callback,
    SaveDoNotCall: Memory._save_do_not_call,
    SaveLedger: Memory._save_ledger,
    SaveKnowledge: Memory._save_knowledge,
    SavePacing: Memory._save_reason,
}


def _counts(call: Call) -> bool:
    return call.result not in UNPLACED_RESULTS
