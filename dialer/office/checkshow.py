"""``dialer campaign check``: runs the dry run with its progress, and prints what it found."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from dialer.office import clocks, conductcautions, tables
from dialer.office.cautions import cautions
from dialer.office.checking import Check, Hour, Never, Reason, check
from dialer.office.layers import RULES
from dialer.office.tables import csv_cell
from dialer.office.whyshow import engine_now
from dialer.store import files, settings
from dialer.store.calendar import Calendar
from dialer.store.census import open_census
from dialer.store.connect import open_reader

BAR = 30
"""Characters of the longest bar."""


def check_campaign(home: Path, name: str, hours: int, never: Path | None, as_format: str) -> None:
    """Print the dry run of a campaign; *never*: a new file for all contacts that are never called.

    Raises StoreError, OSError.
    """
    system = files.load_system(home)
    at = time.time()
    with closing(open_reader(system.journal)) as connection:
        connection.row_factory = None
        stored = settings.load_campaign(connection, name)
        with ExitStack() as stack:
            census = stack.enter_context(open_census(system.journal, stored.campaign, system.centre, at))
            tell = None if never is None else stack.enter_context(_written(never))
            progress = stack.enter_context(_bar())
            found = check(
                census,
                Calendar(),
                stored.campaign,
                system.centre,
                at,
                hours=hours,
                never=tell,
                progress=progress,
            )
        warned = cautions(connection, stored, system.centre, engine_now(home), found, home)
        noted = list(conductcautions.notes(connection, stored.campaign))
    if as_format == "json":
        tables.show([_as_row(found, warned, noted)], "json")
    elif as_format == "csv":
        tables.show([msgspec.structs.asdict(hour) for hour in found.hours], "csv")
    else:
        _print(found, warned, noted, str(stored.state), never)


@contextmanager
def _written(path: Path) -> Iterator[Never]:
    """A new CSV file with each contact that is never called, and why."""
    with path.open("x", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["contact", "reason", "says"])
        yield lambda contact, reason: writer.writerow([contact, csv_cell(reason), csv_cell(_says(reason))])


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("contacts judged one by one", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _says(reason: str) -> str:
    return RULES.get(reason, "")


def _as_row(found: Check, warned: list[str], noted: list[str]) -> dict[str, Any]:
    row = msgspec.structs.asdict(found)
    row["hours"] = [{**msgspec.structs.asdict(one), "at": tables.iso(one.at)} for one in found.hours]
    row["never"] = [{**msgspec.structs.asdict(one), "says": _says(one.reason)} for one in found.never]
    return {**row, "warnings": warned, "notes": noted}


def _print(found: Check, warned: list[str], noted: list[str], state: str, never: Path | None) -> None:
    write = sys.stdout.write
    new = sum(hour.new for hour in found.hours)
    barred = sum(one.contacts for one in found.never if not one.is_done)
    done = sum(one.contacts for one in found.never if one.is_done)
    write(
        f"Campaign {found.campaign} ({state}) at {clocks.clock(found.at)}: {found.contacts} contacts, as things are now\n"
        f"  {new} may be dialed in the next {len(found.hours)} hours\n"
    )
    if found.later:
        first = f", the first at {clocks.clock(found.later_at)}" if found.later_at is not None else ""
        write(f"  {found.later} only later{first}\n")
    write(f"  {barred} never by a rule, {done} done\n")
    if found.owned:
        write(f"  {found.owned} of them belong to an operator\n")
    tables.show(
        list(_hour_rows(found.hours)), title=f"Contacts that may be dialed, hour by hour ({_zone(found.at)})"
    )
    if found.never:
        tables.show([_never_row(one) for one in found.never], title="Never (again)")
        write(f"All of them: {never}\n" if never is not None else "All of them: --never FILE.csv\n")
    for sentence in warned:
        write(f"Warning: {sentence}\n")
    for sentence in noted:
        write(f"Note: {sentence}\n")


def _zone(at: float) -> str:
    return f"the centre's clock, UTC{tables.iso(at)[-6:]}"


def _hour_rows(hours: list[Hour]) -> Iterator[dict[str, Any]]:
    most = max((hour.open for hour in hours), default=0)
    for hour in hours:
        length = -(-hour.open * BAR // most) if most else 0
        yield {"hour": clocks.clock(hour.at)[:-3], "new": hour.new, "open": hour.open, "": "█" * length}


def _never_row(one: Reason) -> dict[str, Any]:
    shown = ", ".join(map(str, one.examples)) + (", …" if one.contacts > len(one.examples) else "")
    return {
        "reason": one.reason,
        "contacts": one.contacts,
        "says": _says(one.reason) if not one.is_done else "the campaign is done with them",
        "for example": shown,
    }
