"""``dialer trunk list`` and ``dialer trunk show``: what is in force, how it stands, and how it fared. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from dialer.office import remote
from dialer.office.trunkcheck import Found, standings
from dialer.pbx.checks import BadSetting
from dialer.pbx.sipwords import cause, status
from dialer.store import documents, files
from dialer.store import trunks as stored
from dialer.store.connect import open_reader
from dialer.store.trunkfile import trunk_document
from dialer.store.trunks import Fared, StateNote, StoredTrunk

CAUSES_SHOWN = 12


def rows(home: Path, since: float) -> list[dict[str, Any]]:
    """The trunks in force for a listing; figures of the calls since then."""
    system = files.load_system(home)
    is_engine = _is_engine(home)
    with closing(open_reader(system.journal)) as connection:
        everything = stored.load_stored(connection)
        live, notes = stored.live_calls(connection), stored.present_states(connection)
        figures = {one.trunk.id: stored.fared(connection, one.trunk.id, since) for one in everything}
    found = []
    for one in everything:
        trunk, fared = one.trunk, figures[one.trunk.id]
        found.append(
            {
                "id": trunk.id,
                "state": _state(one, notes.get(trunk.id, {}), is_engine),
                "host": trunk.host,
                "sip": f"{trunk.port}/{trunk.transport}",
                "kind": _kind(one),
                "priority": trunk.priority,
                "weight": trunk.weight,
                "calls": f"{live.get(trunk.id, 0)}/{trunk.channels_max}",
                "calls_per_second_max": trunk.calls_per_second_max,
                "seizures": fared.seizures,
                "asr": _share(fared.asr),
                "pdd_p50_s": _rounded(fared.pdd_p50_s),
                "pdd_p95_s": _rounded(fared.pdd_p95_s),
                "rerouted": fared.rerouted,
            }
        )
    return found


def describe(home: Path, name: str, since: float, until: float | None = None) -> str:
    """All that is known of one trunk. Raises StoreError, BadFile."""
    system = files.load_system(home)
    is_engine = _is_engine(home)
    with closing(open_reader(system.journal)) as connection:
        one = stored.find_stored(connection, name)
        notes = stored.states(connection, name)
        present = stored.present_states(connection).get(name, {})
        live = stored.live_calls(connection).get(name, 0)
        campaigns = stored.users(connection, name)
        fared = stored.fared(connection, name, since, until if until is not None else time.time() + 1)
    lines = [documents.dump(trunk_document(one.trunk)).rstrip(), ""]
    lines.append(f"Applied {_when(one.applied_at)}. Used by: {', '.join(campaigns) or 'no campaign'}.")
    lines.append(
        f"Rotation: {_state(one, present, is_engine)}. Calls now: {live} of {one.trunk.channels_max}."
    )
    lines += [
        f"  {_when(note.at)}  {note.state}{f' on {note.server}' if note.server else ''}: {note.why}"
        for note in notes
    ]
    lines += _servers(home, name)
    lines += ["", f"Since {_when(since)}:", *_fared(fared)]
    return "\n".join(lines)


def _servers(home: Path, name: str) -> list[str]:
    try:
        found: list[Found] = standings(home, [name])
    except BadSetting as error:
        return [f"Asterisk: {error}"]
    return [one.describe() for one in found] or ["Asterisk: none runs that could be asked."]


def _fared(fared: Fared) -> Iterator[str]:
    if not fared.seizures and not fared.came_in:
        yield "  no calls"
        return
    yield f"  {fared.seizures} calls, {fared.answered} answered, {fared.rerouted} went on by another trunk, {fared.came_in} came in"
    yield f"  answer-seizure ratio {_percent(fared.asr)}; post-dial delay p50 {_seconds(fared.pdd_p50_s)}, p95 {_seconds(fared.pdd_p95_s)}"
    for one in fared.causes[:CAUSES_SHOWN]:
        yield f"  {one.count:>7}  {one.result:<12} {status(one.tech_cause)}; {cause(one.cause)}"
    left = sum(one.count for one in fared.causes[CAUSES_SHOWN:])
    if left:
        yield f"  {left:>7}  of {len(fared.causes) - CAUSES_SHOWN} other kinds"


def _state(one: StoredTrunk, notes: dict[str, StateNote], is_engine: bool) -> str:
    """In rotation, or why not."""
    if one.disabled_at is not None:
        return "disabled"
    if not is_engine:
        return "no engine runs"
    bad = [note for note in notes.values() if note.state != "up"]
    if not bad:
        return "in rotation"
    worst: Sequence[str] = [
        f"{note.state}{f' on {note.server}' if note.server else ''} ({note.why})" for note in bad
    ]
    return "; ".join(worst)


def _kind(one: StoredTrunk) -> str:
    trunk = one.trunk
    words = ["registers" if trunk.register else "digest" if trunk.username else "address"]
    if trunk.srtp != "off":
        words.append(f"srtp {trunk.srtp}")
    if trunk.is_inbound:
        words.append("inbound")
    return ", ".join(words)


def _is_engine(home: Path) -> bool:
    try:
        remote.health(home)
    except remote.EngineError:
        return False
    return True


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _percent(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1%}"


def _seconds(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f} s"


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")
