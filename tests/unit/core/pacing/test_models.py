"""What the pacer stands on: crowds, spells, answers, budgets."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.core.pacing import crowd
from dialer.core.pacing.answers import AGES, Answers
from dialer.core.pacing.budget import DEEP, STOCK, Budget
from dialer.core.pacing.outlook import EXACT, Curve, Grid, Pool, grid_of, spread
from dialer.core.pacing.spells import BINS, EDGES, Leaving, Spells, Times, bin_of, survival
from tests.examples import IS_QUICK, examples

CHANCES = st.lists(st.floats(0.0, 1.0), max_size=7)


@settings(max_examples=examples(100), deadline=None)
@given(CHANCES, st.integers(1, 8))
def test_the_exact_tail_is_the_sum_over_all_cases(chances: list[float], n: int) -> None:
    total = 0.0
    for there in itertools.product((0, 1), repeat=len(chances)):
        if sum(there) >= n:
            total += math.prod(p if one else 1.0 - p for one, p in zip(there, chances))
    assert crowd.at_least(n, chances) == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_tail_by_cumulants_is_nearly_exact(seed: int) -> None:
    draw = random.Random(seed)
    chances = [draw.choice((draw.uniform(0.02, 0.5), draw.uniform(0.5, 1.0))) for _ in range(30 + 10 * seed)]
    mean = sum(chances)
    variance = sum(p * (1.0 - p) for p in chances)
    third = sum(p * (1.0 - p) * (1.0 - 2.0 * p) for p in chances)
    for n in range(round(mean) - 8, round(mean) + 9):
        assert crowd.tail(n, mean, variance, third) == pytest.approx(crowd.at_least(n, chances), abs=0.004)


def test_the_tail_of_a_certain_crowd_is_certain() -> None:
    assert crowd.tail(3, 4.0, 0.0, 0.0) == 1.0
    assert crowd.tail(5, 4.0, 0.0, 0.0) == 0.0


def _curve(share: float = 0.3) -> tuple[Curve, Grid]:
    answers = Answers()
    for _ in range(60):
        for age in (6, 8, 10, 12):
            answers.placed(1.0)
            for tick in range(1, age + 1):
                counts = [0] * AGES
                counts[tick] = 1
                answers.tick(counts, None)
            if age * share * 10 % 10 < 4:
                answers.answer(age, "", 1)
            else:
                answers.end(age, "", 1, False)
    answers.learn()
    grid = grid_of(answers)
    return Curve(answers, 1.0, [0.99] * 60, grid), grid


@pytest.mark.parametrize("operators", [3, EXACT, EXACT + 1, 40])
def test_each_call_more_is_a_greater_risk(operators: int) -> None:
    curve, grid = _curve()
    points = len(grid.instants)
    pool = Pool(frozenset({()}), frozenset({"spring"}))
    pool.clear(points, operators)
    pool.operators = operators
    for number in range(operators):
        pool.add(spread([1.0 - 0.5 * number / operators] * points))
    risks = []
    for _ in range(2 * operators):
        risks.append(pool.risk(curve, 1.0))
        pool.suppose(curve, 1.0)
    assert risks == sorted(risks)
    assert risks[-1] > risks[0]


@pytest.mark.parametrize("operators", [4, 30])
def test_what_was_supposed_is_taken_back(operators: int) -> None:
    curve, grid = _curve()
    pool = Pool(frozenset({()}), frozenset({"spring"}))
    pool.clear(len(grid.instants), operators)
    pool.operators = operators
    pool.add(spread([0.7] * len(grid.instants)), operators)
    before, here = pool.risk(curve, 1.0), pool.here()
    pool.suppose(curve, 1.0)
    assert pool.risk(curve, 1.0) > before
    pool.back(here)
    assert pool.risk(curve, 1.0) == before


@pytest.mark.parametrize("operators", [6, 20])
def test_one_who_comes_and_goes_leaves_nothing_behind(operators: int) -> None:
    curve, grid = _curve()
    points = len(grid.instants)
    pool = Pool(frozenset({()}), frozenset({"spring"}))
    pool.clear(points, operators)
    pool.operators = operators
    talk, wrap = spread([0.9] * points), spread([0.4] * points)
    pool.add(talk, operators)
    before = pool.risk(curve, 1.0)
    pool.swap(talk, wrap)
    assert pool.risk(curve, 1.0) < before
    pool.swap(wrap, talk)
    pool.add(curve.rows[3])
    pool.add(curve.rows[3], -1)
    assert pool.risk(curve, 1.0) == pytest.approx(before)


def test_a_new_call_takes_an_operator_as_soon_as_it_is_answered() -> None:
    answers = Answers()
    grid = Grid((2, 5, 9, 30))
    curve = Curve(answers, 1.0, [0.99] * 60, grid)
    left, answered_by = 1.0, [0.0]
    for h, e in zip(answers.hazard, answers.over):
        answered_by.append(answered_by[-1] + left * h)
        left *= 1.0 - h - e
    assert list(curve.rows[0][:4]) == pytest.approx([0.99 * answered_by[t] for t in grid.instants])
    assert sum(curve.flows[0]) == pytest.approx(curve.shares[0])
    assert sum(curve.weights) == pytest.approx(1.0)


# -- spells -----------------------------------------------------------------------------------


def test_bins_cover_all_ages_and_widen() -> None:
    assert EDGES[0] == 0
    assert all(a < b for a, b in itertools.pairwise(EDGES))
    assert [bin_of(EDGES[i]) for i in range(BINS)] == list(range(BINS))
    assert bin_of(-5.0) == 0
    assert bin_of(1e9) == BINS - 1


def test_without_evidence_nobody_is_expected_to_finish() -> None:
    assert survival(Spells().hazards(), 0, 60)[-1] == 1.0


def test_survival_given_the_age_is_what_was_seen() -> None:
    """Half of the talks take about 20 s and half 200 s: who is still at it after 60 s is not about to end."""
    draw = random.Random(5)
    spells = Spells()
    for _ in range(1500):
        spells.add(draw.uniform(15, 25) if draw.random() < 0.5 else draw.uniform(150, 250))
    hazards = spells.hazards()
    assert survival(hazards, 0, 30)[30] == pytest.approx(0.5, abs=0.05)
    assert survival(hazards, 60, 30)[30] > 0.97
    assert survival(hazards, 200, 30)[30] < 0.7


def test_spells_that_were_broken_off_are_not_taken_for_short_ones() -> None:
    short, cut = Spells(), Spells()
    for number in range(200):
        lasted = 100.0
        short.add(lasted)
        cut.add(lasted)
        if number % 2:
            short.add(30.0)
            cut.add(30.0, is_over=False)
    assert survival(short.hazards(), 0, 60)[60] < 0.75
    assert survival(cut.hazards(), 0, 60)[60] > 0.95


def test_what_is_long_past_is_forgotten() -> None:
    spells = Spells()
    for lasted in (*[100.0] * 500, *[10.0 + number % 20 for number in range(4000)]):
        spells.add(lasted)
    assert survival(spells.hazards(), 0, 40)[40] < 0.1
    for _ in range(60_000):
        spells.add(20.0)
    assert spells.weight < 1e10


def test_whoever_talks_is_taken_through_the_wrap_up() -> None:
    times = Times()
    for number in range(400):
        times.talked(40.0 + number % 20, True)
        times.wrap_up.add(10.0 + number % 20)
    taken = times.taken(60, 0.0)
    ahead = [5.0, 15.0, 40.0]
    talking = taken.talking(47, ahead)
    wrapping = taken.wrapping(15, ahead)
    assert talking == sorted(talking, reverse=True)
    assert talking[0] > 0.95
    assert talking[2] < 0.25
    assert wrapping[1] < 0.25
    assert times.taken(60, 0.5).wrapping(15, [40.0])[0] > 0.5


def test_a_break_that_begins_is_seen_within_some_spells() -> None:
    leaving = Leaving()
    for _ in range(500):
        leaving.finished(False)
    assert leaving.after < 0.02
    for _ in range(8):
        leaving.finished(True)
    assert leaving.after > 0.25
    for _ in range(200):
        leaving.finished(False)
    assert leaving.after < 0.06


# -- answers ----------------------------------------------------------------------------------


def _call(answers: Answers, ticks: int, is_answered: bool, kind: str = "", attempt: int = 1) -> None:
    answers.placed(1.0)
    for tick in range(1, ticks + 1):
        counts = [0] * AGES
        counts[tick] = 1
        answers.tick(counts, None)
    if is_answered:
        answers.answer(ticks, kind, attempt)
    else:
        answers.end(ticks, kind, attempt, False)


def test_without_evidence_many_answers_are_expected() -> None:
    answers = Answers()
    grid = grid_of(answers)
    assert Curve(answers, 1.0, [1.0] * 60, grid).share > 0.35


def test_the_chance_of_an_answer_is_learnt() -> None:
    answers = Answers()
    for number in range(800):
        _call(answers, 8 if number % 5 == 0 else 30, number % 5 == 0)
    answers.learn()
    share = Curve(answers, 1.0, [1.0] * 60, grid_of(answers)).share
    assert share == pytest.approx(0.2, abs=0.04)
    rate, low, high = answers.interval(share)
    assert 0.05 < low < rate < high < 0.4


def test_the_level_rises_at_once_and_falls_slowly() -> None:
    answers = Answers()
    for number in range(400):
        _call(answers, 8, number % 5 == 0)
        if number % 30 == 0:
            answers.learn()
    assert answers.level == pytest.approx(1.0, abs=0.3)
    for _ in range(10):
        _call(answers, 8, True)
    risen = answers.level
    assert risen > 1.2
    for _ in range(5):
        _call(answers, 8, False)
    assert answers.level > 1.0
    for _ in range(1000):
        _call(answers, 8, False)
    assert answers.level == pytest.approx(0.25, abs=0.1)


def test_what_the_hazards_have_learnt_the_level_does_not_count_again() -> None:
    """Far fewer answer than was thought at first: the level says so at once, and says no more once it is learnt."""
    answers = Answers()
    for number in range(400):
        _call(answers, 8 if number % 16 == 0 else 30, number % 16 == 0)
    assert answers.level < 0.5
    answers.learn()
    share = Curve(answers, 1.0, [1.0] * 60, grid_of(answers)).share
    assert share == pytest.approx(1 / 16, abs=0.03)
    assert share * answers.level == pytest.approx(1 / 16, abs=0.03)
    assert answers.level > 0.7


def test_kinds_of_phone_have_their_factor_and_few_data_have_none() -> None:
    answers = Answers()
    for number in range(1200):
        kind = "mobile" if number % 2 else "home"
        _call(answers, 8, number % 10 < 4 if kind == "mobile" else number % 10 < 1, kind)
        if number % 50 == 0:
            answers.learn()
    assert answers.factor_of("mobile", 1) > 0 > answers.factor_of("home", 1)
    assert answers.factor_of("satellite", 1) == 0


def test_where_all_calls_are_of_one_kind_there_is_no_factor() -> None:
    answers = Answers()
    for number in range(600):
        _call(answers, 8, number % 7 == 0)
        if number % 200 == 0:
            answers.learn()
    assert answers.factor_of("", 1) == 0


def test_unevenness_beyond_chance_is_seen_and_chance_is_not() -> None:
    def variation(shares: tuple[float, ...], seed: int) -> float:
        draw = random.Random(seed)
        answers = Answers()
        answers.learn()
        for second in range(6000):
            counts = [0] * AGES
            counts[5] = 3
            p = shares[second // 400 % len(shares)]
            answers.hazard = [0.0] * AGES
            answers.hazard[5] = sum(shares) / len(shares)
            answers.middle = [1e6, 1e6]
            answers.fast = [0.0, 0.0]
            answers.tick(counts, None)
            for _ in range(3):
                if draw.random() < p:
                    answers.answer(5, "", 1)
        return answers.variation

    seeds = 1 if IS_QUICK else 3
    assert all(variation((0.3,), seed) < 0.01 for seed in range(seeds))
    assert all(variation((0.1, 0.5), seed) > 0.1 for seed in range(seeds))


# -- budgets ----------------------------------------------------------------------------------


def test_who_owes_risks_less() -> None:
    thetas = []
    for abandoned in range(0, 60, 5):
        budget = Budget(0.03)
        budget.follow(0.0, 0, 0)
        budget.follow(1.0, 1000, abandoned)
        thetas.append(budget.theta)
    assert thetas == sorted(thetas, reverse=True)
    assert thetas[0] > thetas[-1]


def test_the_first_call_has_credit_that_is_paid_back() -> None:
    budget = Budget(0.03)
    budget.follow(0.0, 0, 0)
    assert budget.balance == 1.0
    budget.follow(1.0, 67, 0)
    assert budget.balance == pytest.approx(0.03 * 67, abs=0.01)


def test_old_savings_are_not_spent_at_once() -> None:
    budget = Budget(0.03)
    budget.follow(0.0, 100_000, 0)
    assert budget.balance <= STOCK[0]
    poor = Budget(0.03)
    poor.follow(0.0, 100_000, 3_050)
    assert poor.balance == pytest.approx(-50.0)
    assert poor.is_deep


def test_the_base_finds_the_risk_at_which_the_balance_settles() -> None:
    """What is abandoned is three times what the risk says: the base makes up for that."""
    draw = random.Random(2)
    budget, answered, abandoned = Budget(0.03), 0, 0
    balances, bases = [], []
    for second in range(20_000):
        answered += 1
        abandoned += draw.random() < 3.0 * budget.theta
        budget.follow(5.0 * second, answered, abandoned)
        balances.append(budget.balance)
        bases.append(budget.base)
    assert abandoned <= 0.03 * answered
    assert sum(balances[5000:]) / len(balances[5000:]) == pytest.approx(
        sum(STOCK[:2]) + 0.2 * STOCK[3], abs=1.0
    )
    assert sum(bases[5000:]) / len(bases[5000:]) == pytest.approx(-math.log(3.0), abs=0.7)


def test_evidence_that_is_lacking_holds_back_but_is_no_debt() -> None:
    budget = Budget(0.03)
    budget.follow(0.0, 50, 0, held_back=4.0)
    assert budget.balance < 0.0
    assert not budget.is_deep
    assert budget.theta < 0.03
    assert DEEP < 0.0
