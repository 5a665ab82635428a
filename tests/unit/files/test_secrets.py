"""Secrets are read only when they are ours alone, and never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dialer.store import files
from dialer.store.files import BadFile

ARI = "0123456789abcdef"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    files.write_private(tmp_path / "secrets.toml", f'ari = "{ARI}"\n[phones]\n101 = "{ARI}-101"\n')
    return tmp_path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_is_refused(home: Path, mode: int) -> None:
    (home / "secrets.toml").chmod(mode)
    with pytest.raises(BadFile, match=rf"by others \(mode {mode:04o}\): refused; .*chmod 600"):
        files.load_secrets(home, {})


def test_a_file_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(BadFile, match=r"belongs to another user"):
        files.load_secrets(home, {})


def test_the_environment_goes_first(home: Path) -> None:
    secrets = files.load_secrets(
        home,
        {
            "OBZVON_SECRET_ARI": "from-the-environment",
            "OBZVON_SECRET_TRUNK_CARRIER_2": "trunk-pw",
            "OBZVON_SECRET_PHONE_101": "phone-pw",
        },
    )
    assert secrets.ari == "from-the-environment"
    assert secrets.trunk("carrier-2") == "trunk-pw"
    assert secrets.phone("101") == "phone-pw"
    assert files.load_secrets(home, {}).phone("101") == f"{ARI}-101"
    assert files.load_secrets(home, {}).phone("102") == ""


def test_without_a_file_the_environment_is_enough(tmp_path: Path) -> None:
    assert files.load_secrets(tmp_path, {"OBZVON_SECRET_ARI": ARI}).ari == ARI
    with pytest.raises(BadFile, match=r"ari: is missing; `dialer init` makes it, or set OBZVON_SECRET_ARI"):
        files.load_secrets(tmp_path, {})


def test_no_secret_is_shown(home: Path) -> None:
    assert ARI not in repr(files.load_secrets(home, {"OBZVON_SECRET_REDIS": ARI}))
    (home / "secrets.toml").write_text('ari = "hush me"\n[phones]\n101 = 12345\n')
    with pytest.raises(BadFile) as caught:
        files.load_secrets(home, {})
    assert "hush" not in str(caught.value)
    assert "12345" not in str(caught.value)


def test_a_secret_is_added_and_the_rest_stays(home: Path) -> None:
    files.add_secret(home, "phones", "102", ARI + "-102")
    files.add_secret(home, "trunks", "carrier-2", 'quote"and\\too')
    secrets = files.load_secrets(home, {})
    assert secrets.phones == {"101": f"{ARI}-101", "102": f"{ARI}-102"}
    assert secrets.trunk("carrier-2") == 'quote"and\\too'
    assert (home / "secrets.toml").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in home.iterdir()] == ["secrets.toml"]


def test_a_secret_that_is_unfit_is_not_added(home: Path) -> None:
    before = (home / "secrets.toml").read_text()
    with pytest.raises(BadFile, match=r"phones\.102"):
        files.add_secret(home, "phones", "102", "short")
    assert (home / "secrets.toml").read_text() == before


def test_new_secrets_differ_and_fit(home: Path) -> None:
    made = {files.new_secret() for _ in range(50)}
    assert len(made) == 50
    files.add_secret(home, "phones", "103", made.pop())
