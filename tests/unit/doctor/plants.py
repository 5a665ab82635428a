"""Which faults were planted: every one that the doctor claims to find must be (``test_claims.py``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest

from dialer.office.doctor import FAULTS, Finding

T = TypeVar("T", bound=Callable[..., Any])
PLANTED: set[str] = set()


def plants(*ids: str) -> Callable[[T], T]:
    """The test plants these faults."""
    for one in ids:
        assert one in FAULTS, one
    PLANTED.update(ids)
    return lambda test: test


def cases(*table: tuple[Any, ...]) -> Any:
    """A test for each row (fault, ...): its arguments are ``fault`` and ``plant``, and more if there are."""
    plants(*(row[0] for row in table))
    names = ("fault", "plant", "says")[: len(table[0])]
    return pytest.mark.parametrize(
        names, list(table), ids=[f"{row[0]}-{place}" for place, row in enumerate(table)]
    )


def faults(findings: Iterable[Finding]) -> list[str]:
    """The ids of what is wrong. What is wrong is declared, and has a mend."""
    bad = [one for one in findings if one.status in ("warn", "fail")]
    for one in bad:
        assert one.status == FAULTS[one.id].status
        assert one.mend, one
        assert one.finding, one
    return [one.id for one in bad]
