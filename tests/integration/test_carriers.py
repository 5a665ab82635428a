"""What a dishonest carrier may ask in a call that it carries, on a real Asterisk: neither to transfer it nor to take another's place."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dialer.core.ids import AttemptId
from dialer.core.trunk import Trunk
from dialer.pbx.client import AriClient
from dialer.pbx.render import TrunkLine
from tests.contract.sip_peer import SipPeer
from tests.e2e.world import until
from tests.integration.test_hostile import STRANGER, wire

pytestmark = pytest.mark.asterisk

A, B = (AttemptId(f"a1795346976000000000{place}") for place in (1, 2))


class Carrier(SipPeer):
    """It answers, and then asks for more."""

    def ask(self, port: int, method: str, *more: str, dialog: bool = True) -> None:
        """Within the call that was last answered (or outside of any): a request of our own."""
        invite = next(text for kind, _, text in reversed(self.received) if kind == "INVITE")
        theirs, ours = _header(invite, "From"), f"{_header(invite, 'To')};tag={self._token}"
        call = _header(invite, "Call-ID") if dialog else secrets.token_hex(8)
        target = _header(invite, "Contact").strip("<>") if dialog else f"sip:+74951110004@127.0.0.1:{port}"
        lines = [
            f"{method} {target} SIP/2.0",
            self._via(),
            f"From: {ours}",
            f"To: {theirs if dialog else f'<{target}>'}",
            f"Call-ID: {call}",
            f"CSeq: 77 {method}",
            f"Contact: <sip:x@127.0.0.1:{self.port}>",
            "Max-Forwards: 70",
            *more,
        ]
        self._send("\r\n".join([*lines, "Content-Length: 0", "", ""]), ("127.0.0.1", port))

    @property
    def token(self) -> str:
        """The tag of our side of every call."""
        return self._token

    def invite_of(self) -> str:
        return next(text for kind, _, text in self.received if kind == "INVITE")


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*?)\r$", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def at(name: str, port: int) -> TrunkLine:
    trunk = Trunk(id=name, host="127.0.0.1", port=port, options_interval_s=0, is_inbound=True)  # type: ignore[arg-type]
    return TrunkLine(trunk=trunk)


async def call(ari: AriClient, attempt: AttemptId, trunk: str) -> None:
    body: dict[str, Any] = {"endpoint": f"PJSIP/+74950000000@trunk-{trunk}", "channelId": attempt}
    body |= {"context": "obzvon-trunk-test", "extension": "tone", "priority": 1, "timeout": 30}
    await ari.request("POST", "/channels", json=body)


@asynccontextmanager
async def in_a_call(live: Any, attempt: AttemptId) -> AsyncIterator[tuple[Carrier, AriClient]]:
    """A carrier that has answered a call of ours."""
    async with Carrier() as one, AriClient(live.ari_url, live.ari_user, live.ari_password) as ari:
        live.apply_lines([at("one", one.port)], [])
        await call(ari, attempt, "one")
        await until(lambda: any(kind == "ACK" for kind, _, _ in one.received), "the call")
        yield one, ari


async def test_a_carrier_transfers_nothing(asterisk_home):
    live = asterisk_home
    async with in_a_call(live, A) as (one, ari):
        one.answers.clear()
        one.ask(
            live.sip_port, "REFER", "Refer-To: <sip:+88213000111@127.0.0.1>", "Referred-By: <sip:x@127.0.0.1>"
        )
        await until(lambda: one.answers, "an answer")
        one.ask(live.sip_port, "REFER", "Refer-To: <sip:+88213000111@127.0.0.1>", dialog=False)
        await until(lambda: len(one.answers) == 2, "an answer")
        assert one.answers == ["603", "501"]
        assert [channel["id"] for channel in await ari.request("GET", "/channels")] == [A]
        await ari.request("DELETE", f"/channels/{A}")


async def test_a_stranger_takes_nobodys_place_even_who_knows_the_call(asterisk_home):
    """INVITE with Replaces is heeded by Asterisk from whoever may call at all (RFC 3891): that must not be anybody."""
    live = asterisk_home
    async with in_a_call(live, B) as (one, ari):
        known = one.invite_of()
        tags = f"to-tag={_header(known, 'From').split('tag=')[1]};from-tag={one.token}"
        with wire(STRANGER, live.sip_port) as stranger:
            for name in ("trunk-one", "101", "x"):
                more = f"Replaces: {_header(known, 'Call-ID')};{tags}\r\n"
                assert stranger.ask("100", caller=f"<sip:{name}@127.0.0.1>", more=more) == 401
        assert [channel["id"] for channel in await ari.request("GET", "/channels")] == [B]
        await ari.request("DELETE", f"/channels/{B}")
