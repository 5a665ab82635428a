"""Every good file is read, and every mistake of every bad file has its one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from dialer.core.conduct import Abandonment, Announcement, LastWord, Machines, Pacing, Prompt
from dialer.core.ids import AttemptId, CampaignId, ServerId, TrunkId
from dialer.core.results import DEFAULT_RETRY
from dialer.core.trunk import CallerIds, NumberRule
from dialer.core.values import (
    CallingHours,
    Campaign,
    Caps,
    Centre,
    DayHours,
    HoursException,
    OperatorResult,
    Owners,
    Result,
    RetryRule,
    Trunk,
)
from dialer.pbx import checks, requests
from dialer.pbx.errors import Unsendable
from dialer.store import conducttext, documents, files, trunkfile
from dialer.store.files import BadFile
from dialer.store.hourtext import SAFE

DATA = Path(__file__).resolve().parents[2] / "data" / "files"
KINDS = ("system", "trunk", "campaign", "secrets")


def read(file: Path, home: Path) -> object:
    """Read *file* as the kind that its name begins with, from within the folder *home*."""
    kind = file.name.split("-")[0]
    target = home / {"system": "obzvon.toml", "secrets": "secrets.toml"}.get(kind, file.name)
    shutil.copy(file, target)
    target.chmod(0o600)
    match kind:
        case "system":
            return files.load_system(home)
        case "trunk":
            return files.load_trunk(target)
        case "campaign":
            return files.load_campaign(target)
    return files.load_secrets(home, {})


@pytest.mark.parametrize("file", sorted((DATA / "good").iterdir()), ids=lambda file: file.stem)
def test_a_good_file_is_read(file: Path, tmp_path: Path) -> None:
    assert read(file, tmp_path) is not None


@pytest.mark.parametrize("file", sorted((DATA / "bad").iterdir()), ids=lambda file: file.stem)
def test_each_mistake_of_a_bad_file_has_its_line(file: Path, tmp_path: Path) -> None:
    expected = [
        line.removeprefix("# expect")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("# expect")
    ]
    with pytest.raises(BadFile) as caught:
        read(file, tmp_path)
    told = [line.removeprefix(caught.value.file) for line in str(caught.value).splitlines()]
    assert told == expected


def test_each_kind_has_good_and_bad_examples() -> None:
    for folder in ("good", "bad"):
        assert {file.name.split("-")[0] for file in (DATA / folder).iterdir()} == set(KINDS)


def test_a_full_campaign_is_understood(tmp_path: Path) -> None:
    campaign = read(DATA / "good" / "campaign-full.toml", tmp_path)
    assert campaign == Campaign(
        id=CampaignId("spring"),
        title="Весна: интернет и ТВ",
        lists=("spring", "winter_rest"),
        trunk=TrunkId("carrier"),
        caller_id="+74950000001",
        priority=10,
        lines_max=40,
        ring_agent="at_ring",
        ring_s=25.0,
        wait_s=1.5,
        no_agent="hold",
        hold_s=45.0,
        wrap_up="card",
        wrap_up_s=30.0,
        wrap_up_s_max=240.0,
        hours=CallingHours(
            kinds={
                **SAFE.kinds,
                "work": (
                    DayHours(days=(0, 1, 2, 3), stretches=((540, 750), (840, 1080))),
                    DayHours(days=(4,), stretches=((540, 1020),)),
                ),
                "fax": (),
            },
            holidays=("2026-11-04", "2027-01-01"),
            exceptions=(
                HoursException(date="2026-12-31", stretches=((540, 780),), kinds=("work", "mobile")),
                HoursException(date="2027-01-02"),
            ),
            unknown_zone="Europe/Moscow",
        ),
        caps=Caps(number_per_day=2, contact_per_24h=4, gap_s=1800.0),
        owners=Owners(hold_s=7200.0, away="wait", wait_s=86400.0),
        agent_ring_s=12.0,
        attempts=4,
        attempts_per_contact=9,
        phone_kinds=("mobile", "home"),
        retry={
            Result.BUSY: RetryRule(attempts=3, again_s=240.0, phone="same"),
            Result.DECLINED: RetryRule(attempts=1, again_s=None, phone="next"),
            Result.NO_ANSWER: RetryRule(
                attempts=5, again_s=600.0, growth=3.0, again_s_max=86400.0, phone="next", other_s=0.0
            ),
            Result.MACHINE: RetryRule(
                attempts=2, again_s=3600.0, phone="next", counts=False, is_contact=True
            ),
            Result.FAILED: RetryRule(attempts=100, again_s=30.0, phone="same", counts=False),
        },
        results=(
            OperatorResult(code="1", name="order", title="Заказ"),
            OperatorResult(
                code="2",
                name="later",
                title="Перезвонить",
                again_s=86400.0,
                growth=2.0,
                again_s_max=604800.0 * 2,
                phone="next",
                other_s=60.0,
                counts=False,
            ),
            OperatorResult(
                code="3", name="wrong", title="Не тот человек", is_contact=False, is_bad_number=True
            ),
            OperatorResult(code="4", name="no_more", title="Не звонить", is_do_not_call=True),
        ),
        pause_reasons={"1": "tea", "2": "lunch"},
        record=False,
    )


def test_how_a_campaign_conducts_itself_is_understood(tmp_path: Path) -> None:
    campaign = read(DATA / "good" / "campaign-conduct.toml", tmp_path)
    assert campaign == Campaign(
        id=CampaignId("autumn"),
        trunk=TrunkId("carrier"),
        hours=SAFE,
        mode="predictive",
        pacing=Pacing(
            operators_min=10,
            ring_s_min=18.0,
            knowledge="offers",
            abandonment=Abandonment(
                share=0.01, cap=0.02, window_days=7, limit_s=1.5, against="bound", confidence=0.99
            ),
        ),
        last_word=LastWord(
            language="ru",
            who=Prompt(text="Вам звонила компания «Свет», 8 800 000-00-00.", sound="svet-who.wav"),
            offers=("refuse", "later"),
            later_max=2,
        ),
        machines=Machines(
            detect=True,
            listen_s=0.8,
            action="message",
            message=Prompt(text="Позвоните нам: 8 800 000-00-00."),
        ),
    )
    message = read(DATA / "good" / "campaign-message.toml", tmp_path)
    assert isinstance(message, Campaign)
    assert message.mode == "announcement"
    assert message.announcement == Announcement(
        message=Prompt(sound="visit.wav"),
        times=3,
        keys={"1": "confirm", "2": "operator", "9": "later", "*": "refuse"},
    )
    assert message.retry[Result.ANNOUNCED] == RetryRule(attempts=1, again_s=86400.0, is_contact=True)


def test_a_trunk_with_every_table_is_understood_and_written_again(tmp_path: Path) -> None:
    trunk = files.load_trunk(DATA / "good" / "trunk-tables.toml")
    assert trunk == Trunk(
        id=TrunkId("carrier-3"),
        host="sip.example.net",
        hosts=("sip2.example.net", "192.0.2.11:5071"),
        port=5061,
        transport="tls",
        username="alpha",
        register=True,
        codecs=("alaw",),
        dtmf="info",
        srtp="sdes",
        tls_ca="/etc/obzvon/carrier.pem",
        number_rules=(
            NumberRule(prefix="+7", strip=2, add="8"),
            NumberRule(prefix="+7495", strip=5),
            NumberRule(prefix="+1", strip=1, add="00"),
        ),
        tech_prefix="77#",
        caller_ids=CallerIds(
            numbers=("+74950000001", "+74950000002"),
            regions={"+7812": ("+78120000001",)},
            campaigns={"spring": ("+74950000009",)},
        ),
        channels_max=60,
        calls_per_second_max=5.0,
        priority=10,
        weight=3,
        failover_on=(34, 503),
        destinations=("+7",),
        forbidden=("+7900",),
        options_interval_s=15,
        servers=(ServerId("a"), ServerId("b")),
        is_inbound=True,
        inbound_from=("198.51.100.0/24", "gw.example.net"),
    )
    document = trunkfile.trunk_document(trunk)
    again = tmp_path / "again.toml"
    again.write_text(documents.dump(document), encoding="utf-8")
    assert files.load_trunk(again) == trunk
    least = files.load_trunk(DATA / "good" / "trunk-least.toml")
    assert set(trunkfile.trunk_document(least)) == {"id", "host"}


def test_a_full_trunk_and_settings_are_understood(tmp_path: Path) -> None:
    assert read(DATA / "good" / "trunk-full.toml", tmp_path) == Trunk(
        id=TrunkId("carrier-2"),
        host="192.0.2.10",
        port=5080,
        transport="tcp",
        username="alpha.beta",
        register=True,
        codecs=("g722", "alaw"),
        number_format="e164",
        caller_id="+74950000000",
        channels_max=120,
        calls_per_second_max=2.5,
        options_interval_s=0,
    )
    settings = read(DATA / "good" / "system-external.toml", tmp_path)
    assert isinstance(settings, files.SystemSettings)
    assert settings.asterisk.url == "http://127.0.0.1:8088/ari"
    assert settings.recordings_folder == Path("/srv/recordings")
    assert settings.centre == Centre(
        caps=Caps(number_per_24h=3, gap_s=600.0),
        pause_s_max=1800.0,
        missed_max=2,
        missed_rest_s=60.0,
        countries=("+7",),
    )
    least = read(DATA / "good" / "system-least.toml", tmp_path)
    assert isinstance(least, files.SystemSettings)
    assert least == files.SystemSettings(home=tmp_path.resolve(), centre=Centre(countries=("+7",)))
    assert least.recordings_folder == tmp_path.resolve() / "recordings"


@pytest.mark.parametrize("name", ["a,b", "a[1]", "a(b)", "it's", "a|b", "$a", "a;b", "a\nb", "a\udcffb"])
def test_a_home_that_asterisk_cannot_be_told_is_refused(tmp_path: Path, name: str) -> None:
    """Else every call with a recording would fail, one by one."""
    home = tmp_path / name
    home.mkdir()
    (home / "obzvon.toml").write_text("")
    with pytest.raises(BadFile, match=r"recordings\.folder: .*recordings. holds .*; allowed: an absolute"):
        files.load_system(home)
    with pytest.raises(Unsendable):
        requests.recording_path(home / "recordings", AttemptId("a" + "0" * 20), 0.0)
    (home / "obzvon.toml").write_text('[recordings]\nfolder = "/srv/Записи and more"\n')
    folder = files.load_system(home).recordings_folder
    assert requests.recording_path(folder, AttemptId("a" + "0" * 20), 0.0).is_relative_to(folder)


# -- schemas and values agree -------------------------------------------------------------


def defaults(kind: type[msgspec.Struct]) -> dict[str, object]:
    """Default of each field of *kind* as JSON has it; None where it has none."""
    found = {}
    for field in msgspec.structs.fields(kind):
        value = field.default if field.default is not msgspec.NODEFAULT else None
        if field.default_factory is not msgspec.NODEFAULT:
            value = field.default_factory()
        found[field.name] = msgspec.json.decode(msgspec.json.encode(value))
    return found


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("asterisk", files.AsteriskSettings),
        ("redis", files.RedisSettings),
        ("ports", files.Ports),
        ("recordings", files.RecordingSettings),
    ],
)
def test_schema_of_settings_and_struct_agree(part: str, kind: type[msgspec.Struct]) -> None:
    properties = documents.schema("system")["properties"][part]["properties"]
    assert {key: one["default"] for key, one in properties.items()} == defaults(kind)


def part_defaults(schema: str, table: str) -> dict[str, object]:
    """Default of each key of a table of a file."""
    properties = documents.schema(schema)["properties"][table]["properties"]
    return {key: one.get("default") for key, one in properties.items()}


def test_schemas_and_structs_agree() -> None:
    system = defaults(files.SystemSettings)
    del system["home"], system["centre"]
    assert set(documents.schema("system")["properties"]) == {*system, "caps", "agents"}
    for key in ("region", "language", "log_level"):
        assert documents.schema("system")["properties"][key]["default"] == system[key]
    trunk = defaults(Trunk)
    for (table, key), field in trunkfile.FIELDS.items():
        assert part_defaults("trunk", table)[key] == trunk.pop(field)
    assert part_defaults("trunk", "caller_ids") == {"numbers": None, "regions": {}, "campaigns": {}}
    assert trunk.pop("caller_ids") == {"numbers": [], "regions": {}, "campaigns": {}}
    tables = {table for table, _ in trunkfile.FIELDS} | {"caller_ids"}
    keys = documents.schema("trunk")["properties"]
    assert {key: one.get("default") for key, one in keys.items() if key not in tables} == trunk
    rule = documents.schema("trunk")["$defs"]["number_rule"]["properties"]
    assert {key: one.get("default") for key, one in rule.items()} == defaults(NumberRule)
    found = {
        field: part.get("default") for _, field, part in files.campaign_fields(documents.schema("campaign"))
    }
    # A table that is a value of its own may be left out; hours that are left out are the safe ones.
    for field in ("caps", "owners", "hours", *conducttext.TABLES):
        assert found.pop(field) == {}
    values = defaults(Campaign)
    assert values.pop("hours") is None
    plain = Campaign(id=CampaignId("c"), trunk=TrunkId("t"))
    for table_name, values_of_it in conducttext.conduct_tables(plain).items():
        values.pop(table_name, None)
        assert part_defaults("campaign", table_name) == values_of_it
    for field, kind in (("caps", Caps), ("owners", Owners)):
        assert values.pop(field) == part_defaults("campaign", field) == defaults(kind)
    assert found == values
    centre = defaults(Centre)
    assert centre.pop("caps") == part_defaults("system", "caps")
    assert centre.pop("countries") == [], "the region's"
    assert centre == part_defaults("system", "agents")
    overrides = defaults(files.Secrets)
    del overrides["overrides"]
    secrets = documents.schema("secrets")["properties"]
    assert {key: one["default"] for key, one in secrets.items()} == overrides


def test_campaign_parts_agree() -> None:
    parts = documents.schema("campaign")
    told = set(DEFAULT_RETRY) - {
        Result.REROUTED,
        Result.MISSED,
    }  # what becomes of these is no matter of retry rules
    assert set(parts["properties"]["retry"]["properties"]) == {result.value for result in told}
    assert set(parts["$defs"]["retry_rule"]["properties"]) == set(RetryRule.__struct_fields__)
    codecs = documents.schema("trunk")["properties"]["codecs"]
    assert tuple(codecs["items"]["enum"]) == checks.CODECS
    assert set(parts["$defs"]["operator_result"]["properties"]) == set(OperatorResult.__struct_fields__)
    assert set(parts["$defs"]["hours_exception"]["properties"]) == {"date", "hours", "kinds"}
    assert set(parts["properties"]["hours"]["properties"]) == {*CallingHours.__struct_fields__, "any_time"}
    for name in ("growth", "again_s_max", "counts", "phone", "is_do_not_call"):
        told = parts["$defs"]["operator_result"]["properties"][name]["default"]
        assert told == defaults(OperatorResult)[name], name


def test_every_key_is_described_and_no_table_takes_unknown_keys() -> None:
    def walk(part: dict[str, object], path: str) -> None:
        if part.get("type") == "object":
            assert "additionalProperties" in part, path
            assert part["additionalProperties"] is False or "propertyNames" in part, path
        for key, inner in part.get("properties", {}).items():  # type: ignore[attr-defined]
            assert inner.get("description"), f"{path}.{key}"
            assert "pattern" not in inner or "x-allowed" in inner, f"{path}.{key}"
            walk(inner, f"{path}.{key}")
        for name, inner in part.get("$defs", {}).items():  # type: ignore[attr-defined]
            walk(inner, f"{path}#{name}")

    for kind in KINDS:
        walk(documents.schema(kind), kind)


def test_schemas_are_schemas() -> None:
    for kind in KINDS:
        jsonschema.Draft202012Validator.check_schema(documents.schema(kind))


# -- a campaign there and back ------------------------------------------------------------


@pytest.mark.parametrize("name", ["campaign-full", "campaign-least", "campaign-conduct", "campaign-message"])
def test_a_campaign_becomes_a_document_and_comes_back(name: str, tmp_path: Path) -> None:
    campaign = files.load_campaign(DATA / "good" / f"{name}.toml")
    text = documents.dump(files.campaign_document(campaign))
    (tmp_path / "again.toml").write_text(text, encoding="utf-8")
    assert files.load_campaign(tmp_path / "again.toml") == campaign


def test_one_setting_is_changed() -> None:
    campaign = files.load_campaign(DATA / "good" / "campaign-least.toml")
    assert files.set_in_campaign(campaign, "calls.ring_s", "25").ring_s == 25.0
    assert files.set_in_campaign(campaign, "title", "Spring sale").title == "Spring sale"
    assert files.set_in_campaign(campaign, "agents.ring", "at_dial").ring_agent == "at_dial"
    assert files.set_in_campaign(campaign, "lists", '["a", "b"]').lists == ("a", "b")
    changed = files.set_in_campaign(campaign, "retry.busy.again_s", "never")
    assert changed.retry[Result.BUSY] == RetryRule(attempts=3, again_s=None, phone="same")


def test_settings_that_need_each_other_are_changed_together_in_any_order() -> None:
    campaign = files.load_campaign(DATA / "good" / "campaign-least.toml")
    both = [("mode", "announcement"), ("announcement.message", "Your order is ready.")]
    for assignments in (both, both[::-1]):
        changed = files.set_all_in_campaign(campaign, assignments)
        assert (changed.mode, changed.announcement.message.text) == ("announcement", "Your order is ready.")
    with pytest.raises(BadFile, match=r"announcement\.message: is missing, for mode is"):
        files.set_in_campaign(campaign, "mode", "announcement")
    keyed = files.set_in_campaign(changed, "announcement.keys.1", "confirm")
    keyed = files.set_in_campaign(keyed, 'announcement.keys."#"', "refuse")
    assert keyed.announcement.keys == {"1": "confirm", "#": "refuse"}
    capped = files.set_all_in_campaign(campaign, [("abandonment.share", "0.05"), ("abandonment.cap", "0.1")])
    assert files.set_in_campaign(capped, "abandonment.cap", "").pacing.abandonment == Abandonment(share=0.05)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("mode", "manual", '"manual" is not allowed; allowed: progressive, predictive, announcement'),
        ("abandonment.share", "0", "0 is not allowed; allowed: a number above 0 to 0.5"),
        ("abandonment.cap", "0.02", "abandonment.cap: 0.02 is less than share"),
        ("announcement.keys.10", "confirm", "unknown key; allowed: one of 0 to 9, * and #"),
        ("calls.ring_s", "long", '"long" is a text; allowed: a number from 1 to 300'),
        ("calls.rings", "1", "unknown key (did you mean ring_s?)"),
        ("id", "other", "cannot be set by command"),
        ("title.x", "y", "cannot be set by command"),
        ("title", "x\ny = 1", "has a line end"),
        ("nothing.at.all", "1", "nothing: unknown key"),
    ],
)
def test_a_setting_that_is_wrong_is_refused(path: str, text: str, message: str) -> None:
    campaign = files.set_in_campaign(files.load_campaign(DATA / "good" / "campaign-least.toml"), "title", "t")
    with pytest.raises(BadFile, match=r"campaign spring: ") as caught:
        files.set_in_campaign(campaign, path, text)
    assert message in str(caught.value)


def test_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "trunks").mkdir()
    for name in ("a", "b"):
        shutil.copy(DATA / "good" / "trunk-least.toml", tmp_path / "trunks" / f"{name}.toml")
    with pytest.raises(BadFile, match=r'b\.toml: id: "carrier" is taken by a\.toml'):
        files.load_trunks(tmp_path)


# -- files that are no files --------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"dialer init"):
        files.load_system(tmp_path)
    with pytest.raises(BadFile, match=r"cannot be read: No such file"):
        files.load_trunk(tmp_path / "none.toml")
    with pytest.raises(BadFile, match=r"cannot be read: Is a directory"):
        files.load_trunk(tmp_path)
    (tmp_path / "latin.toml").write_bytes('id = "a"\ntitle = "é"\n'.encode("latin-1"))
    with pytest.raises(BadFile, match=r"latin\.toml:2: is not UTF-8 text"):
        files.load_trunk(tmp_path / "latin.toml")
    (tmp_path / "long.toml").write_bytes(b"#" * (documents.SIZE_MAX + 1))
    with pytest.raises(BadFile, match=r"is too long"):
        files.load_trunk(tmp_path / "long.toml")
    (tmp_path / "deep.toml").write_text("id = " + "[" * 100_000)
    with pytest.raises(BadFile, match=r"nested too deeply|is not TOML"):
        files.load_trunk(tmp_path / "deep.toml")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_bytes(b"\xef\xbb\xbf" + (DATA / "good" / "trunk-least.toml").read_bytes())
    assert files.load_trunk(tmp_path / "t.toml").id == "carrier"


# -- several servers -----------------------------------------------------------------------------


def servers(tmp_path, text: str):
    (tmp_path / "obzvon.toml").write_text(text)
    return files.load_system(tmp_path)


def test_without_names_there_is_one_server(tmp_path):
    system = servers(tmp_path, '[asterisk]\nuser = "me"\n[ports]\nsip = 5070\n')
    (one,) = system.servers.items()
    assert one[0] == ""
    assert (one[1].user, one[1].ports.sip, one[1].mode) == ("me", 5070, "embedded")
    assert system.asterisk_folder(one[0]) == tmp_path / "asterisk"


def test_servers_with_names(tmp_path):
    text = '[asterisk]\nuser = "me"\n[asterisk.servers.north]\nweight = 2\n[asterisk.servers.south]\nmode = "external"\n'
    text += 'url = "http://south:8088/ari"\nuser = "other"\nchannels_max = 30\n[asterisk.servers.south.ports]\nsip = 5070\n'
    system = servers(tmp_path, text)
    assert list(system.servers) == ["north", "south"]
    north, south = system.servers.values()
    assert (north.user, north.weight, south.user, south.channels_max) == ("me", 2, "other", 30)
    assert south.ports.sip == 5070
    assert system.asterisk_folder("south") == tmp_path / "asterisk-south"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[asterisk.servers.a]\nmode = "external"\n', "asterisk.servers.a.url: is missing"),
        ("[asterisk.servers.A]\n", "asterisk.servers.A"),
        ("[asterisk.servers.a]\nweight = -1\n", "asterisk.servers.a.weight: -1"),
        ("[asterisk.servers.a.ports]\nsip = 5060\n[asterisk.servers.b.ports]\nsip = 5060\n", "used by a too"),
        (
            "[asterisk.servers.a.ports]\nrtp = 10000\nrtp_count = 100\n[asterisk.servers.b.ports]\nrtp = 10098\n",
            "asterisk.servers.b.ports.rtp: is used by a too",
        ),
        ("[asterisk.servers.a.ports]\nrtp = 64000\nrtp_count = 2000\n", "goes past the last port"),
        ("[ports]\nrtp = 64000\nrtp_count = 2000\n", "ports.rtp_count: goes past the last port"),
    ],
)
def test_what_servers_may_not_be(tmp_path, text, said):
    with pytest.raises(files.BadFile) as caught:
        servers(tmp_path, text)
    assert said in str(caught.value)


def test_external_servers_may_have_the_same_ports(tmp_path):
    """They are on machines of their own."""
    text = "".join(
        f'[asterisk.servers.{name}]\nmode = "external"\nurl = "http://{name}/ari"\n[asterisk.servers.{name}.ports]\nsip = 5060\n'
        for name in ("a", "b")
    )
    assert len(servers(tmp_path, text).servers) == 2


def test_each_server_may_have_a_password_of_its_own():
    secrets = files.Secrets(
        ari="for all", servers={"south": "its own"}, overrides={"ARI_WEST_1": "environment"}
    )
    assert [secrets.ari_of(ServerId(name)) for name in ("north", "south", "west-1", "")] == [
        "for all",
        "its own",
        "environment",
        "for all",
    ]
