"""How long state machines are played: shortly in ``./dev check``, the same examples at every run.

``OBZVON_EXAMPLES=5000`` explores as many others, and makes a failing one as small as it can.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

from tests.examples import IS_QUICK

MORE = int(os.environ.get("OBZVON_EXAMPLES", "0"))


def playing(examples: int, *, quick: int, steps: int) -> settings:
    """Settings of one machine: so many *examples* of so many *steps*; *quick*: in ``./dev check``."""
    return settings(
        max_examples=MORE or (quick if IS_QUICK else examples),
        stateful_step_count=steps,
        derandomize=not MORE,
        database=None,
        deadline=None,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink] if MORE else [Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
