"""The hopper: never dry for ever, never twice the same lead, never a lead from a stale answer."""

from __future__ import annotations

import msgspec

from dialer.core.events import FreshLead
from dialer.core.hopper import ASK_AGAIN_S, LOOK_AGAIN_S, LOW, MOST, Hopper
from dialer.core.ids import AttemptId, LeadId, PhoneId
from dialer.core.values import LeadPhone
from tests.unit.core.world import lead

AT = 1000.0


def fresh(*numbers: int) -> list[FreshLead]:
    return [FreshLead(lead=lead(n), attempt=AttemptId(f"a{n:020d}")) for n in numbers]


def ask(hopper: Hopper, at: float = AT, wanted: int = 0) -> int | None:
    return hopper.ask(wanted=wanted, live=0, at=at)


def filled(*numbers: int) -> Hopper:
    hopper = Hopper()
    ask(hopper)
    hopper.fill(fresh(*numbers), live=(), at=AT)
    return hopper


def test_it_asks_when_it_is_low_and_once_at_a_time() -> None:
    hopper = Hopper()
    assert ask(hopper) == LOW
    assert ask(hopper) is None
    assert hopper.fill(fresh(*range(LOW)), live=(), at=AT) == LOW
    assert ask(hopper) is None, "it has enough"
    hopper.pop()
    assert ask(hopper) is not None


def test_it_asks_for_what_is_wanted_and_for_what_the_store_cannot_know_is_here() -> None:
    hopper = filled(1, 2)
    assert hopper.ask(wanted=10, live=7, at=AT) == 20 + 2 + 7
    hopper = Hopper()
    assert hopper.ask(wanted=10_000, live=0, at=AT) == MOST


def test_leads_that_are_here_or_live_are_not_taken_twice() -> None:
    hopper = filled(1, 2)
    ask(hopper)
    assert hopper.fill(fresh(1, 2, 3, 4), live={LeadId(3)}, at=AT) == 1
    assert [hopper.pop().lead.id for _ in range(len(hopper))] == [1, 2, 4]


def test_a_lead_released_while_the_answer_was_on_its_way_is_dropped_from_it() -> None:
    hopper = filled(1)
    ask(hopper)
    hopper.pop()
    hopper.release(LeadId(1))
    assert hopper.fill(fresh(1), live=(), at=AT) == 0
    assert ask(hopper) is not None, "the answer was stale, not empty"
    assert hopper.fill(fresh(1), live=(), at=AT) == 1


def test_a_lead_released_before_the_question_may_be_in_the_answer() -> None:
    hopper = filled(1)
    hopper.pop()
    hopper.release(LeadId(1))
    ask(hopper)
    assert hopper.fill(fresh(1), live=(), at=AT) == 1


def test_an_empty_answer_is_believed_for_a_while() -> None:
    hopper = filled()
    assert ask(hopper, AT + LOOK_AGAIN_S - 0.1) is None
    assert ask(hopper, AT + LOOK_AGAIN_S) is not None


def test_a_wake_ends_the_belief_also_when_it_came_during_the_question() -> None:
    hopper = filled()
    hopper.wake()
    assert ask(hopper, AT + 1) is not None
    hopper.wake()
    hopper.fill((), live=(), at=AT + 1)
    assert ask(hopper, AT + 1) is not None


def test_exhausted_is_what_the_last_answer_said_until_something_happens() -> None:
    hopper = Hopper()
    ask(hopper)
    hopper.fill((), live=(), at=AT, is_unfinished=True)
    assert not hopper.is_exhausted
    hopper.wake()
    ask(hopper)
    hopper.fill((), live=(), at=AT, is_unfinished=False)
    assert hopper.is_exhausted


def test_exhausted_is_not_believed_of_an_answer_older_than_the_wake() -> None:
    hopper = Hopper()
    ask(hopper)
    hopper.wake()
    hopper.fill((), live=(), at=AT, is_unfinished=False)
    assert not hopper.is_exhausted
    ask(hopper)
    hopper.fill((), live=(), at=AT, is_unfinished=False)
    hopper.wake()
    assert not hopper.is_exhausted


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    hopper = filled(1)
    hopper.pop()
    assert hopper.fill(fresh(1), live=(), at=AT) == 0
    assert len(hopper) == 0


def test_a_question_that_is_never_answered_is_asked_again_and_its_late_answer_is_dropped() -> None:
    hopper = Hopper()
    ask(hopper)
    first = hopper.asked
    assert ask(hopper, AT + ASK_AGAIN_S - 0.1) is None
    assert ask(hopper, AT + ASK_AGAIN_S) is not None
    assert hopper.fill(fresh(1), live=(), at=AT, ask=first) == 0
    assert hopper.fill(fresh(2), live=(), at=AT, ask=hopper.asked) == 1


def test_what_was_released_since_the_first_of_two_questions_stays_released() -> None:
    hopper = Hopper()
    ask(hopper)
    hopper.release(LeadId(1))
    ask(hopper, AT + ASK_AGAIN_S)
    assert hopper.fill(fresh(1, 2), live=(), at=AT) == 1


def test_a_lead_that_cannot_be_dialed_now_goes_to_the_end() -> None:
    hopper = filled(1, 2)
    hopper.put_back(hopper.pop())
    assert [hopper.pop().lead.id for _ in range(2)] == [2, 1]


def test_a_lead_that_is_out_of_date_is_removed_here_and_from_the_answer_on_its_way() -> None:
    hopper = filled(1, 2)
    ask(hopper)
    hopper.remove(LeadId(1))
    assert hopper.fill(fresh(1), live=(), at=AT) == 0
    assert [hopper.pop().lead.id for _ in range(len(hopper))] == [2]


def phone_of(hopper: Hopper) -> dict[LeadId, bool]:
    """Whether the one number of each lead at hand is bad."""
    ones = [hopper.pop() for _ in range(len(hopper))]
    return {one.lead.id: one.lead.phones[0].is_bad for one in ones}


NUMBER_OF = {LeadId(n): f"+7000000{n}" for n in range(10)}


def numbered(*numbers: int) -> list[FreshLead]:
    """Leads with one number each; lead and number have the same id."""
    return [
        msgspec.structs.replace(
            one,
            lead=msgspec.structs.replace(
                one.lead, phones=(LeadPhone(id=PhoneId(one.lead.id), number=NUMBER_OF[one.lead.id]),)
            ),
        )
        for one in fresh(*numbers)
    ]


def test_a_number_found_bad_is_bad_here_and_in_the_answer_on_its_way() -> None:
    hopper = Hopper()
    ask(hopper)
    hopper.fill(numbered(1, 2), live=(), at=AT)
    ask(hopper)
    hopper.mark_bad(PhoneId(1), NUMBER_OF[LeadId(1)])
    hopper.mark_bad(PhoneId(3), NUMBER_OF[LeadId(3)])
    hopper.fill(numbered(3, 4), live=(), at=AT)
    assert phone_of(hopper) == {1: True, 2: False, 3: True, 4: False}
    ask(hopper)
    hopper.fill(numbered(3), live=(), at=AT)
    assert phone_of(hopper) == {3: False}, "the store knew by then"


def test_leads_whose_number_may_be_good_after_all_are_asked_for_again() -> None:
    hopper = Hopper()
    ask(hopper)
    hopper.fill(numbered(1, 2), live=(), at=AT)
    ask(hopper)
    hopper.mark_bad(PhoneId(1), NUMBER_OF[LeadId(1)])
    hopper.doubt(NUMBER_OF[LeadId(1)])
    hopper.doubt(NUMBER_OF[LeadId(3)])
    hopper.fill(numbered(1, 3), live=(), at=AT)
    assert phone_of(hopper) == {2: False}
    assert ask(hopper) is not None, "at once"
    hopper.fill(numbered(1, 3), live=(), at=AT)
    assert phone_of(hopper) == {1: False, 3: False}


def test_what_was_given_up_may_come_again() -> None:
    hopper = filled(1)
    hopper.clear()
    assert len(hopper) == 0
    ask(hopper)
    assert hopper.fill(fresh(1), live=(), at=AT) == 1
