"""An answer that crosses our cancel, with a real Asterisk: ARI tells nothing of it, the copies of SIP messages do."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dialer.core.events import AnswerFound, ContactHungUp, Event
from dialer.core.ids import AttemptId
from dialer.core.trunk import Trunk
from dialer.core.values import Call, CallState
from dialer.engine.embedded import AsteriskInstall, EmbeddedAsterisk
from dialer.engine.identity import Clock
from dialer.engine.lateanswers import LateAnswers
from dialer.pbx.client import AriClient
from dialer.pbx.frames import AnyFrame, Dial
from dialer.pbx.render import TrunkLine
from dialer.pbx.settings import Hep, Settings
from dialer.pbx.wire import to_event
from tests.contract.sip_peer import Address, SipPeer
from tests.e2e.world import until
from tests.unit.engine.parts import call

pytestmark = pytest.mark.asterisk

PASSWORD = secrets.token_urlsafe(18)
ARI_PASSWORD = secrets.token_urlsafe(18)


class Crosser(SipPeer):
    """Whose answer is on its way when the CANCEL comes, for *late_s*; else a peer that accepts it."""

    late_s = 0.0
    crosses = True

    def cancelled(self, text: str, addr: Address) -> None:
        if not self.crosses:
            super().cancelled(text, addr)
            return
        asyncio.get_running_loop().call_later(self.late_s, self.answer_late, text, addr)


class Rig:
    """One engine's ears: its event socket and its copies."""

    def __init__(self, ari: AriClient) -> None:
        self.ari = ari
        self.clock = Clock()
        self.calls: dict[AttemptId, Call] = {}
        self.told: list[Event] = []
        self.late = LateAnswers(calls=self.calls, clock=self.clock, password=PASSWORD)

    def on_frame(self, frame: AnyFrame) -> None:
        self.late.takes(frame, to_event(frame, self.clock()), self.told.append)
        if isinstance(frame, Dial) and frame.dialstatus == "RINGING":
            attempt = AttemptId(frame.peer.id)
            ringing = {"attempt": attempt, "state": CallState.RINGING, "rang_at": self.clock()}
            self.calls[attempt] = call(1, **ringing, created_at=self.clock())

    async def ring_and_cancel(self, attempt: str) -> list[type[Event]]:
        """What is told of a call that is given up while it rings."""
        self.told.clear()
        body: dict[str, Any] = {"endpoint": "PJSIP/88818000000@trunk-one", "channelId": attempt}
        body |= {"app": "obzvon", "appArgs": "leg", "timeout": 30}
        await self.ari.request("POST", "/channels", json=body)
        await until(lambda: AttemptId(attempt) in self.calls, "it to ring")
        await self.ari.request("DELETE", f"/channels/{attempt}")
        await until(lambda: any(isinstance(one, ContactHungUp) for one in self.told), "its end")
        return [type(one) for one in self.told]


@asynccontextmanager
async def listening(server: EmbeddedAsterisk) -> AsyncIterator[Rig]:
    async def nothing() -> None:
        connected.set()

    connected = asyncio.Event()
    async with AriClient(server.ari_url, server.ari_user, server.ari_password) as ari:
        rig = Rig(ari)
        hears = asyncio.create_task(ari.listen(rig.on_frame, nothing, nothing))
        try:
            await asyncio.wait_for(connected.wait(), 10)
            yield rig
        finally:
            hears.cancel()
            rig.late.close()


def asterisk(install: AsteriskInstall, folder: Path, hep: str) -> EmbeddedAsterisk:
    copies = Hep(address=hep, password=PASSWORD) if hep else None
    return EmbeddedAsterisk(install, folder, Settings(ari_password=ARI_PASSWORD, hep=copies), outlive=True)


async def test_an_answer_that_crosses_is_told_also_by_an_asterisk_that_outlived_an_engine(
    asterisk_install, short_tmp
):
    first = LateAnswers(calls={}, clock=Clock(), password=PASSWORD)
    server = asterisk(asterisk_install, short_tmp, await first.listen("", short_tmp / "port"))
    await server.start()
    first.close()
    other = LateAnswers(calls={}, clock=Clock(), password=PASSWORD)
    try:
        async with Crosser() as one:
            trunk = Trunk(id="one", host="127.0.0.1", port=one.port, options_interval_s=0)  # type: ignore[arg-type]
            await server.apply_lines([TrunkLine(trunk=trunk)], [])
            async with listening(server) as rig:
                await rig.late.listen("", short_tmp / "port")
                for number, late_s in enumerate((0.0, 0.05, 0.6)):
                    one.late_s = late_s
                    assert await rig.ring_and_cancel(f"a1795346976000000000{number}") == [
                        AnswerFound,
                        ContactHungUp,
                    ]
                one.crosses = False
                assert await rig.ring_and_cancel("a17953469760000000009") == [ContactHungUp]
                assert not rig.late._seen, "nothing is kept of calls that are over"

            # The next engine (one at a time: they have one application) finds that port taken, and has copies sent elsewhere.
            here = await other.listen("", short_tmp / "port")
            async with listening(server) as rig:
                elsewhere = await rig.late.listen("", short_tmp / "port")
                assert elsewhere != here
                found = asterisk(asterisk_install, short_tmp, elsewhere)
                await found.start()
                assert found.is_adopted
                await found.apply_lines([TrunkLine(trunk=trunk)], [])
                one.crosses = True
                assert await rig.ring_and_cancel("a17953469760000000010") == [AnswerFound, ContactHungUp]
    finally:
        other.close()
        await server.stop()


async def test_an_asterisk_that_sends_no_copies_has_no_modules_for_them(asterisk_install, short_tmp, caplog):
    server = asterisk(asterisk_install, short_tmp, "")
    async with server:
        assert "0 modules loaded" in await server.run_cli("module show like res_hep")
        # It outlives its engine; the next one listens.
        again = asterisk(asterisk_install, short_tmp, "127.0.0.1:9")
        await again.start()
        assert again.is_adopted
        assert "2 modules loaded" in await again.run_cli("module show like res_hep")
        # What does not run cannot be told to read its file; that keeps nobody from taking the calls over.
        for module in ("res_hep_pjsip", "res_hep"):
            await again.run_cli(f"module unload {module}.so")
        third = asterisk(asterisk_install, short_tmp, "127.0.0.1:10")
        await third.start()
        assert third.is_adopted
        assert "does not run: res_hep.so" in caplog.text
