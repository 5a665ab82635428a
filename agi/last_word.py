"""The last word to a person who answered and meets no operator: what they chose is done, and every path ends politely.

The dialplan says who is calling and what may be chosen, then runs this, engine or no engine::

    python -P -m agi.last_word im-sorry&goodbye IVR_FOLDER CHOICES_FOLDER CAMPAIGN ATTEMPT [KEY]

1. KEY was pressed in the dialplan's menu. Without one there was no menu (nothing may be chosen, or what the engine laid out is missing):
   then all is said here, from our own sounds, Asterisk's recorded ones (the first argument), or by a tone.
2. A key that means nothing is told so, and the menu said again; who is silent then hears goodbye.
3. ``refuse`` and ``later`` are written down in CHOICES_FOLDER before a word of thanks (:mod:`agi.choices`), and then told to the engine, if
   there is one. They are promised only if they are on the disk.
4. ``wait`` sets ``OBZVON_NEXT=operator``, and the dialplan gives the person back to the engine. If that fails, the dialplan says so and
   offers the rest. Who waited already (``OBZVON_WAITED=yes``) is not offered it again.
5. Nothing that the channel says is believed: ids become file names only in their form.
6. ``OBZVON_SAID=yes``: the person was told what there was to tell. When it is not set (this failed, it could not even start), the dialplan
   speaks by itself: the person never meets silence.

Hanging up is the dialplan's. The person may do so at any point: that ends this quietly, and what was chosen stands. Who hung up before this
had begun finds their choice written down all the same.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence

from agi import choices, clock
from agi.desk import Desk, load
from agi.session import AgiError, HungUp, Session

SAID = "OBZVON_SAID"
NEXT = "OBZVON_NEXT"
EVENT = "ObzvonChoice"
TONE = "obzvon-sorry"
TONE_S = 2
KEY_MS = 5000
"""So long a key is waited for when all has been said."""
ROUNDS = 2
"""A menu is said so often."""
KEYS = "0123456789*#"
AT_ONCE = frozenset({"refuse", "confirm"})
"""Choices that need no further question."""


class LastWord:
    """One call. *box*: the folder for choices. *recorded*: Asterisk's own sounds, for when there are none of ours.
    *is_noted*: whether what was pressed is written down already (:data:`AT_ONCE`); None: that was not tried."""

    def __init__(
        self,
        session: Session,
        desk: Desk,
        box: str,
        attempt: str,
        *,
        recorded: Sequence[str] = (),
        is_noted: bool | None = None,
    ) -> None:
        self._session = session
        self._desk = desk
        self._box = box
        self._recorded = recorded
        self._is_noted = is_noted
        self._attempt = attempt

    @staticmethod
    def choices(desk: Desk) -> Mapping[str, str]:
        """What each key means here."""
        return desk.offers

    def speak(self, pressed: str = "") -> None:
        """Do what was *pressed* in the menu, or say all that there is to say, to its end.

        Raises:
            AgiError: the call ended, or Asterisk does not do as it is asked.
        """
        session = self._session
        if self.choices(self._desk).get(pressed) == "refuse":
            self._refuse()
            return
        session.answer()
        offers = dict(self._desk.offers)
        opening = ["sorry"] if self._desk.has_who else []
        if session.read("OBZVON_WAITED") == "yes":
            offers = {key: choice for key, choice in offers.items() if choice != "wait"}
            opening = ["alone" if session.read("OBZVON_ALONE") == "yes" else "still_nobody"]
        if offers:
            self._menu(offers, opening, pressed)
        else:
            self._end(opening or ([] if self._heard_who() else ["sorry"]))

    def _heard_who(self) -> bool:
        """Whether the dialplan has said something: who calls, or our regret."""
        return self._session.read("BACKGROUNDSTATUS") == "SUCCESS" or "sorry" in self._desk.sounds

    def _menu(self, offers: Mapping[str, str], opening: list[str], pressed: str) -> None:
        key: str | None = pressed or None
        spoken = [*opening, *(f"{choice}_{place}" for place, choice in offers.items())]
        left = dict(offers)
        for _ in range(ROUNDS + bool(pressed)):
            if key is None:
                key = self._ask(spoken)
            choice = left.get(key or "")
            if choice == "later" and not self._later():
                left = {key: other for key, other in left.items() if other != "later"}
                key, spoken = None, [f"{other}_{place}" for place, other in left.items()]
                if not left:
                    break
                continue
            if choice == "wait":
                self._wait()
            elif choice == "refuse":
                self._refuse()
            elif choice is None:
                spoken = [*(["wrong"] if key else []), *(f"{other}_{place}" for place, other in left.items())]
                key = None
                continue
            return
        self._end(["wrong"] if spoken[:1] == ["wrong"] else [])

    # -- what may be chosen ---------------------------------------------------------------

    def _wait(self, choice: str = "wait") -> None:
        self._tell(choice)
        self._say(["stay"])
        self._session.write(NEXT, "operator")
        self._session.write(SAID, "yes")

    def _refuse(self) -> None:
        self._end(["refused"] if self._note("refuse") else ["not_noted"])

    def _later(self) -> bool:
        """Let the person choose a time; whether that was the end of the call."""
        now = time.time()
        offers = self._desk.offers_at(
            now, self._session.read("OBZVON_KIND") or "", self._session.read("OBZVON_ZONES") or ""
        )
        if not offers:
            self._say(["no_times"])
            return False
        times = {
            str(place): (one, clock.phrases(one.due, now, one.clock, one.in_hours, self._desk.language))
            for place, one in enumerate(offers, 1)
        }
        menu = [name for key, (_, words) in times.items() for name in (*words, f"press_{key}")]
        opening = ["when"]
        for _ in range(ROUNDS):
            key = self._ask([*opening, *menu])
            if key in times:
                one, words = times[key]
                self._end(["promised", *words] if self._note("later", one.due) else ["not_noted"])
                return True
            opening = ["wrong"] if key else ["when"]
        self._end(["wrong"] if key else [])
        return True

    def _note(self, choice: str, due: float | None = None) -> bool:
        """Write the choice down, if that is not done yet, and tell the engine; whether it is written down."""
        is_noted, self._is_noted = self._is_noted, None
        if is_noted is None:
            is_noted = self._write_down(choice, due)
        self._tell(choice, due)
        return is_noted

    def _write_down(self, choice: str, due: float | None) -> bool:
        return note(self._box, self._attempt, choice, due)

    def _tell(self, choice: str, due: float | None = None) -> None:
        fields = [f"choice: {choice}"]
        if due is not None:
            fields.append(f"due: {int(due)}")
        self._session.run("UserEvent", EVENT, *fields)

    # -- saying and asking ------------------------------------------------------------------

    def _ask(self, names: Sequence[str]) -> str | None:
        """Say what *names* name until a key is pressed; the key, or None when none is in time."""
        for name in names:
            sound = self._desk.sounds.get(name)
            if sound is not None:
                key, _ = self._session.play(sound, KEYS)
                if key is not None:
                    return key
        return self._session.wait_for_key(KEY_MS)

    def _say(self, names: Sequence[str]) -> bool:
        """Say what *names* name to its end; whether anything was heard."""
        heard = [
            self._session.play(sound, "")[1]
            for name in names
            if (sound := self._desk.sounds.get(name)) is not None
        ]
        return any(heard)

    def _end(self, names: Sequence[str]) -> None:
        """Say it, and goodbye; from what is recorded, or by a tone, where there is nothing of ours."""
        if not self._say([*names, "goodbye"]):
            say_recorded(self._session, self._recorded)
        self._session.write(SAID, "yes")


def note(box: str, attempt: str, choice: str, due: float | None = None) -> bool:
    """Write *choice* down; whether it is written down."""
    try:
        choices.note(box, attempt, choice, due=None if due is None else float(int(due)))
    except choices.NotNoted as error:
        print(f"last word: a choice is not written down: {error}", file=sys.stderr)
        return False
    return True


def say_recorded(session: Session, sounds: Sequence[str]) -> None:
    """Say *sounds* of Asterisk's own, or a tone if none of them is there."""
    said = [session.say(sound) for sound in sounds]
    if not any(said):
        session.run("Playtones", TONE)
        session.run("Wait", str(TONE_S))
        session.run("StopPlaytones")


def run(script: type[LastWord], args: Sequence[str]) -> int:
    """Run *script* for the call that this process was started for. Exit status 0: said, or the person hung up first;
    1: could not be said."""
    recorded, ivr, box, campaign, attempt, key = [*args, *[""] * 6][:6]
    desk = load(ivr, campaign)
    if desk.problem:
        print(f"last word: {desk.problem}", file=sys.stderr)
    choice = script.choices(desk).get(key, "")
    # before all else, and whether or not anybody is on the line any more
    is_noted = note(box, attempt, choice) if choice in AT_ONCE else None
    sounds = [sound for sound in recorded.split("&") if sound]
    return converse(
        lambda session: script(session, desk, box, attempt, recorded=sounds, is_noted=is_noted), key
    )


def converse(make: Callable[[Session], LastWord], key: str) -> int:
    """Speak on the line that this process was started for; exit status as of :func:`run`."""
    session = None
    try:
        session = Session()
        make(session).speak(key)
    except HungUp:
        return 0
    except AgiError as error:
        print(f"last word: {error}", file=sys.stderr)
        return 1
    finally:
        if session is not None:
            session.close()
    return 0


def main(args: Sequence[str]) -> int:
    """The last word; see :func:`run`."""
    return run(LastWord, args)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
