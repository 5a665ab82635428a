"""The bare client: the least that can place the same calls, as a mark to measure the engine by.

It sends Asterisk the requests that the engine sends, over as many connections, under the same event filter,
and keeps as many calls up: each operator has one call after the other. There is no floor, no journal, no
timer, no limit and no rule; what goes wrong is counted and forgotten.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import aiohttp
import msgspec

from bench.halves import (
    APP,
    CALLER_ID,
    CAMPAIGN,
    TRUNK,
    Counts,
    Line,
    Outcome,
    Plan,
    count,
    until,
    until_ended,
    window_or_ramp,
)
from dialer.engine.identity import new_attempt_id
from dialer.pbx.frames import WANTED
from dialer.pbx.requests import ORIGINATE_GRACE_S, SOUNDS

RING_S = 20
WAIT_S = 30
"""The dialplan's limit for a person who is not joined: longer than any wait here."""
CONNECTIONS = 16
FIRST_NUMBER = 79160000000


class _Named(msgspec.Struct):
    id: str


class _Frame(msgspec.Struct):
    """All that is read of any frame."""

    type: str
    channel: _Named | None = None
    args: tuple[str, ...] = ()


class Bare:
    """One bare client, for one run."""

    def __init__(self, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._session = session
        self._decode = msgspec.json.Decoder(_Frame).decode
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self._turns = asyncio.Semaphore(0)
        self.lines: list[str] = []
        """The operators' channels, each in its own bridge."""
        self.live: dict[str, str] = {}
        """Calls: attempt to the operator's channel."""
        self.waits: dict[str, tuple[float, float]] = {}
        """When each was answered and joined."""
        self.ended: list[tuple[float, str]] = []
        """Bridged calls that are over: when, and which."""
        self.failed: list[tuple[float, str]] = []
        """Calls that were not bridged: when they ended, and why."""
        self.requests = 0
        self.frames = 0
        self.joins_refused = 0
        self.broken = 0
        self.is_placing = False
        self._active = 0
        self._answered: dict[str, float] = {}

    # -- requests ------------------------------------------------------------------------

    async def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> bool:
        """Send one request; whether Asterisk did it."""
        self.requests += 1
        data = None if body is None else msgspec.json.encode(body)
        headers = None if body is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, self._plan.ari_url + path, data=data, headers=headers
            ) as answer:
                await answer.read()
                return answer.status < 300
        except (aiohttp.ClientError, OSError) as error:
            print(f"{method} {path}: {error!r}", file=sys.stderr)
            self.broken += 1
            return False

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sign_in(self, line: str) -> None:
        await self.request("POST", f"/bridges/line-{line}", line_body(line))
        await self.request("POST", f"/bridges/line-{line}/addChannel", join_body(line))
        await self.request("POST", f"/channels/{line}/play", {"media": SOUNDS["signed_in"]})
        self.lines.append(line)

    async def _place(self, line: str) -> None:
        if self._plan.rate is not None:
            await self._turns.acquire()
        if not self.is_placing:
            return
        attempt = new_attempt_id()
        self._numbers += 1
        record = f"{self._plan.home}/recordings/{attempt}.raw" if self._plan.record else ""
        body = originate_body(attempt, f"+{FIRST_NUMBER + self._numbers}", record)
        self.live[attempt] = line
        if not await self.request("POST", "/channels", body) and attempt in self.live:
            del self.live[attempt]
            self._fail("refused")
            await asyncio.sleep(0.1)
            self._do(self._place(line))

    async def _join(self, line: str, attempt: str) -> None:
        freed = await self.request("POST", f"/channels/{attempt}/variable", LIMIT_BODY)
        if not freed or not await self.request(
            "POST", f"/bridges/line-{line}/addChannel", join_body(attempt)
        ):
            self.joins_refused += 1

    async def _tell(self, line: str, sound: str) -> None:
        await self.request("POST", f"/channels/{line}/play", {"media": sound})

    # -- events --------------------------------------------------------------------------

    async def read(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        """Read until the socket ends."""
        async for message in socket:
            self.frames += 1
            frame = self._decode(message.data)
            if frame.channel is not None:
                self._on_frame(frame, frame.channel.id)

    def _on_frame(self, frame: _Frame, channel: str) -> None:
        line = self.live.get(channel)
        match frame.type:
            case "StasisStart" if frame.args[:1] == ("feature",):
                self._do(self._sign_in(channel))
            case "StasisStart" if line is not None:
                self._answered[channel] = time.monotonic()
                self._do(self._join(line, channel))
                if self._plan.with_tones:
                    self._do(self._tell(line, SOUNDS["call"]))
            case "ChannelEnteredBridge" if channel in self._answered:
                self.waits[channel] = (self._answered.pop(channel), time.monotonic())
            case "ChannelDestroyed" if line is not None:
                del self.live[channel]
                if channel in self.waits:
                    self.ended.append((time.monotonic(), channel))
                else:
                    self._fail("not_joined")
                if self._plan.with_tones:
                    self._do(self._tell(line, SOUNDS["call_over"]))
                if self.is_placing:
                    self._do(self._place(line))
            case _:
                pass

    # -- the run -------------------------------------------------------------------------

    async def keep_pace(self, rate: float) -> None:
        """Let a call be placed *rate* times a second."""
        due = time.monotonic()
        while True:
            self._turns.release()
            due += 1 / rate
            await asyncio.sleep(due - time.monotonic())

    def work(self, operators: int) -> None:
        """Have *operators* of them work, each with a call of their own from now on."""
        self.is_placing = True
        for line in self.lines[self._active : operators]:
            self._do(self._place(line))
        self._active = operators

    def _fail(self, why: str) -> None:
        self.failed.append((time.monotonic(), why))

    async def window(self, length_s: float) -> Outcome:
        """What happens in the next *length_s* seconds."""
        before = self.count()
        await asyncio.sleep(length_s)
        after = self.count()
        calls = [call for at, call in self.ended if before.at <= at < after.at]
        return Outcome(
            who="bare",
            agents=self._active,
            rate=self._plan.rate,
            calls=len(calls),
            window=after.since(before),
            waits_ms=[1000 * (self.waits[call][1] - self.waits[call][0]) for call in calls],
            failed=dict(Counter(why for at, why in self.failed if before.at <= at < after.at)),
        )

    def count(self) -> Counts:
        """The counters now."""
        counts = count(time.monotonic(), self._plan.processes)
        counts.requests, counts.frames = self.requests, self.frames
        return counts


def originate_body(attempt: str, number: str, record: str) -> dict[str, Any]:
    """How a call is placed."""
    return {
        "endpoint": f"PJSIP/{number}@trunk-{TRUNK}",
        "channelId": attempt,
        "context": "obzvon-outbound",
        "extension": "answered",
        "priority": 1,
        "timeout": RING_S + ORIGINATE_GRACE_S,
        "variables": {
            "OBZVON_ATTEMPT": attempt,
            "OBZVON_RECORD": record,
            "OBZVON_WAIT": str(WAIT_S),
            "OBZVON_CAMPAIGN": CAMPAIGN,
            "OBZVON_KIND": "",
            "OBZVON_ZONES": "",
            "OBZVON_LISTEN": "",
            "OBZVON_TIMES": "0",
        },
        "callerId": CALLER_ID,
    }


LIMIT_BODY = {"variable": "TIMEOUT(absolute)", "value": "0"}
"""How a person who is joined is freed of the limit that the dialplan set at the answer."""


def line_body(line: str) -> dict[str, Any]:
    """How an operator's bridge is made."""
    return {"type": "mixing,dtmf_events", "name": f"line-{line}"}


def join_body(channel: str) -> dict[str, Any]:
    """How a channel is put into a bridge."""
    return {"channel": channel, "inhibitConnectedLineUpdates": True}


async def _run() -> None:
    line = Line()
    plan = line.plan
    secret = base64.b64encode(f"{plan.ari_user}:{plan.ari_password}".encode()).decode("ascii")
    headers = {"Authorization": f"Basic {secret}"}
    connector = aiohttp.TCPConnector(limit=CONNECTIONS + 1, keepalive_timeout=10)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        bare = Bare(plan, session)
        async with session.ws_connect(
            f"{plan.ari_url}/events", params={"app": APP}, decode_text=False
        ) as socket:
            app = f"/applications/{APP}"
            await bare.request("POST", f"{app}/subscription?eventSource=endpoint:PJSIP")
            await bare.request("PUT", f"{app}/eventFilter", {"allowed": [{"type": name} for name in WANTED]})
            reading = asyncio.create_task(bare.read(socket))
            line.say("connected")
            await until(lambda: len(bare.lines) == plan.agents, "all operators on their lines")
            line.say("ready")
            pacing = asyncio.create_task(bare.keep_pace(plan.rate)) if plan.rate is not None else None
            outcome = await window_or_ramp(plan, bare.work, bare.window)
            bare.is_placing = False
            outcome.unfinished = await until_ended(lambda: len(bare.live))
            outcome.broken = bare.broken
            line.say("done", outcome)
            await line.leave.wait()
            for operator in bare.lines:
                await bare.request("DELETE", f"/bridges/line-{operator}")
            if pacing is not None:
                pacing.cancel()
            reading.cancel()


if __name__ == "__main__":
    asyncio.run(_run())
