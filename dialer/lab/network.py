"""The telephone network: one SIPp process that is the carrier, and in which all people live.

1. A call to a number meets the next reaction of that number's plan (:mod:`dialer.lab.day`).
   SIPp keeps the place in each plan itself, in an injection file in its memory.
2. The network counts for itself: every milestone of every call is written to its log at the
   moment it happens, flushed line by line, so the log is complete even if the process is
   killed. :meth:`LabNetwork.calls` reads it. Nothing in it comes from the engine.
3. Probes (OPTIONS) are answered and counted nowhere.
4. A person who waits for a cue (``Behaviour.ON_CUE``) is given it by a request with the Call-ID of their call: so a
   test says when they answer, and does not race with a clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from dialer.core.values import ABANDONED_RESULTS, Result
from dialer.lab.day import Behaviour, Line, Person
from dialer.lab.errors import LabTimeout
from dialer.lab.scenario import Library
from dialer.lab.sipp import Sipp, wait_until_answers
from dialer.lab.voice import PERSON_MARKS_HZ, greeting, ringback, speak

_HERE = Path(__file__).parent
_CUE_S_MAX = 45.0
_CUE_AGAIN_S = 1.0


class NetworkCall(msgspec.Struct, kw_only=True):
    """A call as the network saw it. Instants are seconds since the epoch; None: it did not happen.

    *number*: as called, E.164 with its plus sign; *caller_id*: as shown by the caller. *step*:
    which call of the number's plan this is, from 1 on (0: nobody lives there; the last
    reaction's number stays). *status*: the final SIP status of the INVITE. *ended_by*: who
    ended it: ``person`` (refused, or hung up), ``caller`` (gave up, or hung up). *crossed*:
    the answer crossed the caller's CANCEL. *mark_hz*: the mark of the person's voice. *keys*: those that the
    person pressed.
    """

    call_id: str
    number: str
    behaviour: Behaviour
    step: int
    mark_hz: int
    caller_id: str
    invited_at: float
    rang_at: float | None = None
    early_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    ended_by: Literal["person", "caller"] | None = None
    status: int | None = None
    crossed: bool = False
    keys: str = ""

    @property
    def results(self) -> frozenset[Result]:
        """The results with which an engine may rightly report this call; empty while it lasts.

        Whether an answered person was joined with an agent, the network cannot know.
        """
        if self.ended_at is None:
            return frozenset()
        if self.crossed:
            return frozenset({Result.ABANDONED, Result.NO_ANSWER})
        if self.answered_at is not None:
            return ABANDONED_RESULTS | {Result.TALKED}
        return frozenset({_RESULTS.get(self.status or 0, Result.CONGESTION)})


_RESULTS = {
    486: Result.BUSY,
    480: Result.NO_ANSWER,
    487: Result.NO_ANSWER,
    404: Result.INVALID,
    603: Result.DECLINED,
    503: Result.CONGESTION,
}


class LabNetwork:
    """A telephone network in which *people* live, reachable as a SIP trunk at *host*:*port* (UDP).

    *folder* holds its files, the log among them (readable by the owner only). Raises ValueError
    if two lines have one number.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        people: Iterable[Person],
        host: str = "127.0.0.1",
        media_port: int = 21000,
    ) -> None:
        self.host = host
        self.port = port
        self.people = tuple(people)
        self._sipp = Sipp(
            "network",
            folder=folder,
            scenario=compose_network(),
            host=host,
            port=port,
            media_port=media_port,
            arguments=(
                *("-inf", "numbers.csv", "-infindex", "numbers.csv", "0"),
                *("-inf", "plans.csv", "-infindex", "plans.csv", "0"),
            ),
            files=_plans(self.people)
            | {f"person-{voice}.al": speak(mark) for voice, mark in enumerate(PERSON_MARKS_HZ)}
            | {"ringback.al": ringback(), "greeting.al": greeting()},
        )

    @property
    def log_path(self) -> Path:
        """The network's own log of milestones."""
        return self._sipp.log_path

    @property
    def is_running(self) -> bool:
        """Whether the carrier's process runs."""
        return self._sipp.is_running

    @property
    def pid(self) -> int | None:
        """The carrier's process id while it runs."""
        return self._sipp.pid

    async def start(self) -> None:
        """Start the network and wait until it answers. Raises LabError."""
        await self._sipp.start()
        try:
            await wait_until_answers(self._sipp, self.host, self.port)
        except BaseException:
            await self._sipp.stop()
            raise

    async def stop(self) -> None:
        """End the network. Calls that are up stay without an end in the log."""
        await self._sipp.stop()

    async def __aenter__(self) -> LabNetwork:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def calls(self) -> list[NetworkCall]:
        """All calls so far, in the order in which they came; also when the network has stopped."""
        try:
            return read_calls(self.log_path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return []

    async def answer(self, number: str) -> NetworkCall:
        """Let the person at *number* answer, whose phone rings and who waits for that. Raises LabError."""
        return await self._cue(number, "MESSAGE", lambda call: call.answered_at)

    async def hang_up(self, number: str) -> NetworkCall:
        """Let the person at *number* hang up, who talks and waits for that. Raises LabError."""
        return await self._cue(number, "PUBLISH", lambda call: call.ended_at)

    async def _cue(
        self, number: str, request: str, is_done: Callable[[NetworkCall], float | None]
    ) -> NetworkCall:
        """Send *request* until the call *is_done*: what comes twice is passed over. Raises LabError."""
        loop = asyncio.get_running_loop()
        again_at = began = loop.time()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=(self.host, self.port)
        )
        try:
            while loop.time() < began + _CUE_S_MAX:
                self._sipp.check()
                call = next((one for one in reversed(self.calls()) if one.number == number), None)
                if call is not None and is_done(call):
                    return call
                if call is not None and call.rang_at and loop.time() >= again_at:
                    again_at += _CUE_AGAIN_S
                    here = "{}:{}".format(*transport.get_extra_info("sockname")[:2])
                    transport.sendto(_cue(request, call, here))
                await asyncio.sleep(0.02)
        finally:
            transport.close()
        raise LabTimeout(f"the person at {number} did not follow the cue {request} within {_CUE_S_MAX:g} s")

    def person_at(self, number: str) -> tuple[Person, Line] | None:
        """Who lives at *number* (E.164 with its plus sign), and on which line."""
        for person in self.people:
            for line in person.lines:
                if line.number == number:
                    return person, line
        return None


def _cue(request: str, call: NetworkCall, here: str) -> bytes:
    """A request that SIPp gives to the call, for it has its Call-ID. *here*: our address; nobody answers."""
    return (
        f"{request} sip:{call.number}@network SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {here};branch=z9hG4bK-cue-{call.call_id}\r\n"
        f"From: <sip:cue@{here}>;tag=1\r\nTo: <sip:{call.number}@network>\r\nCall-ID: {call.call_id}\r\n"
        f"CSeq: 1 {request}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def compose_network() -> str:
    """The carrier's scenario: arrival, then one part for each behaviour, then the endings."""
    library = Library(_HERE / "exchange", _HERE / "people")
    parts = library.expand("arrival")
    for behaviour in Behaviour:
        parts.append(
            "<nop><action>"
            f'<strcmp assign_to="difference" variable="behaviour" value="{behaviour}"/>'
            '<test assign_to="is_this" variable="difference" compare="equal" value="0"/>'
            "</action></nop>"
        )
        parts.append(f'<nop next="{behaviour}" test="is_this"/>')
    parts += library.expand("nobody")
    for behaviour in Behaviour:
        parts += [f'<label id="{behaviour}"/>', *library.expand(behaviour)]
    return library.compose("network", [*parts, *library.expand("endings")])


def read_calls(log: str) -> list[NetworkCall]:
    """The calls that the milestones in *log* tell of. A line cut short by a crash is passed over."""
    calls: dict[str, NetworkCall] = {}
    for line in log.splitlines():
        stamp, *fields = line.split("|")
        try:
            at = float(stamp.split("\t")[2])
            what, call_id, details = fields[0], fields[1], fields[2:]
            if what == "invited":
                calls[call_id] = _invited(call_id, at, details)
            elif call_id in calls:
                _happened(calls[call_id], what, at, details)
        except (IndexError, ValueError):
            continue
    return list(calls.values())


def _invited(call_id: str, at: float, details: Sequence[str]) -> NetworkCall:
    number, behaviour, step, voice, caller_id = details
    return NetworkCall(
        call_id=call_id,
        number=f"+{number}",
        behaviour=Behaviour(behaviour),
        step=int(step.partition("/")[2] or 0),
        mark_hz=PERSON_MARKS_HZ[int(voice)],
        caller_id=caller_id,
        invited_at=at,
    )


def _happened(call: NetworkCall, what: str, at: float, details: Sequence[str]) -> None:
    match what:
        case "rang":
            call.rang_at = at
        case "early":
            call.early_at = at
        case "answered":
            call.answered_at, call.status = at, 200
        case "crossed":
            call.crossed = True
        case "pressed":
            call.keys += details[0]
        case "refused":
            call.ended_at, call.ended_by, call.status = at, "person", int(details[0][:3])
        case "cancelled":
            call.ended_at, call.ended_by, call.status = at, "caller", 487
        case "hung_up" if call.ended_at is None:
            call.ended_at = at
            call.ended_by = "person" if details[0] == "person" else "caller"


def _plans(people: Sequence[Person]) -> dict[str, bytes]:
    """The injection files: which reaction is next on each number, and what each reaction is."""
    numbers, plans = ["SEQUENTIAL"], ["SEQUENTIAL"]
    seen: set[str] = set()
    for person in people:
        voice = person.voice % len(PERSON_MARKS_HZ)
        for line in person.lines:
            if line.number in seen:
                raise ValueError(f"two lines have the number {line.number}")
            seen.add(line.number)
            digits = line.number[1:]
            numbers.append(f"{digits};{digits}/1")
            for step, reaction in enumerate(line.plan, 1):
                following = f"{digits}/{min(step + 1, len(line.plan))}"
                plans.append(
                    f"{digits}/{step};{reaction.behaviour};{reaction.ring_ms};{reaction.talk_ms};{voice};{following}"
                )
    # SIPp does not take an injection file without a line of data.
    for rows in (numbers, plans):
        if len(rows) == 1:
            rows.append("-;-;0;0;0;-")
    return {
        "numbers.csv": ("\n".join(numbers) + "\n").encode(),
        "plans.csv": ("\n".join(plans) + "\n").encode(),
    }
