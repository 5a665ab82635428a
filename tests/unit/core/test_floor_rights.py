"""Contacts' rights and promises on the floor: judged before each dial, owners, callbacks, no more calls."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dialer.core import events as ev
from dialer.core.commands import FetchLeads, Originate, SaveCallback, SaveDoNotCall
from dialer.core.hopper import DROPPED_S, LOOK_AGAIN_S
from dialer.core.ids import AgentId, CampaignId, LeadId
from dialer.core.values import (
    FOREVER,
    AgentState,
    CallState,
    CampaignState,
    Caps,
    Centre,
    Lead,
    OperatorResult,
    Owners,
    Result,
)
from tests.unit.core.world import AT, World, campaign, lead, parked, rung

LATER = OperatorResult(code="1", name="later", title="Later", again_s=300.0)
STOP = OperatorResult(code="2", name="stop", title="No more calls", is_do_not_call=True)


def known(of: Lead, **fact: Any) -> Lead:
    """The lead with a fact of all its numbers."""
    return msgspec.structs.replace(
        of, phones=tuple(msgspec.structs.replace(phone, **fact) for phone in of.phones)
    )


def numbers(w: World) -> list[str]:
    """Every number that was dialed, in order."""
    return [one.number for one in w.originated()]


# -- judged before each dial --------------------------------------------------------------


def test_a_lead_whose_hours_end_while_it_is_at_hand_is_not_dialed() -> None:
    leads = [known(lead(n), hours=(AT, AT + 60)) for n in (1, 2)]
    w = World(parked("g1"), leads=leads)
    first = w.talks()
    w.later(60)
    w.hangs_up(first, 16)
    w.keys("g1", "*43")
    assert len(w.originated()) == 1
    assert not len(w.floor.desks[CampaignId("spring")].hopper)


def test_a_lead_is_dialed_when_its_hours_begin() -> None:
    w = World(parked("g1"), leads=[known(lead(1), hours=(AT + 600, FOREVER))])
    w.tick(599)
    assert w.originated() == []
    for _ in range(int(LOOK_AGAIN_S) + 1):
        w.tick()
    assert len(w.originated()) == 1


def test_a_store_that_sees_it_otherwise_is_not_asked_without_a_pause() -> None:
    w = World(parked("g1"), leads=[lead(1)])
    w.hangs_up(w.only(), 17, 486)
    w.store.leads[LeadId(1)] = known(lead(1, ordinal=1), hours=(AT, AT + 180))
    w.is_store_slow = True
    w.fires("1", "lead")
    for asked in range(1, 5):
        assert len(w.asked) == 1
        stale = [ev.FreshLead(lead=w.store.leads[LeadId(1)], attempt=w.new_id())]
        w.answer(ev.LeadsFetched(at=w.at, campaign=CampaignId("spring"), leads=tuple(stale), unfinished=True))
        assert w.asked == [], f"asked again at once, {asked} times"
        w.tick(DROPPED_S)
    assert len(w.originated()) == 1


def test_a_number_that_was_called_meanwhile_is_looked_up_anew_before_it_is_called_again() -> None:
    """Caps count the calls of all campaigns; what a hopper knows of the number is older than the call."""
    same = "+70000001"
    both = [campaign(priority=1), campaign("summer", priority=2)]
    w = World(
        parked("g1", "spring"),
        parked("g2", "summer"),
        campaigns=both,
        leads=[lead(1, same), lead(2, of="summer"), lead(3, same, of="summer")],
        is_started=False,
    )
    for one in both:
        w.tell(ev.CampaignOrdered, campaign=one.id, order="start")
    w.sign_in("g2")
    assert numbers(w) == ["+70000000002"]
    assert len(w.floor.desks[CampaignId("summer")].hopper) == 1
    w.is_store_slow = True
    w.sign_in("g1")
    assert numbers(w)[1:] == [same]
    assert not len(w.floor.desks[CampaignId("summer")].hopper)


def test_lists_that_were_changed_from_outside_empty_the_hoppers_and_drop_answers_on_their_way() -> None:
    w = World(parked("g1"), leads=3)
    w.is_store_slow = True
    old = w.read(w.asked[0]) if w.asked else None
    w.store.do_not_call |= {"+70000000002", "+70000000003"}
    w.tell(ev.DoNotCallChanged)
    w.hangs_up(w.only(), 17, 486)
    assert numbers(w) == ["+70000000001"]
    if old is not None:
        w.answer(old)
    w.is_store_slow = False
    while w.asked:
        w.answer()
    assert numbers(w) == ["+70000000001"]
    assert w.store.finished == {LeadId(2): "do_not_call", LeadId(3): "do_not_call"}


def test_new_caps_of_the_centre_empty_the_hoppers_and_other_rules_do_not() -> None:
    w = World(parked("g1"), leads=3)
    hopper = w.floor.desks[CampaignId("spring")].hopper
    assert len(hopper) == 2
    w.tell(ev.CentreApplied, centre=Centre(missed_max=3))
    assert len(hopper) == 2
    w.is_store_slow = True
    w.tell(ev.CentreApplied, centre=Centre(missed_max=3, caps=Caps(gap_s=60.0)))
    assert len(hopper) == 0


def test_a_lead_that_is_not_due_yet_is_not_dialed_though_it_is_at_hand() -> None:
    """It was fetched before the clock was set back, say."""
    later = lead(1, due=AT + 600)
    w = World(parked("g1"), leads=[later])
    w.is_store_slow = True
    w.tick(LOOK_AGAIN_S)
    early = ev.FreshLead(lead=later, attempt=w.new_id())
    w.answer(ev.LeadsFetched(at=w.at, campaign=CampaignId("spring"), leads=(early,), unfinished=True))
    assert w.originated() == []
    assert not len(w.floor.desks[CampaignId("spring")].hopper)


def test_calls_that_a_rule_forbids_at_the_last_moment_do_not_make_the_trunk_rest() -> None:
    w = World(*(parked(f"g{n}") for n in range(6)), leads=30)
    for one in w.originated()[:6]:
        w.tell(ev.OriginateRefused, attempt=one.attempt, reason="gap", was_sent=False, is_ours=True)
    assert len(w.originated()) == 12
    for one in w.originated()[6:12]:
        w.tell(ev.OriginateRefused, attempt=one.attempt, reason="no such endpoint")
    assert len(w.originated()) == 16, "a trunk that carries nothing rests"


# -- no more calls ------------------------------------------------------------------------


def test_who_wants_no_more_calls_is_called_by_nobody_on_no_number() -> None:
    both = [campaign(results=(STOP,)), campaign("summer")]
    a, b = "+70000001", "+70000002"
    w = World(parked("g1"), campaigns=both, leads=[lead(1, a, b), lead(2, b, of="summer")])
    w.talks()
    w.look()
    w.keys("g1", "*442")
    assert {(one.number, one.campaign, one.source) for one in w.look(SaveDoNotCall)} == {
        (a, None, "operator g1"),
        (b, None, "operator g1"),
    }
    w.hangs_up(w.only(), 16)
    for _ in range(40):
        w.tick()
    assert numbers(w) == [a]
    assert w.store.finished == {LeadId(1): "stop", LeadId(2): "do_not_call"}


def test_it_may_be_said_after_the_call_too() -> None:
    w = World(parked("g1"), campaigns=campaign(results=(LATER, STOP)), leads=1)
    call = w.talks()
    w.keys("g1", "*441")
    w.hangs_up(call, 16)
    w.keys("g1", "*442")
    assert w.store.do_not_call == {"+70000000001"}
    assert w.store.finished == {LeadId(1): "stop"}


def test_no_more_calls_is_said_of_all_numbers_also_when_another_call_was_promised_since() -> None:
    w = World(parked("g1"), campaigns=campaign(results=(STOP,)), leads=[lead(1, "+70000001", "+70000002")])
    w.hangs_up(w.talks(), 16)
    w.tell(ev.CallbackOrdered, campaign=CampaignId("spring"), lead=LeadId(1), due=w.at + 60)
    w.keys("g1", "*442")
    for _ in range(120):
        w.tick()
    assert numbers(w) == ["+70000001"]


# -- owners -------------------------------------------------------------------------------


def owned(number: int, owner: str, **changes: Any) -> Lead:
    return lead(number, owner=AgentId(owner), **changes)


def test_a_card_goes_to_its_owner_first_and_to_another_if_they_are_busy() -> None:
    w = World(parked("g1"), parked("g2"), leads=[owned(1, "g2"), owned(2, "g2")])
    first, second = w.live(CallState.DIALING)
    w.answers(first)
    assert w.call(first).agent == "g2", "though g1 is idle longer"
    w.answers(second)
    assert w.call(second).agent == "g1"


def test_an_owner_who_works_for_another_campaign_only_is_not_asked() -> None:
    w = World(parked("g1"), parked("g2", "summer"), leads=[owned(1, "g2")])
    w.answers(w.only())
    assert w.call(w.only()).agent == "g1"


WAIT = Owners(away="wait")


def test_a_card_that_must_wait_for_its_owner_is_dialed_when_the_owner_is_idle_and_kept_for_them() -> None:
    w = World(parked("g2"), parked("g1"), leads=[owned(1, "g2"), lead(2), lead(3)], owners=WAIT)
    mine = next(one for one in w.floor.calls.values() if one.lead == 1)
    assert mine.agent == "g2"
    assert w.state("g2") is AgentState.RESERVED
    (other,) = (one for one in w.floor.calls.values() if one.lead != 1)
    assert other.agent is None
    assert len(w.floor.calls) == 2, "the promised operator is not counted on by another call"
    w.answers(mine.attempt)
    assert "JoinAgent" in w.seen()
    w.joins(mine.attempt)
    assert w.state("g2") is AgentState.ON_CALL


def test_a_card_whose_number_is_live_for_somebody_else_is_asked_for_again_a_little_later() -> None:
    """And not at once, again and again, for as long as that call lasts."""
    shared = "+79990000000"
    w = World(parked("g2"), parked("g1"), leads=[lead(1, shared)], owners=WAIT)
    (first,) = w.live()
    w.store.add(msgspec.structs.replace(owned(2, "g1"), phones=lead(2, shared).phones))
    w.look()
    w.tell(ev.LeadsAdded, campaign=CampaignId("spring"))
    assert len(w.originated()) == 1
    assert len(w.look(FetchLeads)) == 1
    w.hangs_up(first, 17, 486)
    w.tick(DROPPED_S)
    (mine,) = w.floor.calls.values()
    assert (mine.lead, mine.agent) == (2, "g1")


def test_an_owner_on_whom_a_call_in_flight_counts_is_not_promised_to_another() -> None:
    both = [campaign(priority=1), campaign("summer", priority=2, owners=WAIT)]
    w = World(
        parked("g1", "summer"),
        parked("g2", "spring", "summer"),
        campaigns=both,
        leads=[lead(1), owned(2, "g2", of="summer"), lead(3, of="summer")],
        is_started=False,
    )
    w.tell(ev.CampaignOrdered, campaign=CampaignId("spring"), order="start")
    w.sign_in("g2")
    assert [w.call(one.attempt).lead for one in w.originated()] == [1]
    w.tell(ev.CampaignOrdered, campaign=CampaignId("summer"), order="start")
    w.sign_in("g1")
    assert [w.call(one.attempt).lead for one in w.originated()] == [1, 3], "2 waits until g2 can be spared"
    assert w.state("g2") is AgentState.READY
    w.hangs_up(w.originated()[0].attempt, 17, 486)
    assert [w.call(one.attempt).lead for one in w.originated()] == [1, 3, 2]
    assert w.state("g2") is AgentState.RESERVED


def test_the_promise_to_an_owner_ends_with_the_call() -> None:
    w = World(parked("g2"), leads=[owned(1, "g2")], owners=WAIT)
    w.hangs_up(w.only(), 17, 486)
    assert w.state("g2") is AgentState.READY
    assert w.is_quiet()


def test_nobody_else_has_the_card_while_the_owner_is_busy_or_away() -> None:
    w = World(parked("g1"), parked("g2"), leads=[owned(1, "g2"), owned(2, "g2"), owned(3, "g3")], owners=WAIT)
    assert [w.call(one.attempt).lead for one in w.originated()] == [1]
    w.tick(LOOK_AGAIN_S)
    assert len(w.originated()) == 1
    first = w.talks()
    w.hangs_up(first, 16)
    w.keys("g2", "*43")
    assert [w.call(one.attempt).lead for one in w.originated()] == [1, 2]
    w.hangs_up(w.only(), 17, 486)
    for _ in range(30):
        w.tick()
    assert {w.call(one.attempt).lead for one in w.originated()} == {1, 2}, "g3 is not here"


def test_cards_that_wait_do_not_keep_the_others_from_being_dialed() -> None:
    leads = [owned(n, "g2") for n in range(1, 50)] + [lead(100)]
    w = World(parked("g1"), parked("g2"), leads=leads, owners=WAIT)
    assert sorted(w.call(one.attempt).lead for one in w.originated()) == [1, 100]


def test_a_card_returns_to_the_pool_when_it_was_held_or_waited_long_enough() -> None:
    held = owned(1, "g2", owned_until=AT + 60)
    late = owned(2, "g2")
    w = World(
        parked("g1"),
        parked("g4"),
        leads=[held, late],
        owners=Owners(away="wait", wait_s=AT + 120),
        is_started=True,
    )
    assert w.originated() == []
    for _ in range(60 + int(LOOK_AGAIN_S)):
        w.tick()
    assert [w.call(one.attempt).lead for one in w.originated()] == [1]
    for _ in range(60 + int(LOOK_AGAIN_S)):
        w.tick()
    assert {w.call(one.attempt).lead for one in w.originated()} == {1, 2}


def test_cards_at_hand_for_an_owner_who_left_are_anybodys_when_they_waited_long_enough() -> None:
    leads = [owned(n, "g2") for n in (1, 2, 3)]
    w = World(parked("g2"), parked("g1"), leads=leads, owners=Owners(away="wait", wait_s=AT + 60))
    w.hangs_up(w.talks(), 16)
    assert w.floor.desks[CampaignId("spring")].hopper.owners
    w.keys("g2", "*41")
    for _ in range(60 + 3 * int(LOOK_AGAIN_S)):
        w.tick()
        for call in w.live(CallState.DIALING):
            w.hangs_up(call, 17, 486)
    assert {w.call(one.attempt).lead for one in w.originated()} == {1, 2, 3}


def test_an_owner_whose_line_drops_before_the_answer_leaves_the_person_to_another() -> None:
    w = World(parked("g1"), parked("g2"), leads=[owned(1, "g2")], owners=WAIT)
    w.line_ends("g2")
    w.answers(w.only())
    assert w.call(w.only()).agent == "g1"


def test_a_rung_owner_is_rung_when_the_card_is_dialed() -> None:
    w = World(rung("g2"), leads=[owned(1, "g2")], owners=WAIT)
    assert [one.agent for one in w.rung_legs()] == ["g2"]


def test_the_question_to_the_store_names_who_is_at_work_for_the_campaign() -> None:
    leads = [lead(1, due=AT + 1e6)]
    w = World(parked("g1"), parked("g2", "summer"), parked("g3"), leads=leads, owners=WAIT)
    w.is_store_slow = True
    w.keys("g3", "*421")
    w.tick(LOOK_AGAIN_S)
    assert w.asked[-1].present == ("g1", "g3")


# -- callbacks ----------------------------------------------------------------------------


@pytest.mark.parametrize("during", [True, False])
@pytest.mark.parametrize(("code", "owner"), [("*460130", None), ("*470130", "g2")])
def test_an_operator_promises_a_call(during: bool, code: str, owner: str | None) -> None:
    w = World(parked("g2"), leads=1, attempts=1, owners=WAIT)
    call = w.talks()
    if during:
        w.keys("g2", code)
    w.hangs_up(call, 16)
    if not during:
        w.keys("g2", code)
    due = w.at + 5400
    one = w.store.leads[LeadId(1)]
    assert (one.due, one.is_promised, one.owner) == (due, True, owner)
    assert w.store.finished == {}
    timer = w.timer("1", "lead")
    assert timer is not None
    assert timer.due == due
    w.keys("g2", "*43")
    assert len(w.originated()) == 1
    w.fires("1", "lead")
    assert len(w.originated()) == 2
    assert w.floor.calls[w.only()].agent == owner


def test_a_callback_goes_before_what_the_result_says_whichever_is_given_first() -> None:
    for codes in (("*460100", "*441"), ("*441", "*460100")):
        w = World(parked("g1"), campaigns=campaign(results=(LATER,)), leads=1)
        call = w.talks()
        for code in codes:
            w.keys("g1", code)
        w.hangs_up(call, 16)
        assert w.store.leads[LeadId(1)].due == w.at + 3600
        assert w.call(call).operator_result == "later"


@pytest.mark.parametrize("code", ["*460000", "*460060", "*470099"])
def test_a_delay_that_is_none_is_refused(code: str) -> None:
    w = World(parked("g1"), leads=1)
    call = w.talks()
    w.look()
    w.keys("g1", code)
    assert [one.message for one in w.look()] == ["refused"]
    assert w.call(call).callback_at is None


def test_a_callback_of_no_call_is_refused() -> None:
    w = World(parked("g1"), leads=0)
    w.look()
    w.keys("g1", "*460100")
    assert [one.message for one in w.look()] == ["refused"]


def test_a_supervisor_has_a_finished_contact_called() -> None:
    w = World(parked("g1"), leads=1)
    w.hangs_up(w.talks(), 16)
    for _ in range(20):
        w.tick()
    assert w.floor.desks[CampaignId("spring")].state is CampaignState.FINISHED
    w.tell(ev.CallbackOrdered, campaign=CampaignId("spring"), lead=LeadId(1), due=w.at + 60)
    assert w.floor.desks[CampaignId("spring")].state is CampaignState.RUNNING
    w.tick(10)
    assert len(w.originated()) == 1
    w.fires("1", "lead")
    assert len(w.originated()) == 2


def test_a_supervisors_callback_for_somebody_who_is_being_called_holds_after_the_call() -> None:
    w = World(parked("g1"), leads=1)
    w.look()
    w.tell(ev.CallbackOrdered, campaign=CampaignId("spring"), lead=LeadId(1), due=w.at + 999)
    assert w.look(SaveCallback) == []
    due = w.at + 999
    w.hangs_up(w.only(), 17, 486)
    assert w.store.leads[LeadId(1)].due == due
    assert w.store.calls[w.originated()[0].attempt].result is Result.BUSY


def test_an_operators_late_word_does_not_undo_a_supervisors_callback() -> None:
    w = World(parked("g1"), campaigns=campaign(results=(LATER,)), leads=1)
    w.hangs_up(w.talks(), 16)
    due = w.at + 7200
    w.tell(ev.CallbackOrdered, campaign=CampaignId("spring"), lead=LeadId(1), due=due)
    w.keys("g1", "*441")
    assert w.store.leads[LeadId(1)].due == due


def test_a_restart_keeps_a_promise_given_during_a_call() -> None:
    w = World(parked("g1"), leads=1)
    call = w.talks()
    w.keys("g1", "*460100")
    assert w.store.calls[call].callback_at == AT + 3600


# -- two campaigns ------------------------------------------------------------------------


def test_shares_are_fair_operators_with_equal_calls_get_equally_many_cards() -> None:
    cards = [parked(f"g{n}") for n in range(4)]
    w = World(*cards, leads=40, wrap_up_s=0.0)
    served: dict[str, int] = {}
    for _ in range(40):
        w.later(1)
        call = w.talks()
        agent = w.call(call).agent
        assert agent is not None
        served[agent] = served.get(agent, 0) + 1
        w.later(1)
        w.hangs_up(call, 16)
    assert max(served.values()) - min(served.values()) <= 1


def test_no_originate_follows_in_the_event_that_takes_the_last_ready_operator() -> None:
    w = World(parked("g1"), leads=30)
    w.hangs_up(w.only(), 17, 486)
    before = len(w.originated())
    assert not [one for one in w.keys("g1", "*421") if isinstance(one, Originate)]
    w.hangs_up(w.only(), 17, 486)
    w.tick(30)
    assert len(w.originated()) == before
