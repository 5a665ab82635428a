"""Calling classes: contacts whose phones are of the same kinds in the same time zones.

At night in Moscow a campaign must not look through half a million people who sleep there to find those
who do not. So each contact belongs to a class, by the kinds and zones of its phones, and each lead bears
its contact's; whether a class may be called now is asked once for all its leads.

1. A class only says where it is worth looking: a class is open if any of its phones may be called. Whether
   a lead of it may be dialed is judged from the lead's own facts.
2. What belongs to no class (0) is looked at at any time; and so is what can never be called, which is finished
   by that look: a campaign would never end that waits for its hour.
3. A phone's zones are those of the contact's own field, else of the number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from dialer.core.values import Campaign
from dialer.store.calendar import Calendar
from dialer.store.schema import CHUNK_ROWS

Phones = tuple[tuple[str, tuple[str, ...]], ...]
"""Kinds of phone and their zones, sorted, each once."""

IN_USE_SQL = (
    "WITH RECURSIVE used(class) AS (SELECT (SELECT min(class) FROM leads WHERE campaign = :campaign"
    " AND owner IS NULL AND priority = :priority AND finished IS NULL)"
    " UNION ALL SELECT (SELECT min(class) FROM leads WHERE campaign = :campaign AND owner IS NULL"
    " AND priority = :priority AND finished IS NULL AND class > used.class) FROM used WHERE used.class IS NOT NULL)"
    " SELECT used.class, phones FROM used LEFT JOIN calling_classes ON id = used.class WHERE used.class IS NOT NULL"
)
"""The classes of a campaign's leads of one priority that nobody owns: one step of the index for each class."""

_KNOWN_MOST = 10_000
_texts: dict[Phones, str] = {}
_known: dict[str, Phones] = {}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Phones).decode


def zones_of(calendar: Calendar, number: str, zone: str) -> tuple[str, ...]:
    """The time zones where the owner of *number* may be; *zone*: the contact's own field, or empty."""
    return (zone,) if zone else calendar.zones_of_number(number)


def class_text(calendar: Calendar, phones: Iterable[tuple[str, str]], zone: str) -> str:
    """The class of a contact with these *phones* (kind and E.164 number), as ``calling_classes.phones`` has it."""
    pairs = tuple([(kind, (zone,) if zone else calendar.zones_of_number(number)) for kind, number in phones])
    found = _texts.get(pairs)
    if found is None:
        if len(_texts) >= _KNOWN_MOST:
            _texts.clear()
        found = _texts[pairs] = _encode(sorted(set(pairs))).decode()
    return found


def class_ids(connection: sqlite3.Connection, texts: Sequence[str]) -> dict[str, int]:
    """The ids of classes, by their text; made where there is none yet. Part of the caller's transaction."""
    found: dict[str, int] = {}
    for text in set(texts):
        row = connection.execute("SELECT id FROM calling_classes WHERE phones = ?", (text,)).fetchone()
        if row is None:
            row = connection.execute(
                "INSERT INTO calling_classes (phones) VALUES (?) RETURNING id", (text,)
            ).fetchone()
        found[text] = row[0]
    return found


def open_classes(
    connection: sqlite3.Connection, calendar: Calendar, campaign: Campaign, priority: int, at: float
) -> list[int]:
    """The classes of the campaign's leads of one *priority* in the pool, any phone of which may be called at *at*."""
    rows = connection.execute(IN_USE_SQL, {"campaign": campaign.id, "priority": priority}).fetchall()
    return [number for number, phones in rows if _is_open(calendar, campaign, phones, at)]


def _is_open(calendar: Calendar, campaign: Campaign, phones: str | None, at: float) -> bool:
    if campaign.hours is None or phones is None:
        return True
    is_ever = False
    for kind, zones in _phones(phones):
        found = calendar.stretch(campaign.hours, kind, zones, at)
        if found is not None and found[0] <= at < found[1]:
            return True
        is_ever = is_ever or found is not None
    return not is_ever


def _phones(text: str) -> Phones:
    found = _known.get(text)
    if found is None:
        if len(_known) >= _KNOWN_MOST:
            _known.clear()
        found = _known[text] = _decode(text)
    return found


def fill(connection: sqlite3.Connection, calendar: Calendar | None = None) -> int:
    """Give a class to every contact that has none, and to its leads; return to how many contacts.

    Part of the caller's transaction. Memory does not grow with the number of contacts.
    """
    calendar = calendar or Calendar()
    after = done = 0
    while True:
        contacts: dict[int, tuple[str, list[tuple[str, str]]]] = {}
        last = connection.execute(
            "SELECT max(id) FROM (SELECT id FROM contacts WHERE id > ? ORDER BY id LIMIT ?)",
            (after, CHUNK_ROWS),
        ).fetchone()[0]
        if last is None:
            return done
        for contact, zone, kind, number in connection.execute(
            "SELECT c.id, c.zone, p.kind, p.number FROM contacts c JOIN phones p ON p.contact = c.id"
            " WHERE c.id > ? AND c.id <= ? AND c.class = 0",
            (after, last),
        ):
            contacts.setdefault(contact, (zone, []))[1].append((kind, number))
        texts = {contact: class_text(calendar, phones, zone) for contact, (zone, phones) in contacts.items()}
        ids = class_ids(connection, list(texts.values()))
        rows = [(ids[text], contact) for contact, text in texts.items()]
        connection.executemany("UPDATE contacts SET class = ? WHERE id = ?", rows)
        connection.executemany("UPDATE leads SET class = ? WHERE contact = ?", rows)
        after, done = last, done + len(rows)
