"""Recycling: what becomes of a lead after an attempt.

1. A number is used up after ``attempts`` tries that count, or after a rule's own number of one result,
   or when it was found not to exist. A lead is finished when all its numbers are used up.
2. Reached on one number, a contact is finished on all, unless the operator's result asks for another call.
3. An attempt that never left us (``failed``) counts for nothing, but the lead rests a little.
4. A result that comes again and again on one number may ask for a growing delay.
5. A call that the operator promised is due when it was promised.
6. After a contact the card belongs to the operator. After a call without one it is held for them as long
   as the campaign says, and then returns to the pool.
7. A call that the person made to us is none of our tries. Talked, it settles the lead like any conversation, but who was
   finished stays so, unless the operator's result says otherwise. Missed, they are promised a call
   (``inbound.missed_again_s``), unless they left a message or another number took the call; then all stays as it was.
   Who withheld their number cannot be called at all. A number that is shown may be forged: each call to it in a row that reached nobody
   makes the next one that nobody asked for :data:`MISSED_GROWTH` times as late, up to a day.
"""

from __future__ import annotations

import msgspec

from dialer.core.ids import AgentId, PhoneId
from dialer.core.judging import (
    is_owned,
    is_used_up,
    is_used_up_contact,
    judge_phone,
    outcome,
    phones_in_order,
)
from dialer.core.results import operator_result, retry_rule
from dialer.core.values import (
    FOREVER,
    UNPLACED_RESULTS,
    Call,
    Campaign,
    Lead,
    OperatorResult,
    Result,
    RetryRule,
)


class Recycle(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a lead after an attempt.

    Either *due* (dial again from then on) or *finished* (why never again) is set. *lead* is the lead as it
    is then, whose owner and promise are to be saved, too. *why*: the result, in one word.
    """

    lead: Lead
    due: float | None = None
    finished: str | None = None
    bad_phone: PhoneId | None = None
    why: str = ""
    is_same: bool = False
    """Nothing changes for the lead: there is nothing to save."""


def recycle(lead: Lead, call: Call, campaign: Campaign, at: float) -> Recycle:
    """What becomes of *lead* after *call*, which has its result.

    *lead* is as it was when the call was placed. Pure in its arguments, so it may be asked
    again when the operator names another result.
    """
    assert call.result is not None
    if call.direction == "in":
        return _after_their_call(lead, call, campaign, at)
    if call.result in UNPLACED_RESULTS:
        due = at + (retry_rule(campaign, call.result).again_s or 0.0)
        return _promised(lead, call, at) or Recycle(lead=_due(lead, due), due=due, why=call.result)
    spoken = operator_result(campaign, call.operator_result) if call.result is Result.TALKED else None
    why = spoken.name if spoken is not None else call.result.value
    bad = call.result is Result.INVALID or (spoken is not None and spoken.is_bad_number)
    lead = _after_try(lead, call, is_bad=bad)
    lead = _owned(lead, call, campaign, spoken, at)
    bad_phone = call.phone if bad else None
    if (promised := _promised(lead, call, at)) is not None:
        return msgspec.structs.replace(promised, bad_phone=bad_phone)
    rule = _rule(campaign, call.result, spoken)
    if rule.again_s is None:
        return Recycle(lead=lead, finished=why, bad_phone=bad_phone, why=why)
    next_phone = _next_phone(lead, call.phone, campaign, stays=rule.phone == "same" and not bad)
    if next_phone is None:
        return Recycle(lead=lead, finished="no_number_left", bad_phone=bad_phone, why=why)
    due = at + _delay_s(rule, lead, call, is_other=_may_be_next(lead, next_phone, call, campaign, at))
    lead = msgspec.structs.replace(_due(lead, due), next_phone=next_phone)
    return Recycle(lead=lead, due=due, bad_phone=bad_phone, why=why)


def _after_their_call(lead: Lead, call: Call, campaign: Campaign, at: float) -> Recycle:
    """What becomes of *lead* after a call that the person made to us (rule 7)."""
    assert call.result is not None
    same = Recycle(
        lead=lead,
        due=None if lead.finished else lead.due,
        finished=lead.finished or None,
        why=call.result,
        is_same=True,
    )
    if not call.number:
        return same
    spoken = operator_result(campaign, call.operator_result) if call.result is Result.TALKED else None
    before, lead = lead, msgspec.structs.replace(lead, is_promised=False, finished="")
    lead = _owned(lead, call, campaign, spoken, at)
    if (promised := _promised(lead, call, at)) is not None:
        return promised
    if call.result is not Result.TALKED:
        again_s = campaign.inbound.missed_again_s
        if again_s is None or call.choice in _LOOKED_AFTER:
            return same
        due = at + _missed_delay_s(again_s, lead, call)
        lead = msgspec.structs.replace(_due(lead, due), is_promised=True, next_phone=call.phone)
        return Recycle(lead=lead, due=lead.due, why=call.result)
    why = spoken.name if spoken is not None else call.result.value
    rule = _rule(campaign, call.result, spoken)
    if rule.again_s is None:
        why = before.finished or why if spoken is None else why
        return Recycle(lead=msgspec.structs.replace(lead, finished=why), finished=why, why=why)
    next_phone = _next_phone(lead, call.phone, campaign, stays=rule.phone == "same")
    if next_phone is None:
        finished = "no_number_left"
        return Recycle(lead=msgspec.structs.replace(lead, finished=finished), finished=finished, why=why)
    due = at + _delay_s(rule, lead, call, is_other=False)
    return Recycle(lead=msgspec.structs.replace(_due(lead, due), next_phone=next_phone), due=due, why=why)


MISSED_GROWTH = 4.0
MISSED_S_MAX = 86_400.0


def _missed_delay_s(again_s: float, lead: Lead, call: Call) -> float:
    """How long who was missed and asked for nothing waits to be called back (rule 7)."""
    tried = next((one.tried for one in lead.phones if one.id == call.phone), ())
    in_vain = next(
        (place for place, came in enumerate(reversed(tried)) if came.partition(":")[0] == Result.TALKED),
        len(tried),
    )
    return max(again_s, min(again_s * MISSED_GROWTH ** min(in_vain, 20), MISSED_S_MAX))


_LOOKED_AFTER = frozenset({"voicemail", "forwarded"})
"""What became of a person whom no operator took, and who is not called back for that."""


def _promised(lead: Lead, call: Call, at: float) -> Recycle | None:
    """The lead with the callback that was promised while the call was live, or after it."""
    if call.callback_at is None:
        return None
    due = max(call.callback_at, at)
    owner = call.callback_agent
    lead = msgspec.structs.replace(
        _due(lead, due), is_promised=True, next_phone=call.phone, owner=owner, owned_until=FOREVER
    )
    return Recycle(lead=lead, due=due, why="callback")


def is_contact(call: Call, campaign: Campaign) -> bool:
    """Whether the right person was reached by *call*: what the operator said, else what the telephone did."""
    if call.result is None:
        return False
    spoken = operator_result(campaign, call.operator_result)
    if call.result is Result.TALKED:
        return spoken is None or spoken.is_contact
    return retry_rule(campaign, call.result).is_contact


def _rule(campaign: Campaign, result: Result, spoken: OperatorResult | None) -> RetryRule | OperatorResult:
    if result is not Result.TALKED:
        return retry_rule(campaign, result)
    if spoken is None or spoken.is_do_not_call:
        return RetryRule(again_s=None)
    if spoken.is_bad_number and spoken.again_s is None:
        return msgspec.structs.replace(spoken, again_s=0.0)  # the person's other numbers may be right
    return spoken


def _may_be_next(lead: Lead, phone: PhoneId, call: Call, campaign: Campaign, at: float) -> bool:
    """Whether the next try is on another number, which has rested. Not so if that one was tried as often already;
    nor if it may not be dialed now, for then the turn is the same number's again."""
    tries = {one.id: len(one.tried) for one in lead.phones}
    other = next((one for one in lead.phones if one.id == phone and phone != call.phone), None)
    if other is None or tries[phone] >= tries.get(call.phone, 0):
        return False
    return not judge_phone(lead, other, campaign, at).rule


def _delay_s(rule: RetryRule | OperatorResult, lead: Lead, call: Call, *, is_other: bool) -> float:
    """How long the lead rests; *is_other*: the next try is on another number."""
    assert rule.again_s is not None
    assert call.result is not None
    if is_other and rule.other_s is not None:
        return rule.other_s
    came = outcome(call.result, call.operator_result)
    times = max(1, next((phone.tried.count(came) for phone in lead.phones if phone.id == call.phone), 1))
    try:
        grown = rule.again_s * rule.growth ** (times - 1)
    except OverflowError:
        grown = rule.again_s_max
    return min(grown, max(rule.again_s, rule.again_s_max))


def _owned(lead: Lead, call: Call, campaign: Campaign, spoken: OperatorResult | None, at: float) -> Lead:
    """Whose the card is after *call*."""
    owner, until = (lead.owner, lead.owned_until) if is_owned(lead, at) else (None, FOREVER)
    if call.result is Result.TALKED:
        if spoken is None or spoken.is_contact:
            owner, until = call.agent, FOREVER
        else:
            owner, until = _held_by(call.agent, at + campaign.owners.hold_s, at)
    return msgspec.structs.replace(lead, owner=owner, owned_until=until)


def _held_by(agent: AgentId | None, until: float, at: float) -> tuple[AgentId | None, float]:
    return (agent, until) if until > at else (None, FOREVER)


def _due(lead: Lead, due: float) -> Lead:
    return msgspec.structs.replace(lead, due=due)


def _after_try(lead: Lead, call: Call, *, is_bad: bool) -> Lead:
    assert call.result is not None
    came = outcome(call.result, call.operator_result)
    phones = tuple(
        msgspec.structs.replace(phone, tried=(*phone.tried, came), is_bad=phone.is_bad or is_bad)
        if phone.id == call.phone
        else phone
        for phone in lead.phones
    )
    return msgspec.structs.replace(lead, phones=phones, ordinal=call.ordinal, is_promised=False)


def _next_phone(lead: Lead, tried: PhoneId, campaign: Campaign, *, stays: bool) -> PhoneId | None:
    """The same number if it *stays* and is not used up, else the next in the circle of the usable;
    None when there is none, or the contact was tried as often as may be."""
    if is_used_up_contact(lead, campaign):
        return None
    ordered = phones_in_order(lead, campaign)
    place = next((i for i, phone in enumerate(ordered) if phone.id == tried), 0)
    start = place if stays else place + 1
    circle = [ordered[(start + step) % len(ordered)] for step in range(len(ordered))]
    left = [phone for phone in circle if not is_used_up(phone, campaign)]
    # A number that is on a list comes last; whether it is there for good is for the store to say.
    left.sort(key=lambda phone: bool(phone.barred))
    return left[0].id if left else None
