"""What the network counted, as read from its log; and what it is told of the people."""

from __future__ import annotations

import pytest

from dialer.core.values import Result
from dialer.lab.day import Behaviour, Line, Person, Reaction
from dialer.lab.errors import LabToolMissing
from dialer.lab.network import LabNetwork, read_calls
from dialer.lab.sipp import find_tool


def line(at: float, *fields: str) -> str:
    return "|".join((f"2026-01-02\t03:04:05.678901\t{at:.6f}", *fields)) + "\n"


INVITED = line(10.0, "invited", "c1", "79440000001|talks|79440000001/2|3|74950000000")


def someone(number: str, *behaviours: Behaviour) -> Person:
    plan = tuple(Reaction(behaviour=behaviour, ring_ms=700, talk_ms=2500) for behaviour in behaviours)
    return Person(name="N", voice=8, lines=(Line(kind="mobile", number=number, plan=plan),))


def test_a_conversation_is_read():
    [call] = read_calls(
        INVITED + line(10.1, "rang", "c1", "") + line(12.5, "answered", "c1", "")
        + line(13.0, "pressed", "c1", "3") + line(14.0, "pressed", "c1", "1") + line(15.0, "hung_up", "c1", "person") + line(15.1, "hung_up", "c1", "caller")
    )  # fmt: skip
    assert (call.number, call.behaviour, call.step) == ("+79440000001", Behaviour.TALKS, 2)
    assert (call.caller_id, call.mark_hz) == ("74950000000", 800)
    assert (call.invited_at, call.rang_at, call.answered_at) == (10.0, 10.1, 12.5)
    assert (call.ended_at, call.ended_by, call.status) == (15.0, "person", 200)
    assert call.results == {Result.TALKED, Result.ABANDONED, Result.HUNG_UP}
    assert call.keys == "31"


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("486 Busy Here", Result.BUSY),
        ("404 Not Found", Result.INVALID),
        ("603 Decline", Result.DECLINED),
        ("503 Service Unavailable", Result.CONGESTION),
        ("480 Temporarily Unavailable", Result.NO_ANSWER),
    ],
)
def test_a_refusal_is_read(status, result):
    [call] = read_calls(INVITED + line(11.0, "refused", "c1", status))
    assert (call.ended_by, call.status) == ("person", int(status[:3]))
    assert call.results == {result}


def test_a_caller_who_gives_up_is_read():
    [call] = read_calls(INVITED + line(16.0, "cancelled", "c1", ""))
    assert (call.ended_by, call.status) == ("caller", 487)
    assert call.results == {Result.NO_ANSWER}


def test_an_answer_that_crosses_the_cancel_is_read():
    [call] = read_calls(
        INVITED + line(16.0, "answered", "c1", "") + line(16.0, "crossed", "c1", "")
        + line(16.1, "hung_up", "c1", "caller")
    )  # fmt: skip
    assert call.crossed
    assert call.results == {Result.ABANDONED, Result.NO_ANSWER}


def test_a_call_that_lasts_has_no_result_yet():
    [call] = read_calls(INVITED + line(12.5, "answered", "c1", ""))
    assert call.ended_at is None
    assert call.results == frozenset()


def test_lines_that_are_cut_short_or_strange_are_passed_over():
    whole = INVITED + line(12.5, "answered", "c1", "")
    strange = (
        "\n" + "no stamp at all\n" + line(1.0, "answered", "unknown", "") + line(2.0, "sneezed", "c1", "")
    )
    for cut in range(len(INVITED), len(whole)):
        assert len(read_calls(strange + whole[:cut])) == 1
    assert read_calls(INVITED[:40]) == []


def test_plans_are_written_for_sipp(tmp_path):
    network = LabNetwork(tmp_path, port=1, people=[someone("+79440000001", Behaviour.BUSY, Behaviour.TALKS)])
    files = network._sipp._files
    assert files["numbers.csv"] == b"SEQUENTIAL\n79440000001;79440000001/1\n"
    assert files["plans.csv"].decode().splitlines()[1:] == [
        "79440000001/1;busy;700;2500;2;79440000001/2",
        "79440000001/2;talks;700;2500;2;79440000001/2",
    ]


def test_two_lines_with_one_number_are_refused(tmp_path):
    twice = [someone("+79440000001", Behaviour.BUSY), someone("+79440000001", Behaviour.TALKS)]
    with pytest.raises(ValueError, match="two lines have the number"):
        LabNetwork(tmp_path, port=1, people=twice)


def test_a_network_that_never_started_has_no_calls(tmp_path):
    assert LabNetwork(tmp_path / "none", port=1, people=[]).calls() == []


def test_it_is_known_who_lives_where(tmp_path):
    person = someone("+79440000001", Behaviour.BUSY)
    network = LabNetwork(tmp_path, port=1, people=[person])
    assert network.person_at("+79440000001") == (person, person.lines[0])
    assert network.person_at("+79440000002") is None


def test_a_program_that_is_missing_is_named_with_its_package():
    with pytest.raises(LabToolMissing, match=r"nonesuch is not installed .* package nonesuch-tester"):
        find_tool("nonesuch", "nonesuch-tester")
