"""Recordings that are owed: of calls that were to be recorded, and of which no recording is known yet.

Whether a call was to be recorded is what its campaign said when the call was placed. An engine that starts asks
once; it need not look far back, for what is left to be done of a recording is done within seconds of the
call's end, or tried again as long as the raw file is there, which tells by itself.
"""

# ruff: noqa: S608 - only names of our own columns are put into SQL; values are parameters

from __future__ import annotations

import sqlite3

from dialer.core.values import Call
from dialer.store.rows import CALL_COLUMNS, call_from_row

OWED_S = 7200.0
"""Calls that were placed longer ago than this are not looked at."""

_OWED = f"""
SELECT {CALL_COLUMNS} FROM attempts
WHERE created_at >= :since AND (state <> 'ended' OR answered_at IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM recordings WHERE recordings.attempt = attempts.attempt)
    AND coalesce((
        SELECT json_extract(settings, '$.record') FROM campaign_settings
        WHERE campaign_settings.campaign = attempts.campaign AND applied_at <= attempts.created_at
        ORDER BY applied_at DESC LIMIT 1
    ), 1)
ORDER BY created_at
"""


def owed_recordings(connection: sqlite3.Connection, at: float) -> list[Call]:
    """Calls, live or answered and over, that were to be recorded and have neither a recording nor a reason."""
    return [call_from_row(row) for row in connection.execute(_OWED, {"since": at - OWED_S})]
