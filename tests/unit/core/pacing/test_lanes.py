"""Lanes of one campaign: operators of their own, and one promise."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Decision, Room
from dialer.core.pacing.pacer import Pacer
from dialer.lab.simulator.quick import QuickDay
from dialer.lab.simulator.worlds import Crowd, Team
from tests.unit.core.pacing.played import Recorded, Told, hour, rules

LANES = ("spring@a", "spring@b")
GROUPS = (("spring@a",), ("spring@b",))


class Twins(Recorded):
    """A day's campaigns are lanes of one."""

    def tell(self, fact: f.AnyFact) -> None:
        if isinstance(fact, f.CampaignSet):
            fact = msgspec.structs.replace(fact, account="spring")
        super().tell(fact)


def two_lanes(**fields: object) -> Told:
    told = Told(campaign="spring@a", account="spring", **fields)
    told.campaign("spring@b", account="spring", **fields)
    return told


def ask(told: Told, calls: int = 100) -> Decision:
    return told.pacer.decide(told.at, [Room(campaign=name, calls=calls) for name in LANES])


def test_the_cap_holds_over_all_lanes_together_at_every_instant() -> None:
    """Whatever happens at once on all servers."""
    cap = 0.05
    ahead = []

    def look(pacer: Recorded, rooms: Sequence[Room], decision: Decision) -> None:
        ledger = pacer.ledgers["spring"]
        answered, abandoned = ledger.totals(pacer.now)
        assert abandoned <= cap * answered + 1e-9, (answered, abandoned)
        unserved = sum(pacer.unserved(name) for name in LANES)
        idle = sum(one.presence == "idle" for one in pacer.operators.values())
        ahead.append(unserved > idle)

    world = hour(
        16,
        40.0,
        team=Team(operators=16, arrive_s=5.0, groups=GROUPS),
        crowds=tuple(Crowd(campaign=name) for name in LANES),
        rules=rules(cap=cap),
    )
    day = Twins(look)
    QuickDay(world, day, 3).play()
    assert set(day.ledgers) == {"spring"}
    assert sum(ahead) > len(ahead) / 8, "it was never worth counting together"
    placed = {
        name: sum(name in step[2].place for step in day.steps if isinstance(step, tuple)) for name in LANES
    }
    assert min(placed.values()) > 0.6 * max(placed.values()), "one lane has it all"


def test_calls_ahead_on_another_server_count_against_the_cap() -> None:
    """The share would bear one abandoned call more, and there is one ahead on the other server."""
    told = two_lanes(rules=rules(cap=0.03))
    told.agents("idle", *(f"a{n}" for n in range(9)), campaigns=("@a",))
    told.agents("idle", *(f"b{n}" for n in range(9)), campaigns=("@b",))
    told.history(40, campaign="spring@a")
    assert len(ask(told).place) >= 18, "each idle operator is worth one"
    told.agents("busy", *(f"a{n}" for n in range(9)), campaigns=("@a",))
    told.place(1, campaign="spring@a")
    elsewhere, here = told.pacer.ahead("spring@a"), told.pacer.ahead("spring@b", 0, 1)
    assert elsewhere > 0 >= here
    assert told.pacer.ahead_in_all("spring@b", {}, 1)[0] == elsewhere


def test_new_rules_of_a_lane_are_the_accounts() -> None:
    told = two_lanes(rules=rules(share=0.03))
    assert told.pacer.budget("spring@a").target == 0.03
    told.campaign("spring@a", account="spring", rules=rules(share=0.01))
    assert told.pacer.budget("spring@a").target == 0.01


def test_an_operator_serves_the_lanes_of_their_server_alone() -> None:
    told = two_lanes()
    told.agents("idle", "ann", campaigns=("@a",))
    told.agents("idle", "bob", campaigns=("spring@b",))
    assert sorted(ask(told).place) == list(LANES)
    told.agents("away", "bob", campaigns=("spring@b",))
    told.place(1, campaign="spring@a")
    decision = ask(told)
    assert decision.place == ()
    assert {one.campaign: one.limit for one in decision.reasons}["spring@b"] == "no_operators"


def test_lanes_learn_together_and_keep_it_under_the_campaigns_name() -> None:
    told = two_lanes()
    told.agents("idle", "ann", campaigns=("@a",))
    told.history(30, campaign="spring@a")
    told.history(10, campaign="spring@b")
    ask(told)
    assert told.pacer.kind("spring@a") is told.pacer.kind("spring@b")
    learnt = told.pacer.knowledge()
    assert set(learnt) == {"campaign:spring"}
    days = tuple(told.pacer.ledgers["spring"].changes())
    heir = Pacer()
    for name in LANES:
        heir.tell(f.CampaignSet(at=told.at, campaign=name, account="spring"))
    heir.take_up({"spring": days}, learnt, told.at)
    assert set(heir.ledgers) == {"spring"}
    assert heir.ledgers["spring"].totals(told.at)[0] == 40
    assert heir.kind("spring@b").answers.calls == pytest.approx(told.pacer.kind("spring@b").answers.calls)
    assert set(heir.campaigns) == set(LANES)


def test_one_lane_of_one_server_is_paced_as_its_campaign_would_be() -> None:
    """Whether a campaign is told by its name or as the only lane of an account changes no decision."""

    class One(Recorded):
        def tell(self, fact: f.AnyFact) -> None:
            if isinstance(fact, f.CampaignSet):
                fact = msgspec.structs.replace(fact, account="account")
            super().tell(fact)

    world = hour(12, 20.0, rules=rules(cap=0.03))
    plain, account = Recorded(), One()
    for day in (plain, account):
        QuickDay(world, day, 5).play()
    assert [step for step in plain.steps if isinstance(step, tuple)] == [
        step for step in account.steps if isinstance(step, tuple)
    ]
