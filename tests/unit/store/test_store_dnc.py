"""Do-not-call lists: what bars whom, since when, and that nobody slips through when they cannot be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from dialer.core.ids import CampaignId
from dialer.core.values import Campaign
from dialer.store import dnc, leads, settings
from dialer.store.errors import Conflict, JournalError, NotInStore

MOBILE, WORK = "+79160000001", "+74950000001"
"""Of the first contact."""
Ids = Callable[..., list[int]]


def lead_row(db: sqlite3.Connection, lead: int) -> Any:
    return db.execute("SELECT due, finished, held FROM leads WHERE id = ?", (lead,)).fetchone()


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (MOBILE, "do_not_call"),
        ("+7916*", "blocked"),
        ("+7*", "blocked"),
        ("+791600000??", "blocked"),
        ("+7916?0*", "blocked"),
        ("+79160000002", ""),
        ("+7917*", ""),
        ("+7916000000?9", ""),
        ("+791600000001*", ""),
    ],
)
def test_what_bars_a_number(db: sqlite3.Connection, entry: str, rule: str) -> None:
    assert dnc.add(db, entry, at=5.0)
    found = dnc.look_up(db, MOBILE)
    assert (found.rule if found else "") == rule
    lists = dnc.Lists(db)
    assert [lists.barred(number, "") for number in (MOBILE, "+4420")] == [rule, ""]


def test_a_campaigns_own_list_is_its_own(db: sqlite3.Connection, campaign: Campaign) -> None:
    settings.apply_campaign(db, replace(campaign, id=CampaignId("autumn")), 3.0)
    dnc.add(db, MOBILE, campaign="autumn", at=5.0)
    assert dnc.look_up(db, MOBILE, "spring") is None
    found = dnc.look_up(db, MOBILE, "autumn")
    assert found is not None
    assert (found.rule, found.campaign) == ("do_not_call_campaign", "autumn")
    dnc.add(db, MOBILE, at=6.0)
    both = dnc.look_up(db, MOBILE, "autumn")
    assert both is not None
    assert both.rule == "do_not_call"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "8916",
        "+",
        "+0123",
        "+7?9a",
        "7916*",
        "+*",
        "+?",
        "+7916**",
        "+7 916",
        "+7916\n",
        "+1234567890123456",
    ],
)
def test_what_cannot_stand_on_a_list(db: sqlite3.Connection, bad: str) -> None:
    with pytest.raises(dnc.BadEntry, match="cannot stand on a do-not-call list"):
        dnc.add(db, bad, at=5.0)
    with pytest.raises(dnc.BadEntry):
        dnc.remove(db, bad, at=5.0)


def test_nothing_is_added_twice_and_everything_is_kept(db: sqlite3.Connection) -> None:
    assert dnc.add(db, MOBILE, source="ann", note="asked", at=5.0)
    assert not dnc.add(db, MOBILE, at=6.0)
    assert dnc.remove(db, MOBILE, at=7.0)
    assert not dnc.remove(db, MOBILE, at=8.0)
    assert dnc.add(db, MOBILE, at=9.0)
    assert [one.added_at for one in dnc.list_entries(db)] == [9.0]
    kept = dnc.list_entries(db, with_removed=True)
    assert [(one.added_at, one.removed_at, one.source) for one in kept] == [
        (5.0, 7.0, "ann"),
        (9.0, None, ""),
    ]


@pytest.mark.parametrize("entry", [MOBILE, "+7916*", "+7916???????"])
def test_what_barred_a_number_at_a_moment(db: sqlite3.Connection, entry: str) -> None:
    dnc.add(db, entry, at=5.0)
    dnc.remove(db, entry, at=7.0)
    dnc.add(db, entry, at=9.0)
    barred = [dnc.look_up(db, MOBILE, at=at) is not None for at in (4.9, 5.0, 6.9, 7.0, 8.9, 9.0, 1e9)]
    assert barred == [False, True, True, False, False, True, True]


def test_a_campaign_must_be_known(db: sqlite3.Connection) -> None:
    with pytest.raises(NotInStore, match="'nowhere'"):
        dnc.add(db, MOBILE, campaign="nowhere", at=5.0)


def test_of_patterns_there_are_few(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnc, "PATTERNS_MAX", 2)
    dnc.add_chunk(db, ["+7???1", "+7???2", "+7499*", "+74991112233"], at=5.0)
    with pytest.raises(Conflict, match="3 patterns"):
        dnc.add(db, "+7???3", at=5.0)
    assert dnc.look_up(db, "+71113") is None


def test_listing_by_list_and_beginning(db: sqlite3.Connection) -> None:
    dnc.add_chunk(db, ["+7495*", "+74951112233", "+4420*"], at=5.0)
    dnc.add(db, "+74951112233", campaign="spring", at=6.0)
    assert [one.number for one in dnc.list_entries(db, campaign="")] == ["+7495*", "+74951112233", "+4420*"]
    assert [one.campaign for one in dnc.list_entries(db, number="+7495111")] == [None, "spring"]
    first = dnc.list_entries(db, limit=1)
    assert [one.number for one in dnc.list_entries(db, after=first[0].id, limit=1)] == ["+74951112233"]


# -- and the leads ------------------------------------------------------------------------


def test_a_lead_without_another_number_is_finished_at_once_and_let_loose_again(
    db: sqlite3.Connection, ids: Ids
) -> None:
    dnc.add(db, MOBILE, at=5.0)
    assert lead_row(db, 1) == (0.0, None, None)  # there is the work number still
    dnc.add(db, WORK, at=6.0)
    assert lead_row(db, 1) == (None, "do_not_call", "do_not_call")
    assert ids(10.0) == [2, 3]
    dnc.remove(db, MOBILE, at=11.0)
    assert lead_row(db, 1) == (0.0, None, None)
    states = db.execute("SELECT at, finished, why FROM lead_states WHERE lead = 1").fetchall()
    assert states == [(6.0, "do_not_call", "do_not_call"), (11.0, None, "let_loose")]
    assert ids(12.0) == [1, 2, 3]


def test_a_removed_entry_gives_the_lead_its_own_time_back(db: sqlite3.Connection, ids: Ids) -> None:
    """Not sooner: it may have been tried a minute before it was put on the list."""
    db.execute("UPDATE leads SET due = 700.0, priority = 1 WHERE id = 1")
    dnc.add_chunk(db, [MOBILE, WORK], at=20.0)
    dnc.remove(db, WORK, at=30.0)
    assert lead_row(db, 1) == (700.0, None, None)
    assert ids(31.0) == [2, 3]


def test_a_number_that_was_taken_off_is_another_number(db: sqlite3.Connection) -> None:
    dnc.add(db, WORK, at=5.0)
    dnc.remove(db, WORK, at=6.0)
    dnc.add(db, MOBILE, at=7.0)
    assert lead_row(db, 1) == (0.0, None, None)


def test_a_bad_number_is_no_other_number(db: sqlite3.Connection) -> None:
    db.execute("UPDATE phones SET is_bad = 1 WHERE number = ?", (WORK,))
    dnc.add(db, MOBILE, at=5.0)
    assert lead_row(db, 1)[1] == "do_not_call"


def test_a_campaigns_list_finishes_only_its_own_leads(
    db: sqlite3.Connection, campaign: Campaign, ids: Ids
) -> None:
    settings.apply_campaign(db, replace(campaign, id=CampaignId("autumn")), 3.0)
    leads.enroll(db, CampaignId("autumn"), 3.0)
    dnc.add_chunk(db, [MOBILE, WORK], campaign="autumn", at=5.0)
    assert len(ids(10.0)) == 3
    assert len(ids(10.0, name="autumn")) == 2
    finished = db.execute("SELECT campaign, held FROM leads WHERE finished IS NOT NULL").fetchall()
    assert finished == [("autumn", "do_not_call_campaign")]


@pytest.mark.parametrize("entry", ["+7*", "+7????00000*"])
def test_what_bars_many_is_found_when_they_are_to_be_dialed_and_forgotten_when_it_goes(
    db: sqlite3.Connection, ids: Ids, entry: str
) -> None:
    dnc.add(db, entry, at=5.0)
    assert lead_row(db, 1) == (0.0, None, None)
    assert ids(10.0) == []
    assert lead_row(db, 1) == (None, "do_not_call", "blocked")
    dnc.remove(db, entry, at=11.0)
    assert ids(12.0) == [1, 2, 3]


def test_lists_that_cannot_be_read_are_an_error(db: sqlite3.Connection) -> None:
    db.execute("DROP TABLE do_not_call")
    with pytest.raises(sqlite3.Error):
        dnc.look_up(db, MOBILE)
    with pytest.raises(JournalError):
        dnc.add(db, MOBILE, at=5.0)
