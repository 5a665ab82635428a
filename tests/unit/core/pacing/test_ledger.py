"""The ledger: what falls into the window, what was promised, and the bound for every window at once."""

from __future__ import annotations

import random

import pytest

from dialer.core.conduct import Abandonment, Pacing
from dialer.core.pacing import bound
from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Book
from dialer.core.pacing.ledger import DAY_S, KEPT_DAYS, DayCount, Ledger

MIDNIGHT = 20_000 * DAY_S
RULES = Abandonment()


def at(day: int, s: float = 36_000.0) -> float:
    return MIDNIGHT + day * DAY_S + s


def test_the_window_slides_with_the_days() -> None:
    ledger = Ledger(Abandonment(window_days=3))
    for day in range(6):
        for _ in range(10):
            ledger.answered(at(day))
        ledger.abandoned(at(day))
        inside = min(3, day + 1)
        assert ledger.totals(at(day)) == (10 * inside, inside)
        assert ledger.today(at(day)) == DayCount(20_000 + day, 10, 1)
    assert ledger.totals(at(7)) == (10, 1)
    assert ledger.totals(at(8)) == (0, 0)
    assert ledger.share(at(8)) == 0.0


def test_the_sums_are_those_of_the_days() -> None:
    drawn = random.Random(5)
    ledger = Ledger(RULES)
    now = at(0)
    for step in range(1000):
        now += drawn.choice([1.0, 600.0, 40_000.0, -3.0])
        ledger.answered(now)
        if drawn.random() < 0.1:
            ledger.abandoned(now)
        if step % 500 == 250:
            ledger.set_rules(Abandonment(window_days=drawn.choice([1, 7, 30, 90])))
        first = int(now // DAY_S) - ledger.rules.window_days + 1
        inside = [one for one in ledger.days() if one.day >= first]
        assert ledger.totals(now) == (
            sum(one.answered for one in inside),
            sum(one.abandoned for one in inside),
        )


def test_who_answered_before_midnight_counts_on_that_day() -> None:
    book = Book()
    book.tell(f.CampaignSet(at=0.0, campaign="c", rules=Pacing()))
    book.tell(f.CallPlaced(at=at(0, 86_380), call="1", campaign="c"))
    book.tell(f.CallAnswered(at=at(1, 0.5), call="1", answered_at=at(0, 86_399)))
    book.tell(f.CallAbandoned(at=at(1, 1.0), call="1"))
    assert book.ledgers["c"].changes() == (DayCount(20_000, 1, 1),)
    assert book.ledgers["c"].changes() == ()


def test_an_answer_that_crossed_our_cancel_is_one() -> None:
    book = Book()
    book.tell(f.CallPlaced(at=at(0), call="1", campaign="c"))
    book.tell(f.CallAbandoned(at=at(0), call="1"))
    book.tell(f.CallAnswered(at=at(0), call="1"))
    book.tell(f.CallAbandoned(at=at(0), call="1"))
    assert book.ledgers["c"].totals(at(0)) == (1, 1)


def test_days_told_twice_count_once() -> None:
    days = [DayCount(20_000, 10, 1), DayCount(20_001, 5, 0), DayCount(20_000, 12, 1)]
    assert Ledger(RULES, days).totals(at(1)) == (17, 1)


def test_a_longer_window_finds_the_days_again_and_old_days_are_dropped() -> None:
    ledger = Ledger(RULES, [DayCount(20_000 + day, 1, 0) for day in range(KEPT_DAYS + 100)])
    now = at(KEPT_DAYS + 99)
    assert ledger.totals(now) == (30, 0)
    ledger.set_rules(Abandonment(window_days=366))
    assert ledger.totals(now) == (366, 0)
    assert len(ledger.days()) == KEPT_DAYS


def test_a_clock_that_jumps_ahead_for_a_moment_loses_nothing() -> None:
    ledger = Ledger(RULES, [DayCount(20_000, 10, 1)])
    assert ledger.totals(at(20_000)) == (0, 0)
    assert ledger.totals(at(0)) == (10, 1)


def test_an_answer_of_a_day_that_has_left_the_window_is_written_down_and_no_more() -> None:
    ledger = Ledger(Abandonment(window_days=1))
    ledger.answered(at(0))
    assert ledger.totals(at(1)) == (0, 0)
    ledger.abandoned(at(0))
    assert ledger.totals(at(1)) == (0, 0)
    assert ledger.changes() == (DayCount(20_000, 1, 1),)


def test_the_worst_that_may_come() -> None:
    ledger = Ledger(RULES, [DayCount(20_000, 100, 2)])
    assert Ledger(RULES).worst(at(0), 0) == 0.0
    assert Ledger(RULES).worst(at(0), 1) == 1.0
    assert ledger.worst(at(0), 0) == 0.02
    assert ledger.worst(at(0), 5) == 7 / 105
    assert ledger.worst(at(0), 5, waiting=1) == 8 / 105


def test_steered_by_the_share_or_by_the_bound() -> None:
    days = [DayCount(20_000, 1000, 12)]
    plain, bounded = Ledger(RULES, days), Ledger(Abandonment(against="bound"), days)
    low, high = plain.bound(at(0))
    assert low < 0.012 < high
    assert plain.steered(at(0)) == 0.012
    assert bounded.steered(at(0)) == high
    assert bounded.steered(at(0), waiting=3) > high
    assert plain.held_back(at(0)) == 0.0
    assert plain.budget(at(0)) == pytest.approx(18.0)
    # What the budget allows is what brings the bound up to the share.
    assert 0.0 < bounded.budget(at(0)) < 18.0
    many = [DayCount(20_000, 1000, 12 + int(bounded.budget(at(0))))]
    assert Ledger(Abandonment(against="bound"), many).steered(at(0)) <= 0.03
    assert Ledger(Abandonment(against="bound")).steered(at(0)) == 1.0
    assert Ledger(Abandonment(against="bound")).budget(at(0)) < 0


def test_each_window_has_its_own_share_of_the_chance_to_miss() -> None:
    rules = Abandonment(window_days=2)
    days = [DayCount(20_000 + day, 500, 10) for day in range(5)]
    second, fifth = (Ledger(rules, days[: day + 1]).bound(at(day)) for day in (1, 4))
    assert second == bound.interval(1000, 20, bound.alpha_of(0.95, 1))
    assert fifth == bound.interval(1000, 20, bound.alpha_of(0.95, 4))
    # The first day stays the first, though its count is gone from the window and nothing else is known of it.
    assert Ledger(rules, [days[0], *days[3:]]).bound(at(4)) == fifth


def test_the_windows_hold_the_risk_that_was_taken() -> None:
    """Days of 60 calls with chances that follow the count; looked at after each call, in every window of 5 days."""
    drawn = random.Random(11)
    missed = 0
    for _ in range(20):
        ledger = Ledger(Abandonment(window_days=5, confidence=0.9))
        risks: list[float] = []
        is_missed = False
        for day in range(15):
            risks.append(0.0)
            for call in range(60):
                now = at(day, 36_000.0 + call)
                chance = 0.1 if ledger.share(now) < 0.04 else 0.01
                risks[-1] += chance
                ledger.answered(now)
                if drawn.random() < chance:
                    ledger.abandoned(now)
                if call % 6 == 5:
                    low, high = ledger.bound(now)
                    is_missed |= not low <= sum(risks[-5:]) / ledger.totals(now)[0] <= high
        missed += is_missed
    assert missed <= 2
