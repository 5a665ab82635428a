"""Trunks, campaigns, agents and lists, as a supervisor applies them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from dialer.core.ids import AgentId, CampaignId, TrunkId
from dialer.core.values import AgentCard, Campaign, CampaignState, Result, RetryRule, Trunk
from dialer.store import leads, listings, schema, settings
from dialer.store.calendar import Calendar
from dialer.store.errors import Conflict, NotInStore
from dialer.store.fetching import fetch_leads


def test_applying_the_same_twice_changes_nothing(db: sqlite3.Connection, campaign: Campaign) -> None:
    changed = replace(campaign, title="Spring", retry={Result.BUSY: RetryRule(again_s=60.0)})
    assert settings.apply_campaign(db, changed, 5.0)
    assert not settings.apply_campaign(db, changed, 6.0)
    stored = settings.load_campaign(db, "spring")
    assert stored.campaign == changed
    assert stored.state is CampaignState.NEW
    trunk = settings.load_trunks(db)[0]
    assert not settings.apply_trunk(db, trunk, 7.0)
    assert settings.apply_trunk(db, replace(trunk, host="10.0.0.9"), 7.0)


def test_a_campaign_needs_its_trunk(db: sqlite3.Connection, campaign: Campaign) -> None:
    with pytest.raises(NotInStore, match=r"'south', which was never applied \(applied: north\)"):
        settings.apply_campaign(db, replace(campaign, trunk=TrunkId("south")), 5.0)


def test_leads_of_a_list_that_was_taken_out_are_not_dialed(
    db: sqlite3.Connection, campaign: Campaign
) -> None:
    settings.apply_campaign(db, replace(campaign, lists=("others",)), 5.0)
    assert fetch_leads(db, Calendar(), campaign, 10, 10.0) == ([], False, False)
    assert {row[0] for row in db.execute("SELECT finished FROM leads")} == {schema.LIST_REMOVED}
    settings.apply_campaign(db, campaign, 6.0)
    assert leads.enroll(db, campaign.id, 7.0) == 3
    assert len(fetch_leads(db, Calendar(), campaign, 10, 10.0)[0]) == 3


def test_two_agents_cannot_share_a_phone(db: sqlite3.Connection) -> None:
    with pytest.raises(Conflict, match="The phone 101 belongs to agent 'ann'"):
        settings.add_agent(db, AgentCard(id=AgentId("eve"), phone="101"))


def test_an_agents_card_changes_and_the_state_stays(db: sqlite3.Connection) -> None:
    db.execute("UPDATE agents SET state = 'paused', reason = 'lunch' WHERE id = 'ann'")
    card = AgentCard(id=AgentId("ann"), name="Anna", phone="103", campaigns=(CampaignId("spring"),))
    assert settings.add_agent(db, card)
    assert not settings.add_agent(db, card)
    ann = settings.load_agents(db)[0]
    assert ann.card == card
    assert (ann.agent.state, ann.agent.reason) == ("paused", "lunch")
    with pytest.raises(NotInStore, match="'autumn'"):
        settings.add_agent(db, replace(card, campaigns=(CampaignId("autumn"),)))


@pytest.mark.parametrize("name", ["", "Big Name", "x" * 33, "a;b", "имя"])
def test_impossible_names(db: sqlite3.Connection, campaign: Campaign, name: str) -> None:
    tries: list[Callable[[], object]] = [
        lambda: settings.apply_trunk(db, Trunk(id=TrunkId(name), host="h"), 1.0),
        lambda: settings.apply_campaign(db, replace(campaign, id=CampaignId(name)), 1.0),
        lambda: settings.apply_campaign(db, replace(campaign, lists=(name,)), 1.0),
        lambda: settings.add_agent(db, AgentCard(id=AgentId(name), phone="9")),
    ]
    for one in tries:
        with pytest.raises(Conflict, match="1 to 32 of the characters"):
            one()


def test_listings_are_plain_rows(db: sqlite3.Connection) -> None:
    assert listings.rows(db, "campaigns")[0]["leads_unfinished"] == 3
    assert [row["id"] for row in listings.rows(db, "agents")] == ["ann", "bob"]
    assert listings.rows(db, "lists") == [{"id": "people", "title": "", "created_at": 1.0, "contacts": 3}]
