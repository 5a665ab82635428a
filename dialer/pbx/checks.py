"""What may stand in Asterisk's configuration: every value is checked before it is written.

Whoever chooses a trunk's password cannot add a line, a section or an ``#include``. *name* is always what the
value is called where the fault is told; the fault is a :class:`BadSetting`.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from dialer.core.paths import PATH_ALLOWED, bad_in_path

CODECS = ("alaw", "ulaw", "g722", "gsm")
"""Codecs that Asterisk can both carry and record with the modules that we load."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
EXTENSION = re.compile(r"[0-9]{2,15}\Z")
HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.?\Z"
)
OUR_ID = re.compile(r"[a-z0-9_-]{1,32}\Z")
"""What people call a campaign or a trunk."""
PHONE = re.compile(r"[A-Za-z0-9_.-]{1,40}\Z")
"""A phone as Asterisk may name it to us, or we to it."""
SIP_USER = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,?/-]+\Z")


class BadSetting(ValueError):
    """A value cannot be written into Asterisk's configuration; the message says which and why."""


def conf_value(name: str, text: str) -> str:
    """*text* as it must stand after ``key =`` in a file of Asterisk, to be read back unchanged.

    :raises BadSetting: if it holds a control character, or begins or ends with a blank.
    """
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise BadSetting(f"{name}: control characters (a line break, a tab) are not allowed")
    if text != text.strip():
        raise BadSetting(f"{name}: must not begin or end with a blank")
    return text.replace(";", "\\;")


def matching(name: str, text: str, pattern: re.Pattern[str]) -> str:
    """*text*, all of which must match *pattern*."""
    if not pattern.match(text):
        raise BadSetting(f"{name}: {text[:80]!r} is not allowed here (must match {pattern.pattern})")
    return text


def present(name: str, text: str) -> str:
    """*text*, which must not be empty."""
    if not text:
        raise BadSetting(f"{name}: is empty")
    return text


def path(name: str, path: Path) -> str:
    """*path* as text: absolute or not, but nothing in it that a file of Asterisk could read otherwise."""
    text = str(path)
    fault = bad_in_path(text) or ("ends with a blank" if text != text.strip() else None)
    if fault is not None:
        raise BadSetting(f"{name}: {text!r} {fault}; allowed: {PATH_ALLOWED}")
    return text


def port(name: str, port: int) -> int:
    """A port, 1 to 65535."""
    if not 1 <= port <= 65535:
        raise BadSetting(f"{name}: {port} is not a port (1-65535)")
    return port


def interval(name: str, seconds: int) -> str:
    """*seconds*, at most a day; 0: never."""
    if not 0 <= seconds <= 86400:
        raise BadSetting(f"{name}: {seconds} is not between 0 and 86400 seconds")
    return str(seconds)


def codecs(name: str, codecs: tuple[str, ...]) -> str:
    """Codecs as ``allow`` takes them, each once."""
    unknown = [codec for codec in codecs if codec not in CODECS]
    if unknown or not codecs:
        raise BadSetting(f"{name}: {', '.join(unknown) or 'none given'}; allowed: {', '.join(CODECS)}")
    return ",".join(dict.fromkeys(codecs))


def address(name: str, text: str) -> str:
    """An IP address as a SIP URI takes it: version 6 in brackets."""
    try:
        found = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        raise BadSetting(f"{name}: {text!r} is not an IP address") from None
    return f"[{found}]" if found.version == 6 else str(found)


def host(name: str, text: str) -> str:
    """A host name or an IP address."""
    try:
        return address(name, text)
    except BadSetting:
        return matching(name, text, HOST)


def network(name: str, text: str) -> str:
    """A host name, an IP address, or a network such as ``203.0.113.0/24``."""
    if "/" not in text:
        return host(name, text)
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise BadSetting(f"{name}: {text!r} is no network ({error})") from None
