"""Reading never breaks, writing is read back as it was, and lines are found."""

from __future__ import annotations

import contextlib
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.store import documents
from dialer.store.documents import BadFile
from tests.examples import examples

KEYS = st.one_of(
    st.text(max_size=8), st.sampled_from(["calls", "retry", "id", "a-b", "1", 'q"uote', "dot.ted"])
)
LEAVES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
)
VALUES = st.recursive(
    st.one_of(LEAVES, st.lists(LEAVES, max_size=3)),
    lambda inner: st.one_of(
        st.dictionaries(KEYS.filter(str.isprintable), inner, max_size=3),
        st.lists(st.dictionaries(KEYS.filter(str.isprintable), LEAVES, max_size=2), min_size=1, max_size=2),
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS.filter(str.isprintable), VALUES, max_size=4)
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "[calls]",
                "[[results]]",
                "[retry.busy]",
                'id = "x"',
                "ring_s = 5",
                "again_s = 'never'",
                "results = 3",
                "calls = []",
                "retry = [{}]",
                "retry.busy = { again_s = nan }",
                "pause_reasons = { 1 = 2 }",
                "[results.x]",
                '"" = 1',
                "a.b.c = 1979-05-27",
            ]
        ),
        st.text(max_size=12),
    ),
    max_size=8,
)


@settings(max_examples=examples(150), deadline=None)
@given(DOCUMENTS)
def test_what_is_dumped_is_read_back(document: dict[str, Any]) -> None:
    assert tomllib.loads(documents.dump(document)) == document


@settings(max_examples=examples(150), deadline=None)
@given(LINES, st.sampled_from(["system", "trunk", "campaign", "secrets"]))
def test_no_text_breaks_the_reader(lines: list[str], kind: str) -> None:
    with contextlib.suppress(BadFile):
        documents.parse("\n".join(lines), "some.toml", kind)


@settings(max_examples=examples(100), deadline=None)
@given(st.text(max_size=30))
def test_a_value_is_always_something(text: str) -> None:
    assert documents.read_value(text) is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("2.5", 2.5),
        ("true", True),
        ("word", "word"),
        ('"5"', "5"),
        ("[1, 2]", [1, 2]),
        ("1\nx = 2", "1\nx = 2"),
    ],
)
def test_a_value_is_read_as_in_a_file(text: str, value: object) -> None:
    assert documents.read_value(text) == value


def test_lines_of_keys() -> None:
    lines = documents.key_lines(
        'id = 1\n# x = 2\n[calls]\nring_s = 3\n"a b" = 4\n[[results]]\ncode = 5\n[[results]]\ncode = 6\n[a."b.c"]\nd.e = 7\n'
    )
    assert lines[("id",)] == 1
    assert lines[("calls", "ring_s")] == 4
    assert lines[("calls", "a b")] == 5
    assert lines[("results", 1, "code")] == 9
    assert lines[("a", "b.c", "d", "e")] == 11
    assert ("x",) not in lines
    assert documents.line_of(("calls", "none", "such"), lines) == 3
    assert documents.line_of(("none",), lines) == 0


def test_paths_as_people_write_them() -> None:
    assert documents.dotted(("results", 0, "code")) == "results[1].code"
    assert documents.dotted(()) == ""


def test_a_schema_that_is_missing_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"the installation lacks none\.schema\.json"):
        documents.schema("none")
