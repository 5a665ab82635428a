"""Results: what a hang-up means, and the rule of each result.

1. A result is read from the Q.850 cause and the SIP status *together with* whether the call
   was ever answered: Asterisk's Dial status calls an unknown number NOANSWER.
2. Every result has a rule: whether it counts as a try, when the lead is dialed again, on which number,
   and whether the person was reached. A campaign may change each, and has its operators' results.
"""

from __future__ import annotations

from dialer.core.values import TRUNK_DOWN, TRUNK_SILENT, Call, Campaign, OperatorResult, Result, RetryRule

DEFAULT_RETRY: dict[Result, RetryRule] = {
    Result.BUSY: RetryRule(attempts=3, again_s=180.0, phone="same"),
    Result.NO_ANSWER: RetryRule(attempts=3, again_s=600.0, phone="next"),
    Result.INVALID: RetryRule(attempts=1, again_s=0.0, phone="next"),
    Result.DECLINED: RetryRule(attempts=1, again_s=3600.0, phone="next"),
    Result.CONGESTION: RetryRule(attempts=3, again_s=120.0, phone="same"),
    Result.NO_ROUTE: RetryRule(attempts=2, again_s=600.0, phone="next"),
    Result.ABANDONED: RetryRule(attempts=2, again_s=600.0, phone="same"),
    Result.HUNG_UP: RetryRule(attempts=2, again_s=600.0, phone="same"),
    Result.MACHINE: RetryRule(attempts=3, again_s=3600.0, phone="next"),
    Result.ANNOUNCED: RetryRule(attempts=1, again_s=None, is_contact=True),
    Result.LOST: RetryRule(attempts=2, again_s=600.0, phone="same"),
    Result.MISSED: RetryRule(attempts=100, again_s=60.0, phone="same", counts=False),
    Result.REROUTED: RetryRule(attempts=100, again_s=0.0, phone="same", counts=False),
    Result.FAILED: RetryRule(attempts=100, again_s=60.0, phone="same", counts=False),
}
"""What happens after each result that is no conversation, unless the campaign says otherwise.
Busy and no answer are the customer's own figures (requirement B4). A failed attempt was never placed
and is no attempt at all: only its ``again_s`` matters."""

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


_BY_ENDING: dict[str, Result] = {"machine": Result.MACHINE, "announcement": Result.ANNOUNCED}
_REFUSALS = frozenset({Result.BUSY, Result.INVALID, Result.DECLINED, Result.CONGESTION})


def classify(call: Call, cause: int | None, tech_cause: int | None) -> Result:
    """The telephone's result of a call whose channel is gone.

    *cause* is Q.850 (ITU-T Q.850 table 1), *tech_cause* the final SIP status (RFC 3261, 21);
    None where Asterisk no longer says. The mapping is as measured on Asterisk 20 and 22.
    """
    if call.connected_at is not None:
        return Result.TALKED
    if call.direction == "in":
        return Result.MISSED
    if call.ending in _BY_ENDING:
        return _BY_ENDING[call.ending]
    if call.answered_at is not None:
        # With a cause we saw it happen; a channel found missing tells not who ended the call.
        return Result.HUNG_UP if not call.ending and cause is not None else Result.ABANDONED
    if cause is None and tech_cause is None:
        return Result.NO_ANSWER if call.ending and call.rang_at is not None else Result.LOST
    if call.rang_at is None and call.ending in (TRUNK_DOWN, TRUNK_SILENT):
        # Of what was never so much as received nothing is to be counted against the person.
        return Result.FAILED if call.ending == TRUNK_SILENT else Result.NO_ROUTE
    if cause == 0 and not tech_cause:
        # The person's own BYE, which only follows an answer: they hung up before the channel was ours.
        return Result.ABANDONED if call.ending else Result.HUNG_UP
    said = told(cause, tech_cause)
    # Our own cancel ends a call in several words; only a plain refusal that crossed it says more.
    return said if said in _REFUSALS or not call.ending else Result.NO_ANSWER


def told(cause: int | None, tech_cause: int | None) -> Result:
    """What Asterisk's words for the end of a call that was never answered mean by themselves."""
    by_sip = _BY_SIP.get(tech_cause or 0)
    by_cause = _BY_CAUSE.get(cause or 0)
    if by_sip in (None, Result.NO_ANSWER):
        return by_cause or by_sip or Result.NO_ROUTE
    return by_sip


def retry_rule(campaign: Campaign, result: Result) -> RetryRule:
    """The campaign's rule for *result*, or the default one."""
    return campaign.retry.get(result) or DEFAULT_RETRY[result]


def operator_results(campaign: Campaign) -> tuple[OperatorResult, ...]:
    """The results that the campaign's operators may give."""
    return campaign.results or DEFAULT_RESULTS


def operator_result(campaign: Campaign, name: str | None) -> OperatorResult | None:
    """The operator's result of that *name*, or None."""
    return next((one for one in operator_results(campaign) if one.name == name), None)


def pause_reasons(campaign: Campaign | None) -> dict[str, str]:
    """Names of pauses by the digit dialed after ``*42``."""
    return (campaign.pause_reasons if campaign else {}) or DEFAULT_PAUSE_REASONS
