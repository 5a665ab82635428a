"""A simulated day in a process of its own: how long it takes, and what the same processor does meanwhile.

The floor and what is around it are one thread of Python, so the processor's own speed is measured beside:
a fixed loop, before and after. Where that varies, the machine was not quiet.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from dialer.lab.simulator.books import check_books
from dialer.lab.simulator.plans import plan, simulate

LOOP = 2_000_000


def _loop_s() -> float:
    began = time.process_time()
    sum(number * number for number in range(LOOP))
    return time.process_time() - began


def play(seed: int, agents: int, hours: float) -> dict[str, Any]:
    """Play one day, check its books, and tell what it took."""
    made = plan(seed, agents=agents, hours=hours)
    before_s = _loop_s()
    began, began_cpu = time.perf_counter(), time.process_time()
    day = simulate(made)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    after_s = _loop_s()
    books = check_books(day.stories, day.calls)
    return {
        "operators": agents,
        "hours": hours,
        "seconds": round(wall_s, 2),
        "CPU s": round(cpu_s, 2),
        "attempts": books.attempts,
        "events": day.events,
        "events/s": round(day.events / wall_s),
        "μs an event": round(1e6 * cpu_s / day.events, 1),
        "loop ms before": round(1000 * before_s),
        "loop ms after": round(1000 * after_s),
    }


def run(seed: int, agents: int, hours: float) -> dict[str, Any]:
    """:func:`play` in a fresh process."""
    command = [sys.executable, "-m", "bench.day", str(seed), str(agents), str(hours)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(play(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
