"""What the engine laid out for the scripts: ``<folder>/<campaign>.json`` (:class:`dialer.pbx.prompts.Desk`).

Read with the standard library alone: a script starts for every call, and a hundred may start at once. What is missing or unreadable is
an empty desk: then nothing can be offered, and the caller says what Asterisk has recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CAMPAIGN = re.compile(r"[a-z0-9_-]{1,32}\Z")
KIND = re.compile(r"[a-z0-9_-]{1,32}\Z")
ZONES_MAX = 64
DESK_BYTES_MAX = 1024 * 1024


class Desk:
    """A campaign's desk. *problem*: why it is empty; "" when it is not."""

    def __init__(self, found: Mapping[str, Any], problem: str = "") -> None:
        self.problem = problem
        self.language = str(found.get("language", "en"))
        self.sounds: dict[str, str] = dict(found.get("sounds", {}))
        self.offers: dict[str, str] = dict(found.get("offers", {}))
        self.keys: dict[str, str] = dict(found.get("keys", {}))
        self.recall: dict[str, str] = dict(found.get("recall", {}))
        self.times = int(found.get("times", 2))
        self.later_max = int(found.get("later_max", 3))
        self.has_who = bool(found.get("has_who", False))
        self._hours = found.get("hours")

    def offers_at(self, at: float, kind: str, zones: str) -> list[Any]:
        """The times (:class:`dialer.core.offers.Offer`) that may be offered to a person with a phone of *kind*.

        *zones*: as the originate said, parted by blanks; one that this machine does not know: none may be offered.
        """
        from zoneinfo import ZoneInfo  # and the next two: for the few who ask for it

        import msgspec

        from dialer.core import offers
        from dialer.core.values import CallingHours

        try:
            hours = None if self._hours is None else msgspec.convert(self._hours, CallingHours)
            places = [ZoneInfo(zone) for zone in zones.split()[: ZONES_MAX + 1]]
            assumed = ZoneInfo(hours.unknown_zone) if hours is not None and hours.unknown_zone else None
        except (ValueError, OSError, KeyError):
            return []
        if len(places) > ZONES_MAX:
            return []
        return offers.offers(
            hours, kind if KIND.match(kind) else "", places, at, self.later_max, assumed=assumed
        )


def load(folder: str, campaign: str) -> Desk:
    """The desk of *campaign*. Never raises."""
    if not CAMPAIGN.match(campaign):
        return Desk({}, f"{campaign[:40]!r} is no name of a campaign")
    path = Path(folder, f"{campaign}.json")
    try:
        with path.open("rb") as file:
            return Desk(json.loads(file.read(DESK_BYTES_MAX)))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return Desk({}, f"{path}: {error}")
