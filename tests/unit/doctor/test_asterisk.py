"""What is wrong with an Asterisk, each planted alone; voice, rights and trunks with it."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core.ids import ServerId
from dialer.office.doctor import asterisk, machine, recordings, security, trunks, voice
from dialer.office.doctor.facts import AsteriskFacts, FarEnd, ProcessFacts
from dialer.store.files import Ports, ServerSettings
from dialer.store.trunks import StateNote
from tests.unit.doctor.healthy import (
    ASTERISK,
    ENDPOINT,
    FAR,
    PHONE,
    PUBLIC,
    TRANSPORT,
    TRUNK,
    but,
    with_config,
    with_object,
)
from tests.unit.doctor.plants import cases, faults

ENDPOINTS = ("trunk-north", PHONE)
CODECS = {"trunk-north": ("alaw",), PHONE: ()}
NOW = 1_700_000_000.0
DAY = 86_400.0


def judged(one: AsteriskFacts, **changes: Any) -> list[str]:
    return faults(asterisk.judge(one, **({"endpoints": ENDPOINTS, "codecs": CODECS} | changes)))


def test_a_healthy_one_has_nothing():
    assert judged(ASTERISK) == []


@cases(
    ("asterisk.not_started", but(ASTERISK, is_running=False)),
    ("asterisk.unauthorized", but(ASTERISK, is_unauthorized=True, failure="unauthorized")),
    ("asterisk.away", but(ASTERISK, failure="no answer")),
    ("asterisk.old", but(ASTERISK, version="18.3.0", major=18)),
    ("asterisk.read_only", but(ASTERISK, is_read_only=True)),
    ("asterisk.app", but(ASTERISK, has_app=False)),
    ("asterisk.write_timeout", with_config("ari.conf", "[general]\nenabled = yes\n")),
    ("asterisk.write_timeout", with_config("ari.conf", "[general]\nwebsocket_write_timeout = 200 ; ms\n")),
    ("asterisk.module_missing", but(ASTERISK, modules=ASTERISK.modules - {"app_mixmonitor.so"})),
    ("asterisk.dialplan_missing", but(ASTERISK, dialplan="")),
    ("asterisk.dialplan_old", but(ASTERISK, dialplan="0123456789ab")),
    ("asterisk.agi", but(ASTERISK, python="/nowhere/python")),
    ("asterisk.endpoint_missing", but(ASTERISK, endpoints=frozenset({PHONE}))),
    ("asterisk.sounds", but(ASTERISK, sounds_missing=("agent-loginok",))),
)
def test_what_is_wrong_is_found(fault: str, plant: AsteriskFacts):
    assert judged(plant) == [fault]


@cases(("asterisk.codec_missing", {"trunk-north": ("alaw", "opus")}))
def test_a_codec_that_asterisk_does_not_have(fault: str, plant: dict[str, tuple[str, ...]]):
    assert judged(ASTERISK, codecs=plant) == [fault]


def test_a_module_that_does_not_run_is_named():
    plant = but(ASTERISK, modules=ASTERISK.modules - {"app_mixmonitor.so", "res_agi.so"})
    bad = [one for one in asterisk.judge(plant, endpoints=(), codecs={}) if one.status == "fail"]
    assert bad[0].finding == "Asterisk lacks app_mixmonitor.so, res_agi.so"


def test_our_dialplan_in_an_asterisk_of_one_s_own():
    """It has no global of ours: its files are there."""
    included = but(
        ASTERISK, dialplan="", config_folder="/etc/asterisk", config={"obzvon/extensions.conf": "x"}
    )
    assert "asterisk.dialplan_missing" not in judged(included)
    assert "asterisk.dialplan_missing" in judged(but(included, config={}))


def test_what_cannot_be_seen_is_said_and_is_no_fault():
    elsewhere = but(ASTERISK, is_here=False, config={}, process=None, python="/opt/elsewhere/python")
    findings = list(asterisk.judge(elsewhere, endpoints=(), codecs={}))
    assert [one.status for one in findings if one.status != "ok"] == ["skip"]


# -- machine and recordings, as Asterisk sees them ------------------------------------------------


@cases(
    ("clock.asterisk", but(ASTERISK, clock_ahead_s=-30.0)),
    ("clock.asterisk", but(ASTERISK, clock_ahead_s=2.0)),
    ("files_open.asterisk", but(ASTERISK, process=ProcessFacts(pid=7, files_max=1024))),
    ("files_open.asterisk", but(ASTERISK, files_max=1000)),
)
def test_its_clock_and_its_files(fault: str, plant: AsteriskFacts):
    assert faults(machine.judge_asterisk(ASTERISK, calls=100)) == []
    assert faults(machine.judge_asterisk(plant, calls=100)) == [fault]


@cases(("recordings.ari_folder", but(ASTERISK, can_record=False)))
def test_its_folder_of_recordings(fault: str, plant: AsteriskFacts, tmp_path):
    assert faults(recordings.judge_asterisk(but(plant, process=None), tmp_path)) == [fault]


# -- voice ----------------------------------------------------------------------------------------


def astray(one: AsteriskFacts, far: FarEnd = PUBLIC, phones: tuple[str, ...] = (PHONE,)) -> list[str]:
    return faults(voice.judge(one, [TRUNK], phones, {"north": [far]}))


def test_voice_finds_its_way():
    assert astray(ASTERISK) == []
    assert astray(ASTERISK, FAR) == []
    loopback = but(FAR, address="127.0.0.1", leaves_from="127.0.0.1")
    assert astray(with_object("transport", "transport-udp", bind="127.0.0.1:5060"), loopback) == [], (
        "a laboratory"
    )


HOME = but(PUBLIC, leaves_from="192.168.1.5")


@cases(
    ("voice.loopback", with_object("transport", "transport-udp", bind="127.0.0.1:5060")),
    ("voice.media_address", with_object("endpoint", "trunk-north", media_address="127.0.0.1")),
    ("voice.not_symmetric", with_object("endpoint", "trunk-north", rtp_symmetric="false")),
    ("voice.not_symmetric", with_object("endpoint", PHONE, rtp_symmetric="no")),
    ("voice.direct_media", with_object("endpoint", PHONE, direct_media="true")),
    ("voice.contact", with_object("endpoint", PHONE, rewrite_contact="false")),
    ("voice.contact", with_object("endpoint", PHONE, force_rport="false")),
    (
        "voice.srtp",
        but(
            with_object("endpoint", "trunk-north", media_encryption="sdes"),
            modules=ASTERISK.modules - {"res_srtp.so"},
        ),
    ),
)
def test_voice_goes_astray(fault: str, plant: AsteriskFacts):
    assert astray(plant) == [fault]


@cases(("voice.nat", HOME))
def test_address_translation_that_nobody_told_asterisk_of(fault: str, plant: FarEnd):
    assert astray(ASTERISK, plant) == [fault]
    told = with_object("transport", "transport-udp", external_media_address="8.8.4.4")
    assert astray(told, plant) == []
    office = but(plant, address="10.0.0.8")
    assert astray(ASTERISK, office) == [], "a carrier in the same private network"


@cases(
    (
        "voice.media_address",
        but(
            with_object("endpoint", "trunk-north", media_address="10.1.1.1"),
            objects={
                ("endpoint", "trunk-north"): ENDPOINT | {"media_address": "10.1.1.1"},
                ("transport", "transport-udp"): TRANSPORT | {"bind": "9.9.9.9:5060"},
            },
        ),
    ),
)
def test_voice_is_bound_elsewhere(fault: str, plant: AsteriskFacts):
    assert astray(plant) == [fault]


@cases(
    (
        "voice.phones_outside",
        but(
            with_object("transport", "transport-udp", bind="127.0.0.1:5060"),
            states={"trunk-north": "online", PHONE: "offline"},
        ),
    )
)
def test_phones_that_cannot_reach_it(fault: str, plant: AsteriskFacts):
    local = but(FAR, address="127.0.0.1")
    assert astray(plant, local) == [fault]
    assert astray(but(plant, states=ASTERISK.states), local) == [], "they are registered, so they are here"
    elsewhere = voice.judge(plant, [TRUNK], [PHONE], {"north": [local]}, {PHONE})
    assert faults(elsewhere) == [], "with another server"


@cases(("rtp.few_ports", 251), ("rtp.few_ports", 10_000))
def test_voice_ports_against_caps(fault: str, plant: int):
    settings = ServerSettings()
    assert faults(voice.judge_ports(ASTERISK, settings, 250)) == [], "1000 ports, four for each"
    assert faults(voice.judge_ports(ASTERISK, settings, plant)) == [fault]
    ours = but(ASTERISK, config={})
    assert faults(voice.judge_ports(ours, ServerSettings(ports=Ports(rtp_count=2000)), 500)) == []
    assert faults(voice.judge_ports(ours, ServerSettings(ports=Ports(rtp_count=200)), 51)) == [fault]


def test_so_many_calls_are_wanted():
    south = but(TRUNK, id="south", servers=(ServerId("b"),), channels_max=50)
    assert voice.calls_wanted([TRUNK, south], ServerSettings(), "a") == 30
    assert voice.calls_wanted([TRUNK, south], ServerSettings(), "b") == 80
    assert voice.calls_wanted([TRUNK, south], ServerSettings(channels_max=10), "b") == 10


# -- rights ---------------------------------------------------------------------------------------


@cases(
    ("security.ari_origins", with_config("ari.conf", "[general]\nallowed_origins = *\n")),
    (
        "security.ari_users",
        with_config("ari.conf", "[obzvon]\ntype=user\n[old]\ntype = user\npassword = x\n"),
    ),
    ("security.monitor_writes", but(ASTERISK, monitor_writes=True)),
    ("security.live_dangerously", with_config("asterisk.conf", "[options]\nlive_dangerously = yes\n")),
    ("security.anonymous", but(ASTERISK, endpoints=ASTERISK.endpoints | {"anonymous"})),
)
def test_rights_that_nobody_needs(fault: str, plant: AsteriskFacts):
    assert faults(security.judge_rights(ASTERISK)) == []
    found = list(security.judge_rights(plant))
    assert faults(found) == [fault]
    assert "password" not in found[0].finding


# -- trunks ---------------------------------------------------------------------------------------

ANSWERS = but(FAR, status=200)


def of_trunks(one: AsteriskFacts = ASTERISK, far: FarEnd = ANSWERS, **trunk: Any) -> list[str]:
    return faults(trunks.judge([but(TRUNK, **trunk)], {"north": [far]}, [one], NOW))


def test_a_trunk_is_well():
    assert of_trunks() == []
    assert of_trunks(but(ASTERISK, states={}), ANSWERS) == [], "Asterisk says nothing, and it answers us"
    assert of_trunks(far=but(FAR, certificate_ends_at=NOW + 100 * DAY)) == []


def test_no_trunk_at_all():
    assert faults(trunks.judge([], {}, [ASTERISK], NOW)) == ["trunks.none"]


OFFLINE = but(ASTERISK, states={"trunk-north": "offline"})
SILENT = but(FAR, status=0, failure="no SIP answer within 2 s")


@cases(
    ("trunks.none", None),
    ("trunks.unknown_host", (ASTERISK, FarEnd(host="no.such.host", failure="Name or service not known"))),
    ("trunks.unreachable", (OFFLINE, SILENT)),
    ("trunks.unreachable", (OFFLINE, ANSWERS)),
    ("trunks.unreachable", (but(ASTERISK, states={}), SILENT)),
    ("trunks.registration_refused", (but(ASTERISK, registrations={"north": "rejected"}), ANSWERS)),
    ("trunks.unregistered", (but(ASTERISK, registrations={"north": "unregistered"}), ANSWERS)),
    ("trunks.unreachable", (but(OFFLINE, registrations={"north": "registered"}), SILENT)),
    ("trunks.certificate_expired", (ASTERISK, but(FAR, certificate_ends_at=NOW - DAY))),
    ("trunks.certificate_expires", (ASTERISK, but(FAR, certificate_ends_at=NOW + 3 * DAY))),
)
def test_what_is_wrong_with_a_trunk(fault: str, plant: tuple[AsteriskFacts, FarEnd] | None):
    if plant is None:
        assert faults(trunks.judge([], {}, [ASTERISK], NOW)) == [fault]
    else:
        assert of_trunks(*plant) == [fault]


@cases(
    ("trunks.out_of_rotation", StateNote(at=1.0, server="", state="resting", why="5 calls in a row")),
    ("trunks.out_of_rotation", StateNote(at=1.0, server="a", state="probing", why="its rest is over")),
)
def test_a_trunk_that_rests(fault: str, plant: StateNote):
    well = StateNote(at=1.0, server="b", state="up", why="")
    assert faults(trunks.judge_rotation({"north": {"b": well}})) == []
    assert faults(trunks.judge_rotation({"north": {"b": well, plant.server: plant}})) == [fault]


def test_a_registration_is_not_refused_by_who_does_not_answer():
    """Asterisk calls that rejected too."""
    silent = of_trunks(but(OFFLINE, registrations={"north": "rejected"}), SILENT)
    assert silent == ["trunks.unreachable", "trunks.unregistered"]


def test_a_trunk_that_one_server_has_is_asked_of_that_one():
    other = but(ASTERISK, server=ServerId("b"), name="Asterisk b", states={"trunk-north": "offline"})
    mine = but(ASTERISK, server=ServerId("a"))
    found = trunks.judge([but(TRUNK, servers=(ServerId("a"),))], {"north": [FAR]}, [mine, other], NOW)
    assert faults(found) == []


@pytest.mark.parametrize("is_well", [True, False])
def test_an_asterisk_that_says_nothing_is_not_asked_of_trunks(is_well: bool):
    away = but(OFFLINE, failure="" if is_well else "no answer")
    assert of_trunks(away, ANSWERS) == (["trunks.unreachable"] if is_well else [])
