"""The engine's API, over a real Unix socket."""

from __future__ import annotations

import asyncio
import stat
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from dialer.core import events as ev
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, CampaignId, ContactId, LeadId
from dialer.core.pacing.book import Reason
from dialer.core.values import AgentCard, AgentState, Campaign, CampaignState, Lead
from dialer.engine import api as module
from dialer.engine.api import Api, listen
from dialer.engine.loop import NotSaved
from dialer.engine.process import EmbeddedError
from dialer.pbx.checks import BadSetting
from dialer.store.documents import BadFile, Mistake
from dialer.store.errors import JournalError, StoreError
from tests.unit.engine.parts import CAMPAIGN, TRUNK, Box, call, clock

LEAD = Lead(id=LeadId(1), campaign=CAMPAIGN.id, contact=ContactId(1), phones=())
LATER = Campaign(id=CampaignId("later"), lists=("people",), trunk=TRUNK.id)


class Engine:
    """What the API asks of an engine."""

    def __init__(self, floor: Floor, inbox: Box) -> None:
        self.floor = floor
        self.inbox = inbox
        self.not_saved: NotSaved | None = None
        self.saved: list[ev.Event] = []
        self.decides = True
        self.lag_s = 0.0125
        self.journal_ok = True
        self.events = 7
        self.transactions = 3

    async def order(self, event: ev.Event, within_s: float) -> None:
        self.inbox.put(event)
        if isinstance(event, ev.AgentOrdered) and self.decides:
            self.floor.handle(event)
        await asyncio.sleep(0)
        if self.not_saved is not None:
            raise self.not_saved
        self.saved.append(event)


class House:
    """The API's neighbours. *store*: campaigns that a reload finds."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.floor = Floor()
        self.floor.restore(
            campaigns=[(CAMPAIGN, CampaignState.NEW)],
            trunks=[TRUNK],
            cards=[AgentCard(id=AgentId("ann"), phone="101")],
        )
        self.inbox = Box()
        self.engine = Engine(self.floor, self.inbox)
        self.store: list[Campaign] = []
        self.enrolled: list[str] = []
        self.leads = {LEAD.id: CAMPAIGN.id, LeadId(2): LATER.id}
        self.reloads = 0
        self.enroll_error: Exception | None = None
        self.reload_error: Exception | None = None
        self.pbx_connected = True
        self.session: aiohttp.ClientSession

    def api(self) -> Api:
        return Api(
            version="9.9",
            engine=self.engine,  # type: ignore[arg-type]
            inbox=self.inbox,
            clock=clock(),
            reload=self.reload,
            enroll=self.enroll,
            campaign_of=self.campaign_of,
            pbx_connected=lambda: self.pbx_connected,
            timers_ok=lambda: True,
        )

    async def reload(self) -> dict[str, int]:
        if self.reload_error is not None:
            raise self.reload_error
        self.reloads += 1
        for campaign in self.store:
            self.floor.handle(ev.CampaignApplied(at=1.0, campaign=campaign))
        return {"trunks": 1, "campaigns": len(self.floor.desks), "agents": 1}

    async def enroll(self, campaign: CampaignId) -> int:
        if self.enroll_error is not None:
            raise self.enroll_error
        self.enrolled.append(campaign)
        return 3

    async def campaign_of(self, lead: LeadId) -> CampaignId | None:
        return self.leads.get(lead)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, f"http://engine{path}", **options) as answer:
            assert answer.content_type == "application/json"
            return answer.status, await answer.json()

    async def post(self, path: str, **options: Any) -> tuple[int, Any]:
        return await self.ask("POST", path, **options)


@pytest.fixture
async def house(short_tmp: Path) -> AsyncIterator[House]:
    made = House(short_tmp / "run" / "engine.sock")
    runner = await listen(made.api(), made.socket)
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(made.socket))) as session:
        made.session = session
        yield made
    await runner.cleanup()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_only_the_owner_may_open_it(house):
    assert mode(house.socket) == 0o600
    assert mode(house.socket.parent) == 0o700


async def test_a_folder_that_was_too_open_is_closed_and_an_old_socket_replaced(short_tmp):
    socket = short_tmp / "run" / "engine.sock"
    socket.parent.mkdir(mode=0o755)
    socket.write_text("left over")
    runner = await listen(House(socket).api(), socket)
    assert (mode(socket.parent), mode(socket)) == (0o700, 0o600)
    await runner.cleanup()


async def test_health(house):
    live = call(1, campaign=CAMPAIGN.id)
    house.floor.restore(calls=[(live, LEAD)])
    status, health = await house.ask("GET", "/v1/health")
    assert status == 200
    assert health == {
        "engine": "9.9",
        "pbx_connected": True,
        "lag_ms": 12.5,
        "depth": 0,
        "journal_ok": True,
        "timers_ok": True,
        "originating": False,
        "live_calls": 1,
        "calls": {"spring": {"dialing": 1}},
        "hopper": {"spring": 0},
        "trunks": {"north": True},
        "servers": [
            {
                "name": "",
                "is_up": False,
                "is_lost": False,
                "calls": 1,
                "channels_max": 100_000,
                "operators": 0,
                "why_not": ["no connection to Asterisk"],
            }
        ],
        "why_not": ["no connection to Asterisk"],
        "events": 7,
        "transactions": 3,
    }


async def test_health_names_every_reason_why_nothing_is_dialed(house):
    house.floor.handle(ev.PbxConnected(at=1.0))
    assert (await house.ask("GET", "/v1/health"))[1]["originating"]
    house.floor.handle(ev.JournalFailed(at=2.0, reason="disk full"))
    house.floor.handle(ev.EventsLagged(at=2.0, lag_ms=2000.0, is_late=True))
    house.floor.handle(ev.Leaving(at=2.0))
    health = (await house.ask("GET", "/v1/health"))[1]
    assert not health["originating"]
    assert len(health["why_not"]) == 3
    assert any("disk full" in reason for reason in health["why_not"])


# -- campaigns -------------------------------------------------------------------------------


async def test_pacing_says_why_so_many_calls_were_placed(house):
    floor = house.floor
    reason = Reason(campaign=CAMPAIGN.id, placed=2, limit="risk", figures={"idle": 1.0}, note="cautious")
    for number in range(25):
        floor._state.reasons.setdefault(CAMPAIGN.id, deque()).append((100.0 + number, reason))
    ahead = msgspec.structs.replace(LATER, mode="predictive")
    floor.restore(campaigns=[(ahead, CampaignState.RUNNING)])
    floor._state.pacer.ledgers[CAMPAIGN.id].answered(house.api()._clock())
    status, found = await house.ask("GET", "/v1/pacing")
    assert status == 200
    first, later = sorted(found["campaigns"], key=lambda one: one["campaign"] != CAMPAIGN.id)
    decided = {
        "at": 124.0,
        "placed": 2,
        "limit": "risk",
        "figures": {"idle": 1.0},
        "note": "cautious",
        "server": "",
    }
    assert first["last"] == decided == first["history"][-1]
    assert (len(first["history"]), first["answered"], first["abandoned"]) == (20, 1, 0)
    assert (first["share_max"], first["bound"][1] > 0.5) == (0.03, True)
    assert (later["mode"], later["state"], later["last"], later["history"]) == (
        "predictive",
        "running",
        None,
        [],
    )
    _, found = await house.ask("GET", "/v1/pacing?last=300")
    assert [len(one["history"]) for one in found["campaigns"] if one["campaign"] == CAMPAIGN.id] == [25]


@pytest.mark.parametrize("text", ["0", "-1", "301", "many", "1" * 9, "²"])
async def test_pacing_of_an_unfit_length_is_refused(house, text):
    status, found = await house.ask("GET", "/v1/pacing", params={"last": text})
    assert status == 400
    assert "allowed: a whole number from 1 to 300" in found["error"]


@pytest.mark.parametrize(
    ("state", "order", "added"),
    [
        (CampaignState.NEW, "start", 3),
        (CampaignState.RUNNING, "pause", 0),
        (CampaignState.PAUSED, "resume", 3),
        (CampaignState.RUNNING, "stop", 0),
        (CampaignState.RUNNING, "start", 3),
    ],
)
async def test_an_order_becomes_an_event(house, state, order, added):
    house.floor.desks[CAMPAIGN.id].state = state
    status, answer = await house.post(f"/v1/campaigns/spring/{order}")
    assert (status, answer) == (200, {"campaign": "spring", "order": order, "leads_added": added})
    (event,) = house.inbox.all
    assert isinstance(event, ev.CampaignOrdered)
    assert (event.campaign, event.order) == (CAMPAIGN.id, order)
    assert house.enrolled == ["spring"] * (added > 0)


@pytest.mark.parametrize(
    ("state", "order"),
    [(CampaignState.NEW, "pause"), (CampaignState.FINISHED, "resume"), (CampaignState.STOPPED, "pause")],
)
async def test_an_order_that_does_not_fit_the_state_is_a_conflict(house, state, order):
    house.floor.desks[CAMPAIGN.id].state = state
    status, answer = await house.post(f"/v1/campaigns/spring/{order}")
    assert status == 409
    assert state.value in answer["error"]
    assert house.inbox.all == []
    assert house.enrolled == []


async def test_a_campaign_that_was_just_applied_is_found_in_the_store(house):
    house.store.append(LATER)
    status, _ = await house.post("/v1/campaigns/later/start")
    assert status == 200
    assert house.reloads == 1
    assert house.enrolled == ["later"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/campaigns/nobody/start",
        "/v1/campaigns/spring/explode",
        "/v1/campaigns/nobody/leads-added",
        "/v1/agents/nobody/ready",
        "/v1/agents/ann/dance",
        "/v2/health",
    ],
)
async def test_what_there_is_not_is_not_found(house, path):
    status, answer = await house.post(path)
    assert status == 404
    assert answer["error"]
    assert house.inbox.all == []


async def test_a_question_is_not_an_order(house):
    status, answer = await house.ask("GET", "/v1/campaigns/spring/start")
    assert (status, list(answer)) == (405, ["error"])


async def test_leads_that_were_added_become_an_event(house):
    assert await house.post("/v1/campaigns/spring/leads-added") == (
        200,
        {"campaign": "spring", "leads_added": 3},
    )
    assert [type(event) for event in house.inbox.all] == [ev.LeadsAdded]


async def test_a_journal_that_fails_is_said_and_nothing_is_ordered(house):
    house.enroll_error = JournalError("The journal could not be written: database or disk is full.")
    for path in ("start", "leads-added"):
        status, answer = await house.post(f"/v1/campaigns/spring/{path}")
        assert status == 503
        assert "disk is full" in answer["error"]
    assert house.inbox.all == []


# -- callbacks and do-not-call ----------------------------------------------------------------


async def test_a_callback_is_ordered_and_saved(house):
    body = {"lead": 1, "due": 2000.5, "agent": "ann"}
    assert await house.post("/v1/campaigns/spring/callback", json=body) == (
        200,
        {"campaign": "spring", **body},
    )
    (event,) = house.engine.saved
    assert isinstance(event, ev.CallbackOrdered)
    assert (event.campaign, event.lead, event.due, event.agent) == ("spring", 1, 2000.5, "ann")
    status, answer = await house.post("/v1/campaigns/spring/callback", json={"lead": 1, "due": 3000})
    assert (status, answer["agent"]) == (200, None)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("spring", {"lead": 1, "due": 2000, "agent": "nobody"}, 404, "no agent 'nobody'"),
        ("spring", {"lead": 2, "due": 2000}, 404, "'spring' has no lead 2"),
        ("spring", {"lead": 3, "due": 2000}, 404, "'spring' has no lead 3"),
        ("nobody", {"lead": 1, "due": 2000}, 404, "no campaign 'nobody'"),
        ("spring", {"lead": 0, "due": 2000}, 400, "lead"),
        ("spring", {"lead": 1}, 400, "due"),
        ("spring", {"lead": 1, "due": -1}, 400, "due"),
        ("spring", {"lead": 1, "due": 1e300}, 400, "due"),
        ("spring", {"lead": 1, "due": 2000, "operator": "ann"}, 400, "operator"),
    ],
)
async def test_a_callback_that_cannot_be_is_refused(house, path, body, status, said):
    found, answer = await house.post(f"/v1/campaigns/{path}/callback", json=body)
    assert (found, said in answer["error"]) == (status, True), answer
    assert house.inbox.all == []


async def test_changed_do_not_call_lists_become_an_event(house):
    assert await house.post("/v1/do-not-call-changed") == (200, {})
    assert [type(event) for event in house.engine.saved] == [ev.DoNotCallChanged]


# -- agents ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "body", "reason", "state"),
    [
        ("ready", None, "", "ready"),
        ("pause", {"reason": "fire drill"}, "fire drill", "paused"),
        ("sign_out", {}, "", "signed_out"),
    ],
)
async def test_an_agent_is_ordered(house, order, body, reason, state):
    _stands(house, AgentState.READY)
    status, answer = await house.post(f"/v1/agents/ann/{order}", json=body)
    want = {"agent": "ann", "order": order, "when": "now", "state": state, "reason": reason}
    assert (status, answer) == (200, want)
    (event,) = house.inbox.of(ev.AgentOrdered)
    assert (event.agent, event.order, event.reason) == ("ann", order, reason)


def _stands(house: House, state: AgentState, **changes: Any) -> None:
    agents, ann = house.engine.floor.agents, AgentId("ann")
    agents[ann] = msgspec.structs.replace(agents[ann], state=state, **changes)


@pytest.mark.parametrize("order", ["pause", "sign_out", "ready"])
async def test_an_order_during_a_call_is_said_to_take_effect_later(house, order):
    _stands(house, AgentState.ON_CALL)
    status, answer = await house.post(f"/v1/agents/ann/{order}")
    assert (status, answer["when"], answer["state"]) == (200, "later", "on_call")


async def test_who_is_made_ready_while_the_phone_is_in_use_is_so_later(house):
    floor = house.engine.floor
    floor.handle(ev.AgentApplied(at=1.0, agent=AgentCard(id=AgentId("ann"), phone="101", leg="rung")))
    floor.handle(ev.PhoneUsed(at=1.0, phone="101", is_in_use=True))
    _stands(house, AgentState.PAUSED, reason="lunch")
    status, answer = await house.post("/v1/agents/ann/ready")
    assert (status, answer["when"], answer["reason"]) == (200, "later", "phone_in_use")


async def test_who_cannot_be_rung_is_not_made_ready(house):
    floor = house.engine.floor
    floor.handle(ev.AgentApplied(at=1.0, agent=AgentCard(id=AgentId("ann"), phone="101", leg="rung")))
    floor.handle(ev.PhoneChanged(at=1.0, phone="101", is_registered=False))
    _stands(house, AgentState.PAUSED, reason="phone_lost")
    status, answer = await house.post("/v1/agents/ann/ready")
    assert (status, "not registered" in answer["error"]) == (409, True)
    assert house.inbox.all == []


@pytest.mark.parametrize("order", ["pause", "ready"])
async def test_an_order_that_came_too_late_is_not_said_to_be_done(house, order):
    _stands(house, AgentState.PAUSED if order == "ready" else AgentState.READY)
    house.engine.decides = False
    status, answer = await house.post(f"/v1/agents/ann/{order}")
    assert (status, "changed nothing" in answer["error"]) == (409, True)


async def test_a_pause_has_no_reason_that_ends_by_itself(house):
    _stands(house, AgentState.READY)
    status, answer = await house.post("/v1/agents/ann/pause", json={"reason": "no_answer"})
    assert (status, "no_answer" in answer["error"]) == (400, True)
    assert house.inbox.all == []


@pytest.mark.parametrize("order", ["ready", "pause"])
async def test_who_is_signed_out_is_not_ordered_about(house, order):
    status, answer = await house.post(f"/v1/agents/ann/{order}", json={})
    assert (status, "signed out" in answer["error"]) == (409, True)
    assert house.inbox.all == []


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b'"x"', b"\xff", b'{"reason": 7}', b'{"raeson": "lunch"}', b'{"reason": "a\\nb"}']
)
async def test_a_body_that_is_none_is_refused(house, body):
    status, answer = await house.post("/v1/agents/ann/pause", data=body)
    assert status == 400
    assert answer["error"]
    assert house.inbox.all == []


async def test_a_body_may_not_be_endless(house):
    status, _ = await house.post("/v1/agents/ann/pause", data=b" " * (module.BODY_BYTES_MAX + 1))
    assert status == 413
    assert house.inbox.all == []


async def test_reload(house):
    assert await house.post("/v1/reload") == (200, {"trunks": 1, "campaigns": 1, "agents": 1})
    assert house.reloads == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadFile("secrets.toml", [Mistake("", "mode is 0644", "0600")]), 422),
        (BadSetting("trunk north: has a secret but no username"), 422),
        (EmbeddedError("Asterisk: PUT modules/res_pjsip.so: status 409"), 503),
        (StoreError("The journal could not be read: disk I/O error."), 503),
    ],
)
async def test_what_cannot_be_applied_says_why(house, error, expected):
    house.reload_error = house.enroll_error = error
    for path in ("/v1/reload", "/v1/campaigns/spring/start", "/v1/campaigns/nobody/start"):
        assert await house.post(path) == (expected, {"error": str(error)})
    assert house.inbox.all == []


@pytest.mark.parametrize(
    "path", ["/v1/campaigns/spring/start", "/v1/agents/ann/sign_out", "/v1/do-not-call-changed"]
)
async def test_an_order_is_acknowledged_only_when_it_is_saved(house, path):
    assert (await house.post(path))[0] == 200
    assert house.engine.saved == house.inbox.all
    house.engine.not_saved = NotSaved("The journal could not be written: database or disk is full.")
    status, answer = await house.post(path)
    assert status == 503
    assert "disk is full. The order may hold" in answer["error"]


async def test_a_fault_of_ours_is_a_500_and_not_the_end(house, monkeypatch):
    house.enroll_error = RuntimeError("ours")
    async with house.session.post("http://engine/v1/campaigns/spring/leads-added") as answer:
        assert answer.status == 500
    assert (await house.ask("GET", "/v1/health"))[0] == 200
    await asyncio.sleep(0)


@pytest.mark.parametrize("order", ["disable", "enable", "remove"])
async def test_a_trunk_is_ordered(house, order):
    assert await house.post(f"/v1/trunks/north/{order}") == (200, {"trunk": "north", "order": order})
    assert house.engine.saved == [ev.TrunkOrdered(at=house.engine.saved[0].at, trunk=TRUNK.id, order=order)]


async def test_what_cannot_be_ordered_of_a_trunk_is_said(house):
    status, answer = await house.post("/v1/trunks/north/paint")
    assert status == 404
    assert "allowed: disable, enable, remove" in answer["error"]
    status, answer = await house.post("/v1/trunks/south/disable")
    assert (status, house.reloads) == (404, 1), "it may be in the store by now"
    assert not house.engine.saved
