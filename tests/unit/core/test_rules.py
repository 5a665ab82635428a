"""What a hang-up cause means, when a lead is dialed again, and on which number."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dialer.core import judging, results, rules
from dialer.core.ids import AgentId, AttemptId, CampaignId, PhoneId
from dialer.core.values import (
    FOREVER,
    Call,
    CallState,
    Campaign,
    Hold,
    Lead,
    OperatorResult,
    Owners,
    Result,
    RetryRule,
)
from tests.unit.core.world import campaign, lead

AT = 5000.0
A, B, C = "+70000001", "+70000002", "+70000003"


def a_call(of: Lead, result: Result | None = None, *, phone: int = 0, **changes: Any) -> Call:
    """An attempt of the lead on its number in the place *phone*."""
    call = Call(
        attempt=AttemptId("a00000000000000000001"),
        campaign=CampaignId("spring"),
        lead=of.id,
        contact=of.contact,
        phone=of.phones[phone].id,
        number=of.phones[phone].number,
        ordinal=of.ordinal + 1,
        trunk="t",  # type: ignore[arg-type]
        created_at=AT - 10,
        result=result,
    )
    return msgspec.structs.replace(call, **changes)


# -- what a cause means -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "sip", "result"),
    [
        (17, 486, Result.BUSY),
        (17, None, Result.BUSY),
        (None, 486, Result.BUSY),
        (17, 600, Result.BUSY),
        (19, 480, Result.NO_ANSWER),
        (18, 408, Result.NO_ANSWER),
        (1, 404, Result.INVALID),
        (22, 410, Result.INVALID),
        (28, 484, Result.INVALID),
        (1, 604, Result.INVALID),
        (21, 603, Result.DECLINED),
        (21, 607, Result.DECLINED),
        (34, 503, Result.CONGESTION),
        (42, None, Result.CONGESTION),
        (3, None, Result.NO_ROUTE),
        (27, 502, Result.NO_ROUTE),
        (0, 488, Result.NO_ROUTE),
        # the person's BYE: they answered, and hung up before we were told of the answer
        (0, None, Result.HUNG_UP),
        (0, 0, Result.HUNG_UP),
        (16, None, Result.NO_ROUTE),
        (20, 480, Result.NO_ANSWER),
        # 480 is said of much; a cause that says more goes before it
        (17, 480, Result.BUSY),
        (1, 480, Result.INVALID),
        (None, None, Result.LOST),
    ],
)
def test_how_a_call_that_was_not_answered_ended(cause: int | None, sip: int | None, result: Result) -> None:
    assert results.classify(a_call(lead(1)), cause, sip) is result


@pytest.mark.parametrize(("cause", "sip"), [(0, None), (16, None), (17, 486), (34, 503), (None, None)])
def test_after_the_answer_only_the_join_decides(cause: int | None, sip: int | None) -> None:
    answered = a_call(lead(1), answered_at=AT - 5)
    by_them = Result.HUNG_UP if cause is not None else Result.ABANDONED
    assert results.classify(answered, cause, sip) is by_them
    by_us = msgspec.structs.replace(answered, ending="no_agent")
    assert results.classify(by_us, cause, sip) is Result.ABANDONED
    connected = msgspec.structs.replace(answered, connected_at=AT - 4)
    assert results.classify(connected, cause, sip) is Result.TALKED


@pytest.mark.parametrize(
    ("cause", "sip", "result"),
    [
        (16, None, Result.NO_ANSWER),
        (16, 487, Result.NO_ANSWER),
        (19, 480, Result.NO_ANSWER),
        (127, 500, Result.NO_ANSWER),
        (17, 486, Result.BUSY),
        (21, 603, Result.DECLINED),
        (1, 404, Result.INVALID),
        (34, 503, Result.CONGESTION),
    ],
)
def test_our_own_cancel_is_no_answer_unless_a_plain_refusal_crossed_it(
    cause: int, sip: int | None, result: Result
) -> None:
    ending = a_call(lead(1), state=CallState.ENDING, ending="no_answer", rang_at=AT - 30)
    assert results.classify(ending, cause, sip) is result


def test_a_channel_that_vanished_is_lost_unless_we_were_hanging_up_a_phone_that_rang() -> None:
    call = a_call(lead(1), ending="no_answer")
    assert results.classify(call, None, None) is Result.LOST
    assert results.classify(msgspec.structs.replace(call, rang_at=AT), None, None) is Result.NO_ANSWER
    assert results.classify(a_call(lead(1), rang_at=AT), None, None) is Result.LOST


# -- when again, and where ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "again_s"),
    [(Result.BUSY, 180), (Result.NO_ANSWER, 600), (Result.CONGESTION, 120), (Result.LOST, 600)],
)
def test_the_customers_defaults(result: Result, again_s: float) -> None:
    one = lead(1)
    after = rules.recycle(one, a_call(one, result), campaign(), AT)
    assert (after.due, after.finished, after.lead.ordinal) == (AT + again_s, None, 1)
    assert after.lead.phones[0].tried == (result,)


def test_three_attempts_and_no_more() -> None:
    one = lead(1)
    for attempt in (1, 2, 3):
        after = rules.recycle(one, a_call(one, Result.NO_ANSWER), campaign(), AT)
        assert after.lead.ordinal == attempt
        one = after.lead
    assert (after.due, after.finished) == (None, "no_number_left")
    assert judging.judge(one, campaign(), AT).rule == "tried"


def test_a_rule_may_allow_fewer_attempts_of_one_result_than_the_campaign_of_all() -> None:
    rule = campaign(attempts=5, retry={Result.BUSY: RetryRule(attempts=1, again_s=60, phone="same")})
    one = lead(1)
    after = rules.recycle(one, a_call(one, Result.BUSY), rule, AT)
    assert after.finished == "no_number_left"


def test_a_rule_may_finish_the_lead() -> None:
    rule = campaign(retry={Result.DECLINED: RetryRule(again_s=None)})
    one = lead(1, A, B)
    after = rules.recycle(one, a_call(one, Result.DECLINED), rule, AT)
    assert (after.due, after.finished) == (None, "declined")


def test_busy_is_tried_again_on_the_same_number_and_no_answer_on_the_next() -> None:
    one = lead(1, A, B, C)
    busy = rules.recycle(one, a_call(one, Result.BUSY), campaign(), AT)
    assert numbers(busy.lead, campaign()) == A
    silent = rules.recycle(one, a_call(one, Result.NO_ANSWER), campaign(), AT)
    assert numbers(silent.lead, campaign()) == B
    last = rules.recycle(one, a_call(one, Result.NO_ANSWER, phone=2), campaign(), AT)
    assert numbers(last.lead, campaign()) == A, "the circle begins anew"


def numbers(of: Lead, rule: Campaign) -> str | None:
    phone = judging.judge(of, rule, AT).phone
    return phone.number if phone else None


def test_a_number_that_is_used_up_is_passed_over() -> None:
    one = lead(1, A, B)
    phones = (msgspec.structs.replace(one.phones[0], tried=(Result.BUSY,) * 3), one.phones[1])
    one = msgspec.structs.replace(one, phones=phones, next_phone=one.phones[0].id)
    assert numbers(one, campaign()) == B
    after = rules.recycle(one, a_call(one, Result.BUSY, phone=1), campaign(), AT)
    assert numbers(after.lead, campaign()) == B
    after = rules.recycle(one, a_call(one, Result.NO_ANSWER, phone=1), campaign(), AT)
    assert numbers(after.lead, campaign()) == B, "it is the only one left"


def test_a_bad_number_is_never_dialed_again_and_the_next_is_dialed_at_once() -> None:
    one = lead(1, A, B)
    after = rules.recycle(one, a_call(one, Result.INVALID), campaign(), AT)
    assert (after.due, after.bad_phone, numbers(after.lead, campaign())) == (AT, one.phones[0].id, B)
    after = rules.recycle(after.lead, a_call(after.lead, Result.INVALID, phone=1), campaign(), AT)
    assert (after.finished, after.bad_phone) == ("no_number_left", one.phones[1].id)


def test_attempts_per_contact_count_over_all_numbers() -> None:
    rule = campaign(attempts_per_contact=2)
    one = lead(1, A, B, C)
    one = rules.recycle(one, a_call(one, Result.NO_ANSWER), rule, AT).lead
    assert numbers(one, rule) == B
    after = rules.recycle(one, a_call(one, Result.NO_ANSWER, phone=1), rule, AT)
    assert after.finished == "no_number_left"


def test_kinds_of_phone_have_the_campaigns_order_and_then_the_contacts_own() -> None:
    one = lead(1, A, B, C)  # main, mobile, work
    ordered = [p.kind for p in judging.phones_in_order(one, campaign(phone_kinds=("work",)))]
    assert ordered == ["work", "main", "mobile"]
    assert numbers(one, campaign(phone_kinds=("mobile", "work"))) == B


def test_the_promised_number_goes_first_while_it_may_be_dialed() -> None:
    one = lead(1, A, B)
    assert numbers(msgspec.structs.replace(one, next_phone=one.phones[1].id), campaign()) == B
    assert numbers(msgspec.structs.replace(one, next_phone=PhoneId(99)), campaign()) == A


def test_a_call_that_was_never_placed_counts_for_nothing_but_the_lead_rests() -> None:
    one = lead(1, A, ordinal=1)
    after = rules.recycle(one, a_call(one, Result.FAILED), campaign(), AT)
    assert (after.due, after.lead.ordinal, after.lead.phones[0].tried) == (AT + 60, 1, ())


def test_a_delay_may_grow_with_each_time_that_a_number_gives_the_result_up_to_a_limit() -> None:
    rule = campaign(
        attempts=9,
        retry={Result.BUSY: RetryRule(attempts=9, again_s=60.0, growth=3.0, again_s_max=500.0, phone="same")},
    )
    one = lead(1, A, B)
    rests = []
    for _ in range(4):
        after = rules.recycle(one, a_call(one, Result.BUSY), rule, AT)
        assert after.due is not None
        rests.append(after.due - AT)
        one = after.lead
    assert rests == [60, 180, 500, 500]
    other = rules.recycle(one, a_call(one, Result.BUSY, phone=1), rule, AT)
    assert other.due == AT + 60, "another number begins anew"


@pytest.mark.parametrize(("other_s", "rest"), [(None, 600), (0.0, 0), (30.0, 30)])
def test_another_number_may_be_tried_at_once_or_after_a_delay_of_its_own(
    other_s: float | None, rest: float
) -> None:
    rule = campaign(retry={Result.NO_ANSWER: RetryRule(again_s=600.0, other_s=other_s, phone="next")})
    one = lead(1, A, B)
    after = rules.recycle(one, a_call(one, Result.NO_ANSWER), rule, AT)
    assert (after.due, numbers(after.lead, rule)) == (AT + rest, B)
    alone = lead(1, A)
    assert rules.recycle(alone, a_call(alone, Result.NO_ANSWER), rule, AT).due == AT + 600


@pytest.mark.parametrize(
    "fact",
    [
        {"hours": (AT + 3600, FOREVER)},
        {"held": Hold(until=AT + 3600, rule="number_per_24h")},
        {"barred": "do_not_call"},
        {"tried": ("no_answer",)},
    ],
)
def test_the_same_number_rests_if_the_other_may_not_be_dialed_now_or_was_tried_as_often(
    fact: dict[str, Any],
) -> None:
    """Else nobody but the number that was just rung would be rung again, at once."""
    rule = campaign(retry={Result.NO_ANSWER: RetryRule(again_s=600.0, other_s=0.0, phone="next")})
    one = lead(1, A, B)
    one = msgspec.structs.replace(one, phones=(one.phones[0], msgspec.structs.replace(one.phones[1], **fact)))
    assert rules.recycle(one, a_call(one, Result.NO_ANSWER), rule, AT).due == AT + 600


def test_a_number_on_a_list_is_the_last_choice_and_does_not_finish_the_lead() -> None:
    """It may be taken off the list; whether it is there for good, the store finds out, and keeps that in mind."""
    one = lead(1, A, B, C)
    barred = msgspec.structs.replace(one.phones[1], barred="do_not_call")
    one = msgspec.structs.replace(one, phones=(one.phones[0], barred, one.phones[2]))
    after = rules.recycle(one, a_call(one, Result.NO_ANSWER), campaign(attempts=1), AT)
    assert after.lead.next_phone == one.phones[2].id
    after = rules.recycle(after.lead, a_call(after.lead, Result.NO_ANSWER, phone=2), campaign(attempts=1), AT)
    assert (after.lead.next_phone, after.finished) == (barred.id, None)


def test_a_result_that_does_not_count_leaves_the_attempts_but_has_its_own_limit() -> None:
    rule = campaign(
        attempts=1, attempts_per_contact=1, retry={Result.CONGESTION: RetryRule(attempts=3, counts=False)}
    )
    one = lead(1, A)
    for _ in range(2):
        after = rules.recycle(one, a_call(one, Result.CONGESTION), rule, AT)
        assert after.finished is None
        one = after.lead
    assert rules.recycle(one, a_call(one, Result.CONGESTION), rule, AT).finished == "no_number_left"
    assert rules.recycle(one, a_call(one, Result.BUSY), rule, AT).finished == "no_number_left"


# -- what the operator says ---------------------------------------------------------------


def test_a_conversation_finishes_the_lead_on_all_its_numbers() -> None:
    one = lead(1, A, B)
    after = rules.recycle(one, a_call(one, Result.TALKED), campaign(), AT)
    assert (after.due, after.finished) == (None, "talked")
    after = rules.recycle(one, a_call(one, Result.TALKED, operator_result="order"), campaign(), AT)
    assert after.finished == "order"


def test_an_operator_may_ask_for_another_call() -> None:
    one = lead(1, A, B)
    after = rules.recycle(one, a_call(one, Result.TALKED, operator_result="busy"), campaign(), AT)
    assert (after.due, numbers(after.lead, campaign())) == (AT + 180, A)


def test_an_operator_may_say_that_the_number_is_wrong() -> None:
    one = lead(1, A, B)
    wrong = a_call(one, Result.TALKED, operator_result="wrong_information")
    after = rules.recycle(one, wrong, campaign(), AT)
    assert (after.due, after.bad_phone, numbers(after.lead, campaign())) == (AT, one.phones[0].id, B)
    alone = lead(1, A)
    after = rules.recycle(
        alone, a_call(alone, Result.TALKED, operator_result="wrong_information"), campaign(), AT
    )
    assert after.finished == "no_number_left"


def test_a_result_that_the_campaign_no_longer_knows_finishes_the_lead() -> None:
    one = lead(1)
    after = rules.recycle(one, a_call(one, Result.TALKED, operator_result="busy"), own_results(), AT)
    assert after.finished == "talked"


def own_results() -> Campaign:
    return campaign(results=(OperatorResult(code="1", name="survey", title="Survey"),))


def test_a_campaign_may_have_its_own_results_and_reasons() -> None:
    assert [one.code for one in results.operator_results(campaign())] == list("1234567")
    assert [one.name for one in results.operator_results(own_results())] == ["survey"]
    assert results.operator_result(own_results(), "order") is None
    assert results.pause_reasons(None)["1"] == "break"
    assert results.pause_reasons(campaign(pause_reasons={"9": "prayer"})) == {"9": "prayer"}


def test_every_result_that_is_no_conversation_has_a_default_rule() -> None:
    assert set(results.DEFAULT_RETRY) == set(Result) - {Result.TALKED}


def test_an_operators_result_has_growth_and_a_choice_of_number_too() -> None:
    later = OperatorResult(
        code="1", name="later", title="Later", again_s=60.0, growth=2.0, phone="next", counts=False
    )
    rule = campaign(attempts=2, results=(later,))
    one = lead(1, A)
    for rest in (60, 120, 240):
        after = rules.recycle(one, a_call(one, Result.TALKED, operator_result="later"), rule, AT)
        assert after.due == AT + rest
        one = after.lead
    two = lead(1, A, B)
    after = rules.recycle(two, a_call(two, Result.TALKED, operator_result="later"), rule, AT)
    assert numbers(after.lead, rule) == B


def test_who_wants_no_more_calls_is_finished_whatever_else_the_result_says() -> None:
    stop = OperatorResult(code="1", name="stop", title="Stop", again_s=60.0, is_do_not_call=True)
    one = lead(1, A, B)
    after = rules.recycle(
        one, a_call(one, Result.TALKED, operator_result="stop"), campaign(results=(stop,)), AT
    )
    assert after.finished == "stop"


# -- whose the card is --------------------------------------------------------------------


def test_after_a_contact_the_card_belongs_to_the_operator() -> None:
    later = OperatorResult(code="1", name="later", title="Later", again_s=60.0)
    one = lead(1, A)
    talked = a_call(one, Result.TALKED, operator_result="later", agent=AgentId("anna"))
    after = rules.recycle(one, talked, campaign(results=(later,)), AT).lead
    assert (after.owner, after.owned_until) == ("anna", FOREVER)
    assert judging.is_owned(after, AT + 1e9)


def test_after_a_call_without_contact_it_is_held_for_a_time_and_returns_to_the_pool() -> None:
    rule = campaign(owners=Owners(hold_s=3600.0, away="wait"))
    one = lead(1, A)
    after = rules.recycle(
        one, a_call(one, Result.TALKED, operator_result="busy", agent=AgentId("anna")), rule, AT
    )
    assert (after.lead.owner, after.lead.owned_until) == ("anna", AT + 3600)
    assert judging.waits_for_owner(after.lead, rule, AT + 3599)
    assert not judging.waits_for_owner(after.lead, rule, AT + 3600)
    silent = rules.recycle(after.lead, a_call(one, Result.NO_ANSWER), rule, AT + 180)
    assert silent.lead.owner == "anna", "a call that nobody answered does not take it away"
    late = rules.recycle(after.lead, a_call(one, Result.NO_ANSWER), rule, AT + 3600)
    assert late.lead.owner is None
    none = rules.recycle(
        one, a_call(one, Result.TALKED, operator_result="busy", agent=AgentId("anna")), campaign(), AT
    )
    assert none.lead.owner is None


def test_who_waits_for_the_owner_waits_no_longer_than_the_campaign_says() -> None:
    owned = msgspec.structs.replace(lead(1, A), owner=AgentId("anna"), due=AT)
    assert not judging.waits_for_owner(owned, campaign(), AT), "by default anyone takes it"
    assert judging.waits_for_owner(owned, campaign(owners=Owners(away="wait")), AT + 1e9)
    an_hour = campaign(owners=Owners(away="wait", wait_s=3600.0))
    assert judging.waits_for_owner(owned, an_hour, AT + 3599)
    assert not judging.waits_for_owner(owned, an_hour, AT + 3600)


@pytest.mark.parametrize("mine", [True, False])
@pytest.mark.parametrize("result", [Result.TALKED, Result.NO_ANSWER, Result.FAILED])
def test_a_promised_call_is_due_when_it_was_promised_however_often_they_were_tried(
    mine: bool, result: Result
) -> None:
    one = msgspec.structs.replace(lead(1, A), owner=AgentId("boris"))
    tried = msgspec.structs.replace(one.phones[0], tried=("busy",) * 2)
    one = msgspec.structs.replace(one, phones=(tried,), ordinal=2)
    anna = AgentId("anna")
    call = a_call(one, result, callback_at=AT + 500, callback_agent=anna if mine else None, agent=anna)
    after = rules.recycle(one, call, campaign(), AT)
    assert (after.due, after.lead.is_promised, after.finished) == (AT + 500, True, None)
    assert after.lead.owner == (anna if mine else None)
    assert numbers(after.lead, campaign()) == A
    again = rules.recycle(after.lead, a_call(after.lead, Result.BUSY), campaign(), AT + 500)
    if result is not Result.FAILED:
        assert again.finished == "no_number_left", "a promise is kept once"


def test_what_counts_as_a_contact() -> None:
    one = lead(1, A)
    assert rules.is_contact(a_call(one, Result.TALKED), campaign())
    assert not rules.is_contact(a_call(one, Result.TALKED, operator_result="busy"), campaign())
    assert not rules.is_contact(a_call(one, Result.BUSY), campaign())
    reached = campaign(retry={Result.DECLINED: RetryRule(is_contact=True)})
    assert rules.is_contact(a_call(one, Result.DECLINED), reached)
    assert not rules.is_contact(a_call(one), campaign())


# -- calls to us ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tried", "again_s"),
    [
        ((), 60.0),
        (("no_answer",), 240.0),
        (("no_answer", "busy"), 960.0),
        (("no_answer",) * 9, 86_400.0),
        (("no_answer", "talked", "busy"), 240.0),
        (("no_answer", "talked:order"), 60.0),
    ],
)
def test_a_number_that_never_answers_is_not_rung_as_often_as_somebody_shows_it(
    tried: tuple[str, ...], again_s: float
) -> None:
    """A stranger can show anybody's number, call us, and hang up, a thousand times a day."""
    shown = lead(8)
    shown = msgspec.structs.replace(shown, phones=(msgspec.structs.replace(shown.phones[0], tried=tried),))
    call = a_call(shown, Result.MISSED, direction="in")
    after = rules.recycle(shown, call, campaign(), AT)
    assert (after.due, after.lead.is_promised) == (AT + again_s, True)
    asked = msgspec.structs.replace(call, choice="later", callback_at=AT)
    assert rules.recycle(shown, asked, campaign(), AT).due == AT, "who asks for it is called"
