"""A real Asterisk takes every kind of trunk as it is written, and lets go of what is taken away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dialer.core.trunk import Trunk
from dialer.pbx import taken
from dialer.pbx.client import AriClient
from dialer.pbx.render import PhoneLine, trunk_file
from dialer.pbx.settings import Sip
from dialer.pbx.trunks import TrunkLine

pytestmark = pytest.mark.asterisk

WITHIN_S = 20.0
DIGEST = {"username": "alpha"}
KINDS: dict[str, dict[str, Any]] = {
    "address": {},
    "tcp": {"transport": "tcp"},
    "digest": DIGEST,
    "registers": {**DIGEST, "register": True},
    "registers-in": {**DIGEST, "register": True, "is_inbound": True, "transport": "tcp"},
    "in": {"is_inbound": True, "inbound_from": ("198.51.100.0/24", "203.0.113.7")},
    "hosts": {"hosts": ("192.0.2.2:5070", "192.0.2.3")},
    "tls": {"transport": "tls"},
    "tls-any": {"transport": "tls", "tls_verify": False},
    "sdes": {"transport": "tls", "srtp": "sdes"},
    "dtls": {"transport": "tls", "srtp": "dtls"},
    "inband": {"dtmf": "inband"},
    "info": {"dtmf": "info"},
    "auto": {"dtmf": "auto"},
    "codecs": {"codecs": ("g722", "gsm", "ulaw")},
    "probed": {"options_interval_s": 30},
}


def lines() -> list[TrunkLine]:
    made = []
    for name, settings in KINDS.items():
        trunk = Trunk(**{"id": name, "host": "192.0.2.1", "options_interval_s": 0, **settings})
        made.append(TrunkLine(trunk=trunk, secret="s;ecret" if trunk.username else ""))
    return made


async def standings(live: Any, wanted: list[TrunkLine]) -> dict[str, taken.Standing]:
    """How they stand, once Asterisk has all of them or the time is over."""
    text = trunk_file(wanted, Sip(port=live.sip_port))
    parts = taken.by_trunk(text, [line.trunk.id for line in wanted])
    async with AriClient(live.ari_url, live.ari_user, live.ari_password, "taken") as ari:
        for _ in range(int(WITHIN_S / 0.1)):
            found = await taken.standings(ari, parts)
            if all(one.is_taken for one in found.values()):
                break
            await asyncio.sleep(0.1)
        return found


@pytest.fixture
def before(asterisk_home: Any):
    """The module's Asterisk gets back what it had."""
    server = asterisk_home.server
    had = list(server._trunks), list(server._phones)
    yield asterisk_home
    asterisk_home.apply_lines(*had)


async def test_every_kind_is_taken_and_what_goes_is_gone(before):
    every = lines()
    phones = [PhoneLine(extension="101", secret="s")]
    await asyncio.to_thread(before.apply_lines, every, phones)
    found = await standings(before, every)
    assert {name: one.differences for name, one in found.items() if not one.is_taken} == {}
    assert found["registers"].registration in ("unregistered", "rejected"), "nobody is there"
    assert found["address"].registration is None

    await asyncio.to_thread(before.apply_lines, every[1:], phones)
    await standings(before, every[1:])
    async with (
        AriClient(before.ari_url, before.ari_user, before.ari_password, "taken") as ari,
        asyncio.timeout(WITHIN_S),
    ):
        while not await taken.is_gone(ari, "address"):
            await asyncio.sleep(0.1)


async def test_what_asterisk_does_not_have_is_told(before):
    """The comparison is no formality: a trunk that was never handed out, and one with other settings, are found."""
    given = TrunkLine(trunk=Trunk(id="given", host="192.0.2.1", options_interval_s=0))  # type: ignore[arg-type]
    await asyncio.to_thread(before.apply_lines, [given], [])
    await standings(before, [given])
    other = TrunkLine(trunk=Trunk(id="given", host="192.0.2.9", codecs=("gsm",), options_interval_s=0))  # type: ignore[arg-type]
    never = TrunkLine(trunk=Trunk(id="never", host="192.0.2.1", options_interval_s=0))  # type: ignore[arg-type]
    text = trunk_file([other, never], Sip(port=before.sip_port))
    async with AriClient(before.ari_url, before.ari_user, before.ari_password, "taken") as ari:
        found = await taken.standings(ari, taken.by_trunk(text, ["given", "never"]))
    assert len(found["given"].differences) == 2
    assert "contact is sip:192.0.2.1:5060 and not sip:192.0.2.9:5060" in found["given"].differences[0]
    assert found["never"].differences == (
        "[trunk-never] aor is not there",
        "[trunk-never] endpoint is not there",
    )
    assert found["never"].state == ""
