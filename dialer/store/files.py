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

__all__ = [
    "AsteriskSettings",
    "BadFile",
    "Ports",
    "RecordingSettings",
    "RedisSettings",
    "Secrets",
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
]

SYSTEM_FILE = "obzvon.toml"
SECRETS_FILE = "secrets.toml"
_ENV = "OBZVON_SECRET_"


class AsteriskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The Asterisk that places the calls. *url*: where ARI answers, if it is external."""

    mode: Literal["embedded", "external"] = "embedded"
    url: str = ""
    user: str = "obzvon"


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The Redis that keeps the timers. *url*: without a password, if it is external."""

    mode: Literal["embedded", "external"] = "embedded"
    url: str = ""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where the embedded Asterisk listens; port 0: choose a free one. *rtp*: the first of *rtp_count*."""

    sip_address: str = "127.0.0.1"
    sip: int = 0
    http: int = 0
    rtp: int = 0
    rtp_count: int = 2000


class RecordingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where recordings are kept; once loaded, *folder* is absolute."""

    folder: str = "recordings"


class SystemSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What ``obzvon.toml`` says (``schemas/system.schema.json``), and the home folder it lies in."""

    home: Path
    region: str = "RU"
    language: Literal["en", "ru", "zh"] = "en"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    asterisk: AsteriskSettings = AsteriskSettings()
    redis: RedisSettings = RedisSettings()
    ports: Ports = Ports()
    recordings: RecordingSettings = RecordingSettings()
    centre: Centre = Centre()
    """``[caps]`` and ``[agents]``: rules for all campaigns."""

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
        return self.home / "run" / "engine.sock"


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Passwords. They are not shown by ``repr``, so that none ends in a log.

    *trunks*: by trunk id; *phones*: by extension; read both by :meth:`trunk` and :meth:`phone`.
    *overrides*: from the environment, by the name after ``OBZVON_SECRET_``.
    """

    ari: str = ""
    redis: str = ""
    trunks: dict[str, str] = {}
    phones: dict[str, str] = {}
    overrides: dict[str, str] = {}

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
        if document.get(part, {}).get("mode") == "external" and not document[part].get("url"):
            allowed = properties[part]["properties"]["url"]["x-allowed"]
            found.append(((part, "url"), "is missing, for the mode is external", allowed))
    ports = msgspec.convert(document.get("ports", {}), Ports)
    if ports.rtp and ports.rtp + ports.rtp_count > 65536:
        found.append((("ports", "rtp_count"), "goes past the last port", f"up to {65536 - ports.rtp}"))
    centre = {"caps": document.pop("caps", {}), **document.pop("agents", {})}
    system = msgspec.convert({**document, "home": home, "centre": centre}, SystemSettings)
    folder = str(system.recordings_folder)
    if (fault := bad_in_path(folder)) is not None:
        # Asterisk could not be told where to write: no call would be placed.
        found.append((("recordings", "folder"), f"{folder!r} {fault}", PATH_ALLOWED))
    if found:
        raise documents.refusal(file, found)
    return system


def load_trunk(path: Path) -> Trunk:
    """The trunk in the file *path*. Raises BadFile."""
    document = documents.load(path, "trunk")
    if document.get("register") and not document.get("username"):
        found = (("register",), "true needs a username", "false, or a username beside it")
        raise documents.refusal(path, [found])
    return msgspec.convert(document, Trunk)


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


def add_secret(home: Path, section: Literal["phones", "trunks"], name: str, value: str) -> None:
    """Put one secret into the home folder's secrets file, which stays ours alone; replaces an older one.

    Raises BadFile when the file is not fit to be read, or the secret not fit to be kept.
    """
    file = home / SECRETS_FILE
    with _locked(home):
        text = _read_guarded(file) if file.exists() else ""
        document = documents.parse(text, file, "secrets", is_secret=True)
        document.setdefault(section, {})[name] = value
        documents.check(document, file, "secrets", is_secret=True)
        write_private(file, "# Passwords. Keep the mode 0600.\n" + documents.dump(document))


def write_private(file: Path, text: str) -> None:
    """Replace *file* as a whole by *text*, readable by its owner only, also after a power cut."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
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
