"""Which calls are abandoned, from when on, and how they are counted: every way in which nobody is there in time."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core import events as ev
from dialer.core.commands import SaveCall, SaveLedger
from dialer.core.conduct import Abandonment, Machines, Pacing
from dialer.core.floor import Floor
from dialer.core.ids import AttemptId, ChannelId
from dialer.core.pacing.ledger import DayCount, day_of
from dialer.core.values import Call, CallState, CampaignState, Result
from dialer.lab.simulator.invariants import check_counts
from tests.unit.core.pacers import Told
from tests.unit.core.world import AT, CAMPAIGN, World, campaign, parked, rung

LIMIT: dict[str, Any] = {"wait_s": 5.0, "pacing": Pacing(abandonment=Abandonment(limit_s=2.0))}
"""A person waits longer than the law's time."""


def dialed(*cards: Any, **rules: Any) -> tuple[World, AttemptId]:
    """A call is placed ahead of operators: those that there are take a break."""
    told = Told()
    told.places = (CAMPAIGN,)
    w = World(*(cards or (parked("g7"),)), pacer=told, mode="predictive", **rules)
    for card in w.cards:
        w.dial(card.id, "421")
    return w, w.only()


def is_abandoned(w: World, attempt: AttemptId) -> bool:
    """Whether the call counts as abandoned: by itself, and in the ledger, which say the same."""
    check_counts(w.floor, w.store.calls.values(), w.at)
    return w.call(attempt).abandoned_at is not None


def counts(w: World) -> list[tuple[int, int]]:
    """What was written of the ledger, in its order."""
    ledgers = [one.count for one in w.commands if isinstance(one, SaveLedger)]
    return [(one.answered, one.abandoned) for one in ledgers]


def is_served(w: World, attempt: AttemptId, agent: str = "g7") -> None:
    """An operator comes back, and the person is joined with them."""
    w.dial(agent, "43")
    w.joins(attempt)
    assert w.call(attempt).state is CallState.CONNECTED


def test_who_hangs_up_while_waiting_is_abandoned() -> None:
    w, attempt = dialed()
    w.answers(attempt)
    assert not is_abandoned(w, attempt)
    w.later(0.5).hangs_up(attempt, cause=16)
    assert (is_abandoned(w, attempt), w.call(attempt).abandoned_at) == (True, AT + 0.5)
    assert w.call(attempt).result is Result.HUNG_UP


def test_who_is_joined_in_time_is_not() -> None:
    w, attempt = dialed()
    w.answers(attempt)
    w.later(2.0)
    is_served(w, attempt)
    w.later(60).hangs_up(attempt)
    assert not is_abandoned(w, attempt)
    assert counts(w) == [(1, 0)]


def test_who_is_served_when_the_time_is_over_is_abandoned_all_the_same_and_once() -> None:
    w, attempt = dialed(**LIMIT)
    w.answers(attempt)
    w.tick(1.9)
    assert not is_abandoned(w, attempt)
    w.tick(0.1)
    assert w.call(attempt).abandoned_at == w.at
    w.tick(0.2)
    is_served(w, attempt)
    w.later(60).hangs_up(attempt)
    assert is_abandoned(w, attempt)
    assert (w.call(attempt).abandoned_at, w.call(attempt).result) == (AT + 2.0, Result.TALKED)
    assert counts(w) == [(1, 0), (1, 1)]


def test_a_moment_too_late_is_too_late() -> None:
    for late, expected in ((0.0, False), (0.001, True)):
        w, attempt = dialed(**LIMIT)
        w.answers(attempt)
        w.later(1.5).dial("g7", "43")
        w.later(0.5 + late).joins(attempt)
        assert is_abandoned(w, attempt) is expected


def test_an_answer_that_crosses_our_cancel_is_abandoned() -> None:
    w, attempt = dialed()
    w.rings(attempt)
    w.fires(attempt)
    assert w.call(attempt).ending == "no_answer"
    w.later(0.1).answers(attempt)
    assert is_abandoned(w, attempt)
    w.hangs_up(attempt, cause=16)
    assert (w.call(attempt).result, counts(w)) == (Result.ABANDONED, [(1, 1)])


@pytest.mark.parametrize("is_given_up", [False, True])
def test_their_own_bye_before_we_heard_of_the_answer_is_an_answer(is_given_up: bool) -> None:
    w, attempt = dialed()
    w.rings(attempt)
    if is_given_up:
        w.fires(attempt)
    w.later(1).hangs_up(attempt, cause=0)
    assert (w.call(attempt).answered_at, is_abandoned(w, attempt)) == (w.at, True)
    assert counts(w) == [(1, 1)]


def test_a_call_that_was_never_answered_is_no_answer_and_not_abandoned() -> None:
    w, attempt = dialed()
    w.rings(attempt)
    w.fires(attempt)
    w.later(1).hangs_up(attempt, cause=16)
    assert (is_abandoned(w, attempt), counts(w)) == (False, [])


def test_who_gets_the_last_word_is_abandoned_from_then_on() -> None:
    w, attempt = dialed(wait_s=1.0)
    w.answers(attempt)
    w.fires(attempt)
    assert (w.call(attempt).abandoned_at, is_abandoned(w, attempt)) == (AT + 1.0, True)


def test_who_is_held_is_abandoned_when_the_time_is_over_and_not_before() -> None:
    """Music is no operator; but as long as one may come in time, nothing is certain."""
    w, attempt = dialed(wait_s=0.0, no_agent="hold", hold_s=60.0)
    w.answers(attempt)
    assert w.call(attempt).held_at == AT
    w.tick(1.0)
    assert not is_abandoned(w, attempt)
    in_time, other = dialed(wait_s=0.0, no_agent="hold", hold_s=60.0)
    in_time.answers(other)
    in_time.later(1.5)
    is_served(in_time, other)
    assert not is_abandoned(in_time, other)
    w.tick(1.0)
    assert is_abandoned(w, attempt)


def test_who_is_held_when_the_time_is_over_is_abandoned_at_once() -> None:
    w, attempt = dialed(wait_s=2.0, no_agent="hold", hold_s=60.0)
    w.answers(attempt)
    w.fires(attempt)
    assert w.call(attempt).held_at == w.call(attempt).abandoned_at == AT + 2.0


def test_who_was_promised_an_operator_whose_phone_still_rings_is_counted_when_that_is_known() -> None:
    w, attempt = dialed(rung("g7"))
    w.dial("g7", "43")
    w.answers(attempt)
    w.tick(3.0)
    assert (w.call(attempt).agent, is_abandoned(w, attempt)) == ("g7", False)
    w.leg_answers("g7")
    w.joins(attempt)
    assert (w.call(attempt).abandoned_at, is_abandoned(w, attempt)) == (AT + 3.0, True)


def test_who_loses_that_operator_is_abandoned() -> None:
    w, attempt = dialed(rung("g7"), no_agent="hold", hold_s=60.0)
    w.dial("g7", "43")
    w.answers(attempt)
    w.fires("g7", "agent")
    assert w.call(attempt).held_at is not None
    assert is_abandoned(w, attempt)


def test_a_lost_join_gives_no_more_time() -> None:
    w, attempt = dialed()
    w.dial("g7", "43")
    w.answers(attempt)
    w.later(2.5).line_ends("g7")
    assert (is_abandoned(w, attempt), w.call(attempt).ending) == (True, "no_agent")


def test_the_time_in_which_it_was_listened_is_part_of_the_wait() -> None:
    for listened_s, expected in ((1.0, False), (1.5, True)):
        w, attempt = dialed(machines=Machines(detect=True))
        w.dial("g7", "43")
        w.later(1.5).tell(ev.ContactAnswered, attempt=attempt, listened_s=listened_s)
        assert w.call(attempt).answered_at == w.at - listened_s
        assert w.call(attempt).listened_s == listened_s
        w.later(0.75).joins(attempt)
        assert is_abandoned(w, attempt) is expected


def test_whom_it_was_listened_to_for_too_long_waits_no_more() -> None:
    w, attempt = dialed(machines=Machines(detect=True))
    w.later(10).tell(ev.ContactAnswered, attempt=attempt, listened_s=4.0)
    assert (w.call(attempt).ending, is_abandoned(w, attempt)) == ("no_agent", True)


def test_a_machine_is_no_person() -> None:
    w, attempt = dialed()
    w.rings(attempt)
    w.tell(ev.MachineAnswered, attempt=attempt, listened_s=1.1)
    w.answers(attempt)  # an event that comes late
    assert (w.call(attempt).listened_s, w.call(attempt).answered_at) == (1.1, None)
    w.later(20).hangs_up(attempt, cause=16)
    assert (w.call(attempt).result, is_abandoned(w, attempt), counts(w)) == (Result.MACHINE, False, [])


def test_a_machine_whose_answer_crossed_our_cancel_is_none_either() -> None:
    w, attempt = dialed()
    w.rings(attempt)
    w.fires(attempt)
    w.tell(ev.MachineAnswered, attempt=attempt)
    live = ev.LiveChannel(channel=ChannelId(attempt), is_up=True, place="machine")
    w.tell(ev.PbxConnected, channels=(live,))
    w.hangs_up(attempt, cause=16)
    assert (w.call(attempt).result, is_abandoned(w, attempt)) == (Result.NO_ANSWER, False)


def test_a_campaign_without_operators_abandons_nobody() -> None:
    w = World(mode="announcement")
    attempt = w.only()
    w.later(9).tell(ev.AnnouncementBegan, attempt=attempt, listened_s=1.5)
    assert (w.call(attempt).answered_at, w.call(attempt).listened_s) == (w.at - 1.5, 1.5)
    w.later(5).hangs_up(attempt, cause=16)
    assert (w.call(attempt).abandoned_at, w.call(attempt).result) == (None, Result.ANNOUNCED)
    assert (w.floor.ledger(CAMPAIGN), counts(w)) == (None, [])


def test_who_was_with_the_dialplan_when_we_came_back_is_abandoned() -> None:
    w, attempt = dialed()
    w.tell(ev.PbxDisconnected)
    live = ev.LiveChannel(channel=ChannelId(attempt), is_up=True)
    w.later(5).tell(ev.PbxConnected, channels=(live,))
    assert (w.call(attempt).ending, is_abandoned(w, attempt)) == ("no_agent", True)


def test_who_came_back_from_the_last_word_stays_abandoned_once() -> None:
    w, attempt = dialed(wait_s=1.0)
    w.answers(attempt)
    w.fires(attempt)
    w.later(3).tell(ev.ContactReturned, attempt=attempt)
    is_served(w, attempt)
    w.later(60).hangs_up(attempt)
    assert (w.call(attempt).abandoned_at, counts(w)) == (AT + 1.0, [(1, 0), (1, 1)])
    assert is_abandoned(w, attempt)


@pytest.mark.parametrize("what", ["returned", "chose"])
def test_who_comes_from_a_last_word_that_we_never_heard_of_is_abandoned(what: str) -> None:
    w, attempt = dialed()
    w.rings(attempt)
    if what == "returned":
        w.tell(ev.ContactReturned, attempt=attempt)
    else:
        w.tell(ev.ContactChose, attempt=attempt, choice="refuse")
        assert w.call(attempt).ending == "no_agent"
    assert is_abandoned(w, attempt)
    assert counts(w) == [(1, 1)]


@pytest.mark.parametrize("is_killed", [False, True])
def test_who_answered_and_was_gone_while_nobody_listened_is_abandoned_on_the_day_of_the_answer(
    is_killed: bool,
) -> None:
    w, attempt = dialed()
    w.rings(attempt)
    answered_at = w.at + 3
    w.later(86_400)
    if is_killed:
        w.floor = restarted(w)
    else:
        w.tell(ev.PbxDisconnected)
    w.tell(ev.AnswerFound, attempt=attempt, answered_at=answered_at)
    w.tell(ev.PbxConnected)
    call = w.call(attempt)
    assert (call.state, call.result, call.answered_at) == (CallState.ENDED, Result.ABANDONED, answered_at)
    assert is_abandoned(w, attempt)
    ledger = w.floor.ledger(CAMPAIGN)
    assert ledger is not None
    assert ledger.days() == (DayCount(day_of(AT), 1, 1),)
    assert w.store.ledgers() == [(CAMPAIGN, (DayCount(day_of(AT), 1, 1),))]


def test_without_a_trace_of_an_answer_there_was_none() -> None:
    w, attempt = dialed()
    w.rings(attempt)
    w.tell(ev.PbxDisconnected)
    w.later(60).tell(ev.PbxConnected)
    assert (w.call(attempt).result, is_abandoned(w, attempt), counts(w)) == (Result.LOST, False, [])


def test_who_was_promised_an_operator_and_is_found_gone_keeps_none() -> None:
    w = World(rung("g7"), ring_agent="at_dial")
    attempt = w.only()
    assert w.agent("g7").attempt == attempt
    w.tell(ev.PbxDisconnected)
    w.tell(ev.AnswerFound, attempt=attempt, answered_at=w.at)
    assert w.agent("g7").attempt is None
    assert is_abandoned(w, attempt)


def test_whose_answer_may_be_unheard_is_known_before_the_list_and_doubted_on_an_open_socket() -> None:
    w = World(rung("g7"), rung("g8"), leads=2, ring_agent="at_answer")
    rings, talks = w.live()
    w.rings(rings)
    w.answers(talks)

    def unheard(*, is_sure: bool) -> list[AttemptId]:
        return [one.attempt for one in w.floor.unheard(is_sure=is_sure)]

    assert (unheard(is_sure=True), unheard(is_sure=False)) == ([rings], [])
    w.tell(ev.PbxListed, asked_at=w.at, channels=(live(talks),))
    assert unheard(is_sure=False) == [rings]
    w.tell(ev.AnswerFound, attempt=rings, answered_at=w.at)
    w.later(6).tell(ev.PbxListed, asked_at=w.at, channels=(live(talks),))
    assert (w.call(rings).result, is_abandoned(w, rings)) == (Result.ABANDONED, True)


def test_progressive_calls_are_counted_like_others() -> None:
    w = World(parked("g7"))
    attempt = w.only()
    w.line_ends("g7")
    w.answers(attempt)
    w.fires(attempt)
    assert is_abandoned(w, attempt)


# -- how it is written ------------------------------------------------------------------------


def test_each_change_of_the_count_is_written_once_right_after_the_call() -> None:
    w, attempt = dialed()
    answer = w.answers(attempt)
    assert [type(one).__name__ for one in answer][:2] == ["SaveCall", "SaveLedger"]
    w.answers(attempt)  # doubled
    end = w.later(1).hangs_up(attempt)
    assert [one for one in end if isinstance(one, SaveLedger)] == [
        SaveLedger(campaign=CAMPAIGN, count=DayCount(day_of(AT), 1, 1))
    ]
    w.hangs_up(attempt)
    w.tick(60)
    assert counts(w) == [(1, 0), (1, 1)]


def restarted(w: World) -> Floor:
    """Another engine takes up what was saved."""
    floor = Floor()
    floor.take_up(
        ev.EngineStarted(
            at=w.at,
            version="1",
            campaigns=tuple((one, CampaignState.RUNNING) for one in w.campaigns),
            trunks=tuple(w.trunks),
            cards=tuple(w.cards),
            agents=tuple(w.store.agents.values()),
            calls=tuple(w.store.open()),
            ledgers=tuple(w.store.ledgers()),
        )
    )
    return floor


@pytest.mark.parametrize("is_over", [False, True])
def test_a_restart_counts_nobody_twice(is_over: bool) -> None:
    w, attempt = dialed(**LIMIT)
    w.answers(attempt)
    w.tick(3.0 if is_over else 1.0)
    w.floor = restarted(w)
    assert is_abandoned(w, attempt) is is_over
    w.floor.handle(ev.PbxConnected(at=w.at, channels=(live(attempt),)))
    w.later(5).tell(ev.Ticked)
    w.hangs_up(attempt)
    assert is_abandoned(w, attempt)
    assert counts(w) == [(1, 0), (1, 1)]


def live(attempt: AttemptId) -> ev.LiveChannel:
    return ev.LiveChannel(channel=ChannelId(attempt), is_up=True, in_app=True)


def test_what_another_engine_wrote_of_other_days_is_taken_up() -> None:
    w = World(parked("g7"))
    w.store.counts[CAMPAIGN, day_of(AT) - 3] = DayCount(day_of(AT) - 3, 50, 2)
    ledger = restarted(w).ledger(CAMPAIGN)
    assert ledger is not None
    assert ledger.totals(AT) == (50, 2)


def test_other_rules_hold_for_what_was_counted_before() -> None:
    w, attempt = dialed()
    w.answers(attempt)
    w.hangs_up(attempt)
    changed = campaign(mode="predictive", pacing=Pacing(abandonment=Abandonment(window_days=7, share=0.01)))
    w.tell(ev.CampaignApplied, campaign=changed)
    ledger = w.floor.ledger(CAMPAIGN)
    assert ledger is not None
    assert (ledger.rules.share, ledger.totals(AT), ledger.totals(AT + 8 * 86400)) == (0.01, (1, 1), (0, 0))


def test_an_announcement_of_a_campaign_that_wants_operators_meanwhile_is_not_abandoned() -> None:
    w = World(parked("g7"), mode="announcement", leads=2)
    heard, rings = w.live()
    w.tell(ev.AnnouncementBegan, attempt=heard)
    w.tell(ev.CampaignApplied, campaign=campaign(mode="predictive"))
    w.hangs_up(heard)
    assert (w.call(heard).abandoned_at, w.call(heard).result) == (None, Result.ANNOUNCED)
    w.dial("g7", "421")
    w.answers(rings)
    w.hangs_up(rings)
    assert w.call(rings).abandoned_at is not None
    assert counts(w) == [(1, 0), (1, 1)], "the call that was on its way is known to the rule"


def test_a_save_is_never_of_two_instants() -> None:
    """The instant of being abandoned stands in the same save as what made it so."""
    w, attempt = dialed()
    w.answers(attempt)
    saves: list[Call] = [one.call for one in w.later(1).hangs_up(attempt) if isinstance(one, SaveCall)]
    assert [(one.state, one.abandoned_at) for one in saves] == [(CallState.ENDED, AT + 1)]
