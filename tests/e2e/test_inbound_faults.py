"""People call us while things break: nobody is lost, nobody is left in silence, and conversations go on."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from functools import partial

import pytest

from dialer.core.ids import ONLY
from dialer.office.replay import replay
from dialer.pbx.speech import has_voice
from dialer.store.connect import open_reader
from tests.e2e.test_crash import HEARD_S, centre
from tests.e2e.test_inbound import INBOUND, KNOWN, THIRD, UNKNOWN, Office, callers, taking
from tests.e2e.world import World, seat, until

pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.skipif(not has_voice(), reason="espeak-ng is not installed"),
]
SPARE = "84951110008"


async def test_who_talks_and_who_waits_outlive_the_engine(tmp_path, asterisk_install):
    """All that the next engine knows of their channels is what Asterisk lists."""
    async with centre(tmp_path, work=[(taking("spare"), [])], seats=[seat("101")], trunk=INBOUND) as (
        world,
        engine,
    ):
        async with callers(world, engine.asterisk.ports["sip"]) as people:
            office = Office(world, people)
            await world.sign_in()
            await world.order("spare")
            await people[KNOWN].call(SPARE)
            talking = await office.talks("spare", 0, "101")
            await people[UNKNOWN].call(SPARE)
            await office.over("spare", 1, state="answered")
            await people[THIRD].call(SPARE)
            await office.over("spare", 2, state="answered")
            await until(lambda: time.time() > talking["connected_at"] + HEARD_S, "some words")
            await engine.kill()
            await people[THIRD].hang_up()

            await engine.start()
            gone = await office.over("spare", 2, result="missed")
            assert gone["number"] == THIRD
            assert [one["state"] for one in world.attempts("spare")] == ["connected", "answered", "ended"]
            await world.phone("101").keys("*45")
            assert await office.over("spare", 0, result="talked")
            served = await office.talks("spare", 1, "101")
            await until(lambda: time.time() > served["connected_at"] + HEARD_S, "some words")
            await people[UNKNOWN].hang_up()
            over = await office.over("spare", 1, result="talked")
            assert over["ended_at"] - over["connected_at"] > HEARD_S - 1
            assert len(world.attempts("spare")) == 3
        with closing(open_reader(world.home / "journal.sqlite3")) as connection:
            assert (await asyncio.to_thread(partial(replay, connection, is_all=True))).starts == 2


async def test_who_came_unheard_is_found_by_the_list_of_what_lives(tmp_path, asterisk_install):
    """Their event got lost, and the socket breaks: they are in our hands, and nobody knows."""
    world = World(tmp_path, work=[(taking("spare"), [])], seats=[seat("101")], trunk=INBOUND)
    async with world:
        assert world.house.asterisk is not None
        async with callers(world, world.house.asterisk.sip_port) as people:
            office = Office(world, people)
            await world.sign_in()
            await world.order("spare")
            heard: list[object] = []
            arrivals = world.house._arrivals
            arrivals.came = lambda *told: heard.append(told)  # type: ignore[method-assign]
            await people[KNOWN].call(SPARE)
            await world.until(lambda: heard, "the call to come")
            del arrivals.came
            assert not world.attempts("spare")
            line = world.house.lines[ONLY]
            connects = line.ari.connects
            await _cut(world)
            await world.until(lambda: line.ari.connects > connects, "the socket to be open again")
            call = await office.talks("spare", 0, "101")
            assert call["number"] == KNOWN
            await world.phone("101").keys("*45")
            await office.over("spare", 0, result="talked")
        await world.until(partial(_is_quiet, world), "the channels to be forgotten")


async def _cut(world: World) -> None:
    """The event socket is cut."""
    session = world.house.lines[ONLY].ari._session
    assert session is not None
    assert session.connector is not None
    for handler in list(session.connector._acquired):
        assert handler.transport is not None
        handler.transport.abort()


def _is_quiet(world: World) -> bool:
    return not len(world.house.lines[ONLY].ari.aliases)
