"""The people of the laboratory."""

from __future__ import annotations

import csv
from pathlib import Path

import phonenumbers
import pytest

from dialer.lab.day import (
    ANSWERING,
    COLUMNS,
    DEMO_CONTACTS,
    DEMO_SEED,
    NOT_IN_A_DAY,
    Behaviour,
    Line,
    Reaction,
    day,
    demo_day,
    write_contacts_csv,
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def test_the_same_seed_makes_the_same_day():
    assert day(7, 40) == day(7, 40)
    assert day(7, 40) != day(8, 40)


@pytest.mark.parametrize("seed", range(5))
def test_every_behaviour_occurs(seed):
    met = {reaction.behaviour for person in day(seed, 16) for line in person.lines for reaction in line.plan}
    assert met == set(Behaviour) - NOT_IN_A_DAY


@pytest.mark.parametrize("size", [0, 1, 16, 500])
def test_there_are_as_many_people_as_asked_for(size):
    assert len(day(1, size)) == size


def test_numbers_are_valid_and_nobody_shares_one():
    numbers = [line.number for person in day(3, 500) for line in person.lines]
    assert len(set(numbers)) == len(numbers)
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers)


def test_some_are_reached_at_the_second_number_or_at_the_second_call_only():
    people = demo_day()

    def answers(reaction: Reaction) -> bool:
        return reaction.behaviour in ANSWERING

    assert any(
        not any(map(answers, person.lines[0].plan)) and all(map(answers, person.lines[1].plan))
        for person in people
        if len(person.lines) > 1
    )
    assert any(
        not answers(line.plan[0]) and answers(line.plan[-1]) for person in people for line in person.lines
    )


def test_the_bundled_list_is_the_demo_day(tmp_path):
    write_contacts_csv(demo_day(), tmp_path / "again.csv", seed=DEMO_SEED)
    assert (tmp_path / "again.csv").read_bytes() == DEMO_CONTACTS.read_bytes()


def test_the_bundled_list_is_read_as_the_numbers_of_the_demo_day():
    rows = rows_of(DEMO_CONTACTS)
    people = demo_day()
    assert len(rows) == len(people) >= 60
    assert tuple(rows[0]) == COLUMNS
    for row, person in zip(rows, people, strict=True):
        numbers = {kind: row[kind] for kind in COLUMNS[1:4] if row[kind]}
        assert {
            kind: phonenumbers.format_number(
                phonenumbers.parse(text, "RU"), phonenumbers.PhoneNumberFormat.E164
            )
            for kind, text in numbers.items()
        } == {line.kind: line.number for line in person.lines}
        assert row["name"] == person.name


def test_the_bundled_list_has_several_phones_and_several_ways_to_write_them():
    rows = rows_of(DEMO_CONTACTS)
    assert sum(sum(bool(row[kind]) for kind in COLUMNS[1:4]) > 1 for row in rows) >= 20
    written = [row[kind] for row in rows for kind in COLUMNS[1:4] if row[kind]]
    for beginning in ("8 (", "+7-", "89", "+7 9", "8-", "+7 ("):
        assert any(text.startswith(beginning) for text in written), beginning


@pytest.mark.parametrize("number", ["79160000000", "+7 916 000 00 00", "+", "", "+７９", "+7;1"])
def test_a_number_that_is_none_is_refused(number):
    with pytest.raises(ValueError, match=r"E\.164"):
        Line(kind="mobile", number=number, plan=(Reaction(behaviour=Behaviour.BUSY),))


def test_a_line_without_a_plan_and_a_negative_time_are_refused():
    with pytest.raises(ValueError, match="no plan"):
        Line(kind="mobile", number="+79440000000", plan=())
    with pytest.raises(ValueError, match="not negative"):
        Reaction(behaviour=Behaviour.TALKS, ring_ms=-1)
