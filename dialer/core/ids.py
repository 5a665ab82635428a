"""Names of things.

Ids are ours and come first: an attempt id is made before the originate and then is, all
through the system, the channel id in Asterisk and the name of the recording. That one id
is what lets every command but the originate be repeated without harm, and what lets an
engine that was killed find its calls again.

Nothing here makes an id: identity arrives with events (see ``dialer.engine.identity``).
"""

from __future__ import annotations

import re
from typing import NewType

AttemptId = NewType("AttemptId", str)
"""One try at one number: ``a`` and 20 lower-case base-32 digits, sortable by time."""

ChannelId = NewType("ChannelId", str)
"""A channel as Asterisk knows it: an attempt id, a leg id of ours, or Asterisk's own."""

BridgeId = NewType("BridgeId", str)
"""The bridge of an agent's line; made from the line's channel id by :func:`line_bridge`."""

AgentId = NewType("AgentId", str)
"""An agent's short name, as the supervisor wrote it: ``[a-z0-9_-]{1,32}``."""

CampaignId = NewType("CampaignId", str)
"""A campaign's short name, as its file says it: ``[a-z0-9_-]{1,32}``."""

TrunkId = NewType("TrunkId", str)
"""A trunk's short name; the name of its PJSIP endpoint is ``trunk-<id>``."""

ServerId = NewType("ServerId", str)
"""An Asterisk server's short name; :data:`ONLY` where there is but one."""

ONLY = ServerId("")

LeadId = NewType("LeadId", int)
ContactId = NewType("ContactId", int)
PhoneId = NewType("PhoneId", int)

_ATTEMPT = re.compile(r"a[0-9a-v]{20}\Z")
_THIRD = re.compile(r"third-[^-]+-[0-9]+(-[0-9]+)?\Z")


def is_attempt(text: str) -> bool:
    """Whether *text* has the form of an attempt id (and may be a file name)."""
    return _ATTEMPT.match(text) is not None


def leg_of(attempt: AttemptId, agent: AgentId) -> ChannelId:
    """The channel id of *agent*'s leg that is rung for *attempt*: another agent, another id."""
    return ChannelId(f"leg-{attempt}-{agent}")


def is_leg(channel: ChannelId) -> bool:
    """Whether *channel* is an agent's leg that was rung for some attempt."""
    return channel.startswith("leg-")


def third_of(attempt: AttemptId, place: int, tried: int = 0) -> ChannelId:
    """The channel id of the third party of the call's transfer number *place*, who is called by a trunk, after *tried* others."""
    return ChannelId(f"third-{attempt}-{place}" + (f"-{tried}" if tried else ""))


def attempt_of_third(channel: ChannelId) -> AttemptId | None:
    """The call whose third party *channel* is, or was; None if it is no such channel."""
    return AttemptId(channel.split("-")[1]) if is_third(channel) else None


def is_third(channel: ChannelId) -> bool:
    """Whether *channel* is a third party's who was called by a trunk."""
    return _THIRD.match(channel) is not None


def forward_of(attempt: AttemptId) -> ChannelId:
    """The name of the channel to the other number to which a caller is forwarded, as long as Asterisk has not told its own."""
    return ChannelId(f"forward-{attempt}")


def line_of(bridge: BridgeId) -> ChannelId:
    """The channel whose line the bridge is; the inverse of :func:`line_bridge`."""
    return ChannelId(bridge.removeprefix("line-"))


def line_bridge(channel: ChannelId) -> BridgeId:
    """The bridge in which the agent's channel *channel* waits for people."""
    return BridgeId(f"line-{channel}")


def hold_bridge(campaign: CampaignId) -> BridgeId:
    """The holding bridge in which the campaign's people wait with music."""
    return BridgeId(f"hold-{campaign}")
