"""A trunk's rotation, with engines that are killed at any moment: where it does not carry calls the next engine goes on exactly like one
that lived."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.core.desk import REST_S_MAX, TrunkDesk
from dialer.core.ids import AttemptId
from dialer.core.trunk import Rotation
from tests.examples import examples
from tests.unit.core.world import trunk

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("time"), st.sampled_from([0.1, 1.0, 14.9, 15.0, 31.0, 400.0])),
        st.tuples(st.just("place"), st.just(0.0)),
        st.tuples(st.sampled_from(["carried", "fails", "fails", "fails", "nothing"]), st.integers(0, 5)),
        st.tuples(st.just("killed"), st.just(0.0)),
    ),
    max_size=120,
)
TRUNK = trunk(channels_max=20)


class Pair:
    """A trunk on the floor of an engine that lives, and on that of engines that are killed again and again."""

    def __init__(self) -> None:
        self.at, self.serial = 1000.0, 0
        self.lives, self.killed = TrunkDesk(TRUNK, at=self.at), TrunkDesk(TRUNK, at=self.at)
        self.calls: list[AttemptId] = []

    def kill(self) -> None:
        """All that the next engine has is what was written down: the rotation, and the calls that are live."""
        before = msgspec.json.decode(msgspec.json.encode(self.killed.rotation), type=Rotation)
        self.killed = TrunkDesk(TRUNK, live=len(self.calls), at=self.at)
        self.killed.take_up(before, self.at, is_live=lambda call: call in self.calls)

    def place(self) -> None:
        assert self.lives.lines(self.at) == self.killed.lines(self.at)
        if self.lives.lines(self.at):
            self.serial += 1
            self.calls.append(AttemptId(f"a{self.serial}"))
            for desk in (self.lives, self.killed):
                desk.took(self.at, self.calls[-1])

    def ends(self, how: str, place: int) -> None:
        if not self.calls:
            return
        call = self.calls.pop(place % len(self.calls))
        for desk in (self.lives, self.killed):
            if how != "nothing":
                desk.judged(call, self.at, is_carried=how == "carried")
            desk.gave_back(call)


@settings(max_examples=examples(300))
@given(STEPS)
def test_the_next_engine_goes_on_with_the_rotation(steps: list[tuple[str, float]]) -> None:
    pair = Pair()
    for what, value in steps:
        was_in_rotation = pair.lives.rotation.rest_until is None
        match what:
            case "time":
                pair.at += value
            case "place":
                pair.place()
            case "killed":
                pair.kill()
            case how:
                pair.ends(how, int(value))
        if was_in_rotation and what in ("carried", "fails") and pair.lives.rotation != pair.killed.rotation:
            pair = Pair()  # an engine that lived knows more: how the calls before that went
            continue
        assert pair.lives.rotation == pair.killed.rotation
        assert pair.lives.state() == pair.killed.state()
        assert pair.lives.lines(pair.at) == pair.killed.lines(pair.at)
        until = pair.killed.rotation.rest_until
        assert until is None or until - pair.at <= REST_S_MAX


@settings(max_examples=examples(100))
@given(st.lists(st.sampled_from([True, False]), min_size=1, max_size=12), st.floats(0.0, 1e6))
def test_a_rest_that_is_over_lets_one_call_through_and_no_second(kills: list[bool], asleep_s: float) -> None:
    pair = Pair()
    for _ in range(5):
        pair.place()
    for _ in range(5):
        pair.ends("fails", 0)
    assert pair.killed.state() == "resting"
    placed = 0
    pair.at += REST_S_MAX + asleep_s
    for is_killed in kills:
        if is_killed:
            pair.kill()
        if pair.killed.room(pair.at):
            placed += 1
            pair.place()
    assert placed <= 1
