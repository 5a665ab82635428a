"""Desk phones as a value: which model, over which transport, with which codecs.

A phone is an extension. It exists before an operator has it, and outlives them. ``outside`` is no phone of ours at all: it
stands for an operator who has an outside line, rings the access number, and proves by a PIN who they are; with a number of
its own it is also called there for each call (an operator who is rung), and asks for the PIN before anybody is joined.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

Model = Literal["generic", "yealink", "grandstream", "snom", "cisco", "fanvil", "outside"]
PhoneTransport = Literal["", "udp", "tcp", "tls"]

MODELS: Final[tuple[Model, ...]] = get_args(Model)
OUTSIDE: Final = "outside"


class DeskPhone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One phone. *transport* empty: whichever it registers by. *codecs* empty: those of all phones."""

    extension: str
    model: Model = "generic"
    transport: PhoneTransport = ""
    codecs: tuple[str, ...] = ()
    number: str = ""
    """Of an outside line: E.164 with its plus sign; empty: it only rings in."""
    trunk: str = ""
    """By which it is called."""

    @property
    def is_outside(self) -> bool:
        """Whether it is an outside line, which has no SIP account here."""
        return self.model == OUTSIDE
