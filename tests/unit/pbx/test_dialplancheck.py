"""The check of the dialplan: ours is clean, and each kind of slip is found where it was planted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dialer.pbx.dialplancheck import Names, check, check_ours, own_names, own_texts, read, targets

ROOT = Path(__file__).resolve().parents[3]
GOOD = """\
; a comment with ${OBZVON_WRONG} in it
[obzvon-one]
exten => s,1,Set(OBZVON_A=1)
 same => n(again),GotoIf($["${OBZVON_A}" = "1" | "${IF($[1]?x:y)}" = "x"]?again:obzvon-two,_[0-9].,1)
 same => n,Gosub(obzvon-two,s,1(obzvon-tone,${OBZVON_A}))
 same => n,Goto(obzvon-two,42,1)
exten => h,1,Goto(s,2)
include => obzvon-two

[obzvon-two]
exten => s,1,Playtones(obzvon-tone)
 same => n,Return()
exten => _[0-9].,1,Hangup(16)
"""
NAMES = Names(there=frozenset({"obzvon-tone"}))


@pytest.fixture(scope="module")
def names() -> Names:
    return own_names()


def faults(text: str, names: Names = NAMES) -> list[str]:
    return check({"d/1.conf": text}, names)


def test_our_own_is_clean():
    assert check_ours() == []


def test_what_is_right_is_not_complained_of():
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("?again:", "?agian:", r"d/1.conf:4: .*there is no label or priority agian in obzvon-one,s"),
        ("Goto(obzvon-two,42,1)", "Goto(obzvon-tow,42,1)", r"d/1.conf:6: .*no context obzvon-tow"),
        ("Goto(obzvon-two,42,1)", "Goto(obzvon-two,a4,1)", r"no extension a4 in obzvon-two"),
        ("Goto(obzvon-two,42,1)", "Goto(obzvon-two,42,2)", r"no label or priority 2"),
        ("Goto(s,2)", "Goto(s,5)", r"d/1.conf:7: .*no label or priority 5 in obzvon-one,s"),
        ("Gosub(obzvon-two", "Gosub(obzvon-too", r"d/1.conf:5: .*no context obzvon-too"),
        (
            '"${OBZVON_A}" = "1" |',
            '"${OBZVON_B}" = "1" |',
            r"d/1.conf:4: OBZVON_B is read, and nobody sets it",
        ),
        (
            "Set(OBZVON_A=1)",
            "Set(OBZVON_AA=1)",
            r"OBZVON_A is read, and nobody sets it \(did you mean OBZVON_AA\?\)",
        ),
        (
            "Set(OBZVON_A=1)",
            "Set(OBZVON_A=1)\n same => n,Set(OBZVON_C=1)",
            r"OBZVON_C is set, and nobody reads it",
        ),
        ("include => obzvon-two", "include => obzvon-tow", r"\[obzvon-one\]: includes obzvon-tow"),
        ("Playtones(obzvon-tone)", "Playtones(obzvon-toen)", r"no context, tone or section obzvon-toen"),
        ("1(obzvon-tone,", "1(obzvon-tune,", r"d/1.conf:5: there is no context, tone or section obzvon-tune"),
        (
            " same => n,Return()",
            " some => n,Return()",
            r"d/1.conf:12: 'some => n,Return\(\)' is not understood",
        ),
    ],
)
def test_each_slip_is_found_where_it_is(right, wrong, said):
    assert GOOD.count(right) == 1
    found = faults(GOOD.replace(right, wrong))
    assert any(re.search(said, one) for one in found), found


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (Names(globals={"OBZVON_G": "extensions.conf"}), "OBZVON_G is set, and nobody reads it"),
        (
            Names(spoken={"OBZVON_W": ("dialer/pbx/wire.py:7",)}),
            "dialer/pbx/wire.py:7: OBZVON_W is unknown to the dialplan",
        ),
        (
            Names(ours={"obzvon-tell": "dialer/pbx/wire.py:9"}),
            "dialer/pbx/wire.py:9: there is no context, tone",
        ),
    ],
)
def test_others_are_held_to_it_too(names, said):
    names = Names(globals=names.globals, spoken=names.spoken, ours=names.ours, there=NAMES.there)
    assert [one for one in faults(GOOD, names) if said in one]


def test_what_the_wire_tells_a_script_is_none_of_the_dialplans():
    spoken = {"OBZVON_KIND": ("dialer/pbx/wire.py:7", "agi/last_word.py:8")}
    assert faults(GOOD, Names(spoken=spoken, there=NAMES.there)) == []


@pytest.mark.parametrize(
    ("file", "right", "wrong", "said"),
    [
        ("dialplan/10-outbound.conf", "?hand-over)", "?handover)", "no label or priority handover"),
        (
            "dialplan/10-outbound.conf",
            "Goto(obzvon-last-word,s,1)",
            "Goto(obzvon-lastword,s,1)",
            "no context",
        ),
        ("dialplan/15-machines.conf", "AMD(${OBZVON_LISTEN})", "AMD(${OBZVON_LISTENS})", "nobody sets it"),
        ("dialplan/25-access.conf", "[obzvon-access]", "[obzvon-acess]", "no context obzvon-access"),
        ("dialplan/25-access.conf", "${OBZVON_ACCESS}", "${OBZVON_ACESS}", "did you mean OBZVON_ACCESS?"),
        ("dialplan/30-say.conf", "[obzvon-say]", "[obzvon-says]", "no context obzvon-say"),
        (
            "dialplan/20-phones.conf",
            "[obzvon-tell]",
            "[obzvon-tel]",
            "no context, tone or section obzvon-tell",
        ),
    ],
)
def test_a_slip_in_our_own_files_would_be_found(names, file, right, wrong, said):
    texts = own_texts()
    assert right in texts[file]
    found = check(texts | {file: texts[file].replace(right, wrong, 1)}, names)
    assert any(said in one for one in found), found


def test_names_of_the_wire_and_of_templates_are_looked_at(names):
    assert {"obzvon-outbound", "obzvon-last-word", "obzvon-tell", "obzvon-phones", "obzvon-closed"} <= set(
        names.ours
    )
    assert {"OBZVON_ATTEMPT", "OBZVON_RECORD", "OBZVON_SAID", "OBZVON_PHONE"} <= set(names.spoken)
    assert {"OBZVON_PYTHON", "OBZVON_ACCESS"} <= set(names.globals)
    assert {"obzvon-yes", "obzvon-nobody"} <= names.there


def test_jumps_are_taken_apart_as_asterisk_does():
    (step,) = read({"x": "[c]\nexten => s,1,GotoIf($[${LEN(a?b:c)} > 1]?c,s,1:${W},1)\n"}).steps
    assert targets(step) == [("c", "s", "1"), ("c", "${W}", "1")]


def test_every_context_is_documented():
    page = (ROOT / "docs" / "dialplan.md").read_text()
    contexts = read(own_texts()).contexts
    assert len(contexts) > 10
    assert {one for one in contexts if f"`{one}`" not in page} == set()
