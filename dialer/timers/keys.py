"""Every key in Redis, by name. Nothing else in the program spells one.

The braces make Redis Cluster keep the keys of one engine on one server, as the script that pops
due timers needs.
"""

from __future__ import annotations


def due(name: str) -> str:
    """Sorted set: ``<kind>:<subject>`` scored by its due time in milliseconds since the epoch."""
    return f"{{{name}}}:timers:due"


def campaigns(name: str) -> str:
    """Hash: ``<kind>:<subject>`` to the campaign of that timer, where it has one."""
    return f"{{{name}}}:timers:campaigns"


def witness(name: str) -> str:
    """String: set by the running engine. If it is gone, so are the timers: Redis was wiped."""
    return f"{{{name}}}:timers:witness"
