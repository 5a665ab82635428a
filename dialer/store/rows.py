"""Values to rows and back. The columns of ``attempts`` are the fields of ``Call``, in their order."""

# ruff: noqa: S608 - only names of our own columns are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from dialer.core.transfer_facts import Transfer
from dialer.core.values import Agent, AgentCard, Call

CALL_FIELDS: tuple[str, ...] = Call.__struct_fields__
CALL_COLUMNS = ", ".join(CALL_FIELDS)
AGENT_FIELDS: tuple[str, ...] = tuple(name for name in Agent.__struct_fields__ if name != "id")
AGENT_COLUMNS = ", ".join(("id", *AGENT_FIELDS))
CARD_FIELDS: tuple[str, ...] = AgentCard.__struct_fields__
CARD_COLUMNS = ", ".join(CARD_FIELDS)
TRANSFER_FIELDS: tuple[str, ...] = Transfer.__struct_fields__
TRANSFER_COLUMNS = ", ".join(TRANSFER_FIELDS)

UPSERT_TRANSFER = (
    f"INSERT INTO transfers ({TRANSFER_COLUMNS}) VALUES ({', '.join('?' * len(TRANSFER_FIELDS))})"
    " ON CONFLICT (attempt, place) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in TRANSFER_FIELDS if name not in ("attempt", "place"))
)
INSERT_CALL = f"INSERT INTO attempts ({CALL_COLUMNS}) VALUES ({', '.join('?' * len(CALL_FIELDS))})"
SELECT_CALL = f"SELECT {CALL_COLUMNS} FROM attempts WHERE attempt = ?"
UPDATE_AGENT = f"UPDATE agents SET {', '.join(f'{name} = ?' for name in AGENT_FIELDS)} WHERE id = ?"


def dicts(found: sqlite3.Cursor) -> list[dict[str, Any]]:
    """The rows, each by the names of its columns."""
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def call_to_row(call: Call) -> tuple[Any, ...]:
    """The values of ``attempts``' columns for *call*."""
    return msgspec.structs.astuple(call)


def update_call(before: Sequence[Any], row: Sequence[Any]) -> tuple[str, tuple[Any, ...]] | None:
    """What makes the row of ``attempts`` that is as *before* as *row* is; None: nothing.

    Only what differs is named: each column in an update costs the upkeep of its indexes and foreign keys, of which calls have
    two dozen, also if its value is the same.
    """
    changes = {name: now for name, was, now in zip(CALL_FIELDS, before, row, strict=True) if was != now}
    if not changes:
        return None
    names = ", ".join(f"{name} = ?" for name in changes)
    return f"UPDATE attempts SET {names} WHERE attempt = ?", (*changes.values(), row[0])


def transfer_to_row(transfer: Transfer) -> tuple[Any, ...]:
    """The values of ``transfers``' columns for *transfer*."""
    fields = dict(zip(TRANSFER_FIELDS, msgspec.structs.astuple(transfer), strict=True))
    fields["tried"] = " ".join(transfer.tried)
    return tuple(fields.values())


def transfer_from_row(row: Sequence[Any]) -> Transfer:
    """The transfer in a row of :data:`TRANSFER_COLUMNS`."""
    fields = dict(zip(TRANSFER_FIELDS, row, strict=True))
    fields["tried"] = fields["tried"].split()
    return msgspec.convert(fields, Transfer, strict=False)


def call_from_row(row: Sequence[Any]) -> Call:
    """The call in a row of :data:`CALL_COLUMNS`."""
    return msgspec.convert(dict(zip(CALL_FIELDS, row, strict=True)), Call)


def agent_to_row(agent: Agent) -> tuple[Any, ...]:
    """The parameters of :data:`UPDATE_AGENT` for *agent*."""
    return (*(getattr(agent, name) for name in AGENT_FIELDS), agent.id)


def agent_from_row(row: Sequence[Any]) -> Agent:
    """The agent in a row of :data:`AGENT_COLUMNS`."""
    return msgspec.convert(dict(zip(("id", *AGENT_FIELDS), row, strict=True)), Agent, strict=False)


def card_to_row(card: AgentCard) -> tuple[Any, ...]:
    """The values of :data:`CARD_COLUMNS` for *card*."""
    return (card.id, card.name, card.phone, card.leg, msgspec.json.encode(card.campaigns).decode())


def card_from_row(row: Sequence[Any]) -> AgentCard:
    """The card in a row of :data:`CARD_COLUMNS`."""
    found = dict(zip(CARD_FIELDS, row, strict=True))
    found["campaigns"] = msgspec.json.decode(found["campaigns"])
    return msgspec.convert(found, AgentCard)
