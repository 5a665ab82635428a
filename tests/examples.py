"""How many examples a property is tried on: all of them in ``./dev test``, some of them in ``./dev check``."""

from __future__ import annotations

import os

IS_QUICK = os.environ.get("OBZVON_QUICK") == "1"


def examples(count: int) -> int:
    """*count*, or a twentieth of it where there is no time."""
    return max(10, count // 20) if IS_QUICK else count
