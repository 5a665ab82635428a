"""What a running Asterisk is told when its configuration was rendered anew."""

from __future__ import annotations

import pytest

from dialer.pbx.render import files_folder
from dialer.pbx.renewal import CLASSES, READERS, Renewal, renewal, texts

OLD = {
    "ari.conf": "a",
    "extensions.conf": "e",
    "dialplan/10-outbound.conf": "d",
    "http.conf": "h",
    "modules.conf": "[modules]\nrequire = res_pjsip.so\nload = app_echo.so\n"
    "load = res_hep.so\nrequire = pbx_config.so\nrequire = res_ari.so\n",
    "pjsip.conf": "[global]\ntype = global\n\n[transport-udp]\nbind = x\n\n[nobody]\n",
}


def test_nothing_changed_is_nothing_to_do():
    assert renewal(OLD, dict(OLD)) == Renewal()


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("ari.conf", Renewal(reloads=("res_ari.so",))),
        ("dialplan/10-outbound.conf", Renewal(reloads=("pbx_config.so",))),
        ("dialplan/50-inbound.conf", Renewal(reloads=("pbx_config.so",))),
        ("pjsip_trunks.conf", Renewal(reloads=("res_pjsip.so",))),
        ("indications.conf", Renewal(classes=("indications",))),
        ("hep.conf", Renewal(reloads=("res_hep.so",))),
        ("logger.conf", Renewal(classes=("logger",))),
        ("http.conf", Renewal(at_start=("http.conf",))),
    ],
)
def test_who_reads_a_file_is_told(file, told):
    assert renewal(OLD, OLD | {file: "new"}) == told


def test_modules_that_are_wanted_now_are_loaded_in_their_order_and_none_is_unloaded():
    wanted = "[modules]\nload = res_srtp.so\nrequire = res_pjsip.so\nload = res_pjsip_refer.so\n"
    assert renewal(OLD, OLD | {"modules.conf": wanted}) == Renewal(
        loads=("res_srtp.so", "res_pjsip_refer.so")
    )


def test_who_is_not_there_is_not_told_and_who_is_not_wanted_any_more_is():
    without = OLD["modules.conf"].replace("load = res_hep.so\n", "")
    assert renewal({}, {"hep.conf": "new", "modules.conf": without}).reloads == ()
    told = renewal(OLD, OLD | {"hep.conf": "new", "modules.conf": without})
    assert told == Renewal(reloads=("res_hep.so",))


def test_a_transport_waits_for_the_next_start_and_the_rest_of_its_file_does_not():
    text = OLD["pjsip.conf"].replace("[nobody]", "[transport-tls]\n\n[nobody]")
    assert renewal(OLD, OLD | {"pjsip.conf": text}) == Renewal(
        reloads=("res_pjsip.so",), at_start=("pjsip.conf",)
    )
    text = OLD["pjsip.conf"].replace("type = global", "type = global\nuser_agent = x")
    assert renewal(OLD, OLD | {"pjsip.conf": text}) == Renewal(reloads=("res_pjsip.so",))


def test_files_are_told_apart_by_their_folders_too(tmp_path):
    (tmp_path / "dialplan").mkdir()
    (tmp_path / "dialplan" / "a.conf").write_text("1")
    (tmp_path / "ari.conf").write_text("2")
    assert texts(tmp_path) == {"dialplan/a.conf": "1", "ari.conf": "2"}


def test_whom_it_names_there_is():
    templates = files_folder("asterisk-conf")
    lines = (templates / "modules.list").read_text().splitlines()
    modules = {line.split()[1] for line in lines if line and not line.startswith("#")}
    # pbx_config stands for all of the dialplan
    assert {module.removesuffix(".so") for module in READERS.values()} <= modules
    made = {"pjsip_phones.conf", "pjsip_trunks.conf"}
    assert (READERS.keys() | CLASSES.keys()) - made <= {path.name for path in templates.glob("*.conf")}
