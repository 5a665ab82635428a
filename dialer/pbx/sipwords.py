"""SIP statuses and causes of Q.850 in words, for who reads why calls fail."""

from __future__ import annotations

Q850 = {
    1: "number not assigned",
    2: "no route to the network",
    3: "no route to the destination",
    16: "hung up",
    17: "busy",
    18: "no answer from the phone",
    19: "rang, not answered",
    20: "phone switched off",
    21: "call rejected",
    22: "number changed",
    26: "answered elsewhere",
    27: "destination out of order",
    28: "number incomplete",
    29: "facility rejected",
    31: "normal, unspecified",
    34: "no circuit free",
    38: "network out of order",
    41: "temporary failure",
    42: "switch congested",
    44: "circuit not available",
    47: "resource unavailable",
    50: "facility not subscribed",
    52: "outgoing calls barred",
    55: "incoming calls barred",
    57: "bearer not authorised",
    58: "bearer not available now",
    63: "service not available",
    65: "bearer not implemented",
    79: "service not implemented",
    88: "incompatible destination",
    102: "timer expired",
    111: "protocol error",
    127: "interworking",
}
"""ITU-T Q.850, table 1."""

SIP = {
    300: "several places to choose from",
    301: "moved for good",
    302: "moved for now",
    305: "use a proxy",
    380: "another service",
    400: "bad request",
    401: "wants authentication",
    402: "payment required",
    403: "forbidden",
    404: "no such number",
    405: "method not allowed",
    406: "not acceptable",
    407: "wants authentication",
    408: "no answer in time",
    410: "gone",
    412: "condition not met",
    413: "request too large",
    414: "address too long",
    415: "media type not supported",
    416: "kind of address not supported",
    420: "extension not supported",
    421: "wants an extension",
    422: "session interval too small",
    423: "interval too brief",
    433: "callers must show who they are",
    436: "bad identity",
    437: "certificate not supported",
    438: "identity does not hold",
    480: "not available now",
    481: "call unknown",
    482: "loop",
    483: "too many hops",
    484: "number incomplete",
    485: "ambiguous",
    486: "busy",
    487: "cancelled by us",
    488: "codecs or encryption not acceptable",
    489: "event not known",
    491: "another request pending",
    493: "cannot be deciphered",
    494: "wants a security agreement",
    500: "fault of the server",
    501: "not implemented",
    502: "bad gateway",
    503: "overloaded or no circuit",
    504: "gateway timed out",
    505: "version not supported",
    513: "message too large",
    580: "precondition failed",
    600: "busy everywhere",
    603: "declined",
    604: "exists nowhere",
    606: "not acceptable anywhere",
    607: "unwanted",
    608: "rejected",
}
"""All that are registered (RFC 3261, section 21, and its followers) and end a call, or may; a carrier may send any three digits."""


def status(number: int | None) -> str:
    """A SIP status with its words."""
    return f"SIP {number}, {SIP.get(number, 'of no known meaning')}" if number else "no SIP status"


def cause(number: int | None) -> str:
    """A cause with its words; Asterisk says 0 where the far end told none."""
    return f"Q.850 {number}, {Q850.get(number, 'of no known meaning')}" if number else "no Q.850 cause"
