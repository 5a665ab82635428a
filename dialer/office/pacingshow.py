"""``dialer campaign pacing``: why a campaign got as many calls as it did, from the journal.

The journal has a note when what limits a campaign has changed, and one now and then; not every decision.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from dialer.core.ids import CampaignId
from dialer.office import clocks, tables
from dialer.office.pacingwords import ahead, brief, clause, number, percent
from dialer.store import files, pacingnotes, settings
from dialer.store.connect import open_reader
from dialer.store.pacingnotes import PacingNote

LAST = 20
"""So many notes are shown if not more are asked for."""
_COUNTS = ("operators", "idle", "in_flight", "waiting")
"""Figures that have a column of their own."""
_RISKS = ("risk", "risk_max")
_SHARES = frozenset({"share", "target", "answer_rate", "answer_rate_low", "answer_rate_high"})
"""Figures that are told as percentages."""


def show_pacing(home: Path, name: str, at: float | None, last: int | None, as_format: str) -> None:
    """Print the latest *last* notes, or what was noted around the instant *at*. Raises StoreError."""
    with closing(open_reader(files.load_system(home).journal)) as connection:
        stored = settings.load_campaign(connection, name)
        campaign = stored.campaign.id
        if at is not None:
            then, after = pacingnotes.around(connection, campaign, at)
        else:
            notes = pacingnotes.latest(connection, campaign, last or LAST)
    if at is not None:
        notes = [one for one in (then, after) if one is not None]
    if as_format == "json":
        tables.show((_row(one) for one in notes), "json")
    elif as_format == "csv":
        tables.show(({**_row(one), "figures": json.dumps(one.figures)} for one in notes), "csv")
    elif at is not None:
        sys.stdout.writelines(f"{line}\n" for line in explained(campaign, at, then, after))
    elif notes:
        tables.show(
            [_shown(one) for one in notes], title=f"Campaign {campaign}: what kept it from more calls"
        )
    else:
        sys.stdout.write(f"{_nothing(campaign, stored.campaign.mode)}\n")


def explained(
    campaign: CampaignId, at: float, then: PacingNote | None, after: PacingNote | None
) -> list[str]:
    """What was so at the instant, in sentences. *then*: the last note before it, *after*: the next."""
    if then is None:
        since = f" (the first note is of {clocks.clock(after.at)})" if after is not None else ""
        return [f"Campaign {campaign} at {clocks.clock(at)}: nothing is noted{since}."]
    count = "1 call" if then.placed == 1 else f"{then.placed or 'no'} calls"
    known = [f"{key.replace('_', ' ')} {number(then.figures[key])}" for key in _COUNTS if key in then.figures]
    lines = [
        f"Campaign {campaign} at {clocks.clock(at)}, as noted at {clocks.clock(then.at)}:",
        f"  {count} placed then; {clause(then.limit)} ({then.limit or 'no limit'}).",
    ]
    if known:
        lines.append(f"  {', '.join(known)}.")
    if then.figures.get("risk") is not None:
        most = then.figures.get("risk_max")
        lines.append(f"  Risk of the next call {percent(then.figures['risk'])}, allowed {percent(most)}.")
    rest = [
        f"{key.replace('_', ' ')} {percent(value) if key in _SHARES else number(value)}"
        for key, value in then.figures.items()
        if key not in (*_COUNTS, *_RISKS)
    ]
    if rest:
        lines.append(f"  Besides: {', '.join(rest)}.")
    if then.note:
        lines.append(f"  {tables.text_of(then.note)}")
    if after is not None:
        lines.append(f"  The next note is of {clocks.clock(after.at)}: {clause(after.limit)}.")
    return lines


def _nothing(campaign: CampaignId, mode: str) -> str:
    if mode == "predictive":
        return f"Campaign {campaign}: nothing is noted. It was not dialed yet."
    return f"Campaign {campaign}: nothing is noted. Its mode is {mode}; only predictive campaigns have notes."


def _row(one: PacingNote) -> dict[str, Any]:
    return {**msgspec.structs.asdict(one), "says": clause(one.limit)}


def _shown(one: PacingNote) -> dict[str, Any]:
    figures = one.figures
    return {
        "at": one.at,
        "placed": one.placed,
        "limit": brief(one.limit),
        **{key: None if figures.get(key) is None else number(figures[key]) for key in _COUNTS},
        "ahead": ahead(figures),
        "risk": percent(figures.get("risk")),
        "allowed": percent(figures.get("risk_max")),
        "note": one.note,
    }
