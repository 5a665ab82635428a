"""Others' pacing rules do what their descriptions say, on floors small enough to work it out by hand."""

from __future__ import annotations

import math

import pytest

from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Book, Room
from dialer.core.pacing.facts import Presence
from dialer.lab.simulator.rivals import Level, Omnileads, Progressive, Ratio, Vicidial, rival

ROOM = Room(campaign="spring", calls=1000)
NINE = 1_772_442_000.0
"""9:00 in the morning, UTC."""


class Desk:
    """Tells a rule what happens, second by second."""

    def __init__(self, rule: Book, operators: int, at: float = 0.0) -> None:
        self.rule = rule
        self.at = at
        self.calls = 0
        rule.tell(f.CampaignSet(at=at, campaign="spring"))
        for number in range(operators):
            self.turn(number, "idle")

    def turn(self, number: int, presence: Presence) -> None:
        self.rule.tell(f.AgentChanged(at=self.at, agent=f"op{number}", presence=presence))

    def asked(self, room: Room = ROOM) -> int:
        return len(self.rule.decide(self.at, [room]).place)

    def place(self, count: int) -> list[str]:
        calls = [f"c{self.calls + number}" for number in range(count)]
        self.calls += count
        for call in calls:
            self.rule.tell(f.CallPlaced(at=self.at, call=call, campaign="spring"))
            self.rule.tell(f.CallRang(at=self.at, call=call))
        return calls

    def answer(self, calls: list[str]) -> None:
        for call in calls:
            self.rule.tell(f.CallAnswered(at=self.at, call=call))

    def serve(self, call: str, number: int) -> None:
        self.rule.tell(f.CallServed(at=self.at, call=call, agent=f"op{number}"))
        self.turn(number, "busy")

    def end(self, calls: list[str]) -> None:
        for call in calls:
            self.rule.tell(f.CallEnded(at=self.at, call=call))

    def abandon(self, calls: list[str]) -> None:
        for call in calls:
            self.rule.tell(f.CallAbandoned(at=self.at, call=call))

    def drop(self, answered: int, dropped: int) -> None:
        """So many answers, and so many of them abandoned; all are over."""
        calls = self.place(answered)
        self.answer(calls)
        self.abandon(calls[:dropped])
        for call in calls[dropped:]:
            self.rule.tell(f.CallServed(at=self.at, call=call, agent="op0"))
        self.end(calls)

    def wait(self, seconds: int) -> None:
        """Asked each second, and what is decided is not done."""
        for _ in range(seconds):
            self.at += 1.0
            self.rule.decide(self.at, [])


def test_progressive_places_a_call_for_each_idle_operator() -> None:
    desk = Desk(Progressive(), 4)
    assert desk.asked() == 4
    first, second, third = desk.place(3)
    assert desk.asked() == 1
    desk.answer([first])
    assert desk.asked() == 1, "who waits keeps an operator"
    desk.serve(first, 0)
    assert desk.asked() == 1
    desk.turn(3, "away")
    assert desk.asked() == 0
    desk.end([second, third])
    assert desk.asked() == 2
    assert desk.asked(Room(campaign="spring", calls=1)) == 1
    assert not desk.rule.decide(desk.at, []).place


def test_a_ratio_counts_calls_for_each_idle_operator() -> None:
    desk = Desk(Ratio(2.5), 3)
    assert desk.asked() == 7
    desk.place(5)
    assert desk.asked() == 2
    desk.turn(0, "busy")
    assert desk.asked() == 0


def test_a_level_counts_conversations_and_operators_in_them() -> None:
    desk = Desk(Level(2.0), 3)
    (call, *_) = desk.place(4)
    assert desk.asked() == 2
    desk.answer([call])
    desk.serve(call, 0)
    assert desk.asked() == 2
    desk.end([call])
    desk.turn(0, "wrap_up")
    assert desk.asked() == 1, "who is in wrap-up is paused"


def test_vicidial_places_every_two_and_a_half_seconds() -> None:
    desk = Desk(Vicidial(), 4, NINE)
    assert desk.asked() == 4
    desk.at += 2.0
    assert desk.asked() == 0
    desk.at += 0.5
    assert desk.asked() == 4


def test_vicidials_level_grows_by_the_share_of_ready_operators_up_to_three() -> None:
    rule = Vicidial()
    desk = Desk(rule, 10, NINE)
    for number in range(5, 10):
        desk.turn(number, "busy")
    desk.wait(16)
    assert rule.level == pytest.approx(1.5)
    desk.wait(15)
    assert rule.level == pytest.approx(2.25)
    desk.wait(15)
    assert rule.level == 3.0


def test_vicidials_level_falls_by_who_waits_but_not_below_one() -> None:
    rule = Vicidial()
    desk = Desk(rule, 10, NINE)
    for number in range(10):
        desk.turn(number, "busy")
    rule.level = 2.0
    desk.answer(desk.place(2))
    desk.wait(16)
    assert rule.level == pytest.approx(1.6)
    desk.wait(45)
    assert rule.level == 1.0


@pytest.mark.parametrize(
    ("method", "level"), [("hard_limit", 1.0), ("average", 1.5), ("tapered", 3.0)], ids=str
)
def test_vicidials_methods_above_the_limit(method: str, level: float) -> None:
    rule = rival(f"vicidial {method}")
    assert isinstance(rule, Vicidial)
    desk = Desk(rule, 10, NINE)
    desk.drop(60, 2)  # 3.3 %
    desk.wait(61)  # counted once a minute
    rule.level = 3.0
    desk.wait(15)
    assert rule.level == pytest.approx(level)


def test_vicidial_tapers_by_the_clock_face() -> None:
    rule = Vicidial(method="tapered")
    desk = Desk(rule, 10, NINE + 9.5 * 3600.0)
    desk.drop(100, 20)
    desk.wait(61)
    rule.level = 3.0
    for number in range(10):
        desk.turn(number, "busy")
    desk.wait(15)
    assert rule.level == 1.0
    rule.LEVEL_MAX = 9.0
    rule.level = 9.0
    desk.wait(15)
    assert rule.level == pytest.approx(9.0 * 0.269), "18:31: (2100 - 1831) / 1000"


def test_vicidials_limit_needs_fifty_answers() -> None:
    rule = Vicidial()
    desk = Desk(rule, 10, NINE)
    desk.drop(50, 10)
    desk.wait(61)
    desk.wait(15)
    assert rule.level == 3.0
    desk.drop(1, 0)
    desk.wait(76)
    assert rule.level == 1.0


def test_vicidial_halves_when_most_of_the_last_minutes_calls_are_dropped() -> None:
    rule = Vicidial()
    desk = Desk(rule, 10, NINE)
    desk.wait(16 + 45)
    assert rule.level == 3.0
    desk.drop(20, 20)
    desk.wait(15)
    assert rule.level == 3.0, "of so few calls nothing is said"
    desk.wait(60)
    desk.drop(22, 12)
    desk.wait(15)
    assert rule.level == 1.5
    desk.wait(60)
    assert rule.level == 3.0, "a minute later it is forgotten"


def test_omnileads_is_progressive_for_fifty_answers() -> None:
    desk = Desk(Omnileads(), 4)
    desk.drop(49, 0)
    assert desk.asked() == 4
    for _ in range(40):  # nobody answers: few of those who are called will
        desk.end(desk.place(1))
    desk.at += 1.0
    assert desk.asked() == 4
    desk.drop(1, 0)
    desk.at += 1.0
    assert desk.asked() > 4


def test_omnileads_divides_who_is_free_and_will_be_by_the_share_of_answers() -> None:
    rule = Omnileads()
    desk = Desk(rule, 4)
    desk.drop(50, 0)
    rule.answer_share, rule.dropped, rule.ring_s, rule.talk_s = 0.25, 0.0, 10.0, 30.0
    desk.turn(0, "busy")
    desk.at += 10.0
    desk.place(3)
    # Three are free; one has 20 s to go, of whom 1 - exp(-10/20) will be: (3 + 0.393 - 0.75) / 0.25
    assert desk.asked() == math.floor((3 + 1 - math.exp(-0.5) - 0.75) / 0.25) == 10
    assert desk.asked() == 0, "once a second"
    desk.at += 1.0
    rule.dropped = 0.0225  # half way from half the maximum to the maximum: 1 down to 0.2
    soon = 1 - math.exp(-10.0 / 19.0)
    assert desk.asked() == math.floor((3 + soon - 0.75) / 0.25 * 0.6)
    desk.at += 1.0
    rule.dropped = 0.2
    soon = 1 - math.exp(-10.0 / 18.0)
    assert desk.asked() == math.floor((3 + soon - 0.75) / 0.25 * 0.2)
    desk.at += 1.0
    rule.dropped, rule.answer_share = 0.0, 0.001
    soon = 1 - math.exp(-10.0 / 17.0)
    assert desk.asked() == math.floor((3 + soon - 0.15) / 0.05), "answers are one of twenty at least"


def test_omnileads_is_progressive_from_five_seconds_above_its_maximum_until_well_below() -> None:
    rule = Omnileads()
    desk = Desk(rule, 4)
    desk.drop(60, 0)
    rule.answer_share, rule.dropped = 0.05, 0.05
    asked = []
    for _ in range(6):
        desk.at += 1.0
        asked.append(desk.asked())
    assert asked == [16, 16, 16, 16, 4, 4]
    rule.dropped = 0.028
    desk.at += 1.0
    assert desk.asked() == 4
    rule.dropped = 0.8 * 0.03
    desk.at += 1.0
    assert desk.asked() > 4


def test_omnileads_averages_what_it_is_told() -> None:
    rule = Omnileads()
    desk = Desk(rule, 1)
    calls = desk.place(3)
    desk.at += 8.0
    desk.answer(calls[:1])
    desk.answer(calls[:1])  # told twice
    assert rule.ring_s == 8.0
    assert rule.answer_share == 1.0
    desk.abandon(calls[:1])
    desk.abandon(calls[:1])
    assert rule.dropped == pytest.approx(0.1)
    desk.end(calls[1:2])
    assert rule.answer_share == pytest.approx(0.9)
    desk.answer(calls[2:])
    desk.serve(calls[2], 0)
    assert rule.dropped == pytest.approx(0.09)
    desk.at += 42.0
    desk.end(calls[2:])
    assert rule.talk_s == 42.0


@pytest.mark.parametrize("name", ["vicidial", "vicidial sometimes", "omnileads 4", "ours", ""])
def test_there_is_no_such_rule(name: str) -> None:
    with pytest.raises(ValueError, match="no pacing rule"):
        rival(name)


def test_rules_have_names() -> None:
    assert type(rival("progressive")) is Progressive
    assert rival("ratio 1.5").ratio == 1.5  # type: ignore[attr-defined]
    assert rival("level 2").level == 2.0  # type: ignore[attr-defined]
    assert rival("vicidial average", 0.05).share == 0.05  # type: ignore[attr-defined]
    assert rival("omnileads", 0.05).share == 0.05  # type: ignore[attr-defined]
