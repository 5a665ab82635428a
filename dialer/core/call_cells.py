"""What an attempt's state does with a fact: the cells of the table in :mod:`dialer.core.call`.

Each is a function of the call, the fact and the campaign, and returns the call after it and what is to be done.
Which cell stands where, and why, is told with the table; the rules that are named here stand there too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import msgspec

from dialer.core import results
from dialer.core.call_facts import (
    AgentLeft,
    AgentReserved,
    EndAsked,
    Expired,
    Fact,
    LeftToDialplan,
    LimitPassed,
    OperatorLost,
    TakenOver,
)
from dialer.core.commands import (
    AnyCommand,
    HangUp,
    HoldContact,
    JoinAgent,
    SendToLastWord,
    SendToOverflow,
)
from dialer.core.events import (
    AnnouncementBegan,
    AnswerFound,
    Connected,
    ContactAnswered,
    ContactChose,
    ContactHungUp,
    ContactRang,
    ContactReturned,
    JoinRefused,
    MachineAnswered,
    OriginateRefused,
)
from dialer.core.ids import ChannelId, hold_bridge
from dialer.core.incoming import Overflow
from dialer.core.values import (
    ABANDONED_RESULTS,
    TRUNK_ENDINGS,
    TRUNK_SILENT,
    Call,
    CallState,
    Campaign,
    Result,
)

JOIN_S = 5.0
"""A join that was not confirmed in this time has failed."""
HANG_UP_S = 5.0
"""A channel that did not go in this time is hung up again."""
LAST_WORD_S = 180.0
"""The dialplan's last word, with all that may be chosen there, takes no longer than this."""
MACHINE_S = 120.0
"""A message to a machine takes no longer than this, with the wait for its tone."""
ANNOUNCEMENT_S = 600.0
"""Nor does an announcement with its keys."""
OVERFLOW_S = 420.0
"""Nor what a person who called us and met nobody is offered, a message that they leave included."""

_SILENCE = (18, 408)
"""What Asterisk says of a call to which nobody responds, if it is let (RFC 3261, 8.1.3.1: a timeout is taken for a 408)."""
_NO_AGENT = "no_agent"
_MACHINE = "machine"
_ANNOUNCEMENT = "announcement"
_CLOSED = "closed_"
_PLACES: tuple[Overflow, ...] = get_args(Overflow)
_OVERFLOWS = frozenset({*_PLACES, *(_CLOSED + place for place in _PLACES)})
_WITH_THE_DIALPLAN = frozenset({_NO_AGENT, _MACHINE, _ANNOUNCEMENT}) | _OVERFLOWS
"""The endings in which the dialplan speaks with the person, and nobody is hung up on."""

Step = tuple[Call, list[AnyCommand]]
Cell = Callable[..., Step]


def is_abandoned(call: Call, campaign: Campaign, at: float) -> bool:
    """Whether it is certain now, and was not before, that the call is abandoned (rule 7)."""
    if call.answered_at is None or call.abandoned_at is not None or campaign.mode == "announcement":
        return False
    if call.direction == "in":
        return False
    limit = call.answered_at + campaign.pacing.abandonment.limit_s
    if call.connected_at is not None:
        return call.connected_at > limit
    if call.state in (CallState.ENDING, CallState.ENDED):
        return call.ending not in (_MACHINE, _ANNOUNCEMENT)
    return call.agent is None and at >= limit


def may_return(call: Call) -> bool:
    """Whether the dialplan may have the person of a live *call*, and give them back to us."""
    if call.state is CallState.ENDING:
        return call.ending in _WITH_THE_DIALPLAN
    return call.state in (CallState.DIALING, CallState.RINGING)


def channel_of(call: Call) -> ChannelId:
    """The person's channel: the attempt's own id."""
    return ChannelId(call.attempt)


def _to(call: Call, state: CallState, deadline: float | None, **changes: object) -> Call:
    return msgspec.structs.replace(call, state=state, deadline=deadline, **changes)


def stay(call: Call, fact: Fact, campaign: Campaign) -> Step:
    return call, []


def refused(call: Call, fact: OriginateRefused, campaign: Campaign) -> Step:
    return _to(call, CallState.ENDED, None, ended_at=fact.at, result=Result.FAILED, ending=fact.reason), []


def refused_too_late(call: Call, fact: OriginateRefused, campaign: Campaign) -> Step:
    """We gave up first. Unless the channel has been heard of, there is none whose end could be told."""
    if call.rang_at is not None or call.answered_at is not None or call.ending == _MACHINE:
        return call, []
    return refused(call, fact, campaign)


def rang(call: Call, fact: ContactRang, campaign: Campaign) -> Step:
    return _to(call, CallState.RINGING, call.deadline, rang_at=fact.at), []


def rang_too_late(call: Call, fact: ContactRang, campaign: Campaign) -> Step:
    """We gave up first. But who was rung is not to be rung again by another trunk."""
    if call.ending not in TRUNK_ENDINGS or call.rang_at is not None:
        return call, []
    return msgspec.structs.replace(call, rang_at=fact.at), []


def answered(call: Call, fact: ContactAnswered, campaign: Campaign) -> Step:
    """While it was listened who they are, the person waited already."""
    answered_at = max(call.created_at, fact.at - fact.listened_s)
    deadline = max(fact.at, answered_at + campaign.wait_s)
    listened_s = fact.listened_s or None
    return _to(call, CallState.ANSWERED, deadline, answered_at=answered_at, listened_s=listened_s), []


def answered_too_late(call: Call, fact: ContactAnswered, campaign: Campaign) -> Step:
    if call.ending in (_MACHINE, _ANNOUNCEMENT):
        return call, []
    if call.answered_at is None:
        return msgspec.structs.replace(call, answered_at=fact.at), [HangUp(channel=channel_of(call))]
    if call.ending == _NO_AGENT:  # sent there before the channel was ours to send
        return call, [SendToLastWord(attempt=call.attempt)]
    return call, [overflow_command(call)] if call.ending in _OVERFLOWS else []


def reserve_early(call: Call, fact: AgentReserved, campaign: Campaign) -> Step:
    return msgspec.structs.replace(call, agent=fact.agent), []


def join(call: Call, fact: AgentReserved, campaign: Campaign) -> Step:
    if fact.bridge is None:
        return _to(call, CallState.ANSWERED, fact.at + fact.ring_s, agent=fact.agent), []
    call = _to(call, CallState.CONNECTING, fact.at + JOIN_S, agent=fact.agent)
    is_held = call.held_at is not None
    return call, [JoinAgent(attempt=call.attempt, agent=fact.agent, bridge=fact.bridge, is_held=is_held)]


def agent_forgotten(call: Call, fact: AgentLeft, campaign: Campaign) -> Step:
    return msgspec.structs.replace(call, agent=None), []


def wait_again(call: Call, fact: AgentLeft | JoinRefused, campaign: Campaign) -> Step:
    """Without its agent, the person waits on; the limit counts from the answer all the same.

    Who was held is put back: the join may have taken them out of the music.
    """
    assert call.answered_at is not None
    is_held = call.held_at is not None
    limit = call.held_at + campaign.hold_s if call.held_at is not None else call.answered_at + campaign.wait_s
    if fact.at >= limit:
        return waited_long(call, fact, campaign)
    call = _to(call, CallState.ANSWERED, limit, agent=None)
    return call, [hold_command(call, campaign, fact.at)] if is_held else []


def waited_long(call: Call, fact: Expired | AgentLeft | JoinRefused, campaign: Campaign) -> Step:
    """No operator in time: what the campaign wants, and at the end of the music the last word."""
    if call.held_at is not None or campaign.no_agent == "last_word":
        return last_word(call, fact, campaign)
    if campaign.no_agent == "hang_up":
        return _hang_up(call, fact.at, _NO_AGENT)
    call = _to(call, CallState.ANSWERED, fact.at + campaign.hold_s, agent=None, held_at=fact.at)
    return call, [hold_command(call, campaign, fact.at)]


def hold_command(call: Call, campaign: Campaign, at: float) -> HoldContact:
    """The order that puts the person of a held *call* (back) to the music. What they are told is the floor's."""
    left = max(0.0, call.deadline - at) if call.deadline is not None else 0.0
    # A phone that is rung for them at the very end may ring its time.
    hold_s = left + campaign.agent_ring_s
    return HoldContact(
        attempt=call.attempt, bridge=hold_bridge(call.campaign), hold_s=hold_s, campaign=call.campaign
    )


def connected(call: Call, fact: Connected, campaign: Campaign) -> Step:
    """The conversation began when the first operator was there."""
    return _to(call, CallState.CONNECTED, None, connected_at=call.connected_at or fact.at), []


def taken_over(call: Call, fact: TakenOver, campaign: Campaign) -> Step:
    """The conversation goes on with another operator, whose call it is from now on."""
    return msgspec.structs.replace(call, agent=fact.agent), []


def operator_lost(call: Call, fact: OperatorLost, campaign: Campaign) -> Step:
    """Nobody talks with them any more: they wait for another operator, with music, or hear the last word."""
    if not fact.may_wait:
        return last_word(msgspec.structs.replace(call, agent=None), fact, campaign)
    call = _to(call, CallState.ANSWERED, fact.at + campaign.hold_s, agent=None, held_at=fact.at)
    return call, [hold_command(call, campaign, fact.at)]


def end(why: str) -> Cell:
    def cell(call: Call, fact: Fact, campaign: Campaign) -> Step:
        return _hang_up(call, fact.at, why)

    return cell


def end_asked(call: Call, fact: EndAsked, campaign: Campaign) -> Step:
    return _hang_up(call, fact.at, fact.why)


def _hang_up(call: Call, at: float, why: str) -> Step:
    return _to(call, CallState.ENDING, at + HANG_UP_S, ending=why), [HangUp(channel=channel_of(call))]


def hang_up_again(call: Call, fact: Expired, campaign: Campaign) -> Step:
    return _to(call, CallState.ENDING, fact.at + HANG_UP_S), [HangUp(channel=channel_of(call))]


def last_word(call: Call, fact: Expired | AgentLeft | JoinRefused | OperatorLost, campaign: Campaign) -> Step:
    if call.direction == "in":
        call = overflown(call, fact.at, campaign.inbound.overflow)
        return call, [overflow_command(call)]
    call = _to(call, CallState.ENDING, fact.at + LAST_WORD_S, ending=_NO_AGENT)
    return call, [SendToLastWord(attempt=call.attempt)]


def overflown(call: Call, at: float, place: Overflow, *, is_closed: bool = False) -> Call:
    """The person who called us is the dialplan's from *at* on. Who talks with another number does so as long as they like."""
    deadline = None if place == "number" else at + OVERFLOW_S
    return _to(call, CallState.ENDING, deadline, ending=(_CLOSED if is_closed else "") + place, agent=None)


def overflow_command(call: Call) -> SendToOverflow:
    """The order for a call that is :func:`overflown`."""
    is_closed = call.ending.startswith(_CLOSED)
    place = next(one for one in _PLACES if call.ending.removeprefix(_CLOSED) == one)
    return SendToOverflow(attempt=call.attempt, place=place, is_closed=is_closed)


def left(call: Call, fact: LeftToDialplan, campaign: Campaign) -> Step:
    """Should they come to us after all, they are sent back (:func:`answered_too_late`)."""
    if call.direction == "in":
        return overflown(call, fact.at, campaign.inbound.overflow), []
    return _to(call, CallState.ENDING, fact.at + LAST_WORD_S, ending=_NO_AGENT), []


def left_again(call: Call, fact: LeftToDialplan, campaign: Campaign) -> Step:
    """They came back, and nobody is there for them: the dialplan has them once more, and time for it."""
    if call.ending not in _WITH_THE_DIALPLAN:
        return call, []
    if call.direction == "in":
        return overflown(call, fact.at, campaign.inbound.overflow), []
    return _to(call, CallState.ENDING, max(call.deadline or 0.0, fact.at + LAST_WORD_S)), []


def past_limit(call: Call, fact: LimitPassed, campaign: Campaign) -> Step:
    if not is_abandoned(call, campaign, fact.at):
        return call, []
    return msgspec.structs.replace(call, abandoned_at=fact.at), []


def machine(call: Call, fact: MachineAnswered, campaign: Campaign) -> Step:
    """The dialplan leaves the message, or hangs up. No person has answered."""
    listened_s = fact.listened_s or None
    call = _to(
        call, CallState.ENDING, fact.at + MACHINE_S, ending=_MACHINE, agent=None, listened_s=listened_s
    )
    return call, []


def announcing(call: Call, fact: AnnouncementBegan, campaign: Campaign) -> Step:
    call = _to(
        call,
        CallState.ENDING,
        fact.at + ANNOUNCEMENT_S,
        ending=_ANNOUNCEMENT,
        answered_at=max(call.created_at, fact.at - fact.listened_s),
        listened_s=fact.listened_s or None,
    )
    return call, []


def returned(call: Call, fact: ContactReturned, campaign: Campaign) -> Step:
    """Of their own choice they wait for an operator, with music. Whom we hung up on meanwhile is on the way out."""
    if not may_return(call):
        return call, []
    answered_at, abandoned_at = call.answered_at, call.abandoned_at
    if answered_at is None:  # nobody had heard of the answer; that nobody was there in time, they have
        answered_at, abandoned_at = fact.at, fact.at if campaign.mode != "announcement" else None
    call = _to(
        call,
        CallState.ANSWERED,
        fact.at + campaign.hold_s,
        answered_at=answered_at,
        abandoned_at=abandoned_at,
        held_at=fact.at,
        ending="",
        agent=None,
    )
    return call, [hold_command(call, campaign, fact.at)]


def chose(call: Call, fact: ContactChose, campaign: Campaign) -> Step:
    due = fact.due if fact.choice == "later" else None
    if due is None:
        return msgspec.structs.replace(call, choice=fact.choice), []
    return msgspec.structs.replace(call, choice=fact.choice, callback_at=due, callback_agent=None), []


def chose_unheard(call: Call, fact: ContactChose, campaign: Campaign) -> Step:
    """Who makes a choice has answered, and is with the dialplan."""
    call, _ = chose(call, fact, campaign)
    return _with_the_dialplan(call, fact.at, fact.at, campaign), []


def answer_found(call: Call, fact: AnswerFound, campaign: Campaign) -> Step:
    """They heard what the dialplan says, and are gone: their channel is missing, and ends the call."""
    return _with_the_dialplan(call, fact.at, _when_found(call, fact), campaign), []


def answer_found_too_late(call: Call, fact: AnswerFound, campaign: Campaign) -> Step:
    """It crossed our hang-up (rule 1), perhaps one that was never sent."""
    if call.answered_at is not None or call.ending == _MACHINE:
        return call, []
    return msgspec.structs.replace(call, answered_at=_when_found(call, fact)), []


def _when_found(call: Call, fact: AnswerFound) -> float:
    """A file's time is not ours: within the call it is."""
    return min(max(fact.answered_at, call.rang_at or call.created_at), fact.at)


def _with_the_dialplan(call: Call, at: float, answered_at: float, campaign: Campaign) -> Call:
    """The person answered, nobody here had heard of it, and the dialplan took them."""
    is_announced = campaign.mode == "announcement"
    ending, time_s = (_ANNOUNCEMENT, ANNOUNCEMENT_S) if is_announced else (_NO_AGENT, LAST_WORD_S)
    return _to(call, CallState.ENDING, at + time_s, ending=ending, answered_at=answered_at)


def gone(call: Call, fact: ContactHungUp, campaign: Campaign) -> Step:
    result = results.classify(call, fact.cause, fact.tech_cause)
    is_unheard = call.answered_at is None and result in ABANDONED_RESULTS
    causes: tuple[int | None, int | None] = (fact.cause, fact.tech_cause)
    if call.ending == TRUNK_SILENT and call.rang_at is None and not fact.tech_cause:
        causes = _SILENCE
    call = _to(
        call,
        CallState.ENDED,
        None,
        ended_at=fact.at,
        # They answered and were gone before we heard of it; when exactly, nobody says any more.
        answered_at=fact.at if is_unheard else call.answered_at,
        result=result,
        cause=causes[0],
        tech_cause=causes[1],
    )
    return call, []
