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

The state follows the phone:

1. A *parked* operator's line (``channel``, in its own bridge) lasts from sign-in to sign-out: when it
   drops, the operator is signed out. That the phone is in use is the line itself. When the phone is lost
   the line may be dead and nobody has noticed: a conversation goes on, but a ready operator is paused until
   the phone is back, or a new line or a key on the old one shows that it is there.
2. A *rung* operator's line is a leg that lives for one call: when it drops in the call, the operator
   has ended the call. Between calls the phone alone tells whether anybody could be reached: while it is
   lost or in another call the operator is paused by it, and ready again by itself when the phone is
   back. Nobody who was paused for another reason is made ready by a phone.
3. A phone that was rung and not picked up is a missed call, unless its own state explains it. After
   ``Centre.missed_max`` in a row the operator is paused, for a person must not be promised to an empty
   chair; before that they are ready again (the floor does not ring them for the same person). The row
   is broken by a conversation and by whatever the operator asks for, not by the rest after a pause: of
   a chair that stays empty every rest costs one person, and not a row of them.
4. A pause or sign-out asked for during a call takes effect when the call is over and wrapped up.
5. A pause that is longer than ``Centre.pause_s_max`` ends in a sign-out, but none that the phone made.

A line that is gone, or that could not be made, is hung up and closed all the same: both are harmless,
and which of the two it was need not be known.

The facts are in :mod:`dialer.core.agent_facts`, what each cell does in :mod:`dialer.core.agent_cells`.
"""

from __future__ import annotations

from dialer.core import agent_cells as do
from dialer.core.agent_cells import ARRIVE_S, Cell, Known, Step
from dialer.core.agent_facts import (
    FACTS,
    MISSED,
    OF_THE_PHONE,
    OWN_REASONS,
    PHONE_IN_USE,
    PHONE_LOST,
    CallMoved,
    CallOver,
    CardClosed,
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
from dialer.core.values import Agent, AgentCard, AgentState, Centre

__all__ = [
    "ARRIVE_S",
    "FACTS",
    "MISSED",
    "OF_THE_PHONE",
    "OWN_REASONS",
    "PHONE_IN_USE",
    "PHONE_LOST",
    "TABLE",
    "CallMoved",
    "CallOver",
    "CardClosed",
    "Expired",
    "Fact",
    "Joined",
    "LegUp",
    "LineDown",
    "LineUp",
    "PauseAsked",
    "Phone",
    "PhoneBusy",
    "PhoneFree",
    "PhoneLost",
    "ReadyAsked",
    "Reserved",
    "RulesChanged",
    "SignInAsked",
    "SignOutAsked",
    "Step",
    "step",
]

_CENTRE = Centre()


def step(agent: Agent, fact: Fact, card: AgentCard, centre: Centre = _CENTRE, phone: Phone = "free") -> Step:
    """The agent after *fact*, and what is to be done. Never fails: the table is total.

    *centre*: the rules on pauses and missed calls. *phone*: how the operator's phone stands after *fact*.
    """
    return TABLE[agent.state, type(fact)](agent, fact, Known(card, centre, phone))


_S = AgentState
TABLE: dict[tuple[AgentState, type], Cell] = {
    # -- signed out ----------------------------------------------------------------------
    (_S.SIGNED_OUT, SignInAsked): do.sign_in,
    (_S.SIGNED_OUT, SignOutAsked): do.stay,
    (_S.SIGNED_OUT, PauseAsked): do.stay,
    (_S.SIGNED_OUT, ReadyAsked): do.stay,
    (_S.SIGNED_OUT, PhoneLost): do.stay,
    (_S.SIGNED_OUT, PhoneBusy): do.stay,
    (_S.SIGNED_OUT, PhoneFree): do.stay,
    (_S.SIGNED_OUT, LegUp): do.stay,
    (_S.SIGNED_OUT, LineUp): do.stay,
    (_S.SIGNED_OUT, LineDown): do.stay,
    (_S.SIGNED_OUT, Reserved): do.stay,
    (_S.SIGNED_OUT, CallMoved): do.stay,
    (_S.SIGNED_OUT, Joined): do.stay,
    (_S.SIGNED_OUT, CallOver): do.stay,
    (_S.SIGNED_OUT, CardClosed): do.stay,
    (_S.SIGNED_OUT, RulesChanged): do.stay,
    (_S.SIGNED_OUT, Expired): do.stay,
    # -- arriving ------------------------------------------------------------------------
    (_S.ARRIVING, SignInAsked): do.sign_in,
    (_S.ARRIVING, SignOutAsked): do.sign_out,
    (_S.ARRIVING, PauseAsked): do.pause_later,
    (_S.ARRIVING, ReadyAsked): do.never_mind,
    (_S.ARRIVING, PhoneLost): do.stay,
    (_S.ARRIVING, PhoneBusy): do.stay,
    (_S.ARRIVING, PhoneFree): do.stay,
    (_S.ARRIVING, LegUp): do.stay,
    (_S.ARRIVING, LineUp): do.arrived,
    (_S.ARRIVING, LineDown): do.sign_out,
    (_S.ARRIVING, Reserved): do.stay,
    (_S.ARRIVING, CallMoved): do.stay,
    (_S.ARRIVING, Joined): do.stay,
    (_S.ARRIVING, CallOver): do.stay,
    (_S.ARRIVING, CardClosed): do.stay,
    (_S.ARRIVING, RulesChanged): do.stay,
    (_S.ARRIVING, Expired): do.sign_out,
    # -- ready ---------------------------------------------------------------------------
    (_S.READY, SignInAsked): do.sign_in,
    (_S.READY, SignOutAsked): do.sign_out,
    (_S.READY, PauseAsked): do.pause,
    (_S.READY, ReadyAsked): do.still_here,
    (_S.READY, PhoneLost): do.phone_away,
    (_S.READY, PhoneBusy): do.phone_away,
    (_S.READY, PhoneFree): do.stay,
    (_S.READY, LegUp): do.stay,
    (_S.READY, LineUp): do.stay,
    (_S.READY, LineDown): do.line_lost,
    (_S.READY, Reserved): do.reserve,
    (_S.READY, CallMoved): do.stay,
    (_S.READY, Joined): do.stay,
    (_S.READY, CallOver): do.stay,
    (_S.READY, CardClosed): do.stay,
    (_S.READY, RulesChanged): do.stay,
    (_S.READY, Expired): do.stay,
    # -- reserved ------------------------------------------------------------------------
    (_S.RESERVED, SignInAsked): do.sign_in_in_call,
    (_S.RESERVED, SignOutAsked): do.sign_out_later,
    (_S.RESERVED, PauseAsked): do.pause_later,
    (_S.RESERVED, ReadyAsked): do.never_mind,
    (_S.RESERVED, PhoneLost): do.phone_gone,
    (_S.RESERVED, PhoneBusy): do.stay,
    (_S.RESERVED, PhoneFree): do.stay,
    (_S.RESERVED, LegUp): do.picked_up,
    (_S.RESERVED, LineUp): do.line_up,
    (_S.RESERVED, LineDown): do.promise_lost,
    (_S.RESERVED, Reserved): do.stay,
    (_S.RESERVED, CallMoved): do.moved,
    (_S.RESERVED, Joined): do.on_call,
    (_S.RESERVED, CallOver): do.released,
    (_S.RESERVED, CardClosed): do.stay,
    (_S.RESERVED, RulesChanged): do.stay,
    (_S.RESERVED, Expired): do.reservation_late,
    # -- on call -------------------------------------------------------------------------
    (_S.ON_CALL, SignInAsked): do.sign_in_in_call,
    (_S.ON_CALL, SignOutAsked): do.sign_out_later,
    (_S.ON_CALL, PauseAsked): do.pause_later,
    (_S.ON_CALL, ReadyAsked): do.never_mind,
    (_S.ON_CALL, PhoneLost): do.stay,
    (_S.ON_CALL, PhoneBusy): do.stay,
    (_S.ON_CALL, PhoneFree): do.stay,
    (_S.ON_CALL, LegUp): do.stay,
    (_S.ON_CALL, LineUp): do.stay,
    (_S.ON_CALL, LineDown): do.line_lost,
    (_S.ON_CALL, Reserved): do.stay,
    (_S.ON_CALL, CallMoved): do.stay,
    (_S.ON_CALL, Joined): do.stay,
    (_S.ON_CALL, CallOver): do.wrap_up,
    (_S.ON_CALL, CardClosed): do.stay,
    (_S.ON_CALL, RulesChanged): do.stay,
    (_S.ON_CALL, Expired): do.stay,
    # -- wrap up -------------------------------------------------------------------------
    (_S.WRAP_UP, SignInAsked): do.sign_in,
    (_S.WRAP_UP, SignOutAsked): do.sign_out,
    (_S.WRAP_UP, PauseAsked): do.pause,
    (_S.WRAP_UP, ReadyAsked): do.ready,
    (_S.WRAP_UP, PhoneLost): do.stay,
    (_S.WRAP_UP, PhoneBusy): do.stay,
    (_S.WRAP_UP, PhoneFree): do.stay,
    (_S.WRAP_UP, LegUp): do.stay,
    (_S.WRAP_UP, LineUp): do.stay,
    (_S.WRAP_UP, LineDown): do.line_lost,
    (_S.WRAP_UP, Reserved): do.stay,
    (_S.WRAP_UP, CallMoved): do.stay,
    (_S.WRAP_UP, Joined): do.stay,
    (_S.WRAP_UP, CallOver): do.stay,
    (_S.WRAP_UP, CardClosed): do.free,
    (_S.WRAP_UP, RulesChanged): do.stay,
    (_S.WRAP_UP, Expired): do.free,
    # -- paused --------------------------------------------------------------------------
    (_S.PAUSED, SignInAsked): do.sign_in,
    (_S.PAUSED, SignOutAsked): do.sign_out,
    (_S.PAUSED, PauseAsked): do.pause,
    (_S.PAUSED, ReadyAsked): do.ready,
    (_S.PAUSED, PhoneLost): do.phone_away,
    (_S.PAUSED, PhoneBusy): do.phone_away,
    (_S.PAUSED, PhoneFree): do.phone_back,
    (_S.PAUSED, LegUp): do.stay,
    (_S.PAUSED, LineUp): do.stay,
    (_S.PAUSED, LineDown): do.line_lost,
    (_S.PAUSED, Reserved): do.stay,
    (_S.PAUSED, CallMoved): do.stay,
    (_S.PAUSED, Joined): do.stay,
    (_S.PAUSED, CallOver): do.stay,
    (_S.PAUSED, CardClosed): do.stay,
    (_S.PAUSED, RulesChanged): do.pause_again,
    (_S.PAUSED, Expired): do.pause_over,
}
"""Every pair of state and fact; a test refuses blanks."""
