"""A journal with nine leads, and a second connection that sees what is really in its file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dialer.core.ids import AgentId
from dialer.core.values import AgentCard
from dialer.store import leads, settings
from dialer.store.connect import open_reader, open_writer, transaction
from dialer.store.journal import Journal
from tests.unit.engine.parts import CAMPAIGN, TRUNK


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite3"
    connection = open_writer(path)
    settings.apply_trunk(connection, TRUNK, 1.0)
    settings.apply_campaign(connection, CAMPAIGN, 1.0)
    settings.add_agent(connection, AgentCard(id=AgentId("ann"), name="Ann", phone="101"))
    with transaction(connection):
        for number in range(1, 10):
            connection.execute(
                "INSERT INTO contacts (id, list, key, name, added_at) VALUES (?, 'people', ?, ?, 1.0)",
                (number, str(number), f"Person {number}"),
            )
            connection.executemany(
                "INSERT INTO phones (contact, position, kind, number) VALUES (?, ?, 'mobile', ?)",
                [(number, 0, f"+7916{number:07}"), (number, 1, f"+7917{number:07}")],
            )
    leads.enroll(connection, CAMPAIGN.id, 2.0)
    connection.close()
    return path


@pytest.fixture
async def journal(journal_file: Path) -> AsyncIterator[Journal]:
    async with await Journal.open(journal_file, busy_s=0.2) as opened:
        yield opened


@pytest.fixture
def reader(journal_file: Path) -> Iterator[sqlite3.Connection]:
    connection = open_reader(journal_file)
    yield connection
    connection.close()
