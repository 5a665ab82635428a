"""``dialer asterisk``: rendered, compared and installed from a home folder; no password is shown."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from dialer.core.deskphone import DeskPhone
from dialer.core.ids import ONLY, TrunkId
from dialer.core.values import Trunk
from dialer.engine import configuring
from dialer.engine.configuring import (
    difference,
    hep_password,
    install,
    masked,
    refresh,
    render,
    render_includes,
    settings_of,
    source_from,
    source_of,
)
from dialer.engine.process import EmbeddedError
from dialer.pbx.checks import BadSetting
from dialer.pbx.render import files_folder
from dialer.store import deskphones, files, settings
from dialer.store.connect import open_writer

SYSTEM = '[asterisk]\nmode = "external"\nurl = "http://127.0.0.1:1/ari"\n[ports]\nhttp = 8088\nsip = 5060\nrtp = 20000\n'
SECRET = "a-very-long-secret"


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    modules, data = tmp_path / "modules", tmp_path / "data"
    modules.mkdir()
    for line in (files_folder("asterisk-conf") / "modules.list").read_text().splitlines():
        if line and not line.startswith("#"):
            (modules / f"{line.split()[1]}.so").touch()
    (data / "documentation").mkdir(parents=True)
    return {"modules": modules, "data": data}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "run").mkdir()
    (home / "obzvon.toml").write_text(SYSTEM)
    files.write_private(home / "secrets.toml", f'ari = "{SECRET}"\nari_monitor = "another-long-secret"\n')
    with contextlib.closing(open_writer(home / "journal.sqlite3")) as connection:
        settings.apply_trunk(connection, Trunk(id=TrunkId("lab"), host="192.0.2.1"), 0.0)
    add(home, "101")
    return home


def add(home: Path, extension: str, secret: str = "phone-secret-") -> None:
    with contextlib.closing(open_writer(home / "journal.sqlite3")) as connection:
        deskphones.save_phone(connection, DeskPhone(extension=extension), time.time())
    files.add_secret(home, "phones", extension, secret + extension)


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Somebody's Asterisk."""
    etc = tmp_path / "etc"
    etc.mkdir()
    for name in ("pjsip", "extensions", "ari", "http", "modules"):
        (etc / f"{name}.conf").write_text("[general]\nenabled = yes\nautoload = yes\n")
    return etc


def test_a_complete_configuration_is_written_and_named(home, folders):
    conf = render(home, **folders)
    assert conf == home / "asterisk" / "etc" / "asterisk.conf"
    assert "bindport = 8088" in (conf.parent / "http.conf").read_text()
    ari = (conf.parent / "ari.conf").read_text()
    assert f"[obzvon]\ntype = user\nread_only = no\npassword_format = plain\npassword = {SECRET}\n" in ari
    assert "[obzvon-monitor]\ntype = user\nread_only = yes\n" in ari
    assert "[101]" in (conf.parent / "pjsip_phones.conf").read_text()


def test_an_embedded_asterisk_is_rendered_from_the_same_settings(home):
    """As one of one's own, but for the ports, which it is given when it starts."""
    (home / "obzvon.toml").write_text('language = "ru"\n[ports]\nexternal_address = "198.51.100.4"\n')
    found = settings_of(files.load_system(home), files.load_secrets(home), ONLY)
    assert (found.language, found.sip.outside, found.sip.bind) == ("ru", "198.51.100.4", "127.0.0.1")
    assert (found.ari_password, found.ari_monitor_password) == (SECRET, "another-long-secret")
    assert (found.shared, found.recordings) == (home / "run", home / "recordings")
    assert SECRET not in repr(found)


def test_copies_of_messages_go_where_somebody_listens_and_else_nowhere(home):
    (home / "obzvon.toml").write_text('[asterisk]\nhep = "127.0.0.1:9060"\n')
    system, secrets = files.load_system(home), files.load_secrets(home)
    as_set = settings_of(system, secrets, ONLY).hep
    assert as_set is not None
    assert (as_set.address, as_set.password) == ("127.0.0.1:9060", hep_password(secrets))
    assert SECRET not in as_set.password
    assert as_set.password not in repr(settings_of(system, secrets, ONLY))
    assert settings_of(system, secrets, ONLY, hep="").hep is None, "the port was taken"


def test_who_lacks_a_secret_is_told_and_who_needs_none_is_given_none(home):
    system, secrets = files.load_system(home), files.Secrets(trunks={"lab": "left"}, phones={"101": "s"})
    trunks = [
        Trunk(id=TrunkId("lab"), host="192.0.2.1"),
        Trunk(id=TrunkId("own"), host="192.0.2.1", username="u"),
    ]
    phones = [
        DeskPhone(extension="101"),
        DeskPhone(extension="102"),
        DeskPhone(extension="103", model="outside"),
    ]
    source, lacking = source_from(system, secrets, trunks, phones)
    assert [line.secret for line in source.trunks] == ["", ""], "a secret without a user name is left over"
    assert ([line.extension for line in source.phones], lacking) == (["101"], ["102"])


def test_without_its_password_there_is_no_monitor(home, folders):
    files.write_private(home / "secrets.toml", f'ari = "{SECRET}"\n')
    assert "monitor]" not in (render(home, **folders).parent / "ari.conf").read_text()


def test_it_may_go_elsewhere(home, folders, tmp_path):
    conf = render(home, to=tmp_path / "there", **folders)
    assert conf == tmp_path / "there" / "etc" / "asterisk.conf"
    assert not (home / "asterisk").exists()


@pytest.mark.parametrize("port", ["http", "sip", "rtp"])
def test_ports_must_be_set(home, folders, port):
    lines = [line for line in SYSTEM.splitlines() if not line.startswith(f"{port} =")]
    (home / "obzvon.toml").write_text("\n".join(lines))
    with pytest.raises(BadSetting, match=rf"ports.{port}: must be set"):
        render(home, **folders)


def test_an_unknown_server_is_a_clear_error(home, folders):
    with pytest.raises(BadSetting, match="there is no server 'north'"):
        render(home, server="north", **folders)  # type: ignore[arg-type]


def test_without_an_asterisk_its_folders_must_be_named(home, monkeypatch, tmp_path):
    monkeypatch.setenv("OBZVON_ASTERISK_ROOT", str(tmp_path / "none"))
    monkeypatch.setattr("dialer.engine.install.shutil.which", lambda *_, **__: None)
    with pytest.raises(EmbeddedError):
        render(home)


def test_the_difference_of_a_complete_configuration(home, folders):
    assert "+bindport = 8088" in difference(home, **folders), "all is new at first"
    render(home, **folders)
    assert difference(home, **folders) == ""
    add(home, "102")
    found = difference(home, **folders)
    assert "+[102]" in found
    assert "+password = *** (new)" in found
    assert "phone-secret" not in found
    assert SECRET not in found


def test_the_difference_of_include_files(home, etc):
    found = difference(home, etc)
    assert '+#include "obzvon/pjsip.conf"' in found
    assert SECRET not in found
    install(home, etc)
    assert difference(home, etc) == ""


def test_a_changed_password_is_seen_and_not_shown():
    before, after = masked(
        "[a]\npassword = old-one\npassword = same\n", "[a]\npassword = new-one\npassword = same\n"
    )
    assert before == "[a]\npassword = *** (old)\npassword = ***\n"
    assert after == "[a]\npassword = *** (new)\npassword = ***\n"
    assert masked("auth_password=x\n", "")[0] == "auth_password=*** (old)\n"
    theirs = "secret=x\nmd5_cred = x\nARIPassword=>x\noauth_secret=x\npassword_digest=MD5:x\n"
    assert "x" not in masked(theirs, "")[0]


def test_installing_says_what_was_done_and_what_is_to_do(home, etc):
    said = install(home, etc)
    assert f"written  {etc}/obzvon/pjsip.conf" in said
    assert f"written  {etc}/pjsip.conf" in said
    assert 'asterisk -rx "module reload res_pjsip.so"' in said, "nobody answers on the address of ARI"
    assert f'config_folder = "{etc}"' in said
    assert "nothing to change" in install(home, etc)
    assert "removed" in install(home, etc, is_removal=True)


def test_a_folder_must_be_named(home):
    with pytest.raises(BadSetting, match="--into"):
        install(home)


def test_only_include_files(home, tmp_path):
    ours = render_includes(home, tmp_path / "there")
    assert ours == tmp_path / "there" / "obzvon"
    assert {"pjsip.conf", "ari.conf", "extensions.conf"} <= {one.name for one in ours.iterdir()}
    assert [one.name for one in (tmp_path / "there").iterdir()] == ["obzvon"]


def test_include_files_need_no_ports_and_no_asterisk(home, tmp_path, monkeypatch):
    monkeypatch.setattr(configuring, "find_asterisk", lambda: pytest.fail("it was looked for"))
    (home / "obzvon.toml").write_text('[asterisk]\nmode = "external"\nurl = "http://127.0.0.1:1/ari"\n')
    ours = render_includes(home, tmp_path / "there")
    assert "type = transport" not in (ours / "pjsip.conf").read_text(), "theirs is used"
    assert "media_address" not in (ours / "pjsip_phones.conf").read_text()


def test_an_engine_keeps_up_to_date_what_was_installed_and_nothing_else(home, etc, folders):
    assert refresh(source_of(home), ONLY) == (), "nothing was rendered"
    render(home, **folders)
    assert refresh(source_of(home), ONLY) == ()
    add(home, "102")
    assert refresh(source_of(home), ONLY) == ("res_pjsip.so",)
    assert "[102]" in (home / "asterisk/etc/pjsip_phones.conf").read_text()

    (home / "obzvon.toml").write_text(SYSTEM.replace("[ports]", f'config_folder = "{etc}"\n[ports]'))
    assert refresh(source_of(home), ONLY) == (), "nothing was installed there"
    assert not (etc / "obzvon").exists()
    install(home)
    add(home, "103")
    assert refresh(source_of(home), ONLY) == ("res_pjsip.so",)
    assert "[103]" in (etc / "obzvon/pjsip_phones.conf").read_text()
    assert "[103]" not in (home / "asterisk/etc/pjsip_phones.conf").read_text()
