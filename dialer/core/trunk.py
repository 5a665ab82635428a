"""A SIP trunk's settings, as its file says them (``schemas/trunk.schema.json``)."""

from __future__ import annotations

from typing import Literal

import msgspec

from dialer.core.ids import AttemptId, ChannelId, ServerId, TrunkId

FAILOVER_CAUSES: tuple[int, ...] = (2, 3, 27, 34, 38, 41, 42, 44, 47, 58, 500, 502, 503, 504)
"""Numbers up to 127 are causes of Q.850, from 300 on they are SIP statuses."""


class NumberRule(msgspec.Struct, frozen=True, kw_only=True):
    """How numbers that begin with *prefix* are written: *strip* characters taken from the front, then *add* put there.

    The number is E.164 with its plus sign before; of several rules the one with the longest prefix holds.
    """

    prefix: str
    strip: int = 0
    add: str = ""


class CallerIds(msgspec.Struct, frozen=True, kw_only=True):
    """What the people called see, where the campaign has no number of its own.

    *numbers*: one, or several in turn. *regions*: by the beginning of the number called (the longest that fits); before *numbers*.
    *campaigns*: by campaign; before both.
    """

    numbers: tuple[str, ...] = ()
    regions: dict[str, tuple[str, ...]] = {}
    campaigns: dict[str, tuple[str, ...]] = {}


class Trunk(msgspec.Struct, frozen=True, kw_only=True):
    """A SIP trunk. Secrets are kept elsewhere."""

    id: TrunkId
    host: str
    """The gateway; calls go here, and further ones in order (*hosts*) if it does not answer OPTIONS."""
    hosts: tuple[str, ...] = ()
    """More hosts of the carrier, each ``HOST`` or ``HOST:PORT``."""
    port: int = 5060
    transport: Literal["udp", "tcp", "tls"] = "udp"
    username: str = ""
    """With a username the trunk authenticates by digest; without, by address."""
    register: bool = False
    codecs: tuple[str, ...] = ("alaw", "ulaw")
    dtmf: Literal["rfc4733", "inband", "info", "auto"] = "rfc4733"
    srtp: Literal["off", "sdes", "dtls"] = "off"
    tls_verify: bool = True
    """With TLS: whether the gateway must show a certificate that we trust (*tls_ca*, else the system's)."""
    tls_ca: str = ""
    number_format: Literal["e164_plus", "e164"] = "e164_plus"
    """How the number is written where no rule of *numbers* fits: with its plus sign or without."""
    number_rules: tuple[NumberRule, ...] = ()
    tech_prefix: str = ""
    """Put before the number, when all else is done."""
    caller_id: str = ""
    """For campaigns that name none of their own."""
    caller_ids: CallerIds = CallerIds()
    """More than one; goes before *caller_id*."""
    channels_max: int = 30
    calls_per_second_max: float = 10.0
    priority: int = 100
    """Of a campaign's trunks those of the lowest number carry its calls, as long as they can."""
    weight: int = 1
    """The share of the calls among trunks of one priority."""
    failover_on: tuple[int, ...] = FAILOVER_CAUSES
    """A call that never rang and ended so goes on by the next trunk."""
    destinations: tuple[str, ...] = ()
    """Beginnings of the numbers that it may call; empty: those of the campaign's countries."""
    forbidden: tuple[str, ...] = ()
    """Beginnings of numbers that it never calls; the longest beginning decides."""
    options_interval_s: int = 30
    """Asterisk probes the trunk with OPTIONS so often; 0: never, and the trunk counts as up."""
    servers: tuple[ServerId, ...] = ()
    """The Asterisk servers that have it; empty: all."""
    is_inbound: bool = False
    """Whether calls come in by it: from *host* and *hosts* (and *inbound_from*), or over its registration."""
    inbound_from: tuple[str, ...] = ()
    """More addresses (or networks) from which its calls come."""


class Rotation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a trunk stands in its rotation (:class:`dialer.core.desk.TrunkDesk`), as it outlives an engine.

    *rests*: so many followed each other. *rest_until*: the end of the present one; None: it is in rotation. *probe*: the call (or the
    third party's channel) that probes it.
    """

    rests: int = 0
    rest_until: float | None = None
    probe: AttemptId | ChannelId | None = None


class TrunkNoted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the journal says of a trunk when an engine starts. *down*: servers that did not reach it, by the last word of each."""

    trunk: TrunkId
    rotation: Rotation = Rotation()
    down: tuple[ServerId, ...] = ()
