"""The table ``events`` as a history that can be played again.

1. A history begins with ``EngineStarted``, which holds all that the engine took up. What stands before
   the first one that is kept (events are kept for some time only) cannot be played.
2. Every event that the floor was told stands there in the order of decision, in full; but a tick that
   found nothing to do, for it leaves no trace on the floor (``Floor.must_note``). What was decided and never written,
   because the engine died first, was never noted either: the next start knows nothing of it.
3. Orders stand after the event that led to them, in the order of decision; saves do not stand there, for
   the tables hold what they say.
4. What the journal refused is noted as left out: a whole decision after its event, or one of the calls
   that were placed on its occasion.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from dialer.core.commands import SAVE_TYPES, AnyCommand, Command
from dialer.core.events import AnyEvent, Event, FreshLead, LeadsFetched
from dialer.core.ids import AttemptId, CampaignId, PhoneId
from dialer.core.values import LeadPhone
from dialer.store.errors import StoreError


class LeftOut(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Decided and not saved, and so not done: *commands*, without their saves, for a *reason*.

    *attempt*: only what belongs to that attempt (:func:`dialer.core.placing.parts`); None: the whole
    decision on the event before.
    """

    at: float
    reason: str
    attempt: AttemptId | None
    commands: tuple[AnyCommand, ...]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the history. *id*: its number in the table ``events``."""

    id: int
    what: AnyEvent | AnyCommand | LeftOut


class _Fetched(msgspec.Struct, frozen=True, kw_only=True, tag="LeadsFetched", omit_defaults=True):
    """``LeadsFetched`` as it is noted: every set of time zones stands in *zones* once, and a number has its
    place there (``#0``). There are few, and a country's mobile numbers have a dozen zones each.
    """

    at: float
    campaign: CampaignId
    leads: tuple[FreshLead, ...]
    unfinished: bool
    ask: int = 0
    is_partial: bool = False
    zones: tuple[tuple[str, ...], ...] = ()


_ANY_TIME = LeadPhone(id=PhoneId(0), number="").hours


def in_short(event: Event) -> Event | _Fetched:
    """*event* as it is noted."""
    if type(event) is not LeadsFetched:
        return event
    places: dict[tuple[str, ...], tuple[str, ...]] = {(): ()}
    leads = []
    for one in event.leads:
        phones = tuple(
            replace(
                phone,
                zones=places.setdefault(phone.zones, (f"#{len(places) - 1}",)),
                hours=_ANY_TIME
                if phone.hours == _ANY_TIME
                else phone.hours,  # what is the default is left out
            )
            for phone in one.lead.phones
        )
        leads.append(replace(one, lead=replace(one.lead, phones=phones)))
    fields = {**msgspec.structs.asdict(event), "leads": tuple(leads)}
    return _Fetched(**fields, zones=tuple(zones for zones in places if zones))


def _in_full(noted: _Fetched) -> LeadsFetched:
    zones: dict[tuple[str, ...], tuple[str, ...]] = {
        (f"#{place}",): names for place, names in enumerate(noted.zones)
    }
    leads = []
    for one in noted.leads:
        phones = tuple(replace(phone, zones=zones.get(phone.zones, phone.zones)) for phone in one.lead.phones)
        leads.append(replace(one, lead=replace(one.lead, phones=phones)))
    fields = msgspec.structs.asdict(noted)
    del fields["zones"]
    return LeadsFetched(**{**fields, "leads": tuple(leads)})


_decode_fetched = msgspec.json.Decoder(_Fetched).decode
_DECODE = {
    "event": msgspec.json.Decoder(AnyEvent).decode,
    "command": msgspec.json.Decoder(AnyCommand).decode,
    "left_out": msgspec.json.Decoder(LeftOut).decode,
}


def noted(commands: Iterable[Command]) -> tuple[AnyCommand, ...]:
    """Those of *commands* that are noted in ``events``."""
    return tuple(command for command in commands if type(command) not in SAVE_TYPES)  # type: ignore[misc]


def starts(connection: sqlite3.Connection) -> list[tuple[int, float]]:
    """The starts of engines that are kept, oldest first: the number of the row, and when."""
    sql = "SELECT id, at FROM events WHERE kind = 'event' AND name = 'EngineStarted' ORDER BY id"
    return [(row[0], row[1]) for row in connection.execute(sql)]


def read(connection: sqlite3.Connection, first: int, until: float | None = None) -> Iterator[Row]:
    """The rows from the number *first* on, in their order; *until*: only what is older.

    Raises:
        StoreError: a row cannot be understood (another version wrote it, or somebody changed it).
    """
    sql = "SELECT id, at, kind, name, body FROM events WHERE id >= ? ORDER BY id"
    for number, at, kind, name, body in connection.execute(sql, (first,)):
        if until is not None and at >= until:
            return
        decode = _DECODE.get(kind)
        try:
            if decode is None:
                raise msgspec.ValidationError(f"its kind is {kind!r}")
            what = _in_full(_decode_fetched(body)) if name == "LeadsFetched" else decode(body)
            yield Row(id=number, what=what)
        except msgspec.DecodeError as error:
            raise StoreError(f"Row {number} of the table events ({name}) cannot be read: {error}.") from error
