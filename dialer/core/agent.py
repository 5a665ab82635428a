"""One operator: a transition table and a step function.

====================  ======================================================================
state                 what it means
====================  ======================================================================
``signed_out``        not at work
``arriving``          a parked operator's line is being put into its bridge
``ready``             may be given a person
``reserved``          promised to a call that is not connected yet
``on_call``           talks with a person
``wrap_up``           the call is over, the card is being finished
``paused``            away, for a reason
====================  ======================================================================

The state follows the phone. A *parked* operator's line (``channel``, in its own bridge) lasts from
sign-in to sign-out: when it drops, the operator is signed out. A *rung* operator's line is a leg
that lives for one call: when it drops in the call, the operator has ended the call; when it was
never picked up, the operator is paused, for a person must not be promised to an empty chair.

A pause or sign-out asked for during a call takes effect when the call is over and wrapped up.
A line that is gone, or that could not be made, is hung up and closed all the same: both are harmless,
and which of the two it was need not be known.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from dialer.core.commands import AnyCommand, CloseLine, HangUp, OpenLine, Tell
from dialer.core.ids import AttemptId, ChannelId, line_bridge
from dialer.core.values import Agent, AgentCard, AgentState

ARRIVE_S = 10.0
"""A line that is not in its bridge after this time is hung up."""
MISSED_REASON = "no_answer"
"""The reason of the pause of an operator who did not pick up."""


class SignInAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The operator dialed the sign-in code; *channel* is the line that they stay on, if parked."""

    at: float
    channel: ChannelId


class SignOutAsked(msgspec.Struct, frozen=True, kw_only=True):
    at: float


class PauseAsked(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    reason: str


class ReadyAsked(msgspec.Struct, frozen=True, kw_only=True):
    at: float


class LegUp(msgspec.Struct, frozen=True, kw_only=True):
    """The phone that we rang was picked up."""

    at: float


class LineUp(msgspec.Struct, frozen=True, kw_only=True):
    """The line is in its bridge."""

    at: float


class LineDown(msgspec.Struct, frozen=True, kw_only=True):
    """The line (the agent's present ``channel``) is gone."""

    at: float


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """The floor promised the agent to a call. *channel*, *ring_s*: the leg to ring, if rung."""

    at: float
    attempt: AttemptId
    channel: ChannelId | None = None
    ring_s: float = 0.0


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """The person is in the agent's bridge."""

    at: float


class CallOver(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's call ended, connected or not. *wrap_up_s*: the campaign's."""

    at: float
    wrap_up_s: float


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's own deadline has truly passed (the floor has checked)."""

    at: float


Fact = (
    SignInAsked
    | SignOutAsked
    | PauseAsked
    | ReadyAsked
    | LegUp
    | LineUp
    | LineDown
    | Reserved
    | Joined
    | CallOver
    | Expired
)
FACTS: tuple[type, ...] = (
    SignInAsked,
    SignOutAsked,
    PauseAsked,
    ReadyAsked,
    LegUp,
    LineUp,
    LineDown,
    Reserved,
    Joined,
    CallOver,
    Expired,
)

Step = tuple[Agent, list[AnyCommand]]
Cell = Callable[..., Step]


def step(agent: Agent, fact: Fact, card: AgentCard) -> Step:
    """The agent after *fact*, and what is to be done. Never fails: the table is total."""
    return TABLE[agent.state, type(fact)](agent, fact, card)


def _to(agent: Agent, state: AgentState, at: float, **changes: object) -> Agent:
    fields: dict[str, object] = {"deadline": None, "reason": "", "attempt": None, **changes}
    return msgspec.structs.replace(agent, state=state, since=at, **fields)


def _stay(agent: Agent, fact: Fact, card: AgentCard) -> Step:
    return agent, []


def _sign_in(agent: Agent, fact: SignInAsked, card: AgentCard) -> Step:
    """A parked operator's new line replaces an old one; a rung operator is ready at once.

    Events come twice: what names the line that we have already is no new sign-in.
    """
    if card.leg == "rung":
        if agent.state is AgentState.READY:
            return agent, []
        return _to(agent, AgentState.READY, fact.at, pause_asked=None, sign_out_asked=False), []
    if fact.channel == agent.channel:
        return agent, []
    commands = _drop_line(agent)
    agent = _to(
        agent,
        AgentState.ARRIVING,
        fact.at,
        channel=fact.channel,
        has_line=False,
        deadline=fact.at + ARRIVE_S,
        pause_asked=None,
        sign_out_asked=False,
    )
    return agent, [*commands, OpenLine(channel=fact.channel, bridge=line_bridge(fact.channel))]


def _sign_in_in_call(agent: Agent, fact: SignInAsked, card: AgentCard) -> Step:
    """A parked operator changed phones (the floor tells the call); a rung one is signed in already."""
    if card.leg == "parked":
        return _sign_in(agent, fact, card)
    return msgspec.structs.replace(agent, pause_asked=None, sign_out_asked=False), []


def _drop_line(agent: Agent) -> list[AnyCommand]:
    if agent.channel is None:
        return []
    return [HangUp(channel=agent.channel), CloseLine(bridge=line_bridge(agent.channel))]


def _let_leg_go(agent: Agent) -> Step:
    """A rung operator's leg has served its call; the operator is where they were."""
    return msgspec.structs.replace(agent, channel=None, has_line=False), _drop_line(agent)


def _sign_out(agent: Agent, fact: Fact, card: AgentCard) -> Step:
    commands = _drop_line(agent)
    agent = _to(
        agent,
        AgentState.SIGNED_OUT,
        fact.at,
        channel=None,
        has_line=False,
        pause_asked=None,
        sign_out_asked=False,
    )
    return agent, commands


def _sign_out_later(agent: Agent, fact: SignOutAsked, card: AgentCard) -> Step:
    return msgspec.structs.replace(agent, sign_out_asked=True), []


def _pause(agent: Agent, fact: PauseAsked, card: AgentCard) -> Step:
    return _to(agent, AgentState.PAUSED, fact.at, reason=fact.reason, pause_asked=None), []


def _pause_later(agent: Agent, fact: PauseAsked, card: AgentCard) -> Step:
    return msgspec.structs.replace(agent, pause_asked=fact.reason), []


def _never_mind(agent: Agent, fact: ReadyAsked, card: AgentCard) -> Step:
    """Ready, said during a call, takes back a pause or sign-out that was asked for."""
    return msgspec.structs.replace(agent, pause_asked=None, sign_out_asked=False), []


def _ready(agent: Agent, fact: Fact, card: AgentCard) -> Step:
    return _to(agent, AgentState.READY, fact.at, pause_asked=None, sign_out_asked=False), []


def _free(agent: Agent, fact: Fact, card: AgentCard) -> Step:
    """Free again, unless something else was asked for meanwhile."""
    if agent.sign_out_asked:
        return _sign_out(agent, fact, card)
    if agent.pause_asked is not None:
        return _to(agent, AgentState.PAUSED, fact.at, reason=agent.pause_asked, pause_asked=None), []
    return _to(agent, AgentState.READY, fact.at), []


def _arrived(agent: Agent, fact: LineUp, card: AgentCard) -> Step:
    assert agent.channel is not None
    agent, commands = _free(msgspec.structs.replace(agent, has_line=True), fact, card)
    if agent.channel is None:
        return agent, commands
    return agent, [*commands, Tell(channel=agent.channel, message="signed_in")]


def _reserve(agent: Agent, fact: Reserved, card: AgentCard) -> Step:
    if fact.channel is None:
        return _to(agent, AgentState.RESERVED, fact.at, attempt=fact.attempt), []
    agent = _to(
        agent,
        AgentState.RESERVED,
        fact.at,
        attempt=fact.attempt,
        channel=fact.channel,
        has_line=False,
        deadline=fact.at + fact.ring_s,
    )
    return agent, []


def _picked_up(agent: Agent, fact: LegUp, card: AgentCard) -> Step:
    assert agent.channel is not None
    return agent, [OpenLine(channel=agent.channel, bridge=line_bridge(agent.channel))]


def _line_up(agent: Agent, fact: LineUp, card: AgentCard) -> Step:
    return msgspec.structs.replace(agent, has_line=True, deadline=None), []


def _promise_lost(agent: Agent, fact: LineDown, card: AgentCard) -> Step:
    """Parked: signed out. Rung and promised to a call: paused, for nobody is at the phone."""
    if card.leg == "parked":
        return _sign_out(agent, fact, card)
    return _missed(agent, fact, card)


def _missed(agent: Agent, fact: Fact, card: AgentCard) -> Step:
    agent, commands = _let_leg_go(agent)
    if agent.sign_out_asked:
        agent, more = _sign_out(agent, fact, card)
        return agent, [*commands, *more]
    return _to(agent, AgentState.PAUSED, fact.at, reason=MISSED_REASON, pause_asked=None), commands


def _reservation_late(agent: Agent, fact: Expired, card: AgentCard) -> Step:
    return (agent, []) if agent.has_line else _missed(agent, fact, card)


def _on_call(agent: Agent, fact: Joined, card: AgentCard) -> Step:
    return _to(agent, AgentState.ON_CALL, fact.at, attempt=agent.attempt, last_attempt=agent.attempt), []


def _released(agent: Agent, fact: CallOver, card: AgentCard) -> Step:
    """The call ended before it was connected."""
    commands: list[AnyCommand] = []
    if card.leg == "rung":
        agent, commands = _let_leg_go(agent)
    agent, more = _free(agent, fact, card)
    return agent, [*commands, *more]


def _wrap_up(agent: Agent, fact: CallOver, card: AgentCard) -> Step:
    commands: list[AnyCommand] = []
    if card.leg == "rung":
        agent, commands = _let_leg_go(agent)
    elif agent.channel is not None:
        commands = [Tell(channel=agent.channel, message="call_over")]
    if fact.wrap_up_s <= 0:
        agent, more = _free(agent, fact, card)
        return agent, [*commands, *more]
    return _to(agent, AgentState.WRAP_UP, fact.at, deadline=fact.at + fact.wrap_up_s), commands


def _line_lost(agent: Agent, fact: LineDown, card: AgentCard) -> Step:
    """Parked: signed out. Rung: the leg is no longer needed, or its end ends the call (the floor's doing)."""
    if card.leg == "parked":
        return _sign_out(agent, fact, card)
    return _let_leg_go(agent)


_S = AgentState
TABLE: dict[tuple[AgentState, type], Cell] = {
    # -- signed out ---------------------------------------------------------------------
    (_S.SIGNED_OUT, SignInAsked): _sign_in,
    (_S.SIGNED_OUT, SignOutAsked): _stay,
    (_S.SIGNED_OUT, PauseAsked): _stay,
    (_S.SIGNED_OUT, ReadyAsked): _stay,
    (_S.SIGNED_OUT, LegUp): _stay,
    (_S.SIGNED_OUT, LineUp): _stay,
    (_S.SIGNED_OUT, LineDown): _stay,
    (_S.SIGNED_OUT, Reserved): _stay,
    (_S.SIGNED_OUT, Joined): _stay,
    (_S.SIGNED_OUT, CallOver): _stay,
    (_S.SIGNED_OUT, Expired): _stay,
    # -- arriving -----------------------------------------------------------------------
    (_S.ARRIVING, SignInAsked): _sign_in,
    (_S.ARRIVING, SignOutAsked): _sign_out,
    (_S.ARRIVING, PauseAsked): _pause_later,
    (_S.ARRIVING, ReadyAsked): _never_mind,
    (_S.ARRIVING, LegUp): _stay,
    (_S.ARRIVING, LineUp): _arrived,
    (_S.ARRIVING, LineDown): _sign_out,
    (_S.ARRIVING, Reserved): _stay,
    (_S.ARRIVING, Joined): _stay,
    (_S.ARRIVING, CallOver): _stay,
    (_S.ARRIVING, Expired): _sign_out,
    # -- ready --------------------------------------------------------------------------
    (_S.READY, SignInAsked): _sign_in,
    (_S.READY, SignOutAsked): _sign_out,
    (_S.READY, PauseAsked): _pause,
    (_S.READY, ReadyAsked): _stay,
    (_S.READY, LegUp): _stay,
    (_S.READY, LineUp): _stay,
    (_S.READY, LineDown): _line_lost,
    (_S.READY, Reserved): _reserve,
    (_S.READY, Joined): _stay,
    (_S.READY, CallOver): _stay,
    (_S.READY, Expired): _stay,
    # -- reserved -----------------------------------------------------------------------
    (_S.RESERVED, SignInAsked): _sign_in_in_call,
    (_S.RESERVED, SignOutAsked): _sign_out_later,
    (_S.RESERVED, PauseAsked): _pause_later,
    (_S.RESERVED, ReadyAsked): _never_mind,
    (_S.RESERVED, LegUp): _picked_up,
    (_S.RESERVED, LineUp): _line_up,
    (_S.RESERVED, LineDown): _promise_lost,
    (_S.RESERVED, Reserved): _stay,
    (_S.RESERVED, Joined): _on_call,
    (_S.RESERVED, CallOver): _released,
    (_S.RESERVED, Expired): _reservation_late,
    # -- on call ------------------------------------------------------------------------
    (_S.ON_CALL, SignInAsked): _sign_in_in_call,
    (_S.ON_CALL, SignOutAsked): _sign_out_later,
    (_S.ON_CALL, PauseAsked): _pause_later,
    (_S.ON_CALL, ReadyAsked): _never_mind,
    (_S.ON_CALL, LegUp): _stay,
    (_S.ON_CALL, LineUp): _stay,
    (_S.ON_CALL, LineDown): _line_lost,
    (_S.ON_CALL, Reserved): _stay,
    (_S.ON_CALL, Joined): _stay,
    (_S.ON_CALL, CallOver): _wrap_up,
    (_S.ON_CALL, Expired): _stay,
    # -- wrap-up ------------------------------------------------------------------------
    (_S.WRAP_UP, SignInAsked): _sign_in,
    (_S.WRAP_UP, SignOutAsked): _sign_out,
    (_S.WRAP_UP, PauseAsked): _pause,
    (_S.WRAP_UP, ReadyAsked): _ready,
    (_S.WRAP_UP, LegUp): _stay,
    (_S.WRAP_UP, LineUp): _stay,
    (_S.WRAP_UP, LineDown): _line_lost,
    (_S.WRAP_UP, Reserved): _stay,
    (_S.WRAP_UP, Joined): _stay,
    (_S.WRAP_UP, CallOver): _stay,
    (_S.WRAP_UP, Expired): _free,
    # -- paused -------------------------------------------------------------------------
    (_S.PAUSED, SignInAsked): _sign_in,
    (_S.PAUSED, SignOutAsked): _sign_out,
    (_S.PAUSED, PauseAsked): _pause,
    (_S.PAUSED, ReadyAsked): _ready,
    (_S.PAUSED, LegUp): _stay,
    (_S.PAUSED, LineUp): _stay,
    (_S.PAUSED, LineDown): _line_lost,
    (_S.PAUSED, Reserved): _stay,
    (_S.PAUSED, Joined): _stay,
    (_S.PAUSED, CallOver): _stay,
    (_S.PAUSED, Expired): _stay,
}
"""Every pair of state and fact; a test refuses blanks."""
