"""A store in memory that keeps the journal's promises, as far as the floor may rely on them.

It refuses what the journal refuses (a second attempt of one ordinal), never hands out a lead with an
open attempt, and works out from the saved attempts what was tried: from what was saved and nothing else.
What may not be dialed when it is asked for is put off, or finished, as the journal does it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

import msgspec

from dialer.core.commands import (
    AnyCommand,
    SaveAgent,
    SaveCall,
    SaveCallback,
    SaveCampaignState,
    SaveChoice,
    SaveDoNotCall,
    SaveKnowledge,
    SaveLead,
    SaveLedger,
    SavePhone,
    SaveTransfer,
)
from dialer.core.conduct import Choice
from dialer.core.ids import AgentId, AttemptId, CampaignId, LeadId, PhoneId
from dialer.core.judging import judge, outcome, waits_for_owner
from dialer.core.pacing.ledger import DayCount
from dialer.core.transfer_facts import Transfer
from dialer.core.values import (
    FOREVER,
    UNPLACED_RESULTS,
    Agent,
    Call,
    CallState,
    Campaign,
    CampaignState,
    Lead,
    LeadPhone,
    Result,
)


class Store:
    """Leads, attempts, agents and campaign states, as saved."""

    def __init__(self, leads: Iterable[Lead] = ()) -> None:
        self.leads: dict[LeadId, Lead] = {}
        self.finished: dict[LeadId, str] = {}
        self.calls: dict[AttemptId, Call] = {}
        self.agents: dict[AgentId, Agent] = {}
        self.states: dict[CampaignId, CampaignState] = {}
        self.bad_phones: set[PhoneId] = set()
        self.do_not_call: set[str] = set()
        self.choices: dict[AttemptId, Choice] = {}
        """Of calls that had ended."""
        self.counts: dict[tuple[CampaignId, int], DayCount] = {}
        self.knowledge: dict[str, str] = {}
        self.transfers: dict[tuple[AttemptId, int], Transfer] = {}
        self.facts: Callable[[LeadPhone], dict[str, object]] = lambda _: {}
        """What calendars and caps say of a number now."""
        self.add(*leads)

    def add(self, *leads: Lead) -> None:
        """More contacts for their campaigns."""
        self.leads |= {lead.id: lead for lead in leads}

    def save(self, commands: Iterable[AnyCommand]) -> None:
        """Write the saves among *commands*; asserts what the journal would refuse."""
        for command in commands:
            match command:
                case SaveCall(call=call):
                    self._save_call(call)
                case SaveTransfer(transfer=transfer):
                    self.transfers[transfer.attempt, transfer.place] = transfer
                case SaveLead():
                    self._save_lead(command)
                case SavePhone():
                    self._save_phone(command)
                case SaveCallback():
                    self._save_callback(command)
                case SaveDoNotCall(number=number):
                    self.do_not_call.add(number)
                case SaveChoice(attempt=attempt, choice=choice):
                    assert not _is_open(self.calls[attempt]), f"of a live call: {command}"
                    self.choices[attempt] = choice
                case SaveLedger(campaign=campaign, count=count):
                    self._save_count(campaign, count)
                case SaveKnowledge(name=name, content=content):
                    self.knowledge[name] = content
                case SaveAgent(agent=agent):
                    self.agents[agent.id] = agent
                case SaveCampaignState(campaign=campaign, state=state):
                    self.states[campaign] = state
                case _:
                    pass

    def _save_call(self, call: Call) -> None:
        before = self.calls.get(call.attempt)
        if before is None and call.result is None and call.direction == "out":
            same = [one for one in self.of_lead(call.lead) if one.ordinal == call.ordinal and _counts(one)]
            assert not same, f"a second attempt of one ordinal: {call} after {same}"
            assert call.lead not in self.finished, f"dialed though finished: {call}"
            due = self.leads[call.lead].due
            assert call.created_at >= due, f"dialed {due - call.created_at} s before it was due: {call}"
            assert call.number not in self.do_not_call, f"dialed though on the list: {call}"
        elif before is not None and before.result is not None:
            assert call.result is before.result, f"{before.result} became {call.result}"
        was_abandoned_at = before.abandoned_at if before is not None else None
        assert was_abandoned_at in (None, call.abandoned_at), f"abandoned twice: {call}"
        self.calls[call.attempt] = call

    def _save_count(self, campaign: CampaignId, count: DayCount) -> None:
        before = self.counts.get((campaign, count.day), DayCount(count.day, 0, 0))
        assert count != before, f"written and not changed: {count}"
        assert (count.answered, count.abandoned) >= (before.answered, before.abandoned), (
            f"counts only grow: {count}"
        )
        assert count.abandoned <= count.answered, count
        self.counts[campaign, count.day] = count

    def ledgers(self) -> list[tuple[CampaignId, tuple[DayCount, ...]]]:
        """What a new engine takes up."""
        names = {campaign for campaign, _ in self.counts}
        return [
            (name, tuple(count for (campaign, _), count in self.counts.items() if campaign == name))
            for name in sorted(names)
        ]

    def _save_lead(self, save: SaveLead) -> None:
        lead = self.leads[save.lead]
        assert (save.due is None) == (save.finished is not None)
        assert save.ordinal >= lead.ordinal or save.is_call_in, f"the ordinal went back: {save}"
        if save.bad_phone is not None:
            self.bad_phones.add(save.bad_phone)
        self.finished.pop(lead.id, None)
        if save.finished is not None:
            self.finished[lead.id] = save.finished
        self.leads[lead.id] = msgspec.structs.replace(
            lead,
            ordinal=max(lead.ordinal, save.ordinal),
            next_phone=save.next_phone,
            due=save.due or 0.0,
            is_promised=save.is_promised,
            owner=save.owner,
            owned_until=save.owned_until,
        )

    def _save_callback(self, save: SaveCallback) -> None:
        assert not any(map(_is_open, self.of_lead(save.lead))), f"a callback for a live lead: {save}"
        self.finished.pop(save.lead, None)
        self.leads[save.lead] = msgspec.structs.replace(
            self.leads[save.lead], due=save.due, is_promised=True, owner=save.owner, owned_until=FOREVER
        )

    def _save_phone(self, save: SavePhone) -> None:
        found = {call.phone for call in self.calls.values() if call.result is Result.INVALID}
        if save.is_bad:
            self.bad_phones.add(save.phone)
        elif save.phone not in found:
            self.bad_phones.discard(save.phone)

    def of_lead(self, lead: LeadId) -> list[Call]:
        """The lead's attempts, oldest first."""
        return [call for call in self.calls.values() if call.lead == lead]

    def fetch(
        self, campaign: Campaign, limit: int, at: float, present: Container[AgentId] = ()
    ) -> tuple[list[Lead], bool]:
        """As the journal answers ``FetchLeads``: leads that may be dialed, and whether any is unfinished."""
        rest = [one for one in self.leads.values() if one.campaign == campaign.id]
        rest = [one for one in rest if one.id not in self.finished]
        due = [lead for lead in rest if lead.due <= at and not any(map(_is_open, self.of_lead(lead.id)))]
        due.sort(key=lambda lead: (not lead.is_promised, lead.ordinal == 0, lead.due, lead.id))
        found: list[Lead] = []
        for lead in map(self.lead, [one.id for one in due]):
            if len(found) == limit:
                break
            if waits_for_owner(lead, campaign, at) and lead.owner not in present:
                continue
            verdict = judge(lead, campaign, at)
            if verdict.phone is not None:
                found.append(lead)
            elif verdict.until is None:
                self.finished[lead.id] = verdict.rule
            else:
                self.leads[lead.id] = msgspec.structs.replace(self.leads[lead.id], due=verdict.until)
        return found, any(one.id not in self.finished for one in rest)

    def lead(self, lead_id: LeadId, before: int = 2**31) -> Lead:
        """The lead with what was tried on each number before the attempt *before*."""
        lead = self.leads[lead_id]
        calls = [call for call in self.of_lead(lead_id) if call.ordinal < before and _counts(call)]
        phones = tuple(
            msgspec.structs.replace(
                phone,
                tried=tuple(
                    outcome(call.result, call.operator_result)
                    for call in calls
                    if call.phone == phone.id and call.result
                ),
                is_bad=phone.id in self.bad_phones,
                barred="do_not_call" if phone.number in self.do_not_call else phone.barred,
                **self.facts(phone),
            )
            for phone in lead.phones
        )
        return msgspec.structs.replace(lead, phones=phones, ordinal=min(lead.ordinal, before - 1))

    def open(self) -> list[tuple[Call, Lead]]:
        """Attempts that had not ended, each with its lead as it was: what a restart takes up."""
        calls = [call for call in self.calls.values() if _is_open(call)]
        return [(call, self._lead_of(call)) for call in calls]

    def last(self) -> list[tuple[Call, Lead | None]]:
        """Ended attempts of which an agent may still give the result; the lead, if it was not dialed again."""
        names = {agent.last_attempt for agent in self.agents.values()}
        calls = [call for call in self.calls.values() if call.attempt in names and not _is_open(call)]
        return [(call, None if self._is_old(call) else self._lead_of(call)) for call in calls]

    def _lead_of(self, call: Call) -> Lead:
        """The lead as it was when the call was placed; of a call to us, as it is."""
        if call.direction == "out":
            return self.lead(call.lead, before=call.ordinal)
        return msgspec.structs.replace(self.lead(call.lead), finished=self.finished.get(call.lead, ""))

    def _is_old(self, call: Call) -> bool:
        return any(one.ordinal > call.ordinal for one in self.of_lead(call.lead))


def _is_open(call: Call) -> bool:
    return call.state is not CallState.ENDED


def _counts(call: Call) -> bool:
    return call.result not in UNPLACED_RESULTS and call.direction == "out"
