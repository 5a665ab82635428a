"""``dialer report`` and ``dialer recordings``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dialer.office.commandline import ATTEMPT, NAME, chosen_attempts, listing, of_days, since_until, with_home


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


@report.command("machines", short_help="Answering machines: how many were told, and by how much listening.")
@of_days
@listing
@with_home
def report_machines(home: Path, **chosen: Any) -> None:
    """By campaign and day, where it is listened who answered: calls that were answered, how many by a machine, how many
    machines were given to operators all the same (their result "machine"), and how long it was listened.
    """
    from dialer.office.machines import show_machines

    show_machines(home, **chosen)


@report.command("abandonment", short_help="Answered calls that met no operator in time, for an inspector.")
@of_days
@click.option(
    "--calls", "is_calls", is_flag=True, help="Every abandoned call: when, whom, how long, and why."
)
@click.option(
    "--recount", "is_recount", is_flag=True, help="Compare the count that is kept with the calls themselves."
)
@click.option(
    "--mistaken",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Of those told to be machines, the share that were people, as heard in a sample: for Ofcom's figure.",
)
@listing
@with_home
def report_abandonment(home: Path, is_calls: bool, is_recount: bool, mistaken: float, **chosen: Any) -> None:
    """By campaign and day: calls answered by a person, how many were abandoned, what was promised, and whether it was kept.

    Where machines are told from people there is a second figure, by Ofcom's formula; what is promised is the first.
    With --recount the exit status is 1 if the count that is kept differs from the calls.
    """
    from dialer.office import abandonment

    if is_calls and is_recount:
        raise click.UsageError("--calls and --recount cannot be asked for at once.")
    if is_recount:
        if not abandonment.show_recount(home, **chosen):
            raise click.exceptions.Exit(1)
    elif is_calls:
        abandonment.show_calls(home, **chosen)
    else:
        abandonment.show_days(home, mistaken=mistaken, **chosen)


@click.group()
def recordings() -> None:
    """Recordings of conversations."""


@recordings.command("list")
@click.option("--missing", is_flag=True, help="The answered calls that have no recording, and why.")
@click.option("--min-length", type=click.FloatRange(0), help="Only those of at least so many seconds.")
@click.option(
    "--sample", type=click.IntRange(1), help="Only so many of them, chosen by chance from all the time."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Another sample of the same recordings.",
)
@click.option("--voicemail", is_flag=True, help="Only the messages that callers left.")
@chosen_attempts
@listing
@with_home
def recordings_list(home: Path, *, voicemail: bool, **chosen: Any) -> None:
    """Recordings, oldest first. A message that a caller left stands at the end of the recording of their call.

    A sample is spread over the time as the calls are; the same options give the same sample.
    """
    from dialer.office.answers import show_recordings

    if chosen["sample"] is not None and chosen["limit"] is not None:
        raise click.UsageError("--sample and --limit cannot be asked for at once.")
    show_recordings(home, **chosen, choice="voicemail" if voicemail else None)


@recordings.command("path")
@click.argument("attempt", type=ATTEMPT)
@with_home
def recordings_path(home: Path, attempt: str) -> None:
    """The file of one attempt's recording."""
    from dialer.core.ids import AttemptId
    from dialer.office.answers import recording_path

    click.echo(recording_path(home, AttemptId(attempt)))
