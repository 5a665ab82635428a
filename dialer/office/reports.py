"""Reports and recordings as the command line shows them.

On a terminal a table has the columns that fit and matter; JSON and CSV have all of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dialer.office import tables
from dialer.office.numbers import Numbers
from dialer.store import files
from dialer.store import reports as questions
from dialer.store.connect import open_reader
from dialer.store.errors import NotInStore
from dialer.store.reports import Chosen

ATTEMPTS_TABLE = (
    "began_at",
    "campaign",
    "contact_name",
    "phone_kind",
    "number",
    "ordinal",
    "agent",
    "result",
    "operator_result",
    "ring_s",
    "wait_s",
    "talk_s",
)
CAMPAIGNS_TABLE = (
    "campaign",
    "state",
    "leads",
    "waiting",
    "finished",
    "attempts",
    "answered",
    "talked",
    "abandoned",
    "abandoned_share",
    "contacts",
    "orders",
    "talk_avg_s",
)
AGENTS_TABLE = (
    "rank",
    "agent",
    "name",
    "talked",
    "contacts",
    "orders",
    "order_share",
    "talk_s",
    "talk_avg_s",
    "signed_in_s",
    "ready_s",
    "wrap_up_s",
    "paused_s",
)
RECORDINGS_TABLE = (
    "began_at",
    "attempt",
    "campaign",
    "contact_name",
    "number",
    "agent",
    "operator_result",
    "length_s",
    "path",
    "missing",
)


def show_attempts(home: Path, as_format: str, **chosen: Any) -> None:
    """Print the attempts. Raises StoreError."""
    with _asked(home, chosen) as (store, what):
        tables.show(questions.attempts(store, what), as_format, columns=_columns(as_format, ATTEMPTS_TABLE))


def show_campaigns(home: Path, as_format: str, by: str, **chosen: Any) -> None:
    """Print one row for each campaign, or with *by* ``result`` for each result; as a table both.

    Raises StoreError.
    """
    with _asked(home, chosen) as (store, what):
        summary = questions.campaigns(store, what)
        results = questions.results(store, what)
    if as_format != "table":
        tables.show(results if by == "result" else summary, as_format)
        return
    if by == "campaign":
        tables.show(summary, columns=CAMPAIGNS_TABLE, title="Campaigns")
    tables.show(results, title="Results")


def show_agents(home: Path, as_format: str, **chosen: Any) -> None:
    """Print one row for each operator, the best first. Raises StoreError."""
    with _asked(home, chosen) as (store, what):
        tables.show(questions.agents(store, what), as_format, columns=_columns(as_format, AGENTS_TABLE))


def show_recordings(home: Path, as_format: str, **chosen: Any) -> None:
    """Print the recordings of answered calls. Raises StoreError."""
    with _asked(home, chosen) as (store, what):
        tables.show(
            questions.recordings(store, what), as_format, columns=_columns(as_format, RECORDINGS_TABLE)
        )


def recording_path(home: Path, attempt: str) -> Path:
    """The file of the attempt's recording. Raises NotInStore: there is none, and why."""
    system = files.load_system(home)
    with closing(open_reader(system.journal)) as store:
        path = system.recordings_folder / questions.recording_path(store, attempt)
    if not path.is_file():
        raise NotInStore(f"The recording of {attempt} should be {path}, and is not there.")
    return path


@contextmanager
def _asked(home: Path, chosen: dict[str, Any]) -> Iterator[tuple[sqlite3.Connection, Chosen]]:
    system = files.load_system(home)
    if chosen.get("number"):  # a whole number in any form, else the beginning of one
        chosen["number"] = Numbers(system.region).accept(chosen["number"]) or chosen["number"]
    with closing(open_reader(system.journal)) as store:
        yield store, Chosen(**chosen)


def _columns(as_format: str, shown: tuple[str, ...]) -> tuple[str, ...]:
    return shown if as_format == "table" else ()
