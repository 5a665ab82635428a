"""TOML files that people write, checked against the JSON Schemas in ``schemas/``.

1. A file is read whole and checked whole: every mistake is told at once, one line each.
2. A mistake says where (file, line, path inside the file), what is wrong, and what is allowed.
3. The schema is the only place that says what is allowed. Its ``x-allowed`` puts a pattern in
   words; its ``x-field`` names the field of the value where that differs from the key; what is
   ``x-hidden`` may hold a password by mistake and is not quoted.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema  # type: ignore[import-untyped]
from jsonschema import validators
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

SIZE_MAX = 1_000_000
"""Bytes. A longer file is no settings file."""

Keys = tuple[str | int, ...]
"""A path inside a document."""

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_TYPES = {
    dict: "a table",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


class Mistake(NamedTuple):
    """One thing that is wrong in a file. *line* is 0 where it is not known."""

    path: str
    what: str
    allowed: str = ""
    line: int = 0


class BadFile(Exception):
    """A file that a person wrote cannot be used; the message has a line for each mistake."""

    def __init__(self, file: Path | str, mistakes: Sequence[Mistake]) -> None:
        self.file = str(file)
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self._line(mistake) for mistake in self.mistakes))

    def _line(self, mistake: Mistake) -> str:
        where = f"{self.file}:{mistake.line}" if mistake.line else self.file
        path = f"{mistake.path}: " if mistake.path else ""
        allowed = f"; allowed: {mistake.allowed}" if mistake.allowed else ""
        return f"{where}: {path}{mistake.what}{allowed}"


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """The schema ``schemas/<name>.schema.json``.

    It lies beside the package in a checkout and under ``share/obzvon`` when installed.
    """
    file = f"{name}.schema.json"
    folders = (_PACKAGE_ROOT / "schemas", Path(sys.prefix) / "share" / "obzvon" / "schemas")
    for folder in folders:
        if (folder / file).is_file():
            found: dict[str, Any] = json.loads((folder / file).read_text(encoding="utf-8"))
            return found
    raise FileNotFoundError(f"the installation lacks {file}: looked in {', '.join(map(str, folders))}")


def resolve(part: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """The schema *part* with its ``$ref`` into *root* filled in; keys of its own win."""
    if "$ref" not in part:
        return dict(part)
    target: Any = root
    for step in part["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return {**target, **{key: value for key, value in part.items() if key != "$ref"}}


def load(path: Path, schema_name: str, *, is_secret: bool = False) -> dict[str, Any]:
    """The document in the TOML file *path*, checked. With *is_secret* no value is quoted in an error.

    Raises BadFile.
    """
    return parse(read_text(path), path, schema_name, is_secret=is_secret)


def parse(text: str, file: Path | str, schema_name: str, *, is_secret: bool = False) -> dict[str, Any]:
    """The document in *text*, checked; *file* is its name in errors. Raises BadFile."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFile(file, [_syntax_mistake(error, text)]) from None
    except RecursionError:
        raise BadFile(file, [Mistake("", "is nested too deeply")]) from None
    check(document, file, schema_name, text=text, is_secret=is_secret)
    return document


def read_text(path: Path) -> str:
    """The text of *path*. Raises BadFile if it cannot be read as UTF-8 of a sane length."""
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise BadFile(path, [Mistake("", f"cannot be read: {error.strerror or error}")]) from None
    if len(data) > SIZE_MAX:
        raise BadFile(path, [Mistake("", "is too long", f"up to {SIZE_MAX} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadFile(path, [Mistake("", "is not UTF-8 text", "UTF-8", line)]) from None


def check(
    document: Mapping[str, Any],
    file: Path | str,
    schema_name: str,
    *,
    text: str = "",
    is_secret: bool = False,
) -> None:
    """Check *document* against a schema; *text*, if given, is searched for line numbers. Raises BadFile."""
    root = schema(schema_name)
    mistakes = list(_ill_values(document, ()))
    ill = {keys for keys, _ in mistakes}
    for error in _validator(schema_name).iter_errors(document):
        mistakes += [found for found in _from_error(error, root, is_secret=is_secret) if found[0] not in ill]
    if mistakes:
        lines = key_lines(text) if text else {}
        told = {mistake._replace(line=line_of(keys, lines)) for keys, mistake in mistakes}
        raise BadFile(file, sorted(told, key=lambda mistake: (mistake.line, mistake.path, mistake.what)))


def refusal(file: Path | str, found: Sequence[tuple[Keys, str, str]]) -> BadFile:
    """The error for mistakes that no schema can tell: where, what is wrong, what is allowed."""
    lines = key_lines(read_text(file)) if isinstance(file, Path) else {}
    told = [Mistake(dotted(keys), what, allowed, line_of(keys, lines)) for keys, what, allowed in found]
    return BadFile(file, sorted(told, key=lambda mistake: mistake.line))


def dotted(keys: Keys) -> str:
    """A path as people write it: ``results[2].code``, counted from 1."""
    out = ""
    for key in keys:
        out += f"[{key + 1}]" if isinstance(key, int) else f".{key}" if out else str(key)
    return out


def dump(document: Mapping[str, Any]) -> str:
    """*document* as TOML: plain values first, then tables, then lists of tables."""
    return "\n".join(_dump_table(document, ())).strip("\n") + "\n"


# -- where a key stands -------------------------------------------------------------------

_HEADER = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)


def key_lines(text: str) -> dict[Keys, int]:
    """The line on which each key of a TOML text stands: good enough to lead the eye.

    Keys inside inline tables are not found; their table is.
    """
    lines: dict[Keys, int] = {}
    counts: dict[Keys, int] = {}
    table: Keys = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = split_key(header[2])
            if header[1] == "[[":
                index = counts.get(table, -1) + 1
                counts[table] = index
                lines.setdefault(table, number)
                table = (*table, index)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *split_key(key[1])), number)
    return lines


def line_of(keys: Keys, lines: Mapping[Keys, int]) -> int:
    """The line of *keys*, or of the nearest table around it, or 0."""
    for length in range(len(keys), 0, -1):
        if keys[:length] in lines:
            return lines[keys[:length]]
    return 0


def split_key(key: str) -> tuple[str, ...]:
    """The steps of a dotted TOML key; a text that is none is one step."""
    try:
        part: Any = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return (key,)
    keys: list[str] = []
    while isinstance(part, dict):
        (name, part), *_ = part.items()
        keys.append(name)
    return tuple(keys)


def read_value(text: str) -> Any:
    """A TOML value; what is none (a word without quotes) is taken as the text it is."""
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if len(document) == 1 else text


def _syntax_mistake(error: tomllib.TOMLDecodeError, text: str) -> Mistake:
    message = str(error)
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line = int(found[1]) if found else text.count("\n") + 1
    what = re.sub(r"\s*\(at .*\)$", "", message)
    return Mistake("", f"is not TOML: {what[:1].lower()}{what[1:]}", "", line)


# -- a schema's complaint in words --------------------------------------------------------


def _pattern(_validator: Any, pattern: str, instance: Any, _part: Any) -> Iterator[ValidationError]:
    """As JSON Schema's own, but a line end after the match is a mistake."""
    if isinstance(instance, str) and (instance.endswith("\n") or not re.search(pattern, instance)):
        yield ValidationError("pattern")


def _is_integer(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # JSON Schema's own takes 3.0 too


_Validator = validators.extend(
    jsonschema.Draft202012Validator,
    {"pattern": _pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


@functools.cache
def _validator(schema_name: str) -> Any:
    return _Validator(schema(schema_name))


def _ill_values(value: Any, keys: Keys) -> Iterator[tuple[Keys, Mistake]]:
    """What no schema says: numbers that are none, and texts with control characters."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _ill_values(inner, (*keys, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _ill_values(inner, (*keys, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield keys, Mistake(dotted(keys), f"{value} is no number", "a finite number")
    elif isinstance(value, str) and _CONTROL.search(value):
        yield keys, Mistake(dotted(keys), "has a line end or another control character", "one line of text")


def _from_error(
    error: ValidationError, root: Mapping[str, Any], *, is_secret: bool
) -> Iterator[tuple[Keys, Mistake]]:
    keys: Keys = tuple(error.absolute_path)
    part = error.schema if isinstance(error.schema, Mapping) else {}
    value = error.instance
    shown = "this value" if is_secret or part.get("x-hidden") else _shown(value)

    def mistake(what: str, allowed: str = "", *more: str) -> tuple[Keys, Mistake]:
        at = (*keys, *more)
        return at, Mistake(dotted(at), what, allowed)

    match error.validator:
        case "additionalProperties":
            known = sorted(part.get("properties", {}))
            for key in sorted(set(value) - set(known)):
                near = difflib.get_close_matches(key, known, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                yield mistake(f"unknown key{hint}", ", ".join(known), key)
        case "required":
            for key in sorted(set(part["required"]) - set(value)):
                yield mistake("is missing", allowed_values(part["properties"][key], root), key)
        case "propertyNames":
            pass
        case "pattern" if keys_of_names(error):
            yield mistake("unknown key", allowed_values(part, root), str(value))
        case "uniqueItems":
            yield mistake("names one thing twice", "each once")
        case "minItems":
            yield mistake("is too short", f"{part['minItems']} at least")
        case "maxItems":
            yield mistake("is too long", f"{part['maxItems']} at most")
        case "type":
            yield mistake(f"{shown} is {_kind(value)}", allowed_values(part, root))
        case _:
            yield mistake(f"{shown} is not allowed", allowed_values(part, root))


def keys_of_names(error: ValidationError) -> bool:
    """Whether the complaint is about a key's own name rather than its value."""
    return "propertyNames" in error.absolute_schema_path


def allowed_values(part: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """What the schema *part* allows, in words."""
    part = resolve(part, root)
    if "x-allowed" in part:
        return str(part["x-allowed"])
    if "enum" in part:
        return ", ".join(map(str, part["enum"]))
    match part.get("type"):
        case "integer" | "number":
            return _range(part)
        case "boolean":
            return "true or false"
        case "array":
            return f"a list, each of: {allowed_values(part['items'], root)}"
        case "object":
            keys = ", ".join(sorted(part.get("properties", {})))
            return f"a table with {keys}" if keys else "a table"
    low, high = part.get("minLength", 0), part.get("maxLength", SIZE_MAX)
    return f"a text of {low} to {high} characters"


def _range(part: Mapping[str, Any]) -> str:
    kind = "a whole number" if part["type"] == "integer" else "a number"
    low = f"above {part['exclusiveMinimum']}" if "exclusiveMinimum" in part else f"from {part['minimum']}"
    return f"{kind} {low} to {part['maximum']}"


def _kind(value: Any) -> str:
    return _TYPES.get(type(value), "a date or time")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "this"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f'{text[:56]}…"'


# -- writing ------------------------------------------------------------------------------


def _dump_table(table: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[str]:
    for key, value in table.items():
        if not isinstance(value, Mapping) and not _is_tables(value):
            yield f"{_dump_key(key)} = {dump_value(value)}"
    for key, value in table.items():
        name = ".".join(_dump_key(step) for step in (*keys, key))
        if isinstance(value, Mapping):
            if not value or any(not isinstance(inner, Mapping) for inner in value.values()):
                yield f"\n[{name}]"
            yield from _dump_table(value, (*keys, key))
        elif _is_tables(value):
            for inner in value:
                yield f"\n[[{name}]]"
                yield from _dump_table(inner, (*keys, key))


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _dump_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def dump_value(value: Any) -> str:
    """A text, number, truth value or list of these as TOML writes it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(dump_value(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's too, but for DEL, which JSON leaves bare.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
