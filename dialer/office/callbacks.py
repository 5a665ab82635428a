"""``dialer callback``: somebody is to be called at a time, by one operator or by anyone.

A running engine is given the order, for it may hold the lead in its hands. Without one the same save is written
straight into the journal.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from dialer.core.commands import SaveCallback
from dialer.core.ids import AgentId, CampaignId, LeadId
from dialer.core.judging import judge
from dialer.office import clocks, known, remote
from dialer.office.reasons import SENTENCES
from dialer.store import facts, files
from dialer.store.calendar import Calendar
from dialer.store.connect import open_writer, transaction
from dialer.store.errors import Conflict, NotInStore
from dialer.store.guard import Guard
from dialer.store.schema import LIST_REMOVED
from dialer.store.settings import campaign_now
from dialer.store.writing import write


def order_callback(home: Path, text: str, campaign: str, due: float, agent: str | None) -> str:
    """Have the contact *text* (an id or a number) called at *due*; what was done, and a warning if they may not
    be called then.

    Raises StoreError (no such contact, campaign or operator; *due* is past), EngineError.
    """
    system = files.load_system(home)
    with closing(open_writer(system.journal, create=False)) as connection:
        known.check(connection, campaign=campaign, agent=agent)
        contact = known.contact_of(connection, text, system.region)
        lead = _lead(connection, contact, campaign)
        if due < time.time():
            raise Conflict(f"{clocks.clock(due)} is past: nobody can be called back then.")
        order = SaveCallback(
            lead=lead, due=due, owner=None if agent is None else AgentId(agent), at=time.time()
        )
        try:
            remote.order_callback(home, campaign, lead, due, agent)
            said = "The running engine has it."
        except remote.EngineNotRunning:
            _write(connection, order)
            said = "No engine runs now; it is kept for the next one."
        zones, warning = _warn(connection, CampaignId(campaign), order)
    there = clocks.there(due, zones)
    who = f"by {agent}" if agent else "by anyone"
    done = f"Contact {contact} is called back in campaign {campaign}: {clocks.clock(due)}, {who}"
    return "\n".join([f"{done}{f'; there: {there}' if there else ''}.", *warning, said])


def _lead(connection: sqlite3.Connection, contact: int, campaign: str) -> LeadId:
    row = connection.execute(
        "SELECT id, finished FROM leads WHERE contact = ? AND campaign = ?", (contact, campaign)
    ).fetchone()
    if row is None:
        raise NotInStore(
            f"Contact {contact} is not in campaign {campaign}: `dialer why {contact} --campaign {campaign}` tells more."
        )
    if row[1] == LIST_REMOVED:
        raise Conflict(f"Contact {contact} was in a list that was taken out of campaign {campaign}.")
    return LeadId(row[0])


def _write(connection: sqlite3.Connection, order: SaveCallback) -> None:
    with transaction(connection):
        if connection.execute(
            "SELECT 1 FROM attempts WHERE lead = ? AND state <> 'ended'", (order.lead,)
        ).fetchone():
            raise Conflict(
                "The contact was being called when the last engine ended. The next one finds out what came of it;"
                " order the callback then."
            )
        write(connection, [], [order], Guard())


def _warn(
    connection: sqlite3.Connection, name: CampaignId, order: SaveCallback
) -> tuple[tuple[str, ...], list[str]]:
    """The contact's zones; and why they may not be called at that time, as far as is known now."""
    campaign = campaign_now(connection, name)
    assert campaign is not None
    lead = facts.lead_at(connection, Calendar(), campaign, order.lead, order.due)
    assert lead is not None
    zones = tuple(sorted({zone for phone in lead.phones for zone in phone.zones}))
    verdict = judge(lead, campaign, order.due)
    if verdict.phone is not None:
        return zones, []
    rule = f"{SENTENCES[verdict.rule]} ({verdict.rule})"
    if verdict.until is None:
        return zones, [f"Warning: they will not be called, for {rule}."]
    there = clocks.there(verdict.until, zones)
    shown = f", there {there}" if there else ""
    return zones, [
        f"Warning: they may not be called then, for {rule}; not before {clocks.clock(verdict.until)}{shown}."
    ]
