"""Files of Asterisk's configuration: written whole, and then renamed, so that nobody reads half of one."""

from __future__ import annotations

import os
from pathlib import Path


def read_file(path: Path) -> str | None:
    """What *path* holds, whatever its bytes are (:func:`write_file` writes them back); None: there is no such file. Raises OSError."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_file(path: Path, text: str, *, mode: int = 0o600, owner: os.stat_result | None = None) -> None:
    """Replace *path* by *text*, with *mode* from the first byte on. *owner*: whose it is to be, if we are root: given to the open file,
    never to a name, behind which there may be another file by then. Raises OSError."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
        if owner is not None and os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.fchmod(file.fileno(), mode)
        file.write(text)
    scratch.replace(path)
