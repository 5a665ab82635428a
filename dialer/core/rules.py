"""Rules: what a hang-up cause means, when to dial again, and on which number.

1. A result is read from the Q.850 cause and the SIP status *together with* whether the call
   was ever answered: Asterisk's Dial status calls an unknown number NOANSWER.
2. A number is used up after ``attempts`` tries, or after a rule's own number of one result, or
   when it was found not to exist. A lead is finished when all its numbers are used up.
3. Reached on one number, a contact is finished on all.
4. An attempt that never left us (``failed``) counts for nothing, but the lead rests a little.
"""

from __future__ import annotations

import msgspec

from dialer.core.ids import PhoneId
from dialer.core.values import Call, Campaign, Lead, LeadPhone, OperatorResult, Result, RetryRule

DEFAULT_RETRY: dict[Result, RetryRule] = {
    Result.BUSY: RetryRule(attempts=3, again_s=180.0, phone="same"),
    Result.NO_ANSWER: RetryRule(attempts=3, again_s=600.0, phone="next"),
    Result.INVALID: RetryRule(attempts=1, again_s=0.0, phone="next"),
    Result.DECLINED: RetryRule(attempts=1, again_s=3600.0, phone="next"),
    Result.CONGESTION: RetryRule(attempts=3, again_s=120.0, phone="same"),
    Result.NO_ROUTE: RetryRule(attempts=2, again_s=600.0, phone="next"),
    Result.ABANDONED: RetryRule(attempts=2, again_s=600.0, phone="same"),
    Result.LOST: RetryRule(attempts=2, again_s=600.0, phone="same"),
}
"""What happens after each result that is no conversation, unless the campaign says otherwise.
Busy and no answer are the customer's own figures (requirement B4)."""

FAILED_REST_S = 60.0
"""After a fault of ours the lead rests so long; the fault counts as no attempt."""

DEFAULT_RESULTS: tuple[OperatorResult, ...] = (
    OperatorResult(code="1", name="order", title="Order"),
    OperatorResult(
        code="2", name="presentation", title="Presentation: informed, neither refused nor ordered"
    ),
    OperatorResult(code="3", name="refused_offer", title="Refused the offer"),
    OperatorResult(code="4", name="refused_to_talk", title="Refused to talk"),
    OperatorResult(
        code="5", name="wrong_information", title="Wrong information", is_contact=False, is_bad_number=True
    ),
    OperatorResult(code="6", name="busy", title="Busy", is_contact=False, again_s=180.0),
    OperatorResult(code="7", name="no_answer", title="No answer", is_contact=False, again_s=600.0),
)
"""The customer's seven results (requirement D1), by the digit dialed after ``*44``."""

DEFAULT_PAUSE_REASONS: dict[str, str] = {"1": "break", "2": "lunch", "3": "training", "4": "meeting"}

_BY_SIP: dict[int, Result] = {
    486: Result.BUSY,
    600: Result.BUSY,
    404: Result.INVALID,
    410: Result.INVALID,
    484: Result.INVALID,
    604: Result.INVALID,
    603: Result.DECLINED,
    607: Result.DECLINED,
    408: Result.NO_ANSWER,
    480: Result.NO_ANSWER,
    503: Result.CONGESTION,
}
_BY_CAUSE: dict[int, Result] = {
    1: Result.INVALID,
    22: Result.INVALID,
    28: Result.INVALID,
    17: Result.BUSY,
    18: Result.NO_ANSWER,
    19: Result.NO_ANSWER,
    20: Result.NO_ANSWER,
    21: Result.DECLINED,
    34: Result.CONGESTION,
    38: Result.CONGESTION,
    41: Result.CONGESTION,
    42: Result.CONGESTION,
    44: Result.CONGESTION,
    2: Result.NO_ROUTE,
    3: Result.NO_ROUTE,
    27: Result.NO_ROUTE,
}


_REFUSALS = frozenset({Result.BUSY, Result.INVALID, Result.DECLINED, Result.CONGESTION})


def classify(call: Call, cause: int | None, tech_cause: int | None) -> Result:
    """The telephone's result of a call whose channel is gone.

    *cause* is Q.850 (ITU-T Q.850 table 1), *tech_cause* the final SIP status (RFC 3261, 21);
    None where Asterisk no longer says. The mapping is as measured on Asterisk 20 and 22.
    """
    if call.connected_at is not None:
        return Result.TALKED
    if call.answered_at is not None:
        return Result.ABANDONED
    if cause is None and tech_cause is None:
        return Result.NO_ANSWER if call.ending and call.rang_at is not None else Result.LOST
    if cause == 0 and not tech_cause:
        # The person's own BYE, which only follows an answer: they hung up before the channel was ours.
        return Result.ABANDONED
    told = _told(cause, tech_cause)
    # Our own cancel ends a call in several words; only a plain refusal that crossed it says more.
    return told if told in _REFUSALS or not call.ending else Result.NO_ANSWER


def _told(cause: int | None, tech_cause: int | None) -> Result:
    by_sip = _BY_SIP.get(tech_cause or 0)
    by_cause = _BY_CAUSE.get(cause or 0)
    if by_sip in (None, Result.NO_ANSWER):
        return by_cause or by_sip or Result.NO_ROUTE
    return by_sip


def retry_rule(campaign: Campaign, result: Result) -> RetryRule:
    """The campaign's rule for *result*, or the default one."""
    return campaign.retry.get(result) or DEFAULT_RETRY[result]


def phones_in_order(lead: Lead, campaign: Campaign) -> list[LeadPhone]:
    """The lead's numbers in the campaign's order of kinds, then in the contact's own order."""
    rank = {kind: place for place, kind in enumerate(campaign.phone_kinds)}
    return sorted(lead.phones, key=lambda phone: rank.get(phone.kind, len(rank)))


def is_used_up(phone: LeadPhone, campaign: Campaign) -> bool:
    """Whether the number may not be dialed again in this campaign (rule 2)."""
    if phone.is_bad or len(phone.tried) >= campaign.attempts:
        return True
    return any(
        phone.tried.count(result) >= retry_rule(campaign, result).attempts
        for result in set(phone.tried)
        if result in DEFAULT_RETRY
    )


def pick_phone(lead: Lead, campaign: Campaign) -> LeadPhone | None:
    """The number to dial now, or None when the lead has none left."""
    limit = campaign.attempts_per_contact
    if limit is not None and sum(len(phone.tried) for phone in lead.phones) >= limit:
        return None
    usable = [phone for phone in phones_in_order(lead, campaign) if not is_used_up(phone, campaign)]
    for phone in usable:
        if phone.id == lead.next_phone:
            return phone
    return usable[0] if usable else None


class Recycle(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a lead after an attempt.

    Either *due* (dial again from then on) or *finished* (why never again) is set.
    """

    lead: Lead
    due: float | None = None
    finished: str | None = None
    bad_phone: PhoneId | None = None


def recycle(lead: Lead, call: Call, campaign: Campaign, at: float) -> Recycle:
    """What becomes of *lead* after *call*, which has its result.

    *lead* is as it was when the call was placed. Pure in its arguments, so it may be asked
    again when the operator names another result.
    """
    assert call.result is not None
    if call.result is Result.FAILED:
        due = at + FAILED_REST_S
        return Recycle(lead=msgspec.structs.replace(lead, due=due), due=due)
    lead = msgspec.structs.replace(lead, ordinal=call.ordinal)
    spoken = operator_result(campaign, call.operator_result)
    bad = call.result is Result.INVALID or (spoken is not None and spoken.is_bad_number)
    lead = _after_try(lead, call, is_bad=bad)
    bad_phone = call.phone if bad else None
    if call.result is Result.TALKED:
        if spoken is None or (spoken.again_s is None and not spoken.is_bad_number):
            return Recycle(lead=lead, finished=spoken.name if spoken else "talked")
        again_s: float | None = spoken.again_s or 0.0
        stays = not bad
    else:
        rule = retry_rule(campaign, call.result)
        again_s, stays = rule.again_s, rule.phone == "same"
    if again_s is None:
        return Recycle(lead=lead, finished=call.result.value, bad_phone=bad_phone)
    lead = msgspec.structs.replace(lead, next_phone=_next_phone(lead, call.phone, campaign, stays))
    if pick_phone(lead, campaign) is None:
        return Recycle(lead=lead, finished="no_number_left", bad_phone=bad_phone)
    due = at + again_s
    return Recycle(lead=msgspec.structs.replace(lead, due=due), due=due, bad_phone=bad_phone)


def operator_results(campaign: Campaign) -> tuple[OperatorResult, ...]:
    """The results that the campaign's operators may give."""
    return campaign.results or DEFAULT_RESULTS


def operator_result(campaign: Campaign, name: str | None) -> OperatorResult | None:
    """The operator's result of that *name*, or None."""
    return next((one for one in operator_results(campaign) if one.name == name), None)


def pause_reasons(campaign: Campaign | None) -> dict[str, str]:
    """Names of pauses by the digit dialed after ``*42``."""
    return (campaign.pause_reasons if campaign else {}) or DEFAULT_PAUSE_REASONS


def _after_try(lead: Lead, call: Call, *, is_bad: bool) -> Lead:
    assert call.result is not None
    phones = tuple(
        msgspec.structs.replace(phone, tried=(*phone.tried, call.result), is_bad=phone.is_bad or is_bad)
        if phone.id == call.phone
        else phone
        for phone in lead.phones
    )
    return msgspec.structs.replace(lead, phones=phones)


def _next_phone(lead: Lead, tried: PhoneId, campaign: Campaign, stays: bool) -> PhoneId | None:
    """The same number if it *stays* and is not used up, else the next in the circle of the usable."""
    ordered = phones_in_order(lead, campaign)
    place = next((i for i, phone in enumerate(ordered) if phone.id == tried), 0)
    start = place if stays else place + 1
    for step in range(len(ordered)):
        phone = ordered[(start + step) % len(ordered)]
        if not is_used_up(phone, campaign):
            return phone.id
    return None
