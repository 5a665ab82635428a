"""A person who called us and met nobody: a callback is offered, and what became of the call is written down.

The dialplan says why nobody takes the call and what may be chosen, and runs this when a key is pressed, engine or no engine::

    python -P -m agi.inbound im-sorry&goodbye IVR_FOLDER CHOICES_FOLDER CAMPAIGN ATTEMPT KEY DID CALLER TRUNK SYSTEM

As with the last word (:mod:`agi.last_word`), whose way of speaking and of writing choices down is ours, too. KEY is a key, or nothing, or,
when the call is over, a word for what became of it. SYSTEM is Asterisk's ``systemname``, by which of several servers tells which one it is:

1. Before all else the call is a note: an engine that never heard of it learns our number, the caller's, the trunk and the server from it. So a missed call is not
   lost, whatever fails afterwards. An engine that knows the call clears the note away.
2. ``callback`` is ``later`` with the present instant: as soon as an operator is free and the person may be called.
   ``later`` lets them choose a time.
3. ``voicemail`` and ``forwarded`` say that they left a message, or were connected with another number.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from agi import choices
from agi.desk import Desk, load
from agi.last_word import ROUNDS, LastWord, converse

LEFT = ("missed", "voicemail", "forwarded")
"""What may have become of a call that is over; ``missed``: nothing."""
NUMBER = re.compile(r"\+?[0-9]{1,32}\Z", re.ASCII)
DID = re.compile(r"[+0-9A-Za-z_.-]{1,64}\Z", re.ASCII)
TRUNK = re.compile(r"[a-z0-9_-]{1,32}\Z", re.ASCII)


SYSTEM = re.compile(r"server-(?P<server>[a-z0-9_-]{1,32})\Z", re.ASCII)


class Inbound(LastWord):
    """One call. *origin*: its numbers, its trunk and its server, as they stand in each note of it. *at*: when the key was pressed."""

    def __init__(self, *args: Any, origin: Mapping[str, str], at: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self._origin = origin
        self._at = at

    @staticmethod
    def choices(desk: Desk) -> Mapping[str, str]:
        """What each key means here."""
        return desk.recall

    def speak(self, pressed: str = "") -> None:
        """Do what was *pressed*, or say what may be.

        Raises:
            AgiError: the call ended, or Asterisk does not do as it is asked.
        """
        offers = dict(self._desk.recall)
        key: str | None = pressed or None
        for _ in range(ROUNDS + bool(pressed)):
            names = [f"{choice}_{place}" for place, choice in offers.items()]
            if key is None:
                key = self._ask(names)
            match offers.get(key or ""):
                case "callback":
                    self._end(["promised"] if self._note("later", self._at) else ["not_noted"])
                    return
                case "later" if self._later():
                    return
                case "later":
                    offers = {place: choice for place, choice in offers.items() if choice != "later"}
                case _:
                    self._say(["wrong"] if key else [])
            key = None
        self._end([])

    def _write_down(self, choice: str, due: float | None) -> bool:
        return note(self._box, self._attempt, choice, self._origin, due)


def note(
    box: str, attempt: str, choice: str | None, origin: Mapping[str, str], due: float | None = None
) -> bool:
    """Write down what became of the call; whether it is written down."""
    try:
        choices.note(box, attempt, choice, due=None if due is None else float(int(due)), more=origin)
    except choices.NotNoted as error:
        print(f"inbound: a call is not written down: {error}", file=sys.stderr)
        return False
    return True


def origin_of(campaign: str, did: str, caller: str, trunk: str, system: str = "") -> dict[str, str]:
    """What a note says of where the call came from. What has not its form is left out."""
    forms = {"did": (did, DID), "caller": (caller, NUMBER), "trunk": (trunk, TRUNK)}
    found = {name: text for name, (text, form) in forms.items() if form.match(text)}
    if named := SYSTEM.match(system):
        found["server"] = named["server"]
    return {"campaign": campaign, **found}


def main(args: Sequence[str]) -> int:
    """Exit status 0: done, or the person hung up first; 1: something could not be said or written."""
    recorded, ivr, box, campaign, attempt, key, did, caller, trunk, system = [*args, *[""] * 10][:10]
    origin = origin_of(campaign, did, caller, trunk, system)
    left = key if key in LEFT else "missed"
    is_noted = note(box, attempt, None if left == "missed" else left, origin)
    if key in LEFT:
        return 0 if is_noted else 1
    desk = load(ivr, campaign)
    if desk.problem:
        print(f"inbound: {desk.problem}", file=sys.stderr)
    at = time.time()
    if desk.recall.get(key) == "callback":  # the person may be gone already
        note(box, attempt, "later", origin, at)
    sounds = [sound for sound in recorded.split("&") if sound]
    return converse(
        lambda session: Inbound(session, desk, box, attempt, recorded=sounds, origin=origin, at=at), key
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
