"""The command line: light to load, one function a command, one clear line for each error."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import cli
from cli import main
from dialer.office import commandline, reference, remote
from dialer.office.commands import campaigns, operators, people, reports, trunks
from dialer.store import files

Dialer = Callable[..., Result]
ROOT = Path(cli.__file__).parent
HEAVY = {
    "aiohttp",
    "redis",
    "rich",
    "phonenumbers",
    "msgspec",
    "jsonschema",
    "sqlite3",
    "sqlite_utils",
    "asyncio",
}


def test_loading_it_loads_nothing_heavy() -> None:
    code = "import sys; import cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert not HEAVY & set(loaded.split())


def test_it_has_no_loop_and_no_try() -> None:
    bad = (ast.For, ast.While, ast.Try, ast.ListComp, ast.GeneratorExp, ast.AsyncFor)
    for module in (cli, campaigns, operators, people, reports, trunks):
        tree = ast.parse(inspect.getsource(module))
        assert not [(module, node.lineno) for node in ast.walk(tree) if isinstance(node, bad)]


def test_every_command_has_help() -> None:
    for path, command in commandline.commands_of(main):
        result = CliRunner().invoke(main, [*path, "--help"])
        assert result.exit_code == 0, path
        assert command.help, path
        for one in command.params:
            if isinstance(one, click.Option):
                assert one.help, (path, one.name)


def test_every_listing_has_a_format() -> None:
    for path, command in commandline.commands_of(main):
        if path[-1] in ("list", "doctor") or (path[0] == "report" and len(path) == 2):
            [choice] = [one.type for one in command.params if one.name == "as_format"]
            assert isinstance(choice, click.Choice)
            assert set(choice.choices) >= {"table", "json", "csv"}


def test_no_summary_of_a_command_is_cut_off_in_the_help() -> None:
    groups = [main, *(one for _, one in commandline.commands_of(main) if isinstance(one, click.Group))]
    assert len(groups) > 5
    for group in groups:
        room = 80 - 6 - max(map(len, group.commands))
        cut = [name for name, one in group.commands.items() if one.get_short_help_str(room).endswith("...")]
        assert cut == [], group.name


def test_the_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == reference.render(main), "run: dialer reference > docs/reference.md"


# -- the home folder ----------------------------------------------------------------------


def test_init_makes_a_home_and_says_what_next(tmp_path: Path) -> None:
    folder = tmp_path / "my home"
    result = CliRunner().invoke(main, ["init", str(folder), "--region", "KZ"])
    assert result.exit_code == 0
    assert f"made  {folder / 'obzvon.toml'}" in result.stdout
    assert f"export OBZVON_HOME='{folder}'" in result.stdout
    again = CliRunner().invoke(main, ["init", str(folder)])
    assert "made" not in again.stdout
    assert files.load_system(folder).region == "KZ"
    secret = files.load_secrets(folder, {}).ari
    assert secret not in result.stdout


def test_a_home_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OBZVON_HOME", raising=False)
    result = CliRunner().invoke(main, ["trunk", "list"])
    assert result.exit_code == 2
    assert "Which home folder?" in result.stderr
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "trunk", "list"])
    assert "is no home folder" in result.stderr
    monkeypatch.setenv("OBZVON_HOME", str(home))
    assert CliRunner().invoke(main, ["trunk", "list"]).exit_code == 0
    monkeypatch.delenv("OBZVON_HOME")
    monkeypatch.chdir(home)
    assert CliRunner().invoke(main, ["trunk", "list"]).exit_code == 0


def test_up_and_serve_run_the_engine(dialer: Dialer, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dialer.engine import main as engine

    ran: list[tuple[str, Path]] = []
    monkeypatch.setattr(engine, "up", lambda home: ran.append(("up", home)))
    monkeypatch.setattr(engine, "serve", lambda home: ran.append(("serve", home)))
    assert dialer("up").exit_code == dialer("serve").exit_code == 0
    assert ran == [("up", home), ("serve", home)]


# -- errors -------------------------------------------------------------------------------


def raising(error: BaseException) -> click.Group:
    @click.group(cls=commandline.Commands)
    def group() -> None: ...

    @group.command()
    def go() -> None:
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (remote.EngineNotRunning("No engine."), "Error: No engine.\n"),
        (OSError(28, "No space left on device", "/x"), "Error: /x: No space left on device\n"),
        (ExceptionGroup("g", [remote.EngineError("a"), remote.EngineError("a")]), "Error: a\n"),
        (remote.EngineError(), "Error: The engine did not do what it was asked.\n"),
    ],
)
def test_errors_of_the_world_are_one_message(
    error: BaseException, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = CliRunner().invoke(raising(error), ["go"])
    assert (result.exit_code, result.stderr) == (1, message)
    monkeypatch.setenv("OBZVON_TRACEBACK", "1")
    assert CliRunner().invoke(raising(error), ["go"]).exception is error


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), ExceptionGroup("g", [remote.EngineError("a"), KeyError()])]
)
def test_faults_of_ours_are_not_hidden(error: Exception) -> None:
    assert CliRunner().invoke(raising(error), ["go"]).exception is error


# -- trunks and campaigns -----------------------------------------------------------------


def test_apply_and_list(dialer: Dialer, home: Path) -> None:
    assert dialer("campaign", "apply").stderr.endswith("Apply the trunk first.\n")
    assert dialer("trunk", "diff").exit_code == 1
    applied = dialer("trunk", "apply")
    assert applied.exit_code == 0
    assert '+host = "sip.example.net"' in applied.stdout
    assert "+contact = sip:sip.example.net:5060" in applied.stdout
    assert applied.stdout.endswith(
        "Trunk carrier: applied.\nNo engine runs now; it holds from the next start on.\n"
    )
    assert dialer("trunk", "diff").stdout == "Nothing would change.\n"
    assert "Trunk carrier: unchanged." in dialer("trunk", "apply").stdout
    assert "Campaign first: applied." in dialer("campaign", "apply").stdout
    [trunk] = json.loads(dialer("trunk", "list", "--format", "json").stdout)
    assert trunk["host"] == "sip.example.net"
    assert (
        dialer("campaign", "list", "--format", "csv")
        .stdout.splitlines()[1]
        .startswith("first,First campaign,new,")
    )
    assert "First campaign" in dialer("campaign", "list").stdout


def test_apply_tells_all_mistakes_of_all_files_and_applies_none(dialer: Dialer, home: Path) -> None:
    for name in ("a", "b"):
        (home / "trunks" / f"{name}.toml").write_text(f'id = "{name}"\nhots = "x"\n')
    result = dialer("trunk", "apply")
    assert result.exit_code == 1
    assert result.stderr.count("unknown key (did you mean hosts?)") == 2
    assert json.loads(dialer("trunk", "list", "--format", "json").stdout) == []


def test_apply_with_nothing_to_apply(dialer: Dialer, home: Path) -> None:
    (home / "trunks" / "carrier.toml").unlink()
    assert "There is no file *.toml" in dialer("trunk", "apply").stderr


def test_apply_tells_a_running_engine(dialer: Dialer, engine: Any) -> None:
    assert dialer("trunk", "apply").stdout.endswith("The running engine has it.\n")
    assert engine.asked == ["POST /v1/reload"]
    engine.answers["POST /v1/reload"] = (500, {"error": "Asterisk refused"})
    result = dialer("trunk", "apply")
    assert result.exit_code == 1
    assert "It is in the store, but the running engine did not take it: Asterisk refused" in result.stderr


def test_show_is_a_file_that_can_be_applied(dialer: Dialer, home: Path) -> None:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    result = dialer("campaign", "set", "first", "calls.ring_s=25", "agents.ring = at_dial")
    assert result.exit_code == 0
    shown = dialer("campaign", "show", "first").stdout
    assert tomllib.loads(shown)["calls"] == {"ring_s": 25.0}
    (home / "campaigns" / "first.toml").write_text(shown)
    assert "Campaign first: unchanged." in dialer("campaign", "apply").stdout
    [row] = json.loads(dialer("campaign", "show", "first", "--format", "json").stdout)
    assert (row["calls.ring_s"], row["agents.ring"], row["state"]) == (25.0, "at_dial", "new")
    assert row["hours.kinds.work"] == ["mon-fri 09:00-12:00, 14:00-18:00"]
    assert (row["hours.any_time"], row["hours.unknown_zone"], row["caps.gap_s"]) == (False, "", 0.0)
    table = [
        line.split() for line in dialer("campaign", "show", "first", "--format", "table").stdout.splitlines()
    ]
    assert ["*", "calls.ring_s", "25"] in table
    assert ["calls.wait_s", "2"] in table
    assert "# calls.wait_s = 2.0" in shown
    assert '# retry.busy = { attempts = 3, again_s = 180.0, phone = "same" }' in shown
    assert "ring_s = 40" not in shown


def test_set_is_all_or_nothing(dialer: Dialer) -> None:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    result = dialer("campaign", "set", "first", "calls.ring_s=25", "calls.wait_s=long")
    assert 'campaign first: calls.wait_s: "long" is a text; allowed: a number' in result.stderr
    assert "# calls.ring_s = 40" in dialer("campaign", "show", "first").stdout
    assert dialer("campaign", "set", "first", "calls.ring_s").exit_code == 2
    assert "There is no campaign 'x'" in dialer("campaign", "set", "x", "title=y").stderr


def test_a_setting_is_taken_out_by_an_empty_value(dialer: Dialer) -> None:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    dialer("campaign", "set", "first", "caps.number_per_day=2", 'hours.kinds.fax=["never"]', "title=Fax")
    shown = dialer("campaign", "show", "first").stdout
    assert "number_per_day = 2" in shown
    result = dialer("campaign", "set", "first", "caps.number_per_day=", "hours.kinds.fax=", "title=")
    assert result.exit_code == 0, result.stderr
    assert "caps.number_per_day is empty, or as if left out." in result.stdout
    after = tomllib.loads(dialer("campaign", "show", "first").stdout)
    assert ("caps" in after, "fax" in str(after), "title" in after) == (False, False, False)
    assert "caps.number_per_day" in dialer("campaign", "set", "first", "caps.number_per_day=x").stderr


def test_that_calling_hours_are_gone_is_said(dialer: Dialer) -> None:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    gone = dialer("campaign", "set", "first", "hours.any_time=true").stdout
    assert "Warning: its calling hours are gone, and people are called at any time" in gone
    assert "Warning" not in dialer("campaign", "set", "first", "hours.any_time=true").stdout
    back = dialer("campaign", "set", "first", "hours.any_time=false").stdout
    assert "It has calling hours again: `dialer campaign show first`" in back


@pytest.mark.parametrize("order", ["start", "pause", "resume", "stop"])
def test_orders_go_to_the_engine(dialer: Dialer, engine: Any, order: str) -> None:
    engine.answers[f"POST /v1/campaigns/first/{order}"] = (200, {})
    result = dialer("campaign", order, "first")
    assert result.exit_code == 0
    assert result.stdout.startswith("Campaign first: ")
    assert engine.asked == [f"POST /v1/campaigns/first/{order}"]


def test_orders_without_an_engine(dialer: Dialer, home: Path) -> None:
    result = dialer("campaign", "start", "first")
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: No engine runs in {home}. Start one with `dialer up` or `dialer serve`.\n",
    )


def test_names_are_checked(dialer: Dialer) -> None:
    assert "1 to 32 of a-z" in dialer("campaign", "start", "../x").stderr


# -- operators ----------------------------------------------------------------------------


def test_an_operator_gets_a_phone_and_a_hidden_secret(dialer: Dialer, home: Path, engine: Any) -> None:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    result = dialer(
        "agent", "add", "anna", "--phone", "101", "--leg", "rung", "--campaign", "first", "--title", "Анна"
    )
    secret = files.load_secrets(home, {}).phone("101")
    assert len(secret) >= 20
    assert secret not in result.output
    assert "in secrets.toml under [phones]" in result.stdout
    assert engine.asked[-1] == "POST /v1/reload"
    assert f"password {secret}" in dialer("agent", "add", "anna", "--phone", "101", "--show-secret").stdout
    assert files.load_secrets(home, {}).phone("101") == secret, "adding again changes no password"
    dialer("agent", "add", "anna", "--phone", "101", "--new-secret")
    assert files.load_secrets(home, {}).phone("101") != secret
    [row] = json.loads(dialer("agent", "list", "--format", "json").stdout)
    assert (row["id"], row["name"], row["leg"], row["campaigns"]) == ("anna", "Анна", "rung", ["first"])
    dialer("agent", "add", "anna", "--phone", "102", "--leg", "parked", "--every-campaign")
    [row] = json.loads(dialer("agent", "list", "--format", "json").stdout)
    assert (row["phone"], row["name"], row["leg"], row["campaigns"]) == ("102", "Анна", "parked", [])


def test_a_card_that_contradicts_another_leaves_no_secret(dialer: Dialer, home: Path) -> None:
    dialer("agent", "add", "anna", "--phone", "101")
    assert "belongs to agent 'anna'" in dialer("agent", "add", "boris", "--phone", "101").stderr
    assert "was never applied" in dialer("agent", "add", "vera", "--phone", "102", "--campaign", "x").stderr
    assert list(files.load_secrets(home, {}).phones) == ["101"]
    assert dialer("agent", "add", "vera", "--phone", "1o2").exit_code == 2


def test_an_operator_is_ordered_through_the_engine(dialer: Dialer, engine: Any) -> None:
    came = {
        "ready": {"when": "now", "state": "ready", "reason": ""},
        "pause": {"when": "later", "state": "on_call", "reason": ""},
        "sign_out": {"when": "now", "state": "signed_out", "reason": ""},
    }
    for order, answer in came.items():
        engine.answers[f"POST /v1/agents/anna/{order}"] = (200, answer)
    assert dialer("agent", "ready", "anna").stdout == "Agent anna: ready.\n"
    paused = dialer("agent", "pause", "anna", "--reason", "lunch").stdout
    assert paused == "Agent anna: paused as soon as the call is over.\n"
    assert dialer("agent", "sign-out", "anna").stdout == "Agent anna: signed out.\n"
    assert engine.asked == [f"POST /v1/agents/anna/{order}" for order in ("ready", "pause", "sign_out")]
    assert [body["reason"] for body in engine.bodies] == ["", "lunch", ""]
    engine.answers["POST /v1/agents/anna/ready"] = (
        200,
        {"when": "later", "state": "paused", "reason": "phone_in_use"},
    )
    assert dialer("agent", "ready", "anna").stdout == "Agent anna: ready as soon as the phone is free.\n"
    refused = dialer("agent", "ready", "boris")
    assert (refused.exit_code, refused.stdout) == (1, "")


# -- doctor and watch ---------------------------------------------------------------------


def test_doctor_prints_findings_and_ends_with_their_status(
    dialer: Dialer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dialer.office import doctor

    found = [doctor.Finding(id="x", status="warn", finding="f", mend="m")]
    monkeypatch.setattr(doctor, "examine", lambda _: found)
    result = dialer("doctor", "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [{"id": "x", "status": "warn", "finding": "f", "mend": "m"}]


def test_watch_prints_one_picture(dialer: Dialer, home: Path) -> None:
    dialer("trunk", "apply")
    dialer("campaign", "apply")
    dialer("agent", "add", "anna", "--phone", "101")
    result = dialer("watch", "--once")
    assert result.exit_code == 0
    assert "No engine runs." in result.stdout
    assert "First campaign" in result.stdout
    assert "anna" in result.stdout
    assert dialer("watch", "--svg", str(home / "board.svg")).exit_code == 0
    assert (home / "board.svg").read_text().startswith("<svg")
