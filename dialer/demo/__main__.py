"""``python -m dialer.demo``: run the demonstration."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from dialer.demo.show import Show, ShowFailed
from dialer.engine.process import EmbeddedError
from dialer.lab.errors import LabError


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything up at the end, until Ctrl-C.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="Where the demonstration lives; an earlier one there is replaced.",
)
def main(keep: bool, folder: Path) -> None:
    """Run a progressive campaign to its end on a real Asterisk, with a laboratory for a world."""
    try:
        agreed = asyncio.run(Show(folder.resolve(), keep=keep).run())
    except KeyboardInterrupt:
        click.echo("\nEverything is taken down.")
        sys.exit(130)
    except (ShowFailed, LabError, EmbeddedError) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(0 if agreed else 1)


if __name__ == "__main__":
    main()
