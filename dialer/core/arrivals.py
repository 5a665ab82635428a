"""Arrivals: people who call us (requirement C3).

1. A call in is ``answered`` from the beginning on: the dialplan took it. It waits with music (``held_at``), and is served like
   others who wait, only before them (:mod:`dialer.core.waiting`, :mod:`dialer.core.blending`), at most ``inbound.wait_s``; then comes
   ``inbound.overflow``. It ends as ``talked`` or ``missed``.
2. Nobody is let wait in vain: outside the hours, and while the campaign has not been started or is stopped, ``inbound.outside`` comes at once;
   where nobody who could take the call is signed in, ``queue_max`` wait already (on that server), or the engine is leaving, ``overflow`` does. It also comes
   to those who wait, when all who could take their calls have been signed out for :data:`ALONE_S`.
   A campaign that runs, is paused or has finished takes calls.
3. Nobody is refused by a rule for calls that we place: who wants no calls from us may call us, and no cap of a trunk or a server keeps
   out who has come by it (but they count there: so many fewer are placed).
4. The caller's lead may have a live call already, ours or theirs. Ours that they have not answered is given up. Of several live calls of
   one lead each settles it as it ends; but what a conversation or a promise made of it stands against a call that
   came to nothing (``FloorState.fates``).
5. Who is missed is promised a call (:mod:`dialer.core.rules`), for which a campaign that had finished runs again.
6. Such a call is none of the abandonment ledger's and of the pacing rule's, which sees the operators whom it takes, and no
   attempt of the contact's.
"""

from __future__ import annotations

import msgspec

from dialer.core import blending, outside, recycling, steps
from dialer.core import call as calls
from dialer.core import events as ev
from dialer.core.commands import ForgetChoice, SaveCall, SendToOverflow, SetTimer
from dialer.core.desk import Desk
from dialer.core.ids import AttemptId, ChannelId
from dialer.core.incoming import Overflow, arrived_at
from dialer.core.state import FloorState
from dialer.core.values import Call, CallState, CampaignState, Result

SKEW_S = 3600.0
"""The dialplan's clock is believed that the call came so long before we heard of it, at most."""
ALONE_S = 10.0
"""All operators signed out for so long: they are not just changing seats, nor is a phone coming back."""
_AHEAD_S = 5.0
_CLOSED = frozenset({CampaignState.NEW, CampaignState.STOPPED})
_OUTSIDE: dict[str, Overflow] = {"message": "hang_up", "voicemail": "voicemail", "callback": "callback"}


def on_arrived(floor: FloorState, event: ev.CallArrived) -> None:
    """A person calls us."""
    desk = floor.desks.get(event.campaign)
    if event.attempt in floor.calls:
        return
    if desk is None:  # it is not applied any more
        floor.out.append(SendToOverflow(attempt=event.attempt, place="hang_up", is_closed=True))
        return
    at, rules = event.at, desk.campaign.inbound
    outside.seen(floor, ChannelId(event.attempt), event.trunk, event.server, at)
    call = msgspec.structs.replace(
        _call(event, _came_at(event.attempt, at)), deadline=at + rules.wait_s, held_at=at
    )
    turned_away = _why_not_taken(floor, desk, event)
    if turned_away is not None:
        place, is_closed = turned_away
        call = calls.overflown(call, at, place, is_closed=is_closed)
    floor.take_call(call, event.lead, is_placed=False)
    if event.last_operator is not None and rules.last_operator:
        floor.last_operators[call.attempt] = event.last_operator
    floor.out.append(SaveCall(call=call))
    if call.deadline is not None:
        floor.out.append(SetTimer(kind="attempt", subject=call.attempt, due=call.deadline))
    for ours in blending.ringing_to(floor, event.number):
        steps.call_step(floor, ours.attempt, calls.EndAsked(at=at, why=blending.THEY_CALLED))
    if floor.servers.desk(event.server).is_lost:  # it died while it was looked up who calls
        steps.call_step(floor, call.attempt, ev.ContactHungUp(at=at, attempt=call.attempt))
        return
    if turned_away is not None:
        floor.out.append(outside.forwarded(floor, call, desk, calls.overflow_command(call), at))
        return
    steps.serve(floor, call, at)
    call = floor.calls[call.attempt]
    if call.state is not CallState.ANSWERED:
        return
    if call.agent is None and len(floor.waiting.callers(call.campaign, call.server)) > rules.queue_max:
        steps.call_step(floor, call.attempt, calls.Expired(at=at))
    else:
        steps.hold_again(floor, call, at)


def on_missed(floor: FloorState, event: ev.CallMissed) -> None:
    """A person called us while nobody was there: their call, of which nobody here knew, is over, and written down with what they chose."""
    desk = floor.desks.get(event.campaign)
    if event.attempt in floor.calls:  # the journal knows it in a moment, and how it ended
        if event.choice is not None:
            chose = ev.ContactChose(at=event.at, attempt=event.attempt, choice=event.choice, due=event.due)
            steps.call_step(floor, event.attempt, chose)
        floor.out.append(ForgetChoice(attempt=event.attempt))
        return
    if desk is None:
        return
    if floor.is_late_choice_new(event.attempt, ("missed", event.due)):
        call = msgspec.structs.replace(
            _call(event, event.arrived_at),
            state=CallState.ENDED,
            ended_at=max(event.arrived_at, event.at),
            ending="no_engine",
            result=Result.MISSED,
            choice=event.choice,
            callback_at=event.due if event.choice == "later" else None,
        )
        floor.out.append(SaveCall(call=call))
        if event.lead.id not in floor.live_leads:
            floor.forget_lead(event.lead.id)
            desk.hopper.remove(event.lead.id)
            recycling.recycle(floor, desk, event.lead, call, event.at)
            desk.hopper.wake()
            floor.is_stirred = True
    floor.out.append(ForgetChoice(attempt=event.attempt))


def let_nobody_wait_in_vain(floor: FloorState, at: float) -> None:
    """Callers whose operators have all signed out go to the overflow (rule 2)."""
    callers = [floor.calls[one] for one in floor.waiting if floor.calls[one].direction == "in"]
    if not callers and not floor.alone_since:
        return
    lanes = dict.fromkeys((call.campaign, call.server) for call in callers)
    alone = [one for one in lanes if not floor.waiting.is_anybody_signed_in(*one)]
    since = {one: floor.alone_since.get(one, at) for one in alone}
    if since != floor.alone_since:
        floor.alone_since = since
        floor.has_trace = True
    for call in callers:
        began_at = since.get((call.campaign, call.server))
        if began_at is not None and at - began_at >= ALONE_S:
            steps.call_step(floor, call.attempt, calls.Expired(at=at))


def _call(event: ev.CallArrived | ev.CallMissed, created_at: float) -> Call:
    """The call as it begins: it was answered when it came, before the greeting."""
    return Call(
        attempt=event.attempt,
        campaign=event.campaign,
        lead=event.lead.id,
        contact=event.lead.contact,
        phone=event.phone,
        number=event.number,
        ordinal=event.lead.ordinal,
        trunk=event.trunk,
        state=CallState.ANSWERED,
        created_at=created_at,
        answered_at=created_at,
        server=event.server,
        direction="in",
        did=event.did,
    )


def _came_at(attempt: AttemptId, at: float) -> float:
    """When the call came, as far as the dialplan's clock is believed; its recording lies under that day."""
    told = arrived_at(attempt)
    return told if told is not None and at - SKEW_S <= told <= at + _AHEAD_S else at


def _why_not_taken(floor: FloorState, desk: Desk, event: ev.CallArrived) -> tuple[Overflow, bool] | None:
    """Where the person goes at once, and whether that is so because we are closed; None: the call is taken."""
    rules = desk.campaign.inbound
    if not event.is_open or desk.state in _CLOSED:
        return _OUTSIDE[rules.outside], True
    if floor.is_leaving or not floor.waiting.is_anybody_signed_in(event.campaign, event.server):
        return outside.rules_for_callers(floor, desk, event.server, event.at).overflow, False
    return None
