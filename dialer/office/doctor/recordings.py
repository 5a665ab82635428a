"""Recordings have a folder that we and Asterisk can write, with room."""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dialer.office.doctor.facts import AsteriskFacts, ProcessFacts
from dialer.office.doctor.findings import Finding, fails, ok, warns

FREE_LOW_BYTES = 5_000_000_000
FREE_LEAST_BYTES = 500_000_000
RECORDING_BYTES_S = 32_000
"""Of one recording: 8000 samples a second, 16 bit, two channels."""

MISSING = fails(
    "recordings.folder_missing",
    "The folder of recordings does not exist",
    "make it, and give it to the user who runs Asterisk and the engine",
)
UNWRITABLE = fails(
    "recordings.unwritable",
    "The folder of recordings cannot be written by us",
    "give it to the user who runs Asterisk and the engine",
)
UNWRITABLE_FOR_ASTERISK = fails(
    "recordings.unwritable_for_asterisk",
    "Asterisk's user cannot write the folder of recordings: calls go on and leave no recording",
    "give the folder, and the way to it, to Asterisk's user",
)
FULL = fails(
    "recordings.full",
    "There is hardly any room for recordings",
    "move old recordings away, or set recordings.folder to a larger disk",
)
LOW = warns(
    "recordings.low",
    "There is little room for recordings",
    "move old recordings away, or set recordings.folder to a larger disk",
)
JOURNAL_FULL = fails(
    "journal.full",
    "There is hardly any room for the journal: where it cannot be written, nothing is dialed",
    "free the disk of the home folder",
)
NO_ARI_FOLDER = warns(
    "recordings.ari_folder",
    "Asterisk's own folder of recordings is missing (spool/recording): ARI's record answers 500",
    "mkdir /var/spool/asterisk/recording, and give it to Asterisk's user",
)


def check_folder(folder: Path) -> Iterator[Finding]:
    """There is one, we can write it, and it has room."""
    mend = f"make the folder {folder} and give it to the user who runs Asterisk and the engine"
    if not folder.is_dir():
        yield MISSING.found(f"there is no folder {folder}", mend)
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as scratch:
            scratch.write(b"obzvon")
    except OSError as error:
        yield UNWRITABLE.found(f"{folder} cannot be written: {error.strerror}", mend)
        return
    free = shutil.disk_usage(folder).free
    finding = (
        f"{free / 1e9:.1f} GB free in {folder}, {free / RECORDING_BYTES_S / 3600:.0f} hours of conversation"
    )
    if free < FREE_LEAST_BYTES:
        yield FULL.found(finding)
    elif free < FREE_LOW_BYTES:
        yield LOW.found(finding)
    else:
        yield ok("recordings", finding)


def check_journal(home: Path) -> Iterator[Finding]:
    """The disk of the journal has room: where nothing can be written, nothing is dialed."""
    free = shutil.disk_usage(home).free
    if free < FREE_LEAST_BYTES:
        yield JOURNAL_FULL.found(f"{free / 1e9:.1f} GB free in {home}")


def judge_asterisk(one: AsteriskFacts, folder: Path) -> Iterator[Finding]:
    """Asterisk can write it too, as far as can be told from here."""
    if not one.can_record:
        yield NO_ARI_FOLDER.found(f"{one.name} has no folder for recordings by ARI")
    if one.process is not None and folder.is_dir() and (at := closed_at(folder, one.process)) is not None:
        yield UNWRITABLE_FOR_ASTERISK.found(
            f"{one.name} runs as user {one.process.uid}, who may not write {folder}"
            + (f" (closed at {at})" if at != folder else "")
        )


def closed_at(folder: Path, who: ProcessFacts) -> Path | None:
    """Where the way to *folder* is closed to *who*: a folder that may not be passed, or *folder* itself; None: nowhere."""
    if who.uid == 0:
        return None
    for part in (*reversed(folder.resolve().parents), folder.resolve()):
        facts = part.stat()
        wanted = stat.S_IXOTH if part != folder.resolve() else stat.S_IWOTH | stat.S_IXOTH
        if facts.st_uid == who.uid:
            wanted <<= 6
        elif facts.st_gid in who.groups:
            wanted <<= 3
        if facts.st_mode & wanted != wanted:
            return part
    return None
