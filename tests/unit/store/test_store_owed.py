"""Which recordings are owed: what an engine that starts must look after."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from msgspec.structs import replace

from dialer.core.commands import SaveCall
from dialer.core.events import RecordingMissing, Ticked
from dialer.core.values import Call, CallState, Campaign, Lead, Result
from dialer.store import settings
from dialer.store.journal import Journal
from dialer.store.owed import OWED_S

MakeCall = Callable[..., Call]


async def test_a_recording_is_owed_of_what_is_live_or_was_answered_and_was_to_be_recorded(
    journal: Journal, campaign: Campaign, call_for: MakeCall, db: sqlite3.Connection
) -> None:
    (first, second, third), _, _ = await journal.fetch_leads(campaign, 3, 10.0)

    def over(lead: Lead, serial: int, **changes: object) -> Call:
        fields = {"state": CallState.ENDED, "ended_at": 130.0, "result": Result.TALKED, "answered_at": 110.0}
        return call_for(lead, serial, **(fields | changes))

    live = call_for(first, 1, state=CallState.CONNECTED, answered_at=110.0)
    talked = over(second, 2)
    busy = over(third, 3, answered_at=None, result=Result.BUSY)
    await journal.save([Ticked(at=100.0)], [SaveCall(call=call) for call in (live, talked, busy)])
    assert await journal.owed_recordings(140.0) == [live, talked]
    assert await journal.owed_recordings(100.0 + OWED_S + 1.0) == []

    await journal.save([RecordingMissing(at=140.0, attempt=talked.attempt, reason="none")])
    assert await journal.owed_recordings(140.0) == [live]

    # The campaign records no more: that is said of calls that are placed from now on.
    settings.apply_campaign(db, replace(campaign, record=False), 150.0)
    assert await journal.owed_recordings(160.0) == [live]
    silent = over(third, 4, ordinal=2, created_at=155.0, answered_at=156.0, ended_at=159.0)
    await journal.save([Ticked(at=155.0)], [SaveCall(call=silent)])
    assert await journal.owed_recordings(160.0) == [live]
