"""How long it takes to know who calls: ``python -m bench.callers [--contacts 300000]``.

A caller whom the campaign knows, one whose card is opened, and one from a switchboard number that a thousand contacts share.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.incoming import Inbound
from dialer.core.values import Campaign, Trunk
from dialer.store import leads, settings
from dialer.store.calendar import Calendar
from dialer.store.callers import find_caller
from dialer.store.connect import open_writer, transaction

SHARED = "+74952223344"
SHARING = 1000
AT = 1_781_254_800.0


def main() -> None:
    """Print the median and the 99th percentile of each, in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=300_000)
    count = parser.parse_args().contacts
    with tempfile.TemporaryDirectory() as folder:
        db = open_writer(Path(folder) / "journal.sqlite3")
        settings.apply_trunk(db, Trunk(id=TrunkId("north"), host="127.0.0.1"), 1.0)
        campaign = Campaign(
            id=CampaignId("spring"),
            lists=("people",),
            trunk=TrunkId("north"),
            inbound=Inbound(numbers=("+74951110000",)),
        )
        settings.apply_campaign(db, campaign, 1.0)
        with transaction(db):
            db.executemany(
                "INSERT INTO contacts (id, list, key, name, added_at) VALUES (?, 'people', ?, '', 1.0)",
                ((one, str(one)) for one in range(1, count + 1)),
            )
            phones = [(one, 0, "main", f"+7916{one:07}") for one in range(1, count + 1)]
            phones += [(one, 1, "work", SHARED) for one in range(1, min(SHARING, count) + 1)]
            db.executemany("INSERT INTO phones (contact, position, kind, number) VALUES (?, ?, ?, ?)", phones)
        leads.enroll(db, campaign.id, 2.0)
        calendar = Calendar()

        def look(caller: str) -> None:
            find_caller(db, calendar, campaign, caller, AT, "RU")

        print(f"{count:,} contacts")
        _show("known", lambda one: look(f"8916{one * 37 % count + 1:07}"), 1000)
        _show("new", lambda one: look(f"8926{one:07}"), 500)
        _show(f"shared by {SHARING}", lambda _: look(SHARED), 200)
        db.close()


def _show(name: str, ask: Callable[[int], None], times: int) -> None:
    took = []
    for one in range(times):
        began = time.perf_counter()
        ask(one)
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    print(f"{name:16} median {took[times // 2]:6.2f} ms   99 % {took[times * 99 // 100]:6.2f} ms")


if __name__ == "__main__":
    main()
