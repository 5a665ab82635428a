"""Redis: it answers, evicts nothing, can save if it should, has room, and agrees with us on the time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

from dialer.office.doctor.facts import RedisFacts
from dialer.office.doctor.findings import Finding, fails, ok, warns
from dialer.office.doctor.machine import CLOCK_OFF_S
from dialer.store.files import SystemSettings

WAIT_S = 3.0
LEAST = (6, 2)
"""``ZRANGE ... BYSCORE`` is of Redis 6.2."""
MEMORY_SHARE_MAX = 0.9

AWAY = fails("redis.away", "Redis does not answer", "start it; check redis.url, and redis in secrets.toml")
NOT_STARTED = warns(
    "redis.not_started", "The embedded Redis does not run now", "dialer up or dialer serve starts it"
)
OLD = fails(
    "redis.old", "Redis is older than 6.2, and lacks a command of the timers", "install Redis 6.2 or Valkey"
)
EVICTS = warns(
    "redis.eviction",
    "Redis may throw timers away when memory is short",
    "set maxmemory-policy noeviction",
)
FULL = warns("redis.memory", "Redis has used most of the memory that it may have", "raise maxmemory")
SAVING_BROKEN = fails(
    "redis.saving",
    "Its last save failed, so it may refuse writes",
    "mend its disk, see its log; or save nothing: it need not",
)
CLOCK = warns("clock.redis", "Redis' clock and ours differ by more than a second", "run NTP on both machines")


def judge(facts: RedisFacts) -> Iterator[Finding]:
    """What there is to say of it."""
    if facts.failure:
        yield AWAY.found(f"does not answer: {facts.failure}")
        return
    version = tuple(int(one) for one in re.findall(r"\d+", facts.compatible)[:2])
    if version and version < LEAST:
        yield OLD.found(f"version {facts.compatible} is too old")
    if facts.eviction not in ("noeviction", ""):
        yield EVICTS.found(f"it may throw timers away when memory is short ({facts.eviction})")
    if facts.memory_max and facts.memory_used > MEMORY_SHARE_MAX * facts.memory_max:
        yield FULL.found(f"it uses {facts.memory_used / 1e6:.0f} MB of {facts.memory_max / 1e6:.0f}")
    if facts.is_saving_broken:
        yield SAVING_BROKEN.found("its last save failed, so it may refuse writes")
    if abs(facts.clock_ahead_s) > CLOCK_OFF_S:
        yield CLOCK.found(f"its clock is {facts.clock_ahead_s:+.1f} s off ours")
    kept = (
        "keeps its data"
        if facts.is_persistent
        else "keeps nothing on disk (timers are armed again from the journal)"
    )
    yield ok("redis", f"version {facts.version} answers; {kept}")


def check(system: SystemSettings, password: str) -> Iterator[Finding]:
    """Ask, and judge."""
    is_embedded = system.redis.mode == "embedded"
    socket = system.home / "redis" / "redis.sock"
    if is_embedded and not socket.exists():
        yield NOT_STARTED.found("the embedded Redis does not run now")
        return
    yield from judge(ask(f"unix://{socket}" if is_embedded else system.redis.url, password))


def ask(url: str, password: str = "") -> RedisFacts:
    """Ask the Redis at *url*. What it forbids us to ask stays empty."""
    import redis

    client = redis.Redis.from_url(
        url,
        password=password or None,
        socket_timeout=WAIT_S,
        socket_connect_timeout=WAIT_S,
        decode_responses=True,
    )
    try:
        client.ping()
        before = time.time()
        seconds, micros = client.time()
        ours = (before + time.time()) / 2
        info: dict[str, Any] = client.info()
        config = _allowed(client)
    except (redis.RedisError, OSError) as error:
        return RedisFacts(failure=str(error) or type(error).__name__)
    finally:
        client.close()
    return RedisFacts(
        version=str(info.get("valkey_version") or info.get("redis_version", "?")),
        compatible=str(info.get("redis_version", "")),
        eviction=config.get("maxmemory-policy") or str(info.get("maxmemory_policy", "")),
        is_persistent=bool(info.get("aof_enabled")) or bool(config.get("save")),
        is_saving_broken="err" in (info.get("rdb_last_bgsave_status"), info.get("aof_last_write_status")),
        clock_ahead_s=int(seconds) + int(micros) / 1e6 - ours,
        memory_used=int(info.get("used_memory", 0)),
        memory_max=int(info.get("maxmemory", 0)),
    )


def _allowed(client: Any) -> dict[str, str]:
    """The settings that we may read; many a managed Redis forbids CONFIG."""
    import redis

    try:
        return {**client.config_get("maxmemory-policy"), **client.config_get("save")}
    except redis.ResponseError:
        return {}
