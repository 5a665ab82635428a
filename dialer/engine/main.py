"""``dialer serve`` and ``dialer up``: run an engine until it is told to stop.

The first SIGTERM stops originating and lets conversations end; a second one, or Ctrl-C, ends
everything at once, the embedded servers with it. An engine that is killed, or fails, leaves them
running: conversations go on, and the next engine of the same home folder takes them over.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from pathlib import Path

from dialer.core import events as ev
from dialer.engine.house import House
from dialer.engine.logs import set_up
from dialer.store.documents import BadFile, Mistake
from dialer.store.files import SYSTEM_FILE, SystemSettings, load_system

log = logging.getLogger(__name__)

DRAIN_S = 600.0
"""Conversations that last longer than this after SIGTERM are ended."""


def serve(home: Path) -> None:
    """Run an engine against an Asterisk and a Redis of one's own.

    Raises BadFile when the home folder is for embedded servers, and what :class:`House` raises.
    """
    settings = load_system(home)
    mistakes = [
        Mistake(
            f"{part}.mode", "is embedded, and `dialer serve` starts no servers", "external, or `dialer up`"
        )
        for part, mode in (
            *(
                (f"asterisk.servers.{name}" if name else "asterisk", one.mode)
                for name, one in settings.servers.items()
            ),
            ("redis", settings.redis.mode),
        )
        if mode == "embedded"
    ]
    if mistakes:
        raise BadFile(home / SYSTEM_FILE, mistakes)
    asyncio.run(_run(home, settings))


def up(home: Path) -> None:
    """Run an engine with the embedded servers that the home folder's settings name.

    Raises what :class:`House` raises.
    """
    asyncio.run(_run(home, load_system(home)))


async def _run(home: Path, settings: SystemSettings) -> None:
    set_up(home / "log", settings.log_level, to_terminal=True, as_json=settings.log_format == "json")
    leave = asyncio.Event()
    now = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_term() -> None:
        (now if leave.is_set() else leave).set()

    loop.add_signal_handler(signal.SIGTERM, on_term)
    loop.add_signal_handler(signal.SIGINT, now.set)
    async with House(home, outlive=True) as house:
        log.info(
            "The engine is in charge.",
            extra={"action": "start", "home": str(home), "socket": str(house.settings.socket)},
        )
        for name, line in house.lines.items():
            if line.asterisk is not None:
                log.info(
                    "Asterisk is up.",
                    extra={"action": "start", "server": name, "sip": line.asterisk.sip_port},
                )
        await _first(house.wait(), leave.wait(), now.wait())
        if leave.is_set() and not now.is_set():
            log.info(
                "Leaving: no more calls are placed.",
                extra={"action": "leave", "live_calls": len(house.floor.calls)},
            )
            house.inbox.put(ev.Leaving(at=house.clock()))
            await _first(_drained(house), house.wait(), now.wait(), asyncio.sleep(DRAIN_S))
    log.info("The engine has stopped.", extra={"action": "stop"})


async def _drained(house: House) -> None:
    while house.floor.calls:
        await asyncio.sleep(0.1)
    await house.finish_recordings()


async def _first(*waits: Coroutine[object, object, object]) -> None:
    """Wait for the first of *waits*; the others are given up. Raises what it raised."""
    tasks = [asyncio.create_task(one) for one in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
