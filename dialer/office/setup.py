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

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.results import DEFAULT_PAUSE_REASONS, DEFAULT_RESULTS, DEFAULT_RETRY
from dialer.core.values import Campaign
from dialer.store import documents, files
from dialer.store.connect import open_writer
from dialer.store.hourtext import SAFE, write_lines

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
    """A campaign to change, with the hours that hold written out and the default rules as comments."""
    text = commented(
        "campaign",
        {"id": "first", "title": "First campaign", "lists": ["first"], "trunk": "carrier"},
        leave_out=("hours", *_RULES),
    )
    parts = documents.schema("campaign")["properties"]
    rules = Campaign(
        id=CampaignId("first"),
        trunk=TrunkId("carrier"),
        hours=SAFE,
        retry=DEFAULT_RETRY,
        results=DEFAULT_RESULTS,
        pause_reasons=DEFAULT_PAUSE_REASONS,
    )
    document = files.campaign_document(rules)
    text += "\n" + "\n".join(_hours(parts["hours"])) + "\n"
    for key in _RULES:
        text += "\n" + "\n".join(_comment(f"{parts[key]['description']}")) + "\n"
        text += "".join(
            f"# {line}\n" if line else "#\n" for line in documents.dump({key: document[key]}).splitlines()
        )
    return text


_RULES = ("retry", "results", "pause_reasons")
"""Tables that replace a whole default, or a part of it: shown as comments."""
_EXCEPTION = ("[[hours.exceptions]]", 'date = "2026-12-31"', 'hours = "09:00-13:00"', 'kinds = ["work"]')


def _hours(part: Mapping[str, Any]) -> Iterator[str]:
    """``[hours]``: the safe hours written out, for this is what must be looked at first."""
    parts = part["properties"]
    yield from _comment(part["description"])
    yield "[hours]"
    for key in ("any_time", "unknown_zone", "holidays"):
        yield from _comment(parts[key]["description"])
        yield f"# {key} = {documents.dump_value(parts[key]['default'])}"
        yield ""
    yield from _comment(parts["kinds"]["description"])
    yield "[hours.kinds]"
    for kind, lines in SAFE.kinds.items():
        yield f"{kind} = {documents.dump_value(write_lines(lines))}"
    yield ""
    yield from _comment(f"{parts['exceptions']['description']} For example:")
    yield from (f"#   {line}" for line in _EXCEPTION)


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
