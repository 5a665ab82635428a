"""PINs of operators on outside lines: made here, kept as hashes in the secrets file, laid out for the script.

The script that asks for a PIN (:mod:`agi.access`) reads ``run/access/pins.json``: hashes by extension, mode 0600. That
file may be lost: it is written again when an engine starts or reloads, and with every new PIN.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec

from dialer.core import pins
from dialer.store.secretfile import add_secret, load_secrets, write_private

FOLDER = "access"
"""Of the folder that is shared with the scripts (``run`` of the home folder)."""
FILE = "pins.json"


def new_pin(home: Path, extension: str) -> str:
    """Make a new PIN for the operator on *extension*, keep its hash, lay it out; the PIN itself.

    Raises:
        BadFile: the secrets file cannot be used.
    """
    pin = "".join(secrets.choice("0123456789") for _ in range(pins.DIGITS))
    add_secret(home, "pins", extension, pins.keep(pin, secrets.token_bytes(pins.SALT_BYTES)))
    lay_out(home)
    return pin


def drop_pin(home: Path, extension: str) -> None:
    """From now on nobody gets in as *extension* from outside.

    Raises:
        BadFile: the secrets file cannot be used.
    """
    add_secret(home, "pins", extension, None)
    lay_out(home)


def lay_out(home: Path) -> None:
    """Write what the script reads.

    Raises:
        BadFile: the secrets file cannot be used.
    """
    folder = home / "run" / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    write_private(folder / FILE, msgspec.json.encode(load_secrets(home).pins).decode())
