"""The engine runs, keeps up, may place calls, and is watched as the settings say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from dialer.office import remote
from dialer.office.doctor.findings import Finding, fails, ok, warns
from dialer.store.files import MetricsSettings

WAIT_S = 3.0
LAG_MS = 500.0

NOT_RUNNING = warns("engine.not_running", "No engine runs", "dialer up or dialer serve starts it")
BROKEN = fails(
    "engine.broken", "The engine does not answer as it should", "see the engine's log; start it again"
)
NO_CALLS = warns(
    "engine.no_calls", "The engine places no calls, and says why", "mend what is said, it goes on by itself"
)
LAGS = warns(
    "engine.lag",
    "Events wait for half a second and more before they are decided on",
    "give it processor time, and the journal a quicker disk",
)
UNWATCHED = warns(
    "engine.metrics",
    "Metrics are wanted and not served: the port is taken, or was set after the start",
    "free the port, or restart the engine",
)


def check(home: Path, metrics: MetricsSettings) -> Iterator[Finding]:
    """Ask it."""
    try:
        health = remote.health(home)
    except remote.EngineNotRunning:
        yield NOT_RUNNING.found("no engine runs")
        return
    except remote.EngineError as error:
        yield BROKEN.found(str(error))
        return
    for reason in health.get("why_not", []):
        yield NO_CALLS.found(f"it places no calls: {reason}")
    lag_ms = float(health.get("lag_ms", 0))
    if lag_ms > LAG_MS:
        yield LAGS.found(f"events wait for {lag_ms:g} ms")
    if metrics.port and not _is_live(metrics):
        yield UNWATCHED.found(f"nobody answers at http://{metrics.address}:{metrics.port}/health/live")
    yield ok("engine", f"runs, {health.get('live_calls', 0)} calls, lag {lag_ms:g} ms")


def process_of(home: Path) -> int | None:
    """The process of the engine that holds the journal, if one does."""
    try:
        return int((home / "run" / "engine.lock").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _is_live(metrics: MetricsSettings) -> bool:
    address = "127.0.0.1" if metrics.address == "0.0.0.0" else metrics.address  # noqa: S104 - it is compared
    try:
        with build_opener(ProxyHandler({})).open(
            f"http://{address}:{metrics.port}/health/live", timeout=WAIT_S
        ) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False
