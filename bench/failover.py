"""What a carrier's death costs: two carriers on loopback, and the one that carries all calls dies in the middle.

It dies in three ways. ``silent``: its process is killed, and nothing answers any more; Asterisk finds that out by OPTIONS. ``silent, no
OPTIONS``: the same where nobody asks it; the engine finds that out by calls to which not even 100 Trying comes. ``503``: it
answers every call with 503 from then on, and OPTIONS as ever; the engine finds that out by the calls.

The people are called by a campaign without operators, so that nothing but lines and carriers limits it: it has so many lines that
:data:`CALLS_PER_S` calls are placed in a second when each lasts :data:`HOLD_S`. Whom the dead carrier leaves hanging keeps a line: from
its death on there are more of them. The first carrier takes little more than that rate, dead or not; the second what it lets go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from bench.announcing import CAMPAIGN, START_S, announcing, apply, make_bare_home, until
from bench.world import BenchFailed
from dialer.core import events as ev
from dialer.core.ids import TrunkId
from dialer.core.values import Result, Trunk
from dialer.engine.house import House
from dialer.lab.day import Behaviour, Line, Person, Reaction
from dialer.lab.network import LabNetwork
from dialer.lab.ports import choose_room
from dialer.store.connect import open_reader

Death = Literal["503", "silent", "silent, no OPTIONS"]
DEATHS: tuple[Death, ...] = get_args(Death)

CALLS_PER_S = 10.0
RING_S, TALK_S = 0.5, 3.5
HOLD_S = RING_S + TALK_S + 0.8
WARM_S = 8.0
AFTER_S = 14.0
OPTIONS_S = 5
"""Both carriers are asked so often whether they are there. Asterisk waits 3 s for the answer."""
PEOPLE = 600
RING_S_MAX = 12.0
"""Who rang as the carrier died is given up after this."""
FREE_S = 5.0
_REACHED = (Result.ANNOUNCED, Result.HUNG_UP, Result.TALKED, Result.ABANDONED, Result.MACHINE)


class Failover(msgspec.Struct, frozen=True, kw_only=True):
    """One death. Times in seconds. *first_s*: from the death to the first ring of a call that the first carrier let go; *went_on_s*: of
    each such call from its beginning, or from the death, to the beginning by the second carrier, the median and the longest.

    *lost*: calls that never rang and count against their contacts. *later*: calls that did not go on, and count for nothing. *cut*: people on the first carrier who talked as it died; *ringing*: whose
    phone rang, and who are not rung again at once. *twice*: people whose phone rang for one attempt by both carriers.
    """

    how: Death
    calls_per_s: float
    rerouted: int
    first_s: float
    went_on_s: tuple[float, float]
    lost: int
    later: int
    cut: int
    ringing: int
    after_per_s: float
    twice: int


async def measure(folder: Path, how: Death) -> Failover:
    """Let a carrier die in the middle of a run. *folder*: new. Raises BenchFailed, EmbeddedError or LabError."""
    people = [
        Person(
            name=f"Person {number}",
            voice=number % 4,
            lines=(
                Line(
                    kind="main",
                    number=f"+7944{number:07}",
                    plan=(
                        Reaction(
                            behaviour=Behaviour.TALKS,
                            ring_ms=round(1000 * RING_S),
                            talk_ms=round(1000 * TALK_S * (0.5 + (number * 7 % 11) / 10)),
                        ),
                    ),
                ),
            ),
        )
        for number in range(PEOPLE)
    ]
    rooms = [choose_room(1), choose_room(1)]
    networks = [
        LabNetwork(
            folder / f"carrier-{name}", port=room.network, media_port=room.network_media, people=people
        )
        for name, room in zip(("one", "two"), rooms, strict=True)
    ]
    trunks = [
        Trunk(
            id=TrunkId(name),
            host="127.0.0.1",
            port=room.network,
            channels_max=200,
            calls_per_second_max=(1.2, 10.0)[priority] * CALLS_PER_S,
            options_interval_s=0 if how == "silent, no OPTIONS" else OPTIONS_S,
            priority=priority,
        )
        for priority, (name, room) in enumerate(zip(("one", "two"), rooms, strict=True))
    ]
    home = folder / "home"
    await asyncio.to_thread(_prepare, home, trunks, people)
    async with contextlib.AsyncExitStack() as stack:
        for network in networks:
            await stack.enter_async_context(network)
        house = await stack.enter_async_context(House(home))
        await until(lambda: all(one.is_up() for one in house.floor.trunks.values()), "both carriers to be up")
        await house.engine.order(
            ev.CampaignOrdered(at=house.clock(), campaign=CAMPAIGN, order="start"), START_S
        )
        await until(lambda: len(house.floor.calls) >= _lines() - 2, "all lines to be used")
        began = time.time()
        await asyncio.sleep(WARM_S)
        assert networks[0].pid is not None
        os.kill(networks[0].pid, signal.SIGKILL)
        died = time.time()
        if how == "503":
            await stack.enter_async_context(_refusing(rooms[0].network))
        more = announcing(trunks, lines_max=2 * _lines(), ring_s=RING_S_MAX)
        await house.engine.order(ev.CampaignApplied(at=house.clock(), campaign=more), START_S)
        await asyncio.sleep(AFTER_S)
        await house.engine.order(
            ev.CampaignOrdered(at=house.clock(), campaign=CAMPAIGN, order="stop"), START_S
        )
        ended = time.time()
        await until(lambda: not house.floor.calls, "the last call to end")
        return _read(home, how, began, died, ended, networks)


def _lines() -> int:
    """Calls at once, as long as all is well."""
    return round(CALLS_PER_S * HOLD_S)


def _prepare(home: Path, trunks: Sequence[Trunk], people: Sequence[Person]) -> None:
    make_bare_home(home)
    apply(home, trunks, announcing(trunks, lines_max=_lines(), ring_s=RING_S_MAX), people)


@contextlib.asynccontextmanager
async def _refusing(port: int) -> AsyncIterator[None]:
    """A carrier at *port* that refuses every call, and answers OPTIONS."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + FREE_S
    while True:
        with contextlib.suppress(OSError):
            transport, _ = await loop.create_datagram_endpoint(_Refusing, local_addr=("127.0.0.1", port))
            break
        if loop.time() > deadline:
            raise BenchFailed(f"the dead carrier's port was not free within {FREE_S:g} s")
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        transport.close()


class _Refusing(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        lines = data.decode("utf-8", "replace").split("\r\n")
        method = lines[0].split(" ")[0]
        if method in ("ACK", "SIP/2.0"):
            return
        status = {"INVITE": "503 Service Unavailable", "BYE": "481 Gone"}.get(method, "200 OK")
        kept = [
            line
            for line in lines[1:]
            if line.lower().startswith(("via:", "from:", "call-id:", "cseq:", "to:", "v:", "f:", "i:", "t:"))
        ]
        kept = [
            f"{line};tag=gone" if line.lower().startswith(("to:", "t:")) and "tag=" not in line else line
            for line in kept
        ]
        answer = "\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""])
        self._transport.sendto(answer.encode(), addr)


def _read(
    home: Path, how: Death, began: float, died: float, ended: float, networks: Sequence[LabNetwork]
) -> Failover:
    with contextlib.closing(open_reader(home / "journal.sqlite3")) as journal:
        rows = [
            dict(row)
            for row in journal.execute(
                "SELECT attempt, lead, trunk, created_at, rang_at, answered_at, ended_at, result, after, number FROM attempts"
            )
        ]
    by_attempt = {row["attempt"]: row for row in rows}
    went_on = [row for row in rows if row["after"] is not None]
    took = [row["created_at"] - max(died, by_attempt[row["after"]]["created_at"]) for row in went_on]
    rings = [row["rang_at"] for row in went_on if row["rang_at"] is not None]
    begun = [row for row in rows if row["after"] is None]
    lost = [
        row
        for row in rows
        if row["result"] not in (*_REACHED, Result.REROUTED, Result.FAILED)
        and row["rang_at"] is None
        and (row["ended_at"] or ended) >= died
        and row["created_at"] < ended - HOLD_S
    ]
    up = [
        row
        for row in rows
        if row["trunk"] == "one"
        and row["rang_at"] is not None
        and row["rang_at"] < died <= (row["ended_at"] or ended)
    ]
    rung = [call.number for network in networks for call in network.calls() if call.rang_at is not None]
    return Failover(
        how=how,
        calls_per_s=round(sum(began <= row["created_at"] < died for row in begun) / (died - began), 1),
        rerouted=sum(row["result"] == Result.REROUTED for row in rows),
        first_s=round(min(rings) - died, 2) if rings else float("nan"),
        went_on_s=(round(statistics.median(took), 3), round(max(took), 3)) if took else (0.0, 0.0),
        lost=len(lost),
        later=sum(row["result"] == Result.FAILED for row in rows),
        cut=sum(one["answered_at"] is not None and one["answered_at"] < died for one in up),
        ringing=sum(one["answered_at"] is None for one in up),
        after_per_s=round(sum(died <= row["created_at"] < ended for row in begun) / (ended - died), 1),
        twice=len(rung) - len(set(rung)),
    )
