"""Asterisk's configuration from values: what is written, and what is refused before anything is written."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.core.values import Trunk
from dialer.pbx.checks import BadSetting, conf_value
from dialer.pbx.render import (
    PhoneLine,
    TrunkLine,
    dialplan_version,
    files_folder,
    render_asterisk,
    render_lines,
)
from dialer.pbx.settings import Hep, Settings, Sip


@pytest.fixture
def install(tmp_path: Path) -> dict[str, Path]:
    """Folders like those of an installed Asterisk that has every module that we name."""
    modules, data = tmp_path / "modules", tmp_path / "data"
    modules.mkdir()
    for line in (files_folder("asterisk-conf") / "modules.list").read_text().splitlines():
        if line and not line.startswith("#"):
            (modules / f"{line.split()[1]}.so").touch()
    for folder in ("documentation", "sounds/en_US_f_Allison", "keys"):
        (data / folder).mkdir(parents=True)
    (data / "sounds" / "en").symlink_to("/nowhere/alternatives/asterisk-prompt-en")
    return {"modules": modules, "data": data}


def render(target: Path, install: dict[str, Path], **changes: Any) -> Path:
    """*changes*: of what is rendered, and, by their names there, of the settings and of SIP's (``sip_bind``)."""
    names = {"sip_bind": "bind", "sip_port": "port", "outside": "outside", "tls": "tls"}
    sip = {field: changes.pop(name) for name, field in names.items() if name in changes}
    of_settings = {name: changes.pop(name) for name in Settings.__struct_fields__ if name in changes}
    usual: dict[str, Any] = {"ari_password": "pw", "http_port": 18088, "rtp": (20000, 20199)}
    settings = Settings(**(usual | of_settings), sip=Sip(**({"port": 15060} | sip)))
    return render_asterisk(target, settings, **(install | changes))


def trunk(**settings: Any) -> Trunk:
    return Trunk(**({"id": "lab", "host": "192.0.2.1"} | settings))


def read_sections(text: str) -> list[tuple[str, dict[str, str]]]:
    """Sections as Asterisk's parser finds them: comments off, escaped semicolons back."""
    sections: list[tuple[str, dict[str, str]]] = []
    for raw in text.splitlines():
        line = raw.replace("\\;", "\0").partition(";")[0].replace("\0", ";").strip()
        if line.startswith("["):
            sections.append((line.strip("[]"), {}))
        elif line:
            key, _, value = line.partition("=")
            sections[-1][1][key.strip()] = value.strip()
    return sections


def section_of(path: Path, name: str, kind: str) -> dict[str, str]:
    return next(
        keys for found, keys in read_sections(path.read_text()) if found == name and keys["type"] == kind
    )


def test_everything_stands_in_one_private_folder(tmp_path, install):
    conf = render(tmp_path / "a", install)
    assert conf == tmp_path / "a" / "etc" / "asterisk.conf"
    for path in (tmp_path / "a").rglob("*"):
        if path.is_symlink():
            continue
        if path.parent.name in ("etc", "dialplan"):
            assert path.stat().st_mode & 0o077 == 0, path
    for folder in ("etc", "run", "log", "spool", "db", "share", "moh"):
        assert (tmp_path / "a" / folder).stat().st_mode & 0o777 == 0o700
    assert f"astmoddir => {install['modules']}" in conf.read_text()
    assert "$" not in "".join(
        path.read_text() for path in conf.parent.glob("*.conf") if path.name != "extensions.conf"
    )


def test_what_the_dialplan_runs_is_rendered_with_it(tmp_path, install):
    etc = render(tmp_path / "a", install).parent
    assert (etc / "amd.conf").read_text() == (files_folder("asterisk-conf") / "amd.conf").read_text()
    assert {path.name for path in (etc / "dialplan").iterdir()} == {
        path.name for path in files_folder("dialplan").glob("*.conf")
    }
    modules = (etc / "modules.conf").read_text()
    assert "require = app_amd.so" in modules
    assert "require = app_waitforsilence.so" in modules


def test_it_may_be_rendered_again(tmp_path, install):
    render(tmp_path / "a", install)
    (tmp_path / "a" / "db" / "astdb.sqlite3").write_text("kept")
    conf = render(tmp_path / "a", install, http_port=18089)
    assert "bindport = 18089" in (conf.parent / "http.conf").read_text()
    assert (tmp_path / "a" / "db" / "astdb.sqlite3").read_text() == "kept"


def played(conf: Path) -> str:
    return section(conf.parent / "musiconhold.conf")["directory"]


def section(path: Path) -> dict[str, str]:
    return read_sections(path.read_text())[0][1]


def test_who_is_held_hears_the_customers_music_or_our_own(tmp_path, install):
    music, own = tmp_path / "music", tmp_path / "a" / "moh"
    assert played(render(tmp_path / "a", install)) == str(own)
    assert played(render(tmp_path / "a", install, music=music)) == str(own), "there is no such folder"
    music.mkdir()
    (music / "readme.txt").write_text("put your music here")
    assert played(render(tmp_path / "a", install, music=music)) == str(own), "nor any music in it"
    (music / "waltz.wav").write_bytes(b"")
    assert played(render(tmp_path / "a", install, music=music)) == str(music)
    assert [one.name for one in own.iterdir()] == ["bells.wav"]


def test_asterisk_speaks_the_wanted_language_if_its_sounds_are_installed(tmp_path, install):
    def language(folder: str, **changes: Any) -> str:
        text = render(tmp_path / folder, install, **changes).read_text()
        return str(next(line for line in text.splitlines() if line.startswith("defaultlanguage")))

    assert language("a") == "defaultlanguage = en"
    assert language("b", language="ru") == "defaultlanguage = en", "there is no such voice"
    (install["data"] / "sounds" / "ru_RU_f_IvrvoiceRU").mkdir()
    assert language("c", language="ru") == "defaultlanguage = ru"
    assert (tmp_path / "c" / "share" / "sounds" / "ru").resolve().name == "ru_RU_f_IvrvoiceRU"


def test_loopback_unless_told_otherwise(tmp_path, install):
    lines = {"trunks": [TrunkLine(trunk=trunk())], "phones": [PhoneLine(extension="101", secret="s")]}
    etc = render(tmp_path / "a", install, **lines).parent
    assert "bindaddr = 127.0.0.1" in (etc / "http.conf").read_text()
    assert (etc / "pjsip.conf").read_text().count("bind = 127.0.0.1:15060") == 2
    for name, path in (("trunk-lab", etc / "pjsip_trunks.conf"), ("101", etc / "pjsip_phones.conf")):
        endpoint = section_of(path, name, "endpoint")
        assert endpoint["media_address"] == "127.0.0.1"
        assert endpoint["bind_rtp_to_media_address"] == "yes"
    etc = render(tmp_path / "b", install, sip_bind="0.0.0.0", **lines).parent
    assert "bind = 0.0.0.0:15060" in (etc / "pjsip.conf").read_text()
    assert "bindaddr = 127.0.0.1" in (etc / "http.conf").read_text()
    assert "media_address" not in section_of(etc / "pjsip_phones.conf", "101", "endpoint")


def test_behind_address_translation_the_outside_is_told_our_public_address(tmp_path, install):
    text = (render(tmp_path / "a", install).parent / "pjsip.conf").read_text()
    assert "external_" not in text.replace("ports.external_address", "")
    text = (render(tmp_path / "b", install, outside="198.51.100.4").parent / "pjsip.conf").read_text()
    for name in ("transport-udp", "transport-tcp", "transport-tls"):
        values = section_of(tmp_path / "b" / "etc" / "pjsip.conf", name, "transport")
        assert values["external_media_address"] == values["external_signaling_address"] == "198.51.100.4"
    assert text.count("local_net = 192.168.0.0/16") == 3
    with pytest.raises(BadSetting, match="external_address"):
        render(tmp_path / "c", install, outside="carrier.example")


def test_another_dialplan_has_another_version(tmp_path, install, monkeypatch):
    version = dialplan_version()
    text = (render(tmp_path / "a", install).parent / "extensions.conf").read_text()
    assert f"\nOBZVON_DIALPLAN = {version}\n" in text
    ours = tmp_path / "ours"
    shutil.copytree(files_folder("dialplan"), ours / "dialplan")
    shutil.copytree(files_folder("asterisk-conf"), ours / "asterisk-conf")
    monkeypatch.setattr("dialer.pbx.render.files_folder", lambda name: ours / name)
    dialplan_version.cache_clear()
    assert dialplan_version() == version
    (ours / "dialplan" / "99-more.conf").write_text("[more]\n")
    dialplan_version.cache_clear()
    assert dialplan_version() != version
    dialplan_version.cache_clear()


def test_phones_are_known_by_digest_alone(tmp_path, install):
    etc = render(tmp_path / "a", install, phones=[PhoneLine(extension="101", secret="s;x")]).parent
    phones = etc / "pjsip_phones.conf"
    assert section_of(phones, "101", "endpoint")["auth"] == "101"
    assert section_of(phones, "101", "endpoint")["context"] == "obzvon-phones"
    assert section_of(phones, "101", "auth")["password"] == "s;x"
    assert section_of(phones, "101", "aor")["max_contacts"] == "1"
    assert section_of(phones, "101", "endpoint")["identify_by"] == "username,auth_username"
    order = section_of(etc / "pjsip.conf", "global", "global")["endpoint_identifier_order"]
    assert order == "username,auth_username,ip", (
        "addresses come last, and only carriers have an identify section"
    )
    assert "identify" not in {keys.get("type") for _, keys in read_sections(phones.read_text())}


def test_a_caller_cannot_pass_for_the_trunk(tmp_path, install):
    """The trunk's endpoint has no inbound authentication: it must not be found by a From header."""
    etc = render(tmp_path / "a", install, trunks=[TrunkLine(trunk=trunk())]).parent
    endpoint = section_of(etc / "pjsip_trunks.conf", "trunk-lab", "endpoint")
    assert endpoint["identify_by"] == "ip"
    assert endpoint["context"] == "obzvon-closed"
    assert "outbound_auth" not in endpoint


def test_who_sends_a_call_elsewhere_sends_it_to_where_calls_are_refused(tmp_path, install):
    lines = {
        "trunks": [TrunkLine(trunk=trunk(is_inbound=True))],
        "phones": [PhoneLine(extension="101", secret="s")],
    }
    etc = render(tmp_path / "a", install, **lines).parent
    for file, name in (("pjsip_trunks.conf", "trunk-lab"), ("pjsip_phones.conf", "101")):
        assert section_of(etc / file, name, "endpoint")["set_var"] == "FORWARD_CONTEXT=obzvon-closed"


def test_a_carrier_that_fell_silent_is_hung_up_and_a_silent_phone_is_not(tmp_path, install):
    """A lost BYE would keep the operator for ever; a muted phone may send nothing while it waits."""
    lines = {"trunks": [TrunkLine(trunk=trunk())], "phones": [PhoneLine(extension="101", secret="s")]}
    etc = render(tmp_path / "a", install, **lines).parent
    carrier = section_of(etc / "pjsip_trunks.conf", "trunk-lab", "endpoint")
    assert 0 < int(carrier["rtp_timeout"]) < int(carrier["rtp_timeout_hold"])
    phone = section_of(etc / "pjsip_phones.conf", "101", "endpoint")
    assert not {"rtp_timeout", "rtp_timeout_hold"} & set(phone)


def test_a_phone_that_is_gone_is_noticed(tmp_path, install):
    """Between calls by a question every 20 s, on a parked line by session timers: both are silent otherwise."""
    phones = [PhoneLine(extension="101", secret="s")]
    path = render(tmp_path / "a", install, phones=phones).parent / "pjsip_phones.conf"
    assert section_of(path, "101", "aor")["qualify_frequency"] == "20"
    endpoint = section_of(path, "101", "endpoint")
    assert (endpoint["timers"], endpoint["timers_sess_expires"]) == ("always", "90")


def test_a_trunk_with_everything(tmp_path, install):
    line = TrunkLine(
        trunk=trunk(
            host="sip.example.com", port=5070, transport="tcp", username="u.1", register=True,
            codecs=("ulaw", "alaw", "ulaw"), options_interval_s=0,
        ),
        secret="p\\;w",
    )  # fmt: skip
    path = render(tmp_path / "a", install, trunks=[line]).parent / "pjsip_trunks.conf"
    aor = section_of(path, "trunk-lab", "aor")
    assert aor["contact"] == "sip:sip.example.com:5070;transport=tcp"
    assert aor["qualify_frequency"] == "0"
    endpoint = section_of(path, "trunk-lab", "endpoint")
    assert endpoint["transport"] == "transport-tcp"
    assert endpoint["allow"] == "ulaw,alaw"
    assert endpoint["outbound_auth"] == "trunk-lab"
    assert endpoint["from_user"] == "u.1"
    registration = section_of(path, "trunk-lab", "registration")
    assert registration["server_uri"] == "sip:sip.example.com:5070;transport=tcp"
    assert registration["client_uri"] == "sip:u.1@sip.example.com:5070;transport=tcp"
    # the parser gives one backslash back for the one that guards the semicolon
    assert "password = p\\\\;w" in path.read_text()


def test_ipv6_hosts_are_bracketed(tmp_path, install):
    path = render(tmp_path / "a", install, trunks=[TrunkLine(trunk=trunk(host="2001:db8::1"))]).parent
    assert section_of(path / "pjsip_trunks.conf", "trunk-lab", "aor")["contact"] == "sip:[2001:db8::1]:5060"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ari_password": "a\n[other]\ntype=user"}, "ari_password: control characters"),
        ({"ari_password": ""}, "ari_password: is empty"),
        ({"ari_password": " x"}, "blank"),
        ({"ari_user": "a]\n"}, "ari_user"),
        ({"http_port": 0}, "http_port: 0 is not a port"),
        ({"sip_port": 65536}, "sip_port"),
        ({"rtp": (20000, 20002)}, "no room for a call"),
        ({"sip_bind": "localhost"}, "not an IP address"),
        ({"language": "en\n"}, "language"),
        ({"phones": [PhoneLine(extension="101", secret="s", codecs=("g729",))]}, "g729; allowed: alaw, ulaw"),
        ({"phones": [PhoneLine(extension="10x", secret="s")]}, "phone 10x"),
        ({"phones": [PhoneLine(extension="101", secret="")]}, "phone 101: secret: is empty"),
        (
            {"phones": [PhoneLine(extension="101", secret="s\n#include /etc/passwd")]},
            "phone 101: secret: control",
        ),
        ({"phones": [PhoneLine(extension="101", secret="s")] * 2}, "phone 101: given twice"),
        ({"trunks": [TrunkLine(trunk=trunk())] * 2}, "trunk lab: given twice"),
        ({"trunks": [TrunkLine(trunk=trunk(id="a b"))]}, "trunk a b"),
        ({"trunks": [TrunkLine(trunk=trunk(host="a;b"))]}, "trunk lab: host"),
        ({"trunks": [TrunkLine(trunk=trunk(host="a\ncontext=x"))]}, "trunk lab: host"),
        ({"trunks": [TrunkLine(trunk=trunk(port=0))]}, "trunk lab: port"),
        ({"trunks": [TrunkLine(trunk=trunk(transport="sctp"))]}, "none of udp, tcp, tls"),
        ({"trunks": [TrunkLine(trunk=trunk(codecs=("opus",)))]}, "trunk lab: codecs: opus"),
        ({"trunks": [TrunkLine(trunk=trunk(username="u"))]}, "trunk lab: secret: is empty"),
        ({"trunks": [TrunkLine(trunk=trunk(username="u;x"), secret="s")]}, "trunk lab: username"),
        ({"trunks": [TrunkLine(trunk=trunk(), secret="s")]}, "has a secret but no username"),
        ({"trunks": [TrunkLine(trunk=trunk(register=True))]}, "needs a username"),
        ({"trunks": [TrunkLine(trunk=trunk(options_interval_s=100_000))]}, "options_interval_s"),
    ],
)
def test_what_will_not_do_is_refused_before_anything_is_written(tmp_path, install, changes, said):
    with pytest.raises(BadSetting, match=said):
        render(tmp_path / "a", install, **changes)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("python", "said"), [("/opt/py,thon", "python"), ("relative/python", "python: .* is not absolute")]
)
def test_an_interpreter_that_the_dialplan_could_not_name_is_refused(
    tmp_path, install, monkeypatch, python, said
):
    monkeypatch.setattr(sys, "executable", python)
    with pytest.raises(BadSetting, match=said):
        render(tmp_path / "a", install)
    assert not (tmp_path / "a").exists()


def test_a_path_too_long_for_a_socket_is_refused(tmp_path, install):
    with pytest.raises(BadSetting, match="too long for a socket"):
        render(tmp_path / ("x" * 90), install)


def test_bad_lines_leave_the_old_ones(tmp_path, install):
    render(tmp_path / "a", install, phones=[PhoneLine(extension="101", secret="s")])
    path = tmp_path / "a" / "etc" / "pjsip_phones.conf"
    before = path.read_text()
    with pytest.raises(BadSetting):
        render_lines(tmp_path / "a", trunks=[], phones=[PhoneLine(extension="102", secret="\n")], sip=Sip())
    assert path.read_text() == before
    render_lines(tmp_path / "a", trunks=[], phones=[PhoneLine(extension="102", secret="s")], sip=Sip())
    assert "[101]" not in path.read_text()
    assert "[102]" in path.read_text()


def test_a_missing_module_is_left_out_or_refused(tmp_path, install):
    (install["modules"] / "res_websocket_client.so").unlink()
    modules = (render(tmp_path / "a", install).parent / "modules.conf").read_text()
    assert "res_websocket_client" not in modules
    assert "require = chan_pjsip.so" in modules
    (install["modules"] / "chan_pjsip.so").unlink()
    with pytest.raises(BadSetting, match="lacks chan_pjsip"):
        render(tmp_path / "b", install)


def test_sounds_are_found_where_the_link_of_the_package_leads_nowhere(tmp_path, install):
    render(tmp_path / "a", install)
    assert (tmp_path / "a/share/sounds/en").resolve() == install["data"] / "sounds/en_US_f_Allison"
    assert (tmp_path / "a/share/keys").is_dir()


def test_a_data_folder_without_documentation_is_refused(tmp_path, install):
    (install["data"] / "documentation").rmdir()
    with pytest.raises(BadSetting, match="documentation"):
        render(tmp_path / "a", install)


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=40))
def test_a_value_comes_back_as_it_was_or_is_refused(text):
    """Whatever a person writes: one line, one key, the same value."""
    try:
        written = conf_value("x", text)
    except BadSetting:
        assert text != text.strip() or any(ord(char) < 32 or ord(char) == 127 for char in text)
        return
    assert "\n" not in written
    assert "\r" not in written
    assert parse_value(f"password = {written}") == text


def parse_value(line: str) -> str:
    """A line's value by the rules of Asterisk's config.c: cut at the first semicolon that has no backslash
    before it; from the others the backslash is taken."""
    out = ""
    for char in line:
        if char == ";":
            if not out.endswith("\\"):
                break
            out = out[:-1]
        out += char
    return out.partition("=")[2].strip()


def test_only_one_of_several_servers_has_a_name(tmp_path, install):
    """The ids of its channels begin with it, and with nothing that ids of ours begin with."""
    alone = render(tmp_path / "alone", install).read_text()
    north = render(tmp_path / "north", install, system_name="north").read_text()
    assert "systemname" not in alone
    assert "systemname = server-north\n" in north
    assert north.replace("systemname = server-north\n", "").replace("/north/", "/alone/") == alone
    with pytest.raises(BadSetting):
        render(tmp_path / "bad", install, system_name="no such")


def test_copies_of_messages_go_where_the_engine_listens(tmp_path, install):
    etc = render(tmp_path / "a", install, hep=Hep(address="127.0.0.1:9061", password="a;b")).parent
    ((_, found),) = read_sections((etc / "hep.conf").read_text())
    assert found["enabled"] == "yes"
    assert (found["capture_address"], found["capture_password"]) == ("127.0.0.1:9061", "a;b")
    loaded = (etc / "modules.conf").read_text()
    assert (
        loaded.index("res_pjsip_session.so") < loaded.index("res_hep.so") < loaded.index("res_hep_pjsip.so")
    )


def test_where_nobody_listens_there_are_no_copies(tmp_path, install):
    etc = render(tmp_path / "a", install).parent
    ((_, found),) = read_sections((etc / "hep.conf").read_text())
    assert found["enabled"] == "no"
    assert "res_hep" not in (etc / "modules.conf").read_text()


@pytest.mark.parametrize(
    ("address", "password"),
    [
        ("127.0.0.1", "x"),
        ("127.0.0.1:0", "x"),
        ("here:9060", "x"),
        ("127.0.0.1:9060", ""),
        ("127.0.0.1:1", "a\nb"),
    ],
)
def test_a_place_for_copies_that_is_none_is_an_error(tmp_path, install, address, password):
    with pytest.raises(BadSetting, match="hep"):
        render(tmp_path / "a", install, hep=Hep(address=address, password=password))
    assert not (tmp_path / "a" / "etc").exists()
