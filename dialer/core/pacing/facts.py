"""What a pacing rule is told: the whole vocabulary, one struct for each thing that can happen on a floor.

A floor that is not Obzvon's (a simulator, another dialer) can be paced by telling these. The order is
that of the instants ``at``; equal instants are told in the order in which they happened.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dialer.core.conduct import Pacing

Presence = Literal["idle", "busy", "wrap_up", "away"]
"""An operator: waits for a call; is promised to one, rung for one or in one; works after one; or none of these:
signed out, in a pause, or otherwise not to be counted on."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Something that happened. *at*: seconds since any fixed instant."""

    at: float


class CampaignSet(Fact, frozen=True, kw_only=True):
    """A campaign is new, or its rules are. *wait_s*: a person who answered waits at most so long for an operator
    before the call counts as lost to them (the smaller of the campaign's wait and the law's limit).
    *ring_s*: calls are given up after ringing so long. *is_predictive*: whether calls may be placed ahead of operators.
    *account*: campaigns of one account (the lanes of one campaign, :mod:`dialer.core.lanes`) have one ledger, one promise and one
    cap, and learn together; each has operators of its own. Empty: the campaign is its own."""

    campaign: str
    rules: Pacing = Pacing()
    wait_s: float = 2.0
    ring_s: float = 40.0
    is_predictive: bool = True
    account: str = ""


class AgentChanged(Fact, frozen=True, kw_only=True):
    """The operator's presence is another. *campaigns*: those they work for, empty: all. *campaign*: whose call they have or
    work after (``busy``, ``wrap_up``), if it is known."""

    agent: str
    presence: Presence
    campaigns: tuple[str, ...] = ()
    campaign: str = ""


class CallPlaced(Fact, frozen=True, kw_only=True):
    """A call was placed. *kind*: of the phone. *attempt*: the how-manieth to this contact."""

    call: str
    campaign: str
    kind: str = ""
    attempt: int = 1


class CallRang(Fact, frozen=True, kw_only=True):
    """The person's phone rings."""

    call: str


class CallAnswered(Fact, frozen=True, kw_only=True):
    """A person answered (not a machine), at the instant *answered_at* if that was before *at*."""

    call: str
    answered_at: float | None = None


class CallServed(Fact, frozen=True, kw_only=True):
    """An operator is joined with the person, or promised to them and on the way."""

    call: str
    agent: str


class CallAbandoned(Fact, frozen=True, kw_only=True):
    """The call counts as abandoned from now on, whatever still becomes of it. Told once for a call at most."""

    call: str


class CallEnded(Fact, frozen=True, kw_only=True):
    """The call is over, answered or not. *is_ours*: we gave it up, so its end says nothing of the person."""

    call: str
    is_ours: bool = False


AnyFact = (
    CampaignSet | AgentChanged | CallPlaced | CallRang | CallAnswered | CallServed | CallAbandoned | CallEnded
)
