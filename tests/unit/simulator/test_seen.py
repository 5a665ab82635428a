"""A journal's own distributions: found again from a simulated journal, and lived through again."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from dialer.core.values import Result
from dialer.lab.simulator.plans import simulate
from dialer.lab.simulator.rivals import Level
from dialer.lab.simulator.seen import ENOUGH, Seen, Told, crowd_of, tell
from dialer.lab.simulator.worlds import Crowd, World
from dialer.store.connect import open_reader
from dialer.store.observed import Chance, Observed, observe
from tests.unit.simulator.staged import in_journal, stage


class _Seen:
    """A day in a journal, and what is seen there."""

    def __init__(self, folder: Path) -> None:
        path = folder / "journal.sqlite3"
        plan = stage(6, 40.0).plan(5)
        self.day = in_journal(path, plan, lambda: Level(2.0))
        with closing(open_reader(path)) as connection:
            self.observed = observe(connection, "spring", plan.begins_at, self.day.at)
            self.plan = connection.execute(
                "EXPLAIN QUERY PLAN SELECT 1 FROM attempts INDEXED BY attempts_of_campaign"
                " WHERE campaign = 'spring' AND created_at >= 0 AND created_at < 1 ORDER BY created_at DESC"
            ).fetchall()
            self.few = observe(connection, "spring", plan.begins_at, self.day.at, most=10)
            self.none = observe(connection, "spring", 0.0, 1.0)


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> _Seen:
    return _Seen(tmp_path_factory.mktemp("seen"))


def test_what_people_did_is_found_again(seen):
    stories, found = seen.day.stories, seen.observed
    answered = [one for one in stories if one.answered_at is not None]
    assert found.chance == Chance(len(stories), len(answered))
    assert sum(one.tried for one in found.hours.values()) == len(stories)
    assert sum(one.answered for one in found.ordinals.values()) == len(answered)
    assert found.kinds == {"mobile": found.chance}
    assert sum(found.results.values()) == len(stories) - len(answered)
    assert found.results[Result.BUSY] == sum(one.end is Result.BUSY for one in stories)


def test_their_times_are_found_again(seen):
    stories, found = seen.day.stories, seen.observed
    talked = sorted(
        one.ended_at - one.joined_at
        for one in stories
        if one.joined_at is not None and one.ended_at is not None
    )
    assert sorted(found.talk_s) == pytest.approx(talked, abs=0.05)
    rings = sorted(
        one.answered_at - one.rang_at
        for one in stories
        if one.rang_at is not None and one.answered_at is not None
    )
    assert sorted(found.answer_s) == pytest.approx(rings, abs=0.05)
    setup = sorted(one.rang_at - one.invited_at for one in stories if one.rang_at is not None)
    assert sorted(found.setup_s) == pytest.approx(setup, abs=0.05)
    assert 0.9 * len(talked) <= len(found.wrap_up_s) <= len(talked)
    assert 10.0 < sum(found.wrap_up_s) / len(found.wrap_up_s) < 22.0


def test_only_the_newest_of_the_period_are_looked_at(seen):
    assert seen.few.chance.tried == 10
    assert seen.few.talk_s != seen.observed.talk_s[:10]
    assert seen.none.chance.tried == 0
    assert any("attempts_of_campaign" in row[3] for row in seen.plan)
    assert not any("TEMP B-TREE" in row[3] for row in seen.plan)


def test_a_call_that_we_gave_up_says_nothing(seen):
    given_up = [
        call
        for call in seen.day.calls.values()
        if call.ending in ("pacing", "stopped") and not call.answered_at
    ]
    assert seen.observed.chance.tried == len(seen.day.calls) - len(given_up)


def test_a_day_as_in_the_journal_is_like_it(seen):
    told, said = tell(seen.observed, 9.0, is_card=True)
    assert told.chance == seen.observed.chance
    assert len(said) == len(ENOUGH)
    made = stage(6, 40.0)
    crowd = crowd_of(made.world.crowds[0], seen.observed, told)
    again = msgspec.structs.replace(
        made, told=told, world=msgspec.structs.replace(made.world, crowds=(crowd,))
    )
    day = simulate(again.plan(9), lambda: Level(2.0))
    talks = {
        round(one.ended_at - one.joined_at, 1)
        for one in day.stories
        if one.joined_at is not None and one.ended_at is not None
    }
    before = {round(one, 1) for one in seen.observed.talk_s}
    assert len(talks & before) > 0.8 * len(talks), "conversations of the lengths that were seen"
    answered = [one for one in day.stories if one.answered_at is not None]
    assert len(answered) / len(day.stories) == pytest.approx(seen.observed.chance.share, abs=0.07)


def test_too_little_is_said_with_numbers_and_not_used(seen):
    told, said = tell(seen.few, 9.0, is_card=True)
    assert told == Told(hour=9.0)
    assert said[0] == "10 calls: fewer than 200, so the chance of an answer is the one stated"
    crowd = Crowd()
    assert crowd_of(crowd, seen.few, told) is crowd


def test_hours_kinds_and_attempts_make_the_chance():
    told = Told(
        hour=9.5,
        chance=Chance(10_000, 3_000),
        hours={9: Chance(5_000, 2_000), 10: Chance(5_000, 1_000)},
        kinds={"mobile": Chance(5_000, 2_000), "home": Chance(5_000, 1_000)},
        ordinals={1: Chance(9_990, 2_999), 2: Chance(10, 1)},
    )
    people = Seen(World(), Crowd(answers=0.3), 1, 0, told)
    assert people.factor(0.0, "mobile", 1) == pytest.approx((4 / 3) ** 2, rel=0.02)
    assert people.factor(1800.0, "mobile", 1) == pytest.approx(8 / 9, rel=0.02)
    assert people.factor(0.0, "no such", 1) == pytest.approx(4 / 3, rel=0.02)
    assert people.factor(0.0, "no such", 7) == pytest.approx(people.factor(0.0, "no such", 2))
    assert people.factor(0.0, "no such", 2) > 0.8 * people.factor(0.0, "no such", 1), "ten calls say little"


def test_without_calls_there_is_no_chance():
    assert Chance().share == 0.0
    empty = Observed(campaign="spring", since=0.0, until=1.0)
    assert tell(empty, 9.0, is_card=False)[0].chance is None
