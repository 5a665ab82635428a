"""What a supervisor or a telecom engineer sets: trunks, campaigns, agents, lists.

The command line writes these by short transactions on a connection of its own; a running engine
is told to look again (``POST /v1/reload``). Applying the same settings twice changes nothing.
"""

# ruff: noqa: S608 - only names of our own columns are put into SQL; values are parameters

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import suppress

import msgspec

from dialer.core.destinations import trunk_ids
from dialer.core.ids import CampaignId
from dialer.core.values import Agent, AgentCard, Campaign, CampaignState, Centre, Trunk
from dialer.store import holding
from dialer.store.connect import transaction
from dialer.store.errors import Conflict, NotInStore, StoreError
from dialer.store.rows import (
    AGENT_COLUMNS,
    CARD_COLUMNS,
    CARD_FIELDS,
    agent_from_row,
    card_from_row,
    card_to_row,
)
from dialer.store.schema import BREATH_S, CHUNK_ROWS, LIST_REMOVED
from dialer.store.trunks import apply_trunks, load_stored

_NAME = re.compile(r"[a-z0-9_-]{1,32}\Z")
_encode = msgspec.json.Encoder().encode


class StoredCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as it was applied, and where it stands. *state_at*: since when."""

    campaign: Campaign
    state: CampaignState
    state_at: float


class StoredAgent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's card, and the agent as last saved."""

    card: AgentCard
    agent: Agent


def _check_name(what: str, name: str) -> None:
    if not _NAME.match(name):
        raise Conflict(
            f"{name!r} cannot name a {what}: 1 to 32 of the characters a-z, 0-9, '-' and '_' are allowed."
        )


def apply_trunk(connection: sqlite3.Connection, trunk: Trunk, at: float) -> bool:
    """Keep the trunk's settings; return whether they are new or changed.

    Raises:
        Conflict: its id is no possible name.
        JournalError: the journal cannot be written.
    """
    _check_name("trunk", trunk.id)
    return apply_trunks(connection, [trunk], at)[0]


def apply_campaign(connection: sqlite3.Connection, campaign: Campaign, at: float) -> bool:
    """Keep the campaign's settings; return whether they are new or changed. Its state stays.

    Lists that are not known yet are made, empty. Leads of a list that the campaign no longer
    names are finished (``list_removed``); they are enrolled again if the list comes back.

    Raises:
        NotInStore: its trunk was never applied.
        Conflict: an id is no possible name.
        JournalError: the journal cannot be written.
    """
    _check_name("campaign", campaign.id)
    for name in lists_of(campaign):
        _check_name("list", name)
    settings = _encode(campaign).decode()
    with transaction(connection):
        in_force = [one.trunk.id for one in load_stored(connection)]
        if lacking := [one for one in trunk_ids(campaign) if one not in in_force]:
            known = ", ".join(in_force)
            raise NotInStore(
                f"Campaign {campaign.id!r} names the trunk {lacking[0]!r}, which was never applied"
                f" (applied: {known or 'none'}). Apply the trunk first."
            )
        row = connection.execute("SELECT settings FROM campaigns WHERE id = ?", (campaign.id,)).fetchone()
        changed = row is None or row[0] != settings
        if changed:
            connection.execute(
                "INSERT INTO campaigns (id, title, mode, priority, trunk, settings, state, state_at, applied_at)"
                " VALUES (?, ?, ?, ?, ?, ?, 'new', ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET title = excluded.title, mode = excluded.mode, priority = excluded.priority,"
                " trunk = excluded.trunk, settings = excluded.settings, applied_at = excluded.applied_at",
                (
                    campaign.id,
                    campaign.title,
                    campaign.mode,
                    campaign.priority,
                    campaign.trunk,
                    settings,
                    at,
                    at,
                ),
            )
            connection.execute(
                "INSERT INTO campaign_settings (campaign, applied_at, settings) VALUES (?, ?, ?)",
                (campaign.id, at, settings),
            )
            if row is not None and _rules_of(row[0]) != _rules(campaign):
                holding.rules_changed(connection, campaign.id)
        if row is None:
            connection.execute(
                "INSERT INTO campaign_states (campaign, state, at) VALUES (?, 'new', ?)", (campaign.id, at)
            )
        removed = _set_lists(connection, campaign, at)
    for name in removed:
        _finish_leads_of(connection, campaign.id, name, at)
    return changed


def list_of_callers(campaign: Campaign) -> str:
    """The list in which unknown people who call the campaign open a card."""
    return campaign.inbound.list or (campaign.lists[0] if campaign.lists else f"in-{campaign.id}"[:32])


def lists_of(campaign: Campaign) -> tuple[str, ...]:
    """The lists whose contacts the campaign calls: those of its file, and of its callers, for they may be called back."""
    callers = (list_of_callers(campaign),) if campaign.inbound.numbers else ()
    return tuple(dict.fromkeys((*campaign.lists, *callers)))


def _rules(campaign: Campaign) -> tuple[object, ...]:
    """All of a campaign's settings that may keep a number back."""
    return (
        campaign.hours,
        campaign.caps,
        campaign.attempts,
        campaign.attempts_per_contact,
        campaign.retry,
        campaign.results,
        trunk_ids(campaign),
        campaign.countries,
    )


def _rules_of(settings: str) -> tuple[object, ...] | None:
    """The same of settings in a row; None: another version wrote them, and they cannot be understood."""
    try:
        return _rules(_campaign(settings))
    except StoreError:
        return None


def _set_lists(connection: sqlite3.Connection, campaign: Campaign, at: float) -> list[str]:
    before = {
        row[0]
        for row in connection.execute("SELECT list FROM campaign_lists WHERE campaign = ?", (campaign.id,))
    }
    for position, name in enumerate(lists_of(campaign)):
        make_list(connection, name, at)
        connection.execute(
            "INSERT INTO campaign_lists (campaign, list, position) VALUES (?, ?, ?)"
            " ON CONFLICT (campaign, list) DO UPDATE SET position = excluded.position",
            (campaign.id, name, position),
        )
    removed = sorted(before.difference(lists_of(campaign)))
    for name in removed:
        connection.execute("DELETE FROM campaign_lists WHERE campaign = ? AND list = ?", (campaign.id, name))
    return removed


def _finish_leads_of(connection: sqlite3.Connection, campaign: CampaignId, name: str, at: float) -> None:
    """Finish the leads of one list, in short transactions; those too that a rule has finished, or they would
    be let loose with it."""
    after = 0
    while True:
        with transaction(connection):
            rows = connection.execute(
                "SELECT id FROM contacts WHERE list = ? AND id > ? ORDER BY id LIMIT ?",
                (name, after, CHUNK_ROWS),
            ).fetchall()
            removed = [
                found[0]
                for (contact,) in rows
                if (found := connection.execute(_REMOVE, (contact, campaign)).fetchone()) is not None
            ]
            holding.note(connection, removed, at, LIST_REMOVED)
        if not rows:
            return
        after = rows[-1][0]
        time.sleep(BREATH_S)


_REMOVE = (
    f"UPDATE leads SET due = NULL, finished = '{LIST_REMOVED}', held = NULL, held_due = NULL, held_version = NULL"
    " WHERE contact = ? AND campaign = ? AND (finished IS NULL OR held IS NOT NULL) RETURNING id"
)


def make_list(connection: sqlite3.Connection, name: str, at: float, title: str = "") -> None:
    """Make the list if there is none of that name. Part of the caller's transaction.

    Raises:
        Conflict: the name is no possible name.
    """
    _check_name("list", name)
    connection.execute(
        "INSERT INTO lists (id, title, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (name, title, at),
    )


def add_agent(connection: sqlite3.Connection, card: AgentCard) -> bool:
    """Keep the agent's card; return whether it is new or changed. The agent's state stays.

    Raises:
        Conflict: the phone belongs to another agent, or the id is no possible name.
        NotInStore: a campaign of the card is not known.
        JournalError: the journal cannot be written.
    """
    _check_name("agent", card.id)
    with transaction(connection):
        other = connection.execute(
            "SELECT id FROM agents WHERE phone = ? AND id <> ?", (card.phone, card.id)
        ).fetchone()
        if other:
            raise Conflict(f"The phone {card.phone} belongs to agent {other[0]!r} already.")
        for campaign in card.campaigns:
            if not connection.execute("SELECT 1 FROM campaigns WHERE id = ?", (campaign,)).fetchone():
                raise NotInStore(
                    f"Agent {card.id!r} names the campaign {campaign!r}, which was never applied."
                )
        row = connection.execute(f"SELECT {CARD_COLUMNS} FROM agents WHERE id = ?", (card.id,)).fetchone()
        if row is not None and card_from_row(row) == card:
            return False
        connection.execute(
            f"INSERT INTO agents ({CARD_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " name = excluded.name, phone = excluded.phone, leg = excluded.leg, campaigns = excluded.campaigns",
            card_to_row(card),
        )
        connection.execute(
            "INSERT INTO desk_phones (extension, added_at) VALUES (?, ?) ON CONFLICT (extension) DO NOTHING",
            (card.phone, time.time()),
        )
    return True


def load_campaigns(connection: sqlite3.Connection) -> list[StoredCampaign]:
    """All campaigns, those of lower priority number first."""
    return [
        StoredCampaign(
            campaign=msgspec.json.decode(settings, type=Campaign),
            state=CampaignState(state),
            state_at=state_at,
        )
        for settings, state, state_at in connection.execute(
            "SELECT settings, state, state_at FROM campaigns ORDER BY priority, id"
        )
    ]


def load_campaign(connection: sqlite3.Connection, campaign: str) -> StoredCampaign:
    """One campaign.

    Raises:
        NotInStore: there is none of that id; the message names those that are.
    """
    found = load_campaigns(connection)
    for one in found:
        if one.campaign.id == campaign:
            return one
    known = ", ".join(one.campaign.id for one in found) or "none"
    raise NotInStore(f"There is no campaign {campaign!r} (there are: {known}).")


_KNOWN: dict[str, Campaign] = {}
_KNOWN_MOST = 256


def _campaign(settings: str) -> Campaign:
    """The campaign in a row; one that was read before is the same object.

    Raises:
        StoreError: another version wrote it, and it cannot be understood.
    """
    found = _KNOWN.get(settings)
    if found is None:
        if len(_KNOWN) >= _KNOWN_MOST:
            _KNOWN.clear()
        try:
            found = _KNOWN[settings] = msgspec.json.decode(settings, type=Campaign)
        except msgspec.DecodeError as error:
            raise StoreError(f"The settings of a campaign in the journal cannot be read: {error}.") from error
    return found


def campaign_now(connection: sqlite3.Connection, campaign: str) -> Campaign | None:
    """The campaign's settings as they stand in the journal now; None: there is no such campaign.

    Cheap enough for each call: what did not change since it was last read is not decoded again.

    Raises:
        StoreError: they cannot be understood.
    """
    row = connection.execute("SELECT settings FROM campaigns WHERE id = ?", (campaign,)).fetchone()
    return None if row is None else _campaign(row[0])


def campaign_at(connection: sqlite3.Connection, campaign: str, at: float) -> Campaign | None:
    """The campaign's settings as they were at a moment; None: it was not known then.

    Raises:
        StoreError: they were written by a version whose settings cannot be understood any more.
    """
    row = connection.execute(
        "SELECT settings FROM campaign_settings WHERE campaign = ? AND applied_at <= ?"
        " ORDER BY applied_at DESC, id DESC LIMIT 1",
        (campaign, at),
    ).fetchone()
    return None if row is None else _campaign(row[0])


def apply_centre(connection: sqlite3.Connection, centre: Centre, at: float) -> bool:
    """Keep the rules of the whole centre; return whether they are new or changed.

    Raises:
        JournalError: the journal cannot be written.
    """
    settings = _encode(centre).decode()
    with transaction(connection):
        before = None
        with suppress(StoreError):  # what cannot be read is replaced
            before = load_centre(connection)
        if before == centre:
            return False
        connection.execute("INSERT INTO centre (applied_at, settings) VALUES (?, ?)", (at, settings))
        if before is None or (before.caps, before.countries) != (centre.caps, centre.countries):
            holding.rules_changed(connection)
    return True


def load_centre(connection: sqlite3.Connection, at: float | None = None) -> Centre:
    """The rules of the whole centre, now or (*at*) at a moment past; where none were applied, those by default.

    Raises:
        StoreError: they cannot be understood.
    """
    row = connection.execute(
        "SELECT settings FROM centre WHERE applied_at <= ? ORDER BY applied_at DESC, id DESC LIMIT 1"
        if at is not None
        else "SELECT settings FROM centre WHERE ? IS NULL ORDER BY id DESC LIMIT 1",
        (at,),
    ).fetchone()
    if row is None:
        return Centre()
    try:
        return msgspec.json.decode(row[0], type=Centre)
    except msgspec.DecodeError as error:
        raise StoreError(f"The rules of the centre in the journal cannot be read: {error}.") from error


def load_trunks(connection: sqlite3.Connection) -> list[Trunk]:
    """All trunks in force, by id."""
    return [one.trunk for one in load_stored(connection)]


def load_agents(connection: sqlite3.Connection) -> list[StoredAgent]:
    """All agents by id."""
    cards = connection.execute(f"SELECT {CARD_COLUMNS}, {AGENT_COLUMNS} FROM agents ORDER BY id")
    width = len(CARD_FIELDS)
    return [
        StoredAgent(card=card_from_row(tuple(row)[:width]), agent=agent_from_row(tuple(row)[width:]))
        for row in cards
    ]
