"""Campaigns on the floor: orders, priorities, numbers, leads, and the question of who is dialed when."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core import events as ev
from dialer.core.commands import FetchLeads, SaveLead
from dialer.core.hopper import ASK_AGAIN_S, LOOK_AGAIN_S
from dialer.core.ids import AttemptId, CampaignId, LeadId
from dialer.core.orders import ORDERS, why_not
from dialer.core.values import CallState, CampaignState, Result
from tests.unit.core.world import CAMPAIGN, World, campaign, lead, parked, rung, trunk

SUMMER = CampaignId("summer")


def order(w: World, what: str, of: CampaignId = CAMPAIGN) -> None:
    w.tell(ev.CampaignOrdered, campaign=of, order=what)


def state(w: World, of: CampaignId = CAMPAIGN) -> CampaignState:
    return w.floor.desks[of].state


def dialed_by(w: World) -> list[str]:
    return [str(one.campaign) for one in w.originated()]


# -- orders -------------------------------------------------------------------------------


@pytest.mark.parametrize("before", list(CampaignState))
@pytest.mark.parametrize("what", list(ORDERS))
def test_an_order_leads_where_it_says_or_changes_nothing(before: CampaignState, what: str) -> None:
    w = World(leads=1, is_started=False)
    w.floor.desks[CAMPAIGN].state = before
    order(w, what)
    allowed, after = ORDERS[what]
    assert state(w) is (after if before in allowed else before)
    assert w.store.states == ({CAMPAIGN: after} if before in allowed else {})
    assert (why_not(before, what) is None) == (before in allowed or before is after)


def test_a_new_campaign_waits_for_its_start() -> None:
    w = World(parked("g7"), campaigns=[], leads=[lead(1)])
    w.tell(ev.CampaignApplied, campaign=campaign())
    w.tick()
    assert (state(w), w.originated(), w.asked) == (CampaignState.NEW, [], [])
    order(w, "start")
    assert len(w.originated()) == 1


@pytest.mark.parametrize(("what", "back"), [("pause", "resume"), ("stop", "start")])
def test_a_campaign_that_does_not_run_dials_nobody_and_lets_its_calls_end(what: str, back: str) -> None:
    w = World(parked("g7"), leads=2, wrap_up_s=0.0)
    a1 = w.talks()
    order(w, what)
    assert w.call(a1).state is CallState.CONNECTED
    w.hangs_up(a1)
    w.tick(100)
    assert len(w.originated()) == 1
    order(w, back)
    assert len(w.originated()) == 2


def test_a_person_who_answers_after_the_stop_is_served() -> None:
    w = World(parked("g7"))
    a1 = w.only()
    order(w, "stop")
    w.answers(a1)
    assert w.call(a1).state is CallState.CONNECTING


def test_leads_at_hand_are_given_up_with_the_stop_and_fetched_anew_with_the_start() -> None:
    w = World(leads=3)
    assert len(w.floor.desks[CAMPAIGN].hopper) == 3
    order(w, "pause")
    assert len(w.floor.desks[CAMPAIGN].hopper) == 0
    w.store.finished[LeadId(2)] = "do_not_call"
    order(w, "resume")
    assert len(w.floor.desks[CAMPAIGN].hopper) == 2


def test_an_answer_that_comes_after_the_stop_is_dropped_and_the_start_asks_again() -> None:
    w = World(parked("g7"), leads=1, is_started=False)
    w.sign_in("g7")
    w.is_store_slow = True
    order(w, "start")
    order(w, "stop")
    w.answer()
    assert (w.originated(), len(w.floor.desks[CAMPAIGN].hopper)) == ([], 0)
    order(w, "start")
    w.answer()
    assert len(w.originated()) == 1


def test_settings_hold_from_the_next_decision_on() -> None:
    w = World(parked("g1"), parked("g2"), leads=3, lines_max=1)
    assert len(w.originated()) == 1
    w.tell(ev.CampaignApplied, campaign=campaign(lines_max=2, ring_s=20.0))
    assert len(w.originated()) == 2
    assert w.originated()[1].ring_s == 20.0


def test_applying_the_same_settings_again_changes_nothing() -> None:
    w = World(leads=3)
    assert w.tell(ev.CampaignApplied, campaign=campaign()) == []
    assert len(w.floor.desks[CAMPAIGN].hopper) == 3


def test_leads_that_were_chosen_by_old_settings_are_given_up() -> None:
    w = World(leads=3)
    w.store.finished[LeadId(2)] = "not of these lists"
    w.tell(ev.CampaignApplied, campaign=campaign(lists=("b",)))
    assert len(w.floor.desks[CAMPAIGN].hopper) == 2


# -- the end ------------------------------------------------------------------------------


def test_a_campaign_is_finished_when_its_last_lead_is() -> None:
    w = World(parked("g7"), leads=1, attempts=1)
    w.hangs_up(w.only(), 17, 486)
    assert (state(w), w.store.states) == (CampaignState.FINISHED, {CAMPAIGN: CampaignState.FINISHED})


def test_a_campaign_whose_leads_wait_is_not_finished() -> None:
    w = World(parked("g7"), leads=1)
    w.hangs_up(w.only(), 17, 486)
    w.tick(60)
    assert state(w) is CampaignState.RUNNING


def test_a_campaign_without_operators_finishes_too() -> None:
    w = World(leads=0)
    assert state(w) is CampaignState.FINISHED


def test_leads_added_while_the_answer_was_on_its_way_keep_the_campaign_running() -> None:
    w = World(leads=0, is_started=False)
    w.is_store_slow = True
    order(w, "start")
    empty = w.read(w.asked[0])
    w.store.add(lead(1))
    w.tell(ev.LeadsAdded, campaign=CAMPAIGN)
    w.answer(empty)
    assert state(w) is CampaignState.RUNNING
    w.answer()
    assert len(w.floor.desks[CAMPAIGN].hopper) == 1


# -- leads --------------------------------------------------------------------------------


def test_leads_added_are_asked_for_at_once() -> None:
    w = World(parked("g7"), leads=[lead(1, due=2e9)])
    assert w.originated() == []
    w.store.add(lead(2))
    w.tell(ev.LeadsAdded, campaign=CAMPAIGN)
    assert len(w.originated()) == 1


def test_a_lead_is_dialed_again_when_its_timer_fires() -> None:
    w = World(parked("g7"))
    w.hangs_up(w.only(), 17, 486)
    w.fires("1", "lead")
    (first, second) = w.originated()
    assert (w.call(second.attempt).ordinal, w.call(second.attempt).created_at) == (2, w.at)
    assert first.number == second.number


def test_a_lead_whose_timer_was_lost_is_found_all_the_same() -> None:
    w = World(parked("g7"))
    w.hangs_up(w.only(), 17, 486)
    for _ in range(int(180 + LOOK_AGAIN_S)):
        w.tick()
    assert len(w.originated()) == 2


def test_a_question_that_got_lost_is_asked_again() -> None:
    w = World(parked("g7"), is_started=False)
    w.sign_in("g7")
    w.is_store_slow = True
    order(w, "start")
    lost = w.asked.pop()
    w.tick(ASK_AGAIN_S - 1)
    assert w.asked == []
    w.tick(1)
    (again,) = w.asked
    assert again.ask > lost.ask
    w.answer(ev.LeadsFetched(at=w.at, campaign=CAMPAIGN, leads=(), unfinished=True, ask=lost.ask))
    w.tick(1)
    assert w.asked == [], "that was the answer to the lost one"


def test_an_answer_told_twice_dials_nobody_twice() -> None:
    w = World(parked("g7"), is_started=False)
    w.sign_in("g7")
    w.is_store_slow = True
    order(w, "start")
    answer = w.read(w.asked[0])
    w.answer(answer)
    w.hangs_up(w.only(), 1, 404)
    w.tell(answer)
    assert len(w.originated()) == 1


def test_a_contact_with_several_numbers() -> None:
    w = World(parked("g7"), leads=[lead(1, "+70000001", "+70000002")])
    w.hangs_up(w.only(), 1, 404)
    assert [one.number for one in w.originated()] == ["+70000001", "+70000002"]
    assert w.store.bad_phones == {10}
    w.hangs_up(w.only(), 19, 480)
    w.fires("1", "lead")
    assert w.originated()[-1].number == "+70000002"
    w.talks()
    w.hangs_up(w.only())
    assert w.store.finished == {LeadId(1): "talked"}


def test_a_lead_that_has_no_number_left_is_finished_instead_of_dialed() -> None:
    w = World(parked("g7"), leads=[lead(1), lead(2)], attempts_per_contact=0)
    assert w.originated() == []
    assert w.store.finished == {LeadId(1): "tried_contact", LeadId(2): "tried_contact"}
    w.tick(LOOK_AGAIN_S)
    assert state(w) is CampaignState.FINISHED


def test_a_number_found_bad_is_not_dialed_by_another_campaign_that_had_it_at_hand() -> None:
    one = lead(1)
    other = lead(2, of="summer", phones=one.phones)
    both = [campaign(priority=1), campaign("summer", priority=2)]
    w = World(parked("g1"), campaigns=both, leads=[one, other])
    w.hangs_up(w.only(), 1, 404)
    w.tick(LOOK_AGAIN_S)
    assert len(w.originated()) == 1
    assert w.store.finished == {LeadId(1): "no_number_left", LeadId(2): "bad_number"}


def test_a_number_that_two_leads_share_is_never_dialed_twice_at_once() -> None:
    same = "+70000001"
    both = [campaign(), campaign("summer")]
    leads = [lead(1, same), lead(2, same), lead(3, same, of="summer"), lead(4, of="summer")]
    w = World(parked("g1"), parked("g2"), parked("g3"), campaigns=both, leads=leads)
    assert sorted(one.number for one in w.originated()) == ["+70000000004", same]
    for _ in range(2):
        (a1,) = [one.attempt for one in w.originated() if one.number == same and one.attempt in w.floor.calls]
        w.hangs_up(a1, 17, 486)
    assert [one.number for one in w.originated()].count(same) == 3
    assert {w.call(one.attempt).lead for one in w.originated()} == {1, 2, 3, 4}


def test_a_lead_that_cannot_be_dialed_now_does_not_hold_up_the_others() -> None:
    same = "+70000001"
    w = World(parked("g1"), parked("g2"), leads=[lead(1, same), lead(2, same), lead(3)])
    assert [one.number for one in w.originated()] == [same, "+70000000003"]


def test_more_leads_than_asked_for_at_once_are_dialed_in_the_end() -> None:
    w = World(*(parked(f"g{n}") for n in range(5)), leads=60, attempts=1, wrap_up_s=0.0)
    while w.floor.calls:
        for attempt in w.live():
            w.hangs_up(attempt, 17, 486)
        w.tick(0.2)
    assert len(w.originated()) == 60
    assert state(w) is CampaignState.FINISHED
    assert w.is_quiet()


# -- who is dialed when -------------------------------------------------------------------


def test_as_many_calls_as_operators_are_free() -> None:
    w = World(*(parked(f"g{n}") for n in range(3)), leads=10)
    assert len(w.originated()) == 3
    a1 = w.talks()
    assert len(w.originated()) == 3
    second = w.live(CallState.DIALING)[0]
    w.hangs_up(second, 17, 486)
    assert len(w.originated()) == 4
    w.hangs_up(a1)
    assert len(w.originated()) == 4, "that one wraps up"
    w.fires(w.call(a1).agent or "", "agent")
    assert len(w.originated()) == 5


def test_a_person_who_waits_goes_before_a_new_call() -> None:
    w = World(parked("g7"), leads=5, wait_s=9.0)
    a1 = w.only()
    w.dial("g7", "421")
    w.answers(a1)
    w.dial("g7", "43")
    assert (w.call(a1).agent, len(w.originated())) == ("g7", 1)


def test_nobody_is_dialed_when_everybody_has_left() -> None:
    w = World(parked("g7"), leads=5)
    w.line_ends("g7")
    w.hangs_up(w.only(), 17, 486)
    for _ in range(30):
        w.tick()
    assert len(w.originated()) == 1


def test_the_campaign_of_the_lower_priority_number_goes_first() -> None:
    both = [campaign(priority=2), campaign("summer", priority=1)]
    leads = [*map(lead, (1, 2, 3)), lead(4, of="summer"), lead(5, of="summer")]
    w = World(campaigns=both, leads=leads)
    for n in range(3):
        w.tell(ev.AgentApplied, agent=parked(f"g{n}"))
        w.sign_in(f"g{n}")
    assert dialed_by(w) == ["summer", "summer", "spring"]


def test_campaigns_of_one_priority_take_turns() -> None:
    both = [campaign(), campaign("summer")]
    leads = [*map(lead, range(1, 6)), *(lead(n, of="summer") for n in range(6, 11))]
    w = World(campaigns=both, leads=leads)
    w.tell(ev.AgentApplied, agent=parked("g7"))
    w.sign_in("g7")
    for _ in range(3):
        w.later(1).hangs_up(w.only(), 17, 486)
    assert dialed_by(w) == ["spring", "summer", "spring", "summer"]


def test_operators_of_one_campaign_are_not_counted_on_by_the_other() -> None:
    both = [campaign(), campaign("summer")]
    leads = [*map(lead, (1, 2)), lead(3, of="summer"), lead(4, of="summer")]
    w = World(parked("g1", "summer"), parked("g2"), campaigns=both, leads=leads)
    assert sorted(dialed_by(w)) == ["spring", "summer"]
    (spring,) = w.floor.desks[CAMPAIGN].live
    w.dial("g2", "421")
    w.answers(spring)
    assert w.call(spring).agent is None


def test_campaigns_share_the_channels_of_a_trunk() -> None:
    both = [campaign(), campaign("summer")]
    leads = [lead(1), lead(2), lead(3, of="summer")]
    w = World(
        *(parked(f"g{n}") for n in range(3)), campaigns=both, leads=leads, trunks=[trunk(channels_max=2)]
    )
    assert len(w.originated()) == 2


def test_the_rate_of_a_trunk_spreads_the_calls() -> None:
    w = World(*(parked(f"g{n}") for n in range(5)), leads=5, trunks=[trunk(calls_per_second_max=2)])
    assert len(w.originated()) == 1
    seconds = [len(w.originated())]
    for _ in range(4):
        w.tick(0.5)
        seconds.append(len(w.originated()))
    assert seconds == [1, 2, 3, 4, 5]


def test_a_trunk_that_carries_nothing_rests_and_then_goes_on() -> None:
    w = World(parked("g7"), leads=20, wrap_up_s=0.0)
    for _ in range(5):
        w.tell(ev.OriginateRefused, attempt=w.only(), reason="500 Allocation failed")
    assert w.live() == []
    w.tick(14)
    assert w.live() == []
    w.tick(1)
    assert len(w.live()) == 1


def test_at_dial_the_phone_of_the_operator_who_was_counted_on_is_rung() -> None:
    both = [campaign(ring_agent="at_dial"), campaign("summer", ring_agent="at_dial")]
    leads = [lead(1), lead(2, of="summer")]
    w = World(rung("g1"), rung("g2", "spring"), campaigns=both, leads=leads, is_started=False)
    for agent in ("g1", "g2"):
        w.sign_in(agent)
    order(w, "start")
    order(w, "start", SUMMER)
    assert {w.call(one.attempt).campaign: one.agent for one in w.rung_legs()} == {
        "spring": "g2",
        "summer": "g1",
    }


# -- the same events, the same commands ---------------------------------------------------


def test_the_same_events_give_the_same_commands() -> None:
    def play() -> list[Any]:
        w = World(*(parked(f"g{n}") for n in range(4)), rung("g9"), leads=30, wrap_up_s=1.0)
        for step in range(200):
            live = w.live()
            if live:
                attempt = live[step * 7 % len(live)]
                match w.call(attempt).state:
                    case CallState.DIALING:
                        w.rings(attempt)
                    case CallState.RINGING if step % 3:
                        w.answers(attempt)
                    case CallState.CONNECTING:
                        w.joins(attempt)
                    case _:
                        w.hangs_up(attempt, 17 if step % 2 else 0)
            w.tick(0.3)
        return w.commands

    first = play()
    assert sum(isinstance(one, SaveLead) for one in first) > 20
    assert play() == first


def test_a_question_is_asked_once_however_many_events_pass() -> None:
    w = World(parked("g7"), is_started=False)
    w.sign_in("g7")
    w.is_store_slow = True
    order(w, "start")
    for _ in range(10):
        w.tick()
        w.tell(ev.PhoneChanged, phone="x", is_registered=True)
    assert sum(isinstance(one, FetchLeads) for one in w.commands) == 1


def test_a_lost_call_counts_and_a_talk_is_told_by_the_join_alone() -> None:
    w = World(parked("g7"))
    a1: AttemptId = w.only()
    w.hangs_up(a1, None)
    assert w.call(a1).result is Result.LOST
    assert w.store.leads[LeadId(1)].ordinal == 1


@pytest.mark.parametrize("teams", [(), ("spring", "summer")], ids=["one team", "teams"])
def test_calls_in_flight_of_a_paused_campaign_keep_their_operators(teams: tuple[str, ...]) -> None:
    both = [campaign(), campaign("summer")]
    leads = [lead(1), lead(2), lead(3, of="summer")]
    w = World(parked("g1", *teams), parked("g2", *teams), campaigns=both, leads=leads)
    assert sorted(dialed_by(w)) == ["spring", "summer"]
    order(w, "pause", SUMMER)
    w.tick()
    assert len(w.originated()) == 2


def test_calls_in_flight_that_nobody_idle_may_serve_hold_up_no_other_campaign() -> None:
    both = [campaign(), campaign("summer")]
    leads = [lead(1), lead(2), lead(3, of="summer"), lead(4, of="summer")]
    w = World(
        parked("g1", "spring"), parked("g2", "spring"), parked("g3", "summer"), campaigns=both, leads=leads
    )
    summers = next(one.attempt for one in w.originated() if one.campaign == SUMMER)
    for agent in ("g1", "g2"):
        w.dial(agent, "421")
    w.hangs_up(summers, 1, 404)
    assert dialed_by(w).count("summer") == 2
