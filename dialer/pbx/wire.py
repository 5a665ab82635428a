"""The wire, inwards: what Asterisk says, in the core's words. Pure: it reads its arguments and nothing else.

1. :func:`to_event`: a frame is at most one event, and most frames are none. Whose a channel is, its id
   says: attempt ids and leg ids are ours and were chosen before the channel was.
2. :func:`to_refusal`: an error, met while a command was carried out (:mod:`dialer.pbx.requests`), is what it means to the core, or
   nothing. "It exists already" and "it is gone already" are no errors: whoever repeats a command meets them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, get_args

import msgspec

from dialer.core import commands as c
from dialer.core import events as e
from dialer.core.conduct import Choice
from dialer.core.ids import AttemptId, BridgeId, CampaignId, ChannelId, TrunkId, is_attempt, is_leg, is_third
from dialer.pbx import checks
from dialer.pbx import frames as f
from dialer.pbx.errors import Conflict, PbxError, PbxRefused, Undialable
from dialer.pbx.trunks import trunk_of

LISTENED_S_MAX: Final = 10.0
"""Nobody listens longer to who answered; a clock that says so was set."""

CHOICES: Final[tuple[Choice, ...]] = get_args(Choice)

_KEYED = re.compile(r"\+?[0-9]{1,20}\Z", re.ASCII)
_DID = re.compile(r"\+?[0-9]{1,32}\Z", re.ASCII)
_CALLER = re.compile(r"(\+?[0-9]{1,32})?\Z", re.ASCII)
# Longer than any code: what was mistyped is refused aloud by the core, and not met with silence here.
_CODE = re.compile(r"\d{1,40}\Z", re.ASCII)
_SECONDS = re.compile(r"\d{1,11}(\.\d{1,6})?\Z", re.ASCII)
_ALLOCATION_FAILED = 500
_RINGING = frozenset({"RINGING", "PROGRESS"})


def to_event(frame: f.AnyFrame, at: float) -> e.Event | None:
    """What *frame* means to the core, learnt at *at*; None if it means nothing. Never raises."""
    match frame:
        case f.StasisStart():
            return _stasis_start(frame, at)
        case f.Dial(peer=peer, forwarded=f.Channel(id=channel_id)) if _is_placed(peer.id):
            return e.CallRedirected(at=at, channel=ChannelId(channel_id))
        case f.Dial(peer=peer, dialstatus=status) if status in _RINGING and is_attempt(peer.id):
            return e.ContactRang(at=at, attempt=AttemptId(peer.id))
        case f.Dial(peer=peer, dialstatus=status) if status in _RINGING and is_third(ChannelId(peer.id)):
            return e.ThirdRang(at=at, channel=ChannelId(peer.id))
        case f.Dial(peer=peer, caller=f.Channel(id=caller), dialstatus="") if is_attempt(caller):
            return e.CallForwarded(at=at, attempt=AttemptId(caller), channel=ChannelId(peer.id))
        case f.ChannelDestroyed(channel=channel, cause=cause, tech_cause=tech_cause):
            if is_attempt(channel.id):
                attempt = AttemptId(channel.id)
                return e.ContactHungUp(at=at, attempt=attempt, cause=cause, tech_cause=tech_cause or None)
            gone = ChannelId(channel.id)
            return e.LineEnded(at=at, channel=gone, cause=cause, tech_cause=tech_cause or None)
        case f.ChannelEnteredBridge(bridge=bridge, channel=f.Channel(id=channel_id)):
            if is_attempt(channel_id):
                return e.Connected(at=at, attempt=AttemptId(channel_id), bridge=BridgeId(bridge.id))
            return e.LineJoined(at=at, channel=ChannelId(channel_id), bridge=BridgeId(bridge.id))
        case f.ChannelDtmfReceived(channel=channel, digit=digit):
            return e.DigitPressed(at=at, channel=ChannelId(channel.id), digit=digit)
        case f.ChannelUserevent(eventname=name, channel=f.Channel(id=channel_id), userevent=fields):
            return _user_event(name, AttemptId(channel_id), fields, at) if is_attempt(channel_id) else None
        case f.ChannelHold(channel=f.Channel(id=channel_id)) if not is_attempt(channel_id):
            return e.PhoneHeld(at=at, channel=ChannelId(channel_id), is_held=True)
        case f.ChannelUnhold(channel=f.Channel(id=channel_id)) if not is_attempt(channel_id):
            return e.PhoneHeld(at=at, channel=ChannelId(channel_id), is_held=False)
        case f.ChannelTransfer(state=None):
            return _referred(frame, at)
        case f.EndpointStateChange(endpoint=endpoint):
            return phone_use(endpoint, at) or trunk_use(endpoint, at)
        case f.PeerStatusChange(endpoint=endpoint, peer=f.Peer(peer_status=status)):
            return _peer_status(endpoint, status, at)
        case _:
            return None


def _stasis_start(frame: f.StasisStart, at: float) -> e.Event | None:
    channel = frame.channel.id
    match frame.args:
        case ("contact", *times) if is_attempt(channel):
            return e.ContactAnswered(at=at, attempt=AttemptId(channel), listened_s=_listened_s(times))
        case ("returned", *_) if is_attempt(channel):
            return e.ContactReturned(at=at, attempt=AttemptId(channel))
        case ("third", *_):
            return e.ThirdAnswered(at=at, channel=ChannelId(channel))
        case ("dialed", phone, number, *_) if checks.PHONE.match(phone) and _KEYED.match(number):
            return e.PhoneDialed(at=at, channel=ChannelId(channel), phone=phone, number=number)
        case ("leg", *_):
            return e.LegAnswered(at=at, channel=ChannelId(channel))
        case ("inbound", *told) if arrival(channel, told) is not None:
            return None  # whose call it is, the journal tells first (dialer.engine.arrivals)
        case ("feature", phone, code, *_) if checks.PHONE.match(phone) and _CODE.match(code):
            return e.FeatureDialed(at=at, channel=ChannelId(channel), phone=phone, code=code)
        case _:
            # Nobody else looks after the channel: as a code that nobody knows it is refused and hung up.
            return e.FeatureDialed(at=at, channel=ChannelId(channel), phone="", code="")


def _is_placed(channel: str) -> bool:
    """Whether we placed that call: other people's calls in the same Asterisk are their own business."""
    return is_attempt(channel) or is_leg(ChannelId(channel)) or is_third(ChannelId(channel))


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A person who calls us, as the dialplan tells. *caller*: digits, perhaps with a plus sign; empty: withheld."""

    attempt: AttemptId
    did: str
    caller: str
    trunk: TrunkId
    campaign: CampaignId


def arrival(channel: str, told: Sequence[str]) -> Arrival | None:
    """Who calls us, by what the dialplan *told* Stasis of *channel* (:mod:`dialer.core.incoming`, rule 2); None: that is garbled.

    What the caller's telephone says of itself garbles nothing: what is no number is a withheld one.
    """
    match told:
        case (did, caller, trunk, campaign, *_) if is_attempt(channel):
            pass
        case _:
            return None
    if not (_DID.match(did) and checks.OUR_ID.match(campaign)):
        return None
    if not _CALLER.match(caller):
        caller = ""
    return Arrival(
        attempt=AttemptId(channel),
        did=did,
        caller=caller,
        trunk=TrunkId(trunk),
        campaign=CampaignId(campaign),
    )


def _referred(frame: f.ChannelTransfer, at: float) -> e.PhoneReferred:
    """Whom a phone wants a transfer to. What is no number leads to nobody, and the phone is told so."""
    channel = ChannelId(frame.referred_by.source_channel.id)
    other = frame.refer_to.destination_channel
    to = frame.refer_to.requested_destination.destination
    return e.PhoneReferred(
        at=at,
        channel=channel,
        to=to if other is None and _KEYED.match(to) else "",
        other=ChannelId(other.id) if other is not None else None,
    )


def _user_event(name: str, attempt: AttemptId, fields: Mapping[str, object], at: float) -> e.Event | None:
    """What the dialplan or one of our scripts says of the call *attempt*. What is none of ours, or garbled, is nothing."""
    match name:
        case "ObzvonChoice":
            choice = next((one for one in CHOICES if one == fields.get("choice")), None)
            if choice is None:
                return None
            due = _instant(fields.get("due"))
            if choice == "later" and due is None:
                return None
            return e.ContactChose(
                at=at, attempt=attempt, choice=choice, due=due if choice == "later" else None
            )
        case "ObzvonMachine":
            return e.MachineAnswered(at=at, attempt=attempt, listened_s=_told_listened_s(fields))
        case "ObzvonAnnouncing":
            return e.AnnouncementBegan(at=at, attempt=attempt, listened_s=_told_listened_s(fields))
        case _:
            return None


def _told_listened_s(fields: Mapping[str, object]) -> float:
    return _listened_s((fields.get("answered"), fields.get("heard")))


def _listened_s(times: Sequence[object]) -> float:
    """How long it was listened who answered: from the one instant to the other, as the dialplan wrote them."""
    match [_instant(text) for text in times]:
        case [float(since), float(until)]:
            return min(max(0.0, until - since), LISTENED_S_MAX)
        case _:
            return 0.0


def _instant(text: object) -> float | None:
    """Seconds since the epoch, as our scripts write them; None if that is not what it is."""
    return float(text) if isinstance(text, str) and _SECONDS.match(text) else None


def endpoint_event(endpoint: f.Endpoint, at: float) -> e.TrunkChanged | e.PhoneChanged | None:
    """What an endpoint's state says; None where it says nothing (``unknown``)."""
    if endpoint.technology != "PJSIP" or endpoint.state not in {"online", "offline"}:
        return None
    return _changed(endpoint.resource, endpoint.state == "online", at)


def phone_use(endpoint: f.Endpoint, at: float) -> e.PhoneUsed | None:
    """Whether a phone is in a call that is not the leg of one of ours; None for what is no phone."""
    if endpoint.technology != "PJSIP" or not checks.EXTENSION.match(endpoint.resource):
        return None
    is_in_use = any(not is_leg(ChannelId(channel)) for channel in endpoint.channel_ids)
    return e.PhoneUsed(at=at, phone=endpoint.resource, is_in_use=is_in_use)


def trunk_use(endpoint: f.Endpoint, at: float) -> e.TrunkUsed | None:
    """The channels of a trunk but those that we made as contacts' calls, which the core knows; None for what is no trunk."""
    trunk = trunk_of(endpoint.resource) if endpoint.technology == "PJSIP" else None
    if trunk is None:
        return None
    others = tuple(ChannelId(one) for one in endpoint.channel_ids if not is_attempt(one))
    return e.TrunkUsed(at=at, trunk=trunk, channels=others)


def _peer_status(endpoint: f.Endpoint, status: str, at: float) -> e.Event | None:
    if endpoint.technology != "PJSIP" or status not in {"Reachable", "Unreachable"}:
        return None
    return _changed(endpoint.resource, status == "Reachable", at)


def _changed(resource: str, is_up: bool, at: float) -> e.TrunkChanged | e.PhoneChanged:
    trunk = trunk_of(resource)
    if trunk is not None:
        return e.TrunkChanged(at=at, trunk=trunk, is_up=is_up)
    return e.PhoneChanged(at=at, phone=resource, is_registered=is_up)


# -- errors ------------------------------------------------------------------------------


def to_refusal(command: c.Command, error: PbxError, at: float) -> e.Event | None:
    """What *error*, met while carrying out *command*, means to the core; None if nothing.

    409 for an originate (or a rung phone) is None: the channel exists, so its own events tell.
    """
    reason = str(error)
    match command:
        case c.Originate(attempt=attempt) if not isinstance(error, Conflict):
            is_trunks = _is_trunks(error)
            return e.OriginateRefused(
                at=at, attempt=attempt, reason=reason, was_sent=error.was_sent, is_ours=not is_trunks
            )
        case c.JoinAgent(attempt=attempt, bridge=bridge):
            return e.JoinRefused(at=at, attempt=attempt, bridge=bridge, reason=reason)
        case c.MoveContact(attempt=attempt, bridge=bridge):
            return e.JoinRefused(at=at, attempt=attempt, bridge=bridge, reason=reason)
        case c.DialThird(channel=channel) if not isinstance(error, Conflict):
            return e.ThirdRefused(at=at, channel=channel, reason=reason, is_ours=not _is_trunks(error))
        case c.OpenLine(channel=channel):
            return e.LineRefused(at=at, channel=channel, reason=reason)
        case c.RingAgent(channel=channel) if not isinstance(error, Conflict):
            return e.LegRefused(at=at, channel=channel, reason=reason)
        case _:
            return None


def _is_trunks(error: PbxError) -> bool:
    """Whether it is the trunk's fault. "Allocation failed" (500): Asterisk could make no channel to it. All else is not."""
    return isinstance(error, Undialable) or (
        isinstance(error, PbxRefused) and error.status == _ALLOCATION_FAILED
    )
