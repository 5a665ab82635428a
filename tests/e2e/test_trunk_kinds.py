"""Every kind of trunk as an engineer meets it, by the command line and against a carrier that insists: registration, digest, addresses;
UDP, TCP, TLS; encrypted voice. Asterisk is asked by the commands themselves whether it took what they gave it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dialer.engine.house import House
from dialer.lab.carrier import Account, LabCarrier, Manner
from dialer.office.asterisks import links
from dialer.office.setup import make_home
from dialer.pbx.trial import TEST_CHANNEL
from dialer.store import documents, files
from tests.e2e.world import HTTP_PORTS, MEDIA_PORTS, PATIENCE_S, RTP_PORTS, SIP_PORTS, free_ports

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).resolve().parents[2]
TALKS, ECHOES, SILENT, MUTE, BUSY, NOBODY, RINGS = (f"+7944000000{digit}" for digit in range(7))
PEOPLE = {
    TALKS: Manner.TALKS,
    ECHOES: Manner.ECHOES,
    SILENT: Manner.SILENT,
    MUTE: Manner.MUTE,
    BUSY: Manner.BUSY,
    NOBODY: Manner.UNKNOWN,
    RINGS: Manner.RINGS,
}
ADDRESS = {"caller_id": "+74950000001", "inbound": {"enabled": True}}
ACCOUNTS = (
    Account(name="plain", password="plain-password"),
    Account(name="secure", password="secure-password", srtp="sdes"),
    Account(name="shaken", password="shaken-password", srtp="dtls"),
)


class Office:
    """A home folder with an engine, a carrier, and an engineer at a terminal."""

    def __init__(self, home: Path, carrier: LabCarrier) -> None:
        self.home = home
        self.carrier = carrier
        self.house: House

    def write(self, name: str, **settings: object) -> Path:
        """A trunk's file, to the carrier unless *settings* say otherwise."""
        document = {
            "id": name,
            "host": self.carrier.host,
            "port": self.carrier.tls_port if settings.get("transport") == "tls" else self.carrier.port,
            "options_interval_s": 1,
            "destinations": {"allowed": ["+7944"]},
            **settings,
        }
        path = self.home / "trunks" / f"{name}.toml"
        path.write_text(documents.dump(document), encoding="utf-8")
        return path

    async def cli(self, *words: str | Path, expect: int = 0) -> str:
        """What ``dialer`` prints; its exit status must be *expect*."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "import cli; cli.main()", "--home", str(self.home), *map(str, words)),
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S * 2)
        text = output.decode()
        assert process.returncode == expect, text
        return text

    async def call_is_up(self) -> None:
        """Wait for a test call to be answered."""
        [link] = links(files.load_system(self.home), files.load_secrets(self.home))
        async with link.open() as ari, asyncio.timeout(PATIENCE_S):
            while True:
                channels = await ari.request("GET", "/channels")
                if any(one["id"].startswith(TEST_CHANNEL) and one["state"] == "Up" for one in channels):
                    return
                await asyncio.sleep(0.05)

    async def measure(self, trunk: str, number: str, *words: str, expect: int = 0) -> dict[str, Any]:
        """The report of ``trunk test``."""
        said = await self.cli("trunk", "test", trunk, number, "--json", *words, expect=expect)
        report: dict[str, Any] = json.loads(said)
        return report


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory, asterisk_install) -> AsyncIterator[Office]:
    folder = tmp_path_factory.mktemp("k")
    home = folder / "h"
    rtp, media = (
        free_ports(200, RTP_PORTS, tcp=False, even=True),
        free_ports(100, MEDIA_PORTS, tcp=False, even=True),
    )
    make_home(home)
    (home / "trunks" / "carrier.toml").unlink()
    ports = {
        "sip": free_ports(40, SIP_PORTS),
        "http": free_ports(1, HTTP_PORTS),
        "rtp": rtp,
        "rtp_count": 200,
    }
    (home / "obzvon.toml").write_text(documents.dump({"ports": ports}), encoding="utf-8")
    for one in ACCOUNTS:
        files.add_secret(home, "trunks", one.name, one.password)
    carrier = LabCarrier(
        folder / "carrier",
        argv=asterisk_install.argv,
        modules=asterisk_install.modules,
        data=asterisk_install.data,
        port=free_ports(2, SIP_PORTS),
        media=(media, media + 99),
        accounts=ACCOUNTS,
        addresses=["127.0.0.1"],
        people=PEOPLE,
    )
    made = Office(home, carrier)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(carrier)
        made.house = await stack.enter_async_context(House(home))
        yield made


def faults(report: dict[str, Any]) -> list[str]:
    return [one["id"] for one in report["faults"]]


def steps(report: dict[str, Any]) -> list[str]:
    return [one["what"] for one in report["measured"]["steps"]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def applied(office) -> str:
    """What the engineer reads when all kinds of trunks were applied by one command."""
    ca = {"ca": str(office.carrier.certificate)}
    nobody = free_ports(1, SIP_PORTS)
    for name in ("stranger", "tcp"):
        files.add_secret(office.home, "trunks", name, "plain-password")
    files.add_secret(office.home, "trunks", "wrong", "not-the-password")
    office.write("plain", username="plain", register=True)
    office.write("address", **ADDRESS)
    office.write(
        "secure",
        username="secure",
        register=True,
        transport="tls",
        srtp="sdes",
        tls=ca,
        inbound={"enabled": True},
    )
    office.write("shaken", username="shaken", transport="tls", srtp="dtls", tls={"verify": False})
    office.write("stranger", username="plain", transport="tls")
    office.write("wrong", username="plain", register=True, transport="tcp")
    second = [f"{office.carrier.host}:{office.carrier.port}"]
    office.write("tcp", username="plain", transport="tcp", dtmf="info", port=nobody, hosts=second)
    said: str = await office.cli("trunk", "apply")
    assert "-password" not in said
    return said


def line_of(said: str, trunk: str) -> str:
    """What was found out about the trunk in Asterisk."""
    return next(line for line in said.splitlines() if line.startswith(f"Trunk {trunk}: Asterisk"))


async def test_asterisk_took_every_kind_and_that_is_told(office, applied):
    for name in ("plain", "address", "secure", "shaken", "tcp"):
        assert f"Trunk {name}: applied." in applied
        assert "has it; online" in line_of(applied, name), applied
    for name in ("plain", "secure"):
        assert line_of(applied, name).endswith(", registered.")
    assert sorted(await office.carrier.registered()) == ["plain", "secure"]
    assert "+type = registration" in applied
    assert "+type = identify" in applied
    assert "Nothing would change." in await office.cli("trunk", "diff")
    listed = await office.cli("trunk", "list", "--format", "csv")
    assert "registers, srtp sdes, inbound" in listed
    assert "in rotation" in listed


async def test_who_cannot_be_trusted_or_is_refused_is_told_so(applied):
    assert "offline: the carrier does not answer OPTIONS" in line_of(applied, "stranger"), (
        "nobody vouches for it"
    )
    assert "NOT registered: the carrier refuses" in line_of(applied, "wrong")


async def test_every_kind_carries_a_call(office, applied):
    assert applied
    kinds = ("plain", "address", "secure", "shaken", "tcp")
    words = ("--seconds", "8")  # twice what the packets take of which it must have heard
    reports = dict(
        zip(kinds, await asyncio.gather(*(office.measure(one, TALKS, *words) for one in kinds)), strict=True)
    )
    for name, report in reports.items():
        assert faults(report) == [], name
        assert steps(report) == ["INVITE", "180 Ringing", "200 OK", "BYE, ours"]
        measured = report["measured"]
        assert measured["codec"] == "alaw"
        assert measured["received"] > 100
        assert measured["sent"] > 100
        assert measured["heard_s"] > 1
        assert 0 < measured["sip_rtt_ms"] < 1000 * PATIENCE_S, name
        is_secure = name in ("secure", "shaken")
        assert measured["is_voice_encrypted"] is is_secure
        assert measured["is_sip_encrypted"] is is_secure


async def test_what_is_wrong_with_a_call_is_found(office, applied):
    assert applied
    planted = {
        ("address", MUTE): (["deaf"], 1),
        ("address", SILENT): (["silence"], 1),
        ("address", BUSY): (["not_answered"], 2),
        ("address", NOBODY): (["not_answered"], 2),
        ("stranger", TALKS): (["not_placed"], 2),
    }
    reports = await asyncio.gather(
        *(
            office.measure(trunk, number, "--seconds", "4", "--audio", "tone", expect=status)
            for (trunk, number), (_, status) in planted.items()
        )
    )
    for report, (found, _) in zip(reports, planted.values(), strict=True):
        assert faults(report) == found
        assert all(one["mend"] for one in report["faults"])
    assert [one["measured"]["status"] for one in reports[2:4]] == [486, 404]


async def arrivals(office: Office, trunk: str, call_in: Awaitable[None]) -> tuple[str, str]:
    """Context and extension where the call arrives that *call_in* makes."""
    [link] = links(files.load_system(office.home), files.load_secrets(office.home))
    async with link.open("arrivals") as ari, asyncio.timeout(PATIENCE_S):
        socket = await ari.open_events()
        source = {"eventSource": f"endpoint:PJSIP/trunk-{trunk}"}
        await ari.request("POST", "/applications/arrivals/subscription", params=source)
        await call_in
        async for message in socket:
            event = json.loads(message.data)
            if event["type"] == "ChannelCreated":
                place = event["channel"]["dialplan"]
                await socket.close()
                return place["context"], place["exten"]
    raise AssertionError("the socket was closed")


async def test_calls_come_in_over_a_registration_and_by_address(office, applied):
    assert applied
    carrier, did = office.carrier, "+74957000001"
    [link] = links(files.load_system(office.home), files.load_secrets(office.home))
    by_line = carrier.call_in(did, caller="79441111111", account="secure")
    assert await arrivals(office, "secure", by_line) == ("obzvon-inbound", did)
    by_address = carrier.call_in(did, caller="79441111111", address=f"127.0.0.1:{link.sip.port}")
    assert await arrivals(office, "address", by_address) == ("obzvon-inbound", did)


async def test_nobody_is_called_whom_the_trunk_may_not_call(office, applied):
    assert applied
    said = await office.cli("trunk", "test", "address", "+19005550100", expect=1)
    assert "may not call" in said


async def test_a_trunk_is_applied_while_a_call_is_up(office, applied):
    assert applied
    call = asyncio.create_task(office.measure("address", ECHOES, "--seconds", "12"))
    try:
        await office.call_is_up()
        said = await office.cli("trunk", "apply", office.write("late", username="plain"), expect=1)
        assert "put it into secrets.toml under [trunks]" in said
        files.add_secret(office.home, "trunks", "late", "plain-password")
        changed = office.write("address", **{**ADDRESS, "codecs": ["ulaw"]})
        said = await office.cli("trunk", "apply", office.home / "trunks" / "late.toml", changed)
        assert '+codecs = ["ulaw"]' in said
        assert not call.done()
        report = await call
    finally:
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
    assert report["measured"]["is_ended_by_us"], report
    assert faults(report) == [], report


async def test_a_trunk_is_disabled_enabled_and_removed(office, applied):
    assert applied
    assert "it gets no more calls" in await office.cli("trunk", "disable", "tcp")
    assert office.house.floor.trunks["tcp"].is_disabled
    await office.cli("trunk", "enable", "tcp")
    assert not office.house.floor.trunks["tcp"].is_disabled
    said = await office.cli("trunk", "remove", "tcp")
    assert "has it no more" in said
    assert "trunks/tcp.toml is still there" in said
    await office.cli("trunk", "apply", office.home / "trunks" / "tcp.toml")
    assert "has it; online" in await office.cli("trunk", "show", "tcp")
