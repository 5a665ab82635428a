"""Facts of one attempt, as :mod:`dialer.core.call` takes them: events, and the floor's own words for what follows
from others.
"""

from __future__ import annotations

from typing import get_args

import msgspec

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
from dialer.core.ids import AgentId, BridgeId


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


class OperatorLost(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody is left who talks with the person (:mod:`dialer.core.transfer`). *may_wait*: somebody else may come."""

    at: float
    may_wait: bool


class TakenOver(msgspec.Struct, frozen=True, kw_only=True):
    """The person was transferred to that operator, and is with them."""

    at: float
    agent: AgentId


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


class LimitPassed(msgspec.Struct, frozen=True, kw_only=True):
    """The time in which an operator must be there, or the call is abandoned (rule 7), may be over."""

    at: float


Fact = (
    OriginateRefused
    | ContactRang
    | ContactAnswered
    | AgentReserved
    | AgentLeft
    | OperatorLost
    | TakenOver
    | Connected
    | JoinRefused
    | EndAsked
    | Expired
    | LeftToDialplan
    | LimitPassed
    | MachineAnswered
    | AnnouncementBegan
    | ContactReturned
    | ContactChose
    | AnswerFound
    | ContactHungUp
)
FACTS: tuple[type, ...] = get_args(Fact)
