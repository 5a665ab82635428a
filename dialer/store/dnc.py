"""Do-not-call lists: of the whole centre, and of single campaigns.

1. An entry is a number (E.164), all numbers that begin alike (``+7495*``), or a pattern in which ``?`` is
   any digit (``+7495???0000``, ``+7495???00*``). Of patterns there are few (:data:`PATTERNS_MAX`), of the
   others as many as you like: a number is looked up by one question to an index, for itself and each of
   its beginnings.
2. Nothing is ever deleted: an entry that does not hold any more has ``removed_at``, and what was barred at
   any moment can be told.
3. If the lists cannot be read, an error is raised: never is a number taken for allowed because of it.
4. A number that is added finishes the leads that have no other number left, in the same transaction; one
   that is removed lets them loose. What a beginning or a pattern bars is found out when it is to be dialed.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from dialer.store import holding
from dialer.store.connect import transaction
from dialer.store.errors import Conflict, NotInStore, StoreError

Kind = Literal["number", "prefix", "pattern"]

PATTERNS_MAX = 1000
"""Each lookup compares a number with all patterns."""
DIGITS_MAX = 15
"""Of an E.164 number."""
_FORMS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("number", re.compile(r"\+[1-9][0-9]{1,14}\Z")),
    ("prefix", re.compile(r"\+[1-9][0-9]{0,13}\*\Z")),
    ("pattern", re.compile(r"\+[1-9](?=[0-9]*\?)[0-9?]{0,14}\*?\Z")),
)


class BadEntry(StoreError):
    """What is to be put on a list is neither a number, a beginning nor a pattern; the message says why."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a do-not-call list. *campaign*: None: it holds for all. *removed_at*: None: it holds."""

    id: int
    number: str
    kind: Kind
    campaign: str | None
    source: str
    note: str
    added_at: float
    removed_at: float | None

    @property
    def rule(self) -> str:
        """The rule's name (``LeadPhone.barred``)."""
        if self.kind != "number":
            return "blocked"
        return "do_not_call" if self.campaign is None else "do_not_call_campaign"


def kind_of(number: str) -> Kind:
    """What sort of entry *number* is.

    Raises:
        BadEntry: none.
    """
    for kind, form in _FORMS:
        if form.match(number):
            return kind
    raise BadEntry(
        f"{number!r} cannot stand on a do-not-call list: give a number as +74951234567, the beginning of"
        " numbers as +7495*, or a pattern with ? for any digit as +7495???0000."
    )


# -- looking up ---------------------------------------------------------------------------

_COLUMNS = "id, number, kind, campaign, source, note, added_at, removed_at"
_HELD_THEN = "added_at <= :at AND removed_at > :at"


def lookup_sql(keys: int, *, is_past: bool = False) -> str:
    """The question for the entries that name one of so many *keys* (``:k0`` ...), in campaign ``:campaign``."""
    marks = ", ".join(f":k{number}" for number in range(keys))
    where = f"number IN ({marks}) AND campaign IN ('', :campaign)"
    present = f"SELECT {_COLUMNS} FROM do_not_call WHERE {where} AND removed_at IS NULL"
    if not is_past:
        return present
    return (
        f"{present} AND added_at <= :at UNION ALL"
        f" SELECT {_COLUMNS} FROM do_not_call WHERE {where} AND removed_at IS NOT NULL AND {_HELD_THEN}"
    )


EXACT_SQL = (
    f"SELECT {_COLUMNS} FROM do_not_call WHERE number = ? AND campaign IN ('', ?) AND removed_at IS NULL"
)
PATTERNS_SQL = (
    f"SELECT {_COLUMNS} FROM do_not_call WHERE kind = 'pattern' AND kind <> 'number' AND removed_at IS NULL"
    " AND campaign IN ('', :campaign) AND :number GLOB number"
)
_PATTERNS_THEN_SQL = (
    f"SELECT {_COLUMNS} FROM do_not_call WHERE kind = 'pattern' AND kind <> 'number' AND added_at <= :at"
    " AND (removed_at IS NULL OR removed_at > :at) AND campaign IN ('', :campaign) AND :number GLOB number"
)
ANY_SQL = "SELECT 1 FROM do_not_call WHERE removed_at IS NULL LIMIT 1"
WIDE_SQL = "SELECT 1 FROM do_not_call WHERE kind = ? AND kind <> 'number' LIMIT 1"


class Lists:
    """The lists as they stand now, or (*at*) stood at a moment past, to look many numbers up.

    Make one for each piece of work: what it found out at its beginning (whether there are patterns at all)
    is not looked at again. All methods raise sqlite3.Error if the lists cannot be read.
    """

    def __init__(self, connection: sqlite3.Connection, at: float | None = None) -> None:
        self._connection = connection
        self._at = at
        self._is_empty = at is None and connection.execute(ANY_SQL).fetchone() is None
        self._has_prefixes = self._has_patterns = False
        if not self._is_empty:
            self._has_prefixes = connection.execute(WIDE_SQL, ("prefix",)).fetchone() is not None
            self._has_patterns = connection.execute(WIDE_SQL, ("pattern",)).fetchone() is not None

    def entry(self, number: str, campaign: str) -> Entry | None:
        """The entry that keeps *campaign* from calling *number*: one for all campaigns before one of its
        own, the number itself before wider ones.
        """
        if self._is_empty:
            return None
        is_past = self._at is not None
        if not (is_past or self._has_prefixes or self._has_patterns):
            found = self._connection.execute(EXACT_SQL, (number, campaign)).fetchall()
            return min((_entry(row) for row in found), key=_weight) if found else None
        keys = [number]
        if self._has_prefixes:
            keys += [f"{number[:length]}*" for length in range(2, min(len(number), DIGITS_MAX) + 1)]
        given: dict[str, Any] = {f"k{place}": key for place, key in enumerate(keys)}
        given |= {"campaign": campaign, "number": number, "at": self._at}
        rows = self._connection.execute(lookup_sql(len(keys), is_past=is_past), given).fetchall()
        if self._has_patterns and not rows:
            rows = self._connection.execute(_PATTERNS_THEN_SQL if is_past else PATTERNS_SQL, given).fetchall()
        return min((_entry(row) for row in rows), key=_weight, default=None)

    def barred(self, number: str, campaign: str) -> str:
        """The rule that keeps *campaign* from calling *number* (``LeadPhone.barred``); empty: none."""
        found = self.entry(number, campaign)
        return "" if found is None else found.rule


def look_up(
    connection: sqlite3.Connection, number: str, campaign: str | None = None, at: float | None = None
) -> Entry | None:
    """The entry that bars *number* (E.164), for *campaign* or (None) for all campaigns; at the moment *at*,
    or now. Raises sqlite3.Error if the lists cannot be read.
    """
    return Lists(connection, at).entry(number, campaign or "")


def entries_of(connection: sqlite3.Connection, number: str, campaign: str | None = None) -> list[Entry]:
    """All entries that bar *number* (E.164) now: for all campaigns, and for *campaign* or (None) any one."""
    keys = [number, *(f"{number[:length]}*" for length in range(2, min(len(number), DIGITS_MAX) + 1))]
    marks = ", ".join("?" * len(keys))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM do_not_call WHERE removed_at IS NULL AND number IN ({marks})"
        f" UNION ALL SELECT {_COLUMNS} FROM do_not_call"
        " WHERE kind = 'pattern' AND kind <> 'number' AND removed_at IS NULL AND ? GLOB number",
        [*keys, number],
    )
    found = [entry for row in rows if (entry := _entry(row)).campaign in (None, campaign or entry.campaign)]
    return sorted(found, key=_weight)


def contacts_with(connection: sqlite3.Connection, number: str) -> int:
    """How many contacts have a number that is, or begins like, or fits, the entry *number*.

    Raises BadEntry, sqlite3.Error.
    """
    fixed = re.split(r"[*?]", number, maxsplit=1)[0]
    where = (
        "number = :number" if kind_of(number) == "number" else "number >= :fixed AND number < :fixed || ':'"
    )
    if kind_of(number) == "pattern":
        where += " AND number GLOB :number"
    [count] = connection.execute(
        f"SELECT count(DISTINCT contact) FROM phones WHERE {where}",
        {"number": number, "fixed": fixed},
    ).fetchone()
    return int(count)


def list_entries(
    connection: sqlite3.Connection,
    *,
    campaign: str | None = None,
    number: str | None = None,
    with_removed: bool = False,
    after: int = 0,
    limit: int = 1000,
) -> list[Entry]:
    """Entries in the order in which they were added, those after the id *after*.

    *campaign*: only of that one's list (empty: only of the centre's); None: of all lists.
    *number*: only entries that begin so.
    """
    terms, values = ["id > ?"], [after]
    given: list[Any] = list(values)
    if campaign is not None:
        terms.append("campaign = ?")
        given.append(campaign)
    if number is not None:
        terms.append("number >= ? AND number < ?")
        given += [number, f"{number}\U0010ffff"]
    if not with_removed:
        terms.append("removed_at IS NULL")
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM do_not_call WHERE {' AND '.join(terms)} ORDER BY id LIMIT ?", [*given, limit]
    )
    return [_entry(row) for row in rows]


def _entry(row: Sequence[Any]) -> Entry:
    number, text, kind, campaign, source, note, added_at, removed_at = row
    return Entry(
        id=number,
        number=text,
        kind=kind,
        campaign=campaign or None,
        source=source,
        note=note,
        added_at=added_at,
        removed_at=removed_at,
    )


def _weight(entry: Entry) -> tuple[bool, bool, int]:
    return entry.kind != "number", entry.campaign is not None, entry.id


# -- changing -----------------------------------------------------------------------------

_MARK = (
    "UPDATE leads SET due = NULL, finished = 'do_not_call', held = :rule, held_due = coalesce(held_due, due),"
    " held_version = (SELECT rules_version FROM campaigns WHERE campaigns.id = leads.campaign)"
    " WHERE id IN (SELECT lead.id FROM json_each(:numbers) AS added"
    " CROSS JOIN phones ON phones.number = added.value"
    " CROSS JOIN leads AS lead ON lead.contact = phones.contact"
    " WHERE lead.finished IS NULL AND :campaign IN ('', lead.campaign) AND NOT EXISTS ("
    " SELECT 1 FROM phones AS other WHERE other.contact = phones.contact AND NOT other.is_bad AND NOT EXISTS ("
    " SELECT 1 FROM do_not_call AS entry WHERE entry.number = other.number"
    " AND entry.campaign IN ('', lead.campaign) AND entry.removed_at IS NULL)))"
    " RETURNING id"
)
"""Finish the leads that have no number left but bad ones and such as stand on a list."""


def add(
    connection: sqlite3.Connection,
    number: str,
    *,
    campaign: str | None = None,
    source: str = "",
    note: str = "",
    at: float,
) -> bool:
    """Put *number* (a number, beginning or pattern) on the list of *campaign*, or (None) of all; whether it is new.

    Raises:
        BadEntry: it is none of these.
        NotInStore: there is no such campaign.
        Conflict: there are :data:`PATTERNS_MAX` patterns already.
        JournalError: the journal cannot be written.
    """
    return add_chunk(connection, [number], campaign=campaign, source=source, note=note, at=at) > 0


def add_chunk(
    connection: sqlite3.Connection,
    numbers: Sequence[str],
    *,
    campaign: str | None = None,
    source: str = "",
    note: str = "",
    at: float,
) -> int:
    """Put up to :data:`~dialer.store.schema.CHUNK_ROWS` entries on a list in one short transaction; how many are new.

    For an import, chunk after chunk; cut short, it can simply be done again. Raises as :func:`add`; then
    none of the chunk was added.
    """
    with transaction(connection):
        return add_here(connection, numbers, campaign=campaign, source=source, note=note, at=at)


def add_here(
    connection: sqlite3.Connection,
    numbers: Sequence[str],
    *,
    campaign: str | None = None,
    source: str = "",
    note: str = "",
    at: float,
) -> int:
    """As :func:`add_chunk`, as part of the caller's transaction."""
    list_of = campaign or ""
    _check_campaign(connection, list_of)
    kinds = {number: kind_of(number) for number in numbers}
    before = connection.total_changes
    connection.executemany(
        "INSERT INTO do_not_call (number, kind, campaign, source, note, added_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [(number, kind, list_of, source, note, at) for number, kind in kinds.items()],
    )
    added = connection.total_changes - before
    if "pattern" in kinds.values():
        _check_patterns(connection)
    exact = [number for number, kind in kinds.items() if kind == "number"]
    if added and exact:
        given = {
            "numbers": msgspec.json.encode(exact).decode(),
            "campaign": list_of,
            "rule": "do_not_call_campaign" if campaign else "do_not_call",
        }
        marked = [row[0] for row in connection.execute(_MARK, given).fetchall()]
        holding.note(connection, marked, at, given["rule"])
    return added


def remove(connection: sqlite3.Connection, number: str, *, campaign: str | None = None, at: float) -> bool:
    """Take *number*, as it stands there, off the list of *campaign* or (None) of all; whether it was on it.

    Raises:
        BadEntry: it can stand on no list.
        JournalError: the journal cannot be written.
    """
    kind = kind_of(number)
    list_of = campaign or ""
    with transaction(connection):
        done = connection.execute(
            "UPDATE do_not_call SET removed_at = ? WHERE number = ? AND campaign = ? AND removed_at IS NULL",
            (at, number, list_of),
        )
        if not done.rowcount:
            return False
        if kind == "number":
            holding.let_number_loose(connection, number, list_of, at)
        else:
            holding.rules_changed(connection, list_of)
    return True


def _check_campaign(connection: sqlite3.Connection, campaign: str) -> None:
    if campaign and not connection.execute("SELECT 1 FROM campaigns WHERE id = ?", (campaign,)).fetchone():
        raise NotInStore(f"There is no campaign {campaign!r}.")


def _check_patterns(connection: sqlite3.Connection) -> None:
    count = connection.execute(
        "SELECT count(*) FROM do_not_call WHERE kind = 'pattern' AND kind <> 'number' AND removed_at IS NULL"
    ).fetchone()[0]
    if count > PATTERNS_MAX:
        raise Conflict(
            f"There would be {count} patterns on the do-not-call lists; {PATTERNS_MAX} are allowed, for each number"
            " is compared with all of them. Beginnings of numbers (+7495*) are not limited."
        )
