"""Which of the idle operators is given a caller."""

from __future__ import annotations

from dialer.core.distribution import WINDOW_S, Turns
from dialer.core.ids import AgentId, CampaignId
from dialer.core.incoming import Distribution, Inbound
from tests.unit.core.test_inbound import taking
from tests.unit.core.world import World, parked

ANN, BOB, CID = AgentId("ann"), AgentId("bob"), AgentId("cid")
SPRING, AUTUMN = CampaignId("spring"), CampaignId("autumn")
IDLE = [(30.0, ANN), (20.0, BOB), (10.0, CID)]
"""Cid has been idle longest."""


def chosen(
    turns: Turns, rule: Distribution, at: float = 100.0, of: CampaignId = SPRING, **more: object
) -> AgentId:
    found = turns.choose(Inbound(distribution=rule, **more), of, IDLE, at)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_longest_idle() -> None:
    assert chosen(Turns(), "longest_idle") == CID


def test_nobody_is_chosen_of_nobody() -> None:
    assert Turns().choose(Inbound(distribution="round_robin"), SPRING, [], 0.0) is None


def test_fewest_calls_then_longest_idle() -> None:
    turns = Turns()
    assert chosen(turns, "fewest_calls") == CID
    turns.talked(CID, 50.0)
    assert chosen(turns, "fewest_calls") == BOB
    turns.talked(BOB, 60.0)
    turns.talked(ANN, 60.0)
    turns.talked(CID, 70.0)
    assert chosen(turns, "fewest_calls") == BOB


def test_what_is_longer_ago_than_the_window_does_not_count() -> None:
    turns = Turns()
    turns.talked(CID, 50.0)
    assert chosen(turns, "fewest_calls", 49.0 + WINDOW_S) == BOB
    assert chosen(turns, "fewest_calls", 50.0 + WINDOW_S) == CID


def test_in_turn_by_name_for_each_campaign_by_itself() -> None:
    turns = Turns()
    seen = []
    for _ in range(4):
        agent = chosen(turns, "round_robin")
        turns.given(SPRING, agent)
        seen.append(agent)
    assert seen == [ANN, BOB, CID, ANN]
    assert chosen(turns, "round_robin", of=AUTUMN) == ANN


def test_the_highest_weight_then_longest_idle() -> None:
    assert chosen(Turns(), "skill", skill_weights={"ann": 5, "bob": 2}) == ANN
    assert chosen(Turns(), "skill", skill_weights={"ann": 2, "bob": 2}) == BOB
    assert chosen(Turns(), "skill", skill_weights={"ann": -1}) == CID


def test_the_floor_remembers_who_had_how_many_conversations_and_whose_turn_it_is() -> None:
    w = World(
        *(parked(name) for name in ("ann", "bob")), leads=0, campaigns=taking(distribution="fewest_calls")
    )
    for number in (7, 8, 9):
        attempt = w.arrives(number)
        w.joins(attempt)
        w.hangs_up(attempt, cause=16)
        w.tick(15.0)
    assert [w.call(one).agent for one in w.store.calls] == ["ann", "bob", "ann"]
    w = World(
        *(parked(name) for name in ("ann", "bob")), leads=0, campaigns=taking(distribution="round_robin")
    )
    for number in (7, 8, 9):
        w.hangs_up(w.arrives(number))
    assert [w.call(one).agent for one in w.store.calls] == ["ann", "bob", "ann"]
