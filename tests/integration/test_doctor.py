"""Faults planted in a real Asterisk, and found; and nothing is found in a healthy laboratory."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from dialer.core.ids import TrunkId
from dialer.core.values import Trunk
from dialer.engine.embedded import EmbeddedAsterisk, Ports, choose_ports
from dialer.lab.carrier import Account, LabCarrier
from dialer.office import doctor, orders
from dialer.office.doctor.certificates import ends_at
from dialer.office.doctor.facts import ProcessFacts
from dialer.office.setup import make_home
from dialer.pbx.deskphones import PhoneLine
from dialer.pbx.render import dialplan_version
from dialer.pbx.settings import Settings
from dialer.pbx.trunks import TrunkLine
from dialer.store import settings
from dialer.store.connect import open_writer
from dialer.store.files import load_secrets
from dialer.store.trunks import apply_trunks
from tests.e2e.world import World, campaign, does, free_ports, person, seat
from tests.unit.doctor.plants import faults

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

OF_THE_MACHINE = {
    "clock.unsynchronized",
    "host_name.slow",
    "host_name.unknown",
    "files_open.engine",
    "voice.missing",
}
"""What may be wrong with the machine that runs the tests."""
ALONE = {"redis.not_started", "engine.not_running", "asterisk.app", "trunks.unreachable"}
"""Wrong here from the beginning: there is only an Asterisk, and nobody at the trunk's far end."""
TRUNK = Trunk(id=TrunkId("lab"), host="127.0.0.1", port=9, username="us", register=True, options_interval_s=0)


class Patient:
    """A home folder, and its Asterisk alone."""

    def __init__(self, home: Path, asterisk: EmbeddedAsterisk) -> None:
        self.home = home
        self.asterisk = asterisk
        self.etc = home / "asterisk" / "etc"

    async def found(self) -> set[str]:
        """What is wrong, but for what was from the beginning."""
        findings = await asyncio.to_thread(doctor.examine, self.home)
        return set(faults(findings)) - OF_THE_MACHINE - ALONE

    async def until_found(self, wanted: set[str]) -> None:
        """Asterisk takes changes a little later than it says."""
        deadline = time.monotonic() + 20
        while (found := await self.found()) != wanted:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def file(self, name: str, change: Callable[[str], str], reload: str) -> AsyncIterator[None]:
        """A file is another for a while, and Asterisk has read it."""
        path = self.etc / name
        before = path.read_text()
        after = change(before)
        assert after != before
        path.write_text(after)
        await self.asterisk.run_cli(f"module reload {reload}")
        try:
            yield
        finally:
            path.write_text(before)
            await self.asterisk.run_cli(f"module reload {reload}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def patient(tmp_path_factory, asterisk_install) -> AsyncIterator[Patient]:
    home = tmp_path_factory.mktemp("h") / "home"
    make_home(home)
    for folder in ("trunks", "campaigns"):
        for example in (home / folder).glob("*.toml"):
            example.unlink()
    orders.add_agent(home, "anna", "101")
    connection = open_writer(home / "journal.sqlite3")
    apply_trunks(connection, [TRUNK], time.time())
    assert settings.load_agents(connection)
    connection.close()
    (home / "secrets.toml").write_text(
        re.sub(
            r"^\[trunks\]$",
            '[trunks]\nlab = "carrier-gave-us"',
            (home / "secrets.toml").read_text(),
            flags=re.MULTILINE,
        )
    )
    (home / "secrets.toml").chmod(0o600)
    secrets = load_secrets(home)
    ports: Ports = await asyncio.to_thread(choose_ports)
    async with EmbeddedAsterisk(
        asterisk_install,
        home / "asterisk",
        Settings(ari_password=secrets.ari, shared=home / "run"),
        ports=ports,
        trunks=[TrunkLine(trunk=TRUNK, secret=secrets.trunk("lab"))],
        phones=[PhoneLine(extension="101", secret=secrets.phone("101"))],
    ) as asterisk:
        yield Patient(home, asterisk)


BEFORE = {"voice.phones_outside", "trunks.unregistered"}
"""Nobody registers here: the phone is not there, the carrier neither."""


async def test_what_is_wrong_from_the_beginning_and_no_more(patient: Patient):
    await patient.until_found(BEFORE)
    raw = {one.id for one in await asyncio.to_thread(doctor.examine, patient.home)}
    assert raw >= {"asterisk.app", "engine.not_running", "redis.not_started", "trunks.unreachable"}


async def test_a_user_who_may_only_read_and_a_stranger_who_may_write(patient: Patient):
    async with patient.file(
        "ari.conf", lambda text: text.replace("read_only = no", "read_only = yes", 1), "res_ari"
    ):
        await patient.until_found(BEFORE | {"asterisk.read_only"})
    stranger = "\n[stranger]\ntype = user\nread_only = no\npassword = x1y2z3\n"
    async with patient.file("ari.conf", lambda text: text + stranger, "res_ari"):
        await patient.until_found(BEFORE | {"security.ari_users"})
    await patient.until_found(BEFORE)


async def test_another_password(patient: Patient):
    async with patient.file(
        "ari.conf", lambda text: re.sub(r"password = \S+", "password = no", text, count=1), "res_ari"
    ):
        assert "asterisk.unauthorized" in await patient.found()


async def test_the_write_timeout_at_its_default(patient: Patient):
    change = "websocket_write_timeout"
    async with patient.file("ari.conf", lambda text: re.sub(rf"(?m)^{change}.*\n", "", text), "res_ari"):
        await patient.until_found(BEFORE | {"asterisk.write_timeout"})


async def test_a_module_that_is_not_loaded(patient: Patient):
    await patient.asterisk.run_cli("module unload app_mixmonitor.so")
    try:
        await patient.until_found(BEFORE | {"asterisk.module_missing"})
    finally:
        await patient.asterisk.run_cli("module load app_mixmonitor.so")


async def test_another_dialplan(patient: Patient):
    version = dialplan_version()
    await patient.asterisk.run_cli("dialplan set global OBZVON_DIALPLAN 0123456789ab")
    await patient.until_found(BEFORE | {"asterisk.dialplan_old"})
    async with patient.file(
        "extensions.conf", lambda text: re.sub(r"(?m)^OBZVON_DIALPLAN.*\n", "", text), "pbx_config"
    ):
        await patient.until_found(BEFORE | {"asterisk.dialplan_missing"})
    assert version in await patient.asterisk.run_cli("dialplan show globals")


async def test_an_endpoint_that_does_not_exist(patient: Patient):
    async with patient.file("pjsip_trunks.conf", lambda _: "; nothing\n", "res_pjsip"):
        await patient.until_found((BEFORE | {"asterisk.endpoint_missing"}) - {"trunks.unregistered"})
    await patient.until_found(BEFORE)


async def test_voice_that_would_go_one_way(patient: Patient):
    spoil = {"direct_media = no": "direct_media = yes", "rtp_symmetric = yes": "rtp_symmetric = no"}

    def spoiled(text: str) -> str:
        for good, bad in spoil.items():
            text = text.replace(good, bad)
        return text

    async with patient.file("pjsip_trunks.conf", spoiled, "res_pjsip"):
        await patient.until_found(BEFORE | {"voice.direct_media", "voice.not_symmetric"})
    async with patient.file(
        "pjsip_phones.conf",
        lambda text: text.replace("rewrite_contact = yes", "rewrite_contact = no"),
        "res_pjsip",
    ):
        await patient.until_found(BEFORE | {"voice.contact"})
    await patient.until_found(BEFORE)


async def test_a_trunk_that_is_elsewhere_while_sip_is_here_alone(patient: Patient):
    """An address of documentation (RFC 5737), at which nobody is."""
    away = msgspec.structs.replace(TRUNK, host="192.0.2.1")
    connection = open_writer(patient.home / "journal.sqlite3")
    try:
        apply_trunks(connection, [away], time.time())
        assert await patient.found() >= {"voice.loopback"}
    finally:
        apply_trunks(connection, [TRUNK], time.time())
        connection.close()


async def test_calls_from_anybody(patient: Patient):
    anybody = "\n[anonymous]\ntype = endpoint\ncontext = default\n"
    async with patient.file("pjsip_trunks.conf", lambda text: text + anybody, "res_pjsip"):
        await patient.until_found(BEFORE | {"security.anonymous"})


async def test_no_folder_for_recordings_by_ari(patient: Patient):
    folder = patient.home / "asterisk" / "spool" / "recording"
    folder.rmdir()
    try:
        await patient.until_found(BEFORE | {"recordings.ari_folder"})
    finally:
        folder.mkdir()


async def test_recordings_that_asterisk_cannot_write(patient: Patient, monkeypatch):
    """This Asterisk runs as who runs the tests, who may be root: so it is taken for another user's."""
    somebody = ProcessFacts(pid=1, uid=os.geteuid() + 61234)
    monkeypatch.setattr(doctor.asking, "process", lambda _: somebody)
    (patient.home / "recordings").chmod(0o700)
    await patient.until_found(BEFORE | {"recordings.unwritable_for_asterisk"})


async def test_ari_for_everybody(patient: Patient):
    async with patient.file(
        "http.conf", lambda text: text.replace("bindaddr = 127.0.0.1", "bindaddr = 0.0.0.0"), "http"
    ):
        await patient.until_found(BEFORE | {"security.ari_exposed"})
    await patient.until_found(BEFORE)


async def test_few_voice_ports_and_few_files(patient: Patient):
    wide = msgspec.structs.replace(TRUNK, channels_max=9000)
    connection = open_writer(patient.home / "journal.sqlite3")
    try:
        apply_trunks(connection, [wide], time.time())
        assert await patient.found() >= {"rtp.few_ports"}
        pid = patient.asterisk.pid
        limit = doctor.machine.process(pid).files_max  # type: ignore[arg-type, union-attr]
        needed = doctor.machine.ASTERISK_FILES + 9000 * doctor.machine.FILES_PER_CALL
        assert ("files_open.asterisk" in await patient.found()) == (limit is not None and limit < needed)
    finally:
        apply_trunks(connection, [TRUNK], time.time())
        connection.close()


async def test_a_registration_that_holds_and_one_that_is_refused(patient: Patient, short_tmp: Path):
    """The carrier of the laboratory knows us by our password, and shows a certificate where it is called by TLS."""
    install = patient.asterisk.install
    port = free_ports(2, range(16000, 16900))
    account = Account(name="us", password="carrier-gave-us")
    first = free_ports(20, range(25000, 27900), tcp=False, even=True)
    async with LabCarrier(
        short_tmp / "c",
        argv=install.argv,
        modules=install.modules,
        data=install.data,
        port=port,
        media=(first, first + 19),
        accounts=[account],
    ) as carrier:
        trunk = msgspec.structs.replace(TRUNK, port=port, options_interval_s=1)
        phone = PhoneLine(extension="101", secret=load_secrets(patient.home).phone("101"))
        connection = open_writer(patient.home / "journal.sqlite3")
        try:
            for password, wanted in (
                (account.password, BEFORE - {"trunks.unregistered"}),
                ("another-password", (BEFORE - {"trunks.unregistered"}) | {"trunks.registration_refused"}),
            ):
                apply_trunks(connection, [trunk], time.time())
                await patient.asterisk.apply_lines([TrunkLine(trunk=trunk, secret=password)], [phone])
                await patient.asterisk.run_cli("pjsip send register trunk-lab")
                await patient.until_found(wanted)
            secured = msgspec.structs.replace(
                trunk, port=carrier.tls_port, transport="tls", tls_verify=False, options_interval_s=0
            )
            (far,) = (await asyncio.to_thread(doctor.asking.far_ends, [secured]))["lab"]
            assert far.certificate_ends_at == ends_at(carrier.certificate.read_text())
        finally:
            apply_trunks(connection, [TRUNK], time.time())
            connection.close()
            await patient.asterisk.apply_lines([TrunkLine(trunk=TRUNK, secret="x" * 12)], [phone])


async def test_an_asterisk_that_is_gone(patient: Patient):
    """Last: it does not come back."""
    pid = patient.asterisk.pid
    assert pid is not None
    await patient.asterisk.stop()
    found = await asyncio.to_thread(doctor.examine, patient.home)
    assert "asterisk.not_started" in faults(found)


async def test_a_healthy_laboratory_is_green(tmp_path_factory, asterisk_install):
    async with World(
        tmp_path_factory.mktemp("w"),
        work=[(campaign(), [person(does("talks"))])],
        seats=[seat("101"), seat("102", leg="rung")],
    ) as world:
        deadline = time.monotonic() + 45
        while True:
            found = set(faults(await asyncio.to_thread(doctor.examine, world.home))) - OF_THE_MACHINE
            if not found:
                break
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.2)
