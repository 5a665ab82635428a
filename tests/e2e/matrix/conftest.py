"""Runs the columns of the matrix side by side, and shows the table.

A column (one fault, in a centre of its own) is run once for all its cells, from the first test of the
module on; each cell's test waits for its column. Only the cells of :data:`plan.BOUNDED` are collected,
unless the marker ``matrix`` is asked for (``pytest -m matrix``, ``./dev matrix``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from dialer.engine.embedded import AsteriskInstall
from tests.e2e.matrix.faults import FAULTS
from tests.e2e.matrix.plan import BOUNDED
from tests.e2e.matrix.run import Column, Slots, run_column
from tests.e2e.matrix.steps import BY_NAME, STEPS

SIDE_BY_SIDE = 3
Cells = dict[str, list[str]]
_COLUMNS = pytest.StashKey[dict[str, Column]]()


def _cell(item: pytest.Item) -> tuple[str, str] | None:
    """Which fault and step the test is about."""
    call = getattr(item, "callspec", None)
    if call is None or not {"fault", "step"} <= set(call.params):
        return None
    return call.params["fault"], call.params["step"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is only for ``./dev matrix``."""
    if "matrix" in config.option.markexpr:
        return
    left_out = [
        item for item in items if (cell := _cell(item)) is not None and cell[1] not in BOUNDED[cell[0]]
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def columns(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    asterisk_install: AsteriskInstall,
) -> AsyncIterator[Mapping[str, asyncio.Task[Column]]]:
    """By fault: the column, which is on its way or done."""
    cells: Cells = {}
    for item in request.session.items:
        if (cell := _cell(item)) is not None:
            cells.setdefault(cell[0], []).append(cell[1])
    slots = Slots(SIDE_BY_SIDE)
    folder = tmp_path_factory.mktemp("m")
    tasks = {
        fault.name: asyncio.create_task(
            run_column(
                folder / str(place),
                asterisk_install,
                fault,
                [BY_NAME[step.name] for step in STEPS if step.name in cells[fault.name]],
                slots,
            )
        )
        for place, fault in enumerate(FAULTS)
        if fault.name in cells
    }
    done: dict[str, Column] = request.config.stash.setdefault(_COLUMNS, {})
    try:
        yield tasks
    finally:
        for name, task in tasks.items():
            task.cancel()
            found = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(found, Column):
                done[name] = found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The matrix as a table: a line for each step, a column for each fault."""
    columns = config.stash.get(_COLUMNS, {})
    if not columns:
        return
    write = terminalreporter.write_line
    terminalreporter.section("kill matrix")
    faults = [fault for fault in FAULTS if fault.name in columns]
    for number, fault in enumerate(faults, 1):
        column = columns[fault.name]
        start = (
            "" if column.in_charge_s is None else f"; in charge {column.in_charge_s:.1f} s after its start"
        )
        starved = f"; starved for {column.starved_s:.1f} s" if column.starved_s > 1.0 else ""
        write(f"{number:3}  {fault.title}: {column.took_s:.0f} s{start}{starved}")
    width = max(len(step.title) for step in STEPS)
    write("")
    write(" " * width + "".join(f"{number:>5}" for number in range(1, len(faults) + 1)))
    for step in STEPS:
        marks = [_mark(columns[fault.name].wrong.get(step.name)) for fault in faults]
        if any(marks):
            write(f"{step.title:<{width}}" + "".join(f"{mark:>5}" for mark in marks))


def _mark(wrong: list[str] | None) -> str:
    if wrong is None:
        return ""
    return "FAIL" if wrong else "ok"
