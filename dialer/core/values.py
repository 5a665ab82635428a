"""Values that rules and tables speak of: frozen, comparable, and written down as they are.

Units end a name (``ring_s``), instants are ``..._at`` or ``due`` (seconds since the epoch).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from dialer.core.conduct import Announcement, Choice, LastWord, Machines, Pacing
from dialer.core.ids import (
    ONLY,
    AgentId,
    AttemptId,
    BridgeId,
    CampaignId,
    ChannelId,
    ContactId,
    LeadId,
    PhoneId,
    ServerId,
    TrunkId,
    line_bridge,
)
from dialer.core.incoming import Inbound
from dialer.core.trunk import Trunk as Trunk

FOREVER = 253_402_300_799.0
"""An instant that never comes (the end of the year 9999): no limit."""


class Result(StrEnum):
    """How an attempt ended, as the telephone tells it: a closed set. Every attempt gets exactly one."""

    TALKED = "talked"
    """The person was joined with an agent. What came of it is the operator's result."""
    ABANDONED = "abandoned"
    """The person answered, was never joined with an agent, and we ended the call."""
    HUNG_UP = "hung_up"
    """The person answered and hung up before an agent was there: abandoned by us all the same,
    and counted so; see :data:`ABANDONED_RESULTS`."""
    MACHINE = "machine"
    """A machine answered."""
    ANNOUNCED = "announced"
    """A person answered and heard the message of a campaign without operators, or the beginning of it."""
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
    REROUTED = "rerouted"
    """The trunk would not carry the call, and it went on by another one (the next attempt's ``after``). It never rang, and
    does not count as an attempt."""
    MISSED = "missed"
    """A person called us, and nobody took the call."""
    LOST = "lost"
    """The channel vanished while nobody watched; it counts, for the person may have been rung."""


ABANDONED_RESULTS = frozenset({Result.ABANDONED, Result.HUNG_UP})
"""Results of a person who answered and met no agent."""


TRUNK_DOWN = "trunk_down"
"""Why we end a call (``Call.ending``) that never rang, and whose trunk is dead: it goes on by another one."""
TRUNK_SILENT = "trunk_silent"
"""The same of a call to which the carrier has said nothing at all."""
TRUNK_ENDINGS = frozenset({TRUNK_DOWN, TRUNK_SILENT})

UNPLACED_RESULTS = frozenset({Result.FAILED, Result.REROUTED})
"""Results of calls that reached nobody by a fault that is not the person's: they count for nothing."""


_ANSWERED_RESULTS = ABANDONED_RESULTS | {Result.MACHINE, Result.ANNOUNCED}


class RetryRule(msgspec.Struct, frozen=True, kw_only=True):
    """When and where to try again after one result.

    *attempts*: at most so many attempts on one number may end with this result.
    *again_s*: seconds until the lead may be dialed again; None: the lead is finished.
    *growth*: each further time that a number gives this result, the delay is multiplied by this;
    *again_s_max*: but no longer than this.
    *phone*: the ``same`` number again, or the ``next`` one in order that is not used up.
    *other_s*: when the next try is on another number: seconds until then; None: *again_s*.
    *counts*: whether it counts as one of the ``attempts`` on a number and a contact. (Caps count it always.)
    *is_contact*: whether the right person was reached.
    """

    attempts: int = 3
    again_s: float | None = 600.0
    growth: float = 1.0
    again_s_max: float = 604_800.0
    phone: Literal["same", "next"] = "next"
    other_s: float | None = None
    counts: bool = True
    is_contact: bool = False


class OperatorResult(msgspec.Struct, frozen=True, kw_only=True):
    """A result that an operator may give. *code*: the digit dialed after ``*44``.

    *again_s*: None: the lead is finished; else dial it again after so many seconds.
    *growth*, *again_s_max*, *phone*, *other_s*, *counts*: as in :class:`RetryRule`.
    *is_contact*: whether the right person was spoken to: the card then belongs to the operator.
    *is_do_not_call*: the person wants no more calls: the number goes to the do-not-call list.
    """

    code: str
    name: str
    title: str
    is_contact: bool = True
    again_s: float | None = None
    growth: float = 1.0
    again_s_max: float = 604_800.0
    phone: Literal["same", "next"] = "same"
    other_s: float | None = None
    counts: bool = True
    is_bad_number: bool = False
    is_do_not_call: bool = False


Stretch = tuple[int, int]
"""A part of a day by the clock on the person's wall: minutes since midnight, from and until (at most 1440)."""


class DayHours(msgspec.Struct, frozen=True, kw_only=True):
    """Calling hours of some days of the week. *days*: 0 is Monday. *stretches*: in order, apart."""

    days: tuple[int, ...]
    stretches: tuple[Stretch, ...]


class HoursException(msgspec.Struct, frozen=True, kw_only=True):
    """A date with hours of its own. *date*: ``YYYY-MM-DD`` where the person is; no *stretches*: nobody is called.

    *kinds*: kinds of phone that it holds for; empty: all.
    """

    date: str
    stretches: tuple[Stretch, ...] = ()
    kinds: tuple[str, ...] = ()


class CallingHours(msgspec.Struct, frozen=True, kw_only=True):
    """When people may be called, by the clock where they are.

    *kinds*: by kind of phone; ``default`` for the kinds that are not named (a kind with no hours at
    all, and no default, is never called). *holidays*: dates on which nobody is called. *exceptions* go
    before days of the week and holidays.
    *unknown_zone*: the time zone (IANA name) taken for a number of which none is known; empty: such a number is not called.
    """

    kinds: dict[str, tuple[DayHours, ...]]
    holidays: tuple[str, ...] = ()
    exceptions: tuple[HoursException, ...] = ()
    unknown_zone: str = ""


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """How often people may be called at most, over all campaigns. None: no such cap.

    A *day* is the person's own; where their time zone is not certain, the strictest reading holds.
    Every call that was really placed counts, whatever came of it.
    """

    number_per_day: int | None = None
    number_per_24h: int | None = None
    contact_per_day: int | None = None
    contact_per_24h: int | None = None
    gap_s: float = 0.0
    """At least so many seconds from the beginning of one call to a number or a contact to the next."""


class Owners(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a card is, in one campaign.

    *hold_s*: after a call without a contact the card is held for its operator so long, then it returns
    to the pool. After a contact it belongs to the operator.
    *away*: what happens when it is due and the owner cannot take it: ``anyone`` takes it, or it has to ``wait``;
    *wait_s*: but no longer than so many seconds after it was due; None: for ever.
    """

    hold_s: float = 0.0
    away: Literal["anyone", "wait"] = "anyone"
    wait_s: float | None = None


class Centre(msgspec.Struct, frozen=True, kw_only=True):
    """Rules of the whole centre, for all campaigns (``obzvon.toml``)."""

    caps: Caps = Caps()
    pause_s_max: float | None = None
    """A pause that lasts longer ends in a sign-out: a person must not be given to an empty chair."""
    missed_max: int = 1
    """So many calls in a row that a rung operator did not pick up, and they are paused."""
    missed_rest_s: float | None = None
    """Such a pause ends by itself after so many seconds; None: the operator says when."""
    countries: tuple[str, ...] = ()
    """Beginnings of the numbers that campaigns may call which name no countries of their own; from the region of
    ``obzvon.toml``. Empty: not told (an older journal), and nothing is kept back for that."""


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's settings, as its file says them (``schemas/campaign.schema.json``)."""

    id: CampaignId
    title: str = ""
    mode: Literal["progressive", "predictive", "announcement"] = "progressive"
    """A call for each idle operator; calls ahead of operators (*pacing*); or no operators, a message (*announcement*)."""
    lists: tuple[str, ...] = ()
    trunk: TrunkId
    trunks: tuple[TrunkId, ...] = ()
    """More trunks for its calls (:mod:`dialer.core.routing`)."""
    countries: tuple[str, ...] = ()
    """Beginnings of the numbers that it may call (``+7``), where a trunk says nothing of its own; empty: the centre's."""
    caller_id: str = ""
    priority: int = 100
    """Lower goes first when campaigns share operators."""
    lines_max: int = 1000
    """At most so many of the campaign's calls at once."""
    ring_agent: Literal["at_dial", "at_ring", "at_answer"] = "at_ring"
    """For operators whose phone is rung for each call: when. At the answer saves them the calls that
    nobody answers, and lets the person hear a ringing tone until the operator has picked up."""
    ring_s: float = 40.0
    """Give up after so many seconds without an answer."""
    wait_s: float = 2.0
    """A person who answered waits at most so long for an operator; then *no_agent* says what happens."""
    no_agent: Literal["last_word", "hold", "hang_up"] = "last_word"
    """A person for whom no operator is free in time: hears the dialplan's last word (the IVR), is held
    with music until one is free, or is hung up on."""
    hold_s: float = 60.0
    """A person is held at most so long (with ``hold``), then hears the last word."""
    wrap_up: Literal["time", "card"] = "time"
    """How a wrap-up ends: after ``wrap_up_s``, or when the operator closes the card (a result, or ready)."""
    wrap_up_s: float = 10.0
    """The operator is free again so many seconds after the call."""
    wrap_up_s_max: float = 300.0
    """With ``wrap_up = "card"``: a card that is not closed is left open no longer than this."""
    hours: CallingHours | None = None
    """None: at any time."""
    caps: Caps = Caps()
    """Of this campaign's contacts; they hold beside the centre's, and count the calls of all campaigns."""
    owners: Owners = Owners()
    agent_ring_s: float = 15.0
    """A rung operator who does not pick up in this time is passed over, and paused after
    ``Centre.missed_max`` such calls in a row."""
    attempts: int = 3
    """At most so many attempts on one number."""
    attempts_per_contact: int | None = None
    """At most so many attempts on one contact, over all its numbers; None: no such limit."""
    phone_kinds: tuple[str, ...] = ()
    """Kinds of phone in order of priority; kinds not named come after, in the contact's own order."""
    retry: dict[Result, RetryRule] = {}
    """By result; what is not named follows :data:`dialer.core.results.DEFAULT_RETRY`."""
    results: tuple[OperatorResult, ...] = ()
    """Empty: the customer's seven, :data:`dialer.core.results.DEFAULT_RESULTS`."""
    pause_reasons: dict[str, str] = {}
    """Digit after ``*42`` to a name; empty: :data:`dialer.core.results.DEFAULT_PAUSE_REASONS`."""
    record: bool = True
    pacing: Pacing = Pacing()
    """Its ``abandonment`` is counted in every mode but ``announcement``."""
    last_word: LastWord = LastWord()
    machines: Machines = Machines()
    announcement: Announcement = Announcement()
    inbound: Inbound = Inbound()
    transfer_numbers: dict[str, str] = {}
    """Numbers that operators may transfer to, by a short one that they key: ``{"1": "+74951234567"}``."""
    may_transfer_out: bool = False
    """Whether operators may transfer to any number that the trunks may call."""


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


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Not before *until*, and the rule that says so (``number_per_24h``, ``gap`` ...)."""

    until: float
    rule: str


class LeadPhone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One number of a lead, with all that the store knew of it when it was fetched.

    *tried*: what its attempts so far in this campaign came to, oldest first, each as
    :func:`dialer.core.judging.outcome` writes it (``busy``, ``talked:order``).
    """

    id: PhoneId
    number: str
    """E.164 with its plus sign."""
    kind: str = "main"
    tried: tuple[str, ...] = ()
    is_bad: bool = False
    barred: str = ""
    """Why it must not be dialed at all: ``do_not_call``, ``do_not_call_campaign``, ``blocked`` (a pattern), or ``destination``:
    no trunk of the campaign may call it."""
    zones: tuple[str, ...] = ()
    """The time zones where it may be (IANA names); empty: not known."""
    hours: tuple[float, float] | None = (0.0, FOREVER)
    """The present or next stretch of time in which calling hours allow it: from, until. None: there is none."""
    held: Hold | None = None
    """A cap that keeps it back."""


class Lead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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
    held: Hold | None = None
    """A cap on the contact that keeps all its numbers back."""
    is_promised: bool = False
    """Due at an instant that was promised to the person (a callback)."""
    owner: AgentId | None = None
    """The operator who holds the card."""
    owned_until: float = FOREVER
    """Until then; FOREVER: it belongs to the operator."""
    finished: str = ""
    """Why it was to be called no more when the person called us; empty: it was to be, or we called them."""


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
    held_at: float | None = None
    """Since then the person waits with music."""
    callback_at: float | None = None
    """The operator promised the person another call at this instant."""
    callback_agent: AgentId | None = None
    """Whose that callback is; None: anyone's."""
    abandoned_at: float | None = None
    """Since then the call counts as abandoned (:class:`dialer.core.conduct.Abandonment`), whatever became of it."""
    choice: Choice | None = None
    """What the person chose by a key, last."""
    listened_s: float | None = None
    """So long it was listened who answered (:class:`dialer.core.conduct.Machines`); None: it was not. Of a person that is
    a part of the time from ``answered_at`` on."""
    server: ServerId = ONLY
    """The Asterisk server that has it; the operator's line is on the same."""
    direction: Literal["out", "in"] = "out"
    """``in``: the person called us; they are ``answered`` from the beginning on."""
    caller_id: str = ""
    """What the person called was shown."""
    did: str = ""
    """With ``in``: our number that the person called."""
    after: AttemptId | None = None
    """The attempt that its trunk would not carry, and that goes on as this one."""

    @property
    def was_answered(self) -> bool:
        """Whether somebody answered, or a machine, as far as is known: an abandoned call was, even if nobody heard when."""
        return self.answered_at is not None or self.result in _ANSWERED_RESULTS


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
    missed: int = 0
    """Calls in a row that were not picked up."""
    server: ServerId = ONLY
    """The Asterisk server that has the line; of a rung operator: where the phone is registered."""

    @property
    def bridge(self) -> BridgeId | None:
        """The bridge of the agent's line."""
        return line_bridge(self.channel) if self.channel else None
