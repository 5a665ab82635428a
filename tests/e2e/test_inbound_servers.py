"""People call us on two servers at once: each is served by the operators of the server they came to, and by nobody else; who could not
be is called back by whoever can; and one server dies with callers in conversation and in its queue."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dialer.lab.callers import LabCallers
from dialer.lab.day import Person
from dialer.pbx.speech import has_voice
from tests.e2e.test_crash import HEARD_S
from tests.e2e.test_inbound import INBOUND, Office, lives, taking
from tests.e2e.test_servers import NAMES, Twins, everyone
from tests.e2e.world import PATIENCE_S, does, free_ports

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.skipif(not has_voice(), reason="espeak-ng is not installed"),
]

DID = "84951110001"
NORTHERN = ("+79160000001", "+79160000002", "+79160000003")
SOUTHERN = ("+79160000004", "+79160000005", "+79160000006")
STAYS_MS = 60_000


@asynccontextmanager
async def branches(
    folder: Path, *extensions: str, **rules: Any
) -> AsyncIterator[tuple[Twins, Office, Office]]:
    """Two servers with a campaign that takes calls, and people who call each of them. Whom we call back talks for long."""
    world = Twins(
        folder,
        work=[(taking("sales", **rules), [])],
        seats=everyone(*extensions, campaigns=("sales",)),
        trunk=INBOUND,
    )
    talks = does("talks", ring_ms=300, talk_ms=STAYS_MS)
    at_home: list[Person] = [
        lives(one, talks, voice=place) for place, one in enumerate((*NORTHERN, *SOUTHERN))
    ]
    world.network = type(world.network)(
        folder / "network",
        port=world.trunk.port,
        people=at_home,
        media_port=free_ports(64, world.spans.media, tcp=False, even=True),
    )
    async with world, AsyncExitStack() as stack:
        offices = []
        for name, numbers in zip(NAMES, (NORTHERN, (*SOUTHERN, NORTHERN[0])), strict=True):
            made = LabCallers(
                folder / f"callers-{name}",
                sip_server=("127.0.0.1", world.asterisk(name).sip_port),
                numbers=numbers,
                port=free_ports(len(numbers), world.spans.sip),
                media_port=free_ports(4 * len(numbers), world.spans.media, tcp=False, even=True),
            )
            offices.append(Office(world, await stack.enter_async_context(made)))
        await world.order("sales")
        yield world, offices[0], offices[1]


async def call_of(world: Twins, number: str, place: int = 0, **wanted: Any) -> dict[str, Any]:
    """The call in number *place* (from 0) of who has that number, once it is as *wanted*."""

    def found() -> dict[str, Any] | None:
        calls = [
            one for one in world.attempts("sales") if one["direction"] == "in" and one["number"] == number
        ]
        one = calls[place] if len(calls) > place else None
        return one if one and all(one[key] == value for key, value in wanted.items()) else None

    one: dict[str, Any] = await world.until(found, f"a call of {number}: {wanted}", 2 * PATIENCE_S)
    return one


async def test_each_is_served_where_they_came_in_and_called_back_from_where_somebody_is(
    tmp_path, asterisk_install
):
    async with branches(tmp_path, "101", "102") as (world, north, south):
        await world.works_on("north", "101")
        await world.works_on("south", "102")
        await asyncio.gather(north.people[NORTHERN[0]].call(DID), south.people[SOUTHERN[0]].call(DID))
        first = await call_of(world, NORTHERN[0], state="connected", server="north", agent="op101")
        await call_of(world, SOUTHERN[0], state="connected", server="south", agent="op102")

        # Each waits for an operator of their own server, and is the first there.
        await asyncio.gather(north.people[NORTHERN[1]].call(DID), south.people[SOUTHERN[1]].call(DID))
        for number, office in ((NORTHERN[1], north), (SOUTHERN[1], south)):
            waits = await call_of(world, number, state="answered")
            (told,) = office.orders("HoldContact", waits["attempt"])
            assert told["place"] == 1
        await south.people[SOUTHERN[0]].hang_up()
        await call_of(world, SOUTHERN[1], state="connected", server="south", agent="op102")
        assert (await call_of(world, NORTHERN[1]))["state"] == "answered"
        await north.people[NORTHERN[0]].hang_up()
        await call_of(world, NORTHERN[1], state="connected", server="north", agent="op101")
        await asyncio.gather(north.people[NORTHERN[1]].hang_up(), south.people[SOUTHERN[1]].hang_up())
        for number in (*NORTHERN[:2], *SOUTHERN[:2]):
            await call_of(world, number, state="ended", result="talked")
        for extension in ("101", "102"):
            await world.agent_is(extension, "ready")

        # The operator who spoke with them last is idle, but on the other server.
        known = NORTHERN[0]
        assert first["agent"] == "op101"
        await south.people[known].call(DID)
        await call_of(world, known, 1, state="connected", server="south", agent="op102")
        assert world.agent("101")["state"] == "ready"
        await south.people[known].hang_up()
        await call_of(world, known, 1, state="ended", result="talked")

        # Nobody is signed in where they come in: the idle operator elsewhere is promised nothing, until they are called back.
        await world.agent_is("102", "ready")
        await world.at["south", "102"].hang_up()
        await world.agent_is("102", "signed_out")
        await south.people[known].call(DID)
        alone = await call_of(world, known, 2, state="ending")
        assert [one["place"] for one in south.orders("SendToOverflow", alone["attempt"])] == ["callback"]
        assert not south.orders("HoldContact", alone["attempt"])
        assert (alone["agent"], world.agent("101")["state"]) == (None, "ready")
        await south.press(known, "1")
        missed = await call_of(world, known, 2, state="ended", result="missed", choice="later")
        assert missed["server"] == "south"
        again = await our_call(world, known)
        assert (again["server"], again["agent"]) == ("north", "op101")


async def test_one_dies_with_callers_in_conversation_and_in_its_queue(tmp_path, asterisk_install):
    async with branches(tmp_path, "101", "102", missed_again_s=1.0) as (world, north, south):
        await world.works_on("north", "101")
        await world.works_on("south", "102")
        await asyncio.gather(north.people[NORTHERN[0]].call(DID), south.people[SOUTHERN[0]].call(DID))
        beside = await call_of(world, NORTHERN[0], state="connected")
        talks = await call_of(world, SOUTHERN[0], state="connected", agent="op102")
        await south.people[SOUTHERN[1]].call(DID)
        waits = await call_of(world, SOUTHERN[1], state="answered", server="south")
        await world.until(lambda: time.time() > waits["created_at"] + HEARD_S, "something to be recorded")

        os.kill(world.pid("south"), signal.SIGKILL)
        over = await call_of(world, SOUTHERN[0], state="ended", result="talked")
        missed = await call_of(world, SOUTHERN[1], state="ended", result="missed")
        assert (over["connected_at"], over["server"]) == (talks["connected_at"], "south")
        assert (missed["attempt"], missed["agent"], missed["choice"]) == (waits["attempt"], None, None)
        assert world.rows("SELECT 1 FROM leads WHERE id = ? AND finished IS NULL", missed["lead"])
        assert (await world.agent_is("102", "signed_out"))["channel"] is None

        # What went on elsewhere goes on, and their operator calls who was missed from there.
        assert await call_of(world, NORTHERN[0]) == beside
        await world.works_on("north", "102")
        again = await our_call(world, SOUTHERN[1])
        assert (again["server"], again["agent"]) == ("north", "op102")
        await world.house.finish_recordings()
        for one in (over, missed):
            assert world.recording(one["attempt"]).stat().st_size > 0

        # It comes back, and takes calls as soon as somebody is there for them.
        await world.until(lambda: world.line("south").ari.is_connected, "the server again", 2 * PATIENCE_S)
        await south.people[SOUTHERN[2]].call(DID)
        alone = await call_of(world, SOUTHERN[2], state="ending")
        assert south.orders("SendToOverflow", alone["attempt"])
        await south.people[SOUTHERN[2]].hang_up()
        await call_of(world, SOUTHERN[2], state="ended", result="missed")
        await north.people[NORTHERN[0]].hang_up()
        await call_of(world, NORTHERN[0], state="ended", result="talked")
        assert sum(call.number == SOUTHERN[1] for call in world.network.calls()) == 1


async def our_call(world: Twins, number: str) -> dict[str, Any]:
    """The conversation in which we reached who has that number."""

    def found() -> dict[str, Any] | None:
        calls = [
            one for one in world.attempts("sales") if one["direction"] == "out" and one["number"] == number
        ]
        return next((one for one in calls if one["state"] == "connected"), None)

    one: dict[str, Any] = await world.until(found, f"our call to {number}", 2 * PATIENCE_S)
    return one
