"""The access number: who gets in, who does not, and how often somebody may try."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from agi import access
from agi.session import HungUp, Session
from dialer.core import pins

PIN = "40718233"
QUICK = 16
"""Of scrypt's N: what it costs in truth is shown elsewhere, and too much for hundreds of tries."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "N", QUICK)


class Pbx:
    """Asterisk at the other end: the caller presses *keys*, one for each that is waited for (" ": none in time)."""

    def __init__(self, keys: str, *, has_sounds: bool = True) -> None:
        self.commands: list[str] = []
        self.log: list[str] = []
        self.phone: str | None = None
        self._keys = list(keys)
        self._has_sounds = has_sounds
        self._answers = ["agi_request: access\n", "agi_callerid: +79161234567\n", "\n"]

    def write(self, line: str) -> None:
        words = line.strip().split('"')
        self.commands.append(line.strip())
        answer = "200 result=0"
        if line.startswith("GET DATA"):
            answer = f"200 result={self._number()}" if self._has_sounds else "200 result=-1"
        elif line.startswith("WAIT FOR DIGIT"):
            answer = f"200 result={self._key()}"
        elif line.startswith("GET VARIABLE"):
            answer = f"200 result=1 ({'SUCCESS' if self._has_sounds else 'FAILED'})"
        elif line.startswith('EXEC "Log"'):
            self.log.append(words[3].removeprefix("NOTICE,"))
        elif line.startswith("SET VARIABLE"):
            assert words[1] == access.PHONE
            self.phone = words[3]
        self._answers.append(f"{answer}\n")

    def _number(self) -> str:
        """The keys up to the hash key, or to a long pause."""
        keys = ""
        while True:
            key = self._key()
            if key == 0:
                return f"{keys} (timeout)"
            if chr(key) == "#":
                return keys
            keys += chr(key)

    def _key(self) -> int:
        if not self._keys:
            raise OSError(32, "gone")
        key = self._keys.pop(0)
        return 0 if key == " " else ord(key)

    def readline(self) -> str:
        return self._answers.pop(0) if self._answers else ""

    def flush(self) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kept = {"120": pins.keep(PIN, bytes(16)), "121": pins.keep("11112222", bytes(16))}
    (tmp_path / "pins.json").write_text(json.dumps(kept))
    return tmp_path


def ring(folder: Path, keys: str, *, caller: str = "+79161234567", has_sounds: bool = True) -> Pbx:
    """One call; the extension that is let in is its ``phone`` ("": nobody)."""
    pbx = Pbx(keys, has_sounds=has_sounds)
    session = Session(pbx, pbx)  # type: ignore[arg-type]
    session.write(access.PHONE, access.Access(session, folder, caller).ask())
    return pbx


def tries(folder: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((folder / "tries.json").read_text())
    return found


def test_who_has_the_pin_gets_in_and_is_not_counted(folder):
    assert ring(folder, f"120#{PIN}#").phone == "120"
    assert tries(folder) == []
    assert (folder / "tries.json").stat().st_mode & 0o777 == 0o600


def test_both_may_be_keyed_in_one_go(folder):
    assert ring(folder, f"120*{PIN}#").phone == "120"
    assert ring(folder, f"120*1#120*{PIN}#").phone == "120"


def test_a_long_pause_ends_what_is_keyed_as_the_hash_key_does(folder):
    assert ring(folder, f"120 {PIN} ").phone == "120"


def test_one_may_err_twice(folder):
    pbx = ring(folder, f"120#1#120#2#120#{PIN}#")
    assert pbx.phone == "120"
    assert len(tries(folder)) == 2
    assert len([one for one in pbx.commands if "agent-incorrect" in one]) == 2


@pytest.mark.parametrize(
    "keys",
    [
        "120#12345678#",  # a wrong PIN
        "120#11112222#",  # another operator's
        f"119#{PIN}#",  # no such extension
        f"##{PIN}",
        "120##",
        f"**120#{PIN}#",
        f"120#{PIN}1#",
        f"1200000000000000000#{PIN}#",
    ],
)
def test_whoever_has_not_gets_nowhere(folder, keys):
    with pytest.raises(HungUp):
        ring(folder, keys)  # and again, and again; then they hang up
    assert tries(folder), "it was counted"


def test_three_tries_in_a_call(folder):
    pbx = ring(folder, "120#1#" * 3 + f"120#{PIN}#")
    assert pbx.phone == ""
    assert len(tries(folder)) == 3


def test_an_extension_is_locked_after_some_failures_even_for_who_has_the_pin(folder, monkeypatch):
    now = 1_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    ring(folder, "120#1#" * 3, caller="+1")
    ring(folder, "120#1#" * 3, caller="+2")
    assert len(tries(folder)) == access.EXTENSION_MAX, "what is refused unjudged is not counted again"
    pbx = ring(folder, f"120#{PIN}#" * 3, caller="+3")
    assert pbx.phone == ""
    assert all("too many tries of this extension" in line for line in pbx.log)
    assert ring(folder, "121#11112222#", caller="+3").phone == "121", "nobody else is locked"
    now += access.WINDOW_S + 1
    assert ring(folder, f"120#{PIN}#").phone == "120", "and it ends"


def test_a_caller_who_tries_one_extension_after_the_other_is_stopped(folder):
    for first in (130, 133, 136, 139):
        ring(folder, "".join(f"{first + place}#1#" for place in range(3)))
    assert len(tries(folder)) == access.CALLER_MAX
    assert ring(folder, f"120#{PIN}#" * 3).phone == ""
    assert ring(folder, f"120#{PIN}#", caller="+442079460000").phone == "120"


def test_all_together_are_stopped_when_numbers_are_made_up(folder):
    for call in range(11):
        ring(
            folder, "".join(f"{200 + 3 * call + place}#1#" for place in range(3)), caller=f"+4420794600{call}"
        )
    assert len(tries(folder)) == access.ALL_MAX
    assert ring(folder, f"120#{PIN}#" * 3, caller="").phone == ""


def test_a_try_is_counted_before_it_is_judged(folder, monkeypatch):
    """Else a hundred calls at once would get a hundred tries."""
    seen = []

    def fits(pin: str, kept: str) -> bool:
        seen.append(len(tries(folder)))
        return False

    monkeypatch.setattr(pins, "fits", fits)
    ring(folder, "120#1#" * 3)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("spoil", ["missing", "garbage", "number", "tries"])
def test_when_it_cannot_be_judged_nobody_gets_in(folder, spoil):
    match spoil:
        case "missing":
            (folder / "pins.json").unlink()
        case "garbage":
            (folder / "pins.json").write_text("{")
        case "number":
            (folder / "pins.json").write_text('{"120": 5}')
        case "tries":
            (folder / "tries.json").write_text('[{"at": "never"}]')
    pbx = ring(folder, f"120#{PIN}#" * 3)
    assert pbx.phone == ""
    assert len(pbx.log) == 3


@pytest.mark.parametrize("is_cut", [False, True])
def test_what_ends_the_script_in_the_middle_of_the_count_does_not_undo_it(folder, monkeypatch, is_cut):
    """A machine may lose its power: at no moment is the file empty (and nobody's tries counted), or garbage (and nobody gets in)."""
    ring(folder, "120#1#" * 3)
    now = time.time()
    monkeypatch.setattr(
        time, "time", lambda: now + access.WINDOW_S + 1
    )  # the old ones go, so the file gets shorter

    cut = os.ftruncate

    def killed(handle: int, length: int) -> None:
        if is_cut:
            cut(handle, length)
        raise OSError("killed")

    monkeypatch.setattr(os, "ftruncate", killed)
    pbx = ring(folder, f"120#{PIN}#" * 3)
    assert pbx.phone == "", "what cannot be written down is not judged"
    monkeypatch.undo()
    assert len(tries(folder)) == 3
    assert ring(folder, f"120#{PIN}#").phone == "120", "and it is no damage"


def test_a_link_in_place_of_the_count_is_not_followed(folder, tmp_path):
    (folder / "tries.json").symlink_to(tmp_path / "elsewhere")
    assert ring(folder, f"120#{PIN}#" * 3).phone == ""


def test_no_pin_is_in_the_log(folder):
    pbx = ring(folder, "120#99887766#" * 3, caller="+7;\n\tx")
    assert pbx.phone == ""
    assert "99887766" not in "".join(pbx.log + pbx.commands)
    assert pbx.log[0] == "access refused (wrong PIN) to 120 from +7"


def test_without_recorded_sounds_tones_ask(folder):
    pbx = ring(folder, f"120#{PIN}#", has_sounds=False)
    assert pbx.phone == "120"
    assert [one for one in pbx.commands if access.TONE_ASK in one]


def test_whom_we_called_is_asked_for_the_pin_alone(folder):
    for keys, let_in in ((f"{PIN}#", "120"), (f"1#{PIN}#", "120"), ("11112222#" * 3, "")):
        pbx = Pbx(keys)
        session = Session(pbx, pbx)  # type: ignore[arg-type]
        assert access.Access(session, folder, "").ask("120") == let_in
        assert not [one for one in pbx.commands if access.ASK_EXTENSION in one]
        assert [one for one in pbx.commands if access.ASK_PIN in one]
    assert {one["extension"] for one in tries(folder)} == {"120"}


def test_our_own_number_is_not_locked_by_whom_we_called(folder, monkeypatch):
    pbx = Pbx("1#" * 3)
    monkeypatch.setattr(access, "Session", lambda: Session(pbx, pbx))  # type: ignore[arg-type]
    assert access.main([str(folder), "120"]) == 1
    assert {one["caller"] for one in tries(folder)} == {""}


def test_run_by_asterisk_it_sets_the_phone(folder, monkeypatch):
    pbx = Pbx(f"120#{PIN}#")
    monkeypatch.setattr(access, "Session", lambda: Session(pbx, pbx))  # type: ignore[arg-type]
    assert access.main([str(folder)]) == 0
    assert pbx.phone == "120"
    gone = Pbx("")
    monkeypatch.setattr(access, "Session", lambda: Session(gone, gone))  # type: ignore[arg-type]
    assert access.main([str(folder)]) == 1
    assert gone.phone is None
