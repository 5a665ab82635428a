"""Every check of the doctor, well and ill, and the exit status that monitoring reads."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dialer.engine.embedded import EmbeddedRedis
from dialer.office import doctor, orders, probes
from dialer.office.doctor import Finding
from dialer.store import files

Usage = namedtuple("Usage", "total used free")


def statuses(findings: Iterator[Finding] | list[Finding]) -> list[str]:
    return [one.status for one in findings]


def only(findings: Iterator[Finding]) -> Finding:
    [found] = findings
    assert found.status == "ok" or found.mend, "what is wrong has a mend"
    return found


def settings(home: Path, text: str) -> files.SystemSettings:
    (home / "obzvon.toml").write_text(text)
    return files.load_system(home)


# -- the home folder ----------------------------------------------------------------------


def test_files(home: Path) -> None:
    assert only(doctor.check_files(home)).status == "ok"
    (home / "trunks" / "carrier.toml").unlink()
    warned, ok = doctor.check_files(home)
    assert (warned.status, ok.status) == ("warn", "ok")
    assert "names the trunk carrier" in warned.finding
    (home / "trunks" / "carrier.toml").write_text('id = "carrier"\nhots = "x"\n')
    assert statuses(doctor.check_files(home)) == ["fail", "fail"]


def test_a_folder_of_recordings_that_asterisk_cannot_be_told(home: Path) -> None:
    (home / "obzvon.toml").write_text('[recordings]\nfolder = "one,two"\n')
    for found in (only(doctor.check_files(home)), doctor.examine(home)[0]):
        assert found.status == "fail"
        assert "one,two' holds ','; allowed: an absolute path without" in found.finding


def test_secrets(home: Path) -> None:
    assert only(doctor.check_secrets(home)).status == "ok"
    (home / "trunks" / "carrier.toml").write_text('id = "carrier"\nhost = "a.example"\nusername = "u"\n')
    found = list(doctor.check_secrets(home))
    assert statuses(found) == ["fail", "ok"]
    files.add_secret(home, "trunks", "carrier", "pw")
    assert only(doctor.check_secrets(home)).status == "ok"
    (home / "secrets.toml").chmod(0o644)
    assert "chmod 600" in only(doctor.check_secrets(home)).mend


def test_journal(home: Path) -> None:
    assert only(doctor.check_journal(home)).status == "ok"
    with closing(sqlite3.connect(home / "journal.sqlite3")) as connection, connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('obzvon', '9999_x', '')"
        )
    assert "newer version" in only(doctor.check_journal(home)).finding
    with closing(sqlite3.connect(home / "journal.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE name NOT LIKE '0001%'")
    assert only(doctor.check_journal(home)).status == "warn"
    (home / "journal.sqlite3").unlink()
    assert "there is no journal" in only(doctor.check_journal(home)).finding


def test_a_damaged_journal(home: Path) -> None:
    journal = home / "journal.sqlite3"
    journal.write_bytes(journal.read_bytes()[:4096] + b"\xff" * 8192 + journal.read_bytes()[12288:])
    found = doctor._guarded("journal", doctor.check_journal, home)
    assert statuses(found) == ["fail"]


def test_a_phone_without_secret(home: Path) -> None:
    orders.add_agent(home, "anna", "101")
    assert only(doctor.check_journal(home)).status == "ok"
    secrets = home / "secrets.toml"
    secrets.write_text(secrets.read_text().split("[phones]")[0])
    ok, failed = doctor.check_journal(home)
    assert (ok.status, failed.status) == ("ok", "fail")
    assert failed.mend == "dialer agent add anna --phone 101 --leg parked"


@pytest.mark.parametrize(
    ("free", "status"), [(10**12, "ok"), (4 * 10**9, "warn"), (10**8, "fail")], ids=["much", "little", "none"]
)
def test_recordings_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free, 0, free))
    assert only(doctor.check_recordings(tmp_path)).status == status


def test_recordings_have_a_folder_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no folder" in only(doctor.check_recordings(tmp_path / "none")).finding

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert "cannot be written: Permission denied" in only(doctor.check_recordings(tmp_path)).finding


# -- the machine --------------------------------------------------------------------------


def test_host_name_is_found() -> None:
    assert only(doctor.check_host_name("here", lambda *_: None)).status == "ok"


def test_host_name_is_not_found() -> None:
    def refuse(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    found = only(doctor.check_host_name("here", refuse))
    assert (found.status, found.mend) == ("warn", "add the line '127.0.1.1 here' to /etc/hosts")


def test_host_name_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NAME_WAIT_S", 0.01)
    release = threading.Event()
    found = only(doctor.check_host_name("here", lambda *_: release.wait(10)))
    release.set()
    assert found.status == "fail"
    assert "not found within" in found.finding
    monkeypatch.setattr(doctor, "NAME_WAIT_S", 10.0)
    monkeypatch.setattr(doctor, "NAME_SLOW_S", -1.0)
    assert "is found only after" in only(doctor.check_host_name("here", lambda *_: None)).finding


@pytest.mark.parametrize(("state", "status"), [(0, "ok"), (5, "warn"), (-1, "ok")])
def test_clock(state: int, status: str) -> None:
    assert only(doctor.check_clock(lambda: state)).status == status


def test_the_kernel_is_asked_for_its_clock() -> None:
    assert -1 <= doctor.kernel_clock_state() <= 5


# -- Redis --------------------------------------------------------------------------------


@pytest.fixture
async def redis(home: Path) -> Any:
    async with EmbeddedRedis(home / "redis") as server:
        yield server


async def test_redis_answers(home: Path, redis: EmbeddedRedis) -> None:
    system = files.load_system(home)
    found = await asyncio.to_thread(lambda: only(doctor.check_redis(system)))
    assert found.status == "ok"
    assert "keeps nothing on disk" in found.finding

    def spoil() -> None:
        import redis as library

        with library.Redis.from_url(redis.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            client.config_set("save", "60 1")

    await asyncio.to_thread(spoil)
    warned, ok = await asyncio.to_thread(lambda: list(doctor.check_redis(system)))
    assert "throw timers away" in warned.finding
    assert "keeps its data" in ok.finding


async def test_redis_has_another_time(
    home: Path, redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 100)
    warned, _ = await asyncio.to_thread(lambda: list(doctor.check_redis(files.load_system(home))))
    assert "its clock is +100." in warned.finding


def test_redis_cannot_save(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "ask_redis", lambda *_: probes.RedisFacts(version="9", is_saving_broken=True))
    system = settings(home, '[redis]\nmode = "external"\nurl = "redis://127.0.0.1:1/0"\n')
    assert statuses(doctor.check_redis(system)) == ["fail", "ok"]


def test_no_redis(home: Path) -> None:
    assert only(doctor.check_redis(files.load_system(home))).status == "warn"
    system = settings(home, '[redis]\nmode = "external"\nurl = "unix:///nowhere/redis.sock"\n')
    found = only(doctor.check_redis(system))
    assert found.status == "fail"
    assert "does not answer" in found.finding


# -- Asterisk and trunks ------------------------------------------------------------------


@pytest.fixture
def system(home: Path, asterisk: Any) -> files.SystemSettings:
    return settings(home, f'[asterisk]\nmode = "external"\nurl = "{asterisk.url}"\n')


def test_asterisk_is_well(system: files.SystemSettings, asterisk: Any) -> None:
    assert statuses(doctor.check_asterisk(system)) == ["ok", "ok"]
    assert all("obzvon-doctor" in one for one in asterisk.asked if not one.startswith("GET")), (
        "it changes nothing"
    )


@pytest.mark.parametrize(
    ("request_line", "answer", "finding"),
    [
        ("GET /ari/asterisk/info", (401, {"message": "no"}), "refuses the user obzvon"),
        ("GET /ari/asterisk/info", (200, {"system": {"version": "18.3.0"}}), "version 18.3.0 is too old"),
        (
            "DELETE /ari/bridges/obzvon-doctor-asks-and-there-is-none",
            (403, {"message": "no"}),
            "may only read",
        ),
        ("GET /ari/applications/obzvon", (404, {"message": "no"}), "obzvon is not connected"),
        ("GET /ari/asterisk/info", (200, b"<html>"), "JSON"),
    ],
)
def test_asterisk_is_ill(
    system: files.SystemSettings, asterisk: Any, request_line: str, answer: Any, finding: str
) -> None:
    asterisk.answers[request_line] = answer
    bad = [one for one in doctor.check_asterisk(system) if one.status != "ok"]
    assert len(bad) == 1
    assert finding in bad[0].finding
    assert bad[0].mend


def test_no_asterisk(home: Path) -> None:
    assert only(doctor.check_asterisk(files.load_system(home))).status == "warn"
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{line.getsockname()[1]}/ari"
        found = only(doctor.check_asterisk(settings(home, f'[asterisk]\nmode = "external"\nurl = "{url}"\n')))
    assert found.status == "fail"


def test_the_embedded_asterisk_is_found_by_its_note(home: Path) -> None:
    note = home / "asterisk" / "run" / "obzvon.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"pid": 1, "start_ticks": 2, "ports": {"http": 8123, "sip": 1}}))
    assert probes.ari_url(files.load_system(home)) == "http://127.0.0.1:8123/ari"
    note.write_text("{")
    assert probes.ari_url(files.load_system(home)) == ""


def apply_trunk(home: Path, port: int, transport: str = "udp") -> None:
    text = f'id = "carrier"\nhost = "127.0.0.1"\nport = {port}\ntransport = "{transport}"\n'
    (home / "trunks" / "carrier.toml").write_text(text)
    orders.apply_trunks(home, [])


def test_a_trunk_answers_our_options(home: Path, sip_peer: tuple[int, list[bytes]], monkeypatch: Any) -> None:
    monkeypatch.setattr(probes, "OPTIONS_WAIT_S", 0.2)
    port, came = sip_peer
    apply_trunk(home, port)
    found = only(doctor.check_trunks(files.load_system(home)))
    assert found.status == "ok"
    assert "answers OPTIONS with 200" in found.finding
    assert len(came) == 2, "one packet was lost, and asked again"
    head = came[0].decode().split("\r\n")
    assert head[0] == f"OPTIONS sip:127.0.0.1:{port} SIP/2.0"
    assert came[0].endswith(b"\r\n\r\n")
    assert {line.split(":")[0] for line in head[1:] if line} >= {
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Max-Forwards",
    }


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_trunk_is_down(home: Path, transport: str) -> None:
    with socket.socket(
        socket.AF_INET, socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    ) as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
    apply_trunk(home, port, transport)
    found = only(doctor.check_trunks(files.load_system(home)))
    assert found.status == "fail"
    assert f"127.0.0.1:{port}/{transport}" in found.finding


def test_a_trunk_is_online_says_asterisk(system: files.SystemSettings, asterisk: Any) -> None:
    apply_trunk(system.home, 1)
    asterisk.answers["GET /ari/endpoints/PJSIP"] = (200, [{"resource": "trunk-carrier", "state": "online"}])
    assert "online, says Asterisk" in only(doctor.check_trunks(system)).finding
    asterisk.answers["GET /ari/endpoints/PJSIP"] = (200, [{"resource": "trunk-carrier", "state": "offline"}])
    assert "Asterisk says offline" in only(doctor.check_trunks(system)).finding


def test_no_trunk(home: Path) -> None:
    assert only(doctor.check_trunks(files.load_system(home))).status == "warn"


# -- the engine and the whole -------------------------------------------------------------


def test_engine(home: Path, engine: Any) -> None:
    engine.answers["GET /v1/health"] = (200, {"live_calls": 2, "lag_ms": 1.5, "why_not": []})
    assert only(doctor.check_engine(home)).status == "ok"
    engine.answers["GET /v1/health"] = (200, {"why_not": ["Asterisk is not connected"]})
    assert statuses(doctor.check_engine(home)) == ["warn", "ok"]
    engine.answers["GET /v1/health"] = (500, {"error": "broken"})
    assert only(doctor.check_engine(home)).status == "fail"


def test_no_engine(home: Path) -> None:
    assert only(doctor.check_engine(home)).status == "warn"


def test_a_check_that_breaks_is_a_finding(home: Path) -> None:
    def breaks(_: Path) -> Iterator[Finding]:
        raise ZeroDivisionError

    assert doctor._guarded("x", breaks, home)[0].finding == "the check broke: ZeroDivisionError"


def test_exit_status() -> None:
    ok, warn, fail = (Finding(id="x", status=one, finding="") for one in ("ok", "warn", "fail"))
    assert [doctor.exit_status(one) for one in ([], [ok], [ok, warn], [fail, warn, ok])] == [0, 0, 1, 2]


def test_examine_goes_on_after_bad_settings(home: Path) -> None:
    (home / "obzvon.toml").write_text("x = 1\n")
    found = {one.id: one.status for one in doctor.examine(home)}
    assert found["files"] == "fail"
    assert found["journal"] == "ok"
