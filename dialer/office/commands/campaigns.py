"""``dialer campaign``, ``dialer callback`` and ``dialer why``."""

from __future__ import annotations

from pathlib import Path

import click

from dialer.office.commandline import FILE, INSTANT, NAME, NEW_FILE, SETTING, listing, of_campaign, with_home


@click.group()
def campaign() -> None:
    """Campaigns."""


@campaign.command("apply", short_help="Put the campaigns' files into force.")
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


@campaign.command("show", short_help="All settings in force; as a file that can be applied.")
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
    """All settings of a campaign as they are in force, with a mark at those that differ from their defaults.

    In the form of a file, what is at its default stands as comments.
    """
    from dialer.office.campaignshow import show_campaign

    show_campaign(home, name, as_format)


@campaign.command("set", short_help="Change settings in force, as KEY=VALUE.")
@click.argument("name", type=NAME)
@click.argument("settings", nargs=-1, required=True, type=SETTING)
@with_home
def campaign_set(home: Path, name: str, settings: tuple[tuple[str, str], ...]) -> None:
    """Change settings in force, as KEY=VALUE with the key's path in the file (calls.ring_s=25); KEY= takes one out.

    The campaign's file is not changed: applying it again puts its own settings into force.
    """
    from dialer.office.orders import set_campaign

    click.echo(set_campaign(home, name, settings))


@campaign.command("check", short_help="A dry run: who may be called in which hour, and who never.")
@click.argument("name", type=NAME)
@click.option(
    "--hours", type=click.IntRange(1, 1000), default=48, show_default=True, help="How far to look ahead."
)
@click.option("--never", type=NEW_FILE, help="Write all contacts that are never called to this new CSV file.")
@listing
@with_home
def campaign_check(home: Path, name: str, hours: int, never: Path | None, as_format: str) -> None:
    """A dry run: how many contacts may be dialed in each hour to come, which never and why, and what looks wrong.

    In an hour, `open` are all that may be dialed at some time in it, `new` those that may be for the first time.
    """
    from dialer.office.checkshow import check_campaign

    check_campaign(home, name, hours, never, as_format)


@campaign.command("pacing", short_help="Why a predictive campaign got as many calls as it did.")
@click.argument("name", metavar="CAMPAIGN", type=NAME)
@click.option(
    "--at", type=INSTANT, help="At that moment (2026-03-01T14:05, 14:05 for today, -2h), in sentences."
)
@click.option("--last", type=click.IntRange(1), help="So many of the latest notes; without it 20.")
@listing
@with_home
def campaign_pacing(home: Path, name: str, at: float | None, last: int | None, as_format: str) -> None:
    """Why a predictive campaign got as many calls as it did: what kept it from one more, and what was known then.

    It is noted when that changes, and once a minute. `dialer watch` shows it as it is now.
    """
    from dialer.office.pacingshow import show_pacing

    if at is not None and last is not None:
        raise click.UsageError("--at and --last cannot both be given.")
    show_pacing(home, name, at, last, as_format)


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


@click.command(short_help="Why a contact is or was (not) dialed, and when it may be.")
@click.argument("contact")
@of_campaign("Only in this campaign; else in all that have to do with the contact.")
@click.option(
    "--at", type=INSTANT, help="The moment, past or to come (2026-03-01T14:05, 14:05, -2h); else now."
)
@click.option(
    "--format",
    "as_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print it.",
)
@with_home
def why(home: Path, contact: str, campaign: str | None, at: float | None, as_format: str) -> None:
    """Why a contact was, or was not, dialed at a moment: the rule, the value, the next moment when it may be.

    CONTACT is an id of the listing, or a telephone number in any form: all contacts that have it.
    """
    from dialer.office.whyshow import show_why

    show_why(home, contact, campaign, at, as_format)


@click.command(short_help="Have somebody called at a promised time.")
@click.argument("contact")
@click.option("--campaign", type=NAME, required=True, help="The campaign that calls them.")
@click.option(
    "--at", "due", type=INSTANT, required=True, help="When (2026-03-01T14:05, 14:05 for today, +2h)."
)
@click.option("--agent", type=NAME, help="The operator who calls; else anyone.")
@with_home
def callback(home: Path, contact: str, campaign: str, due: float, agent: str | None) -> None:
    """Have somebody called at a time, also if the campaign was done with them.

    Calling hours, caps and do-not-call hold for it too: a time at which they may not be called is warned of.
    """
    from dialer.office.callbacks import order_callback

    click.echo(order_callback(home, contact, campaign, due, agent))
