"""The wire, outwards: what the core orders, as requests to Asterisk. Pure: it reads its arguments and nothing else.

1. :func:`to_request`: a command is a few requests in a row. Everything that came from a person or a
   file is checked here, right before it becomes part of a dial string (:mod:`dialer.pbx.dialstring`) or a header;
   :class:`~dialer.pbx.errors.Unsendable` if it does not fit. Parameters travel in the body, so that no
   telephone number is in a URL.
2. "It exists already" and "it is gone already" are as good as done: whoever repeats a command meets them (:attr:`Request.fine`). What
   other errors mean, :func:`dialer.pbx.wire.to_refusal` says.
3. Who waits for an operator never waits for ever, engine or no engine: until they are joined an absolute
   timeout of the channel runs, at whose end the dialplan says the last word. It is taken away before
   the join and never after: a conversation that it could cut must not begin.
4. A person who has spoken with somebody is put together with somebody else only in a bridge that mixes (``video_sfu``: always softmix). In a
   plain bridge of two the packets of the new voice keep their own numbers, and what translates them for the recording takes numbers
   that are lower than the last voice's for late and drops them: heard by the person, but not recorded, for minutes if need be. The
   person may come back to the first voice in its plain bridge, for that one's numbers have only grown (within 10 minutes).

As measured on Asterisk 22 (the contract tests hold it): a channel in a holding bridge hears music only when
it is added with the role ``holding_participant``. Added once more to the bridge that it is in, it hears nothing
ever after, so it is taken out first. What is played to it there stops the music, which goes on afterwards, also
when no engine is there any more. While it plays, all that is asked of the channel waits: to be moved, to be given back
to the dialplan, even to have a variable set. So it is stopped first, by the id that we gave it; and so is what was
told before, for of two of one id only one would be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from dialer.core import commands as c
from dialer.core.deskphone import DeskPhone, Model
from dialer.core.ids import AttemptId, BridgeId, TrunkId, is_attempt
from dialer.core.paths import PATH_ALLOWED, bad_in_path
from dialer.core.values import Trunk
from dialer.pbx import checks
from dialer.pbx.deskphones import AUTO_ANSWER
from dialer.pbx.dialstring import dial_string
from dialer.pbx.errors import Undialable, Unsendable
from dialer.pbx.waiting import Sounds, waiting_time

APP: Final = "obzvon"
OUTBOUND_CONTEXT: Final = "obzvon-outbound"
OUTSIDE_CONTEXT: Final = "obzvon-outside"
LAST_WORD_CONTEXT: Final = "obzvon-last-word"
OVERFLOW_CONTEXT: Final = "obzvon-overflow"
TELL_CONTEXT: Final = "obzvon-tell"

GREETING_S_MIN: Final = 0.9
"""So long a person may speak without a pause, and is not taken for a machine."""
WAIT_GRACE_S: Final = 10
"""The dialplan gives a waiting person the last word so long after the engine should have."""
ORIGINATE_GRACE_S: Final = 10
"""Asterisk gives a call up by itself so long after the engine should have."""

SOUNDS: Final[Mapping[c.Message, str]] = {
    "signed_in": "sound:agent-loginok",
    "signed_out": "sound:agent-loggedoff",
    "ready": "sound:activated",
    "paused": "sound:de-activated",
    "result_saved": "sound:beep",  # short: it is keyed while people talk, and while it plays nobody is heard
    "call": "sound:ascending-2tone",
    "refused": "sound:beeperr",
    "call_over": "sound:descending-2tone",
    "done": "sound:beep",
}
"""Of Asterisk's own core sounds. ``call`` is short: while it plays the agent does not hear the person."""

_CALLER_ID = re.compile(r'(?:"?[\w .-]{1,40}"? ?<\+?\d{1,20}>|\+?\d{1,20})?\Z', re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}\Z", re.ASCII)
_KIND = re.compile(r"[a-z0-9_-]{1,32}\Z", re.ASCII)
_ZONES_MAX = 64
"""Zones of one number that are told to the dialplan; who may be in more of them is offered no time to be called at."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request for :meth:`dialer.pbx.client.AriClient.request`.

    *fine*: statuses that are as good as success, since they say that it is so already. *again*: statuses after which it is sent again
    for a moment, since something that was asked before is not done yet.
    """

    method: str
    path: str
    json: dict[str, Any] | None = None
    repeatable: bool = True
    fine: tuple[int, ...] = ()
    again: tuple[int, ...] = ()


def to_request(
    command: c.Command,
    *,
    trunks: Mapping[TrunkId, Trunk],
    recordings: Path,
    at: float,
    sounds: Sounds = lambda _: {},
    phones: Mapping[str, DeskPhone] | None = None,
    app: str = APP,
) -> tuple[Request, ...]:
    """The requests that carry *command* out, to be sent in this order until one fails.

    *trunks*: as applied. *phones*: by extension; one that is not in it is of an unknown model.
    *recordings*: the absolute folder of recordings. *at*: the instant that decides the recording's day,
    the call's ``created_at``. Raises :class:`Unsendable` for values that must not be sent, and TypeError
    for a command that is not Asterisk's business. *sounds*: for who waits; where it has none, Asterisk's own.
    """
    match command:
        case c.Originate():
            return (_originate(command, trunks, recordings, at),)
        case c.RingAgent():
            phone = (phones or {}).get(command.phone)
            if phone is not None and phone.is_outside:
                return (_ring_outside(command, phone, trunks),)
            return (_ring_agent(command, phone.model if phone else "generic", app),)
        case c.HangUp(channel=channel):
            return (Request(method="DELETE", path=_channel(channel), fine=(404,)),)
        case c.JoinAgent(attempt=attempt, bridge=bridge, is_held=is_held):
            hush = (_stop_telling(attempt),) if is_held else ()
            return (*hush, _wait_limit(attempt, 0), _add(bridge, attempt))
        case c.HoldContact():
            return _hold(command, sounds)
        case c.AnnounceWait(attempt=attempt):
            return (_stop_telling(attempt), _tell_wait(command, sounds))
        case c.OpenLine(channel=channel, bridge=bridge, is_mixed=is_mixed):
            # Without dtmf_events two unrecorded channels may be bridged natively, and digits bypass us.
            kind = "mixing,dtmf_events"
            if is_mixed:  # in place of a plain one, which may take a moment to go
                drop = Request(method="DELETE", path=_bridge(bridge), fine=(404,))
                body = {"type": kind + ",video_sfu", "name": bridge}
                make = Request(method="POST", path=_bridge(bridge), json=body, again=(409,))
                return (drop, make, _add(bridge, channel))
            body = {"type": kind, "name": bridge}
            make = Request(method="POST", path=_bridge(bridge), json=body, fine=(409,))
            return (make, _add(bridge, channel))
        case c.MoveContact(attempt=attempt, bridge=bridge):
            return (_stop_telling(attempt), _wait_limit(attempt, 0), _add(bridge, attempt))
        case c.MoveLine(channel=channel, bridge=bridge):
            return (_add(bridge, channel),)
        case c.RingTone(channel=channel):
            path = f"{_channel(channel)}/play/{_ringing(channel)}"
            return (Request(method="POST", path=path, json={"media": "tone:ring"}),)
        case c.StopTone(channel=channel):
            path = "/playbacks/" + quote(_ringing(channel), safe="")
            return (Request(method="DELETE", path=path, fine=(404,)),)
        case c.DialThird():
            return (_dial_third(command, trunks, app),)
        case c.ReportTransfer(channel=channel, state=state):
            body = {"states": f"channel_{state}"}
            path = _channel(channel) + "/transfer_progress"
            return (Request(method="POST", path=path, json=body, fine=(404,)),)
        case c.CloseLine(bridge=bridge):
            return (Request(method="DELETE", path=_bridge(bridge), fine=(404,)),)
        case c.Tell(channel=channel, message=message):
            body = {"media": SOUNDS[message]}
            return (Request(method="POST", path=_channel(channel) + "/play", json=body),)
        case c.Dismiss(channel=channel, message=message):
            return (_continue(channel, TELL_CONTEXT, message),)
        case c.SendToLastWord(attempt=attempt):
            return (_stop_telling(attempt), _continue(attempt, LAST_WORD_CONTEXT, "s"))
        case c.SendToOverflow():
            return _overflow(command, trunks)
        case _:
            raise TypeError(f"{type(command).__name__} is no command for Asterisk")


def recording_path(recordings: Path, attempt: AttemptId, at: float) -> Path:
    """Where the call's sound goes while it lasts: ``<recordings>/<UTC day of at>/<attempt>.raw``.

    Raises :class:`Unsendable` if the path could not be handed to the dialplan unharmed.
    """
    if not is_attempt(attempt):
        raise Unsendable("that is no attempt id")
    path = recordings / datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d") / f"{attempt}.raw"
    if (fault := bad_in_path(str(path))) is not None:
        raise Unsendable(f"the recording's path {fault}; allowed: {PATH_ALLOWED}")
    return path


def _originate(command: c.Originate, trunks: Mapping[TrunkId, Trunk], recordings: Path, at: float) -> Request:
    if not is_attempt(command.attempt):
        raise Unsendable("that is no attempt id")
    trunk = trunks.get(command.trunk)
    if trunk is None:
        raise Undialable(f"there is no trunk {command.trunk!r}")
    record = str(recording_path(recordings, command.attempt, at)) if command.record else ""
    where = {
        "context": OUTBOUND_CONTEXT,
        "extension": "announce" if command.message_times else "answered",
        "priority": 1,
        "variables": {
            "OBZVON_ATTEMPT": command.attempt,
            "OBZVON_RECORD": record,
            "OBZVON_WAIT": str(_patience(command.wait_s)) if command.wait_s else "",
            "OBZVON_CAMPAIGN": _campaign(command.campaign),
            "OBZVON_KIND": command.kind if _KIND.match(command.kind) else "",
            "OBZVON_ZONES": _zones(command.zones),
            "OBZVON_LISTEN": amd_arguments(command.listen_s) if command.listen_s > 0 else "",
            "OBZVON_TIMES": str(command.message_times),
        },
    }
    endpoint = dial_string(command.number, trunk)
    return _place(endpoint, command.attempt, where, command.ring_s, command.caller_id)


def _place(
    endpoint: str,
    channel: str,
    where: Mapping[str, Any],
    ring_s: float,
    caller_id: str,
    *,
    repeatable: bool = False,
) -> Request:
    """*endpoint* of PJSIP is called, for *ring_s* at most; the channel goes *where*. Only who is repeatable may be rung for it twice."""
    body: dict[str, Any] = {
        "endpoint": f"PJSIP/{endpoint}",
        "channelId": channel,
        **where,
        "timeout": math.ceil(ring_s) + ORIGINATE_GRACE_S,
    }
    if caller_id:
        body["callerId"] = _caller_id(caller_id)
    return Request(method="POST", path="/channels", json=body, repeatable=repeatable)


def amd_arguments(listen_s: float) -> str:
    """What AMD() is asked, so that it says "machine" only of what is no person's greeting, within *listen_s*.

    Whoever says nothing is in doubt (the initial silence outlasts the analysis). A greeting of more than four fifths of the time, or of
    more than three words, is a machine's; one that is followed by 0.4 s of silence a person's. A person may well speak for less than
    :data:`GREETING_S_MIN`, so that in a shorter time no machine is told by its greeting.
    """
    total = round(1000 * listen_s)
    greeting = round(1000 * max(0.8 * listen_s, GREETING_S_MIN))
    return f"{total + 1000},{greeting},400,{total},100,50,3,256,{total + 1000}"


def _campaign(campaign: str) -> str:
    if not checks.OUR_ID.match(campaign):
        raise Unsendable(f"{campaign!r} is no name of a campaign")
    return campaign


def _zones(zones: tuple[str, ...]) -> str:
    """Time zones for the dialplan, parted by blanks. One that is none, or too many: nothing is known of where the person is."""
    if len(zones) > _ZONES_MAX or not all(_ZONE.match(zone) for zone in zones):
        return "?"
    return " ".join(zones)


def _ring_agent(command: c.RingAgent, model: Model, app: str) -> Request:
    if not checks.PHONE.match(command.phone):
        raise Unsendable(f"{command.phone!r} is no name of a phone")
    headers = {f"PJSIP_HEADER(add,{header})": value for header, value in AUTO_ANSWER[model].items()}
    where = {"app": app, "appArgs": "leg", "variables": headers}
    return _place(command.phone, command.channel, where, command.ring_s, command.number, repeatable=True)


def _ring_outside(command: c.RingAgent, phone: DeskPhone, trunks: Mapping[TrunkId, Trunk]) -> Request:
    """An operator is called on an outside line. The dialplan gives the line to us when the PIN fitted, and not before."""
    trunk = trunks.get(TrunkId(phone.trunk))
    if not phone.number:
        raise Unsendable(f"phone {phone.extension} is an outside line without a number: it only rings in")
    if trunk is None or not checks.EXTENSION.match(phone.extension):
        raise Unsendable(f"phone {phone.extension}: there is no trunk {phone.trunk!r} to call it by")
    where = {"context": OUTSIDE_CONTEXT, "extension": phone.extension, "priority": 1}
    endpoint = dial_string(phone.number, trunk)
    return _place(endpoint, command.channel, where, command.ring_s, trunk.caller_id)


def _dial_third(command: c.DialThird, trunks: Mapping[TrunkId, Trunk], app: str) -> Request:
    trunk = trunks.get(command.trunk)
    if trunk is None:
        raise Undialable(f"there is no trunk {command.trunk!r}")
    where = {"app": app, "appArgs": "third"}
    endpoint = dial_string(command.number, trunk)
    return _place(endpoint, command.channel, where, command.ring_s, command.caller_id)


def _overflow(command: c.SendToOverflow, trunks: Mapping[TrunkId, Trunk]) -> tuple[Request, ...]:
    """With a trunk, the dialplan is told whither (as the file of our numbers tells it where there is no engine)."""
    attempt, place = command.attempt, command.place
    whither: tuple[Request, ...] = ()
    if command.trunk is not None:
        trunk = trunks.get(command.trunk)
        try:
            forward = dial_string(command.number, trunk) if trunk is not None else ""
        except Unsendable:
            forward = ""
        body = {"variable": "OBZVON_FORWARD", "value": forward}  # empty: the offer of a callback
        whither = (Request(method="POST", path=_channel(attempt) + "/variable", json=body),)
    extension = f"closed_{place}" if command.is_closed else place
    return (_stop_telling(attempt), *whither, _continue(attempt, OVERFLOW_CONTEXT, extension))


def _ringing(channel: str) -> str:
    """The id of the ringing tone that an operator hears while somebody is called."""
    return f"ring-{channel}"


def _caller_id(text: str) -> str:
    if not _CALLER_ID.match(text):
        raise Unsendable("a caller id is a number, or a name and <number>")
    return text


def _hold(command: c.HoldContact, sounds: Sounds) -> tuple[Request, ...]:
    attempt, bridge = command.attempt, command.bridge
    make = {"type": "holding", "name": bridge}
    return (
        _stop_telling(attempt),
        Request(method="POST", path=_bridge(bridge), json=make, fine=(409,)),
        Request(
            method="POST", path=_bridge(bridge) + "/removeChannel", json={"channel": attempt}, fine=(422,)
        ),
        _wait_limit(attempt, _patience(command.hold_s)),
        _add(bridge, attempt, role="holding_participant"),
        *((_tell_wait(command, sounds),) if command.is_told else ()),
    )


def _tell_wait(command: c.HoldContact | c.AnnounceWait, sounds: Sounds) -> Request:
    path = f"{_channel(command.attempt)}/play/{_telling(command.attempt)}"
    media = waiting_time(command.wait_s, command.place, sounds(command.campaign))
    return Request(method="POST", path=path, json={"media": list(media)})


def _stop_telling(attempt: AttemptId) -> Request:
    return Request(method="DELETE", path="/playbacks/" + quote(_telling(attempt), safe=""), fine=(404,))


def _telling(attempt: AttemptId) -> str:
    """The id of what is played to a person who is held."""
    return f"wait-{attempt}"


def _wait_limit(attempt: AttemptId, seconds: int) -> Request:
    """The channel's absolute timeout from now on; 0: none."""
    body = {"variable": "TIMEOUT(absolute)", "value": str(seconds)}
    return Request(method="POST", path=_channel(attempt) + "/variable", json=body)


def _patience(wait_s: float) -> int:
    return math.ceil(wait_s) + WAIT_GRACE_S


def _add(bridge: BridgeId, channel: str, **more: str) -> Request:
    # A connected-line update would send a re-INVITE or UPDATE through the trunk, for nothing.
    body = {"channel": channel, "inhibitConnectedLineUpdates": True, **more}
    return Request(method="POST", path=_bridge(bridge) + "/addChannel", json=body)


def _continue(channel: str, context: str, extension: str) -> Request:
    body = {"context": context, "extension": extension, "priority": 1}
    return Request(method="POST", path=_channel(channel) + "/continue", json=body)


def _channel(channel: str) -> str:
    return "/channels/" + quote(channel, safe="")


def _bridge(bridge: str) -> str:
    return "/bridges/" + quote(bridge, safe="")
