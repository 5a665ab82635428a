"""Turns by weight, evenly spread."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dialer.core.roundrobin import had_turn, whose_turn


def played(weights: dict[str, int], turns: int) -> list[str]:
    gained: dict[str, int] = {}
    found = []
    for _ in range(turns):
        before = dict(gained)
        found.append(whose_turn(gained, weights))
        assert gained == before, "to ask changes nothing"
        had_turn(gained, weights, found[-1])
    return found


def test_the_lighter_one_is_spread_among_the_heavier() -> None:
    assert "".join(played({"a": 5, "b": 1}, 12)) == "aaabaaaaabaa"
    assert "".join(played({"a": 2, "b": 1, "c": 1}, 8)) == "abcaabca"


def test_of_equals_the_first_has_the_first_turn() -> None:
    assert "".join(played({"b": 1, "a": 1}, 4)) == "baba"


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_in_a_round_everybody_has_as_many_turns_as_their_weight(heights: list[int]) -> None:
    weights = {str(place): height for place, height in enumerate(heights)}
    assert Counter(played(weights, sum(heights))) == weights


def test_who_takes_no_part_gains_nothing() -> None:
    gained: dict[str, int] = {}
    for _ in range(3):
        had_turn(gained, {"a": 1}, "a")
    assert gained == {"a": 0}, "and who is alone owes nothing"
