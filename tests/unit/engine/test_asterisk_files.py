"""The configuration for an Asterisk of one's own, from a home folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialer.engine import asterisk_files
from dialer.pbx.render import files_folder

SYSTEM = (
    '[asterisk]\nmode = "external"\nurl = "http://127.0.0.1:8088/ari"\n[ports]\nhttp = 8088\nsip = 5060\n'
)


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    modules, data = tmp_path / "modules", tmp_path / "data"
    modules.mkdir()
    for line in (files_folder("asterisk-conf") / "modules.list").read_text().splitlines():
        if line and not line.startswith("#"):
            (modules / f"{line.split()[1]}.so").touch()
    (data / "documentation").mkdir(parents=True)
    return ["--modules", str(modules), "--data", str(data)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "obzvon.toml").write_text(SYSTEM + "rtp = 20000\n")
    (home / "secrets.toml").write_text('ari = "a-long-secret"\n')
    (home / "secrets.toml").chmod(0o600)
    return home


def test_it_is_written_and_named(home, folders, capsys):
    assert asterisk_files.main([str(home), *folders]) == 0
    conf = Path(capsys.readouterr().out.strip())
    assert conf == home / "asterisk/etc/asterisk.conf"
    assert "bindport = 8088" in (conf.parent / "http.conf").read_text()
    assert "password = a-long-secret" in (conf.parent / "ari.conf").read_text()


def test_ports_must_be_set(home, folders, capsys):
    (home / "obzvon.toml").write_text(SYSTEM)
    assert asterisk_files.main([str(home), *folders]) == 2
    assert "ports.rtp: must be set" in capsys.readouterr().err


def test_no_home_is_a_clear_error(tmp_path, folders, capsys):
    assert asterisk_files.main([str(tmp_path / "none"), *folders]) == 2
    assert "obzvon.toml" in capsys.readouterr().err
