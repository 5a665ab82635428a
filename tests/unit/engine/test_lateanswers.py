"""Who is told of an answer that crosses our cancel, and when."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import msgspec
import pytest

from dialer.core.events import AnswerFound, ContactHungUp, Event
from dialer.core.values import Call, CallState
from dialer.engine import lateanswers
from dialer.engine.lateanswers import LateAnswers
from dialer.pbx.frames import Channel
from tests.unit.engine.parts import attempt, call, until
from tests.unit.pbx.test_hep import CALL, PASSWORD, packed, sip

ONE = attempt(1)
SENT, ANSWERED, REFUSED = (
    packed(sip(first))
    for first in ("INVITE sip:1@127.0.0.1 SIP/2.0", "SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated")
)
PLACED = Channel(id=ONE, state="Down", protocol_id=CALL)
RINGING = Channel(id=ONE, state="Ringing", protocol_id=CALL)


class Rig:
    def __init__(self) -> None:
        self.at = 1_700_000_100.0
        ringing = msgspec.structs.replace(call(1), state=CallState.ENDING, rang_at=self.at - 20)
        self.calls: dict[Any, Call] = {ONE: ringing}
        self.told: list[Event] = []
        self.late = LateAnswers(
            calls=self.calls,
            clock=lambda: self.at,  # type: ignore[arg-type]
            password=PASSWORD.decode(),
            wait_s=0.05,
        )

    def sent(self, *, is_told_first: bool = True) -> None:
        """Its channel is made, and its INVITE copied: whichever comes first."""
        if is_told_first:
            self.late.placed(PLACED)
        self.late.heard(SENT)
        if not is_told_first:
            self.late.placed(PLACED)

    def ends(self, channel: Channel = RINGING, **facts: Any) -> None:
        event = ContactHungUp(at=self.at, attempt=ONE, **({"cause": 16} | facts))
        self.late.ended(event, channel, self.told.append)

    @property
    def kinds(self) -> list[type[Event]]:
        return [type(one) for one in self.told]


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.mark.parametrize("is_told_first", [True, False])
async def test_an_answer_after_our_cancel_is_told_before_the_end(rig: Rig, is_told_first: bool) -> None:
    rig.sent(is_told_first=is_told_first)
    rig.ends()
    assert rig.told == []
    rig.at += 0.2
    rig.late.heard(ANSWERED)
    assert rig.told == [
        AnswerFound(at=rig.at, attempt=ONE, answered_at=rig.at),
        ContactHungUp(at=rig.at, attempt=ONE, cause=16),
    ]
    rig.late.heard(ANSWERED)  # it comes again until it is confirmed
    assert len(rig.told) == 2


async def test_an_answer_that_is_seen_before_the_channel_is_gone_is_told_with_its_time(rig: Rig) -> None:
    rig.sent()
    rig.late.heard(ANSWERED)
    answered_at, rig.at = rig.at, rig.at + 0.1
    rig.ends()
    found = rig.told[0]
    assert isinstance(found, AnswerFound)
    assert found.answered_at == answered_at
    assert rig.kinds == [AnswerFound, ContactHungUp]


async def test_who_did_not_answer_ends_when_the_carrier_has_confirmed_it(rig: Rig) -> None:
    rig.sent()
    rig.ends()
    rig.late.heard(REFUSED)
    assert rig.kinds == [ContactHungUp]


async def test_who_asked_for_a_password_may_answer_the_second_invite(rig: Rig) -> None:
    rig.sent()
    for copy in (packed(sip("SIP/2.0 407 Proxy Authentication Required")), SENT):
        rig.late.heard(copy)
    rig.ends()
    rig.late.heard(ANSWERED)
    assert rig.kinds == [AnswerFound, ContactHungUp]


async def test_strangers_take_nobodys_place(rig: Rig) -> None:
    rig.sent()
    for number in range(lateanswers.OTHERS_MAX + 500):
        rig.late.heard(packed(sip("INVITE sip:1@127.0.0.1 SIP/2.0").replace(CALL.encode(), b"%d" % number)))
    assert set(rig.late._seen) == {CALL}
    assert len(rig.late._others) == lateanswers.OTHERS_MAX
    rig.ends()
    rig.late.heard(ANSWERED)
    assert rig.kinds == [AnswerFound, ContactHungUp]


async def test_our_own_call_that_comes_back_to_us_under_its_id_is_another(rig: Rig) -> None:
    """As from a proxy that forwards it to a number of ours: two channels end with one Call-ID."""
    rig.sent()
    two = attempt(2)
    rig.calls[two] = msgspec.structs.replace(rig.calls[ONE], attempt=two)
    back = msgspec.structs.replace(RINGING, id=two)
    for is_held in (False, True):
        rig.told.clear()
        event = ContactHungUp(at=rig.at, attempt=two, cause=16)
        rig.late.ended(event, back, rig.told.append)
        assert rig.told == [event]
        if not is_held:
            rig.told.clear()
            rig.ends()
            assert rig.told == []
    rig.told.clear()
    rig.late.heard(ANSWERED)
    assert [one.attempt for one in rig.told] == [ONE, ONE]  # type: ignore[attr-defined]


async def test_who_was_with_the_dialplan_when_we_gave_them_up_had_answered(rig: Rig) -> None:
    """It listened whether they are a machine, and no event had told of the answer."""
    up = msgspec.structs.replace(RINGING, state="Up")
    rig.calls[ONE] = msgspec.structs.replace(rig.calls[ONE], ending="no_answer")
    rig.sent()
    rig.late.heard(ANSWERED)
    rig.ends(up)
    assert rig.kinds == [AnswerFound, ContactHungUp]


async def test_who_hung_up_themselves_while_the_dialplan_had_them_is_told_as_ever(rig: Rig) -> None:
    up = msgspec.structs.replace(RINGING, state="Up")
    rig.calls[ONE] = msgspec.structs.replace(rig.calls[ONE], ending="", state=CallState.RINGING)
    rig.sent()
    rig.late.heard(ANSWERED)
    rig.ends(up)
    assert rig.kinds == [ContactHungUp]


async def test_that_no_copies_come_is_told_once(rig: Rig, tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    rig.at -= 200
    await rig.late.listen("", tmp_path / "port")
    rig.at += 200
    for _ in range(2):
        rig.calls[ONE] = msgspec.structs.replace(rig.calls[ONE], created_at=rig.at)
        rig.late.placed(PLACED)
        rig.ends()
    assert rig.kinds == [ContactHungUp] * 2
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    rig.late.close()


async def test_a_carrier_that_says_nothing_is_not_waited_for_for_ever(rig: Rig) -> None:
    rig.sent()
    rig.ends()
    await until(lambda: bool(rig.told))
    assert rig.kinds == [ContactHungUp]
    rig.late.heard(ANSWERED)  # now nobody asks any more
    assert len(rig.told) == 1


@pytest.mark.parametrize(
    ("channel", "facts"),
    [
        (msgspec.structs.replace(RINGING, state="Up"), {}),
        (RINGING, {"tech_cause": 486, "cause": 17}),
        (msgspec.structs.replace(RINGING, protocol_id=""), {}),
        (msgspec.structs.replace(RINGING, protocol_id="another"), {}),
    ],
)
async def test_a_call_whose_end_is_known_ends_at_once(
    rig: Rig, channel: Channel, facts: dict[str, int]
) -> None:
    rig.sent()
    rig.ends(channel, **facts)
    assert rig.kinds == [ContactHungUp]


@pytest.mark.parametrize("changes", [{"rang_at": None}, {"answered_at": 1_700_000_090.0}])
async def test_who_did_not_ring_or_was_answered_ends_at_once(rig: Rig, changes: dict[str, Any]) -> None:
    rig.calls[ONE] = msgspec.structs.replace(rig.calls[ONE], **changes)
    rig.sent()
    rig.ends()
    assert rig.kinds == [ContactHungUp]


async def test_a_call_that_is_no_more_ends_at_once(rig: Rig) -> None:
    rig.calls.clear()
    rig.sent()
    rig.ends()
    assert rig.kinds == [ContactHungUp]


async def test_where_no_copies_come_nothing_is_waited_for(rig: Rig) -> None:
    rig.ends()
    assert rig.kinds == [ContactHungUp]


async def test_a_call_that_is_older_than_we_is_waited_for(rig: Rig, tmp_path) -> None:
    """The engine before us sent its INVITE, and was killed."""
    await rig.late.listen("", tmp_path / "port")
    rig.ends()
    assert rig.told == []
    rig.late.heard(ANSWERED)
    assert rig.kinds == [AnswerFound, ContactHungUp]
    rig.late.close()


async def test_of_a_call_without_an_id_nothing_is_waited_for(rig: Rig, tmp_path) -> None:
    """Two of them are two: neither takes the other's place."""
    await rig.late.listen("", tmp_path / "port")
    for _ in range(2):
        rig.ends(msgspec.structs.replace(RINGING, protocol_id=""))
    assert rig.kinds == [ContactHungUp] * 2
    rig.late.close()


async def test_an_end_that_is_told_twice_is_held_once(rig: Rig) -> None:
    rig.sent()
    rig.ends()
    rig.ends()
    rig.late.heard(REFUSED)
    assert rig.kinds == [ContactHungUp]
    await asyncio.sleep(0.1)
    assert len(rig.told) == 1


async def test_what_is_known_of_calls_is_bounded_and_goes_with_them(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lateanswers, "CALLS_MAX", 3)
    rig.sent()
    rig.ends()
    for serial in range(2, 5):
        rig.late.placed(Channel(id=attempt(serial), protocol_id=str(serial)))
    assert rig.kinds == [ContactHungUp], "whom there is no room for is not held either"
    assert set(rig.late._seen) == {"2", "3", "4"}
    for serial in range(2, 5):
        event = ContactHungUp(at=rig.at, attempt=attempt(serial), cause=16)
        rig.late.ended(
            event, Channel(id=attempt(serial), state="Up", protocol_id=str(serial)), rig.told.append
        )
    assert rig.late._seen == {}


async def test_copies_come_by_udp_and_others_are_not_believed(rig: Rig, tmp_path) -> None:
    note = tmp_path / "port"
    place = await rig.late.listen("", note)
    host, _, port = place.rpartition(":")
    assert (host, note.read_text().strip()) == ("127.0.0.1", port)
    rig.sent()
    rig.ends()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asterisk:
        asterisk.sendto(b"", (host, int(port)))
        asterisk.sendto(packed(sip("SIP/2.0 200 OK"), b"guessed"), (host, int(port)))
        asterisk.sendto(REFUSED, (host, int(port)))
    await until(lambda: bool(rig.told))
    assert rig.kinds == [ContactHungUp]
    rig.late.close()


async def test_the_next_engine_listens_where_the_last_one_did_if_it_can(rig: Rig, tmp_path) -> None:
    note = tmp_path / "port"
    place = await rig.late.listen("", note)
    other = Rig()
    elsewhere = await other.late.listen("", note)
    assert elsewhere != place, "the port was taken"
    other.late.close()
    rig.late.close()
    third = Rig()
    assert await third.late.listen("", note) == elsewhere
    third.late.close()
    note.write_text("rubbish\n")
    assert await third.late.listen("", note) != ""
    third.late.close()


async def test_a_wanted_place_that_cannot_be_had_is_told_and_keeps_nobody_from_work(
    rig: Rig, tmp_path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        wanted = f"127.0.0.1:{other.getsockname()[1]}"
        assert await rig.late.listen(wanted, tmp_path / "port") == ""
    assert [one.levelname for one in caplog.records] == ["ERROR"]
    assert not (tmp_path / "port").exists()
    assert await rig.late.listen(wanted, tmp_path / "port") == wanted
    rig.late.close()


async def test_at_the_end_nothing_more_is_told(rig: Rig) -> None:
    rig.sent()
    rig.ends()
    rig.late.close()
    await asyncio.sleep(0.1)
    assert rig.told == []
