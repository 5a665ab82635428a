"""SIPp processes that stand side by side in one folder."""

from __future__ import annotations

from pathlib import Path

from dialer.lab.sipp import Sipp


def make(folder: Path, name: str, content: bytes) -> Sipp:
    return Sipp(
        name,
        folder=folder,
        scenario="<scenario/>",
        host="127.0.0.1",
        port=5060,
        media_port=6000,
        files={"voice.al": content},
    )


def test_a_voice_that_one_of_them_reads_is_whole_while_another_brings_the_same(tmp_path):
    make(tmp_path, "first", b"hello")._write_files()
    with (tmp_path / "voice.al").open("rb") as voice:
        make(tmp_path, "second", b"hello, hello")._write_files()
        assert voice.read() == b"hello"
    assert (tmp_path / "voice.al").read_bytes() == b"hello, hello"
    assert {one.name for one in tmp_path.iterdir()} == {"voice.al", "first.xml", "second.xml"}
