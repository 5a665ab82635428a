"""The machine: its name, its clock, its voice, and how many files may be open."""

from __future__ import annotations

import ctypes
import ctypes.util
import resource
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dialer.office.doctor.facts import AsteriskFacts, MachineFacts, ProcessFacts
from dialer.office.doctor.findings import Finding, fails, ok, skipped, warns

NAME_SLOW_S = 1.0
NAME_WAIT_S = 5.0
TIME_ERROR = 5
"""Of ``ntp_adjtime``: the clock is not synchronized."""
CLOCK_OFF_S = 1.0
ENGINE_FILES = 1024
"""The engine has some sixty open, and one more for each recording that is made ready, each request to it, each import."""
ASTERISK_FILES = 256
FILES_PER_CALL = 20
"""Of Asterisk, for a bridged and recorded call with its operator's line: sockets, timers, alert pipes, and the recording.
14 were counted; the rest is for what comes and goes."""

NAME_SLOW = fails(
    "host_name.slow",
    "The machine's own name is found slowly or not in time: PJSIP looks it up, and calls stall for ten seconds",
    "add the line '127.0.1.1 NAME' to /etc/hosts",
)
NAME_UNKNOWN = warns(
    "host_name.unknown", "The machine's own name is not found", "add the line '127.0.1.1 NAME' to /etc/hosts"
)
UNSYNCHRONIZED = warns(
    "clock.unsynchronized",
    "The kernel's clock is not kept by NTP; calling hours, callbacks and caps hang on it",
    "run chrony or systemd-timesyncd",
)
ASTERISK_CLOCK = warns(
    "clock.asterisk", "Asterisk's clock and ours differ by more than a second", "run NTP on both machines"
)
NO_VOICE = warns(
    "voice.missing",
    "espeak-ng is not installed: texts of the last word and of announcements are not spoken",
    "apt-get install espeak-ng, or give recorded prompts in the campaign",
)
ENGINE_FILES_FEW = warns(
    "files_open.engine",
    "The engine may open few files",
    "raise LimitNOFILE of its service (ulimit -n) to 4096 or more",
)
ASTERISK_FILES_FEW = fails(
    "files_open.asterisk",
    "Asterisk may open fewer files than its calls need",
    "raise LimitNOFILE of its service, or maxfiles in asterisk.conf",
)


def judge(machine: MachineFacts) -> Iterator[Finding]:
    """What there is to say of the machine."""
    mend = f"add the line '127.0.1.1 {machine.name}' to /etc/hosts"
    if machine.name_took_s is None:
        yield NAME_SLOW.found(
            f"{machine.name} is not found within {NAME_WAIT_S:g} s: calls stall in PJSIP", mend
        )
    elif machine.name_failure:
        yield NAME_UNKNOWN.found(f"{machine.name} is not found: {machine.name_failure}", mend)
    elif machine.name_took_s > NAME_SLOW_S:
        yield NAME_SLOW.found(
            f"{machine.name} is found only after {machine.name_took_s:.1f} s: calls stall in PJSIP", mend
        )
    else:
        yield ok("host_name", f"{machine.name} is found at once")
    if machine.clock_state == TIME_ERROR:
        yield UNSYNCHRONIZED.found("the kernel's clock is not synchronized")
    elif machine.clock_state < 0:
        yield skipped("clock", "the kernel does not say whether its clock is synchronized")
    else:
        yield ok("clock", "the kernel's clock is synchronized")
    if machine.has_voice:
        yield ok("voice", "texts can be spoken")
    else:
        yield NO_VOICE.found("espeak-ng is not installed: texts are not spoken")
    limit = machine.engine.files_max if machine.engine is not None else machine.own_files_max
    if limit is not None and limit < ENGINE_FILES:
        whose = "the engine" if machine.engine is not None else "an engine started here"
        yield ENGINE_FILES_FEW.found(f"{whose} may open {limit} files")


def judge_asterisk(one: AsteriskFacts, calls: int) -> Iterator[Finding]:
    """Its clock and its files. *calls*: so many it is to carry at once."""
    if one.clock_ahead_s is not None and abs(one.clock_ahead_s) > CLOCK_OFF_S:
        yield ASTERISK_CLOCK.found(f"the clock of {one.name} is {one.clock_ahead_s:+.1f} s off ours")
    limits = [
        limit
        for limit in (one.files_max, one.process.files_max if one.process else None)
        if limit is not None and limit > 0
    ]
    wanted = ASTERISK_FILES + FILES_PER_CALL * calls
    if limits and min(limits) < wanted:
        yield ASTERISK_FILES_FEW.found(
            f"{one.name} may open {min(limits)} files; {calls} calls at once need about {wanted}"
        )


# -- asking -------------------------------------------------------------------------------------


def look(
    *, engine: int | None = None, look_up: Callable[[str, None], object] = socket.getaddrinfo
) -> MachineFacts:
    """See this machine. *engine*: the process of a running engine."""
    name = socket.gethostname()
    took_s, failure = find_name(name, look_up)
    return MachineFacts(
        name=name,
        name_took_s=took_s,
        name_failure=failure,
        clock_state=kernel_clock_state(),
        listening=listening(),
        has_voice=shutil.which("espeak-ng") is not None,
        engine=process(engine) if engine is not None else None,
        own_files_max=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def find_name(name: str, look_up: Callable[[str, None], object]) -> tuple[float | None, str]:
    """How long it takes to find *name*, None if longer than the patience; and why it is not found."""
    failure: list[OSError] = []

    def find() -> None:
        try:
            look_up(name, None)
        except OSError as error:
            failure.append(error)

    # A daemon: a look-up cannot be called off, and must not keep us from ending.
    thread = threading.Thread(target=find, daemon=True)
    began = time.monotonic()
    thread.start()
    thread.join(NAME_WAIT_S)
    took_s = time.monotonic() - began
    if thread.is_alive():
        return None, ""
    return took_s, (failure[0].strerror or str(failure[0])) if failure else ""


class _Timex(ctypes.Structure):
    """The kernel's ``struct timex``: only its size matters here, for nothing is set."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_byte * 508))


def kernel_clock_state() -> int:
    """What the kernel says of its clock (``ntp_adjtime``): 5 is "not synchronized", -1 "unknown"."""
    library = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
    call = getattr(library, "ntp_adjtime", None)
    return int(call(ctypes.byref(_Timex()))) if call is not None else -1


def process(pid: int, proc: Path = Path("/proc")) -> ProcessFacts | None:
    """The process *pid*; None: there is none, or nothing of it can be read."""
    try:
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
        limits = (proc / str(pid) / "limits").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    lines = {line.partition(":")[0]: line.partition(":")[2].split() for line in status.splitlines()}
    soft = next((line.split()[3] for line in limits.splitlines() if line.startswith("Max open files")), "")
    groups = {int(one) for one in (lines.get("Gid") or ["0", "0"])[1:2] + lines.get("Groups", [])}
    return ProcessFacts(
        pid=pid,
        uid=int((lines.get("Uid") or ["0", "0"])[1]),
        groups=tuple(sorted(groups)),
        files_max=int(soft) if soft.isdigit() else None,
    )


def listening(proc: Path = Path("/proc")) -> tuple[tuple[str, int], ...]:
    """Address and port of every TCP socket of this machine that takes connections."""
    found = set()
    for name, width in (("tcp", 4), ("tcp6", 16)):
        try:
            lines = (proc / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            if state == "0A":
                address, _, port = local.partition(":")
                found.add((_address(address, width), int(port, 16)))
    return tuple(sorted(found))


def _address(text: str, width: int) -> str:
    """The kernel writes words of four bytes, each in the machine's own order."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[place : place + 4][::-1] for place in range(0, width, 4))
    return socket.inet_ntop(socket.AF_INET if width == 4 else socket.AF_INET6, raw)
