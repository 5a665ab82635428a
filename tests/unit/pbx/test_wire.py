"""Translation in both directions; every refusal of what must not be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.core import commands as c
from dialer.core import events as e
from dialer.core.ids import AgentId, AttemptId, BridgeId, CampaignId, ChannelId, TrunkId, leg_of
from dialer.core.trunk import NumberRule
from dialer.core.values import Trunk
from dialer.pbx import frames as f
from dialer.pbx import wire
from dialer.pbx.errors import (
    Conflict,
    NotFound,
    PbxError,
    PbxTimeout,
    PbxUnreachable,
    ServerFault,
    Undialable,
    Unsendable,
)
from dialer.pbx.phones import PhoneNews
from dialer.pbx.waiting import waiting_time

A = AttemptId("a" + "0" * 20)
LINE = ChannelId("1763763201.12")
BRIDGE = BridgeId(f"line-{LINE}")
AT = 1738324800.0  # 2025-01-31T12:00:00Z
HOME = Path("/srv/obzvon/recordings")
LAB = Trunk(id=TrunkId("lab"), host="192.0.2.1")
PLAIN = Trunk(id=TrunkId("plain"), host="192.0.2.1", number_format="e164")
TRUNKS = {trunk.id: trunk for trunk in (LAB, PLAIN)}

ORIGINATE = c.Originate(
    attempt=A,
    campaign=CampaignId("spring"),
    trunk=LAB.id,
    number="+442079460123",
    caller_id="+442079460000",
    ring_s=39.5,
    record=True,
)
RING = c.RingAgent(
    agent=AgentId("ann"),
    phone="101",
    channel=ChannelId(f"leg-{A}"),
    attempt=A,
    number="+442079460123",
    ring_s=15.0,
)
JOIN = c.JoinAgent(attempt=A, agent=AgentId("ann"), bridge=BRIDGE)
OPEN = c.OpenLine(channel=LINE, bridge=BRIDGE)


def changed(command: c.Command, **values: Any) -> Any:
    return type(command)(**({name: getattr(command, name) for name in command.__struct_fields__} | values))


def requests(command: c.Command, recordings: Path = HOME) -> tuple[wire.Request, ...]:
    return wire.to_request(command, trunks=TRUNKS, recordings=recordings, at=AT)


def channel(name: str) -> f.Channel:
    return f.Channel(id=name)


# -- frames to events ---------------------------------------------------------------------


UNKNOWN = e.FeatureDialed(at=AT, channel=LINE, phone="", code="")
"""What the floor answers with a refusal and the end of the call."""


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (f.StasisStart(channel=channel(A), args=("contact",)), e.ContactAnswered(at=AT, attempt=A)),
        (f.StasisStart(channel=channel(LINE), args=("contact",)), UNKNOWN),
        (f.StasisStart(channel=channel(A), args=("returned",)), e.ContactReturned(at=AT, attempt=A)),
        (f.StasisStart(channel=channel(LINE), args=("returned",)), UNKNOWN),
        (
            f.StasisStart(channel=channel("leg-1"), args=("leg",)),
            e.LegAnswered(at=AT, channel=ChannelId("leg-1")),
        ),
        (
            f.StasisStart(channel=channel(LINE), args=("feature", "101", "421")),
            e.FeatureDialed(at=AT, channel=LINE, phone="101", code="421"),
        ),
        (
            f.StasisStart(channel=channel(LINE), args=("feature", "101", "4" * 40)),
            e.FeatureDialed(at=AT, channel=LINE, phone="101", code="4" * 40),
        ),
        (f.StasisStart(channel=channel(LINE), args=("feature", "101", "4" * 41)), UNKNOWN),
        (f.StasisStart(channel=channel(LINE), args=("feature", "101", "42x")), UNKNOWN),
        (f.StasisStart(channel=channel(LINE), args=("feature", "101", "٤٢")), UNKNOWN),
        (f.StasisStart(channel=channel(LINE), args=("feature", "10 1", "40")), UNKNOWN),
        (f.StasisStart(channel=channel(LINE), args=("feature", "101")), UNKNOWN),
        (f.StasisStart(channel=channel(LINE), args=()), UNKNOWN),
        (f.StasisEnd(channel=channel(A)), None),
        (f.Dial(peer=channel(A), dialstatus="RINGING"), e.ContactRang(at=AT, attempt=A)),
        (f.Dial(peer=channel(A), dialstatus="PROGRESS"), e.ContactRang(at=AT, attempt=A)),
        (f.Dial(peer=channel(A), dialstatus="ANSWER"), None),
        (f.Dial(peer=channel(A), dialstatus=""), None),
        (f.Dial(peer=channel(f"leg-{A}"), dialstatus="RINGING"), None),
        (
            f.ChannelDestroyed(channel=channel(A), cause=17, tech_cause=486),
            e.ContactHungUp(at=AT, attempt=A, cause=17, tech_cause=486),
        ),
        (f.ChannelDestroyed(channel=channel(A), cause=0), e.ContactHungUp(at=AT, attempt=A, cause=0)),
        (f.ChannelDestroyed(channel=channel(LINE), cause=16), e.LineEnded(at=AT, channel=LINE, cause=16)),
        (
            f.ChannelEnteredBridge(channel=channel(A), bridge=f.Bridge(id=BRIDGE)),
            e.Connected(at=AT, attempt=A, bridge=BRIDGE),
        ),
        (
            f.ChannelEnteredBridge(channel=channel(LINE), bridge=f.Bridge(id=BRIDGE)),
            e.LineJoined(at=AT, channel=LINE, bridge=BRIDGE),
        ),
        (f.ChannelEnteredBridge(bridge=f.Bridge(id=BRIDGE)), None),
        (
            f.ChannelDtmfReceived(channel=channel(LINE), digit="*"),
            e.DigitPressed(at=AT, channel=LINE, digit="*"),
        ),
        (f.ApplicationReplaced(application="obzvon"), None),
    ],
)
def test_frames_mean_events(frame, event):
    assert wire.to_event(frame, AT) == event


@pytest.mark.parametrize(
    ("times", "listened_s"),
    [
        ((), 0.0),
        (("", ""), 0.0),
        (("1763763201.250", "1763763202.500"), 1.25),
        (("1763763201", "1763763203"), 2.0),
        (("1763763202.5", "1763763201.2"), 0.0),  # the clock was set back
        (("1763763201.0", "1763766801.0"), wire.LISTENED_S_MAX),  # or forward
        (("1763763201.250",), 0.0),
        (("1763763201.250", ""), 0.0),
        (("1763763201.250", "nan"), 0.0),
        (("1763763201.250", "1e300"), 0.0),
        (("1763763201.250", "-5"), 0.0),
        (("1763763201.250", "1763763202.500", "more"), 0.0),
    ],
)
def test_for_how_long_it_was_listened(times, listened_s):
    frame = f.StasisStart(channel=channel(A), args=("contact", *times))
    assert wire.to_event(frame, AT) == e.ContactAnswered(at=AT, attempt=A, listened_s=listened_s)


@pytest.mark.parametrize(
    ("technology", "resource", "status", "event"),
    [
        ("PJSIP", "trunk-lab", "Reachable", e.TrunkChanged(at=AT, trunk=TrunkId("lab"), is_up=True)),
        ("PJSIP", "trunk-lab", "Unreachable", e.TrunkChanged(at=AT, trunk=TrunkId("lab"), is_up=False)),
        ("PJSIP", "101", "Reachable", e.PhoneChanged(at=AT, phone="101", is_registered=True)),
        ("PJSIP", "101", "Unreachable", e.PhoneChanged(at=AT, phone="101", is_registered=False)),
        ("PJSIP", "101", "Lagged", None),
        ("IAX2", "101", "Reachable", None),
    ],
)
def test_reachability_means_events(technology, resource, status, event):
    endpoint = f.Endpoint(technology=technology, resource=resource, state="online")
    frame = f.PeerStatusChange(endpoint=endpoint, peer=f.Peer(peer_status=status))
    assert wire.to_event(frame, AT) == event


@pytest.mark.parametrize(
    ("resource", "channels", "event"),
    [
        ("101", ["1763763201.12"], e.PhoneUsed(at=AT, phone="101", is_in_use=True)),
        ("101", [], e.PhoneUsed(at=AT, phone="101", is_in_use=False)),
        ("101", [leg_of(A, AgentId("ann"))], e.PhoneUsed(at=AT, phone="101", is_in_use=False)),
        (
            "101",
            [leg_of(A, AgentId("ann")), "1763763201.12"],
            e.PhoneUsed(at=AT, phone="101", is_in_use=True),
        ),
        ("trunk-lab", [A], None),
        ("obzvon-nobody", ["1763763201.12"], None),
    ],
)
def test_a_phone_is_in_use_by_what_is_not_our_leg(resource, channels, event):
    endpoint = f.Endpoint(technology="PJSIP", resource=resource, state="online", channel_ids=tuple(channels))
    assert wire.to_event(f.EndpointStateChange(endpoint=endpoint), AT) == event
    assert wire.phone_use(msgspec.structs.replace(endpoint, technology="IAX2"), AT) is None


def test_only_news_of_a_phones_use_is_told():
    news = PhoneNews()
    told = [
        (phone, is_in_use)
        for phone, is_in_use in [("101", False), ("101", True), ("102", True), ("101", True), ("101", False)]
        if news.is_news(e.PhoneUsed(at=AT, phone=phone, is_in_use=is_in_use))
    ]
    assert told == [("101", True), ("102", True), ("101", False)]
    changed = e.PhoneChanged(at=AT, phone="101", is_registered=True)
    assert news.is_news(changed)
    assert news.is_news(changed), "of a registration every word is passed on"


def test_an_unknown_state_of_an_endpoint_says_nothing():
    endpoint = f.Endpoint(technology="PJSIP", resource="trunk-lab", state="unknown")
    assert wire.endpoint_event(endpoint, AT) is None


def said(name: str, who: str = A, **fields: object) -> e.Event | None:
    return wire.to_event(f.ChannelUserevent(eventname=name, channel=channel(who), userevent=fields), AT)


@pytest.mark.parametrize(
    ("fields", "choice", "due"),
    [
        ({"choice": "refuse", "eventname": "ObzvonChoice"}, "refuse", None),
        ({"choice": "wait"}, "wait", None),
        ({"choice": "later", "due": "1772528820"}, "later", 1_772_528_820.0),
        ({"choice": "later", "due": "1772528820.5"}, "later", 1_772_528_820.5),
        ({"choice": "refuse", "due": "1772528820"}, "refuse", None),
    ],
)
def test_what_the_scripts_say_of_a_choice(fields, choice, due):
    assert said("ObzvonChoice", **fields) == e.ContactChose(at=AT, attempt=A, choice=choice, due=due)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"choice": "dance"},
        {"choice": ["refuse"]},
        {"choice": "later"},
        {"choice": "later", "due": "soon"},
        {"choice": "later", "due": 1_772_528_820},
        {"choice": "later", "due": "-1"},
        {"choice": "later", "due": "1e300"},
        {"choice": "later", "due": "nan"},
    ],
)
def test_a_choice_that_is_garbled_is_none(fields):
    assert said("ObzvonChoice", **fields) is None


def test_what_the_dialplan_says_of_a_call():
    assert said("ObzvonMachine") == e.MachineAnswered(at=AT, attempt=A)
    assert said("ObzvonAnnouncing") == e.AnnouncementBegan(at=AT, attempt=A)
    times = {"answered": "1763763201.250", "heard": "1763763202.500"}
    assert said("ObzvonMachine", **times) == e.MachineAnswered(at=AT, attempt=A, listened_s=1.25)
    assert said("ObzvonAnnouncing", **times) == e.AnnouncementBegan(at=AT, attempt=A, listened_s=1.25)
    none = {"answered": "", "heard": ""}  # it was not listened
    assert said("ObzvonAnnouncing", **none) == e.AnnouncementBegan(at=AT, attempt=A)
    for name, who in (("ObzvonMachine", LINE), ("ObzvonChoice", LINE), ("Other", A)):
        assert said(name, who, choice="refuse") is None
    assert wire.to_event(f.ChannelUserevent(eventname="ObzvonMachine"), AT) is None


# -- commands to requests -----------------------------------------------------------------


def test_an_originate():
    (request,) = requests(ORIGINATE)
    assert request == wire.Request(
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
    (request,) = requests(changed(ORIGINATE, zones=zones, kind="mobile"))
    assert request.json is not None
    assert request.json["variables"]["OBZVON_ZONES"] == told
    assert request.json["variables"]["OBZVON_KIND"] == "mobile"


def test_a_kind_or_a_campaign_that_the_dialplan_could_misread_is_not_told():
    (request,) = requests(changed(ORIGINATE, kind="a&b"))
    assert request.json is not None
    assert request.json["variables"]["OBZVON_KIND"] == ""
    with pytest.raises(Unsendable, match="no name of a campaign"):
        requests(changed(ORIGINATE, campaign="../x"))


@pytest.mark.parametrize("listen_s", [0.6, 1.2, 1.5, 4.0])
def test_how_it_is_listened_who_answered(listen_s):
    (request,) = requests(changed(ORIGINATE, listen_s=listen_s))
    assert request.json is not None
    told = request.json["variables"]["OBZVON_LISTEN"]
    assert told == wire.amd_arguments(listen_s)
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
    (request,) = requests(changed(ORIGINATE, message_times=3, listen_s=1.2))
    assert request.json is not None
    assert (request.json["context"], request.json["extension"]) == ("obzvon-outbound", "announce")
    told = request.json["variables"]
    assert (told["OBZVON_TIMES"], told["OBZVON_WAIT"]) == ("3", "")
    assert told["OBZVON_LISTEN"] == wire.amd_arguments(1.2)


def test_an_originate_that_is_not_recorded():
    (request,) = requests(changed(ORIGINATE, record=False, caller_id=""))
    assert request.json is not None
    assert request.json["variables"]["OBZVON_RECORD"] == ""
    assert "callerId" not in request.json


def test_a_trunk_that_wants_no_plus_sign():
    (request,) = requests(changed(ORIGINATE, trunk=PLAIN.id))
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
    assert wire.dial_number(number, msgspec.structs.replace(RULES, **changes)) == written


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
        wire.dial_number(number, msgspec.structs.replace(RULES, **changes))
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
        requests(changed(ORIGINATE, number=number))
    refusal = wire.to_refusal(ORIGINATE, caught.value, AT)
    assert isinstance(refusal, e.OriginateRefused)
    assert not refusal.was_sent


@given(st.text())
def test_a_dial_string_holds_nothing_but_a_number(number):
    try:
        (request,) = requests(changed(ORIGINATE, number=number))
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
        requests(changed(ORIGINATE, **values))


@pytest.mark.parametrize(
    "caller_id", ["+442079460000", "100", '"Spring Offer" <+442079460000>', "Spring <100>"]
)
def test_caller_ids_that_are_fine(caller_id):
    (request,) = requests(changed(ORIGINATE, caller_id=caller_id))
    assert request.json is not None
    assert request.json["callerId"] == caller_id


@pytest.mark.parametrize("folder", ["recordings", "/a,b", "/a;b", "/a$(b)", "/a&b", '/a"b', "/a\nb", "/a{b}"])
def test_a_folder_that_the_dialplan_would_misread(folder):
    with pytest.raises(Unsendable):
        requests(ORIGINATE, Path(folder))


def test_a_rung_agent():
    (request,) = requests(RING)
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
        requests(changed(RING, phone=phone))


def test_an_agents_line():
    make, add = requests(OPEN)
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
    (request,) = requests(command)
    assert request == wire.Request(method=method, path=path, json=json, fine=fine)


LIMIT_OFF = wire.Request(
    method="POST", path=f"/channels/{A}/variable", json={"variable": "TIMEOUT(absolute)", "value": "0"}
)
STOP_TELLING = wire.Request(method="DELETE", path=f"/playbacks/wait-{A}", fine=(404,))
ADD = wire.Request(
    method="POST",
    path=f"/bridges/{BRIDGE}/addChannel",
    json={"channel": A, "inhibitConnectedLineUpdates": True},
)


def test_the_limit_of_waiting_is_taken_away_before_the_join_and_never_after():
    assert requests(JOIN) == (LIMIT_OFF, ADD)


def test_who_is_held_may_be_listening_and_is_joined_at_once_all_the_same():
    assert requests(changed(JOIN, is_held=True)) == (STOP_TELLING, LIMIT_OFF, ADD)


def test_a_person_is_told_one_thing_at_a_time():
    say = {"media": ["sound:pls-hold-while-try"]}
    tell = wire.Request(method="POST", path=f"/channels/{A}/play/wait-{A}", json=say)
    assert requests(c.AnnounceWait(attempt=A)) == (STOP_TELLING, tell)


def test_the_last_word_waits_for_nothing_that_is_being_told():
    on = {"context": "obzvon-last-word", "extension": "s", "priority": 1}
    go = wire.Request(method="POST", path=f"/channels/{A}/continue", json=on)
    assert requests(c.SendToLastWord(attempt=A)) == (STOP_TELLING, go)


def test_a_person_is_held():
    hold = c.HoldContact(attempt=A, bridge=BridgeId("hold-spring"), wait_s=125.0, hold_s=60.5)
    path = "/bridges/hold-spring"
    assert requests(hold) == (
        STOP_TELLING,
        wire.Request(method="POST", path=path, json={"type": "holding", "name": "hold-spring"}, fine=(409,)),
        # Who is in it already, and is added once more, would hear nothing ever after.
        wire.Request(method="POST", path=path + "/removeChannel", json={"channel": A}, fine=(422,)),
        wire.Request(
            method="POST",
            path=f"/channels/{A}/variable",
            json={"variable": "TIMEOUT(absolute)", "value": "71"},
        ),
        wire.Request(
            method="POST",
            path=path + "/addChannel",
            json={"channel": A, "inhibitConnectedLineUpdates": True, "role": "holding_participant"},
        ),
        wire.Request(
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
    stop, play = wire.to_request(
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
    go = wire.Request(method="POST", path=f"/channels/{A}/continue", json=on)
    assert requests(order) == (STOP_TELLING, go)


def test_asterisk_is_told_how_long_an_answered_person_waits_for_us():
    (request,) = requests(changed(ORIGINATE, wait_s=16.5))
    assert request.json is not None
    assert request.json["variables"]["OBZVON_WAIT"] == "27"


def test_an_id_cannot_leave_its_place_in_a_path():
    (request,) = requests(c.HangUp(channel=ChannelId("../bridges/x?y=1")))
    assert request.path == "/channels/..%2Fbridges%2Fx%3Fy%3D1"


def test_every_message_has_a_sound():
    assert set(wire.SOUNDS) == set(get_args(c.Message))


def test_commands_of_others_are_a_fault_of_ours():
    with pytest.raises(TypeError):
        requests(c.FetchLeads(campaign=CampaignId("spring"), limit=1))


def test_only_the_originate_is_not_repeatable():
    for command in (
        ORIGINATE,
        RING,
        JOIN,
        OPEN,
        c.HangUp(channel=LINE),
        c.Tell(channel=LINE, message="call"),
    ):
        assert all(request.repeatable is (command is not ORIGINATE) for request in requests(command))


# -- errors to events ---------------------------------------------------------------------

REFUSED = ServerFault(500, "Allocation failed")


@pytest.mark.parametrize(
    ("command", "error", "event"),
    [
        (ORIGINATE, REFUSED, e.OriginateRefused(at=AT, attempt=A, reason="500 Allocation failed")),
        (
            ORIGINATE,
            PbxUnreachable("nobody", was_sent=False),
            e.OriginateRefused(at=AT, attempt=A, reason="nobody", was_sent=False, is_ours=True),
        ),
        (
            ORIGINATE,
            PbxTimeout("slow", was_sent=True),
            e.OriginateRefused(at=AT, attempt=A, reason="slow", was_sent=True, is_ours=True),
        ),
        (ORIGINATE, Conflict(409, "exists"), None),
        (RING, REFUSED, e.LegRefused(at=AT, channel=RING.channel, reason="500 Allocation failed")),
        (RING, Conflict(409, "exists"), None),
        (
            JOIN,
            NotFound(404, "Bridge not found"),
            e.JoinRefused(at=AT, attempt=A, bridge=BRIDGE, reason="404 Bridge not found"),
        ),
        (OPEN, REFUSED, e.LineRefused(at=AT, channel=LINE, reason="500 Allocation failed")),
        (c.HangUp(channel=LINE), NotFound(404, "gone"), None),
        (c.Tell(channel=LINE, message="call"), REFUSED, None),
        (c.CloseLine(bridge=BRIDGE), PbxError("any"), None),
    ],
)
def test_errors_mean_events(command, error, event):
    assert wire.to_refusal(command, error, AT) == event
