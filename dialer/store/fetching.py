"""Which leads may be dialed now: the store's answer to the hopper's question.

1. The most urgent come first: by priority, then by when they were due. None has an open attempt.
2. What costs nothing to leave out is left out by an index: leads that are finished or not due, classes
   that may not be called now (:mod:`dialer.store.classes`), cards whose owner they must wait for.
3. Each lead that is left is judged on fresh facts (:func:`dialer.core.judging.judge`). What may not be dialed
   now is put off on the spot (:mod:`dialer.store.holding`), so that it is looked at once, and not by
   each question until it may be dialed. That makes the price of a lead the same however many there are.
   Whose number or contact is being called at this moment is passed over: a switchboard that many share must
   not fill the hopper for as long as one of them talks.
4. A question is answered in short steps, between which saves get their turn; and no more leads than
   :data:`LOOKED_MAX` beyond those that are given out are looked at for one question. If the end was not
   seen by then, the answer is partial, and the hopper asks again.
5. What is put off is written in a short transaction of its own, by facts that no other program has
   changed meanwhile, or by others taken anew. If it cannot be written, the answer stands all the same.
"""

# ruff: noqa: S608 - only texts of our own are put into SQL; values are parameters

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Collection, Iterator, Sequence

from dialer.core.ids import AgentId, CampaignId, LeadId
from dialer.core.judging import Verdict, judge
from dialer.core.values import Campaign, Centre, Lead
from dialer.store import holding
from dialer.store.calendar import Calendar
from dialer.store.classes import open_classes
from dialer.store.connect import hasty, transaction
from dialer.store.errors import JournalError
from dialer.store.facts import ROW, Facts, Row
from dialer.store.guard import CONTACT_LIVE_SQL, LIVE_SQL
from dialer.store.schema import PRIORITIES
from dialer.store.settings import campaign_now, load_centre

LOOKED_MAX = 400
"""So many leads that may not be dialed are looked at for one question."""
STEP_ROWS = 48
"""Leads looked at in one step."""
LOOSE_ROWS = 200
"""Leads let loose, or returned to the pool, in one question."""
OWN_MAX = 4
"""Leads that have to wait for their owner are given out so many at once for each owner."""
BUSY_S = 0.05
"""Another writer is waited for no longer: what is to be put off can wait for the next question."""
_PAGE_ROWS = 48
_PAGE_ROWS_MIN = 4

_FREE = "NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.lead = leads.id AND attempts.state <> 'ended')"
_NEXT = f"AND due <= ? AND (due, id) > (?, ?) AND {_FREE} ORDER BY due, id LIMIT ?"
POOL_SQL = (
    f"SELECT {ROW} FROM leads WHERE finished IS NULL AND campaign = ? AND owner IS NULL AND priority = ?"
    f" AND class = ? {_NEXT}"
)
OF_OWNER_SQL = (
    f"SELECT {ROW} FROM leads WHERE finished IS NULL AND owner IS NOT NULL AND campaign = ? AND owner = ?"
    f" AND priority = ? {_NEXT}"
)
OWNED_SQL = (
    f"SELECT {ROW} FROM leads WHERE finished IS NULL AND owner IS NOT NULL AND campaign = ?"
    f" AND priority = ? {_NEXT}"
)
UNFINISHED_SQL = "SELECT 1 FROM leads WHERE campaign = ? AND finished IS NULL LIMIT 1"


class Question:
    """One question of the hopper, answered step by step.

    *campaign*: where the journal does not know it (which is for tests), it is taken as given, else as the
    journal has it. *present*: the operators for whom leads that wait for their owner are given out.
    """

    def __init__(
        self, calendar: Calendar, campaign: Campaign, limit: int, at: float, present: Collection[AgentId] = ()
    ) -> None:
        self.leads: list[Lead] = []
        self.unfinished = True
        self.is_partial = False
        self._calendar = calendar
        self._campaign = campaign
        self._centre = Centre()
        self._limit = limit
        self._at = at
        self._present = sorted(present)
        self._rows: Iterator[Row] | None = None
        self._seen: set[int] = set()
        self._own: dict[str, int] = {}
        self._left = LOOKED_MAX
        self._was_put_off = False
        self._has_failed = False

    def step(self, connection: sqlite3.Connection) -> bool:
        """Look a little further; whether the answer is complete.

        Raises:
            sqlite3.Error: the journal cannot be read.
        """
        if self._rows is None:
            self._prepare(connection)
        assert self._rows is not None
        version = _version(connection)
        facts = Facts(connection, self._calendar, self._campaign, self._centre, self._at)
        refused: list[tuple[Row, Verdict]] = []
        is_over = False
        for _ in range(STEP_ROWS):
            if len(self.leads) >= self._limit:
                is_over = True
                break
            if self._left <= 0:
                # Of those who are being called now nothing changes by asking again at once.
                self.is_partial = self.is_partial or self._was_put_off or bool(refused or self.leads)
                is_over = True
                break
            row = next(self._rows, None)
            if row is None:
                is_over = True
                break
            lead = facts.lead(row)
            verdict = judge(lead, self._campaign, self._at)
            if verdict.phone is not None and _is_live(connection, lead, verdict):
                self._left -= 1
            elif verdict.phone is not None:
                self.leads.append(lead)
                if lead.owner is not None:
                    self._own[lead.owner] = self._own.get(lead.owner, 0) + 1
            else:
                self._left -= 1
                refused.append((row, verdict))
        if refused:
            self._was_put_off = True
            self._put_off(connection, refused, version)
        if is_over:
            self.is_partial = self.is_partial and not self._has_failed
            if not self.leads and not self.is_partial and not self._has_failed:
                self.unfinished = (
                    connection.execute(UNFINISHED_SQL, (self._campaign.id,)).fetchone() is not None
                )
        return is_over

    def _prepare(self, connection: sqlite3.Connection) -> None:
        campaign = self._campaign.id
        self._tidy(connection, campaign)
        self._campaign = campaign_now(connection, campaign) or self._campaign
        self._centre = load_centre(connection)
        self._rows = self._most_urgent(connection)

    def _tidy(self, connection: sqlite3.Connection, campaign: CampaignId) -> None:
        """Let loose what rules of the past hold; return to the pool what was owned long enough."""
        stale = connection.execute(holding.STALE_SQL, (campaign, 1)).fetchone()
        over = connection.execute(holding.OVER_SQL, (campaign, self._at, 1)).fetchone()
        if stale is None and over is None:
            return
        try:
            with hasty(connection), transaction(connection, busy_s=BUSY_S):
                loose = holding.let_stale_loose(connection, campaign, self._at, LOOSE_ROWS)
                returned = holding.return_to_pool(connection, campaign, self._at, LOOSE_ROWS)
        except JournalError:
            self._has_failed = True
        else:
            self.is_partial = LOOSE_ROWS in (loose, returned)

    def _put_off(
        self, connection: sqlite3.Connection, refused: Sequence[tuple[Row, Verdict]], version: int
    ) -> None:
        try:
            with hasty(connection), transaction(connection, busy_s=BUSY_S):
                if _version(connection) != version:
                    refused = self._judged_anew(connection, refused)
                holding.put_off(connection, [(LeadId(row[0]), verdict) for row, verdict in refused], self._at)
        except JournalError:
            self._has_failed = True

    def _judged_anew(
        self, connection: sqlite3.Connection, refused: Sequence[tuple[Row, Verdict]]
    ) -> list[tuple[Row, Verdict]]:
        """Somebody else wrote between our reading and our transaction: what is refused still."""
        campaign = campaign_now(connection, self._campaign.id) or self._campaign
        facts = Facts(connection, self._calendar, campaign, load_centre(connection), self._at)
        again = [(row, judge(facts.lead(row), campaign, self._at)) for row, _ in refused]
        return [(row, verdict) for row, verdict in again if verdict.phone is None]

    # -- the order ------------------------------------------------------------------------

    def _most_urgent(self, connection: sqlite3.Connection) -> Iterator[Row]:
        for priority in PRIORITIES:
            streams = self._streams(connection, priority)
            yield from heapq.merge(*streams, key=lambda row: (row[4], row[0]))

    def _streams(self, connection: sqlite3.Connection, priority: int) -> list[Iterator[Row]]:
        classes = open_classes(connection, self._calendar, self._campaign, priority, self._at)
        campaign, at = self._campaign.id, self._at
        # With many classes open, each gives a few of what is wanted.
        first = max(_PAGE_ROWS_MIN, min(_PAGE_ROWS, 2 * self._limit // max(1, len(classes))))
        streams = [self._pages(connection, POOL_SQL, (campaign, priority, one), at, first) for one in classes]
        rule = self._campaign.owners
        if rule.away == "anyone":
            streams.append(self._pages(connection, OWNED_SQL, (campaign, priority), at, _PAGE_ROWS))
            return streams
        streams += [
            self._own_few(
                self._pages(connection, OF_OWNER_SQL, (campaign, owner, priority), at, _PAGE_ROWS_MIN), owner
            )
            for owner in self._present
        ]
        if rule.wait_s is not None:
            streams.append(
                self._pages(connection, OWNED_SQL, (campaign, priority), at - rule.wait_s, _PAGE_ROWS)
            )
        return streams

    def _own_few(self, rows: Iterator[Row], owner: AgentId) -> Iterator[Row]:
        for row in rows:
            if self._own.get(owner, 0) >= OWN_MAX:
                return
            yield row

    def _pages(
        self, connection: sqlite3.Connection, sql: str, where: tuple[object, ...], until: float, first: int
    ) -> Iterator[Row]:
        """Rows of one index in their order, read a page at a time: nothing is open between two steps."""
        due, number, rows = -1.0, 0, first
        while True:
            page: list[Row] = connection.execute(sql, (*where, until, due, number, rows)).fetchall()
            for row in page:
                if row[0] not in self._seen:
                    self._seen.add(row[0])
                    yield row
            if len(page) < rows:
                return
            last = page[-1]
            due, number, rows = last[4] or 0.0, last[0], _PAGE_ROWS


def fetch_leads(
    connection: sqlite3.Connection,
    calendar: Calendar,
    campaign: Campaign,
    limit: int,
    at: float,
    present: Collection[AgentId] = (),
) -> tuple[list[Lead], bool, bool]:
    """The whole answer to one question: the leads, whether any is not finished, and whether it is partial.

    Raises:
        sqlite3.Error: the journal cannot be read.
    """
    question = Question(calendar, campaign, limit, at, present)
    while not question.step(connection):
        pass
    return question.leads, question.unfinished, question.is_partial


def _is_live(connection: sqlite3.Connection, lead: Lead, verdict: Verdict) -> bool:
    """Whether the contact is called now for another campaign, or each number that may be dialed is for somebody."""
    if connection.execute(CONTACT_LIVE_SQL, (lead.contact, "")).fetchone() is not None:
        return True
    return all(
        connection.execute(LIVE_SQL, (one.phone.number, "")).fetchone() is not None
        for one in verdict.phones
        if not one.rule
    )


def _version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection writes."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
