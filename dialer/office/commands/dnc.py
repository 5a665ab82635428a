"""``dialer dnc``: the do-not-call lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dialer.office.commandline import FILE, listing, of_campaign, of_import, with_home

_CAMPAIGN = "Only for this campaign; else for all."


@click.group(short_help="Do-not-call lists, of the centre or of a campaign.")
def dnc() -> None:
    """Numbers that are not called: of the whole centre, or of one campaign."""


@dnc.command("add", short_help="Put numbers, beginnings or patterns on a list.")
@click.argument("numbers", nargs=-1, required=True)
@of_campaign(_CAMPAIGN)
@click.option("--source", default="command", show_default=True, help="Who asked for it, or where it is from.")
@click.option("--note", default="", help="What there is to say of it.")
@with_home
def dnc_add(home: Path, numbers: tuple[str, ...], **how: Any) -> None:
    """Put numbers on a list: whole ones in any form, beginnings (+7495*), or patterns (+7495???0000).

    In a pattern each ? stands for one digit. All are added, or none.
    """
    from dialer.office.donotcall import add_numbers

    click.echo(add_numbers(home, numbers, **how))


@dnc.command("remove", short_help="Take entries off a list.")
@click.argument("numbers", nargs=-1, required=True)
@of_campaign("From the list of this campaign; else from that for all.")
@with_home
def dnc_remove(home: Path, numbers: tuple[str, ...], campaign: str | None) -> None:
    """Take entries off a list, written as they are in it (a whole number in any form). All, or none.

    That they stood there is kept: `dialer why` needs it.
    """
    from dialer.office.donotcall import remove_numbers

    click.echo(remove_numbers(home, numbers, campaign))


@dnc.command("import")
@click.argument("file", type=FILE)
@of_campaign(_CAMPAIGN)
@click.option("--source", default="", help="Who asked for it, or where it is from; else the file's name.")
@click.option("--note", default="", help="What there is to say of those that have no note of their own.")
@click.option("--column", help="The column with the numbers: its head or #1; else found out.")
@of_import
@with_home
def dnc_import(home: Path, file: Path, **how: Any) -> None:
    """Put the numbers of a text or CSV file on a list. What is there already is not added again."""
    from dialer.office.donotcall import import_numbers

    click.echo(import_numbers(home, file, **how))


@dnc.command("list")
@of_campaign("Only entries of this campaign's list.")
@click.option("--everywhere", is_flag=True, help="Only entries for all campaigns.")
@click.option("--number", help="Only entries that begin so (+7495), or this whole number in any form.")
@click.option(
    "--kind",
    type=click.Choice(["number", "prefix", "pattern"]),
    help="Only whole numbers, beginnings, or patterns.",
)
@click.option("--removed", is_flag=True, help="Also what was removed.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only after this entry: the next page.")
@click.option("--limit", type=click.IntRange(1), help="At most so many; else all.")
@listing
@with_home
def dnc_list(home: Path, as_format: str, **chosen: Any) -> None:
    """The entries, in the order in which they were added."""
    from dialer.office.donotcall import list_entries

    list_entries(home, as_format, **chosen)


@dnc.command("check", short_help="Which entries bar a number.")
@click.argument("number")
@of_campaign("Only as far as it matters to this campaign.")
@listing
@with_home
def dnc_check(home: Path, number: str, campaign: str | None, as_format: str) -> None:
    """The entries that bar a number, whole or by its beginning or a pattern."""
    from dialer.office.donotcall import check_number

    check_number(home, number, campaign, as_format)
