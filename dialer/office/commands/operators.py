"""``dialer agent``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dialer.office.commandline import NAME, PHONE, listing, with_home


@click.group()
def agent() -> None:
    """Operators and their desk phones."""


@agent.command("add", short_help="Add an operator, or change one.")
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


@agent.command("pause", short_help="Give an operator no more calls.")
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
