"""The books of a day: each call as the person lived it against the attempt that the journal has of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

from dialer.core.ids import AttemptId
from dialer.core.values import ABANDONED_RESULTS, UNPLACED_RESULTS, Call, CallState, Result
from dialer.lab.simulator.people import Story


class Books(msgspec.Struct, kw_only=True):
    """A day in figures, after everything was found to agree."""

    attempts: int
    results: Counter[str]
    talk_s: float
    waits_s: list[float]
    """From the answer until an operator was there, of those who talked."""


def check_books(stories: Iterable[Story], calls: Mapping[AttemptId, Call]) -> Books:
    """Hold every person's story against the journal. Raises AssertionError: they disagree."""
    lived = {}
    by_number: dict[str, list[Story]] = defaultdict(list)
    for story in stories:
        assert story.attempt not in lived, f"rung twice for one attempt: {story}"
        lived[story.attempt] = story
        by_number[story.number].append(story)
    for attempt, story in lived.items():
        _check(story, calls.get(AttemptId(attempt)))
    for attempt, call in calls.items():
        assert call.state is CallState.ENDED, f"never ended: {call}"
        assert call.result is not None, f"no result: {call}"
        if attempt not in lived:
            assert call.result in (Result.FAILED, Result.REROUTED, Result.LOST), f"nobody was rung for {call}"
    for number, ones in by_number.items():
        for before, after in pairwise(ones):
            assert before.ended_at is not None
            assert after.invited_at >= before.ended_at, f"{number} was rung twice at once"
    return Books(
        attempts=len(lived),
        results=Counter(str(call.result) for call in calls.values()),
        talk_s=sum((s.ended_at or 0.0) - s.joined_at for s in lived.values() if s.joined_at is not None),
        waits_s=[
            s.joined_at - s.answered_at
            for s in lived.values()
            if s.joined_at is not None and s.answered_at is not None
        ],
    )


def _check(story: Story, call: Call | None) -> None:
    assert call is not None, f"rung and not in the journal: {story}"
    assert call.number == story.number, (story, call)
    assert story.ended_at is not None, f"still on the line: {story}"
    if story.is_unheard:  # then the journal may know less than the person
        return
    if call.result in UNPLACED_RESULTS:
        assert story.rang_at is None, f"was rung, and goes on: {story}"
        assert story.answered_at is None, f"answered, and goes on: {story}"
        return
    assert call.result in _results(story), (story, call)
    if story.joined_at is not None:
        assert call.connected_at is not None, (story, call)
    if story.rang_at is not None:
        assert call.rang_at is not None, (story, call)


def _results(story: Story) -> frozenset[Result]:
    if story.joined_at is not None:
        return frozenset({Result.TALKED})
    if story.answered_at is not None:
        return ABANDONED_RESULTS
    return frozenset({story.end or Result.NO_ANSWER})
