"""The machine, Redis, recordings and passwords, each fault planted alone."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from dialer.office.doctor import machine, recordings, redis, security
from dialer.office.doctor.facts import MachineFacts, ProcessFacts, RedisFacts
from dialer.store.files import MetricsSettings, RedisSettings, Secrets, SystemSettings
from tests.unit.doctor.healthy import ASTERISK, MACHINE, but
from tests.unit.doctor.plants import cases, faults, plants

Usage = namedtuple("Usage", "total used free")


@cases(
    ("host_name.slow", but(MACHINE, name_took_s=None)),
    ("host_name.slow", but(MACHINE, name_took_s=10.0)),
    ("host_name.unknown", but(MACHINE, name_failure="Name or service not known")),
    ("clock.unsynchronized", but(MACHINE, clock_state=machine.TIME_ERROR)),
    ("voice.missing", but(MACHINE, has_voice=False)),
    ("files_open.engine", but(MACHINE, engine=ProcessFacts(pid=9, files_max=256))),
    ("files_open.engine", but(MACHINE, engine=None, own_files_max=256)),
)
def test_what_is_wrong_with_the_machine(fault: str, plant: MachineFacts):
    assert faults(machine.judge(MACHINE)) == []
    assert faults(machine.judge(plant)) == [fault]


def test_the_mend_names_the_machine():
    (found,) = [one for one in machine.judge(but(MACHINE, name_failure="no")) if one.status == "warn"]
    assert found.mend == "add the line '127.0.1.1 here' to /etc/hosts"


def test_a_name_is_looked_up_and_not_waited_for(monkeypatch):
    def refuse(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    took_s, failure = machine.find_name("here", lambda *_: None)
    assert (took_s is not None, failure) == (True, "")
    assert machine.find_name("here", refuse)[1] == "Name or service not known"
    monkeypatch.setattr(machine, "NAME_WAIT_S", 0.01)
    release = threading.Event()
    assert machine.find_name("here", lambda *_: release.wait(10)) == (None, "")
    release.set()


def test_this_machine_can_be_looked_at():
    seen = machine.look(engine=os.getpid())
    assert seen.name == socket.gethostname()
    assert -1 <= seen.clock_state <= 5
    assert seen.engine is not None
    assert seen.engine.uid == os.geteuid()
    assert seen.engine.files_max is None or seen.engine.files_max > 0
    assert machine.process(2**22 + 1) is None


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_listening_sockets_are_seen_with_their_addresses(family):
    with socket.socket(family) as line:
        try:
            line.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        address, port = line.getsockname()[:2]
        assert (address, port) not in machine.listening()
        line.listen()
        assert (address, port) in machine.listening()


# -- Redis ----------------------------------------------------------------------------------------

REDIS = RedisFacts(version="9.1", compatible="7.2.4", eviction="noeviction")


@cases(
    ("redis.away", but(REDIS, failure="Connection refused")),
    ("redis.old", but(REDIS, compatible="5.0.14")),
    ("redis.old", but(REDIS, compatible="6.0.16")),
    ("redis.eviction", but(REDIS, eviction="allkeys-lru")),
    ("redis.memory", but(REDIS, memory_max=100, memory_used=95)),
    ("redis.saving", but(REDIS, is_saving_broken=True)),
    ("clock.redis", but(REDIS, clock_ahead_s=100.0)),
)
def test_what_is_wrong_with_redis(fault: str, plant: RedisFacts):
    assert faults(redis.judge(REDIS)) == []
    assert faults(redis.judge(but(REDIS, eviction="", memory_used=10**9, is_persistent=True))) == []
    assert faults(redis.judge(plant)) == [fault]


@plants("redis.not_started", "redis.away")
def test_no_redis(tmp_path: Path):
    system = SystemSettings(home=tmp_path)
    assert faults(redis.check(system, "")) == ["redis.not_started"]
    away = but(system, redis=RedisSettings(mode="external", url=f"unix://{tmp_path}/none.sock"))
    assert faults(redis.check(away, "")) == ["redis.away"]


# -- recordings -----------------------------------------------------------------------------------


@plants("recordings.low", "recordings.full")
@pytest.mark.parametrize(
    ("free", "fault"), [(10**12, []), (4 * 10**9, ["recordings.low"]), (10**8, ["recordings.full"])]
)
def test_recordings_have_room(tmp_path: Path, monkeypatch, free: int, fault: list[str]):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free, 0, free))
    assert faults(recordings.check_folder(tmp_path)) == fault


@plants("journal.full")
@pytest.mark.parametrize(("free", "fault"), [(10**9, []), (10**8, ["journal.full"])])
def test_the_journal_has_room(tmp_path: Path, monkeypatch, free: int, fault: list[str]):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free, 0, free))
    assert faults(recordings.check_journal(tmp_path)) == fault


@plants("recordings.folder_missing", "recordings.unwritable")
def test_recordings_have_a_folder_that_can_be_written(tmp_path: Path, monkeypatch):
    assert faults(recordings.check_folder(tmp_path / "none")) == ["recordings.folder_missing"]

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert faults(recordings.check_folder(tmp_path)) == ["recordings.unwritable"]


SOMEBODY = ProcessFacts(pid=7, uid=61234, groups=(61235,))


@plants("recordings.unwritable_for_asterisk")
@pytest.mark.parametrize(
    ("mode", "parent", "who", "is_found"),
    [
        (0o777, 0o755, SOMEBODY, False),
        (0o755, 0o755, SOMEBODY, True),
        (0o766, 0o755, SOMEBODY, True),
        (0o777, 0o700, SOMEBODY, True),
        (0o700, 0o700, ProcessFacts(pid=7, uid=0), False),
        (0o700, 0o700, ProcessFacts(pid=7, uid=os.geteuid() or 61234), os.geteuid() == 0),
        (0o770, 0o710, ProcessFacts(pid=7, uid=61234, groups=(os.getegid(),)), False),
        (0o750, 0o710, ProcessFacts(pid=7, uid=61234, groups=(os.getegid(),)), True),
    ],
)
def test_asterisk_s_user_can_write_recordings(
    tmp_path: Path, monkeypatch, mode: int, parent: int, who: ProcessFacts, is_found: bool
):
    """The folders above are anybody's to pass here, whatever they are on this machine."""
    folder = tmp_path / "a" / "recordings"
    folder.mkdir(parents=True)
    real = Path.stat

    def passable(self: Path, **options: Any) -> os.stat_result:
        facts = real(self, **options)
        if self not in (folder.parent, folder):
            facts = os.stat_result((0o40755, *facts[1:]))
        return facts

    monkeypatch.setattr(Path, "stat", passable)
    folder.chmod(mode)
    folder.parent.chmod(parent)
    found = faults(recordings.judge_asterisk(but(ASTERISK, process=who), folder))
    folder.parent.chmod(0o755)
    assert found == (["recordings.unwritable_for_asterisk"] if is_found else [])


@pytest.mark.parametrize(("mode", "is_found"), [(0o700, False), (0o577, True), (0o677, True)])
def test_asterisk_s_own_folder_is_judged_by_its_owner_s_rights(
    tmp_path: Path, monkeypatch, mode: int, is_found: bool
):
    """What others may is no help to the owner."""
    monkeypatch.setattr(
        Path,
        "stat",
        lambda self, **_: os.stat_result(
            (0o40000 | (mode if self == tmp_path else 0o755), 1, 1, 1, SOMEBODY.uid, 0, 0, 0, 0, 0)
        ),
    )
    assert (recordings.closed_at(tmp_path, SOMEBODY) is not None) == is_found


# -- who could get in -----------------------------------------------------------------------------

SYSTEM = SystemSettings(
    home=Path("/home"),
    redis=RedisSettings(mode="external", url="redis://127.0.0.1:6400/0"),
    metrics=MetricsSettings(port=9464),
)
SAFE = but(MACHINE, listening=(("127.0.0.1", 8088), ("::1", 6400), ("0.0.0.0", 22), ("127.0.0.1", 9464)))


@cases(
    ("security.ari_exposed", ("0.0.0.0", 8088)),
    ("security.ari_exposed", ("::", 8088)),
    ("security.ami_exposed", ("192.168.1.5", 5038)),
    ("security.redis_exposed", ("0.0.0.0", 6400)),
    ("security.metrics_exposed", ("0.0.0.0", 9464)),
)
def test_ports_that_others_reach(fault: str, plant: tuple[str, int]):
    assert faults(security.judge_ports(SAFE, SYSTEM, [ASTERISK])) == []
    exposed = but(SAFE, listening=(*SAFE.listening, plant))
    assert faults(security.judge_ports(exposed, SYSTEM, [ASTERISK])) == [fault]


@plants("security.ari_plain", "security.redis_plain")
def test_passwords_that_go_over_the_network():
    far = but(ASTERISK, url="http://10.0.0.5:8088/ari", is_here=False)
    assert faults(security.judge_ports(SAFE, SYSTEM, [far])) == ["security.ari_plain"]
    assert faults(security.judge_ports(SAFE, SYSTEM, [but(far, url="https://10.0.0.5:8089/ari")])) == []
    system = but(SYSTEM, redis=RedisSettings(mode="external", url="redis://10.0.0.6/0"))
    assert faults(security.judge_ports(SAFE, system, [ASTERISK])) == ["security.redis_plain"]
    system = but(SYSTEM, redis=RedisSettings(mode="external", url="rediss://10.0.0.6/0"))
    assert faults(security.judge_ports(SAFE, system, [ASTERISK])) == []


LONG = "kX3-pQ9_vB7mZ2sT8wYc4dRe"
SECRETS = Secrets(ari=LONG, phones={"101": LONG + "1", "102": LONG + "2"}, trunks={"north": "carrier-chose"})


@cases(
    ("security.ari_weak", {"ari": "obzvon"}, "is a common one"),
    ("security.ari_weak", {"servers": {"south": "short-one"}}, "shorter than 16"),
    ("security.phone_weak", {"phones": {"101": "101"}}, "is its name"),
    ("security.phone_weak", {"phones": {"101": "q7w-z"}}, "shorter than 10"),
    ("security.phone_weak", {"phones": {"101": "1010123456789"}}, "its name and digits"),
    ("security.phone_weak", {"phones": {"101": "aaaaaaaaaabb"}}, "repeats"),
    ("security.phone_shared", {"phones": {"101": LONG, "102": LONG}}, "101, 102"),
    ("security.trunk_weak", {"trunks": {"north": "u7"}}, "shorter than 6"),
    ("security.trunk_weak", {"trunks": {"north": "account7"}}, "is its name"),
)
def test_passwords_that_can_be_guessed(fault: str, plant: dict[str, Any], says: str):
    usernames = {"north": "account7"}
    assert faults(security.judge_passwords(SECRETS, usernames)) == []
    secrets = but(SECRETS, **plant)
    found = list(security.judge_passwords(secrets, usernames))
    assert faults(found) == [fault]
    assert says in found[0].finding
    for password in (*secrets.phones.values(), secrets.ari, *secrets.trunks.values()):
        if password not in ("101", "obzvon"):
            assert all(password not in one.finding for one in found), "it is never told"
