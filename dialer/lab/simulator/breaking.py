"""What breaks in a simulated day, and is mended again: see :class:`~.plan.Fault`."""

# ruff: noqa: SLF001 - a part of the day

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dialer.core import events as ev
from dialer.lab.simulator.plan import Fault

if TYPE_CHECKING:
    from dialer.lab.simulator.day import Day

IN_FLIGHT_S = 3.0
"""What happened so shortly before an engine died may be on its way to it still."""


def begin(day: Day, fault: Fault) -> None:
    """*fault* begins."""
    match fault.kind:
        case "socket":
            day.is_heard = False
            day._tell(ev.PbxDisconnected(at=day.at))
            _mark_unheard(day)
        case "engine":
            day.is_heard = False
            day._is_down = True
            day._engine += 1
            _mark_unheard(day)
        case "journal":
            if day._is_journal_ok and not day._is_down:
                day._is_journal_ok = False
                day._unsaved_since = day.at
                day._tell(ev.JournalFailed(at=day.at, reason="the disk is full"))
        case "trunk":
            day.is_trunk_down = True
            _tell_trunks(day, is_up=False)
        case "refusing":
            day.is_refusing = True
        case "lying":
            day.is_lying = True
        case "doubled":
            day._is_doubled = True
        case "lossy":
            day._is_lossy = True
            _mark_unheard(day)
        case "slow":
            day.is_slow = True
            day._tell(ev.EventsLagged(at=day.at, lag_ms=2000.0, is_late=True))


def end(day: Day, fault: Fault) -> None:
    """*fault* is over."""
    match fault.kind:
        case "socket":
            if not day._is_down:
                _mark_unheard(day)
                day._hear()
        case "engine":
            _mark_unheard(day)
            day._begin_engine()
        case "journal":
            _mend_journal(day)
        case "trunk":
            day.is_trunk_down = False
            _tell_trunks(day, is_up=True)
        case "refusing":
            day.is_refusing = False
        case "lying":
            day.is_lying = False
        case "doubled":
            day._is_doubled = False
        case "lossy":
            day._is_lossy = False
            _mark_unheard(day)
        case "slow":
            day.is_slow = False
            day._tell(ev.EventsLagged(at=day.at, lag_ms=0.0, is_late=False))


def _mend_journal(day: Day) -> None:
    if day._is_journal_ok:
        return
    day._is_journal_ok = True
    day._unsaved_since = math.inf
    for event, commands in day._unsaved:
        day.keeper.save((event,), commands)
    day._unsaved.clear()
    day._tell(ev.JournalRecovered(at=day.at))
    held, day._held = day._held, []
    for question in held:
        day._fetch(question)


def _tell_trunks(day: Day, *, is_up: bool) -> None:
    for trunk in day.plan.trunks:
        day._tell(ev.TrunkChanged(at=day.at, trunk=trunk.id, is_up=is_up))


def _mark_unheard(day: Day) -> None:
    for one in day.persons():
        one.story.is_unheard = True
    since = min(day.at - IN_FLIGHT_S, day._unsaved_since)
    for story in day._just_ended:
        story.is_unheard |= (story.ended_at or 0.0) > since
