"""Third parties from outside: by which trunk they are called, whether the call goes on by the next one, and what it tells of the trunk."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core import events as ev
from dialer.core.commands import DialThird, HangUp, MoveContact, SaveTrunkState
from dialer.core.desk import FAILURES_MAX, REST_S
from dialer.core.floor import Floor
from dialer.core.ids import TrunkId, line_bridge, third_of
from dialer.core.values import CampaignState
from tests.unit.core.test_transfer import OUT, Desk, S
from tests.unit.core.world import campaign, trunk

U = TrunkId("u")
REFUSED = {"cause": 34, "tech_cause": 503}
BUSY = {"cause": 17, "tech_cause": 486}


def two(*more: str, **changes: Any) -> Desk:
    """anna talks by ``t``, and has asked for a transfer, to be made by ``t`` too; ``u`` is the next one."""
    names = ("u", *more)
    others = [trunk(one, priority=200 + place, **changes) for place, one in enumerate(names)]
    rules = campaign(trunks=names, transfer_numbers={"7": OUT}, ring_agent="at_dial")
    w = Desk(trunks=[trunk(), *others], campaigns=rules)
    w.key("*507#")
    return w


def ends(w: Desk, **how: Any) -> list[Any]:
    w.tell(ev.LineEnded, channel=w.third, **how)
    return w.look(DialThird)


def state(w: Desk, name: str = "t") -> str:
    return w.floor.trunks[TrunkId(name)].state()


def test_whom_the_trunk_would_not_carry_is_called_by_the_next_in_the_same_transfer() -> None:
    w = two()
    first = w.third
    (again,) = ends(w, **REFUSED)[-1:]
    assert (again.channel, again.trunk, again.number) == (third_of(w.attempt, 1, 1), U, OUT)
    assert (w.transfer.state, w.transfer.place, w.transfer.trunk, w.transfer.tried) == (
        S.CALLING,
        1,
        "u",
        ("t",),
    )
    assert [w.floor.trunks[TrunkId(one)].live for one in "tu"] == [1, 1]
    w.tell(ev.LineEnded, channel=first, **REFUSED)  # late, or twice
    w.third_answers()
    w.person_enters(line_bridge(w.third))
    assert (w.transfer.state, w.transfer.trunk) == (S.HANDED, "u")


def test_asterisk_that_makes_no_channel_is_such_a_fault_too_but_not_a_rule_of_ours() -> None:
    w = two()
    w.tell(ev.ThirdRefused, channel=w.third, reason="Allocation failed")
    assert w.transfer.trunk == "u"
    w.tell(ev.ThirdRefused, channel=w.third, reason="on a do-not-call list", is_ours=True)
    assert (w.transfer.state, w.transfer.outcome) == (S.RETURNING, "failed")


@pytest.mark.parametrize("how", [BUSY, {"cause": 19, "tech_cause": 480}, {"cause": None}, {"cause": 0}])
def test_nothing_else_goes_on(how: dict[str, int | None]) -> None:
    w = two()
    ends(w, **how)
    assert (w.transfer.state, w.transfer.trunk) == (S.RETURNING, "t")
    assert w.floor.trunks[U].live == 0


def test_who_was_rung_is_not_called_again() -> None:
    w = two()
    w.tell(ev.ThirdRang, channel=w.third)
    ends(w, **REFUSED)
    assert w.transfer.state is S.RETURNING


def test_when_no_trunk_is_left_or_has_room_the_person_comes_back() -> None:
    w = two()
    ends(w, **REFUSED)
    ends(w, **REFUSED)
    full = two(channels_max=0)
    ends(full, **REFUSED)
    for one in (w, full):
        assert (one.transfer.state, one.transfer.outcome) == (S.RETURNING, "failed")
        assert MoveContact(attempt=one.attempt, bridge=line_bridge(one.line)) in one.commands


def test_whom_nobody_wants_any_more_is_not_called_by_another() -> None:
    w = two()
    w.key("*54")
    w.look()
    assert not ends(w, **REFUSED)
    assert w.floor.trunks[TrunkId("t")].live == 1


def test_it_tells_of_the_trunk_either_way() -> None:
    w = two()
    for _ in range(FAILURES_MAX):
        ends(w, **REFUSED)  # by t
        ends(w, **BUSY)  # by u
        w.tell(ev.Connected, attempt=w.attempt, bridge=line_bridge(w.line))
        w.key("*507#")
    assert (state(w), state(w, "u")) == ("resting", "up")
    assert w.transfer.trunk == "u"


def test_it_may_be_the_one_probe_of_its_trunk_and_be_lost_with_it() -> None:
    w = two()
    for _ in range(FAILURES_MAX):
        ends(w, **REFUSED)
        ends(w, **BUSY)
        w.tell(ev.Connected, attempt=w.attempt, bridge=line_bridge(w.line))
        w.key("*507#")
    ends(w, **BUSY)
    w.tell(ev.Connected, attempt=w.attempt, bridge=line_bridge(w.line))
    w.later(REST_S)
    w.key("*507#")
    assert (w.transfer.trunk, state(w)) == ("t", "probing")
    assert [one.state for one in w.look(SaveTrunkState)][-1] == "probing"
    assert not w.floor.trunks[TrunkId("t")].room(w.at), "a second probe"
    ends(w, **REFUSED)
    assert (w.transfer.trunk, state(w)) == ("u", "resting")


def test_a_probe_that_is_given_up_leaves_the_probing_to_the_next() -> None:
    w = two()
    w.floor.trunks[TrunkId("t")]._rest_until = w.at
    w.key("*54")
    w.tell(ev.LineEnded, channel=w.third, cause=16)
    w.tell(ev.Connected, attempt=w.attempt, bridge=line_bridge(w.line))
    w.key("*507#")
    assert state(w) == "probing"
    w.key("*54")
    assert state(w) == "probing", "its channel is still there"
    w.tell(ev.LineEnded, channel=w.third, cause=16)
    assert state(w) == "resting"
    assert w.floor.trunks[TrunkId("t")].room(w.at) == 1


def test_who_rings_brings_the_trunk_back() -> None:
    w = two()
    w.key("*54")
    w.tell(ev.LineEnded, channel=w.third, cause=16)
    w.tell(ev.Connected, attempt=w.attempt, bridge=line_bridge(w.line))
    w.floor.trunks[TrunkId("t")]._rest_until = w.at
    w.key("*507#")
    w.tell(ev.ThirdRang, channel=w.third)
    assert state(w) == "up"


def test_of_a_trunk_that_is_dead_the_call_is_ended_and_goes_on() -> None:
    w = two()
    first = w.third
    w.tell(ev.TrunkChanged, trunk=TrunkId("t"), is_up=False)
    assert w.look(HangUp) == [HangUp(channel=first)]
    assert w.transfer.is_trunk_down
    w.tell(ev.LineEnded, channel=first, cause=16)
    assert (w.transfer.state, w.transfer.trunk, w.transfer.is_trunk_down) == (S.CALLING, "u", False)


def test_unless_they_were_rung_at_the_last_moment() -> None:
    w = two()
    w.tell(ev.TrunkChanged, trunk=TrunkId("t"), is_up=False)
    w.tell(ev.ThirdRang, channel=w.third)
    ends(w, cause=16)
    assert w.transfer.state is S.RETURNING


def test_another_engine_knows_what_was_tried() -> None:
    w = two("v")
    ends(w, **REFUSED)
    kept = w.transfer
    w.floor = Floor()
    w.floor.restore(
        campaigns=[(w.campaigns[0], CampaignState.RUNNING)],
        trunks=w.trunks,
        cards=w.cards,
        agents=[w.store.agents[w.cards[0].id]],
        calls=w.store.open(),
        transfers=(kept,),
        at=w.at,
    )
    assert [w.floor.trunks[TrunkId(one)].live for one in "tuv"] == [1, 1, 0]
    w.tell(
        ev.PbxConnected,
        channels=(
            w.living(w.attempt, "hold-spring"),
            w.living(w.line, line_bridge(w.line)),
            ev.LiveChannel(channel=w.third, is_up=False, trunk=U),
        ),
    )
    w.later(1.0)
    ends(w, **REFUSED)
    assert (w.transfer.trunk, w.transfer.third) == ("v", third_of(w.attempt, 1, 2))


def test_a_third_party_who_lives_no_more_is_not_called_again_by_another_engine() -> None:
    """How it ended nobody knows."""
    w = two()
    w.tell(ev.PbxDisconnected)
    w.later(20.0).tell(
        ev.PbxConnected,
        channels=(w.living(w.attempt, "hold-spring"), w.living(w.line, line_bridge(w.line))),
    )
    assert (w.transfer.state, w.transfer.trunk) == (S.RETURNING, "t")
    assert w.floor.trunks[TrunkId("t")].live == 1
