"""The composing of SIPp scenarios."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import dialer.lab
from dialer.lab.day import Behaviour
from dialer.lab.errors import LabError
from dialer.lab.network import compose_network
from dialer.lab.phones import Phone, compose_phone
from dialer.lab.scenario import Library

LAB = Path(dialer.lab.__file__).parent


def library(folder: Path, **fragments: str) -> Library:
    for name, text in fragments.items():
        (folder / f"{name}.xml").write_text(f"<fragment>{text}</fragment>")
    return Library(folder)


def test_a_fragment_includes_another_with_parameters(tmp_path):
    it = library(
        tmp_path,
        ring='<say status="180 Ringing"/><pause milliseconds="5"/>',
        say="<send>\n  SIP/2.0 {status}\n  [last_Via:]\n\n  v=0\n</send>",
    )
    assert it.expand("ring") == [
        "<send><![CDATA[\n\nSIP/2.0 180 Ringing\n[last_Via:]\n\nv=0\n\n]]></send>",
        '<pause milliseconds="5"/>',
    ]


def test_parameters_are_seen_further_down(tmp_path):
    it = library(tmp_path, a="<b/>", b="<c/>", c='<label id="{name}"/>')
    assert it.expand("a", {"name": "deep"}) == ['<label id="deep"/>']


def test_each_inclusion_has_a_number_of_its_own(tmp_path):
    it = library(tmp_path, a="<b/><b/>", b='<label id="x_{n}"/>')
    first, second = it.expand("a")
    assert first != second


def test_quotes_in_attributes_are_written_as_sipp_reads_them(tmp_path):
    it = library(tmp_path, a="<nop value='[field1 file=\"people.csv\"]'/>")
    assert it.expand("a") == ['<nop value="[field1 file=&quot;people.csv&quot;]"/>']


@pytest.mark.parametrize(
    ("fragments", "complaint"),
    [
        ({"a": '<label id="{what}"/>'}, "needs the parameter 'what'"),
        ({"a": "<a/>"}, "includes itself"),
        ({"b": "<nop/>"}, "no fragment 'a'"),
    ],
)
def test_mistakes_in_fragments_are_named(tmp_path, fragments, complaint):
    with pytest.raises(LabError, match=complaint):
        library(tmp_path, **fragments).expand("a")


def test_a_file_that_is_no_fragment_and_a_name_used_twice_are_refused(tmp_path):
    (tmp_path / "a.xml").write_text("<scenario/>")
    with pytest.raises(LabError, match="<scenario>, not <fragment>"):
        Library(tmp_path)
    (tmp_path / "a.xml").write_text("<fragment/>")
    with pytest.raises(LabError, match="another fragment"):
        Library(tmp_path, tmp_path)


def test_there_is_one_file_for_each_behaviour():
    assert {path.stem for path in (LAB / "people").glob("*.xml")} == {str(one) for one in Behaviour}


@pytest.mark.parametrize("pick_up", ["auto", "slow", "never", "rejects"])
def test_all_jumps_of_a_phone_have_a_place_to_go(pick_up):
    check_labels(compose_phone(Phone(extension="101", secret="s3cret", pick_up=pick_up)))


def test_all_jumps_of_the_network_have_a_place_to_go():
    check_labels(compose_network())


def check_labels(scenario: str) -> None:
    root = ET.fromstring(scenario)
    labels = [label.get("id") for label in root.iter("label")]
    assert len(set(labels)) == len(labels)
    jumps = {element.get(name) for element in root.iter() for name in ("next", "ontimeout")} - {None}
    assert jumps <= set(labels)
    assert not re.search(r"\{[a-z_]+\}", scenario)
