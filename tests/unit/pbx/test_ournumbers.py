"""Our numbers are known by the dialplan however the carrier writes them, and nobody is sent where no call may go."""

from __future__ import annotations

import msgspec
import pytest

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.incoming import Inbound
from dialer.core.values import Campaign, Centre, Trunk
from dialer.pbx import ournumbers
from dialer.pbx.ournumbers import ACCESS, lay_out, lines, spellings

CARRIER = Trunk(id=TrunkId("carrier"), host="192.0.2.1", number_format="e164")
RUSSIA = Centre(countries=("+7",))


def campaign(name: str, *numbers: str, **changes: object) -> Campaign:
    inbound = Inbound(numbers=numbers, **changes)  # type: ignore[arg-type]
    return Campaign(id=CampaignId(name), trunk=CARRIER.id, inbound=inbound)


def told(*campaigns: Campaign, access: tuple[str, ...] = ()) -> tuple[dict[str, str], list[str]]:
    return lines(campaigns, {CARRIER.id: CARRIER}, RUSSIA, access)


@pytest.mark.parametrize(
    ("number", "ways"),
    [
        ("+74951234567", {"74951234567", "84951234567", "4951234567", "0074951234567", "81074951234567"}),
        ("+442079460123", {"442079460123", "02079460123", "2079460123", "00442079460123"}),
        ("+861062345678", {"861062345678", "01062345678", "1062345678", "00861062345678"}),
        ("100500", {"100500"}),
        ("+9990000000", {"9990000000"}),
    ],
)
def test_a_number_is_known_by_the_ways_of_its_own_country(number, ways):
    assert spellings(number) == ways


def test_a_line_says_all_that_the_dialplan_must_know():
    texts, cautions = told(campaign("spring", "+74951234567", overflow="voicemail"))
    assert cautions == []
    assert set(texts.values()) == {"spring:+74951234567:yes:voicemail:"}
    assert set(texts) == spellings("+74951234567")
    quiet = msgspec.structs.replace(campaign("spring", "100500"), record=False)
    assert told(quiet)[0] == {"100500": "spring:100500:no:callback:"}


def test_what_two_could_mean_is_neither_ones_but_what_is_written_is():
    texts, cautions = told(campaign("one", "+74951234567"), campaign("two", "84951234567"))
    assert cautions == []
    assert texts["84951234567"].startswith("two:84951234567:")
    assert texts["74951234567"].startswith("one:")
    both = told(campaign("one", "+74951234567"), campaign("two", "+375" + "4951234567"))[0]
    assert "one:" in both["74951234567"]


def test_a_number_of_two_campaigns_is_the_firsts_and_said():
    texts, cautions = told(campaign("one", "+74951234567"), campaign("two", "+74951234567"))
    assert {text.split(":")[0] for text in texts.values()} == {"one"}
    assert cautions == ["Calls to +74951234567 are campaign one's, and not two's as well"]


def test_the_other_number_is_one_that_a_trunk_may_call():
    texts, cautions = told(campaign("one", "100500", overflow="number", overflow_number="+74959999999"))
    assert texts["100500"] == "one:100500:yes:number:74959999999@trunk-carrier"
    assert cautions == []


@pytest.mark.parametrize("number", ["+882160000000", "+442079460123"])
def test_a_number_that_no_trunk_may_call_is_left_out_and_said(number):
    texts, cautions = told(campaign("one", "100500", overflow="number", overflow_number=number))
    assert texts["100500"] == "one:100500:yes:number:"
    assert number in cautions[0]


def test_operators_numbers_are_no_campaigns():
    texts, cautions = told(campaign("one", "+74951234567"), access=("+74951234567",))
    assert set(texts.values()) == {ACCESS}
    assert len(cautions) == 1


def test_files_are_whole_and_those_of_nobody_go(tmp_path):
    ours = campaign("one", "100500")
    assert lay_out(tmp_path, [ours, campaign("two", "100600")], {}, RUSSIA) == []
    assert lay_out(tmp_path, [ours], {}, RUSSIA) == []
    folder = tmp_path / ournumbers.FOLDER
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "100500": "one:100500:yes:callback:"
    }
    assert (folder / "100500").stat().st_mode & 0o077 == 0


def test_what_could_leave_the_folder_is_no_number(tmp_path):
    texts, cautions = told(campaign("one", "../../etc/passwd"))
    assert texts == {}
    assert "is no number" in cautions[0]


def test_an_access_number_without_digits_is_none(tmp_path):
    cautions = lay_out(tmp_path, [], {}, RUSSIA, ("office", "+74951234567"))
    assert cautions == ["Access number 'office' has no digits, by which the dialplan knows a number"]
    assert (tmp_path / "did" / "74951234567").read_text() == "access"
