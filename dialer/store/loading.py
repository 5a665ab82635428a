"""What an engine takes up when it starts: settings, states, and the calls that had not ended."""

# ruff: noqa: S608 - only names of our own columns are put into SQL; values are parameters

from __future__ import annotations

import sqlite3

import msgspec

from dialer.core.events import EngineStarted
from dialer.core.ids import CampaignId
from dialer.core.pacing.ledger import DayCount
from dialer.core.values import Call, Centre, Lead, Trunk
from dialer.store import facts, promises, settings
from dialer.store import leads as lead_store
from dialer.store.calendar import Calendar
from dialer.store.errors import StoreError
from dialer.store.rows import CALL_COLUMNS, call_from_row
from dialer.store.schema import PRIORITY_PROMISED
from dialer.store.settings import StoredAgent, StoredCampaign

OPEN_SQL = f"SELECT {CALL_COLUMNS} FROM attempts INDEXED BY attempts_open WHERE state <> 'ended'"


PROMISED_SQL = f"SELECT coalesce(held_due, due) FROM leads WHERE id = ? AND priority = {PRIORITY_PROMISED}"


class CallAndLead(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt, and its lead as it was when the attempt was placed."""

    call: Call
    lead: Lead


class LastCall(msgspec.Struct, frozen=True, kw_only=True):
    """An ended attempt of which its agent may still give the result.

    *lead*: as it was when the attempt was placed; None when it was dialed again since, or promised a call by
    somebody else, for then its future is the later attempt's business.
    """

    call: Call
    lead: Lead | None


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine knows when it starts.

    *open*: attempts that had not ended when the last engine stopped. *last*: ended attempts of
    which an agent may still give the result. *ledgers*, *knowledge*: see
    :class:`dialer.core.events.EngineStarted`.
    """

    centre: Centre
    trunks: tuple[Trunk, ...]
    campaigns: tuple[StoredCampaign, ...]
    agents: tuple[StoredAgent, ...]
    open: tuple[CallAndLead, ...]
    last: tuple[LastCall, ...]
    ledgers: tuple[tuple[CampaignId, tuple[DayCount, ...]], ...]
    knowledge: tuple[tuple[str, str], ...]

    def started(self, *, at: float, version: str) -> EngineStarted:
        """The same as the engine's first event."""
        return EngineStarted(
            at=at,
            version=version,
            centre=self.centre,
            trunks=self.trunks,
            campaigns=tuple((one.campaign, one.state) for one in self.campaigns),
            cards=tuple(one.card for one in self.agents),
            agents=tuple(one.agent for one in self.agents),
            calls=tuple((one.call, one.lead) for one in self.open),
            last=tuple((one.call, one.lead) for one in self.last),
            ledgers=self.ledgers,
            knowledge=self.knowledge,
        )


def load(connection: sqlite3.Connection, calendar: Calendar) -> Loaded:
    """Read what an engine knows when it starts. Raises StoreError: the journal contradicts itself."""
    agents = settings.load_agents(connection)
    calls = [call_from_row(row) for row in connection.execute(OPEN_SQL)]
    known = {call.attempt for call in calls}
    last: list[Call] = []
    for one in agents:
        for attempt in (one.agent.attempt, one.agent.last_attempt):
            if attempt is None or attempt in known:
                continue
            known.add(attempt)
            row = connection.execute(
                f"SELECT {CALL_COLUMNS} FROM attempts WHERE attempt = ?", (attempt,)
            ).fetchone()
            if row is not None:
                last.append(call_from_row(row))
    return Loaded(
        centre=settings.load_centre(connection),
        trunks=tuple(settings.load_trunks(connection)),
        campaigns=tuple(settings.load_campaigns(connection)),
        agents=tuple(agents),
        open=tuple(
            _with_lead(connection, calendar, call) for call in sorted(calls, key=lambda call: call.created_at)
        ),
        last=tuple(_last(connection, calendar, call) for call in last),
        ledgers=promises.ledgers(connection),
        knowledge=promises.knowledge(connection),
    )


def _last(connection: sqlite3.Connection, calendar: Calendar, call: Call) -> LastCall:
    if lead_store.was_dialed_again(connection, call.lead, call.ordinal) or _was_promised(connection, call):
        return LastCall(call=call, lead=None)
    return LastCall(call=call, lead=_with_lead(connection, calendar, call).lead)


def _was_promised(connection: sqlite3.Connection, call: Call) -> bool:
    """Whether somebody else than the call's operator promised the person a call since."""
    row = connection.execute(PROMISED_SQL, (call.lead,)).fetchone()
    return row is not None and row[0] != call.callback_at


def _with_lead(connection: sqlite3.Connection, calendar: Calendar, call: Call) -> CallAndLead:
    campaign = settings.campaign_now(connection, call.campaign)
    lead = facts.lead_before(connection, calendar, campaign, call.lead, call.ordinal) if campaign else None
    if lead is None:
        raise StoreError(
            f"Attempt {call.attempt} names the lead {call.lead}, which the journal does not hold."
        )
    return CallAndLead(call=call, lead=lead)
