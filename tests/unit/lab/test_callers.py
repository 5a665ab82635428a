"""Laboratory callers: what they say to Asterisk is a whole INVITE, and they are told from phones by their address."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from dialer.lab.callers import HOST, LabCallers, compose_caller
from dialer.lab.phones import Phone
from dialer.lab.voice import PERSON_MARKS_HZ

NUMBER = "+79160000001"


def invite() -> str:
    root = ET.fromstring(compose_caller(Phone(extension=NUMBER, secret="none"), 500))
    (found,) = [send.text or "" for send in root.iter("send") if "INVITE sip:" in (send.text or "")]
    return found.strip()


def test_the_headers_are_not_cut_short_before_the_offer():
    headers, _, body = invite().partition("\n\n")
    assert "Content-Type: application/sdp" in headers
    assert body.startswith("v=0")


def test_who_calls_says_their_number():
    assert "From: [$us]" in invite()
    assert f"&lt;sip:{NUMBER}@" in compose_caller(Phone(extension=NUMBER, secret="none"), 500)


def test_every_label_that_is_gone_to_is_there():
    root = ET.fromstring(compose_caller(Phone(extension=NUMBER, secret="none"), 500))
    labels = {one.get("id") for one in root.iter("label")}
    aims = {one.get(key) for one in root.iter() for key in ("next", "ontimeout") if one.get(key)}
    assert aims <= labels, aims - labels


def test_callers_have_voices_of_their_own(tmp_path: Path):
    callers = LabCallers(
        tmp_path, sip_server=("127.0.0.1", 5060), numbers=(NUMBER, "anonymous"), port=16000, media_port=25000
    )
    assert [one.mark_hz for one in callers] == list(PERSON_MARKS_HZ[:2])
    assert callers["anonymous"].number == "anonymous"
    assert HOST != "127.0.0.1"


def test_a_number_is_no_way_into_the_scenario(tmp_path: Path):
    with pytest.raises(ValueError, match="letters, digits"):
        LabCallers(
            tmp_path, sip_server=("127.0.0.1", 5060), numbers=("1\r\nVia: x",), port=16000, media_port=25000
        )
