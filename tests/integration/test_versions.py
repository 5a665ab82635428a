"""Asterisk 20 has all that we use: its successor's own documentation says since when each option, application and function is there.

An option that a version does not know makes PJSIP refuse the whole phone or trunk. No Asterisk 20 is at hand here; this is the next best.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from dialer.core.ids import TrunkId
from dialer.core.values import Trunk
from dialer.pbx.dialplancheck import own_texts, read
from dialer.pbx.render import PhoneLine, TrunkLine, render_asterisk
from dialer.pbx.settings import Settings, Sip
from dialer.pbx.trunks import CERTIFICATE, KEY

pytestmark = pytest.mark.asterisk

OLDEST = (20, 0, 0)
FILES = ("pjsip.conf", "ari.conf", "stasis.conf", "prometheus.conf", "amd.conf", "udptl.conf")
"""Of those the documentation tells the options."""


@pytest.fixture(scope="module")
def documentation(asterisk_install) -> ET.Element:
    path = asterisk_install.data / "documentation" / "core-en_US.xml"
    if not path.is_file():
        pytest.skip("this Asterisk came without its documentation")
    root = ET.parse(path).getroot()
    if root.find(".//configOption/since") is None:
        pytest.skip("this Asterisk's documentation does not say since when things are there")
    return root


def is_old_enough(element: ET.Element) -> bool:
    """Whether it is there since 20.0 or earlier, by any of its lines of versions."""
    versions = [one.text or "" for one in element.findall("since/version")]
    return not versions or any(tuple(map(int, one.split("."))) <= OLDEST for one in versions)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Path:
    """A configuration in which every kind of trunk and phone occurs."""
    folder = tmp_path_factory.mktemp("rendered")
    tls = folder / "tls"
    tls.mkdir()
    for name in (CERTIFICATE, KEY):
        (tls / name).touch()
    trunks = [
        Trunk(
            id=TrunkId("plain"),
            host="192.0.2.1",
            hosts=("192.0.2.2:5080",),
            is_inbound=True,
            inbound_from=("192.0.2.9",),
        ),
        Trunk(
            id=TrunkId("by-name"),
            host="192.0.2.1",
            transport="tcp",
            username="u",
            register=True,
            is_inbound=True,
        ),
        Trunk(id=TrunkId("secure"), host="192.0.2.1", transport="tls", srtp="sdes", tls_verify=False),
        Trunk(id=TrunkId("dtls"), host="192.0.2.1", transport="tls", srtp="dtls", tls_ca="/etc/ssl/x.pem"),
    ]
    phones = [PhoneLine(extension="101", secret="s"), PhoneLine(extension="102", secret="s", transport="tls")]
    conf = render_asterisk(
        folder / "a",
        Settings(ari_password="pw", ari_monitor_password="pw", sip=Sip(tls=tls)),
        modules=folder / "none",
        data=folder,
        trunks=[TrunkLine(trunk=one, secret="s" if one.username else "") for one in trunks],
        phones=phones,
        into=folder / "etc",
    )
    return conf.parent


def used(text: str) -> Iterator[tuple[str, str]]:
    """The options that a file sets, with the type of their section, or else its name."""
    kind = ""
    for raw in text.splitlines():
        line = raw.replace("\\;", "").partition(";")[0].strip()
        if found := re.match(r"\[([^\]]+)\]", line):
            kind = found[1]
        elif found := re.match(r"(\w+)\s*=>?\s*(.*)", line):
            kind = found[2] if found[1] == "type" else kind
            yield kind, found[1]


@pytest.mark.parametrize("file", FILES)
def test_every_option_is_known_to_the_oldest(documentation, rendered, file):
    options: dict[tuple[str, str], ET.Element] = {}
    for one in documentation.iter("configFile"):
        if one.get("name") == file:
            for section in one.iter("configObject"):
                for option in section.iter("configOption"):
                    options[section.get("name", ""), option.get("name", "")] = option
    texts = [path.read_text() for path in rendered.glob(f"{file.removesuffix('.conf')}*.conf")]
    found = {(kind, name) for text in texts for kind, name in used(text)}
    if not options:
        assert not found, f"nothing tells of {file}"
        return
    names = {name for _, name in options}
    unknown = {one for one in found if one[1] not in names and one[1] != "type"}
    assert unknown == set(), "the newest one does not know it either"
    young = {
        (kind, name)
        for kind, name in found
        if (option := options.get((kind, name))) is not None and not is_old_enough(option)
    }
    assert young == set()


def test_an_option_that_is_too_young_would_be_found(documentation):
    """``suppress_moh_on_sendonly`` of an endpoint came with 20.11."""
    options = {one.get("name"): one for one in documentation.iter("configOption")}
    assert not is_old_enough(options["suppress_moh_on_sendonly"])
    assert is_old_enough(options["rewrite_contact"])


def test_every_application_and_function_of_the_dialplan_is_known_to_the_oldest(documentation):
    steps = read(own_texts()).steps
    wanted = {one.application.lower() for one in steps}
    functions = {name for one in steps for name in re.findall(r"(?:\$\{|Set\()([A-Z_]+)\(", one.arguments)}
    assert {"stasis", "mixmonitor", "amd"} <= wanted
    assert {"TIMEOUT", "STAT", "FILTER"} <= functions
    known = {one.get("name", "").lower(): one for one in documentation.iter("application")}
    known_functions = {one.get("name", ""): one for one in documentation.iter("function")}
    assert wanted <= known.keys(), wanted - known.keys()
    assert functions <= known_functions.keys(), functions - known_functions.keys()
    young = {name for name in wanted if not is_old_enough(known[name])}
    young |= {name for name in functions if not is_old_enough(known_functions[name])}
    assert young == set()
