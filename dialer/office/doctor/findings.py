"""What a check says: findings, each of a fault that is declared here with its mend, or that all is well.

A fault is declared once, by the module that looks for it; so the table in ``docs/doctor.md`` is made from the code, and the
tests can ask whether each was planted and found (``tests/unit/doctor``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Status = Literal["ok", "skip", "warn", "fail"]
"""``skip``: it could not be looked at, and why; for monitoring as good as ``ok``."""
EXIT: dict[Status, int] = {"ok": 0, "skip": 0, "warn": 1, "fail": 2}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at. *id*: of the fault (``redis.eviction``), or the subject (``redis``) where nothing is wrong.
    *mend*: what to do about it, where something is to be done."""

    id: str
    status: Status
    finding: str
    mend: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be wrong. *id*: subject, dot, word. *what*: in general; *mend*: likewise."""

    id: str
    status: Literal["warn", "fail"]
    what: str
    mend: str

    def found(self, finding: str, mend: str = "") -> Finding:
        """It is so, here: *finding* says where and how; *mend* is more exact than the general one."""
        return Finding(id=self.id, status=self.status, finding=finding, mend=mend or self.mend)


FAULTS: dict[str, Fault] = {}
"""Every fault that is looked for, by id, in the order of looking."""


def warns(id: str, what: str, mend: str) -> Fault:  # noqa: A002 - it is one
    """Declare a fault that harms later, or some."""
    return _declared(Fault(id=id, status="warn", what=what, mend=mend))


def fails(id: str, what: str, mend: str) -> Fault:  # noqa: A002
    """Declare a fault with which calls fail, or people are harmed."""
    return _declared(Fault(id=id, status="fail", what=what, mend=mend))


def _declared(fault: Fault) -> Fault:
    if fault.id in FAULTS:
        raise ValueError(f"{fault.id} is declared twice")
    FAULTS[fault.id] = fault
    return fault


def ok(subject: str, finding: str) -> Finding:
    """It was looked at, and is well."""
    return Finding(id=subject, status="ok", finding=finding)


def skipped(subject: str, why: str) -> Finding:
    """It could not be looked at."""
    return Finding(id=subject, status="skip", finding=why)


def exit_status(findings: Sequence[Finding]) -> int:
    """0, 1 or 2 after the worst finding."""
    return max((EXIT[one.status] for one in findings), default=0)


def rows(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """The findings as rows of a listing."""
    return [msgspec.structs.asdict(one) for one in findings]
