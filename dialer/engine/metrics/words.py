"""Closed sets of words that labels are made of, however strange the world's answers are."""

from __future__ import annotations

from typing import get_args

from dialer.core.incoming import Overflow
from dialer.core.values import Call
from dialer.pbx.errors import PbxError, PbxGarbled, PbxRefused, PbxTimeout, PbxUnreachable
from dialer.pbx.sipwords import SIP

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


def missed_words(call: Call) -> tuple[str, str]:
    """Why a call to us met no operator, and what the caller got."""
    if call.ending.startswith("closed_"):
        why = "closed"
    elif call.ending in get_args(Overflow):
        why = "overflow"
    else:
        why = "no_engine" if call.ending == "no_engine" else "hung_up"
    outcomes = {"later": "callback", "voicemail": "voicemail", "forwarded": "forwarded"}
    return why, outcomes.get(call.choice or "", "nothing")


def cause_word(cause: int | None, tech_cause: int | None) -> str:
    """Why a trunk did not carry a call to an answer: the SIP status, else the cause of Q.850."""
    if tech_cause is not None and 300 <= tech_cause < 700:
        return f"sip_{tech_cause}" if tech_cause in SIP else f"sip_{tech_cause // 100}xx"
    if cause is not None and 0 < cause < 128:
        return f"q850_{cause}"
    return "unknown"
