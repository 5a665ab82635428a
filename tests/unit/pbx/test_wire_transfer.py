"""Hold, transfers and conferences on the wire: frames to events, commands to requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dialer.core import commands as c
from dialer.core import events as ev
from dialer.core.ids import AttemptId, BridgeId, CampaignId, ChannelId, TrunkId, third_of
from dialer.core.trunk import Trunk
from dialer.pbx.deskphones import may_refer
from dialer.pbx.errors import Conflict, PbxRefused, Undialable
from dialer.pbx.frames import FrameReader
from dialer.pbx.requests import to_request
from dialer.pbx.wire import to_event, to_refusal

AT = 1000.0
ATTEMPT = AttemptId("a" + "0" * 20)
THIRD = third_of(ATTEMPT, 1)
LINE = ChannelId("1700000000.1")
TRUNK = Trunk(id=TrunkId("lab"), host="carrier", forbidden=("+7900",))


def event_of(frame: dict[str, Any]) -> ev.Event | None:
    read = FrameReader().read(json.dumps(frame))
    assert read is not None
    return to_event(read, AT)


def requests(command: c.Command) -> list[tuple[str, str, Any]]:
    made = to_request(command, trunks={TRUNK.id: TRUNK}, recordings=Path("/r"), at=AT)
    return [(one.method, one.path, one.json) for one in made]


@pytest.mark.parametrize(("kind", "is_held"), [("ChannelHold", True), ("ChannelUnhold", False)])
def test_a_phone_s_hold_key(kind: str, is_held: bool) -> None:
    assert event_of({"type": kind, "channel": {"id": LINE}}) == ev.PhoneHeld(
        at=AT, channel=LINE, is_held=is_held
    )
    assert event_of({"type": kind, "channel": {"id": ATTEMPT}}) is None, "a person may hold us"


def refer(destination: str, *, other: str = "", state: str | None = None) -> dict[str, Any]:
    to: dict[str, Any] = {"requested_destination": {"destination": destination}}
    if other:
        to["destination_channel"] = {"id": other}
    frame = {"type": "ChannelTransfer", "refer_to": to, "referred_by": {"source_channel": {"id": LINE}}}
    return frame if state is None else {**frame, "state": state}


def test_a_phone_s_transfer_key() -> None:
    assert event_of(refer("102")) == ev.PhoneReferred(at=AT, channel=LINE, to="102")
    assert event_of(refer("102", other="x.2")) == ev.PhoneReferred(
        at=AT, channel=LINE, other=ChannelId("x.2")
    )
    assert event_of(refer("102", state="channel_progress")) is None, "our own word, said again"


@pytest.mark.parametrize("destination", ["", "s", "10 2", "1" * 40, "../x", "102\r\n"])
def test_a_transfer_to_what_is_no_number_leads_to_nobody(destination: str) -> None:
    assert event_of(refer(destination)) == ev.PhoneReferred(at=AT, channel=LINE)


def test_a_second_call_and_a_third_party() -> None:
    def started(*args: str) -> ev.Event | None:
        return event_of({"type": "StasisStart", "channel": {"id": LINE}, "args": args})

    assert started("dialed", "101", "102") == ev.PhoneDialed(at=AT, channel=LINE, phone="101", number="102")
    assert started("dialed", "101", "*1") == ev.FeatureDialed(at=AT, channel=LINE, phone="", code="")
    assert started("third") == ev.ThirdAnswered(at=AT, channel=LINE)


def test_moving() -> None:
    away = requests(c.MoveContact(attempt=ATTEMPT, bridge=BridgeId("line-x")))
    assert [one[:2] for one in away] == [
        ("DELETE", f"/playbacks/wait-{ATTEMPT}"),
        ("POST", f"/channels/{ATTEMPT}/variable"),
        ("POST", "/bridges/line-x/addChannel"),
    ]
    assert away[1][2] == {"variable": "TIMEOUT(absolute)", "value": "0"}, "no limit on a conversation"
    assert [one[1] for one in requests(c.MoveLine(channel=LINE, bridge=BridgeId("line-x")))] == [
        "/bridges/line-x/addChannel"
    ]


def test_music_without_a_word_and_with_a_limit() -> None:
    paths = [
        one[1] for one in requests(c.HoldContact(attempt=ATTEMPT, bridge=BridgeId("hold-c"), is_told=False))
    ]
    assert not [path for path in paths if "/play/" in path]
    assert f"/channels/{ATTEMPT}/variable" in paths


def test_a_line_for_a_second_voice_mixes_and_takes_the_place_of_a_plain_one() -> None:
    line = to_request(
        c.OpenLine(channel=LINE, bridge=BridgeId("line-x"), is_mixed=True),
        trunks={},
        recordings=Path("/r"),
        at=AT,
    )
    assert [one.method for one in line] == ["DELETE", "POST", "POST"]
    assert line[1].json == {"type": "mixing,dtmf_events,video_sfu", "name": "line-x"}
    assert (line[0].fine, line[1].fine, line[1].again) == ((404,), (), (409,))


def dial(number: str = "+79161234567", trunk: str = "lab") -> c.DialThird:
    return c.DialThird(
        channel=THIRD,
        attempt=ATTEMPT,
        campaign=CampaignId("c"),
        trunk=TrunkId(trunk),
        number=number,
        caller_id="+74950000000",
        ring_s=30.0,
    )


def test_a_third_party_is_called_once_and_gives_up_by_itself() -> None:
    (request,) = to_request(dial(), trunks={TRUNK.id: TRUNK}, recordings=Path("/r"), at=AT)
    assert not request.repeatable
    assert request.json == {
        "endpoint": "PJSIP/+79161234567@trunk-lab",
        "channelId": THIRD,
        "app": "obzvon",
        "appArgs": "third",
        "timeout": 40,
        "callerId": "+74950000000",
    }


@pytest.mark.parametrize("command", [dial("+79001234567"), dial(trunk="none")])
def test_where_a_trunk_may_not_call_nobody_is_called(command: c.DialThird) -> None:
    with pytest.raises(Undialable):
        requests(command)


def test_refusals() -> None:
    assert to_refusal(dial(), PbxRefused(500, "no"), AT) == ev.ThirdRefused(
        at=AT, channel=THIRD, reason=str(PbxRefused(500, "no"))
    )
    assert to_refusal(dial(), Conflict(409, "there is"), AT) is None
    move = c.MoveContact(attempt=ATTEMPT, bridge=BridgeId("line-x"))
    assert isinstance(to_refusal(move, PbxRefused(404, "gone"), AT), ev.JoinRefused)


@pytest.mark.parametrize("state", ["progress", "answered", "declined"])
def test_how_a_transfer_goes_is_told_to_the_phone(state: Any) -> None:
    assert requests(c.ReportTransfer(channel=LINE, state=state)) == [
        ("POST", f"/channels/{LINE}/transfer_progress", {"states": f"channel_{state}"})
    ]


def test_whether_an_asterisk_tells_of_a_refer(tmp_path: Path) -> None:
    assert not may_refer(None)
    assert not may_refer(tmp_path)
    (tmp_path / "res_pjsip_refer.so").touch()
    (tmp_path / "chan_pjsip.so").write_bytes(b"\0nothing of that\0")
    assert not may_refer(tmp_path)
    other = tmp_path / "22"
    other.mkdir()
    (other / "chan_pjsip.so").write_bytes(b"\0PJSIP_TRANSFER_HANDLING\0")
    assert not may_refer(other), "who would say yes to a REFER?"
    third = tmp_path / "22.10"
    third.mkdir()
    (third / "chan_pjsip.so").write_bytes(b"\0PJSIP_TRANSFER_HANDLING\0")
    (third / "res_pjsip_refer.so").touch()
    assert may_refer(third)
