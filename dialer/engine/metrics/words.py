"""Closed sets of words that labels are made of, however strange the world's answers are."""

from __future__ import annotations

from dialer.pbx.errors import PbxError, PbxGarbled, PbxRefused, PbxTimeout, PbxUnreachable

SIP_STATUSES = frozenset(
    {300, 301, 302, 305, 380}
    | {
        400,
        401,
        402,
        403,
        404,
        405,
        406,
        407,
        408,
        410,
        412,
        413,
        414,
        415,
        416,
        420,
        421,
        422,
        423,
        433,
        436,
        437,
        438,
    }
    | {480, 481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493, 494}
    | {500, 501, 502, 503, 504, 505, 513, 580, 600, 603, 604, 606, 607, 608}
)
"""Those that are registered (RFC 3261 and its followers); a carrier may send any three digits."""
_WORDS = frozenset(
    {"channels", "bridges", "playbacks", "applications", "endpoints", "asterisk", "recordings"}
)
_DEEDS = frozenset(
    {
        "addChannel",
        "answer",
        "continue",
        "eventFilter",
        "hold",
        "info",
        "modules",
        "moh",
        "mute",
        "ping",
        "play",
        "redirect",
        "removeChannel",
        "ring",
        "snoop",
        "subscription",
        "variable",
        "PJSIP",
    }
)


def request_word(method: str, path: str) -> str:
    """What a request to ARI is, without the ids in it: ``POST /channels/*/play``."""
    parts = [part for part in path.partition("?")[0].split("/") if part]
    known = [part if part in _WORDS or part in _DEEDS else "*" for part in parts[:3]]
    return f"{method} /{'/'.join(known)}"


def failure_word(error: PbxError) -> str:
    """Why a request to ARI failed."""
    match error:
        case PbxTimeout():
            return "timeout"
        case PbxUnreachable():
            return "unreachable"
        case PbxGarbled():
            return "garbled"
        case PbxRefused(status=status):
            return f"refused_{status}" if 400 <= status < 600 else "refused"
        case _:
            return "other"


def cause_word(cause: int | None, tech_cause: int | None) -> str:
    """Why a trunk did not carry a call to an answer: the SIP status, else the cause of Q.850."""
    if tech_cause is not None and 300 <= tech_cause < 700:
        return f"sip_{tech_cause}" if tech_cause in SIP_STATUSES else f"sip_{tech_cause // 100}xx"
    if cause is not None and 0 < cause < 128:
        return f"q850_{cause}"
    return "unknown"
