"""The ``dialer`` command line: parse, call one function, print.

Every command imports what it needs when it is called, so that ``dialer --help`` is instant. Errors
become messages in :mod:`dialer.office.commandline`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dialer import __version__
from dialer.lab.simulator.options import simulation
from dialer.office.commandline import FOLDER, HOME_ENV, NAME, Commands, listing, with_home
from dialer.office.commands import campaigns, dnc, journal, operators, people, phones, reports, trunks


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--home", type=FOLDER, envvar=HOME_ENV, help=f"The home folder; else {HOME_ENV}, else the present one."
)
@click.version_option(__version__, prog_name="dialer")
def main(home: Path | None) -> None:
    """Obzvon: an outbound call centre on Asterisk."""


main.add_command(trunks.trunk)
main.add_command(people.contacts)
main.add_command(dnc.dnc)
main.add_command(campaigns.campaign)
main.add_command(campaigns.why)
main.add_command(campaigns.callback)
main.add_command(operators.agent)
main.add_command(phones.phone)
main.add_command(reports.report)
main.add_command(reports.recordings)
main.add_command(journal.journal)


@main.command(short_help="Make a home folder, with examples.")
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


@main.command(short_help="Run the engine with an Asterisk and a Redis of its own.")
@with_home
def up(home: Path) -> None:
    """Run the engine with an Asterisk and a Redis of its own, until Ctrl-C."""
    from dialer.engine import main as engine

    engine.up(home)


@main.command(short_help="Run the engine with your own Asterisk and Redis.")
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


@main.command(short_help="Days of a campaign, simulated on the whole floor.")
@click.argument("campaign", type=NAME)
@simulation
@listing
@with_home
def simulate(home: Path, campaign: str, as_format: str, **asked: Any) -> None:
    """Simulate days of a campaign before they come: the production floor and pacing, made-up people and operators.

    Prints occupancy, idle time, abandonment, waits and lines needed, and what one operator or one line more would change.
    The same seed gives the same days.
    """
    from dialer.lab.simulator.command import run
    from dialer.office.tables import show

    run(home, campaign, as_format, show, **asked)


@main.group()
def asterisk() -> None:
    """The configuration of an Asterisk of one's own."""


_SERVER = click.option("--server", default="", help="Which of several servers ([asterisk.servers.NAME]).")
_INTO = click.option(
    "--into",
    type=FOLDER,
    help="The folder of its configuration (/etc/asterisk); else asterisk.config_folder.",
)


def _installation(command: Any) -> Any:
    """Add the options that name another installation of Asterisk than this machine's."""
    data = click.option("--data", type=FOLDER, help="Its folder of sounds and documentation.")
    return click.option("--modules", type=FOLDER, help="Its folder of modules; else this machine's.")(
        data(command)
    )


@asterisk.command("render", short_help="Write a complete configuration, or only include files.")
@click.option("--to", type=FOLDER, help="Where; else the folder asterisk of the home folder.")
@click.option(
    "--includes", is_flag=True, help="Only what an Asterisk with a configuration of its own includes."
)
@_SERVER
@_installation
@with_home
def asterisk_render(home: Path, to: Path | None, includes: bool, server: str, **folders: Any) -> None:
    """Write the configuration of an Asterisk, and print where: of its asterisk.conf, or of the include files' folder."""
    from dialer.engine import configuring

    if includes and to is None:
        raise click.UsageError("--includes: say where, by --to.")
    if includes:
        click.echo(configuring.render_includes(home, to, server=server))  # type: ignore[arg-type]
    else:
        click.echo(configuring.render(home, to=to, server=server, **folders))  # type: ignore[arg-type]


@asterisk.command("diff", short_help="What rendering or installing now would change.")
@_INTO
@_SERVER
@_installation
@with_home
@click.pass_context
def asterisk_diff(ctx: click.Context, /, home: Path, **which: Any) -> None:
    """What rendering or installing now would change, without passwords. Exit status: 0 nothing, 1 something."""
    from dialer.engine import configuring

    found = configuring.difference(home, **which)
    click.echo(found, nl=False)
    ctx.exit(1 if found else 0)


@asterisk.command("install", short_help="Put our include files into an Asterisk or FreePBX that is there.")
@_INTO
@_SERVER
@click.option("--remove", "is_removal", is_flag=True, help="Take out what was put in.")
@with_home
def asterisk_install(home: Path, **which: Any) -> None:
    """Put include files and one marked block in each file that must know of them into an Asterisk's folder.

    Nothing of theirs is overwritten; doing it again brings it up to date.
    """
    from dialer.engine import configuring

    click.echo(configuring.install(home, **which))


@asterisk.command("check")
@click.pass_context
def asterisk_check(ctx: click.Context) -> None:
    """Find what is misspelt in the dialplan: jumps, variables, contexts. Exit status: 0 nothing, 1 something."""
    from dialer.pbx.dialplancheck import check_ours

    faults = check_ours()
    click.echo("\n".join(faults) or "Every jump leads somewhere, every variable and every context is known.")
    ctx.exit(1 if faults else 0)


@main.command(hidden=True)
@click.pass_context
def reference(ctx: click.Context) -> None:
    """Print docs/reference.md."""
    from dialer.office.reference import render

    click.echo(render(ctx.find_root().command), nl=False)  # type: ignore[arg-type]
