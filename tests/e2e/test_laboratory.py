"""``./dev lab``: the carrier on loopback in a process of its own, as whoever tries it out finds it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dialer.demo.laboratory import CALLER, MEDIA_PORTS, PEOPLE, run
from dialer.lab.carrier import START_S_MAX
from dialer.lab.errors import LabError
from dialer.store import files
from tests.contract.sip_peer import SipPeer
from tests.e2e.world import PATIENCE_S, RTP_PORTS, SIP_PORTS, free_ports, until

pytestmark = pytest.mark.asterisk

OURS = "+74951110001"


class Laboratory:
    """The process: what is typed, and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    async def reads(self, pattern: str, within_s: float = PATIENCE_S) -> str:
        """What it prints, to the first line in which *pattern* is found."""
        assert self.process.stdout is not None
        said: list[str] = []
        async with asyncio.timeout(within_s):
            while line := (await self.process.stdout.readline()).decode():
                said.append(line)
                if re.search(pattern, line):
                    return "".join(said)
        raise AssertionError(f"it ended, and never said {pattern!r}: {''.join(said)}")

    async def answer(self, typed: str) -> str:
        """The line that it prints when a line is typed."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{typed}\n".encode())
        return (await self.reads(".")).strip()


@asynccontextmanager
async def laboratory(folder: Path, us: str) -> AsyncIterator[Laboratory]:
    port = free_ports(2, SIP_PORTS)
    media = free_ports(MEDIA_PORTS, RTP_PORTS, tcp=False, even=True)
    # Where the tests run in the background Ctrl-C is ignored, and whom they start would ignore it, too.
    here = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dialer.demo.laboratory"),
            *("--folder", str(folder), "--port", str(port), "--media", str(media), "--us", us),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C goes to the whole group
        )
    finally:
        signal.signal(signal.SIGINT, here)
    try:
        yield Laboratory(process, port)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def processes_of(folder: Path) -> list[str]:
    """What runs with *folder* on its command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().decode(errors="replace").split("\0")
            if any(word.startswith(str(folder)) for word in words):
                found.append(" ".join(words))
    return found


async def test_it_says_what_it_offers_calls_us_when_told_to_and_leaves_nothing(tmp_path, asterisk_install):
    async with SipPeer() as us, laboratory(tmp_path, f"127.0.0.1:{us.port}") as lab:
        offer = await lab.reads("Ctrl-C", START_S_MAX)
        assert f"UDP and TCP port {lab.port}, TLS port {lab.port + 1}" in offer
        assert all(number in offer for number in PEOPLE)
        # What it tells people to copy is there, and is theirs alone.
        secrets = tmp_path / "secrets.toml"
        assert str(secrets) in offer
        assert secrets.stat().st_mode & 0o077 == 0
        kept = files.load_secrets(tmp_path, {})
        assert kept.trunk("plain") != kept.trunk("secure")
        assert all(kept.trunk(name) not in offer for name in ("plain", "secure"))
        certificate = tmp_path / "carrier" / "etc" / "certificate.pem"
        assert str(certificate) in offer
        assert certificate.read_text().startswith("-----BEGIN CERTIFICATE-----")

        assert await lab.answer("calls") == "0 calls are up."
        for wrong in ("hello", "call", "call nobody"):
            assert (await lab.answer(wrong)).startswith("Error: "), wrong
        # Nobody is registered: the call comes to our address.
        assert await lab.answer(f"call {OURS}") == f"{CALLER} calls {OURS} at 127.0.0.1:{us.port}."
        await until(lambda: us.received, "a call to our number")
        method, user, text = us.received[0]
        assert (method, user) == ("INVITE", OURS.lstrip("+"))
        assert CALLER.lstrip("+") in text
        await until(lambda: any(method == "ACK" for method, _, _ in us.received), "the call to be up")
        assert await lab.answer("calls") == "1 calls are up."
        us.hang_up()
        async with asyncio.timeout(PATIENCE_S):
            while await lab.answer("calls") != "0 calls are up.":
                await asyncio.sleep(0.05)

        # Ctrl-C.
        assert processes_of(tmp_path)
        os.killpg(lab.process.pid, signal.SIGINT)
        await lab.reads("The carrier is gone")
        assert await asyncio.wait_for(lab.process.wait(), PATIENCE_S) == 0
        assert processes_of(tmp_path) == []


@pytest.mark.parametrize(("kind", "offset"), [(socket.SOCK_DGRAM, 0), (socket.SOCK_STREAM, 1)])
async def test_a_port_that_is_taken_is_told_and_nothing_is_touched(tmp_path, kind, offset):
    """A second laboratory would overwrite the first one's certificate, and nobody would hear it."""
    port = free_ports(2, SIP_PORTS)
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", port + offset))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(LabError, match=f"port {port + offset} of 127.0.0.1 is taken"):
            await run(tmp_path, port, 30000, "127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


async def test_calls_go_on_when_standard_input_ends_and_its_accounts_stay(tmp_path, asterisk_install):
    """Started in the background it runs until it is ended, and the passwords of yesterday hold today."""
    passwords = []
    for _ in range(2):
        async with laboratory(tmp_path, "127.0.0.1:9") as lab:
            await lab.reads("Ctrl-C", START_S_MAX)
            assert lab.process.stdin is not None
            assert await lab.answer("calls") == "0 calls are up."
            lab.process.stdin.close()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lab.process.wait(), 0.5)
            os.killpg(lab.process.pid, signal.SIGINT)
            await lab.reads("The carrier is gone")
        passwords.append(files.load_secrets(tmp_path, {}).trunk("plain"))
    assert passwords[0] == passwords[1]
