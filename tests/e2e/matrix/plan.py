"""Which cells run in ``./dev test``: each step and each fault at least once. All run in ``./dev matrix``."""

from __future__ import annotations

BOUNDED: dict[str, tuple[str, ...]] = {
    "engine-killed": ("sent", "lastword", "returned"),
    "redis-killed": ("ringing", "wrapup"),
    "redis-wiped": ("deserted",),
    "redis-restarted": ("rung",),
    "asterisk-restarted": ("saved", "connected"),
    "socket-cut": ("announcing", "joining"),
    "socket-stalled": ("reserved", "hungup"),
    "socket-closed": ("sent", "connected"),
    "end-lost": ("hungup",),
    "machine-slept": ("joining", "wrapup"),
    "engine-stopped": ("saved", "reserved"),
    "disk-full": ("connected", "lastword"),
    "disk-full-killed": ("rung", "unsaved"),
    "sigterm": ("answered", "machine"),
}
"""By fault: the steps at which it is struck."""
