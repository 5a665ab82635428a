"""What a decision leaves behind: its events, and its ``Save...`` commands, as rows.

Runs inside the caller's transaction. Everything here may be done twice without harm: the second
time leaves what the first time left. An attempt that is new is saved only if the guard
(:mod:`dialer.store.guard`) allows it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence

import msgspec

from dialer.core.commands import (
    SAVE_TYPES,
    Command,
    SaveAgent,
    SaveCall,
    SaveCallback,
    SaveCampaignState,
    SaveDoNotCall,
    SaveKnowledge,
    SaveLead,
    SaveLedger,
    SaveLeft,
    SavePacing,
    SavePhone,
    SaveTransfer,
    SaveTrunkState,
)
from dialer.core.events import Event, RecordingMissing, RecordingStored
from dialer.core.ids import AttemptId
from dialer.core.values import FOREVER, UNPLACED_RESULTS, Agent, Call, CallState, Result
from dialer.store import dnc, holding, promises
from dialer.store.errors import CallForbidden, JournalError, JournalRefused, StoreError
from dialer.store.guard import Guard
from dialer.store.history import LeftOut, in_short
from dialer.store.rows import (
    INSERT_CALL,
    SELECT_CALL,
    UPDATE_AGENT,
    UPSERT_TRANSFER,
    agent_to_row,
    call_to_row,
    transfer_to_row,
    update_call,
)
from dialer.store.schema import LIST_REMOVED, PRIORITY_AGAIN, PRIORITY_PROMISED

CALLBACK = "callback"
"""Why a lead is due that was promised a call (``lead_states.why``)."""

_encode = msgspec.json.Encoder().encode

_SAVE_LEAD = f"""
UPDATE leads SET
    ordinal = max(ordinal, :ordinal),
    due = iif(gone, NULL, :due),
    next_phone = :next_phone,
    finished = iif(gone, '{LIST_REMOVED}', :finished),
    priority = iif(:is_promised, {PRIORITY_PROMISED}, {PRIORITY_AGAIN}),
    owner = :owner,
    owned_until = iif(:owner IS NULL, NULL, :owned_until),
    held = NULL,
    held_due = NULL,
    held_version = NULL
FROM (
    SELECT :due IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM campaign_lists JOIN contacts ON contacts.list = campaign_lists.list
        WHERE campaign_lists.campaign = lead.campaign AND contacts.id = lead.contact
    ) AS gone
    FROM leads AS lead WHERE lead.id = :lead
)
WHERE id = :lead AND (ordinal <= :ordinal OR :is_call_in) AND NOT (finished IS NOT NULL AND :why = '{Result.FAILED}')
"""  # noqa: S608 - constants of ours
"""What became of a lead, with three guards: a save that is older than what the row says changes nothing;
nobody is to be dialed again whose list was taken out of the campaign meanwhile; and a call that was never
placed does not take up a lead that is finished (that may be why it was not placed)."""

_SAVE_CALLBACK = f"""
UPDATE leads SET
    due = :due,
    finished = NULL,
    priority = {PRIORITY_PROMISED},
    owner = :owner,
    owned_until = iif(:owner IS NULL, NULL, {FOREVER}),
    held = NULL,
    held_due = NULL,
    held_version = NULL
WHERE id = :lead AND finished IS NOT '{LIST_REMOVED}'
"""  # noqa: S608 - constants of ours


_SAVE_TRUNK_STATE = """
INSERT INTO trunk_states (trunk, server, at, state, why, rests, rest_until, probe)
SELECT :trunk, :server, :at, :state, :why, :rests, :rest_until, :probe
WHERE NOT EXISTS (SELECT 1 FROM trunk_states WHERE trunk = :trunk AND at = :at AND server = :server AND state = :state
AND rests = :rests AND rest_until IS :rest_until AND probe IS :probe)
"""

Notes = Sequence[tuple[float, Event | Command]]
"""Events and orders as they are noted, one after the other, each with its instant."""


def write(
    connection: sqlite3.Connection,
    events: Sequence[Event],
    commands: Sequence[Command],
    guard: Guard,
    notes: Notes | None = None,
) -> None:
    """Write *events* and *commands* (those that are no ``Save...`` are only noted).

    *notes*: the same in the order in which they are to be noted; else events come first.

    ``Save...`` commands are not noted in ``events`` besides: they follow from the events by
    replay (:mod:`dialer.store.history`), and the tables hold what they say.

    Raises:
        CallForbidden: calls among *commands* must not be placed.
        JournalRefused: something that is named is not there.
    """
    if notes is None:
        at = events[0].at if events else time.time()
        notes = [*((event.at, event) for event in events), *((at, command) for command in commands)]
    _note(connection, notes)
    for command in commands:  # before the calls, which must not be placed against it
        if isinstance(command, SaveDoNotCall):
            _save_do_not_call(connection, command)
    _save_calls(connection, commands, guard)
    for command in commands:
        match command:
            case SaveLead():
                _save_lead(connection, command)
            case SaveCallback():
                _save_callback(connection, command)
            case SavePhone():
                _save_phone(connection, command, events[0].at if events else 0.0)
            case SaveAgent():
                _save_agent(connection, command.agent)
            case SaveCampaignState():
                _save_campaign_state(connection, command)
            case SaveLedger() | SaveKnowledge() | SavePacing():
                promises.save(connection, command)
            case SaveTransfer(transfer=transfer):
                connection.execute(UPSERT_TRANSFER, transfer_to_row(transfer))
            case SaveTrunkState():
                connection.execute(_SAVE_TRUNK_STATE, msgspec.structs.asdict(command))
            case SaveLeft():
                _save_left(connection, command)
            case _:
                pass
    for event in events:
        if isinstance(event, RecordingStored | RecordingMissing):
            _save_recording(connection, event)


def _note(connection: sqlite3.Connection, notes: Notes) -> None:
    rows = [
        (at, "event", type(what).__name__, _encode(in_short(what)).decode())
        if isinstance(what, Event)
        else (at, "command", type(what).__name__, _encode(what).decode())
        for at, what in notes
        if type(what) not in SAVE_TYPES
    ]
    if rows:
        connection.executemany("INSERT INTO events (at, kind, name, body) VALUES (?, ?, ?, ?)", rows)


def note_left_out(connection: sqlite3.Connection, event: Event | None, left_out: LeftOut) -> None:
    """Note what was decided and could not be saved, so that the journal can be played again.

    *event*: what led to it, if that is not noted yet. Part of the caller's transaction.
    """
    if event is not None:
        _note(connection, [(event.at, event)])
    connection.execute(
        "INSERT INTO events (at, kind, name, body) VALUES (?, 'left_out', ?, ?)",
        (left_out.at, left_out.attempt or "", _encode(left_out).decode()),
    )


def _save_calls(connection: sqlite3.Connection, commands: Iterable[Command], guard: Guard) -> None:
    # Of several saves of one attempt in one transaction only the last leaves a trace. The order
    # of first appearance stays: an attempt that failed frees its ordinal for the one after it.
    last: dict[AttemptId, Call] = {}
    for command in commands:
        if isinstance(command, SaveCall):
            last[command.call.attempt] = command.call
    forbidden: dict[AttemptId, str] = {}
    for call in last.values():
        before = connection.execute(SELECT_CALL, (call.attempt,)).fetchone()
        if before is None and call.state is not CallState.ENDED and call.direction == "out":
            # One after the other: what is saved of the first counts for the second.
            rule = guard.forbids(connection, call)
            if rule is not None:
                forbidden[call.attempt] = rule
                continue
        row = call_to_row(call)
        if before is None:
            connection.execute(INSERT_CALL, row)
        elif (update := update_call(before, row)) is not None:
            connection.execute(*update)
        if call.result in UNPLACED_RESULTS:  # while it was live, caps counted it
            holding.let_number_loose(connection, call.number, "", call.ended_at or call.created_at)
    if forbidden:
        raise CallForbidden(forbidden)


def _save_do_not_call(connection: sqlite3.Connection, save: SaveDoNotCall) -> None:
    try:
        dnc.add_here(connection, [save.number], campaign=save.campaign, source=save.source, at=save.at)
    except JournalError:
        raise
    except StoreError as error:
        raise JournalRefused(str(error)) from error


def _save_callback(connection: sqlite3.Connection, save: SaveCallback) -> None:
    if not connection.execute(_SAVE_CALLBACK, msgspec.structs.asdict(save)).rowcount:
        raise JournalRefused(f"There is no lead {save.lead} to call back, or its list is called no more.")
    holding.note(connection, [save.lead], save.at, CALLBACK)


def _save_lead(connection: sqlite3.Connection, save: SaveLead) -> None:
    found = connection.execute(_SAVE_LEAD, msgspec.structs.asdict(save))
    if found.rowcount:
        holding.note(connection, [save.lead], save.at, save.why or save.finished or "")
    elif connection.execute("SELECT 1 FROM leads WHERE id = ?", (save.lead,)).fetchone() is None:
        raise JournalRefused(f"There is no lead {save.lead} to save.")
    if save.bad_phone is not None:
        connection.execute("UPDATE phones SET is_bad = 1 WHERE id = ?", (save.bad_phone,))


def _save_phone(connection: sqlite3.Connection, save: SavePhone, at: float) -> None:
    # The attempts of the phone's contact are found by an index; those of a phone would not be.
    done = connection.execute(
        "UPDATE phones SET is_bad = :is_bad WHERE id = :phone AND (:is_bad OR NOT EXISTS ("
        " SELECT 1 FROM attempts WHERE attempts.contact = phones.contact AND attempts.phone = phones.id"
        " AND attempts.result = 'invalid'))",
        {"phone": save.phone, "is_bad": int(save.is_bad)},
    )
    if done.rowcount and not save.is_bad:
        holding.let_phone_loose(connection, save.phone, at)


def _save_agent(connection: sqlite3.Connection, agent: Agent) -> None:
    if not connection.execute(UPDATE_AGENT, agent_to_row(agent)).rowcount:
        raise JournalRefused(f"There is no agent {agent.id!r} to save.")
    present = connection.execute(
        "SELECT id, state, reason, began_at FROM agent_states WHERE agent = ? AND ended_at IS NULL",
        (agent.id,),
    ).fetchone()
    if present is not None:
        number, state, reason, began_at = present
        if (state, reason, began_at) == (agent.state, agent.reason, agent.since):
            return
        if agent.since < began_at:
            return  # an old save written again: the history knows better
        connection.execute("UPDATE agent_states SET ended_at = ? WHERE id = ?", (agent.since, number))
    # No state begins before the one that is kept as present, so a later one is none that is kept already.
    is_later = present is not None and agent.since > present[3]
    again = "UPDATE agent_states SET ended_at = NULL WHERE agent = ? AND began_at = ? AND state = ? AND reason = ?"
    if is_later or not connection.execute(again, (agent.id, agent.since, agent.state, agent.reason)).rowcount:
        connection.execute(
            "INSERT INTO agent_states (agent, state, reason, attempt, began_at) VALUES (?, ?, ?, ?, ?)",
            (agent.id, agent.state, agent.reason, agent.attempt, agent.since),
        )


def _save_campaign_state(connection: sqlite3.Connection, save: SaveCampaignState) -> None:
    row = connection.execute(
        "SELECT state, state_at FROM campaigns WHERE id = ?", (save.campaign,)
    ).fetchone()
    if row is None:
        raise JournalRefused(f"There is no campaign {save.campaign!r} to save.")
    if row == (save.state, save.at):
        return
    connection.execute(
        "UPDATE campaigns SET state = ?, state_at = ? WHERE id = ?", (save.state, save.at, save.campaign)
    )
    connection.execute(
        "INSERT INTO campaign_states (campaign, state, at) SELECT :campaign, :state, :at WHERE NOT EXISTS"
        " (SELECT 1 FROM campaign_states WHERE campaign = :campaign AND at = :at AND state = :state)",
        {"campaign": save.campaign, "state": save.state, "at": save.at},
    )


def _save_left(connection: sqlite3.Connection, save: SaveLeft) -> None:
    connection.execute("DELETE FROM left_channels WHERE server = ?", (save.server,))
    connection.executemany(
        "INSERT INTO left_channels (server, channel) VALUES (?, ?)",
        [(save.server, one) for one in save.channels],
    )


def _save_recording(connection: sqlite3.Connection, event: RecordingStored | RecordingMissing) -> None:
    # A file whose attempt the journal does not know must not hold up a decision: the event is
    # noted, and the row is left out. What is stored is never replaced by "missing".
    if isinstance(event, RecordingStored):
        connection.execute(
            "INSERT INTO recordings (attempt, path, started_at, length_s, size_bytes, sha256, missing, noted_at)"
            " SELECT :attempt, :path, :started_at, :length_s, :size_bytes, :sha256, NULL, :at"
            " WHERE EXISTS (SELECT 1 FROM attempts WHERE attempt = :attempt)"
            " ON CONFLICT (attempt) DO UPDATE SET path = excluded.path, started_at = excluded.started_at,"
            " length_s = excluded.length_s, size_bytes = excluded.size_bytes, sha256 = excluded.sha256,"
            " missing = NULL, noted_at = excluded.noted_at",
            msgspec.structs.asdict(event),
        )
    else:
        connection.execute(
            "INSERT INTO recordings (attempt, missing, noted_at)"
            " SELECT :attempt, :reason, :at WHERE EXISTS (SELECT 1 FROM attempts WHERE attempt = :attempt)"
            " ON CONFLICT (attempt) DO NOTHING",
            msgspec.structs.asdict(event),
        )
