"""Two carriers: what the first would not carry, the second does; and it is one attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core.ids import TrunkId
from dialer.core.trunk import CallerIds
from dialer.core.values import Trunk
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
