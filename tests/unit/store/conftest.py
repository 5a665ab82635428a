"""A journal with one trunk, one campaign, two agents and three contacts, fresh for each test."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from dialer.core.ids import AgentId, AttemptId, CampaignId, TrunkId
from dialer.core.values import AgentCard, Call, Campaign, Lead, Trunk
from dialer.store import leads, settings
from dialer.store.calendar import Calendar
from dialer.store.connect import open_writer, transaction
from dialer.store.fetching import fetch_leads
from dialer.store.journal import Journal

CALENDAR = Calendar()
Answer = tuple[list[Lead], bool, bool]
CAMPAIGN = Campaign(id=CampaignId("spring"), lists=("people",), trunk=TrunkId("north"))


@pytest.fixture
def campaign() -> Campaign:
    return CAMPAIGN


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    """The command line's own connection, beside the engine's."""
    connection = open_writer(path)
    settings.apply_trunk(connection, Trunk(id=TrunkId("north"), host="127.0.0.1"), 1.0)
    settings.apply_campaign(connection, CAMPAIGN, 1.0)
    settings.add_agent(connection, AgentCard(id=AgentId("ann"), name="Ann", phone="101"))
    settings.add_agent(connection, AgentCard(id=AgentId("bob"), name="Bob", phone="102", leg="rung"))
    add_contacts(connection, 3)
    leads.enroll(connection, CAMPAIGN.id, 2.0)
    yield connection
    connection.close()


@pytest.fixture
async def journal(path: Path, db: sqlite3.Connection) -> AsyncIterator[Journal]:
    async with await Journal.open(path, busy_s=0.2) as opened:
        yield opened


def add_contacts(connection: sqlite3.Connection, count: int, name: str = "people") -> None:
    """Contacts with two numbers each."""
    with transaction(connection):
        first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM contacts").fetchone()[0]
        for number in range(first, first + count):
            connection.execute(
                "INSERT INTO contacts (id, list, key, name, added_at) VALUES (?, ?, ?, ?, 1.0)",
                (number, name, f"id:{number}", f"Person {number}"),
            )
            connection.executemany(
                "INSERT INTO phones (contact, position, kind, number) VALUES (?, ?, ?, ?)",
                [
                    (number, 0, "mobile", f"+7916{number:07}"),
                    (number, 1, "work", f"+7495{number:07}"),
                ],
            )


@pytest.fixture
def call_for() -> Callable[..., Call]:
    def make(lead: Lead, serial: int = 1, **changes: object) -> Call:
        phone = lead.phones[0]
        fields: dict[str, object] = {
            "attempt": AttemptId(f"a{serial:020}"),
            "campaign": lead.campaign,
            "lead": lead.id,
            "contact": lead.contact,
            "phone": phone.id,
            "number": phone.number,
            "ordinal": lead.ordinal + 1,
            "trunk": "north",
            "created_at": 100.0,
        }
        return Call(**(fields | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def more_contacts(db: sqlite3.Connection) -> Callable[..., None]:
    return lambda count, name="people": add_contacts(db, count, name)


@pytest.fixture
def fetch(db: sqlite3.Connection) -> Callable[..., Answer]:
    """Ask as the hopper does, for the campaign as it stands in the journal."""

    def ask(at: float, *present: str, limit: int = 10, name: str = "spring") -> Answer:
        campaign = settings.load_campaign(db, name).campaign
        return fetch_leads(db, CALENDAR, campaign, limit, at, [AgentId(one) for one in present])

    return ask


@pytest.fixture
def ids(fetch: Callable[..., Answer]) -> Callable[..., list[int]]:
    """The leads of an answer by their ids."""

    def ask(at: float, *present: str, limit: int = 10, name: str = "spring") -> list[int]:
        return [lead.id for lead in fetch(at, *present, limit=limit, name=name)[0]]

    return ask
