"""Metrics and health: what is counted once, what is read, and that nothing of a person is told."""

from __future__ import annotations

import asyncio
import re
import socket
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from dialer.core import events as ev
from dialer.core.commands import SaveCall, SaveTransfer
from dialer.core.floor import Floor
from dialer.core.ids import ONLY, AgentId, AttemptId, CampaignId, ContactId, LeadId, PhoneId, ServerId
from dialer.core.pacing.book import Reason
from dialer.core.transfer_facts import Transfer, TransferState
from dialer.core.values import AgentCard, Call, CallState, CampaignState, Lead, Result
from dialer.engine.loop import Engine
from dialer.engine.metrics import counters as counting
from dialer.engine.metrics import serving
from dialer.engine.metrics.catalogue import catalogue
from dialer.engine.metrics.counters import Counters
from dialer.engine.metrics.gauges import GAUGES, TOTALS, Inside
from dialer.engine.metrics.serving import Watch, serve
from dialer.engine.metrics.words import cause_word, failure_word, request_word
from dialer.pbx import errors
from dialer.pbx.client import AriClient
from dialer.pbx.sipwords import SIP
from dialer.store.errors import CallForbidden, JournalError
from dialer.store.journal import Journal
from tests.unit.engine.parts import (
    CAMPAIGN,
    TRUNK,
    Acts,
    Box,
    ScriptedFloor,
    Shelf,
    attempt,
    call,
    clock,
    ended,
    until,
)

NORTH = ServerId("north")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class World:
    """A floor and its neighbours, as they say they are."""

    def __init__(self, folder: Path) -> None:
        self.floor = Floor()
        self.floor.restore(
            campaigns=[(CAMPAIGN, CampaignState.RUNNING)],
            trunks=[TRUNK],
            cards=[
                AgentCard(id=AgentId(name), phone=phone) for name, phone in (("ann", "101"), ("bob", "102"))
            ],
        )
        self.floor.handle(ev.PbxConnected(at=1.0))
        self.now = 1_700_000_010.0
        self.journal_ok = True
        self.timers_ok = True
        self.servers = {ONLY: (True, 1)}
        self.counters = Counters()
        self.waiting_timers: Callable[[], Any] = self.five
        self.watch = Watch(
            inside=Inside(
                version="9.9",
                floor=self.floor,
                clock=lambda: self.now,
                depth=lambda: 3,
                lag_s=lambda: 0.25,
                busy=lambda: 2,
                journal_ok=lambda: self.journal_ok,
                timers_ok=lambda: self.timers_ok,
                servers=lambda: self.servers,
                recordings_pending=lambda: 4,
            ),
            counters=self.counters,
            waiting_timers=lambda: self.waiting_timers(),
            folders={"recordings": folder, "none": folder / "none"},
        )

    async def five(self) -> int:
        return 5

    def take(self, *calls: Call) -> None:
        lead = Lead(id=LeadId(1), campaign=CAMPAIGN.id, contact=ContactId(1), phones=())
        self.floor.restore(calls=[(one, lead) for one in calls])

    async def text(self) -> str:
        body, kind = await self.watch.scrape()
        assert kind.startswith("text/plain")
        return body.decode()

    async def value(self, name: str, **labels: str) -> float | None:
        return parsed(await self.text()).get((name, frozenset(labels.items())))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def of(one: Counters, name: str, **labels: str) -> float | None:
    """The present value of a sample."""
    return one.registry.get_sample_value(name, labels)


OF_CALL = {"campaign": "spring", "trunk": "north", "server": "", "direction": "out"}
OF_TRUNK = {"trunk": "north", "server": ""}


# -- counters -----------------------------------------------------------------------------------


def test_a_call_is_counted_when_it_begins_and_when_it_has_ended():
    counters = Counters()
    told: list[AttemptId] = []
    counters.on_end = lambda one: told.append(one.attempt)
    first, last = call(1), ended(1, rang_at=1_700_000_002.0, connected_at=1_700_000_006.0)
    for saved in (
        first,
        call(1, state=CallState.RINGING),
        last,
        msgspec.structs.replace(last, operator_result="order"),
    ):
        counters.written(ev.Ticked(at=1.0), [SaveCall(call=saved)])
    assert of(counters, "obzvon_calls_begun_total", **OF_CALL) == 1
    assert of(counters, "obzvon_calls_ended_total", result="talked", **OF_CALL) == 1, (
        "a later word is no other end"
    )
    assert of(counters, "obzvon_trunk_seizures_total", **OF_TRUNK) == 1
    assert of(counters, "obzvon_trunk_answers_total", **OF_TRUNK) == 1
    assert of(counters, "obzvon_trunk_post_dial_delay_seconds_sum", **OF_TRUNK) == 2.0
    assert of(counters, "obzvon_answer_wait_seconds_sum", campaign="spring") == 1.0
    assert of(counters, "obzvon_talk_seconds_sum", campaign="spring") == 3.0
    assert told == [attempt(1)]


def test_calls_of_an_engine_before_are_counted_when_they_end():
    counters = Counters()
    counters.take_up([call(1), ended(2)])
    counters.written(ev.Ticked(at=1.0), [SaveCall(call=ended(1))])
    assert of(counters, "obzvon_calls_begun_total", **OF_CALL) is None
    assert of(counters, "obzvon_calls_ended_total", result="talked", **OF_CALL) == 1


def test_results_of_operators_are_counted_as_they_are_given():
    counters = Counters()
    counters.take_up([ended(9, operator_result="order")])
    order = {"campaign": "spring", "result": "order"}
    talking, over = call(1, operator_result="order"), ended(1, operator_result="order")
    for saved in (
        call(1),
        talking,
        over,
        over,
        ended(2, operator_result="order"),
        ended(9, operator_result="order"),
    ):
        counters.written(ev.Ticked(at=1.0), [SaveCall(call=saved)])
    assert of(counters, "obzvon_operator_results_total", **order) == 2, (
        "once for each call, however often it is written"
    )
    counters.written(None, [SaveCall(call=ended(1, operator_result="refused"))])
    assert of(counters, "obzvon_operator_results_total", campaign="spring", result="refused") == 1
    assert of(counters, "obzvon_operator_results_total", **order) == 2


def test_results_of_operators_make_no_series_without_end(monkeypatch):
    monkeypatch.setattr(counting, "RESULTS_MAX", 3)
    monkeypatch.setattr(counting, "SAID_KEPT", 5)
    counters = Counters()
    for serial in range(1, 11):
        counters.written(None, [SaveCall(call=ended(serial, operator_result=f"said_{serial}"))])
    counters.written(None, [SaveCall(call=ended(11, operator_result="said_1"))])
    counters.written(
        None, [SaveCall(call=ended(12, campaign=CampaignId("summer"), operator_result="said_9"))]
    )
    told = {
        sample.labels["result"]: sample.value
        for family in counters.registry.collect()
        for sample in family.samples
        if sample.name == "obzvon_operator_results_total" and sample.labels["campaign"] == "spring"
    }
    assert told == {"said_1": 2, "said_2": 1, "said_3": 1, "other": 7}
    assert of(counters, "obzvon_operator_results_total", campaign="summer", result="said_9") == 1
    assert len(counters._said) <= 5


@pytest.mark.parametrize(
    ("ending", "choice", "why", "outcome"),
    [
        ("callback", "later", "overflow", "callback"),
        ("voicemail", "voicemail", "overflow", "voicemail"),
        ("number", "forwarded", "overflow", "forwarded"),
        ("hang_up", None, "overflow", "nothing"),
        ("closed_callback", "later", "closed", "callback"),
        ("", None, "hung_up", "nothing"),
        ("gone", "wait", "hung_up", "nothing"),
    ],
)
def test_what_becomes_of_callers_who_met_nobody(ending, choice, why, outcome):
    counters = Counters()
    over = ended(
        1, direction="in", result=Result.MISSED, ending=ending, choice=choice, connected_at=None, cause=16
    )
    counters.written(None, [SaveCall(call=call(1, direction="in")), SaveCall(call=over)])
    counters.written(None, [SaveCall(call=over)])
    labels = {"campaign": "spring", "why": why, "outcome": outcome}
    assert of(counters, "obzvon_missed_calls_total", **labels) == 1


def test_a_call_that_came_without_an_engine_is_counted_from_beginning_to_end():
    counters = Counters()
    lead = Lead(id=LeadId(1), campaign=CAMPAIGN.id, contact=ContactId(1), phones=())
    missed = ev.CallMissed(
        at=2.0,
        attempt=attempt(1),
        campaign=CAMPAIGN.id,
        trunk=TRUNK.id,
        did="+74950000001",
        number="+79160000001",
        lead=lead,
        phone=PhoneId(1),
        arrived_at=1.0,
        server=NORTH,
    )
    over = ended(1, direction="in", result=Result.MISSED, ending="no_engine", connected_at=None, server=NORTH)
    counters.written(missed, [SaveCall(call=over)])
    there = {**OF_CALL, "direction": "in", "server": "north"}
    assert of(counters, "obzvon_calls_begun_total", **there) == 1
    assert of(counters, "obzvon_calls_ended_total", result="missed", **there) == 1
    labels = {"campaign": "spring", "why": "no_engine", "outcome": "nothing"}
    assert of(counters, "obzvon_missed_calls_total", **labels) == 1
    assert not counters._live


@pytest.mark.parametrize(
    ("more", "party"),
    [({"colleague": AgentId("bob")}, "colleague"), ({"trunk": TRUNK.id}, "outside"), ({}, "nobody")],
)
def test_transfers_are_counted_when_they_are_over(more, party):
    counters = Counters()
    counters.written(None, [SaveCall(call=call(1))])
    begun = Transfer(
        attempt=attempt(1),
        place=1,
        agent=AgentId("ann"),
        kind="blind",
        state=TransferState.CALLING,
        began_at=1.0,
        **more,
    )
    over = msgspec.structs.replace(begun, state=TransferState.OVER, outcome="completed")
    counters.written(None, [SaveTransfer(transfer=begun)])
    counters.written(None, [SaveCall(call=ended(1)), SaveTransfer(transfer=over)])
    labels = {"campaign": "spring", "kind": "blind", "party": party, "outcome": "completed"}
    assert of(counters, "obzvon_transfers_total", **labels) == 1


@pytest.mark.parametrize(
    ("result", "cause", "tech_cause", "direction", "seizures", "status"),
    [
        (Result.BUSY, 17, 486, "out", 1, "sip_486"),
        (Result.CONGESTION, 34, 503, "out", 1, "sip_503"),
        (Result.REROUTED, 34, None, "out", 1, "q850_34"),
        (Result.FAILED, None, None, "out", None, "unknown"),
        (Result.MISSED, 16, None, "in", None, "q850_16"),
    ],
)
def test_why_a_trunk_did_not_carry_a_call(result, cause, tech_cause, direction, seizures, status):
    counters = Counters()
    over = ended(1, result=result, cause=cause, tech_cause=tech_cause, direction=direction, answered_at=None)
    counters.written(None, [SaveCall(call=call(1, direction=direction)), SaveCall(call=over)])
    assert of(counters, "obzvon_trunk_seizures_total", **OF_TRUNK) == seizures
    assert of(counters, "obzvon_trunk_failures_total", **OF_TRUNK, status=status) == seizures
    assert of(counters, "obzvon_trunk_answers_total", **OF_TRUNK) is None


def test_recordings_are_counted():
    counters = Counters()
    stored = ev.RecordingStored(
        at=1.0, attempt=attempt(1), path="a", started_at=1.0, length_s=1.0, size_bytes=1, sha256="0"
    )
    counters.written(stored, [])
    counters.written(None, [])
    counters.written(ev.RecordingMissing(at=1.0, attempt=attempt(2), reason="x"), [])
    assert of(counters, "obzvon_recordings_stored_total") == 1
    assert of(counters, "obzvon_recordings_missing_total") == 1


def test_labels_are_words_of_closed_sets():
    assert cause_word(None, 486) == "sip_486"
    assert cause_word(17, None) == "q850_17"
    assert {cause_word(1, 400 + odd) for odd in range(99)} <= {f"sip_{one}" for one in SIP} | {"sip_4xx"}
    assert cause_word(0, 200) == cause_word(None, None) == cause_word(999, 99999) == "unknown"
    ours = f"/channels/{attempt(1)}"
    assert request_word("POST", f"{ours}/play?x=1") == "POST /channels/*/play"
    assert request_word("DELETE", ours) == "DELETE /channels/*"
    assert request_word("GET", "/endpoints/PJSIP") == "GET /endpoints/PJSIP"
    assert request_word("GET", "/odd/79160000001/79160000001/x") == "GET /*/*/*"
    assert failure_word(errors.refused(404, "no")) == "refused_404"
    assert failure_word(errors.PbxTimeout("x", was_sent=True)) == "timeout"
    assert failure_word(errors.PbxUnreachable("x", was_sent=True)) == "unreachable"
    assert failure_word(errors.Unsendable("x")) == "other"


class FailingJournal:
    """A journal that fails as it is told."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.failure: Exception | None = None

    async def save(self, *args: Any) -> None:
        if self.failure is not None:
            raise self.failure
        await self.journal.save(*args)


async def test_what_the_engine_decides_is_counted_when_it_is_written(
    journal: Journal, reader: sqlite3.Connection
):
    failing, floor, inbox = FailingJournal(journal), ScriptedFloor(), Box()
    engine = Engine(
        floor=floor,  # type: ignore[arg-type]
        inbox=inbox,
        journal=failing,  # type: ignore[arg-type]
        dispatcher=Acts(reader),  # type: ignore[arg-type]
        recordings=Shelf(),  # type: ignore[arg-type]
        clock=clock(),
    )
    engine.meter = counters = Counters()
    failing.failure = JournalError("the disk is full")
    await engine.decide([floor.on(ev.Ticked(at=1.0), SaveCall(call=call(1)))])
    assert of(counters, "obzvon_journal_failures_total") == 1
    assert of(counters, "obzvon_calls_begun_total", **OF_CALL) is None
    failing.failure = None
    await engine.decide([floor.on(ev.Ticked(at=2.0), SaveCall(call=call(2)))])
    assert of(counters, "obzvon_calls_begun_total", **OF_CALL) == 2, "both, once each"
    assert of(counters, "obzvon_events_total") == 2
    assert of(counters, "obzvon_journal_save_seconds_count") == 2
    assert of(counters, "obzvon_journal_failures_total") == 1


def test_a_refused_call_is_no_failure_of_the_journal():
    counters = Counters()
    with pytest.raises(CallForbidden), counters.saving():
        raise CallForbidden({attempt(1): "do_not_call"})
    assert of(counters, "obzvon_journal_failures_total") == 0
    assert of(counters, "obzvon_journal_save_seconds_count") == 1


async def test_requests_to_asterisk_are_timed():
    counters = Counters()
    with socket.socket() as taken:  # nobody listens there
        taken.bind(("127.0.0.1", 0))
        async with AriClient(f"http://127.0.0.1:{taken.getsockname()[1]}/ari", "u", "p") as ari:
            ari.meter = counters.of_server(NORTH)
            with pytest.raises(errors.PbxUnreachable):
                await ari.request("GET", f"/channels/{attempt(1)}")
    labels = {"server": "north", "request": "GET /channels/*"}
    assert of(counters, "obzvon_ari_request_seconds_count", **labels) == 1
    assert of(counters, "obzvon_ari_failures_total", server="north", kind="unreachable") == 1


# -- gauges -------------------------------------------------------------------------------------


async def test_how_things_stand(world: World):
    world.take(
        call(1),
        call(2, state=CallState.ANSWERED, answered_at=world.now - 4, server=NORTH, direction="in"),
        call(3, state=CallState.CONNECTED, answered_at=1.0, agent=AgentId("ann")),
    )
    samples = parsed(await world.text())

    def value(name: str, **labels: str) -> float | None:
        return samples.get((name, frozenset(labels.items())))

    spring = {"campaign": "spring"}
    assert value("obzvon_calls", state="dialing", server="", direction="out", **spring) == 1
    assert value("obzvon_calls", state="answered", server="north", direction="in", **spring) == 1
    assert value("obzvon_waiting", **spring) == 1
    assert value("obzvon_waiting_longest_seconds", **spring) == 4
    assert value("obzvon_campaign_state", state="running", **spring) == 1
    assert value("obzvon_campaign_state", state="paused", **spring) == 0
    assert value("obzvon_operators", state="signed_out", server="") == 2
    assert value("obzvon_operators", state="ready", server="") == 0, "a state that nobody is in is told too"
    assert value("obzvon_inbox_events") == 3
    assert value("obzvon_inbox_lag_seconds") == 0.25
    assert value("obzvon_commands_under_way") == 2
    assert value("obzvon_recordings_pending") == 4
    assert value("obzvon_timers_waiting") == 5
    assert value("obzvon_trunk_calls", trunk="north") == 3
    assert value("obzvon_trunk_state", trunk="north", server="", state="up") == 1
    assert value("obzvon_trunk_state", trunk="north", server="", state="resting") == 0
    assert value("obzvon_pbx_up", server="") == 1
    assert value("obzvon_pbx_connects_total", server="") == 1
    assert value("obzvon_abandonment_promised", **spring) == CAMPAIGN.pacing.abandonment.share
    assert value("obzvon_abandonment_bound", side="upper", **spring) == 1
    assert value("obzvon_abandonment_share", **spring) is None, "nobody answered"
    assert value("obzvon_build_info", version="9.9", python=value_of(samples, "python")) == 1
    assert value("obzvon_disk_free_bytes", folder="recordings")
    assert value("obzvon_disk_free_bytes", folder="none") is None
    assert value("process_resident_memory_bytes")


def value_of(samples: Samples, label: str) -> str:
    return next(value for _, labels in samples for name, value in labels if name == label)


async def test_what_keeps_a_campaign_from_more_calls_on_each_server(world: World):
    for lane, limit in (("spring@north", "risk"), ("spring@south", ""), ("gone", "lines")):
        reason = Reason(campaign=lane, placed=0, limit=limit)  # type: ignore[arg-type]
        world.floor._state.reasons[CampaignId(lane)] = deque([(1.0, reason)])
    samples = parsed(await world.text())
    found = {tuple(sorted(dict(labels).items())) for name, labels in samples if name == "obzvon_pacing_limit"}
    assert found == {
        (("campaign", "spring"), ("limit", "risk"), ("server", "north")),
        (("campaign", "spring"), ("limit", "none"), ("server", "south")),
    }


async def test_abandonment_is_the_ledger_s(world: World):
    ledger = world.floor.ledger(CAMPAIGN.id)
    assert ledger is not None
    for _ in range(50):
        ledger.answered(world.now)
    ledger.abandoned(world.now)
    assert await world.value("obzvon_abandonment_answered", campaign="spring") == 50
    assert await world.value("obzvon_abandonment_share", campaign="spring") == 0.02
    upper = await world.value("obzvon_abandonment_bound", campaign="spring", side="upper")
    assert upper == pytest.approx(ledger.bound(world.now)[1])


async def test_no_number_and_no_id_is_told(world: World):
    world.take(*(call(serial) for serial in range(1, 6)))
    for serial in range(1, 6):
        world.counters.written(None, [SaveCall(call=call(serial)), SaveCall(call=ended(serial))])
    text = await world.text()
    assert "obzvon_calls" in text
    assert "7916" not in text
    assert not re.search(r"a[0-9a-v]{20}", text)
    labels = {label for _, labels in parsed(text) for label, _ in labels}
    assert labels <= {label for one in catalogue() for label in one.labels} | {"le"}


async def test_everything_described_is_what_is_told(world: World):
    """And the other way round, but for what needs a case of its own."""
    world.take(call(1))
    names = {name for name, _ in parsed(await world.text()) if name.startswith("obzvon_")}
    described = {series for one in catalogue() for series in one.series}
    assert names <= described
    assert len({one.name for one in catalogue()}) == len(GAUGES) + len(TOTALS) + len(world.counters.declared)
    for one in catalogue():
        assert one.about.endswith("."), one.name
        assert re.fullmatch(r"obzvon_[a-z0-9_]+", one.name)
        assert one.name.endswith("_total") == (one.kind == "counter")
        if one.kind == "histogram":
            assert one.name.endswith("_seconds")


async def test_what_hangs_outside_is_left_out_and_not_begun_twice(world: World, monkeypatch):
    monkeypatch.setattr(serving, "OUTSIDE_S", 0.01)
    release, begun = asyncio.Event(), 0

    async def hangs() -> int:
        nonlocal begun
        begun += 1
        await release.wait()
        return 7

    world.waiting_timers = hangs
    assert await world.value("obzvon_timers_waiting") is None
    assert await world.value("obzvon_inbox_events") == 3
    assert begun == 1
    release.set()
    await asyncio.sleep(0)
    monkeypatch.setattr(serving, "OUTSIDE_S", 5.0)
    assert await world.value("obzvon_timers_waiting") == 7
    assert begun == 1
    await world.watch.aclose()


# -- over HTTP ----------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


@pytest.fixture
async def url(world: World):
    port = free_port()
    task = asyncio.create_task(serve(world.watch, "127.0.0.1", port))
    yield f"http://127.0.0.1:{port}"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def ask(url: str, **options: Any) -> tuple[int, Any]:
    """The answer, as soon as there is one."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(8):
        while True:
            try:
                async with session.get(url, **options) as answer:
                    is_json = answer.content_type == "application/json"
                    return answer.status, await answer.json() if is_json else await answer.text()
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.01)


async def test_metrics_are_served_in_both_forms(world: World, url: str):
    status, text = await ask(f"{url}/metrics")
    assert status == 200
    assert "obzvon_ready 1.0" in text
    _, text = await ask(f"{url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert text.endswith("# EOF\n")
    assert (await ask(f"{url}/v1/reload"))[0] == 404, "nothing can be ordered here"


def journal_fails(world: World) -> None:
    world.journal_ok = False
    world.floor.handle(ev.JournalFailed(at=2.0, reason="the disk is full"))


def redis_is_away(world: World) -> None:
    world.timers_ok = False


def asterisk_is_away(world: World) -> None:
    world.servers = {ONLY: (False, 1)}
    world.floor.handle(ev.PbxDisconnected(at=2.0))


def the_engine_leaves(world: World) -> None:
    world.floor.handle(ev.Leaving(at=2.0))


def events_lag(world: World) -> None:
    world.floor.handle(ev.EventsLagged(at=2.0, lag_ms=5000.0, is_late=True))


@pytest.mark.parametrize(
    ("spoil", "check", "reason"),
    [
        (journal_fails, "journal", "the journal cannot be written"),
        (redis_is_away, "timers", "Redis holds no timers"),
        (asterisk_is_away, "events", "no events from Asterisk"),
        (the_engine_leaves, "floor", "the engine is leaving"),
        (events_lag, "floor", "events lag"),
    ],
)
async def test_not_ready_says_why_and_lives_all_the_same(world: World, url: str, spoil, check, reason):
    status, found = await ask(f"{url}/health/ready")
    assert (status, found["ready"], found["reasons"]) == (200, True, [])
    spoil(world)
    status, found = await ask(f"{url}/health/ready")
    assert (status, found["ready"]) == (503, False)
    assert [name for name, is_well in found["checks"].items() if not is_well] == [check]
    assert len(found["reasons"]) == 1
    assert found["reasons"][0].startswith(reason)
    assert await ask(f"{url}/health/live") == (200, {"live": True, "version": "9.9"})
    assert "obzvon_ready 0.0" in (await ask(f"{url}/metrics"))[1]


def test_one_server_of_two_is_enough(world: World):
    world.servers = {ServerId("a"): (True, 1), ServerId("b"): (False, 3)}
    assert world.watch.ready().ready
    world.servers = {ServerId("a"): (False, 1), ServerId("b"): (False, 3)}
    assert world.watch.ready().reasons == ["no events from a, b"]


async def test_a_port_that_is_taken_is_tried_again(world: World, monkeypatch, caplog):
    monkeypatch.setattr(serving, "BIND_AGAIN_S", 0.01)
    tries, really = 0, web.TCPSite.start

    async def counted(site: Any) -> None:
        nonlocal tries
        tries += 1
        await really(site)

    monkeypatch.setattr(web.TCPSite, "start", counted)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        task = asyncio.create_task(serve(world.watch, "127.0.0.1", port))
        await until(lambda: tries >= 3)
    assert (await ask(f"http://127.0.0.1:{port}/health/live"))[0] == 200
    assert caplog.text.count("cannot be served") == 1, "it is told once"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
