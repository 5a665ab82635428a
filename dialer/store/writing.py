"""What a decision leaves behind: its events, and its ``Save...`` commands, as rows.

Runs inside the caller's transaction. Everything here may be done twice without harm: the second
time leaves what the first time left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from dialer.core.commands import SAVES, Command, SaveAgent, SaveCall, SaveCampaignState, SaveLead, SavePhone
from dialer.core.events import Event, LeadsFetched, RecordingMissing, RecordingStored
from dialer.core.ids import AttemptId
from dialer.core.values import Agent, Call
from dialer.store.errors import JournalRefused
from dialer.store.leads import LIST_REMOVED
from dialer.store.rows import UPDATE_AGENT, UPSERT_CALL, agent_to_row, call_to_row
from dialer.store.schema import PRIORITY_AGAIN

_encode = msgspec.json.Encoder().encode

_SAVE_LEAD = f"""
UPDATE leads SET
    ordinal = :ordinal,
    due = iif(gone, NULL, :due),
    next_phone = :next_phone,
    finished = iif(gone, '{LIST_REMOVED}', :finished),
    priority = {PRIORITY_AGAIN}
FROM (
    SELECT :due IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM campaign_lists JOIN contacts ON contacts.list = campaign_lists.list
        WHERE campaign_lists.campaign = lead.campaign AND contacts.id = lead.contact
    ) AS gone
    FROM leads AS lead WHERE lead.id = :lead
)
WHERE id = :lead AND ordinal <= :ordinal
"""  # noqa: S608 - constants of ours
"""What became of a lead, with two guards: a save that is older than what the row says changes nothing,
and nobody is to be dialed again whose list was taken out of the campaign meanwhile."""


def write(connection: sqlite3.Connection, events: Sequence[Event], commands: Sequence[Command]) -> None:
    """Write *events* and *commands* (those that are no ``Save...`` are only noted).

    ``Save...`` commands are not noted in ``events`` besides: they follow from the events by
    replay, and the tables hold what they say.
    """
    _note(connection, events, commands)
    _save_calls(connection, commands)
    for command in commands:
        match command:
            case SaveLead():
                _save_lead(connection, command)
            case SavePhone():
                _save_phone(connection, command)
            case SaveAgent():
                _save_agent(connection, command.agent)
            case SaveCampaignState():
                _save_campaign_state(connection, command)
            case _:
                pass
    for event in events:
        if isinstance(event, RecordingStored | RecordingMissing):
            _save_recording(connection, event)


def _note(connection: sqlite3.Connection, events: Sequence[Event], commands: Sequence[Command]) -> None:
    at = events[0].at if events else None
    rows: list[tuple[float | None, str, str, str]] = [
        (event.at, "event", type(event).__name__, _encode(_in_short(event)).decode()) for event in events
    ]
    rows += [
        (at, "command", type(command).__name__, _encode(command).decode())
        for command in commands
        if not isinstance(command, SAVES)
    ]
    if rows:
        connection.executemany(
            "INSERT INTO events (at, kind, name, body) VALUES (coalesce(?, unixepoch()), ?, ?, ?)",
            rows,
        )


def _in_short(event: Event) -> Event | dict[str, object]:
    """What is noted of *event*. Leads are in their own tables; a question's answer names them only."""
    if not isinstance(event, LeadsFetched):
        return event
    leads = [{"lead": one.lead.id, "attempt": one.attempt} for one in event.leads]
    return {"type": "LeadsFetched", **msgspec.structs.asdict(event), "leads": leads}


def _save_calls(connection: sqlite3.Connection, commands: Iterable[Command]) -> None:
    # Of several saves of one attempt in one transaction only the last leaves a trace. The order
    # of first appearance stays: an attempt that failed frees its ordinal for the one after it.
    last: dict[AttemptId, Call] = {}
    for command in commands:
        if isinstance(command, SaveCall):
            last[command.call.attempt] = command.call
    if last:
        connection.executemany(UPSERT_CALL, [call_to_row(call) for call in last.values()])


def _save_lead(connection: sqlite3.Connection, save: SaveLead) -> None:
    found = connection.execute(_SAVE_LEAD, msgspec.structs.asdict(save))
    if (
        not found.rowcount
        and connection.execute("SELECT 1 FROM leads WHERE id = ?", (save.lead,)).fetchone() is None
    ):
        raise JournalRefused(f"There is no lead {save.lead} to save.")
    if save.bad_phone is not None:
        connection.execute("UPDATE phones SET is_bad = 1 WHERE id = ?", (save.bad_phone,))


def _save_phone(connection: sqlite3.Connection, save: SavePhone) -> None:
    # The attempts of the phone's contact are found by an index; those of a phone would not be.
    connection.execute(
        "UPDATE phones SET is_bad = :is_bad WHERE id = :phone AND (:is_bad OR NOT EXISTS ("
        " SELECT 1 FROM attempts WHERE attempts.contact = phones.contact AND attempts.phone = phones.id"
        " AND attempts.result = 'invalid'))",
        {"phone": save.phone, "is_bad": int(save.is_bad)},
    )


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
    again = connection.execute(
        "UPDATE agent_states SET ended_at = NULL WHERE agent = ? AND began_at = ? AND state = ? AND reason = ?",
        (agent.id, agent.since, agent.state, agent.reason),
    )
    if not again.rowcount:
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
