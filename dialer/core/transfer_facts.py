"""What an operator does with a conversation beside talking, as a value; and the facts that change it, as
:mod:`dialer.core.transfer` takes them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, get_args

import msgspec

from dialer.core.ids import AgentId, AttemptId, BridgeId, ChannelId, TrunkId, line_bridge

TransferKind = Literal["hold", "blind", "consult"]
Outcome = Literal["", "completed", "returned", "failed", "left", "ended"]
"""How it ended: the person is with the third party (for good), back with the operator of the operator's own will, back because
there is no third party; left: without an operator, to whom another one is found; ended: the call ended."""


class TransferState(StrEnum):
    """The states of one transfer; see :mod:`dialer.core.transfer`."""

    HELD = "held"
    CALLING = "calling"
    CONSULTING = "consulting"
    CONFERENCE = "conference"
    HANDING = "handing"
    RETURNING = "returning"
    HANDED = "handed"
    OVER = "over"


_WITH_A_THIRD = frozenset(
    {
        TransferState.CALLING,
        TransferState.CONSULTING,
        TransferState.CONFERENCE,
        TransferState.HANDING,
        TransferState.HANDED,
    }
)
_TOGETHER = frozenset({TransferState.CONFERENCE, TransferState.HANDING, TransferState.HANDED})


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """One hold, transfer or conference in the call *attempt*. *place*: which one in the call, from 1 on.

    *agent*: the operator who does it, on the channel *line* (None: they are gone), or, with the third party, on their phone's
    second channel *aside*. *target*: an extension or a number. *third*: the third party's channel, which has a bridge like an
    operator's line; *colleague*: whose line that is, if an operator's; *trunk*: which carries it, if not.
    *refer*: the channel on which the phone asked by REFER, and is told how it went.
    """

    attempt: AttemptId
    place: int
    agent: AgentId
    kind: TransferKind
    state: TransferState
    began_at: float
    target: str = ""
    line: ChannelId | None = None
    aside: ChannelId | None = None
    third: ChannelId | None = None
    colleague: AgentId | None = None
    trunk: TrunkId | None = None
    refer: ChannelId | None = None
    bridge: BridgeId = BridgeId("")
    """The holding bridge where the person hears music."""
    is_there: bool = False
    """In ``conference``: the person is in it."""
    deadline: float | None = None
    answered_at: float | None = None
    """The third party was there."""
    handed_at: float | None = None
    """The person was with them."""
    ended_at: float | None = None
    outcome: Outcome = ""
    tried: tuple[TrunkId, ...] = ()
    """Trunks that would not carry the call to the third party, before *trunk*."""
    rang_at: float | None = None
    """The third party, called by a trunk, was rung."""
    is_trunk_down: bool = False
    """The trunk is dead, and the call to the third party was ended for that, to go on by another one."""

    @property
    def has_third(self) -> bool:
        """Whether there is, or will be, a third party."""
        return self.state in _WITH_A_THIRD

    @property
    def speaker(self) -> ChannelId | None:
        """The channel on which the operator talks with the third party."""
        return self.aside or self.line

    @property
    def third_bridge(self) -> BridgeId | None:
        return line_bridge(self.third) if self.third else None

    @property
    def person_bridge(self) -> BridgeId | None:
        """The bridge where the person is to be; None: there is none for them any more."""
        if self.state in _TOGETHER:
            return self.third_bridge
        if self.state is TransferState.RETURNING:
            return line_bridge(self.line) if self.line else None
        return self.bridge if self.state is not TransferState.OVER else None

    @property
    def is_with_third(self) -> bool:
        """Whether the operator is to be in the third party's bridge."""
        return self.state in (TransferState.CONSULTING, TransferState.CONFERENCE)


class HoldToggled(msgspec.Struct, frozen=True, kw_only=True):
    """The operator resumes, who held before."""

    at: float


class ThirdUp(msgspec.Struct, frozen=True, kw_only=True):
    """The third party answered and is in the bridge of their line."""

    at: float


class ThirdGone(msgspec.Struct, frozen=True, kw_only=True):
    """They did not answer, are busy or barred, or hung up."""

    at: float


class CompleteAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The operator leaves the person to the third party. *refer*: see :class:`Transfer`."""

    at: float
    refer: ChannelId | None = None


class ConferenceAsked(msgspec.Struct, frozen=True, kw_only=True):
    """All three are to talk."""

    at: float


class BackAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The operator goes back to the person, and the third party goes."""

    at: float


class PersonMoved(msgspec.Struct, frozen=True, kw_only=True):
    """The person's channel entered a bridge."""

    at: float
    bridge: BridgeId


class MoveRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The person's channel could not be put into a bridge."""

    at: float
    bridge: BridgeId


class OperatorGone(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's line is gone."""

    at: float


class PersonGone(msgspec.Struct, frozen=True, kw_only=True):
    """The call has ended, or was hung up."""

    at: float


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """The transfer's own deadline has truly passed (the floor has checked)."""

    at: float


Fact = (
    HoldToggled
    | ThirdUp
    | ThirdGone
    | CompleteAsked
    | ConferenceAsked
    | BackAsked
    | PersonMoved
    | MoveRefused
    | OperatorGone
    | PersonGone
    | Expired
)
FACTS: tuple[type, ...] = get_args(Fact)
