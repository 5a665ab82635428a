"""The journal of a whole simulated engine, with its faults, plays to the same; a changed one is found."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from cli import main
from dialer.core.conduct import Abandonment, Pacing
from dialer.lab.simulator.books import check_books
from dialer.lab.simulator.disk import Disk, prepare
from dialer.lab.simulator.plan import Fault
from dialer.lab.simulator.plans import plan
from dialer.office.replay import Difference, Played, replay
from dialer.office.setup import make_home
from dialer.store import dnc, promises
from dialer.store.connect import open_reader, open_writer
from dialer.store.errors import JournalError, NotInStore
from dialer.store.journal import Journal
from tests.examples import IS_QUICK
from tests.unit.simulator.engine_day import EngineDay

FAULTS = (
    Fault(kind="engine", at_s=100.0, length_s=2.0),
    Fault(kind="journal", at_s=150.0, length_s=15.0),
    Fault(kind="doubled", at_s=200.0, length_s=30.0),
    Fault(kind="socket", at_s=260.0, length_s=4.0),
    Fault(kind="journal", at_s=300.0, length_s=20.0),
    Fault(kind="engine", at_s=310.0, length_s=1.0),
)
HOURS = 0.15 if IS_QUICK else 0.5


class _Played:
    """A day that was played, and its journal."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite3"
        made = prepare(self.path, plan(3, agents=8, hours=HOURS, faults=FAULTS, check_s=0))
        with Disk(self.path) as disk:
            self.day = EngineDay(made, disk)
            for second in range(20, 300, 20):
                self.day.later(float(second), self._bar)
            self.day.run()

    def _bar(self) -> None:
        """Somebody puts the numbers that are dialed next on the list, and the engine is not told."""
        for desk in self.day.floor.desks.values():
            for fresh in list(desk.hopper._leads)[:1]:
                self._bar_number(fresh.lead.phones[0].number)

    def _bar_number(self, number: str) -> None:
        at, journal = self.day.at, self.day.disk.journal
        with suppress(JournalError):  # one moment falls into a full disk, where there may be no room for it
            self.day.disk.run(
                journal.run(lambda connection: dnc.add(connection, number, source="test", at=at))
            )


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> _Played:
    return _Played(tmp_path_factory.mktemp("day"))


def replay_file(path: Path, **options) -> Played:
    with closing(open_reader(path)) as connection:
        return replay(connection, **options)


def test_the_books_of_the_day_agree(played):
    check_books(played.day.stories, played.day.calls)
    reasons = Counter(one.reason for one in played.day.refused)
    assert reasons["do_not_call"], "nobody was put on the list too late for the floor to know"
    assert len(reasons) > 1, "the disk was never full when a call was to be placed"


def test_a_journal_with_restarts_failures_and_refusals_plays_to_the_same(played):
    found = replay_file(played.path, is_all=True)
    assert found.starts == 3
    assert found.left_out > 0
    assert found.events > 300
    assert found.unplayed == 0


def test_the_count_of_abandoned_calls_is_that_of_the_calls(played):
    with closing(open_reader(played.path)) as connection:
        rows = promises.recount(connection, None, 0, 40_000)
        counts = [(row["answered"], row["abandoned"]) for row in rows]
        again = [(row["recounted_answered"], row["recounted_abandoned"]) for row in rows]
    assert counts == again
    assert sum(answered for answered, _ in counts) > 10


def test_a_predictive_day_plays_to_the_same(tmp_path):
    """The rule remembers what it was asked and when: each tick on which it was is kept, and so is what it had learnt."""
    path = tmp_path / "journal.sqlite3"
    faults = (Fault(kind="engine", at_s=80.0, length_s=2.0), Fault(kind="socket", at_s=120.0, length_s=4.0))
    made = plan(5, agents=6, hours=0.05, faults=faults, check_s=30)
    pacing = Pacing(abandonment=Abandonment(share=0.3, cap=1.0))
    modes = {"spring": "predictive", "summer": "predictive"}
    campaigns = [
        msgspec.structs.replace(one, mode=modes.get(one.id, one.mode), pacing=pacing)
        for one in made.campaigns
    ]
    made = prepare(path, msgspec.structs.replace(made, campaigns=tuple(campaigns)))
    with Disk(path) as disk:
        day = EngineDay(made, disk)
        day.run()
    ahead = Counter(call.campaign for call in day.calls.values())
    assert ahead["spring"] > 5
    found = replay_file(path, is_all=True)
    assert found.starts == 2
    with closing(open_reader(path)) as connection:
        ticks = connection.execute("SELECT count(*) FROM events WHERE name = 'Ticked'").fetchone()[0]
        notes = connection.execute("SELECT count(*) FROM pacing_notes").fetchone()[0]
        counted = connection.execute("SELECT sum(answered), sum(abandoned) FROM abandonment").fetchone()
    assert ticks > 100
    assert notes > 3
    calls = [call for call in day.calls.values() if call.answered_at is not None]
    assert tuple(counted) == (len(calls), sum(call.abandoned_at is not None for call in calls))


def test_without_options_it_begins_with_the_last_start(played):
    found = replay_file(played.path)
    assert found.starts == 1
    assert found.events < replay_file(played.path, is_all=True).events


def test_it_can_end_before_the_end(played):
    begins_at = played.day.plan.begins_at
    found = replay_file(played.path, since=begins_at + 60.0, until=begins_at + 90.0)
    assert found.starts == 1
    assert 10 < found.events < replay_file(played.path, is_all=True).events


def test_no_start_before_that_instant_is_an_error(played):
    with pytest.raises(NotInStore, match="the oldest is of 2026-03-02"):
        replay_file(played.path, since=played.day.plan.begins_at - 1.0)


async def test_a_journal_without_a_start_is_an_error(tmp_path):
    async with await Journal.open(tmp_path / "journal.sqlite3"):
        pass
    with pytest.raises(NotInStore, match="keeps no start"):
        replay_file(tmp_path / "journal.sqlite3")


def test_events_whose_start_is_gone_are_counted(played, tmp_path):
    path = copy(played.path, tmp_path)
    change(path, "DELETE FROM events WHERE id = (SELECT min(id) FROM events)")
    found = replay_file(path, is_all=True)
    assert found.starts == 2
    assert found.unplayed > 50


def copy(path: Path, folder: Path) -> Path:
    return Path(shutil.copy(path, folder / "journal.sqlite3"))


def change(path: Path, sql: str) -> None:
    with closing(open_writer(path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        assert connection.execute(sql).rowcount == 1, sql


AN = "(SELECT max(id) FROM events WHERE name = '{}')"


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        pytest.param(
            f"DELETE FROM events WHERE id = {AN.format('ContactAnswered')}",
            "played again it is",
            id="lost event",
        ),
        pytest.param(
            f"UPDATE events SET body = json_set(body, '$.ring_s', 41.0) WHERE id = {AN.format('Originate')}",
            '"ring_s":41.0',
            id="changed order",
        ),
        pytest.param(
            f"DELETE FROM events WHERE id = {AN.format('JoinAgent')}", "played again it is", id="lost order"
        ),
        pytest.param(
            "INSERT INTO events (at, kind, name, body) SELECT at, kind, name, body FROM events"
            f" WHERE id = {AN.format('HangUp')}",
            "played again it is nothing more",
            id="order added",
        ),
        pytest.param(
            "UPDATE events SET body = json_set(body, '$.leads[0].lead.phones[0].number', '+7') WHERE id ="
            " (SELECT min(id) FROM events WHERE name = 'LeadsFetched')",
            '"number":"+7"',
            id="changed lead",
        ),
        pytest.param(
            "UPDATE attempts SET result = 'busy' WHERE attempt ="
            " (SELECT max(attempt) FROM attempts WHERE result = 'talked')",
            "result <Result.BUSY: 'busy'>, played <Result.TALKED: 'talked'>",
            id="changed result",
        ),
        pytest.param(
            "DELETE FROM attempts WHERE attempt = (SELECT max(attempt) FROM attempts)",
            "missing, and was saved",
            id="lost attempt",
        ),
        pytest.param(
            "UPDATE agents SET state = 'ready' WHERE id = 'op1'", "op1 is state", id="changed agent"
        ),
        pytest.param(
            # an operator's late word may have made it run again
            "UPDATE campaigns SET state = CASE state WHEN 'running' THEN 'paused' ELSE 'running' END WHERE id = 'spring'",
            "spring is",
            id="changed campaign",
        ),
        pytest.param(
            "UPDATE abandonment SET answered = answered + 1 WHERE (campaign, day) ="
            " (SELECT campaign, day FROM abandonment LIMIT 1)",
            "The table abandonment",
            id="changed count",
        ),
    ],
)
def test_a_changed_journal_is_found(played, tmp_path, sql, says):
    path = copy(played.path, tmp_path)
    change(path, sql)
    with pytest.raises(Difference) as difference:
        replay_file(path, is_all=True)
    assert says in str(difference.value)


def test_another_version_is_named_with_a_difference(played, tmp_path):
    path = copy(played.path, tmp_path)
    change(
        path,
        "UPDATE events SET body = json_set(body, '$.version', '0.0.1') WHERE id ="
        " (SELECT max(id) FROM events WHERE name = 'EngineStarted')",
    )
    assert replay_file(path, is_all=True).events, "another version is no difference by itself"
    change(path, f"DELETE FROM events WHERE id = {AN.format('JoinAgent')}")
    with pytest.raises(Difference, match=r"Noted by version 0\.0\.1"):
        replay_file(path)


def test_the_command_tells_it_in_one_line(played, tmp_path):
    make_home(tmp_path / "home")
    path = copy(played.path, tmp_path / "home")

    def say(*words: str) -> Result:
        words = ("--home", str(tmp_path / "home"), "journal", "replay", *words)
        return CliRunner().invoke(main, words, prog_name="dialer")

    said = say("--all")
    assert said.exit_code == 0, said.output
    assert re.search(r"the same: \d+ events, \d+ commands, 3 starts of the engine", said.output)
    assert say("--all", "--since", "2026-03-02").exit_code == 2
    change(path, f"DELETE FROM events WHERE id = {AN.format('JoinAgent')}")
    said = say()
    assert said.exit_code == 1
    assert re.match(r"Error: Row \d+ \(2026-03-02T.*: after \w+", said.output)
