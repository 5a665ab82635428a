"""A trunk's caps and rests, and a campaign's counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from dialer.core.desk import REST_S, WINDOW_S, Desk, TrunkDesk
from dialer.core.ids import AttemptId, ServerId
from dialer.core.trunk import CallerIds
from dialer.core.values import CallState, CampaignState
from tests.unit.core.test_rules import a_call
from tests.unit.core.world import campaign, lead, trunk

AT = 1000.0


def attempts() -> Iterator[AttemptId]:
    return (AttemptId(f"a{number:020d}") for number in itertools.count(1))


IDS = attempts()


def test_channels_are_a_cap() -> None:
    desk = TrunkDesk(trunk(channels_max=3))
    assert desk.room(AT) == 3
    desk.took(AT)
    assert desk.room(AT) == 2
    desk.gave_back()
    assert desk.room(AT) == 3


def test_a_cap_that_was_lowered_below_what_is_live_leaves_no_room() -> None:
    desk = TrunkDesk(trunk(channels_max=1), live=3)
    assert desk.room(AT) == 0


def test_a_call_that_came_in_takes_a_channel_and_no_rate() -> None:
    desk = TrunkDesk(trunk(channels_max=2, calls_per_second_max=1))
    desk.came()
    assert desk.room(AT) == 1


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


def test_an_engine_that_starts_has_saved_nothing_of_the_rate() -> None:
    desk = TrunkDesk(trunk(calls_per_second_max=10), at=AT)
    assert desk.room(AT) == 0
    assert desk.room(AT + 0.1) == 1


# -- rotation ---------------------------------------------------------------------------------


def calls(desk: TrunkDesk, *carried: bool, at: float = AT) -> str:
    """Calls in a row, each carried or not; what the last one led to."""
    why = ""
    for is_carried in carried:
        attempt = next(IDS)
        desk.took(at, attempt)
        why = desk.judged(attempt, at, is_carried=is_carried)
        desk.gave_back(attempt)
    return why


def test_five_in_a_row_that_are_not_carried_take_a_trunk_out() -> None:
    desk = TrunkDesk(trunk())
    assert not calls(desk, *[False] * 4)
    assert desk.state() == "up"
    assert "5 calls in a row" in calls(desk, False)
    assert desk.state() == "resting"
    assert desk.room(AT) == 0


def test_one_that_is_carried_breaks_the_row() -> None:
    desk = TrunkDesk(trunk())
    calls(desk, *[True] * 6, *[False] * 4, *[True] * 3, *[False] * 4)
    assert desk.state() == "up"


def test_half_of_the_last_calls_not_carried_take_it_out_too() -> None:
    desk = TrunkDesk(trunk())
    why = calls(desk, *[True, False] * 5)
    assert "5 of 10" in why
    assert desk.state() == "resting"
    healthy = TrunkDesk(trunk())
    calls(healthy, *[True, True, True, False, False] * 20)
    assert healthy.state() == "up"


def test_what_is_long_ago_tells_nothing_of_a_share() -> None:
    desk = TrunkDesk(trunk())
    calls(desk, True, False, True, False, True, False, True, False)
    calls(desk, True, False, True, at=AT + WINDOW_S + 1)
    assert desk.state() == "up"


def test_when_the_rest_is_over_one_call_at_a_time_probes() -> None:
    desk = TrunkDesk(trunk())
    calls(desk, *[False] * 5)
    at = AT + REST_S
    assert desk.room(at - 0.1) == 0
    assert desk.room(at) == 1
    first = next(IDS)
    desk.took(at, first)
    assert desk.state() == "probing"
    assert desk.room(at + 5) == 0, "one probe at a time"
    assert desk.judged(first, at + 5, is_carried=True)
    assert desk.state() == "up"
    assert desk.room(at + 5) > 1


def test_a_probe_that_told_nothing_makes_room_for_the_next() -> None:
    desk = TrunkDesk(trunk())
    calls(desk, *[False] * 5)
    at, probe = AT + REST_S, next(IDS)
    desk.took(at, probe)
    desk.gave_back(probe)
    assert desk.state() == "resting"
    assert desk.room(at) == 1


def test_it_rests_longer_and_longer() -> None:
    desk = TrunkDesk(trunk())
    calls(desk, *[False] * 5)
    at = AT
    for rest in (15, 30, 60, 120, 240, 300, 300):
        assert desk.room(at + rest - 0.1) == 0, rest
        at += rest
        assert desk.room(at) == 1, rest
        calls(desk, False, at=at)
    calls(desk, True, at=at + 300)
    assert desk.state() == "up"
    calls(desk, *[False] * 5, at=at + 301)
    assert desk.room(at + 301 + 299) == 0, "one good call in between does not make it trusted again"


def test_a_trunk_that_was_well_for_a_while_begins_with_the_short_rest() -> None:
    desk = TrunkDesk(trunk())
    calls(desk, *[False] * 5)
    calls(desk, False, at=AT + 15)
    calls(desk, *[True] * 12, at=AT + 60)
    calls(desk, *[False] * 5, at=AT + 400)
    assert desk.room(AT + 400 + REST_S) == 1


def test_what_was_under_way_changes_nothing_for_one_that_rests() -> None:
    desk = TrunkDesk(trunk())
    under_way = [next(IDS) for _ in range(50)]
    for attempt in under_way:
        desk.took(AT, attempt)
    for attempt in under_way:
        desk.judged(attempt, AT, is_carried=False)
        desk.gave_back(attempt)
    assert desk.room(AT + REST_S) == 1
    late = next(IDS)
    assert not desk.judged(late, AT + 1, is_carried=True)
    assert desk.state() == "resting"


def test_a_trunk_that_is_down_has_no_room_there() -> None:
    desk = TrunkDesk(trunk())
    desk.down.add(ServerId("north"))
    assert desk.room(AT, ServerId("north")) == 0
    assert desk.room(AT, ServerId("south")) > 0
    assert desk.state(ServerId("north")) == "down"


def test_a_trunk_of_some_servers_has_no_room_on_others() -> None:
    desk = TrunkDesk(trunk(servers=("north",)))
    assert desk.room(AT, ServerId("south")) == 0
    assert desk.room(AT, ServerId("north")) > 0


@pytest.mark.parametrize("state", ["disabled", "removed"])
def test_a_trunk_out_of_use_has_no_room(state: str) -> None:
    desk = TrunkDesk(trunk())
    setattr(desk, f"is_{state}", True)
    assert (desk.room(AT), desk.state()) == (0, state)


# -- what people see --------------------------------------------------------------------------


def test_caller_ids_in_their_order() -> None:
    ids = CallerIds(
        numbers=("1", "2"), regions={"+7": ("71", "72"), "+7495": ("7495",)}, campaigns={"autumn": ("9",)}
    )
    desk = TrunkDesk(trunk(caller_id="0", caller_ids=ids))
    assert desk.caller_id(campaign(caller_id="5"), "+74951234567") == "5"
    assert desk.caller_id(campaign("autumn"), "+74951234567") == "9"
    assert desk.caller_id(campaign(), "+74951234567") == "7495"
    assert [desk.caller_id(campaign(), "+79991234567") for _ in range(3)] == ["71", "72", "71"]
    assert [desk.caller_id(campaign(), "+12125551212") for _ in range(3)] == ["1", "2", "1"]
    assert TrunkDesk(trunk(caller_id="0")).caller_id(campaign(), "+12125551212") == "0"


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
