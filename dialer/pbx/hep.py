"""Copies of SIP messages, as Asterisk sends them to a capture server (HEP, version 3). Pure: it reads its arguments and nothing else.

1. ARI tells nothing of a channel that is gone; and Asterisk lets go of a channel whose call it cancels at once. What the carrier says
   afterwards is seen on the wire only (:mod:`dialer.engine.lateanswers`).
2. A packet is ``HEP3``, its length, and chunks: vendor, type, length (the head's six bytes included), and the content, all of it in
   network order (https://github.com/sipcapture/HEP, "HEP3/EEP", rev. 36). Of the chunks two are read: the password and the message.
3. Of messages only those are told that say how an INVITE stands. Whatever is not that, or garbled, is nothing. Anybody may write what is
   read here: no pattern takes more than one pass over a message.
"""

from __future__ import annotations

import hmac
import re
import struct
from typing import Final, Literal

import msgspec

_MAGIC: Final = b"HEP3"
_HEAD: Final = struct.Struct(">4sH")
_CHUNK: Final = struct.Struct(">HHH")
_GENERIC: Final = 0
"""The vendor of the chunks that everybody has."""
_PASSWORD: Final = 14
_MESSAGE: Final = 15
_OF_INTEREST = re.compile(rb"\0\0\0\x0f..(?:INVITE |SIP/2\.0 [2-6])", re.DOTALL)
"""The head of the message's chunk, and how a message begins that may tell something: seven of a call's ten copies are none."""
_STATUS = re.compile(rb"SIP/2\.0 ([2-6]\d\d) ")
_CALL_ID = re.compile(rb"\r\n(?:Call-ID|i)[ \t]*:[ \t]*([^ \t\r\n]{1,256})[ \t]*\r\n", re.IGNORECASE)
_CHALLENGES: Final = frozenset({401, 407})
"""They are answered by the same INVITE with a password: not its end."""
_OF_INVITE = re.compile(rb"\r\nCSeq[ \t]*:[ \t]*\d{1,10}[ \t]+INVITE[ \t]*\r\n", re.IGNORECASE)

Stand = Literal["sent", "answered", "refused"]


class InviteNews(msgspec.Struct, frozen=True):
    """How the INVITE of the call *call_id* stands: it was sent, or it has its final response. Whose it is, and whether Asterisk sent or
    received it, is not told."""

    call_id: str
    stand: Stand


def read(packet: bytes, password: bytes) -> InviteNews | None:
    """What *packet* tells; None if that is nothing, or whoever sent it does not know *password*. Never raises."""
    # What is of interest is longer than a head.
    if not _OF_INTEREST.search(packet) or _HEAD.unpack_from(packet) != (_MAGIC, len(packet)):
        return None
    message, is_known = b"", False
    place, end = _HEAD.size, len(packet)
    while place + _CHUNK.size <= end:
        vendor, kind, length = _CHUNK.unpack_from(packet, place)
        if length < _CHUNK.size or place + length > end:
            return None
        if vendor == _GENERIC and kind == _MESSAGE:
            message = packet[place + _CHUNK.size : place + length]
        elif vendor == _GENERIC and kind == _PASSWORD:
            is_known = hmac.compare_digest(packet[place + _CHUNK.size : place + length], password)
        place += length
    return _news(message) if is_known else None


def _news(message: bytes) -> InviteNews | None:
    stand: Stand = "sent"
    if not message.startswith(b"INVITE "):
        status = _STATUS.match(message)
        if status is None or int(status[1]) in _CHALLENGES:
            return None
        stand = "answered" if status[1].startswith(b"2") else "refused"
    found = _CALL_ID.search(message) if _OF_INVITE.search(message) else None
    return InviteNews(found[1].decode("utf-8", "replace"), stand) if found else None
