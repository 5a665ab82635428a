"""A call of a laboratory phone, and what the phone's process tells of it."""

from __future__ import annotations

import re
import time
from typing import Literal
from uuid import uuid4

import msgspec

_TAG = re.compile(r";tag=([^;,\s>]+)")


class PhoneCall(msgspec.Struct, kw_only=True):
    """A call or registration as the phone saw it. Instants are seconds since the epoch.

    *ended_by*: ``phone`` or ``server``. *number*: dialed, or the caller's. *keys*: those that
    the server took. *status*: the SIP status with which it was refused. *shown*: the number
    that the display shows since the server last changed it. *asked*: the headers by which the caller asks
    the phone to answer by itself. *own_tag*, *their_tag*: of the SIP dialog. *referred*: what the server answered to
    the last REFER at once, *progress*: and said of it then.
    """

    call_id: str
    kind: Literal["register", "dial", "rung"]
    number: str
    began_at: float
    up_at: float | None = None
    ended_at: float | None = None
    ended_by: str = ""
    status: int | None = None
    shown: str = ""
    asked: str = ""
    keys: str = ""
    refused_keys: int = 0
    own_tag: str = ""
    their_tag: str = ""
    is_held: bool = False
    referred: list[int] = msgspec.field(default_factory=list)
    progress: list[int] = msgspec.field(default_factory=list)

    @property
    def is_up(self) -> bool:
        """Whether the conversation lasts."""
        return self.up_at is not None and self.ended_at is None

    def happened(self, event: str, detail: str, at: float) -> None:
        """What the phone's process says: *event*, with what belongs to it."""
        match event:
            case "up":
                self.up_at = at
                self.own_tag, self.their_tag = [*_TAG.findall(detail), "", ""][:2]
            case "held":
                self.is_held = True
            case "resumed":
                self.is_held = False
            case "referred":
                self.referred.append(int(detail))
            case "progress":
                self.progress.append(int(detail))
            case "keyed":
                self.keys += detail.strip()
            case "shown":
                self.shown = detail.strip()
            case "asked":
                self.asked = detail.strip()
            case "key_refused":
                self.refused_keys += 1
            case "registered":
                self.ended_at = at
            case "refused":
                self.ended_at, self.status = at, int(detail)
            case "ended":
                self.ended_at, self.ended_by = at, detail.strip()


def new_call(kind: Literal["register", "dial"], number: str) -> PhoneCall:
    """A call that the phone is about to make."""
    return PhoneCall(call_id=f"{uuid4().hex}@phone", kind=kind, number=number, began_at=time.time())
