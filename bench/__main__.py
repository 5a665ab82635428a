"""``python -m bench``: measure, print the tables, write the JSON."""

from __future__ import annotations

import asyncio
import pstats
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bench import apply as bench_apply
from bench import machine, measures, pacing_measures
from bench.live.__main__ import main as live
from bench.measures import Measure, Runs, Settings
from bench.world import BenchFailed, World
from dialer import __version__
from dialer.engine.ports import NoFreePort
from dialer.engine.process import EmbeddedError
from dialer.lab.errors import LabError

NAMES = (
    "capacity",
    "latency",
    "cost",
    "import",
    "takeover",
    "hopper",
    "day",
    "memory",
    "decide",
    "apply",
    "failover",
    "servers",
    "pacing",
)
LONG = ("pacing",)
"""Only if asked for by name."""
LIMIT_S = 900.0
PROFILE_LINES = 30


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures here."
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 60),
    default=measures.SECONDS,
    show_default=True,
    help="How long to measure; a run takes two or three times as long.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, 20),
    default=measures.ROUNDS,
    show_default=True,
    help="How often bare client and engine take turns at full rate, and a list is imported.",
)
@click.option(
    "--agents",
    type=click.IntRange(20, 500),
    default=measures.AGENTS,
    show_default=True,
    help="At most so many operators; how many can be served is found out.",
)
@click.option("--quick", is_flag=True, help="Pacing: few rules, three scenarios.")
@click.option(
    "--seeds", type=click.IntRange(1, 50), default=1, show_default=True, help="Pacing: days of each scenario."
)
@click.option(
    "--days",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    help="Pacing: so many worlds drawn from a broad prior, instead of the scenarios.",
)
@click.option(
    "--first-day", type=click.IntRange(0), default=1, show_default=True, help="Pacing: the first of these."
)
@click.option(
    "--minutes",
    type=click.FloatRange(1, 600),
    default=60,
    show_default=True,
    help="Pacing: when time is up the table is made of the days that were played.",
)
@click.option("--large", is_flag=True, help="The hopper also with 5 million contacts (3 GB on the disk).")
@click.option("--record", is_flag=True, help="Record all calls, in both halves.")
@click.option(
    "--bare-tones/--no-bare-tones",
    default=True,
    show_default=True,
    help="Whether the bare client, too, plays operators the tones that the engine plays them.",
)
@click.option("--profile", is_flag=True, help="Profile the engine (which slows it) and print its top costs.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Work in this new folder and leave it there. Else: a temporary one, removed at the end.",
)
def main(
    names: tuple[str, ...],
    json_file: Path | None,
    seconds: float,
    rounds: int,
    agents: int,
    quick: bool,
    seeds: int,
    days: int,
    first_day: int,
    minutes: float,
    large: bool,
    record: bool,
    bare_tones: bool,
    profile: bool,
    folder: Path | None,
) -> None:
    """Measure the engine on this machine: NAMES, or everything but pacing (about five minutes).

    The exit status is 0 when everything was measured, whatever the figures.
    """
    made = folder.resolve() if folder is not None else Path(tempfile.mkdtemp(prefix="obzvon-bench-"))
    if folder is not None:
        if made.exists():
            raise click.ClickException(f"{made} exists already; give a new folder")
        made.mkdir(mode=0o700, parents=True)
    settings = Settings(
        seconds=seconds,
        rounds=rounds,
        agents_max=agents,
        quick=quick,
        seeds=seeds,
        days=days,
        first_day=first_day,
        minutes=minutes,
        large=large,
        record=record,
        with_tones=bare_tones,
        profile=str(made / "profile") if profile else "",
    )
    try:
        report = asyncio.run(
            _bench(names or tuple(name for name in NAMES if name not in LONG), settings, made)
        )
        if json_file is not None:
            json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        _show(report)
        if profile:
            _show_profiles(made)
    except (asyncio.CancelledError, KeyboardInterrupt):
        click.echo("Stopped; everything is taken down.", err=True)
        sys.exit(130)
    except (BenchFailed, EmbeddedError, LabError, NoFreePort, TimeoutError) as error:
        raise click.ClickException(str(error) or f"not done within {LIMIT_S:g} s") from None
    finally:
        if folder is None:
            shutil.rmtree(made, ignore_errors=True)


async def _bench(names: tuple[str, ...], settings: Settings, folder: Path) -> dict[str, Any]:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    facts: dict[str, Any] = await asyncio.to_thread(machine.facts, folder)
    facts["load_before"] = machine.load()
    found: list[Measure] = []
    async with asyncio.timeout(LIMIT_S + (60.0 * settings.minutes if "pacing" in names else 0.0)):
        if set(names) & {"capacity", "latency", "cost"}:
            async with World(folder, agents=settings.agents_max, talk_ms=measures.TALK_MS) as world:
                runs = Runs(world, settings, _say)
                for name, measure in (
                    ("capacity", measures.capacity),
                    ("latency", measures.latency),
                    ("cost", measures.cost),
                ):
                    if name in names:
                        found.append(await measure(runs))
        if "import" in names:
            found.append(await measures.importing(folder, _say, settings.rounds))
        if "takeover" in names:
            found.append(await measures.takeover(folder, _say))
        if "memory" in names:
            found.append(await measures.memory(folder, _say))
        if "hopper" in names:
            sizes = measures.HOPPER_SIZES + ((measures.HOPPER_SIZE_LARGE,) if settings.large else ())
            found.append(await measures.hopper(folder, _say, sizes))
        if "day" in names:
            found.append(await measures.day(_say, settings.rounds))
        if "decide" in names:
            found.append(await pacing_measures.decide(_say))
        if "apply" in names:
            found.append(await bench_apply.apply(folder, _say))
        if "failover" in names:
            found.append(await measures.failover(folder, _say))
        if "servers" in names:
            found.append(await measures.servers(folder, _say))
        if "pacing" in names:
            found.append(await pacing_measures.pacing(_say, settings))
    facts["load_after"] = machine.load()
    return {
        "obzvon": __version__,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            "seconds": settings.seconds,
            "rounds": settings.rounds,
            "agents_max": settings.agents_max,
            "record": settings.record,
            "bare_tones": settings.with_tones,
            "profile": bool(settings.profile),
            "talk_ms": measures.TALK_MS,
        },
        "machine": facts,
        "measures": msgspec.to_builtins(found),
    }


def _say(text: str) -> None:
    click.echo(f"bench: {text}", err=True)


def _show(report: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 180)
    for measure in report["measures"]:
        table = Table(title=measure["title"], title_justify="left", title_style="bold")
        for column in measure["rows"][0]:
            table.add_column(column, justify="left" if column == "who" else "right")
        for row in measure["rows"]:
            table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
        console.print(table)
        verdict = "[green]met[/]" if measure["is_met"] else "[red]not met[/]"
        console.print(
            f"{measure['value']:,} {measure['unit']}".rstrip() + f" (goal {measure['goal']}): {verdict}"
        )
        for note in measure["notes"]:
            console.print(f"[yellow]{note}[/]")
        console.print()
    table = Table(title="The machine", title_justify="left", title_style="bold", show_header=False)
    for name, value in report["machine"].items():
        table.add_row(name, str(value))
    console.print(table)
    console.print(
        "Strangers: the share of all processors that went to programs which are no part of the bench."
    )


def _show_profiles(folder: Path) -> None:
    for path in sorted(folder.glob("profile.*.pstats")):
        click.echo(f"\n{path.name}")
        pstats.Stats(str(path)).sort_stats("tottime").print_stats(PROFILE_LINES)


if __name__ == "__main__":
    if sys.argv[1:2] == ["live"]:  # two runs of a quarter of an hour: not one of the measures above
        live(sys.argv[2:], prog_name="python -m bench live")
    else:
        main()
