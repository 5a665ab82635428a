"""Desk phones towards Asterisk: which headers each model is asked by, and what of a phone is rendered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from dialer.core import commands as c
from dialer.core.deskphone import MODELS, DeskPhone, Model
from dialer.core.ids import AgentId, AttemptId, ChannelId, TrunkId
from dialer.core.values import Trunk
from dialer.office.commands import phones as commands
from dialer.office.sheet import SETTINGS
from dialer.pbx import requests
from dialer.pbx.checks import BadSetting
from dialer.pbx.deskphones import AUTO_ANSWER, PhoneLine, phone_lines, phone_values
from dialer.pbx.errors import Unsendable

RING = c.RingAgent(
    agent=AgentId("anna"),
    phone="101",
    channel=ChannelId("l" + "0" * 20),
    attempt=AttemptId("a" + "0" * 20),
    number="+442079460123",
    ring_s=10.0,
)


def headers(model: Model) -> dict[str, str]:
    """What the call for a phone of that model carries."""
    phones = {"101": DeskPhone(extension="101", model=model)}
    (request,) = requests.to_request(RING, trunks={}, phones=phones, recordings=Path("/r"), at=0.0)
    assert request.json is not None
    variables: dict[str, str] = request.json["variables"]
    return {re.sub(r"PJSIP_HEADER\(add,(.*)\)", r"\1", name): value for name, value in variables.items()}


def test_every_model_is_asked_as_its_maker_says():
    """The makers' own words are in docs/phones.md."""
    assert headers("yealink") == {"Alert-Info": "<http://localhost>;info=alert-autoanswer;delay=0"}
    assert headers("snom") == {"Alert-Info": "<http://localhost>;info=alert-autoanswer;delay=0"}
    assert headers("grandstream") == {"Call-Info": "<sip:localhost>;answer-after=0"}
    assert headers("cisco") == {"Call-Info": "<sip:localhost>;answer-after=0"}
    assert headers("generic") == headers("fanvil") == headers("yealink") | headers("cisco")


def test_an_unknown_phone_is_asked_in_every_way():
    (request,) = requests.to_request(RING, trunks={}, recordings=Path("/r"), at=0.0)
    assert request.json is not None
    assert set(request.json["variables"]) == {"PJSIP_HEADER(add,Alert-Info)", "PJSIP_HEADER(add,Call-Info)"}


def ring_outside(**changes: str) -> dict[str, object]:
    plain = DeskPhone(extension="101", model="outside", number="+79161234567", trunk="lab")
    phone = msgspec.structs.replace(plain, **changes)
    trunk = Trunk(id=TrunkId("lab"), host="192.0.2.1", number_format="e164", caller_id="+74950000000")
    (request,) = requests.to_request(
        RING, trunks={trunk.id: trunk}, phones={"101": phone}, recordings=Path("/r"), at=0.0
    )
    assert not request.repeatable
    assert request.json is not None
    return request.json


def test_an_outside_line_is_called_by_its_trunk_and_answered_by_the_dialplan():
    """Not by the engine: who picked up must know the PIN first."""
    body = ring_outside()
    assert body["endpoint"] == "PJSIP/79161234567@trunk-lab"
    assert (body["context"], body["extension"]) == (requests.OUTSIDE_CONTEXT, "101")
    assert body["callerId"] == "+74950000000"
    assert "app" not in body


@pytest.mark.parametrize(("what", "said"), [("number", "only rings in"), ("trunk", "no trunk ''")])
def test_an_outside_line_that_cannot_be_called_is_told(what, said):
    with pytest.raises(Unsendable, match=said):
        ring_outside(**{what: ""})


def test_every_model_has_its_headers_and_its_settings():
    assert set(AUTO_ANSWER) == set(SETTINGS) == set(MODELS) == set(get_args(Model))
    assert commands.MODELS == MODELS


@pytest.mark.parametrize("model", MODELS)
def test_no_header_can_end_another(model):
    """A line break would begin a header of its own."""
    for name, value in AUTO_ANSWER[model].items():
        assert re.fullmatch(r"[A-Z][A-Za-z-]+", name)
        assert re.fullmatch(r"[ -~]+", value)


def values(line: PhoneLine, *transports: str) -> dict[str, str]:
    return phone_values(line, media="m = 1\n", transports=transports)


def test_codecs_and_transport_are_the_phones_own_or_everybodys():
    plain = values(PhoneLine(extension="101", secret="s"), "udp")
    assert (plain["codecs"], plain["media"]) == ("alaw,ulaw", "m = 1\n")
    own = values(PhoneLine(extension="101", secret="s", transport="tcp", codecs=("g722",)), "udp", "tcp")
    assert (own["codecs"], own["media"]) == ("g722", "m = 1\ntransport = transport-tcp\n")


def test_over_tls_voice_is_encrypted_where_the_phone_can():
    media = values(PhoneLine(extension="101", secret="s", transport="tls"), "udp", "tls")["media"]
    assert "transport = transport-tls\nmedia_encryption = sdes\nmedia_encryption_optimistic = yes\n" in media


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            PhoneLine(extension="101", secret="s", transport="tls"),
            "there is no 'tls' here; allowed: udp, tcp",
        ),
        (PhoneLine(extension="101", secret="s", codecs=("g729",)), "phone 101: codecs: g729"),
        (PhoneLine(extension="101", secret=""), "phone 101: secret: is empty"),
        (PhoneLine(extension="1 1", secret="s"), "'1 1' is not allowed"),
    ],
)
def test_what_will_not_do_is_refused(line, said):
    with pytest.raises(BadSetting, match=re.escape(said)):
        values(line, "udp", "tcp")


def test_an_outside_line_has_no_account_and_a_phone_without_secret_is_told():
    phones = [
        DeskPhone(extension="101", transport="tcp", codecs=("alaw",)),
        DeskPhone(extension="102"),
        DeskPhone(extension="120", model="outside"),
    ]
    lines, lacking = phone_lines(phones, {"101": "s", "102": "", "120": "left over"}, ("10.0.0.0/8",))
    only = PhoneLine(
        extension="101", secret="s", transport="tcp", codecs=("alaw",), allowed_from=("10.0.0.0/8",)
    )
    assert lines == [only]
    assert lacking == ["102"]


def test_phones_may_be_held_to_their_networks():
    media = values(PhoneLine(extension="101", secret="s", allowed_from=("192.0.2.0/24", "10.0.0.7")), "udp")[
        "media"
    ]
    assert (
        media == "m = 1\ndeny = 0.0.0.0/0.0.0.0\ndeny = ::/0\npermit = 192.0.2.0/24\npermit = 10.0.0.7/32\n"
    )
    with pytest.raises(BadSetting, match="allowed_from"):
        values(PhoneLine(extension="101", secret="s", allowed_from=("office",)), "udp")


def test_a_password_is_in_no_repr() -> None:
    assert "hush" not in repr(PhoneLine(extension="101", secret="hush"))
