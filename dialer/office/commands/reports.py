"""``dialer report`` and ``dialer recordings``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dialer.office.commandline import ATTEMPT, NAME, chosen_attempts, listing, since_until, with_home


@click.group()
def report() -> None:
    """What was tried, what came of it, and who did it."""


@report.command("attempts")
@chosen_attempts
@listing
@with_home
def report_attempts(home: Path, **chosen: Any) -> None:
    """Every attempt, oldest first. JSON and CSV have more columns than the table."""
    from dialer.office.answers import show_attempts

    show_attempts(home, **chosen)


@report.command("campaign", short_help="All campaigns, or one with its results.")
@click.argument("campaign", required=False, type=NAME)
@click.option(
    "--by",
    type=click.Choice(["campaign", "result", "operator_result", "hour"]),
    default="campaign",
    show_default=True,
    help="What each row is for.",
)
@since_until
@listing
@with_home
def report_campaign(home: Path, **chosen: Any) -> None:
    """All campaigns, or one with its results: leads, attempts, conversations, abandonment, orders."""
    from dialer.office.answers import show_campaigns

    show_campaigns(home, **chosen)


@report.command("agents")
@since_until
@listing
@with_home
def report_agents(home: Path, **chosen: Any) -> None:
    """The operators by rank: conversations, orders, times."""
    from dialer.office.answers import show_agents

    show_agents(home, **chosen)


@click.group()
def recordings() -> None:
    """Recordings of conversations."""


@recordings.command("list")
@click.option("--missing", is_flag=True, help="The answered calls that have no recording, and why.")
@click.option("--min-length", type=click.FloatRange(0), help="Only those of at least so many seconds.")
@chosen_attempts
@listing
@with_home
def recordings_list(home: Path, **chosen: Any) -> None:
    """Recordings, oldest first."""
    from dialer.office.answers import show_recordings

    show_recordings(home, **chosen)


@recordings.command("path")
@click.argument("attempt", type=ATTEMPT)
@with_home
def recordings_path(home: Path, attempt: str) -> None:
    """The file of one attempt's recording."""
    from dialer.core.ids import AttemptId
    from dialer.office.answers import recording_path

    click.echo(recording_path(home, AttemptId(attempt)))
