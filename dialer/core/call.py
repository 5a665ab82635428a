"""One attempt: a transition table and a step function.

====================  ======================================================================
state                 what it means
====================  ======================================================================
``dialing``           saved, and the originate is on its way or at the network
``ringing``           the person's phone rings
``answered``          the person waits for an operator (held: with music), at most until the deadline
``connecting``        the join was sent
``connected``         person and operator talk; only the end matters now
``ending``            we hung up (or gave the person to the last word) and wait for the channel to go
``ended``             the result stands; nothing changes it any more
====================  ======================================================================

Facts come late, twice, in the wrong order, or never. So :data:`TABLE` names a cell for every
pair of state and fact, ``stay`` included, and each waiting state has a deadline.

Rules that cells hold:

1. An answer that crosses our cancel is an answer: the person heard silence (abandoned).
2. A person who was never joined is abandoned, and counted so, whoever hung up; but who it was is told
   apart (``hung_up``: the person themselves).
3. An ended call has a result, and keeps it.
4. The originate is ordered once, by whoever made the call; no cell orders one.
5. A person waits for an operator no longer than ``wait_s`` from the answer on, however often an
   operator was promised and lost; except while an operator's phone rings for them, which the
   campaign's ``agent_ring_s`` limits. Then the campaign's ``no_agent`` says what happens. A join that
   nobody confirmed may have happened all the same, so the person is not offered to another operator
   but gets the last word, which ends it either way.
6. A person who is held (``answered``, with ``held_at``) waits with music, once, and no longer than
   ``hold_s``; then comes the last word. Whoever loses an operator who was promised to them is put back.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from dialer.core import results
from dialer.core.commands import AnyCommand, HangUp, HoldContact, JoinAgent, SendToLastWord
from dialer.core.events import (
    Connected,
    ContactAnswered,
    ContactHungUp,
    ContactRang,
    JoinRefused,
    OriginateRefused,
)
from dialer.core.ids import AgentId, BridgeId, ChannelId, hold_bridge
from dialer.core.values import Call, CallState, Campaign, Result

JOIN_S = 5.0
"""A join that was not confirmed in this time has failed."""
HANG_UP_S = 5.0
"""A channel that did not go in this time is hung up again."""
LAST_WORD_S = 120.0
"""The dialplan's last word takes no longer than this."""


class AgentReserved(msgspec.Struct, frozen=True, kw_only=True):
    """The floor found an agent for the call. *bridge*: the agent's line, once it is up."""

    at: float
    agent: AgentId
    bridge: BridgeId | None
    ring_s: float = 0.0
    """With no bridge yet: the agent's phone is rung at most so long."""


class AgentLeft(msgspec.Struct, frozen=True, kw_only=True):
    """The line of the call's agent is gone."""

    at: float


class EndAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The operator (or a supervisor) ends the call. *why*: kept in ``Call.ending``."""

    at: float
    why: str


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """The call's own deadline has truly passed (the floor has checked)."""

    at: float


class LeftToDialplan(msgspec.Struct, frozen=True, kw_only=True):
    """The person is in the dialplan's hands, without our doing: it says its last word."""

    at: float


Fact = (
    OriginateRefused
    | ContactRang
    | ContactAnswered
    | AgentReserved
    | AgentLeft
    | Connected
    | JoinRefused
    | EndAsked
    | Expired
    | LeftToDialplan
    | ContactHungUp
)
FACTS: tuple[type, ...] = (
    OriginateRefused,
    ContactRang,
    ContactAnswered,
    AgentReserved,
    AgentLeft,
    Connected,
    JoinRefused,
    EndAsked,
    Expired,
    LeftToDialplan,
    ContactHungUp,
)

_NO_AGENT = "no_agent"

Step = tuple[Call, list[AnyCommand]]
Cell = Callable[..., Step]


def step(call: Call, fact: Fact, campaign: Campaign) -> Step:
    """The call after *fact*, and what is to be done. Never fails: the table is total."""
    return TABLE[call.state, type(fact)](call, fact, campaign)


def channel_of(call: Call) -> ChannelId:
    """The person's channel: the attempt's own id."""
    return ChannelId(call.attempt)


def _to(call: Call, state: CallState, deadline: float | None, **changes: object) -> Call:
    return msgspec.structs.replace(call, state=state, deadline=deadline, **changes)


def _stay(call: Call, fact: Fact, campaign: Campaign) -> Step:
    return call, []


def _refused(call: Call, fact: OriginateRefused, campaign: Campaign) -> Step:
    return _to(call, CallState.ENDED, None, ended_at=fact.at, result=Result.FAILED, ending=fact.reason), []


def _refused_too_late(call: Call, fact: OriginateRefused, campaign: Campaign) -> Step:
    """We gave up first. Unless the channel has been heard of, there is none whose end could be told."""
    if call.rang_at is not None or call.answered_at is not None:
        return call, []
    return _refused(call, fact, campaign)


def _rang(call: Call, fact: ContactRang, campaign: Campaign) -> Step:
    return _to(call, CallState.RINGING, call.deadline, rang_at=fact.at), []


def _answered(call: Call, fact: ContactAnswered, campaign: Campaign) -> Step:
    return _to(call, CallState.ANSWERED, fact.at + campaign.wait_s, answered_at=fact.at), []


def _answered_too_late(call: Call, fact: ContactAnswered, campaign: Campaign) -> Step:
    if call.answered_at is None:
        return msgspec.structs.replace(call, answered_at=fact.at), [HangUp(channel=channel_of(call))]
    if call.ending == _NO_AGENT:  # sent there before the channel was ours to send
        return call, [SendToLastWord(attempt=call.attempt)]
    return call, []


def _reserve_early(call: Call, fact: AgentReserved, campaign: Campaign) -> Step:
    return msgspec.structs.replace(call, agent=fact.agent), []


def _join(call: Call, fact: AgentReserved, campaign: Campaign) -> Step:
    if fact.bridge is None:
        return _to(call, CallState.ANSWERED, fact.at + fact.ring_s, agent=fact.agent), []
    call = _to(call, CallState.CONNECTING, fact.at + JOIN_S, agent=fact.agent)
    is_held = call.held_at is not None
    return call, [JoinAgent(attempt=call.attempt, agent=fact.agent, bridge=fact.bridge, is_held=is_held)]


def _agent_forgotten(call: Call, fact: AgentLeft, campaign: Campaign) -> Step:
    return msgspec.structs.replace(call, agent=None), []


def _wait_again(call: Call, fact: AgentLeft | JoinRefused, campaign: Campaign) -> Step:
    """Without its agent, the person waits on; the limit counts from the answer all the same.

    Who was held is put back: the join may have taken them out of the music.
    """
    assert call.answered_at is not None
    is_held = call.held_at is not None
    limit = call.held_at + campaign.hold_s if call.held_at is not None else call.answered_at + campaign.wait_s
    if fact.at >= limit:
        return _waited_long(call, fact, campaign)
    call = _to(call, CallState.ANSWERED, limit, agent=None)
    return call, [hold_command(call, campaign, fact.at)] if is_held else []


def _waited_long(call: Call, fact: Expired | AgentLeft | JoinRefused, campaign: Campaign) -> Step:
    """No operator in time: what the campaign wants, and at the end of the music the last word."""
    if call.held_at is not None or campaign.no_agent == "last_word":
        return _last_word(call, fact, campaign)
    if campaign.no_agent == "hang_up":
        return _hang_up(call, fact.at, _NO_AGENT)
    call = _to(call, CallState.ANSWERED, fact.at + campaign.hold_s, agent=None, held_at=fact.at)
    return call, [hold_command(call, campaign, fact.at)]


def hold_command(call: Call, campaign: Campaign, at: float) -> HoldContact:
    """The order that puts the person of a held *call* (back) to the music. What they are told is the floor's."""
    left = max(0.0, call.deadline - at) if call.deadline is not None else 0.0
    # A phone that is rung for them at the very end may ring its time.
    hold_s = left + campaign.agent_ring_s
    return HoldContact(attempt=call.attempt, bridge=hold_bridge(call.campaign), hold_s=hold_s)


def _connected(call: Call, fact: Connected, campaign: Campaign) -> Step:
    return _to(call, CallState.CONNECTED, None, connected_at=fact.at), []


def _end(why: str) -> Cell:
    def cell(call: Call, fact: Fact, campaign: Campaign) -> Step:
        return _hang_up(call, fact.at, why)

    return cell


def _end_asked(call: Call, fact: EndAsked, campaign: Campaign) -> Step:
    return _hang_up(call, fact.at, fact.why)


def _hang_up(call: Call, at: float, why: str) -> Step:
    return _to(call, CallState.ENDING, at + HANG_UP_S, ending=why), [HangUp(channel=channel_of(call))]


def _hang_up_again(call: Call, fact: Expired, campaign: Campaign) -> Step:
    return _to(call, CallState.ENDING, fact.at + HANG_UP_S), [HangUp(channel=channel_of(call))]


def _last_word(call: Call, fact: Expired | AgentLeft | JoinRefused, campaign: Campaign) -> Step:
    call = _to(call, CallState.ENDING, fact.at + LAST_WORD_S, ending=_NO_AGENT)
    return call, [SendToLastWord(attempt=call.attempt)]


def _left(call: Call, fact: LeftToDialplan, campaign: Campaign) -> Step:
    """Should they come to us after all, they are sent back (:func:`_answered_too_late`)."""
    return _to(call, CallState.ENDING, fact.at + LAST_WORD_S, ending=_NO_AGENT), []


def _gone(call: Call, fact: ContactHungUp, campaign: Campaign) -> Step:
    result = results.classify(call, fact.cause, fact.tech_cause)
    call = _to(
        call,
        CallState.ENDED,
        None,
        ended_at=fact.at,
        result=result,
        cause=fact.cause,
        tech_cause=fact.tech_cause,
    )
    return call, []


_S = CallState
TABLE: dict[tuple[CallState, type], Cell] = {
    # -- dialing ------------------------------------------------------------------------
    (_S.DIALING, OriginateRefused): _refused,
    (_S.DIALING, ContactRang): _rang,
    (_S.DIALING, ContactAnswered): _answered,
    (_S.DIALING, AgentReserved): _reserve_early,
    (_S.DIALING, AgentLeft): _agent_forgotten,
    (_S.DIALING, Connected): _stay,
    (_S.DIALING, JoinRefused): _stay,
    (_S.DIALING, EndAsked): _end_asked,
    (_S.DIALING, Expired): _end("no_answer"),
    (_S.DIALING, LeftToDialplan): _stay,
    (_S.DIALING, ContactHungUp): _gone,
    # -- ringing ------------------------------------------------------------------------
    (_S.RINGING, OriginateRefused): _stay,  # the answer to the request came after its events
    (_S.RINGING, ContactRang): _stay,
    (_S.RINGING, ContactAnswered): _answered,
    (_S.RINGING, AgentReserved): _reserve_early,
    (_S.RINGING, AgentLeft): _agent_forgotten,
    (_S.RINGING, Connected): _stay,
    (_S.RINGING, JoinRefused): _stay,
    (_S.RINGING, EndAsked): _end_asked,
    (_S.RINGING, Expired): _end("no_answer"),
    (_S.RINGING, LeftToDialplan): _stay,
    (_S.RINGING, ContactHungUp): _gone,
    # -- answered -----------------------------------------------------------------------
    (_S.ANSWERED, OriginateRefused): _stay,
    (_S.ANSWERED, ContactRang): _stay,
    (_S.ANSWERED, ContactAnswered): _stay,
    (_S.ANSWERED, AgentReserved): _join,
    (_S.ANSWERED, AgentLeft): _wait_again,
    (_S.ANSWERED, Connected): _stay,
    (_S.ANSWERED, JoinRefused): _stay,
    (_S.ANSWERED, EndAsked): _end_asked,
    (_S.ANSWERED, Expired): _waited_long,
    (_S.ANSWERED, LeftToDialplan): _left,
    (_S.ANSWERED, ContactHungUp): _gone,
    # -- connecting ---------------------------------------------------------------------
    (_S.CONNECTING, OriginateRefused): _stay,
    (_S.CONNECTING, ContactRang): _stay,
    (_S.CONNECTING, ContactAnswered): _stay,
    (_S.CONNECTING, AgentReserved): _stay,
    (_S.CONNECTING, AgentLeft): _wait_again,
    (_S.CONNECTING, Connected): _connected,
    (_S.CONNECTING, JoinRefused): _wait_again,
    (_S.CONNECTING, EndAsked): _end_asked,
    (_S.CONNECTING, Expired): _last_word,
    (_S.CONNECTING, LeftToDialplan): _left,
    (_S.CONNECTING, ContactHungUp): _gone,
    # -- connected ----------------------------------------------------------------------
    (_S.CONNECTED, OriginateRefused): _stay,
    (_S.CONNECTED, ContactRang): _stay,
    (_S.CONNECTED, ContactAnswered): _stay,
    (_S.CONNECTED, AgentReserved): _stay,
    (_S.CONNECTED, AgentLeft): _end("agent_gone"),
    (_S.CONNECTED, Connected): _stay,
    (_S.CONNECTED, JoinRefused): _stay,
    (_S.CONNECTED, EndAsked): _end_asked,
    (_S.CONNECTED, Expired): _stay,
    (_S.CONNECTED, LeftToDialplan): _stay,
    (_S.CONNECTED, ContactHungUp): _gone,
    # -- ending -------------------------------------------------------------------------
    (_S.ENDING, OriginateRefused): _refused_too_late,
    (_S.ENDING, ContactRang): _stay,
    (_S.ENDING, ContactAnswered): _answered_too_late,
    (_S.ENDING, AgentReserved): _stay,
    (_S.ENDING, AgentLeft): _stay,
    (_S.ENDING, Connected): _stay,
    (_S.ENDING, JoinRefused): _stay,
    (_S.ENDING, EndAsked): _stay,
    (_S.ENDING, Expired): _hang_up_again,
    (_S.ENDING, LeftToDialplan): _stay,
    (_S.ENDING, ContactHungUp): _gone,
    # -- ended --------------------------------------------------------------------------
    (_S.ENDED, OriginateRefused): _stay,
    (_S.ENDED, ContactRang): _stay,
    (_S.ENDED, ContactAnswered): _stay,
    (_S.ENDED, AgentReserved): _stay,
    (_S.ENDED, AgentLeft): _stay,
    (_S.ENDED, Connected): _stay,
    (_S.ENDED, JoinRefused): _stay,
    (_S.ENDED, EndAsked): _stay,
    (_S.ENDED, Expired): _stay,
    (_S.ENDED, LeftToDialplan): _stay,
    (_S.ENDED, ContactHungUp): _stay,
}
"""Every pair of state and fact; a test refuses blanks."""
