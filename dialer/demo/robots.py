"""Robots that play operators: they end the talks that are left to them, and give each its result.

A robot sees what an operator sees: that a person is on the line (the state of its agent), and for how
long. What it then does depends on the number alone, so that the same day gives the same results.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from dialer.core.values import AgentState
from dialer.lab.errors import LabError
from dialer.lab.phones import LabPhone
from dialer.store.connect import open_reader

LOOK_S = 0.2
TALK_S = 4.0
"""The operator ends a talk that the person has not ended by then."""
RESULTS = ("1", "2", "2", "3", "3", "4", "5")
"""Digits after *44, by how often they are given."""
_SQL = (
    "SELECT a.id, a.state, a.since, a.last_attempt, c.number, c.ended_at - c.connected_at"
    " FROM agents a LEFT JOIN attempts c ON c.attempt = a.last_attempt"
)


async def play(
    journal: Path, phones: Mapping[str, LabPhone], is_parked: Mapping[str, bool], *, talk_s: float = TALK_S
) -> None:
    """Play every operator of *phones* (by agent id) until cancelled; they end talks after *talk_s*."""
    handled: dict[str, str] = {}
    ended: dict[str, str] = {}
    busy: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            await asyncio.sleep(LOOK_S)
            for agent, state, since, attempt, number, talked_s in await asyncio.to_thread(_look, journal):
                if agent not in phones or (agent in busy and not busy[agent].done()) or attempt is None:
                    continue
                phone, parked = phones[agent], is_parked[agent]
                if (
                    state == AgentState.ON_CALL
                    and time.time() - since > talk_s
                    and ended.get(agent) != attempt
                ):
                    ended[agent] = attempt
                    busy[agent] = asyncio.create_task(_end(phone, parked))
                elif state == AgentState.WRAP_UP and handled.get(agent) != attempt:
                    handled[agent] = attempt
                    code = _result(number, talked_s or 0.0)
                    busy[agent] = asyncio.create_task(_give(phone, parked, code))
    finally:
        for task in busy.values():
            task.cancel()
        await asyncio.gather(*busy.values(), return_exceptions=True)


def _look(journal: Path) -> list[tuple[str, str, float, str | None, str, float | None]]:
    with closing(open_reader(journal)) as connection:
        return connection.execute(_SQL).fetchall()


def _result(number: str, talk_s: float) -> str:
    """A short talk was a refusal; of the others each has its own end."""
    if talk_s < 2.0:
        return "4"
    return random.Random(number).choice(RESULTS)  # noqa: S311 - repeatable on purpose


async def _end(phone: LabPhone, parked: bool) -> None:
    with contextlib.suppress(LabError):
        if parked:
            await phone.keys("*45")
        else:
            await phone.hang_up()


async def _give(phone: LabPhone, parked: bool, code: str) -> None:
    with contextlib.suppress(LabError):
        if parked:
            await phone.keys(f"*44{code}")
        else:
            await phone.dial(f"*44{code}", within_s=4.0)
