"""Finds what is wrong with a home folder and its surroundings, and says the mend.

1. First everything is looked at (:mod:`.machine`, :mod:`.asking`), then it is judged, subject by subject: what is seen are
   plain values (:mod:`.facts`), so each fault can be planted.
2. Every fault is declared with its mend (:mod:`.findings`); ``docs/doctor.md`` is the table of them (:mod:`.table`), and each has a
   test that plants it.
3. Nothing is changed. A check that breaks is itself a finding: nothing stops the others.
4. Every wait is bounded: a doctor that hangs helps nobody.
5. The worst finding is the exit status, for monitoring: 0 ok, 1 warning, 2 failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from dialer.core.deskphone import DeskPhone
from dialer.core.values import Trunk
from dialer.office.doctor import (
    asking,
    asterisk,
    engine,
    home,
    machine,
    recordings,
    redis,
    security,
    trunks,
    voice,
)
from dialer.office.doctor.facts import AsteriskFacts, FarEnd, MachineFacts
from dialer.office.doctor.findings import FAULTS, Fault, Finding, exit_status, fails, rows
from dialer.pbx.trunks import endpoint_of
from dialer.store import files
from dialer.store.claims import is_claimed
from dialer.store.connect import open_reader
from dialer.store.deskphones import load_phones
from dialer.store.errors import StoreError
from dialer.store.files import Secrets, SystemSettings
from dialer.store.trunks import load_stored, present_states

__all__ = ["FAULTS", "Fault", "Finding", "examine", "exit_status", "rows"]

BROKEN = fails(
    "doctor.broke",
    "A check broke, so its subject was not looked at",
    "mend what is said above, then ask again",
)


def examine(folder: Path) -> list[Finding]:
    """All checks, in an order in which a later one may hang on an earlier one's mend."""
    found = list(_guarded(home.check_files, folder))
    found += _guarded(home.check_secrets, folder)
    found += _guarded(home.check_journal, folder)
    found += _guarded(recordings.check_journal, folder)
    found += _guarded(home.check_certificate, folder, time.time())
    lock = folder / "run" / "engine.lock"
    pid = engine.process_of(folder) if is_claimed(lock) else None
    here = machine.look(engine=pid)
    found += _guarded(machine.judge, here)
    try:
        system = files.load_system(folder)
        secrets = files.load_secrets(folder)
    except files.BadFile:
        return found  # said above; without settings there is nothing more to look at
    found += _guarded(recordings.check_folder, system.recordings_folder)
    found += _guarded(redis.check, system, secrets.redis)
    found += _guarded(_surroundings, system, secrets, here)
    if pid is not None:
        found += _guarded(_rotation, system)
    found += _guarded(engine.check, folder, system.metrics)
    return found


def _surroundings(system: SystemSettings, secrets: Secrets, here: MachineFacts) -> Iterator[Finding]:
    """What has to do with Asterisk: it is asked once, and everybody judges."""
    applied, phones = _applied(system)
    extensions = [one.extension for one in phones if not one.is_outside and secrets.phone(one.extension)]
    servers = asking.asterisks(system, secrets, applied, extensions)
    online = {
        trunk.id
        for trunk in applied
        if trunk.options_interval_s
        and any(one.states.get(endpoint_of(trunk.id)) == "online" for one in servers)
    }
    far = asking.far_ends(applied, online)
    registered = {name for name in extensions if any(one.states.get(name) == "online" for one in servers)}
    for one in servers:
        yield from _of_server(one, system, applied, phones, extensions, far, registered)
    yield from _guarded(trunks.judge, applied, far, servers, time.time())
    yield from _guarded(security.judge_ports, here, system, servers)
    usernames = {trunk.id: trunk.username for trunk in applied}
    yield from _guarded(security.judge_passwords, secrets, usernames)


def _of_server(
    one: AsteriskFacts,
    system: SystemSettings,
    applied: list[Trunk],
    phones: list[DeskPhone],
    extensions: list[str],
    far: dict[str, list[FarEnd]],
    registered: set[str],
) -> Iterator[Finding]:
    serving = [trunk for trunk in applied if not trunk.servers or one.server in trunk.servers]
    codecs = {endpoint_of(trunk.id): trunk.codecs for trunk in serving} | {
        phone.extension: phone.codecs for phone in phones
    }
    endpoints = [*(endpoint_of(trunk.id) for trunk in serving), *extensions]
    yield from _guarded(asterisk.judge, one, endpoints=endpoints, codecs=codecs)
    settings = system.servers[one.server]
    calls = voice.calls_wanted(applied, settings, one.server)
    yield from _guarded(voice.judge_ports, one, settings, calls)
    yield from _guarded(security.judge_rights, one)
    if not one.is_well:
        return
    yield from _guarded(machine.judge_asterisk, one, calls)
    yield from _guarded(recordings.judge_asterisk, one, system.recordings_folder)
    yield from _guarded(voice.judge, one, serving, extensions, far, registered)


def _rotation(system: SystemSettings) -> Iterator[Finding]:
    with closing(open_reader(system.journal)) as connection:
        in_use = {one.trunk.id for one in load_stored(connection) if one.disabled_at is None}
        noted = present_states(connection)
    yield from trunks.judge_rotation({name: noted[name] for name in noted if name in in_use})


def _applied(system: SystemSettings) -> tuple[list[Trunk], list[DeskPhone]]:
    """Trunks that are in force and in use, and phones; none, where the journal cannot be read (said elsewhere)."""
    try:
        with closing(open_reader(system.journal)) as connection:
            stored = [one.trunk for one in load_stored(connection) if one.disabled_at is None]
            return stored, load_phones(connection)
    except (StoreError, OSError):
        return [], []


def _guarded(check: Callable[..., Iterator[Finding]], *args: Any, **named: Any) -> list[Finding]:
    found: list[Finding] = []
    try:
        for one in check(*args, **named):
            found.append(one)  # noqa: PERF402 - what was found before it broke is kept
    except Exception as error:  # rule 3
        found.append(
            BROKEN.found(f"{check.__module__.rpartition('.')[2]}: {str(error) or type(error).__name__}")
        )
    return found
