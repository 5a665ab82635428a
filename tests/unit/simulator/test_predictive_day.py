"""Predictive days of a campaign on the whole floor: promises, faults, and days that can be compared."""

from __future__ import annotations

import msgspec
import pytest

from dialer.core.pacing.book import Decision
from dialer.core.values import Result
from dialer.lab.simulator import options, troubles
from dialer.lab.simulator.books import check_books
from dialer.lab.simulator.day import Day
from dialer.lab.simulator.meter import is_abandoned, measure
from dialer.lab.simulator.plans import simulate
from dialer.lab.simulator.rivals import Level
from tests.examples import IS_QUICK
from tests.unit.simulator.staged import stage

LIMIT_S = 2.0


@pytest.fixture(scope="module")
def ahead() -> Day:
    """Twenty minutes in which a rule places two calls for each operator."""
    return simulate(stage().plan(1), lambda: Level(2.0))


def test_the_ledger_counts_as_people_lived_it(ahead):
    check_books(ahead.stories, ahead.calls)
    answered = [story for story in ahead.stories if story.answered_at is not None]
    abandoned = [story for story in answered if is_abandoned(story, LIMIT_S)]
    assert len(abandoned) > 5
    ledger = ahead.floor.ledger(ahead.plan.campaigns[0].id)
    assert ledger is not None
    assert ledger.totals(ahead.at) == (len(answered), len(abandoned))


def test_an_answer_that_crosses_our_giving_up_is_abandoned():
    class Hasty(Level):
        """Gives up whoever rings."""

        def decide(self, at, rooms):
            ringing = tuple(call.id for call in self.calls.values() if call.rang_at and not call.answered_at)
            return Decision(place=super().decide(at, rooms).place, give_up=ringing)

    made = stage(minutes=10)
    world = msgspec.structs.replace(made.world, cancel_s=20.0)
    day = simulate(msgspec.structs.replace(made, world=world).plan(1), lambda: Hasty(2.0))
    crossed = [story for story in day.stories if story.answered_at is not None]
    assert len(crossed) > 10
    ledger = day.floor.ledger(day.plan.campaigns[0].id)
    assert ledger is not None
    assert ledger.totals(day.at)[1] >= 0.9 * len(crossed)


def test_the_same_seed_makes_the_same_day(ahead):
    again = simulate(stage().plan(1), lambda: Level(2.0))
    assert again.stories == ahead.stories
    assert again.calls == ahead.calls
    assert measure(again, LIMIT_S) == measure(ahead, LIMIT_S)
    assert simulate(stage().plan(2), lambda: Level(2.0)).stories != ahead.stories


@pytest.mark.parametrize("seed", range(1 if IS_QUICK else 12))
def test_a_predictive_day_of_faults_keeps_every_promise_after_every_event(seed):
    made = stage(5, 10.0 if IS_QUICK else 30.0)
    found = troubles.faults(tuple(troubles.FAULTS), made.world.length_s, seed)
    day = simulate(msgspec.structs.replace(made, faults=found, check_s=0).plan(seed))
    books = check_books(day.stories, day.calls)
    assert day.started == 1 + troubles.TIMES
    assert books.results[Result.TALKED] > 5
    assert all(fault.kind in {one.kind for one in day.plan.faults} for fault in found)


def test_lost_events_are_found_out():
    made = stage(5, 15.0)
    found = troubles.faults(("lossy",), made.world.length_s, 1)
    found = tuple(msgspec.structs.replace(fault, length_s=300.0) for fault in found)
    day = simulate(msgspec.structs.replace(made, faults=found, check_s=0).plan(1))
    check_books(day.stories, day.calls)
    assert day.seen["PbxListed"] > 10


def test_a_person_lives_through_the_same_whatever_else_is_other():
    """What differs between two days of one seed is the setting, not the people."""
    few = simulate(stage(3, 10.0).plan(3), lambda: Level(1.0))
    plan = stage(6, 10.0).plan(3)
    otherwise = tuple(msgspec.structs.replace(lead, due=1.0 + abs(20 - lead.id)) for lead in plan.leads)
    many = simulate(msgspec.structs.replace(plan, leads=otherwise), lambda: Level(1.0))

    def talks(day: Day) -> dict[tuple[int, int], float]:
        return {
            (call.lead, call.ordinal): call.ended_at - call.connected_at
            for call in day.calls.values()
            if call.connected_at is not None and call.ended_at is not None
        }

    both = talks(few).keys() & talks(many).keys()
    assert len(both) > 10
    assert all(talks(few)[one] == pytest.approx(talks(many)[one], abs=0.1) for one in both)


def test_operators_of_a_harder_day_are_away_more():
    def work_h(*names: str) -> float:
        made = stage(6, 30.0)
        troubled = msgspec.structs.replace(made, world=troubles.with_troubles(made.world, names))
        return measure(simulate(troubled.plan(1), lambda: Level(1.0)), LIMIT_S).work_h

    usual = work_h()
    assert usual == pytest.approx(3.0, abs=0.05)
    assert [work_h(name) < usual - 0.05 for name in ("breaks", "shifts", "pauses")] == [True] * 3
    assert work_h("jumps") == pytest.approx(usual, abs=0.01)


def test_a_wrap_up_lasts_as_it_was_told():
    made = stage(4, 30.0)
    team = msgspec.structs.replace(made.world.team, wrap_up_s=40.0, wrap_up_spread=0.01)
    told = msgspec.structs.replace(made, world=msgspec.structs.replace(made.world, team=team))

    def busy_beside_talk(one) -> float:
        figures = measure(simulate(one.plan(1), lambda: Level(1.0)), LIMIT_S)
        return (
            3600.0 * figures.work_h * (figures.occupancy - figures.talk_min_per_hour / 60.0) / figures.talked
        )

    assert busy_beside_talk(told) == pytest.approx(40.0, rel=0.1)
    by_the_clock = msgspec.structs.replace(
        told, campaign=msgspec.structs.replace(told.campaign, wrap_up="time", wrap_up_s=7.0)
    )
    assert busy_beside_talk(by_the_clock) == pytest.approx(7.0, rel=0.1)
    told_in_spite = msgspec.structs.replace(by_the_clock, is_wrap_up_told=True)
    assert busy_beside_talk(told_in_spite) == pytest.approx(40.0, rel=0.1)


def test_what_can_be_asked_for_is_what_there_is():
    assert set(options.TROUBLES) == set(troubles.WORLDS)
    assert set(options.FAULTS) == set(troubles.FAULTS)
    with pytest.raises(ValueError, match="no such trouble"):
        troubles.with_troubles(stage().world, ["rain"])
