"""One column of the matrix: a centre, its calls at their steps, one strike, and the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from dialer.engine.embedded import AsteriskInstall
from tests.e2e.matrix.centre import Centre, NotThere
from tests.e2e.matrix.faults import Fault
from tests.e2e.matrix.steps import Step
from tests.e2e.matrix.verdict import judge
from tests.e2e.world import Spans

TRIES = 3
"""A machine that was too busy to bring all calls to their steps in time may try again."""


class Column(msgspec.Struct, kw_only=True):
    """What came of a fault. *wrong*: by step."""

    fault: str
    wrong: dict[str, list[str]]
    took_s: float
    in_charge_s: float | None
    starved_s: float


class Slots:
    """Places with ports of their own, for centres that stand side by side."""

    def __init__(self, count: int) -> None:
        self._free: asyncio.Queue[Spans] = asyncio.Queue()
        for slot in range(count):
            self._free.put_nowait(
                Spans(
                    sip=range(16000 + 200 * slot, 16200 + 200 * slot),
                    media=range(25000 + 900 * slot, 25900 + 900 * slot),
                    rtp=range(20000 + 1500 * slot, 21500 + 1500 * slot),
                    http=range(17000 + 200 * slot, 17200 + 200 * slot),
                )
            )

    async def take(self) -> Spans:
        return await self._free.get()

    def give_back(self, spans: Spans) -> None:
        self._free.put_nowait(spans)


async def run_column(
    folder: Path, install: AsteriskInstall, fault: Fault, steps: Iterable[Step], slots: Slots
) -> Column:
    """Strike *fault* at *steps*."""
    spans = await slots.take()
    try:
        for tries_left in reversed(range(TRIES)):
            try:
                tries = TRIES - 1 - tries_left
                return await _run(folder / str(tries), install, fault, tuple(steps), spans, tries)
            except NotThere:
                if not tries_left:
                    raise
        raise AssertionError("unreachable")
    finally:
        slots.give_back(spans)


async def _run(
    folder: Path, install: AsteriskInstall, fault: Fault, steps: tuple[Step, ...], spans: Spans, tries: int
) -> Column:
    began = time.monotonic()
    folder.mkdir(parents=True)
    async with Centre(folder, install, steps=steps, spans=spans, tries=tries) as centre:
        centre.in_charge_s = None
        await centre.bring_to_steps()
        centre.struck_at = time.time()
        await fault.strike(centre)
        if not centre.is_back_to_work:
            centre.back_to_work()
        await centre.all_done()
        await centre.send_operators_home()
        wrong = await judge(centre, fault)
    return Column(
        fault=fault.name,
        wrong=wrong,
        took_s=time.monotonic() - began,
        in_charge_s=centre.in_charge_s,
        starved_s=centre.starved_s,
    )
