"""Real calls, as they are seen from outside: metrics, health, and a log that tells nobody's number."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from dialer.core import events as ev
from dialer.engine.logs import Line
from tests.e2e.world import World, campaign, does, free_ports, operators, person, seat

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]


class Seen:
    """What was seen of a campaign that ran to its end."""

    def __init__(self, world: World, url: str, log: Path) -> None:
        self.world = world
        self.url = url
        self.log = log

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def sums(self) -> dict[str, float]:
        """All series of each name added up."""
        found: dict[str, float] = {}
        for family in text_string_to_metric_families((await self.get("/metrics"))[1]):
            for sample in family.samples:
                if sample.labels.get("le", "+Inf") == "+Inf":
                    found[sample.name] = found.get(sample.name, 0.0) + sample.value
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory, asterisk_install) -> AsyncIterator[Seen]:
    folder = tmp_path_factory.mktemp("w")
    port = free_ports(1, range(17900, 17990), udp=False)
    handler = logging.FileHandler(folder / "engine.log", encoding="utf-8")
    handler.setFormatter(Line(as_json=True))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        async with World(
            folder,
            work=[
                (campaign(), [person(does("talks")), person(does("talks"), voice=1), person(does("busy"))])
            ],
            seats=[seat("101"), seat("102")],
            system=f"[metrics]\nport = {port}\n",
        ) as world:
            await world.sign_in()
            async with operators(world):
                await world.order("demo")
                await world.finished("demo")
            yield Seen(world, f"http://127.0.0.1:{port}", folder / "engine.log")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


async def test_the_counters_agree_with_the_journal(seen):
    sums, attempts = await seen.sums(), seen.world.attempts("demo")
    assert len(attempts) >= 5, "two who talk, and three tries on who is busy"
    talks = [one for one in attempts if one["result"] == "talked"]
    assert sums["obzvon_calls_begun_total"] == len(attempts)
    assert sums["obzvon_calls_ended_total"] == len(attempts)
    assert sums["obzvon_trunk_seizures_total"] == len(attempts)
    assert sums["obzvon_trunk_answers_total"] == len(talks) == sums["obzvon_talk_seconds_count"] == 2
    assert sums["obzvon_trunk_failures_total"] == len(attempts) - 2
    assert sums["obzvon_recordings_stored_total"] == 2
    assert sums["obzvon_recordings_missing_total"] == sums["obzvon_recordings_pending"] == 0
    assert sums.get("obzvon_calls", 0) == 0
    assert sums["obzvon_pbx_up"] == sums["obzvon_journal_up"] == sums["obzvon_timers_up"] == 1
    assert sums["obzvon_ari_request_seconds_count"] > 2 * len(attempts)
    assert sums["obzvon_abandonment_answered"] == 2
    assert sums["process_cpu_seconds_total"] > 0


async def test_busy_is_told_by_its_status(seen):
    _, text = await seen.get("/metrics")
    assert 'obzvon_trunk_failures_total{server="",status="sip_486",trunk="lab"} 3.0' in text


async def test_nobody_s_number_is_told_anywhere(seen):
    numbers = {line.number for one in seen.world.people for line in one.lines}
    _, metrics = await seen.get("/metrics")
    log = seen.log.read_text()
    for number in numbers:
        assert number.removeprefix("+") not in metrics + log
    for secret in (seen.world.house._secrets.ari, *seen.world.house._secrets.phones.values()):
        assert secret not in metrics + log


async def test_the_log_has_each_call_with_its_ids(seen):
    entries = [json.loads(line) for line in seen.log.read_text().splitlines()]
    ended = {one["attempt"]: one for one in entries if one.get("action") == "call_ended"}
    for attempt in seen.world.attempts("demo"):
        entry = ended[attempt["attempt"]]
        for name in ("campaign", "agent", "trunk", "result", "cause"):
            assert entry[name] == attempt[name], name


async def test_an_engine_that_leaves_is_not_ready_and_lives(seen):
    """Last: it does not come back."""
    assert (await seen.get("/health/ready"))[0] == 200
    seen.world.house.inbox.put(ev.Leaving(at=seen.world.house.clock()))
    await seen.world.house._decided()
    status, text = await seen.get("/health/ready")
    assert (status, json.loads(text)["reasons"]) == (503, ["the engine is leaving"])
    assert (await seen.get("/health/live"))[0] == 200
