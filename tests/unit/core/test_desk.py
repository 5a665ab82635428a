"""A trunk's caps and rests, and a campaign's counts."""

from __future__ import annotations

import pytest

from dialer.core.desk import Desk, TrunkDesk
from dialer.core.values import CallState, CampaignState, Result
from tests.unit.core.test_rules import a_call
from tests.unit.core.world import campaign, lead, trunk

AT = 1000.0


def test_channels_are_a_cap() -> None:
    desk = TrunkDesk(trunk(channels_max=3))
    assert desk.room(AT) == 3
    desk.took(AT)
    assert desk.room(AT) == 2
    desk.gave_back(Result.BUSY, AT)
    assert desk.room(AT) == 3


def test_a_cap_that_was_lowered_below_what_is_live_leaves_no_room() -> None:
    desk = TrunkDesk(trunk(channels_max=1), live=3)
    assert desk.room(AT) == 0


def test_the_rate_is_kept_and_only_a_little_of_it_is_saved() -> None:
    desk = TrunkDesk(trunk(calls_per_second_max=10))
    placed = 0
    for tenth in range(100):
        while desk.room(AT + tenth / 10):
            desk.took(AT + tenth / 10)
            placed += 1
    assert placed == pytest.approx(100, abs=3)
    assert desk.room(AT + 1000) == 2, "a lull of 15 minutes saves a quarter of a second"


def test_a_rate_below_one_call_a_second() -> None:
    desk = TrunkDesk(trunk(calls_per_second_max=0.5))
    assert desk.room(AT) == 1
    desk.took(AT)
    assert desk.room(AT + 1.9) == 0
    assert desk.room(AT + 2) == 1


def test_what_a_rule_of_ours_forbade_says_nothing_of_the_trunk() -> None:
    desk = TrunkDesk(trunk(channels_max=1))
    for _ in range(20):
        desk.took(AT)
        desk.gave_back(None, AT)
    assert desk.live == 0
    assert desk.room(AT + 1) == 1


def fails(desk: TrunkDesk, times: int, result: Result, at: float) -> None:
    for _ in range(times):
        desk.took(at)
        desk.gave_back(result, at)


@pytest.mark.parametrize("result", [Result.FAILED, Result.NO_ROUTE])
def test_a_trunk_that_carries_nothing_rests_longer_and_longer(result: Result) -> None:
    desk = TrunkDesk(trunk())
    fails(desk, 4, result, AT)
    assert desk.room(AT) > 0
    at = AT
    for rest in (15, 30, 60, 120, 240, 300, 300):
        fails(desk, 5 if at == AT and rest == 15 else 1, result, at)
        assert desk.room(at + rest - 1) == 0, rest
        assert desk.room(at + rest) > 0
        at += rest
    fails(desk, 1, Result.BUSY, at)
    fails(desk, 4, result, at)
    assert desk.room(at) > 0, "one call that was carried makes everything forgotten"


def test_failures_of_calls_that_were_under_way_do_not_lengthen_a_rest() -> None:
    desk = TrunkDesk(trunk())
    fails(desk, 50, Result.NO_ROUTE, AT)
    assert desk.room(AT + 15) > 0


def test_a_trunk_that_is_down_has_no_room() -> None:
    desk = TrunkDesk(trunk())
    desk.is_up = False
    assert desk.room(AT) == 0


@pytest.mark.parametrize(
    ("state", "agent", "is_unserved"),
    [
        (CallState.DIALING, None, True),
        (CallState.RINGING, None, True),
        (CallState.ANSWERED, None, True),
        (CallState.DIALING, "g7", False),
        (CallState.CONNECTING, "g7", False),
        (CallState.CONNECTED, "g7", False),
        (CallState.ENDING, None, False),
        (CallState.ENDED, None, False),
    ],
)
def test_which_calls_want_an_operator(state: CallState, agent: str | None, is_unserved: bool) -> None:
    desk = Desk(campaign(), CampaignState.RUNNING)
    call = a_call(lead(1), state=state, agent=agent)
    desk.index(call)
    desk.index(call)
    assert len(desk.unserved) == is_unserved
    assert len(desk.live) == (state is not CallState.ENDED)
