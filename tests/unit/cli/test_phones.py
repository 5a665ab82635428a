"""``dialer phone``: what is made, what is shown, and what is not."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from dialer.core import pins
from dialer.store import files
from dialer.store.connect import open_reader
from dialer.store.deskphones import load_phone


def secret(home: Path, extension: str) -> str:
    return files.load_secrets(home).phone(extension)


@pytest.fixture
def reachable(home: Path) -> Path:
    """A home folder that says where phones find it."""
    file = home / "obzvon.toml"
    file.write_text('[ports]\nsip_address = "192.0.2.10"\nsip = 5070\n')
    return home


def test_a_phone_is_added_and_its_password_is_not_shown(home, dialer):
    found = dialer("phone", "add", "101", "--model", "yealink", "--transport", "tcp", "--codec", "g722")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("Phone 101: added, yealink.\n")
    assert len(secret(home, "101")) == 24
    assert secret(home, "101") not in found.output
    with open_reader(home / "journal.sqlite3") as connection:
        phone = load_phone(connection, "101")
    assert (phone.model, phone.transport, phone.codecs) == ("yealink", "tcp", ("g722",))


def test_adding_again_changes_only_what_is_given(home, dialer):
    dialer("phone", "add", "101", "--model", "snom", "--transport", "tcp")
    before = secret(home, "101")
    assert "changed, grandstream" in dialer("phone", "add", "101", "--model", "grandstream").stdout
    assert "unchanged" in dialer("phone", "add", "101").stdout
    [row] = json.loads(dialer("phone", "list", "--format", "json").stdout)
    assert (row["model"], row["transport"]) == ("grandstream", "tcp")
    dialer("phone", "add", "101", "--transport", "any")
    assert json.loads(dialer("phone", "list", "--format", "json").stdout)[0]["transport"] == "any"
    assert secret(home, "101") == before


def test_the_list_tells_who_is_registered(home, dialer, asterisk):
    for extension in ("101", "102", "103"):
        dialer("phone", "add", extension)
    dialer("phone", "add", "120", "--model", "outside")

    def registered() -> list[str]:
        return [one["registered"] for one in json.loads(dialer("phone", "list", "--format", "json").stdout)]

    assert registered() == ["", "", "", ""]  # nobody runs who could be asked
    (home / "obzvon.toml").write_text(f'[asterisk]\nmode = "external"\nurl = "{asterisk.url}"\n')
    asterisk.answers["GET /ari/endpoints/PJSIP"] = (
        200,
        [
            {"resource": "101", "state": "online"},
            {"resource": "102", "state": "offline"},
            {"resource": "120", "state": "offline"},
        ],
    )
    assert registered() == ["yes", "no", "", ""]


def test_a_phone_and_its_operator_in_one_go(home, dialer):
    found = dialer("phone", "add", "101", "--agent", "anna", "--leg", "rung")
    assert "Agent anna: works on it, rung." in found.stdout
    [row] = json.loads(dialer("phone", "list", "--format", "json").stdout)
    assert (row["agent"], row["leg"], row["state"]) == ("anna", "rung", "signed_out")


def test_adding_an_operator_makes_the_phone(home, dialer):
    dialer("agent", "add", "anna", "--phone", "101")
    [row] = json.loads(dialer("phone", "list", "--format", "json").stdout)
    assert (row["extension"], row["model"], row["agent"]) == ("101", "generic", "anna")
    dialer("phone", "add", "101", "--model", "cisco")
    dialer("agent", "add", "anna", "--phone", "101", "--title", "Anna")
    assert json.loads(dialer("phone", "list", "--format", "json").stdout)[0]["model"] == "cisco"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "1"), "2 to 10 digits"),
        (("add", "101", "--model", "nokia"), "nokia"),
        (("add", "101", "--codec", "g729"), "g729; allowed"),
        (("add", "101", "--transport", "tls"), "no certificate for TLS"),
        (("add", "101", "--leg", "rung"), "--agent"),
        (("secret", "101"), "There is no phone 101 (there are: none)"),
        (("sheet", "101"), "There is no phone 101"),
        (("pin", "101"), "There is no phone 101"),
        (("remove", "101"), "There is no phone 101"),
    ],
)
def test_what_cannot_be_is_told(dialer, words, said):
    found = dialer("phone", *words)
    assert found.exit_code != 0
    assert said in found.stderr


def test_the_password_is_shown_to_who_asks_and_renewed(home, dialer):
    dialer("phone", "add", "101")
    before = secret(home, "101")
    assert dialer("phone", "secret", "101").stdout == f"SIP user 101, password {before}\n"
    found = dialer("phone", "secret", "101", "--new").stdout
    assert before not in found
    assert secret(home, "101") in found


def test_a_phone_that_somebody_works_on_is_not_removed(home, dialer):
    dialer("phone", "add", "101", "--agent", "anna")
    found = dialer("phone", "remove", "101")
    assert found.exit_code == 1
    assert "Agent 'anna' works on the phone 101" in found.stderr
    dialer("agent", "add", "anna", "--phone", "102")
    dialer("phone", "pin", "101")
    assert "Phone 101: removed." in dialer("phone", "remove", "101").stdout
    assert secret(home, "101") == ""
    assert files.load_secrets(home).pins == {}


# -- the sheet ------------------------------------------------------------------------------


def test_the_sheet_tells_all_but_the_password(reachable, dialer, tmp_path):
    dialer("phone", "add", "101", "--model", "snom", "--agent", "anna")
    told = secret(reachable, "101")
    sheet = tmp_path / "sheet.txt"
    found = dialer("phone", "sheet", "101", "--text", str(sheet)).stdout
    for words in ("192.0.2.10", "5070", "UDP", "anna", "G.711 A-law", "answer_after_policy = always"):
        assert words in found
    assert told not in found
    assert told in sheet.read_text()
    assert sheet.stat().st_mode & 0o777 == 0o600
    assert told in dialer("phone", "sheet", "101", "--show-secret").stdout


def test_a_sheet_needs_an_address_that_a_phone_can_call(home, dialer):
    dialer("phone", "add", "101")
    found = dialer("phone", "sheet", "101")
    assert "127.0.0.1 is no address that a phone could call; give --host" in found.stderr
    assert dialer("phone", "sheet", "101", "--host", "pbx.example.net", "--port", "5060").exit_code == 0


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_qr_code_is_a_private_file(reachable, dialer, tmp_path, kind):
    dialer("phone", "add", "101")
    file = tmp_path / f"code.{kind}"
    found = dialer("phone", "sheet", "101", f"--{kind}", str(file))
    assert f"Written without the password: {file}" in found.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes()[:4] in (b"\x89PNG", b"<?xm")


def content(home: Path, **how: str) -> str:
    """What the QR code of phone 101 says."""
    from dialer.office.sheet import account_of, qr_content

    app = how.pop("app")
    given = {"url": None, "provider": None} | how
    return qr_content(account_of(home, "101"), app, **given)  # type: ignore[arg-type]


def test_what_each_kind_of_softphone_reads(reachable, dialer):
    dialer("phone", "add", "101")
    told = secret(reachable, "101")
    assert content(reachable, app="sip") == "sip:101@192.0.2.10:5070;transport=udp"
    assert content(reachable, app="linphone", url="https://x.example/1.xml") == "https://x.example/1.xml"
    assert content(reachable, app="acrobits", provider="CODE*") == f"csc:101:{told}@CODE*"
    text = content(reachable, app="sessiontalk", provider="P")
    assert text.startswith("scloc:P|{")
    [one] = json.loads(text.partition("|")[2])["sipaccounts"]
    assert (one["sipusername"], one["sippassword"], one["subdomain"]) == ("101", told, "192.0.2.10:5070")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (("--for", "linphone"), "--url"),
        (("--for", "linphone", "--url", "http://x.example/1.xml"), "https://"),
        (("--for", "acrobits"), "--provider"),
    ],
)
def test_a_softphone_that_must_be_told_more(reachable, dialer, tmp_path, how, said):
    dialer("phone", "add", "101")
    found = dialer("phone", "sheet", "101", "--png", str(tmp_path / "x.png"), *how)
    assert found.exit_code == 1
    assert said in found.stderr
    assert not (tmp_path / "x.png").exists()


def test_the_file_for_linphone_holds_the_account(reachable, dialer, tmp_path):
    dialer("phone", "add", "101")
    file = tmp_path / "101.xml"
    dialer("phone", "sheet", "101", "--xml", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    name = "{http://www.linphone.org/xsds/lpconfig.xsd}"
    entries = {one.get("name"): one.text for one in ET.parse(file).iter(f"{name}entry")}
    assert entries["reg_identity"] == "sip:101@192.0.2.10:5070"
    assert entries["passwd"] == secret(reachable, "101")


# -- outside lines ----------------------------------------------------------------------------


def test_an_operator_on_an_outside_line_has_a_pin_and_no_account(home, dialer):
    found = dialer("phone", "add", "120", "--model", "outside", "--agent", "olga").stdout
    assert "`dialer phone pin 120`" in found
    assert secret(home, "120") == ""
    assert "It is an outside line" in dialer("agent", "add", "olga", "--phone", "120").stdout
    assert "has a PIN" in dialer("phone", "secret", "120").stderr
    assert "needs no account" in dialer("phone", "sheet", "120").stderr


def test_an_outside_line_that_is_called_may_be_called(home, dialer):
    dialer("trunk", "apply")
    words = ("phone", "add", "120", "--model", "outside", "--number")
    assert "needs both --number and --trunk" in dialer(*words, "+79161234567").stderr
    assert "there is no trunk gone" in dialer(*words, "+79161234567", "--trunk", "gone").stderr
    assert "added, outside" in dialer(*words, "+79161234567", "--trunk", "carrier").stdout
    assert "only an outside line" in dialer("phone", "add", "120", "--model", "snom").stderr
    file = home / "trunks" / "carrier.toml"
    file.write_text('id = "carrier"\nhost = "sip.example.net"\n[destinations]\nallowed = ["+7495"]\n')
    assert dialer("trunk", "apply").exit_code == 0
    assert "may not call +79161234567" in dialer(*words, "+79161234567", "--trunk", "carrier").stderr


def test_a_pin_is_shown_once_and_kept_as_a_hash(home, dialer):
    dialer("phone", "add", "120", "--model", "outside", "--agent", "olga")
    found = dialer("phone", "pin", "120").stdout
    pin = found.split("PIN ")[1][:8]
    assert pin.isdigit()
    kept = json.loads((home / "run" / "access" / "pins.json").read_text())
    assert (home / "run" / "access" / "pins.json").stat().st_mode & 0o777 == 0o600
    assert list(kept) == ["120"]
    assert pins.fits(pin, kept["120"])
    assert pin not in (home / "secrets.toml").read_text()
    assert "[access] numbers" in found, "there is no number to ring yet"
    dialer("phone", "pin", "120")
    assert not pins.fits(pin, json.loads((home / "run" / "access" / "pins.json").read_text())["120"])
    dialer("phone", "pin", "120", "--remove")
    assert json.loads((home / "run" / "access" / "pins.json").read_text()) == {}


def test_check_says_that_all_is_well(dialer):
    found = dialer("asterisk", "check")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("Every jump leads somewhere")
