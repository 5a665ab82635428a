"""The log of an embedded Asterisk is kept short.

Where strangers reach our SIP port, each request of theirs is a line or two of Asterisk's log (some 400 bytes), a thousand in a second if they like:
that would fill the disk on which the journal is. So a log that has grown long is put aside, of those put aside the newest few are kept,
and Asterisk is told to begin a new one; it renames nothing by itself (``rotatestrategy = none`` in ``logger.conf``). Who runs an Asterisk
of one's own has a log rotation of one's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from dialer.engine.embedded import EmbeddedAsterisk
from dialer.engine.logs import FILE_BYTES_MAX, FILES
from dialer.engine.process import EmbeddedError

log = logging.getLogger(__name__)

LOOK_S = 5.0
"""It is looked so often how long the log is."""


async def keep_short(asterisk: EmbeddedAsterisk) -> None:
    """Look after the log of *asterisk*, for ever."""
    while True:
        await asyncio.sleep(LOOK_S)
        if asterisk.pid is not None:
            try:
                await shorten(asterisk)
            except (OSError, EmbeddedError) as error:
                log.warning(
                    "Asterisk's log cannot be put aside", extra={"action": "log", "error": str(error)}
                )


async def shorten(asterisk: EmbeddedAsterisk, most: int = FILE_BYTES_MAX) -> bool:
    """Put the log aside if it is longer than *most* bytes; whether it was.

    Raises OSError; EmbeddedError: Asterisk does not begin a new one, and goes on with the old.
    """
    path = asterisk.log_path
    if not await asyncio.to_thread(_put_aside, path, most):
        return False
    await asterisk.reopen_log()
    return True


def _put_aside(path: Path, most: int) -> bool:
    try:
        if path.stat().st_size <= most:
            return False
    except FileNotFoundError:
        return False
    for number in range(FILES - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            _older(path, number).replace(_older(path, number + 1))
    path.replace(_older(path, 1))
    return True


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
