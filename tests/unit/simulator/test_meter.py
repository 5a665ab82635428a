"""The figures of a day, from stories and states that are known."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dialer.lab.simulator.meter import estimate, is_abandoned, lines_in_use, measure, spells
from dialer.lab.simulator.people import Story
from dialer.lab.simulator.plans import simulate
from dialer.lab.simulator.rivals import Level
from tests.unit.simulator.staged import stage


def story(invited: float, ended: float, answered: float | None = None, joined: float | None = None) -> Story:
    return Story(
        attempt="a", number="+7", invited_at=invited, answered_at=answered, joined_at=joined, ended_at=ended
    )


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        (story(0, 9), False),
        (story(0, 9, 5.0, 6.9), False),
        (story(0, 9, 5.0, 7.1), True),
        (story(0, 5.5, 5.0), True),
    ],
)
def test_who_counts_as_abandoned(told, counts):
    assert is_abandoned(told, 2.0) is counts


def test_lines_that_were_needed():
    stories = [story(0, 100), story(10, 20), story(15, 18), story(40, 100)]
    assert lines_in_use(stories, 0.0, 100.0) == (3, 2)
    assert lines_in_use([], 0.0, 100.0) == (0, 0)
    assert lines_in_use([story(0, 500)], 0.0, 100.0) == (1, 1)


def test_operators_times_add_up():
    day = simulate(stage(5, 15.0).plan(2), lambda: Level(1.5))
    figures = measure(day, 2.0)
    assert figures.operators == 5
    assert set(spells(day)) == {card.id for card in day.plan.cards}
    for found in spells(day).values():
        assert all(since <= until <= day.ends_at for _, since, until in found)
        assert all(one[2] == two[1] for one, two in pairwise(found))
    # What people lived and what the engine saved of operators are two witnesses of the same talk.
    talk_s = sum(
        min(one.ended_at, day.ends_at) - one.joined_at
        for one in day.stories
        if one.joined_at is not None and one.ended_at is not None and one.joined_at < day.ends_at
    )
    assert 60.0 * figures.talk_min_per_hour * figures.work_h == pytest.approx(talk_s, rel=0.01)
    assert figures.calls == len(day.stories)
    assert figures.talked <= figures.answered <= figures.calls
    idle_s = 3600.0 * figures.work_h * (1.0 - figures.occupancy)
    assert figures.idle_s == pytest.approx(idle_s / figures.talked)


def test_one_day_says_nothing_of_noise():
    assert estimate([4.0]).error is None
    assert estimate([4.0, 6.0]).mean == 5.0
    assert estimate([4.0, 6.0]).error == pytest.approx(1.0)
    assert str(estimate([4.0, 6.0])) == "5 ± 1"
