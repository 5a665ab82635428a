"""Who is called and sends us elsewhere (SIP 3xx), on a real Asterisk: nobody there is reached, and nothing of our dialplan is."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dialer.core.events import CallRedirected
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, AttemptId, leg_of
from dialer.core.trunk import Trunk
from dialer.pbx.client import AriClient
from dialer.pbx.frames import AnyFrame
from dialer.pbx.render import PhoneLine, TrunkLine
from dialer.pbx.requests import to_request
from dialer.pbx.trial import place
from dialer.pbx.wire import to_event
from tests.contract.sip_peer import SipPeer
from tests.e2e.world import until

pytestmark = pytest.mark.asterisk

PHONE = "109"
RINGS = "888180000001"
"""The far end of the costly trunk rings for ever."""
A = AttemptId("a17953469760000000" + "001")


class Elsewhere(SipPeer):
    """A far end that sends every caller to *to*, the user part of a Contact."""

    to = ""

    def _reply(self, request: str, status: str, body: str = "") -> str:
        text = super()._reply(request, status, body)
        sent = f"Contact: <sip:{self.to}@127.0.0.1:{self.port}>"
        return re.sub(r"Contact: \S+", lambda _: sent, text) if status.startswith("302") else text

    def _invited(self, user: str, text: str, addr: tuple[str, int]) -> None:
        self._send(self._reply(text, "302 Moved"), addr)


class Engine:
    """Of an engine no more than this: it listens, decides, and does what was decided."""

    def __init__(self, ari: AriClient) -> None:
        self._ari = ari
        self._floor = Floor()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.redirected: list[str] = []

    async def nothing(self) -> None:
        """Connected, or not."""

    def heard(self, frame: AnyFrame) -> None:
        event = to_event(frame, 0.0)
        if isinstance(event, CallRedirected):
            self.redirected.append(event.channel)
            for command in self._floor.handle(event):
                for request in to_request(command, trunks={}, recordings=Path("/nowhere"), at=0.0):
                    asked = asyncio.create_task(
                        self._ari.request(request.method, request.path, json=request.json)
                    )
                    self._tasks.add(asked)


@contextlib.asynccontextmanager
async def listening(live: Any) -> AsyncIterator[tuple[AriClient, Engine]]:
    async with AriClient(live.ari_url, live.ari_user, live.ari_password) as ari:
        engine = Engine(ari)
        task = asyncio.create_task(ari.listen(engine.heard, engine.nothing, engine.nothing))
        await until(lambda: ari.is_connected, "events")
        yield ari, engine
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def methods(peer: SipPeer) -> list[str]:
    return [method for method, _, _ in peer.received]


def at(name: str, port: int) -> TrunkLine:
    return TrunkLine(trunk=Trunk(id=name, host="127.0.0.1", port=port, options_interval_s=0))  # type: ignore[arg-type]


WHITHER = {
    "another trunk": "PJSIP/%2B" + RINGS + "%40trunk-costly",
    "one of our contexts": "Local/109%40obzvon-outside",
    "our own number": "%2B74951110004",
    "a number": "%2B" + RINGS,
    "a code": "*40",
}


@pytest.mark.parametrize("to", WHITHER.values(), ids=WHITHER)
@pytest.mark.parametrize("who", ["carrier", "phone"])
async def test_whoever_sends_us_elsewhere_is_not_followed(asterisk_home, who, to):
    live = asterisk_home
    async with (
        Elsewhere(0, pbx_port=live.sip_port, phone=PHONE, secret=live.phone_secret) as bad,
        SipPeer() as costly,
        listening(live) as (ari, engine),
    ):
        bad.to = to
        live.apply_lines(
            [at("bad", bad.port), at("costly", costly.port)],
            [PhoneLine(extension=PHONE, secret=live.phone_secret)],
        )
        body: dict[str, Any] = {
            "endpoint": "PJSIP/+74950000000@trunk-bad",
            "channelId": A,
            "context": "obzvon-outbound",
        }
        body |= {"extension": "answered", "priority": 1}
        if who == "phone":
            bad.register()
            await until(lambda: "200" in bad.answers, "the registration")
            body = {"endpoint": f"PJSIP/{PHONE}", "channelId": leg_of(A, AgentId("ann")), "app": ari.app}
        await ari.request("POST", "/channels", json=body | {"timeout": 30})
        await until(lambda: "INVITE" in methods(bad), "the call")
        if "/" in to:
            await until(lambda: engine.redirected, "the redirection")

        for _ in range(200):
            if not (living := await ari.request("GET", "/channels")):
                break
            await asyncio.sleep(0.05)
        assert living == []
        if to.startswith("PJSIP/"):
            await until(lambda: "CANCEL" in methods(costly), "the end of the call that nobody decided on")
        else:
            assert methods(costly) == []
        assert not list((live.folder / "shared" / "choices").glob("*.json")), "nobody called us"


async def test_nor_is_a_test_call(asterisk_home):
    live = asterisk_home
    async with (
        Elsewhere() as bad,
        SipPeer() as costly,
        AriClient(live.ari_url, live.ari_user, live.ari_password, "trial") as ari,
    ):
        bad.to = WHITHER["another trunk"]
        live.apply_lines([at("bad", bad.port), at("costly", costly.port)], [])
        measured = await place(
            ari,
            endpoint="trunk-bad",
            number="+74950000000",
            caller_id="",
            audio="tone",
            seconds=3,
            ring_s=100,
        )
        assert (measured.is_answered, measured.status) == (False, 302)
        assert "INVITE" in methods(costly)
        await until(lambda: "CANCEL" in methods(costly), "the end")
