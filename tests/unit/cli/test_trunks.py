"""``dialer trunk``: orders, and what is shown. Against real servers: tests/e2e/test_trunk_kinds.py."""

from __future__ import annotations

import json
import time
from contextlib import closing

import pytest

from dialer.office import trunkcheck
from dialer.pbx import taken
from dialer.pbx.render import trunk_file
from dialer.pbx.settings import Sip
from dialer.pbx.trunks import TrunkLine
from dialer.store import files, trunks
from dialer.store.connect import open_writer

NO_ENGINE = "No engine runs now; it holds from the next start on."


@pytest.fixture
def applied(dialer):
    assert dialer("trunk", "apply").exit_code == 0


def test_a_trunk_without_its_password_is_not_applied(dialer, home):
    (home / "trunks" / "carrier.toml").write_text('id = "carrier"\nhost = "192.0.2.1"\nusername = "alpha"\n')
    result = dialer("trunk", "apply")
    assert result.exit_code == 1
    assert "put it into secrets.toml under [trunks] as carrier" in result.stderr
    assert json.loads(dialer("trunk", "list", "--format", "json").stdout) == []
    files.add_secret(home, "trunks", "carrier", "hush-hush")
    result = dialer("trunk", "apply")
    assert result.exit_code == 0
    assert "hush" not in result.stdout
    assert "+password = ********" in result.stdout


def test_what_changed_is_shown_and_nothing_else(dialer, home, applied):
    (home / "trunks" / "carrier.toml").write_text('id = "carrier"\nhost = "192.0.2.1"\ncodecs = ["ulaw"]\n')
    said = dialer("trunk", "diff").stdout
    assert '-host = "sip.example.net"' in said
    assert '+host = "192.0.2.1"' in said
    assert "-allow = alaw,ulaw" in said
    assert "+allow = ulaw" in said
    assert "rtp_timeout" not in said


def test_two_files_of_one_trunk(dialer, home):
    (home / "trunks" / "again.toml").write_text('id = "carrier"\nhost = "192.0.2.1"\n')
    assert "two of the files describe a trunk 'carrier'" in dialer("trunk", "apply").stderr


def test_cautions(dialer, home):
    text = 'id = "carrier"\nhost = "192.0.2.1"\ntransport = "tls"\nservers = ["b"]\n[tls]\nca = "/nowhere/ca.pem"\n'
    (home / "trunks" / "carrier.toml").write_text(text)
    said = dialer("trunk", "apply").stdout
    assert "names the server b, which obzvon.toml does not" in said
    assert "there is no file /nowhere/ca.pem" in said


def test_disable_and_enable_without_an_engine(dialer, applied):
    said = dialer("trunk", "disable", "carrier").stdout
    assert said == f"Trunk carrier: disabled: it gets no more calls; those on it go on. {NO_ENGINE}\n"
    assert "disabled already" in dialer("trunk", "disable", "carrier").stdout
    [row] = json.loads(dialer("trunk", "list", "--format", "json").stdout)
    assert row["state"] == "disabled"
    assert dialer("trunk", "enable", "carrier").stdout == f"Trunk carrier: enabled. {NO_ENGINE}\n"
    result = dialer("trunk", "disable", "other")
    assert result.exit_code == 1
    assert "there are: carrier" in result.stderr


def test_orders_reach_a_running_engine(dialer, applied, engine):
    engine.answers["POST /v1/trunks/carrier/disable"] = (200, {})
    engine.answers["POST /v1/trunks/carrier/remove"] = (200, {})
    assert dialer("trunk", "disable", "carrier").stdout.endswith("The running engine has it.\n")
    assert dialer("trunk", "remove", "carrier").exit_code == 0
    assert [one for one in engine.asked if "trunks" in one] == [
        "POST /v1/trunks/carrier/disable",
        "POST /v1/trunks/carrier/remove",
    ]


def test_remove(dialer, applied, home):
    dialer("campaign", "apply")
    result = dialer("trunk", "remove", "carrier")
    assert result.exit_code == 1
    assert "the campaign first uses it" in result.stderr
    (home / "trunks" / "spare.toml").write_text('id = "spare"\nhost = "192.0.2.1"\n')
    dialer("trunk", "apply")
    said = dialer("trunk", "remove", "spare").stdout
    assert "removed" in said
    assert "Its file trunks/spare.toml is still there" in said
    assert [one["id"] for one in json.loads(dialer("trunk", "list", "--format", "json").stdout)] == [
        "carrier"
    ]


def test_show(dialer, home, busy_home):
    with closing(open_writer(home / "journal.sqlite3")) as connection:
        connection.execute(
            "INSERT INTO trunk_states (trunk, at, state, why) VALUES ('carrier', ?, 'resting', '5 in a row')",
            (time.time(),),
        )
        figures = trunks.fared(connection, "carrier", 0.0)
    result = dialer("trunk", "show", "carrier")
    assert result.exit_code == 0, result.output
    assert 'host = "sip.example.net"' in result.stdout
    assert "Used by: first" in result.stdout
    assert "resting: 5 in a row" in result.stdout
    assert f"{figures.seizures} calls, {figures.answered} answered" in result.stdout
    assert "answer-seizure ratio" in result.stdout
    assert "Asterisk: none runs that could be asked." in result.stdout
    assert "no calls" in dialer("trunk", "show", "carrier", "--until", "2020-01-01").stdout


def test_nobody_is_called_by_mistake(dialer, applied):
    for number, said in (
        ("84951234567", "is no number in E.164"),
        ("+19005550100", "may not call"),
        ("+74951234567", "no Asterisk runs"),
    ):
        result = dialer("trunk", "test", "carrier", number)
        assert result.exit_code == 1
        assert said in result.stderr


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("online", "NOT registered: the carrier refuses"),
        ("offline", "not registered yet: the carrier has not answered"),
    ],
)
def test_a_silent_carrier_is_not_said_to_refuse(state, said):
    """Asterisk says *rejected* of both."""
    standing = taken.Standing(state=state, registration="rejected")
    assert said in trunkcheck.Found(trunk="carrier", server="", standing=standing).describe()


@pytest.fixture
def foreign(home, asterisk, monkeypatch):
    """An Asterisk that we did not start, whose configuration was rendered into the home folder."""
    (home / "obzvon.toml").write_text(f'[asterisk]\nmode = "external"\nurl = "{asterisk.url}"\n')
    (home / "asterisk" / "etc").mkdir(parents=True)
    (home / "asterisk" / "etc" / "asterisk.conf").touch()
    monkeypatch.setattr(trunkcheck, "TAKEN_S", 0.0)
    monkeypatch.setattr(trunkcheck, "REACHED_S", 0.0)
    asterisk.answers["PUT /ari/asterisk/modules/res_pjsip.so"] = (204, {})
    return asterisk


def test_an_asterisk_that_is_somebody_elses_is_given_the_file_and_told_to_read_it(dialer, home, foreign):
    text = trunk_file([TrunkLine(trunk=files.load_trunk(home / "trunks" / "carrier.toml"))], Sip())
    for one in taken.sections(text):
        path = f"GET /ari/asterisk/config/dynamic/res_pjsip/{one.type}/{one.id}"
        foreign.answers[path] = (200, [{"attribute": key, "value": value} for key, value in one.values])
    foreign.answers["GET /ari/endpoints/PJSIP/trunk-carrier"] = (200, {"state": "online", "channel_ids": []})
    result = dialer("trunk", "apply")
    assert result.exit_code == 0, result.output
    assert "Trunk carrier: Asterisk has it; online" in result.stdout
    assert "PUT /ari/asterisk/modules/res_pjsip.so" in foreign.asked
    assert (home / "asterisk" / "etc" / "pjsip_trunks.conf").read_text() == text


def test_a_new_password_is_told_of_and_not_shown(dialer, home, foreign):
    (home / "trunks" / "carrier.toml").write_text('id = "carrier"\nhost = "192.0.2.1"\nusername = "alpha"\n')
    files.add_secret(home, "trunks", "carrier", "first-password")
    assert "Trunk carrier: applied.\n" in dialer("trunk", "apply").stdout
    assert "Trunk carrier: unchanged.\n" in dialer("trunk", "apply").stdout
    assert dialer("trunk", "diff").exit_code == 0
    secrets = home / "secrets.toml"
    secrets.write_text(secrets.read_text().replace("first-password", "second-password"))
    found = dialer("trunk", "diff")
    assert (found.exit_code, found.stdout) == (1, "Trunk carrier: its password is new.\n")
    said = dialer("trunk", "apply").output
    assert "Trunk carrier: applied, its password is new.\n" in said
    assert "second-password" not in said
    assert "Trunk carrier: unchanged.\n" in dialer("trunk", "apply").stdout


def test_what_asterisk_did_not_take_is_named_and_the_exit_status_tells(dialer, foreign):
    result = dialer("trunk", "apply")
    assert result.exit_code == 1
    assert "Trunk carrier: applied." in result.stdout
    assert (
        "Asterisk did NOT take it: [trunk-carrier] aor is not there; [trunk-carrier] endpoint is not there"
        in result.stdout
    )


def test_an_asterisk_that_does_not_answer_is_told(dialer, home, foreign):
    (home / "obzvon.toml").write_text('[asterisk]\nmode = "external"\nurl = "http://127.0.0.1:9/ari"\n')
    result = dialer("trunk", "apply")
    assert result.exit_code == 1
    assert "Asterisk could not be asked" in result.stdout


def test_an_asterisk_that_has_a_configuration_of_its_own_is_asked_and_not_written(dialer, home, foreign):
    with (home / "obzvon.toml").open("a") as file:
        file.write(f'config_folder = "{home}"\n')
    trunk = files.load_trunk(home / "trunks" / "carrier.toml")
    text = trunk_file([TrunkLine(trunk=trunk)], Sip(bind="0.0.0.0"))
    for one in taken.sections(text.replace("transport-udp", "obzvon-transport-udp")):
        path = f"GET /ari/asterisk/config/dynamic/res_pjsip/{one.type}/{one.id}"
        foreign.answers[path] = (200, [{"attribute": key, "value": value} for key, value in one.values])
    result = dialer("trunk", "apply")
    assert result.exit_code == 0, result.output
    assert "`dialer asterisk install` gives it" in result.stdout
    assert not (home / "asterisk" / "etc" / "pjsip_trunks.conf").exists()


def test_how_a_trunk_stands_is_its_last_word_on_each_server(dialer, home, applied, engine):
    """What was another engine's word the next one takes back when it starts."""
    engine.answers["GET /v1/health"] = (200, {})

    def state(*rows: tuple[str, float, str]) -> str:
        with closing(open_writer(home / "journal.sqlite3")) as connection:
            connection.execute("DELETE FROM trunk_states")
            connection.executemany(
                "INSERT INTO trunk_states (trunk, server, at, state, why) VALUES ('carrier', ?, ?, ?, 'because')",
                rows,
            )
        [row] = json.loads(dialer("trunk", "list", "--format", "json").stdout)
        return str(row["state"])

    assert state() == "in rotation"
    assert state(("", 1.0, "resting")) == "resting (because)"
    assert state(("", 1.0, "resting"), ("", 2.0, "up")) == "in rotation"
    assert state(("b", 1.0, "down"), ("b", 2.0, "up"), ("", 3.0, "up")) == "in rotation"
    assert state(("b", 1.0, "down"), ("", 2.0, "up")) == "down on b (because)", (
        "which a rest that is over does not end"
    )
    assert state(("", 1.0, "up"), ("b", 2.0, "down")) == "down on b (because)"


def test_a_trunk_whose_file_is_gone_is_told(dialer, home, applied):
    (home / "trunks" / "carrier.toml").rename(home / "trunks" / "other.toml")
    (home / "trunks" / "other.toml").write_text('id = "other"\nhost = "192.0.2.1"\n')
    assert "Trunk carrier is in force, and no file in trunks/ describes it" in dialer("trunk", "apply").stdout
    assert "no file" not in dialer("trunk", "apply", str(home / "trunks" / "other.toml")).stdout
