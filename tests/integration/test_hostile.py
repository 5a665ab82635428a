"""What strangers and garbled callers send by SIP, on a real Asterisk: nobody gets in, nothing is believed, and nobody who calls us is lost."""

from __future__ import annotations

import json
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dialer.lab.callers import HOST
from dialer.pbx.render import CHOICES_FOLDER
from dialer.pbx.wire import arrival
from tests.e2e.world import until
from tests.integration.test_inbound import DIDS, laid_out

__all__ = ["laid_out"]
pytestmark = [
    pytest.mark.asterisk,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("laid_out"),
]

STRANGER = "127.0.0.3"
OURS = DIDS["hang_up"]
SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 29998 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
)


class Wire:
    """A UDP socket that sends requests as they are written."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.to = host, ("127.0.0.1", port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(5.0)
        self.port = self.socket.getsockname()[1]

    def ask(self, user: str, *, caller: str, to: str = "", more: str = "", method: str = "INVITE") -> int:
        """The status of the final answer to a request to *user*; what is answered is hung up at once."""
        call, tag = secrets.token_hex(8), secrets.token_hex(4)
        body = SDP.format(host=self.host) if method == "INVITE" else ""
        sequence = f"CSeq: 1 {method}\r\n"
        head = (
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{call};rport\r\nMax-Forwards: 70\r\n"
            f"From: {caller};tag={tag}\r\nTo: {to or f'<sip:{user}@127.0.0.1>'}@TAG@\r\nCall-ID: {call}\r\n"
            f"Contact: <sip:x@{self.host}:{self.port}>\r\n"
        )
        kind = "Content-Type: application/sdp\r\n" if body else ""
        length = f"Content-Length: {len(body)}\r\n\r\n"
        text = f"{method} sip:{user}@127.0.0.1 SIP/2.0\r\n{head.replace('@TAG@', '')}{sequence}{more}{kind}{length}{body}"
        self.socket.sendto(text.encode(), self.to)
        while True:
            answer = self.socket.recv(65536).decode(errors="replace")
            if f"Call-ID: {call}" not in answer or not answer.startswith("SIP/2.0"):
                continue
            status = int(answer.split()[1])
            if status < 200:
                continue
            found = re.search(r"^To:.*?(;tag=\S+)", answer, re.MULTILINE)
            theirs = found[1] if found else ""
            if method == "INVITE":
                ack = f"ACK sip:{user}@127.0.0.1 SIP/2.0\r\n{head.replace('@TAG@', theirs)}CSeq: 1 ACK\r\n"
                self.socket.sendto(f"{ack}Content-Length: 0\r\n\r\n".encode(), self.to)
            if status == 200 and method == "INVITE":
                bye = f"BYE sip:{user}@127.0.0.1 SIP/2.0\r\n{head.replace('@TAG@', theirs)}CSeq: 2 BYE\r\n"
                bye = bye.replace(f"branch=z9hG4bK{call}", f"branch=z9hG4bKb{call}")
                self.socket.sendto(f"{bye}Content-Length: 0\r\n\r\n".encode(), self.to)
            return status


@contextmanager
def wire(host: str, port: int) -> Iterator[Wire]:
    made = Wire(host, port)
    try:
        yield made
    finally:
        made.socket.close()


@pytest.mark.parametrize(
    "user", ["*40", "answered", "s", "trunk-test", "100", "101", OURS, "+79001234567", "a" * 500]
)
async def test_a_stranger_gets_no_further_than_being_asked_who_they_are(asterisk_home, user):
    with wire(STRANGER, asterisk_home.sip_port) as stranger:
        for name in ("trunk-lab", "101", "obzvon-nobody", "obzvon"):
            assert stranger.ask(user, caller=f"<sip:{name}@127.0.0.1>") == 401
        more = f"Refer-To: <sip:+79001234567@127.0.0.1>\r\nReferred-By: <sip:{OURS}@127.0.0.1>\r\n"
        assert stranger.ask(user, caller="<sip:101@127.0.0.1>", method="REFER", more=more) in range(400, 500)


@pytest.mark.parametrize("name", ["101", "999", "trunk-lab", "obzvon-nobody", "x" * 300])
async def test_who_may_register_and_who_is_there_at_all_strangers_are_not_told(asterisk_home, name):
    more = "Expires: 300\r\n"
    with wire(STRANGER, asterisk_home.sip_port) as stranger:
        answers = {
            stranger.ask(
                name, caller=f"<sip:{name}@127.0.0.1>", to=f"<sip:{name}@127.0.0.1>", method=method, more=more
            )
            for method in ("REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "PUBLISH")
        }
    assert answers == {401}


@pytest.mark.parametrize(
    "user", ["7" * 500, "0" * 79, "*40", "*507%23", "answered", "s", "..%2fin-number", "1%0d%0aX"]
)
async def test_a_number_that_is_none_of_ours_is_refused_whatever_it_is(asterisk_home, user):
    with wire(HOST, asterisk_home.sip_port) as carrier:
        assert carrier.ask(user, caller="<sip:+79160000001@127.0.0.1>") in range(400, 500)
        forged = '"x" <sip:$%7BSHELL(id)%7D@127.0.0.1>'
        assert carrier.ask(user, caller="<sip:1@127.0.0.1>", to=forged) in range(400, 500)


GARBLED = {
    "five hundred digits": "9" * 500,
    "a plus sign alone": "joe+work",
    "two plus signs": "++79160000001",
    "a plus sign within": "7+9160000001",
    "functions": "%24%7BSHELL(id)%7D79160000001",
    "commas": "79160000001,1,2",
    "a line break": "79160000001%0d%0aX-Evil:%201",
    "quotes": "%22%20=%20%22",
}


@pytest.mark.parametrize("user", GARBLED.values(), ids=GARBLED)
async def test_whatever_a_caller_says_of_themselves_their_call_is_taken_and_written_down(asterisk_home, user):
    box: Path = asterisk_home.folder / "shared" / CHOICES_FOLDER
    before = set(box.glob("*.json"))
    with wire(HOST, asterisk_home.sip_port) as carrier:
        assert carrier.ask(OURS, caller=f"<sip:{user}@127.0.0.1>") == 200
    new = await until(lambda: set(box.glob("*.json")) - before, "a note")
    assert isinstance(new, set)
    (path,) = new
    note = json.loads(path.read_text())
    assert (note["campaign"], note["did"], note["trunk"]) == ("in-hang_up", OURS, "lab")
    assert re.fullmatch(r"(\+?[0-9]{1,32})?", note.get("caller", ""))
    assert arrival(note["attempt"], [OURS, user, "lab", "in-hang_up"]) is not None
