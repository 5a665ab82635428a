"""Facts: what happened, in the past tense, each with the instant at which we learnt it.

An event is all that the floor ever reads. ``at`` is seconds since the epoch (UTC); the floor
has no other clock. Late, doubled, lost and reordered events are ordinary: the transition
tables of :mod:`dialer.core.call` and :mod:`dialer.core.agent` have a cell for each of them.

Every event is a tagged msgspec struct, so the journal can write it down and play it again.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dialer.core.conduct import Choice
from dialer.core.ids import (
    ONLY,
    AgentId,
    AttemptId,
    BridgeId,
    CampaignId,
    ChannelId,
    LeadId,
    PhoneId,
    ServerId,
    TrunkId,
)
from dialer.core.pacing.ledger import DayCount
from dialer.core.transfer_facts import Transfer
from dialer.core.trunk import TrunkNoted
from dialer.core.values import Agent, AgentCard, Call, Campaign, CampaignState, Centre, Lead, Trunk


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """A fact about the world. *at*: when we learnt it, seconds since the epoch."""

    at: float


# -- time ---------------------------------------------------------------------------------


class Ticked(Event, frozen=True, kw_only=True):
    """A second passed. Sweeps deadlines whose timer was lost and lets pacing look again."""


class DeadlinePassed(Event, frozen=True, kw_only=True):
    """A timer fired. Harmless if stale, doubled or early: the floor looks at its own facts.

    *subject*: whose deadline: an attempt, an agent (both live) or a lead (in the store).
    """

    kind: Literal["attempt", "agent", "lead"]
    subject: str
    campaign: CampaignId | None = None


# -- Asterisk as a whole ------------------------------------------------------------------


class LiveChannel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A channel that Asterisk listed. *trunk*: whose it is, if a trunk's. *bridge*: the bridge that it is in, if any. *arrived*: of a call that a person made to us,
    what the dialplan told of it; empty where it is elsewhere by now.

    *place*: what the dialplan does with the person: listens who answered, leaves a machine a message, plays the
    announcement; empty: something else, or nothing.
    """

    channel: ChannelId
    is_up: bool
    is_ringing: bool = False
    in_app: bool = False
    bridge: BridgeId | None = None
    place: Literal["", "listening", "machine", "announcement"] = ""
    arrived: tuple[str, ...] = ()
    trunk: TrunkId | None = None


class PbxConnected(Event, frozen=True, kw_only=True):
    """The event socket is open, and this is what lives in Asterisk right now."""

    channels: tuple[LiveChannel, ...] = ()
    server: ServerId = ONLY


class PbxListed(Event, frozen=True, kw_only=True):
    """What lives in Asterisk, looked at while the event socket is open, in case an event was lost.

    *asked_at*: when the question was sent; whatever began later may be missing from the list.
    """

    asked_at: float
    channels: tuple[LiveChannel, ...] = ()
    server: ServerId = ONLY


class PbxDisconnected(Event, frozen=True, kw_only=True):
    """The event socket closed; nothing may be originated there until it is open again."""

    server: ServerId = ONLY


class PbxLost(Event, frozen=True, kw_only=True):
    """The server is dead: nothing answers where it was, and has not for a while. What lived there does not any more."""

    server: ServerId = ONLY


class EventsLagged(Event, frozen=True, kw_only=True):
    """The queue of events lags (*is_late*) or has caught up; while late, nothing is originated."""

    lag_ms: float
    is_late: bool


class JournalFailed(Event, frozen=True, kw_only=True):
    """A save failed (a full disk, say); nothing may be originated until one succeeds."""

    reason: str


class JournalRecovered(Event, frozen=True, kw_only=True):
    """Saving works again, and what could not be saved meanwhile has been."""


class Leaving(Event, frozen=True, kw_only=True):
    """The engine was told to leave: nothing more is originated, conversations go on to their end."""


class TrunkChanged(Event, frozen=True, kw_only=True):
    """A trunk became reachable or unreachable, by Asterisk's own OPTIONS probe."""

    trunk: TrunkId
    is_up: bool
    server: ServerId = ONLY


class TrunkUsed(Event, frozen=True, kw_only=True):
    """A channel of a trunk came or went: these are all that it has on *server* now, but those that were made as a contact's call."""

    trunk: TrunkId
    channels: tuple[ChannelId, ...] = ()
    server: ServerId = ONLY


# -- a call -------------------------------------------------------------------------------


class TrunkSilent(Event, frozen=True, kw_only=True):
    """The carrier has sent not one response to the call, not even 100 Trying, long after it should have."""

    attempt: AttemptId


class OriginateRefused(Event, frozen=True, kw_only=True):
    """Asterisk (or our own dispatcher, before sending) refused to place the call.

    *was_sent* is false when the request certainly never reached Asterisk. *is_ours*: a rule forbids the call, or
    it could not be saved or sent: the trunk has no part in it.
    """

    attempt: AttemptId
    reason: str
    was_sent: bool = True
    is_ours: bool = False


class ContactRang(Event, frozen=True, kw_only=True):
    """The person's phone rings (180), or early media plays (183)."""

    attempt: AttemptId


class ContactAnswered(Event, frozen=True, kw_only=True):
    """The person answered, and the channel is ours (StasisStart).

    *listened_s*: before that it was listened so long whether they are a machine; the answer was so much earlier than ``at``.
    """

    attempt: AttemptId
    listened_s: float = 0.0


class CallArrived(Event, frozen=True, kw_only=True):
    """A person calls us: the channel is ours, answered, and its recording runs.

    *did*: our number. *number*: the caller's, E.164, or empty. *lead*: the caller's place in *campaign*, known or opened just now.
    *phone*: the lead's number from which they call. *last_operator*: who spoke with them last. *is_open*: whether it
    is one of the hours in which the campaign takes calls.
    """

    attempt: AttemptId
    campaign: CampaignId
    trunk: TrunkId
    did: str
    number: str
    lead: Lead
    phone: PhoneId
    last_operator: AgentId | None = None
    is_open: bool = True
    server: ServerId = ONLY


class CallMissed(Event, frozen=True, kw_only=True):
    """A person called us while no engine ran, and the dialplan alone spoke to them; the call is over. It is told until
    ``ForgetChoice`` says that it stands in the journal.

    *arrived_at*: when they called. *choice*: what they chose (``later`` with *due*, ``voicemail``, ``forwarded``); None: nothing.
    The other fields: as of :class:`CallArrived`.
    """

    attempt: AttemptId
    campaign: CampaignId
    trunk: TrunkId
    did: str
    number: str
    lead: Lead
    phone: PhoneId
    arrived_at: float
    choice: Choice | None = None
    due: float | None = None
    server: ServerId = ONLY


class CallForwarded(Event, frozen=True, kw_only=True):
    """The dialplan calls another number for a person who called us, on *channel*."""

    attempt: AttemptId
    channel: ChannelId


class MachineAnswered(Event, frozen=True, kw_only=True):
    """A machine answered. The dialplan looks after the call: it leaves a message, or hangs up.

    *listened_s*: so long it took to tell.
    """

    attempt: AttemptId
    listened_s: float = 0.0


class AnnouncementBegan(Event, frozen=True, kw_only=True):
    """The person answered a call of a campaign without operators; the dialplan plays the message.

    *listened_s*: as for :class:`ContactAnswered`.
    """

    attempt: AttemptId
    listened_s: float = 0.0


class ContactReturned(Event, frozen=True, kw_only=True):
    """The person chose to wait for an operator, or to be connected with one: the dialplan gave the channel back to us."""

    attempt: AttemptId


class ContactChose(Event, frozen=True, kw_only=True):
    """The person made a choice by a key, in the dialplan's hands: perhaps long ago, when no engine was there.

    *due*: of ``later``: when they are to be called. *campaign*, *lead*, *number*: of the attempt, as the journal has them; None
    when the event came straight from Asterisk (then the attempt is on the floor, or the journal is asked).
    Told again and again until it has been written down.
    """

    attempt: AttemptId
    choice: Choice
    due: float | None = None
    campaign: CampaignId | None = None
    lead: LeadId | None = None
    number: str | None = None


class AnswerFound(Event, frozen=True, kw_only=True):
    """The call was answered while nobody listened: its recording is there, which the dialplan begins at the answer. The channel
    is gone.

    *answered_at*: as the file tells. What answered is not told: a person, unless a machine is known.
    """

    attempt: AttemptId
    answered_at: float


class Connected(Event, frozen=True, kw_only=True):
    """The person's channel entered a bridge."""

    attempt: AttemptId
    bridge: BridgeId


class JoinRefused(Event, frozen=True, kw_only=True):
    """Asterisk refused to put the person's channel into the agent's bridge."""

    attempt: AttemptId
    bridge: BridgeId
    reason: str


class ContactHungUp(Event, frozen=True, kw_only=True):
    """The person's channel is gone.

    *cause*: Q.850; None when the channel was found missing and Asterisk no longer says why.
    *tech_cause*: the final SIP status, where there was one.
    """

    attempt: AttemptId
    cause: int | None = None
    tech_cause: int | None = None


# -- an agent's phone and line ------------------------------------------------------------


class FeatureDialed(Event, frozen=True, kw_only=True):
    """An agent dialed a feature code from the desk phone; the channel waits for our answer.

    *phone*: the extension, proved by SIP authentication. *code*: the digits after the star,
    such as ``40`` or ``421``. Both are empty for a channel that came to us for no reason that we know.
    """

    channel: ChannelId
    phone: str
    code: str
    server: ServerId = ONLY


class PhoneHeld(Event, frozen=True, kw_only=True):
    """An agent put the other side on hold by the phone's own key, or took it back."""

    channel: ChannelId
    is_held: bool


class PhoneReferred(Event, frozen=True, kw_only=True):
    """An agent's phone asks for a transfer by its own key (REFER) on *channel*.

    *to*: the extension or number of a blind one. *other*: the phone's second channel, of an attended one.
    """

    channel: ChannelId
    to: str = ""
    other: ChannelId | None = None


class PhoneDialed(Event, frozen=True, kw_only=True):
    """An agent's phone calls a *number* on a channel of its own, which waits for our answer: a second call beside the
    conversation, to consult somebody. *phone*: as in :class:`FeatureDialed`."""

    channel: ChannelId
    phone: str
    number: str


class CallRedirected(Event, frozen=True, kw_only=True):
    """Whom we called answered by sending us elsewhere (SIP 3xx), and Asterisk calls there by itself: *channel* is that call, on which
    nobody has decided."""

    channel: ChannelId


class ThirdAnswered(Event, frozen=True, kw_only=True):
    """A third party who was called by a trunk answered; the channel is ours."""

    channel: ChannelId


class ThirdRang(Event, frozen=True, kw_only=True):
    """A third party who is called by a trunk is rung, or early media plays."""

    channel: ChannelId


class ThirdRefused(Event, frozen=True, kw_only=True):
    """A third party was not called, or Asterisk refused to. *is_ours*: as of :class:`OriginateRefused`."""

    channel: ChannelId
    reason: str
    is_ours: bool = False


class DigitPressed(Event, frozen=True, kw_only=True):
    """A key was pressed on a channel that is in our hands."""

    channel: ChannelId
    digit: str


class LineJoined(Event, frozen=True, kw_only=True):
    """A channel that is no attempt's entered a bridge: an agent's line is ready to use."""

    channel: ChannelId
    bridge: BridgeId


class LineRefused(Event, frozen=True, kw_only=True):
    """A bridge for an agent's line could not be made, or the channel could not enter it."""

    channel: ChannelId
    reason: str


class LegAnswered(Event, frozen=True, kw_only=True):
    """The agent's phone that we rang for a call was picked up; the channel is ours."""

    channel: ChannelId


class LegRefused(Event, frozen=True, kw_only=True):
    """Asterisk refused to ring the agent's phone."""

    channel: ChannelId
    reason: str


class LineEnded(Event, frozen=True, kw_only=True):
    """A channel that is no attempt's is gone: an agent's line, rung leg or feature call."""

    channel: ChannelId
    cause: int | None = None
    tech_cause: int | None = None


class PhoneChanged(Event, frozen=True, kw_only=True):
    """A desk phone registered, or its registration was lost."""

    phone: str
    is_registered: bool
    server: ServerId = ONLY


class PhoneUsed(Event, frozen=True, kw_only=True):
    """A desk phone is in a call (or rings), or is so no longer, whoever's the call is."""

    phone: str
    is_in_use: bool
    server: ServerId = ONLY


# -- people who supervise -----------------------------------------------------------------


class CampaignApplied(Event, frozen=True, kw_only=True):
    """A campaign's settings are new or changed. Its state is not touched."""

    campaign: Campaign


class CampaignOrdered(Event, frozen=True, kw_only=True):
    """A supervisor's order to a campaign. ``stop`` lets conversations end and places no more calls."""

    campaign: CampaignId
    order: Literal["start", "pause", "resume", "stop"]


class CentreApplied(Event, frozen=True, kw_only=True):
    """The rules of the whole centre are new or changed."""

    centre: Centre


class TrunkApplied(Event, frozen=True, kw_only=True):
    """A trunk's settings are new or changed."""

    trunk: Trunk


class TrunkOrdered(Event, frozen=True, kw_only=True):
    """A telecom engineer's order: a disabled trunk gets no more calls, those on it go on."""

    trunk: TrunkId
    order: Literal["enable", "disable", "remove"]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """An Asterisk server, as ``obzvon.toml`` says. *weight*: its share of calls that want no operator."""

    id: ServerId = ONLY
    weight: int = 1
    channels_max: int = 100_000
    calls_per_second_max: float = 1000.0


class ServersApplied(Event, frozen=True, kw_only=True):
    """The servers are others, or their settings; those that are not named are used no more."""

    servers: tuple[Server, ...] = (Server(),)


class AgentApplied(Event, frozen=True, kw_only=True):
    """An agent's card is new or changed."""

    agent: AgentCard


class OutsideApplied(Event, frozen=True, kw_only=True):
    """The outside lines on which operators are called for each call: of which phones (extensions), and by which trunks."""

    lines: tuple[tuple[str, TrunkId], ...] = ()


class AgentOrdered(Event, frozen=True, kw_only=True):
    """A supervisor forces an agent's state."""

    agent: AgentId
    order: Literal["ready", "pause", "sign_out"]
    reason: str = ""


class CallbackOrdered(Event, frozen=True, kw_only=True):
    """A supervisor has a contact called at *due*, in a campaign; *agent*: by that operator, or by anyone."""

    campaign: CampaignId
    lead: LeadId
    due: float
    agent: AgentId | None = None


class DoNotCallChanged(Event, frozen=True, kw_only=True):
    """The do-not-call lists were changed from outside: what is at hand of leads may be out of date."""


# -- the engine ---------------------------------------------------------------------------


class Onward(msgspec.Struct, frozen=True, kw_only=True):
    """What a call needs to go on by another trunk: *more* ids of attempts; *tried*: trunks that would not carry it."""

    attempt: AttemptId
    more: tuple[AttemptId, ...] = ()
    tried: tuple[TrunkId, ...] = ()


class EngineStarted(Event, frozen=True, kw_only=True):
    """An engine of *version* has taken up what the journal remembered (``Floor.take_up``): its first event.

    From here on the journal can be played again. *calls*: attempts that had not ended. *last*: ended
    ones of which an agent may still give the result.
    """

    version: str
    centre: Centre | None = None
    trunks: tuple[Trunk, ...] = ()
    campaigns: tuple[tuple[Campaign, CampaignState], ...] = ()
    cards: tuple[AgentCard, ...] = ()
    agents: tuple[Agent, ...] = ()
    calls: tuple[tuple[Call, Lead], ...] = ()
    last: tuple[tuple[Call, Lead | None], ...] = ()
    ledgers: tuple[tuple[CampaignId, tuple[DayCount, ...]], ...] = ()
    """Each campaign's answered and abandoned calls, as far back as its window goes."""
    servers: tuple[Server, ...] = ()
    """Empty: the only one."""
    trunks_disabled: tuple[TrunkId, ...] = ()
    trunks_noted: tuple[TrunkNoted, ...] = ()
    """How each stood last."""
    onward: tuple[Onward, ...] = ()
    """Of the calls that are being dialed."""
    knowledge: tuple[tuple[str, str], ...] = ()
    """What pacing had learnt, by the name it is kept under (``SaveKnowledge``)."""
    transfers: tuple[Transfer, ...] = ()
    """Those that were not over, of calls that had not ended."""
    left: tuple[tuple[ServerId, tuple[ChannelId, ...]], ...] = ()
    """On which channels of each server people may talk on, whose calls were closed when it was lost (``SaveLeft``)."""
    talks: tuple[tuple[AgentId, tuple[float, ...]], ...] = ()
    """When the conversations of each operator began, of late (:mod:`dialer.core.distribution`)."""
    outside: tuple[tuple[str, TrunkId], ...] = ()
    """As of :class:`OutsideApplied`."""
    turns: tuple[tuple[CampaignId, AgentId], ...] = ()
    """Who was given a caller last, of campaigns that go round by turns."""


# -- the store ----------------------------------------------------------------------------


class FreshLead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A lead that may be dialed now, with the id that its next attempt will bear."""

    lead: Lead
    attempt: AttemptId
    more: tuple[AttemptId, ...] = ()
    """Further ids, for going on by other trunks."""


class LeadsFetched(Event, frozen=True, kw_only=True):
    """The store's answer to ``FetchLeads``.

    *leads* may hold some that are already on the floor; the floor drops those.
    *unfinished*: whether the campaign has any lead at all that is not finished, due or not.
    *ask*: the number of the question, as ``FetchLeads`` bore it: an answer to an earlier question
    is stale and dropped. 0: not told, and taken for an answer to the present one.
    *is_partial*: the store looked at as many leads as it may at once and has not seen the end: ask again.
    """

    campaign: CampaignId
    leads: tuple[FreshLead, ...]
    unfinished: bool
    ask: int = 0
    is_partial: bool = False


class LeadsAdded(Event, frozen=True, kw_only=True):
    """Contacts were added to a campaign (an import, say)."""

    campaign: CampaignId


class RecordingStored(Event, frozen=True, kw_only=True):
    """A recording is complete on disk. Nothing to decide; the journal keeps it."""

    attempt: AttemptId
    path: str
    started_at: float
    length_s: float
    size_bytes: int
    sha256: str


class RecordingMissing(Event, frozen=True, kw_only=True):
    """An answered call has no usable recording on disk."""

    attempt: AttemptId
    reason: str


AnyEvent = (
    Ticked
    | DeadlinePassed
    | PbxConnected
    | PbxListed
    | PbxDisconnected
    | PbxLost
    | EventsLagged
    | JournalFailed
    | JournalRecovered
    | Leaving
    | TrunkChanged
    | TrunkUsed
    | OriginateRefused
    | TrunkSilent
    | ContactRang
    | ContactAnswered
    | CallArrived
    | CallMissed
    | CallForwarded
    | MachineAnswered
    | AnnouncementBegan
    | ContactReturned
    | ContactChose
    | AnswerFound
    | Connected
    | JoinRefused
    | ContactHungUp
    | FeatureDialed
    | PhoneHeld
    | PhoneReferred
    | PhoneDialed
    | CallRedirected
    | ThirdAnswered
    | ThirdRang
    | ThirdRefused
    | DigitPressed
    | LineJoined
    | LineRefused
    | LegAnswered
    | LegRefused
    | LineEnded
    | PhoneChanged
    | PhoneUsed
    | CampaignApplied
    | CampaignOrdered
    | CentreApplied
    | TrunkApplied
    | TrunkOrdered
    | ServersApplied
    | AgentApplied
    | OutsideApplied
    | AgentOrdered
    | CallbackOrdered
    | DoNotCallChanged
    | EngineStarted
    | LeadsFetched
    | LeadsAdded
    | RecordingStored
    | RecordingMissing
)
