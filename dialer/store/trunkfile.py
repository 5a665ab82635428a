"""A trunk's file (``trunks/*.toml``) as a :class:`~dialer.core.trunk.Trunk`, and back.

1. The schema says what each key may be; here stands what hangs on two keys at once, and each such mistake is told with its
   line and with what is allowed.
2. Tables of the file (``[tls]``, ``[caller_ids]``, ``[failover]``, ``[destinations]``, ``[inbound]``) are fields of the trunk;
   :data:`FIELDS` is the whole mapping. What is not in it has one name in both.
3. What is left out is what :class:`~dialer.core.trunk.Trunk` says, but for the port, which is 5061 with TLS (RFC 3261, 19.1.2).
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.trunk import Trunk
from dialer.store import documents
from dialer.store.documents import Keys

TLS_PORT = 5061

FIELDS: dict[tuple[str, str], str] = {
    ("tls", "verify"): "tls_verify",
    ("tls", "ca"): "tls_ca",
    ("failover", "on"): "failover_on",
    ("destinations", "allowed"): "destinations",
    ("destinations", "forbidden"): "forbidden",
    ("inbound", "enabled"): "is_inbound",
    ("inbound", "from"): "inbound_from",
}
_TABLES = ("tls", "failover", "destinations", "inbound")
_NUMBER_LEAST = len("+1234567")
_STATUS_LEAST = 300
_CAUSE_MAX = 127
_NETWORK_LEAST = 12
"""Nobody's gateways are spread over more; and whoever is in it calls as the carrier, unasked."""

Found = tuple[Keys, str, str]


def load_trunk(path: Path) -> Trunk:
    """The trunk in the file *path*. Raises BadFile, which names every mistake."""
    document = documents.load(path, "trunk")
    if found := list(_mistakes(document)):
        raise documents.refusal(path, found)
    return trunk_from(document)


def trunk_from(document: Mapping[str, Any]) -> Trunk:
    """The trunk that a checked document means."""
    values = {key: value for key, value in document.items() if key not in _TABLES}
    for (table, key), field in FIELDS.items():
        if key in document.get(table, {}):
            values[field] = document[table][key]
    if values.get("transport") == "tls":
        values.setdefault("port", TLS_PORT)
    return msgspec.convert(values, Trunk)


def trunk_document(trunk: Trunk) -> dict[str, Any]:
    """The trunk as its file would say it, without what is so when left out."""
    plain = msgspec.to_builtins(trunk)
    default = msgspec.to_builtins(Trunk(id=trunk.id, host=trunk.host))
    default["port"] = TLS_PORT if trunk.transport == "tls" else default["port"]
    document: dict[str, Any] = {"id": plain.pop("id"), "host": plain.pop("host")}
    places = {field: place for place, field in FIELDS.items()}
    for field, value in plain.items():
        if value == default[field]:
            continue
        shown = _tidy(value)
        if field in places:
            table, key = places[field]
            document.setdefault(table, {})[key] = shown
        else:
            document[field] = shown
    return document


def _tidy(value: Any) -> Any:
    """Without the empty parts, which the file leaves out."""
    if isinstance(value, Mapping):
        return {key: _tidy(inner) for key, inner in value.items() if inner not in ((), [], {}, "", 0)}
    if isinstance(value, list | tuple):
        return [_tidy(inner) for inner in value]
    return value


# -- what hangs on two keys ---------------------------------------------------------------


def _mistakes(document: Mapping[str, Any]) -> Iterator[Found]:
    yield from _authentication(document)
    yield from _encryption(document)
    yield from _hosts(document)
    yield from _numbers(document)
    yield from _callers(document)
    yield from _routing(document)
    yield from _inbound(document)


def _authentication(document: Mapping[str, Any]) -> Iterator[Found]:
    if document.get("register") and not document.get("username"):
        yield ("register",), "true needs a username", "false, or a username beside it"


def _encryption(document: Mapping[str, Any]) -> Iterator[Found]:
    if document.get("transport") == "tls":
        tls = document.get("tls", {})
        if tls.get("ca") and not tls.get("verify", True):
            yield ("tls", "ca"), "is of no use where nothing is verified", "no ca, or verify = true"
        return
    srtp = document.get("srtp", "off")
    if srtp != "off":
        fault = "its keys" if srtp == "sdes" else "the fingerprints of its keys"
        yield (
            ("srtp",),
            f"{srtp} without TLS: whoever carries {fault} can read or change them",
            'off, or transport = "tls" beside it',
        )
    if document.get("tls"):
        yield ("tls",), "is of no use without TLS", 'no [tls], or transport = "tls"'


def _hosts(document: Mapping[str, Any]) -> Iterator[Found]:
    port = document.get("port", TLS_PORT if document.get("transport") == "tls" else 5060)
    seen = {(document["host"].lower(), port)}
    for index, text in enumerate(document.get("hosts", ())):
        name, colon, written = text.partition(":")
        own = int(written) if colon else port
        if not 1 <= own <= 65535:
            yield ("hosts", index), f"{own} is no port", "1 to 65535"
        if (name.lower(), own) in seen:
            yield ("hosts", index), f"{text} is named twice", "each host once, but for the first (host)"
        seen.add((name.lower(), own))
    if document.get("hosts") and document.get("options_interval_s") == 0:
        yield (
            ("options_interval_s",),
            "0 with several hosts: nobody would see that the first does not answer",
            "1 to 3600",
        )


def _numbers(document: Mapping[str, Any]) -> Iterator[Found]:
    rules = document.get("number_rules", ())
    counts = Counter(rule["prefix"] for rule in rules)
    for index, rule in enumerate(rules):
        if counts[rule["prefix"]] > 1:
            yield (
                ("number_rules", index, "prefix"),
                f"{rule['prefix']} has several rules",
                "one rule for each prefix",
            )
        if rule.get("strip", 0) >= _NUMBER_LEAST and not rule.get("add"):
            yield (
                ("number_rules", index, "strip"),
                "leaves nothing of a short number",
                f"up to {_NUMBER_LEAST - 1}, or an add",
            )


def _callers(document: Mapping[str, Any]) -> Iterator[Found]:
    if document.get("caller_id") and document.get("caller_ids", {}).get("numbers"):
        yield ("caller_id",), "is never shown, for caller_ids.numbers go before it", "one of the two"


def _routing(document: Mapping[str, Any]) -> Iterator[Found]:
    for index, cause in enumerate(document.get("failover", {}).get("on", ())):
        if _CAUSE_MAX < cause < _STATUS_LEAST:
            allowed = "a cause of Q.850 (1 to 127) or a SIP status (300 to 699)"
            yield ("failover", "on", index), f"{cause} is neither a cause nor a SIP status", allowed
    destinations = document.get("destinations", {})
    both = set(destinations.get("allowed", ())) & set(destinations.get("forbidden", ()))
    for prefix in sorted(both):
        yield ("destinations", "forbidden"), f"{prefix} is allowed and forbidden", "one of the two"


def _inbound(document: Mapping[str, Any]) -> Iterator[Found]:
    inbound = document.get("inbound", {})
    if inbound.get("from") and not inbound.get("enabled"):
        yield ("inbound", "from"), "is of no use while no calls come in", "enabled = true beside it"
    for index, text in enumerate(inbound.get("from", ())):
        if "/" in text:
            try:
                network = ipaddress.ip_network(text)
            except ValueError as error:
                yield ("inbound", "from", index), f"{text} is no network: {error}", "such as 203.0.113.0/24"
                continue
            if network.prefixlen < _NETWORK_LEAST:
                allowed = f"networks of the carrier's, /{_NETWORK_LEAST} at the widest"
                yield (
                    ("inbound", "from", index),
                    f"{text} has strangers in it, who would be taken for the carrier",
                    allowed,
                )
