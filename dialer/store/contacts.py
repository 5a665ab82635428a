"""Contacts: how an import writes them, and how they are looked up.

An import is many short transactions, each of which leaves a good state; it may be cut short and
done again, for a contact that is there already is not added twice.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from dialer.core.ids import CampaignId, ContactId
from dialer.store.calendar import Calendar
from dialer.store.classes import class_ids, class_text
from dialer.store.connect import transaction
from dialer.store.errors import NotInStore
from dialer.store.rows import dicts
from dialer.store.settings import make_list

_CALENDAR = Calendar()
ROWS_MAX = 1000
"""Contacts in one listing."""


class NewContact(msgspec.Struct, kw_only=True, gc=False):
    """A contact to be added. *key*: who it is within the list. *fields*: a JSON object, encoded.

    *phones*: kind and E.164 number, in the contact's own order, no number twice. *zone*: the time zone
    (IANA name) that the file told; empty: it is known from the numbers, if at all.
    """

    key: str
    name: str
    fields: str
    line: int
    phones: list[tuple[str, str]]
    zone: str = ""


class ImportCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the rows of an import so far."""

    rows_read: int = 0
    contacts_added: int = 0
    duplicates: int = 0
    rejected: int = 0


def begin_import(connection: sqlite3.Connection, name: str, file: str, at: float) -> int:
    """Note that an import into the list *name* begins (the list is made if need be); return its id.

    Raises:
        Conflict: the name is no possible name.
        JournalError: the journal cannot be written.
    """
    with transaction(connection):
        make_list(connection, name, at)
        made = connection.execute(
            "INSERT INTO imports (list, file, began_at) VALUES (?, ?, ?) RETURNING id", (name, file, at)
        )
        return int(made.fetchone()[0])


def add_contacts(
    connection: sqlite3.Connection, name: str, number: int, contacts: Sequence[NewContact], at: float
) -> int:
    """Add those of *contacts* that the list *name* does not hold yet; return how many.

    One short transaction. *number*: of the import.

    Raises:
        JournalError: the journal cannot be written; none of them was added.
    """
    if not contacts:
        return 0
    with transaction(connection):
        marks = ",".join("?" * len(contacts))
        seen = {
            row[0]
            for row in connection.execute(
                f"SELECT key FROM contacts WHERE list = ? AND key IN ({marks})",
                [name, *(contact.key for contact in contacts)],
            )
        }
        new = [contact for contact in contacts if contact.key not in seen]
        texts = [class_text(_CALENDAR, contact.phones, contact.zone) for contact in new]
        classes = class_ids(connection, texts)
        last = connection.execute("SELECT coalesce(max(id), 0) FROM contacts").fetchone()[0]
        people: list[tuple[Any, ...]] = []
        phones: list[tuple[int, int, str, str]] = []
        for contact, text in zip(new, texts, strict=True):
            if contact.key in seen:
                continue
            seen.add(contact.key)
            last += 1
            people.append(
                (
                    last,
                    name,
                    contact.key,
                    contact.name,
                    contact.fields,
                    number,
                    contact.line,
                    at,
                    contact.zone,
                    classes[text],
                )
            )
            for position, (kind, e164) in enumerate(contact.phones):
                phones.append((last, position, kind, e164))
        connection.executemany(
            "INSERT INTO contacts (id, list, key, name, fields, import, line, added_at, zone, class)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            people,
        )
        connection.executemany(
            "INSERT INTO phones (contact, position, kind, number) VALUES (?, ?, ?, ?)", phones
        )
    return len(people)


def end_import(connection: sqlite3.Connection, number: int, counts: ImportCounts, at: float | None) -> None:
    """Note what came of an import; with *at* None it goes on.

    Raises:
        JournalError: the journal cannot be written.
    """
    with transaction(connection):
        connection.execute(
            "UPDATE imports SET ended_at = ?, rows_read = ?, contacts_added = ?, duplicates = ?, rejected = ?"
            " WHERE id = ?",
            (at, counts.rows_read, counts.contacts_added, counts.duplicates, counts.rejected, number),
        )


def campaigns_of_list(connection: sqlite3.Connection, name: str) -> list[CampaignId]:
    """The campaigns that call the list."""
    rows = connection.execute("SELECT campaign FROM campaign_lists WHERE list = ? ORDER BY campaign", (name,))
    return [CampaignId(campaign) for (campaign,) in rows]


def find_contacts(
    connection: sqlite3.Connection,
    *,
    name: str | None = None,
    number: str | None = None,
    key: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Contacts in the order in which they were added, those after the id *after*.

    *name*: of the list. *number*: E.164, or how it begins. *key*: the file's own id.
    """
    where, parameters = ["c.id > ?"], [after]
    values: list[Any] = list(parameters)
    if name is not None:
        where.append("c.list = ?")
        values.append(name)
    if key is not None:
        if name is not None:
            where.append("c.key = ?")
            values.append(f"id:{key}")
        else:
            where.append("c.id IN (SELECT k.id FROM lists l JOIN contacts k ON k.list = l.id AND k.key = ?)")
            values.append(f"id:{key}")
    if number is not None:
        where.append("c.id IN (SELECT contact FROM phones WHERE number >= ? AND number < ?)")
        values += [number, f"{number}:"]  # ':' comes after the digits
    found = connection.execute(
        "SELECT c.id, c.list, c.name, c.key, c.added_at,"
        " (SELECT group_concat(own.number, ', ') FROM"
        " (SELECT number FROM phones WHERE contact = c.id ORDER BY position) own) AS numbers,"
        " (SELECT count(*) FROM attempts a WHERE a.contact = c.id AND a.direction = 'out') AS attempts"
        f" FROM contacts c WHERE {' AND '.join(where)} ORDER BY c.id LIMIT ?",
        [*values, min(limit, ROWS_MAX)],
    )
    return dicts(found)


def show_contact(connection: sqlite3.Connection, contact: ContactId) -> dict[str, Any]:
    """A contact with its fields, phones, places in campaigns, and history.

    Raises:
        NotInStore: there is no such contact.
    """
    found = dicts(
        connection.execute(
            "SELECT c.id, c.list, c.key, c.name, c.zone, c.fields, c.line, c.added_at, i.file"
            " FROM contacts c LEFT JOIN imports i ON i.id = c.import WHERE c.id = ?",
            (contact,),
        )
    )
    if not found:
        raise NotInStore(f"There is no contact {contact}.")
    one = found[0]
    one["fields"] = msgspec.json.decode(one["fields"])
    one["phones"] = dicts(
        connection.execute(
            "SELECT id, kind, number, is_bad FROM phones WHERE contact = ? ORDER BY position", (contact,)
        )
    )
    one["leads"] = dicts(
        connection.execute(
            "SELECT campaign, id AS lead, ordinal AS attempts, due AS due_at, priority = 0 AS is_callback, finished, held,"
            " owner, owned_until AS owned_until_at FROM leads WHERE contact = ? ORDER BY campaign",
            (contact,),
        )
    )
    one["attempts"] = dicts(
        connection.execute(
            "SELECT a.attempt, a.created_at, a.direction, a.campaign, a.number, a.agent, a.result, a.operator_result,"
            " a.ended_at - a.connected_at AS talk_s, r.path AS recording"
            " FROM attempts a LEFT JOIN recordings r ON r.attempt = a.attempt"
            " WHERE a.contact = ? ORDER BY a.created_at",
            (contact,),
        )
    )
    return one
