"""Pacing rules compared: the days of :mod:`dialer.lab.simulator.worlds`, played by each rule in turn.

1. All rules meet the same people on the same seeds. Occupancy is the mean of the days; the share of abandoned calls is that
   of all their calls together.
2. *Ours* is measured twice: with the hard cap off (1.0), where the share alone rules, as in the figures it is held against; and
   with the cap as it is by default.
3. Days differ by a point or so whoever paces them (the answer rate drifts another way); the day of seed 0, which comes first, is one
   where progressive pacing reaches what the figures say of it.
4. ``--days`` draws worlds from a broad prior, which no rule was tuned on: what counts there is whether the promise was held.
5. It is bounded: when time is up the table is made of the days that were played.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.pool import AsyncResult
from typing import Any

import msgspec

from dialer.core.conduct import Abandonment, Pacing
from dialer.core.pacing.book import Book
from dialer.core.pacing.pacer import Pacer
from dialer.lab.simulator.quick import QuickDay
from dialer.lab.simulator.rivals import rival
from dialer.lab.simulator.score import Score, pooled, wilson
from dialer.lab.simulator.worlds import SCENARIOS, TRIALS, World, drawn

RIVALS = (
    "progressive",
    "ratio 2.0",
    "vicidial hard_limit",
    "vicidial average",
    "vicidial tapered",
    "omnileads",
)
OURS = ("ours 3 %", "ours 1 %", "ours 3 % capped", "ours 1 % capped")
QUICK_RULES = ("progressive", "ratio 2.0", "vicidial hard_limit", "ours 3 %", "ours 3 % capped")
QUICK_WORLDS = (0, 2, 5)
DRAWN_RULES = ("progressive", *OURS)
GOALS: dict[str, tuple[float, float]] = dict(
    zip(
        (one.name for one in SCENARIOS),
        (
            (73.9, 69.7),
            (80.4, 77.4),
            (86.7, 83.2),
            (92.2, 89.8),
            (94.9, 92.8),
            (86.7, 84.0),
            (85.7, 82.2),
            (86.5, 82.0),
            (84.2, 81.1),
        ),
    )
)
"""Occupancy in per cent that our rule is to reach at 3 % and at 1 %, with the cap off."""
WORLDS = (*SCENARIOS, *TRIALS)
PROCESSES = 2
LOOK_S = 0.2
TARGET_SLACK = 1e-9
Job = tuple[World, str, int]
"""A day to be played: the world, the rule's name, the seed."""


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One day as one rule paced it."""

    world: str
    rule: str
    seed: int
    score: Score
    seconds: float
    """Of the processor."""
    counted: tuple[int, int]
    """Answered and abandoned as the rule's ledger has them."""


def contender(name: str) -> tuple[Callable[[], Book], Pacing | None]:
    """A rule by its name, and the promises that it is given, if it is ours. Raises ValueError: there is none."""
    words = name.split()
    if words[0] != "ours":
        return lambda: rival(name), None
    share = float(words[1]) / 100.0
    cap = None if "capped" in words else 1.0
    return Pacer, Pacing(abandonment=Abandonment(share=share, cap=cap))


def target(name: str) -> float | None:
    """The share that the rule is told not to exceed; None: it is told none."""
    if name.startswith("ours"):
        return float(name.split()[1]) / 100.0
    return 0.03 if name.startswith(("vicidial", "omnileads")) else None


def play(job: Job) -> Played:
    """One day."""
    world, name, seed = job
    make, rules = contender(name)
    if rules is not None:
        world = msgspec.structs.replace(world, rules=rules)
    rule = make()
    began = time.process_time()
    score = QuickDay(world, rule, seed).play()
    counted = [ledger.totals(world.begins_at + world.length_s) for ledger in rule.ledgers.values()]
    return Played(
        world=world.name,
        rule=name,
        seed=seed,
        score=score,
        seconds=round(time.process_time() - began, 2),
        counted=(sum(one[0] for one in counted), sum(one[1] for one in counted)),
    )


def days(
    jobs: Iterable[Job],
    *,
    limit_s: float,
    say: Callable[[str], None],
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Played]:
    """Play *jobs*, several at once, for *limit_s* at most: no new day is begun after that, and none ends
    that goes on when *is_stopped*."""
    until = time.monotonic() + limit_s
    waiting = list(jobs)
    total, done = len(waiting), 0
    waiting.reverse()
    with multiprocessing.get_context("spawn").Pool(PROCESSES, _ignore_interrupts) as pool:
        running: list[AsyncResult[Played]] = []
        while waiting or running:
            while waiting and len(running) < PROCESSES and time.monotonic() < until:
                running.append(pool.apply_async(play, (waiting.pop(),)))
            if is_stopped():
                return
            if not running:
                say(f"time is up: {done} of {total} days were played")
                return
            running[0].wait(LOOK_S)
            for one in [result for result in running if result.ready()]:
                running.remove(one)
                done += 1
                played = one.get()
                say(f"{done} of {total}: {tell(played)}")
                yield played


def _ignore_interrupts() -> None:
    """Whoever started us is interrupted as well, and ends us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def tell(one: Played) -> str:
    """A day in a line."""
    score = one.score
    return (
        f"{one.world}, seed {one.seed}, {one.rule}: {100 * score.occupancy:.1f} % / {100 * score.share:.2f} % "
        f"({score.abandoned} of {score.answered:,}), {one.seconds:.1f} s"
    )


def rows(played: Sequence[Played]) -> list[dict[str, Any]]:
    """A row for each scenario and rule."""
    found = []
    for (world, rule), some in _grouped(played).items():
        scores = [one.score for one in some]
        sums = pooled(scores)
        low, high = wilson(int(sums["abandoned"]), int(sums["answered"]))
        count = len(scores)
        found.append(
            {
                "who": f"{world}: {rule}",
                "days": count,
                "occupancy %": round(100 * sums["occupancy"], 1),
                "abandoned %": round(100 * sums["share"], 2),
                "95 %": f"{100 * low:.2f}-{100 * high:.2f}",
                "worst day %": round(100 * max(one.worst_share for one in scores), 2),
                "abandoned": int(sums["abandoned"]),
                "answered": int(sums["answered"]),
                "talk min/h": round(sum(one.talk_min_per_hour for one in scores) / count, 1),
                "idle s": round(sum(one.idle_s[0] for one in scores) / count, 1),
                "idle p90 s": round(sum(one.idle_s[1] for one in scores) / count, 1),
                "lines": max(one.lines[0] for one in scores),
                "wait p99 s": round(max(one.wait_s[1] for one in scores), 2),
                "CPU s": round(sum(one.seconds for one in some) / count, 1),
            }
        )
    return found


def _grouped(played: Iterable[Played]) -> dict[tuple[str, str], list[Played]]:
    found: dict[tuple[str, str], list[Played]] = {}
    for one in played:
        found.setdefault((one.world, one.rule), []).append(one)
    places = {world.name: place for place, world in enumerate((*SCENARIOS, *TRIALS))}
    order = {name: place for place, name in enumerate((*RIVALS, *OURS))}
    return dict(
        sorted(
            found.items(), key=lambda item: (places.get(item[0][0], 99), order.get(item[0][1], 99), item[0])
        )
    )


def met(played: Sequence[Played]) -> tuple[int, int]:
    """In how many scenarios ours reached its occupancy without exceeding its target, and of how many."""
    good = total = 0
    for (world, rule), some in _grouped(played).items():
        if rule not in OURS[:2] or world not in GOALS:
            continue
        sums = pooled(one.score for one in some)
        goal = GOALS[world][OURS.index(rule)]
        total += 1
        good += round(100 * sums["occupancy"], 1) >= goal and sums["share"] <= (target(rule) or 1.0)
    return good, total


def held(played: Sequence[Played]) -> list[dict[str, Any]]:
    """A row for each rule over drawn days."""
    by_rule: dict[str, list[Played]] = {}
    for one in played:
        by_rule.setdefault(one.rule, []).append(one)
    found = []
    for rule, some in by_rule.items():
        most = target(rule)
        shares = [one.score.share for one in some]
        worst = max(some, key=lambda one: one.score.worst_share)
        broken = [one for one in some if most is not None and one.score.worst_share > most + TARGET_SLACK]
        found.append(
            {
                "who": rule,
                "days": len(some),
                "held": len(some) - len(broken),
                "occupancy %": round(100 * sum(one.score.occupancy for one in some) / len(some), 1),
                "mean share %": round(100 * sum(shares) / len(shares), 2),
                "worst %": round(100 * worst.score.worst_share, 2),
                "worst day": f"{worst.world} ({worst.score.abandoned} of {worst.score.answered:,})",
                "broken": ", ".join(one.world for one in broken) or "-",
            }
        )
    return found


def matrix(played: Sequence[Played], rules: Sequence[str]) -> str:
    """Scenario by rule, in Markdown: occupancy / share (abandoned of answered)."""
    groups = _grouped(played)
    lines = ["| operators, day | " + " | ".join(rules) + " |", "|---|" + "---|" * len(rules)]
    for world in dict.fromkeys(name for name, _ in groups):
        cells = []
        for rule in rules:
            some = groups.get((world, rule))
            if not some:
                cells.append("")
                continue
            sums = pooled(one.score for one in some)
            share = f"{100 * sums['share']:.2f} %" if sums["abandoned"] else "0"
            counts = f" ({sums['abandoned']:.0f} of {sums['answered']:.0f})" if sums["abandoned"] else ""
            cells.append(f"{100 * sums['occupancy']:.1f} / {share}{counts}")
        lines.append(f"| {world} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table(worlds: Sequence[World], rules: Sequence[str], seeds: Iterable[int]) -> list[Job]:
    """What is to be played: a seed of everything before the next seed, so that a day less is missed everywhere."""
    return [(world, rule, seed) for seed in seeds for world in worlds for rule in rules]


def main() -> None:
    """For tuning: ``python -m bench.pacing --worlds 0,2 --rules 'ours 3 %,progressive' --seeds 2``."""
    parser = argparse.ArgumentParser(prog="python -m bench.pacing", description=__doc__)
    parser.add_argument("--worlds", default="", help="numbers of scenarios and trials, from 0; none: all")
    parser.add_argument("--rules", default="", help=f"of: {', '.join((*RIVALS, *OURS))}; none: all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed, or drawn world")
    parser.add_argument("--days", type=int, default=0, help="draw so many worlds, instead of the scenarios")
    parser.add_argument("--limit-s", type=float, default=3600.0)
    parser.add_argument("--json", action="store_true", help="every day as a line of JSON")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    names = [one.strip() for one in options.rules.split(",") if one.strip()]
    numbers = [int(one) for one in options.worlds.split(",") if one.strip()] or range(len(WORLDS))
    seeds = range(options.first, options.first + (options.days or options.seeds))
    if options.days:
        jobs = [(drawn(seed), rule, seed) for seed in seeds for rule in names or DRAWN_RULES]
    else:
        jobs = table([WORLDS[number] for number in numbers], names or [*RIVALS, *OURS], seeds)
    played = list(
        days(
            jobs, limit_s=options.limit_s, say=(lambda _: None) if options.quiet else lambda text: print(text)
        )
    )
    if options.json:
        for one in played:
            print(msgspec.json.encode(one).decode())
    elif options.days:
        for row in held(played):
            print(json.dumps(row, ensure_ascii=False))
    else:
        print(matrix(played, names or [*RIVALS, *OURS]))


if __name__ == "__main__":
    main()
