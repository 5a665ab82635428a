"""Finds what is wrong with a home folder and its surroundings, and says the mend.

1. A check is a function that returns findings; it changes nothing that stays.
2. A check that breaks is itself a finding: nothing stops the others.
3. Every wait is bounded: a doctor that hangs helps nobody.
4. The worst finding is the exit status, for monitoring: 0 ok, 1 warning, 2 failure.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
import ctypes.util
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import msgspec

from dialer.core.values import Trunk
from dialer.office import probes, remote
from dialer.store import files, settings
from dialer.store.connect import open_reader
from dialer.store.files import SystemSettings

Status = Literal["ok", "warn", "fail"]
EXIT = {"ok": 0, "warn": 1, "fail": 2}

NAME_SLOW_S = 1.0
NAME_WAIT_S = 5.0
FREE_LOW_BYTES = 5_000_000_000
FREE_LEAST_BYTES = 500_000_000
RECORDING_BYTES_S = 32_000
"""Of one recording: 8000 samples a second, 16 bit, two channels."""
CLOCK_OFF_S = 1.0
ASTERISK_LEAST = 20


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at. *mend*: what to do about it, where something is to be done."""

    id: str
    status: Status
    finding: str
    mend: str = ""


def examine(home: Path) -> list[Finding]:
    """All checks, in an order in which a later one may hang on an earlier one's mend."""
    findings = list(_guarded("files", check_files, home))
    findings += _guarded("host_name", check_host_name)
    findings += _guarded("secrets", check_secrets, home)
    findings += _guarded("journal", check_journal, home)
    try:
        system = files.load_system(home)
    except files.BadFile:
        return findings  # said above; without settings there is nothing more to look at
    findings += _guarded("recordings", check_recordings, system.recordings_folder)
    findings += _guarded("clock", check_clock)
    findings += _guarded("redis", check_redis, system)
    findings += _guarded("asterisk", check_asterisk, system)
    findings += _guarded("trunks", check_trunks, system)
    findings += _guarded("engine", check_engine, home)
    return findings


def exit_status(findings: Sequence[Finding]) -> int:
    """0, 1 or 2 after the worst finding."""
    return max((EXIT[one.status] for one in findings), default=0)


def rows(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """The findings as rows of a listing."""
    return [msgspec.structs.asdict(one) for one in findings]


def _guarded(name: str, check: Callable[..., Iterator[Finding]], *args: Any) -> list[Finding]:
    try:
        return list(check(*args))
    except Exception as error:  # rule 2
        return [
            _fail(
                name,
                f"the check broke: {str(error) or type(error).__name__}",
                "mend this first, then ask again",
            )
        ]


def _ok(name: str, finding: str) -> Finding:
    return Finding(id=name, status="ok", finding=finding)


def _warn(name: str, finding: str, mend: str) -> Finding:
    return Finding(id=name, status="warn", finding=finding, mend=mend)


def _fail(name: str, finding: str, mend: str) -> Finding:
    return Finding(id=name, status="fail", finding=finding, mend=mend)


# -- the home folder ----------------------------------------------------------------------


def check_files(home: Path) -> Iterator[Finding]:
    """Every file that a person wrote can be used, and none names a trunk that no file describes."""
    try:
        files.load_system(home)
        trunks = files.load_trunks(home)
        campaigns = files.load_campaigns(home)
    except files.BadFile as error:
        for mistake in str(error).splitlines():
            yield _fail("files", mistake, "correct the file")
        return
    known = {trunk.id for trunk in trunks}
    for campaign in campaigns:
        if campaign.trunk not in known:
            yield _warn(
                "files",
                f"campaign {campaign.id} names the trunk {campaign.trunk}, which no file in trunks/ describes",
                "correct the campaign's trunk, or add the trunk's file",
            )
    yield _ok("files", f"settings, {len(trunks)} trunks and {len(campaigns)} campaigns are well written")


def check_secrets(home: Path) -> Iterator[Finding]:
    """The secrets can be read by us and by nobody else, and each trunk and phone has its own."""
    try:
        secrets = files.load_secrets(home)
    except files.BadFile as error:
        for mistake in str(error).splitlines():
            yield _fail("secrets", mistake, f"chmod 600 {home / files.SECRETS_FILE}, or correct it")
        return
    for trunk in files.load_trunks(home):
        if trunk.username and not secrets.trunk(trunk.id):
            yield _fail(
                "secrets",
                f"trunk {trunk.id} has a user name and no password",
                f"put it under [trunks] in {files.SECRETS_FILE}",
            )
    yield _ok("secrets", "only their owner can read them")


def check_journal(home: Path) -> Iterator[Finding]:
    """The journal opens, is in the form of this version, is whole, and every phone in it has a secret."""
    from dialer.store.migrations import NAMES

    path = home / "journal.sqlite3"
    if not path.exists():
        yield _fail("journal", f"there is no journal {path}", "dialer init makes it")
        return
    with closing(open_reader(path)) as connection:
        has_record = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
        ).fetchone()
        applied = (
            {row[0] for row in connection.execute("SELECT name FROM _sqlite_migrations")}
            if has_record
            else set()
        )
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        agents = settings.load_agents(connection) if applied >= set(NAMES) else []
    if damage != "ok":
        yield _fail("journal", f"it is damaged: {damage}", "stop the engine and restore the last backup")
    elif newer := sorted(applied - set(NAMES)):
        yield _fail("journal", f"a newer version wrote it ({', '.join(newer)})", "use that version")
    elif missing := sorted(set(NAMES) - applied):
        yield _warn(
            "journal", f"changes are pending: {', '.join(missing)}", "the next start of the engine makes them"
        )
    else:
        yield _ok("journal", f"opens, and is whole and current ({path.stat().st_size / 1e6:.1f} MB)")
    secrets = files.load_secrets(home) if agents else files.Secrets()
    for one in agents:
        if not secrets.phone(one.card.phone):
            yield _fail(
                "journal",
                f"the phone {one.card.phone} of {one.card.id} has no SIP password and cannot register",
                f"dialer agent add {one.card.id} --phone {one.card.phone} --leg {one.card.leg}",
            )


def check_recordings(folder: Path) -> Iterator[Finding]:
    """Recordings have a folder that can be written, with room."""
    mend = f"make the folder {folder} and give it to the user who runs Asterisk and the engine"
    if not folder.is_dir():
        yield _fail("recordings", f"there is no folder {folder}", mend)
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as scratch:
            scratch.write(b"obzvon")
    except OSError as error:
        yield _fail("recordings", f"{folder} cannot be written: {error.strerror}", mend)
        return
    free = shutil.disk_usage(folder).free
    finding = (
        f"{free / 1e9:.1f} GB free in {folder}, {free / RECORDING_BYTES_S / 3600:.0f} hours of conversation"
    )
    mend = "move old recordings away, or set recordings.folder to a larger disk"
    if free < FREE_LEAST_BYTES:
        yield _fail("recordings", finding, mend)
    elif free < FREE_LOW_BYTES:
        yield _warn("recordings", finding, mend)
    else:
        yield _ok("recordings", finding)


# -- the machine --------------------------------------------------------------------------


def check_host_name(
    name: str | None = None, look_up: Callable[[str, None], object] = socket.getaddrinfo
) -> Iterator[Finding]:
    """The machine's own name is found at once: PJSIP looks it up and lets every call wait."""
    name = name or socket.gethostname()
    mend = f"add the line '127.0.1.1 {name}' to /etc/hosts"
    failure: list[OSError] = []

    def look() -> None:
        try:
            look_up(name, None)
        except OSError as error:
            failure.append(error)

    # A daemon: a look-up cannot be called off, and must not keep us from ending.
    thread = threading.Thread(target=look, daemon=True)
    began = time.monotonic()
    thread.start()
    thread.join(NAME_WAIT_S)
    took = time.monotonic() - began
    if thread.is_alive():
        yield _fail("host_name", f"{name} is not found within {NAME_WAIT_S:g} s: calls stall in PJSIP", mend)
        return
    if failure:
        yield _warn("host_name", f"{name} is not found: {failure[0].strerror or failure[0]}", mend)
        return
    if took > NAME_SLOW_S:
        yield _fail("host_name", f"{name} is found only after {took:.1f} s: calls stall in PJSIP", mend)
    else:
        yield _ok("host_name", f"{name} is found at once")


class _Timex(ctypes.Structure):
    """The kernel's ``struct timex``: only its size matters here, for nothing is set."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 508))


_TIME_ERROR = 5


def kernel_clock_state() -> int:
    """What the kernel says of its clock (``ntp_adjtime``): 5 is "not synchronized", -1 "unknown"."""
    library = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
    call = getattr(library, "ntp_adjtime", None)
    return int(call(ctypes.byref(_Timex()))) if call is not None else -1


def check_clock(state: Callable[[], int] = kernel_clock_state) -> Iterator[Finding]:
    """The clock is kept by NTP: callbacks and calling hours hang on it."""
    found = state()
    if found == _TIME_ERROR:
        yield _warn("clock", "the kernel's clock is not synchronized", "run chrony or systemd-timesyncd")
    elif found < 0:
        yield _ok("clock", "the kernel does not say whether its clock is synchronized")
    else:
        yield _ok("clock", "the kernel's clock is synchronized")


# -- neighbours ---------------------------------------------------------------------------


def check_redis(system: SystemSettings) -> Iterator[Finding]:
    """Redis answers, evicts nothing, can save if it should, and agrees with us on the time."""
    is_embedded = system.redis.mode == "embedded"
    url = f"unix://{system.home / 'redis' / 'redis.sock'}" if is_embedded else system.redis.url
    if is_embedded and not (system.home / "redis" / "redis.sock").exists():
        yield _warn("redis", "the embedded Redis does not run now", "dialer up or dialer serve starts it")
        return
    mend = (
        "dialer up or dialer serve starts it"
        if is_embedded
        else "start Redis; check redis.url, and redis in secrets.toml"
    )
    facts = probes.ask_redis(url, files.load_secrets(system.home).redis)
    if facts.failure:
        yield _fail("redis", f"does not answer: {facts.failure}", mend)
        return
    if facts.eviction not in ("noeviction", ""):
        yield _warn(
            "redis",
            f"it may throw timers away when memory is short ({facts.eviction})",
            "set maxmemory-policy noeviction",
        )
    if facts.is_saving_broken:
        yield _fail("redis", "its last save failed, so it may refuse writes", "mend its disk, see its log")
    if abs(facts.clock_ahead_s) > CLOCK_OFF_S:
        yield _warn(
            "redis", f"its clock is {facts.clock_ahead_s:+.1f} s off ours", "run NTP on both machines"
        )
    kept = (
        "keeps its data"
        if facts.is_persistent
        else "keeps nothing on disk (timers are armed again from the journal)"
    )
    yield _ok("redis", f"version {facts.version} answers; {kept}")


def check_asterisk(system: SystemSettings) -> Iterator[Finding]:
    """ARI answers, knows us, lets us give orders, and is of a version that we know."""
    url = probes.ari_url(system)
    if not url:
        yield _warn(
            "asterisk", "the embedded Asterisk does not run now", "dialer up or dialer serve starts it"
        )
        return
    facts = probes.ask_asterisk(url, system.asterisk.user, files.load_secrets(system.home).ari)
    if facts.is_unauthorized:
        yield _fail(
            "asterisk",
            f"{url} refuses the user {system.asterisk.user}",
            "give ari.conf and secrets.toml the same user and password",
        )
        return
    if facts.failure:
        yield _fail(
            "asterisk",
            f"{url}: {facts.failure}",
            "start Asterisk; check http.conf, ari.conf and asterisk.url",
        )
        return
    if facts.major < ASTERISK_LEAST:
        yield _fail(
            "asterisk", f"version {facts.version} is too old", f"install Asterisk {ASTERISK_LEAST} or newer"
        )
    if facts.is_read_only:
        yield _fail(
            "asterisk", "our user may only read", f"set read_only = no for {system.asterisk.user} in ari.conf"
        )
    yield _ok("asterisk", f"version {facts.version} answers and takes orders")
    if facts.has_app:
        yield _ok("asterisk", "the application obzvon is connected")
    else:
        yield _warn(
            "asterisk", "the application obzvon is not connected", "dialer up or dialer serve connects it"
        )


def check_trunks(system: SystemSettings) -> Iterator[Finding]:
    """Each applied trunk is up: by Asterisk's own probe, else by one OPTIONS of ours."""
    with closing(open_reader(system.journal)) as connection:
        trunks = settings.load_trunks(connection)
    if not trunks:
        yield _warn("trunks", "no trunk is applied: nobody can be called", "dialer trunk apply")
        return
    url = probes.ari_url(system)
    states = (
        probes.ask_endpoints(url, system.asterisk.user, files.load_secrets(system.home).ari) if url else {}
    )
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        yield from pool.map(lambda trunk: _trunk(trunk, states.get(f"trunk-{trunk.id}", "")), trunks)


def _trunk(trunk: Trunk, state: str) -> Finding:
    name, where = f"trunk {trunk.id}", f"{trunk.host}:{trunk.port}/{trunk.transport}"
    if state == "online" and trunk.options_interval_s:
        return _ok("trunks", f"{name} is online, says Asterisk")
    answer = probes.send_options(trunk.host, trunk.port, trunk.transport)
    if answer.status:
        return _ok("trunks", f"{name} answers OPTIONS with {answer.status} ({where})")
    said = f", and Asterisk says {state}" if state else ""
    return _fail(
        "trunks",
        f"{name} does not answer OPTIONS ({where}): {answer.failure}{said}",
        "check host, port and firewall",
    )


def check_engine(home: Path) -> Iterator[Finding]:
    """The engine runs, keeps up and may place calls."""
    try:
        health = remote.health(home)
    except remote.EngineNotRunning:
        yield _warn("engine", "no engine runs", "dialer up or dialer serve starts it")
        return
    except remote.EngineError as error:
        yield _fail("engine", str(error), "see the engine's log; start it again")
        return
    for reason in health.get("why_not", []):
        yield _warn("engine", f"it places no calls: {reason}", "mend what is said, it goes on by itself")
    yield _ok("engine", f"runs, {health.get('live_calls', 0)} calls, lag {health.get('lag_ms', 0):g} ms")
