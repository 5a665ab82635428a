"""How the bench of pacing rules counts, compares and ends."""

from __future__ import annotations

import msgspec
import pytest

from bench import decide, pacing
from dialer.core.pacing.pacer import Pacer
from dialer.lab.simulator.rivals import Progressive
from dialer.lab.simulator.score import Score
from dialer.lab.simulator.worlds import SCENARIOS, TRIALS, Team, World

WORLD = World(name="a small one", length_s=300.0, team=Team(operators=2))


def a_score(
    world: str, *, occupancy: float, answered: int = 1000, abandoned: int = 0, **more: object
) -> Score:
    score = Score(
        world=world,
        operators=5,
        occupancy=occupancy,
        talk_min_per_hour=30.0,
        idle_s=(10.0, 20.0),
        answered=answered,
        abandoned=abandoned,
        wait_s=(0.0, 2.0),
        lines=(5, 4.0),
        placed=3000,
        given_up=0,
        asked=9,
        campaigns={"spring": (answered, abandoned)},
    )
    return msgspec.structs.replace(score, **more)


def played(score: Score, rule: str, seed: int = 1) -> pacing.Played:
    return pacing.Played(world=score.world, rule=rule, seed=seed, score=score, seconds=0.1, counted=(0, 0))


def test_every_rule_has_a_name_and_a_promise() -> None:
    for name in (*pacing.RIVALS, *pacing.OURS):
        make, rules = pacing.contender(name)
        assert make() is not make()
        assert (rules is not None) == (type(make()) is Pacer) == name.startswith("ours")
    assert pacing.target("progressive") is None
    assert pacing.target("ours 1 % capped") == 0.01
    free, capped = (pacing.contender(name)[1] for name in ("ours 3 %", "ours 1 % capped"))
    assert free is not None
    assert capped is not None
    assert (free.abandonment.share, free.abandonment.cap) == (0.03, 1.0)
    assert (capped.abandonment.share, capped.abandonment.cap) == (0.01, None)
    assert pacing.GOALS.keys() == {one.name for one in SCENARIOS}
    names = [one.name for one in (*SCENARIOS, *TRIALS)]
    assert len(set(names)) == len(names)


def test_a_day_is_played_and_its_ledger_read() -> None:
    one = pacing.play((WORLD, "progressive", 4))
    assert (one.world, one.rule, one.seed) == ("a small one", "progressive", 4)
    assert one.counted == (one.score.answered, one.score.abandoned)
    assert one.score.answered > 0


def test_ours_is_given_its_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Watched(Progressive):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(pacing, "Pacer", Watched)
    pacing.play((WORLD, "ours 1 %", 4))
    assert made[-1].campaigns["spring"].rules.abandonment.share == 0.01


def test_days_end_when_time_is_up_or_they_are_stopped() -> None:
    said: list[str] = []
    jobs = [(WORLD, "progressive", seed) for seed in range(3)]
    assert not list(pacing.days(jobs, limit_s=0.0, say=said.append))
    assert said == ["time is up: 0 of 3 days were played"]
    assert not list(pacing.days(jobs, limit_s=60.0, say=said.append, is_stopped=lambda: True))


def test_goals_are_met_at_the_figure_and_below_the_target() -> None:
    name = SCENARIOS[0].name
    good = played(a_score(name, occupancy=0.7390, abandoned=30), "ours 3 %")
    lazy = played(a_score(name, occupancy=0.7384, abandoned=30), "ours 3 %")
    bold = played(a_score(name, occupancy=0.9, abandoned=31), "ours 3 %")
    assert pacing.met([good]) == (1, 1)
    assert pacing.met([lazy]) == (0, 1)
    assert pacing.met([bold]) == (0, 1)
    assert pacing.met([played(good.score, "ours 3 % capped"), played(good.score, "progressive")]) == (0, 0)
    rows = pacing.rows([lazy, bold])
    assert len(rows) == 1
    assert rows[0]["occupancy %"] == 81.9
    assert rows[0]["abandoned %"] == 3.05
    assert rows[0]["worst day %"] == 3.1
    assert "81.9 / 3.05 % (61 of 2000)" in pacing.matrix([lazy, bold], ["ours 3 %"])


def test_a_promise_is_held_by_each_campaign_of_each_day() -> None:
    split = {"spring": (500, 20), "summer": (500, 0)}
    days = [
        played(a_score("drawn 1", occupancy=0.8, abandoned=30), "ours 3 %"),
        played(a_score("drawn 2", occupancy=0.6, abandoned=20, campaigns=split), "ours 3 %"),
        played(a_score("drawn 2", occupancy=0.5, abandoned=0), "progressive"),
    ]
    ours, progressive = pacing.held(days)
    assert (ours["days"], ours["held"], ours["worst %"], ours["broken"]) == (2, 1, 4.0, "drawn 2")
    assert ours["occupancy %"] == 70.0
    assert (progressive["held"], progressive["broken"]) == (1, "-")


def test_decisions_are_timed_on_a_floor_at_work() -> None:
    row = decide.measure(6, asked=20, warm_s=30.0)
    assert row["operators"] == 6
    assert row["in flight"] > 0
    assert row["decide median ms"] <= row["decide p99 ms"] <= row["decide max ms"]
