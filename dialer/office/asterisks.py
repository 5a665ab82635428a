"""The Asterisk servers of a home folder, as a command reaches them: with an engine or without one."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dialer.core.ids import ServerId
from dialer.core.trunk import Trunk
from dialer.pbx.client import AriClient
from dialer.pbx.settings import Sip
from dialer.store.files import Secrets, SystemSettings

WAIT_S = 5.0


class _Ports(msgspec.Struct):
    http: int = 0
    sip: int = 0


class _Note(msgspec.Struct):
    ports: _Ports = msgspec.field(default_factory=_Ports)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One server. *url*: where its ARI answers; empty: it is embedded and does not run. *folder*: its configuration and log."""

    server: ServerId
    is_embedded: bool
    url: str
    user: str
    folder: Path
    sip: Sip
    is_foreign: bool
    """Whether it has a configuration of its own, into which ours is included (``dialer asterisk install``)."""
    secret: str

    def __repr__(self) -> str:
        return f"Link({self.server!r}, {self.url!r})"

    @property
    def name(self) -> str:
        """The server in a sentence."""
        return f"Asterisk {self.server}" if self.server else "Asterisk"

    def serves(self, trunk: Trunk) -> bool:
        """Whether the server has the trunk."""
        return not trunk.servers or self.server in trunk.servers

    def open(self, app: str = "obzvon-commands") -> AriClient:
        """A client, to be used in an ``async with``."""
        return AriClient(self.url, self.user, self.secret, app, timeout_s=WAIT_S)


def links(system: SystemSettings, secrets: Secrets) -> list[Link]:
    """Every server of the home folder."""
    found = []
    for server, settings in system.servers.items():
        folder = system.asterisk_folder(server)
        is_embedded = settings.mode == "embedded"
        is_foreign = not is_embedded and bool(system.asterisk.config_folder)
        ports = _running_on(folder) if is_embedded else _Ports()
        embedded_url = f"http://127.0.0.1:{ports.http}/ari" if ports.http else ""
        found.append(
            Link(
                server=server,
                is_embedded=is_embedded,
                url=embedded_url if is_embedded else settings.url,
                user=settings.user,
                folder=folder,
                sip=Sip(
                    # where theirs listens we do not know, and say nothing of it
                    bind="0.0.0.0" if is_foreign and not settings.ports.sip else settings.ports.sip_address,  # noqa: S104
                    port=ports.sip or settings.ports.sip or Sip().port,
                    outside=settings.ports.external_address,
                ),
                is_foreign=is_foreign,
                secret=secrets.ari_of(server),
            )
        )
    return found


def _running_on(folder: Path) -> _Ports:
    """The ports of the embedded server that runs in *folder*; zeros: none does."""
    try:
        return msgspec.json.decode((folder / "run" / "obzvon.json").read_bytes(), type=_Note).ports
    except (OSError, msgspec.DecodeError):
        return _Ports()
