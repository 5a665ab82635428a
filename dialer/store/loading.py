"""What an engine takes up when it starts: settings, states, and the calls that had not ended."""

# ruff: noqa: S608 - only names of our own columns are put into SQL; values are parameters

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable

import msgspec

from dialer.core.deskphone import DeskPhone
from dialer.core.destinations import trunk_ids
from dialer.core.events import EngineStarted, Onward
from dialer.core.ids import AgentId, AttemptId, CampaignId, ChannelId, ServerId, TrunkId
from dialer.core.pacing.ledger import DayCount
from dialer.core.transfer_facts import Transfer
from dialer.core.trunk import TrunkNoted
from dialer.core.values import TRUNK_ENDINGS, Call, CallState, Centre, Lead, Trunk
from dialer.store import facts, promises, recall, settings
from dialer.store import leads as lead_store
from dialer.store.calendar import Calendar
from dialer.store.deskphones import load_phones
from dialer.store.errors import StoreError
from dialer.store.rows import CALL_COLUMNS, TRANSFER_FIELDS, call_from_row, transfer_from_row
from dialer.store.schema import PRIORITY_PROMISED
from dialer.store.settings import StoredAgent, StoredCampaign
from dialer.store.trunks import disabled

OPEN_SQL = f"SELECT {CALL_COLUMNS} FROM attempts INDEXED BY attempts_open WHERE state <> 'ended'"


TRANSFERS_SQL = (
    f"SELECT {', '.join(f'transfers.{name}' for name in TRANSFER_FIELDS)} FROM attempts INDEXED BY attempts_open"
    " JOIN transfers ON transfers.attempt = attempts.attempt WHERE attempts.state <> 'ended' ORDER BY 1, 2"
)
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
    which an agent may still give the result. *ledgers*, *knowledge*, *trunks_noted*, *left*, *talks*, *turns*: see
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
    phones: tuple[DeskPhone, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    """Of calls that had not ended, over or not."""
    trunks_disabled: tuple[TrunkId, ...] = ()
    tried: tuple[tuple[AttemptId, tuple[TrunkId, ...]], ...] = ()
    """Of the calls that are being dialed, each with the trunks that would not carry it."""
    trunks_noted: tuple[TrunkNoted, ...] = ()
    left: tuple[tuple[ServerId, tuple[ChannelId, ...]], ...] = ()
    talks: tuple[tuple[AgentId, tuple[float, ...]], ...] = ()
    turns: tuple[tuple[CampaignId, AgentId], ...] = ()

    def started(
        self, *, at: float, version: str, new_id: Callable[[], AttemptId] | None = None
    ) -> EngineStarted:
        """The same as the engine's first event. *new_id*: makes ids of attempts, for calls that go on by other trunks."""
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
            trunks_disabled=self.trunks_disabled,
            transfers=self.transfers,
            outside=outside_lines(self.phones),
            onward=self._onward(new_id) if new_id is not None else (),
            trunks_noted=self.trunks_noted,
            left=self.left,
            talks=self.talks,
            turns=self.turns,
        )

    def _onward(self, new_id: Callable[[], AttemptId]) -> tuple[Onward, ...]:
        trunks_of = {one.campaign.id: len(trunk_ids(one.campaign)) for one in self.campaigns}
        campaign_of = {one.call.attempt: one.call.campaign for one in self.open}
        return tuple(
            Onward(
                attempt=attempt,
                more=tuple(new_id() for _ in range(trunks_of[campaign_of[attempt]] - 1 - len(tried))),
                tried=tried,
            )
            for attempt, tried in self.tried
        )


def outside_lines(phones: Iterable[DeskPhone]) -> tuple[tuple[str, TrunkId], ...]:
    """Of *phones* those that are outside lines which we call, and by which trunks."""
    return tuple(
        (one.extension, TrunkId(one.trunk)) for one in phones if one.is_outside and one.number and one.trunk
    )


def load(connection: sqlite3.Connection, calendar: Calendar, at: float = math.inf) -> Loaded:
    """Read what an engine knows when it starts, at the instant *at* (not given: nothing of who talked of late).

    Raises StoreError: the journal contradicts itself.
    """
    agents = settings.load_agents(connection)
    campaigns, trunks = settings.load_campaigns(connection), settings.load_trunks(connection)
    is_called = any(one.campaign.inbound.numbers for one in campaigns)
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
        trunks=tuple(trunks),
        campaigns=tuple(campaigns),
        agents=tuple(agents),
        open=tuple(
            _with_lead(connection, calendar, call) for call in sorted(calls, key=lambda call: call.created_at)
        ),
        last=tuple(_last(connection, calendar, call) for call in last),
        ledgers=promises.ledgers(connection),
        knowledge=promises.knowledge(connection),
        phones=tuple(load_phones(connection)),
        transfers=tuple(transfer_from_row(row) for row in connection.execute(TRANSFERS_SQL)),
        trunks_disabled=tuple(disabled(connection)),
        tried=tuple(
            (call.attempt, _tried(connection, call))
            for call in calls
            if call.state is CallState.DIALING or call.ending in TRUNK_ENDINGS
        ),
        trunks_noted=tuple(recall.trunks_noted(connection, (one.id for one in trunks))),
        left=recall.left_channels(connection),
        talks=tuple(recall.talks(connection, (one.agent.id for one in agents), at)) if is_called else (),
        turns=tuple(recall.turns(connection, (one.campaign for one in campaigns))),
    )


TRIED_SQL = """
WITH RECURSIVE earlier (trunk, after) AS (
    SELECT trunk, after FROM attempts WHERE attempt = ?
    UNION ALL SELECT a.trunk, a.after FROM earlier JOIN attempts a ON a.attempt = earlier.after LIMIT 64
) SELECT trunk FROM earlier
"""


def _tried(connection: sqlite3.Connection, call: Call) -> tuple[TrunkId, ...]:
    """The trunks of the attempts that went on as *call*, oldest first."""
    if call.after is None:
        return ()
    found = [TrunkId(row[0]) for row in connection.execute(TRIED_SQL, (call.after,))]
    return tuple(reversed(found))


def _last(connection: sqlite3.Connection, calendar: Calendar, call: Call) -> LastCall:
    was_later = lead_store.was_dialed_again(connection, call.lead, call.ordinal, call.created_at)
    if was_later or _was_promised(connection, call):
        return LastCall(call=call, lead=None)
    return LastCall(call=call, lead=_with_lead(connection, calendar, call).lead)


def _was_promised(connection: sqlite3.Connection, call: Call) -> bool:
    """Whether somebody else than the call's operator promised the person a call since."""
    row = connection.execute(PROMISED_SQL, (call.lead,)).fetchone()
    return row is not None and row[0] != call.callback_at


def _with_lead(connection: sqlite3.Connection, calendar: Calendar, call: Call) -> CallAndLead:
    campaign = settings.campaign_now(connection, call.campaign)
    ordinal = call.ordinal if call.direction == "out" else None  # theirs is none of our tries
    lead = facts.lead_before(connection, calendar, campaign, call.lead, ordinal) if campaign else None
    if lead is None:
        raise StoreError(
            f"Attempt {call.attempt} names the lead {call.lead}, which the journal does not hold."
        )
    return CallAndLead(call=call, lead=lead)
