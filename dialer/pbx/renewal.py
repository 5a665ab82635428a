"""What a running Asterisk is told when its whole configuration was rendered anew: a newer version of ours found it running, say.

1. Calls go on through all of it. A channel that is in our dialplan at that moment goes on at the next line of the new one.
2. Modules are loaded and never unloaded: what an older version wanted may be in use.
3. Some files are read at a start only, and of ``pjsip.conf`` the transports. They are named, for whoever can choose the moment of that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from dialer.pbx.files import read_file

DIALPLAN: Final = "pbx_config.so"

READERS: Final[Mapping[str, str]] = {
    "amd.conf": "app_amd.so",
    "ari.conf": "res_ari.so",
    "extensions.conf": DIALPLAN,
    "hep.conf": "res_hep.so",
    "musiconhold.conf": "res_musiconhold.so",
    "pjsip.conf": "res_pjsip.so",
    "pjsip_phones.conf": "res_pjsip.so",
    "pjsip_trunks.conf": "res_pjsip.so",
    "prometheus.conf": "res_prometheus.so",
}
"""Which module reads a file again, when ARI tells it to."""
CLASSES: Final[Mapping[str, str]] = {"indications.conf": "indications", "logger.conf": "logger"}
"""Parts of Asterisk's core that are no modules: only its command line tells them to."""
_TRANSPORT = re.compile(r"^\[transport-.*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
_WANTED = re.compile(r"^(?:load|require) = (\S+)$", re.MULTILINE)


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """*loads*: modules that are wanted now, in their order. *reloads*: modules, and *classes* of the core, that read their files again.
    *at_start*: files that only the next start of Asterisk reads."""

    loads: tuple[str, ...] = ()
    reloads: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    at_start: tuple[str, ...] = ()


def renewal(before: Mapping[str, str], after: Mapping[str, str]) -> Renewal:
    """What follows from two configurations, each by file (:func:`texts`)."""
    changed = [name for name in sorted(after) if before.get(name) != after[name]]
    had = set(_WANTED.findall(before.get("modules.conf", "")))
    wanted = _WANTED.findall(after.get("modules.conf", ""))
    reloads, classes, at_start = set(), set(), set()
    for name in changed:
        if name.startswith("dialplan/"):
            reloads.add(DIALPLAN)
        elif name in READERS:
            reloads.add(READERS[name])
        elif name in CLASSES:
            classes.add(CLASSES[name])
        elif name != "modules.conf":
            at_start.add(name)
    if _transports(before) != _transports(after):
        at_start.add("pjsip.conf")
    return Renewal(
        loads=tuple(one for one in wanted if one not in had),
        reloads=tuple(sorted(reloads.intersection(had.union(wanted)))),  # one that is not there cannot read
        classes=tuple(sorted(classes)),
        at_start=tuple(sorted(at_start)),
    )


def texts(etc: Path) -> dict[str, str]:
    """The configuration in that folder, by file. Raises OSError."""
    return {str(path.relative_to(etc)): read_file(path) or "" for path in sorted(etc.rglob("*.conf"))}


def _transports(files: Mapping[str, str]) -> list[str]:
    return [found.strip() for found in _TRANSPORT.findall(files.get("pjsip.conf", ""))]
