"""The last word: something is always said, and nothing stumbles when the person hangs up."""

from __future__ import annotations

import io
import sys

import pytest

from agi import last_word
from agi.session import Session

ENV = "agi_request: last_word\nagi_uniqueid: a0123\n\n"


class Pbx:
    """Answers AGI commands like an Asterisk that has only the *sounds* given; gone after *patience* commands."""

    def __init__(self, sounds: set[str], patience: int = 1000) -> None:
        self.commands: list[str] = []
        self.variables: dict[str, str] = {}
        self._sounds = sounds
        self._patience = patience
        self._answers = ENV.splitlines(keepends=True)

    def write(self, line: str) -> None:
        self.commands.append(line.strip())
        if len(self.commands) > self._patience:
            return
        words = line.strip().split('"')
        answer = "200 result=0"
        if line.startswith('EXEC "Playback"'):
            self.variables["PLAYBACKSTATUS"] = "SUCCESS" if words[3] in self._sounds else "FAILED"
        elif line.startswith("GET VARIABLE"):
            answer = f"200 result=1 ({self.variables[words[1]]})"
        elif line.startswith("SET VARIABLE"):
            self.variables[words[1]] = words[3]
            answer = "200 result=1"
        self._answers.append(f"{answer}\n")

    def flush(self) -> None:
        pass

    def readline(self) -> str:
        return self._answers.pop(0) if self._answers else ""


def run(pbx: Pbx, monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr(last_word, "Session", lambda: Session(pbx, pbx))  # type: ignore[arg-type]
    return last_word.main(args)


def test_the_sounds_are_said_in_order(monkeypatch):
    pbx = Pbx({"im-sorry", "goodbye"})
    assert run(pbx, monkeypatch, "im-sorry&goodbye") == 0
    assert [line for line in pbx.commands if line.startswith("EXEC")] == [
        'EXEC "Playback" "im-sorry"',
        'EXEC "Playback" "goodbye"',
    ]
    assert pbx.variables["OBZVON_SAID"] == "yes"


def test_a_missing_sound_is_passed_over(monkeypatch):
    pbx = Pbx({"goodbye"})
    assert run(pbx, monkeypatch, "im-sorry&goodbye") == 0
    assert not any("Playtones" in line for line in pbx.commands)
    assert pbx.variables["OBZVON_SAID"] == "yes"


@pytest.mark.parametrize("args", [["im-sorry&goodbye"], [""], []])
def test_without_any_sound_there_is_a_tone(monkeypatch, args):
    pbx = Pbx(set())
    assert run(pbx, monkeypatch, *args) == 0
    assert 'EXEC "Playtones" "obzvon-sorry"' in pbx.commands
    assert pbx.commands.index('EXEC "Wait" "2"') < pbx.commands.index('SET VARIABLE "OBZVON_SAID" "yes"')


@pytest.mark.parametrize("patience", range(6))
def test_a_hang_up_at_any_point_is_no_failure(monkeypatch, patience, capsys):
    pbx = Pbx({"im-sorry", "goodbye"}, patience)
    assert run(pbx, monkeypatch, "im-sorry&goodbye") == 0
    assert "OBZVON_SAID" not in pbx.variables or patience >= 6
    assert capsys.readouterr() == ("", "")


def test_without_asterisk_it_ends_quietly(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert last_word.main(["x"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_refusal_is_told_and_leaves_the_word_to_the_dialplan(monkeypatch, capsys):
    pbx = Pbx({"goodbye"})
    pbx._answers.append("510 Invalid or unknown command\n")
    assert run(pbx, monkeypatch, "goodbye") == 1
    assert "OBZVON_SAID" not in pbx.variables
    assert "ANSWER" in capsys.readouterr().err
