"""``dialer phone``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dialer.office.commandline import NAME, NEW_FILE, PHONE, Matching, listing, with_home

MODELS = ("generic", "yealink", "grandstream", "snom", "cisco", "fanvil", "outside")
"""Of :data:`dialer.core.deskphone.MODELS`, said again so that ``--help`` is instant."""


@click.group()
def phone() -> None:
    """Desk phones, softphones and outside lines of operators."""


@phone.command("add", short_help="Add a phone, or change one.")
@click.argument("extension", type=PHONE)
@click.option(
    "--model",
    type=click.Choice(MODELS),
    help="Which headers make it answer by itself (generic, of a new phone); outside: no phone here, a line that rings in.",
)
@click.option("--transport", type=click.Choice(["any", "udp", "tcp", "tls"]), help="How Asterisk calls it.")
@click.option(
    "--codec",
    "codecs",
    multiple=True,
    help="Only this codec: alaw, ulaw, g722 or gsm; repeatable, best first.",
)
@click.option(
    "--number",
    type=Matching("number", r"\+[1-9][0-9]{6,14}", "+ and 7 to 15 digits"),
    help="outside: where it is called, if its operator is rung.",
)
@click.option("--trunk", type=NAME, help="outside: by which trunk.")
@click.option("--agent", type=NAME, help="The operator who works on it; made if there is none.")
@click.option(
    "--leg", type=click.Choice(["parked", "rung"]), help="Of the operator, as `dialer agent add` has it."
)
@with_home
def phone_add(
    home: Path, extension: str, transport: str | None, codecs: tuple[str, ...], **more: Any
) -> None:
    """Add a phone and make its SIP password; or change what is given of one."""
    from dialer.office.phones import add_phone

    if more["leg"] and not more["agent"]:
        raise click.UsageError("--leg is the operator's: name one by --agent.")
    how = "" if transport == "any" else transport
    click.echo(add_phone(home, extension, transport=how, codecs=codecs or None, **more))  # type: ignore[arg-type]


@phone.command("list")
@listing
@with_home
def phone_list(home: Path, as_format: str) -> None:
    """The phones, who works on them, and which are registered now."""
    from dialer.office.phones import list_phones
    from dialer.office.tables import show

    show(list_phones(home), as_format)


@phone.command("secret", short_help="Print a phone's SIP password.")
@click.argument("extension", type=PHONE)
@click.option("--new", "is_new", is_flag=True, help="Make a new one; the phone must be given it.")
@with_home
def phone_secret(home: Path, extension: str, is_new: bool) -> None:
    """Print a phone's SIP password: whoever sees it can call as this operator."""
    from dialer.office.phones import secret_of

    click.echo(secret_of(home, extension, is_new=is_new))


@phone.command("sheet", short_help="All that a phone must be told, as text or QR code.")
@click.argument("extension", type=PHONE)
@click.option("--host", help="The address by which the phone reaches Asterisk; else that of [ports].")
@click.option("--port", type=click.IntRange(1, 65535), help="Its port there; else that of [ports].")
@click.option("--text", type=NEW_FILE, help="Write the sheet with the password to this file (mode 0600).")
@click.option("--png", type=NEW_FILE, help="Write a QR code to this file (mode 0600).")
@click.option("--svg", type=NEW_FILE, help="The same as SVG.")
@click.option(
    "--for",
    "app",
    type=click.Choice(["sip", "linphone", "acrobits", "sessiontalk"]),
    default="sip",
    show_default=True,
    help="What the QR code holds: see docs/phones.md. Only acrobits and sessiontalk hold the password.",
)
@click.option("--url", help="linphone: where you will serve the file of --xml.")
@click.option(
    "--xml",
    type=NEW_FILE,
    help="linphone: write its configuration, password and all, to this file (mode 0600).",
)
@click.option("--provider", help="acrobits: your Cloud ID; sessiontalk: your provider's id.")
@click.option("--show-secret", is_flag=True, help="Print the password, too.")
@with_home
def phone_sheet(home: Path, extension: str, **how: Any) -> None:
    """Print all that a phone must be told, but for its password; and write it, with the password, to files."""
    from dialer.office.sheet import make_sheet

    click.echo(make_sheet(home, extension, **how))


@phone.command("pin", short_help="A PIN for an operator on an outside line.")
@click.argument("extension", type=PHONE)
@click.option("--remove", "is_gone", is_flag=True, help="Let nobody in as this extension any more.")
@with_home
def phone_pin(home: Path, extension: str, is_gone: bool) -> None:
    """Make a PIN and print it this once: by it an operator signs in from any telephone, over the access number."""
    from dialer.office.phones import give_pin

    click.echo(give_pin(home, extension, is_gone=is_gone))


@phone.command("remove")
@click.argument("extension", type=PHONE)
@with_home
def phone_remove(home: Path, extension: str) -> None:
    """Take a phone away, with its password. Nobody may work on it."""
    from dialer.office.phones import remove_phone

    click.echo(remove_phone(home, extension))
