"""Channels of trunks that are no contact's call: what counts, from when until when, and what comes where there is no room."""

from __future__ import annotations

from typing import Any

from dialer.core import events as ev
from dialer.core.adoption import IN_FLIGHT_S
from dialer.core.commands import SendToOverflow
from dialer.core.ids import ChannelId, ServerId, TrunkId, forward_of
from dialer.core.incoming import Inbound
from dialer.core.trunk import Trunk
from dialer.core.values import AgentState, CallState
from tests.unit.core.world import World, campaign, parked, rung, trunk

OTHER = "+79990000001"
T, U = TrunkId("t"), TrunkId("u")


def live(w: World, name: str = "t") -> int:
    return w.floor.trunks[TrunkId(name)].live


def used(w: World, *channels: str, by: str = "t") -> list[Any]:
    return w.tell(ev.TrunkUsed, trunk=TrunkId(by), channels=tuple(map(ChannelId, channels)))


def on_trunk(channel: str, **more: Any) -> ev.LiveChannel:
    return ev.LiveChannel(channel=ChannelId(channel), is_up=True, trunk=T, **more)


def listed(w: World, *channels: ev.LiveChannel) -> None:
    """Two lists in a row, far enough apart to be believed."""
    for _ in range(2):
        w.later(6.0).tell(ev.PbxListed, asked_at=w.at, channels=channels)


# -- what Asterisk tells --------------------------------------------------------------------


def test_a_channel_counts_from_when_it_is_told_of_until_its_end() -> None:
    w = World(parked("ann"), leads=2, trunks=[trunk(channels_max=2)], is_started=False)
    used(w, "x")
    used(w, "x", "y")
    assert live(w) == 2
    used(w, "y")
    w.tell(ev.LineEnded, channel=ChannelId("y"), cause=16)
    used(w)
    assert live(w) == 0


def test_fewer_are_called_while_it_is_there_and_one_more_when_it_is_gone() -> None:
    w = World(parked("ann"), leads=1, trunks=[trunk(channels_max=1)], is_started=False)
    used(w, "x")
    w.sign_in("ann")
    w.tell(ev.CampaignOrdered, campaign=w.campaigns[0].id, order="start")
    assert not w.originated()
    w.tell(ev.LineEnded, channel=ChannelId("x"), cause=16)
    assert len(w.originated()) == 1


def test_a_channel_whose_end_was_lost_is_freed_by_the_lists() -> None:
    w = World(leads=0)
    used(w, "x")
    w.later(1.0).tell(ev.PbxListed, asked_at=w.at)
    assert live(w) == 1, "its end may be on its way"
    listed(w)
    assert live(w) == 0


def test_a_channel_that_nobody_told_of_is_found_by_the_lists() -> None:
    w = World(leads=0)
    w.tell(ev.PbxListed, asked_at=w.at, channels=(on_trunk("x"),))
    assert live(w) == 0, "its end may have been told since"
    listed(w, on_trunk("x"))
    assert live(w) == 1


def test_a_new_engine_counts_what_lives() -> None:
    w = World(leads=0)
    w.tell(ev.PbxDisconnected)
    w.tell(ev.PbxConnected, channels=(on_trunk("x"), on_trunk("a" + "1" * 20)))
    assert live(w) == 2
    w.tell(ev.PbxDisconnected)
    w.tell(ev.PbxConnected, channels=())
    assert live(w) == 0


def test_a_server_that_is_lost_has_none() -> None:
    w = World(leads=0)
    north = ev.Server(id=ServerId("north"), channels_max=5)
    w.tell(ev.ServersApplied, servers=(north,))
    w.tell(ev.PbxConnected, server=north.id)
    w.tell(ev.TrunkUsed, trunk=T, channels=(ChannelId("x"),), server=north.id)
    assert (live(w), w.floor.servers[north.id].live) == (1, 1)
    w.tell(ev.PbxLost, server=north.id)
    w.tell(ev.TrunkUsed, trunk=T, channels=(ChannelId("x"),), server=north.id)
    assert (live(w), w.floor.servers[north.id].live) == (0, 0)


def test_a_caller_counts_once_from_the_greeting_on() -> None:
    w = World(parked("ann"), leads=0, campaigns=campaign(inbound=Inbound(numbers=(OTHER,))))
    used(w, "asterisk-1")
    used(w, f"a{1:020d}")  # the same channel: its attempt is known now
    assert live(w) == 1
    attempt = w.arrives(7)
    assert attempt == f"a{1:020d}"
    assert live(w) == 1
    used(w, attempt, "asterisk-2")
    assert live(w) == 2
    w.hangs_up(attempt)
    used(w, "asterisk-2")
    assert live(w) == 1


def test_a_trunk_that_is_applied_while_it_has_channels_counts_them() -> None:
    w = World(leads=0)
    used(w, "x", by="u")
    w.tell(ev.TrunkApplied, trunk=trunk("u"))
    assert live(w, "u") == 1
    used(w, by="u")
    assert live(w, "u") == 0


# -- callers who are forwarded ----------------------------------------------------------------


def forwarding(*trunks: Trunk, **changes: Any) -> World:
    """Nobody is there, and the overflow is another number."""
    rules = Inbound(numbers=("+74950000001",), overflow="number", overflow_number=OTHER)
    names = tuple(one.id for one in trunks[1:])
    return World(leads=0, campaigns=campaign(inbound=rules, trunks=names, **changes), trunks=list(trunks))


def test_a_caller_who_is_forwarded_takes_two_channels_until_each_is_gone() -> None:
    w = forwarding(trunk(channels_max=2))
    attempt = w.arrives(7)
    assert w.look(SendToOverflow) == [SendToOverflow(attempt=attempt, place="number", trunk=T, number=OTHER)]
    assert (w.call(attempt).ending, live(w)) == ("number", 2)
    w.tell(ev.CallForwarded, attempt=attempt, channel=ChannelId("y"))
    used(w, attempt, "y")
    assert live(w) == 2
    w.tell(ev.LineEnded, channel=ChannelId("y"), cause=19)
    assert live(w) == 1, "they hear the offer of a callback now"
    w.hangs_up(attempt)
    assert live(w) == 0


def test_the_order_that_was_never_carried_out_does_not_count_for_ever() -> None:
    w = forwarding(trunk(channels_max=5))
    attempt = w.arrives(7)
    on = on_trunk(attempt)
    w.later(IN_FLIGHT_S - 1.0).tell(ev.PbxListed, asked_at=w.at, channels=(on,))
    assert forward_of(attempt) in w.floor._state.legs
    listed(w, on)
    assert live(w) == 1


def test_who_cannot_be_forwarded_for_lack_of_room_is_offered_a_callback() -> None:
    w = forwarding(trunk(channels_max=1))
    attempt = w.arrives(7)
    assert w.look(SendToOverflow) == [SendToOverflow(attempt=attempt, place="callback")]
    assert w.call(attempt).ending == "callback"
    assert w.call(attempt).deadline is not None


def test_nor_by_a_trunk_that_may_not_call_or_at_too_many_calls_a_second() -> None:
    barred = forwarding(trunk(destinations=("+44",)))
    barred.arrives(7)
    slow = forwarding(trunk(calls_per_second_max=1.0))
    slow.later(5.0).arrives(7)
    slow.arrives(8)
    places = [[one.place for one in w.look(SendToOverflow)] for w in (barred, slow)]
    assert places == [["callback"], ["number", "callback"]]


def test_the_other_number_is_called_by_the_trunk_that_has_room() -> None:
    w = forwarding(trunk(channels_max=1), trunk("u", channels_max=1, priority=200))
    attempt = w.arrives(7)
    assert w.look(SendToOverflow)[0].trunk == "u"
    assert (live(w), live(w, "u")) == (1, 1)
    w.hangs_up(attempt)
    assert (live(w), live(w, "u")) == (0, 0), "the order counted, and with the caller it is void"


def test_who_waited_in_vain_is_forwarded_if_there_is_room_then() -> None:
    rules = Inbound(numbers=("+74950000001",), overflow="number", overflow_number=OTHER, wait_s=30.0)
    for most, place in ((2, "number"), (1, "callback")):
        w = World(
            parked("ann"), leads=0, campaigns=campaign(inbound=rules), trunks=[trunk(channels_max=most)]
        )
        w.tell(ev.AgentOrdered, agent=w.cards[0].id, order="pause")
        attempt = w.arrives(7)
        w.fires(attempt)
        assert [one.place for one in w.look(SendToOverflow)] == [place]
        assert w.call(attempt).ending == place


# -- operators on outside lines -----------------------------------------------------------------


def outside(*names: str, leads: int = 1, trunks: list[Trunk] | None = None, **changes: Any) -> World:
    """Operators who are called on outside lines by ``t``; contacts are called by ``t``, too, if there is no ``u``."""
    found = trunks or [trunk()]
    changes = {"ring_agent": "at_dial", "agent_ring_s": 40.0, **changes}
    w = World(
        *(rung(name) for name in names),
        leads=leads,
        campaigns=campaign(trunk=found[-1].id, **changes),
        trunks=found,
        is_started=False,
    )
    w.tell(ev.OutsideApplied, lines=tuple((f"1{name}", T) for name in names))
    for name in names:
        w.sign_in(name)
    w.later(5.0).tell(ev.CampaignOrdered, campaign=w.campaigns[0].id, order="start")
    return w


def test_an_operator_who_is_called_outside_takes_a_channel_until_it_is_gone() -> None:
    w = outside("ann", trunks=[trunk(channels_max=2)])
    attempt = w.only()
    leg = w.agent("ann").channel
    assert leg is not None
    assert ([one.channel for one in w.rung_legs()], live(w)) == ([leg], 2)
    used(w, leg)
    w.answers(attempt)
    w.leg_answers("ann")
    w.joins(attempt)
    assert live(w) == 2
    w.hangs_up(attempt)
    w.tell(ev.LineEnded, channel=leg, cause=16)
    assert live(w) == 0


def test_for_an_idle_one_a_channel_is_kept() -> None:
    w = outside("ann", leads=3, trunks=[trunk(channels_max=1)], mode="predictive")
    w.tick()
    assert not w.originated(), "nobody could be given to whom we would call"
    w.tell(ev.TrunkApplied, trunk=trunk(channels_max=2))
    w.tick()
    assert len(w.originated()) == 1


def test_and_one_of_the_server() -> None:
    north = ServerId("north")
    for most, placed in ((1, 0), (2, 1)):
        w = World(
            rung("ann"), leads=3, campaigns=campaign(ring_agent="at_dial"), trunks=[trunk()], is_started=False
        )
        w.tell(ev.ServersApplied, servers=(ev.Server(id=north, channels_max=most),))
        w.tell(ev.PbxConnected, server=north)
        w.tell(ev.OutsideApplied, lines=(("1ann", T),))
        w.tell(ev.FeatureDialed, channel=ChannelId("x"), phone="1ann", code="40", server=north)
        w.later(5.0).tell(ev.CampaignOrdered, campaign=w.campaigns[0].id, order="start")
        assert (len(w.originated()), len(w.rung_legs())) == (placed, placed)
        assert w.floor.servers[north].live == 2 * placed


def test_who_has_no_channel_is_not_idle_and_misses_nothing() -> None:
    w = World(
        rung("ann"),
        leads=0,
        campaigns=campaign(inbound=Inbound(numbers=("+74950000001",), wait_s=60.0)),
        trunks=[trunk(channels_max=1), trunk("u")],
    )
    w.tell(ev.OutsideApplied, lines=(("1ann", T),))
    used(w, "x")
    attempt = w.arrives(7, trunk="u")
    w.tick()
    agent = w.agent("ann")
    assert (agent.state, agent.missed) == (AgentState.READY, 0)
    assert not w.rung_legs()
    assert w.call(attempt).state is CallState.ANSWERED
    w.tell(ev.LineEnded, channel=ChannelId("x"), cause=16)
    assert [one.attempt for one in w.rung_legs()] == [attempt]


def test_nobody_is_called_for_one_who_cannot_be_rung() -> None:
    w = outside("ann", trunks=[trunk(), trunk("u")], leads=3, ring_agent="at_answer")
    w.tell(ev.TrunkChanged, trunk=T, is_up=False)
    w.hangs_up(w.only(), cause=17, sip=486)
    w.tick()
    assert len(w.originated()) == 1
    w.tell(ev.TrunkChanged, trunk=T, is_up=True)
    assert len(w.originated()) == 2


def test_to_ring_waits_for_the_calls_per_second_and_goes_first() -> None:
    w = outside("ann", leads=3, trunks=[trunk(calls_per_second_max=1.0)])
    assert (w.state("ann"), w.rung_legs()) == (AgentState.RESERVED, [])
    w.tick(1.0)
    assert len(w.rung_legs()) == 1
    assert len(w.originated()) == 1, "the operator goes first"


def test_a_ring_that_nobody_wants_any_more_is_not_sent_and_frees_its_channel() -> None:
    w = outside("ann", trunks=[trunk(calls_per_second_max=1.0)])
    w.hangs_up(w.only(), cause=17, sip=486)
    assert live(w) <= 1
    w.tick(1.0)
    assert (w.rung_legs(), live(w)) == ([], 0)
    assert w.live(CallState.DIALING) == []


def test_an_operator_who_rang_in_counts_as_any_channel() -> None:
    w = World(parked("ann"), leads=0, is_started=False)
    used(w, "line-of-ann")
    w.sign_in("ann")
    assert live(w) == 1
    w.tell(ev.LineEnded, channel=ChannelId("line-of-ann"), cause=16)
    assert (live(w), w.state("ann")) == (0, AgentState.SIGNED_OUT)
