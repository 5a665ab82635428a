"""Who is called, and what they do; how operators work: in figures, from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec

from dialer.core.ids import CampaignId, ContactId, LeadId, PhoneId
from dialer.core.values import Lead, LeadPhone, Result


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """What people do when they are called: shares of all calls (those that are left ring in vain)."""

    answers: float = 0.42
    busy: float = 0.08
    invalid: float = 0.03
    declines: float = 0.02
    congestion: float = 0.01
    hangs_up: float = 0.05
    """Of those who answer: at once."""
    ring_s: tuple[float, float] = (3.0, 22.0)
    """From the first ring to the answer: between, evenly."""
    setup_s: tuple[float, float] = (0.3, 2.5)
    """Until it rings, or the network refuses."""
    talk_s: float = 150.0
    """A conversation takes so long on the average (exponential, and 5 s at least)."""
    patience_s: tuple[float, float] = (4.0, 12.0)
    """Who meets silence hangs up after so long."""
    hold_patience_s: tuple[float, float] = (10.0, 90.0)
    """Who meets music, after so long."""


class Diligence(msgspec.Struct, frozen=True, kw_only=True):
    """How operators work."""

    keys_result: float = 0.95
    """The share of conversations that they give a result of."""
    result_s: tuple[float, float] = (1.0, 7.0)
    """So long after the end of a conversation."""
    work_s: tuple[float, float] = (4800.0, 7200.0)
    """So long from one pause to the next."""
    pause_s: tuple[float, float] = (300.0, 900.0)
    pick_up_s: tuple[float, float] = (0.3, 1.5)
    """Their phone answers by itself."""
    misses: float = 0.005
    """The share of calls to a rung phone that nobody picks up."""
    drops: float = 0.002
    """The share of conversations in which a parked line drops."""


class Story(msgspec.Struct):
    """One call as the person lived it. *end*: how it ended, in :class:`Result`'s words; *by_us*: we ended it."""

    attempt: str
    number: str
    invited_at: float
    rang_at: float | None = None
    answered_at: float | None = None
    joined_at: float | None = None
    ended_at: float | None = None
    end: Result | None = None
    is_unheard: bool = False
    """Some of it happened while the engine did not listen."""


def people(
    counts: Mapping[CampaignId, int],
    rng: random.Random,
    *,
    first: int = 1,
    shared: float = 0.01,
    zones: Sequence[str] = ("Europe/Moscow",),
) -> list[Lead]:
    """So many leads for each campaign. *shared*: the share of those who have a number of somebody else's."""
    leads: list[Lead] = []
    serial = first
    numbers: list[str] = []
    for campaign, count in counts.items():
        for _ in range(count):
            zone = zones[serial % len(zones)]
            phones = []
            for place, kind in enumerate(("mobile", "home", "work")[: rng.choice((1, 1, 2, 3))]):
                number = f"+7999{serial:06d}{place}"
                if numbers and rng.random() < shared:
                    number = rng.choice(numbers)
                phones.append(
                    LeadPhone(id=PhoneId(serial * 4 + place), number=number, kind=kind, zones=(zone,))
                )
            numbers.append(phones[0].number)
            leads.append(
                Lead(id=LeadId(serial), campaign=campaign, contact=ContactId(serial), phones=tuple(phones))
            )
            serial += 1
    return leads
