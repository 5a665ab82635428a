"""Answers that cross our cancel: who picks up at the instant at which we give the call up has answered, and was met by nobody.

1. Asterisk lets go of the channel when it sends the CANCEL, and tells nothing of what the carrier says to it. But until the INVITE has its
   final response the call is not over (RFC 3261, 9.1): 487, and nobody answered; or 200, which Asterisk confirms and hangs up.
2. So the end of a call that rang, and that nobody is known to have answered, is told to the floor when that response was seen, in the copies
   of SIP messages that Asterisk sends us (:mod:`dialer.pbx.hep`). If it was an answer, that is told before, and the call is abandoned.
   For a carrier that is well the wait is one way there and back.
3. It is waited for no longer than :data:`WAIT_S`; then the call ends as it would have. So it does at once where no copy of its INVITE was seen
   (an Asterisk that sends none, or a packet that was lost), unless that was sent before we listened.
4. Copies come by UDP to a port that is ours alone while we run, with a password. They are read in handfuls: to be woken for each of the ten of a
   call would cost more than to read it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from dialer.core.events import AnswerFound, ContactHungUp, Event
from dialer.core.ids import AttemptId, is_attempt
from dialer.core.values import Call
from dialer.engine.identity import Clock
from dialer.pbx.files import read_file, write_file
from dialer.pbx.frames import AnyFrame, Channel, ChannelDestroyed, Dial
from dialer.pbx.hep import read

log = logging.getLogger(__name__)

WAIT_S: Final = 5.0
"""A CANCEL that is lost is sent again after 0.5, 1.5 and 3.5 s (RFC 3261, 17.1.2.2)."""
CALLS_MAX: Final = 20_000
"""So many are known at most; of more the oldest are forgotten. Those that end are forgotten then, but for a few whose end was found in a list."""
OTHERS_MAX: Final = 1_000
READ_S: Final = 0.02
"""Between two handfuls of copies; less than it takes any carrier to say anything."""
PACKETS_MAX: Final = 200
"""Of one handful: then it is somebody else's turn."""
PACKET_BYTES: Final = 65_536
BUFFER_BYTES: Final = 4_000_000
"""For an instant in which nobody reads; the kernel may give less."""
LOOPBACK: Final = "127.0.0.1"
PORT_MAX: Final = 65_535
_UP: Final = "Up"

Tell = Callable[[Event], None]


class _Seen(msgspec.Struct):
    """What is known of the INVITE of a call of ours. *held*: the call's end, which is told when the final response is there."""

    attempt: AttemptId
    is_copied: bool = False
    answered_at: float | None = None
    held: ContactHungUp | None = None
    tell: Tell | None = None
    timer: asyncio.TimerHandle | None = None


class LateAnswers:
    """Holds back the ends of cancelled calls until it is known whether they were answered.

    *calls*: those on the floor, as they stand. *password*: of whoever sends copies.
    """

    def __init__(
        self, *, calls: Mapping[AttemptId, Call], clock: Clock, password: str, wait_s: float = WAIT_S
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._password = password.encode()
        self._wait_s = wait_s
        self._seen: dict[str, _Seen] = {}
        """Of our calls, by their Call-IDs."""
        self._others: dict[str, None] = {}
        """The last INVITEs of which it is not known yet whose they are; anybody can send us some."""
        self._must_warn = True
        """Until a copy has come, or it was said that none comes."""
        self._socket: socket.socket | None = None
        self._since: float | None = None
        self._rest: asyncio.TimerHandle | None = None

    async def listen(self, wanted: str, note: Path) -> str:
        """Listen at *wanted* (``IP:PORT``) from now on; where it is. Empty: at a port of this machine's own address, kept in the file *note*:
        the same as last time, so that an Asterisk that outlived an engine need not be told another.

        Returns an empty text if nothing can be listened at; the log says why, and people are served all the same.
        """
        if wanted:
            address, _, port = wanted.rpartition(":")
            places = [(address, int(port))]
        else:
            places = [(LOOPBACK, await asyncio.to_thread(_remembered, note)), (LOOPBACK, 0)]
        for place in places:
            try:
                port_now = self._bind(*place)
            except OSError as error:
                log.log(
                    logging.ERROR if place == places[-1] else logging.INFO,
                    "Copies of SIP messages cannot be received: %s",
                    error,
                    extra={"action": "hep", "address": "{}:{}".format(*place)},
                )
                continue
            if not wanted:
                await asyncio.to_thread(write_file, note, f"{port_now}\n")
            return f"{place[0]}:{port_now}"
        return ""

    def _bind(self, address: str, port: int) -> int:
        here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            here.bind((address, port))
            here.setblocking(False)
            asyncio.get_running_loop().add_reader(here, self._begin_rest, here)
        except BaseException:
            here.close()
            raise
        self._socket, self._since = here, self._clock()
        return int(here.getsockname()[1])

    def takes(self, frame: AnyFrame, event: Event | None, tell: Tell) -> bool:
        """Look at what Asterisk says, *event* to the core. Whether that is ours to *tell*, now or later."""
        match frame:
            case Dial(peer=peer, dialstatus="") if is_attempt(peer.id):
                self.placed(peer)
            case ChannelDestroyed(channel=channel) if isinstance(event, ContactHungUp):
                self.ended(event, channel, tell)
                return True
        return False

    def placed(self, channel: Channel) -> None:
        """The *channel* of a call of ours has just been made: what is copied of it is of interest."""
        call_id = channel.protocol_id
        if not call_id or call_id in self._seen:
            return
        if len(self._seen) >= CALLS_MAX:
            self._release(next(iter(self._seen)))
        self._seen[call_id] = _Seen(attempt=AttemptId(channel.id), is_copied=call_id in self._others)

    def ended(self, event: ContactHungUp, channel: Channel, tell: Tell) -> None:
        """The *channel* of a call is gone: *tell* so, at once or when it is known how its INVITE ended."""
        self._read()
        call_id, call = channel.protocol_id, self._calls.get(event.attempt)
        seen = self._seen.get(call_id)
        if seen is None and call_id and self._is_older(call):
            seen = self._seen[call_id] = _Seen(attempt=event.attempt, is_copied=True)
        # A proxy may have sent our own call back to us, under its Call-ID.
        if seen is None or seen.attempt != event.attempt:
            tell(event)
            return
        if seen.held is not None:  # it is told twice
            return
        seen.held, seen.tell = event, tell
        if call is None or call.answered_at is not None or event.tech_cause:
            seen.answered_at = None  # all is known
        elif channel.state == _UP:
            # The dialplan has who answered, and listens whether they are a machine: if we gave them up, they met nobody.
            seen.answered_at = seen.answered_at if call.ending else None
        elif seen.answered_at is None and call.rang_at is not None:
            if seen.is_copied:
                seen.timer = asyncio.get_running_loop().call_later(self._wait_s, self._give_up, call_id)
                return
            self._warn(event.attempt)
        self._release(call_id)

    def _is_older(self, call: Call | None) -> bool:
        """Whether its INVITE was sent before we listened."""
        return call is not None and self._since is not None and call.created_at <= self._since

    def _warn(self, attempt: AttemptId) -> None:
        """Once, if we listen in vain."""
        if self._must_warn and self._socket is not None:
            self._must_warn = False
            log.warning(
                "Asterisk sends no copies of SIP messages: answers that cross our cancel are not known",
                extra={"action": "hep", "attempt": attempt},
            )

    def close(self) -> None:
        """Listen no more. What is held stays untold: the next engine finds those calls gone."""
        if self._rest is not None:
            self._rest.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for seen in self._seen.values():
            if seen.timer is not None:
                seen.timer.cancel()
        self._seen.clear()

    # -- what Asterisk copies ---------------------------------------------------------------

    def _begin_rest(self, here: socket.socket) -> None:
        """A copy has come, and others will."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(here)
        self._rest = loop.call_later(READ_S, self._end_rest, here)

    def _end_rest(self, here: socket.socket) -> None:
        self._read()
        asyncio.get_running_loop().add_reader(here, self._begin_rest, here)

    def _read(self) -> None:
        """What has come so far."""
        here = self._socket
        if here is None:
            return
        for _ in range(PACKETS_MAX):
            try:
                packet = here.recv(PACKET_BYTES)
            except OSError:  # nothing is left; or a fault of the network that says nothing of the next packet
                return
            self.heard(packet)

    def heard(self, packet: bytes) -> None:
        """A copy came."""
        news = read(packet, self._password)
        if news is None:
            return
        self._must_warn = False
        seen = self._seen.get(news.call_id)
        if seen is None:
            if news.stand == "sent":  # of ours, if Asterisk tells of its channel only now
                self._others[news.call_id] = None
                if len(self._others) > OTHERS_MAX:
                    del self._others[next(iter(self._others))]
        elif news.stand == "sent":
            seen.is_copied = True
        else:
            if news.stand == "answered" and seen.answered_at is None:
                seen.answered_at = self._clock()
            # Of who has answered the channel's end is waited for, if it has not come.
            if seen.held is not None or news.stand == "refused":
                self._release(news.call_id)

    def _give_up(self, call_id: str) -> None:
        log.info(
            "The carrier does not say how a cancelled call ended",
            extra={"action": "late_answer", "attempt": self._seen[call_id].attempt},
        )
        self._release(call_id)

    def _release(self, call_id: str) -> None:
        """Forget the call; if its end is held, tell it now, after its answer if there was one."""
        seen = self._seen.pop(call_id)
        if seen.timer is not None:
            seen.timer.cancel()
        if seen.held is None or seen.tell is None:
            return
        at = self._clock()
        if seen.answered_at is not None:
            seen.tell(AnswerFound(at=at, attempt=seen.attempt, answered_at=seen.answered_at))
        seen.tell(msgspec.structs.replace(seen.held, at=at))


def _remembered(note: Path) -> int:
    """The port in *note*; 0, any, if there is none."""
    text = (read_file(note) or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and int(text) <= PORT_MAX else 0
