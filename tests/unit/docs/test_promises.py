"""Each promise names tests that exist, and that are really run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.examples import IS_QUICK

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "promises.md"
_NODE = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def _promises() -> dict[str, list[str]]:
    """Each promise, and the tests that it names."""
    body = PAGE.read_text().partition("\n## ")[2]
    parts = re.split(r"^\*\*(.+?)\*\*$", body, flags=re.MULTILINE)
    return {
        promise: re.findall(r"^- `(.+)`$", tests, re.MULTILINE)
        for promise, tests in zip(parts[1::2], parts[2::2], strict=True)
    }


@cache
def _tests_in(path: str) -> frozenset[str]:
    """The names of the tests in a file: functions, and classes that stand under a name that is collected."""
    tree = ast.parse((ROOT / path).read_text())
    names = {
        one.name
        for one in tree.body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_")
    }
    for one in tree.body:
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
            name = one.targets[0].id
            if name.startswith("Test") and ast.unparse(one.value).endswith(".TestCase"):
                names.add(name)
    return frozenset(names)


def test_every_promise_is_one_sentence_and_held_by_tests() -> None:
    promises = _promises()
    assert len(promises) > 40
    for promise, tests in promises.items():
        assert promise.endswith("."), promise
        assert not re.search(r"[.!?] \w", promise), promise
        assert tests, f"a wish: {promise}"
        assert len(set(tests)) == len(tests), promise


def test_every_line_of_a_promise_is_a_test() -> None:
    body = PAGE.read_text().partition("\n## ")[2]
    for line in body.splitlines():
        assert (
            not line or line.startswith(("#", "**", "To the", "To QA")) or re.fullmatch(r"- `tests/.+`", line)
        ), line


def test_the_tests_that_hold_promises_exist() -> None:
    text = PAGE.read_text()
    named = {(path, name) for path, name in _NODE.findall(text)}
    assert len(named) > 80
    missing = []
    for path, name in sorted(named):
        if not (ROOT / path).is_file() or (name and name not in _tests_in(path)):
            missing.append(f"{path}::{name}")
    assert not missing


@pytest.mark.skipif(IS_QUICK, reason="collects a great part of all tests")
def test_the_tests_that_hold_promises_are_run() -> None:
    nodes = sorted({node for tests in _promises().values() for node in tests})
    files = sorted({node.partition("::")[0] for node in nodes})
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    collected = {re.sub(r"\[.*", "", line) for line in done.stdout.splitlines()}
    collected |= {"::".join(line.split("::")[:2]) for line in collected}
    assert not [node for node in nodes if node not in collected]
