"""Progressive pacing, and the idle operators that it counts on."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from dialer.core.idle import Idle
from dialer.core.ids import AgentId, CampaignId
from dialer.core.lanes import Skills
from dialer.core.pacing.progressive import Demand, place

A, B, C = CampaignId("a"), CampaignId("b"), CampaignId("c")
ALL: Skills = ()
G1, G2, G3 = AgentId("g1"), AgentId("g2"), AgentId("g3")


def placed(*demands: Demand, ready: dict[Skills, int]) -> str:
    """The campaigns of the calls placed, in order."""
    return "".join(campaign for campaign, _ in place(demands, ready))


def test_one_call_for_each_operator_and_no_more() -> None:
    assert placed(Demand(A, 0, 10), ready={ALL: 3}) == "aaa"
    assert placed(Demand(A, 0, 2), ready={ALL: 3}) == "aa"
    assert placed(Demand(A, 0, 0), ready={ALL: 3}) == ""
    assert placed(Demand(A, 0, 5), ready={}) == ""


def test_a_call_in_flight_keeps_an_operator() -> None:
    assert placed(Demand(A, 2, 10), ready={ALL: 3}) == "a"
    assert placed(Demand(A, 5, 10), ready={ALL: 3}) == ""


def test_calls_in_flight_of_every_campaign_come_before_new_calls_of_any() -> None:
    assert placed(Demand(A, 0, 9, priority=1), Demand(B, 2, 0, priority=9), ready={ALL: 3}) == "a"


def test_equals_take_turns_and_the_first_in_turn_begins() -> None:
    assert placed(Demand(B, 0, 9), Demand(A, 0, 9), ready={ALL: 3}) == "bab"
    assert placed(Demand(A, 0, 1), Demand(B, 0, 9), ready={ALL: 4}) == "abbb"


def test_a_lower_priority_number_takes_all_that_it_can_use() -> None:
    urgent, other = Demand(A, 0, 2, priority=1), Demand(B, 0, 9, priority=2)
    assert placed(urgent, other, ready={ALL: 3}) == "aab"
    assert placed(urgent, other, ready={ALL: 2}) == "aa"


def test_operators_serve_only_their_campaigns() -> None:
    assert placed(Demand(A, 0, 9), Demand(B, 0, 9), ready={(B,): 2}) == "bb"
    assert placed(Demand(C, 0, 9), ready={(A, B): 2}) == ""


def test_the_operators_of_few_campaigns_are_dealt_first() -> None:
    calls = place([Demand(A, 0, 1), Demand(B, 0, 1)], {ALL: 1, (A,): 1})
    assert calls == [(A, (A,)), (B, ALL)]


def test_an_early_choice_never_takes_the_one_operator_whom_another_call_needs() -> None:
    # a could be served by either; b only by the first
    assert placed(Demand(A, 1, 0), Demand(B, 1, 0), Demand(C, 0, 1), ready={(A, B): 1, (A, C): 1}) == ""
    assert placed(Demand(A, 0, 1), Demand(B, 0, 1), ready={(A, B): 1, (A, C): 1}) == "ab"


def best(demands: list[Demand], ready: dict[Skills, int]) -> int:
    """The most calls in flight and new ones that operators can serve, by trying everything."""
    seats = [skills for skills, count in ready.items() for _ in range(count)]
    wants = [d.campaign for d in demands for _ in range(d.unserved + d.room)]

    def most(wants: list[CampaignId], seats: list[Skills]) -> int:
        if not wants or not seats:
            return 0
        first, rest = wants[0], wants[1:]
        choices = {s for s in seats if not s or first in s}
        taken = [1 + most(rest, [*seats[: seats.index(s)], *seats[seats.index(s) + 1 :]]) for s in choices]
        return max([most(rest, seats), *taken])

    return most(wants, seats)


@pytest.mark.parametrize("counts", [*itertools.product((0, 1, 2), repeat=3)])
@pytest.mark.parametrize("unserved", [*itertools.product((0, 1), repeat=3)])
def test_every_call_has_a_seat_of_its_own(counts: tuple[int, ...], unserved: tuple[int, ...]) -> None:
    ready = dict(zip([(A, B), (B, C), (A,)], counts, strict=True))
    demands = [Demand(name, flying, 1) for name, flying in zip((A, B, C), unserved, strict=True)]
    calls = place(demands, ready)
    used = Counter(skills for _, skills in calls)
    assert all(count <= ready[skills] for skills, count in used.items())
    assert all(campaign in skills for campaign, skills in calls)
    together = best([Demand(d.campaign, d.unserved, 0) for d in demands], ready) + len(calls)
    assert together == best(demands, ready)


# -- idle operators -----------------------------------------------------------------------


def test_the_longest_idle_goes_first_whatever_the_order_of_coming() -> None:
    idle = Idle()
    idle.put(G1, (), 30.0)
    idle.put(G2, (), 10.0)
    idle.put(G3, (A,), 20.0)
    assert idle.longest(A) == G2
    assert idle.longest(A, but={G2}) == G3
    assert idle.longest(B, but={G2}) == G1
    assert idle.longest(B, but={G1, G2}) is None
    assert idle.longest_of((A,)) == G3
    assert idle.counts == {(): 2, (A,): 1}


def test_of_two_who_came_at_once_the_name_decides() -> None:
    idle = Idle()
    idle.put(G2, (), 10.0)
    idle.put(G1, (), 10.0)
    assert idle.longest(A) == G1


def test_putting_and_dropping_tell_whether_it_is_news() -> None:
    idle = Idle()
    assert idle.put(G1, (B, A), 1.0)
    assert not idle.put(G1, (A, B), 1.0)
    assert idle.put(G1, (A, B), 2.0)
    assert idle.put(G1, (A,), 2.0)
    assert idle.counts == {(A,): 1}
    assert idle.drop(G1)
    assert not idle.drop(G1)
    assert (len(idle), idle.counts) == (0, {})
