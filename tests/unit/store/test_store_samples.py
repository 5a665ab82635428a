"""Recordings chosen by chance: repeatable, spread over the time, and each with the same chance."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Callable

import pytest

from dialer.core.commands import SaveCall
from dialer.core.events import RecordingMissing, RecordingStored
from dialer.core.values import Call, CallState, Campaign, Result
from dialer.store import leads, questions, samples
from dialer.store.calendar import Calendar
from dialer.store.connect import transaction
from dialer.store.fetching import fetch_leads
from dialer.store.guard import Guard
from dialer.store.questions import BadQuestion, Filter
from dialer.store.writing import write
from tests.examples import examples

DAY_S = 86_400.0
MACHINES = Filter(result="machine")


@pytest.fixture
def days(
    db: sqlite3.Connection,
    campaign: Campaign,
    call_for: Callable[..., Call],
    more_contacts: Callable[..., None],
) -> sqlite3.Connection:
    """Three days with 24, 12 and 4 machines, each recorded, and a conversation at the end of each day; one is not recorded."""
    more_contacts(43)
    leads.enroll(db, campaign.id, 2.0)
    found, _, _ = fetch_leads(db, Calendar(), campaign, 44, 5.0)
    plan = [(day, Result.MACHINE) for day, size in enumerate((24, 12, 4)) for _ in range(size)]
    plan += [(0, Result.TALKED), (1, Result.TALKED), (2, Result.TALKED), (2, Result.MACHINE)]
    with transaction(db):
        for place, (lead, (day, result)) in enumerate(zip(found, plan, strict=True)):
            at = day * DAY_S + 600.0 * place
            answered_at = at if result is Result.TALKED else None
            call = call_for(
                lead,
                place * 17 % 44,  # ids are in no order of time
                state=CallState.ENDED,
                created_at=at,
                answered_at=answered_at,
                connected_at=answered_at,
                result=result,
            )
            stored = RecordingStored(
                at=at,
                attempt=call.attempt,
                path=f"d/{call.attempt}.wav",
                started_at=at,
                length_s=20.0 + place,
                size_bytes=9,
                sha256="0",
            )
            missing = RecordingMissing(at=at, attempt=call.attempt, reason="no file")
            write(db, [missing if place == 43 else stored], [SaveCall(call=call)], Guard())
    return db


def sampled(db: sqlite3.Connection, size: int, seed: int = 1, which: Filter = MACHINES) -> list[str]:
    return [row["attempt"] for row in samples.recordings(db, which, size=size, seed=seed)]


def test_a_sample_is_repeatable_and_another_seed_gives_another(days: sqlite3.Connection) -> None:
    chosen = sampled(days, 8)
    assert chosen == sampled(days, 8)
    assert len({tuple(sampled(days, 8, seed)) for seed in range(6)}) == 6


def test_a_sample_is_part_of_the_listing_and_in_its_order(days: sqlite3.Connection) -> None:
    listed = {row["attempt"]: row for row in questions.recordings(days, MACHINES).rows}
    rows = samples.recordings(days, MACHINES, size=8)
    assert len(listed) == 40
    assert rows == [row for attempt, row in listed.items() if attempt in {one["attempt"] for one in rows}]


def test_it_is_spread_over_the_days_as_the_calls_are(days: sqlite3.Connection) -> None:
    for seed in range(20):
        rows = samples.recordings(days, MACHINES, size=10, seed=seed)
        assert Counter(int(row["started_at"] // DAY_S) for row in rows) == {0: 6, 1: 3, 2: 1}


def test_every_recording_has_the_same_chance(days: sqlite3.Connection) -> None:
    tries = examples(1000)
    times = Counter(attempt for seed in range(tries) for attempt in sampled(days, 10, seed))
    assert len(times) == 40
    deviation = math.sqrt(tries * 0.25 * 0.75)
    assert max(abs(count - tries / 4) for count in times.values()) < 5 * deviation


def test_more_than_there_are_is_all(days: sqlite3.Connection) -> None:
    assert sampled(days, 1000) == [row["attempt"] for row in questions.recordings(days, MACHINES).rows]
    assert sampled(days, 5, which=Filter(campaign="autumn")) == []


def test_the_listings_own_filters_hold(days: sqlite3.Connection) -> None:
    assert len(sampled(days, 5, which=Filter(result="talked"))) == 3
    assert len(sampled(days, 50, which=Filter(result="machine", since=DAY_S))) == 16
    long = samples.recordings(days, MACHINES, size=50, length_min_s=59.0)
    assert [row["length_s"] for row in long] == [59.0]
    (lost,) = samples.recordings(days, MACHINES, size=5, missing=True)
    assert lost["missing"] == "no file"
    with pytest.raises(BadQuestion, match="no result 'robot'"):
        sampled(days, 5, which=Filter(result="robot"))


def test_a_sample_of_a_campaign_is_found_by_an_index(days: sqlite3.Connection) -> None:
    asked: list[str] = []
    days.set_trace_callback(asked.append)
    samples.recordings(days, Filter(campaign="spring", result="machine"), size=2)
    days.set_trace_callback(None)
    plan = [row[3] for row in days.execute(f"EXPLAIN QUERY PLAN {asked[0]}")]
    assert any("attempts_of_campaign" in step for step in plan), plan
    assert not any(step.startswith(("SCAN a", "SCAN r", "SCAN c")) and "USING" not in step for step in plan)
