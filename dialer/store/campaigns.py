"""Campaigns as documents: what a file of ``campaigns/`` says as a value, and back.

1. The schema says which keys there are and what each may hold; here is what it cannot say: hours, what two keys
   mean together, and the defaults of a rule that a file leaves out in part.
2. A document and its campaign are worth the same: there and back is exact.
3. No rule may make a loop: a result that does not count as a try, and a delay of seconds, would ring a person
   without end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.results import DEFAULT_RETRY
from dialer.core.values import Campaign, OperatorResult, Result, RetryRule
from dialer.store import conducttext, documents, hourtext
from dialer.store.documents import BadFile, Mistake
from dialer.store.hourtext import Found

UNCOUNTED_S_MIN = 10.0
"""A result that counts as no try is not dialed again sooner."""

_FLAT = ("calls", "agents")
"""Tables whose keys are fields of the campaign itself."""
VALUE_TABLES = ("caps", "owners", *conducttext.TABLES)
"""Tables that are values of their own, key by key."""
_RULE_ALWAYS = ("attempts", "again_s", "phone")
"""Keys of a rule that are written though they are as in the default rule."""


def campaign_from(document: Mapping[str, Any], file: Path | str) -> Campaign:
    """The campaign that a checked *document* describes; *file* is its name in errors. Raises BadFile."""
    fields: dict[str, Any] = {}
    for keys, field, _ in campaign_fields(documents.schema("campaign")):
        value: Any = document
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            fields[field] = value
    fields = {key: value for key, value in fields.items() if key not in conducttext.TABLES}
    results = fields.get("results", [])
    hours, found = hourtext.hours_from(fields.pop("hours", {}), fields.get("phone_kinds", ()))
    found += [*_doubles(results, "code"), *_doubles(results, "name")]
    retry = {Result(name): _retry_rule(Result(name), rule) for name, rule in fields.pop("retry", {}).items()}
    fields["results"] = [_without_never(one) for one in results]
    campaign = msgspec.structs.replace(
        msgspec.convert(fields, Campaign), hours=hours, retry=retry, **conducttext.conduct_from(document)
    )
    found += [*_contradictions(document, campaign), *conducttext.contradictions(document, campaign)]
    if found:
        raise documents.refusal(file, found)
    return campaign


def campaign_document(campaign: Campaign) -> dict[str, Any]:
    """The document that :func:`campaign_from` makes *campaign* of, without what is at its default."""
    document: dict[str, Any] = {}
    values = msgspec.json.decode(msgspec.json.encode(campaign)) | conducttext.conduct_tables(campaign)
    for keys, field, part in campaign_fields(documents.schema("campaign")):
        value = values[field]
        match field:
            case "hours":
                value = hourtext.hours_table(campaign.hours)
            case _ if field in VALUE_TABLES:
                defaults = {key: one.get("default") for key, one in part["properties"].items()}
                value = {key: inner for key, inner in value.items() if inner != defaults[key]}
            case "retry":
                known = part["properties"]  # of some results a file says nothing
                value = {
                    name: _rule_table(Result(name), rule) for name, rule in value.items() if name in known
                }
            case "results":
                value = [_result_table(one) for one in value]
        if value is None or value == part.get("default"):
            continue
        table = document
        for key in keys[:-1]:
            table = table.setdefault(key, {})
        table[keys[-1]] = value
    return document


def set_in_campaign(campaign: Campaign, path: str, text: str) -> Campaign:
    """*campaign* with one setting changed: :func:`set_all_in_campaign`."""
    return set_all_in_campaign(campaign, [(path, text)])


def set_all_in_campaign(campaign: Campaign, assignments: Iterable[tuple[str, str]]) -> Campaign:
    """*campaign* with settings changed: each by its path in the file (``calls.ring_s``), and a text.

    The text is a TOML value; a text needs no quotes; empty where that is no value: as if left out of the file.
    What settings say together is looked at when all are changed, so their order does not matter.
    Raises BadFile, naming the setting as a file would.
    """
    document = campaign_document(campaign)
    name = f"campaign {campaign.id}"
    for path, text in assignments:
        _set_in_document(document, name, path, text)
    return campaign_from(document, name)


def _set_in_document(document: dict[str, Any], name: str, path: str, text: str) -> None:
    keys = documents.split_key(path)
    value = documents.read_value(text)
    table: Any = document
    for key in keys[:-1]:
        table = table.setdefault(key, {}) if isinstance(table, dict) else table
    if keys == ("id",) or not isinstance(table, dict):
        raise BadFile(
            name, [Mistake(path, "cannot be set by command", "change and apply the campaign's file")]
        )
    if keys == ("hours", "any_time") and value is True:
        table.clear()  # all that it stands for no longer holds
    table[keys[-1]] = value
    try:
        documents.check(document, name, "campaign")
    except BadFile:
        if text.strip():
            raise
        del table[keys[-1]]
        documents.check(document, name, "campaign")


def campaign_fields(
    root: Mapping[str, Any],
) -> Iterator[tuple[tuple[str, ...], str, Mapping[str, Any]]]:
    """Path in the file, field of :class:`Campaign` and schema of each setting of a campaign."""
    for key, part in root["properties"].items():
        if key in _FLAT:
            for inner, inner_part in part["properties"].items():
                yield (key, inner), inner_part.get("x-field", inner), inner_part
        else:
            yield (key,), part.get("x-field", key), part


def _contradictions(document: Mapping[str, Any], campaign: Campaign) -> Iterator[Found]:
    """What two keys together must not say. Only what the file itself says can be its mistake."""
    told = document.get("retry", {})
    for result, rule in campaign.retry.items():
        yield from _bad_rule(("retry", result.value), rule, told.get(result.value, {}))
    for place, (one, table) in enumerate(zip(campaign.results, document.get("results", ()), strict=False)):
        yield from _bad_rule(("results", place), one, table)
        if one.is_do_not_call and one.again_s is not None:
            what = "says when to call again, and is_do_not_call says never"
            yield ("results", place, "again_s"), what, '"never", or left out'


def _bad_rule(
    keys: documents.Keys, rule: RetryRule | OperatorResult, table: Mapping[str, Any]
) -> Iterator[Found]:
    if rule.again_s is None:
        return
    if "again_s_max" in table and rule.again_s_max < rule.again_s:
        yield (*keys, "again_s_max"), "is less than again_s", f"{rule.again_s:g} or more"
    if not rule.counts:
        for key, delay in (("again_s", rule.again_s), ("other_s", rule.other_s)):
            if delay is not None and delay < UNCOUNTED_S_MIN:
                what = f"{delay:g} s after a result that does not count (counts = false) could ring a person without end"
                yield (*keys, key), what, f"{UNCOUNTED_S_MIN:g} s or more, or counts = true"


def _doubles(results: Sequence[Mapping[str, Any]], key: str) -> Iterator[Found]:
    seen = set()
    for place, one in enumerate(results):
        if one[key] in seen:
            yield ("results", place, key), f'"{one[key]}" is there twice', "each once"
        seen.add(one[key])


def _retry_rule(result: Result, rule: Mapping[str, Any]) -> RetryRule:
    """The rule; what the file leaves out is as in the default rule for *result*."""
    default = msgspec.to_builtins(DEFAULT_RETRY[result])
    return msgspec.convert({**default, **_without_never(rule)}, RetryRule)


def _rule_table(result: Result, rule: Mapping[str, Any]) -> dict[str, Any]:
    default = msgspec.to_builtins(DEFAULT_RETRY[result])
    known = documents.schema("campaign")["properties"]["retry"]["properties"][result.value]
    keys = documents.resolve(known, documents.schema("campaign"))["properties"]
    return {
        key: "never" if key == "again_s" and value is None else value
        for key, value in rule.items()
        if key in keys and (key in _RULE_ALWAYS or value != default[key])
    }


def _result_table(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key not in _RESULT or value != _RESULT[key]}


def _without_never(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: None if key == "again_s" and value == "never" else value for key, value in one.items()}


_RESULT = {
    key: value
    for key, value in msgspec.to_builtins(OperatorResult(code="", name="", title="")).items()
    if key not in ("code", "name", "title")
}
"""What an operator's result is where its table does not say."""
