"""Recycling: a lead whose call has ended goes back to the floor and into the journal, due again or finished.

What becomes of it by the campaign's rules :mod:`dialer.core.rules` says of one call. Here that meets what else is live for the lead.
"""

from __future__ import annotations

import msgspec

from dialer.core import rules
from dialer.core.commands import ClearTimer, SaveLead, SetTimer
from dialer.core.desk import Desk
from dialer.core.state import FloorState
from dialer.core.values import Call, Lead, Result


def recycle(floor: FloorState, desk: Desk, lead: Lead, call: Call, at: float) -> rules.Recycle:
    """Save what becomes of the lead after the call, and set the timer of its next attempt."""
    after = _settled(floor, lead, call, rules.recycle(lead, call, desk.campaign, at))
    if after.is_same:
        return after
    floor.out.append(
        SaveLead(
            lead=lead.id,
            ordinal=after.lead.ordinal,
            due=after.due,
            next_phone=after.lead.next_phone,
            finished=after.finished,
            bad_phone=after.bad_phone,
            why=after.why,
            is_promised=after.lead.is_promised,
            owner=after.lead.owner,
            owned_until=after.lead.owned_until,
            at=at,
            is_call_in=call.direction == "in",
        )
    )
    if after.bad_phone is not None:
        floor.mark_bad(after.bad_phone, call.number)
    subject = str(lead.id)
    if after.due is None:
        floor.out.append(ClearTimer(kind="lead", subject=subject))
    else:
        floor.out.append(SetTimer(kind="lead", subject=subject, due=after.due, campaign=desk.campaign.id))
    return after


def _settled(floor: FloorState, lead: Lead, call: Call, after: rules.Recycle) -> rules.Recycle:
    """What becomes of *lead* if it had more than one live call: what a conversation or a promise made of it stands against a
    call that came to nothing, which counts all the same."""
    before = floor.fates.get(lead.id)
    if before is not None and call.result is not Result.TALKED and call.callback_at is None:
        counted = msgspec.structs.replace(
            before.lead, phones=after.lead.phones, ordinal=max(before.lead.ordinal, after.lead.ordinal)
        )
        after = msgspec.structs.replace(before, lead=counted, bad_phone=after.bad_phone, is_same=False)
    if lead.id not in floor.live_leads:
        floor.fates.pop(lead.id, None)
        return after
    if call.result is Result.TALKED or after.lead.is_promised:
        floor.fates[lead.id] = after
    for other in floor.leads:
        if floor.leads[other].id == lead.id:
            floor.leads[other] = msgspec.structs.replace(after.lead, finished=after.finished or "")
    return after
