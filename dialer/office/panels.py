"""Parts of the live board's picture: tables without lines, in panels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dialer.office.tables import text_of


def plain_table(*heads: str, header: bool = True) -> Table:
    """A table without lines; a head that begins with ``>`` stands to the right."""
    table = Table(
        box=None, show_header=header, header_style="bright_black", expand=True, padding=(0, 1, 0, 0)
    )
    for place, head in enumerate(heads):
        table.add_column(
            Text(head.removeprefix(">")),
            justify="right" if head.startswith(">") else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if place == 0 else None,
        )
    return table


def duration(seconds: float) -> str:
    """A length as ``0:07``, ``12:30`` or ``1:02:03``."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def fitting(lines: Sequence[Any], table: Table, room: int, *, header: int = 1) -> Iterator[Any]:
    """Those of *lines* for which there is room in *table*; the rest is counted in its last line."""
    room = max(1, room - header)
    if len(lines) <= room:
        yield from lines
        return
    yield from lines[: room - 1]
    table.add_row(Text(f"… and {len(lines) - room + 1} more", style="bright_black"))


def cell(text: str) -> Text:
    """*text* as it is: no markup is read from it, and it cannot move the cursor."""
    return Text(text_of(text))


def in_panel(content: RenderableType, title: str, note: str) -> Panel:
    """*content* in a frame with its *title*, and a *note* below on the right."""
    return Panel(
        content,
        title=Text(title, style="bold"),
        title_align="left",
        subtitle=Text(note, style="bright_black") if note else None,
        subtitle_align="right",
        box=box.ROUNDED,
        border_style="bright_black",
        padding=(0, 1),
    )
