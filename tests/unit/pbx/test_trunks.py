"""Every kind of trunk as it is written for Asterisk."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core.trunk import Trunk
from dialer.pbx import trunks
from dialer.pbx.checks import BadSetting
from dialer.pbx.render import trunk_file
from dialer.pbx.settings import Sip
from dialer.pbx.taken import Section, by_trunk, sections
from dialer.pbx.trunks import TLS_PORTS, TrunkLine, transport_of


def line(secret: str = "", **settings: Any) -> TrunkLine:
    return TrunkLine(trunk=Trunk(**({"id": "lab", "host": "192.0.2.1"} | settings)), secret=secret)


def written(*lines: TrunkLine, sip_port: int = 5060) -> list[Section]:
    return sections(trunk_file(lines, Sip(port=sip_port)))


def part(found: list[Section], kind: str, name: str = "trunk-lab") -> dict[str, str]:
    [one] = [one for one in found if (one.id, one.type) == (name, kind)]
    return dict(one.values)


def kinds(found: list[Section]) -> list[tuple[str, str]]:
    return [(one.id, one.type) for one in found]


def test_further_hosts_are_addresses_of_record_in_their_order():
    found = written(line(hosts=("gw2.example.net:5070", "gw3.example.net"), port=5062, transport="tcp"))
    assert part(found, "endpoint")["aors"] == "trunk-lab,trunk-lab.2,trunk-lab.3"
    contacts = [part(found, "aor", name)["contact"] for name in ("trunk-lab", "trunk-lab.2", "trunk-lab.3")]
    assert contacts == [
        "sip:192.0.2.1:5062;transport=tcp",
        "sip:gw2.example.net:5070;transport=tcp",
        "sip:gw3.example.net:5062;transport=tcp",
    ]


def test_calls_come_in_by_address_only_where_the_trunk_says_so():
    closed = written(line())
    assert part(closed, "endpoint")["context"] == "obzvon-closed"
    assert "identify" not in [kind for _, kind in kinds(closed)]
    found = written(line(hosts=("192.0.2.2:5070",), is_inbound=True, inbound_from=("198.51.100.0/24",)))
    assert part(found, "endpoint")["context"] == "obzvon-inbound"
    [identify] = [one for one in found if one.type == "identify"]
    assert [value for key, value in identify.values if key == "match"] == [
        "192.0.2.1",
        "192.0.2.2",
        "198.51.100.0/24",
    ]


def test_calls_come_in_over_a_registration_by_its_line():
    found = written(line("pw", username="u", register=True, is_inbound=True))
    registration = part(found, "registration")
    assert (registration["line"], registration["endpoint"]) == ("yes", "trunk-lab")
    assert "identify" not in [kind for _, kind in kinds(found)], (
        "whoever has the address is not believed besides"
    )
    found = written(line("pw", username="u", register=True, is_inbound=True, inbound_from=("198.51.100.7",)))
    assert part(found, "identify")["match"] == "198.51.100.7"
    assert "line" not in part(written(line("pw", username="u", register=True)), "registration")


def test_a_registration_is_never_given_up():
    registration = part(written(line("pw", username="u", register=True)), "registration")
    assert int(registration["max_retries"]) > 100_000
    assert registration["auth_rejection_permanent"] == "no"
    assert registration["contact_user"] == "u"


@pytest.mark.parametrize(
    ("srtp", "expected"),
    [
        ("off", None),
        ("sdes", "sdes"),
        ("dtls", "dtls"),
    ],
)
def test_encrypted_voice(srtp, expected):
    endpoint = part(written(line(transport="tls", srtp=srtp)), "endpoint")
    assert endpoint.get("media_encryption") == expected
    assert endpoint.get("dtls_auto_generate_cert") == ("yes" if srtp == "dtls" else None)


def test_whose_certificate_is_believed_is_a_matter_of_the_transport():
    own = {"transport": "tls", "tls_ca": "/etc/ca.pem"}
    found = written(
        line(id="a", transport="tls"),
        line(id="b", **own),
        line(id="c", **own),
        line(id="d", transport="tls", tls_verify=False),
        sip_port=6000,
    )
    used = {one: part(found, "endpoint", f"trunk-{one}")["transport"] for one in "abcd"}
    assert used["a"] == "transport-tls"
    assert used["b"] == used["c"] != used["d"]
    transports = {one.id: dict(one.values) for one in found if one.is_transport}
    assert set(transports) == {used["b"], used["d"]}
    assert transports[used["b"]]["verify_server"] == "yes"
    assert transports[used["b"]]["ca_list_file"] == "/etc/ca.pem"
    assert transports[used["d"]]["verify_server"] == "no"
    ports = [int(one["bind"].rpartition(":")[2]) for one in transports.values()]
    assert len(set(ports)) == 2
    assert all(6001 < port <= 6001 + TLS_PORTS for port in ports)


def test_a_transport_never_moves_when_another_trunk_comes():
    own = line(id="b", transport="tls", tls_ca="/etc/ca.pem")
    alone = part(written(own), "transport", transport_of(own.trunk))
    assert (
        part(
            written(line(id="a", transport="tls", tls_verify=False), own),
            "transport",
            transport_of(own.trunk),
        )
        == alone
    )


def test_behind_address_translation_transports_of_trunks_tell_the_outside_address_too():
    own = line(transport="tls", tls_ca="/etc/ca.pem")
    text = trunk_file([own], Sip(bind="0.0.0.0", outside="203.0.113.5"))
    transport = part(sections(text), "transport", transport_of(own.trunk))
    assert transport["external_media_address"] == "203.0.113.5"


def test_of_two_transports_that_choose_one_port_the_second_has_the_next(monkeypatch):
    lines = [
        line(id="a", transport="tls", tls_verify=False),
        line(id="b", transport="tls", tls_ca="/etc/ca.pem"),
    ]
    monkeypatch.setattr(trunks, "TLS_PORTS", 2)
    for order in (lines, lines[::-1]):
        found = [dict(one.values)["bind"] for one in written(*order) if one.is_transport]
        assert sorted(found) == ["127.0.0.1:5062", "127.0.0.1:5063"]
    monkeypatch.setattr(trunks, "TLS_PORTS", 1)
    with pytest.raises(BadSetting, match="more than 1 different `ca`"):
        written(*lines)


def test_what_one_trunk_is_written_as_hangs_on_it_alone():
    first, second = line(id="a"), line("pw", id="b", username="u", is_inbound=True)
    together = trunk_file([first, second], Sip())
    assert by_trunk(together, ["a"])["a"] == by_trunk(trunk_file([first], Sip()), ["a"])["a"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dtmf": "tones"}, "dtmf: 'tones' is none of rfc4733, inband, info, auto"),
        ({"srtp": "sdes"}, "srtp: sdes needs transport tls"),
        ({"srtp": "zrtp", "transport": "tls"}, "srtp: 'zrtp' is none of"),
        ({"hosts": ("a:b",)}, "hosts: 'a:b' is not HOST or HOST:PORT"),
        ({"hosts": ("a:0",)}, "hosts: 0 is not a port"),
        ({"hosts": ("a;b",)}, "hosts"),
        ({"is_inbound": True, "inbound_from": ("10.0.0.1/8",)}, "inbound_from: '10.0.0.1/8' is no network"),
        ({"is_inbound": True, "inbound_from": ("a\nmatch=0.0.0.0/0",)}, "inbound_from"),
        ({"transport": "tls", "tls_ca": "/etc/ca.pem\nverify_server = no"}, "tls.ca"),
    ],
)
def test_what_will_not_do_is_refused(settings, said):
    with pytest.raises(BadSetting, match=said):
        written(line(**settings))


def test_a_secret_is_in_no_repr():
    assert "pw" not in repr(line("pw", username="u"))
