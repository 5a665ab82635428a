"""One OPTIONS of our own to the far end of a trunk, over UDP or TCP."""

from __future__ import annotations

import os
import re
import secrets
import socket
from typing import Any

import msgspec

WAIT_S = 2.0
_TRIES = 2


class OptionsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back on an OPTIONS request: a SIP status, such as 200 or 404, or a failure."""

    status: int = 0
    failure: str = ""


def send_options(
    host: str, port: int, transport: str = "udp", *, wait_s: float | None = None
) -> OptionsAnswer:
    """Ask by OPTIONS (RFC 3261, 11) whether anybody speaks SIP there. Any status means yes."""
    wait_s = WAIT_S if wait_s is None else wait_s
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
        with socket.socket(family, kind) as line:
            line.settimeout(wait_s)
            line.connect(address)
            # UDP loses; once more is enough to tell a lost packet from a silent host.
            for _ in range(_TRIES if transport == "udp" else 1):
                line.sendall(_options(host, port, transport, line.getsockname()))
                if status := _status(line):
                    return OptionsAnswer(status=status)
    except OSError as error:
        return OptionsAnswer(failure=error.strerror or str(error))
    return OptionsAnswer(failure=f"no SIP answer within {wait_s:g} s")


def _status(line: socket.socket) -> int:
    try:
        found = re.match(rb"SIP/2\.0 (\d{3}) ", line.recv(65536))
    except TimeoutError:
        return 0
    return int(found[1]) if found else 0


def _options(host: str, port: int, transport: str, ours: tuple[Any, ...]) -> bytes:
    here = f"[{ours[0]}]:{ours[1]}" if ":" in ours[0] else f"{ours[0]}:{ours[1]}"
    lines = (
        f"OPTIONS sip:{host}:{port} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {here};branch=z9hG4bK{secrets.token_hex(8)};rport",
        "Max-Forwards: 70",
        f"From: <sip:obzvon@{here}>;tag={secrets.token_hex(4)}",
        f"To: <sip:{host}:{port}>",
        f"Call-ID: {secrets.token_hex(8)}.{os.getpid()}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:obzvon@{here}>",
        "User-Agent: Obzvon doctor",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
