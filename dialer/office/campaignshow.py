"""``dialer campaign show``: all settings in force, and which of them differ from the defaults."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.results import DEFAULT_RETRY, operator_results, pause_reasons, retry_rule
from dialer.core.values import Campaign
from dialer.office import tables
from dialer.store import documents, files, settings
from dialer.store.campaigns import VALUE_TABLES
from dialer.store.conducttext import conduct_tables
from dialer.store.connect import open_reader
from dialer.store.hourtext import whole_table

MARK = "*"
"""Stands beside a setting that differs from its default."""
_OWN = ("id", "trunk")
"""Settings without a default."""


def show_campaign(home: Path, name: str, as_format: str = "toml") -> None:
    """Print a campaign: as ``toml`` a file that could be applied, else a listing with its state.

    In the file what is at its default stands as comments. Raises StoreError.
    """
    with closing(open_reader(files.load_system(home).journal)) as connection:
        stored = settings.load_campaign(connection, name)
    campaign = stored.campaign
    if as_format == "toml":
        sys.stdout.writelines(_toml(campaign))
        return
    state = {"state": str(stored.state), "state_at": stored.state_at}
    if as_format == "table":
        differs = differing(campaign)
        rows = [
            {"": MARK if key in differs else "", "setting": key, "value": _shown(key, value)}
            for key, value in {**state, **flat(campaign)}.items()
        ]
        tables.show(rows, title=f"{MARK}: differs from the default")
    else:
        tables.show([{**state, **flat(campaign)}], as_format)


def flat(campaign: Campaign) -> dict[str, Any]:
    """The settings in force, with their paths in the file as names; of rules also those by default."""
    values = msgspec.json.decode(msgspec.json.encode(campaign)) | conduct_tables(campaign)
    found: dict[str, Any] = {}
    for keys, field, _ in files.campaign_fields(documents.schema("campaign")):
        name = ".".join(keys)
        match field:
            case "hours":
                table = whole_table(campaign.hours)
                kinds = table.pop("kinds", {})
                found |= {f"{name}.{key}": value for key, value in table.items()}
                found |= {f"{name}.kinds.{kind}": lines for kind, lines in kinds.items()}
            case _ if field in VALUE_TABLES:
                found |= {f"{name}.{key}": value for key, value in values[field].items()}
            case "retry":
                found |= {
                    f"{name}.{result}": _rule(msgspec.to_builtins(retry_rule(campaign, result)))
                    for result in DEFAULT_RETRY
                }
            case "results":
                for one in operator_results(campaign):
                    table = _rule(msgspec.to_builtins(one))
                    found[f"{name}.{table.pop('name')}"] = table
            case "pause_reasons":
                found[name] = pause_reasons(campaign)
            case _:
                found[name] = values[field]
    return found


def differing(campaign: Campaign) -> set[str]:
    """The names in :func:`flat` of the settings that differ from their defaults."""
    default = flat(files.campaign_from({"id": campaign.id, "trunk": campaign.trunk}, ""))
    return {key for key, value in flat(campaign).items() if key in _OWN or default.get(key) != value}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as a file has it, without what says nothing."""
    found = {key: value for key, value in rule.items() if key not in _SILENT or value != _SILENT[key]}
    if "growth" not in found:
        found.pop("again_s_max", None)
    if "again_s" in found and found["again_s"] is None:
        found["again_s"] = "never"
    return found


_SILENT = {
    "growth": 1.0,
    "other_s": None,
    "counts": True,
    "is_contact": False,
    "is_bad_number": False,
    "is_do_not_call": False,
}


def _toml(campaign: Campaign) -> Iterator[str]:
    yield documents.dump(files.campaign_document(campaign))
    differs = differing(campaign)
    yield f"\n# At their defaults (`dialer campaign set {campaign.id} KEY=VALUE` changes one):\n"
    for key, value in flat(campaign).items():
        if key in differs:
            continue
        if value is None:
            yield f"# {key}: not set\n"
        else:
            yield f"# {key} = {_inline(value)}\n"


def _shown(key: str, value: Any) -> Any:
    return _inline(value) if isinstance(value, dict) else tables.printable(key, value)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        inner = (f"{key} = {_inline(one)}" for key, one in value.items() if one is not None)
        return f"{{ {', '.join(inner)} }}"
    return documents.dump_value(value)
