"""``dialer journal replay``: the journal's events, played again through a new floor.

The floor is deterministic: the same events give the same orders. So what the journal notes can be checked
against itself:

1. After each event, the orders that are noted are those that it gives, in the same order. (A decision that
   had to be taken apart was written part by part: then the parts are compared.)
2. At the next start of an engine, and at the end, calls, operators and campaigns stand as the saves of the
   played decisions say; those of what was left out excepted.

A first difference ends it: from there on the two histories are different ones. It means that rows were
lost or changed, that a fault of ours made the floor read something else than its events, or that another
version decided otherwise, which is no fault; the start tells the version.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dialer import __version__
from dialer.core.commands import (
    AnyCommand,
    Command,
    SaveAgent,
    SaveCall,
    SaveCampaignState,
    SaveKnowledge,
    SaveLedger,
)
from dialer.core.events import EngineStarted, Event
from dialer.core.floor import Floor
from dialer.core.ids import AgentId, AttemptId, CampaignId
from dialer.core.pacing.ledger import DayCount
from dialer.core.placing import call_of, parts
from dialer.core.values import Agent, Call, CallState, CampaignState
from dialer.store import history, promises, settings
from dialer.store.connect import open_reader
from dialer.store.errors import NotInStore
from dialer.store.history import LeftOut, Row, noted
from dialer.store.rows import CALL_COLUMNS, call_from_row


class Difference(Exception):
    """The journal played again is not what it notes; the message says what differs first, and where."""


class Played(msgspec.Struct, kw_only=True):
    """What was played: *starts* of engines, *events*, and the orders (*commands*) that were the same.

    *unplayed*: events from before the first start that is kept. *versions*: of the engines.
    """

    starts: int = 0
    events: int = 0
    commands: int = 0
    left_out: int = 0
    unplayed: int = 0
    versions: set[str] = msgspec.field(default_factory=set)


class _Batch(msgspec.Struct):
    """Some events in a row, and the orders that are noted after them."""

    events: list[Row]
    orders: list[Row]


def replay(
    connection: sqlite3.Connection,
    *,
    since: float | None = None,
    until: float | None = None,
    is_all: bool = False,
) -> Played:
    """Play the journal from the last start of an engine on (the last before *since*; from the first: *is_all*).

    *until*: only what was noted before that instant; what the tables say is not compared then.

    Raises:
        Difference: the journal says something else.
        NotInStore: no start of an engine is kept, or none before *since*.
    """
    first = _first(connection, since, is_all=is_all)
    played = Played()
    if is_all:
        sql = "SELECT count(*) FROM events WHERE id < ? AND kind = 'event'"
        played.unplayed = connection.execute(sql, (first,)).fetchone()[0]
    with _snapshot(connection):
        player = _Player(played)
        try:
            for batch in _batches(history.read(connection, first, until)):
                player.play(batch)
            if until is None:
                player.compare_tables(connection)
        except Difference as difference:
            others = sorted(played.versions - {__version__})
            if not others:
                raise
            raise Difference(
                f"{difference} (Noted by version {', '.join(others)}, played by {__version__}:"
                " another version may decide otherwise.)"
            ) from None
    return played


def told(played: Played, path: Path) -> str:
    """What a person reads when everything was the same."""
    text = f"{path}: the same: {played.events} events, {played.commands} commands"
    text += f", {played.starts} start{'s' if played.starts != 1 else ''} of the engine"
    if played.left_out:
        text += f", {played.left_out} decisions left out"
    if played.unplayed:
        text += f". {played.unplayed} older events have no start any more and were not played"
    return text + "."


def replay_home(home: Path, *, since: float | None, until: float | None, is_all: bool) -> str:
    """:func:`replay` the journal of a home folder; what to print. Raises as it does, and StoreError."""
    from dialer.store.files import load_system

    path = load_system(home).journal
    with contextlib.closing(open_reader(path)) as connection:
        return told(replay(connection, since=since, until=until, is_all=is_all), path)


def _first(connection: sqlite3.Connection, since: float | None, *, is_all: bool) -> int:
    starts = history.starts(connection)
    if not starts:
        raise NotInStore("The journal keeps no start of an engine: there is nothing to begin with.")
    if is_all:
        return starts[0][0]
    before = [number for number, at in starts if since is None or at <= since]
    if not before:
        oldest = _when(starts[0][1])
        raise NotInStore(f"No start of an engine before that is kept; the oldest is of {oldest}.")
    return before[-1]


@contextlib.contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Inside, the tables and the events are of one instant, whatever an engine writes meanwhile."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _batches(rows: Iterable[Row]) -> Iterator[_Batch]:
    batch = _Batch([], [])
    for row in rows:
        is_event = isinstance(row.what, Event)
        if (is_event and batch.orders) or isinstance(row.what, EngineStarted):
            yield batch
            batch = _Batch([], [])
        (batch.events if is_event else batch.orders).append(row)
    yield batch


class _Player:
    """A floor that is told again what it was told, and what should have been saved by that."""

    def __init__(self, played: Played) -> None:
        self._played = played
        self._floor = Floor()
        self._calls: dict[AttemptId, Call] = {}
        self._agents: dict[AgentId, Agent] = {}
        self._states: dict[CampaignId, CampaignState] = {}
        self._counts: dict[tuple[CampaignId, int], DayCount] = {}
        self._knowledge: dict[str, str] = {}
        self._began_at = 0.0

    def play(self, batch: _Batch) -> None:
        if batch.events and isinstance(batch.events[0].what, EngineStarted):
            self._start(batch.events[0].what, batch.events[0].id)
        expected: list[AnyCommand] = []
        last: list[AnyCommand] = []
        for row in batch.events:
            assert isinstance(row.what, Event)
            try:
                last = self._floor.handle(row.what)
            except Exception as error:
                raise Difference(f"{_where(row)}: the floor fails at it: {error!r}.") from error
            expected += noted(last)
            self._save(last if row is not batch.events[-1] else _without_left_out(last, batch.orders))
        orders: list[AnyCommand] = []
        for row in batch.orders:
            if isinstance(row.what, LeftOut):
                self._played.left_out += 1
                orders += row.what.commands
            else:
                assert isinstance(row.what, Command)
                orders.append(row.what)
        if expected != orders:
            _compare(expected, orders, batch)
        self._played.events += len(batch.events)
        self._played.commands += len(orders)

    def _start(self, started: EngineStarted, number: int) -> None:
        if self._played.starts:
            live = {
                attempt: call for attempt, call in self._calls.items() if call.state is not CallState.ENDED
            }
            where = f"Row {number} ({_when(started.at)}), what the next engine found"
            _same(live, {call.attempt: call for call, _ in started.calls}, where)
            _same(self._agents, {agent.id: agent for agent in started.agents}, where, is_partial=True)
            _same(self._states, {one.id: state for one, state in started.campaigns}, where, is_partial=True)
            _same(self._counts, _by_day(started.ledgers), where, is_partial=True)
            _same(self._knowledge, dict(started.knowledge), where)
        else:
            self._began_at = started.at
        self._floor = Floor()
        self._floor.take_up(started)
        self._calls |= {call.attempt: call for call, _ in (*started.calls, *started.last)}
        self._agents = {agent.id: agent for agent in started.agents}
        self._states = {one.id: state for one, state in started.campaigns}
        self._counts |= _by_day(started.ledgers)
        self._knowledge = dict(started.knowledge)
        self._played.starts += 1
        self._played.versions.add(started.version)

    def _save(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case SaveCall(call=call):
                    self._calls[call.attempt] = call
                case SaveAgent(agent=agent):
                    self._agents[agent.id] = agent
                case SaveCampaignState(campaign=campaign, state=state):
                    self._states[campaign] = state
                case SaveLedger(campaign=campaign, count=count):
                    self._counts[campaign, count.day] = count
                case SaveKnowledge(name=name, content=content):
                    self._knowledge[name] = content

    def compare_tables(self, connection: sqlite3.Connection) -> None:
        """Raises Difference: a table holds something else than what was decided."""
        sql = f"SELECT {CALL_COLUMNS} FROM attempts WHERE created_at >= ? OR attempt = ?"  # noqa: S608
        rows = connection.execute(sql, (self._began_at, "")).fetchall()
        calls = {call.attempt: call for call in map(call_from_row, rows)}
        older = [attempt for attempt in self._calls if attempt not in calls]
        for attempt in older:
            row = connection.execute(sql, (1e300, attempt)).fetchone()
            if row is not None:
                calls[attempt] = call_from_row(row)
        _same(self._calls, calls, "The table attempts")
        agents = {one.agent.id: one.agent for one in settings.load_agents(connection)}
        _same(self._agents, agents, "The table agents", is_partial=True)
        states = {one.campaign.id: one.state for one in settings.load_campaigns(connection)}
        _same(self._states, states, "The table campaigns", is_partial=True)
        _same(self._counts, _by_day(promises.ledgers(connection)), "The table abandonment", is_partial=True)
        _same(self._knowledge, dict(promises.knowledge(connection)), "The table knowledge")


def _without_left_out(commands: list[AnyCommand], orders: list[Row]) -> list[AnyCommand]:
    """The commands of the last event of a batch, without those that the journal refused."""
    left_out = [row.what for row in orders if isinstance(row.what, LeftOut)]
    if not left_out:
        return commands
    attempts = {one.attempt for one in left_out}
    return [] if None in attempts else [one for one in commands if call_of(one) not in attempts]


def _compare(expected: list[AnyCommand], orders: list[AnyCommand], batch: _Batch) -> None:
    """Raises Difference, unless the orders were only written part by part."""
    if _apart(expected) == _apart(orders):
        return
    place = next(
        (place for place, (one, other) in enumerate(zip(expected, orders, strict=False)) if one != other),
        min(len(expected), len(orders)),
    )
    noted_one = _told(orders[place]) if place < len(orders) else "nothing more"
    played_one = _told(expected[place]) if place < len(expected) else "nothing more"
    events = ", ".join(f"{type(row.what).__name__}" for row in batch.events[-3:])
    where = _where(batch.events[-1]) if batch.events else f"Row {batch.orders[0].id}"
    raise Difference(
        f"{where}: after {events or 'no event'} the journal notes {noted_one}; played again it is {played_one}."
    )


def _by_day(
    ledgers: Iterable[tuple[CampaignId, tuple[DayCount, ...]]],
) -> dict[tuple[CampaignId, int], DayCount]:
    return {(campaign, count.day): count for campaign, counts in ledgers for count in counts}


def _apart(commands: list[AnyCommand]) -> list[list[AnyCommand]]:
    first, placed = parts(commands)
    return [first, *placed.values()]


def _same(played: dict, found: dict, where: str, *, is_partial: bool = False) -> None:  # type: ignore[type-arg]
    """*is_partial*: only what both have is compared, for people add and remove besides."""
    keys = played.keys() & found.keys() if is_partial else played.keys() | found.keys()
    for key in sorted(keys):
        if played.get(key) != found.get(key):
            raise Difference(f"{where}: {key} is {_brief(found.get(key), played.get(key))}.")


def _brief(found: object, played: object) -> str:
    """Both sides of a difference, in the fields that differ."""
    if isinstance(found, msgspec.Struct) and isinstance(played, msgspec.Struct):
        fields = [name for name in found.__struct_fields__ if getattr(found, name) != getattr(played, name)]
        texts = [f"{name} {getattr(found, name)!r}, played {getattr(played, name)!r}" for name in fields]
        return "; ".join(texts)
    if found is None:
        return "missing, and was saved"
    if played is None:
        return "there, and was never saved"
    return f"{found!r}, played {played!r}"


def _told(command: AnyCommand) -> str:
    return msgspec.json.encode(command).decode()


def _where(row: Row) -> str:
    assert isinstance(row.what, Event)
    return f"Row {row.id} ({_when(row.what.at)})"


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
