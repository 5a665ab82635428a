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

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.values import Campaign, Trunk
from dialer.lab.simulator.books import check_books
from dialer.lab.simulator.meter import measure
from dialer.lab.simulator.plan import Plan
from dialer.lab.simulator.plans import plan, simulate
from dialer.lab.simulator.rivals import Progressive
from dialer.lab.simulator.stage import Stage, operators
from dialer.lab.simulator.worlds import HOUR_S, World

LOOP = 2_000_000
KINDS = ("four campaigns", "progressive", "predictive")
"""Four progressive campaigns that share operators; or one, as ``dialer simulate`` plays it."""


def _loop_s() -> float:
    began = time.process_time()
    sum(number * number for number in range(LOOP))
    return time.process_time() - began


def _plan(kind: str, seed: int, agents: int, hours: float) -> Plan:
    if kind == KINDS[0]:
        return plan(seed, agents=agents, hours=hours)
    mode: Any = kind
    campaign = Campaign(id=CampaignId("spring"), trunk=TrunkId("carrier"), mode=mode)
    return Stage(
        campaign=campaign,
        trunk=Trunk(id=campaign.trunk, host="carrier", channels_max=5 * agents, calls_per_second_max=50.0),
        cards=operators((), agents, campaign.id),
        world=World(length_s=hours * HOUR_S),
        is_wrap_up_told=True,
    ).plan(seed)


def play(seed: int, agents: int, hours: float, kind: str) -> dict[str, Any]:
    """Play one day, check its books, and tell what it took."""
    made = _plan(kind, seed, agents, hours)
    before_s = _loop_s()
    began, began_cpu = time.perf_counter(), time.process_time()
    # A day without predictive campaigns needs no pacer that learns; `dialer simulate` plays it so, too.
    day = simulate(made, None if kind == KINDS[-1] else Progressive)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    after_s = _loop_s()
    books, figures = check_books(day.stories, day.calls), measure(day, 2.0)
    return {
        "who": kind,
        "operators": agents,
        "hours": hours,
        "seconds": round(wall_s, 2),
        "CPU s": round(cpu_s, 2),
        "occupancy": round(figures.occupancy, 3),
        "abandoned": round(figures.abandoned_share, 4),
        "attempts": books.attempts,
        "events": day.events,
        "events/s": round(day.events / wall_s),
        "μs an event": round(1e6 * cpu_s / day.events, 1),
        "loop ms before": round(1000 * before_s),
        "loop ms after": round(1000 * after_s),
    }


def run(seed: int, agents: int, hours: float, kind: str = KINDS[0]) -> dict[str, Any]:
    """:func:`play` in a fresh process."""
    command = [sys.executable, "-m", "bench.day", str(seed), str(agents), str(hours), kind]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(play(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])))
