"""What we rely on in ARI, held against a recorded Asterisk and against the real one."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import pytest

from dialer.core import commands as c
from dialer.core import events as e
from dialer.core.ids import (
    AgentId,
    BridgeId,
    CampaignId,
    ChannelId,
    TrunkId,
    hold_bridge,
    leg_of,
    line_bridge,
)
from dialer.pbx.adopt import list_endpoints, list_live
from dialer.pbx.client import AriClient
from dialer.pbx.errors import BadRequest, Conflict, NotFound, PbxError, ServerFault, Unauthorized, WrongState
from dialer.pbx.frames import WANTED
from dialer.pbx.requests import to_request
from dialer.pbx.wire import to_refusal
from tests.contract.conftest import DATA, PHONE, QUICK, TRUNKS, Ear, World, until
from tests.contract.transcript import Player, load
from tests.e2e.world import PATIENCE_S

ANSWERS = "+442079460123"
RINGS = "+888180000001"
LAB = TrunkId("lab")


def originate(attempt, number: str = ANSWERS, **changes) -> c.Originate:
    values = {
        "attempt": attempt,
        "campaign": CampaignId("spring"),
        "trunk": TrunkId("lab"),
        "number": number,
        "caller_id": "+442079460000",
        "ring_s": 20.0,
        "record": False,
    }
    return c.Originate(**(values | changes))


async def test_connects_and_subscribes(world: World):
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        app = await ari.request("GET", "/applications/obzvon")
        assert app["endpoint_ids"] == ["PJSIP"]
        assert {allowed["type"] for allowed in app["events_allowed"]} == set(WANTED)
        assert await list_live(ari) == ()
        assert ear.changes == ["up"]
    assert ear.changes == ["up", "down"]
    assert not ari.is_connected


async def test_trunks_and_phones_are_told(world: World):
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await world.act("register")
        told = await ear.heard(e.PhoneChanged, PHONE)
        assert told.is_registered
        now = await list_endpoints(ari, 5.0)
        assert e.PhoneChanged(at=5.0, phone=PHONE, is_registered=True) in now
        assert e.TrunkChanged(at=5.0, trunk=TrunkId("lab"), is_up=True) in now
        await world.act("unregister")
        await until(lambda: not ear.of(e.PhoneChanged, PHONE)[-1].is_registered)


async def test_whose_call_a_phone_is_in(world: World):
    """A call of the phone's own is told; the leg by which we ring it is not."""
    leg = leg_of(world.attempt(), AgentId("ann"))
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await world.act("register")
        await ear.heard(e.PhoneChanged, PHONE)
        await world.act("dial *60")
        await until(lambda: e.PhoneUsed(at=0.0, phone=PHONE, is_in_use=True) in ear.events)
        assert e.PhoneUsed(at=5.0, phone=PHONE, is_in_use=True) in await list_endpoints(ari, 5.0)
        (call,) = await list_live(ari)
        await world.send(ari, c.HangUp(channel=call.channel))
        await until(lambda: not ear.of(e.PhoneUsed, PHONE)[-1].is_in_use)
        told = len(ear.of(e.PhoneUsed, PHONE))
        ring = c.RingAgent(
            agent=AgentId("ann"), phone=PHONE, channel=leg, attempt=world.attempt(), number="", ring_s=5.0
        )
        await world.send(ari, ring)
        await ear.heard(e.LegAnswered, leg)
        assert e.PhoneUsed(at=5.0, phone=PHONE, is_in_use=False) in await list_endpoints(ari, 5.0)
        await world.send(ari, c.HangUp(channel=leg))
        await ear.heard(e.LineEnded, leg)
        assert not any(used.is_in_use for used in ear.of(e.PhoneUsed, PHONE)[told:])
        await world.act("unregister")


async def test_a_whole_call(world: World):
    attempt, leg = world.attempt(), leg_of(world.attempt(), AgentId("ann"))
    bridge = line_bridge(leg)
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await world.act("register")
        await ear.heard(e.PhoneChanged, PHONE)
        ring = c.RingAgent(
            agent=AgentId("ann"), phone=PHONE, channel=leg, attempt=attempt, number=ANSWERS, ring_s=10.0
        )
        await world.send(ari, ring)
        await ear.heard(e.LegAnswered, leg)
        await world.send(ari, c.OpenLine(channel=leg, bridge=bridge))
        await ear.heard(e.LineJoined, leg)
        await world.send(ari, c.Tell(channel=leg, message="call"))

        first = sum(ari.frames.seen.values())
        await world.send(ari, originate(attempt))
        await ear.heard(e.ContactAnswered, attempt)
        await world.send(ari, c.JoinAgent(attempt=attempt, agent=AgentId("ann"), bridge=bridge))
        await ear.heard(e.Connected, attempt)
        person, agent = await list_live(ari)
        assert person == e.LiveChannel(
            channel=ChannelId(attempt), is_up=True, in_app=True, bridge=bridge, trunk=LAB
        )
        assert agent == e.LiveChannel(channel=leg, is_up=True, in_app=True, bridge=bridge)
        await world.send(ari, c.HangUp(channel=ChannelId(attempt)))
        await ear.heard(e.ContactHungUp, attempt)
        frames_per_call = sum(ari.frames.seen.values()) - first

        await world.send(ari, c.HangUp(channel=leg))
        await ear.heard(e.LineEnded, leg)
        await world.send(ari, c.CloseLine(bridge=bridge))
        await world.act("unregister")

    story = [type(event) for event in ear.about(attempt)]
    assert story == [e.ContactRang, e.ContactAnswered, e.Connected, e.ContactHungUp]
    assert ear.of(e.ContactHungUp, attempt) == [
        e.ContactHungUp(at=0.0, attempt=attempt, cause=16, tech_cause=None)
    ]
    assert ear.of(e.Connected, attempt) == [e.Connected(at=0.0, attempt=attempt, bridge=bridge)]
    assert frames_per_call == 8, (
        "Dial thrice, StasisStart, ChannelEnteredBridge, ChannelDestroyed, the trunk twice"
    )
    assert ari.frames.unknown == {}, "the filter lets nothing else through"
    assert ari.frames.malformed == {}
    if world.peer is not None:
        invite = next(
            text for method, user, text in world.peer.received if user == PHONE and method == "INVITE"
        )
        assert "Alert-Info: <http://localhost>;info=alert-autoanswer;delay=0" in invite
        assert "Call-Info: <sip:localhost>;answer-after=0" in invite


async def test_how_calls_end(world: World):
    """Cause and SIP status as the core will see them; the order of frames is the order of the story."""
    ends = {"486": (17, 486), "404": (1, 404), "603": (21, 603), "503": (34, 503)}
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        for place, (code, (cause, status)) in enumerate(ends.items()):
            attempt = world.attempt(place)
            await world.send(ari, originate(attempt, f"+888{code}000001"))
            await ear.heard(e.ContactHungUp, attempt)
            assert ear.about(attempt) == [
                e.ContactHungUp(at=0.0, attempt=attempt, cause=cause, tech_cause=status)
            ]
        attempt = world.attempt(10)
        await world.send(ari, originate(attempt, "+888183000001"))
        await ear.heard(e.ContactAnswered, attempt)
        await world.act("hang_up")
        await ear.heard(e.ContactHungUp, attempt)
        rang, answered, ended = ear.about(attempt)
        assert isinstance(rang, e.ContactRang)
        assert isinstance(answered, e.ContactAnswered)
        assert ended == e.ContactHungUp(at=0.0, attempt=attempt, cause=0, tech_cause=None)


async def test_the_end_may_come_before_the_answer_to_the_originate():
    """Frames and answers travel on two sockets; here all that an originate causes arrives before its answer."""
    attempt = World("how_calls_end", None, "", "").attempt(0)  # type: ignore[arg-type]
    async with Player(load(DATA / "how_calls_end.jsonl"), frames_first=True) as player:
        url = f"http://127.0.0.1:{player.port}/ari"
        async with AriClient(url, "obzvon", "x", backoff=QUICK) as ari, Ear(ari) as ear:
            await ear.up()
            request = originate(attempt, "+888486000001")
            (sent,) = to_request(request, trunks=TRUNKS, recordings=Path("/nowhere"), at=0.0)
            answer = await ari.request(sent.method, sent.path, json=sent.json)
            assert answer["id"] == attempt
            assert [type(event) for event in ear.about(attempt)] == [e.ContactHungUp]


async def test_a_phone_dials_a_feature(world: World):
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await world.act("register")
        await ear.heard(e.PhoneChanged, PHONE)
        await world.act("dial *421")
        dialed = await ear.heard(e.FeatureDialed)
        assert (dialed.phone, dialed.code) == (PHONE, "421")
        assert len(ear.of(e.FeatureDialed, dialed.channel)) == 1
        await world.send(ari, c.Dismiss(channel=dialed.channel, message="refused"))
        await ear.heard(e.LineEnded, dialed.channel)
        await world.act("unregister")


async def test_keys_pressed_on_a_line_are_told_once(world: World):
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await world.act("register")
        await ear.heard(e.PhoneChanged, PHONE)
        await world.act("dial *40")
        line = (await ear.heard(e.FeatureDialed)).channel
        await world.send(ari, c.OpenLine(channel=line, bridge=line_bridge(line)))
        await ear.heard(e.LineJoined, line)
        for count, digit in enumerate("*43", start=1):
            await world.act(f"press {digit}")
            await ear.heard(e.DigitPressed, line, count)
        assert [pressed.digit for pressed in ear.of(e.DigitPressed, line)] == ["*", "4", "3"]
        assert ari.frames.doubled >= 3, "Asterisk does tell each of them twice"
        await world.send(ari, c.HangUp(channel=line))
        await ear.heard(e.LineEnded, line)
        await world.act("unregister")


async def test_the_last_word_takes_the_person_back(world: World):
    attempt = world.attempt()
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await world.send(ari, originate(attempt))
        await ear.heard(e.ContactAnswered, attempt)
        await world.send(ari, c.SendToLastWord(attempt=attempt))
        await world.act("hang_up")
        await ear.heard(e.ContactHungUp, attempt)


async def test_the_dialplan_says_what_happens_and_gives_the_person_back(world: World):
    """By an event of its own, which comes through the filter; and by the way back into our hands."""
    attempt, machine = world.attempt(), world.attempt(3)
    times = {"OBZVON_ANSWERED": "1763763201.250", "OBZVON_HEARD": "1763763202.500"}
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await world.send(ari, originate(attempt), variables=times)
        assert (await ear.heard(e.ContactAnswered, attempt)).listened_s == 1.25
        there = {"context": "obzvon-announcement", "extension": "s", "priority": 1}
        await ari.request("POST", f"/channels/{attempt}/continue", json=there)
        assert (await ear.heard(e.AnnouncementBegan, attempt)).listened_s == 1.25
        await world.act("hang_up")
        await ear.heard(e.ContactHungUp, attempt)
        await world.send(ari, originate(machine), variables=times)
        await ear.heard(e.ContactAnswered, machine)
        there = {"context": "obzvon-machine", "extension": "s", "priority": 1}
        await ari.request("POST", f"/channels/{machine}/continue", json=there)
        assert (await ear.heard(e.MachineAnswered, machine)).listened_s == 1.25
        gone = await ear.heard(e.ContactHungUp, machine)
        assert gone.cause == 16, "there is no message for it"
        await world.send(ari, originate(again := world.attempt(2)))
        await ear.heard(e.ContactAnswered, again)
        there = {"context": "obzvon-last-word", "extension": "s", "label": "operator"}
        await ari.request("POST", f"/channels/{again}/continue", json=there)
        await ear.heard(e.ContactReturned, again)
        await world.send(ari, c.HangUp(channel=ChannelId(again)))
        await ear.heard(e.ContactHungUp, again)


async def test_a_person_is_held_with_music_and_joined_from_it(world: World):
    """Held twice over, told the time, joined in the middle of it, put back, and given the last word."""
    attempt, leg = world.attempt(), leg_of(world.attempt(), AgentId("ann"))
    music, line = hold_bridge(CampaignId("spring")), line_bridge(leg)
    hold = c.HoldContact(attempt=attempt, bridge=music, wait_s=150.0, hold_s=60.0)
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await ari.request("POST", f"/bridges/{line}", json={"type": "mixing,dtmf_events", "name": line})
        await world.send(ari, originate(attempt, wait_s=17.0))
        await ear.heard(e.ContactAnswered, attempt)
        await world.send(ari, hold)
        assert (await ear.heard(e.Connected, attempt)).bridge == music
        await world.send(ari, hold)
        await ear.heard(e.Connected, attempt, 2)
        (live,) = await list_live(ari)
        assert live == e.LiveChannel(
            channel=ChannelId(attempt), is_up=True, in_app=True, bridge=music, trunk=LAB
        )

        await world.send(ari, c.AnnounceWait(attempt=attempt, wait_s=None))
        join = c.JoinAgent(attempt=attempt, agent=AgentId("ann"), bridge=line, is_held=True)
        async with asyncio.timeout(1.0):  # what is being told takes longer
            await world.send(ari, join)
        assert (await ear.heard(e.Connected, attempt, 3)).bridge == line
        await world.send(ari, hold)
        assert (await ear.heard(e.Connected, attempt, 4)).bridge == music
        await world.send(ari, c.SendToLastWord(attempt=attempt))
        await world.act("hang_up")
        gone = await ear.heard(e.ContactHungUp, attempt)
        assert gone.cause is not None
        assert [type(event) for event in ear.about(attempt)].count(e.ContactAnswered) == 1


async def test_whom_nobody_takes_in_time_the_dialplan_takes_back(world: World):
    """In Stasis, and in the music while no engine listens: the channel's own timeout ends both."""
    attempt, other = world.attempt(1), world.attempt(2)
    async with world.client() as ari:
        async with Ear(ari) as ear:
            await ear.up()
            await world.send(ari, originate(attempt), variables={"OBZVON_WAIT": "1"})
            await ear.heard(e.ContactAnswered, attempt)
            gone = await ear.heard(e.ContactHungUp, attempt)
            assert gone.cause == 16, "after its last word the dialplan hangs up"

            await world.send(ari, originate(other))
            await ear.heard(e.ContactAnswered, other)
            await world.send(ari, c.HoldContact(attempt=other, bridge=hold_bridge(CampaignId("spring"))))
            await ear.heard(e.Connected, other)
            limit = {"variable": "TIMEOUT(absolute)", "value": "1"}
            await ari.request("POST", f"/channels/{other}/variable", json=limit)
        if world.is_real:
            async with asyncio.timeout(PATIENCE_S):
                while await list_live(ari):
                    await asyncio.sleep(0.05)


async def test_who_is_joined_has_no_limit_any_more(world: World):
    attempt, line = world.attempt(), line_bridge(ChannelId("nobody"))
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await ari.request("POST", f"/bridges/{line}", json={"type": "mixing,dtmf_events", "name": line})
        await world.send(ari, originate(attempt), variables={"OBZVON_WAIT": "1"})
        await ear.heard(e.ContactAnswered, attempt)
        await world.send(ari, c.JoinAgent(attempt=attempt, agent=AgentId("ann"), bridge=line))
        await ear.heard(e.Connected, attempt)
        left = await ari.request(
            "GET", f"/channels/{attempt}/variable", params={"variable": "TIMEOUT(absolute)"}
        )
        assert float(left["value"]) == 0
        await world.send(ari, c.HangUp(channel=ChannelId(attempt)))
        await ear.heard(e.ContactHungUp, attempt)


async def test_an_id_is_taken_while_its_channel_lives(world: World):
    attempt = world.attempt()
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await world.send(ari, originate(attempt, RINGS))
        await ear.heard(e.ContactRang, attempt)
        (live,) = await list_live(ari)
        assert live == e.LiveChannel(channel=ChannelId(attempt), is_up=False, is_ringing=True, trunk=LAB)
        with pytest.raises(Conflict) as caught:
            await world.send(ari, originate(attempt, RINGS))
        assert to_refusal(originate(attempt), caught.value, 1.0) is None, "its own events tell"
        await world.send(ari, c.HangUp(channel=ChannelId(attempt)))
        await ear.heard(e.ContactHungUp, attempt)
        assert len(ear.about(attempt)) == 2


async def test_a_missing_trunk_refuses(world: World):
    attempt = world.attempt()
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        with pytest.raises(ServerFault) as caught:
            await ari.request(
                "POST",
                "/channels",
                json={"endpoint": "PJSIP/+1@trunk-none", "app": "obzvon", "channelId": attempt},
            )
        refusal = to_refusal(originate(attempt), caught.value, 1.0)
        assert refusal == e.OriginateRefused(at=1.0, attempt=attempt, reason="500 Allocation failed")
        assert await list_live(ari) == ()
        assert ear.about(attempt) == []


async def test_what_is_not_there(world: World):
    """The statuses that the wire and the dispatcher tell apart."""
    attempt, none = world.attempt(), ChannelId("none")
    bridge = BridgeId("line-none")
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        with pytest.raises(NotFound):
            await ari.request("DELETE", "/channels/none")
        with pytest.raises(NotFound):
            await ari.request("DELETE", f"/bridges/{bridge}")
        with pytest.raises(NotFound):
            await world.send(ari, c.Tell(channel=none, message="call"))
        join = c.JoinAgent(attempt=attempt, agent=AgentId("ann"), bridge=bridge)
        with pytest.raises(NotFound) as gone:
            await world.send(ari, join)
        assert isinstance(to_refusal(join, gone.value, 1.0), e.JoinRefused)
        make = {"type": "mixing,dtmf_events", "name": bridge}
        await ari.request("POST", f"/bridges/{bridge}", json=make)
        with pytest.raises(Conflict):
            await ari.request("POST", f"/bridges/{bridge}", json=make)
        with pytest.raises(NotFound):
            await world.send(ari, join)
        with pytest.raises(BadRequest):
            await ari.request("POST", f"/bridges/{bridge}/addChannel", json={"channel": attempt})
        await world.send(ari, originate(attempt, RINGS))
        await ear.heard(e.ContactRang, attempt)
        with pytest.raises(Conflict):
            await world.send(ari, join)
        with pytest.raises(WrongState):
            await ari.request("POST", f"/bridges/{bridge}/addChannel", json={"channel": attempt})
        with pytest.raises(Conflict):
            await world.send(ari, c.SendToLastWord(attempt=attempt))
        await world.send(ari, c.HangUp(channel=ChannelId(attempt)))
        await ear.heard(e.ContactHungUp, attempt)
        await world.send(ari, c.CloseLine(bridge=bridge))


async def test_unknown_frames_do_no_harm(world: World):
    attempt = world.attempt()
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await ari.request("PUT", "/applications/obzvon/eventFilter", json={"allowed": [], "disallowed": []})
        await world.send(ari, originate(attempt, "+888486000001"))
        await ear.heard(e.ContactHungUp, attempt)
        assert ari.frames.unknown["ChannelCreated"] == 1
        assert any("ChannelCreated" in text for text in ari.frames.kept)


async def test_frames_wait_for_the_connected_one(world: World):
    """What arrives while ``on_connected`` works is handed over after it, in order."""
    attempt = world.attempt()
    heard_inside: list[int] = []
    async with world.client() as ari:
        ear = Ear(ari)

        async def at_work() -> None:
            await world.send(ari, originate(attempt, "+888183000001"))
            await until(lambda: ari.frames.seen["StasisStart"])
            heard_inside.append(len(ear.frames))

        ear.on_connected = at_work
        async with ear:
            await ear.up()
            await ear.heard(e.ContactAnswered, attempt)
            assert heard_inside == [0]
            assert [type(event) for event in ear.about(attempt)] == [e.ContactRang, e.ContactAnswered]
            await world.act("hang_up")
            await ear.heard(e.ContactHungUp, attempt)


async def test_a_cut_socket_loses_no_call(world: World):
    """The channel stays in our hands, and after reconnecting its frames flow without a new StasisStart."""
    attempt = world.attempt()
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        await world.send(ari, originate(attempt))
        await ear.heard(e.ContactAnswered, attempt)
        await world.relay.cut()
        await ear.up(2)
        assert ear.changes == ["up", "down", "up"]
        (live,) = await list_live(ari)
        assert live == e.LiveChannel(channel=ChannelId(attempt), is_up=True, in_app=True, trunk=LAB)
        await world.send(ari, c.HangUp(channel=ChannelId(attempt)))
        await ear.heard(e.ContactHungUp, attempt)
        assert len(ear.of(e.ContactAnswered, attempt)) == 1


async def test_a_clean_close_is_mended_too(world: World):
    """Another engine takes the application: our socket is closed politely, and we come back."""
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        async with world.client() as other, Ear(other) as rival:
            await rival.up()
            await until(lambda: ari.frames.seen["ApplicationReplaced"])
            await ear.up(2)
        assert ear.changes[:3] == ["up", "down", "up"]


async def test_a_stalled_socket_is_found(world: World):
    async with world.client(heartbeat_s=0.1, timeout_s=0.2) as ari, Ear(ari) as ear:
        await ear.up()
        world.relay.stall()
        await until(lambda: not ari.is_connected)
        world.relay.flow()
        await world.relay.cut()
        await ear.up(2)


async def test_the_password_is_asked(world: World, caplog: pytest.LogCaptureFixture):
    async with world.client(password="not-the-one") as ari:
        if world.player is not None:
            pytest.skip("a player lets everybody in")
        with pytest.raises(Unauthorized):
            await ari.request("GET", "/channels")
        async with Ear(ari) as ear:
            await until(lambda: "refused the event socket" in caplog.text)
            assert ear.changes == []


def test_a_transcript_says_nothing_of_the_machine_where_it_was_made():
    own = (sys.prefix, str(Path(__file__).parents[2]), str(Path.home()), tempfile.gettempdir(), "/pytest-")
    paths = sorted(DATA.glob("*.jsonl"))
    assert paths
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert [word for word in own if word != "/" and word in text] == [], path.name


async def test_asterisk_may_come_later(world: World):
    await world.relay.down()
    async with world.client() as ari, Ear(ari) as ear:
        with pytest.raises(PbxError) as caught:
            await ari.request("GET", "/channels")
        assert not caught.value.was_sent
        assert ear.changes == []
        await world.relay.up()
        await ear.up()


async def test_the_subscriptions_are_asserted_again(world: World):
    """An application that went deaf hears again at the next check."""
    attempt = world.attempt()
    async with world.client(check_s=0.1) as ari, Ear(ari) as ear:
        await ear.up()
        await ari.request(
            "DELETE", "/applications/obzvon/subscription", params={"eventSource": "endpoint:PJSIP"}
        )
        before = ari.requests
        await until(lambda: ari.requests >= before + 3)
        await world.send(ari, originate(attempt, "+888486000001"))
        await ear.heard(e.ContactHungUp, attempt)


async def test_credentials_are_in_the_header_alone(world: World):
    async with world.client() as ari, Ear(ari) as ear:
        await ear.up()
        carried = bytes(world.relay.carried)
        assert world.password.encode() not in carried
        requests = [part for part in carried.split(b"\r\n") if b" HTTP/1.1" in part]
        assert requests
        assert not any(b"api_key" in line or world.username.encode() + b":" in line for line in requests)
        assert world.password not in repr(ari)
