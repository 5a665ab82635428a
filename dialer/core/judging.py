"""Judging: which number of a lead may be dialed at an instant, or which rule keeps it back and until when.

There is one judgement, asked wherever somebody must know: by the store when it gives out leads, by the
floor right before it dials, by the guard in the transaction that saves the attempt, and by the commands
that explain. The facts come with the lead (:class:`~dialer.core.values.LeadPhone`): what depends on a
calendar or on other campaigns was worked out when the lead was made; here instants are only compared.

1. A number is dialed only if no rule keeps it back: it is not bad, not on a do-not-call list, not
   tried as often as it may be, inside its calling hours, and no cap holds it.
2. Among the numbers that may be dialed now, the one that is next in turn goes first, then the
   campaign's order of kinds, then the contact's own.
3. A lead whose number's hours are over waits for its first number that opens again.
4. A call that was promised to the person is made however often they were tried before. Calling
   hours, caps and do-not-call hold for it too.
"""

from __future__ import annotations

import msgspec

from dialer.core.results import DEFAULT_RETRY, operator_result, retry_rule
from dialer.core.values import Campaign, Lead, LeadPhone, Result

_TELEPHONES = frozenset(result.value for result in DEFAULT_RETRY)
_SAID = f"{Result.TALKED}:"


class PhoneVerdict(msgspec.Struct, frozen=True):
    """Of one number: the *rule* that keeps it back, empty if it may be dialed now; *until*: when that
    rule ends, None: never as far as is known."""

    phone: LeadPhone
    rule: str = ""
    until: float | None = None


class Verdict(msgspec.Struct, frozen=True):
    """Of a lead: the number to dial now, or (None) the *rule* that keeps the lead back, and *until* when.

    *until* is None where no rule is known to end: the lead has no future as things are. *phones*: each
    number by itself, in the order of their turn.
    """

    phone: LeadPhone | None
    rule: str
    until: float | None
    phones: tuple[PhoneVerdict, ...]


def judge(lead: Lead, campaign: Campaign, at: float) -> Verdict:
    """Which number of *lead* may be dialed at *at*, or why none."""
    verdicts = tuple(judge_phone(lead, phone, campaign, at) for phone in _in_turn(lead, campaign))
    kept_back = _judge_contact(lead, campaign, at)
    if kept_back is not None and (kept_back[1] is None or any(not one.rule for one in verdicts)):
        return Verdict(None, *kept_back, verdicts)
    for one in verdicts:
        if not one.rule:
            return Verdict(one.phone, "", at, verdicts)
    first = min(
        (one for one in verdicts if one.until is not None), key=lambda one: one.until or 0.0, default=None
    )
    if first is not None:
        return Verdict(None, first.rule, first.until, verdicts)
    rules = {one.rule for one in verdicts}
    return Verdict(None, rules.pop() if len(rules) == 1 else "no_number_left", None, verdicts)


def judge_phone(lead: Lead, phone: LeadPhone, campaign: Campaign, at: float) -> PhoneVerdict:
    """Whether *phone* by itself may be dialed at *at*."""
    rule = "bad_number" if phone.is_bad else phone.barred
    if not rule and not lead.is_promised:
        rule = _tried(phone, campaign)
    if rule:
        return PhoneVerdict(phone, rule)
    if phone.hours is None:
        assumed = campaign.hours is not None and campaign.hours.unknown_zone
        return PhoneVerdict(phone, "no_hours" if phone.zones or assumed else "unknown_zone")
    opens_at, closes_at = phone.hours
    if at < opens_at:
        return PhoneVerdict(phone, "hours", opens_at)
    if at >= closes_at:  # the facts are older than that: when it opens again, the store will say
        return PhoneVerdict(phone, "hours", at)
    if phone.held is not None and at < phone.held.until:
        return PhoneVerdict(phone, phone.held.rule, phone.held.until)
    return PhoneVerdict(phone)


def _judge_contact(lead: Lead, campaign: Campaign, at: float) -> tuple[str, float | None] | None:
    if not lead.is_promised and is_used_up_contact(lead, campaign):
        return "tried_contact", None
    if lead.held is not None and at < lead.held.until:
        return lead.held.rule, lead.held.until
    return None


def phones_in_order(lead: Lead, campaign: Campaign) -> list[LeadPhone]:
    """The lead's numbers in the campaign's order of kinds, then in the contact's own order."""
    rank = {kind: place for place, kind in enumerate(campaign.phone_kinds)}
    return sorted(lead.phones, key=lambda phone: rank.get(phone.kind, len(rank)))


def _in_turn(lead: Lead, campaign: Campaign) -> list[LeadPhone]:
    ordered = phones_in_order(lead, campaign)
    if lead.next_phone is not None:
        ordered.sort(key=lambda phone: phone.id != lead.next_phone)
    return ordered


def is_used_up(phone: LeadPhone, campaign: Campaign) -> bool:
    """Whether the number has no future in this campaign, whatever the hour and whatever the lists say."""
    return bool(phone.is_bad or _tried(phone, campaign))


def is_used_up_contact(lead: Lead, campaign: Campaign) -> bool:
    """Whether the contact was tried as often as the campaign may, over all its numbers."""
    limit = campaign.attempts_per_contact
    return limit is not None and sum(_count(phone, campaign) for phone in lead.phones) >= limit


def _tried(phone: LeadPhone, campaign: Campaign) -> str:
    """The limit of tries that the number has reached, if any."""
    if _count(phone, campaign) >= campaign.attempts:
        return "tried"
    for result in set(phone.tried):
        if result in _TELEPHONES:
            rule = retry_rule(campaign, Result(result))
            if phone.tried.count(result) >= rule.attempts:
                return "result"
    return ""


def _count(phone: LeadPhone, campaign: Campaign) -> int:
    """The tries on the number that count."""
    return sum(counts(campaign, one) for one in phone.tried)


def counts(campaign: Campaign, tried: str) -> bool:
    """Whether a try with this outcome counts as one of the attempts on its number."""
    if tried.startswith(_SAID):
        spoken = operator_result(campaign, tried.removeprefix(_SAID))
        return spoken is None or spoken.counts
    return tried == Result.TALKED or retry_rule(campaign, Result(tried)).counts


def outcome(result: Result, said: str | None) -> str:
    """What an attempt came to, as ``LeadPhone.tried`` has it: *said* is the operator's result."""
    return f"{_SAID}{said}" if result is Result.TALKED and said else result.value


def is_owned(lead: Lead, at: float) -> bool:
    """Whether an operator holds the card at *at*."""
    return lead.owner is not None and at < lead.owned_until


def waits_for_owner(lead: Lead, campaign: Campaign, at: float) -> bool:
    """Whether nobody but its owner may have the lead at *at*."""
    rule = campaign.owners
    if rule.away != "wait" or not is_owned(lead, at):
        return False
    return rule.wait_s is None or at < lead.due + rule.wait_s
