"""A key pressed in the announcement of a campaign without operators.

The dialplan plays the message, and runs this when a key is pressed, engine or no engine::

    python -P -m agi.announcement im-sorry&goodbye IVR_FOLDER CHOICES_FOLDER CAMPAIGN ATTEMPT KEY

What a key means, the campaign's file says (:class:`dialer.core.conduct.Announcement`). As with the last word (:mod:`agi.last_word`), whose
way of writing choices down and of speaking is ours, too: ``confirm``, ``refuse`` and ``later`` are promised only if they are on the disk.
``operator`` (or ``wait``) sets ``OBZVON_NEXT=operator``; a key that means nothing is told so, and ``OBZVON_NEXT=again``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from agi.desk import Desk
from agi.last_word import NEXT, SAID, LastWord, run


class Announcement(LastWord):
    """One call."""

    @staticmethod
    def choices(desk: Desk) -> Mapping[str, str]:
        """What each key means here."""
        return desk.keys

    def speak(self, pressed: str = "") -> None:
        """Do what was *pressed*.

        Raises:
            AgiError: the call ended, or Asterisk does not do as it is asked.
        """
        match self._desk.keys.get(pressed):
            case "confirm":
                self._end(["confirmed"] if self._note("confirm") else ["not_noted"])
            case "refuse":
                self._refuse()
            case "operator" | "wait" as choice:
                self._wait(choice)
            case "later":
                if not self._later():
                    self._again([])
            case _:
                self._again(["wrong"])

    def _again(self, names: Sequence[str]) -> None:
        self._say(names)
        self._session.write(SAID, "yes")
        self._session.write(NEXT, "again")


if __name__ == "__main__":
    sys.exit(run(Announcement, sys.argv[1:]))
