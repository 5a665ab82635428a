"""``dialer contacts`` and ``dialer dnc``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dialer.office.commandline import FILE, NAME, listing, of_import, with_home


@click.group()
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
    help="What a column holds: name, id, phone, phone:KIND, timezone, field:NAME or ignore; COLUMN is a head or #1. Repeatable.",
)
@of_import
@with_home
def contacts_import(
    home: Path, file: Path, name: str, dry_run: bool, rejects: Path | None, **how: Any
) -> None:
    """Import people from a CSV file. A person who is there already is not added again."""
    from dialer.office import people

    options = people.ImportOptions(**how)
    if dry_run:
        people.preview_contacts(home, file, name, options)
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


@contacts.command("show", short_help="Everything known of one person, by id or telephone number.")
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
