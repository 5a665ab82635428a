"""The configuration for an Asterisk that is not embedded, from a home folder::

    python -m dialer.engine.asterisk_files HOME [--modules DIR] [--data DIR]

It is written to ``HOME/asterisk``, and its asterisk.conf is named on standard output; start Asterisk with
``asterisk -C HOME/asterisk/etc/asterisk.conf``. After agents or trunks have changed, run it again and
reload ``res_pjsip.so``. Ports must be set in ``obzvon.toml``: nobody would know of ones that are chosen.

Exit status: 0 written, 2 something of the home folder will not do.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from dialer.engine.install import find_asterisk
from dialer.engine.process import EmbeddedError
from dialer.pbx.checks import BadSetting
from dialer.pbx.render import PhoneLine, TrunkLine, render_asterisk
from dialer.store import settings as stored
from dialer.store.connect import open_reader
from dialer.store.errors import StoreError
from dialer.store.files import BadFile, load_secrets, load_system


def write_files(home: Path, modules: Path | None = None, data: Path | None = None) -> Path:
    """Render the configuration and return the path of its asterisk.conf.

    *modules*, *data*: folders of the installation; None: those of this machine's Asterisk.

    :raises BadFile: a file of the home folder is wrong.
    :raises BadSetting: a value cannot be written, or a port is not set.
    :raises EmbeddedError: there is no Asterisk here, and its folders were not given.
    :raises StoreError: the journal cannot be read.
    """
    system = load_system(home)
    secrets = load_secrets(home)
    ports = system.ports
    for name, port in (("http", ports.http), ("sip", ports.sip), ("rtp", ports.rtp)):
        if not port:
            raise BadSetting(f"ports.{name}: must be set for an Asterisk that is not embedded")
    if modules is None or data is None:
        install = find_asterisk()
        modules, data = modules or install.modules, data or install.data
    trunks, phones = [], []
    if system.journal.exists():
        with contextlib.closing(open_reader(system.journal)) as connection:
            trunks = [
                TrunkLine(trunk=trunk, secret=secrets.trunk(trunk.id) if trunk.username else "")
                for trunk in stored.load_trunks(connection)
            ]
            extensions = dict.fromkeys(one.card.phone for one in stored.load_agents(connection))
        phones = [
            PhoneLine(extension=extension, secret=secret)
            for extension in extensions
            if (secret := secrets.phone(extension))
        ]
    return render_asterisk(
        home / "asterisk",
        modules=modules,
        data=data,
        ari_user=system.asterisk.user,
        ari_password=secrets.ari,
        http_port=ports.http,
        sip_port=ports.sip,
        rtp_range=(ports.rtp, ports.rtp + ports.rtp_count - 1),
        trunks=trunks,
        phones=phones,
        sip_bind=ports.sip_address,
        language=system.language,
        music=home / "music",
        shared=home / "run",
    )


def main(args: Sequence[str] | None = None) -> int:
    """The command; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m dialer.engine.asterisk_files")
    parser.add_argument("home", type=Path)
    parser.add_argument("--modules", type=Path)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args(args)
    try:
        print(write_files(given.home.absolute(), given.modules, given.data))
    except (BadFile, BadSetting, EmbeddedError, StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
