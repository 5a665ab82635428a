"""Passwords: ``secrets.toml`` of the home folder, and the environment.

1. The file is read only if nobody but its owner can read it, and written whole.
2. A secret from the environment (``OBZVON_SECRET_...``) goes before the file's.
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
from typing import Literal

import msgspec

from dialer.core.ids import ServerId
from dialer.store import documents
from dialer.store.documents import BadFile, Mistake

SECRETS_FILE = "secrets.toml"
_ENV = "OBZVON_SECRET_"


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


# -- writing ------------------------------------------------------------------------------


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
