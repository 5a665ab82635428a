"""Trunks in the journal: what is in force, who uses it, and how each fared.

1. A trunk that was removed keeps its row (calls refer to it) with ``removed_at``; nothing but the listing of the past sees it.
2. How a trunk fared is read by the index ``attempts_of_trunk`` and so costs what its calls in the period cost.
3. A *seizure* is a call that the trunk was asked to carry, the ones that then went on by another trunk among them; calls
   that were never sent (``failed``) are none. Answer-seizure ratio (ITU-T E.411): answered seizures among the ended ones.
   Post-dial delay (ITU-T E.721): from our originate to the first sign of ringing, or to the answer where there is none.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from dialer.core.destinations import trunk_ids
from dialer.core.ids import TrunkId
from dialer.core.quantile import quantile
from dialer.core.values import Campaign, Trunk
from dialer.store import holding, recall
from dialer.store.connect import transaction
from dialer.store.errors import Conflict, NotInStore

_encode = msgspec.json.Encoder().encode
_EVER = 1e12


class StoredTrunk(msgspec.Struct, frozen=True, kw_only=True):
    """A trunk in force. *disabled_at*: since when an engineer has it out of use."""

    trunk: Trunk
    applied_at: float
    disabled_at: float | None = None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that ended alike. *cause*: Q.850; *tech_cause*: the SIP status; 0: none was told."""

    result: str
    cause: int
    tech_cause: int
    count: int


class Fared(msgspec.Struct, frozen=True, kw_only=True):
    """How a trunk fared in a period. Shares are of 1, delays in seconds; None: nothing is known."""

    seizures: int = 0
    ended: int = 0
    answered: int = 0
    rerouted: int = 0
    came_in: int = 0
    pdd_p50_s: float | None = None
    pdd_p95_s: float | None = None
    causes: tuple[Cause, ...] = ()
    """Of those that nobody answered, the most frequent first."""

    @property
    def asr(self) -> float | None:
        """Answer-seizure ratio."""
        return self.answered / self.ended if self.ended else None


class StateNote(msgspec.Struct, frozen=True, kw_only=True):
    """A line of ``trunk_states``."""

    at: float
    server: str
    state: str
    why: str


def apply_trunks(connection: sqlite3.Connection, trunks: Sequence[Trunk], at: float) -> list[bool]:
    """Keep the settings of all, or of none; return of each whether they are new or changed.

    A trunk that was removed is in force again; a disabled one stays disabled. Raises JournalError.
    """
    changed = []
    with transaction(connection):
        for trunk in trunks:
            settings = _encode(trunk).decode()
            row = connection.execute(
                "SELECT settings, removed_at FROM trunks WHERE id = ?", (trunk.id,)
            ).fetchone()
            changed.append(row is None or row[0] != settings or row[1] is not None)
            if not changed[-1]:
                continue
            before = _trunk(row[0]) if row is not None and row[1] is None else None
            if before is None or (before.destinations, before.forbidden) != (
                trunk.destinations,
                trunk.forbidden,
            ):
                for campaign in users(
                    connection, trunk.id
                ):  # whom none of its trunks might call, this one may
                    holding.rules_changed(connection, campaign)
            connection.execute(
                "INSERT INTO trunks (id, host, settings, applied_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET host = excluded.host, settings = excluded.settings, applied_at = excluded.applied_at,"
                " removed_at = NULL",
                (trunk.id, trunk.host, settings, at),
            )
    return changed


def load_stored(connection: sqlite3.Connection) -> list[StoredTrunk]:
    """All trunks in force, by id."""
    rows = connection.execute(
        "SELECT settings, applied_at, disabled_at FROM trunks WHERE removed_at IS NULL ORDER BY id"
    )
    return [
        StoredTrunk(
            trunk=msgspec.json.decode(settings, type=Trunk), applied_at=applied_at, disabled_at=disabled_at
        )
        for settings, applied_at, disabled_at in rows
    ]


_KNOWN: dict[str, Trunk] = {}
_KNOWN_MOST = 1024


def _trunk(settings: str) -> Trunk:
    """The trunk in a row; one that was read before is the same object."""
    found = _KNOWN.get(settings)
    if found is None:
        if len(_KNOWN) >= _KNOWN_MOST:
            _KNOWN.clear()
        found = _KNOWN[settings] = msgspec.json.decode(settings, type=Trunk)
    return found


def trunks_of(connection: sqlite3.Connection, campaign: Campaign) -> list[Trunk]:
    """The campaign's trunks that are in force, disabled or not. Cheap enough for each call."""
    sql = "SELECT settings FROM trunks WHERE id = ? AND removed_at IS NULL"
    rows = (connection.execute(sql, (name,)).fetchone() for name in trunk_ids(campaign))
    return [_trunk(row[0]) for row in rows if row is not None]


def find_stored(connection: sqlite3.Connection, trunk: str) -> StoredTrunk:
    """One trunk in force. Raises NotInStore, which names those that are."""
    found = load_stored(connection)
    for one in found:
        if one.trunk.id == trunk:
            return one
    known = ", ".join(one.trunk.id for one in found) or "none"
    raise NotInStore(f"There is no trunk {trunk!r} in force (there are: {known}).")


def disabled(connection: sqlite3.Connection) -> list[TrunkId]:
    """The trunks that an engineer has out of use."""
    sql = "SELECT id FROM trunks WHERE disabled_at IS NOT NULL AND removed_at IS NULL ORDER BY id"
    return [TrunkId(row[0]) for row in connection.execute(sql)]


def set_disabled(connection: sqlite3.Connection, trunk: str, at: float | None) -> bool:
    """Take the trunk out of use at the instant *at*, or (None) into it again; whether that is new.

    Raises NotInStore or JournalError.
    """
    is_disabled = find_stored(connection, trunk).disabled_at is not None
    if is_disabled == (at is not None):
        return False
    with transaction(connection):
        connection.execute("UPDATE trunks SET disabled_at = ? WHERE id = ?", (at, trunk))
    return True


def users(connection: sqlite3.Connection, trunk: str) -> list[str]:
    """The campaigns that name the trunk, by id."""
    sql = (
        "SELECT id FROM campaigns WHERE trunk = :trunk OR EXISTS"
        " (SELECT 1 FROM json_each(campaigns.settings, '$.trunks') WHERE value = :trunk) ORDER BY id"
    )
    return [row[0] for row in connection.execute(sql, {"trunk": trunk})]


def live_calls(connection: sqlite3.Connection) -> dict[str, int]:
    """Calls that have not ended, by trunk, as the journal knows; and calls to third parties in them."""
    sql = (
        "SELECT trunk, count(*) FROM (SELECT trunk FROM attempts INDEXED BY attempts_open WHERE state <> 'ended'"
        " UNION ALL SELECT t.trunk FROM attempts a INDEXED BY attempts_open JOIN transfers t ON t.attempt = a.attempt"
        " WHERE a.state <> 'ended' AND t.trunk IS NOT NULL"
        " AND t.state IN ('calling', 'consulting', 'conference', 'handing', 'handed')) GROUP BY trunk"
    )
    return dict(connection.execute(sql).fetchall())


def remove_trunk(connection: sqlite3.Connection, trunk: str, at: float) -> None:
    """Take the trunk out of force; what is known of its calls stays.

    Raises NotInStore; Conflict: a campaign names it, or calls are on it; JournalError.
    """
    with transaction(connection):
        find_stored(connection, trunk)
        if named := users(connection, trunk):
            raise Conflict(
                f"The trunk {trunk!r} stays: {_campaigns(named)}. Give them another trunk first, or"
                f" `dialer trunk disable {trunk}`."
            )
        if live := live_calls(connection).get(trunk, 0):
            calls = "one call is" if live == 1 else f"{live} calls are"
            raise Conflict(
                f"The trunk {trunk!r} stays: {calls} on it. `dialer trunk disable {trunk}` keeps more"
                " from coming; then try again."
            )
        connection.execute("UPDATE trunks SET removed_at = ?, disabled_at = NULL WHERE id = ?", (at, trunk))


def _campaigns(named: Iterable[str]) -> str:
    ids = list(named)
    return f"the campaign {ids[0]} uses it" if len(ids) == 1 else f"the campaigns {', '.join(ids)} use it"


# -- how it fared -------------------------------------------------------------------------


def fared(connection: sqlite3.Connection, trunk: str, since: float, until: float = _EVER) -> Fared:
    """How the trunk fared with the calls that began in the period (rule 3)."""
    period = {"trunk": trunk, "since": since, "until": until}
    seizures, ended, answered, rerouted, came_in = connection.execute(
        "SELECT count(*) FILTER (WHERE direction = 'out'),"
        " count(*) FILTER (WHERE direction = 'out' AND state = 'ended'),"
        " count(*) FILTER (WHERE direction = 'out' AND state = 'ended' AND answered_at IS NOT NULL),"
        " count(*) FILTER (WHERE result = 'rerouted'),"
        " count(*) FILTER (WHERE direction = 'in')"
        f" FROM attempts INDEXED BY attempts_of_trunk WHERE {_SEIZED}",
        period,
    ).fetchone()
    delays = [row[0] for row in connection.execute(_DELAYS, period)]
    causes = tuple(
        Cause(result=result, cause=cause, tech_cause=status, count=count)
        for result, cause, status, count in connection.execute(_CAUSES, period)
    )
    return Fared(
        seizures=seizures,
        ended=ended,
        answered=answered,
        rerouted=rerouted,
        came_in=came_in,
        pdd_p50_s=quantile(delays, 0.50) if delays else None,
        pdd_p95_s=quantile(delays, 0.95) if delays else None,
        causes=causes,
    )


_SEIZED = (
    "trunk = :trunk AND created_at >= :since AND created_at < :until"
    " AND (direction = 'in' OR result IS NULL OR result <> 'failed' OR tech_cause IS NOT NULL)"
)
_DELAYS = (
    "SELECT min(coalesce(rang_at, answered_at), coalesce(answered_at, rang_at)) - created_at AS delay_s"
    f" FROM attempts INDEXED BY attempts_of_trunk WHERE {_SEIZED} AND direction = 'out'"
    " AND coalesce(rang_at, answered_at) IS NOT NULL"
)
_CAUSES = (
    "SELECT result, coalesce(cause, 0), coalesce(tech_cause, 0), count(*) AS counted"
    f" FROM attempts INDEXED BY attempts_of_trunk WHERE {_SEIZED} AND direction = 'out' AND state = 'ended'"
    " AND answered_at IS NULL GROUP BY 1, 2, 3 ORDER BY counted DESC, 1, 2, 3"
)


def states(connection: sqlite3.Connection, trunk: str, limit: int = 5) -> list[StateNote]:
    """The latest changes of the trunk's rotation, the newest first."""
    rows = connection.execute(
        "SELECT at, server, state, why FROM trunk_states INDEXED BY trunk_states_by_time WHERE trunk = ?"
        " ORDER BY at DESC, id DESC LIMIT ?",
        (trunk, limit),
    )
    return [StateNote(at=at, server=server, state=state, why=why) for at, server, state, why in rows]


def present_states(connection: sqlite3.Connection) -> dict[str, dict[str, StateNote]]:
    """The last noted state of each trunk in force, by trunk and server (empty: everywhere)."""
    trunks = connection.execute("SELECT id FROM trunks WHERE removed_at IS NULL")
    return {
        trunk: {
            server: StateNote(at=at, server=server, state=state, why=why)
            for server, (_, at, state, why, *_) in recall.present_rows(connection, trunk)
        }
        for (trunk,) in trunks.fetchall()
    }
