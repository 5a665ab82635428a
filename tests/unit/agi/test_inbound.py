"""Who called us and met nobody: the call is a note before anything else, and a callback is promised only if it is on the disk."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agi import inbound, last_word
from agi.session import Session
from dialer.core.offers import SOON_S
from dialer.engine.choices import Choices
from dialer.pbx.phrases import inbound_phrases
from dialer.pbx.prompts import RECALL
from tests.unit.agi.test_last_word import NOON, Call, Pbx, told

ATTEMPT = "a17633124561239876543"
ORIGIN = {"campaign": "demo", "did": "+74951234567", "caller": "89160000001", "trunk": "carrier"}
CALLED = {"attempt": ATTEMPT, "at": NOON, **ORIGIN}


class Came(Call):
    """A call to us."""

    def lay_out(self, **changes: object) -> None:
        super().lay_out(**({"recall": dict(RECALL), "offers": {}} | changes))

    def run(self, pbx: Pbx, key: str = "", **more: Any) -> int:
        self._monkeypatch.setattr(last_word, "Session", lambda: Session(pbx, pbx))  # type: ignore[arg-type]
        origin = {**ORIGIN, **more}
        given = [
            "im-sorry&goodbye",
            str(self.ivr),
            str(self.box),
            origin["campaign"],
            more.get("attempt", ATTEMPT),
        ]
        where = [origin["did"], origin["caller"], origin["trunk"], origin.get("system", "")]
        return inbound.main([*given, key, *where])


@pytest.fixture
def call(tmp_path, monkeypatch) -> Came:
    monkeypatch.setattr(inbound, "time", SimpleNamespace(time=lambda: NOON))
    made = Came(tmp_path, monkeypatch)
    made.sounds = set(inbound_phrases("ru", RECALL))
    made.lay_out()
    return made


def read(call: Came) -> Any:
    """The note as the engine reads it."""
    (note,) = Choices(call.box).read()
    return note


def test_a_callback_is_as_soon_as_possible_and_noted_before_it_is_promised(call):
    pbx = call.pbx()
    assert call.run(pbx, "1") == 0
    assert call.notes == {ATTEMPT: {**CALLED, "choice": "later", "due": NOON}}
    assert pbx.heard == ["promised", "goodbye"]
    assert told(pbx) == [("later", NOON)]
    assert pbx.variables["OBZVON_SAID"] == "yes"
    note = read(call)
    assert (note.choice, note.due, note.did, note.caller, note.trunk) == (
        "later",
        NOON,
        *list(ORIGIN.values())[1:],
    )


def test_a_time_may_be_chosen(call):
    pbx = call.pbx(("press_2", "2"))
    assert call.run(pbx, "2") == 0
    assert call.notes[ATTEMPT]["choice"] == "later"
    assert call.notes[ATTEMPT]["due"] >= NOON + SOON_S


def test_who_is_gone_before_a_word_has_their_callback(call):
    pbx = call.pbx(patience=0)
    assert call.run(pbx, "1") == 0
    assert call.notes == {ATTEMPT: {**CALLED, "choice": "later", "due": NOON}}


@pytest.mark.parametrize(
    ("key", "heard"),
    [("", ["callback_1", "later_2"]), ("9", ["wrong", "callback_1", "later_2"])],
)
def test_who_makes_no_choice_is_a_missed_call_and_told_goodbye(call, key, heard):
    pbx = call.pbx()
    assert call.run(pbx, key) == 0
    assert call.notes == {ATTEMPT: {**CALLED, "choice": None}}
    assert pbx.heard[: len(heard)] == heard
    assert pbx.heard[-1] == "goodbye"
    note = read(call)
    assert note.choice is None
    assert note.is_inbound


@pytest.mark.parametrize(
    ("left", "choice"), [("missed", None), ("voicemail", "voicemail"), ("forwarded", "forwarded")]
)
def test_what_became_of_a_call_that_is_over_needs_no_line(call, left, choice):
    pbx = call.pbx(patience=0)
    assert call.run(pbx, left) == 0
    assert call.notes == {ATTEMPT: {**CALLED, "choice": choice}}
    assert pbx.commands == []
    assert read(call).choice == choice


@pytest.mark.parametrize(
    ("system", "server"), [("server-north", "north"), ("", ""), ("pbx-7", ""), ("server-../x", "")]
)
def test_of_several_servers_the_note_says_which(call, system, server):
    call.run(call.pbx(patience=0), "missed", system=system)
    assert read(call).server == server
    assert ("server" in call.notes[ATTEMPT]) == bool(server)


def test_what_is_not_on_the_disk_is_not_promised(call):
    call.box.write_text("no folder")
    pbx = call.pbx()
    assert call.run(pbx, "1") == 0
    assert pbx.heard == ["not_noted", "goodbye"]


@pytest.mark.parametrize("attempt", ["", "a1", "../../../tmp/x"])
def test_a_call_without_an_id_of_ours_is_written_nowhere(call, attempt):
    assert call.run(call.pbx(patience=0), "missed", attempt=attempt) == 1
    assert call.notes == {}


def test_what_the_channel_says_of_itself_is_not_believed(call):
    call.run(call.pbx(patience=0), "missed", caller='"; rm', trunk="../x", did="+7495")
    assert call.notes == {
        ATTEMPT: {"attempt": ATTEMPT, "at": NOON, "campaign": "demo", "did": "+7495", "choice": None}
    }


def test_with_nothing_laid_out_they_hear_asterisks_own_words(call):
    (call.ivr / "demo.json").unlink()
    pbx = call.pbx()
    assert call.run(pbx, "1") == 0
    assert pbx.heard == ["im-sorry", "goodbye"]
    assert call.notes == {ATTEMPT: {**CALLED, "choice": None}}
