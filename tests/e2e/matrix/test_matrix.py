"""The kill matrix: whatever breaks at whatever step of a call, contacts and operators are not wronged.

``./dev test`` runs some of its cells (:mod:`tests.e2e.matrix.plan`), ``./dev matrix`` all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.e2e.matrix.faults import FAULTS
from tests.e2e.matrix.plan import BOUNDED
from tests.e2e.matrix.run import Column
from tests.e2e.matrix.steps import STEPS


def test_the_bounded_part_has_each_step_and_each_fault() -> None:
    assert set(BOUNDED) == {fault.name for fault in FAULTS}
    assert {name for names in BOUNDED.values() for name in names} == {step.name for step in STEPS}


@pytest.mark.asterisk
@pytest.mark.matrix
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("step", [step.name for step in STEPS])
@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS])
async def test_cell(fault: str, step: str, columns: Mapping[str, asyncio.Task[Column]]) -> None:
    column = await asyncio.shield(columns[fault])
    wrong = column.wrong[step]
    assert not wrong, f"{fault} at the step {step!r}: " + "; ".join(wrong)
