"""The files of a home folder as values: settings, trunks, campaigns, secrets.

1. ``obzvon.toml``, ``trunks/*.toml`` and ``campaigns/*.toml`` are what people write and review;
   what they may hold is said by ``schemas/`` (:mod:`dialer.store.documents`), and of campaigns by
   :mod:`dialer.store.campaigns`.
2. A file becomes a frozen value, or one :class:`BadFile` that names all its mistakes.
3. What is secret is :mod:`dialer.store.secretfile`'s business.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from dialer.core.ids import ONLY, ServerId
from dialer.core.paths import PATH_ALLOWED, bad_in_path
from dialer.core.values import Campaign, Centre, Trunk
from dialer.store import documents
from dialer.store.campaigns import (
    campaign_document,
    campaign_fields,
    campaign_from,
    set_all_in_campaign,
    set_in_campaign,
)
from dialer.store.documents import BadFile, Mistake
from dialer.store.numberplan import country_of
from dialer.store.secretfile import (
    SECRETS_FILE,
    Secrets,
    add_secret,
    load_secrets,
    new_secret,
    write_private,
    write_private_bytes,
)
from dialer.store.trunkfile import load_trunk

__all__ = [
    "MUSIC_FOLDER",
    "SECRETS_FILE",
    "SHARED_FOLDER",
    "TLS_FOLDER",
    "AccessSettings",
    "AsteriskSettings",
    "BadFile",
    "MetricsSettings",
    "PhoneSettings",
    "Ports",
    "RecordingSettings",
    "RedisSettings",
    "Secrets",
    "ServerSettings",
    "SystemSettings",
    "add_secret",
    "campaign_document",
    "campaign_fields",
    "campaign_from",
    "load_campaign",
    "load_campaigns",
    "load_secrets",
    "load_system",
    "load_trunk",
    "load_trunks",
    "new_secret",
    "set_all_in_campaign",
    "set_in_campaign",
    "write_private",
    "write_private_bytes",
]

SYSTEM_FILE = "obzvon.toml"


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where an embedded Asterisk listens; port 0: choose a free one. *rtp*: the first of *rtp_count*."""

    sip_address: str = "127.0.0.1"
    external_address: str = ""
    """Behind address translation: as the outside sees us."""
    sip: int = 0
    http: int = 0
    rtp: int = 0
    rtp_count: int = 2000


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One of several Asterisk servers (``[asterisk.servers.NAME]``). *url*: where ARI answers, if it is external.
    *user*: empty: that of ``[asterisk]``. *weight* and the caps: see :class:`dialer.core.events.Server`."""

    mode: Literal["embedded", "external"] = "embedded"
    url: str = ""
    user: str = ""
    weight: int = 1
    channels_max: int = 100_000
    calls_per_second_max: float = 1000.0
    ports: Ports = Ports()


class AsteriskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The Asterisk that places the calls. *url*: where ARI answers, if it is external.

    *servers*: by name, where there are several; see :attr:`SystemSettings.servers`. *lost_after_s*: one of them
    that refuses connections for so long is dead."""

    mode: Literal["embedded", "external"] = "embedded"
    url: str = ""
    user: str = "obzvon"
    lost_after_s: float = 15.0
    hep: str = ""
    """Where the engine listens for copies of SIP messages, ``IP:PORT``."""
    config_folder: str = ""
    """Of an Asterisk of one's own: its folder of configuration, into which ours was installed as include files."""
    servers: dict[str, ServerSettings] = {}


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The Redis that keeps the timers. *url*: without a password, if it is external."""

    mode: Literal["embedded", "external"] = "embedded"
    url: str = ""


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where metrics and health are served by HTTP; port 0: nowhere."""

    address: str = "127.0.0.1"
    port: int = 0


class PhoneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Desk phones. *allowed_from*: networks from which they may register and call; empty: any."""

    allowed_from: tuple[str, ...] = ()


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of ours that operators ring from outside: see :mod:`agi.access`."""

    numbers: tuple[str, ...] = ()


class RecordingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where recordings are kept; once loaded, *folder* is absolute."""

    folder: str = "recordings"


MUSIC_FOLDER = "music"
"""Of the home folder: what lies in it is played to people who are held."""
SHARED_FOLDER = "run"
"""Of the home folder: in it lies what the engine and the scripts that Asterisk runs tell each other."""
TLS_FOLDER = "tls"
"""Of the home folder: in it may lie our certificate and key."""


class SystemSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What ``obzvon.toml`` says (``schemas/system.schema.json``), and the home folder it lies in."""

    home: Path
    region: str = "RU"
    language: Literal["en", "ru", "zh"] = "en"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    asterisk: AsteriskSettings = AsteriskSettings()
    redis: RedisSettings = RedisSettings()
    ports: Ports = Ports()
    recordings: RecordingSettings = RecordingSettings()
    metrics: MetricsSettings = MetricsSettings()
    phones: PhoneSettings = PhoneSettings()
    access: AccessSettings = AccessSettings()
    centre: Centre = Centre()
    """``[caps]`` and ``[agents]``: rules for all campaigns."""

    @property
    def is_any_embedded(self) -> bool:
        """Whether an Asterisk is started by us."""
        return any(one.mode == "embedded" for one in self.servers.values())

    @property
    def servers(self) -> dict[ServerId, ServerSettings]:
        """The Asterisk servers, by name; ``[asterisk]`` and ``[ports]`` as :data:`~dialer.core.ids.ONLY` where none is named."""
        one = self.asterisk
        if not one.servers:
            return {ONLY: ServerSettings(mode=one.mode, url=one.url, user=one.user, ports=self.ports)}
        return {
            ServerId(name): server if server.user else msgspec.structs.replace(server, user=one.user)
            for name, server in one.servers.items()
        }

    def asterisk_folder(self, server: ServerId) -> Path:
        """Where that server's configuration and own files lie: ``asterisk`` of the home folder, or ``asterisk-NAME``."""
        return self.home / (f"asterisk-{server}" if server else "asterisk")

    @property
    def recordings_folder(self) -> Path:
        """The folder of recordings; a relative one lies in the home folder."""
        return self.home / self.recordings.folder

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.home / "journal.sqlite3"

    @property
    def socket(self) -> Path:
        """The Unix socket of the engine's API."""
        return self.home / SHARED_FOLDER / "engine.sock"


def load_system(home: Path) -> SystemSettings:
    """The settings of the home folder *home*. Raises BadFile."""
    home = home.resolve()
    file = home / SYSTEM_FILE
    if not file.is_file():
        what = "there is no such file; `dialer init DIR` makes a home folder"
        raise BadFile(file, [Mistake("", what)])
    document = documents.load(file, "system")
    properties = documents.schema("system")["properties"]
    found: list[tuple[documents.Keys, str, str]] = []
    for part in ("asterisk", "redis"):
        own = document.get(part, {})
        if own.get("mode") == "external" and not own.get("url") and not own.get("servers"):
            allowed = properties[part]["properties"]["url"]["x-allowed"]
            found.append(((part, "url"), "is missing, for the mode is external", allowed))
    found += _bad_servers(document)
    centre = {"caps": document.pop("caps", {}), **document.pop("agents", {})}
    centre["countries"] = country_of(document.get("region", SystemSettings(home=home).region))
    system = msgspec.convert({**document, "home": home, "centre": centre}, SystemSettings)
    folder = str(system.recordings_folder)
    if (fault := bad_in_path(folder)) is not None:
        # Asterisk could not be told where to write: no call would be placed.
        found.append((("recordings", "folder"), f"{folder!r} {fault}", PATH_ALLOWED))
    found += [*bad_region(system.region), *_bad_hep(system.asterisk.hep)]
    if found:
        raise documents.refusal(file, found)
    return system


def bad_region(region: str) -> list[tuple[documents.Keys, str, str]]:
    """What is wrong with that region: where it has no country code, every number of the world might be called."""
    if country_of(region):
        return []
    allowed = 'a country of ISO 3166, such as "RU", or "GB" (and not "UK")'
    return [(("region",), f'"{region}" is no country with telephone numbers', allowed)]


def _bad_hep(place: str) -> Iterator[tuple[documents.Keys, str, str]]:
    address, _, port = place.rpartition(":")
    try:
        is_fit = not place or (not ipaddress.IPv4Address(address).is_unspecified and 0 < int(port) < 65536)
    except ValueError:
        is_fit = False
    if not is_fit:
        yield (
            ("asterisk", "hep"),
            f'"{place}" is no address to send to',
            'ADDRESS:PORT, such as "127.0.0.1:9060"',
        )


def _bad_servers(document: Mapping[str, Any]) -> Iterator[tuple[documents.Keys, str, str]]:
    """What no schema says of servers: addresses that are missing, ports that do not fit."""
    named = document.get("asterisk", {}).get("servers", {})
    everyone: dict[documents.Keys, Mapping[str, Any]] = {
        ("asterisk", "servers", name): server for name, server in named.items()
    }
    taken: dict[tuple[str, int], str] = {}
    for keys, server in (everyone or {(): document}).items():
        if everyone and server.get("mode") == "external" and not server.get("url"):
            yield (*keys, "url"), "is missing, for the mode is external", "http://HOST:PORT/ari"
        ports = msgspec.convert(server.get("ports", {}), Ports)
        if ports.rtp and ports.rtp + ports.rtp_count > 65536:
            yield (*keys, "ports", "rtp_count"), "goes past the last port", f"up to {65536 - ports.rtp}"
        if server.get("mode", "embedded") != "embedded":
            continue  # on another machine, perhaps
        voice = range(ports.rtp, ports.rtp + ports.rtp_count) if ports.rtp else ()
        wanted = {"sip": (ports.sip,), "http": (ports.http,), "rtp": voice}
        for what, numbers in wanted.items():
            kind = "tcp" if what == "http" else "udp"
            both = next((taken[kind, port] for port in numbers if port and (kind, port) in taken), None)
            if both is not None:
                yield (*keys, "ports", what), f"is used by {both} too", "other ports"
            taken |= dict.fromkeys(((kind, port) for port in numbers), str(keys[-1]) if keys else "SIP")


def load_campaign(path: Path) -> Campaign:
    """The campaign in the file *path*. Raises BadFile."""
    return campaign_from(documents.load(path, "campaign"), path)


def load_trunks(home: Path) -> tuple[Trunk, ...]:
    """All trunks of the home folder. Raises BadFile, also when two files have one id."""
    return tuple(_load_all(home / "trunks", load_trunk))


def load_campaigns(home: Path) -> tuple[Campaign, ...]:
    """All campaigns of the home folder. Raises BadFile, also when two files have one id."""
    return tuple(_load_all(home / "campaigns", load_campaign))


def _load_all(folder: Path, load: Any) -> Iterator[Any]:
    seen: dict[str, Path] = {}
    for path in sorted(folder.glob("*.toml")):
        value = load(path)
        if (first := seen.setdefault(value.id, path)) is not path:
            raise BadFile(path, [Mistake("id", f'"{value.id}" is taken by {first.name}', "another id")])
        yield value
