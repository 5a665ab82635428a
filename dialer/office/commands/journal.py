"""``dialer journal``."""

from __future__ import annotations

from pathlib import Path

import click

from dialer.office.commandline import INSTANT, with_home


@click.group(short_help="What the engine was told, and what it decided.")
def journal() -> None:
    """The journal: what the engine was told, what it decided, and what stands."""


@journal.command("replay", short_help="Play the events again, and compare.")
@click.option("--since", type=INSTANT, help="Begin with the last start of an engine before this time.")
@click.option("--until", type=INSTANT, help="End here; what the tables hold now is not compared then.")
@click.option("--all", "is_all", is_flag=True, help="Begin with the oldest start that is kept.")
@with_home
def journal_replay(home: Path, since: float | None, until: float | None, is_all: bool) -> None:
    """Play the events again and compare: orders and final states are the same, or what differs first.

    Without options, from the last start of the engine on. Exit status: 0 the same, 1 not.
    """
    from dialer.office.replay import replay_home

    if since is not None and is_all:
        raise click.UsageError("Either --since or --all.")
    click.echo(replay_home(home, since=since, until=until, is_all=is_all))
