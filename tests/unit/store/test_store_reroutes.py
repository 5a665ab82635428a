"""A call that goes on by another trunk, in the journal: counted once, guarded anew, found again after a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from dialer.core.commands import SaveCall, SaveLead, SaveTrunkState
from dialer.core.events import Ticked
from dialer.core.ids import AttemptId, CampaignId, TrunkId
from dialer.core.trunk import Trunk
from dialer.core.values import TRUNK_ENDINGS, Call, CallState, Campaign, Caps, Centre, Lead, Result
from dialer.store import dnc, figures, settings, trunks
from dialer.store.errors import CallForbidden
from dialer.store.journal import Journal
from dialer.store.trunks import states

MakeCall = Callable[..., Call]
CAPPED = Caps(number_per_24h=1, contact_per_24h=1, gap_s=60.0)


@pytest.fixture
def two_trunks(db: sqlite3.Connection, campaign: Campaign) -> Campaign:
    settings.apply_trunk(db, Trunk(id=TrunkId("south"), host="127.0.0.2"), 1.0)
    settings.apply_trunk(db, Trunk(id=TrunkId("west"), host="127.0.0.3"), 1.0)
    both = replace(campaign, trunks=(TrunkId("south"), TrunkId("west")), caps=CAPPED)
    settings.apply_campaign(db, both, 2.0)
    return both


async def lead_of(journal: Journal, campaign: Campaign, at: float = 10.0) -> Lead:
    return (await journal.fetch_leads(campaign, 1, at))[0][0]


def went_on(call: Call, serial: int, trunk: str, **changes: Any) -> list[SaveCall]:
    """The saves of the decision in which *call* goes on."""
    ended = replace(
        call, state=CallState.ENDED, result=Result.REROUTED, ended_at=101.0, cause=34, tech_cause=503
    )
    after = replace(
        call, attempt=AttemptId(f"a{serial:020}"), trunk=TrunkId(trunk), created_at=101.0, after=call.attempt
    )
    return [SaveCall(call=ended), SaveCall(call=replace(after, **changes))]


async def test_the_guard_lets_it_pass_in_the_transaction_that_ends_the_old_one(
    journal: Journal, two_trunks: Campaign, call_for: MakeCall
) -> None:
    """The number, the contact and the ordinal are the old one's, and caps would forbid a second call."""
    lead = await lead_of(journal, two_trunks)
    call = call_for(lead)
    await journal.save([], [SaveCall(call=call)])
    first, second = went_on(call, 2, "south")
    await journal.save([Ticked(at=101.0)], [first, second])
    (open_,) = (await journal.load()).open
    assert open_.call == second.call
    assert open_.lead == lead, "as it was: nothing was tried"


async def test_both_at_once_and_in_one_batch_with_the_beginning(
    journal: Journal, two_trunks: Campaign, call_for: MakeCall
) -> None:
    call = call_for(await lead_of(journal, two_trunks))
    await journal.save([], [SaveCall(call=call), *went_on(call, 2, "south")])
    assert [one.call.trunk for one in (await journal.load()).open] == ["south"]


async def test_a_number_that_was_barred_meanwhile_is_not_called_again(
    journal: Journal, db: sqlite3.Connection, two_trunks: Campaign, call_for: MakeCall
) -> None:
    call = call_for(await lead_of(journal, two_trunks))
    await journal.save([], [SaveCall(call=call)])
    dnc.add(db, call.number, campaign=None, source="operator", at=100.5)
    with pytest.raises(CallForbidden) as caught:
        await journal.save([], went_on(call, 2, "south"))
    assert caught.value.rules == {AttemptId(f"a{2:020}"): "do_not_call"}


async def test_it_counts_for_nothing(
    journal: Journal, db: sqlite3.Connection, two_trunks: Campaign, call_for: MakeCall
) -> None:
    lead = await lead_of(journal, two_trunks)
    call = call_for(lead)
    first, second = went_on(call, 2, "south")
    busy = replace(second.call, state=CallState.ENDED, result=Result.BUSY, ended_at=105.0)
    await journal.save([], [SaveCall(call=call)])
    await journal.save([], [first, second])
    await journal.save([], [SaveCall(call=busy), SaveLead(lead=lead.id, ordinal=1, due=0.0)])
    settings.apply_campaign(db, replace(two_trunks, caps=Caps(number_per_24h=2)), 106.0)
    found = (await journal.fetch_leads(two_trunks, 9, 200.0))[0]
    (again,) = [one for one in found if one.id == lead.id]
    assert (again.ordinal, again.phones[0].tried) == (1, ("busy",))
    (row,) = figures.campaigns(db)
    assert (row["attempts"], row["dialed"], row["busy"], row["rerouted"]) == (1, 1, 1, 0)
    assert [one["result"] for one in figures.campaign_results(db, "spring")] == ["busy"]


@pytest.mark.parametrize("ending", sorted(TRUNK_ENDINGS))
async def test_what_was_tried_is_known_after_a_restart(
    journal: Journal, two_trunks: Campaign, call_for: MakeCall, ending: str
) -> None:
    call = call_for(await lead_of(journal, two_trunks))
    first, second = went_on(call, 2, "south")
    await journal.save([], [SaveCall(call=call)])
    await journal.save([], [first, second])
    ids = (AttemptId(f"a{serial:020}") for serial in range(90, 99))
    loaded = await journal.load()
    (onward,) = loaded.started(at=200.0, version="", new_id=lambda: next(ids)).onward
    assert (onward.attempt, onward.tried, len(onward.more)) == (second.call.attempt, ("north",), 1)
    third = went_on(second.call, 3, "west", state=CallState.ENDING, ending=ending)
    await journal.save([], third)
    (onward,) = (await journal.load()).started(at=200.0, version="", new_id=lambda: next(ids)).onward
    assert (onward.tried, onward.more) == (("north", "south"), ())


async def test_states_of_a_trunk_are_kept_once(journal: Journal, db: sqlite3.Connection) -> None:
    save = SaveTrunkState(trunk=TrunkId("north"), state="resting", why="5 calls in a row", at=7.0)
    await journal.save([], [save])
    await journal.save([], [save, replace(save, state="probing", at=8.0)])
    assert [(one.at, one.state) for one in states(db, "north")] == [(8.0, "probing"), (7.0, "resting")]


# -- destinations -------------------------------------------------------------------------------


async def test_a_number_that_no_trunk_may_call_is_not_given_out_until_one_may(
    journal: Journal, db: sqlite3.Connection, campaign: Campaign
) -> None:
    settings.apply_trunk(db, Trunk(id=TrunkId("north"), host="127.0.0.1", forbidden=("+7916", "+7495")), 3.0)
    found, _, _ = await journal.fetch_leads(campaign, 9, 10.0)
    assert not found
    held = db.execute("SELECT DISTINCT finished, held FROM leads").fetchall()
    assert [tuple(row) for row in held] == [("destination", "destination")]
    settings.apply_trunk(db, Trunk(id=TrunkId("north"), host="127.0.0.1", forbidden=("+7916",)), 4.0)
    found, _, _ = await journal.fetch_leads(campaign, 9, 20.0)
    assert len(found) == 3
    assert {phone.barred for lead in found for phone in lead.phones} == {"", "destination"}


@pytest.mark.parametrize("whose", ["campaign", "centre"])
async def test_countries_are_those_of_the_campaign_or_the_centre(
    journal: Journal, db: sqlite3.Connection, campaign: Campaign, whose: str
) -> None:
    settings.apply_centre(db, Centre(countries=("+44",)), 3.0)
    if whose == "campaign":
        settings.apply_campaign(db, replace(campaign, countries=("+7",)), 3.0)
    found, _, _ = await journal.fetch_leads(campaign, 9, 10.0)
    assert len(found) == (3 if whose == "campaign" else 0)


async def test_the_guard_knows_destinations(
    journal: Journal, db: sqlite3.Connection, campaign: Campaign, call_for: MakeCall
) -> None:
    call = call_for(await lead_of(journal, campaign))
    settings.apply_centre(db, Centre(countries=("+44",)), 50.0)
    with pytest.raises(CallForbidden) as caught:
        await journal.save([], [SaveCall(call=call)])
    assert set(caught.value.rules.values()) == {"destination"}


def test_a_trunk_that_is_not_in_force_names_nothing(db: sqlite3.Connection, campaign: Campaign) -> None:
    both = replace(campaign, id=CampaignId("other"), trunk=TrunkId("gone"))
    assert trunks.trunks_of(db, both) == []
