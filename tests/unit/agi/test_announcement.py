"""A key in an announcement: each does what the campaign says, is written down before it is thanked for, and may be followed by a hang-up."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from agi import last_word
from agi.announcement import Announcement
from agi.session import Session
from dialer.pbx.phrases import phrases
from tests.unit.agi.test_last_word import ATTEMPT, MOSCOW, NOON, Call, Pbx, told

KEYS = {
    "1": "confirm",
    "2": "refuse",
    "3": "operator",
    "4": "later",
    "5": "wait",
    "*": "refuse",
    "#": "confirm",
}


class Sent(Call):
    """A call of a campaign without operators. *key*: what is pressed while its message is played."""

    def lay_out(self, **changes: object) -> None:
        super().lay_out(**({"keys": dict(KEYS), "offers": {}} | changes))

    def run(self, pbx: Pbx, key: str = "", **more: Any) -> int:
        attempt, campaign = more.get("attempt", ATTEMPT), more.get("campaign", "demo")
        self._monkeypatch.setattr(last_word, "Session", lambda: Session(pbx, pbx))  # type: ignore[arg-type]
        given = ["im-sorry&goodbye", str(self.ivr), str(self.box), campaign, attempt, key]
        return last_word.run(Announcement, given)


@pytest.fixture
def call(tmp_path, monkeypatch) -> Sent:
    made = Sent(tmp_path, monkeypatch)
    made.sounds = set(phrases("ru", KEYS))
    made.lay_out()
    return made


@pytest.mark.parametrize(
    ("key", "choice", "thanks"),
    [
        ("1", "confirm", "confirmed"),
        ("#", "confirm", "confirmed"),
        ("2", "refuse", "refused"),
        ("*", "refuse", "refused"),
    ],
)
def test_what_is_chosen_is_noted_and_thanked_for(call, key, choice, thanks):
    pbx = call.pbx()
    assert call.run(pbx, key) == 0
    assert call.notes == {ATTEMPT: {"attempt": ATTEMPT, "choice": choice, "at": NOON}}
    assert pbx.heard == [thanks, "goodbye"]
    assert pbx.variables["OBZVON_SAID"] == "yes"
    assert "OBZVON_NEXT" not in pbx.variables
    assert told(pbx) == [(choice, None)]


@pytest.mark.parametrize(("key", "choice"), [("3", "operator"), ("5", "wait")])
def test_who_wants_an_operator_is_given_to_the_engine(call, key, choice):
    pbx = call.pbx()
    assert call.run(pbx, key) == 0
    assert (pbx.variables["OBZVON_NEXT"], pbx.variables["OBZVON_SAID"]) == ("operator", "yes")
    assert pbx.heard == ["stay"]
    assert told(pbx) == [(choice, None)]
    assert call.notes == {}, "there is nothing that could be kept for later"


def test_who_wants_to_be_called_later_is_offered_times(call):
    pbx = call.pbx(("press_2", "2"))
    assert call.run(pbx, "4") == 0
    due = datetime(2026, 3, 3, 18, tzinfo=MOSCOW).timestamp()
    assert call.notes[ATTEMPT] == {"attempt": ATTEMPT, "choice": "later", "at": NOON, "due": due}
    assert pbx.heard[-4:] == ["promised", "today", "hour_18", "goodbye"]
    assert pbx.noted_at_thanks is True


def test_without_a_time_to_offer_the_message_is_said_again(call):
    pbx = call.pbx(OBZVON_ZONES="?")
    assert call.run(pbx, "4") == 0
    assert pbx.heard == ["no_times"]
    assert (pbx.variables["OBZVON_NEXT"], pbx.variables["OBZVON_SAID"]) == ("again", "yes")


@pytest.mark.parametrize("key", ["7", "0", ""])
def test_a_key_that_means_nothing_is_told_so_and_the_message_said_again(call, key):
    pbx = call.pbx()
    assert call.run(pbx, key) == 0
    assert pbx.heard == ["wrong"]
    assert (pbx.variables["OBZVON_NEXT"], pbx.variables["OBZVON_SAID"]) == ("again", "yes")
    assert call.notes == {}
    assert told(pbx) == []


def test_keys_of_the_last_word_mean_nothing_here(call):
    """A refusal by the key of another menu would be none."""
    call.lay_out(offers={"7": "refuse"}, keys={"1": "confirm"})
    assert call.run(call.pbx(), "7") == 0
    assert call.notes == {}


@pytest.mark.parametrize("key", ["1", "2"])
def test_what_cannot_be_written_down_is_not_promised(call, key, capsys):
    call.box.write_text("a file in the folder's place")
    pbx = call.pbx()
    assert call.run(pbx, key) == 0
    assert pbx.heard == ["not_noted", "goodbye"]
    assert [choice for choice, _ in told(pbx)] == [KEYS[key]], "the engine, if there is one, knows"
    assert "not written down" in capsys.readouterr().err


def test_without_a_desk_no_key_means_anything_and_the_dialplan_goes_on(call, capsys):
    pbx = call.pbx()
    assert call.run(pbx, "2", campaign="other") == 0
    assert pbx.heard == []
    assert pbx.variables["OBZVON_NEXT"] == "again"
    assert call.notes == {}


@pytest.mark.parametrize("key", [*KEYS, "7"])
def test_a_hang_up_at_every_step_is_no_failure_and_what_was_chosen_stands(tmp_path, monkeypatch, key, capsys):
    patience, is_over = 0, False
    while not is_over:
        (tmp_path / str(patience)).mkdir()
        call = Sent(tmp_path / str(patience), monkeypatch)
        call.sounds = set(phrases("ru", KEYS))
        call.lay_out()
        pbx = call.pbx(("press_1", "1"), patience=patience)
        assert call.run(pbx, key) == 0
        if KEYS.get(key) in ("confirm", "refuse"):
            assert call.notes[ATTEMPT]["choice"] == KEYS[key], "whenever they hang up"
        kept = [choice for choice, _ in told(pbx) if choice not in ("operator", "wait")]
        assert set(kept) <= {one["choice"] for one in call.notes.values()}, "written down first, then told"
        is_over = pbx.variables.get("OBZVON_SAID") == "yes" and len(pbx.commands) <= patience
        patience += 1
    assert patience > 2
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("language", ["ru", "en", "zh"])
def test_a_star_is_a_key_that_no_phrase_names(language):
    """The campaign's own message says what it is for; the choice has all its other phrases."""
    made = phrases(language, {"*": "later", "#": "refuse", "0": "confirm"})
    assert not [name for name in made if "*" in name or "#" in name]
    assert "confirm_0" in made
    assert {"when", "promised", "press_1", "hour_9"} <= made.keys()
    assert json.loads(json.dumps(made)) == made
