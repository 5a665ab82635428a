"""The last look before a person is called, inside the transaction that saves the attempt.

Between the hopper's answer and the decision to dial, seconds may pass, in which another program put the number
on a do-not-call list, another campaign called the same person, or an evening came. So the attempt is saved only
if the lead's facts, read in the same transaction, still allow it; and what is not saved is not dialed.

1. The lead is not finished, is of that campaign and contact, and the number is one of the contact's.
2. Nobody calls that number at this moment (an index of the journal holds that, too), nor the same contact
   on another one.
3. :func:`dialer.core.judging.judge` allows that number at the instant of the decision.
4. The lead is due by then, and nobody but its owner has a card that must wait for them.
5. It fails closed: if any of this cannot be found out, the answer is no.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from dialer.core.judging import judge, waits_for_owner
from dialer.core.values import Call
from dialer.store.calendar import Calendar
from dialer.store.facts import NOW_SQL, Facts
from dialer.store.settings import campaign_now, load_centre

log = logging.getLogger(__name__)

LIVE_SQL = "SELECT 1 FROM attempts WHERE number = ? AND state <> 'ended' AND attempt <> ? LIMIT 1"
CONTACT_LIVE_SQL = "SELECT 1 FROM attempts WHERE contact = ? AND state <> 'ended' AND attempt <> ? LIMIT 1"
PHONE_SQL = "SELECT contact, number FROM phones WHERE id = ?"

NO_LEAD = "no_lead"
FINISHED = "finished"
NOT_THEIR_NUMBER = "not_their_number"
NUMBER_LIVE = "number_live"
CONTACT_LIVE = "contact_live"
NOT_DUE = "not_due"
OWNER_AWAY = "owner_away"
UNKNOWN = "cannot_be_checked"


class Guard:
    """Checks attempts before they are saved, on one connection.

    *wall*: the machine's clock. The engine's own never goes back: after the machine's was set right by hours, that
    one tells what hour it is where the person is.
    """

    def __init__(self, calendar: Calendar | None = None, wall: Callable[[], float] | None = None) -> None:
        self._calendar = calendar or Calendar()
        self._wall = wall

    def forbids(self, connection: sqlite3.Connection, call: Call) -> str | None:
        """The rule that forbids to place *call* at ``call.created_at``, or None. Raises nothing.

        Part of the caller's transaction, which must hold the write lock.
        """
        try:
            return self._forbids(connection, call)
        except Exception as error:  # whatever it is: nobody is dialed on half of the facts
            log.error(
                "Whether a person may be called cannot be found out; they are not",
                extra={
                    "action": "guard",
                    "attempt": call.attempt,
                    "campaign": call.campaign,
                    "trunk": call.trunk,
                    "error": str(error),
                },
            )
            return UNKNOWN

    def _forbids(self, connection: sqlite3.Connection, call: Call) -> str | None:
        found = connection.execute(NOW_SQL, (call.lead,)).fetchone()
        campaign = campaign_now(connection, call.campaign)
        if found is None or campaign is None:
            return NO_LEAD
        of_campaign, finished, _, *row = found
        if of_campaign != call.campaign or row[1] != call.contact:
            return NO_LEAD
        if finished is not None:
            return FINISHED
        if connection.execute(PHONE_SQL, (call.phone,)).fetchone() != (call.contact, call.number):
            return NOT_THEIR_NUMBER
        if connection.execute(LIVE_SQL, (call.number, call.attempt)).fetchone() is not None:
            return NUMBER_LIVE
        if connection.execute(CONTACT_LIVE_SQL, (call.contact, call.attempt)).fetchone() is not None:
            return CONTACT_LIVE
        at = call.created_at if self._wall is None else min(call.created_at, self._wall())
        centre = load_centre(connection)
        lead = Facts(connection, self._calendar, campaign, centre, at).lead(tuple(row))
        verdict = judge(lead, campaign, at)
        if verdict.phone is None:
            return verdict.rule
        rule = next((one.rule for one in verdict.phones if one.phone.id == call.phone), NOT_THEIR_NUMBER)
        if not rule and lead.due > at:
            return NOT_DUE
        if not rule and waits_for_owner(lead, campaign, at) and call.agent != lead.owner:
            return OWNER_AWAY
        return rule or None
