"""Ids and the time."""

from __future__ import annotations

import time

from dialer.core.ids import is_attempt
from dialer.engine.identity import Clock, new_attempt_id


def test_an_attempt_id_has_the_form_that_the_core_knows():
    ids = [new_attempt_id() for _ in range(1000)]
    assert all(is_attempt(one) for one in ids)
    assert all(len(one) == 21 for one in ids)


def test_no_two_are_alike_even_in_one_millisecond(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    assert len({new_attempt_id() for _ in range(20_000)}) == 20_000


def test_later_ids_sort_later(monkeypatch):
    instants = [1.0, 999.999, 1_700_000_000.0, 1_700_000_000.001, 4_000_000_000.0, 250_000_000_000.0]
    ids = []
    for instant in instants:
        monkeypatch.setattr(time, "time", lambda instant=instant: instant)
        ids.append(new_attempt_id())
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_ids_do_not_tell_the_next_one(monkeypatch):
    """52 bits of the id are random: whoever knows one cannot guess another's recording."""
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    tails = [new_attempt_id()[-10:] for _ in range(64)]
    assert all(len({tail[place] for tail in tails}) > 8 for place in range(10))


def test_the_clock_never_goes_back_and_never_stands_still(monkeypatch):
    passing = iter([0.0, 0.0, 1.0, 2.0, 102.0, 104.0])
    told = iter([100.0, 3701.0, 102.0, 202.0, 3800.0])  # an hour ahead by mistake, then set right
    monkeypatch.setattr(time, "monotonic", lambda: next(passing))
    monkeypatch.setattr(time, "time", lambda: next(told))
    clock = Clock()
    assert [clock() for _ in range(5)] == [100.0, 3701.0, 3701.5, 3751.5, 3800.0]
