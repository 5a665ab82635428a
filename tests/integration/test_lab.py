"""The laboratory in front of a real Asterisk, with a switchboard of our own instead of the engine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dialer.core.values import Result
from dialer.lab.day import PRESSING, Behaviour, Line, Person, Reaction
from dialer.lab.errors import LabCallRefused, LabError, LabProcessDied
from dialer.lab.network import LabNetwork, NetworkCall
from dialer.lab.phones import LabPhones, Phone
from dialer.lab.ports import choose_room
from dialer.lab.softphone import Softphone
from dialer.lab.voice import hear_recording
from tests.contract.sip_peer import Address, SipPeer
from tests.e2e.world import PATIENCE_S

pytestmark = pytest.mark.asterisk

AUTO_ANSWER = {
    "PJSIP_HEADER(add,Alert-Info)": "<http://localhost>;info=alert-autoanswer;delay=0",
    "PJSIP_HEADER(add,Call-Info)": "<sip:localhost>;answer-after=0",
}


class Switchboard:
    """Asterisk's application, played by the test: sees every frame, and does what it is told."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.frames: list[dict[str, Any]] = []
        self._session = session
        self._url = url
        self._news = asyncio.Condition()

    async def read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            self.frames.append(json.loads(message.data))
            async with self._news:
                self._news.notify_all()

    async def request(self, method: str, path: str, **params: Any) -> Any:
        variables = params.pop("variables", None)
        body = {"variables": variables} if variables else None
        async with self._session.request(method, f"{self._url}{path}", params=params, json=body) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
            return json.loads(text) if text else None

    async def hang_up(self, channel: str) -> None:
        with contextlib.suppress(AssertionError):
            await self.request("DELETE", f"/channels/{channel}")

    async def call(self, number: str, channel: str, *, record: Path | str = "", ring_s: int = 30) -> None:
        await self.request(
            "POST",
            "/channels",
            endpoint=f"PJSIP/{number}@trunk-lab",
            context="obzvon-outbound",
            extension="answered",
            priority="1",
            channelId=channel,
            callerId="74950000000",
            timeout=str(ring_s),
            variables={"OBZVON_ATTEMPT": channel, "OBZVON_RECORD": str(record)},
        )

    async def ring_phone(self, extension: str, channel: str, *, is_auto: bool) -> None:
        await self.request(
            "POST",
            "/channels",
            endpoint=f"PJSIP/{extension}",
            app="obzvon",
            appArgs="leg",
            channelId=channel,
            timeout="30",
            variables=AUTO_ANSWER if is_auto else {},
        )

    async def join(self, bridge: str, *channels: str) -> None:
        await self.request("POST", f"/bridges/{bridge}", type="mixing")
        for channel in channels:
            await self.request("POST", f"/bridges/{bridge}/addChannel", channel=channel)

    async def until(self, kind: str, within_s: float = PATIENCE_S, **wanted: str) -> dict[str, Any]:
        """The first frame of *kind* whose channel has these values (``args`` joined by spaces)."""

        def found() -> dict[str, Any] | None:
            for frame in self.frames:
                values = frame.get("channel", {}) | {"args": " ".join(frame.get("args", []))} | {
                    "digit": frame.get("digit")
                }  # fmt: skip
                if frame["type"] == kind and all(values.get(key) == value for key, value in wanted.items()):
                    return frame
            return None

        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(found), within_s)
            except TimeoutError:
                raise AssertionError(
                    f"no {kind} with {wanted} in {[f['type'] for f in self.frames]}"
                ) from None
        frame = found()
        assert frame is not None
        return frame


@pytest.fixture
async def switchboard(asterisk_home) -> AsyncIterator[Switchboard]:
    pair = base64.b64encode(f"{asterisk_home.ari_user}:{asterisk_home.ari_password}".encode()).decode()
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {pair}"}) as session:
        board = Switchboard(session, asterisk_home.ari_url)
        async with session.ws_connect(f"{asterisk_home.ari_url}/events", params={"app": "obzvon"}) as events:
            reading = asyncio.create_task(board.read(events))
            await board.request("POST", "/applications/obzvon/subscription", eventSource="endpoint:PJSIP")
            yield board
            for channel in await board.request("GET", "/channels"):
                await board.hang_up(channel["id"])
            reading.cancel()


@pytest.fixture
def make_network(asterisk_home, tmp_path) -> Callable[[Iterable[Person]], LabNetwork]:
    def make(people: Iterable[Person]) -> LabNetwork:
        return LabNetwork(
            tmp_path / "network",
            port=asterisk_home.trunk_port,
            people=people,
            media_port=choose_room(0).network_media,
        )

    return make


@pytest.fixture
def make_phones(asterisk_home, tmp_path) -> Callable[..., LabPhones]:
    def make(*phones: Phone, expires_s: int = 120) -> LabPhones:
        room = choose_room(len(phones))
        return LabPhones(
            tmp_path / "phones",
            sip_server=("127.0.0.1", asterisk_home.sip_port),
            phones=phones,
            port=room.phones,
            media_port=room.phones_media,
            expires_s=expires_s,
        )

    return make


@pytest.fixture
def secret(asterisk_home) -> str:
    return str(asterisk_home.phone_secret)


async def until(is_so: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        await asyncio.sleep(0.02)


def someone(index: int, *plan: Behaviour, ring_ms: int = 300, talk_ms: int = 1200) -> Person:
    reactions = tuple(Reaction(behaviour=one, ring_ms=ring_ms, talk_ms=talk_ms) for one in plan)
    return Person(
        name=str(index),
        voice=index,
        lines=(Line(kind="mobile", number=f"+7944000{index:04d}", plan=reactions),),
    )


def number_of(person: Person) -> str:
    return person.lines[0].number


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_every_behaviour(switchboard, make_network):
    people = {behaviour: someone(index, behaviour) for index, behaviour in enumerate(Behaviour)}
    endless = {Behaviour.NO_ANSWER, Behaviour.CROSSES_CANCEL, Behaviour.WAITS, Behaviour.SILENT, *PRESSING}
    answered = {
        *(Behaviour.HANGS_UP, Behaviour.REFUSES, Behaviour.TALKS),
        *(Behaviour.WAITS, Behaviour.NO_RINGING, Behaviour.EARLY_MEDIA, Behaviour.ON_CUE),
        *(Behaviour.MACHINE, Behaviour.SILENT, *PRESSING),
    }
    async with make_network(people.values()) as network:
        for behaviour, person in people.items():
            await switchboard.call(number_of(person), f"a-{behaviour}")
        on_cue = number_of(people[Behaviour.ON_CUE])
        await network.answer(on_cue)
        for behaviour in answered:
            await switchboard.until("StasisStart", id=f"a-{behaviour}")
        await network.hang_up(on_cue)
        for behaviour in endless:
            await until(lambda: len(network.calls()) == len(people))
            await switchboard.hang_up(f"a-{behaviour}")
        for behaviour in Behaviour:
            await switchboard.until("ChannelDestroyed", id=f"a-{behaviour}")
        await until(lambda: all(call.ended_at for call in network.calls()))
        calls = {call.behaviour: call for call in network.calls()}
    assert set(calls) == set(Behaviour)
    assert len(network.calls()) == len(people)
    for behaviour, call in calls.items():
        assert (call.number, call.step) == (number_of(people[behaviour]), 1)
        assert call.caller_id == "74950000000"
    assert {behaviour: call.status for behaviour, call in calls.items()} == dict.fromkeys(answered, 200) | {
        Behaviour.BUSY: 486,
        Behaviour.NO_ANSWER: 487,
        Behaviour.UNKNOWN: 404,
        Behaviour.DECLINES: 603,
        Behaviour.CONGESTED: 503,
        Behaviour.CROSSES_CANCEL: 200,
    }
    by_caller = {behaviour for behaviour, call in calls.items() if call.ended_by == "caller"}
    assert by_caller == endless
    rang = {behaviour for behaviour, call in calls.items() if call.rang_at}
    assert rang == answered - {Behaviour.NO_RINGING, Behaviour.EARLY_MEDIA} | endless | {Behaviour.DECLINES}
    assert {behaviour for behaviour, call in calls.items() if call.early_at} == {Behaviour.EARLY_MEDIA}
    assert {behaviour for behaviour, call in calls.items() if call.crossed} == {Behaviour.CROSSES_CANCEL}
    assert calls[Behaviour.CROSSES_CANCEL].results == {Result.ABANDONED, Result.NO_ANSWER}


async def test_a_plan_goes_on_call_by_call_and_its_last_step_stays(switchboard, make_network):
    person = someone(1, Behaviour.BUSY, Behaviour.CONGESTED, Behaviour.DECLINES)
    async with make_network([person]) as network:
        for attempt in range(5):
            await switchboard.call(number_of(person), f"a-{attempt}")
            await switchboard.until("ChannelDestroyed", id=f"a-{attempt}")
        await until(lambda: sum(bool(call.ended_at) for call in network.calls()) == 5)
        assert [call.step for call in network.calls()] == [1, 2, 3, 3, 3]
        assert [call.status for call in network.calls()] == [486, 503, 603, 603, 603]


async def test_a_number_at_which_nobody_lives_is_unknown(switchboard, make_network):
    async with make_network([]) as network:
        await switchboard.call("+79999999999", "a-1")
        await switchboard.until("ChannelDestroyed", id="a-1")
        [call] = network.calls()
        assert (call.number, call.step, call.behaviour) == ("+79999999999", 0, Behaviour.UNKNOWN)
        assert call.results == {Result.INVALID}


async def test_probes_are_answered_and_not_counted(make_network, asterisk_home):
    async with make_network([]) as network:
        loop = asyncio.get_running_loop()
        answers: list[bytes] = []

        class Peer(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:
                answers.append(data)

        transport, _ = await loop.create_datagram_endpoint(
            Peer, remote_addr=("127.0.0.1", asterisk_home.trunk_port)
        )
        for number in range(20):
            transport.sendto(
                b"OPTIONS sip:lab SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1"
                b"\r\nTo: <sip:lab>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
                % (number, number)
            )
        await until(lambda: len(answers) >= 20)
        transport.close()
        assert all(answer.startswith(b"SIP/2.0 200 OK") for answer in answers)
        assert network.calls() == []


async def test_what_was_counted_survives_a_kill(switchboard, make_network):
    people = [someone(1, Behaviour.WAITS), someone(2, Behaviour.BUSY)]
    async with make_network(people) as network:
        for person in people:
            await switchboard.call(number_of(person), f"a-{person.name}")
        await switchboard.until("StasisStart", id="a-1")
        await switchboard.until("ChannelDestroyed", id="a-2")
        os.kill(network.pid, signal.SIGKILL)
        await until(lambda: not network.is_running)
        talk, busy = sorted(network.calls(), key=lambda call: call.number)
        assert talk.answered_at is not None
        assert talk.ended_at is None
        assert busy.results == {Result.BUSY}


async def test_a_parked_operator_and_a_person_are_heard_each_on_their_channel(
    switchboard, make_network, make_phones, secret, tmp_path
):
    person = someone(2, Behaviour.WAITS)
    operator = Phone(extension="101", secret=secret, voice=4)
    async with make_network([person]), make_phones(operator) as phones:
        phone = phones["101"]
        line = await phone.sign_in()
        start = await switchboard.until("StasisStart", args="feature 101 40")
        channel = start["channel"]["id"]
        await switchboard.join("line-1", channel)
        await switchboard.call(number_of(person), "a-1", record=tmp_path / "a-1.raw")
        await switchboard.until("StasisStart", id="a-1")
        await switchboard.request("POST", "/bridges/line-1/addChannel", channel="a-1")
        await until(
            lambda: (tmp_path / "a-1.raw").exists() and (tmp_path / "a-1.raw").stat().st_size > 64_000
        )
        await switchboard.hang_up("a-1")
        await switchboard.until("ChannelDestroyed", id="a-1")
        assert phone.is_on_line
        assert line.shown == "74950000000"
        await phone.hang_up()
        assert line.ended_by == "phone"
    left, right = hear_recording(tmp_path / "a-1.raw")
    assert left.is_person
    assert left.mark_hz == 700
    assert right.is_operator
    assert right.mark_hz == operator.mark_hz


async def test_in_no_conversation_is_anybody_silent(switchboard, make_network, make_phones, secret, tmp_path):
    """Twelve conversations one after the other on three lines: the first words are where things go wrong."""
    people = [someone(index, Behaviour.TALKS, ring_ms=100, talk_ms=900) for index in range(12)]
    operators = [Phone(extension=f"10{index}", secret=secret, voice=index) for index in (1, 2, 3)]

    async def work(operator: Phone, share: list[Person]) -> None:
        await phones[operator.extension].sign_in()
        start = await switchboard.until("StasisStart", args=f"feature {operator.extension} 40")
        bridge = f"line-{operator.extension}"
        await switchboard.join(bridge, start["channel"]["id"])
        for person in share:
            channel = f"a-{person.name}"
            await switchboard.call(number_of(person), channel, record=tmp_path / f"{person.name}.raw")
            await switchboard.until("StasisStart", id=channel)
            await switchboard.request("POST", f"/bridges/{bridge}/addChannel", channel=channel)
            await switchboard.until("ChannelDestroyed", id=channel)

    async with make_network(people) as network, make_phones(*operators) as phones:
        shares = [people[index::3] for index in range(3)]
        await asyncio.gather(
            *(work(operator, share) for operator, share in zip(operators, shares, strict=True))
        )
        counted = {call.number: call for call in network.calls()}
    assert all(call.ended_by == "person" for call in counted.values())
    for index, person in enumerate(people):
        left, right = hear_recording(tmp_path / f"{person.name}.raw")
        assert (left.mark_hz, right.mark_hz) == (
            counted[number_of(person)].mark_hz,
            operators[index % 3].mark_hz,
        )
        assert left.is_person
        assert right.is_operator


async def test_many_talk_at_once_and_each_is_heard_alone(switchboard, make_network, tmp_path):
    people = [someone(index, Behaviour.WAITS) for index in range(12)]
    async with make_network(people) as network:
        for person in people:
            await switchboard.call(
                number_of(person), f"a-{person.name}", record=tmp_path / f"{person.name}.raw"
            )
        for person in people:
            await switchboard.until("StasisStart", id=f"a-{person.name}")
        last = tmp_path / f"{people[-1].name}.raw"
        await until(lambda: last.exists() and last.stat().st_size > 48_000)
        for person in people:
            await switchboard.hang_up(f"a-{person.name}")
        await until(lambda: all(call.ended_at for call in network.calls()))
    marks: dict[str, NetworkCall] = {call.number: call for call in network.calls()}
    for person in people:
        left, right = hear_recording(tmp_path / f"{person.name}.raw")
        assert left.is_person
        assert left.mark_hz == marks[number_of(person)].mark_hz
        assert right.mark_hz is None


async def test_keys_arrive_as_keys(switchboard, make_phones, secret):
    phone = Phone(extension="101", secret=secret)
    async with make_phones(phone) as phones:
        await phones["101"].sign_in()
        start = await switchboard.until("StasisStart", args="feature 101 40")
        await phones["101"].keys("*4217#")
        await switchboard.until("ChannelDtmfReceived", digit="#")
        # Frames come twice for a channel that is both subscribed and in the application.
        once = {
            (frame["timestamp"], frame["digit"]): frame for frame in switchboard.frames if "digit" in frame
        }
        assert "".join(digit for _, digit in once) == "*4217#"
        await switchboard.hang_up(start["channel"]["id"])
        await until(lambda: not phones["101"].is_on_line)


async def test_a_second_call_beside_the_line(switchboard, make_phones, secret):
    phone = Phone(extension="101", secret=secret)
    async with make_phones(phone) as phones:
        line = await phones["101"].sign_in()
        dialing = asyncio.create_task(phones["101"].dial("*43"))
        start = await switchboard.until("StasisStart", args="feature 101 43")
        await switchboard.hang_up(start["channel"]["id"])
        call = await dialing
        assert call.ended_by == "server"
        assert line.is_up


@pytest.mark.parametrize(
    ("pick_up", "is_auto", "rings", "answers"),
    [
        ("auto", True, False, True),
        ("auto", False, True, True),
        ("slow", True, True, True),
        ("never", True, True, False),
        ("rejects", True, False, False),
    ],
)
async def test_a_phone_that_is_rung(switchboard, make_phones, secret, pick_up, is_auto, rings, answers):
    phone = Phone(
        extension="102",
        secret=secret,
        leg="rung",
        pick_up=pick_up,
        pick_up_ms=400,
    )
    async with make_phones(phone) as phones:
        await switchboard.ring_phone("102", "leg-1", is_auto=is_auto)
        call = await phones["102"].wait_until_rung(within_s=PATIENCE_S)
        if answers:
            await switchboard.until("StasisStart", id="leg-1")
            await phones["102"].wait_until_on_line(within_s=PATIENCE_S)
            await phones["102"].hang_up()
        elif pick_up == "never":
            await switchboard.until("ChannelStateChange", id="leg-1", state="Ringing")
            await switchboard.hang_up("leg-1")
        await switchboard.until("ChannelDestroyed", id="leg-1")
        await phones["102"].wait_until_ended(call, within_s=PATIENCE_S)
        states = Counter(
            frame["channel"]["state"] for frame in switchboard.frames if frame["type"] == "ChannelStateChange"
        )
        assert bool(states["Ringing"]) is rings
        assert bool(call.up_at) is answers
        assert call.ended_by == ("server" if pick_up == "never" else "phone")


async def test_a_wrong_secret_is_refused(make_phones):
    office = make_phones(Phone(extension="101", secret="guess"))
    with pytest.raises(LabCallRefused, match="101 was refused with SIP status 401"):
        await office.start()
    assert office["101"].pid is None


class SlowServer(SipPeer):
    """Asks for the password only when the first request has come twice, and then for each copy; the second question
    comes when the phone has answered the first one. *is_strict*: whoever has answered is refused."""

    def __init__(self, *, is_strict: bool) -> None:
        super().__init__()
        self.is_strict = is_strict
        self.copies: list[str] = []

    def datagram_received(self, data: bytes, addr: Address) -> None:
        text = data.decode()
        if text.startswith("ACK "):
            return
        if "Authorization:" not in text:
            self.copies.append(text)
            if len(self.copies) == 2:
                self._send(self._reply(self.copies[0], "401 Unauthorized"), addr)
        else:
            self._send(self._reply(self.copies[1], "401 Unauthorized"), addr)
            self._send(self._reply(text, "401 Unauthorized" if self.is_strict else "200 OK"), addr)

    def _reply(self, request: str, status: str, body: str = "") -> str:
        asked = (
            f'WWW-Authenticate: Digest realm="r", nonce="{os.urandom(4).hex()}", algorithm=MD5, qop="auth"'
        )
        text = super()._reply(request, status, body)
        return text.replace("Contact: ", f"{asked}\r\nContact: ") if status.startswith("401") else text


@pytest.mark.parametrize("is_strict", [False, True])
@pytest.mark.parametrize("what", ["register", "sign_in"])
async def test_a_server_so_slow_that_it_asks_twice_for_the_password(tmp_path, what, is_strict):
    """Only the answer to the password is one: a machine that stood still asks each copy of the first request."""
    room = choose_room(1)
    async with SlowServer(is_strict=is_strict) as server:
        phones = LabPhones(
            tmp_path,
            sip_server=("127.0.0.1", server.port),
            phones=[Phone(extension="101", secret="s")],
            port=room.phones,
            media_port=room.phones_media,
        )
        await phones.start(register=False)
        try:
            asked = phones["101"].register() if what == "register" else phones["101"].sign_in()
            if is_strict:
                with pytest.raises(LabCallRefused, match="401"):
                    await asked
            else:
                await asked
                assert phones["101"].is_registered if what == "register" else phones["101"].is_on_line
            assert len(server.copies) == 2
        finally:
            await phones["101"].pull_the_plug()


async def test_a_phone_registers_again_in_time_and_no_more_when_it_stops(asterisk_home, make_phones, secret):
    phone = Phone(extension="103", secret=secret)

    async def contacts() -> str:
        return await asyncio.to_thread(asterisk_home.run_cli, "pjsip show contacts")

    async with make_phones(phone, expires_s=1) as phones:
        await until(lambda: sum(call.kind == "register" for call in phones["103"].calls) >= 3)
        assert "sip:103@" in await contacts()
    assert "sip:103@" not in await contacts()


async def test_a_phone_without_power(switchboard, make_phones, secret):
    phone = Phone(extension="101", secret=secret)
    async with make_phones(phone) as phones:
        line = await phones["101"].sign_in()
        await phones["101"].pull_the_plug()
        await until(lambda: line.ended_at)
        assert not phones["101"].is_registered
        with pytest.raises(LabProcessDied):
            await phones["101"].sign_in()


async def test_a_port_that_is_taken_is_said_so(tmp_path):
    room = choose_room(0)
    port = room.network
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        with pytest.raises(LabError, match=r"network"):
            await LabNetwork(tmp_path, port=port, people=[], media_port=room.network_media).start()


async def test_nothing_outlives_the_process_that_started_it(tmp_path, asterisk_home):
    program = """
import asyncio, sys
from pathlib import Path
from dialer.lab.network import LabNetwork
from dialer.lab.phones import LabPhones, Phone
from dialer.lab.ports import choose_room
async def main():
    folder, port, media, server = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    network = LabNetwork(folder, port=port, people=[], media_port=media)
    phones = LabPhones(folder, sip_server=("127.0.0.1", server), port=port + 1, media_port=media + 8,
                       phones=[Phone(extension="101", secret="s")])
    await network.start()
    await phones.start(register=False)
    print(network.pid, phones["101"].pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    room = choose_room(1)
    arguments = [str(tmp_path), str(room.network), str(room.network_media), str(asterisk_home.sip_port)]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = [int(word) for word in (await asyncio.to_thread(process.stdout.readline)).split()]
        assert len(pids) == 2
        assert all(map(is_alive, pids))
        process.kill()
    await until(lambda: not any(map(is_alive, pids)))


async def test_a_real_softphone(switchboard, asterisk_home, make_phones, secret, make_network, tmp_path):
    person = someone(3, Behaviour.WAITS)
    room = choose_room(4)
    softphone = Softphone(
        tmp_path / "softphone",
        Phone(extension="104", secret=secret, voice=6),
        sip_server=("127.0.0.1", asterisk_home.sip_port),
        port=room.phones,
        control_port=room.phones + 3,
        media_port=room.phones_media,
    )
    async with make_network([person]), softphone:
        line = await softphone.sign_in()
        start = await switchboard.until("StasisStart", args="feature 104 40")
        await switchboard.join("line-2", start["channel"]["id"])
        await softphone.keys("*43")
        await switchboard.until("ChannelDtmfReceived", digit="3")
        await switchboard.call(number_of(person), "a-1", record=tmp_path / "a-1.raw")
        await switchboard.until("StasisStart", id="a-1")
        await switchboard.request("POST", "/bridges/line-2/addChannel", channel="a-1")
        await until(
            lambda: (tmp_path / "a-1.raw").exists() and (tmp_path / "a-1.raw").stat().st_size > 64_000
        )
        await switchboard.hang_up("a-1")
        await switchboard.until("ChannelDestroyed", id="a-1")
        assert line.is_up
        await softphone.hang_up()
        await switchboard.ring_phone("104", "leg-1", is_auto=True)
        await switchboard.until("StasisStart", id="leg-1")
        assert (await softphone.wait_until_on_line(within_s=PATIENCE_S)).kind == "rung"
    assert not softphone.is_running
    left, right = hear_recording(tmp_path / "a-1.raw")
    assert (left.mark_hz, right.mark_hz) == (800, softphone.phone.mark_hz)
    assert len(softphone.heard()) == 2
