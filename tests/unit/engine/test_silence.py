"""Who asks whether a carrier said anything at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from dialer.core.events import TrunkSilent
from dialer.core.values import Call, CallState
from dialer.engine.silence import Silence
from dialer.pbx.errors import PbxTimeout, refused
from tests.unit.engine.parts import Box, FakeAri, attempt, call, until

AT = 1_700_000_007.0
ONE = attempt(1)
ASKED = f"GET /channels/{ONE}/variable"


class Rig:
    def __init__(self) -> None:
        self.aris = [FakeAri()]
        self.inbox = Box()
        self.calls: dict[Any, Call] = {ONE: call(1)}
        self.silence = Silence(
            route=lambda *_: self.aris,  # type: ignore[arg-type]
            inbox=self.inbox,
            clock=lambda: AT,  # type: ignore[arg-type]
            calls=self.calls,
            silent_s=0.01,
        )

    def becomes(self, state: CallState) -> None:
        self.calls[ONE] = msgspec.structs.replace(self.calls[ONE], state=state)

    async def asked(self) -> None:
        """The question has been put, to each, and its answer heard."""
        await until(lambda: all(one.began for one in self.aris))
        await until(lambda: not self.silence._tasks)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.silence.aclose()


@pytest.mark.parametrize(
    ("value", "is_told"), [("", True), ("PJSIP/trunk-north-00000001", False), (None, False)]
)
async def test_only_a_call_without_any_response_is_told(rig: Rig, value: str | None, is_told: bool) -> None:
    rig.aris[0].answer = lambda *_: {"value": value}
    rig.silence.watch(ONE)
    await rig.asked()
    assert rig.aris[0].began == [ASKED]
    assert rig.inbox.all == ([TrunkSilent(at=AT, attempt=ONE)] if is_told else [])


@pytest.mark.parametrize("state", [CallState.RINGING, CallState.ANSWERED, CallState.ENDING])
async def test_who_rings_or_is_given_up_is_not_asked_about(rig: Rig, state: CallState) -> None:
    rig.becomes(state)
    rig.silence.watch(ONE)
    await until(lambda: not rig.silence._watches)
    assert not rig.silence._tasks
    assert rig.aris[0].began == []


async def test_who_rang_while_it_was_asked_is_left_alone(rig: Rig) -> None:
    def rings(*_: str) -> dict[str, str]:
        rig.becomes(CallState.RINGING)
        return {"value": ""}

    rig.aris[0].answer = rings
    rig.silence.watch(ONE)
    await rig.asked()
    assert rig.inbox.all == []


@pytest.mark.parametrize(
    "error", [PbxTimeout("slow", was_sent=True), refused(404, "gone"), refused(500, "no function")]
)
async def test_what_is_not_known_is_not_told(rig: Rig, error: Exception) -> None:
    def fail(*_: str) -> Any:
        raise error

    rig.aris[0].answer = fail
    rig.silence.watch(ONE)
    await rig.asked()
    assert rig.inbox.all == []


async def test_where_nobody_knows_which_server_has_the_call_each_is_asked(rig: Rig) -> None:
    def gone(*_: str) -> Any:
        raise refused(404, "gone")

    rig.aris[0].answer = gone
    rig.aris.append(FakeAri())
    rig.aris[1].answer = lambda *_: {"value": ""}
    rig.silence.watch(ONE)
    await rig.asked()
    assert len(rig.inbox.all) == 1


async def test_closing_asks_nobody_any_more(rig: Rig) -> None:
    rig.aris[0].answer = lambda *_: asyncio.sleep(60)
    rig.silence.watch(ONE)
    await until(lambda: rig.aris[0].began)
    rig.silence.watch(ONE)
    (watch,) = rig.silence._watches
    await rig.silence.aclose()
    assert watch.cancelled()
    assert rig.inbox.all == []
