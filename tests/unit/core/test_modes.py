"""Modes on the floor: what the pacing rule says is done, and no more; and every mode leaves the others theirs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dialer.core import events as ev
from dialer.core import modes
from dialer.core.commands import (
    FetchLeads,
    HangUp,
    HoldContact,
    JoinAgent,
    Originate,
    SaveKnowledge,
    SavePacing,
    SendToLastWord,
)
from dialer.core.conduct import Abandonment, Announcement, Machines, Pacing
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, AttemptId, CampaignId, ChannelId, hold_bridge
from dialer.core.pacing import facts as f
from dialer.core.pacing.book import Limit, Reason, Room
from dialer.core.values import AgentState, CallState, CampaignState, Hold, Owners, Result
from tests.unit.core.pacers import Told
from tests.unit.core.world import AT, CAMPAIGN, World, campaign, lead, parked, rung, trunk


def predictive(*cards: Any, places: int = 0, **world: Any) -> tuple[World, Told]:
    """A world whose rule has said nothing yet, or so many *places*."""
    told = Told()
    told.places = (CAMPAIGN,) * places
    w = World(*cards, pacer=told, **{"mode": "predictive", "leads": 9, **world})
    return w, told


def asked_now(w: World, told: Told, *names: str) -> list[Originate]:
    """The rule says *names*, and is asked; what is dialed."""
    before = len(w.originated())
    told.places = names
    w.tick(0.2)
    return w.originated()[before:]


# -- predictive: what the rule says -----------------------------------------------------------


def test_as_many_calls_as_the_rule_says_whoever_is_idle() -> None:
    w, told = predictive(parked("g7"))
    assert not w.originated(), "the rule has said nothing"
    assert len(asked_now(w, told, *[CAMPAIGN] * 3)) == 3
    assert not asked_now(w, told)
    assert w.state("g7") is AgentState.READY, "promised to nobody before an answer"


def test_no_more_than_lines_contacts_and_the_trunks_rate_allow() -> None:
    cases: list[tuple[dict[str, Any], int, Limit]] = [
        ({"lines_max": 2}, 2, "lines"),
        ({"leads": 3}, 3, "no_contacts"),
        ({"trunks": [trunk(channels_max=4)]}, 4, "lines"),
        ({"trunks": [trunk(calls_per_second_max=4)]}, 1, "calls_per_second"),
    ]
    for world, count, limit in cases:
        w, told = predictive(parked("g7"), **world)
        assert len(asked_now(w, told, *[CAMPAIGN] * 9)) == count, world
        _, rooms = told.asked[-1]
        assert rooms == (Room(campaign=CAMPAIGN, calls=count, limit=limit, priority=100),), world


def test_no_trunk_is_no_room() -> None:
    w, told = predictive(parked("g7"), campaigns=campaign(mode="predictive", trunk="gone"))
    assert not asked_now(w, told, CAMPAIGN)
    assert told.asked[-1][1][0].calls == 0


def test_a_campaign_that_does_not_run_or_is_none_is_not_dialed_whatever_the_rule_says() -> None:
    other = campaign("summer", mode="predictive")
    leads = [lead(1), lead(2), lead(8, of="summer"), lead(9, of="summer")]
    w, told = predictive(parked("g7"), campaigns=[campaign(mode="predictive"), other], leads=leads)
    w.tell(ev.CampaignOrdered, campaign=CampaignId("summer"), order="pause")
    placed = asked_now(w, told, "nothing", "summer", CAMPAIGN, "summer")
    assert [one.campaign for one in placed] == [CAMPAIGN]


def test_campaigns_come_in_the_order_of_the_rule() -> None:
    both = [campaign(mode="predictive"), campaign("summer", mode="predictive", priority=1)]
    leads = [lead(1), lead(2), lead(8, of="summer"), lead(9, of="summer")]
    w, told = predictive(parked("g7"), campaigns=both, leads=leads, trunks=[trunk(channels_max=3)])
    placed = asked_now(w, told, CAMPAIGN, "summer", CAMPAIGN, "summer")
    assert [one.campaign for one in placed] == [CAMPAIGN, "summer", CAMPAIGN], "they share the trunk's lines"
    assert [(one.campaign, one.priority) for one in told.asked[-1][1]] == [(CAMPAIGN, 100), ("summer", 1)]


def test_leads_that_may_not_be_dialed_any_more_are_no_calls() -> None:
    """What was true when they were fetched is not any more; the rule asked for more than there is."""
    phones = [msgspec.structs.replace(lead(n).phones[0], hours=(AT, AT + 5)) for n in (1, 2)]
    w, told = predictive(parked("g7"), leads=[lead(n, phones=(phone,)) for n, phone in enumerate(phones, 1)])
    assert told.asked[-1][1][0].calls == 2
    w.is_store_slow = True
    w.later(10)
    assert not asked_now(w, told, CAMPAIGN, CAMPAIGN, CAMPAIGN)
    assert len(w.floor.desks[CAMPAIGN].hopper) == 0
    assert not asked_now(w, told, CAMPAIGN)


def test_a_number_that_is_live_is_passed_over() -> None:
    same = [lead(1, "+71"), lead(2, "+71"), lead(3, "+73")]
    w, told = predictive(parked("g7"), leads=same)
    assert [one.number for one in asked_now(w, told, *[CAMPAIGN] * 3)] == ["+71", "+73"]


def test_ringing_calls_are_given_up_as_the_rule_says() -> None:
    w, told = predictive(parked("g7"), places=3)
    dialing, ringing, answered = w.live()
    w.rings(ringing)
    w.answers(answered)
    w.joins(answered)
    w.look()
    told.gives_up = (dialing, ringing, answered, "nobody")
    w.tick(0.2)
    assert w.look(HangUp) == [HangUp(channel=ChannelId(one)) for one in (dialing, ringing)]
    assert [w.call(one).ending for one in (dialing, ringing, answered)] == ["pacing", "pacing", ""]
    w.hangs_up(ringing, cause=16)
    assert (w.call(ringing).result, w.call(ringing).abandoned_at) == (Result.NO_ANSWER, None)
    ended = [one for one in told.facts if isinstance(one, f.CallEnded)]
    assert [(one.call, one.is_ours) for one in ended] == [(ringing, True)]


def test_nobody_who_waits_is_given_up() -> None:
    w, told = predictive(places=1, wait_s=9.0)
    attempt = w.only()
    w.answers(attempt)
    told.gives_up = (attempt,)
    w.tick(0.2)
    assert w.call(attempt).state is CallState.ANSWERED


def test_a_call_that_has_its_operator_already_is_not_given_up() -> None:
    w, told = predictive(
        parked("g7"), owners=Owners(hold_s=60.0, away="wait"), leads=[lead(1, owner=AgentId("g7"))], places=1
    )
    attempt = w.only()
    assert (w.call(attempt).agent, w.state("g7")) == ("g7", AgentState.RESERVED)
    told.gives_up = (attempt,)
    w.tick(0.2)
    assert w.call(attempt).state is CallState.DIALING


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (ev.PbxDisconnected, {}),
        (ev.EventsLagged, {"lag_ms": 2000.0, "is_late": True}),
        (ev.JournalFailed, {"reason": "disk full"}),
        (ev.Leaving, {}),
    ],
)
def test_the_rule_is_not_asked_while_nothing_may_be_originated(event: Any, fields: Any) -> None:
    w, told = predictive(parked("g7"))
    w.tell(event, **fields)
    questions = len(told.asked)
    assert not asked_now(w, told, CAMPAIGN)
    assert len(told.asked) == questions
    assert not w.floor.must_note(ev.Ticked(at=w.at), [])


def test_the_rule_is_asked_of_predictive_campaigns_only_and_such_ticks_are_noted() -> None:
    w, told = predictive(parked("g7"), mode="progressive")
    tick = ev.Ticked(at=w.at + 0.2)
    assert w.floor.handle(tick) == []
    assert (told.asked, w.floor.must_note(tick, [])) == ([], False)
    w, told = predictive(parked("g7"))
    asked = len(told.asked)
    assert w.floor.handle(tick) == []
    assert (len(told.asked), w.floor.must_note(tick, [])) == (asked + 1, True)


@pytest.mark.parametrize("ring_agent", ["at_dial", "at_ring", "at_answer"])
def test_no_operators_phone_is_rung_before_a_predictive_answer(ring_agent: Any) -> None:
    w, _ = predictive(rung("g7"), ring_agent=ring_agent, places=2)
    first, second = w.live()
    w.rings(first)
    w.rings(second)
    assert not w.rung_legs()
    w.answers(second)
    assert [(one.agent, one.attempt) for one in w.rung_legs()] == [("g7", second)]


def test_who_answers_first_is_served_first() -> None:
    w, _ = predictive(parked("g7"), places=3, wait_s=9.0)
    one, two, three = w.live()
    w.dial("g7", "421")
    for attempt in (two, three, one):
        w.later(0.1).answers(attempt)
    w.look()
    w.dial("g7", "43")
    (join,) = w.look(JoinAgent)
    assert join.attempt == two


def test_leads_are_fetched_for_more_than_the_idle() -> None:
    w, told = predictive(parked("g7"), leads=40)
    asked_now(w, told, *[CAMPAIGN] * 6)
    fetches = [one for one in w.commands if isinstance(one, FetchLeads)]
    assert max(one.limit for one in fetches) >= 2 * 1 + 6 + 8 - 6
    assert len(w.floor.desks[CAMPAIGN].hopper) >= 8


# -- what is written down ---------------------------------------------------------------------


def reason(limit: Limit = "risk", name: str = CAMPAIGN, **figures: float) -> Reason:
    """Why it was so many."""
    return Reason(campaign=name, placed=0, limit=limit, figures=figures)


def notes(w: World, told: Told, limit: Limit, seconds: float) -> list[str]:
    """The reasons that are written down when the rule is asked so much later."""
    told.reasons = (reason(limit),)
    return [one.reason.limit for one in w.tick(seconds) if isinstance(one, SavePacing)]


def test_a_reason_is_written_down_when_it_is_another_and_now_and_then() -> None:
    w, told = predictive(parked("g7"))
    assert notes(w, told, "risk", 1) == ["risk"]
    assert notes(w, told, "lines", 1) == [], "not every 5 s even if it changes"
    assert notes(w, told, "lines", 4) == ["lines"]
    assert notes(w, told, "lines", 10) == []
    assert notes(w, told, "lines", modes.NOTE_AGAIN_S - 11) == []
    assert notes(w, told, "lines", 1) == ["lines"]


def test_of_each_campaign_by_itself() -> None:
    both = [campaign(mode="predictive"), campaign("summer", mode="predictive")]
    w, told = predictive(parked("g7"), campaigns=both)
    told.reasons = (reason("risk"), reason("risk", "summer"))
    saves = [one for one in w.tick() if isinstance(one, SavePacing)]
    assert [one.reason.campaign for one in saves] == [CAMPAIGN, "summer"]
    assert {name: len(kept) for name, kept in w.floor.reasons.items()} == {CAMPAIGN: 1, "summer": 1}


def test_the_last_reasons_are_kept_with_their_instants() -> None:
    w, told = predictive(parked("g7"))
    for number in range(modes.KEPT + 5):
        told.reasons = (reason(idle=float(number)),)
        w.tick(0.2)
    kept = w.floor.reasons[CAMPAIGN]
    assert len(kept) == modes.KEPT
    assert kept[-1] == (w.at, reason(idle=float(modes.KEPT + 4)))
    assert kept[0][1].figures["idle"] >= 5.0


def learnt(commands: Any) -> list[SaveKnowledge]:
    """What was written of what the rule knows."""
    return [one for one in commands if isinstance(one, SaveKnowledge)]


def test_what_the_rule_has_learnt_is_written_each_minute_and_when_the_engine_leaves() -> None:
    w, told = predictive(parked("g7"))
    told.learnt = {"campaign:spring": "[1]"}
    assert not learnt(w.tick(modes.LEARNT_S - 1)), "the rule was asked when the day began"
    assert learnt(w.tick(1)) == [SaveKnowledge(name="campaign:spring", content="[1]", at=w.at)]
    assert not learnt(w.tick(1))
    told.learnt = {"campaign:spring": "[2]", "debts": "{}"}
    assert [one.name for one in learnt(w.later(1).tell(ev.Leaving))] == ["campaign:spring", "debts"]
    assert w.store.knowledge == {"campaign:spring": "[2]", "debts": "{}"}


def test_what_another_engine_had_learnt_is_taken_up() -> None:
    told = Told()
    Floor(told).restore(campaigns=[(campaign(), CampaignState.RUNNING)], knowledge=[("debts", "{}")])
    assert told.taken == ({}, {"debts": "{}"})


# -- what the rule is told --------------------------------------------------------------------


def facts(told: Told, kind: Any) -> list[Any]:
    """What the rule was told of that kind."""
    return [one for one in told.facts if isinstance(one, kind)]


def test_the_rule_knows_calls_of_progressive_campaigns_too_and_no_announcements() -> None:
    all_modes = [campaign(), campaign("news", mode="announcement")]
    w, told = predictive(parked("g7"), campaigns=all_modes, leads=[lead(1, ordinal=2), lead(2, of="news")])
    assert len(w.live()) == 2
    (placed,) = facts(told, f.CallPlaced)
    assert (placed.campaign, placed.kind, placed.attempt, placed.at) == (CAMPAIGN, "main", 3, AT)
    assert [(one.campaign, one.is_predictive) for one in facts(told, f.CampaignSet)] == [(CAMPAIGN, False)]


def test_the_rule_knows_in_what_time_somebody_must_be_there() -> None:
    for rules, wait_s in (
        ({"wait_s": 5.0}, 2.0),
        ({"wait_s": 1.0}, 1.0),
        ({"wait_s": 5.0, "machines": Machines(detect=True, listen_s=1.2)}, 0.8),
        ({"wait_s": 5.0, "pacing": Pacing(abandonment=Abandonment(limit_s=4.0))}, 4.0),
    ):
        _, told = predictive(parked("g7"), **rules)
        assert facts(told, f.CampaignSet)[-1].wait_s == pytest.approx(wait_s), rules


def test_a_machine_is_over_for_the_rule_as_soon_as_it_is_known() -> None:
    w, told = predictive(parked("g7"), places=1)
    attempt = w.only()
    w.tell(ev.MachineAnswered, attempt=attempt)
    assert [one.call for one in facts(told, f.CallEnded)] == [attempt]
    assert not facts(told, f.CallAnswered)


@pytest.mark.parametrize("reason_told", ["500 no", ""])
def test_a_call_that_was_never_placed_says_nothing_of_the_person(reason_told: str) -> None:
    w, told = predictive(parked("g7"), places=1)
    w.tell(ev.OriginateRefused, attempt=w.only(), reason=reason_told)
    assert [one.is_ours for one in facts(told, f.CallEnded)] == [True]


def test_a_call_of_which_nobody_knows_how_it_ended_says_nothing_either() -> None:
    w, told = predictive(parked("g7"), places=1)
    w.later(60).tell(ev.PbxConnected)
    assert [one.is_ours for one in facts(told, f.CallEnded)] == [True]


def test_whose_call_an_operator_has_is_known_after_a_restart() -> None:
    w, _ = predictive(parked("g7"), places=1)
    attempt = w.only()
    w.answers(attempt)
    w.joins(attempt)
    told = Told()
    Floor(told).restore(
        campaigns=[(w.campaigns[0], CampaignState.RUNNING)],
        cards=w.cards,
        agents=w.store.agents.values(),
        calls=w.store.open(),
    )
    assert (told.operators["g7"].presence, told.operators["g7"].campaign) == ("busy", CAMPAIGN)
    assert told.calls[attempt].agent == "g7"


# -- beside progressive campaigns -------------------------------------------------------------

FALL = CampaignId("fall")


def both(*cards: Any, leads: Any = None, **rules: Any) -> tuple[World, Told]:
    """``fall`` is progressive, ``spring`` predictive."""
    campaigns = [campaign("fall", **rules), campaign(mode="predictive", wait_s=9.0)]
    some = leads or [lead(1, of="fall"), lead(2), lead(3)]
    return predictive(*cards, campaigns=campaigns, leads=some, is_started=False)


def starts(w: World, *names: str) -> None:
    """The campaigns begin, and the operators come."""
    for name in names:
        w.tell(ev.CampaignOrdered, campaign=CampaignId(name), order="start")
    for card in w.cards:
        if w.state(card.id) is AgentState.SIGNED_OUT:
            w.sign_in(card.id)


def test_a_progressive_call_keeps_its_operator_from_whoever_answered_a_predictive_one() -> None:
    w, told = both(parked("g7"))
    starts(w, "fall")
    (progressive,) = w.live()
    starts(w, CAMPAIGN)
    (placed,) = asked_now(w, told, CAMPAIGN)
    w.answers(placed.attempt)
    assert (w.call(placed.attempt).agent, w.state("g7")) == (None, AgentState.READY)
    w.later(1).hangs_up(progressive, cause=17, sip=486)
    assert w.call(placed.attempt).agent == "g7", "free for them as soon as it comes to nothing"


def test_not_even_to_the_owner_of_the_card_while_a_progressive_call_needs_them() -> None:
    leads = [lead(1, of="fall"), lead(2, owner=AgentId("g7"), owned_until=1e12)]
    w, told = both(parked("g7"), leads=leads)
    starts(w, "fall")
    starts(w, CAMPAIGN)
    (placed,) = asked_now(w, told, CAMPAIGN)
    w.answers(placed.attempt)
    assert w.call(placed.attempt).agent is None


def test_an_operator_whom_no_progressive_call_needs_is_given_all_the_same() -> None:
    w, told = both(parked("g7"), parked("g8", CAMPAIGN))
    starts(w, "fall")
    starts(w, CAMPAIGN)
    (placed,) = asked_now(w, told, CAMPAIGN)
    w.answers(placed.attempt)
    assert w.call(placed.attempt).agent == "g8"


@pytest.mark.parametrize(("priority", "is_dialed"), [(100, False), (101, False), (99, True)])
def test_a_progressive_campaign_leaves_those_alone_on_whom_the_rule_counts(
    priority: int, is_dialed: bool
) -> None:
    w, _ = both(parked("g7"), priority=priority)
    starts(w, CAMPAIGN, "fall")
    assert [one.campaign for one in w.originated()] == (["fall"] if is_dialed else [])


def test_also_while_it_has_no_room_for_more_or_is_paused_and_its_calls_are_in_flight() -> None:
    campaigns = [campaign("fall"), campaign(mode="predictive", lines_max=1)]
    leads = [lead(1, of="fall"), lead(2), lead(3)]
    w, told = predictive(parked("g7"), campaigns=campaigns, leads=leads, is_started=False)
    told.places = (CAMPAIGN,)
    starts(w, CAMPAIGN, "fall")
    assert [one.campaign for one in w.originated()] == [CAMPAIGN]
    w.tell(ev.CampaignOrdered, campaign=CAMPAIGN, order="pause")
    w.tick()
    assert len(w.originated()) == 1
    w.hangs_up(w.only(), cause=17, sip=486)
    assert [one.campaign for one in w.originated()] == [CAMPAIGN, "fall"]


def test_unless_its_trunk_is_down() -> None:
    campaigns = [campaign("fall"), campaign(mode="predictive", trunk="t2")]
    leads = [lead(1, of="fall"), lead(2)]
    trunks = [trunk(), trunk("t2")]
    w, _ = predictive(parked("g7"), campaigns=campaigns, leads=leads, trunks=trunks, is_started=False)
    starts(w, CAMPAIGN, "fall")
    assert not w.originated()
    w.tell(ev.TrunkChanged, trunk=trunks[1].id, is_up=False)
    assert [one.campaign for one in w.originated()] == ["fall"]


def test_a_progressive_campaign_is_not_dialed_ahead_whatever_the_rule_says() -> None:
    w, told = both(parked("g7", CAMPAIGN))
    starts(w, CAMPAIGN, "fall")
    assert not asked_now(w, told, "fall")


def test_unless_they_do_not_serve_it_or_it_has_nobody_to_call() -> None:
    w, _ = both(parked("g7"), parked("g8", "fall"))
    starts(w, CAMPAIGN, "fall")
    assert len(w.originated()) == 1
    w, _ = both(parked("g7"), leads=[lead(1, of="fall")])
    starts(w, CAMPAIGN, "fall")
    assert len(w.originated()) == 1


def test_whoever_answered_before_is_looked_at_again_when_a_progressive_call_was_served() -> None:
    """Serving one call may change on whom the others count. Nobody waits beside an operator whom nobody needs."""
    campaigns = [campaign("fall"), campaign("ice"), campaign(mode="predictive", wait_s=9.0)]
    leads = [lead(1, of="fall"), lead(2, of="ice"), lead(3)]
    cards = [parked("x"), parked("y", "fall", CAMPAIGN)]
    w, told = predictive(*cards, campaigns=campaigns, leads=leads, is_started=False)
    starts(w, "fall", "ice")
    fall = next(one.attempt for one in w.originated() if one.campaign == "fall")
    assert len(w.originated()) == 2
    starts(w, CAMPAIGN)
    (placed,) = asked_now(w, told, CAMPAIGN)
    w.later(1).answers(placed.attempt)
    assert w.call(placed.attempt).agent is None, "x is kept for ice, and y for fall"
    w.later(0.1).answers(fall)
    assert w.call(fall).agent == "x", "the longest idle"
    assert w.call(placed.attempt).agent == "y", "whom ice has no use for"


# -- announcements ----------------------------------------------------------------------------

NEWS: dict[str, Any] = {"mode": "announcement", "announcement": Announcement(keys={"1": "operator"}, times=3)}


def test_announcements_need_nobody_and_keep_to_lines_and_rate() -> None:
    assert len(World(leads=9, **NEWS).originated()) == 9
    assert len(World(leads=9, lines_max=4, **NEWS).originated()) == 4
    assert len(World(leads=9, trunks=[trunk(channels_max=5)], **NEWS).originated()) == 5
    w = World(leads=9, trunks=[trunk(calls_per_second_max=2)], **NEWS)
    assert len(w.originated()) == 1
    w.tick(0.5)
    assert len(w.originated()) == 2


def test_an_announcement_is_told_to_the_dialplan_and_others_are_not() -> None:
    assert [one.message_times for one in World(**NEWS).originated()] == [3]
    assert [one.message_times for one in World(parked("g7")).originated()] == [0]


def test_an_announcement_takes_no_operator_and_gives_nobody_up() -> None:
    w = World(parked("g7"), **NEWS)
    attempt = w.only()
    w.rings(attempt)
    w.tell(ev.AnnouncementBegan, attempt=attempt)
    assert (w.seen(), w.state("g7")) == ([], AgentState.READY)
    assert (w.call(attempt).ending, w.call(attempt).deadline) == ("announcement", AT + 600)
    w.later(20).hangs_up(attempt, cause=16)
    assert w.call(attempt).result is Result.ANNOUNCED
    assert w.store.finished
    assert w.is_quiet()


def test_who_asks_for_an_operator_is_held_and_served_by_the_first_who_is_free() -> None:
    w = World(parked("g7"), **NEWS)
    attempt = w.only()
    w.dial("g7", "421")
    w.tell(ev.AnnouncementBegan, attempt=attempt)
    w.look()
    w.later(9).tell(ev.ContactReturned, attempt=attempt)
    (hold,) = w.look()
    assert isinstance(hold, HoldContact)
    assert (hold.bridge, w.call(attempt).deadline) == (hold_bridge(CAMPAIGN), w.at + 60.0)
    w.later(5).dial("g7", "43")
    w.joins(attempt)
    w.later(60).hangs_up(attempt)
    assert (w.call(attempt).result, w.call(attempt).abandoned_at) == (Result.TALKED, None)


def test_who_asks_while_somebody_is_idle_is_joined_at_once() -> None:
    w = World(parked("g7"), **NEWS)
    attempt = w.only()
    w.tell(ev.AnnouncementBegan, attempt=attempt)
    w.tell(ev.ContactReturned, attempt=attempt)
    assert w.call(attempt).state is CallState.CONNECTING


def test_who_asks_while_nobody_is_at_work_is_not_left_with_music() -> None:
    w = World(parked("g7"), **NEWS)
    attempt = w.only()
    w.dial("g7", "41")
    w.tell(ev.AnnouncementBegan, attempt=attempt)
    w.look()
    w.later(550).tell(ev.ContactReturned, attempt=attempt)
    assert w.look() == [SendToLastWord(attempt=attempt)]
    assert (w.call(attempt).state, w.call(attempt).deadline) == (CallState.ENDING, w.at + 180)


def test_a_progressive_call_keeps_its_operator_from_who_asks_after_an_announcement() -> None:
    campaigns = [campaign("fall"), campaign(**NEWS)]
    w = World(parked("g7"), campaigns=campaigns, leads=[lead(1, of="fall"), lead(2)])
    by_campaign = {one.campaign: one.attempt for one in w.originated()}
    attempt = by_campaign[CAMPAIGN]
    w.tell(ev.AnnouncementBegan, attempt=attempt)
    w.tell(ev.ContactReturned, attempt=attempt)
    assert w.call(attempt).agent is None
    w.hangs_up(by_campaign[FALL], cause=17, sip=486)
    assert w.call(attempt).agent == "g7"


# -- who comes back from the dialplan ---------------------------------------------------------


def with_the_dialplan() -> tuple[World, AttemptId]:
    """Somebody hears the last word; the only operator takes a break."""
    w, _ = predictive(parked("g7"), places=1, leads=1)
    attempt = w.only()
    w.dial("g7", "421")
    w.answers(attempt)
    w.fires(attempt)
    assert w.look(SendToLastWord)
    return w, attempt


def test_who_chose_to_wait_keeps_their_turn() -> None:
    w, _ = predictive(parked("g7"), places=2, no_agent="hold", wait_s=0.0)
    early, late = w.live()
    w.dial("g7", "421")
    w.answers(early)
    w.tell(ev.ContactReturned, attempt=early)
    w.later(1).answers(late)
    w.later(1).dial("g7", "43")
    assert (w.call(early).agent, w.call(late).agent) == ("g7", None)


def test_told_twice_it_changes_nothing_and_nobody_is_cut_off() -> None:
    w, attempt = with_the_dialplan()
    w.tell(ev.ContactReturned, attempt=attempt)
    w.later(1).dial("g7", "43")
    w.joins(attempt)
    w.tell(ev.AgentApplied, agent=parked("g7", "other"))  # nobody serves the campaign any more
    before = w.call(attempt)
    w.look()
    w.tell(ev.ContactReturned, attempt=attempt)
    assert (w.call(attempt), w.look()) == (before, [])


def test_who_comes_back_and_finds_nobody_at_work_has_the_last_word_and_time_for_it() -> None:
    w, attempt = with_the_dialplan()
    w.dial("g7", "41")
    w.look()
    w.later(170).tell(ev.ContactReturned, attempt=attempt)
    assert w.look() == [SendToLastWord(attempt=attempt)]
    assert (w.call(attempt).state, w.call(attempt).deadline) == (CallState.ENDING, w.at + 180)
    w.tick(20)
    assert w.look() == [], "not hung up on while it speaks"


def test_who_comes_back_unheard_of_and_finds_nobody_is_not_hung_up_on_when_the_ringing_is_over() -> None:
    w, _ = predictive(parked("g7"), places=1, leads=1)
    attempt = w.only()
    w.dial("g7", "41")
    w.rings(attempt)
    w.look()
    w.later(30).tell(ev.ContactReturned, attempt=attempt)
    assert w.look(SendToLastWord)
    w.tick(40)
    assert (w.look(), w.call(attempt).ending) == ([], "no_agent")


def test_a_stranger_who_comes_back_has_the_last_word() -> None:
    w, _ = predictive(parked("g7"))
    stranger = AttemptId("a" + "9" * 20)
    w.look()
    w.tell(ev.ContactReturned, attempt=stranger)
    assert w.look() == [SendToLastWord(attempt=stranger)]


def test_a_return_that_got_lost_is_found_and_nobody_sits_in_silence() -> None:
    w = World(parked("g7"), **NEWS)
    attempt = w.only()
    w.tell(ev.AnnouncementBegan, attempt=attempt)
    here = ev.LiveChannel(channel=ChannelId(attempt), is_up=True, in_app=True)
    w.later(20).tell(ev.PbxListed, asked_at=w.at, channels=(here, *lines(w)))
    assert w.call(attempt).state is CallState.ENDING, "a list may tell of a past"
    w.later(6).tell(ev.PbxListed, asked_at=w.at, channels=(here, *lines(w)))
    assert w.call(attempt).state is CallState.CONNECTING


def lines(w: World) -> list[ev.LiveChannel]:
    """The operators' lines, as Asterisk lists them."""
    return [
        ev.LiveChannel(channel=agent.channel, is_up=True, in_app=True, bridge=agent.bridge)
        for agent in w.floor.agents.values()
        if agent.channel is not None
    ]


# -- what lives in the dialplan ---------------------------------------------------------------


@pytest.mark.parametrize(("place", "ending"), [("machine", "machine"), ("announcement", "announcement")])
def test_what_the_dialplan_does_is_learnt_from_a_list(place: Any, ending: str) -> None:
    w, _ = predictive(places=1)
    attempt = w.only()
    live = ev.LiveChannel(channel=ChannelId(attempt), is_up=True, place=place)
    w.tell(ev.PbxListed, asked_at=w.at, channels=(live,))
    assert w.call(attempt).state is CallState.DIALING, "the event may be on its way"
    w.later(6).tell(ev.PbxListed, asked_at=w.at, channels=(live,))
    assert (w.call(attempt).state, w.call(attempt).ending) == (CallState.ENDING, ending)


def test_whom_the_dialplan_still_listens_to_is_left_to_it() -> None:
    w, _ = predictive(places=1)
    attempt = w.only()
    live = ev.LiveChannel(channel=ChannelId(attempt), is_up=True, place="listening")
    w.tell(ev.PbxConnected, channels=(live,))
    assert w.call(attempt).state is CallState.DIALING


def test_holds_of_a_number_do_not_stop_a_predictive_campaign() -> None:
    """A lead at hand whose number was called meanwhile is passed over, and the next one dialed."""
    held = lead(1)
    phone = msgspec.structs.replace(held.phones[0], held=Hold(until=AT + 60, rule="gap"))
    w, told = predictive(parked("g7"), leads=[msgspec.structs.replace(held, phones=(phone,)), lead(2)])
    assert [one.number for one in asked_now(w, told, CAMPAIGN)] == [lead(2).phones[0].number]
