"""What every command has in common: the home folder, the format of a listing, and errors in one line.

1. This module is loaded with ``cli`` and so imports click only.
2. An error of the world (a bad file, no engine, a full disk) is a message on stderr and exit status 1.
   A fault of ours is a traceback. ``OBZVON_TRACEBACK=1`` shows the traceback always.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

HOME_ENV = "OBZVON_HOME"
_WORLD = ("dialer", "agi", "sqlite3", "redis", "aiohttp")
"""Packages whose exceptions tell of the world, not of a fault of ours."""


class Commands(click.Group):
    """A group of commands whose errors become one clear message."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            message = told(error)
            if message is None or os.environ.get("OBZVON_TRACEBACK"):
                raise
            raise click.ClickException(message) from error


def told(error: BaseException) -> str | None:
    """The message of an error of the world; None for a fault of ours (and a reader who went away)."""
    if isinstance(error, BaseExceptionGroup):
        messages = [told(inner) for inner in error.exceptions]
        known = [message for message in messages if message is not None]
        return "\n".join(dict.fromkeys(known)) if len(known) == len(messages) else None
    if isinstance(error, OSError):
        if error.errno == errno.EPIPE:
            return None
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror or error}"
    if type(error).__module__.split(".")[0] in _WORLD:
        return str(error) or type(error).__doc__ or type(error).__name__
    return None


class Matching(click.ParamType):  # type: ignore[type-arg]
    """A text that matches *pattern* as a whole; *allowed* says the same in words."""

    def __init__(self, name: str, pattern: str, allowed: str) -> None:
        self.name = name
        self._pattern = re.compile(pattern)
        self._allowed = allowed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not self._pattern.fullmatch(value):
            self.fail(f"{value!r} is not allowed; allowed: {self._allowed}", param, ctx)
        return value


class _Setting(click.ParamType):  # type: ignore[type-arg]
    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not equals or not key.strip():
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key.strip(), text.strip()


_RELATIVE = re.compile(r"([+-])([0-9]{1,6})([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")


class _Instant(click.ParamType):  # type: ignore[type-arg]
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, float):
            return value
        if (relative := _RELATIVE.fullmatch(value)) is not None:
            return time.time() + float(f"{relative[1]}1") * int(relative[2]) * _UNITS_S[relative[3]]
        today = f"{datetime.now().astimezone():%Y-%m-%d}"
        text = f"{today}T{value:0>5}" if _CLOCK.fullmatch(value) else value
        try:
            return datetime.fromisoformat(text).astimezone().timestamp()
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time; allowed: 2026-03-01, 2026-03-01T14:05 (with a zone or ours), 14:05 for today,"
                " +90m, +2h, -1d",
                param,
                ctx,
            )


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
NAME = Matching("name", r"[a-z0-9_-]{1,32}", "1 to 32 of a-z, 0-9, - and _")
PHONE = Matching("extension", r"[0-9]{2,10}", "2 to 10 digits")
ATTEMPT = Matching("attempt", r"a[0-9a-v]{20}", "an attempt's id: a and 20 of 0-9, a-v")
SETTING = _Setting()
INSTANT = _Instant()


def home_of(ctx: click.Context) -> Path:
    """The home folder that the command was told, else the present folder if it is one.

    Raises click.UsageError.
    """
    home: Path | None = ctx.find_root().params.get("home")
    if home is None and Path("obzvon.toml").is_file():
        home = Path()
    if home is None:
        raise click.UsageError(
            f"Which home folder? Give --home DIR, set {HOME_ENV}, or go into one. `dialer init DIR` makes one."
        )
    if not (home / "obzvon.toml").is_file():
        raise click.UsageError(
            f"{home} is no home folder: it has no obzvon.toml. `dialer init {home}` makes it."
        )
    return home.resolve()


def with_home(command: Command) -> Command:
    """Give the command the home folder as its first argument."""

    @click.pass_context
    def wrapped(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        return ctx.invoke(command, home_of(ctx), *args, **kwargs)

    wrapped.__doc__ = command.__doc__
    wrapped.__name__ = getattr(command, "__name__", "command")
    if hasattr(command, "__click_params__"):
        wrapped.__click_params__ = command.__click_params__  # type: ignore[attr-defined]
    return wrapped  # type: ignore[return-value]


def listing(command: Command) -> Command:
    """Add ``--format`` to a command that lists."""
    option = click.option(
        "--format",
        "as_format",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
        help="How to print the rows.",
    )
    return option(command)


def of_campaign(help_text: str) -> Callable[[Command], Command]:
    """Add ``--campaign`` with this help to a command."""
    return click.option("--campaign", type=NAME, help=help_text)


def of_days(command: Command) -> Command:
    """Add ``--campaign`` and ``--days`` to a report by campaign and day."""
    days = click.option(
        "--days",
        type=click.IntRange(1, 366),
        default=30,
        show_default=True,
        help="Of so many days (UTC), today among them.",
    )
    return of_campaign("Only of this campaign.")(days(command))


def since_until(command: Command) -> Command:
    """Add ``--since`` and ``--until`` to a command that reports."""
    until = click.option("--until", type=INSTANT, help="Only what began before this time.")
    since = click.option(
        "--since", type=INSTANT, help="Only what began at or after this time (2026-03-01T09:00)."
    )
    return since(until(command))


def chosen_attempts(command: Command) -> Command:
    """Add the options that choose attempts to a command that lists them."""
    for option in (
        click.option("--limit", type=click.IntRange(1), help="Only the latest so many."),
        since_until,
        click.option("--number", help="Only to this number, written in any way."),
        click.option("--operator-result", help="Only with this result of the operator's."),
        click.option("--result", help="Only with this result of the telephone's."),
        click.option(
            "--direction",
            type=click.Choice(["out", "in"]),
            help="Only calls that we made, or only calls to us.",
        ),
        click.option(
            "--contact", type=click.IntRange(1), help="Only to this person, by the number in listings."
        ),
        click.option("--agent", type=NAME, help="Only of this operator."),
        click.option("--campaign", type=NAME, help="Only of this campaign."),
    ):
        command = option(command)
    return command


def of_import(command: Command) -> Command:
    """Add the options of every import from a file."""
    for option in (
        click.option("--rejects", type=NEW_FILE, help="Where rejected rows go; a new file."),
        click.option("--dry-run", is_flag=True, help="Show what would be done, write nothing."),
        click.option(
            "--region",
            default="",
            help="Country of numbers without a country code; else that of the settings.",
        ),
        click.option("--delimiter", help="Between columns; else found out."),
        click.option("--encoding", help="Of the file; else found out."),
    ):
        command = option(command)
    return command


def commands_of(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands below *group* with the words that call them, groups before their members."""
    for name in sorted(group.commands):
        command = group.commands[name]
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands_of(command, (*path, name))
