"""The doctor on a home folder and its neighbours: what is asked, what is found, and the exit status that monitoring reads.

What is judged of plain values is in ``tests/unit/doctor``.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.incoming import Inbound
from dialer.core.values import Campaign, Trunk
from dialer.engine.embeddedredis import EmbeddedRedis
from dialer.office import doctor, orders
from dialer.office.doctor import asking, certificates, engine, machine, redis, sip
from dialer.office.doctor import home as at_home
from dialer.office.doctor.facts import AsteriskFacts
from dialer.store import files
from dialer.store.files import MetricsSettings
from tests.unit.doctor.plants import faults, plants

TLS = Path(__file__).resolve().parents[2] / "data" / "tls"
ENDS_AT = 1_826_872_497.0
"""Of the certificate there: 2027-11-22 08:34:57 UTC."""
DAY = 86_400.0


def settings(home: Path, text: str) -> files.SystemSettings:
    (home / "obzvon.toml").write_text(text)
    return files.load_system(home)


# -- the home folder ----------------------------------------------------------------------


@plants("files.unknown_trunk", "files.bad")
def test_files(home: Path) -> None:
    assert faults(at_home.check_files(home)) == []
    (home / "trunks" / "carrier.toml").unlink()
    found = list(at_home.check_files(home))
    assert faults(found) == ["files.unknown_trunk"]
    assert "names the trunk carrier" in found[0].finding
    (home / "trunks" / "carrier.toml").write_text('id = "carrier"\nhots = "x"\n')
    assert set(faults(at_home.check_files(home))) == {"files.bad"}


def test_a_folder_of_recordings_that_asterisk_cannot_be_told(home: Path) -> None:
    (home / "obzvon.toml").write_text('[recordings]\nfolder = "one,two"\n')
    (found,) = at_home.check_files(home)
    assert found == doctor.examine(home)[0]
    assert found.id == "files.bad"
    assert "one,two' holds ','; allowed: an absolute path without" in found.finding


@plants("numbers.taken_twice")
def test_a_number_of_ours_that_two_want() -> None:
    def takes(name: str, *numbers: str) -> Campaign:
        return Campaign(id=CampaignId(name), trunk=TrunkId("t"), inbound=Inbound(numbers=numbers))

    one, other = takes("one", "+74951112233", "+7 495 111-22-33"), takes("other", "74951112233")
    assert faults(at_home.judge_numbers([one, takes("third", "+74951112244")])) == []
    (found,) = at_home.judge_numbers([one, other])
    assert (found.id, found.finding) == (
        "numbers.taken_twice",
        "the number 74951112233 is taken by campaign one and campaign other",
    )
    assert faults(at_home.judge_numbers([one], ["+74951112233"])) == ["numbers.taken_twice"]


@plants("secrets.trunk_missing", "secrets.bad")
def test_secrets(home: Path) -> None:
    assert faults(at_home.check_secrets(home)) == []
    (home / "trunks" / "carrier.toml").write_text('id = "carrier"\nhost = "a.example"\nusername = "u"\n')
    assert faults(at_home.check_secrets(home)) == ["secrets.trunk_missing"]
    files.add_secret(home, "trunks", "carrier", "pw")
    assert faults(at_home.check_secrets(home)) == []
    (home / "secrets.toml").chmod(0o644)
    (found,) = at_home.check_secrets(home)
    assert found.id == "secrets.bad"
    assert "chmod 600" in found.mend


@plants("journal.too_new", "journal.pending", "journal.missing")
def test_journal(home: Path) -> None:
    assert faults(at_home.check_journal(home)) == []
    with closing(sqlite3.connect(home / "journal.sqlite3")) as connection, connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('obzvon', '9999_x', '')"
        )
    assert faults(at_home.check_journal(home)) == ["journal.too_new"]
    with closing(sqlite3.connect(home / "journal.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE name NOT LIKE '0001%'")
    assert faults(at_home.check_journal(home)) == ["journal.pending"]
    (home / "journal.sqlite3").unlink()
    assert faults(at_home.check_journal(home)) == ["journal.missing"]


@plants("journal.damaged")
@pytest.mark.parametrize("whole", [4096, 0])
def test_a_damaged_journal(home: Path, whole: int) -> None:
    journal = home / "journal.sqlite3"
    content = journal.read_bytes()
    journal.write_bytes(content[:whole] + b"\xff" * 8192 + content[whole + 8192 :])
    assert faults(at_home.check_journal(home)) == ["journal.damaged"]


@plants("phones.secret_missing")
def test_a_phone_without_secret(home: Path) -> None:
    orders.add_agent(home, "anna", "101")
    assert faults(at_home.check_journal(home)) == []
    secrets = home / "secrets.toml"
    secrets.write_text(secrets.read_text().split("[phones]")[0])
    found = [one for one in at_home.check_journal(home) if one.status == "fail"]
    assert faults(found) == ["phones.secret_missing"]
    assert found[0].mend == "dialer phone secret 101"


@plants("tls.expired", "tls.expires")
def test_our_certificate(home: Path) -> None:
    assert list(at_home.check_certificate(home, 0.0)) == [], "there is none, and none is needed"
    (home / "tls").mkdir()
    for name in ("certificate.pem", "key.pem"):
        (home / "tls" / name).write_bytes((TLS / name).read_bytes())
    for before_s, found in ((30 * DAY, []), (20 * DAY, ["tls.expires"]), (-DAY, ["tls.expired"])):
        assert faults(at_home.check_certificate(home, ENDS_AT - before_s)) == found
    (home / "tls" / "certificate.pem").write_text("rubbish")
    assert faults(at_home.check_certificate(home, 0.0)) == ["tls.expired"]


def test_when_a_certificate_ends() -> None:
    text = (TLS / "certificate.pem").read_text()
    assert certificates.ends_at(text) == ENDS_AT
    assert certificates.ends_at(f"Somebody's notes\n{text}{text}") == ENDS_AT
    der = ssl.PEM_cert_to_DER_cert(text)
    for cut in range(len(der)):  # whatever is cut off: an error of one kind, or the end was before
        try:
            assert certificates.ends_at(ssl.DER_cert_to_PEM_cert(der[:cut])) == ENDS_AT
        except ValueError:
            continue


def test_the_certificate_that_a_host_shows() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def show() -> None:
            line, _ = listener.accept()
            with line, context.wrap_socket(line, server_side=True):
                pass

        thread = threading.Thread(target=show)
        thread.start()
        assert certificates.shown_by("127.0.0.1", listener.getsockname()[1], 5.0) == ENDS_AT
        thread.join()


# -- Redis --------------------------------------------------------------------------------


@pytest.fixture
async def valkey(home: Path) -> Any:
    async with EmbeddedRedis(home / "redis") as server:
        yield server


@plants("redis.eviction", "redis.memory", "clock.redis")
async def test_a_real_redis(home: Path, valkey: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    import redis as library

    system = files.load_system(home)

    def findings() -> list[doctor.Finding]:
        return list(redis.check(system, ""))

    (well,) = await asyncio.to_thread(findings)
    assert well.status == "ok"
    assert "keeps nothing on disk" in well.finding

    def set_to(**options: str) -> None:
        with library.Redis.from_url(valkey.url) as client:
            for name, value in options.items():
                client.config_set(name.replace("_", "-"), value)

    await asyncio.to_thread(set_to, maxmemory_policy="allkeys-lru", save="60 1")
    found = await asyncio.to_thread(findings)
    assert faults(found) == ["redis.eviction"]
    assert "keeps its data" in found[-1].finding
    await asyncio.to_thread(set_to, maxmemory_policy="noeviction", maxmemory="1000000")
    assert faults(await asyncio.to_thread(findings)) == ["redis.memory"]
    await asyncio.to_thread(set_to, maxmemory="0")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 100)
    assert faults(await asyncio.to_thread(findings)) == ["clock.redis"]


# -- Asterisk -----------------------------------------------------------------------------


@pytest.fixture
def system(home: Path, asterisk: Any) -> files.SystemSettings:
    return settings(home, f'[asterisk]\nmode = "external"\nurl = "{asterisk.url}"\n')


def ask(system: files.SystemSettings, *trunks: Trunk, phones: tuple[str, ...] = ()) -> AsteriskFacts:
    (found,) = asking.asterisks(system, files.load_secrets(system.home), trunks, phones)
    return found


def test_asking_changes_nothing(system: files.SystemSettings, asterisk: Any) -> None:
    found = ask(system)
    assert found.is_well
    assert (found.version, found.major, found.has_app, found.is_read_only) == ("22.10.1", 22, True, False)
    assert all("obzvon-doctor" in one for one in asterisk.asked if not one.startswith("GET"))


@pytest.mark.parametrize(
    ("request_line", "answer", "fact", "value"),
    [
        ("GET /ari/asterisk/info", (401, {"message": "no"}), "is_unauthorized", True),
        ("GET /ari/asterisk/info", (200, {"system": {"version": "18.3.0"}}), "major", 18),
        (
            "DELETE /ari/bridges/obzvon-doctor-asks-and-there-is-none",
            (403, {"message": "no"}),
            "is_read_only",
            True,
        ),
        ("GET /ari/applications/obzvon", (404, {"message": "no"}), "has_app", False),
        ("GET /ari/recordings/stored", (500, {"error": "Allocation failed"}), "can_record", False),
        ("GET /ari/asterisk/variable", (200, {"value": "abc"}), "dialplan", "abc"),
        (
            "GET /ari/asterisk/modules",
            (200, [{"name": "a.so", "status": "Running"}, {"name": "b.so", "status": "Not Running"}]),
            "modules",
            frozenset({"a.so"}),
        ),
        (
            "GET /ari/endpoints/PJSIP",
            (200, [{"resource": "101", "state": "online"}]),
            "states",
            {"101": "online"},
        ),
    ],
)
def test_what_asterisk_says(
    system: files.SystemSettings, asterisk: Any, request_line: str, answer: Any, fact: str, value: Any
) -> None:
    asterisk.answers[request_line] = answer
    assert getattr(ask(system), fact) == value


def test_asterisk_answers_rubbish(system: files.SystemSettings, asterisk: Any) -> None:
    asterisk.answers["GET /ari/asterisk/info"] = (200, b"<html>")
    assert "JSON" in ask(system).failure


def test_its_clock(system: files.SystemSettings, asterisk: Any) -> None:
    asterisk.answers["GET /ari/asterisk/ping"] = (200, {"timestamp": "2026-11-22T08:20:50.878+0000"})
    ahead_s = ask(system).clock_ahead_s
    assert ahead_s is not None
    assert ahead_s == pytest.approx(1_795_335_650.878 - time.time(), abs=5.0)
    asterisk.answers["GET /ari/asterisk/ping"] = (200, {"timestamp": "soon"})
    assert ask(system).clock_ahead_s is None


def test_a_user_who_is_to_look_only_and_may_write(system: files.SystemSettings, asterisk: Any) -> None:
    asterisk.answers["GET /ari/asterisk/ping"] = (200, {})
    assert ask(system).monitor_writes is True
    asterisk.answers["DELETE /ari/bridges/obzvon-doctor-asks-and-there-is-none"] = (403, {"message": "no"})
    assert ask(system).monitor_writes is False
    del asterisk.answers["GET /ari/asterisk/ping"]
    assert ask(system).monitor_writes is None, "Asterisk does not know them"


def test_no_asterisk(home: Path) -> None:
    assert not ask(files.load_system(home)).is_running
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{line.getsockname()[1]}/ari"
        found = ask(settings(home, f'[asterisk]\nmode = "external"\nurl = "{url}"\n'))
    assert found.failure
    assert not found.is_well


def test_the_embedded_asterisk_is_found_by_its_note(home: Path) -> None:
    note = home / "asterisk" / "run" / "obzvon.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"pid": 1, "start_ticks": 2, "ports": {"http": 1, "sip": 1}}))
    assert ask(files.load_system(home)).url == "http://127.0.0.1:1/ari"
    note.write_text("{")
    assert not ask(files.load_system(home)).is_running


# -- trunks -------------------------------------------------------------------------------


def a_trunk(port: int, **changes: Any) -> Trunk:
    return msgspec.structs.replace(Trunk(id=TrunkId("carrier"), host="127.0.0.1", port=port), **changes)


def test_a_trunk_answers_our_options(sip_peer: tuple[int, list[bytes]], monkeypatch: Any) -> None:
    monkeypatch.setattr(sip, "WAIT_S", 0.2)
    port, came = sip_peer
    ((far,),) = asking.far_ends([a_trunk(port)]).values()
    assert (far.status, far.address, far.leaves_from) == (200, "127.0.0.1", "127.0.0.1")
    assert len(came) == 2, "one packet was lost, and asked again"
    head = came[0].decode().split("\r\n")
    assert head[0] == f"OPTIONS sip:127.0.0.1:{port} SIP/2.0"
    assert came[0].endswith(b"\r\n\r\n")
    wanted = {"Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards"}
    assert {line.split(":")[0] for line in head[1:] if line} >= wanted


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_trunk_is_down(transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as line:
        line.bind(("127.0.0.1", 0))
        port = line.getsockname()[1]
    ((far,),) = asking.far_ends([a_trunk(port, transport=transport)]).values()
    assert far.status == 0
    assert far.failure


def test_each_host_of_a_trunk_is_looked_at(sip_peer: tuple[int, list[bytes]], monkeypatch: Any) -> None:
    monkeypatch.setattr(sip, "WAIT_S", 0.2)
    port, _ = sip_peer
    (ends,) = asking.far_ends([a_trunk(1, hosts=(f"127.0.0.1:{port}", "no.such.host.invalid"))]).values()
    assert [far.status for far in ends] == [0, 200, None]
    assert ends[2].address == ""


def test_who_is_online_is_not_asked_again(sip_peer: tuple[int, list[bytes]]) -> None:
    port, came = sip_peer
    ((far,),) = asking.far_ends([a_trunk(port)], online=["carrier"]).values()
    assert far.status is None
    assert came == []


# -- the engine and the whole -------------------------------------------------------------

UNWATCHED = MetricsSettings()


@plants("engine.no_calls", "engine.broken", "engine.lag", "engine.metrics")
def test_engine(home: Path, engine: Any) -> None:
    def found(metrics: MetricsSettings = UNWATCHED, **health: Any) -> list[str]:
        engine.answers["GET /v1/health"] = (200, {"live_calls": 2, "lag_ms": 1.5, "why_not": []} | health)
        return faults(doctor.engine.check(home, metrics))

    assert found() == []
    assert found(why_not=["Asterisk is not connected"]) == ["engine.no_calls"]
    assert found(lag_ms=2000.0) == ["engine.lag"]
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        assert found(MetricsSettings(port=line.getsockname()[1])) == ["engine.metrics"]
    engine.answers["GET /v1/health"] = (500, {"error": "broken"})
    assert faults(doctor.engine.check(home, UNWATCHED)) == ["engine.broken"]


@plants("engine.not_running")
def test_no_engine(home: Path) -> None:
    assert faults(engine.check(home, UNWATCHED)) == ["engine.not_running"]
    assert engine.process_of(home) is None
    (home / "run" / "engine.lock").write_text("4711\n")
    assert engine.process_of(home) == 4711


@plants("doctor.broke")
def test_a_check_that_breaks_is_a_finding(home: Path) -> None:
    def breaks(_: Path) -> Iterator[doctor.Finding]:
        yield doctor.findings.ok("x", "this much was seen")
        raise ZeroDivisionError

    seen, broke = doctor._guarded(breaks, home)
    assert seen.status == "ok"
    assert faults([broke]) == ["doctor.broke"]
    assert broke.finding.endswith("ZeroDivisionError")


def test_neighbours_who_take_a_connection_and_say_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every wait is bounded: this ends, and says who keeps silent."""
    monkeypatch.setattr(asking, "WAIT_S", 0.2)
    monkeypatch.setattr(redis, "WAIT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        port = silent.getsockname()[1]
        settings(
            home,
            f'[asterisk]\nmode = "external"\nurl = "http://127.0.0.1:{port}/ari"\n'
            f'[redis]\nmode = "external"\nurl = "redis://127.0.0.1:{port}/0"\n',
        )
        found = set(faults(doctor.examine(home)))
    assert found >= {"asterisk.away", "redis.away", "engine.not_running"}
    assert "doctor.broke" not in found


def test_exit_status() -> None:
    def one(status: Any) -> doctor.Finding:
        return doctor.Finding(id="x", status=status, finding="")

    many = [[], ["ok", "skip"], ["ok", "warn"], ["fail", "warn", "ok"]]
    assert [doctor.exit_status([one(status) for status in some]) for some in many] == [0, 0, 1, 2]


def test_examine_goes_on_after_bad_settings(home: Path) -> None:
    (home / "obzvon.toml").write_text("x = 1\n")
    found = {one.id: one.status for one in doctor.examine(home)}
    assert found["files.bad"] == "fail"
    assert found["journal"] == "ok"


def test_the_whole_of_it_on_a_fresh_home(home: Path, dialer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "kernel_clock_state", lambda: 0)
    said = dialer("doctor", "--format", "json")
    rows = json.loads(said.stdout)
    assert said.exit_code == 1
    assert all(set(row) == {"id", "status", "finding", "mend"} for row in rows)
    bad = {row["id"] for row in rows if row["status"] in ("warn", "fail")}
    assert bad - {"host_name.unknown", "host_name.slow", "files_open.engine", "recordings.low"} == {
        "redis.not_started",
        "asterisk.not_started",
        "trunks.none",
        "engine.not_running",
    }
    (home / "trunks" / "carrier.toml").write_text("x = 1\n")
    assert dialer("doctor").exit_code == 2


def test_findings_are_values() -> None:
    assert msgspec.json.decode(msgspec.json.encode(doctor.rows([doctor.findings.ok("x", "y")]))) == [
        {"id": "x", "status": "ok", "finding": "y", "mend": ""}
    ]
