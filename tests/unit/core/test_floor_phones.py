"""Operators' phones on the floor: lost, in use, not picked up; wrap-ups and pauses that end; forced states.

And what all of it is for: dialing stops with the last ready operator, within one event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dialer.core import events as ev
from dialer.core.commands import HangUp, Originate, RingAgent
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, ChannelId
from dialer.core.values import AgentCard, AgentState, CallState, CampaignState, Centre
from tests.unit.core.world import CAMPAIGN, World, campaign, lead, parked, rung, trunk

G7 = AgentId("g7")


def lose(w: World, agent: str = "g7") -> None:
    w.tell(ev.PhoneChanged, phone=w.card(agent).phone, is_registered=False)


def find(w: World, agent: str = "g7") -> None:
    w.tell(ev.PhoneChanged, phone=w.card(agent).phone, is_registered=True)


def use(w: World, agent: str = "g7", *, is_in_use: bool = True) -> None:
    w.tell(ev.PhoneUsed, phone=w.card(agent).phone, is_in_use=is_in_use)


def stands(w: World, agent: str = "g7") -> tuple[str, str]:
    return str(w.state(agent)), w.agent(agent).reason


# -- lost and in use ------------------------------------------------------------------------


@pytest.mark.parametrize("how", [lose, use])
def test_who_cannot_be_rung_is_not_counted_on_and_is_again_when_the_phone_is_back(how: Any) -> None:
    w = World(rung("g7"), leads=3, is_started=False)
    w.sign_in("g7")
    how(w)
    w.tell(ev.CampaignOrdered, campaign=CAMPAIGN, order="start")
    assert w.originated() == []
    assert stands(w) == ("paused", {"lose": "phone_lost", "use": "phone_in_use"}[how.__name__])
    if how is lose:
        find(w)
    else:
        use(w, is_in_use=False)
    assert stands(w) == ("ready", "")
    assert len(w.originated()) == 1


def test_a_phone_that_is_lost_while_in_use_has_to_be_both_back_and_free() -> None:
    w = World(rung("g7"), leads=0)
    use(w)
    lose(w)
    assert stands(w) == ("paused", "phone_lost")
    find(w)
    assert stands(w) == ("paused", "phone_in_use")
    use(w, is_in_use=False)
    assert stands(w) == ("ready", "")


def test_a_parked_operators_line_is_a_use_of_the_phone_and_a_conversation_on_it_the_truth() -> None:
    w = World(parked("g7"))
    use(w)
    assert w.state("g7") is AgentState.READY
    a1 = w.talks()
    lose(w)
    assert w.call(a1).state is CallState.CONNECTED


def test_nobody_is_given_to_a_parked_line_whose_phone_does_not_answer_any_more() -> None:
    w = World(parked("g7"), leads=3)
    lose(w)
    assert stands(w) == ("paused", "phone_lost")
    assert w.agent("g7").has_line, "it is not hung up: the phone may only be slow"
    w.answers(w.only())
    assert w.call(w.only()).agent is None
    find(w)
    assert w.call(w.only()).agent == "g7"


def test_a_parked_phone_that_was_lost_in_a_call_is_not_ready_after_it() -> None:
    w = World(parked("g7"), leads=3, wrap_up_s=0.0)
    a1 = w.talks()
    lose(w)
    w.hangs_up(a1, 16)
    assert stands(w) == ("paused", "phone_lost")
    assert len(w.originated()) == 1
    use(w)
    assert stands(w) == ("paused", "phone_lost"), "a lost phone is not in use"
    find(w)
    assert stands(w) == ("ready", "")


@pytest.mark.parametrize("keys", ["*43", "5"])
def test_a_key_on_a_parked_line_is_a_sign_of_life(keys: str) -> None:
    w = World(parked("g7"), leads=0)
    lose(w)
    w.keys("g7", keys)
    assert stands(w) == ("ready", "")


def test_a_lunch_is_not_ended_by_a_phone() -> None:
    w = World(rung("g7"), leads=0)
    w.dial("g7", "422")
    lose(w)
    find(w)
    assert stands(w) == ("paused", "lunch")


def test_an_unplugged_phone_that_is_being_rung_is_given_up_at_once_for_another() -> None:
    w = World(rung("g1"), rung("g2"), leads=1, ring_agent="at_answer", wait_s=20.0)
    a1 = w.only()
    w.answers(a1)
    channel = w.agent("g1").channel
    w.look()
    lose(w, "g1")
    commands = w.look()
    assert HangUp(channel=channel) in commands  # type: ignore[arg-type]
    assert [one.agent for one in commands if isinstance(one, RingAgent)] == ["g2"]
    assert (stands(w, "g1"), w.agent("g1").missed) == (("paused", "phone_lost"), 0)


def test_a_conversation_goes_on_whatever_the_registration_says() -> None:
    w = World(rung("g7"), ring_agent="at_answer", wrap_up_s=5.0)
    a1 = w.only()
    w.answers(a1)
    w.leg_answers("g7")
    w.joins(a1)
    lose(w)
    assert (w.state("g7"), w.call(a1).state) == (AgentState.ON_CALL, CallState.CONNECTED)
    w.hangs_up(a1)
    assert w.state("g7") is AgentState.WRAP_UP
    w.fires("g7", "agent")
    assert stands(w) == ("paused", "phone_lost"), "and then nobody counts on the phone"


def test_the_phone_that_counts_is_the_one_on_the_card() -> None:
    w = World(rung("g7"), leads=0)
    w.tell(ev.PhoneChanged, phone="205", is_registered=False)
    w.tell(ev.AgentApplied, agent=AgentCard(id=G7, phone="205", leg="rung"))
    assert stands(w) == ("paused", "phone_lost")
    w.tell(ev.AgentApplied, agent=AgentCard(id=G7, phone="206", leg="rung"))
    assert stands(w) == ("ready", "")


@pytest.mark.parametrize("is_still_in_use", [True, False])
def test_after_a_restart_the_phone_says_what_holds(is_still_in_use: bool) -> None:
    """At a connect the phones that are in use are told, and of the others nothing."""
    w = World(rung("g7"), leads=1, is_started=False)
    w.sign_in("g7")
    use(w)
    w.floor = Floor()
    w.floor.restore(
        campaigns=[(w.campaigns[0], CampaignState.RUNNING)],
        trunks=w.trunks,
        cards=w.cards,
        agents=list(w.store.agents.values()),
    )
    assert stands(w) == ("paused", "phone_in_use")
    if is_still_in_use:
        use(w)
    w.tell(ev.PbxConnected)
    assert len(w.originated()) == int(not is_still_in_use)


# -- not picked up ----------------------------------------------------------------------------


def missing(missed_max: int, *cards: AgentCard, **changes: Any) -> World:
    """Calls are placed and answered; what comes of the rung phones is the test's business."""
    w = World(*(cards or (rung("g7"),)), is_started=False, **{"ring_agent": "at_answer", **changes})
    w.tell(ev.CentreApplied, centre=Centre(missed_max=missed_max, missed_rest_s=60.0))
    for card in w.cards:
        w.sign_in(card.id)
    w.tell(ev.CampaignOrdered, campaign=CAMPAIGN, order="start")
    return w


def test_who_missed_a_call_is_ready_for_others_but_not_rung_for_the_same_person_again() -> None:
    w = missing(2, leads=1, wait_s=60.0)
    (a1,) = w.live()
    w.answers(a1)
    assert len(w.rung_legs()) == 1
    w.fires("g7", "agent")
    assert (stands(w), w.agent("g7").missed) == (("ready", ""), 1)
    w.tick(2.0)
    w.tick(2.0)
    assert (len(w.rung_legs()), w.call(a1).state) == (1, CallState.ANSWERED)


@pytest.mark.parametrize("when", ["at_dial", "at_ring"])
def test_who_missed_a_call_before_the_answer_is_not_rung_for_it_at_the_answer(when: str) -> None:
    w = missing(2, leads=1, wait_s=60.0, ring_agent=when)
    (a1,) = w.live()
    if when == "at_ring":
        w.rings(a1)
    w.fires("g7", "agent")
    if when == "at_dial":
        w.rings(a1)
    w.answers(a1)
    assert len(w.rung_legs()) == 1
    w.hangs_up(a1)
    assert w.state("g7") is AgentState.READY


def test_the_person_whom_one_missed_is_given_to_another_and_the_one_gets_the_next() -> None:
    w = missing(2, rung("g1"), rung("g2"), leads=2, wait_s=60.0)
    a1, a2 = w.live()
    w.answers(a1)
    w.fires("g1", "agent")
    assert [leg.agent for leg in w.rung_legs()] == ["g1", "g2"]
    w.answers(a2)
    assert [leg.agent for leg in w.rung_legs()] == ["g1", "g2", "g1"]


def test_so_many_missed_calls_in_a_row_are_a_pause_that_ends_by_itself() -> None:
    w = missing(2, leads=3)
    for missed in (1, 2):
        (a1,) = w.live()
        w.answers(a1)
        w.fires("g7", "agent")
        assert w.agent("g7").missed == missed
        w.hangs_up(a1)
    assert stands(w) == ("paused", "no_answer")
    assert w.live() == [], "nobody is dialed for an empty chair"
    w.fires("g7", "agent")
    assert stands(w) == ("ready", "")
    (a3,) = w.live()
    w.answers(a3)
    w.fires("g7", "agent")
    assert stands(w) == ("paused", "no_answer"), "one is too many, for one who did not show since"
    w.dial("g7", "43")
    assert (stands(w), w.agent("g7").missed) == (("ready", ""), 0)


# -- wrap-up ------------------------------------------------------------------------------------


@pytest.mark.parametrize("card", [parked("g7"), rung("g7")], ids=["parked", "rung"])
@pytest.mark.parametrize("code", ["441", "43"])
def test_a_wrap_up_by_card_ends_with_a_result_or_ready(card: AgentCard, code: str) -> None:
    w = World(card, leads=2, wrap_up="card", wrap_up_s=0.0, wrap_up_s_max=300.0, ring_agent="at_answer")
    a1 = w.live()[0]
    w.answers(a1)
    if card.leg == "rung":
        w.leg_answers("g7")
    w.joins(a1)
    w.hangs_up(a1)
    assert (w.state("g7"), w.agent("g7").deadline) == (AgentState.WRAP_UP, w.at + 300)
    w.dial("g7", "449")
    assert w.state("g7") is AgentState.WRAP_UP, "a result that was refused closes nothing"
    w.dial("g7", code)
    assert w.state("g7") is AgentState.READY
    assert len(w.originated()) == 2


def test_a_card_that_nobody_closes_is_open_no_longer_than_it_may_be() -> None:
    w = World(parked("g7"), wrap_up="card", wrap_up_s_max=120.0)
    w.hangs_up(w.talks())
    w.later(119).tell(ev.Ticked)
    assert w.state("g7") is AgentState.WRAP_UP
    w.tick(1)
    assert w.state("g7") is AgentState.READY


def test_a_card_that_was_closed_in_the_call_needs_no_wrap_up() -> None:
    w = World(parked("g7"), wrap_up="card")
    a1 = w.talks()
    w.keys("g7", "*441")
    w.hangs_up(a1)
    assert w.state("g7") is AgentState.READY


def test_a_wrap_up_by_time_is_not_ended_by_a_result() -> None:
    w = World(parked("g7"), wrap_up="time", wrap_up_s=10.0)
    w.hangs_up(w.talks())
    w.keys("g7", "*441")
    assert w.state("g7") is AgentState.WRAP_UP


def test_a_result_of_an_old_call_closes_no_card_in_the_next_call() -> None:
    w = World(parked("g7"), leads=2, wrap_up="card")
    a1 = w.talks()
    w.hangs_up(a1)
    w.keys("g7", "*43")
    (a2,) = w.live()
    w.answers(a2)
    w.keys("g7", "*441")
    assert (w.call(a1).operator_result, w.state("g7")) == ("order", AgentState.RESERVED)


def test_the_wrap_up_of_an_operator_in_two_campaigns_is_that_of_the_calls_campaign() -> None:
    both = [
        campaign(priority=1, wrap_up_s=10.0, lines_max=1),
        campaign("summer", priority=2, wrap_up="card", wrap_up_s_max=200.0),
    ]
    w = World(parked("g7"), campaigns=both, leads=[lead(1), lead(2, of="summer")])
    w.hangs_up(w.talks())
    assert w.agent("g7").deadline == w.at + 10
    w.keys("g7", "*441")
    assert w.state("g7") is AgentState.WRAP_UP
    w.fires("g7", "agent")
    w.hangs_up(w.talks())
    assert w.agent("g7").deadline == w.at + 200
    w.keys("g7", "*441")
    assert w.state("g7") is AgentState.READY


def test_an_operator_in_two_campaigns_has_the_pauses_of_both() -> None:
    both = [campaign(pause_reasons={"1": "tea"}), campaign("summer", pause_reasons={"1": "walk", "2": "nap"})]
    w = World(parked("g7", "spring", "summer"), campaigns=both, leads=0)
    w.keys("g7", "*422")
    assert w.agent("g7").reason == "nap"
    w.keys("g7", "*421")
    assert w.agent("g7").reason == "tea", "the first on the card goes before"


# -- the longest pause ----------------------------------------------------------------------------


def test_who_is_paused_too_long_is_signed_out_also_by_a_sweep_and_after_a_restart() -> None:
    w = World(parked("g7"), leads=0)
    w.tell(ev.CentreApplied, centre=Centre(pause_s_max=60.0))
    w.keys("g7", "*421")
    assert w.timer("g7", "agent") is not None
    w.floor = Floor()
    w.floor.restore(
        centre=Centre(pause_s_max=60.0),
        campaigns=[(w.campaigns[0], CampaignState.RUNNING)],
        trunks=w.trunks,
        cards=w.cards,
        agents=list(w.store.agents.values()),
    )
    assert [timer.subject for timer in w.floor.deadlines()] == ["g7"]
    w.later(59).tell(ev.Ticked)
    assert w.state("g7") is AgentState.PAUSED
    w.tick(1)
    assert w.state("g7") is AgentState.SIGNED_OUT


def test_a_shorter_longest_pause_holds_for_who_is_paused_already() -> None:
    w = World(parked("g7"), parked("g8"), leads=0)
    w.keys("g7", "*421")
    assert w.timer("g7", "agent") is None
    w.later(40).tell(ev.CentreApplied, centre=Centre(pause_s_max=60.0))
    timer = w.timer("g7", "agent")
    assert timer is not None
    assert timer.due == w.at + 20
    assert w.timer("g8", "agent") is None


def test_a_pause_that_the_phone_made_is_as_long_as_the_phone_is_away() -> None:
    w = World(rung("g7"), leads=0)
    w.tell(ev.CentreApplied, centre=Centre(pause_s_max=60.0))
    lose(w)
    w.tick(3600)
    assert stands(w) == ("paused", "phone_lost")


# -- sign-in ----------------------------------------------------------------------------------------


def test_a_sign_in_from_the_same_phone_again_leaves_one_line() -> None:
    w = World(parked("g7"), leads=0)
    old = w.agent("g7").channel
    w.look()
    w.sign_in("g7", "second")
    assert HangUp(channel=old) in w.look()  # type: ignore[arg-type]
    assert w.floor._state.by_channel == {ChannelId("second"): G7}
    w.tell(ev.LineEnded, channel=old)
    assert (w.state("g7"), w.agent("g7").channel) == (AgentState.READY, "second")


def test_who_gets_another_phone_while_signed_in_stays_on_the_line_and_signs_in_from_the_new_one() -> None:
    w = World(parked("g7"), leads=0)
    w.tell(ev.AgentApplied, agent=AgentCard(id=G7, phone="205"))
    assert w.state("g7") is AgentState.READY
    w.keys("g7", "*421")
    assert w.state("g7") is AgentState.PAUSED, "keys are the line's, whatever phone it comes from"
    w.look()
    w.tell(ev.FeatureDialed, channel=ChannelId("x"), phone="1g7", code="43")
    assert [type(one).__name__ for one in w.look()] == ["Dismiss"], "the old phone is nobody's"
    assert w.state("g7") is AgentState.PAUSED
    w.tell(ev.FeatureDialed, channel=ChannelId("new"), phone="205", code="40")
    assert (w.state("g7"), w.agent("g7").channel) == (AgentState.ARRIVING, "new")


def test_two_operators_change_places() -> None:
    w = World(parked("g1"), parked("g2"), leads=0)
    w.tell(ev.AgentApplied, agent=AgentCard(id=AgentId("g1"), phone="1g2"))
    w.tell(ev.AgentApplied, agent=AgentCard(id=AgentId("g2"), phone="1g1"))
    w.tell(ev.FeatureDialed, channel=ChannelId("x"), phone="1g1", code="421")
    assert (w.state("g1"), w.state("g2")) == (AgentState.READY, AgentState.PAUSED)


# -- the supervisor's word --------------------------------------------------------------------------


def order(w: World, what: str, reason: str = "") -> None:
    w.tell(ev.AgentOrdered, agent=G7, order=what, reason=reason)


@pytest.mark.parametrize("card", [parked("g7"), rung("g7")], ids=["parked", "rung"])
@pytest.mark.parametrize("what", ["ready", "pause"])
def test_nobody_is_signed_in_by_an_order(card: AgentCard, what: str) -> None:
    w = World(card, is_started=False)
    assert "signed out" in (w.floor.why_not_ordered(G7, what) or "")
    order(w, what)
    assert w.state("g7") is AgentState.SIGNED_OUT
    assert w.floor.why_not_ordered(G7, "sign_out") is None, "so it is already"


def test_nobody_is_made_ready_whose_phone_cannot_be_rung() -> None:
    w = World(rung("g7"), leads=0)
    lose(w)
    assert "1g7" in (w.floor.why_not_ordered(G7, "ready") or "")
    order(w, "ready")
    assert stands(w) == ("paused", "phone_lost")
    order(w, "pause")
    assert stands(w) == ("paused", "supervisor"), "but may be paused for longer than the phone is away"
    find(w)
    assert w.floor.why_not_ordered(G7, "ready") is None
    order(w, "ready")
    assert stands(w) == ("ready", "")


def test_who_is_made_ready_while_the_phone_is_in_use_is_so_when_it_is_free() -> None:
    w = World(rung("g7"), leads=0)
    order(w, "pause")
    use(w)
    assert w.floor.why_not_ordered(G7, "ready") is None
    order(w, "ready")
    assert stands(w) == ("paused", "phone_in_use")
    use(w, is_in_use=False)
    assert stands(w) == ("ready", "")


def test_nobody_is_made_ready_by_order_whose_parked_phone_is_lost() -> None:
    w = World(parked("g7"), leads=0)
    order(w, "pause")
    lose(w)
    assert w.floor.why_not_ordered(G7, "ready") == "g7 cannot be ready: their phone 1g7 is not registered"
    order(w, "ready")
    assert stands(w) == ("paused", "supervisor")


@pytest.mark.parametrize("word", ["phone_lost", "phone_in_use", "no_answer"])
def test_a_reason_that_ends_by_itself_cannot_be_given(word: str) -> None:
    w = World(rung("g7"), leads=0, pause_reasons={"1": word})
    order(w, "pause", word)
    assert stands(w) == ("paused", "supervisor")
    order(w, "ready")
    w.dial("g7", "421")
    assert stands(w) == ("ready", "")


def test_an_order_to_nobody_changes_nothing() -> None:
    w = World(leads=0)
    assert w.tell(ev.AgentOrdered, agent=AgentId("nobody"), order="pause") == []


@pytest.mark.parametrize("state", ["reserved", "on_call", "wrap_up", "arriving"])
@pytest.mark.parametrize("what", ["pause", "sign_out", "ready"])
def test_an_order_takes_effect_in_every_state_and_tears_no_call_apart(state: str, what: str) -> None:
    w = World(parked("g7"), is_started=state != "arriving")
    if state == "arriving":
        w.dial("g7", "40", "line")
    else:
        a1 = w.only()
        w.answers(a1)
        if state != "reserved":
            w.joins(a1)
        if state == "wrap_up":
            w.hangs_up(a1)
    assert str(w.state("g7")) == state
    if what == "ready" and state != "wrap_up":
        order(w, "pause")  # to be taken back
    order(w, what)
    if state == "arriving" and what != "sign_out":
        w.tell(ev.LineJoined, channel=ChannelId("line"), bridge=w.agent("g7").bridge)
    if state in ("reserved", "on_call"):
        assert str(w.state("g7")) == state
        if state == "reserved":
            w.joins(a1)
        w.hangs_up(a1)
    if w.state("g7") is AgentState.WRAP_UP:
        w.fires("g7", "agent")
    want = {"pause": "paused", "sign_out": "signed_out", "ready": "ready"}[what]
    assert str(w.state("g7")) == want


# -- dialing stops with the last ready operator ----------------------------------------------------


def _quit(code: str) -> Callable[[World], Any]:
    return lambda w: w.dial("g7", code)


def _ordered(what: str) -> Callable[[World], Any]:
    return lambda w: order(w, what)


def _other_campaign(w: World) -> None:
    card = w.card("g7")
    w.tell(
        ev.AgentApplied,
        agent=AgentCard(id=G7, phone=card.phone, leg=card.leg, campaigns=("summer",)),  # type: ignore[arg-type]
    )


def _other_leg(w: World) -> None:
    card = w.card("g7")
    w.tell(
        ev.AgentApplied,
        agent=AgentCard(id=G7, phone=card.phone, leg="rung" if card.leg == "parked" else "parked"),
    )


def _dead_phone(w: World) -> None:
    w.tell(ev.PhoneChanged, phone="205", is_registered=False)
    w.at += 1.0
    w.tell(ev.AgentApplied, agent=AgentCard(id=G7, phone="205", leg="rung"))


WAYS: dict[str, tuple[str, Callable[[World], Any]]] = {
    "signs out": ("both", _quit("41")),
    "pauses": ("both", _quit("421")),
    "is paused": ("both", _ordered("pause")),
    "is signed out": ("both", _ordered("sign_out")),
    "works for others": ("both", _other_campaign),
    "is reached otherwise": ("both", _other_leg),
    "line drops": ("parked", lambda w: w.line_ends("g7")),
    "line was refused": (
        "parked",
        lambda w: w.tell(ev.LineRefused, channel=w.agent("g7").channel, reason="404"),
    ),
    "signs in again": ("parked", lambda w: w.dial("g7", "40", "another")),
    "line missing after a connect": ("parked", lambda w: w.tell(ev.PbxConnected)),
    "phone lost": ("rung", lose),
    "phone in use": ("rung", use),
    "another phone that is lost": ("rung", _dead_phone),
}


def about_to_dial(card: AgentCard) -> World:
    """An idle operator, leads at hand, and a trunk that may carry the next call from the next second on."""
    w = World(card, leads=10, trunks=[trunk(calls_per_second_max=1.0)])
    (a1,) = w.live()
    w.hangs_up(a1, 17, 486)
    assert (w.state("g7"), len(w.originated())) == (AgentState.READY, 1)
    w.later(1.0)
    w.look()
    return w


LEGS = [
    pytest.param(card, way, id=f"{card.leg}-{way}")
    for card in (parked("g7"), rung("g7"))
    for way, (leg, _) in WAYS.items()
    if leg in ("both", card.leg)
]


@pytest.mark.parametrize("card", [parked("g7"), rung("g7")], ids=["parked", "rung"])
def test_any_event_would_have_dialed(card: AgentCard) -> None:
    """The setting of the next test is one in which a call is placed as soon as anything happens."""
    w = about_to_dial(card)
    w.tell(ev.Ticked)
    assert len(w.look(Originate)) == 1


@pytest.mark.parametrize(("card", "way"), LEGS)
def test_the_event_that_takes_the_last_ready_operator_away_dials_nobody_and_none_after_it_does(
    card: AgentCard, way: str
) -> None:
    w = about_to_dial(card)
    if way == "another phone that is lost":
        w.later(-1.0)  # its first event must not dial either
    WAYS[way][1](w)
    assert (w.state("g7") is not AgentState.READY) or way == "works for others"
    w.tell(ev.LeadsAdded, campaign=CAMPAIGN)
    w.tell(ev.TrunkChanged, trunk=w.trunks[0].id, is_up=True)
    for _ in range(30):
        w.tick()
    assert w.look(Originate) == []


@pytest.mark.parametrize("card", [parked("g7"), rung("g7")], ids=["parked", "rung"])
def test_a_call_that_is_promised_the_last_operator_is_no_reason_to_dial_another(card: AgentCard) -> None:
    w = World(card, leads=10, ring_agent="at_answer")
    (a1,) = w.live()
    w.answers(a1)
    assert w.state("g7") is AgentState.RESERVED
    w.tick(1.0)
    assert len(w.originated()) == 1


@pytest.mark.parametrize("missed_max", [1, 2])
def test_a_phone_that_is_not_picked_up_dials_for_nobody_else_while_the_person_waits(missed_max: int) -> None:
    w = missing(missed_max, leads=10, wait_s=60.0)
    (a1,) = w.live()
    w.answers(a1)
    w.fires("g7", "agent")
    w.tick(2.0)
    assert (len(w.originated()), w.live()) == (1, [a1])
