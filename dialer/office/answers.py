"""Reports and recordings as the command line shows them.

A table has the columns that fit and matter; JSON and CSV have all of them. Long listings are printed
page by page, so that none needs memory.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dialer.core.ids import AttemptId
from dialer.office import known, tables
from dialer.office.numbers import Numbers
from dialer.office.tables import Row
from dialer.store import figures, files, questions, samples, settings
from dialer.store.connect import open_reader
from dialer.store.errors import NotInStore
from dialer.store.questions import Filter, Key, Page

ORDER = "order"
"""The name of the operators' result that is an order."""

ATTEMPTS_TABLE = (
    "created_at",
    "direction",
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
    "unfinished",
    "finished",
    "penetration",
    "attempts",
    "answered",
    "talked",
    "abandoned",
    "abandoned_share",
    "orders",
    "talk_s_mean",
    "calls_in",
    "missed",
)
AGENTS_TABLE = (
    "rank",
    "agent",
    "name",
    "calls",
    "orders",
    "talk_s",
    "talk_s_mean",
    "signed_in_s",
    "ready_s",
    "wrap_up_s",
    "paused_s",
    "occupancy",
)
RECORDINGS_TABLE = (
    "started_at",
    "attempt",
    "campaign",
    "contact_name",
    "number",
    "agent",
    "operator_result",
    "length_s",
)
MISSING_TABLE = ("attempt", "campaign", "contact_name", "number", "agent", "result", "missing")


def show_attempts(home: Path, as_format: str, limit: int | None, **chosen: Any) -> None:
    """Print attempts, oldest first; with *limit* only the latest so many. Raises StoreError, BadNumber."""
    with _asked(home, chosen) as (store, which):
        rows = _rows(lambda **page: questions.attempts(store, which, **page), limit)
        tables.show(rows, as_format, columns=_columns(as_format, ATTEMPTS_TABLE))


def show_recordings(
    home: Path,
    as_format: str,
    limit: int | None,
    missing: bool,
    min_length: float | None,
    sample: int | None,
    seed: int,
    **chosen: Any,
) -> None:
    """Print recordings, oldest first, or with *missing* the answered calls without one; with *sample* only so many,
    chosen by chance.

    Raises StoreError, BadNumber.
    """
    with _asked(home, chosen) as (store, which):
        rows: Iterable[Row]
        if sample is not None:
            rows = samples.recordings(
                store, which, size=sample, seed=seed, missing=missing, length_min_s=min_length
            )
        else:
            rows = _rows(
                lambda **page: questions.recordings(
                    store, which, missing=missing, length_min_s=min_length, **page
                ),
                limit,
            )
        tables.show(
            rows, as_format, columns=_columns(as_format, MISSING_TABLE if missing else RECORDINGS_TABLE)
        )


def show_campaigns(
    home: Path, as_format: str, campaign: str | None, by: str, since: float | None, until: float | None
) -> None:
    """Print one row for each campaign, or *by* ``result``, ``operator_result`` or ``hour``.

    A table of one campaign has its results beside its row. Raises StoreError.
    """
    period = _period(since, until)
    with closing(open_reader(files.load_system(home).journal)) as store:
        if campaign is not None:
            settings.load_campaign(store, campaign)  # says so if there is none
        rows = figures.campaigns(store, campaign, **period)
        names = [row["campaign"] for row in rows]
        results = {name: figures.campaign_results(store, name, **period) for name in names}
        spoken = {name: figures.campaign_operator_results(store, name, **period) for name in names}
        hours = {name: figures.campaign_hours(store, name, **period) for name in names if by == "hour"}
    for row in rows:
        said = {one["operator_result"]: one["attempts"] for one in spoken[row["campaign"]]}
        row |= {"operator_results": said, "orders": said.get(ORDER, 0)}
    parts = {"result": results, "operator_result": spoken, "hour": hours}
    if by != "campaign":
        tables.show(_with_names(parts[by]), as_format)
        return
    tables.show(rows, as_format, columns=_columns(as_format, CAMPAIGNS_TABLE))
    if as_format == "table" and campaign is not None:
        tables.show(results[campaign], title="How attempts ended")
        tables.show(spoken[campaign], title="What operators said of conversations")


def show_agents(home: Path, as_format: str, since: float | None, until: float | None) -> None:
    """Print one row for each operator, the best first. Raises StoreError."""
    with closing(open_reader(files.load_system(home).journal)) as store:
        rows = figures.agents(store, at=time.time(), since=since or 0.0, until=until)
    for row in rows:
        row["orders"] = row["operator_results"].get(ORDER, 0)
    tables.show(rows, as_format, columns=_columns(as_format, AGENTS_TABLE))


def recording_path(home: Path, attempt: AttemptId) -> Path:
    """The file of the attempt's recording. Raises NotInStore: there is none, and why."""
    system = files.load_system(home)
    with closing(open_reader(system.journal)) as store:
        row = store.execute(
            "SELECT a.answered_at, r.path, r.missing FROM attempts a"
            " LEFT JOIN recordings r ON r.attempt = a.attempt WHERE a.attempt = ?",
            (attempt,),
        ).fetchone()
    if row is None:
        raise NotInStore(f"There is no attempt {attempt}.")
    if row["path"] is None:
        why = row["missing"] or ("not finished yet" if row["answered_at"] else "it was not answered")
        raise NotInStore(f"The attempt {attempt} has no recording: {why}.")
    folder = system.recordings_folder.resolve()
    path: Path = (folder / row["path"]).resolve()
    if not path.is_relative_to(folder):  # the journal is a file that others may have written to
        raise NotInStore(f"The recording of {attempt} is said to lie outside {folder}; it is not touched.")
    if not path.is_file():
        raise NotInStore(f"The recording of {attempt} should be {path}, and is not there.")
    return path


@contextmanager
def _asked(home: Path, chosen: dict[str, Any]) -> Iterator[tuple[sqlite3.Connection, Filter]]:
    system = files.load_system(home)
    if chosen.get("number"):
        chosen["number"] = Numbers(system.region).read(chosen["number"])
    with closing(open_reader(system.journal)) as store:
        known.check(store, campaign=chosen.get("campaign"), agent=chosen.get("agent"))
        if chosen.get("contact") is not None:
            known.check_contact(store, chosen["contact"])
        yield store, Filter(**chosen)


def _rows(ask: Callable[..., Page], limit: int | None) -> Iterator[Row]:
    """All rows, or the latest *limit* of them, oldest first."""

    def page(after: Key | None) -> Page:
        return ask(after=after)

    if limit is None:
        return questions.all_pages(page)
    return iter(ask(descending=True, limit=limit).rows[::-1])


def _with_names(parts: dict[str, list[dict[str, Any]]]) -> Iterator[Row]:
    for name, rows in parts.items():
        for row in rows:
            yield {"campaign": name, **row}


def _period(since: float | None, until: float | None) -> dict[str, float]:
    given = {"since": since, "until": until}
    return {key: value for key, value in given.items() if value is not None}


def _columns(as_format: str, shown: tuple[str, ...]) -> tuple[str, ...]:
    return shown if as_format == "table" else ()
