"""What breaks around the engine, one thing after the other, while people are on the line."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack

import pytest

from dialer.core import events as ev
from dialer.core.ids import CampaignId
from dialer.engine.embedded import EmbeddedAsterisk, choose_ports
from dialer.engine.house import House
from dialer.lab.voice import hear_recording
from dialer.pbx.render import PhoneLine, TrunkLine
from dialer.pbx.settings import Settings
from dialer.store import files, settings
from dialer.store.connect import open_writer
from dialer.store.errors import AlreadyClaimed
from tests.contract.relay import Relay
from tests.e2e.world import PATIENCE_S, RTP_COUNT, RTP_PORTS, World, campaign, does, free_ports, person, seat

pytestmark = pytest.mark.asterisk

TALKS = does("talks", talk_ms=1500)
STAYS = does("waits")


async def ticks(world: World, count: int) -> None:
    """Let the engine look at the world *count* times."""
    seen = 0

    def on_decided(event: ev.Event, commands: object) -> None:
        nonlocal seen
        seen += isinstance(event, ev.Ticked)

    world.house.engine.on_decided = on_decided
    await world.until(lambda: seen >= count, f"{count} ticks")
    world.house.engine.on_decided = None


class Elsewhere:
    """An Asterisk that is not the engine's: the test starts and ends it. *relay*: a wire between them."""

    def __init__(self, folder, install) -> None:
        self._folder = folder
        self._install = install
        self._ports = choose_ports(
            rtp=(first := free_ports(RTP_COUNT, RTP_PORTS, tcp=False, even=True), first + RTP_COUNT - 1)
        )
        self.relay = Relay(self._ports.http)

    @property
    def sip_port(self) -> int:
        return self._ports.sip

    @property
    def system(self) -> str:
        return f'[asterisk]\nmode = "external"\nurl = "http://127.0.0.1:{self.relay.port}/ari"\n'

    def server(self, world: World) -> EmbeddedAsterisk:
        return EmbeddedAsterisk(
            self._install,
            self._folder / "elsewhere",
            Settings(ari_password=files.load_secrets(world.home).ari),
            ports=self._ports,
            trunks=[TrunkLine(trunk=world.trunk)],
            phones=[
                PhoneLine(extension=one.phone.extension, secret=one.phone.secret)
                for one in world.seats.values()
            ],
        )


async def test_a_trunk_that_is_down_costs_nobody_an_attempt_and_is_used_when_it_is_back(
    tmp_path, asterisk_install
):
    people = [person(TALKS), person(TALKS)]
    world = World(
        tmp_path,
        work=[(campaign(), people)],
        seats=[seat("101")],
        parts=frozenset({"house", "phones"}),
    )
    async with world:
        await world.until(
            lambda: not world.house.floor.trunks[world.trunk.id].is_up(), "the trunk to be down"
        )
        assert (await world.health())["trunks"] == {"lab": False}
        await world.sign_in()
        await world.order("demo")
        await world.until(lambda: len(world.house.floor.desks[CampaignId("demo")].hopper), "leads at hand")
        await ticks(world, 8)
        assert world.attempts() == []
        await world.start_network()
        await world.finished("demo")
        await world.until_health(lambda health: health["trunks"] == {"lab": True}, "the trunk to be up")
        assert [attempt["result"] for attempt in world.attempts()] == ["talked", "talked"]


async def test_a_second_engine_on_the_same_journal_refuses_and_harms_nothing(tmp_path, asterisk_install):
    async with World(tmp_path, work=[(campaign(), [person(TALKS)])], seats=[seat("101")]) as world:
        await world.sign_in()
        with pytest.raises(AlreadyClaimed, match="An engine already works on this journal") as refusal:
            async with House(world.home):
                pass
        assert refusal.value.pid == os.getpid()
        await world.order("demo")
        await world.finished("demo")
        assert [attempt["result"] for attempt in world.attempts()] == ["talked"]


async def test_asterisk_may_come_late_and_come_back(tmp_path, asterisk_install):
    elsewhere = Elsewhere(tmp_path, asterisk_install)
    await elsewhere.relay.up()
    people = [person(TALKS), person(does("waits", ring_ms=200))]
    world = World(
        tmp_path,
        work=[(campaign(), people)],
        seats=[seat("101")],
        parts=frozenset({"network", "house"}),
        system=elsewhere.system,
        with_ports=False,
    )
    async with world, AsyncExitStack() as stack:
        stack.push_async_callback(elsewhere.relay.down)  # also when the test fails
        health = await world.health()
        assert not health["pbx_connected"]
        assert "no connection to Asterisk" in health["why_not"]
        await world.order("demo")
        await world.until(lambda: world.state("demo") == "running", "the campaign to run")
        server = elsewhere.server(world)
        await stack.enter_async_context(server)
        await world.until(lambda: world.house.ari.is_connected, "the connection")
        await world.start_phones(elsewhere.sip_port)
        await world.sign_in()
        await world.attempt("demo", result="talked")
        await world.attempt("demo", 1, state="connected")

        await server.stop()  # with a conversation in it
        over = await world.attempt("demo", 1, state="ended")
        assert over["result"] == "talked"
        await world.until(lambda: not world.house.ari.is_connected, "the loss to be seen")
        await server.start()
        await world.until(lambda: world.house.ari.is_connected, "the connection again")
        await world.agent_is("101", "signed_out")
        await world.phone("101").register()
        await world.sign_in()
        await world.finished("demo")
        assert len(world.network.calls()) == 2


async def test_conversations_do_not_notice_that_the_event_socket_was_cut(tmp_path, asterisk_install):
    elsewhere = Elsewhere(tmp_path, asterisk_install)
    await elsewhere.relay.up()
    people = [
        person(STAYS, voice=0),
        person(does("on_cue"), voice=1),
        person(does("on_cue"), voice=2),
        person(does("busy", ring_ms=0), voice=3),
    ]
    world = World(
        tmp_path,
        work=[(campaign(ring_s=120.0), people)],
        seats=[seat("101"), seat("102"), seat("103")],
        parts=frozenset({"network"}),
        system=elsewhere.system,
        with_ports=False,
    )
    async with world, AsyncExitStack() as stack:
        stack.push_async_callback(elsewhere.relay.down)  # also when the test fails
        await stack.enter_async_context(elsewhere.server(world))
        await world.start_house()
        await world.until(lambda: world.house.ari.is_connected, "the connection")
        await world.start_phones(elsewhere.sip_port)
        await world.sign_in()
        await world.order("demo")
        stays, ends, answers = [await world.call_of(one.lines[0].number) for one in people[:3]]
        await world.network.answer(ends.number)
        for place, state in ((0, "connected"), (1, "connected"), (2, "ringing")):
            await world.attempt("demo", place, state=state)
        await world.until_recorded(world.attempts("demo")[1]["attempt"], 3.0)

        await elsewhere.relay.down()
        await world.until(lambda: not world.house.ari.is_connected, "the loss to be seen")
        # Meanwhile one conversation ends, and one person answers.
        await world.network.hang_up(ends.number)
        await world.network.answer(answers.number)
        sound = f"*/{world.attempts()[2]['attempt']}.raw"
        await world.until(
            lambda: any(one.stat().st_size > 32_000 for one in (world.home / "recordings").glob(sound)),
            "a second of the person to be recorded",
        )
        await world.network.hang_up(answers.number)
        assert world.phone("101").is_on_line
        await elsewhere.relay.up()
        await world.until(lambda: world.house.ari.is_connected, "the connection again")

        over = await world.attempt("demo", 1, state="ended")
        assert over["result"] == "talked"
        missed = await world.attempt("demo", 2, state="ended")
        assert (
            missed["result"] == "abandoned"
        )  # nobody heard them, but the recording proves that they answered
        assert missed["abandoned_at"] is not None
        lasting = await world.attempt("demo", 0, state="connected")
        assert lasting["agent"] is not None
        extension = lasting["agent"].removeprefix("op")
        await world.agent_is(extension, "on_call")
        await world.phone(extension).keys("*45")
        over = await world.attempt("demo", 0, state="ended")
        assert (over["result"], over["ending"]) == ("talked", "operator")
        await world.until(lambda: len(world.calls("demo")) >= 4, "the dialing to go on")
        await world.order("demo", "stop")
        await world.until(lambda: not world.house.floor.calls, "all calls to end")
        await world.house.finish_recordings()
        for place, call in ((0, stays), (1, ends)):
            attempt = world.attempts()[place]
            left, right = hear_recording(world.recording(attempt["attempt"]))
            assert left.mark_hz == call.mark_hz
            assert right.is_operator
        heard, _ = hear_recording(world.recording(world.attempts()[2]["attempt"]))
        assert heard.mark_hz in (answers.mark_hz, None)
        await world.until_health(lambda health: health["originating"], "dialing to be possible")


async def test_with_a_full_disk_nothing_is_dialed_and_conversations_go_on(tmp_path, asterisk_install):
    people = [person(does("on_cue")), person(STAYS), person(TALKS), person(TALKS)]
    async with World(tmp_path, work=[(campaign(), people)], seats=[seat("101"), seat("102")]) as world:
        await world.sign_in()
        await world.order("demo")
        await world.network.answer(people[0].lines[0].number)
        await world.attempt("demo", 0, state="connected")
        await world.attempt("demo", 1, state="connected")
        await world.house.journal.pretend_full()
        first, second = world.network.calls()
        await world.network.hang_up(people[0].lines[0].number)
        health = await world.until_health(lambda one: not one["journal_ok"], "the failure to be shown")
        assert any("journal" in reason for reason in health["why_not"])
        await world.until(
            lambda: any(agent.state == "ready" for agent in world.house.floor.agents.values()),
            "an operator to be free",
        )
        await ticks(world, 8)
        assert len(world.network.calls()) == 2
        assert {attempt["state"] for attempt in world.attempts()} == {"connected"}, "nothing was written"
        (busy,) = world.house.floor.calls.values()
        assert busy.agent is not None
        await world.phone(busy.agent.removeprefix("op")).keys("*45")
        await world.until(lambda: not world.house.floor.calls, "the operator to end the other conversation")

        await world.house.journal.pretend_full(False)
        await world.finished("demo")
        assert [attempt["result"] for attempt in world.attempts() if attempt["result"] != "failed"] == [
            "talked"
        ] * 4
        assert len(world.network.calls()) == 4
        for attempt in world.attempts():
            if attempt["result"] == "talked":
                assert world.recording(attempt["attempt"]).exists()
        assert {first.number, second.number} < {call.number for call in world.network.calls()}


async def test_retries_happen_although_redis_was_killed_and_wiped(tmp_path, asterisk_install):
    people = [
        person([does("busy"), does("busy"), TALKS]),
        person([does("no_answer"), TALKS]),
    ]
    rules = campaign(ring_s=6.0)  # who answers, answers long before, on a slow machine too
    async with World(tmp_path, work=[(rules, people)], seats=[seat("101"), seat("102")]) as world:
        await world.sign_in()
        await world.order("demo")
        await world.until(
            lambda: any(attempt["result"] == "busy" for attempt in world.attempts()), "a busy person"
        )
        redis = world.house.redis
        assert redis is not None
        assert redis.pid is not None
        os.kill(redis.pid, signal.SIGKILL)
        await world.until(lambda: not world.house.timers.is_connected, "the loss to be seen")
        await world.until(lambda: world.house.timers.is_connected, "Redis to be back")
        reader, writer = await asyncio.open_unix_connection(str(redis.socket))
        writer.write(b"FLUSHALL\r\n")
        await reader.readline()
        writer.close()
        await world.finished("demo")
        assert sorted(attempt["result"] for attempt in world.attempts()) == [
            "busy",
            "busy",
            "no_answer",
            "talked",
            "talked",
        ]
        await world.until_health(lambda health: health["timers_ok"], "the timers to be well")


async def test_an_asterisk_that_dies_is_started_again(tmp_path, asterisk_install):
    async with World(
        tmp_path, work=[(campaign(), [person(STAYS), person(TALKS)])], seats=[seat("101")]
    ) as world:
        await world.sign_in()
        await world.order("demo")
        await world.attempt("demo", 0, state="connected")
        server = world.house.asterisk
        assert server is not None
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        over = await world.attempt("demo", 0, state="ended", within_s=2 * PATIENCE_S)
        assert over["result"] == "talked"
        await world.agent_is("101", "signed_out", 2 * PATIENCE_S)
        await world.until(lambda: world.house.ari.is_connected, "Asterisk again", 2 * PATIENCE_S)
        await world.phone("101").register()
        await world.sign_in()
        await world.attempt("demo", 1, result="talked")


async def test_what_is_applied_while_the_engine_runs_holds_at_once(tmp_path, asterisk_install):
    """A new phone registers, its operator signs in and is given a person of a new campaign."""
    somebody = person(TALKS)
    new = seat("142", campaigns=("new",))
    async with World(
        tmp_path,
        work=[(campaign("old"), [somebody])],
        seats=[seat("101")],
        parts=frozenset({"network", "house"}),
    ) as world:
        connection = open_writer(world.home / "journal.sqlite3")
        now = time.time()
        settings.apply_campaign(connection, campaign("new", lists=("old",)), now)
        files.add_secret(world.home, "phones", "142", new.phone.secret)
        settings.add_agent(connection, new.card)
        connection.close()
        world.seats["142"] = new
        assert (await world.ask("POST", "reload"))["agents"] == 2
        await world.start_phones()
        await world.sign_in("142")
        await world.order("new")
        await world.finished("new")
        (attempt,) = world.attempts("new")
        assert (attempt["agent"], attempt["result"]) == ("op142", "talked")
