"""The board's panel of pacing: of each campaign that runs, how far ahead of its operators it calls, and what limits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from dialer.office.pacingwords import ahead, brief, percent
from dialer.office.panels import cell, duration, fitting, in_panel, plain_table
from dialer.office.tables import text_of

CAMPAIGNS_MAX = 4
"""So many campaigns are shown, with the line that counts the rest."""
OLD_S = 60.0
"""A decision that is older is said to be so."""
_NOTES_ROOM = 26
"""A lower terminal has no lines for notes."""


class PacingLine(msgspec.Struct, frozen=True, kw_only=True):
    """The last decision on a campaign (*at*; None: there was none), and the count of its promise.

    *limit*, *figures*, *note*: :class:`dialer.core.pacing.book.Reason`. *answered*, *abandoned*: within the window.
    *share_max*: what is promised. *high*: the upper confidence bound of the share, None where none is known.
    """

    at: float | None = None
    limit: str = ""
    figures: dict[str, float | None] = {}
    note: str = ""
    answered: int = 0
    abandoned: int = 0
    share_max: float = 0.03
    high: float | None = None


class Paced(Protocol):
    """A campaign of the board."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def pacing(self) -> PacingLine | None: ...


def height_of(campaigns: Sequence[Paced], at: float, room: int) -> int:
    """Lines that the panel takes of *room*. *at*: now."""
    notes = len(_notes(campaigns, at)) if room >= _NOTES_ROOM else 0
    return 3 + min(len(campaigns), CAMPAIGNS_MAX) + notes


def pacing_panel(campaigns: Sequence[Paced], at: float, height: int) -> Panel:
    """The panel, *height* lines high. *at*: now."""
    table = plain_table("campaign", "mode", ">ahead", "limit", ">risk", ">abandoned")
    rows = min(len(campaigns), CAMPAIGNS_MAX)
    for one in fitting(campaigns, table, rows, header=0):
        pacing = one.pacing or PacingLine()
        is_decided = pacing.at is not None
        share = pacing.abandoned / pacing.answered if pacing.answered else None
        count = ahead(pacing.figures) if is_decided else None
        table.add_row(
            cell(one.title or one.id),
            Text(one.mode),
            Text("–" if count is None else str(count)),
            cell(brief(pacing.limit) if is_decided else "–"),
            Text(_pair(pacing.figures.get("risk"), "of", pacing.figures.get("risk_max"))),
            Text(
                _pair(share, "≤", pacing.high if share is not None else None),
                style=_style(share, pacing.share_max),
            ),
        )
    notes = _notes(campaigns, at)[: max(0, height - 3 - rows)]
    lines = [Text(note, style="bright_black", no_wrap=True, overflow="ellipsis") for note in notes]
    return in_panel(Group(table, *lines), "Pacing", "")


def _notes(campaigns: Sequence[Paced], at: float) -> list[str]:
    """What there is to say beside the figures, a line for each campaign that has something."""
    found = []
    for one in campaigns[:CAMPAIGNS_MAX]:
        if one.pacing is None or one.pacing.at is None:
            continue
        age_s = at - one.pacing.at
        old = f"decided {duration(age_s)} ago" if age_s > OLD_S else ""
        if said := "; ".join(part for part in (one.pacing.note, old) if part):
            found.append(text_of(f"{one.title or one.id}: {said}"))
    return found


def _pair(first: float | None, between: str, second: float | None) -> str:
    """Two shares: ``2.1 of 3.4 %``."""
    if first is None or second is None:
        return percent(first)
    return f"{percent(first).removesuffix(' %')} {between} {percent(second)}"


def _style(share: float | None, share_max: float) -> str:
    if share is None:
        return ""
    return "green" if share <= share_max * 2 / 3 else "yellow" if share <= share_max else "bold red"
