"""The bench's own arithmetic, and that both halves are measured by the same requests."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from bench import bare, halves, hopper, imports, measures, whole, world
from bench.halves import Counts, Outcome, Plan
from dialer.core import commands as c
from dialer.core.ids import AgentId, AttemptId, BridgeId, ChannelId
from dialer.engine.identity import new_attempt_id
from dialer.pbx.requests import WAIT_GRACE_S, to_request
from dialer.store.calendar import Calendar
from dialer.store.connect import open_reader, open_writer
from dialer.store.fetching import fetch_leads
from dialer.store.files import load_secrets, load_system
from dialer.store.settings import load_campaign


def an_outcome(calls: int, *, agents: int = 10, failed: int = 0, who: str = "engine") -> Outcome:
    return Outcome(
        who=who,
        agents=agents,
        calls=calls,
        window=Counts(at=10.0, cpu_s=1.0, others_s={"asterisk": 2.0}, machine_s=4.0),
        waits_ms=[],
        failed={"abandoned": failed} if failed else {},
    )


def a_plan(home: Path, **changes: object) -> Plan:
    plan = Plan(
        home=str(home),
        ari_url="http://127.0.0.1:18000/ari",
        ari_user="obzvon",
        ari_password="a-password-of-some-length",
        agents=2,
        warm_s=0.0,
        window_s=1.0,
    )
    return msgspec.structs.replace(plan, **changes)


# -- the bare client does what the engine does -------------------------------------------------


def test_the_bare_client_places_calls_as_the_engine_does(tmp_path: Path) -> None:
    attempt = new_attempt_id()
    trunk = whole.trunk(16000, None)
    order = c.Originate(
        attempt=attempt,
        campaign=whole.CAMPAIGN,
        trunk=trunk.id,
        number="+79160000001",
        caller_id=halves.CALLER_ID,
        ring_s=bare.RING_S,
        record=False,
        wait_s=float(bare.WAIT_S - WAIT_GRACE_S),
    )
    (request,) = to_request(order, trunks={trunk.id: trunk}, recordings=tmp_path, at=0.0)
    assert request.json == bare.originate_body(attempt, "+79160000001", "")


def test_the_bare_client_opens_lines_and_joins_as_the_engine_does(tmp_path: Path) -> None:
    line = ChannelId("1700000000.1")
    opened = to_request(
        c.OpenLine(channel=line, bridge=BridgeId(f"line-{line}")), trunks={}, recordings=tmp_path, at=0.0
    )
    assert [one.json for one in opened] == [bare.line_body(line), bare.join_body(line)]
    freed, joined = to_request(
        c.JoinAgent(attempt=AttemptId("a0"), agent=AgentId("anna"), bridge=BridgeId(f"line-{line}")),
        trunks={},
        recordings=tmp_path,
        at=0.0,
    )
    assert (freed.path, freed.json) == ("/channels/a0/variable", bare.LIMIT_BODY)
    assert (joined.path, joined.json) == (f"/bridges/line-{line}/addChannel", bare.join_body("a0"))


# -- figures -----------------------------------------------------------------------------------


def test_what_was_counted_before_the_window_does_not_count() -> None:
    before = Counts(at=5.0, cpu_s=1.0, others_s={"asterisk": 3.0}, events=10)
    after = Counts(at=15.0, cpu_s=1.5, others_s={"asterisk": 4.0, "redis": 0.5}, events=30)
    window = after.since(before)
    assert (window.at, window.cpu_s, window.events) == (10.0, 0.5, 20)
    assert window.others_s == {"asterisk": 1.0, "redis": 0.5}


def test_an_outcome_tells_rates_and_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    one = an_outcome(100, failed=25)
    assert one.calls_per_s == 10
    assert one.failed_share == 0.2
    assert one.cpu_ms_per_call == 10
    assert one.all_ms_per_call == 30
    assert one.strangers_share == pytest.approx(0.05)


def test_the_best_step_has_the_highest_rate_at_which_people_are_joined_in_time() -> None:
    steps = [
        an_outcome(100, agents=54),
        an_outcome(200, agents=80),
        an_outcome(150, agents=120),
        an_outcome(250, agents=180, failed=50),
    ]
    assert halves.best(steps).agents == 80
    assert halves.best(steps).steps == {54: 10.0, 80: 20.0, 120: 15.0, 180: 25.0}
    assert halves.best(steps[3:]).agents == 180


async def test_a_ramp_ends_when_people_are_not_joined_in_time(tmp_path: Path) -> None:
    worked: list[int] = []

    async def window(_: float) -> Outcome:
        return an_outcome(100 * len(worked), agents=worked[-1], failed=100 if worked[-1] > 100 else 0)

    plan = a_plan(tmp_path, agents=150, is_ramp=True, window_s=0.0)
    assert (await halves.window_or_ramp(plan, worked.append, window)).agents == 80
    assert worked == [54, 80, 120]


def test_operators_are_the_limit_while_more_of_them_bring_as_much_more() -> None:
    assert measures.is_limited_by_operators({54: 62.0, 80: 94.0})
    assert measures.is_limited_by_operators({60: 61.0})
    assert not measures.is_limited_by_operators({54: 62.0, 180: 217.0, 270: 270.0})


async def test_a_run_that_is_no_ramp_is_one_window(tmp_path: Path) -> None:
    worked = []

    async def window(length_s: float) -> Outcome:
        worked.append(length_s)
        return an_outcome(10)

    await halves.window_or_ramp(a_plan(tmp_path), worked.append, window)
    assert worked == [2, 1.0]


# -- the world ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["people", "phones"])
def test_scenarios_are_well_formed_when_filled(name: str) -> None:
    text = world.scenario(name, media_port=30000, talk_ms=800)
    assert ET.fromstring(text).tag == "scenario"
    assert "{" not in text.replace("{6,}", "")


def test_the_home_folder_is_fit_for_an_engine(tmp_path: Path) -> None:
    home = tmp_path / "home"
    plan = a_plan(home, rate=20.0)
    whole.prepare(plan, ["1001", "1002"], 16000, 30)
    system = load_system(home)
    assert (system.asterisk.mode, system.asterisk.url) == ("external", plan.ari_url)
    assert load_secrets(home).ari == plan.ari_password
    connection = open_reader(system.journal)
    campaign = load_campaign(connection, whole.CAMPAIGN).campaign
    leads, is_unfinished, _ = fetch_leads(connection, Calendar(), campaign, 100, 1e11)
    connection.close()
    assert is_unfinished
    assert len({lead.phones[0].number for lead in leads}) == 30


def test_a_plan_does_not_show_its_password(tmp_path: Path) -> None:
    assert "a-password" not in repr(a_plan(tmp_path))


def test_the_list_holds_what_is_told_of_it(tmp_path: Path) -> None:
    imports.write_list(tmp_path / "list.csv", 300)
    _, became = imports.import_list(tmp_path / "list.csv", tmp_path / "journal.sqlite3")
    assert became == {"added": 294, "duplicates": 3, "rejected": 3}


def test_the_hoppers_campaign_is_what_is_told_of_it(tmp_path: Path) -> None:
    """A tenth may be dialed, and the engine's own questions find just these."""
    path = tmp_path / "journal.sqlite3"
    hopper.build(path, 400)
    with contextlib.closing(open_writer(path)) as connection:
        found, _, is_partial = fetch_leads(connection, Calendar(), hopper.CAMPAIGN, 100, hopper.AT)
        assert not is_partial
        assert {lead.id % 20 for lead in found} == {18, 19}
        assert len(found) == 40
        held = connection.execute(
            "SELECT held, count(*) FROM leads WHERE held NOT NULL GROUP BY held"
        ).fetchall()
        assert held == [("do_not_call", 40), ("number_per_24h", 20)]
