"""``dialer trunk``."""

from __future__ import annotations

from pathlib import Path

import click

from dialer.office.commandline import FILE, listing, with_home


@click.group()
def trunk() -> None:
    """SIP trunks."""


@trunk.command("apply", short_help="Put the trunks' files into force.")
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
