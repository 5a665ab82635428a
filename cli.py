"""The ``dialer`` command line: parse, call one function, print.

Every command imports what it needs when it is called, so that ``dialer --help`` is instant. Errors
become messages in :mod:`dialer.office.commandline`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dialer import __version__
from dialer.office.commandline import (
    ATTEMPT,
    HOME_ENV,
    NAME,
    PHONE,
    SETTING,
    Commands,
    chosen_attempts,
    listing,
    since_until,
    with_home,
)

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--home", type=FOLDER, envvar=HOME_ENV, help=f"The home folder; else {HOME_ENV}, else the present one."
)
@click.version_option(__version__, prog_name="dialer")
def main(home: Path | None) -> None:
    """Obzvon: an outbound call centre on Asterisk."""


# -- the home folder and the engine -------------------------------------------------------


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--region", default="RU", show_default=True, help="Country of numbers without a country code.")
@click.option("--language", default="en", show_default=True, help="Of prompts and pages: en, ru or zh.")
@click.option(
    "--sip-port",
    type=click.IntRange(0, 65535),
    default=5060,
    show_default=True,
    help="Where phones find the embedded Asterisk; 0: a free one at each start.",
)
def init(folder: Path, **settings: Any) -> None:
    """Make a home folder: settings, secrets, an example trunk and campaign. Overwrites nothing."""
    from dialer.office.setup import describe, make_home

    click.echo(describe(make_home(folder, **settings)))


@main.command()
@with_home
def up(home: Path) -> None:
    """Run the engine with an Asterisk and a Redis of its own, until Ctrl-C."""
    from dialer.engine import main as engine

    engine.up(home)


@main.command()
@with_home
def serve(home: Path) -> None:
    """Run the engine against an Asterisk and a Redis that run already."""
    from dialer.engine import main as engine

    engine.serve(home)


@main.command()
@listing
@with_home
@click.pass_context
def doctor(ctx: click.Context, home: Path, as_format: str) -> None:
    """Find what is wrong and say the mend. Exit status: 0 well, 1 warnings, 2 failures."""
    from dialer.office.doctor import examine, exit_status, rows
    from dialer.office.tables import show

    findings = examine(home)
    show(rows(findings), as_format)
    ctx.exit(exit_status(findings))


@main.command()
@click.option("--once", is_flag=True, help="Print one picture and end.")
@click.option(
    "--svg", type=click.Path(dir_okay=False, path_type=Path), help="Write one picture to this file and end."
)
@click.option("--width", type=click.IntRange(60, 400), help="Columns of the picture; else the terminal's.")
@with_home
def watch(home: Path, once: bool, svg: Path | None, width: int | None) -> None:
    """The live board: operators, calls, results, timers, rates. Ctrl-C ends it."""
    from dialer.office.watch import watch as show_board

    show_board(home, once=once, svg=svg, width=width)


# -- trunks -------------------------------------------------------------------------------


@main.group()
def trunk() -> None:
    """SIP trunks."""


@trunk.command("apply")
@click.argument("files", nargs=-1, type=FILE)
@with_home
def trunk_apply(home: Path, files: tuple[Path, ...]) -> None:
    """Put trunks into force; without FILES all in the home folder's trunks/."""
    from dialer.office.orders import apply_trunks

    click.echo(apply_trunks(home, files))


@trunk.command("list")
@listing
@with_home
def trunk_list(home: Path, as_format: str) -> None:
    """The trunks in force."""
    from dialer.office.orders import list_rows
    from dialer.office.tables import show

    show(list_rows(home, "trunks"), as_format)


# -- contacts -----------------------------------------------------------------------------


@main.group()
def contacts() -> None:
    """Lists of people to call."""


@contacts.command("import")
@click.argument("file", type=FILE)
@click.option(
    "--list", "name", type=NAME, required=True, help="The list to which they are added; made if need be."
)
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="TARGET=COLUMN",
    help="What a column holds: name, id, phone, phone:KIND, field:NAME or ignore; COLUMN is a head or #1. Repeatable.",
)
@click.option("--encoding", help="Of the file; else found out.")
@click.option("--delimiter", help="Between columns; else found out.")
@click.option(
    "--region", default="", help="Country of numbers without a country code; else that of the settings."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, write nothing.")
@click.option(
    "--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Where rejected rows go; a new file."
)
@with_home
def contacts_import(
    home: Path, file: Path, name: str, dry_run: bool, rejects: Path | None, **how: Any
) -> None:
    """Import people from a CSV file. A person who is there already is not added again."""
    from dialer.office import people

    options = people.ImportOptions(**how)
    if dry_run:
        people.preview_contacts(home, file, options)
    else:
        click.echo(people.import_contacts(home, file, name, options, rejects))


@contacts.command("list")
@click.option("--list", "name", type=NAME, help="Only of this list.")
@click.option("--number", help="Only with a number that is this, or begins so (+7495).")
@click.option("--key", help="Only with this id of the imported file.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only after this contact: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@listing
@with_home
def contacts_list(home: Path, as_format: str, **chosen: Any) -> None:
    """People, in the order in which they were imported."""
    from dialer.office.people import list_contacts

    list_contacts(home, as_format, **chosen)


@contacts.command("lists")
@listing
@with_home
def contacts_lists(home: Path, as_format: str) -> None:
    """The lists and how many people they hold."""
    from dialer.office.orders import list_rows
    from dialer.office.tables import show

    show(list_rows(home, "lists"), as_format)


@contacts.command("show")
@click.argument("contact")
@click.option(
    "--format",
    "as_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print it.",
)
@with_home
def contacts_show(home: Path, contact: str, as_format: str) -> None:
    """Everything known of one person, by the id in the listing, or by a whole telephone number."""
    from dialer.office.people import show_contact

    show_contact(home, contact, as_format)


# -- campaigns ----------------------------------------------------------------------------


@main.group()
def campaign() -> None:
    """Campaigns."""


@campaign.command("apply")
@click.argument("files", nargs=-1, type=FILE)
@with_home
def campaign_apply(home: Path, files: tuple[Path, ...]) -> None:
    """Put campaigns into force; without FILES all in the home folder's campaigns/. States stay."""
    from dialer.office.orders import apply_campaigns

    click.echo(apply_campaigns(home, files))


@campaign.command("list")
@listing
@with_home
def campaign_list(home: Path, as_format: str) -> None:
    """The campaigns and where they stand."""
    from dialer.office.orders import list_rows
    from dialer.office.tables import show

    show(list_rows(home, "campaigns"), as_format)


@campaign.command("show")
@click.argument("name", type=NAME)
@click.option(
    "--format",
    "as_format",
    type=click.Choice(["toml", "table", "json", "csv"]),
    default="toml",
    show_default=True,
    help="toml: as a file that can be applied.",
)
@with_home
def campaign_show(home: Path, name: str, as_format: str) -> None:
    """The settings of a campaign as they are in force."""
    from dialer.office.orders import show_campaign

    show_campaign(home, name, as_format)


@campaign.command("set")
@click.argument("name", type=NAME)
@click.argument("settings", nargs=-1, required=True, type=SETTING)
@with_home
def campaign_set(home: Path, name: str, settings: tuple[tuple[str, str], ...]) -> None:
    """Change settings in force, as KEY=VALUE with the key's path in the file (calls.ring_s=25).

    The campaign's file is not changed: applying it again puts its own settings into force.
    """
    from dialer.office.orders import set_campaign

    click.echo(set_campaign(home, name, settings))


@campaign.command("start")
@click.argument("name", type=NAME)
@with_home
def campaign_start(home: Path, name: str) -> None:
    """Begin to call people."""
    from dialer.office.orders import order_campaign

    click.echo(order_campaign(home, name, "start"))


@campaign.command("pause")
@click.argument("name", type=NAME)
@with_home
def campaign_pause(home: Path, name: str) -> None:
    """Place no more calls for now; conversations go on."""
    from dialer.office.orders import order_campaign

    click.echo(order_campaign(home, name, "pause"))


@campaign.command("resume")
@click.argument("name", type=NAME)
@with_home
def campaign_resume(home: Path, name: str) -> None:
    """Go on after a pause."""
    from dialer.office.orders import order_campaign

    click.echo(order_campaign(home, name, "resume"))


@campaign.command("stop")
@click.argument("name", type=NAME)
@with_home
def campaign_stop(home: Path, name: str) -> None:
    """Place no more calls; conversations go on to their end."""
    from dialer.office.orders import order_campaign

    click.echo(order_campaign(home, name, "stop"))


# -- operators ----------------------------------------------------------------------------


@main.group()
def agent() -> None:
    """Operators and their desk phones."""


@agent.command("add")
@click.argument("name", type=NAME)
@click.option("--phone", type=PHONE, required=True, help="Extension of the desk phone.")
@click.option(
    "--leg",
    type=click.Choice(["parked", "rung"]),
    help="parked (of a new operator): stays on the line between calls; rung: is called for each call.",
)
@click.option(
    "--campaign", "campaigns", multiple=True, type=NAME, help="Only this campaign's calls; repeatable."
)
@click.option("--every-campaign", is_flag=True, help="The calls of all campaigns (as a new operator).")
@click.option("--title", help="The operator's name for people.")
@click.option("--new-secret", is_flag=True, help="Make a new SIP password; the phone must be given it.")
@click.option("--show-secret", is_flag=True, help="Print the SIP password.")
@with_home
def agent_add(
    home: Path, name: str, show_secret: bool, campaigns: tuple[str, ...], every_campaign: bool, **card: Any
) -> None:
    """Add an operator and make the SIP password of the phone; or change what is given of one."""
    from dialer.office.orders import add_agent

    if every_campaign and campaigns:
        raise click.UsageError("--campaign and --every-campaign exclude each other.")
    chosen = campaigns if campaigns or every_campaign else None
    click.echo(add_agent(home, name, campaigns=chosen, **card).describe(show_secret=show_secret))


@agent.command("list")
@listing
@with_home
def agent_list(home: Path, as_format: str) -> None:
    """The operators and their present states."""
    from dialer.office.orders import list_rows
    from dialer.office.tables import show

    show(list_rows(home, "agents"), as_format)


@agent.command("ready")
@click.argument("name", type=NAME)
@with_home
def agent_ready(home: Path, name: str) -> None:
    """End an operator's pause or wrap-up."""
    from dialer.office.orders import order_agent

    click.echo(order_agent(home, name, "ready"))


@agent.command("pause")
@click.argument("name", type=NAME)
@click.option("--reason", default="", help="As the reports will say; else supervisor.")
@with_home
def agent_pause(home: Path, name: str, reason: str) -> None:
    """Give an operator no more calls; during a call it begins when that is over."""
    from dialer.office.orders import order_agent

    click.echo(order_agent(home, name, "pause", reason))


@agent.command("sign-out")
@click.argument("name", type=NAME)
@with_home
def agent_sign_out(home: Path, name: str) -> None:
    """Sign an operator out; during a call when that is over."""
    from dialer.office.orders import order_agent

    click.echo(order_agent(home, name, "sign_out"))


# -- reports and recordings ---------------------------------------------------------------


@main.group()
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


@report.command("campaign")
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


@main.group()
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


@main.command(hidden=True)
@click.pass_context
def reference(ctx: click.Context) -> None:
    """Print docs/reference.md."""
    from dialer.office.reference import render

    click.echo(render(ctx.find_root().command), nl=False)  # type: ignore[arg-type]
