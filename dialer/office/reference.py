"""The reference page, made from the schemas and the commands, so that it cannot differ from them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import click

from dialer.office.commandline import HOME_ENV, commands_of
from dialer.store import documents

FILES = (
    ("system", "obzvon.toml"),
    ("trunk", "trunks/*.toml"),
    ("campaign", "campaigns/*.toml"),
    ("secrets", "secrets.toml"),
)
_HEAD = f"""\
# Reference

This page is made from the commands and from `schemas/` by `dialer reference`; do not edit it.

Every command takes the home folder from `dialer --home DIR`, else from `{HOME_ENV}`, else it is the
present folder. Exit status: 0 done, 1 a message says why not, 2 wrongly called (`doctor` has its own).
`OBZVON_TRACEBACK=1` adds to a message where in the program it came from.
"""


def render(program: click.Group) -> str:
    """The whole page as Markdown; *program* is the group of all commands."""
    return "\n".join([_HEAD, "## Commands", "", *_commands(program), *_files()]).rstrip() + "\n"


def _commands(program: click.Group) -> Iterator[str]:
    for path, command in commands_of(program):
        if command.hidden or isinstance(command, click.Group):
            continue
        ctx = click.Context(command, info_name=" ".join(("dialer", *path)))
        yield f"### dialer {' '.join(path)}"
        yield ""
        yield f"`{' '.join([ctx.command_path, *command.collect_usage_pieces(ctx)])}`"
        yield ""
        yield inspect.cleandoc(command.help or "")
        yield ""
        options = [one for one in command.params if isinstance(one, click.Option)]
        if options:
            yield "| option | what it does | default |"
            yield "|---|---|---|"
        for option in options:
            yield _row(_option(option, ctx), option.help or "", _default(option))
        if options:
            yield ""


def _option(option: click.Option, ctx: click.Context) -> str:
    names = ", ".join(option.opts)
    return f"`{names}`" if option.is_flag else f"`{names} {option.make_metavar(ctx)}`"


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    shown = isinstance(option.default, str | int | float) and not isinstance(option.default, bool)
    return f"`{option.default}`" if shown and option.default != "" else ""


def _files() -> Iterator[str]:
    yield "## Files"
    yield ""
    for name, file in FILES:
        root = documents.schema(name)
        yield f"### {file}"
        yield ""
        yield str(root["description"])
        yield ""
        yield "| key | what it says | allowed | default |"
        yield "|---|---|---|---|"
        yield from _keys(root, root, "", "")
        yield ""


def _keys(part: Mapping[str, Any], root: Mapping[str, Any], prefix: str, default: str) -> Iterator[str]:
    required = part.get("required", ())
    for key, inner in part.get("properties", {}).items():
        whole, path = documents.resolve(inner, root), f"{prefix}{key}"
        own = "required" if key in required else default
        yield from _key(path, whole, root, own)


def _key(path: str, part: Mapping[str, Any], root: Mapping[str, Any], default: str) -> Iterator[str]:
    described = str(part["description"])
    if part.get("type") == "object":
        inner = part.get("additionalProperties")
        if isinstance(inner, Mapping):
            names = documents.allowed_values(part["propertyNames"], root)
            yield _row(
                f"`[{path}]`",
                described,
                f"keys: {names}; values: {documents.allowed_values(inner, root)}",
                "",
            )
            if "properties" in inner:
                yield from _keys(inner, root, f"{path}.NAME.", "")
            return
        yield _row(f"`[{path}]`", described, "a table", "")
        yield from _keys(part, root, f"{path}.", default)
    elif part.get("type") == "array" and "$ref" in part["items"]:
        yield _row(f"`[[{path}]]`", described, f"{part.get('maxItems', 'any number')} at most", "")
        yield from _keys(documents.resolve(part["items"], root), root, f"{path}[].", default)
    else:
        shown = f"`{documents.dump_value(part['default'])}`" if "default" in part else default
        yield _row(f"`{path}`", described, documents.allowed_values(part, root), shown)


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
