"""The measures of the pacer: what it makes of a day, and how long it takes to decide."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from bench import decide as bench_decide
from bench import pacing as bench_pacing
from bench.measures import Measure, Settings
from dialer.lab.simulator.worlds import SCENARIOS, drawn


async def decide(
    say: Callable[[str], None],
    sizes: Sequence[int] = bench_decide.SIZES,
    asked: int = bench_decide.ASKED,
) -> Measure:
    """Milliseconds of a decision of the pacer, on floors of several *sizes*."""
    rows = []
    for size in sizes:
        say(f"decisions for {size} operators")
        rows.append(await asyncio.to_thread(bench_decide.measure, size, asked))
    first = max(1e-9, rows[0]["decide mean ms"])
    rows = [{**row, "times the first": round(row["decide mean ms"] / first, 1)} for row in rows]
    goal_ms, operators = bench_decide.GOAL_MS, bench_decide.GOAL_OPERATORS
    value = max(row["decide mean ms"] for row in rows if row["operators"] <= operators)
    return Measure(
        name="decide",
        title="A decision of the pacer, asked after every event, with about four calls in flight for each operator",
        goal=f"< {goal_ms:g} ms on the average, up to {operators} operators",
        value=value,
        unit="ms",
        is_met=value < goal_ms,
        rows=rows,
    )


async def pacing(say: Callable[[str], None], settings: Settings) -> Measure:
    """Occupancy and abandonment of rules in the scenarios, or in drawn worlds."""
    limit_s = 60.0 * settings.minutes
    if settings.days:
        return await _drawn(say, settings, limit_s)
    rules = bench_pacing.QUICK_RULES if settings.quick else (*bench_pacing.RIVALS, *bench_pacing.OURS)
    worlds = (
        [SCENARIOS[place] for place in bench_pacing.QUICK_WORLDS] if settings.quick else bench_pacing.WORLDS
    )
    jobs = bench_pacing.table(worlds, rules, range(settings.seeds))
    played = await _play(jobs, limit_s, say)
    good, total = bench_pacing.met(played)
    return Measure(
        name="pacing",
        title=f"Pacing rules: {settings.seeds} day{'s'[: settings.seeds > 1]} of each scenario, the same people for all",
        goal=f"ours at or above its figure, and not above its target, in {total} of {total}",
        value=good,
        unit=f"of {total}",
        is_met=good == total,
        rows=bench_pacing.rows(played),
        notes=["ours: the hard cap is off; capped: as by default, the cap is the target itself."],
    )


async def _drawn(say: Callable[[str], None], settings: Settings, limit_s: float) -> Measure:
    seeds = range(settings.first_day, settings.first_day + settings.days)
    rules = bench_pacing.DRAWN_RULES
    jobs = [(drawn(seed), rule, seed) for seed in seeds for rule in rules]
    played = await _play(jobs, limit_s, say)
    rows = bench_pacing.held(played)
    ours = [row for row in rows if row["who"] == bench_pacing.OURS[0]]
    value = ours[0]["held"] if ours else 0
    total = ours[0]["days"] if ours else 0
    return Measure(
        name="pacing",
        title=f"Pacing rules in {settings.days} worlds drawn from a broad prior ({seeds[0]} to {seeds[-1]})",
        goal=f"3 % held in {total} of {total}",
        value=value,
        unit=f"of {total}",
        is_met=value == total,
        rows=rows,
        notes=["ours: the hard cap is off; capped: as by default, the cap is the target itself."],
    )


async def _play(
    jobs: Sequence[bench_pacing.Job], limit_s: float, say: Callable[[str], None]
) -> list[bench_pacing.Played]:
    """Play them all; whoever cancels us ends what goes on."""
    stopped = threading.Event()
    try:
        return await asyncio.to_thread(
            lambda: list(bench_pacing.days(jobs, limit_s=limit_s, say=say, is_stopped=stopped.is_set))
        )
    finally:
        stopped.set()
