"""The pages for people say what is so: their commands exist, their links lead somewhere, their tables are the code's."""

from __future__ import annotations

import configparser
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli import main
from dialer.core.features import Feature
from dialer.core.results import DEFAULT_PAUSE_REASONS, DEFAULT_RESULTS, DEFAULT_RETRY
from dialer.core.values import Result
from dialer.engine.metrics import catalogue
from dialer.pbx.requests import SOUNDS
from dialer.store import documents, files
from dialer.store.documents import BadFile
from tests.unit.docs import tables

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "docker/README.md", *sorted(DOCS.rglob("*.md"))]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _blocks(page: Path, language: str) -> list[str]:
    return [body for _, kind, body in _FENCE.findall(page.read_text()) if kind == language]


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def _programs(line: str) -> Iterator[list[str]]:
    """The words of each program on a line of shell."""
    words: list[str] = []
    for word in shlex.split(line, comments=True):
        if word in ("&&", "|", "||", ";", ">", ">>"):
            yield words
            words = []
        else:
            words.append(word)
    yield words


def _shell_lines(page: Path) -> Iterator[list[str]]:
    for body in _blocks(page, "console"):
        for line in body.splitlines():
            if line.startswith("$ "):
                yield from _programs(line[2:])


def _find(words: list[str]) -> tuple[click.Command, click.Context, list[str]]:
    """The command that *words* (``dialer`` first) call, and the words after its name."""
    rest = words[1:]
    command: click.Command = main
    ctx = click.Context(main, info_name="dialer")
    while isinstance(command, click.Group):
        while rest and rest[0].startswith("-"):
            taken = 1 if "=" in rest[0] or rest[0] in ("--version", "--help", "-h") else 2
            main.make_parser(ctx).parse_args(rest[:taken])
            rest = rest[taken:]
        if not rest:
            break
        found = command.get_command(ctx, rest[0])
        assert found is not None, f"there is no command {' '.join(words)!r}"
        command, rest = found, rest[1:]
        ctx = click.Context(command, info_name=command.name, parent=ctx)
    return command, ctx, rest


def _try(words: list[str]) -> None:
    """Fails if the command cannot be typed like this (files and folders need not be there)."""
    command, ctx, rest = _find(words)
    values, _, _ = command.make_parser(ctx).parse_args(list(rest))
    for one in command.params:
        value = values.get(one.name or "")
        is_given = isinstance(value, str | tuple | list) and len(value) > 0
        assert is_given or not one.required or "help" in values, f"{words}: {one.name} is missing"
        if isinstance(value, str) and not isinstance(one.type, click.Path):
            one.type.convert(value, one, ctx)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_in_examples_can_be_typed(page: Path) -> None:
    for words in _shell_lines(page):
        if words and words[0] == "dialer":
            _try(words)


@pytest.mark.parametrize(
    "line",
    [
        "dialer fly",
        "dialer campaign begin first",
        "dialer --hom /srv/centre up",
        "dialer agent add anna",
        "dialer agent add anna --phone none",
        "dialer agent list --format pdf",
        "dialer watch --width 7",
        "dialer campaign start",
    ],
)
def test_a_wrong_command_would_be_noticed(line: str) -> None:
    with pytest.raises((AssertionError, click.ClickException)):
        _try(line.split())


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_in_the_text_exist(page: Path) -> None:
    for code in _CODE.findall(_prose(page)):
        if not code.startswith("dialer ") or "…" in code:
            continue
        for words in _programs(re.sub(r"[\[\]]|\.\.\.", "", code)):
            if words and words[0] == "dialer":
                command, _, rest = _find(words)
                options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
                named = {word.partition("=")[0] for word in rest if word.startswith("-")}
                assert named <= options | {"-h", "--help"}, f"{code}: {named - options}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_tasks_of_dev_exist(page: Path) -> None:
    tasks = set(re.findall(r"^    (\w+)[)]$", (ROOT / "dev").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= tasks
    said = {words[1] for words in _shell_lines(page) if words and words[0] == "./dev"}
    said |= {code.split()[1] for code in _CODE.findall(_prose(page)) if code.startswith("./dev ")}
    assert said <= tasks


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_prose(page)):
        if re.match(r"https?:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), f"{link} in {_name(page)}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in anchors, f"{link} in {_name(page)}"


def test_every_page_is_found_from_the_readme() -> None:
    found, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        found.add(page)
        if page.suffix == ".md":
            links = [link.partition("#")[0] for link in _LINK.findall(_prose(page))]
            files = {(page.parent / link).resolve() for link in links if link and "://" not in link}
            ahead += [file for file in files - found if file.is_file()]
    lost = {_name(file) for file in DOCS.rglob("*") if file.is_file()} - {
        _name(file) for file in found if file.is_relative_to(ROOT)
    }
    assert not lost


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_examples_of_files_can_be_used(page: Path) -> None:
    for body in _blocks(page, "toml"):
        refusals = []
        for schema in ("system", "trunk", "campaign", "secrets"):
            try:
                documents.parse(body, _name(page), schema)
                break
            except BadFile as error:
                refusals.append(str(error))
        else:
            pytest.fail("\n".join(refusals))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_campaigns_in_examples_are_campaigns(page: Path) -> None:
    """Also by what no schema tells: hours, zones, and keys that contradict each other."""
    for body in _blocks(page, "toml"):
        if "\ntrunk = " in body:
            files.campaign_from(documents.parse(body, _name(page), "campaign"), _name(page))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("call", tables.call_table()),
        ("parked", tables.agent_table("parked")),
        ("rung", tables.agent_table("rung")),
        ("transfer", tables.transfer_table()),
    ],
)
def test_transition_tables_are_the_code_s(name: str, made: str) -> None:
    text = (DOCS / "architecture.md").read_text()
    shown = re.search(rf"<!-- table: {name} -->\n\n(.*?)\n\n<!-- end -->", text, re.DOTALL)
    assert shown is not None
    assert shown[1] == made, "paste what `python -m tests.unit.docs.tables` prints"


def test_the_table_of_metrics_is_the_code_s() -> None:
    shown = re.search(
        r"<!-- table: metrics -->\n\n(.*?)\n\n<!-- end -->", (DOCS / "monitoring.md").read_text(), re.DOTALL
    )
    assert shown is not None
    assert shown[1] == catalogue.table(), "paste what `python -m dialer.engine.metrics.catalogue` prints"


def test_numbers_are_the_code_s() -> None:
    rows = re.findall(
        r"^\| `(dialer\.[\w.]+)` \| ([\d.]+) \|", (DOCS / "architecture.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 20
    for path, value in rows:
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name) == float(value), path


def test_default_retry_rules_are_the_code_s() -> None:
    text = (DOCS / "architecture.md").read_text()
    for result, rule in DEFAULT_RETRY.items():
        if result in (Result.FAILED, Result.REROUTED, Result.MISSED):
            continue
        row = re.search(rf"^\| `{result}` \| (\d+) \| ([^|]+) \| ([^|;]+)[;|]", text, re.MULTILINE)
        assert row is not None, result
        if rule.again_s is None:
            assert (int(row[1]), row[2]) == (rule.attempts, "never"), result
            continue
        again = "at once" if rule.again_s == 0 else f"{rule.again_s:g} s"
        assert (int(row[1]), row[2], row[3].split()[1]) == (rule.attempts, again, rule.phone), result
    assert f"| `failed` | counts for nothing | {DEFAULT_RETRY[Result.FAILED].again_s:g} s |" in text


def test_the_operator_s_codes_are_the_code_s() -> None:
    text = (DOCS / "first-day/operator.md").read_text()
    told = dict(re.findall(r"^\| `(\*[45]\d)`[^|]* \| (.*) \|$", text, re.MULTILINE))
    assert told.keys() == {f"*{feature}" for feature in Feature}
    rows = {code: row for code, row in told.items() if code.startswith("*4")}
    heard = ("signed_in", "signed_out", "paused", "ready", "result_saved", "call_over", *["result_saved"] * 2)
    for row, message in zip(rows.values(), heard, strict=True):
        assert f"`{SOUNDS[message].removeprefix('sound:')}`" in row  # type: ignore[index]
    results = re.findall(r"^\| `\*44(\d)` \| (\w+)", text, re.MULTILINE)
    assert results == [(one.code, one.name.partition("_")[0]) for one in DEFAULT_RESULTS]
    head = " | ".join(f"`*42{code}`" for code in DEFAULT_PAUSE_REASONS)
    assert f"| {head} |\n" in text
    assert f"| {' | '.join(DEFAULT_PAUSE_REASONS.values())} |\n" in text


def test_every_dependency_has_its_line() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = setup["options"]["install_requires"] + setup["options.extras_require"]["dev"]
    names = re.findall(r"^([\w-]+)", wanted, re.MULTILINE)
    rows = re.findall(r"^\| ([\w-]+) \|", (DOCS / "dependencies.md").read_text(), re.MULTILINE)
    assert set(names) <= set(rows)


def test_names_in_the_architecture_are_the_code_s() -> None:
    text = _prose(DOCS / "architecture.md")
    classes = {
        name: module
        for module in _MODULES
        for name in re.findall(
            r"^class (\w+)", Path(str(importlib.import_module(module).__file__)).read_text(), re.MULTILINE
        )
    }
    seen = 0
    for code in _CODE.findall(text):
        full = re.match(r"(?:dialer\.)?((?:core|engine|pbx|store|timers|office|lab)\.[\w.]+)\Z", code)
        short = re.match(r"([A-Z]\w+)\.(\w+)\Z", code)
        if full:
            _resolve("dialer." + full[1])
        elif short:
            _resolve(f"{classes[short[1]]}.{short[1]}.{short[2]}")
        seen += bool(full or short)
    assert seen > 40


_MODULES = (
    "dialer.core.commands",
    "dialer.core.events",
    "dialer.core.floor",
    "dialer.core.pacing.facts",
    "dialer.core.state",
    "dialer.core.steps",
    "dialer.core.values",
    "dialer.engine.loop",
    "dialer.engine.house",
    "dialer.engine.dispatcher",
    "dialer.pbx.client",
    "dialer.pbx.prompts",
    "dialer.store.journal",
    "dialer.timers.timers",
)


def _resolve(path: str) -> object:
    """What the dotted *path* names: a module, or something in one (or in its class)."""
    parts = path.split(".")
    for length in range(len(parts), 1, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise AssertionError(f"there is no {path}")
