"""Orders: what the floor wants done, in the imperative.

Every command is harmless when it is repeated, except :class:`Originate`. ``Save...`` commands
are written, with the event that caused them, in one transaction before any other command of
the same decision is carried out.
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
from dialer.core.incoming import Overflow
from dialer.core.pacing.book import Reason
from dialer.core.pacing.ledger import DayCount
from dialer.core.transfer_facts import Transfer
from dialer.core.values import FOREVER, Agent, Call, CampaignState

Message = Literal[
    "signed_in", "signed_out", "ready", "paused", "result_saved", "call", "refused", "call_over", "done"
]
"""What is told to an agent by a sound; which sound is the dialplan's and the wire's business."""


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """An order."""


# -- the store ----------------------------------------------------------------------------


class SaveCall(Command, frozen=True, kw_only=True):
    """Write the attempt as it stands now. The first save of an id begins the attempt."""

    call: Call


class SaveLead(Command, frozen=True, kw_only=True):
    """Write what became of a lead after an attempt.

    *due*: may be dialed again from then on; None with *finished* says why never again.
    *ordinal*: attempts so far. *bad_phone*: a number found not to exist. *why*: the result that led
    to it, or another reason. *is_promised*: *due* was promised to the person.
    *owner*, *owned_until*: see :class:`dialer.core.values.Lead`. *at*: when it was decided.
    """

    lead: LeadId
    ordinal: int
    due: float | None
    next_phone: PhoneId | None = None
    finished: str | None = None
    bad_phone: PhoneId | None = None
    why: str = ""
    is_promised: bool = False
    owner: AgentId | None = None
    owned_until: float = FOREVER
    at: float = 0.0
    is_call_in: bool = False
    """The person called us: *ordinal* is what it was when they came, and ours may have been counted since."""


class SaveCallback(Command, frozen=True, kw_only=True):
    """Write that a lead with no live call is to be called at *due*, by *owner* or (None) by anyone.

    A finished lead is taken up again by it.
    """

    lead: LeadId
    due: float
    owner: AgentId | None
    at: float


class SaveChoice(Command, frozen=True, kw_only=True):
    """Write what the person of an attempt that has ended chose by a key."""

    attempt: AttemptId
    choice: Choice


class SaveDoNotCall(Command, frozen=True, kw_only=True):
    """Put a number on the do-not-call list, of *campaign* or (None) of all. *source*: who asked for it."""

    number: str
    campaign: CampaignId | None
    source: str
    at: float


class SavePhone(Command, frozen=True, kw_only=True):
    """Write an operator's word on a number: *is_bad*, or their taking it back.

    What the telephone itself found not to exist stays bad whatever is said.
    """

    phone: PhoneId
    is_bad: bool


class SaveAgent(Command, frozen=True, kw_only=True):
    """Write the agent as they stand now, at *at*; a change of state is kept in the agent's history."""

    agent: Agent
    at: float


class SaveCampaignState(Command, frozen=True, kw_only=True):
    """Write where the campaign stands."""

    campaign: CampaignId
    state: CampaignState
    at: float


class SaveLedger(Command, frozen=True, kw_only=True):
    """Write a campaign's count of one day as it stands now."""

    campaign: CampaignId
    count: DayCount


class SaveKnowledge(Command, frozen=True, kw_only=True):
    """Write what pacing has learnt, under *name*, in place of what was there. *content*: JSON."""

    name: str
    content: str
    at: float


class SavePacing(Command, frozen=True, kw_only=True):
    """Write why a campaign got as many calls as it did. Not every decision: when what limits it changed, and now and then."""

    reason: Reason
    at: float


class FetchLeads(Command, frozen=True, kw_only=True):
    """Ask for leads of the campaign that are due, most urgent first, *limit* at most.

    *ask*: the number of the question, which ``LeadsFetched`` bears again. *present*: the operators who are at
    work for the campaign: leads that have to wait for their owner are only given out for these.
    """

    campaign: CampaignId
    limit: int
    ask: int = 0
    present: tuple[AgentId, ...] = ()
    more: int = 0
    """So many further ids with each lead (``FreshLead.more``)."""


class SaveTrunkState(Command, frozen=True, kw_only=True):
    """Write that a trunk is in another state now, on *server* or (empty) everywhere. *why*: in words.

    *rests*, *rest_until*, *probe*: its :class:`~dialer.core.trunk.Rotation`, which no server changes.
    """

    trunk: TrunkId
    state: Literal["up", "down", "resting", "probing", "disabled", "removed"]
    why: str = ""
    server: ServerId = ONLY
    at: float = 0.0
    rests: int = 0
    rest_until: float | None = None
    probe: str | None = None


class SaveLeft(Command, frozen=True, kw_only=True):
    """Write on which *channels* of *server* people may talk on though their calls were closed; all that were written before go."""

    server: ServerId
    channels: tuple[ChannelId, ...]


class SaveTransfer(Command, frozen=True, kw_only=True):
    """Write a hold, transfer or conference as it stands now."""

    transfer: Transfer


# -- timers -------------------------------------------------------------------------------


class SetTimer(Command, frozen=True, kw_only=True):
    """Wake us at *due* with ``DeadlinePassed``; replaces the subject's earlier timer. *campaign*: of a lead's, and of no other."""

    kind: Literal["attempt", "agent", "lead"]
    subject: str
    due: float
    campaign: CampaignId | None = None


class ClearTimer(Command, frozen=True, kw_only=True):
    """The subject's timer is not needed any more. (If it fires all the same, no harm.)"""

    kind: Literal["attempt", "agent", "lead"]
    subject: str


# -- Asterisk -----------------------------------------------------------------------------


class Originate(Command, frozen=True, kw_only=True):
    """Place a call to a person. The one command that must never be repeated."""

    attempt: AttemptId
    campaign: CampaignId
    trunk: TrunkId
    number: str
    caller_id: str
    ring_s: float
    """After our own deadline and a little more, Asterisk gives up by itself, engine or no engine."""
    record: bool
    wait_s: float = 0.0
    """An answered person waits for us at most so long, and a little more; then the dialplan says the
    last word by itself, engine or no engine. 0: for ever."""
    kind: str = ""
    """Of the phone, for the calling hours of the times that the person is offered."""
    zones: tuple[str, ...] = ()
    """Where the person may be, likewise."""
    message_times: int = 0
    """The answered call is the dialplan's: it plays the campaign's message so often. 0: it is ours."""
    listen_s: float = 0.0
    """It is listened so long who answered; 0: not at all."""
    server: ServerId = ONLY


class HangUp(Command, frozen=True, kw_only=True):
    """End a channel, if it still lives."""

    channel: ChannelId


class JoinAgent(Command, frozen=True, kw_only=True):
    """Put the person's channel into the bridge of the agent's line.

    *is_held*: they were waiting with music, and perhaps are being told something just now.
    """

    attempt: AttemptId
    agent: AgentId
    bridge: BridgeId
    is_held: bool = False


class SendToLastWord(Command, frozen=True, kw_only=True):
    """Give an answered person who has no operator to the dialplan, which says something and hangs up."""

    attempt: AttemptId


class SendToOverflow(Command, frozen=True, kw_only=True):
    """Give a person who called us, and whom nobody takes, to the dialplan (``dialplan/50-inbound.conf``).

    *place*: what they get there; where it cannot be had (no voice, no number of theirs), the dialplan has the next best.
    *is_closed*: outside the hours: they are told so first; else that nobody is free. *trunk*, *number*: of ``number``: whither, and by
    which trunk.
    """

    attempt: AttemptId
    place: Overflow
    is_closed: bool = False
    trunk: TrunkId | None = None
    number: str = ""


class ForgetChoice(Command, frozen=True, kw_only=True):
    """What the person of that attempt chose has been written down: the note of it is not needed any more."""

    attempt: AttemptId


class HoldContact(Command, frozen=True, kw_only=True):
    """Put an answered person who has no operator yet into a holding bridge, with music.

    *bridge*: the campaign's holding bridge. *wait_s*: the waiting time to announce; None: not known.
    *hold_s*: after that and a little more the dialplan says the last word by itself, engine or no engine.
    """

    attempt: AttemptId
    bridge: BridgeId
    wait_s: float | None = None
    hold_s: float = 60.0
    campaign: CampaignId = CampaignId("")
    """In whose language they are told; empty: Asterisk's own."""
    place: int | None = None
    """Which one in the queue they are, from 1 on, to be told before the time; None: it is not told."""
    is_told: bool = True
    """False: they hear the music alone, for an operator holds them."""


class AnnounceWait(Command, frozen=True, kw_only=True):
    """Tell a person who is held how long it will take (*wait_s*; None: not known) or that we try; then music again."""

    attempt: AttemptId
    wait_s: float | None = None
    campaign: CampaignId = CampaignId("")
    place: int | None = None


class MoveContact(Command, frozen=True, kw_only=True):
    """Put the person's channel into another bridge, out of the one where they are: to a third party, or back to the operator."""

    attempt: AttemptId
    bridge: BridgeId


class MoveLine(Command, frozen=True, kw_only=True):
    """Put an operator's channel into another bridge: to a third party, or back to their own."""

    channel: ChannelId
    bridge: BridgeId


class RingTone(Command, frozen=True, kw_only=True):
    """Let an operator hear a ringing tone, while a third party is called."""

    channel: ChannelId


class StopTone(Command, frozen=True, kw_only=True):
    """The ringing tone ends, if there is one."""

    channel: ChannelId


class DialThird(Command, frozen=True, kw_only=True):
    """Call a third party by a trunk. Like :class:`Originate` it is sent once.

    *channel*: the id that it bears. Numbers on the do-not-call lists of all, or of *campaign*, are not called.
    """

    channel: ChannelId
    attempt: AttemptId
    campaign: CampaignId
    trunk: TrunkId
    number: str
    caller_id: str
    ring_s: float
    server: ServerId = ONLY


class ReportTransfer(Command, frozen=True, kw_only=True):
    """Tell the phone that asked for a transfer by REFER how it goes."""

    channel: ChannelId
    state: Literal["progress", "answered", "declined"]


class OpenLine(Command, frozen=True, kw_only=True):
    """Make a bridge and put the agent's channel into it.

    *is_mixed*: it mixes what it carries also for two, for a person who comes to it has spoken with somebody else before
    (:mod:`dialer.pbx.requests`, rule 4).
    """

    channel: ChannelId
    bridge: BridgeId
    is_mixed: bool = False


class CloseLine(Command, frozen=True, kw_only=True):
    """Remove the bridge of a line that is gone."""

    bridge: BridgeId


class RingAgent(Command, frozen=True, kw_only=True):
    """Call the agent's desk phone, asking it to answer by itself."""

    agent: AgentId
    phone: str
    channel: ChannelId
    attempt: AttemptId
    number: str
    """Shown on the phone's display."""
    ring_s: float
    server: ServerId = ONLY


class Tell(Command, frozen=True, kw_only=True):
    """Play a short confirmation on an agent's channel."""

    channel: ChannelId
    message: Message


class Dismiss(Command, frozen=True, kw_only=True):
    """Confirm a feature call by a sound, then hang it up (both done by the dialplan)."""

    channel: ChannelId
    message: Message


SAVES = (
    SaveCall,
    SaveLead,
    SavePhone,
    SaveAgent,
    SaveCampaignState,
    SaveCallback,
    SaveChoice,
    SaveDoNotCall,
    SaveLedger,
    SaveKnowledge,
    SavePacing,
    SaveTrunkState,
    SaveLeft,
    SaveTransfer,
)

SAVE_TYPES = frozenset(SAVES)
"""The same, for who asks of every command: commands have no subclasses, and to look a type up is quicker than ``isinstance``."""

AnyCommand = (
    SaveCall
    | SaveLead
    | SavePhone
    | SaveAgent
    | SaveCampaignState
    | SaveCallback
    | SaveChoice
    | SaveDoNotCall
    | SaveLedger
    | SaveKnowledge
    | SavePacing
    | SaveTrunkState
    | SaveLeft
    | SaveTransfer
    | ForgetChoice
    | FetchLeads
    | SetTimer
    | ClearTimer
    | Originate
    | HangUp
    | JoinAgent
    | SendToLastWord
    | SendToOverflow
    | HoldContact
    | AnnounceWait
    | MoveContact
    | MoveLine
    | RingTone
    | StopTone
    | DialThird
    | ReportTransfer
    | OpenLine
    | CloseLine
    | RingAgent
    | Tell
    | Dismiss
)
