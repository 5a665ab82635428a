"""Seeded days: what must be true is checked all along, and everybody's story is held against the journal."""

from __future__ import annotations

import random

import msgspec
import pytest

from dialer.core.ids import AttemptId, TrunkId
from dialer.core.pacing import progressive
from dialer.core.values import CallState, CampaignState, Result
from dialer.lab.simulator.books import check_books
from dialer.lab.simulator.day import Day
from dialer.lab.simulator.invariants import check
from dialer.lab.simulator.plan import Fault, Kind, Plan
from dialer.lab.simulator.plans import plan, simulate
from tests.examples import IS_QUICK

KINDS: tuple[Kind, ...] = ("socket", "engine", "journal", "trunk", "refusing", "lying", "doubled", "slow")


def faults(seed: int, seconds: float) -> list[Fault]:
    """Every kind of fault some time, and the engine's death some times more."""
    rng = random.Random(seed)
    return [
        Fault(kind=kind, at_s=rng.uniform(60.0, seconds - 120.0), length_s=rng.choice((0.3, 3.0, 20.0, 70.0)))
        for kind in (*KINDS, "engine", "engine")
    ]


@pytest.mark.parametrize("seed", range(2 if IS_QUICK else 40))
def test_a_day_of_faults_keeps_every_promise_after_every_event(seed):
    hours = 0.2 if IS_QUICK else 0.5
    day = simulate(plan(seed, agents=6, hours=hours, faults=faults(seed, hours * 3600), check_s=0))
    books = check_books(day.stories, day.calls)
    assert day.started > 1
    assert books.results[Result.TALKED] > 10


def test_a_day_of_several_carriers_that_fail_keeps_every_cap_and_counts_every_person_once():
    made = plan(3, agents=6, hours=0.2, faults=faults(3, 720.0), check_s=0)
    (first,) = made.trunks
    more = [
        msgspec.structs.replace(
            first, id=TrunkId(name), channels_max=3, calls_per_second_max=2.0, priority=place
        )
        for place, name in enumerate(("second", "third"), 101)
    ]
    campaigns = [
        msgspec.structs.replace(one, trunks=(TrunkId("second"), TrunkId("third"))) for one in made.campaigns
    ]
    trunks = (msgspec.structs.replace(first, channels_max=5, calls_per_second_max=3.0), *more)
    habits = msgspec.structs.replace(made.habits, congestion=0.3)
    day = simulate(msgspec.structs.replace(made, trunks=trunks, campaigns=tuple(campaigns), habits=habits))
    books = check_books(day.stories, day.calls)
    assert books.results[Result.REROUTED] > 5
    assert {call.trunk for call in day.calls.values()} == {one.id for one in trunks}
    for call in day.calls.values():
        if call.after is not None:
            before = day.calls[call.after]
            assert (before.result, before.number, before.ordinal) == (
                Result.REROUTED,
                call.number,
                call.ordinal,
            )


@pytest.fixture(scope="module")
def sunny() -> Day:
    """An hour without faults."""
    return simulate(plan(7, agents=12, hours=0.3))


def test_on_a_sunny_day_everybody_who_answers_is_joined_and_at_once(sunny):
    books = check_books(sunny.stories, sunny.calls)
    answered = [story for story in sunny.stories if story.answered_at is not None]
    stayed = [story for story in answered if (story.ended_at or 0) - (story.answered_at or 0) > 2.0]
    assert all(story.joined_at is not None for story in stayed)
    assert len(books.waits_s) > 40
    assert max(books.waits_s) < 2.0, "rung operators pick up within 1.5 s"


def test_operators_of_every_kind_and_campaign_had_work(sunny):
    talked = [call for call in sunny.calls.values() if call.result is Result.TALKED]
    assert {call.campaign for call in talked} == {one.id for one in sunny.plan.campaigns}
    legs = {card.id: card.leg for card in sunny.plan.cards}
    assert {legs[call.agent] for call in talked if call.agent} == {"parked", "rung"}
    assert any(call.operator_result for call in talked)


def test_the_same_seed_makes_the_same_day(sunny):
    again = simulate(plan(7, agents=12, hours=0.3))
    assert again.stories == sunny.stories
    assert again.calls == sunny.calls
    assert again.seen == sunny.seen
    assert simulate(plan(8, agents=12, hours=0.3)).stories != sunny.stories


def test_a_campaign_whose_leads_are_used_up_is_finished():
    made = plan(5, agents=6, hours=0.5)
    few = tuple(lead for lead in made.leads if lead.campaign == "spring")[:12]
    made = msgspec.structs.replace(made, leads=few, campaigns=made.campaigns[:1], length_s=7200.0)
    day = simulate(made)
    assert day.floor.desks[made.campaigns[0].id].state is CampaignState.FINISHED


@pytest.mark.skipif(IS_QUICK, reason="takes half a minute")
def test_eight_hours_of_a_hundred_operators():
    day = simulate(plan(1))
    books = check_books(day.stories, day.calls)
    assert books.attempts > 20_000
    assert books.talk_s / 100 > 4 * 3600.0, "an operator talks for more than half of the day"


# -- the checks find what they are for -----------------------------------------------------------


def first(day: Day, result: Result):
    return next(call for call in day.calls.values() if call.result is result)


def test_books_find_a_result_that_the_person_did_not_live(sunny):
    call = first(sunny, Result.BUSY)
    changed = {**sunny.calls, call.attempt: msgspec.structs.replace(call, result=Result.NO_ANSWER)}
    with pytest.raises(AssertionError, match=r"NO_ANSWER"):
        check_books(sunny.stories, changed)


def test_books_find_a_call_that_is_not_in_the_journal(sunny):
    call = first(sunny, Result.BUSY)
    rest = {attempt: one for attempt, one in sunny.calls.items() if attempt != call.attempt}
    with pytest.raises(AssertionError, match="rung and not in the journal"):
        check_books(sunny.stories, rest)


def test_books_find_a_call_that_nobody_got(sunny):
    call = first(sunny, Result.BUSY)
    rest = [story for story in sunny.stories if story.attempt != call.attempt]
    with pytest.raises(AssertionError, match="nobody was rung for"):
        check_books(rest, sunny.calls)


def test_books_find_a_person_who_was_rung_twice(sunny):
    with pytest.raises(AssertionError, match="rung twice for one attempt"):
        check_books([*sunny.stories, sunny.stories[0]], sunny.calls)
    story = sunny.stories[0]
    late = msgspec.structs.replace(story, attempt="x", invited_at=story.invited_at)
    call = msgspec.structs.replace(sunny.calls[AttemptId(story.attempt)], attempt="x")
    with pytest.raises(AssertionError, match="was rung twice at once"):
        check_books([*sunny.stories, late], {**sunny.calls, AttemptId("x"): call})


def test_books_find_an_attempt_without_an_end(sunny):
    call = first(sunny, Result.BUSY)
    changed = {**sunny.calls, call.attempt: msgspec.structs.replace(call, state=CallState.RINGING)}
    with pytest.raises(AssertionError, match="never ended"):
        check_books(sunny.stories, changed)


def test_a_floor_that_dials_more_than_it_has_operators_for_is_found(monkeypatch):
    monkeypatch.setattr(progressive, "is_anyone_left", lambda *_: True)
    place = progressive.place

    def greedy(demands, ready):
        return place([msgspec.structs.replace(one, unserved=0) for one in demands], ready)

    monkeypatch.setattr(progressive, "place", greedy)
    with pytest.raises(AssertionError, match="more calls in flight than operators"):
        simulate(short())


def test_a_floor_that_counts_wrong_is_found():
    made = short()
    day = simulate(made)
    check(day.floor, saved=day.calls, armed=day._armed)
    day.floor._state.live_numbers.add("+7")
    with pytest.raises(AssertionError):
        check(day.floor, saved=day.calls, armed=day._armed)


def short() -> Plan:
    return plan(2, agents=4, hours=0.1)
