"""Originating: a call comes on the floor, is saved, and is ordered from Asterisk."""

from __future__ import annotations

from dialer.core import routing
from dialer.core.commands import Originate, SaveCall, SetTimer
from dialer.core.desk import Desk, TrunkDesk
from dialer.core.events import Onward
from dialer.core.ids import ONLY, AttemptId, ServerId
from dialer.core.state import FloorState
from dialer.core.values import Call, Lead, LeadPhone


def originate(
    floor: FloorState,
    desk: Desk,
    lead: Lead,
    phone: LeadPhone,
    trunk: TrunkDesk,
    way: Onward,
    at: float,
    *,
    server: ServerId = ONLY,
    ordinal: int | None = None,
    after: AttemptId | None = None,
) -> Call:
    """Place a call to *phone* by *trunk*, which has room for it. *way*: its id, and by which others it may go on.

    *after*: the attempt that goes on as this one, with its *ordinal*.
    """
    campaign = desk.campaign
    call = Call(
        attempt=way.attempt,
        campaign=campaign.id,
        lead=lead.id,
        contact=lead.contact,
        phone=phone.id,
        number=phone.number,
        ordinal=lead.ordinal + 1 if ordinal is None else ordinal,
        trunk=trunk.trunk.id,
        created_at=at,
        deadline=at + campaign.ring_s,
        server=server,
        caller_id=trunk.caller_id(campaign, phone.number),
        after=after,
    )
    floor.take_call(call, lead)
    floor.onward[call.attempt] = way
    if trunk.probe == call.attempt:
        routing.note(floor, trunk, at, "its rest is over, a call probes")
    desk.last_dialed_at = desk.last_dialed_on[server] = at
    floor.out += (
        SaveCall(call=call),
        SetTimer(kind="attempt", subject=call.attempt, due=at + campaign.ring_s),
        Originate(
            attempt=call.attempt,
            campaign=campaign.id,
            trunk=trunk.trunk.id,
            number=phone.number,
            caller_id=call.caller_id,
            ring_s=campaign.ring_s,
            record=campaign.record,
            wait_s=campaign.wait_s + campaign.agent_ring_s,
            kind=phone.kind,
            zones=phone.zones,
            message_times=campaign.announcement.times if campaign.mode == "announcement" else 0,
            listen_s=campaign.machines.listening_s,
            server=server,
        ),
    )
    return call
