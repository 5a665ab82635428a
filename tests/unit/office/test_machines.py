"""Ofcom's share of abandoned calls, worked out by hand."""

from __future__ import annotations

import pytest

from dialer.office.machines import estimate, window
from dialer.store.machines import Met


@pytest.mark.parametrize(
    ("abandoned", "met", "mistaken", "people", "live"),
    [
        (0, [], 0.0, 0, 0.0),
        (3, [], 0.0, 0, 3.0),  # nobody was met: nothing can be said of who they were
        (20, [Met(800, 200, 500)], 0.0, 800, 16.0),
        (20, [Met(500, 50, 300), Met(300, 150, 200)], 0.0, 800, 16.0),
        (20, [Met(800, 0, 500)], 0.0, 800, 20.0),
        (20, [Met(800, 200, 500)], 0.02, 800, 26.0),
        (5, [Met(0, 10, 5)], 0.0, 0, 0.0),
    ],
)
def test_the_estimate(abandoned, met, mistaken, people, live):
    found = estimate(abandoned, met, mistaken)
    assert found.people == people
    assert found.abandoned == pytest.approx(live)
    assert found.share == pytest.approx(live / (people + live) if live else 0.0)


def test_a_window_ends_with_its_last_day():
    met = {day: Met(day, 0, 0) for day in range(1, 11)}
    assert [one.people for one in window(met, 7, 3)] == [5, 6, 7]
