"""Two real Asterisks under one engine: operators and calls on each, one dies in the middle of conversations, the engine is
killed with both up, and caps hold to the call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core.ids import ServerId
from dialer.engine.embedded import EmbeddedAsterisk
from dialer.engine.house import House
from dialer.engine.serverline import ServerLine
from dialer.lab.network import NetworkCall
from dialer.lab.phones import LabPhone, LabPhones
from dialer.office.replay import replay
from dialer.store.connect import open_reader
from tests.e2e.world import (
    HTTP_PORTS,
    PATIENCE_S,
    RTP_COUNT,
    Seat,
    World,
    campaign,
    does,
    free_ports,
    person,
    seat,
)

pytestmark = pytest.mark.asterisk

CUED = does("on_cue")
TALKS = does("talks", ring_ms=200, talk_ms=1500)
NAMES = ("north", "south")
LOST_AFTER_S = 2


class Twins(World):
    """A world with two embedded servers. *caps*: more for the table of each."""

    def __init__(
        self, folder: Path, *, caps: dict[str, str] | None = None, more_servers: str = "", **more: Any
    ) -> None:
        super().__init__(folder, parts=frozenset({"network", "house"}), with_ports=False, **more)
        lines = ["[asterisk]", f"lost_after_s = {LOST_AFTER_S}", more_servers]
        rtp = free_ports(2 * RTP_COUNT, self.spans.rtp, tcp=False, even=True)
        for place, name in enumerate(NAMES):
            lines += [f"[asterisk.servers.{name}]", (caps or {}).get(name, "")]
            lines += [f"[asterisk.servers.{name}.ports]", f"rtp = {rtp + place * RTP_COUNT}"]
            lines += [f"rtp_count = {RTP_COUNT}"]
        self._system += "\n".join(lines)
        self._more = AsyncExitStack()
        self.at: dict[tuple[str, str], LabPhone] = {}
        """Phones, by server and extension."""

    async def __aexit__(self, *failure: object) -> None:
        await self._more.aclose()
        await super().__aexit__(*failure)

    def line(self, server: str) -> ServerLine:
        return self.house.lines[ServerId(server)]

    def asterisk(self, server: str) -> EmbeddedAsterisk:
        asterisk = self.line(server).asterisk
        assert asterisk is not None
        return asterisk

    def pid(self, server: str) -> int:
        pid = self.asterisk(server).pid
        assert pid is not None
        return pid

    async def plug_in(self, server: str, *extensions: str) -> None:
        """The phones of these operators register there."""
        phones = [self.seats[extension].phone for extension in extensions]
        asterisk = self.asterisk(server)
        made = LabPhones(
            self.folder / f"phones-{server}-{extensions[0]}",
            sip_server=("127.0.0.1", asterisk.sip_port),
            phones=phones,
            port=free_ports(len(phones), self.spans.sip),
            media_port=free_ports(4 * len(phones), self.spans.media, tcp=False, even=True),
        )
        await self._more.enter_async_context(made)
        for extension in extensions:
            self.at[server, extension] = made[extension]

    async def works_on(self, server: str, *extensions: str) -> None:
        """They register there, and sign in."""
        await self.plug_in(server, *extensions)
        for extension in extensions:
            phone = self.at[server, extension]
            if self.seats[extension].card.leg == "parked":
                await phone.sign_in()
            else:
                await phone.dial("*40")
            await self.agent_is(extension, "ready")
            assert self.agent(extension)["server"] == server

    async def talk(self, numbers: Iterable[str], name: str, count: int) -> list[dict[str, Any]]:
        """*count* of the people who ring answer, and talk."""
        for number in list(numbers)[:count]:
            await self.network.answer(number)

        def connected() -> list[dict[str, Any]]:
            return [one for one in self.attempts(name) if one["state"] == "connected"]

        await self.until(lambda: len(connected()) == count, f"{count} conversations")
        return connected()


def numbers(people: Sequence[Any]) -> list[str]:
    return [one.lines[0].number for one in people]


async def ringing(world: World, count: int) -> list[str]:
    """The numbers that ring, as the network sees it."""

    def found() -> list[str]:
        calls = world.network.calls()
        return [one.number for one in calls if one.rang_at and not one.answered_at and not one.ended_at]

    await world.until(lambda: len(found()) >= count, f"{count} phones to ring")
    return found()


def fresh(count: int, kind: Any = CUED) -> list[Any]:
    return [person(kind, voice=place + 1) for place in range(count)]


def everyone(*extensions: str, **more: Any) -> list[Seat]:
    return [seat(extension, **more) for extension in extensions]


async def test_one_dies_in_mid_conversation_and_the_other_goes_on(tmp_path, asterisk_install):
    people = fresh(6)
    async with Twins(
        tmp_path, work=[(campaign(ring_s=60.0), people)], seats=everyone("101", "102", "103")
    ) as world:
        await world.works_on("north", "101")
        await world.works_on("south", "102")
        await world.order("demo")
        talking = await world.talk(await ringing(world, 2), "demo", 2)
        assert {one["server"]: one["agent"] for one in talking} == {"north": "op101", "south": "op102"}
        ids = [channel async for channel in _channels(world)]
        assert any(one.startswith("server-north-") for one in ids)
        assert any(one.startswith("server-south-") for one in ids)
        assert len(ids) == len(set(ids))

        north = next(one for one in talking if one["server"] == "north")
        south = next(one for one in talking if one["server"] == "south")
        os.kill(world.pid("north"), signal.SIGKILL)
        over = await world.attempt("demo", _place(world, north), state="ended")
        assert over["result"] == "talked"
        gone = await world.agent_is("101", "signed_out")
        assert gone["channel"] is None

        # Their operator signs in on the other one, at once, and is given people there.
        await world.works_on("south", "101")
        await world.network.answer((await ringing(world, 1))[0])
        await world.until(
            lambda: [
                one
                for one in world.attempts("demo")
                if one["state"] == "connected" and one["agent"] == "op101"
            ],
            "a conversation of 101 on the other server",
        )
        again = next(
            one for one in world.attempts("demo") if one["agent"] == "op101" and one["state"] == "connected"
        )
        assert again["server"] == "south"

        # What the other one carried went on all the while, untouched.
        (still,) = [one for one in world.attempts("demo") if one["attempt"] == south["attempt"]]
        assert still == south
        await world.network.hang_up(south["number"])
        assert (await world.attempt("demo", _place(world, south), state="ended"))["result"] == "talked"

        # The dead one is started again, and works.
        await world.until(lambda: world.line("north").ari.is_connected, "the server again", 2 * PATIENCE_S)
        await world.works_on("north", "103")
        await world.until(
            lambda: [
                one for one in world.attempts("demo") if one["server"] == "north" and one["state"] != "ended"
            ],
            "a call on the server that is back",
        )
        await world.order("demo", "stop")
        health = await world.until_health(
            lambda health: all(one["is_up"] for one in health["servers"]), "both to be up"
        )
        assert [one["name"] for one in health["servers"]] == ["north", "south"]
    with contextlib.closing(open_reader(world.home / "journal.sqlite3")) as connection:
        assert (await asyncio.to_thread(replay, connection)).starts == 1


async def test_one_that_hangs_and_one_that_is_not_there_stall_nobody(tmp_path, asterisk_install):
    """Hung for so long that it counts as dead, it is believed to be cut off: who talks there is not cut off when it goes on."""
    people = fresh(6)
    nobody = f'[asterisk.servers.west]\nmode = "external"\nurl = "http://127.0.0.1:{free_ports(1, HTTP_PORTS)}/ari"'
    async with Twins(
        tmp_path,
        more_servers=nobody,
        work=[(campaign(ring_s=90.0), people)],
        seats=everyone("101", "102"),
    ) as world:
        await world.until(
            lambda: world.house.floor.servers[ServerId("west")].is_lost, "the third to count as dead"
        )
        await world.until_health(lambda health: health["originating"], "dialing to be possible")
        await world.works_on("north", "101")
        await world.works_on("south", "102")
        await world.order("demo")
        talking = await world.talk(await ringing(world, 2), "demo", 2)
        north = next(one for one in talking if one["server"] == "north")
        south = next(one for one in talking if one["server"] == "south")
        hung = world.pid("north")
        os.kill(hung, signal.SIGSTOP)
        try:
            # The other serves one person after another meanwhile.
            await world.network.hang_up(south["number"])
            assert (await world.attempt("demo", _place(world, south), state="ended"))["result"] == "talked"
            number = (await ringing(world, 1))[0]
            await world.network.answer(number)
            await world.until(
                lambda: [
                    one
                    for one in world.attempts("demo")
                    if (one["number"], one["state"]) == (number, "connected")
                ],
                "the next person beside a server that hangs",
            )
            await world.agent_is("101", "signed_out", 2 * PATIENCE_S)
            assert (await world.attempt("demo", _place(world, north)))["result"] == "talked"
        finally:
            os.kill(hung, signal.SIGCONT)
        await world.until(lambda: world.line("north").ari.is_connected, "it again", 2 * PATIENCE_S)
        ids = [one["id"] for one in await world.line("north").ari.request("GET", "/channels")]
        assert north["attempt"] in ids, "who talked there was cut off"
        assert len(ids) == 2
        await world.order("demo", "stop")


async def test_who_talks_on_over_a_lost_server_is_not_cut_off_by_the_next_engine(tmp_path, asterisk_install):
    """It hung, was given up, and went on while no engine ran."""
    people = fresh(2)
    async with Twins(tmp_path, work=[(campaign(ring_s=90.0), people)], seats=everyone("101")) as world:
        house = world.house
        house._outlive = True
        for asterisk in house.asterisks.embedded.values():
            asterisk._server.outlive = True
        await world.works_on("north", "101")
        await world.order("demo")
        [talk] = await world.talk(await ringing(world, 1), "demo", 1)
        hung = world.pid("north")
        os.kill(hung, signal.SIGSTOP)
        try:
            await world.agent_is("101", "signed_out", 2 * PATIENCE_S)
            assert (await world.attempt("demo", _place(world, talk)))["result"] == "talked"
            await world.order("demo", "stop")
            await house._stop(RuntimeError("a fault of ours"))
        finally:
            os.kill(hung, signal.SIGCONT)
        async with House(world.home) as second:
            world.house = second
            assert world.pid("north") == hung
            north = second.floor.servers[ServerId("north")]
            await world.until(lambda: north.is_up, "it again")
            await second._decided()
            assert talk["attempt"] in north.left
            assert len(north.left) == 2
            ids = [one["id"] for one in await world.line("north").ari.request("GET", "/channels")]
            assert talk["attempt"] in ids, "who talked there was cut off"
            assert len(ids) == 2
            name = f"/channels/{talk['attempt']}/variable?variable=SYSTEMNAME"
            said = await world.line("north").ari.request("GET", name)
            assert said["value"] == "server-north", "by which the dialplan's notes tell where a call was"


async def test_an_engine_that_is_killed_finds_the_calls_of_both(tmp_path, asterisk_install):
    """Here it fails within its process: embedded servers outlive that, and the next engine adopts both."""
    people = fresh(4)
    async with Twins(tmp_path, work=[(campaign(ring_s=90.0), people)], seats=everyone("101", "102")) as world:
        house = world.house
        house._outlive = True
        for asterisk in house.asterisks.embedded.values():
            asterisk._server.outlive = True
        await world.works_on("north", "101")
        await world.works_on("south", "102")
        await world.order("demo")
        talking = await world.talk(await ringing(world, 2), "demo", 2)
        pids = {name: world.pid(name) for name in NAMES}
        await house._stop(RuntimeError("a fault of ours"))
        async with House(world.home) as second:
            world.house = second
            assert {name: world.pid(name) for name in NAMES} == pids
            assert all(world.asterisk(name).is_adopted for name in NAMES)
            await world.until(lambda: all(line.ari.is_connected for line in second.lines.values()), "both")
            now = {one["attempt"]: one for one in world.attempts("demo")}
            for one in talking:
                assert now[one["attempt"]]["state"] == "connected", now
                assert now[one["attempt"]]["connected_at"] == one["connected_at"]
            await world.order("demo", "stop")
            for one in talking:
                await world.network.hang_up(one["number"])
            for one in talking:
                over = await world.attempt("demo", _place(world, one), state="ended")
                assert (over["result"], over["server"]) == ("talked", one["server"])


async def test_caps_hold_to_the_call(tmp_path, asterisk_install):
    """Of servers and of the trunk, as the network counts them; announcements go by weight."""
    message = msgspec.structs.replace(
        campaign("message", ring_s=30.0), mode="announcement", lines_max=1000, ring_agent="at_answer"
    )
    people = fresh(60, does("no_answer", ring_ms=60_000))
    caps = {
        "north": "channels_max = 7\nweight = 1",
        "south": "channels_max = 11\nweight = 3\ncalls_per_second_max = 5.0",
    }
    async with Twins(tmp_path, caps=caps, work=[(message, people)], seats=[]) as world:
        await world.order("message")
        await world.until(lambda: len(_in_flight(world)) == 18, "as many calls as the servers may have")
        counts = {name: sum(one["server"] == name for one in world.attempts("message")) for name in NAMES}
        assert counts == {"north": 7, "south": 11}
        for _ in range(20):
            await asyncio.sleep(0.05)
            assert len(_in_flight(world)) == 18
        health = await world.health()
        assert {one["name"]: one["calls"] for one in health["servers"]} == {"north": 7, "south": 11}
        await world.order("message", "stop")
        assert _most_at_once(world.network.calls()) == 18


def _place(world: World, attempt: dict[str, Any]) -> int:
    return [one["attempt"] for one in world.attempts(attempt["campaign"])].index(attempt["attempt"])


def _in_flight(world: World) -> list[NetworkCall]:
    return [one for one in world.network.calls() if one.ended_at is None]


def _most_at_once(calls: Sequence[NetworkCall]) -> int:
    changes = sorted(
        [(one.invited_at, 1) for one in calls] + [(one.ended_at, -1) for one in calls if one.ended_at]
    )
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


async def _channels(world: World):
    for line in world.house.lines.values():
        for channel in await line.ari.request("GET", "/channels"):
            yield channel["id"]
