"""Our include files in an Asterisk that is somebody else's: Debian's own configuration, really started.

It has an endpoint, a transport and a dialplan of its own, which must be there before, meanwhile and after.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from dialer.core.deskphone import DeskPhone
from dialer.core.ids import AgentId
from dialer.core.values import AgentCard
from dialer.engine import configuring
from dialer.engine.configuring import install
from dialer.engine.install import AsteriskInstall
from dialer.lab.phones import LabPhones, Phone
from dialer.pbx import console, foreign
from dialer.store import deskphones, files, settings
from dialer.store.connect import open_writer
from tests.e2e.world import (
    HTTP_PORTS,
    MEDIA_PORTS,
    PATIENCE_S,
    RTP_PORTS,
    SIP_PORTS,
    World,
    campaign,
    does,
    free_ports,
    person,
)

pytestmark = pytest.mark.asterisk

NOT_LOADED = [
    "chan_iax2",
    "chan_unistim",
    "chan_mgcp",
    "chan_skinny",
    "chan_ooh323",
    "chan_motif",
    "chan_mobile",
    "chan_dahdi",
    "chan_websocket",
    "pbx_dundi",
    "pbx_ael",
    "pbx_lua",
    "res_xmpp",
    "res_snmp",
    "res_hep",
    "res_corosync",
    "res_phoneprov",
    "res_calendar",
    "res_config_ldap",
    "res_config_mysql",
    "res_stun_monitor",
    "app_voicemail",
    "app_voicemail_imap",
    "app_voicemail_odbc",
    "cdr_csv",
    "cdr_sqlite3_custom",
    "cel_sqlite3_custom",
    "res_geolocation",
    "res_aeap",
]
"""What would listen on ports that others have, or wants a network: nothing that we use."""
THEIRS = """
[theirs-udp]
type = transport
protocol = udp
bind = 127.0.0.1:{port}

[201]
type = endpoint
context = default
disallow = all
allow = ulaw
aors = 201

[201]
type = aor
max_contacts = 1
"""


class Other:
    """Somebody's Asterisk, in *folder*: its own /etc, its own everything."""

    def __init__(self, folder: Path, found: AsteriskInstall) -> None:
        self.found = found
        self.folder = folder
        self.etc = folder / "etc"
        self.http = free_ports(1, HTTP_PORTS, udp=False)
        self.sip = free_ports(1, SIP_PORTS)
        self._process: asyncio.subprocess.Process | None = None

    def make(self) -> None:
        assert self.found.root is not None
        shutil.copytree(self.found.root / "etc" / "asterisk", self.etc)
        for name in ("run", "log", "spool", "db", "agi"):
            (self.folder / name).mkdir()
        share = self.folder / "share"
        share.mkdir()
        for entry in self.found.data.iterdir():
            if entry.name != "sounds":
                (share / entry.name).symlink_to(entry)
        (share / "sounds").mkdir()
        for entry in (self.found.data / "sounds").iterdir():
            if entry.is_dir():
                (share / "sounds" / ("en" if entry.name.startswith("en_US") else entry.name)).symlink_to(
                    entry
                )
        places = {
            "astetcdir": self.etc,
            "astmoddir": self.found.modules,
            "astvarlibdir": share,
            "astdbdir": self.folder / "db",
            "astkeydir": share,
            "astdatadir": share,
            "astagidir": self.folder / "agi",
            "astspooldir": self.folder / "spool",
            "astrundir": self.folder / "run",
            "astlogdir": self.folder / "log",
        }
        text = "[directories]\n" + "".join(f"{name} => {place}\n" for name, place in places.items())
        (self.etc / "asterisk.conf").write_text(f"{text}[options]\nnocolor = yes\n")
        (self.etc / "http.conf").write_text(
            f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nbindport = {self.http}\n"
        )
        rtp = free_ports(200, RTP_PORTS, tcp=False, even=True)
        (self.etc / "rtp.conf").write_text(f"[general]\nrtpstart = {rtp}\nrtpend = {rtp + 199}\n")
        (self.etc / "manager.conf").write_text("[general]\nenabled = no\n")
        with (self.etc / "pjsip.conf").open("a") as file:
            file.write(THEIRS.format(port=self.sip))
        with (self.etc / "modules.conf").open("a") as file:
            file.write("\n" + "".join(f"noload => {name}.so\n" for name in NOT_LOADED))

    async def start(self) -> None:
        log = (self.folder / "log" / "out").open("w")
        conf = str(self.etc / "asterisk.conf")
        self._process = await asyncio.create_subprocess_exec(
            *self.found.argv, "-C", conf, "-f", stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        deadline = time.monotonic() + 2 * PATIENCE_S
        while True:
            with contextlib.suppress(console.NoAnswer):  # it does not listen yet
                if "fully booted" in await self.cli("core waitfullybooted"):
                    return
            assert self._process.returncode is None, (self.folder / "log" / "out").read_text()[-2000:]
            assert time.monotonic() < deadline, "it does not start"
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 10)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def cli(self, command: str) -> str:
        return await console.ask(self.found.argv, self.etc / "asterisk.conf", command, 30.0)

    async def reload(self) -> None:
        """As `dialer asterisk install` says it is done."""
        for module in foreign.RELOADS.values():
            await self.cli(f"module reload {module}")


@pytest.fixture
async def other(tmp_path: Path, asterisk_install: AsteriskInstall) -> AsyncIterator[Other]:
    if asterisk_install.root is None or not (asterisk_install.root / "etc" / "asterisk").is_dir():
        pytest.skip("there is no configuration of the distribution to copy")
    made = Other(tmp_path / "other", asterisk_install)
    await asyncio.to_thread(made.make)
    await made.start()
    yield made
    await made.stop()


async def test_ours_goes_in_works_and_comes_out_again(tmp_path, other, monkeypatch):
    before = {path: path.read_text(errors="replace") for path in other.etc.rglob("*") if path.is_file()}
    port = free_ports(2, SIP_PORTS)
    world = World(
        tmp_path,
        work=[(campaign(), [person(does("talks"), voice=1)])],
        seats=[],
        parts=frozenset({"network"}),
        with_ports=False,
        system=(
            f'[asterisk]\nmode = "external"\nurl = "http://127.0.0.1:{other.http}/ari"\n'
            f'config_folder = "{other.etc}"\n[ports]\nsip = {port}\n'
        ),
    )
    phone = Phone(extension="101", secret=files.new_secret(), voice=1)
    async with world:
        with contextlib.closing(open_writer(world.home / "journal.sqlite3")) as connection:
            deskphones.save_phone(connection, DeskPhone(extension="101", model="yealink"), time.time())
            settings.add_agent(connection, AgentCard(id=AgentId("anna"), phone="101"))
        files.add_secret(world.home, "phones", "101", phone.secret)

        assert not (other.etc / "obzvon").exists()
        said = await asyncio.to_thread(install, world.home)
        assert 'asterisk -rx "module reload res_ari.so"' in said, "our ARI user is not known yet"
        await other.reload()
        assert "Endpoint:  101" in (shown := await other.cli("pjsip show endpoints"))
        assert "trunk-lab" in shown
        assert "201" in shown, "theirs is there"
        transports = await other.cli("pjsip show transports")
        assert "theirs-udp" in transports
        assert "obzvon-udp" in transports
        assert "There is no existence" not in await other.cli("dialplan show obzvon-outbound")
        assert await asyncio.to_thread(configuring.difference, world.home) == ""
        assert "nothing to change" in await asyncio.to_thread(install, world.home)

        assert await statuses(other, world.home) == {"look": 200, "change": 403}, "who watches may only look"

        house = await world.start_house()
        await world.in_charge()
        async with LabPhones(
            tmp_path / "phones",
            sip_server=("127.0.0.1", port),
            phones=[phone],
            port=free_ports(1, SIP_PORTS),
            media_port=free_ports(4, MEDIA_PORTS, tcp=False, even=True),
        ) as phones:
            await phones["101"].sign_in()
            await world.agent_is("101", "ready")
            await world.order("demo")
            await world.finished("demo")
            (one,) = world.attempts()
            assert (one["result"], one["agent"]) == ("talked", "anna")
            assert world.recording(one["attempt"]).stat().st_size > 8000

            # A phone that is added while the engine runs is there at once.
            with contextlib.closing(open_writer(world.home / "journal.sqlite3")) as connection:
                deskphones.save_phone(connection, DeskPhone(extension="102"), time.time())
            files.add_secret(world.home, "phones", "102", files.new_secret())
            await world.ask("POST", "reload")
            await wait_for(other, "pjsip show endpoints", "Endpoint:  102")
            assert phones["101"].is_on_line, "calls go on"
        assert house.lines

        said = await asyncio.to_thread(install, world.home, is_removal=True)
        assert "Asterisk has read again" in said
        await other.reload()
        shown = await other.cli("pjsip show endpoints")
        assert "101" not in shown
        assert "201" in shown
    after = {path: path.read_text(errors="replace") for path in other.etc.rglob("*") if path.is_file()}
    assert {path: text for path, text in after.items() if not path.name.endswith(foreign.BACKUP)} == before


async def statuses(other: Other, home: Path) -> dict[str, int]:
    """What ARI says to the user for monitoring: to a question, and to an order."""
    pair = f"obzvon-monitor:{files.load_secrets(home).ari_monitor}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    url = f"http://127.0.0.1:{other.http}/ari"
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{url}/asterisk/info") as look:
            pass
        async with session.put(f"{url}/asterisk/modules/res_pjsip.so") as change:
            pass
    return {"look": look.status, "change": change.status}


async def wait_for(other: Other, command: str, text: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while text not in await other.cli(command):
        assert time.monotonic() < deadline, f"{command} never says {text}"
        await asyncio.sleep(0.1)
