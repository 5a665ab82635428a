"""What the core orders, as requests to Asterisk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.core import commands as c
from dialer.core import events as e
from dialer.core.ids import AttemptId, BridgeId, CampaignId, ChannelId, TrunkId
from dialer.core.trunk import NumberRule
from dialer.pbx import dialstring, requests, wire
from dialer.pbx.errors import (
    Undialable,
    Unsendable,
)
from dialer.pbx.waiting import waiting_time
from tests.unit.pbx.orders import (
    AT,
    BRIDGE,
    HOME,
    JOIN,
    LINE,
    OPEN,
    ORIGINATE,
    PLAIN,
    RING,
    TRUNKS,
    A,
    changed,
)


def made(command: c.Command, recordings: Path = HOME) -> tuple[requests.Request, ...]:
    return requests.to_request(command, trunks=TRUNKS, recordings=recordings, at=AT)


def test_an_originate():
    (request,) = made(ORIGINATE)
    assert request == requests.Request(
        method="POST",
        path="/channels",
        repeatable=False,
        json={
            "endpoint": "PJSIP/+442079460123@trunk-lab",
            "channelId": A,
            "context": "obzvon-outbound",
            "extension": "answered",
            "priority": 1,
            "timeout": 50,
            "callerId": "+442079460000",
            "variables": {
                "OBZVON_ATTEMPT": A,
                "OBZVON_RECORD": f"/srv/obzvon/recordings/2025-01-31/{A}.raw",
                "OBZVON_WAIT": "",
                "OBZVON_CAMPAIGN": ORIGINATE.campaign,
                "OBZVON_KIND": "",
                "OBZVON_ZONES": "",
                "OBZVON_LISTEN": "",
                "OBZVON_TIMES": "0",
            },
        },
    )


@pytest.mark.parametrize(
    ("zones", "told"),
    [
        (("Europe/Moscow",), "Europe/Moscow"),
        (("America/Argentina/Buenos_Aires", "Etc/GMT+5"), "America/Argentina/Buenos_Aires Etc/GMT+5"),
        (("Europe/Moscow", "${SHELL(id)}"), "?"),
        (("a,b",), "?"),
        (("",), "?"),
        (("../../etc/passwd",), "?"),
        (("Europe/Moscow",) * 65, "?"),
    ],
)
def test_where_the_person_may_be_is_told_to_the_dialplan(zones, told):
    (request,) = made(changed(ORIGINATE, zones=zones, kind="mobile"))
    assert request.json is not None
    assert request.json["variables"]["OBZVON_ZONES"] == told
    assert request.json["variables"]["OBZVON_KIND"] == "mobile"


def test_a_kind_or_a_campaign_that_the_dialplan_could_misread_is_not_told():
    (request,) = made(changed(ORIGINATE, kind="a&b"))
    assert request.json is not None
    assert request.json["variables"]["OBZVON_KIND"] == ""
    with pytest.raises(Unsendable, match="no name of a campaign"):
        made(changed(ORIGINATE, campaign="../x"))


@pytest.mark.parametrize("listen_s", [0.6, 1.2, 1.5, 4.0])
def test_how_it_is_listened_who_answered(listen_s):
    (request,) = made(changed(ORIGINATE, listen_s=listen_s))
    assert request.json is not None
    told = request.json["variables"]["OBZVON_LISTEN"]
    assert told == requests.amd_arguments(listen_s)
    silence, greeting, after, total, word, between, words, threshold, word_max = map(int, told.split(","))
    assert total == round(1000 * listen_s)
    assert silence > total, "who says nothing is no machine"
    assert word_max > total, "nor is one long word"
    assert word < after < greeting, "a person may say hello"
    assert greeting >= 900
    assert (greeting < total) is (listen_s > 0.9), (
        "a machine is told by its talking on and on, if there is time for it"
    )
    assert (words, threshold, between) == (3, 256, 50)


def test_an_announcement_goes_its_own_way():
    (request,) = made(changed(ORIGINATE, message_times=3, listen_s=1.2))
    assert request.json is not None
    assert (request.json["context"], request.json["extension"]) == ("obzvon-outbound", "announce")
    told = request.json["variables"]
    assert (told["OBZVON_TIMES"], told["OBZVON_WAIT"]) == ("3", "")
    assert told["OBZVON_LISTEN"] == requests.amd_arguments(1.2)


def test_an_originate_that_is_not_recorded():
    (request,) = made(changed(ORIGINATE, record=False, caller_id=""))
    assert request.json is not None
    assert request.json["variables"]["OBZVON_RECORD"] == ""
    assert "callerId" not in request.json


def test_a_trunk_that_wants_no_plus_sign():
    (request,) = made(changed(ORIGINATE, trunk=PLAIN.id))
    assert request.json is not None
    assert request.json["endpoint"] == "PJSIP/442079460123@trunk-plain"


RULES = msgspec.structs.replace(
    PLAIN,
    number_rules=(
        NumberRule(prefix="+7", strip=2, add="8"),
        NumberRule(prefix="+7495", strip=5),
        NumberRule(prefix="+44", strip=1, add="00"),
        NumberRule(prefix="+33", strip=20),
    ),
)


@pytest.mark.parametrize(
    ("number", "changes", "written"),
    [
        ("+79161234567", {}, "89161234567"),
        ("+74951234567", {}, "1234567"),
        ("+441234567890", {}, "00441234567890"),
        ("+12125550100", {}, "12125550100"),
        ("+12125550100", {"number_format": "e164_plus"}, "+12125550100"),
        ("+79161234567", {"tech_prefix": "12#*"}, "12#*89161234567"),
        ("+12125550100", {"tech_prefix": "77", "number_format": "e164_plus"}, "77+12125550100"),
    ],
)
def test_a_number_is_written_by_the_trunk_s_rules(number: str, changes: Any, written: str) -> None:
    assert dialstring.dial_number(number, msgspec.structs.replace(RULES, **changes)) == written


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        ("+33123456789", {}),
        ("+12125550100", {"destinations": ("+7",)}),
        ("+79161234567", {"forbidden": ("+7916",)}),
    ],
)
def test_what_a_trunk_cannot_be_asked_goes_on_by_another(number: str, changes: Any) -> None:
    with pytest.raises(Undialable) as caught:
        dialstring.dial_number(number, msgspec.structs.replace(RULES, **changes))
    told = wire.to_refusal(ORIGINATE, caught.value, AT)
    assert isinstance(told, e.OriginateRefused)
    assert (told.was_sent, told.is_ours) == (False, False)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "442079460123",
        "+0442079460",
        "+44207",
        "+4420794601234567",
        "+44 2079460123",
        "+442079460123\n",
        "+442079460123@evil",
        "+44207946012&PJSIP/999",
        "+٤٤٢٠٧٩٤٦٠١٢٣",
        "tel:+442079460123",
    ],
)
def test_what_is_not_e164_never_becomes_a_dial_string(number):
    with pytest.raises(Unsendable) as caught:
        made(changed(ORIGINATE, number=number))
    refusal = wire.to_refusal(ORIGINATE, caught.value, AT)
    assert isinstance(refusal, e.OriginateRefused)
    assert not refusal.was_sent


@given(st.text())
def test_a_dial_string_holds_nothing_but_a_number(number):
    try:
        (request,) = made(changed(ORIGINATE, number=number))
    except Unsendable:
        return
    assert request.json is not None
    digits = request.json["endpoint"].removeprefix("PJSIP/+").removesuffix("@trunk-lab")
    assert digits.isascii()
    assert digits.isdigit()


@pytest.mark.parametrize(
    "values",
    [
        {"trunk": TrunkId("none")},
        {"caller_id": "+44\r\nX: y"},
        {"caller_id": '"a" <+44> ;x'},
        {"caller_id": "anyone"},
        {"attempt": AttemptId("../../etc/passwd")},
        {"attempt": AttemptId("../../etc/passwd"), "record": False},
    ],
)
def test_other_things_that_are_not_sent(values):
    with pytest.raises(Unsendable):
        made(changed(ORIGINATE, **values))


@pytest.mark.parametrize(
    "caller_id", ["+442079460000", "100", '"Spring Offer" <+442079460000>', "Spring <100>"]
)
def test_caller_ids_that_are_fine(caller_id):
    (request,) = made(changed(ORIGINATE, caller_id=caller_id))
    assert request.json is not None
    assert request.json["callerId"] == caller_id


@pytest.mark.parametrize("folder", ["recordings", "/a,b", "/a;b", "/a$(b)", "/a&b", '/a"b', "/a\nb", "/a{b}"])
def test_a_folder_that_the_dialplan_would_misread(folder):
    with pytest.raises(Unsendable):
        made(ORIGINATE, Path(folder))


def test_a_rung_agent():
    (request,) = made(RING)
    assert request.path == "/channels"
    assert request.json == {
        "endpoint": "PJSIP/101",
        "channelId": f"leg-{A}",
        "app": "obzvon",
        "appArgs": "leg",
        "timeout": 25,
        "callerId": "+442079460123",
        "variables": {
            "PJSIP_HEADER(add,Alert-Info)": "<http://localhost>;info=alert-autoanswer;delay=0",
            "PJSIP_HEADER(add,Call-Info)": "<sip:localhost>;answer-after=0",
        },
    }


@pytest.mark.parametrize("phone", ["", "101&102", "101@elsewhere", "101/x", "1 0 1"])
def test_a_phone_that_is_no_name(phone):
    with pytest.raises(Unsendable):
        made(changed(RING, phone=phone))


def test_an_agents_line():
    make, add = made(OPEN)
    assert (make.method, make.path, make.fine) == ("POST", f"/bridges/{BRIDGE}", (409,))
    assert make.json == {"type": "mixing,dtmf_events", "name": BRIDGE}
    assert (add.path, add.fine) == (f"/bridges/{BRIDGE}/addChannel", ())
    assert add.json == {"channel": LINE, "inhibitConnectedLineUpdates": True}


@pytest.mark.parametrize(
    ("command", "method", "path", "json", "fine"),
    [
        (c.HangUp(channel=LINE), "DELETE", f"/channels/{LINE}", None, (404,)),
        (c.CloseLine(bridge=BRIDGE), "DELETE", f"/bridges/{BRIDGE}", None, (404,)),
        (
            c.Tell(channel=LINE, message="call"),
            "POST",
            f"/channels/{LINE}/play",
            {"media": "sound:ascending-2tone"},
            (),
        ),
        (
            c.Dismiss(channel=LINE, message="result_saved"),
            "POST",
            f"/channels/{LINE}/continue",
            {"context": "obzvon-tell", "extension": "result_saved", "priority": 1},
            (),
        ),
    ],
)
def test_commands_of_one_request(command, method, path, json, fine):
    (request,) = made(command)
    assert request == requests.Request(method=method, path=path, json=json, fine=fine)


LIMIT_OFF = requests.Request(
    method="POST", path=f"/channels/{A}/variable", json={"variable": "TIMEOUT(absolute)", "value": "0"}
)
STOP_TELLING = requests.Request(method="DELETE", path=f"/playbacks/wait-{A}", fine=(404,))
ADD = requests.Request(
    method="POST",
    path=f"/bridges/{BRIDGE}/addChannel",
    json={"channel": A, "inhibitConnectedLineUpdates": True},
)


def test_the_limit_of_waiting_is_taken_away_before_the_join_and_never_after():
    assert made(JOIN) == (LIMIT_OFF, ADD)


def test_who_is_held_may_be_listening_and_is_joined_at_once_all_the_same():
    assert made(changed(JOIN, is_held=True)) == (STOP_TELLING, LIMIT_OFF, ADD)


def test_a_person_is_told_one_thing_at_a_time():
    say = {"media": ["sound:pls-hold-while-try"]}
    tell = requests.Request(method="POST", path=f"/channels/{A}/play/wait-{A}", json=say)
    assert made(c.AnnounceWait(attempt=A)) == (STOP_TELLING, tell)


def test_the_last_word_waits_for_nothing_that_is_being_told():
    on = {"context": "obzvon-last-word", "extension": "s", "priority": 1}
    go = requests.Request(method="POST", path=f"/channels/{A}/continue", json=on)
    assert made(c.SendToLastWord(attempt=A)) == (STOP_TELLING, go)


def test_a_person_is_held():
    hold = c.HoldContact(attempt=A, bridge=BridgeId("hold-spring"), wait_s=125.0, hold_s=60.5)
    path = "/bridges/hold-spring"
    assert made(hold) == (
        STOP_TELLING,
        requests.Request(
            method="POST", path=path, json={"type": "holding", "name": "hold-spring"}, fine=(409,)
        ),
        # Who is in it already, and is added once more, would hear nothing ever after.
        requests.Request(method="POST", path=path + "/removeChannel", json={"channel": A}, fine=(422,)),
        requests.Request(
            method="POST",
            path=f"/channels/{A}/variable",
            json={"variable": "TIMEOUT(absolute)", "value": "71"},
        ),
        requests.Request(
            method="POST",
            path=path + "/addChannel",
            json={"channel": A, "inhibitConnectedLineUpdates": True, "role": "holding_participant"},
        ),
        requests.Request(
            method="POST",
            path=f"/channels/{A}/play/wait-{A}",
            json={"media": ["sound:queue-holdtime", "number:3", "sound:queue-minutes"]},
        ),
    )


@pytest.mark.parametrize(
    ("wait_s", "said"),
    [
        (None, ("sound:pls-hold-while-try",)),
        (0.0, ("sound:queue-holdtime", "sound:queue-less-than", "number:1", "sound:queue-minute")),
        (60.0, ("sound:queue-holdtime", "sound:queue-less-than", "number:1", "sound:queue-minute")),
        (60.1, ("sound:queue-holdtime", "number:2", "sound:queue-minutes")),
        (120.0, ("sound:queue-holdtime", "number:2", "sound:queue-minutes")),
    ],
)
def test_the_time_told_is_rounded_up(wait_s, said):
    assert waiting_time(wait_s) == said


OWN = {"place_2": "/c/2", "minutes_3": "/c/3", "hold": "/c/h"}


@pytest.mark.parametrize(
    ("wait_s", "place", "said"),
    [
        (None, None, ("sound:/c/h",)),
        (None, 2, ("sound:/c/2",)),
        (125.0, 2, ("sound:/c/2", "sound:/c/3")),
        (125.0, None, ("sound:/c/3",)),
        (None, 1, ("sound:queue-youarenext",)),
        (125.0, 5, ("sound:queue-thereare", "number:5", "sound:queue-callswaiting", "sound:/c/3")),
    ],
)
def test_who_waits_is_told_in_our_own_words_where_there_are_any(wait_s, place, said):
    assert waiting_time(wait_s, place, OWN) == said


def test_the_words_are_those_of_the_campaign():
    tell = c.AnnounceWait(attempt=A, campaign=CampaignId("spring"), place=2)
    sounds = {CampaignId("spring"): OWN}
    stop, play = requests.to_request(
        tell, trunks={}, recordings=Path("/r"), at=0.0, sounds=lambda one: sounds[one]
    )
    assert stop == STOP_TELLING
    assert play.json == {"media": ["sound:/c/2"]}


@pytest.mark.parametrize(
    ("order", "extension"),
    [
        (c.SendToOverflow(attempt=A, place="callback"), "callback"),
        (c.SendToOverflow(attempt=A, place="voicemail", is_closed=True), "closed_voicemail"),
    ],
)
def test_a_caller_whom_nobody_takes_is_the_dialplans(order, extension):
    on = {"context": "obzvon-overflow", "extension": extension, "priority": 1}
    go = requests.Request(method="POST", path=f"/channels/{A}/continue", json=on)
    assert made(order) == (STOP_TELLING, go)


def test_a_caller_is_forwarded_by_the_trunk_that_has_room():
    order = c.SendToOverflow(attempt=A, place="number", trunk=TrunkId("lab"), number="+74959999999")
    hush, whither, go = made(order)
    assert whither.path == f"/channels/{A}/variable"
    assert whither.json == {"variable": "OBZVON_FORWARD", "value": "+74959999999@trunk-lab"}
    assert hush == STOP_TELLING
    assert go.json is not None
    assert go.json["extension"] == "number"
    gone = made(changed(order, trunk=TrunkId("gone")))[1]
    assert gone.json == {"variable": "OBZVON_FORWARD", "value": ""}, "the dialplan offers a callback"


def test_asterisk_is_told_how_long_an_answered_person_waits_for_us():
    (request,) = made(changed(ORIGINATE, wait_s=16.5))
    assert request.json is not None
    assert request.json["variables"]["OBZVON_WAIT"] == "27"


def test_an_id_cannot_leave_its_place_in_a_path():
    (request,) = made(c.HangUp(channel=ChannelId("../bridges/x?y=1")))
    assert request.path == "/channels/..%2Fbridges%2Fx%3Fy%3D1"


def test_every_message_has_a_sound():
    assert set(requests.SOUNDS) == set(get_args(c.Message))


def test_commands_of_others_are_a_fault_of_ours():
    with pytest.raises(TypeError):
        made(c.FetchLeads(campaign=CampaignId("spring"), limit=1))


def test_only_the_originate_is_not_repeatable():
    for command in (
        ORIGINATE,
        RING,
        JOIN,
        OPEN,
        c.HangUp(channel=LINE),
        c.Tell(channel=LINE, message="call"),
    ):
        assert all(request.repeatable is (command is not ORIGINATE) for request in made(command))
