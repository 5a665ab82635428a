"""The engine's own HTTP API, on a Unix socket that only its owner may open.

Orders become events in the inbox, as everything else does; facts are read from the store, so this
API has few questions: whether the engine is well, and what it may not do at the moment.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web

from dialer.core import events as ev
from dialer.core.agent import OWN_REASONS
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, CampaignId, LeadId, TrunkId
from dialer.core.modes import KEPT
from dialer.core.orders import came_of, why_not
from dialer.core.values import FOREVER
from dialer.engine.identity import Clock
from dialer.engine.loop import Engine, NotSaved
from dialer.engine.process import EmbeddedError
from dialer.engine.standing import health, pacing
from dialer.pbx.checks import BadSetting
from dialer.pbx.inbox import Inbox
from dialer.store.documents import BadFile
from dialer.store.errors import StoreError

log = logging.getLogger(__name__)
T = TypeVar("T")

BODY_BYTES_MAX = 64 * 1024
REASONS_SHOWN = 20
"""So many of the latest decisions on a campaign's pacing are told, if not more are asked for."""
SAVED_S = 2.0
"""An order is answered when it is in the journal, or refused after this time."""
_CAMPAIGN_ORDERS = {"start", "pause", "resume", "stop"}
_AGENT_ORDERS = {"ready", "pause", "sign_out"}
_TRUNK_ORDERS = {"enable", "disable", "remove"}


class AgentOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of an order to an agent, which may be left out. *reason*: of a pause; one line."""

    reason: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class CallbackOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of an order to call somebody back. *due*: seconds since the epoch. *agent*: None: by anyone."""

    lead: Annotated[int, msgspec.Meta(ge=1)]
    due: Annotated[float, msgspec.Meta(ge=0, lt=FOREVER)]
    agent: str | None = None


class Api:
    """The handlers. *reload*: reads agents, trunks and campaigns again and tells the floor.

    *campaign_of*: the campaign whose lead it is, None if there is no such lead.
    """

    def __init__(
        self,
        *,
        version: str,
        engine: Engine,
        inbox: Inbox[ev.Event],
        clock: Clock,
        reload: Callable[[], Awaitable[dict[str, int]]],
        enroll: Callable[[CampaignId], Awaitable[int]],
        campaign_of: Callable[[LeadId], Awaitable[CampaignId | None]],
        pbx_connected: Callable[[], bool],
        timers_ok: Callable[[], bool],
    ) -> None:
        self._version = version
        self._engine = engine
        self._inbox = inbox
        self._clock = clock
        self._reload = reload
        self._enroll = enroll
        self._campaign_of = campaign_of
        self._pbx_connected = pbx_connected
        self._timers_ok = timers_ok

    @property
    def _floor(self) -> Floor:
        return self._engine.floor

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_errors])
        app.add_routes(
            [
                web.get("/v1/health", self._health),
                web.get("/v1/pacing", self._on_pacing),
                web.post("/v1/reload", self._on_reload),
                web.post("/v1/campaigns/{id}/leads-added", self._on_leads_added),
                web.post("/v1/campaigns/{id}/callback", self._on_callback),
                web.post("/v1/campaigns/{id}/{order}", self._on_campaign),
                web.post("/v1/do-not-call-changed", self._on_do_not_call_changed),
                web.post("/v1/agents/{id}/{order}", self._on_agent),
                web.post("/v1/trunks/{id}/{order}", self._on_trunk),
            ]
        )
        return app

    async def _health(self, request: web.Request) -> web.Response:
        found = health(
            self._engine,
            version=self._version,
            pbx_connected=self._pbx_connected(),
            timers_ok=self._timers_ok(),
        )
        return _json(found)

    async def _on_pacing(self, request: web.Request) -> web.Response:
        text = request.query.get("last", str(REASONS_SHOWN))
        if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= KEPT):
            raise _Refused(400, f"last={text[:20]} is not allowed; allowed: a whole number from 1 to {KEPT}")
        at = self._clock()
        return _json({"at": at, "campaigns": pacing(self._floor, at, int(text))})

    async def _on_reload(self, request: web.Request) -> web.Response:
        return _json(await self._reload())

    async def _on_campaign(self, request: web.Request) -> web.Response:
        campaign, order = CampaignId(request.match_info["id"]), request.match_info["order"]
        if order not in _CAMPAIGN_ORDERS:
            raise _Refused(404, f"unknown order {order!r}; allowed: {', '.join(sorted(_CAMPAIGN_ORDERS))}")
        await self._known(campaign)
        refusal = why_not(self._floor.desks[campaign].state, order)
        if refusal is not None:
            raise _Refused(409, refusal)
        added = await self._enroll(campaign) if order in ("start", "resume") else 0
        await self._order(ev.CampaignOrdered(at=self._clock(), campaign=campaign, order=order))  # type: ignore[arg-type]
        return _json({"campaign": campaign, "order": order, "leads_added": added})

    async def _known(self, campaign: CampaignId) -> None:
        """Raises _Refused: there is no such campaign, not in the store either."""
        if campaign not in self._floor.desks:
            await self._reload()
        if campaign not in self._floor.desks:
            raise _Refused(404, f"there is no campaign {campaign!r}")

    async def _on_callback(self, request: web.Request) -> web.Response:
        campaign = CampaignId(request.match_info["id"])
        body = await _read(request, CallbackOrder)
        await self._known(campaign)
        lead, agent = LeadId(body.lead), AgentId(body.agent) if body.agent is not None else None
        if agent is not None and agent not in self._floor.cards:
            raise _Refused(404, f"there is no agent {agent!r}")
        if await self._campaign_of(lead) != campaign:
            raise _Refused(404, f"the campaign {campaign!r} has no lead {lead}")
        await self._order(
            ev.CallbackOrdered(at=self._clock(), campaign=campaign, lead=lead, due=body.due, agent=agent)
        )
        return _json({"campaign": campaign, "lead": lead, "due": body.due, "agent": agent})

    async def _on_do_not_call_changed(self, request: web.Request) -> web.Response:
        await self._order(ev.DoNotCallChanged(at=self._clock()))
        return _json({})

    async def _on_leads_added(self, request: web.Request) -> web.Response:
        campaign = CampaignId(request.match_info["id"])
        if campaign not in self._floor.desks:
            raise _Refused(404, f"there is no campaign {campaign!r}")
        added = await self._enroll(campaign)
        self._inbox.put(ev.LeadsAdded(at=self._clock(), campaign=campaign))
        return _json({"campaign": campaign, "leads_added": added})

    async def _on_agent(self, request: web.Request) -> web.Response:
        agent, order = AgentId(request.match_info["id"]), request.match_info["order"]
        if order not in _AGENT_ORDERS:
            raise _Refused(404, f"unknown order {order!r}; allowed: {', '.join(sorted(_AGENT_ORDERS))}")
        if agent not in self._floor.cards:
            raise _Refused(404, f"there is no agent {agent!r}")
        body = await _read(request, AgentOrder)
        if body.reason in OWN_REASONS:
            raise _Refused(400, f"{body.reason!r} is a reason that ends by itself; give another")
        refusal = self._floor.why_not_ordered(agent, order)
        if refusal is not None:
            raise _Refused(409, refusal)
        await self._order(ev.AgentOrdered(at=self._clock(), agent=agent, order=order, reason=body.reason))  # type: ignore[arg-type]
        after = self._floor.agents[agent]
        outcome = came_of(after, order)
        if outcome == "nothing":  # the operator was quicker
            raise _Refused(409, f"{agent} is {after.state} by now; the order changed nothing")
        return _json(
            {"agent": agent, "order": order, "when": outcome, "state": after.state, "reason": after.reason}
        )

    async def _on_trunk(self, request: web.Request) -> web.Response:
        """What was ordered stands in the journal already; the floor is told."""
        trunk, order = TrunkId(request.match_info["id"]), request.match_info["order"]
        if order not in _TRUNK_ORDERS:
            raise _Refused(404, f"unknown order {order!r}; allowed: {', '.join(sorted(_TRUNK_ORDERS))}")
        if trunk not in self._floor.trunks:
            await self._reload()
        if trunk not in self._floor.trunks:
            raise _Refused(404, f"there is no trunk {trunk!r}")
        await self._order(ev.TrunkOrdered(at=self._clock(), trunk=trunk, order=order))  # type: ignore[arg-type]
        return _json({"trunk": trunk, "order": order})

    async def _order(self, event: ev.Event) -> None:
        """Nobody is told that an order was taken which the engine would forget if it ended now."""
        try:
            await self._engine.order(event, SAVED_S)
        except NotSaved as failure:
            raise _Refused(
                503,
                f"{failure} The order may hold for now, but is forgotten if the engine ends before it"
                " is written.",
            ) from None


async def listen(api: Api, socket: Path) -> web.AppRunner:
    """Serve *api* on the Unix socket *socket* (mode 0600, in a folder of mode 0700).

    Raises OSError when the socket cannot be made.
    """
    await asyncio.to_thread(_make_way, socket)
    runner = web.AppRunner(api.application(), access_log=None, handle_signals=False)
    await runner.setup()
    before = os.umask(0o177)
    try:
        await web.UnixSite(runner, str(socket)).start()
    finally:
        os.umask(before)
    return runner


def _make_way(socket: Path) -> None:
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket.parent.chmod(0o700)
    socket.unlink(missing_ok=True)  # we hold the claim on the journal, so it is nobody's


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except _Refused as refusal:
        return _json({"error": str(refusal)}, status=refusal.status)
    except web.HTTPException as error:
        return _json({"error": error.reason}, status=error.status)
    except (BadFile, BadSetting) as error:
        return _json({"error": str(error)}, status=422)
    except (StoreError, EmbeddedError) as error:
        return _json({"error": str(error)}, status=503)
    except Exception:
        log.exception(
            "A request failed by a fault of ours", extra={"action": "request", "path": request.path}
        )
        return _json({"error": "a fault of the engine's own; its log says more"}, status=500)


async def _read(request: web.Request, form: type[T]) -> T:
    raw = await request.read()
    try:
        return msgspec.json.decode(raw or b"{}", type=form)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Refused(400, f"the body cannot be used: {error}") from None


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
