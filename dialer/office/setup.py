"""A home folder: made once, never overwritten.

The comments in the made files are the schemas' own descriptions, so they cannot differ from the
reference. What is at its default stands as a comment: uncomment it to change it.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.rules import DEFAULT_PAUSE_REASONS, DEFAULT_RESULTS, DEFAULT_RETRY
from dialer.store import documents, files
from dialer.store.connect import open_writer

FOLDERS = ("trunks", "campaigns", "recordings", "run", "log")


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the home folder, and whether it is new or was there."""

    path: Path
    is_new: bool


def make_home(home: Path, *, region: str = "RU", language: str = "en", sip_port: int = 0) -> list[Made]:
    """Make what is missing of the home folder *home*; what is there stays as it is.

    *sip_port*: of the embedded Asterisk; 0: another free one at each start, which no phone can know.

    Raises BadFile (an unusable region or language), OSError, StoreError (the journal).
    """
    ports = {"sip": sip_port} if sip_port else {}
    settings = commented("system", {"region": region, "language": language, "ports": ports})
    documents.parse(settings, "the new obzvon.toml", "system")
    made = [_folder(home)] + [_folder(home / name) for name in FOLDERS]
    secrets = {"ari": files.new_secret(), "phones": {}, "trunks": {}}
    made += [
        _file(home / files.SYSTEM_FILE, settings),
        _file(home / files.SECRETS_FILE, "# Passwords. Keep the mode 0600.\n" + documents.dump(secrets)),
        _example(home / "trunks", "carrier.toml", trunk_example()),
        _example(home / "campaigns", "first.toml", campaign_example()),
    ]
    journal = home / "journal.sqlite3"
    is_new = not journal.exists()
    open_writer(journal).close()
    journal.chmod(0o600)
    return [*made, Made(path=journal, is_new=is_new)]


def describe(made: list[Made]) -> str:
    """What was made, for people, and what to do next."""
    home = made[0].path
    lines = [f"{'made ' if one.is_new else 'kept '} {one.path}" for one in made]
    return "\n".join(
        [
            *lines,
            "",
            f"Next: look through {home / 'trunks'} and {home / 'campaigns'}, then",
            f"  export OBZVON_HOME={shlex.quote(str(home.resolve()))}",
            "  dialer trunk apply && dialer campaign apply",
            "  dialer doctor",
        ]
    )


def trunk_example() -> str:
    """A trunk to change: valid, to a host that does not exist."""
    return commented("trunk", {"id": "carrier", "host": "sip.example.net"})


def campaign_example() -> str:
    """A campaign to change, with the default rules as comments."""
    text = commented(
        "campaign",
        {"id": "first", "title": "First campaign", "lists": ["first"], "trunk": "carrier"},
        leave_out=("retry", "results", "pause_reasons"),
    )
    parts = documents.schema("campaign")["properties"]
    rules = {
        "retry": {
            str(result): {
                "attempts": rule.attempts,
                "again_s": "never" if rule.again_s is None else rule.again_s,
                "phone": rule.phone,
            }
            for result, rule in DEFAULT_RETRY.items()
        },
        "results": [
            {key: value for key, value in msgspec.to_builtins(one).items() if value is not None}
            for one in DEFAULT_RESULTS
        ],
        "pause_reasons": DEFAULT_PAUSE_REASONS,
    }
    for key, value in rules.items():
        text += "\n" + "\n".join(_comment(f"{parts[key]['description']}")) + "\n"
        text += "".join(
            f"# {line}\n" if line else "#\n" for line in documents.dump({key: value}).splitlines()
        )
    return text


def commented(schema_name: str, values: Mapping[str, Any], *, leave_out: tuple[str, ...] = ()) -> str:
    """A file of *values* with every other key at its default as a comment, each described."""
    part = documents.schema(schema_name)
    return "\n".join([*_comment(part["description"]), *_keys(part, values, leave_out)]) + "\n"


def _keys(part: Mapping[str, Any], values: Mapping[str, Any], leave_out: tuple[str, ...]) -> Iterator[str]:
    for key, inner in part["properties"].items():
        if key in leave_out:
            continue
        yield ""
        yield from _comment(inner["description"])
        if "properties" in inner:
            yield f"[{key}]"
            yield from _keys(inner, values.get(key, {}), ())
        elif key in values:
            yield f"{key} = {documents.dump_value(values[key])}"
        else:
            default = documents.dump_value(inner["default"]) if "default" in inner else ""
            yield f"# {key} = {default}".rstrip()


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="# ")


def _folder(path: Path) -> Made:
    is_new = not path.exists()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Made(path=path, is_new=is_new)


def _file(path: Path, text: str) -> Made:
    is_new = not path.exists()
    if is_new:
        files.write_private(path, text)
    return Made(path=path, is_new=is_new)


def _example(folder: Path, name: str, text: str) -> Made:
    """An example beside nothing else: who has files of their own needs none, and none they deleted."""
    if any(folder.glob("*.toml")):
        return Made(path=folder / name, is_new=False)
    return _file(folder / name, text)
