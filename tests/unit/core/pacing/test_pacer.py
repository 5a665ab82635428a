"""The pacer: what holds whatever happens."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import pytest

from dialer.core.conduct import Pacing
from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Decision, Room
from dialer.core.pacing.pacer import Pacer
from dialer.lab.simulator.worlds import Crowd, Team
from tests.examples import IS_QUICK
from tests.unit.core.pacing.played import Recorded, Told, hour, play, rules

OFF = rules(cap=1.0)


@pytest.fixture(scope="module")
def day() -> Recorded:
    return play(hour(12, 15.0, is_whole=True, rules=OFF))


def again(day: Recorded, times: int = 1) -> None:
    pacer = Pacer()
    for step in day.steps:
        if isinstance(step, tuple):
            at, rooms, decision = step
            for _ in range(times):
                found = pacer.decide(at, rooms)
            assert found == decision
        else:
            for _ in range(times):
                pacer.tell(step)


def test_the_same_facts_give_the_same_answers(day: Recorded) -> None:
    again(day)


def test_facts_told_twice_change_nothing(day: Recorded) -> None:
    pacer = Pacer()
    for step in day.steps:
        if isinstance(step, tuple):
            assert pacer.decide(*step[:2]) == step[2]
        else:
            pacer.tell(step)
            pacer.tell(step)


def test_asking_twice_changes_nothing_that_is_placed() -> None:
    told = Told(rules=OFF)
    told.agents("idle", "ann", "bob", "cy")
    first = told.ask()
    assert told.ask() == first
    assert len(first.place) == 3


def test_an_idle_operator_never_waits_for_a_call() -> None:
    def look(pacer: Recorded, rooms: Sequence[Room], decision: Decision) -> None:
        idle = sum(one.presence == "idle" for one in pacer.operators.values())
        if rooms:
            assert idle <= pacer.unserved("spring") + len(decision.place)

    play(hour(10, 10.0, rules=OFF), look=look)


def test_more_is_placed_than_progressive_would_and_less_is_abandoned_than_promised() -> None:
    ahead = []

    def look(pacer: Recorded, rooms: Sequence[Room], decision: Decision) -> None:
        idle = sum(one.presence == "idle" for one in pacer.operators.values())
        ahead.append(pacer.unserved("spring") + len(decision.place) > idle)

    day = play(hour(8, 60.0, rules=OFF), look=look)
    assert sum(ahead) > len(ahead) / 2
    answered, abandoned = day.ledgers["spring"].totals(day.now)
    assert abandoned <= 0.03 * answered


def test_without_operators_nothing_is_placed() -> None:
    told = Told()
    decision = told.ask()
    assert decision.place == ()
    assert decision.reasons[0].limit == "no_operators"


def test_when_everyone_pauses_nothing_is_placed_until_one_is_back() -> None:
    told = Told(rules=OFF)
    names = [f"op{number}" for number in range(12)]
    told.agents("idle", *names)
    told.history(300)
    assert told.ask(after=1.0).place
    told.agents("away", *names)
    for _ in range(5):
        decision = told.ask(after=10.0)
        assert decision.place == ()
        assert decision.reasons[0].limit == "no_operators"
    told.agents("idle", "op3")
    assert told.ask(after=1.0).place == ("spring",)


def test_a_call_whose_end_was_never_told_does_not_count_for_ever() -> None:
    told = Told(ring_s=30.0)
    told.agents("idle", "ann")
    told.place()
    assert told.ask(after=1.0).place == ()
    assert told.ask(after=25.0).place == ()
    assert told.ask(after=40.0).place == ("spring",)


def test_a_person_of_whom_nothing_more_is_told_does_not_wait_for_ever() -> None:
    told = Told(wait_s=2.0)
    told.agents("idle", "ann")
    (call,) = told.place()
    told.tell(f.CallAnswered, call=call)
    assert told.ask(after=1.0).place == ()
    assert told.ask(after=10.0).place == ("spring",)


def test_a_call_that_is_over_is_not_begun_by_a_late_fact() -> None:
    told = Told()
    told.agents("idle", "ann")
    (call,) = told.place()
    told.tell(f.CallEnded, call=call)
    told.tell(f.CallPlaced, call=call, campaign="spring")
    assert told.ask().place == ("spring",)


def test_an_operator_of_whom_only_the_call_was_told_is_busy() -> None:
    told = Told()
    told.agents("idle", "ann")
    (call,) = told.place()
    told.tell(f.CallAnswered, call=call)
    told.tell(f.CallServed, call=call, agent="ann")
    decision = told.ask(after=1.0)
    assert decision.reasons[0].figures["busy"] == 1.0
    assert decision.place == ()
    told.agents("idle", "ann")
    told.tell(f.CallServed, call=call, agent="ann")  # told once more, too late
    assert told.ask(after=1.0).reasons[0].figures["idle"] == 1.0


def test_facts_of_unknown_calls_and_instants_gone_by_do_no_harm() -> None:
    told = Told()
    told.agents("idle", "ann")
    told.at = 100.0
    told.ask()
    told.at = 40.0
    told.tell(f.CallAnswered, call="nobody's")
    told.tell(f.CallServed, call="nobody's", agent="nobody")
    told.tell(f.CallEnded, call="nobody's")
    told.tell(f.CallPlaced, call="new", campaign="unheard of")
    told.agents("busy", "ann")
    told.agents("wrap_up", "ann")
    assert told.ask().place == ()
    told.at = 1e7
    told.agents("idle", "ann")
    assert told.ask().place == ("spring",)


def test_too_few_operators_are_dialed_for_progressively() -> None:
    told = Told(rules=msgspec.structs.replace(OFF, operators_min=5))
    told.agents("idle", "ann", "bob", "cy", "dee")
    told.history(500)
    told.ask(after=1.0)
    told.place(4)
    decision = told.ask(after=1.0)
    assert (decision.place, decision.reasons[0].limit) == ((), "too_few_operators")
    told.agents("idle", "eve", "flo")
    assert len(told.ask(after=1.0).place) > 2


def test_deep_debt_is_paid_back_progressively() -> None:
    told = Told(rules=OFF)
    told.agents("idle", *[f"op{number}" for number in range(10)])
    told.history(100, abandoned=20)
    told.place(10)
    decision = told.ask(after=1.0)
    assert (decision.place, decision.reasons[0].limit) == ((), "budget")
    told.tell(f.CallEnded, call="call300")
    assert told.ask().place == ("spring",)


def test_a_campaign_that_is_not_predictive_gets_what_idle_operators_cover() -> None:
    told = Told(rules=OFF, is_predictive=False)
    told.agents("idle", *[f"op{number}" for number in range(10)])
    told.history(500)
    decision = told.ask(after=1.0)
    assert len(decision.place) == 10
    assert decision.reasons[0].limit == "not_predictive"


def test_the_room_is_not_exceeded_and_its_limit_is_the_reason() -> None:
    told = Told(rules=OFF)
    told.agents("idle", *[f"op{number}" for number in range(10)])
    decision = told.ask(calls=3, limit="lines")
    assert len(decision.place) == 3
    assert decision.reasons[0].limit == "lines"


@pytest.mark.parametrize(("share", "seed"), [(0.03, 1), (0.02, 2)])
def test_the_cap_holds_even_if_the_worst_happens(share: float, seed: int) -> None:
    """After each call that was placed ahead of operators: if all of them answered now and all were abandoned."""
    checked = 0

    def look(pacer: Recorded, rooms: Sequence[Room], decision: Decision) -> None:
        nonlocal checked
        if not decision.place:
            return
        ledger = pacer.ledgers["spring"]
        waiting = sum(call.is_waiting for call in pacer.calls.values())
        idle = sum(one.presence == "idle" for one in pacer.operators.values())
        ahead = max(0, pacer.unserved("spring") + len(decision.place) - idle)
        if ahead:
            waiting = min(waiting, ahead)
            assert ledger.worst(pacer.now, ahead - waiting, waiting) <= share + 1e-9
            checked += 1

    play(hour(10, 40.0, rules=rules(share=share)), seed, look)
    assert checked > 10


def test_the_cap_binds_where_the_risk_would_not() -> None:
    def limit(promise: Pacing) -> tuple[int, str]:
        told = Told(rules=promise)
        told.history(400, abandoned=10)
        told.agents("idle", *[f"op{number}" for number in range(10)])
        decision = told.ask()
        return len(decision.place), decision.reasons[0].limit

    free, _ = limit(OFF)
    capped, why = limit(rules())
    assert free > capped == 12  # ten idle, and two that could both be lost: 12 of 402
    assert why == "cap"


def test_calls_are_given_up_when_operators_leave() -> None:
    told = Told(rules=OFF)
    names = [f"op{number}" for number in range(20)]
    told.agents("idle", *names)
    told.history(50)
    young, old = [], told.place(15)
    for call in old:
        told.tell(f.CallRang, call=call)
    told.ask(after=14.0)
    young = told.place(15)
    for call in young:
        told.tell(f.CallRang, call=call)
    assert told.ask(after=2.0).give_up == ()
    told.agents("away", *names[1:])
    decision = told.ask()
    assert decision.give_up
    assert set(decision.give_up) <= set(old)
    assert not set(told.ask(after=0.5).give_up) & set(decision.give_up)


def test_calls_are_given_up_when_nobody_is_left() -> None:
    told = Told(rules=OFF)
    names = [f"op{number}" for number in range(12)]
    told.agents("idle", *names)
    calls = told.place(12)
    for call in calls:
        told.tell(f.CallRang, call=call)
    told.agents("away", *names)
    assert told.ask(after=10.0).give_up == ()  # the law: nobody's phone rings for a moment only
    assert len(told.ask(after=6.0).give_up) >= 2


def test_calls_are_given_up_though_the_operators_of_others_stay() -> None:
    """They came and left within one minute, so no more left than came."""
    told = Told(rules=OFF)
    names = [f"op{number}" for number in range(12)]
    told.pacer.tell(f.CampaignSet(at=told.at, campaign="summer", rules=OFF))
    told.agents("idle", "other", campaigns=("summer",))
    told.agents("idle", *names, campaigns=("spring",))
    for call in told.place(12):
        told.tell(f.CallRang, call=call)
    told.agents("away", *names, campaigns=("spring",))
    assert len(told.ask(after=16.0).give_up) >= 2


def test_nothing_is_given_up_while_operators_stay() -> None:
    day = play(hour(10, 10.0, rules=OFF))
    assert not any(step[2].give_up for step in day.steps if isinstance(step, tuple))


def test_a_call_given_up_says_nothing_of_the_person() -> None:
    def rate(is_ours: bool) -> float:
        told = Told(rules=OFF)
        told.agents("idle", "ann")
        for _ in range(40):
            (call,) = told.place()
            told.at += 3.0
            told.tell(f.CallEnded, call=call, is_ours=is_ours)
        told.at += 60.0
        return told.ask().reasons[0].figures["answer_rate"]

    assert rate(is_ours=True) > 2 * rate(is_ours=False)


def test_what_was_learnt_outlives_the_process(day: Recorded) -> None:
    heir = Pacer()
    ledgers = {name: ledger.days() for name, ledger in day.ledgers.items()}
    knowledge = day.knowledge()
    heir.tell(next(step for step in day.steps if isinstance(step, f.CampaignSet)))
    heir.take_up(ledgers, knowledge, day.now)
    assert heir.knowledge() == knowledge
    assert heir.ledgers["spring"].totals(day.now) == day.ledgers["spring"].totals(day.now)
    told = f.AgentChanged(at=day.now, agent="ann", presence="idle")
    rooms = (Room(campaign="spring", calls=1),)
    heir.tell(told)
    ignorant = Pacer()
    ignorant.tell(told)
    known = heir.decide(day.now, rooms).reasons[0].figures["answer_rate"]
    assumed = ignorant.decide(day.now, rooms).reasons[0].figures["answer_rate"]
    assert known == pytest.approx(0.3, abs=0.08)
    assert assumed > known


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 7}', "\x00"])
def test_what_cannot_be_read_is_learnt_anew(text: str, day: Recorded) -> None:
    heir = Pacer()
    heir.take_up({}, {"campaign:spring": text}, 0.0)
    heir.tell(f.AgentChanged(at=0.0, agent="ann", presence="idle"))
    assert heir.decide(0.0, (Room(campaign="spring", calls=9),)).place == ("spring",)


def test_knowledge_is_shared_by_those_who_say_so(day: Recorded) -> None:
    pacer = Pacer()
    for name, word in (("a", "shops"), ("b", "shops"), ("c", "")):
        pacer.tell(f.CampaignSet(at=0.0, campaign=name, rules=Pacing(knowledge=word)))
        pacer.decide(0.0, (Room(campaign=name, calls=1),))
    assert set(pacer.knowledge()) == {"shops", "campaign:c"}


def test_knowledge_taken_up_while_calls_are_in_flight_counts_them_still() -> None:
    told = Told()
    told.agents("idle", "ann")
    told.place()
    told.pacer.take_up({}, told.pacer.knowledge(), told.at)
    decision = told.ask(after=1.0)
    assert decision.place == ()
    assert decision.reasons[0].figures["in_flight"] == 1.0


def test_a_small_team_is_told_how_little_its_share_says() -> None:
    told = Told(rules=OFF)
    told.agents("idle", "ann", "bob", "cy")
    told.history(51)
    assert "51" in told.ask(after=1.0).reasons[0].note


def test_steered_against_the_bound_it_waits_for_evidence_and_says_so() -> None:
    told = Told(rules=rules(cap=1.0, against="bound"))
    told.agents("idle", *[f"op{number}" for number in range(10)])
    told.history(40)
    reason = told.ask(after=1.0).reasons[0]
    assert reason.figures["budget"] < 0.0
    assert "95 %" in reason.note
    told.history(1500)
    reason = told.ask(after=30.0).reasons[0]
    assert reason.figures["budget"] > 0.0
    assert reason.note == ""


# -- several campaigns ------------------------------------------------------------------------


def _decide(told: Told, *rooms: Room, after: float = 1.0) -> Decision:
    told.at += after
    return told.pacer.decide(told.at, rooms)


def _counts(decision: Decision) -> dict[str, int]:
    return {name: decision.place.count(name) for name in decision.place}


def test_equal_campaigns_share_operators_fairly() -> None:
    told = Told(rules=OFF)
    told.campaign("summer", rules=OFF)
    told.agents("idle", *[f"op{number}" for number in range(10)])
    counts = _counts(_decide(told, Room(campaign="spring", calls=99), Room(campaign="summer", calls=99)))
    assert abs(counts["spring"] - counts["summer"]) <= 1


def test_the_better_priority_goes_first() -> None:
    told = Told(rules=OFF)
    told.campaign("summer", rules=OFF)
    told.agents("idle", *[f"op{number}" for number in range(10)])
    rooms = (Room(campaign="spring", calls=99, priority=2), Room(campaign="summer", calls=4, priority=1))
    decision = _decide(told, *rooms)
    assert decision.place[:4] == ("summer",) * 4
    assert set(decision.place[4:]) == {"spring"}


def test_teams_apart_do_not_know_of_each_other() -> None:
    def risk(crowded: bool) -> float:
        told = Told(rules=OFF)
        told.campaign("summer", rules=OFF)
        told.agents("busy", *[f"a{number}" for number in range(10)], campaigns=("spring",))
        told.agents("busy", *[f"b{number}" for number in range(10)], campaigns=("summer",))
        if crowded:
            told.place(40, "summer")
        return _decide(told, Room(campaign="spring", calls=9)).reasons[0].figures["risk"]

    assert risk(True) == pytest.approx(risk(False))


def test_calls_of_others_who_share_the_operators_count() -> None:
    def risk(crowded: bool, is_predictive: bool) -> float:
        told = Told(rules=OFF)
        told.campaign("summer", rules=OFF, is_predictive=is_predictive)
        told.agents("busy", *[f"a{number}" for number in range(10)], campaigns=("spring",))
        told.agents("busy", *[f"b{number}" for number in range(10)], campaigns=("spring", "summer"))
        told.agents("busy", *[f"c{number}" for number in range(10)], campaigns=("summer",))
        if crowded:
            told.place(40, "summer")
        return _decide(told, Room(campaign="spring", calls=9)).reasons[0].figures["risk"]

    for is_predictive in (True, False):
        assert risk(True, is_predictive) > risk(False, is_predictive)


def test_a_campaign_that_owes_is_not_starved_by_one_that_does_not() -> None:
    """Each answered call that an operator takes pays a debt back: there must be some."""
    crowds = (Crowd(campaign="spring", answers=0.3), Crowd(campaign="summer", answers=0.3))
    placed = {"spring": 0, "summer": 0}

    def look(pacer: Recorded, rooms: Sequence[Room], decision: Decision) -> None:
        if not pacer.ledgers["spring"].totals(pacer.now)[0]:
            for number in range(20):
                Pacer.tell(pacer, f.CallPlaced(at=pacer.now, call=f"x{number}", campaign="spring"))
                Pacer.tell(pacer, f.CallAnswered(at=pacer.now, call=f"x{number}"))
                if number < 3:
                    Pacer.tell(pacer, f.CallAbandoned(at=pacer.now, call=f"x{number}"))
                Pacer.tell(pacer, f.CallEnded(at=pacer.now, call=f"x{number}"))
        for name in decision.place:
            placed[name] += 1

    play(hour(10, 30.0, rules=OFF, crowds=crowds), look=look)
    assert placed["spring"] > placed["summer"] / 4


def test_a_day_of_two_campaigns_with_teams_that_overlap_holds_for_both() -> None:
    crowds = (Crowd(campaign="spring"), Crowd(campaign="summer", answers=0.2))
    team = Team(operators=12, groups=((), ("spring",), ("summer",)), pauses_per_hour=4.0)
    day = play(hour(12, 20.0, rules=OFF, crowds=crowds, team=team))
    for name in ("spring", "summer"):
        answered, abandoned = day.ledgers[name].totals(day.now)
        assert answered > 20
        assert abandoned <= 0.03 * answered + 1


@pytest.mark.parametrize("seed", [3, 4])
def test_what_is_counted_step_by_step_is_what_is_counted_anew(seed: int) -> None:
    """The sums that follow each fact agree with a count of everybody at the same instant."""
    looked = itertools.count()

    def look(pacer: Recorded, rooms: Sequence[Room], decision: Decision) -> None:
        if next(looked) % 50 or not pacer.pools or pacer.is_stale:
            return
        pool = pacer.pools[0]
        told = [pool.operators, pool.idle, pool.wrap_ups, pool.unserved]
        pacer.is_stale = True
        pacer.count()
        pool = pacer.pools[0]
        assert told == [pool.operators, pool.idle, pool.wrap_ups, pool.unserved]

    world = hour(15, 10.0, rules=OFF, team=Team(operators=15, pauses_per_hour=6.0), doubled=0.05)
    play(world, seed, look)
    assert next(looked) > (400 if IS_QUICK else 600), "in `./dev check` the day is half as long"
