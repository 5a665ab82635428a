"""The last word to a person who answered and for whom there is nobody: say something polite, and end.

The dialplan runs this when no engine takes the person, or when the engine gives the person up::

    python -P -m agi.last_word im-sorry&goodbye

It says the recorded sounds; those that are missing are passed over; if none can be said, a tone is.
It sets ``OBZVON_SAID=yes`` when the person heard something. When it does not (it failed, it could not
even start), the dialplan speaks by itself: the person never meets silence. Hanging up is the dialplan's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from agi.session import AgiError, HungUp, Session

SAID = "OBZVON_SAID"
TONE = "obzvon-sorry"
TONE_S = 2


def say_last_word(session: Session, sounds: Sequence[str]) -> None:
    """Say *sounds*, or a tone if none of them is there.

    :raises AgiError: the call ended, or Asterisk does not do as it is asked.
    """
    session.answer()
    said = [session.say(sound) for sound in sounds]
    if not any(said):
        session.run("Playtones", TONE)
        session.run("Wait", str(TONE_S))
        session.run("StopPlaytones")
    session.write(SAID, "yes")


def main(args: Sequence[str]) -> int:
    """Exit status 0: said, or the person hung up first; 1: could not be said."""
    sounds = [sound for sound in args[0].split("&") if sound] if args else []
    session = None
    try:
        session = Session()
        say_last_word(session, sounds)
    except HungUp:
        return 0
    except AgiError as error:
        print(f"last word: {error}", file=sys.stderr)
        return 1
    finally:
        if session is not None:
            session.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
