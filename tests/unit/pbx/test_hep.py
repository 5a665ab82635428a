"""What a copy of a SIP message tells, and what it does not."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pbx.hep import InviteNews, read

PASSWORD = b"of-both-sides"
CALL = "9d28bdeb-8c47-4c99-9fcd-c31dd39fdbd4"


def chunk(kind: int, content: bytes, vendor: int = 0) -> bytes:
    return struct.pack(">HHH", vendor, kind, 6 + len(content)) + content


def packed(message: bytes, password: bytes | None = PASSWORD, *more: bytes) -> bytes:
    """*message* as Asterisk sends it: addresses and times before, the password, and the message."""
    chunks = [chunk(1, b"\2"), chunk(3, b"\x7f\0\0\1"), chunk(9, b"\0\0\0\1"), *more]
    if password is not None:
        chunks.append(chunk(14, password))
    body = b"".join([*chunks, chunk(15, message), chunk(17, CALL.encode())])
    return struct.pack(">4sH", b"HEP3", 6 + len(body)) + body


def sip(first: str, method: str = "INVITE", *more: str) -> bytes:
    lines = [
        first,
        "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK",
        *more,
        f"Call-ID: {CALL}",
        f"CSeq: 791 {method}",
    ]
    return "\r\n".join([*lines, "Allow: INVITE, ACK, BYE", "Content-Length: 0", "", ""]).encode()


@pytest.mark.parametrize(
    ("first", "stand"),
    [
        ("INVITE sip:88818000000@127.0.0.1:44031 SIP/2.0", "sent"),
        ("SIP/2.0 200 OK", "answered"),
        ("SIP/2.0 202 Accepted", "answered"),
        ("SIP/2.0 487 Request Terminated", "refused"),
        ("SIP/2.0 302 Moved Temporarily", "refused"),
        ("SIP/2.0 603 Decline", "refused"),
    ],
)
def test_how_an_invite_stands_is_told(first, stand):
    assert read(packed(sip(first)), PASSWORD) == InviteNews(CALL, stand)


@pytest.mark.parametrize(
    ("first", "method"),
    [
        ("SIP/2.0 100 Trying", "INVITE"),
        ("SIP/2.0 180 Ringing", "INVITE"),
        ("SIP/2.0 401 Unauthorized", "INVITE"),
        ("SIP/2.0 407 Proxy Authentication Required", "INVITE"),
        ("INVITE sip:127.0.0.1 SIP/2.0", "OPTIONS"),
        ("SIP/2.0 200 OK", "CANCEL"),
        ("SIP/2.0 200 OK", "BYE"),
        ("CANCEL sip:88818000000@127.0.0.1:44031 SIP/2.0", "CANCEL"),
        ("OPTIONS sip:127.0.0.1 SIP/2.0", "OPTIONS"),
        ("INVITED sip:127.0.0.1 SIP/2.0", "INVITED"),
    ],
)
def test_all_else_tells_nothing(first, method):
    assert read(packed(sip(first, method)), PASSWORD) is None


def test_short_names_of_headers_and_their_blanks_are_read():
    text = sip("SIP/2.0 200 OK").replace(b"Call-ID: ", b"i : ").replace(b"CSeq:", b"cseq :")
    assert read(packed(text), PASSWORD) == InviteNews(CALL, "answered")


def test_who_does_not_know_the_password_is_not_believed():
    message = sip("SIP/2.0 200 OK")
    assert read(packed(message, b"of-both-side"), PASSWORD) is None
    assert read(packed(message, None), PASSWORD) is None
    assert read(packed(message, None, chunk(14, PASSWORD, vendor=7)), PASSWORD) is None


def test_what_is_cut_off_or_says_a_wrong_length_is_nothing():
    whole = packed(sip("SIP/2.0 200 OK"))
    assert read(whole, PASSWORD) is not None
    for length in range(len(whole)):
        assert read(whole[:length], PASSWORD) is None
    assert read(whole + b"x", PASSWORD) is None
    for length in (0, 5, 65535):
        body = chunk(14, PASSWORD) + struct.pack(">HHH", 0, 15, length) + sip("SIP/2.0 200 OK")
        assert read(struct.pack(">4sH", b"HEP3", 6 + len(body)) + body, PASSWORD) is None


@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=80)), max_size=8))
def test_rubbish_is_nothing(raw, chunks):
    assert read(raw, PASSWORD) is None
    body = b"".join(chunk(kind, content) for kind, content in chunks if kind != 14)
    assert read(struct.pack(">4sH", b"HEP3", 6 + len(body)) + body, PASSWORD) is None


@pytest.mark.parametrize(
    "rubbish",
    [
        b"Call-ID:" + b" " * 60_000 + b"a" * 300,
        b"CSeq:" + b"\t" * 60_000 + b"1",
        b"Call-ID: \r\ni:\r\n" * 4_000,
    ],
)
def test_a_message_that_is_made_to_be_slow_to_read_is_not(rubbish):
    """Anybody can send one: each took minutes where a pattern could begin at every blank of it."""
    message = sip("INVITE sip:1@127.0.0.1 SIP/2.0").replace(b"Call-ID: " + CALL.encode(), rubbish)
    assert len(message) > 60_000
    # In a process of its own: a pattern that is at work is not interrupted.
    work = "import sys; from dialer.pbx.hep import read; read(sys.stdin.buffer.read(), b'of-both-sides')"
    subprocess.run([sys.executable, "-c", work], input=packed(message[:65_000]), timeout=60.0, check=True)
