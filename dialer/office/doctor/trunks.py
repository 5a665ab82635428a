"""Trunks: their hosts are found and answer, registrations hold, certificates last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dialer.core.values import Trunk
from dialer.office.doctor.facts import AsteriskFacts, FarEnd
from dialer.office.doctor.findings import Finding, fails, ok, skipped, warns
from dialer.pbx.trunks import endpoint_of
from dialer.store.trunks import StateNote

CERTIFICATE_DAYS = 7.0

NONE = warns("trunks.none", "No trunk is applied: nobody can be called", "dialer trunk apply")
UNKNOWN_HOST = fails(
    "trunks.unknown_host", "A trunk's host is not found by its name", "correct the host, or the resolver"
)
UNREACHABLE = fails(
    "trunks.unreachable", "A trunk does not answer OPTIONS", "check host, port, transport and firewall"
)
REFUSED = fails(
    "trunks.registration_refused",
    "The carrier refuses our registration",
    "check the trunk's username, and its password in secrets.toml; ask the carrier",
)
UNREGISTERED = warns(
    "trunks.unregistered",
    "A trunk that should register is not registered: calls in do not come, and often none goes out",
    "see Asterisk's log; check host, port and firewall",
)
RESTING = warns(
    "trunks.out_of_rotation",
    "The engine has taken a trunk out of rotation, for it did not carry its calls",
    "dialer trunk show tells the causes; it comes back by itself when a probing call is carried",
)
EXPIRED = fails(
    "trunks.certificate_expired", "The certificate of a trunk's host has expired", "ask the carrier"
)
EXPIRES = warns(
    "trunks.certificate_expires",
    "The certificate of a trunk's host expires within a week",
    "ask the carrier",
)


def judge(
    trunks: Iterable[Trunk],
    far_ends: Mapping[str, Iterable[FarEnd]],
    asterisks: Iterable[AsteriskFacts],
    now: float,
) -> Iterator[Finding]:
    """What there is to say of each."""
    applied = list(trunks)
    if not applied:
        yield NONE.found("no trunk is applied: nobody can be called")
    for trunk in applied:
        having = [
            one for one in asterisks if one.is_well and (not trunk.servers or one.server in trunk.servers)
        ]
        ends = list(far_ends.get(trunk.id, ()))
        yield from _reached(trunk, ends, having)
        yield from _registered(trunk, ends, having)
        yield from _certificates(trunk, ends, now)


def judge_rotation(noted: Mapping[str, Mapping[str, StateNote]]) -> Iterator[Finding]:
    """What the running engine has noted of trunks. *noted*: by trunk and server."""
    for trunk, servers in noted.items():
        for server, note in servers.items():
            if note.state in ("resting", "probing"):
                where = f" on {server}" if server else ""
                yield RESTING.found(f"trunk {trunk} is {note.state}{where}: {note.why}")


def _reached(trunk: Trunk, ends: list[FarEnd], having: list[AsteriskFacts]) -> Iterator[Finding]:
    for far in ends:
        if not far.address:
            yield UNKNOWN_HOST.found(f"trunk {trunk.id}: {far.host} is not found: {far.failure}")
    name = endpoint_of(trunk.id)
    states = {one.name: one.states.get(name, "") for one in having}
    offline = [where for where, state in states.items() if state == "offline"]
    if states and trunk.options_interval_s and not offline and set(states.values()) == {"online"}:
        yield ok("trunks", f"trunk {trunk.id} is online, says {' and '.join(states)}")
        return
    said = f", and {' and '.join(offline)} says offline" if offline else ""
    for far in ends:
        where = f"{far.host}:{trunk.port}/{trunk.transport}"
        if far.status:
            if offline:
                yield UNREACHABLE.found(
                    f"trunk {trunk.id} answers our OPTIONS with {far.status} ({where}){said}",
                    "check the trunk's transport and the address that Asterisk sends from",
                )
            else:
                yield ok("trunks", f"trunk {trunk.id} answers OPTIONS with {far.status} ({where})")
        elif far.address and far.status == 0:
            yield UNREACHABLE.found(
                f"trunk {trunk.id} does not answer OPTIONS ({where}): {far.failure}{said}"
            )


def _registered(trunk: Trunk, ends: list[FarEnd], having: list[AsteriskFacts]) -> Iterator[Finding]:
    """Asterisk says *rejected* also of a carrier who does not answer at all."""
    if not trunk.register:
        return
    for one in having:
        answers = one.states.get(endpoint_of(trunk.id)) == "online" or any(far.status for far in ends)
        match one.registrations.get(trunk.id, "unknown"):
            case "rejected" if answers:
                yield REFUSED.found(f"trunk {trunk.id}: the carrier refuses the registration of {one.name}")
            case "unregistered" | "rejected":
                yield UNREGISTERED.found(f"trunk {trunk.id} is not registered ({one.name})")
            case "registered":
                yield ok("trunks", f"trunk {trunk.id} is registered ({one.name})")
            case _:
                yield skipped("trunks", f"trunk {trunk.id}: {one.name} does not say whether it is registered")


def _certificates(trunk: Trunk, ends: list[FarEnd], now: float) -> Iterator[Finding]:
    for far in ends:
        if far.certificate_ends_at is None:
            continue
        days = (far.certificate_ends_at - now) / 86_400
        if days <= 0:
            yield EXPIRED.found(
                f"trunk {trunk.id}: the certificate of {far.host} expired {-days:.0f} days ago"
            )
        elif days < CERTIFICATE_DAYS:
            yield EXPIRES.found(f"trunk {trunk.id}: the certificate of {far.host} expires in {days:.1f} days")
