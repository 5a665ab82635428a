"""What Asterisk says, as events; and what its errors mean."""

from __future__ import annotations

import msgspec
import pytest

from dialer.core import commands as c
from dialer.core import events as e
from dialer.core.ids import AgentId, ChannelId, TrunkId, leg_of, third_of
from dialer.pbx import frames as f
from dialer.pbx import wire
from dialer.pbx.errors import (
    Conflict,
    NotFound,
    PbxError,
    PbxTimeout,
    PbxUnreachable,
    ServerFault,
)
from dialer.pbx.phones import PhoneNews, TrunkNews
from tests.unit.pbx.orders import (
    AT,
    BRIDGE,
    JOIN,
    LINE,
    OPEN,
    ORIGINATE,
    RING,
    A,
)


def channel(name: str) -> f.Channel:
    return f.Channel(id=name)


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
        *(
            (
                f.Dial(peer=channel(placed), dialstatus="CANCEL", forwarded=channel("1.7")),
                e.CallRedirected(at=AT, channel=ChannelId("1.7")),
            )
            for placed in (A, f"leg-{A}-ann", f"third-{A}-1")
        ),
        (f.Dial(peer=channel("1.6"), dialstatus="CANCEL", forwarded=channel("1.7")), None),
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
        ("trunk-lab", [A], e.TrunkUsed(at=AT, trunk=TrunkId("lab"))),
        (
            "trunk-lab",
            [A, "1763763201.12", third_of(A, 1)],
            e.TrunkUsed(at=AT, trunk=TrunkId("lab"), channels=(ChannelId("1763763201.12"), third_of(A, 1))),
        ),
        ("obzvon-nobody", ["1763763201.12"], None),
    ],
)
def test_a_phone_is_in_use_by_what_is_not_our_leg(resource, channels, event):
    endpoint = f.Endpoint(technology="PJSIP", resource=resource, state="online", channel_ids=tuple(channels))
    assert wire.to_event(f.EndpointStateChange(endpoint=endpoint), AT) == event
    assert wire.phone_use(msgspec.structs.replace(endpoint, technology="IAX2"), AT) is None


def test_what_becomes_of_channels_that_are_no_contacts_is_told():
    third, other = third_of(A, 1, 2), f.Channel(id="1763763201.12")
    rings = f.Dial(peer=f.Channel(id=third), dialstatus="RINGING")
    assert wire.to_event(rings, AT) == e.ThirdRang(at=AT, channel=third)
    forwards = f.Dial(peer=other, caller=f.Channel(id=A))
    assert wire.to_event(forwards, AT) == e.CallForwarded(at=AT, attempt=A, channel=ChannelId(other.id))
    assert wire.to_event(msgspec.structs.replace(forwards, dialstatus="RINGING"), AT) is None
    gone = f.ChannelDestroyed(channel=f.Channel(id=third), cause=34, tech_cause=503)
    assert wire.to_event(gone, AT) == e.LineEnded(at=AT, channel=third, cause=34, tech_cause=503)


def test_a_callers_channel_is_told_anew_when_its_attempt_is_known():
    known: dict[str, str] = {}
    news = TrunkNews(lambda channel, _: known.get(channel, channel))
    lab, mine, other = TrunkId("lab"), ChannelId("1.1"), ChannelId("1.2")

    def used(*channels: ChannelId) -> e.TrunkUsed:
        return e.TrunkUsed(at=AT, trunk=lab, channels=channels)

    assert news.named(lab, AT) is None
    assert news.heard(used(mine)) == used(mine)
    assert news.heard(used(mine)) is None
    known[mine] = A
    assert news.named(lab, AT) == used(ChannelId(A))
    assert news.heard(used(mine)) is None
    assert news.heard(used(mine, other)) == used(ChannelId(A), other)
    assert news.heard(used()) == used()
    news.forget()
    assert news.heard(used()) is None
    assert news.heard(used(other)) == used(other)


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


# -- errors ---------------------------------------------------------------------

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
