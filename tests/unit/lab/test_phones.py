"""What can be said of the phones without switching one on."""

from __future__ import annotations

import pytest

from dialer.lab.errors import LabError, LabProcessDied
from dialer.lab.phones import LabPhones, Phone, compose_phone
from dialer.lab.voice import OPERATOR_MARKS_HZ


def phones(folder, *settings: Phone) -> LabPhones:
    return LabPhones(folder, sip_server=("127.0.0.1", 1), phones=settings, port=1000, media_port=2000)


@pytest.mark.parametrize("secret", ["with space", "a]b", "", "a\r\nb", "a;b"])
def test_a_secret_that_sipp_would_misread_is_refused(secret):
    with pytest.raises(ValueError, match="letters, digits"):
        Phone(extension="101", secret=secret)


def test_two_phones_with_one_extension_are_refused(tmp_path):
    with pytest.raises(ValueError, match="two phones have the extension 101"):
        phones(tmp_path, Phone(extension="101", secret="a"), Phone(extension="101", secret="b"))


def test_the_secret_is_in_the_scenario_and_in_no_argument(tmp_path):
    office = phones(tmp_path, Phone(extension="101", secret="hush-hush"))
    assert f"password=0x{b'hush-hush'.hex()}]" in compose_phone(office["101"].phone)
    arguments = repr(office["101"]._sipp._arguments)
    assert "hush-hush" not in arguments
    assert b"hush-hush".hex() not in arguments


def test_a_secret_that_sipp_would_take_for_hexadecimal_is_itself():
    scenario = compose_phone(Phone(extension="101", secret="0x_V9grX"))
    assert f"password=0x{b'0x_V9grX'.hex()}]" in scenario


def test_voices_go_round(tmp_path):
    marks = [Phone(extension="1", secret="s", voice=voice).mark_hz for voice in range(12)]
    assert marks[:10] == list(OPERATOR_MARKS_HZ)
    assert marks[10:] == marks[:2]


async def test_a_phone_that_is_off_does_nothing(tmp_path):
    office = phones(tmp_path, Phone(extension="101", secret="s"))
    with pytest.raises(LabProcessDied, match="phone-101"):
        await office["101"].sign_in()
    with pytest.raises(LabError, match="no conversation"):
        await office["101"].hang_up()
    with pytest.raises(ValueError, match="no such keys"):
        await office["101"].keys("4x")
    await office.stop()
    assert len(office) == 1
