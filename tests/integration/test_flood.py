"""A flood of calls to us, on a real Asterisk: it takes half of the room for voice and no more, so that operators and the people
whom we call have theirs; and few are asked for a PIN at once."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from contextlib import suppress
from typing import Any

import pytest

from dialer.core.trunk import Trunk
from dialer.lab.callers import HOST
from dialer.pbx.client import AriClient
from dialer.pbx.errors import NotFound
from dialer.pbx.render import TrunkLine
from tests.contract.sip_peer import SipPeer
from tests.e2e.world import until
from tests.integration.test_hostile import OURS, SDP
from tests.integration.test_inbound import laid_out

__all__ = ["laid_out"]
pytestmark = [pytest.mark.asterisk, pytest.mark.usefixtures("laid_out")]


ACCESS = "74951110009"


class Flood(asyncio.DatagramProtocol):
    """Calls to us from the carrier's address (or by who forges it), to whose answers nobody listens. *statuses*: final ones, by call."""

    def __init__(self, port: int) -> None:
        self.statuses: dict[str, int] = {}
        self._to = ("127.0.0.1", port)
        self._transport: Any = None
        self._number = itertools.count(1)

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))

    def call(self, user: str, count: int) -> None:
        host, port = self._transport.get_extra_info("sockname")
        for _ in range(count):
            call, body = f"{secrets.token_hex(6)}-{next(self._number)}", SDP.format(host=HOST)
            text = (
                f"INVITE sip:{user}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{call};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:+79160000001@{host}>;tag=t\r\nTo: <sip:{user}@127.0.0.1>\r\nCall-ID: {call}\r\n"
                f"CSeq: 1 INVITE\r\nContact: <sip:x@{host}:{port}>\r\nContent-Type: application/sdp\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            )
            self._transport.sendto(text.encode(), self._to)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode(errors="replace")
        if text.startswith("SIP/2.0") and int(text[8:11]) >= 200:
            call = next(line for line in text.split("\r\n") if line.startswith("Call-ID"))
            self.statuses[call] = int(text[8:11])

    async def answered(self, count: int) -> list[int]:
        await until(lambda: len(self.statuses) >= count, f"{count} final answers")
        return sorted(self.statuses.values())

    def close(self) -> None:
        self._transport.close()


async def sweep(ari: AriClient) -> None:
    for one in await ari.request("GET", "/channels"):
        with suppress(NotFound):  # it may have ended since it was listed
            await ari.request("DELETE", f"/channels/{one['id']}")


async def test_a_flood_of_calls_to_us_leaves_room_for_calls_that_we_place(asterisk_home):
    live = asterisk_home
    ports = live.server.ports
    room = (ports.rtp_last - ports.rtp_first + 1) // 2
    flood = Flood(live.sip_port)
    await flood.open()
    async with SipPeer() as person, AriClient(live.ari_url, live.ari_user, live.ari_password) as ari:
        carrier = Trunk(id="lab", host=HOST, port=live.trunk_port, options_interval_s=0, is_inbound=True)  # type: ignore[arg-type]
        other = Trunk(id="other", host="127.0.0.1", port=person.port, options_interval_s=0)  # type: ignore[arg-type]
        live.apply_lines([TrunkLine(trunk=carrier), TrunkLine(trunk=other)], [])
        flood.call(OURS, room + 10)
        statuses = await flood.answered(room + 10)
        call = {
            "endpoint": "PJSIP/+74950000000@trunk-other",
            "context": "obzvon-trunk-test",
            "extension": "tone",
        }
        placed = await ari.request("POST", "/channels", json=call | {"priority": 1, "timeout": 10})
        await until(
            lambda: any(method == "ACK" for method, _, _ in person.received), "an answer that is heard"
        )
        assert placed["id"]
        assert 503 in statuses
        assert set(statuses) <= {200, 488, 503}, (
            "488: for an instant even those who are to be refused have ports"
        )
        assert room // 2 <= statuses.count(200) < room // 2 + 10, (
            "those that come in one instant are not told apart"
        )
        await sweep(ari)
    flood.close()


async def test_only_so_many_are_asked_for_a_pin_at_once(asterisk_home):
    """Each of them is a process. (The number is made small here, for the machine's sake.)"""
    live = asterisk_home
    dialplan = live.folder / "etc" / "dialplan" / "25-access.conf"
    text = dialplan.read_text()
    assert ">= 30]" in text
    dialplan.write_text(text.replace(">= 30]", ">= 2]"))
    (live.folder / "shared" / "ivr" / "did" / ACCESS).write_text("access")
    live.run_cli("dialplan reload")
    flood = Flood(live.sip_port)
    await flood.open()
    async with AriClient(live.ari_url, live.ari_user, live.ari_password) as ari:
        for count in (1, 2, 3, 4):
            flood.call(ACCESS, 1)
            statuses = await flood.answered(count)
        assert statuses == [200, 200, 503, 503]
        await sweep(ari)
    flood.close()
    dialplan.write_text(text)
    live.run_cli("dialplan reload")
