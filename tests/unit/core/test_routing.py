"""Which trunk a call takes, and how one that its trunk would not carry goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from dialer.core import destinations
from dialer.core import events as ev
from dialer.core.commands import HangUp, RingAgent, SaveCall, SaveLead, SaveTrunkState
from dialer.core.ids import ONLY, AgentId, AttemptId, ChannelId, PhoneId, TrunkId
from dialer.core.routing import why_not
from dialer.core.trunk import CallerIds, Trunk
from dialer.core.values import AgentState, CallState, Centre, Lead, LeadPhone, Owners, Result, RetryRule
from tests.unit.core.world import World, campaign, lead, parked, rung, trunk

ONE, TWO = trunk("t"), trunk("u", priority=200)


def world(*cards: Any, trunks: Sequence[Trunk] = (ONE, TWO), leads: Any = 1, **changes: Any) -> World:
    """One operator at work, a campaign on the *trunks*, in their order."""
    names = tuple(one.id for one in trunks)
    started = {"is_started": changes.pop("is_started", True)}
    spring = campaign(**{"trunk": names[0], "trunks": names[1:], **changes})
    return World(*(cards or (parked("g1"),)), trunks=trunks, leads=leads, campaigns=spring, **started)


def trunks_used(world: World) -> list[str]:
    """Of every originate so far."""
    return [one.trunk for one in world.originated()]


def state(world: World, name: str = "t") -> str:
    return world.floor.trunks[TrunkId(name)].state()


# -- which trunk ------------------------------------------------------------------------------


def test_the_lowest_priority_number_goes_first_and_the_next_has_what_it_has_no_room_for() -> None:
    cards = [parked(f"g{n}") for n in range(1, 4)]
    floor = world(*cards, trunks=(trunk("t", priority=2), trunk("u", priority=1, channels_max=2)), leads=3)
    assert trunks_used(floor) == ["u", "u", "t"]


def test_equals_have_their_share_by_weight_in_smooth_turns() -> None:
    cards = [parked(f"g{n}") for n in range(1, 13)]
    floor = world(*cards, trunks=(trunk("t", weight=5), trunk("u", weight=1)), leads=12)
    used = "".join(trunks_used(floor))
    assert Counter(used) == {"t": 10, "u": 2}
    assert used[:6].count("u") == used[6:].count("u") == 1
    assert "uu" not in used


def test_each_campaign_has_its_own_turn() -> None:
    trunks = [trunk("t"), trunk("u")]
    campaigns = [campaign(name, trunk="t", trunks=("u",)) for name in ("spring", "summer")]
    leads = [lead(1), lead(2, of="summer")]
    floor = World(parked("g1"), parked("g2"), trunks=trunks, campaigns=campaigns, leads=leads)
    assert trunks_used(floor) == ["t", "t"]


def test_a_trunk_that_is_down_disabled_or_removed_is_passed_over() -> None:
    for event in (
        {"kind": ev.TrunkChanged, "is_up": False},
        {"kind": ev.TrunkOrdered, "order": "disable"},
        {"kind": ev.TrunkOrdered, "order": "remove"},
    ):
        floor = world(is_started=False)
        kind: Any = event.pop("kind")
        floor.tell(kind, trunk="t", **event)
        floor.tell(ev.CampaignOrdered, campaign="spring", order="start")
        floor.sign_in("g1")
        assert trunks_used(floor) == ["u"], event


def test_room_is_that_of_all_trunks_together() -> None:
    cards = [parked(f"g{n}") for n in range(1, 9)]
    floor = world(*cards, trunks=(trunk("t", channels_max=3), trunk("u", channels_max=2)), leads=8)
    assert len(trunks_used(floor)) == 5


def test_a_number_goes_by_a_trunk_that_may_call_it() -> None:
    trunks = (trunk("t", destinations=("+44",)), trunk("u", destinations=("+7",)))
    floor = world(parked("g1"), parked("g2"), trunks=trunks, leads=[lead(1), lead(2, "+441234567890")])
    assert trunks_used(floor) == ["u", "t"]


def test_a_number_that_no_trunk_may_call_is_never_dialed() -> None:
    floor = world(trunks=(trunk("t", destinations=("+44",)),))
    assert not floor.originated()
    floor.tell(ev.TrunkApplied, trunk=trunk("t", destinations=("+44", "+7")))
    floor.tick(2.0)
    assert trunks_used(floor) == ["t"]


def test_why_not() -> None:
    trunks = (
        trunk("t", destinations=("+44",)),
        trunk("u"),
        trunk("v"),
        trunk("w", channels_max=0),
        trunk("x", calls_per_second_max=0.01),
        trunk("y"),
    )
    floor = world(trunks=trunks)
    floor.tell(ev.TrunkChanged, trunk="u", is_up=False)
    floor.tell(ev.TrunkOrdered, trunk="v", order="disable")
    desk = floor.floor.desks[campaign().id]
    floor.floor.trunks[TrunkId("x")].took(floor.at)
    told = why_not(floor.floor._state, desk, "+70000000001", ONLY, floor.at)
    assert [why for _, why in told] == ["destination", "down", "disabled", "lines", "calls_per_second", ""]


# -- destinations -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "may", "never", "countries", "is_allowed"),
    [
        ("+79991234567", (), (), ("+7",), True),
        ("+441234567890", (), (), ("+7",), False),
        ("+441234567890", (), (), (), True),
        ("+441234567890", ("+44",), (), ("+7",), True),
        ("+79991234567", ("+44",), (), ("+7",), False),
        ("+79991234567", (), ("+7999",), ("+7",), False),
        ("+79981234567", (), ("+7999",), ("+7",), True),
        ("+79991234567", ("+79991",), ("+7999",), ("+7",), True),
        ("+79991234567", ("+7999",), ("+7999",), ("+7",), False),
        ("+79991234567", ("+7",), ("+7999",), (), False),
    ],
)
def test_destinations(number: str, may: Any, never: Any, countries: Any, is_allowed: bool) -> None:
    one = trunk(destinations=may, forbidden=never)
    assert destinations.allows(one, countries, number) is is_allowed


def test_the_campaign_s_countries_go_before_the_centre_s() -> None:
    centre = Centre(countries=("+7",))
    assert destinations.countries_of(campaign(), centre) == ("+7",)
    assert destinations.countries_of(campaign(countries=("+44",)), centre) == ("+44",)


# -- going on ---------------------------------------------------------------------------------


def saved(world: World) -> list[tuple[str, CallState, Result | None, int, AttemptId | None]]:
    """Every attempt as it was saved last."""
    return [(one.trunk, one.state, one.result, one.ordinal, one.after) for one in world.store.calls.values()]


def test_a_call_that_its_trunk_would_not_carry_goes_on_in_the_same_decision() -> None:
    floor = world()
    first = floor.only()
    commands = floor.hangs_up(first, 34, 503)
    second = floor.only()
    assert second != first
    assert saved(floor) == [
        ("t", CallState.ENDED, Result.REROUTED, 1, None),
        ("u", CallState.DIALING, None, 1, first),
    ]
    saves = [one.call.attempt for one in commands if isinstance(one, SaveCall)]
    assert saves == [first, second], "the old one ends before the new one begins"
    assert not [one for one in commands if isinstance(one, SaveLead)], "nothing became of the lead"
    assert floor.originated()[-1].number == floor.originated()[0].number


def test_with_no_trunk_left_it_ends_as_it_ended() -> None:
    floor = world()
    floor.hangs_up(floor.only(), 34, 503)
    floor.hangs_up(floor.only(), 34, 503)
    assert not floor.floor.calls
    assert [one[2] for one in saved(floor)] == [Result.REROUTED, Result.CONGESTION]
    (left,) = floor.store.leads.values()
    assert left.ordinal == 1
    assert floor.store.lead(left.id).phones[0].tried == ("congestion",)


def test_three_trunks_are_tried_each_once() -> None:
    floor = world(trunks=(trunk("t"), trunk("u"), trunk("v")))
    for _ in range(3):
        floor.hangs_up(floor.only(), 34, 503)
    assert sorted(trunks_used(floor)) == ["t", "u", "v"]


@pytest.mark.parametrize(
    "cause", [(17, 486), (1, 404), (21, 603), (19, 480), (0, None), (18, 408), (16, None)]
)
def test_what_is_the_person_s_or_nobody_s_word_ends_the_call(cause: tuple[int, int | None]) -> None:
    floor = world()
    floor.hangs_up(floor.only(), *cause)
    assert trunks_used(floor) == ["t"]


@pytest.mark.parametrize("cause", [(34, 503), (38, 502), (3, 404), (42, None), (127, 500)])
def test_the_trunk_s_causes(cause: tuple[int, int | None]) -> None:
    floor = world()
    floor.hangs_up(floor.only(), *cause)
    assert trunks_used(floor) == ["t", "u"]


def test_the_causes_are_the_trunk_s_own() -> None:
    floor = world(trunks=(trunk("t", failover_on=(486,)), TWO))
    floor.hangs_up(floor.only(), 17, 486)
    assert trunks_used(floor) == ["t", "u"]
    floor = world(trunks=(trunk("t", failover_on=(486,)), TWO))
    floor.hangs_up(floor.only(), 34, 503)
    assert trunks_used(floor) == ["t"]


def test_silence_goes_on_only_if_the_trunk_is_down() -> None:
    floor = world()
    floor.tell(ev.TrunkChanged, trunk="t", is_up=False)
    floor.hangs_up(floor.only(), 18, 408)
    assert trunks_used(floor) == ["t", "u"]


def test_when_a_trunk_is_found_dead_its_calls_that_never_rang_go_on() -> None:
    floor = world(parked("g1"), parked("g2"), leads=2)
    silent, ringing = floor.live()
    floor.rings(ringing)
    floor.look()
    floor.tell(ev.TrunkChanged, trunk="t", is_up=False)
    assert [one.channel for one in floor.look(HangUp)] == [silent]
    assert trunks_used(floor) == ["t", "t"], "not before its channel is gone"
    floor.hangs_up(silent, 16)
    assert trunks_used(floor) == ["t", "t", "u"]
    assert floor.call(silent).result is Result.REROUTED
    floor.hangs_up(ringing, 17, 486)
    assert floor.call(ringing).result is Result.BUSY


def test_who_rings_at_the_last_moment_is_not_rung_again() -> None:
    floor = world()
    attempt = floor.only()
    floor.tell(ev.TrunkChanged, trunk="t", is_up=False)
    floor.rings(attempt)
    floor.hangs_up(attempt, 19, 480)
    assert trunks_used(floor) == ["t"]


def test_with_no_other_trunk_the_calls_of_a_dead_one_are_left_alone() -> None:
    floor = world(trunks=(ONE,))
    floor.look()
    floor.tell(ev.TrunkChanged, trunk="t", is_up=False)
    assert not floor.look(HangUp)


def test_the_promise_holds_while_a_call_of_a_dead_trunk_is_ended() -> None:
    floor = world(rung("g1"), ring_agent="at_dial")
    first = floor.only()
    floor.tell(ev.TrunkChanged, trunk="t", is_up=False)
    assert floor.agent("g1").attempt == first
    floor.hangs_up(first, 16)
    assert floor.agent("g1").attempt == floor.only() != first
    assert len(floor.rung_legs()) == 1


def test_no_call_takes_the_operator_of_one_that_is_about_to_go_on() -> None:
    floor = world(leads=2)
    floor.tell(ev.TrunkChanged, trunk="t", is_up=False)
    assert len(floor.originated()) == 1
    floor.hangs_up(floor.only(), 16)
    assert [one.number for one in floor.originated()] == ["+70000000001"] * 2


def test_a_call_to_which_the_carrier_said_nothing_goes_on() -> None:
    floor = world(rung("g1"), ring_agent="at_dial")
    first = floor.only()
    floor.look()
    floor.tell(ev.TrunkSilent, attempt=first)
    assert [one.channel for one in floor.look(HangUp)] == [first]
    assert floor.agent("g1").attempt == first, "the promise holds"
    floor.hangs_up(first, 16)
    assert trunks_used(floor) == ["t", "u"]
    assert floor.call(first).result is Result.REROUTED
    assert (floor.call(first).cause, floor.call(first).tech_cause) == (18, 408)
    second = floor.only()
    assert floor.call(second).ordinal == floor.call(first).ordinal
    assert floor.agent("g1").attempt == second
    floor.tell(ev.TrunkSilent, attempt=first)  # late: nobody is hung up on
    assert not floor.look(HangUp)


def test_no_call_takes_the_operator_of_one_to_which_the_carrier_said_nothing() -> None:
    floor = world(leads=2)
    floor.tell(ev.TrunkSilent, attempt=floor.only())
    assert len(floor.originated()) == 1
    floor.hangs_up(floor.only(), 16)
    assert [one.number for one in floor.originated()] == ["+70000000001"] * 2


def test_who_rings_after_all_is_not_rung_again() -> None:
    floor = world()
    attempt = floor.only()
    floor.tell(ev.TrunkSilent, attempt=attempt)
    floor.rings(attempt)
    floor.hangs_up(attempt, 19, 480)
    assert trunks_used(floor) == ["t"]
    assert floor.call(attempt).result is Result.NO_ANSWER


def test_who_rings_is_not_cut_off_by_a_silence_that_is_told_late() -> None:
    floor = world()
    floor.rings(floor.only())
    floor.look()
    floor.tell(ev.TrunkSilent, attempt=floor.only())
    assert not floor.look(HangUp)


def test_with_no_other_trunk_a_silent_one_costs_nobody_a_try() -> None:
    floor = world(trunks=(ONE,))
    attempt = floor.only()
    floor.tell(ev.TrunkSilent, attempt=attempt)
    floor.hangs_up(attempt, 16)
    assert floor.call(attempt).result is Result.FAILED
    assert floor.agent("g1").state is AgentState.READY


def test_a_silent_trunk_rests_after_some_calls_and_a_dead_one_is_judged_by_its_options() -> None:
    cards = [parked(f"g{n}") for n in range(1, 6)]
    floor = world(*cards, leads=5)
    for attempt in floor.live():
        floor.tell(ev.TrunkSilent, attempt=attempt)
        floor.hangs_up(attempt, 16)
    assert trunks_used(floor) == ["t"] * 5 + ["u"] * 5
    assert state(floor) == "resting"
    floor = world(*cards, leads=5)
    floor.tell(ev.TrunkChanged, trunk="t", is_up=False)
    for attempt in floor.live():
        floor.hangs_up(attempt, 16)
    assert trunks_used(floor) == ["t"] * 5 + ["u"] * 5
    floor.tell(ev.TrunkChanged, trunk="t", is_up=True)
    assert state(floor) == "up"


def test_who_was_rung_is_not_rung_again() -> None:
    floor = world()
    attempt = floor.only()
    floor.rings(attempt)
    floor.hangs_up(attempt, 34, 503)
    assert trunks_used(floor) == ["t"]


def test_who_answered_is_not_rung_again() -> None:
    floor = world()
    attempt = floor.only()
    floor.answers(attempt)
    floor.hangs_up(attempt, 34, 503)
    assert trunks_used(floor) == ["t"]


def test_what_we_gave_up_does_not_go_on() -> None:
    floor = world()
    attempt = floor.only()
    floor.fires(attempt)
    assert floor.look(HangUp)
    floor.hangs_up(attempt, 34, 503)
    assert trunks_used(floor) == ["t"]


@pytest.mark.parametrize(
    "refusal", [{"was_sent": False}, {"was_sent": True, "reason": "500 Allocation failed"}]
)
def test_what_asterisk_made_no_channel_for_goes_on(refusal: dict[str, Any]) -> None:
    floor = world()
    floor.tell(ev.OriginateRefused, attempt=floor.only(), **{"reason": "", **refusal})
    assert [one[:3] for one in saved(floor)] == [
        ("t", CallState.ENDED, Result.REROUTED),
        ("u", CallState.DIALING, None),
    ]


def test_what_a_rule_of_ours_forbade_does_not_go_on() -> None:
    floor = world()
    floor.tell(ev.OriginateRefused, attempt=floor.only(), reason="do_not_call", was_sent=False, is_ours=True)
    assert trunks_used(floor) == ["t"]
    assert saved(floor)[0][2] is Result.FAILED


@pytest.mark.parametrize(
    "event",
    [
        ev.PbxDisconnected(at=0),
        ev.EventsLagged(at=0, lag_ms=2000.0, is_late=True),
        ev.JournalFailed(at=0, reason="full"),
        ev.Leaving(at=0),
        ev.CampaignOrdered(at=0, campaign=campaign().id, order="pause"),
        ev.CampaignOrdered(at=0, campaign=campaign().id, order="stop"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_nothing_goes_on_where_nothing_may_be_originated(event: ev.Event) -> None:
    floor = world()
    attempt = floor.only()
    floor.tell(event)
    floor.hangs_up(attempt, 34, 503)
    assert trunks_used(floor) == ["t"]
    assert saved(floor)[0][2] is Result.CONGESTION


def test_outside_calling_hours_it_does_not_go_on() -> None:
    phone = LeadPhone(id=PhoneId(10), number="+70000000001", hours=(0.0, 1_000_005.0))
    floor = world(leads=[lead(1, phones=(phone,))])
    attempt = floor.only()
    floor.later(6.0).hangs_up(attempt, 34, 503)
    assert trunks_used(floor) == ["t"]


def test_no_call_goes_on_for_nobody() -> None:
    floor = world()
    attempt = floor.only()
    floor.line_ends("g1")
    floor.hangs_up(attempt, 34, 503)
    assert trunks_used(floor) == ["t"], "its operator has left"


def test_without_further_ids_it_ends() -> None:
    floor = world()
    del floor.floor._state.onward[floor.only()]
    floor.hangs_up(floor.only(), 34, 503)
    assert trunks_used(floor) == ["t"]


def test_the_promise_of_a_parked_operator_goes_with_the_call() -> None:
    owned = lead(1, owner=AgentId("g1"))
    floor = world(parked("g1"), parked("g2"), leads=[owned], owners=Owners(away="wait"))
    first = floor.only()
    assert floor.agent("g1").attempt == first
    floor.hangs_up(first, 34, 503)
    second = floor.only()
    assert (floor.agent("g1").attempt, floor.state("g1")) == (second, AgentState.RESERVED)
    assert floor.call(second).agent == "g1"
    floor.answers(second)
    floor.joins(second)
    assert floor.state("g1") is AgentState.ON_CALL


def test_a_phone_that_rings_for_the_call_rings_on() -> None:
    floor = world(rung("g1"), ring_agent="at_dial")
    first = floor.only()
    (leg,) = floor.rung_legs()
    floor.look()
    floor.hangs_up(first, 34, 503)
    second = floor.only()
    assert not floor.look(RingAgent)
    assert not floor.look(HangUp)
    assert floor.agent("g1").channel == leg.channel
    floor.leg_answers("g1")
    floor.answers(second)
    floor.joins(second)
    assert floor.call(second).connected_at is not None
    floor.line_ends("g1")
    assert floor.call(second).result is None


def test_a_phone_that_is_rung_again_after_a_restart_is_rung_on_its_own_leg() -> None:
    floor = world(rung("g1"), ring_agent="at_dial")
    (leg,) = floor.rung_legs()
    floor.hangs_up(floor.only(), 34, 503)
    floor.tell(ev.PbxConnected, channels=(ev.LiveChannel(channel=ChannelId(floor.only()), is_up=False),))
    assert floor.rung_legs()[-1].channel == leg.channel
    assert floor.rung_legs()[-1].attempt == floor.only()


def test_caps_of_the_next_trunk_hold() -> None:
    """And the person loses no try by it: with room there they would have been called."""
    floor = world(trunks=(ONE, trunk("u", priority=200, channels_max=0)))
    floor.hangs_up(floor.only(), 34, 503)
    assert trunks_used(floor) == ["t"]
    assert saved(floor)[0][2] is Result.FAILED
    (left,) = floor.store.leads.values()
    assert (left.ordinal, left.due) == (0, floor.at + 60)
    floor = world(trunks=(ONE, trunk("u", priority=200, forbidden=("+7",), channels_max=0)))
    floor.hangs_up(floor.only(), 34, 503)
    assert saved(floor)[0][2] is Result.CONGESTION, "it could not have gone there at all"


def test_the_caller_id_is_the_next_trunk_s() -> None:
    trunks = (trunk("t", caller_id="1"), trunk("u", priority=200, caller_ids=CallerIds(numbers=("2", "3"))))
    floor = world(trunks=trunks)
    floor.hangs_up(floor.only(), 34, 503)
    assert [one.caller_id for one in floor.originated()] == ["1", "2"]
    assert [one.caller_id for one in floor.store.calls.values()] == ["1", "2"]


def test_lines_of_the_campaign_that_are_all_taken_do_not_keep_a_call_from_going_on() -> None:
    floor = world(lines_max=1)
    floor.hangs_up(floor.only(), 34, 503)
    assert trunks_used(floor) == ["t", "u"]


def test_a_restart_in_between_loses_nothing() -> None:
    floor = world(trunks=(trunk("t"), trunk("u"), trunk("v")))
    floor.hangs_up(floor.only(), 34, 503)
    second = floor.call(floor.only())
    state = floor.floor._state
    again = World(is_started=False, trunks=floor.trunks, campaigns=floor.campaigns)
    again.store, again._ids = floor.store, 500
    again.at = floor.at
    again.floor = type(floor.floor)()
    started = ev.EngineStarted(
        at=floor.at,
        version="",
        trunks=tuple(floor.trunks),
        campaigns=tuple((one, state.desks[one.id].state) for one in floor.campaigns),
        cards=tuple(floor.cards),
        agents=tuple(state.agents.values()),
        calls=((second, state.leads[second.attempt]),),
        onward=(ev.Onward(attempt=second.attempt, more=(again.new_id(),), tried=(TrunkId("t"),)),),
    )
    again.floor.take_up(started)
    again.tell(started)
    line, bridge = floor.agent("g1").channel, floor.agent("g1").bridge
    assert line is not None
    person = ev.LiveChannel(channel=ChannelId(second.attempt), is_up=False)
    operator = ev.LiveChannel(channel=line, is_up=True, in_app=True, bridge=bridge)
    again.tell(ev.PbxConnected, channels=(person, operator))
    again.later(1.0).hangs_up(second.attempt, 34, 503)
    (third,) = again.originated()
    assert (third.trunk, again.call(third.attempt).after) == ("v", second.attempt)


def test_the_contact_is_dialed_again_as_if_nothing_had_been() -> None:
    once = {Result.CONGESTION: RetryRule(attempts=2, again_s=0.0, phone="same")}
    floor = world(retry=once, attempts=2)
    for _ in range(2):
        floor.hangs_up(floor.only(), 34, 503)
        floor.hangs_up(floor.only(), 34, 503)
        floor.tick(20.0)
    assert Counter(one[2] for one in saved(floor)) == {Result.REROUTED: 2, Result.CONGESTION: 2}
    assert set(floor.store.finished.values()) == {"no_number_left"}


# -- rotation on the floor --------------------------------------------------------------------


def fail(floor: World, times: int = 1, cause: tuple[int, int | None] = (34, 503)) -> None:
    """Calls that end so, one after the other, wherever they go."""
    for _ in range(times):
        floor.hangs_up(floor.live(CallState.DIALING)[0], *cause)


def leads_of(count: int) -> list[Lead]:
    return [lead(n) for n in range(1, count + 1)]


def test_a_trunk_that_fails_goes_out_and_comes_back_by_a_probe() -> None:
    floor = world(leads=leads_of(60))
    for _ in range(5):
        assert floor.originated()[-1].trunk == "t"
        fail(floor)
        floor.answers(floor.only())
        floor.hangs_up(floor.only(), 0)
    assert state(floor) == "resting"
    assert floor.originated()[-1].trunk == "u"
    floor.later(15.0).hangs_up(floor.only(), 17, 486)
    probe = floor.only()
    assert floor.originated()[-1].trunk == "t"
    assert state(floor) == "probing"
    floor.rings(probe)
    assert state(floor) == "up", "ringing is sign enough"
    told = [(one.trunk, one.state) for one in floor.commands if isinstance(one, SaveTrunkState)]
    assert told == [("t", "resting"), ("t", "probing"), ("t", "up")]


def test_people_who_are_busy_or_do_not_answer_say_nothing_against_a_trunk() -> None:
    floor = world(leads=leads_of(60), trunks=(ONE,))
    for cause in ((17, 486), (1, 404), (21, 603), (19, 480), (18, 408)) * 6:
        floor.hangs_up(floor.only(), *cause)
        assert state(floor) == "up", cause


def test_calls_that_we_give_up_say_nothing_against_a_trunk() -> None:
    floor = world(leads=leads_of(20), trunks=(ONE,))
    for _ in range(10):
        attempt = floor.only()
        floor.fires(attempt)
        floor.hangs_up(attempt, 0, 487)
    assert state(floor) == "up"


def test_a_trunk_that_is_applied_again_rests_on() -> None:
    floor = world(leads=leads_of(60), trunks=(ONE,))
    fail(floor, 5)
    assert state(floor) == "resting"
    floor.tell(ev.TrunkApplied, trunk=trunk("t", channels_max=5))
    assert state(floor) == "resting"


def test_orders_and_options_are_written_down() -> None:
    floor = world()
    floor.look()
    floor.tell(ev.TrunkOrdered, trunk="t", order="disable")
    floor.tell(ev.TrunkChanged, trunk="t", is_up=False)
    floor.tell(ev.TrunkOrdered, trunk="t", order="enable")
    floor.tell(ev.TrunkChanged, trunk="t", is_up=True)
    floor.tell(ev.TrunkChanged, trunk="t", is_up=True)
    assert [one.state for one in floor.look(SaveTrunkState)] == ["disabled", "down", "up"]
