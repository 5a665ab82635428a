"""How many numbers of a list that is imported are on a do-not-call list. They are imported all the same (who
comes off the list may be called again), but whoever imports them should know.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from dialer.store.contacts import NewContact
from dialer.store.dnc import WIDE_SQL, Lists

_COUNT = (
    "SELECT entry.campaign, count(*) FROM json_each(:numbers) AS given"
    " CROSS JOIN do_not_call AS entry ON entry.number = given.value AND entry.removed_at IS NULL"
    " WHERE entry.campaign IN (SELECT value FROM json_each(:campaigns)) AND (entry.campaign = '' OR NOT EXISTS ("
    " SELECT 1 FROM do_not_call AS wider WHERE wider.number = entry.number AND wider.campaign = ''"
    " AND wider.removed_at IS NULL)) GROUP BY entry.campaign"
)


class Barred:
    """Counts numbers that *campaigns* may not call, or nobody.

    *counts*: by campaign, those on its own list alone; under an empty name those on the list of all.
    """

    def __init__(self, connection: sqlite3.Connection, campaigns: Sequence[str]) -> None:
        self._connection = connection
        self._campaigns = list(campaigns)
        self._is_wide = any(
            connection.execute(WIDE_SQL, (kind,)).fetchone() for kind in ("prefix", "pattern")
        )
        self.counts: dict[str, int] = {}

    def add(self, contacts: Iterable[NewContact]) -> None:
        """Look the numbers of *contacts* up. Raises sqlite3.Error."""
        numbers = {e164 for one in contacts for _, e164 in one.phones}
        if self._is_wide:
            found = self._one_by_one(numbers)
        else:
            given = {"numbers": json.dumps(sorted(numbers)), "campaigns": json.dumps(["", *self._campaigns])}
            found = dict(self._connection.execute(_COUNT, given).fetchall())
        for campaign, count in found.items():
            self.counts[campaign] = self.counts.get(campaign, 0) + count

    def _one_by_one(self, numbers: Iterable[str]) -> dict[str, int]:
        """Where there are beginnings and patterns, each number is compared with them."""
        lists = Lists(self._connection)
        found: dict[str, int] = {}
        for number in numbers:
            for campaign in ("", *self._campaigns):
                entry = lists.entry(number, campaign)
                if entry is not None and (entry.campaign or "") == campaign:
                    found[campaign] = found.get(campaign, 0) + 1
        return found

    def told(self) -> list[str]:
        """It in sentences; none where nothing is barred."""
        said = []
        for campaign, count in sorted(self.counts.items()):
            whose = f"that of campaign {campaign}" if campaign else "the do-not-call list of all campaigns"
            are = "number is" if count == 1 else "numbers are"
            said.append(f"{count} {are} on {whose}: kept, and not dialed.")
        return said
