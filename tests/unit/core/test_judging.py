"""The judgement: which number may be dialed now, or which rule keeps it back and until when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dialer.core.judging import judge, outcome
from dialer.core.values import FOREVER, CallingHours, Hold, Lead, Result, RetryRule
from tests.unit.core.world import campaign, lead

AT = 5000.0
A, B, C = "+70000001", "+70000002", "+70000003"


def known(of: Lead, *facts: dict[str, Any]) -> Lead:
    """The lead with these facts of its numbers, one after another."""
    phones = [msgspec.structs.replace(phone, **fact) for phone, fact in zip(of.phones, facts, strict=False)]
    return msgspec.structs.replace(of, phones=(*phones, *of.phones[len(phones) :]))


@pytest.mark.parametrize(
    ("fact", "rule", "until"),
    [
        ({}, "", AT),
        ({"is_bad": True}, "bad_number", None),
        ({"barred": "do_not_call"}, "do_not_call", None),
        ({"barred": "blocked"}, "blocked", None),
        ({"tried": ("busy", "no_answer", "talked")}, "tried", None),
        ({"tried": ("invalid",)}, "result", None),
        ({"hours": (AT + 60, AT + 120)}, "hours", AT + 60),
        ({"hours": (AT - 60, AT)}, "hours", AT),
        ({"hours": (AT, AT + 1)}, "", AT),
        ({"hours": None, "zones": ("Europe/Moscow",)}, "no_hours", None),
        ({"hours": None}, "unknown_zone", None),
        ({"held": Hold(until=AT + 5, rule="gap")}, "gap", AT + 5),
        ({"held": Hold(until=AT, rule="gap")}, "", AT),
    ],
)
def test_each_rule_keeps_a_number_back(fact: dict[str, Any], rule: str, until: float | None) -> None:
    verdict = judge(known(lead(1, A), fact), campaign(), AT)
    assert (verdict.rule, verdict.until) == (rule, until)
    assert (verdict.phone is None) == bool(rule)
    assert [one.rule for one in verdict.phones] == [rule]


def test_a_zone_that_the_campaign_assumes_is_no_unknown_one() -> None:
    hours = CallingHours(kinds={}, unknown_zone="Europe/Moscow")
    assert judge(known(lead(1, A), {"hours": None}), campaign(hours=hours), AT).rule == "no_hours"


def test_the_next_number_in_turn_goes_first_and_another_one_when_it_may_not_be_dialed() -> None:
    one = lead(1, A, B, C)
    second = msgspec.structs.replace(one, next_phone=one.phones[1].id)
    assert dialed(second) == B
    assert dialed(known(second, {}, {"hours": (AT + 60, AT + 120)})) == A
    assert dialed(known(second, {"is_bad": True}, {"barred": "blocked"})) == C


def dialed(of: Lead) -> str | None:
    phone = judge(of, campaign(), AT).phone
    return phone.number if phone else None


def test_a_lead_waits_for_the_first_of_its_numbers_that_opens() -> None:
    one = known(
        lead(1, A, B, C),
        {"hours": (AT + 60, AT + 120)},
        {"held": Hold(until=AT + 30, rule="number_per_24h")},
        {"is_bad": True},
    )
    verdict = judge(one, campaign(), AT)
    assert (verdict.phone, verdict.rule, verdict.until) == (None, "number_per_24h", AT + 30)
    assert [one.rule for one in verdict.phones] == ["hours", "number_per_24h", "bad_number"]


def test_a_lead_without_a_future_says_why() -> None:
    barred = {"barred": "do_not_call"}
    assert judge(known(lead(1, A, B), barred, barred), campaign(), AT).rule == "do_not_call"
    mixed = judge(known(lead(1, A, B), barred, {"is_bad": True}), campaign(), AT)
    assert (mixed.rule, mixed.until) == ("no_number_left", None)
    assert judge(lead(1, phones=()), campaign(), AT).rule == "no_number_left"


def test_a_cap_on_the_contact_keeps_all_its_numbers_back() -> None:
    one = msgspec.structs.replace(lead(1, A, B), held=Hold(until=AT + 9, rule="contact_per_day"))
    verdict = judge(one, campaign(), AT)
    assert (verdict.phone, verdict.rule, verdict.until) == (None, "contact_per_day", AT + 9)
    closed = known(one, {"hours": (AT + 60, FOREVER)}, {"hours": (AT + 60, FOREVER)})
    assert judge(closed, campaign(), AT).rule == "hours", "what lasts longer is told"
    never = known(one, {"is_bad": True}, {"is_bad": True})
    assert judge(never, campaign(), AT).until is None


def test_attempts_on_a_contact_count_over_its_numbers() -> None:
    one = known(lead(1, A, B), {"tried": ("busy",)}, {"tried": ("busy",)})
    assert judge(one, campaign(attempts_per_contact=2), AT).rule == "tried_contact"
    assert judge(one, campaign(attempts_per_contact=3), AT).rule == ""
    free = campaign(attempts_per_contact=2, retry={Result.BUSY: RetryRule(counts=False)})
    assert judge(one, free, AT).rule == ""


@pytest.mark.parametrize("tried", [("busy",) * 3, ("talked:later", "talked:later", "talked")])
def test_a_promised_call_is_made_however_often_they_were_tried(tried: tuple[str, ...]) -> None:
    one = known(lead(1, A), {"tried": tried})
    promised = msgspec.structs.replace(one, is_promised=True)
    rule = campaign(attempts_per_contact=2)
    assert judge(one, rule, AT).phone is None
    assert judge(promised, rule, AT).rule == ""


@pytest.mark.parametrize(
    ("fact", "rule"),
    [
        ({"barred": "do_not_call"}, "do_not_call"),
        ({"hours": (AT + 1, AT + 2)}, "hours"),
        ({"held": Hold(until=AT + 1, rule="gap")}, "gap"),
        ({"is_bad": True}, "bad_number"),
    ],
)
def test_a_promise_is_no_leave_to_break_the_other_rules(fact: dict[str, Any], rule: str) -> None:
    promised = msgspec.structs.replace(known(lead(1, A), fact), is_promised=True)
    assert judge(promised, campaign(), AT).rule == rule


def test_what_an_operator_said_is_told_apart_from_what_the_telephone_did() -> None:
    assert outcome(Result.BUSY, None) == "busy"
    assert outcome(Result.TALKED, "busy") == "talked:busy"
    assert outcome(Result.TALKED, None) == "talked"
    assert outcome(Result.ABANDONED, "busy") == "abandoned"
    said = known(lead(1, A), {"tried": ("talked:busy",) * 3})
    rule = campaign(attempts=9, retry={Result.BUSY: RetryRule(attempts=1)})
    assert judge(said, rule, AT).rule == "", "an operator's busy is not the telephone's"
