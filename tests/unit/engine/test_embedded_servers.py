"""Servers of our own: started, found again, stopped, and never somebody else's process."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from dialer.engine import child
from dialer.engine.embedded import EmbeddedError, find_asterisk
from dialer.engine.embeddedredis import EmbeddedRedis
from dialer.engine.ports import NoFreePort, choose_ports, is_free
from dialer.engine.process import Note, ServerProcess, is_alive, start_ticks

ENV = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("e")


async def is_answering(path: Path) -> bool:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"PING\r\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer.startswith(b"+PONG")


async def test_redis_comes_up_on_a_socket_of_its_owner_alone(folder):
    redis = EmbeddedRedis(folder / "r")
    await redis.start()
    try:
        assert redis.url == f"unix://{folder}/r/redis.sock"
        assert await is_answering(redis.socket)
        assert stat.S_IMODE(redis.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / "r").stat().st_mode) == 0o700
        sockets = [str(link.readlink()) for link in Path(f"/proc/{redis.pid}/fd").iterdir()]
        inodes = {name[8:-1] for name in sockets if name.startswith("socket:[")}
        tcp = [line.split() for line in Path(f"/proc/{redis.pid}/net/tcp").read_text().splitlines()[1:]]
        assert not [line for line in tcp if line[9] in inodes], "it listens on the network"
    finally:
        await redis.stop()
    assert redis.pid is None
    assert not redis.socket.exists()
    await redis.stop()


async def test_redis_starts_again_after_it_was_killed(folder):
    redis = EmbeddedRedis(folder / "r")
    await redis.start()
    first = redis.pid
    assert first is not None
    os.kill(first, 9)
    assert await asyncio.wait_for(redis.wait(), 5) == -9
    await redis.start()
    try:
        assert redis.pid != first
        assert not redis.is_adopted
        assert await is_answering(redis.socket)
    finally:
        await redis.stop()


async def test_a_second_owner_takes_over_a_redis_that_outlives(folder):
    first = EmbeddedRedis(folder / "r", outlive=True)
    await first.start()
    second = EmbeddedRedis(folder / "r", outlive=True)
    await second.start()
    assert second.is_adopted
    assert second.pid == first.pid
    await second.stop()
    assert second.pid is None
    assert first.pid is None or await first.wait() is not None


async def test_a_folder_with_a_long_path_is_a_clear_error(folder):
    with pytest.raises(EmbeddedError, match="too long for a socket"):
        await EmbeddedRedis(folder / ("x" * 100)).start()


def make_server(folder: Path, **changes: bool) -> ServerProcess:
    return ServerProcess(
        "Test", note=folder / "note.json", log=folder / "log", outlive=changes.get("outlive", False)
    )


async def test_a_server_that_ends_at_once_leaves_its_words(folder):
    server = make_server(folder)
    await server.spawn(["/bin/sh", "-c", "echo no such luck; exit 3"], folder=folder, ports={}, env=ENV)
    assert await server.wait() == 3
    assert server.pid is None
    assert "no such luck" in server.last_words()


async def test_a_program_that_is_not_there(folder):
    server = make_server(folder)
    await server.spawn(["/nonexistent/program"], folder=folder, ports={}, env=ENV)
    assert await server.wait() == child.EXIT_NO_PROGRAM
    assert "/nonexistent/program: No such file" in server.last_words()


async def test_a_server_that_does_not_listen_is_killed(folder):
    server = make_server(folder)
    await server.spawn(
        ["/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"],
        folder=folder,
        ports={},
        env=ENV,
    )
    pid = server.pid
    assert pid is not None
    async with asyncio.timeout(5):
        while "deaf" not in server.last_words():
            await asyncio.sleep(0.01)
    await server.stop(0.1)
    assert server.pid is None
    assert not Path(f"/proc/{pid}").exists()
    assert not (folder / "note.json").exists()


async def test_a_number_that_went_to_another_process_is_not_ours(folder):
    """The note names this very test process, but with another start: it must not be adopted or stopped."""
    note = Note(pid=os.getpid(), start_ticks=start_ticks(os.getpid()) - 1)
    assert not is_alive(note)
    (folder / "note.json").write_bytes(msgspec.json.encode(note))
    server = make_server(folder, outlive=True)
    assert server.find() is None
    await server.stop(1)


@pytest.mark.parametrize("text", ["", "{", '{"pid": "x"}', "[]"])
def test_a_broken_note_is_no_note(folder, text):
    (folder / "note.json").write_text(text)
    assert make_server(folder).find() is None


async def test_what_it_writes_is_its_owners_alone(folder):
    server = make_server(folder)
    await server.spawn(["/bin/sh", "-c", "echo x >made; mkdir d"], folder=folder, ports={}, env=ENV)
    await server.wait()
    assert stat.S_IMODE((folder / "made").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "d").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "log").stat().st_mode) == 0o600


async def test_an_orphan_does_not_start(folder):
    """The parent named is not the parent: it must have died before the kernel was asked."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        child.__file__,
        "1",
        "15",
        "--",
        "/bin/sh",
        "-c",
        "echo started >it",
        cwd=folder,
    )
    assert await process.wait() == child.EXIT_ORPHAN
    assert not (folder / "it").exists()


def test_ports_that_are_given_are_kept():
    ports = choose_ports(http=18001, sip=15001, rtp=(21000, 21099))
    assert (ports.http, ports.sip, ports.rtp_first, ports.rtp_last) == (18001, 15001, 21000, 21099)


def test_what_was_chosen_for_a_server_that_starts_at_the_same_time_is_not_chosen_again(monkeypatch):
    """Nobody listens on either yet. With one port for both the second would be found alive by the voice of the first."""
    first = choose_ports(rtp_count=40)
    monkeypatch.setattr("dialer.engine.ports.HTTP_SPAN", (first.http, first.http))
    with pytest.raises(NoFreePort, match="HTTP"):
        choose_ports(rtp_count=40, others=[first])
    monkeypatch.undo()
    monkeypatch.setattr("dialer.engine.ports.SIP_SPAN", (first.sip, first.sip + 1))
    with pytest.raises(NoFreePort, match="SIP"):
        choose_ports(rtp_count=40, others=[first])


def test_chosen_ports_are_free_and_apart():
    ports = choose_ports(rtp_count=40)
    assert is_free(ports.http, tcp=True)
    assert is_free(ports.sip, tcp=True, udp=True)
    assert ports.rtp_first % 2 == 0
    assert ports.rtp_last - ports.rtp_first == 39


def test_a_taken_port_is_not_free():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert not is_free(port, udp=True)
    assert is_free(port, udp=True)


def test_no_free_port_is_said(monkeypatch):
    monkeypatch.setattr("dialer.engine.ports.is_free", lambda *_, **__: False)
    with pytest.raises(NoFreePort, match="no 200 free ports for RTP"):
        choose_ports()
    with pytest.raises(NoFreePort, match="no free port for HTTP"):
        choose_ports(rtp=(20000, 20099))


def make_root(folder: Path, version: str) -> Path:
    """A private root whose loader is a script that says *version*."""
    loader = folder / "lib64/ld-linux-x86-64.so.2"
    for file in (
        loader,
        folder / "usr/sbin/asterisk",
        folder / "usr/lib/x86_64-linux-gnu/libc.so.6",
        folder / "usr/lib/x86_64-linux-gnu/asterisk/modules/chan_pjsip.so",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (folder / "usr/share/asterisk/documentation").mkdir(parents=True)
    loader.write_text(f"#!/bin/sh\n{version}\n")
    loader.chmod(0o755)
    return folder


def test_a_private_root_is_found(folder, monkeypatch):
    root = make_root(folder / "root", "echo Asterisk certified/22.8-cert1")
    monkeypatch.setenv("OBZVON_ASTERISK_ROOT", str(root))
    install = find_asterisk()
    assert install.root == root
    assert install.version == (22, 8)
    assert install.argv[-1] == str(root / "usr/sbin/asterisk")
    assert str(root / "usr/lib/x86_64-linux-gnu") in install.argv[2]
    assert install.data == root / "usr/share/asterisk"


@pytest.mark.parametrize(
    ("version", "spoil", "said"),
    [
        ("echo Asterisk 18.10.0", "", "is version 18.10.0, older than 20"),
        ("echo broken >&2; exit 1", "", "does not run: broken"),
        ("echo Asterisk 22.1.0", "usr/share/asterisk", "data folder"),
        ("echo Asterisk 22.1.0", "usr/lib/x86_64-linux-gnu/asterisk", "modules folder"),
        ("echo Asterisk 22.1.0", "lib64", "lacks the dynamic loader"),
        ("echo Asterisk 22.1.0", "usr/sbin", "holds none"),
    ],
)
def test_an_unusable_root_says_why(folder, monkeypatch, version, spoil, said):
    root = make_root(folder / "root", version)
    if spoil:
        shutil.rmtree(root / spoil)
    monkeypatch.setenv("OBZVON_ASTERISK_ROOT", str(root))
    monkeypatch.setattr("dialer.engine.install.shutil.which", lambda *_, **__: None)
    with pytest.raises(EmbeddedError, match=said) as caught:
        find_asterisk()
    assert "./dev setup" in str(caught.value)
