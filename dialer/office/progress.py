"""The progress of an import, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dialer.office import tables
from dialer.office.importing import Progress
from dialer.store.contacts import ImportCounts


@contextmanager
def bar(path: Path, what: str) -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on the terminal for a file of *what*; none where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns: Sequence[Any] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}", markup=False),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(tables.text_of(path.name), total=None, counts="")

        def progress(one: Progress) -> None:
            bar.update(task, total=one.bytes_all, completed=one.bytes_read, counts=_counted(one.counts, what))

        yield progress


def _counted(counts: ImportCounts, what: str) -> str:
    return f"{counts.contacts_added:,} {what}, {counts.rejected:,} rejected"
