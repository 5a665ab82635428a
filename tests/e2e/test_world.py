"""What the tests of whole call centres stand on: ports for them, and whether the machine stood still."""

from __future__ import annotations

import os
from collections import deque

import pytest

from tests.e2e import world
from tests.e2e.stillness import Stillness

SPAN = range(16000, 16450)


@pytest.fixture
def given(tmp_path, monkeypatch) -> deque[range]:
    """What was given out, of ports that are all free."""
    found: deque[range] = deque(maxlen=32)
    monkeypatch.setattr(world, "_given", found)
    monkeypatch.setattr(world, "_CLAIMS", tmp_path)
    monkeypatch.setattr(world, "is_free", lambda *_, **__: True)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    return found


def test_where_no_gap_is_wide_enough_what_was_given_out_first_is_given_again(given):
    given.extend(range(first, first + 3) for first in SPAN[::14])
    lately = list(given)[4:]
    first = world.free_ports(40, SPAN)
    assert first in SPAN
    assert not any(first < one.stop and one.start < first + 41 for one in lately)


def test_of_ports_of_which_one_is_another_runs_none_is_claimed(given, tmp_path):
    (tmp_path / "16002").write_text(str(os.getppid()))  # who started us lives as long as we do
    with pytest.raises(AssertionError, match="no 3 free ports"):
        world.free_ports(3, range(16000, 16005))
    assert [path.name for path in tmp_path.iterdir()] == ["16002"]


def test_only_the_stillness_of_a_time_counts():
    stillness = Stillness()
    stillness._spells += [(10.0, 12.0), (20.0, 21.0)]
    assert stillness.lasted_s(11.0, 20.5) == 1.5
    assert stillness.lasted_s(12.0, 20.0) == 0.0
    assert stillness.lasted_s(0.0) == 3.0
