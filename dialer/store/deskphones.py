"""Desk phones in the journal (``desk_phones``). Their passwords are in the secrets file, not here."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from dialer.core.deskphone import DeskPhone
from dialer.store.connect import transaction
from dialer.store.errors import Conflict, NotInStore, StoreError

_COLUMNS = ("extension", "model")
"""Of the table; all else of a phone stands in ``settings``."""


def load_phones(connection: sqlite3.Connection) -> list[DeskPhone]:
    """All phones by extension.

    Raises:
        StoreError: a row was written by a version that knew more.
    """
    rows = connection.execute("SELECT extension, model, settings FROM desk_phones ORDER BY extension")
    return [_phone(*row) for row in rows]


def _phone(extension: str, model: str, settings: str) -> DeskPhone:
    try:
        return msgspec.convert(
            {**msgspec.json.decode(settings), "extension": extension, "model": model}, DeskPhone, strict=False
        )
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise StoreError(f"The phone {extension} in the journal cannot be read: {error}.") from error


def save_phone(connection: sqlite3.Connection, phone: DeskPhone, at: float) -> bool:
    """Keep the phone; return whether it is new or changed.

    Raises:
        JournalError: the journal cannot be written.
    """
    settings = {key: value for key, value in msgspec.to_builtins(phone).items() if key not in _COLUMNS}
    with transaction(connection):
        row = connection.execute(
            "SELECT extension, model, settings FROM desk_phones WHERE extension = ?", (phone.extension,)
        ).fetchone()
        if row is not None and _phone(*row) == phone:
            return False
        connection.execute(
            "INSERT INTO desk_phones (extension, model, settings, added_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (extension) DO UPDATE SET model = excluded.model, settings = excluded.settings",
            (phone.extension, phone.model, msgspec.json.encode(settings).decode(), at),
        )
    return True


def remove_phone(connection: sqlite3.Connection, extension: str) -> None:
    """Forget the phone.

    Raises:
        NotInStore: there is none; the message names those that are.
        Conflict: an operator works on it.
        JournalError: the journal cannot be written.
    """
    with transaction(connection):
        owner = connection.execute("SELECT id FROM agents WHERE phone = ?", (extension,)).fetchone()
        if owner is not None:
            raise Conflict(
                f"Agent {owner[0]!r} works on the phone {extension}. Give them another one first"
                f" (`dialer agent add {owner[0]} --phone ...`)."
            )
        if not connection.execute("DELETE FROM desk_phones WHERE extension = ?", (extension,)).rowcount:
            raise unknown_phone(connection, extension)


def load_phone(connection: sqlite3.Connection, extension: str) -> DeskPhone:
    """One phone.

    Raises:
        NotInStore: there is none; the message names those that are.
    """
    for phone in load_phones(connection):
        if phone.extension == extension:
            return phone
    raise unknown_phone(connection, extension)


def unknown_phone(connection: sqlite3.Connection, extension: str) -> NotInStore:
    """That there is no such phone."""
    known = ", ".join(
        row[0] for row in connection.execute("SELECT extension FROM desk_phones ORDER BY extension")
    )
    return NotInStore(f"There is no phone {extension} (there are: {known or 'none'}).")


def list_phones(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Rows for a listing, with the operator of each phone and where the operator stands."""
    owners = {row[0]: row[1:] for row in connection.execute("SELECT phone, id, leg, state FROM agents")}
    rows = []
    for phone in load_phones(connection):
        agent, leg, state = owners.get(phone.extension, ("", "", ""))
        rows.append(
            {
                "extension": phone.extension,
                "model": phone.model,
                "transport": phone.transport or "any",
                "codecs": ",".join(phone.codecs) or "all",
                "number": phone.number,
                "agent": agent,
                "leg": leg,
                "state": state,
            }
        )
    return rows
