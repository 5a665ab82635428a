"""``dialer simulate``: what it prints, in which forms, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dialer.core.ids import AgentId, CampaignId
from dialer.core.values import AgentCard
from dialer.lab.simulator import command
from dialer.lab.simulator.command import Asked
from dialer.lab.simulator.trial import AS_IT_IS, ONE_LINE, ONE_OPERATOR, RIVALS
from dialer.office import orders, trunks
from dialer.store import settings
from dialer.store.connect import open_writer
from dialer.store.files import load_campaign
from tests.examples import IS_QUICK
from tests.unit.simulator.staged import in_journal, stage

SHORT = ("--hours", "0.15", "--jobs", "1")


@pytest.fixture
def journal(home: Path) -> Path:
    """A home folder with everything applied."""
    trunks.apply(home, ())
    orders.apply_campaigns(home, ())
    return home / "journal.sqlite3"


def rows_of(result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_the_same_seed_prints_the_same_figures(dialer):
    words = ("simulate", "first", "--agents", "3", *SHORT, "--format", "json")
    first, again, other = dialer(*words), dialer(*words), dialer(*words, "--seed", "2")
    assert [row["what"] for row in rows_of(first)] == [AS_IT_IS, ONE_OPERATOR]
    assert first.stdout == again.stdout
    assert rows_of(other) != rows_of(first)
    row = rows_of(first)[0]
    assert row["campaign"] == "first"
    assert 0 < row["occupancy"] < 1
    assert row["abandoned_low"] <= row["abandoned_share"] <= row["abandoned_high"]
    assert row["occupancy_error"] is None
    assert "its settings are those of its file" in first.stderr


def test_the_table_is_for_people(dialer):
    said = dialer("simulate", "first", "--agents", "3", *SHORT)
    assert said.exit_code == 0, said.output
    assert "first: progressive, 3 operators, 0.15 h, 1 day from seed 1" in said.stdout
    for wanted in (
        "occupancy", "talk, minutes", "idle before each", "calls answered", "abandoned, of those", "the risk lies between",
        "lines needed: at most", "one operator more", "one line more would change nothing", "Of one day nobody can tell",
    ):  # fmt: skip
        assert wanted in said.stdout, wanted
    assert "simulate: 1 of 2 days" in said.stderr


def test_csv_has_the_same_rows(dialer):
    said = dialer("simulate", "first", "--agents", "3", *SHORT, "--no-more", "--format", "csv")
    assert said.exit_code == 0, said.output
    [row] = csv.DictReader(io.StringIO(said.stdout))
    assert (row["what"], row["days"]) == (AS_IT_IS, "1")
    assert float(row["lines_max"]) <= 4


def test_several_days_tell_the_noise(dialer):
    words = ("simulate", "first", "--agents", "3", *SHORT, "--days", "2")
    row = rows_of(dialer(*words, "--format", "json"))[1]
    assert (row["what"], row["days"]) == (ONE_OPERATOR, 2)
    assert row["occupancy_error"] > 0
    said = dialer(*words)
    assert "±" in said.stdout
    assert "the standard error over the days" in said.stdout


def test_where_lines_were_short_one_more_is_tried(dialer):
    words = ("simulate", "first", "--agents", "4", "--lines", "2", *SHORT, "--format", "json")
    rows = rows_of(dialer(*words))
    assert [row["what"] for row in rows] == [AS_IT_IS, ONE_OPERATOR, ONE_LINE]
    assert [row["lines_max"] for row in rows] == [2, 2, 3]
    assert rows[2]["talked"] > rows[0]["talked"]


def test_other_rules_on_the_same_days(dialer):
    words = ("simulate", "first", "--agents", "2", "--hours", "0.05", "--jobs", "1", "--no-more", "--compare")
    said = dialer(*words)
    assert said.exit_code == 0, said.output
    told = said.stdout.partition("Pacing rules on the same days (the whole floor)")[2]
    wanted = [f"{AS_IT_IS} (progressive)", "predictive", *(one for one in RIVALS if one != "progressive")]
    assert all(f"  {rule}  " in told for rule in wanted)
    assert told.count("kept") + told.count("broken") == len(wanted)


@pytest.mark.skipif(IS_QUICK, reason="starts processes")
def test_days_played_side_by_side_are_the_same(dialer):
    words = (
        "simulate",
        "first",
        "--agents",
        "2",
        "--hours",
        "0.05",
        "--no-more",
        "--days",
        "2",
        "--format",
        "json",
    )
    assert dialer(*words, "--jobs", "2").stdout == dialer(*words, "--jobs", "1").stdout


def test_operators_are_those_of_the_journal(dialer, journal):
    with closing(open_writer(journal)) as connection:
        for name, campaigns in (("ann", ()), ("bob", ("first",)), ("cid", ("first",))):
            phone = str(2000 + len(name) + sum(map(ord, name)))
            card = AgentCard(
                id=AgentId(name), phone=phone, leg="rung", campaigns=tuple(map(CampaignId, campaigns))
            )
            settings.add_agent(connection, card)
    said = dialer("simulate", "first", *SHORT)
    assert "first: progressive, 3 operators" in said.stdout, said.output
    assert "never applied" not in said.output


def test_it_draws(dialer, tmp_path):
    for name in ("day.svg", "day.PNG"):
        said = dialer(
            "simulate", "first", "--agents", "2", *SHORT, "--no-more", "--draw", str(tmp_path / name)
        )
        assert said.exit_code == 0, said.output
        assert f"drawn in {tmp_path / name}" in said.output
    assert (tmp_path / "day.svg").read_text().startswith("<svg")
    assert (tmp_path / "day.PNG").read_bytes().startswith(b"\x89PNG")


def test_as_the_journal_has_it(home, dialer, journal):
    made = stage(6, 40.0)
    made = msgspec.structs.replace(
        made, campaign=msgspec.structs.replace(made.campaign, wrap_up="time"),
        world=msgspec.structs.replace(made.world, begins_at=time.time() - 3 * 3600.0),
    )  # fmt: skip
    journal.unlink()
    from dialer.lab.simulator.rivals import Level

    day = in_journal(journal, made.plan(1), lambda: Level(1.5))
    said = dialer("simulate", "spring", "--from", "1d", *SHORT, "--no-more")
    assert said.exit_code == 0, said.output
    assert (
        f"The journal of the last 1 days has of this campaign: {len(day.stories)} calls: from the journal"
        in said.stdout
    )
    few = dialer("simulate", "spring", "--from", "1h", *SHORT, "--no-more")
    assert "0 calls: fewer than 200, so the chance of an answer is the one stated" in few.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nobody",), "There is no campaign 'nobody', neither applied nor in"),
        (("first",), "No operator works for the campaign first: say how many there are to be, by --agents."),
        (
            ("first", "--from", "1d", "--agents", "2"),
            "The journal has nothing of the campaign first: leave out --from.",
        ),
        (("first", "--from", "soon"), "'soon' is no period; allowed: 12h, 7d, 4w and the like"),
        (("first", "--draw", "day.gif"), "'day.gif' is no picture's name; allowed: FILE.svg, FILE.png"),
        (("first", "--with", "rain"), "'rain' is not one of 'jumps'"),
    ],
)
def test_what_cannot_be_simulated_is_said(dialer, words, message):
    said = dialer("simulate", *words)
    assert said.exit_code in (1, 2)
    assert message in " ".join(said.output.split())


def test_a_campaign_without_operators_is_refused(home, dialer):
    file = next((home / "campaigns").glob("*.toml"))
    campaign = msgspec.structs.replace(load_campaign(file), mode="announcement")
    with closing(open_writer(home / "journal.sqlite3")) as connection:
        trunks.apply(home, ())
        settings.apply_campaign(connection, campaign, 0.0)
    said = dialer("simulate", "first", "--agents", "2")
    assert said.exit_code == 1
    assert "plays a message and has no operators" in said.output


def test_what_is_stated_makes_the_world():
    world = command._world(
        Asked(answer_rate=0.5, talk=180.0, wrap_up=30.0, ring=5.0, setup=1.0, hours=2.0, begin=10)
    )
    crowd = world.crowds[0]
    assert crowd.answers == 0.5
    assert crowd.talk_s == pytest.approx(180.0)
    assert (world.team.wrap_up_s, crowd.ring_s, world.setup_s, world.length_s) == (30.0, 5.0, 1.0, 7200.0)
    assert time.gmtime(world.begins_at).tm_hour == 10
