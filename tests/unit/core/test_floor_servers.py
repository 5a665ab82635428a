"""Several Asterisk servers on one floor: lanes, caps, weights, and a server that dies."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dialer.core import events as ev
from dialer.core.commands import HangUp, JoinAgent, Originate, SaveLedger, SaveLeft
from dialer.core.events import LiveChannel, Server
from dialer.core.ids import ONLY, CampaignId, ChannelId, ServerId, line_bridge
from dialer.core.lanes import campaign_of, is_all, lane, may_serve, server_of, skills
from dialer.core.servers import ServerDesk, Servers
from dialer.core.values import AgentState, CallState, Result
from tests.unit.core.world import World, campaign, lead, parked, rung, trunk

A, B = ServerId("a"), ServerId("b")
SPRING = CampaignId("spring")


class Twins(World):
    """A world with the servers ``a`` and ``b``; nobody is signed in. *caps*: more of each server."""

    def __init__(self, *cards: Any, caps: dict[str, dict[str, Any]] | None = None, **more: Any) -> None:
        super().__init__(*cards, is_started=False, **more)
        servers = tuple(Server(id=name, **(caps or {}).get(name, {})) for name in (A, B))
        self.tell(ev.ServersApplied, servers=servers)
        for name in (A, B):
            self.tell(ev.PbxConnected, server=name)
        for one in self.campaigns:
            self.tell(ev.CampaignOrdered, campaign=one.id, order="start")
        self.look()

    def comes(self, agent: str, server: ServerId, channel: str = "") -> None:
        """The operator signs in there."""
        line = ChannelId(channel or f"line-of-{agent}-{server}")
        phone = self.card(agent).phone
        self.tell(ev.FeatureDialed, channel=line, phone=phone, code="40", server=server)
        if self.card(agent).leg == "parked":
            self.tell(ev.LineJoined, channel=line, bridge=line_bridge(line))

    def on(self, server: ServerId) -> list[Any]:
        return [call for call in self.floor.calls.values() if call.server == server]

    def placed(self) -> Counter[str]:
        return Counter(one.server for one in self.originated())


# -- names -------------------------------------------------------------------------------------


def test_with_one_server_a_lane_is_its_campaign():
    assert lane(SPRING, ONLY) == SPRING
    assert (campaign_of(SPRING), server_of(SPRING)) == (SPRING, ONLY)
    assert skills((SPRING,), ONLY) == (SPRING,)
    assert skills((), ONLY) == ()
    assert is_all(())


@pytest.mark.parametrize(
    ("campaigns", "server", "name", "may"),
    [
        ((), A, "spring@a", True),
        ((), A, "spring@b", False),
        ((), ServerId("north-a"), "spring@a", False),
        ((), A, "spring@north-a", False),
        ((SPRING,), A, "spring@a", True),
        ((SPRING,), A, "summer@a", False),
        ((SPRING,), A, "spring@b", False),
        ((), ONLY, "spring", True),
        ((SPRING,), ONLY, "summer", False),
    ],
)
def test_who_may_serve_a_lane(campaigns, server, name, may):
    assert may_serve(skills(campaigns, server), name) is may


# -- who is given to whom ----------------------------------------------------------------------


def test_a_call_is_placed_where_its_operator_is_and_joined_there():
    w = Twins(parked("g1"), parked("g2"), leads=5)
    w.comes("g1", A)
    w.comes("g2", B)
    assert w.placed() == {"a": 1, "b": 1}
    for server, agent in ((B, "g2"), (A, "g1")):
        (call,) = w.on(server)
        w.rings(call.attempt)
        w.look()
        w.answers(call.attempt)
        (join,) = w.look(JoinAgent)
        assert (join.attempt, join.agent) == (call.attempt, agent)


def test_a_person_is_not_given_to_an_operator_of_another_server():
    w = Twins(parked("g1"), parked("g2"), leads=1, wait_s=30.0)
    w.comes("g1", A)
    (call,) = w.on(A)
    w.tell(ev.AgentOrdered, agent="g1", order="pause")
    w.comes("g2", B)
    w.answers(call.attempt)
    assert w.state("g2") is AgentState.READY
    assert w.call(call.attempt).agent is None
    w.tell(ev.AgentOrdered, agent="g1", order="ready")
    assert w.call(call.attempt).agent == "g1"


def test_a_lead_that_waits_for_its_owner_is_dialed_on_the_owners_server():
    from dialer.core.values import Owners

    mine = lead(1, owner="g2")
    w = Twins(parked("g1"), parked("g2"), leads=[mine], owners=Owners(away="wait", hold_s=30.0))
    w.comes("g1", A)
    assert not w.originated()
    w.comes("g2", B)
    (call,) = w.on(B)
    assert call.agent == "g2"


def test_rung_operators_are_where_their_phones_are():
    w = Twins(rung("g1"), leads=3, ring_agent="at_dial")
    w.tell(ev.PhoneChanged, phone="1g1", is_registered=False, server=B)
    w.comes("g1", A)
    (call,) = w.on(A)
    (leg,) = w.rung_legs()
    assert (leg.server, call.agent) == (A, "g1")
    w.hangs_up(call.attempt, 17)
    w.tell(ev.CampaignOrdered, campaign="spring", order="pause")
    for again in w.live():
        w.hangs_up(again, 17)
    w.tell(ev.PhoneChanged, phone="1g1", is_registered=False, server=A)
    assert (w.state("g1"), w.agent("g1").reason) == (AgentState.PAUSED, "phone_lost")
    w.tell(ev.PhoneChanged, phone="1g1", is_registered=True, server=B)
    assert (w.state("g1"), w.agent("g1").server) == (AgentState.READY, B)


def test_a_phone_that_one_server_does_not_know_is_not_lost_on_another():
    w = Twins(parked("g1"), rung("g2"), leads=0)
    w.comes("g1", B)
    w.comes("g2", B)
    for phone in ("1g1", "1g2"):
        w.tell(ev.PhoneChanged, phone=phone, is_registered=False, server=A)
    assert w.state("g1") is w.state("g2") is AgentState.READY


def test_signing_in_elsewhere_leaves_the_old_line():
    w = Twins(parked("g1"), leads=0)
    w.comes("g1", A)
    w.look()
    w.comes("g1", B)
    (gone,) = w.look(HangUp)
    assert gone.channel == "line-of-g1-a"
    assert (w.agent("g1").server, w.state("g1")) == (B, AgentState.READY)


# -- caps and weights --------------------------------------------------------------------------


def test_a_server_has_no_more_calls_than_it_may():
    cards = [parked(f"g{n}") for n in range(6)]
    w = Twins(*cards, caps={"a": {"channels_max": 2}}, leads=20)
    for n, card in enumerate(cards):
        w.comes(card.id, A if n < 4 else B)
    assert w.placed() == {"a": 2, "b": 2}
    w.hangs_up(w.on(A)[0].attempt, 17)
    assert w.placed() == {"a": 3, "b": 2}


def test_a_server_takes_no_more_calls_a_second_than_it_may():
    cards = [parked(f"g{n}") for n in range(6)]
    w = Twins(*cards, caps={"a": {"calls_per_second_max": 2.0}}, leads=20)
    for card in cards:
        w.comes(card.id, A)
    assert w.placed() == {"a": 1}
    w.tick(0.5)
    assert w.placed() == {"a": 2}


def test_announcements_go_by_weight():
    caps = {"a": {"weight": 1}, "b": {"weight": 3}}
    w = Twins(caps=caps, leads=40, mode="announcement", trunks=[trunk(channels_max=24)])
    assert w.placed() == {"a": 6, "b": 18}
    assert [one.server for one in w.originated()][:8] == ["b", "a", "b", "b", "b", "a", "b", "b"]


def test_a_server_of_no_weight_has_no_announcements():
    w = Twins(caps={"a": {"weight": 0}}, leads=9, mode="announcement", trunks=[trunk(channels_max=5)])
    assert w.placed() == {"b": 5}


def test_with_a_server_away_the_others_go_on():
    w = Twins(parked("g1"), parked("g2"), leads=9)
    w.comes("g1", A)
    w.comes("g2", B)
    w.tell(ev.PbxDisconnected, server=A)
    assert w.floor.why_not_originating() == {}
    assert w.floor.why_not_originating(A) == {"asterisk": "no connection to Asterisk"}
    for server in (A, B):
        w.hangs_up(w.on(server)[0].attempt, 17)
    assert w.placed() == {"a": 1, "b": 2}


def test_the_only_server_has_no_caps():
    desk = ServerDesk(Server(channels_max=1, calls_per_second_max=0.1))
    desk.is_up = True
    for _ in range(9):
        desk.took(0.0)
    assert desk.room(0.0) > 1000


def test_servers_that_are_named_no_more_get_no_calls():
    servers = Servers()
    servers.apply([Server(id=A), Server(id=B)])
    assert (set(servers), servers.used) == ({A, B}, [A, B])
    servers[A].took(0.0)
    servers.apply([Server(id=B)])
    assert servers.used == [B]
    assert servers[A].lines() == 0
    servers.apply([])
    assert servers.used == [ONLY]


# -- one that dies -----------------------------------------------------------------------------


def two_conversations(**changes: Any) -> Twins:
    w = Twins(parked("g1"), parked("g2"), parked("g3"), leads=9, **changes)
    w.comes("g1", A)
    w.comes("g2", B)
    for server in (A, B):
        attempt = w.on(server)[0].attempt
        w.answers(attempt)
        w.joins(attempt)
    w.look()
    return w


def test_a_dead_servers_calls_end_as_they_were_and_its_operators_are_signed_out():
    w = two_conversations()
    dead, alive = w.on(A)[0], w.on(B)[0]
    w.tell(ev.PbxDisconnected, server=A)
    assert w.call(dead.attempt).state is CallState.CONNECTED, "it may only be cut off"
    w.later(20.0).tell(ev.PbxLost, server=A)
    assert (w.call(dead.attempt).state, w.call(dead.attempt).result) == (CallState.ENDED, Result.TALKED)
    assert (w.state("g1"), w.agent("g1").channel) == (AgentState.SIGNED_OUT, None)
    assert w.call(alive.attempt) == alive
    w.comes("g1", B)
    assert w.placed() == {"a": 1, "b": 2}


def test_a_call_just_placed_is_not_waited_for_when_its_server_is_dead():
    w = Twins(parked("g1"), leads=1)
    w.comes("g1", A)
    (call,) = w.on(A)
    w.tell(ev.PbxLost, server=A)
    assert w.call(call.attempt).result is Result.LOST


def test_nobody_is_rung_on_a_dead_server():
    w = Twins(rung("g1"), leads=5)
    w.comes("g1", A)
    w.tell(ev.PbxLost, server=A)
    assert (w.state("g1"), w.agent("g1").reason) == (AgentState.PAUSED, "phone_lost")
    w.tell(ev.PhoneChanged, phone="1g1", is_registered=True, server=B)
    assert (w.state("g1"), w.agent("g1").server) == (AgentState.READY, B)
    assert w.placed()["b"] == 1


def test_who_still_talks_there_is_not_cut_off_but_who_is_left_alone_is():
    """It was cut off, and not dead."""
    w = two_conversations()
    attempt, line = w.on(A)[0].attempt, w.agent("g1").channel
    assert line is not None
    bridge = w.agent("g1").bridge
    w.tell(ev.PbxLost, server=A)
    assert w.look() == [], "it would do what was asked of it when it goes on"
    person = LiveChannel(channel=ChannelId(attempt), is_up=True, in_app=True, bridge=bridge)
    operator = LiveChannel(channel=line, is_up=True, in_app=True, bridge=bridge)
    stranger = LiveChannel(channel=ChannelId("server-a-9"), is_up=True, in_app=True)
    w.tell(ev.PbxConnected, channels=(person, operator, stranger), server=A)
    assert [one.channel for one in w.look(HangUp)] == ["server-a-9"]
    for _ in range(2):
        w.later(20.0).tell(ev.PbxListed, asked_at=w.at, channels=(operator,), server=A)
    assert [one.channel for one in w.look(HangUp)] == [line]


def test_an_engine_that_is_restarted_in_between_cuts_nobody_off_either():
    w = two_conversations()
    attempt, line, bridge = w.on(A)[0].attempt, w.agent("g1").channel, w.agent("g1").bridge
    assert line is not None
    w.tell(ev.PbxLost, server=A)
    (left,) = [one for one in w.commands if isinstance(one, SaveLeft)]
    assert (left.server, left.channels) == (A, (attempt, line))
    again = Twins(parked("g1"), parked("g2"), leads=0)
    again.floor = type(again.floor)()
    started = ev.EngineStarted(
        at=w.at,
        version="2",
        cards=tuple(w.cards),
        campaigns=tuple((one, w.floor.desks[one.id].state) for one in w.campaigns),
        trunks=tuple(w.trunks),
        servers=(Server(id=A), Server(id=B)),
        left=((left.server, left.channels),),
    )
    again.floor.take_up(started)
    again.tell(started)
    again.look()
    person = LiveChannel(channel=ChannelId(attempt), is_up=True, in_app=True, bridge=bridge)
    operator = LiveChannel(channel=line, is_up=True, in_app=True, bridge=bridge)
    again.tell(ev.PbxConnected, channels=(person, operator), server=A)
    assert again.look(HangUp) == []
    for _ in range(2):
        again.later(20.0).tell(ev.PbxListed, asked_at=again.at, channels=(operator,), server=A)
    assert [one.channel for one in again.look(HangUp)] == [line]
    again.tell(ev.PbxListed, asked_at=again.at, channels=(), server=A)
    written = [one.channels for one in again.commands if isinstance(one, SaveLeft)]
    assert written == [(line,), ()], "of who is gone the journal knows nothing any more"


def test_who_was_left_on_a_server_that_is_named_no_more_brings_it_not_back():
    w = Twins(leads=0)
    started = ev.EngineStarted(at=w.at, version="2", left=((ServerId("c"), (ChannelId("x"),)),))
    w.floor.take_up(started)
    assert "c" not in w.floor.servers


def test_a_list_of_one_server_says_nothing_of_another():
    w = two_conversations()
    for _ in range(3):
        w.later(20.0).tell(ev.PbxListed, asked_at=w.at, channels=(), server=B)
    assert not w.on(B)
    assert w.on(A)[0].state is CallState.CONNECTED
    assert w.state("g1") is AgentState.ON_CALL


def test_servers_of_an_older_configuration_are_none_of_ours():
    """A call and an operator of a time when there was but one server: nothing will ever be heard of them."""
    w = World(parked("g1"), rung("g2"), leads=3)
    calls = [(call, w.floor._state.leads[call.attempt]) for call in w.floor.calls.values()]
    agents = list(w.floor.agents.values())
    again = Twins(parked("g1"), rung("g2"), leads=3)
    again.floor.restore(
        servers=(Server(id=A), Server(id=B)),
        campaigns=[(one, again.floor.desks[one.id].state) for one in again.campaigns],
        agents=agents,
        calls=calls,
    )
    assert again.floor.calls.keys() == w.floor.calls.keys()
    again.tell(ev.PbxLost, server=ONLY)
    assert not [call for call in again.floor.calls.values() if call.server == ONLY]
    assert again.state("g1") is AgentState.SIGNED_OUT
    assert (again.state("g2"), again.agent("g2").reason) == (AgentState.PAUSED, "phone_lost")


# -- one ledger --------------------------------------------------------------------------------


def test_what_was_abandoned_is_counted_by_campaign():
    w = Twins(parked("g1"), parked("g2"), leads=9, mode="predictive")
    w.comes("g1", A)
    w.comes("g2", B)
    w.tick()
    for server in (A, B):
        for call in w.on(server)[:1]:
            w.answers(call.attempt)
            w.joins(call.attempt)
    ledger = w.floor.ledger(SPRING)
    assert ledger is not None
    assert ledger.totals(w.at) == (2, 0)
    assert {one.campaign for one in w.commands if isinstance(one, SaveLedger)} == {"spring"}
    assert set(w.floor._state.pacer.ledgers) == {"spring"}
    assert {one.campaign for _, one in w.floor.reasons_of(SPRING)} == {"spring"}
    assert {one.server for _, one in w.floor.reasons_of(SPRING)} == {"a", "b"}


def test_originates_name_their_server():
    w = Twins(parked("g1"), leads=1)
    w.comes("g1", B)
    (one,) = w.look(Originate)
    assert (one.server, w.call(one.attempt).server) == (B, B)
    assert campaign("x").id == one.campaign or one.campaign == "spring"
