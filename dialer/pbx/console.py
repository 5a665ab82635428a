"""Asterisk's own command line: what ``asterisk -rx COMMAND`` says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path


class NoAnswer(Exception):
    """Asterisk did not answer; the message, which has no subject, says to what."""


class NoAnswerInTime(NoAnswer):
    """It took too long."""


async def ask(argv: Sequence[str], conf: Path, command: str, within_s: float) -> str:
    """What the Asterisk that runs by the configuration *conf* answers to *command*. *argv*: its program. Raises NoAnswer."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        *("-C", str(conf), "-rx", command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), within_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise NoAnswerInTime(f"did not answer {command!r} within {within_s:g} s") from None
    text = output.decode(errors="replace")
    if process.returncode != 0:
        raise NoAnswer(f"did not answer {command!r}: {text.strip()[-300:]}")
    return text
