"""A home folder is made once, is private, and holds files that can be used."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import msgspec
import pytest

from dialer.core.results import DEFAULT_PAUSE_REASONS, DEFAULT_RESULTS, DEFAULT_RETRY
from dialer.core.values import Centre, Result
from dialer.office import setup
from dialer.store import files
from dialer.store.documents import BadFile
from dialer.store.hourtext import SAFE


def test_what_is_made_can_be_used(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    made = setup.make_home(home, region="KZ", language="ru")
    assert all(one.is_new and one.path.exists() for one in made)
    assert files.load_system(home) == files.SystemSettings(
        home=home.resolve(), region="KZ", language="ru", centre=Centre(countries=("+7",))
    )
    assert [trunk.id for trunk in files.load_trunks(home)] == ["carrier"]
    assert [one.trunk for one in files.load_campaigns(home)] == ["carrier"]
    assert len(files.load_secrets(home, {}).ari) >= 20


def test_examples_of_other_modes_are_campaigns_and_applied_by_nobody(home: Path, tmp_path: Path) -> None:
    assert [one.id for one in files.load_campaigns(home)] == ["first"]
    found = {}
    for path in (home / "campaigns").glob("*.example"):
        copy = tmp_path / path.name.removesuffix(".example")
        copy.write_text(path.read_text())
        found[copy.name] = files.load_campaign(copy)
    ahead, message = found["predictive.toml"], found["announcement.toml"]
    assert (ahead.mode, ahead.pacing.operators_min, ahead.hours) == ("predictive", 5, SAFE)
    assert ahead.last_word.who.text
    assert (message.mode, message.announcement.keys["9"], message.hours) == ("announcement", "refuse", SAFE)
    calls = found["inbound.toml"].inbound
    assert (calls.numbers, calls.overflow, calls.zone) == (("+74951234567",), "callback", "Europe/Moscow")


def test_phones_may_be_given_a_port_that_stays(tmp_path: Path) -> None:
    setup.make_home(tmp_path, sip_port=5070)
    assert files.load_system(tmp_path).ports.sip == 5070


def test_what_is_made_is_private(home: Path) -> None:
    for path in [home, *home.rglob("*")]:
        others = stat.S_IMODE(path.stat().st_mode) & 0o077
        assert not others, path


def test_two_homes_have_two_secrets(tmp_path: Path) -> None:
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        setup.make_home(home)
    assert len({files.load_secrets(home, {}).ari for home in homes}) == 2


def test_nothing_is_overwritten(home: Path) -> None:
    (home / "obzvon.toml").write_text('region = "BY"\n')
    (home / "trunks" / "carrier.toml").rename(home / "trunks" / "mine.toml")
    before = {path: path.read_bytes() for path in home.rglob("*.toml")}
    made = setup.make_home(home)
    assert not any(one.is_new for one in made)
    assert {path: path.read_bytes() for path in home.rglob("*.toml")} == before


def test_bad_settings_make_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="region"):
        setup.make_home(tmp_path / "home", region="russia")
    with pytest.raises(BadFile, match='"UK" is no country'):
        setup.make_home(tmp_path / "home", region="UK")
    assert not (tmp_path / "home").exists()


def test_the_comments_are_the_defaults(home: Path, tmp_path: Path) -> None:
    """Uncommenting everything changes nothing."""

    def uncommented(text: str) -> str:
        line = re.compile(r"# ((\[+[a-z_.]+\]+|[a-z_0-9]+ = .+))$")
        return "\n".join(line.sub(r"\1", one) for one in text.splitlines())

    plain = files.load_campaigns(home)[0]
    (tmp_path / "c.toml").write_text(uncommented(setup.campaign_example()))
    full = files.load_campaign(tmp_path / "c.toml")
    of_ours_alone = {Result.MISSED, Result.REROUTED}  # no file has rules for them
    assert full.retry == {
        result: rule for result, rule in DEFAULT_RETRY.items() if result not in of_ours_alone
    }
    assert full.results == DEFAULT_RESULTS
    assert full.pause_reasons == DEFAULT_PAUSE_REASONS
    assert msgspec.structs.replace(full, retry={}, results=(), pause_reasons={}) == plain
    example = uncommented(setup.trunk_example())
    (tmp_path / "t.toml").write_text(example.partition("[[number_rules]]")[0])
    assert files.load_trunk(tmp_path / "t.toml") == files.load_trunks(home)[0]
    # the tables are examples: with what they need, all of them together are a file
    whole = re.sub('(?m)^# (?="[+])', "", example).replace('transport = "udp"', 'transport = "tls"')
    (tmp_path / "t.toml").write_text(whole.replace('caller_id = ""', ""))
    trunk = files.load_trunk(tmp_path / "t.toml")
    assert trunk.number_rules
    assert trunk.caller_ids.regions
    assert trunk.is_inbound
    settings = files.load_system(home)
    (home / "obzvon.toml").write_text(uncommented((home / "obzvon.toml").read_text()))
    assert files.load_system(home) == settings
