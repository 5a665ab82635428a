"""Trunks towards Asterisk: their part of PJSIP's configuration (``pjsip_trunks.conf``).

1. A trunk is the endpoint ``trunk-<id>`` and what hangs on it, filled into the fragments of ``asterisk-conf/fragments``. What one
   trunk is written as hangs on that trunk alone: adding one changes no line of another.
2. Each host is an address of record of its own, in the order of the file: Asterisk takes the first that answers OPTIONS.
   (Contacts of one address of record it would take in the order of a checksum.)
3. Calls come in only where the trunk says so: by its registration (the ``line`` of its Contact), else by the addresses of its hosts
   (``identify``), into the context ``obzvon-inbound``. Nothing else that comes in is taken for a trunk.
4. Whose certificate is believed is a matter of the transport, for PJSIP has no such setting of endpoints. The transport ``transport-tls``
   believes the system's authorities and always exists, one port above SIP's: PJSIP does not resolve names for a kind of
   transport that was not there when it was loaded. A trunk with authorities of its own, or none, is given a transport by
   its settings, ``transport-tls-<checksum>``, on one of the next :data:`TLS_PORTS` ports. PJSIP moves no transport while it
   runs, so the checksum chooses the port too; of two that chose one the second, by name, has the next that is free.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from string import Template

import msgspec

from dialer.core.ids import TrunkId
from dialer.core.values import Trunk
from dialer.pbx import checks
from dialer.pbx.checks import BadSetting

FILE = "pjsip_trunks.conf"
TLS_PORTS = 32
"""Ports above that of ``transport-tls`` from which trunks with authorities of their own take theirs."""

CERTIFICATE = "certificate.pem"
KEY = "key.pem"
"""In the home folder's ``tls``: what we show to who connects to us by TLS (PEM)."""

_ENDPOINT = "trunk-"
_AUTHORITIES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))
_TRANSPORTS = ("udp", "tcp", "tls")
_DTMF = ("rfc4733", "inband", "info", "auto")
_MEDIA_ENCRYPTION = {
    "off": "",
    "sdes": "media_encryption = sdes\n",
    "dtls": (
        "media_encryption = dtls\ndtls_verify = fingerprint\ndtls_setup = actpass\ndtls_auto_generate_cert = yes\n"
    ),
}


class TrunkLine(msgspec.Struct, frozen=True, kw_only=True):
    """A trunk and its secret (empty: the trunk does not authenticate)."""

    trunk: Trunk
    secret: str = ""

    def __repr__(self) -> str:
        return f"TrunkLine({self.trunk.id})"


def endpoint_of(trunk: str) -> str:
    """The trunk's name in Asterisk."""
    return _ENDPOINT + trunk


def trunk_of(endpoint: str) -> TrunkId | None:
    """The trunk that has this name in Asterisk; None: it is no trunk's."""
    return TrunkId(endpoint.removeprefix(_ENDPOINT)) if endpoint.startswith(_ENDPOINT) else None


def render_trunks(
    lines: Iterable[TrunkLine], *, fragments: Path, sip_bind: str, sip_port: int, media: str, outside: str
) -> str:
    """What ``pjsip_trunks.conf`` holds. *fragments*: the folder of the templates; *media*: lines for each endpoint;
    *outside*: for each transport.

    :raises BadSetting: a value cannot be written; two trunks have one id; there are more than :data:`TLS_PORTS` authorities.
    """
    lines = list(lines)
    transports: dict[str, str] = {}
    texts: list[str] = []
    ports = _tls_ports(
        {transport_of(line.trunk) for line in lines if line.trunk.transport == "tls"}, sip_port
    )
    seen: set[str] = set()
    for line in lines:
        trunk = line.trunk
        if trunk.id in seen:
            raise BadSetting(f"trunk {trunk.id}: given twice")
        seen.add(trunk.id)
        name = transport_of(trunk)
        if name in ports and name not in transports:
            port = checks.port(f"trunk {trunk.id}: TLS port", ports[name])
            transports[name] = _render_transport(fragments, name, trunk, f"{sip_bind}:{port}", outside)
        texts.append(_render_trunk(fragments, line, name, media))
    return "".join(["; Rendered by Obzvon from the trunk files.\n", *transports.values(), *texts])


def transport_of(trunk: Trunk) -> str:
    """The name of the transport that carries the trunk's SIP."""
    if trunk.transport != "tls" or (trunk.tls_verify and not trunk.tls_ca):
        return f"transport-{trunk.transport}"
    what = f"{trunk.tls_ca}\n" if trunk.tls_verify else "anybody"
    return f"transport-tls-{hashlib.sha256(what.encode()).hexdigest()[:8]}"


def authorities() -> str:
    """The system's file of certificates that are trusted; empty where there is none."""
    usual = ssl.get_default_verify_paths().cafile
    for path in (*_AUTHORITIES, *([Path(usual)] if usual else [])):
        if path.is_file():
            return str(path)
    return ""


def transport_values(tls: Path | None, sip_port: int) -> dict[str, str]:
    """What fills ``transport-tls`` in ``pjsip.conf``. *tls*: a folder that may hold our certificate and its key.

    :raises BadSetting: the port is none; the folder's path cannot be written.
    """
    lines = [f"ca_list_file = {found}"] if (found := authorities()) else []
    if tls is not None and has_certificate(tls):
        lines.append(f"cert_file = {checks.path('tls', tls.absolute() / CERTIFICATE)}")
        lines.append(f"priv_key_file = {checks.path('tls', tls.absolute() / KEY)}")
    return {"tls_port": str(checks.port("TLS port", sip_port + 1)), "tls": "\n".join(lines)}


def has_certificate(tls: Path | None) -> bool:
    """Whether the folder holds a certificate and its key: then phones and carriers may connect to us by TLS."""
    return tls is not None and (tls / CERTIFICATE).is_file() and (tls / KEY).is_file()


# -- one trunk ----------------------------------------------------------------------------


def _render_trunk(fragments: Path, line: TrunkLine, transport: str, media: str) -> str:
    trunk = line.trunk
    name = f"trunk {trunk.id}"
    _check(line, name)
    hosts = _hosts(trunk, name)
    # the parser takes a bare semicolon for a comment
    suffix = "" if trunk.transport == "udp" else f"\\;transport={trunk.transport}"
    own = endpoint_of(checks.matching(name, trunk.id, checks.NAME))
    # With a dot, so that no other trunk's id can be the same.
    aors = [own if not place else f"{own}.{place + 1}" for place in range(len(hosts))]
    username = trunk.username and checks.conf_value(
        f"{name}: username", checks.matching(f"{name}: username", trunk.username, checks.SIP_USER)
    )
    values = {
        "id": trunk.id,
        "transport": transport,
        "aors": ",".join(aors),
        "context": "obzvon-inbound" if trunk.is_inbound else "obzvon-closed",
        "codecs": checks.codecs(f"{name}: codecs", trunk.codecs),
        "dtmf": trunk.dtmf,
        "options_interval_s": checks.interval(f"{name}: options_interval_s", trunk.options_interval_s),
        "media": media + _MEDIA_ENCRYPTION[trunk.srtp],
        "host": hosts[0][0],
        "username": username,
    }
    text = "".join(
        _fill(fragments / "trunk_host.conf", {**values, "aor": aor, "uri": f"sip:{host}:{port}{suffix}"})
        for aor, (host, port) in zip(aors, hosts, strict=True)
    )
    text += _fill(fragments / "trunk.conf", values)
    if trunk.username:
        secret = checks.conf_value(f"{name}: secret", checks.present(f"{name}: secret", line.secret))
        text += _fill(fragments / "trunk_auth.conf", {**values, "secret": secret})
    if trunk.register:
        host, port = hosts[0]
        more = {
            "server_uri": f"sip:{host}:{port}{suffix}",
            "client_uri": f"sip:{username}@{host}:{port}{suffix}",
            "line": f"line = yes\nendpoint = {own}\n" if trunk.is_inbound else "",
        }
        text += _fill(fragments / "trunk_registration.conf", {**values, **more})
    if addresses := _inbound_from(trunk, name):
        matches = "".join(f"match = {one}\n" for one in addresses)
        text += _fill(fragments / "trunk_identify.conf", {**values, "matches": matches})
    return text


def _check(line: TrunkLine, name: str) -> None:
    trunk = line.trunk
    for what, value, allowed in (
        ("transport", trunk.transport, _TRANSPORTS),
        ("dtmf", trunk.dtmf, _DTMF),
        ("srtp", trunk.srtp, tuple(_MEDIA_ENCRYPTION)),
    ):
        if value not in allowed:
            raise BadSetting(f"{name}: {what}: {value!r} is none of {', '.join(allowed)}")
    if line.secret and not trunk.username:
        raise BadSetting(f"{name}: has a secret but no username")
    if trunk.register and not trunk.username:
        raise BadSetting(f"{name}: a trunk that registers needs a username")
    if trunk.srtp != "off" and trunk.transport != "tls":
        raise BadSetting(f"{name}: srtp: {trunk.srtp} needs transport tls")


def _hosts(trunk: Trunk, name: str) -> list[tuple[str, int]]:
    """Every host with its port, in the order in which they are tried."""
    found = [(checks.host(f"{name}: host", trunk.host), checks.port(f"{name}: port", trunk.port))]
    for text in trunk.hosts:
        host, colon, port = text.partition(":")
        if colon and not (port.isascii() and port.isdigit() and len(port) < 6):
            raise BadSetting(f"{name}: hosts: {text!r} is not HOST or HOST:PORT")
        found.append(
            (
                checks.host(f"{name}: hosts", host),
                checks.port(f"{name}: hosts", int(port)) if colon else trunk.port,
            )
        )
    return found


def _inbound_from(trunk: Trunk, name: str) -> list[str]:
    """The addresses that ``identify`` believes; over a registration only those that are named besides."""
    if not trunk.is_inbound:
        return []
    own = [] if trunk.register else [host for host, _ in _hosts(trunk, name)]
    more = [checks.network(f"{name}: inbound_from", text) for text in trunk.inbound_from]
    return list(dict.fromkeys([*own, *more]))


# -- TLS ----------------------------------------------------------------------------------


def _render_transport(fragments: Path, name: str, trunk: Trunk, bind: str, outside: str) -> str:
    if trunk.tls_verify:
        ca = checks.path(f"trunk {trunk.id}: tls.ca", Path(trunk.tls_ca))
        trust = f"verify_server = yes\nca_list_file = {ca}"
    else:
        trust = "verify_server = no"
    return _fill(
        fragments / "transport_tls.conf", {"name": name, "bind": bind, "trust": trust, "outside": outside}
    )


def _tls_ports(transports: set[str], sip_port: int) -> dict[str, int]:
    """The port of each transport that believes authorities of its own (rule 4)."""
    ports: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(transports - {"transport-tls"}):
        if len(taken) == TLS_PORTS:
            raise BadSetting(
                f"tls: the trunks name more than {TLS_PORTS} different `ca`; several authorities may stand in one file"
            )
        place = int(name.rpartition("-")[2], 16) % TLS_PORTS
        while place in taken:
            place = (place + 1) % TLS_PORTS
        taken.add(place)
        ports[name] = sip_port + 2 + place
    return ports


# -- files --------------------------------------------------------------------------------


def _fill(template: Path, values: Mapping[str, str]) -> str:
    return _template(template, template.stat().st_mtime_ns).substitute(values)


@cache
def _template(path: Path, _changed_ns: int) -> Template:
    return Template(path.read_text(encoding="utf-8"))
