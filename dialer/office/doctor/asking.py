"""Asking the neighbours: Asterisk by ARI, its files and process where it runs here, and the far ends of trunks.

Each question is short, and waited for no longer than :data:`WAIT_S`; a neighbour that is not there is a value. Nothing is changed:
the two requests that would write name a bridge that does not exist.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from dialer.core.values import Trunk
from dialer.office.asterisks import Link, links
from dialer.office.doctor import certificates, sip
from dialer.office.doctor.conffile import sections
from dialer.office.doctor.facts import AsteriskFacts, FarEnd, ProcessFacts
from dialer.office.doctor.machine import process
from dialer.office.doctor.security import ANYBODY, is_this_machine
from dialer.pbx import errors
from dialer.pbx.client import AriClient
from dialer.pbx.requests import SOUNDS
from dialer.pbx.taken import Registration, registration_of
from dialer.pbx.trunks import endpoint_of, transport_of
from dialer.store.files import Secrets, SystemSettings

WAIT_S = 5.0
APP = "obzvon"
FILES = ("ari.conf", "asterisk.conf", "http.conf", "manager.conf", "rtp.conf")
PHONES_ASKED_MAX = 200
"""Of so many phones the settings are looked at; they are all made from one template."""
_NO_SUCH_BRIDGE = "obzvon-doctor-asks-and-there-is-none"
_SYSTEM_FOLDER = Path("/etc/asterisk")
_PID_FILES = (Path("/var/run/asterisk/asterisk.pid"), Path("/run/asterisk/asterisk.pid"))


def asterisks(
    system: SystemSettings, secrets: Secrets, trunks: Sequence[Trunk], phones: Sequence[str]
) -> list[AsteriskFacts]:
    """Every server, all asked at the same time."""

    async def ask() -> list[AsteriskFacts]:
        found = links(system, secrets)
        return list(await asyncio.gather(*(_one(link, system, secrets, trunks, phones) for link in found)))

    return asyncio.run(ask())


async def _one(
    link: Link, system: SystemSettings, secrets: Secrets, trunks: Sequence[Trunk], phones: Sequence[str]
) -> AsteriskFacts:
    if not link.url:
        return AsteriskFacts(server=link.server, name=link.name, is_embedded=True, is_running=False)
    is_here = link.is_embedded or is_this_machine(urlsplit(link.url).hostname)
    folder, config = _config(link, system) if is_here else ("", {})
    base: dict[str, Any] = {
        "server": link.server,
        "name": link.name,
        "url": link.url,
        "user": link.user,
        "is_embedded": link.is_embedded,
        "is_here": is_here,
        "config": config,
        "config_folder": folder,
        "process": _process(link) if is_here else None,
    }
    try:
        async with AriClient(link.url, link.user, link.secret, APP, connections=8, timeout_s=WAIT_S) as ari:
            told = await _ask(ari, [trunk for trunk in trunks if link.serves(trunk)], phones)
        return AsteriskFacts(**base, **told, monitor_writes=await _monitor_writes(link, secrets))
    except errors.Unauthorized:
        return AsteriskFacts(**base, failure="unauthorized", is_unauthorized=True)
    except (errors.PbxError, ValueError) as error:
        return AsteriskFacts(**base, failure=str(error))


async def _ask(ari: AriClient, trunks: Sequence[Trunk], phones: Sequence[str]) -> dict[str, Any]:
    info = await ari.request("GET", "/asterisk/info")
    version = str(info.get("system", {}).get("version", "?"))
    major = re.search(r"\d+", version)
    is_read_only, has_app, ahead_s, modules, states, can_record = await asyncio.gather(
        _may_not_write(ari),
        _has(ari, f"/applications/{APP}"),
        _ahead_s(ari),
        _or(ari, "/asterisk/modules", []),
        _or(ari, "/endpoints/PJSIP", []),
        _can_record(ari),
    )
    files_max = info.get("config", {}).get("max_open_files")
    found = {str(one["resource"]): str(one.get("state", "")) for one in states}
    objects = await _objects(ari, trunks, phones)
    # Of a thousand phones only some are asked for one by one.
    endpoints = {name for kind, name in objects if kind == "endpoint"} | set(
        phones[PHONES_ASKED_MAX:]
    ) & found.keys()
    return {
        "version": version,
        "major": int(major[0]) if major else 0,
        "is_read_only": is_read_only,
        "has_app": has_app,
        "clock_ahead_s": ahead_s,
        "files_max": int(files_max) if files_max is not None else None,
        "modules": frozenset(str(one["name"]) for one in modules if one.get("status") == "Running"),
        "states": found,
        "can_record": can_record,
        "dialplan": await _variable(ari, "OBZVON_DIALPLAN"),
        "python": await _variable(ari, "OBZVON_PYTHON"),
        "sounds_missing": await _sounds_missing(ari),
        "objects": objects,
        "endpoints": frozenset(endpoints),
        "registrations": await _registrations(ari, trunks),
    }


# -- one question each ----------------------------------------------------------------------------


async def _or(ari: AriClient, path: str, otherwise: Any) -> Any:
    """The answer; *otherwise* where this Asterisk lacks the question."""
    try:
        return await ari.request("GET", path, repeatable=True)
    except errors.PbxRefused as refusal:
        if isinstance(refusal, errors.Unauthorized):
            raise
        return otherwise


async def _has(ari: AriClient, path: str) -> bool:
    try:
        await ari.request("GET", path, repeatable=True)
    except errors.NotFound:
        return False
    return True


async def _may_not_write(ari: AriClient) -> bool:
    """Whether the user may give no orders, found by removing a bridge that does not exist."""
    try:
        await ari.request("DELETE", f"/bridges/{_NO_SUCH_BRIDGE}")
    except errors.Unauthorized:
        return True
    except errors.NotFound:
        pass
    return False


async def _monitor_writes(link: Link, secrets: Secrets) -> bool | None:
    if not secrets.ari_monitor:
        return None
    name = f"{link.user}-monitor"
    async with AriClient(link.url, name, secrets.ari_monitor, APP, connections=1, timeout_s=WAIT_S) as ari:
        try:
            await ari.request("GET", "/asterisk/ping")
        except errors.PbxError:
            return None  # it is not installed there
        return not await _may_not_write(ari)


async def _ahead_s(ari: AriClient) -> float | None:
    """How far Asterisk's clock is ahead of ours."""
    before = time.time()
    answer = await _or(ari, "/asterisk/ping", {})
    ours = (before + time.time()) / 2
    try:
        theirs = datetime.strptime(str(answer.get("timestamp", "")), "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    except ValueError:
        return None
    return theirs - ours


async def _can_record(ari: AriClient) -> bool:
    """Whether ARI has its folder: without it a list of recordings is refused like a recording."""
    try:
        await ari.request("GET", "/recordings/stored", repeatable=True)
    except errors.ServerFault:
        return False
    except errors.PbxRefused:
        pass
    return True


async def _variable(ari: AriClient, name: str) -> str:
    answer = await _or(ari, f"/asterisk/variable?variable={name}", {})
    return str(answer.get("value", ""))


async def _sounds_missing(ari: AriClient) -> tuple[str, ...]:
    """Of the sounds that operators hear. Nothing, where Asterisk keeps no list of its sounds."""
    if not await _has(ari, "/asterisk/modules/res_ari_sounds.so"):
        return ()
    wanted = sorted({media.removeprefix("sound:") for media in SOUNDS.values()})
    there = await asyncio.gather(*(_has(ari, f"/sounds/{quote(one, safe='')}") for one in wanted))
    return tuple(name for name, is_there in zip(wanted, there, strict=True) if not is_there)


async def _objects(
    ari: AriClient, trunks: Sequence[Trunk], phones: Sequence[str]
) -> dict[tuple[str, str], dict[str, str]]:
    """PJSIP's settings in force: of transports, trunks and phones."""
    names = {("transport", name) for name in ("transport-udp", "transport-tcp", "transport-tls")}
    names |= {("transport", transport_of(trunk)) for trunk in trunks}
    names |= {("endpoint", endpoint_of(trunk.id)) for trunk in trunks} | {("endpoint", ANYBODY)}
    names |= {("endpoint", phone) for phone in phones[:PHONES_ASKED_MAX]}
    found = await _settings(ari, sorted(names))
    others = {
        ("transport", values.get("transport", ""))
        for (kind, _), values in found.items()
        if kind == "endpoint"
    }
    return found | await _settings(ari, sorted(one for one in others - names if one[1]))


async def _settings(
    ari: AriClient, names: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, str]]:
    async def one(kind: str, name: str) -> Any:
        return await _or(ari, f"/asterisk/config/dynamic/res_pjsip/{kind}/{quote(name, safe='')}", None)

    wanted = list(names)
    answers = await asyncio.gather(*(one(kind, name) for kind, name in wanted))
    return {
        key: {str(pair["attribute"]): str(pair["value"]) for pair in answer}
        for key, answer in zip(wanted, answers, strict=True)
        if answer is not None
    }


async def _registrations(ari: AriClient, trunks: Sequence[Trunk]) -> dict[str, Registration]:
    wanted = [trunk for trunk in trunks if trunk.register]
    if not wanted:
        return {}
    held = await _settings(ari, [("registration", endpoint_of(trunk.id)) for trunk in wanted])
    try:
        page = await ari.metrics()
    except errors.PbxError:
        return {}
    clients = {
        trunk.id: held.get(("registration", endpoint_of(trunk.id)), {}).get("client_uri") for trunk in wanted
    }
    return {
        trunk: registration_of(page, client) if client else "unknown" for trunk, client in clients.items()
    }


# -- where it runs here -----------------------------------------------------------------------------


def _config(link: Link, system: SystemSettings) -> tuple[str, Mapping[str, str]]:
    """The folder of its configuration, and what can be read of it."""
    own = link.folder / "etc"
    given = Path(system.asterisk.config_folder) if system.asterisk.config_folder else None
    folder = own if (own / "asterisk.conf").exists() else given or _SYSTEM_FOLDER
    found = {}
    for name in (*FILES, "obzvon/extensions.conf"):
        try:
            found[name] = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return str(folder), found


def _process(link: Link) -> ProcessFacts | None:
    text = _text(link.folder / "etc" / "asterisk.conf")
    run = sections(text).get("directories", {}).get("astrundir", "")
    own = [Path(run) / "asterisk.pid"] if run else []
    for file in own if link.is_embedded else (*own, *_PID_FILES):
        pid = _text(file).strip()
        if pid.isdigit() and (found := process(int(pid))) is not None:
            return found
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


# -- the far ends of trunks ---------------------------------------------------------------------------


def far_ends(trunks: Sequence[Trunk], online: Iterable[str] = ()) -> dict[str, list[FarEnd]]:
    """Each host of each trunk, looked at side by side. *online*: trunks of whom Asterisk says so; they are not asked again."""
    known = set(online)
    wanted = [(trunk, host) for trunk in trunks for host in (trunk.host, *trunk.hosts)]
    found: dict[str, list[FarEnd]] = {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        seen = pool.map(lambda one: _far_end(one[0], one[1], is_asked=one[0].id not in known), wanted)
        for (trunk, _), far in zip(wanted, seen, strict=True):
            found.setdefault(trunk.id, []).append(far)
    return found


def _far_end(trunk: Trunk, where: str, *, is_asked: bool) -> FarEnd:
    host, _, given = where.rpartition(":") if where.count(":") == 1 else (where, "", "")
    host, port = (host, int(given)) if given.isdigit() else (where, trunk.port)
    kind = socket.SOCK_DGRAM if trunk.transport == "udp" else socket.SOCK_STREAM
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    except OSError as error:
        return FarEnd(host=host, failure=error.strerror or str(error))
    answer = sip.send_options(host, port, trunk.transport) if is_asked and trunk.transport != "tls" else None
    certificate: float | None = None
    if trunk.transport == "tls":
        try:
            certificate = certificates.shown_by(host, port, sip.WAIT_S)
        except (OSError, ValueError) as error:
            answer = sip.OptionsAnswer(failure=str(error))
    return FarEnd(
        host=host,
        address=str(address[0]),
        leaves_from=_leaves_from(family, address),
        status=answer.status if answer is not None else None,
        failure=answer.failure if answer is not None else "",
        certificate_ends_at=certificate,
    )


def _leaves_from(family: int, address: Any) -> str:
    """Our address on the way there. Nothing is sent for that."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as line:
            line.connect(address)
            return str(line.getsockname()[0])
    except OSError:
        return ""
