"""What people chose by a key, as files: the box that the dialplan's scripts drop notes into, and the engine empties.

A choice must not be lost with the engine away, the event socket cut, or Asterisk killed a moment later. So the script writes
``run/choices/<attempt>.json`` first (:mod:`agi.choices`), and only then says so on the event socket. Here:

1. A note is told to the floor (``ContactChose``) with the campaign, the lead and the number that the journal has for its attempt: again and
   again until the floor has had it written down and says ``ForgetChoice``.
2. A note is deleted only if it says what was told. A later one in its place stays, and is told in its turn.
   A call to us that the journal does not know came while no engine ran: the note has all that is needed to write it down (``CallMissed``).
3. Before an engine may dial (at its start, and whenever the event socket opens again) the box is read to its end.
4. Nothing in a note is believed but the choice: the attempt must be one of ours, and *due* an instant within reason. What is no such note is
   moved to ``refused/`` with a line in the log, for a person to look at; it is not lost, and it is not in the way.

The methods touch the disk: they are called off the event loop's thread.
"""

from __future__ import annotations

import logging
import math
import os
import stat
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from dialer.core import events as ev
from dialer.core.conduct import Choice
from dialer.core.ids import AttemptId, is_attempt
from dialer.core.values import Call

log = logging.getLogger(__name__)

NOTE_BYTES_MAX = 4096
"""A note is a tenth of that."""
DUE_S_MAX = 370 * 86_400.0
"""Nobody is promised a call so far ahead."""
DUE_S_MIN = 86_400.0 * 3660
"""Before 1980 no clock was right."""
REFUSED = "refused"
"""The folder for what is no note."""
SCRATCH_S = 3600.0
"""A note that was begun and not finished is so old before it is cleared away: whoever wrote it is gone."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What the script wrote. *at*: when the key was pressed. *due*: of ``later``.

    Of a person who called us also *campaign*, *did*, *caller* (empty: withheld), *trunk* and (of several) *server*, and no *choice*
    when they made none.
    """

    attempt: str
    choice: Choice | None
    at: float
    due: float | None = None
    campaign: str = ""
    did: str = ""
    caller: str = ""
    trunk: str = ""
    server: str = ""

    @property
    def is_inbound(self) -> bool:
        """Whether the note is of a person who called us."""
        return bool(self.did)


class Choices:
    """The box *folder*, made if it is missing (mode 0700). Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._told: dict[AttemptId, tuple[str | None, float | None]] = {}
        self._told_at: dict[AttemptId, float] = {}
        """By the monotonic clock."""

    def read(self) -> list[Note]:
        """All notes, oldest first. What is no note is moved aside. Raises OSError: the folder cannot be read."""
        notes = []
        with os.scandir(self.folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name != REFUSED)
        for name in names:
            if name.startswith("."):
                self._clear_scratch(name)
                continue
            try:
                notes.append(self._read_one(name))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                self.refuse(name, str(error))
        return sorted(notes, key=lambda note: note.at)

    def untold(self, notes: Iterable[Note], again_s: float) -> list[Note]:
        """Those of *notes* that were never told, or not as they are, or more than *again_s* seconds ago."""
        now = time.monotonic()
        found = []
        for note in notes:
            attempt = AttemptId(note.attempt)
            told = self._told.get(attempt)
            if told is None or not _is_same(note, told) or now - self._told_at[attempt] > again_s:
                found.append(note)
        return found

    def events(
        self, notes: Iterable[Note], calls: Mapping[AttemptId, Call], at: float
    ) -> list[ev.ContactChose]:
        """*notes* as events of the instant *at*. *calls*: what the journal has; an attempt that it does not know is refused."""
        events = []
        for note in notes:
            call = calls.get(AttemptId(note.attempt))
            if call is None:
                self.refuse(f"{note.attempt}.json", "the journal knows no such attempt")
                continue
            if note.choice is None:  # the journal has the call, and there is nothing else to say
                self._told[call.attempt] = (None, None)
                self.forget(call.attempt)
                continue
            event = ev.ContactChose(
                at=at,
                attempt=call.attempt,
                choice=note.choice,
                due=note.due,
                campaign=call.campaign,
                lead=call.lead,
                number=call.number,
            )
            self.tell(event)
            events.append(event)
        return events

    def tell(self, event: ev.ContactChose | ev.CallMissed) -> None:
        """*event* is told to the floor now (from a note, or from Asterisk)."""
        self._told_at[event.attempt] = time.monotonic()
        self._told[event.attempt] = (event.choice, event.due)

    def forget(self, attempt: AttemptId) -> None:
        """What was told of *attempt* last has been written down: its note goes, if it says the same."""
        told = self._told.pop(attempt, None)
        name = f"{attempt}.json"
        if not is_attempt(attempt):
            return
        try:
            note = self._read_one(name)
            if told is not None and not _is_same(note, told):
                return
            (self.folder / name).unlink()
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning(
                "The note of a choice cannot be cleared away",
                extra={"action": "choice", "attempt": attempt, "error": str(error)},
            )

    def refuse(self, name: str, why: str) -> None:
        """Move *name* aside, and say so."""
        aside = self.folder / REFUSED
        log.error(
            "A choice cannot be taken up; it is moved aside",
            extra={"action": "choice", "file": name, "to": str(aside), "error": why},
        )
        try:
            aside.mkdir(mode=0o700, exist_ok=True)
            place, serial = aside / name, 0
            while place.exists():
                serial += 1
                place = aside / f"{name}.{serial}"
            (self.folder / name).rename(place)
        except OSError as error:
            log.error(
                "It cannot be moved either", extra={"action": "choice", "file": name, "error": str(error)}
            )

    def _read_one(self, name: str) -> Note:
        """The note *name*. Raises ValueError: it is none; OSError."""
        stem, _, ending = name.partition(".")
        if ending != "json" or not is_attempt(stem):
            raise ValueError("its name is not ATTEMPT.json")
        # no link is followed, and no pipe is waited for
        handle = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ValueError("it is no file")
            content = file.read(NOTE_BYTES_MAX + 1)
        if len(content) > NOTE_BYTES_MAX:
            raise ValueError(f"it is longer than {NOTE_BYTES_MAX} bytes")
        note = msgspec.json.decode(content, type=Note)  # its errors are ValueErrors
        if note.attempt != stem:
            raise ValueError(f"it speaks of another attempt than its name: {note.attempt[:40]!r}")
        if note.choice is None and not note.is_inbound:
            raise ValueError("there is no choice in it")
        if (note.due is None) == (note.choice == "later"):
            raise ValueError("due is given with later, and with nothing else")
        for name_, value in (("at", note.at), ("due", note.due)):
            if value is not None and not (
                math.isfinite(value) and DUE_S_MIN <= value <= time.time() + DUE_S_MAX
            ):
                raise ValueError(f"{name_} is no instant within reason: {value!r}")
        return note

    def _clear_scratch(self, name: str) -> None:
        path = self.folder / name
        try:
            if path.lstat().st_mtime < time.time() - SCRATCH_S:
                self.refuse(name, "it was begun and never finished")
        except FileNotFoundError:
            return


def _is_same(note: Note, told: tuple[str | None, float | None]) -> bool:
    """Instants are compared as they travel on the event socket: to the second."""
    choice, due = told
    if note.choice != choice:
        return False
    return note.due is None or (due is not None and abs(note.due - due) < 1.0)
