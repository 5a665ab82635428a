"""What the doctor asks its neighbours: Redis, Asterisk, and the far ends of trunks.

Each question is one short exchange with bounded waits. An answer is a value; a neighbour that is
not there is a value too (its ``failure``), never an exception.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import time
from typing import Any

import msgspec

from dialer.pbx import errors
from dialer.pbx.client import AriClient
from dialer.store.files import SystemSettings

ARI_WAIT_S = 5.0
REDIS_WAIT_S = 3.0
OPTIONS_WAIT_S = 2.0
_OPTIONS_TRIES = 2
_NO_SUCH_BRIDGE = "obzvon-doctor-asks-and-there-is-none"


class RedisFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What Redis says of itself. *failure*: why it says nothing."""

    failure: str = ""
    version: str = ""
    eviction: str = ""
    is_persistent: bool = False
    is_saving_broken: bool = False
    clock_ahead_s: float = 0.0


def ask_redis(url: str, password: str = "") -> RedisFacts:
    """Ask the Redis at *url*. What it forbids us to ask stays empty."""
    import redis

    client = redis.Redis.from_url(
        url,
        password=password or None,
        socket_timeout=REDIS_WAIT_S,
        socket_connect_timeout=REDIS_WAIT_S,
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
        eviction=config.get("maxmemory-policy") or str(info.get("maxmemory_policy", "")),
        is_persistent=bool(info.get("aof_enabled")) or bool(config.get("save")),
        is_saving_broken="err" in (info.get("rdb_last_bgsave_status"), info.get("aof_last_write_status")),
        clock_ahead_s=int(seconds) + int(micros) / 1e6 - ours,
    )


def _allowed(client: Any) -> dict[str, str]:
    """The settings that we may read; many a managed Redis forbids CONFIG."""
    import redis

    try:
        return {**client.config_get("maxmemory-policy"), **client.config_get("save")}
    except redis.ResponseError:
        return {}


# -- Asterisk -----------------------------------------------------------------------------


class AsteriskFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What ARI says. *failure*: why it says nothing."""

    failure: str = ""
    is_unauthorized: bool = False
    version: str = ""
    is_read_only: bool = False
    has_app: bool = False

    @property
    def major(self) -> int:
        """The first number of the version; 0 where there is none (a development build)."""
        found = re.search(r"\d+", self.version)
        return int(found[0]) if found else 0


class _Ports(msgspec.Struct):
    http: int = 0


class _Note(msgspec.Struct):
    ports: _Ports = msgspec.field(default_factory=_Ports)


def ari_url(system: SystemSettings) -> str:
    """Where ARI should answer; empty when the embedded Asterisk does not run."""
    if system.asterisk.mode == "external":
        return system.asterisk.url
    note = system.home / "asterisk" / "run" / "obzvon.json"
    try:
        port = msgspec.json.decode(note.read_bytes(), type=_Note).ports.http
    except (OSError, msgspec.DecodeError):
        return ""
    return f"http://127.0.0.1:{port}/ari" if port else ""


def ask_asterisk(url: str, user: str, password: str, app: str = "obzvon") -> AsteriskFacts:
    """Ask the ARI at *url*, reading and (harmlessly) writing."""

    async def ask() -> AsteriskFacts:
        async with AriClient(url, user, password, app, connections=1, timeout_s=ARI_WAIT_S) as ari:
            info = await ari.request("GET", "/asterisk/info", params={"only": "system"})
            return AsteriskFacts(
                version=str(info.get("system", {}).get("version", "?")),
                is_read_only=await _is_read_only(ari),
                has_app=await _has_app(ari, app),
            )

    try:
        return asyncio.run(ask())
    except errors.Unauthorized:
        return AsteriskFacts(failure="unauthorized", is_unauthorized=True)
    except (errors.PbxError, ValueError) as error:
        return AsteriskFacts(failure=str(error))


async def _is_read_only(ari: AriClient) -> bool:
    """Whether our user may give no orders, found by removing a bridge that does not exist."""
    try:
        await ari.request("DELETE", f"/bridges/{_NO_SUCH_BRIDGE}")
    except errors.Unauthorized:
        return True
    except errors.NotFound:
        pass
    return False


async def _has_app(ari: AriClient, app: str) -> bool:
    try:
        await ari.request("GET", f"/applications/{app}")
    except errors.NotFound:
        return False
    return True


def ask_endpoints(url: str, user: str, password: str) -> dict[str, str]:
    """The state of each PJSIP endpoint by its name; nothing if ARI says nothing."""

    async def ask() -> Any:
        async with AriClient(url, user, password, connections=1, timeout_s=ARI_WAIT_S) as ari:
            return await ari.request("GET", "/endpoints/PJSIP")

    try:
        return {one["resource"]: one.get("state", "") for one in asyncio.run(ask())}
    except (errors.PbxError, ValueError):
        return {}


# -- a trunk's far end --------------------------------------------------------------------


class OptionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back on an OPTIONS request: a SIP status, such as 200 or 404, or a failure."""

    status: int = 0
    failure: str = ""


def send_options(
    host: str, port: int, transport: str = "udp", *, wait_s: float | None = None
) -> OptionsAnswer:
    """Ask by OPTIONS (RFC 3261, 11) whether anybody speaks SIP there. Any status means yes."""
    wait_s = OPTIONS_WAIT_S if wait_s is None else wait_s
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
        with socket.socket(family, kind) as line:
            line.settimeout(wait_s)
            line.connect(address)
            # UDP loses; once more is enough to tell a lost packet from a silent host.
            for _ in range(_OPTIONS_TRIES if transport == "udp" else 1):
                line.sendall(_options(host, port, transport, line.getsockname()))
                if status := _status(line):
                    return OptionsAnswer(status=status)
    except OSError as error:
        return OptionsAnswer(failure=error.strerror or str(error))
    return OptionsAnswer(failure=f"no SIP answer within {wait_s:g} s")


def _status(line: socket.socket) -> int:
    try:
        found = re.match(rb"SIP/2\.0 (\d{3}) ", line.recv(65536))
    except TimeoutError:
        return 0
    return int(found[1]) if found else 0


def _options(host: str, port: int, transport: str, ours: tuple[Any, ...]) -> bytes:
    here = f"[{ours[0]}]:{ours[1]}" if ":" in ours[0] else f"{ours[0]}:{ours[1]}"
    lines = (
        f"OPTIONS sip:{host}:{port} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {here};branch=z9hG4bK{secrets.token_hex(8)};rport",
        "Max-Forwards: 70",
        f"From: <sip:obzvon@{here}>;tag={secrets.token_hex(4)}",
        f"To: <sip:{host}:{port}>",
        f"Call-ID: {secrets.token_hex(8)}.{os.getpid()}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:obzvon@{here}>",
        "User-Agent: Obzvon doctor",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
