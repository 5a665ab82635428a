"""Our include files in a folder that is somebody else's: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dialer.pbx import foreign
from dialer.pbx.checks import BadSetting
from dialer.pbx.foreign import BACKUP, BEGIN, END, FOLDER, MARK, carry_out, include_files, plan, removal

RENDERED = {
    "pjsip.conf": (
        "[global]\ntype = global\n\n[transport-udp]\ntype = transport\nbind = 192.0.2.1:5070\n\n"
        '[obzvon-nobody]\ntype = endpoint\n\n#include "pjsip_trunks.conf"\n#include "pjsip_phones.conf"\n'
    ),
    "pjsip_trunks.conf": "; trunks\n[trunk-transport-udp]\ntype = endpoint\ntransport = transport-udp\n",
    "pjsip_phones.conf": "; phones\n[101]\ntype = auth\npassword = pw\n\n[101]\ntype = endpoint\n",
    "extensions.conf": '[globals]\n; why\nOBZVON_PYTHON = /usr/bin/python3\n\n#include "dialplan/*.conf"\n',
    "indications.conf": "[us]\nring = 450/1\nobzvon-yes = !523/120,!0/30\nobzvon-long-one = 440/100,0\n",
    "ari.conf": "[general]\nenabled = yes\nchannelvars = OBZVON_ATTEMPT\n\n[obzvon]\ntype = user\npassword = pw\n",
    "dialplan/10-a.conf": (
        "; obzvon-yes) and ${OBZVON_PYTHON} stay in a comment\n[obzvon-a]\nexten => s,1,AGI(${OBZVON_PYTHON},-m,x)\n"
        " same => n,Gosub(obzvon-say,s,1(hello,obzvon-yes))\n same => n,Playtones(obzvon-long-one)\n"
        " same => n,Set(OBZVON_PYTHONS=${OBZVON_ATTEMPT})\n"
    ),
}
PLAIN = {
    "pjsip.conf": "[global]\ntype=global\n\n[201]\ntype=endpoint\n",
    "extensions.conf": "[general]\n[default]\nexten => s,1,Hangup()\n",
    "ari.conf": "[general]\nenabled=yes\n",
    "http.conf": "[general]\nenabled=yes\n",
    "modules.conf": "[modules]\nautoload=yes\n",
}


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A plain Asterisk's folder."""
    folder = tmp_path / "etc"
    folder.mkdir()
    for name, text in PLAIN.items():
        (folder / name).write_text(text)
    return folder


def ours(*, has_transports: bool = True) -> dict[str, str]:
    return include_files(RENDERED, has_transports=has_transports)


def install(etc: Path, **changes: str) -> foreign.Plan:
    found = plan(etc, ours() | changes)
    carry_out(etc, found)
    return found


def snapshot(etc: Path) -> dict[str, str]:
    return {str(one.relative_to(etc)): one.read_text() for one in etc.rglob("*") if one.is_file()}


# -- what is ours ---------------------------------------------------------------------------


def test_every_file_says_whose_it_is():
    assert all(text.startswith(MARK + "\n") for text in ours().values())


def test_nothing_of_a_global_section_is_in_ours():
    found = ours()
    assert "[global]" not in found["pjsip.conf"]
    assert "[globals]" not in found["extensions.conf"]
    assert "enabled" not in found["ari.conf"]
    assert "indications.conf" not in found


def test_globals_and_tones_stand_in_the_dialplan_as_their_values():
    text = ours()["dialplan/10-a.conf"]
    assert "AGI(/usr/bin/python3,-m,x)" in text
    assert "Gosub(obzvon-say,s,1(hello,!523/120|!0/30))" in text
    assert "Playtones(440/100|0)" in text
    assert "Set(OBZVON_PYTHONS=${OBZVON_ATTEMPT})" in text, "and nothing that only looks alike"
    assert "; obzvon-yes) and ${OBZVON_PYTHON} stay in a comment" in text


def test_our_transports_have_names_of_their_own():
    found = ours()
    assert "[obzvon-udp]\ntype = transport" in found["pjsip.conf"]
    assert "transport = obzvon-udp" in found["pjsip_trunks.conf"]
    assert "[trunk-transport-udp]" in found["pjsip_trunks.conf"], "a trunk may be called so"


def test_without_a_port_of_ours_theirs_is_used():
    found = ours(has_transports=False)
    assert "type = transport" not in found["pjsip.conf"]
    assert "transport =" not in found["pjsip_trunks.conf"]
    assert "[obzvon-nobody]" in found["pjsip.conf"]


def test_what_calls_need_of_ari_is_added_to_their_section():
    assert "[general](+)\nchannelvars = OBZVON_ATTEMPT\n" in ours()["ari.conf"]
    assert "[obzvon]\ntype = user" in ours()["ari.conf"]


# -- going in and out -----------------------------------------------------------------------


def test_it_goes_in_by_one_block_in_each_file_and_comes_out_without_a_trace(etc):
    before = snapshot(etc)
    found = install(etc)
    for name in ("pjsip.conf", "extensions.conf", "ari.conf"):
        text = (etc / name).read_text()
        assert text.startswith(before[name])
        assert text.count(BEGIN) == 1
        assert f'#include "{FOLDER}/{name}"' in text
        assert (etc / (name + BACKUP)).read_text() == before[name]
    assert (etc / FOLDER / "dialplan" / "10-a.conf").is_file()
    assert found.reloads == ("pbx_config.so", "res_ari.so", "res_pjsip.so")
    carry_out(etc, removal(etc))
    after = {name: text for name, text in snapshot(etc).items() if not name.endswith(BACKUP)}
    assert after == before
    assert not (etc / FOLDER).exists()


def test_the_second_time_nothing_changes(etc):
    install(etc)
    before = snapshot(etc)
    again = plan(etc, ours())
    assert (again.changes, again.reloads) == ((), ())
    carry_out(etc, again)
    assert snapshot(etc) == before


def test_only_what_changed_is_written_and_read_again(etc):
    install(etc)
    changed = plan(etc, ours() | {"pjsip_phones.conf": f"{MARK}\n[102]\ntype = endpoint\n"})
    assert [one.path.name for one in changed.changes] == ["pjsip_phones.conf"]
    assert changed.reloads == ("res_pjsip.so",)
    gone = plan(etc, {name: text for name, text in ours().items() if name != "dialplan/10-a.conf"})
    assert [(one.path.name, one.after) for one in gone.changes] == [("10-a.conf", None)]
    carry_out(etc, gone)
    assert not (etc / FOLDER / "dialplan" / "10-a.conf").exists()


def test_what_they_write_beside_our_block_stays(etc):
    install(etc)
    with (etc / "pjsip.conf").open("a") as file:
        file.write("[202]\ntype=endpoint\n")
    assert plan(etc, ours()).changes == ()
    carry_out(etc, removal(etc))
    assert (etc / "pjsip.conf").read_text() == PLAIN["pjsip.conf"] + "[202]\ntype=endpoint\n"


def test_our_line_that_was_commented_out_is_put_back(etc):
    install(etc)
    file = etc / "pjsip.conf"
    whole = file.read_text()
    file.write_text(whole.replace("#include", "; #include"))
    install(etc)
    assert file.read_text() == whole


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"{END}\n", "[202]\ntype=endpoint\n"),
        (f"{BEGIN}\n", ""),
        (f"{END}\n", f"noload => x.so\n{END}\n"),
    ],
)
def test_a_block_that_was_changed_by_hand_is_not_guessed_at(etc, old, new):
    """Where it ends now, nobody can tell; and what stands in it may be theirs."""
    install(etc)
    file = etc / "pjsip.conf"
    file.write_text(file.read_text().replace(old, new))
    before = file.read_text()
    file.write_text(before + f"\n{BEGIN}\n{END}\n")
    with pytest.raises(BadSetting, match=r"pjsip\.conf, line \d+: the block of Obzvon"):
        plan(etc, ours())
    with pytest.raises(BadSetting, match="the block of Obzvon"):
        removal(etc)


def test_the_first_copy_of_theirs_is_kept(etc):
    install(etc)
    carry_out(etc, removal(etc))
    (etc / "ari.conf").write_text("[general]\nenabled=yes\nx=y\n")
    install(etc)
    assert (etc / f"ari.conf{BACKUP}").read_text() == PLAIN["ari.conf"]


def test_ours_are_for_their_owner_alone_and_theirs_keep_their_mode(etc):
    (etc / "pjsip.conf").chmod(0o644)
    install(etc)
    assert (etc / FOLDER).stat().st_mode & 0o777 == 0o700
    for path in (etc / FOLDER).rglob("*.conf"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert (etc / "pjsip.conf").stat().st_mode & 0o777 == 0o644


def test_a_linked_file_of_theirs_stays_a_link(etc, tmp_path):
    (etc / "pjsip.conf").rename(tmp_path / "elsewhere.conf")
    (etc / "pjsip.conf").symlink_to(tmp_path / "elsewhere.conf")
    install(etc)
    assert (etc / "pjsip.conf").is_symlink()
    assert BEGIN in (tmp_path / "elsewhere.conf").read_text()


@pytest.mark.parametrize("inside", ["", "dialplan"])
def test_our_folder_is_no_link_to_somewhere_else(etc, tmp_path, inside):
    (tmp_path / "elsewhere").mkdir()
    if inside:
        (etc / FOLDER).mkdir()
    (etc / FOLDER / inside).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadSetting, match="is a link"):
        install(etc)
    with pytest.raises(BadSetting, match="is a link"):
        removal(etc)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs for another user")
def test_who_owns_the_folder_gets_no_file_of_roots(etc, tmp_path, monkeypatch):
    """By a link, or by a file that is exchanged for a link between its making and its giving away."""
    named: list[str] = []
    monkeypatch.setattr(os, "chown", lambda path, *_, **__: named.append(Path(path).name))
    for one in (etc, *etc.iterdir()):
        os.lchown(one, 12345, 12345)
    install(etc)
    assert {one.stat().st_uid for one in [*etc.glob("*.conf"), *(etc / FOLDER).rglob("*.conf")]} == {12345}
    assert sorted(named) == ["dialplan", FOLDER], "files are given away open, not by their name"
    (tmp_path / "shadow").write_text("root's")
    (etc / "http.conf").unlink()
    (etc / "http.conf").symlink_to(tmp_path / "shadow")
    with pytest.raises(BadSetting, match="a link to a file of another user's"):
        plan(etc, ours())
    assert (tmp_path / "shadow").read_text() == "root's"


def test_freepbx_is_told_in_its_custom_files(etc):
    (etc / "extensions.conf").write_text(
        '#include extensions_additional.conf\n#include "extensions_custom.conf"\n'
    )
    (etc / "pjsip.conf").write_text("[global]\n#include pjsip_custom.conf\n#include pjsip.endpoint.conf\n")
    (etc / "ari.conf").write_text("[general]\nenabled=yes\n#include ari_additional_custom.conf\n")
    for name in ("extensions_custom.conf", "pjsip_custom.conf", "ari_additional_custom.conf"):
        (etc / name).write_text("; yours\n")
    install(etc)
    for name in ("extensions", "pjsip"):
        assert BEGIN in (etc / f"{name}_custom.conf").read_text()
        assert BEGIN not in (etc / f"{name}.conf").read_text()
    assert BEGIN in (etc / "ari_additional_custom.conf").read_text()


def test_a_custom_file_that_nobody_reads_is_not_told(etc):
    (etc / "pjsip_custom.conf").write_text("")
    install(etc)
    assert BEGIN in (etc / "pjsip.conf").read_text()


# -- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("pjsip.conf", "[101]\ntype=endpoint\n", "same name as ours: 101"),
        ("pjsip.endpoint.conf", "[101](template)\ntype=endpoint\n", "same name as ours: 101"),
        ("extensions_custom.conf", "[obzvon-a]\n", "same name as ours: obzvon-a"),
        ("ari.conf", "[general]\n[obzvon]\ntype=user\n", "same name as ours: obzvon"),
        (f"{FOLDER}/pjsip.conf", "[something]\n", "is not ours"),
    ],
)
def test_names_that_meet_and_files_of_others_are_refused_before_anything_is_written(etc, file, text, said):
    (etc / FOLDER).mkdir()
    (etc / file).write_text(text)
    before = snapshot(etc)
    with pytest.raises(BadSetting, match=said):
        install(etc)
    assert snapshot(etc) == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(BadSetting, match="no folder of an Asterisk's configuration"):
        plan(tmp_path, ours())


def test_removing_leaves_a_file_that_is_not_ours(etc):
    install(etc)
    (etc / FOLDER / "notes.conf").write_text("theirs")
    carry_out(etc, removal(etc))
    assert [one.name for one in (etc / FOLDER).iterdir()] == ["notes.conf"]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("http.conf", "[general]\nbindaddr=127.0.0.1\n", "http.conf: `enabled = yes` is not there"),
        ("ari.conf", "[general]\nenabled = no\n", "ari.conf: `enabled = no`"),
        ("modules.conf", "[modules]\nautoload=no\n", "without `autoload = yes`"),
        (
            "modules.conf",
            "[modules]\nautoload=yes\nnoload => res_ari.so\n",
            "res_ari must not be kept from loading",
        ),
        (
            "modules.conf",
            "[modules]\nautoload=yes\nnoload = func_hangupcause.so\n",
            "func_hangupcause must not be kept from loading",
        ),
    ],
)
def test_what_must_be_done_by_hand_is_told(etc, file, text, said):
    assert plan(etc, ours()).cautions == ()
    (etc / file).write_text(text)
    assert [one for one in plan(etc, ours()).cautions if said in one]
