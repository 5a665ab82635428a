"""What an operator's state does with a fact: the cells of the table in :mod:`dialer.core.agent`.

Each is a function of the operator, the fact and what is :class:`Known` besides, and returns the operator
after it and what is to be done. Which cell stands where, and why, is told with the table.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from dialer.core.agent_facts import (
    MISSED,
    OF_THE_PHONE,
    PHONE_IN_USE,
    PHONE_LOST,
    CallMoved,
    CallOver,
    Expired,
    Fact,
    Joined,
    LegUp,
    LineDown,
    LineUp,
    PauseAsked,
    Phone,
    PhoneBusy,
    PhoneFree,
    PhoneLost,
    ReadyAsked,
    Reserved,
    RulesChanged,
    SignInAsked,
    SignOutAsked,
)
from dialer.core.commands import AnyCommand, CloseLine, HangUp, OpenLine, Tell
from dialer.core.ids import line_bridge
from dialer.core.values import Agent, AgentCard, AgentState, Centre

ARRIVE_S = 10.0
"""A line that is not in its bridge after this time is hung up."""


class Known(msgspec.Struct, frozen=True):
    """What a step may look at besides the operator and the fact. *phone*: as it stands after the fact."""

    card: AgentCard
    centre: Centre
    phone: Phone


Step = tuple[Agent, list[AnyCommand]]
Cell = Callable[..., Step]


def _to(agent: Agent, state: AgentState, at: float, **changes: object) -> Agent:
    fields: dict[str, object] = {"deadline": None, "reason": "", "attempt": None, **changes}
    return msgspec.structs.replace(agent, state=state, since=at, **fields)


def stay(agent: Agent, fact: Fact, known: Known) -> Step:
    """Nothing happens."""
    return agent, []


# -- where a line or a call leaves the operator ---------------------------------------------


def _drop_line(agent: Agent) -> list[AnyCommand]:
    if agent.channel is None:
        return []
    return [HangUp(channel=agent.channel), CloseLine(bridge=line_bridge(agent.channel))]


def _let_leg_go(agent: Agent) -> Step:
    """A rung operator's leg has served its call; the operator is where they were."""
    return msgspec.structs.replace(agent, channel=None, has_line=False), _drop_line(agent)


def _away(known: Known) -> str:
    """The reason for which the phone keeps its operator from being ready; empty if it does not.

    A parked operator's line is a use of the phone itself; and one that stands while the phone answers no more
    is a dead line, as long as nobody has noticed.
    """
    if known.phone == "lost":
        return PHONE_LOST
    return PHONE_IN_USE if known.phone == "in_use" and known.card.leg == "rung" else ""


def _paused(agent: Agent, reason: str, at: float, known: Known, **changes: object) -> Agent:
    fields: dict[str, object] = {"reason": reason, "pause_asked": None, **changes}
    agent = _to(agent, AgentState.PAUSED, at, **fields)
    return msgspec.structs.replace(agent, deadline=_pause_due(agent, known.centre))


def _pause_due(agent: Agent, centre: Centre) -> float | None:
    """When the operator's pause ends by itself. One that the phone made ends when the phone is back."""
    if agent.reason in OF_THE_PHONE:
        return None
    if agent.reason == MISSED and centre.missed_rest_s is not None:
        return agent.since + centre.missed_rest_s
    return agent.since + centre.pause_s_max if centre.pause_s_max is not None else None


def _available(agent: Agent, at: float, known: Known, **changes: object) -> Agent:
    """Ready, if the phone is."""
    if reason := _away(known):
        if (agent.state, agent.reason) == (AgentState.PAUSED, reason):
            return msgspec.structs.replace(agent, **changes)
        return _paused(agent, reason, at, known, **changes)
    return _to(agent, AgentState.READY, at, **changes)


def free(agent: Agent, fact: Fact, known: Known) -> Step:
    """Free again, unless something else was asked for meanwhile."""
    if agent.sign_out_asked:
        return sign_out(agent, fact, known)
    if agent.pause_asked is not None:
        return _paused(agent, agent.pause_asked, fact.at, known), []
    return _available(agent, fact.at, known), []


# -- what operators and supervisors ask -----------------------------------------------------


def sign_in(agent: Agent, fact: SignInAsked, known: Known) -> Step:
    """A parked operator's new line replaces an old one; a rung operator is ready at once.

    Events come twice: what names the line that we have already is no new sign-in.
    """
    if known.card.leg == "rung":
        if agent.state is AgentState.READY and agent.server == fact.server:
            return _here(agent), []
        agent = msgspec.structs.replace(agent, server=fact.server)
        return _available(agent, fact.at, known, pause_asked=None, sign_out_asked=False, missed=0), []
    if fact.channel == agent.channel:
        return agent, []
    commands = _drop_line(agent)
    agent = _to(
        agent,
        AgentState.ARRIVING,
        fact.at,
        channel=fact.channel,
        server=fact.server,
        has_line=False,
        deadline=fact.at + ARRIVE_S,
        pause_asked=None,
        sign_out_asked=False,
        missed=0,
    )
    return agent, [*commands, OpenLine(channel=fact.channel, bridge=line_bridge(fact.channel))]


def sign_in_in_call(agent: Agent, fact: SignInAsked, known: Known) -> Step:
    """A parked operator changed phones (the floor tells the call); a rung one is signed in already."""
    if known.card.leg == "parked":
        return sign_in(agent, fact, known)
    return msgspec.structs.replace(agent, pause_asked=None, sign_out_asked=False), []


def _here(agent: Agent) -> Agent:
    """Somebody asked for something, so somebody is there."""
    return msgspec.structs.replace(agent, missed=0) if agent.missed else agent


def sign_out(agent: Agent, fact: Fact, known: Known) -> Step:
    """Nothing is left of the operator's line."""
    commands = _drop_line(agent)
    agent = _to(
        agent,
        AgentState.SIGNED_OUT,
        fact.at,
        channel=None,
        has_line=False,
        pause_asked=None,
        sign_out_asked=False,
        missed=0,
    )
    return agent, commands


def sign_out_later(agent: Agent, fact: SignOutAsked, known: Known) -> Step:
    """When the call is over."""
    return msgspec.structs.replace(agent, sign_out_asked=True), []


def pause(agent: Agent, fact: PauseAsked, known: Known) -> Step:
    """Asked for again, a pause gets no longer by it; with another reason it begins anew."""
    if (agent.state, agent.reason) == (AgentState.PAUSED, fact.reason):
        return agent, []
    return _paused(agent, fact.reason, fact.at, known), []


def pause_later(agent: Agent, fact: PauseAsked, known: Known) -> Step:
    """When the call is over and wrapped up."""
    return msgspec.structs.replace(agent, pause_asked=fact.reason), []


def never_mind(agent: Agent, fact: ReadyAsked, known: Known) -> Step:
    """Ready, said during a call, takes back a pause or sign-out that was asked for."""
    return msgspec.structs.replace(agent, pause_asked=None, sign_out_asked=False), []


def still_here(agent: Agent, fact: ReadyAsked, known: Known) -> Step:
    """Ready, said by one who is: nothing but a sign of life."""
    return _here(agent), []


def ready(agent: Agent, fact: ReadyAsked, known: Known) -> Step:
    """From a pause or the wrap-up."""
    return _available(agent, fact.at, known, pause_asked=None, sign_out_asked=False, missed=0), []


# -- the phone ------------------------------------------------------------------------------


def phone_away(agent: Agent, fact: PhoneLost | PhoneBusy, known: Known) -> Step:
    """Ready no longer; or paused by the phone already, for another reason."""
    reason = PHONE_LOST if isinstance(fact, PhoneLost) else PHONE_IN_USE
    if known.card.leg == "parked" and reason == PHONE_IN_USE:
        return phone_back(agent, fact, known)  # it answers, that is all that matters
    if agent.state is not AgentState.READY and agent.reason not in OF_THE_PHONE:
        return agent, []
    if agent.reason == reason:
        return agent, []
    return _paused(agent, reason, fact.at, known), []


def phone_gone(agent: Agent, fact: PhoneLost, known: Known) -> Step:
    """It is being rung and cannot be: nobody waits for it. Once the line is up, that is the truth."""
    if known.card.leg == "parked" or agent.has_line:
        return agent, []
    return _not_picked_up(agent, fact, known)


def phone_back(agent: Agent, fact: PhoneFree | PhoneBusy | PhoneLost, known: Known) -> Step:
    """A pause that the phone made ends."""
    if agent.reason not in OF_THE_PHONE:
        return agent, []
    return _available(agent, fact.at, known), []


# -- the line ---------------------------------------------------------------------------------


def arrived(agent: Agent, fact: LineUp, known: Known) -> Step:
    """A parked operator's line is in its bridge."""
    assert agent.channel is not None
    agent, commands = free(msgspec.structs.replace(agent, has_line=True), fact, known)
    if agent.channel is None:
        return agent, commands
    return agent, [*commands, Tell(channel=agent.channel, message="signed_in")]


def picked_up(agent: Agent, fact: LegUp, known: Known) -> Step:
    """A rung phone's line is put into its bridge."""
    assert agent.channel is not None
    return agent, [OpenLine(channel=agent.channel, bridge=line_bridge(agent.channel))]


def line_up(agent: Agent, fact: LineUp, known: Known) -> Step:
    """And there it is."""
    return msgspec.structs.replace(agent, has_line=True, deadline=None), []


def line_lost(agent: Agent, fact: LineDown, known: Known) -> Step:
    """Parked: signed out. Rung: the leg is no longer needed, or its end ends the call (the floor's doing)."""
    if known.card.leg == "parked":
        return sign_out(agent, fact, known)
    return _let_leg_go(agent)


# -- a call -----------------------------------------------------------------------------------


def reserve(agent: Agent, fact: Reserved, known: Known) -> Step:
    """Promised to a call."""
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


def moved(agent: Agent, fact: CallMoved, known: Known) -> Step:
    """The promise, and a phone that rings for it, go with the call."""
    return msgspec.structs.replace(agent, attempt=fact.attempt), []


def promise_lost(agent: Agent, fact: LineDown, known: Known) -> Step:
    """Parked: signed out. Rung and promised to a call: nobody is at the phone."""
    if known.card.leg == "parked":
        return sign_out(agent, fact, known)
    return _not_picked_up(agent, fact, known)


def reservation_late(agent: Agent, fact: Expired, known: Known) -> Step:
    """The phone was rung as long as it may be."""
    return (agent, []) if agent.has_line else _not_picked_up(agent, fact, known)


def _not_picked_up(agent: Agent, fact: Fact, known: Known) -> Step:
    """What the phone's own state explains is no missed call; of others so many in a row are one too many."""
    agent, commands = _let_leg_go(agent)
    if agent.sign_out_asked:
        agent, more = sign_out(agent, fact, known)
        return agent, [*commands, *more]
    if not _away(known):
        agent = msgspec.structs.replace(agent, missed=agent.missed + 1)
        if agent.missed >= known.centre.missed_max:
            return _paused(agent, MISSED, fact.at, known), commands
    agent, more = free(agent, fact, known)
    return agent, [*commands, *more]


def on_call(agent: Agent, fact: Joined, known: Known) -> Step:
    """They talk."""
    call = agent.attempt
    return _to(agent, AgentState.ON_CALL, fact.at, attempt=call, last_attempt=call, missed=0), []


def released(agent: Agent, fact: CallOver, known: Known) -> Step:
    """The call ended before it was connected."""
    commands: list[AnyCommand] = []
    if known.card.leg == "rung":
        agent, commands = _let_leg_go(agent)
    agent, more = free(agent, fact, known)
    return agent, [*commands, *more]


def wrap_up(agent: Agent, fact: CallOver, known: Known) -> Step:
    """The conversation is over; the card may be left to finish."""
    commands: list[AnyCommand] = []
    if known.card.leg == "rung":
        agent, commands = _let_leg_go(agent)
    elif agent.channel is not None:
        commands = [Tell(channel=agent.channel, message="call_over")]
    if fact.wrap_up_s <= 0:
        agent, more = free(agent, fact, known)
        return agent, [*commands, *more]
    return _to(agent, AgentState.WRAP_UP, fact.at, deadline=fact.at + fact.wrap_up_s), commands


# -- pauses that end by themselves ------------------------------------------------------------


def pause_over(agent: Agent, fact: Expired, known: Known) -> Step:
    """Ready again after missed calls; signed out after any other pause, for nobody came back from it.

    The rules may have changed since the deadline was set, over a restart too: they are asked again.
    """
    due = _pause_due(agent, known.centre)
    if due is None or fact.at < due:
        return msgspec.structs.replace(agent, deadline=due), []
    if agent.reason == MISSED and known.centre.missed_rest_s is not None:
        return _available(agent, fact.at, known), []
    return sign_out(agent, fact, known)


def pause_again(agent: Agent, fact: RulesChanged, known: Known) -> Step:
    """How long the pause may last, by the new rules, counted from its beginning."""
    return msgspec.structs.replace(agent, deadline=_pause_due(agent, known.centre)), []
