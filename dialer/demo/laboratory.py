"""``python -m dialer.demo.laboratory``: a carrier on this machine, to try trunks, phones and numbers on before a real one is paid for.

It is the laboratory's (:mod:`dialer.lab.carrier`): an Asterisk of its own on loopback, with accounts, people who answer or do not,
and people who call us when they are told to by a line on standard input::

    call NUMBER           somebody calls our NUMBER, by whichever account is registered, else at our SIP address
    calls                 how many calls are up there
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from dialer.engine.install import find_asterisk
from dialer.engine.process import EmbeddedError
from dialer.lab.carrier import Account, LabCarrier, Manner
from dialer.lab.errors import LabError
from dialer.store import documents, files
from dialer.store.documents import BadFile

PEOPLE: Mapping[str, Manner] = {
    "+79440000000": Manner.TALKS,
    "+79440000001": Manner.ECHOES,
    "+79440000002": Manner.BUSY,
    "+79440000003": Manner.RINGS,
    "+79440000004": Manner.MUTE,
    "+79440000005": Manner.UNKNOWN,
    "+79440000006": Manner.CONGESTED,
}
_SAYS: Mapping[Manner, str] = {
    Manner.TALKS: "answers, and is heard",
    Manner.ECHOES: "answers, and says what it hears",
    Manner.BUSY: "is busy",
    Manner.RINGS: "rings and does not answer",
    Manner.MUTE: "answers, and sends no voice: what a firewall makes of a call",
    Manner.UNKNOWN: "does not exist",
    Manner.CONGESTED: "cannot be reached: the network is full",
}
CALLER = "+79440009999"
MEDIA_PORTS = 400


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".lab"),
    show_default=True,
    help="Where the carrier lives.",
)
@click.option(
    "--port",
    type=click.IntRange(1024, 65000),
    default=5080,
    show_default=True,
    help="For UDP and TCP; TLS: the next.",
)
@click.option(
    "--media",
    type=click.IntRange(1024, 65000),
    default=30000,
    show_default=True,
    help="First port for voice.",
)
@click.option(
    "--us",
    "our_address",
    default="127.0.0.1:5060",
    show_default=True,
    help="Where calls to us go without a registration.",
)
def main(folder: Path, port: int, media: int, our_address: str) -> None:
    """A carrier on loopback, until Ctrl-C."""
    try:
        asyncio.run(run(folder.absolute(), port, media, our_address))
    except KeyboardInterrupt:
        click.echo("\nThe carrier is gone.")
    except (LabError, EmbeddedError, BadFile, OSError) as error:
        raise click.ClickException(str(error)) from None


async def run(folder: Path, port: int, media: int, our_address: str) -> None:
    """Run the carrier until we are cancelled; the end of standard input ends nothing. Raises LabError, EmbeddedError, BadFile, OSError."""
    _check_free(port)
    accounts, secrets = await asyncio.to_thread(_accounts, folder)
    install = await asyncio.to_thread(find_asterisk)
    async with LabCarrier(
        folder / "carrier",
        argv=install.argv,
        modules=install.modules,
        data=install.data,
        port=port,
        media=(media, media + MEDIA_PORTS - 1),
        accounts=accounts,
        addresses=("127.0.0.1",),
        people=PEOPLE,
    ) as carrier:
        click.echo(describe(carrier, secrets))
        await _serve(carrier, our_address)


def _check_free(port: int) -> None:
    """Raises LabError: one of the SIP ports is taken. Asterisk would start all the same, and nobody would hear it."""
    for number, kind in (
        (port, socket.SOCK_DGRAM),
        (port, socket.SOCK_STREAM),
        (port + 1, socket.SOCK_STREAM),
    ):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:  # what was closed a minute ago does not count
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                raise LabError(
                    f"port {number} of 127.0.0.1 is taken: does another ./dev lab run? --port takes others"
                ) from None


def _accounts(folder: Path) -> tuple[tuple[Account, ...], Path]:
    """The carrier's accounts, their passwords made at the first start, and the file that keeps them.

    It is written as a home folder's ``secrets.toml`` wants it, so that its lines can be copied there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / files.SECRETS_FILE
    if not file.exists():
        made = {
            "ari": files.new_secret(),
            "trunks": {name: files.new_secret() for name in ("plain", "secure")},
        }
        files.write_private(file, "# Of the laboratory's carrier.\n" + documents.dump(made))
    kept = files.load_secrets(folder, {})
    plain = Account(name="plain", password=kept.trunk("plain"))
    secure = Account(name="secure", password=kept.trunk("secure"), srtp="sdes")
    return (plain, secure), file


def describe(carrier: LabCarrier, secrets: Path) -> str:
    """What the carrier offers, for whoever writes a trunk's file."""
    lines = [
        f"The carrier is up on {carrier.host}: UDP and TCP port {carrier.port}, TLS port {carrier.tls_port}.",
        "",
        "  by address     it knows 127.0.0.1, and asks for nothing",
        '  by user name   "plain": UDP or TCP, may register',
        '                 "secure": TLS, srtp = "sdes", may register',
        f"  passwords      {secrets}",
        f"  certificate    {carrier.certificate} ([tls] ca)",
        "",
        *(f"  {number}   {_SAYS[manner]}" for number, manner in PEOPLE.items()),
        "",
        "Type `call NUMBER` and somebody calls that number of ours; `calls` says how many calls are up. Ctrl-C ends it.",
    ]
    return "\n".join(lines)


async def _serve(carrier: LabCarrier, our_address: str) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            click.echo(await _obey(carrier, line.decode("utf-8", "replace").split(), our_address))
        except (LabError, ValueError) as error:
            click.echo(f"Error: {error}")
    await asyncio.Event().wait()  # standard input is closed; calls go on


async def _obey(carrier: LabCarrier, words: list[str], our_address: str) -> str:
    match words:
        case []:
            return ""
        case ["call", number]:
            registered = await carrier.registered()
            if registered:
                await carrier.call_in(number, caller=CALLER, account=registered[0])
                return f"{CALLER} calls {number}, by the registration of {registered[0]}."
            await carrier.call_in(number, caller=CALLER, address=our_address)
            return f"{CALLER} calls {number} at {our_address}."
        case ["calls"]:
            return f"{await carrier.calls()} calls are up."
        case _:
            return "Error: that is neither `call NUMBER` nor `calls`."


if __name__ == "__main__":
    main()
