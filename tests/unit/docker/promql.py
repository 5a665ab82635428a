"""Enough of PromQL's grammar to tell whether a question is one, and which metrics and labels it names."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"\s*(?:(?P<text>\"[^\"]*\")|(?P<range>\[\d+[smhd]\])|(?P<number>\d+(?:\.\d+)?(?:e\d+)?)"
    r"|(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%<>=,(){}])|(?P<word>[a-zA-Z_:][\w:]*))"
)
_FUNCTIONS = frozenset(
    {"histogram_quantile", "increase", "label_replace", "predict_linear", "rate", "scalar", "vector"}
)
_SUMS = frozenset({"avg", "count", "max", "min", "sum", "topk"})
_BINARY = frozenset({"+", "-", "*", "/", "%", "==", "!=", "<", ">", "<=", ">=", "and", "or", "unless"})


class BadQuestion(ValueError):
    """That is no PromQL that we know."""


def names_in(question: str) -> tuple[set[str], set[str]]:
    """The metrics and the labels that *question* names. Raises BadQuestion."""
    reader = _Reader(question)
    reader.expression()
    if reader.token[0] != "end":
        raise BadQuestion(f"{question}: {reader.token[1]!r} is not expected")
    return reader.metrics, reader.labels


class _Reader:
    def __init__(self, question: str) -> None:
        self.question = question
        self.metrics: set[str] = set()
        self.labels: set[str] = set()
        self._at = 0
        self.token = ("", "")
        self.next()

    def next(self) -> tuple[str, str]:
        before = self.token
        if not self.question[self._at :].strip():
            self.token = ("end", "")
            return before
        found = _TOKEN.match(self.question, self._at)
        if found is None or found.lastgroup is None:
            raise BadQuestion(f"{self.question}: what is {self.question[self._at :]!r}?")
        self._at = found.end()
        self.token = (found.lastgroup, found[found.lastgroup])
        return before

    def take(self, value: str) -> None:
        if self.token[1] != value:
            raise BadQuestion(f"{self.question}: {value!r} is missing before {self.token[1]!r}")
        self.next()

    def word(self) -> str:
        kind, value = self.next()
        if kind != "word":
            raise BadQuestion(f"{self.question}: {value!r} is no name")
        return value

    def expression(self) -> None:
        self.operand()
        while self.token[1] in _BINARY:
            self.next()
            if self.token[1] in ("on", "ignoring"):
                self.next()
                self.listed()
                if self.token[1] in ("group_left", "group_right"):
                    self.next()
                    self.listed()
            self.operand()

    def operand(self) -> None:
        kind, value = self.next()
        if value == "(":
            self.expression()
            self.take(")")
        elif kind == "word" and value in _SUMS:
            if self.token[1] in ("by", "without"):
                self.next()
                self.listed()
            self.arguments()
        elif kind == "word" and value in _FUNCTIONS:
            self.arguments()
        elif kind == "word":
            self.metrics.add(value)
            if self.token[1] == "{":
                self.matchers()
        elif kind not in ("number", "text"):
            raise BadQuestion(f"{self.question}: {value!r} is not expected")
        if self.token[0] == "range":
            self.next()

    def arguments(self) -> None:
        self.take("(")
        self.expression()
        while self.token[1] == ",":
            self.next()
            self.expression()
        self.take(")")

    def matchers(self) -> None:
        self.take("{")
        while self.token[1] != "}":
            self.labels.add(self.word())
            if self.next()[1] not in ("=", "!=", "=~", "!~"):
                raise BadQuestion(f"{self.question}: a label wants =, !=, =~ or !~")
            if self.next()[0] != "text":
                raise BadQuestion(f"{self.question}: a label wants a text")
            if self.token[1] != "}":
                self.take(",")
        self.take("}")

    def listed(self) -> None:
        self.take("(")
        while self.token[1] != ")":
            self.labels.add(self.word())
            if self.token[1] != ")":
                self.take(",")
        self.take(")")
