"""Two real Asterisks under one engine: each is told apart by the metrics, and the doctor finds nothing in a healthy pair."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dialer.office import doctor
from tests.e2e.test_servers import NAMES, TALKS, Twins
from tests.e2e.world import campaign, free_ports, person, seat
from tests.integration.test_doctor import OF_THE_MACHINE
from tests.unit.doctor.plants import faults

pytestmark = pytest.mark.asterisk


async def test_each_server_is_told_apart_and_both_are_well(tmp_path, asterisk_install):
    port = free_ports(1, range(17900, 17990), udp=False)
    async with Twins(
        tmp_path,
        work=[(campaign(), [person(TALKS), person(TALKS, voice=1)])],
        seats=[seat("101"), seat("102")],
        system=f"[metrics]\nport = {port}\n",
    ) as world:
        await world.works_on("north", "101")
        await world.works_on("south", "102")
        for _ in range(20):  # registrations and probes take a moment
            found = set(faults(await asyncio.to_thread(doctor.examine, world.home))) - OF_THE_MACHINE
            if not found:
                break
        assert found == set()
        await world.order("demo")
        await world.finished("demo")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/metrics") as answer,
        ):
            families = list(text_string_to_metric_families(await answer.text()))
        by_server: dict[tuple[str, str], float] = {}
        for family in families:
            for sample in family.samples:
                if "server" in sample.labels and sample.labels.get("le", "+Inf") == "+Inf":
                    key = sample.name, sample.labels["server"]
                    by_server[key] = by_server.get(key, 0.0) + sample.value
        for name in NAMES:
            assert by_server["obzvon_pbx_up", name] == 1
            assert by_server["obzvon_ari_request_seconds_count", name] > 0
            assert by_server["obzvon_trunk_up", name] == 1
        ended = [by_server.get(("obzvon_calls_ended_total", name), 0) for name in NAMES]
        in_journal = [sum(one["server"] == name for one in world.attempts("demo")) for name in NAMES]
        assert ended == in_journal
        assert sum(in_journal) >= 2, "both were called"
