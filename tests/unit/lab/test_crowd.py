"""People by distribution."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest

from dialer.lab.crowd import Manners, crowd
from dialer.lab.day import ANSWERING, Behaviour, Reaction

SIZE = 4000


def reactions(seed: int = 1, **manners: float) -> list[Reaction]:
    return [one.lines[0].plan[0] for one in crowd(seed, SIZE, Manners(**manners))]


def test_the_same_seed_makes_the_same_people_and_another_one_others() -> None:
    assert crowd(7, 50) == crowd(7, 50)
    assert crowd(7, 50) != crowd(8, 50)
    assert crowd(7, 50) == crowd(7, 80)[:50]


def test_everybody_has_a_number_of_their_own() -> None:
    assert len({one.lines[0].number for one in crowd(1, SIZE)}) == SIZE


def test_people_are_as_their_manners_say() -> None:
    found = reactions()
    counted = Counter(one.behaviour for one in found)
    answering = [one for one in found if one.behaviour in ANSWERING]
    assert len(answering) / SIZE == pytest.approx(0.3, abs=0.03)
    assert counted[Behaviour.REFUSES] / len(answering) == pytest.approx(0.4, abs=0.05)
    others = SIZE - len(answering)
    for behaviour, share in (
        (Behaviour.BUSY, 0.16),
        (Behaviour.UNKNOWN, 0.08),
        (Behaviour.DECLINES, 0.06),
        (Behaviour.NO_ANSWER, 0.70),
    ):
        assert counted[behaviour] / others == pytest.approx(share, abs=0.03)
    assert statistics.median(one.ring_ms for one in answering) == pytest.approx(5000, rel=0.1)
    assert statistics.fmean(one.talk_ms for one in answering) == pytest.approx(25_000, rel=0.1)
    assert all(one.ring_ms >= 1000 and 4000 <= one.talk_ms <= 120_000 for one in answering)


def test_nobody_else_changes_when_more_people_answer() -> None:
    few, many = reactions(), reactions(answer_share=0.6)
    for before, after in zip(few, many, strict=True):
        assert before.ring_ms == after.ring_ms
        assert before.behaviour not in ANSWERING or before == after


@pytest.mark.parametrize("manners", [{"answer_share": 1.5}, {"refusal_share": -0.1}, {"busy": 0.9}])
def test_shares_that_are_none_are_refused(manners: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="shares are between 0 and 1"):
        Manners(**manners)


def test_there_are_not_more_people_than_numbers() -> None:
    with pytest.raises(ValueError, match="there are numbers for"):
        crowd(1, 10_000_001)
