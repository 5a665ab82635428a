"""Surroundings in which all is well, for tests to plant a fault in."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from dialer.core.ids import TrunkId
from dialer.core.values import Trunk
from dialer.office.doctor.asterisk import wanted_modules
from dialer.office.doctor.facts import AsteriskFacts, FarEnd, MachineFacts, ProcessFacts
from dialer.pbx.render import dialplan_version

TRUNK = Trunk(id=TrunkId("north"), host="203.0.113.7", username="u", register=True)
PHONE = "101"
ENDPOINT = {
    "transport": "transport-udp",
    "rtp_symmetric": "true",
    "direct_media": "false",
    "force_rport": "true",
    "rewrite_contact": "true",
    "media_encryption": "no",
    "media_address": "",
}
TRANSPORT = {"bind": "0.0.0.0:5060", "external_media_address": ""}
PROCESS = ProcessFacts(pid=7, uid=1000, groups=(1000,), files_max=65536)
ARI_CONF = """\
[general]
enabled = yes
websocket_write_timeout = 10000

[obzvon]
type = user
read_only = no

[obzvon-monitor]
type = user
read_only = yes
"""
ASTERISK = AsteriskFacts(
    url="http://127.0.0.1:8088/ari",
    version="22.1.0",
    major=22,
    has_app=True,
    clock_ahead_s=0.01,
    modules=wanted_modules() | {"res_srtp.so"},
    dialplan=dialplan_version(),
    endpoints=frozenset({"trunk-north", PHONE}),
    states={"trunk-north": "online", PHONE: "online"},
    objects={
        ("endpoint", "trunk-north"): ENDPOINT,
        ("endpoint", PHONE): ENDPOINT,
        ("transport", "transport-udp"): TRANSPORT,
    },
    registrations={"north": "registered"},
    monitor_writes=False,
    config={
        "ari.conf": ARI_CONF,
        "asterisk.conf": "[options]\nlive_dangerously = no ; never\n",
        "rtp.conf": "[general]\nrtpstart=20000\nrtpend=20999\n",
    },
    process=PROCESS,
)
FAR = FarEnd(host="203.0.113.7", address="203.0.113.7", leaves_from="198.51.100.9")
"""Documentation's networks (RFC 5737); they are not *global* to Python, so tests of address translation take others."""
PUBLIC = FarEnd(host="carrier", address="8.8.8.8", leaves_from="9.9.9.9")
MACHINE = MachineFacts(name="here", engine=ProcessFacts(pid=9, files_max=4096))


T = TypeVar("T", bound=msgspec.Struct)


def but(one: T, **changes: Any) -> T:
    """*one* with some of it changed."""
    return msgspec.structs.replace(one, **changes)


def with_object(kind: str, name: str, **changes: str) -> AsteriskFacts:
    """The Asterisk with other settings of one of PJSIP's objects."""
    objects = dict(ASTERISK.objects)
    objects[kind, name] = {**objects.get((kind, name), {}), **changes}
    return but(ASTERISK, objects=objects)


def with_config(name: str, text: str) -> AsteriskFacts:
    """The Asterisk with another file."""
    return but(ASTERISK, config={**ASTERISK.config, name: text})
