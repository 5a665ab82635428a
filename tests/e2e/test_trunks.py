"""Two carriers: what the first would not carry, the second does; and it is one attempt."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core.ids import TrunkId
from dialer.core.trunk import CallerIds
from dialer.core.values import Result, RetryRule, Trunk
from dialer.engine.silence import SILENT_S
from dialer.lab.day import Behaviour, Line, Person
from dialer.lab.network import LabNetwork
from dialer.office.replay import replay
from dialer.store.connect import open_reader
from tests.e2e.world import (
    MEDIA_PORTS,
    SIP_PORTS,
    TRUNK,
    World,
    campaign,
    does,
    free_ports,
    person,
    seat,
)

pytestmark = pytest.mark.asterisk

TALKS = does("talks", talk_ms=2500)


def at(port: int, **changes: Any) -> Trunk:
    """The carrier *first* at that port, which is asked before the other one."""
    return msgspec.structs.replace(TRUNK, id=TrunkId("first"), port=port, priority=1, **changes)


@asynccontextmanager
async def refusing(folder: Path, people: Sequence[Person], port: int) -> AsyncIterator[LabNetwork]:
    """A carrier that answers every call with 503."""
    congested = does(Behaviour.CONGESTED)
    people = [
        Person(
            name=one.name,
            voice=one.voice,
            lines=tuple(Line(kind=line.kind, number=line.number, plan=(congested,)) for line in one.lines),
        )
        for one in people
    ]
    media = free_ports(64, MEDIA_PORTS, tcp=False, even=True)
    async with LabNetwork(folder, port=port, people=people, media_port=media) as network:
        yield network


class Quiet(asyncio.DatagramProtocol):
    """A carrier that sends, to each call, what *says* tells of it after so many seconds; else not one packet ever."""

    def __init__(self, *says: tuple[float, str]) -> None:
        self.says = says
        self.asked: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        first, *lines = data.decode().split("\r\n")
        method = first.split(" ")[0]
        self.asked.append(method)
        if method == "INVITE" and self.asked.count("INVITE") == 1:
            for after_s, status in self.says:
                asyncio.get_running_loop().call_later(after_s, self._say, status, lines, addr)

    def _say(self, status: str, lines: list[str], addr: tuple[str, int]) -> None:
        kept = [
            line if "tag=" in line or not line.startswith("To:") else f"{line};tag=quiet"
            for line in lines
            if line.startswith(("Via:", "From:", "To:", "Call-ID:", "CSeq:"))
        ]
        answer = "\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""])
        self._transport.sendto(answer.encode(), addr)


@asynccontextmanager
async def quiet(*says: tuple[float, str]) -> AsyncIterator[tuple[Quiet, int]]:
    """:class:`Quiet`, and its port."""
    port = free_ports(1, SIP_PORTS)
    loop = asyncio.get_running_loop()
    transport, carrier = await loop.create_datagram_endpoint(
        lambda: Quiet(*says), local_addr=("127.0.0.1", port)
    )
    try:
        yield carrier, port
    finally:
        transport.close()


def rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    with open_reader(world.home / "journal.sqlite3") as connection:
        return [tuple(row) for row in connection.execute(sql)]


async def test_people_are_reached_by_the_second_carrier_and_counted_once(tmp_path: Path) -> None:
    people = [person(TALKS, voice=voice) for voice in range(7)]
    port = free_ports(1, SIP_PORTS)
    first = at(port, caller_ids=CallerIds(numbers=("+74951110000",)))
    spring = campaign(trunk="first", trunks=("lab",), caller_id="")
    world = World(
        tmp_path,
        work=[(spring, people)],
        seats=[seat("101"), seat("102")],
        trunk=msgspec.structs.replace(TRUNK, caller_id="+74952220000"),
        more_trunks=(first,),
    )
    async with refusing(tmp_path / "first", people, port) as carrier, world:
        await world.sign_in()
        await world.order("demo")
        await world.until(
            lambda: rows(world, "SELECT 1 FROM campaigns WHERE state = 'finished'"), "the end of the campaign"
        )
        refused, carried = carrier.calls(), world.network.calls()
        rests = rows(world, "SELECT state FROM trunk_states WHERE trunk = 'first' ORDER BY id")
        found = rows(
            world, "SELECT lead, trunk, result, ordinal, after, caller_id FROM attempts ORDER BY created_at"
        )
        counted = rows(world, "SELECT ordinal FROM leads")
        with open_reader(world.home / "journal.sqlite3") as connection:
            assert replay(connection).events
    assert {one.status for one in refused} == {503}
    assert Counter(one.number for one in carried) == {one.lines[0].number: 1 for one in people}
    results = Counter((trunk, result) for _, trunk, result, *_ in found)
    assert results["lab", "talked"] == len(people)
    assert results["first", "rerouted"] == len(refused) == results.total() - len(people)
    assert 5 <= len(refused) <= 7, "after five in a row it rests"
    assert ("resting",) in rests
    assert {ordinal for *_, ordinal, _, _ in found} == {1}
    assert {ordinal for (ordinal,) in counted} == {1}
    assert sum(after is not None for *_, after, _ in found) == len(refused)
    assert {(trunk, shown) for _, trunk, *_, shown in found} == {
        ("first", "+74951110000"),
        ("lab", "+74952220000"),
    }
    assert {one.caller_id for one in carried} == {"+74952220000"}


async def test_a_third_party_of_a_transfer_is_reached_by_the_second_carrier(tmp_path: Path) -> None:
    stays = does("waits", talk_ms=60_000)
    contact, third = person(stays), person(stays, voice=3)
    port = free_ports(1, SIP_PORTS)
    spring = campaign(trunk="first", trunks=("lab",), transfer_numbers={"1": third.lines[0].number})
    work = [(spring, [contact]), (campaign("thirds"), [third])]
    world = World(tmp_path, work=work, seats=[seat("101", campaigns=("demo",))], more_trunks=(at(port),))
    async with refusing(tmp_path / "first", [contact, third], port) as carrier, world:
        await world.sign_in()
        await world.order("demo")
        await world.until(
            lambda: rows(world, "SELECT 1 FROM attempts WHERE state = 'connected'"), "a conversation"
        )
        await world.phone("101").keys("*501#")
        sql = "SELECT trunk, tried, third, state FROM transfers"
        await world.until(lambda: [one[3] for one in rows(world, sql)] == ["handed"], "them to talk")
        ((trunk, tried, channel, _),) = rows(world, sql)
        trunks = world.house.floor.trunks
        assert (trunk, tried) == ("lab", "first")
        assert channel.endswith("-1-1")
        assert [one.status for one in carrier.calls() if one.number == third.lines[0].number] == [503]
        await world.until(
            lambda: (trunks[TrunkId("first")].live, trunks[TrunkId("lab")].live) == (0, 2),
            "what lives to count",
        )
        for attempt in list(world.house.floor.calls):
            await world.house.ari.request("DELETE", f"/channels/{attempt}")
        await world.until(lambda: trunks[TrunkId("lab")].live == 0, "the trunk to be free")
        with open_reader(world.home / "journal.sqlite3") as connection:
            assert replay(connection).events


async def test_a_carrier_that_does_not_answer_options_is_not_asked(tmp_path: Path) -> None:
    people = [person(TALKS, voice=voice) for voice in range(3)]
    dead = at(free_ports(1, SIP_PORTS))
    spring = campaign(trunk="first", trunks=("lab",))
    world = World(tmp_path, work=[(spring, people)], seats=[seat("101")], more_trunks=(dead,))
    async with world:
        await world.until(
            lambda: not world.house.floor.trunks[dead.id].is_up(), "that the first carrier is down"
        )
        await world.sign_in()
        await world.order("demo")
        await world.until(
            lambda: rows(world, "SELECT 1 FROM campaigns WHERE state = 'finished'"), "the end of the campaign"
        )
        assert set(rows(world, "SELECT trunk, result FROM attempts")) == {("lab", "talked")}
        assert ("down",) in rows(world, "SELECT state FROM trunk_states WHERE trunk = 'first'")


async def test_who_is_called_by_a_carrier_that_says_nothing_is_reached_by_another(tmp_path: Path) -> None:
    """Nobody asks it by OPTIONS. And one that says 100 Trying has the time that it needs."""
    people, patient = [person(TALKS)], [person(TALKS)]
    slow_s = SILENT_S + 1
    slow_says = (0.1, "100 Trying"), (slow_s, "180 Ringing"), (slow_s + 0.2, "486 Busy Here")
    async with quiet() as (silent, silent_port), quiet(*slow_says) as (slow, slow_port):
        once = {"retry": {Result.BUSY: RetryRule(attempts=1, again_s=600.0, phone="same")}}
        world = World(
            tmp_path,
            work=[
                (campaign(trunk="first", trunks=("lab",)), people),
                (campaign("patient", trunk="slow", trunks=("lab",), **once), patient),
            ],
            seats=[seat("101", campaigns=("demo",)), seat("102", campaigns=("patient",))],
            more_trunks=(
                at(silent_port, options_interval_s=0),
                msgspec.structs.replace(
                    TRUNK, id=TrunkId("slow"), port=slow_port, priority=1, options_interval_s=0
                ),
            ),
        )
        async with world:
            await world.sign_in()
            for name in ("demo", "patient"):
                await world.order(name)
            await world.until(
                lambda: len(rows(world, "SELECT 1 FROM campaigns WHERE state = 'finished'")) == 2,
                "the end of both campaigns",
            )
            found = rows(
                world,
                "SELECT campaign, trunk, result, ending, ordinal, cause, tech_cause, ended_at - created_at FROM attempts"
                " ORDER BY created_at",
            )
            carried = world.network.calls()
            with open_reader(world.home / "journal.sqlite3") as connection:
                assert replay(connection).events
    took_s = {(name, trunk): took for name, trunk, *_, took in found}
    assert [one[1:7] for one in found if one[0] == "demo"] == [
        ("first", "rerouted", "trunk_silent", 1, 18, 408),
        ("lab", "talked", "", 1, 16, None),
    ]
    assert took_s["demo", "first"] >= SILENT_S, "and it is the silence that ended it, as its ending says"
    assert [one[1:5] for one in found if one[0] == "patient"] == [("slow", "busy", "", 1)]
    assert took_s["patient", "slow"] > slow_s
    assert [call.number for call in carried] == [people[0].lines[0].number], "rung once"
    assert "OPTIONS" not in {*silent.asked, *slow.asked}
