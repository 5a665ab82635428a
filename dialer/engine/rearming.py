"""Every deadline is armed again: after a start, and after Redis was away or wiped."""

from __future__ import annotations

from dialer.core.commands import SetTimer
from dialer.core.floor import Floor
from dialer.store.journal import Journal
from dialer.timers import Timers


async def rearm(timers: Timers, floor: Floor, journal: Journal, at: float) -> None:
    """Those on the floor, and those of the leads that wait."""
    await timers.apply(floor.deadlines())
    for campaign in [desk.campaign.id for desk in floor.desks.values() if desk.is_running]:
        after = None
        while True:
            page, after = await journal.waiting_leads(campaign, at, after)
            await timers.apply(
                [SetTimer(kind="lead", subject=str(lead), due=due, campaign=campaign) for lead, due in page]
            )
            if after is None:
                break
