"""What a person names must be there: an empty listing of a mistyped name would look like an answer."""

from __future__ import annotations

import sqlite3

from dialer.core.ids import ContactId
from dialer.office.numbers import Numbers
from dialer.store import contacts as store
from dialer.store.errors import NotInStore

_NAMES = {
    "campaign": "SELECT id FROM campaigns ORDER BY id",
    "agent": "SELECT id FROM agents ORDER BY id",
    "list": "SELECT id FROM lists ORDER BY id",
}
_SHOWN_MAX = 20
_ID_DIGITS_MAX = 10
"""A longer row of digits is a telephone number."""


def check(
    connection: sqlite3.Connection,
    *,
    campaign: str | None = None,
    agent: str | None = None,
    name: str | None = None,
) -> None:
    """That there are the campaign, the agent, and the list *name*; what is None is not asked for.

    Raises NotInStore, naming those that there are.
    """
    for what, one in (("campaign", campaign), ("agent", agent), ("list", name)):
        if one is None:
            continue
        there = [row[0] for row in connection.execute(_NAMES[what])]
        if one not in there:
            shown = ", ".join(there[:_SHOWN_MAX]) or "none"
            more = f" and {len(there) - _SHOWN_MAX} more" if len(there) > _SHOWN_MAX else ""
            raise NotInStore(f"There is no {what} {one!r} (there are: {shown}{more}).")


def check_contact(connection: sqlite3.Connection, contact: int) -> None:
    """That there is such a contact. Raises NotInStore."""
    if not _is_there(connection, contact):
        raise NotInStore(f"There is no contact {contact}.")


def _is_there(connection: sqlite3.Connection, contact: int) -> bool:
    return connection.execute("SELECT 1 FROM contacts WHERE id = ?", (contact,)).fetchone() is not None


def contacts_of(connection: sqlite3.Connection, text: str, region: str) -> list[ContactId]:
    """The contacts that *text* means: one by its id, or all that have the number, written in any form.

    Raises NotInStore: there is none.
    """
    is_id = text.isdecimal() and len(text) <= _ID_DIGITS_MAX
    if is_id and _is_there(connection, int(text)):
        return [ContactId(int(text))]
    number = Numbers(region).accept(text)
    found = store.find_contacts(connection, number=number, limit=store.ROWS_MAX) if number else []
    if not found:
        what = "" if is_id and number is None else ": neither an id nor the number of anybody"
        raise NotInStore(f"There is no contact {text}{what}.")
    return [ContactId(row["id"]) for row in found]


def contact_of(connection: sqlite3.Connection, text: str, region: str) -> ContactId:
    """The one contact that *text* means. Raises NotInStore, also when several have the number."""
    found = contacts_of(connection, text, region)
    if len(found) > 1:
        raise NotInStore(
            f"{text} is of several contacts: {', '.join(map(str, found))}. Choose one by its id."
        )
    return found[0]
