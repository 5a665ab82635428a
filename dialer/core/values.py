"""Values that rules and tables speak of: frozen, comparable, and written down as they are.

Units end a name (``ring_s``), instants are ``..._at`` or ``due`` (seconds since the epoch).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from dialer.core.ids import (
    AgentId,
    AttemptId,
    BridgeId,
    CampaignId,
    ChannelId,
    ContactId,
    LeadId,
    PhoneId,
    TrunkId,
    line_bridge,
)


class Result(StrEnum):
    """How an attempt ended, as the telephone tells it: a closed set. Every attempt gets exactly one."""

    TALKED = "talked"
    """The person was joined with an agent. What came of it is the operator's result."""
    ABANDONED = "abandoned"
    """The person answered and was never joined with an agent, whoever hung up."""
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    INVALID = "invalid"
    """The number does not exist or cannot be reached as written."""
    DECLINED = "declined"
    """The person's phone refused the call (603)."""
    CONGESTION = "congestion"
    """The network had no room for the call."""
    NO_ROUTE = "no_route"
    """The trunk would not carry the call there."""
    FAILED = "failed"
    """The call was never placed, by a fault of ours. Does not count as an attempt."""
    LOST = "lost"
    """The channel vanished while nobody watched; it counts, for the person may have been rung."""


class RetryRule(msgspec.Struct, frozen=True, kw_only=True):
    """When and where to try again after one result.

    *attempts*: at most so many attempts on one number may end with this result.
    *again_s*: seconds until the lead may be dialed again; None: the lead is finished.
    *phone*: the ``same`` number again, or the ``next`` one in order that is not used up.
    """

    attempts: int = 3
    again_s: float | None = 600.0
    phone: Literal["same", "next"] = "next"


class OperatorResult(msgspec.Struct, frozen=True, kw_only=True):
    """A result that an operator may give. *code*: the digit dialed after ``*44``.

    *again_s*: None: the lead is finished; else dial it again after so many seconds.
    """

    code: str
    name: str
    title: str
    is_contact: bool = True
    again_s: float | None = None
    is_bad_number: bool = False


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's settings, as its file says them (``schemas/campaign.schema.json``)."""

    id: CampaignId
    title: str = ""
    mode: Literal["progressive"] = "progressive"
    lists: tuple[str, ...] = ()
    trunk: TrunkId
    caller_id: str = ""
    priority: int = 100
    """Lower goes first when campaigns share operators."""
    lines_max: int = 1000
    """At most so many of the campaign's calls at once."""
    ring_agent: Literal["at_dial", "at_ring", "at_answer"] = "at_ring"
    """For operators whose phone is rung for each call: when. At the answer saves them the calls that
    nobody answers, and lets the person wait in silence until the operator has picked up."""
    ring_s: float = 40.0
    """Give up after so many seconds without an answer."""
    wait_s: float = 2.0
    """A person who answered waits at most so long for an operator."""
    wrap_up_s: float = 10.0
    """The operator is free again so many seconds after the call."""
    agent_ring_s: float = 15.0
    """A rung operator who does not pick up in this time is passed over and paused."""
    attempts: int = 3
    """At most so many attempts on one number."""
    attempts_per_contact: int | None = None
    """At most so many attempts on one contact, over all its numbers; None: no such limit."""
    phone_kinds: tuple[str, ...] = ()
    """Kinds of phone in order of priority; kinds not named come after, in the contact's own order."""
    retry: dict[Result, RetryRule] = {}
    """By result; what is not named follows :data:`dialer.core.rules.DEFAULT_RETRY`."""
    results: tuple[OperatorResult, ...] = ()
    """Empty: the customer's seven, :data:`dialer.core.rules.DEFAULT_RESULTS`."""
    pause_reasons: dict[str, str] = {}
    """Digit after ``*42`` to a name; empty: :data:`dialer.core.rules.DEFAULT_PAUSE_REASONS`."""
    record: bool = True


class Trunk(msgspec.Struct, frozen=True, kw_only=True):
    """A SIP trunk, as its file says it (``schemas/trunk.schema.json``)."""

    id: TrunkId
    host: str
    port: int = 5060
    transport: Literal["udp", "tcp"] = "udp"
    username: str = ""
    """With a username the trunk authenticates by digest (its secret is kept elsewhere)."""
    register: bool = False
    codecs: tuple[str, ...] = ("alaw", "ulaw")
    number_format: Literal["e164_plus", "e164"] = "e164_plus"
    """How the number is written in the request: with its plus sign or without."""
    caller_id: str = ""
    """For campaigns that name none of their own."""
    channels_max: int = 30
    calls_per_second_max: float = 10.0
    options_interval_s: int = 30
    """Asterisk probes the trunk with OPTIONS so often; 0: never, and the trunk counts as up."""


class CampaignState(StrEnum):
    """Where a campaign stands."""

    NEW = "new"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"


class AgentCard(msgspec.Struct, frozen=True, kw_only=True):
    """Who an agent is. *phone*: the extension of the desk phone. *campaigns*: empty means all.

    *leg*: ``parked`` stays on the line between calls; ``rung`` is called for each call.
    """

    id: AgentId
    name: str = ""
    phone: str
    leg: Literal["parked", "rung"] = "parked"
    campaigns: tuple[CampaignId, ...] = ()


class LeadPhone(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a lead. *tried*: the results of its attempts so far, oldest first."""

    id: PhoneId
    number: str
    """E.164 with its plus sign."""
    kind: str = "main"
    tried: tuple[Result, ...] = ()
    is_bad: bool = False


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """A contact's place in a campaign.

    *phones* are in the contact's own order. *ordinal* counts its attempts so far: the next
    one is ``ordinal + 1``, and the store refuses a second attempt of one ordinal.
    *next_phone*: the number to try next; None: the first that is not used up.
    """

    id: LeadId
    campaign: CampaignId
    contact: ContactId
    phones: tuple[LeadPhone, ...]
    ordinal: int = 0
    next_phone: PhoneId | None = None
    due: float = 0.0


class CallState(StrEnum):
    """The states of one attempt; see :mod:`dialer.core.call`."""

    DIALING = "dialing"
    RINGING = "ringing"
    ANSWERED = "answered"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    ENDING = "ending"
    ENDED = "ended"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, from the decision to dial until its result."""

    attempt: AttemptId
    campaign: CampaignId
    lead: LeadId
    contact: ContactId
    phone: PhoneId
    number: str
    ordinal: int
    trunk: TrunkId
    state: CallState = CallState.DIALING
    deadline: float | None = None
    """When the present state has lasted too long."""
    created_at: float
    rang_at: float | None = None
    answered_at: float | None = None
    agent: AgentId | None = None
    """The agent who is reserved for the call, or who has it, or had it."""
    connected_at: float | None = None
    ended_at: float | None = None
    ending: str = ""
    """Why we hang up, once we do: no_answer, no_agent, operator, agent_gone, stopped."""
    result: Result | None = None
    cause: int | None = None
    tech_cause: int | None = None
    operator_result: str | None = None


class AgentState(StrEnum):
    """The states of one agent; see :mod:`dialer.core.agent`."""

    SIGNED_OUT = "signed_out"
    ARRIVING = "arriving"
    READY = "ready"
    RESERVED = "reserved"
    ON_CALL = "on_call"
    WRAP_UP = "wrap_up"
    PAUSED = "paused"


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """One operator on the floor. *since*: when the present state began (longest idle goes first)."""

    id: AgentId
    state: AgentState = AgentState.SIGNED_OUT
    since: float = 0.0
    reason: str = ""
    """Of a pause."""
    channel: ChannelId | None = None
    """The line: the parked channel, or the leg that is rung or up for the present call."""
    has_line: bool = False
    """The line is up in its own bridge: one request joins a person."""
    attempt: AttemptId | None = None
    """The call for which the agent is reserved, or that the agent has."""
    last_attempt: AttemptId | None = None
    """The call that a result code speaks of."""
    deadline: float | None = None
    pause_asked: str | None = None
    """A pause asked for during a call begins when the call is over."""
    sign_out_asked: bool = False

    @property
    def bridge(self) -> BridgeId | None:
        """The bridge of the agent's line."""
        return line_bridge(self.channel) if self.channel else None
