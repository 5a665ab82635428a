"""Who could get in: ports that others reach, passwords that can be guessed, rights that nobody needs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from dialer.office.doctor.conffile import is_yes, sections
from dialer.office.doctor.facts import AsteriskFacts, MachineFacts
from dialer.office.doctor.findings import Finding, fails, ok, warns
from dialer.store.files import Secrets, SystemSettings

AMI_PORT = 5038
REDIS_PORT = 6379
ANYBODY = "anonymous"
"""The endpoint that takes calls from who is known by nothing."""
OURS_LEAST = 16
"""Characters of a password that nobody has to key in."""
PHONE_LEAST = 10
_COMMON = frozenset(
    {"password", "secret", "asterisk", "obzvon", "changeme", "admin", "letmein", "qwerty", "12345678"}
)

EXPOSED_ARI = fails(
    "security.ari_exposed",
    "Others reach ARI: who has its password has the calls, and it goes over the network in clear",
    "bindaddr = 127.0.0.1 in http.conf, or a firewall",
)
EXPOSED_AMI = fails(
    "security.ami_exposed",
    "Others reach Asterisk's manager interface (AMI), which Obzvon does not need",
    "enabled = no in manager.conf, or bindaddr = 127.0.0.1",
)
EXPOSED_REDIS = fails(
    "security.redis_exposed",
    "Others reach Redis: who can write there decides when people are called",
    "bind 127.0.0.1 in redis.conf, or a Unix socket",
)
EXPOSED_METRICS = warns(
    "security.metrics_exposed",
    "Others reach the metrics, which have no password",
    'metrics.address = "127.0.0.1", or a firewall',
)
PLAIN_ARI = warns(
    "security.ari_plain",
    "ARI's password goes to another machine in clear (http)",
    "https in asterisk.url (tlsenable in http.conf), or a tunnel, or a network between them that nobody else is in",
)
PLAIN_REDIS = fails(
    "security.redis_plain",
    "Redis on another machine is spoken to in clear, or without a password",
    "rediss:// in redis.url, and redis in secrets.toml",
)
WEAK_ARI = fails(
    "security.ari_weak",
    "ARI's password can be guessed",
    "give ari in secrets.toml and in ari.conf a long one",
)
WEAK_PHONE = fails(
    "security.phone_weak",
    "A phone's password can be guessed: strangers find such phones within hours, and call at your cost",
    "dialer phone secret EXTENSION --new",
)
SHARED = warns("security.phone_shared", "Two phones have one password", "dialer phone secret EXTENSION --new")
WEAK_TRUNK = warns(
    "security.trunk_weak", "A trunk's password can be guessed", "ask the carrier for a longer one"
)
ANY_ORIGIN = warns(
    "security.ari_origins",
    "Any web page that is open on a machine that reaches ARI may speak to it (allowed_origins = *)",
    "take allowed_origins out of ari.conf",
)
OTHER_WRITERS = warns(
    "security.ari_users",
    "Another ARI user may give orders too",
    "read_only = yes for who only looks; take out who is not needed",
)
MONITOR_WRITES = fails(
    "security.monitor_writes",
    "The ARI user who is to look only may give orders",
    "read_only = yes for the user in ari.conf",
)
DANGEROUS = fails(
    "security.live_dangerously",
    "live_dangerously is on: who may use ARI may run programs as Asterisk's user",
    "live_dangerously = no in asterisk.conf",
)
ANONYMOUS = fails(
    "security.anonymous",
    "Asterisk takes calls from anybody (the endpoint anonymous)",
    "take the endpoint anonymous out of pjsip.conf",
)


def judge_ports(
    machine: MachineFacts, system: SystemSettings, asterisks: Iterable[AsteriskFacts]
) -> Iterator[Finding]:
    """What others reach of what is for this machine alone."""
    faults = [*_exposed(machine, system, asterisks), *_plain(system, asterisks)]
    yield from faults or [ok("security", "ARI, AMI, Redis and metrics are for this machine alone")]


def _exposed(
    machine: MachineFacts, system: SystemSettings, asterisks: Iterable[AsteriskFacts]
) -> Iterator[Finding]:
    ari = {urlsplit(one.url).port or 80 for one in asterisks if one.is_here and one.url}
    redis = urlsplit(system.redis.url) if system.redis.mode == "external" else None
    redis_port = (redis.port or REDIS_PORT) if redis is not None and is_this_machine(redis.hostname) else None
    for address, port in machine.listening:
        if ipaddress.ip_address(address).is_loopback:
            continue
        if port in ari:
            yield EXPOSED_ARI.found(f"ARI's port {port} is bound to {address}")
        elif port == AMI_PORT:
            yield EXPOSED_AMI.found(f"AMI's port {port} is bound to {address}")
        elif port == redis_port:
            yield EXPOSED_REDIS.found(f"the port of Redis, {port}, is bound to {address}")
        elif port == system.metrics.port:
            yield EXPOSED_METRICS.found(f"the port of the metrics, {port}, is bound to {address}")


def _plain(system: SystemSettings, asterisks: Iterable[AsteriskFacts]) -> Iterator[Finding]:
    for one in asterisks:
        url = urlsplit(one.url)
        if url.scheme == "http" and not is_this_machine(url.hostname):
            yield PLAIN_ARI.found(f"{one.name} is asked at {one.url}")
    redis = urlsplit(system.redis.url)
    if system.redis.mode == "external" and redis.scheme == "redis" and not is_this_machine(redis.hostname):
        yield PLAIN_REDIS.found(f"Redis is asked at {system.redis.url}")


def is_this_machine(host: str | None) -> bool:
    """Whether a URL with that host leads to this machine; none is this one."""
    if not host or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def judge_passwords(secrets: Secrets, usernames: Mapping[str, str]) -> Iterator[Finding]:
    """Passwords that can be guessed. *usernames*: of trunks."""
    faults = list(_guessable(secrets, usernames))
    yield from faults or [ok("security", "no password is short, common or used twice")]


def _guessable(secrets: Secrets, usernames: Mapping[str, str]) -> Iterator[Finding]:
    if why := weakness(secrets.ari, OURS_LEAST):
        yield WEAK_ARI.found(f"the password of ARI {why}")
    for server, password in secrets.servers.items():
        if why := weakness(password, OURS_LEAST):
            yield WEAK_ARI.found(f"the password of ARI on {server} {why}")
    holders: dict[str, list[str]] = {}
    for extension in secrets.phones:
        password = secrets.phone(extension)
        holders.setdefault(password, []).append(extension)
        if why := weakness(password, PHONE_LEAST, extension):
            yield WEAK_PHONE.found(
                f"the password of phone {extension} {why}", f"dialer phone secret {extension} --new"
            )
    for extensions in holders.values():
        if len(extensions) > 1:
            yield SHARED.found(f"the phones {', '.join(extensions)} have one password")
    for trunk in secrets.trunks:
        if why := weakness(secrets.trunk(trunk), 6, usernames.get(trunk, "")):
            yield WEAK_TRUNK.found(f"the password of trunk {trunk} {why}")


def weakness(password: str, least: int, name: str = "") -> str:
    """Why *password* can be guessed; empty: it cannot. The password itself is never told."""
    if name and password.lower() == name.lower():
        return "is its name"
    if password.lower() in _COMMON:
        return "is a common one"
    if len(password) < least:
        return f"is shorter than {least} characters"
    if (
        name
        and len(name) > 2
        and re.sub(re.escape(name.lower()), "", password.lower()).strip("0123456789") == ""
    ):
        return "is made of its name and digits"
    if len(set(password)) < 5:
        return "repeats a few characters"
    return ""


def judge_rights(one: AsteriskFacts) -> Iterator[Finding]:
    """Rights in one Asterisk that nobody needs."""
    ari = sections(one.config.get("ari.conf", ""))
    if ari.get("general", {}).get("allowed_origins", "").strip() == "*":
        yield ANY_ORIGIN.found(f"{one.name}: ari.conf allows every origin")
    others = [
        name
        for name, values in ari.items()
        if values.get("type") == "user"
        and name not in (one.user, f"{one.user}-monitor")
        and not is_yes(values.get("read_only", "no"))
    ]
    if others:
        yield OTHER_WRITERS.found(f"{one.name}: {', '.join(others)} may give orders by ARI")
    if one.monitor_writes:
        yield MONITOR_WRITES.found(f"{one.name}: {one.user}-monitor may give orders")
    options = sections(one.config.get("asterisk.conf", "")).get("options", {})
    if is_yes(options.get("live_dangerously", "no")):
        yield DANGEROUS.found(f"{one.name}: live_dangerously = {options['live_dangerously']}")
    if ANYBODY in one.endpoints:
        yield ANONYMOUS.found(f"{one.name} has the endpoint anonymous")
