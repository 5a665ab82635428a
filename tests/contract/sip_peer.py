"""A SIP peer of two hundred lines: enough of a person, or of a desk phone, for real channels to live in a test.

It answers OPTIONS, and an INVITE by the number that was dialed: ``+888`` and three digits more say what to
do: ``180`` rings for ever, ``183`` is early media and then an answer, 300 and more is that refusal.
Everybody else rings and answers at once. No sound. As a desk phone it registers and dials, with digest
authentication, and presses keys. For behaviour in depth there is the laboratory; this is for one channel at a time.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import struct
from hashlib import md5
from typing import Self, cast

_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)

Address = tuple[str, int]


class SipPeer(asyncio.DatagramProtocol):
    """A SIP user agent on 127.0.0.1, *port* 0 for any.

    *received*: every request, as (method, user part, text).
    """

    def __init__(self, port: int = 0, *, pbx_port: int = 0, phone: str = "", secret: str = "") -> None:
        self.port = port
        self.received: list[tuple[str, str, str]] = []
        self.answers: list[str] = []
        self._pbx: Address = ("127.0.0.1", pbx_port)
        self._phone = phone
        self._secret = secret
        self._transport: asyncio.DatagramTransport | None = None
        self._dialogs: dict[str, tuple[str, Address]] = {}
        self._sent: dict[str, tuple[str, str]] = {}
        self._number = 0
        self._media: Address | None = None
        self._samples = 0
        self._packets = 0
        self._voice = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._token = secrets.token_hex(4)  # another peer on the same port is somebody else

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", self.port))
        self.port = transport.get_extra_info("sockname")[1]
        self._voice.bind(("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()
        self._voice.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        text = data.decode()
        first = text.split("\r\n", 1)[0]
        if first.startswith("SIP/2.0"):
            self._answered(first, text, addr)
            return
        method = first.split()[0]
        user = (re.findall(r"sip:\+?([^@;> ]*)@", first) or [""])[0]
        self.received.append((method, user, text))
        if method == "INVITE":
            self._invited(user, text, addr)
        elif method == "CANCEL":
            self.cancelled(text, addr)
        elif method != "ACK":
            self._dialogs.pop(_header(text, "Call-ID"), None)
            self._send(self._reply(text, "200 OK"), addr)

    # -- being called ---------------------------------------------------------------------

    def cancelled(self, text: str, addr: Address) -> None:
        """The caller gives up."""
        self._end_invite(text, addr, "487 Request Terminated")

    def answer_late(self, text: str, addr: Address) -> None:
        """To a CANCEL: we had picked up before it came."""
        self._end_invite(text, addr, "200 OK", self._sdp())

    def _end_invite(self, cancel: str, addr: Address, status: str, body: str = "") -> None:
        self._send(self._reply(cancel, "200 OK"), addr)
        if invite := self._dialogs.pop(_header(cancel, "Call-ID"), None):
            self._send(self._reply(invite[0], status, body), addr)

    def _invited(self, user: str, text: str, addr: Address) -> None:
        wish = user[3:6] if user.startswith("888") else "200"
        if wish >= "300":
            self._send(self._reply(text, f"{wish} No"), addr)
            return
        self._dialogs[_header(text, "Call-ID")] = (text, addr)
        self._see_media(text)
        if wish == "183":
            self._send(self._reply(text, "183 Session Progress", self._sdp()), addr)
        else:
            self._send(self._reply(text, "180 Ringing"), addr)
        if wish != "180":
            self._send(self._reply(text, "200 OK", self._sdp()), addr)

    def hang_up(self) -> None:
        """End every call that came in and was answered here."""
        for invite, addr in self._dialogs.values():
            headers = [
                f"BYE {_header(invite, 'Contact').strip('<>')} SIP/2.0",
                self._via(),
                f"From: {_header(invite, 'To')};tag={self._token}",
                f"To: {_header(invite, 'From')}",
                f"Call-ID: {_header(invite, 'Call-ID')}",
                "CSeq: 900 BYE",
                "Max-Forwards: 70",
            ]
            self._send(_with_body(headers), addr)
        self._dialogs.clear()

    def _reply(self, request: str, status: str, body: str = "") -> str:
        to = _header(request, "To")
        if ";tag=" not in to:
            to += f";tag={self._token}"
        headers = [
            f"SIP/2.0 {status}",
            *(f"Via: {via}" for via in re.findall(r"^Via:\s*(.*?)\r$", request, re.MULTILINE)),
            f"From: {_header(request, 'From')}",
            f"To: {to}",
            f"Call-ID: {_header(request, 'Call-ID')}",
            f"CSeq: {_header(request, 'CSeq')}",
            f"Contact: <sip:127.0.0.1:{self.port}>",
        ]
        return _with_body(headers, body)

    # -- calling --------------------------------------------------------------------------

    def register(self, expires_s: int = 300) -> None:
        """Register as the phone that was named at the making; 0 unregisters."""
        self._request("REGISTER", "", f"Expires: {expires_s}")

    def dial(self, extension: str) -> None:
        """Call *extension* as the phone."""
        self._request("INVITE", f"{extension}@")

    def _request(self, method: str, user: str, *more: str, call_id: str = "", challenge: str = "") -> None:
        self._number += 1
        call_id = call_id or f"{method}-{self._token}-{self._number}"
        uri = f"sip:{user}127.0.0.1"
        me = f"<sip:{self._phone}@127.0.0.1>"
        headers = [
            f"{method} {uri} SIP/2.0",
            self._via(),
            f"From: {me};tag={self._token}",
            f"To: {me if method == 'REGISTER' else f'<{uri}>'}",
            f"Call-ID: {call_id}",
            f"CSeq: {self._number} {method}",
            f"Contact: <sip:{self._phone}@127.0.0.1:{self.port}>",
            "Max-Forwards: 70",
            *more,
        ]
        if challenge:
            headers.append(f"Authorization: {self._digest(method, uri, challenge)}")
        else:
            self._sent[call_id] = (user, more[0] if more else "")
        self._send(_with_body(headers, self._sdp() if method == "INVITE" else ""), self._pbx)

    def _answered(self, first: str, text: str, addr: Address) -> None:
        status = first.split()[1]
        self.answers.append(status)
        number, method = _header(text, "CSeq").split()
        call_id = _header(text, "Call-ID")
        self._see_media(text)
        if method == "INVITE" and status >= "200":
            headers = [
                f"ACK {_header(text, 'Contact').strip('<>') or 'sip:127.0.0.1'} SIP/2.0",
                f"Via: {_header(text, 'Via')}" if status >= "300" else self._via(),
                *(f"{name}: {_header(text, name)}" for name in ("From", "To", "Call-ID")),
                f"CSeq: {number} ACK",
                "Max-Forwards: 70",
            ]
            self._send(_with_body(headers), addr)
        if status == "401" and (sent := self._sent.pop(call_id, None)):
            user, more = sent
            challenge = _header(text, "WWW-Authenticate")
            self._request(method, user, *filter(None, [more]), call_id=call_id, challenge=challenge)

    async def press(self, digit: str) -> None:
        """Press a key in the call that was last set up (RFC 4733), for a tenth of a second.

        Packets go out at the pace of speech: Asterisk takes a burst of them for other key presses.
        """
        assert self._media is not None
        event = "0123456789*#".index(digit)
        sound = [(8, b"\xd5" * 160)] * 5
        key = [(101, struct.pack("!BBH", event, 10, 160 * n)) for n in range(1, 5)]
        end = [(101, struct.pack("!BBH", event, 128 | 10, 800))] * 3
        pressed_at = self._samples + 160 * len(sound)
        for number, (kind, content) in enumerate([*sound, *key, *end]):
            self._samples += 160
            self._packets += 1
            mark = 0x80 if number == len(sound) else 0
            at = self._samples if kind == 8 else pressed_at
            head = struct.pack("!BBHII", 0x80, kind | mark, self._packets, at, 7)
            self._voice.sendto(head + content, self._media)
            await asyncio.sleep(0.02)

    def _sdp(self) -> str:
        return _SDP.format(port=self._voice.getsockname()[1])

    def _see_media(self, text: str) -> None:
        if found := re.search(r"^m=audio (\d+)", text, re.MULTILINE):
            self._media = ("127.0.0.1", int(found[1]))

    def _digest(self, method: str, uri: str, challenge: str) -> str:
        realm, nonce, opaque = (
            (re.findall(rf'{name}="([^"]*)"', challenge) or [""])[0] for name in ("realm", "nonce", "opaque")
        )
        key = _md5(f"{self._phone}:{realm}:{self._secret}")
        proof = _md5(f"{key}:{nonce}:00000001:c:auth:{_md5(f'{method}:{uri}')}")
        return (
            f'Digest username="{self._phone}", realm="{realm}", nonce="{nonce}", uri="{uri}", opaque="{opaque}", '
            f'response="{proof}", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"'
        )

    def _via(self) -> str:
        self._number += 1
        return f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{self._token}n{self._number}"

    def _send(self, text: str, addr: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(text.encode(), addr)


def _with_body(headers: list[str], body: str = "") -> str:
    if body:
        headers = [*headers, "Content-Type: application/sdp"]
    return "\r\n".join([*headers, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*?)\r$", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
