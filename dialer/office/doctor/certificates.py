"""When a certificate ends: ours, out of its file, and a carrier's, also when it has expired, which is the point.

The standard library reads only the certificates of connections that it trusts.
"""

from __future__ import annotations

import socket
import ssl

from cryptography import x509


def ends_at(pem: str) -> float:
    """The end of the (first) certificate in *pem*, seconds since the epoch. Raises ValueError: it is none."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp()


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
    return x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp()
