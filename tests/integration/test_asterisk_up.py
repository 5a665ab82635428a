"""The configuration that we render, in front of a real Asterisk."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import aiohttp
import pytest

from dialer.core.commands import Message
from dialer.core.values import Trunk
from dialer.engine.embedded import (
    AsteriskInstall,
    EmbeddedAsterisk,
    EmbeddedError,
    Ports,
    choose_ports,
)
from dialer.engine.embeddedredis import EmbeddedRedis
from dialer.lab.errors import LabCallRefused
from dialer.lab.phones import LabPhones, Phone
from dialer.pbx.render import PhoneLine, TrunkLine, files_folder
from dialer.pbx.settings import Settings
from tests.e2e.world import MEDIA_PORTS, PATIENCE_S, SIP_PORTS, free_ports

pytestmark = pytest.mark.asterisk


def make_trunk(**settings: object) -> Trunk:
    return Trunk(**({"id": "lab", "host": "127.0.0.1", "options_interval_s": 0} | settings))  # type: ignore[arg-type]


async def test_ari_answers_to_its_user_and_to_nobody_else(asterisk_home):
    url = f"{asterisk_home.ari_url}/asterisk/info"

    def header(password: str) -> dict[str, str]:
        pair = base64.b64encode(f"{asterisk_home.ari_user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    async with aiohttp.ClientSession() as session:
        async with session.get(url, headers=header(asterisk_home.ari_password)) as answer:
            assert answer.status == 200
        async with session.get(url, headers=header("guess")) as answer:
            assert answer.status == 401
        async with session.get(url) as answer:
            assert answer.status == 401


def test_it_starts_without_a_complaint(asterisk_home):
    """A module that is missing, a file that is not there, an option that is unknown: all are logged."""
    complaints = [
        line for line in asterisk_home.log_at_start.splitlines() if " ERROR[" in line or " WARNING[" in line
    ]
    assert complaints == []


def test_it_listens_on_the_loopback_address_alone(asterisk_home):
    pid = asterisk_home.server.pid
    inodes = {
        str(link.readlink()).removeprefix("socket:[").rstrip("]")
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:")
    }
    heard = set()
    for table in ("tcp", "udp", "tcp6", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            is_listening = table.startswith("udp") or fields[3] == "0A"
            if fields[9] in inodes and is_listening:
                address, _, port = fields[1].partition(":")
                heard.add((table, address, int(port, 16)))
    if not heard:
        pytest.skip("this kernel does not say who owns a socket")
    ports = asterisk_home.server.ports
    loopback = "0100007F"
    assert {
        ("tcp", loopback, ports.http),
        ("tcp", loopback, ports.sip),
        ("udp", loopback, ports.sip),
    } <= heard
    # the SIP library asks name servers from two UDP ports that the kernel chose; they are no service
    doors = {
        (table, address, port) for table, address, port in heard if table.startswith("tcp") or port < 32768
    }
    assert {address for _, address, _ in doors} == {loopback}, doors


@pytest.mark.parametrize(
    "context", ["obzvon-outbound", "obzvon-last-word", "obzvon-tell", "obzvon-phones", "obzvon-say"]
)
def test_the_dialplan_is_loaded(asterisk_home, context):
    assert "There is no existence of" not in asterisk_home.run_cli(f"dialplan show {context}")


def test_every_message_to_an_agent_has_its_extension(asterisk_home):
    dialplan = asterisk_home.run_cli("dialplan show obzvon-tell")
    for message in get_args(Message):
        assert f"'{message}' =>" in dialplan


def test_secrets_come_through_whole(asterisk_install: AsteriskInstall, asterisk_home):
    """What we escape, Asterisk reads back as it was: nothing is cut off, nothing is added."""
    secret = "a;b#c,d=e>f\"g'h\\i[j](k) ;; !"
    trunk = make_trunk(id="odd", username="user.name", host="::1", transport="tcp")
    before = asterisk_home.server._trunks, asterisk_home.server._phones
    asterisk_home.apply_lines(
        [TrunkLine(trunk=trunk, secret=secret)], [PhoneLine(extension="199", secret=secret)]
    )
    try:
        for auth in ("trunk-odd", "199"):
            shown = asterisk_home.run_cli(f"pjsip show auth {auth}")
            assert f": {secret}\n" in shown
        assert "sip:[::1]:5060;transport=tcp" in asterisk_home.run_cli("pjsip show aor trunk-odd")
        assert "Unable to find object 101" in asterisk_home.run_cli("pjsip show endpoint 101")
    finally:
        asterisk_home.apply_lines(*before)
    assert "Unable to find object" not in asterisk_home.run_cli("pjsip show endpoint 101")


async def test_a_taken_port_is_a_clear_error(asterisk_install, asterisk_home, short_tmp):
    taken = choose_ports()
    for ports in (
        Ports(http=asterisk_home.server.ports.http, sip=taken.sip, rtp_first=20000, rtp_last=20099),
        Ports(http=taken.http, sip=asterisk_home.sip_port, rtp_first=20000, rtp_last=20099),
    ):
        server = EmbeddedAsterisk(asterisk_install, short_tmp, Settings(ari_password="x"), ports=ports)
        with pytest.raises(EmbeddedError, match=r"port \d+ for (HTTP|SIP) is taken"):
            await server.start()
        assert server.pid is None


OWNER = """
import asyncio, sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args
from dialer.engine.embedded import EmbeddedAsterisk, find_asterisk
from dialer.engine.embeddedredis import EmbeddedRedis
from dialer.pbx.settings import Settings

async def main():
    folder, outlive = Path(sys.argv[1]), sys.argv[2] == "outlive"
    settings = Settings(ari_password=sys.argv[3])
    server = EmbeddedAsterisk(find_asterisk(), folder / "a", settings, outlive=outlive)
    redis = EmbeddedRedis(folder / "r", outlive=outlive)
    await server.start()
    await redis.start()
    print(server.pid, redis.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until(condition: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.02)


@pytest.mark.parametrize("fate", ["die", "outlive"])
def test_when_the_engine_is_killed(asterisk_install, short_tmp, loop_thread, fate):
    """Asterisk and Redis end with a SIGKILLed engine, unless they were asked to outlive it."""
    password = secrets.token_urlsafe(8)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(short_tmp), fate, password], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout
    line = owner.stdout.readline()
    pids = [int(word) for word in line.split()]
    try:
        assert len(pids) == 2
        assert all(map(is_running, pids))
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        if fate == "die":
            wait_until(lambda: not any(map(is_running, pids)))
            return
        settings = Settings(ari_password=password)
        server = EmbeddedAsterisk(asterisk_install, short_tmp / "a", settings, outlive=True)
        redis = EmbeddedRedis(short_tmp / "r", outlive=True)

        async def take_over_and_stop() -> list[int | None]:
            await asyncio.gather(server.start(), redis.start())
            found = [server.pid, redis.pid]
            await asyncio.gather(server.stop(), redis.stop())
            return found

        assert loop_thread.run(take_over_and_stop()) == pids
        assert server.is_adopted
        assert redis.is_adopted
        assert not any(map(is_running, pids))
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
        for pid in filter(is_running, pids):
            os.kill(pid, signal.SIGKILL)


OLDER = """
import asyncio, sys
from pathlib import Path
from dialer.engine.embedded import EmbeddedAsterisk, find_asterisk
from dialer.pbx import render
from dialer.pbx.settings import Settings

folder = Path(sys.argv[1])
render.files_folder = lambda name: folder / "older" / name
server = EmbeddedAsterisk(find_asterisk(), folder / "a", Settings(ari_password=sys.argv[2]), outlive=True)
asyncio.run(server.start())
print(server.pid, flush=True)
"""


def older_files(folder: Path) -> None:
    """Ours, as of a version that knew no calls to us, no variable of theirs, and no REFER."""
    for name in ("asterisk-conf", "dialplan"):
        shutil.copytree(files_folder(name), folder / name)
    (folder / "dialplan" / "50-inbound.conf").unlink()
    for name, line in (
        ("ari.conf", "channelvars"),
        ("modules.list", "load    res_pjsip_refer"),
        ("indications.conf", "obzvon-trunk-test"),
        ("logger.conf", "dateformat"),
    ):
        file = folder / "asterisk-conf" / name
        kept = [one for one in file.read_text().splitlines(keepends=True) if not one.startswith(line)]
        file.write_text("".join(kept))


async def test_one_that_an_older_version_started_reads_what_is_wanted_now_and_its_calls_go_on(
    asterisk_install, short_tmp, caplog
):
    """Also if the first engine that tried to tell it so was killed over it."""
    older_files(short_tmp / "older")
    password = secrets.token_urlsafe(8)
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OLDER, str(short_tmp), password, stdout=subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(owner.communicate(), 60)
    pid = int(out)
    settings = Settings(ari_password=password)
    server = EmbeddedAsterisk(asterisk_install, short_tmp / "a", settings, outlive=True)
    etc = short_tmp / "a" / "etc"
    somebody = "channels?endpoint=Local/*60@obzvon-phones&extension=*60&context=obzvon-phones"
    try:
        server._server.find()
        server._ports = Ports(**json.loads((short_tmp / "a/run/obzvon.json").read_bytes())["ports"])
        assert "no existence" in (await server.run_cli("dialplan show obzvon-inbound")).lower()
        await server._request("POST", somebody)
        assert "2 active channels" in await server.run_cli("core show channels count")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server, "_request", killed)
            patch.setattr(server, "_wait_until_up", nothing)
            with pytest.raises(EmbeddedError, match="killed"):
                await server.start()
        assert (etc / "dialplan" / "50-inbound.conf").exists()
        assert "no existence" in (await server.run_cli("dialplan show obzvon-inbound")).lower()

        await server.start()
        assert server.is_adopted
        assert server.pid == pid
        assert "obzvon-arrival" in await server.run_cli("dialplan show obzvon-inbound")
        assert "res_pjsip_refer" in await server.run_cli("module show like res_pjsip_refer")
        assert "2 active channels" in await server.run_cli("core show channels count")
        await server._request("POST", f"{somebody}&channelId=new")
        pair = base64.b64encode(f"obzvon:{password}".encode()).decode()
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Basic {pair}"}) as session,
            session.get(f"{server.ari_url}/channels/new") as answer,
        ):
            assert "OBZVON_ATTEMPT" in (await answer.json())["channelvars"]
        assert "has read it" in caplog.text
        caplog.clear()
        await server.start()
        assert "has read it" not in caplog.text
    finally:
        await server.stop()
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


async def killed(*_: object, **__: object) -> None:
    raise EmbeddedError("killed")


async def nothing(*_: object) -> None:
    pass


async def test_a_phone_that_is_elsewhere_than_it_may_be_is_refused(asterisk_home, tmp_path):
    """With the right password: it is the network that is wrong."""
    before = asterisk_home.server._trunks, asterisk_home.server._phones
    secret = "right-password-of-both"
    here = PhoneLine(extension="181", secret=secret, allowed_from=("127.0.0.0/8",))
    elsewhere = PhoneLine(extension="182", secret=secret, allowed_from=("192.0.2.0/24",))
    asterisk_home.apply_lines([], [here, elsewhere])
    phones = LabPhones(
        tmp_path,
        sip_server=("127.0.0.1", asterisk_home.sip_port),
        phones=[Phone(extension=one.extension, secret=secret) for one in (here, elsewhere)],
        port=free_ports(2, SIP_PORTS),
        media_port=free_ports(8, MEDIA_PORTS, tcp=False, even=True),
    )
    try:
        await phones.start(register=False)
        await phones["181"].register()
        assert phones["181"].is_registered
        with pytest.raises(LabCallRefused):
            await phones["182"].register()
    finally:
        await phones.stop()
        asterisk_home.apply_lines(*before)
