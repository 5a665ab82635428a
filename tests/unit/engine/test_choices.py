"""The box of choices: nothing is lost, nothing is believed that is no note, and nothing goes before it is written down."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest

from agi import choices as script
from dialer.core import events as ev
from dialer.core.commands import SaveCall
from dialer.core.ids import ONLY, CampaignId, ContactId, LeadId
from dialer.core.values import Lead
from dialer.engine import choices as module
from dialer.engine import house, lastword, serverline
from dialer.engine.choices import REFUSED, Choices
from dialer.engine.lastword import LastWordDesk
from dialer.engine.recordings import Recordings
from dialer.office.setup import make_home
from dialer.store.errors import JournalError
from dialer.store.journal import Journal
from tests.unit.engine.parts import attempt, call, until

AT = 1_772_528_820.0
A, B = attempt(1), attempt(2)


@pytest.fixture
def box(tmp_path: Path) -> Choices:
    return Choices(tmp_path / "choices")


def note(box: Choices, who: str = A, choice: str = "refuse", **more: Any) -> Path:
    path = box.folder / f"{who}.json"
    path.write_text(json.dumps({"attempt": who, "choice": choice, "at": AT} | more))
    return path


def tell(box: Choices, *calls: Any) -> list[ev.ContactChose]:
    return box.events(box.read(), {one.attempt: one for one in calls}, AT + 9)


def test_what_the_script_writes_is_what_the_engine_reads(box):
    script.note(str(box.folder), A, "later", due=AT + 3600.0)
    script.note(str(box.folder), B, "refuse")
    found = {one.attempt: one for one in tell(box, call(1), call(2))}
    assert found[A] == ev.ContactChose(
        at=AT + 9,
        attempt=A,
        choice="later",
        due=AT + 3600.0,
        campaign=call(1).campaign,
        lead=call(1).lead,
        number=call(1).number,
    )
    assert (found[B].choice, found[B].due, found[B].number) == ("refuse", None, call(2).number)


def test_a_note_stays_until_it_is_written_down(box):
    path = note(box)
    tell(box, call(1))
    tell(box, call(1))
    assert path.exists()
    box.forget(A)
    assert not path.exists()
    assert tell(box, call(1)) == []
    box.forget(A)


def test_a_note_that_says_something_new_is_not_forgotten_with_the_old_one(box):
    """Between the telling and the writing down the person thought better of it."""
    path = note(box, choice="later", due=AT + 3600.0)
    tell(box, call(1))
    note(box, choice="refuse")
    box.forget(A)
    assert path.exists()
    assert [one.choice for one in tell(box, call(1))] == ["refuse"]


def test_what_came_by_the_event_socket_is_forgotten_too(box):
    path = note(box, choice="later", due=AT + 3600.0)
    box.tell(ev.ContactChose(at=AT, attempt=A, choice="later", due=AT + 3600.4))
    box.forget(A)
    assert not path.exists()


def test_the_oldest_note_is_told_first(box):
    note(box, A, at=AT + 5)
    note(box, B)
    assert [one.attempt for one in tell(box, call(1), call(2))] == [B, A]


def test_what_was_told_is_told_again_only_after_a_while(box, monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    note(box)
    assert len(box.untold(box.read(), 10.0)) == 1
    tell(box, call(1))
    assert box.untold(box.read(), 10.0) == []
    note(box, choice="later", due=AT + 3600.0)
    assert len(box.untold(box.read(), 10.0)) == 1, "it says something else now"
    tell(box, call(1))
    now += 11.0
    assert len(box.untold(box.read(), 10.0)) == 1
    assert len(box.untold(box.read(), -1.0)) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (f"{A}.json", b""),
        (f"{A}.json", b"{"),
        (f"{A}.json", b"[]"),
        (f"{A}.json", b'{"attempt": "%s", "choice": "dance", "at": 1772528820.0}' % A.encode()),
        (f"{A}.json", b'{"attempt": "%s", "choice": "refuse", "at": 1772528820.0}' % B.encode()),
        (f"{A}.json", b'{"attempt": "%s", "choice": "refuse"}' % A.encode()),
        (f"{A}.json", b'{"attempt": "%s", "choice": "refuse", "at": 3.0}' % A.encode()),
        (f"{A}.json", b'{"attempt": "%s", "choice": "refuse", "at": 1e300}' % A.encode()),
        (f"{A}.json", b'{"attempt": "%s", "choice": "later", "at": 1772528820.0}' % A.encode()),
        (f"{A}.json", b'{"attempt": "%s", "choice": "later", "at": 1772528820.0, "due": 9e12}' % A.encode()),
        (
            f"{A}.json",
            b'{"attempt": "%s", "choice": "refuse", "at": 1772528820.0, "due": 1772529820.0}' % A.encode(),
        ),
        (
            f"{A}.json",
            b'{"attempt": "%s", "choice": "refuse", "at": 1772528820.0, "x": "%s"}'
            % (A.encode(), b"y" * 5000),
        ),
        (f"{A}.json", b"\xff\xfe"),
        ("notes.txt", b"hello"),
        ("a.json", b"{}"),
        (f"{A}.json.bak", b"{}"),
    ],
)
def test_what_is_no_note_is_moved_aside_with_a_line_in_the_log(box, name, content, caplog):
    (box.folder / name).write_bytes(content)
    good = note(box, B)
    with caplog.at_level(logging.ERROR):
        assert [one.attempt for one in tell(box, call(1), call(2))] == [B]
    assert (box.folder / REFUSED / name).read_bytes() == content
    assert not (box.folder / name).exists()
    assert good.exists()
    assert [record.file for record in caplog.records] == [name]


def test_an_attempt_that_the_journal_does_not_know_is_moved_aside(box, caplog):
    note(box)
    assert tell(box) == []
    assert (box.folder / REFUSED / f"{A}.json").exists()
    assert "knows no such attempt" in caplog.records[0].error


def test_two_of_one_name_are_both_kept_aside(box):
    for _ in range(3):
        note(box, choice="dance")
        box.read()
    assert len(list((box.folder / REFUSED).iterdir())) == 3


def test_no_link_is_followed_and_no_pipe_waited_for(box, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (box.folder / f"{A}.json").symlink_to(secret)
    os.mkfifo(box.folder / f"{B}.json")
    (box.folder / f"{attempt(3)}.json").mkdir()
    assert box.read() == []
    assert secret.read_text() == "{}"
    assert len(list((box.folder / REFUSED).iterdir())) == 3


def test_a_note_that_is_being_written_is_left_alone_and_one_that_never_was_finished_is_not(box):
    fresh, old = box.folder / f".{A}.7.new", box.folder / f".{B}.8.new"
    for path in (fresh, old):
        path.write_text("{")
    os.utime(old, (time.time() - 2 * module.SCRATCH_S,) * 2)
    assert box.read() == []
    assert fresh.exists()
    assert not old.exists()
    assert (box.folder / REFUSED / old.name).exists()


def test_the_box_is_for_its_owner_alone(box):
    assert box.folder.stat().st_mode & 0o777 == 0o700


# -- calls to us -----------------------------------------------------------------------------------------

LEAD = Lead(id=LeadId(1), campaign=CampaignId("demo"), contact=ContactId(1), phones=())
CALLED = {"campaign": "demo", "did": "+74951234567", "caller": "89160000001", "trunk": "carrier"}


def test_that_somebody_called_is_no_news_where_the_journal_knows_it(box):
    path = note(box, choice=None, **CALLED)  # type: ignore[arg-type]
    assert tell(box, call(1)) == []
    assert not path.exists()
    path = note(box, choice="voicemail", **CALLED)
    (event,) = tell(box, call(1))
    assert event.choice == "voicemail"
    assert path.exists()


def test_no_choice_is_for_callers_only(box, caplog):
    note(box, choice=None)  # type: ignore[arg-type]
    assert box.read() == []
    assert "no choice" in caplog.records[-1].error


# -- the engine ------------------------------------------------------------------------------------------


@pytest.fixture
async def rig(tmp_path, journal_file):
    """A house with a journal that knows attempt 1, and no servers."""
    make_home(tmp_path / "home")
    one = house.House(tmp_path / "home")
    async with await Journal.open(journal_file) as one.journal:
        one._last_word = LastWordDesk(one.home, journal=one.journal, inbox=one.inbox, clock=one.clock)
        one._recordings = Recordings(folder=one.home / "recordings", inbox=one.inbox, clock=one.clock)
        await one.journal.save([], [SaveCall(call=call(1))])
        yield one


async def test_choices_are_told_before_anything_may_be_dialed(rig, monkeypatch):
    async def nothing(*_: Any) -> tuple[()]:
        return ()

    monkeypatch.setattr(serverline, "list_endpoints", nothing)
    monkeypatch.setattr(serverline, "list_live", nothing)
    ears = serverline.Ears(
        inbox=rig.inbox,
        clock=rig.clock,
        floor=rig.floor,
        recordings=rig._recordings,
        last_word=rig._last_word,
    )
    note(rig._last_word.choices)
    await serverline.ServerLine(ONLY, cast("Any", None), ears).on_connected()
    told = await rig.inbox.get_batch(9)
    assert [type(one) for one in told] == [ev.ContactChose, ev.PbxConnected]
    assert (told[0].number, told[0].lead) == (call(1).number, call(1).lead)


async def test_a_journal_that_cannot_be_read_leaves_the_notes_where_they_are(rig, caplog):
    path = note(rig._last_word.choices)
    rig._last_word._journal = Broken()
    await rig._last_word.tell_choices()
    assert path.exists()
    assert "cannot be read" in caplog.text
    rig._last_word._journal = rig.journal
    await rig._last_word.tell_choices()
    assert len(await rig.inbox.get_batch(9)) == 1


async def test_it_is_known_when_all_is_spoken(rig, monkeypatch):
    desk = rig._last_word
    may_end, said = threading.Event(), []

    def times(_: object) -> list[str]:
        may_end.wait(10)
        said.append("times")
        return []

    monkeypatch.setattr(desk.prompts, "make", lambda _: [])
    monkeypatch.setattr(desk.prompts, "make_times", times)
    await desk.make_prompts([])
    done = asyncio.create_task(rig.finish_prompts())
    await asyncio.sleep(0)
    assert not done.done()
    may_end.set()
    await done
    assert said == ["times"]


async def test_the_box_is_looked_through_again_and_again(rig, monkeypatch):
    monkeypatch.setattr(lastword, "CHOICES_S", 0.01)
    keeping = asyncio.create_task(rig._last_word.keep_telling())
    path = note(rig._last_word.choices)
    await until(lambda: rig.inbox.total >= 1)
    rig._last_word.choices.forget(A)
    assert not path.exists()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


class Broken:
    async def find_calls(self, attempts: Any) -> Any:
        raise JournalError("disk I/O error")


async def test_a_call_that_the_journal_does_not_know_is_introduced_when_its_note_has_settled(rig):
    desk = rig._last_word
    path = note(desk.choices, B, None, **CALLED)  # type: ignore[arg-type]
    asked = []

    async def introduce(one: Any, at: float) -> ev.CallMissed:
        asked.append(one)
        missed = {
            "trunk": "carrier",
            "did": one.did,
            "number": "+79160000001",
            "phone": 1,
            "arrived_at": one.at,
        }
        return ev.CallMissed(at=at, attempt=B, campaign="demo", lead=LEAD, **missed)  # type: ignore[arg-type]

    desk.introduce = introduce
    await desk.tell_choices(settled_s=1e12)
    assert asked == [], "it may be on its way"
    await desk.tell_choices()
    (event,) = await rig.inbox.get_batch(9)
    assert isinstance(event, ev.CallMissed)
    assert asked[0].caller == CALLED["caller"]
    assert path.exists(), "until it is written down"
    await desk.tell_choices(again_s=60.0)
    assert len(asked) == 1
    desk.choices.forget(B)
    assert not path.exists()


async def test_a_call_to_nobodys_number_is_moved_aside(rig, caplog):
    async def introduce(*_: Any) -> None:
        return None

    rig._last_word.introduce = introduce
    note(rig._last_word.choices, B, None, **CALLED)  # type: ignore[arg-type]
    await rig._last_word.tell_choices()
    assert (rig._last_word.choices.folder / REFUSED / f"{B}.json").exists()
    assert "+74951234567" in caplog.records[-1].error
