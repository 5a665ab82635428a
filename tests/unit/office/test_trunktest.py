"""What is to be thought of a test call, by its figures alone."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.core.trunk import CallerIds, Trunk
from dialer.office.trunktest import Report, caller_id, judge
from dialer.pbx.trial import Measured, Step

TRUNK = Trunk(id="lab", host="192.0.2.1")  # type: ignore[arg-type]


def measured(**changes: Any) -> Measured:
    """A good call of ten seconds."""
    good: dict[str, Any] = {
        "steps": [Step(what="INVITE", ms=0.0), Step(what="200 OK", ms=900.0)],
        "is_answered": True,
        "is_ended_by_us": True,
        "talked_s": 10.0,
        "codec": "alaw",
        "sent": 500,
        "received": 498,
        "heard_s": 8.0,
        "rtt_ms": 40.0,
        "jitter_here_ms": 2.0,
    }
    return Measured(**(good | changes))


def report(call: Measured) -> Report:
    return Report(
        trunk="lab",
        server="",
        number="+74950000001",
        dialed="84950000001",
        seconds=10,
        measured=call,
        faults=tuple(judge(call, seconds=10, trunk=TRUNK)),
    )


def test_a_good_call():
    found = report(measured())
    assert found.faults == ()
    assert found.exit_status == 0
    said = found.describe()
    assert "GOOD: both ways carry voice" in said
    assert "40.0 ms there and back (RTCP)" in said
    assert "not told (OPTIONS)" in said
    assert "dialed 84950000001" in said
    assert "900 ms  200 OK" in said


def test_what_the_far_end_did_not_tell_is_no_fault_and_is_said():
    found = report(measured(rtt_ms=None))
    assert found.exit_status == 0
    assert "Whether they hear us the far end did not tell" in found.describe()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"received": 0, "heard_s": 0.0}, ["deaf"]),
        ({"sent": 0}, ["dumb"]),
        ({"lost_there": 400}, ["dumb"]),
        ({"heard_s": 0.0}, ["silence"]),
        ({"received": 200}, ["broken"]),
        ({"lost_here": 20}, ["loss"]),
        ({"lost_there": 20}, ["loss"]),
        ({"lost_here": 2}, []),
        ({"jitter_here_ms": 45.0}, ["jitter"]),
        ({"jitter_there_ms": 45.0}, ["jitter"]),
        ({"rtt_ms": 450.0}, ["delay"]),
        ({"talked_s": 2.0, "received": 100, "sent": 100, "is_ended_by_us": False}, ["short"]),
        ({"received": 0, "sent": 0, "heard_s": 0.0}, ["deaf", "dumb"]),
    ],
)
def test_each_fault_is_found_and_has_its_mend(changes, expected):
    found = report(measured(**changes))
    assert [one.id for one in found.faults] == expected
    assert all(one.mend for one in found.faults)
    assert found.exit_status == (1 if expected else 0)


@pytest.mark.parametrize(
    ("changes", "expected", "said", "mend"),
    [
        ({"status": 486, "cause": 17}, "not_answered", "SIP 486, busy; Q.850 17, busy", "somebody else"),
        ({"status": 403, "cause": 21}, "not_answered", "SIP 403, forbidden", "user name and password"),
        ({"status": 404, "cause": 1}, "not_answered", "no such number", "number_rules"),
        ({"status": None, "cause": 0}, "not_answered", "no SIP status; no Q.850 cause", "support"),
        (
            {"refusal": "500 Allocation failed"},
            "not_placed",
            "500 Allocation failed",
            "dialer trunk show lab",
        ),
    ],
)
def test_a_call_that_was_not_answered(changes, expected, said, mend):
    found = report(Measured(**changes))
    [fault] = found.faults
    assert fault.id == expected
    assert said in fault.what
    assert mend in fault.mend
    assert found.exit_status == 2


def test_which_number_is_shown():
    many = CallerIds(numbers=("+74950000001", "+74950000002"), regions={"+7812": ("+78120000001",)})
    trunk = Trunk(id="t", host="h", caller_ids=many)  # type: ignore[arg-type]
    assert caller_id(trunk, "+78121234567") == "+78120000001"
    assert caller_id(trunk, "+79161234567") == "+74950000001"
    assert caller_id(Trunk(id="t", host="h", caller_id="+7495"), "+79161234567") == "+7495"  # type: ignore[arg-type]
