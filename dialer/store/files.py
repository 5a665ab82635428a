"""The files of a home folder as values: settings, trunks, campaigns, secrets.

1. ``obzvon.toml``, ``trunks/*.toml`` and ``campaigns/*.toml`` are what people write and review;
   what they may hold is said by ``schemas/`` (:mod:`dialer.store.documents`), and of campaigns by
   :mod:`dialer.store.campaigns`.
2. A file becomes a frozen value, or one :class:`BadFile` that names all its mistakes.
3. ``secrets.toml`` is read only if nobody but its owner can read it. A secret from the
   environment (``OBZVON_SECRET_...``) goes before the file's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import tempfile
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
from dialer.store.trunkfile import load_trunk

__all__ = [
    "MUSIC_FOLDER",
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
SECRETS_FILE = "secrets.toml"
_ENV = "OBZVON_SECRET_"


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


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Passwords. They are not shown by ``repr``, so that none ends in a log.

    *trunks*: by trunk id; *phones*: by extension; read both by :meth:`trunk` and :meth:`phone`. *servers*: of ARI, by
    server; read by :meth:`ari_of`.
    *ari_monitor*: of the ARI user who may only look. *pins*: salted hashes (:mod:`dialer.store.pins`), by extension.
    *overrides*: from the environment, by the name after ``OBZVON_SECRET_``.
    """

    ari: str = ""
    ari_monitor: str = ""
    redis: str = ""
    pins: dict[str, str] = {}
    trunks: dict[str, str] = {}
    phones: dict[str, str] = {}
    servers: dict[str, str] = {}
    overrides: dict[str, str] = {}

    def ari_of(self, server: ServerId) -> str:
        """The password of the ARI user on that server."""
        name = f"ARI_{server.upper().replace('-', '_')}"
        return self.overrides.get(name) or self.servers.get(server) or self.ari

    def trunk(self, trunk: str) -> str:
        """The trunk's password, or an empty text."""
        name = f"TRUNK_{trunk.upper().replace('-', '_')}"
        return self.overrides.get(name) or self.trunks.get(trunk, "")

    def phone(self, extension: str) -> str:
        """The desk phone's SIP password, or an empty text."""
        return self.overrides.get(f"PHONE_{extension}") or self.phones.get(extension, "")

    def __repr__(self) -> str:
        return f"Secrets({len(self.trunks)} trunks, {len(self.phones)} phones)"


# -- reading ------------------------------------------------------------------------------


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
    if found:
        raise documents.refusal(file, found)
    return system


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


def load_secrets(home: Path, environment: Mapping[str, str] = os.environ) -> Secrets:
    """The secrets of the home folder, the environment's going before the file's.

    Raises BadFile: when anybody but us can read or own the file, for its mistakes, and when the
    password of the ARI user is in neither place.
    """
    file = home / SECRETS_FILE
    overrides = {key.removeprefix(_ENV): value for key, value in environment.items() if key.startswith(_ENV)}
    document = documents.parse(_read_guarded(file), file, "secrets", is_secret=True) if file.exists() else {}
    found = msgspec.convert(document, Secrets)
    found = msgspec.structs.replace(
        found,
        ari=overrides.get("ARI") or found.ari,
        redis=overrides.get("REDIS") or found.redis,
        ari_monitor=overrides.get("ARI_MONITOR") or found.ari_monitor,
        overrides=overrides,
    )
    if not found.ari:
        raise BadFile(file, [Mistake("ari", f"is missing; `dialer init` makes it, or set {_ENV}ARI")])
    return found


def _read_guarded(file: Path) -> str:
    """The text of *file*, if it is ours alone. The open file is what is checked, not its name."""
    try:
        with file.open("rb") as opened:
            facts = os.fstat(opened.fileno())
            if facts.st_uid != os.geteuid():
                raise BadFile(file, [Mistake("", f"belongs to another user (uid {facts.st_uid}): refused")])
            mode = stat.S_IMODE(facts.st_mode)
            if mode & 0o077:
                what = f"may be read or changed by others (mode {mode:04o}): refused"
                raise BadFile(file, [Mistake("", what, f"mode 0600; mend: chmod 600 {file}")])
            return opened.read(documents.SIZE_MAX).decode("utf-8")
    except OSError as error:
        raise BadFile(file, [Mistake("", f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError:
        raise BadFile(file, [Mistake("", "is not UTF-8 text", "UTF-8")]) from None


# -- writing secrets ----------------------------------------------------------------------


def new_secret() -> str:
    """A password of 24 letters, digits, - and _ (144 bits)."""
    return secrets.token_urlsafe(18)


def add_secret(
    home: Path, section: Literal["phones", "trunks", "pins"], name: str, value: str | None
) -> None:
    """Put one secret into the home folder's secrets file, which stays ours alone; replaces an older one.
    None: it is taken out.

    Raises BadFile when the file is not fit to be read, or the secret not fit to be kept.
    """
    file = home / SECRETS_FILE
    with _locked(home):
        text = _read_guarded(file) if file.exists() else ""
        document = documents.parse(text, file, "secrets", is_secret=True)
        if value is None:
            document.get(section, {}).pop(name, None)
        else:
            document.setdefault(section, {})[name] = value
        documents.check(document, file, "secrets", is_secret=True)
        write_private(file, "# Passwords. Keep the mode 0600.\n" + documents.dump(document))


def write_private(file: Path, text: str) -> None:
    """Replace *file* as a whole by *text*, readable by its owner only, also after a power cut."""
    write_private_bytes(file, text.encode())


def write_private_bytes(file: Path, content: bytes) -> None:
    """As :func:`write_private`."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        Path(name).replace(file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Two commands that add a secret at one moment do so one after the other."""
    handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
