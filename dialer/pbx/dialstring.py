"""How a number is dialed by a trunk: the one place where it is checked and written as the carrier wants it."""

from __future__ import annotations

import re

from dialer.core.destinations import allows
from dialer.core.values import Trunk
from dialer.pbx import checks
from dialer.pbx.errors import Undialable, Unsendable
from dialer.pbx.trunks import endpoint_of

_E164 = re.compile(r"\+[1-9]\d{6,14}\Z", re.ASCII)
_DIALED = re.compile(r"[0-9*#]{0,20}\+?[0-9*#]{2,40}\Z", re.ASCII)


def dial_number(number: str, trunk: Trunk) -> str:
    """*number* (E.164 with its plus sign) as *trunk* wants it, for the user part of a SIP address (Asterisk itself writes ``#`` as
    ``%23`` there). Raises :class:`Unsendable`: it is no number, the trunk may not call it, or its rules make none of it.
    """
    if not _E164.match(number):
        raise Unsendable("the number is not E.164: a plus sign and 7 to 15 digits")
    if not allows(trunk, (), number):
        raise Undialable(f"the trunk {trunk.id} may not call numbers that begin so")
    rule = max(
        (one for one in trunk.number_rules if number.startswith(one.prefix)),
        key=lambda one: len(one.prefix),
        default=None,
    )
    if rule is not None:
        written = rule.add + number[rule.strip :]
    else:
        written = number if trunk.number_format == "e164_plus" else number.removeprefix("+")
    written = trunk.tech_prefix + written
    if not _DIALED.match(written) or (rule is not None and rule.strip >= len(number)):
        raise Undialable(f"by the rules of the trunk {trunk.id} that is no number to dial")
    return written


def dial_string(number: str, trunk: Trunk) -> str:
    """What ``Dial(PJSIP/...)`` takes, and after ``PJSIP/`` an originate, to call *number* by *trunk*.

    Raises :class:`Unsendable`, as :func:`dial_number`.
    """
    if not checks.OUR_ID.match(trunk.id):
        raise Undialable(f"{trunk.id!r} is no name of a trunk")
    return f"{dial_number(number, trunk)}@{endpoint_of(trunk.id)}"
