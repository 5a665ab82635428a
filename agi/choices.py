"""A choice is written down before anything else is done about it, so that nothing that ends later can lose it.

``<folder>/<attempt>.json``: written beside, synced, renamed, and the folder synced: it is there whole, or not at all. The engine reads the folder
(:mod:`dialer.engine.choices`) and deletes what it has in its journal.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

ATTEMPT = re.compile(r"a[0-9a-v]{20}\Z")
"""The form of an attempt id (:func:`dialer.core.ids.is_attempt`): it becomes a file's name."""


class NotNoted(Exception):
    """The choice is not on the disk; the message says why."""


def note(
    folder: str, attempt: str, choice: str | None, *, due: float | None = None, more: Mapping[str, str] = {}
) -> None:
    """Write down that the person of *attempt* made *choice* now, and (``later``) when they are *due*. *more*: what else is
    to be known of the call.

    Raises:
        NotNoted: *attempt* is none, or the disk refuses.
    """
    if not ATTEMPT.match(attempt):
        raise NotNoted("the call has no attempt id")
    said = {**more, "attempt": attempt, "choice": choice, "at": time.time()}
    if due is not None:
        said["due"] = due
    name = Path(folder, f"{attempt}.json")
    scratch = Path(folder, f".{attempt}.{os.getpid()}.new")
    try:
        _write(scratch, name, json.dumps(said).encode())
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise NotNoted(f"{name}: {error.strerror}") from error


def _write(scratch: Path, name: Path, content: bytes) -> None:
    name.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(name)
    handle = os.open(name.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
