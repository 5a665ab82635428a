"""One real call by a trunk, measured: what ``dialer trunk test`` places.

1. The call is Asterisk's own: it runs in the dialplan (``dialplan/40-trunk-test.conf``), which ends it also if we die. We listen
   under an application name of our own, so the engine's events and filter are not touched; and the channel's id begins with
   :data:`TEST_CHANNEL`. The engine sees only that the trunk has one channel more.
2. ARI tells of a call: ringing (180), progress (183), the answer, the end with its SIP status and Q.850 cause; not of the
   100 Trying. What is told here are its events by the clock of Asterisk, in milliseconds from the originate.
3. Packets, jitter and loss are Asterisk's own counts (``rtp_statistics``), asked for again and again, for they are gone with the
   channel. The round trip of the voice and what the far end lost are known only if it sends RTCP.
4. Whether anybody is heard, TALK_DETECT tells: packets alone may be silence.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import quote

import aiohttp
import msgspec

from dialer.pbx.client import AriClient
from dialer.pbx.errors import PbxError, PbxRefused

TEST_CHANNEL: Final = "trunk-test-"
CONTEXT: Final = "obzvon-trunk-test"
_EVENTS: Final = (
    "Dial",
    "ChannelStateChange",
    "ChannelDestroyed",
    "ChannelTalkingStarted",
    "ChannelTalkingFinished",
)
_LOOK_S: Final = 0.25
_GRACE_S: Final = 10.0
"""The channel has ended so long after its time, or we end it."""
_STEPS: Final = {"RINGING": "180 Ringing", "PROGRESS": "183 Session Progress", "ANSWER": "200 OK"}

Audio = Literal["tone", "speech"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, *ms* after the originate."""

    what: str
    ms: float


class Measured(msgspec.Struct, kw_only=True):
    """The call as it was. Times in seconds, jitter and round trips in milliseconds; None: it was not told.

    *status*: the final SIP status, *cause*: Q.850, of a call that ended. *received*, *sent*: packets of voice. *lost_here*, *lost_there*:
    packets that did not arrive. *heard_s*: how long anybody was heard. *goes_to*, *comes_to*: where our voice goes, and where
    theirs is waited for.
    """

    steps: list[Step] = msgspec.field(default_factory=list)
    is_answered: bool = False
    is_ended_by_us: bool = False
    status: int | None = None
    cause: int | None = None
    talked_s: float = 0.0
    codec: str = ""
    is_voice_encrypted: bool | None = None
    is_sip_encrypted: bool | None = None
    goes_to: str = ""
    comes_to: str = ""
    sip_rtt_ms: float | None = None
    sent: int = 0
    received: int = 0
    lost_here: int = 0
    lost_there: int = 0
    jitter_here_ms: float = 0.0
    jitter_there_ms: float = 0.0
    rtt_ms: float | None = None
    heard_s: float = 0.0
    refusal: str = ""
    """Why Asterisk placed no call."""


async def place(
    ari: AriClient,
    *,
    endpoint: str,
    number: str,
    caller_id: str,
    audio: Audio,
    seconds: int,
    ring_s: int,
    tell: Callable[[Step], None] | None = None,
) -> Measured:
    """Call *number* (as the carrier wants it) by *endpoint*, talk for *seconds*, and measure. *tell*: each step as it happens.

    *ari*: with an application name that nobody else has. Raises PbxError: Asterisk cannot be asked.
    """
    trial = _Trial(ari, f"{TEST_CHANNEL}{secrets.token_hex(8)}", endpoint, seconds, tell)
    async with _events(ari, endpoint) as events:
        reading = asyncio.create_task(trial.read(events))
        try:
            began = await trial.originate(number, caller_id, audio, ring_s)
            if began:
                await trial.measure(ring_s + seconds + _GRACE_S)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            await trial.end()
    return trial.measured


@asynccontextmanager
async def _events(ari: AriClient, endpoint: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse[Any]]:
    """The events of the endpoint's channels, under our own application name."""
    socket = await ari.open_events()
    app = f"/applications/{ari.app}"
    try:
        source = {"eventSource": f"endpoint:PJSIP/{endpoint}"}
        await ari.request("POST", f"{app}/subscription", params=source, repeatable=True)
        allowed = {"allowed": [{"type": name} for name in _EVENTS]}
        with suppress(PbxRefused):  # only spares us some
            await ari.request("PUT", f"{app}/eventFilter", json=allowed, repeatable=True)
        yield socket
    finally:
        await socket.close()


class _Trial:
    def __init__(
        self,
        ari: AriClient,
        channel: str,
        endpoint: str,
        seconds: int,
        tell: Callable[[Step], None] | None,
    ) -> None:
        self.measured = Measured()
        self._ari = ari
        self._channel = channel
        self._endpoint = endpoint
        self._seconds = seconds
        self._tell = tell
        self._began: float | None = None
        self._waiting: list[dict[str, Any]] = []
        self._answered_at = 0.0
        self._talking_since: float | None = None
        self._astray: set[str] = set()
        """Whither the far end would have sent us (SIP 3xx): Asterisk calls there by itself."""
        self._ended = asyncio.Event()
        self._answered = asyncio.Event()

    async def originate(self, number: str, caller_id: str, audio: Audio, ring_s: int) -> bool:
        """Place the call; False: Asterisk would not, and ``refusal`` says why."""
        body: dict[str, Any] = {
            "endpoint": f"PJSIP/{number}@{self._endpoint}",
            "channelId": self._channel,
            "context": CONTEXT,
            "extension": audio,
            "priority": 1,
            "timeout": ring_s,
            "variables": {"OBZVON_TEST_S": str(self._seconds)},
        }
        if caller_id:
            body["callerId"] = caller_id
        try:
            answer = await self._ari.request("POST", "/channels", json=body)
        except PbxRefused as refusal:
            self.measured.refusal = str(refusal)
            return False
        self._began = _instant(answer.get("creationtime"))
        self._step("INVITE", self._began)
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._happened(event)
        return True

    async def read(self, socket: aiohttp.ClientWebSocketResponse[Any]) -> None:
        """Take events until the socket ends."""
        async for message in socket:
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                continue
            with suppress(msgspec.DecodeError):
                event = msgspec.json.decode(message.data)
                if not self._is_ours(event):
                    continue
                if self._began is None:  # quicker than the answer to our request
                    self._waiting.append(event)
                else:
                    self._happened(event)

    async def measure(self, within_s: float) -> None:
        """Until the call is over, keep what Asterisk counts."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                is_known = False
                while not self._ended.is_set():
                    if self._answered.is_set():
                        is_known = is_known or await self._ask_once()
                        await self._count()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._ended.wait(), _LOOK_S)
        if self._talking_since is not None:
            self.measured.heard_s += max(
                0.0, self._answered_at + self.measured.talked_s - self._talking_since
            )

    async def end(self) -> None:
        """Leave nothing behind."""
        if not self._ended.is_set() and self._began is not None:
            await self._hang_up(self._channel)
        for channel in self._astray:
            await self._hang_up(channel)

    async def _hang_up(self, channel: str) -> None:
        with suppress(PbxError):
            await self._ari.request("DELETE", f"/channels/{quote(channel, safe='')}", repeatable=True)

    # -- events ---------------------------------------------------------------------------

    def _is_ours(self, event: Any) -> bool:
        if not isinstance(event, dict):
            return False
        return any((event.get(name) or {}).get("id") == self._channel for name in ("channel", "peer"))

    def _happened(self, event: dict[str, Any]) -> None:
        at = _instant(event.get("timestamp"))
        match event.get("type"):
            case "Dial" if event.get("forwarded"):
                self._astray.add(str(event["forwarded"].get("id")))
            case "Dial":
                if what := _STEPS.get(str(event.get("dialstatus"))):
                    self._step(what, at)
                    if event.get("dialstatus") == "ANSWER":
                        self._is_up(at)
            case "ChannelStateChange" if event["channel"].get("state") == "Up":
                self._is_up(at)
            case "ChannelTalkingStarted":
                self._talking_since = at
            case "ChannelTalkingFinished":
                self._talking_since = None
                self.measured.heard_s += float(event.get("duration", 0)) / 1000
            case "ChannelDestroyed":
                self._is_over(event, at)

    def _is_up(self, at: float) -> None:
        if self._answered.is_set():
            return
        self._step("200 OK", at)
        self.measured.is_answered = True
        self._answered_at = at
        self._answered.set()

    def _is_over(self, event: dict[str, Any], at: float) -> None:
        measured = self.measured
        measured.cause = int(event.get("cause") or 0)
        status = int(event.get("tech_cause") or 0)
        measured.status = status or None
        if measured.is_answered:
            measured.talked_s = at - self._answered_at
            measured.is_ended_by_us = measured.talked_s >= self._seconds - 0.5
            self._step("BYE, ours" if measured.is_ended_by_us else "BYE, theirs", at)
        else:
            self._step(f"{status} (the call came to nothing)" if status else "the call came to nothing", at)
        self._ended.set()

    def _step(self, what: str, at: float) -> None:
        if any(one.what == what for one in self.measured.steps):
            return
        step = Step(what=what, ms=max(0.0, (at - (self._began or at)) * 1000))
        self.measured.steps.append(step)
        if self._tell is not None:
            self._tell(step)

    # -- questions ------------------------------------------------------------------------

    async def _ask_once(self) -> bool:
        """What stays the same as long as the call is up; whether it was told."""
        measured = self.measured
        measured.codec = (await self._variable("CHANNEL(audionativeformat)")).strip("()")
        measured.is_voice_encrypted = _truth(await self._variable("CHANNEL(rtp,secure)"))
        measured.is_sip_encrypted = _truth(await self._variable("CHANNEL(pjsip,secure)"))
        measured.goes_to = await self._variable("CHANNEL(rtp,dest)")
        measured.comes_to = await self._variable("CHANNEL(rtp,src)")
        measured.sip_rtt_ms = await self._options_ms()
        return bool(measured.codec)

    async def _options_ms(self) -> float | None:
        """How long the carrier took to answer the last OPTIONS; of several hosts the first that did."""
        aors = await self._variable(f"PJSIP_ENDPOINT({self._endpoint},aors)")
        for aor in filter(None, aors.split(",")):
            for contact in filter(None, (await self._variable(f"PJSIP_AOR({aor},contact)")).split(",")):
                text = await self._variable(f"PJSIP_CONTACT({contact},rtt)")
                if re.fullmatch(r"\d{1,9}", text) and int(text):  # in millionths of a second
                    return int(text) / 1000
        return None

    async def _variable(self, name: str) -> str:
        """A variable of the channel; empty where Asterisk does not know it."""
        try:
            answer = await self._ari.request(
                "GET", f"/channels/{self._channel}/variable", params={"variable": name}, repeatable=True
            )
        except PbxRefused:
            return ""
        return str(answer.get("value", ""))

    async def _count(self) -> None:
        try:
            counted: Any = await self._ari.request(
                "GET", f"/channels/{self._channel}/rtp_statistics", repeatable=True
            )
        except PbxRefused:  # it is over, or has no voice yet
            return
        measured = self.measured
        measured.sent = int(counted.get("txcount", 0))
        measured.received = int(counted.get("rxcount", 0))
        measured.lost_here = int(counted.get("rxploss", 0))
        measured.lost_there = int(counted.get("txploss", 0))
        measured.jitter_here_ms = float(counted.get("rxjitter", 0)) * 1000
        measured.jitter_there_ms = float(counted.get("txjitter", 0)) * 1000
        if rtt := float(counted.get("rtt", 0)):
            measured.rtt_ms = rtt * 1000


def _instant(text: Any) -> float:
    """Seconds since the epoch, of one of Asterisk's timestamps (``2026-11-22T08:08:36.902+0000``)."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


def _truth(text: str) -> bool | None:
    return {"1": True, "0": False}.get(text)
