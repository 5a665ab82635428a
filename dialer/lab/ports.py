"""Ports for a laboratory, free at this moment on the loopback address."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

import msgspec

from dialer.lab.errors import LabError

SIGNALLING = (16000, 16999)
MEDIA = (30000, 32700)
NETWORK_MEDIA = 400
"""Ports that the network's calls share: four for each."""
_TRIES = 200


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """Where a laboratory listens. *phones*, *phones_media*: the first of a row (see LabPhones)."""

    network: int
    network_media: int
    phones: int
    phones_media: int


def choose_room(phones: int, host: str = "127.0.0.1") -> Room:
    """Free ports for a network and so many *phones*. Raises LabError when there are none.

    Between our look and the use another program may take one; then starting the laboratory fails.
    """
    rng = random.SystemRandom()
    first = _row(rng, SIGNALLING, phones + 1, host, tcp=True)
    media = _row(rng, MEDIA, NETWORK_MEDIA + 4 * phones, host, tcp=False)
    return Room(network=first, phones=first + 1, network_media=media, phones_media=media + NETWORK_MEDIA)


def _row(rng: random.Random, span: tuple[int, int], count: int, host: str, *, tcp: bool) -> int:
    for _ in range(_TRIES):
        first = rng.randrange(span[0], span[1] - count, 2)
        if all(_is_free(port, host, tcp=tcp) for port in range(first, first + count)):
            return first
    raise LabError(f"no {count} free ports in a row between {span[0]} and {span[1]}")


def _is_free(port: int, host: str, *, tcp: bool) -> bool:
    with ExitStack() as stack:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM) if tcp else (socket.SOCK_DGRAM,):
            probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
