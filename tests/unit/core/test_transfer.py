"""Hold, transfer and conference on the floor."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core import events as ev
from dialer.core import transfer as transfers
from dialer.core.commands import (
    CloseLine,
    DialThird,
    HangUp,
    HoldContact,
    MoveContact,
    MoveLine,
    OpenLine,
    ReportTransfer,
    RingAgent,
    RingTone,
    SaveTransfer,
    SendToLastWord,
    StopTone,
    Tell,
)
from dialer.core.ids import BridgeId, ChannelId, leg_of, line_bridge, third_of
from dialer.core.transfer_facts import FACTS, Transfer, TransferState
from dialer.core.values import AgentState, CallState, Result
from tests.unit.core.world import World, lead, parked, rung, trunk

S = TransferState
OUT = "+79161234567"
MUSIC = BridgeId("hold-spring")


class Desk(World):
    """anna talks with a person; others are as the test wants them."""

    def __init__(self, *others: Any, anna: Any = parked, **settings: Any) -> None:
        settings = {"transfer_numbers": {"7": OUT}, "ring_agent": "at_dial", **settings}
        super().__init__(anna("anna"), leads=1, **settings)
        self.attempt = next(iter(self.live(CallState.DIALING)))
        self.answers(self.attempt)
        if anna is rung:
            self.leg_answers("anna")
        self.joins(self.attempt)
        assert self.call(self.attempt).state is CallState.CONNECTED
        for card in others:
            self.tell(ev.AgentApplied, agent=card)
            self.cards.append(card)
            self.sign_in(card.id)
        line = self.agent("anna").channel
        assert line is not None
        self.line = line
        self.look()

    @property
    def transfer(self) -> Transfer:
        saved = [one.transfer for one in self.commands if isinstance(one, SaveTransfer)]
        return saved[-1]

    @property
    def third(self) -> ChannelId:
        assert self.transfer.third is not None
        return self.transfer.third

    def key(self, digits: str) -> list[Any]:
        return self.keys("anna", digits)

    def third_answers(self) -> None:
        self.tell(ev.ThirdAnswered, channel=self.third)
        self.tell(ev.LineJoined, channel=self.third, bridge=line_bridge(self.third))

    def person_enters(self, bridge: BridgeId) -> None:
        self.tell(ev.Connected, attempt=self.attempt, bridge=bridge)

    def line_opens(self, name: str) -> None:
        """A parked operator's line is in the bridge that mixes."""
        channel = self.agent(name).channel
        assert channel is not None
        self.tell(ev.LineJoined, channel=channel, bridge=line_bridge(channel))

    def arrives_home(self) -> None:
        self.person_enters(line_bridge(self.line))

    def lists(self, *channels: ev.LiveChannel, connected: bool = True) -> list[Any]:
        if connected:
            self.tell(ev.PbxDisconnected)
            self.tell(ev.PbxConnected, channels=channels)
        return self.look()

    def living(self, channel: str, bridge: str | None) -> ev.LiveChannel:
        return ev.LiveChannel(
            channel=ChannelId(channel),
            is_up=True,
            in_app=True,
            bridge=BridgeId(bridge) if bridge is not None else None,
        )

    def is_alone_with_music(self) -> bool:
        """Where the person is to be by our last order."""
        orders = [
            one
            for one in self.commands
            if isinstance(one, HoldContact | MoveContact) and one.attempt == self.attempt
        ]
        return isinstance(orders[-1], HoldContact)


def test_every_cell_has_a_name() -> None:
    assert set(transfers.TABLE) == {(state, fact) for state in S for fact in FACTS}


# -- hold -----------------------------------------------------------------------------------


def test_hold_gives_music_and_once_more_gives_the_person_back() -> None:
    w = Desk()
    w.key("*55")
    held = w.look()
    assert held == [
        HoldContact(attempt=w.attempt, bridge=MUSIC, hold_s=transfers.HOLD_S, is_told=False),
        Tell(channel=w.line, message="done"),
    ]
    w.key("*55")
    assert w.look() == [MoveContact(attempt=w.attempt, bridge=line_bridge(w.line))]
    w.arrives_home()
    assert (w.transfer.state, w.transfer.outcome) == (S.OVER, "returned")
    assert w.call(w.attempt).state is CallState.CONNECTED
    assert w.state("anna") is AgentState.ON_CALL


def test_the_phones_own_hold_key_does_the_same() -> None:
    w = Desk()
    w.tell(ev.PhoneHeld, channel=w.line, is_held=True)
    w.tell(ev.PhoneHeld, channel=w.line, is_held=True)
    assert w.seen() == ["HoldContact"]
    w.tell(ev.PhoneHeld, channel=w.line, is_held=False)
    assert w.look() == [MoveContact(attempt=w.attempt, bridge=line_bridge(w.line))]


def test_a_late_word_of_the_first_join_does_not_end_a_hold() -> None:
    w = Desk()
    w.key("*55")
    w.arrives_home()
    assert w.transfer.state is S.HELD


def test_who_is_held_too_long_comes_back() -> None:
    w = Desk()
    w.key("*55")
    w.look()
    w.tick(transfers.HOLD_S + 1)
    assert w.look(MoveContact) == [MoveContact(attempt=w.attempt, bridge=line_bridge(w.line))]


def test_an_operator_who_hangs_up_on_hold_leaves_the_person_to_another() -> None:
    w = Desk(parked("boris"))
    w.dial("boris", "421")
    w.key("*55")
    w.look()
    w.line_ends("anna")
    call = w.call(w.attempt)
    assert (call.state, call.agent, call.held_at) == (CallState.ANSWERED, None, w.at)
    assert next(one for one in w.look() if isinstance(one, HoldContact)).is_told
    w.dial("boris", "43")
    w.line_opens("boris")
    w.joins(w.attempt)
    call = w.call(w.attempt)
    assert (call.state, call.agent) == (CallState.CONNECTED, "boris")
    w.hangs_up(w.attempt)
    assert w.call(w.attempt).result is Result.TALKED


def test_with_nobody_at_work_they_hear_the_last_word() -> None:
    w = Desk()
    w.key("*55")
    w.look()
    w.line_ends("anna")
    assert w.look(SendToLastWord) == [SendToLastWord(attempt=w.attempt)]
    w.hangs_up(w.attempt)
    assert w.is_quiet()


# -- blind ----------------------------------------------------------------------------------


@pytest.fixture
def with_boris() -> Desk:
    return Desk(parked("boris"))


def extension(w: Desk, name: str, digits: str) -> None:
    """World's extensions have letters, which nobody can key."""
    w.floor._state.by_phone[digits] = w.card(name).id


def test_blind_to_a_parked_colleague_who_takes_over(with_boris: Desk) -> None:
    w = with_boris
    extension(w, "boris", "102")
    line = w.agent("boris").channel
    assert line is not None
    w.key("*50102#")
    assert w.look() == [
        HoldContact(attempt=w.attempt, bridge=MUSIC, hold_s=transfers.HOLD_S, is_told=False),
        RingTone(channel=w.line),
        OpenLine(channel=line, bridge=line_bridge(line), is_mixed=True),
    ]
    assert w.state("boris") is AgentState.RESERVED
    w.tell(ev.LineJoined, channel=line, bridge=line_bridge(line))
    assert w.look() == [
        Tell(channel=line, message="call"),
        StopTone(channel=w.line),
        MoveContact(attempt=w.attempt, bridge=line_bridge(line)),
    ]
    w.person_enters(line_bridge(line))
    assert w.call(w.attempt).agent == "boris"
    assert w.state("boris") is AgentState.ON_CALL
    assert w.state("anna") is AgentState.WRAP_UP
    assert (w.transfer.outcome, w.transfer.colleague) == ("completed", "boris")
    w.hangs_up(w.attempt)
    assert w.state("boris") is AgentState.WRAP_UP


def test_the_result_is_the_colleagues_from_then_on(with_boris: Desk) -> None:
    w = with_boris
    extension(w, "boris", "102")
    w.key("*50102#")
    w.line_opens("boris")
    w.person_enters(line_bridge(w.agent("boris").channel or ChannelId("")))
    w.look()
    w.key("*442")
    assert w.look(Tell)[-1].message == "refused"
    w.keys("boris", "*442")
    assert w.call(w.attempt).operator_result == "presentation"


def test_a_result_keyed_after_that_does_not_change_an_earlier_call(with_boris: Desk) -> None:
    w = with_boris
    extension(w, "boris", "102")
    w.dial("boris", "421")
    w.key("*441")
    w.store.add(lead(2))
    w.tell(ev.LeadsAdded, campaign=w.campaigns[0].id)
    w.hangs_up(w.attempt)
    w.tick(20.0)
    second = w.talks()
    assert w.call(second).agent == "anna"
    w.dial("boris", "43")
    w.key("*50102#")
    w.line_opens("boris")
    w.tell(ev.Connected, attempt=second, bridge=line_bridge(w.agent("boris").channel or ChannelId("")))
    assert w.call(second).agent == "boris"
    w.key("*442")
    assert w.look(Tell)[-1].message == "refused"
    assert w.call(w.attempt).operator_result == "order"


def test_blind_to_a_rung_colleague_and_what_becomes_of_an_empty_chair() -> None:
    w = Desk(rung("boris"))
    extension(w, "boris", "102")
    w.key("*50102#")
    leg = leg_of(w.attempt, w.card("boris").id)
    assert [one.channel for one in w.look(RingAgent)] == [leg]
    w.tick(16.0)
    assert w.look(MoveContact) == [MoveContact(attempt=w.attempt, bridge=line_bridge(w.line))]
    assert (w.state("boris"), w.agent("boris").reason) == (AgentState.PAUSED, "no_answer")
    w.arrives_home()
    assert w.transfer.outcome == "failed"
    assert w.state("anna") is AgentState.ON_CALL


def test_a_rung_colleague_picks_up_and_takes_over() -> None:
    w = Desk(rung("boris"))
    extension(w, "boris", "102")
    w.key("*50102#")
    w.leg_answers("boris")
    assert w.look(MoveContact)[-1].bridge == line_bridge(leg_of(w.attempt, w.card("boris").id))
    w.person_enters(line_bridge(leg_of(w.attempt, w.card("boris").id)))
    assert (w.call(w.attempt).agent, w.state("boris")) == ("boris", AgentState.ON_CALL)
    w.line_ends("boris")
    assert w.call(w.attempt).ending == "agent_gone"


@pytest.mark.parametrize("how", ["signed out", "paused", "oneself", "in a call"])
def test_who_is_not_there_is_not_called_and_the_conversation_goes_on(how: str) -> None:
    w = Desk(parked("boris"))
    extension(w, "boris", "102")
    if how == "signed out":
        w.dial("boris", "41")
    elif how == "paused":
        w.dial("boris", "421")
    elif how == "oneself":
        extension(w, "anna", "102")
    else:
        w.store.add(lead(2))
        w.tell(ev.LeadsAdded, campaign=w.campaigns[0].id)
        w.tick()
        w.talks()
        assert w.state("boris") is AgentState.ON_CALL
    w.look()
    w.key("*50102#")
    assert w.look() == [Tell(channel=w.line, message="refused")]
    assert w.state("anna") is AgentState.ON_CALL
    assert not [one for one in w.commands if isinstance(one, SaveTransfer)]


def test_blind_to_a_number_from_outside() -> None:
    w = Desk()
    w.key("*507#")
    third = third_of(w.attempt, 1)
    assert w.look() == [
        HoldContact(attempt=w.attempt, bridge=MUSIC, hold_s=transfers.HOLD_S, is_told=False),
        RingTone(channel=w.line),
        DialThird(
            channel=third,
            attempt=w.attempt,
            campaign=w.campaigns[0].id,
            trunk=w.trunks[0].id,
            number=OUT,
            caller_id="",
            ring_s=transfers.RING_S,
        ),
    ]
    assert w.floor.trunks[w.trunks[0].id].live == 2
    w.third_answers()
    assert w.look(MoveContact) == [MoveContact(attempt=w.attempt, bridge=line_bridge(third))]
    w.person_enters(line_bridge(third))
    assert w.transfer.state is S.HANDED
    assert w.state("anna") is AgentState.WRAP_UP
    assert w.call(w.attempt).state is CallState.CONNECTED
    w.key("*441")  # the result of what they handed over is theirs
    assert w.call(w.attempt).operator_result is not None
    w.tick(20.0)
    assert w.state("anna") is AgentState.READY
    w.look()
    w.tell(ev.LineEnded, channel=third)
    assert HangUp(channel=ChannelId(w.attempt)) in w.look()
    w.hangs_up(w.attempt, 16)
    assert w.call(w.attempt).result is Result.TALKED
    assert w.state("anna") is AgentState.READY
    assert w.floor.trunks[w.trunks[0].id].live == 0
    assert w.is_quiet()


def test_a_person_who_ends_a_handed_call_ends_the_third_party_too() -> None:
    w = Desk()
    w.key("*507#")
    w.third_answers()
    w.person_enters(line_bridge(w.third))
    w.look()
    w.hangs_up(w.attempt)
    assert w.look()[:2] == [HangUp(channel=w.third), CloseLine(bridge=line_bridge(w.third))]
    assert w.transfer.outcome == "completed"


@pytest.mark.parametrize("event", [ev.LineEnded, ev.ThirdRefused])
def test_a_third_party_who_does_not_come_gives_the_person_back(event: Any) -> None:
    w = Desk()
    w.key("*507#")
    w.look()
    more = {"reason": "busy"} if event is ev.ThirdRefused else {"cause": 17}
    w.tell(event, channel=w.third, **more)
    assert MoveContact(attempt=w.attempt, bridge=line_bridge(w.line)) in (seen := w.look())
    assert Tell(channel=w.line, message="refused") in seen
    w.arrives_home()
    assert (w.transfer.state, w.transfer.outcome) == (S.OVER, "failed")
    assert w.floor.trunks[w.trunks[0].id].live == 1


def test_nobody_rings_for_ever() -> None:
    w = Desk()
    w.key("*507#")
    w.look()
    w.tick(transfers.RING_S + 1)
    assert HangUp(channel=w.third) in (seen := w.look())
    assert MoveContact(attempt=w.attempt, bridge=line_bridge(w.line)) in seen


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"trunk": {"channels_max": 1}}, "*507#"),
        ({"trunk": {"forbidden": ("+7916",)}}, "*507#"),
        ({"trunk": {"destinations": ("+7000",)}}, "*507#"),
        ({}, "*5079161234567#"),
        ({}, "*508#"),
        ({}, "*50#"),
    ],
)
def test_what_may_not_be_called_is_refused(changes: dict[str, Any], keys: str) -> None:
    settings = dict(changes)
    carrier = trunk(**settings.pop("trunk", {}))
    w = Desk(trunks=[carrier], **settings)
    w.key(keys)
    assert w.look() == [Tell(channel=w.line, message="refused")]


def test_any_number_where_the_campaign_allows_it() -> None:
    w = Desk(may_transfer_out=True, countries=("+7",))
    w.key("*5079161234568#")
    assert [one.number for one in w.look(DialThird)] == ["+79161234568"]
    other = Desk(may_transfer_out=True, countries=("+7",))
    other.key("*50004420111#")
    other.key("*50004420712345678#")
    assert other.look(DialThird) == []
    assert {one.message for one in other.commands if isinstance(one, Tell)} >= {"refused"}


def test_a_rung_operator_who_hangs_up_while_a_blind_one_rings_has_done_their_part() -> None:
    w = Desk(anna=rung)
    w.key("*507#")
    w.line_ends("anna")
    assert w.state("anna") is AgentState.WRAP_UP
    assert (w.transfer.state, w.is_alone_with_music()) == (S.CALLING, True)
    w.third_answers()
    w.person_enters(line_bridge(w.third))
    assert w.transfer.state is S.HANDED
    assert w.call(w.attempt).state is CallState.CONNECTED


def test_and_if_the_third_party_does_not_come_the_person_waits_for_another() -> None:
    w = Desk(parked("boris"))
    w.dial("boris", "421")
    w.key("*507#")
    w.line_ends("anna")
    w.look()
    w.tell(ev.LineEnded, channel=w.third, cause=17)
    assert w.call(w.attempt).state is CallState.ANSWERED
    assert w.look(HoldContact)[-1].is_told
    w.dial("boris", "43")
    w.line_opens("boris")
    w.joins(w.attempt)
    assert w.call(w.attempt).agent == "boris"
    w.hangs_up(w.attempt)
    w.dial("boris", "43")
    assert w.is_quiet()


# -- consult --------------------------------------------------------------------------------


def consulting(**settings: Any) -> Desk:
    w = Desk(**settings)
    w.key("*517#")
    w.third_answers()
    assert w.transfer.state is S.CONSULTING
    return w


def test_a_consultation_goes_on_on_the_third_partys_line() -> None:
    w = Desk()
    w.key("*517#")
    w.third_answers()
    assert w.look()[-2:] == [
        StopTone(channel=w.line),
        MoveLine(channel=w.line, bridge=line_bridge(w.third)),
    ]
    assert w.is_alone_with_music()


def test_it_is_completed() -> None:
    w = consulting()
    w.look()
    w.key("*52")
    assert w.look() == [
        MoveLine(channel=w.line, bridge=line_bridge(w.line)),
        MoveContact(attempt=w.attempt, bridge=line_bridge(w.third)),
    ]
    w.person_enters(line_bridge(w.third))
    assert (w.transfer.state, w.state("anna")) == (S.HANDED, AgentState.WRAP_UP)


def test_it_becomes_a_conference_which_the_operator_leaves() -> None:
    w = consulting()
    w.look()
    w.key("*53")
    assert w.look() == [MoveContact(attempt=w.attempt, bridge=line_bridge(w.third))]
    w.person_enters(line_bridge(w.third))
    assert w.transfer.is_there
    w.key("*52")
    assert w.look(MoveLine) == [MoveLine(channel=w.line, bridge=line_bridge(w.line))]
    assert (w.transfer.state, w.state("anna")) == (S.HANDED, AgentState.WRAP_UP)


@pytest.mark.parametrize("keys", ["", "*53"])
def test_the_operator_goes_back(keys: str) -> None:
    w = consulting()
    w.key(keys)
    if keys:
        w.person_enters(line_bridge(w.third))
    w.look()
    w.key("*54")
    assert w.look() == [
        MoveLine(channel=w.line, bridge=line_bridge(w.line)),
        MoveContact(attempt=w.attempt, bridge=line_bridge(w.line)),
        HangUp(channel=w.third),
        CloseLine(bridge=line_bridge(w.third)),
    ]
    w.arrives_home()
    assert w.transfer.outcome == "returned"


@pytest.mark.parametrize("keys", ["", "*53"])
def test_a_third_party_who_leaves_leaves_two(keys: str) -> None:
    w = consulting()
    w.key(keys)
    if keys:
        w.person_enters(line_bridge(w.third))
    w.look()
    w.tell(ev.LineEnded, channel=w.third)
    assert MoveContact(attempt=w.attempt, bridge=line_bridge(w.line)) in (seen := w.look())
    assert MoveLine(channel=w.line, bridge=line_bridge(w.line)) in seen


@pytest.mark.parametrize("keys", ["", "*53"])
def test_an_operator_who_leaves_leaves_two(keys: str) -> None:
    w = consulting()
    w.key(keys)
    if keys:
        w.person_enters(line_bridge(w.third))
    w.look()
    w.line_ends("anna")
    if not keys:
        assert MoveContact(attempt=w.attempt, bridge=line_bridge(w.third)) in w.look()
        w.person_enters(line_bridge(w.third))
    assert w.transfer.state is S.HANDED
    assert w.call(w.attempt).state is CallState.CONNECTED


@pytest.mark.parametrize("keys", ["*55", "*507#", "*517#", "*517#!", "*517#!*53", "*517#!*52", "*517#!*54"])
def test_a_person_who_leaves_ends_it_in_every_state(keys: str) -> None:
    w = Desk()
    before, _, after = keys.partition("!")
    w.key(before)
    if "!" in keys:
        w.third_answers()
    w.key(after)
    w.hangs_up(w.attempt)
    assert w.transfer.state is S.OVER
    assert w.state("anna") is AgentState.WRAP_UP
    moves = [one for one in w.commands if isinstance(one, MoveLine)]
    assert not moves or moves[-1].bridge == line_bridge(w.line)
    if w.transfer.third is not None:
        w.tell(ev.LineEnded, channel=w.third, cause=16)
    assert w.is_quiet()


def test_asked_for_the_end_of_the_call_all_ends() -> None:
    w = consulting()
    w.look()
    w.key("*45")
    assert {HangUp(channel=ChannelId(w.attempt)), HangUp(channel=w.third)} <= set(w.look(HangUp))


def test_an_answer_that_crosses_our_cancel_is_hung_up() -> None:
    w = Desk()
    w.key("*517#")
    third = w.third
    w.key("*54")
    w.look()
    w.tell(ev.ThirdAnswered, channel=third)
    assert w.look() == [HangUp(channel=third)]
    w.arrives_home()
    w.tell(ev.ThirdAnswered, channel=third)
    w.tell(ev.LineEnded, channel=third)
    assert w.look() == [HangUp(channel=third)]
    assert w.call(w.attempt).state is CallState.CONNECTED


def test_given_over_before_the_answer() -> None:
    w = Desk()
    w.key("*517#")
    w.key("*52")
    w.look()
    w.third_answers()
    assert w.look(MoveContact) == [MoveContact(attempt=w.attempt, bridge=line_bridge(w.third))]


@pytest.mark.parametrize("keys", ["*52", "*53", "*54"])
def test_without_a_transfer_there_is_nothing_to_complete(keys: str) -> None:
    w = Desk()
    w.key(keys)
    assert w.look() == [Tell(channel=w.line, message="refused")]


def test_a_second_one_while_the_first_lasts_is_refused() -> None:
    w = consulting()
    w.look()
    w.key("*507#")
    assert w.look() == [Tell(channel=w.line, message="refused")]


def test_whoever_is_held_may_be_transferred() -> None:
    w = Desk()
    w.key("*55")
    w.look()
    w.key("*507#")
    assert w.seen() == ["RingTone", "DialThird"]
    assert w.transfer.place == 2


def test_a_way_that_nobody_confirms_has_failed() -> None:
    w = consulting()
    w.key("*52")
    w.look()
    w.tick(transfers.MOVE_S + 1)
    assert MoveContact(attempt=w.attempt, bridge=line_bridge(w.line)) in w.look()
    w.tick(transfers.MOVE_S + 1)
    assert w.call(w.attempt).state is CallState.ANSWERED


def test_a_refused_way_gives_the_person_back() -> None:
    w = consulting()
    w.key("*52")
    w.look()
    w.tell(ev.JoinRefused, attempt=w.attempt, bridge=line_bridge(w.third), reason="gone")
    assert MoveContact(attempt=w.attempt, bridge=line_bridge(w.line)) in w.look()


def test_a_colleague_who_was_asked_and_let_go_is_ready_again() -> None:
    w = Desk(parked("boris"))
    extension(w, "boris", "102")
    w.key("*51102#")
    assert w.state("boris") is AgentState.RESERVED
    w.key("*54")
    assert w.state("boris") is AgentState.READY
    w.arrives_home()
    assert w.call(w.attempt).agent == "anna"


# -- the phone's own buttons ----------------------------------------------------------------


def test_a_blind_refer_is_told_how_it_goes() -> None:
    w = Desk(anna=rung)
    w.tell(ev.PhoneReferred, channel=w.line, to="7")
    assert w.look(ReportTransfer) == [ReportTransfer(channel=w.line, state="progress")]
    w.third_answers()
    w.person_enters(line_bridge(w.third))
    assert w.look(ReportTransfer) == [ReportTransfer(channel=w.line, state="answered")]


def test_a_parked_phone_is_told_no_so_that_it_stays_on_the_line() -> None:
    w = Desk()
    w.tell(ev.PhoneReferred, channel=w.line, to="7")
    w.third_answers()
    w.person_enters(line_bridge(w.third))
    assert w.look(ReportTransfer)[-1] == ReportTransfer(channel=w.line, state="declined")
    assert w.transfer.state is S.HANDED


def test_a_refer_that_fails_and_one_that_comes_twice_and_one_to_nowhere() -> None:
    w = Desk(anna=rung)
    w.tell(ev.PhoneReferred, channel=w.line, to="999")
    assert w.look() == [ReportTransfer(channel=w.line, state="declined")]
    w.tell(ev.PhoneReferred, channel=w.line, to="7")
    w.look()
    w.tell(ev.PhoneReferred, channel=w.line, to="7")
    assert w.look() == [ReportTransfer(channel=w.line, state="declined")]
    w.tell(ev.LineEnded, channel=w.third, cause=17)
    assert ReportTransfer(channel=w.line, state="declined") in w.look()
    w.tell(ev.PhoneReferred, channel=ChannelId("nobodys"), to="7")
    assert w.look() == [ReportTransfer(channel=ChannelId("nobodys"), state="declined")]


def beside(w: Desk) -> ChannelId:
    """anna's phone holds, and calls a number on its second channel."""
    aside = ChannelId("aside")
    w.tell(ev.PhoneHeld, channel=w.line, is_held=True)
    w.tell(ev.PhoneDialed, channel=aside, phone=w.card("anna").phone, number="7")
    w.third_answers()
    return aside


def test_an_attended_refer() -> None:
    w = Desk(anna=rung)
    aside = beside(w)
    assert MoveLine(channel=aside, bridge=line_bridge(w.third)) in w.look()
    w.tell(ev.PhoneReferred, channel=w.line, other=aside)
    assert w.look()[:2] == [
        HangUp(channel=aside),
        MoveContact(attempt=w.attempt, bridge=line_bridge(w.third)),
    ]
    w.person_enters(line_bridge(w.third))
    assert ReportTransfer(channel=w.line, state="answered") in w.look()
    w.tell(ev.LineEnded, channel=aside)
    assert w.transfer.state is S.HANDED


def test_who_hangs_up_the_second_call_is_back_with_the_person() -> None:
    w = Desk(anna=rung)
    aside = beside(w)
    w.look()
    w.tell(ev.LineEnded, channel=aside)
    assert MoveContact(attempt=w.attempt, bridge=line_bridge(w.line)) in (seen := w.look())
    assert HangUp(channel=w.third) in seen


def test_a_phone_may_call_nobody_but_in_a_conversation() -> None:
    w = Desk(parked("boris"))
    w.tell(ev.PhoneDialed, channel=ChannelId("b2"), phone=w.card("boris").phone, number="7")
    assert w.seen() == ["Dismiss"]


# -- a new engine, a cut socket -------------------------------------------------------------


def test_what_is_in_order_is_left_alone_after_a_cut() -> None:
    w = consulting()
    w.look()
    third_line = line_bridge(w.third)
    seen = w.lists(w.living(w.attempt, MUSIC), w.living(w.line, third_line), w.living(w.third, third_line))
    assert seen == []
    assert w.transfer.state is S.CONSULTING


def test_whoever_is_astray_is_brought_where_they_belong() -> None:
    w = consulting()
    w.look()
    home, there = line_bridge(w.line), line_bridge(w.third)
    seen = w.lists(w.living(w.attempt, home), w.living(w.line, home), w.living(w.third, there))
    assert [one for one in seen if isinstance(one, MoveLine | HoldContact)] == [
        MoveLine(channel=w.line, bridge=there),
        HoldContact(attempt=w.attempt, bridge=MUSIC, hold_s=transfers.HOLD_S, is_told=False),
    ]


def test_a_third_party_who_left_meanwhile() -> None:
    w = consulting()
    w.look()
    seen = w.lists(w.living(w.attempt, MUSIC), w.living(w.line, None))
    assert MoveContact(attempt=w.attempt, bridge=line_bridge(w.line)) in seen


def test_a_person_who_arrived_meanwhile() -> None:
    w = consulting()
    w.key("*52")
    there = line_bridge(w.third)
    w.later(60.0)
    w.lists(w.living(w.attempt, there), w.living(w.line, line_bridge(w.line)), w.living(w.third, there))
    assert w.transfer.state is S.HANDED


def test_a_way_that_was_lost_is_gone_again() -> None:
    w = consulting()
    w.key("*52")
    w.look()
    there = line_bridge(w.third)
    w.later(60.0)
    seen = w.lists(
        w.living(w.attempt, MUSIC), w.living(w.line, line_bridge(w.line)), w.living(w.third, there)
    )
    assert MoveContact(attempt=w.attempt, bridge=there) in seen
    w.tick(1.0)
    assert w.transfer.state is S.HANDING


def test_a_third_party_nobody_wants_is_hung_up() -> None:
    w = Desk()
    w.look()
    stray = third_of(w.attempt, 5)
    seen = w.lists(
        w.living(w.attempt, line_bridge(w.line)),
        w.living(w.line, line_bridge(w.line)),
        w.living(stray, None),
    )
    assert seen == [HangUp(channel=stray)]


def test_an_originate_that_was_never_sent_is_not_sent_again() -> None:
    w = Desk()
    w.key("*507#")
    w.look()
    here = (w.living(w.attempt, MUSIC), w.living(w.line, line_bridge(w.line)))
    assert w.lists(*here) == []
    w.later(16.0)
    seen = w.lists(*here)
    assert not [one for one in seen if isinstance(one, DialThird)]
    assert MoveContact(attempt=w.attempt, bridge=line_bridge(w.line)) in seen


def test_a_new_engine_takes_a_transfer_up() -> None:
    w = consulting()
    new = World(parked("anna"), trunks=w.trunks, campaigns=w.campaigns, is_started=False)
    new.floor.restore(
        agents=[w.agent("anna")],
        calls=[(w.call(w.attempt), lead(1))],
        transfers=(w.transfer,),
    )
    there = line_bridge(w.third)
    new.tell(
        ev.PbxConnected,
        channels=(
            w.living(w.attempt, MUSIC),
            w.living(w.line, there),
            w.living(w.third, there),
        ),
    )
    assert new.seen() == []
    assert new.floor.trunks[w.trunks[0].id].live == 2
    new.keys("anna", "*54")
    assert HangUp(channel=w.third) in new.look()
