"""The engine's side of the journal: one thread, one connection, one transaction a decision.

The loop hands work to the thread through a queue and awaits the answer; nothing here blocks the
loop. Because reads that matter to decisions run on the same thread in the same order, a lead
fetched after a save has that save's outcome.

Copying the log (WAL) into the journal's file costs tens of milliseconds at a time, and SQLite would
do it in the middle of a commit; a second thread does it instead, which no commit waits for.

The table ``events`` is for finding out what happened, and is kept for so long as that is asked (and so is
``pacing_notes``): whenever a day has passed, and nobody waits, the thread deletes what is too old, a little at a time
(:mod:`dialer.store.pruning`).

A failed save leaves nothing behind and raises; the floor is then told ``JournalFailed`` and
nothing is dialed until a save succeeds.
"""

# ruff: noqa: S608 - only names of our own columns are put into SQL; values are parameters

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from dialer.core.commands import Command
from dialer.core.events import Event
from dialer.core.ids import AgentId, AttemptId, CampaignId, LeadId
from dialer.core.values import Call, Campaign, Lead
from dialer.store import callers, dnc
from dialer.store import leads as lead_store
from dialer.store.calendar import Calendar
from dialer.store.callers import Caller
from dialer.store.connect import BUSY_S, open_writer, transaction
from dialer.store.errors import JournalError, StoreError
from dialer.store.fetching import Question
from dialer.store.guard import Guard
from dialer.store.history import LeftOut, noted
from dialer.store.loading import Loaded, load
from dialer.store.owed import owed_recordings
from dialer.store.pruning import prune_chunk
from dialer.store.rows import CALL_COLUMNS, call_from_row
from dialer.store.writing import Notes, note_left_out, write

T = TypeVar("T")
_Job = tuple[Callable[[sqlite3.Connection], object], "asyncio.Future[Any]", asyncio.AbstractEventLoop]

CHECKPOINT_S = 1.0
"""How often the log is copied into the journal's file."""
_PRUNE_AGAIN_S = 86_400.0
"""From one pruning to the next; there is one at the opening, too."""
_PRUNE_BREATH_S = 0.003
"""Between two such transactions others get the write lock."""
_PRUNE_FAILED_S = 60.0
"""After a failure (another writer, a full disk) it is tried again so much later."""
_LOG_PAGES_MAX = 16_000
"""With so long a log (64 MB) something holds it open, and the writer tries to copy it after all."""
PAGE_ROWS = 1000
"""Leads that wait, in one page of :meth:`Journal.waiting_leads`."""


class Journal:
    """The journal of one engine. Make it with :meth:`open`; use it from one event loop."""

    def __init__(
        self, path: Path, *, busy_s: float = BUSY_S, wall: Callable[[], float] | None = None
    ) -> None:
        self.path = path
        self._wall = wall
        self._busy_s = busy_s
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._copier = threading.Thread(target=self._copy, name="journal-copier", daemon=True)
        self._ended = threading.Event()
        self._connection: sqlite3.Connection | None = None
        self._calendar = Calendar()
        self._guard = Guard(self._calendar, wall)
        self._is_closed = False
        self._is_full = False
        self._prune_at = math.inf
        """When to prune, by the monotonic clock. Used by the thread alone."""
        self.transactions = 0
        """Transactions committed since the journal was opened."""
        self.busy_time_s = 0.0
        """Time that the thread has spent on saves."""

    @classmethod
    async def open(
        cls, path: Path, *, busy_s: float = BUSY_S, wall: Callable[[], float] | None = None
    ) -> Journal:
        """Open the journal, made and brought to its present form where needed.

        *wall*: the machine's clock, by which it is judged who may be dialed where it is behind the engine's
        (:class:`dialer.store.guard.Guard`).

        Raises:
            StoreError: it cannot be opened; JournalTooNew: a newer version wrote it.
        """
        journal = cls(path, busy_s=busy_s, wall=wall)
        journal._thread.start()
        try:
            await journal._run(journal._connect)
            journal._copier.start()
        except BaseException:
            await journal.close()
            raise
        return journal

    async def close(self) -> None:
        """Finish what is queued, close the connection, end the thread. A second time does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._join)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- what a decision needs ------------------------------------------------------------

    async def save(
        self, events: Sequence[Event], commands: Sequence[Command] = (), notes: Notes | None = None
    ) -> None:
        """Write a decision in one transaction: its *events*, its ``Save...`` *commands*.

        Other commands are noted in the table ``events``, nothing more. *notes*: all of them in the order
        in which they are to be noted, each event before what it led to; else the events come first.

        Raises:
            CallForbidden: calls among them must not be placed; without these it may be written.
            JournalRefused: the caller is at fault, trying again will not help.
            JournalError: it could not be written now. In both cases nothing was written.
        """

        def job(connection: sqlite3.Connection) -> None:
            began = time.perf_counter()
            try:
                with transaction(connection, busy_s=self._busy_s):
                    if self._is_full:
                        self._fill(connection)
                    write(connection, events, commands, self._guard, notes)
                self.transactions += 1
            finally:
                self.busy_time_s += time.perf_counter() - began

        await self._run(job)

    async def note_left_out(
        self,
        at: float,
        commands: Sequence[Command],
        reason: str,
        *,
        event: Event | None = None,
        attempt: AttemptId | None = None,
    ) -> None:
        """Note that *commands*, decided on *event*, were left out (of them only *attempt*'s, if named).

        *event*: None where it is noted already. Raises JournalError: it could not be written now.
        """
        left_out = LeftOut(at=at, reason=reason, attempt=attempt, commands=noted(commands))

        def job(connection: sqlite3.Connection) -> None:
            with transaction(connection, busy_s=self._busy_s):
                if self._is_full:
                    self._fill(connection)
                note_left_out(connection, event, left_out)

        await self._run(job)

    async def fetch_leads(
        self, campaign: Campaign, limit: int, at: float, present: Collection[AgentId] = ()
    ) -> tuple[list[Lead], bool, bool]:
        """At most *limit* leads that may be dialed at *at*, most urgent first, none with an open attempt;
        whether the campaign has any lead that is not finished; and whether the answer is partial: the end
        was not seen, ask again. *present*: see :class:`dialer.store.fetching.Question`.

        Raises:
            JournalError: the journal cannot be read.
        """
        if self._wall is not None:
            at = min(at, self._wall())
        question = Question(self._calendar, campaign, limit, at, present)

        def step(connection: sqlite3.Connection) -> bool:
            before = connection.total_changes
            is_over = question.step(connection)
            self.transactions += connection.total_changes > before
            return is_over

        while not await self._run(step):
            pass
        return question.leads, question.unfinished, question.is_partial

    async def find_caller(self, campaign: Campaign, caller: str, at: float, region: str) -> Caller:
        """Whose card the person has who calls *campaign*; see :func:`dialer.store.callers.find_caller`.

        Raises:
            JournalError: the journal cannot be read, or a new card cannot be written.
        """
        return await self._run(
            lambda connection: callers.find_caller(
                connection, self._calendar, campaign, caller, at, region, busy_s=self._busy_s
            )
        )

    async def barred(self, number: str, campaign: CampaignId) -> str:
        """The rule that keeps *campaign* from calling *number* (E.164), of the do-not-call lists; empty: none.

        Raises:
            JournalError: the lists cannot be read.
        """

        def job(connection: sqlite3.Connection) -> str:
            entry = dnc.look_up(connection, number, campaign)
            return "" if entry is None else entry.rule

        return await self._run(job)

    async def waiting_leads(
        self, campaign: CampaignId, at: float, after: tuple[int, float, int] | None = None
    ) -> tuple[list[tuple[LeadId, float]], tuple[int, float, int] | None]:
        """One page of the leads that become due after *at*, and where the next page begins.

        To arm all timers again: ask until the second value is None, giving it as *after*.
        """
        return await self._run(lambda c: lead_store.waiting_page(c, campaign, at, after, PAGE_ROWS))

    # -- starting ---------------------------------------------------------------------------

    async def load(self, at: float = math.inf) -> Loaded:
        """Everything that an engine needs to take up where the last one stopped, at the instant *at*.

        Raises:
            JournalError: the journal cannot be read.
        """
        return await self._run(lambda connection: load(connection, self._calendar, at))

    async def find_calls(self, attempts: Sequence[AttemptId]) -> list[Call]:
        """Those of *attempts* that the journal knows, as they stand.

        Raises:
            JournalError: the journal cannot be read.
        """
        sql = f"SELECT {CALL_COLUMNS} FROM attempts WHERE attempt = ?"

        def job(connection: sqlite3.Connection) -> list[Call]:
            rows = [connection.execute(sql, (attempt,)).fetchone() for attempt in attempts]
            return [call_from_row(row) for row in rows if row is not None]

        return await self._run(job)

    async def owed_recordings(self, at: float) -> list[Call]:
        """See :func:`dialer.store.owed.owed_recordings`.

        Raises:
            JournalError: the journal cannot be read.
        """
        return await self._run(lambda connection: owed_recordings(connection, at))

    async def enroll(self, campaign: CampaignId, at: float) -> int:
        """Make leads of the new contacts of the campaign's lists; return how many.

        In chunks, between which saves get their turn.

        Raises:
            JournalError: the journal cannot be written; what was enrolled stays.
        """
        added = 0

        def chunk(connection: sqlite3.Connection) -> int | None:
            return lead_store.enroll_chunk(connection, campaign, at, busy_s=self._busy_s)

        while (count := await self._run(chunk)) is not None:
            added += count
        return added

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do *work* on the journal's thread and connection: for short work that must see all saves."""
        return await self._run(work)

    # -- faults, for tests ------------------------------------------------------------------

    async def pretend_full(self, is_full: bool = True) -> None:
        """For tests: from now on SQLite finds no room for a new page, as on a full disk.

        The journal may not grow beyond its present pages, and each save first asks for more than
        is free: SQLite itself fails, in the middle of the transaction, with ``SQLITE_FULL``.
        """

        def job(connection: sqlite3.Connection) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0] if is_full else 2**30
            connection.execute(f"PRAGMA max_page_count = {pages}")
            self._is_full = is_full

        await self._run(job)

    @staticmethod
    def _fill(connection: sqlite3.Connection) -> None:
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(
            "INSERT INTO events (at, kind, name, body) VALUES (0, 'event', 'filler', hex(zeroblob(?)))",
            ((free + 2) * size,),
        )

    # -- the thread -------------------------------------------------------------------------

    def _connect(self, _: sqlite3.Connection) -> None:
        self._connection = open_writer(self.path, busy_s=self._busy_s)
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES_MAX}")
        self._prune_at = time.monotonic()

    def _join(self) -> None:
        self._ended.set()
        if self._copier.is_alive():
            self._copier.join()
        self._thread.join()

    def _copy(self) -> None:
        copied = -1
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            while not self._ended.wait(CHECKPOINT_S):
                if copied == self.transactions:
                    continue
                copied = self.transactions
                with contextlib.suppress(sqlite3.Error):  # what fails here fails at a save too, and says so
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._is_closed:
            raise JournalError("The journal is closed.")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._jobs.put((work, answer, loop))
        # Shielded: a cancelled caller does not undo what the thread is about to write.
        return cast("T", await asyncio.shield(answer))

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            work, answer, loop = job
            result: object = None
            failure: BaseException | None = None
            try:
                result = work(self._connection)  # type: ignore[arg-type]
            except sqlite3.Error as error:
                failure = JournalError(f"The journal could not be read: {error}.")
                failure.__cause__ = error
            except BaseException as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, answer, result, failure)
        if self._connection is not None:
            self._connection.close()

    def _next_job(self) -> _Job | None:
        """Wait for the next job; prune meanwhile, when it is time."""
        breath_s = 0.0
        while True:
            wait_s = max(breath_s, self._prune_at - time.monotonic())
            try:
                return self._jobs.get(timeout=min(wait_s, _PRUNE_AGAIN_S))
            except queue.Empty:
                if self._prune_at <= time.monotonic():
                    self._prune()
                    breath_s = _PRUNE_BREATH_S

    def _prune(self) -> None:
        """Delete one chunk of what is too old; when none is left, the next day has its turn."""
        assert self._connection is not None
        try:
            is_done = prune_chunk(self._connection, time.time())
            self.transactions += not is_done
            wait_s = _PRUNE_AGAIN_S if is_done else 0.0
        except (StoreError, sqlite3.Error):  # what fails here fails at a save too, and says so
            wait_s = _PRUNE_FAILED_S
        self._prune_at = time.monotonic() + wait_s


def _settle(answer: asyncio.Future[Any], result: object, failure: BaseException | None) -> None:
    if answer.done():
        return
    if failure is None:
        answer.set_result(result)
    else:
        answer.set_exception(failure)
