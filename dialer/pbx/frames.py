"""Frames: what Asterisk says over the event socket, typed.

1. Only frames that somebody acts on have a type here, and only the fields that are read.
   :data:`WANTED` is the list that Asterisk is told to send; a test holds both together.
2. A frame of another type, or one that lacks a field, is no accident worth dying for: it is
   counted by its type, the last hundred are kept for the telecom engineer, and life goes on.
3. Decoding is one pass of msgspec over the bytes; fields that we do not name cost nothing.
4. A channel that is in our application and belongs to an endpoint that we are subscribed to tells
   some things twice, a pressed key among them: byte for byte the same frame, to the millisecond.
   The second is dropped here, so that ``*43`` is not heard as ``**4433``.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

import msgspec

KEPT_FRAMES: Final = 100
KEPT_BYTES: Final = 4096
"""Of each kept frame."""
NAMES_MAX: Final = 200
"""Distinct types counted by name; further ones are counted together."""
REMEMBERED: Final = 64
"""Frames among which a doubled one is looked for; the two come one right after the other."""


class Channel(msgspec.Struct, frozen=True):
    """A channel as it was when the frame was made. *channelvars*: the variables that ``ari.conf`` names. *protocol_id*: its SIP
    Call-ID; empty where Asterisk does not tell it."""

    id: str
    name: str = ""
    state: str = ""
    protocol_id: str = ""
    channelvars: dict[str, str] = {}


class Bridge(msgspec.Struct, frozen=True):
    """A bridge; *channels* are the ids of those in it."""

    id: str
    channels: tuple[str, ...] = ()


class Endpoint(msgspec.Struct, frozen=True):
    """A trunk or a phone. *state*: ``online``, ``offline``, ``unknown``, or None. *channel_ids*: its channels."""

    technology: str
    resource: str
    state: str | None = None
    channel_ids: tuple[str, ...] = ()


class Peer(msgspec.Struct, frozen=True):
    """*peer_status*: Reachable or Unreachable."""

    peer_status: str


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=True):
    """One message from Asterisk."""


class StasisStart(Frame, frozen=True):
    """A channel came into our hands. *args*: what the dialplan or the originate said about it."""

    channel: Channel
    args: tuple[str, ...] = ()


class StasisEnd(Frame, frozen=True):
    """A channel left our hands (it may live on in the dialplan)."""

    channel: Channel


class Dial(Frame, frozen=True):
    """The progress of an outgoing call. *dialstatus*: '', RINGING, PROGRESS, ANSWER, BUSY, ...

    *forwarded*: who was called answered by sending us elsewhere (SIP 3xx), and Asterisk calls there already: that channel.
    """

    peer: Channel
    caller: Channel | None = None
    """For which the dialplan calls, if it does."""
    dialstatus: str = ""
    forwarded: Channel | None = None


class ChannelDestroyed(Frame, frozen=True):
    """A channel is gone. *cause*: Q.850. *tech_cause*: the final SIP status, if there was one."""

    channel: Channel
    cause: int
    tech_cause: int | None = None


class ChannelEnteredBridge(Frame, frozen=True):
    """A channel is in a bridge now."""

    bridge: Bridge
    channel: Channel | None = None


class ChannelDtmfReceived(Frame, frozen=True):
    """A key was pressed and released."""

    channel: Channel
    digit: str


class ChannelHold(Frame, frozen=True):
    """A phone put the other side on hold by its own key (a re-INVITE)."""

    channel: Channel


class ChannelUnhold(Frame, frozen=True):
    """And took it back."""

    channel: Channel


class Destination(msgspec.Struct, frozen=True):
    """Whom a REFER names."""

    destination: str = ""


class ReferTo(msgspec.Struct, frozen=True):
    """*destination_channel*: the phone's other call, which is to be replaced; None: a blind transfer."""

    requested_destination: Destination = Destination()
    destination_channel: Channel | None = None


class ReferredBy(msgspec.Struct, frozen=True):
    """*source_channel*: where the REFER came."""

    source_channel: Channel


class ChannelTransfer(Frame, frozen=True):
    """A phone asks for a transfer. With a *state* it is only what we reported ourselves, said again."""

    refer_to: ReferTo
    referred_by: ReferredBy
    state: str | None = None


class ChannelUserevent(Frame, frozen=True):
    """The dialplan says something of a channel (``UserEvent()``). *userevent*: its fields, and ``eventname``; all of them text."""

    eventname: str
    channel: Channel | None = None
    userevent: dict[str, object] = {}


class PeerStatusChange(Frame, frozen=True):
    """A trunk or a phone became reachable or unreachable, all its addresses taken together.

    Asterisk says it three times over. ContactStatusChange speaks of single addresses (when a phone
    registers from a new one, the old is Removed while the new works), and EndpointStateChange comes
    with every channel besides; so this is the one that we believe.
    """

    endpoint: Endpoint
    peer: Peer


class EndpointStateChange(Frame, frozen=True):
    """A channel of a trunk or a phone came or went (or its state changed): these are its channels now.

    It tells the whole, so that a lost one is made good by the next; and the channels by their ids, so
    that ours are known from others. A device state would say "in use" of both.
    """

    endpoint: Endpoint


class ApplicationReplaced(Frame, frozen=True):
    """Somebody else connected under our application's name; our socket will be closed."""

    application: str = ""


AnyFrame = (
    StasisStart
    | StasisEnd
    | Dial
    | ChannelDestroyed
    | ChannelEnteredBridge
    | ChannelDtmfReceived
    | ChannelHold
    | ChannelUnhold
    | ChannelTransfer
    | ChannelUserevent
    | PeerStatusChange
    | EndpointStateChange
    | ApplicationReplaced
)

WANTED: Final[tuple[str, ...]] = (
    "StasisStart",
    "Dial",
    "ChannelDestroyed",
    "ChannelEnteredBridge",
    "ChannelDtmfReceived",
    "ChannelHold",
    "ChannelUnhold",
    "ChannelTransfer",
    "ChannelUserevent",
    "PeerStatusChange",
    "EndpointStateChange",
    "ApplicationReplaced",
)
"""What Asterisk is asked to send; all else it keeps to itself."""


class _Head(msgspec.Struct):
    """Of a frame that could not be decoded: at least its type."""

    type: str = "?"


class FrameReader:
    """Decodes frames, and remembers those that it could not.

    *seen*: decoded frames by type. *unknown*: frames of a type that we do not know, by type.
    *malformed*: frames of a type that we do know, but not so. *kept*: the last of both, raw.
    *doubled*: frames that came twice, and were read once.
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.malformed: Counter[str] = Counter()
        self.doubled = 0
        self.kept: deque[str] = deque(maxlen=KEPT_FRAMES)
        self._last: deque[str | bytes] = deque()
        self._last_set: set[str | bytes] = set()
        self._decoder: msgspec.json.Decoder[AnyFrame] = msgspec.json.Decoder(AnyFrame)
        self._head = msgspec.json.Decoder(_Head)
        self._types = frozenset(name_of(kind) for kind in AnyFrame.__args__)

    def read(self, data: str | bytes) -> AnyFrame | None:
        """The frame in *data*. Never raises.

        None if it is not one that we know (counted and kept), or the second of a pair (counted).
        """
        if data in self._last_set:
            self.doubled += 1
            return None
        self._last_set.add(data)
        self._last.append(data)
        if len(self._last) > REMEMBERED:
            self._last_set.discard(self._last.popleft())
        try:
            frame = self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeError):
            self._keep(data)
            return None
        self.seen[type(frame).__name__] += 1
        return frame

    def _keep(self, data: str | bytes) -> None:
        try:
            kind = self._head.decode(data).type
        except (msgspec.DecodeError, UnicodeError):
            kind = "?"
        counter = self.malformed if kind in self._types or kind == "?" else self.unknown
        if kind not in counter and len(counter) >= NAMES_MAX:
            kind = "(others)"
        counter[kind[:80]] += 1
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        self.kept.append(text[:KEPT_BYTES])


def name_of(kind: type[Frame]) -> str:
    """The ``type`` by which Asterisk calls frames of this class."""
    return kind.__name__
