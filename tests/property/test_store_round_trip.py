"""The store gives back what it was given, however often and in whatever order it was saved."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.core.commands import Command, SaveAgent, SaveCall
from dialer.core.ids import AgentId, AttemptId, CampaignId, ChannelId, ContactId, LeadId, PhoneId, TrunkId
from dialer.core.values import (
    Agent,
    AgentCard,
    AgentState,
    Call,
    CallState,
    Campaign,
    OperatorResult,
    Result,
    RetryRule,
    Trunk,
)
from dialer.office.source import _restored
from dialer.office.tables import csv_cell
from dialer.store import settings as store_settings
from dialer.store.connect import transaction
from dialer.store.guard import Guard
from dialer.store.migrations import migrate
from dialer.store.rows import (
    CALL_COLUMNS,
    agent_from_row,
    agent_to_row,
    call_from_row,
    card_from_row,
    card_to_row,
)
from dialer.store.writing import write
from tests.examples import examples

TEMPLATE = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
migrate(TEMPLATE)
for script in (
    """INSERT INTO trunks (id, host, settings, applied_at) VALUES ('t', 'h', '{"id": "t", "host": "h"}', 0)""",
    "INSERT INTO lists (id, created_at) VALUES ('l', 0)",
    "INSERT INTO contacts (id, list, key, added_at) VALUES (1, 'l', 'k', 0)",
    "INSERT INTO phones (id, contact, position, kind, number) VALUES (1, 1, 0, 'main', '+1')",
    (
        "INSERT INTO campaigns (id, title, mode, priority, trunk, settings, state_at, applied_at)"
        " VALUES ('c', '', 'progressive', 1, 't', '{}', 0, 0)"
    ),
    "INSERT INTO leads (id, campaign, contact, due, enrolled_at) VALUES (1, 'c', 1, 0, 0)",
    "INSERT INTO agents (id, name, phone, leg, campaigns) VALUES ('ann', '', '1', 'parked', '[]')",
):
    TEMPLATE.execute(script)

INSTANTS = st.floats(0, 1e10, allow_nan=False)
MAYBE = st.none() | INSTANTS
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.none() | st.integers(0, 700)

CALLS = st.builds(
    Call,
    attempt=st.sampled_from([AttemptId("a" + digit * 20) for digit in "01"]),
    campaign=st.just(CampaignId("c")),
    lead=st.just(LeadId(1)),
    contact=st.just(ContactId(1)),
    phone=st.just(PhoneId(1)),
    number=TEXTS,
    ordinal=st.integers(1, 2),
    trunk=st.just(TrunkId("t")),
    state=st.sampled_from(CallState),
    deadline=MAYBE,
    created_at=INSTANTS,
    rang_at=MAYBE,
    answered_at=MAYBE,
    agent=st.none() | st.just(AgentId("ann")),
    connected_at=MAYBE,
    ended_at=MAYBE,
    ending=TEXTS,
    result=st.none() | st.sampled_from(Result),
    cause=NUMBERS,
    tech_cause=NUMBERS,
    operator_result=st.none() | TEXTS,
)
AGENTS = st.builds(
    Agent,
    id=st.just(AgentId("ann")),
    state=st.sampled_from(AgentState),
    since=INSTANTS,
    reason=TEXTS,
    channel=st.none() | TEXTS.map(ChannelId),
    has_line=st.booleans(),
    attempt=st.none(),
    last_attempt=st.none(),
    deadline=MAYBE,
    pause_asked=st.none() | TEXTS,
    sign_out_asked=st.booleans(),
)


@contextmanager
def journal() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    TEMPLATE.backup(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    try:
        yield connection
    finally:
        connection.close()


class AnyCall(Guard):
    """A guard that forbids nothing: what is allowed is not the matter here."""

    def forbids(self, connection: sqlite3.Connection, call: Call) -> str | None:
        return None


def save(connection: sqlite3.Connection, commands: list[Command]) -> None:
    with transaction(connection):
        write(connection, [], commands, AnyCall())


def state_of(connection: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    return [list(connection.execute(f"SELECT * FROM {name} ORDER BY 1")) for name in ("attempts", "agents")]


@settings(max_examples=examples(150), deadline=None)
@given(CALLS)
def test_a_call_comes_back_as_it_was_saved(call: Call) -> None:
    with journal() as connection:
        save(connection, [SaveCall(call=call)])
        assert call_from_row(connection.execute(f"SELECT {CALL_COLUMNS} FROM attempts").fetchone()) == call


@settings(max_examples=examples(150), deadline=None)
@given(AGENTS)
def test_an_agent_comes_back_as_saved(agent: Agent) -> None:
    with journal() as connection:
        save(connection, [SaveAgent(agent=agent, at=agent.since)])
        assert store_settings.load_agents(connection)[0].agent == agent
        assert agent_from_row((agent.id, *agent_to_row(agent)[:-1])) == agent


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(AGENTS, min_size=1, max_size=6))
def test_an_agents_history_has_one_present_state_and_no_overlap(agents: list[Agent]) -> None:
    commands: list[Command] = [
        SaveAgent(agent=one, at=one.since) for one in sorted(agents, key=lambda a: a.since)
    ]
    with journal() as connection:
        save(connection, commands)
        once = state_of(connection)
        save(connection, commands)
        assert state_of(connection) == once
        rows = list(
            connection.execute("SELECT began_at, ended_at FROM agent_states ORDER BY began_at, ended_at")
        )
        assert sum(ended is None for _, ended in rows) == 1
        assert all(began <= ended for began, ended in rows if ended is not None)
        lasting = sorted((began, ended) for began, ended in rows if ended is None or ended > began)
        assert all(first[1] is not None and first[1] <= second[0] for first, second in pairwise(lasting))


@settings(max_examples=examples(100), deadline=None)
@given(CALLS, CALLS)
def test_saving_a_decision_twice_leaves_what_once_left(first: Call, second: Call) -> None:
    commands: list[Command] = [SaveCall(call=first), SaveCall(call=second)]
    with journal() as connection:
        try:
            save(connection, commands)
        except Exception:
            assert state_of(connection)[0] == []
            return
        once = state_of(connection)
        save(connection, commands)
        assert state_of(connection) == once


@settings(max_examples=examples(50), deadline=None)
@given(
    st.builds(
        Campaign,
        id=st.just(CampaignId("c")),
        title=TEXTS,
        trunk=st.just(TrunkId("t")),
        lists=st.just(("l",)),
        retry=st.dictionaries(st.sampled_from(Result), st.builds(RetryRule, again_s=MAYBE), max_size=3),
        results=st.lists(
            st.builds(OperatorResult, code=TEXTS, name=TEXTS, title=TEXTS, again_s=MAYBE), max_size=2
        ).map(tuple),
        pause_reasons=st.dictionaries(TEXTS, TEXTS, max_size=2),
    )
)
def test_a_campaign_and_a_trunk_come_back_as_applied(campaign: Campaign) -> None:
    with journal() as connection:
        store_settings.apply_campaign(connection, campaign, 1.0)
        assert store_settings.load_campaigns(connection)[0].campaign == campaign
        trunk = Trunk(id=TrunkId("t"), host=campaign.title)
        store_settings.apply_trunk(connection, trunk, 1.0)
        assert store_settings.load_trunks(connection) == [trunk]


@given(TEXTS, TEXTS, st.lists(TEXTS.map(CampaignId), max_size=2).map(tuple))
def test_a_card_comes_back(name: str, phone: str, campaigns: tuple[CampaignId, ...]) -> None:
    card = AgentCard(id=AgentId("x"), name=name, phone=phone, campaigns=campaigns)
    assert card_from_row(card_to_row(card)) == card


@given(st.text(max_size=8) | st.from_regex(r"[=+@-]\w*", fullmatch=True))
def test_a_text_that_was_made_harmless_for_a_spreadsheet_is_restored(text: str) -> None:
    if not text.startswith("'"):
        assert _restored(csv_cell(text)) == text
