"""An Asterisk without Asterisk: channels and bridges in memory, obedient, and told apart from whoever uses it.

What the floor may rely on is kept: a request about a channel that is gone is answered so; a channel enters
a bridge only where both are in our hands; who is answered while nobody listens is in the dialplan's. What
people do on the line is not decided here: that is for the hooks of a subclass, or for a test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dialer.core import events as ev
from dialer.core.commands import (
    AnnounceWait,
    AnyCommand,
    CloseLine,
    DialThird,
    Dismiss,
    HangUp,
    HoldContact,
    JoinAgent,
    MoveContact,
    MoveLine,
    OpenLine,
    Originate,
    ReportTransfer,
    RingAgent,
    RingTone,
    SendToLastWord,
    SendToOverflow,
    StopTone,
    Tell,
)
from dialer.core.ids import AttemptId, BridgeId, ChannelId, TrunkId, is_attempt, is_leg, is_third, line_of

GONE_S = 1.0
"""A channel that is gone when it is hung up is told so after this time."""


class Channel:
    """A channel. *number*: of a person's whom we call, and the *kind* of their phone; *phone*: of an operator's; *trunk*: by which it
    goes, or came."""

    __slots__ = (
        "bridge",
        "fate",
        "id",
        "in_app",
        "is_ringing",
        "is_up",
        "kind",
        "number",
        "phone",
        "story",
        "trunk",
    )

    def __init__(
        self,
        channel: ChannelId,
        *,
        number: str = "",
        kind: str = "",
        phone: str = "",
        trunk: TrunkId | None = None,
    ) -> None:
        self.id = channel
        self.number = number
        self.kind = kind
        self.phone = phone
        self.trunk = trunk
        self.is_up = False
        self.is_ringing = False
        self.in_app = False
        self.bridge: BridgeId | None = None
        self.story: Any = None
        self.fate: Any = None
        """Whatever its user wants to remember of it, and knows beforehand."""


class Switch:
    """Channels, and what is asked of them.

    *emit* takes the events of channels, which are lost while nobody listens (*is_heard* false); *answer*
    takes what comes back to a request, however long after.
    """

    def __init__(self, emit: Callable[[ev.Event], None], answer: Callable[[ev.Event, float], None]) -> None:
        self.at = 0.0
        self.channels: dict[ChannelId, Channel] = {}
        self.is_heard = True
        self.is_lying = False
        """A join that is carried out is told as refused: no answer came in time."""
        self.is_refusing = False
        """Requests that make a channel are refused."""
        self.outside: dict[str, TrunkId] = {}
        """Phones that are outside lines, and by which trunks they are called."""
        self.forwards: dict[ChannelId, ChannelId] = {}
        """Callers for whom the dialplan calls another number, and its channel."""
        self._emit = emit
        self._answer = answer
        self._bridges: set[BridgeId] = set()
        """Of lines."""
        self._live_numbers: dict[str, ChannelId] = {}

    # -- what happens on the line: for subclasses ---------------------------------------------

    def invited(self, person: Channel) -> None:
        """A person is being called."""

    def joined(self, person: Channel) -> None:
        """The person talks with an operator from now on."""

    def left(self, person: Channel) -> None:
        """The person is in the dialplan's hands from now on."""

    def held(self, person: Channel) -> None:
        """The person hears music from now on."""

    def rung(self, leg: Channel) -> None:
        """An operator's phone is being called."""

    def gone(self, channel: Channel) -> None:
        """The channel is no more."""

    # -- requests -----------------------------------------------------------------------------

    def carry_out(self, command: AnyCommand) -> None:
        """Do what the engine asks of Asterisk."""
        match command:
            case Tell() | AnnounceWait() | RingTone() | StopTone() | ReportTransfer():
                pass
            case MoveContact(attempt=attempt, bridge=bridge):
                self._join(attempt, bridge)
            case MoveLine(channel=channel, bridge=bridge):
                self._move_line(channel, bridge)
            case DialThird():
                self._dial_third(command)
            case Originate():
                self._originate(command)
            case HangUp():
                self._hang_up(command)
            case JoinAgent(attempt=attempt, bridge=bridge):
                self._join(attempt, bridge)
            case RingAgent():
                self._ring(command)
            case OpenLine():
                self._open_line(command)
            case CloseLine():
                self._close_line(command)
            case Dismiss():
                self._dismiss(command)
            case SendToLastWord():
                self._last_word(command)
            case HoldContact():
                self._hold(command)
            case SendToOverflow():
                self._overflow(command)
            case _:
                raise AssertionError(f"no request to Asterisk: {command}")

    def _originate(self, command: Originate) -> None:
        if self.is_refusing:
            refused = ev.OriginateRefused(at=self.at, attempt=command.attempt, reason="500")
            self._answer(refused, 0.0)
            return
        assert command.number not in self._live_numbers, f"{command.number} is rung twice at once"
        person = Channel(
            ChannelId(command.attempt), number=command.number, kind=command.kind, trunk=command.trunk
        )
        self.channels[person.id] = person
        self._live_numbers[command.number] = person.id
        self.invited(person)

    def _hang_up(self, command: HangUp) -> None:
        channel = command.channel
        if channel in self.channels:
            self.end(channel, 16)
        elif is_attempt(channel):
            gone = ev.ContactHungUp(at=self.at + GONE_S, attempt=AttemptId(channel))
            self._answer(gone, GONE_S)
        elif is_leg(channel) or is_third(channel):
            self._answer(ev.LineEnded(at=self.at + GONE_S, channel=channel), GONE_S)

    def _join(self, attempt: AttemptId, bridge: BridgeId) -> None:
        person = self.channels.get(ChannelId(attempt))
        if person is not None and person.in_app and self._is_bridge(bridge):
            if person.bridge != bridge:
                person.bridge = bridge
                self.emit(ev.Connected(at=self.at, attempt=attempt, bridge=bridge))
                self.joined(person)
            if not self.is_lying:
                return
        refused = ev.JoinRefused(at=self.at, attempt=attempt, bridge=bridge, reason="404")
        self._answer(refused, 0.0)

    def _is_bridge(self, bridge: BridgeId) -> bool:
        """A line's bridge is there as long as the line, wherever that is at the moment."""
        line = self.channels.get(line_of(bridge))
        return line is not None and bridge in self._bridges

    def _move_line(self, channel: ChannelId, bridge: BridgeId) -> None:
        line = self.channels.get(channel)
        if line is not None and line.in_app and self._is_bridge(bridge):
            line.bridge = bridge
            self.emit(ev.LineJoined(at=self.at, channel=channel, bridge=bridge))

    def _dial_third(self, command: DialThird) -> None:
        if self.is_refusing:
            self._answer(ev.ThirdRefused(at=self.at, channel=command.channel, reason="500"), 0.0)
        else:
            self._make(Channel(command.channel, trunk=command.trunk))

    def _last_word(self, command: SendToLastWord) -> None:
        person = self.channels.get(ChannelId(command.attempt))
        if person is not None and person.in_app:
            person.in_app, person.bridge = False, None
            self.left(person)

    def _overflow(self, command: SendToOverflow) -> None:
        person = self.channels.get(ChannelId(command.attempt))
        if person is not None and person.in_app:
            person.in_app, person.bridge = False, None
            self.left(person)
            if command.place == "number" and command.trunk is not None:
                other = Channel(ChannelId(f"forwarded-{person.id}"), trunk=command.trunk)
                self.forwards[person.id] = other.id
                self._make(other)
                self.emit(ev.CallForwarded(at=self.at, attempt=command.attempt, channel=other.id))

    def _make(self, channel: Channel) -> None:
        """A channel that is no contact's call; whose trunk tells of it."""
        self.channels[channel.id] = channel
        self._tell_use(channel)

    def _tell_use(self, channel: Channel) -> None:
        if channel.trunk is not None and not channel.number:
            mine = tuple(
                one.id for one in self.channels.values() if one.trunk == channel.trunk and not one.number
            )
            self.emit(ev.TrunkUsed(at=self.at, trunk=channel.trunk, channels=mine))

    def _hold(self, command: HoldContact) -> None:
        person = self.channels.get(ChannelId(command.attempt))
        if person is not None and person.in_app and person.bridge != command.bridge:
            person.bridge = command.bridge
            self.emit(ev.Connected(at=self.at, attempt=command.attempt, bridge=command.bridge))
            self.held(person)

    def _open_line(self, command: OpenLine) -> None:
        line = self.channels.get(command.channel)
        if line is None or not line.in_app:
            self._answer(ev.LineRefused(at=self.at, channel=command.channel, reason="404"), 0.0)
        else:
            line.bridge = command.bridge
            self._bridges.add(command.bridge)
            self.emit(ev.LineJoined(at=self.at, channel=command.channel, bridge=command.bridge))

    def _close_line(self, command: CloseLine) -> None:
        self._bridges.discard(command.bridge)
        for one in list(self.channels.values()):
            if one.bridge == command.bridge:
                one.bridge = None

    def _ring(self, command: RingAgent) -> None:
        if self.is_refusing:
            self._answer(ev.LegRefused(at=self.at, channel=command.channel, reason="500"), 0.0)
        else:
            leg = Channel(command.channel, phone=command.phone, trunk=self.outside.get(command.phone))
            self._make(leg)
            self.rung(leg)

    def _dismiss(self, command: Dismiss) -> None:
        if command.channel in self.channels:
            self.end(command.channel, 16)

    # -- what people do -----------------------------------------------------------------------

    def emit(self, event: ev.Event) -> None:
        """Tell *event*, if anybody listens."""
        if self.is_heard:
            self._emit(event)

    def rings(self, person: Channel) -> None:
        """The person's phone rings."""
        person.is_ringing = True
        self.emit(ev.ContactRang(at=self.at, attempt=AttemptId(person.id)))

    def answers(self, channel: Channel) -> None:
        """A person or a rung operator answers; with no engine there, the dialplan has the person."""
        channel.is_up = True
        channel.in_app = self.is_heard
        if not self.is_heard:
            return
        if is_attempt(channel.id):
            self.emit(ev.ContactAnswered(at=self.at, attempt=AttemptId(channel.id)))
        elif is_third(channel.id):
            self.emit(ev.ThirdAnswered(at=self.at, channel=channel.id))
        else:
            self.emit(ev.LegAnswered(at=self.at, channel=channel.id))

    def calls_us(self, channel: ChannelId, trunk: TrunkId | None = None) -> Channel:
        """A person calls us; with no engine there, the dialplan has them. Who they are is not told here."""
        made = Channel(channel, trunk=trunk)
        made.is_up, made.in_app = True, self.is_heard
        self._make(made)
        return made

    def dials(self, phone: str, code: str, channel: ChannelId) -> Channel | None:
        """An operator dials a code; with no engine there, a tone says so (None)."""
        if not self.is_heard:
            return None
        made = Channel(channel, phone=phone)
        made.is_up = made.in_app = True
        self.channels[channel] = made
        self.emit(ev.FeatureDialed(at=self.at, channel=channel, phone=phone, code=code))
        return made

    def end(self, channel: ChannelId, cause: int, tech_cause: int | None = None) -> None:
        """The channel is gone, and the other number's, to which it was forwarded."""
        one = self.channels.pop(channel)
        if (other := self.forwards.pop(channel, None)) in self.channels:
            assert other is not None
            self.end(other, 16)
        self._tell_use(one)
        if one.number:
            del self._live_numbers[one.number]
        self.gone(one)
        if is_attempt(channel):
            attempt = AttemptId(channel)
            self.emit(ev.ContactHungUp(at=self.at, attempt=attempt, cause=cause, tech_cause=tech_cause))
        else:
            self.emit(ev.LineEnded(at=self.at, channel=channel, cause=cause, tech_cause=tech_cause))

    # -- looking ------------------------------------------------------------------------------

    def listed(self) -> tuple[ev.LiveChannel, ...]:
        """What lives, as Asterisk lists it."""
        return tuple(
            ev.LiveChannel(
                channel=one.id,
                is_up=one.is_up,
                is_ringing=one.is_ringing and not one.is_up,
                in_app=one.in_app,
                bridge=one.bridge,
                trunk=one.trunk,
            )
            for one in self.channels.values()
        )

    def persons(self, *, is_up: bool | None = None) -> list[Channel]:
        """Channels of persons, oldest first."""
        return [
            one
            for one in self.channels.values()
            if is_attempt(one.id) and (is_up is None or one.is_up is is_up)
        ]

    def lines(self) -> list[Channel]:
        """Channels of operators and third parties, oldest first."""
        others = self.forwards.values()
        return [one for one in self.channels.values() if not is_attempt(one.id) and one.id not in others]


def chain_of(command: Any) -> str:
    """The channel whose requests *command* stands in line with."""
    match command:
        case Originate(attempt=attempt) | JoinAgent(attempt=attempt) | SendToLastWord(attempt=attempt):
            return attempt
        case MoveContact(attempt=attempt):
            return attempt
        case HoldContact(attempt=attempt) | AnnounceWait(attempt=attempt) | SendToOverflow(attempt=attempt):
            return attempt
        case CloseLine(bridge=bridge):
            return line_of(bridge)
        case _:
            return str(command.channel)
