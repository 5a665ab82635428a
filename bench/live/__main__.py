"""``python -m bench.live``: both runs, the table, the JSON."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.live.centre import Centre, LiveFailed, Plan
from bench.live.count import Figures, Met, figures, mean
from dialer import __version__
from dialer.core.quantile import quantile
from dialer.engine.ports import NoFreePort
from dialer.engine.process import EmbeddedError
from dialer.lab.crowd import Manners, crowd
from dialer.lab.errors import LabError
from dialer.office.remote import EngineError

SEED = 4
MINUTES = 15.0
OPERATORS = 20
BESIDES_S = 240.0
"""What a run takes beside the day itself: the start, the last conversations, the listening."""


@click.command()
@click.option(
    "--minutes", type=click.FloatRange(0.5, 240), default=MINUTES, show_default=True, help="Of each run."
)
@click.option("--operators", type=click.IntRange(1, 100), default=OPERATORS, show_default=True)
@click.option("--seed", type=int, default=SEED, show_default=True, help="Of the people.")
@click.option(
    "--answer-share", type=click.FloatRange(0.01, 1), default=Manners().answer_share, show_default=True
)
@click.option(
    "--share",
    type=click.FloatRange(0, 0.5),
    default=0.03,
    show_default=True,
    help="Abandonment that is promised.",
)
@click.option(
    "--cap",
    type=click.FloatRange(0, 1),
    default=None,
    help="No call ahead could lift the share above this (1: off). Else: both, off and the default.",
)
@click.option("--only", multiple=True, help="Only the run of this name (may be given again).")
@click.option("--together", is_flag=True, help="All runs side by side instead of one after the other.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here."
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Work in this new folder and leave it there. Else: a temporary one, removed at the end.",
)
def main(
    minutes: float,
    operators: int,
    seed: int,
    answer_share: float,
    share: float,
    cap: float | None,
    only: tuple[str, ...],
    together: bool,
    json_file: Path | None,
    folder: Path | None,
) -> None:
    """The same laboratory day on a real Asterisk, progressive and predictive.

    A run takes its minutes and two more; by default there are three of them, one after the other. The exit status is
    0 when everything was measured, whatever the figures.
    """
    plans = _plans(operators, minutes, share, cap)
    if unknown := set(only) - {plan.name for plan in plans}:
        raise click.ClickException(
            f"no run is called {', '.join(sorted(unknown))}: {', '.join(p.name for p in plans)}"
        )
    made = folder.resolve() if folder is not None else Path(tempfile.mkdtemp(prefix="obzvon-live-"))
    if folder is not None:
        if made.exists():
            raise click.ClickException(f"{made} exists already; give a new folder")
        made.mkdir(mode=0o700, parents=True)
    manners = Manners(answer_share=answer_share)
    try:
        chosen = [plan for plan in plans if not only or plan.name in only]
        report = asyncio.run(_all(chosen, seed, manners, together, made))
    except (asyncio.CancelledError, KeyboardInterrupt):
        click.echo("Stopped; everything is taken down.", err=True)
        sys.exit(130)
    except (LiveFailed, LabError, EmbeddedError, EngineError, NoFreePort, TimeoutError) as error:
        raise click.ClickException(str(error) or "not done in time") from None
    finally:
        if folder is None:
            shutil.rmtree(made, ignore_errors=True)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    show(report)


def _plans(operators: int, minutes: float, share: float, cap: float | None) -> list[Plan]:
    def plan(name: str, is_predictive: bool, cap: float | None) -> Plan:
        return Plan(
            name=name,
            is_predictive=is_predictive,
            operators=operators,
            seconds=60 * minutes,
            share=share,
            cap=cap,
        )

    if cap is not None:
        return [plan("progressive", False, None), plan("predictive", True, cap)]
    return [
        plan("progressive", False, None),
        plan("predictive", True, 1.0),
        plan("capped", True, None),
    ]


async def _all(
    plans: Sequence[Plan], seed: int, manners: Manners, together: bool, folder: Path
) -> dict[str, Any]:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    facts: dict[str, Any] = await asyncio.to_thread(machine.facts, folder)
    facts["load_before"] = machine.load()
    found: list[Figures] = []
    if together:
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(_run(plan, seed, manners, folder, _say)) for plan in plans]
        found = [run.result() for run in runs]
    else:
        for plan in plans:
            found.append(await _run(plan, seed, manners, folder, _say))
    facts["load_after"] = machine.load()
    return {
        "obzvon": __version__,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": seed,
        "are_together": together,
        "manners": msgspec.to_builtins(manners),
        "plans": msgspec.to_builtins(plans),
        "machine": facts,
        "runs": found,
    }


async def _run(plan: Plan, seed: int, manners: Manners, folder: Path, say: Callable[[str], None]) -> Figures:
    # More than operators who never rest could talk to.
    people = crowd(seed, 400 + int(plan.operators * plan.seconds / 15 / manners.answer_share), manners)
    centre = Centre(folder / plan.name, plan, people, say)
    async with asyncio.timeout(plan.seconds + BESIDES_S + 60):
        took = await centre.run()
        say(f"{plan.name}: listening to the recordings")
        return await asyncio.to_thread(
            figures, plan.name, took, centre.journal, centre.recordings, centre.calls
        )


def _say(text: str) -> None:
    click.echo(f"bench: {text}", err=True)


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    runs: list[Figures] = report["runs"]
    console = Console(width=None if sys.stdout.isatty() else 140)
    first = runs[0]
    table = Table(
        title=f"{first.operators} operators, {first.seconds / 60:.3g} minutes, the same people (seed {report['seed']})",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("")
    for run in runs:
        table.add_column(run.name, justify="right")
    for title, cell in _ROWS:
        table.add_row(title, *(cell(run) for run in runs))
    console.print(table)
    for run in runs:
        for difference in run.differences:
            console.print(f"[red]{run.name}: {difference}[/]")
    console.print(
        "The laboratory counts by itself: its network's calls, and when an operator is first heard by the person."
    )


def _met(met: Met) -> str:
    return f"{met.abandoned} of {met.answered} ({100 * met.share:.2f} %)"


def _waits(met: Met) -> str:
    return f"{quantile(met.waits_ms, 0.5):.0f} / {quantile(met.waits_ms, 0.99):.0f}"


_ROWS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("occupancy, %", lambda run: f"{100 * run.occupancy:.1f}"),
    (
        "  second half",
        lambda run: f"{100 * mean(run.occupancy_by_minute[len(run.occupancy_by_minute) // 2 :]):.1f}",
    ),
    ("idle between calls, s: mean", lambda run: f"{mean(run.idle_s):.1f}"),
    ("  median / p90", lambda run: f"{quantile(run.idle_s, 0.5):.1f} / {quantile(run.idle_s, 0.9):.1f}"),
    ("calls placed / connected", lambda run: f"{run.attempts} / {run.connects}"),
    ("calls ahead of operators, most", lambda run: str(run.ahead_max)),
    ("abandoned, by the journal", lambda run: _met(run.journal)),
    ("abandoned, by the laboratory", lambda run: _met(run.laboratory)),
    ("answer to operator, ms: p50 / p99, journal", lambda run: _waits(run.journal)),
    ("  as heard by the person", lambda run: _waits(run.laboratory)),
    ("connected after 2 s and not counted", lambda run: str(run.journal.late + run.laboratory.late)),
    (
        "processor, %: engine / Asterisk",
        lambda run: " / ".join(f"{100 * run.cpu_s[one] / run.seconds:.1f}" for one in ("engine", "asterisk")),
    ),
    (
        "engine, ms of processor a call",
        lambda run: f"{1000 * run.cpu_s['engine'] / max(1, run.attempts):.1f}",
    ),
)


if __name__ == "__main__":
    main()
