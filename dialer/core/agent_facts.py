"""Facts of one operator, as :mod:`dialer.core.agent` takes them: the floor's own words for what happened.

An operator's phone is ``free``, ``in_use`` (by somebody else's call, never by our own leg) or ``lost`` (it has
no registration). For a *parked* operator ``in_use`` says nothing, for the line is a use of the phone; but a
phone that is lost may have left a dead line behind, and so it counts for them too.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from dialer.core.ids import ONLY, AttemptId, ChannelId, ServerId

Phone = Literal["free", "in_use", "lost"]
"""How an operator's phone stands."""

PHONE_LOST = "phone_lost"
"""The reason of the pause of an operator whose phone lost its registration."""
PHONE_IN_USE = "phone_in_use"
"""The reason of the pause of an operator whose phone is in another call."""
MISSED = "no_answer"
"""The reason of the pause of an operator who did not pick up."""
OF_THE_PHONE = frozenset({PHONE_LOST, PHONE_IN_USE})
"""Pauses that the phone makes and ends."""
OWN_REASONS = OF_THE_PHONE | {MISSED}
"""Reasons that nobody may give for a pause: they end by themselves."""


class SignInAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The operator dialed the sign-in code; *channel* is the line that they stay on, if parked."""

    at: float
    channel: ChannelId
    server: ServerId = ONLY
    """Where the code was dialed: their line, or their phone, is there."""


class SignOutAsked(msgspec.Struct, frozen=True, kw_only=True):
    at: float


class PauseAsked(msgspec.Struct, frozen=True, kw_only=True):
    at: float
    reason: str


class ReadyAsked(msgspec.Struct, frozen=True, kw_only=True):
    at: float


class PhoneLost(msgspec.Struct, frozen=True, kw_only=True):
    """The phone's registration was lost."""

    at: float


class PhoneBusy(msgspec.Struct, frozen=True, kw_only=True):
    """The phone is registered, and in a call that is none of ours, or rings for one."""

    at: float


class PhoneFree(msgspec.Struct, frozen=True, kw_only=True):
    """The phone is registered, and in no such call."""

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


class CallMoved(msgspec.Struct, frozen=True, kw_only=True):
    """The call that the agent is promised to goes on as another *attempt*, by another trunk."""

    at: float
    attempt: AttemptId


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """The person is in the agent's bridge."""

    at: float


class CallOver(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's call ended, connected or not. *wrap_up_s*: the wrap-up ends after so long at the latest."""

    at: float
    wrap_up_s: float


class CardClosed(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the last call was given, and the campaign says that this ends the wrap-up."""

    at: float


class RulesChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The centre's rules on pauses are others from now on."""

    at: float


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's own deadline has truly passed (the floor has checked)."""

    at: float


Fact = (
    SignInAsked
    | SignOutAsked
    | PauseAsked
    | ReadyAsked
    | PhoneLost
    | PhoneBusy
    | PhoneFree
    | LegUp
    | LineUp
    | LineDown
    | Reserved
    | CallMoved
    | Joined
    | CallOver
    | CardClosed
    | RulesChanged
    | Expired
)
FACTS: tuple[type, ...] = get_args(Fact)
