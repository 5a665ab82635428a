"""One conversation with Asterisk over AGI: a thin, strict coat over pyst2.

What the coat adds:

1. Every argument is quoted so that Asterisk reads back exactly what was given. pyst2 does not escape, so
   data (a contact's name, say) could close its quotes, or with a line break send a command of its own.
2. Errors are typed. pyst2 says a bare ``ValueError`` when the pipe is closed or Asterisk says ``HANGUP``
   between two answers.
3. Nothing is written to standard error: pyst2 repeats the whole conversation there, secrets included.

The person may hang up at any point; then every method raises :class:`HungUp`.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from asterisk import agi as pyst2


class AgiError(Exception):
    """Something that Asterisk was asked for over AGI did not come about."""


class HungUp(AgiError):
    """The call is over."""


class Refused(AgiError):
    """Asterisk does not know the command, or does not carry it out as it was given."""


class Garbled(AgiError):
    """Asterisk's answer is not one."""


class BadArgument(AgiError, ValueError):
    """A value cannot be sent over AGI: it holds a line break or another control character."""


class Session:
    """The call that this process was started for.

    :raises HungUp: Asterisk is not at the other end (any more).
    """

    def __init__(self, stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
        self._stdout = stdout or sys.stdout
        self._end = "0"
        """How far the last sound was played, in samples."""
        self._agi = pyst2.AGI(stdin or sys.stdin, self._stdout, _Nowhere())
        if not self._agi.env:
            raise HungUp("Asterisk said nothing of the call")

    @property
    def variables(self) -> Mapping[str, str]:
        """What Asterisk said of the call at the start: ``agi_uniqueid``, ``agi_callerid``, …"""
        env: dict[str, str] = self._agi.env
        return env

    def answer(self) -> None:
        """Answer the call, if it is not yet answered."""
        self._execute("ANSWER")

    def say(self, sound: str) -> bool:
        """Play a recorded sound to its end; whether it was there to be played."""
        self.run("Playback", sound)
        return self.read("PLAYBACKSTATUS") == "SUCCESS"

    def play(self, sound: str, keys: str) -> tuple[str | None, bool]:
        """Play a recorded sound until its end, or until one of *keys* is pressed: the key, or None; and whether anything was there to be played.

        *sound*: its path without an ending.
        """
        result, _ = self._execute("STREAM FILE", sound, keys)
        if not result.isdigit():
            raise Garbled(f"a key of {result!r}")
        key = chr(int(result)) if result != "0" else None
        return key, key is not None or self._end != "0"

    def collect(self, sound: str, within_ms: int, most: int) -> str | None:
        """The keys that are pressed while a sound is played and after it, up to ``#``, to *most* of them, or to a pause of *within_ms*;
        None: there is no such sound. One command takes them all: between two commands keys are lost.
        """
        try:
            keys, _ = self._execute("GET DATA", sound, str(int(within_ms)), str(int(most)))
        except HungUp:
            # Asterisk says the same of a sound that is not there; who is gone is gone for the next command, too
            self.read("CHANNEL(state)")
            return None
        return keys

    def run(self, application: str, *arguments: str) -> None:
        """Run an application of the dialplan. An argument must not hold what the application divides by.

        :raises Refused: there is no such application.
        """
        result, _ = self._execute("EXEC", application, ",".join(arguments))
        if result == "-2":
            raise Refused(f"there is no application {application}")

    def read(self, variable: str) -> str | None:
        """The value of a channel variable; None when it is not set."""
        result, data = self._execute("GET VARIABLE", variable)
        return data if result == "1" else None

    def write(self, variable: str, value: str) -> None:
        """Set a channel variable.

        :raises BadArgument: the value holds a control character.
        """
        self._execute("SET VARIABLE", variable, value)

    def wait_for_key(self, within_ms: int) -> str | None:
        """The next key that the person presses; None when none is pressed in time."""
        result, _ = self._execute("WAIT FOR DIGIT", str(int(within_ms)))
        if not result.isdigit():
            raise Garbled(f"a key of {result!r}")
        return chr(int(result)) if result != "0" else None

    def hang_up(self) -> None:
        """End the call."""
        self._execute("HANGUP")

    def close(self) -> None:
        """Let go of the pipe, so that the end of the process does not stumble over a call that ended first."""
        try:
            self._stdout.flush()
        except (OSError, ValueError):
            if self._stdout is sys.stdout:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stdout.fileno())
                os.close(nowhere)

    def _execute(self, command: str, *arguments: str) -> tuple[str, str]:
        """The result of a command, and the text in parentheses after it."""
        quoted = [quote(argument) for argument in arguments]
        try:
            answer: dict[str, Any] = self._agi.execute(command, *quoted)
        except pyst2.AGIHangup as error:
            raise HungUp(str(error)) from error
        except pyst2.AGIAppError as error:
            # pyst2's word for a result of -1: by the AGI protocol, the channel is gone
            raise HungUp(f"{command}: {error}") from error
        except (pyst2.AGIInvalidCommand, pyst2.AGIUsageError) as error:
            raise Refused(f"{command}: {error}") from error
        except pyst2.AGIUnknownError as error:
            code = error.args[0] if error.args else None
            if code == CODE_DEAD_CHANNEL:
                raise HungUp(f"{command}: the channel is dead") from error
            raise Garbled(f"{command}: answered with code {code}") from error
        except ValueError as error:
            # no number where a code should be: the pipe is closed, or an inline HANGUP
            raise HungUp(f"{command}: Asterisk is gone") from error
        except OSError as error:
            raise HungUp(f"{command}: {error.strerror}") from error
        value, data = answer["result"]
        self._end = str(answer.get("endpos", ("0", ""))[0])
        return str(value), str(data)


CODE_DEAD_CHANNEL = 511


def quote(argument: str) -> str:
    """*argument* in quotes, as Asterisk's reader of AGI commands takes it apart again.

    :raises BadArgument: it holds a control character.
    """
    if any(ord(char) < 32 or ord(char) == 127 for char in argument):
        raise BadArgument("control characters (a line break, say) cannot be sent over AGI")
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class _Nowhere(io.TextIOBase):
    """Where pyst2's chatter goes."""

    def write(self, text: str, /) -> int:
        return len(text)
