"""Who rings the access number: an operator on an outside line, or somebody who would like to be one?

The dialplan (``dialplan/25-access.conf``) answers and runs this::

    python -P -m agi.access FOLDER [EXTENSION]

1. It asks for the extension and the PIN, each ended by ``#`` (or both in one go: ``EXTENSION*PIN#``), at most :data:`TRIES` times. ``OBZVON_PHONE`` is set to the extension
   if the PIN fits, and stays empty otherwise; all else is the dialplan's. With EXTENSION, for an operator whom we called, only the
   PIN is asked for.
2. What is kept of the PINs are salted scrypt hashes (:mod:`dialer.core.pins`) in ``FOLDER/pins.json``, a file of mode 0600. An
   extension that does not exist takes as long to refuse as a wrong PIN, and sounds the same.
3. Every try is written down **before** it is judged (``FOLDER/tries.json``, under a lock), and taken back only if the PIN fits: many
   calls at once get no more tries than one after the other.
4. After too many tries that failed within :data:`WINDOW_S` (of one extension, from one caller, or together) every PIN is refused until
   the oldest is past; who is refused is told no more than that it was wrong. The reason is in Asterisk's log.
5. If anything fails (no file, a full disk), nobody gets in.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agi.session import AgiError, Session
from dialer.core import pins

TRIES = 3
"""In one call."""
WINDOW_S = 900.0
EXTENSION_MAX = 5
"""Tries that failed within the window: of one extension,"""
CALLER_MAX = 10
"""from one number,"""
ALL_MAX = 30
"""and together. With PINs of eight digits who tries them all day gets 2,880 tries: three chances in a hundred thousand."""

PAUSE_MS = 7_000
"""So long the next key is waited for."""
KEYS_MAX = 24
PHONE = "OBZVON_PHONE"
ASK_EXTENSION = "agent-user"
ASK_PIN = "agent-pass"
WRONG = "agent-incorrect"
"""Asks for the extension again, too;"""
WRONG_PIN = "auth-incorrect"
"""this for the PIN."""
TONE_ASK, TONE_WRONG, TONE_S = "obzvon-call", "obzvon-no", 1

_EXTENSION = re.compile(r"[0-9]{2,10}\Z")


class Access:
    """One call. *folder*: where ``pins.json`` and ``tries.json`` lie. *caller*: the number that is shown."""

    def __init__(self, session: Session, folder: Path, caller: str) -> None:
        self._session = session
        self._folder = folder
        self._caller = re.sub(r"[^0-9+]", "", caller)[:20]

    def ask(self, called: str = "") -> str:
        """The extension of the operator who proved to be one; empty: nobody did. *called*: whom we called.

        Raises:
            AgiError: the call ended.
        """
        prompt = ASK_PIN if called else ASK_EXTENSION
        for _ in range(TRIES):
            keys = self._hear(prompt)
            if called:
                extension, pin = called, keys
            else:
                extension, star, pin = keys.partition("*")
                pin = pin if star else self._hear(ASK_PIN)
            why_not = self._judge(extension, pin)
            if not why_not:
                return extension
            who, whence = extension or "nobody", self._caller or "an unknown number"
            self._log(f"access refused ({why_not}) to {who} from {whence}")
            prompt = WRONG_PIN if called else WRONG
        return ""

    def _judge(self, extension: str, pin: str) -> str:
        """Why not; empty if the PIN fits."""
        try:
            kept = self._kept(extension)
            with counted(self._folder, extension, self._caller, time.time()) as count:
                if count.why_not:
                    return count.why_not
                if pins.fits(pin, kept):
                    count.is_forgiven = True
                    return ""
                return "wrong PIN" if kept else "no such extension has one"
        except (OSError, ValueError) as error:
            return f"it cannot be judged: {error}"

    def _kept(self, extension: str) -> str:
        if not _EXTENSION.match(extension):
            return ""
        kept = json.loads((self._folder / "pins.json").read_text(encoding="utf-8")).get(extension, "")
        return kept if isinstance(kept, str) else ""

    def _hear(self, sound: str) -> str:
        """The keys that are pressed, up to ``#`` or a long pause."""
        keys = self._session.collect(sound, PAUSE_MS, KEYS_MAX)
        if keys is not None:
            return keys
        self._sound(TONE_WRONG if sound in (WRONG, WRONG_PIN) else TONE_ASK)
        keys = ""
        while len(keys) < KEYS_MAX and (key := self._session.wait_for_key(PAUSE_MS)) not in (None, "#"):
            keys += key or ""
        return keys

    def _sound(self, tone: str) -> None:
        self._session.run("Playtones", tone)
        self._session.run("Wait", str(TONE_S))
        self._session.run("StopPlaytones")

    def _log(self, text: str) -> None:
        self._session.run("Log", "NOTICE", re.sub(r"[^ -+\--~]", " ", text))


class Count:
    """What a try is told. *why_not*: it may not be judged. *is_forgiven*: set it, and the try is taken back."""

    def __init__(self, why_not: str) -> None:
        self.why_not = why_not
        self.is_forgiven = False


@contextlib.contextmanager
def counted(folder: Path, extension: str, caller: str, at: float) -> Iterator[Count]:
    """Count a try for *extension* from *caller* before it is judged; it stays counted unless it is forgiven.

    Raises:
        OSError, ValueError: it cannot be counted, so nothing must be judged.
    """
    mark = f"{at:.6f}-{os.getpid()}"
    with _tries(folder, at) as tries:
        count = Count(_why_not(tries, extension, caller))
        if not count.why_not:
            tries.append({"at": at, "mark": mark, "extension": extension[:KEYS_MAX], "caller": caller})
    yield count
    if count.is_forgiven:
        with _tries(folder, at) as tries:
            tries[:] = [one for one in tries if one.get("mark") != mark]


def _why_not(tries: Sequence[dict[str, Any]], extension: str, caller: str) -> str:
    if sum(one.get("extension") == extension for one in tries) >= EXTENSION_MAX:
        return "too many tries of this extension"
    if caller and sum(one.get("caller") == caller for one in tries) >= CALLER_MAX:
        return "too many tries from this number"
    if len(tries) >= ALL_MAX:
        return "too many tries"
    return ""


@contextlib.contextmanager
def _tries(folder: Path, at: float) -> Iterator[list[dict[str, Any]]]:
    """The tries of the window, to be read and changed; nobody else does so meanwhile."""
    handle = os.open(folder / "tries.json", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        # a file that is damaged is an error, and nobody gets in: else who can damage it could try for ever
        try:
            tries = [one for one in json.loads(text or "[]") if abs(at - float(one["at"])) < WINDOW_S]
        except (TypeError, KeyError) as error:
            raise ValueError(f"tries.json is damaged: {error}") from error
        yield tries
        # In one piece, blanks over what was longer: whenever this process ends (the power, too), what is counted stands.
        content = json.dumps(tries).encode()
        os.pwrite(handle, content.ljust(len(text.encode())), 0)
        os.ftruncate(handle, len(content))


def main(args: Sequence[str]) -> int:
    """Ask, and set ``OBZVON_PHONE``. Exit status 0: somebody is let in; 1: nobody."""
    folder, called = Path(args[0]), "".join(args[1:2])
    session = Session()
    try:
        # whom we called shows a number of ours
        caller = "" if called else session.variables.get("agi_callerid", "")
        extension = Access(session, folder, caller).ask(called)
        session.write(PHONE, extension)
        return 0 if extension else 1
    except AgiError:
        return 1
    finally:
        session.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
