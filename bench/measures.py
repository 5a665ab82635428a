"""The measures, each a small table of runs and a figure that has a goal."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import day as bench_day
from bench import failover as bench_failover
from bench import hopper as bench_hopper
from bench import imports
from bench import servers as bench_servers
from bench.halves import FAILED_MAX, Outcome
from bench.takeover import TakeoverWorld
from bench.world import World
from dialer.core.quantile import quantile

ROUNDS = 2
TALK_MS = 800
"""From the answer on. Longer than both tones that an operator hears in a call; whoever is not joined by then
hangs up, so that a rate which cannot be sustained shows as calls that are not bridged."""
STEP_WARM_S = 1.0
STEP_SHARE = 0.35
WARM_S = 2.0
RATES = (5.0, 20.0)
AGENTS_AT_A_RATE = 40
IMPORT_ROWS = 100_000
SECONDS = 10.0
AGENTS = 270

NOISE_MAX = 0.15
"""Runs with strangers at work on more than this share of the processors are no fair comparison."""

RATIO_GOAL = 0.8
WAIT_GOAL_MS = 50.0
CPU_GOAL_MS = 10.0
IMPORT_GOAL = 30_000.0
HOPPER_SIZES = (10_000, 1_000_000)
HOPPER_SIZE_LARGE = 5_000_000
HOPPER_GOAL_MS = 1.0
DAY_AGENTS, DAY_HOURS = 100, 8.0
DAY_GOAL_S = 10.0
TAKEOVER_CALLS = 200
TAKEOVER_ROUNDS = 3
MEMORY_SIZES = (10_000, 1_000_000)
MEMORY_AGENTS = 20
MEMORY_S = 15.0
MEMORY_GOAL_MB = 200.0
TAKEOVER_GOAL_S = 3.0


class Measure(msgspec.Struct, kw_only=True):
    """What was measured. *value* is held against *goal*; *rows*: the single runs, all with the same keys."""

    name: str
    title: str
    goal: str
    value: float
    unit: str
    is_met: bool
    rows: list[dict[str, Any]]
    notes: list[str] = []


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to measure. *seconds*: how long, roughly; single windows are a fixed part or a multiple of it."""

    seconds: float = SECONDS
    rounds: int = ROUNDS
    agents_max: int = AGENTS
    quick: bool = False
    seeds: int = 1
    days: int = 0
    first_day: int = 1
    minutes: float = 60.0
    large: bool = False
    record: bool = False
    with_tones: bool = True
    profile: str = ""


class Runs:
    """Runs in one world, each made once however many measures want it. *say* is told what goes on."""

    def __init__(self, world: World, settings: Settings, say: Callable[[str], None]) -> None:
        self._world = world
        self._settings = settings
        self._say = say
        self._at_rate: dict[tuple[str, float], Outcome] = {}
        self.full: list[Outcome] = []
        """At full rate, bare and engine in turns."""

    async def at_full_rate(self) -> list[Outcome]:
        """Bare and engine in turns, each with more and more operators; the best step of each run."""
        if self.full:
            return self.full
        settings = self._settings
        for number in range(1, settings.rounds + 1):
            for who in ("bare", "engine"):
                self._say(f"full rate, round {number} of {settings.rounds}: {who}")
                outcome = await self._world.run(
                    who,
                    agents=settings.agents_max,
                    window_s=STEP_SHARE * settings.seconds,
                    warm_s=STEP_WARM_S,
                    is_ramp=True,
                    profile=self._profile(f"full-{number}") if who == "engine" else "",
                    **self._options,
                )
                self.full.append(outcome)
        return self.full

    async def at_rate(self, who: str, rate: float) -> Outcome:
        """One run at *rate* calls a second."""
        if (who, rate) not in self._at_rate:
            factor = 3 if rate >= RATES[-1] and who == "engine" else 2
            self._say(f"{rate:g} calls a second: {who}")
            self._at_rate[who, rate] = await self._world.run(
                who,
                agents=min(AGENTS_AT_A_RATE, self._settings.agents_max),
                window_s=factor * self._settings.seconds,
                warm_s=WARM_S,
                rate=rate,
                profile=self._profile(f"at-{rate:g}") if who == "engine" else "",
                **self._options,
            )
        return self._at_rate[who, rate]

    def made(self) -> list[Outcome]:
        """All runs so far but the ramp."""
        return [*self.full, *self._at_rate.values()]

    @property
    def _options(self) -> dict[str, Any]:
        return {"record": self._settings.record, "with_tones": self._settings.with_tones}

    def _profile(self, name: str) -> str:
        return f"{self._settings.profile}.{name}.pstats" if self._settings.profile else ""


async def capacity(runs: Runs) -> Measure:
    """Calls a second through the whole engine, as a ratio to the bare client."""
    outcomes = await runs.at_full_rate()
    rates = {
        who: statistics.median(one.calls_per_s for one in outcomes if one.who == who)
        for who in ("bare", "engine")
    }
    ratio = rates["engine"] / rates["bare"]
    most = {who: max(one.calls_per_s for one in outcomes if one.who == who) for who in ("bare", "engine")}
    spent = {
        who: min(one.all_ms_per_call for one in outcomes if one.who == who) for who in ("bare", "engine")
    }
    notes = [
        (
            f"The ratio is that of the medians. Of the best runs it is {most['engine'] / most['bare']:.2f}; by the"
            f" processor time that all parts of a call take together, {spent['bare'] / spent['engine']:.2f}."
        )
    ]
    if any(is_limited_by_operators(one.steps) for one in outcomes):
        notes.append("The operators were the limit, not the machine: try more --agents.")
    if any(one.failed_share > FAILED_MAX for one in outcomes):
        notes.append(
            "In some run people were not joined in time at any step: too few processors, or too many strangers."
        )
    if any(one.strangers_share > NOISE_MAX for one in outcomes):
        notes.append("Strangers had much of the machine in some run: measure again when it is quiet.")
    notes += [
        f"{one.who}: {one.unfinished} calls without an end, {one.broken} requests without an answer."
        for one in outcomes
        if one.unfinished or one.broken
    ]
    return Measure(
        name="capacity",
        title="Calls a second through the whole engine, as a ratio to a bare client",
        goal=f">= {RATIO_GOAL:g}",
        value=round(ratio, 3),
        unit="",
        is_met=ratio >= RATIO_GOAL,
        rows=[
            {
                "who": one.who,
                "best at": one.agents,
                "calls/s": round(one.calls_per_s, 1),
                "not bridged %": round(100 * one.failed_share, 1),
                "requests/call": _per_call(one, one.window.requests, 2),
                "wait p50 ms": round(quantile(one.waits_ms, 0.5), 1),
                "wait p99 ms": round(quantile(one.waits_ms, 0.99), 1),
                "own CPU ms/call": round(one.cpu_ms_per_call, 2),
                "Asterisk ms/call": _per_call(one, 1000 * one.window.others_s.get("asterisk", 0.0), 2),
                "all CPU ms/call": round(one.all_ms_per_call, 2),
                "strangers %": round(100 * one.strangers_share),
                "by operators": " ".join(f"{operators}:{rate:.0f}" for operators, rate in one.steps.items()),
            }
            for one in outcomes
        ],
        notes=notes,
    )


async def latency(runs: Runs) -> Measure:
    """From the answer to the operator."""
    wanted = [("engine", rate) for rate in RATES] + [("bare", RATES[-1])]
    outcomes = [await runs.at_rate(who, rate) for who, rate in wanted]
    value = round(quantile(outcomes[len(RATES) - 1].waits_ms, 0.99), 1)
    return Measure(
        name="latency",
        title="From the answer (StasisStart received) to the operator (ChannelEnteredBridge received)",
        goal=f"p99 < {WAIT_GOAL_MS:g} ms at {RATES[-1]:g} calls/s",
        value=value,
        unit="ms",
        is_met=value < WAIT_GOAL_MS,
        rows=[
            {
                "who": one.who,
                "asked calls/s": one.rate,
                "calls/s": round(one.calls_per_s, 1),
                "calls": one.calls,
                "p50 ms": round(quantile(one.waits_ms, 0.5), 1),
                "p95 ms": round(quantile(one.waits_ms, 0.95), 1),
                "p99 ms": round(quantile(one.waits_ms, 0.99), 1),
                "most ms": round(quantile(one.waits_ms, 1), 1),
                "not bridged %": round(100 * one.failed_share, 1),
                "strangers %": round(100 * one.strangers_share),
            }
            for one in outcomes
        ],
    )


async def cost(runs: Runs) -> Measure:
    """What a call costs the engine."""
    await runs.at_rate("engine", RATES[-1])
    outcomes = [one for one in runs.made() if one.who == "engine"]
    value = max(one.cpu_ms_per_call for one in outcomes if one.rate in (None, RATES[-1]))
    return Measure(
        name="cost",
        title="What a call costs the engine (its own process)",
        goal=f"<= {CPU_GOAL_MS:g} ms of CPU a call at {RATES[-1]:g} calls/s and more",
        value=round(value, 2),
        unit="ms",
        is_met=value <= CPU_GOAL_MS,
        rows=[
            {
                "asked calls/s": "all" if one.rate is None else one.rate,
                "calls/s": round(one.calls_per_s, 1),
                "CPU ms/call": round(one.cpu_ms_per_call, 2),
                "core %": round(100 * one.window.cpu_s / one.window.at, 1),
                "frames/call": _per_call(one, one.window.frames, 1),
                "events/call": _per_call(one, one.window.events, 1),
                "requests/call": _per_call(one, one.window.requests, 1),
                "journal transactions/s": round(one.window.transactions / one.window.at, 1),
                "journal ms/transaction": round(
                    1000 * one.window.journal_s / max(1, one.window.transactions), 2
                ),
                "Valkey ms/call": _per_call(one, 1000 * one.window.others_s.get("redis", 0.0), 2),
                "strangers %": round(100 * one.strangers_share),
            }
            for one in outcomes
        ],
    )


async def importing(
    folder: Path, say: Callable[[str], None], rounds: int = ROUNDS, rows: int = IMPORT_ROWS
) -> Measure:
    """Rows of a list a second."""
    path = folder / "list.csv"
    await asyncio.to_thread(imports.write_list, path, rows)
    found = []
    for number in range(1, rounds + 1):
        say(f"import of {rows:,} rows, round {number} of {rounds}")
        found.append(await asyncio.to_thread(imports.import_list, path, folder / f"import-{number}.sqlite3"))
    value = statistics.median(rate for rate, _ in found)
    return Measure(
        name="import",
        title="Rows of a contact list imported a second",
        goal=f">= {IMPORT_GOAL:,.0f}",
        value=round(value),
        unit="rows/s",
        is_met=value >= IMPORT_GOAL,
        rows=[{"rows": rows, "rows/s": round(rate), **became} for rate, became in found],
    )


async def takeover(
    folder: Path,
    say: Callable[[str], None],
    calls: int = TAKEOVER_CALLS,
    rounds: int = TAKEOVER_ROUNDS,
) -> Measure:
    """From the start of an engine's process until it is in charge of the calls that were live."""
    say(f"{calls} conversations; the engine is killed and started {rounds} times")
    async with TakeoverWorld(folder / "t", calls=calls) as world:
        found = await world.measure(rounds)
    value = round(max(one.in_charge_s for one in found), 2)
    lost = sum(one.live[0] - one.live[1] for one in found)
    return Measure(
        name="takeover",
        title="From the start of the engine's process until it is in charge of the calls that were live",
        goal=f"< {TAKEOVER_GOAL_S:g} s with {TAKEOVER_CALLS} live calls, none lost",
        value=value,
        unit="s",
        is_met=value < TAKEOVER_GOAL_S and lost == 0,
        rows=[
            {
                "round": number,
                "live calls": one.live[0],
                "in charge after s": round(one.in_charge_s, 2),
                "adopted": one.adopted,
                "live afterwards": one.live[1],
            }
            for number, one in enumerate(found, 1)
        ],
    )


async def failover(folder: Path, say: Callable[[str], None]) -> Measure:
    """What the death of the carrier that has all calls costs."""
    found = []
    for number, how in enumerate(bench_failover.DEATHS):
        say(f"two carriers; one of them dies ({how})")
        found.append(await bench_failover.measure(folder / f"f{number}", how))
    return Measure(
        name="failover",
        title=f"A carrier dies at about {bench_failover.CALLS_PER_S:g} calls a second (OPTIONS every {bench_failover.OPTIONS_S} s)",
        goal="no call that never rang is lost, nobody is rung twice",
        value=float(sum(one.lost for one in found)),
        unit="calls lost",
        is_met=not any(one.lost or one.twice for one in found),
        rows=[
            {
                "who": one.how,
                "calls/s": one.calls_per_s,
                "went on": one.rerouted,
                "went on after s, median": one.went_on_s[0],
                "at most": one.went_on_s[1],
                "first ring after s": one.first_s,
                "lost": one.lost,
                "later": one.later,
                "rung twice": one.twice,
                "rang as it died": one.ringing,
                "talked as it died": one.cut,
            }
            for one in found
        ],
    )


async def servers(folder: Path, say: Callable[[str], None]) -> Measure:
    """Whether caps hold with two servers, and what the death of one costs."""
    say("two servers under load; one of them dies")
    held, death = await bench_servers.measure(folder / "servers")
    over = sum(one.most > one.allowed for one in held)
    return Measure(
        name="servers",
        title="Two Asterisks under one engine, with more people than their caps let be called",
        goal="no cap is passed by one call, every call of a dead server is closed, the other goes on",
        value=float(over),
        unit="caps passed",
        is_met=not over and not death.open and not death.cut and not death.twice,
        rows=[
            {
                "whose": one.whose,
                "calls": one.what,
                "allowed": one.allowed,
                "most": one.most,
                "used": one.used,
            }
            for one in held
        ],
        notes=[
            (
                f"One server was killed with {death.calls} calls: the last was closed after {death.closed_s:g} s,"
                f" and it placed calls again after {death.back_s:g} s. The other placed {death.others_per_s:g} a second meanwhile"
                f" (before: {death.others_before_per_s:g}), and none of its calls was cut."
            ),
            "A rate may be passed for a moment by what was not used of it in the last quarter of a second.",
        ],
    )


async def memory(folder: Path, say: Callable[[str], None]) -> Measure:
    """What the engine's process takes with few and with a million contacts."""
    found = []
    for contacts in MEMORY_SIZES:
        say(f"calling from a list of {contacts:,}")
        async with TakeoverWorld(folder / f"m{contacts}", calls=MEMORY_AGENTS, talk_ms=TALK_MS) as world:
            found.append(await world.measure_memory(contacts, MEMORY_S))
    value = round(found[-1].peak_mb, 1)
    return Measure(
        name="memory",
        title="Memory of the engine's process at the most, while it calls; killed and started once",
        goal=f"< {MEMORY_GOAL_MB:g} MB with {MEMORY_SIZES[-1]:,} contacts, and flat",
        value=value,
        unit="MB",
        is_met=value < MEMORY_GOAL_MB,
        rows=[
            {"contacts": one.contacts, "attempts": one.attempts, "peak MB": round(one.peak_mb, 1)}
            for one in found
        ],
    )


async def day(say: Callable[[str], None], rounds: int = ROUNDS) -> Measure:
    """Seconds of a simulated day, in the core and what is around it; the books of each are checked."""
    rows = []
    for number in range(1, rounds + 1):
        for kind in bench_day.KINDS:
            say(f"a day of {DAY_AGENTS} operators, {kind}, round {number} of {rounds}")
            rows.append(await asyncio.to_thread(bench_day.run, 1, DAY_AGENTS, DAY_HOURS, kind))
    value = max(min(row["seconds"] for row in rows if row["who"] == kind) for kind in bench_day.KINDS)
    return Measure(
        name="day",
        title=f"A simulated day: {DAY_HOURS:g} hours of {DAY_AGENTS} operators on the whole floor",
        goal=f"< {DAY_GOAL_S:g} s",
        value=value,
        unit="s",
        is_met=value < DAY_GOAL_S,
        rows=rows,
        notes=["The loop is the processor's own speed: where it varies, the machine was not quiet."],
    )


async def hopper(
    folder: Path, say: Callable[[str], None], sizes: Sequence[int] = HOPPER_SIZES, rounds: int = 2
) -> Measure:
    """Milliseconds until the next contact is there, with campaigns of several *sizes*, which take turns."""
    paths = {}
    for size in sizes:
        say(f"hopper: making a campaign of {size:,} contacts")
        paths[size] = folder / f"hopper-{size}.sqlite3"
        await asyncio.to_thread(bench_hopper.build, paths[size], size)
    rows = []
    for number in range(1, rounds + 1):
        for size, path in paths.items():
            say(f"hopper: {size:,} contacts, round {number} of {rounds}")
            # The last round saves the calls as well, so that the guard looks at each.
            found = await asyncio.to_thread(bench_hopper.run, path, with_calls=number == rounds)
            rows.append({"contacts": size, **found})
    mean = {
        size: statistics.mean(row["ms a contact"] for row in rows if row["contacts"] == size)
        for size in sizes
    }
    most, least = max(sizes), min(sizes)
    value = max(mean.values())
    return Measure(
        name="hopper",
        title="Milliseconds to the next contact, when nine of ten may not be dialed now",
        goal=f"< {HOPPER_GOAL_MS:g}",
        value=round(value, 3),
        unit="ms",
        is_met=value < HOPPER_GOAL_MS,
        rows=rows,
        notes=[f"{most:,} contacts cost {mean[most] / mean[least]:.2f} times as much as {least:,}."],
    )


def is_limited_by_operators(steps: dict[int, float]) -> bool:
    """Whether the last of *steps* (calls a second by operators) brought nearly as much as it had operators more."""
    if len(steps) < 2:
        return True
    (fewer, before), (more, after) = list(steps.items())[-2:]
    return after / more > 0.9 * before / fewer


def _per_call(one: Outcome, total: float, digits: int) -> float:
    return round(total / max(1, one.calls), digits)
