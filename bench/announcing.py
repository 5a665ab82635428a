"""A campaign without operators: nothing but lines, caps and carriers limits how fast it calls its people."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.world import BenchFailed
from dialer.core.conduct import Announcement, LastWord, Prompt
from dialer.core.ids import CampaignId
from dialer.core.values import Campaign, Trunk
from dialer.lab.day import Person
from dialer.office.setup import make_home
from dialer.store import leads, settings
from dialer.store.connect import open_writer, transaction

CAMPAIGN = CampaignId("bench")
START_S = 60.0
_LIST = "people"


def make_bare_home(home: Path) -> None:
    """A home folder without the examples."""
    make_home(home)
    for part in ("trunks", "campaigns"):
        for example in (home / part).glob("*.toml"):
            example.unlink()


def announcing(trunks: Sequence[Trunk], *, lines_max: int, ring_s: float) -> Campaign:
    """The campaign; it goes by the first of *trunks* and by the others."""
    return Campaign(
        id=CAMPAIGN,
        lists=(_LIST,),
        mode="announcement",
        announcement=Announcement(message=Prompt(text="This is a measurement.")),
        last_word=LastWord(),
        trunk=trunks[0].id,
        trunks=tuple(one.id for one in trunks[1:]),
        lines_max=lines_max,
        ring_s=ring_s,
        record=False,
    )


def apply(home: Path, trunks: Sequence[Trunk], campaign: Campaign, people: Sequence[Person]) -> None:
    """Put the trunks and the campaign into force; its contacts are *people*, with their first numbers."""
    with contextlib.closing(open_writer(home / "journal.sqlite3")) as connection:
        now = time.time()
        for trunk in trunks:
            settings.apply_trunk(connection, trunk, now)
        settings.apply_campaign(connection, campaign, now)
        with transaction(connection):
            for place, one in enumerate(people, 1):
                connection.execute(
                    "INSERT INTO contacts (id, list, key, name, added_at) VALUES (?, ?, ?, ?, ?)",
                    (place, _LIST, str(place), one.name, now),
                )
                connection.execute(
                    "INSERT INTO phones (contact, position, kind, number) VALUES (?, 0, 'main', ?)",
                    (place, one.lines[0].number),
                )
        leads.enroll(connection, campaign.id, now)


async def until(is_so: Callable[[], object], what: str) -> None:
    """Wait until *is_so*. Raises BenchFailed, which says *what* was waited for."""
    deadline = time.monotonic() + START_S
    while not is_so():
        if time.monotonic() > deadline:
            raise BenchFailed(f"{what}: not within {START_S:g} s")
        await asyncio.sleep(0.02)
