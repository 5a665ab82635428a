"""Two Asterisks under one engine: whether caps hold to the call, as the carrier counts them, and what the death of one costs.

A campaign without operators has more people to call than all caps together allow. First each cap is pressed against for
:data:`LOAD_S`; then one server is killed in the middle of its calls, and started again by the engine.

The carrier sees calls and not servers: whose a call was is asked of the journal, when it was there of the carrier.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from bench.announcing import CAMPAIGN, START_S, announcing, apply, make_bare_home, until
from dialer.core import events as ev
from dialer.core.ids import ServerId, TrunkId
from dialer.core.values import Trunk
from dialer.engine.house import House
from dialer.lab.day import Behaviour, Line, Person, Reaction
from dialer.lab.network import LabNetwork, NetworkCall
from dialer.lab.ports import choose_room
from dialer.store import files
from dialer.store.connect import open_reader

CAPS = {"north": (14, 5.0), "south": (22, 9.0)}
"""Of each server: calls at once, and calls placed in a second."""
TRUNK_CAPS = (32, 12.0)
LOAD_S = 20.0
AFTER_S = 12.0
BURST_S = 0.25
"""Of a rate that was not used so much may be made up for (:mod:`dialer.core.servers`)."""
WINDOW_S = 1.0
PEOPLE = 900
RING_S, TALK_S = 0.5, 3.0
RING_S_MAX = 40.0
VICTIM = ServerId("north")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One cap. *most*: calls at once, or placed in a second, at the worst instant as the carrier saw it; *allowed*: so many at most (a rate
    with what may be made up for)."""

    whose: str
    what: str
    allowed: float
    most: int
    used: float
    """The average, as a share of the cap."""


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """The death of a server. *closed_s*: until the last of its calls was closed; *others*: calls placed on the other meanwhile,
    a second; *back_s*: until it placed a call again. *open*: its calls that were never closed. *cut*: calls on the other that ended
    within a second of the death without the person having hung up."""

    calls: int
    closed_s: float
    back_s: float
    others_per_s: float
    others_before_per_s: float
    open: int
    cut: int
    twice: int
    """People who were rung twice."""


async def measure(folder: Path) -> tuple[list[Held], Death]:
    """*folder*: new. Raises BenchFailed, EmbeddedError or LabError."""
    people = [_person(number) for number in range(PEOPLE)]
    room = choose_room(1)
    network = LabNetwork(folder / "carrier", port=room.network, media_port=room.network_media, people=people)
    trunk = Trunk(
        id=TrunkId("lab"),
        host="127.0.0.1",
        port=room.network,
        channels_max=TRUNK_CAPS[0],
        calls_per_second_max=TRUNK_CAPS[1],
    )
    home = folder / "home"
    await asyncio.to_thread(_prepare, home, trunk, people)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(network)
        house = await stack.enter_async_context(House(home))
        await until(lambda: len(house.floor.servers.up) == len(CAPS), "both servers to be heard")
        await house.engine.order(
            ev.CampaignOrdered(at=house.clock(), campaign=CAMPAIGN, order="start"), START_S
        )
        await until(lambda: len(house.floor.calls) >= TRUNK_CAPS[0] - 1, "all lines to be used")
        began = time.time()
        await asyncio.sleep(LOAD_S)
        killed = house.lines[VICTIM].asterisk
        assert killed is not None
        assert killed.pid is not None
        carried = [call.attempt for call in house.floor.calls.values() if call.server == VICTIM]
        os.kill(killed.pid, signal.SIGKILL)
        died = time.time()
        await asyncio.sleep(AFTER_S)
        await house.engine.order(
            ev.CampaignOrdered(at=house.clock(), campaign=CAMPAIGN, order="stop"), START_S
        )
        ended = time.time()
        await until(lambda: not house.floor.calls, "the last call to end")
        return _read(home, network.calls(), set(carried), began, died, ended)


def _person(number: int) -> Person:
    talk_s = TALK_S * (0.5 + (number * 7 % 11) / 10)
    reaction = Reaction(behaviour=Behaviour.TALKS, ring_ms=round(1000 * RING_S), talk_ms=round(1000 * talk_s))
    line = Line(kind="main", number=f"+7944{number:07}", plan=(reaction,))
    return Person(name=f"Person {number}", voice=number % 4, lines=(line,))


def _prepare(home: Path, trunk: Trunk, people: Sequence[Person]) -> None:
    make_bare_home(home)
    tables = [
        f"[asterisk.servers.{name}]\nchannels_max = {channels}\ncalls_per_second_max = {rate}\n"
        for name, (channels, rate) in CAPS.items()
    ]
    tables += [f"[asterisk.servers.{name}.ports]\nrtp_count = 400\n" for name in CAPS]
    (home / files.SYSTEM_FILE).write_text("[asterisk]\nlost_after_s = 3\n" + "".join(tables))
    apply(home, [trunk], announcing([trunk], lines_max=1000, ring_s=RING_S_MAX), people)


def _read(
    home: Path, calls: Sequence[NetworkCall], carried: set[str], began: float, died: float, ended: float
) -> tuple[list[Held], Death]:
    with contextlib.closing(open_reader(home / "journal.sqlite3")) as journal:
        rows = [
            dict(row)
            for row in journal.execute(
                "SELECT attempt, number, server, created_at, answered_at, ended_at, result FROM attempts"
            )
        ]
    server = {row["number"]: row["server"] for row in rows}
    before = [call for call in calls if call.invited_at < died]
    held = []
    for whose, (channels, rate) in {**CAPS, "trunk": TRUNK_CAPS}.items():
        mine = [call for call in before if whose in ("trunk", server.get(call.number))]
        most, average = _at_once(mine, began, died)
        held.append(
            Held(whose=whose, what="at once", allowed=channels, most=most, used=round(average / channels, 2))
        )
        placed = [call.invited_at for call in mine if call.invited_at >= began]
        held.append(
            Held(
                whose=whose,
                what="in a second",
                allowed=rate * WINDOW_S + max(1.0, rate * BURST_S),
                most=_in_window(placed),
                used=round(len(placed) / (died - began) / rate, 2),
            )
        )
    of_victim = [row for row in rows if row["attempt"] in carried]
    again = [row["created_at"] for row in rows if row["server"] == VICTIM and row["created_at"] > died + 0.5]
    closed = [row["ended_at"] for row in of_victim if row["ended_at"] is not None]
    other = [row for row in rows if row["server"] != VICTIM]
    back = min(again, default=ended)
    by_number = {call.number: call for call in calls}
    return held, Death(
        calls=len(of_victim),
        closed_s=round(max(closed) - died, 2) if closed else float("nan"),
        back_s=round(back - died, 2) if again else float("nan"),
        others_per_s=round(_count(other, died, back) / max(0.1, back - died), 1),
        others_before_per_s=round(_count(other, began, died) / (died - began), 1),
        open=sum(row["ended_at"] is None for row in rows),
        cut=sum(
            died <= (row["ended_at"] or 0.0) < died + 1.0
            and (call := by_number.get(row["number"])) is not None
            and call.ended_by == "caller"
            for row in other
        ),
        twice=len(calls) - len({call.number for call in calls}),
    )


def _count(rows: Iterable[dict[str, float]], since: float, until: float) -> int:
    return sum(since <= row["created_at"] < until for row in rows)


def _at_once(calls: Sequence[NetworkCall], since: float, until: float) -> tuple[int, float]:
    """The most calls that were there at one instant, and the average."""
    changes = sorted(
        [(call.invited_at, 1) for call in calls]
        + [(call.ended_at, -1) for call in calls if call.ended_at is not None]
    )
    now = most = 0
    spent, last = 0.0, since
    for at, change in changes:
        if since < at <= until:
            spent += now * (at - last)
            last = at
        now += change
        most = max(most, now)
    return most, (spent + now * max(0.0, until - last)) / (until - since)


def _in_window(placed: Sequence[float]) -> int:
    ordered = sorted(placed)
    first = most = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] > WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most
