"""The live board: what a supervisor sees of the whole centre, once a second.

Facts come from the store; how the engine is comes from the engine. If it is down the board says so and
goes on showing what the store knows. How it looks is :mod:`dialer.office.drawing`'s business.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from dialer.office import remote
from dialer.office.drawing import HEIGHT, WIDTH, Board, Health, draw, picture
from dialer.office.pacingpanel import PacingLine
from dialer.store import board as stored
from dialer.store import files
from dialer.store.connect import open_reader

REFRESH_S = 1.0
_LOOK_S = 0.1
"""How long a signal may go unseen."""
HEALTH_WAIT_S = 0.5
CAMPAIGNS_EVERY_S = 3.0
"""Counting the leads of a long list takes a while."""


class _Decided(msgspec.Struct):
    """A part of what ``GET /v1/pacing`` tells of one decision."""

    at: float
    limit: str = ""
    figures: dict[str, float | None] = {}
    note: str = ""


class _Paced(msgspec.Struct):
    """And of one campaign."""

    campaign: str
    last: _Decided | None = None
    answered: int = 0
    abandoned: int = 0
    share_max: float = 0.03
    bound: tuple[float, float] | None = None

    def line(self) -> PacingLine:
        last = {} if self.last is None else msgspec.structs.asdict(self.last)
        return PacingLine(
            answered=self.answered,
            abandoned=self.abandoned,
            share_max=self.share_max,
            high=self.bound[1] if self.bound is not None else None,
            **last,
        )


class _Pacing(msgspec.Struct):
    campaigns: list[_Paced] = []


class Facts:
    """The board's facts from one home folder, over one reading connection."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._store = open_reader(files.load_system(home).journal)
        self._campaigns: list[dict[str, Any]] = []
        self._campaigns_at = 0.0

    def close(self) -> None:
        """Give the connection back."""
        self._store.close()

    def collect(self) -> Board:
        """The board as it is now; counts are today's. Raises sqlite3.Error."""
        at = time.time()
        health, trouble = self._engine()
        if at - self._campaigns_at >= CAMPAIGNS_EVERY_S:
            self._campaigns, self._campaigns_at = stored.campaigns(self._store), at
        midnight = datetime.fromtimestamp(at).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        found = stored.moment(self._store, at, midnight.timestamp())
        calls = found.pop("calls")
        pacing = self._pacing() if health is not None else {}
        campaigns = [
            {**one, "calls": calls.get(one["id"], {}), "pacing": pacing.get(one["id"])}
            for one in self._campaigns
        ]
        facts = {**found, "at": at, "campaigns": campaigns, "trouble": trouble}
        return msgspec.structs.replace(msgspec.convert(facts, Board), health=health)

    def _pacing(self) -> dict[str, PacingLine]:
        """By campaign; of an engine that does not tell, nothing."""
        try:
            told = msgspec.convert(remote.pacing(self._home, timeout_s=HEALTH_WAIT_S), _Pacing)
        except (remote.EngineError, msgspec.ValidationError):
            return {}
        return {one.campaign: one.line() for one in told.campaigns}

    def _engine(self) -> tuple[Health | None, str]:
        try:
            return msgspec.convert(remote.health(self._home, timeout_s=HEALTH_WAIT_S), Health), ""
        except remote.EngineNotRunning:
            return None, "No engine runs."
        except (remote.EngineError, msgspec.ValidationError) as error:
            return None, str(error)


def watch(home: Path, *, once: bool = False, svg: Path | None = None, width: int | None = None) -> None:
    """Show the board until Ctrl-C; or once, on the terminal or as an SVG picture in the file *svg*.

    Raises StoreError (no journal), BadFile (settings), OSError (the picture cannot be written).
    """
    with closing(Facts(home)) as facts:
        if svg is not None:
            svg.write_text(picture(facts.collect(), width=width or WIDTH), encoding="utf-8")
        elif once or not sys.stdout.isatty():
            console = Console(width=width, highlight=False)
            if not console.is_terminal:
                console = Console(width=width or WIDTH, height=HEIGHT, highlight=False)
            console.print(draw(facts.collect(), console.width, console.height), height=console.height)
        else:
            _live(facts, width)


def _live(facts: Facts, width: int | None) -> None:
    console = Console(width=width, highlight=False)
    with _told_to_end() as is_ended, Live(console=console, screen=True, auto_refresh=False) as live:
        while not is_ended():
            live.update(_frame(facts, console), refresh=True)
            until = time.monotonic() + REFRESH_S
            while not is_ended() and (left_s := until - time.monotonic()) > 0:
                time.sleep(min(left_s, _LOOK_S))


def _frame(facts: Facts, console: Console) -> RenderableType:
    try:
        return draw(facts.collect(), console.width, console.height)
    except sqlite3.Error as error:  # a busy or vanished journal: say so, and look again
        return Text(f"The journal cannot be read: {error}", style="bold red")


@contextmanager
def _told_to_end() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM are the ordinary end: the terminal is given back as it was.

    They are noted, and not raised: an exception that comes at any instant comes in the midst of a
    finaliser one day, where Python drops it, and the board would never end.
    """
    came: list[int] = []

    def note(number: int, _: object) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
