"""The last word: every path ends politely, a choice is on the disk before a word of thanks, and nothing stumbles when the person hangs up."""

from __future__ import annotations

import io
import json
import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agi import choices, last_word
from agi.session import Session
from dialer.core.values import CallingHours, DayHours
from dialer.pbx.frames import Channel, ChannelUserevent
from dialer.pbx.phrases import phrases
from dialer.pbx.prompts import Desk
from dialer.pbx.wire import to_event

ENV = "agi_request: last_word\nagi_uniqueid: a0123\n\n"
ATTEMPT = "a" + "0" * 19 + "1"
STOCK = {"im-sorry", "goodbye"}
OFFERS = {"1": "wait", "2": "refuse", "3": "later"}
MOSCOW = ZoneInfo("Europe/Moscow")
NOON = datetime(2026, 3, 3, 12, 7, tzinfo=MOSCOW).timestamp()
HOURS = CallingHours(kinds={"default": (DayHours(days=tuple(range(7)), stretches=((540, 1260),)),)})


class Pbx:
    """Answers AGI commands like an Asterisk that has only the *sounds* given; gone after *patience* commands.

    *presses*: what the person presses, and while which sound ("": when all has been said).
    """

    def __init__(
        self, sounds: set[str], patience: int = 1000, *presses: tuple[str, str], **variables: str
    ) -> None:
        self.commands: list[str] = []
        self.variables: dict[str, str] = dict(variables)
        self.heard: list[str] = []
        self.presses = list(presses)
        self.box: Path | None = None
        self.noted_at_thanks: bool | None = None
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
            is_there = words[3] in self._sounds
            self.variables["PLAYBACKSTATUS"] = "SUCCESS" if is_there else "FAILED"
            self.heard += [words[3]] * is_there
        elif line.startswith("STREAM FILE"):
            answer = self._stream(words[1].rpartition("/")[2], words[3])
        elif line.startswith("WAIT FOR DIGIT"):
            answer = f"200 result={self._key('')}"
        elif line.startswith("GET VARIABLE"):
            value = self.variables.get(words[1])
            answer = "200 result=0" if value is None else f"200 result=1 ({value})"
        elif line.startswith("SET VARIABLE"):
            self.variables[words[1]] = words[3]
            answer = "200 result=1"
        self._answers.append(f"{answer}\n")

    def _stream(self, sound: str, keys: str) -> str:
        if sound not in self._sounds:
            return "200 result=0 endpos=0"
        self.heard.append(sound)
        if sound in ("refused", "promised") and self.box is not None:
            self.noted_at_thanks = (self.box / f"{ATTEMPT}.json").exists()
        return f"200 result={self._key(sound) if keys else 0} endpos=800"

    def _key(self, sound: str) -> int:
        if self.presses and self.presses[0][0] == sound:
            return ord(self.presses.pop(0)[1])
        return 0

    def flush(self) -> None:
        pass

    def readline(self) -> str:
        return self._answers.pop(0) if self._answers else ""


class Call:
    """A call whose desk and box lie in *folder*."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, at: float = NOON) -> None:
        self.ivr, self.box = folder / "ivr", folder / "choices"
        self.ivr.mkdir()
        self._monkeypatch = monkeypatch
        for module in (last_word, choices):
            monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: at))
        self.sounds = set(phrases("ru", OFFERS))
        self.lay_out()

    def lay_out(self, **changes: object) -> None:
        desk = Desk(
            campaign="demo",
            language="ru",
            sounds={name: f"/cache/{name}" for name in self.sounds},
            offers=dict(OFFERS),  # type: ignore[arg-type]
            hours=HOURS,
            has_who=True,
        )
        content = msgspec.json.encode(msgspec.structs.replace(desk, **changes))
        (self.ivr / "demo.json").write_bytes(content)

    def pbx(self, *presses: tuple[str, str], patience: int = 1000, **variables: str) -> Pbx:
        defaults = {"OBZVON_KIND": "mobile", "OBZVON_ZONES": "Europe/Moscow", "BACKGROUNDSTATUS": "SUCCESS"}
        made = Pbx(self.sounds | STOCK, patience, *presses, **(defaults | variables))
        made.box = self.box
        return made

    def run(self, pbx: Pbx, key: str = "", *, attempt: str = ATTEMPT, campaign: str = "demo") -> int:
        self._monkeypatch.setattr(last_word, "Session", lambda: Session(pbx, pbx))  # type: ignore[arg-type]
        given = ["im-sorry&goodbye", str(self.ivr), str(self.box), campaign, attempt]
        return last_word.main([*given, key] if key else given)

    @property
    def notes(self) -> dict[str, dict[str, object]]:
        return {path.stem: json.loads(path.read_text()) for path in self.box.glob("*.json")}


@pytest.fixture
def call(tmp_path, monkeypatch) -> Call:
    return Call(tmp_path, monkeypatch)


def told(pbx: Pbx) -> list[tuple[str, float | None]]:
    """What the engine would understand of the script's events."""
    found: list[tuple[str, float | None]] = []
    for line in pbx.commands:
        if line.startswith('EXEC "UserEvent"'):
            name, *fields = line.split('"')[3].split(",")
            parts = dict(field.split(": ") for field in fields)
            frame = ChannelUserevent(eventname=name, channel=Channel(id=ATTEMPT), userevent=dict(parts))
            event = to_event(frame, NOON)
            assert event is not None, line
            found.append((event.choice, event.due))  # type: ignore[attr-defined]
    return found


# -- what was pressed in the dialplan's menu -------------------------------------------------


def test_who_refuses_is_noted_before_they_are_thanked(call):
    pbx = call.pbx()
    assert call.run(pbx, "2") == 0
    assert call.notes == {ATTEMPT: {"attempt": ATTEMPT, "choice": "refuse", "at": NOON}}
    assert pbx.noted_at_thanks is True
    assert pbx.heard == ["refused", "goodbye"]
    assert pbx.variables["OBZVON_SAID"] == "yes"
    assert told(pbx) == [("refuse", None)]


def test_who_waits_is_given_back(call):
    pbx = call.pbx()
    assert call.run(pbx, "1") == 0
    assert pbx.variables["OBZVON_NEXT"] == "operator"
    assert pbx.variables["OBZVON_SAID"] == "yes"
    assert pbx.heard == ["stay"]
    assert told(pbx) == [("wait", None)]
    assert call.notes == {}


def test_who_wants_another_time_is_offered_times_and_gets_one(call):
    pbx = call.pbx(("press_2", "2"))
    assert call.run(pbx, "3") == 0
    first, second = ["today", "hour_13", "minute_15", "press_1"], ["today", "hour_18", "press_2"]
    assert pbx.heard == ["when", *first, *second, "promised", "today", "hour_18", "goodbye"]
    due = datetime(2026, 3, 3, 18, tzinfo=MOSCOW).timestamp()
    assert call.notes[ATTEMPT] == {"attempt": ATTEMPT, "choice": "later", "at": NOON, "due": due}
    assert pbx.noted_at_thanks is True
    assert told(pbx) == [("later", due)]


def test_a_time_may_be_chosen_when_all_were_told(call):
    pbx = call.pbx(("", "3"))
    assert call.run(pbx, "3") == 0
    assert pbx.heard[-4:] == ["promised", "tomorrow", "hour_12", "goodbye"]
    assert call.notes[ATTEMPT]["due"] == datetime(2026, 3, 4, 12, tzinfo=MOSCOW).timestamp()


def test_a_wrong_time_is_told_so_and_then_goodbye(call):
    pbx = call.pbx(("press_1", "8"), ("", "9"))
    assert call.run(pbx, "3") == 0
    assert pbx.heard.count("press_3") == 1
    assert pbx.heard[-2:] == ["wrong", "goodbye"]
    assert call.notes == {}


def test_who_cannot_decide_on_a_time_hears_them_twice_and_goodbye(call):
    pbx = call.pbx()
    assert call.run(pbx, "3") == 0
    assert pbx.heard.count("press_1") == 2
    assert pbx.heard[-1] == "goodbye"
    assert pbx.variables["OBZVON_SAID"] == "yes"


@pytest.mark.parametrize(
    "changes",
    [{"OBZVON_ZONES": "Nowhere/Land"}, {"OBZVON_ZONES": "?"}, {"OBZVON_ZONES": "../etc/passwd"}],
)
def test_without_a_time_to_offer_the_rest_is_offered(call, changes):
    pbx = call.pbx(("refuse_2", "2"), **changes)
    assert call.run(pbx, "3") == 0
    assert pbx.heard == ["no_times", "wait_1", "refuse_2", "refused", "goodbye"]
    assert call.notes[ATTEMPT]["choice"] == "refuse"


def test_where_the_clock_is_not_known_times_are_told_by_their_distance(call):
    call.lay_out(hours=None)
    pbx = call.pbx(("press_1", "1"), OBZVON_ZONES="")
    assert call.run(pbx, "3") == 0
    assert pbx.heard[:3] == ["when", "in_1", "press_1"]
    assert call.notes[ATTEMPT]["due"] == NOON + 3600


def test_a_wrong_key_is_told_so_and_the_menu_said_again(call):
    pbx = call.pbx(("refuse_2", "2"))
    assert call.run(pbx, "7") == 0
    assert pbx.heard == ["wrong", "wait_1", "refuse_2", "refused", "goodbye"]


def test_wrong_keys_and_silence_end_in_goodbye(call):
    pbx = call.pbx(("wrong", "8"))
    assert call.run(pbx, "7") == 0
    assert pbx.heard == ["wrong", *["wrong", "wait_1", "refuse_2", "later_3"], "goodbye"]
    assert call.notes == {}


# -- who has waited, and when there was no menu --------------------------------------------------


def test_who_waited_in_vain_is_not_offered_it_again(call):
    pbx = call.pbx(("", "1"), ("", "2"), OBZVON_WAITED="yes")
    assert call.run(pbx) == 0
    assert pbx.heard == [
        "still_nobody",
        "refuse_2",
        "later_3",
        "wrong",
        "refuse_2",
        "later_3",
        "refused",
        "goodbye",
    ]
    assert "OBZVON_NEXT" not in pbx.variables


def test_with_no_engine_it_is_said_and_the_rest_offered(call):
    pbx = call.pbx(("refuse_2", "2"), OBZVON_WAITED="yes", OBZVON_ALONE="yes")
    assert call.run(pbx) == 0
    assert pbx.heard == ["alone", "refuse_2", "refused", "goodbye"]


def test_where_only_waiting_is_offered_nothing_is_left_afterwards(call):
    call.lay_out(offers={"1": "wait"})
    pbx = call.pbx(OBZVON_WAITED="yes", OBZVON_ALONE="yes")
    assert call.run(pbx) == 0
    assert pbx.heard == ["alone", "goodbye"]


def test_without_offers_it_is_regret_and_goodbye(call):
    call.lay_out(offers={})
    pbx = call.pbx()
    assert call.run(pbx) == 0
    assert pbx.heard == ["sorry", "goodbye"]


def test_regret_is_not_said_twice(call):
    """Without a text of the campaign's own the dialplan has said it."""
    call.lay_out(offers={}, has_who=False)
    pbx = call.pbx()
    assert call.run(pbx) == 0
    assert pbx.heard == ["goodbye"]


# -- what is missing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("campaign", ["", "other", "../demo", "demo\0", "DEMO"])
def test_without_a_desk_the_recorded_sounds_are_said(call, campaign, capsys):
    pbx = call.pbx()
    assert call.run(pbx, campaign=campaign) == 0
    assert pbx.heard == ["im-sorry", "goodbye"]
    assert pbx.variables["OBZVON_SAID"] == "yes"
    assert "last word" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"sounds": 3}', b"\xff"])
def test_a_damaged_desk_is_none(call, content, capsys):
    (call.ivr / "demo.json").write_bytes(content)
    pbx = call.pbx()
    assert call.run(pbx) == 0
    assert pbx.heard == ["im-sorry", "goodbye"]


def test_a_missing_sound_is_passed_over(call):
    call.sounds.discard("refused")
    pbx = call.pbx()
    assert call.run(pbx, "2") == 0
    assert pbx.heard == ["goodbye"]
    assert pbx.variables["OBZVON_SAID"] == "yes"


def test_without_any_sound_there_is_a_tone(call, capsys):
    pbx = Pbx(set())
    assert call.run(pbx, campaign="other") == 0
    assert 'EXEC "Playtones" "obzvon-sorry"' in pbx.commands
    assert pbx.commands.index('EXEC "Wait" "2"') < pbx.commands.index('SET VARIABLE "OBZVON_SAID" "yes"')


@pytest.mark.parametrize("attempt", ["", "b" + ATTEMPT[1:], ATTEMPT + "1", "../" + ATTEMPT, ATTEMPT.upper()])
def test_a_choice_of_nobody_is_not_promised(call, attempt, capsys):
    pbx = call.pbx()
    assert call.run(pbx, "2", attempt=attempt) == 0
    assert pbx.heard == ["not_noted", "goodbye"]
    assert not call.box.exists() or not list(call.box.iterdir())
    assert "not written down" in capsys.readouterr().err


def test_what_the_disk_refuses_is_told_to_the_engine_and_not_promised(call, capsys):
    call.box.write_text("a file in the folder's place")
    pbx = call.pbx()
    assert call.run(pbx, "2") == 0
    assert pbx.heard == ["not_noted", "goodbye"]
    assert told(pbx) == [("refuse", None)]


# -- hanging up -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "presses", "variables"),
    [
        ("", (("", "2"),), {}),
        ("1", (), {}),
        ("2", (), {}),
        ("3", (("press_1", "1"),), {}),
        ("7", (("later_3", "3"), ("", "1")), {}),
        ("", (("", "3"), ("", "1")), {"OBZVON_WAITED": "yes"}),
    ],
)
def test_a_hang_up_at_any_point_is_no_failure_and_what_was_chosen_stands(
    tmp_path, monkeypatch, key, presses, variables, capsys
):
    patience, is_over = 0, False
    while not is_over:
        (tmp_path / str(patience)).mkdir()
        call = Call(tmp_path / str(patience), monkeypatch)
        pbx = call.pbx(*presses, patience=patience, **variables)
        assert call.run(pbx, key) == 0
        was_told = [line for line in pbx.commands if "UserEvent" in line and "wait" not in line]
        assert len(call.notes) == len(was_told), "written down first, then told"
        is_over = pbx.variables.get("OBZVON_SAID") == "yes" and len(pbx.commands) <= patience
        patience += 1
    assert patience > 3
    assert capsys.readouterr() == ("", "")


def test_who_hung_up_before_the_script_began_has_refused_all_the_same(call, capsys):
    pbx = call.pbx(patience=0)
    assert call.run(pbx, "2") == 0
    assert call.notes[ATTEMPT]["choice"] == "refuse"
    assert capsys.readouterr() == ("", "")


def test_a_refusal_stands_though_asterisk_died_at_once(call, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert last_word.main(["x", str(call.ivr), str(call.box), "demo", ATTEMPT, "2"]) == 0
    assert call.notes[ATTEMPT]["choice"] == "refuse"
    assert capsys.readouterr() == ("", "")


def test_a_refusal_is_told_and_leaves_the_word_to_the_dialplan(call, capsys):
    pbx = call.pbx()
    pbx._answers.append("510 Invalid or unknown command\n")
    assert call.run(pbx) == 1
    assert "OBZVON_SAID" not in pbx.variables
    assert "ANSWER" in capsys.readouterr().err


# -- the box ---------------------------------------------------------------------------------------------


def test_a_note_is_whole_or_not_there_at_all(tmp_path, monkeypatch):
    """Whatever fails on the way, the folder never holds half a note under its name."""
    box = tmp_path / "box"
    for step in ("fsync", "replace", "open"):
        with monkeypatch.context() as patch:

            def fail(*args: object, **more: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr("pathlib.Path.replace" if step == "replace" else f"os.{step}", fail)
            with pytest.raises(choices.NotNoted, match="No space left"):
                choices.note(str(box), ATTEMPT, "refuse")
        assert not list(box.glob("*.json"))


def test_a_later_note_takes_the_place_of_an_earlier_one(tmp_path):
    choices.note(str(tmp_path), ATTEMPT, "later", due=NOON + 3600)
    choices.note(str(tmp_path), ATTEMPT, "refuse")
    assert [path.name for path in tmp_path.iterdir()] == [f"{ATTEMPT}.json"]
    assert json.loads((tmp_path / f"{ATTEMPT}.json").read_text())["choice"] == "refuse"


def test_the_box_is_for_its_owner_alone(tmp_path):
    choices.note(str(tmp_path / "box"), ATTEMPT, "refuse")
    assert (tmp_path / "box").stat().st_mode & 0o077 == 0
    assert (tmp_path / "box" / f"{ATTEMPT}.json").stat().st_mode & 0o077 == 0
