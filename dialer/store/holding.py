"""Leads that are put off because none of their numbers may be dialed now, and how they are let loose again.

1. A lead that was found not to be dialable is due when the rule that keeps it back ends, so that it is
   not looked at before; where none ends, it is finished. ``held`` names the rule, ``held_due`` keeps when
   the lead would be due without it.
2. That was right under the rules of that time. When the rules change (a campaign's settings, the centre's,
   a do-not-call entry that blocks many numbers), ``campaigns.rules_version`` grows in the same transaction,
   and whoever fetches next lets those loose that were held under an older version, some at a time.
   So no crash in between can leave a lead held by a rule that is none any more. A call that comes to count for nothing (``failed``,
   ``rerouted``) lets those loose at once who have its number, for caps counted it as long as it was live.
3. Every change of a lead leaves a row in ``lead_states``, for the question why it was (not) dialed.

All functions are part of the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from dialer.core.ids import CampaignId, LeadId, PhoneId
from dialer.core.judging import Verdict

FINISHED_BY = {
    "bad_number": "no_number_left",
    "tried": "no_number_left",
    "tried_contact": "no_number_left",
    "result": "no_number_left",
    "do_not_call_campaign": "do_not_call",
    "blocked": "do_not_call",
}
"""Why a lead is finished that a rule keeps back for good, by the rule; others finish it under their own name."""
LET_LOOSE = "let_loose"
RETURNED = "returned_to_pool"

STALE_SQL = (
    "SELECT id FROM leads WHERE campaign = ? AND held IS NOT NULL AND held_version <"
    " (SELECT rules_version FROM campaigns WHERE campaigns.id = leads.campaign) LIMIT ?"
)
OVER_SQL = "SELECT id FROM leads WHERE campaign = ? AND finished IS NULL AND owner IS NOT NULL AND owned_until <= ? LIMIT ?"
HELD_OF_NUMBER_SQL = (
    "SELECT leads.id FROM phones CROSS JOIN leads ON leads.contact = phones.contact"
    " WHERE phones.number = ? AND leads.held IS NOT NULL AND (? = '' OR leads.campaign = ?)"
)
_PUT_OFF = (
    "UPDATE leads SET due = :due, finished = :finished, held = :rule, held_due = coalesce(held_due, due),"
    " held_version = (SELECT rules_version FROM campaigns WHERE campaigns.id = leads.campaign)"
    " WHERE id = :lead AND finished IS NULL"
)
_NOTE = (
    "INSERT INTO lead_states"
    " (lead, at, ordinal, due, next_phone, finished, owner, owned_until, held, is_promised, why)"
    " SELECT id, :at, ordinal, due, next_phone, finished, owner, owned_until, held, priority = 0, :why"
    " FROM leads WHERE id = :lead AND NOT EXISTS (SELECT 1 FROM lead_states AS same"
    " WHERE same.lead = leads.id AND same.at = :at AND same.why = :why AND same.ordinal = leads.ordinal"
    " AND same.due IS leads.due AND same.next_phone IS leads.next_phone AND same.finished IS leads.finished"
    " AND same.owner IS leads.owner AND same.held IS leads.held)"
)
_NOTE_HELD = (
    "INSERT INTO lead_states"
    " (lead, at, ordinal, due, next_phone, finished, owner, owned_until, held, is_promised, why)"
    " SELECT id, :at, ordinal, due, next_phone, finished, owner, owned_until, held, priority = 0, held"
    " FROM leads WHERE id = :lead AND held = :rule AND due IS :due"
    " AND finished IS :finished"
)
_SOON_S = 1.0


def note(connection: sqlite3.Connection, leads: Iterable[int], at: float, why: str) -> None:
    """Keep in ``lead_states`` how each of *leads* stands since *at*; what is kept already is not kept twice."""
    connection.executemany(_NOTE, [{"at": at, "why": why, "lead": lead} for lead in leads])


def put_off(connection: sqlite3.Connection, refused: Iterable[tuple[LeadId, Verdict]], at: float) -> None:
    """Leads, of whose numbers none may be dialed by their verdict, are not looked at until one may be. What is finished meanwhile stays so."""
    rows = []
    for lead, verdict in refused:
        due = None if verdict.until is None else max(verdict.until, at + _SOON_S)
        finished = FINISHED_BY.get(verdict.rule, verdict.rule) if due is None else None
        rows.append(
            {
                "lead": lead,
                "due": due,
                "finished": finished,
                "rule": verdict.rule,
                "at": at,
            }
        )
    connection.executemany(_PUT_OFF, rows)
    connection.executemany(_NOTE_HELD, rows)


def let_loose(connection: sqlite3.Connection, leads: Iterable[int], at: float) -> None:
    """Each of *leads* that is held is due again when it was, and not finished."""
    loose = [
        lead
        for lead in leads
        if connection.execute(
            "UPDATE leads SET due = held_due, finished = NULL, held = NULL, held_due = NULL, held_version = NULL"
            " WHERE id = ? AND held IS NOT NULL",
            (lead,),
        ).rowcount
    ]
    note(connection, loose, at, LET_LOOSE)


def let_stale_loose(connection: sqlite3.Connection, campaign: CampaignId, at: float, limit: int) -> int:
    """Let loose at most *limit* of the campaign's leads that older rules hold; return how many."""
    stale = [row[0] for row in connection.execute(STALE_SQL, (campaign, limit))]
    let_loose(connection, stale, at)
    return len(stale)


def let_number_loose(connection: sqlite3.Connection, number: str, campaign: str, at: float) -> None:
    """Let the held leads of all contacts with *number* loose; *campaign*: only of that one; empty: of all."""
    found = connection.execute(HELD_OF_NUMBER_SQL, (number, campaign, campaign))
    let_loose(connection, [row[0] for row in found], at)


def let_phone_loose(connection: sqlite3.Connection, phone: PhoneId, at: float) -> None:
    """Let the held leads of the contact that has *phone* loose."""
    found = connection.execute(
        "SELECT id FROM leads WHERE contact = (SELECT contact FROM phones WHERE id = ?) AND held IS NOT NULL",
        (phone,),
    )
    let_loose(connection, [row[0] for row in found], at)


def return_to_pool(connection: sqlite3.Connection, campaign: CampaignId, at: float, limit: int) -> int:
    """Take at most *limit* cards that were held long enough from their owners; return how many."""
    over = [row[0] for row in connection.execute(OVER_SQL, (campaign, at, limit))]
    connection.executemany(
        "UPDATE leads SET owner = NULL, owned_until = NULL WHERE id = ?", [(lead,) for lead in over]
    )
    note(connection, over, at, RETURNED)
    return len(over)


def rules_changed(connection: sqlite3.Connection, campaign: str = "") -> None:
    """The rules of *campaign* (empty: of all) are others from now on: what they hold is to be judged anew."""
    connection.execute(
        "UPDATE campaigns SET rules_version = rules_version + 1 WHERE ? IN ('', id)", (campaign,)
    )
