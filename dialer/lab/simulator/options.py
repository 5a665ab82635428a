"""What ``dialer simulate`` may be told. Loaded with the command line, so nothing but click is imported."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

TROUBLES = ("jumps", "blocks", "drift", "shifts", "breaks", "pauses", "slow-carrier")
FAULTS = ("doubled", "lossy", "slow", "socket", "engine", "journal", "trunk", "refusing", "lying")
_UNITS_S = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}


class _Period(click.ParamType):  # type: ignore[type-arg]
    name = "period"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,3})([hdw])", value)
        if found is None:
            self.fail(f"{value!r} is no period; allowed: 12h, 7d, 4w and the like", param, ctx)
        return float(found[1]) * _UNITS_S[found[2]]


class _Drawing(click.Path):
    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(value, param, ctx)))
        if path.suffix.lower() not in (".png", ".svg"):
            self.fail(f"{str(value)!r} is no picture's name; allowed: FILE.svg, FILE.png", param, ctx)
        return path


SECONDS = click.FloatRange(0.1, 36_000)

_OPTIONS = (
    click.option(
        "--agents", type=click.IntRange(1, 1000), help="So many operators; else those who work for it."
    ),
    click.option(
        "--hours",
        type=click.FloatRange(0.05, 24),
        default=8.0,
        show_default=True,
        help="How long the day is.",
    ),
    click.option(
        "--begin",
        type=click.IntRange(0, 23),
        default=9,
        show_default=True,
        help="The hour at which it begins.",
    ),
    click.option(
        "--days",
        type=click.IntRange(1, 100),
        default=1,
        show_default=True,
        help="So many days, for the noise.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**31),
        default=1,
        show_default=True,
        help="Of the first day; the others have those that follow.",
    ),
    click.option(
        "--contacts", type=click.IntRange(1, 5_000_000), help="So many people to call; else enough."
    ),
    click.option(
        "--from", "since", type=_Period(), help="People and operators as in the journal since: 7d, 12h, 4w."
    ),
    click.option(
        "--answer-rate", type=click.FloatRange(0.01, 0.95), help="The share of calls that are answered."
    ),
    click.option("--talk", type=SECONDS, help="Seconds of a conversation, on the average."),
    click.option(
        "--wrap-up", type=SECONDS, help="Seconds after it, on the average; else as the campaign says."
    ),
    click.option("--ring", type=SECONDS, help="Seconds of ringing until the answer, on the average."),
    click.option("--setup", type=SECONDS, help="Seconds until the phone rings, on the average."),
    click.option("--lines", type=click.IntRange(1, 10_000), help="So many lines; else the trunk's."),
    click.option(
        "--mode",
        type=click.Choice(["progressive", "predictive"]),
        help="How calls are placed; else as the campaign says.",
    ),
    click.option(
        "--share",
        type=click.FloatRange(0.001, 0.5),
        help="The promised share of abandoned calls; else the campaign's.",
    ),
    click.option(
        "--with", "troubles", type=click.Choice(TROUBLES), multiple=True, help="A harder day; repeatable."
    ),
    click.option(
        "--fault",
        "faults",
        type=click.Choice(FAULTS),
        multiple=True,
        help="What breaks, twice a day; repeatable.",
    ),
    click.option("--compare", is_flag=True, help="Beside it, other pacing rules on the same days."),
    click.option(
        "--more/--no-more",
        "is_more",
        default=True,
        show_default=True,
        help="What one operator and one line more would change.",
    ),
    click.option(
        "--draw", type=_Drawing(dir_okay=False), help="Draw the first day into FILE.svg or FILE.png."
    ),
    click.option(
        "--jobs", type=click.IntRange(1, 64), help="Days played at a time; else one for each processor."
    ),
)


def simulation(command: Command) -> Command:
    """Add the options of a simulation to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
