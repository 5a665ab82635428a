"""The way of the voice: one-way audio, address translation, ports.

What Asterisk has in force is asked for by ARI, so it makes no difference who wrote it: we, an engineer, or another program.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable, Iterator, Mapping

from dialer.core.values import Trunk
from dialer.office.doctor.conffile import is_yes, sections
from dialer.office.doctor.facts import AsteriskFacts, FarEnd
from dialer.office.doctor.findings import Finding, fails, ok, warns
from dialer.pbx.trunks import endpoint_of, transport_of
from dialer.store.files import ServerSettings

PORTS_PER_CALL = 4
"""A bridged call has two ends, each with a port for voice and one for its control."""

LOOPBACK = fails(
    "voice.loopback",
    "Asterisk speaks SIP on the loopback address alone, and a trunk is elsewhere: no call gets there",
    "set ports.sip_address to an address of this machine, or 0.0.0.0, and start Asterisk again",
)
PHONES_OUTSIDE = warns(
    "voice.phones_outside",
    "Asterisk speaks SIP on the loopback address alone, and phones are not registered: from other machines they cannot be",
    "set ports.sip_address to an address that the phones reach, and start Asterisk again",
)
NAT = fails(
    "voice.nat",
    "This machine is behind address translation, and Asterisk tells carriers its private address: voice goes one way",
    "set ports.external_address to what the outside sees and start Asterisk again; in an Asterisk of one's own external_media_address, external_signaling_address and local_net of its transport",
)
MEDIA_ADDRESS = fails(
    "voice.media_address",
    "Voice is bound to another address than SIP, or to one that a trunk cannot reach",
    "take media_address out of the endpoint, or set it to the address of SIP",
)
NOT_SYMMETRIC = warns(
    "voice.not_symmetric",
    "rtp_symmetric is off: who is behind address translation hears nothing",
    "rtp_symmetric = yes for the endpoint",
)
CONTACT = warns(
    "voice.contact",
    "force_rport or rewrite_contact is off for a phone: behind address translation it registers and cannot be rung",
    "force_rport = yes and rewrite_contact = yes for the endpoint",
)
DIRECT_MEDIA = fails(
    "voice.direct_media",
    "direct_media is on: voice may pass Asterisk by, without recording, and goes one way behind address translation",
    "direct_media = no for the endpoint",
)
NO_SRTP = fails(
    "voice.srtp",
    "A trunk wants encrypted voice, and Asterisk's res_srtp is not loaded",
    "load res_srtp.so, and install libsrtp",
)
FEW_PORTS = warns(
    "rtp.few_ports",
    "There are fewer voice ports than the caps allow calls (four for each)",
    "raise ports.rtp_count (rtpend in rtp.conf), or lower channels_max",
)


def calls_wanted(trunks: Iterable[Trunk], server: ServerSettings, name: str) -> int:
    """So many calls the caps allow on a server at once."""
    serving = [trunk for trunk in trunks if not trunk.servers or name in trunk.servers]
    return min(server.channels_max, sum(trunk.channels_max for trunk in serving))


def judge_ports(one: AsteriskFacts, server: ServerSettings, calls: int) -> Iterator[Finding]:
    """There are ports for all the calls that the caps allow. Asterisk's own file goes before our settings."""
    count, source = server.ports.rtp_count, "ports.rtp_count"
    rtp = sections(one.config.get("rtp.conf", "")).get("general", {})
    if rtp.get("rtpstart", "").isdigit() and rtp.get("rtpend", "").isdigit():
        count, source = int(rtp["rtpend"]) - int(rtp["rtpstart"]) + 1, "rtp.conf"
    if count < PORTS_PER_CALL * calls:
        yield FEW_PORTS.found(
            f"{one.name} has {count} voice ports ({source}), enough for {count // PORTS_PER_CALL} calls;"
            f" the caps allow {calls}, which need {PORTS_PER_CALL * calls}"
        )
    else:
        yield ok("rtp", f"{one.name}: {count} voice ports, {calls} calls allowed")


def judge(
    one: AsteriskFacts,
    trunks: Iterable[Trunk],
    phones: Iterable[str],
    far_ends: Mapping[str, Iterable[FarEnd]],
    registered: Container[str] = (),
) -> Iterator[Finding]:
    """Where voice would go astray. *far_ends*: of each trunk. *registered*: phones that are, on whatever server."""
    faults = list(_astray(one, list(trunks), list(phones), far_ends, registered))
    yield from faults or [ok("voice", f"{one.name}: nothing that makes voice go one way")]


def _astray(
    one: AsteriskFacts,
    trunks: list[Trunk],
    phones: list[str],
    far_ends: Mapping[str, Iterable[FarEnd]],
    registered: Container[str],
) -> Iterator[Finding]:
    for trunk in trunks:
        endpoint = one.objects.get(("endpoint", endpoint_of(trunk.id)), {})
        name = endpoint.get("transport") or transport_of(trunk)
        transport = one.objects.get(("transport", name), {})
        bound = _host(transport.get("bind", ""))
        for far in far_ends.get(trunk.id, ()):
            yield from _trunk_way(trunk, endpoint, transport, bound, far)
        if endpoint.get("media_encryption", "no") != "no" and "res_srtp.so" not in one.modules:
            yield NO_SRTP.found(f"trunk {trunk.id} wants encrypted voice, and {one.name} has no res_srtp")
        yield from _endpoint(f"trunk {trunk.id}", endpoint)
    away = [name for name in phones if one.states.get(name) == "offline" and name not in registered]
    transports = [values for (kind, _), values in one.objects.items() if kind == "transport"]
    if away and transports and all(_is_loopback(_host(values.get("bind", ""))) for values in transports):
        yield PHONES_OUTSIDE.found(
            f"{one.name} listens on the loopback address alone, and {len(away)} phones are not registered"
        )
    for phone in phones:
        endpoint = one.objects.get(("endpoint", phone), {})
        yield from _endpoint(f"phone {phone}", endpoint)
        for key in ("force_rport", "rewrite_contact"):
            if key in endpoint and not is_yes(endpoint[key]):
                yield CONTACT.found(f"phone {phone} has {key} = {endpoint[key]}")


def _trunk_way(
    trunk: Trunk, endpoint: Mapping[str, str], transport: Mapping[str, str], bound: str, far: FarEnd
) -> Iterator[Finding]:
    if not far.address or _is_loopback(far.address):
        return
    if _is_loopback(bound):
        yield LOOPBACK.found(f"SIP is bound to {bound}, and trunk {trunk.id} is at {far.address}")
        return
    media = endpoint.get("media_address", "")
    is_elsewhere = _is_loopback(media) or (bound and not _is_any(bound) and media != bound)
    if media and is_elsewhere and not transport.get("external_media_address"):
        yield MEDIA_ADDRESS.found(
            f"voice of trunk {trunk.id} is bound to {media}, SIP to {bound}; the trunk is at {far.address}"
        )
    if (
        _is_public(far.address)
        and far.leaves_from
        and not _is_public(far.leaves_from)
        and transport
        and not transport.get("external_media_address")
        and not (media and _is_public(media))
    ):
        yield NAT.found(
            f"trunk {trunk.id} at {far.address} is told the private address {far.leaves_from}, to which no voice comes"
        )


def _endpoint(name: str, endpoint: Mapping[str, str]) -> Iterator[Finding]:
    if "rtp_symmetric" in endpoint and not is_yes(endpoint["rtp_symmetric"]):
        yield NOT_SYMMETRIC.found(f"{name} has rtp_symmetric = {endpoint['rtp_symmetric']}")
    if "direct_media" in endpoint and is_yes(endpoint["direct_media"]):
        yield DIRECT_MEDIA.found(f"{name} has direct_media = {endpoint['direct_media']}")


def _host(bind: str) -> str:
    host = bind.rpartition(":")[0] if bind.count(":") == 1 or bind.startswith("[") else bind
    return host.strip("[]")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_loopback(text: str) -> bool:
    found = _address(text)
    return found is not None and found.is_loopback


def _is_any(text: str) -> bool:
    found = _address(text)
    return found is not None and found.is_unspecified


def _is_public(text: str) -> bool:
    found = _address(text)
    return found is not None and found.is_global
