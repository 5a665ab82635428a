"""When a certificate ends: the one field of X.509 that matters here, read from its DER (RFC 5280, 4.1).

The standard library reads certificates of connections that it trusts; ours is to be read from its file, and a carrier's also
when it has expired, which is the point.
"""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime

_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18


def ends_at(pem: str) -> float:
    """The end of the (first) certificate in *pem*, seconds since the epoch. Raises ValueError: it is none."""
    end = pem.find(ssl.PEM_FOOTER)
    begin = pem.find(ssl.PEM_HEADER)
    if begin < 0 or end < 0:
        raise ValueError("there is no certificate in it")
    return ends_at_der(ssl.PEM_cert_to_DER_cert(pem[begin : end + len(ssl.PEM_FOOTER)] + "\n"))


def ends_at_der(der: bytes) -> float:
    """As :func:`ends_at`. Raises ValueError."""
    try:
        certificate, _ = _taken(der, _SEQUENCE)
        body, _ = _taken(certificate, _SEQUENCE)
        if body[0] == _VERSION:
            _, body = _taken(body)
        for _ in range(3):  # serial number, signature, issuer
            _, body = _taken(body)
        validity, _ = _taken(body, _SEQUENCE)
        _, rest = _taken(validity)
        text, _ = _taken(rest)
        written = text.decode("ascii")
        # Two digits of a year: from 1950 on (RFC 5280, 4.1.2.5.1).
        if rest[0] == _UTC_TIME:
            written = ("19" if written >= "50" else "20") + written
        elif rest[0] != _GENERALIZED_TIME:
            raise ValueError("its end is no time")
        return datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("it is no certificate") from error


def shown_by(host: str, port: int, wait_s: float) -> float:
    """The end of the certificate that *host* shows, whoever vouches for it. Raises OSError, ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is looked at, and nothing is said to it
    with (
        socket.create_connection((host, port), timeout=wait_s) as line,
        context.wrap_socket(line, server_hostname=host) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    if not der:
        raise ValueError("it shows none")
    return ends_at_der(der)


def _taken(der: bytes, tag: int | None = None) -> tuple[bytes, bytes]:
    """The content of the first value, and what follows it."""
    if tag is not None and der[0] != tag:
        raise ValueError("it is no certificate")
    length, start = der[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(der[2:start], "big")
    if len(der) < start + length:
        raise ValueError("it is cut off")
    return der[start : start + length], der[start + length :]
