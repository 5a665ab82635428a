"""``dialer why``: asks for each of the person's campaigns, and prints the answers for people or programs."""

from __future__ import annotations

import io
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from dialer.core.ids import CampaignId
from dialer.office import clocks, known, remote, tables
from dialer.office.layers import RULES, Answer, Engine, Line
from dialer.office.why import Asked, why
from dialer.store import files
from dialer.store.calendar import Calendar
from dialer.store.connect import open_reader
from dialer.store.errors import NotInStore

_COLUMNS = ("layer", "number", "rule", "says", "until")


def show_why(home: Path, text: str, campaign: str | None, at: float | None, as_format: str) -> None:
    """Print why the contact *text* (an id, or a number in any form: all contacts that have it) was, is or will be
    dialed or not at *at* (None: now), in *campaign* or (None) all campaigns that have to do with them.

    Raises StoreError, BadNumber.
    """
    system = files.load_system(home)
    now = time.time()
    with closing(open_reader(system.journal)) as connection:
        connection.row_factory = None
        known.check(connection, campaign=campaign)
        asked = Asked(connection=connection, calendar=Calendar(), now=now, engine=engine_now(home))
        answers = [
            why(asked, contact, one, now if at is None else at)
            for contact in known.contacts_of(connection, text, system.region)
            for one in _campaigns(connection, contact, campaign)
        ]
    if as_format == "json":
        tables.show([as_row(one) for one in answers], "json")
        return
    sys.stdout.write("\n".join("\n".join(_told(one)) + "\n" + _table(one) for one in answers))


def engine_now(home: Path) -> Engine:
    """How the engine of the home folder is at this moment."""
    try:
        health = remote.health(home)
    except remote.EngineNotRunning:
        return Engine(rule="no_engine", says="no engine runs: `dialer up` or `dialer serve` starts one")
    except remote.EngineError as error:
        return Engine(rule="no_engine", says=str(error))
    trunks = health.get("trunks", {})
    if reasons := health.get("why_not", []):
        return Engine(rule="not_originating", says="; ".join(map(str, reasons)), trunks=trunks)
    return Engine(trunks=trunks)


def _campaigns(connection: sqlite3.Connection, contact: int, campaign: str | None) -> list[CampaignId]:
    if campaign is not None:
        return [CampaignId(campaign)]
    rows = connection.execute(
        "SELECT campaign FROM leads WHERE contact = :contact UNION SELECT l.campaign FROM campaign_lists l"
        " JOIN contacts c ON c.list = l.list WHERE c.id = :contact ORDER BY 1",
        {"contact": contact},
    ).fetchall()
    if not rows:
        [name] = connection.execute("SELECT list FROM contacts WHERE id = ?", (contact,)).fetchone()
        raise NotInStore(f"Contact {contact} is dialed by no campaign: none calls its list {name!r}.")
    return [CampaignId(row[0]) for row in rows]


def as_row(one: Answer) -> dict[str, Any]:
    """An answer for programs: instants as ISO dates with their zone, and what the person's clocks show."""
    dialed = one.dialed and {
        key: tables.iso(value) if key.endswith("_at") and value is not None else value
        for key, value in one.dialed.items()
    }
    if dialed:
        dialed["transfers"] = [
            {**one, "began_at": tables.iso(one["began_at"])} for one in dialed["transfers"]
        ]
    return {
        "contact": one.contact,
        "name": one.name,
        "campaign": one.campaign,
        "at": one.at,
        "when": one.when,
        "may_be_dialed": not one.rule,
        "rule": one.rule,
        "says": one.says,
        "next_at": one.next_at,
        "next_there": clocks.there(one.next_at, one.zones) if one.next_at is not None else "",
        "zones": list(one.zones),
        "layers": [_layer(line) for line in one.lines],
        "dialed": dialed,
    }


def _layer(line: Line) -> dict[str, Any]:
    until = None if line.until is None else tables.iso(line.until)
    return {
        "layer": line.layer,
        "number": line.number,
        "rule": line.rule,
        "says": line.says,
        "until": until,
        "zones": list(line.zones),
    }


_MAY = {"now": "May be dialed", "past": "Might be dialed", "later": "May be dialed then, as things are now"}
_NOT = {
    "now": "Is not dialed",
    "past": "Was not dialed",
    "later": "Will not be dialed then, as things are now",
}


def _told(one: Answer) -> Iterator[str]:
    name = f" ({tables.text_of(one.name)})" if one.name else ""
    now = ", now" if one.when == "now" else ""
    yield f"Contact {one.contact}{name}, campaign {one.campaign}: {clocks.clock(one.at)}{now}"
    yield f"{_NOT[one.when]}: {one.says} ({one.rule})." if one.rule else f"{_MAY[one.when]}."
    besides = dict.fromkeys(line.rule for line in one.lines if line.rule and line.rule != one.rule)
    if besides:
        yield f"Besides: {', '.join(f'{RULES[rule]} ({rule})' for rule in besides)}."
    if one.rule:
        yield _next(one)
    if one.dialed is not None:
        yield _dialed(one.at, one.dialed)


def _next(one: Answer) -> str:
    if one.next_at is None:
        return "When it may be again is not known: somebody must do something, or it is over."
    there = clocks.there(one.next_at, one.zones)
    shown = f"; there: {there}" if there else ""
    if one.next_at <= one.at:
        return f"As for the person, it might be {'then' if one.when == 'later' else 'at once'}{shown}."
    return f"Next moment: {clocks.clock(one.next_at)}{shown}."


def _dialed(at: float, dialed: dict[str, Any]) -> str:
    when = "Being called since" if dialed["created_at"] < at else "Dialed at"
    said = f" ({dialed['operator_result']})" if dialed["operator_result"] else ""
    result = f"{dialed['result']}{said}" if dialed["result"] else "not ended yet"
    who = f", operator {dialed['agent']}" if dialed["agent"] else ""
    moved = "".join(f" {_transferred(one)}" for one in dialed["transfers"])
    return (
        f"{when} {clocks.clock(dialed['created_at'])} on {dialed['number']}: {result}{who},"
        f" attempt {dialed['attempt']}.{moved}"
    )


_DID = {"hold": "was held by", "blind": "was transferred by", "consult": "was asked about by"}


def _transferred(one: dict[str, Any]) -> str:
    """One hold, transfer or conference, in words."""
    whom = f", to {one['target']}" if one["target"] else ""
    return f"{clocks.clock(one['began_at'])}: {_DID[one['kind']]} {one['agent']}{whom} ({one['outcome'] or one['state']})."


def _table(one: Answer) -> str:
    out = io.StringIO()
    rows = [_shown(line, one.at) for line in one.lines]
    tables.show(rows, columns=_COLUMNS, out=out)
    return out.getvalue()


def _shown(line: Line, at: float) -> dict[str, Any]:
    until = ""
    if line.until is not None and line.until >= at:
        there = clocks.there(line.until, line.zones)
        until = clocks.clock(line.until) + (f"; there {there}" if there else "")
    return {
        "layer": line.layer,
        "number": line.number,
        "rule": line.rule or "-",
        "says": line.says,
        "until": until,
    }
