"""Faults that lie between two parts of the floor: a trunk and a caller, a transfer and a dead server, and their like."""

from __future__ import annotations

from typing import Any

import msgspec

from dialer.core import events as ev
from dialer.core.commands import DialThird, HangUp, HoldContact, SaveTransfer
from dialer.core.events import LiveChannel, Server
from dialer.core.ids import AttemptId, ChannelId, LeadId, TrunkId, line_bridge
from dialer.core.incoming import Inbound
from dialer.core.transfer_facts import TransferState
from dialer.core.values import CallState, Result
from tests.unit.core.test_floor_servers import SPRING, A, B, Twins
from tests.unit.core.test_transfer import Desk
from tests.unit.core.world import World, campaign, parked, trunk

INBOUND = Inbound(numbers=("+74950000001",))


# -- a call that would go on by another trunk, and the person calls us ------------------------


def cut_off_while_dialing() -> tuple[World, Any]:
    """A call whose trunk died, which is being ended by us, and would go on by another one."""
    w = World(
        parked("ann"),
        parked("bob"),
        leads=1,
        campaigns=campaign(trunks=("u",), inbound=INBOUND),
        trunks=[trunk("t"), trunk("u", priority=200)],
    )
    ours = w.only()
    w.tell(ev.TrunkChanged, trunk=TrunkId("t"), is_up=False)
    assert w.call(ours).state is CallState.ENDING
    return w, ours


def test_who_calls_us_before_our_call_goes_on_is_not_rung_by_another_trunk() -> None:
    w, ours = cut_off_while_dialing()
    theirs = w.arrives(1)
    w.joins(theirs)
    w.hangs_up(ours, cause=16)
    assert len(w.originated()) == 1
    assert w.call(ours).result is not Result.REROUTED


def test_nor_are_they_when_their_own_call_is_over_by_then() -> None:
    w, ours = cut_off_while_dialing()
    theirs = w.arrives(1)
    w.joins(theirs)
    w.hangs_up(theirs, cause=16)
    w.hangs_up(ours, cause=16)
    assert len(w.originated()) == 1
    assert LeadId(1) in w.store.finished


def test_without_them_it_goes_on() -> None:
    w, ours = cut_off_while_dialing()
    w.hangs_up(ours, cause=16)
    assert [one.trunk for one in w.originated()] == ["t", "u"]


# -- a conversation that was handed over, and its server is lost ------------------------------


def test_who_was_handed_over_goes_on_talking_when_the_server_was_only_cut_off() -> None:
    w = Twins(parked("g1"), leads=1, campaigns=campaign(transfer_numbers={"7": "+79161234567"}))
    w.comes("g1", A)
    (call,) = w.on(A)
    w.answers(call.attempt)
    w.joins(call.attempt)
    w.keys("g1", "*507#")
    third = [one.transfer for one in w.commands if isinstance(one, SaveTransfer)][-1].third
    assert third is not None
    w.tell(ev.ThirdAnswered, channel=third)
    w.tell(ev.LineJoined, channel=third, bridge=line_bridge(third))
    w.tell(ev.Connected, attempt=call.attempt, bridge=line_bridge(third))
    transfer = [one.transfer for one in w.commands if isinstance(one, SaveTransfer)][-1]
    assert transfer.state is TransferState.HANDED
    w.tell(ev.PbxDisconnected, server=A)
    w.tell(ev.PbxLost, server=A)
    w.look()
    living = tuple(
        LiveChannel(channel=ChannelId(one), is_up=True, in_app=True, bridge=line_bridge(third))
        for one in (call.attempt, third)
    )
    w.tell(ev.PbxConnected, server=A, channels=living)
    assert not [one for one in w.look() if isinstance(one, HangUp)]
    w.tell(ev.PbxDisconnected, server=A)
    w.tell(ev.PbxConnected, server=A, channels=living[1:])
    assert [one for one in w.look() if isinstance(one, HangUp)] == [HangUp(channel=third)]


# -- third parties and trunks -----------------------------------------------------------------


def test_a_trunk_that_is_applied_anew_counts_third_parties_on_it() -> None:
    """The engine was started while it was removed."""
    w = Desk()
    w.key("*507#")
    w.third_answers()
    w.person_enters(line_bridge(w.third))
    again = World(
        parked("anna"), leads=1, is_started=False, trunks=[trunk("u")], transfer_numbers={"7": "+1"}
    )
    again.floor.restore(calls=[(w.call(w.attempt), w.store.lead(LeadId(1)))], transfers=(w.transfer,))
    again.tell(ev.TrunkApplied, trunk=trunk("t"))
    assert again.floor.trunks[TrunkId("t")].live == 2
    again.tell(ev.ContactHungUp, attempt=w.attempt, cause=16)
    assert again.floor.trunks[TrunkId("t")].live == 1, "let go, and not gone yet"
    again.tell(ev.LineEnded, channel=w.third, cause=16)
    assert again.floor.trunks[TrunkId("t")].live == 0


def test_third_parties_have_room_on_their_server_or_are_not_called() -> None:
    w = Twins(
        parked("g1"),
        leads=1,
        campaigns=campaign(transfer_numbers={"7": "+79161234567"}),
        caps={A: {"channels_max": 1}},
    )
    w.comes("g1", A)
    (call,) = w.on(A)
    w.answers(call.attempt)
    w.joins(call.attempt)
    w.keys("g1", "*507#")
    assert not [one for one in w.commands if isinstance(one, DialThird)]
    w.tell(ev.ServersApplied, servers=(Server(id=A, channels_max=2), Server(id=B)))
    w.keys("g1", "*507#")
    (third,) = [one for one in w.commands if isinstance(one, DialThird)]
    assert w.floor.servers[A].live == 2
    w.tell(ev.LineEnded, channel=third.channel, cause=17)
    assert w.floor.servers[A].live == 1


def test_a_third_party_may_probe_a_trunk_and_then_it_is_back() -> None:
    w = Desk(parked("bob"), ring_agent="at_answer")
    desk = w.floor.trunks[TrunkId("t")]
    for number in range(5):
        desk.judged(AttemptId(f"a{number}"), w.at, is_carried=False)
    w.later(20.0)
    w.key("*517#")
    assert desk.probe == w.third
    assert not desk.lines(w.at)
    w.third_answers()
    assert desk.state() == "up"


def test_a_third_party_of_whom_nobody_knows_how_they_ended_leaves_the_probing_to_the_next() -> None:
    w = Desk()
    desk = w.floor.trunks[TrunkId("t")]
    for number in range(5):
        desk.judged(AttemptId(f"a{number}"), w.at, is_carried=False)
    w.later(20.0)
    w.key("*517#")
    w.tell(ev.LineEnded, channel=w.third)
    assert desk.state() == "resting"
    assert desk.lines(w.at) == 1


# -- callers and servers ----------------------------------------------------------------------


def test_each_server_keeps_its_part_of_the_reserve() -> None:
    """A caller is served where they came in."""
    section = Inbound(numbers=("+74950000001",), reserve_share=0.25)
    w = Twins(*(parked(f"g{n}") for n in range(8)), leads=20, campaigns=campaign(inbound=section))
    for n, server in enumerate(
        (A, B, A, A, A, B, B, B)
    ):  # each time one more is kept, the last to come is on b
        w.later(1.0)
        w.comes(f"g{n}", server)
    assert w.placed() == {"a": 3, "b": 3}


def test_who_waits_is_told_their_place_on_their_server() -> None:
    w = Twins(parked("g1"), parked("g2"), leads=2, campaigns=campaign(inbound=INBOUND))
    w.tell(ev.CampaignOrdered, campaign=SPRING, order="pause")
    for name, server in (("g1", A), ("g2", B)):
        w.comes(name, server)
        w.keys(name, "*421")
    for number, server in ((1, A), (2, B)):
        w.arrives(number, server=server)
    assert [one.place for one in w.commands if isinstance(one, HoldContact)] == [1, 1]


def test_a_full_queue_on_one_server_is_not_full_on_the_other() -> None:
    """Those who wait there are not ahead of anybody here."""
    section = msgspec.structs.replace(INBOUND, queue_max=1)
    w = Twins(parked("g1"), parked("g2"), leads=4, campaigns=campaign(inbound=section))
    w.tell(ev.CampaignOrdered, campaign=SPRING, order="pause")
    for name, server in (("g1", A), ("g2", B)):
        w.comes(name, server)
        w.keys(name, "*421")
    taken = [w.arrives(number, server=server) for number, server in ((1, A), (2, A), (3, B), (4, B))]
    assert [w.call(one).state for one in taken] == [CallState.ANSWERED, CallState.ENDING] * 2


def test_a_caller_whose_server_died_while_they_were_looked_up_is_missed() -> None:
    w = Twins(parked("g1"), leads=1, campaigns=campaign(inbound=INBOUND))
    w.comes("g1", A)
    w.comes("g1", B)
    w.tell(ev.CampaignOrdered, campaign=SPRING, order="pause")
    (ours,) = w.on(A) or w.on(B)
    w.hangs_up(ours.attempt, cause=17)
    w.tell(ev.PbxLost, server=A)
    attempt = w.arrives(1, server=A)
    assert w.call(attempt).result is Result.MISSED
    assert not w.floor.servers[A].live
