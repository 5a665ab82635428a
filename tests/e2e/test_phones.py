"""Phones of several makes, and an operator on an outside line: all real but the people and the phones' software."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from dialer.core.deskphone import DeskPhone
from dialer.core.ids import AgentId, TrunkId
from dialer.core.values import AgentCard, Trunk
from dialer.lab.callers import HOST, LabCaller, LabCallers
from dialer.lab.phones import LabPhone, LabPhones, Phone
from dialer.lab.voice import hear_recording
from dialer.store import deskphones, pins, settings
from dialer.store.connect import open_reader, open_writer
from tests.e2e.world import (
    MEDIA_PORTS,
    PATIENCE_S,
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

ACCESS = "+74950001122"
CALLER = "+79160000001"
ALERT = "Alert-Info: <http://localhost>;info=alert-autoanswer;delay=0"
CALL = "Call-Info: <sip:localhost>;answer-after=0"


def keep(world: World, *phones: DeskPhone) -> None:
    with contextlib.closing(open_writer(world.home / "journal.sqlite3")) as connection:
        for phone in phones:
            deskphones.save_phone(connection, phone, time.time())


async def test_each_phone_is_asked_to_answer_in_its_makers_way(tmp_path):
    """Three phones that are rung; only what is in the INVITE makes a laboratory phone answer by itself."""
    models = {"101": "snom", "102": "grandstream", "103": "generic"}
    people = [person(does("talks"), voice=voice) for voice in range(3)]
    world = World(
        tmp_path,
        work=[(campaign(), people)],
        seats=[seat(extension, leg="rung", pick_up_ms=60_000) for extension in models],
        parts=frozenset({"network"}),
    )
    async with world:
        keep(world, *(DeskPhone(extension=one, model=model) for one, model in models.items()))  # type: ignore[arg-type]
        await world.start_house()
        await world.start_phones()
        await world.sign_in()
        await world.order("demo")
        for extension in models:
            await world.phone(extension).wait_until_rung(within_s=PATIENCE_S)
        await world.finished("demo")
        asked = {one: rung(world, one).asked for one in models}
        assert all(rung(world, one).up_at for one in models)
    assert asked == {"101": ALERT, "102": CALL, "103": f"{ALERT} {CALL}"}


def rung(world: World, extension: str):
    return next(call for call in world.phone(extension).calls if call.kind == "rung")


@asynccontextmanager
async def outside(world: World, folder: Path) -> AsyncIterator[LabCaller]:
    """Somebody with a telephone elsewhere."""
    assert world.house.asterisk is not None
    callers = LabCallers(
        folder,
        sip_server=("127.0.0.1", world.house.asterisk.sip_port),
        numbers=[CALLER],
        port=free_ports(1, SIP_PORTS),
        media_port=free_ports(4, MEDIA_PORTS, tcp=False, even=True),
    )
    async with callers:
        yield callers[CALLER]


async def test_an_operator_works_from_an_outside_line(tmp_path):
    world = World(
        tmp_path,
        work=[(campaign(), [person(does("talks", talk_ms=8000), voice=2)])],
        seats=[],
        trunk=msgspec.structs.replace(TRUNK, is_inbound=True, inbound_from=(HOST,)),
        parts=frozenset({"network"}),
        system=f'[access]\nnumbers = ["{ACCESS}"]\n',
    )
    async with world:
        keep(world, DeskPhone(extension="120", model="outside"))
        with contextlib.closing(open_writer(world.home / "journal.sqlite3")) as connection:
            settings.add_agent(connection, AgentCard(id=AgentId("olga"), name="Olga", phone="120"))
        await world.start_house()
        pin = pins.new_pin(world.home, "120")
        async with outside(world, tmp_path / "callers") as olga:
            # Carriers write a number in many ways: this one without plus sign.
            line = await olga.call(ACCESS.removeprefix("+"))
            await types(olga, "120*00000000#")
            await refused(world, 1)
            assert world.agent("120")["state"] == "signed_out"
            await keyed(world, olga, f"120*{pin}#", lambda: world.agent("120")["state"] == "ready")
            await world.order("demo")
            one = await world.attempt("demo", state="connected")
            assert one["agent"] == "olga"
            await olga.keys("*441")
            await world.attempt("demo", operator_result="order")
            await world.finished("demo")
            left, right = hear_recording(world.recording(one["attempt"]))
            (call,) = world.calls("demo")
            assert (left.mark_hz, right.mark_hz) == (call.mark_hz, olga.mark_hz)
            assert line.is_up
            await olga.hang_up()
            await world.agent_is("120", "signed_out")
            assert keys_noted(world) == ["*441"], "a PIN is nobody's to read, and kept nowhere"


def keys_noted(world: World) -> list[str]:
    """What the journal has of keys, by channel."""
    found: dict[str, str] = {}
    with contextlib.closing(open_reader(world.home / "journal.sqlite3")) as connection:
        for (body,) in connection.execute("SELECT body FROM events WHERE name = 'DigitPressed' ORDER BY id"):
            event = json.loads(body)
            found[event["channel"]] = found.get(event["channel"], "") + event["digit"]
    return list(found.values())


async def refused(world: World, times: int) -> None:
    """Wait until so many tries were refused: then the next may be keyed."""
    assert world.house.asterisk is not None
    log = world.house.asterisk.log_path
    await world.until(lambda: log.read_text().count("access refused") >= times, f"{times} refusals")


async def keyed(world: World, caller: LabPhone, text: str, is_done: Callable[[], bool]) -> None:
    """Key *text*; once more if a key was lost, for the menu may not have listened yet. Then *is_done*."""
    assert world.house.asterisk is not None
    log = world.house.asterisk.log_path
    for _ in range(2):
        before = log.read_text().count("access refused")
        await types(caller, text)

        def is_judged(before: int = before) -> bool:
            return is_done() or log.read_text().count("access refused") > before

        await world.until(is_judged, "the PIN to be judged")
        if is_done():
            return
    await world.until(is_done, "the PIN to be taken")


async def types(caller: LabPhone, keys: str) -> None:
    """Press keys at a person's pace: what comes in the moment between two prompts of a menu is lost."""
    for key in keys:
        await asyncio.sleep(0.15)
        await caller.keys(key)


async def test_who_does_not_know_the_pin_gets_no_line(tmp_path):
    world = World(
        tmp_path,
        work=[(campaign(), [person(does("talks"))])],
        seats=[],
        trunk=msgspec.structs.replace(TRUNK, is_inbound=True, inbound_from=(HOST,)),
        parts=frozenset({"network", "house"}),
        system=f'[access]\nnumbers = ["{ACCESS}"]\n',
    )
    async with world:
        async with outside(world, tmp_path / "callers") as stranger:
            line = await stranger.call(ACCESS)
            for times in (1, 2, 3):
                await types(stranger, "120#12345678#")
                await refused(world, times)
            await stranger.wait_until_ended(line, within_s=PATIENCE_S)
            assert line.ended_by == "server"
        assert world.house.asterisk is not None
        log = world.house.asterisk.log_path.read_text()
        assert log.count("access refused (no such extension has one)") == 3
        assert "12345678" not in log


async def test_a_rung_operator_is_called_on_an_outside_line_and_joined_only_after_the_pin(tmp_path):
    somebody = person(does("on_cue"), voice=2)
    world = World(
        tmp_path,
        work=[(campaign(wait_s=40.0, agent_ring_s=40.0), [somebody])],
        seats=[],
        trunk=msgspec.structs.replace(TRUNK, is_inbound=True, inbound_from=(HOST,)),
        parts=frozenset({"network"}),
        system=f'[access]\nnumbers = ["{ACCESS}"]\n',
    )
    async with world:
        # A desk phone of the laboratory that stands at the end of a trunk: somebody's mobile.
        port = free_ports(1, SIP_PORTS)
        away = Trunk(id=TrunkId("away"), host="127.0.0.1", port=port, options_interval_s=0)
        keep(world, DeskPhone(extension="120", model="outside", number=CALLER, trunk="away"))
        with contextlib.closing(open_writer(world.home / "journal.sqlite3")) as connection:
            settings.apply_trunk(connection, away, time.time())
            settings.add_agent(connection, AgentCard(id=AgentId("olga"), phone="120", leg="rung"))
        await world.start_house()
        pin = pins.new_pin(world.home, "120")
        assert world.house.asterisk is not None
        mobiles = LabPhones(
            tmp_path / "mobiles",
            sip_server=("127.0.0.1", world.house.asterisk.sip_port),
            phones=[Phone(extension="900", secret="none", pick_up="slow", pick_up_ms=200)],
            port=port,
            media_port=free_ports(4, MEDIA_PORTS, tcp=False, even=True),
        )
        await mobiles.start(register=False)
        try:
            async with outside(world, tmp_path / "callers") as olga:
                line = await olga.call(ACCESS)
                await keyed(world, olga, f"120*{pin}#", lambda: world.agent("120")["state"] == "ready")
                await olga.wait_until_ended(line, within_s=PATIENCE_S)
            await world.order("demo")
            await world.attempt("demo", state="ringing")
            await world.network.answer(somebody.lines[0].number)
            mobile = mobiles["900"]
            rung = await mobile.wait_until_rung(within_s=PATIENCE_S)
            await mobile.wait_until_on_line(within_s=PATIENCE_S)
            await types(mobile, "00000000#")
            await refused(world, 1)
            (before,) = world.attempts("demo")
            assert before["state"] == "answered", "whoever picked up has nobody on the line"
            await keyed(world, mobile, f"{pin}#", lambda: world.attempts("demo")[0]["state"] == "connected")
            trunks = world.house.floor.trunks
            assert (trunks[away.id].live, trunks[TRUNK.id].live) == (1, 1), (
                "each takes a channel of its trunk"
            )
            await world.network.hang_up(somebody.lines[0].number)
            await mobile.wait_until_ended(rung, within_s=PATIENCE_S)
            over = await world.attempt("demo", state="ended")
            assert (over["result"], over["agent"]) == ("talked", "olga")
            await world.until(lambda: trunks[away.id].live == trunks[TRUNK.id].live == 0, "both to be free")
            assert keys_noted(world) == []
        finally:
            await mobiles.stop()
