"""``dialer trunk test``: one real call by a trunk, and what is to be thought of it.

1. The call is measured by :mod:`dialer.pbx.trial`; :func:`judge` says what is wrong, and each fault has its mend.
2. Nobody is called whom the trunk may not call: by its destinations, else by the countries of its campaigns, else of the centre.
   A disabled trunk may be tested: that is how one finds out whether it may be enabled.
3. What Asterisk cannot know is said to be unknown, and is no fault: a far end that sends no RTCP does not tell whether it hears us.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import msgspec

from dialer.core.destinations import allows, countries_of, longest, trunk_ids
from dialer.core.trunk import Trunk
from dialer.office.asterisks import Link, links
from dialer.pbx.dialstring import dial_number
from dialer.pbx.errors import PbxError
from dialer.pbx.sipwords import cause, status
from dialer.pbx.trial import Audio, Measured, Step, place
from dialer.pbx.trunks import endpoint_of
from dialer.store import files, settings
from dialer.store import trunks as stored
from dialer.store.connect import open_reader

PACKETS_S = 50
"""Packets of voice in a second, at the 20 ms of each that carriers use."""
LEAST_SHARE = 0.5
"""With fewer than this share of the packets that there should be, the voice is broken."""
LOSS_SHARE_MAX = 0.01
JITTER_MS_MAX = 30.0
"""Voice suffers audibly from more than 1 % loss or 30 ms of jitter (ITU-T G.113, Y.1541 class 0)."""
RTT_MS_MAX = 300.0
"""ITU-T G.114: 150 ms each way at most."""
HEARD_S_MIN = 0.2

_E164 = re.compile(r"\+[1-9]\d{6,14}\Z", re.ASCII)
_ANCHOR = "docs/trunks.md#one-way-audio"


class CannotTest(Exception):
    """No call was placed."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with the call, and the mend."""

    id: Literal[
        "not_placed", "not_answered", "deaf", "dumb", "silence", "broken", "loss", "jitter", "delay", "short"
    ]
    what: str
    mend: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The call, and what to think of it."""

    trunk: str
    server: str
    number: str
    dialed: str
    seconds: int
    measured: Measured
    faults: tuple[Fault, ...]

    @property
    def exit_status(self) -> int:
        """0 good, 1 answered with a fault, 2 not answered."""
        if not self.measured.is_answered:
            return 2
        return 1 if self.faults else 0

    def as_json(self) -> str:
        """All of it, for programs."""
        return msgspec.json.format(msgspec.json.encode(self)).decode()

    def describe(self, *, with_steps: bool = True) -> str:
        """All of it, for people; *with_steps* false: who reads was told each step when it happened."""
        return "\n".join(_told(self, with_steps=with_steps))


def call(
    home: Path,
    name: str,
    number: str,
    *,
    audio: str = "speech",
    seconds: int = 12,
    ring_s: int = 40,
    server: str = "",
    anyway: bool = False,
    tell: Callable[[Step], None] | None = None,
) -> Report:
    """Place the call and judge it. *tell*: each step as it happens.

    Raises CannotTest: it must not or cannot be placed; BadFile, StoreError.
    """
    system, secret_values = files.load_system(home), files.load_secrets(home)
    if not _E164.match(number):
        raise CannotTest(
            f"{number!r} is no number in E.164; allowed: a plus sign and 7 to 15 digits, such as +74951234567"
        )
    with closing(open_reader(system.journal)) as connection:
        trunk = stored.find_stored(connection, name).trunk
        campaigns = [
            one.campaign for one in settings.load_campaigns(connection) if name in trunk_ids(one.campaign)
        ]
    countries = (
        sorted({one for campaign in campaigns for one in countries_of(campaign, system.centre)})
        or system.centre.countries
    )
    if not anyway and not allows(trunk, countries, number):
        raise CannotTest(
            f"the trunk {name} may not call {number}: its destinations are"
            f" {', '.join(trunk.destinations or tuple(countries)) or 'none'}"
            f"{', but never ' + ', '.join(trunk.forbidden) if trunk.forbidden else ''}. --anyway calls all the same."
        )
    link = _choose(links(system, secret_values), trunk, server)
    free = msgspec.structs.replace(trunk, destinations=(), forbidden=())
    dialed = dial_number(number, free)
    measured = asyncio.run(
        _place(link, trunk, dialed, number, audio=audio, seconds=seconds, ring_s=ring_s, tell=tell)
    )
    return Report(
        trunk=name,
        server=link.server,
        number=number,
        dialed=dialed,
        seconds=seconds,
        measured=measured,
        faults=tuple(judge(measured, seconds=seconds, trunk=trunk)),
    )


def _choose(everyone: Sequence[Link], trunk: Trunk, server: str) -> Link:
    may = [one for one in everyone if one.serves(trunk) and (not server or one.server == server)]
    if not may:
        known = ", ".join(one.server for one in everyone if one.server) or "only one, without a name"
        raise CannotTest(f"no server {server!r} has the trunk {trunk.id} (servers: {known})")
    running = next((one for one in may if one.url), None)
    if running is None:
        raise CannotTest("no Asterisk runs: `dialer up` or `dialer serve` starts it, then test again")
    return running


async def _place(
    link: Link,
    trunk: Trunk,
    dialed: str,
    number: str,
    *,
    audio: str,
    seconds: int,
    ring_s: int,
    tell: Callable[[Step], None] | None,
) -> Measured:
    try:
        async with link.open(f"obzvon-trunk-test-{secrets.token_hex(4)}") as ari:
            return await place(
                ari,
                endpoint=endpoint_of(trunk.id),
                number=dialed,
                caller_id=caller_id(trunk, number),
                audio=_AUDIO[audio],
                seconds=seconds,
                ring_s=ring_s,
                tell=tell,
            )
    except PbxError as error:
        raise CannotTest(f"{link.name} could not be asked: {error}") from None


_AUDIO: dict[str, Audio] = {"tone": "tone", "speech": "speech"}


def caller_id(trunk: Trunk, number: str) -> str:
    """The trunk's own number to show, the first of those in turn; empty: none."""
    ids = trunk.caller_ids
    region = longest(ids.regions, number)
    shown = ids.regions[region] if region is not None else ids.numbers
    return shown[0] if shown else trunk.caller_id


# -- the verdict --------------------------------------------------------------------------


def judge(measured: Measured, *, seconds: int, trunk: Trunk) -> list[Fault]:
    """What is wrong with the call, the worst first. Pure."""
    if not measured.is_answered:
        return [_not_answered(measured, trunk)]
    talked_s = measured.talked_s or float(seconds)
    expected = talked_s * PACKETS_S
    faults = []
    if not measured.received:
        faults.append(Fault(id="deaf", what="one way: not one packet of their voice came", mend=_MEND_DEAF))
    if not measured.sent:
        faults.append(Fault(id="dumb", what="one way: we sent no voice", mend=_MEND_DUMB))
    elif measured.lost_there >= measured.sent * (1 - LEAST_SHARE):
        what = f"one way: the far end says that it lost {measured.lost_there} of our {measured.sent} packets"
        faults.append(Fault(id="dumb", what=what, mend=_MEND_FAR))
    if measured.received and measured.heard_s < HEARD_S_MIN:
        what = f"silence: {measured.received} packets came, and nobody is heard in them"
        faults.append(Fault(id="silence", what=what, mend=_MEND_SILENCE))
    elif measured.received and measured.received < expected * LEAST_SHARE:
        what = f"{measured.received} packets came in {talked_s:.1f} s, some {expected:.0f} should have"
        faults.append(Fault(id="broken", what=what, mend=_MEND_LOSS))
    faults += _quality(measured)
    if talked_s < seconds / 2 and not measured.is_ended_by_us:
        what = f"the far end hung up after {talked_s:.1f} s"
        faults.append(Fault(id="short", what=what, mend="call a number that stays on the line"))
    return faults


def _quality(measured: Measured) -> list[Fault]:
    faults = []
    for lost, all_of, whose in (
        (measured.lost_here, measured.lost_here + measured.received, "their"),
        (measured.lost_there, measured.sent, "our"),
    ):
        share = lost / all_of if all_of else 0.0
        if LOSS_SHARE_MAX < share < 1 - LEAST_SHARE:
            faults.append(Fault(id="loss", what=f"{share:.1%} of {whose} packets were lost", mend=_MEND_LOSS))
    jitter_ms = max(measured.jitter_here_ms, measured.jitter_there_ms)
    if jitter_ms > JITTER_MS_MAX:
        faults.append(Fault(id="jitter", what=f"{jitter_ms:.0f} ms of jitter", mend=_MEND_LOSS))
    if measured.rtt_ms is not None and measured.rtt_ms > RTT_MS_MAX:
        what = f"{measured.rtt_ms:.0f} ms there and back: people talk over each other"
        faults.append(
            Fault(id="delay", what=what, mend="a gateway nearer to you, or less buffering on the way")
        )
    return faults


def _not_answered(measured: Measured, trunk: Trunk) -> Fault:
    if measured.refusal:
        return Fault(
            id="not_placed",
            what=f"Asterisk placed no call: {measured.refusal}",
            mend=f"`dialer trunk show {trunk.id}`: is it there, and does the carrier answer OPTIONS?",
        )
    what = f"not answered: {status(measured.status)}; {cause(measured.cause)}"
    return Fault(id="not_answered", what=what, mend=_BY_STATUS.get(measured.status or 0, _MEND_OTHER))


_MEND_DEAF = (
    "let UDP in on the RTP ports (rtp.conf, `ports.rtp` and `rtp_count`); behind NAT, or with sip_address = 127.0.0.1, the carrier"
    f" is told an address that it cannot reach: see {_ANCHOR}"
)
_MEND_DUMB = (
    f"see Asterisk's log: the codecs or the encryption do not fit, or the sounds are missing ({_ANCHOR})"
)
_MEND_FAR = (
    f"let UDP out to the carrier's media addresses, which often differ from its gateway's: see {_ANCHOR}"
)
_MEND_SILENCE = (
    "was there anybody who spoke? Call a number that speaks (a talking clock, an echo test); if that is silent too, the carrier"
    f" sends silence: tell it the Call-ID and time; see {_ANCHOR}"
)
_MEND_LOSS = "look for a full link, Wi-Fi, or a busy machine on the way; give voice its own queue (DSCP EF)"
_MEND_OTHER = "the carrier's support can find the call by its time and number"
_MEND_NUMBER = (
    "is the number written as the carrier wants it? See number_format, number_rules and tech_prefix"
)
_MEND_AUTH = "user name and password (secrets.toml, [trunks]), and whether the carrier knows our address"
_BY_STATUS = {
    401: _MEND_AUTH,
    403: f"{_MEND_AUTH}; or the carrier does not let us call that number, or show that caller id",
    407: _MEND_AUTH,
    404: _MEND_NUMBER,
    484: _MEND_NUMBER,
    408: "nobody answered our INVITE: host, port, transport, firewall",
    486: "the person is busy: call somebody else",
    480: "nobody picked up in time (--ring), or the number cannot be reached now",
    487: "nobody picked up in time (--ring)",
    488: "codecs, srtp: the carrier takes none that we offer",
    503: "the carrier is full or out of order; or our cap there is used up",
}


# -- words --------------------------------------------------------------------------------


def told_step(step: Step) -> str:
    """A step as a line of the report."""
    return f"  {step.ms:9.0f} ms  {step.what}"


def _told(report: Report, *, with_steps: bool) -> list[str]:
    measured = report.measured
    by = f" by server {report.server}" if report.server else ""
    dialed = f" (dialed {report.dialed})" if report.dialed != report.number else ""
    head = f"Trunk {report.trunk}{by}: a call to {report.number}{dialed}"
    lines = [head, *map(told_step, measured.steps)] if with_steps else ["", head]
    if measured.is_answered:
        lines += ["", *(f"  {name:<14}{value}" for name, value in _figures(measured))]
    lines.append("")
    for fault in report.faults:
        lines += [f"WRONG: {fault.what}", f"  mend: {fault.mend}"]
    if not report.faults:
        lines.append("GOOD: both ways carry voice" if measured.rtt_ms is not None else _GOOD_HERE)
    return lines


_GOOD_HERE = "GOOD: they are heard. Whether they hear us the far end did not tell (no RTCP): ask them"


def _figures(measured: Measured) -> list[tuple[str, Any]]:
    secure = {True: "encrypted", False: "in the clear", None: "not told"}
    figures = [
        ("codec", measured.codec or "not told"),
        (
            "encryption",
            f"SIP {secure[measured.is_sip_encrypted]}, voice {secure[measured.is_voice_encrypted]}",
        ),
        ("SIP", _there_and_back(measured.sip_rtt_ms, "OPTIONS")),
        ("voice", _there_and_back(measured.rtt_ms, "RTCP")),
        (
            "theirs",
            (
                f"{measured.received} packets, {measured.lost_here} lost, jitter {measured.jitter_here_ms:.1f} ms"
                f", heard for {measured.heard_s:.1f} s"
            ),
        ),
        (
            "ours",
            f"{measured.sent} packets"
            + (
                f", {measured.lost_there} lost, jitter {measured.jitter_there_ms:.1f} ms"
                if measured.rtt_ms is not None
                else ", of which the far end told nothing"
            ),
        ),
    ]
    if measured.goes_to or measured.comes_to:
        figures.append(("addresses", f"ours {measured.comes_to or '?'}, theirs {measured.goes_to or '?'}"))
    return figures


def _there_and_back(value_ms: float | None, by: str) -> str:
    return f"not told ({by})" if value_ms is None else f"{value_ms:.1f} ms there and back ({by})"
