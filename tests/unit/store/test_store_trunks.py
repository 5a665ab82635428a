"""Trunks in the journal: in force, out of use, removed, and how they fared."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
import pytest

from dialer.core.ids import CampaignId, TrunkId
from dialer.core.trunk import Trunk
from dialer.core.values import Campaign
from dialer.store import settings, trunks
from dialer.store.calendar import Calendar
from dialer.store.connect import transaction
from dialer.store.errors import Conflict, NotInStore
from dialer.store.loading import load

NORTH = Trunk(id=TrunkId("north"), host="127.0.0.1")
SPARE = Trunk(id=TrunkId("spare"), host="192.0.2.9")


def attempt(db: sqlite3.Connection, serial: int, at: float, **changes: Any) -> None:
    """A call by the trunk ``north``, ended unless *changes* say otherwise."""
    values: dict[str, Any] = {
        "attempt": f"a{serial:020}",
        "campaign": "spring",
        "lead": 1,
        "contact": 1,
        "phone": 1,
        "number": "+79160000001",
        "ordinal": serial,
        "trunk": "north",
        "state": "ended",
        "created_at": at,
        "ended_at": at + 30,
        "result": "no_answer",
        "direction": "out",
    } | changes
    with transaction(db):
        db.execute(
            f"INSERT INTO attempts ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
            tuple(values.values()),
        )


def test_all_are_applied_or_none(db):
    assert trunks.apply_trunks(db, [NORTH, SPARE], 5.0) == [False, True]
    assert trunks.apply_trunks(db, [msgspec.structs.replace(NORTH, port=5062), SPARE], 6.0) == [True, False]
    assert [(one.trunk.id, one.applied_at) for one in trunks.load_stored(db)] == [
        ("north", 6.0),
        ("spare", 5.0),
    ]


def test_a_disabled_trunk_stays_so_until_it_is_enabled(db):
    assert trunks.set_disabled(db, "north", 7.0)
    assert not trunks.set_disabled(db, "north", 8.0)
    assert trunks.apply_trunks(db, [msgspec.structs.replace(NORTH, port=5062)], 9.0) == [True]
    assert trunks.disabled(db) == ["north"]
    assert load(db, Calendar()).started(at=1.0, version="1").trunks_disabled == ("north",)
    assert trunks.find_stored(db, "north").disabled_at == 7.0
    assert trunks.set_disabled(db, "north", None)
    assert trunks.disabled(db) == []
    with pytest.raises(NotInStore, match=r"no trunk 'south' in force \(there are: north\)"):
        trunks.set_disabled(db, "south", 1.0)


def test_a_trunk_that_is_used_is_not_removed(db):
    trunks.apply_trunks(db, [SPARE], 2.0)
    with pytest.raises(Conflict, match="the campaign spring uses it"):
        trunks.remove_trunk(db, "north", 3.0)
    second = Campaign(
        id=CampaignId("autumn"), lists=("people",), trunk=TrunkId("north"), trunks=(TrunkId("spare"),)
    )
    settings.apply_campaign(db, second, 2.0)
    assert trunks.users(db, "spare") == ["autumn"], "among its further trunks"
    with pytest.raises(Conflict, match="the campaigns autumn, spring use it"):
        trunks.remove_trunk(db, "north", 3.0)


def test_a_trunk_with_calls_on_it_is_not_removed(db):
    trunks.apply_trunks(db, [SPARE], 2.0)
    attempt(db, 1, 10.0, trunk="spare", state="connected", ended_at=None, result=None)
    with pytest.raises(Conflict, match="one call is on it"):
        trunks.remove_trunk(db, "spare", 3.0)
    assert trunks.live_calls(db) == {"spare": 1}


def test_nor_is_one_with_a_third_party_on_it(db):
    trunks.apply_trunks(db, [SPARE], 2.0)
    attempt(db, 1, 10.0, trunk="north", state="connected", ended_at=None, result=None)
    (call,) = db.execute("SELECT attempt FROM attempts").fetchone()
    sql = (
        "INSERT INTO transfers (attempt, place, agent, kind, state, began_at, bridge, trunk)"
        " VALUES (?, ?, 'ann', 'blind', ?, 20, 'b', 'spare')"
    )
    db.execute(sql, (call, 1, "over"))
    assert trunks.live_calls(db) == {"north": 1}
    db.execute(sql, (call, 2, "handed"))
    assert trunks.live_calls(db) == {"north": 1, "spare": 1}
    with pytest.raises(Conflict, match="one call is on it"):
        trunks.remove_trunk(db, "spare", 3.0)


def test_a_removed_trunk_is_gone_and_its_calls_stay_and_it_may_come_back(db):
    trunks.apply_trunks(db, [SPARE], 2.0)
    attempt(db, 1, 10.0, trunk="spare")
    trunks.set_disabled(db, "spare", 2.5)
    trunks.remove_trunk(db, "spare", 3.0)
    assert [one.id for one in settings.load_trunks(db)] == ["north"]
    with pytest.raises(NotInStore):
        trunks.remove_trunk(db, "spare", 4.0)
    with pytest.raises(NotInStore, match="never applied"):
        settings.apply_campaign(
            db, Campaign(id=CampaignId("late"), lists=("people",), trunk=TrunkId("spare")), 4.0
        )
    assert trunks.fared(db, "spare", 0.0).seizures == 1
    assert trunks.apply_trunks(db, [SPARE], 5.0) == [True]
    assert trunks.find_stored(db, "spare").disabled_at is None


def test_how_a_trunk_fared(db):
    for serial in range(1, 21):  # rang after 0.1 s to 2.0 s
        attempt(db, serial, 100.0, rang_at=100.0 + serial / 10, cause=19, tech_cause=480)
    attempt(db, 21, 100.0, answered_at=104.0, result="talked", cause=16)
    attempt(db, 22, 100.0, result="rerouted", cause=34, tech_cause=503)
    attempt(db, 23, 100.0, result="failed")
    attempt(db, 24, 100.0, state="ringing", rang_at=101.0, ended_at=None, result=None)
    attempt(db, 25, 100.0, direction="in", answered_at=100.0, result="talked", number="+79160000009")
    attempt(db, 26, 99.0, result="busy", cause=17, tech_cause=486)
    found = trunks.fared(db, "north", 100.0, 200.0)
    assert (found.seizures, found.ended, found.answered) == (23, 22, 1), (
        "never sent, come in, earlier: none of them"
    )
    assert (found.rerouted, found.came_in) == (1, 1)
    assert found.asr == pytest.approx(1 / 22)
    assert found.pdd_p50_s == pytest.approx(1.0)
    assert found.pdd_p95_s == pytest.approx(2.0)
    assert [(one.result, one.cause, one.tech_cause, one.count) for one in found.causes] == [
        ("no_answer", 19, 480, 20),
        ("rerouted", 34, 503, 1),
    ]
    nothing = trunks.fared(db, "north", 500.0)
    assert (nothing.seizures, nothing.asr, nothing.pdd_p50_s) == (0, None, None)


def test_the_states_of_its_rotation(db):
    with transaction(db):
        db.executemany(
            "INSERT INTO trunk_states (trunk, server, at, state, why) VALUES ('north', ?, ?, ?, ?)",
            [
                ("", 1.0, "resting", "3 in a row"),
                ("", 2.0, "up", "a call was carried"),
                ("b", 1.5, "down", "no OPTIONS"),
            ],
        )
    assert [one.state for one in trunks.states(db, "north", 2)] == ["up", "down"]
    present = trunks.present_states(db)["north"]
    assert {server: one.state for server, one in present.items()} == {"": "up", "b": "down"}
    assert trunks.states(db, "south") == []


@pytest.mark.parametrize(
    "question",
    [
        trunks._DELAYS,
        trunks._CAUSES,
        "SELECT 1 FROM trunk_states WHERE trunk = :trunk ORDER BY at DESC LIMIT 5",
    ],
)
def test_no_question_reads_a_whole_table(db, question):
    plan = db.execute(f"EXPLAIN QUERY PLAN {question}", {"trunk": "north", "since": 0.0, "until": 9.0})
    assert not [row for row in plan if row[3].startswith("SCAN")]
