"""Operators' desk phones: one SIPp process for each.

A phone is told what to do over SIPp's *twin* connection (made for third-party call control):
a TCP connection on loopback over which we send orders and SIPp sends what happened. So one
phone registers, takes calls and places calls at any time, and the program that plays the
operator decides when, as an operator does. If that program ends, the connection closes and
SIPp ends too.

1. A *parked* phone signs in by calling a feature code and stays on the line.
2. A *rung* phone is called for each conversation; ``pick_up`` says how it answers.
3. A line sounds of the phone's own voice (:mod:`dialer.lab.voice`) as long as it is up.
4. Keys go out as SIP INFO, one at a time.
5. Hold is a re-INVITE, a transfer a REFER; an attended one names the phone's other call (Replaces).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec

from dialer.lab.errors import LabCallRefused, LabError, LabProcessDied, LabTimeout
from dialer.lab.phonecall import PhoneCall, new_call
from dialer.lab.scenario import Library
from dialer.lab.sipp import Sipp
from dialer.lab.voice import OPERATOR_MARKS_HZ, speak

_HERE = Path(__file__).parent
_SAFE = re.compile(r"[A-Za-z0-9_.~+=/-]+\Z")
_KEYS = re.compile(r"[0-9A-D*#]+\Z")
_END = b"\x1b"
START_S_MAX = 60.0
"""A phone that does not listen by then does not start."""
_ANSWER_S_MAX = 45.0
"""The server answers what a phone asks within so many seconds, however slow the machine, or never."""
_GOODBYE_S_MAX = 3.0
"""A phone that is switched off waits no longer for the server."""


class Phone(msgspec.Struct, frozen=True, kw_only=True):
    """A desk phone. *extension*: its name at the server; *secret*: for digest authentication.

    *voice*: which of the operators' voices, from 0 on. *pick_up*: how a call to it is answered:
    ``auto``: at once if the caller asks for that by a header, else after *pick_up_ms*;
    ``slow``: after *pick_up_ms*, whatever the caller asks; ``never``; ``rejects``: turned away.
    """

    extension: str
    secret: str
    leg: Literal["parked", "rung"] = "parked"
    voice: int = 0
    pick_up: Literal["auto", "slow", "never", "rejects"] = "auto"
    pick_up_ms: int = 3000

    def __post_init__(self) -> None:
        if not _SAFE.match(self.extension) or not _SAFE.match(self.secret):
            raise ValueError("a laboratory phone's extension and secret are of letters, digits and _.~+=/-")

    @property
    def mark_hz(self) -> int:
        """The mark of the phone's voice in a recording."""
        return OPERATOR_MARKS_HZ[self.voice % len(OPERATOR_MARKS_HZ)]


class LabPhone:
    """One desk phone that runs. Made and started by :class:`LabPhones`.

    What is asked of it raises LabProcessDied if its process is gone, LabTimeout if the server
    does not answer, LabCallRefused if it refuses, and LabError if there is no line for it.
    """

    def __init__(
        self, phone: Phone, sipp: Sipp, *, host: str, port: int, expires_s: int, server: str = "localhost"
    ) -> None:
        self.phone = phone
        self.calls: list[PhoneCall] = []
        self.is_registered = False
        self._sipp = sipp
        self._address = (host, port)
        self._server = server
        self._expires_s = expires_s
        self._changed = asyncio.Condition()
        self._key_lock = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def line(self) -> PhoneCall | None:
        """The conversation that is up: the newest, if there are several."""
        return next((call for call in reversed(self.calls) if call.is_up), None)

    @property
    def is_on_line(self) -> bool:
        """Whether a conversation is up."""
        return self.line is not None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._sipp.pid

    async def start(self) -> None:
        """Switch the phone on (it registers when it is told to)."""
        await self._sipp.start()
        deadline = time.monotonic() + START_S_MAX
        while True:
            self._sipp.check()
            try:
                reader, self._writer = await asyncio.open_connection(*self._address)
                break
            except OSError:
                if time.monotonic() > deadline:
                    await self._sipp.stop()
                    raise LabTimeout(f"phone {self.phone.extension} does not start") from None
                await asyncio.sleep(0.05)
        self._tasks.append(asyncio.create_task(self._read(reader)))

    async def stop(self) -> None:
        """Hang up, register no more, and switch the phone off. Raises nothing."""
        for task in self._tasks[1:]:
            task.cancel()
        if self._sipp.is_running:
            # The server may be gone by now.
            with contextlib.suppress(LabError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S_MAX):
                    if self.is_on_line:
                        await self.hang_up()
                    if self.is_registered:
                        await self._register(0)
        await self.pull_the_plug()

    async def pull_the_plug(self) -> None:
        """End the phone's process without a word to the server, as when the power fails."""
        await self._sipp.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._went_dark()  # the reader may have been cancelled before it noticed
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def register(self) -> None:
        """Register at the server, and again in time before that runs out."""
        await self._register(self._expires_s)
        if len(self._tasks) == 1:
            self._tasks.append(asyncio.create_task(self._stay_registered()))

    async def unregister(self) -> None:
        """Tell the server that the phone is gone."""
        for task in self._tasks[1:]:
            task.cancel()
        del self._tasks[1:]
        await self._register(0)

    async def sign_in(self, code: str = "*40") -> PhoneCall:
        """Call the feature *code* and stay on the line."""
        call = await self._order("dial", code, new_call("dial", code))
        await self._until(
            lambda: call.up_at or call.status or call.ended_at, _ANSWER_S_MAX, f"answer to {code}"
        )
        if call.status:
            raise LabCallRefused(f"the call to {code}", call.status)
        return call

    async def dial(self, code: str, *, within_s: float = _ANSWER_S_MAX) -> PhoneCall:
        """Call a feature *code* and wait until the server has hung up; hang up after *within_s*."""
        call = await self.sign_in(code)
        try:
            await self._until(lambda: call.ended_at, within_s, f"end of the call to {code}")
        except LabTimeout:
            await self.hang_up(call)
        return call

    async def keys(self, digits: str, *, call: PhoneCall | None = None) -> None:
        """Press *digits* in the conversation, one after the other."""
        if not _KEYS.match(digits):
            raise ValueError(f"no such keys: {digits!r}")
        line = self._line(call)
        async with self._key_lock:
            for digit in digits:
                taken = len(line.keys) + line.refused_keys
                await self._order("key", digit, line)
                await self._until(
                    lambda taken=taken: len(line.keys) + line.refused_keys > taken or line.ended_at,  # type: ignore[misc]
                    _ANSWER_S_MAX,
                    f"answer to the key {digit}",
                )
                if line.ended_at is not None:
                    raise LabError(f"phone {self.phone.extension}: the line ended while keys were pressed")

    async def hold(self, call: PhoneCall | None = None) -> None:
        """Press the phone's own hold key."""
        line = self._line(call)
        async with self._key_lock:
            await self._order("hold", "", line)
            await self._until(lambda: line.is_held or line.ended_at, _ANSWER_S_MAX, "answer to the hold")

    async def resume(self, call: PhoneCall | None = None) -> None:
        """Take the other side back."""
        line = self._line(call)
        async with self._key_lock:
            await self._order("resume", "", line)
            await self._until(
                lambda: not line.is_held or line.ended_at, _ANSWER_S_MAX, "answer to the resumption"
            )

    async def refer(
        self, to: str, call: PhoneCall | None = None, *, replaces: PhoneCall | None = None
    ) -> int:
        """Press the phone's own transfer key: blind, or (*replaces*) to whom the phone's other call is with. What the server answers."""
        line = self._line(call)
        target = f"sip:{to}@{self._server}"
        if replaces is not None:
            dialog = f"{replaces.call_id};to-tag={replaces.their_tag};from-tag={replaces.own_tag}"
            target += f"?Replaces={quote(dialog, safe='')}"
        async with self._key_lock:
            line.referred.clear()
            line.progress.clear()
            await self._order("refer", "", line, f"Refer: <{target}>\r\n")
            await self._until(
                lambda: line.referred or line.progress or line.ended_at, _ANSWER_S_MAX, "answer to the REFER"
            )
            if not line.referred and not line.progress:
                raise LabError(f"phone {self.phone.extension}: the line ended while it was transferred")
            return line.referred[-1] if line.referred else 202  # reports may overtake it

    async def wait_until_told(self, status: int, call: PhoneCall, *, within_s: float) -> None:
        """Wait until the server has said *status* of a transfer."""
        await self._until(lambda: status in call.progress, within_s, f"{status} of the transfer")

    async def hang_up(self, call: PhoneCall | None = None) -> None:
        """End the conversation."""
        line = self._line(call)
        async with self._key_lock:
            if line.is_up:
                await self._order("hangup", "", line)
                await self._until(lambda: line.ended_at, _ANSWER_S_MAX, "end of the call")

    async def wait_until_on_line(self, *, within_s: float) -> PhoneCall:
        """Wait until a conversation is up."""
        await self._until(lambda: self.line, within_s, "a conversation")
        return self._line(None)

    async def wait_until_rung(self, *, times: int = 1, within_s: float) -> PhoneCall:
        """Wait until the phone has been rung *times* times since it was switched on."""

        def rung() -> list[PhoneCall]:
            return [call for call in self.calls if call.kind == "rung"]

        await self._until(lambda: len(rung()) >= times, within_s, "a call")
        return rung()[times - 1]

    async def wait_until_ended(self, call: PhoneCall, *, within_s: float) -> None:
        """Wait until *call* is over."""
        await self._until(lambda: call.ended_at, within_s, "end of the call")

    def _line(self, call: PhoneCall | None) -> PhoneCall:
        line = call or self.line
        if line is None:
            raise LabError(f"phone {self.phone.extension} has no conversation")
        return line

    async def _register(self, expires_s: int) -> None:
        call = await self._order("register", str(expires_s), new_call("register", ""))
        await self._until(lambda: call.ended_at, _ANSWER_S_MAX, "answer to the registration")
        if call.status:
            self.is_registered = False
            raise LabCallRefused(f"registration of {self.phone.extension}", call.status)
        self.is_registered = expires_s > 0

    async def _stay_registered(self) -> None:
        while True:
            await asyncio.sleep(self._expires_s / 2)
            with contextlib.suppress(LabTimeout, LabCallRefused):
                await self._register(self._expires_s)

    async def _order(self, order: str, what: str, call: PhoneCall, more: str = "") -> PhoneCall:
        self._sipp.check()
        if self._writer is None:
            raise LabProcessDied(f"phone {self.phone.extension} is switched off")
        if call not in self.calls:
            self.calls.append(call)
        text = f"Call-ID: {call.call_id}\r\nDo: {order}\r\n" + (f"What: {what}\r\n" if what else "")
        text += more + "\r\n"
        self._writer.write(text.encode() + _END)
        await self._writer.drain()
        return call

    async def _until(self, is_so: Callable[[], object], within_s: float, what: str) -> None:
        def is_over() -> object:
            return is_so() or not self._sipp.is_running

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(is_over), within_s)
            except TimeoutError:
                raise LabTimeout(f"phone {self.phone.extension}: no {what} within {within_s:g} s") from None
        if not is_so():
            self._sipp.check()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                message = (await reader.readuntil(_END)).decode(errors="replace")
                fields = dict(line.split(": ", 1) for line in message.splitlines() if ": " in line)
                self._happened(
                    fields.get("Event", ""), fields.get("Call-ID", "").strip(), fields.get("Detail", "")
                )
                async with self._changed:
                    self._changed.notify_all()
        await self._sipp.stop()
        await self._went_dark()

    async def _went_dark(self) -> None:
        """The phone's process is gone, and whatever it had with it."""
        self.is_registered = False
        now = time.time()
        for call in self.calls:
            call.ended_at = call.ended_at or now
        async with self._changed:
            self._changed.notify_all()

    def _happened(self, event: str, call_id: str, detail: str) -> None:
        now = time.time()
        if event == "ringing":
            number = detail.strip()
            self.calls.append(PhoneCall(call_id=call_id, kind="rung", number=number, began_at=now))
            return
        call = next((call for call in reversed(self.calls) if call.call_id == call_id), None)
        if call is None:
            return
        call.happened(event, detail, now)


class LabPhones:
    """The desk phones of an office, registered at *sip_server* (host, port).

    The n-th phone speaks SIP on UDP port *port* + n (and is told what to do on the TCP port of
    the same number), and takes RTP from *media_port* + 4 n on. Phones register again after
    half of *expires_s*.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sip_server: tuple[str, int],
        phones: Iterable[Phone],
        port: int,
        media_port: int,
        host: str = "127.0.0.1",
        expires_s: int = 120,
    ) -> None:
        self._phones: dict[str, LabPhone] = {}
        for index, phone in enumerate(phones):
            if phone.extension in self._phones:
                raise ValueError(f"two phones have the extension {phone.extension}")
            sipp = Sipp(
                f"phone-{phone.extension}",
                folder=folder,
                scenario=compose_phone(phone),
                host=host,
                port=port + index,
                media_port=media_port + 4 * index,
                remote=sip_server,
                arguments=("-3pcc", f"{host}:{port + index}"),
                files={f"operator-{phone.mark_hz}.al": speak(phone.mark_hz)},
            )
            self._phones[phone.extension] = LabPhone(
                phone,
                sipp,
                host=host,
                port=port + index,
                expires_s=expires_s,
                server="{}:{}".format(*sip_server),
            )

    def __getitem__(self, extension: str) -> LabPhone:
        return self._phones[extension]

    def __iter__(self) -> Iterator[LabPhone]:
        return iter(self._phones.values())

    def __len__(self) -> int:
        return len(self._phones)

    async def start(self, *, register: bool = True) -> None:
        """Switch all phones on and register them. Raises LabError; then none is left on."""
        try:
            await asyncio.gather(*(phone.start() for phone in self))
            if register:
                await asyncio.gather(*(phone.register() for phone in self))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Hang up everywhere and switch all phones off."""
        await asyncio.gather(*(phone.stop() for phone in self))

    async def __aenter__(self) -> LabPhones:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def compose_phone(phone: Phone) -> str:
    """The scenario of a desk phone. It holds the secret: keep it from others' eyes."""
    library = Library(_HERE / "phones")
    parameters = {
        "extension": phone.extension,
        # SIPp takes what begins with 0x for hexadecimal, as one secret in four thousand does: so all of them are.
        "secret": f"0x{phone.secret.encode().hex()}",
        "voice": f"operator-{phone.mark_hz}",
        "pick_up_ms": str(phone.pick_up_ms),
    }
    parts = []
    for fragment in ("desk", "register", "dial", "line", f"rung_{phone.pick_up}", "hook"):
        parts += library.expand(fragment, parameters)
    return library.compose(f"phone {phone.extension}", parts)
