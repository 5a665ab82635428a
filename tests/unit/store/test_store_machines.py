"""Machines by campaign and day: told, met by operators, and how long it was listened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from dialer.core.commands import SaveCall
from dialer.core.values import Call, CallState, Campaign, Result
from dialer.store import leads, machines
from dialer.store.calendar import Calendar
from dialer.store.connect import transaction
from dialer.store.fetching import fetch_leads
from dialer.store.guard import Guard
from dialer.store.machines import Met
from dialer.store.writing import write

DAY_S = 86_400.0
DAY = 20_000
CALLS: tuple[tuple[int, str, dict[str, Any]], ...] = (
    (0, "machine", {"listened_s": 1.5}),
    (0, "machine", {}),  # a call of an engine that heard of the machine from a list of channels
    (0, "talked", {"listened_s": 0.5, "answered": True, "connected": True, "operator_result": "order"}),
    (0, "talked", {"listened_s": 1.0, "answered": True, "connected": True, "operator_result": "machine"}),
    (0, "talked", {"answered": True, "connected": True, "is_abandoned": True}),
    (0, "abandoned", {"listened_s": 1.0, "answered": True, "is_abandoned": True}),
    (0, "busy", {}),
    (1, "machine", {"listened_s": 2.0}),
    (2, "talked", {"answered": True, "connected": True}),
)


@pytest.fixture
def counted(
    db: sqlite3.Connection,
    campaign: Campaign,
    call_for: Callable[..., Call],
    more_contacts: Callable[..., None],
) -> sqlite3.Connection:
    more_contacts(len(CALLS))
    leads.enroll(db, campaign.id, 2.0)
    found, _, _ = fetch_leads(db, Calendar(), campaign, len(CALLS), 5.0)
    with transaction(db):
        for place, (lead, (day, result, facts)) in enumerate(zip(found, CALLS, strict=True)):
            at = (DAY + day) * DAY_S + 100.0 * place
            call = call_for(
                lead,
                place,
                state=CallState.ENDED,
                created_at=at,
                answered_at=at + 5 if "answered" in facts else None,
                connected_at=at + 8 if "connected" in facts else None,
                abandoned_at=at + 7 if "is_abandoned" in facts else None,
                listened_s=facts.get("listened_s"),
                operator_result=facts.get("operator_result"),
                result=Result(result),
            )
            write(db, [], [SaveCall(call=call)], Guard())
    return db


@pytest.mark.parametrize("name", [None, "spring"])
def test_days(counted: sqlite3.Connection, name: str | None) -> None:
    first, second = machines.days(counted, name, DAY, DAY + 9)
    assert first == {
        "campaign": "spring",
        "day": DAY,
        "answered": 6,
        "machines": 2,
        "met": 1,
        "listened": 4,
        "listened_s_mean": 1.0,
        "listened_s_max": 1.5,
    }
    assert (second["day"], second["answered"], second["machines"], second["listened_s_mean"]) == (
        DAY + 1,
        1,
        1,
        2.0,
    )
    assert machines.days(counted, name, DAY + 2, DAY + 9) == []
    assert machines.days(counted, "autumn", DAY, DAY + 9) == []


def test_whom_operators_met(counted: sqlite3.Connection) -> None:
    assert machines.met(counted, "spring", DAY, DAY + 9) == {
        DAY: Met(people=1, machines=1, told=2),
        DAY + 1: Met(people=0, machines=0, told=1),
        DAY + 2: Met(people=1, machines=0, told=0),
    }
    assert machines.met(counted, "spring", DAY + 1, DAY + 1) == {DAY + 1: Met(0, 0, 1)}
    assert machines.met(counted, "autumn", DAY, DAY + 9) == {}


def test_by_an_index(counted: sqlite3.Connection) -> None:
    asked: list[str] = []
    counted.set_trace_callback(asked.append)
    machines.days(counted, None, DAY, DAY)
    machines.days(counted, "spring", DAY, DAY)
    machines.met(counted, "spring", DAY, DAY)
    counted.set_trace_callback(None)
    for sql in asked:
        plan = [row[3] for row in counted.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert sum(step.startswith("SEARCH a USING INDEX") or "COVERING" in step for step in plan) in (1, 2)
        assert not any(step.startswith("SCAN a") for step in plan), plan
