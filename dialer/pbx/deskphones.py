"""Desk phones towards Asterisk: their part of the configuration, and what makes each model answer by itself.

1. Every phone is one endpoint, known by its name and digest alone (``asterisk-conf/fragments/phone.conf``).
2. An outside line has no endpoint: nobody can register as one.
3. A call for an operator whose phone is rung carries the headers that the phone's maker says it answers by
   (:data:`AUTO_ANSWER`; where each was read is in ``docs/phones.md``). They ask; the phone's own setting decides.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Final

import msgspec

from dialer.core.deskphone import DeskPhone, Model
from dialer.pbx import checks
from dialer.pbx.checks import BadSetting

_ALERT_INFO: Final = {"Alert-Info": "<http://localhost>;info=alert-autoanswer;delay=0"}
_CALL_INFO: Final = {"Call-Info": "<sip:localhost>;answer-after=0"}

AUTO_ANSWER: Final[Mapping[Model, Mapping[str, str]]] = {
    "generic": _ALERT_INFO | _CALL_INFO,
    "yealink": _ALERT_INFO,
    "grandstream": _CALL_INFO,
    "snom": _ALERT_INFO,
    "cisco": _CALL_INFO,
    "fanvil": _ALERT_INFO | _CALL_INFO,
    "outside": {},
}
"""Headers of the INVITE, by model."""

FILE: Final = "pjsip_phones.conf"
PHONE_CODECS: Final = ("alaw", "ulaw")
"""Of phones that name none of their own."""
PHONE_OPTIONS_INTERVAL_S: Final = 20
"""Registered phones are asked so often whether they are there. Who does not answer in 3 s (``qualify_timeout`` in
``phone.conf``, which leaves time for two repetitions) is lost: an unplugged phone is noticed within 23 s."""

TRANSPORTS: Final = ("udp", "tcp")
"""On which phones may register; ``tls`` too, where there is a certificate."""

_TRANSFERS_TOLD: Final = "allow_transfer = yes\nset_var = PJSIP_TRANSFER_HANDLING()=ari-only"


class PhoneLine(msgspec.Struct, frozen=True, kw_only=True):
    """A desk phone: its *extension* (digits) is its SIP name; *secret* is for digest authentication.

    *transport*, *codecs*: as of :class:`~dialer.core.deskphone.DeskPhone`. *allowed_from*: networks from which it may register and
    call; empty: any.
    """

    extension: str
    secret: str
    transport: str = ""
    codecs: tuple[str, ...] = ()
    allowed_from: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"PhoneLine({self.extension})"


def phone_lines(
    phones: Iterable[DeskPhone], secret_of: Mapping[str, str], allowed_from: tuple[str, ...] = ()
) -> tuple[list[PhoneLine], list[str]]:
    """The lines of all *phones* that have a secret, and the extensions of those that lack one.

    *secret_of*: by extension, empty or missing where there is none. *allowed_from*: of all of them. Outside lines are in neither.
    """
    lines, lacking = [], []
    for phone in phones:
        if phone.is_outside:
            continue
        if secret := secret_of.get(phone.extension, ""):
            lines.append(
                PhoneLine(
                    extension=phone.extension,
                    secret=secret,
                    transport=phone.transport,
                    codecs=phone.codecs,
                    allowed_from=allowed_from,
                )
            )
        else:
            lacking.append(phone.extension)
    return lines, lacking


def render_phones(
    lines: Iterable[PhoneLine],
    *,
    fragments: Path,
    media: str,
    has_tls: bool,
    may_refer: bool,
) -> str:
    """What ``pjsip_phones.conf`` holds. *fragments*: the folder of the templates; *media*: lines for each endpoint; *has_tls*: there is a
    certificate; *may_refer*: see :func:`phone_values`.

    :raises BadSetting: a value cannot be written; two phones have one extension.
    """
    transports = (*TRANSPORTS, "tls") if has_tls else TRANSPORTS
    fragment = (fragments / "phone.conf").read_text(encoding="utf-8")
    texts = ["; Rendered by Obzvon from the desk phones.\n"]
    seen: set[str] = set()
    for line in lines:
        if line.extension in seen:
            raise BadSetting(f"phone {line.extension}: given twice")
        seen.add(line.extension)
        texts.append(_phone(fragment, line, media, transports, may_refer))
    return "".join(texts)


@lru_cache(maxsize=8192)
def _phone(fragment: str, phone: PhoneLine, media: str, transports: tuple[str, ...], may_refer: bool) -> str:
    """A phone's part; of thousands of them few change between two reloads."""
    values = phone_values(phone, media=media, transports=transports, may_refer=may_refer)
    return Template(fragment).substitute(values)


def may_refer(modules: Path | None) -> bool:
    """Whether that Asterisk tells us when a phone asks for a transfer by REFER, instead of doing it by itself: from 20.13, 21.8 and
    22.3 on (``PJSIP_TRANSFER_HANDLING``). Of one whose modules are not here it is not known, and taken for no."""
    if modules is None:
        return False
    try:
        is_told = b"PJSIP_TRANSFER_HANDLING" in (modules / "chan_pjsip.so").read_bytes()
    except OSError:
        return False
    return is_told and (modules / "res_pjsip_refer.so").exists()


def phone_values(
    line: PhoneLine,
    *,
    media: str,
    transports: Iterable[str],
    may_refer: bool = False,
) -> dict[str, str]:
    """What fills ``fragments/phone.conf``. *transports*: that Asterisk has (``udp`` ...); *may_refer*: whether it tells us of a REFER
    (else it is refused).

    :raises BadSetting: a value cannot be written, or there is no such transport.
    """
    name = f"phone {line.extension}"
    if line.transport and line.transport not in transports:
        raise BadSetting(
            f"{name}: transport: there is no {line.transport!r} here; allowed: {', '.join(transports)}"
        )
    return {
        "extension": checks.matching(name, line.extension, checks.EXTENSION),
        "secret": checks.conf_value(f"{name}: secret", checks.present(f"{name}: secret", line.secret)),
        "codecs": checks.codecs(f"{name}: codecs", line.codecs or PHONE_CODECS),
        "options_interval_s": str(PHONE_OPTIONS_INTERVAL_S),
        "transfer": _TRANSFERS_TOLD if may_refer else "allow_transfer = no",
        "media": media + _transport(line.transport) + _access(name, line.allowed_from),
    }


def _transport(transport: str) -> str:
    if not transport:
        return ""
    text = f"transport = transport-{transport}\n"
    # voice is as secret as the signalling that carries its keys, where the phone can do it
    return (
        text + "media_encryption = sdes\nmedia_encryption_optimistic = yes\n" if transport == "tls" else text
    )


def _access(name: str, networks: tuple[str, ...]) -> str:
    if not networks:
        return ""
    permitted = ""
    for one in networks:
        try:
            permitted += f"permit = {ipaddress.ip_network(one)}\n"
        except ValueError as error:
            raise BadSetting(f"{name}: allowed_from: {one!r} is no network ({error})") from None
    return f"deny = 0.0.0.0/0.0.0.0\ndeny = ::/0\n{permitted}"
