"""What people who wait for an operator are told, as Asterisk takes it: sounds of ours in the campaign's language, or its own English. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from dialer.core.ids import CampaignId
from dialer.pbx.phrases import told_place, told_wait

Sounds = Callable[[CampaignId], Mapping[str, str]]
"""What people who wait are told in the language of a campaign: paths without an ending, as Asterisk takes them."""


def waiting_time(
    wait_s: float | None, place: int | None = None, sounds: Mapping[str, str] = {}
) -> tuple[str, ...]:
    """What a person who waits is told, as media: their *place* in the queue (None: not told) and the time. Whole minutes, rounded up:
    nobody waits longer than told. *sounds*: of the campaign's language, by the names of :mod:`dialer.pbx.phrases`; Asterisk's own English
    where one is missing. Who is told their place is not told besides that we try.
    """
    told: list[str] = []
    if place is not None:
        told += _told(sounds, told_place(place)) or _english_place(place)
    if wait_s is not None or place is None:
        told += _told(sounds, told_wait(wait_s)) or _english_wait(wait_s)
    return tuple(told)


def _told(sounds: Mapping[str, str], name: str) -> list[str]:
    return [f"sound:{sounds[name]}"] if name in sounds else []


def _english_place(place: int) -> list[str]:
    if place == 1:
        return ["sound:queue-youarenext"]
    return ["sound:queue-thereare", f"number:{place}", "sound:queue-callswaiting"]


def _english_wait(wait_s: float | None) -> list[str]:
    if wait_s is None:
        return ["sound:pls-hold-while-try"]
    minutes = max(1, math.ceil(wait_s / 60))
    if minutes == 1:
        return ["sound:queue-holdtime", "sound:queue-less-than", "number:1", "sound:queue-minute"]
    return ["sound:queue-holdtime", f"number:{minutes}", "sound:queue-minutes"]
