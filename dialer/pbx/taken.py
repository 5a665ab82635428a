"""Whether Asterisk took what was rendered for it: what it was given is held against what it says that it has.

1. A reload answers before it is done, and tells nothing of a part that it refused (Asterisk writes a line into its log and goes on
   with what it had). So each section is asked for by name, through ARI's ``/asterisk/config/dynamic``, which knows what comes
   from files too, and compared key by key.
2. Asterisk writes values in its own way (``yes`` as ``true``, ``alaw,ulaw`` as ``(alaw|ulaw)``): both sides are brought to one form.
   A key that this version does not know of is passed over.
3. ARI does not tell whether a registration holds; Asterisk's page of metrics (``prometheus.conf``) does, where there is one.
4. What is told of a difference never holds a secret.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

import msgspec

from dialer.pbx.client import AriClient
from dialer.pbx.errors import NotFound
from dialer.pbx.trunks import endpoint_of

Registration = Literal["unknown", "unregistered", "registered", "rejected"]

SECRET_KEYS: Final = frozenset({"password"})
_PASSED_OVER: Final = frozenset({"type", "disallow", "match", "bind"})
"""``match`` and ``bind`` are given back as other texts than they were written (names looked up, ports filled in)."""
_TRUTHS: Final = {"yes": "true", "no": "false", "on": "true", "off": "false"}
_REGISTRATIONS: Final[Mapping[str, Registration]] = {
    "0": "unregistered",
    "1": "registered",
    "2": "rejected",
}
_REGISTRATION = re.compile(
    r'^asterisk_pjsip_outbound_registration_status\{.*username="([^"]*)".*\} (\d)', re.MULTILINE
)
_FEW: Final = 8
_SECTION = re.compile(r"\[([^\]]+)\]")
_TRANSPORT_NOT_RELOADED: Final = "restart Asterisk, which does not change a transport while it runs"


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A section of PJSIP's configuration; *values* in their order, a key may come several times."""

    id: str
    type: str
    values: tuple[tuple[str, str], ...]

    @property
    def is_transport(self) -> bool:
        return self.type == "transport"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What Asterisk says of a trunk.

    *differences*: in what it does not have what it was given, in words; empty: it took all. *state*: of the endpoint (``online``,
    ``offline``, ``unknown``; empty: there is none). *registration*: None: the trunk does not register.
    """

    differences: tuple[str, ...] = ()
    state: str = ""
    registration: Registration | None = None
    calls: int = 0

    @property
    def is_taken(self) -> bool:
        return not self.differences


def sections(text: str) -> list[Section]:
    """The sections of a rendered file, in their order."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for line in text.splitlines():
        if header := _SECTION.match(line):
            found.append((header[1], []))
        elif found and "=" in line and not line.startswith(";"):
            key, _, value = line.partition("=")
            found[-1][1].append((key.strip(), value.strip().replace("\\;", ";")))
    return [
        Section(id=name, type=dict(values).get("type", ""), values=tuple(values)) for name, values in found
    ]


def by_trunk(text: str, trunks: Iterable[str]) -> dict[str, list[Section]]:
    """Of a rendered file, each trunk's own sections, and the transport that it uses if that is rendered with it."""
    everything = sections(text)
    transports = {one.id: one for one in everything if one.is_transport}
    own: dict[str, list[Section]] = {}
    for one in everything:
        own.setdefault(one.id.partition(".")[0], []).append(one)
    found = {}
    for trunk in trunks:
        mine = own.get(endpoint_of(trunk), [])
        used = dict.fromkeys(value for one in mine for key, value in one.values if key == "transport")
        found[trunk] = [transports[name] for name in used if name in transports] + mine
    return found


async def standings(ari: AriClient, wanted: Mapping[str, Sequence[Section]]) -> dict[str, Standing]:
    """How trunks stand in the Asterisk of *ari*, which was given the sections *wanted* of each. Raises PbxError."""
    told = await asyncio.gather(*(_of_trunk(ari, some) for some in wanted.values()))
    endpoints = await _endpoints(ari, wanted)
    must_register = any(one.type == "registration" for some in wanted.values() for one in some)
    page = await ari.metrics() if must_register else ""
    return {
        trunk: Standing(
            differences=differences,
            state=str(endpoints.get(endpoint_of(trunk), {}).get("state", "")),
            calls=len(endpoints.get(endpoint_of(trunk), {}).get("channel_ids", ())),
            registration=registration(page, wanted[trunk]),
        )
        for trunk, differences in zip(wanted, told, strict=True)
    }


async def _of_trunk(ari: AriClient, wanted: Sequence[Section]) -> tuple[str, ...]:
    told = await asyncio.gather(*(_differences(ari, one) for one in wanted))
    return tuple(one for some in told for one in some)


async def _endpoints(ari: AriClient, wanted: Iterable[str]) -> dict[str, Any]:
    """The endpoints of the trunks by name: one by one if they are few, else out of the list of all."""
    names = [endpoint_of(trunk) for trunk in wanted]
    if len(names) > _FEW:
        everything = await ari.request("GET", "/endpoints/PJSIP", repeatable=True)
        return {str(one["resource"]): one for one in everything}
    found = {}
    for name in names:
        with suppress(NotFound):
            found[name] = await ari.request("GET", f"/endpoints/PJSIP/{name}", repeatable=True)
    return found


async def is_gone(ari: AriClient, trunk: str) -> bool:
    """Whether Asterisk has no endpoint for the trunk any more. Raises PbxError."""
    return await _object(ari, "endpoint", endpoint_of(trunk)) is None


def registration(page: str, wanted: Sequence[Section]) -> Registration | None:
    """What Asterisk's page of metrics says of the trunk's registration; None: it has none."""
    client = next(
        (
            value
            for one in wanted
            if one.type == "registration"
            for key, value in one.values
            if key == "client_uri"
        ),
        None,
    )
    return registration_of(page, client) if client is not None else None


def registration_of(page: str, client: str) -> Registration:
    """What the page says of the registration with that ``client_uri``."""
    if not page:
        return "unknown"
    states = dict(_REGISTRATION.findall(page))
    return _REGISTRATIONS.get(
        states.get(client, ""), "unregistered"
    )  # it is told of from its first answer on


async def _differences(ari: AriClient, wanted: Section) -> list[str]:
    has = await _object(ari, wanted.type, wanted.id)
    name = f"[{wanted.id}] {wanted.type}"
    if has is None:
        return [f"{name} is not there"]
    differences = []
    for key, value in wanted.values:
        if key in _PASSED_OVER or key not in has:
            continue
        if _plain(value) != _plain(has[key]):
            told = "is another" if key in SECRET_KEYS else f"is {has[key] or 'empty'} and not {value}"
            mend = f" ({_TRANSPORT_NOT_RELOADED})" if wanted.is_transport else ""
            differences.append(f"{name}: {key} {told}{mend}")
    return differences


async def _object(ari: AriClient, kind: str, name: str) -> dict[str, str] | None:
    try:
        answer = await ari.request(
            "GET", f"/asterisk/config/dynamic/res_pjsip/{kind}/{name}", repeatable=True
        )
    except NotFound:
        return None
    return {str(one["attribute"]): str(one["value"]) for one in answer}


def _plain(value: str) -> tuple[str, ...]:
    """A value in the one form in which both sides are compared."""
    text = value.strip("()").lower()
    try:
        return (f"{float(text):g}",)
    except ValueError:
        pass
    return tuple(_TRUTHS.get(part.strip(), part.strip()) for part in re.split(r"[,|]", text))
