"""Questions for reports: right figures, pages that neither repeat nor lose, and always an index."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dialer.core.commands import SaveAgent, SaveCall, SaveLead
from dialer.core.events import RecordingMissing, RecordingStored
from dialer.core.ids import AgentId, ContactId
from dialer.core.values import Agent, AgentState, Call, CallState, Campaign, Result
from dialer.store import contacts, figures, leads, questions
from dialer.store.calendar import Calendar
from dialer.store.connect import transaction
from dialer.store.errors import NotInStore
from dialer.store.fetching import fetch_leads
from dialer.store.guard import Guard
from dialer.store.questions import BadQuestion, Filter
from dialer.store.writing import write

HOUR = 3600.0


@pytest.fixture
def day(
    db: sqlite3.Connection,
    campaign: Campaign,
    call_for: Callable[..., Call],
    more_contacts: Callable[..., None],
) -> sqlite3.Connection:
    """Ten attempts on ten people within two hours: 4 talked (3 by Ann), 2 abandoned, 3 busy, 1 failed."""
    more_contacts(17)
    leads.enroll(db, campaign.id, 2.0)
    found, _, _ = fetch_leads(db, Calendar(), campaign, 10, 5.0)
    kinds = ["talked"] * 4 + ["abandoned"] * 2 + ["busy"] * 3 + ["failed"]
    with transaction(db):
        for place, (lead, kind) in enumerate(zip(found, kinds, strict=True)):
            at = HOUR + place * 600.0
            answered = at + 10 if kind in ("talked", "abandoned") else None
            connected = at + 11 if kind == "talked" else None
            call = call_for(
                lead,
                place,
                created_at=at,
                rang_at=at + 2,
                answered_at=answered,
                connected_at=connected,
                abandoned_at=at + 12 if kind == "abandoned" else None,
                agent=None if connected is None else AgentId("ann" if place < 3 else "bob"),
                state=CallState.ENDED,
                ended_at=at + 41,
                result=Result(kind),
                operator_result="order" if place < 2 else None,
            )
            done = SaveLead(lead=lead.id, ordinal=1, due=None, finished=kind)
            again = SaveLead(lead=lead.id, ordinal=1, due=at + 180)
            events: list[Any] = []
            if kind == "talked":
                events.append(
                    RecordingStored(
                        at=at + 50,
                        attempt=call.attempt,
                        path=f"d/{call.attempt}.wav",
                        started_at=at + 10,
                        length_s=31.0 + place,
                        size_bytes=9,
                        sha256="0",
                    )
                )
            elif kind == "abandoned":
                events.append(RecordingMissing(at=at + 50, attempt=call.attempt, reason="no file"))
            write(db, events, [SaveCall(call=call), again if kind == "busy" else done], Guard())
        states = [
            ("ready", "", 3600.0),
            ("on_call", "", 4000.0),
            ("wrap_up", "", 4300.0),
            ("paused", "x", 4400.0),
        ]
        for state, reason, since in [*states, ("signed_out", "", 5000.0)]:
            agent = Agent(id=AgentId("ann"), state=AgentState(state), reason=reason, since=since)
            write(db, [], [SaveAgent(agent=agent, at=since)], Guard())
    return db


def test_campaigns(day: sqlite3.Connection) -> None:
    (row,) = figures.campaigns(day)
    assert (row["leads"], row["dialed"], row["penetration"]) == (20, 9, 0.45)
    assert (row["attempts"], row["answered"], row["reached"]) == (10, 6, 4)
    assert (row["talked"], row["abandoned"], row["busy"], row["failed"], row["no_answer"]) == (4, 2, 3, 1, 0)
    assert row["abandoned_share"] == 0.3333
    assert (row["talk_s"], row["talk_s_mean"]) == (120.0, 30.0)
    (row,) = figures.campaigns(day, "spring", since=1e6)
    assert (row["attempts"], row["abandoned_share"], row["talk_s_mean"]) == (0, None, None)


def test_campaign_hours_and_results(day: sqlite3.Connection) -> None:
    first, second = figures.campaign_hours(day, "spring")
    assert (first["hour_at"], first["attempts"], first["talked"], first["abandoned"]) == (3600.0, 6, 4, 2)
    assert (second["hour_at"], second["attempts"], second["abandoned_share"]) == (7200.0, 4, None)
    results = [
        (row["result"], row["attempts"], row["share"]) for row in figures.campaign_results(day, "spring")
    ]
    assert results == [("talked", 4, 0.4), ("busy", 3, 0.3), ("abandoned", 2, 0.2), ("failed", 1, 0.1)]
    assert figures.campaign_operator_results(day, "spring") == [
        {"operator_result": "order", "attempts": 2, "share": 1.0}
    ]


def test_agents(day: sqlite3.Connection) -> None:
    ann, bob = figures.agents(day, at=10_000.0)
    assert (ann["rank"], ann["agent"], ann["calls"], ann["talk_s"]) == (1, "ann", 3, 90.0)
    assert (bob["rank"], bob["agent"], bob["calls"], bob["signed_in_s"]) == (2, "bob", 1, 0)
    assert (ann["ready_s"], ann["on_call_s"], ann["wrap_up_s"], ann["paused_s"]) == (400, 300, 100, 600)
    assert ann["signed_in_s"] == 1400
    assert ann["occupancy"] == 0.5
    assert ann["operator_results"] == {"order": 2}


def test_agents_in_a_part_of_their_day(day: sqlite3.Connection) -> None:
    ann = figures.agents(day, "ann", at=10_000.0, since=3900.0, until=4100.0)[0]
    assert (ann["ready_s"], ann["on_call_s"], ann["wrap_up_s"]) == (100, 100, 0)
    still = figures.agents(day, "ann", at=5e6, since=4e6)[0]
    assert still["signed_in_s"] == 0


@pytest.mark.parametrize("sort", questions.SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_neither_repeat_nor_lose(day: sqlite3.Connection, sort: str, descending: bool) -> None:
    def ask(after: questions.Key | None) -> questions.Page:
        return questions.attempts(day, Filter(), sort=sort, descending=descending, after=after, limit=3)

    rows = list(questions.all_pages(ask))
    assert len({row["attempt"] for row in rows}) == len(rows) == 10
    values = [(row[sort] is not None, row[sort]) for row in rows]
    assert values == sorted(values, reverse=descending)


@pytest.mark.parametrize(
    ("which", "count"),
    [
        (Filter(), 10),
        (Filter(campaign="spring"), 10),
        (Filter(campaign="autumn"), 0),
        (Filter(agent="ann"), 3),
        (Filter(result="busy"), 3),
        (Filter(operator_result="order"), 2),
        (Filter(since=2 * HOUR), 4),
        (Filter(until=2 * HOUR), 6),
        (Filter(number="+79160000001"), 1),
        (Filter(contact=2), 1),
        (Filter(campaign="x' OR '1'='1"), 0),
    ],
)
def test_filters(day: sqlite3.Connection, which: Filter, count: int) -> None:
    assert len(questions.attempts(day, which).rows) == count


def test_what_there_is_not_to_ask(day: sqlite3.Connection) -> None:
    with pytest.raises(BadQuestion, match=r"sorted by 'a\.cause; --'; allowed are created_at"):
        questions.attempts(day, Filter(), sort="a.cause; --")
    with pytest.raises(BadQuestion, match="no result 'sold'; allowed are talked"):
        questions.attempts(day, Filter(result="sold"))


def test_recordings(day: sqlite3.Connection) -> None:
    assert len(questions.recordings(day, Filter()).rows) == 4
    assert [row["length_s"] for row in questions.recordings(day, Filter(), length_min_s=33).rows] == [
        33.0,
        34.0,
    ]
    assert len(questions.recordings(day, Filter(), length_min_s=32, length_max_s=33).rows) == 2
    missing = questions.recordings(day, Filter(), missing=True).rows
    assert [row["missing"] for row in missing] == ["no file", "no file"]


def test_contacts(day: sqlite3.Connection) -> None:
    assert len(contacts.find_contacts(day, name="people", limit=5)) == 5
    assert [row["id"] for row in contacts.find_contacts(day, name="people", after=18)] == [19, 20]
    assert [row["id"] for row in contacts.find_contacts(day, number="+79160000007")] == [7]
    assert len(contacts.find_contacts(day, number="+7916")) == 20
    assert [row["id"] for row in contacts.find_contacts(day, key="7")] == [7]
    assert [row["id"] for row in contacts.find_contacts(day, key="7", name="others")] == []
    one = contacts.show_contact(day, ContactId(1))
    assert [phone["kind"] for phone in one["phones"]] == ["mobile", "work"]
    assert [(row["result"], row["talk_s"]) for row in one["attempts"]] == [("talked", 30.0)]
    assert one["leads"][0]["finished"] == "talked"
    with pytest.raises(NotInStore, match="no contact 99"):
        contacts.show_contact(day, ContactId(99))


class Watched(sqlite3.Connection):
    """Keeps the SQL of every question."""

    asked: list[tuple[str, Any]]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.asked.append((sql, parameters))
        return super().execute(sql, parameters)


@pytest.fixture
def watched(path: Any, day: sqlite3.Connection) -> Iterator[Watched]:
    connection = sqlite3.connect(path, factory=Watched)
    connection.asked = []
    yield connection
    connection.close()


SMALL = ("SCAN camp", "SCAN agents", "SCAN l", "SCAN own", "CO-ROUTINE", "COMPOUND", "LEFT-MOST", "UNION ALL")
"""Tables of a few rows (campaigns, agents, lists) may be read whole."""


def test_every_question_goes_by_an_index(watched: Watched) -> None:
    figures.campaigns(watched, since=0.0, until=9e9)
    figures.campaign_hours(watched, "spring", 0.0, 9e9)
    figures.campaign_results(watched, "spring", 0.0, 9e9)
    figures.agents(watched, at=1e4)
    for which in (
        Filter(),
        Filter(campaign="spring"),
        Filter(agent="ann"),
        Filter(result="busy"),
        Filter(contact=1),
        Filter(number="+7"),
    ):
        questions.attempts(watched, which)
        questions.recordings(watched, which)
    for given in ({"name": "people"}, {"number": "+7916"}, {"key": "7"}, {"key": "7", "name": "people"}, {}):
        contacts.find_contacts(watched, **given)  # type: ignore[arg-type]
    contacts.show_contact(watched, ContactId(1))
    for sql, parameters in list(watched.asked):
        for row in sqlite3.Connection.execute(watched, f"EXPLAIN QUERY PLAN {sql}", parameters):
            step = row[3]
            assert not step.startswith("SCAN") or step.startswith(SMALL) or "USING" in step, (sql, step)


def test_attempts_by_time_need_no_sorting(day: sqlite3.Connection) -> None:
    """The first page of a million attempts costs a page, not a million."""
    for which in (Filter(), Filter(campaign="spring"), Filter(agent="ann")):
        asked: list[str] = []
        day.set_trace_callback(asked.append)
        questions.attempts(day, which)
        day.set_trace_callback(None)
        plan = [row[3] for row in day.execute(f"EXPLAIN QUERY PLAN {asked[0]}")]
        # (instants that are equal are put in order among themselves: "for right part")
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan
