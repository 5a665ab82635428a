"""Metrics and health over HTTP: ``/metrics``, ``/health/live``, ``/health/ready``. Nothing can be ordered here.

1. *Live*: the process answers. It is that even while the journal fails: to start it again would mend nothing, and would
   leave people on the line without it.
2. *Ready*: new calls can be served. If not, the answer is 503 and says why.
3. A port that is taken (by the engine before this one, which leaves) is tried again: to be watched is worth less than to call.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from aiohttp import web
from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from dialer.engine.metrics.counters import Counters
from dialer.engine.metrics.gauges import Inside, Outside, read

log = logging.getLogger(__name__)

OUTSIDE_S = 0.5
"""A scrape waits no longer for Redis and disks."""
BIND_AGAIN_S = 5.0


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Whether new calls can be served. *checks*: each thing looked at; *reasons*: of those that are not well, in words."""

    ready: bool
    checks: dict[str, bool]
    reasons: list[str]


class Watch:
    """What may be known from outside. *waiting_timers*: asks Redis. *folders*: whose free space is told, by name."""

    def __init__(
        self,
        *,
        inside: Inside,
        counters: Counters,
        waiting_timers: Callable[[], Awaitable[int | None]],
        folders: Mapping[str, Path],
    ) -> None:
        self._inside = inside
        self._counters = counters
        self._waiting_timers = waiting_timers
        self._folders = folders
        self._looking: asyncio.Task[tuple[int | None, dict[str, int]]] | None = None
        ProcessCollector(registry=counters.registry)

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._on_metrics),
                web.get("/health/live", self._on_live),
                web.get("/health/ready", self._on_ready),
            ]
        )
        return app

    def ready(self) -> Ready:
        """Whether new calls can be served now."""
        servers = self._inside.servers()
        away = sorted(server or "Asterisk" for server, (is_up, _) in servers.items() if not is_up)
        why_not = self._inside.floor.why_not_originating()
        others = [why for obstacle, why in why_not.items() if obstacle != "journal"]
        said = {
            "journal": (self._inside.journal_ok(), "the journal cannot be written"),
            "events": (len(away) < len(servers), f"no events from {', '.join(away)}"),
            "timers": (
                self._inside.timers_ok(),
                "Redis holds no timers: who is to be called again waits longer",
            ),
        }
        is_held = said["events"][0] and bool(others)
        said["floor"] = (not is_held, "; ".join(others))
        return Ready(
            ready=all(is_well for is_well, _ in said.values()),
            checks={name: is_well for name, (is_well, _) in said.items()},
            reasons=[why for is_well, why in said.values() if not is_well],
        )

    async def scrape(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics as text, and its content type, as *accept* asks for."""
        outside = await self._look_outside()
        families = read(self._inside, outside, is_ready=self.ready().ready)
        encode, kind = choose_encoder(accept)
        return await asyncio.to_thread(encode, _Both(families, self._counters.registry.collect())), kind

    # -- inside ---------------------------------------------------------------------------

    async def _on_metrics(self, request: web.Request) -> web.Response:
        body, kind = await self.scrape(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind})

    async def _on_live(self, request: web.Request) -> web.Response:
        return _json({"live": True, "version": self._inside.version})

    async def _on_ready(self, request: web.Request) -> web.Response:
        found = self.ready()
        return _json(found, 200 if found.ready else 503)

    async def _look_outside(self) -> Outside:
        """A look that does not come back (a network disk) is not waited for, and not begun a second time."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        done, _ = await asyncio.wait([self._looking], timeout=OUTSIDE_S)
        if not done:
            return Outside()
        task, self._looking = self._looking, None
        waiting, free = task.result()
        return Outside(timers_waiting=waiting, free_bytes=free)

    async def _look(self) -> tuple[int | None, dict[str, int]]:
        waiting = await self._waiting_timers() if self._inside.timers_ok() else None
        return waiting, await asyncio.to_thread(self._free)

    def _free(self) -> dict[str, int]:
        found = {}
        for name, folder in self._folders.items():
            try:
                found[name] = shutil.disk_usage(folder).free
            except OSError:
                continue  # the series is missing, and the doctor says why
        return found

    async def aclose(self) -> None:
        """Give up what is looked at."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)


class _Both:
    """What an encoder takes for a registry."""

    def __init__(self, read: Sequence[Metric], counted: Iterable[Metric]) -> None:
        self._read = read
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        yield from self._read
        yield from self._counted


async def serve(watch: Watch, address: str, port: int) -> None:
    """Serve *watch* until cancelled. A port that cannot be had is tried again, and told once."""
    runner = web.AppRunner(watch.application(), access_log=None, handle_signals=False)
    await runner.setup()
    was_told = False
    try:
        while True:
            try:
                await web.TCPSite(runner, address, port).start()
                break
            except OSError as error:
                if not was_told:
                    log.error(
                        "Metrics and health cannot be served; trying again.",
                        extra={"action": "metrics", "port": port, "error": error.strerror or str(error)},
                    )
                was_told = True
                await asyncio.sleep(BIND_AGAIN_S)
        log.info(
            "Metrics and health are served.", extra={"action": "metrics", "address": address, "port": port}
        )
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
        await watch.aclose()


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
