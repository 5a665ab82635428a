"""Ports of this machine that nobody uses.

Only loopback addresses are looked at, and nothing is connected to: a port is free when it can be
bound, and it is given back at once. Between our look and the server's own bind another program may
take it; whoever starts a server must look whether it got its ports, and may choose again.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

import msgspec

HTTP_SPAN = (18000, 18999)
SIP_SPAN = (15000, 15999)
RTP_SPAN = (20000, 29999)
"""Below the range from which the kernel takes ports for outgoing connections (from 32768 on)."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The ports of one Asterisk: HTTP is TCP, SIP is UDP and TCP, and TLS on the next one; RTP is a range of UDP ports."""

    http: int
    sip: int
    rtp_first: int
    rtp_last: int


class NoFreePort(Exception):
    """Every port that was tried is taken."""


def choose_ports(
    *,
    http: int = 0,
    sip: int = 0,
    rtp: tuple[int, int] | None = None,
    rtp_count: int = 200,
    others: Collection[Ports] = (),
) -> Ports:
    """Ports for an Asterisk; those that are given are kept, the others (0, None) are chosen.

    *others*: what was chosen for other servers, which do not use it yet, or not at this moment.

    :raises NoFreePort: none is free in the spans that we choose from.
    """
    rng = random.SystemRandom()
    ranges = [(one.rtp_first, one.rtp_last) for one in others]
    rtp_first, rtp_last = rtp or _choose_range(rng, rtp_count, ranges)
    taken = {one.http for one in others} | {port for one in others for port in (one.sip, one.sip + 1)}
    return Ports(
        http=http or _choose(rng, HTTP_SPAN, "HTTP", tcp=True, udp=False, taken=taken),
        sip=sip or _choose(rng, SIP_SPAN, "SIP", tcp=True, udp=True, taken=taken),
        rtp_first=rtp_first,
        rtp_last=rtp_last,
    )


def is_free(port: int, *, tcp: bool = False, udp: bool = False) -> bool:
    """Whether *port* can be bound on the loopback address, for all the kinds asked for."""
    kinds = [socket.SOCK_STREAM] * tcp + [socket.SOCK_DGRAM] * udp
    for kind in kinds:
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # a server's connections that linger after its end do not make its port taken
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _choose(
    rng: random.Random, span: tuple[int, int], what: str, *, tcp: bool, udp: bool, taken: Collection[int]
) -> int:
    # Pairs (SIP, and TLS on the next) begin with an even port, so that those of two servers that start at once do not overlap.
    ports = range(span[0], span[1] + 1, 2 if udp else 1)
    for port in rng.sample(ports, min(200, len(ports))):
        if port in taken:
            continue
        if is_free(port, tcp=tcp, udp=udp) and (not udp or is_free(port + 1, tcp=True)):
            return port
    raise NoFreePort(f"no free port for {what} between {span[0]} and {span[1]}")


def _choose_range(rng: random.Random, count: int, taken: Collection[tuple[int, int]]) -> tuple[int, int]:
    span = RTP_SPAN[1] - RTP_SPAN[0] + 1
    for first in (RTP_SPAN[0] + 2 * rng.randrange((span - count) // 2) for _ in range(50)):
        if any(first <= end and begin < first + count for begin, end in taken):
            continue
        if all(is_free(port, udp=True) for port in range(first, first + count)):
            return first, first + count - 1
    raise NoFreePort(f"no {count} free ports for RTP in a row between {RTP_SPAN[0]} and {RTP_SPAN[1]}")
